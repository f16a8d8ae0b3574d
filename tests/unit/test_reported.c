/* SPDX-License-Identifier: MIT */
/* Free page reporting: each whole free block is told of once, until it is taken again; nobody is handed it meanwhile. */
#include "fixture.h"

#define BLOCK (2 * MIB)
#define LARGE (64 * MIB) /* the longest range of one call */

/* What the embedder was told of in one call of ramka_report_free. */
struct told {
	struct fixture *f;
	unsigned calls;
	uint64_t bytes, longest;
	ramka_paddr_t first, last;      /* of the first and the last range */
	bool refuses;
	void (*also)(struct told *t, ramka_paddr_t base, uint64_t size);
	uint64_t arg;
};

static bool tell(void *ctx, ramka_paddr_t base, uint64_t size)
{
	struct told *t = ctx;

	assert_int_equal((base | size) % BLOCK, 0);
	assert_true(size != 0 && size <= LARGE);
	assert_true(!t->calls || base > t->last);
	for (ramka_paddr_t pa = base; pa < base + size; pa += BLOCK) {
		assert_int_equal(state_at(t->f, pa), RAMKA_STATE_CACHED);
		assert_int_equal(state_at(t->f, pa + BLOCK - PAGE), RAMKA_STATE_CACHED);
	}
	t->first = t->calls++ ? t->first : base;
	t->last = base;
	t->bytes += size;
	t->longest = size > t->longest ? size : t->longest;
	if (t->also)
		t->also(t, base, size);
	return !t->refuses;
}

/* Reports up to `max` blocks; what it says agrees with what was told. */
static struct told report_with(struct fixture *f, uint64_t max, struct told t)
{
	uint64_t nr = 77, before = stats(f).reported;

	t.f = f;
	assert_int_equal(ramka_report_free(f->cpu[0], max, tell, &t, &nr), 0);
	if (t.refuses) {
		assert_int_equal(nr, 0);
	} else {
		assert_int_equal(nr * BLOCK, t.bytes);
		assert_true(nr <= max);
	}
	if (!t.also)
		assert_int_equal(stats(f).reported - before, nr * 512);
	AUDIT(f);
	return t;
}

static struct told report(struct fixture *f, uint64_t max)
{
	return report_with(f, max, (struct told){ 0 });
}

/* ---- once ---- */

static void told_once(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct told t = report(f, 100);

	(void)state;
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.first, BASE);
	assert_int_equal(t.bytes, 8 * MIB);
	assert_int_equal(stats(f).reported, 2048);
	assert_int_equal(stats(f).free, 2048);
	assert_int_equal(report(f, 100).calls, 0);
	CLOSE(f);
}

static void as_many_as_wanted(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct told t = report(f, 1);

	(void)state;
	assert_int_equal(t.bytes, BLOCK);
	assert_int_equal(report(f, 0).calls, 0);
	t = report(f, 2);
	assert_int_equal(t.first, BASE + BLOCK);
	assert_int_equal(t.bytes, 2 * BLOCK);
	t = report(f, UINT64_MAX);
	assert_int_equal(t.first, BASE + 3 * BLOCK);
	assert_int_equal(t.bytes, BLOCK);
	CLOSE(f);
}

static void a_refusal_ends_it(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 200 * MIB });

	(void)state;
	assert_int_equal(report_with(f, 100, (struct told){ .refuses = true }).calls, 1);
	assert_int_equal(stats(f).reported, 0);
	assert_int_equal(report(f, 100).bytes, 200 * MIB); /* nothing was marked */
	CLOSE(f);
}

static void bad_input(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct told t = { .f = f };
	uint64_t nr = 5;

	(void)state;
	assert_int_equal(ramka_report_free(NULL, 1, tell, &t, &nr), RAMKA_E_INVAL);
	assert_int_equal(ramka_report_free(f->cpu[0], 1, NULL, &t, &nr), RAMKA_E_INVAL);
	assert_int_equal(ramka_report_free(f->cpu[0], 1, tell, &t, NULL), RAMKA_E_INVAL);
	assert_int_equal(nr, 5);
	assert_int_equal(t.calls, 0);
	CLOSE(f);
	/* what is free has a content that counts */
	f = fixture_open((struct spec){ .size = 8 * MIB, .flags = RAMKA_POISON });
	assert_int_equal(ramka_report_free(f->cpu[0], 1, tell, &t, &nr), RAMKA_E_UNSUPPORTED);
	assert_int_equal(t.calls, 0);
	CLOSE(f);
}

/* ---- taken since ---- */

static struct ramka_cpu *caller(struct fixture *f, unsigned by)
{
	return by == 2 ? f->none : f->cpu[by];
}

/* Of every order, by every kind of handle: what was taken is told of again, and nothing else. */
static void taken_and_freed(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 12; order++) {
		for (unsigned by = 0; by < 3; by++) {
			struct fixture *f = fixture_open((struct spec){ .size = 32 * MIB });
			uint64_t blocks = order < 9 ? 1 : 1u << (order - 9);
			struct ramka_frame *p;
			struct told t;

			report(f, 100);
			p = must_alloc(caller(f, by), order_req(order));
			assert_true(stats(f).reported <= (16 - blocks) * 512);
			assert_int_equal(report(f, 100).calls, 0); /* partly used, and what others hold */
			t.first = ramka_frame_paddr(f->r, p) / BLOCK * BLOCK;
			ramka_frame_put(caller(f, by), p);
			ramka_drain(f->r);
			blocks = 16 - stats(f).reported / 512; /* a refill may have taken more */
			assert_true(blocks >= (order < 9 ? 1u : 1u << (order - 9)) && (order >= 9 || blocks == 1));
			t = report(f, 100);
			assert_int_equal(t.bytes, blocks * BLOCK);
			assert_int_equal(report(f, 100).calls, 0);
			CLOSE(f);
		}
	}
}

/* Claims by address, of frames and of segments. */
static void claimed_and_freed(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 32 * MIB });
	struct ramka_segment s;
	struct ramka_frame *p;
	struct told t;

	(void)state;
	report(f, 100);
	for (unsigned order = 0; order <= 11; order++) {
		assert_int_equal(ramka_frame_claim(f->cpu[1], BASE + 8 * BLOCK, order, &ramka_type_untyped, NULL, &p, NULL), 0);
		ramka_frame_put(f->none, p);
		ramka_drain(f->r);
		t = report(f, 100);
		assert_int_equal(t.first, BASE + 8 * BLOCK);
		assert_int_equal(t.bytes, order < 9 ? BLOCK : PAGE << order);
	}
	assert_int_equal(ramka_segment_from_unused(f->cpu[1], BASE + 5 * BLOCK - PAGE, BLOCK + 2 * PAGE, &ramka_type_untyped, NULL, NULL, &s),
			 0);
	ramka_segment_put(f->cpu[1], s);
	ramka_drain(f->r);
	t = report(f, 100);
	assert_int_equal(t.first, BASE + 4 * BLOCK);
	assert_int_equal(t.bytes, 3 * BLOCK);
	assert_int_equal(ramka_segment_alloc(f->none, 3 * 512, &ramka_type_untyped, NULL, NULL, order_req(9), &s), 0);
	ramka_segment_put(f->none, s);
	t = report(f, 100);
	assert_true(t.bytes >= 3 * BLOCK);
	CLOSE(f);
}

/* A claim that fails half-way gives back what it took: too much is told of at most. */
static void reported_blocks_are_memory(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 64 * MIB });
	struct ramka_frame **all = frame_table(64 * MIB / PAGE);

	(void)state;
	for (unsigned order = 0; order <= 14; order++) {
		size_t got;

		report(f, 100);
		assert_int_equal(stats(f).reported, 64 * MIB / PAGE);
		for (unsigned last = 0; last < 2; last++) { /* by hints; by the pass over the block entries */
			uint32_t bit = last ? zone_alloc_exhaustive(&f->r->zones[0], order, NO_LIMIT) : NO_FRAME;

			if (last) {
				assert_int_not_equal(bit, NO_FRAME);
				zone_free(&f->r->zones[0], bit, order);
			} else {
				got = alloc_all(f->cpu[order % 2], order_req(order), all, 64 * MIB / PAGE);
				assert_int_equal(got, (64 * MIB / PAGE) >> order);
				assert_int_equal(stats(f).reported, 0);
				put_all(f->cpu[0], all, got);
				ramka_drain(f->r);
				assert_int_equal(report(f, 100).bytes, 64 * MIB);
			}
		}
		AUDIT(f);
	}
	free(all);
	CLOSE(f);
}

/* ---- meanwhile ---- */

static void alloc_meanwhile(struct told *t, ramka_paddr_t base, uint64_t size)
{
	struct ramka_frame *all[2048];

	assert_int_equal(stats(t->f).cached, size / PAGE);
	assert_int_equal(stats(t->f).in_use, 0);
	assert_int_equal(stats(t->f).free, 2048);
	for (unsigned order = 0; order <= 10; order++)
		for (unsigned by = 0; by < 3; by++) {
			size_t got = alloc_all(caller(t->f, by), order_req(order), all, 2048);

			assert_true(got == (2048 - size / PAGE) >> order || order > 9);
			for (size_t i = 0; i < got; i++)
				assert_true(ramka_frame_paddr(t->f->r, all[i]) - base >= size);
			put_all(caller(t->f, by), all, got);
		}
	ramka_drain(t->f->r);
}

/* A report on top of a report: each has blocks of its own. */
static void report_meanwhile(struct told *t, ramka_paddr_t base, uint64_t size)
{
	struct told other = { .f = t->f };
	uint64_t nr;

	(void)base, (void)size;
	assert_int_equal(ramka_report_free(t->f->none, 1, tell, &other, &nr), 0);
	assert_int_equal(nr, 1);
	assert_true(other.first != base);
	t->arg += nr;
}

static void nobody_gets_it_meanwhile(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct told t = report_with(f, 1, (struct told){ .also = alloc_meanwhile });

	(void)state;
	assert_int_equal(t.calls, 1);
	assert_int_equal(stats(f).cached, 0);
	t = report_with(f, 2, (struct told){ .also = alloc_meanwhile });
	assert_int_equal(t.bytes, 2 * BLOCK);
	CLOSE(f);
	f = fixture_open((struct spec){ .size = 8 * MIB });
	t = report_with(f, 1, (struct told){ .also = report_meanwhile });
	assert_int_equal(t.arg, 1);
	assert_int_equal(stats(f).reported, 1024);
	CLOSE(f);
}

/* ---- ranges ---- */

static const struct ramka_region odd[] = {
	{ BASE + 100 * PAGE, 4 * MIB, RAMKA_USABLE, 0 },         /* begins and ends inside a block: one is whole */
	{ BASE + 8 * MIB, BLOCK, RAMKA_USABLE, 0 },
	{ BASE + 10 * MIB, 2 * MIB, RAMKA_RECLAIMABLE, 0 },
	{ BASE + 12 * MIB, 6 * MIB, RAMKA_USABLE, 0 },
	{ BASE + 15 * MIB, PAGE, RAMKA_RESERVED, 0 },
	{ BASE + 64 * MIB, 130 * MIB, RAMKA_USABLE, 1 },
};

static void holes_nodes_and_late_memory(void **state)
{
	static const uint32_t nodes[] = { 0, 1 };
	struct fixture *f = fixture_open((struct spec){ .regions = odd, .nr_regions = NELEMS(odd), .cpu_node = nodes });
	struct told t = report(f, 1000);

	(void)state;
	assert_int_equal(t.first, BASE + BLOCK);
	assert_int_equal(t.longest, LARGE);
	assert_int_equal(t.bytes, (1 + 1 + 2 + 65) * BLOCK);
	assert_int_equal(report(f, 1000).calls, 0);
	assert_int_equal(ramka_add_memory(f->r, &(struct ramka_region){ BASE + 10 * MIB, 2 * MIB, RAMKA_USABLE, 0 }), 0);
	f->grown = true;
	t = report(f, 1000);
	assert_int_equal(t.first, BASE + 10 * MIB);
	assert_int_equal(t.bytes, BLOCK);
	CLOSE(f);
}

/* ---- isolated and broken memory ---- */

static void isolate_meanwhile(struct told *t, ramka_paddr_t base, uint64_t size)
{
	struct ramka_isolation n;

	assert_int_equal(ramka_isolate(t->f->cpu[1], base, size), 0);
	assert_int_equal(ramka_isolate_progress(t->f->cpu[1], base, size, &n), 0);
	assert_int_equal(n.cached, size / PAGE); /* it has not gone quiet */
}

static void isolated_memory(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct ramka_frame *p;
	struct told t;

	(void)state;
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, BLOCK), 0);
	t = report(f, 100);
	assert_int_equal(t.calls, 2);
	assert_int_equal(t.bytes, 3 * BLOCK);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + BLOCK, BLOCK), 0);
	assert_int_equal(report_with(f, 100, (struct told){ .also = isolate_meanwhile }).first, BASE + BLOCK);
	assert_int_equal(stats(f).isolated, 512); /* it stays shut */
	assert_int_equal(report(f, 100).calls, 0);
	/* reported, then isolated, then claimed by address: a part of it, and all of it */
	for (unsigned order = 0; order <= 9; order++) {
		assert_int_equal(ramka_unisolate(f->cpu[0], BASE + BLOCK, BLOCK), 0);
		assert_int_equal(report(f, 100).calls, order ? 1 : 0);
		assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, BLOCK), 0);
		assert_int_equal(ramka_frame_claim(f->cpu[0], BASE + BLOCK, order, &ramka_type_untyped, NULL, &p, NULL), 0);
		ramka_frame_put(f->cpu[0], p);
		ramka_drain(f->r);
		assert_int_equal(report(f, 100).calls, 0);
	}
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + BLOCK, BLOCK), 0);
	assert_int_equal(report(f, 100).first, BASE + BLOCK);
	CLOSE(f);
}

static void break_meanwhile(struct told *t, ramka_paddr_t base, uint64_t size)
{
	(void)size;
	t->arg = base + 5 * PAGE;
	assert_int_equal(ramka_frame_set_bad(t->f->cpu[1], t->arg), RAMKA_E_BUSY); /* on its way: call again */
}

static void broken_frames(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB });
	struct told t;

	(void)state;
	f->grown = true;
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + BLOCK + PAGE), 0);
	t = report_with(f, 1, (struct told){ .also = break_meanwhile });
	assert_int_equal(t.first, BASE);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], t.arg), 0); /* out of a reported block */
	assert_int_equal(stats(f).reported, 0);
	assert_int_equal(report(f, 100).bytes, 2 * BLOCK); /* blocks that can never be whole are not told of */
	assert_int_equal(stats(f).bad, 2);
	CLOSE(f);
}

/* ---- low memory ---- */

static struct fixture *open_marks(uint64_t min, uint64_t low, uint64_t high)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct spec s = { .size = 8 * MIB, .low_watermark = low };

	assert_non_null(f);
	fixture_config(f, &s);
	f->cfg.min_watermark = min;
	f->cfg.high_watermark = high;
	fixture_start(f, &s);
	return f;
}

static void the_reserve_stays(void **state)
{
	struct fixture *f = open_marks(600, 700, 800);
	struct ramka_frame *all[2] = { NULL };
	struct told t;

	(void)state;
	t = report(f, 100); /* no more than two blocks at a time */
	assert_int_equal(t.longest, 2 * BLOCK);
	assert_int_equal(t.bytes, 4 * BLOCK);
	assert_int_equal(alloc_all(f->none, order_req(9), all, 2), 2);
	put_all(f->none, all, 2);
	assert_int_equal(alloc_all(f->none, order_req(9), all, 2), 2);
	ramka_frame_put(f->none, all[0]); /* 1,536 free: one above the reserve */
	ramka_frame_put(f->none, all[1]);
	assert_int_equal(report(f, 100).longest, 2 * BLOCK);
	assert_int_equal(alloc_all(f->none, order_req(9), all, 2), 2);
	assert_int_equal(report(f, 100).calls, 0);
	put_all(f->none, all, 2);
	CLOSE(f);
	f = open_marks(1700, 1800, 1900); /* less than a block above it */
	assert_int_equal(report(f, 100).calls, 0);
	CLOSE(f);
}

static void low_meanwhile(struct told *t, ramka_paddr_t base, uint64_t size)
{
	(void)base, (void)size;
	ramka_frame_put(t->f->none, must_alloc(t->f->none, UNINIT)); /* a call that looks */
}

/* What is out is not free: who looks is told so, and told again when it is back. */
static void low_while_it_is_out(void **state)
{
	struct fixture *f = open_marks(0, 1000, 1200);

	(void)state;
	assert_int_equal(report_with(f, 3, (struct told){ .also = low_meanwhile }).bytes, 3 * BLOCK);
	assert_int_equal(f->lows, 1);
	assert_int_equal(ramka_load(&f->r->is_low, relaxed, low.telling), 0);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_once),
		cmocka_unit_test(as_many_as_wanted),
		cmocka_unit_test(a_refusal_ends_it),
		cmocka_unit_test(bad_input),
		cmocka_unit_test(taken_and_freed),
		cmocka_unit_test(claimed_and_freed),
		cmocka_unit_test(reported_blocks_are_memory),
		cmocka_unit_test(nobody_gets_it_meanwhile),
		cmocka_unit_test(holes_nodes_and_late_memory),
		cmocka_unit_test(isolated_memory),
		cmocka_unit_test(broken_frames),
		cmocka_unit_test(the_reserve_stays),
		cmocka_unit_test(low_while_it_is_out),
	};

	return cmocka_run_group_tests_name("reported", tests, NULL, NULL);
}
