/* SPDX-License-Identifier: MIT */
/* From a CPU's number to its handle and back. Writes nothing. May use state.h. */
#include "state.h"

struct ramka_cpu *ramka_cpu_at(struct ramka *r, unsigned id)
{
	return id < r->nr_cpus ? &r->cpus[id].cpu : NULL;
}

struct ramka *ramka_of(const struct ramka_cpu *cpu)
{
	return cpu->r;
}

struct ramka_cpu *ramka_cpu_none(struct ramka *r)
{
	return r->none;
}
