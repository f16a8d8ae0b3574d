/* SPDX-License-Identifier: MIT */
/* Late memory: frames of holes and reclaimable regions become usable while other CPUs allocate. */
#include "../base/mem.h"

#include "../base/watch.h"
#include "../base/why.h"
#include "../frame/alloc.h"
#include "tune.h"

/* A part of the added range that lies in one piece of the map. */
struct part {
	const struct map_entry *m;
	uint64_t first, end;
};

/* The part that begins at frame `first`. */
static struct part part_at(const struct ramka *r, uint64_t first, uint64_t end)
{
	const struct map_entry *m = instance_map(r, first);
	bool last = m + 1 == r->map + r->nr_map;

	return (struct part){ m, first, last || m[1].first > end ? end : m[1].first };
}

static uint64_t late_of(const struct part *p, uint64_t frame)
{
	return p->m->late + (frame - p->m->first);
}

/* ---- checks ---- */

/* Is all of it reclaimable or a hole, and of the zone of its node? */
static int late_check(const struct ramka *r, uint64_t first, uint64_t end, uint32_t node, struct zone **ret_z,
		      struct ramka_why *why)
{
	struct part p;

	for (uint64_t at = first; at < end; at = p.end) {
		const struct zone *z;

		p = part_at(r, at, end);
		why->paddr = paddr_of(at);
		if (p.m->kind != MAP_HOLE && p.m->kind != RAMKA_RECLAIMABLE)
			return refuse_plain(why, RAMKA_E_IN_USE, "this is neither a hole nor reclaimable",
					    "region->base");
		if (sparse_next(&r->late, late_of(&p, at), late_of(&p, p.end)) != late_of(&p, p.end))
			return refuse_plain(why, RAMKA_E_IN_USE, "some of this is memory already",
					    "region->base");
		if (p.m->zone == NO_ZONE)
			return refuse_plain(why, RAMKA_E_OUT_OF_BOUND,
					    "no node has memory on both sides of this hole", "region->base");
		z = &r->zones[p.m->zone];
		if (p.end > z->origin + z->end)
			return refuse_plain(why, RAMKA_E_OUT_OF_BOUND,
					    "this reaches beyond the memory of its node", "region->size");
		if (z->node != node)
			return refuse(why, RAMKA_E_OUT_OF_BOUND, "this can only be memory of another node",
				      "region->node", RAMKA_NO_INDEX, node, z->node);
		*ret_z = &r->zones[p.m->zone];
	}
	why->paddr = 0;
	return 0;
}

/* ---- reclaimable frames: their own references ---- */

static void unclaim(struct ramka *r, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++)
		ramka_store(&r->slots[i - r->first].ref, REF_SHARED(1), release, slot.publish);
}

/* Takes them; false if one is held, and then [p->first, *ret_end) is taken. */
static bool claim(struct ramka *r, const struct part *p, uint64_t *ret_end)
{
	for (uint64_t i = p->first; i < p->end; i++) {
		uint64_t sole = REF_SHARED(1);

		if (ramka_cas(&r->slots[i - r->first].ref, &sole, REF_BUSY((uint64_t)0), acquire, slot.drop))
			continue;
		*ret_end = i;
		return false;
	}
	return true;
}

/* All or none; how many were reserved. */
static int late_claim(struct ramka *r, uint64_t first, uint64_t end, uint64_t *ret_reserved,
		      struct ramka_why *why)
{
	uint64_t at, held = 0;
	bool ok = true;
	struct part p;

	*ret_reserved = 0;
	for (at = first; ok && at < end; at = ok ? p.end : at) {
		p = part_at(r, at, end);
		if (p.m->kind == MAP_HOLE)
			continue;
		ok = claim(r, &p, &held);
		*ret_reserved += p.end - at;
	}
	if (ok)
		return 0;
	unclaim(r, at, held);
	for (uint64_t undo = first; undo < at; undo = p.end) {
		p = part_at(r, undo, at);
		if (p.m->kind != MAP_HOLE)
			unclaim(r, undo, p.end);
	}
	why->paddr = paddr_of(held);
	return refuse_plain(why, RAMKA_E_IN_USE, "a reclaimable frame is in use", "region->base");
}

/* ---- slots ---- */

/* The metadata of a hole, which was never written. False: it should be zeroed and is not. */
static bool init_hole(struct ramka *r, const struct part *p)
{
	struct ramka_frame *f = &r->slots[p->first - r->first], *last = &r->slots[p->end - 1 - r->first];

	if (r->flags & RAMKA_METADATA_ZEROED)
		return !slot_ref(f) && !slot_info(f) && !slot_ref(last) && !slot_info(last);
	watch_forget(r, p->first - r->first, p->end - p->first);
	memset((uint8_t *)r->shadow + (p->first - r->first) * contracts_bytes(), 0,
	       (size_t)(p->end - p->first) * contracts_bytes());
	for (; f <= last; f++) {
		slot_set_info(f, 0);
		ramka_store(&f->ref, REF_FREE, relaxed, slot.look);
	}
	return true;
}

static void init_slots(struct ramka *r, uint64_t first, uint64_t end)
{
	struct part p;

	for (uint64_t at = first; at < end; at = p.end) {
		p = part_at(r, at, end);
		if (p.m->kind != MAP_HOLE)
			for (uint64_t i = at; i < p.end; i++) {
				slot_set_info(&r->slots[i - r->first], 0);
				ramka_store(&r->slots[i - r->first].ref, i ? REF_FREE : REF_UNUSED, release,
					    slot.claim);
			}
		else if (!at)
			ramka_store(&r->slots[0].ref, REF_UNUSED, relaxed, slot.look);
		sparse_add(&r->late, late_of(&p, at), late_of(&p, p.end));
	}
}

/* ---- all together ---- */

/* Metadata and bits of what was a hole. */
static int open_holes(struct ramka *r, struct zone *z, uint64_t first, uint64_t end, struct ramka_why *why)
{
	bool clear = zone_open(z, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin),
			       r->flags & RAMKA_METADATA_ZEROED);
	struct part p;

	for (uint64_t at = first; clear && at < end; at = p.end) {
		p = part_at(r, at, end);
		if (p.m->kind == MAP_HOLE)
			clear = init_hole(r, &p);
	}
	return clear ? 0 :
		       refuse_plain(
			       why, RAMKA_E_INVAL,
			       "RAMKA_METADATA_ZEROED is set, but the metadata of this hole is not zeroed",
			       "region->base");
}

static int add_memory(struct ramka *r, uint64_t first, uint64_t end, uint32_t node, struct ramka_why *why)
{
	uint64_t reserved, give = first ? first : 1; /* many callers take address 0 for "none" */
	struct zone *z = NULL;
	int rc = late_check(r, first, end, node, &z, why);

	if (!rc && !z)
		rc = refuse_plain(why, RAMKA_E_OUT_OF_BOUND, "no zone covers this range", "region->base");
	if (!rc)
		rc = open_holes(r, z, first, end, why);
	if (!rc)
		rc = late_claim(r, first, end, &reserved, why);
	if (rc)
		return rc;
	/* slots and map first, since a frame that is handed out can be looked up */
	init_slots(r, first, end);
	ramka_add(&r->unused, give - first, relaxed, stat);
	ramka_add(&r->late_reserved, reserved, relaxed, stat);
	ramka_add(&r->late_total, end - first - reserved, relaxed, stat);
	ramka_add(&z->usable, end - give, relaxed, stat);
	tune(r);
	count_move(r->none, false);
	bitmap_fill(&z->map, (uint32_t)(give - z->origin), (uint32_t)(end - z->origin));
	count_move(r->none, false);
	return 0;
}

static int check_range(const struct ramka *r, const struct ramka_region *region, struct ramka_why *why)
{
	uint64_t first, nr;

	if (!r || !region)
		return refuse_plain(why, RAMKA_E_INVAL, r ? "no region" : "no instance", r ? "region" : "r");
	if (region->kind != RAMKA_USABLE)
		return refuse(why, RAMKA_E_INVAL, "only usable memory can be added", "region->kind",
			      RAMKA_NO_INDEX, (uint64_t)region->kind, RAMKA_USABLE);
	if (!region->size || region->size > UINT64_MAX - region->base)
		return refuse(why, RAMKA_E_INVAL,
			      region->size ? "the region reaches around the end of the address space" :
					     "the region is empty",
			      "region->size", RAMKA_NO_INDEX, region->size, 0);
	if ((region->base | region->size) & (RAMKA_PAGE_SIZE - 1))
		return refuse(why, RAMKA_E_NOT_ALIGNED, "base and size are not multiples of a page",
			      region->base & (RAMKA_PAGE_SIZE - 1) ? "region->base" : "region->size",
			      RAMKA_NO_INDEX,
			      region->base & (RAMKA_PAGE_SIZE - 1) ? region->base : region->size,
			      RAMKA_PAGE_SIZE);
	first = frame_of(region->base);
	nr = frame_of(region->size);
	if (first < r->first || first - r->first >= r->nr_slots || nr > r->nr_slots - (first - r->first)) {
		why->paddr = region->base;
		return refuse(why, RAMKA_E_OUT_OF_BOUND, "this lies outside the span, which set-up fixes",
			      "region->base", RAMKA_NO_INDEX, region->base,
			      first < r->first ? paddr_of(r->first) : paddr_of(r->first + r->nr_slots));
	}
	return 0;
}

int ramka_add_memory_why(struct ramka *r, const struct ramka_region *region, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	int rc;

	*why = (struct ramka_why){ 0 };
	rc = check_range(r, region, why);
	if (rc)
		return rc;
	if (!changing_begin(r))
		return refuse_plain(why, RAMKA_E_BUSY, "another call adds, removes or claims memory", NULL);
	rc = add_memory(r, frame_of(region->base), frame_of(region->base + region->size), region->node, why);
	changing_end(r);
	return rc;
}

int ramka_add_memory(struct ramka *r, const struct ramka_region *region)
{
	return ramka_add_memory_why(r, region, NULL);
}
