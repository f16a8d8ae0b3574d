/* SPDX-License-Identifier: MIT */
/*
 * The workloads. This file is compiled twice: for the simulated machine, where the compiler reports its accesses too, and
 * for threads. Time that a CPU waits for another one between two calls of machine_run is not counted.
 */
#include "machine.h"
#include "workloads.h"

#define EACH_PURGES 8u /* one CPU in so many frees for all */
#define RUN 16u        /* exit: most frames in a row that one CPU had allocated */

static void *take(struct work *w, struct worker *me)
{
	void *frame = w->peer->alloc(me->cpu, w->order);

	if (unlikely(!frame))
		bench_die("%s has no memory", w->peer->name);
	return frame;
}

static void give(struct work *w, struct worker *me, void *frame)
{
	w->peer->free(me->cpu, frame, w->order);
}

/* ---- steps that several workloads make ---- */

static void hold(unsigned cpu, void *arg) /* nr_take of them */
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	machine_section(cpu, SECTION_ALLOC);
	for (uint64_t i = 0; i < me->nr_take; i++)
		me->held[i] = take(w, me);
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_ALLOC, me->nr_take);
	me->nr_held = me->nr_take;
}

static void drop(unsigned cpu, void *arg) /* what is in `take` */
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	machine_section(cpu, SECTION_FREE);
	for (uint64_t i = 0; i < me->nr_take; i++)
		give(w, me, me->take[i]);
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_FREE, me->nr_take);
}

static void drop_held(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	for (uint64_t i = 0; i < me->nr_held; i++)
		give(w, me, me->held[i]);
	me->nr_held = 0;
}

void work_finish(struct work *w)
{
	machine_run(drop_held, w);
}

static void each_takes(struct work *w, uint64_t n)
{
	for (unsigned i = 0; i < w->cpus; i++)
		w->workers[i].nr_take = n;
}

/* So many allocations fit without another CPU's cache being asked. */
static uint64_t brim(const struct work *w)
{
	uint64_t spare = w->share / 100 + 1 + (w->order == 0 && w->cpus > 1 ? 128 : 0);

	return w->share > spare ? w->share - spare : 1;
}

/* ---- repeat ---- */

static void repeat_some(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	machine_section(cpu, SECTION_PAIR);
	for (uint64_t i = 0; i < w->pairs; i++)
		give(w, me, take(w, me));
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_PAIR, w->pairs);
}

static void repeat(struct work *w)
{
	machine_run(repeat_some, w);
	machine_reset();
	machine_run(repeat_some, w);
}

/* ---- bulk ---- */

static void bulk_some(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];
	uint64_t n = w->share / 2 < w->pairs ? w->share / 2 : w->pairs, rounds = w->pairs / n;

	for (uint64_t r = 0; r < rounds; r++) {
		machine_section(cpu, SECTION_ALLOC);
		for (uint64_t i = 0; i < n; i++)
			me->held[i] = take(w, me);
		machine_section(cpu, SECTION_FREE);
		for (uint64_t i = 0; i < n; i++)
			give(w, me, me->held[i]);
	}
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_ALLOC, rounds * n);
	machine_count(cpu, SECTION_FREE, rounds * n);
}

static void bulk(struct work *w)
{
	machine_run(bulk_some, w);
	machine_reset();
	machine_run(bulk_some, w);
}

/* ---- churn ---- */

static void churn_pairs(struct work *w, unsigned cpu, uint64_t pairs)
{
	struct worker *me = &w->workers[cpu];

	for (uint64_t i = 0; i < pairs; i++) {
		uint64_t k = bench_below(&me->rng, me->nr_held);

		give(w, me, me->held[k]);
		me->held[k] = take(w, me);
	}
}

static void fill_to_brim(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	for (me->nr_held = 0; me->nr_held < brim(w); me->nr_held++)
		me->held[me->nr_held] = take(w, me);
}

static void thin_out(unsigned cpu, void *arg) /* to param % */
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];
	uint64_t keep = w->share * w->param / 100;

	while (me->nr_held > 1 && me->nr_held > keep)
		give(w, me, me->held[--me->nr_held]);
}

static void churn_in(unsigned cpu, void *arg)
{
	struct work *w = arg;

	churn_pairs(w, cpu, w->share / 2);
}

static void churn_some(unsigned cpu, void *arg)
{
	struct work *w = arg;

	machine_section(cpu, SECTION_PAIR);
	churn_pairs(w, cpu, w->pairs);
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_PAIR, w->pairs);
}

/* Memory param % full in a random pattern. */
static void age(struct work *w)
{
	machine_run(fill_to_brim, w);
	for (unsigned i = 0; i < w->cpus; i++)
		bench_shuffle(&w->workers[i].rng, w->workers[i].held, w->workers[i].nr_held);
	machine_run(thin_out, w);
	machine_run(churn_in, w);
}

static void churn(struct work *w)
{
	age(w);
	machine_reset();
	machine_run(churn_some, w);
}

/* ---- beside: hot pairs beside a CPU whose requests fail ---- */

static bool all_done(struct work *w)
{
	for (unsigned i = 0; i + 1 < w->cpus; i++)
		if (!__atomic_load_n(&w->workers[i].done, __ATOMIC_RELAXED))
			return false;
	return true;
}

/* The last CPU takes all large frames there are, and for ever asks for one more. */
static void take_large(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	me->nr_take = 0;
	if (cpu + 1 == w->cpus)
		while (me->nr_take < w->share && (me->take[me->nr_take] = w->peer->alloc(me->cpu, 10)))
			me->nr_take++;
}

static void give_large(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];

	while (me->nr_take)
		w->peer->free(me->cpu, me->take[--me->nr_take], 10);
}

static void beside_some(unsigned cpu, void *arg)
{
	struct work *w = arg;
	void *cpu_handle = w->workers[cpu].cpu, *frame;

	if (cpu + 1 < w->cpus) {
		repeat_some(cpu, arg);
		__atomic_store_n(&w->workers[cpu].done, 1, __ATOMIC_RELAXED);
		return;
	}
	machine_section(cpu, SECTION_ALLOC); /* what a failing request costs */
	while (!all_done(w)) {
		frame = w->peer->alloc(cpu_handle, 10);
		if (frame)
			w->peer->free(cpu_handle, frame, 10);
		machine_count(cpu, SECTION_ALLOC, 1);
	}
	machine_section(cpu, SECTION_NONE);
}

static void beside(struct work *w)
{
	machine_run(fill_to_brim, w);
	machine_run(thin_out, w);
	machine_run(take_large, w);
	machine_run(repeat_some, w);
	machine_reset();
	machine_run(beside_some, w);
	machine_run(give_large, w);
}

/* ---- rand and exit: frees of what others allocated ---- */

/* Deals all frames to the CPUs that free them, `run` in a row from one that allocated them. */
static void deal(struct work *w, void **frames, uint64_t run, struct bench_rng *shuffle)
{
	uint64_t n = w->workers[0].nr_held, all = n * w->cpus, at = 0;

	for (uint64_t k = 0; k < n; k += run)
		for (unsigned i = 0; i < w->cpus; i++)
			for (uint64_t j = k; j < k + run && j < n; j++)
				frames[at++] = w->workers[i].held[j];
	if (shuffle)
		bench_shuffle(shuffle, frames, all);
	for (unsigned i = 0; i < w->cpus; i++) {
		struct worker *me = &w->workers[i];

		for (uint64_t k = 0; k < n; k++)
			me->take[k] = frames[i * n + k];
		me->nr_take = n;
	}
}

static void free_others(struct work *w, uint64_t run, bool shuffle)
{
	struct bench_rng rng = bench_seed(1000);
	uint64_t n = w->share / 2, rounds = w->pairs / n ? w->pairs / n : 1;
	void **frames = bench_map(n * w->cpus * sizeof(*frames));

	each_takes(w, n);
	for (uint64_t round = 0; round < rounds + 1; round++) { /* the first touches the slots */
		if (round == 1)
			machine_reset();
		machine_run(hold, w);
		deal(w, frames, run, shuffle ? &rng : NULL);
		machine_run(drop, w);
	}
	bench_unmap(frames, n * w->cpus * sizeof(*frames));
	for (unsigned i = 0; i < w->cpus; i++)
		w->workers[i].nr_held = 0;
}

static void free_at_random(struct work *w)
{
	free_others(w, 1, true);
}

static void exit_all(struct work *w)
{
	uint64_t run = w->share / 2 / 8;

	free_others(w, run > RUN ? RUN : run ? run : 1, false);
}

/* ---- purge: every CPU allocates, one in eight frees for all ---- */

/* Each allocates a batch, while the purgers free the batch that their CPUs allocated before. */
static void purge_round(unsigned cpu, void *arg)
{
	struct work *w = arg;
	struct worker *me = &w->workers[cpu];
	unsigned purgers = (w->cpus + EACH_PURGES - 1) / EACH_PURGES;
	uint64_t n = me->nr_take;

	if (cpu < purgers) {
		uint64_t freed = 0;

		machine_section(cpu, SECTION_FREE);
		for (unsigned of = cpu; of < w->cpus; of += purgers) {
			for (uint64_t i = 0; i < w->workers[of].nr_held; i++)
				give(w, me, w->workers[of].held[i]);
			freed += w->workers[of].nr_held;
		}
		machine_count(cpu, SECTION_FREE, freed);
	}
	machine_section(cpu, SECTION_ALLOC);
	for (uint64_t i = 0; i < n; i++)
		me->take[i] = take(w, me);
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_ALLOC, n);
}

static void swap_batches(struct work *w)
{
	for (unsigned i = 0; i < w->cpus; i++) {
		struct worker *me = &w->workers[i];
		void **batch = me->held;

		me->held = me->take;
		me->take = batch;
		me->nr_held = me->nr_take;
	}
}

static void purge(struct work *w)
{
	uint64_t batch = w->share / 8 ? w->share / 8 : 1;
	uint64_t rounds = w->pairs / batch < 3 ? 3 : w->pairs / batch;

	if (batch > w->pairs)
		batch = w->pairs;
	each_takes(w, batch);
	for (uint64_t r = 0; r < rounds + 2; r++) {
		if (r == 2)
			machine_reset();
		machine_run(purge_round, w);
		swap_batches(w);
	}
}

/* ---- pipe: one CPU allocates, its neighbour frees ---- */

#define RING  2048u
#define BATCH 64u

struct ring {
	_Alignas(128) uint64_t head;
	_Alignas(128) uint64_t tail;
	_Alignas(128) void *slot[RING];
};

static struct ring *rings;
static uint64_t ring_size, ring_batch; /* fewer where the frames are large */

static void produce(struct work *w, unsigned cpu, struct ring *q, uint64_t n)
{
	struct worker *me = &w->workers[cpu];
	uint64_t size = ring_size, batch = ring_batch, seen = 0;

	for (uint64_t put = 0; put < n;) {
		while (put - seen == size) {
			seen = __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE);
			if (put - seen == size)
				bench_relax();
		}
		q->slot[put++ % RING] = take(w, me);
		if (put % batch == 0)
			__atomic_store_n(&q->head, put, __ATOMIC_RELEASE);
	}
}

static void consume(struct work *w, unsigned cpu, struct ring *q, uint64_t n)
{
	struct worker *me = &w->workers[cpu];
	uint64_t batch = ring_batch, seen = 0;
	void *frame;

	for (uint64_t got = 0; got < n;) {
		while (got == seen) {
			seen = __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
			if (got == seen)
				bench_relax();
		}
		frame = q->slot[got++ % RING];
		if (got % batch == 0)
			__atomic_store_n(&q->tail, got, __ATOMIC_RELEASE);
		give(w, me, frame);
	}
}

static void pipe_some(unsigned cpu, void *arg)
{
	struct work *w = arg;
	uint64_t n = w->pairs / ring_batch * ring_batch;

	if ((cpu | 1) >= w->cpus)
		return;
	machine_section(cpu, SECTION_PAIR);
	if (cpu % 2 == 0)
		produce(w, cpu, &rings[cpu / 2], n);
	else
		consume(w, cpu, &rings[cpu / 2], n);
	machine_section(cpu, SECTION_NONE);
	machine_count(cpu, SECTION_PAIR, cpu % 2 ? n : 0);
}

static void pipe_frames(struct work *w)
{
	ring_batch = w->share / 8 < BATCH ? (w->share / 8 ? w->share / 8 : 1) : BATCH;
	ring_size = ring_batch * (w->share / 2 / ring_batch < RING / BATCH ? w->share / 2 / ring_batch : RING / BATCH);
	rings = bench_map((w->cpus + 1) / 2 * sizeof(*rings));
	machine_run(pipe_some, w);
	for (unsigned i = 0; i < w->cpus / 2; i++)
		rings[i].head = rings[i].tail = 0;
	machine_reset();
	machine_run(pipe_some, w);
}

/* ---- the table ---- */

const struct workload workloads[] = {
	{ .name = "repeat", .what = "alloc and free the same frame", .run = repeat },
	{ .name = "bulk", .what = "alloc up to 8192 frames, free them in order", .run = bulk },
	{ .name = "churn:50", .what = "half full: free a random frame, alloc another", .param = 50, .run = churn },
	{ .name = "churn:90", .what = "90 % full: free a random frame, alloc another", .param = 90, .run = churn },
	{ .name = "rand", .what = "free half of memory in random order, others' frames too", .run = free_at_random },
	{ .name = "exit", .what = "all free half of memory at once, 16 frames of each CPU in turn", .run = exit_all },
	{ .name = "purge", .what = "all allocate, one CPU in eight frees for all", .run = purge },
	{ .name = "pipe", .what = "one CPU allocates, its neighbour frees", .min_cpus = 2, .run = pipe_frames },
	{ .name = "beside",
	  .what = "hot pairs beside a CPU whose requests of order 10 fail; 98 % full",
	  .param = 98,
	  .max_order = 6,
	  .min_cpus = 2,
	  .run = beside },
	{ .name = NULL },
};
