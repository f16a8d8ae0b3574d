/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Unique frames: the same slot with another type of handle. A unique frame has one owner, which may change
 * the metadata. Allocating and freeing one needs no atomic read-modify-write. Contexts and progress as in
 * frame.h.
 */
#ifndef RAMKA_UNIQUE_H
#define RAMKA_UNIQUE_H

#include <ramka/frame.h>

RAMKA_BEGIN_DECLS

/** As ramka_frame_alloc, but the caller is the only owner, and no lookup finds the frame. */
RAMKA_API struct ramka_unique *ramka_unique_alloc(struct ramka_cpu *cpu, const struct ramka_type *type,
						  const void *meta, struct ramka_request req);
/** As ramka_frame_alloc_bulk. */
RAMKA_API size_t ramka_unique_alloc_bulk(struct ramka_cpu *cpu, const struct ramka_type *type,
					 struct ramka_request req, size_t n, struct ramka_unique **ret_u);
/** Frees `n` frames, of any type and order. The cache misses of cold frames overlap. */
RAMKA_API void ramka_unique_free_bulk(struct ramka_cpu *cpu, size_t n, struct ramka_unique **u);
/** As ramka_frame_from_unused. */
RAMKA_API int ramka_unique_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, const struct ramka_type *type,
				       const void *meta, struct ramka_unique **ret_u);
/** As ramka_frame_claim. */
RAMKA_API int ramka_unique_claim(struct ramka_cpu *cpu, ramka_paddr_t pa, unsigned order,
				 const struct ramka_type *type, const void *meta, struct ramka_unique **ret_u,
				 struct ramka_why *ret_why);
/** Frees; runs on_drop. Defers if the type is RAMKA_TYPE_RCU. In a list, or not unique: panic. */
RAMKA_API void ramka_unique_free(struct ramka_cpu *cpu, struct ramka_unique *u);

/** Mutable; NULL if the type has none. Of a frame in a list too. Not unique: panic, NULL. */
RAMKA_API void *ramka_unique_meta(struct ramka *r, struct ramka_unique *u);

/** UNIQUE -> SHARED(1); consumes u. A lookup that finds the frame sees all that the owner wrote. */
RAMKA_API struct ramka_frame *ramka_unique_share(struct ramka *r, struct ramka_unique *u);
/** SHARED(1) -> UNIQUE; consumes f. NULL, and f stays the caller's, if not sole or marked by put_rcu. */
RAMKA_API struct ramka_unique *ramka_frame_try_unique(struct ramka *r, struct ramka_frame *f);

/**
 * Gives the frame another type: the old on_drop runs (once, and it may allocate), then the new metadata is
 * written. Content stays. @return 0; RAMKA_E_INVAL after a panic (unregistered type, in a list, not unique);
 * RAMKA_E_UNSUPPORTED: the old type is RAMKA_TYPE_RCU, and readers may look at its metadata until a grace
 * period is over: free the frame instead; RAMKA_E_BUSY: the old type has an on_drop, and another on_drop of
 * this handle is running, since they never nest. After an error the frame is as it was.
 */
RAMKA_API int ramka_unique_repurpose(struct ramka_cpu *cpu, struct ramka_unique *u,
				     const struct ramka_type *type, const void *meta);
/**
 * Splits into 2^(old - order) unique frames of `order`, in address order in ret_parts; consumes u. Every part
 * gets the type and a copy of the metadata; on_drop runs for each part.
 * @return 0; RAMKA_E_INVAL: order above the frame's (u stays whole).
 */
RAMKA_API int ramka_unique_split(struct ramka *r, struct ramka_unique *u, unsigned order,
				 struct ramka_unique **ret_parts);

/** The same without an array: u is the first part, ramka_unique_part gives the others. */
RAMKA_API int ramka_unique_split_in_place(struct ramka *r, struct ramka_unique *u, unsigned order);
/**
 * The unique frame `n` frames of u's order behind u, itself of that order: part n after a split of which u is
 * the first part. NULL: none there. It is the caller's because it was a part, not because of this call.
 * Wait-free.
 */
RAMKA_API struct ramka_unique *ramka_unique_part(const struct ramka *r, struct ramka_unique *u, uint64_t n);
/**
 * The opposite of a split: u and the unique frames behind it, all of them the caller's, of one order and type
 * and in no list, become one frame of `order`, with u as its handle and u's metadata; the handles and the
 * metadata of the others are gone, and no on_drop runs for them. Linear in parts.
 * @return 0; RAMKA_E_INVAL: order below that of u or above RAMKA_MAX_ORDER, u claimed from UNUSED;
 * RAMKA_E_UNSUPPORTED: the type is RAMKA_TYPE_RCU, and readers may look at the metadata of each part;
 * RAMKA_E_NOT_ALIGNED: u is not the first part of a frame of that order; RAMKA_E_OUT_OF_BOUND: that frame
 * reaches into a hole or over the end; RAMKA_E_IN_USE: a part is not unique, of another order or type, in a
 * list, or of another node. Nothing happened then.
 */
RAMKA_API int ramka_unique_join(struct ramka *r, struct ramka_unique *u, unsigned order);

RAMKA_API ramka_paddr_t ramka_unique_into_raw(struct ramka *r, struct ramka_unique *u);
RAMKA_API struct ramka_unique *ramka_unique_from_raw(struct ramka *r, ramka_paddr_t pa);
RAMKA_API ramka_paddr_t ramka_unique_paddr(const struct ramka *r, const struct ramka_unique *u);

RAMKA_END_DECLS

#endif
