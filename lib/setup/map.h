/* SPDX-License-Identifier: MIT */
/*
 * The memory map: turns any regions in any order into a sorted list of pieces, each of one kind. May use
 * lower storeys alone. It works in the caller's memory and has no atomics.
 */
#ifndef RAMKA_LIB_SETUP_MAP_H
#define RAMKA_LIB_SETUP_MAP_H

#include "../base/instance.h"
#include "../base/why.h"

#define MAX_NODE 65534u

/* Frame numbers [first, end); none if they are equal. */
struct map_span { uint64_t first, end; };

/* Where a region begins or ends. */
struct map_event {
	ramka_paddr_t at;
	uint32_t kind;
	uint32_t node;
	int32_t step;    /* +1, -1 */
	uint32_t region; /* its place in the configuration */
};

/*
 * The span of all slots. It reaches from the lowest to the highest frame that may ever be handed out: usable,
 * detached or reclaimable. Reserved, bad and kernel frames belong to it if they lie in it, or no farther from
 * it than there is such memory and 16 MiB more. Frames that lie farther have no slots, so a reserved range at
 * the far end of the address space costs nothing. RAMKA_E_INVAL, with a reason: a region makes no sense.
 */
int map_span(const struct ramka_config *cfg, struct map_span *ret_span, struct ramka_why *why);

/* Events needed for so many regions, and pieces at most. */
size_t map_events(size_t nr_regions);
size_t map_pieces(size_t nr_regions);
/* Ranges that the early allocator handed out; each needs events and pieces as a region does. */
static inline size_t early_ranges(const struct ramka_config *cfg)
{
	return cfg->early ? cfg->early->nr_ranges : 0;
}
/* Sorts events by address, ends first: n log n. */
void map_sort(struct map_event *e, size_t n);

/*
 * Fills `map` with the pieces of the span in ascending order; the first begins with the span, the last is a
 * hole without end. `meta`: the metadata memory's physical range, size 0 if it is not in the direct map.
 * RAMKA_E_INVAL: usable regions of two nodes overlap.
 */
int map_build(const struct ramka_config *cfg, const struct map_span *span, const struct ramka_region *meta,
	      struct map_event *events, struct map_entry *map, size_t *ret_nr, struct ramka_why *why);

#endif
