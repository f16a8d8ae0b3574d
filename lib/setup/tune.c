/* SPDX-License-Identifier: MIT */
/* Sizes that follow from how much memory there is. See tune.h. */
#include "tune.h"

#include "../cpu/depot.h"
#include "../cpu/mail.h"
#include "../cpu/order.h"
#include "../zone/zones.h"

#define MAX_FOLD 16384u
#define LOW_PART 128u
#define LEAN_PART 64u /* of the share; and at most so many frames, what one refill brings */
#define HIGH_WATER_MAX 4096u
#define HIGH_WATER_MIN 16u /* with many CPUs and little memory a bag must still be worth its grace period */

/*
 * What a CPU may keep back from the zones, in parts of its share of the memory. Base frames lie in its cache
 * and its open row, which have the same size everywhere, and in four more places: closed rows, depot, outbox,
 * mailbox. Each order has a stack, that of order 0 for frames that last. A bound of the embedder
 * (cfg.cache_frames) is cut into PIECES: four for each of the four places, one for each order below 9, four
 * each for orders 9 and 10.
 */
#define PART_OF_PLACE 32u
#define PART_OF_ORDER 64u
#define PIECES 33u
#define PLACE_PIECES 4u
#define FIXED (CACHE_SIZE + WORD_BITS + WORD_BITS) /* cache, open row, and one closed row */
/* if the embedder gave no bound: two magazines, so that frames move in numbers; rows are seldom full */
#define PLACE_MIN 128u
#define ROWS_MIN 4u

static uint32_t clamp(uint64_t n, uint32_t low, uint32_t high)
{
	return n < low ? low : n < high ? (uint32_t)n : high;
}

static void set_watermarks(struct ramka *r, uint64_t usable)
{
	uint64_t min = ramka_load(&r->min_mark, relaxed, stat), low = r->low_given, high = r->high_given;

	if (!r->low_memory && !r->enough_memory)
		return;
	if (!low) {
		low = usable / LOW_PART;
		low = low > min + min / 4 ? low : min + min / 4;
		low = high && low > high ? high : low;
	}
	if (!high)
		high = low < UINT64_MAX / 2 ? low + low / 2 : low;
	ramka_store(&r->low_mark, low ? low : 1, relaxed, stat);
	ramka_store(&r->high_mark, high, relaxed, stat);
}

/* Base frames that each of the four places may hold, and the stack of each order below 9. */
static void set_bounds(struct ramka *r, uint64_t place, uint64_t order)
{
	ramka_store(&r->rows_max, clamp(place / WORD_BITS, r->cache_frames ? 1 : ROWS_MIN, ROWS), relaxed,
		    stat);
	ramka_store(&r->mail_max, clamp(place, 0, OUTBOX_MAX), relaxed, stat);
	/* with the flag all memory may lie in the depot */
	depot_grow(r->depot, r->flags & RAMKA_CACHE_ALL ? UINT32_MAX :
							  clamp(place / MAGAZINE_SIZE, 0, SHARD_MAGAZINES));
	depot_grow(r->mail, clamp(place / MAGAZINE_SIZE, 0, SHARD_MAGAZINES));
	order_set_bounds(r, order);
}

void tune(struct ramka *r)
{
	uint64_t usable = 0, share, piece;

	for (unsigned i = 0; i < r->nr_zones; i++)
		usable += ramka_load(&r->zones[i].usable, relaxed, stat);
	share = usable / r->nr_cpus;
	ramka_store(&r->batch, clamp(share / 16, 1, MAGAZINE_SIZE), relaxed, stat);
	piece = r->cache_frames > FIXED ? (r->cache_frames - FIXED) / PIECES : 0;
	if (r->cache_frames)
		set_bounds(r, piece * PLACE_PIECES, piece);
	else
		set_bounds(r, share / PART_OF_PLACE > PLACE_MIN ? share / PART_OF_PLACE : PLACE_MIN,
			   share / PART_OF_ORDER);
	ramka_store(&r->tell_max, clamp(share / 8, 1, MAX_FOLD), relaxed, stat);
	ramka_store(&r->lean_part, clamp(share / LEAN_PART, 0, LEAN_PART), relaxed, stat);
	set_watermarks(r, usable);
	if (!r->high_water_given)
		ramka_store(&r->high_water, clamp(share / 64, HIGH_WATER_MIN, HIGH_WATER_MAX), relaxed, stat);
}
