/* SPDX-License-Identifier: MIT */
/*
 * Draining: everything that CPUs hold goes back to the zones. May use row.h, order.h, mail.h, depot.h.
 *
 * A request that is about to fail drains all CPUs. Many may fail at a time, and each drain costs the others their caches. So
 * a request that finds a drain on its way scans the zones a few times before it drains too: mostly that drain has emptied
 * all caches then, and the request's own drain finds nothing and needs no barrier. A drainer that is stopped delays the
 * others and does not hinder them.
 *
 * The drainer of a request for base frames keeps the first frame that it meets, so that other CPUs cannot take all of them
 * from the zone before it looks there.
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
	bool (*wants)(const struct ramka_cpu *holder, uint32_t n, const void *arg); /* is frame n of the holder's zone wanted? */
	const void *arg;
	struct ramka_frame *got;          /* the first one, which is the caller's; NULL */
};

/* Everything that can be had into the zones; false: some CPU was left alone. */
bool cpu_drain_all(struct ramka *r, struct ramka_cpu *self, struct drain *d);
/* Is a drain of all CPUs on its way? */
bool drain_running(const struct ramka *r);
/* Base frames that other CPUs hold outside the zones, about. */
uint64_t drainable(const struct ramka *r);

/*
 * Empties the CPU's own cache, its shard and its mailbox into the zones, as far as it is not inside a call. Other CPUs may
 * adopt its territories then.
 */
void cpu_drain_own(struct ramka_cpu *cpu);
/* Frames of a CPU's shard and mailbox into the zone. Counts its movements in the instance: it may run on any CPU. */
void drain_shard(struct ramka *r, unsigned shard, struct drain *d);

#endif
