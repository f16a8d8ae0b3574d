/* SPDX-License-Identifier: MIT */
/*
 * Draining: everything that CPUs hold goes back to the zones. May use row.h, depot.h.
 */
#ifndef RAMKA_LIB_CPU_DRAIN_H
#define RAMKA_LIB_CPU_DRAIN_H

#include "account.h"
#include "depot.h"

/* Everything that can be had into the zones; false: some CPU was left alone. *mine: movements counted on the way. */
bool cpu_drain_all(struct ramka *r, struct ramka_cpu *self, uint64_t *mine);
/* Empties the CPU's own cache, its shard and its mailbox into the zones, as far as it is not inside a call. Other CPUs may
 * adopt its territories then. */
void cpu_drain_own(struct ramka_cpu *cpu);
/* Frames of a CPU's shard and mailbox into the zone. Counts its movements in the instance: it may run on any CPU. */
void drain_shard(struct ramka *r, unsigned shard, uint64_t *mine);

#endif
