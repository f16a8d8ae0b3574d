/* SPDX-License-Identifier: MIT */
/* Where a frame goes that the cache does not take. See take_back.h. */
#include "../zone/report.h"
#include "order.h"
#include "request.h"
#include "take_back.h"

noinline bool cpu_take_back_slow(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order,
				 const char *operation)
{
	uintptr_t n;

	if (likely(order - 1 < TOP_ORDER) && cpu_home(cpu, f, &n) && order_push(cpu, f, n, order))
		return true;
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	if (unlikely(slot_last_info(f) & INFO_BROKEN))
		return false;
	if (!cpu_free_slow(cpu, f, order))
		instance_bug(cpu->r, operation, "the frame is free in the bitmap already", f, REF_FREE);
	return true;
}
