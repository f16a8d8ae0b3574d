/* SPDX-License-Identifier: MIT */
/*
 * The slot: 16 bytes of metadata for each base frame, the state word and the info word. It knows nothing of
 * where free frames live. May use public headers alone.
 *
 * The state word, `ref`:
 *
 *    63    61 60  59                         16 15            0
 *   +--------+---+-----------------------------+---------------+
 *   |  tag   | M |           link (44)         |  middle (16)  |   DEFERRED, BUSY
 *   |  (3)   |   +-----------------------------+---------------+
 *   |        |   |                 count (60)                  |   SHARED
 *   +--------+---+---------------------------------------------+
 *
 *   tag      the state; FREE is 0, and a word of zeroes
 *   M        the mark of SHARED: defer the frame when its last reference goes
 *   link     slot + 1 of the next frame of a chain; 0 at its end
 *   middle   half of its range, so that stray increments and decrements do not reach the link. A state
 *            without link and count has the middle of all 60 bits instead
 *
 * The values of different states lie far apart, so a stray increment or decrement never turns one state into
 * another.
 *
 *   FREE             the allocator's: bitmap, cache, depot; also tails of larger frames, and holes
 *   UNUSED           no owner, and never given to the allocator
 *   UNIQUE           one owner
 *   SHARED(n)        n references. SHARED(0) exists only between the decrement that decides and the store
 *                    after it; only the CPU that made the decrement may leave it. A stray put in between
 *                    makes it one of the highest counts (it borrows from M), or the end of UNIQUE
 *   DEFERRED(link)   waits for a grace period; link chains its bag
 *   BUSY(link)       being built or torn down; link chains frames whose on_drop waits for its turn
 *   SATURATED        the count overflowed: never freed again
 *
 * The allocator that popped a FREE frame leaves FREE. A claim leaves UNUSED by CAS. SHARED changes by CAS,
 * fetch_add and fetch_sub. The one owner leaves every other state by a plain (atomic) store.
 * Pairs: slot.publish, slot.drop, slot.claim and others; docs/ordering.md has the table.
 *
 * The info word, `info`:
 *
 *    63          48 47                 16 15      8 7       0
 *   +--------------+---------------------+---------+---------+
 *   | type id (16) |    list id (32)     |order (8)|flags (8)|
 *   +--------------+---------------------+---------+---------+
 *
 * The one owner writes it. Walks, statistics and lookups that lose a race read it at any time, so it is
 * atomic and relaxed: the state word carries the order. Only the flags of broken frames are set by
 * others, at any time (frame/broken.h). So an owner who changes the info of a frame in use adds the
 * difference, or makes the frame BUSY first.
 */
#ifndef RAMKA_LIB_BASE_SLOT_H
#define RAMKA_LIB_BASE_SLOT_H

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

enum ref_tag {
	TAG_FREE, TAG_UNUSED, TAG_UNIQUE, TAG_SHARED, TAG_DEFERRED, TAG_BUSY, TAG_SATURATED, TAG_NONE
};

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
/* below the next tag: what puts too many make of SHARED(0) with the mark */
#define REF_STRAYS ((uint64_t)1 << 58)

static inline unsigned ref_tag(uint64_t ref)
{
	return (unsigned)(ref >> TAG_SHIFT);
}

/*
 * References of SHARED(n), less one and with the mark ignored: below REF_MAX exactly for 1 <= n <= REF_MAX.
 */
static inline uint64_t ref_others(uint64_t ref)
{
	return (ref & ~REF_MARK) - REF_SHARED(1);
}

/*
 * Is it SHARED(0), perhaps after stray puts? If the mark is set, these borrow from it, and the payload reads
 * as one of the highest counts, which no increment reaches. The next store of the one owner replaces the
 * word; no other CPU may touch it.
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

#define INFO_TYPE_SHIFT 48u
#define INFO_LIST_SHIFT 16u
#define INFO_ORDER_SHIFT 8u
#define INFO_ORDER_MASK ((uint64_t)0xff << INFO_ORDER_SHIFT)
#define INFO_DETACHED 1u /* claimed from UNUSED: returns there */
#define INFO_RESERVED 2u /* reserved at boot: its last reference stays */
#define INFO_HOOK 4u     /* its type has an on_drop */
#define INFO_RCU 8u      /* its type defers */
#define INFO_AUDIT 16u   /* seen by ramka_check */
/* this base frame is broken: of a tail too, whose info says nothing else (frame/broken.h) */
#define INFO_BAD 32u
/* of a watched instance (watch.h): no inlined path takes it; of a free frame: poisoned */
#define INFO_WATCHED 64u
#define INFO_TAINTED 128u /* of a frame in use: a tail of it is broken */
#define INFO_BROKEN (INFO_BAD | INFO_TAINTED)

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

/*
 * The order of a frame of which that is true but for its order; of any other a number above all orders.
 */
static inline uint64_t info_bare_order(uint64_t info)
{
	const unsigned behind_type = 64 - INFO_TYPE_SHIFT, turn = behind_type + INFO_ORDER_SHIFT;

	info <<= behind_type;
	return info >> turn | info << (64 - turn);
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

/* The owner changes the info of a frame in use. Flags that others set meanwhile stay. */
static inline void slot_change_info(struct ramka_frame *f, uint64_t old, uint64_t info)
{
	ramka_add(&f->info, info - old, relaxed, slot.info);
}

/*
 * The info with all flags that were set until now, for a caller that has taken the frame out of use before,
 * by a store to its state word. A flag that is set later is set by a CPU that finds that state.
 * Pair: slot.broken.
 */
static inline uint64_t slot_last_info(struct ramka_frame *f)
{
	return ramka_or(&f->info, 0, acq_rel, slot.broken);
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
