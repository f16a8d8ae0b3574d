/* SPDX-License-Identifier: MIT */
/* Filling and emptying the cache of base frames. See cache.h. */
#include "../base/mem.h"

#include "cache.h"
#include "depot.h"
#include "gate.h"
#include "lean.h"
#include "mail.h"
#include "row.h"

#define GATE_MAX 24u /* free frames of a block that counts as nearly full */
#define REFILL_TRIES 4u
/* magazines of mail that a refill opens, until one of their frames passes the gate */
#define MAIL_AT_REFILL 4u
#define WORTH_A_ROW 8u /* frames: with as many, a row is no dearer than mail */
#define VICTIMS 4u        /* other shards looked into before the zone, with RAMKA_CACHE_ALL */

static bool caches_all(const struct ramka_cpu *cpu)
{
	return cpu->window == CACHE_ALL;
}

/*
 * An empty magazine of the own shard. With RAMKA_CACHE_ALL any shard of the same zone gives one, since a CPU
 * that frees what others allocate needs more magazines than its own.
 */
static struct magazine *get_empty(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	struct magazine *m = depot_get_empty(r->depot, cpu->id);

	for (unsigned i = 1; caches_all(cpu) && i < r->nr_cpus && !m; i++) {
		unsigned shard = (cpu->id + i) % r->nr_cpus;

		if (r->cpus[shard].cpu.zone == cpu->zone)
			m = depot_get_empty(r->depot, shard);
	}
	return m;
}

/* The `out` frames of the cache that would be handed out last are gone; how many are left of n. */
static noinline uint32_t close_up(struct ramka_cpu *cpu, uint32_t n, uint32_t out)
{
	uint32_t *frames = cache_of(cpu)->frames;

	memmove(frames, frames + out, (n - out) * sizeof(*frames));
	own_add(&cpu->moved_out, out);
	return n - out;
}

/* Makes room in the full cache. */
static void flush(struct ramka_cpu *cpu)
{
	struct depot *d = cpu->r->depot;
	uint32_t n = cpu_count(cpu), out = n < MAGAZINE_SIZE ? n : MAGAZINE_SIZE;
	struct magazine *m = get_empty(cpu);

	cpu_settle(cpu);
	count_move(cpu, true);
	if (m) {
		memcpy(m->frames, cache_of(cpu)->frames, out * sizeof(*m->frames));
		m->count = out;
		depot_push(d, m);
		if (caches_all(cpu))
			depot_fetch(d, depot_first_empty(d, cpu->id), MAGAZINE_SIZE);
	} else {
		free_frames(cpu, cpu->zone, cache_of(cpu)->frames, out, true);
	}
	set_count(cpu, close_up(cpu, n, out));
	set_current(&cpu->current, NO_ROW); /* the zone changed, so the gate decides anew */
	own_add(&cpu->flushes, 1);
	probe(flush, cpu->id, out);
	count_move(cpu, true);
}

/* A lean CPU gives the frame to the zone at once. */
static noinline void free_lean(struct ramka_cpu *cpu, uint32_t bit)
{
	open_row(cpu, bit, (uint64_t)1 << (bit % WORD_BITS));
	count_row_pushes(cpu, 1);
	give_rows(cpu);
	lean_look(cpu);
	section_leave(cpu);
	account_more_memory(cpu, cpu->zone);
}

/* The gate let the frame pass. It is the first one of its block, or the cache is full. */
static noinline void free_cached(struct ramka_cpu *cpu, uint32_t n)
{
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);

	if (HOT_COUNT(hot) >= cpu->most) {
		if (cpu_is_lean(cpu)) {
			free_lean(cpu, bit_of(cpu, n));
			return;
		}
		flush(cpu);
		hot = ramka_load(&cpu->hot, relaxed, section.own);
	}
	if (HOT_COUNT(hot) < HOT_LOWEST(hot))
		hot = hot_at_lowest(hot, HOT_COUNT(hot));
	cache_of(cpu)->frames[HOT_COUNT(hot)] = n;
	/* release, since the first push after a drain comes this way */
	ramka_store(&cpu->hot, hot + HOT_PUSH + 1, release, stat.held);
	section_leave(cpu);
	account_more_memory(cpu, cpu->zone);
}

/*
 * The gate refused the frame, and it does not belong into the open row. A CPU that makes no refill sends no
 * mail. That is cheaper as long as it frees neighbours, which leave for the bitmap together.
 */
static noinline void free_refused(struct ramka_cpu *cpu, uint32_t bit)
{
	if (cpu_is_lean(cpu)) {
		free_lean(cpu, bit);
		return;
	}
	if (cpu->outbox && !cpu->outbox->size && cpu_in_rows(cpu) < WORTH_A_ROW * cpu->nr_rows)
		mail_grow(cpu);
	make_row(cpu);
	open_row(cpu, bit, (uint64_t)1 << (bit % WORD_BITS));
	count_row_pushes(cpu, 1);
	section_leave(cpu);
	account_more_memory(cpu, cpu->zone);
}

/* The frame lies in another CPU's territory. False: this CPU sends no mail. */
static noinline bool free_mailed(struct ramka_cpu *cpu, uint32_t owner, uint32_t n)
{
	if (!mail_put(cpu, owner, n))
		return false;
	count_row_pushes(cpu, 1);
	section_leave(cpu);
	return true;
}

noinline void cpu_free_cold(struct ramka_cpu *cpu, uintptr_t number)
{
	uint32_t n = (uint32_t)number, bit = bit_of(cpu, n), block = bit / BLOCK_FRAMES;
	uint32_t owner = territory_owner(cpu->zone, block);

	if (owner != cpu->me && owner - 1 < cpu->r->nr_cpus && block != cpu->block &&
	    !gate_is_shut(cpu, block) && !cpu_is_lean(cpu) && free_mailed(cpu, owner - 1, n))
		return;
	if (gate_passes(cpu, n, cpu->block, &cpu->current)) {
		free_cached(cpu, n);
	} else if (unlikely(rows_full(cpu))) {
		free_refused(cpu, bit);
	} else { /* inlined: with fewer instructions, more cache misses overlap */
		open_row(cpu, bit, (uint64_t)1 << (bit % WORD_BITS));
		count_row_pushes(cpu, 1);
		section_leave(cpu);
	}
}

/*
 * The slots of frames that were freed elsewhere or long ago are in no data cache of this CPU. All of these
 * misses overlap here; between the calls that hand the frames out few would. A slot is fetched for writing,
 * so its line moves once.
 */
static void fetch_slots(const struct ramka_cpu *cpu, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(cpu_slot(cpu, cache_of(cpu)->frames[i]), 1);
}

/* Empties a magazine of a shard into the empty cache. */
static uint32_t take_magazine(struct ramka_cpu *cpu, unsigned shard)
{
	struct depot *d = cpu->r->depot;
	struct magazine *m = depot_pop(d, shard);
	uint32_t n;

	if (!m)
		return 0;
	n = m->count;
	memcpy(cache_of(cpu)->frames, m->frames, n * sizeof(*m->frames));
	depot_put_empty(d, m);
	if (caches_all(cpu)) { /* the magazine holds frames in the order in which they were freed */
		fetch_slots(cpu, n);
		depot_fetch(d, depot_first(d, shard), MAGAZINE_SIZE);
	}
	if (shard != cpu->id) {
		own_add(&cpu->steals, 1);
		probe(steal, cpu->id, shard);
	}
	return n;
}

/* Has the victim, another shard of the same zone, something to steal? */
static bool victim_has_full(const struct ramka_cpu *cpu)
{
	return cpu->victim != cpu->id && cpu->r->cpus[cpu->victim].cpu.zone == cpu->zone &&
	       depot_has_full(cpu->r->depot, cpu->victim);
}

static void next_victim(struct ramka_cpu *cpu)
{
	cpu->victim = cpu->victim + 1 < cpu->r->nr_cpus ? cpu->victim + 1 : 0;
}

/* From up to `tries` other shards of the same zone, first from where it found something last. */
static uint32_t steal(struct ramka_cpu *cpu, unsigned tries)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < tries; i++) {
		if (victim_has_full(cpu))
			n = take_magazine(cpu, cpu->victim);
		if (n)
			break;
		next_victim(cpu);
	}
	return n;
}

static uint32_t random_below(struct ramka_cpu *cpu, uint32_t n)
{
	uint32_t x = cpu->random; /* xorshift32, Marsaglia 2003 */

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	cpu->random = x;
	return (uint32_t)((uint64_t)x * n >> 32);
}

static void shuffle(struct ramka_cpu *cpu, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = random_below(cpu, i), swap = cache_of(cpu)->frames[i - 1];

		cache_of(cpu)->frames[i - 1] = cache_of(cpu)->frames[j];
		cache_of(cpu)->frames[j] = swap;
	}
}

/* Appends the frames of a mask so that they are popped in ascending order. */
static uint32_t expand(struct ramka_cpu *cpu, uint32_t at, uint32_t word, uint64_t mask)
{
	uint32_t n = bits_count(mask), base = word * WORD_BITS - cpu->zone->low;

	if (n == WORD_BITS) {
		for (uint32_t i = 0; i < WORD_BITS; i++)
			cache_of(cpu)->frames[at + i] = base + WORD_BITS - 1 - i;
		return n;
	}
	for (uint32_t i = n; mask; mask &= mask - 1)
		cache_of(cpu)->frames[at + --i] = base + bits_lowest(mask);
	return n;
}

static uint32_t refill_from_zone(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	uint32_t n = 0, batch = ramka_load(&r->batch, relaxed, stat), word;
	uint32_t want = (uint32_t)account_spare(cpu, batch < cpu->keep ? batch : cpu->keep);
	unsigned start = r->flags & RAMKA_SHUFFLE ? random_below(cpu, BLOCK_WORDS) : 0;

	for (unsigned i = 0; want && i < REFILL_TRIES && n < want / 4 + 1; i++) {
		uint64_t mask = cpu->block == NO_BLOCK ?
					0 :
					bitmap_take(&cpu->zone->map, cpu->block, want - n, start, &word);

		if (!mask) {
			uint32_t block = territory_pick(cpu->zone, cpu->me, &cpu->own, 0,
							cpu->block == NO_BLOCK ? cpu->home : cpu->block);

			if (block == NO_BLOCK)
				break;
			refill_from(cpu, &cpu->block, cpu->run_block, block);
			mask = bitmap_take(&cpu->zone->map, block, want - n, start, &word);
		}
		if (mask)
			n += expand(cpu, n, word, mask);
	}
	if (n) {
		account_zone(cpu, cpu->zone, n, true);
		own_add(&cpu->refills, 1);
		probe(refill, cpu->id, n);
		if (r->flags & RAMKA_SHUFFLE)
			shuffle(cpu, n);
		if (mail_slots_away(cpu, n))
			fetch_slots(cpu, n);
	}
	return n;
}

static void set_gate(struct ramka_cpu *cpu)
{
	uint64_t usable = ramka_load(&cpu->zone->usable, relaxed, stat);
	uint64_t mean = usable ? zone_estimate_free(cpu->zone) * BLOCK_FRAMES / usable : 0;

	/* must stay below the zone's mean */
	cpu->gate = mean / 2 < GATE_MAX ? (uint32_t)(mean / 2) : GATE_MAX;
	cpu->window = gate_window(cpu->r);
}

/*
 * Would a refill find nothing? A look at a few other shards stands for one at all of them: the next refill
 * looks at the next ones.
 */
static noinline bool refill_useless(struct ramka_cpu *cpu)
{
	const struct ramka *r = cpu->r;

	if (cpu_count(cpu) || cpu->row != NO_ROW || depot_has_full(r->depot, cpu->id) ||
	    (cpu->outbox->room && depot_has_full(r->mail, cpu->id)) || !zone_seems_empty(cpu->zone))
		return false;
	for (unsigned i = 0; i < VICTIMS; i++) {
		if (victim_has_full(cpu))
			return false;
		next_victim(cpu);
	}
	return true;
}

noinline struct ramka_frame *cpu_alloc_refill(struct ramka_cpu *cpu)
{
	struct ramka_frame *f = NULL;
	uint32_t n, in = 0, mail = 1;

	if (!section_enter(cpu))
		return NULL;
	if (unlikely(cpu->dry) && refill_useless(cpu)) {
		section_leave(cpu);
		return NULL;
	}
	cpu_settle(cpu);
	count_move(cpu, true);
	lean_look(cpu);
	n = cpu_count(cpu);
	mail_grow(cpu);
	/* an on_drop may have refilled the cache meanwhile; moved_in counts those frames already */
	for (unsigned i = 0; i < MAIL_AT_REFILL && !n && mail; i++)
		in += mail = mail_open(cpu, &n);
	if (n && mail_slots_away(cpu, n))
		fetch_slots(cpu, n);
	if (!n)
		in += n = take_magazine(cpu, cpu->id);
	if (!n && caches_all(cpu)) /* what was freed anywhere comes before what is still in the zone */
		in += n = steal(cpu, VICTIMS);
	if (!n)
		in += n = refill_from_zone(cpu);
	if (!n)
		in += n = steal(cpu, cpu->r->nr_cpus);
	cpu->dry = !n && cpu->r->nr_zones > 1;
	if (n) {
		f = cpu_slot(cpu, cache_of(cpu)->frames[--n]);
		set_gate(cpu);
	}
	if (unlikely(n > cpu->most)) {
		free_frames(cpu, cpu->zone, cache_of(cpu)->frames, n - cpu->most, true);
		n = close_up(cpu, n, n - cpu->most);
	}
	set_count(cpu, n);
	own_count_in(&cpu->moved_in, in);
	flush_rows(cpu);
	set_current(&cpu->current,
		    cpu->block == NO_BLOCK ? NO_ROW : cpu->block * BLOCK_FRAMES - cpu->zone->low);
	count_move(cpu, true);
	section_leave(cpu);
	if (f)
		account_low_memory(cpu, cpu->zone);
	return f;
}
