/* SPDX-License-Identifier: MIT */
/*
 * A reader that never ends: worker 0 looks at the table and stays in its read section until every other worker has
 * been told that there is no memory, since all of it waits for that reader. Each request is answered, one that may
 * wait as well, after a bounded number of polls. Then the reader ends, and every worker must get memory again,
 * without a ramka_reclaim. And so on. A request that never comes back, or memory that does not, is a hang.
 */
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "periods.h"
#include "rcu_table.h"

#define MOST_POLLS 2000u /* of one request: one bounded wait of the backend, twice as long as it is */

static _Atomic uint32_t cycle;    /* odd: the reader reads */
static _Atomic uint32_t complete; /* cycles in which all were denied, then served */
static _Atomic uint32_t denied[MAX_WORKERS], served[MAX_WORKERS]; /* the last cycle in which that happened */

static bool stopped(void)
{
	struct timespec t = { .tv_nsec = 100000 };

	nanosleep(&t, NULL);
	return atomic_load_explicit(&world.stop, memory_order_relaxed);
}

static bool all_have(_Atomic uint32_t *what, uint32_t since)
{
	for (unsigned i = 1; i < world.nr_workers; i++)
		if (atomic_load_explicit(&what[i], memory_order_relaxed) < since)
			return false;
	return true;
}

static void reader(struct worker *w)
{
	uint32_t now = atomic_load(&cycle);
	struct sight s[RCU_LOOKS];
	unsigned n;
	bool yes;

	n = rcu_table_look(w, s);
	if (!n)
		return; /* nobody has written yet */
	atomic_store(&cycle, ++now);
	while (!all_have(denied, now) && !stopped())
		;
	yes = all_have(denied, now);
	rcu_table_look_again(s, n);
	worker_offline(w);
	atomic_store(&cycle, ++now);
	while (!all_have(served, now) && !stopped())
		;
	if (yes && all_have(served, now))
		atomic_fetch_add(&complete, 1);
	worker_online(w);
}

static void writer(struct worker *w)
{
	struct ramka_request req = { .flags = rng_one_in(&w->rng, 4) ? RAMKA_ALLOC_WAIT : 0 };
	struct ramka_cpu *cpu = rng_one_in(&w->rng, 16) ? ramka_cpu_none(world.r) : w->cpu;
	uint32_t before = atomic_load(&cycle);
	uint64_t polls = relaxes;
	struct held h;

	worker_offline(w); /* holds nothing that it found by looking */
	if (rng_one_in(&w->rng, 8)) {
		rcu_table_replace(w, cpu, false);
	} else if (take(w, cpu, &tagged_type, 0, false, req, &h)) {
		giving(w, &h);
		CHECK(ramka_frame_put_rcu(cpu, h.frame) >= 0, "ramka_frame_put_rcu failed");
		calling(w, 0);
		if (before % 2 == 0)
			atomic_store_explicit(&served[w->id], before, memory_order_relaxed);
	} else {
		if (before % 2 && atomic_load(&cycle) == before)
			atomic_store_explicit(&denied[w->id], before, memory_order_relaxed);
		sched_yield();
	}
	CHECK(relaxes - polls <= MOST_POLLS, "a request polled %llu times for a reader that does not end",
	      (unsigned long long)(relaxes - polls));
	worker_online(w);
}

static void step(struct worker *w)
{
	if (w->id == 0 && world.nr_workers > 1)
		reader(w);
	else
		writer(w);
}

static void setup(void)
{
	rcu_table_setup();
	atomic_store(&cycle, 0);
	atomic_store(&complete, 0);
	for (unsigned i = 0; i < MAX_WORKERS; i++) {
		atomic_store(&denied[i], 0);
		atomic_store(&served[i], 0);
	}
}

/* Nobody reads: everything that waits can be had. */
static void audit(void)
{
	struct ramka_stats s;

	ramka_reclaim(ramka_cpu_at(world.r, world.nr_cpus - 1), true);
	ramka_stats_read(world.r, &s);
	CHECK(!s.deferred, "nobody reads, and after ramka_reclaim %llu frames are deferred",
	      (unsigned long long)s.deferred);
}

static bool enough(void)
{
	return world.nr_workers == 1 || atomic_load(&complete);
}

static void teardown(void)
{
	rcu_table_teardown();
	if (!world.opt.quiet)
		printf("  endless   %u times all memory waited for one reader\n", atomic_load(&complete));
}

const struct scenario endless = {
	.name = "endless",
	.about = "a reader that does not end: no memory in bounded time, and all of it later",
	.flags = WORLD_READERS | WORLD_SMALL,
	.setup = setup,
	.step = step,
	.tick = periods_tick,
	.audit = audit,
	.enough = enough,
	.release = rcu_table_release,
	.teardown = teardown,
};
