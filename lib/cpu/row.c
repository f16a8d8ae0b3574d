/* SPDX-License-Identifier: MIT */
/* Rows. See row.h. */
#include "row.h"

/* The open row first: what it loses by being closed lies in a closed one then. */
uint32_t cpu_in_rows(const struct ramka_cpu *cpu)
{
	uint32_t n = bits_count(ramka_load(&cpu->row_mask, acquire, stat.held));

	for (unsigned i = 0; i < ROWS; i++) {
		uint64_t mask = ramka_load(&cache_of(cpu)->row_masks[i], acquire, stat.held);

		if (mask)
			n += bits_count(mask);
	}
	return n;
}

/* Returns how many frames these were. */
static uint32_t free_word(struct ramka_cpu *cpu, struct zone *z, uint32_t word, uint64_t mask)
{
	uint32_t n = bitmap_free_mask(&z->map, word, mask);

	if (likely(n))
		return n;
	ramka_add(&cpu->r->corrupt, 1, relaxed, stat);
	return bits_count(mask);
}

void free_frames(struct ramka_cpu *cpu, struct zone *z, const uint32_t *frames, uint32_t n, bool inside)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t bit = z->low + frames[i];

		mask |= (uint64_t)1 << (bit % WORD_BITS);
		if (i + 1 < n && (z->low + frames[i + 1]) / WORD_BITS == bit / WORD_BITS)
			continue;
		free_word(cpu, z, bit / WORD_BITS, mask);
		mask = 0;
	}
	account_zone(cpu, z, -(int64_t)n, inside);
}

/*
 * All rows go to the zone in one burst. A locked operation waits for every cache miss before it, so between
 * bursts the misses of consecutive frees overlap.
 */
void flush_rows(struct ramka_cpu *cpu)
{
	uint64_t mask = row_of(cpu);
	uint32_t freed = 0;

	for (unsigned i = 0; i < cpu->nr_rows; i++) {
		uint64_t closed = ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own);

		if (closed)
			freed += free_word(cpu, cpu->zone,
					   bit_of(cpu, cache_of(cpu)->rows[i]) / WORD_BITS, closed);
	}
	if (mask)
		freed += free_word(cpu, cpu->zone, bit_of(cpu, cpu->row) / WORD_BITS, mask);
	if (freed)
		account_zone(cpu, cpu->zone, -(int64_t)freed, true);
	own_add(&cpu->moved_out, freed);
	for (unsigned i = 0; i < cpu->nr_rows; i++)
		ramka_store(&cache_of(cpu)->row_masks[i], 0, release, stat.held);
	ramka_store(&cpu->row_mask, 0, release, stat.held);
	cpu->row = NO_ROW;
	cpu->nr_rows = cpu->rows_settled = 0;
}

void give_rows(struct ramka_cpu *cpu)
{
	cpu_settle(cpu);
	count_move(cpu, true);
	flush_rows(cpu);
	count_move(cpu, true);
}
