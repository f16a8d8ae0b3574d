/* SPDX-License-Identifier: MIT */
/*
 * Memory that is full but for ten frames for each worker, of which each worker holds up to eight. So a frame is
 * always free, and no request may fail, although other threads lose their processor at any instruction: inside
 * its section a CPU keeps back next to nothing then (lib/cpu/lean.h). The seed says which order the frames have.
 */
#include "harness.h"

#define LEFT 10u /* frames for each worker */
#define HOLDS 8u

static struct ramka_frame **rest; /* the frames that fill the memory */
static uint64_t nr_rest;
static unsigned order;

static struct ramka_request request(void)
{
	return (struct ramka_request){ .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT };
}

static void setup(void)
{
	static const unsigned orders[] = { 3, 0, 9, 0 };
	struct ramka_frame *f;

	order = orders[world.opt.seed % 4];
	rest = malloc(world.free_at_start * sizeof(*rest));
	CHECK(rest, "no memory");
	nr_rest = 0;
	while ((f = ramka_frame_alloc(ramka_cpu_none(world.r), &raw_type, NULL, request()))) {
		own(ramka_frame_paddr(world.r, f), UINT64_C(1) << order, MAX_WORKERS);
		rest[nr_rest++] = f;
	}
	CHECK(nr_rest > LEFT * world.nr_workers, "memory for too few frames");
	for (unsigned i = 0; i < LEFT * world.nr_workers; i++) { /* side by side: one refill could take many */
		f = rest[--nr_rest];
		disown(ramka_frame_paddr(world.r, f), UINT64_C(1) << order, MAX_WORKERS);
		ramka_frame_put(ramka_cpu_none(world.r), f);
	}
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct held h;

	if (p->n == HOLDS || (p->n && rng_one_in(&w->rng, 2))) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
		return;
	}
	CHECK(take(w, w->cpu, &raw_type, order, rng_one_in(&w->rng, 2), request(), &h),
	      "no memory, though %u workers hold %u of %u frames of order %u at most", world.nr_workers,
	      HOLDS * world.nr_workers, LEFT * world.nr_workers, order);
	pile_add(p, &h);
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
	for (; !w->id && nr_rest; nr_rest--) {
		disown(ramka_frame_paddr(world.r, rest[nr_rest - 1]), UINT64_C(1) << order, MAX_WORKERS);
		ramka_frame_put(w->cpu, rest[nr_rest - 1]);
	}
}

static void teardown(void)
{
	free(rest);
}

const struct scenario brim = {
	.name = "brim",
	.about = "memory full but for a few frames: no request fails while one is free",
	.frames_per_worker = 8192,
	.setup = setup,
	.step = step,
	.release = release,
	.teardown = teardown,
};
