/* SPDX-License-Identifier: MIT */
/*
 * Counting: what is in use, what moved, how low memory is. May use section.h.
 *
 * No memory. Each CPU counts every put and every movement of frames inside its section, before and after it; calls without a
 * section count in the instance. A request fails after a drain of all CPUs and a pass over the block entries, if all these
 * counts are equal before and after and no CPU was left alone; else the pass repeats, a bounded number of times. So the
 * answer is exact when no other call is in progress.
 *
 *   CPU that moves a frame                 CPU that is about to say "no memory"
 *   -----------------------------------    -------------------------------------------
 *                                          before = sum of all counts (acquire)
 *   count (release)                        drain all CPUs
 *   take the frame out of A
 *                                          pass over A: not there any more
 *   ... the frame is nowhere ...
 *                                          pass over B: not there yet
 *   put the frame into B
 *   count (release)
 *                                          after = sum of all counts (acquire)
 *                                          after != before: the pass repeats
 *
 * A pass that saw the effect of a movement's first half also sees the count before it: the taking of a frame is a release
 * or a locked operation that the pass reads with acquire. Pair: nomem.collect.
 */
#ifndef RAMKA_LIB_CPU_ACCOUNT_H
#define RAMKA_LIB_CPU_ACCOUNT_H

#include "section.h"

/* A number below STRIPES that differs between threads, mostly, as their stacks do. */
static inline unsigned stripe_number(void)
{
	char here;

	return (unsigned)(((uintptr_t)&here >> 13) * 0x9e3779b97f4a7c15u >> 32) % STRIPES;
}

/* Brings `peak` up to date, inside the section or at quiescence. */
void cpu_settle(struct ramka_cpu *cpu);
/* Base frames left (n > 0) or came back to the zone. `inside`: the caller is in the CPU's own section. */
void account_zone(struct ramka_cpu *cpu, struct zone *z, int64_t n, bool inside);
/* A zone handed out one frame of `nr` base frames. */
void account_alloc(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, bool inside);
/* A range is `nr` frames, of which account_alloc counted one. */
void account_rest(struct ramka_cpu *cpu, uint64_t nr);
/* A drainer without a section kept one base frame for its caller. */
void account_kept(struct ramka *r);
/* A movement of frames begins or ends. */
void count_move(struct ramka_cpu *cpu, bool inside);
/* All movements so far. */
uint64_t account_moves(const struct ramka *r);
/*
 * Calls cfg.low_memory if the free frames of the instance are below the watermark, or those of the zone that was taken from
 * below its part of it. Outside sections; a few loads. The number of free frames is exact but for what other CPUs have not
 * told their zone yet: less than a quarter of the distance to the watermark when they looked last, all CPUs together.
 */
void account_low_memory(struct ramka_cpu *cpu, const struct zone *z);
/* Where a call without a section counts: by the caller's stack, so that each thread mostly has a line of its own. */
static inline struct stripe *stripe_of(struct ramka *r)
{
	return &r->stripes[stripe_number()];
}

#endif
