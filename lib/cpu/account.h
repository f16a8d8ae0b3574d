/* SPDX-License-Identifier: MIT */
/*
 * Counting: what is in use, what moved, how low memory is. May use section.h.
 *
 * No memory. Each CPU counts every put and every movement of frames inside its section, before and after it; calls without a
 * section count in the instance. A request fails after a drain of all CPUs and a pass over the block words, if all these
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

/* Brings `peak` up to date, inside the section or at quiescence. */
void cpu_settle(struct ramka_cpu *cpu);
/* Base frames left (n > 0) or came back to the zone. `inside`: the caller is in the CPU's own section. */
void account_zone(struct ramka_cpu *cpu, struct zone *z, int64_t n, bool inside);
/* A zone handed out one frame of `nr` base frames. */
void account_alloc(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, bool inside);
/* A range is `nr` frames, of which account_alloc counted one. */
void account_rest(struct ramka_cpu *cpu, uint64_t nr);
/* A movement of frames begins or ends. */
void count_move(struct ramka_cpu *cpu, bool inside);
/* All movements so far. */
uint64_t account_moves(const struct ramka *r);
/* Calls cfg.low_memory when the free frames are below the watermark. Outside sections. */
void account_low_memory(struct ramka *r);

#endif
