/* SPDX-License-Identifier: MIT */
/*
 * Claims of many frames that fail: every order, every blocking position, every kind of blocker. The bitmap, bit by bit,
 * and every frame's state are the same before and after. Obstacles that turn up in the middle are in test_races.c.
 */
#include "unit/fixture.h"

enum blocker { B_SHARED, B_UNIQUE, B_BUSY, B_CACHED, B_SATURATED, B_RESERVED, B_HOLE, NR_BLOCKERS };

static RAMKA_DEFINE_TYPE_PLAIN(type, .id = 16);

struct image {
	uint64_t *words;
	uint16_t *entries;
	struct tally tally;
	uint32_t blocks;
};

/* The zone's bits and counts; the hints of order aside, which a search may lower. */
static struct image look(const struct fixture *f)
{
	const struct bitmap *b = &f->r->zones[0].map;
	struct image i = { .blocks = b->blocks, .tally = tally(f) };

	i.words = malloc(b->blocks * BLOCK_WORDS * sizeof(*i.words));
	i.entries = malloc(b->blocks * sizeof(*i.entries));
	assert_true(i.words && i.entries);
	memcpy(i.words, (const void *)b->words, b->blocks * BLOCK_WORDS * sizeof(*i.words));
	for (uint32_t block = 0; block < b->blocks; block++)
		i.entries[block] = (uint16_t)(bitmap_entry(b, block) & (ENTRY_HUGE | ENTRY_COUNT));
	return i;
}

static void same(const struct fixture *f, struct image before)
{
	struct image now = look(f);

	assert_memory_equal(before.words, now.words, now.blocks * BLOCK_WORDS * sizeof(*now.words));
	assert_memory_equal(before.entries, now.entries, now.blocks * sizeof(*now.entries));
	assert_memory_equal(before.tally.state, now.tally.state, sizeof(now.tally.state));
	AUDIT(f);
	free(before.words);
	free(before.entries);
	free(now.words);
	free(now.entries);
}

/* Memory of 2^order frames with one that is in the way; regions for those that are so from the start. */
static struct fixture *blocked(unsigned order, uint64_t at, enum blocker blocker, enum ramka_region_kind kind)
{
	struct ramka_region g[2] = {
		{ GIB, PAGE << order, kind, 0 },
		{ GIB + at * PAGE, PAGE, blocker == B_HOLE ? RAMKA_MMIO : RAMKA_RESERVED, 0 },
	};
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = blocker == B_RESERVED || blocker == B_HOLE ? 2 : 1,
							.flags = RAMKA_NO_DIRECT_MAP | RAMKA_METADATA_ZEROED, .rcu = true });
	struct ramka_frame *frame = NULL;
	struct ramka_unique *u;

	assert_int_equal(ramka_type_register(f->r, &type), 0);
	if (blocker == B_RESERVED || blocker == B_HOLE)
		return f;
	assert_int_equal(ramka_frame_from_unused(f->cpu[1], g[1].base, &type, NULL, &frame), 0);
	if (blocker == B_UNIQUE) {
		u = ramka_frame_try_unique(f->r, frame);
		assert_non_null(u);
	}
	if (blocker == B_BUSY)
		ramka_frame_put_rcu(f->cpu[1], frame);
	if (blocker == B_CACHED) { /* free, but where nobody gets it */
		ramka_frame_put(f->cpu[1], frame);
		f->barrier_declines = true;
	}
	if (blocker == B_SATURATED)
		ramka_store(&frame->ref, REF_SATURATED, relaxed, slot.look);
	return f;
}

static void unblock(struct fixture *f, uint64_t at, enum blocker blocker)
{
	struct ramka_frame *frame = &f->r->slots[at]; /* unless it is a hole */

	f->barrier_declines = false;
	if (blocker == B_SHARED)
		ramka_frame_put(f->cpu[1], frame);
	if (blocker == B_UNIQUE)
		ramka_unique_free(f->cpu[1], unique_of(frame));
	if (blocker == B_SATURATED)
		CLOSE_LEAKING(f, 1);
	else
		CLOSE(f);
}

/* ---- a frame of 2^order ---- */

static void frames_of_each_order(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= 11; order++)
		for (unsigned blocker = 0; blocker < NR_BLOCKERS; blocker++)
			for (uint64_t at = 0; at < UINT64_C(1) << order; at += order < 9 ? 1 : 1 + at % 37) {
				struct fixture *f = blocked(order, at, (enum blocker)blocker, RAMKA_USABLE);
				struct image before = look(f);
				struct ramka_segment s;

				assert_null(ramka_frame_alloc(f->cpu[0], &type, NULL, order_req(order)));
				assert_null(ramka_frame_alloc(f->none, &type, NULL, order_req(order)));
				if (at % 5 == 0)
					assert_int_equal(ramka_segment_alloc(f->cpu[0], UINT64_C(1) << order, &type, NULL, NULL, UNINIT, &s),
							 RAMKA_E_NOMEM);
				same(f, before);
				unblock(f, at, (enum blocker)blocker);
			}
}

/* Orders 12 to 18: at each block of the run, at its first, last and middle frame. */
static void frames_of_large_orders(void **state)
{
	static const uint64_t inside[] = { 0, 511, 200 };

	(void)state;
	for (unsigned order = 12; order <= RAMKA_MAX_ORDER; order++) {
		struct ramka_region g = { GIB, PAGE << order, RAMKA_USABLE, 0 };
		struct fixture *f = fixture_open((struct spec){ .regions = &g, .nr_regions = 1,
								.flags = RAMKA_NO_DIRECT_MAP | RAMKA_METADATA_ZEROED });
		struct bitmap *b = &f->r->zones[0].map;
		uint64_t blocks = UINT64_C(1) << (order - 9);
		uint64_t *before = malloc(b->blocks * BLOCK_WORDS * 8);

		assert_non_null(before);
		for (uint64_t block = 0; block < blocks; block += order < 15 ? 1 : 1 + block % 7)
			for (unsigned i = 0; i < NELEMS(inside); i++) {
				struct ramka_frame *frame, *whole;
				unsigned free_blocks = 0;

				assert_int_equal(ramka_frame_from_unused(f->none, GIB + (block * 512 + inside[i]) * PAGE, &ramka_type_untyped,
									 NULL, &frame), 0);
				memcpy(before, (const void *)b->words, b->blocks * BLOCK_WORDS * 8);
				assert_null(ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, order_req(order)));
				assert_memory_equal(before, (const void *)b->words, b->blocks * BLOCK_WORDS * 8);
				for (uint32_t j = 0; j < blocks; j++)
					free_blocks += bitmap_entry(b, j) == ENTRY_FULL;
				assert_int_equal(free_blocks, blocks - 1);
				assert_int_equal(stats(f).free, (UINT64_C(1) << order) - 1);
				ramka_frame_put(f->none, frame);
				whole = ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, order_req(order));
				assert_non_null(whole); /* and nothing is missing */
				ramka_frame_put(f->none, whole);
			}
		free(before);
		assert_int_equal(ramka_fini(f->r), 0);
		fixture_unmap(f);
	}
}

/* ---- segments by address ---- */

static void segments_by_address(void **state)
{
	static const enum ramka_region_kind kinds[] = { RAMKA_USABLE, RAMKA_DETACHED };
	static const int want[NR_BLOCKERS] = {
		[B_SHARED] = RAMKA_E_IN_USE, [B_UNIQUE] = RAMKA_E_UNIQUE, [B_BUSY] = RAMKA_E_BUSY, [B_CACHED] = RAMKA_E_BUSY,
		[B_SATURATED] = RAMKA_E_IN_USE, [B_RESERVED] = RAMKA_E_IN_USE, [B_HOLE] = RAMKA_E_OUT_OF_BOUND,
	};

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++)
		for (unsigned blocker = 0; blocker < NR_BLOCKERS; blocker++)
			for (uint64_t at = 0; at < 256; at += at < 70 ? 1 : 9) {
				struct fixture *f;
				struct image before;
				struct ramka_segment s = { 1, 2 };
				bool in_span;

				if (kind && blocker == B_CACHED)
					continue; /* a detached frame is in no cache */
				f = blocked(8, at, (enum blocker)blocker, kinds[kind]);
				in_span = blocker != B_HOLE || (at && at != 255);
				before = look(f);
				assert_int_equal(ramka_segment_from_unused(f->cpu[0], GIB, 256 * PAGE, &type, NULL, NULL, &s),
						 in_span ? want[blocker] : RAMKA_E_OUT_OF_BOUND);
				assert_int_equal(s.base, 1);
				ramka_cpu_offline(f->cpu[0]); /* what was given back may be cached */
				same(f, before);
				unblock(f, at, (enum blocker)blocker);
			}
}

/* ---- ranges of any length, and parts of a whole block ---- */

static void ranges(void **state)
{
	static const struct { uint32_t first, nr; } tries[] = { { 0, 2048 }, { 3, 130 }, { 60, 8 }, { 500, 600 }, { 512, 512 }, { 511, 514 },
								{ 1000, 1048 } };
	struct fixture *f = fixture_open((struct spec){ .flags = RAMKA_NO_DIRECT_MAP });
	struct zone *z = &f->r->zones[0];

	(void)state;
	for (unsigned i = 0; i < NELEMS(tries); i++)
		for (uint32_t at = 0; at < tries[i].nr; at++) {
			uint32_t hit = tries[i].first + at;
			struct image before, now;

			assert_true(bitmap_claim_mask(&z->map, hit / 64, UINT64_C(1) << hit % 64));
			before = look(f);
			assert_false(zone_claim_range(z, tries[i].first, tries[i].nr));
			now = look(f);
			assert_memory_equal(before.words, now.words, now.blocks * BLOCK_WORDS * sizeof(*now.words));
			assert_memory_equal(before.entries, now.entries, now.blocks * sizeof(*now.entries));
			free(before.words), free(before.entries), free(now.words), free(now.entries);
			assert_true(bitmap_free_mask(&z->map, hit / 64, UINT64_C(1) << hit % 64));
		}
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_each_order),
		cmocka_unit_test(frames_of_large_orders),
		cmocka_unit_test(segments_by_address),
		cmocka_unit_test(ranges),
	};

	return cmocka_run_group_tests_name("rollback", tests, NULL, NULL);
}
