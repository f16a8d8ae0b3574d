/* SPDX-License-Identifier: MIT */
/*
 * Claimers: some workers claim frames of all orders by address, anywhere in the span, against others that allocate and free; so
 * frames are claimed out of the bitmap, the depot, the own cache, and from memory that can be had in no other way.
 */
#include "harness.h"

static bool inside(struct range r, uint64_t frame)
{
	return frame >= r.first && frame - r.first < r.nr;
}

static void claim(struct worker *w)
{
	uint64_t index = rng_below(&w->rng, (uint32_t)world.nr);
	ramka_paddr_t pa = paddr_at(index);
	struct tag tag = tag_make(++w->seq, 0, 0);
	struct held h = { .type = rng_one_in(&w->rng, 2) ? &tagged_type : &raw_type,
			  .seq = w->seq,
			  .unique = rng_one_in(&w->rng, 2) };
	int rc;

	calling(w, 1);
	if (h.unique) {
		struct ramka_unique *u;

		rc = ramka_unique_from_unused(w->cpu, pa, h.type, is_raw(h.type) ? NULL : &tag, &u);
		h.frame = rc ? NULL : (struct ramka_frame *)u;
	} else {
		rc = ramka_frame_from_unused(rng_one_in(&w->rng, 8) ? ramka_cpu_none(world.r) : w->cpu, pa,
					     h.type, is_raw(h.type) ? NULL : &tag, &h.frame);
	}
	CHECK((rc == RAMKA_E_OUT_OF_BOUND) == inside(world.hole, world.first + index), "claim of %#llx: %s",
	      (unsigned long long)pa, ramka_strerror(rc));
	if (!rc) {
		CHECK(ramka_frame_paddr(world.r, h.frame) == pa, "claimed %#llx, got another frame",
		      (unsigned long long)pa);
		taken(w, &h, false);
		pile_add(&w->pile, &h);
	} else {
		CHECK(rc == RAMKA_E_BUSY || rc == RAMKA_E_IN_USE || rc == RAMKA_E_UNIQUE ||
			      rc == RAMKA_E_OUT_OF_BOUND,
		      "claim of %#llx: %s", (unsigned long long)pa, ramka_strerror(rc));
	}
	calling(w, 0);
}

/* A frame of an order above 0, wherever its parts are cached: refused by what is in use, and by holes. */
static void claim_larger(struct worker *w)
{
	struct held h = { .type = &raw_type, .order = (uint8_t)(1 + rng_below(&w->rng, 10)), .seq = ++w->seq };
	uint64_t frame = (world.first + rng_below(&w->rng, (uint32_t)world.nr)) >> h.order << h.order;
	ramka_paddr_t pa = frame << RAMKA_PAGE_SHIFT;
	int rc;

	calling(w, UINT64_C(1) << h.order);
	rc = ramka_frame_claim(rng_one_in(&w->rng, 8) ? ramka_cpu_none(world.r) : w->cpu, pa, h.order, h.type, NULL, &h.frame, NULL);
	if (!rc) {
		CHECK(ramka_frame_paddr(world.r, h.frame) == pa && ramka_frame_order(h.frame) == h.order,
		      "claimed order %u at %#llx, got another frame", h.order, (unsigned long long)pa);
		taken(w, &h, false);
		pile_add(&w->pile, &h);
	} else {
		CHECK(rc == RAMKA_E_BUSY || rc == RAMKA_E_IN_USE || rc == RAMKA_E_UNIQUE || rc == RAMKA_E_UNSUPPORTED ||
			      rc == RAMKA_E_OUT_OF_BOUND,
		      "claim of order %u at %#llx: %s", h.order, (unsigned long long)pa, ramka_strerror(rc));
	}
	calling(w, 0);
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct held h;

	if (p->n && (p->n > 1000 || p->frames > share_of_memory(80) || rng_below(&w->rng, 100) < 48)) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
	} else if (w->id % 2 && rng_one_in(&w->rng, 8)) {
		claim_larger(w);
	} else if (w->id % 2 || rng_one_in(&w->rng, 4)) {
		claim(w);
	} else if (take(w, w->cpu, rng_one_in(&w->rng, 2) ? &raw_type : &tagged_type,
			rng_one_in(&w->rng, 4) ? rng_below(&w->rng, 10) : 0, rng_one_in(&w->rng, 2),
			(struct ramka_request){ 0 }, &h)) {
		pile_add(p, &h);
	}
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
}

const struct scenario claimers = {
	.name = "claimers",
	.about = "frames claimed by address against frames allocated",
	.flags = WORLD_SMALL,
	.step = step,
	.release = release,
};
