/* SPDX-License-Identifier: MIT */
/*
 * pipe: one thread allocates and hands the frames to another, which frees them. Threads 0 and 1 are such a
 * pair, 2 and 3, and so on. Asks how frames come back to where they are needed, and how many cache lines
 * move for that.
 *
 * The CPU time of both threads is counted, with what the hand-over costs (the null peer shows it) and with
 * the time that the faster one waits, so a pair is about twice the time that passes. Not for allocators
 * without a way back.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <sched.h>
#include <stdatomic.h>

#define RING  2048u
#define BATCH 64u /* frames handed over at once, so that the hand-over is not what is measured */
#define SPINS 2048

/* Single producer, single consumer. Each side keeps where it is, and what it last saw of the other, on its
 * own lines. */
struct ring {
	_Alignas(128) _Atomic uint64_t head; /* frames handed over; written by the producer */
	_Alignas(128) _Atomic uint64_t tail; /* frames taken; written by the consumer */
	_Alignas(128) uint64_t put, tail_seen;
	_Alignas(128) uint64_t got, head_seen;
	_Alignas(128) void *slot[RING];
};

static struct ring rings[BENCH_MAX_THREADS / 2];

static void relax(int *spins)
{
	if (++*spins < SPINS)
		bench_relax();
	else
		sched_yield(); /* more threads than CPUs */
}

static inline void ring_push(struct ring *q, void *frame)
{
	if (unlikely(q->put - q->tail_seen == RING))
		for (int spins = 0; q->put - q->tail_seen == RING; relax(&spins))
			q->tail_seen = atomic_load_explicit(&q->tail, memory_order_acquire);
	q->slot[q->put++ % RING] = frame;
	if (q->put % BATCH == 0)
		atomic_store_explicit(&q->head, q->put, memory_order_release);
}

static inline void *ring_pop(struct ring *q)
{
	void *frame;

	if (unlikely(q->got == q->head_seen))
		for (int spins = 0; q->got == q->head_seen; relax(&spins))
			q->head_seen = atomic_load_explicit(&q->head, memory_order_acquire);
	frame = q->slot[q->got++ % RING];
	if (q->got % BATCH == 0)
		atomic_store_explicit(&q->tail, q->got, memory_order_release);
	return frame;
}

/* Both threads of a pair run as many iterations, so each moves two frames in one: a pair is one of either
 * thread's. */
static void pipe_frames(struct bench_thread *t)
{
	struct ring *q = &rings[t->id / 2];

	if (t->id % 2 == 0) {
		while (gbench_next(t->g, 1024))
			for (int i = 0; i < 2048; i++)
				ring_push(q, bench_alloc(t));
	} else {
		while (gbench_next(t->g, 1024))
			for (int i = 0; i < 2048; i++)
				bench_free(t, ring_pop(q));
	}
	bench_check_and_free(t, NULL, 0);
}

static bool has_way_back(const struct bench_peer *p)
{
	return !(p->flags & PEER_OWN);
}

const struct bench_workload bench_pipe[] = {
	{ .name = "pipe",
	  .what = "one thread allocates, another frees",
	  .memory = UINT64_C(128) << 20,
	  .orders = 1u << 0 | 1u << 3,
	  .min_threads = 2,
	  .even = true,
	  .fits = has_way_back,
	  .run = pipe_frames },
	{ .name = NULL },
};
