/* SPDX-License-Identifier: MIT */
/* The zone of a frame, and blocks that get their first frames. See zones.h. */
#include "zones.h"

struct zone *instance_zone(const struct ramka *r, const struct ramka_frame *f)
{
	uint64_t frame = r->first + slot_index(r, f);
	const struct map_entry *m;
	struct zone *z;

	if (r->nr_zones == 1)
		return &r->zones[0];
	m = instance_map(r, frame);
	if (m->zone == NO_ZONE)
		return NULL;
	z = &r->zones[m->zone];
	return frame - z->origin - z->low < z->end - z->low ? z : NULL;
}

/* Are the block entry and the bits of a block that was never used all zeroes? */
static bool is_clear(const struct zone *z, uint32_t block)
{
	uint64_t any = bitmap_entry(&z->map, block);

	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		any |= ramka_load(&z->map.words[(size_t)block * BLOCK_WORDS + i], relaxed, bit.look);
	return !any;
}

bool zone_open(struct zone *z, uint32_t first, uint32_t end, bool cleared)
{
	uint32_t block = first / BLOCK_FRAMES, last = (end - 1) / BLOCK_FRAMES;
	bool ok = true;

	/*
	 * blocks inside the range are new altogether; the blocks at its ends may have been opened for their
	 * other frames
	 */
	if (sparse_has(&z->present, block))
		block++;
	if (block <= last && sparse_has(&z->present, last))
		last--;
	if (block > last)
		return true;
	if (cleared)
		ok = is_clear(z, block) && is_clear(z, last);
	for (uint32_t i = block; !cleared && i <= last; i++)
		for (unsigned w = 0; w < BLOCK_WORDS; w++)
			ramka_store(&z->map.words[(size_t)i * BLOCK_WORDS + w], 0, relaxed, bit.look);
	sparse_add(&z->present, block, last + 1);
	return ok;
}
