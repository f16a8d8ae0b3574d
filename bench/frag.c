/* SPDX-License-Identifier: MIT */
/*
 * frag: what is left for huge frames after a long time of use? 4 GiB are filled, freed at random down to
 * 50, 70 or 90 %, and then, 100 rounds long, a tenth of the live frames is freed and allocated anew, one by
 * one, at random.
 *
 * `share` is the part of the free memory that lies in wholly free, aligned 2 MiB frames, in per cent,
 * counted from the frames that the benchmark holds, so that no allocator has to be believed; `zone` the
 * same by the allocator's own count, where it has one and counts only what it could hand out at once. A
 * random layout has none. The time is that of one pair of these rounds.
 */
#include "bench.h"

#include <stdlib.h>

#define ROUNDS 100
#define BLOCK  512u /* base frames of 2 MiB */

static double share_of_huge(struct bench_thread *t, void **held, uint64_t n, uint64_t frames)
{
	uint16_t *in_use = calloc(frames / BLOCK, sizeof(*in_use));
	uint64_t huge = 0;

	if (!in_use)
		bench_die("out of memory");
	for (uint64_t i = 0; i < n; i++)
		in_use[t->peer->number(t->instance, held[i]) / BLOCK]++;
	for (uint64_t b = 0; b < frames / BLOCK; b++)
		huge += in_use[b] == 0;
	free(in_use);
	return 100.0 * (double)(huge * BLOCK) / (double)(frames - n);
}

static void frag(struct bench_thread *t)
{
	struct bench_rng r = bench_seed(7);
	uint64_t frames = t->share, n = frames * t->param / 100, pairs = n / 10 * ROUNDS;
	void **held = bench_map(frames * sizeof(*held));
	uint64_t t0;

	while (gbench_next(t->g, 1)) {
		gbench_pause(t->g);
		for (uint64_t i = 0; i < frames; i++)
			held[i] = bench_alloc(t);
		bench_shuffle(&r, held, frames);
		for (uint64_t i = n; i < frames; i++)
			bench_free(t, held[i]);
		gbench_resume(t->g);
		t0 = bench_cpu_ns();
		for (uint64_t k = 0; k < pairs; k++) {
			uint64_t i = bench_below(&r, n);

			bench_free(t, held[i]);
			held[i] = bench_alloc(t);
		}
		gbench_report(t->g, "pair", (double)(bench_cpu_ns() - t0) / (double)pairs);
	}
	gbench_report(t->g, "share", share_of_huge(t, held, n, frames));
	if (t->peer->free_in_huge)
		gbench_report(t->g, "zone",
			      100.0 * (double)t->peer->free_in_huge(t->instance) / (double)(frames - n));
	bench_check_and_free(t, held, n);
	bench_unmap(held, frames * sizeof(*held));
}

static bool has_numbers(const struct bench_peer *p)
{
	return p->flags & PEER_BOUNDED; /* the frames of the others lie anywhere */
}

#define FRAG(percent) \
	{ \
		.name = "frag:" #percent, \
		.what = "free memory in whole 2 MiB frames, " #percent " % full, 100 rounds", \
		.memory = UINT64_C(4) << 30, .held = 100, .param = percent, .orders = 1u << 0, .max_threads = 1, \
		.iterations = 1, .fits = has_numbers, .run = frag \
	}

const struct bench_workload bench_frag[] = {
	FRAG(50),
	FRAG(70),
	FRAG(90),
	{ .name = NULL },
};
