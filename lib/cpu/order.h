/* SPDX-License-Identifier: MIT */
/*
 * Caches of frames of orders 1 to 10: a small stack for each order. May use row.h. The stack of order 0
 * holds base frames for requests that last (lasting.h); it is counted and flushed here with the others.
 *
 * Legend   fast    order_pop, order_push: the frame's number and its order's count; no locked operation
 *          cold    the gate refuses the frame (orders 1 to 6: to a row; 7 and 8: to the zone), or the stack
 *                  is full: half of it goes to the zone
 *          refill  the stack is empty: up to half a stack out of one block, or up to four whole blocks, by
 *                  few locked operations
 *          slow    request.h
 *
 * Gate. A freed frame of order 1 to 8 is cached only if its block is the one that refills these orders, or
 * nearly full. Else the frame that was freed last would be handed out again at once, and sparse blocks would
 * never drain. Orders 9 and 10 are whole blocks and need no gate, but those of a shut
 * block go back to it.
 */
#ifndef RAMKA_LIB_CPU_ORDER_H
#define RAMKA_LIB_CPU_ORDER_H

#include "account.h"

/* Where the stack of an order begins in larger_frames; the entry behind it is where it ends. */
static inline unsigned order_at(unsigned order)
{
	static const uint8_t at[TOP_ORDER + 2] = { 0, 32, 64, 96, 128, 144, 160, 176, 184, 192, 200, 208 };

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
/* Bounds that follow from `share`, the base frames of memory per CPU. */
void order_set_bounds(struct ramka *r, uint64_t share);

/* A frame of order 1 to 10, its slot unchanged, or NULL: none there, or the section cannot be entered. */
static inline struct ramka_frame *order_pop(struct ramka_cpu *cpu, unsigned order)
{
	struct ramka_frame *f = NULL;
	uint32_t count;

	if (!section_enter(cpu))
		return NULL;
	count = order_count(cpu, order);
	if (count) {
		f = cpu_slot(cpu, cache_of(cpu)->larger_frames[order_at(order) + count - 1]);
		ramka_store(&cache_of(cpu)->larger[order], count - 1, relaxed, section.own);
	}
	section_leave(cpu);
	return f;
}

/*
 * Frees a frame of order 1 to 10, number n of the home zone. False, nothing done: the section cannot be
 * entered.
 */
bool order_push(struct ramka_cpu *cpu, struct ramka_frame *f, uint32_t n, unsigned order);

/*
 * Takes a frame out of the stack of an order, refilled if it is empty; inside the section: its number, or
 * false.
 */
bool order_get(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n);
/*
 * All stacks go to the zone; inside the section or while the CPU is stopped. The caller counts the movement.
 */
void order_flush_all(struct ramka_cpu *cpu);

#endif
