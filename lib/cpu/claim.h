/* SPDX-License-Identifier: MIT */
/* Exact frames, claimed by address. May use drain.h, row.h. */
#ifndef RAMKA_LIB_CPU_CLAIM_H
#define RAMKA_LIB_CPU_CLAIM_H

#include "account.h"

/*
 * Takes exactly this FREE base frame out of the bitmap, the own cache, the depot, a mailbox or another CPU's
 * cache. 0; RAMKA_E_IN_USE: a tail; RAMKA_E_BUSY: a CPU that cannot be stopped holds it, or a call is just
 * moving it.
 */
int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f);

#endif
