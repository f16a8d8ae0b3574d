/* SPDX-License-Identifier: MIT */
/*
 * ConcurrencyKit's containers as the whole allocator: one shared stack or one shared ring of free frames,
 * and the slot of floor.h. Lock-free (the stack) and scalable in name: every call writes lines that all
 * CPUs write. The ring blocks: a thread that is stopped inside it stops all others, so more threads than
 * CPUs may take for ever.
 */
#include "peers.h"

#include <ck_ring.h>
#include <ck_stack.h>
#include <stdlib.h>

#include "../floor.h"

struct frame {
	struct floor_slot slot;
	struct ck_stack_entry link;
};

struct pool {
	_Alignas(128) ck_stack_t stack;
	_Alignas(128) ck_ring_t ring;
	_Alignas(128) struct frame *frames;
	uint64_t nr;
	unsigned order;
	ck_ring_buffer_t *buffer;
	uint64_t buffer_size;
};

static struct pool *pool_create(const struct bench_shape *shape)
{
	struct pool *p = aligned_alloc(128, sizeof(*p));

	if (!p)
		return NULL;
	p->nr = shape->memory >> 12;
	p->frames = bench_reserve(p->nr * sizeof(*p->frames));
	p->buffer = NULL;
	return p;
}

static void pool_destroy(void *instance)
{
	struct pool *p = instance;

	bench_unmap(p->frames, p->nr * sizeof(*p->frames));
	if (p->buffer)
		bench_unmap(p->buffer, p->buffer_size);
	free(p);
}

static void *pool_cpu(void *instance, unsigned id)
{
	(void)id;
	return instance;
}

static uint64_t pool_number(void *instance, void *frame)
{
	return (uint64_t)((struct frame *)frame - ((struct pool *)instance)->frames);
}

static void *stack_create(const struct bench_shape *shape)
{
	struct pool *p = pool_create(shape);

	if (!p)
		return NULL;
	ck_stack_init(&p->stack);
	for (uint64_t i = p->nr; i > 0; i--)
		ck_stack_push_spnc(&p->stack, &p->frames[i - 1].link);
	return p;
}

CK_STACK_CONTAINER(struct frame, link, frame_of)

static void *stack_alloc(void *cpu, unsigned order)
{
	struct pool *p = cpu;
	struct ck_stack_entry *e = ck_stack_pop_mpmc(&p->stack);
	struct frame *f;

	if (unlikely(!e))
		return NULL;
	f = frame_of(e);
	return floor_slot_take(&f->slot, order) ? f : NULL;
}

static void stack_free(void *cpu, void *frame, unsigned order)
{
	struct pool *p = cpu;
	struct frame *f = frame;

	(void)order;
	if (unlikely(!floor_slot_drop(&f->slot)))
		bench_die("ck_stack: double free");
	ck_stack_push_mpmc(&p->stack, &f->link);
}

static void *ring_create(const struct bench_shape *shape)
{
	struct pool *p = pool_create(shape);
	uint64_t size = 2;

	if (!p)
		return NULL;
	while (size <= p->nr)
		size *= 2;
	p->buffer_size = size * sizeof(*p->buffer);
	p->buffer = bench_reserve(p->buffer_size);
	ck_ring_init(&p->ring, (unsigned)size);
	for (uint64_t i = 0; i < p->nr; i++)
		if (!ck_ring_enqueue_mpmc(&p->ring, p->buffer, &p->frames[i]))
			return NULL;
	return p;
}

static void *ring_alloc(void *cpu, unsigned order)
{
	struct pool *p = cpu;
	struct frame *f;

	if (unlikely(!ck_ring_dequeue_mpmc(&p->ring, p->buffer, &f)))
		return NULL;
	return floor_slot_take(&f->slot, order) ? f : NULL;
}

static void ring_free(void *cpu, void *frame, unsigned order)
{
	struct pool *p = cpu;
	struct frame *f = frame;

	(void)order;
	if (unlikely(!floor_slot_drop(&f->slot)))
		bench_die("ck_ring: double free");
	if (unlikely(!ck_ring_enqueue_mpmc(&p->ring, p->buffer, f)))
		bench_die("ck_ring: the ring is full");
}

#define COMMON \
	.flags = PEER_BOUNDED | PEER_SLOT, .destroy = pool_destroy, .cpu = pool_cpu, .number = pool_number, \
	.stride = sizeof(struct frame)

const struct bench_peer peer_ck_stack = {
	.name = "ck_stack",
	.what = "one shared lock-free stack (ck_stack, mpmc) and a slot",
	COMMON,
	.create = stack_create,
	.alloc = stack_alloc,
	.free = stack_free,
};

const struct bench_peer peer_ck_ring = {
	.name = "ck_ring",
	.what = "one shared ring (ck_ring, mpmc) and a slot",
	COMMON,
	.create = ring_create,
	.alloc = ring_alloc,
	.free = ring_free,
};
