/* SPDX-License-Identifier: MIT */
/* Draining. Protocol: section.h and drain.h. */
#include "../zone/territory.h"
#include "drain.h"
#include "mail.h"
#include "order.h"
#include "row.h"

#define REVOKED_TRIES 10000u

/* Empties cache and row into the zone; the caller is inside the section or has stopped the CPU. */
static void drain_cache(struct ramka_cpu *cpu)
{
	uint32_t n = cpu_count(cpu);

	cpu_settle(cpu);
	flush_rows(cpu);
	order_flush_all(cpu);
	mail_flush(cpu);
	free_frames(cpu, cpu->zone, cache_of(cpu)->frames, n, true);
	set_count(cpu, 0);
	cpu->current = NO_ROW;
	own_add(&cpu->moved_out, n);
	own_add(&cpu->flushes, n != 0);
	ramka_add(&cpu->zone->taken, (uint64_t)cpu->unfolded, relaxed, stat);
	cpu->unfolded = 0;
}

static bool holds_frames(const struct ramka_cpu *cpu)
{
	return cpu_count(cpu) || cpu_in_rows(cpu) || order_held(cpu) || mail_count(cpu);
}

/* Counts its movements in the instance: it may run on any CPU. */
static void drain_stack(struct ramka *r, struct depot *d, unsigned shard, uint64_t *mine)
{
	struct zone *z = r->cpus[shard].cpu.zone;

	while (depot_has_full(d, shard)) {
		struct magazine *m;

		count_move(r->none, false);
		m = depot_pop(d, shard);
		if (m) {
			free_frames(r->none, z, m->frames, m->count, false);
			depot_put_empty(d, m);
		}
		count_move(r->none, false);
		*mine += 2;
	}
}

void drain_shard(struct ramka *r, unsigned shard, uint64_t *mine)
{
	drain_stack(r, r->depot, shard, mine);
	if (r->mail->nr_shards)
		drain_stack(r, r->mail, shard, mine);
}

static void take_cache(struct ramka_cpu *cpu, void *arg)
{
	uint64_t *mine = arg;

	if (!holds_frames(cpu))
		return;
	count_move(cpu->r->none, false);
	drain_cache(cpu);
	count_move(cpu->r->none, false);
	*mine += 2;
}

static void drain_self(struct ramka_cpu *cpu, uint64_t *mine)
{
	if (!holds_frames(cpu) || !section_enter(cpu))
		return;
	count_move(cpu, true);
	drain_cache(cpu);
	count_move(cpu, true);
	section_leave(cpu);
	*mine += 2;
}

bool cpu_drain_all(struct ramka *r, struct ramka_cpu *self, uint64_t *mine)
{
	bool all = true;

	if (!self->cacheless)
		drain_self(self, mine);
	/* no barrier if there is nothing to drain; who has left its section is seen with what it holds */
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		struct ramka_cpu *cpu = &r->cpus[i].cpu;

		if (cpu != self && (ramka_load(&cpu->active, acquire, section.leave) || holds_frames(cpu))) {
			all = cpu_for_each_stopped(r, self, take_cache, mine);
			break;
		}
	}
	if (!self->cacheless && holds_frames(self))
		all = false; /* called from a handler on top of its own section */
	for (unsigned i = 0; i < r->nr_cpus; i++)
		drain_shard(r, i, mine);
	return all;
}

void cpu_drain_own(struct ramka_cpu *cpu)
{
	uint64_t mine = 0;

	if (cpu->cacheless)
		return;
	/* a drainer may hold the CPU just now, and leave it alone in the end; one that is parked is not waited for */
	for (unsigned i = 0; i < REVOKED_TRIES && holds_frames(cpu); i++)
		drain_self(cpu, &mine);
	drain_shard(cpu->r, cpu->id, &mine);
	if (section_enter(cpu)) {
		cpu->block = cpu->run_block = NO_BLOCK;
		section_leave(cpu);
	}
	territory_leave(cpu->zone, cpu->me);
}
