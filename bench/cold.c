/* SPDX-License-Identifier: MIT */
/*
 * cold: what do alloc and free cost when no slot is in any cache? 8 GiB are allocated and freed in random
 * order; then, after the caches have been filled with other things, three quarters are allocated; after the
 * same again, freed in another random order. `cold` makes a call for each frame, `cold:bulk` a call for 64
 * of them where the peer has such calls. An allocator that keeps its free frames in a chain through their
 * slots waits for one miss after another.
 */
#include "bench.h"

#define EVICT (64u << 20)
#define BATCH 64u

static void evict_caches(volatile char *other)
{
	for (size_t i = 0; i < EVICT; i += 64)
		other[i]++;
}

static void take(struct bench_thread *t, void **frames, uint64_t n)
{
	if (!t->param) {
		for (uint64_t i = 0; i < n; i++)
			frames[i] = bench_alloc(t);
		return;
	}
	for (uint64_t i = 0; i < n; i += BATCH) {
		size_t want = n - i < BATCH ? n - i : BATCH;

		if (t->peer->alloc_bulk(t->cpu, t->order, want, frames + i) != want)
			bench_die("%s has no memory", t->peer->name);
	}
}

static void give(struct bench_thread *t, void **frames, uint64_t n)
{
	if (!t->param) {
		for (uint64_t i = 0; i < n; i++)
			bench_free(t, frames[i]);
		return;
	}
	for (uint64_t i = 0; i < n; i += BATCH)
		t->peer->free_bulk(t->cpu, t->order, n - i < BATCH ? n - i : BATCH, frames + i);
}

static void cold(struct bench_thread *t)
{
	struct bench_rng r = bench_seed(3);
	uint64_t n = t->share - t->share / 4, pairs = 0, in_alloc = 0, in_free = 0, t0;
	void **frames = bench_map(t->share * sizeof(*frames));
	char *other = bench_map(EVICT);

	while (gbench_next(t->g, (int64_t)n)) {
		gbench_pause(t->g);
		for (uint64_t i = 0; i < t->share; i++)
			frames[i] = bench_alloc(t);
		bench_shuffle(&r, frames, t->share);
		for (uint64_t i = 0; i < t->share; i++)
			bench_free(t, frames[i]);
		evict_caches(other);
		gbench_resume(t->g);

		t0 = bench_cpu_ns();
		take(t, frames, n);
		in_alloc += bench_cpu_ns() - t0;

		gbench_pause(t->g);
		bench_shuffle(&r, frames, n);
		evict_caches(other);
		gbench_resume(t->g);

		t0 = bench_cpu_ns();
		give(t, frames, n);
		in_free += bench_cpu_ns() - t0;
		pairs += n;
	}
	gbench_report(t->g, "alloc", (double)in_alloc / (double)pairs);
	gbench_report(t->g, "free", (double)in_free / (double)pairs);
	bench_unmap(frames, t->share * sizeof(*frames));
	bench_unmap(other, EVICT);
}

static bool bounded(const struct bench_peer *p)
{
	return p->flags & PEER_BOUNDED;
}

static bool has_bulk(const struct bench_peer *p)
{
	return (p->flags & PEER_BOUNDED) && (p->flags & PEER_BULK);
}

const struct bench_workload bench_cold[] = {
	{ .name = "cold",
	  .what = "random order, slots in no cache, one frame a call",
	  .memory = UINT64_C(8) << 30,
	  .held = 100,
	  .orders = 1u << 0,
	  .max_threads = 1,
	  .fits = bounded,
	  .run = cold },
	{ .name = "cold:bulk",
	  .what = "random order, slots in no cache, 64 frames a call",
	  .memory = UINT64_C(8) << 30,
	  .held = 100,
	  .param = 1,
	  .orders = 1u << 0,
	  .max_threads = 1,
	  .fits = has_bulk,
	  .run = cold },
	{ .name = NULL },
};
