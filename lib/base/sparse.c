/* SPDX-License-Identifier: MIT */
/* A set of numbers that costs nothing where it is empty. See sparse.h. */
#include "sparse.h"

static uint64_t words_for(uint64_t bits)
{
	return bits / WORD_BITS + (bits % WORD_BITS != 0);
}

uint64_t sparse_words(uint64_t bound)
{
	uint64_t words = 0, n = bound ? bound : 1;

	do {
		n = words_for(n);
		words += n;
	} while (n > 1);
	return words;
}

void sparse_init(struct sparse *s, struct ramka_atomic_u64 *memory, uint64_t bound)
{
	uint64_t n = bound ? bound : 1;

	s->nr_levels = 0;
	do {
		n = words_for(n);
		s->level[s->nr_levels++] = memory;
		memory += n;
	} while (n > 1);
	ramka_store(&s->level[s->nr_levels - 1][0], 0, relaxed, map.late);
}

/* The bit of level `level` that stands for number n. */
static uint64_t at_level(uint64_t n, unsigned level)
{
	return n >> (WORD_ORDER * level);
}

/* Is the word meaningful: is its bit in the level above set, and so on up to the top? For the writer only. */
static bool word_valid(const struct sparse *s, unsigned level, uint64_t word)
{
	for (unsigned up = s->nr_levels - 1; up > level; up--) {
		uint64_t bit = at_level(word, up - level - 1);

		if (!(ramka_load(&s->level[up][bit / WORD_BITS], relaxed, map.late) >> (bit % WORD_BITS) & 1))
			return false;
	}
	return true;
}

/* The word of level 0 that has the bit of n, as a reader sees it; 0 where it means nothing. */
static always_inline uint64_t sparse_word(const struct sparse *s, uint64_t n)
{
	for (unsigned level = s->nr_levels;;) {
		uint64_t bit = at_level(n, --level);
		uint64_t w = ramka_load(&s->level[level][bit / WORD_BITS], acquire, map.late);

		if (!level)
			return w;
		if (!(w >> (bit % WORD_BITS) & 1))
			return 0;
	}
}

bool sparse_has(const struct sparse *s, uint64_t n)
{
	return sparse_word(s, n) >> (n % WORD_BITS) & 1;
}

/* The bits of a word that stand for numbers of [first, end). */
static uint64_t bits_of(uint64_t word, uint64_t first, uint64_t end)
{
	uint64_t mask = ~(uint64_t)0;

	if (word == first / WORD_BITS)
		mask &= ~bits_below((unsigned)(first % WORD_BITS));
	if (word == (end - 1) / WORD_BITS)
		mask &= bits_below((unsigned)((end - 1) % WORD_BITS) + 1);
	return mask;
}

void sparse_add(struct sparse *s, uint64_t first, uint64_t end)
{
	for (unsigned level = 0; level < s->nr_levels && first < end; level++) {
		uint64_t last = (end - 1) / WORD_BITS;

		for (uint64_t word = first / WORD_BITS; word <= last; word++) {
			struct ramka_atomic_u64 *w = &s->level[level][word];
			uint64_t mask = bits_of(word, first, end);

			if (~mask && word_valid(s, level, word))
				mask |= ramka_load(w, relaxed, map.late);
			ramka_store(w, mask, release, map.late);
		}
		first /= WORD_BITS;
		end = last + 1;
	}
}

void sparse_remove(struct sparse *s, uint64_t first, uint64_t end)
{
	for (unsigned level = 0; level < s->nr_levels && first < end; level++) {
		uint64_t low = first / WORD_BITS, last = (end - 1) / WORD_BITS;
		uint64_t next = low, stop = last + 1; /* words that are empty now */

		for (uint64_t word = low; word <= last; word++) {
			struct ramka_atomic_u64 *w = &s->level[level][word];
			uint64_t left;

			if (!word_valid(s, level, word))
				continue;
			left = ramka_load(w, relaxed, map.late) & ~bits_of(word, first, end);
			ramka_store(w, left, release, map.late);
			next += left && word == low;
			stop -= left && word == last;
		}
		first = next;
		end = stop;
	}
}

uint64_t sparse_next(const struct sparse *s, uint64_t from, uint64_t end)
{
	unsigned level = s->nr_levels - 1;

	while (from < end) {
		uint64_t bit = at_level(from, level);
		uint64_t w = ramka_load(&s->level[level][bit / WORD_BITS], acquire, map.late);

		w &= ~bits_below((unsigned)(bit % WORD_BITS));
		/*
		 * the rest of this word is empty: goes on from the top, which knows whether the next word
		 * means something
		 */
		if (!w) {
			from = (bit / WORD_BITS + 1) << (WORD_ORDER * (level + 1));
			level = s->nr_levels - 1;
			continue;
		}
		if (bits_lowest(w) != bit % WORD_BITS)
			from = (bit / WORD_BITS * WORD_BITS + bits_lowest(w)) << (WORD_ORDER * level);
		if (!level)
			return from < end ? from : end;
		level--;
	}
	return end;
}

uint64_t sparse_end(const struct sparse *s, uint64_t from, uint64_t end)
{
	while (from < end) {
		uint64_t rest = ~sparse_word(s, from) & ~bits_below((unsigned)(from % WORD_BITS));

		from = align_down(from, WORD_BITS) + (rest ? bits_lowest(rest) : WORD_BITS);
		if (rest)
			break;
	}
	return from < end ? from : end;
}
