/* SPDX-License-Identifier: MIT */
/* What the counters say and when they are brought up to date. See account.h. */
#include "account.h"

/*
 * Base frames that this CPU's calls took out of the cache and zones, net. It peaks where the cache is lowest; how full the
 * rows were then is not remembered, only that they held rows_settled at least: the peak is never too low, and too high by
 * what waits in rows at most.
 */
void cpu_settle(struct ramka_cpu *cpu)
{
	uint64_t in = ramka_load(&cpu->moved_in, relaxed, stat), out = ramka_load(&cpu->moved_out, relaxed, stat);
	uint64_t other = ramka_load(&cpu->other, relaxed, stat);
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);
	uint32_t least = HOT_COUNT(hot) < HOT_LEAST(hot) ? HOT_COUNT(hot) : HOT_LEAST(hot); /* pops do not lower it */
	int64_t most = (int64_t)(in - out + other - least - cpu->rows_settled);

	if (most > (int64_t)ramka_load(&cpu->peak, relaxed, stat))
		ramka_store(&cpu->peak, (uint64_t)most, relaxed, stat);
	ramka_store(&cpu->pushes, cpu_pushes(cpu), relaxed, stat);
	set_count(cpu, cpu_count(cpu));
	cpu->rows_settled = cpu->row == NO_ROW ? 0 : cpu_in_rows(cpu);
}

/* Notes the frames outside the zones, for peak_in_use. A lost update costs a sample. */
static void sample_peak(struct ramka *r)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < r->nr_zones; i++)
		taken += ramka_load(&r->zones[i].taken, relaxed, stat);
	if ((int64_t)taken > (int64_t)ramka_load(&r->peak, relaxed, stat))
		ramka_store(&r->peak, taken, relaxed, stat);
}

/* Base frames left (n > 0) or came back to the zone. `inside`: the CPU's own section. */
void account_zone(struct ramka_cpu *cpu, struct zone *z, int64_t n, bool inside)
{
	int64_t fold;

	if (!inside || z != cpu->zone) {
		ramka_add(&z->taken, (uint64_t)n, relaxed, stat);
		sample_peak(cpu->r);
		return;
	}
	cpu->unfolded += n;
	fold = ramka_load(&cpu->r->fold, relaxed, stat);
	if (cpu->unfolded < fold && cpu->unfolded > -fold)
		return;
	ramka_add(&z->taken, (uint64_t)cpu->unfolded, relaxed, stat);
	cpu->unfolded = 0;
	sample_peak(cpu->r);
}

/* One frame of `nr` base frames was handed out by a zone. */
void account_alloc(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, bool inside)
{
	account_zone(cpu, z, (int64_t)nr, inside);
	if (inside) {
		uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);

		if (HOT_COUNT(hot) != HOT_LEAST(hot)) /* else now is the peak, and it is settled before it goes down */
			cpu_settle(cpu);
		own_add(&cpu->allocs, 1);
		own_add(&cpu->other, nr);
	} else {
		ramka_add(&cpu->r->allocs, 1, relaxed, stat);
		ramka_add(&cpu->r->other, nr, relaxed, stat);
	}
}

/* A movement of frames begins or ends; see account.h. */
void count_move(struct ramka_cpu *cpu, bool inside)
{
	if (inside)
		ramka_store(&cpu->moves, ramka_load(&cpu->moves, relaxed, section.own) + 1, release, nomem.collect);
	else
		ramka_add(&cpu->r->moves, 1, release, nomem.collect);
}

void account_low_memory(struct ramka *r)
{
	uint64_t estimate = 0, exact = 0;

	if (!r->low_memory)
		return;
	for (unsigned i = 0; i < r->nr_zones; i++)
		estimate += zone_estimate_free(&r->zones[i]);
	if (estimate >= r->low_watermark + (uint64_t)ramka_load(&r->fold, relaxed, stat) * r->nr_cpus)
		return;
	for (unsigned i = 0; i < r->nr_zones; i++)
		exact += zone_count_free(&r->zones[i]);
	/* one at a time: what it allocates itself must not call it again */
	if (exact < r->low_watermark && !ramka_xchg(&r->telling_low, 1, relaxed, low.telling)) {
		probe(low_memory, exact, r->low_watermark);
		r->low_memory(r->ctx, exact);
		ramka_store(&r->telling_low, 0, relaxed, low.telling);
	}
}

/* A range is `nr` frames, of which for_zones counted one. */
void account_rest(struct ramka_cpu *cpu, uint64_t nr)
{
	if (section_enter(cpu)) {
		own_add(&cpu->allocs, nr - 1);
		section_leave(cpu);
	} else {
		ramka_add(&cpu->r->allocs, nr - 1, relaxed, stat);
	}
}

/* All movements so far. Acquire: who moved frames past the scan has counted before, and the scan saw its word. */
uint64_t account_moves(const struct ramka *r)
{
	uint64_t sum = ramka_load(&r->moves, acquire, nomem.collect);

	for (unsigned i = 0; i < r->nr_cpus; i++)
		sum += ramka_load(&r->cpus[i].cpu.moves, acquire, nomem.collect) +
		       HOT_PUSHES(ramka_load(&r->cpus[i].cpu.hot, acquire, nomem.collect)) +
		       ramka_load(&r->cpus[i].cpu.larger_pushes, acquire, nomem.collect);
	return sum;
}
