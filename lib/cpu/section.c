/* SPDX-License-Identifier: MIT */
/* Stopping other CPUs. Protocol: section.h. */
#include "section.h"

bool cpu_for_each_stopped(struct ramka *r, struct ramka_cpu *self, void (*take)(struct ramka_cpu *cpu, void *arg), void *arg)
{
	uint32_t name = ramka_add(&r->drains, 1, relaxed, stat) + 1, none = 0;
	bool all = true, stopped;

	if (!r->barrier_all_cpus)
		return false;
	if (!name)
		name = 1;
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		none = 0;
		if (&r->cpus[i].cpu != self && !ramka_cas(&r->cpus[i].cpu.revoked, &none, name, acquire, section.revoke))
			all = false;
	}
	stopped = r->barrier_all_cpus(r->ctx);
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		struct ramka_cpu *cpu = &r->cpus[i].cpu;

		if (ramka_load(&cpu->revoked, relaxed, section.revoke) != name)
			continue;
		if (!stopped || ramka_load(&cpu->active, acquire, section.leave))
			all = false;
		else
			take(cpu, arg);
		ramka_store(&cpu->revoked, 0, release, section.revoke);
	}
	return all;
}
