/* SPDX-License-Identifier: MIT */
/*
 * What an instance is made of, and helpers for all files above: from slot to address and back, types. May use
 * bits.h, probe.h, slot.h, sparse.h.
 *
 * All of an instance lies in the metadata memory that the embedder gave (setup/layout.h). What is not atomic
 * never changes after set-up, so every CPU may read it at any time.
 */
#ifndef RAMKA_LIB_BASE_INSTANCE_H
#define RAMKA_LIB_BASE_INSTANCE_H

#include <ramka/ramka.h>

#include "bits.h"
#include "probe.h"
#include "slot.h"
#include "sparse.h"

/*
 * Counters of calls without a section, the counterparts of a CPU's own counters (cpu/state.h). There are
 * several lines, so that threads which use the cache-less handle at a time mostly get one each.
 */
struct stripe {
	/* movements of frames: one before and one after each */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 moves;
	struct ramka_atomic_u64 allocs, puts;           /* frames of any order handed out and given back */
	/* frames that came of larger ones in use, and that became a part of a larger one */
	struct ramka_atomic_u64 split, joined;
};
#ifndef RAMKA_STRIPES /* 1: the same order of frames in each run, for tests */
# define RAMKA_STRIPES 16
#endif
#define STRIPES ((unsigned)RAMKA_STRIPES)

struct cached_cpu;
struct trace;
struct zone;
struct depot;

struct type_entry {
	struct ramka_atomic_u64 type; /* a pointer to the descriptor; stored last */
	uint64_t info; /* type id and flags, as a slot's info starts out */
	const struct ramka_type *same; /* `type` once more: a hit comes after it, and compares it in one go */
};

/* A piece of the memory map, up to where the next one begins. It never changes after set-up. */
struct map_entry {
	uint64_t first; /* frame number */
	uint64_t late;  /* holes and reclaimable memory: number of its first frame in ramka.late */
	uint32_t node;
	uint32_t zone;  /* the zone of what is usable here, now or late; NO_ZONE */
	uint32_t kind;  /* enum ramka_region_kind, MAP_METADATA or MAP_HOLE */
};
#define MAP_METADATA 7u
#define MAP_HOLE 8u
#define NO_ZONE UINT32_MAX

#define SOLID_PARTS 512u /* parts of the span that `solid` tells apart, see instance_solid */
#define TOP_ORDER 10u    /* the largest order with a cache of its own, cpu/order.h */

struct ramka {
	/* read only after init */
	uint32_t magic, flags;
	unsigned nr_cpus, nr_zones;
	struct ramka_frame *slots;
	uint64_t first, nr_slots;  /* frame number of slots[0]; how many */
	uint8_t *meta;
	uint32_t meta_size;
	bool high_water_given;     /* else it follows the memory */
	/* frames of a refill; follows the memory, as the next two do (setup/tune.c) */
	struct ramka_atomic_u32 batch;
	struct ramka_atomic_u32 tell_max;  /* frames between two updates of a zone's estimate */
	struct ramka_atomic_u64 high_water;
	uint64_t cache_frames;             /* the embedder's bound of what a CPU caches; 0: setup/tune.c */
	struct ramka_atomic_u32 rows_max;  /* most closed rows of a CPU, cpu/row.h; at least 1 */
	struct ramka_atomic_u32 mail_max;      /* most frames in a CPU's outbox, cpu/mail.h */
	/* most frames of each order that a CPU caches, cpu/order.h; of order 0 those that last */
	struct ramka_atomic_u32 order_max[TOP_ORDER + 1];
	/* below so many free frames, its part of them, a CPU is lean; cpu/lean.h */
	struct ramka_atomic_u32 lean_part;
	struct ramka_atomic_u32 shut;          /* blocks that are shut (zone/bitmap.h); mostly none */
	uintptr_t direct_map;
	struct cached_cpu *cpus;   /* cpu/state.h */
	struct ramka_cpu *none;    /* the cache-less handle */
	struct depot *depot;       /* magazines between caches and zones, cpu/depot.h */
	struct depot *mail;        /* the mailboxes, cpu/mail.h */
	struct zone *zones;        /* zone/zones.h */
	struct map_entry *map;
	size_t nr_map;
	unsigned solid_shift;      /* log2 of the frames of a part of the span, see instance_slot */
	struct ramka_atomic_u32 solid[SOLID_PARTS];
	/* frames of holes and reclaimable memory that ramka_add_memory made usable */
	struct sparse late;
	/* frames, counted from the first, that ramka_remove_memory made a hole */
	struct sparse gone;
	bool (*barrier_all_cpus)(void *ctx);
	void (*panic)(void *ctx, const struct ramka_bug *bug);
	void (*low_memory)(void *ctx, uint64_t free_frames);
	void (*enough_memory)(void *ctx, uint64_t free_frames);
	uint64_t (*shrink)(void *ctx, uint64_t wanted);
	uint64_t low_given, high_given; /* watermarks; 0: they follow the memory */
	/* as they are now; low_mark 0: nothing is told */
	struct ramka_atomic_u64 min_mark, low_mark, high_mark;
	void *ctx;
	unsigned (*this_cpu)(void *ctx, unsigned used);
	uint64_t seed;
	struct ramka_watch watch;           /* watch.h */
	bool watched;
	struct type_entry no_type;          /* of no type at all: a hit never finds it */
	bool has_rcu;
	struct ramka_rcu_ops rcu;
	uint64_t total, reserved;  /* base frames at set-up; since then see late_total, late_reserved */
	struct type_entry types[RAMKA_MAX_TYPES];
	/* claims an id; its entry follows before a call uses it */
	struct ramka_atomic_u32 type_taken[RAMKA_MAX_TYPES];

	/* shared and written: each on a line of its own, none touched by a cache hit */
	/* head of the shared stack of deferred frames: slot + 1, 0 empty */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 deferred;
	/* base frames in it and in the bags that were made of it */
	struct ramka_atomic_u64 deferred_frames;
	/* frames in it, roughly: a bag is made of it at 64 */
	struct ramka_atomic_u32 deferred_pile;
	struct stripe stripes[STRIPES];                     /* of calls without a section */
	struct ramka_atomic_u64 peak;
	struct ramka_atomic_u64 failures[RAMKA_MAX_ORDER + 1];
	struct ramka_atomic_u64 unused;                     /* base frames without an owner */
	/* added to total (less than 0: removed), taken from reserved, since set-up */
	struct ramka_atomic_u64 late_total, late_reserved;
	struct ramka_atomic_u64 bad;                        /* broken base frames, part of reserved */
	struct ramka_atomic_u64 reporting;                  /* base frames that ramka_report_free holds now */
	struct ramka_atomic_u32 list_ids;
	struct ramka_atomic_u32 changing;                   /* see changing_begin */
	struct ramka_atomic_u32 telling_low; /* low_memory or enough_memory is being called */
	struct ramka_atomic_u32 is_low;      /* memory is low, and that was told */
	struct ramka_atomic_u64 drains_begun, drains_ended; /* drains of all CPUs (cpu/drain.h) */
	/* frames found free twice inside a section; ramka_check reports them */
	struct ramka_atomic_u32 corrupt;
	struct trace *traces;  /* RAMKA_TRACE, watch.h */
	struct shadow *shadow; /* contract build, contracts.c */
};

#define RAMKA_MAGIC 0x72616d6bu

/* ---- changes of the memory ---- */

/*
 * One call at a time adds, isolates or removes memory, or shuts blocks to claim what lies in them. False:
 * another one does; no call waits for it.
 */
static inline bool changing_begin(struct ramka *r)
{
	uint32_t none = 0;

	return ramka_cas(&r->changing, &none, 1, acquire, map.changing);
}

static inline void changing_end(struct ramka *r)
{
	ramka_store(&r->changing, 0, release, map.changing);
}

/* ---- slots and addresses ---- */

static inline uint64_t slot_index(const struct ramka *r, const struct ramka_frame *f)
{
	return ((uintptr_t)f - (uintptr_t)r->slots) >> SLOT_SHIFT;
}

/* Is f a slot of this instance? */
static inline bool slot_valid(const struct ramka *r, const struct ramka_frame *f)
{
	uintptr_t off = (uintptr_t)f - (uintptr_t)r->slots;

	return !(off & (sizeof(*f) - 1)) && off >> SLOT_SHIFT < r->nr_slots;
}

/* The same with the slot's index, which has no meaning if it is none. */
static inline bool slot_find(const struct ramka *r, const struct ramka_frame *f, uint64_t *ret_index)
{
	uintptr_t off = (uintptr_t)f - (uintptr_t)r->slots;

	/* a misaligned one becomes huge */
	*ret_index = off >> SLOT_SHIFT | off << (sizeof(off) * 8 - SLOT_SHIFT);
	return *ret_index < r->nr_slots;
}

static inline ramka_paddr_t slot_paddr(const struct ramka *r, const struct ramka_frame *f)
{
	return paddr_of(r->first + slot_index(r, f));
}

static inline void *slot_content(const struct ramka *r, const struct ramka_frame *f)
{
	if (r->flags & RAMKA_NO_DIRECT_MAP)
		return NULL;
	return (void *)(r->direct_map + (uintptr_t)slot_paddr(r, f));
}

static inline void *slot_meta(const struct ramka *r, const struct ramka_frame *f)
{
	return r->meta + slot_index(r, f) * r->meta_size;
}

/* The piece of the map that holds a frame at or above r->first. */
const struct map_entry *instance_map(const struct ramka *r, uint64_t frame);
/* What the map says of a frame, late and removed memory included; MAP_HOLE outside. */
unsigned instance_kind(const struct ramka *r, uint64_t frame);
/*
 * The first frame at or after this one that is no hole, or the end of the span. Metadata of holes must not be
 * touched.
 */
uint64_t instance_next(const struct ramka *r, uint64_t frame);
/* The first frame of [frame, end) that is in a hole, or end; both are in the span. */
uint64_t instance_hole(const struct ramka *r, uint64_t frame, uint64_t end);
/* Set-up: notes which parts of the span have no hole. */
void instance_find_solid(struct ramka *r);
/* A hole is about to be in [first, end), frames of the span. */
void instance_not_solid(struct ramka *r, uint64_t first, uint64_t end);
/* instance_slot where the map has to be searched. */
int instance_slot_searched(const struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_f);

/*
 * The slot at an address; false where the map has to be searched. `solid` says of each of up to SOLID_PARTS
 * parts of the span that it never had a hole. It is never set again, since a lookup that read it without
 * acquire could then miss what a slot of late memory was set to. Pair: map.solid.
 */
static inline bool instance_solid(const struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_f)
{
	/* the bits below a page go to the top, where they make the index huge */
	uint64_t index = (pa >> RAMKA_PAGE_SHIFT | pa << (64 - RAMKA_PAGE_SHIFT)) - r->first,
		 part = index >> r->solid_shift;

	if (unlikely(part >= SOLID_PARTS) || unlikely(!ramka_load(&r->solid[part], relaxed, map.solid)))
		return false;
	*ret_f = &r->slots[index];
	return true;
}

/* The slot at an address: 0, RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND. */
static inline int instance_slot(const struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_f)
{
	return likely(instance_solid(r, pa, ret_f)) ? 0 : instance_slot_searched(r, pa, ret_f);
}

/* ---- types ---- */

/* The descriptor of an id that was found in a slot, perhaps while the type is being registered. */
static inline const struct ramka_type *type_by_id(const struct ramka *r, unsigned id)
{
	return id < RAMKA_MAX_TYPES ? (const struct ramka_type *)(uintptr_t)ramka_load(&r->types[id].type,
										       acquire, type.entry) :
				      NULL;
}

/* The same for a caller that uses the type, which was registered before. */
static inline const struct ramka_type *entry_type(const struct type_entry *e)
{
	return (const struct ramka_type *)(uintptr_t)ramka_load(&e->type, relaxed, type.entry);
}

/* The entry of a registered type, else NULL. */
static inline const struct type_entry *type_entry(const struct ramka *r, const struct ramka_type *type)
{
	const struct type_entry *e;

	if (unlikely(!type))
		return NULL;
	/* an id out of range was never registered: no entry holds its descriptor */
	e = &r->types[(uint8_t)type->id];
	return likely(entry_type(e) == type) ? e : NULL;
}

void types_init(struct ramka *r);

#endif
