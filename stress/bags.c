/* SPDX-License-Identifier: MIT */
/*
 * CPUs go off line with bags that are open, sealed and not yet over: fewer CPUs than workers; a worker leases one,
 * replaces a few entries of the table of frames on it, takes it off line or not, and hands it on. Readers look all
 * the while. With all CPUs off line, another one reclaims everything.
 */
#include <pthread.h>
#include <stdio.h>

#include "periods.h"
#include "rcu_table.h"

#define ENOUGH 100u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned idle[MAX_WORKERS], nr_idle;
static _Atomic uint64_t went; /* off line with frames that wait */

static struct ramka_cpu *lease(void)
{
	struct ramka_cpu *cpu = NULL;

	pthread_mutex_lock(&lock);
	if (nr_idle)
		cpu = ramka_cpu_at(world.r, idle[--nr_idle]);
	pthread_mutex_unlock(&lock);
	return cpu;
}

static void hand_back(struct ramka_cpu *cpu)
{
	unsigned id = 0;

	while (ramka_cpu_at(world.r, id) != cpu)
		id++;
	pthread_mutex_lock(&lock);
	idle[nr_idle++] = id;
	pthread_mutex_unlock(&lock);
}

static void step(struct worker *w)
{
	struct ramka_cpu *leased = lease(), *cpu = leased ? leased : ramka_cpu_none(world.r);
	struct sight s[RCU_LOOKS];
	unsigned seen = rcu_table_look(w, s), n = 1 + rng_below(&w->rng, rng_one_in(&w->rng, 8) ? 300 : 60);
	bool pressure = false;

	while (n--)
		pressure |= rcu_table_replace(w, cpu, false) == RAMKA_PRESSURE;
	if (leased && rng_one_in(&w->rng, 2)) {
		ramka_cpu_offline(leased); /* the last replacements are in an open bag: this worker is not quiescent */
		atomic_fetch_add_explicit(&went, 1, memory_order_relaxed);
	}
	rcu_table_look_again(s, seen);
	worker_quiescent(w);
	if (pressure)
		worker_reclaim(w, cpu);
	if (leased)
		hand_back(leased);
}

/* What waits is found by whoever reclaims, wherever it was left. */
static void audit(void)
{
	struct ramka_cpu *last = ramka_cpu_at(world.r, world.nr_cpus - 1);
	struct ramka_stats s;

	for (unsigned i = 0; i + 1 < world.nr_cpus; i++)
		ramka_cpu_offline(ramka_cpu_at(world.r, i));
	ramka_reclaim(last, true);
	ramka_cpu_offline(last);
	ramka_stats_read(world.r, &s);
	CHECK(!s.deferred && !s.cached,
	      "all CPUs are off line and nobody reads; %llu frames are deferred, %llu cached",
	      (unsigned long long)s.deferred, (unsigned long long)s.cached);
}

static void setup(void)
{
	rcu_table_setup();
	atomic_store(&went, 0);
	nr_idle = 0;
	for (unsigned i = 0; i < world.nr_workers * 3 / 4 || !i; i++)
		idle[nr_idle++] = i;
}

static bool enough(void)
{
	return atomic_load(&went) >= ENOUGH;
}

static void teardown(void)
{
	rcu_table_teardown();
	if (!world.opt.quiet)
		printf("  bags      %llu times a CPU went off line after it had deferred\n",
		       (unsigned long long)atomic_load(&went));
}

const struct scenario bags = {
	.name = "bags",
	.about = "CPUs go off line with frames that wait, and come again under others",
	.flags = WORLD_READERS,
	.own_readers = true,
	.setup = setup,
	.step = step,
	.tick = periods_tick,
	.audit = audit,
	.enough = enough,
	.release = rcu_table_release,
	.teardown = teardown,
};
