/* SPDX-License-Identifier: MIT */
/*
 * Drain: every fourth worker drains all the others at a high rate, the others allocate, free and pass frames on, in
 * little memory: so caches are taken over, shards stolen from and requests fail.
 */
#include "harness.h"

static _Atomic(struct ramka_frame *) cell[64];

static void drainer(struct worker *w)
{
	switch (rng_below(&w->rng, 4)) {
	case 0:
		ramka_reclaim(w->cpu, false);
		break;
	case 1:
		worker_reclaim(w, rng_one_in(&w->rng, 2) ? w->cpu : ramka_cpu_none(world.r));
		break;
	default:
		ramka_drain(world.r);
	}
}

/* Leaves a raw frame for another worker, frees the one that lay there. */
static void swap(struct worker *w)
{
	struct held h;
	struct ramka_frame *f = NULL;

	if (take(w, w->cpu, &raw_type, 0, false, (struct ramka_request){ 0 }, &h)) {
		giving(w, &h); /* the oracle forgets it: the next owner is not told */
		f = h.frame;
	}
	f = atomic_exchange_explicit(&cell[rng_below(&w->rng, 64)], f, memory_order_acq_rel);
	if (f)
		ramka_frame_put(w->cpu, f);
	calling(w, 0);
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct held h;

	if (w->id % 4 == 3)
		drainer(w);
	if (rng_one_in(&w->rng, 4)) {
		swap(w);
	} else if (!p->n || (p->frames < share_of_memory(110) && rng_one_in(&w->rng, 2) && !pile_full(p))) {
		const struct ramka_type *type = rng_one_in(&w->rng, 8) ? &rcu_type : &raw_type;

		if (take(w, w->cpu, type, rng_one_in(&w->rng, 32) ? rng_below(&w->rng, 10) : 0,
			 rng_one_in(&w->rng, 2), (struct ramka_request){ 0 }, &h))
			pile_add(p, &h);
	} else {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
	}
}

static void release(struct worker *w)
{
	struct ramka_frame *f;

	pile_release(w, &w->pile);
	for (unsigned i = w->id; i < 64; i += world.nr_workers) {
		f = atomic_exchange_explicit(&cell[i], NULL, memory_order_acquire);
		if (f)
			ramka_frame_put(w->cpu, f);
	}
}

const struct scenario drain = {
	.name = "drain",
	.about = "remote drains at a high rate, with and without a barrier",
	.flags = WORLD_SMALL | WORLD_DECLINES | WORLD_UNOWNED | WORLD_READERS,
	.step = step,
	.release = release,
};
