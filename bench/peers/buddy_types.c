/* SPDX-License-Identifier: MIT */
/*
 * A buddy with types of page blocks: what Linux does against fragmentation (mm/page_alloc.c, as of 6.12), hand-written. Each
 * 2 MiB block is of a type, MOVABLE at first, and each type has free lists of its own. Who allocates names the type; what is
 * freed goes to the lists of its block's type. A request that finds its lists empty falls back to the other type:
 *
 *   claim   the largest free page of the other type, if UNMOVABLE is asked for or the page is of order 4 (half of a block's
 *           order) at least. A whole block changes its type. A smaller page's block does if half of it is free or in use by
 *           pages of the type asked for; its free pages move to the other lists
 *   steal   else the smallest free page that serves; its block stays as it is
 *
 * Frames that live long are asked for as UNMOVABLE, as the kernel's own are; all others as MOVABLE, as those of programs. Lists
 * per CPU as in buddy.c, one for each type. Left out, besides what buddy.c leaves out: compaction and reclaim, which would move
 * or write out what is MOVABLE, RECLAIMABLE, and the watermark that is boosted after a steal.
 */
#include "buddy.h"

#include <stdlib.h>

#include "peers.h"

#define BATCH	    63
#define HIGH	    (6 * BATCH)
#define NR_LISTS    5 /* orders 0..3 and 9 */
#define BLOCK_ORDER 9
#define BLOCK_PAGES (1u << BLOCK_ORDER)

enum type { MOVABLE, UNMOVABLE, TYPES };

struct cpu {
	_Alignas(128) struct zone *zone;
	struct list lists[TYPES][NR_LISTS];
};

struct zone {
	_Alignas(128) struct lock lock;
	struct list free[TYPES][MAX_ORDER + 1];
	struct page *pages;
	uint8_t *block_type; /* of each block */
	uint8_t *used;	     /* of each base page in use: type + 1 that it was asked for as */
	uint64_t nr;
	struct cpu *cpus;
};

/* ---- free lists ---- */

static enum type type_of(const struct zone *z, uint64_t n)
{
	return (enum type)z->block_type[n >> BLOCK_ORDER];
}

static void put_free(struct zone *z, uint64_t n, unsigned order, enum type type)
{
	z->pages[n].buddy_order = (uint8_t)order;
	list_push(&z->free[type][order], &z->pages[n]);
}

static void take_free(struct zone *z, uint64_t n, unsigned order, enum type type)
{
	list_remove(&z->free[type][order], &z->pages[n]);
	z->pages[n].buddy_order = NO_ORDER;
}

/* The first page of a list, of which what is beyond `order` goes back as `type`. */
static struct page *take_first(struct zone *z, enum type from, unsigned have, unsigned order, enum type type)
{
	struct page *p = z->free[from][have].head.next;
	uint64_t n = (uint64_t)(p - z->pages);

	take_free(z, n, have, from);
	while (have > order) {
		have--;
		put_free(z, n + (UINT64_C(1) << have), have, type);
	}
	return p;
}

static struct page *take_own(struct zone *z, unsigned order, enum type type)
{
	for (unsigned o = order; o <= MAX_ORDER; o++)
		if (z->free[type][o].count)
			return take_first(z, type, o, order, type);
	return NULL;
}

/* ---- falling back ---- */

/* Free pages of a block go to the other type's lists. */
static void move_block(struct zone *z, uint64_t first, enum type from, enum type to)
{
	for (uint64_t n = first; n < first + BLOCK_PAGES;) {
		unsigned order = z->pages[n].buddy_order;

		if (order > BLOCK_ORDER) {
			n++;
			continue;
		}
		take_free(z, n, order, from);
		put_free(z, n, order, to);
		n += UINT64_C(1) << order;
	}
	z->block_type[first >> BLOCK_ORDER] = (uint8_t)to;
}

static bool claim_block(struct zone *z, uint64_t n, enum type from, enum type to)
{
	uint64_t first = n & ~(uint64_t)(BLOCK_PAGES - 1);
	unsigned good = 0;

	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		good += !z->used[first + i] || z->used[first + i] == to + 1;
	if (good < BLOCK_PAGES / 2)
		return false;
	move_block(z, first, from, to);
	return true;
}

static struct page *claim(struct zone *z, unsigned order, enum type type)
{
	enum type other = type == MOVABLE ? UNMOVABLE : MOVABLE;

	for (unsigned o = MAX_ORDER + 1; o-- > order;) {
		uint64_t n;

		if (!z->free[other][o].count || (type == MOVABLE && o < BLOCK_ORDER / 2))
			continue;
		n = (uint64_t)(z->free[other][o].head.next - z->pages);
		if (o >= BLOCK_ORDER) {
			for (uint64_t i = 0; i < UINT64_C(1) << (o - BLOCK_ORDER); i++)
				z->block_type[(n >> BLOCK_ORDER) + i] = (uint8_t)type;
			return take_first(z, other, o, order, type);
		}
		if (claim_block(z, n, other, type))
			return take_own(z, order, type);
	}
	return NULL;
}

static struct page *steal(struct zone *z, unsigned order, enum type type)
{
	enum type other = type == MOVABLE ? UNMOVABLE : MOVABLE;

	return take_own(z, order, other);
}

static struct page *take(struct zone *z, unsigned order, enum type type)
{
	struct page *p = take_own(z, order, type);

	if (!p)
		p = claim(z, order, type);
	if (!p)
		p = steal(z, order, type);
	if (p)
		for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
			z->used[(uint64_t)(p - z->pages) + i] = (uint8_t)(type + 1);
	return p;
}

static void give(struct zone *z, struct page *p, unsigned order)
{
	uint64_t n = (uint64_t)(p - z->pages);

	for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
		z->used[n + i] = 0;
	while (order < MAX_ORDER) {
		uint64_t buddy = n ^ UINT64_C(1) << order;

		if (buddy >= z->nr || z->pages[buddy].buddy_order != order)
			break;
		take_free(z, buddy, order, type_of(z, buddy));
		n &= ~(UINT64_C(1) << order);
		order++;
	}
	put_free(z, n, order, type_of(z, n));
}

/* ---- lists per CPU ---- */

static int list_of(unsigned order)
{
	return order <= 3 ? (int)order : order == 9 ? 4 : -1;
}

static uint64_t batch_of(unsigned order)
{
	return BATCH >> order ? BATCH >> order : 1;
}

static void refill(struct cpu *c, struct list *l, unsigned order, enum type type)
{
	struct page *p;

	lock_take(&c->zone->lock);
	for (uint64_t i = batch_of(order); i > 0 && (p = take(c->zone, order, type)); i--)
		list_push(l, p);
	lock_drop(&c->zone->lock);
}

/* Before "no memory", all lists of the CPU go back. */
static void drain(struct cpu *c)
{
	static const unsigned orders[NR_LISTS] = { 0, 1, 2, 3, 9 };

	lock_take(&c->zone->lock);
	for (unsigned i = 0; i < TYPES * NR_LISTS; i++) {
		struct list *l = &c->lists[i / NR_LISTS][i % NR_LISTS];

		while (l->count) {
			struct page *p = l->head.prev;

			list_remove(l, p);
			give(c->zone, p, orders[i % NR_LISTS]);
		}
	}
	lock_drop(&c->zone->lock);
}

static void *alloc_as(struct cpu *c, unsigned order, enum type type)
{
	struct list *l = list_of(order) < 0 ? NULL : &c->lists[type][list_of(order)];
	struct page *p;

	if (!l) {
		lock_take(&c->zone->lock);
		p = take(c->zone, order, type);
		lock_drop(&c->zone->lock);
		return p;
	}
	if (!l->count)
		refill(c, l, order, type);
	if (!l->count) {
		drain(c);
		refill(c, l, order, type);
	}
	if (!l->count)
		return NULL;
	p = l->head.next;
	list_remove(l, p);
	return p;
}

static void *alloc(void *cpu, unsigned order)
{
	return alloc_as(cpu, order, MOVABLE);
}

static void *alloc_long(void *cpu, unsigned order)
{
	return alloc_as(cpu, order, UNMOVABLE);
}

static void free_page(void *cpu, void *frame, unsigned order)
{
	struct cpu *c = cpu;
	struct zone *z = c->zone;
	struct page *p = frame;
	struct list *l;

	if (list_of(order) < 0) {
		lock_take(&z->lock);
		give(z, p, order);
		lock_drop(&z->lock);
		return;
	}
	l = &c->lists[type_of(z, (uint64_t)(p - z->pages))][list_of(order)];
	list_push(l, p);
	if (l->count < (uint64_t)HIGH >> order || l->count == 1)
		return;
	lock_take(&z->lock);
	for (uint64_t i = batch_of(order); i > 0 && l->count; i--) {
		p = l->head.prev;
		list_remove(l, p);
		give(z, p, order);
	}
	lock_drop(&z->lock);
}

/* ---- set-up ---- */

static void *create(const struct bench_shape *shape)
{
	struct zone *z = aligned_alloc(128, sizeof(*z));

	if (!z)
		return NULL;
	z->lock = (struct lock){ 0 };
	z->nr = shape->memory >> 12;
	z->pages = buddy_pages(shape);
	z->block_type = bench_map(z->nr >> BLOCK_ORDER);
	z->used = bench_map(z->nr);
	for (unsigned type = 0; type < TYPES; type++)
		for (unsigned o = 0; o <= MAX_ORDER; o++)
			list_init(&z->free[type][o]);
	for (uint64_t i = z->nr >> MAX_ORDER; i > 0; i--)
		put_free(z, (i - 1) << MAX_ORDER, MAX_ORDER, MOVABLE);
	z->cpus = bench_map(shape->threads * sizeof(*z->cpus));
	for (unsigned id = 0; id < shape->threads; id++) {
		z->cpus[id].zone = z;
		for (unsigned i = 0; i < TYPES * NR_LISTS; i++)
			list_init(&z->cpus[id].lists[i / NR_LISTS][i % NR_LISTS]);
	}
	return z;
}

static void destroy(void *instance)
{
	struct zone *z = instance;

	bench_unmap(z->pages, z->nr * sizeof(*z->pages));
	bench_unmap(z->block_type, z->nr >> BLOCK_ORDER);
	bench_unmap(z->used, z->nr);
	free(z);
}

static void *cpu_of(void *instance, unsigned id)
{
	return &((struct zone *)instance)->cpus[id];
}

static uint64_t number(void *instance, void *frame)
{
	return (uint64_t)((struct page *)frame - ((struct zone *)instance)->pages);
}

static uint64_t free_in_huge(void *instance)
{
	struct zone *z = instance;
	uint64_t n = 0;

	for (unsigned type = 0; type < TYPES; type++)
		n += (z->free[type][9].count << 9) + (z->free[type][10].count << 10);
	return n;
}

const struct bench_peer peer_buddy_types = {
	.name = "buddy-types",
	.what = "a buddy with types of page blocks, told which frames live long: what Linux does against fragmentation",
	.flags = PEER_ORDERS | PEER_BOUNDED | PEER_SLOT | PEER_HINTS,
	.create = create,
	.destroy = destroy,
	.cpu = cpu_of,
	.alloc = alloc,
	.alloc_long = alloc_long,
	.free = free_page,
	.stride = sizeof(struct page),
	.number = number,
	.free_in_huge = free_in_huge,
};
