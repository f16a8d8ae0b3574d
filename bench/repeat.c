/* SPDX-License-Identifier: MIT */
/*
 * repeat: alloc a frame, free it, again and again. The shortest path there is: what a call costs when
 * everything is in the first-level cache and nobody interferes. Each thread for itself.
 */
#include "bench.h"

static void repeat(struct bench_thread *t)
{
	void *frame;

	while (gbench_next(t->g, 1024))
		for (int i = 0; i < 1024; i++)
			bench_free(t, bench_alloc(t));
	frame = bench_alloc(t);
	bench_check_and_free(t, &frame, 1);
}

const struct bench_workload bench_repeat[] = {
	{ .name = "repeat",
	  .what = "alloc and free the same frame",
	  .memory = UINT64_C(64) << 20,
	  .orders = 1u << 0 | 1u << 3 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10,
	  .run = repeat },
	{ .name = NULL },
};
