/* SPDX-License-Identifier: MIT */
/*
 * One Treiber stack of free frames for all CPUs, in C11 atomics: what ck_stack is, but visible to the simulator of
 * bench/scale, which cannot see into ConcurrencyKit's inline assembly. The head counts its changes, so that a popper
 * notices if the frame went and came back meanwhile. The frame's slot is that of floor.h.
 */
#include "peers.h"

#include <stdatomic.h>

#include "../floor.h"

struct frame {
	struct floor_slot slot;
	_Atomic uint32_t next; /* number + 1 */
};

struct stack {
	_Alignas(128) _Atomic uint64_t head; /* changes:32 | number + 1:32 */
	_Alignas(128) struct frame *frames;
	uint64_t nr; /* base frames */
	unsigned order;
};

#define NUMBER(head) ((uint32_t)(head))
#define HEAD(old, n) ((((old) >> 32) + 1) << 32 | (n))

static void push(struct stack *s, struct frame *f)
{
	uint64_t old = atomic_load_explicit(&s->head, memory_order_relaxed);
	uint32_t n = (uint32_t)(f - s->frames) + 1;

	do
		atomic_store_explicit(&f->next, NUMBER(old), memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&s->head, &old, HEAD(old, n), memory_order_release,
						      memory_order_relaxed));
}

static void *treiber_alloc(void *cpu, unsigned order)
{
	struct stack *s = cpu;
	uint64_t old = atomic_load_explicit(&s->head, memory_order_acquire);
	struct frame *f;
	uint32_t next;

	do {
		if (unlikely(NUMBER(old) == 0))
			return NULL;
		f = &s->frames[NUMBER(old) - 1];
		next = atomic_load_explicit(&f->next, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&s->head, &old, HEAD(old, next), memory_order_acquire,
							memory_order_acquire));
	return floor_slot_take(&f->slot, order) ? f : NULL;
}

static void treiber_free(void *cpu, void *frame, unsigned order)
{
	struct frame *f = frame;

	(void)order;
	if (unlikely(!floor_slot_drop(&f->slot)))
		bench_die("treiber: double free");
	push(cpu, f);
}

static void *treiber_create(const struct bench_shape *shape)
{
	struct stack *s = bench_map(sizeof(*s));

	s->nr = shape->memory >> 12;
	s->order = shape->order;
	s->frames = bench_reserve(s->nr * sizeof(*s->frames));
	for (uint64_t i = s->nr >> s->order; i > 0; i--)
		push(s, &s->frames[(i - 1) << s->order]);
	return s;
}

static void treiber_destroy(void *instance)
{
	struct stack *s = instance;

	bench_unmap(s->frames, s->nr * sizeof(*s->frames));
	bench_unmap(s, sizeof(*s));
}

static void *treiber_cpu(void *instance, unsigned id)
{
	(void)id;
	return instance;
}

static uint64_t treiber_number(void *instance, void *frame)
{
	return (uint64_t)((struct frame *)frame - ((struct stack *)instance)->frames);
}

const struct bench_peer peer_treiber = {
	.name = "treiber",
	.what = "one lock-free stack in C11 atomics",
	.flags = PEER_ORDERS | PEER_BOUNDED | PEER_SLOT,
	.create = treiber_create,
	.destroy = treiber_destroy,
	.cpu = treiber_cpu,
	.alloc = treiber_alloc,
	.free = treiber_free,
	.stride = sizeof(struct frame),
	.number = treiber_number,
};
