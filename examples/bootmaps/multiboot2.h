/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Multiboot2: the memory map of the boot information that the loader leaves in EBX.
 *
 * The map says nothing of what the loader put into usable memory. The boot information itself and the modules are therefore
 * added here as RAMKA_RECLAIMABLE. Cover the kernel's image by RAMKA_KERNEL. A loader started by UEFI gives UEFI's map as
 * well: the simple one is enough and is preferred; where it is absent, UEFI's is read.
 */
#ifndef BOOTMAP_MULTIBOOT2_H
#define BOOTMAP_MULTIBOOT2_H

#include "bootmap.h"
#include "uefi.h"

struct bootmap_multiboot2_tag { uint32_t type, size; };
struct bootmap_multiboot2_map { uint32_t type, size, entry_size, entry_version; };
struct bootmap_multiboot2_entry { uint64_t base, length; uint32_t type, zero; };
struct bootmap_multiboot2_module { uint32_t type, size, start, end; };

enum { MULTIBOOT2_END, MULTIBOOT2_MODULE = 3, MULTIBOOT2_MAP = 6, MULTIBOOT2_UEFI_MAP = 17 };

static inline enum ramka_region_kind bootmap_multiboot2_kind(uint32_t type)
{
	switch (type) {
	case 1:
		return RAMKA_USABLE;
	case 3: /* ACPI's tables */
		return RAMKA_RECLAIMABLE;
	case 5:
		return RAMKA_BAD;
	default:
		return RAMKA_MMIO;
	}
}

static inline int bootmap_multiboot2_entries(struct bootmap *map, const char *tag, uint32_t size)
{
	struct bootmap_multiboot2_map head;
	struct bootmap_multiboot2_entry e;

	if (size < sizeof(head))
		return RAMKA_E_INVAL;
	__builtin_memcpy(&head, tag, sizeof(head));
	if (head.entry_size < sizeof(e) || size == sizeof(head) || (size - sizeof(head)) % head.entry_size)
		return RAMKA_E_INVAL;
	for (size_t at = sizeof(head); at < size; at += head.entry_size) {
		int error;

		__builtin_memcpy(&e, tag + at, sizeof(e));
		error = bootmap_add(map, e.base, e.length, bootmap_multiboot2_kind(e.type), 0);
		if (error)
			return error;
	}
	return 0;
}

static inline int bootmap_multiboot2_module(struct bootmap *map, const char *tag, uint32_t size)
{
	struct bootmap_multiboot2_module m;

	if (size < sizeof(m))
		return RAMKA_E_INVAL;
	__builtin_memcpy(&m, tag, sizeof(m));
	return m.end < m.start ? RAMKA_E_INVAL : bootmap_add(map, m.start, m.end - m.start, RAMKA_RECLAIMABLE, 0);
}

static inline int bootmap_multiboot2_uefi(struct bootmap *map, const char *tag, uint32_t size)
{
	struct bootmap_multiboot2_map head; /* descriptor size and version in the place of the entries' */

	if (size < sizeof(head))
		return RAMKA_E_INVAL;
	__builtin_memcpy(&head, tag, sizeof(head));
	return bootmap_uefi(map, tag + sizeof(head), size - sizeof(head), head.entry_size);
}

static inline int bootmap_multiboot2_tag(struct bootmap *map, const char *p, const struct bootmap_multiboot2_tag *tag)
{
	if (tag->type == MULTIBOOT2_MAP)
		return bootmap_multiboot2_entries(map, p, tag->size);
	if (tag->type == MULTIBOOT2_UEFI_MAP)
		return bootmap_multiboot2_uefi(map, p, tag->size);
	return bootmap_multiboot2_module(map, p, tag->size);
}

/* Reads every tag of one type, and checks the chain of tags up to its end. */
static inline int bootmap_multiboot2_read(struct bootmap *map, const char *info, uint64_t total, uint32_t type, bool *ret_found)
{
	struct bootmap_multiboot2_tag tag;
	uint64_t at = 8;

	*ret_found = false;
	for (;;) {
		int error = 0;

		if (at > total || total - at < sizeof(tag))
			return RAMKA_E_INVAL;
		__builtin_memcpy(&tag, info + at, sizeof(tag));
		if (tag.size < sizeof(tag) || tag.size > total - at)
			return RAMKA_E_INVAL;
		if (tag.type == MULTIBOOT2_END)
			return 0;
		if (tag.type == type) {
			*ret_found = true;
			error = bootmap_multiboot2_tag(map, info + at, &tag);
		}
		if (error)
			return error;
		at += ((uint64_t)tag.size + 7) & ~(uint64_t)7;
	}
}

/* `info`: the boot information where the kernel sees it, `mapped` bytes that may be read; `pa`: its physical address. */
static inline int bootmap_multiboot2(struct bootmap *map, const void *info, size_t mapped, ramka_paddr_t pa)
{
	const char *p = (const char *)info;
	uint32_t total;
	bool found;
	int error;

	if (!info || mapped < sizeof(total))
		return RAMKA_E_INVAL;
	__builtin_memcpy(&total, info, sizeof(total));
	if (total > mapped)
		return RAMKA_E_INVAL;
	error = bootmap_multiboot2_read(map, p, total, MULTIBOOT2_MAP, &found);
	if (!error && !found)
		error = bootmap_multiboot2_read(map, p, total, MULTIBOOT2_UEFI_MAP, &found);
	if (!error && !found)
		error = RAMKA_E_INVAL;
	if (!error)
		error = bootmap_multiboot2_read(map, p, total, MULTIBOOT2_MODULE, &found);
	return error ? error : bootmap_add(map, pa, total, RAMKA_RECLAIMABLE, 0);
}

#endif
