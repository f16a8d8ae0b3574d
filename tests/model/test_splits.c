/* SPDX-License-Identifier: MIT */
/*
 * A region of 64 frames, in every way it can be cut: all pairs of (order, offset) as frames, as splits of a larger one, and
 * all segments; freed in every order that matters. The largest frame can be had again each time.
 */
#include "unit/fixture.h"

#define FRAMES 64u

static struct fixture *open_at(uint64_t first)
{
	struct ramka_region g = { first * PAGE, FRAMES * PAGE, RAMKA_USABLE, 0 };

	return fixture_open((struct spec){ .regions = &g, .nr_regions = 1, .flags = RAMKA_NO_DIRECT_MAP });
}

/* Every frame of `order` that the region holds, and all at once: then it is empty, or full again. */
static void every_order_and_offset(void **state)
{
	static const uint64_t firsts[] = { 1024, 1024 + 448, 512 - 32, 4096 - 1, 777 }; /* aligned, at a block's end, across, odd */

	(void)state;
	for (unsigned i = 0; i < NELEMS(firsts); i++)
		for (unsigned order = 0; order <= 6; order++) {
			struct fixture *f = open_at(firsts[i]);
			struct ramka_frame *frames[FRAMES + 1];
			uint64_t low = (firsts[i] + (1u << order) - 1) >> order, high = (firsts[i] + FRAMES) >> order;
			size_t n = alloc_all(f->cpu[0], order_req(order), frames, FRAMES + 1);
			uint64_t seen = 0;

			assert_int_equal(n, high > low ? high - low : 0);
			for (size_t j = 0; j < n; j++)
				seen |= bits_run((unsigned)(ramka_frame_index(f->r, frames[j]) - firsts[i]), 0);
			assert_int_equal(bits_count(seen), n);
			for (size_t j = 0; j < n; j++) { /* free one, and that one comes back */
				struct ramka_frame *one;

				ramka_frame_put(f->cpu[j % 2], frames[j]);
				one = must_alloc(f->cpu[0], order_req(order));
				assert_ptr_equal(one, frames[j]);
			}
			put_all(f->cpu[1], frames, n);
			CLOSE(f);
		}
}

/* Merge: two frames (order, offset) are free, all the rest is used; a request of the order above knows if they make one. */
static void every_pair_of_frames(void **state)
{
	struct fixture *f = open_at(1024);
	struct ramka_frame *all[FRAMES], *one;

	(void)state;
	assert_int_equal(alloc_all(f->none, UNINIT, all, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) /* in the order of their addresses */
		all[i] = slot_at(f, (1024 + i) * PAGE);
	for (unsigned order = 0; order < 6; order++)
		for (unsigned a = 0; a < FRAMES; a += 1u << order)
			for (unsigned b = 0; b < FRAMES; b += 1u << order) {
				struct ramka_frame *parts[FRAMES];
				unsigned n = 1u << order;

				if (a == b)
					continue;
				put_all(f->none, all + a, n);
				put_all(f->none, all + b, n);
				one = ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, order_req(order + 1));
				assert_int_equal(one != NULL, (a ^ b) == n); /* buddies */
				if (one) {
					assert_ptr_equal(one, all[a < b ? a : b]);
					ramka_frame_put(f->none, one);
				}
				assert_int_equal(alloc_all(f->none, UNINIT, parts, FRAMES), 2 * n);
			}
	put_all(f->none, all, FRAMES);
	CLOSE(f);
}

/* A frame of `old` at every offset, split into every order, the parts freed in four orders. */
static void every_split(void **state)
{
	(void)state;
	for (unsigned old = 0; old <= 6; old++)
		for (unsigned order = 0; order <= old; order++)
			for (unsigned way = 0; way < 4; way++) {
				struct fixture *f = open_at(1024);
				struct ramka_unique *whole[FRAMES], *parts[FRAMES];
				unsigned nr = FRAMES >> old, n = 1u << (old - order);

				for (unsigned i = 0; i < nr; i++)
					whole[i] = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(old));
				for (unsigned i = 0; i < nr; i++) {
					struct ramka_frame *again;

					assert_int_equal(ramka_unique_split(f->r, whole[i], order, parts), 0);
					for (unsigned j = 0; j < n; j++) {
						unsigned k = way == 0 ? j : way == 1 ? n - 1 - j : way == 2 ? j ^ (n / 2) : (j * 5 + 1) % n;

						ramka_unique_free(f->cpu[j % 2], parts[k]);
					}
					again = must_alloc(f->cpu[1], order_req(old)); /* merged */
					assert_ptr_equal(slot_of(whole[i]), again);
					whole[i] = ramka_frame_try_unique(f->r, again);
				}
				for (unsigned i = 0; i < nr; i++)
					ramka_unique_free(f->cpu[0], whole[i]);
				CLOSE(f);
			}
}

/* Every segment [a, b), cut at every point, its halves put in both orders. */
static void every_segment(void **state)
{
	struct fixture *f = open_at(1024 + 480); /* across a block */

	(void)state;
	for (unsigned a = 0; a < FRAMES; a++)
		for (unsigned b = a + 1; b <= FRAMES; b++) {
			struct ramka_segment s, t, u;

			assert_int_equal(ramka_segment_from_unused(f->none, (1024 + 480 + a) * PAGE, (b - a) * PAGE, &ramka_type_untyped, NULL,
								   NULL, &s), 0);
			assert_int_equal(stats(f).free, FRAMES - (b - a));
			for (unsigned cut = 1; cut < b - a; cut += 1 + cut / 2) {
				assert_int_equal(ramka_segment_split(f->r, s, cut * PAGE, &t, &u), 0);
				ramka_segment_put(f->none, cut % 2 ? t : u);
				assert_int_equal(stats(f).free, FRAMES - (b - a) + (cut % 2 ? cut : b - a - cut));
				ramka_segment_put(f->none, cut % 2 ? u : t);
				assert_int_equal(stats(f).free, FRAMES);
				assert_int_equal(ramka_segment_from_unused(f->none, (1024 + 480 + a) * PAGE, (b - a) * PAGE, &ramka_type_untyped,
									   NULL, NULL, &s), 0);
			}
			ramka_segment_put(f->none, s);
		}
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_and_offset),
		cmocka_unit_test(every_pair_of_frames),
		cmocka_unit_test(every_split),
		cmocka_unit_test(every_segment),
	};

	return cmocka_run_group_tests_name("splits", tests, NULL, NULL);
}
