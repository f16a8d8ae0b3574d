/* SPDX-License-Identifier: MIT */
/*
 * Ways to look at all frames, for the files of this folder and for setup/isolate.c. They read state words,
 * info words and bits, each on its own, and write nothing: exact at quiescence, a snapshot otherwise. May use
 * zone/zones.h.
 */
#ifndef RAMKA_LIB_INSPECT_WALK_H
#define RAMKA_LIB_INSPECT_WALK_H

#include "../zone/zones.h"

/* What is seen at one base frame. */
struct sight {
	enum ramka_state state;
	uint64_t ref, info;
	const struct zone *zone;
	uint32_t bit, node;
	bool in_bitmap; /* its bit says free, and its block is not claimed whole */
	uint64_t frames; /* 1, or the rest of a hole */
};

/* Walks the span in order; remembers how many tails follow the last head. */
struct look {
	const struct ramka *r;
	uint64_t frame;  /* next, counted from the first of the span */
	uint64_t tails;
	size_t piece;    /* of the map, where that frame lies or before */
};

/* Base frames of the frame with this info word; 1 where an order that cannot be was written into it. */
static inline uint64_t info_frames(uint64_t info)
{
	return info_order(info) > RAMKA_MAX_ORDER ? 1 : (uint64_t)1 << info_order(info);
}

/* Begins at a frame of the span, of which it may be a tail. */
struct look look_from(const struct ramka *r, uint64_t frame);
/* Looks at the next frame, or at the next hole as a whole; false at the end of the span. */
bool look_next(struct look *l, struct sight *ret);

/* Adds the free frames of a zone to free, free_huge and free_by_order; stats.c. */
void add_zone(struct ramka_stats *s, const struct zone *z);

#endif
