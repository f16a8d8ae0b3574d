/* SPDX-License-Identifier: MIT */
/* Where a zone looks, and in what order. See zone.h; every claim and free is one call into bitmap.c. */
#include "zone.h"

#define WINDOW 16u            /* whole blocks tried while other CPUs take them first */
#define SEARCH_BLOCKS 256u    /* partly used blocks looked at for a run before a whole block is broken */

static unsigned limit_in_block(uint32_t block, uint32_t limit)
{
	uint32_t first = block * BLOCK_FRAMES;

	return limit <= first ? 0 : limit - first < BLOCK_FRAMES ? limit - first : BLOCK_FRAMES;
}

/* Blocks that have a frame below the limit. */
static uint32_t blocks_below(const struct zone *z, uint32_t limit)
{
	uint32_t n = limit / BLOCK_FRAMES + (limit % BLOCK_FRAMES != 0);

	return n < z->map.blocks ? n : z->map.blocks;
}

/* Blocks [first, end), once around from `from`. */
struct around {
	uint32_t first, end, from, pos;
	bool wrapped;
};

static struct around around(uint32_t first, uint32_t end, uint32_t from)
{
	if (from < first || from >= end)
		from = first;
	return (struct around){ first, end, from, from, false };
}

/* The next hinted block, or NO_BLOCK. */
static uint32_t next_around(const struct hints *h, struct around *a)
{
	uint32_t block = hints_next(h, a->pos, a->wrapped ? a->from : a->end);

	if (block == NO_BLOCK && !a->wrapped) {
		a->wrapped = true;
		block = hints_next(h, a->first, a->from);
	}
	if (block != NO_BLOCK)
		a->pos = block + 1;
	return block;
}

static uint32_t next_whole(struct zone *z, struct around *a)
{
	for (;;) {
		uint32_t block = next_around(&z->map.whole, a);

		if (block == NO_BLOCK || bitmap_free_count(&z->map, block) == BLOCK_FRAMES)
			return block;
		bitmap_fix_hints(&z->map, block);
	}
}

/* ---- below order 9 ---- */

static uint32_t claim_at(struct zone *z, uint32_t block, unsigned order, uint32_t limit)
{
	unsigned entry = bitmap_entry(&z->map, block);

	if (!entry_may_have(entry, order))
		return NO_FRAME;
	return bitmap_claim(&z->map, block, order, limit_in_block(block, limit));
}

/* The same if other CPUs hold part of the block. */
static uint32_t claim_near(struct zone *z, uint32_t block, unsigned order, uint32_t limit, bool lasting)
{
	if (block >= blocks_below(z, limit) || bitmap_free_count(&z->map, block) == BLOCK_FRAMES ||
	    zone_is_lasting(z, block) != lasting)
		return NO_FRAME;
	return claim_at(z, block, order, limit);
}

/* Out of partly used blocks that are lasting, or of those that are not. */
static uint32_t claim_some(struct zone *z, unsigned order, uint32_t limit, struct around some, bool lasting,
			   uint32_t *ret_block)
{
	uint32_t block;

	for (unsigned i = 0; i < SEARCH_BLOCKS && (block = next_around(&z->map.some, &some)) != NO_BLOCK;) {
		unsigned entry = bitmap_entry(&z->map, block);
		uint32_t bit;

		/* of these only the entries and the kind are read, so they do not count */
		if (entry_count(entry) && order && entry_hint(entry) < order) {
			some.pos = zone_next_hopeful(z, block, order);
			continue;
		}
		if (zone_is_lasting(z, block) != lasting)
			continue;
		i++;
		bit = claim_at(z, block, order, limit);
		if (bit != NO_FRAME) {
			*ret_block = block;
			return bit;
		}
		if (!bitmap_free_count(&z->map, block))
			bitmap_fix_hints(&z->map, block);
	}
	return NO_FRAME;
}

/* Out of a whole block that no other CPU takes first. */
static uint32_t claim_whole(struct zone *z, unsigned order, uint32_t limit, struct around whole, bool lasting,
			    uint32_t *ret_block)
{
	uint32_t block;

	for (unsigned i = 0; i < WINDOW && (block = next_whole(z, &whole)) != NO_BLOCK; i++) {
		uint32_t bit = claim_at(z, block, order, limit);

		if (bit == NO_FRAME)
			continue;
		zone_set_lasting(z, block, lasting);
		*ret_block = block;
		return bit;
	}
	return NO_FRAME;
}

/* Out of blocks [first, end). */
static uint32_t alloc_small(struct zone *z, unsigned order, uint32_t limit, uint32_t first, uint32_t end,
			    uint32_t *cursor, bool lasting)
{
	struct around from = around(first, end, *cursor);
	uint32_t bit = NO_FRAME;

	if (from.from == *cursor)
		bit = claim_near(z, *cursor, order, limit, lasting);
	if (bit == NO_FRAME)
		bit = claim_some(z, order, limit, from, lasting, cursor);
	if (bit == NO_FRAME)
		bit = claim_whole(z, order, limit, from, lasting, cursor);
	if (bit == NO_FRAME)
		bit = claim_some(z, order, limit, from, !lasting, cursor);
	return bit;
}

/* ---- order 9 and above ---- */

/* Prefers a whole block whose buddy is not whole, so that larger runs stay. */
static unsigned pick_start(uint64_t starts, unsigned run_order)
{
	unsigned nr = 1u << run_order;
	uint64_t lower, alone;

	lower = bits_multiples(run_order + 1);
	alone = starts & ~((starts & lower) << nr | (starts >> nr & lower));
	return bits_lowest(alone ? alone : starts);
}

static void fix_run(struct zone *z, uint32_t block, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (bitmap_free_count(&z->map, block + i) != BLOCK_FRAMES)
			bitmap_fix_hints(&z->map, block + i);
}

/* Runs of up to 32 blocks inside one chunk. */
static uint32_t alloc_in_chunk(struct zone *z, uint32_t chunk, unsigned run_order, uint32_t end)
{
	uint32_t nr = 1u << run_order;
	uint64_t tried = 0;

	for (;;) {
		uint64_t starts = bits_run_starts(hints_word(&z->map.whole, chunk), run_order) & ~tried;
		uint32_t block;
		unsigned at;

		if (!starts)
			return NO_FRAME;
		at = pick_start(starts, run_order);
		block = chunk * CHUNK_BLOCKS + at;
		tried |= (uint64_t)1 << at;
		if (block + nr > end)
			continue;
		if (bitmap_claim_blocks(&z->map, block, nr))
			return block * BLOCK_FRAMES;
		fix_run(z, block, nr);
	}
}

/* Runs of 64 to 512 blocks: every chunk of the run wholly free. */
static uint32_t alloc_chunks(struct zone *z, uint32_t nr, uint32_t first, uint32_t end)
{
	for (uint32_t block = (uint32_t)align_up(first, nr); block + nr <= end; block += nr) {
		uint32_t chunk = block / CHUNK_BLOCKS, i = 0;

		while (i < nr / CHUNK_BLOCKS &&
		       hints_word(&z->map.whole, chunk + i) == bits_below(CHUNK_BLOCKS))
			i++;
		if (i < nr / CHUNK_BLOCKS)
			continue;
		if (bitmap_claim_blocks(&z->map, block, nr))
			return block * BLOCK_FRAMES;
		fix_run(z, block, nr);
	}
	return NO_FRAME;
}

static uint32_t alloc_blocks(struct zone *z, unsigned order, uint32_t first, uint32_t end, uint32_t *cursor)
{
	struct around whole = around(first, end, (uint32_t)align_down(*cursor, CHUNK_BLOCKS));
	uint32_t block;

	if (order - BLOCK_ORDER > CHUNK_ORDER)
		return alloc_chunks(z, 1u << (order - BLOCK_ORDER), first, end);
	while ((block = next_around(&z->map.whole, &whole)) != NO_BLOCK) {
		uint32_t bit = alloc_in_chunk(z, block / CHUNK_BLOCKS, order - BLOCK_ORDER, end);

		if (bit != NO_FRAME) {
			*cursor = bit / BLOCK_FRAMES;
			return bit;
		}
		whole.pos = (uint32_t)align_down(block, CHUNK_BLOCKS) + CHUNK_BLOCKS;
	}
	return NO_FRAME;
}

/* ---- both ---- */

static uint32_t clamp_limit(const struct zone *z, uint32_t limit)
{
	return limit < z->end ? limit : z->end;
}

static uint32_t alloc_in(struct zone *z, unsigned order, uint32_t limit, uint32_t first, uint32_t *cursor,
			 bool lasting)
{
	uint32_t end = limit / BLOCK_FRAMES < z->map.blocks ? limit / BLOCK_FRAMES : z->map.blocks;

	if (order < BLOCK_ORDER)
		return alloc_small(z, order, limit, first, blocks_below(z, limit), cursor, lasting);
	return first < end ? alloc_blocks(z, order, first, end, cursor) : NO_FRAME;
}

static uint32_t alloc_of(struct zone *z, unsigned order, uint32_t limit, uint32_t *cursor, bool lasting)
{
	uint32_t bit = NO_FRAME;

	if (limit < z->end)
		return alloc_in(z, order, limit, 0, cursor, lasting);
	limit = z->map.blocks * BLOCK_FRAMES;
	if (z->scarce)
		bit = alloc_in(z, order, limit, z->scarce, cursor, lasting);
	return bit == NO_FRAME ? alloc_in(z, order, limit, 0, cursor, lasting) : bit;
}

uint32_t zone_alloc(struct zone *z, unsigned order, uint32_t limit, uint32_t *cursor)
{
	return alloc_of(z, order, limit, cursor, false);
}

uint32_t zone_alloc_lasting(struct zone *z, unsigned order, uint32_t limit, uint32_t *cursor)
{
	return alloc_of(z, order, limit, cursor, true);
}

/*
 * May one of the four blocks of a quad have a run of 2^order frames? Acquire: a request that sees no frame
 * here must also see the movement count of the CPU that took them.
 */
static bool may_have(const struct zone *z, uint32_t block, unsigned order)
{
	return quad_may_have(ramka_load(&z->map.quads[block / QUAD_BLOCKS], acquire, count.raise), order);
}

/*
 * Has one of the blocks of the chunk that begins at `block` at least so many free frames? Their entries are
 * one cache line. Acquire: as in may_have.
 */
static bool chunk_has(const struct zone *z, uint32_t block, unsigned count)
{
	uint32_t quad = block / QUAD_BLOCKS, left = (z->map.blocks - block) / QUAD_BLOCKS;
	uint32_t end = quad + (left < CHUNK_BLOCKS / QUAD_BLOCKS ? left : CHUNK_BLOCKS / QUAD_BLOCKS);
	uint64_t any = 0;

	/* the bit above the count appears where the sum is that large; HUGE has a count of 0 */
	for (; quad < end; quad++)
		any |= (ramka_load(&z->map.quads[quad], acquire, count.raise) & QUAD_OF(ENTRY_COUNT)) +
		       QUAD_OF(ENTRY_COUNT + 1 - count);
	return any & QUAD_OF(ENTRY_COUNT + 1);
}

/* Below bit `limit`, in blocks from `first` on, which is a multiple of four. */
static uint32_t exhaust(struct zone *z, unsigned order, uint32_t limit, uint32_t first)
{
	uint32_t nr = order < BLOCK_ORDER ? 1 : 1u << (order - BLOCK_ORDER), bit;
	uint32_t start = (uint32_t)align_up(first, nr);
	unsigned below;

	for (uint32_t block = start;; block += nr) {
		if (block % CHUNK_BLOCKS == 0 || block == start)
			block = (uint32_t)align_up(align_down(zone_next_block(z, block), QUAD_BLOCKS), nr);
		if (block >= z->map.blocks || block * BLOCK_FRAMES >= limit)
			return NO_FRAME;
		if (order >= BLOCK_ORDER && block % CHUNK_BLOCKS == 0 && !chunk_has(z, block, BLOCK_FRAMES)) {
			block += nr < CHUNK_BLOCKS ? CHUNK_BLOCKS - nr : 0;
			continue;
		}
		if (block % QUAD_BLOCKS == 0 && !may_have(z, block, order)) {
			block += nr < QUAD_BLOCKS ? QUAD_BLOCKS - nr : 0;
			continue;
		}
		if (order >= BLOCK_ORDER) {
			if (nr <= z->map.blocks - block && (uint64_t)(block + nr) * BLOCK_FRAMES <= limit &&
			    bitmap_claim_blocks(&z->map, block, nr))
				return block * BLOCK_FRAMES;
			continue;
		}
		below = limit == z->end ? BLOCK_FRAMES : limit_in_block(block, limit);
		bit = !order && below == BLOCK_FRAMES ? bitmap_claim_any(&z->map, block) :
							bitmap_claim(&z->map, block, order, below);
		if (bit != NO_FRAME)
			return bit;
	}
}

uint32_t zone_alloc_exhaustive(struct zone *z, unsigned order, uint32_t limit)
{
	uint32_t bit = NO_FRAME;

	limit = clamp_limit(z, limit);
	if (z->scarce && limit == z->end)
		bit = exhaust(z, order, limit, z->scarce);
	return bit == NO_FRAME ? exhaust(z, order, limit, 0) : bit;
}

static uint64_t missing(const struct zone *z, uint32_t block, uint32_t nr, uint64_t most)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < nr && n <= most; i++)
		n += BLOCK_FRAMES - bitmap_free_count(&z->map, block + i);
	return n;
}

bool zone_lacks_at_most(const struct zone *z, uint32_t nr, uint64_t most)
{
	/* that every block of the run must have */
	unsigned count = most < BLOCK_FRAMES ? (unsigned)(BLOCK_FRAMES - most) : 0;

	for (uint32_t block = 0; nr && block + nr <= z->map.blocks; block += nr) {
		if (block % CHUNK_BLOCKS == 0)
			block = (uint32_t)align_up(align_down(zone_next_block(z, block), QUAD_BLOCKS), nr);
		if (block + nr > z->map.blocks)
			break;
		if (block % CHUNK_BLOCKS == 0 && !chunk_has(z, block, count))
			block += nr < CHUNK_BLOCKS ? CHUNK_BLOCKS - nr : 0;
		else if (missing(z, block, nr, most) <= most)
			return true;
	}
	return false;
}

bool zone_free(struct zone *z, uint32_t bit, unsigned order)
{
	if (order < BLOCK_ORDER)
		return bitmap_free(&z->map, bit, order);
	return bitmap_free_blocks(&z->map, bit / BLOCK_FRAMES, 1u << (order - BLOCK_ORDER));
}

/* ---- ranges ---- */

/* The part of [first, first + nr) that lies in the word of `first`. */
static uint64_t part_of_word(uint32_t first, uint32_t nr, uint32_t *ret_n)
{
	uint32_t n = WORD_BITS - first % WORD_BITS;

	*ret_n = n < nr ? n : nr;
	return bits_below(*ret_n) << (first % WORD_BITS);
}

bool zone_free_range(struct zone *z, uint32_t first, uint32_t nr)
{
	bool ok = true;
	uint32_t n;

	for (; nr; first += n, nr -= n) {
		uint64_t mask = part_of_word(first, nr, &n);

		ok &= bitmap_free_mask(&z->map, first / WORD_BITS, mask) != 0;
	}
	return ok;
}

bool zone_give_back(struct zone *z, uint32_t first, uint32_t nr)
{
	bool ok = zone_free_range(z, first, nr);

	ramka_add(&z->map.returned, 1, release, nomem.collect);
	return ok;
}

bool zone_claim_range(struct zone *z, uint32_t first, uint32_t nr)
{
	uint32_t done = 0, n;

	for (; done < nr; done += n) {
		uint32_t at = first + done;
		uint64_t mask = part_of_word(at, nr - done, &n);

		if (at % BLOCK_FRAMES == 0 && nr - done >= BLOCK_FRAMES &&
		    bitmap_claim_blocks(&z->map, at / BLOCK_FRAMES, 1)) {
			bitmap_open_block(&z->map, at / BLOCK_FRAMES);
			n = BLOCK_FRAMES;
		} else if (!bitmap_claim_mask(&z->map, at / WORD_BITS, mask)) {
			zone_give_back(z, first, done);
			return false;
		}
	}
	return true;
}

/* Frames from `bit` on that are free, up to `nr`. */
static uint32_t free_run(const struct zone *z, uint32_t bit, uint32_t nr)
{
	uint32_t done = 0;

	while (done < nr) {
		uint32_t at = bit + done, word = at / WORD_BITS;
		uint64_t used;

		if (bitmap_free_count(&z->map, at / BLOCK_FRAMES) == 0)
			return done;
		used = ~ramka_load(&z->map.words[word], relaxed, bit.look) & ~bits_below(at % WORD_BITS);
		if (used) {
			done += bits_lowest(used) - at % WORD_BITS;
			break;
		}
		done += WORD_BITS - at % WORD_BITS;
	}
	return done < nr ? done : nr;
}

/*
 * The next bit whose frame number is aligned. Bit 0 is aligned for all orders that fit into the zone, and for
 * no larger one.
 */
static uint64_t aligned_bit(const struct zone *z, uint64_t bit, uint64_t align)
{
	return align_up(z->origin + bit, align) - z->origin;
}

uint32_t zone_find_range(const struct zone *z, uint32_t nr, unsigned align_order, uint32_t limit,
			 uint32_t from)
{
	uint64_t align = (uint64_t)1 << align_order,
		 bit = aligned_bit(z, from > z->low ? from : z->low, align);

	limit = clamp_limit(z, limit);
	while (bit + nr <= limit) {
		uint32_t run = free_run(z, (uint32_t)bit, nr);

		if (run == nr)
			return (uint32_t)bit;
		/* neither this block nor a hole has a free frame */
		if (bitmap_free_count(&z->map, (uint32_t)(bit + run) / BLOCK_FRAMES) == 0)
			bit = aligned_bit(
				z,
				(uint64_t)zone_next_block(z, (uint32_t)(bit + run) / BLOCK_FRAMES + 1) *
					BLOCK_FRAMES,
				align);
		else
			bit = aligned_bit(z, bit + run + 1, align);
	}
	return NO_FRAME;
}

void zone_split(struct zone *z, uint32_t bit, unsigned old_order, unsigned order)
{
	if (old_order < BLOCK_ORDER || order >= BLOCK_ORDER)
		return;
	for (uint32_t i = 0; i < 1u << (old_order - BLOCK_ORDER); i++)
		bitmap_open_block(&z->map, bit / BLOCK_FRAMES + i);
}

void zone_join(struct zone *z, uint32_t bit, unsigned old_order, unsigned order)
{
	if (order < BLOCK_ORDER || old_order >= BLOCK_ORDER)
		return;
	for (uint32_t i = 0; i < 1u << (order - BLOCK_ORDER); i++)
		bitmap_close_block(&z->map, bit / BLOCK_FRAMES + i);
}

uint64_t zone_count_free(const struct zone *z)
{
	uint64_t n = 0;

	for (uint32_t block = zone_next_block(z, 0); block < z->map.blocks;
	     block = zone_next_block(z, block + 1)) {
		unsigned entry = bitmap_entry(&z->map, block);

		n += entry_count(entry);
	}
	return n;
}
