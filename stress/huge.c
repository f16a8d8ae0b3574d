/* SPDX-License-Identifier: MIT */
/*
 * Huge: frames of whole blocks, orders 9 to 14, and segments of hundreds of frames, against base frames that break
 * the blocks they come from: claims of many words that fail half-way and must be undone. Every worker holds little,
 * so that runs come and go.
 */
#include "harness.h"

static void take_segment(struct worker *w)
{
	uint64_t nr = 200 + rng_below(&w->rng, 3000);
	struct ramka_segment s;
	int rc;

	calling(w, 2 * nr);
	rc = ramka_segment_alloc(w->cpu, nr, &raw_type, NULL, NULL,
				 (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, &s);
	CHECK(!rc || rc == RAMKA_E_NOMEM, "ramka_segment_alloc: %s", ramka_strerror(rc));
	if (!rc) {
		own(s.base, nr, w->id + 1);
		disown(s.base, nr, w->id + 1);
		ramka_segment_put(w->cpu, s);
	}
	calling(w, 0);
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	uint32_t x = rng_below(&w->rng, 100);
	struct held h;
	unsigned order = x < 50 ? 9 + rng_below(&w->rng, 6) : x < 55 ? 6 + rng_below(&w->rng, 3) : 0;

	if (p->n && (rng_one_in(&w->rng, 2) || p->frames > share_of_memory(80) || p->n > 64)) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
	} else if (x > 97) {
		take_segment(w);
	} else if (take(w, x % 8 ? w->cpu : ramka_cpu_none(world.r), &raw_type, order, rng_one_in(&w->rng, 2),
			(struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, &h)) {
		pile_add(p, &h);
	}
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
}

const struct scenario huge = {
	.name = "huge",
	.about = "orders 9 to 14 and long segments against base frames: claims undone half-way",
	.flags = WORLD_ONE_NODE,
	.step = step,
	.release = release,
};
