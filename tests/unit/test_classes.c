/* SPDX-License-Identifier: MIT */
/*
 * Classes of bugs that other reference counters, page allocators and reclaimers had (docs/original.md has the list F1 to
 * F31), as far as one thread can show them: each test is the shape of the bug, not one instance of it.
 */
#include "../slow.h"
#include "fixture.h"

struct note { uint64_t n; };

static unsigned drops;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)meta, (void)paddr, (void)content;
	drops++;
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	drops = 0;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	return f;
}

/* The owner map: every base frame of a frame is its owner's alone. */
#define FRAMES 2048u

struct owners { uint8_t of[FRAMES]; };

static void own(struct fixture *f, struct owners *o, const struct ramka_frame *frame)
{
	uint64_t at = ramka_frame_index(f->r, frame) - BASE / PAGE;

	for (uint64_t i = 0; i < UINT64_C(1) << ramka_frame_order(frame); i++)
		assert_int_equal(o->of[at + i]++, 0);
}

static void disown(struct fixture *f, struct owners *o, const struct ramka_frame *frame)
{
	uint64_t at = ramka_frame_index(f->r, frame) - BASE / PAGE;

	for (uint64_t i = 0; i < UINT64_C(1) << ramka_frame_order(frame); i++)
		assert_int_equal(o->of[at + i]--, 1);
}

/* Linux test_free_pages: a speculative reference outlives the owner's free; the last put frees all of the frame. */
static void f03_a_speculative_reference_outlives_the_owner(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	for (unsigned order = 0; order <= 10; order++)
		for (unsigned round = 0; round < TIMES(2000); round++) {
			struct ramka_frame *one = must_alloc(f->cpu[0], order_req(order)), *speculative = NULL;

			assert_int_equal(ramka_frame_from_in_use(f->r, ramka_frame_paddr(f->r, one), &speculative), 0);
			ramka_frame_put(f->cpu[0], one);
			assert_int_equal(in_use(f), UINT64_C(1) << order);
			if (order)
				assert_int_equal(ramka_frame_from_in_use(f->r, ramka_frame_paddr(f->r, speculative) + PAGE, &one), RAMKA_E_UNUSED);
			ramka_frame_put(f->cpu[round % 2], speculative);
			assert_int_equal(in_use(f), 0);
		}
	CLOSE(f);
}

/* A random walker takes and gives references to whatever it finds, while frames live and die. */
static void f03_a_walker_never_keeps_or_kills_a_frame(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *held[64] = { NULL }, *found[16] = { NULL };
	static struct owners owners;
	uint64_t seed = 91;

	(void)state;
	memset(&owners, 0, sizeof(owners));
	for (unsigned round = 0; round < TIMES(200000); round++) {
		unsigned i = (unsigned)(random_next(&seed) % 64), j = (unsigned)(random_next(&seed) % 16);

		if (found[j]) {
			if (ramka_frame_is_sole(found[j])) /* the owner is gone: ours is the last */
				disown(f, &owners, found[j]);
			ramka_frame_put(f->cpu[1], found[j]);
			found[j] = NULL;
		} else if (ramka_frame_from_in_use(f->r, BASE + random_next(&seed) % FRAMES * PAGE, &found[j])) {
			found[j] = NULL;
		}
		if (held[i]) {
			if (ramka_frame_is_sole(held[i]))
				disown(f, &owners, held[i]);
			ramka_frame_put(f->cpu[0], held[i]);
			held[i] = NULL;
		} else {
			held[i] = ramka_frame_alloc(f->cpu[0], &note_type, NULL, order_req((unsigned)(random_next(&seed) % 5)));
			if (held[i])
				own(f, &owners, held[i]);
		}
	}
	for (unsigned i = 0; i < 64; i++)
		if (held[i])
			ramka_frame_put(f->cpu[0], held[i]);
	for (unsigned i = 0; i < 16; i++)
		if (found[i])
			ramka_frame_put(f->cpu[0], found[i]);
	CLOSE(f);
}

static void f06_no_double_free_is_accepted(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true, .high_water = 1000 });
	struct ramka_frame *held[32];
	uint64_t seed = 92;
	unsigned injected = 0;

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		held[i] = must_alloc(f->cpu[0], order_req(i % 4));
	for (unsigned round = 0; round < TIMES(20000); round++) {
		unsigned i = (unsigned)(random_next(&seed) % 32);
		struct ramka_cpu *cpu = round % 3 == 2 ? f->none : f->cpu[round % 3];

		if (random_next(&seed) % 4)
			ramka_frame_put(cpu, held[i]);
		else
			ramka_frame_put_rcu(cpu, held[i]);
		if (random_next(&seed) % 4 == 0) {
			EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[random_next(&seed) % 2], held[i]));
			injected++;
		}
		if (stats(f).deferred > 100)
			ramka_reclaim(cpu, true);
		held[i] = must_alloc(cpu, order_req(i % 4));
	}
	assert_int_equal(f->bugs, injected);
	assert_true(injected > TIMES(3000));
	put_all(f->cpu[0], held, 32);
	CLOSE(f);
}

static void f09_one_drop_for_each_install(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });
	unsigned installs = 0;
	uint64_t seed = 93;

	(void)state;
	for (unsigned round = 0; round < TIMES(5000); round++) {
		struct ramka_cpu *cpu = round % 5 == 4 ? f->none : f->cpu[round % 2];
		unsigned order = (unsigned)(random_next(&seed) % 3), n = 1u << order;
		struct ramka_unique *u, *parts[4];
		struct ramka_frame *one;
		struct ramka_segment s;

		switch (random_next(&seed) % 5) {
		case 0:
			installs += 2;
			u = ramka_unique_alloc(cpu, &note_type, NULL, order_req(order));
			assert_int_equal(ramka_unique_repurpose(cpu, u, &note_type, NULL), 0);
			ramka_unique_free(cpu, u);
			break;
		case 1:
			installs += n; /* every part has the metadata */
			u = ramka_unique_alloc(cpu, &note_type, NULL, order_req(order));
			assert_int_equal(ramka_unique_split(f->r, u, 0, parts), 0);
			for (unsigned i = 0; i < n; i++)
				ramka_unique_free(cpu, parts[i]);
			break;
		case 2:
			installs += n;
			assert_int_equal(ramka_segment_alloc(cpu, n, &note_type, NULL, NULL, UNINIT, &s), 0);
			ramka_segment_put(cpu, s);
			break;
		case 3:
			installs++;
			one = ramka_frame_alloc(cpu, &note_type, NULL, order_req(order));
			ramka_frame_put_rcu(cpu, one);
			ramka_reclaim(cpu, true);
			break;
		default:
			installs++;
			assert_int_equal(ramka_frame_from_unused(f->none, BASE + 7 * MIB, &note_type, NULL, &one), 0);
			ramka_frame_put(f->none, one);
			break;
		}
		assert_int_equal(drops, installs);
	}
	CLOSE(f);
}

/* The ledger knows its owner. */
static noinline void refused_in_the_contract_build(struct fixture *f)
{
	EXPECT_BUG(f, "ramka_frame_alloc", assert_null(ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, UNINIT)));
}

/* Counters hide a frame that is handed out twice: the oracles must not. */
static void f11_the_oracles_catch_one_frame(void **state)
{
	static const unsigned victims[] = { 0, FRAMES / 2, FRAMES - 1 }; /* first, middle, last */

	(void)state;
	for (unsigned i = 0; i < NELEMS(victims); i++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
		struct ramka_frame *frames[FRAMES], *again;
		static struct owners owners;
		struct bitmap *b = &f->r->zones[0].map;
		uint64_t at = victims[i];

		memset(&owners, 0, sizeof(owners));
		for (unsigned j = 0; j < FRAMES; j++)
			assert_int_equal(ramka_frame_from_unused(f->none, BASE + j * PAGE, &ramka_type_untyped, NULL, &frames[j]), 0);
		for (unsigned j = 0; j < FRAMES; j++)
			own(f, &owners, frames[j]);
		/* one frame is free in the bitmap as well, and all counters agree with it */
		bitmap_free_mask(b, (uint32_t)at / 64, UINT64_C(1) << at % 64);
		assert_true(ramka_check(f->r, NULL) > 0);
		ramka_store(&frames[at]->ref, REF_FREE, relaxed, slot.look);
		if (CONTRACTS) {
			refused_in_the_contract_build(f);
		} else {
			again = ramka_frame_alloc(f->none, &ramka_type_untyped, NULL, UNINIT);
			assert_ptr_equal(again, frames[at]);
			assert_int_equal(owners.of[at], 1); /* the owner map would say so now */
		}
		fixture_unmap(f);
	}
}

/* An age histogram: no frame comes back before all grace periods that it had to wait for are over. */
static void f12_no_frame_comes_back_early(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true, .high_water = 1u << 20 });
	uint64_t deferred_at[FRAMES] = { 0 }, seed = 94;
	struct ramka_frame *held[200];
	unsigned n = 0, reused = 0;

	(void)state;
	for (unsigned round = 0; round < 60000; round++) {
		struct ramka_cpu *cpu = f->cpu[random_next(&seed) % 2];
		struct ramka_frame *one = n < 200 ? ramka_frame_alloc(cpu, &note_type, NULL, UNINIT) : NULL;
		uint64_t at;

		if (one) {
			at = ramka_frame_index(f->r, one) - BASE / PAGE;
			if (deferred_at[at]) {
				assert_true(f->grace.over >= deferred_at[at]); /* a cookie from after it was deferred */
				reused++;
			}
			deferred_at[at] = 0;
			held[n++] = one;
		} else if (n) {
			unsigned i = (unsigned)(random_next(&seed) % n);

			at = ramka_frame_index(f->r, held[i]) - BASE / PAGE;
			deferred_at[at] = f->grace.taken + 1;
			ramka_frame_put_rcu(cpu, held[i]);
			held[i] = held[--n];
		}
		if (random_next(&seed) % 64 == 0 && f->grace.over < f->grace.taken)
			f->grace.over++; /* one grace period ends */
	}
	assert_true(reused > 1000);
	put_all(f->cpu[0], held, n);
	CLOSE(f);
}

/* Frames deferred while others wait, instances that come and go: nothing is forgotten at the end. */
static void f13_nothing_is_lost_at_shutdown(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 4, .rcu = true, .size = MIB });

		for (unsigned i = 0; i < round % 90; i++)
			ramka_frame_put_rcu(i % 5 == 4 ? f->none : f->cpu[i % 5], ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT));
		if (round % 3 == 0)
			ramka_cpu_offline(f->cpu[round % 4]);
		assert_int_equal(ramka_fini(f->r), round % 90 ? RAMKA_E_BUSY : 0);
		if (!(round % 90)) {
			fixture_unmap(f);
			continue;
		}
		ramka_reclaim(round % 2 ? f->cpu[round % 4] : f->none, true);
		ramka_reclaim(f->cpu[0], true); /* again: nothing to do */
		assert_int_equal(drops, round % 90);
		CLOSE(f);
	}
}

/* The grace period never ends: an answer in a bounded number of steps, and all comes back when it does. */
static void f15_an_endless_reader_costs_an_answer_only(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true, .bounded = true, .size = MIB,
							  .high_water = 10 });
	struct ramka_frame *frames[257];
	struct ramka_request wait = { .flags = RAMKA_ALLOC_WAIT | RAMKA_ALLOC_UNINIT };
	size_t n = alloc_all(f->cpu[0], UNINIT, frames, 257);

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ramka_frame_put_rcu(f->cpu[0], frames[i]), i < 10 ? 0 : RAMKA_PRESSURE);
	f->grace.stuck = true;
	f->grace.polls = 0;
	for (unsigned i = 0; i < 20; i++) {
		assert_null(ramka_frame_alloc(f->cpu[i % 2], &note_type, NULL, UNINIT));
		assert_null(ramka_frame_alloc(f->cpu[i % 2], &note_type, NULL, wait));
	}
	assert_true(f->grace.polls < 20 * 1000);
	assert_int_equal(stats(f).deferred, 256);
	f->grace.stuck = false;
	ramka_reclaim(f->cpu[1], true);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 257), 256);
	put_all(f->cpu[0], frames, 256);
	CLOSE(f);
}

/* A flood of deferred frees is bounded by a caller that does what PRESSURE says. */
static void f16_pressure_bounds_the_backlog(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true, .size = 64 * MIB, .high_water = 256 });
	uint64_t most = 0;

	(void)state;
	for (unsigned i = 0; i < TIMES(100000); i++) {
		struct ramka_cpu *cpu = f->cpu[i % 2];

		if (ramka_frame_put_rcu(cpu, must_alloc(cpu, UNINIT)) == RAMKA_PRESSURE)
			ramka_reclaim(cpu, true);
		if (stats(f).deferred > most)
			most = stats(f).deferred;
	}
	assert_true(most <= 2 * 257);
	assert_true(f->grace.expedites > 0);
	CLOSE(f);
}

/* Demand is all the memory but one frame for each CPU: "no memory" is never an answer. */
static void f17_no_false_out_of_memory(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 8, .size = MIB });
	struct ramka_frame *held[256];
	unsigned n = 0;
	uint64_t seed = 95;

	(void)state;
	for (unsigned round = 0; round < TIMES(200000); round++) {
		struct ramka_cpu *cpu = f->cpu[random_next(&seed) % 8];

		if (n < 256 && (n == 0 || random_next(&seed) % 1000 < (round / 1000 % 2 ? 900u : 400u))) {
			held[n++] = must_alloc(cpu, UNINIT);
		} else {
			unsigned i = (unsigned)(random_next(&seed) % n);

			ramka_frame_put(cpu, held[i]);
			held[i] = held[--n];
		}
	}
	put_all(f->cpu[0], held, n);
	assert_int_equal(stats(f).failures[0], 0);
	CLOSE(f);
}

static void f19_cpus_come_and_go(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 4, .rcu = true, .high_water = 10000, .no_barrier = true });
	struct ramka_frame *held[100];
	unsigned n = 0;
	uint64_t seed = 96;

	(void)state;
	for (unsigned cycle = 0; cycle < TIMES(10000); cycle++) {
		unsigned which = (unsigned)(random_next(&seed) % 4);
		struct ramka_cpu *cpu = f->cpu[which];

		for (unsigned i = 0; i < 10; i++) {
			if (n < 100 && random_next(&seed) % 2)
				held[n++] = must_alloc(cpu, UNINIT);
			else if (n && random_next(&seed) % 2)
				ramka_frame_put(cpu, held[--n]);
			else if (n)
				ramka_frame_put_rcu(cpu, held[--n]);
		}
		ramka_cpu_offline(cpu);
		assert_int_equal(cpu_count(cpu) + cpu_in_rows(cpu), 0);
		assert_false(depot_has_full(f->r->depot, which));
		assert_int_equal(defer_waiting(cpu->defer), 0);
		if (cycle % 16 == 0)
			ramka_reclaim(f->cpu[3 - which], true);
	}
	put_all(f->cpu[0], held, n);
	CLOSE(f);
}

/* One CPU only allocates, another only frees: what is cached does not grow. */
static void f20_a_cpu_that_only_frees(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = 64 * MIB });
	uint64_t most = 0;

	(void)state;
	for (unsigned i = 0; i < TIMES(300000); i++) {
		ramka_frame_put(f->cpu[1], must_alloc(f->cpu[0], UNINIT));
		if (i % 100 == 0 && stats(f).cached > most)
			most = stats(f).cached;
	}
	assert_true(most <= 2 * (CACHE_SIZE + (ROWS + 1) * WORD_BITS) + 2 * SHARD_MAGAZINES * MAGAZINE_SIZE);
	CLOSE(f);
}

/* What CPUs keep back at most, in tenths of a percent of the memory: all is freed in all ways, order by order. */
static uint64_t most_cached(struct spec spec, unsigned top_order)
{
	struct fixture *f = open_with(spec);
	uint64_t nr = spec.size / PAGE, seed = 9, most = 0;
	struct ramka_frame **frames = calloc(nr, sizeof(*frames));

	for (unsigned round = 0; round < 12; round++) {
		unsigned order = round % (top_order + 1);
		size_t n = 0;

		for (; n < nr && (frames[n] = ramka_frame_alloc(f->cpu[n * spec.nr_cpus * (1 + round / 4) / nr % spec.nr_cpus],
								 &ramka_type_untyped, NULL, order_req(order))); n++)
			;
		for (size_t i = n; round % 3 == 0 && i > 1; i--) {
			size_t j = random_next(&seed) % i;
			struct ramka_frame *swap = frames[i - 1];

			frames[i - 1] = frames[j];
			frames[j] = swap;
		}
		for (size_t i = 0; i < n; i++) {
			ramka_frame_put(f->cpu[round % 2 ? i * spec.nr_cpus / n : random_next(&seed) % spec.nr_cpus], frames[i]);
			if (i % 64 == 0 || i + 1 == n)
				most = stats(f).cached > most ? stats(f).cached : most;
		}
	}
	free(frames);
	CLOSE(f);
	return most * 1000 / nr;
}

/* By default small memory is not for caches, and a bound of the embedder's holds. */
static void f20_caches_keep_to_their_bound(void **state)
{
	(void)state;
	assert_in_range(most_cached((struct spec){ .nr_cpus = 4, .size = 128 * MIB }, 0), 20, 150);
	assert_in_range(most_cached((struct spec){ .nr_cpus = 2, .size = 128 * MIB }, 0), 20, 150);
	assert_in_range(most_cached((struct spec){ .nr_cpus = 8, .size = 64 * MIB }, 0), 20, 300);
	assert_in_range(most_cached((struct spec){ .nr_cpus = 2, .size = 64 * MIB }, 10), 20, 500);
	for (uint64_t bound = 1; bound <= 2048; bound = bound < 256 ? 256 : bound * 2)
		for (unsigned cpus = 1; cpus <= 4; cpus += 3)
			assert_in_range(most_cached((struct spec){ .nr_cpus = cpus, .size = 64 * MIB, .cache_frames = bound }, 10), 1,
					cpus * (bound < 256 ? 256 : bound) * 1000 / (64 * MIB / PAGE));
}

/* A CPU that stops inside a call: the others go on, and miss no more than what it holds. */
static void f24_a_stopped_cpu_blocks_nobody(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 3, .rcu = true, .high_water = 100000 });
	struct ramka_frame *frames[FRAMES + 1];
	uint64_t stuck;

	(void)state;
	ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
	ramka_frame_put_rcu(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
	interrupt_begin(f->cpu[0]); /* and never comes back */
	stuck = cpu_count(f->cpu[0]) + cpu_in_rows(f->cpu[0]) + 1;
	for (unsigned round = 0; round < 20; round++) {
		size_t n = alloc_all(f->cpu[1 + round % 2], UNINIT, frames, FRAMES + 1);

		assert_int_equal(n, FRAMES - stuck);
		for (size_t i = 0; i < n; i++) {
			if (i % 3)
				ramka_frame_put(f->cpu[2 - round % 2], frames[i]);
			else
				ramka_frame_put_rcu(f->cpu[1 + i % 2], frames[i]);
		}
		ramka_reclaim(f->cpu[1], true);
		ramka_drain(f->r);
		assert_int_equal(stats(f).deferred, 1);
	}
	interrupt_end(f->cpu[0]);
	CLOSE(f);
}

/* No byte of one owner reaches the next. */
static void f25_no_byte_leaks(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 3, .rcu = true, .size = MIB, .high_water = 10000 });
	struct ramka_frame *held[64];
	unsigned n = 0;
	uint64_t seed = 97;

	(void)state;
	for (unsigned round = 0; round < TIMES(4000); round++) {
		struct ramka_cpu *cpu = round % 4 == 3 ? f->none : f->cpu[random_next(&seed) % 3];
		struct ramka_request req = { .order = (uint8_t)(random_next(&seed) % 4) };
		struct ramka_frame *one = n < 64 && random_next(&seed) % 2 ? ramka_frame_alloc(cpu, &note_type, NULL, req) : NULL;

		if (one) {
			assert_true(all_bytes(ramka_frame_content(f->r, one), 0, ramka_frame_size(one)));
			assert_true(all_bytes(ramka_frame_meta(f->r, one), 0, sizeof(struct note)));
			memset(ramka_frame_content(f->r, one), 0xff, ramka_frame_size(one));
			memset(ramka_frame_meta(f->r, one), 0xff, sizeof(struct note));
			held[n++] = one;
		} else if (n) {
			one = held[--n];
			if (random_next(&seed) % 2)
				ramka_frame_put(cpu, one);
			else
				ramka_frame_put_rcu(cpu, one);
		}
		if (round % 100 == 0)
			ramka_reclaim(cpu, true);
	}
	put_all(f->cpu[0], held, n);
	CLOSE(f);
}

/* The last frame of every region is usable, and the first, whatever lies between the regions. */
static void f28_no_end_is_off_by_one(void **state)
{
	(void)state;
	for (unsigned gap = 1; gap <= 4; gap++) {
		struct ramka_region g[20];
		struct fixture *f;
		struct ramka_frame *one;

		for (unsigned i = 0; i < 20; i++)
			g[i] = (struct ramka_region){ BASE + i * (31 + gap) * PAGE, 31 * PAGE, RAMKA_USABLE, 0 };
		f = fixture_open((struct spec){ .regions = g, .nr_regions = 20 });
		assert_int_equal(stats(f).free, 20 * 31);
		for (unsigned i = 0; i < 20; i++) {
			ramka_paddr_t first = g[i].base, last = g[i].base + g[i].size - PAGE;

			assert_int_equal(ramka_frame_from_unused(f->none, first, &ramka_type_untyped, NULL, &one), 0);
			ramka_frame_put(f->none, one);
			assert_int_equal(ramka_frame_from_unused(f->none, last, &ramka_type_untyped, NULL, &one), 0);
			ramka_frame_put(f->none, one);
			assert_int_equal(ramka_frame_from_unused(f->none, last + PAGE, &ramka_type_untyped, NULL, &one), RAMKA_E_OUT_OF_BOUND);
			assert_int_equal(ramka_frame_from_unused(f->none, first - PAGE, &ramka_type_untyped, NULL, &one), RAMKA_E_OUT_OF_BOUND);
		}
		CLOSE(f);
	}
}

/* A frame that sits in a cache is the allocator's: a claim gets it out of there, or does not get it. */
static void f30_a_claimed_frame_is_in_no_cache(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = MIB });
	struct ramka_frame *frames[257], *mine[64], *one;
	unsigned n = 0;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 257), 256);
	for (unsigned i = 0; i < 256; i++)
		ramka_frame_put(f->cpu[i % 2], frames[i]);
	for (unsigned i = 0; i < 256 && n < 64; i++)
		if (!ramka_frame_from_unused(f->cpu[0], BASE + i * PAGE, &note_type, NULL, &one))
			mine[n++] = one;
	assert_true(n > 10);
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, frames, 257), 256 - n);
	for (unsigned i = 0; i < 256 - n; i++)
		for (unsigned j = 0; j < n; j++)
			assert_ptr_not_equal(frames[i], mine[j]);
	put_all(f->cpu[0], frames, 256 - n);
	put_all(f->cpu[0], mine, n);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(f03_a_speculative_reference_outlives_the_owner),
		cmocka_unit_test(f03_a_walker_never_keeps_or_kills_a_frame),
		cmocka_unit_test(f06_no_double_free_is_accepted),
		cmocka_unit_test(f09_one_drop_for_each_install),
		cmocka_unit_test(f11_the_oracles_catch_one_frame),
		cmocka_unit_test(f12_no_frame_comes_back_early),
		cmocka_unit_test(f13_nothing_is_lost_at_shutdown),
		cmocka_unit_test(f15_an_endless_reader_costs_an_answer_only),
		cmocka_unit_test(f16_pressure_bounds_the_backlog),
		cmocka_unit_test(f17_no_false_out_of_memory),
		cmocka_unit_test(f19_cpus_come_and_go),
		cmocka_unit_test(f20_a_cpu_that_only_frees),
		cmocka_unit_test(f20_caches_keep_to_their_bound),
		cmocka_unit_test(f24_a_stopped_cpu_blocks_nobody),
		cmocka_unit_test(f25_no_byte_leaks),
		cmocka_unit_test(f28_no_end_is_off_by_one),
		cmocka_unit_test(f30_a_claimed_frame_is_in_no_cache),
	};

	return cmocka_run_group_tests_name("classes", tests, NULL, NULL);
}
