/* SPDX-License-Identifier: MIT */
/*
 * The zones of an instance: which zone a frame is of, and its bit there. May use zone.h. Slots and bits meet
 * here: lib/base knows slots, and the files below this one know bits.
 */
#ifndef RAMKA_LIB_ZONE_ZONES_H
#define RAMKA_LIB_ZONE_ZONES_H

#include "../base/instance.h"
#include "zone.h"

/* The zone that a slot belongs to; NULL: none, for frames that are never handed out. */
struct zone *instance_zone(const struct ramka *r, const struct ramka_frame *f);

/*
 * Prepares for frames [first, end) to become memory of the zone: a block without memory gets its bits.
 * `cleared`: these bits are zeroes already. False: they are not. One caller at a time.
 */
bool zone_open(struct zone *z, uint32_t first, uint32_t end, bool cleared);

static inline uint32_t slot_bit(const struct ramka *r, const struct zone *z, const struct ramka_frame *f)
{
	return (uint32_t)(r->first + slot_index(r, f) - z->origin);
}

static inline struct ramka_frame *slot_at_bit(const struct ramka *r, const struct zone *z, uint32_t bit)
{
	return &r->slots[z->origin + bit - r->first];
}

/* Is it free in the bitmap, and not of a block that is claimed whole? */
static inline bool slot_in_bitmap(const struct ramka *r, const struct zone *z, const struct ramka_frame *f)
{
	uint32_t bit = slot_bit(r, z, f);

	return sparse_has(&z->present, bit / BLOCK_FRAMES) && bitmap_is_free(&z->map, bit) &&
	       !(bitmap_entry(&z->map, bit / BLOCK_FRAMES) & ENTRY_HUGE);
}

/* Is its block shut? */
static inline bool slot_is_shut(const struct ramka *r, const struct zone *z, const struct ramka_frame *f)
{
	return bitmap_entry(&z->map, slot_bit(r, z, f) / BLOCK_FRAMES) & ENTRY_SHUT;
}

#endif
