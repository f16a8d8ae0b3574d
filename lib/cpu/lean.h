/* SPDX-License-Identifier: MIT */
/*
 * How much a CPU keeps back, by how much is free. May use account.h, row.h, mail.h, order.h.
 *
 * A thread that loses its processor inside its section hides what its CPU holds, and no drain can take it.
 * That is harmless while much is free. Where little is, other CPUs would be told "no memory". So a CPU looks
 * at each refill how large its part of what is free is: what the zone has, divided by the CPUs of the zone.
 *
 *   refill   brings at most an eighth of the part, and one frame at least
 *   lean     with a part below lean_part (setup/tune.c) the CPU is lean: it has no rows, no stacks and no
 *            outbox, and its cache holds as much as a refill brings. A free that finds it full goes to the
 *            bitmap at once
 *
 * What a CPU holds in all is then what its threads have given back, at most, and what one refill brought.
 * The hot paths test `most`, `row` and `order_max` in any case, so leanness costs them nothing.
 *
 * A lean CPU looks at each free too that goes to the bitmap, so caching returns once there is memory. A
 * drainer looks for each CPU that it stops.
 */
#ifndef RAMKA_LIB_CPU_LEAN_H
#define RAMKA_LIB_CPU_LEAN_H

#include "account.h"

/* Finds out how much the CPU may keep. Inside the section, or while it is stopped. */
void lean_look_again(struct ramka_cpu *cpu);
/* The same where the estimate has changed by an eighth since, or the CPU is lean. */
static inline void lean_look(struct ramka_cpu *cpu)
{
	if (unlikely(zone_estimate_free(cpu->zone) - cpu->looked_low >= cpu->looked_span))
		lean_look_again(cpu);
}

/* Base frames in its rows, stacks and outbox. */
uint64_t lean_held(const struct ramka_cpu *cpu);
/* All of these go to the zone. Inside the section, or while it is stopped; the caller counts the movement. */
void lean_give(struct ramka_cpu *cpu);

#endif
