/* SPDX-License-Identifier: MIT */
/* lib/zone/zone.c alone: orders, limits, policy, ranges, and the pass that believes no hint. */
#include "fixture.h"
#include "zone/zones.h"

/* A zone of frames [first, end), as init.c lays one out: bit 0 is aligned so that bits and frame numbers agree. */
static struct zone *zone_new(uint64_t first, uint64_t end)
{
	struct zone *z = calloc(1, sizeof(*z));
	unsigned order = 11;
	struct ramka_atomic_u64 *memory;
	size_t hints;

	assert_non_null(z);
	while (order < RAMKA_MAX_ORDER && first >> order != (end - 1) >> order)
		order++;
	z->origin = align_down(first, UINT64_C(1) << order);
	z->low = (uint32_t)(first - z->origin);
	z->end = (uint32_t)(end - z->origin);
	z->map.blocks = (uint32_t)align_up(z->end, BLOCK_FRAMES * QUAD_BLOCKS) / BLOCK_FRAMES;
	hints = hints_size(z->map.blocks);
	z->territory_shift = territory_shift(z->map.blocks, 1);
	z->nr_territories = territory_count(z->map.blocks, z->territory_shift);
	memory = calloc((size_t)z->map.blocks * BLOCK_WORDS + z->map.blocks / QUAD_BLOCKS + 2 * hints + z->nr_territories +
			zone_chunks(z->map.blocks) + sparse_words(z->map.blocks), sizeof(*memory));
	assert_non_null(memory);
	z->map.words = memory;
	z->map.quads = memory + (size_t)z->map.blocks * BLOCK_WORDS;
	hints_init(&z->map.some, z->map.quads + z->map.blocks / QUAD_BLOCKS, z->map.blocks);
	hints_init(&z->map.whole, z->map.quads + z->map.blocks / QUAD_BLOCKS + hints, z->map.blocks);
	z->owners = (void *)(z->map.quads + z->map.blocks / QUAD_BLOCKS + 2 * hints);
	z->lasting = z->map.quads + z->map.blocks / QUAD_BLOCKS + 2 * hints + z->nr_territories;
	sparse_init(&z->present, z->lasting + zone_chunks(z->map.blocks), z->map.blocks);
	assert_true(zone_open(z, z->low, z->end, true));
	bitmap_fill(&z->map, z->low, z->end);
	return z;
}

static void zone_delete(struct zone *z)
{
	free(z->map.words);
	free(z);
}

static uint64_t most(const struct zone *z, unsigned order, uint32_t limit)
{
	uint64_t first = align_up(z->origin + z->low, UINT64_C(1) << order) - z->origin, end = z->end < limit ? z->end : limit;

	return first < end ? (end - first) >> order : 0;
}

static void hands_out_every_order(void **state)
{
	static const uint64_t ends[] = { 2048, 5000, 4096 + 511, 8192, 3 * 4096 };

	(void)state;
	for (unsigned i = 0; i < NELEMS(ends); i++)
		for (unsigned order = 0; order <= 13; order++) {
			struct zone *z = zone_new(i * 64 + 3, ends[i]);
			uint64_t all = zone_count_free(z), n = 0;
			uint32_t cursor = 0, bit;

			while ((bit = zone_alloc(z, order, NO_LIMIT, &cursor)) != NO_FRAME) {
				assert_true(bit >= z->low && bit + (1u << order) <= z->end);
				assert_int_equal((z->origin + bit) % (UINT64_C(1) << order), 0);
				n++;
			}
			assert_int_equal(n, most(z, order, NO_LIMIT));
			assert_int_equal(zone_alloc_exhaustive(z, order, NO_LIMIT), NO_FRAME);
			assert_int_equal(zone_count_free(z), all - (n << order));
			zone_delete(z);
		}
}

static void the_largest_order(void **state)
{
	struct zone *z = zone_new(0, 2u << RAMKA_MAX_ORDER);
	uint32_t cursor = 0;

	(void)state;
	for (unsigned order = BLOCK_ORDER; order <= RAMKA_MAX_ORDER; order++) {
		uint32_t n = 0, bit;

		while ((bit = zone_alloc(z, order, NO_LIMIT, &cursor)) != NO_FRAME) {
			assert_int_equal(bit % (1u << order), 0);
			n++;
		}
		assert_int_equal(n, 2u << (RAMKA_MAX_ORDER - order));
		for (uint32_t i = 0; i < n; i++)
			assert_true(zone_free(z, i << order, order));
		assert_int_equal(zone_count_free(z), 2u << RAMKA_MAX_ORDER);
	}
	zone_delete(z);
}

static void respects_limits(void **state)
{
	static const uint32_t limits[] = { 1, 2, 100, 511, 512, 513, 1024, 2000, 2048, 4096, 5000, 8191, 8192, 100000 };

	(void)state;
	for (unsigned i = 0; i < NELEMS(limits); i++)
		for (unsigned order = 0; order <= 12; order++) {
			struct zone *z = zone_new(0, 8192);
			uint32_t cursor = 12, bit;
			uint64_t n = 0;

			while ((bit = zone_alloc(z, order, limits[i], &cursor)) != NO_FRAME) {
				assert_true(bit + (1u << order) <= limits[i]);
				n++;
			}
			assert_int_equal(n, most(z, order, limits[i]));
			assert_int_equal(zone_alloc_exhaustive(z, order, limits[i]), NO_FRAME);
			zone_delete(z);
		}
}

/* The last pass before "no memory" believes no hint. */
static void finds_what_the_hints_hide(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 12; order++) {
		struct zone *z = zone_new(0, 32768);
		uint32_t at = 5 * 4096, cursor = 0, bit;

		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(zone_alloc_exhaustive(z, 12, NO_LIMIT), i * 4096);
		if (order < BLOCK_ORDER) {
			assert_true(zone_free(z, at, 12));
			assert_int_equal(zone_alloc_exhaustive(z, 12, NO_LIMIT), at);
			zone_split(z, at, 12, 0);
		}
		assert_true(zone_free(z, at, order));
		for (unsigned level = 0; level < z->map.some.nr_levels; level++) {
			memset((void *)z->map.some.level[level], 0, z->map.some.words[level] * (level ? 8 : 64));
			memset((void *)z->map.whole.level[level], 0, z->map.whole.words[level] * (level ? 8 : 64));
		}
		bit = zone_alloc(z, order, NO_LIMIT, &cursor);
		if (bit == NO_FRAME)
			bit = zone_alloc_exhaustive(z, order, NO_LIMIT);
		assert_int_equal(bit, at);
		zone_delete(z);
	}
}

static void hints_that_promise_too_much_do_no_harm(void **state)
{
	struct zone *z = zone_new(0, 65536);
	uint32_t cursor = 0;

	(void)state;
	while (zone_alloc(z, 9, NO_LIMIT, &cursor) != NO_FRAME)
		;
	assert_true(zone_free(z, 100 * 512, 9));
	for (unsigned level = 0; level < z->map.some.nr_levels; level++) {
		memset((void *)z->map.some.level[level], 0xff, z->map.some.words[level] * (level ? 8 : 64));
		memset((void *)z->map.whole.level[level], 0xff, z->map.whole.words[level] * (level ? 8 : 64));
	}
	assert_int_equal(zone_alloc(z, 9, NO_LIMIT, &cursor), 100 * 512);
	assert_int_equal(zone_alloc(z, 9, NO_LIMIT, &cursor), NO_FRAME);
	assert_int_equal(zone_alloc(z, 10, NO_LIMIT, &cursor), NO_FRAME);
	assert_int_equal(zone_alloc_exhaustive(z, 0, NO_LIMIT), NO_FRAME);
	zone_delete(z);
}

/* All hints say yes, and only one block has anything. */
static void searches_get_through_stale_hints(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 9; order++)
		for (unsigned whole = 0; whole < 2; whole++) {
			struct zone *z = zone_new(0, 8 * 512);
			uint32_t cursor = 0;

			for (uint32_t block = 0; block < 8; block++)
				assert_int_equal(zone_alloc_exhaustive(z, 9, NO_LIMIT), block * 512);
			if (!whole)
				zone_split(z, 5 * 512, 9, 0);
			assert_true(zone_free(z, 5 * 512, whole ? 9 : order));
			z->map.some.level[0][0].value = z->map.whole.level[0][0].value = 0xff;
			assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 0), 5);
			z->map.some.level[0][0].value = z->map.whole.level[0][0].value = 0xff;
			assert_int_equal(zone_alloc(z, order, NO_LIMIT, &cursor), 5 * 512);
			if (!whole)
				assert_int_equal(zone_alloc(z, order, NO_LIMIT, &cursor), NO_FRAME);
			zone_delete(z);
		}
}

/* ---- policy ---- */

static void use(struct zone *z, uint32_t block, uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++)
		assert_true(bitmap_claim_mask(&z->map, (block * 512 + i) / 64, UINT64_C(1) << (i % 64)));
}

static void refills_from_the_densest_block(void **state)
{
	struct zone *z = zone_new(0, 16 * 512);

	(void)state;
	assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 5), 5); /* all whole: the nearest */
	use(z, 2, 100);
	assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 5), 2); /* a used one before a whole one */
	use(z, 9, 400);
	assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 0), 9);
	use(z, 11, 500); /* 12 free: not worth it while there are better ones */
	assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 0), 9);
	zone_delete(z);

	z = zone_new(0, 16 * 512);
	use(z, 7, 505);
	use(z, 8, 509);
	assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 0), 7); /* only sparse ones: the fuller of them, before a whole one */
	zone_delete(z);

	z = zone_new(0, 4 * 512);
	for (uint32_t block = 0; block < 4; block++)
		use(z, block, 512);
	assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 0, 0), NO_BLOCK);
	zone_delete(z);
}

static void small_orders_break_no_whole_block_while_others_do(void **state)
{
	struct zone *z = zone_new(0, 64 * 512);
	uint32_t cursor = 40;

	(void)state;
	use(z, 3, 8);
	for (unsigned order = 0; order < 8; order++)
		assert_int_equal(zone_alloc(z, order, NO_LIMIT, &cursor) / 512, 3);
	assert_int_equal(bitmap_free_count(&z->map, 40), 512);
	assert_int_equal(cursor, 3); /* and stay there */
	use(z, 2, 8);
	for (unsigned order = 0; order < 6; order++)
		assert_int_equal(zone_alloc(z, order, NO_LIMIT, &cursor) / 512, 3);
	zone_delete(z);
}

static void a_lone_block_goes_before_a_pair(void **state)
{
	struct zone *z = zone_new(0, 64 * 512);
	uint32_t cursor = 0;

	(void)state;
	assert_true(bitmap_claim_blocks(&z->map, 20, 1));
	assert_int_equal(zone_alloc(z, 9, NO_LIMIT, &cursor), 21 * 512);
	assert_true(bitmap_claim_blocks(&z->map, 24, 2));
	assert_int_equal(zone_alloc(z, 10, NO_LIMIT, &cursor), 22 * 512);
	assert_int_equal(zone_alloc(z, 10, NO_LIMIT, &cursor), 26 * 512);
	zone_delete(z);
}

static void runs_that_lack_few_frames(void **state)
{
	static const unsigned used[] = { 7, 3, 60, 1, 2, 5, 512, 0, 9, 9, 9, 9, 64, 33, 512, 512 };
	struct zone *z = zone_new(0, 16 * 512);

	(void)state;
	for (uint32_t block = 0; block < 16; block++) {
		if (used[block] == 512)
			assert_true(bitmap_claim_blocks(&z->map, block, 1));
		else if (used[block])
			assert_true(bitmap_claim_mask(&z->map, block * 8, bits_below(used[block])));
	}
	for (uint32_t nr = 1; nr <= 16; nr *= 2)
		for (unsigned most = 0; most <= 1600; most++) {
			bool expected = false;

			for (uint32_t block = 0; block < 16; block += nr) {
				unsigned lacks = 0;

				for (uint32_t i = 0; i < nr; i++)
					lacks += used[block + i];
				expected = expected || lacks <= most;
			}
			assert_int_equal(zone_lacks_at_most(z, nr, most), expected);
		}
	zone_delete(z);
}

/* Whole chunks are passed over, but not the one block that is free, be it the first or last of its chunk or zone. */
static void passes_over_chunks(void **state)
{
	static const uint32_t at[] = { 0, 5, 31, 32, 63, 64, 71 };

	(void)state;
	for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++) {
		struct zone *z = zone_new(0, 72 * 512);

		for (uint32_t block = 0; block < 72; block++)
			if (block != at[i])
				assert_true(bitmap_claim_blocks(&z->map, block, 1));
		assert_true(zone_lacks_at_most(z, 1, 0));
		assert_int_equal(zone_alloc_exhaustive(z, 9, NO_LIMIT), at[i] * 512);
		assert_false(zone_lacks_at_most(z, 1, 511));
		assert_int_equal(zone_alloc_exhaustive(z, 9, NO_LIMIT), NO_FRAME);
		zone_delete(z);
	}
}

/* ---- ranges ---- */

static void finds_ranges(void **state)
{
	struct zone *z = zone_new(2048, 4096);

	(void)state;
	assert_int_equal(z->origin, 2048);
	assert_int_equal(zone_find_range(z, 1, 0, NO_LIMIT, 0), 0);
	assert_int_equal(zone_find_range(z, 2048, 0, NO_LIMIT, 0), 0);
	assert_int_equal(zone_find_range(z, 2049, 0, NO_LIMIT, 0), NO_FRAME);
	assert_int_equal(zone_find_range(z, 5, 4, NO_LIMIT, 17), 32);
	assert_int_equal(zone_find_range(z, 100, 0, 100, 0), 0);
	assert_int_equal(zone_find_range(z, 100, 0, 99, 0), NO_FRAME);
	use(z, 1, 10);
	assert_int_equal(zone_find_range(z, 513, 0, NO_LIMIT, 0), 522);
	assert_int_equal(zone_find_range(z, 512, 0, NO_LIMIT, 0), 0);
	assert_true(bitmap_claim_blocks(&z->map, 2, 1));
	assert_int_equal(zone_find_range(z, 513, 0, NO_LIMIT, 0), NO_FRAME);
	assert_int_equal(zone_find_range(z, 512, 0, NO_LIMIT, 1), 1536);
	zone_delete(z);
}

/* Alignment is of frame numbers, not of bits: a small zone's first bit has little of it. */
static void ranges_are_aligned_as_frames(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++)
		for (uint64_t first = 2048; first <= 10240; first += 2048) {
			struct zone *z = zone_new(first, first + 2048);
			uint32_t bit = zone_find_range(z, 1, order, NO_LIMIT, 0);
			uint64_t want = align_up(first, UINT64_C(1) << order);

			if (want < first + 2048)
				assert_int_equal(z->origin + bit, want);
			else
				assert_int_equal(bit, NO_FRAME);
			zone_delete(z);
		}
}

static void claims_and_frees_any_range(void **state)
{
	struct zone *z = zone_new(0, 4096);
	uint64_t seed = 21;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t first = (uint32_t)(random_next(&seed) % 4096), nr = (uint32_t)(random_next(&seed) % (4096 - first)) + 1;

		assert_true(zone_claim_range(z, first, nr));
		assert_int_equal(zone_count_free(z), 4096 - nr);
		for (uint32_t bit = 0; bit < 4096; bit++)
			assert_int_equal(bitmap_is_free(&z->map, bit), bit < first || bit >= first + nr);
		assert_true(zone_free_range(z, first, nr));
		assert_int_equal(zone_count_free(z), 4096);
	}
	for (uint32_t block = 0; block < 8; block++)
		assert_int_equal(bitmap_entry(&z->map, block), ENTRY_FULL);
	zone_delete(z);
}

static void frees_no_range_twice(void **state)
{
	struct zone *z = zone_new(0, 2048);

	(void)state;
	assert_true(zone_claim_range(z, 100, 1000));
	assert_true(zone_free_range(z, 100, 1000));
	assert_false(zone_free_range(z, 100, 1000));
	assert_int_equal(zone_count_free(z), 2048);
	zone_delete(z);
}

static void split_blocks_are_freed_one_by_one(void **state)
{
	(void)state;
	for (unsigned old = 0; old <= 12; old++)
		for (unsigned order = 0; order <= old; order++) {
			struct zone *z = zone_new(0, 4096);
			uint32_t cursor = 0, bit = zone_alloc(z, old, NO_LIMIT, &cursor);

			assert_true(bit != NO_FRAME);
			zone_split(z, bit, old, order);
			for (uint32_t i = 0; i < 1u << (old - order); i++)
				assert_true(zone_free(z, bit + (i << order), order));
			assert_int_equal(zone_count_free(z), 4096);
			assert_int_equal(zone_alloc_exhaustive(z, 12, NO_LIMIT), 0);
			zone_delete(z);
		}
}

/* The range of a CPU's territories holds those that it adopts too, before its share and behind it. */
static void a_cpu_finds_what_it_adopted(void **state)
{
	struct zone *z = zone_new(0, 64 * BLOCK_FRAMES);
	struct territory_range own[3];
	uint32_t per, block;

	(void)state;
	z->territory_shift = 2;
	z->nr_territories = 16;
	for (uint32_t i = 0; i < 3; i++)
		own[i] = territory_give(z, i, i, 3);
	assert_int_equal(own[1].first, own[0].end);
	assert_int_equal(own[1].end, own[2].first);
	assert_int_equal(own[2].end, 16);
	per = own[1].end - own[1].first;
	for (uint32_t t = own[1].first; t < own[1].end; t++) /* its own are used up */
		assert_true(bitmap_claim_blocks(&z->map, 4 * t, 4));
	for (uint32_t n = 0; n < 16 - per; n++) {
		block = territory_pick(z, 2, &own[1], 3, 4 * own[1].first);
		assert_true(block < 64 && block / 4 >= own[1].first && block / 4 < own[1].end);
		assert_int_equal(territory_owner(z, block), 2);
		assert_true(bitmap_claim_blocks(&z->map, block / 4 * 4, 4));
	}
	assert_int_equal(own[1].first, 0);
	assert_int_equal(own[1].end, 16);
	assert_true(bitmap_free_blocks(&z->map, 0, 4)); /* the farthest one, that of another CPU once */
	assert_int_equal(territory_pick(z, 2, &own[1], 3, 60), 0);
	zone_delete(z);
}

/* The densest block of the CPU's own territories, wherever it begins to look, and not that of another CPU. */
static void refills_from_its_own_territories(void **state)
{
	struct zone *z = zone_new(0, 64 * 512);
	struct territory_range own[3];
	uint32_t first, last;

	(void)state;
	z->territory_shift = 2;
	z->nr_territories = 16;
	for (uint32_t i = 0; i < 3; i++)
		own[i] = territory_give(z, i, i, 3);
	first = 4 * own[1].first;
	last = 4 * own[1].end - 1;
	use(z, first + 1, 200);
	use(z, last, 300);
	use(z, first - 1, 400);
	use(z, last + 1, 400);
	for (uint32_t from = first; from <= last; from++)
		assert_int_equal(territory_pick(z, 2, &own[1], 0, from), last);
	use(z, first, 350); /* behind the turn for most */
	for (uint32_t from = first; from <= last; from++)
		assert_int_equal(territory_pick(z, 2, &own[1], 0, from), first);
	use(z, last - 1, 380); /* the search from `last` ends with it */
	for (uint32_t from = first; from <= last; from++)
		assert_int_equal(territory_pick(z, 2, &own[1], 0, from), last - 1);
	zone_delete(z);
}

/*
 * Whole blocks come out of the CPU's own territories as long as these have some, out of one chunk at a time, never more than
 * were asked for, and each once.
 */
static void whole_blocks_of_its_own_go_first(void **state)
{
	(void)state;
	for (uint32_t turn = 0; turn < 2 * 2 * 8; turn++) {
		uint32_t nr = 1 + turn % 2, me = 1 + turn / 2 % 2, most = 1 + turn / 4 * 9;
		struct zone *z = zone_new(0, 4 * CHUNK_BLOCKS * 512);
		uint32_t blocks[64], first, end, at, left, got, all = 0;
		struct territory_range own[5];
		bool taken[4 * CHUNK_BLOCKS] = { false };

		for (uint32_t i = 0; i < 5; i++)
			own[i] = territory_give(z, i, i, 5);
		first = own[me].first << z->territory_shift;
		end = own[me].end << z->territory_shift;
		assert_int_equal((me == 1 ? end : first) % CHUNK_BLOCKS, CHUNK_BLOCKS / 2); /* it shares a chunk */
		left = end - first;
		at = end - 5; /* it turns around */
		while ((got = territory_take_blocks(z, left ? me + 1 : OWNER_NONE, &own[me], nr, most, &at, blocks))) {
			assert_true(got <= most && (!left || got * nr <= left));
			assert_int_equal(at, blocks[got - 1]);
			for (uint32_t i = 0; i < got; i++) {
				assert_int_equal(blocks[i] % nr, 0);
				assert_true(!left || (blocks[i] >= first && blocks[i] < end));
				assert_int_equal(blocks[i] / CHUNK_BLOCKS, blocks[0] / CHUNK_BLOCKS);
				assert_true(!i || blocks[i] > blocks[i - 1]);
				for (uint32_t j = 0; j < nr; j++, all++) {
					assert_false(taken[blocks[i] + j]);
					taken[blocks[i] + j] = true;
					assert_int_equal(bitmap_free_count(&z->map, blocks[i] + j), 0);
				}
			}
			left -= left ? got * nr : 0;
		}
		assert_int_equal(all, 4 * CHUNK_BLOCKS);
		zone_delete(z);
	}
}

/* A block that is whole alone goes before one of a pair, and a pair alone before one of four in a row. */
static void larger_runs_stay(void **state)
{
	struct zone *z = zone_new(0, CHUNK_BLOCKS * 512);
	uint32_t block, at = 0;

	(void)state;
	use(z, 6, 1);
	use(z, 13, 1);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(territory_take_blocks(z, OWNER_NONE, NULL, 1, 1, &at, &block), 1);
		assert_int_equal(block, i ? 12 : 7);
	}
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(territory_take_blocks(z, OWNER_NONE, NULL, 2, 1, &at, &block), 1);
		assert_int_equal(block, i ? 14 : 4);
	}
	assert_int_equal(territory_take_blocks(z, OWNER_NONE, NULL, 2, 1, &at, &block), 1);
	assert_int_equal(block, 0); /* none is alone now */
	zone_delete(z);
}

/* Of two blocks of which one only looks whole, neither is taken as half of a pair. */
static void no_half_of_a_pair_is_taken(void **state)
{
	(void)state;
	for (uint32_t used = 0; used < 8; used++) {
		struct zone *z = zone_new(0, 2 * CHUNK_BLOCKS * 512);
		uint32_t blocks[CHUNK_BLOCKS], at = 0, got, all = 0;

		use(z, used, 1);
		ramka_or(&z->map.whole.level[0][0], UINT64_C(1) << used, relaxed, hint);
		while ((got = territory_take_blocks(z, OWNER_NONE, NULL, 2, CHUNK_BLOCKS, &at, blocks))) {
			for (uint32_t i = 0; i < got; i++)
				assert_int_not_equal(blocks[i], used & ~1u);
			all += got;
		}
		assert_int_equal(all, CHUNK_BLOCKS - 1);
		assert_int_equal(bitmap_free_count(&z->map, used), 511);
		assert_int_equal(bitmap_free_count(&z->map, used ^ 1), 512);
		assert_int_equal(zone_count_free(z), 1023);
		zone_delete(z);
	}
}

/* One search serves several requests for runs, densest block first, but no block that is no longer one to pick. */
static void a_search_serves_the_next_ones(void **state)
{
	struct zone *z = zone_new(0, 600 * 512);
	struct territory_range own[3];
	uint32_t per = 1u << z->territory_shift, first, next, last;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		own[i] = territory_give(z, i, i, 3);
	first = own[1].first * per;
	next = first + per; /* in another territory than the first one */
	last = first + 127; /* so many blocks are compared */
	assert_true(next + 9 < last && last < own[1].end * per);
	for (uint32_t block = first; block <= last; block++)
		use(z, block, block == last ? 400 : block == next + 9 ? 320 : block == next + 5 ? 300 : block == first + 1 ? 200 : 100);
	assert_int_equal(territory_pick(z, 2, &own[1], 3, first), last);
	assert_int_equal(territory_pick(z, 2, &own[1], 3, last), next + 9);
	assert_int_equal(territory_pick(z, 2, &own[1], 3, last), next + 5);
	ramka_store(&z->owners[own[1].first], 3, relaxed, territory);
	assert_int_equal(territory_pick(z, 2, &own[1], 3, first), last); /* what is left of the old one is not its own now */
	assert_int_equal(territory_pick(z, 2, &own[1], 3, first), last); /* less than a window: nothing is kept */
	zone_delete(z);
}

/* A CPU that only allocates does not search in vain each time, but soon finds what others freed. */
static void searches_again_after_some_whole_blocks(void **state)
{
	struct zone *z = zone_new(0, 600 * 512);
	struct territory_range own[3];
	uint32_t first, part, picked = 0, nr = 0;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		own[i] = territory_give(z, i, i, 3);
	first = own[1].first << z->territory_shift;
	part = first + 100;
	for (uint32_t i = 0; i < 8; i++) { /* nothing but whole blocks */
		assert_int_equal(territory_pick(z, 2, &own[1], 3, first), first + i);
		assert_true(bitmap_claim_blocks(&z->map, first + i, 1));
	}
	use(z, part, 200);
	assert_true(own[1].skips > 2);
	for (; nr < 64 && picked != part; nr++)
		picked = territory_pick(z, 2, &own[1], 3, first);
	assert_int_equal(picked, part);
	own[1].none_of = 3;
	own[1].skips = 2;
	assert_int_equal(territory_pick(z, 2, &own[1], 2, first), part); /* of the lower order nothing is known */
	own[1].none_of = 3; /* the same, but now the CPU gives frames back */
	own[1].skips = 2;
	assert_int_not_equal(territory_pick(z, 2, &own[1], 3, first), part);
	territory_search_again(&own[1]);
	assert_int_equal(territory_pick(z, 2, &own[1], 3, first), part);
	zone_delete(z);
}

/* A hint that was wrong is not asked again. */
static void a_stale_hint_of_a_run_goes(void **state)
{
	struct zone *z = zone_new(0, 4 * 512);
	uint32_t cursor = 0;

	(void)state;
	use(z, 1, 1);
	use(z, 3, 1);
	ramka_or(&z->map.whole.level[0][0], 1 << 1 | 1 << 3, relaxed, hint);
	assert_int_equal(zone_alloc(z, 10, NO_LIMIT, &cursor), NO_FRAME);
	assert_true(hints_word(&z->map.whole, 0) == (1 << 0 | 1 << 2));
	zone_delete(z);
}

/* Blocks that are too broken for an order are passed over by quads, up to the next chunk. */
static void passes_over_what_cannot_have_a_run(void **state)
{
	struct zone *z = zone_new(0, 2 * CHUNK_BLOCKS * BLOCK_FRAMES);

	(void)state;
	for (uint32_t word = 0; word < 2 * CHUNK_BLOCKS * BLOCK_WORDS; word++)
		if (word / BLOCK_WORDS != 9) /* every other frame is taken */
			assert_true(bitmap_claim_mask(&z->map, word, UINT64_MAX / 3));
	for (uint32_t block = 0; block < 2 * CHUNK_BLOCKS; block++) /* a look lowers the run hint */
		if (block != 9)
			assert_int_equal(bitmap_claim(&z->map, block, 3, BLOCK_FRAMES), NO_FRAME);
	assert_int_equal(zone_next_hopeful(z, 0, 3), 8);
	assert_int_equal(zone_next_hopeful(z, 8, 3), 9);
	assert_int_equal(zone_next_hopeful(z, 9, 3), 10);
	assert_int_equal(zone_next_hopeful(z, 11, 3), 12);
	assert_int_equal(zone_next_hopeful(z, 12, 3), CHUNK_BLOCKS);
	assert_int_equal(zone_next_hopeful(z, 2 * CHUNK_BLOCKS - 1, 3), 2 * CHUNK_BLOCKS);
	assert_int_equal(zone_next_hopeful(z, 0, 0), 1);
	for (uint32_t from = 0; from < 2 * CHUNK_BLOCKS; from += 7) { /* and no search misses the one that has */
		assert_int_equal(territory_pick(z, OWNER_NONE, NULL, 3, from), 9);
		assert_int_equal(zone_alloc(z, 3, NO_LIMIT, &(uint32_t){ from }) / BLOCK_FRAMES, 9);
	}
	zone_delete(z);
}

static void estimates_what_is_free(void **state)
{
	struct zone z = { .end = 0 };

	(void)state;
	assert_int_equal(zone_estimate_free(&z), 0);
	z.usable.value = 100;
	assert_int_equal(zone_estimate_free(&z), 100);
	z.taken.value = 30;
	assert_int_equal(zone_estimate_free(&z), 70);
	z.taken.value = 101;
	assert_int_equal(zone_estimate_free(&z), 0);
	z.taken.value = (uint64_t)-5; /* folded late */
	assert_int_equal(zone_estimate_free(&z), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_out_every_order),
		cmocka_unit_test(the_largest_order),
		cmocka_unit_test(respects_limits),
		cmocka_unit_test(finds_what_the_hints_hide),
		cmocka_unit_test(hints_that_promise_too_much_do_no_harm),
		cmocka_unit_test(searches_get_through_stale_hints),
		cmocka_unit_test(refills_from_its_own_territories),
		cmocka_unit_test(whole_blocks_of_its_own_go_first),
		cmocka_unit_test(larger_runs_stay),
		cmocka_unit_test(no_half_of_a_pair_is_taken),
		cmocka_unit_test(a_search_serves_the_next_ones),
		cmocka_unit_test(searches_again_after_some_whole_blocks),
		cmocka_unit_test(a_stale_hint_of_a_run_goes),
		cmocka_unit_test(refills_from_the_densest_block),
		cmocka_unit_test(small_orders_break_no_whole_block_while_others_do),
		cmocka_unit_test(a_lone_block_goes_before_a_pair),
		cmocka_unit_test(runs_that_lack_few_frames),
		cmocka_unit_test(passes_over_chunks),
		cmocka_unit_test(finds_ranges),
		cmocka_unit_test(ranges_are_aligned_as_frames),
		cmocka_unit_test(claims_and_frees_any_range),
		cmocka_unit_test(frees_no_range_twice),
		cmocka_unit_test(split_blocks_are_freed_one_by_one),
		cmocka_unit_test(a_cpu_finds_what_it_adopted),
		cmocka_unit_test(passes_over_what_cannot_have_a_run),
		cmocka_unit_test(estimates_what_is_free),
	};

	return cmocka_run_group_tests_name("zone", tests, NULL, NULL);
}
