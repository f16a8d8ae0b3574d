/* SPDX-License-Identifier: MIT */
/*
 * Requests that the cache does not serve: other orders, other zones, ranges, limits on the address, and the
 * last resort before "no memory". May use account.h, order.h, lean.h, lasting.h, drain.h.
 */
#ifndef RAMKA_LIB_CPU_REQUEST_H
#define RAMKA_LIB_CPU_REQUEST_H

#include "account.h"

/* Any request that the cache did not serve: a slot in state FREE that is the caller's, or NULL. */
struct ramka_frame *cpu_alloc_slow(struct ramka_cpu *cpu, struct ramka_request req);
/* Gives a frame of any order and zone to the allocator; its slot is FREE. False: it was free already. */
bool cpu_free_slow(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order);

/* Can a zone ever have `nr` frames where the request wants them? */
bool request_possible(const struct ramka_cpu *cpu, const struct ramka_request *req, uint64_t nr);

/* `nr` contiguous base frames: the slot of the first, or NULL. */
struct ramka_frame *cpu_alloc_range(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req);

#endif
