/* SPDX-License-Identifier: MIT */
/* Watched frames. See watch.h. */
#include "clear.h"
#include "mem.h"
#include "watch.h"

#define POISON_BYTE 0xd7 /* as a pointer not canonical, as a length absurd, odd */
#define POISON_WORD (UINT64_C(0x0101010101010101) * POISON_BYTE)
#define ADDRESS_BITS 48u
#define TOP_CPU 0xfffeu /* for each CPU + 1 that is as high or higher */

static uint64_t words_of(unsigned order)
{
	return ((uint64_t)RAMKA_PAGE_SIZE << order) / sizeof(uint64_t);
}

/* ---- who ---- */

static uint64_t note(unsigned cpu, uintptr_t caller)
{
	uint64_t who = cpu == RAMKA_NO_CPU ? RAMKA_NO_CPU : cpu + 1 < TOP_CPU ? cpu + 1 : TOP_CPU;

	return who << ADDRESS_BITS | ((uint64_t)caller & (((uint64_t)1 << ADDRESS_BITS) - 1));
}

void watch_forget(struct ramka *r, uint64_t slot, uint64_t nr)
{
	if (r->flags & RAMKA_TRACE)
		memset((void *)&r->traces[slot], 0, (size_t)nr * sizeof(*r->traces));
}

void watch_note_allocated(struct ramka *r, const struct ramka_frame *f, uint64_t nr, unsigned cpu,
			  uintptr_t caller)
{
	uint64_t slot = slot_index(r, f);

	if (r->flags & RAMKA_TRACE)
		for (uint64_t i = 0; i < nr; i++)
			ramka_store(&r->traces[slot + i].allocated, note(cpu, caller), relaxed, stat);
}

void watch_note_given_up(struct ramka *r, const struct ramka_frame *f, unsigned cpu, uintptr_t caller)
{
	uint64_t slot = slot_index(r, f), nr = (uint64_t)1 << info_order(slot_info(f));

	if (r->flags & RAMKA_TRACE)
		for (uint64_t i = 0; i < nr; i++)
			ramka_store(&r->traces[slot + i].freed, note(cpu, caller), relaxed, stat);
}

/* The return address, sign-extended as addresses are. */
static uintptr_t address_of(uint64_t word)
{
	return (uintptr_t)((int64_t)(word << (64 - ADDRESS_BITS)) >> (64 - ADDRESS_BITS));
}

struct ramka_history watch_history(const struct ramka *r, const struct ramka_frame *f)
{
	struct ramka_history h = { 0 };
	uint64_t allocated, freed;

	if (!(r->flags & RAMKA_TRACE))
		return h;
	allocated = ramka_load(&r->traces[slot_index(r, f)].allocated, relaxed, stat);
	freed = ramka_load(&r->traces[slot_index(r, f)].freed, relaxed, stat);
	h.allocated_by = address_of(allocated);
	h.allocated_on = (uint16_t)(allocated >> ADDRESS_BITS);
	h.freed_by = address_of(freed);
	h.freed_on = (uint16_t)(freed >> ADDRESS_BITS);
	return h;
}

bool ramka_frame_history(const struct ramka *r, ramka_paddr_t pa, struct ramka_history *ret)
{
	struct ramka_frame *f;

	if (!ret || !(r->flags & RAMKA_TRACE) ||
	    instance_slot(r, pa & ~(ramka_paddr_t)(RAMKA_PAGE_SIZE - 1), &f))
		return false;
	*ret = watch_history(r, f);
	return true;
}

/* ---- contents ---- */

uintptr_t watch_changed(const struct ramka *r, const struct ramka_frame *f, unsigned order)
{
	if (!(r->flags & RAMKA_POISON))
		return 0;
	for (uint64_t i = 0; i < (uint64_t)1 << order; i++) {
		const uint64_t *content = slot_content(r, f + i);

		if (!(slot_info(f + i) & INFO_WATCHED))
			continue; /* never handed out before */
		for (uint64_t w = 0; w < words_of(0); w++)
			if (content[w] != POISON_WORD)
				return (uintptr_t)&content[w];
	}
	return 0;
}

bool watch_taken(const struct ramka *r, const struct ramka_frame *f, unsigned order)
{
	if (r->watch.allocated)
		r->watch.allocated(r->ctx, slot_paddr(r, f), order);
	return !watch_changed(r, f, order);
}

void watch_freed(const struct ramka *r, struct ramka_frame *f, unsigned order)
{
	uint64_t *content = slot_content(r, f);

	if (r->flags & RAMKA_INIT_ON_FREE)
		clear_content(content, order);
	if (r->flags & RAMKA_POISON) {
		memset(content, POISON_BYTE, (size_t)RAMKA_PAGE_SIZE << order);
		/* a tail's word says nothing else but INFO_BAD */
		for (uint64_t i = 1; i < (uint64_t)1 << order; i++)
			ramka_or(&f[i].info, INFO_WATCHED, relaxed, slot.info);
	}
	if (r->watch.freed)
		r->watch.freed(r->ctx, slot_paddr(r, f), order);
}
