/* SPDX-License-Identifier: MIT */
/*
 * A set of numbers below a bound, as a tree of 64-ary words. It says where memory is in a span that may be
 * nearly all hole. May use bits.h. One writer at a time, any number of readers.
 *
 * Level 0 has a bit for each number, every level above a bit for each word below. A word means nothing until
 * its bit in the level above is set; so set-up clears only the top word, and a set over terabytes costs no
 * time and no backing where it is empty. The writer stores the words first and then the bits above, with
 * release; a reader comes from the top, with acquire. So it does when it removes: a word is stored before the
 * bit above it is cleared, and a reader that still saw that bit finds the word without the number, or with
 * what was added since. Pair: map.late.
 */
#ifndef RAMKA_LIB_BASE_SPARSE_H
#define RAMKA_LIB_BASE_SPARSE_H

#include <ramka/atomic.h>

#include "bits.h"
#include "names.h"

#define SPARSE_LEVELS 9u /* 64^9 is 2^54: all frame numbers */

struct sparse {
	struct ramka_atomic_u64 *level[SPARSE_LEVELS];
	unsigned nr_levels;
};

/* Words that a set of numbers below `bound` needs. */
uint64_t sparse_words(uint64_t bound);
/* Makes an empty set in so many words, which need not be cleared. */
void sparse_init(struct sparse *s, struct ramka_atomic_u64 *memory, uint64_t bound);

/* Adds [first, end). One writer at a time. */
void sparse_add(struct sparse *s, uint64_t first, uint64_t end);
/* Removes what is a member of [first, end). One writer at a time. */
void sparse_remove(struct sparse *s, uint64_t first, uint64_t end);

bool sparse_has(const struct sparse *s, uint64_t n);
/* The first member of [from, end), or end. Time: a few words, however many numbers are skipped. */
uint64_t sparse_next(const struct sparse *s, uint64_t from, uint64_t end);
/* The first number of [from, end) that is no member, or end. Time: a few words for each 64 members. */
uint64_t sparse_end(const struct sparse *s, uint64_t from, uint64_t end);
#endif
