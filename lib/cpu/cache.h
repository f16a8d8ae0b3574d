/* SPDX-License-Identifier: MIT */
/*
 * The cache of base frames: the two hot paths, and what fills and empties the cache. May use row.h, depot.h.
 *
 * Legend   fast    the inline functions below; no locked operation, no call
 *          cold    the gate refuses the frame or the cache is full: still inside the section, a call more
 *          refill  the cache is empty: depot, then zone
 *          slow    request.h: no section, another zone, an order above 0, or nothing was found
 *
 * Gate. Caching every freed frame destroys contiguity. A put caches a frame only if its block is the one that the CPU
 * allocates from or nearly full; other frames go to a row, so that sparse blocks drain. Frames of order 1 to 6 always do.
 */
#ifndef RAMKA_LIB_CPU_CACHE_H
#define RAMKA_LIB_CPU_CACHE_H

#include "section.h"

/*
 * The cache may be empty: refills it from depot and zone and takes one frame. NULL: both are empty, or the section cannot be
 * entered.
 */
struct ramka_frame *cpu_alloc_refill(struct ramka_cpu *cpu);
/* The rest of cpu_free when the gate refuses the frame or the cache is full. Inside the section; leaves it. */
void cpu_free_cold(struct ramka_cpu *cpu, uint32_t n);

/*
 * A base frame out of the cache; false: then cpu_alloc_refill. Also false, and the frame stays, if its state word is
 * not FREE: cpu_alloc_refill takes it, and the caller there has to look.
 */
static inline bool cpu_alloc(struct ramka_cpu *cpu, struct ramka_frame **ret_f)
{
	struct ramka_frame *f;
	uint64_t hot;

	if (unlikely(!section_enter(cpu)))
		return false;
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	if (unlikely(!HOT_COUNT(hot)))
		goto miss;
	f = cpu_slot(cpu, cache_of(cpu)->frames[(size_t)HOT_COUNT(hot) - 1]);
	if (unlikely(slot_ref(f) != REF_FREE))
		goto miss;
	ramka_store(&cpu->hot, hot - 1, relaxed, section.own);
	section_leave(cpu);
	*ret_f = f;
	return true;
miss:
	section_leave(cpu);
	return false;
}

/*
 * Frees base frame n of the home zone, whose slot is f and the caller's: cache, row or zone. False, nothing done:
 * no section to be had, the cache-less path must take it.
 */
static always_inline bool cpu_free(struct ramka_cpu *cpu, struct ramka_frame *f, uint32_t n)
{
	uint64_t hot;

	if (unlikely(!section_enter(cpu)))
		return false;
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	if (n - cpu->current >= BLOCK_FRAMES || unlikely(HOT_COUNT(hot) == CACHE_SIZE)) {
		if (n - cpu->row >= WORD_BITS) {
			cpu_free_cold(cpu, n);
			return true;
		}
		ramka_store(&cpu->row_mask, ramka_load(&cpu->row_mask, relaxed, section.own) | (uint64_t)1 << (n - cpu->row),
			    relaxed, section.own);
		ramka_store(&cpu->hot, hot + HOT_PUSH, release, nomem.collect); /* see count_row_pushes */
		section_leave(cpu);
		return true;
	}
	if (unlikely(HOT_COUNT(hot) < HOT_LOWEST(hot)))
		hot = (hot & ~(uint64_t)HOT_LOWEST_MASK) | HOT_COUNT(hot) << 8;
	cache_of(cpu)->frames[HOT_COUNT(hot)] = n;
	ramka_store(&cpu->hot, hot + HOT_PUSH + 1, relaxed, section.own);
	section_leave(cpu);
	return true;
}

#endif
