/* SPDX-License-Identifier: MIT */
/* Draining. Protocol: section.h and drain.h. */
#include "../zone/territory.h"
#include "drain.h"
#include "gate.h"
#include "lean.h"
#include "mail.h"
#include "order.h"
#include "row.h"

/*
 * The gates decide anew which blocks pass, and no cache is refilled from a block that was shut. The zone is
 * told what this CPU took, and the next movement sets how much may stay untold, since memory may be low now.
 */
static void ask_gates_again(struct ramka_cpu *cpu)
{
	uint64_t untold = ramka_load(&cpu->untold, relaxed, stat);

	if (untold)
		ramka_add(&cpu->zone->taken, untold, relaxed, stat);
	ramka_store(&cpu->untold, 0, relaxed, stat);
	lean_look_again(cpu);
	cpu->tell_at = cpu->tell_back = 1;
	set_current(&cpu->current, NO_ROW);
	set_current(&cpu->run_current, NO_ROW);
	cpu->window = gate_window(cpu->r);
	gate_leave_shut(cpu, &cpu->block);
	gate_leave_shut(cpu, &cpu->run_block);
}

/* Empties cache and row into the zone; the caller is inside the section or has stopped the CPU. */
static void drain_cache(struct ramka_cpu *cpu)
{
	uint32_t n = cpu_count(cpu);

	lean_give(cpu);
	free_frames(cpu, cpu->zone, cache_of(cpu)->frames, n, true);
	own_add(&cpu->moved_out, n);
	set_count(cpu, 0);
	own_add(&cpu->flushes, n != 0);
	ask_gates_again(cpu);
}

uint64_t cpu_held(const struct ramka_cpu *cpu)
{
	return cpu_count(cpu) + lean_held(cpu);
}

static bool holds_frames(const struct ramka_cpu *cpu)
{
	return cpu_held(cpu) != 0;
}

/* Keeps one of these frames of the holder if the caller wants one. The last frame moves into its place. */
static bool keep_one(const struct ramka_cpu *holder, uint32_t *frames, uint32_t *n, struct drain *d)
{
	for (uint32_t i = *n; i-- && d->wants && !d->got;) {
		if (!d->wants(holder, frames[i], d->arg))
			continue;
		d->got = cpu_slot(holder, frames[i]);
		frames[i] = frames[--*n];
		return true;
	}
	return false;
}

static void drain_stack(struct ramka *r, struct depot *depot, unsigned shard, struct drain *d)
{
	struct ramka_cpu *holder = &r->cpus[shard].cpu;

	while (depot_has_full(depot, shard)) {
		struct magazine *m;
		uint32_t n;

		count_move(r->none, false);
		m = depot_pop(depot, shard);
		if (m) {
			n = m->count;
			if (keep_one(holder, m->frames, &n, d))
				account_kept(r);
			free_frames(r->none, holder->zone, m->frames, n, false);
			depot_put_empty(depot, m);
		}
		count_move(r->none, false);
		d->mine += 2;
	}
}

void drain_shard(struct ramka *r, unsigned shard, struct drain *d)
{
	drain_stack(r, r->depot, shard, d);
	if (r->mail->nr_shards)
		drain_stack(r, r->mail, shard, d);
}

static void take_cache(struct ramka_cpu *cpu, void *arg)
{
	struct drain *d = arg;
	uint32_t n = cpu_count(cpu);

	if (!holds_frames(cpu)) {
		ask_gates_again(cpu);
		return;
	}
	count_move(cpu->r->none, false);
	if (keep_one(cpu, cache_of(cpu)->frames, &n, d)) { /* the CPU counts it like a pop */
		cpu_settle(cpu);
		set_count(cpu, n);
	}
	drain_cache(cpu);
	count_move(cpu->r->none, false);
	d->mine += 2;
}

/* False: the CPU is inside a call below this one, or another drainer has it. */
static bool drain_self(struct ramka_cpu *cpu, struct drain *d)
{
	bool holds = holds_frames(cpu);

	if (!holds && !d->every)
		return true;
	if (!section_enter(cpu))
		return false;
	if (holds) {
		count_move(cpu, true);
		drain_cache(cpu);
		count_move(cpu, true);
		d->mine += 2;
	} else {
		ask_gates_again(cpu);
	}
	section_leave(cpu);
	return true;
}

/* ---- all CPUs ---- */

bool drain_running(const struct ramka *r)
{
	return ramka_load(&r->drains_ended, relaxed, drain.count) !=
	       ramka_load(&r->drains_begun, relaxed, drain.count);
}

uint64_t drainable(const struct ramka *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nr_cpus; i++)
		n += cpu_held(&r->cpus[i].cpu) + depot_cached(r->depot, i) + depot_cached(r->mail, i);
	return n;
}

bool cpu_drain_all(struct ramka *r, struct ramka_cpu *self, struct drain *d)
{
	bool all = true;

	ramka_add(&r->drains_begun, 1, relaxed, drain.count);
	if (!self->cacheless && !drain_self(self, d) && d->every)
		all = false;
	/* needs no barrier if there is nothing to drain; a CPU outside its section shows what it holds */
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		struct ramka_cpu *cpu = &r->cpus[i].cpu;

		if (cpu != self && (d->every || ramka_load(&cpu->active, acquire, section.leave) ||
				    holds_frames(cpu))) {
			all &= cpu_for_each_stopped(r, self, take_cache, d);
			break;
		}
	}
	if (!self->cacheless && holds_frames(self))
		all = false; /* the caller is a handler on top of this CPU's own section */
	for (unsigned i = 0; i < r->nr_cpus; i++)
		drain_shard(r, i, d);
	ramka_add(&r->drains_ended, 1, relaxed, drain.count);
	return all;
}

void cpu_drain_own(struct ramka_cpu *cpu)
{
	struct drain d = { .mine = 0 };

	if (cpu->cacheless)
		return;
	/*
	 * section_enter fails while a drainer holds this CPU. The number of tries is bounded, so that a
	 * stopped drainer cannot hang this call. On top of this CPU's own section no try would help.
	 */
	for (unsigned i = 0; i < GIVEN_BACK_TRIES && holds_frames(cpu) &&
			     !ramka_load(&cpu->active, relaxed, section.own);
	     i++)
		drain_self(cpu, &d);
	drain_shard(cpu->r, cpu->id, &d);
	if (section_enter(cpu)) {
		ask_gates_again(cpu);
		cpu->block = cpu->run_block = cpu->lasting_block = NO_BLOCK;
		section_leave(cpu);
	}
	territory_leave(cpu->zone, cpu->me);
}
