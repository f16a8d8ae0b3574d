/* SPDX-License-Identifier: MIT */
/*
 * The way by which any frame comes back to the allocator: cache, stack of its order, row or zone. May use
 * cache.h, order.h, request.h.
 *
 * The hot paths of lib/frame do the same without a call for a frame of the home zone whose type wants nothing
 * done at its end: cpu_free_inside (cache.h), order_push_inside (order.h). What these leave comes here.
 */
#ifndef RAMKA_LIB_CPU_TAKE_BACK_H
#define RAMKA_LIB_CPU_TAKE_BACK_H

#include "cache.h"
#include "order.h"

/*
 * Takes back a frame of order 0 to 10, number n of the home zone, inside the section; else as cpu_take_back.
 * False: it is taken back, and the section was left on the way. The caller has seen inside the section that
 * no part is broken, by info_bare_order for instance.
 */
static always_inline bool cpu_take_back_inside(struct ramka_cpu *cpu, struct ramka_frame *f, uintptr_t n,
					       unsigned order)
{
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	if (unlikely(order))
		return order_put(cpu, (uint32_t)n, order);
	if (likely(cpu_keep(cpu, n)))
		return true;
	cpu_free_cold(cpu, n);
	return false;
}

/*
 * Takes back a frame of any order and zone. The frame belongs to the caller, and no reader looks at it any
 * more. Its slot becomes FREE, and it goes to the cache, to a row or to its zone. A frame that is free in its
 * zone's bitmap already is reported, in the name of the public function `operation`. False: a part of the
 * frame is broken, and the frame is still the caller's.
 */
bool cpu_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation);

#endif
