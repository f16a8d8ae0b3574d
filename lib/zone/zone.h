/* SPDX-License-Identifier: MIT */
/*
 * A zone: the memory of one node as one range of frame numbers with a bitmap. Policy lives here: which block
 * to take from, in which order to look. Protocol lives in bitmap.c. May use bitmap.h. Frames are named by
 * their bit, relative to the zone's aligned start. A zone knows nothing of slots and CPUs.
 *
 * Policy: first the caller's block; then the densest of a window of partly used blocks, so that sparse ones
 * drain; a whole block last. Searches go by hints and visit a bounded number of blocks. Only the exhaustive
 * pass, which precedes every "no memory", looks at each block entry.
 */
#ifndef RAMKA_LIB_ZONE_ZONE_H
#define RAMKA_LIB_ZONE_ZONE_H

#include "../base/sparse.h"
#include "bitmap.h"

struct zone {
	struct bitmap map;
	/* blocks that have memory; the others are holes, and their words must not be read */
	struct sparse present;
	/* frame number of bit 0, so aligned that bits and frames agree on every order that fits */
	uint64_t origin;
	uint32_t low, end;   /* bits of the first frame and past the last one */
	uint32_t node;
	/* no other zone's range overlaps this one, so the range alone decides which zone a frame is of */
	bool exclusive;
	uint32_t territory_shift, nr_territories; /* territory.h */
	uint32_t scarce;     /* blocks below it are taken last */
	struct ramka_atomic_u32 *owners;          /* a word for each territory */
	struct ramka_atomic_u32 is_low;           /* its memory is low, and that was told (cpu/account.h) */
	struct ramka_atomic_u64 *lasting;         /* a bit for each block, see below */
	/* all CPUs write these now and then; each is on a line of its own */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 usable; /* frames ever given to the allocator */
	/* of these, the ones outside the bitmap: an estimate, which each CPU updates in batches */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 taken;
};

#define NO_LIMIT UINT32_MAX

/*
 * An aligned run of 2^order frames below bit `limit`: its first bit or NO_FRAME. *cursor: block to start
 * from, updated.
 */
uint32_t zone_alloc(struct zone *z, unsigned order, uint32_t limit, uint32_t *cursor);
/* The same for a frame that lasts: prefers lasting blocks, which zone_alloc leaves for last. */
uint32_t zone_alloc_lasting(struct zone *z, unsigned order, uint32_t limit, uint32_t *cursor);
/* zone_alloc that believes no hint. */
uint32_t zone_alloc_exhaustive(struct zone *z, unsigned order, uint32_t limit);
/* Is there an aligned run of `nr` blocks that lacks at most so many base frames to be whole? */
bool zone_lacks_at_most(const struct zone *z, uint32_t nr, uint64_t most);
bool zone_free(struct zone *z, uint32_t bit, unsigned order);

/* Ranges of any length, for segments and late memory. */
bool zone_claim_range(struct zone *z, uint32_t first, uint32_t nr);
bool zone_free_range(struct zone *z, uint32_t first, uint32_t nr);
/* The same for frames that a claim took and does not need. It is counted as a movement. */
bool zone_give_back(struct zone *z, uint32_t first, uint32_t nr);
uint32_t zone_find_range(const struct zone *z, uint32_t nr, unsigned align_order, uint32_t limit,
			 uint32_t from);
/* Makes frames of `order`, which can be freed one by one, of a frame that was claimed as a whole. */
void zone_split(struct zone *z, uint32_t bit, unsigned old_order, unsigned order);
/* The reverse: the owner of all parts makes one frame of `order` of them. */
void zone_join(struct zone *z, uint32_t bit, unsigned old_order, unsigned order);

/* The first block from `block` on that is no hole, or the number of blocks. */
static inline uint32_t zone_next_block(const struct zone *z, uint32_t block)
{
	return (uint32_t)sparse_next(&z->present, block, z->map.blocks);
}

/*
 * Where a search for a run of 2^order frames, order below 9, goes on that found none in `block`: a block
 * behind it in whose quad one may be, at the latest the first block of the next chunk.
 */
static inline uint32_t zone_next_hopeful(const struct zone *z, uint32_t block, unsigned order)
{
	uint32_t at = (uint32_t)align_down(block, QUAD_BLOCKS);

	do {
		if (quad_may_have(ramka_load(&z->map.quads[at / QUAD_BLOCKS], relaxed, count.look), order))
			return at > block ? at : block + 1;
		at += QUAD_BLOCKS;
	} while (at % CHUNK_BLOCKS && at < z->map.blocks);
	return at;
}

/*
 * ---- lifetimes ----
 *
 * A block is *lasting* once a request for a long-lived frame (RAMKA_ALLOC_LONG) chose it. Such requests
 * take from lasting blocks, all others from the rest, as long as each finds something there. So frames that
 * live long lie together and do not keep other blocks from becoming whole. A block that is wholly free
 * belongs to no side: its bit is what its next user makes it.
 *
 * The bit is advice, as an owner word is (territory.h): every claim and every free is right whatever it
 * says. Pair: territory.
 */
static inline uint32_t zone_chunks(uint32_t blocks) /* words of such bits */
{
	return (blocks + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;
}

static inline uint64_t zone_lasting_word(const struct zone *z, uint32_t chunk)
{
	return ramka_load(&z->lasting[chunk], relaxed, territory);
}

static inline bool zone_is_lasting(const struct zone *z, uint32_t block)
{
	return zone_lasting_word(z, block / CHUNK_BLOCKS) >> (block % CHUNK_BLOCKS) & 1;
}

static inline void zone_set_lasting(struct zone *z, uint32_t block, bool lasting)
{
	uint64_t bit = (uint64_t)1 << (block % CHUNK_BLOCKS);

	if (zone_is_lasting(z, block) == lasting)
		return;
	if (lasting)
		ramka_or(&z->lasting[block / CHUNK_BLOCKS], bit, relaxed, territory);
	else
		ramka_and(&z->lasting[block / CHUNK_BLOCKS], ~bit, relaxed, territory);
}

/* Do the hints say that nothing is free here? Then no search by hints finds anything. */
static inline bool zone_seems_empty(const struct zone *z)
{
	return hints_next(&z->map.some, 0, z->map.blocks) == NO_BLOCK &&
	       hints_next(&z->map.whole, 0, z->map.blocks) == NO_BLOCK;
}

/* Free frames by the block entries: exact at quiescence. */
uint64_t zone_count_free(const struct zone *z);

/* Frames that a request may get, about: not those of shut blocks. */
static inline uint64_t zone_estimate_free(const struct zone *z)
{
	uint64_t usable = ramka_load(&z->usable, relaxed, stat);
	uint64_t out = ramka_load(&z->taken, relaxed, stat) + ramka_load(&z->map.isolated, relaxed, stat);

	return (int64_t)out < 0 ? usable : out > usable ? 0 : usable - out;
}

#endif
