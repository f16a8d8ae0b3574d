/* SPDX-License-Identifier: MIT */
/*
 * The slot: 16 bytes of metadata per base frame, and its state word. Knows nothing of where free frames live.
 *
 * States of `ref`, by the tag in its top three bits. Counts and links lie below; the values are far apart, so
 * that a stray increment or decrement never turns one state into another.
 *
 *   FREE       all zeroes  the allocator's: bitmap, cache, depot; tails of larger frames; holes
 *   UNUSED                 owned by nobody, never given to the allocator
 *   UNIQUE                 one owner
 *   SHARED(n)  n below     n references; MARK: deferred when the last one goes. SHARED(0) is seen only between the
 *                          deciding decrement and the store that follows it: its owner alone may leave it. A put too many
 *                          in between makes the highest payloads of it (MARK borrowed) or the end of UNIQUE's
 *   DEFERRED(link)         waits for a grace period; link chains its bag
 *   BUSY(link)             construction, teardown; link chains frames whose on_drop waits for its turn
 *   SATURATED              the count overflowed: never freed again
 *
 * Races: see the table in docs/ordering.md; pairs slot.publish, slot.lookup, slot.drop, slot.claim. Who may
 * write when: only FREE->x by the allocator that popped the frame, UNUSED->BUSY by CAS, SHARED by CAS or
 * fetch_add/sub, everything else by the one owner with a plain (atomic) store.
 *
 * `info` is one word: type, list id, order, flags. It is written by the one owner and read by anybody (walk,
 * statistics, losers of a lookup), so it is atomic and relaxed: the state word carries the order.
 */
#ifndef RAMKA_LIB_SLOT_H
#define RAMKA_LIB_SLOT_H

#include <ramka/atomic.h>
#include <ramka/type.h>

#include "names.h"

struct ramka_frame {
	struct ramka_atomic_u64 ref;
	struct ramka_atomic_u64 info;
};
RAMKA_STATIC_ASSERT(sizeof(struct ramka_frame) == 16, "four slots to a cache line");
#define SLOT_SHIFT 4u

#define TAG_SHIFT 61u
#define REF_TAG(t) ((uint64_t)(t) << TAG_SHIFT)
#define REF_MIDDLE ((uint64_t)1 << 59) /* half-way inside a tag, for states without a payload */
#define REF_PAYLOAD (((uint64_t)1 << 60) - 1)
#define REF_MARK ((uint64_t)1 << 60)

enum ref_tag { TAG_FREE, TAG_UNUSED, TAG_UNIQUE, TAG_SHARED, TAG_DEFERRED, TAG_BUSY, TAG_SATURATED, TAG_NONE };

#define LINK_SHIFT 16u /* room for drift below a link too */
#define LINK_MIDDLE ((uint64_t)1 << (LINK_SHIFT - 1))

#define REF_FREE ((uint64_t)0)
#define REF_UNUSED (REF_TAG(TAG_UNUSED) | REF_MIDDLE)
#define REF_UNIQUE (REF_TAG(TAG_UNIQUE) | REF_MIDDLE)
#define REF_SHARED(n) (REF_TAG(TAG_SHARED) | (uint64_t)(n))
#define REF_DEFERRED(link) (REF_TAG(TAG_DEFERRED) | (link) << LINK_SHIFT | LINK_MIDDLE)
#define REF_BUSY(link) (REF_TAG(TAG_BUSY) | (link) << LINK_SHIFT | LINK_MIDDLE)
#define REF_SATURATED (REF_TAG(TAG_SATURATED) | REF_MIDDLE)
#define REF_MAX ((uint64_t)1 << 59) /* highest count; the room above absorbs what races with the overflow */
#define REF_STRAYS ((uint64_t)1 << 58) /* below the next tag: what puts too many make of SHARED(0) with the mark */

static inline unsigned ref_tag(uint64_t ref)
{
	return (unsigned)(ref >> TAG_SHIFT);
}

/* References of SHARED(n), less one and with the mark ignored: below REF_MAX exactly for 1 <= n <= REF_MAX. */
static inline uint64_t ref_others(uint64_t ref)
{
	return (ref & ~REF_MARK) - REF_SHARED(1);
}

/*
 * SHARED(0), also after puts too many: with the mark these borrow from it and the payload reads as one of the highest counts,
 * which no increment reaches. The frame is its owner's, whose next store replaces the word: nobody else may touch it.
 */
static inline bool ref_is_dying(uint64_t ref)
{
	return ref_tag(ref) == TAG_SHARED && ((ref + REF_STRAYS) & REF_PAYLOAD) <= REF_STRAYS;
}

/* The link of DEFERRED or BUSY: slot + 1, 0 at the end of a chain. */
static inline uint64_t ref_link(uint64_t ref)
{
	return (ref & REF_PAYLOAD) >> LINK_SHIFT;
}

/* info = type id : 16 | list id : 32 | order : 8 | flags : 8 */
#define INFO_TYPE_SHIFT 48u
#define INFO_LIST_SHIFT 16u
#define INFO_ORDER_SHIFT 8u
#define INFO_DETACHED 1u /* claimed from UNUSED: returns there */
#define INFO_RESERVED 2u /* reserved at boot: its last reference stays */
#define INFO_HOOK 4u     /* its type has an on_drop */
#define INFO_RCU 8u      /* its type defers */
#define INFO_AUDIT 16u   /* seen by ramka_check */
#define INFO_WATCHED 64u /* of a watched instance (watch.h): no inlined path takes it; of a free frame: poisoned */

static inline unsigned info_order(uint64_t info)
{
	return (unsigned)(info >> INFO_ORDER_SHIFT) & 0xff;
}

static inline unsigned info_type(uint64_t info)
{
	return (unsigned)(info >> INFO_TYPE_SHIFT);
}

static inline uint32_t info_list(uint64_t info)
{
	return (uint32_t)(info >> INFO_LIST_SHIFT);
}

/* Nothing special about freeing it: a base frame in no list, without flags. */
static inline bool info_is_plain(uint64_t info)
{
	return !(info << (64 - INFO_TYPE_SHIFT));
}

static inline uint64_t info_make(unsigned type, unsigned order, unsigned flags)
{
	return (uint64_t)type << INFO_TYPE_SHIFT | (uint64_t)order << INFO_ORDER_SHIFT | flags;
}

static inline uint64_t slot_ref(const struct ramka_frame *f)
{
	return ramka_load(&f->ref, relaxed, slot.look);
}

static inline uint64_t slot_info(const struct ramka_frame *f)
{
	return ramka_load(&f->info, relaxed, slot.info);
}

static inline void slot_set_info(struct ramka_frame *f, uint64_t info)
{
	ramka_store(&f->info, info, relaxed, slot.info);
}

/* unique handles point to the same slot */
static inline struct ramka_frame *slot_of(const struct ramka_unique *u)
{
	return (struct ramka_frame *)(uintptr_t)u;
}

static inline struct ramka_unique *unique_of(const struct ramka_frame *f)
{
	return (struct ramka_unique *)(uintptr_t)f;
}

enum ramka_state slot_state(uint64_t ref, uint64_t info);

#endif
