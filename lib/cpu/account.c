/* SPDX-License-Identifier: MIT */
/* What the counters say and when they are brought up to date. See account.h. */
#include "account.h"
#include "depot.h"

#define TELL_PART 8u /* of a CPU's part of what is free: taken frames that may stay untold */

/*
 * Updates `peak`, the most base frames that this CPU's calls took out of the cache and the zones, net. Use is
 * highest when the cache is emptiest, so the lowest count since the last call gives it. How full the rows
 * were then is not remembered, only that they held at least rows_settled. So the peak is never too low, and
 * too high by at most what waits in rows.
 */
void cpu_settle(struct ramka_cpu *cpu)
{
	uint64_t in = ramka_load(&cpu->moved_in, relaxed, stat),
		 out = ramka_load(&cpu->moved_out, relaxed, stat);
	uint64_t uncached = ramka_load(&cpu->uncached, relaxed, stat);
	uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);
	/* pops do not lower it */
	uint32_t least = HOT_COUNT(hot) < HOT_LOWEST(hot) ? HOT_COUNT(hot) : HOT_LOWEST(hot);
	int64_t most = (int64_t)(in - out + uncached - least - cpu->rows_settled);

	if (most > (int64_t)ramka_load(&cpu->peak, relaxed, stat))
		ramka_store(&cpu->peak, (uint64_t)most, relaxed, stat);
	ramka_store(&cpu->pushes, cpu_pushes(cpu), release, stat.held);
	set_count(cpu, cpu_count(cpu));
	cpu->rows_settled = cpu->row == NO_ROW ? 0 : cpu_in_rows(cpu);
}

/*
 * With RAMKA_CACHE_ALL most of what is free waits in the depot: base frames in the shards of a zone's CPUs.
 * Else 0, since shards are small then.
 */
static uint64_t in_depot(const struct ramka *r, const struct zone *z)
{
	uint64_t n = 0;

	for (unsigned i = 0; r->flags & RAMKA_CACHE_ALL && i < r->nr_cpus; i++)
		n += r->cpus[i].cpu.zone == z ? depot_cached(r->depot, i) : 0;
	return n;
}

/* Frames that a zone and its depot can give, about. */
static uint64_t estimate_free(const struct ramka *r, const struct zone *z)
{
	return zone_estimate_free(z) + in_depot(r, z);
}

/*
 * Takes a sample of the frames outside the zones, for peak_in_use. A lost update costs one sample. What CPUs
 * have not told is read only if the zones alone would give a new peak.
 */
static void sample_peak(struct ramka *r)
{
	int64_t taken = 0, peak = (int64_t)ramka_load(&r->peak, relaxed, stat);

	for (unsigned i = 0; i < r->nr_zones; i++)
		taken += (int64_t)ramka_load(&r->zones[i].taken, relaxed, stat);
	if (taken <= peak)
		return;
	for (unsigned i = 0; i < r->nr_cpus; i++)
		taken += (int64_t)ramka_load(&r->cpus[i].cpu.untold, relaxed, stat);
	if (taken > peak)
		ramka_store(&r->peak, (uint64_t)taken, relaxed, stat);
}

/*
 * How many frames a CPU may take or give back before it tells the zone. They are few when memory is low, so
 * that the estimate is good then.
 */
static int64_t tell_at(const struct ramka *r)
{
	uint64_t mark = ramka_load(&r->min_mark, relaxed, stat);
	uint64_t low = ramka_load(&r->low_mark, relaxed, stat);
	uint64_t above, n = 0, max = ramka_load(&r->tell_max, relaxed, stat);

	if (!low && !mark)
		return (int64_t)max;
	for (unsigned i = 0; i < r->nr_zones; i++)
		n += estimate_free(r, &r->zones[i]);
	if (low && n > low)
		mark = low;
	above = n > mark ? (n - mark) / 4 / r->nr_cpus : 0;
	return above < 1 ? 1 : above < max ? (int64_t)above : (int64_t)max;
}

/*
 * Sets when the CPU tells its zone the next time. Without watermarks the gate alone asks for the estimate,
 * and it only has to know whether memory is nearly full. So frames that came back are told late: not before
 * they are as many as the CPU's part of what is free. A CPU that takes and gives back in turn, however large
 * its frames are, then tells nothing, and the line of the estimate stays where it is. What is taken is told
 * early all the same, so the estimate does not call full memory empty.
 */
static void set_steps(struct ramka_cpu *cpu, uint64_t estimate)
{
	const struct ramka *r = cpu->r;
	int64_t part = (int64_t)(estimate / cpu->sharers);

	cpu->tell_at = cpu->tell_back = tell_at(r);
	if (ramka_load(&r->min_mark, relaxed, stat) || ramka_load(&r->low_mark, relaxed, stat))
		return;
	if (part / TELL_PART < cpu->tell_at)
		cpu->tell_at = part / TELL_PART > 1 ? part / TELL_PART : 1;
	cpu->tell_back = part > cpu->tell_at ? part : cpu->tell_at;
}

/* What the other CPUs of the zone have taken from it, net, and not told it. */
static int64_t untold_elsewhere(const struct ramka_cpu *cpu)
{
	const struct ramka *r = cpu->r;
	int64_t n = 0;

	for (unsigned i = 0; i < r->nr_cpus; i++) {
		const struct ramka_cpu *other = &r->cpus[i].cpu;

		if (other != cpu && other->zone == cpu->zone)
			n += (int64_t)ramka_load(&other->untold, relaxed, stat);
	}
	return n;
}

uint64_t account_part(struct ramka_cpu *cpu, uint64_t estimate, uint64_t doubt)
{
	int64_t n = (int64_t)estimate - (int64_t)ramka_load(&cpu->untold, relaxed, stat);

	set_steps(cpu, estimate);
	if (estimate < doubt * cpu->sharers) {
		if (!cpu->look_in--) {
			cpu->look_in = cpu->sharers;
			cpu->untold_elsewhere = untold_elsewhere(cpu);
		}
		n -= cpu->untold_elsewhere;
	}
	return n > 0 ? (uint64_t)n / cpu->sharers : 0;
}

/* A sample looks at each zone: one for as many frames of other zones as the own zone may not be told of. */
static bool sample_due(struct ramka_cpu *cpu, uint64_t n)
{
	cpu->unsampled += n;
	if (cpu->unsampled < ramka_load(&cpu->r->tell_max, relaxed, stat))
		return false;
	cpu->unsampled = 0;
	return true;
}

void account_zone(struct ramka_cpu *cpu, struct zone *z, int64_t n, bool inside)
{
	if (!inside || z != cpu->zone) {
		ramka_add(&z->taken, (uint64_t)n, relaxed, stat);
		if (n > 0 && (!inside || sample_due(cpu, (uint64_t)n)))
			sample_peak(cpu->r);
		return;
	}
	if (n < 0)
		territory_search_again(&cpu->own);
	n += (int64_t)ramka_load(&cpu->untold, relaxed, stat);
	if (n < cpu->tell_at && n > -cpu->tell_back) {
		ramka_store(&cpu->untold, (uint64_t)n, relaxed, stat);
		return;
	}
	ramka_add(&z->taken, (uint64_t)n, relaxed, stat);
	ramka_store(&cpu->untold, 0, relaxed, stat);
	set_steps(cpu, zone_estimate_free(cpu->zone));
	sample_peak(cpu->r);
}

void account_alloc(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, bool inside)
{
	account_zone(cpu, z, (int64_t)nr, inside);
	if (inside) {
		uint64_t hot = ramka_load(&cpu->hot, relaxed, section.own);

		/*
		 * If the count equals the lowest, this allocation is the new peak; cpu_settle records it
		 * before use falls.
		 */
		if (HOT_COUNT(hot) != HOT_LOWEST(hot))
			cpu_settle(cpu);
		own_add(&cpu->allocs, 1);
		own_add(&cpu->uncached, nr);
	} else {
		ramka_add(&stripe_of(cpu->r)->allocs, 1, relaxed, stat);
	}
}

void account_kept(struct ramka *r)
{
	ramka_add(&stripe_of(r)->allocs, 1, relaxed, stat);
}

void account_split(struct ramka *r, uint64_t nr)
{
	ramka_add(&stripe_of(r)->split, nr - 1, relaxed, stat);
}

void account_joined(struct ramka *r, uint64_t nr)
{
	ramka_add(&stripe_of(r)->joined, nr - 1, relaxed, stat);
}

void account_broken(struct ramka_cpu *cpu)
{
	if (section_enter(cpu)) {
		cpu_settle(cpu); /* the peak, before use falls */
		own_add(&cpu->puts, 1);
		own_add(&cpu->uncached, UINT64_MAX);
		section_leave(cpu);
	} else {
		ramka_add(&stripe_of(cpu->r)->puts, 1, relaxed, stat);
	}
}

void count_move(struct ramka_cpu *cpu, bool inside)
{
	if (inside)
		ramka_store(&cpu->moves, ramka_load(&cpu->moves, relaxed, section.own) + 1, release,
			    nomem.collect);
	else
		ramka_add(&stripe_of(cpu->r)->moves, 1, release, nomem.collect);
}

/* ---- watermarks ---- */

/*
 * Free frames by the estimates, and by what this CPU has not told its zone yet. Those of zone `z` in
 * *ret_here, if both are given.
 */
static uint64_t count_free(const struct ramka_cpu *cpu, const struct zone *z, uint64_t *ret_here)
{
	const struct ramka *r = cpu->r;
	uint64_t all = 0;

	for (unsigned i = 0; i < r->nr_zones; i++) {
		int64_t n = (int64_t)estimate_free(r, &r->zones[i]);

		if (&r->zones[i] == cpu->zone)
			n -= (int64_t)ramka_load(&cpu->untold, relaxed, stat);
		n = n > 0 ? n : 0;
		all += (uint64_t)n;
		if (ret_here && &r->zones[i] == z)
			*ret_here = (uint64_t)n;
	}
	return all;
}

uint64_t account_above_min(const struct ramka_cpu *cpu, uint64_t nr)
{
	uint64_t n = count_free(cpu, NULL, NULL), min = ramka_load(&cpu->r->min_mark, relaxed, stat);

	return n <= min ? 0 : n - min < nr ? n - min : nr;
}

/* The zone's part of a watermark, by its part of the memory. */
static uint64_t part_of(const struct ramka *r, const struct zone *z, uint64_t mark)
{
	uint64_t part = ramka_load(&z->usable, relaxed, stat), usable = 0;

	for (unsigned i = 0; i < r->nr_zones; i++)
		usable += ramka_load(&r->zones[i].usable, relaxed, stat);
	while (usable > UINT32_MAX >> 1) {
		usable >>= 1;
		part >>= 1;
	}
	return usable ? (mark < UINT32_MAX ? mark : UINT32_MAX) * part / usable : 0;
}

/*
 * Tells that memory is low, or no longer low, if *is_low says the opposite. One call at a time: what a
 * callback allocates or frees must not call another one. A change that is left out for that reason is found
 * by the next call that looks.
 */
static void tell_level(struct ramka *r, struct ramka_atomic_u32 *is_low, bool low, uint64_t free_frames)
{
	void (*callback)(void *ctx, uint64_t free_frames) = low ? r->low_memory : r->enough_memory;

	if ((ramka_load(is_low, relaxed, low.telling) != 0) == low ||
	    ramka_xchg(&r->telling_low, 1, relaxed, low.telling))
		return;
	if ((ramka_xchg(is_low, low, relaxed, low.telling) != 0) != low && callback) {
		probe(low_memory, free_frames, low);
		callback(r->ctx, free_frames);
	}
	ramka_store(&r->telling_low, 0, relaxed, low.telling);
}

void account_low_memory(struct ramka_cpu *cpu, struct zone *z)
{
	struct ramka *r = cpu->r;
	uint64_t low = ramka_load(&r->low_mark, relaxed, stat);
	uint64_t high = ramka_load(&r->high_mark, relaxed, stat);
	uint64_t all, here = 0;

	if (!low)
		return;
	all = count_free(cpu, z, &here);
	if (all < low || all > high)
		tell_level(r, &r->is_low, all < low, all);
	if (r->nr_zones == 1)
		return;
	low = part_of(r, z, low);
	if (here < low || here > part_of(r, z, high))
		tell_level(r, &z->is_low, here < low, all);
}

void account_rest(struct ramka_cpu *cpu, uint64_t nr)
{
	if (section_enter(cpu)) {
		own_add(&cpu->allocs, nr - 1);
		section_leave(cpu);
	} else {
		ramka_add(&stripe_of(cpu->r)->allocs, nr - 1, relaxed, stat);
	}
}

/*
 * Movements between caches and zones. Acquire, here and below: a CPU that moved frames past the pass has
 * counted that before, and the pass has read a word that it wrote.
 */
uint64_t account_transfers(const struct ramka *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < STRIPES; i++)
		sum += ramka_load(&r->stripes[i].moves, acquire, nomem.collect);
	for (unsigned i = 0; i < r->nr_zones; i++)
		sum += ramka_load(&r->zones[i].map.returned, acquire, nomem.collect);
	for (unsigned i = 0; i < r->nr_cpus; i++)
		sum += ramka_load(&r->cpus[i].cpu.moves, acquire, nomem.collect);
	return sum;
}

uint64_t account_moves(const struct ramka *r)
{
	uint64_t sum = account_transfers(r);

	for (unsigned i = 0; i < r->nr_cpus; i++)
		sum += HOT_PUSHES(ramka_load(&r->cpus[i].cpu.hot, acquire, nomem.collect)) +
		       ramka_load(&r->cpus[i].cpu.larger_pushes, acquire, nomem.collect);
	return sum;
}
