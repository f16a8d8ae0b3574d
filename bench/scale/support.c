/* SPDX-License-Identifier: MIT */
/* What peers and workloads need of bench/bench.c, on either machine. Not instrumented. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine.h"
#include "support.h"
#include "../bench.h"

bool support_own = true;

_Noreturn void bench_die(const char *format, ...)
{
	va_list args;

	fputs("scale: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(NULL);
	_exit(1);
}

void *bench_reserve(size_t bytes)
{
	return machine_memory(bytes, support_own);
}

void *bench_map(size_t bytes)
{
	return machine_memory(bytes, support_own);
}

void bench_unmap(void *p, size_t bytes)
{
	(void)p; /* a case is a process: it ends soon */
	(void)bytes;
}

struct bench_rng bench_seed(unsigned id)
{
	struct bench_rng r = { UINT64_C(0x9e3779b97f4a7c15) * (id + 1) };

	for (int i = 0; i < 8; i++)
		bench_random(&r);
	return r;
}

void bench_shuffle(struct bench_rng *r, void **v, uint64_t n)
{
	for (uint64_t i = n; i > 1; i--) {
		uint64_t j = bench_below(r, i);
		void *x = v[i - 1];

		v[i - 1] = v[j];
		v[j] = x;
	}
}
