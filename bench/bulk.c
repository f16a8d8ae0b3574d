/* SPDX-License-Identifier: MIT */
/*
 * bulk: alloc many frames, then free them in the order in which they came. Asks what it costs to move whole
 * batches between the threads' caches and what lies behind them, and to write slots that no longer fit the
 * first cache.
 *
 * `bulk`: 64 Ki base frames (256 MiB) a thread, fewer with more than two threads: half of 1 GiB in all.
 * `bulk:8G`: half of 8 GiB, so that the slots fit no cache at all.
 * Beside the time of a pair: alloc and free apart.
 */
#include "bench.h"

static void take(struct bench_thread *t, void **frames, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		frames[i] = bench_alloc(t);
}

static void give(struct bench_thread *t, void **frames, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		bench_free(t, frames[i]);
}

static void bulk(struct bench_thread *t)
{
	uint64_t n = t->param && t->param < t->share / 2 ? t->param : t->share / 2;
	uint64_t pairs = 0, in_alloc = 0, in_free = 0, t0, t1;
	void **frames = bench_map(n * sizeof(*frames));

	/* Once untimed: slots, and blocks of those who write into them, are touched for the first time. */
	take(t, frames, n);
	give(t, frames, n);
	while (gbench_next(t->g, (int64_t)n)) {
		t0 = bench_cpu_ns();
		take(t, frames, n);
		t1 = bench_cpu_ns();
		give(t, frames, n);
		in_alloc += t1 - t0;
		in_free += bench_cpu_ns() - t1;
		pairs += n;
	}
	gbench_report(t->g, "alloc", (double)in_alloc / (double)pairs);
	gbench_report(t->g, "free", (double)in_free / (double)pairs);
	take(t, frames, n);
	bench_check_and_free(t, frames, n);
	bench_unmap(frames, n * sizeof(*frames));
}

const struct bench_workload bench_bulk[] = {
	{ .name = "bulk",
	  .what = "alloc 64 Ki frames a thread, free them in order",
	  .memory = UINT64_C(1) << 30,
	  .param = 65536,
	  .orders = 1u << 0,
	  .run = bulk },
	{ .name = "bulk:8G",
	  .what = "alloc half of 8 GiB, free it in order",
	  .memory = UINT64_C(8) << 30,
	  .held = 50,
	  .orders = 1u << 0 | 1u << 3 | 1u << 6 | 1u << 9 | 1u << 10,
	  .run = bulk },
	{ .name = NULL },
};
