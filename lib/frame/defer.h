/* SPDX-License-Identifier: MIT */
/*
 * Deferred reclaim: frames whose last reference is gone and that readers may still look at. Called by frame.c,
 * unique.c, segment.c (defer_frame) and by requests that are about to fail; calls the grace-period backend and drop.c.
 *
 * States of a frame: DEFERRED(link) in an open bag, a sealed bag or the shared stack; the link chains it, metadata
 * and content are as they were. BUSY once its grace period is over and it is being freed.
 *
 * Open bag: per CPU, private (section). At 64 frames it is sealed with a cookie and joins the CPU's ring; with
 * the ring full it grows. The owner polls the oldest bag when it seals, when its cache is empty and in
 * ramka_reclaim. A request that is about to fail seals and polls every CPU that it can stop (the revoke protocol of
 * cpu.h); ramka_reclaim that may wait takes all bags.
 *
 * Shared stack: for callers without a section (nested, revoked, cache-less). Push by CAS (release), take all by
 * exchange (acquire) into its open bag; the snapshot comes after the exchange, so it covers every frame taken. Whoever seals
 * or polls does, and who opens a bag while a bagful waits there.
 *
 * Races: frames on their way from a bag into the allocator are on nobody's list; they belong to the thread that
 * frees them. Pair: defer.shared.
 */
#ifndef RAMKA_LIB_DEFER_H
#define RAMKA_LIB_DEFER_H

#include "../cpu/section.h"

#define BAG_SIZE 64u
#define RING_SIZE 16u

/* A chain of frames: slot + 1 of the newest and of the oldest; 0 empty. */
struct chain {
	uint64_t head, tail;
	uint64_t frames; /* base frames */
	uint32_t nr;
};

struct bag {
	struct chain chain;
	uint64_t cookie;
	uint64_t seal;   /* number of this seal on its CPU */
};

struct defer {
	RAMKA_ALIGNAS(64) struct chain open;
	struct bag ring[RING_SIZE];
	uint32_t oldest, nr;
	struct ramka_atomic_u64 frames; /* base frames that wait on this CPU */
	struct ramka_atomic_u64 peak;
	struct ramka_atomic_u64 seals;  /* bags sealed, ever */
	struct ramka_atomic_u64 reaped; /* number of the last bag freed */
};

/* Takes over a frame without references: 0 or RAMKA_PRESSURE. */
int defer_frame(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info);

/* Frees the bags of this CPU that have elapsed; false if there were none. */
bool defer_poll(struct ramka_cpu *cpu);
/* Seals every open bag, the shared stack included, and frees what has elapsed, on any CPU that can be stopped. */
bool defer_poll_all(struct ramka_cpu *cpu);
/* Waits a bounded time for everything deferred so far and frees it; false: nothing was freed. */
bool defer_wait_bounded(struct ramka_cpu *cpu);

/* The CPU's frames go to the shared stack. */
void defer_offline(struct ramka_cpu *cpu);

/* Base frames that wait. */
uint64_t defer_count(const struct ramka *r);

#endif
