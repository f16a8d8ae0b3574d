/* SPDX-License-Identifier: MIT */
/*
 * Stalled readers: one stands for 5 s in the middle of a read section, once in each round, another for half a second,
 * again and again. What they saw must be as it was when they go on. Some writers heed the high-water mark and wait for
 * a stalled reader; the others do not, so that the memory is used up by frames that wait, and comes back.
 */
#include <stdio.h>
#include <time.h>

#include "periods.h"
#include "rcu_table.h"

#define LONG_MS 5000u
#define SHORT_MS 500u

static _Atomic unsigned long_stalls, short_stalls;
static unsigned last_round; /* of the long reader; its own */
static _Atomic unsigned round_now;

static void stand(struct worker *w, unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	struct sight s[RCU_LOOKS];
	unsigned n = rcu_table_look(w, s);

	nanosleep(&t, NULL);
	rcu_table_look_again(s, n);
	worker_quiescent(w);
	if (n)
		atomic_fetch_add(ms == LONG_MS ? &long_stalls : &short_stalls, 1);
}

static void read_some(struct worker *w)
{
	struct sight s[RCU_LOOKS];
	unsigned n = rcu_table_look(w, s);

	rcu_table_look_again(s, n);
}

static void step(struct worker *w)
{
	if (w->id == 0 && last_round != atomic_load(&round_now) && rng_one_in(&w->rng, 64)) {
		last_round = atomic_load(&round_now);
		stand(w, LONG_MS);
	} else if (w->id == 1 && rng_one_in(&w->rng, 64)) {
		stand(w, SHORT_MS);
	} else if (w->id < 2 || rng_one_in(&w->rng, 4)) {
		read_some(w);
	}
	if (rcu_table_replace(w, w->cpu, rng_one_in(&w->rng, 256)) == RAMKA_PRESSURE && w->id % 4 == 3)
		worker_reclaim(w, w->cpu);
	worker_quiescent(w);
}

static void setup(void)
{
	rcu_table_setup();
	atomic_store(&long_stalls, 0);
	atomic_store(&short_stalls, 0);
	last_round = 0;
	atomic_store(&round_now, 1);
}

static void audit(void)
{
	atomic_fetch_add(&round_now, 1);
}

/* Both kinds, with a table that was not empty. */
static bool enough(void)
{
	return atomic_load(&long_stalls) && (atomic_load(&short_stalls) || world.nr_workers == 1);
}

static void teardown(void)
{
	rcu_table_teardown();
	if (!world.opt.quiet)
		printf("  stall     %u stalls of 5 s, %u of 0.5 s\n", atomic_load(&long_stalls),
		       atomic_load(&short_stalls));
}

const struct scenario stall = {
	.name = "stall",
	.about = "readers that stand still for 0.5 s and 5 s",
	.flags = WORLD_READERS | WORLD_SMALL,
	.round_seconds = 6,
	.setup = setup,
	.step = step,
	.tick = periods_tick,
	.audit = audit,
	.enough = enough,
	.release = rcu_table_release,
	.teardown = teardown,
};
