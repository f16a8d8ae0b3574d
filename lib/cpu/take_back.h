/* SPDX-License-Identifier: MIT */
/*
 * The way by which any frame comes back to the allocator: cache, stack of its order, row or zone. May use
 * cache.h, order.h, row.h, request.h.
 *
 * Inlined, without a call, for a frame of the home zone whose type wants nothing done at its end
 * (cpu_take_back_inside and those that use it). What these leave comes to cpu_take_back.
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
 * Frees number n of the home zone, whose slot f belongs to the caller, and leaves the section. False, nothing
 * done and still inside: it is no base frame, or a free has more to do. The info word is read inside the
 * section, so a CPU that sets a flag there and then stops this one knows that the flag is seen
 * (frame/broken.h).
 */
static always_inline bool cpu_free_inside(struct ramka_cpu *cpu, struct ramka_frame *f, uintptr_t n)
{
	if (unlikely(!info_is_plain(slot_info(f))))
		return false;
	if (cpu_take_back_inside(cpu, f, n, 0))
		section_leave(cpu);
	return true;
}

/* The same for a frame of order 1 to 10. */
static always_inline bool cpu_free_larger_inside(struct ramka_cpu *cpu, struct ramka_frame *f, uintptr_t n)
{
	uint64_t order = info_bare_order(slot_info(f));

	if (unlikely(order - 1 >= TOP_ORDER))
		return false;
	if (likely(cpu_take_back_inside(cpu, f, n, (unsigned)order)))
		section_leave(cpu);
	return true;
}

/*
 * Takes back the frames of a chain (slot.h), from link *head on and at most `most`, up to the first one that
 * is not of order 0 to 10, of the home zone and of a type that wants nothing done; how many. *head is the
 * rest. The frames belong to the caller, and no reader looks at them any more. Inside the section; leaves it.
 */
uint32_t cpu_take_back_chain(struct ramka_cpu *cpu, uint64_t *head, uint32_t most);

/*
 * Takes back a frame of any order and zone. The frame belongs to the caller, and no reader looks at it any
 * more. Its slot becomes FREE, and it goes to the cache, to a row or to its zone. A frame that is free in its
 * zone's bitmap already is reported, in the name of the public function `operation`. False: a part of the
 * frame is broken, and the frame is still the caller's.
 */
bool cpu_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation);

#endif
