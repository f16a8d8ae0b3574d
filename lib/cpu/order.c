/* SPDX-License-Identifier: MIT */
/* Caches of frames of orders 1 to 10: refill, flush, gate. See order.h. */
#include "../base/mem.h"

#include "gate.h"
#include "order.h"
#include "row.h"

#define ORDER_TRIES 4u
#define IN_BLOCKS 4u /* times as many base frames in orders 9 and 10 */

/* ---- counting ---- */

uint64_t order_held(const struct ramka_cpu *cpu)
{
	uint64_t n = 0;

	for (unsigned order = 0; order <= TOP_ORDER; order++)
		n += (uint64_t)order_count(cpu, order) << order;
	return n;
}

uint64_t order_number(const struct ramka_cpu *cpu)
{
	uint64_t n = 0;

	for (unsigned order = 0; order <= TOP_ORDER; order++)
		n += ramka_load(&cache_of(cpu)->larger[order], acquire, stat.held);
	return n;
}

void order_set_bounds(struct ramka *r, uint64_t frames)
{
	for (unsigned order = 0; order <= TOP_ORDER; order++) {
		uint64_t room = order_at(order + 1) - order_at(order);
		uint64_t most = frames * (order < BLOCK_ORDER ? 1 : IN_BLOCKS) >> order;

		ramka_store(&r->order_max[order], (uint32_t)(most < room ? most : room), relaxed, stat);
	}
}

static uint32_t *stack_of(const struct ramka_cpu *cpu, unsigned order)
{
	return cache_of(cpu)->larger_frames + order_at(order);
}

/* ---- to the zone ---- */

static void corrupt_if(struct ramka_cpu *cpu, bool wrong)
{
	if (unlikely(wrong))
		ramka_add(&cpu->r->corrupt, 1, relaxed, stat);
}

/* Are the frames all that one block has? There are as many as it has of their order. */
static bool make_block(const struct ramka_cpu *cpu, unsigned order, const uint32_t *frames)
{
	uint32_t block = bit_of(cpu, frames[0]) / BLOCK_FRAMES, n = BLOCK_FRAMES >> order, seen = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t bit = bit_of(cpu, frames[i]);

		if (bit / BLOCK_FRAMES != block)
			return false;
		seen |= 1u << (bit % BLOCK_FRAMES >> order);
	}
	return seen == (uint32_t)bits_below(n);
}

/* Frees n stacked frames of order 6 to 8; those that lie in one block with one change of its count. */
static void give_words(struct ramka_cpu *cpu, unsigned order, const uint32_t *frames, uint32_t n)
{
	struct bitmap *map = &cpu->zone->map;
	uint32_t each = BLOCK_FRAMES >> order, done;
	unsigned uncounted = 0, run = 0;

	for (uint32_t i = 0; i < n; i += done) {
		uint32_t bit = bit_of(cpu, frames[i]);
		unsigned set;

		done = each <= n - i && !uncounted && make_block(cpu, order, frames + i) ? each : 1;
		if (done > 1) {
			corrupt_if(cpu, !bitmap_free_all(map, bit / BLOCK_FRAMES));
			continue;
		}
		set = bitmap_set_words(map, bit / WORD_BITS, 1u << (order - WORD_ORDER), &run);
		corrupt_if(cpu, !set);
		uncounted += set;
		if (i + 1 < n && (bit ^ bit_of(cpu, frames[i + 1])) < BLOCK_FRAMES)
			continue;
		corrupt_if(cpu, uncounted && !bitmap_count_in(map, bit / BLOCK_FRAMES, uncounted, run));
		uncounted = run = 0;
	}
}

/*
 * Frees n stacked frames of order 0 to 5, at least one; those that lie in one word together, and those that
 * lie in one block with one change of its count.
 */
static void give_runs(struct ramka_cpu *cpu, unsigned order, const uint32_t *frames, uint32_t n)
{
	struct bitmap *map = &cpu->zone->map;
	uint32_t low = cpu->zone->low, bit = low + frames[0], next;
	unsigned uncounted = 0, run = 0;
	uint64_t frame = bits_run(0, order), mask = 0;

	for (uint32_t i = 0; i < n; i++, bit = next) {
		unsigned set;

		next = i + 1 < n ? low + frames[i + 1] : NO_FRAME;
		mask |= frame << (bit % WORD_BITS);
		if ((bit ^ next) < WORD_BITS)
			continue;
		set = ~mask ? bitmap_set_mask(map, bit / WORD_BITS, mask, &run) :
			      bitmap_set_words(map, bit / WORD_BITS, 1, &run);
		corrupt_if(cpu, !set);
		uncounted += set;
		mask = 0;
		if ((bit ^ next) < BLOCK_FRAMES)
			continue;
		corrupt_if(cpu, uncounted && !bitmap_count_in(map, bit / BLOCK_FRAMES, uncounted, run));
		uncounted = run = 0;
	}
}

/* Frees n stacked frames of order 9 or 10: by one CAS a quad, and one hint word a chunk. */
static void give_blocks(struct ramka_cpu *cpu, unsigned order, const uint32_t *frames, uint32_t n)
{
	struct bitmap *map = &cpu->zone->map;
	uint64_t run = bits_below(1u << (order - BLOCK_ORDER)), freed = 0;
	unsigned entries = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t block = bit_of(cpu, frames[i]) / BLOCK_FRAMES,
			 next = i + 1 < n ? bit_of(cpu, frames[i + 1]) / BLOCK_FRAMES : NO_BLOCK;

		entries |= (unsigned)run << block % QUAD_BLOCKS;
		if (next / QUAD_BLOCKS == block / QUAD_BLOCKS)
			continue;
		if (bitmap_free_quad(map, block / QUAD_BLOCKS, entries))
			freed |= (uint64_t)entries << align_down(block % CHUNK_BLOCKS, QUAD_BLOCKS);
		else
			corrupt_if(cpu, true);
		entries = 0;
		if (next / CHUNK_BLOCKS == block / CHUNK_BLOCKS)
			continue;
		bitmap_hint(map, block / CHUNK_BLOCKS, freed);
		freed = 0;
	}
}

static void give_frames(struct ramka_cpu *cpu, unsigned order, const uint32_t *frames, uint32_t n)
{
	if (order < WORD_ORDER)
		give_runs(cpu, order, frames, n);
	else if (order < BLOCK_ORDER)
		give_words(cpu, order, frames, n);
	else
		give_blocks(cpu, order, frames, n);
	account_zone(cpu, cpu->zone, -((int64_t)n << order), true);
	own_add(&cpu->uncached, 0 - ((uint64_t)n << order));
	own_add(&cpu->larger_out, n);
}

static void flush_order(struct ramka_cpu *cpu, unsigned order, uint32_t out)
{
	uint32_t n = order_count(cpu, order), *frames = stack_of(cpu, order);

	give_frames(cpu, order, frames, out);
	memmove(frames, frames + out, (n - out) * sizeof(*frames));
	ramka_store(&cache_of(cpu)->larger[order], n - out, release, stat.held); /* counted out by now */
}

void order_flush_all(struct ramka_cpu *cpu)
{
	for (unsigned order = 0; order <= TOP_ORDER; order++)
		if (order_count(cpu, order))
			flush_order(cpu, order, order_count(cpu, order));
	set_current(&cpu->run_current, NO_ROW);
}

/* ---- into the stack ---- */

/* The frame is not to be cached: a row takes it up to a word, the zone what is larger. */
static noinline void refuse_run(struct ramka_cpu *cpu, uint32_t n, unsigned order)
{
	uint64_t nr = (uint64_t)1 << order;

	if (order <= WORD_ORDER) {
		uint32_t bit = bit_of(cpu, n);

		put_into_row(cpu, bit, bits_run(bit % WORD_BITS, order));
		own_count_in(&cpu->moved_in, nr);
		own_add(&cpu->uncached, 0 - nr);
		own_add(&cpu->puts, 1);
		if (cpu_is_lean(cpu))
			give_rows(cpu);
	} else {
		cpu_settle(cpu);
		count_move(cpu, true);
		give_frames(cpu, order, &n, 1);
		order_count_push(cpu);
	}
	count_move(cpu, true);
}

/* Is the frame of this order one for the stack? Whole blocks pass unless they are shut. */
static bool passes(struct ramka_cpu *cpu, uint32_t n, unsigned order)
{
	uint32_t block = bit_of(cpu, n) / BLOCK_FRAMES;

	if (order < BLOCK_ORDER)
		return gate_passes(cpu, n, cpu->run_block, &cpu->run_current);
	return !gate_is_shut(cpu, block) && (order == BLOCK_ORDER || !gate_is_shut(cpu, block + 1));
}

/* Makes room in a full stack. */
static noinline void make_room(struct ramka_cpu *cpu, unsigned order, uint32_t most)
{
	cpu_settle(cpu);
	count_move(cpu, true);
	flush_order(cpu, order, (most + 1) / 2);
	count_move(cpu, true);
}

noinline void order_put_cold(struct ramka_cpu *cpu, uint32_t n, unsigned order)
{
	uint32_t most = ramka_load(&cpu->order_max[order], relaxed, stat), count = order_count(cpu, order);

	if (unlikely(!most) || !passes(cpu, n, order)) {
		refuse_run(cpu, n, order);
	} else {
		if (unlikely(count >= most)) {
			make_room(cpu, order, most);
			count = order_count(cpu, order);
		}
		stack_of(cpu, order)[count] = n;
		ramka_store(&cache_of(cpu)->larger[order], count + 1, relaxed, section.own);
		order_count_push(cpu);
	}
	section_leave(cpu);
}

/* ---- refill ---- */

/*
 * Up to `want` frames of one order, ascending: all of a wholly free block, and of those behind it in its
 * quad.
 */
static uint32_t break_blocks(struct ramka_cpu *cpu, uint32_t block, unsigned order, uint32_t want,
			     uint32_t *ret_bits)
{
	uint32_t each = BLOCK_FRAMES >> order, first = block - block % QUAD_BLOCKS, n = 0;
	uint64_t wanted = bits_below(want / each) << block % QUAD_BLOCKS & bits_below(QUAD_BLOCKS);
	unsigned got = bitmap_take_blocks(&cpu->zone->map, block / QUAD_BLOCKS, (unsigned)wanted);

	for (; got; got &= got - 1) {
		block = first + bits_lowest(got);
		zone_set_lasting(cpu->zone, block, false);
		for (uint32_t i = 0; i < each; i++)
			ret_bits[n++] = block * BLOCK_FRAMES + (i << order);
	}
	return n;
}

/* Up to `want` frames of order 1 to 8 out of one block, ascending; how many. */
static uint32_t take_from_block(struct ramka_cpu *cpu, uint32_t block, unsigned order, uint32_t want,
				uint32_t *ret_bits)
{
	struct bitmap *map = &cpu->zone->map;
	uint32_t n = 0;

	if (bitmap_free_count(map, block) == BLOCK_FRAMES && BLOCK_FRAMES >> order <= want)
		n = break_blocks(cpu, block, order, want, ret_bits);
	if (n)
		return n;
	if (order <= WORD_ORDER)
		return bitmap_take_runs(map, block, order, want, ret_bits);
	while (n < want && (ret_bits[n] = bitmap_claim(map, block, order, BLOCK_FRAMES)) != NO_FRAME)
		n++;
	return n;
}

static uint32_t take_runs(struct ramka_cpu *cpu, unsigned order, uint32_t want, uint32_t *ret_bits)
{
	uint32_t block = cpu->run_block, n = 0;

	for (unsigned i = 0; i < ORDER_TRIES && !n; i++) {
		unsigned entry = block == NO_BLOCK ? 0 : bitmap_entry(&cpu->zone->map, block);

		if (entry_may_have(entry, order))
			n = take_from_block(cpu, block, order, want, ret_bits);
		if (n)
			break;
		block = territory_pick(cpu->zone, cpu->me, &cpu->own, order,
				       block == NO_BLOCK ? cpu->home : block);
		if (block == NO_BLOCK)
			break;
		refill_from(cpu, &cpu->run_block, cpu->block, block);
	}
	return n;
}

/* Frames of order 9 or 10: a quad of blocks at a time. */
static uint32_t take_blocks(struct ramka_cpu *cpu, unsigned order, uint32_t want, uint32_t *ret_bits)
{
	uint32_t n = territory_take_blocks(cpu->zone, cpu->me, &cpu->own, 1u << (order - BLOCK_ORDER), want,
					   &cpu->whole_block, ret_bits);

	for (uint32_t i = 0; i < n; i++)
		ret_bits[i] *= BLOCK_FRAMES;
	return n;
}

bool order_get(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n)
{
	uint32_t most = ramka_load(&cpu->order_max[order], relaxed, stat), want = (most + 1) / 2, n = 0;
	uint32_t bits[STACK_MAX];

	if (order_get_held(cpu, order, ret_n))
		return true;
	cpu_settle(cpu);
	count_move(cpu, true);
	want = want < cpu->keep >> order ? want : cpu->keep >> order;
	want = (uint32_t)(account_spare(cpu, (uint64_t)(want ? want : 1) << order) >> order);
	if (want)
		n = order < BLOCK_ORDER ? take_runs(cpu, order, want, bits) :
					  take_blocks(cpu, order, want, bits);
	if (n)
		*ret_n = order_fill(cpu, order, bits, n);
	count_move(cpu, true);
	return n != 0;
}
