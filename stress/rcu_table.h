/* SPDX-License-Identifier: MIT */
/*
 * A table of frames that readers look up without a reference, while writers replace entries and give the old frames
 * up by put_rcu (or by put, where the type defers). The oracle is that of liburcu's and the kernel's torture tests:
 *
 *   the sight   a reader finds the frame as it was until it announces itself quiescent
 *   the ages    whole grace periods between the removal of a frame and the last look at it: 0 or 1, never 2 or more
 *
 * Shared by the scenarios of deferral; one of them runs at a time, with periods_tick as its tick.
 */
#ifndef STRESS_RCU_TABLE_H
#define STRESS_RCU_TABLE_H

#include "harness.h"

#define RCU_LOOKS 8u

/* What a reader saw. */
struct sight {
	struct ramka_frame *frame;
	uint64_t word;
	uint32_t seq;
};

void rcu_table_setup(void);
void rcu_table_release(struct worker *w);
/* Prints the ages, but where the table is a part of something else. */
void rcu_table_teardown(void);

/* A few random entries; how many of them had a frame. The worker is on line and stays so until it looked again. */
unsigned rcu_table_look(struct worker *w, struct sight s[RCU_LOOKS]);
void rcu_table_look_again(const struct sight *s, unsigned n);

/*
 * A new frame, or nothing, in place of a random entry, whose frame is given up. With `wait` the request may wait for a
 * grace period; the worker then holds no sight. @return that of put_rcu: 0 or RAMKA_PRESSURE.
 */
int rcu_table_replace(struct worker *w, struct ramka_cpu *cpu, bool wait);

#endif
