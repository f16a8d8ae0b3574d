/* SPDX-License-Identifier: MIT */
#include "bench.h"
const struct bench_workload bench_deferred[] = { { .name = NULL } };
