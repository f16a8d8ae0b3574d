/* SPDX-License-Identifier: MIT */
/* Statistics against counts that the test keeps itself. */
#include "fixture.h"

static const struct ramka_region mixed[] = {
	{ 0, 2 * MIB, RAMKA_USABLE, 0 }, { 2 * MIB, MIB, RAMKA_KERNEL, 0 }, { 3 * MIB, MIB, RAMKA_DETACHED, 0 },
	{ 5 * MIB, MIB, RAMKA_RECLAIMABLE, 0 }, { 6 * MIB, MIB, RAMKA_BAD, 0 }, { 7 * MIB, MIB, RAMKA_MMIO, 0 },
	{ 8 * MIB, 8 * MIB, RAMKA_USABLE, 0 },
};

static void at_the_start(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .regions = mixed, .nr_regions = NELEMS(mixed) });
	struct ramka_stats s;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	ramka_stats_read(f->r, &s);
	assert_int_equal(s.total, 14 * 256);
	assert_int_equal(s.free, 10 * 256 - 1);
	assert_int_equal(s.reserved, 3 * 256);
	assert_int_equal(s.unused, 256 + 1); /* frame 0 */
	assert_int_equal(s.in_use, 0);
	assert_int_equal(s.cached, 0);
	assert_int_equal(s.deferred, 0);
	assert_int_equal(s.free_huge, 4); /* the first block lacks frame 0 */
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++) {
		assert_int_equal(s.free_by_order[order], order < 9 || order == 11 ? 1 : 0);
		assert_int_equal(s.failures[order], 0);
	}
	assert_int_equal(s.allocs | s.puts | s.refills | s.flushes | s.steals | s.peak_in_use | s.deferred_peak | s.deferred_age, 0);
	CLOSE(f);
}

/* Largest aligned frames of the free runs that a walk shows. */
struct buddies { uint64_t by_order[RAMKA_MAX_ORDER + 1], whole; ramka_paddr_t first, next; };

static void split_run(struct buddies *b)
{
	uint64_t at = b->first / PAGE, end = b->next / PAGE;

	for (uint64_t block = (at + 511) / 512; (block + 1) * 512 <= end; block++)
		b->whole++;
	while (at < end) {
		unsigned order = 0;

		while (order < RAMKA_MAX_ORDER && at % (UINT64_C(2) << order) == 0 && at + (UINT64_C(2) << order) <= end)
			order++;
		b->by_order[order]++;
		at += UINT64_C(1) << order;
	}
}

static bool buddy_run(void *ctx, const struct ramka_run *run)
{
	struct buddies *b = ctx;

	if (run->state != RAMKA_STATE_FREE)
		return true;
	if (run->base != b->next) {
		split_run(b);
		b->first = run->base;
	}
	b->next = run->base + run->frames * PAGE;
	return true;
}

static void free_by_order(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .regions = mixed, .nr_regions = NELEMS(mixed) });
	struct ramka_frame *held[300] = { NULL };
	uint64_t seed = 71;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		unsigned i = (unsigned)(random_next(&seed) % 300);
		struct buddies b = { .whole = 0 };
		struct ramka_stats s;

		if (held[i])
			ramka_frame_put(f->cpu[round % 2], held[i]);
		held[i] = NULL;
		if (round % 3)
			held[i] = ramka_frame_alloc(f->cpu[round % 2], &ramka_type_untyped, NULL,
						    order_req((unsigned)(random_next(&seed) % 11 / 2)));
		if (round % 8)
			continue;
		if (round % 16)
			ramka_drain(f->r);
		ramka_walk(f->r, buddy_run, &b);
		split_run(&b);
		s = stats(f);
		assert_int_equal(s.free_huge, b.whole);
		assert_memory_equal(s.free_by_order, b.by_order, sizeof(b.by_order));
	}
	for (unsigned i = 0; i < 300; i++)
		if (held[i])
			ramka_frame_put(f->cpu[0], held[i]);
	CLOSE(f);
}

static void counts_calls(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 3 });
	struct ramka_frame *frames[600];
	uint64_t allocs = 0, puts = 0, seed = 72;

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct ramka_cpu *cpu = round % 4 == 3 ? f->none : f->cpu[round % 4];
		size_t n = random_next(&seed) % 600;
		unsigned order = (unsigned)(random_next(&seed) % 3);

		n = ramka_frame_alloc_bulk(cpu, &ramka_type_untyped, order_req(order), n, frames);
		allocs += n;
		if (round % 2)
			cpu = f->cpu[round % 3];
		put_all(cpu, frames, n);
		puts += n;
		assert_int_equal(stats(f).allocs, allocs);
		assert_int_equal(stats(f).puts, puts);
		if (round % 10 == 9) /* draining is no put */
			offline_all(f);
	}
	assert_int_equal(stats(f).allocs, allocs);
	assert_int_equal(stats(f).puts, puts);
	CLOSE(f);
}

static void counts_batches(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[2048];
	struct ramka_stats s;

	(void)state;
	ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
	assert_int_equal(stats(f).refills, 1);
	assert_int_equal(stats(f).flushes, 0);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 1024), 1024);
	s = stats(f);
	assert_true(s.refills >= 16 && s.refills <= 35);
	/* a refill brings an eighth of the CPU's half of what is left */
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames + 1024, 1024), 1024);
	s = stats(f);
	assert_true(s.refills >= 100 && s.refills <= 200);
	put_all(f->cpu[0], frames, 2048);
	assert_true(stats(f).flushes > 0);
	assert_int_equal(stats(f).steals, 0);
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, frames, 2048), 2048);
	assert_true(stats(f).steals > 0); /* magazines of CPU 0 */
	put_all(f->cpu[1], frames, 2048);
	CLOSE(f);
}

/* ---- the peak ---- */

#define IN_ROWS ((ROWS + 1) * WORD_BITS) /* frames that the peak may count too many */

struct use { struct fixture *f; uint64_t now, peak; };

static void note_use(struct use *u, int64_t n)
{
	u->now += (uint64_t)n;
	if (u->now > u->peak)
		u->peak = u->now;
	assert_int_equal(stats(u->f).in_use, u->now);
	assert_in_range(stats(u->f).peak_in_use, u->peak, u->peak + IN_ROWS);
}

/* Exact while one CPU did everything. */
/* One frame at a time is in use, of any order, so the peak does not grow. */
static void every_order_goes_down_again(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 13; order++)
		for (unsigned who = 0; who < 2; who++) {
			struct fixture *f = fixture_open((struct spec){ .size = 128 * MIB, .nr_cpus = 1 });
			struct ramka_cpu *cpu = who ? f->none : f->cpu[0];
			uint64_t most = UINT64_C(1) << order;

			for (unsigned round = 0; round < 20; round++) {
				struct ramka_frame *x = must_alloc(cpu, order_req(order));

				assert_int_equal(stats(f).in_use, most);
				ramka_frame_put(cpu, x);
				assert_int_equal(stats(f).in_use, 0);
			}
			assert_in_range(stats(f).peak_in_use, who ? 0 : most, most + 1088);
			CLOSE(f);
		}
}

static void the_peak_of_one_cpu(void **state)
{
	for (unsigned kind = 0; kind < 3; kind++)
		for (unsigned start = 1; start < 6; start++) {
			struct use u = { .f = fixture_open((struct spec){ .nr_cpus = 2 }) };
			struct ramka_frame *held[512] = { NULL };
			uint64_t seed = 80 + start;

			for (unsigned round = 0; round < 3000; round++) {
				unsigned i = (unsigned)(random_next(&seed) % 512);
				unsigned order = kind ? (unsigned)(random_next(&seed) % (kind * 2)) : 0;
				bool grow = random_next(&seed) % 1000 < (round / 500 % 2 ? 200u : 800u);

				if (held[i] && !grow) {
					note_use(&u, 0);
					order = ramka_frame_order(held[i]);
					ramka_frame_put(u.f->cpu[1], held[i]);
					held[i] = NULL;
					note_use(&u, -(1 << order));
				} else if (!held[i] && grow) {
					held[i] = ramka_frame_alloc(u.f->cpu[1], &ramka_type_untyped, NULL, order_req(order));
					if (held[i])
						note_use(&u, 1 << order);
				}
				if (round % 700 == 699)
					ramka_cpu_offline(u.f->cpu[1]);
			}
			for (unsigned i = 0; i < 512; i++)
				if (held[i])
					ramka_frame_put(u.f->cpu[1], held[i]);
			assert_in_range(stats(u.f).peak_in_use, u.peak, u.peak + IN_ROWS);
			CLOSE(u.f);
		}
	(void)state;
}

/* A frame that broke is in use no more. */
static void the_peak_without_what_broke(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB, .nr_cpus = 2 });
	struct ramka_frame *frames[1500];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, NELEMS(frames), frames), NELEMS(frames));
		for (unsigned i = 0; i < NELEMS(frames); i++)
			assert_int_equal(round ? RAMKA_LATER : ramka_frame_set_bad(f->cpu[0], ramka_frame_paddr(f->r, frames[i])), RAMKA_LATER);
		put_all(f->cpu[0], frames, NELEMS(frames));
		assert_int_equal(stats(f).in_use, 0);
		assert_in_range(stats(f).peak_in_use, NELEMS(frames), NELEMS(frames) + IN_ROWS);
	}
	f->grown = true;
	CLOSE(f);
}

/* Splitting and joining move nothing, and are told of as if frames were handed out and given back. */
static void counts_parts(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 9; order++)
		for (unsigned to = 0; to <= order; to++) {
			struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
			struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(order));
			uint64_t parts = UINT64_C(1) << (order - to);

			assert_int_equal(ramka_unique_split_in_place(f->r, u, to), 0);
			assert_int_equal(stats(f).allocs, parts);
			assert_int_equal(stats(f).puts, 0);
			AUDIT(f);
			assert_int_equal(ramka_unique_join(f->r, u, order), 0);
			assert_int_equal(stats(f).allocs, parts);
			assert_int_equal(stats(f).puts, parts - 1);
			ramka_unique_free(f->cpu[0], u);
			assert_int_equal(stats(f).puts, parts);
			assert_in_range(stats(f).peak_in_use, UINT64_C(1) << order, (UINT64_C(1) << order) + IN_ROWS);
			CLOSE(f);
		}
}

static void the_peak_falls_on_an_empty_cache(void **state)
{
	for (unsigned n = 1; n <= 260; n++) {
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
		struct ramka_frame *frames[260];

		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, n, frames), n);
		put_all(f->cpu[0], frames, n);
		assert_int_equal(stats(f).peak_in_use, n);
		ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], order_req(n % 4)));
		assert_in_range(stats(f).peak_in_use, n > 1u << (n % 4) ? n : 1u << (n % 4), n + IN_ROWS);
		CLOSE(f);
	}
	(void)state;
}

static void the_peak_of_several(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 4, .size = 64 * MIB });
	struct ramka_frame **frames = frame_table(8000);
	struct ramka_stats s;

	(void)state;
	for (unsigned i = 0; i < 8000; i++)
		frames[i] = must_alloc(i % 5 == 4 ? f->none : f->cpu[i % 5], UNINIT);
	for (unsigned i = 0; i < 8000; i++)
		ramka_frame_put(f->cpu[(i + 1) % 4], frames[i]);
	s = stats(f);
	/* samples, cached frames counted in: not less than a batch of each CPU below, nor more than all */
	assert_true(s.peak_in_use >= 8000 - 4 * 1024);
	assert_true(s.peak_in_use <= s.total - s.reserved);
	free(frames);
	CLOSE(f);
}

static void deferred_ages(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .rcu = true, .high_water = 100000 });

	(void)state;
	assert_int_equal(stats(f).deferred_age, 0);
	for (unsigned i = 1; i <= 64 * 10; i++) {
		ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
		assert_int_equal(stats(f).deferred_age, i / 64);
		assert_int_equal(stats(f).deferred_peak, i);
	}
	f->grace.over = 4;
	ramka_reclaim(f->cpu[0], false);
	assert_int_equal(stats(f).deferred_age, 6);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(stats(f).deferred_age, 0);
	assert_int_equal(stats(f).deferred_peak, 640);
	CLOSE(f);
}

/* Frames that come back out of a bag raise the count of the cache all at once; how low it was before is not forgotten. */
static void a_bag_keeps_the_peak(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .rcu = true, .high_water = 1000 });
	struct ramka_frame *frames[50];

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, NELEMS(frames)), NELEMS(frames));
	for (unsigned i = 0; i < NELEMS(frames); i++)
		ramka_frame_put_rcu(f->cpu[0], frames[i]);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(in_use(f), 0);
	assert_int_equal(stats(f).peak_in_use, NELEMS(frames));
	CLOSE(f);
}

/* Numbers that agree with each other and with what can be, whatever a counter says for the moment: the parts add up. */
static void a_snapshot_is_never_impossible(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .rcu = true, .high_water = 1000 });
	struct ramka_frame *one = must_alloc(f->cpu[0], UNINIT);
	static const uint64_t drift[] = { 1, 4, 1000, 1u << 20 };
	struct ramka_atomic_u64 *counters[] = { &f->r->depot->shards[0].cached, &f->r->unused, &f->r->deferred_frames,
						&f->r->cpus[0].cpu.moved_out, &f->r->cpus[1].cpu.moved_in, &f->r->cpus[0].cpu.moved_in,
						&f->r->cpus[0].cpu.larger_out };

	(void)state;
	for (unsigned i = 0; i < NELEMS(counters); i++)
		for (unsigned d = 0; d < NELEMS(drift); d++) {
			struct ramka_stats s;

			counters[i]->value += drift[d];
			s = stats(f);
			counters[i]->value -= drift[d];
			assert_int_equal(s.total, s.free + s.in_use + s.deferred + s.unused + s.reserved);
			assert_true(s.free <= s.total && s.cached <= s.free && s.peak_in_use <= s.total);
			assert_true(s.allocs < UINT64_MAX / 2 && s.puts <= 1);
		}
	f->r->cpus[0].cpu.active.value = 1; /* inside a call: what it may have moved half-way is left out, and no more */
	assert_true(stats(f).allocs <= 1);
	f->r->cpus[0].cpu.active.value = 0;
	assert_int_equal(stats(f).allocs, 1);
	f->r->cpus[0].cpu.defer->out.value++; /* the two counters of a ring, one seen later than the other */
	assert_int_equal(stats(f).deferred, 0);
	f->r->cpus[0].cpu.defer->out.value--;
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

/* The hot word's own count of pushes wraps after 2^48. */
static void pushes_wrap(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_cpu *cpu = f->cpu[0];
	uint64_t before = (UINT64_C(1) << 48) - 3;

	(void)state;
	for (unsigned turn = 1; turn <= 3; turn++) {
		struct ramka_frame *all[300];
		size_t n;

		ramka_frame_put(cpu, must_alloc(cpu, UNINIT));
		cpu->hot.value += (before - HOT_PUSHES(cpu->hot.value)) << 16; /* a month later */
		ramka_drain(f->r);
		n = alloc_all(cpu, UNINIT, all, 300); /* refills: noticed */
		assert_int_equal(stats(f).puts, before + (turn - 1) * (UINT64_C(1) << 48));
		assert_int_equal(stats(f).allocs, stats(f).puts + n);
		put_all(cpu, all, n);
		assert_int_equal(stats(f).puts, before + n + (turn - 1) * (UINT64_C(1) << 48));
		assert_int_equal(stats(f).allocs, stats(f).puts);
	}
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_the_start),
		cmocka_unit_test(free_by_order),
		cmocka_unit_test(counts_calls),
		cmocka_unit_test(counts_batches),
		cmocka_unit_test(counts_parts),
		cmocka_unit_test(every_order_goes_down_again),
		cmocka_unit_test(the_peak_of_one_cpu),
		cmocka_unit_test(the_peak_without_what_broke),
		cmocka_unit_test(the_peak_falls_on_an_empty_cache),
		cmocka_unit_test(the_peak_of_several),
		cmocka_unit_test(deferred_ages),
		cmocka_unit_test(a_bag_keeps_the_peak),
		cmocka_unit_test(a_snapshot_is_never_impossible),
		cmocka_unit_test(pushes_wrap),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
