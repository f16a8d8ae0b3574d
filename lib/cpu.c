/* SPDX-License-Identifier: MIT */
/* Caches: refill, flush, drain, and the answer "no memory". Protocols: cpu.h. */
#include "mem.h"

#include "cpu.h"

#define GATE_MAX 24u       /* free frames of a block that counts as nearly full */
#define REFILL_TRIES 4u
#define NOMEM_ROUNDS 8u
#define REVOKED_TRIES 10000u

/* Sets the number of cached frames; the lowest since the last settling becomes it as well. */
static void set_count(struct ramka_cpu *cpu, uint32_t n)
{
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);

	ramka_store(&cpu->hot, (hot & ~(uint64_t)0xffff) | n << 8 | n, relaxed, section.own);
}

static uint64_t row_of(const struct ramka_cpu *cpu)
{
	return ramka_load(&cpu->row_mask, relaxed, section.own);
}

uint32_t cpu_in_rows(const struct ramka_cpu *cpu)
{
	uint32_t n = bits_count(row_of(cpu));

	for (unsigned i = 0; i < ROWS; i++) {
		uint64_t mask = ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own);

		if (mask)
			n += bits_count(mask);
	}
	return n;
}

static uint32_t bit_of(const struct ramka_cpu *cpu, uint32_t n)
{
	return cpu->zone->low + n;
}

/* ---- accounting ---- */

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
static void account_zone(struct ramka_cpu *cpu, struct zone *z, int64_t n, bool inside)
{
	if (!inside || z != cpu->zone) {
		ramka_add(&z->taken, (uint64_t)n, relaxed, stat);
		sample_peak(cpu->r);
		return;
	}
	cpu->unfolded += n;
	if (cpu->unfolded < (int64_t)cpu->r->fold && cpu->unfolded > -(int64_t)cpu->r->fold)
		return;
	ramka_add(&z->taken, (uint64_t)cpu->unfolded, relaxed, stat);
	cpu->unfolded = 0;
	sample_peak(cpu->r);
}

/* One frame of `nr` base frames was handed out by a zone. */
static void account_alloc(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, bool inside)
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

/* A movement of frames begins or ends; see "No memory" in cpu.h. */
static void count_move(struct ramka_cpu *cpu, bool inside)
{
	if (inside)
		ramka_store(&cpu->moves, ramka_load(&cpu->moves, relaxed, section.own) + 1, release, nomem.collect);
	else
		ramka_add(&cpu->r->moves, 1, release, nomem.collect);
}

static void check_low_memory(struct ramka *r)
{
	uint64_t estimate = 0, exact = 0;

	if (!r->low_memory)
		return;
	for (unsigned i = 0; i < r->nr_zones; i++)
		estimate += zone_estimate_free(&r->zones[i]);
	if (estimate >= r->low_watermark + (uint64_t)r->fold * r->nr_cpus)
		return;
	for (unsigned i = 0; i < r->nr_zones; i++)
		exact += zone_count_free(&r->zones[i]);
	if (exact < r->low_watermark)
		r->low_memory(r->ctx, exact);
}

/* ---- out of the cache ---- */

/* Returns how many frames that were. */
static uint32_t free_word(struct ramka_cpu *cpu, struct zone *z, uint32_t word, uint64_t mask)
{
	uint32_t n = bitmap_free_mask(&z->map, word, mask);

	if (likely(n))
		return n;
	ramka_add(&cpu->r->corrupt, 1, relaxed, stat);
	return bits_count(mask);
}

/* Frees cached frames into the zone; neighbours of one word in one go. */
static void free_frames(struct ramka_cpu *cpu, struct zone *z, const uint32_t *frames, uint32_t n, bool inside)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t bit = z->low + frames[i];

		mask |= (uint64_t)1 << (bit % WORD_BITS);
		if (i + 1 < n && (z->low + frames[i + 1]) / WORD_BITS == bit / WORD_BITS)
			continue;
		free_word(cpu, z, bit / WORD_BITS, mask);
		mask = 0;
	}
	account_zone(cpu, z, -(int64_t)n, inside);
}

/*
 * All rows go to the zone. In one burst: a locked operation waits for every cache miss before it, so between bursts
 * the misses of frees that follow each other overlap.
 */
static void flush_rows(struct ramka_cpu *cpu)
{
	uint64_t mask = row_of(cpu);
	uint32_t freed = 0;

	for (unsigned i = 0; i < cpu->nr_rows; i++) {
		uint64_t closed = ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own);

		if (!closed)
			continue;
		freed += free_word(cpu, cpu->zone, bit_of(cpu, cache_of(cpu)->rows[i]) / WORD_BITS, closed);
		ramka_store(&cache_of(cpu)->row_masks[i], 0, relaxed, section.own);
	}
	if (mask)
		freed += free_word(cpu, cpu->zone, bit_of(cpu, cpu->row) / WORD_BITS, mask);
	ramka_store(&cpu->row_mask, 0, relaxed, section.own);
	if (freed)
		account_zone(cpu, cpu->zone, -(int64_t)freed, true);
	own_add(&cpu->moved_out, freed);
	cpu->row = NO_ROW;
	cpu->nr_rows = cpu->rows_settled = 0;
}

/* Closes the row, if only an empty one, and opens another with these frames; there is room for it. */
static inline void open_row(struct ramka_cpu *cpu, uint32_t bit, uint64_t mask)
{
	/* by the time it is flushed, the word is here */
	__builtin_prefetch(&cpu->zone->map.words[bit / WORD_BITS], 1);
	cache_of(cpu)->rows[cpu->nr_rows] = cpu->row;
	ramka_store(&cache_of(cpu)->row_masks[cpu->nr_rows++], row_of(cpu), relaxed, section.own);
	cpu->row = bit / WORD_BITS * WORD_BITS - cpu->zone->low;
	ramka_store(&cpu->row_mask, mask, relaxed, section.own);
}

/* Frames lie in a row now. Release: who sees that they were pushed sees them there (cpu.h, "No memory"). */
static inline void count_row_pushes(struct ramka_cpu *cpu, uint64_t nr)
{
	ramka_store(&cpu->hot, ramka_load(&cpu->hot, relaxed, section.own) + nr * HOT_PUSH, release, nomem.collect);
}

/* flush_rows as a movement of its own. */
static void give_rows(struct ramka_cpu *cpu)
{
	cpu_settle(cpu);
	count_move(cpu, true);
	flush_rows(cpu);
	count_move(cpu, true);
}

/* Room for one more closed row. */
static void make_row(struct ramka_cpu *cpu)
{
	if (unlikely(cpu->nr_rows == ROWS))
		give_rows(cpu);
}

/* Makes room in the full cache. */
static void flush(struct ramka_cpu *cpu)
{
	struct depot *d = &cpu->r->depot;
	uint32_t n = cpu_count(cpu), out = n < MAGAZINE_SIZE ? n : MAGAZINE_SIZE;
	struct magazine *m = depot_get_empty(d, cpu->id);

	cpu_settle(cpu);
	count_move(cpu, true);
	if (m) {
		memcpy(m->frames, cache_of(cpu)->frames, out * sizeof(*m->frames));
		m->count = out;
		depot_push(d, m);
	} else {
		free_frames(cpu, cpu->zone, cache_of(cpu)->frames, out, true);
	}
	memmove(cache_of(cpu)->frames, cache_of(cpu)->frames + out, (n - out) * sizeof(*cache_of(cpu)->frames));
	set_count(cpu, n - out);
	cpu->current = NO_ROW; /* the zone changed: ask the gate again */
	own_add(&cpu->moved_out, out);
	own_add(&cpu->flushes, 1);
	count_move(cpu, true);
}

/* The gate let the frame pass: it is the first one of its block, or the cache is full. */
static noinline void free_cached(struct ramka_cpu *cpu, uint32_t n)
{
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own) + HOT_PUSH;

	if (HOT_COUNT(hot) < HOT_LEAST(hot))
		hot = (hot & ~(uint64_t)0xff00) | HOT_COUNT(hot) << 8;
	ramka_store(&cpu->hot, hot, relaxed, section.own);
	cpu->current = bit_of(cpu, n) / BLOCK_FRAMES * BLOCK_FRAMES - cpu->zone->low;
	if (HOT_COUNT(hot) == CACHE_SIZE)
		flush(cpu);
	hot = ramka_load(&cpu->hot, relaxed, section.own);
	cache_of(cpu)->frames[HOT_COUNT(hot)] = n;
	ramka_store(&cpu->hot, hot + 1, relaxed, section.own);
	section_leave(cpu);
}

/* The gate refused the frame, and it is not of the open row. */
static noinline void free_refused(struct ramka_cpu *cpu, uint32_t bit)
{
	make_row(cpu);
	open_row(cpu, bit, (uint64_t)1 << (bit % WORD_BITS));
	count_row_pushes(cpu, 1);
	section_leave(cpu);
}

noinline void cpu_free_cold(struct ramka_cpu *cpu, uint32_t n)
{
	uint32_t bit = bit_of(cpu, n), block = bit / BLOCK_FRAMES;

	if (block == cpu->block || bitmap_free_count(&cpu->zone->map, block) <= cpu->gate) {
		free_cached(cpu, n);
	} else if (unlikely(cpu->nr_rows == ROWS)) {
		free_refused(cpu, bit);
	} else { /* the same without calls: as many of these as possible wait for their slots at a time */
		open_row(cpu, bit, (uint64_t)1 << (bit % WORD_BITS));
		count_row_pushes(cpu, 1);
		section_leave(cpu);
	}
}

/*
 * Frames of order 1 to 6 wait in rows as well. The formulas of statistics count rows in base frames, so one put of 2^order of
 * them is that many pushes and that many puts less, but one.
 */
bool cpu_free_run(struct ramka_cpu *cpu, struct ramka_frame *f, uint32_t n, unsigned order)
{
	uint32_t bit = bit_of(cpu, n);
	uint64_t nr = (uint64_t)1 << order;

	if (!section_enter(cpu))
		return false;
	ramka_store(&f->ref, REF_FREE, relaxed, slot.free);
	own_add(&cpu->puts, 1 - nr);
	if (n - cpu->row < WORD_BITS) {
		ramka_store(&cpu->row_mask, row_of(cpu) | bits_run(bit % WORD_BITS, order), relaxed, section.own);
	} else {
		make_row(cpu);
		open_row(cpu, bit, bits_run(bit % WORD_BITS, order));
	}
	count_row_pushes(cpu, nr);
	section_leave(cpu);
	return true;
}

/* A run of 2^order frames out of one row: what was freed last and still lies together. Inside the section. */
static inline bool take_from_row(struct ramka_atomic_u64 *row_mask, unsigned order, uint32_t *ret_at)
{
	uint64_t mask = ramka_load(row_mask, relaxed, section.own), starts = bits_run_starts(mask, order);

	if (!starts)
		return false;
	*ret_at = bits_lowest(starts);
	ramka_store(row_mask, mask & ~bits_run(*ret_at, order), relaxed, section.own);
	return true;
}

static bool take_from_rows(struct ramka_cpu *cpu, unsigned order, uint32_t *ret_n)
{
	uint32_t row = cpu->row, nr = 1u << order, at;

	if (!take_from_row(&cpu->row_mask, order, &at)) {
		unsigned i = cpu->nr_rows;

		do {
			if (!i--)
				return false;
		} while (!take_from_row(&cache_of(cpu)->row_masks[i], order, &at));
		row = cache_of(cpu)->rows[i];
	}
	cpu->rows_settled -= cpu->rows_settled < nr ? cpu->rows_settled : nr;
	own_add(&cpu->allocs, 1 - (uint64_t)nr);
	*ret_n = row + at;
	return true;
}

struct ramka_frame *cpu_alloc_run(struct ramka_cpu *cpu, unsigned order)
{
	uint32_t n;
	bool ok;

	if (!section_enter(cpu))
		return NULL;
	ok = take_from_rows(cpu, order, &n);
	section_leave(cpu);
	return ok ? cpu_slot(cpu, n) : NULL;
}

/* ---- into the cache ---- */

/* Empties a magazine of the shard into the empty cache. */
static uint32_t take_magazine(struct ramka_cpu *cpu, unsigned shard)
{
	struct depot *d = &cpu->r->depot;
	struct magazine *m = depot_pop(d, shard);
	uint32_t n;

	if (!m)
		return 0;
	n = m->count;
	memcpy(cache_of(cpu)->frames, m->frames, n * sizeof(*m->frames));
	depot_put_empty(d, m);
	if (shard != cpu->id) {
		cpu->victim = shard;
		own_add(&cpu->steals, 1);
	}
	return n;
}

/* From the other shards of the same zone, once the zone has nothing. */
static uint32_t steal(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	uint32_t n = 0;

	for (unsigned i = 1; i < r->nr_cpus && !n; i++) {
		unsigned shard = (cpu->id + i) % r->nr_cpus;

		if (r->cpus[shard].cpu.zone == cpu->zone && depot_has_full(&r->depot, shard))
			n = take_magazine(cpu, shard);
	}
	return n;
}

/*
 * Before the zone: a shard that is more than half full belongs to a CPU that frees what others allocate. One shard is
 * looked at per refill, the last one that gave something as long as it does.
 */
static uint32_t take_surplus(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	uint32_t shard = cpu->victim;

	if (shard != cpu->id && r->cpus[shard].cpu.zone == cpu->zone &&
	    ramka_load(&r->depot.shards[shard].cached, relaxed, stat) > SHARD_MAGAZINES * MAGAZINE_SIZE / 2)
		return take_magazine(cpu, shard);
	cpu->victim = shard + 1 < r->nr_cpus ? shard + 1 : 0;
	return 0;
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
	uint32_t n = 0, want = r->batch, word;
	unsigned start = r->flags & RAMKA_SHUFFLE ? random_below(cpu, BLOCK_WORDS) : 0;

	for (unsigned i = 0; i < REFILL_TRIES && n < want / 4 + 1; i++) {
		uint64_t mask = cpu->block == NO_BLOCK ? 0 : bitmap_take(&cpu->zone->map, cpu->block, want - n, start, &word);

		if (!mask) {
			uint32_t from = cpu->block != NO_BLOCK ? cpu->block :
					(uint32_t)((uint64_t)cpu->zone->map.blocks * cpu->id / r->nr_cpus);
			uint32_t block = zone_pick_block(cpu->zone, from);

			if (block == NO_BLOCK)
				break;
			cpu->block = block;
			mask = bitmap_take(&cpu->zone->map, block, want - n, start, &word);
		}
		if (mask)
			n += expand(cpu, n, word, mask);
	}
	if (n) {
		account_zone(cpu, cpu->zone, n, true);
		own_add(&cpu->refills, 1);
		if (r->flags & RAMKA_SHUFFLE)
			shuffle(cpu, n);
	}
	return n;
}

static void set_gate(struct ramka_cpu *cpu)
{
	uint64_t usable = ramka_load(&cpu->zone->usable, relaxed, stat);
	uint64_t mean = usable ? zone_estimate_free(cpu->zone) * BLOCK_FRAMES / usable : 0;

	cpu->gate = mean / 2 < GATE_MAX ? (uint32_t)(mean / 2) : GATE_MAX; /* must stay below the mean */
}

noinline struct ramka_frame *cpu_alloc_refill(struct ramka_cpu *cpu)
{
	struct ramka_frame *f = NULL;
	uint32_t n;

	if (!section_enter(cpu))
		return NULL;
	cpu_settle(cpu);
	count_move(cpu, true);
	flush_rows(cpu);
	n = cpu_count(cpu);
	if (n) /* freed by a drop since the caller looked: they are in already */
		own_add(&cpu->moved_in, 0 - (uint64_t)n);
	else
		n = take_magazine(cpu, cpu->id);
	if (!n)
		n = take_surplus(cpu);
	if (!n)
		n = refill_from_zone(cpu);
	if (!n)
		n = steal(cpu);
	own_add(&cpu->moved_in, n);
	if (n) {
		f = cpu_slot(cpu, cache_of(cpu)->frames[--n]);
		set_gate(cpu);
	}
	set_count(cpu, n);
	cpu->current = cpu->block == NO_BLOCK ? NO_ROW : cpu->block * BLOCK_FRAMES - cpu->zone->low;
	count_move(cpu, true);
	section_leave(cpu);
	if (f)
		check_low_memory(cpu->r);
	return f;
}

/* ---- draining ---- */

/* Empties cache and row into the zone; the caller is inside the section or has stopped the CPU. */
static void drain_cache(struct ramka_cpu *cpu)
{
	uint32_t n = cpu_count(cpu);

	cpu_settle(cpu);
	flush_rows(cpu);
	free_frames(cpu, cpu->zone, cache_of(cpu)->frames, n, true);
	set_count(cpu, 0);
	own_add(&cpu->moved_out, n);
	own_add(&cpu->flushes, n != 0);
	ramka_add(&cpu->zone->taken, (uint64_t)cpu->unfolded, relaxed, stat);
	cpu->unfolded = 0;
}

static bool holds_frames(const struct ramka_cpu *cpu)
{
	return cpu_count(cpu) || cpu_in_rows(cpu);
}

/* Frames of a shard into the zone. Counts its movements in the instance: it may run on any CPU. */
static void drain_shard(struct ramka *r, unsigned shard, uint64_t *mine)
{
	struct ramka_cpu *cpu = &r->cpus[shard].cpu;

	while (depot_has_full(&r->depot, shard)) {
		struct magazine *m;

		count_move(&r->none, false);
		m = depot_pop(&r->depot, shard);
		if (m) {
			free_frames(&r->none, cpu->zone, m->frames, m->count, false);
			depot_put_empty(&r->depot, m);
		}
		count_move(&r->none, false);
		*mine += 2;
	}
}

static void take_cache(struct ramka_cpu *cpu, void *arg)
{
	uint64_t *mine = arg;

	if (!holds_frames(cpu))
		return;
	count_move(&cpu->r->none, false);
	drain_cache(cpu);
	count_move(&cpu->r->none, false);
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

bool cpu_for_each_stopped(struct ramka *r, struct ramka_cpu *self, void (*take)(struct ramka_cpu *cpu, void *arg), void *arg)
{
	uint32_t name = ramka_add(&r->drains, 1, relaxed, stat) + 1, none = 0;
	bool all = true, stopped;

	if (!r->barrier_all_cpus)
		return false;
	if (!name)
		name = 1;
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		none = 0;
		if (&r->cpus[i].cpu != self && !ramka_cas(&r->cpus[i].cpu.revoked, &none, name, acquire, section.revoke))
			all = false;
	}
	stopped = r->barrier_all_cpus(r->ctx);
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		struct ramka_cpu *cpu = &r->cpus[i].cpu;

		if (ramka_load(&cpu->revoked, relaxed, section.revoke) != name)
			continue;
		if (!stopped || ramka_load(&cpu->active, acquire, section.leave))
			all = false;
		else
			take(cpu, arg);
		ramka_store(&cpu->revoked, 0, release, section.revoke);
	}
	return all;
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
}

/* ---- requests that the cache does not serve ---- */

/* The slot of the frame behind this one, for writing: large frames are mostly taken and freed in a row. */
static void prefetch_slot(const struct ramka_frame *f, uint64_t nr)
{
	__builtin_prefetch((const void *)((uintptr_t)f + ((uintptr_t)nr << SLOT_SHIFT)), 1);
}

static uint32_t limit_of(const struct zone *z, unsigned addr_bits)
{
	uint64_t end;

	if (!addr_bits || addr_bits >= 64)
		return NO_LIMIT;
	end = addr_bits < RAMKA_PAGE_SHIFT ? 0 : (uint64_t)1 << (addr_bits - RAMKA_PAGE_SHIFT);
	if (end <= z->origin)
		return 0;
	return end - z->origin < z->end ? (uint32_t)(end - z->origin) : NO_LIMIT;
}

/* Zones in the order that the request wants: calls `try` until it finds something. */
static struct ramka_frame *for_zones(struct ramka_cpu *cpu, struct ramka_request req, uint64_t nr,
				     uint32_t (*try)(struct ramka_cpu *cpu, struct zone *z, uint64_t nr,
						     struct ramka_request req, uint32_t limit, bool inside))
{
	struct ramka *r = cpu->r;
	uint32_t node = req.node ? req.node - 1u : cpu->node;
	unsigned first = (unsigned)(cpu->zone - r->zones);
	bool inside = section_enter(cpu);
	struct ramka_frame *f = NULL;

	for (unsigned i = 0; req.node && i < r->nr_zones; i++)
		if (r->zones[i].node == node)
			first = i;
	for (unsigned i = 0; i < r->nr_zones && !f; i++) {
		struct zone *z = &r->zones[(first + i) % r->nr_zones];
		uint32_t limit = limit_of(z, req.addr_bits), bit;

		if (!limit || (req.flags & RAMKA_ALLOC_NODE_ONLY && z->node != node))
			continue;
		bit = try(cpu, z, nr, req, limit, inside);
		if (bit == NO_FRAME)
			continue;
		account_alloc(cpu, z, nr, inside);
		f = slot_at_bit(r, z, bit);
		prefetch_slot(f, nr);
	}
	if (inside)
		section_leave(cpu);
	if (f)
		check_low_memory(r);
	return f;
}

/* Written inside the section only; others start where their CPU's id says. */
static uint32_t *cursor_of(struct ramka_cpu *cpu, struct zone *z, bool inside, uint32_t *scratch)
{
	if (inside && z == cpu->zone)
		return &cpu->cursor;
	*scratch = cpu->cacheless ? 0 : (uint32_t)((uint64_t)z->map.blocks * cpu->id / cpu->r->nr_cpus);
	return scratch;
}

static uint32_t try_hinted(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req, uint32_t limit, bool inside)
{
	uint32_t scratch;

	(void)nr;
	return zone_alloc(z, req.order, limit, cursor_of(cpu, z, inside, &scratch));
}

static uint32_t try_exhaustive(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req, uint32_t limit, bool inside)
{
	(void)cpu, (void)nr, (void)inside;
	return zone_alloc_exhaustive(z, req.order, limit);
}

/* All movements so far. Acquire: who moved frames past the scan has counted before, and the scan saw its word. */
static uint64_t collect(const struct ramka *r)
{
	uint64_t sum = ramka_load(&r->moves, acquire, nomem.collect);

	for (unsigned i = 0; i < r->nr_cpus; i++)
		sum += ramka_load(&r->cpus[i].cpu.moves, acquire, nomem.collect) +
		       HOT_PUSHES(ramka_load(&r->cpus[i].cpu.hot, acquire, nomem.collect));
	return sum;
}

static struct ramka_frame *last_resort(struct ramka_cpu *cpu, struct ramka_request req, uint64_t nr,
				       uint32_t (*try)(struct ramka_cpu *cpu, struct zone *z, uint64_t nr,
						       struct ramka_request req, uint32_t limit, bool inside))
{
	struct ramka *r = cpu->r;

	for (unsigned i = 0; i < NOMEM_ROUNDS; i++) {
		uint64_t before = collect(r), mine = 0;
		bool all = cpu_drain_all(r, cpu, &mine);
		struct ramka_frame *f = for_zones(cpu, req, nr, try);

		if (f)
			return f;
		if ((all || !r->barrier_all_cpus) && collect(r) == before + mine)
			break;
	}
	return NULL;
}

/* A whole word of the block that the last frame of order > 0 came from, into a row: the next ones lie beside it. */
static bool refill_row(struct ramka_cpu *cpu)
{
	uint32_t bit = zone_alloc_near(cpu->zone, WORD_ORDER, cpu->cursor);

	if (bit == NO_FRAME)
		return false;
	make_row(cpu);
	cpu_settle(cpu);
	count_move(cpu, true);
	open_row(cpu, bit, ~(uint64_t)0);
	own_add(&cpu->moved_in, WORD_BITS);
	own_add(&cpu->refills, 1);
	account_zone(cpu, cpu->zone, WORD_BITS, true);
	cpu->rows_settled += WORD_BITS;
	count_move(cpu, true);
	return true;
}

/* The common case of for_zones: the home zone, without a limit. */
static struct ramka_frame *alloc_home(struct ramka_cpu *cpu, unsigned order)
{
	struct ramka_frame *f = NULL;
	uint32_t n;

	if (!section_enter(cpu))
		return NULL;
	if (order && order <= WORD_ORDER && take_from_rows(cpu, order, &n)) {
		section_leave(cpu);
		return cpu_slot(cpu, n);
	}
	if (order && order < WORD_ORDER && refill_row(cpu) && take_from_rows(cpu, order, &n)) {
		f = cpu_slot(cpu, n);
	} else {
		uint32_t bit = zone_alloc(cpu->zone, order, NO_LIMIT, &cpu->cursor);

		if (bit != NO_FRAME) {
			f = slot_at_bit(cpu->r, cpu->zone, bit);
			prefetch_slot(f, (uint64_t)1 << order);
			account_alloc(cpu, cpu->zone, (uint64_t)1 << order, true);
		}
	}
	section_leave(cpu);
	if (f)
		check_low_memory(cpu->r);
	return f;
}

struct ramka_frame *cpu_alloc_slow(struct ramka_cpu *cpu, struct ramka_request req)
{
	uint64_t nr = (uint64_t)1 << req.order;
	struct ramka_frame *f = NULL;

	if (!req.node && !req.addr_bits && cpu->zone->node == cpu->node)
		f = alloc_home(cpu, req.order);
	if (!f)
		f = for_zones(cpu, req, nr, try_hinted);
	return f ? f : last_resort(cpu, req, nr, try_exhaustive);
}

noinline bool cpu_free_slow(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order)
{
	struct zone *z = instance_zone(cpu->r, f);
	bool inside = section_enter(cpu), ok;
	uint64_t nr = (uint64_t)1 << order;

	prefetch_slot(f, nr);
	if (inside)
		cpu_settle(cpu);
	count_move(cpu, inside);
	ok = zone_free(z, slot_bit(cpu->r, z, f), order);
	account_zone(cpu, z, -(int64_t)nr, inside);
	if (inside) {
		own_add(&cpu->puts, 1);
		own_add(&cpu->other, 0 - nr);
	} else {
		ramka_add(&cpu->r->puts, 1, relaxed, stat);
		ramka_add(&cpu->r->other, 0 - nr, relaxed, stat);
	}
	count_move(cpu, inside);
	if (inside)
		section_leave(cpu);
	return ok;
}

/* ---- exact frames and ranges ---- */

/* Is the FREE slot part of a larger frame in use? */
static bool is_tail(const struct ramka *r, const struct ramka_frame *f)
{
	uint64_t frame = r->first + slot_index(r, f);

	for (unsigned order = 1; order <= RAMKA_MAX_ORDER; order++) {
		uint64_t head = align_down(frame, (uint64_t)1 << order);
		const struct ramka_frame *h;

		if (head < r->first)
			return false;
		h = &r->slots[head - r->first];
		if (h != f && ref_tag(slot_ref(h)) > TAG_UNUSED && info_order(slot_info(h)) >= order)
			return true;
	}
	return false;
}

/* Takes the bit out of the CPU's own cache. Rows go to the zone first, where the caller looks again. */
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

static bool claim_bit(struct ramka_cpu *cpu, struct zone *z, uint32_t bit)
{
	bool inside = section_enter(cpu), mine;

	if (inside && z == cpu->zone && cpu_in_rows(cpu))
		give_rows(cpu);
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

int cpu_claim(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	struct ramka *r = cpu->r;
	struct zone *z = instance_zone(r, f);
	uint32_t bit = slot_bit(r, z, f);
	uint64_t mine = 0;

	if (claim_bit(cpu, z, bit))
		return 0;
	if (is_tail(r, f))
		return RAMKA_E_IN_USE;
	for (unsigned i = 0; i < r->nr_cpus; i++)
		drain_shard(r, i, &mine);
	return mine && claim_bit(cpu, z, bit) ? 0 : RAMKA_E_BUSY;
}

/* A frame of the order that holds the range, less what is beyond it. */
static uint32_t try_trimmed(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req, uint32_t limit, bool inside)
{
	unsigned order = order_of(nr);
	uint32_t scratch, bit;

	if (order < req.order)
		order = req.order;
	if (order > RAMKA_MAX_ORDER || nr > NO_LIMIT / 2)
		return NO_FRAME;
	bit = zone_alloc(z, order, limit, cursor_of(cpu, z, inside, &scratch));
	if (bit == NO_FRAME)
		return bit;
	zone_split(z, bit, order, 0);
	zone_free_range(z, bit + (uint32_t)nr, (1u << order) - (uint32_t)nr);
	return bit;
}

static uint32_t try_range(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req, uint32_t limit, bool inside)
{
	uint32_t bit = z->low;

	(void)cpu, (void)inside;
	if (nr > z->end)
		return NO_FRAME;
	for (;;) {
		bit = zone_find_range(z, (uint32_t)nr, req.order, limit, bit);
		if (bit == NO_FRAME || zone_claim_range(z, bit, (uint32_t)nr))
			return bit;
		bit++; /* lost a race: look further on */
	}
}

/* A range is `nr` frames, of which for_zones counted one. */
static void count_rest(struct ramka_cpu *cpu, uint64_t nr)
{
	if (section_enter(cpu)) {
		own_add(&cpu->allocs, nr - 1);
		section_leave(cpu);
	} else {
		ramka_add(&cpu->r->allocs, nr - 1, relaxed, stat);
	}
}

struct ramka_frame *cpu_alloc_range(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req)
{
	struct ramka_frame *f = for_zones(cpu, req, nr, try_trimmed);

	if (!f)
		f = last_resort(cpu, req, nr, try_range);
	if (f)
		count_rest(cpu, nr);
	return f;
}

void cpu_free_range(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		cpu_free_slow(cpu, f + i, 0);
}
