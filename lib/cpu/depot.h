/* SPDX-License-Identifier: MIT */
/*
 * A depot: lock-free stacks of full magazines, one shard per CPU. An instance has two: one between the caches
 * and the zones, and one whose shards are the CPUs' mailboxes (mail.h). May use base alone: it knows frame
 * numbers and nothing else. One CAS moves up to 64 frames.
 *
 * A magazine is a preallocated descriptor. It belongs to one shard, its home, and returns to the home's stack
 * of empties when it is emptied, so a shard is bounded. Both stacks are Treiber stacks. The head of one:
 *
 *    63                     24 23              0
 *   +-------------------------+-----------------+
 *   |        tag (40)         | index + 1 (24)  |    index + 1: of the first magazine; 0: the stack is empty
 *   +-------------------------+-----------------+
 *
 * States of a magazine: EMPTY (in its home's empties), FULL (in its home's full stack), HELD (by the call
 * that popped it).
 *
 * Races. A popper may read `next` of a magazine that another CPU pops meanwhile. Each change of the head
 * raises the tag by one, so the popper's CAS then fails. So `next` is atomic, and no plain store writes the
 * head. At 100 million changes a second the tag wraps in three hours.
 *
 * Pair: depot.push (release) with every load of the head and every CAS that pops (acquire). The pop also
 * releases: a CPU that takes a magazine has counted the movement before, and a CPU that then finds the stack
 * empty must see that count (account.h).
 */
#ifndef RAMKA_LIB_CPU_DEPOT_H
#define RAMKA_LIB_CPU_DEPOT_H

#include <ramka/atomic.h>

#include "../base/bits.h"
#include "../base/names.h"

#define MAGAZINE_SIZE 64u
#define SHARD_MAGAZINES 16u
#define DEPOT_INDEX 0xffffffu /* the low part of a head */

struct magazine {
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u32 next; /* index + 1 */
	uint32_t count;
	uint32_t home; /* its shard */
	uint32_t frames[MAGAZINE_SIZE];
};

/* Two heads, a cache line each. */
struct shard {
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 full;
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 empty;
	struct ramka_atomic_u64 cached; /* frames in its full magazines, for statistics */
};

struct depot {
	struct shard *shards;
	struct magazine *magazines; /* per_shard for each shard */
	unsigned nr_shards;
	uint32_t per_shard; /* magazines of each, at most */
	uint32_t given;     /* magazines that each shard has got; for depot_grow alone */
};

/*
 * Gives each shard so many magazines in all, at most per_shard; the new ones are empty. None is ever
 * taken back. Called at set-up and when memory is added (setup/tune.c): one call at a time, beside any other.
 */
void depot_grow(struct depot *d, uint32_t nr);

/* An empty magazine of the shard, now held by the caller; NULL at its bound. */
struct magazine *depot_get_empty(struct depot *d, unsigned shard);
/* A full magazine, held by the caller until depot_put_empty. */
struct magazine *depot_pop(struct depot *d, unsigned shard);
void depot_push(struct depot *d, struct magazine *m);
void depot_put_empty(struct depot *d, struct magazine *m);

/* Index + 1 of the first full magazine of the shard, or 0. */
static inline uint32_t depot_first(const struct depot *d, unsigned shard)
{
	return (uint32_t)ramka_load(&d->shards[shard].full, acquire, depot.push) & DEPOT_INDEX;
}

/* Frames in the full magazines of the shard, about; 0 if the depot has no such shard. */
static inline uint64_t depot_cached(const struct depot *d, unsigned shard)
{
	return shard < d->nr_shards ? ramka_load(&d->shards[shard].cached, relaxed, stat) : 0;
}

/* Index + 1 of the shard's first empty magazine, or 0; no more than a guess by the time it is used. */
static inline uint32_t depot_first_empty(const struct depot *d, unsigned shard)
{
	return (uint32_t)ramka_load(&d->shards[shard].empty, relaxed, depot.look) & DEPOT_INDEX;
}

/*
 * Fetches the part of a magazine that holds `nr` frames into the data cache, for writing; `first`: its index
 * + 1, or 0. By the time it is asked for, it is here.
 */
static inline void depot_fetch(const struct depot *d, uint32_t first, uint32_t nr)
{
	size_t bytes = offsetof(struct magazine, frames) + nr * sizeof(uint32_t);

	for (size_t i = 0; first && i < bytes; i += LINE_BYTES)
		__builtin_prefetch((const char *)&d->magazines[first - 1] + i, 1);
}

static inline bool depot_has_full(const struct depot *d, unsigned shard)
{
	return depot_first(d, shard) != 0;
}

#endif
