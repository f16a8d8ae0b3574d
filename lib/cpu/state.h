/* SPDX-License-Identifier: MIT */
/*
 * What a CPU holds: the structures of this folder, their word layouts and the accessors of these words. May
 * use base and zone. Every other file of lib/cpu includes this one.
 *
 * A frame is named by its number: 0 is the first frame of the CPU's home zone. Its bit in the zone is number
 * + zone->low.
 *
 * The hot word, `cpu->hot`. The owner writes it, inside its section only. It is one word, so that a cache hit
 * pays for one load and one store:
 *
 *    63                                 16 15         8 7          0
 *   +-------------------------------------+------------+------------+
 *   |            pushes (48)              | lowest (8) | count (8)  |
 *   +-------------------------------------+------------+------------+
 *
 *   pushes   frames ever put into the cache or a row; part of the movement count of "no memory" (account.h)
 *   lowest   the lowest `count` since the counters were settled; the peak of use lies there (account.h)
 *   count    frames in the cache
 */
#ifndef RAMKA_LIB_CPU_STATE_H
#define RAMKA_LIB_CPU_STATE_H

#include "../zone/territory.h"
#include "../zone/zones.h"

struct outbox;
struct defer; /* deferred frames of one CPU, frame/defer.h */

#define CACHE_SIZE 128u /* two magazines */
#define ROWS 16u        /* closed rows; together they go to the zone in one burst */
#define LARGER_FRAMES 256u /* places in the stacks of all orders, see order_at */

/* The private state of a CPU. Protocol: section.h. */
struct ramka_cpu {
	/* line 0: all that a cache hit reads and writes, but the frame numbers */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u32 active;
	struct ramka_atomic_u32 revoked;
	struct ramka_atomic_u64 hot;     /* see above */
	uintptr_t slots;                 /* the slot of the home zone's first frame */
	/* frames of the home zone; 0: the address does not decide which zone it is */
	uint64_t span;
	/* entry of the type without metadata that was allocated last, a pointer */
	struct ramka_atomic_u64 plain;
	struct ramka_atomic_u32 current; /* last frame of the block that passed the gate last */
	uint32_t window;                 /* frames down from `current` that pass: of a block; CACHE_ALL */
	uint32_t row;                    /* first frame of the word that the open row collects; NO_ROW */
	uint32_t most;                   /* frames that the cache may hold: CACHE_SIZE, or few (lean.h) */
	struct ramka_atomic_u64 row_mask; /* its frames */

	/* line 1: refills, statistics, everything else */
	RAMKA_ALIGNAS(LINE_BYTES) struct zone *zone; /* home */
	struct ramka *r;
	struct defer *defer;             /* of the cache-less handle too */
	struct outbox *outbox;           /* frames for other CPUs, mail.h; NULL for the cache-less handle */
	struct ramka_atomic_u64 moves;   /* movements of frames: one before and one after each (account.h) */
	/* frames whose on_drop waits: 0 none runs, 1 one runs, else slot + 2 (frame/drop.h) */
	struct ramka_atomic_u64 pending;
	uint32_t id, node;
	/* as the territories know it: id + 1, or OWNER_NONE (zone/territory.h) */
	uint32_t me;
	uint32_t gate;                   /* frames of blocks with at most so many free frames are cached */
	uint32_t home;                   /* first block of its share of the zone */
	uint32_t block;                  /* block that refills the cache of base frames; NO_BLOCK */
	uint32_t run_block;              /* block that refills orders 1 to 8; NO_BLOCK */
	uint32_t lasting_block;          /* block that serves requests that last; NO_BLOCK */
	uint32_t whole_block;            /* where it found whole blocks last */
	struct ramka_atomic_u32 run_current; /* as `current`, for orders 1 to 8 */
	uint32_t rows_settled;           /* frames in rows when the counters were settled */
	uint32_t nr_rows;                /* closed rows */
	uint32_t rows_max;               /* as many as there may be; 0: the CPU is lean (lean.h) */
	uint32_t keep;                   /* most frames that a refill brings (lean.h) */
	uint32_t sharers;                /* CPUs of the same home zone, at least 1 */
	/* looks until it asks the other CPUs what they have not told; what that was last (account.h) */
	uint32_t look_in;
	int64_t untold_elsewhere;
	/* no look is due while the estimate is at or above this, by less than that */
	uint64_t looked_low, looked_span;
	/* most frames of each order in its stack: those of the instance, or none (lean.h) */
	const struct ramka_atomic_u32 *order_max;
	uint32_t random;                 /* RAMKA_SHUFFLE */
	uint32_t victim;                 /* the CPU from whose shard it stole last, about */
	bool cacheless;
	bool dry;                        /* its last refill found nothing, see cpu_is_dry */
	struct ramka_atomic_u32 shrinking; /* cfg.shrink runs for a request of this handle */
	/* number of the zone that served the last request which the first one could not, about */
	struct ramka_atomic_u32 elsewhere;
	/* all pushes up to the last settling; the hot word has their low bits and counts on (cpu_pushes) */
	struct ramka_atomic_u64 pushes;
	/* frames into the cache and out of it, but for pushes and pops */
	struct ramka_atomic_u64 moved_in, moved_out;
	/* frames of any order handed out and given back around the cache */
	struct ramka_atomic_u64 allocs, puts;
	struct ramka_atomic_u64 uncached;               /* base frames of these, net */
	/* frames of orders 1 to 10 ever freed into their stacks (account.h) */
	struct ramka_atomic_u64 larger_pushes;
	/* frames into these stacks and out of them, but for pushes and pops */
	struct ramka_atomic_u64 larger_in, larger_out;
	struct ramka_atomic_u64 refills, flushes, steals, peak;
	/* base frames taken from the home zone that the zone's estimate does not show yet; signed */
	struct ramka_atomic_u64 untold;
	/* base frames taken from other zones since the last sample of the peak */
	uint64_t unsampled;
	/* so many are told at once, of those taken and of those given back */
	int64_t tell_at, tell_back;
	struct territory_range own;      /* where its territories are */
};

/* The part that every handle but the cache-less one has. */
struct cache {
	RAMKA_ALIGNAS(LINE_BYTES) uint32_t rows[ROWS];   /* closed rows: first frame of each */
	struct ramka_atomic_u64 row_masks[ROWS]; /* their frames */
	RAMKA_ALIGNAS(LINE_BYTES) uint32_t frames[CACHE_SIZE];
	/* frames in the stack of each order; order.h, lasting.h */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u32 larger[TOP_ORDER + 1];
	RAMKA_ALIGNAS(LINE_BYTES) uint32_t larger_frames[LARGER_FRAMES];
};

struct cached_cpu {
	struct ramka_cpu cpu;
	struct cache cache;
};

static inline struct cache *cache_of(const struct ramka_cpu *cpu)
{
	return &((struct cached_cpu *)(uintptr_t)cpu)->cache;
}

/* as a window: the gate lets everything pass, RAMKA_CACHE_ALL */
#define CACHE_ALL UINT32_MAX
#define NO_ROW (UINT32_MAX - (BLOCK_FRAMES - 1)) /* above all frame numbers of a zone */

/* ---- the hot word ---- */

#define HOT_LOWEST_SHIFT 8u
#define HOT_PUSH_SHIFT 16u
#define HOT_PUSH (1u << HOT_PUSH_SHIFT)             /* one push */
#define HOT_CACHE (HOT_PUSH - 1)                    /* lowest and count */
#define HOT_PUSHES(hot) ((hot) >> HOT_PUSH_SHIFT)
#define HOT_LOWEST(hot) ((uint32_t)(uint8_t)((hot) >> HOT_LOWEST_SHIFT))
#define HOT_COUNT(hot) ((uint32_t)(uint8_t)(hot))

/* The word with this count, which is the lowest one too. */
static inline uint64_t hot_at_lowest(uint64_t hot, uint32_t count)
{
	return (hot & ~(uint64_t)HOT_CACHE) | count << HOT_LOWEST_SHIFT | count;
}

/* All pushes, by a hot word that is no older than this number of them. */
static inline uint64_t pushes_in(uint64_t settled, uint64_t hot)
{
	return settled + ((HOT_PUSHES(hot) - settled) & (UINT64_MAX >> HOT_PUSH_SHIFT));
}

/*
 * All pushes so far. Their number in the hot word wraps after 2^48, which is a month at 100 million a second
 * (cpu_settle). Acquire: the hot word that is read next is not older.
 */
static inline uint64_t cpu_pushes(const struct ramka_cpu *cpu)
{
	uint64_t settled = ramka_load(&cpu->pushes, acquire, stat.held);

	return pushes_in(settled, ramka_load(&cpu->hot, relaxed, section.own));
}

static inline uint32_t cpu_count(const struct ramka_cpu *cpu)
{
	return HOT_COUNT(ramka_load(&cpu->hot, relaxed, section.own));
}

/*
 * Sets the number of cached frames; the lowest since the last settling becomes it as well. Release: frames
 * that are gone have been counted out (inspect/stats.c).
 */
static inline void set_count(struct ramka_cpu *cpu, uint32_t n)
{
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);

	ramka_store(&cpu->hot, hot_at_lowest(hot, n), release, stat.held);
}

/* Keeps the CPU nothing back, since its zone is nearly full? See lean.h. */
static inline bool cpu_is_lean(const struct ramka_cpu *cpu)
{
	return unlikely(!cpu->rows_max);
}

/*
 * The last refill found nothing in the home zone, and by the hints nothing came back since. Requests then go
 * to other zones at once. The last resort looks into the home zone whatever this says.
 */
static inline bool cpu_is_dry(const struct ramka_cpu *cpu)
{
	return unlikely(cpu->dry) && zone_seems_empty(cpu->zone);
}

/* ---- frame numbers ---- */

/* Frame number n of the home zone. The number is as wide as a register, as cpu_home gives it. */
static inline struct ramka_frame *cpu_slot(const struct ramka_cpu *cpu, uintptr_t n)
{
	return (struct ramka_frame *)(cpu->slots + (n << SLOT_SHIFT));
}

/*
 * The number of a slot in the CPU's home zone, as wide as a register, since to cut it would cost a hit an
 * instruction. False: range or alignment say that it is none.
 */
static inline bool cpu_home(const struct ramka_cpu *cpu, const struct ramka_frame *f, uintptr_t *ret_n)
{
	uintptr_t off = (uintptr_t)f - cpu->slots;
	/* a misaligned one becomes huge */
	uintptr_t n = off >> SLOT_SHIFT | off << (sizeof(off) * 8 - SLOT_SHIFT);

	*ret_n = n;
	return n < cpu->span;
}

/* The block passed the gate whose first frame this is; NO_ROW: none did. */
static inline void set_current(struct ramka_atomic_u32 *current, uint32_t first)
{
	ramka_store(current, first + BLOCK_FRAMES - 1, relaxed, section.own);
}

static inline uint32_t bit_of(const struct ramka_cpu *cpu, uint32_t n)
{
	return cpu->zone->low + n;
}

/* ---- rows ---- */

static inline uint64_t row_of(const struct ramka_cpu *cpu)
{
	return ramka_load(&cpu->row_mask, relaxed, section.own);
}

/* Frames that wait in rows. */
uint32_t cpu_in_rows(const struct ramka_cpu *cpu);

/* ---- the type of the last plain allocation ---- */

/* The entry that this CPU used last for a type without metadata: a hit compares one pointer. */
static inline const struct type_entry *plain_entry(const struct ramka_cpu *cpu)
{
	return (const struct type_entry *)(uintptr_t)ramka_load(&cpu->plain, relaxed, section.own);
}

static inline void set_plain_entry(struct ramka_cpu *cpu, const struct type_entry *e)
{
	ramka_store(&cpu->plain, (uintptr_t)e, relaxed, section.own);
}

#endif
