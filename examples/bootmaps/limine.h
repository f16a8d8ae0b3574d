/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The Limine boot protocol's memory map. The structures have the layout of limine.h under names of their own, so that both
 * can be included: cast `memmap_request.response`.
 *
 * BOOTLOADER_RECLAIMABLE holds the response itself, the page tables and the stack that the kernel was started on: give it to
 * ramka_add_memory once none of them is used any more. cfg.direct_map is the response of Limine's HHDM request; base
 * revision 3 and later leave out of that mapping what is neither usable nor reclaimable.
 */
#ifndef BOOTMAP_LIMINE_H
#define BOOTMAP_LIMINE_H

#include "bootmap.h"

struct bootmap_limine_entry { uint64_t base, length, type; };

struct bootmap_limine_response {
	uint64_t revision, entry_count;
	struct bootmap_limine_entry **entries;
};

enum { LIMINE_USABLE, LIMINE_RESERVED, LIMINE_ACPI_RECLAIMABLE, LIMINE_ACPI_NVS, LIMINE_BAD, LIMINE_LOADER_RECLAIMABLE,
       LIMINE_EXECUTABLE_AND_MODULES, LIMINE_FRAMEBUFFER };

static inline enum ramka_region_kind bootmap_limine_kind(uint64_t type)
{
	switch (type) {
	case LIMINE_USABLE:
		return RAMKA_USABLE;
	case LIMINE_ACPI_RECLAIMABLE:
	case LIMINE_LOADER_RECLAIMABLE:
		return RAMKA_RECLAIMABLE;
	case LIMINE_BAD:
		return RAMKA_BAD;
	case LIMINE_EXECUTABLE_AND_MODULES:
		return RAMKA_KERNEL;
	default:
		return RAMKA_MMIO;
	}
}

/* `response` is NULL where the loader did not answer the request. */
static inline int bootmap_limine(struct bootmap *map, const struct bootmap_limine_response *response)
{
	if (!response || !response->entry_count || !response->entries)
		return RAMKA_E_INVAL;
	for (uint64_t i = 0; i < response->entry_count; i++) {
		const struct bootmap_limine_entry *e = response->entries[i];
		int error = e ? bootmap_add(map, e->base, e->length, bootmap_limine_kind(e->type), 0) : RAMKA_E_INVAL;

		if (error)
			return error;
	}
	return 0;
}

#endif
