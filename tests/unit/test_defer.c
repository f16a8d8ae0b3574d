/* SPDX-License-Identifier: MIT */
/* lib/frame/defer.c with grace periods under the test's control: nothing moves before they are over, and all of it after. */
#include "fixture.h"

struct note { uint64_t pa, n; };

static struct fixture *fixture;
static uint64_t drops;
static bool too_early;               /* on_drop would come before its grace period */
static struct ramka_frame *chained;  /* put_rcu by on_drop */

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	struct note *note = meta;

	assert_false(too_early);
	assert_int_equal(note->pa, paddr); /* intact until now */
	if (content)
		assert_true(all_bytes(content, (uint8_t)note->n, PAGE));
	drops++;
	if (chained) {
		struct ramka_frame *f = chained;

		chained = NULL;
		ramka_frame_put_rcu(cpu, f);
	}
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE(rcu_type, struct note, .id = 17, .flags = RAMKA_TYPE_RCU, .on_drop = on_drop);

static struct fixture *open_with(struct spec s)
{
	s.rcu = true;
	if (!s.high_water)
		s.high_water = 1u << 20;
	fixture = fixture_open(s);
	drops = 0;
	too_early = true;
	chained = NULL;
	assert_int_equal(ramka_type_register(fixture->r, &note_type), 0);
	assert_int_equal(ramka_type_register(fixture->r, &rcu_type), 0);
	return fixture;
}

/* From now on grace periods may end. */
static void readers_gone(struct fixture *f)
{
	too_early = false;
	grace_end(f);
}

static void close_it(struct fixture *f)
{
	too_early = false;
	CLOSE(f);
}

static struct ramka_frame *note(struct fixture *f, const struct ramka_type *type, unsigned n)
{
	struct ramka_frame *frame = ramka_frame_alloc(f->cpu[0], type, NULL, UNINIT);

	assert_non_null(frame);
	*(struct note *)ramka_frame_meta(f->r, frame) = (struct note){ ramka_frame_paddr(f->r, frame), n };
	memset(ramka_frame_content(f->r, frame), (int)n, PAGE);
	return frame;
}

static bool intact(const struct fixture *f, ramka_paddr_t pa, unsigned n)
{
	const struct note *note = ramka_frame_meta(f->r, slot_at(f, pa));

	return state_at(f, pa) == RAMKA_STATE_DEFERRED && note->pa == pa && note->n == n && all_bytes(bytes_at(f, pa), (uint8_t)n, PAGE);
}

/* ---- what is deferred ---- */

static void nothing_without_rcu(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_frame_refcount(one), 1); /* nothing happened */
	assert_non_null(ramka_frame_try_unique(f->r, one));
	ramka_reclaim(f->cpu[0], true);
	ramka_reclaim(f->cpu[0], false);
	ramka_reclaim(f->none, true);
	ramka_unique_free(f->cpu[0], unique_of(one));
	CLOSE(f);
}

static void intact_until_the_readers_are_gone(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	for (unsigned how = 0; how < 6; how++) {
		struct ramka_cpu *cpu = how % 3 == 2 ? f->none : f->cpu[how % 3];
		struct ramka_frame *one = note(f, how < 3 ? &note_type : &rcu_type, how + 1);
		ramka_paddr_t pa = ramka_frame_paddr(f->r, one);

		too_early = true;
		if (how < 3)
			assert_int_equal(ramka_frame_put_rcu(cpu, one), 0);
		else
			ramka_frame_put(cpu, one);
		assert_true(intact(f, pa, how + 1));
		assert_int_equal(stats(f).deferred, 1);
		AUDIT(f);
		for (unsigned i = 0; i < 5; i++) { /* whatever is asked for, nobody gets it */
			ramka_reclaim(f->cpu[i % 2], false);
			ramka_reclaim(f->none, false);
			assert_true(intact(f, pa, how + 1));
		}
		assert_int_equal(drops, how);
		readers_gone(f);
		ramka_reclaim(f->cpu[0], false);
		ramka_reclaim(f->cpu[1], false);
		if (stats(f).deferred) { /* it was sealed only now */
			readers_gone(f);
			ramka_reclaim(f->cpu[0], false);
		}
		assert_int_equal(drops, how + 1);
		assert_int_equal(stats(f).deferred, 0);
	}
	close_it(f);
}

/* The mark decides, whoever puts last. */
static void whoever_puts_last(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		struct ramka_frame *one = note(f, &note_type, 3);
		ramka_paddr_t pa = ramka_frame_paddr(f->r, one);

		too_early = true;
		ramka_frame_get(f->r, one);
		if (order) {
			ramka_frame_put(f->cpu[0], one);
			assert_int_equal(ramka_frame_put_rcu(f->cpu[1], one), 0);
		} else {
			assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
			ramka_frame_put(f->cpu[1], one);
		}
		assert_true(intact(f, pa, 3));
		assert_int_equal(drops, order);
		too_early = false;
		ramka_reclaim(f->cpu[1], true);
		assert_int_equal(drops, order + 1);
	}
	close_it(f);
}

static void the_mark_does_not_outlive_the_frame(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], UNINIT), *again;

	(void)state;
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	ramka_reclaim(f->cpu[0], true);
	again = must_alloc(f->cpu[0], UNINIT);
	assert_ptr_equal(again, one);
	ramka_frame_put(f->cpu[0], again);
	assert_int_equal(stats(f).deferred, 0);
	close_it(f);
}

static void frames_of_every_order(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	uint64_t want = 0;

	(void)state;
	for (unsigned order = 0; order <= 9; order++) {
		ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], order_req(order)));
		want += UINT64_C(1) << order;
		assert_int_equal(stats(f).deferred, want);
		assert_int_equal(in_use(f), 0);
		AUDIT(f);
	}
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(stats(f).deferred, 0);
	assert_int_equal(stats(f).deferred_peak, want);
	close_it(f);
}

/* ---- bags ---- */

static void defer_many(struct fixture *f, struct ramka_cpu *cpu, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ramka_frame_put_rcu(cpu, must_alloc(f->cpu[0], UNINIT));
}

static void a_cookie_for_64_frames(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	defer_many(f, f->cpu[0], 63);
	assert_int_equal(f->grace.snapshots, 0);
	defer_many(f, f->cpu[0], 1);
	assert_int_equal(f->grace.snapshots, 1);
	defer_many(f, f->cpu[0], 64 * 9);
	assert_int_equal(f->grace.snapshots, 10);
	assert_int_equal(stats(f).deferred, 640);
	readers_gone(f);
	for (unsigned left = 640; left > 64; left -= 64) { /* the CPU polls when it seals, two bags at a time */
		defer_many(f, f->cpu[0], 64);
		assert_true(stats(f).deferred <= left);
		readers_gone(f);
	}
	close_it(f);
}

/* A larger frame is one of the 64, wherever it comes. */
static void a_cookie_for_64_larger_frames(void **state)
{
	(void)state;
	for (unsigned before = 0; before < 63; before += 31) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

		defer_many(f, f->cpu[0], before);
		ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], order_req(2)));
		defer_many(f, f->cpu[0], 62 - before);
		assert_int_equal(f->grace.snapshots, 0);
		defer_many(f, f->cpu[0], 1);
		assert_int_equal(f->grace.snapshots, 1);
		assert_int_equal(stats(f).deferred, 63 + 4);
		close_it(f);
	}
}

/* Each bag waits for its own grace period, the oldest first. */
static void bags_go_one_by_one(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	defer_many(f, f->cpu[0], 64 * 8);
	assert_int_equal(f->grace.taken, 8);
	for (unsigned i = 1; i <= 8; i++) {
		f->grace.over = i;
		ramka_reclaim(f->cpu[0], false);
		assert_int_equal(stats(f).deferred, 64 * (8 - i));
		AUDIT(f);
	}
	close_it(f);
}

/* A snapshot covers frames that are in the bag when it is taken, and no later ones. */
static void late_comers_wait_longer(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one;

	(void)state;
	defer_many(f, f->cpu[0], 64);
	one = note(f, &note_type, 9);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	grace_end(f); /* too_early still holds for the last one */
	ramka_reclaim(f->cpu[0], false);
	assert_int_equal(stats(f).deferred, 1);
	assert_true(intact(f, ramka_frame_paddr(f->r, one), 9));
	close_it(f);
	assert_int_equal(drops, 1);
}

/* Allocating from an empty cache polls, so a loop of alloc and put_rcu lives on few frames. */
static void an_allocation_reaps(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	f->grace.at_once = true;
	too_early = false;
	for (unsigned i = 0; i < 50000; i++) {
		struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT);

		assert_non_null(one);
		assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
		assert_true(stats(f).deferred <= 192);
	}
	assert_int_equal(f->grace.waits, 0);
	close_it(f);
}

/* A get that goes above the top shows a count for a moment that no frame may have. */
static void a_count_above_its_top_is_no_bug(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], UNINIT);

	(void)state;
	ramka_store(&one->ref, REF_SHARED(REF_MAX + 2), relaxed, slot.look);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	if (!contracts_bytes()) /* these tell of a slot as it must not be */
		assert_ptr_equal(ramka_frame_from_raw(f->r, ramka_frame_into_raw(f->r, one)), one);
	assert_true(slot_ref(one) == REF_SHARED(REF_MAX + 2));
	ramka_store(&one->ref, REF_SHARED(1), relaxed, slot.look);
	ramka_frame_put(f->cpu[0], one);
	close_it(f);
}

/* A request that needs all that waits has twice as much freed each time it asks again: few passes for a long backlog. */
static void a_large_request_reaps_in_strides(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct defer_try t = { 0 };
	unsigned turns = 0;

	(void)state;
	defer_many(f, f->cpu[0], 2048);
	f->grace.at_once = true;
	while (defer_more(f->cpu[0], &t, false))
		turns++;
	assert_int_equal(stats(f).deferred, 0);
	assert_in_range(turns, 4, 6); /* 128, 256, 512, 1,024, and the rest */
	close_it(f);
}

/* An empty cache is a reason to poll, long before memory is short. */
static void an_empty_cache_polls(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *frames[CACHE_SIZE + 1];

	(void)state;
	defer_many(f, f->cpu[0], 64 * 3); /* three sealed bags */
	readers_gone(f);
	assert_int_equal(stats(f).deferred, 64 * 3);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, CACHE_SIZE + 1), CACHE_SIZE + 1);
	assert_int_equal(stats(f).deferred, 0);
	assert_true(stats(f).free > 1000);
	put_all(f->cpu[0], frames, CACHE_SIZE + 1);
	close_it(f);
}

static void a_full_ring_grows(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 64 * MIB, .high_water = 1000000 });

	(void)state;
	defer_many(f, f->cpu[0], 10000);
	assert_int_equal(stats(f).deferred, 10000);
	assert_true(f->grace.snapshots <= RING_SIZE);
	AUDIT(f);
	assert_true(stats(f).deferred_age >= 1);
	readers_gone(f);
	ramka_reclaim(f->cpu[0], false);
	readers_gone(f); /* what grew was sealed by that */
	ramka_reclaim(f->cpu[0], false);
	assert_int_equal(stats(f).deferred, 0);
	close_it(f);
}

/*
 * Bags with all kinds of frames: base frames and larger ones, of plain types and with an on_drop, of another node; freed into a
 * cache that is empty, half full or full, into rows and into stacks.
 */
static void bags_of_all_kinds(void **state)
{
	static const struct ramka_region map[] = {
		{ .base = 64 * MIB, .size = 16 * MIB }, { .base = 256 * MIB, .size = 16 * MIB, .node = 1 },
	};
	struct fixture *f = open_with((struct spec){ .regions = map, .nr_regions = 2, .nr_cpus = 2, .cpu_node = (const uint32_t[]){ 0, 1 } });
	struct ramka_frame *frames[4096];
	uint64_t seed = 3;

	(void)state;
	f->grace.at_once = true;
	too_early = false;
	for (unsigned round = 0; round < 50; round++) {
		size_t n = 0, held = random_next(&seed) % 256;

		while (n < 600) {
			unsigned kind = (unsigned)random_next(&seed) % 16, order = kind < 3 ? 1 + (unsigned)random_next(&seed) % 3 : 0;
			struct ramka_cpu *cpu = f->cpu[kind == 4];

			frames[n++] = kind == 5 ? note(f, &note_type, 1) : must_alloc(cpu, order_req(order));
		}
		for (size_t i = n; round % 2 && i > 1; i--) {
			size_t j = random_next(&seed) % i;
			struct ramka_frame *swap = frames[i - 1];

			frames[i - 1] = frames[j];
			frames[j] = swap;
		}
		for (size_t i = 0; i < n; i++)
			if (i % 4 == 3 && i / 4 < held)
				ramka_frame_put(f->cpu[0], frames[i]);
			else
				assert_int_equal(ramka_frame_put_rcu(f->cpu[0], frames[i]), 0);
		AUDIT(f);
		ramka_reclaim(f->cpu[0], true);
		AUDIT(f);
		assert_int_equal(in_use(f), 0);
	}
	close_it(f);
}

/* What one put_rcu frees on its way, whatever is ripe. */
static void a_put_frees_two_bags(void **state)
{
	for (unsigned who = 0; who < 2; who++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 64 * MIB, .high_water = 1000000 });
		struct ramka_cpu *cpu = who ? f->none : f->cpu[0];
		struct ramka_frame **frames = frame_table(16384);
		uint64_t before, n;

		n = alloc_all(f->cpu[0], UNINIT, frames, 15000);
		for (uint64_t i = 0; i < 10000; i++) /* a ring full of bags, and one of thousands of frames */
			ramka_frame_put_rcu(cpu, frames[i]);
		readers_gone(f);
		f->grace.at_once = true;
		for (uint64_t i = 10000; i < n; i++) {
			before = stats(f).deferred;
			ramka_frame_put_rcu(cpu, frames[i]);
			assert_true(before + 1 - stats(f).deferred <= 2 * BAG_SIZE);
		}
		assert_true(stats(f).deferred <= 10000 - 4000); /* and a backlog melts */
		AUDIT(f);
		free(frames);
		close_it(f);
	}
	(void)state;
}

/* on_drop defers as well: its put_rcu frees nothing on its way, or one call would free them all. */
static struct ramka_frame **in_turn;
static uint64_t nr_in_turn;
static void drop_defers(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)meta, (void)paddr, (void)content;
	drops++;
	if (nr_in_turn)
		ramka_frame_put_rcu(cpu, in_turn[--nr_in_turn]);
}
static RAMKA_DEFINE_TYPE(turn_type, struct note, .id = 18, .on_drop = drop_defers);

static void a_drop_that_defers_frees_nothing(void **state)
{
	for (unsigned who = 0; who < 2; who++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 64 * MIB, .high_water = 1000000 });
		struct ramka_cpu *cpu = who ? f->none : f->cpu[0];
		uint64_t before;

		assert_int_equal(ramka_type_register(f->r, &turn_type), 0);
		in_turn = frame_table(8192);
		for (nr_in_turn = 0; nr_in_turn < 8192; nr_in_turn++)
			in_turn[nr_in_turn] = ramka_frame_alloc(f->cpu[0], &turn_type, NULL, UNINIT);
		while (nr_in_turn > 4096)
			ramka_frame_put_rcu(cpu, in_turn[--nr_in_turn]);
		readers_gone(f);
		f->grace.at_once = true;
		while (nr_in_turn) {
			before = drops;
			ramka_frame_put_rcu(cpu, in_turn[--nr_in_turn]);
			assert_true(drops - before <= 2 * BAG_SIZE);
		}
		free(in_turn);
		close_it(f);
	}
	(void)state;
}

/* ---- a cookie stays with its frames ---- */

/* A request that gives up leaves bags and cookies as they were: the first grace period is enough. */
static void giving_up_keeps_the_cookie(void **state)
{
	for (unsigned who = 0; who < 3; who++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .bounded = true });
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;
		struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT };
		struct ramka_frame *frames[2048], *one;
		uint64_t first;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2048), 2048);
		for (size_t i = 0; i < 2048; i++)
			ramka_frame_put_rcu(f->cpu[i % 2], frames[i]);
		f->grace.stuck = true;
		assert_null(ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req));
		first = f->grace.taken;
		for (unsigned i = 0; i < 100; i++)
			assert_null(ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req));
		assert_int_equal(f->grace.taken, first); /* asks for no other one */
		f->grace.over = 1;
		too_early = false;
		one = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req);
		assert_non_null(one);
		ramka_frame_put(f->cpu[0], one);
		f->grace.stuck = false;
		close_it(f);
	}
	(void)state;
}

static void going_offline_keeps_the_cookie(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .no_barrier = true });

	(void)state;
	defer_many(f, f->cpu[1], 64 * 5);
	ramka_cpu_offline(f->cpu[1]);
	assert_int_equal(stats(f).deferred, 64 * 5);
	AUDIT(f);
	for (unsigned i = 1; i <= 5; i++) {
		f->grace.over = i;
		ramka_reclaim(f->none, false);
		assert_int_equal(stats(f).deferred, 64 * (5 - i));
	}
	assert_int_equal(f->grace.taken, 5);
	/* what lies in no bag yet is found too; with bags of many CPUs there is not room for all, and they stay */
	for (unsigned i = 0; i < 3; i++) {
		defer_many(f, f->cpu[1], 64 * 7 + 5);
		ramka_cpu_offline(f->cpu[1]);
		AUDIT(f);
	}
	assert_int_equal(stats(f).deferred, 3 * (64 * 7 + 5));
	readers_gone(f);
	ramka_reclaim(f->none, false);
	readers_gone(f);
	ramka_reclaim(f->none, false);
	assert_int_equal(stats(f).deferred, 0);
	close_it(f);
}

/* Callers without a CPU make bags of their own, and reap them. */
static void without_a_cpu(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .no_barrier = true });
	struct ramka_frame *frames[1024];

	(void)state;
	assert_int_equal(alloc_all(f->none, UNINIT, frames, 1024), 1024);
	for (unsigned i = 0; i < 1024; i++) {
		ramka_frame_put_rcu(f->none, frames[i]);
		if (i % 64 == 63)
			readers_gone(f);
		assert_true(stats(f).deferred <= 3 * 64);
	}
	assert_int_equal(f->grace.waits, 0);
	close_it(f);
}

/* RAMKA_ALLOC_WAIT waits: for a while, or until it is over, or it polls; whatever the source can do. */
static void how_it_waits(void **state)
{
	for (unsigned how = 0; how < 3; how++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .bounded = how == 0, .no_wait = how == 2 });
		struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT };
		struct ramka_frame *frames[2048], *one;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2048), 2048);
		for (size_t i = 0; i < 2048; i++)
			ramka_frame_put_rcu(f->cpu[0], frames[i]);
		too_early = false;
		one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, req);
		assert_int_equal(one != NULL, how < 2);
		assert_int_equal(f->grace.bounded != 0, how == 0);
		assert_int_equal(f->grace.waits != 0, how == 1);
		assert_true(how != 2 || (f->grace.polls > 100 && f->grace.polls < 10000));
		for (unsigned i = 0; how == 2 && i < 3; i++) { /* the fixture waits, and cannot here */
			readers_gone(f);
			ramka_reclaim(f->cpu[0], false);
		}
		if (one)
			ramka_frame_put(f->cpu[0], one);
		close_it(f);
	}
	(void)state;
}

/* ---- pressure ---- */

static void tells_of_pressure(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .high_water = 100 });

	(void)state;
	for (unsigned who = 0; who < 3; who++) {
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

		f->grace.expedites = 0;
		for (unsigned i = 1; i <= 150; i++) {
			int rc = ramka_frame_put_rcu(cpu, must_alloc(f->cpu[0], UNINIT));

			assert_int_equal(rc, i > 100 ? RAMKA_PRESSURE : 0); /* accepted all the same */
			assert_int_equal(f->grace.expedites, i > 100 ? i - 100 : 0);
			assert_int_equal(stats(f).deferred, i);
		}
		assert_int_equal(f->grace.waits, who); /* never waits itself */
		ramka_reclaim(cpu, true);
		assert_int_equal(stats(f).deferred, 0);
	}
	close_it(f);
}

/* Base frames count, not frames; larger ones come between base frames, whatever the open bag has room for. */
static void larger_frames_count_in_full(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .high_water = 100 });
	uint64_t waiting = 0, seed = 7;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		unsigned order = random_next(&seed) % 4 ? 0 : (unsigned)random_next(&seed) % 6;
		int rc = ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], order_req(order)));

		waiting += UINT64_C(1) << order;
		assert_int_equal(stats(f).deferred, waiting);
		assert_int_equal(rc, waiting > 100 ? RAMKA_PRESSURE : 0);
		if (rc || random_next(&seed) % 64 == 0) {
			ramka_reclaim(f->cpu[0], true);
			waiting = 0;
		}
	}
	close_it(f);
}

/* A bag that was sealed before it was full is no reason for the next one to be larger. */
static void a_bag_sealed_early(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	for (unsigned early = 1; early < 64; early++) {
		uint64_t before;

		defer_many(f, f->cpu[0], early);
		ramka_reclaim(f->cpu[0], false);
		before = f->grace.snapshots;
		defer_many(f, f->cpu[0], 63);
		assert_int_equal(f->grace.snapshots, before);
		defer_many(f, f->cpu[0], 1);
		assert_int_equal(f->grace.snapshots, before + 1);
		ramka_reclaim(f->cpu[0], true);
	}
	close_it(f);
}

static void a_default_mark_follows_the_memory(void **state)
{
	static const struct { uint64_t size; unsigned cpus; uint64_t want; } cases[] = {
		{ 8 * MIB, 2, 16 }, { 64 * MIB, 1, 256 }, { 64 * MIB, 4, 64 }, { 2 * GIB, 1, 4096 }, { 8 * GIB, 1, 4096 },
	};

	(void)state;
	for (unsigned i = 0; i < NELEMS(cases); i++) {
		struct fixture *f = fixture_open((struct spec){ .size = cases[i].size, .nr_cpus = cases[i].cpus, .rcu = true,
								.no_expedite = true,
								.flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
		uint64_t n = 0;

		while (ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], UNINIT)) == 0)
			n++;
		assert_int_equal(n, cases[i].want);
		ramka_reclaim(f->cpu[0], true);
		offline_all(f);
		assert_int_equal(ramka_fini(f->r), 0);
		fixture_unmap(f);
	}
}

/* ---- reclaim ---- */

static void a_waiting_reclaim_frees_all_of_all(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 4, .high_water = 10000 });

	(void)state;
	too_early = false;
	for (unsigned who = 0; who < 5; who++) {
		struct ramka_cpu *cpu = who < 4 ? f->cpu[who] : f->none;

		for (unsigned i = 0; i < 4; i++)
			defer_many(f, f->cpu[i], 100);
		defer_many(f, f->none, 10);
		interrupt_begin(f->cpu[1]);
		defer_many(f, f->cpu[1], 7); /* a handler's go to the shared stack */
		interrupt_end(f->cpu[1]);
		assert_int_equal(stats(f).deferred, 417);
		AUDIT(f);
		ramka_reclaim(cpu, true);
		assert_int_equal(stats(f).deferred, 0);
		assert_int_equal(f->grace.waits, who + 1); /* one grace period for all */
		AUDIT(f);
	}
	close_it(f);
}

static void what_on_drop_defers_is_freed_too(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	too_early = false;
	for (unsigned who = 0; who < 3; who++) {
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

		chained = note(f, &note_type, 2);
		assert_int_equal(ramka_frame_put_rcu(cpu, note(f, &note_type, 1)), 0);
		drops = 0;
		ramka_reclaim(cpu, true);
		assert_int_equal(drops, 2);
		assert_int_equal(f->grace.waits, 2 * (who + 1)); /* each after a grace period of its own */
		assert_int_equal(stats(f).deferred, 0);
	}
	close_it(f);
}

static void without_wait_a_reclaim_polls(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .no_wait = true });

	(void)state;
	defer_many(f, f->cpu[0], 10);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(stats(f).deferred, 10);
	readers_gone(f);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(stats(f).deferred, 0);
	close_it(f);
}

static void others_that_cannot_be_stopped_keep_theirs(void **state)
{
	for (unsigned how = 0; how < 3; how++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 3, .no_barrier = how == 0 });

		too_early = false;
		for (unsigned i = 0; i < 3; i++)
			defer_many(f, f->cpu[i], 10);
		f->barrier_declines = how == 1;
		if (how == 2)
			interrupt_begin(f->cpu[2]);
		ramka_reclaim(f->cpu[0], true);
		assert_int_equal(stats(f).deferred, how == 2 ? 10 : 20);
		if (how == 2)
			interrupt_end(f->cpu[2]);
		AUDIT(f);
		ramka_reclaim(f->cpu[1], true);
		ramka_reclaim(f->cpu[2], true);
		assert_int_equal(stats(f).deferred, 0);
		close_it(f);
	}
	(void)state;
}

static void an_offline_cpu_leaves_its_frames(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .no_barrier = true });

	(void)state;
	defer_many(f, f->cpu[1], 200);
	ramka_cpu_offline(f->cpu[1]);
	assert_int_equal(stats(f).deferred, 200); /* to whoever reclaims next */
	AUDIT(f);
	too_early = false;
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(stats(f).deferred, 0);
	close_it(f);
}

/* Threads that live shortly never fill a bag: the first frame of each looks for what the others left. */
static void short_lives_free_what_others_left(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .no_barrier = true });

	(void)state;
	defer_many(f, f->cpu[1], 200);
	ramka_cpu_offline(f->cpu[1]);
	readers_gone(f);
	too_early = false;
	for (unsigned i = 1; i <= 3; i++) { /* a bag's worth each time */
		defer_many(f, f->cpu[0], 1);
		assert_true(stats(f).deferred <= 200 - i * 64 + i);
		ramka_cpu_offline(f->cpu[0]);
	}
	readers_gone(f);
	close_it(f);
}

/* A handler's frames in the shared stack are reaped without anybody waiting, or calling reclaim. */
static void the_shared_stack_is_adopted(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	unsigned rounds = 0;

	(void)state;
	defer_many(f, f->none, 10);
	defer_many(f, f->cpu[0], 64);
	readers_gone(f);
	while (stats(f).deferred > 64 && rounds++ < 4) {
		defer_many(f, f->cpu[0], 64);
		readers_gone(f);
	}
	assert_true(rounds < 4);
	close_it(f);
}

/* With the cache-less handle alone nobody seals; a reclaim asks for a grace period and looks whether it is over at once. */
static void a_boot_without_cpus(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .no_barrier = true });

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		ramka_frame_put_rcu(f->none, must_alloc(f->none, UNINIT));
	ramka_reclaim(f->none, false);
	assert_int_equal(stats(f).deferred, 10); /* a reader is there */
	AUDIT(f);
	f->grace.at_once = true;
	ramka_reclaim(f->none, false);
	assert_int_equal(stats(f).deferred, 0);
	close_it(f);
}

static void wait_sees_the_bag(struct grace *g)
{
	struct fixture *f = g->arg;

	assert_int_equal(stats(f).deferred, 30); /* the bag is where others find it when its time has come */
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	/* others go on meanwhile */
	ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
	g->on_wait = NULL;
	ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
}

static void others_go_on_while_one_waits(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	too_early = false;
	f->grace.arg = f;
	f->grace.on_wait = wait_sees_the_bag;
	defer_many(f, f->cpu[0], 30);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(stats(f).deferred, 1); /* what is deferred after the call is not waited for */
	assert_int_equal(f->grace.waits, 1);
	close_it(f);
}

/* ramka_qsbr counts CPUs: the one that waits is outside read sections, and is not waited for. */
static struct ramka_qsbr qsbr;
static struct ramka_qsbr_cpu qsbr_cpus[2];
static void other_announces(void *ctx)
{
	unsigned *spins = ctx;

	if (++*spins % 10 == 0)
		ramka_qsbr_quiescent(&qsbr, 1);
	if (*spins > 5000)
		fail_msg("the CPU that waits is waited for");
}

static void an_online_cpu_may_wait(void **state)
{
	for (unsigned how = 0; how < 2; how++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
		struct ramka_request wait = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT };
		struct ramka_frame *frames[2048], *one;
		struct ramka_rcu_ops ops;
		unsigned spins = 0;

		ramka_qsbr_init(&qsbr, qsbr_cpus, 2, &ops);
		qsbr.relax = other_announces;
		qsbr.relax_ctx = &spins;
		f->r->rcu = ops;
		ramka_qsbr_online(&qsbr, 0);
		ramka_qsbr_online(&qsbr, 1);
		too_early = false;
		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2048), 2048);
		for (size_t i = 0; i < 2048; i++)
			ramka_frame_put_rcu(f->cpu[0], frames[i]);
		ramka_reclaim(f->cpu[0], false); /* polling announces nothing */
		assert_int_equal(stats(f).deferred, 2048);
		if (how) {
			ramka_reclaim(f->cpu[0], true);
			assert_int_equal(stats(f).deferred, 0);
		} else {
			one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, wait);
			assert_non_null(one);
			ramka_frame_put(f->cpu[0], one);
		}
		assert_true(spins >= 10); /* the other one is */
		ramka_qsbr_offline(&qsbr, 0);
		ramka_qsbr_offline(&qsbr, 1);
		close_it(f);
	}
	(void)state;
}

/*
 * Ages, in whole grace periods that pass between put_rcu and on_drop. CPUs take turns in random order; each defers two bags'
 * worth, on the cache-less handle now and then, and announces itself quiescent, so a grace period takes a turn or two of each.
 * Requests give up waiting, CPUs go off line, bags are polled: none of it may make a frame wait for more than three.
 */
#define OLDEST 3u
#define AGE_CPUS 4u
static uint64_t periods, oldest_age;
static void drop_aged(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	uint64_t age = periods - ((struct note *)meta)->n;

	(void)cpu, (void)paddr, (void)content;
	if (age > oldest_age)
		oldest_age = age;
}
static RAMKA_DEFINE_TYPE(age_type, struct note, .id = 19, .on_drop = drop_aged);

static void age_turn(struct fixture *f, struct ramka_cpu *cpu, uint64_t *seed)
{
	struct ramka_request wait = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT, .order = RAMKA_MAX_ORDER };

	for (unsigned i = 0; i < 2 * BAG_SIZE; i++) {
		struct note n = { 0, periods };
		struct ramka_frame *one = ramka_frame_alloc(cpu, &age_type, &n, UNINIT);

		if (one && ramka_frame_put_rcu(random_next(seed) % 32 ? cpu : f->none, one) == RAMKA_PRESSURE)
			ramka_reclaim(cpu, false);
		if (random_next(seed) % 4096 == 0) /* never to be had: it gives up */
			assert_null(ramka_frame_alloc(random_next(seed) % 4 ? cpu : f->none, &ramka_type_untyped, NULL, wait));
	}
	if (random_next(seed) % 4 == 0)
		ramka_cpu_offline(cpu);
}

static void no_frame_grows_old(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = AGE_CPUS, .size = 64 * MIB, .high_water = 2048 });
	struct ramka_qsbr_cpu cpus[AGE_CPUS];
	struct ramka_rcu_ops ops;
	struct ramka_qsbr q;
	uint64_t seed = 1, cookie;

	(void)state;
	ramka_qsbr_init(&q, cpus, AGE_CPUS, &ops);
	f->r->rcu = ops;
	f->r->rcu.quiescent = NULL; /* others' turns end the grace periods, never a request */
	assert_int_equal(ramka_type_register(f->r, &age_type), 0);
	for (unsigned i = 0; i < AGE_CPUS; i++)
		ramka_qsbr_online(&q, i);
	periods = oldest_age = 0;
	cookie = ops.snapshot(ops.ctx);
	for (unsigned round = 0; round < 500; round++) {
		unsigned first = (unsigned)random_next(&seed) % AGE_CPUS, step = random_next(&seed) % 2 ? 1 : AGE_CPUS - 1;

		for (unsigned i = 0; i < AGE_CPUS; i++) {
			unsigned id = (first + i * step) % AGE_CPUS;

			age_turn(f, f->cpu[id], &seed);
			ramka_qsbr_quiescent(&q, id);
			if (ops.elapsed(ops.ctx, cookie)) {
				periods++;
				cookie = ops.snapshot(ops.ctx);
			}
		}
		if (oldest_age > OLDEST)
			fail_msg("a frame was freed after %llu grace periods, round %u", (unsigned long long)oldest_age, round);
	}
	assert_true(periods > 200 && oldest_age >= 1);
	for (unsigned i = 0; i < AGE_CPUS; i++)
		ramka_qsbr_offline(&q, i);
	close_it(f);
}

/* ---- no memory ---- */

static void fill_and_defer(struct fixture *f, struct ramka_frame **frames)
{
	size_t n = alloc_all(f->cpu[0], UNINIT, frames, 2048);

	assert_int_equal(n, 2048);
	for (size_t i = 0; i < n; i++)
		ramka_frame_put_rcu(f->cpu[i % 2], frames[i]);
	assert_int_equal(stats(f).deferred, 2048);
	assert_int_equal(stats(f).free, 0);
}

static void an_allocation_without_wait_never_waits(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[2048], *one;

	(void)state;
	fill_and_defer(f, frames);
	f->grace.stuck = true;
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT));
	assert_int_equal(stats(f).deferred, 2048);
	/* but it left everything sealed, so that the next finds it */
	readers_gone(f);
	one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT);
	assert_non_null(one);
	ramka_frame_put(f->cpu[0], one);
	f->grace.stuck = false;
	close_it(f);
}

static void an_allocation_with_wait_reaps_first(void **state)
{
	for (unsigned bounded = 0; bounded < 2; bounded++)
		for (unsigned what = 0; what < 4; what++) {
			struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .bounded = bounded });
			struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT, .order = (uint8_t)(what == 1 ? 11 : 0) };
			struct ramka_frame *frames[2048], *one = NULL;
			struct ramka_segment s = { 0, 0 };

			fill_and_defer(f, frames);
			too_early = false;
			f->grace.at_once = !bounded; /* as seen by the polls */
			if (what < 2)
				one = ramka_frame_alloc(f->cpu[1], &ramka_type_untyped, NULL, req);
			else if (what == 2)
				one = ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, req);
			else
				assert_int_equal(ramka_segment_alloc(f->cpu[0], 2048, &ramka_type_untyped, NULL, NULL, req, &s), 0);
			assert_true(one || s.size);
			assert_true(stats(f).deferred == 0 || what % 2 == 0); /* one frame may be had from a part of them */
			if (one)
				ramka_frame_put(f->cpu[0], one);
			ramka_segment_put(f->cpu[0], s);
			close_it(f);
		}
	(void)state;
}

/* A reader that never ends: the answer comes all the same, and nothing is lost. */
static void waiting_is_bounded(void **state)
{
	for (unsigned bounded = 0; bounded < 2; bounded++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .bounded = bounded, .no_wait = !bounded });
		struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT };
		struct ramka_frame *frames[2048], *one;

		fill_and_defer(f, frames);
		f->grace.stuck = true;
		for (unsigned i = 0; i < 4; i++) {
			assert_null(ramka_frame_alloc(i < 3 ? f->cpu[i % 2] : f->none, &ramka_type_untyped, NULL, req));
			assert_int_equal(stats(f).deferred, 2048);
			AUDIT(f);
		}
		assert_true(f->grace.expedites > 0);
		assert_true(f->grace.polls < 100000);
		assert_int_equal(f->grace.bounded != 0, bounded);
		f->grace.stuck = false;
		readers_gone(f);
		f->grace.at_once = true;
		one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, req);
		assert_non_null(one);
		ramka_frame_put(f->cpu[0], one);
		close_it(f);
	}
	(void)state;
}

/* No free frame at all, and a million to be deferred: freeing needs no memory. */
static void a_million_without_memory(void **state)
{
	const uint64_t n = 1000000;
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = n * PAGE, .high_water = 2 * n,
						     .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
	struct ramka_frame **frames = frame_table(n + 1);

	(void)state;
	too_early = false;
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, n + 1, frames), n);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(ramka_frame_put_rcu(f->cpu[i & 1], frames[i]), 0);
	assert_int_equal(stats(f).deferred, n);
	assert_int_equal(stats(f).free, 0);
	ramka_reclaim(f->cpu[1], true);
	assert_int_equal(stats(f).free, n);
	for (uint64_t i = 0; i < 2; i++) { /* and in a loop, with grace periods that end at once */
		f->grace.at_once = true;
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[i], &ramka_type_untyped, UNINIT, n, frames), n);
		for (uint64_t j = 0; j < n; j++)
			ramka_frame_put_rcu(f->cpu[i], frames[j]);
	}
	free(frames);
	close_it(f);
}

/* ---- nesting ---- */

static void revoked_callers_share(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	ramka_store(&f->cpu[0]->revoked, 77, relaxed, section.revoke);
	defer_many(f, f->cpu[0], 100);
	assert_int_equal(stats(f).deferred, 100);
	assert_int_equal(defer_waiting(f->cpu[0]->defer), 0);
	ramka_store(&f->cpu[0]->revoked, 0, relaxed, section.revoke);
	AUDIT(f);
	close_it(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_without_rcu),
		cmocka_unit_test(intact_until_the_readers_are_gone),
		cmocka_unit_test(whoever_puts_last),
		cmocka_unit_test(the_mark_does_not_outlive_the_frame),
		cmocka_unit_test(frames_of_every_order),
		cmocka_unit_test(a_cookie_for_64_frames),
		cmocka_unit_test(a_cookie_for_64_larger_frames),
		cmocka_unit_test(bags_go_one_by_one),
		cmocka_unit_test(late_comers_wait_longer),
		cmocka_unit_test(an_allocation_reaps),
		cmocka_unit_test(a_count_above_its_top_is_no_bug),
		cmocka_unit_test(a_large_request_reaps_in_strides),
		cmocka_unit_test(an_empty_cache_polls),
		cmocka_unit_test(a_full_ring_grows),
		cmocka_unit_test(bags_of_all_kinds),
		cmocka_unit_test(a_put_frees_two_bags),
		cmocka_unit_test(a_drop_that_defers_frees_nothing),
		cmocka_unit_test(giving_up_keeps_the_cookie),
		cmocka_unit_test(going_offline_keeps_the_cookie),
		cmocka_unit_test(without_a_cpu),
		cmocka_unit_test(how_it_waits),
		cmocka_unit_test(an_online_cpu_may_wait),
		cmocka_unit_test(no_frame_grows_old),
		cmocka_unit_test(tells_of_pressure),
		cmocka_unit_test(larger_frames_count_in_full),
		cmocka_unit_test(a_bag_sealed_early),
		cmocka_unit_test(a_default_mark_follows_the_memory),
		cmocka_unit_test(a_waiting_reclaim_frees_all_of_all),
		cmocka_unit_test(what_on_drop_defers_is_freed_too),
		cmocka_unit_test(without_wait_a_reclaim_polls),
		cmocka_unit_test(others_that_cannot_be_stopped_keep_theirs),
		cmocka_unit_test(an_offline_cpu_leaves_its_frames),
		cmocka_unit_test(short_lives_free_what_others_left),
		cmocka_unit_test(the_shared_stack_is_adopted),
		cmocka_unit_test(a_boot_without_cpus),
		cmocka_unit_test(others_go_on_while_one_waits),
		cmocka_unit_test(an_allocation_without_wait_never_waits),
		cmocka_unit_test(an_allocation_with_wait_reaps_first),
		cmocka_unit_test(waiting_is_bounded),
		cmocka_unit_test(a_million_without_memory),
		cmocka_unit_test(revoked_callers_share),
	};

	return cmocka_run_group_tests_name("defer", tests, NULL, NULL);
}
