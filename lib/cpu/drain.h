/* SPDX-License-Identifier: MIT */
/*
 * Draining: everything that CPUs hold goes back to the zones. May use account.h, depot.h, row.h, gate.h,
 * mail.h, order.h, lean.h.
 *
 * A request that is about to fail drains all CPUs. Many requests may fail at a time, and each drain costs
 * other CPUs their caches. So a request that finds a drain in progress scans the zones a few times before it
 * drains too. Mostly that drain has emptied all caches by then, so the request's own drain finds nothing and
 * needs no barrier. A drainer that is stopped delays other requests and does not block them.
 *
 * The drainer of a request for base frames keeps the first frame that it meets, so that other CPUs cannot
 * take all of them from the zone before it looks there.
 *
 * Blocks that were shut (zone/bitmap.h). A CPU that is drained forgets them, and asks its gates again, so
 * from then on it caches no frame of them. A drain of every CPU therefore ends with what the CPUs held of
 * these blocks in the bitmap, and it stays there.
 *
 * Pair: drain.count, which orders nothing.
 */
#ifndef RAMKA_LIB_CPU_DRAIN_H
#define RAMKA_LIB_CPU_DRAIN_H

#include "account.h"
#include "depot.h"

/* What a drain is for, and what came of it. */
struct drain {
	uint64_t mine;                    /* movements that the drainer counted on its way */
	/* is frame n of the holder's zone wanted? */
	bool (*wants)(const struct ramka_cpu *holder, uint32_t n, const void *arg);
	const void *arg;
	struct ramka_frame *got;          /* the first one, which is the caller's; NULL */
	/* stops CPUs that hold nothing too: afterwards none takes from a block that was shut before */
	bool every;
};

/* Moves everything that CPUs hold to the zones. False: some CPU was left alone. */
bool cpu_drain_all(struct ramka *r, struct ramka_cpu *self, struct drain *d);
/* Is a drain of all CPUs on its way? */
bool drain_running(const struct ramka *r);
/* Base frames in the CPU's cache, rows, stacks and outbox. */
uint64_t cpu_held(const struct ramka_cpu *cpu);
/* The approximate number of base frames that all CPUs hold outside the zones, in shards and mailboxes too. */
uint64_t drainable(const struct ramka *r);

/*
 * Empties the CPU's own cache, its shard and its mailbox into the zones, if the CPU is not inside a call.
 * Other CPUs may then adopt its territories.
 */
void cpu_drain_own(struct ramka_cpu *cpu);
/*
 * Moves the frames of a CPU's shard and mailbox to the zone. Counts its movements in the instance, since it
 * may run on any CPU.
 */
void drain_shard(struct ramka *r, unsigned shard, struct drain *d);

#endif
