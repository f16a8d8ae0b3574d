/* SPDX-License-Identifier: MIT */
/* What happens when memory is low: the watermarks, the reserve, the shrinker. */
#include "fixture.h"
#include "cpu/account.h"

#define FRAMES 2048u /* 8 MiB */

/* What the callbacks saw and do. */
static struct {
	unsigned lows, enoughs, shrinks;
	uint64_t low_free, enough_free, wanted;
	uint64_t (*give)(struct fixture *f, uint64_t wanted);
	struct ramka_frame *held[FRAMES];
	size_t nr_held;
	bool inside;
} seen;

static void outside(struct fixture *f)
{
	for (unsigned i = 0; i < f->nr_cpus; i++)
		assert_int_equal(ramka_load(&f->cpu[i]->active, relaxed, section.own), 0);
}

static void on_low(void *ctx, uint64_t free_frames)
{
	outside(ctx);
	seen.lows++;
	seen.low_free = free_frames;
}

static void on_enough(void *ctx, uint64_t free_frames)
{
	outside(ctx);
	seen.enoughs++;
	seen.enough_free = free_frames;
}

static uint64_t on_shrink(void *ctx, uint64_t wanted)
{
	struct fixture *f = ctx;
	uint64_t n;

	outside(f);
	assert_false(seen.inside);
	seen.inside = true;
	seen.shrinks++;
	seen.wanted = wanted;
	n = seen.give ? seen.give(f, wanted) : 0;
	seen.inside = false;
	return n;
}

static struct fixture *open_marks(unsigned nr_cpus, uint64_t min, uint64_t low, uint64_t high, bool rcu)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct spec s = { .nr_cpus = nr_cpus, .rcu = rcu };

	memset(&seen, 0, sizeof(seen));
	assert_non_null(f);
	fixture_config(f, &s);
	f->cfg.low_memory = on_low;
	f->cfg.enough_memory = on_enough;
	f->cfg.min_watermark = min;
	f->cfg.low_watermark = low;
	f->cfg.high_watermark = high;
	f->cfg.shrink = on_shrink;
	fixture_start(f, &s);
	return f;
}

static const struct ramka_request RESERVE = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_RESERVE };

/* Isolated memory is no reserve, however much of it is free: it is handed out to nobody. */
static void isolated_memory_is_no_reserve(void **state)
{
	(void)state;
	for (unsigned huge = 0; huge < 2; huge++) {
		struct fixture *f = open_marks(1, 100, 200, 300, false);
		struct ramka_frame **frames = frame_table(FRAMES), *in = NULL, *u;
		size_t n;

		assert_int_equal(ramka_isolate(f->cpu[0], BASE, 4 * MIB), 0);
		if (huge) /* what is claimed there and comes back counts as before */
			assert_int_equal(ramka_frame_claim(f->cpu[0], BASE, 10, &ramka_type_untyped, NULL, &in, NULL), 0);
		assert_int_equal(ramka_frame_claim(f->none, BASE + 2 * MIB, 0, &ramka_type_untyped, NULL, &u, NULL),
				 huge ? RAMKA_E_IN_USE : 0);
		n = alloc_all(f->cpu[0], UNINIT, frames, FRAMES);
		assert_int_equal(n, FRAMES / 2 - 100);
		assert_int_equal(seen.lows, 1);
		n += alloc_all(f->cpu[0], RESERVE, frames + n, FRAMES - n);
		assert_int_equal(n, FRAMES / 2);
		ramka_frame_put(f->cpu[0], huge ? in : u);
		AUDIT(f);
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, RESERVE));
		assert_int_equal(seen.enoughs, 0);
		assert_int_equal(ramka_unisolate(f->cpu[0], BASE, 4 * MIB), 0);
		assert_int_equal(seen.enoughs, 1);
		put_all(f->cpu[0], frames, n);
		AUDIT(f);
		CLOSE(f);
		free(frames);
	}
	{ /* and memory is low at once */
		struct fixture *f = open_marks(1, 0, 1100, 1200, false);

		assert_int_equal(ramka_isolate(f->cpu[0], BASE, 4 * MIB), 0);
		assert_int_equal(seen.lows, 1);
		assert_int_equal(ramka_remove_memory(f->cpu[0], BASE, 4 * MIB), 0);
		AUDIT(f);
		assert_int_equal(seen.enoughs, 0);
		f->grown = true;
		CLOSE(f);
	}
}

/* How much each CPU may take untold follows what is left, as soon as memory is isolated. */
static void isolation_ends_what_may_stay_untold(void **state)
{
	struct fixture *f = open_marks(4, 400, 0, 0, false);
	struct ramka_frame **frames = frame_table(FRAMES);
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		ramka_frame_put(f->cpu[i], must_alloc(f->cpu[i], UNINIT));
	assert_int_equal(ramka_isolate(f->cpu[0], BASE, 6 * MIB), 0);
	while ((frames[n] = ramka_frame_alloc(f->cpu[n % 4], &ramka_type_untyped, NULL, order_req(0)))) /* of 112 that are no reserve */
		n++;
	assert_in_range(n, 112 / 2, 112 + 112 / 4); /* a quarter may stay untold */
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE, 6 * MIB), 0);
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
	free(frames);
}

/* ---- watermarks ---- */

static void told_once_a_fall(void **state)
{
	struct fixture *f = open_marks(1, 0, 500, 900, false);
	struct ramka_frame **frames = frame_table(FRAMES);

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
		assert_int_equal(seen.lows, round);
		assert_int_equal(seen.enoughs, round - 1);
		assert_true(seen.low_free < 500 && seen.low_free + MAGAZINE_SIZE >= 500);
		put_all(f->cpu[0], frames, 700); /* between the two */
		assert_int_equal(seen.enoughs, round - 1);
		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 700), 700);
		assert_int_equal(seen.lows, round); /* it was not over */
		put_all(f->cpu[0], frames, FRAMES);
		ramka_drain(f->r); /* what caches hold does not count */
		ramka_frame_put(f->none, must_alloc(f->none, UNINIT)); /* the next call that looks */
		assert_int_equal(seen.enoughs, round);
		assert_true(seen.enough_free > 900);
	}
	CLOSE(f);
	free(frames);
}

/* By every way that frames go and come. */
static void orders_and_handles_count(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 10; order++)
		for (unsigned who = 0; who < 3; who++) {
			struct fixture *f = open_marks(2, 0, 500, 900, false);
			struct ramka_frame **frames = frame_table(FRAMES);
			struct ramka_cpu *cpu = who == 2 ? f->none : f->cpu[who];
			size_t n = alloc_all(cpu, order_req(order), frames, FRAMES);

			assert_int_equal(n, FRAMES >> order);
			assert_int_equal(seen.lows, 1);
			put_all(cpu, frames, n);
			ramka_drain(f->r);
			ramka_frame_put(f->none, must_alloc(f->none, UNINIT)); /* the next call that looks */
			assert_int_equal(seen.enoughs, 1);
			CLOSE(f);
			free(frames);
		}
}

/* Frames that go back one by one to words far apart never come near a full block, and are told of all the same. */
static void scattered_frees_are_enough(void **state)
{
	struct fixture *f = open_marks(1, 0, 500, 900, false);
	struct ramka_frame **frames = frame_table(FRAMES);
	unsigned n = 0;

	(void)state;
	ramka_store(&f->r->lean_part, 0, relaxed, stat); /* no CPU is lean */
	assert_int_equal(alloc_all(f->none, UNINIT, frames, FRAMES), FRAMES);
	assert_int_equal(seen.lows, 1);
	for (; n < FRAMES && !seen.enoughs; n++)
		ramka_frame_put(f->cpu[0], frames[n % 32 * 64 + n / 32]);
	assert_in_range(n, 900, 900 + 1088);
	assert_true(n < 1500);
	for (; n < FRAMES; n++)
		ramka_frame_put(f->cpu[0], frames[n % 32 * 64 + n / 32]);
	free(frames);
	CLOSE(f);
}

static void marks_follow_the_memory(void **state)
{
	struct fixture *f = open_marks(1, 0, 0, 0, false);

	(void)state;
	assert_int_equal(ramka_load(&f->r->low_mark, relaxed, stat), FRAMES / 128);
	assert_int_equal(ramka_load(&f->r->high_mark, relaxed, stat), FRAMES / 128 * 3 / 2);
	CLOSE(f);
	f = open_marks(1, 100, 0, 0, false);
	assert_int_equal(ramka_load(&f->r->low_mark, relaxed, stat), 125);
	CLOSE(f);
	f = open_marks(1, 100, 0, 110, false);
	assert_int_equal(ramka_load(&f->r->low_mark, relaxed, stat), 110);
	CLOSE(f);
	f = open_marks(1, 0, UINT64_MAX, 0, false); /* always low: told once */
	put_all(f->cpu[0], (struct ramka_frame *[]){ must_alloc(f->cpu[0], UNINIT), must_alloc(f->cpu[0], order_req(9)) }, 2);
	assert_int_equal(seen.lows, 1);
	assert_int_equal(seen.enoughs, 0);
	CLOSE(f);
}

static void bad_marks_are_refused(void **state)
{
	static const struct { uint64_t min, low, high; const char *field; } bad[] = {
		{ 11, 10, 0, "min_watermark" },	 { 11, 10, 12, "min_watermark" },     { UINT64_MAX, 1, 0, "min_watermark" },
		{ 0, 10, 9, "high_watermark" },	 { 10, 0, 9, "high_watermark" },
	};
	struct ramka_region g = { BASE, 8 * MIB, RAMKA_USABLE, 0 };
	struct ramka_why why;
	size_t bytes;

	(void)state;
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		struct ramka_config cfg = { .regions = &g, .nr_regions = 1, .nr_cpus = 1, .low_watermark = bad[i].low };

		cfg.min_watermark = bad[i].min;
		cfg.high_watermark = bad[i].high;
		assert_int_equal(ramka_metadata_size(&cfg, &bytes), RAMKA_E_INVAL);
		assert_int_equal(ramka_metadata_size_why(&cfg, &bytes, &why), RAMKA_E_INVAL);
		assert_string_equal(why.field, bad[i].field);
		cfg.min_watermark = cfg.low_watermark = cfg.high_watermark = 10; /* all the same is legal */
		assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
	}
}

/* ---- the reserve ---- */

static void the_reserve_is_for_those_who_ask(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 10; order++)
		for (unsigned who = 0; who < 2; who++)
			for (unsigned hint = 0; hint <= RAMKA_ALLOC_LONG; hint += RAMKA_ALLOC_LONG) {
				struct fixture *f = open_marks(1, 512, 0, 0, false);
				struct ramka_cpu *cpu = who ? f->none : f->cpu[0];
				struct ramka_frame **frames = frame_table(FRAMES), **more = frame_table(FRAMES);
				struct ramka_request plain = order_req(order), reserve = order_req(order);
				size_t n, m;

				plain.flags |= (uint16_t)hint;
				reserve.flags |= (uint16_t)(hint | RAMKA_ALLOC_RESERVE);
				n = alloc_all(cpu, plain, frames, FRAMES);
				assert_int_equal(n, (FRAMES - 512) >> order);
				assert_null(ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, plain));
				m = alloc_all(cpu, reserve, more, FRAMES);
				assert_int_equal(n + m, FRAMES >> order);
				put_all(cpu, more, m);
				ramka_drain(f->r);
				assert_null(ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, plain)); /* it is the reserve again */
				put_all(cpu, frames, n);
				AUDIT(f);
				n = alloc_all(cpu, plain, frames, FRAMES);
				assert_int_equal(n, (FRAMES - 512) >> order);
				put_all(cpu, frames, n);
				CLOSE(f);
				free(frames);
				free(more);
			}
}

/* What a request takes out of the reserve does not fill a cache, from which others would take. */
static void the_reserve_goes_one_by_one(void **state)
{
	struct fixture *f = open_marks(1, 512, 0, 0, false);
	struct ramka_frame **frames = frame_table(FRAMES), *one[100];
	size_t n = alloc_all(f->cpu[0], UNINIT, frames, FRAMES);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		one[i] = must_alloc(f->cpu[0], RESERVE);
		assert_int_equal(stats(f).cached, 0);
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
		assert_int_equal(stats(f).free, 511 - i);
	}
	put_all(f->cpu[0], one, 100);
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
	free(frames);
}

static void segments_and_bulk_leave_it(void **state)
{
	struct fixture *f = open_marks(1, 512, 0, 0, false);
	struct ramka_frame **frames = frame_table(FRAMES);
	struct ramka_segment s;
	size_t n;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 1537, &ramka_type_untyped, NULL, NULL, UNINIT, &s), RAMKA_E_NOMEM);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 1536, &ramka_type_untyped, NULL, NULL, UNINIT, &s), 0);
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, FRAMES, frames), 0);
	n = ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, RESERVE, FRAMES, frames);
	assert_int_equal(n, 512);
	put_all(f->cpu[0], frames, n);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 1600, &ramka_type_untyped, NULL, NULL, RESERVE, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
	free(frames);
}

/* ---- the shrinker ---- */

static uint64_t give_held(struct fixture *f, uint64_t wanted)
{
	uint64_t n = 0;

	while (seen.nr_held && n < wanted) {
		ramka_frame_put(f->cpu[0], seen.held[--seen.nr_held]);
		n++;
	}
	return n;
}

static void the_shrinker_is_asked_last(void **state)
{
	struct fixture *f = open_marks(2, 0, 0, 0, false);
	struct ramka_frame *one[4];

	(void)state;
	seen.nr_held = alloc_all(f->cpu[0], UNINIT, seen.held, FRAMES);
	assert_int_equal(seen.nr_held, FRAMES);
	assert_int_equal(seen.shrinks, 0); /* nobody was refused yet */
	seen.give = give_held;
	for (unsigned i = 0; i < 3; i++) {
		one[i] = must_alloc(i == 2 ? f->none : f->cpu[i], UNINIT);
		assert_int_equal(seen.shrinks, i + 1);
		assert_int_equal(seen.wanted, 1);
	}
	one[3] = must_alloc(f->cpu[1], order_req(9)); /* the frames of a block, one after the other */
	assert_int_equal(seen.wanted, 512);
	put_all(f->cpu[1], one, 4);
	put_all(f->cpu[1], seen.held, seen.nr_held);
	CLOSE(f);
}

static uint64_t lie(struct fixture *f, uint64_t wanted)
{
	(void)f;
	return wanted;
}

/* One that frees nothing, one that says it did, one for what can never be served. */
static void a_shrinker_that_cannot_help(void **state)
{
	struct fixture *f = open_marks(1, 0, 0, 0, false);
	size_t n = alloc_all(f->cpu[0], UNINIT, seen.held, FRAMES);

	(void)state;
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
	assert_int_equal(seen.shrinks, 1);
	seen.give = lie;
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
	assert_int_equal(seen.shrinks, 5);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(18)));
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, (struct ramka_request){ .flags = 0x8000 }));
	assert_int_equal(seen.shrinks, 5);
	put_all(f->cpu[0], seen.held, n);
	CLOSE(f);
}

static uint64_t give_recursively(struct fixture *f, uint64_t wanted)
{
	unsigned shrinks = seen.shrinks;

	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT)); /* fails, and is not asked again */
	assert_int_equal(seen.shrinks, shrinks);
	return give_held(f, wanted);
}

/* With all memory in use one request asks the shrinker once, and is served by what that gives. */
static void one_call_serves(uint64_t (*give)(struct fixture *f, uint64_t wanted), bool rcu)
{
	struct fixture *f = open_marks(1, 0, 0, 0, rcu);
	struct ramka_frame *one;

	seen.nr_held = alloc_all(f->cpu[0], UNINIT, seen.held, FRAMES);
	seen.give = give;
	one = must_alloc(f->cpu[0], UNINIT);
	assert_int_equal(seen.shrinks, 1);
	ramka_frame_put(f->cpu[0], one);
	put_all(f->cpu[0], seen.held, seen.nr_held);
	CLOSE(f);
}

static void it_does_not_recurse(void **state)
{
	(void)state;
	one_call_serves(give_recursively, false);
}

static uint64_t give_deferred(struct fixture *f, uint64_t wanted)
{
	assert_true(ramka_frame_put_rcu(f->cpu[0], seen.held[--seen.nr_held]) >= 0);
	f->grace.at_once = true;
	return wanted;
}

static void deferred_frames_count(void **state)
{
	(void)state;
	one_call_serves(give_deferred, true);
}

/* Below the reserve an ordinary request fails, so the shrinker is asked then too. */
static void the_reserve_asks_the_shrinker(void **state)
{
	struct fixture *f = open_marks(1, 512, 0, 0, false);
	struct ramka_frame *one;

	(void)state;
	seen.nr_held = alloc_all(f->cpu[0], UNINIT, seen.held, FRAMES);
	assert_int_equal(seen.nr_held, FRAMES - 512);
	seen.shrinks = 0;
	one = must_alloc(f->cpu[0], RESERVE);
	assert_int_equal(seen.shrinks, 0);
	seen.give = give_held;
	put_all(f->cpu[0], (struct ramka_frame *[]){ must_alloc(f->cpu[0], UNINIT) }, 1);
	assert_in_range(seen.shrinks, 1, 2);
	ramka_frame_put(f->cpu[0], one);
	put_all(f->cpu[0], seen.held, seen.nr_held);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_once_a_fall),
		cmocka_unit_test(isolated_memory_is_no_reserve),
		cmocka_unit_test(isolation_ends_what_may_stay_untold),
		cmocka_unit_test(orders_and_handles_count),
		cmocka_unit_test(scattered_frees_are_enough),
		cmocka_unit_test(marks_follow_the_memory),
		cmocka_unit_test(bad_marks_are_refused),
		cmocka_unit_test(the_reserve_is_for_those_who_ask),
		cmocka_unit_test(the_reserve_goes_one_by_one),
		cmocka_unit_test(segments_and_bulk_leave_it),
		cmocka_unit_test(the_shrinker_is_asked_last),
		cmocka_unit_test(a_shrinker_that_cannot_help),
		cmocka_unit_test(it_does_not_recurse),
		cmocka_unit_test(deferred_frames_count),
		cmocka_unit_test(the_reserve_asks_the_shrinker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
