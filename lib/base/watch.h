/* SPDX-License-Identifier: MIT */
/*
 * Watched frames: what the diagnosis flags of a configuration add to the birth and the end of a frame. May
 * use clear.h, instance.h, mem.h.
 *
 * An instance is watched when one of RAMKA_TRACE, RAMKA_POISON, RAMKA_INIT_ON_FREE is set, or cfg.watch is.
 * Nothing is tested for that on a cache hit: no type is a CPU's plain type then, so that each allocation
 * takes the long way, and the info word of each frame has INFO_WATCHED, which the inlined ways of freeing do
 * not accept.
 *
 *   taken        a frame comes out of the allocator: watch.allocated is called, then the poison is looked at
 *   given up     its last reference goes: RAMKA_TRACE notes the caller
 *   freed        no reader is left and on_drop has run: its content is cleared or poisoned, then watch.freed
 *                is called
 *
 * A free base frame whose info word has INFO_WATCHED was poisoned by its last owner; one that was never
 * handed out was not. The words of a trace are relaxed: they say what happened, and order nothing. Pair:
 * stat.
 */
#ifndef RAMKA_LIB_BASE_WATCH_H
#define RAMKA_LIB_BASE_WATCH_H

#include "instance.h"

/*
 * Who did it, in one word:
 *
 *    63                      48 47                                   0
 *   +--------------------------+--------------------------------------+
 *   |         who (16)         |   low bits of the return address     |
 *   +--------------------------+--------------------------------------+
 *
 *   who      CPU + 1; 0: it never happened; RAMKA_NO_CPU: the cache-less handle; 0xfffe: a CPU whose number
 *            has no room, 65533 or above
 */
struct trace {
	struct ramka_atomic_u64 allocated, freed;
};

/* The address to which the public function returns: to be used in the public function itself. */
#define CALLER ((uintptr_t)__builtin_return_address(0))

/* Bytes of a trace for each base frame. */
static inline size_t watch_bytes(uint32_t flags)
{
	return flags & RAMKA_TRACE ? sizeof(struct trace) : 0;
}

/* Set-up and late memory: nothing has happened to these slots. */
void watch_forget(struct ramka *r, uint64_t slot, uint64_t nr);

/* A frame out of the allocator. False: its poisoned content was changed. */
bool watch_taken(const struct ramka *r, const struct ramka_frame *f, unsigned order);
/* Address of the first byte of a poisoned frame that is not poison, or 0. */
uintptr_t watch_changed(const struct ramka *r, const struct ramka_frame *f, unsigned order);
/*
 * A public function that returns to `caller` allocated `nr` base frames, or gave up the frame. `cpu`: its id,
 * or RAMKA_NO_CPU.
 */
void watch_note_allocated(struct ramka *r, const struct ramka_frame *f, uint64_t nr, unsigned cpu,
			  uintptr_t caller);
void watch_note_given_up(struct ramka *r, const struct ramka_frame *f, unsigned cpu, uintptr_t caller);
/* The frame is about to be FREE. */
void watch_freed(const struct ramka *r, struct ramka_frame *f, unsigned order);

/* What was noted of a base frame. */
struct ramka_history watch_history(const struct ramka *r, const struct ramka_frame *f);

#endif
