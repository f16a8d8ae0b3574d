/* SPDX-License-Identifier: MIT */
/* Frames for requests that last. See lasting.h. */
#include "../zone/territory.h"
#include "lasting.h"

#define LASTING_TRIES 4u

/* `block` serves such requests from now on; the caches of others refill elsewhere. */
static void move_to(struct ramka_cpu *cpu, uint32_t block)
{
	cpu->lasting_block = block;
	if (cpu->block == block)
		cpu->block = NO_BLOCK;
	if (cpu->run_block == block)
		cpu->run_block = NO_BLOCK;
}

/* Up to `want` frames out of one block, ascending; orders above 6 one by one. */
static uint32_t take_from(struct ramka_cpu *cpu, uint32_t block, unsigned order, uint32_t want,
			  uint32_t *ret_bits)
{
	if (order <= WORD_ORDER)
		return bitmap_take_runs(&cpu->zone->map, block, order, want, ret_bits);
	*ret_bits = bitmap_claim(&cpu->zone->map, block, order, BLOCK_FRAMES);
	return *ret_bits != NO_FRAME;
}

static uint32_t take_lasting(struct ramka_cpu *cpu, unsigned order, uint32_t want, uint32_t *ret_bits)
{
	uint32_t block = cpu->lasting_block, n = 0;

	for (unsigned i = 0; i < LASTING_TRIES; i++) {
		if (block != NO_BLOCK)
			n = take_from(cpu, block, order, want, ret_bits);
		if (n)
			break;
		block = territory_pick_lasting(cpu->zone, cpu->me, order,
					       block == NO_BLOCK ? cpu->home : block);
		if (block == NO_BLOCK)
			break;
		move_to(cpu, block);
	}
	return n;
}

bool lasting_get(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n)
{
	uint32_t most = ramka_load(&cpu->r->order_max[0], relaxed, stat);
	uint32_t held = order ? 0 : order_count(cpu, 0);
	uint32_t *frames = cache_of(cpu)->larger_frames + order_at(0), bits[32], n;

	if (held) {
		*ret_n = frames[held - 1];
		ramka_store(&cache_of(cpu)->larger[0], held - 1, relaxed, section.own);
		return true;
	}
	cpu_settle(cpu);
	count_move(cpu, true);
	n = order || !most ? 1 : most;
	n = (uint32_t)(account_spare(cpu, (uint64_t)n << order) >> order);
	n = n ? take_lasting(cpu, order, n, bits) : 0;
	if (n) {
		for (uint32_t i = 0; i + 1 < n; i++) /* popped in ascending order */
			frames[i] = bits[n - 1 - i] - cpu->zone->low;
		if (!order)
			ramka_store(&cache_of(cpu)->larger[0], n - 1, relaxed, section.own);
		*ret_n = bits[0] - cpu->zone->low;
		account_zone(cpu, cpu->zone, (int64_t)n << order, true);
		own_add(&cpu->uncached, (uint64_t)n << order);
		own_add(&cpu->larger_in, n);
		own_add(&cpu->refills, 1);
	}
	count_move(cpu, true);
	return n != 0;
}
