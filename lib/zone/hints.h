/* SPDX-License-Identifier: MIT */
/*
 * A tree of hints: which blocks are worth a look. May use base/bits.h. Called by bitmap.c and zone.c.
 *
 * Level 0 has a bit for each block, every level above a bit for each word below. A hint may be stale for as
 * long as a call is parked half-way, so it is never believed when the answer would be "no memory" (zone.c
 * then reads the block entries).
 *
 *   set     unconditional RMW, once the block entry says so; on to the level above if the word was empty.
 *           There is no "test, then set": a setter that saw a bit which a clearer is about to remove would
 *           leave the block hidden
 *   clear   RMW, then the clearer looks at the block entry again and sets the hint again if needed.
 *
 * Pair: hint.
 */
#ifndef RAMKA_LIB_ZONE_HINTS_H
#define RAMKA_LIB_ZONE_HINTS_H

#include <ramka/atomic.h>

#include "../base/bits.h"
#include "../base/names.h"

#define HINT_LEVELS 5u
#define NO_BLOCK UINT32_MAX

struct hints {
	struct ramka_atomic_u64 *level[HINT_LEVELS];
	uint32_t words[HINT_LEVELS];
	unsigned nr_levels;
};

/* Next block at or after `from` and below `end` whose hint is set; NO_BLOCK if none. */
uint32_t hints_next(const struct hints *h, uint32_t from, uint32_t end);
/* The hint word of a chunk. */
uint64_t hints_word(const struct hints *h, uint32_t chunk);
/* Sets bits of one word and tells the levels above when the word was empty. */
void hints_set_mask(struct hints *h, unsigned level, uint32_t word, uint64_t mask);
void hints_set(struct hints *h, uint32_t block);
/* Clears bits of one word of level 0. The caller looks at the block entries again. */
void hints_clear_mask(struct hints *h, uint32_t word, uint64_t mask);

/* ---- set-up, before other CPUs look ---- */

/* Words that the hint tree of so many blocks needs. */
size_t hints_size(uint32_t blocks);
void hints_init(struct hints *h, struct ramka_atomic_u64 *memory, uint32_t blocks);

#endif
