/* SPDX-License-Identifier: MIT */
/* Counting grace periods. See periods.h. */
#include <time.h>

#include "harness.h"
#include "periods.h"

static _Atomic uint64_t over;
static uint64_t cookie; /* 0: the next one has not begun */

void periods_setup(void)
{
	atomic_store(&over, 0);
	cookie = 0;
}

void periods_tick(void)
{
	struct timespec t = { .tv_nsec = 20000 };

	if (!cookie)
		cookie = world.rcu.snapshot(world.rcu.ctx);
	if (world.rcu.elapsed(world.rcu.ctx, cookie)) {
		atomic_fetch_add(&over, 1);
		cookie = 0;
	}
	nanosleep(&t, NULL);
}

uint64_t periods_over(void)
{
	return atomic_load_explicit(&over, memory_order_relaxed);
}
