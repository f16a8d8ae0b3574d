/* SPDX-License-Identifier: MIT */
/* Where a frame goes that the hot paths leave. See take_back.h. */
#include "../zone/report.h"
#include "request.h"
#include "row.h"
#include "take_back.h"

/* ---- chains ---- */

/*
 * The order of frame n of a chain, if it is of the home zone and nothing is asked of it but that it was
 * deferred; else a number above TOP_ORDER.
 */
static always_inline uint64_t ripe_order(const struct ramka_cpu *cpu, uintptr_t n)
{
	if (unlikely(n >= cpu->span))
		return UINT64_MAX;
	return info_bare_order(slot_info(cpu_slot(cpu, n)) & ~(uint64_t)INFO_RCU);
}

/* The frame behind n. `zero`: the link of frame 0. */
static always_inline uintptr_t frame_behind(const struct ramka_cpu *cpu, uintptr_t n, uint64_t zero)
{
	return ref_link(slot_ref(cpu_slot(cpu, n))) - zero;
}

/*
 * As cpu_keep, for base frames that the gate lets into the cache, up to the first other one; how many. The
 * hot word is stored once.
 */
static always_inline uint32_t keep_chain(struct ramka_cpu *cpu, uintptr_t *n, uint64_t zero, uint32_t most)
{
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);
	uint32_t current = ramka_load(&cpu->current, relaxed, section.own), window = cpu->window;
	uint32_t room = cpu->most > HOT_COUNT(hot) ? cpu->most - HOT_COUNT(hot) : 0, nr;
	uint32_t *begin = cache_of(cpu)->frames + HOT_COUNT(hot), *at;
	const uint32_t *end = begin + (most < room ? most : room);

	for (at = begin; at != end && !ripe_order(cpu, *n) && current - (uint32_t)*n < window; at++) {
		uintptr_t next = frame_behind(cpu, *n, zero);

		ramka_store(&cpu_slot(cpu, *n)->ref, REF_FREE, relaxed, slot.free);
		*at = (uint32_t)*n;
		*n = next;
	}
	nr = (uint32_t)(at - begin);
	if (HOT_COUNT(hot) < HOT_LOWEST(hot))
		hot = hot_at_lowest(hot, HOT_COUNT(hot));
	ramka_store(&cpu->hot, hot + (uint64_t)nr * (HOT_PUSH + 1), relaxed, section.own);
	return nr;
}

/* The same for those that belong into the open row. */
static always_inline uint32_t row_chain(struct ramka_cpu *cpu, uintptr_t *n, uint64_t zero, uint32_t most)
{
	uint64_t mask = row_of(cpu);
	uint32_t nr;

	for (nr = 0; nr != most && (uint32_t)*n - cpu->row < WORD_BITS && !ripe_order(cpu, *n); nr++) {
		uintptr_t next = frame_behind(cpu, *n, zero);

		ramka_store(&cpu_slot(cpu, *n)->ref, REF_FREE, relaxed, slot.free);
		mask |= (uint64_t)1 << ((uint32_t)*n - cpu->row);
		*n = next;
	}
	ramka_store(&cpu->row_mask, mask, relaxed, section.own);
	count_row_pushes(cpu, nr);
	return nr;
}

uint32_t cpu_take_back_chain(struct ramka_cpu *cpu, uint64_t *head, uint32_t most)
{
	uint64_t zero = slot_index(cpu->r, cpu_slot(cpu, 0)) + 1, order;
	uintptr_t n = *head - zero, next;
	uint32_t nr = 0;
	bool inside = true;

	while (nr != most && inside) {
		order = ripe_order(cpu, n);
		if (order > TOP_ORDER)
			break;
		if (likely(!order)) {
			uint32_t before = nr;

			nr += keep_chain(cpu, &n, zero, most - nr);
			nr += row_chain(cpu, &n, zero, most - nr);
			if (nr != before)
				continue;
		}
		next = frame_behind(cpu, n, zero);
		inside = cpu_take_back_inside(cpu, cpu_slot(cpu, n), n, (unsigned)order);
		n = next;
		nr++;
	}
	*head = n + zero;
	if (inside)
		section_leave(cpu);
	return nr;
}

/* ---- one frame ---- */

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
