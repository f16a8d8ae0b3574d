/* SPDX-License-Identifier: MIT */
/*
 * Nested: signals, at any instruction, whose handler allocates and frees on the interrupted thread's own CPU handle;
 * in a build with points, nested operations at the points as well. What runs below does everything that may be
 * interrupted: plain and typed frames, larger orders, deferral, drains.
 */
#include "harness.h"

#define HANDLER_HOLDS 40u

static void put_one(struct worker *w, struct pile *p)
{
	struct held h = pile_take(p, rng_below(&w->rng, p->n));

	if (!is_raw(h.type) && !h.unique && rng_one_in(&w->rng, 2)) {
		giving(w, &h);
		CHECK(ramka_frame_put_rcu(w->cpu, h.frame) >= 0, "ramka_frame_put_rcu failed");
		calling(w, 0);
	} else {
		give(w, w->cpu, &h);
	}
}

static void act(struct worker *w, unsigned max, unsigned max_order)
{
	static const struct ramka_type *const types[] = { &raw_type, &raw_type, &raw_type, &tagged_type,
							  &rcu_type };
	struct pile *p = &w->pile;
	struct held h;

	if (p->n && (p->n >= max || rng_one_in(&w->rng, 2))) {
		put_one(w, p);
	} else if (take(w, w->cpu, types[rng_below(&w->rng, 5)],
			rng_one_in(&w->rng, 8) ? rng_below(&w->rng, max_order + 1) : 0,
			rng_one_in(&w->rng, 2), (struct ramka_request){ 0 }, &h)) {
		pile_add(p, &h);
	}
}

/* In a handler: what it frees now and then is what an earlier one took. */
static void nest(struct worker *handler)
{
	act(handler, HANDLER_HOLDS, 3);
	if (rng_one_in(&handler->rng, 64))
		ramka_reclaim(handler->cpu, false);
	if (rng_one_in(&handler->rng, 256))
		ramka_drain(world.r);
}

static void step(struct worker *w)
{
	act(w, 400, 9);
	if (rng_one_in(&w->rng, 256))
		ramka_reclaim(w->cpu, false);
	if (rng_one_in(&w->rng, 1024))
		ramka_drain(world.r);
	if (rng_one_in(&w->rng, 4096))
		ramka_cpu_offline(w->cpu);
}

static void tick(void)
{
	static unsigned next;

	for (unsigned i = 0; i < 64; i++)
		worker_signal(next++ % world.nr_workers);
}

static bool enough(void)
{
	return atomic_load(&world.signals) >= world.opt.signals;
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
	for (struct worker *h = w->handler; h; h = h->handler)
		pile_release(h, &h->pile);
}

const struct scenario nested = {
	.name = "nested",
	.about = "signal handlers that allocate and free on the interrupted CPU",
	.flags = WORLD_SIGNALS | WORLD_SMALL,
	.step = step,
	.nest = nest,
	.tick = tick,
	.enough = enough,
	.release = release,
};
