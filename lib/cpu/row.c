/* SPDX-License-Identifier: MIT */
/* Rows. See row.h. */
#include "row.h"

uint32_t cpu_in_rows(const struct ramka_cpu *cpu)
{
	uint32_t n = bits_count(row_of(cpu));

	for (unsigned i = 0; i < ROWS; i++) {
		uint64_t mask = ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own);

		if (mask)
			n += bits_count(mask);
	}
	return n;
}

/* Returns how many frames that were. */
static uint32_t free_word(struct ramka_cpu *cpu, struct zone *z, uint32_t word, uint64_t mask)
{
	uint32_t n = bitmap_free_mask(&z->map, word, mask);

	if (likely(n))
		return n;
	ramka_add(&cpu->r->corrupt, 1, relaxed, stat);
	return bits_count(mask);
}

/* Frees cached frames into the zone; neighbours of one word in one go. */
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
 * All rows go to the zone. In one burst: a locked operation waits for every cache miss before it, so between bursts
 * the misses of frees that follow each other overlap.
 */
void flush_rows(struct ramka_cpu *cpu)
{
	uint64_t mask = row_of(cpu);
	uint32_t freed = 0;

	for (unsigned i = 0; i < cpu->nr_rows; i++) {
		uint64_t closed = ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own);

		if (!closed)
			continue;
		freed += free_word(cpu, cpu->zone, bit_of(cpu, cache_of(cpu)->rows[i]) / WORD_BITS, closed);
		ramka_store(&cache_of(cpu)->row_masks[i], 0, relaxed, section.own);
	}
	if (mask)
		freed += free_word(cpu, cpu->zone, bit_of(cpu, cpu->row) / WORD_BITS, mask);
	ramka_store(&cpu->row_mask, 0, relaxed, section.own);
	if (freed)
		account_zone(cpu, cpu->zone, -(int64_t)freed, true);
	own_add(&cpu->moved_out, freed);
	cpu->row = NO_ROW;
	cpu->nr_rows = cpu->rows_settled = 0;
}

/* flush_rows as a movement of its own. */
void give_rows(struct ramka_cpu *cpu)
{
	cpu_settle(cpu);
	count_move(cpu, true);
	flush_rows(cpu);
	count_move(cpu, true);
}

/* A run of 2^order frames out of one row: what was freed last and still lies together. Inside the section. */
static inline bool take_from_row(struct ramka_atomic_u64 *row_mask, unsigned order, uint32_t *ret_at)
{
	uint64_t mask = ramka_load(row_mask, relaxed, section.own), starts = bits_run_starts(mask, order);

	if (!starts)
		return false;
	*ret_at = bits_lowest(starts);
	ramka_store(row_mask, mask & ~bits_run(*ret_at, order), relaxed, section.own);
	return true;
}

bool take_from_rows(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n)
{
	uint32_t row = cpu->row, nr = 1u << order, at;

	if (!take_from_row(&cpu->row_mask, order, &at)) {
		unsigned i = cpu->nr_rows;

		do {
			if (!i--)
				return false;
		} while (!take_from_row(&cache_of(cpu)->row_masks[i], order, &at));
		row = cache_of(cpu)->rows[i];
	}
	cpu->rows_settled -= cpu->rows_settled < nr ? cpu->rows_settled : nr;
	own_add(&cpu->allocs, 1 - (uint64_t)nr);
	*ret_n = row + at;
	return true;
}

/* A whole word of the block that the last frame of order > 0 came from, into a row: the next ones lie beside it. */
bool refill_row(struct ramka_cpu *cpu)
{
	uint32_t bit = zone_alloc_near(cpu->zone, WORD_ORDER, cpu->cursor);

	if (bit == NO_FRAME)
		return false;
	make_row(cpu);
	cpu_settle(cpu);
	count_move(cpu, true);
	open_row(cpu, bit, ~(uint64_t)0);
	own_add(&cpu->moved_in, WORD_BITS);
	own_add(&cpu->refills, 1);
	account_zone(cpu, cpu->zone, WORD_BITS, true);
	cpu->rows_settled += WORD_BITS;
	count_move(cpu, true);
	return true;
}

/*
 * Frames of order 1 to 6 wait in rows as well. The formulas of statistics count rows in base frames, so one put of 2^order of
 * them is that many pushes and that many puts less, but one.
 */
bool cpu_free_run(struct ramka_cpu *cpu, struct ramka_frame *f, uint32_t n, unsigned order)
{
	uint32_t bit = bit_of(cpu, n);
	uint64_t nr = (uint64_t)1 << order;

	if (!section_enter(cpu))
		return false;
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	own_add(&cpu->puts, 1 - nr);
	if (n - cpu->row < WORD_BITS) {
		ramka_store(&cpu->row_mask, row_of(cpu) | bits_run(bit % WORD_BITS, order), relaxed, section.own);
	} else {
		make_row(cpu);
		open_row(cpu, bit, bits_run(bit % WORD_BITS, order));
	}
	count_row_pushes(cpu, nr);
	section_leave(cpu);
	return true;
}

struct ramka_frame *cpu_alloc_run(struct ramka_cpu *cpu, unsigned order)
{
	uint32_t n;
	bool ok;

	if (!section_enter(cpu))
		return NULL;
	ok = take_from_rows(cpu, order, &n);
	section_leave(cpu);
	return ok ? cpu_slot(cpu, n) : NULL;
}
