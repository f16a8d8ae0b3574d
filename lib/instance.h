/* SPDX-License-Identifier: MIT */
/*
 * What an instance is made of, and the few helpers that every file above the zones shares: slot <-> address,
 * types, reporting a bug. All of it lies in the metadata memory that the embedder gave; see init.c for the layout.
 */
#ifndef RAMKA_LIB_INSTANCE_H
#define RAMKA_LIB_INSTANCE_H

#include <ramka/ramka.h>

#include "slot.h"
#include "zone.h"
#include "depot.h"

#ifndef likely /* a kernel's flags may have brought its own */
# define likely(x) __builtin_expect(!!(x), 1)
# define unlikely(x) __builtin_expect(!!(x), 0)
#endif
#ifndef noinline
# define noinline __attribute__((noinline))
#endif

struct type_entry {
	const struct ramka_type *type;
	uint64_t info; /* type id and flags, as a slot's info starts out */
};

/* A piece of the memory map, up to where the next one begins. */
struct map_entry {
	uint64_t first; /* frame number */
	uint32_t node;
	uint32_t kind;  /* enum ramka_region_kind, MAP_METADATA or MAP_HOLE */
};
#define MAP_METADATA 7u
#define MAP_HOLE 8u

/* Late memory: what ramka_add_memory made usable, since the map itself is never changed. */
struct late_entry {
	struct ramka_atomic_u64 first, end; /* frame numbers; end is stored last */
};
#define MAX_LATE 64u

struct defer; /* deferred frames of one CPU, defer.h */

#define CACHE_SIZE 128u /* two magazines */
#define ROWS 16u        /* rows that go to the zone in one burst */

/* The private state of a CPU. Protocol: cpu.h. A frame is named by its number from the home zone's first. */
struct ramka_cpu {
	/* line 0: all that a cache hit reads and writes, but the frame numbers */
	RAMKA_ALIGNAS(64) struct ramka_atomic_u32 active;
	struct ramka_atomic_u32 revoked;
	struct ramka_atomic_u64 hot;     /* pushes:48 | least:8 | count:8; see HOT_* */
	uintptr_t slots;                 /* the slot of the home zone's first frame */
	uint64_t span;                   /* frames of the home zone; 0: not decided by range */
	struct ramka_atomic_u64 plain;   /* entry of the type without metadata that was allocated last, a pointer */
	uint32_t current;                /* first frame of the block that passed the gate last; NO_ROW */
	uint32_t row;                    /* first frame of the word that the open row collects; NO_ROW */
	struct ramka_atomic_u64 row_mask; /* its frames */
	struct ramka *r;

	/* line 1: refills, statistics, everything else */
	RAMKA_ALIGNAS(64) struct zone *zone; /* home */
	struct defer *defer;             /* NULL for the cache-less handle */
	struct ramka_atomic_u64 moves;   /* movements of frames, before and after each (NOMEM, cpu.c) */
	struct ramka_atomic_u64 pending; /* frames whose on_drop waits: 0 nobody runs, 1 running, else slot + 2 */
	uint32_t id, node;
	uint32_t gate;                   /* blocks with at most so many free frames are cached */
	uint32_t block;                  /* refilled from; NO_BLOCK */
	uint32_t rows_settled;           /* frames in rows at the last settling, less what was taken out since */
	uint32_t nr_rows;                /* closed rows */
	uint32_t victim;                 /* shard to look at for surplus */
	uint32_t cursor;                 /* block to look from for orders above 0 */
	uint32_t random;                 /* RAMKA_SHUFFLE */
	bool cacheless;
	struct ramka_atomic_u64 moved_in, moved_out; /* frames into the cache and out of it, but for pushes and pops */
	struct ramka_atomic_u64 allocs, puts;        /* frames of any order handed out and given back around the cache */
	struct ramka_atomic_u64 other;               /* base frames of these, net */
	struct ramka_atomic_u64 refills, flushes, steals, peak;
	int64_t unfolded;                /* base frames taken from the home zone, not yet in its estimate */
};

/* What every handle but the cache-less one has behind it. */
struct cache {
	RAMKA_ALIGNAS(64) uint32_t rows[ROWS];   /* closed rows, freed into the zone together: first frame of each */
	struct ramka_atomic_u64 row_masks[ROWS]; /* their frames */
	RAMKA_ALIGNAS(64) uint32_t frames[CACHE_SIZE];
};

struct cached_cpu {
	struct ramka_cpu cpu;
	struct cache cache;
};

static inline struct cache *cache_of(const struct ramka_cpu *cpu)
{
	return &((struct cached_cpu *)(uintptr_t)cpu)->cache;
}

/*
 * `hot`, written by the owner inside its section only. One word, so that a hit pays for one load and one store: how
 * many frames are cached, the lowest that number was since the last settling (the peak of what is in use), and how
 * many were ever pushed.
 */
#define NO_ROW (UINT32_MAX - (BLOCK_FRAMES - 1)) /* no frame of any zone is that near */
#define HOT_PUSH 0x10000u
#define HOT_PUSHES(hot) ((hot) >> 16)
#define HOT_LEAST(hot) ((uint32_t)(uint8_t)((hot) >> 8))
#define HOT_COUNT(hot) ((uint32_t)(uint8_t)(hot))

struct ramka {
	/* read only after init */
	uint32_t magic, flags;
	unsigned nr_cpus, nr_zones;
	struct ramka_frame *slots;
	uint64_t first, nr_slots;  /* frame number of slots[0]; how many */
	uint8_t *meta;
	uint32_t meta_size;
	uint32_t batch;            /* frames of a refill */
	uint32_t fold;             /* frames between two updates of a zone's estimate */
	uintptr_t direct_map;
	struct cached_cpu *cpus;
	struct zone *zones;
	struct map_entry *map;
	size_t nr_map;
	bool (*barrier_all_cpus)(void *ctx);
	void (*panic)(void *ctx, const struct ramka_bug *bug);
	void (*low_memory)(void *ctx, uint64_t free_frames);
	uint64_t low_watermark, high_water;
	void *ctx;
	bool has_rcu;
	struct ramka_rcu_ops rcu;
	uint64_t total, reserved;  /* base frames; reserved shrinks under add_lock only */
	struct type_entry types[RAMKA_MAX_TYPES];
	struct ramka_atomic_u32 type_taken[RAMKA_MAX_TYPES]; /* claims an id; its entry follows before anybody uses it */

	/* shared and written: each on a line of its own, none touched by a cache hit */
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 deferred; /* head of the shared stack of deferred frames: slot + 1, 0 empty */
	struct ramka_atomic_u64 deferred_frames;            /* base frames in it */
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 moves;    /* the cache-less handle's counterparts */
	struct ramka_atomic_u64 allocs, puts, other, peak;
	struct ramka_atomic_u64 failures[RAMKA_MAX_ORDER + 1];
	struct ramka_atomic_u64 unused;                     /* base frames that nobody owns */
	struct ramka_atomic_u64 late_total, late_reserved;  /* added to total, taken from reserved, by add_memory */
	struct ramka_atomic_u32 list_ids;
	struct ramka_atomic_u32 adding;                     /* one add_memory at a time */
	struct ramka_atomic_u32 nr_late;
	struct ramka_atomic_u32 drains;                     /* names each drain, so that it knows whom it revoked */
	struct ramka_atomic_u32 corrupt;                    /* frames found free twice inside a section; ramka_check reports them */
	struct late_entry late[MAX_LATE];

	struct depot depot;
	struct ramka_cpu none;
	struct shadow *shadow; /* contract build, contracts.c */
};

#define RAMKA_MAGIC 0x72616d6bu

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

/* The zone that a slot belongs to, and its bit there. */
struct zone *instance_zone(const struct ramka *r, const struct ramka_frame *f);

static inline uint32_t slot_bit(const struct ramka *r, const struct zone *z, const struct ramka_frame *f)
{
	return (uint32_t)(r->first + slot_index(r, f) - z->origin);
}

static inline struct ramka_frame *slot_at_bit(const struct ramka *r, const struct zone *z, uint32_t bit)
{
	return &r->slots[z->origin + bit - r->first];
}

/* What the map says of a frame, late memory included; MAP_HOLE outside. */
unsigned instance_kind(const struct ramka *r, uint64_t frame);
/* The slot at an address: 0, RAMKA_E_NOT_ALIGNED, RAMKA_E_OUT_OF_BOUND. */
int instance_slot(const struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_f);

/* ---- types ---- */

static inline const struct ramka_type *type_by_id(const struct ramka *r, unsigned id)
{
	return id < RAMKA_MAX_TYPES ? r->types[id].type : NULL;
}

/* The entry of a registered type, else NULL. */
static inline const struct type_entry *type_entry(const struct ramka *r, const struct ramka_type *type)
{
	const struct type_entry *e;

	if (unlikely(!type))
		return NULL;
	e = &r->types[(uint8_t)type->id]; /* an id out of range was never registered: no entry holds its descriptor */
	return likely(e->type == type) ? e : NULL;
}

/* The entry that this CPU used last for a type without metadata: a hit compares one pointer. */
static inline const struct type_entry *plain_entry(const struct ramka_cpu *cpu)
{
	return (const struct type_entry *)(uintptr_t)ramka_load(&cpu->plain, relaxed, section.own);
}

static inline void set_plain_entry(struct ramka_cpu *cpu, const struct type_entry *e)
{
	ramka_store(&cpu->plain, (uintptr_t)e, relaxed, section.own);
}

void types_init(struct ramka *r);

/* ---- programmer errors ---- */

/* Reports to cfg.panic, or traps. f may be NULL or no slot at all. `ref`: the word that was found wrong. */
void instance_bug(const struct ramka *r, const char *operation, const char *what, const struct ramka_frame *f, uint64_t ref);

#endif
