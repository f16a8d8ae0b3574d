/* SPDX-License-Identifier: MIT */
/* Exact frames. See claim.h. */
#include "../zone/report.h"
#include "claim.h"
#include "drain.h"
#include "order.h"
#include "row.h"

/* Takes the frame out of the CPU's own cache. Rows go to the zone, where the caller looks next. */
static bool claim_cached(struct ramka_cpu *cpu, uint32_t bit)
{
	uint32_t n = cpu_count(cpu), i = 0;

	while (i < n && bit_of(cpu, cache_of(cpu)->frames[i]) != bit)
		i++;
	if (i == n)
		return false;
	cpu_settle(cpu);
	cache_of(cpu)->frames[i] = cache_of(cpu)->frames[n - 1];
	set_count(cpu, n - 1);
	return true;
}

/* Rows and the caches of larger orders go to the zone. */
static void give_larger(struct ramka_cpu *cpu)
{
	cpu_settle(cpu);
	count_move(cpu, true);
	flush_rows(cpu);
	order_flush_all(cpu);
	count_move(cpu, true);
}

static bool claim_bit(struct ramka_cpu *cpu, struct zone *z, uint32_t bit)
{
	bool inside = section_enter(cpu), mine;

	if (inside && z == cpu->zone && (cpu_in_rows(cpu) || order_held(cpu)))
		give_larger(cpu);
	if (bitmap_claim_mask(&z->map, bit / WORD_BITS, (uint64_t)1 << (bit % WORD_BITS))) {
		account_alloc(cpu, z, 1, inside);
		mine = true;
	} else {
		mine = inside && z == cpu->zone && claim_cached(cpu, bit);
	}
	if (inside)
		section_leave(cpu);
	return mine;
}

static int claim_frame(struct ramka_cpu *cpu, struct zone *z, struct ramka_frame *f)
{
	struct ramka *r = cpu->r;
	uint32_t bit = slot_bit(r, z, f);
	struct drain d = { .mine = 0 };

	if (claim_bit(cpu, z, bit))
		return 0;
	if (state_is_tail(r, f))
		return RAMKA_E_IN_USE;
	for (unsigned i = 0; i < r->nr_cpus; i++)
		drain_shard(r, i, &d);
	if (d.mine && claim_bit(cpu, z, bit))
		return 0;
	d.mine = 0;
	cpu_drain_all(r, cpu, &d);
	return d.mine && claim_bit(cpu, z, bit) ? 0 : RAMKA_E_BUSY;
}

int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	struct zone *z = instance_zone(cpu->r, f);
	int rc = claim_frame(cpu, z, f);

	if (!rc)
		account_low_memory(cpu, z);
	return rc;
}
