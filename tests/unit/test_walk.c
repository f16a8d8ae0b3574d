/* SPDX-License-Identifier: MIT */
/* The walk over all frames: runs, states, types, tails, nodes. */
#include "fixture.h"

struct note { uint64_t n; };
static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16);

#define MAX_RUNS 64u

struct runs {
	struct ramka_run run[MAX_RUNS];
	size_t nr, stop;
};

static bool collect(void *ctx, const struct ramka_run *run)
{
	struct runs *r = ctx;

	assert_true(r->nr < MAX_RUNS);
	r->run[r->nr++] = *run;
	return r->nr != r->stop;
}

static struct runs walk(const struct fixture *f, size_t stop)
{
	struct runs r = { .stop = stop };

	ramka_walk(f->r, collect, &r);
	for (size_t i = 1; i < r.nr; i++) /* in a row, and not to be joined */
		assert_true(r.run[i].base == r.run[i - 1].base + r.run[i - 1].frames * PAGE &&
			    (r.run[i].state != r.run[i - 1].state || r.run[i].type != r.run[i - 1].type ||
			     r.run[i].order != r.run[i - 1].order || r.run[i].node != r.run[i - 1].node));
	return r;
}

static void is(const struct ramka_run *run, ramka_paddr_t base, uint64_t frames, enum ramka_state state, const struct ramka_type *type,
	       unsigned order, unsigned node)
{
	assert_int_equal(run->base, base);
	assert_int_equal(run->frames, frames);
	assert_int_equal(run->state, state);
	assert_ptr_equal(run->type, type);
	assert_int_equal(run->order, order);
	assert_int_equal(run->node, node);
}

static void kinds(void **state)
{
	static const struct ramka_region g[] = {
		{ BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 0 }, { BASE + 3 * MIB, MIB, RAMKA_RESERVED, 0 },
		{ BASE + 4 * MIB, MIB, RAMKA_BAD, 0 }, { BASE + 5 * MIB, MIB, RAMKA_KERNEL, 0 }, { BASE + 6 * MIB, MIB, RAMKA_MMIO, 0 },
		{ BASE + 7 * MIB, MIB, RAMKA_RECLAIMABLE, 0 },
	};
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g) });
	struct runs r = walk(f, 0);

	(void)state;
	assert_int_equal(r.nr, 8);
	is(&r.run[0], BASE, 256, RAMKA_STATE_FREE, NULL, 0, 0);
	is(&r.run[1], BASE + MIB, 256, RAMKA_STATE_UNUSED, NULL, 0, 0);
	is(&r.run[2], BASE + 2 * MIB, 256, RAMKA_STATE_HOLE, NULL, 0, 0);
	is(&r.run[3], BASE + 3 * MIB, 256, RAMKA_STATE_RESERVED, &ramka_type_reserved, 0, 0);
	is(&r.run[4], BASE + 4 * MIB, 256, RAMKA_STATE_RESERVED, &ramka_type_unusable, 0, 0);
	is(&r.run[5], BASE + 5 * MIB, 256, RAMKA_STATE_RESERVED, &ramka_type_kernel, 0, 0);
	is(&r.run[6], BASE + 6 * MIB, 256, RAMKA_STATE_HOLE, NULL, 0, 0);
	is(&r.run[7], BASE + 7 * MIB, 256, RAMKA_STATE_RESERVED, &ramka_type_reserved, 0, 0);
	CLOSE(f);
}

static void stops_when_told(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 0 },
						 { BASE + 2 * MIB, MIB, RAMKA_BAD, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g) });

	(void)state;
	for (size_t stop = 1; stop <= 3; stop++)
		assert_int_equal(walk(f, stop).nr, stop);
	CLOSE(f);
}

static void an_empty_span(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_MMIO, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 1 });

	(void)state;
	assert_int_equal(walk(f, 0).nr, 0);
	CLOSE(f);
}

static void states_of_frames(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .rcu = true });
	struct ramka_frame *shared, *deferred, *cached, *two;
	struct ramka_unique *unique;
	struct runs r;

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	/* by address, so that the map is known */
	assert_int_equal(ramka_frame_from_unused(f->none, BASE, &note_type, NULL, &shared), 0);
	assert_int_equal(ramka_unique_from_unused(f->none, BASE + PAGE, &note_type, NULL, &unique), 0);
	assert_int_equal(ramka_frame_from_unused(f->none, BASE + 2 * PAGE, &ramka_type_untyped, NULL, &deferred), 0);
	ramka_frame_put_rcu(f->none, deferred);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 3 * PAGE, &ramka_type_untyped, NULL, &cached), 0);
	two = ramka_frame_alloc(f->none, &note_type, NULL, order_req(2));
	assert_int_equal(ramka_frame_paddr(f->r, two), BASE + 4 * PAGE);
	r = walk(f, 0);
	assert_int_equal(r.nr, 7);
	is(&r.run[0], BASE, 1, RAMKA_STATE_SHARED, &note_type, 0, 0);
	is(&r.run[1], BASE + PAGE, 1, RAMKA_STATE_UNIQUE, &note_type, 0, 0);
	is(&r.run[2], BASE + 2 * PAGE, 1, RAMKA_STATE_DEFERRED, &ramka_type_untyped, 0, 0);
	is(&r.run[3], BASE + 3 * PAGE, 1, RAMKA_STATE_SHARED, &ramka_type_untyped, 0, 0);
	is(&r.run[4], BASE + 4 * PAGE, 1, RAMKA_STATE_SHARED, &note_type, 2, 0); /* one base frame of its state ... */
	is(&r.run[5], BASE + 5 * PAGE, 3, RAMKA_STATE_TAIL, NULL, 0, 0);         /* ... and its tails */
	is(&r.run[6], BASE + 8 * PAGE, 2040, RAMKA_STATE_FREE, NULL, 0, 0);
	ramka_frame_put(f->cpu[0], cached);
	r = walk(f, 0);
	is(&r.run[3], BASE + 3 * PAGE, 1, RAMKA_STATE_CACHED, NULL, 0, 0);
	ramka_frame_put(f->none, shared);
	ramka_unique_free(f->none, unique);
	ramka_frame_put(f->none, two);
	CLOSE(f);
}

static void equal_frames_make_one_run(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s;
	struct ramka_frame *big[3];
	struct runs r;

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_segment_from_unused(f->none, BASE + 4 * PAGE, 100 * PAGE, &note_type, NULL, NULL, &s), 0);
	r = walk(f, 0);
	assert_int_equal(r.nr, 3);
	is(&r.run[1], BASE + 4 * PAGE, 100, RAMKA_STATE_SHARED, &note_type, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		big[i] = must_alloc(f->none, order_req(9));
	r = walk(f, 0); /* heads and tails alternate */
	assert_int_equal(r.nr, 3 + 6);
	is(&r.run[3], BASE + 2 * MIB, 1, RAMKA_STATE_SHARED, &ramka_type_untyped, 9, 0);
	is(&r.run[4], BASE + 2 * MIB + PAGE, 511, RAMKA_STATE_TAIL, NULL, 0, 0);
	is(&r.run[8], BASE + 6 * MIB + PAGE, 511, RAMKA_STATE_TAIL, NULL, 0, 0);
	ramka_segment_put(f->none, s);
	put_all(f->none, big, 3);
	CLOSE(f);
}

static void nodes(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 3 }, { BASE + MIB, MIB, RAMKA_USABLE, 9 },
						 { BASE + 2 * MIB, MIB, RAMKA_USABLE, 3 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g) });
	struct runs r = walk(f, 0);

	(void)state;
	assert_int_equal(r.nr, 3);
	is(&r.run[0], BASE, 256, RAMKA_STATE_FREE, NULL, 0, 3);
	is(&r.run[1], BASE + MIB, 256, RAMKA_STATE_FREE, NULL, 0, 9);
	is(&r.run[2], BASE + 2 * MIB, 256, RAMKA_STATE_FREE, NULL, 0, 3);
	CLOSE(f);
}

/* A range that ends in the middle of a hole. */
static void a_part_of_a_hole(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g) });
	struct runs r = { 0 };

	(void)state;
	ramka_walk_range(f->r, BASE, 2 * MIB, collect, &r);
	assert_int_equal(r.nr, 2);
	is(&r.run[0], BASE, 256, RAMKA_STATE_FREE, NULL, 0, 0);
	is(&r.run[1], BASE + MIB, 256, RAMKA_STATE_HOLE, NULL, 0, 0);
	CLOSE(f);
}

static void saturated_and_busy(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one;
	struct runs r;

	(void)state;
	one = must_alloc(f->none, order_req(1));
	ramka_store(&one->ref, REF_SATURATED, relaxed, slot.look);
	r = walk(f, 0);
	is(&r.run[0], BASE, 1, RAMKA_STATE_SATURATED, &ramka_type_untyped, 1, 0);
	is(&r.run[1], BASE + PAGE, 1, RAMKA_STATE_TAIL, NULL, 0, 0);
	ramka_store(&one->ref, REF_BUSY(0), relaxed, slot.look);
	r = walk(f, 0);
	is(&r.run[0], BASE, 1, RAMKA_STATE_BUSY, &ramka_type_untyped, 1, 0);
	ramka_store(&one->ref, REF_SHARED(1), relaxed, slot.look);
	ramka_frame_put(f->none, one);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(stops_when_told),
		cmocka_unit_test(an_empty_span),
		cmocka_unit_test(states_of_frames),
		cmocka_unit_test(equal_frames_make_one_run),
		cmocka_unit_test(nodes),
		cmocka_unit_test(a_part_of_a_hole),
		cmocka_unit_test(saturated_and_busy),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
