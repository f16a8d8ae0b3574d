/* SPDX-License-Identifier: MIT */
/*
 * A buddy per CPU over blocks that the CPU owns: the shape of the RFC "mm: page_alloc: pcp buddy allocator" (linux-mm,
 * April 2026), hand-written as buddy.c. A CPU claims whole blocks of 2 MiB from the zone and tags them with its number.
 * It allocates orders 0 to 9 from its own buddy, under its own lock. A free goes to the buddy of the CPU that owns the
 * block, under that CPU's lock, and merges there: the zone's lock is taken for whole blocks only. A CPU with more than
 * KEEP whole blocks gives back half of them. With no block left in the zone a CPU takes from another CPU's buddy.
 */
#include "buddy.h"

#include "peers.h"

#define BLOCK_ORDER 9
#define KEEP	    4
#define CLAIM	    2 /* blocks at once, for orders below a block */
#define ZONE	    UINT16_MAX

struct zone;

struct cpu {
	_Alignas(128) struct lock lock; /* of what follows */
	struct buddy buddy;		/* orders up to a block */
	struct zone *zone;
	unsigned id;
};

struct zone {
	_Alignas(128) struct lock lock;
	_Alignas(128) struct buddy buddy; /* whole blocks */
	struct cpu *cpus;
	unsigned nr_cpus;
	uint16_t *owner; /* of each block; ZONE: in the zone, or given out as part of a frame above a block */
};

static uint16_t *owner_of(struct zone *z, const struct page *p)
{
	return &z->owner[(uint64_t)(p - z->buddy.pages) >> BLOCK_ORDER];
}

/* ---- between a CPU and the zone; the CPU's lock is taken ---- */

static void claim(struct cpu *c, unsigned blocks)
{
	struct zone *z = c->zone;
	struct page *p;

	lock_take(&z->lock);
	while (blocks-- && (p = buddy_alloc(&z->buddy, BLOCK_ORDER))) {
		*owner_of(z, p) = (uint16_t)c->id;
		buddy_free(&c->buddy, p, BLOCK_ORDER);
	}
	lock_drop(&z->lock);
}

static void give_back(struct cpu *c, uint64_t keep)
{
	struct list *whole = &c->buddy.free[BLOCK_ORDER];
	struct zone *z = c->zone;

	lock_take(&z->lock);
	while (whole->count > keep) {
		struct page *p = whole->head.prev;

		list_remove(whole, p);
		*owner_of(z, p) = ZONE;
		buddy_free(&z->buddy, p, BLOCK_ORDER);
	}
	lock_drop(&z->lock);
}

/* ---- the last resorts ---- */

static struct page *take_from_others(struct cpu *c, unsigned order)
{
	struct zone *z = c->zone;
	struct page *p = NULL;

	for (unsigned i = 1; i < z->nr_cpus && !p; i++) {
		struct cpu *other = &z->cpus[(c->id + i) % z->nr_cpus];

		lock_take(&other->lock);
		p = buddy_alloc(&other->buddy, order); /* the block stays the other's */
		lock_drop(&other->lock);
	}
	return p;
}

static struct page *take_large(struct cpu *c, unsigned order)
{
	struct zone *z = c->zone;
	struct page *p;

	lock_take(&z->lock);
	p = buddy_alloc(&z->buddy, order);
	lock_drop(&z->lock);
	return p;
}

/* Every CPU's whole blocks go back to the zone. */
static void drain(struct cpu *c)
{
	struct zone *z = c->zone;

	for (unsigned i = 0; i < z->nr_cpus; i++) {
		lock_take(&z->cpus[i].lock);
		give_back(&z->cpus[i], 0);
		lock_drop(&z->cpus[i].lock);
	}
}

/* ---- the calls ---- */

static void *alloc(void *cpu, unsigned order)
{
	struct cpu *c = cpu;
	struct page *p;

	if (order > BLOCK_ORDER) {
		p = take_large(c, order);
		if (unlikely(!p)) {
			drain(c);
			p = take_large(c, order);
		}
	} else {
		lock_take(&c->lock);
		p = buddy_alloc(&c->buddy, order);
		if (unlikely(!p)) {
			claim(c, CLAIM);
			p = buddy_alloc(&c->buddy, order);
		}
		lock_drop(&c->lock);
		if (unlikely(!p))
			p = take_from_others(c, order);
	}
	if (unlikely(!p))
		return NULL;
	atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

static void free_page(void *cpu, void *frame, unsigned order)
{
	struct cpu *c = cpu, *owner;
	struct zone *z = c->zone;
	struct page *p = frame;

	if (unlikely(atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1))
		bench_die("buddy-owner: double free");
	if (order > BLOCK_ORDER) {
		lock_take(&z->lock);
		buddy_free(&z->buddy, p, order);
		lock_drop(&z->lock);
		return;
	}
	owner = &z->cpus[*owner_of(z, p)]; /* stays the owner while a frame of the block is in use */
	lock_take(&owner->lock);
	buddy_free(&owner->buddy, p, order);
	if (unlikely(owner->buddy.free[BLOCK_ORDER].count > KEEP))
		give_back(owner, KEEP / 2);
	lock_drop(&owner->lock);
}

/* ---- set-up ---- */

static void *create(const struct bench_shape *shape)
{
	struct zone *z = bench_map(sizeof(*z));
	uint64_t blocks = shape->memory >> 12 >> BLOCK_ORDER;

	buddy_init(&z->buddy, buddy_pages(shape), shape->memory >> 12, MAX_ORDER, 0);
	buddy_fill(&z->buddy);
	z->owner = bench_map(blocks * sizeof(*z->owner));
	for (uint64_t i = 0; i < blocks; i++)
		z->owner[i] = ZONE;
	z->nr_cpus = shape->threads;
	z->cpus = bench_map(shape->threads * sizeof(*z->cpus));
	for (unsigned id = 0; id < shape->threads; id++) {
		z->cpus[id].zone = z;
		z->cpus[id].id = id;
		buddy_init(&z->cpus[id].buddy, z->buddy.pages, z->buddy.nr, BLOCK_ORDER, BUDDY_OF_CPU);
	}
	return z;
}

static void destroy(void *instance)
{
	struct zone *z = instance;

	bench_unmap(z->buddy.pages, z->buddy.nr * sizeof(*z->buddy.pages));
	bench_unmap(z->owner, (z->buddy.nr >> BLOCK_ORDER) * sizeof(*z->owner));
	bench_unmap(z->cpus, z->nr_cpus * sizeof(*z->cpus));
	bench_unmap(z, sizeof(*z));
}

static void *cpu_of(void *instance, unsigned id)
{
	return &((struct zone *)instance)->cpus[id];
}

static uint64_t number(void *instance, void *frame)
{
	return (uint64_t)((struct page *)frame - ((struct zone *)instance)->buddy.pages);
}

static uint64_t free_in_huge(void *instance)
{
	struct zone *z = instance;
	uint64_t n = (z->buddy.free[9].count << 9) + (z->buddy.free[10].count << 10);

	for (unsigned i = 0; i < z->nr_cpus; i++)
		n += z->cpus[i].buddy.free[BLOCK_ORDER].count << BLOCK_ORDER;
	return n;
}

const struct bench_peer peer_buddy_owner = {
	.name = "buddy-owner",
	.what = "a buddy per CPU over blocks that it owns, frees go to the owner: Linux' RFC of 2026",
	.flags = PEER_ORDERS | PEER_BOUNDED | PEER_SLOT,
	.create = create,
	.destroy = destroy,
	.cpu = cpu_of,
	.alloc = alloc,
	.free = free_page,
	.stride = sizeof(struct page),
	.number = number,
	.free_in_huge = free_in_huge,
};
