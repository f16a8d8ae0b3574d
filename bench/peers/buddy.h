/* SPDX-License-Identifier: MIT */
/*
 * A buddy system over pages as Linux has them: records of 64 bytes with list links, order and reference count. The
 * caller has the lock. Used by buddy.c, where the zone has one, and by buddy_owner.c, where each CPU has one too.
 */
#ifndef BENCH_PEERS_BUDDY_H
#define BENCH_PEERS_BUDDY_H

#include <stdatomic.h>
#include <stdint.h>

#include "lock.h"

#define MAX_ORDER 10
#define NO_ORDER  0xff
#define BUDDY_OF_CPU 0x40 /* mark */

struct page {
	struct page *next, *prev; /* in a list, its head included */
	_Atomic uint32_t refs;
	uint8_t buddy_order; /* plus the buddy's mark; NO_ORDER: not in a buddy's lists */
	char rest[64 - 2 * sizeof(void *) - 8];
};

struct list {
	struct page head;
	uint64_t count;
};

struct buddy {
	struct list free[MAX_ORDER + 1];
	struct page *pages; /* of the whole memory */
	uint64_t nr;
	unsigned max;  /* the largest order that it merges to */
	uint8_t mark; /* tells its free pages from another buddy's */
};

static inline void list_init(struct list *l)
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

static inline void buddy_init(struct buddy *b, struct page *pages, uint64_t nr, unsigned max,
			      uint8_t mark)
{
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		list_init(&b->free[o]);
	b->pages = pages;
	b->nr = nr;
	b->max = max;
	b->mark = mark;
}

static inline struct page *buddy_alloc(struct buddy *b, unsigned order)
{
	unsigned o = order;
	struct page *p;

	while (o <= b->max && b->free[o].count == 0)
		o++;
	if (o > b->max)
		return NULL;
	p = b->free[o].head.next;
	list_remove(&b->free[o], p);
	p->buddy_order = NO_ORDER;
	while (o > order) {
		o--;
		p[UINT64_C(1) << o].buddy_order = (uint8_t)(o + b->mark);
		list_push(&b->free[o], &p[UINT64_C(1) << o]);
	}
	return p;
}

static inline void buddy_free(struct buddy *b, struct page *p, unsigned order)
{
	uint64_t n = (uint64_t)(p - b->pages);

	while (order < b->max) {
		uint64_t buddy = n ^ UINT64_C(1) << order;

		if (buddy >= b->nr || b->pages[buddy].buddy_order != order + b->mark)
			break;
		list_remove(&b->free[order], &b->pages[buddy]);
		b->pages[buddy].buddy_order = NO_ORDER;
		n &= ~(UINT64_C(1) << order);
		order++;
	}
	b->pages[n].buddy_order = (uint8_t)(order + b->mark);
	list_push(&b->free[order], &b->pages[n]);
}

/* All memory of whole frames of the largest order goes in, the lowest is taken first. */
static inline struct page *buddy_pages(const struct bench_shape *shape)
{
	uint64_t nr = shape->memory >> 12;
	struct page *pages = bench_reserve(nr * sizeof(*pages));

	for (uint64_t i = 0; i < nr; i++)
		pages[i].buddy_order = NO_ORDER;
	return pages;
}

static inline void buddy_fill(struct buddy *b)
{
	for (uint64_t i = b->nr >> b->max; i > 0; i--)
		buddy_free(b, &b->pages[(i - 1) << b->max], b->max);
}

#endif
