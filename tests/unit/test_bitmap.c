/* SPDX-License-Identifier: MIT */
/*
 * lib/zone/bitmap.c alone: promises, claims, roll-backs, hints. Other threads are played by changing the words between two
 * calls; what happens inside a call is the business of tests/checker.
 */
#include "fixture.h"

#define MAX_BLOCKS 20480u /* three levels of hints */

struct map {
	struct bitmap b;
	struct ramka_atomic_u64 *memory;
	size_t words;
};

static struct map *map_new(uint32_t blocks)
{
	struct map *m = calloc(1, sizeof(*m));
	size_t bits = (size_t)blocks * BLOCK_WORDS, quads = blocks / QUAD_BLOCKS, hints = hints_size(blocks);

	assert_non_null(m);
	assert_int_equal(blocks % QUAD_BLOCKS, 0);
	m->words = bits + quads + 2 * hints;
	m->memory = calloc(m->words, sizeof(*m->memory));
	assert_non_null(m->memory);
	m->b.words = m->memory;
	m->b.quads = m->memory + bits;
	m->b.blocks = blocks;
	hints_init(&m->b.some, m->memory + bits + quads, blocks);
	hints_init(&m->b.whole, m->memory + bits + quads + hints, blocks);
	return m;
}

static void map_free(struct map *m)
{
	free(m->memory);
	free(m);
}

static unsigned bits_in_block(const struct map *m, uint32_t block)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		n += bits_count(m->memory[(size_t)block * BLOCK_WORDS + i].value);
	return n;
}

static bool hinted(const struct hints *h, uint32_t block)
{
	return hints_next(h, block, block + 1) == block;
}

/* Bits and counts agree, and no hint hides a block. Hints that promise too much are allowed, unless `exact`. */
static void check_map(const struct map *m, bool exact)
{
	for (uint32_t block = 0; block < m->b.blocks; block++) {
		unsigned entry = bitmap_entry(&m->b, block), bits = bits_in_block(m, block);
		bool some = bits && bits < BLOCK_FRAMES && !(entry & ENTRY_HUGE), whole = bits == BLOCK_FRAMES && !(entry & ENTRY_HUGE);

		if (entry & ENTRY_HUGE)
			assert_int_equal(bits, BLOCK_FRAMES);
		else
			assert_int_equal(entry & ENTRY_COUNT, bits);
		if (whole)
			assert_int_equal(entry, ENTRY_FULL);
		assert_true(!some || hinted(&m->b.some, block));
		assert_true(!whole || hinted(&m->b.whole, block));
		if (exact) {
			assert_int_equal(hinted(&m->b.some, block), some);
			assert_int_equal(hinted(&m->b.whole, block), whole);
		}
		for (unsigned order = entry_hint(entry) + 1; !(entry & ENTRY_HUGE) && bits && order < BLOCK_ORDER; order++)
			for (unsigned at = 0; order <= WORD_ORDER && at < BLOCK_WORDS; at++)
				assert_true(!bits_run_starts(m->memory[(size_t)block * BLOCK_WORDS + at].value, order));
	}
}

static uint64_t *copy_of(const struct map *m)
{
	uint64_t *c = malloc(m->words * sizeof(*c));

	assert_non_null(c);
	memcpy(c, m->memory, m->words * sizeof(*c));
	return c;
}

/* ---- set-up ---- */

static void fills_any_range(void **state)
{
	static const uint32_t ends[] = { 0, 1, 63, 64, 65, 511, 512, 513, 1000, 1023, 1024, 1025, 2047, 2048 };

	(void)state;
	for (unsigned i = 0; i < NELEMS(ends); i++)
		for (unsigned j = i; j < NELEMS(ends); j++) {
			struct map *m = map_new(4);

			bitmap_fill(&m->b, ends[i], ends[j]);
			for (uint32_t bit = 0; bit < 2048; bit++)
				assert_int_equal(bitmap_is_free(&m->b, bit), bit >= ends[i] && bit < ends[j]);
			check_map(m, true);
			map_free(m);
		}
}

static void fills_in_pieces(void **state)
{
	struct map *m = map_new(4);

	(void)state;
	bitmap_fill(&m->b, 100, 200);
	bitmap_fill(&m->b, 700, 2048);
	bitmap_fill(&m->b, 0, 100);
	bitmap_fill(&m->b, 200, 700);
	for (uint32_t block = 0; block < 4; block++)
		assert_int_equal(bitmap_entry(&m->b, block), ENTRY_FULL);
	check_map(m, true);
	map_free(m);
}

static void hint_levels(void **state)
{
	static const uint32_t blocks[] = { 4, 32, 36, 2048, 2052, MAX_BLOCKS };
	static const size_t words[] = { 8, 8, 2 * 8 + 8, 64 * 8 + 8, 65 * 8 + 8, 640 * 8 + 16 };
	static const unsigned levels[] = { 1, 1, 2, 2, 3, 3 };
	struct ramka_atomic_u64 memory[1];

	(void)state;
	for (unsigned i = 0; i < NELEMS(blocks); i++) {
		struct hints h;

		assert_int_equal(hints_size(blocks[i]), words[i]);
		hints_init(&h, memory, blocks[i]);
		assert_int_equal(h.nr_levels, levels[i]);
		assert_int_equal(h.words[h.nr_levels - 1], 1);
	}
	assert_true(hints_size(UINT32_MAX / BLOCK_FRAMES) > 0);
}

/* ---- hints ---- */

static void next_hint(void **state)
{
	static const uint32_t at[] = { 0, 63, 64, 2047, 2048, 4095, 12287, MAX_BLOCKS - 1 };
	struct map *m = map_new(MAX_BLOCKS);

	(void)state;
	assert_int_equal(hints_next(&m->b.some, 0, MAX_BLOCKS), NO_BLOCK);
	for (unsigned i = 0; i < NELEMS(at); i++)
		bitmap_fill(&m->b, at[i] * BLOCK_FRAMES, at[i] * BLOCK_FRAMES + 1);
	for (unsigned i = 0; i < NELEMS(at); i++) {
		uint32_t from = i ? at[i - 1] + 1 : 0;

		assert_int_equal(hints_next(&m->b.some, from, MAX_BLOCKS), at[i]);
		assert_int_equal(hints_next(&m->b.some, at[i], MAX_BLOCKS), at[i]);
		assert_int_equal(hints_next(&m->b.some, from, at[i]), NO_BLOCK); /* below `end` */
		assert_int_equal(hints_next(&m->b.some, at[i], at[i] + 1), at[i]);
	}
	assert_int_equal(hints_next(&m->b.some, MAX_BLOCKS, MAX_BLOCKS), NO_BLOCK);
	assert_int_equal(hints_next(&m->b.some, MAX_BLOCKS - 1, 5), NO_BLOCK);
	assert_int_equal(hints_next(&m->b.some, 62, 63), NO_BLOCK); /* the same within one chunk */
	assert_true(hints_word(&m->b.some, 0) == 1);
	assert_true(hints_word(&m->b.some, 1) == UINT64_C(1) << 31);
	assert_true(hints_word(&m->b.some, 2) == 1);
	map_free(m);
}

static void hints_go_with_the_last_frame(void **state)
{
	struct map *m = map_new(MAX_BLOCKS);
	uint32_t far = 9000, word;

	(void)state;
	bitmap_fill(&m->b, far * BLOCK_FRAMES, far * BLOCK_FRAMES + 1);
	assert_int_equal(hints_next(&m->b.some, 0, MAX_BLOCKS), far);
	assert_true(bitmap_take(&m->b, far, 64, 0, &word) == 1);
	assert_true(m->b.some.level[0][far / 32 * HINT_LINE].value == HINT_TOLD); /* until a search comes there */
	assert_int_equal(hints_next(&m->b.some, far, MAX_BLOCKS), NO_BLOCK);
	assert_true(m->b.some.level[0][far / 32 * HINT_LINE].value == HINT_TOLD); /* not sent there by the level above */
	assert_int_equal(hints_next(&m->b.some, 0, MAX_BLOCKS), NO_BLOCK);
	for (unsigned level = 0; level < m->b.some.nr_levels; level++) /* empty up to the root */
		for (uint32_t i = 0; i < m->b.some.words[level]; i++)
			assert_int_equal(m->b.some.level[level][level ? i : i * HINT_LINE].value, 0);
	assert_true(bitmap_free_mask(&m->b, word, 1));
	assert_int_equal(hints_next(&m->b.some, 0, MAX_BLOCKS), far);
	check_map(m, true);
	map_free(m);
}

static void wrong_hints_are_corrected(void **state)
{
	struct map *m = map_new(128);

	(void)state;
	bitmap_fill(&m->b, 0, 512);
	bitmap_fill(&m->b, 70 * 512, 70 * 512 + 9);
	/* hidden, and promised where there is nothing */
	memset((void *)m->b.some.level[0], 0, hints_size(128) * 8);
	m->b.whole.level[0][2 * HINT_LINE].value = ~UINT64_C(0);
	m->b.whole.level[1][0].value = 7;
	for (uint32_t block = 0; block < 128; block++)
		bitmap_fix_hints(&m->b, block);
	check_map(m, true);
	assert_int_equal(hints_next(&m->b.some, 0, 128), 70);
	assert_int_equal(hints_next(&m->b.whole, 0, 128), 0);
	assert_int_equal(hints_next(&m->b.whole, 1, 128), NO_BLOCK);
	map_free(m);
}

/* ---- words of frames ---- */

static void takes_up_to_max_of_one_word(void **state)
{
	struct map *m = map_new(4);
	uint32_t word = 99;
	uint64_t mask;

	(void)state;
	assert_true(bitmap_take(&m->b, 0, 64, 0, &word) == 0);
	assert_int_equal(word, 99);
	bitmap_fill(&m->b, 0, 200);
	assert_true(bitmap_take(&m->b, 0, 64, 0, &word) == ~UINT64_C(0));
	assert_int_equal(word, 0);
	assert_int_equal(bitmap_free_count(&m->b, 0), 136);
	mask = bitmap_take(&m->b, 0, 10, 2, &word); /* from the word that start says */
	assert_int_equal(word, 2);
	assert_true(mask == 0x3ff);
	mask = bitmap_take(&m->b, 0, 64, 3, &word); /* around: word 3 has eight */
	assert_int_equal(word, 3);
	assert_true(mask == 0xff);
	mask = bitmap_take(&m->b, 0, 64, 3, &word);
	assert_int_equal(word, 1);
	assert_true(mask == ~UINT64_C(0));
	check_map(m, false);
	mask = bitmap_take(&m->b, 0, 64, 0, &word);
	assert_int_equal(word, 2);
	assert_true(mask == ~UINT64_C(0x3ff));
	assert_true(bitmap_take(&m->b, 0, 1, 0, &word) == 0);
	check_map(m, true);
	map_free(m);
}

/* A count below the bits: others hold promises. No more than the count may be taken. */
static void never_takes_more_than_the_count(void **state)
{
	struct map *m = map_new(4);
	uint32_t word;

	(void)state;
	bitmap_fill(&m->b, 0, 64);
	m->b.quads[0].value = 3 | ENTRY_HINT_MAX << ENTRY_HINT_SHIFT; /* 61 promised to others */
	assert_int_equal(bits_count(bitmap_take(&m->b, 0, 64, 0, &word)), 3);
	assert_int_equal(bitmap_free_count(&m->b, 0), 0);
	assert_true(bitmap_take(&m->b, 0, 64, 0, &word) == 0);
	assert_int_equal(bitmap_claim(&m->b, 0, 0, BLOCK_FRAMES), NO_FRAME);
	assert_int_equal(bitmap_claim(&m->b, 0, 3, BLOCK_FRAMES), NO_FRAME);
	assert_int_equal(bitmap_claim_any(&m->b, 0), NO_FRAME);
	assert_false(bitmap_claim_mask(&m->b, 0, UINT64_C(1) << 63));
	assert_int_equal(bits_in_block(m, 0), 61);
	map_free(m);
}

static void claims_every_order(void **state)
{
	(void)state;
	for (unsigned order = 0; order < BLOCK_ORDER; order++) {
		struct map *m = map_new(4);
		unsigned n = BLOCK_FRAMES >> order;
		uint8_t seen[BLOCK_FRAMES] = { 0 };

		bitmap_fill(&m->b, 512, 1024);
		for (unsigned i = 0; i < n; i++) {
			uint32_t bit = bitmap_claim(&m->b, 1, order, BLOCK_FRAMES);

			assert_true(bit >= 512 && bit < 1024 && bit % (1u << order) == 0);
			for (unsigned j = 0; j < 1u << order; j++) {
				assert_int_equal(seen[bit - 512 + j]++, 0);
				assert_false(bitmap_is_free(&m->b, bit + j));
			}
			check_map(m, false);
		}
		assert_int_equal(bitmap_claim(&m->b, 1, order, BLOCK_FRAMES), NO_FRAME);
		assert_int_equal(bitmap_claim(&m->b, 1, 0, BLOCK_FRAMES), NO_FRAME);
		for (unsigned i = 0; i < n; i++) {
			assert_true(bitmap_free(&m->b, 512 + (i << order), order));
			check_map(m, false);
		}
		assert_int_equal(bitmap_entry(&m->b, 1), ENTRY_FULL);
		map_free(m);
	}
}

static void claims_below_the_limit_only(void **state)
{
	static const unsigned limits[] = { 0, 1, 7, 8, 63, 64, 65, 128, 129, 255, 256, 300, 511 };

	(void)state;
	for (unsigned order = 0; order < BLOCK_ORDER; order++)
		for (unsigned i = 0; i < NELEMS(limits); i++) {
			struct map *m = map_new(4);
			unsigned got = 0;
			uint32_t bit;

			bitmap_fill(&m->b, 0, 512);
			while ((bit = bitmap_claim(&m->b, 0, order, limits[i])) != NO_FRAME) {
				assert_true(bit + (1u << order) <= limits[i]);
				got++;
			}
			assert_int_equal(got, limits[i] >> order);
			assert_int_equal(entry_count(bitmap_entry(&m->b, 0)), 512 - (got << order));
			assert_int_equal(bits_in_block(m, 0), 512 - (got << order)); /* a failing search takes nothing */
			map_free(m);
		}
}

static void a_hint_of_order_never_hides_a_run(void **state)
{
	struct map *m = map_new(4);
	uint64_t seed = 11;

	(void)state;
	bitmap_fill(&m->b, 0, 512);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned order = (unsigned)(random_next(&seed) % BLOCK_ORDER);
		uint32_t at = (uint32_t)(random_next(&seed) % (512u >> order)) << order;
		bool any = false;

		if (random_next(&seed) % 2) {
			for (unsigned j = 0; j < 1u << order; j++)
				any |= bitmap_is_free(&m->b, at + j);
			if (!any)
				assert_true(bitmap_free(&m->b, at, order));
		} else {
			for (uint32_t run = 0; run < 512; run += 1u << order) {
				unsigned n = 0;

				while (n < 1u << order && bitmap_is_free(&m->b, run + n))
					n++;
				any |= n == 1u << order;
			}
			if (any && order) /* the hint of the block entry says so, too */
				assert_true(entry_hint(bitmap_entry(&m->b, 0)) >= (order < ENTRY_HINT_MAX ? order : ENTRY_HINT_MAX));
			assert_int_equal(bitmap_claim(&m->b, 0, order, BLOCK_FRAMES) != NO_FRAME, any);
		}
	}
	map_free(m);
}

static void claim_any_finds_the_last_one(void **state)
{
	struct map *m = map_new(4);

	(void)state;
	for (uint32_t at = 0; at < 512; at++) {
		bitmap_fill(&m->b, 512 + at, 512 + at + 1);
		assert_int_equal(bitmap_claim_any(&m->b, 0), NO_FRAME);
		assert_int_equal(bitmap_claim_any(&m->b, 1), 512 + at);
		assert_int_equal(bitmap_claim_any(&m->b, 1), NO_FRAME);
	}
	check_map(m, true);
	map_free(m);
}

static void claims_a_mask_whole_or_not(void **state)
{
	struct map *m = map_new(4);
	uint64_t *before;

	(void)state;
	bitmap_fill(&m->b, 64, 128);
	assert_true(bitmap_claim_mask(&m->b, 1, 0x8000000000000001));
	before = copy_of(m);
	assert_false(bitmap_claim_mask(&m->b, 1, 1));
	assert_false(bitmap_claim_mask(&m->b, 1, 3));
	assert_false(bitmap_claim_mask(&m->b, 1, ~UINT64_C(0)));
	assert_false(bitmap_claim_mask(&m->b, 0, 1));
	assert_memory_equal(before, m->memory, m->words * 8);
	free(before);
	assert_true(bitmap_claim_mask(&m->b, 1, 0x7ffffffffffffffe));
	assert_int_equal(bits_in_block(m, 0), 0);
	check_map(m, true);
	map_free(m);
}

static void frees_nothing_that_is_free(void **state)
{
	struct map *m = map_new(4);
	uint64_t *before;

	(void)state;
	bitmap_fill(&m->b, 0, 512);
	assert_int_equal(bitmap_claim(&m->b, 0, 4, BLOCK_FRAMES), 0);
	assert_int_equal(bitmap_claim(&m->b, 0, 8, BLOCK_FRAMES), 256);
	assert_true(bitmap_free(&m->b, 256 + 192, 6)); /* the last word of it */
	before = copy_of(m);
	assert_false(bitmap_free(&m->b, 256, 8)); /* and the words before stay as they are */
	assert_false(bitmap_free(&m->b, 16, 0));
	assert_false(bitmap_free(&m->b, 16, 4));
	assert_false(bitmap_free(&m->b, 0, 5)); /* half of it */
	assert_false(bitmap_free_mask(&m->b, 0, 1u << 16 | 1));
	assert_memory_equal(before, m->memory, m->words * 8);
	free(before);
	check_map(m, false);
	map_free(m);
}

/* A free below order 9 into a block that is claimed whole. */
static void frees_no_part_of_a_huge_block(void **state)
{
	struct map *m = map_new(4);
	uint64_t *before;

	(void)state;
	bitmap_fill(&m->b, 0, 2048);
	assert_true(bitmap_claim_blocks(&m->b, 2, 1));
	before = copy_of(m);
	for (unsigned order = 0; order < BLOCK_ORDER; order++)
		assert_false(bitmap_free(&m->b, 1024, order));
	assert_false(bitmap_free_mask(&m->b, 16, 1));
	assert_false(bitmap_claim_mask(&m->b, 16, 1)); /* the bits are set, but they are not free */
	assert_int_equal(bitmap_claim(&m->b, 2, 0, BLOCK_FRAMES), NO_FRAME);
	assert_int_equal(bitmap_claim_any(&m->b, 2), NO_FRAME);
	assert_memory_equal(before, m->memory, m->words * 8);
	free(before);
	map_free(m);
}

/* ---- whole blocks ---- */

static void claims_whole_blocks(void **state)
{
	(void)state;
	for (uint32_t nr = 1; nr <= 512; nr *= 2) {
		struct map *m = map_new(1024);

		bitmap_fill(&m->b, 0, 1024 * 512);
		for (uint32_t block = 0; block < 1024; block += nr) {
			assert_true(bitmap_claim_blocks(&m->b, block, nr));
			assert_false(bitmap_claim_blocks(&m->b, block, nr));
			for (uint32_t i = 0; i < nr; i++)
				assert_true(bitmap_entry(&m->b, block + i) & ENTRY_HUGE);
		}
		assert_int_equal(hints_next(&m->b.whole, 0, 1024), NO_BLOCK);
		check_map(m, true);
		for (uint32_t block = 0; block < 1024; block += nr) {
			assert_true(bitmap_free_blocks(&m->b, block, nr));
			assert_false(bitmap_free_blocks(&m->b, block, nr));
		}
		check_map(m, true);
		map_free(m);
	}
}

/* One block in the way, at every place: nothing changes. The read-ahead finds it; the claim itself has no turn. */
static void a_blocked_run_is_left_alone(void **state)
{
	(void)state;
	for (uint32_t nr = 1; nr <= 512; nr *= 2) {
		struct map *m = map_new(512);
		uint64_t *before;

		bitmap_fill(&m->b, 0, 512 * 512);
		for (uint32_t at = 0; at < nr; at++) {
			assert_true(bitmap_claim_blocks(&m->b, at, 1));
			before = copy_of(m);
			assert_false(bitmap_claim_blocks(&m->b, 0, nr));
			assert_memory_equal(before, m->memory, m->words * 8);
			free(before);
			assert_true(bitmap_free_blocks(&m->b, at, 1));
			assert_int_equal(bitmap_claim(&m->b, at, 0, BLOCK_FRAMES), at * 512);
			before = copy_of(m);
			assert_false(bitmap_claim_blocks(&m->b, 0, nr));
			assert_memory_equal(before, m->memory, m->words * 8);
			free(before);
			assert_true(bitmap_free(&m->b, at * 512, 0));
		}
		check_map(m, false);
		map_free(m);
	}
}

static void a_quad_may_have_what_one_of_its_entries_may_have(void **state)
{
	static const unsigned counts[] = { 0, 1, 2, 7, 8, 63, 64, 255, 256, 511 };
	uint64_t seed = 15;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t quad = 0;

		for (uint32_t block = 0; block < QUAD_BLOCKS; block++) {
			unsigned entry = counts[random_next(&seed) % 10] |
				(unsigned)(random_next(&seed) % 10) << ENTRY_HINT_SHIFT;

			if (random_next(&seed) % 8 == 0)
				entry = random_next(&seed) % 2 ? ENTRY_FULL : ENTRY_REPORTED;
			else if (random_next(&seed) % 8 == 0)
				entry = ENTRY_HUGE;
			entry |= random_next(&seed) % 4 ? 0 : ENTRY_SHUT;
			quad |= (uint64_t)entry << entry_shift(block);
		}
		for (unsigned order = 0; order < BLOCK_ORDER; order++) {
			bool may = false;

			for (uint32_t block = 0; block < QUAD_BLOCKS; block++)
				may |= entry_may_have(entry_in(quad, block), order);
			assert_int_equal(quad_may_have(quad, order), may);
		}
	}
}

static void all_frames_of_blocks_are_taken_and_freed_at_once(void **state)
{
	struct map *m = map_new(4);

	(void)state;
	bitmap_fill(&m->b, 0, 2048);
	assert_int_equal(bitmap_claim(&m->b, 1, 0, BLOCK_FRAMES), 512);
	assert_int_equal(bitmap_take_blocks(&m->b, 0, 7), 5);
	for (uint32_t block = 0; block < 3; block += 2) {
		assert_int_equal(bitmap_entry(&m->b, block), 0);
		assert_int_equal(bits_in_block(m, block), 0);
	}
	check_map(m, false);
	assert_int_equal(bitmap_take_blocks(&m->b, 0, 7), 0);
	assert_false(bitmap_free_all(&m->b, 1));
	assert_false(bitmap_free_all(&m->b, 3));
	/* free by its bit already, though no count says so */
	ramka_store(&m->b.words[2 * BLOCK_WORDS + 7], 1, relaxed, test);
	assert_false(bitmap_free_all(&m->b, 2));
	ramka_store(&m->b.words[2 * BLOCK_WORDS + 7], 0, relaxed, test);
	assert_true(bitmap_free_all(&m->b, 2));
	assert_true(bitmap_free_all(&m->b, 0));
	assert_false(bitmap_free_all(&m->b, 0));
	assert_int_equal(bitmap_entry(&m->b, 0), ENTRY_FULL);
	check_map(m, false);
	assert_true(bitmap_claim_blocks(&m->b, 2, 1));
	assert_false(bitmap_free_all(&m->b, 2));
	assert_int_equal(bitmap_take_blocks(&m->b, 0, 15), 9);
	map_free(m);
}

static void an_opened_block_is_freed_in_parts(void **state)
{
	struct map *m = map_new(4);

	(void)state;
	bitmap_fill(&m->b, 0, 2048);
	assert_true(bitmap_claim_blocks(&m->b, 1, 1));
	bitmap_open_block(&m->b, 1);
	assert_int_equal(bitmap_entry(&m->b, 1), 0);
	assert_int_equal(bits_in_block(m, 1), 0);
	assert_false(bitmap_free_blocks(&m->b, 1, 1));
	for (uint32_t i = 0; i < 512; i++)
		assert_true(bitmap_free(&m->b, 512 + i, 0));
	assert_int_equal(bitmap_entry(&m->b, 1), ENTRY_FULL);
	check_map(m, false);
	assert_true(bitmap_claim_blocks(&m->b, 0, 4));
	map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_any_range),
		cmocka_unit_test(fills_in_pieces),
		cmocka_unit_test(hint_levels),
		cmocka_unit_test(next_hint),
		cmocka_unit_test(hints_go_with_the_last_frame),
		cmocka_unit_test(wrong_hints_are_corrected),
		cmocka_unit_test(takes_up_to_max_of_one_word),
		cmocka_unit_test(never_takes_more_than_the_count),
		cmocka_unit_test(claims_every_order),
		cmocka_unit_test(claims_below_the_limit_only),
		cmocka_unit_test(a_hint_of_order_never_hides_a_run),
		cmocka_unit_test(claim_any_finds_the_last_one),
		cmocka_unit_test(claims_a_mask_whole_or_not),
		cmocka_unit_test(frees_nothing_that_is_free),
		cmocka_unit_test(frees_no_part_of_a_huge_block),
		cmocka_unit_test(claims_whole_blocks),
		cmocka_unit_test(a_blocked_run_is_left_alone),
		cmocka_unit_test(a_quad_may_have_what_one_of_its_entries_may_have),
		cmocka_unit_test(all_frames_of_blocks_are_taken_and_freed_at_once),
		cmocka_unit_test(an_opened_block_is_freed_in_parts),
	};

	return cmocka_run_group_tests_name("bitmap", tests, NULL, NULL);
}
