/* SPDX-License-Identifier: MIT */
/*
 * A CPU's cache and its section. May touch: its CPU, the depot, the zones. Called by frame.c, unique.c, segment.c,
 * defer.c with slots; everything below is bits.
 *
 * Section. One thread at a time uses a CPU; interrupts, NMIs and signals on that thread may nest.
 *   enter   active is 1 already: nested (or the cache-less handle, which is always active): cache-less path.
 *           Else active = 1, compiler barrier, load revoked (acquire). Revoked: active = 0, cache-less path.
 *   leave   active = 0 (release)
 *   drain   by another CPU: CAS revoked 0->1 (acquire); barrier_all_cpus; active still 1: leave it alone; else
 *           take what it holds; revoked = 0 (release), also when it was left alone.
 * No read-modify-write and no fence on the owner's side. The barrier falls either before the owner's load of
 * revoked, which then sees 1, or after it, hence after active = 1, which the drainer then sees. A barrier that
 * declines means no take-over. A handler between the load of `active` and the store runs a section of its own.
 *
 * States of a CPU: idle (active 0), inside (1), revoked (a drainer owns the cache while active is 0).
 * Pairs: section.leave (active), section.revoke (revoked), asymmetric barrier in between.
 *
 * What a CPU holds, all private: frames[0..count); rows: frames of one bitmap word each that wait to be freed
 * together, one open and up to sixteen closed; its bags (defer.c). Its shard of the depot is shared.
 *
 * Gate. Caching every freed frame destroys contiguity. A put caches a frame only if its block is the one that
 * the CPU allocates from or nearly full; others go to a row, so that sparse blocks drain. Frames of order 1 to 6 always do; a
 * request of that order is served out of the rows if one lies there, else a whole word of the block at hand becomes a row.
 *
 * No memory. Each CPU counts every put and every movement of frames inside its section, before and after it; others
 * count in the instance. An order-0 request fails after draining all and a pass over the block words, if all
 * counters are equal before and after and no CPU was left alone; else the pass repeats, a bounded number of
 * times. So it is exact when no other call is in progress.
 */
#ifndef RAMKA_LIB_CPU_H
#define RAMKA_LIB_CPU_H

#include "instance.h"

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

/* Counters that only the section's owner writes and anybody may read. */
static inline void own_add(struct ramka_atomic_u64 *c, uint64_t n)
{
	ramka_store(c, ramka_load(c, relaxed, stat) + n, relaxed, stat);
}

/* ---- slow paths, cpu.c ---- */

/* The cache may be empty: refills it from depot and zone and takes one. NULL: nothing to be had there, or no section. */
struct ramka_frame *cpu_alloc_refill(struct ramka_cpu *cpu);
/* The rest of cpu_free when the gate refuses the frame or the cache is full. Inside the section; leaves it. */
void cpu_free_cold(struct ramka_cpu *cpu, uint32_t n);

/* A frame of order 1 to 6 out of the rows, its slot unchanged, or NULL: none there, or no section. */
struct ramka_frame *cpu_alloc_run(struct ramka_cpu *cpu, unsigned order);

/* Any request that the cache did not serve: a slot in state FREE that is the caller's, or NULL. */
struct ramka_frame *cpu_alloc_slow(struct ramka_cpu *cpu, struct ramka_request req);
/* Frees a frame of order 1 to 6, number n of the home zone, to a row. False, nothing done: no section to be had. */
bool cpu_free_run(struct ramka_cpu *cpu, struct ramka_frame *f, uint32_t n, unsigned order);
/* Gives a frame of any order and zone to the allocator; its slot is FREE. False: it was free already. */
bool cpu_free_slow(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order);

/* Takes exactly this FREE base frame: bitmap, own cache, depot. 0, RAMKA_E_IN_USE (a tail), RAMKA_E_BUSY. */
int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f);

/* `nr` contiguous base frames: the slot of the first, or NULL. */
struct ramka_frame *cpu_alloc_range(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req);
void cpu_free_range(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr);

/* Everything that can be had into the zones; false: some CPU was left alone. *mine: movements counted on the way. */
bool cpu_drain_all(struct ramka *r, struct ramka_cpu *self, uint64_t *mine);
/* Empties the CPU's own cache and its shard into the zones, as far as it is not inside a call. */
void cpu_drain_own(struct ramka_cpu *cpu);
/* Frames that wait in rows. */
uint32_t cpu_in_rows(const struct ramka_cpu *cpu);
/* Brings `peak` up to date, inside the section or at quiescence. */
void cpu_settle(struct ramka_cpu *cpu);

/*
 * Runs `take` on every CPU but `self` that can be stopped; false if one was left alone. What `take` may touch
 * of the CPU is what a section may.
 */
bool cpu_for_each_stopped(struct ramka *r, struct ramka_cpu *self, void (*take)(struct ramka_cpu *cpu, void *arg), void *arg);

/* ---- the two hot paths ---- */

static inline uint32_t cpu_count(const struct ramka_cpu *cpu)
{
	return HOT_COUNT(ramka_load(&cpu->hot, relaxed, section.own));
}

/* Frame number n of the home zone. */
static inline struct ramka_frame *cpu_slot(const struct ramka_cpu *cpu, uint32_t n)
{
	return (struct ramka_frame *)(cpu->slots + ((uintptr_t)n << SLOT_SHIFT));
}

/*
 * A base frame out of the cache; false: then cpu_alloc_refill. Also false, and the frame stays, if its state word is
 * not FREE: cpu_alloc_refill takes it, and the caller there has to look.
 */
static inline bool cpu_alloc(struct ramka_cpu *cpu, struct ramka_frame **ret_f)
{
	struct ramka_frame *f;
	uint64_t hot;

	if (unlikely(!section_enter(cpu)))
		return false;
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	if (unlikely(!HOT_COUNT(hot)))
		goto miss;
	f = cpu_slot(cpu, cache_of(cpu)->frames[(size_t)HOT_COUNT(hot) - 1]);
	if (unlikely(slot_ref(f) != REF_FREE))
		goto miss;
	ramka_store(&cpu->hot, hot - 1, relaxed, section.own);
	section_leave(cpu);
	*ret_f = f;
	return true;
miss:
	section_leave(cpu);
	return false;
}

/* The number of a slot in the home zone of the CPU, if range and alignment say that it is one. */
static inline bool cpu_home(const struct ramka_cpu *cpu, const struct ramka_frame *f, uint32_t *ret_n)
{
	uintptr_t off = (uintptr_t)f - cpu->slots;
	uintptr_t n = off >> SLOT_SHIFT | off << (sizeof(off) * 8 - SLOT_SHIFT); /* a misaligned one becomes huge */

	*ret_n = (uint32_t)n;
	return n < cpu->span;
}

/*
 * Frees base frame n of the home zone, whose slot is f and the caller's: cache, row or zone. False, nothing done:
 * no section to be had, the cache-less path must take it.
 */
static inline bool cpu_free(struct ramka_cpu *cpu, struct ramka_frame *f, uint32_t n)
{
	uint64_t hot;

	if (unlikely(!section_enter(cpu)))
		return false;
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	if (n - cpu->current >= BLOCK_FRAMES || unlikely(HOT_COUNT(hot) == CACHE_SIZE)) {
		if (n - cpu->row >= WORD_BITS) {
			cpu_free_cold(cpu, n);
			return true;
		}
		ramka_store(&cpu->row_mask, ramka_load(&cpu->row_mask, relaxed, section.own) | (uint64_t)1 << (n - cpu->row),
			    relaxed, section.own);
		ramka_store(&cpu->hot, hot + HOT_PUSH, release, nomem.collect); /* see count_row_pushes */
		section_leave(cpu);
		return true;
	}
	if (unlikely(HOT_COUNT(hot) < HOT_LEAST(hot)))
		hot = (hot & ~(uint64_t)0xff00) | HOT_COUNT(hot) << 8;
	cache_of(cpu)->frames[HOT_COUNT(hot)] = n;
	ramka_store(&cpu->hot, hot + HOT_PUSH + 1, relaxed, section.own);
	section_leave(cpu);
	return true;
}

#endif
