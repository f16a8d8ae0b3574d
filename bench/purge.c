/* SPDX-License-Identifier: MIT */
/*
 * purge: every thread allocates, one in eight of them frees for all, as kernel threads do that reclaim memory. Asks what a
 * free costs when nearly all frames come from other CPUs, while these allocate on.
 *
 * In each round a thread allocates a batch; the purgers, thread 0 and so on, also free the batches that were allocated in
 * the round before, each those of the threads that are its own modulo the number of purgers. `alloc` and `free` are per
 * frame; waiting for the others between two rounds is not counted.
 */
#include "bench.h"

#define EACH	8u
#define AT_MOST 8192u

static void **batches[BENCH_MAX_THREADS][2]; /* of each thread: the round before, this round */

static uint64_t free_for_all(struct bench_thread *t, unsigned before, uint64_t n)
{
	unsigned purgers = (t->threads + EACH - 1) / EACH;
	uint64_t t0 = bench_cpu_ns();

	for (unsigned of = t->id; of < t->threads; of += purgers)
		for (uint64_t i = 0; i < n; i++)
			bench_free(t, batches[of][before][i]);
	return bench_cpu_ns() - t0;
}

static void purge(struct bench_thread *t)
{
	uint64_t n = t->share / 8 < AT_MOST ? t->share / 8 : AT_MOST;
	uint64_t pairs = 0, in_alloc = 0, in_free = 0, t0;
	bool purges = t->id < (t->threads + EACH - 1) / EACH, first = true;
	unsigned now = 0;

	batches[t->id][0] = bench_map(n * sizeof(void *));
	batches[t->id][1] = bench_map(n * sizeof(void *));
	while (gbench_next(t->g, (int64_t)n)) {
		if (purges && !first)
			in_free += free_for_all(t, !now, n);
		t0 = bench_cpu_ns();
		for (uint64_t i = 0; i < n; i++)
			batches[t->id][now][i] = bench_alloc(t);
		in_alloc += bench_cpu_ns() - t0;
		pairs += n;
		gbench_pause(t->g);
		bench_barrier(t);
		gbench_resume(t->g);
		now = !now;
		first = false;
	}
	gbench_report(t->g, "alloc", (double)in_alloc / (double)pairs);
	gbench_report(t->g, "free", pairs > n ? (double)in_free / (double)(pairs - n) : 0);
	bench_check_and_free(t, batches[t->id][!now], first ? 0 : n);
	bench_barrier(t); /* before the arrays go */
	bench_unmap(batches[t->id][0], n * sizeof(void *));
	bench_unmap(batches[t->id][1], n * sizeof(void *));
}

static bool has_way_back(const struct bench_peer *p)
{
	return !(p->flags & (PEER_OWN | PEER_DEFERS));
}

const struct bench_workload bench_purge[] = {
	{ .name = "purge",
	  .what = "all allocate, one thread in eight frees for all",
	  .memory = UINT64_C(512) << 20,
	  .held = 25,
	  .orders = 1u << 0 | 1u << 3,
	  .min_threads = 2,
	  .fits = has_way_back,
	  .run = purge },
	{ .name = NULL },
};
