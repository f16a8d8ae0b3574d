/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SCALE_SUPPORT_H
#define BENCH_SCALE_SUPPORT_H

#include <stdbool.h>

/* Whose the memory is that bench_map and bench_reserve give: the workload's, or the allocator's. */
extern bool support_own;

#endif
