/* SPDX-License-Identifier: MIT */
/*
 * tail: how long does one call take, at worst? The memory is 50, 90 or 99.9 % full in a random pattern, as for churn; a
 * held frame at random is freed, another allocated, and every call is timed by itself, by the processor's counter.
 *
 * Reported for alloc and free, over all calls of all threads: the median, p99, p99.99 and the longest, in ns. With more
 * threads than CPUs the longest contains the time that a thread did not run; `null` shows what the machine itself adds. A
 * call that finds no memory, since another thread's cache has it, is timed like every other one and made again: `failed`
 * counts them in a million.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#define STEPS	16u /* buckets for each doubling */
#define BUCKETS (40u * STEPS)
#define TRIES	100000u

struct histogram {
	uint64_t count[BUCKETS], longest, calls;
};

static struct histogram histograms[BENCH_MAX_THREADS][2]; /* alloc, free; in ticks */

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
#endif
}

static double ns_of_a_tick(void)
{
	struct timespec a, b;
	uint64_t from = ticks();

	clock_gettime(CLOCK_MONOTONIC, &a);
	do
		clock_gettime(CLOCK_MONOTONIC, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < 20000000);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)(ticks() - from);
}

static void note(struct histogram *h, uint64_t t)
{
	unsigned octave = t < STEPS ? 0 : 63 - (unsigned)__builtin_clzll(t) - 4 + 1;
	uint64_t bucket = octave ? octave * STEPS + (t >> (octave - 1)) - STEPS : t;

	h->count[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
	h->longest = t > h->longest ? t : h->longest;
	h->calls++;
}

/* The ticks below which a bucket's calls were. */
static uint64_t upper(unsigned bucket)
{
	unsigned octave = bucket / STEPS;

	return octave ? (uint64_t)(bucket % STEPS + STEPS + 1) << (octave - 1) : bucket + 1;
}

static double percentile(unsigned threads, unsigned which, double p)
{
	uint64_t calls = 0, seen = 0;

	for (unsigned i = 0; i < threads; i++)
		calls += histograms[i][which].calls;
	for (unsigned b = 0; b < BUCKETS; b++) {
		for (unsigned i = 0; i < threads; i++)
			seen += histograms[i][which].count[b];
		if ((double)seen >= p * (double)calls)
			return (double)upper(b);
	}
	return 0;
}

static void report(struct bench_thread *t)
{
	static const char *const names[2][4] = { { "alloc_p50", "alloc_p99", "alloc_p9999", "alloc_max" },
						 { "free_p50", "free_p99", "free_p9999", "free_max" } };
	static const double parts[3] = { 0.5, 0.99, 0.9999 };
	double tick = ns_of_a_tick();

	for (unsigned which = 0; which < 2; which++) {
		uint64_t longest = 0;

		for (unsigned k = 0; k < 3; k++)
			gbench_report(t->g, names[which][k], tick * percentile(t->threads, which, parts[k]));
		for (unsigned i = 0; i < t->threads; i++)
			longest = histograms[i][which].longest > longest ? histograms[i][which].longest : longest;
		gbench_report(t->g, names[which][3], tick * (double)longest);
	}
}

/* One that succeeds in the end; NULL if that takes too long. */
static void *alloc_until(struct bench_thread *t, struct histogram *h, uint64_t *failed)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		uint64_t from = ticks();
		void *frame = t->alloc(t->cpu, t->order);

		if (h)
			note(h, ticks() - from);
		if (likely(frame))
			return frame;
		++*failed;
		sched_yield();
	}
	return NULL;
}

static void churn_once(struct bench_thread *t, struct bench_rng *r, void **held, uint64_t n, uint64_t *failed)
{
	struct histogram *h = histograms[t->id];
	uint64_t i = bench_below(r, n), from = ticks();

	bench_free(t, held[i]);
	note(&h[1], ticks() - from);
	held[i] = alloc_until(t, &h[0], failed);
	if (!held[i])
		bench_die("%s has no memory", t->peer->name);
}

static void tail(struct bench_thread *t)
{
	struct bench_rng r = bench_seed(t->id);
	uint64_t wanted = t->share * t->param / 1000, n = 0, calls = 0, failed = 0;
	uint64_t brim = t->share - t->share / 100 - 1, most = wanted > brim ? wanted : brim;
	void **held = bench_map(most * sizeof(*held));

	while (n < most && (held[n] = alloc_until(t, NULL, &failed)))
		n++;
	bench_barrier(t);
	bench_shuffle(&r, held, n);
	while (n > wanted)
		bench_free(t, held[--n]);
	bench_barrier(t);
	failed = 0;
	for (uint64_t i = 0; i < n / 2; i++)
		churn_once(t, &r, held, n, &failed);
	memset(histograms[t->id], 0, sizeof(histograms[t->id]));
	failed = 0;
	while (gbench_next(t->g, 1024)) {
		for (int i = 0; i < 1024; i++)
			churn_once(t, &r, held, n, &failed);
		calls += 1024;
	}
	bench_barrier(t);
	report(t);
	gbench_report(t->g, "failed", calls ? 1e6 * (double)failed / (double)calls : 0);
	bench_check_and_free(t, held, n);
	bench_unmap(held, most * sizeof(*held));
}

static bool has_fixed_memory(const struct bench_peer *p)
{
	return p->flags & (PEER_BOUNDED | PEER_FAKE);
}

#define TAIL(full, permille) \
	{ .name = "tail:" full, \
	  .what = "how long one call takes, " full " % full", \
	  .memory = UINT64_C(256) << 20, \
	  .held = 100, \
	  .param = (permille), \
	  .orders = 1u << 0, \
	  .fits = has_fixed_memory, \
	  .run = tail }

const struct bench_workload bench_tail[] = {
	TAIL("50", 500),
	TAIL("90", 900),
	TAIL("99.9", 999),
	{ .name = NULL },
};
