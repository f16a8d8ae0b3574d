/* SPDX-License-Identifier: MIT */
/*
 * Caches of frames of orders 1 to 10: a small stack for each order. May use account.h, row.h, gate.h. The
 * stack of order 0 holds base frames for requests that last (lasting.h); it is counted and flushed here with
 * the others.
 *
 * Legend   fast    order_pop, order_put: the frame's number and its order's count; no locked operation
 *          cold    the gate refuses the frame (orders 1 to 6: to a row; 7 and 8: to the zone), or the stack
 *                  is full: half of it goes to the zone
 *          refill  the stack is empty: up to half a stack out of one block, or up to four whole blocks, by
 *                  few locked operations
 *          slow    request.h
 *
 * Gate. A freed frame of order 1 to 8 is cached only if its block is the one that refills these orders, or
 * nearly full. Else the frame that was freed last would be handed out again at once, and sparse blocks would
 * never drain. Orders 9 and 10 are whole blocks and need no gate, but those of a shut block go back to it.
 */
#ifndef RAMKA_LIB_CPU_ORDER_H
#define RAMKA_LIB_CPU_ORDER_H

#include "account.h"

#define STACK_MAX 32u /* places of the largest stack */

/* Where the stack of an order begins in larger_frames; the entry behind it is where it ends. */
static inline unsigned order_at(unsigned order)
{
	static const uint16_t at[TOP_ORDER + 2] = { 0, 32, 64, 96, 128, 160, 176, 192, 208, 224, 240,
						       LARGER_FRAMES };

	return at[order];
}

static inline uint32_t order_count(const struct ramka_cpu *cpu, unsigned order)
{
	return ramka_load(&cache_of(cpu)->larger[order], relaxed, section.own);
}

/* Base frames in all stacks of the CPU. */
uint64_t order_held(const struct ramka_cpu *cpu);
/* The same in frames. */
uint64_t order_number(const struct ramka_cpu *cpu);
/* Bounds the stack of each order to so many base frames, in orders 9 and 10 to four times as many. */
void order_set_bounds(struct ramka *r, uint64_t frames);

/*
 * Takes a frame of order 1 to 10. False: there is none, or the section cannot be entered. Also false, and the
 * frame stays, if its state word is not FREE: order_get takes it, and the caller there has to look.
 */
static inline bool order_pop(struct ramka_cpu *cpu, unsigned order, struct ramka_frame **ret_f)
{
	struct ramka_atomic_u32 *count = &cache_of(cpu)->larger[order];
	struct ramka_frame *f;
	uint32_t at;

	if (unlikely(!section_enter(cpu)))
		return false;
	at = ramka_load(count, relaxed, section.own);
	if (unlikely(!at))
		goto miss;
	f = cpu_slot(cpu, cache_of(cpu)->larger_frames[order_at(order) + at - 1]);
	if (unlikely(slot_ref(f) != REF_FREE))
		goto miss;
	ramka_store(count, at - 1, relaxed, section.own);
	section_leave(cpu);
	*ret_f = f;
	return true;
miss:
	section_leave(cpu);
	return false;
}

/*
 * Takes up to `want` frames; how many. Their slots are on their way into the data cache; the caller checks
 * that they are FREE.
 */
static inline size_t order_pop_many(struct ramka_cpu *cpu, unsigned order, size_t want,
				    struct ramka_frame **ret_frames)
{
	uint32_t count;
	size_t n;

	if (!section_enter(cpu))
		return 0;
	count = order_count(cpu, order);
	n = count < want ? count : want;
	for (size_t i = 0; i < n; i++) {
		ret_frames[i] = cpu_slot(cpu, cache_of(cpu)->larger_frames[order_at(order) + --count]);
		__builtin_prefetch(ret_frames[i], 1);
	}
	ramka_store(&cache_of(cpu)->larger[order], count, relaxed, section.own);
	section_leave(cpu);
	return n;
}

/* Counts a frame that was freed into a stack, and that lies where it can be found. */
static inline void order_count_push(struct ramka_cpu *cpu)
{
	ramka_store(&cpu->larger_pushes, ramka_load(&cpu->larger_pushes, relaxed, section.own) + 1, release,
		    nomem.collect);
}

/* Does frame n lie outside the block that passed the gate of orders 1 to 8 last? */
static inline bool run_far(const struct ramka_cpu *cpu, uint32_t n)
{
	return ramka_load(&cpu->run_current, relaxed, section.own) - n >= cpu->window;
}

/* order_put for a frame that is not pushed at once. Leaves the section. */
void order_put_cold(struct ramka_cpu *cpu, uint32_t n, unsigned order);

/*
 * Puts a frame of order 1 to 10, number n of the home zone, whose slot is FREE, into its stack, a row or the
 * zone. Inside the section. False: the section was left on the way.
 */
static always_inline bool order_put(struct ramka_cpu *cpu, uint32_t n, unsigned order)
{
	struct ramka_atomic_u32 *count = &cache_of(cpu)->larger[order];
	uint32_t at = ramka_load(count, relaxed, section.own);

	if (unlikely(order < BLOCK_ORDER ? run_far(cpu, n) : ramka_load(&cpu->r->shut, relaxed, stat) != 0) ||
	    unlikely(at >= ramka_load(&cpu->order_max[order], relaxed, stat))) {
		order_put_cold(cpu, n, order);
		return false;
	}
	cache_of(cpu)->larger_frames[order_at(order) + at] = n;
	ramka_store(count, at + 1, relaxed, section.own);
	order_count_push(cpu);
	return true;
}

/*
 * Takes a frame out of the stack of an order, refilled if it is empty; inside the section: its number, or
 * false.
 */
bool order_get(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n);
/* The part of that which a stack serves, without a refill. */
static always_inline bool order_get_held(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n)
{
	uint32_t held = order_count(cpu, order);

	if (!held)
		return false;
	*ret_n = cache_of(cpu)->larger_frames[order_at(order) + held - 1];
	ramka_store(&cache_of(cpu)->larger[order], held - 1, relaxed, section.own);
	return true;
}

/*
 * The end of a refill by `n` frames of the home zone, ascending, 1 at least: the number of the first one,
 * which is handed out. The others, if there are any, become the stack, which is empty. Inside the section,
 * within a movement.
 */
static always_inline uint32_t order_fill(struct ramka_cpu *cpu, unsigned order, const uint32_t *bits,
					 uint32_t n)
{
	uint32_t *frames = cache_of(cpu)->larger_frames + order_at(order);

	for (uint32_t i = 0; i + 1 < n; i++) { /* popped in ascending order */
		frames[i] = bits[n - 1 - i] - cpu->zone->low;
		__builtin_prefetch(cpu_slot(cpu, frames[i]), 1);
	}
	if (n > 1)
		ramka_store(&cache_of(cpu)->larger[order], n - 1, relaxed, section.own);
	account_zone(cpu, cpu->zone, (int64_t)n << order, true);
	own_add(&cpu->uncached, (uint64_t)n << order);
	own_count_in(&cpu->larger_in, n);
	own_add(&cpu->refills, 1);
	return bits[0] - cpu->zone->low;
}

/*
 * All stacks go to the zone; inside the section or while the CPU is stopped. The caller counts the movement.
 */
void order_flush_all(struct ramka_cpu *cpu);

#endif
