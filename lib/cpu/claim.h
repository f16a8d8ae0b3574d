/* SPDX-License-Identifier: MIT */
/* Exact frames, claimed by address. May use drain.h, row.h. */
#ifndef RAMKA_LIB_CPU_CLAIM_H
#define RAMKA_LIB_CPU_CLAIM_H

#include "account.h"

/* Takes exactly this FREE base frame: bitmap, own cache, depot. 0, RAMKA_E_IN_USE (a tail), RAMKA_E_BUSY. */
int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f);

#endif
