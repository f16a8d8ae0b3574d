/* SPDX-License-Identifier: MIT */
/**
 * @file
 * From a boot loader's memory map to ramka's regions: what limine.h, multiboot2.h, uefi.h and fdt.h share.
 *
 * The headers are for copying into a kernel: freestanding, nothing but memcpy and memset, no globals. Each reader appends to
 * the caller's array; two of them, or the kernel's own regions, may be put together since ramka_init accepts overlaps.
 *
 * What the firmware calls "reserved" becomes RAMKA_MMIO: a kernel needs no frame of it, and such ranges often lie far above
 * the last memory, so that frames for them would cost metadata for the whole distance.
 *
 * A reader returns 0, RAMKA_E_INVAL (malformed, truncated, or without any entry) or RAMKA_E_NOMEM (the array is full). After
 * an error the array holds what was read so far and is not to be used.
 */
#ifndef BOOTMAP_H
#define BOOTMAP_H

#include <ramka/ramka.h>

struct bootmap {
	struct ramka_region *regions; /* the caller's */
	size_t room, nr;
};

/* Appends a region; a neighbour of the last one of the same kind and node is merged into it, since UEFI's maps are long. */
static inline int bootmap_add(struct bootmap *map, ramka_paddr_t base, uint64_t size, enum ramka_region_kind kind, uint32_t node)
{
	struct ramka_region *last = map->nr ? &map->regions[map->nr - 1] : NULL;

	if (!size)
		return 0;
	if (size - 1 > UINT64_MAX - base)
		return RAMKA_E_INVAL;
	if (last && last->kind == kind && last->node == node && last->base + last->size == base) {
		last->size += size;
		return 0;
	}
	if (map->nr == map->room)
		return RAMKA_E_NOMEM;
	map->regions[map->nr++] = (struct ramka_region){ base, size, kind, node };
	return 0;
}

#endif
