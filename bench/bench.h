/* SPDX-License-Identifier: MIT */
/*
 * What the files of bench/ share: peers (who is asked), workloads (what is asked), and the thread that
 * asks.
 *
 * A case is one workload, one order, one peer and a number of threads; it is registered with Google
 * Benchmark as WORKLOAD/order:N/PEER/threads:T. One iteration is one alloc and one free, unless the
 * workload says otherwise. Every case ends with a check that no frame was lost or handed out twice; it ends
 * the process if one was.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gbench.h"

#define BENCH_PAGE	  4096u
#define BENCH_HUGE	  (2u << 20)
#define BENCH_MAX_THREADS 256u

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* In a loop that waits for another thread. */
static inline void bench_relax(void)
{
#if defined(BENCH_SIMULATED)
	extern void scale_relax(void);

	scale_relax();
#elif defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

/* ---- peers ---- */

#define PEER_ORDERS  1u	 /* hands out frames of any order; the others of one order for each instance */
#define PEER_BOUNDED 2u	 /* hands out a fixed number of frames, then NULL */
#define PEER_OWN     4u	 /* a frame serves only the thread that freed it: pipe cannot work */
#define PEER_FAKE    8u	 /* no allocator: hands out counted-up numbers */
#define PEER_SLOT    16u /* keeps a slot per frame */
#define PEER_BULK    32u /* has calls for many frames at once */
#define PEER_DEFERS  64u /* for `deferred` only */
#define PEER_HINTS   128u /* is told how long a frame lives; for `ageing` only */

struct bench_shape {
	uint64_t memory; /* bytes */
	uint64_t first;  /* physical address of the first one, for peers that know addresses; 0: 1 GiB */
	unsigned order;
	unsigned threads;
};

struct bench_peer {
	const char *name;
	const char *what; /* one line for the reader of the table */
	unsigned flags;
	/* NULL, or why it cannot be used here. Idempotent; before anything else but the fields above. */
	const char *(*load)(void);
	const char *(*version)(void);
	void *(*create)(const struct bench_shape *shape); /* NULL: not enough memory */
	void (*destroy)(void *instance);
	void *(*cpu)(void *instance, unsigned id); /* what thread `id` passes to the calls below */
	void *(*alloc)(void *cpu, unsigned order);
	void (*free)(void *cpu, void *frame, unsigned order);
	void *(*alloc_long)(void *cpu, unsigned order); /* PEER_HINTS: a frame that lives long */
	/* PEER_BULK: many at once. alloc_bulk returns how many. */
	size_t (*alloc_bulk)(void *cpu, unsigned order, size_t n, void **frames);
	void (*free_bulk)(void *cpu, unsigned order, size_t n, void **frames);
	/* Bytes between the handles of two adjacent base frames. */
	size_t stride;
	/* Bounded peers: the number of a handle's first base frame, for `frag`. */
	uint64_t (*number)(void *instance, void *frame);
	/* Optional: base frames in free 2 MiB frames, as the allocator itself counts them. */
	uint64_t (*free_in_huge)(void *instance);
};

extern const struct bench_peer *const bench_peers[]; /* ends with NULL */

/* ---- workloads ---- */

struct bench_case;

struct bench_thread {
	struct gbench *g;
	struct bench_case *c;
	unsigned id, threads, order;
	const struct bench_peer *peer;
	void *instance;
	void *cpu;
	void *(*alloc)(void *cpu, unsigned order); /* the peer's */
	void (*free)(void *cpu, void *frame, unsigned order);
	uint64_t share; /* frames of this order that this thread may hold: memory / threads */
	uint64_t param; /* the workload's */
};

struct bench_workload {
	const char *name;
	const char *what;
	uint64_t memory; /* bytes that an instance manages */
	uint64_t held;	 /* most frames held at once, in 1/100 of memory; 0: few */
	uint64_t param;
	unsigned orders;			  /* a bit for each order */
	unsigned min_threads;			  /* 0: 1 */
	unsigned max_threads;			  /* 0: any */
	int64_t iterations;			  /* fixed; 0: as many as fit */
	bool even;				  /* an even number of threads */
	bool bare;				  /* makes its own instance */
	bool hints;				  /* for peers with PEER_HINTS as well */
	bool (*fits)(const struct bench_peer *p); /* NULL: every peer */
	void (*run)(struct bench_thread *t);	  /* every thread; frees all that it allocated */
};

/* One file each; every array ends with a workload without a name. */
extern const struct bench_workload bench_repeat[], bench_bulk[], bench_rand[], bench_churn[], bench_pipe[],
	bench_frag[], bench_cold[], bench_init[], bench_deferred[], bench_purge[], bench_tail[], bench_ageing[];

/* ---- help for workloads (bench.c) ---- */

_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_barrier(struct bench_thread *t);
void bench_pin(unsigned id); /* the calling thread, to the CPU on which thread `id` runs */

/* Gives up if the peer has no memory left: every workload stays below what it asked for. */
static inline void *bench_alloc(struct bench_thread *t)
{
	void *frame = t->alloc(t->cpu, t->order);

	if (unlikely(!frame))
		bench_die("%s has no memory", t->peer->name);
	return frame;
}

static inline void bench_free(struct bench_thread *t, void *frame)
{
	t->free(t->cpu, frame, t->order);
}

/*
 * All threads together, at the end, each with all that it holds: checks that no two of these frames
 * overlap, then frees them.
 */
void bench_check_and_free(struct bench_thread *t, void **frames, uint64_t n);

/* Zeroed memory in huge pages, already touched (map) or not yet (reserve). Never NULL. */
void *bench_map(size_t bytes);
void *bench_reserve(size_t bytes);
void bench_unmap(void *p, size_t bytes);

uint64_t bench_cpu_ns(void); /* CPU time of this thread */

struct bench_rng {
	uint64_t s;
};

static inline uint64_t bench_random(struct bench_rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

/* 0 .. n-1, n below 2^32 */
static inline uint64_t bench_below(struct bench_rng *r, uint64_t n)
{
	return ((bench_random(r) >> 32) * n) >> 32;
}

struct bench_rng bench_seed(unsigned id);
void bench_shuffle(struct bench_rng *r, void **v, uint64_t n);
void bench_permutation(struct bench_rng *r, uint32_t *v, uint64_t n);

#endif
