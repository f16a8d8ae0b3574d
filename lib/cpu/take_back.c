/* SPDX-License-Identifier: MIT */
/* Where a frame goes that the hot paths leave. See take_back.h. */
#include "../zone/report.h"
#include "request.h"
#include "take_back.h"

bool cpu_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation)
{
	uintptr_t n;

	if (likely(order <= TOP_ORDER) && likely(cpu_home(cpu, f, &n)) && likely(section_enter(cpu))) {
		bool broken = slot_info(f) & INFO_BROKEN;

		if (unlikely(broken) || likely(cpu_take_back_inside(cpu, f, n, order)))
			section_leave(cpu);
		if (likely(!broken))
			return true;
	}
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	if (unlikely(slot_last_info(f) & INFO_BROKEN))
		return false;
	if (!cpu_free_slow(cpu, f, order))
		instance_bug(cpu->r, operation, "the frame is free in the bitmap already", f, REF_FREE);
	return true;
}
