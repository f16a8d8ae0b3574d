/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Shared frames: counted handles, the counterpart of Asterinas OSTD's `Frame`.
 *
 * Ownership. A `struct ramka_frame *` that a function returns is one reference. It belongs to the caller,
 * until the caller puts it, forgets it (into_raw) or hands it over. A function that takes `f` borrows it,
 * unless its comment says otherwise.
 *
 * Contexts and progress, unless a comment says otherwise: thread, interrupt, NMI or signal, on the CPU that
 * `cpu` stands for or on ramka_cpu_none(); lock-free, and wait-free when the CPU's cache serves the call. A
 * call on top of another call of the same CPU takes the cache-less path by itself. See docs/contexts.md.
 *
 * Arguments come in one order: the CPU; how much, or where; the type and what its metadata starts as; the
 * request; where the result goes, behind how many handles there is room for.
 *
 * Misuse that the state word shows (double put, a foreign pointer, NULL, a frame that is free, a tail,
 * deferred) goes to cfg.panic in every build, by the name of the function that was called; the function then
 * does nothing and returns NULL, 0, false or RAMKA_E_INVAL. A getter that takes no instance cannot report; it
 * answers from what the slot holds.
 */
#ifndef RAMKA_FRAME_H
#define RAMKA_FRAME_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

struct ramka_why; /* error.h */

/** A request. 8 bytes, passed by value; {0} = one zeroed base frame, own node first. */
struct ramka_request {
	uint8_t order;     /**< 2^order base frames, 0..RAMKA_MAX_ORDER */
	uint8_t addr_bits; /**< the frame ends at or below 2^addr_bits; 0 = anywhere; 32 = DMA32 */
	uint16_t flags;    /**< RAMKA_ALLOC_* */
	uint16_t node;     /**< 0 = this CPU's node first; RAMKA_NODE(n) = node n first */
	uint16_t reserved; /**< 0 */
};

#define RAMKA_ALLOC_UNINIT 1u    /**< content is zeroed unless this is set */
#define RAMKA_ALLOC_WAIT 2u      /**< may wait for a grace period before the answer is "no memory" */
#define RAMKA_ALLOC_NODE_ONLY 4u /**< that node or nothing */
/*
 * How long the frame will live; at most one of the three. Advice: it decides where the frame lies and never
 * whether there is one. Frames of RAMKA_ALLOC_LONG lie together, so that they do not keep 2 MiB of other
 * frames from becoming whole again. The other two say that the frame pins nothing for long, as one without
 * a word does: they are placed, and served by the cache, alike.
 */
#define RAMKA_ALLOC_SHORT 8u     /**< goes soon */
#define RAMKA_ALLOC_LONG 16u     /**< stays for long and where it is: page tables, a driver's rings, code */
#define RAMKA_ALLOC_MOVABLE 32u  /**< may stay, but its owner can move it */
#define RAMKA_ALLOC_RESERVE 64u  /**< must not fail: takes from the reserve too, cfg.min_watermark */
/**
 * A node for ramka_request.node. Nodes end at 65534: a greater number is cut off there, and never means "own
 * node".
 */
#define RAMKA_NODE(n) ((uint16_t)((n) < 65534 ? (n) + 1 : 65535))

/**
 * Allocates a frame with one reference. Content and metadata are in place before a lookup can find it.
 *
 * `meta`: initial metadata, type->meta_size bytes, copied; NULL = zeroes.
 * @return the frame, or NULL: no memory (exact while no other call is in progress), order too large, unknown
 * flag, nonzero `reserved`, not UNINIT without a direct map. A type that is NULL or not registered: panic,
 * NULL.
 */
RAMKA_API struct ramka_frame *ramka_frame_alloc(struct ramka_cpu *cpu, const struct ramka_type *type,
						const void *meta, struct ramka_request req);

/**
 * Tells a bad request from "no memory", after an allocation gave NULL: why this request can never be served
 * (error.h).
 * @return 0: it can, and there was no memory; RAMKA_E_INVAL: order, unknown flag, nonzero `reserved`, no
 * instance; RAMKA_E_UNSUPPORTED: not UNINIT without a direct map; RAMKA_E_OUT_OF_BOUND: the node has no
 * memory, all memory lies above 2^addr_bits, or no node has as much memory as the order. `ret_why` may be
 * NULL. Any context; wait-free, linear in the nodes.
 */
RAMKA_API int ramka_request_why(const struct ramka *r, struct ramka_request req, struct ramka_why *ret_why);

/**
 * Allocates up to `n` frames, metadata zeroed; ret_frames[0..result) are the caller's, the rest is untouched.
 * @return how many. Slots are prefetched ahead, so this is the fast way to many frames.
 */
RAMKA_API size_t ramka_frame_alloc_bulk(struct ramka_cpu *cpu, const struct ramka_type *type,
					struct ramka_request req, size_t n, struct ramka_frame **ret_frames);

/**
 * Puts one reference of each of `n` frames, of any type and order. The cache misses of cold frames overlap.
 */
RAMKA_API void ramka_frame_put_bulk(struct ramka_cpu *cpu, size_t n, struct ramka_frame **frames);

/**
 * Claims exactly the base frame at `pa`: UNUSED memory, or a free frame, wherever it is cached. Content is
 * left as it is. A frame claimed from UNUSED returns to UNUSED.
 *
 * @return 0; RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND (hole, MMIO); RAMKA_E_IN_USE (also a tail, or
 * saturated); RAMKA_E_UNIQUE; RAMKA_E_BUSY (being built or torn down, deferred, cached by a CPU that cannot
 * be stopped); RAMKA_E_INVAL: NULL, or after a panic.
 */
RAMKA_API int ramka_frame_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, const struct ramka_type *type,
				      const void *meta, struct ramka_frame **ret_frame);

/**
 * The same for a frame of any order, aligned to its size, out of free memory: its parts may lie in the
 * zones, in any CPU's cache, in the depot or in the mail. Only what is in use stands in the way. Memory
 * that is isolated (memory.h) can be claimed as well: that is how a contiguous piece is taken out of it.
 * Content is left as it is.
 *
 * @return as ramka_frame_from_unused, for the first part that stands in the way; RAMKA_E_OUT_OF_BOUND also
 * for a frame that is not wholly memory of one node; RAMKA_E_UNSUPPORTED: UNUSED memory, which is claimed
 * by base frames; RAMKA_E_INVAL: order too large. `ret_why` may be NULL; it names the frame in the way by
 * `paddr` and `type`. All or nothing.
 *
 * If not all of it lies in the zone, all CPUs are drained, and nothing is handed out of the blocks
 * concerned meanwhile. One claim does that at a time: another one drains too and may be told RAMKA_E_BUSY.
 * Lock-free; linear in CPUs and in base frames.
 */
RAMKA_API int ramka_frame_claim(struct ramka_cpu *cpu, ramka_paddr_t pa, unsigned order,
				const struct ramka_type *type, const void *meta,
				struct ramka_frame **ret_frame, struct ramka_why *ret_why);

/**
 * One more reference to the frame in use at `pa`, of any type. The caller checks that it is still the frame
 * it meant, since the address may have been freed and reused meanwhile. Lock-free: a CAS loop that never
 * waits.
 *
 * @return 0; RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND; RAMKA_E_UNUSED (free, unused, a tail);
 * RAMKA_E_UNIQUE; RAMKA_E_BUSY (being built or torn down, deferred); RAMKA_E_IN_USE (RAMKA_TYPE_NO_LOOKUP).
 */
RAMKA_API int ramka_frame_from_in_use(struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_frame);

/**
 * One more reference to a frame of which the caller has one (clone). @return f, or NULL after a panic.
 * Wait-free.
 */
RAMKA_API struct ramka_frame *ramka_frame_get(struct ramka *r, struct ramka_frame *f);

/** `n` more references at once; none for 0. @return f, or NULL after a panic. Lock-free: a CAS loop. */
RAMKA_API struct ramka_frame *ramka_frame_get_n(struct ramka *r, struct ramka_frame *f, unsigned n);

/** Gives up one reference (drop). The last one runs on_drop and frees, or defers if the frame was marked. */
RAMKA_API void ramka_frame_put(struct ramka_cpu *cpu, struct ramka_frame *f);

/**
 * Gives up one reference and marks the frame: the last put, by put or put_rcu, frees it only after a grace
 * period that starts then. Metadata and content stay intact until that is over. Never waits.
 *
 * @return 0; RAMKA_PRESSURE: done, but more than cfg.high_water frames wait on this CPU, so call
 * ramka_reclaim(cpu, true) when the caller may wait; RAMKA_E_UNSUPPORTED without cfg.rcu: nothing happened;
 * RAMKA_E_INVAL after a panic.
 */
RAMKA_API int ramka_frame_put_rcu(struct ramka_cpu *cpu, struct ramka_frame *f);

/**
 * *dst = src with the right counts (clone_from): gets src, then puts the old *dst. Either may be NULL.
 */
RAMKA_API void ramka_frame_assign(struct ramka_cpu *cpu, struct ramka_frame **dst, struct ramka_frame *src);

/** Forgets a handle and keeps its count, e.g. in a page-table entry. @return the address for from_raw. */
RAMKA_API ramka_paddr_t ramka_frame_into_raw(struct ramka *r, struct ramka_frame *f);

/**
 * Restores a forgotten handle, once per into_raw. An address without a shared frame: panic, NULL.
 */
RAMKA_API struct ramka_frame *ramka_frame_from_raw(struct ramka *r, ramka_paddr_t pa);

/**
 * Gives up a forgotten reference by its address, as ramka_frame_put(cpu, ramka_frame_from_raw(r, pa)): how a
 * kernel frees by address. `pa` is what into_raw gave, the first byte of the frame.
 */
RAMKA_API void ramka_frame_put_at(struct ramka_cpu *cpu, ramka_paddr_t pa);

/** A borrowed frame: cannot be put. The lender's reference must outlive it. */
struct ramka_frame_ref { const struct ramka_frame *frame; };

RAMKA_API struct ramka_frame_ref ramka_frame_borrow(struct ramka *r, const struct ramka_frame *f);
/** Ends a borrow. The contract build reports a second end; other builds do nothing. */
RAMKA_API void ramka_frame_unborrow(struct ramka *r, struct ramka_frame_ref ref);

/**
 * The frame at an address, without a reference. It is for a reader inside a read section (rcu.h) that found
 * the address in a structure whose writers defer what they unlink. The frame stays as it was until the
 * section ends, even if its last reference is gone meanwhile. frame NULL: no frame at this address. Needs no
 * unborrow. Wait-free.
 */
RAMKA_API struct ramka_frame_ref ramka_frame_at(const struct ramka *r, ramka_paddr_t pa);

/**
 * The frame of any order that the byte at `pa` is part of. It is in use, deferred, or just being built or
 * torn down; NULL: there is none. Takes no reference: unless the caller has one, the answer may be over at
 * once. Looks at 19 slots at most; wait-free, any context.
 */
RAMKA_API struct ramka_frame *ramka_frame_head(const struct ramka *r, ramka_paddr_t pa);
/**
 * The state of the base frame that the byte at `pa` lies in; HOLE for an address without one. A snapshot;
 * contexts as ramka_frame_head.
 */
RAMKA_API enum ramka_state ramka_frame_state_at(const struct ramka *r, ramka_paddr_t pa);

/*
 * Getters. They work on unique frames too, which have the same slot. Wait-free, any context. Every slot has
 * address, index and content. Type and metadata are there while the frame has an owner, while it is deferred,
 * and during on_drop or the init of a segment. Asked of a free frame: panic.
 */
/** address of the first byte */
RAMKA_API ramka_paddr_t ramka_frame_paddr(const struct ramka *r, const struct ramka_frame *f);
/** paddr / 4096 */
RAMKA_API uint64_t ramka_frame_index(const struct ramka *r, const struct ramka_frame *f);
RAMKA_API size_t ramka_frame_size(const struct ramka_frame *f);                                 /**< bytes */
RAMKA_API unsigned ramka_frame_order(const struct ramka_frame *f);
/** page-table level that maps it: 1 below order 9, 2 from order 9, 3 at order 18 */
RAMKA_API unsigned ramka_frame_map_level(const struct ramka_frame *f);
RAMKA_API uint64_t ramka_frame_refcount(const struct ramka_frame *f);  /**< a snapshot; 0 unless shared */
RAMKA_API bool ramka_frame_is_sole(const struct ramka_frame *f);       /**< exactly one reference; acquire */
RAMKA_API const struct ramka_type *ramka_frame_type(const struct ramka *r, const struct ramka_frame *f);
/** owner metadata; NULL if the type has none */
RAMKA_API void *ramka_frame_meta(const struct ramka *r, const struct ramka_frame *f);
/** NULL if another type (try_from). */
RAMKA_API void *ramka_frame_meta_as(const struct ramka *r, const struct ramka_frame *f,
				    const struct ramka_type *type);
RAMKA_API bool ramka_frame_is_untyped(const struct ramka *r, const struct ramka_frame *f);
/** through the direct map; NULL without one */
RAMKA_API void *ramka_frame_content(const struct ramka *r, const struct ramka_frame *f);

/**
 * Copies out of or into an untyped frame. @return 0; RAMKA_E_INVAL typed frame or NULL; RAMKA_E_OUT_OF_BOUND
 * past the end; RAMKA_E_UNSUPPORTED without a direct map. A deferred frame may be read. Any other frame that
 * is not in use: panic, RAMKA_E_INVAL.
 */
RAMKA_API int ramka_frame_read(const struct ramka *r, const struct ramka_frame *f, size_t off, void *buf,
			       size_t len);
RAMKA_API int ramka_frame_write(const struct ramka *r, struct ramka_frame *f, size_t off, const void *buf,
				size_t len);

RAMKA_END_DECLS

#endif
