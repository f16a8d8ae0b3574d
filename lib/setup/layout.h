/* SPDX-License-Identifier: MIT */
/*
 * Where each part of an instance lies in the metadata memory, and how much memory that is. It works in the
 * caller's memory and has no atomics. May use map.h.
 */
#ifndef RAMKA_LIB_SETUP_LAYOUT_H
#define RAMKA_LIB_SETUP_LAYOUT_H

#include "../base/why.h"
#include "../zone/zones.h"
#include "map.h"

/* A node's frames. */
struct node_range { uint64_t first, end; uint32_t node; };

/*
 * The nodes of a configuration in ascending order. There is no memory to remember them all, so a group is
 * collected at a time.
 */
#define NODE_GROUP 16u
struct nodes {
	const struct ramka_config *cfg;
	struct map_span span;
	struct node_range range[NODE_GROUP];
	unsigned nr, at;
	/* one node, or none: its zone covers the whole span, so that every hole can become memory */
	bool single;
};

/* Offsets into the metadata memory. */
struct layout {
	struct map_span span;
	uint64_t nr_slots, late_frames; /* frames that may become memory late, at most */
	unsigned nr_zones;
	uint32_t meta_size;
	uint32_t per_shard;             /* magazines of a CPU's shard of the depot */
	unsigned mailing;               /* CPUs that send each other mail */
	size_t cpus, none, depot, outboxes, defers, shards, magazines, zones, map, events, bitmaps, present,
		late, gone, slots, meta, traces, shadow, end;
};

/* The layout that the configuration needs, or an error with its reason. */
int lay_out(const struct ramka_config *cfg, struct layout *l, struct ramka_why *why);
/* Begins with the lowest node. Time: regions times nodes / 16. */
void nodes_start(struct nodes *n, const struct ramka_config *cfg, const struct map_span *span);
/* The next node's frames; false past the last one. The first call of a map without memory gives node 0. */
bool nodes_next(struct nodes *n, struct node_range *ret);
/* The frame number of bit 0 of a node's zone, and how many bits the zone has. */
uint64_t zone_origin(const struct node_range *n);
uint64_t zone_bits(const struct node_range *n);
/* Words of the block entries, whole cache lines: the hints that follow them begin a line. */
uint32_t quad_words(uint32_t blocks);
/* Bytes of the bitmap of so many bits: with block entries, hints, lasting bits and owner words. */
size_t bitmap_bytes(uint64_t bits, unsigned nr_cpus);

#endif
