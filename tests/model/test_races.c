/* SPDX-License-Identifier: MIT */
/*
 * Roll-backs of multi-word claims in lib/zone/bitmap.c, with somebody in the way exactly between its look and its claim: every
 * order, every step, every kind of obstacle. Afterwards bits and counts must be what they would be had the claim never
 * been tried, and no hint may hide a block. Obstacles that were there before are in test_rollback.c.
 */
#define RAMKA_ATOMIC_BACKEND "model/hooks.h"
#include "unit/fixture.h"

/* the real source, on that backend */
#include "../../lib/zone/bitmap.c"

#define BLOCKS 512u

static struct ramka_atomic_u64 words[BLOCKS * BLOCK_WORDS], quads[BLOCKS / QUAD_BLOCKS], hint_words[2 * (BLOCKS / CHUNK_BLOCKS + 1) * HINT_LINE];
static struct bitmap map;

static void fill(uint32_t blocks)
{
	memset((void *)words, 0, sizeof(words));
	memset((void *)quads, 0, sizeof(quads));
	memset((void *)hint_words, 0, sizeof(hint_words));
	map = (struct bitmap){ .words = words, .quads = quads, .blocks = BLOCKS };
	hints_init(&map.some, hint_words, BLOCKS);
	hints_init(&map.whole, hint_words + (BLOCKS / CHUNK_BLOCKS + 1) * HINT_LINE, BLOCKS);
	bitmap_fill(&map, 0, blocks * BLOCK_FRAMES);
	before_cas = NULL;
}

/* Bits and counts; the order hints of the block entries aside, which may only promise too much. */
struct image { uint64_t words[BLOCKS * BLOCK_WORDS]; uint16_t entries[BLOCKS]; };

static void look(struct image *i)
{
	for (uint32_t w = 0; w < BLOCKS * BLOCK_WORDS; w++)
		i->words[w] = words[w].value;
	for (uint32_t block = 0; block < BLOCKS; block++)
		i->entries[block] = (uint16_t)(bitmap_entry(&map, block) & (ENTRY_HUGE | ENTRY_COUNT));
}

static void nothing_hidden(void)
{
	for (uint32_t block = 0; block < BLOCKS; block++) {
		unsigned entry = bitmap_entry(&map, block), count = entry_count(entry);

		if (count && count < BLOCK_FRAMES)
			assert_int_equal(hints_next(&map.some, block, block + 1), block);
		if (count == BLOCK_FRAMES) {
			assert_int_equal(hints_next(&map.whole, block, block + 1), block);
			assert_int_equal(entry, ENTRY_FULL);
		}
	}
}

/* ---- who comes in between ---- */

static unsigned countdown;      /* CAS of that pair before it happens */
static const char *at_pair;
static void (*obstacle)(void);
static uint32_t its_block, its_word;
static uint64_t its_mask;
static struct image after;      /* the obstacle alone, had the claim never been tried */

static void come_between(const void *word, const char *pair)
{
	(void)word;
	if (strcmp(pair, at_pair) || countdown-- > 1)
		return;
	obstacle();
	before_cas = come_between; /* run_hook leaves it alone then */
	at_pair = "nowhere";
}

static void wait_for(const char *pair, unsigned nth, void (*what)(void))
{
	at_pair = pair;
	countdown = nth;
	obstacle = what;
	before_cas = come_between;
}

/* The obstacle on a map as it is now. */
static void alone(void (*what)(void))
{
	what();
	look(&after);
}

static bool it_happened(void)
{
	before_cas = NULL;
	return !strcmp(at_pair, "nowhere");
}

static void take_one_frame(void)
{
	assert_true(bitmap_claim_mask(&map, its_block * BLOCK_WORDS + 3, UINT64_C(1) << 40));
}

static void take_all_frames(void)
{
	uint32_t word;
	unsigned n = 0;

	while (n < BLOCK_FRAMES)
		n += bits_count(bitmap_take(&map, its_block, 64, 0, &word));
}

static void take_the_block(void)
{
	assert_true(bitmap_claim_blocks(&map, its_block, 1));
}

static void take_mask(void)
{
	assert_true(bitmap_claim_mask(&map, its_word, its_mask));
}

static void same_as_after_the_obstacle(void)
{
	static struct image now;

	look(&now);
	assert_memory_equal(now.words, after.words, sizeof(now.words));
	assert_memory_equal(now.entries, after.entries, sizeof(now.entries));
	nothing_hidden();
}

/* ---- whole blocks: orders 9 to 18 ---- */

static void runs_of_blocks(void **state)
{
	static void (*const kinds[])(void) = { take_one_frame, take_all_frames, take_the_block };

	(void)state;
	for (uint32_t nr = 1; nr <= BLOCKS; nr *= 2)
		for (unsigned kind = 0; kind < NELEMS(kinds); kind++)
			for (its_block = 0; its_block < nr; its_block += nr > 64 && its_block % 64 > 8 ? 11 : 1) {
				unsigned step = its_block / QUAD_BLOCKS + 1;

				for (unsigned nth = 1; nth <= step; nth += step > 8 ? step / 4 : 1) {
					fill(BLOCKS);
					alone(kinds[kind]);
					fill(BLOCKS);
					wait_for("huge.free", nth, kinds[kind]);
					assert_false(bitmap_claim_blocks(&map, 0, nr));
					assert_true(it_happened());
					same_as_after_the_obstacle();
				}
			}
}

/* The neighbour in the same word of four changes meanwhile: no obstacle. */
static void a_busy_neighbour_is_no_obstacle(void **state)
{
	(void)state;
	for (uint32_t nr = 1; nr <= 2; nr++)
		for (uint32_t block = 0; block < 4; block += nr) {
			its_block = (block + nr) % 4;
			fill(4);
			alone(take_one_frame);
			fill(4);
			wait_for("huge.free", 1, take_one_frame);
			assert_true(bitmap_claim_blocks(&map, block, nr));
			assert_true(it_happened());
			assert_int_equal(bitmap_free_count(&map, its_block), BLOCK_FRAMES - 1);
			assert_true(bitmap_free_blocks(&map, block, nr));
			same_as_after_the_obstacle();
		}
}

/* ---- below order 9 ---- */

/* The one run of the order in block 0, at `at`; all other frames of the block are in use. */
static void one_run(unsigned order, uint32_t at)
{
	fill(4);
	for (uint32_t i = 0; i < BLOCK_FRAMES; i++)
		if (i < at || i >= at + (1u << order))
			assert_true(bitmap_claim_mask(&map, i / 64, UINT64_C(1) << i % 64));
}

/* One frame of the run goes, before the promise or before any word of the claim. */
static void runs_of_frames(void **state)
{
	(void)state;
	for (unsigned order = 1; order < BLOCK_ORDER; order++)
		for (uint32_t at = 0; at < BLOCK_FRAMES; at += 1u << order)
			for (uint32_t hit = 0; hit < 1u << order; hit += order > 4 ? 7 : 1) {
				its_word = (at + hit) / 64;
				its_mask = UINT64_C(1) << (at + hit) % 64;
				one_run(order, at);
				alone(take_mask);
				one_run(order, at);
				wait_for("count.raise", 1, take_mask);
				assert_int_equal(bitmap_claim(&map, 0, order, BLOCK_FRAMES), NO_FRAME);
				assert_true(it_happened());
				same_as_after_the_obstacle();
			}
}

/* The promise holds, and somebody's frame comes back while another goes: the count allows both. */
static void swap_frames(void)
{
	uint32_t other = (its_word + 4) % BLOCK_WORDS;

	assert_true(bitmap_free_mask(&map, other, UINT64_C(1) << 63));
	assert_true(bitmap_claim_mask(&map, its_word, its_mask));
}

static void a_promise_without_a_run(void **state)
{
	(void)state;
	for (unsigned order = 1; order < BLOCK_ORDER; order++)
		for (uint32_t at = 0; at < BLOCK_FRAMES; at += 1u << order)
			for (unsigned word = 0; word < (order > WORD_ORDER ? 1u << (order - WORD_ORDER) : 1); word++) {
				its_word = at / 64 + word;
				its_mask = UINT64_C(1) << (order > WORD_ORDER ? 17 : at % 64 + (1u << order) - 1);
				one_run(order, at);
				alone(swap_frames);
				one_run(order, at);
				wait_for("bit.free", word + 1, swap_frames);
				assert_int_equal(bitmap_claim(&map, 0, order, BLOCK_FRAMES), NO_FRAME);
				assert_true(it_happened());
				same_as_after_the_obstacle();
			}
}

/* Exactly these frames: one of them goes, before the promise or after. */
static void masks(void **state)
{
	(void)state;
	for (unsigned hit = 0; hit < 64; hit++)
		for (unsigned late = 0; late < 2; late++) {
			its_word = 2;
			its_mask = UINT64_C(1) << hit;
			fill(4);
			alone(take_mask);
			fill(4);
			wait_for(late ? "bit.free" : "count.raise", 1, take_mask);
			assert_false(bitmap_claim_mask(&map, 2, ~UINT64_C(0)));
			assert_true(it_happened());
			same_as_after_the_obstacle();
		}
}

/* All the frames that a refill saw are gone when it has its promise: it gets others, or gives back. */
static void refills(void **state)
{
	(void)state;
	for (unsigned start = 0; start < BLOCK_WORDS; start++)
		for (unsigned max = 1; max <= 64; max += 21) {
			uint32_t word = 99;
			uint64_t mask;

			its_word = start;
			its_mask = ~UINT64_C(0);
			fill(4);
			alone(take_mask);
			fill(4);
			wait_for("count.raise", 1, take_mask);
			mask = bitmap_take(&map, 0, max, start, &word);
			assert_true(it_happened());
			assert_true(mask != 0);
			assert_int_not_equal(word, start);
			assert_int_equal(bitmap_free_count(&map, 0), BLOCK_FRAMES - 64 - bits_count(mask));
			assert_true(bitmap_free_mask(&map, word, mask));
			same_as_after_the_obstacle();
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_of_blocks),
		cmocka_unit_test(a_busy_neighbour_is_no_obstacle),
		cmocka_unit_test(runs_of_frames),
		cmocka_unit_test(a_promise_without_a_run),
		cmocka_unit_test(masks),
		cmocka_unit_test(refills),
	};

	return cmocka_run_group_tests_name("races", tests, NULL, NULL);
}
