/* SPDX-License-Identifier: MIT */
/*
 * Exact frames, claimed by address. May use account.h, row.h, order.h, drain.h.
 *
 * A free frame may lie in the bitmap, or in parts in caches, magazines and mailboxes. What lies in the
 * bitmap is claimed at once. For the rest the claim shuts the blocks of the frame (zone/bitmap.h), so that
 * nothing is handed out of them, drains all CPUs, so that what they hold of them comes back, claims, and
 * opens the blocks again. A claim takes from a block, shut or not, so it also works in isolated memory.
 *
 *   claim of another CPU          this claim
 *                                 changing: 0 -> 1; the blocks are shut
 *   changing is 1: drains and     drains; what was cached of the blocks is in the bitmap and stays
 *   claims without shutting       claims the run, or finds that a part of it is in use
 *                                 the blocks that it shut are open; changing: 1 -> 0
 *
 * A claim that is stopped in between leaves its blocks shut and `changing` taken: their free frames are out
 * of reach, other claims do what they can without shutting, and calls that change the memory are told BUSY.
 * No call waits for it.
 */
#ifndef RAMKA_LIB_CPU_CLAIM_H
#define RAMKA_LIB_CPU_CLAIM_H

#include "account.h"

/*
 * Takes exactly these FREE base frames, an aligned run of 2^order, wherever they are: bitmap, own cache,
 * depot, mailboxes, other CPUs' caches. 0, RAMKA_E_OUT_OF_BOUND (not wholly in a zone), RAMKA_E_IN_USE (a
 * part is in use, or of a larger frame; *ret_used is its slot), RAMKA_E_BUSY (a CPU that cannot be stopped
 * holds it, or a call is just moving it).
 */
int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, struct ramka_frame **ret_used);

#endif
