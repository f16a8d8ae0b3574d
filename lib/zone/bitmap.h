/* SPDX-License-Identifier: MIT */
/*
 * The bitmap of one zone: bits, block entries, hints. May use hints.h. It knows frame numbers relative to the
 * zone, and nothing of slots, CPUs or policy: zone.c and territory.c say which block to take from. lib/cpu
 * calls it for whole words, lib/setup for blocks that are shut, held or reported.
 *
 * A bit is 1 when its frame is free. A block is 512 frames. The truth about a block is its entry of 16 bits.
 * Four entries are a quad, one u64, which is the only unit of access:
 *
 *     15   14 13      10 9                 0
 *   +----+-----+----------+--------------------+
 *   |HUGE|SHUT | hint (4) |     count (10)     |
 *   +----+-----+----------+--------------------+
 *
 *   HUGE     the block is claimed whole; its bits stay set, untouched. A block without HUGE is OPEN
 *   SHUT     nothing is handed out of the block, see below
 *   hint     no aligned run of set bits has a larger order, promised ones included; a free that is half-way
 *            is about to raise it. 9 in a whole block: it was reported
 *   count    free frames, 0 to 512, without those that are promised
 *
 * The rule: the truth of each operation is one word, and undoing is setting what we own, which cannot fail.
 *   take   promise first: lower the count by CAS, then clear as many bits. The holder of a promise scans
 *          until it finds them; a miss means that another promise was filled
 *   free   bits first, then raise the count. Give-back and undo the same way
 *   huge   CAS FULL->HUGE; freeing turns it back. Several blocks: in ascending order, undone in our words
 * So at every instant   bits set >= count + promises   and a count of 512 means that there is no promise.
 * A promise of all 512 frames is the only one, so its holder takes them by plain stores, and gives all frames
 * of a block back by plain stores before the count (bitmap_take_blocks, bitmap_free_all).
 *
 * SHUT: nothing is handed out of the block. Its count reads as 0 to every search, and ENTRY_FULL does not
 * match. Frames that are freed there raise the count as ever, and the bit stays through HUGE and OPEN. Only
 * a claim by address (bitmap_claim_exact) takes from it. The bit is set and cleared by the one holder of
 * ramka.changing (setup/isolate.c, cpu/claim.c).
 *
 * Reported: the embedder was told of the whole block and may have discarded its content (setup/reported.c).
 * The block is whole as any other, and every claim takes it. The mark goes with the claim, since each way
 * back to whole but bitmap_free_unreported ends in ENTRY_FULL. In a block that is no longer whole a hint of 9
 * says as much as 8 does.
 *
 * Hints tell where to look: `some` = blocks with 1..511 free frames, `whole` = blocks wholly free. Each is a
 * tree of 64-ary words. A hint may be stale for as long as a call is parked half-way. No call believes it
 * when the answer would be "no memory"; zone.c then passes over the block entries.
 *   set: unconditional RMW once the block entry says so; clear: RMW, then look again and set again if needed.
 *
 * Pairs: bit.free (bits), count.raise (block entries), huge.free, hint. See docs/ordering.md.
 */
#ifndef RAMKA_LIB_ZONE_BITMAP_H
#define RAMKA_LIB_ZONE_BITMAP_H

#include "hints.h"

#define ENTRY_WIDTH 16u
#define ENTRY_BITS 0xffffu
#define ENTRY_COUNT 0x3ffu
#define ENTRY_HINT_SHIFT 10u
#define ENTRY_HUGE 0x8000u
#define ENTRY_SHUT_SHIFT 14u
#define ENTRY_SHUT (1u << ENTRY_SHUT_SHIFT)
#define ENTRY_HINT_MAX 8u
#define ENTRY_FULL (BLOCK_FRAMES | ENTRY_HINT_MAX << ENTRY_HINT_SHIFT)
#define ENTRY_MARK (1u << ENTRY_HINT_SHIFT)     /* of a whole block: it was reported */
#define ENTRY_REPORTED (ENTRY_FULL | ENTRY_MARK)
#define QUAD_BLOCKS 4u
#define QUAD_OF(entry) ((uint64_t)(entry) * 0x0001000100010001u) /* four times the same entry */

struct bitmap {
	struct ramka_atomic_u64 *words; /* bit = frame */
	struct ramka_atomic_u64 *quads; /* four block entries each */
	struct hints some, whole;
	uint32_t blocks;                /* a multiple of 4 */
	/*
	 * claims that were given back, whole or in part; their frames were out of sight meanwhile
	 * (cpu/account.h)
	 */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 returned;
	struct ramka_atomic_u64 isolated; /* free frames of shut blocks */
};

#define NO_FRAME UINT32_MAX

/* ---- looking ---- */

static inline unsigned entry_shift(uint32_t block)
{
	return (block % QUAD_BLOCKS) * ENTRY_WIDTH;
}

/* The entry of a block in its quad. */
static inline unsigned entry_in(uint64_t quad, uint32_t block)
{
	return (unsigned)(quad >> entry_shift(block)) & ENTRY_BITS;
}

static inline unsigned bitmap_entry(const struct bitmap *b, uint32_t block)
{
	return entry_in(ramka_load(&b->quads[block / QUAD_BLOCKS], relaxed, count.look), block);
}

/* Free frames that may be handed out. */
static inline unsigned entry_count(unsigned entry)
{
	return entry & (ENTRY_HUGE | ENTRY_SHUT) ? 0 : entry & ENTRY_COUNT;
}

/* Free frames, those of a shut block too. */
static inline unsigned entry_free(unsigned entry)
{
	return entry & ENTRY_HUGE ? 0 : entry & ENTRY_COUNT;
}

/*
 * What the gate (cpu/gate.h) takes for the count: a shut block looks as sparse as can be, so none of its
 * frames is cached.
 */
static inline unsigned entry_gate_count(unsigned entry)
{
	return entry & ENTRY_SHUT ? BLOCK_FRAMES : entry_count(entry);
}

static inline unsigned entry_hint(unsigned entry)
{
	return entry >> ENTRY_HINT_SHIFT & 0xf;
}

/* May the block have a free aligned run of 2^order frames, as far as its entry tells? Order below 9. */
static inline bool entry_may_have(unsigned entry, unsigned order)
{
	return entry_count(entry) >= 1u << order && entry_hint(entry) >= order;
}

/* Four entries, or one: whole, reported or not, and not shut? */
static inline bool quad_is_whole(uint64_t quad)
{
	return (quad | QUAD_OF(ENTRY_MARK)) == QUAD_OF(ENTRY_REPORTED);
}

static inline bool entry_is_whole(unsigned entry)
{
	return (entry | ENTRY_MARK) == ENTRY_REPORTED;
}

/*
 * May one of the four blocks of a quad have a run of 2^order frames? The run hints in block entries are upper
 * bounds, so a "no" is true of each block at the time of the load.
 */
static inline bool quad_may_have(uint64_t quad, unsigned order)
{
	uint64_t counts, hints;

	if (order > BLOCK_ORDER + 1)
		return quad_is_whole(quad);
	if (order >= BLOCK_ORDER) /* only a whole block has this bit */
		return quad & QUAD_OF(BLOCK_FRAMES);
	/* entry_may_have of all four at a time: a large enough count reaches 2^10, a large enough hint 2^4 */
	counts = ((quad & QUAD_OF(ENTRY_COUNT)) + QUAD_OF(2 * BLOCK_FRAMES - (1u << order))) >> 10;
	hints = ((quad >> ENTRY_HINT_SHIFT & QUAD_OF(0xf)) + QUAD_OF(16 - order)) >> 4;
	return counts & hints & ~(quad >> ENTRY_SHUT_SHIFT) & QUAD_OF(1);
}

/* Free frames of the block, 0 if HUGE or SHUT. */
static inline unsigned bitmap_free_count(const struct bitmap *b, uint32_t block)
{
	return entry_count(bitmap_entry(b, block));
}

/* Word i of a block at the moment. */
static inline uint64_t bitmap_word(const struct bitmap *b, uint32_t block, unsigned i)
{
	return ramka_load(&b->words[(size_t)block * BLOCK_WORDS + i], relaxed, bit.look);
}

/* Is the bit set at the moment? */
static inline bool bitmap_is_free(const struct bitmap *b, uint32_t frame)
{
	return ramka_load(&b->words[frame / WORD_BITS], relaxed, bit.look) >> (frame % WORD_BITS) & 1;
}

/* Is there a free run of the order in the first `limit` frames of the block at the moment? */
bool bitmap_has_run(const struct bitmap *b, uint32_t block, unsigned order, unsigned limit);
/* Corrects the hints of a block that a search found wrong. */
void bitmap_fix_hints(struct bitmap *b, uint32_t block);

/* ---- below order 9; `limit`: frames of the block below it only, 512 = all ---- */

/*
 * Takes up to `max` frames of one word of the block. Returns their mask, and the word in *ret_word; 0: there
 * are none.
 */
uint64_t bitmap_take(struct bitmap *b, uint32_t block, unsigned max, unsigned start, uint32_t *ret_word);
/*
 * Takes up to `max` aligned runs of 2^order frames of the block, order up to 6. Returns how many, and their
 * first frames in ascending order.
 */
unsigned bitmap_take_runs(struct bitmap *b, uint32_t block, unsigned order, unsigned max,
			  uint32_t *ret_frames);
/* An aligned run of 2^order frames in the block: its first frame, or NO_FRAME. */
uint32_t bitmap_claim(struct bitmap *b, uint32_t block, unsigned order, unsigned limit);
/* Any frame of the block, without looking first: what the last pass before "no memory" uses. */
uint32_t bitmap_claim_any(struct bitmap *b, uint32_t block);
/* Takes exactly the frames of `mask` in this word, all or none. */
bool bitmap_claim_mask(struct bitmap *b, uint32_t word, uint64_t mask);
/*
 * Frees the frames of `mask` in this word and returns how many. 0, and nothing done: one of them is free
 * already, or its block is HUGE.
 */
unsigned bitmap_free_mask(struct bitmap *b, uint32_t word, uint64_t mask);
/*
 * The same in two halves, so that many words of a block share the second one. bitmap_set_mask sets the bits
 * and returns how many, or 0 as above; *run, at first 0, is the largest order that is free with them.
 * bitmap_count_in raises the block's count by n frames whose bits were set. False: it cannot be right.
 */
unsigned bitmap_set_mask(struct bitmap *b, uint32_t word, uint64_t mask, unsigned *run);
/*
 * bitmap_set_mask for all bits of `nr` words, which are one frame's, or one word for several. One
 * read-modify-write: of two calls that free the same frame at once, one is refused.
 */
unsigned bitmap_set_words(struct bitmap *b, uint32_t word, unsigned nr, unsigned *run);
bool bitmap_count_in(struct bitmap *b, uint32_t block, unsigned n, unsigned run);
/* Frees an aligned run of 2^order frames, order below 9. */
bool bitmap_free(struct bitmap *b, uint32_t frame, unsigned order);

/* ---- by address, shut blocks too ---- */

/* Exactly the aligned run of 2^order frames from `frame` on, all or none. */
bool bitmap_claim_exact(struct bitmap *b, uint32_t frame, unsigned order);
/* Shuts the block. False: it was shut already. */
bool bitmap_shut(struct bitmap *b, uint32_t block);
/* Opens a shut block again: it can be found. */
void bitmap_unshut(struct bitmap *b, uint32_t block);

/* ---- order 9 and above: runs of whole blocks, aligned to their number ---- */

bool bitmap_claim_blocks(struct bitmap *b, uint32_t block, uint32_t nr);
bool bitmap_free_blocks(struct bitmap *b, uint32_t block, uint32_t nr);
/*
 * Claims those of the wanted blocks of one quad that are whole, in aligned runs of `nr`, by one CAS. Returns
 * their mask. The wanted blocks are such runs. The caller clears their hints (bitmap_unhint), for all quads
 * of a chunk at once.
 */
unsigned bitmap_claim_quad(struct bitmap *b, uint32_t quad, unsigned want, unsigned nr);
/*
 * Takes all frames of those of the wanted blocks of one quad that are whole, by one CAS: the blocks are OPEN
 * and have no free frame. Returns their mask.
 */
unsigned bitmap_take_blocks(struct bitmap *b, uint32_t quad, unsigned want);
/*
 * The reverse for one block: frees all its frames, which are the caller's. False, and nothing done: one of
 * them is free already, or the block is claimed whole.
 */
bool bitmap_free_all(struct bitmap *b, uint32_t block);
/*
 * Frees blocks of one quad by one CAS; false: one of them is not claimed whole. The caller sets their hints
 * (bitmap_hint).
 */
bool bitmap_free_quad(struct bitmap *b, uint32_t quad, unsigned entries);
/* The blocks of a mask of one chunk are whole, or are not any more. */
static inline void bitmap_hint(struct bitmap *b, uint32_t chunk, uint64_t blocks)
{
	hints_set_mask(&b->whole, chunk, blocks);
}
static inline void bitmap_unhint(struct bitmap *b, uint32_t chunk, uint64_t blocks)
{
	hints_clear_mask(&b->whole, chunk, blocks);
}
/*
 * Claims up to `max` whole blocks in a row, from `block` on and inside its chunk, that were not reported. How
 * many.
 */
uint32_t bitmap_claim_unreported(struct bitmap *b, uint32_t block, uint32_t max);
/* Frees them again; `told`: they were reported. */
void bitmap_free_unreported(struct bitmap *b, uint32_t block, uint32_t nr, bool told);
/*
 * The one owner of a HUGE block makes it OPEN with no frame free, so that its parts can be freed one by one.
 */
void bitmap_open_block(struct bitmap *b, uint32_t block);
/* The one owner of all frames of an OPEN block claims it whole. */
void bitmap_close_block(struct bitmap *b, uint32_t block);

/*
 * ---- memory that is removed: shut blocks ----
 *
 * The holder of a block has a promise of all frames that the block has, so there is no other promise, no
 * call clears or sets one of its bits, and the bits that are set are these frames.
 */

/* Holds a block. False: it has not exactly n free frames now. */
bool bitmap_hold(struct bitmap *b, uint32_t block, unsigned n);
/* Ends it: the frames are free in the block, which stays shut. */
void bitmap_hold_undo(struct bitmap *b, uint32_t block);
/* The held block is as one that never had a frame. */
void bitmap_forget(struct bitmap *b, uint32_t block);

/* ---- new frames ---- */

/*
 * Makes [first, end) free, at set-up or while other CPUs allocate. The bits of these frames are zeroes, and
 * no CPU had them before. A whole block costs a few stores.
 */
void bitmap_fill(struct bitmap *b, uint32_t first, uint32_t end);

#endif
