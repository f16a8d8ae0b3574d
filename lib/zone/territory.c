/* SPDX-License-Identifier: MIT */
/* Which block a CPU takes from. The order of preference, and what an owner word means: territory.h. */
#include "territory.h"

#define MIN_SHIFT 2u           /* one quad */
#define SHARES 8u              /* territories that a CPU gets at set-up, if there are enough */
#define TERRITORY_WINDOW 128u  /* partly used blocks compared before one is picked */
#define ENOUGH 16u             /* free frames that make a refill worth its read-modify-writes */
#define SIDE_BY_SIDE 16u       /* territories in a row that a search passes in one go */
#define SKIPS_MAX 15u          /* picks that take a whole block since the last searches found no other */

unsigned territory_shift(uint32_t blocks, unsigned nr_cpus)
{
	unsigned shift = MIN_SHIFT;

	while ((uint64_t)nr_cpus * SHARES << (shift + 1) <= blocks)
		shift++;
	return shift;
}

static uint32_t word_of(const struct zone *z, uint32_t t)
{
	return ramka_load(&z->owners[t], relaxed, territory);
}

static bool change_owner(struct zone *z, uint32_t t, uint32_t from, uint32_t to)
{
	return ramka_cas(&z->owners[t], &from, to, relaxed, territory);
}

struct territory_range territory_give(struct zone *z, uint32_t cpu, uint32_t nth, uint32_t nr)
{
	/* what lies below is scarce or a hole */
	uint32_t begin = (z->scarce ? z->scarce : z->low / BLOCK_FRAMES) >> z->territory_shift;
	uint64_t shared = z->nr_territories - begin;
	uint32_t first = begin + (uint32_t)(shared * nth / nr);
	uint32_t end = begin + (uint32_t)(shared * (nth + 1) / nr);

	for (uint32_t t = first; t < end; t++)
		ramka_store(&z->owners[t], cpu + 1, relaxed, territory);
	return (struct territory_range){ .first = first, .end = end,
					 .next = { NO_BLOCK, NO_BLOCK, NO_BLOCK } };
}

void territory_set_scarce(struct zone *z, uint32_t limit)
{
	uint32_t below = limit / BLOCK_FRAMES >> z->territory_shift;

	if (limit <= z->low || limit >= z->end || z->end - limit < limit - z->low)
		return;
	for (uint32_t t = 0; t < below; t++)
		ramka_store(&z->owners[t], OWNER_SCARCE, relaxed, territory);
	z->scarce = below << z->territory_shift;
}

void territory_leave(struct zone *z, uint32_t me)
{
	for (uint32_t t = 0; t < z->nr_territories; t++) {
		uint32_t owner = word_of(z, t);

		if ((owner & OWNER_MASK) == me)
			change_owner(z, t, owner, OWNER_NONE);
	}
}

void territory_move(struct zone *z, uint32_t me, uint32_t from, uint32_t to)
{
	if (from != NO_BLOCK)
		change_owner(z, from >> z->territory_shift, me | OWNER_ACTIVE, me);
	if (to != NO_BLOCK)
		change_owner(z, to >> z->territory_shift, me, me | OWNER_ACTIVE);
}

/* ---- looking ---- */

/* Which blocks are meant: zone.h, lifetimes. */
enum lifetime { ORDINARY, LASTING, EITHER };

static uint64_t of_lifetime(const struct zone *z, uint32_t chunk, enum lifetime life)
{
	uint64_t lasting;

	if (life == EITHER)
		return ~(uint64_t)0;
	lasting = zone_lasting_word(z, chunk);
	return life == LASTING ? lasting : ~lasting;
}

/* The next hinted block of [from, end). */
static uint32_t next_in(const struct zone *z, const struct hints *h, enum lifetime life, uint32_t from,
			uint32_t end)
{
	while (from < end) {
		uint32_t chunk = from / CHUNK_BLOCKS;
		uint64_t w = hints_word(h, chunk) & of_lifetime(z, chunk, life);

		w &= ~bits_below(from % CHUNK_BLOCKS);
		if (w) {
			from = chunk * CHUNK_BLOCKS + bits_lowest(w);
			break;
		}
		from = hints_next(h, (chunk + 1) * CHUNK_BLOCKS, end);
	}
	return from < end ? from : NO_BLOCK;
}

/* The best of the partly used blocks seen so far. */
struct window {
	enum lifetime life;
	bool emptiest; /* that one is wanted, not the densest that has enough */
	unsigned seen, sparse_count;
	uint32_t sparse;
	/* the densest that have enough, in this order */
	struct { uint32_t block, count; } best[1 + NEXT_BEST];
};

#define NONE_YET { NO_BLOCK, BLOCK_FRAMES }
static const struct window nothing_seen = {
	.sparse = NO_BLOCK, .best = { NONE_YET, NONE_YET, NONE_YET, NONE_YET }
};

static struct window window(enum lifetime life, bool emptiest)
{
	struct window w = nothing_seen;

	w.life = life;
	w.emptiest = emptiest;
	return w;
}

static bool window_full(const struct window *w)
{
	return w->seen >= TERRITORY_WINDOW;
}

/* A block with enough free frames: is it one of the densest? */
static void compare(struct window *w, uint32_t block, unsigned count)
{
	unsigned i = NEXT_BEST;

	if (likely(count >= w->best[i].count))
		return;
	for (; i && count < w->best[i - 1].count; i--)
		w->best[i] = w->best[i - 1];
	w->best[i].block = block;
	w->best[i].count = count;
}

/* False: the block has no run of the order. */
static bool look_at(struct zone *z, struct window *w, unsigned order, uint32_t block)
{
	unsigned entry = bitmap_entry(&z->map, block), count = entry_count(entry);

	if (!count || count == BLOCK_FRAMES) {
		bitmap_fix_hints(&z->map, block);
		return true;
	}
	if (!entry_may_have(entry, order))
		return false;
	w->seen++;
	if (count >= ENOUGH && !w->emptiest) {
		compare(w, block, count);
	} else if (count > w->sparse_count) {
		w->sparse = block;
		w->sparse_count = count;
	}
	return true;
}

static void look(struct zone *z, struct window *w, unsigned order, uint32_t from, uint32_t end)
{
	while (from < end && !window_full(w)) {
		uint32_t chunk = from / CHUNK_BLOCKS, base = chunk * CHUNK_BLOCKS;
		uint64_t some = hints_word(&z->map.some, chunk) & of_lifetime(z, chunk, w->life);

		some &= ~bits_below(from % CHUNK_BLOCKS);
		if (end - base < CHUNK_BLOCKS)
			some &= bits_below(end - base);
		while (some && !window_full(w)) {
			uint32_t block = base + bits_lowest(some);
			bool seen = look_at(z, w, order, block);

			some &= ~bits_below((seen ? block + 1 : zone_next_hopeful(z, block, order)) - base);
		}
		from = hints_next(&z->map.some, base + CHUNK_BLOCKS, end);
	}
}

static uint32_t best_of(const struct window *w)
{
	return w->best[0].block != NO_BLOCK ? w->best[0].block : w->sparse;
}

static uint32_t whole_in(struct zone *z, uint32_t from, uint32_t end)
{
	while ((from = next_in(z, &z->map.whole, EITHER, from, end)) != NO_BLOCK) {
		if (bitmap_free_count(&z->map, from) == BLOCK_FRAMES)
			return from;
		bitmap_fix_hints(&z->map, from++);
	}
	return NO_BLOCK;
}

/* ---- own territories ---- */

/* Blocks of territories in a row. */
struct blocks { uint32_t first, end; };

static bool is_own(const struct zone *z, uint32_t t, uint32_t me)
{
	return (word_of(z, t) & OWNER_MASK) == me;
}

/*
 * Steps over the caller's territories, once around: from block `from` on, and in the last turn up to it. *i
 * counts territories and starts at 0. False at the end.
 */
static bool next_own(const struct zone *z, uint32_t me, const struct territory_range *own, uint32_t from,
		     uint32_t *i, struct blocks *ret)
{
	uint32_t nr = own->end - own->first, start = from >> z->territory_shift;

	if (start - own->first >= nr) {
		start = own->first;
		from = start << z->territory_shift;
	}
	for (; nr && *i <= nr; ++*i) {
		uint32_t t = start + *i < own->end ? start + *i : start + *i - nr;

		if (!is_own(z, t, me))
			continue;
		ret->first = *i ? t << z->territory_shift : from;
		for (uint32_t most = *i + SIDE_BY_SIDE;
		     *i + 1 < nr && *i + 1 < most && t + 1 < own->end && is_own(z, t + 1, me); t++)
			++*i;
		ret->end = *i == nr ? from : (t + 1) << z->territory_shift;
		if (ret->end > z->map.blocks)
			ret->end = z->map.blocks;
		++*i;
		return true;
	}
	return false;
}

static void look_own(struct zone *z, struct window *w, uint32_t me, const struct territory_range *own,
		     unsigned order, uint32_t from)
{
	struct blocks p;
	uint32_t i = 0;

	while (!window_full(w) && next_own(z, me, own, from, &i, &p))
		look(z, w, order, p.first, p.end);
}

/* Is a block that an earlier search saw still one to pick? */
static bool still_fits(const struct zone *z, uint32_t me, unsigned order, uint32_t block)
{
	unsigned entry = block < z->map.blocks ? bitmap_entry(&z->map, block) : 0, count = entry_count(entry);

	return count >= ENOUGH && count < BLOCK_FRAMES && entry_may_have(entry, order) &&
	       is_own(z, block >> z->territory_shift, me) &&
	       of_lifetime(z, block / CHUNK_BLOCKS, ORDINARY) >> (block % CHUNK_BLOCKS) & 1;
}

/*
 * What the last search saw serves the next ones, so a window is searched once for four blocks. Not for base
 * frames: a block has hundreds of them, and which block it is decides how much memory stays whole.
 */
static uint32_t pick_seen(const struct zone *z, uint32_t me, struct territory_range *own, unsigned order)
{
	for (unsigned i = 0; order && i < NEXT_BEST; i++) {
		uint32_t block = own->next[i];

		own->next[i] = NO_BLOCK;
		if (still_fits(z, me, order, block))
			return block;
	}
	return NO_BLOCK;
}

/* The densest partly used block of the caller's territories. */
static uint32_t densest_own(struct zone *z, enum lifetime life, uint32_t me, struct territory_range *own,
			    unsigned order, uint32_t from)
{
	struct window w = window(life, false);

	look_own(z, &w, me, own, order, from);
	/* where few blocks are partly used, to look at them is cheap, and the densest one counts */
	if (order && life == ORDINARY && window_full(&w))
		for (unsigned n = 0; n < NEXT_BEST; n++)
			own->next[n] = w.best[1 + n].block;
	return best_of(&w);
}

/* A search for a run of the order has ended. While CPUs only allocate, it finds nothing for a long time. */
static void note_search(struct territory_range *own, unsigned order, bool found)
{
	own->skips_next = found ? 0 : own->skips_next < SKIPS_MAX ? own->skips_next * 2 + 1 : SKIPS_MAX;
	own->skips = own->skips_next;
	own->none_of = order;
}

static uint32_t whole_own(struct zone *z, uint32_t me, const struct territory_range *own, uint32_t from)
{
	uint32_t i = 0, block = NO_BLOCK;
	struct blocks p;

	while (block == NO_BLOCK && next_own(z, me, own, from, &i, &p))
		block = whole_in(z, p.first, p.end);
	return block;
}

static uint32_t pick_own(struct zone *z, enum lifetime life, uint32_t me, struct territory_range *own,
			 unsigned order, uint32_t from)
{
	uint32_t block = NO_BLOCK;

	if (life == ORDINARY && own->skips && order >= own->none_of) {
		own->skips--;
		block = whole_own(z, me, own, from);
		if (block != NO_BLOCK)
			return block;
	}
	block = densest_own(z, life, me, own, order, from);
	if (life == ORDINARY)
		note_search(own, order, block != NO_BLOCK);
	return block != NO_BLOCK ? block : whole_own(z, me, own, from);
}

/* ---- other territories ---- */

/*
 * May the caller adopt it, since no CPU takes from it? `unowned`: one without an owner; else one of another
 * owner.
 */
static bool adoptable(uint32_t owner, uint32_t me, bool unowned)
{
	if (unowned)
		return owner == OWNER_NONE;
	return !(owner & OWNER_ACTIVE) && owner != me && owner != OWNER_SCARCE && owner != OWNER_NONE;
}

static void add_to(struct territory_range *own, uint32_t t)
{
	if (own->first == own->end)
		own->first = own->end = t;
	own->first = t < own->first ? t : own->first;
	own->end = t < own->end ? own->end : t + 1;
}

/* Adopts a territory in which `find` succeeds. Returns the block, or NO_BLOCK. */
static uint32_t adopt(struct zone *z, uint32_t me, struct territory_range *own, uint32_t from, unsigned order,
		      uint32_t (*find)(struct zone *z, unsigned order, uint32_t first, uint32_t end))
{
	uint32_t start = from >> z->territory_shift;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < z->nr_territories; i++) {
			uint32_t t = start + i < z->nr_territories ? start + i :
								     start + i - z->nr_territories;
			uint32_t owner = word_of(z, t), first = t << z->territory_shift,
				 end = (t + 1) << z->territory_shift, block;

			if (!adoptable(owner, me, pass == 0))
				continue;
			block = find(z, order, first, end < z->map.blocks ? end : z->map.blocks);
			if (block != NO_BLOCK && change_owner(z, t, owner, me)) {
				add_to(own, t);
				return block;
			}
		}
	}
	return NO_BLOCK;
}

static uint32_t find_whole(struct zone *z, unsigned order, uint32_t first, uint32_t end)
{
	(void)order;
	return whole_in(z, first, end);
}

static uint32_t find_some(struct zone *z, unsigned order, uint32_t first, uint32_t end)
{
	struct window w = nothing_seen;

	look(z, &w, order, first, end);
	return best_of(&w);
}

/* Any block of [first, end), from `from` on. */
static uint32_t pick_shared(struct zone *z, enum lifetime life, unsigned order, uint32_t from, uint32_t first,
			    uint32_t end)
{
	struct window w = window(life, false);
	uint32_t block;

	if (from < first || from >= end)
		from = first;
	look(z, &w, order, from, end);
	look(z, &w, order, first, from);
	block = best_of(&w);
	if (block == NO_BLOCK)
		block = whole_in(z, from, end);
	return block == NO_BLOCK ? whole_in(z, first, from) : block;
}

uint32_t territory_pick(struct zone *z, uint32_t me, struct territory_range *own, unsigned order,
			uint32_t from)
{
	uint32_t block = NO_BLOCK;

	if (from >= z->map.blocks)
		from = 0;
	if (me != OWNER_NONE) {
		block = pick_seen(z, me, own, order);
		if (block == NO_BLOCK)
			block = pick_own(z, ORDINARY, me, own, order, from);
		if (block == NO_BLOCK)
			block = adopt(z, me, own, from, order, find_whole);
		if (block == NO_BLOCK)
			block = adopt(z, me, own, from, order, find_some);
	}
	if (block == NO_BLOCK)
		block = pick_shared(z, ORDINARY, order, from, z->scarce, z->map.blocks);
	if (block == NO_BLOCK)
		block = pick_shared(z, LASTING, order, from, z->scarce, z->map.blocks);
	if (block == NO_BLOCK)
		block = pick_shared(z, EITHER, order, from, 0, z->scarce);
	if (block != NO_BLOCK && bitmap_free_count(&z->map, block) == BLOCK_FRAMES)
		zone_set_lasting(z, block, false);
	return block;
}

static uint32_t emptiest_own(struct zone *z, uint32_t me, const struct territory_range *own, unsigned order,
			     uint32_t from)
{
	struct window w = window(ORDINARY, true);

	look_own(z, &w, me, own, order, from);
	return best_of(&w);
}

uint32_t territory_pick_lasting(struct zone *z, uint32_t me, struct territory_range *own, unsigned order,
				uint32_t from)
{
	uint32_t block = NO_BLOCK;

	if (from >= z->map.blocks)
		from = 0;
	if (me != OWNER_NONE) {
		block = pick_own(z, LASTING, me, own, order, from);
		if (block == NO_BLOCK)
			block = adopt(z, me, own, from, order, find_whole);
	}
	if (block == NO_BLOCK)
		block = pick_shared(z, LASTING, order, from, z->scarce, z->map.blocks);
	if (block == NO_BLOCK && me != OWNER_NONE)
		block = emptiest_own(z, me, own, order, from);
	if (block == NO_BLOCK)
		return territory_pick(z, me, own, order, from);
	zone_set_lasting(z, block, true);
	return block;
}

/* ---- whole blocks ---- */

/*
 * Runs of `nr` blocks, 1 or 2, in a word of whole hints. It prefers those whose buddy is not whole, so that
 * larger runs stay.
 */
static uint64_t runs_of(uint64_t w, unsigned nr)
{
	uint64_t alone, pairs = w & w >> 1 & bits_multiples(1), quads;

	if (nr == 1) {
		alone = w & ~(pairs | pairs << 1);
		return alone ? alone : w;
	}
	quads = pairs & pairs >> 2 & bits_multiples(2);
	alone = pairs & ~(quads | quads << 2);
	pairs = alone ? alone : pairs;
	return pairs | pairs << 1;
}

/* The first `most` runs of `nr` blocks of a quad. */
static unsigned first_runs(unsigned mask, unsigned nr, unsigned most)
{
	unsigned run = (1u << nr) - 1, kept = 0;

	for (unsigned i = 0; i < QUAD_BLOCKS && most; i += nr)
		if ((mask >> i & run) == run) {
			kept |= run << i;
			most--;
		}
	return kept;
}

/* Takes runs out of the first chunk that has some; how many. */
static uint32_t take_blocks_in(struct zone *z, unsigned nr, uint32_t most, uint32_t first, uint32_t end,
			       uint32_t *ret_blocks)
{
	uint32_t n = 0;

	for (uint32_t block = first; (block = next_in(z, &z->map.whole, EITHER, block, end)) != NO_BLOCK;) {
		uint32_t chunk = block / CHUNK_BLOCKS, base = chunk * CHUNK_BLOCKS;
		uint64_t w = hints_word(&z->map.whole, chunk), claimed = 0;

		if (base < first)
			w &= ~bits_below(first - base);
		if (base + CHUNK_BLOCKS > end)
			w &= bits_below(end - base);
		w = runs_of(w, nr);
		while (w && n < most) {
			unsigned at = bits_lowest(w) & ~(QUAD_BLOCKS - 1), got;
			unsigned want = (unsigned)(w >> at) & 0xf;

			if (most - n < QUAD_BLOCKS)
				want = first_runs(want, nr, most - n);
			got = bitmap_claim_quad(&z->map, (base + at) / QUAD_BLOCKS, want, nr);
			for (unsigned i = 0; i < QUAD_BLOCKS && !got; i++)
				if (bitmap_free_count(&z->map, base + at + i) != BLOCK_FRAMES)
					bitmap_fix_hints(&z->map, base + at + i);
			claimed |= (uint64_t)got << at;
			for (got &= (unsigned)bits_multiples(nr - 1); got; got &= got - 1)
				ret_blocks[n++] = base + at + bits_lowest(got);
			w &= ~((uint64_t)0xf << at);
		}
		if (n) {
			bitmap_unhint(&z->map, chunk, claimed);
			return n;
		}
		block = base + CHUNK_BLOCKS;
	}
	return 0;
}

/* The first of 1 or 2 whole blocks, by the order. */
static uint32_t find_blocks(struct zone *z, unsigned order, uint32_t first, uint32_t end)
{
	uint32_t block;

	for (block = first; (block = whole_in(z, block, end)) != NO_BLOCK; block++)
		if (order == BLOCK_ORDER ||
		    (block % 2 == 0 && bitmap_free_count(&z->map, block + 1) == BLOCK_FRAMES))
			return block;
	return NO_BLOCK;
}

uint32_t territory_take_blocks(struct zone *z, uint32_t me, struct territory_range *own, unsigned nr,
			       uint32_t most, uint32_t *at, uint32_t *ret_blocks)
{
	uint32_t from = *at < z->map.blocks ? (uint32_t)align_down(*at, QUAD_BLOCKS) : 0;
	uint32_t got = 0, i = 0, block;
	struct blocks p;

	while (!got && me != OWNER_NONE && next_own(z, me, own, from, &i, &p))
		got = take_blocks_in(z, nr, most, p.first, p.end, ret_blocks);
	if (!got && me != OWNER_NONE) {
		block = adopt(z, me, own, from, BLOCK_ORDER + nr - 1, find_blocks);
		if (block != NO_BLOCK) {
			block = (uint32_t)align_down(block, (uint64_t)1 << z->territory_shift);
			got = take_blocks_in(z, nr, most, block, block + (1u << z->territory_shift),
					     ret_blocks);
		}
	}
	if (!got)
		got = take_blocks_in(z, nr, most, z->scarce, z->map.blocks, ret_blocks);
	if (!got)
		got = take_blocks_in(z, nr, most, 0, z->scarce, ret_blocks);
	if (got)
		*at = ret_blocks[got - 1];
	return got;
}
