/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Shared frames: counted handles, the counterpart of Asterinas OSTD's `Frame`.
 *
 * Ownership. A `struct ramka_frame *` that a function returns is one reference and is the caller's, until it
 * puts it, forgets it (into_raw) or hands it over. Functions that take `f` without saying more borrow it.
 *
 * Contexts and progress, where nothing else is said: thread, interrupt, NMI or signal, on the CPU that `cpu`
 * stands for or on ramka_cpu_none(); lock-free; wait-free when the CPU's cache serves it. A call that lands
 * on a CPU inside another call takes the cache-less path by itself. See docs/contexts.md.
 *
 * Misuse that the state word shows (double put, a foreign pointer, NULL, a frame that is free, a tail, deferred) goes to
 * cfg.panic in every build, by the name of the function that was called; the function then does nothing and returns NULL, 0,
 * false or RAMKA_E_INVAL. Getters that take no instance cannot report, and answer from what the slot says.
 */
#ifndef RAMKA_FRAME_H
#define RAMKA_FRAME_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

struct ramka_why; /* error.h */

/** What is asked for. 8 bytes, by value; {0} = one zeroed base frame, own node first. */
struct ramka_request {
	uint8_t order;     /**< 2^order base frames, 0..RAMKA_MAX_ORDER */
	uint8_t addr_bits; /**< the frame ends at or below 2^addr_bits; 0 = anywhere; 32 = DMA32 */
	uint16_t flags;    /**< RAMKA_ALLOC_* */
	uint16_t node;     /**< 0 = this CPU's node first; RAMKA_NODE(n) = node n first */
	uint16_t reserved; /**< 0 */
};

#define RAMKA_ALLOC_UNINIT 1u    /**< content is zeroed unless this is set */
#define RAMKA_ALLOC_WAIT 2u      /**< may wait for a grace period before it says no memory */
#define RAMKA_ALLOC_NODE_ONLY 4u /**< that node or nothing */
/** A node for ramka_request.node. There are none above 65534: such a number is cut off there, and never means "own node". */
#define RAMKA_NODE(n) ((uint16_t)((n) < 65534 ? (n) + 1 : 65535))

/**
 * Allocates a frame with one reference. Content and metadata are in place before anybody can look it up.
 *
 * `meta`: initial metadata, type->meta_size bytes, copied; NULL = zeroes.
 * @return the frame, or NULL: no memory (exact while no other call is in progress), order too large, unknown
 * flag, nonzero `reserved`, not UNINIT without a direct map. A type that is NULL or not registered: panic, NULL.
 */
RAMKA_API struct ramka_frame *ramka_frame_alloc(struct ramka_cpu *cpu, const struct ramka_type *type, const void *meta,
						struct ramka_request req);

/**
 * Tells a bad request from "no memory", after an allocation gave NULL: why this request can never be served (error.h).
 * @return 0: it can, and there was no memory; RAMKA_E_INVAL: order, unknown flag, nonzero `reserved`, no instance;
 * RAMKA_E_UNSUPPORTED: not UNINIT without a direct map; RAMKA_E_OUT_OF_BOUND: the node has no memory, all memory lies above
 * 2^addr_bits, or no node has as much memory as the order. `ret_why` may be NULL. Any context; wait-free, linear in the nodes.
 */
RAMKA_API int ramka_request_why(const struct ramka *r, struct ramka_request req, struct ramka_why *ret_why);

/**
 * Allocates up to `n` frames, metadata zeroed; ret_frames[0..result) are the caller's, the rest is untouched.
 * @return how many. Slots are prefetched ahead, so this is the fast way to many frames.
 */
RAMKA_API size_t ramka_frame_alloc_bulk(struct ramka_cpu *cpu, const struct ramka_type *type, struct ramka_request req,
					size_t n, struct ramka_frame **ret_frames);

/** Puts one reference of each of `n` frames, of any type and order. A cold put costs a miss; here they overlap. */
RAMKA_API void ramka_frame_put_bulk(struct ramka_cpu *cpu, size_t n, struct ramka_frame **frames);

/**
 * Claims exactly the base frame at `pa`: UNUSED memory, or a free frame that the zones, the depot or the
 * caller's own cache holds. Content is left as it is. A frame claimed from UNUSED returns to UNUSED.
 *
 * @return 0; RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND (hole, MMIO); RAMKA_E_IN_USE (also a tail, or saturated);
 * RAMKA_E_UNIQUE; RAMKA_E_BUSY (being built or torn down, deferred, cached by another CPU).
 */
RAMKA_API int ramka_frame_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, const struct ramka_type *type,
				      const void *meta, struct ramka_frame **ret_frame);

/**
 * One more reference to the frame in use at `pa`, of whatever type: the caller checks that it is still the
 * frame it meant, since the address may have been freed and reused meanwhile. Wait for nobody; a CAS loop.
 *
 * @return 0; RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND; RAMKA_E_UNUSED (free, unused, a tail); RAMKA_E_UNIQUE;
 * RAMKA_E_BUSY (being built or torn down, deferred); RAMKA_E_IN_USE (RAMKA_TYPE_NO_LOOKUP).
 */
RAMKA_API int ramka_frame_from_in_use(struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_frame);

/** One more reference to a frame of which the caller has one (clone). @return f, or NULL after a panic. Wait-free. */
RAMKA_API struct ramka_frame *ramka_frame_get(struct ramka *r, struct ramka_frame *f);

/** `n` more references at once; none for 0. @return f, or NULL after a panic. Lock-free: a CAS loop. */
RAMKA_API struct ramka_frame *ramka_frame_get_n(struct ramka *r, struct ramka_frame *f, unsigned n);

/** Gives up one reference (drop). The last one runs on_drop and frees, or defers if the frame was marked. */
RAMKA_API void ramka_frame_put(struct ramka_cpu *cpu, struct ramka_frame *f);

/**
 * Gives up one reference and marks the frame: whoever puts last, by put or put_rcu, frees it only after a
 * grace period that starts then. Metadata and content stay intact until it is over. Never waits.
 *
 * @return 0; RAMKA_PRESSURE: done, but more than cfg.high_water frames wait on this CPU: ramka_reclaim(cpu,
 * true) when the caller may wait; RAMKA_E_UNSUPPORTED without cfg.rcu: nothing happened; RAMKA_E_INVAL after a panic.
 */
RAMKA_API int ramka_frame_put_rcu(struct ramka_cpu *cpu, struct ramka_frame *f);

/** *dst = src with the counts kept right (clone_from): gets src, then puts the old *dst; either may be NULL. */
RAMKA_API void ramka_frame_assign(struct ramka_cpu *cpu, struct ramka_frame **dst, struct ramka_frame *src);

/** Forgets a handle and keeps its count, e.g. in a page-table entry. @return the address for from_raw. */
RAMKA_API ramka_paddr_t ramka_frame_into_raw(struct ramka *r, struct ramka_frame *f);

/** Restores a forgotten handle, once per into_raw. Address that is none, or not that of a shared frame: panic, NULL. */
RAMKA_API struct ramka_frame *ramka_frame_from_raw(struct ramka *r, ramka_paddr_t pa);

/**
 * Gives up a forgotten reference by its address, as ramka_frame_put(cpu, ramka_frame_from_raw(r, pa)): how a kernel frees by
 * address. `pa` is what into_raw gave, the first byte of the frame.
 */
RAMKA_API void ramka_frame_put_at(struct ramka_cpu *cpu, ramka_paddr_t pa);

/** A borrowed frame: cannot be put. The lender's reference must outlive it. */
struct ramka_frame_ref { const struct ramka_frame *frame; };

RAMKA_API struct ramka_frame_ref ramka_frame_borrow(struct ramka *r, const struct ramka_frame *f);
/** Ends a borrow; a no-op outside the contract build, where a second one is reported. */
RAMKA_API void ramka_frame_unborrow(struct ramka *r, struct ramka_frame_ref ref);

/**
 * The frame at an address, without counting: for a reader inside a read section (rcu.h) that found the address in a structure
 * whose writers defer what they unlink. What it points to stays as it was until the section ends, even if its last reference
 * is gone meanwhile. frame NULL: no frame at this address. Needs no unborrow. Wait-free.
 */
RAMKA_API struct ramka_frame_ref ramka_frame_at(const struct ramka *r, ramka_paddr_t pa);

/**
 * The frame that the byte at `pa` is part of, of any order, which is in use, deferred, or just being built or torn down; NULL: none.
 * Takes no reference: the caller has one, or what it learns may be over at once. At most 19 slots; wait-free, any context.
 */
RAMKA_API struct ramka_frame *ramka_frame_head(const struct ramka *r, ramka_paddr_t pa);
/** What the base frame that the byte at `pa` lies in is; HOLE for any address that has none. A snapshot; as ramka_frame_head. */
RAMKA_API enum ramka_state ramka_frame_state_at(const struct ramka *r, ramka_paddr_t pa);

/*
 * Getters. They work on unique frames too (same slot); wait-free, any context. Address, index and content are those of any slot.
 * Type and metadata are there while somebody owns the frame, while it is deferred (readers in a read section look at it) and
 * while on_drop or the init of a segment has it; of a free frame: panic.
 */
RAMKA_API ramka_paddr_t ramka_frame_paddr(const struct ramka *r, const struct ramka_frame *f); /**< address of the first byte */
RAMKA_API uint64_t ramka_frame_index(const struct ramka *r, const struct ramka_frame *f);      /**< paddr / 4096 */
RAMKA_API size_t ramka_frame_size(const struct ramka_frame *f);                                 /**< bytes */
RAMKA_API unsigned ramka_frame_order(const struct ramka_frame *f);
RAMKA_API unsigned ramka_frame_map_level(const struct ramka_frame *f); /**< that maps it: 1, 2 from order 9, 3 at 18 */
RAMKA_API uint64_t ramka_frame_refcount(const struct ramka_frame *f);  /**< a snapshot; 0 unless shared */
RAMKA_API bool ramka_frame_is_sole(const struct ramka_frame *f);       /**< exactly one reference; acquire */
RAMKA_API const struct ramka_type *ramka_frame_type(const struct ramka *r, const struct ramka_frame *f);
RAMKA_API void *ramka_frame_meta(const struct ramka *r, const struct ramka_frame *f); /**< owner metadata; NULL if the type has none */
/** NULL if another type (try_from). */
RAMKA_API void *ramka_frame_meta_as(const struct ramka *r, const struct ramka_frame *f, const struct ramka_type *type);
RAMKA_API bool ramka_frame_is_untyped(const struct ramka *r, const struct ramka_frame *f);
RAMKA_API void *ramka_frame_content(const struct ramka *r, const struct ramka_frame *f); /**< through the direct map; NULL without one */

/**
 * Copies out of or into an untyped frame. @return 0; RAMKA_E_INVAL typed frame or NULL; RAMKA_E_OUT_OF_BOUND
 * past the end; RAMKA_E_UNSUPPORTED without a direct map. A frame that is not in use: panic, RAMKA_E_INVAL; a deferred one may be read.
 */
RAMKA_API int ramka_frame_read(const struct ramka *r, const struct ramka_frame *f, size_t off, void *buf, size_t len);
RAMKA_API int ramka_frame_write(const struct ramka *r, struct ramka_frame *f, size_t off, const void *buf, size_t len);

RAMKA_END_DECLS

#endif
