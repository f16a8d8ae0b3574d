/* SPDX-License-Identifier: MIT */
/*
 * A flood: eight workers (all but one, if there are fewer) take frames and put_rcu them as fast as they can, and heed no
 * high-water mark; the others read. Memory is small, so nearly all of it waits for grace periods, and requests live by
 * what they reap themselves: nobody calls ramka_reclaim.
 */
#include <sched.h>
#include <stdio.h>

#include "periods.h"
#include "rcu_table.h"

#define FLOODERS 8u
#define TIMES 4u /* so often must the whole memory have been deferred */

static _Atomic uint64_t deferred, pressure;

static bool floods(const struct worker *w)
{
	return w->id < FLOODERS && (w->id + 1 < world.nr_workers || world.nr_workers == 1);
}

static void step(struct worker *w)
{
	struct sight s[RCU_LOOKS];
	struct ramka_cpu *cpu = rng_one_in(&w->rng, 64) ? ramka_cpu_none(world.r) : w->cpu;
	struct held h;
	unsigned n;
	int rc;

	if (!floods(w)) {
		n = rcu_table_look(w, s);
		sched_yield();
		rcu_table_look_again(s, n);
		return;
	}
	if (rng_one_in(&w->rng, 8)) {
		rc = rcu_table_replace(w, cpu, rng_one_in(&w->rng, 256));
	} else {
		unsigned order = rng_one_in(&w->rng, 32) ? rng_below(&w->rng, 5) : 0;

		if (!take(w, cpu, &tagged_type, order, false, (struct ramka_request){ 0 }, &h))
			return;
		giving(w, &h);
		rc = ramka_frame_put_rcu(cpu, h.frame);
		CHECK(rc >= 0, "ramka_frame_put_rcu: %s", ramka_strerror(rc));
		calling(w, 0);
		atomic_fetch_add_explicit(&deferred, (uint64_t)1 << order, memory_order_relaxed);
	}
	if (rc == RAMKA_PRESSURE)
		atomic_fetch_add_explicit(&pressure, 1, memory_order_relaxed);
}

static void setup(void)
{
	rcu_table_setup();
	atomic_store(&deferred, 0);
	atomic_store(&pressure, 0);
}

/* No frame was used over and over while the others were lost: there is more than the memory could give once. */
static bool enough(void)
{
	return atomic_load(&deferred) >= TIMES * world.free_at_start;
}

static void teardown(void)
{
	rcu_table_teardown();
	if (!world.opt.quiet)
		printf("  flood     %llu frames deferred, %llu times the high-water mark was passed\n",
		       (unsigned long long)atomic_load(&deferred), (unsigned long long)atomic_load(&pressure));
}

const struct scenario flood = {
	.name = "flood",
	.about = "eight workers defer all memory, again and again; nobody reclaims",
	.flags = WORLD_READERS | WORLD_SMALL,
	.setup = setup,
	.step = step,
	.tick = periods_tick,
	.enough = enough,
	.release = rcu_table_release,
	.teardown = teardown,
};
