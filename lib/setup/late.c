/* SPDX-License-Identifier: MIT */
/*
 * Late memory: frames of holes and reclaimable regions become usable while other CPUs allocate, and so do
 * frames that were removed (isolate.c), which are a hole too. May use tune.h. One call at a time adds memory
 * (`changing`); what fails before the first frame is given to a zone is undone.
 */
#include "../base/mem.h"

#include "../base/watch.h"
#include "../base/why.h"
#include "../frame/alloc.h"
#include "tune.h"

/* What a part of the added range was before. */
enum part_kind {
	PART_HOLE,     /* since set-up */
	PART_GONE,     /* removed (isolate.c): a hole too, which stands in r->gone */
	PART_RESERVED, /* reclaimable */
	PART_BROKEN,   /* a broken frame, which stayed when the rest was removed, and stays */
	PART_MEMORY
};

/* A part of the added range that lies in one piece of the map. */
struct part {
	const struct map_entry *m;
	uint64_t first, end;
	enum part_kind kind;
};

/* What is added, and what it comes to. */
struct addition {
	uint64_t first, end;
	uint32_t node;
	struct zone *z;
	uint64_t frames;   /* that come */
	uint64_t reserved; /* of these, the ones that were reserved */
	uint64_t zero;     /* 1: of these, that at address 0, which the zone does not get */
};

static uint64_t late_of(const struct part *p, uint64_t frame)
{
	return p->m->late + (frame - p->m->first);
}

/* What the map calls bad looks alike, but never was memory. */
static bool is_broken(const struct ramka *r, const struct map_entry *m, uint64_t frame)
{
	uint64_t info = slot_info(&r->slots[frame - r->first]);

	return (m->kind == MAP_HOLE || m->kind <= RAMKA_RECLAIMABLE) && info & INFO_RESERVED &&
	       info_type(info) == ramka_type_unusable.id;
}

/* The part that begins at frame `first`. */
static struct part part_at(const struct ramka *r, uint64_t first, uint64_t end)
{
	const struct map_entry *m = instance_map(r, first);
	bool last = m + 1 == r->map + r->nr_map;
	struct part p = { m, first, last || m[1].first > end ? end : m[1].first, PART_GONE };
	uint64_t gone = sparse_end(&r->gone, first - r->first, p.end - r->first) + r->first, late;

	if (gone != first) {
		p.end = gone;
		return p;
	}
	p.end = sparse_next(&r->gone, first - r->first, p.end - r->first) + r->first;
	if (m->kind == MAP_HOLE || m->kind == RAMKA_RECLAIMABLE) {
		late = sparse_next(&r->late, late_of(&p, first), late_of(&p, p.end)) - late_of(&p, first);
		if (late) {
			p.end = first + late;
			p.kind = m->kind == MAP_HOLE ? PART_HOLE : PART_RESERVED;
			return p;
		}
	}
	p.kind = is_broken(r, m, first) ? PART_BROKEN : PART_MEMORY;
	p.end = first + 1;
	return p;
}

/* ---- checks ---- */

/* Is all of it reclaimable, a hole or broken, and of the zone of its node? Counts the frames. */
static int late_check(const struct ramka *r, struct addition *a, struct ramka_why *why)
{
	struct part p;

	for (uint64_t at = a->first; at < a->end; at = p.end) {
		const struct zone *z;

		p = part_at(r, at, a->end);
		why->paddr = paddr_of(at);
		if (p.kind == PART_BROKEN)
			continue;
		if (p.kind == PART_MEMORY)
			return refuse_plain(why, RAMKA_E_IN_USE,
					    p.m->kind == MAP_HOLE || p.m->kind == RAMKA_RECLAIMABLE ?
						    "some of this is memory already" :
						    "this is neither a hole nor reclaimable",
					    "region->base");
		if (p.m->zone == NO_ZONE)
			return refuse_plain(why, RAMKA_E_OUT_OF_BOUND,
					    "no node has memory on both sides of this hole", "region->base");
		z = &r->zones[p.m->zone];
		if (p.end > z->origin + z->end)
			return refuse_plain(why, RAMKA_E_OUT_OF_BOUND,
					    "this reaches beyond the memory of its node", "region->size");
		if (z->node != a->node)
			return refuse(why, RAMKA_E_OUT_OF_BOUND, "this can only be memory of another node",
				      "region->node", RAMKA_NO_INDEX, a->node, z->node);
		a->z = &r->zones[p.m->zone];
		a->frames += p.end - at;
		a->reserved += p.kind == PART_RESERVED ? p.end - at : 0;
		a->zero += at == 0;
	}
	if (!a->frames)
		return refuse_plain(why, RAMKA_E_IN_USE, "all of this is broken", "region->base");
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

/* All or none. */
static int late_claim(struct ramka *r, const struct addition *a, struct ramka_why *why)
{
	uint64_t at, held = 0;
	bool ok = true;
	struct part p;

	if (!a->reserved)
		return 0;
	for (at = a->first; ok && at < a->end; at = ok ? p.end : at) {
		p = part_at(r, at, a->end);
		ok = p.kind != PART_RESERVED || claim(r, &p, &held);
	}
	if (ok)
		return 0;
	unclaim(r, at, held);
	for (uint64_t undo = a->first; undo < at; undo = p.end) {
		p = part_at(r, undo, at);
		if (p.kind == PART_RESERVED)
			unclaim(r, undo, p.end);
	}
	why->paddr = paddr_of(held);
	return refuse_plain(why, RAMKA_E_IN_USE, "a reclaimable frame is in use", "region->base");
}

/* ---- slots ---- */

/* The metadata of a hole, which is anything at all. False: it should be zeroed and is not. */
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

/* Reclaimable frames that the caller holds. */
static void init_reserved(struct ramka *r, const struct part *p)
{
	for (uint64_t i = p->first; i < p->end; i++) {
		slot_set_info(&r->slots[i - r->first], 0);
		ramka_store(&r->slots[i - r->first].ref, i ? REF_FREE : REF_UNUSED, release, slot.claim);
	}
}

/* ---- all together ---- */

/* Metadata and bits of what was a hole. */
static int open_holes(struct ramka *r, const struct addition *a, struct ramka_why *why)
{
	bool clear = zone_open(a->z, (uint32_t)(a->first - a->z->origin), (uint32_t)(a->end - a->z->origin),
			       r->flags & RAMKA_METADATA_ZEROED);
	struct part p;

	for (uint64_t at = a->first; clear && at < a->end; at = p.end) {
		p = part_at(r, at, a->end);
		if (p.kind == PART_HOLE || p.kind == PART_GONE)
			clear = init_hole(r, &p);
	}
	return clear ? 0 :
		       refuse_plain(
			       why, RAMKA_E_INVAL,
			       "RAMKA_METADATA_ZEROED is set, but the metadata of this hole is not zeroed",
			       "region->base");
}

/* Slots and map first, since a frame that is handed out can be looked up. */
static void bring(struct ramka *r, const struct addition *a, const struct part *p)
{
	uint64_t give = p->first ? p->first : 1; /* many callers take address 0 for "none" */

	if (p->kind == PART_RESERVED)
		init_reserved(r, p);
	else if (!p->first)
		ramka_store(&r->slots[0].ref, REF_UNUSED, relaxed, slot.look);
	if (p->kind == PART_GONE)
		sparse_remove(&r->gone, p->first - r->first, p->end - r->first);
	else
		sparse_add(&r->late, late_of(p, p->first), late_of(p, p->end));
	if (give < p->end)
		bitmap_fill(&a->z->map, (uint32_t)(give - a->z->origin), (uint32_t)(p->end - a->z->origin));
}

static int add_memory(struct ramka *r, struct addition *a, struct ramka_why *why)
{
	int rc = late_check(r, a, why);
	struct part p;

	if (!rc)
		rc = open_holes(r, a, why);
	if (!rc)
		rc = late_claim(r, a, why);
	if (rc)
		return rc;
	ramka_add(&r->unused, a->zero, relaxed, stat);
	ramka_add(&r->late_reserved, a->reserved, relaxed, stat);
	ramka_add(&r->late_total, a->frames - a->reserved, relaxed, stat);
	ramka_add(&a->z->usable, a->frames - a->zero, relaxed, stat);
	tune(r);
	count_move(r->none, false);
	for (uint64_t at = a->first; at < a->end; at = p.end) {
		p = part_at(r, at, a->end);
		if (p.kind != PART_BROKEN)
			bring(r, a, &p);
	}
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
	struct addition a;
	int rc;

	*why = (struct ramka_why){ 0 };
	rc = check_range(r, region, why);
	if (rc)
		return rc;
	if (!changing_begin(r))
		return refuse_plain(why, RAMKA_E_BUSY, "another call adds, removes or claims memory", NULL);
	a = (struct addition){ .first = frame_of(region->base),
			       .end = frame_of(region->base + region->size),
			       .node = region->node };
	rc = add_memory(r, &a, why);
	changing_end(r);
	return rc;
}

int ramka_add_memory(struct ramka *r, const struct ramka_region *region)
{
	return ramka_add_memory_why(r, region, NULL);
}
