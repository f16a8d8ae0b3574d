/* SPDX-License-Identifier: MIT */
/**
 * @file
 * UEFI's memory map, as GetMemoryMap returned it last before ExitBootServices.
 *
 * Boot services' and the loader's memory is RAMKA_RECLAIMABLE and not usable at once: the firmware's page tables and the
 * stack, the map itself and the kernel's command line lie there. ramka_add_memory gives it back once the kernel stands on its
 * own. Cover the kernel's image by RAMKA_KERNEL.
 */
#ifndef BOOTMAP_UEFI_H
#define BOOTMAP_UEFI_H

#include "bootmap.h"

struct bootmap_uefi_descriptor {
	uint32_t type, padding;
	uint64_t base, virtual_base, pages, attributes;
};

enum { UEFI_LOADER_CODE = 1, UEFI_LOADER_DATA, UEFI_BOOT_SERVICES_CODE, UEFI_BOOT_SERVICES_DATA, UEFI_CONVENTIONAL = 7,
       UEFI_UNUSABLE, UEFI_ACPI_RECLAIM };

#define UEFI_MEMORY_WB ((uint64_t)1 << 3)       /* can be cached */
#define UEFI_MEMORY_SP ((uint64_t)1 << 18)      /* meant for one purpose, such as an accelerator's memory */
#define UEFI_MEMORY_RUNTIME ((uint64_t)1 << 63) /* the firmware uses it for good */

static inline enum ramka_region_kind bootmap_uefi_kind(const struct bootmap_uefi_descriptor *d)
{
	if (d->type == UEFI_UNUSABLE)
		return RAMKA_BAD;
	if (!(d->attributes & UEFI_MEMORY_WB) || d->attributes & UEFI_MEMORY_RUNTIME)
		return RAMKA_MMIO;
	switch (d->type) {
	case UEFI_CONVENTIONAL:
		return d->attributes & UEFI_MEMORY_SP ? RAMKA_DETACHED : RAMKA_USABLE;
	case UEFI_LOADER_CODE:
	case UEFI_LOADER_DATA:
	case UEFI_BOOT_SERVICES_CODE:
	case UEFI_BOOT_SERVICES_DATA:
	case UEFI_ACPI_RECLAIM:
		return RAMKA_RECLAIMABLE;
	default: /* runtime services, ACPI's own memory, persistent and unaccepted memory, devices */
		return RAMKA_MMIO;
	}
}

/* `bytes` and `descriptor_size` are GetMemoryMap's MemoryMapSize and DescriptorSize; the latter is larger than the structure. */
static inline int bootmap_uefi(struct bootmap *map, const void *descriptors, size_t bytes, size_t descriptor_size)
{
	struct bootmap_uefi_descriptor d;

	if (!descriptors || descriptor_size < sizeof(d) || !bytes || bytes % descriptor_size)
		return RAMKA_E_INVAL;
	for (size_t at = 0; at < bytes; at += descriptor_size) {
		int error;

		__builtin_memcpy(&d, (const char *)descriptors + at, sizeof(d));
		if (d.pages > UINT64_MAX >> RAMKA_PAGE_SHIFT)
			return RAMKA_E_INVAL;
		error = bootmap_add(map, d.base, d.pages << RAMKA_PAGE_SHIFT, bootmap_uefi_kind(&d), 0);
		if (error)
			return error;
	}
	return 0;
}

#endif
