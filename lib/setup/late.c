/* SPDX-License-Identifier: MIT */
/* Late memory: frames of holes and reclaimable regions become usable while everybody allocates. */
#include "../frame/alloc.h"

/* Every frame of the range is reclaimable or a hole, and one zone covers it all. */
static int late_check(const struct ramka *r, uint64_t first, uint64_t end, struct zone **ret_z)
{
	struct zone *z = instance_zone(r, &r->slots[first - r->first]);

	for (uint64_t i = first; i < end; i++) {
		unsigned kind = instance_kind(r, i);

		if (kind != MAP_HOLE && kind != RAMKA_RECLAIMABLE)
			return RAMKA_E_IN_USE;
		if (!z || instance_zone(r, &r->slots[i - r->first]) != z)
			return RAMKA_E_OUT_OF_BOUND;
	}
	*ret_z = z;
	return 0;
}

/* Takes the reserved frames' own references; all or none. */
static int late_claim(struct ramka *r, uint64_t first, uint64_t end, uint64_t *ret_reserved)
{
	*ret_reserved = 0;
	for (uint64_t i = first; i < end; i++) {
		uint64_t sole = REF_SHARED(1);

		if (instance_kind(r, i) == MAP_HOLE)
			continue;
		if (ramka_cas(&r->slots[i - r->first].ref, &sole, REF_BUSY((uint64_t)0), acquire, slot.drop)) {
			++*ret_reserved;
			continue;
		}
		while (i-- > first)
			if (instance_kind(r, i) != MAP_HOLE)
				ramka_store(&r->slots[i - r->first].ref, REF_SHARED(1), release, slot.publish);
		return RAMKA_E_IN_USE;
	}
	return 0;
}

/* Frames [first, end) become usable memory: the map's reader must know before the first can be handed out. */
static int late_publish(struct ramka *r, uint64_t first, uint64_t end)
{
	uint32_t nr = ramka_load(&r->nr_late, relaxed, map.late);

	for (uint32_t i = 0; i < nr; i++)
		if (ramka_load(&r->late[i].end, relaxed, map.late) == first) {
			ramka_store(&r->late[i].end, end, release, map.late);
			return 0;
		}
	if (nr == MAX_LATE)
		return RAMKA_E_NOMEM;
	ramka_store(&r->late[nr].first, first, relaxed, map.late);
	ramka_store(&r->late[nr].end, end, relaxed, map.late);
	ramka_store(&r->nr_late, nr + 1, release, map.late);
	return 0;
}

static int add_memory(struct ramka *r, uint64_t first, uint64_t end)
{
	struct zone *z;
	uint64_t reserved, give = first;
	int rc = late_check(r, first, end, &z);

	if (!rc)
		rc = late_claim(r, first, end, &reserved);
	if (rc)
		return rc;
	rc = late_publish(r, first, end);
	for (uint64_t i = first; i < end; i++) {
		struct ramka_frame *f = &r->slots[i - r->first];

		if (rc && ref_tag(slot_ref(f)) == TAG_BUSY)
			ramka_store(&f->ref, REF_SHARED(1), release, slot.publish);
		if (rc)
			continue;
		slot_set_info(f, 0);
		ramka_store(&f->ref, i ? REF_FREE : REF_UNUSED, release, slot.claim);
	}
	if (rc)
		return rc;
	if (!first) { /* address 0 means nothing to many, late as well */
		ramka_add(&r->unused, 1, relaxed, stat);
		give = 1;
	}
	ramka_add(&r->late_reserved, reserved, relaxed, stat);
	ramka_add(&r->late_total, end - first - reserved, relaxed, stat);
	ramka_add(&z->usable, end - give, relaxed, stat);
	ramka_add(&r->moves, 1, release, nomem.collect);
	zone_free_range(z, (uint32_t)(give - z->origin), (uint32_t)(end - give));
	ramka_add(&r->moves, 1, release, nomem.collect);
	return 0;
}

int ramka_add_memory(struct ramka *r, const struct ramka_region *region)
{
	uint64_t first, nr;
	uint32_t none = 0;
	int rc;

	if (!r || !region || region->kind != RAMKA_USABLE || !region->size || region->size > UINT64_MAX - region->base)
		return RAMKA_E_INVAL;
	if ((region->base | region->size) & (RAMKA_PAGE_SIZE - 1))
		return RAMKA_E_NOT_ALIGNED;
	first = frame_of(region->base);
	nr = frame_of(region->size);
	if (first < r->first || first - r->first >= r->nr_slots || nr > r->nr_slots - (first - r->first))
		return RAMKA_E_OUT_OF_BOUND;
	if (!ramka_cas(&r->adding, &none, 1, acquire, map.adding))
		return RAMKA_E_BUSY;
	rc = add_memory(r, first, first + nr);
	ramka_store(&r->adding, 0, release, map.adding);
	return rc;
}
