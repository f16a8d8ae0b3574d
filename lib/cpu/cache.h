/* SPDX-License-Identifier: MIT */
/*
 * The cache of base frames: the two hot paths, and what fills and empties the cache. May use section.h,
 * depot.h, row.h, gate.h, mail.h, lean.h.
 *
 * Legend   fast    the inline functions below; no locked operation, no call
 *          cold    the gate refuses the frame or the cache is full: one more call, still inside the section
 *          refill  the cache is empty: mail, then depot, then zone
 *          slow    request.h: no section, another zone, an order or a lifetime that this cache does not serve
 *                  (order.h and lasting.h do, up to order 10), or nothing was found
 *
 * Gate. Caching every freed frame destroys contiguity. A put caches a frame only if its block is the one that
 * the CPU allocates from, or nearly full (gate.h). Other frames go to a row, so that sparse blocks drain.
 */
#ifndef RAMKA_LIB_CPU_CACHE_H
#define RAMKA_LIB_CPU_CACHE_H

#include "section.h"

/*
 * Refills the cache from depot and zone if it is empty, and takes one frame. NULL: both are empty, or the
 * section cannot be entered.
 */
struct ramka_frame *cpu_alloc_refill(struct ramka_cpu *cpu);
/*
 * The rest of cpu_keep when the gate refuses the frame or the cache is full. Inside the section; leaves it.
 */
void cpu_free_cold(struct ramka_cpu *cpu, uintptr_t number);

/*
 * Takes a base frame out of the cache. False: the caller goes on with cpu_alloc_refill. It is also false if
 * the frame's state word is not FREE; then cpu_alloc_refill takes the frame, and its caller checks the word.
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
 * Takes up to `want` base frames out of the cache in one section; how many. Their slots are on their way
 * into the data cache; the caller checks that they are FREE.
 */
static inline size_t cpu_alloc_many(struct ramka_cpu *cpu, size_t want, struct ramka_frame **ret_frames)
{
	const uint32_t *top;
	uint64_t hot;
	size_t n;

	if (unlikely(!section_enter(cpu)))
		return 0;
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	n = HOT_COUNT(hot) < want ? HOT_COUNT(hot) : want;
	top = cache_of(cpu)->frames + HOT_COUNT(hot);
	for (size_t i = 0; i < n; i++) {
		ret_frames[i] = cpu_slot(cpu, *--top);
		__builtin_prefetch(ret_frames[i], 1);
	}
	ramka_store(&cpu->hot, hot - n, relaxed, section.own);
	section_leave(cpu);
	return n;
}

/*
 * Puts a frame whose slot is FREE into the cache or the open row, inside the section. False, and nothing
 * done: cpu_free_cold has to take the frame.
 */
static always_inline bool cpu_keep(struct ramka_cpu *cpu, uintptr_t number)
{
	uint32_t n = (uint32_t)number;
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);

	if (ramka_load(&cpu->current, relaxed, section.own) - n >= cpu->window ||
	    unlikely(HOT_COUNT(hot) >= cpu->most)) {
		if (n - cpu->row >= WORD_BITS)
			return false;
		ramka_store(&cpu->row_mask,
			    ramka_load(&cpu->row_mask, relaxed, section.own) | (uint64_t)1 << (n - cpu->row),
			    relaxed, section.own);
		/* release: see count_row_pushes */
		ramka_store(&cpu->hot, hot + HOT_PUSH, release, nomem.collect);
		return true;
	}
	if (unlikely(HOT_COUNT(hot) < HOT_LOWEST(hot)))
		hot = hot_at_lowest(hot, HOT_COUNT(hot));
	cache_of(cpu)->frames[HOT_COUNT(hot)] = n;
	ramka_store(&cpu->hot, hot + HOT_PUSH + 1, relaxed, section.own);
	return true;
}

#endif
