/* SPDX-License-Identifier: MIT */
/*
 * A list per CPU over a buddy allocator behind one spinlock: the shape of Linux' page allocator,
 * hand-written with its parameters. Pages are records of 64 bytes with list links, order and reference
 * count. Every CPU has lists for the orders 0 to 3 and 9, filled and emptied in batches of 63 base frames
 * under the lock, at most six batches long; other orders go to the buddy at once. What is left out makes it
 * faster than the original: zones and node lists, watermarks, migrate types, disabled interrupts and the
 * lists' own lock, cgroups, statistics, zeroing.
 */
#include "buddy.h"

#include <stdlib.h>

#include "peers.h"

#define BATCH	  63
#define HIGH	  (6 * BATCH)
#define NR_LISTS  5 /* orders 0..3 and 9 */

struct cpu {
	_Alignas(128) struct zone *zone;
	struct list lists[NR_LISTS];
};

struct zone {
	_Alignas(128) struct lock lock;
	_Alignas(128) struct buddy buddy;
	struct cpu *cpus;
};

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

	lock_take(&z->lock);
	for (uint64_t i = batch_of(order); i > 0 && (p = buddy_alloc(&z->buddy, order)); i--)
		list_push(l, p);
	lock_drop(&z->lock);
}

/* Before "no memory", all lists of the CPU go back. */
static void drain(struct cpu *c)
{
	static const unsigned orders[NR_LISTS] = { 0, 1, 2, 3, 9 };

	lock_take(&c->zone->lock);
	for (unsigned i = 0; i < NR_LISTS; i++)
		while (c->lists[i].count) {
			struct page *p = c->lists[i].head.prev;

			list_remove(&c->lists[i], p);
			buddy_free(&c->zone->buddy, p, orders[i]);
		}
	lock_drop(&c->zone->lock);
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
		if (unlikely(l->count == 0)) {
			drain(c);
			refill(c, l, order);
		}
		if (unlikely(l->count == 0))
			return NULL;
		p = l->head.next;
		list_remove(l, p);
	} else {
		lock_take(&c->zone->lock);
		p = buddy_alloc(&c->zone->buddy, order);
		lock_drop(&c->zone->lock);
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

	lock_take(&z->lock);
	for (uint64_t i = batch_of(order); i > 0 && l->count; i--) {
		struct page *p = l->head.prev;

		list_remove(l, p);
		buddy_free(&z->buddy, p, order);
	}
	lock_drop(&z->lock);
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
		lock_take(&c->zone->lock);
		buddy_free(&c->zone->buddy, p, order);
		lock_drop(&c->zone->lock);
	}
}

/* ---- set-up ---- */

static void *create(const struct bench_shape *shape)
{
	struct zone *z = aligned_alloc(128, sizeof(*z));

	if (!z)
		return NULL;
	z->lock = (struct lock){ 0 };
	buddy_init(&z->buddy, buddy_pages(shape), shape->memory >> 12, MAX_ORDER, 0);
	buddy_fill(&z->buddy);
	z->cpus = bench_map(shape->threads * sizeof(*z->cpus));
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

	bench_unmap(z->buddy.pages, z->buddy.nr * sizeof(*z->buddy.pages));
	free(z);
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

	return (z->buddy.free[9].count << 9) + (z->buddy.free[10].count << 10);
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
