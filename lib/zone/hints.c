/* SPDX-License-Identifier: MIT */
/* The trees of hints. What they promise, and the race between a setter and a clearer: hints.h. */
#include "../base/mem.h"

#include "hints.h"

/*
 * A search among so many blocks looks at each chunk again rather than write to a word of level 1, on a line
 * that the chunks of many CPUs share.
 */
#define NEAR_BLOCKS (8 * CHUNK_BLOCKS)

/* The word of a chunk at level 0. */
static struct ramka_atomic_u64 *leaf(const struct hints *h, uint32_t chunk)
{
	return &h->level[0][(size_t)chunk * HINT_LINE];
}

static struct ramka_atomic_u64 *word_at(const struct hints *h, unsigned level, uint32_t word)
{
	return level ? &h->level[level][word] : leaf(h, word);
}

/* ---- setting and clearing ---- */

/* The word `word` below `level` has a bit now: sets its bit above, and so on while words were empty. */
static void hints_set_up(const struct hints *h, unsigned level, uint32_t word)
{
	for (; level < h->nr_levels; level++) {
		uint64_t bit = (uint64_t)1 << (word % WORD_BITS);

		if (ramka_or(&h->level[level][word / WORD_BITS], bit, release, hint))
			return;
		word /= WORD_BITS;
	}
}

void hints_set_mask(struct hints *h, uint32_t chunk, uint64_t mask)
{
	if (!(ramka_or(leaf(h, chunk), mask | HINT_TOLD, release, hint) & HINT_TOLD))
		hints_set_up(h, 1, chunk);
}

void hints_set(struct hints *h, uint32_t block)
{
	hints_set_mask(h, block / CHUNK_BLOCKS, (uint64_t)1 << (block % CHUNK_BLOCKS));
}

void hints_clear_mask(struct hints *h, uint32_t chunk, uint64_t mask)
{
	ramka_and(leaf(h, chunk), ~mask, acquire, hint);
}

/* The word `word` below `level` became empty: clears its bit above, looks again, and so on upward. */
static void hints_clear_up(const struct hints *h, unsigned level, uint32_t word)
{
	for (; level < h->nr_levels; level++) {
		uint64_t bit = (uint64_t)1 << (word % WORD_BITS);
		uint64_t old = ramka_and(&h->level[level][word / WORD_BITS], ~bit, acquire, hint);

		if (ramka_load(word_at(h, level - 1, word), relaxed, hint)) {
			hints_set_up(h, level, word);
			return;
		}
		if (old & ~bit)
			return;
		word /= WORD_BITS;
	}
}

/* A search was sent to this chunk by the level above and found no block. */
static void hints_forget(const struct hints *h, uint32_t chunk)
{
	uint64_t told = HINT_TOLD;

	if (ramka_cas(leaf(h, chunk), &told, 0, relaxed, hint) || !told)
		hints_clear_up(h, 1, chunk);
}

/* ---- searching ---- */

uint64_t hints_word(const struct hints *h, uint32_t chunk)
{
	return ramka_load(leaf(h, chunk), relaxed, hint) & bits_below(CHUNK_BLOCKS);
}

/* The bits of a word from `from` on, where `from` and the word are of this level. */
static uint64_t bits_from(const struct hints *h, unsigned level, uint32_t from)
{
	if (!level)
		return hints_word(h, from / CHUNK_BLOCKS) & ~bits_below(from % CHUNK_BLOCKS);
	return ramka_load(&h->level[level][from / WORD_BITS], relaxed, hint) & ~bits_below(from % WORD_BITS);
}

/* The chunk of `from` has nothing: goes up, and down again where there is something. */
static uint32_t next_beyond(const struct hints *h, uint32_t from, uint32_t end)
{
	bool far = end - from > NEAR_BLOCKS, sent = false; /* by the level above */
	unsigned level = 0;

	for (;;) {
		uint32_t width = level ? WORD_BITS : CHUNK_BLOCKS, word = from / width;
		uint64_t w;

		if (word >= h->words[level])
			return NO_BLOCK;
		w = bits_from(h, level, from);
		if (!w) {
			if (!level && sent && far)
				hints_forget(h, word);
			if (++level == h->nr_levels)
				return NO_BLOCK;
			from = word + 1;
			continue;
		}
		from = word * width + bits_lowest(w);
		if (!level)
			return from < end ? from : NO_BLOCK;
		sent = true;
		from *= --level ? WORD_BITS : CHUNK_BLOCKS;
		/* a chunk behind the end is another CPU's, perhaps: it is neither read nor forgotten */
		if (!level && from >= end)
			return NO_BLOCK;
	}
}

uint32_t hints_next(const struct hints *h, uint32_t from, uint32_t end)
{
	uint64_t w;

	if (from >= end)
		return NO_BLOCK;
	w = hints_word(h, from / CHUNK_BLOCKS) >> (from % CHUNK_BLOCKS);
	if (!w)
		return next_beyond(h, from, end);
	from += bits_lowest(w);
	return from < end ? from : NO_BLOCK;
}

/* ---- set-up ---- */

/* Words of a level above so many others. */
static uint32_t words_above(uint32_t n)
{
	return n / WORD_BITS + (n % WORD_BITS != 0);
}

static uint32_t chunks_of(uint32_t blocks)
{
	return blocks / CHUNK_BLOCKS + (blocks % CHUNK_BLOCKS != 0);
}

size_t hints_size(uint32_t blocks)
{
	uint32_t n = chunks_of(blocks);
	size_t words = (size_t)n * HINT_LINE;

	for (; n > 1; words += n)
		n = words_above(n);
	return (size_t)align_up(words, HINT_LINE);
}

void hints_init(struct hints *h, struct ramka_atomic_u64 *memory, uint32_t blocks)
{
	uint32_t n = chunks_of(blocks);

	h->level[0] = memory;
	h->words[0] = n;
	memory += (size_t)n * HINT_LINE;
	for (h->nr_levels = 1; n > 1; h->nr_levels++) {
		n = words_above(n);
		h->level[h->nr_levels] = memory;
		h->words[h->nr_levels] = n;
		memory += n;
	}
}
