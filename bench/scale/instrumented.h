/* SPDX-License-Identifier: MIT */
/* Included before each file that is simulated: what the compiler does not report by itself. */
#ifndef BENCH_SCALE_INSTRUMENTED_H
#define BENCH_SCALE_INSTRUMENTED_H

void scale_prefetch(const void *p, int store, ...);
#define __builtin_prefetch(...) scale_prefetch(__VA_ARGS__, 0)

#endif
