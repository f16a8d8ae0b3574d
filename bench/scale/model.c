/* SPDX-License-Identifier: MIT */
/*
 * What an access costs. Caches are coherent: a line has one owner, who may write it, or any number of readers.
 *
 *   ACCESS    each access, and the instructions around it
 *   LOCKED    more for an atomic read-modify-write, which first waits for the CPU's earlier stores and loads
 *   L2, L3    a line that the CPU's first-level cache, or both its caches, have lost meanwhile
 *   MEMORY    a line that no CPU has touched yet
 *   MOVE      a line that another CPU has, or a store to one that others read; moves of one line queue, half of a move
 *             after another
 *   FAR       the same between two sockets
 *
 * A load that misses overlaps with what follows until the CPU has done WINDOW of further work. A store goes to a buffer
 * and is waited for when the buffer is STORES behind, or by a locked operation. A prefetch is waited for by those that
 * use its line.
 */
#include "model.h"

#include <string.h>

enum { ACCESS, COST_LOCKED, L2, L3, MEMORY, MOVE, FAR, WINDOW, STORES, PAUSE, BARRIER, INTERRUPT, SOCKETS };

struct machine_constant machine_constants[] = {
	[ACCESS] = { "access", 120, "an access that hits, and the instructions around it" },
	[COST_LOCKED] = { "locked", 7000, "a locked operation on a line that the CPU owns" },
	[L2] = { "l2", 3000, "a load from the second-level cache" },
	[L3] = { "l3", 22000, "a load from the cache that all CPUs share" },
	[MEMORY] = { "memory", 85000, "a load from memory" },
	[MOVE] = { "move", 95000, "a line that another CPU has written" },
	[FAR] = { "far", 240000, "the same from another socket" },
	[WINDOW] = { "window", 45000, "work that overlaps with a load that misses" },
	[STORES] = { "stores", 168000, "how far the buffered stores may be behind" },
	[PAUSE] = { "pause", 40000, "a pause in a loop that waits" },
	[BARRIER] = { "barrier", 2000000, "a barrier of all CPUs: who asks" },
	[INTERRUPT] = { "interrupt", 700000, "a barrier of all CPUs: each of the others" },
	[SOCKETS] = { "sockets", 1, "CPUs are spread over so many; lower ones first" },
	{ NULL, 0, NULL },
};

#define COST(name) (machine_constants[name].value)

#define AHEAD 60000u /* a CPU may run so far ahead on lines that no other CPU has used */

static struct line *l1[MACHINE_CPUS][L1_SETS][WAYS], *l2[MACHINE_CPUS][L2_SETS][WAYS];

void model_start(void)
{
	for (unsigned i = 0; i < nr_cpus; i++) {
		cpus[i].l1 = l1[i];
		cpus[i].l2 = l2[i];
	}
}

bool machine_set(const char *constant, uint64_t value)
{
	for (struct machine_constant *k = machine_constants; k->name; k++)
		if (!strcmp(k->name, constant)) {
			k->value = value;
			return true;
		}
	return false;
}

/* ---- loads and stores under way ---- */

static inline void work(struct cpu *c, uint64_t ps)
{
	c->now += ps;
	c->work += ps;
}

static inline void wait_until(struct cpu *c, uint64_t when)
{
	if (when > c->now)
		c->now = when;
}

static void drop_miss(struct cpu *c, unsigned i)
{
	c->nr_prefetches -= !c->misses[i].waits;
	c->misses[i] = c->misses[--c->nr_misses];
}

/* Waits for the misses that the work done since no longer overlaps; forgets those that have arrived. */
static void retire(struct cpu *c)
{
	for (unsigned i = 0; i < c->nr_misses;) {
		struct miss *m = &c->misses[i];

		if (m->ready > c->now && m->waits && c->work - m->work > COST(WINDOW))
			c->now = m->ready;
		if (m->ready <= c->now)
			drop_miss(c, i);
		else
			i++;
	}
}

static void add_miss(struct cpu *c, struct line *line, uint64_t latency, bool waits)
{
	if (c->nr_misses == MISSES) {
		unsigned first = 0;

		for (unsigned i = 1; i < MISSES; i++)
			if (c->misses[i].ready < c->misses[first].ready)
				first = i;
		wait_until(c, c->misses[first].ready);
		drop_miss(c, first);
	}
	c->misses[c->nr_misses++] =
		(struct miss){ .line = line, .ready = c->now + latency, .work = c->work, .waits = waits };
	c->nr_prefetches += !waits;
}

/* What is left of the time that a prefetched line needs; the prefetch is used up. */
static uint64_t prefetched(struct cpu *c, const struct line *line)
{
	for (unsigned i = 0; i < c->nr_misses; i++) {
		uint64_t ready = c->misses[i].ready;

		if (c->misses[i].waits || c->misses[i].line != line)
			continue;
		drop_miss(c, i);
		return ready > c->now ? ready - c->now : 0;
	}
	return 0;
}

/* All earlier loads and stores are done. */
static void drain(struct cpu *c)
{
	wait_until(c, c->stores_done);
	for (unsigned i = 0; i < c->nr_misses;) {
		if (c->misses[i].waits) {
			wait_until(c, c->misses[i].ready);
			drop_miss(c, i);
		} else {
			i++;
		}
	}
}

/* ---- the caches of a CPU ---- */

/* All memory here begins at multiples of 2 MiB, so the set is drawn from all bits of the number. */
static inline struct line **set_of(struct line *(*cache)[WAYS], unsigned sets, uint64_t number)
{
	return cache[(number * UINT64_C(0x9e3779b97f4a7c15) >> 40) % sets];
}

/* Is the line in this set? If so it is nearer to the front afterwards. */
static inline bool in_set(struct line **set, struct line *l)
{
	if (likely(set[0] == l))
		return true;
	for (unsigned i = 1; i < WAYS; i++)
		if (set[i] == l) {
			set[i] = set[i - 1];
			set[i - 1] = l;
			return true;
		}
	return false;
}

/* The last one of the set is forgotten. */
static void put_into(struct line **set, struct line *l)
{
	for (unsigned i = WAYS - 1; i > 0; i--)
		set[i] = set[i - 1];
	set[0] = l;
}

static inline bool in_l1(struct cpu *c, struct line *l, uint64_t number)
{
	return in_set(set_of(c->l1, L1_SETS, number), l);
}

static inline bool in_l2(struct cpu *c, struct line *l, uint64_t number)
{
	return in_set(set_of(c->l2, L2_SETS, number), l);
}

/* Now in both. */
static void cache(struct cpu *c, struct line *l, uint64_t number)
{
	if (!in_l1(c, l, number))
		put_into(set_of(c->l1, L1_SETS, number), l);
	if (!in_l2(c, l, number))
		put_into(set_of(c->l2, L2_SETS, number), l);
}

/* ---- where a line is ---- */

static inline bool reads(const struct line *l, unsigned cpu)
{
	return l->readers[cpu / 64] >> (cpu % 64) & 1;
}

/* A CPU other than `me` that has a copy; NO_CPU. */
static unsigned other_reader(const struct line *l, unsigned me)
{
	for (unsigned i = 0; i < MACHINE_CPUS / 64; i++) {
		uint64_t others = l->readers[i] & ~(i == me / 64 ? UINT64_C(1) << me % 64 : 0);

		if (others)
			return i * 64 + (unsigned)__builtin_ctzll(others);
	}
	return NO_CPU;
}

static void set_owner(struct line *l, unsigned me)
{
	for (unsigned i = 0; i < MACHINE_CPUS / 64; i++) /* memset is wrapped */
		l->readers[i] = 0;
	l->owner = (uint16_t)(me + 1);
	l->readers[me / 64] = UINT64_C(1) << me % 64;
}

static void add_reader(struct line *l, unsigned me)
{
	l->owner = 0;
	l->readers[me / 64] |= UINT64_C(1) << me % 64;
}

static inline bool far(unsigned a, unsigned b)
{
	return COST(SOCKETS) > 1 && a * COST(SOCKETS) / nr_cpus != b * COST(SOCKETS) / nr_cpus;
}

/* The line comes from CPU `from`, or its copies there and elsewhere go. */
static uint64_t move(struct cpu *c, struct line *l, uint64_t number, unsigned from)
{
	uint64_t full = far(from, c->id) ? COST(FAR) : COST(MOVE), start;

	l->shared = true;
	if (!in_l2(&cpus[from], l, number) && full == COST(MOVE))
		return COST(L3); /* it has lost it meanwhile */
	start = c->now > l->free_at ? c->now : l->free_at;
	l->free_at = start + full / 2;
	return start + full - c->now;
}

struct access {
	uint64_t address;
	enum kind kind;
	uint32_t pc;
	uint8_t words;
	bool own;
};

static void count_move(struct cpu *c, const struct line *l, const struct access *a, unsigned from, uint64_t wait)
{
	struct counters *n = &c->counters[c->section];

	if (a->own) {
		n->own++;
		return;
	}
	n->moves++;
	n->waited += wait;
	if (lines_watched && c->section)
		lines_note(&(struct move){ .line = l,
					   .address = a->address,
					   .wait = wait,
					   .pc = a->pc,
					   .taken_at = l->taker,
					   .from = (uint16_t)from,
					   .to = (uint16_t)c->id,
					   .false_sharing = !(l->touched & a->words) });
}

/* Brings a line that the CPU has no sufficient copy of; how long that takes. */
static uint64_t fetch(struct cpu *c, struct line *l, uint64_t number, const struct access *a)
{
	unsigned from = l->owner ? l->owner - 1u : other_reader(l, c->id);
	bool exclusive = takes(a->kind);
	uint64_t latency = 0;

	if (from != NO_CPU && (l->owner || exclusive)) {
		latency = move(c, l, number, from);
		count_move(c, l, a, from, latency);
	} else if (from != NO_CPU) {
		latency = far(from, c->id) ? COST(FAR) : COST(L3);
		l->shared = true;
	} else if (!reads(l, c->id)) {
		latency = COST(MEMORY);
	}
	if (exclusive) {
		set_owner(l, c->id);
		l->touched = 0;
		l->taker = a->pc;
	} else {
		add_reader(l, c->id);
	}
	cache(c, l, number);
	return latency;
}

/* A line that the CPU has a copy of, but perhaps no longer near. */
static uint64_t refetch(struct cpu *c, struct line *l, uint64_t number)
{
	uint64_t latency = in_l2(c, l, number) ? COST(L2) : COST(L3);

	cache(c, l, number);
	return latency;
}

/* ---- one access ---- */

static void pay(struct cpu *c, struct line *l, enum kind kind, uint64_t latency)
{
	if (latency == 0)
		return;
	switch (kind) {
	case LOAD:
		add_miss(c, l, latency, true);
		break;
	case PREFETCH:
	case PREFETCH_STORE:
		add_miss(c, l, latency, false);
		break;
	case STORE:
		if (c->now + latency > c->stores_done)
			c->stores_done = c->now + latency;
		if (c->stores_done > COST(STORES))
			wait_until(c, c->stores_done - COST(STORES));
		break;
	case LOCKED:
		c->now += latency;
		break;
	}
}

static void access_line(struct cpu *c, struct line *l, const struct access *a)
{
	uint64_t number = a->address / LINE, latency = 0;
	bool near = in_l1(c, l, number);

	if (c->now > turn_ends && (l->shared || !near || c->now > turn_ends + AHEAD))
		cpu_yield();
	if (a->kind == LOCKED) {
		c->counters[c->section].locked++;
		if (lines_watched && c->section)
			lines_note_locked(a->pc);
		drain(c);
		work(c, COST(COST_LOCKED));
	}
	if (l->owner != c->id + 1 && (takes(a->kind) || !reads(l, c->id)))
		latency = fetch(c, l, number, a);
	else if (!in_l1(c, l, number))
		latency = refetch(c, l, number);
	else if (c->nr_prefetches && a->kind <= LOCKED)
		latency = prefetched(c, l);
	l->touched |= a->words;
	pay(c, l, a->kind, latency);
}

void model_access(const volatile void *p, size_t bytes, enum kind kind, uint32_t pc)
{
	uint64_t at = (uintptr_t)p, end = at + (bytes ? bytes : 1), next;
	struct cpu *c = current;

	if (!c)
		return;
	for (; at < end; at = next) {
		struct window *w = memory_window(at);
		uint64_t line = at & ~(uint64_t)(LINE - 1), last;

		next = line + LINE;
		last = (next < end ? next : end) - 1;
		c->counters[c->section].accesses++;
		work(c, COST(ACCESS));
		if (c->nr_misses)
			retire(c);
		if (w)
			access_line(c, &w->lines[(line - w->base) / LINE],
				    &(struct access){ .address = at,
						      .kind = kind,
						      .pc = pc,
						      .words = (uint8_t)((2u << (last - line) / 8) -
									 (1u << (at - line) / 8)),
						      .own = w->own });
	}
}

void model_fence(void)
{
	if (!current)
		return;
	current->counters[current->section].locked++;
	drain(current);
	work(current, COST(COST_LOCKED));
}

void model_barrier_all(void)
{
	if (!current)
		return;
	cpu_yield();
	current->counters[current->section].barriers++;
	drain(current);
	current->now += COST(BARRIER);
	clocks_moved = true;
	for (unsigned i = 0; i < nr_cpus; i++)
		if (&cpus[i] != current && !cpus[i].done)
			cpus[i].now += COST(INTERRUPT);
}

void model_pause(void)
{
	if (!current)
		return;
	current->now += COST(PAUSE);
	cpu_yield();
}
