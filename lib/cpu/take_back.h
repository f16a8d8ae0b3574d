/* SPDX-License-Identifier: MIT */
/*
 * The way by which any frame comes back to the allocator: cache, stack of its order, row or zone. May use
 * cache.h, order.h, request.h.
 *
 * The hot paths of lib/frame do the same without a call for frames of the home zone whose type wants nothing
 * done at their end: cpu_free_inside (cache.h), order_push_inside (order.h), and for many frames in one
 * section cpu_keep and order_put. What these refuse comes here.
 */
#ifndef RAMKA_LIB_CPU_TAKE_BACK_H
#define RAMKA_LIB_CPU_TAKE_BACK_H

#include "cache.h"

/* cpu_take_back for frames that the cache of base frames does not take. */
bool cpu_take_back_slow(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation);

/*
 * Takes back a frame of any order and zone. The frame belongs to the caller, and no reader looks at it any
 * more. Its slot becomes FREE, and it goes to the cache, to a row or to its zone. A frame that is free in its
 * zone's bitmap already is reported, in the name of the public function `operation`. False: a part of the
 * frame is broken, and the frame is still the caller's.
 */
static inline bool cpu_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order,
				 const char *operation)
{
	uintptr_t n;

	if (likely(!order) && likely(cpu_home(cpu, f, &n)) && likely(cpu_free(cpu, f, n, LEAVE_BROKEN)))
		return true;
	return cpu_take_back_slow(cpu, f, order, operation);
}

#endif
