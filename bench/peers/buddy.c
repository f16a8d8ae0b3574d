/* SPDX-License-Identifier: MIT */
/*
 * A list per CPU over a buddy allocator behind one spinlock: the shape of Linux' page allocator,
 * hand-written with its parameters. Pages are records of 64 bytes with list links, order and reference
 * count. Every CPU has lists for the orders 0 to 3 and 9, filled and emptied in batches of 63 base frames
 * under the lock, at most six batches long; other orders go to the buddy at once. What is left out makes it
 * faster than the original: zones and node lists, watermarks, migrate types, disabled interrupts and the
 * lists' own lock, cgroups, statistics, zeroing.
 */
#include "peers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lock.h"

#define MAX_ORDER 10
#define BATCH	  63
#define HIGH	  (6 * BATCH)
#define NR_LISTS  5 /* orders 0..3 and 9 */
#define NO_ORDER  0xff

struct page {
	struct page *next, *prev; /* in a list, its head included */
	_Atomic uint32_t refs;
	uint8_t buddy_order; /* NO_ORDER: not in the buddy's lists */
	char rest[64 - 2 * sizeof(void *) - 8];
};

struct list {
	struct page head;
	uint64_t count;
};

struct cpu {
	_Alignas(128) struct lock_waiter waiter;
	_Alignas(128) struct zone *zone;
	struct list lists[NR_LISTS];
};

struct zone {
	_Alignas(128) struct lock lock;
	_Alignas(128) struct list free[MAX_ORDER + 1];
	struct page *pages;
	uint64_t nr;
	struct cpu *cpus;
};

/* ---- lists ---- */

static void list_init(struct list *l)
{
	l->head.next = l->head.prev = &l->head;
	l->count = 0;
}

static inline void list_push(struct list *l, struct page *p)
{
	p->next = l->head.next;
	p->prev = &l->head;
	l->head.next->prev = p;
	l->head.next = p;
	l->count++;
}

static inline void list_remove(struct list *l, struct page *p)
{
	p->prev->next = p->next;
	p->next->prev = p->prev;
	l->count--;
}

/* ---- buddy, under the lock ---- */

static struct page *buddy_alloc(struct zone *z, unsigned order)
{
	unsigned o = order;
	struct page *p;

	while (o <= MAX_ORDER && z->free[o].count == 0)
		o++;
	if (o > MAX_ORDER)
		return NULL;
	p = z->free[o].head.next;
	list_remove(&z->free[o], p);
	p->buddy_order = NO_ORDER;
	while (o > order) {
		o--;
		p[UINT64_C(1) << o].buddy_order = (uint8_t)o;
		list_push(&z->free[o], &p[UINT64_C(1) << o]);
	}
	return p;
}

static void buddy_free(struct zone *z, struct page *p, unsigned order)
{
	uint64_t n = (uint64_t)(p - z->pages);

	while (order < MAX_ORDER) {
		uint64_t buddy = n ^ UINT64_C(1) << order;

		if (buddy >= z->nr || z->pages[buddy].buddy_order != order)
			break;
		list_remove(&z->free[order], &z->pages[buddy]);
		z->pages[buddy].buddy_order = NO_ORDER;
		n &= ~(UINT64_C(1) << order);
		order++;
	}
	z->pages[n].buddy_order = (uint8_t)order;
	list_push(&z->free[order], &z->pages[n]);
}

/* ---- lists per CPU ---- */

static inline int list_of(unsigned order)
{
	return order <= 3 ? (int)order : order == 9 ? 4 : -1;
}

static uint64_t batch_of(unsigned order)
{
	return BATCH >> order ? BATCH >> order : 1;
}

static void refill(struct cpu *c, struct list *l, unsigned order)
{
	struct zone *z = c->zone;
	struct page *p;

	lock_take(&z->lock, &c->waiter);
	for (uint64_t i = batch_of(order); i > 0 && (p = buddy_alloc(z, order)); i--)
		list_push(l, p);
	lock_drop(&z->lock, &c->waiter);
}

static void *alloc(void *cpu, unsigned order)
{
	struct cpu *c = cpu;
	struct page *p;
	int i = list_of(order);

	if (i >= 0) {
		struct list *l = &c->lists[i];

		if (unlikely(l->count == 0))
			refill(c, l, order);
		if (unlikely(l->count == 0))
			return NULL;
		p = l->head.next;
		list_remove(l, p);
	} else {
		lock_take(&c->zone->lock, &c->waiter);
		p = buddy_alloc(c->zone, order);
		lock_drop(&c->zone->lock, &c->waiter);
		if (!p)
			return NULL;
	}
	atomic_store_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

/* The oldest of a list go back, as many as a batch. */
static void flush(struct cpu *c, struct list *l, unsigned order)
{
	struct zone *z = c->zone;

	lock_take(&z->lock, &c->waiter);
	for (uint64_t i = batch_of(order); i > 0 && l->count; i--) {
		struct page *p = l->head.prev;

		list_remove(l, p);
		buddy_free(z, p, order);
	}
	lock_drop(&z->lock, &c->waiter);
}

static void free_page(void *cpu, void *frame, unsigned order)
{
	struct cpu *c = cpu;
	struct page *p = frame;
	int i = list_of(order);

	if (unlikely(atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1))
		bench_die("buddy: double free");
	if (i >= 0) {
		list_push(&c->lists[i], p);
		if (unlikely(c->lists[i].count >= (uint64_t)HIGH >> order && c->lists[i].count > 1))
			flush(c, &c->lists[i], order);
	} else {
		lock_take(&c->zone->lock, &c->waiter);
		buddy_free(c->zone, p, order);
		lock_drop(&c->zone->lock, &c->waiter);
	}
}

/* ---- set-up ---- */

static void *create(const struct bench_shape *shape)
{
	struct zone *z = aligned_alloc(128, sizeof(*z));

	if (!z)
		return NULL;
	z->lock = (struct lock){ 0 };
	z->nr = shape->memory >> 12;
	z->pages = bench_reserve(z->nr * sizeof(*z->pages));
	z->cpus = bench_map(shape->threads * sizeof(*z->cpus));
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		list_init(&z->free[o]);
	for (uint64_t i = 0; i < z->nr; i++)
		z->pages[i].buddy_order = NO_ORDER;
	for (uint64_t i = z->nr >> MAX_ORDER; i > 0; i--)
		buddy_free(z, &z->pages[(i - 1) << MAX_ORDER], MAX_ORDER);
	for (unsigned id = 0; id < shape->threads; id++) {
		z->cpus[id].zone = z;
		for (unsigned i = 0; i < NR_LISTS; i++)
			list_init(&z->cpus[id].lists[i]);
	}
	return z;
}

static void destroy(void *instance)
{
	struct zone *z = instance;

	bench_unmap(z->pages, z->nr * sizeof(*z->pages));
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

	return (z->free[9].count << 9) + (z->free[10].count << 10);
}

const struct bench_peer peer_buddy = {
	.name = "buddy",
	.what = "a list per CPU over a spinlocked buddy: the shape of Linux' page allocator",
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
