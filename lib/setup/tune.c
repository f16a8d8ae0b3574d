/* SPDX-License-Identifier: MIT */
/* Sizes that follow from how much memory there is. See tune.h. */
#include "tune.h"

#include "../cpu/depot.h"
#include "../cpu/order.h"
#include "../zone/zones.h"

#define MAX_FOLD 16384u
#define LOW_PART 128u
#define HIGH_WATER_MAX 4096u
#define HIGH_WATER_MIN 16u /* with many CPUs and little memory a bag must still be worth its grace period */

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

void tune(struct ramka *r)
{
	uint64_t usable = 0, share;

	for (unsigned i = 0; i < r->nr_zones; i++)
		usable += ramka_load(&r->zones[i].usable, relaxed, stat);
	share = usable / r->nr_cpus;
	ramka_store(&r->batch, clamp(share / 16, 1, MAGAZINE_SIZE), relaxed, stat);
	order_set_bounds(r, share);
	ramka_store(&r->tell_max, clamp(share / 8, 1, MAX_FOLD), relaxed, stat);
	set_watermarks(r, usable);
	if (!r->high_water_given)
		ramka_store(&r->high_water, clamp(share / 64, HIGH_WATER_MIN, HIGH_WATER_MAX), relaxed, stat);
}
