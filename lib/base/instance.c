/* SPDX-License-Identifier: MIT */
/* What every file above asks the instance: the kind of a frame, the slot at an address. See instance.h. */
#include "instance.h"

/* The piece of the map that holds a frame at or above r->first. */
const struct map_entry *instance_map(const struct ramka *r, uint64_t frame)
{
	size_t low = 0, high = r->nr_map;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (r->map[middle].first <= frame)
			low = middle;
		else
			high = middle;
	}
	return &r->map[low];
}

unsigned instance_kind(const struct ramka *r, uint64_t frame)
{
	const struct map_entry *m;

	if (frame < r->first || frame - r->first >= r->nr_slots)
		return MAP_HOLE;
	if (sparse_has(&r->gone, frame - r->first))
		return MAP_HOLE;
	m = instance_map(r, frame);
	if ((m->kind == MAP_HOLE || m->kind == RAMKA_RECLAIMABLE) &&
	    sparse_has(&r->late, m->late + (frame - m->first)))
		return RAMKA_USABLE;
	return m->kind;
}

/* Where the map entry ends, or `end` if that comes first. */
static uint64_t entry_end(const struct ramka *r, const struct map_entry *m, uint64_t end)
{
	return m + 1 < r->map + r->nr_map && m[1].first < end ? m[1].first : end;
}

uint64_t instance_next(const struct ramka *r, uint64_t frame)
{
	uint64_t end = r->first + r->nr_slots;

	while (frame < end) {
		const struct map_entry *m = instance_map(r, frame);
		uint64_t next = entry_end(r, m, end), late, gone;

		if (m->kind == MAP_HOLE) {
			late = m->late + (frame - m->first);
			frame += sparse_next(&r->late, late, late + (next - frame)) - late;
		}
		if (frame == next)
			continue;
		gone = sparse_end(&r->gone, frame - r->first, next - r->first) + r->first;
		if (gone == frame)
			return frame;
		frame = gone;
	}
	return end;
}

uint64_t instance_hole(const struct ramka *r, uint64_t frame, uint64_t end)
{
	while (frame < end) {
		const struct map_entry *m = instance_map(r, frame);
		uint64_t next = entry_end(r, m, end);
		uint64_t run = next - frame; /* frames that the map calls memory */

		if (m->kind == MAP_HOLE) {
			uint64_t late = m->late + (frame - m->first);

			run = sparse_end(&r->late, late, late + run) - late;
		}
		/* the first that was removed since, or the end of the run */
		run = sparse_next(&r->gone, frame - r->first, frame - r->first + run) + r->first - frame;
		if (frame + run < next)
			return frame + run;
		frame = next;
	}
	return end;
}

noinline int instance_slot_searched(const struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_f)
{
	if (pa & (RAMKA_PAGE_SIZE - 1))
		return RAMKA_E_NOT_ALIGNED;
	if (instance_kind(r, frame_of(pa)) == MAP_HOLE)
		return RAMKA_E_OUT_OF_BOUND;
	*ret_f = &r->slots[frame_of(pa) - r->first];
	return 0;
}

void instance_find_solid(struct ramka *r)
{
	while (r->nr_slots > (uint64_t)SOLID_PARTS << r->solid_shift)
		r->solid_shift++;
	for (size_t i = 0; i < r->nr_map; i++) {
		uint64_t first, end;

		if (r->map[i].kind == MAP_HOLE)
			continue;
		first = r->map[i].first;
		while (i + 1 < r->nr_map && r->map[i + 1].kind != MAP_HOLE)
			i++;
		end = i + 1 < r->nr_map && r->map[i + 1].first < r->first + r->nr_slots ?
			      r->map[i + 1].first :
			      r->first + r->nr_slots;
		/* the parts that lie wholly inside */
		for (uint64_t part =
			     (first - r->first + (UINT64_C(1) << r->solid_shift) - 1) >> r->solid_shift;
		     first >= r->first && part < (end - r->first) >> r->solid_shift; part++)
			ramka_store(&r->solid[part], 1, relaxed, map.solid);
	}
}

void instance_not_solid(struct ramka *r, uint64_t first, uint64_t end)
{
	uint64_t last = (end - 1 - r->first) >> r->solid_shift;

	for (uint64_t part = (first - r->first) >> r->solid_shift; part <= last; part++)
		ramka_store(&r->solid[part], 0, relaxed, map.solid);
}
