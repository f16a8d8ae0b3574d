/* SPDX-License-Identifier: MIT */
/*
 * The birth and the end of a frame: what happens between the allocator's FREE slot and a handle. Called by
 * frame.c, unique.c, segment.c, pt.c and defer.c; calls lib/cpu and on_drop.
 *
 * The end. The call that gave up the last reference owns the frame: SHARED(0) -> BUSY -> on_drop -> FREE -> cache. No state
 * on the way can be claimed by address. on_drop runs outside any section; without one BUSY is left out.
 *
 * No recursion. `pending` of the handle is 0 (nobody runs), 1 (somebody runs, nothing waits) or a slot + 2:
 * the head of the BUSY frames that wait. A drop that finds somebody running pushes its frame and returns;
 * the runner takes all by exchange and leaves by CAS 1->0, which fails if one was pushed meanwhile. Only the CPU's
 * thread and handlers on top of it touch it. The cache-less handle has many threads: its drops get a handle of
 * their own on the stack.
 * Pair: drop.pending (push release, take acquire).
 */
#ifndef RAMKA_LIB_DROP_H
#define RAMKA_LIB_DROP_H

#include "../cpu/cache.h"

/* Metadata, content and info of a slot that the caller owns (FREE or BUSY). The state word comes after, by the caller. */
void frame_build(const struct ramka *r, struct ramka_frame *f, const struct type_entry *e, const void *meta,
		 unsigned order, unsigned flags, bool zero);

/*
 * The caller owns the frame, its last reference is gone and no reader looks at it any more: runs on_drop if the type has one,
 * then takes the frame back. Every end goes through here, but for the two inlined lines of ramka_frame_put and
 * ramka_unique_free, which are the same for a base frame of a plain type.
 */
void frame_end(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info);

/* The same without on_drop: the frame returns to where it came from, to the allocator or to UNUSED. */
void frame_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info);

/* Runs the type's on_drop, if any. */
void frame_drop_meta(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info);

#endif
