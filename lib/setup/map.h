/* SPDX-License-Identifier: MIT */
/*
 * The memory map: any regions in any order to a sorted list of pieces, each of one kind. Called by init.c, once;
 * works in memory it is given; no atomics.
 */
#ifndef RAMKA_LIB_MAP_H
#define RAMKA_LIB_MAP_H

#include "../base/instance.h"

/* Where a region begins or ends. */
struct map_event {
	ramka_paddr_t at;
	uint32_t kind;
	uint32_t node;
	int32_t step; /* +1, -1 */
};

/* Frame numbers [*ret_first, *ret_end) that hold anything but holes and MMIO; empty if first == end. RAMKA_E_INVAL if a region wraps. */
int map_span(const struct ramka_config *cfg, uint64_t *ret_first, uint64_t *ret_end);

/* Events needed for so many regions, and pieces at most. */
size_t map_events(size_t nr_regions);
size_t map_pieces(size_t nr_regions);

/*
 * Fills `map` with pieces in ascending order; the last is a hole without end. `meta`: the metadata memory's
 * physical range, size 0 if it is not in the direct map. RAMKA_E_INVAL: usable regions of two nodes overlap.
 */
int map_build(const struct ramka_config *cfg, const struct ramka_region *meta, struct map_event *events, struct map_entry *map,
	      size_t *ret_nr);

#endif
