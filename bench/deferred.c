/* SPDX-License-Identifier: MIT */
/*
 * deferred: what does it cost to free a frame only after a grace period? A thread allocates a frame and
 * frees it in the peer's way, as fast as it can, with a read section after every 64; on another CPU a
 * reader runs sections of about a microsecond, one every fifty. The difference to `at-once` is the price of
 * deferring.
 *
 * The number is the CPU time of the thread that frees; `all` adds that of everybody else but the reader:
 * the threads of liburcu and of the hosted layer. At this speed grace periods cannot keep up: the thread
 * waits when put_rcu says so, as a caller should, and that waiting costs no CPU time, but the call_rcu
 * peer, which nothing stops, piles frames up.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "peers/rcu.h"

struct reader {
	void *instance;
	atomic_bool stop;
	pthread_t thread;
};

static void one_microsecond(void)
{
	struct timespec t0, t;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while ((t.tv_sec - t0.tv_sec) * 1000000000L + t.tv_nsec - t0.tv_nsec < 1000);
}

static void *read_now_and_then(void *arg)
{
	struct reader *r = arg;
	struct timespec pause = { .tv_nsec = 50000 };

	bench_pin(1);
	while (!atomic_load(&r->stop)) {
		bench_rcu_read(r->instance, one_microsecond);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static uint64_t cpu_ns_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void deferred(struct bench_thread *t)
{
	struct reader reader = { .instance = t->instance };
	clockid_t reader_clock;
	uint64_t all, frames = 0;

	if (pthread_create(&reader.thread, NULL, read_now_and_then, &reader) ||
	    pthread_getcpuclockid(reader.thread, &reader_clock))
		bench_die("cannot start the reader");
	for (int i = 0; i < 4096; i++) /* past the first refills and, where there is one, the first bag */
		bench_free(t, bench_alloc(t));

	all = cpu_ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns_of(reader_clock);
	while (gbench_next(t->g, 1024)) {
		for (int i = 0; i < 1024; i++) {
			bench_free(t, bench_alloc(t));
			if (i % 64 == 63)
				bench_rcu_read(t->instance, NULL);
		}
		frames += 1024;
	}
	bench_rcu_settle(t->instance, t->cpu);
	all = cpu_ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns_of(reader_clock) - all;
	gbench_report(t->g, "all", (double)all / (double)frames);

	atomic_store(&reader.stop, true);
	pthread_join(reader.thread, NULL);
}

static bool defers(const struct bench_peer *p)
{
	return p->flags & PEER_DEFERS;
}

const struct bench_workload bench_deferred[] = {
	{ .name = "deferred",
	  .what = "free a frame after a grace period",
	  .memory = UINT64_C(4) << 30,
	  .orders = 1u << 0,
	  .max_threads = 1,
	  .fits = defers,
	  .run = deferred },
	{ .name = NULL },
};
