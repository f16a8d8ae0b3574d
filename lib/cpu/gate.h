/* SPDX-License-Identifier: MIT */
/*
 * The gate: is a freed frame cached, or does it go back to its block? This file also says which blocks refill
 * the caches. May use state.h and zone/territory.h.
 *
 * Caching every freed frame destroys contiguity: the frame that was freed last is handed out first,
 * wherever it lies, and sparse blocks never drain. A frame passes if its block is the one that refills the
 * cache, or nearly full and not lasting: frames that live long are to find their block's free frames there
 * (zone.h). A shut block (zone/bitmap.h) never passes. `current` remembers the block that passed last. Base
 * frames and frames of orders 1 to 8 have a gate each: the same test, with blocks of their own.
 */
#ifndef RAMKA_LIB_CPU_GATE_H
#define RAMKA_LIB_CPU_GATE_H

#include "../zone/territory.h"
#include "state.h"

/* `refills`: the block that refills the cache. *current: the block that passed its gate last, updated. */
static always_inline bool gate_passes(const struct ramka_cpu *cpu, uint32_t n, uint32_t refills,
				      struct ramka_atomic_u32 *current)
{
	uint32_t block = bit_of(cpu, n) / BLOCK_FRAMES;

	if (ramka_load(current, relaxed, section.own) - n < cpu->window)
		return true;
	if (block != refills && (entry_gate_count(bitmap_entry(&cpu->zone->map, block)) > cpu->gate ||
				 zone_is_lasting(cpu->zone, block)))
		return false;
	set_current(current, block * BLOCK_FRAMES - cpu->zone->low);
	return true;
}

/* Is the block shut? One load where none is. */
static inline bool gate_is_shut(const struct ramka_cpu *cpu, uint32_t block)
{
	if (likely(!ramka_load(&cpu->r->shut, relaxed, stat)))
		return false;
	return bitmap_entry(&cpu->zone->map, block) & ENTRY_SHUT;
}

/* Frames from `current` on that pass: all with RAMKA_CACHE_ALL, but not while a block is shut. */
static inline uint32_t gate_window(const struct ramka *r)
{
	bool all = r->flags & RAMKA_CACHE_ALL && !ramka_load(&r->shut, relaxed, stat);

	return all ? CACHE_ALL : BLOCK_FRAMES;
}

/* A cache is refilled from *refills no longer, if that block was shut. */
static inline void gate_leave_shut(const struct ramka_cpu *cpu, uint32_t *refills)
{
	if (*refills == NO_BLOCK || !gate_is_shut(cpu, *refills))
		return;
	territory_move(cpu->zone, cpu->me, *refills, NO_BLOCK);
	*refills = NO_BLOCK;
}

/* From now on `block` refills the cache whose block is *refills; `other` refills the CPU's other cache. */
static inline void refill_from(const struct ramka_cpu *cpu, uint32_t *refills, uint32_t other, uint32_t block)
{
	unsigned shift = cpu->zone->territory_shift;

	if (*refills >> shift != block >> shift)
		territory_move(cpu->zone, cpu->me, *refills >> shift == other >> shift ? NO_BLOCK : *refills,
			       block);
	*refills = block;
}

#endif
