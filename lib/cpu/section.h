/* SPDX-License-Identifier: MIT */
/*
 * The section: how a CPU uses its own state without a locked operation, and how another CPU stops it to take
 * what it holds. May use state.h. Everything in lib/cpu and lib/frame/defer.c that touches a CPU's private
 * state does so inside a section.
 *
 * One thread at a time uses a CPU. Interrupts, NMIs and signals on that thread may nest.
 *
 *   enter   If active is 1, the call is nested, or the handle is the cache-less one, which is always active;
 *           it takes the cache-less path. Else active = 1, compiler barrier, load revoked (acquire). If
 *           revoked is set: active = 0 (release), and the call takes the cache-less path
 *   leave   active = 0 (release)
 *   stop    by another CPU, the drainer: CAS revoked 0 -> 1 (acquire); barrier_all_cpus. If active is
 *           still 1, the drainer leaves the CPU alone; else it takes what the CPU holds. In both cases
 *           revoked = 0 (release)
 *
 * The owner executes no read-modify-write and no fence. The barrier falls either before the owner's load of
 * revoked, which then sees 1, or after it. Then it also falls after active = 1, which the drainer then sees.
 * If the barrier declines, the drainer takes nothing. A handler between the load of `active` and the store
 * runs a section of its own.
 *
 *   States of a CPU      active   revoked
 *   idle                    0        0
 *   inside a call           1        0
 *   inside, to be left      1        1     the drainer finds it active and leaves it alone
 *   stopped                 0        1     the drainer owns what the CPU holds
 *
 *   owner                               drainer
 *   --------------------------------    --------------------------------------
 *   active = 1
 *   (compiler barrier)
 *                                       revoked: 0 -> 1
 *                                       barrier_all_cpus ----+
 *   load revoked -> 1   <---------------- either it sees 1  -+
 *   active = 0                                               |
 *   (cache-less path)                                        |
 *                       ----- or active = 1 is visible here -+
 *                                       load active -> 1: leave alone, revoked = 0
 *
 * One barrier serves up to 64 CPUs: the drainer revokes them, executes the barrier, then takes from one after
 * the other and gives each back at once. A drainer that is stopped half-way therefore holds what up to 64
 * CPUs hold; these CPUs go on without their caches meanwhile.
 *
 * Pairs: section.leave (active), section.revoke (revoked), with the asymmetric barrier in between.
 */
#ifndef RAMKA_LIB_CPU_SECTION_H
#define RAMKA_LIB_CPU_SECTION_H

#include "state.h"

/*
 * How often a call looks whether a drainer has given its CPU back; bounded, since the drainer may be stopped.
 */
#define GIVEN_BACK_TRIES 10000u

static inline bool section_enter(struct ramka_cpu *cpu)
{
	if (unlikely(ramka_load(&cpu->active, relaxed, section.own)))
		return false;
	ramka_store(&cpu->active, 1, relaxed, section.leave);
	ramka_compiler_barrier();
	if (likely(!ramka_load(&cpu->revoked, acquire, section.revoke)))
		return true;
	ramka_store(&cpu->active, 0, release, section.leave);
	return false;
}

static inline void section_leave(struct ramka_cpu *cpu)
{
	ramka_store(&cpu->active, 0, release, section.leave);
}

/* Adds to a counter that only the section's owner writes and every CPU may read. */
static inline void own_add(struct ramka_atomic_u64 *c, uint64_t n)
{
	ramka_store(c, ramka_load(c, relaxed, stat) + n, relaxed, stat);
}

/* The same, for frames that are there already where statistics look for them (inspect/stats.c). */
static inline void own_count_in(struct ramka_atomic_u64 *c, uint64_t n)
{
	ramka_store(c, ramka_load(c, relaxed, stat) + n, release, stat.held);
}

/*
 * Runs `take` on every CPU but `self` that can be stopped; false if one was left alone. `take` may touch all
 * that the CPU's own section may.
 */
bool cpu_for_each_stopped(struct ramka *r, struct ramka_cpu *self,
			  void (*take)(struct ramka_cpu *cpu, void *arg), void *arg);

#endif
