/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SCALE_NAMES_H
#define BENCH_SCALE_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* The instance whose memory the next addresses lie in: one of its CPU handles; NULL: not ramka's. */
void names_of_ramka(const void *cpu);
/* What lies at an address: "NAME[INDEX] STRUCT+OFFSET", or "?". scale.py finds the field in the debug information. */
void name_of(uint64_t address, char *buf, size_t size);

#endif
