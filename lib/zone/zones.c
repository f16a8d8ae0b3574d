/* SPDX-License-Identifier: MIT */
/* The zone of a frame. */
#include "zones.h"

struct zone *instance_zone(const struct ramka *r, const struct ramka_frame *f)
{
	uint64_t frame = r->first + slot_index(r, f);
	const struct map_entry *m;
	struct zone *covers = NULL;

	if (r->nr_zones == 1)
		return &r->zones[0];
	m = instance_map(r, frame);
	for (unsigned i = 0; i < r->nr_zones; i++) {
		struct zone *z = &r->zones[i];

		if (frame < z->origin + z->low || frame >= z->origin + z->end)
			continue;
		if (z->exclusive || (m->kind != MAP_HOLE && z->node == m->node))
			return z;
		if (!covers)
			covers = z; /* a hole inside two nodes: always the same one */
	}
	return covers;
}
