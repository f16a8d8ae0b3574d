/* SPDX-License-Identifier: MIT */
/* Exact frames. See claim.h. */
#include "../zone/report.h"
#include "claim.h"
#include "drain.h"
#include "order.h"
#include "row.h"

#define MAX_BLOCKS (1u << (RAMKA_MAX_ORDER - BLOCK_ORDER))
#define CLAIM_ROUNDS 4u /* drains, while frames are on their way from one place to the next */

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

static bool claim_run(struct ramka_cpu *cpu, struct zone *z, uint32_t bit, unsigned order)
{
	bool inside = section_enter(cpu), mine;

	if (inside && z == cpu->zone && (cpu_in_rows(cpu) || order_held(cpu)))
		give_larger(cpu);
	if (bitmap_claim_exact(&z->map, bit, order)) {
		account_alloc(cpu, z, (uint64_t)1 << order, inside);
		mine = true;
	} else {
		mine = inside && !order && z == cpu->zone && claim_cached(cpu, bit);
	}
	if (inside)
		section_leave(cpu);
	return mine;
}

/* ---- shutting ---- */

/* Blocks that a claim has shut, of the zone from `first` on: those that were shut before are left out. */
struct shut {
	struct zone *z;
	uint32_t first, nr; /* nr 0: another call has `changing` */
	uint64_t mine[MAX_BLOCKS / WORD_BITS];
};

static void shut_begin(struct ramka *r, struct shut *s, struct zone *z, uint32_t bit, unsigned order)
{
	*s = (struct shut){ .z = z, .first = bit / BLOCK_FRAMES };
	if (!changing_begin(r))
		return;
	s->nr = order < BLOCK_ORDER ? 1 : 1u << (order - BLOCK_ORDER);
	ramka_add(&r->shut, s->nr, relaxed, stat);
	for (uint32_t i = 0; i < s->nr; i++)
		if (bitmap_shut(&z->map, s->first + i))
			s->mine[i / WORD_BITS] |= (uint64_t)1 << (i % WORD_BITS);
}

static void shut_end(struct ramka *r, const struct shut *s)
{
	if (!s->nr)
		return;
	for (uint32_t i = 0; i < s->nr; i++)
		if (s->mine[i / WORD_BITS] >> (i % WORD_BITS) & 1)
			bitmap_unshut(&s->z->map, s->first + i);
	ramka_sub(&r->shut, s->nr, relaxed, stat);
	changing_end(r);
}

/* ---- all together ---- */

/*
 * Is a frame in use that the run is part of or has a part in (*ret_used), or a hole? 0: neither, at the
 * moment.
 */
static int used_in(const struct ramka *r, struct ramka_frame *f, unsigned order,
		   struct ramka_frame **ret_used)
{
	uint64_t first = r->first + slot_index(r, f);

	for (uint64_t i = 0; i < (uint64_t)1 << order; i++) {
		if (instance_next(r, first + i) != first + i)
			return RAMKA_E_OUT_OF_BOUND;
		*ret_used = f + i;
		if (slot_ref(f + i) != REF_FREE)
			return RAMKA_E_IN_USE;
	}
	*ret_used = f;
	return state_is_tail(r, f) ? RAMKA_E_IN_USE : 0;
}

/* Drains until the run can be claimed, a part of it is in use, or a few rounds are over. */
static int claim_drained(struct ramka_cpu *cpu, struct zone *z, struct ramka_frame *f, unsigned order,
			 struct ramka_frame **ret_used)
{
	uint32_t bit = slot_bit(cpu->r, z, f);
	int rc;

	for (unsigned i = 0; i < CLAIM_ROUNDS; i++) {
		struct drain d = { .every = i != 0 };

		cpu_drain_all(cpu->r, cpu, &d);
		if (claim_run(cpu, z, bit, order))
			return 0;
		rc = used_in(cpu->r, f, order, ret_used);
		if (rc)
			return rc;
	}
	return RAMKA_E_BUSY;
}

/* Is the whole run in the zone, and in blocks that have memory? */
static bool in_zone(const struct zone *z, uint32_t bit, unsigned order)
{
	if (bit < z->low || (uint64_t)bit + ((uint64_t)1 << order) > z->end)
		return false;
	for (uint64_t at = bit; at < bit + ((uint64_t)1 << order); at += BLOCK_FRAMES)
		if (!sparse_has(&z->present, at / BLOCK_FRAMES))
			return false;
	return true;
}

int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, struct ramka_frame **ret_used)
{
	struct zone *z = instance_zone(cpu->r, f);
	struct shut s;
	int rc;

	if (!z || !in_zone(z, slot_bit(cpu->r, z, f), order))
		return RAMKA_E_OUT_OF_BOUND;
	if (claim_run(cpu, z, slot_bit(cpu->r, z, f), order)) {
		account_low_memory(cpu, z);
		return 0;
	}
	rc = used_in(cpu->r, f, order, ret_used);
	if (rc)
		return rc;
	shut_begin(cpu->r, &s, z, slot_bit(cpu->r, z, f), order);
	rc = claim_drained(cpu, z, f, order, ret_used);
	shut_end(cpu->r, &s);
	if (!rc)
		account_low_memory(cpu, z);
	return rc;
}
