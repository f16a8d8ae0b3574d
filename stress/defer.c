/* SPDX-License-Identifier: MIT */
/*
 * Deferral: readers and writers of a table of frames (rcu_table.h). Readers also turn what they see into references,
 * and sleep a little now and then. Callers obey the high-water mark, so the backlog of a CPU stays near it.
 */
#include <sched.h>
#include <time.h>

#include "periods.h"
#include "rcu_table.h"

/* From a sight to a reference: it may be too late. */
static void try_get(struct worker *w, const struct sight *s)
{
	ramka_paddr_t pa = ramka_frame_paddr(world.r, s->frame);
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(world.r, pa, &f);

	if (rc) {
		CHECK(rc == RAMKA_E_BUSY, "lookup of a frame that a reader sees: %s", ramka_strerror(rc));
		return;
	}
	atomic_fetch_add_explicit(&world.refs[frame_at(pa)], 1, memory_order_relaxed);
	worker_quiescent(w);
	tag_check(tag_of(f), pa);
	CHECK(tag_of(f)->seq == s->seq, "the reference is to another frame");
	atomic_fetch_sub_explicit(&world.refs[frame_at(pa)], 1, memory_order_relaxed);
	ramka_frame_put(w->cpu, f);
}

static void read_some(struct worker *w)
{
	struct sight s[RCU_LOOKS];
	unsigned n = rcu_table_look(w, s);

	if (rng_one_in(&w->rng, 4096)) {
		struct timespec t = { .tv_nsec = 1000000 * (1 + rng_below(&w->rng, 10)) };

		nanosleep(&t, NULL);
	} else if (rng_one_in(&w->rng, 16)) {
		sched_yield();
	}
	rcu_table_look_again(s, n);
	if (n && rng_one_in(&w->rng, 4))
		try_get(w, &s[0]);
}

static void write_some(struct worker *w)
{
	struct ramka_cpu *cpu = rng_one_in(&w->rng, 32) ? ramka_cpu_none(world.r) : w->cpu;
	int rc = rcu_table_replace(w, cpu, rng_one_in(&w->rng, 2) && !w->silent);

	if (!w->silent && (rc == RAMKA_PRESSURE || rng_one_in(&w->rng, 4096)))
		worker_reclaim(w, w->cpu);
	else if (rng_one_in(&w->rng, 64))
		ramka_reclaim(w->cpu, false);
}

static void step(struct worker *w)
{
	if (w->id % 2 == 0 || w->silent || rng_one_in(&w->rng, 8))
		write_some(w);
	if (!w->silent && (w->id % 2 || rng_one_in(&w->rng, 4)))
		read_some(w);
}

/*
 * Callers obeyed the high-water mark. A CPU may have more than it allows by what it took over from the shared stack,
 * which is bounded by the same mark, more than once; far more is a mark that nobody was told of.
 */
static void audit(void)
{
	struct ramka_stats s;

	ramka_stats_read(world.r, &s);
	CHECK(s.deferred_peak <= 8 * HIGH_WATER,
	      "%llu frames were deferred on one CPU; the high-water mark is %u",
	      (unsigned long long)s.deferred_peak, HIGH_WATER);
}

const struct scenario defer = {
	.name = "defer",
	.about = "put_rcu under readers of a table of frames; ages; the high-water mark",
	.flags = WORLD_READERS,
	.setup = rcu_table_setup,
	.step = step,
	.tick = periods_tick,
	.audit = audit,
	.release = rcu_table_release,
	.teardown = rcu_table_teardown,
};
