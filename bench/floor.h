/* SPDX-License-Identifier: MIT */
/*
 * The floor: the least that an allocator with a slot per frame must do.
 *
 * A thread owns an array of frame numbers. Alloc pops a number, checks that the slot is free and writes the
 * slot; free checks that the slot is in use, writes it, and pushes the number. Nobody else can reach these
 * frames, nothing coalesces, nothing is counted. What a real allocator takes longer than this is the price
 * of what it can do more.
 *
 * The slot is also what the pools among the peers carry (DPDK's mempool, ck_stack, ck_ring), which have
 * none of their own, so that all of them write the same 16 bytes per frame.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 16 bytes, as ramka's: a state word, and a word with mark, type, order and flags, written as one. */
struct floor_slot {
	uint64_t ref;
	uint64_t info;
};

#define FLOOR_FREE	  0u
#define FLOOR_HELD	  1u
#define FLOOR_INFO(order) (UINT64_C(1) << 32 | (uint64_t)(order) << 48)

struct floor_cpu {
	uint32_t *numbers;
	uint64_t top;
	struct floor_slot *slots;
};

/* False: the slot of a frame that was said to be free is in use. */
static inline bool floor_slot_take(struct floor_slot *s, unsigned order)
{
	if (__builtin_expect(s->ref != FLOOR_FREE, 0))
		return false;
	s->ref = FLOOR_HELD;
	s->info = FLOOR_INFO(order);
	return true;
}

/* False: a double free. One owner: no read-modify-write. */
static inline bool floor_slot_drop(struct floor_slot *s)
{
	if (__builtin_expect(s->ref != FLOOR_HELD, 0))
		return false;
	s->ref = FLOOR_FREE;
	return true;
}

/* The same for a frame that may have several owners: one read-modify-write. */
static inline bool floor_slot_put(struct floor_slot *s)
{
	return __builtin_expect(__atomic_fetch_sub(&s->ref, 1, __ATOMIC_ACQ_REL) == FLOOR_HELD, 1);
}

static inline struct floor_slot *floor_alloc(struct floor_cpu *c, unsigned order)
{
	struct floor_slot *s;

	if (__builtin_expect(c->top == 0, 0))
		return NULL;
	s = &c->slots[c->numbers[--c->top]];
	return floor_slot_take(s, order) ? s : NULL;
}

static inline void floor_push(struct floor_cpu *c, struct floor_slot *s)
{
	c->numbers[c->top++] = (uint32_t)(s - c->slots);
}

#endif
