/* SPDX-License-Identifier: MIT */
/*
 * Requests that last (RAMKA_ALLOC_LONG) of orders 0 to 8. May use order.h.
 *
 * They are served out of lasting blocks (zone.h, lifetimes), of which the CPU has one at a time,
 * `lasting_block`. Base frames come from a small stack, refilled with a few locked operations; it is the
 * stack of order 0 of order.h, so drains, statistics and the audit know it as one of these. Other orders
 * are taken from the block one by one.
 *
 * A freed frame does not come back here: the gate refuses frames of lasting blocks (gate.h), and they go to
 * the bitmap by a row. A frame that lives long is freed seldom; what counts is that the next one of its
 * kind finds its place.
 */
#ifndef RAMKA_LIB_CPU_LASTING_H
#define RAMKA_LIB_CPU_LASTING_H

#include "order.h"

/* A frame of order 0 to 8 of the home zone; inside the section: its number, or false. */
bool lasting_get(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n);

#endif
