/* SPDX-License-Identifier: MIT */
/*
 * Hotplug: fewer CPUs than workers. A worker leases a CPU for a few operations, often takes it off line, hands it on;
 * whoever gets none uses the cache-less handle. Others drain meanwhile. A CPU that went off line holds nothing.
 * Memory is added late, piece by piece, and its frames are used at once.
 */
#include <pthread.h>
#include <time.h>

#include "harness.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned idle[MAX_WORKERS], nr_idle;
static uint64_t next_late, last_added;
static _Atomic bool always; /* in this round every CPU goes off line before it is handed on */

/* The id of a CPU, or nr_cpus if all are taken. */
static unsigned lease(void)
{
	unsigned id = world.nr_cpus;

	pthread_mutex_lock(&lock);
	if (nr_idle)
		id = idle[--nr_idle];
	pthread_mutex_unlock(&lock);
	return id;
}

static void hand_back(unsigned cpu)
{
	pthread_mutex_lock(&lock);
	idle[nr_idle++] = cpu;
	for (unsigned i = nr_idle - 1; i; i--) { /* the one that rested longest comes next */
		unsigned id = idle[i];

		idle[i] = idle[i - 1];
		idle[i - 1] = id;
	}
	pthread_mutex_unlock(&lock);
}

static void act(struct worker *w, struct ramka_cpu *cpu)
{
	struct pile *p = &w->pile;
	struct held h;

	if (!p->n || (p->n < 1000 && p->frames < share_of_memory(90) && rng_one_in(&w->rng, 2))) {
		const struct ramka_type *type = rng_one_in(&w->rng, 4) ? &rcu_type : &raw_type;

		if (take(w, cpu, type, rng_one_in(&w->rng, 16) ? rng_below(&w->rng, 10) : 0,
			 rng_one_in(&w->rng, 2), (struct ramka_request){ 0 }, &h))
			pile_add(p, &h);
	} else {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, cpu, &h);
	}
}

static void step(struct worker *w)
{
	unsigned id;
	struct ramka_cpu *cpu, *used;

	if (w->id % 4 == 3 && rng_one_in(&w->rng, 2)) {
		for (unsigned n = rng_below(&w->rng, 50); n; n--)
			ramka_drain(world.r);
		return;
	}
	id = lease();
	cpu = ramka_cpu_at(world.r, id);
	used = cpu ? cpu : ramka_cpu_none(world.r);
	for (unsigned n = rng_below(&w->rng, 200); n; n--)
		act(w, used);
	if (!cpu)
		return;
	if (atomic_load_explicit(&always, memory_order_relaxed) || rng_one_in(&w->rng, 2))
		ramka_cpu_offline(cpu);
	hand_back(id);
}

/*
 * The next piece of late memory: 64 frames or so, sometimes not aligned to anything, sometimes whole blocks. In every other
 * instance from the top down.
 */
static void tick(void)
{
	struct timespec t = { .tv_nsec = 5000000 };
	uint64_t n = next_late % 7 == 3 ? 600 : 32 + next_late % 61, at;
	int rc;

	nanosleep(&t, NULL);
	if (next_late + n > world.late.nr || now_ms() - last_added < 30)
		return;
	at = world.first % 2 ? next_late : world.late.nr - next_late - n;
	rc = ramka_add_memory(
		world.r, &(struct ramka_region){ .base = (world.late.first + at) << RAMKA_PAGE_SHIFT,
						 .size = n << RAMKA_PAGE_SHIFT,
						 .kind = RAMKA_USABLE });
	CHECK(!rc, "ramka_add_memory: %s", ramka_strerror(rc));
	next_late += n;
	world.added += n;
	last_added = now_ms();
}

/* Every CPU is off line, in every other round by its last user, else now. */
static void audit(void)
{
	struct ramka_stats s;

	if (!atomic_load(&always))
		for (unsigned i = 0; i < world.nr_cpus; i++)
			ramka_cpu_offline(ramka_cpu_at(world.r, i));
	ramka_stats_read(world.r, &s);
	CHECK(!s.cached, "all CPUs are off line%s, and hold %llu frames",
	      atomic_load(&always) ? " by their last users" : "", (unsigned long long)s.cached);
	atomic_store(&always, !atomic_load(&always));
}

static void setup(void)
{
	atomic_store(&always, false);
	nr_idle = 0;
	for (unsigned i = 0; i < world.nr_workers * 3 / 4 || !i; i++)
		idle[nr_idle++] = i;
	next_late = last_added = 0;
}

static void release(struct worker *w)
{
	while (w->pile.n) {
		struct held h = pile_take(&w->pile, 0);

		give(w, ramka_cpu_none(world.r), &h);
	}
}

const struct scenario hotplug = {
	.name = "hotplug",
	.about = "CPUs go off line and come again under other threads; memory is added",
	.flags = WORLD_SMALL,
	.setup = setup,
	.step = step,
	.tick = tick,
	.audit = audit,
	.release = release,
};
