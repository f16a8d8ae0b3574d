/* SPDX-License-Identifier: MIT */
/*
 * Counting: what is in use, what moved, how low memory is. May use section.h, depot.h.
 *
 * No memory. Each CPU counts every put and every movement of frames inside its section, before and after it;
 * calls without a section count in the instance. A request drains all CPUs and passes over the block entries.
 * It fails if all these counts are equal before and after, and no CPU was left alone. Else the pass repeats,
 * a bounded number of times. So the answer is exact when no other call is in progress.
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
 * A pass that saw the first half of a movement also sees the count before it, since taking a frame is a
 * release or a locked operation, which the pass reads with acquire. Pair: nomem.collect.
 */
#ifndef RAMKA_LIB_CPU_ACCOUNT_H
#define RAMKA_LIB_CPU_ACCOUNT_H

#include "section.h"

/* A number below STRIPES that mostly differs between threads, since their stacks do. */
static inline unsigned stripe_number(void)
{
	char here;

	return (unsigned)(((uintptr_t)&here >> 13) * 0x9e3779b97f4a7c15u >> 32) % STRIPES;
}

/* Brings `peak` up to date, inside the section or at quiescence. */
void cpu_settle(struct ramka_cpu *cpu);
/* n base frames left the zone, or came back if n < 0. `inside`: the caller is in the CPU's own section. */
void account_zone(struct ramka_cpu *cpu, struct zone *z, int64_t n, bool inside);
/* A zone handed out one frame of `nr` base frames. */
void account_alloc(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, bool inside);
/* A range is `nr` frames, of which account_alloc counted one. */
void account_rest(struct ramka_cpu *cpu, uint64_t nr);
/* A drainer without a section kept one base frame for its caller. */
void account_kept(struct ramka *r);
/* A frame in use became `nr` frames, or so many became one. */
void account_split(struct ramka *r, uint64_t nr);
void account_joined(struct ramka *r, uint64_t nr);
/* A base frame that was handed out is given back, and leaves since it is broken. Outside of the section. */
void account_broken(struct ramka_cpu *cpu);
/*
 * The CPU's part of what is free in its zone, by the zone's estimate, inside the section. Also sets the steps
 * in which the CPU tells. Where the part is less than `doubt`, what CPUs have not told is taken into account;
 * the CPU asks the others for it once in as many looks as there are CPUs.
 */
uint64_t account_part(struct ramka_cpu *cpu, uint64_t estimate, uint64_t doubt);
/* A movement of frames begins or ends. */
void count_move(struct ramka_cpu *cpu, bool inside);
/* All movements so far. */
uint64_t account_moves(const struct ramka *r);
/* Those of them that are between caches and zones. Reads no line that a cache hit writes. */
uint64_t account_transfers(const struct ramka *r);
/*
 * Calls cfg.low_memory if the free frames of the instance fell below the low watermark, or those of zone
 * `z` below its part of it; cfg.enough_memory if they rose above the high watermark since. Outside
 * sections; a few loads. The number of free frames is exact but for what other CPUs have not told their
 * zone yet: less than a quarter of the distance to the watermark when they looked last, all CPUs together.
 */
void account_low_memory(struct ramka_cpu *cpu, struct zone *z);
/* The same where frames came back. */
static inline void account_more_memory(struct ramka_cpu *cpu, struct zone *z)
{
	if (unlikely(ramka_load(&cpu->r->is_low, relaxed, low.telling) ||
		     ramka_load(&z->is_low, relaxed, low.telling)))
		account_low_memory(cpu, z);
}

/*
 * Of `nr` base frames those that a request without RAMKA_ALLOC_RESERVE may take out of the zones now. As
 * exact as the number of free frames above.
 */
uint64_t account_above_min(const struct ramka_cpu *cpu, uint64_t nr);
static inline uint64_t account_spare(const struct ramka_cpu *cpu, uint64_t nr)
{
	return likely(!ramka_load(&cpu->r->min_mark, relaxed, stat)) ? nr : account_above_min(cpu, nr);
}

/*
 * The counters of a call without a section. The caller's stack selects them, so each thread mostly has a line
 * of its own.
 */
static inline struct stripe *stripe_of(struct ramka *r)
{
	return &r->stripes[stripe_number()];
}

#endif
