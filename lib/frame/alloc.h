/* SPDX-License-Identifier: MIT */
/*
 * The birth of a frame: from a FREE slot of the allocator to a handle, for all kinds of handles; and what
 * these kinds share. May use argument.h, contracts.h, defer.h, drop.h.
 *
 *   FREE slot -> content, metadata and info (frame_build) -> state word (frame_publish, a release store)
 *
 * No lookup and no reader uses metadata or content before it has seen that store, so a frame is complete when
 * it becomes visible. Pair: slot.publish.
 *
 * Legend   hit      frame_hit: a plain base frame out of the cache, inlined into the public functions
 *          missed   frame_alloc_missed: the stack of a larger order, a request that is not plain, an empty
 *                   cache
 *          slow     frame_take_slow: what the caches cannot give (cpu/request.h), then deferred frames, then
 *                   cfg.shrink
 */
#ifndef RAMKA_LIB_FRAME_ALLOC_H
#define RAMKA_LIB_FRAME_ALLOC_H

#include "../base/mem.h"
#include "../base/watch.h"

#include "../cpu/cache.h"
#include "../cpu/claim.h"
#include "../cpu/request.h"
#include "../cpu/order.h"
#include "../cpu/take_back.h"
#include "argument.h"
#include "contracts.h"

#define PREFETCH_AHEAD 16u /* slots that the bulk calls fetch before they need them */
/* frames that a bulk call frees in one section: a drainer must not find the CPU busy for long */
#define BULK_SECTION 64u

/* flags that leave a request to the cache; all flags; those of which at most one is set */
#define REQUEST_PLAIN (RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT | RAMKA_ALLOC_SHORT | RAMKA_ALLOC_MOVABLE | \
		       RAMKA_ALLOC_RESERVE)
#define REQUEST_LIFETIMES (RAMKA_ALLOC_SHORT | RAMKA_ALLOC_LONG | RAMKA_ALLOC_MOVABLE)
#define REQUEST_FLAGS (REQUEST_PLAIN | RAMKA_ALLOC_NODE_ONLY | REQUEST_LIFETIMES)

/* Order, flags and `reserved` of a request are legal here. */
bool request_valid(const struct ramka *r, struct ramka_request req);

/*
 * The steps behind the cache, for one frame (range 0) or a range of base frames: the zones; deferred frames
 * whose grace period is over; with RAMKA_ALLOC_WAIT also frames that a wait of bounded length frees; the same
 * again after each call of cfg.shrink that freed some. The slots belong to the caller, which checks that they
 * are FREE. NULL: no memory, and the failure is counted.
 */
struct ramka_frame *frame_take_slow(struct ramka_cpu *cpu, uint64_t range, struct ramka_request req);

/*
 * Metadata, content and info of a slot that the caller owns (FREE or BUSY). The state word comes after, by
 * the caller.
 */
void frame_build(const struct ramka *r, struct ramka_frame *f, const struct type_entry *e, const void *meta,
		 unsigned order, unsigned flags, bool zero, const char *operation);

/* A frame published in state `ref`, REF_SHARED(1) or REF_UNIQUE. */
struct ramka_frame *frame_new(struct ramka_cpu *cpu, const struct ramka_type *type, const void *meta,
			      struct ramka_request req, uint64_t ref, const char *operation);
/* The same for a type that is known to be registered, the library's own included. */
struct ramka_frame *frame_make(struct ramka_cpu *cpu, const struct type_entry *e, const void *meta,
			       struct ramka_request req, uint64_t ref, const char *operation);
/*
 * A frame out of the allocator is not FREE: a stray write changed its word after it was freed. It is leaked:
 * it stays SATURATED, so later stray writes do no harm. Returns the wrong word, which frame_changed reports.
 */
static inline uint64_t frame_leak(struct ramka_frame *f, unsigned order)
{
	uint64_t ref = slot_ref(f);

	slot_set_info(f, info_make(ramka_type_untyped.id, order, (unsigned)slot_info(f) & INFO_WATCHED));
	ramka_store(&f->ref, REF_SATURATED, release, slot.publish);
	return ref;
}

/* `ref`: what frame_leak returned. REF_FREE: not the word but the content was changed. */
void frame_changed(const struct ramka *r, const struct ramka_frame *f, uint64_t ref, const char *operation);

/* Is a frame out of the allocator as it was left there? */
static inline bool frame_intact(const struct ramka *r, const struct ramka_frame *f, unsigned order)
{
	return likely(slot_ref(f) == REF_FREE) && (likely(!r->watched) || watch_taken(r, f, order));
}

/*
 * The part of frame_new that a cache hit needs, to be inlined into the public functions: one base frame,
 * uninitialised, of the type without metadata that this CPU allocated last. False: frame_new finds out why,
 * and decides.
 */
static inline bool frame_hit(struct ramka_cpu *cpu, const struct ramka_type *type, struct ramka_request req,
			     uint64_t ref, struct ramka_frame **ret_f)
{
	static const struct ramka_request uninit = { .flags = RAMKA_ALLOC_UNINIT };
	const struct type_entry *e = plain_entry(cpu);
	struct ramka_frame *f;

	if (CONTRACTS || unlikely(memcmp(&req, &uninit, sizeof(req)) || e->same != type) ||
	    unlikely(!cpu_alloc(cpu, &f)))
		return false;
	slot_set_info(f, e->info);
	ramka_store(&f->ref, ref, release, slot.publish);
	*ret_f = f;
	return true;
}

/*
 * The rest of ramka_frame_alloc or ramka_unique_alloc, by the state `ref`: everything but a base frame out of
 * the cache.
 */
struct ramka_frame *frame_alloc_missed(struct ramka_cpu *cpu, const struct ramka_type *type,
				       const void *meta, struct ramka_request req, uint64_t ref,
				       uintptr_t caller);

/*
 * RAMKA_TRACE: the handle's call that returns to `caller` allocated `nr` base frames from f on, or gave up f.
 * f may be NULL.
 */
static inline void note_allocated(const struct ramka_cpu *cpu, const struct ramka_frame *f, uint64_t nr,
				  uintptr_t caller)
{
	if (unlikely(cpu->r->watched) && f)
		watch_note_allocated(cpu->r, f, nr, cpu->cacheless ? RAMKA_NO_CPU : cpu->id, caller);
}

/* The same of one frame; a bad request, which gets none, may name an order that there is not. */
static inline void note_allocated_one(const struct ramka_cpu *cpu, const struct ramka_frame *f,
				      unsigned order, uintptr_t caller)
{
	note_allocated(cpu, f, f ? (uint64_t)1 << order : 0, caller);
}

static inline void note_given_up(const struct ramka_cpu *cpu, const struct ramka_frame *f, uintptr_t caller)
{
	if (unlikely(cpu->r->watched))
		watch_note_given_up(cpu->r, f, cpu->cacheless ? RAMKA_NO_CPU : cpu->id, caller);
}

/* ramka_frame_claim in state `ref`, REF_SHARED(1) or REF_UNIQUE; ret_why may be NULL. */
int frame_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, unsigned order, const struct ramka_type *type,
		      const void *meta, uint64_t ref, const char *operation, struct ramka_frame **ret_f,
		      struct ramka_why *ret_why);
/*
 * Hands out a built frame. False, in the contract build: its metadata is invalid, or it has a holder and is
 * leaked.
 */
bool frame_publish(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t ref, const char *operation);
/*
 * Makes an UNUSED or FREE frame the caller's. 0 and the flags to keep in info, or an error as
 * ramka_frame_from_unused.
 */
int frame_claim(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned *ret_flags, const char *operation);

/* ---- frame.c: operations on handles for other files, in the name of the public function `operation` ---- */

/* ramka_frame_get and ramka_frame_put. */
struct ramka_frame *frame_get(struct ramka *r, struct ramka_frame *f, const char *operation);
void frame_put(struct ramka_cpu *cpu, struct ramka_frame *f, const char *operation, uintptr_t caller);
/* ramka_frame_meta and ramka_frame_meta_as. */
void *frame_meta(const struct ramka *r, const struct ramka_frame *f, const char *operation);
void *frame_meta_as(const struct ramka *r, const struct ramka_frame *f, const struct ramka_type *type,
		    const char *operation);

#endif
