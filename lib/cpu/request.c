/* SPDX-License-Identifier: MIT */
/* Requests that the cache does not serve. See request.h. */
#include "request.h"
#include "drain.h"
#include "lasting.h"
#include "lean.h"
#include "order.h"

#define NOMEM_ROUNDS 8u /* passes over all zones, as long as frames move */
#define ALONE_ROUNDS 2u  /* of these without a movement, when a CPU was left alone */
#define WAIT_ROUNDS 2u   /* of these that leave the draining to another request */

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

/* May the request take `nr` frames, or do they belong to the reserve? */
static bool allowed(const struct ramka_cpu *cpu, struct ramka_request req, uint64_t nr)
{
	return req.flags & RAMKA_ALLOC_RESERVE || account_spare(cpu, nr) == nr;
}

/* The node that the request asks first. */
static uint32_t first_node(const struct ramka_cpu *cpu, const struct ramka_request *req)
{
	return req->node ? req->node - 1u : cpu->node;
}

/* One way to take `nr` base frames below bit `limit` of a zone: the first bit, or NO_FRAME. */
typedef uint32_t (*try_fn)(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req,
			   uint32_t limit, bool inside);

/*
 * Calls `try` for the zones in the order that the request wants, until it succeeds. Behind the first one they
 * come in turn, from the one that succeeded last: with many nodes most of the others may be empty.
 */
static struct ramka_frame *for_zones(struct ramka_cpu *cpu, struct ramka_request req, uint64_t nr, try_fn try)
{
	struct ramka *r = cpu->r;
	uint32_t node = first_node(cpu, &req);
	unsigned first = (unsigned)(cpu->zone - r->zones), last = ramka_load(&cpu->elsewhere, relaxed, stat);
	struct ramka_frame *f = NULL;
	struct zone *from = NULL;
	bool inside;

	if (!allowed(cpu, req, nr))
		return NULL;
	inside = section_enter(cpu);
	for (unsigned i = 0; req.node && i < r->nr_zones; i++)
		if (r->zones[i].node == node)
			first = i;
	for (unsigned i = 0; i <= r->nr_zones && !f; i++) {
		unsigned at = i ? (last + i - 1) % r->nr_zones : first;
		struct zone *z = &r->zones[at];
		uint32_t limit = limit_of(z, req.addr_bits), bit;

		if (!limit || (i && at == first) || (req.flags & RAMKA_ALLOC_NODE_ONLY && z->node != node))
			continue;
		bit = try(cpu, z, nr, req, limit, inside);
		if (bit == NO_FRAME)
			continue;
		account_alloc(cpu, z, nr, inside);
		f = slot_at_bit(r, z, bit);
		from = z;
		prefetch_slot(f, nr);
		if (i && at != last)
			ramka_store(&cpu->elsewhere, at, relaxed, stat);
	}
	if (inside)
		section_leave(cpu);
	if (f)
		account_low_memory(cpu, from);
	return f;
}

/*
 * Where to look first in a zone. A request with a limit on the address starts at the bottom, and leaves the
 * CPU's own places as they are.
 */
static uint32_t start_in(const struct ramka_cpu *cpu, const struct zone *z, uint32_t limit)
{
	if (limit != NO_LIMIT)
		return 0;
	if (cpu->cacheless) /* a place where its thread is likely alone */
		return (uint32_t)((uint64_t)stripe_number() * z->map.blocks / STRIPES);
	return z == cpu->zone ? cpu->home : (uint32_t)((uint64_t)z->map.blocks * cpu->id / cpu->r->nr_cpus);
}

static uint32_t alloc_hinted(struct zone *z, struct ramka_request req, unsigned order, uint32_t limit,
			     uint32_t *at)
{
	if (req.flags & RAMKA_ALLOC_LONG)
		return zone_alloc_lasting(z, order, limit, at);
	return zone_alloc(z, order, limit, at);
}

static uint32_t try_hinted(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req,
			   uint32_t limit, bool inside)
{
	uint32_t at = start_in(cpu, z, limit);

	(void)nr, (void)inside;
	if (z == cpu->zone && cpu_is_dry(cpu))
		return NO_FRAME;
	return alloc_hinted(z, req, req.order, limit, &at);
}

static uint32_t try_exhaustive(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req,
			       uint32_t limit, bool inside)
{
	(void)cpu, (void)nr, (void)inside;
	return zone_alloc_exhaustive(z, req.order, limit);
}

/* ---- the last resort ---- */

/* Does the request allow the frame at this bit of the zone? */
static bool allows(const struct ramka_cpu *cpu, const struct ramka_request *req, const struct zone *z,
		   uint32_t bit)
{
	return bit < limit_of(z, req->addr_bits) &&
	       !(req->flags & RAMKA_ALLOC_NODE_ONLY && z->node != first_node(cpu, req));
}

struct asker {
	const struct ramka_cpu *cpu;
	const struct ramka_request *req;
};

/*
 * Wants only frames of the node that is asked first, since other nodes have their turn in the zones, in the
 * right order.
 */
static bool wants(const struct ramka_cpu *holder, uint32_t n, const void *arg)
{
	const struct asker *a = arg;
	return holder->zone->node == first_node(a->cpu, a->req) &&
	       allows(a->cpu, a->req, holder->zone, bit_of(holder, n));
}

bool request_possible(const struct ramka_cpu *cpu, const struct ramka_request *req, uint64_t nr)
{
	const struct ramka *r = cpu->r;

	for (unsigned i = 0; i < r->nr_zones; i++)
		if (allows(cpu, req, &r->zones[i], r->zones[i].low) &&
		    ramka_load(&r->zones[i].usable, relaxed, stat) >= nr)
			return true;
	return false;
}

/*
 * Could the frames that CPUs hold complete a run of whole blocks, if they lay where they are wanted? If not,
 * a drain is useless. What a CPU holds is read before the blocks. So a frame on its way to a block counts
 * twice, and only a frame on its way to a CPU may not count: that is a transfer, after which the question is
 * asked again. What callers allocate and free meanwhile is no reason to ask again: each time, the other CPUs
 * lose the lines of their caches for a moment.
 */
static bool drain_may_help(const struct ramka *r, struct ramka_request req, uint64_t nr)
{
	uint32_t blocks = (uint32_t)(nr / BLOCK_FRAMES);
	uint64_t have;

	/* a range that begins anywhere holds one block for certain from 1,023 frames on */
	if (nr != (uint64_t)1 << req.order)
		blocks = nr >= 2 * BLOCK_FRAMES - 1;
	if (!blocks)
		return true;
	have = drainable(r);
	for (unsigned i = 0; i < r->nr_zones; i++)
		if (zone_lacks_at_most(&r->zones[i], blocks, have))
			return true;
	return false;
}

/*
 * Hints found nothing. Drains, looks at every block entry, and returns NULL only if no frame moved meanwhile
 * and no CPU was left alone; see account.h. The number of rounds is bounded, since other calls may never stop
 * moving frames.
 */
static struct ramka_frame *last_resort(struct ramka_cpu *cpu, struct ramka_request req, uint64_t nr,
				       try_fn try)
{
	struct ramka *r = cpu->r;
	struct asker a = { cpu, &req };
	unsigned alone = 0, waits = 0;

	if (!request_possible(cpu, &req, nr))
		return NULL;
	for (unsigned i = 0; i < NOMEM_ROUNDS && alone < ALONE_ROUNDS; i++) {
		struct drain d = { .wants = nr == 1 && !req.order ? wants : NULL, .arg = &a };
		uint64_t transfers = account_transfers(r);
		/* a drain is then left out, and transfers alone are a reason to look again */
		bool useless = !drain_may_help(r, req, nr);
		/* before the look for other drains: one that begins after that look is counted */
		uint64_t before = useless ? transfers : account_moves(r);
		bool wait = !useless && waits < WAIT_ROUNDS && drain_running(r);
		bool all = useless || (!wait && cpu_drain_all(r, cpu, &d)), moved;
		/* a look for runs that lack little has found none that lacks nothing */
		struct ramka_frame *f = d.got || useless ? d.got : for_zones(cpu, req, nr, try);

		if (f)
			return f;
		moved = (useless ? account_transfers(r) : account_moves(r)) != before + d.mine;
		if (!moved && (all || (!wait && !r->barrier_all_cpus)))
			break;
		waits += wait;
		alone += !moved && !wait;
	}
	return NULL;
}

/* The common case of for_zones: the home zone, without a limit. */
static struct ramka_frame *alloc_home(struct ramka_cpu *cpu, struct ramka_request req)
{
	unsigned order = req.order;
	struct ramka_frame *f = NULL;
	uint32_t n, at = cpu->home;

	if (!section_enter(cpu))
		return NULL;
	if (order || req.flags & RAMKA_ALLOC_LONG) /* else the refill has looked */
		lean_look(cpu);
	if (req.flags & RAMKA_ALLOC_LONG && order < BLOCK_ORDER) {
		if (lasting_get(cpu, order, &n))
			f = cpu_slot(cpu, n);
	} else if (order && order <= TOP_ORDER) {
		if (order_get(cpu, order, &n))
			f = cpu_slot(cpu, n);
	} else if ((order || !cpu->dry) && allowed(cpu, req, (uint64_t)1 << order)) {
		uint32_t bit = zone_alloc(cpu->zone, order, NO_LIMIT, order ? &cpu->whole_block : &at);

		if (bit != NO_FRAME) {
			f = slot_at_bit(cpu->r, cpu->zone, bit);
			prefetch_slot(f, (uint64_t)1 << order);
			account_alloc(cpu, cpu->zone, (uint64_t)1 << order, true);
		}
	}
	section_leave(cpu);
	if (f)
		account_low_memory(cpu, cpu->zone);
	return f;
}

struct ramka_frame *cpu_alloc_slow(struct ramka_cpu *cpu, struct ramka_request req)
{
	uint64_t nr = (uint64_t)1 << req.order;
	struct ramka_frame *f = NULL;

	if (!req.node && !req.addr_bits && cpu->zone->node == cpu->node)
		f = alloc_home(cpu, req);
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
		own_add(&cpu->uncached, 0 - nr);
	} else {
		ramka_add(&stripe_of(cpu->r)->puts, 1, relaxed, stat);
	}
	count_move(cpu, inside);
	if (inside)
		section_leave(cpu);
	account_more_memory(cpu, z);
	return ok;
}

/* Bits below this one are for requests with a limit on the address. */
static uint32_t scarce_below(const struct zone *z, uint32_t limit)
{
	return limit == NO_LIMIT ? z->scarce * BLOCK_FRAMES : 0;
}

/* A range at or behind `bit`, claimed. */
static uint32_t find_range(struct zone *z, uint64_t nr, unsigned order, uint32_t limit, uint32_t bit)
{
	for (;;) {
		bit = zone_find_range(z, (uint32_t)nr, order, limit, bit);
		if (bit == NO_FRAME || zone_claim_range(z, bit, (uint32_t)nr))
			return bit;
		bit++; /* another call took a part of it first: looks further on */
	}
}

/* Takes a frame of the order that holds the range, and gives back what is beyond it. */
static uint32_t try_trimmed(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req,
			    uint32_t limit, bool inside)
{
	unsigned order = order_of(nr);
	uint32_t at = start_in(cpu, z, limit), bit;

	(void)inside;
	if (order < req.order)
		order = req.order;
	if (order > RAMKA_MAX_ORDER || nr > NO_LIMIT / 2)
		return NO_FRAME;
	bit = alloc_hinted(z, req, order, limit, &at);
	if (bit == NO_FRAME)
		return bit;
	zone_split(z, bit, order, 0);
	if (bit < scarce_below(z, limit)) { /* a range that begins anywhere may lie above */
		uint32_t other = find_range(z, nr, req.order, limit, scarce_below(z, limit));

		if (other != NO_FRAME) {
			zone_give_back(z, bit, 1u << order);
			return other;
		}
	}
	zone_give_back(z, bit + (uint32_t)nr, (1u << order) - (uint32_t)nr);
	return bit;
}

static uint32_t try_range(struct ramka_cpu *cpu, struct zone *z, uint64_t nr, struct ramka_request req,
			  uint32_t limit, bool inside)
{
	uint32_t scarce = scarce_below(z, limit), bit;

	(void)cpu, (void)inside;
	if (nr > z->end)
		return NO_FRAME;
	bit = find_range(z, nr, req.order, limit, scarce);
	return bit == NO_FRAME && scarce ? find_range(z, nr, req.order, limit, z->low) : bit;
}

struct ramka_frame *cpu_alloc_range(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req)
{
	struct ramka_frame *f = for_zones(cpu, req, nr, try_trimmed);

	if (!f)
		f = last_resort(cpu, req, nr, try_range);
	if (f)
		account_rest(cpu, nr);
	return f;
}
