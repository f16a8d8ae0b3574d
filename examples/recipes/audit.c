/* SPDX-License-Identifier: MIT */
/*
 * An audit of a running system. ramka_check wants quiescence: no call in progress on any CPU. The auditor asks every other CPU
 * to park at a point outside ramka (in a kernel: where it schedules, or where it returns from an interrupt that did not hit a
 * pinned section), audits, and lets them go. Memory stays allocated: nothing is drained or freed for it.
 */
#include "recipe.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define CPUS 3u
#define AUDITS 50u
#define HELD 64u

static atomic_uint parked, gate; /* gate: odd while an audit goes on */
static atomic_bool stop;

/* ---- the recipe ---- */

/* Called by every CPU at its safe point. */
static void safe_point(void)
{
	unsigned ticket = atomic_load_explicit(&gate, memory_order_acquire);

	if (!(ticket & 1))
		return;
	atomic_fetch_add_explicit(&parked, 1, memory_order_release); /* all that this CPU did is seen by the auditor */
	while (atomic_load_explicit(&gate, memory_order_acquire) == ticket)
		sched_yield();
}

/* The number of defects. One auditor at a time. */
static int audit(struct ramka_bug *ret_first)
{
	int defects;

	atomic_store_explicit(&parked, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&gate, 1, memory_order_release); /* a kernel sends its IPI here */
	while (atomic_load_explicit(&parked, memory_order_acquire) != CPUS)
		sched_yield();
	defects = ramka_check(r, ret_first);
	atomic_fetch_add_explicit(&gate, 1, memory_order_release);
	return defects;
}

/* ---- its test ---- */

static void *worker(void *arg)
{
	struct ramka_cpu *cpu = ramka_host_cpu(host);
	struct ramka_frame *held[HELD] = { NULL };
	unsigned seed = (unsigned)(uintptr_t)arg + 1;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct ramka_frame **f = &held[(unsigned)rand_r(&seed) % HELD];

		safe_point();
		if (*f) {
			ramka_frame_put(cpu, *f);
			*f = NULL;
		} else {
			*f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL,
					       (struct ramka_request){ .order = (uint8_t)((unsigned)rand_r(&seed) % 4) });
		}
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i])
			ramka_frame_put(cpu, held[i]);
	return NULL;
}

int main(void)
{
	pthread_t threads[CPUS];
	uint64_t in_use = 0;

	recipe_begin(NULL);
	for (uintptr_t i = 0; i < CPUS; i++)
		CHECK(!pthread_create(&threads[i], NULL, worker, (void *)i));
	for (unsigned i = 0; i < AUDITS; i++) {
		struct ramka_bug first;
		struct ramka_stats s;
		int defects = audit(&first);

		if (defects)
			printf("%d defects, the first: %s at %#llx\n", defects, first.what, (unsigned long long)first.paddr);
		CHECK(!defects);
		ramka_stats_read(r, &s);
		in_use += s.in_use;
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < CPUS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(in_use); /* the system was at work between the audits */
	recipe_end();
	puts("audits of a running system: no defect");
	return 0;
}
