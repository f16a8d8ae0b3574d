/* SPDX-License-Identifier: MIT */
/* Where each part of an instance lies in the metadata memory. Called by init.c. */
#ifndef RAMKA_LIB_SETUP_LAYOUT_H
#define RAMKA_LIB_SETUP_LAYOUT_H

#include "../zone/zones.h"

/* A node's frames; `node` of the first region that names it. */
struct node_range { uint64_t first, end; uint32_t node; };

/* Offsets into the metadata memory. */
struct layout {
	uint64_t first, nr_slots;
	unsigned nr_zones;
	uint32_t meta_size;
	size_t cpus, none, depot, outboxes, defers, shards, magazines, zones, map, events, bitmaps, slots, meta, shadow, end;
};

/* What the configuration asks for, or RAMKA_E_INVAL. */
int lay_out(const struct ramka_config *cfg, struct layout *l);
/* The frames of zone n; false past the last one. */
bool zone_range(const struct ramka_config *cfg, const struct layout *l, unsigned n, struct node_range *ret);
/* First frame and number of bits of the zone of a node; bytes of its bitmap and of its territories' owners. */
uint64_t zone_origin(const struct node_range *n);
uint64_t zone_bits(const struct node_range *n);
size_t bitmap_bytes(uint64_t bits, unsigned nr_cpus);

#endif
