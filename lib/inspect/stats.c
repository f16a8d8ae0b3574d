/* SPDX-License-Identifier: MIT */
/*
 * Statistics: sums of the counters of all CPUs, and of the block entries. It writes nothing but the caller's
 * struct ramka_stats. May use walk.h.
 */
#include "../base/mem.h"

#include "../cpu/depot.h"
#include "../cpu/drain.h"
#include "../cpu/mail.h"
#include "../cpu/order.h"
#include "../frame/defer.h"
#include "walk.h"

static uint64_t get(const struct ramka_atomic_u64 *c)
{
	return ramka_load(c, relaxed, stat);
}

/* ---- what a CPU handed out ---- */

/*
 * Frames of any order that the CPU handed out: what came in, less what is there and what went out. Pops of
 * the caches are not counted. They are read in this order while the CPU goes on. Frames are there before they
 * are counted in, and are counted out before they are gone. So frames that move meanwhile may be subtracted
 * without being added, never the other way round: the answer may be old, and is never more than there were.
 * Pair: stat.held.
 */
static uint64_t handed_out(const struct ramka_cpu *cpu)
{
	uint64_t in = ramka_load(&cpu->moved_in, acquire, stat.held) +
		      ramka_load(&cpu->larger_in, acquire, stat.held) +
		      ramka_load(&cpu->larger_pushes, acquire, stat.held);
	uint64_t settled = ramka_load(&cpu->pushes, acquire, stat.held);
	uint64_t hot = ramka_load(&cpu->hot, acquire, stat.held), there, out;
	int64_t n;

	in += pushes_in(settled, hot);
	there = HOT_COUNT(hot) + cpu_in_rows(cpu) + order_number(cpu);
	there += cpu->outbox ? ramka_load(&cpu->outbox->count, acquire, stat.held) : 0;
	out = get(&cpu->moved_out) + get(&cpu->larger_out);
	n = (int64_t)(in - there - out);
	return get(&cpu->allocs) + (uint64_t)(n < 0 ? 0 : n);
}

/* ---- zones ---- */

/* A maximal run of free frames, as frames of a buddy allocator. */
static void add_run(struct ramka_stats *s, uint64_t first, uint64_t nr)
{
	while (nr) {
		unsigned order = order_fitting(first, nr);

		s->free_by_order[order]++;
		first += (uint64_t)1 << order;
		nr -= (uint64_t)1 << order;
	}
}

/* Free frames of a word from bit `at` on, at most `nr`. */
static unsigned ones_from(uint64_t w, unsigned at)
{
	uint64_t rest = ~(w >> at);

	return rest ? bits_lowest(rest) : WORD_BITS - at;
}

void add_zone(struct ramka_stats *s, const struct zone *z)
{
	uint64_t start = 0, run = 0;

	for (uint32_t block = zone_next_block(z, 0); block < z->map.blocks;
	     block = zone_next_block(z, block + 1)) {
		unsigned count = bitmap_free_count(&z->map, block);
		uint64_t frame = z->origin + (uint64_t)block * BLOCK_FRAMES;

		if (run && start + run != frame) { /* a hole lies between */
			add_run(s, start, run);
			run = 0;
		}

		if (unlikely(bitmap_entry(&z->map, block) & ENTRY_SHUT))
			s->isolated += entry_free(bitmap_entry(&z->map, block));
		s->free += count;
		if (count == BLOCK_FRAMES) {
			s->free_huge++;
			if (bitmap_entry(&z->map, block) == ENTRY_REPORTED)
				s->reported += BLOCK_FRAMES;
			start = run ? start : frame;
			run += BLOCK_FRAMES;
			continue;
		}
		for (unsigned i = 0; i < BLOCK_WORDS; i++) {
			uint64_t w = count ? ramka_load(&z->map.words[(size_t)block * BLOCK_WORDS + i],
							relaxed, bit.look) :
					     0;

			for (unsigned at = 0; at < WORD_BITS;) {
				unsigned n = w >> at & 1 ? ones_from(w, at) : 0;

				if (n) {
					start = run ? start : frame + i * WORD_BITS + at;
					run += n;
					at += n;
				} else {
					add_run(s, start, run);
					run = 0;
					at = w >> at ? at + bits_lowest(w >> at) : WORD_BITS;
				}
			}
		}
	}
	add_run(s, start, run);
}

/* ---- all together ---- */

/* Frames that one CPU's calls hold in use, net. */
static uint64_t in_use_by(const struct ramka_cpu *cpu)
{
	return get(&cpu->moved_in) - get(&cpu->moved_out) + get(&cpu->uncached) - cpu_held(cpu);
}

/* Did any call do without a section? */
static bool without_section(const struct ramka *r)
{
	for (unsigned i = 0; i < STRIPES; i++)
		if (get(&r->stripes[i].allocs) || get(&r->stripes[i].puts))
			return true;
	return false;
}

static bool ever_used(const struct ramka_cpu *cpu)
{
	return get(&cpu->moved_in) || HOT_PUSHES(get(&cpu->hot)) || get(&cpu->larger_in) ||
	       get(&cpu->allocs) || get(&cpu->puts);
}

/*
 * If one CPU made all calls, use is highest when its cache is emptiest (cpu_settle). Else the peak is the
 * highest of the samples that each CPU takes when it tells a zone what it took (cpu/account.h). Samples count
 * cached frames as in use.
 */
static uint64_t peak(const struct ramka *r, uint64_t in_use)
{
	const struct ramka_cpu *only = NULL;
	uint64_t best = in_use, sampled = get(&r->peak), own, least;

	for (unsigned i = 0; i < r->nr_cpus; i++) {
		if (!ever_used(&r->cpus[i].cpu))
			continue;
		if (only || without_section(r))
			return sampled > best ? sampled : best;
		only = &r->cpus[i].cpu;
	}
	if (!only)
		return sampled > best ? sampled : best;
	least = HOT_LOWEST(get(&only->hot)) < cpu_count(only) ? HOT_LOWEST(get(&only->hot)) : cpu_count(only);
	own = in_use_by(only) + cpu_held(only) - least;
	if ((int64_t)own > (int64_t)best)
		best = own;
	return get(&only->peak) > best ? get(&only->peak) : best;
}

static uint64_t at_most(uint64_t n, uint64_t limit)
{
	return n < limit ? n : limit;
}

/*
 * A frame on its way from one place to the next may have been seen in both, or in none. The parts must still
 * add up.
 */
static void add_up(struct ramka_stats *s)
{
	uint64_t rest = s->total;

	s->reserved = at_most(s->reserved, rest);
	rest -= s->reserved;
	s->unused = at_most(s->unused, rest);
	rest -= s->unused;
	s->deferred = at_most(s->deferred, rest);
	rest -= s->deferred;
	s->free = at_most(s->free + s->cached + s->isolated, rest);
	s->isolated = at_most(s->isolated, s->free);
	s->cached = at_most(s->cached, s->free);
	s->in_use = rest - s->free;
}

void ramka_stats_read(const struct ramka *r, struct ramka_stats *ret_s)
{
	struct ramka_stats *s = ret_s;

	memset(s, 0, sizeof(*s));
	s->total = r->total + get(&r->late_total);
	s->reserved = r->reserved - get(&r->late_reserved);
	s->unused = get(&r->unused);
	s->bad = get(&r->bad);
	s->cached = get(&r->reporting);
	s->deferred = defer_count(r);
	for (unsigned i = 0; i < STRIPES; i++) {
		s->allocs += get(&r->stripes[i].allocs) + get(&r->stripes[i].split);
		s->puts += get(&r->stripes[i].puts) + get(&r->stripes[i].joined);
	}
	for (unsigned i = 0; i < r->nr_zones; i++)
		add_zone(s, &r->zones[i]);
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		const struct ramka_cpu *cpu = &r->cpus[i].cpu;
		const struct defer *d = cpu->defer;
		uint64_t age = defer_age(d), peak = defer_peak(d);

		s->cached += cpu_held(cpu) + depot_cached(r->depot, i) + depot_cached(r->mail, i);
		s->allocs += handed_out(cpu);
		s->puts += get(&cpu->puts) + cpu_pushes(cpu) + get(&cpu->larger_pushes);
		s->refills += get(&cpu->refills);
		s->flushes += get(&cpu->flushes);
		s->steals += get(&cpu->steals);
		if (peak > s->deferred_peak)
			s->deferred_peak = peak;
		if (age > s->deferred_age)
			s->deferred_age = age;
	}
	for (unsigned i = 0; i <= RAMKA_MAX_ORDER; i++)
		s->failures[i] = get(&r->failures[i]);
	add_up(s);
	s->peak_in_use = peak(r, s->in_use);
	if (s->peak_in_use > s->total - s->reserved)
		s->peak_in_use = s->total - s->reserved;
}
