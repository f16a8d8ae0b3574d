/* SPDX-License-Identifier: MIT */
/*
 * The end of a frame: what happens between its last reference and the allocator's FREE slot. May use
 * broken.h, contracts.h.
 *
 * The call that gave up the last reference owns the frame: SHARED(0) -> BUSY -> on_drop -> FREE -> cache. No
 * state on the way can be claimed by address. on_drop runs outside any section. A type without an on_drop
 * needs no BUSY.
 *
 * No recursion. `pending` of the handle is 0 (no on_drop runs), 1 (one runs, nothing waits) or a slot + 2:
 * the head of the BUSY frames that wait. A drop that finds one running pushes its frame and returns; the
 * runner takes all by exchange and leaves by CAS 1->0, which fails if one was pushed meanwhile. The CPU's
 * thread, and handlers on top of it, change `pending`. On the cache-less handle any thread does, so another
 * thread that is inside an on_drop may do the drop. A call that runs an on_drop for its own purpose
 * (repurpose) takes the runner's part as well. Pair: drop.pending (push release, take acquire).
 */
#ifndef RAMKA_LIB_FRAME_DROP_H
#define RAMKA_LIB_FRAME_DROP_H

#include "../cpu/cache.h"

/*
 * Ends a frame that the caller owns, whose last reference is gone and which no reader looks at any more. Runs
 * on_drop if the type has one, then takes the frame back. Every end goes through here, except that puts,
 * frees and the reaper of bags hand frames whose type wants nothing done to the caches themselves
 * (cpu/take_back.h says by what). `operation`: the public function that is reported.
 */
void frame_end(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info, const char *operation);

/* The same without on_drop: the frame returns to where it came from, to the allocator or to UNUSED. */
void frame_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info, const char *operation);

/* The rest of that, for a frame that the allocator owns. What is broken of it does not go back. */
void frame_to_allocator(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation);

/*
 * The runner's part: begins, unless an on_drop of this handle runs already; ends after those that came to
 * wait meanwhile.
 */
bool drop_begin(struct ramka_cpu *cpu);
void drop_end(struct ramka_cpu *cpu, const char *operation);
/* Runs the type's on_drop, if any; the caller is the runner. */
void frame_drop_meta(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info);

#endif
