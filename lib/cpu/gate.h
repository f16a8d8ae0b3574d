/* SPDX-License-Identifier: MIT */
/*
 * The gate: is a freed base frame cached, or does it go back to its block? May use state.h and zone/bitmap.h.
 *
 * Caching every freed frame destroys contiguity: what was freed last is handed out first, wherever it lies, and sparse blocks
 * never drain. A frame passes if its block is the one that refills the cache, or nearly full. `current` remembers the block
 * that passed last.
 */
#ifndef RAMKA_LIB_CPU_GATE_H
#define RAMKA_LIB_CPU_GATE_H

#include "state.h"

static inline bool gate_passes(struct ramka_cpu *cpu, uint32_t n)
{
	uint32_t block = bit_of(cpu, n) / BLOCK_FRAMES;

	if (n - cpu->current < BLOCK_FRAMES)
		return true;
	if (block != cpu->block && bitmap_free_count(&cpu->zone->map, block) > cpu->gate)
		return false;
	cpu->current = block * BLOCK_FRAMES - cpu->zone->low;
	return true;
}

#endif
