/* SPDX-License-Identifier: MIT */
/* Stopping other CPUs. Protocol: section.h. */
#include "section.h"

#define AT_ONCE 64u /* CPUs that one barrier stops; a bit of a word each */

/* Revokes up to AT_ONCE CPUs from `first` on. Returns those that it revoked, a bit each. */
static uint64_t revoke(struct ramka *r, const struct ramka_cpu *self, unsigned first, bool *all)
{
	uint64_t mine = 0;

	for (unsigned i = 0; i < AT_ONCE && first + i < r->nr_cpus; i++) {
		struct ramka_cpu *cpu = &r->cpus[first + i].cpu;
		uint32_t none = 0;

		if (cpu == self)
			continue;
		if (ramka_cas(&cpu->revoked, &none, 1, acquire, section.revoke))
			mine |= (uint64_t)1 << i;
		else
			*all = false;
	}
	return mine;
}

bool cpu_for_each_stopped(struct ramka *r, struct ramka_cpu *self,
			  void (*take)(struct ramka_cpu *cpu, void *arg), void *arg)
{
	bool all = true;

	if (!r->barrier_all_cpus)
		return false;
	for (unsigned first = 0; first < r->nr_cpus; first += AT_ONCE) {
		uint64_t mine = revoke(r, self, first, &all);
		bool stopped = mine && r->barrier_all_cpus(r->ctx);

		for (; mine; mine &= mine - 1) {
			struct ramka_cpu *cpu = &r->cpus[first + bits_lowest(mine)].cpu;

			if (!stopped || ramka_load(&cpu->active, acquire, section.leave))
				all = false;
			else
				take(cpu, arg);
			ramka_store(&cpu->revoked, 0, release, section.revoke);
		}
	}
	return all;
}
