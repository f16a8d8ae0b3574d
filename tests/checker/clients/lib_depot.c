/* SPDX-License-Identifier: MIT */
/*
 * lib/cpu/depot.c alone: the two stacks of magazines. The contents of a magazine are plain, so a missing order
 * shows as a race; two holders of one magazine show in the oracle.
 */
#include "checker.h"

#include "cpu/depot.h"

static struct depot d;

static void hold(struct magazine *m) { ck_own_take((unsigned)(m - d.magazines)); }
static void leave(struct magazine *m) { ck_own_give((unsigned)(m - d.magazines)); }

static void fill(struct magazine *m, uint32_t with)
{
	m->count = 1;
	m->frames[0] = with;
}

static void make(unsigned shards, unsigned full)
{
	d = (struct depot){ .nr_shards = shards, .per_shard = SHARD_MAGAZINES };
	d.shards = ck_alloc(sizeof(struct shard) * shards, 64);
	d.magazines = ck_alloc(sizeof(struct magazine) * shards * SHARD_MAGAZINES, 64);
	depot_grow(&d, SHARD_MAGAZINES);
	for (unsigned i = 0; i < full; i++) {
		struct magazine *m = depot_get_empty(&d, 0);

		fill(m, i + 1);
		depot_push(&d, m);
	}
}
static void three_full(void) { make(1, 3); }

static struct magazine *pop(void)
{
	struct magazine *m = depot_pop(&d, 0);

	if (m) {
		hold(m);
		ck_assert(m->count == 1 && m->frames[0] >= 1 && m->frames[0] <= 8,
				"a magazine with %u frames, %u", m->count, m->frames[0]);
	}
	return m;
}
static void push(struct magazine *m) { leave(m); depot_push(&d, m); }
static void retire(struct magazine *m) { m->count = 0; leave(m); depot_put_empty(&d, m); }

static void pop_push(void) { struct magazine *m = pop(); if (m) push(m); }
static void pop_pop_push(void) { struct magazine *m = pop(), *o = pop(); if (m) push(m); (void)o; }
static void pop_keep(void) { pop(); }
static void pop_retire_get(void)
{
	struct magazine *m = pop();

	if (m)
		retire(m);
	m = depot_get_empty(&d, 0);
	if (m) {
		hold(m);
		fill(m, 7);
		push(m);
	}
}

static unsigned count(struct ramka_atomic_u64 *head)
{
	unsigned n = 0;

	for (uint64_t i = head->value & 0xffffff; i; i = d.magazines[i - 1].next.value) {
		ck_assert(!ck_owned((unsigned)i - 1), "magazine %u is held and on a stack", (unsigned)i - 1);
		ck_assert(++n <= SHARD_MAGAZINES, "a cycle");
	}
	return n;
}

static void books(void)
{
	unsigned n = count(&d.shards[0].full) + count(&d.shards[0].empty);

	for (unsigned i = 0; i < SHARD_MAGAZINES; i++)
		n += ck_owned(i);
	ck_assert(n == SHARD_MAGAZINES, "%u magazines of %u", n, SHARD_MAGAZINES);
	ck_assert(d.shards[0].cached.value == count(&d.shards[0].full), "cached says %llu",
			(unsigned long long)d.shards[0].cached.value);
}
CK_CLIENT(depot_stack, .what = "pop, push against pop, pop, push and pop", .setup = three_full,
	  .thread = { pop_push, pop_pop_push, pop_keep }, .check = books, .stale = 2);
CK_CLIENT(depot_empties, .what = "magazines go round: full, emptied, filled again", .setup = three_full,
	  .thread = { pop_retire_get, pop_retire_get, pop_push }, .check = books, .stale = 1);
