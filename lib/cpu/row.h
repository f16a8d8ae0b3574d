/* SPDX-License-Identifier: MIT */
/*
 * Rows: freed frames that wait to be freed into the bitmap together. May use account.h.
 *
 * A row is a set of frames of one bitmap word: the first frame's number and a mask. A CPU has one open row,
 * which collects frees, and up to ROWS closed ones, fewer where memory is small. All of them go to the zone
 * in one burst. Frames of orders 1 to 6 that their gate refuses wait here too (order.h).
 */
#ifndef RAMKA_LIB_CPU_ROW_H
#define RAMKA_LIB_CPU_ROW_H

#include "account.h"

/* Frees cached frames into the zone; neighbours of one word in one go. */
void free_frames(struct ramka_cpu *cpu, struct zone *z, const uint32_t *frames, uint32_t n, bool inside);
/* All rows go to the zone. The caller counts the movement. */
void flush_rows(struct ramka_cpu *cpu);
/* flush_rows as a movement of its own. */
void give_rows(struct ramka_cpu *cpu);
/*
 * Closes the row, even an empty one, and opens another with these frames. There must be room for a closed
 * row.
 */
static inline void open_row(struct ramka_cpu *cpu, uint32_t bit, uint64_t mask)
{
	/* by the time it is flushed, the word is here */
	__builtin_prefetch(&cpu->zone->map.words[bit / WORD_BITS], 1);
	cache_of(cpu)->rows[cpu->nr_rows] = cpu->row;
	ramka_store(&cache_of(cpu)->row_masks[cpu->nr_rows++], row_of(cpu), relaxed, section.own);
	cpu->row = bit / WORD_BITS * WORD_BITS - cpu->zone->low;
	ramka_store(&cpu->row_mask, mask, release, stat.held); /* the closed row is there */
}

/*
 * Counts frames that lie in a row now. Release: a CPU that sees the count sees them in the row (account.h).
 */
static inline void count_row_pushes(struct ramka_cpu *cpu, uint64_t nr)
{
	ramka_store(&cpu->hot, ramka_load(&cpu->hot, relaxed, section.own) + nr * HOT_PUSH, release,
		    nomem.collect);
}

/* Has the CPU as many closed rows as it may? */
static inline bool rows_full(const struct ramka_cpu *cpu)
{
	return cpu->nr_rows >= cpu->rows_max;
}

/* Room for one more closed row. */
static inline void make_row(struct ramka_cpu *cpu)
{
	if (unlikely(rows_full(cpu)))
		give_rows(cpu);
}

/* Puts frames of the word of `bit` into a row. Inside the section; the caller counts. */
static inline void put_into_row(struct ramka_cpu *cpu, uint32_t bit, uint64_t mask)
{
	if (bit - cpu->zone->low - cpu->row < WORD_BITS) {
		ramka_store(&cpu->row_mask, row_of(cpu) | mask, relaxed, section.own);
	} else {
		make_row(cpu);
		open_row(cpu, bit, mask);
	}
}

#endif
