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
		block = territory_pick_lasting(cpu->zone, cpu->me, &cpu->own, order,
					       block == NO_BLOCK ? cpu->home : block);
		if (block == NO_BLOCK)
			break;
		move_to(cpu, block);
	}
	return n;
}

bool lasting_get(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n)
{
	uint32_t most = ramka_load(&cpu->order_max[0], relaxed, stat);
	uint32_t bits[STACK_MAX], n;

	if (!order && order_get_held(cpu, 0, ret_n))
		return true;
	cpu_settle(cpu);
	count_move(cpu, true);
	n = order || !most ? 1 : most < cpu->keep ? most : cpu->keep;
	n = (uint32_t)(account_spare(cpu, (uint64_t)n << order) >> order);
	n = n ? take_lasting(cpu, order, n, bits) : 0;
	if (n)
		*ret_n = order_fill(cpu, order, bits, n);
	count_move(cpu, true);
	return n != 0;
}
