/* SPDX-License-Identifier: MIT */
/*
 * churn: the memory is 50 or 90 % full, in a random pattern; free one held frame at random, alloc another.
 * Asks how well the allocator finds free memory that is scattered: the state that every long-running system
 * is in.
 *
 * First all of the memory is allocated, then frames at random are freed until the wanted part is left, then
 * half as many pairs as there are frames are run untimed. The choice of the frame and the miss on the array
 * of held frames are in the time: the null peer shows how much that is.
 *
 * `churn:64`: 64 frames are freed, then as many are allocated.
 */
#include "bench.h"

static inline void churn_once(struct bench_thread *t, struct bench_rng *r, void **held, uint64_t n)
{
	uint64_t i = bench_below(r, n);

	bench_free(t, held[i]);
	held[i] = bench_alloc(t);
}

#define BUNCH 100u /* added to the per cent */

/* BATCH pairs, one by one or all frees first. */
#define BATCH 64u
static inline void churn_batch(struct bench_thread *t, struct bench_rng *r, void **held, uint64_t n)
{
	uint64_t last = n - 1;

	if (t->param < BUNCH) {
		for (unsigned i = 0; i < BATCH; i++)
			churn_once(t, r, held, n);
		return;
	}
	for (; last >= n - BATCH; last--) {
		uint64_t i = bench_below(r, last + 1);
		void *frame = held[i];

		held[i] = held[last];
		bench_free(t, frame);
	}
	for (uint64_t i = n - BATCH; i < n; i++)
		held[i] = bench_alloc(t);
}

static void churn(struct bench_thread *t)
{
	struct bench_rng r = bench_seed(t->id);
	/* The last hundredth stays free: threads that fill the memory to the brim at the same time could
	 * find their share in another thread's cache. */
	uint64_t most = t->share - t->share / 100 - 1, n = t->share * (t->param % BUNCH) / 100;
	void **held = bench_map(most * sizeof(*held));

	for (uint64_t i = 0; i < most; i++)
		held[i] = bench_alloc(t);
	bench_barrier(t);
	bench_shuffle(&r, held, most);
	for (uint64_t i = n; i < most; i++)
		bench_free(t, held[i]);
	bench_barrier(t);
	for (uint64_t i = 0; i < n / 2; i += BATCH)
		churn_batch(t, &r, held, n);

	while (gbench_next(t->g, 1024))
		for (unsigned i = 0; i < 1024; i += BATCH)
			churn_batch(t, &r, held, n);
	bench_check_and_free(t, held, n);
	bench_unmap(held, most * sizeof(*held));
}

#define ORDERS (1u << 0 | 1u << 3 | 1u << 9 | 1u << 10)

const struct bench_workload bench_churn[] = {
	{ .name = "churn:50",
	  .what = "256 MiB half full: free a random frame, alloc another",
	  .memory = UINT64_C(256) << 20,
	  .held = 100,
	  .param = 50,
	  .orders = 1u << 0,
	  .run = churn },
	{ .name = "churn:90",
	  .what = "256 MiB 90 % full: free a random frame, alloc another",
	  .memory = UINT64_C(256) << 20,
	  .held = 100,
	  .param = 90,
	  .orders = 1u << 0,
	  .run = churn },
	{ .name = "churn:50:8G",
	  .what = "8 GiB half full: free a random frame, alloc another",
	  .memory = UINT64_C(8) << 30,
	  .held = 100,
	  .param = 50,
	  .orders = ORDERS,
	  .run = churn },
	{ .name = "churn:90:8G",
	  .what = "8 GiB 90 % full: free a random frame, alloc another",
	  .memory = UINT64_C(8) << 30,
	  .held = 100,
	  .param = 90,
	  .orders = ORDERS,
	  .run = churn },
	{ .name = "churn:64:8G",
	  .what = "8 GiB half full: free 64 random frames, alloc 64",
	  .memory = UINT64_C(8) << 30,
	  .held = 100,
	  .param = BUNCH + 50,
	  .orders = 1u << 0 | 1u << 3,
	  .run = churn },
	{ .name = NULL },
};
