/* SPDX-License-Identifier: MIT */
/*
 * Whole grace periods, counted one after the other, against which scenarios measure ages. The next one begins when the last
 * one is over. One scenario runs at a time.
 */
#ifndef STRESS_PERIODS_H
#define STRESS_PERIODS_H

#include <stdint.h>

/* Begins at 0, with the world that there is now. */
void periods_setup(void);
/* Looks, and sleeps for a moment; from the main thread, in a loop. */
void periods_tick(void);
/* How many are over; any thread. */
uint64_t periods_over(void);

#endif
