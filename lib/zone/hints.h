/* SPDX-License-Identifier: MIT */
/*
 * A tree of hints: which blocks are worth a look. May use base/bits.h.
 *
 * Level 0 has a word for each chunk of 32 blocks:
 *
 *    63     62            32 31                       0
 *   +------+----------------+--------------------------+
 *   | TOLD |       0        |   a bit for each block   |
 *   +------+----------------+--------------------------+
 *
 * TOLD says that the level above has this word's bit or is about to get it. Every level above has a bit for
 * each word below. A hint may be stale for as long as a call is parked half-way, so it is never believed when
 * the answer would be "no memory" (zone.c then reads the block entries).
 *
 *   set     unconditional RMW, once the block entry says so; on to the level above if the word was empty,
 *           TOLD included. There is no "test, then set": a setter that saw a bit which a clearer is about
 *           to remove would leave the block hidden.
 *   clear   RMW, then the clearer looks at the block entry again and sets the hint again if needed. TOLD
 *           stays.
 *   forget  a search that comes from the level above and finds no block takes TOLD away by CAS. If the word
 *           is empty then, it clears the bit above, looks at the word again and sets that bit again if
 *           needed.
 *
 * A word of level 0 has a cache line of its own, and TOLD spares the line above. So a CPU that works in
 * chunks of its own changes no line of hints that other CPUs use, however often its blocks become full,
 * partly used or whole.
 *
 * Pair: hint.
 */
#ifndef RAMKA_LIB_ZONE_HINTS_H
#define RAMKA_LIB_ZONE_HINTS_H

#include <ramka/atomic.h>

#include "../base/bits.h"
#include "../base/names.h"

#define HINT_LEVELS 5u
#define HINT_LINE 8u /* words of level 0 lie so many apart */
#define HINT_TOLD (UINT64_C(1) << 63)
#define NO_BLOCK UINT32_MAX

struct hints {
	struct ramka_atomic_u64 *level[HINT_LEVELS];
	uint32_t words[HINT_LEVELS]; /* that are used: of level 0 one in eight */
	unsigned nr_levels;
};

/* Next block at or after `from` and below `end` whose hint is set; NO_BLOCK if none. */
uint32_t hints_next(const struct hints *h, uint32_t from, uint32_t end);
/* The hint word of a chunk. */
uint64_t hints_word(const struct hints *h, uint32_t chunk);
/* Sets hints of one chunk. */
void hints_set_mask(struct hints *h, uint32_t chunk, uint64_t mask);
void hints_set(struct hints *h, uint32_t block);
/* Clears hints of one chunk. The caller looks at the block entries again. */
void hints_clear_mask(struct hints *h, uint32_t chunk, uint64_t mask);

/* ---- set-up, before other CPUs look ---- */

/* Words that the hint tree of so many blocks needs: whole cache lines. */
size_t hints_size(uint32_t blocks);
void hints_init(struct hints *h, struct ramka_atomic_u64 *memory, uint32_t blocks);

#endif
