/* SPDX-License-Identifier: MIT */
/* Memory that is isolated: nothing is handed out of it, what is freed stays in it, claims by address take from it, and it can be undone. */
#include "fixture.h"

#define BLOCK (2 * MIB)

static struct ramka_isolation progress(struct fixture *f, unsigned cpu, ramka_paddr_t base, uint64_t size)
{
	struct ramka_isolation n;

	assert_int_equal(ramka_isolate_progress(f->cpu[cpu], base, size, &n), 0);
	return n;
}

static bool inside(const struct fixture *f, const struct ramka_frame *frame, ramka_paddr_t base, uint64_t size)
{
	return ramka_frame_paddr(f->r, frame) - base < size;
}

/* ---- nothing new ---- */

static void nothing_is_handed_out(void **state)
{
	const uint64_t nr = 8 * MIB / PAGE;
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct ramka_frame **all = frame_table(nr);
	struct ramka_isolation n;
	size_t got;

	(void)state;
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, 2 * BLOCK), 0);
	n = progress(f, 0, BASE + BLOCK, 2 * BLOCK);
	assert_true(n.settled);
	assert_int_equal(n.free, 1024);
	assert_int_equal(n.cached + n.in_use + n.reserved, 0);
	assert_int_equal(stats(f).isolated, 1024);
	assert_int_equal(state_at(f, BASE + BLOCK), RAMKA_STATE_ISOLATED);
	assert_int_equal(ramka_frame_state_at(f->r, BASE + BLOCK + 5 * PAGE), RAMKA_STATE_ISOLATED);
	AUDIT(f);
	for (unsigned order = 0; order <= 12; order++) { /* to the last frame, and what CPU 1 holds too */
		got = alloc_all(f->cpu[order % 2], order_req(order), all, nr);
		for (size_t i = 0; i < got; i++)
			assert_false(inside(f, all[i], BASE + BLOCK, 2 * BLOCK));
		assert_int_equal(got, order < 10 ? 1024 >> order : 0);
		put_all(f->cpu[(order + 1) % 2], all, got);
		AUDIT(f);
	}
	got = alloc_all(f->none, UNINIT, all, nr);
	assert_int_equal(got, 1024);
	put_all(f->none, all, got);
	assert_int_equal(ramka_unisolate(f->cpu[1], BASE + BLOCK, 2 * BLOCK), 0);
	got = alloc_all(f->cpu[0], UNINIT, all, nr);
	assert_int_equal(got, nr);
	put_all(f->cpu[1], all, got);
	free(all);
	CLOSE(f);
}

/* ---- what is freed stays ---- */

/* Frames of every order that were handed out before, freed by every kind of handle. */
static void what_is_freed_stays(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 10; order++) {
		for (unsigned by = 0; by < 3; by++) {
			const uint64_t nr = (16 * MIB / PAGE) >> order;
			struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB });
			struct ramka_cpu *freer = by == 2 ? f->none : f->cpu[by];
			struct ramka_frame **all = frame_table(nr);
			struct ramka_isolation n;
			size_t got = alloc_all(f->cpu[0], order_req(order), all, nr), in = 0;

			assert_int_equal(got, nr);
			assert_int_equal(ramka_isolate(f->cpu[0], BASE + 2 * BLOCK, 2 * BLOCK), 0);
			n = progress(f, 0, BASE + 2 * BLOCK, 2 * BLOCK);
			assert_int_equal(n.in_use, 1024);
			put_all(freer, all, got);
			n = progress(f, 0, BASE + 2 * BLOCK, 2 * BLOCK);
			assert_true(n.settled);
			assert_int_equal(n.free, 1024);
			assert_int_equal(n.cached, 0);
			AUDIT(f);
			got = alloc_all(freer, order_req(order), all, nr);
			for (size_t i = 0; i < got; i++)
				in += inside(f, all[i], BASE + 2 * BLOCK, 2 * BLOCK);
			assert_int_equal(in, 0);
			assert_int_equal(got, (16 * MIB / PAGE - 1024) >> order);
			put_all(freer, all, got);
			assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 2 * BLOCK, 2 * BLOCK), 0);
			free(all);
			CLOSE(f);
		}
	}
}

/* One after the other: a freed frame is not the next one that is handed out, although its block refilled the cache. */
static void a_block_that_refills_is_left(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct ramka_frame *held[40], *next;
	ramka_paddr_t block;

	(void)state;
	for (unsigned order = 0; order < 4; order++) {
		for (unsigned i = 0; i < NELEMS(held); i++)
			held[i] = must_alloc(f->cpu[0], order_req(order));
		block = ramka_frame_paddr(f->r, held[0]) / BLOCK * BLOCK;
		assert_int_equal(ramka_isolate(f->none, block, BLOCK), 0);
		for (unsigned i = 0; i < NELEMS(held); i++) {
			bool in = inside(f, held[i], block, BLOCK);

			ramka_frame_put(f->cpu[0], held[i]);
			next = must_alloc(f->cpu[0], order_req(order));
			assert_false(in && next == held[i]);
			assert_false(inside(f, next, block, BLOCK));
			held[i] = next;
		}
		put_all(f->cpu[0], held, NELEMS(held));
		assert_int_equal(ramka_unisolate(f->none, block, BLOCK), 0);
		AUDIT(f);
	}
	CLOSE(f);
}

/* Deferred frames come back to it as well, whichever CPU frees them. */
static void deferred_frames_come_back(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB, .rcu = true });
	struct ramka_frame *held[100];
	struct ramka_isolation n;
	ramka_paddr_t block;

	(void)state;
	for (unsigned i = 0; i < NELEMS(held); i++)
		held[i] = must_alloc(f->cpu[0], UNINIT);
	block = ramka_frame_paddr(f->r, held[0]) / BLOCK * BLOCK;
	assert_int_equal(ramka_isolate(f->cpu[1], block, BLOCK), 0);
	for (unsigned i = 0; i < NELEMS(held); i++)
		ramka_frame_put_rcu(f->cpu[0], held[i]);
	n = progress(f, 1, block, BLOCK);
	assert_int_equal(n.in_use, 100);
	grace_end(f);
	ramka_reclaim(f->cpu[0], true);
	n = progress(f, 1, block, BLOCK);
	assert_int_equal(n.in_use + n.cached, 0);
	assert_int_equal(n.free, 512);
	assert_int_equal(ramka_unisolate(f->cpu[1], block, BLOCK), 0);
	CLOSE(f);
}

/* ---- claims ---- */

/* A contiguous piece out of isolated memory, as a frame of its order, as a segment, and as base frames; freed, it stays isolated. */
static void claims_take_from_it(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB });
	struct ramka_segment s;
	struct ramka_frame *p;
	struct ramka_why why;

	(void)state;
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 4 * BLOCK, 4 * BLOCK), 0);
	for (unsigned order = 0; order <= 11; order++) {
		assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 4 * BLOCK, order, &ramka_type_untyped, NULL, &p, &why), 0);
		assert_null(why.what);
		assert_int_equal(ramka_frame_order(p), order);
		assert_int_equal(ramka_frame_paddr(f->r, p), BASE + 4 * BLOCK);
		assert_int_equal(progress(f, 0, BASE + 4 * BLOCK, 4 * BLOCK).in_use, 1u << order);
		assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 4 * BLOCK, order, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_IN_USE);
		assert_int_equal(why.paddr, BASE + 4 * BLOCK);
		assert_ptr_equal(why.type, &ramka_type_untyped);
		ramka_frame_put(f->cpu[1], p);
		assert_int_equal(progress(f, 0, BASE + 4 * BLOCK, 4 * BLOCK).free, 2048);
		AUDIT(f);
	}
	assert_int_equal(ramka_segment_from_unused(f->cpu[1], BASE + 5 * BLOCK + PAGE, 700 * PAGE, &ramka_type_untyped, NULL, NULL, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(progress(f, 0, BASE + 4 * BLOCK, 4 * BLOCK).free, 2048);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 4 * BLOCK, 4 * BLOCK), 0);
	CLOSE(f);
}

/* Split and joined in isolated memory: the block stays shut through all of it. */
static void split_and_join(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB });
	struct ramka_unique *u, *parts[2048];

	(void)state;
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 4 * BLOCK, 4 * BLOCK), 0);
	assert_int_equal(ramka_unique_claim(f->cpu[1], BASE + 4 * BLOCK, 11, &ramka_type_untyped, NULL, &u, NULL), 0);
	assert_int_equal(ramka_unique_split(f->r, u, 3, parts), 0);
	AUDIT(f);
	assert_int_equal(ramka_unique_join(f->r, parts[0], 11), 0);
	AUDIT(f);
	assert_int_equal(ramka_unique_split(f->r, parts[0], 0, parts), 0);
	for (unsigned i = 0; i < 2048; i++)
		ramka_unique_free(f->cpu[i % 2], parts[i * 37 % 2048]);
	assert_int_equal(progress(f, 0, BASE + 4 * BLOCK, 4 * BLOCK).free, 2048);
	assert_int_equal(stats(f).isolated, 2048);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 4 * BLOCK, 4 * BLOCK), 0);
	CLOSE(f);
}

/* Outside of isolated memory: a run whose parts lie in two CPUs' caches, in rows, in mail and in the zone. */
static void a_claim_takes_what_is_cached(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= 11; order++) {
		struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB, .nr_cpus = 4 });
		const uint64_t nr = 16 * MIB / PAGE;
		struct ramka_frame **all = frame_table(nr), *p;
		struct ramka_why why;
		ramka_paddr_t pa;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, all, nr), nr);
		for (size_t i = 0; i < nr; i++) /* each CPU frees a part of each word */
			ramka_frame_put(f->cpu[i % 4], all[i]);
		pa = BASE + 8 * MIB;
		assert_int_equal(ramka_frame_claim(f->cpu[3], pa, order, &ramka_type_untyped, NULL, &p, &why), 0);
		AUDIT(f);
		assert_int_equal(ramka_load(&f->r->shut, relaxed, stat), 0);
		assert_int_equal(in_use(f), 1u << order);
		ramka_frame_put(f->cpu[1], p);
		p = must_alloc(f->cpu[2], order_req(order)); /* cached by one as a frame of this order, claimed by another */
		pa = ramka_frame_paddr(f->r, p);
		ramka_frame_put(f->cpu[2], p);
		assert_int_equal(ramka_frame_claim(f->cpu[3], pa, order, &ramka_type_untyped, NULL, &p, NULL), 0);
		ramka_frame_put(f->cpu[3], p);
		free(all);
		CLOSE(f);
	}
}

/* Only what is in use stands in the way, and it is named. */
static void what_is_in_use_is_named(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB });
	struct ramka_frame *small, *large, *p = NULL;
	struct ramka_unique *u = NULL;
	struct ramka_why why;

	(void)state;
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 3 * BLOCK + 77 * PAGE, &ramka_type_untyped, NULL, &small), 0);
	assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 2 * BLOCK, 10, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_IN_USE);
	assert_int_equal(why.error, RAMKA_E_IN_USE);
	assert_int_equal(why.index, RAMKA_NO_INDEX);
	assert_int_equal(why.paddr, BASE + 3 * BLOCK + 77 * PAGE);
	assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 3 * BLOCK + 64 * PAGE, 4, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_IN_USE);
	assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 3 * BLOCK, 6, &ramka_type_untyped, NULL, &large, &why), 0);
	assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 3 * BLOCK + 8 * PAGE, 2, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_IN_USE);
	assert_int_equal(why.paddr, BASE + 3 * BLOCK); /* the head of the frame that it lies in */
	ramka_frame_put(f->cpu[0], large);
	ramka_frame_put(f->cpu[0], small);
	assert_int_equal(ramka_unique_claim(f->cpu[1], BASE + 2 * BLOCK, 10, &ramka_type_untyped, NULL, &u, &why), 0);
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE + 2 * BLOCK, 10, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_UNIQUE);
	ramka_unique_free(f->cpu[0], u);
	assert_null(p);
	/* bad requests */
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE, 19, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "order");
	assert_true(why.value == 19 && why.limit == RAMKA_MAX_ORDER && why.index == RAMKA_NO_INDEX);
	EXPECT_BUG(f, "ramka_frame_claim", assert_int_equal(ramka_frame_claim(f->cpu[0], BASE, 0, NULL, NULL, &p, &why), RAMKA_E_INVAL));
	assert_string_equal(why.field, "type");
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE + BLOCK, 10, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE + 16 * MIB, 0, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE, 13, &ramka_type_untyped, NULL, &p, &why), RAMKA_E_OUT_OF_BOUND);
	EXPECT_BUG(f, "ramka_frame_claim", ramka_frame_claim(f->cpu[0], BASE, 1, NULL, NULL, &p, &why));
	CLOSE(f);
}

/* While another call has the right to shut, or no CPU can be stopped: the claim does what it can, and all is opened again. */
static void a_claim_that_may_not_shut(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct ramka_frame *p, *q;
	ramka_paddr_t pa;

	(void)state;
	p = must_alloc(f->cpu[0], UNINIT);
	pa = ramka_frame_paddr(f->r, p) / BLOCK * BLOCK;
	ramka_frame_put(f->cpu[0], p); /* CPU 0 holds a few of the block */
	assert_true(changing_begin(f->r));
	assert_int_equal(ramka_frame_claim(f->cpu[1], pa, 9, &ramka_type_untyped, NULL, &p, NULL), 0);
	ramka_frame_put(f->cpu[1], p);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE, BLOCK), RAMKA_E_BUSY);
	changing_end(f->r);
	p = must_alloc(f->cpu[0], UNINIT);
	pa = ramka_frame_paddr(f->r, p) / BLOCK * BLOCK;
	ramka_frame_put(f->cpu[0], p);
	f->barrier_declines = true;
	assert_int_equal(ramka_frame_claim(f->cpu[1], pa, 9, &ramka_type_untyped, NULL, &q, NULL), RAMKA_E_BUSY);
	AUDIT(f);
	f->barrier_declines = false;
	assert_int_equal(ramka_frame_claim(f->cpu[1], pa, 9, &ramka_type_untyped, NULL, &q, NULL), 0);
	ramka_frame_put(f->cpu[1], q);
	CLOSE(f);
}

/* ---- CPUs that cannot be stopped ---- */

static void a_cpu_inside_a_call(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct ramka_isolation n;
	struct ramka_frame *p = must_alloc(f->cpu[1], UNINIT), *q;
	ramka_paddr_t block = ramka_frame_paddr(f->r, p) / BLOCK * BLOCK;

	(void)state;
	interrupt_begin(f->cpu[1]);
	assert_int_equal(ramka_isolate(f->cpu[0], block, BLOCK), 0);
	n = progress(f, 0, block, BLOCK);
	assert_false(n.settled);
	assert_true(n.cached > 0);
	interrupt_end(f->cpu[1]);
	n = progress(f, 0, block, BLOCK);
	assert_true(n.settled);
	assert_int_equal(n.cached, 0);
	assert_int_equal(n.in_use, 1);
	q = must_alloc(f->cpu[1], UNINIT);
	assert_false(inside(f, q, block, BLOCK));
	ramka_frame_put(f->cpu[1], p);
	ramka_frame_put(f->cpu[1], q);
	f->barrier_declines = true;
	assert_false(progress(f, 0, block, BLOCK).settled);
	f->barrier_declines = false;
	assert_int_equal(ramka_unisolate(f->cpu[0], block, BLOCK), 0);
	CLOSE(f);
}

/* Without a barrier each CPU leaves by itself. */
static void without_a_barrier(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB, .no_barrier = true });
	struct ramka_frame *p = must_alloc(f->cpu[1], UNINIT);
	ramka_paddr_t block = ramka_frame_paddr(f->r, p) / BLOCK * BLOCK;
	struct ramka_isolation n;

	(void)state;
	ramka_frame_put(f->cpu[1], p);
	assert_int_equal(ramka_isolate(f->cpu[0], block, BLOCK), 0);
	n = progress(f, 0, block, BLOCK);
	assert_false(n.settled);
	assert_true(n.cached > 0);
	ramka_cpu_offline(f->cpu[1]);
	n = progress(f, 0, block, BLOCK);
	assert_int_equal(n.cached, 0);
	p = must_alloc(f->cpu[1], UNINIT);
	assert_false(inside(f, p, block, BLOCK));
	ramka_frame_put(f->cpu[1], p);
	assert_int_equal(ramka_unisolate(f->cpu[0], block, BLOCK), 0);
	CLOSE(f);
}

/* ---- ranges ---- */

static const struct ramka_region odd[] = {
	{ BASE + 100 * PAGE, 4 * MIB, RAMKA_USABLE, 0 },       /* begins and ends inside a block */
	{ BASE + 8 * MIB, 2 * MIB, RAMKA_RESERVED, 0 },
	{ BASE + 10 * MIB, 2 * MIB, RAMKA_RECLAIMABLE, 0 },
	{ BASE + 12 * MIB, 4 * MIB, RAMKA_USABLE, 0 },
	{ BASE + 16 * MIB, 6 * MIB + 3 * PAGE, RAMKA_USABLE, 1 },
};

static void ranges(void **state)
{
	static const uint32_t nodes[] = { 0, 1 };
	struct fixture *f = fixture_open((struct spec){ .regions = odd, .nr_regions = NELEMS(odd), .cpu_node = nodes });
	struct ramka_isolation n;

	(void)state;
	/* bad input, in the order of the checks */
	assert_int_equal(ramka_isolate(NULL, BASE, BLOCK), RAMKA_E_INVAL);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 2 * BLOCK, 0), RAMKA_E_INVAL);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE, UINT64_MAX - PAGE + 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 1, BLOCK), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, BLOCK + 1), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE, BLOCK), RAMKA_E_OUT_OF_BOUND);          /* begins before the span */
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, GIB), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 3 * BLOCK, BLOCK), RAMKA_E_OUT_OF_BOUND); /* a hole */
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 4 * BLOCK, 2 * BLOCK), RAMKA_E_OUT_OF_BOUND); /* nothing that is handed out */
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK + PAGE, BLOCK - PAGE), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, BLOCK + PAGE), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_isolate_progress(f->cpu[0], BASE + BLOCK, BLOCK, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_isolate_progress(f->cpu[0], BASE + BLOCK, BLOCK, &n), RAMKA_E_UNUSED);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + BLOCK, BLOCK), RAMKA_E_UNUSED);
	assert_int_equal(stats(f).isolated, 0);
	/* to the ends of memory */
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 100 * PAGE, BLOCK - 100 * PAGE), 0);
	assert_int_equal(stats(f).isolated, 412);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 2 * BLOCK, 100 * PAGE), 0);
	assert_int_equal(stats(f).isolated, 512);
	/* twice, overlapping: all or nothing */
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 2 * BLOCK, 100 * PAGE), RAMKA_E_IN_USE);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, 2 * BLOCK), RAMKA_E_IN_USE);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + BLOCK, 2 * BLOCK), RAMKA_E_UNUSED);
	assert_int_equal(stats(f).isolated, 512);
	/* over two nodes, reserved memory and a hole */
	assert_int_equal(ramka_isolate(f->cpu[1], BASE + 3 * BLOCK, 8 * BLOCK + 3 * PAGE), 0);
	n = progress(f, 1, BASE + 3 * BLOCK, 8 * BLOCK + 3 * PAGE);
	assert_int_equal(n.free, 10 * MIB / PAGE + 3);
	assert_int_equal(n.reserved, 1024);
	assert_int_equal(stats(f).isolated, 512 + 10 * MIB / PAGE + 3);
	AUDIT(f);
	/* a part of it opens again, the rest in one call */
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 16 * MIB, BLOCK), 0);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 3 * BLOCK, 8 * BLOCK + 3 * PAGE), RAMKA_E_UNUSED);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 3 * BLOCK, 5 * BLOCK), 0);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 18 * MIB, 4 * MIB + 3 * PAGE), 0);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 100 * PAGE, BLOCK - 100 * PAGE), 0);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 2 * BLOCK, 100 * PAGE), 0);
	assert_int_equal(stats(f).isolated, 0);
	assert_int_equal(ramka_load(&f->r->shut, relaxed, stat), 0);
	CLOSE(f);
}

/* ---- walking a range ---- */

struct seen { ramka_paddr_t base, next; uint64_t by_state[RAMKA_STATE_ISOLATED + 1]; };

static bool see(void *ctx, const struct ramka_run *run)
{
	struct seen *s = ctx;

	assert_int_equal(run->base, s->next);
	s->next += run->frames * PAGE;
	s->by_state[run->state] += run->frames;
	return true;
}

/* A frame of two blocks of which one is isolated does not stay at the CPU that frees it. */
static void half_isolated_frames_are_not_cached(void **state)
{
	(void)state;
	for (unsigned half = 0; half < 2; half++) {
		struct fixture *f = fixture_open((struct spec){ .size = 256 * MIB, .nr_cpus = 1 });
		struct ramka_frame *p = must_alloc(f->cpu[0], order_req(10)), *other = must_alloc(f->cpu[0], order_req(10));
		ramka_paddr_t pa = ramka_frame_paddr(f->r, p);

		ramka_frame_put(f->cpu[0], other);
		ramka_drain(f->r);
		assert_int_equal(ramka_isolate(f->cpu[0], pa + half * 2 * MIB, 2 * MIB), 0);
		ramka_frame_put(f->cpu[0], p);
		assert_int_equal(order_count(f->cpu[0], 10), 0);
		assert_int_equal(stats(f).isolated, 512);
		assert_int_equal(ramka_unisolate(f->cpu[0], pa + half * 2 * MIB, 2 * MIB), 0);
		CLOSE(f);
	}
}

static void a_walk_of_a_range(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct ramka_frame *p;
	struct seen s = { .next = BASE + 5 * PAGE };

	(void)state;
	assert_int_equal(ramka_frame_claim(f->cpu[0], BASE, 4, &ramka_type_untyped, NULL, &p, NULL), 0);
	ramka_walk_range(f->r, BASE + 5 * PAGE, 100 * PAGE, see, &s); /* begins in the middle of the frame */
	assert_int_equal(s.next, BASE + 105 * PAGE);
	assert_int_equal(s.by_state[RAMKA_STATE_TAIL], 11);
	assert_int_equal(s.by_state[RAMKA_STATE_FREE], 89);
	s = (struct seen){ .next = BASE };
	ramka_walk_range(f->r, 0, UINT64_MAX, see, &s); /* cut at the ends of the span */
	assert_int_equal(s.next, BASE + 8 * MIB);
	s = (struct seen){ .next = BASE + MIB };
	ramka_walk_range(f->r, BASE + MIB, UINT64_MAX - MIB, see, &s); /* its end wraps to 0 and beyond */
	assert_int_equal(s.next, BASE + 8 * MIB);
	s = (struct seen){ .next = 0 };
	ramka_walk_range(f->r, 0, BASE, see, &s);
	assert_int_equal(s.next, 0);
	ramka_frame_put(f->cpu[0], p);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_handed_out),
		cmocka_unit_test(what_is_freed_stays),
		cmocka_unit_test(a_block_that_refills_is_left),
		cmocka_unit_test(deferred_frames_come_back),
		cmocka_unit_test(claims_take_from_it),
		cmocka_unit_test(split_and_join),
		cmocka_unit_test(a_claim_takes_what_is_cached),
		cmocka_unit_test(what_is_in_use_is_named),
		cmocka_unit_test(a_claim_that_may_not_shut),
		cmocka_unit_test(a_cpu_inside_a_call),
		cmocka_unit_test(without_a_barrier),
		cmocka_unit_test(ranges),
		cmocka_unit_test(half_isolated_frames_are_not_cached),
		cmocka_unit_test(a_walk_of_a_range),
	};

	return cmocka_run_group_tests_name("isolate", tests, NULL, NULL);
}
