/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Memory before ramka_init: a small allocator over the same memory map. ramka_init takes over what it handed
 * out, and can take its own metadata out of it. One thread; no locks, no callbacks.
 *
 * It hands out usable memory only, from the top down, so that low memory is left. The memory of the kernel
 * image and of the loader is in the map as RAMKA_KERNEL or RAMKA_RESERVED regions, as for ramka_init.
 */
#ifndef RAMKA_EARLY_H
#define RAMKA_EARLY_H

#include <ramka/config.h>
#include <ramka/error.h>

RAMKA_BEGIN_DECLS

/** Memory that was handed out. Neighbours of one type are one range. */
struct ramka_early_range {
	ramka_paddr_t base;
	uint64_t size;
	const struct ramka_type *type; /**< frames of this type; NULL: always reserved */
	uint32_t node;                 /**< of the memory that it lies in */
};

/**
 * The early allocator. It belongs to the caller, as does the memory behind it. `ranges` and `nr_ranges` may
 * be read; all else is private.
 */
struct ramka_early {
	const struct ramka_region *regions;
	size_t nr_regions;
	struct ramka_early_range *ranges; /**< in descending order */
	size_t nr_ranges, max_ranges;
	void *map;                        /* pieces of the memory map */
	size_t nr_map;
	ramka_paddr_t cursor;             /* where the last request without limits was served */
	bool taken_over;
};

/** Where a range may lie, and what becomes of it. All zeroes: anywhere, and always reserved. */
struct ramka_early_limits {
	ramka_paddr_t low;             /**< not below this address */
	ramka_paddr_t high;            /**< ends at or below this address; 0: anywhere */
	uint16_t node;                 /**< RAMKA_NODE(n): on this node only; 0: any */
	/**
	 * The frames become shared frames of this type, with one reference each and metadata of zeroes.
	 * ramka_frame_from_raw gives that reference; its put frees the frame. The type is ramka_type_untyped,
	 * or one of the embedder's that is not registered yet; ramka_init registers it. NULL: the frames are
	 * always reserved.
	 */
	const struct ramka_type *type;
};

/**
 * Bytes of memory that the early allocator needs for so many regions and ranges. It is a constant expression,
 * for the size of an array.
 */
#define RAMKA_EARLY_BYTES(nr_regions, max_ranges) \
	(64u + ((nr_regions) + 1u) * 48u + ((nr_regions) * 4u + 7u) * 32u + \
	 (max_ranges) * sizeof(struct ramka_early_range))

/**
 * Begins, and sorts the map. `memory` is aligned to 8 bytes and need not be zeroed; the part that the map
 * leaves is room for ranges. Keep regions and memory until ramka_init has taken over.
 * @return 0; RAMKA_E_NOMEM: too little memory for the map and one range; RAMKA_E_NOT_ALIGNED; RAMKA_E_INVAL:
 * NULL, no regions, or regions that ramka_init would refuse. Time: n log n. `ret_why` may be NULL.
 */
RAMKA_API int ramka_early_init(struct ramka_early *e, const struct ramka_region *regions, size_t nr_regions,
			       void *memory, size_t bytes, struct ramka_why *ret_why);

/**
 * Hands out `size` bytes, aligned to `align`, a power of two (0: 16). `limits` may be NULL. The content stays
 * as it was.
 *
 * The range is the caller's until it is given back or ramka_init takes it over. Byte by byte exact: small
 * requests share frames.
 * @return 0 and the address in *ret_pa, never 0; RAMKA_E_NOMEM: no such range is free, or no room to remember
 * it (the room for ranges is used up); RAMKA_E_INVAL: NULL, size 0, align no power of two, a built-in type
 * other than untyped; RAMKA_E_NOT_ALIGNED: a type, and `size` is no multiple of a page; RAMKA_E_BUSY:
 * ramka_init has taken over. Time: a few steps where the last one found its place, at most linear in regions
 * and ranges.
 */
RAMKA_API int ramka_early_alloc(struct ramka_early *e, uint64_t size, uint64_t align,
				const struct ramka_early_limits *limits, ramka_paddr_t *ret_pa);
/** The same, and says why it refuses (error.h). `ret_why` may be NULL. */
RAMKA_API int ramka_early_alloc_why(struct ramka_early *e, uint64_t size, uint64_t align,
				    const struct ramka_early_limits *limits, ramka_paddr_t *ret_pa,
				    struct ramka_why *ret_why);

/**
 * Gives back a range, or a part of one, before ramka_init.
 * @return 0; RAMKA_E_UNUSED: not all of it is handed out, in one type; RAMKA_E_NOMEM: it leaves two ranges of
 * one, and there is no room; RAMKA_E_NOT_ALIGNED: part of a frame of a type; RAMKA_E_INVAL: NULL, size 0;
 * RAMKA_E_BUSY: ramka_init has taken over.
 */
RAMKA_API int ramka_early_free(struct ramka_early *e, ramka_paddr_t base, uint64_t size);

/**
 * ramka_init with metadata out of cfg->early: finds the place itself, within `limits` (NULL: anywhere; its
 * type is ignored), which must be mapped in the direct map. The regions of `cfg` are those of cfg->early, or
 * cover at least what it handed out.
 * @return as ramka_init; RAMKA_E_UNSUPPORTED: no direct map; RAMKA_E_NOMEM: no place for the metadata.
 * `ret_why` may be NULL.
 */
RAMKA_API int ramka_init_early(const struct ramka_config *cfg, const struct ramka_early_limits *limits,
			       struct ramka **ret_r, struct ramka_why *ret_why);

RAMKA_END_DECLS

#endif
