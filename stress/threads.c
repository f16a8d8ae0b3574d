/* SPDX-License-Identifier: MIT */
/*
 * Short threads: each worker starts one thread after the other, which uses the worker's CPU for a few calls, takes
 * the CPU off line or just leaves it as it is, and ends. What it took, a later one frees.
 */
#include <pthread.h>

#include "harness.h"

static void *short_life(void *arg)
{
	struct worker *w = arg;
	struct pile *p = &w->pile;
	struct held h;

	worker_online(w);
	for (unsigned n = rng_below(&w->rng, 60); n; n--) {
		const struct ramka_type *type = rng_one_in(&w->rng, 4) ? &rcu_type : &raw_type;

		if (p->n < 500 && rng_one_in(&w->rng, 2)) {
			if (take(w, w->cpu, type, rng_one_in(&w->rng, 8) ? rng_below(&w->rng, 6) : 0, false,
				 (struct ramka_request){ 0 }, &h))
				pile_add(p, &h);
		} else if (p->n) {
			h = pile_take(p, rng_below(&w->rng, p->n));
			give(w, w->cpu, &h);
		}
	}
	worker_offline(w);
	if (rng_one_in(&w->rng, 2))
		ramka_cpu_offline(w->cpu);
	return NULL;
}

static void step(struct worker *w)
{
	pthread_t t;

	worker_offline(w);
	CHECK(!pthread_create(&t, NULL, short_life, w), "cannot start a thread");
	pthread_join(t, NULL);
	worker_online(w);
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
}

const struct scenario threads = {
	.name = "threads",
	.about = "many threads that live for a few calls",
	.flags = WORLD_READERS,
	.step = step,
	.release = release,
};
