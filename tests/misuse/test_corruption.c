/* SPDX-License-Identifier: MIT */
/*
 * Stray writes. A free frame whose state word was changed is reported when the allocator comes upon it, counted as in use
 * and never handed out; everything else goes on. A bit flipped in any slot ends in a report or in a correct result.
 */
#include "unit/fixture.h"

#define FRAMES 256u

static const uint64_t values[] = { 1, 0xdead, REF_SHARED(1), REF_SHARED(7), REF_UNIQUE, REF_UNUSED, REF_BUSY(0), REF_DEFERRED(0),
				   REF_SATURATED, UINT64_MAX };

static const bool by_return = false, by_jump = true;

enum place { CACHED, CACHED_BY_ANOTHER, IN_ZONE, NR_PLACES };

/* Every frame was in use once, so that slots are not fresh; then they are where the test wants them. */
static struct fixture *open_with_frames(enum place place, bool jumps)
{
	struct fixture *f = fixture_open((struct spec){ .size = FRAMES * PAGE, .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES + 1];

	f->jumps = jumps;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES + 1), FRAMES);
	put_all(place == IN_ZONE ? f->none : f->cpu[place], frames, FRAMES);
	return f;
}

/* All the memory but the leaked frames, by calls that must report `reports` bugs on the way. */
static size_t drain_frames(struct fixture *f, struct ramka_frame **frames, unsigned reports)
{
	static size_t n;
	unsigned before = f->bugs;

	f->expected = 1;
	n = 0;
	(void)setjmp(f->env); /* after a jump: the same call again */
	while ((frames[n] = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT)))
		n++;
	f->expected = 0;
	assert_int_equal(f->bugs - before, reports);
	return n;
}

static void a_free_frame_that_was_written_to(void **state)
{
	static struct ramka_frame *frames[FRAMES + 1];

	for (unsigned place = 0; place < NR_PLACES; place++)
		for (unsigned i = 0; i < NELEMS(values); i++)
			for (uint64_t at = 0; at < FRAMES; at += 51) {
				struct fixture *f = open_with_frames((enum place)place, *(const bool *)*state);
				struct ramka_frame *victim = slot_at(f, BASE + at * PAGE);
				size_t n;

				ramka_store(&victim->ref, values[i], relaxed, slot.look);
				n = drain_frames(f, frames, 1);
				assert_int_equal(n, FRAMES - 1);
				assert_int_equal(f->bug.paddr, BASE + at * PAGE);
				assert_int_equal(f->bug.ref, values[i]);
				for (size_t j = 0; j < n; j++)
					assert_ptr_not_equal(frames[j], victim);
				AUDIT(f); /* leaked is in use */
				put_all(f->cpu[0], frames, n);
				assert_int_equal(drain_frames(f, frames, 0), FRAMES - 1); /* and stays so */
				put_all(f->cpu[0], frames, FRAMES - 1);
				CLOSE_LEAKING(f, 1);
			}
}

static void in_bulk(void **state)
{
	static struct ramka_frame *frames[FRAMES + 1];

	for (uint64_t at = 0; at < FRAMES; at += 17) {
		struct fixture *f = open_with_frames(IN_ZONE, *(const bool *)*state);

		ramka_store(&slot_at(f, BASE + at * PAGE)->ref, REF_SHARED(1), relaxed, slot.look);
		memset(frames, 0, sizeof(frames));
		f->expected = 1;
		if (!f->jumps)
			assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, FRAMES, frames), FRAMES - 1);
		else if (!setjmp(f->env))
			ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, FRAMES, frames);
		f->expected = 0;
		assert_int_equal(f->bugs, 1);
		AUDIT(f);
		for (unsigned i = 0; frames[i]; i++) /* what a jump left is the caller's, and known to it */
			ramka_frame_put(f->cpu[0], frames[i]);
		CLOSE_LEAKING(f, 1);
	}
}

static void in_a_segment(void **state)
{
	for (uint64_t at = 0; at < FRAMES; at += 17) {
		struct fixture *f = open_with_frames(IN_ZONE, *(const bool *)*state);
		static struct ramka_segment s;

		s = (struct ramka_segment){ 1, 2 };
		ramka_store(&slot_at(f, BASE + at * PAGE)->ref, REF_UNIQUE, relaxed, slot.look);
		f->expected = 1;
		if (!f->jumps)
			assert_int_equal(ramka_segment_alloc(f->cpu[0], FRAMES, &ramka_type_untyped, NULL, NULL, UNINIT, &s), RAMKA_E_NOMEM);
		else if (!setjmp(f->env))
			ramka_segment_alloc(f->cpu[0], FRAMES, &ramka_type_untyped, NULL, NULL, UNINIT, &s);
		f->expected = 0;
		assert_int_equal(f->bugs, 1);
		assert_int_equal(s.base, 1);
		assert_int_equal(in_use(f), 1); /* the rest went back */
		AUDIT(f);
		CLOSE_LEAKING(f, 1);
	}
}

static void a_larger_frame(void **state)
{
	for (unsigned order = 1; order <= 8; order++) {
		struct fixture *f = open_with_frames(IN_ZONE, *(const bool *)*state);
		static struct ramka_frame *one;

		ramka_store(&slot_at(f, BASE)->ref, 12345, relaxed, slot.look);
		one = NULL;
		f->expected = 1;
		(void)setjmp(f->env);
		while ((one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(order))) && f->bugs == 0)
			;
		f->expected = 0;
		assert_int_equal(f->bugs, 1);
		AUDIT(f);
		CLOSE_LEAKING(f, in_use(f)); /* the whole frame is gone, and what was allocated on the way */
	}
}

/* A bit of the bitmap that says free for a frame in use: found when the frame is freed, and the frame is not there twice. */
static void a_used_frame_that_is_free_in_the_bitmap(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 8; order++) {
		struct fixture *f = fixture_open((struct spec){ .size = FRAMES * PAGE, .nr_cpus = 1 });
		struct ramka_frame *one = must_alloc(f->none, order_req(order)), *frames[FRAMES + 1];
		struct bitmap *b = &f->r->zones[0].map;
		bool seen[FRAMES] = { false };
		size_t n;

		assert_int_equal(ramka_frame_paddr(f->r, one), BASE);
		assert_true(bitmap_free_mask(b, 0, 1)); /* and the counts agree */
		assert_true(ramka_check(f->r, NULL) > 0);
		EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->none, one));
		n = alloc_all(f->none, UNINIT, frames, FRAMES + 1);
		assert_true(n >= FRAMES - (1u << order) && n <= FRAMES);
		for (size_t i = 0; i < n; i++) {
			uint64_t at = ramka_frame_index(f->r, frames[i]) - BASE / PAGE;

			assert_false(seen[at]);
			seen[at] = true;
		}
		fixture_unmap(f);
	}
}

/* The same, for a frame that waits in a cache: no caller is at fault when it is found, so the audit tells. */
static void a_cached_frame_that_is_free_in_the_bitmap(void **state)
{
	struct fixture *f = open_with_frames(CACHED, false);

	(void)state;
	assert_true(cpu_count(f->cpu[0]) > 0);
	bitmap_free_mask(&f->r->zones[0].map, cache_of(f->cpu[0])->frames[0] / 64, UINT64_C(1) << cache_of(f->cpu[0])->frames[0] % 64);
	assert_true(ramka_check(f->r, NULL) > 0);
	ramka_cpu_offline(f->cpu[0]);
	assert_true(ramka_check(f->r, NULL) > 0); /* remembered */
	fixture_unmap(f);
}

/* One bit in the slot of a frame in use, then calls on it and around it: no hang, no frame twice, no crash. */
static void every_bit_of_a_slot_in_use(void **state)
{
	(void)state;
	for (unsigned word = 0; word < 2; word++)
		for (unsigned bit = 0; bit < 64; bit++) {
			struct fixture *f = open_with_frames(CACHED, false);
			struct ramka_frame *victim = must_alloc(f->cpu[0], UNINIT), *frames[FRAMES + 1], *ret;
			ramka_paddr_t pa = ramka_frame_paddr(f->r, victim);
			bool seen[FRAMES] = { false };
			size_t n;

			f->expected = 1;
			if (word)
				slot_set_info(victim, slot_info(victim) ^ UINT64_C(1) << bit);
			else
				ramka_store(&victim->ref, slot_ref(victim) ^ UINT64_C(1) << bit, relaxed, slot.look);
			ramka_frame_from_in_use(f->r, pa, &ret);
			ramka_frame_from_unused(f->cpu[0], pa, &ramka_type_untyped, NULL, &ret);
			ramka_frame_get(f->r, victim);
			ramka_frame_try_unique(f->r, victim);
			ramka_check(f->r, NULL);
			n = alloc_all(f->cpu[0], UNINIT, frames, FRAMES + 1);
			assert_true(n <= FRAMES);
			for (size_t i = 0; i < n; i++) {
				uint64_t at = ramka_frame_index(f->r, frames[i]) - BASE / PAGE;

				assert_true(at < FRAMES && !seen[at]);
				seen[at] = true;
			}
			f->expected = 0;
			fixture_unmap(f);
		}
}

int main(void)
{
#define BOTH(test) { #test, test, NULL, NULL, (void *)(uintptr_t)&by_return }, \
		   { #test "_by_longjmp", test, NULL, NULL, (void *)(uintptr_t)&by_jump }
	const struct CMUnitTest tests[] = {
		BOTH(a_free_frame_that_was_written_to),
		BOTH(in_bulk),
		BOTH(in_a_segment),
		BOTH(a_larger_frame),
		cmocka_unit_test(a_used_frame_that_is_free_in_the_bitmap),
		cmocka_unit_test(a_cached_frame_that_is_free_in_the_bitmap),
		cmocka_unit_test(every_bit_of_a_slot_in_use),
	};

	return cmocka_run_group_tests_name("corruption", tests, NULL, NULL);
}
