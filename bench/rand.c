/* SPDX-License-Identifier: MIT */
/*
 * rand and exit: frees of frames that others allocated.
 *
 * rand: half of the memory is allocated, then freed in random order, each thread freeing what the shuffle
 * of all threads' frames gave to it. Asks what a free costs whose slot is in no cache, or in another CPU's,
 * and that goes to a place that others use too. `free` is the column to read; `alloc` is that of bulk after
 * such frees.
 *
 * exit: the same, but each thread frees runs of up to 16 frames that one thread had allocated in a row, then a run of the
 * next thread's: processes that end at the same time, with memory that several CPUs had allocated for them.
 */
#include "bench.h"

static void **all;	       /* every thread's frames, thread 0's first */
static uint32_t *order_of_all; /* a permutation of them */

/* Deals runs of the threads' frames in turn. */
static void deal(uint32_t *v, uint64_t n, unsigned threads, uint64_t run)
{
	uint64_t at = 0;

	for (uint64_t from = 0; from < n; from += run)
		for (unsigned id = 0; id < threads; id++)
			for (uint64_t i = from; i < from + run && i < n; i++)
				v[at++] = (uint32_t)(id * n + i);
}

static void random_free(struct bench_thread *t)
{
	uint64_t n = t->share / 2, whole = n * t->threads, pairs = 0, in_alloc = 0, in_free = 0, t0;
	struct bench_rng r = bench_seed(t->id);
	void **frames = bench_map(n * sizeof(*frames));

	if (t->id == 0) {
		all = bench_map(whole * sizeof(*all));
		order_of_all = bench_map(whole * sizeof(*order_of_all));
		if (t->param)
			deal(order_of_all, n, t->threads, t->param);
		else
			bench_permutation(&r, order_of_all, whole);
	}
	/* Once untimed, as in bulk. */
	for (uint64_t i = 0; i < n; i++)
		frames[i] = bench_alloc(t);
	for (uint64_t i = 0; i < n; i++)
		bench_free(t, frames[i]);
	while (gbench_next(t->g, (int64_t)n)) {
		void **own = all + t->id * n;

		t0 = bench_cpu_ns();
		for (uint64_t i = 0; i < n; i++)
			own[i] = bench_alloc(t);
		in_alloc += bench_cpu_ns() - t0;

		gbench_pause(t->g);
		bench_barrier(t);
		for (uint64_t i = 0; i < n; i++)
			frames[i] = all[order_of_all[t->id * n + i]];
		bench_barrier(t);
		gbench_resume(t->g);

		t0 = bench_cpu_ns();
		for (uint64_t i = 0; i < n; i++)
			bench_free(t, frames[i]);
		in_free += bench_cpu_ns() - t0;
		pairs += n;
	}
	gbench_report(t->g, "alloc", (double)in_alloc / (double)pairs);
	gbench_report(t->g, "free", (double)in_free / (double)pairs);
	for (uint64_t i = 0; i < n; i++)
		frames[i] = bench_alloc(t);
	bench_check_and_free(t, frames, n);
	bench_unmap(frames, n * sizeof(*frames));
	if (t->id == 0) {
		bench_unmap(all, whole * sizeof(*all));
		bench_unmap(order_of_all, whole * sizeof(*order_of_all));
	}
}

const struct bench_workload bench_rand[] = {
	{ .name = "rand",
	  .what = "free half of 512 MiB in random order, each thread others' frames too",
	  .memory = UINT64_C(512) << 20,
	  .held = 50,
	  .orders = 1u << 0,
	  .run = random_free },
	{ .name = "rand:8G",
	  .what = "free half of 8 GiB in random order",
	  .memory = UINT64_C(8) << 30,
	  .held = 50,
	  .orders = 1u << 0 | 1u << 3 | 1u << 9 | 1u << 10,
	  .run = random_free },
	{ .name = "exit",
	  .what = "all free half of 512 MiB at once, runs of 16 frames of each thread in turn",
	  .memory = UINT64_C(512) << 20,
	  .held = 50,
	  .param = 16,
	  .orders = 1u << 0 | 1u << 3,
	  .run = random_free },
	{ .name = NULL },
};
