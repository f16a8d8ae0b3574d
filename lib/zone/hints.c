/* SPDX-License-Identifier: MIT */
/* The trees of hints. What they promise, and the race between a setter and a clearer: hints.h. */
#include "../base/mem.h"

#include "hints.h"

/*
 * Sets bits of one word, and the bit in the level above if the word was empty. There is no "test, then set":
 * a setter that saw a bit which a clearer is about to remove would leave the block hidden.
 */
void hints_set_mask(struct hints *h, unsigned level, uint32_t word, uint64_t mask)
{
	while (!ramka_or(&h->level[level][word], mask, release, hint) && ++level < h->nr_levels) {
		mask = (uint64_t)1 << (word % WORD_BITS);
		word /= WORD_BITS;
	}
}

void hints_set(struct hints *h, uint32_t block)
{
	hints_set_mask(h, 0, block / WORD_BITS, (uint64_t)1 << (block % WORD_BITS));
}

/* The word `word` of `level - 1` became empty: clears its bit above, looks again, and so on upward. */
static void hints_clear_up(struct hints *h, unsigned level, uint32_t word)
{
	for (; level < h->nr_levels; level++) {
		uint64_t bit = (uint64_t)1 << (word % WORD_BITS);
		uint64_t old = ramka_and(&h->level[level][word / WORD_BITS], ~bit, acquire, hint);

		if (ramka_load(&h->level[level - 1][word], relaxed, hint)) {
			hints_set_mask(h, level, word / WORD_BITS, bit);
			return;
		}
		if (old & ~bit)
			return;
		word /= WORD_BITS;
	}
}

void hints_clear_mask(struct hints *h, uint32_t word, uint64_t mask)
{
	uint64_t old = ramka_and(&h->level[0][word], ~mask, acquire, hint);

	if ((old & mask) && !(old & ~mask))
		hints_clear_up(h, 1, word);
}

uint64_t hints_word(const struct hints *h, uint32_t chunk)
{
	return ramka_load(&h->level[0][chunk], relaxed, hint);
}

uint32_t hints_next(const struct hints *h, uint32_t from, uint32_t end)
{
	unsigned level = 0;

	if (from >= end)
		return NO_BLOCK;
	for (;;) {
		uint32_t word = from / WORD_BITS;
		uint64_t w;

		if (word >= h->words[level])
			return NO_BLOCK;
		w = ramka_load(&h->level[level][word], relaxed, hint) & ~bits_below(from % WORD_BITS);
		if (!w) {
			if (++level == h->nr_levels)
				return NO_BLOCK;
			from = word + 1;
			continue;
		}
		from = word * WORD_BITS + bits_lowest(w);
		if (!level)
			return from < end ? from : NO_BLOCK;
		level--;
		from *= WORD_BITS;
	}
}

static uint32_t hint_words(uint32_t bits)
{
	return bits / WORD_BITS + (bits % WORD_BITS != 0);
}

size_t hints_size(uint32_t blocks)
{
	size_t words = 0;
	uint32_t n = blocks;

	do {
		n = hint_words(n);
		words += n;
	} while (n > 1);
	return words;
}

void hints_init(struct hints *h, struct ramka_atomic_u64 *memory, uint32_t blocks)
{
	uint32_t n = blocks;

	h->nr_levels = 0;
	do {
		n = hint_words(n);
		h->level[h->nr_levels] = memory;
		h->words[h->nr_levels++] = n;
		memory += n;
	} while (n > 1);
}
