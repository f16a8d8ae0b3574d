/* SPDX-License-Identifier: MIT */
/*
 * Placement: frames of RAMKA_ALLOC_LONG lie together, whatever is asked for beside them; and scarce memory, below 4 GiB where
 * there is more above, is taken last.
 */
#include "fixture.h"
#include "zone/territory.h"

#define FRAMES 2048u /* 8 MiB */

static const struct ramka_request LONG = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_LONG };

static struct ramka_request long_req(unsigned order)
{
	return (struct ramka_request){ .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_LONG };
}

static uint64_t block_of(const struct fixture *f, const struct ramka_frame *frame)
{
	return (ramka_frame_paddr(f->r, frame) - BASE) / (2 * MIB);
}

static uint32_t rng = 1;

static uint32_t below(uint32_t n)
{
	rng = rng * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(rng >> 8) * n >> 24);
}

/* A tenth lasts; what is left when the others go. */
static uint64_t whole_blocks_left(struct ramka_request lasting, unsigned max_order)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .size = 64 * MIB });
	struct ramka_frame **brief = frame_table(64 * 256), **stay = frame_table(64 * 256);
	size_t nr_brief = 0, nr_stay = 0;
	uint64_t whole;

	for (unsigned used = 0; used < 64 * 256 * 9 / 10;) {
		unsigned order = below(max_order + 1);
		bool lasts = below(10) == 0;
		struct ramka_request req = lasts ? lasting : UNINIT;

		req.order = (uint8_t)order;
		*(lasts ? &stay[nr_stay++] : &brief[nr_brief++]) = must_alloc(f->cpu[below(2)], req);
		used += 1u << order;
	}
	for (size_t i = 0; i < nr_brief; i++)
		ramka_frame_put(f->cpu[below(2)], brief[i]);
	ramka_drain(f->r);
	AUDIT(f);
	whole = stats(f).free_huge;
	put_all(f->cpu[0], stay, nr_stay);
	CLOSE(f);
	free(brief);
	free(stay);
	return whole;
}

static void what_lasts_leaves_the_rest_whole(void **state)
{
	(void)state;
	for (unsigned max_order = 0; max_order <= 4; max_order += 2) {
		assert_true(whole_blocks_left(LONG, max_order) >= 24); /* of 32, less 10 % */
		assert_true(whole_blocks_left(UNINIT, max_order) < 8);
	}
}

/* Advice: every frame can be had whatever was said of those before. */
static void every_frame_can_be_had(void **state)
{
	static const unsigned flags[] = { 0, RAMKA_ALLOC_SHORT, RAMKA_ALLOC_LONG, RAMKA_ALLOC_MOVABLE };
	struct ramka_frame *first[8], **frames = frame_table(FRAMES + 1);

	(void)state;
	for (unsigned i = 0; i < NELEMS(flags) * NELEMS(flags); i++) {
		struct ramka_request a = UNINIT, b = UNINIT;
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
		size_t n;

		a.flags |= (uint16_t)flags[i / NELEMS(flags)];
		b.flags |= (uint16_t)flags[i % NELEMS(flags)];
		for (unsigned order = 0; order < 8; order++) {
			a.order = (uint8_t)order;
			first[order] = must_alloc(f->cpu[order % 2], a);
		}
		n = alloc_all(f->cpu[i % 2], b, frames, FRAMES + 1);
		assert_int_equal(n, FRAMES - 255);
		AUDIT(f);
		put_all(f->none, first, 8);
		assert_int_equal(alloc_all(f->none, b, frames + n, FRAMES + 1 - n), 255);
		put_all(f->cpu[1], frames, n + 255);
		AUDIT(f);
		CLOSE(f);
	}
	free(frames);
}

static void every_order_lasts(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = 32 * MIB });
	struct ramka_frame *frames[11];
	uint64_t at = 0;

	(void)state;
	for (unsigned order = 0; order <= 10; order++) {
		frames[order] = must_alloc(f->cpu[0], long_req(order));
		assert_int_equal(ramka_frame_order(frames[order]), order);
		if (!order)
			at = block_of(f, frames[0]);
		if (order < 9) /* 511 frames and those of the stack: two blocks at most */
			assert_true(block_of(f, frames[order]) - at <= 1);
		AUDIT(f);
	}
	put_all(f->cpu[0], frames, 11);
	CLOSE(f);
}

/* The stack is one more place where free frames are. */
static void the_stack_is_found(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame **frames = frame_table(FRAMES), *one = must_alloc(f->cpu[0], LONG), *next;
	ramka_paddr_t pa = ramka_frame_paddr(f->r, one) + PAGE;

	(void)state;
	assert_true(stats(f).cached > 0);
	AUDIT(f);
	assert_int_equal(ramka_frame_from_unused(f->cpu[1], pa, &ramka_type_untyped, NULL, &next), 0); /* claimed by address */
	ramka_frame_put(f->cpu[1], next);
	put_all(f->cpu[0], &one, 1);
	one = must_alloc(f->cpu[0], LONG);
	assert_true(stats(f).cached > 0);
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, frames, FRAMES), FRAMES - 1); /* drained by another */
	put_all(f->cpu[1], frames, FRAMES - 1);
	ramka_drain(f->r);
	next = must_alloc(f->cpu[0], LONG);
	ramka_cpu_offline(f->cpu[0]);
	ramka_drain(f->r);
	assert_int_equal(stats(f).cached, 0);
	assert_int_equal(stats(f).free, FRAMES - 2);
	put_all(f->cpu[1], &one, 1);
	put_all(f->cpu[1], &next, 1);
	CLOSE(f);
	free(frames);
}

/* A call on top of another, a CPU that is revoked, the handle without a cache. */
static void without_a_section_too(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *mine[64], *others[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		mine[i] = must_alloc(f->none, LONG);
		others[i] = must_alloc(f->none, UNINIT);
		assert_true(block_of(f, mine[i]) != block_of(f, others[i]));
		assert_int_equal(block_of(f, mine[i]), block_of(f, mine[0]));
	}
	put_all(f->none, mine, 64);
	put_all(f->none, others, 64);
	CLOSE(f);
}

static void limits_and_segments_last(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_request low = LONG;
	struct ramka_frame *brief = must_alloc(f->cpu[0], UNINIT), *stay = must_alloc(f->cpu[0], LONG), *lower;
	struct ramka_segment s;

	(void)state;
	low.addr_bits = 27;
	lower = must_alloc(f->cpu[0], low);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 40, &ramka_type_untyped, NULL, NULL, LONG, &s), 0);
	assert_int_equal(block_of(f, lower), block_of(f, stay));
	assert_int_equal((s.base - BASE) / (2 * MIB), block_of(f, stay));
	assert_true(block_of(f, brief) != block_of(f, stay));
	ramka_segment_put(f->cpu[0], s);
	ramka_frame_put(f->cpu[0], brief);
	ramka_frame_put(f->cpu[0], stay);
	ramka_frame_put(f->cpu[0], lower);
	CLOSE(f);
}

/* Those that go soon, or can move, are served as any. */
static void the_others_are_served_by_the_cache(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
		struct ramka_frame *one = must_alloc(f->cpu[0], req), *again;

		req.flags |= i ? RAMKA_ALLOC_MOVABLE : RAMKA_ALLOC_SHORT;
		ramka_frame_put(f->cpu[0], one);
		again = must_alloc(f->cpu[0], req);
		assert_ptr_equal(again, one);
		ramka_frame_put(f->cpu[0], again);
	}
	CLOSE(f);
}

/* A frame that lasted does not come back as one that goes soon, nearly full as its block is. */
static void a_place_that_lasts_stays_one(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *stay[512], *brief = must_alloc(f->cpu[0], UNINIT), *next;
	uint64_t at;

	(void)state;
	for (unsigned i = 0; i < 512; i++)
		stay[i] = must_alloc(f->cpu[0], LONG);
	at = block_of(f, stay[0]);
	assert_int_equal(block_of(f, stay[511]), at);
	ramka_frame_put(f->cpu[0], stay[100]);
	ramka_frame_put(f->cpu[0], stay[300]);
	next = must_alloc(f->cpu[0], UNINIT);
	assert_true(block_of(f, next) != at);
	ramka_drain(f->r);
	stay[100] = must_alloc(f->cpu[0], LONG);
	stay[300] = must_alloc(f->cpu[0], LONG);
	assert_int_equal(block_of(f, stay[100]), at);
	assert_int_equal(block_of(f, stay[300]), at);
	put_all(f->cpu[0], stay, 512);
	ramka_frame_put(f->cpu[0], brief);
	ramka_frame_put(f->cpu[0], next);
	CLOSE(f);
}

/* With no whole block left the emptiest becomes lasting; a whole one belongs to whom takes it next. */
static void blocks_change_sides(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame **frames = frame_table(FRAMES), *stay[300];
	struct zone *z = f->r->zones;
	size_t n = alloc_all(f->cpu[0], UNINIT, frames, FRAMES), kept = 0;

	(void)state;
	assert_int_equal(n, FRAMES);
	for (size_t i = 0; i < n; i++) /* block 2 is the emptiest then, and none is whole */
		if (i % 512 < 3 + block_of(f, frames[i]) * 2 || (block_of(f, frames[i]) == 2 && i % 2))
			ramka_frame_put(f->cpu[0], frames[i]);
		else
			frames[kept++] = frames[i];
	ramka_drain(f->r);
	for (unsigned i = 0; i < 250; i++) {
		stay[i] = must_alloc(f->cpu[0], LONG);
		assert_int_equal(block_of(f, stay[i]), 2);
	}
	assert_true(zone_is_lasting(z, 2));
	put_all(f->cpu[0], frames, kept);
	put_all(f->cpu[0], stay, 250);
	ramka_drain(f->r);
	assert_true(zone_is_lasting(z, 2)); /* nobody took it since */
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (uint32_t block = 0; block < 4; block++)
		assert_false(zone_is_lasting(z, block));
	put_all(f->cpu[0], frames, FRAMES);
	CLOSE(f);
	free(frames);
}

/* ---- scarce memory ---- */

#define EDGE (4 * GIB)
static const struct ramka_region across[] = { { EDGE - 8 * MIB, 24 * MIB, RAMKA_USABLE, 0 } };
#define BELOW 2048u /* frames */
#define ABOVE 4096u

static bool is_scarce(const struct fixture *f, const struct ramka_frame *frame)
{
	return ramka_frame_paddr(f->r, frame) < EDGE;
}

static void scarce_memory_comes_last(void **state)
{
	struct ramka_frame **frames = frame_table(BELOW + ABOVE);

	(void)state;
	for (unsigned flags = RAMKA_ALLOC_UNINIT; flags <= (RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_LONG); flags += RAMKA_ALLOC_LONG)
		for (unsigned order = 0; order <= 11; order++)
			for (unsigned who = 0; who < 2; who++) {
				struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .regions = across, .nr_regions = 1 });
				struct ramka_request req = { .order = (uint8_t)order, .flags = (uint16_t)flags };
				size_t n = alloc_all(who ? f->none : f->cpu[0], req, frames, BELOW + ABOVE);

				assert_int_equal(n, (BELOW + ABOVE) >> order);
				for (size_t i = 0; i < n; i++)
					assert_int_equal(is_scarce(f, frames[i]), i >= ABOVE >> order);
				put_all(f->cpu[0], frames, n);
				CLOSE(f);
			}
	free(frames);
}

/* The pass that believes no hint. */
static void exhaustively_too(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .regions = across, .nr_regions = 1 });
	struct zone *z = f->r->zones;
	uint32_t edge = z->scarce * BLOCK_FRAMES;

	(void)state;
	assert_int_equal(z->origin + edge, EDGE / PAGE);
	for (unsigned order = 0; order <= 12; order++) {
		uint32_t bit = zone_alloc_exhaustive(z, order, NO_LIMIT);

		assert_int_equal(bit != NO_FRAME, order < 12 || z->origin % 4096 == 0);
		if (bit == NO_FRAME)
			continue;
		assert_true(bit >= edge);
		assert_true(zone_free(z, bit, order));
		bit = zone_alloc_exhaustive(z, order, edge);
		if (order <= 11) {
			assert_true(bit < edge);
			assert_true(zone_free(z, bit, order));
		}
	}
	CLOSE(f);
}

/* A range that fits nowhere aligned above, but does unaligned. */
static void ranges_too(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .regions = across, .nr_regions = 1 });
	struct ramka_frame *pin[2];
	struct ramka_segment s[3];
	ramka_paddr_t pins[2] = { EDGE + 100 * PAGE, EDGE + 2148 * PAGE };

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ramka_frame_from_unused(f->cpu[0], pins[i], &ramka_type_untyped, NULL, &pin[i]), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ramka_segment_alloc(f->cpu[0], 1500, &ramka_type_untyped, NULL, NULL, UNINIT, &s[i]), 0);
		assert_int_equal(s[i].base < EDGE, i == 2);
	}
	for (unsigned i = 0; i < 3; i++)
		ramka_segment_put(f->cpu[0], s[i]);
	put_all(f->cpu[0], pin, 2);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lasts_leaves_the_rest_whole),
		cmocka_unit_test(every_frame_can_be_had),
		cmocka_unit_test(every_order_lasts),
		cmocka_unit_test(the_stack_is_found),
		cmocka_unit_test(without_a_section_too),
		cmocka_unit_test(limits_and_segments_last),
		cmocka_unit_test(the_others_are_served_by_the_cache),
		cmocka_unit_test(a_place_that_lasts_stays_one),
		cmocka_unit_test(blocks_change_sides),
		cmocka_unit_test(scarce_memory_comes_last),
		cmocka_unit_test(exhaustively_too),
		cmocka_unit_test(ranges_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
