/* SPDX-License-Identifier: MIT */
/* lib/cpu: caches, rows, gate, depot traffic, nesting, draining, exact claims, and the answer "no memory". */
#include "fixture.h"
#include "cpu/drain.h"
#include "cpu/mail.h"

#define FRAMES 2048u /* of the default memory */

/* What only the CPU itself can reach. */
static uint64_t private_of(const struct ramka_cpu *cpu)
{
	return cpu_count(cpu) + cpu_in_rows(cpu);
}

/* ---- cache ---- */

static void the_last_freed_comes_first(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *frames[40];

	(void)state;
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, 40, frames), 40);
	for (unsigned i = 0; i < 40; i++)
		ramka_frame_put(f->cpu[0], frames[i]);
	for (unsigned i = 40; i--;)
		assert_ptr_equal(must_alloc(f->cpu[0], UNINIT), frames[i]);
	put_all(f->cpu[0], frames, 40);
	CLOSE(f);
}

static void neighbours_come_in_ascending_order(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *frames[512];

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 512), 512);
	for (unsigned i = 1; i < 512; i++)
		assert_int_equal(frames[i] - frames[i - 1], 1);
	put_all(f->cpu[0], frames, 512);
	CLOSE(f);
}

static void caches_are_bounded(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *frames[FRAMES];

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) {
		ramka_frame_put(f->cpu[0], frames[i]);
		assert_true(cpu_count(f->cpu[0]) <= CACHE_SIZE);
		assert_true(cpu_in_rows(f->cpu[0]) <= (ROWS + 1) * WORD_BITS);
		assert_true(stats(f).cached <= private_of(f->cpu[0]) + SHARD_MAGAZINES * MAGAZINE_SIZE);
	}
	AUDIT(f);
	CLOSE(f);
}

/* What the CPU put into its depot comes back before it asks the zone. */
static void its_own_magazines_come_first(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 64 * MIB, .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES];
	uint64_t refills, depot;
	size_t nr;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	put_all(f->cpu[0], frames, FRAMES);
	depot = depot_cached(f->r->depot, 0);
	assert_true(depot >= 2 * MAGAZINE_SIZE);
	refills = stats(f).refills;
	nr = alloc_all(f->cpu[0], UNINIT, frames, cpu_count(f->cpu[0]) + depot);
	assert_int_equal(stats(f).refills, refills);
	assert_int_equal(depot_cached(f->r->depot, 0), 0);
	put_all(f->cpu[0], frames, nr);
	CLOSE(f);
}

/* All memory in use but 100 frames of block 1; the CPU allocates from block 3. */
static struct fixture *one_sparse_block(struct ramka_frame **frames)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });

	ramka_store(&f->r->lean_part, 0, relaxed, stat); /* no CPU is lean */
	assert_int_equal(alloc_all(f->none, UNINIT, frames, FRAMES), FRAMES);
	ramka_frame_put(f->none, frames[1536]);
	assert_ptr_equal(must_alloc(f->cpu[0], UNINIT), frames[1536]);
	put_all(f->none, frames + 512, 100);
	return f;
}

/* Of each order from 1 to 10 a refill brings several, and what is freed stays. */
static void frames_of_each_order_stay_at_the_cpu(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= TOP_ORDER; order++) {
		struct fixture *f = fixture_open((struct spec){ .size = 256 * MIB, .nr_cpus = 1 });
		struct ramka_frame *frame[2];
		uint32_t had;

		frame[0] = must_alloc(f->cpu[0], order_req(order));
		assert_true(order_count(f->cpu[0], order)); /* the refill brought more than one */
		frame[1] = must_alloc(f->cpu[0], order_req(order));
		had = order_count(f->cpu[0], order);
		ramka_frame_put(f->cpu[0], frame[1]);
		ramka_frame_put(f->cpu[0], frame[0]);
		assert_int_equal(order_count(f->cpu[0], order), had + 2);
		assert_ptr_equal(must_alloc(f->cpu[0], order_req(order)), frame[0]); /* the last freed */
		ramka_frame_put(f->cpu[0], frame[0]);
		CLOSE(f);
	}
}

static void only_full_blocks_and_the_own_one_are_cached(void **state)
{
	struct ramka_frame *frames[FRAMES];
	struct fixture *f = one_sparse_block(frames);

	(void)state;
	ramka_frame_put(f->cpu[0], frames[1700]); /* its own block */
	assert_int_equal(cpu_count(f->cpu[0]), 1);
	ramka_frame_put(f->cpu[0], frames[30]); /* a full one */
	assert_int_equal(cpu_count(f->cpu[0]), 2);
	ramka_frame_put(f->cpu[0], frames[700]); /* a sparse one drains */
	assert_int_equal(cpu_count(f->cpu[0]), 2);
	assert_int_equal(cpu_in_rows(f->cpu[0]), 1);
	for (unsigned i = 612; i < 1024; i++)
		if (i != 700)
			ramka_frame_put(f->cpu[0], frames[i]);
	assert_int_equal(cpu_count(f->cpu[0]), 2);
	AUDIT(f);
	ramka_drain(f->r);
	assert_int_equal(stats(f).free_huge, 1);
	CLOSE_LEAKING(f, in_use(f));
}

static void shuffled_frames_are_the_same_frames(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .flags = RAMKA_SHUFFLE });
	struct ramka_frame *frames[FRAMES];
	bool seen[FRAMES] = { false };
	unsigned ascending = 0;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t at = ramka_frame_index(f->r, frames[i]) - BASE / PAGE;

		assert_false(seen[at]);
		seen[at] = true;
		ascending += i && frames[i] == frames[i - 1] + 1;
	}
	assert_true(ascending < FRAMES / 8);
	put_all(f->cpu[0], frames, FRAMES);
	CLOSE(f);
}

/* ---- RAMKA_CACHE_ALL ---- */

#define CACHING ((struct spec){ .nr_cpus = 2, .flags = RAMKA_CACHE_ALL })

static void every_freed_frame_is_cached(void **state)
{
	struct fixture *f = fixture_open(CACHING);
	struct ramka_frame *frames[FRAMES];

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) /* in no order that a gate would like */
		ramka_frame_put(f->cpu[0], frames[i * 7 % FRAMES]);
	assert_int_equal(stats(f).cached, FRAMES);
	assert_int_equal(cpu_in_rows(f->cpu[0]), 0);
	assert_int_equal(f->r->mail->nr_shards, 0);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
	put_all(f->cpu[0], frames, FRAMES);
	CLOSE(f);
}

/* One CPU allocates everything, another frees it: the one that frees caches it, and the first takes it from there. */
static void frees_of_other_cpus_are_cached_here_and_stolen(void **state)
{
	struct fixture *f = fixture_open(CACHING);
	struct ramka_frame *frames[FRAMES];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		uint64_t stolen = stats(f).steals;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
		put_all(f->cpu[1], frames, FRAMES);
		assert_int_equal(stats(f).cached, FRAMES);
		assert_true(!round || stats(f).steals > stolen);
	}
	CLOSE(f);
}

static void a_large_request_drains_what_is_cached(void **state)
{
	struct fixture *f = fixture_open(CACHING);
	struct ramka_frame *frames[FRAMES], *large;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, frames, FRAMES), FRAMES);
	put_all(f->cpu[1], frames, FRAMES);
	large = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(9));
	assert_non_null(large);
	ramka_frame_put(f->cpu[0], large);
	CLOSE(f);
}

static void claims_out_of_all_that_is_cached(void **state)
{
	struct fixture *f = fixture_open(CACHING);
	struct ramka_frame *frames[FRAMES], *claimed;
	ramka_paddr_t pa;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	pa = ramka_frame_paddr(f->r, frames[FRAMES / 2]);
	claimed = frames[FRAMES / 2];
	put_all(f->cpu[0], frames, FRAMES);
	assert_int_equal(ramka_frame_from_unused(f->cpu[1], pa, &ramka_type_untyped, NULL, &frames[0]), 0);
	assert_ptr_equal(frames[0], claimed);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames + 1, FRAMES - 1), FRAMES - 1);
	put_all(f->cpu[0], frames, FRAMES);
	CLOSE(f);
}

static void cached_frames_are_not_low_memory(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .flags = RAMKA_CACHE_ALL, .low_watermark = FRAMES / 2 });
	struct ramka_frame *frames[FRAMES];
	unsigned told;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	put_all(f->cpu[0], frames, FRAMES);
	told = f->lows;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES / 4), FRAMES / 4);
	assert_int_equal(f->lows, told);
	put_all(f->cpu[0], frames, FRAMES / 4);
	CLOSE(f);
}

/* ---- no memory, exactly ---- */

/* A barrier may be a wait for other CPUs: nobody may be inside a section meanwhile. */
static void outside_sections(struct fixture *f)
{
	for (unsigned i = 0; i < f->nr_cpus; i++)
		assert_false(ramka_load(&f->cpu[i]->active, relaxed, section.own));
}

static void every_frame_can_be_had_from_anywhere(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 4 });
	struct ramka_frame *frames[FRAMES];

	(void)state;
	f->on_barrier = outside_sections;
	for (unsigned round = 0; round < 8; round++) {
		struct ramka_cpu *from = round % 5 == 4 ? f->none : f->cpu[round % 5];

		assert_int_equal(alloc_all(from, UNINIT, frames, FRAMES), FRAMES);
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
		AUDIT(f);
		for (unsigned i = 0; i < FRAMES; i++)
			ramka_frame_put(f->cpu[(i >> round) % 4], frames[i]);
		AUDIT(f);
	}
	CLOSE(f);
}

static void without_a_barrier_only_private_caches_are_out_of_reach(void **state)
{
	for (unsigned declines = 0; declines < 2; declines++) {
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .no_barrier = !declines });
		struct ramka_frame *frames[FRAMES + 1];
		size_t n;

		f->barrier_declines = declines;
		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
		put_all(f->cpu[0], frames, FRAMES);
		assert_true(private_of(f->cpu[0]) > 0); /* else nothing is tested */
		n = alloc_all(f->cpu[1], UNINIT, frames, FRAMES);
		assert_int_equal(n, FRAMES - private_of(f->cpu[0]));
		AUDIT(f);
		assert_int_equal(stats(f).cached, FRAMES - n);
		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames + n, FRAMES + 1 - n), FRAMES - n);
		put_all(f->cpu[0], frames, FRAMES);
		CLOSE(f);
	}
	(void)state;
}

/* All memory in single frames: a refill that finds no 64 takes what there is. */
static void isolated_frames_are_memory(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES], *again[FRAMES];
	size_t n;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i += 64)
		ramka_frame_put(f->cpu[0], frames[i]);
	offline_all(f);
	n = alloc_all(f->cpu[1], UNINIT, again, FRAMES);
	assert_int_equal(n, FRAMES / 64);
	put_all(f->cpu[1], again, n);
	for (unsigned i = 0; i < FRAMES; i++)
		if (i % 64)
			ramka_frame_put(f->cpu[0], frames[i]);
	CLOSE(f);
}

static void one_free_frame_anywhere_is_found(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES], *one;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i += 13)
		for (unsigned who = 0; who < 3; who++) {
			struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

			ramka_frame_put(f->cpu[i % 2], frames[i]);
			one = must_alloc(cpu, UNINIT);
			assert_ptr_equal(one, frames[i]);
			assert_null(ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, UNINIT));
		}
	put_all(f->none, frames, FRAMES);
	CLOSE(f);
}

static void a_contiguous_request_empties_caches_and_depot(void **state)
{
	(void)state;
	for (unsigned order = 1; order <= 11; order++) {
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 4 });
		struct ramka_frame *frames[FRAMES];
		size_t n;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
		for (unsigned i = 0; i < FRAMES; i++)
			ramka_frame_put(f->cpu[i % 4], frames[i]);
		n = alloc_all(f->cpu[3], order_req(order), frames, FRAMES);
		assert_int_equal(n, FRAMES >> order);
		AUDIT(f);
		put_all(f->cpu[2], frames, n);
		CLOSE(f);
	}
}

static void failures_are_counted(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB });
	struct ramka_frame *frames[256];

	(void)state;
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(9)));
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(18)));
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 256), 256);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
	assert_int_equal(stats(f).failures[0], 2);
	assert_int_equal(stats(f).failures[9], 1);
	assert_int_equal(stats(f).failures[18], 1);
	put_all(f->cpu[0], frames, 256);
	CLOSE(f);
}

/* ---- nesting, revoking ---- */

static void nested_calls_leave_the_cache_alone(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .rcu = true });
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT), *b, *c;
	struct ramka_unique *u;
	struct ramka_segment s;
	struct ramka_stats before = stats(f), after;

	(void)state;
	interrupt_begin(f->cpu[0]);
	b = must_alloc(f->cpu[0], ZEROED);
	assert_true(all_bytes(ramka_frame_content(f->r, b), 0, PAGE));
	ramka_frame_put(f->cpu[0], a);
	u = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(4));
	assert_non_null(u);
	ramka_unique_free(f->cpu[0], u);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 7, &ramka_type_untyped, NULL, NULL, UNINIT, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 7 * MIB, &ramka_type_untyped, NULL, &c), 0);
	ramka_frame_put_rcu(f->cpu[0], c);
	ramka_reclaim(f->cpu[0], false);
	ramka_frame_put(f->cpu[0], b);
	after = stats(f);
	assert_int_equal(after.cached, before.cached);
	assert_int_equal(after.deferred, 1);
	ramka_cpu_offline(f->cpu[0]);
	ramka_drain(f->r);
	assert_int_equal(stats(f).cached, before.cached);
	interrupt_end(f->cpu[0]);
	AUDIT(f);
	CLOSE(f);
}

static void a_nested_request_takes_all_but_its_own_cache(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES];
	uint64_t cached;
	size_t n;

	(void)state;
	ramka_frame_put(f->cpu[1], must_alloc(f->cpu[1], UNINIT));
	ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
	assert_true(stats(f).cached > 64);
	cached = cpu_count(f->cpu[0]);
	interrupt_begin(f->cpu[0]);
	n = alloc_all(f->cpu[0], UNINIT, frames, FRAMES);
	interrupt_end(f->cpu[0]);
	assert_int_equal(n, FRAMES - cached);
	AUDIT(f);
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
}

static void a_revoked_cpu_works_without_its_cache(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT), *b;
	uint64_t cached = stats(f).cached;

	(void)state;
	ramka_store(&f->cpu[0]->revoked, 77, relaxed, section.revoke);
	b = must_alloc(f->cpu[0], ZEROED);
	assert_int_equal(stats(f).cached, cached);
	assert_false(ramka_load(&f->cpu[0]->active, relaxed, section.own));
	ramka_frame_put(f->cpu[0], b);
	ramka_frame_put(f->cpu[0], a);
	assert_int_equal(stats(f).cached, cached);
	ramka_drain(f->r); /* another drainer is at it */
	assert_int_equal(stats(f).cached, cached);
	assert_int_equal(ramka_load(&f->cpu[0]->revoked, relaxed, section.revoke), 77);
	ramka_store(&f->cpu[0]->revoked, 0, relaxed, section.revoke);
	ramka_drain(f->r);
	assert_int_equal(stats(f).cached, 0);
	CLOSE(f);
}

/* ---- draining ---- */

static void fill_caches(struct fixture *f)
{
	struct ramka_frame *frames[FRAMES];

	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		ramka_frame_put(f->cpu[i * f->nr_cpus / FRAMES], frames[i]);
	for (unsigned i = 0; i < f->nr_cpus; i++)
		assert_true(cpu_count(f->cpu[i]) > 0);
}

static void drains_everything(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 4 });

	(void)state;
	f->on_barrier = outside_sections;
	fill_caches(f);
	ramka_drain(f->r);
	assert_int_equal(stats(f).cached, 0);
	assert_int_equal(stats(f).free_huge, 4);
	assert_true(f->barriers > 0);
	AUDIT(f);
	ramka_drain(f->r); /* and again, with nothing to do */
	CLOSE(f);
}

static void a_drain_leaves_alone_whom_it_cannot_stop(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 4 });
	uint64_t held;

	(void)state;
	fill_caches(f);
	interrupt_begin(f->cpu[2]);
	ramka_drain(f->r);
	held = private_of(f->cpu[2]);
	assert_true(held > 0);
	assert_int_equal(stats(f).cached, held);
	interrupt_end(f->cpu[2]);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ramka_load(&f->cpu[i]->revoked, relaxed, section.revoke), 0);
	AUDIT(f);
	CLOSE(f);
}

static void a_drain_without_a_barrier_empties_the_depot_only(void **state)
{
	for (unsigned declines = 0; declines < 2; declines++) {
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .no_barrier = !declines });

		f->barrier_declines = declines;
		fill_caches(f);
		ramka_drain(f->r);
		assert_true(cpu_count(f->cpu[0]) > 0 && cpu_count(f->cpu[1]) > 0);
		assert_int_equal(stats(f).cached, private_of(f->cpu[0]) + private_of(f->cpu[1]));
		for (unsigned i = 0; i < 2; i++) {
			assert_false(depot_has_full(f->r->depot, i));
			assert_int_equal(ramka_load(&f->cpu[i]->revoked, relaxed, section.revoke), 0);
		}
		AUDIT(f);
		CLOSE(f);
	}
	(void)state;
}

static void offline_gives_everything_back(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 3, .no_barrier = true });
	struct ramka_frame *one;

	(void)state;
	fill_caches(f);
	for (unsigned i = 0; i < 3; i++) {
		ramka_cpu_offline(f->cpu[i]);
		assert_int_equal(cpu_count(f->cpu[i]), 0);
		assert_false(depot_has_full(f->r->depot, i));
		AUDIT(f);
	}
	assert_int_equal(stats(f).cached, 0);
	one = must_alloc(f->cpu[1], UNINIT); /* online again */
	ramka_frame_put(f->cpu[1], one);
	assert_true(stats(f).cached > 0);
	ramka_cpu_offline(f->cpu[1]);
	ramka_cpu_offline(f->cpu[1]);
	ramka_cpu_offline(f->none); /* holds nothing */
	assert_int_equal(stats(f).cached, 0);
	CLOSE(f);
}

/* Zeroing does not depend on where the frame was: cache, row, zone or another CPU's magazine. */
static void every_frame_is_zeroed_on_request(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame **all = frame_table(4096);
	size_t n = alloc_all(f->cpu[0], UNINIT, all, 4096), again;

	(void)state;
	for (size_t i = 0; i < n; i++)
		memset(ramka_frame_content(f->r, all[i]), 0xa5, RAMKA_PAGE_SIZE);
	put_all(f->cpu[0], all, n);
	again = alloc_all(f->cpu[1], (struct ramka_request){ .order = 0 }, all, 4096);
	assert_int_equal(again, n);
	assert_true(stats(f).steals > 0);
	for (size_t i = 0; i < again; i++)
		assert_true(all_bytes(ramka_frame_content(f->r, all[i]), 0, RAMKA_PAGE_SIZE));
	put_all(f->cpu[1], all, again);
	free(all);
	CLOSE(f);
}

static void the_cacheless_handle_caches_nothing(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *frames[FRAMES];

	(void)state;
	assert_int_equal(alloc_all(f->none, UNINIT, frames, FRAMES), FRAMES);
	assert_int_equal(stats(f).allocs, FRAMES);
	put_all(f->none, frames, FRAMES);
	assert_int_equal(stats(f).cached, 0);
	assert_int_equal(stats(f).puts, FRAMES);
	for (unsigned order = 0; order <= 11; order++)
		ramka_frame_put(f->none, must_alloc(f->none, order_req(order)));
	CLOSE(f);
}

/* ---- exactly that frame ---- */

static void claim(struct fixture *f, struct ramka_cpu *cpu, const struct ramka_frame *which, int want)
{
	struct ramka_frame *one = NULL;
	int rc = ramka_frame_from_unused(cpu, ramka_frame_paddr(f->r, which), &ramka_type_untyped, NULL, &one);

	assert_int_equal(rc, want);
	assert_ptr_equal(one, want ? NULL : which);
	AUDIT(f);
}

static void claims_out_of_the_own_cache(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[60];

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 60), 60);
	put_all(f->cpu[0], frames, 60);
	interrupt_begin(f->cpu[0]);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], ramka_frame_paddr(f->r, frames[20]), &ramka_type_untyped, NULL,
						 &frames[20]), RAMKA_E_BUSY);
	interrupt_end(f->cpu[0]);
	for (unsigned i = 0; i < 60; i += 7)
		claim(f, f->cpu[0], frames[i], 0);
	for (unsigned i = 0; i < 60; i += 7)
		claim(f, f->cpu[0], frames[i], RAMKA_E_IN_USE);
	for (unsigned i = 0; i < 60; i += 7)
		ramka_frame_put(f->cpu[0], frames[i]);
	CLOSE(f);
}

/* What the CPU itself holds is claimed without a look at the others, whatever its order. */
static void claims_of_the_own_stop_no_other(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= TOP_ORDER; order++) {
		struct fixture *f = fixture_open((struct spec){ .size = 256 * MIB, .nr_cpus = 2 });
		struct ramka_frame *one = must_alloc(f->cpu[0], order_req(order)), *claimed;
		unsigned barriers;

		ramka_frame_put(f->cpu[1], must_alloc(f->cpu[1], UNINIT));
		ramka_frame_put(f->cpu[0], one);
		assert_true(cpu_held(f->cpu[0]) && cpu_held(f->cpu[1]));
		barriers = f->barriers;
		assert_int_equal(ramka_frame_claim(f->cpu[0], ramka_frame_paddr(f->r, one), order, &ramka_type_untyped, NULL, &claimed,
						   NULL), 0);
		assert_ptr_equal(claimed, one);
		assert_int_equal(f->barriers, barriers);
		ramka_frame_put(f->cpu[0], one);
		CLOSE(f);
	}
}

static void claims_out_of_other_caches(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[60];

	(void)state;
	for (unsigned i = 0; i < 60; i += 20) {
		struct ramka_cpu *by = i % 40 ? f->none : f->cpu[1];

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 60), 60);
		put_all(f->cpu[0], frames, 60);
		assert_true(cpu_count(f->cpu[0]) > 0);
		f->barrier_declines = true;
		claim(f, by, frames[i], RAMKA_E_BUSY);
		f->barrier_declines = false;
		claim(f, by, frames[i], 0);
		ramka_frame_put(f->cpu[1], frames[i]);
	}
	CLOSE(f);
}

/* Does the CPU's private part hold frame number n of the memory? */
static bool holds(const struct ramka_cpu *cpu, uint32_t n)
{
	for (unsigned i = 0; i < cpu_count(cpu); i++)
		if (cache_of(cpu)->frames[i] == n)
			return true;
	for (unsigned i = 0; i < cpu->nr_rows; i++)
		if (n - cache_of(cpu)->rows[i] < WORD_BITS &&
		    ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own) >> (n - cache_of(cpu)->rows[i]) & 1)
			return true;
	return n - cpu->row < WORD_BITS && ramka_load(&cpu->row_mask, relaxed, section.own) >> (n - cpu->row) & 1;
}

/* Frames that the gate refuses wait in rows. */
static void claims_out_of_the_own_rows(void **state)
{
	struct ramka_frame *frames[FRAMES];
	struct fixture *f = one_sparse_block(frames);

	(void)state;
	for (unsigned i = 620; i < 1020; i += 100)
		ramka_frame_put(f->cpu[0], frames[i]);
	assert_int_equal(cpu_in_rows(f->cpu[0]), 4); /* three closed, one open */
	ramka_frame_put(f->cpu[1], frames[1030]);
	for (unsigned i = 620; i < 1020; i += 100) {
		unsigned barriers = f->barriers, at = holds(f->cpu[0], i) ? i : i + 1; /* the claim before may have emptied all rows */

		if (at != i)
			ramka_frame_put(f->cpu[0], frames[at]);
		assert_true(holds(f->cpu[0], at));
		claim(f, f->cpu[0], frames[at], 0);
		assert_int_equal(f->barriers, barriers); /* the other CPU has a frame too, but is not asked */
		claim(f, f->cpu[0], frames[at], RAMKA_E_IN_USE);
		assert_int_equal(cpu_held(f->cpu[1]), 1);
	}
	CLOSE_LEAKING(f, in_use(f));
}

static void claims_out_of_any_depot(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 3 });
	struct ramka_frame *frames[FRAMES];
	unsigned got = 0;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	put_all(f->cpu[0], frames, FRAMES);
	for (unsigned i = 0; i < FRAMES; i += 97) {
		struct ramka_frame *one;
		int rc = ramka_frame_from_unused(f->cpu[1 + i % 2], BASE + i * PAGE, &ramka_type_untyped, NULL, &one);

		assert_int_equal(rc, holds(f->cpu[0], i) ? RAMKA_E_BUSY : 0);
		if (!rc)
			frames[got++] = one;
	}
	assert_true(got > 0);
	AUDIT(f);
	put_all(f->cpu[1], frames, got);
	CLOSE(f);
}

static void a_claimed_frame_is_not_handed_out(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES], *mine[16];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(ramka_frame_from_unused(f->cpu[i % 2], BASE + i * 129 * PAGE, &ramka_type_untyped, NULL, &mine[i]), 0);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES - 16);
	for (unsigned i = 0; i < FRAMES - 16; i++)
		for (unsigned j = 0; j < 16; j++)
			assert_ptr_not_equal(frames[i], mine[j]);
	put_all(f->cpu[0], mine, 16); /* the allocator gave them, the allocator takes them */
	put_all(f->cpu[0], frames, FRAMES - 16);
	CLOSE(f);
}

/* ---- low memory ---- */

static void tells_of_low_memory(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .low_watermark = 500 });
	struct ramka_frame *frames[FRAMES];
	unsigned at = 0;

	(void)state;
	f->on_barrier = outside_sections;
	for (unsigned i = 0; i < FRAMES; i++) {
		frames[i] = must_alloc(f->cpu[0], UNINIT);
		if (stats(f).free >= 500 + MAGAZINE_SIZE)
			assert_int_equal(f->lows, 0);
		if (f->lows && !at) {
			at = i;
			assert_true(f->low_free < 500);
		}
		if (stats(f).free < 500)
			assert_int_equal(f->lows, 1);
	}
	assert_true(at > 0);
	put_all(f->cpu[0], frames, FRAMES);
	CLOSE(f);
}

static void in_low(struct fixture *f)
{
	struct ramka_frame *one;

	outside_sections(f);
	f->on_low = NULL; /* the inner calls may find memory low again */
	one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, ZEROED);
	if (one)
		ramka_frame_put(f->cpu[0], one);
	ramka_drain(f->r);
	f->on_low = in_low;
}

static void low_memory_may_call_back(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .low_watermark = FRAMES });
	struct ramka_frame *frames[FRAMES];
	size_t n;

	(void)state;
	f->on_low = in_low;
	n = alloc_all(f->cpu[0], UNINIT, frames, FRAMES);
	assert_int_equal(f->lows, 1);
	assert_int_equal(n, FRAMES);
	AUDIT(f);
	put_all(f->cpu[1], frames, n);
	CLOSE(f);
}

static void low_memory_counts_all_orders_and_zones(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .low_watermark = 1024 });
	struct ramka_frame *frames[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		frames[i] = must_alloc(f->cpu[0], order_req(9));
		assert_int_equal(f->lows != 0, i > 1);
	}
	assert_int_equal(f->lows, 1);
	assert_int_equal(f->low_free, 512);
	put_all(f->cpu[0], frames, 4);
	CLOSE(f);
}

/* Claims by address count, of one frame and of many, and each node has its own part of the watermark. */
static void low_memory_counts_claims_and_nodes(void **state)
{
	static const struct ramka_region g[] = { { BASE, 8 * MIB, RAMKA_USABLE, 0 }, { BASE + 8 * MIB, 24 * MIB, RAMKA_USABLE, 1 } };

	(void)state;
	for (unsigned order = 0; order <= 9; order += 9) {
		struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g), .nr_cpus = 1, .low_watermark = 1024 });
		struct ramka_frame *frames[2048];
		unsigned n = 0;

		/* all of node 0, whose part is 256 frames; of the whole memory three quarters are left */
		for (unsigned i = 0; i < 2048; i += 1u << order, n++) {
			assert_int_equal(ramka_frame_claim(f->cpu[0], BASE + i * PAGE, order, &ramka_type_untyped, NULL, &frames[n], NULL), 0);
			assert_int_equal(f->lows, i + (1u << order) > 2048 - 256);
		}
		assert_int_equal(f->low_free, 6144 + (order ? 0 : 255));
		put_all(f->cpu[0], frames, n);
		CLOSE(f);
	}
}

/* The first frame of order 3 brings others with it. */
static void low_memory_is_noticed_when_a_stack_is_filled(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .low_watermark = FRAMES - 10 });
	struct ramka_frame *frames[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		frames[i] = must_alloc(f->cpu[0], order_req(3));
		assert_int_equal(f->lows != 0, 1);
	}
	put_all(f->cpu[0], frames, 2);
	CLOSE(f);
}

/* ---- territories ---- */

/* Neither the hole that a zone may begin with nor scarce memory is part of a CPU's share. */
static void every_cpu_has_a_share(void **state)
{
	static const struct ramka_region g[] = { { GIB, 2 * GIB, RAMKA_USABLE, 0 }, { GIB, 15 * GIB, RAMKA_USABLE, 0 } };

	(void)state;
	for (unsigned i = 0; i < NELEMS(g); i++) {
		struct fixture *f = fixture_open((struct spec){ .regions = &g[i], .nr_regions = 1, .nr_cpus = 8,
								.flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
		const struct zone *z = f->cpu[0]->zone;
		uint32_t least = UINT32_MAX, most = 0;

		assert_int_equal(z->scarce != 0, i);
		for (unsigned c = 0; c < f->nr_cpus; c++) {
			uint32_t n = 0;

			for (uint32_t block = 0; block < z->map.blocks; block += 1u << z->territory_shift)
				n += territory_owner(z, block) == f->cpu[c]->me;
			least = n < least ? n : least;
			most = n > most ? n : most;
			assert_true(sparse_has(&z->present, f->cpu[c]->home) && f->cpu[c]->home >= z->scarce);
		}
		assert_true(least && most - least <= 1);
		CLOSE(f);
	}
}

/* ---- the estimate of free frames ---- */

#define LARGE 32u /* frames of order 9: half of what two CPUs of 256 MiB share */

static uint64_t told(const struct fixture *f)
{
	return ramka_load(&f->cpu[0]->zone->taken, relaxed, stat);
}

static void take_large(struct fixture *f, struct ramka_frame **frames)
{
	for (unsigned i = 0; i < LARGE; i++)
		frames[i] = must_alloc(f->cpu[0], order_req(9));
}

/* A CPU that takes and gives back in turn leaves the line of the estimate to the others. */
static void back_and_forth_is_told_once(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .size = 256 * MIB });
	struct ramka_frame *frames[LARGE];
	uint64_t once;

	(void)state;
	take_large(f, frames);
	once = told(f);
	assert_true(once >= LARGE * BLOCK_FRAMES - ramka_load(&f->r->tell_max, relaxed, stat));
	for (unsigned round = 0; round < 4; round++) {
		put_all(f->cpu[0], frames, LARGE);
		assert_int_equal(told(f), once);
		take_large(f, frames);
		assert_int_equal(told(f), once);
	}
	put_all(f->cpu[0], frames, LARGE);
	CLOSE(f);
}

/* The estimate never calls full memory empty, whatever came back before; a drain makes it exact. */
static void what_is_taken_is_told_early(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .size = 256 * MIB });
	uint64_t late = 2 * ramka_load(&f->r->tell_max, relaxed, stat);
	const struct zone *z = f->cpu[0]->zone;
	struct ramka_frame *frames[129];
	unsigned n = 0;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		take_large(f, frames);
		put_all(f->cpu[0], frames, LARGE);
	}
	while ((frames[n] = ramka_frame_alloc(f->cpu[n % 2], &ramka_type_untyped, NULL, order_req(9)))) {
		n++;
		assert_true(zone_estimate_free(z) <= zone_count_free(z) + late);
	}
	assert_in_range(n, LARGE, NELEMS(frames) - 1);
	for (unsigned i = 0; i < n; i++)
		ramka_frame_put(f->cpu[i % 2], frames[i]);
	ramka_drain(f->r);
	assert_int_equal(zone_estimate_free(z), zone_count_free(z));
	take_large(f, frames);
	put_all(f->cpu[0], frames, LARGE);
	for (unsigned i = 0; i < LARGE; i++) /* an estimate of more than there is would not be seen */
		frames[i] = must_alloc(f->cpu[1], order_req(9));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(zone_estimate_free(z) < zone_count_free(z), i == 0); /* frames that came back are not told */
		ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], order_req(9)));
		ramka_drain(f->r);
		assert_int_equal(zone_estimate_free(z), zone_count_free(z));
	}
	put_all(f->cpu[1], frames, LARGE);
	CLOSE(f);
}

/* An empty cache opens one magazine of mail; the others wait for the next time. */
static void mail_is_opened_one_by_one(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 8, .size = 64 * MIB });
	struct ramka_frame *held[400], *more[CACHE_SIZE];
	uint32_t mail, n = 0;

	(void)state;
	ramka_store(&f->r->mail_max, OUTBOX_MAX, relaxed, stat);
	ramka_frame_put(f->cpu[1], must_alloc(f->cpu[1], UNINIT)); /* its outbox has its size now */
	for (unsigned i = 0; i < NELEMS(held); i++)
		held[i] = must_alloc(f->cpu[0], UNINIT);
	put_all(f->cpu[1], held, NELEMS(held));
	mail = (uint32_t)ramka_load(&f->r->mail->shards[0].cached, relaxed, stat);
	assert_true(mail >= 2 * MAGAZINE_SIZE);
	while (cpu_count(f->cpu[0]))
		more[n++] = must_alloc(f->cpu[0], UNINIT);
	assert_int_equal(ramka_load(&f->r->mail->shards[0].cached, relaxed, stat), mail);
	more[n++] = must_alloc(f->cpu[0], UNINIT);
	assert_int_equal(ramka_load(&f->r->mail->shards[0].cached, relaxed, stat), mail - MAGAZINE_SIZE);
	put_all(f->cpu[0], more, n);
	CLOSE(f);
}

/* ---- how much a CPU keeps back ---- */

/* The first frame that the cache does not have. */
static struct ramka_frame *refilled(struct ramka_cpu *cpu, struct ramka_frame **more, unsigned *n)
{
	while (cpu_count(cpu))
		more[(*n)++] = must_alloc(cpu, UNINIT);
	return must_alloc(cpu, UNINIT);
}

static void a_lean_cpu_keeps_back_next_to_nothing(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES], *more[2 * CACHE_SIZE], *last;
	struct ramka_cpu *cpu = f->cpu[0];
	unsigned n = 0;
	size_t nr;

	(void)state;
	ramka_frame_put(cpu, must_alloc(cpu, order_req(3)));
	last = refilled(cpu, more, &n);
	more[n++] = last;
	assert_true(order_held(cpu) == 8);
	nr = alloc_all(f->none, UNINIT, frames, (size_t)zone_count_free(cpu->zone) - 4);
	last = refilled(cpu, more, &n);
	more[n++] = last;
	assert_true(cpu_held(cpu) <= 1);
	for (unsigned i = 0; i < 6; i++) {
		ramka_frame_put(cpu, more[--n]);
		assert_true(cpu_held(cpu) <= 1);
	}
	put_all(f->none, frames, nr); /* memory is there again */
	ramka_frame_put(cpu, more[--n]);
	while (n)
		ramka_frame_put(cpu, more[--n]);
	assert_true(cpu_held(cpu) > 8);
	CLOSE(f);
}

/* What another CPU gave back and has not told the zone counts as free. */
static void a_cpu_is_not_lean_by_rumour(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[FRAMES], *others[600], *last;
	size_t nr;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, others, NELEMS(others)), NELEMS(others));
	put_all(f->cpu[1], others, NELEMS(others));
	nr = alloc_all(f->none, UNINIT, frames, (size_t)zone_estimate_free(f->cpu[0]->zone) - 20);
	assert_true(zone_count_free(f->cpu[0]->zone) > 200);
	last = must_alloc(f->cpu[0], UNINIT);
	assert_false(cpu_is_lean(f->cpu[0]));
	assert_true(cpu_count(f->cpu[0]) > 8);
	ramka_frame_put(f->cpu[0], last);
	put_all(f->none, frames, nr);
	CLOSE(f);
}

/* A CPU that never allocates frees neighbours together, and sends mail if it frees others. */
static void a_cpu_that_only_frees_sends_mail(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .size = 64 * MIB });
	struct ramka_frame *held[32 * WORD_BITS];

	(void)state;
	for (unsigned i = 0; i < NELEMS(held); i++)
		held[i] = must_alloc(f->cpu[0], UNINIT);
	for (unsigned i = 0; i < NELEMS(held) / 2; i++)
		ramka_frame_put(f->cpu[1], held[i]);
	assert_int_equal(mail_count(f->cpu[1]), 0);
	for (unsigned i = 0; i < NELEMS(held) / 2; i++)
		ramka_frame_put(f->cpu[1], held[NELEMS(held) / 2 + i % 16 * WORD_BITS + i / 16]);
	assert_true(mail_count(f->cpu[1]) > 0);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lean_cpu_keeps_back_next_to_nothing),
		cmocka_unit_test(a_cpu_is_not_lean_by_rumour),
		cmocka_unit_test(the_last_freed_comes_first),
		cmocka_unit_test(neighbours_come_in_ascending_order),
		cmocka_unit_test(caches_are_bounded),
		cmocka_unit_test(its_own_magazines_come_first),
		cmocka_unit_test(frames_of_each_order_stay_at_the_cpu),
		cmocka_unit_test(only_full_blocks_and_the_own_one_are_cached),
		cmocka_unit_test(shuffled_frames_are_the_same_frames),
		cmocka_unit_test(every_freed_frame_is_cached),
		cmocka_unit_test(frees_of_other_cpus_are_cached_here_and_stolen),
		cmocka_unit_test(a_large_request_drains_what_is_cached),
		cmocka_unit_test(claims_out_of_all_that_is_cached),
		cmocka_unit_test(cached_frames_are_not_low_memory),
		cmocka_unit_test(every_frame_can_be_had_from_anywhere),
		cmocka_unit_test(without_a_barrier_only_private_caches_are_out_of_reach),
		cmocka_unit_test(isolated_frames_are_memory),
		cmocka_unit_test(one_free_frame_anywhere_is_found),
		cmocka_unit_test(a_contiguous_request_empties_caches_and_depot),
		cmocka_unit_test(failures_are_counted),
		cmocka_unit_test(nested_calls_leave_the_cache_alone),
		cmocka_unit_test(a_nested_request_takes_all_but_its_own_cache),
		cmocka_unit_test(a_revoked_cpu_works_without_its_cache),
		cmocka_unit_test(drains_everything),
		cmocka_unit_test(a_drain_leaves_alone_whom_it_cannot_stop),
		cmocka_unit_test(a_drain_without_a_barrier_empties_the_depot_only),
		cmocka_unit_test(offline_gives_everything_back),
		cmocka_unit_test(every_frame_is_zeroed_on_request),
		cmocka_unit_test(the_cacheless_handle_caches_nothing),
		cmocka_unit_test(claims_out_of_the_own_cache),
		cmocka_unit_test(claims_of_the_own_stop_no_other),
		cmocka_unit_test(claims_out_of_other_caches),
		cmocka_unit_test(claims_out_of_the_own_rows),
		cmocka_unit_test(claims_out_of_any_depot),
		cmocka_unit_test(a_claimed_frame_is_not_handed_out),
		cmocka_unit_test(tells_of_low_memory),
		cmocka_unit_test(low_memory_may_call_back),
		cmocka_unit_test(low_memory_counts_all_orders_and_zones),
		cmocka_unit_test(low_memory_counts_claims_and_nodes),
		cmocka_unit_test(low_memory_is_noticed_when_a_stack_is_filled),
		cmocka_unit_test(every_cpu_has_a_share),
		cmocka_unit_test(back_and_forth_is_told_once),
		cmocka_unit_test(what_is_taken_is_told_early),
		cmocka_unit_test(mail_is_opened_one_by_one),
		cmocka_unit_test(a_cpu_that_only_frees_sends_mail),
	};

	return cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
}
