/* SPDX-License-Identifier: MIT */
/* The hand-written floor of floor.h, and `null`, which shows what the harness itself costs. */
#include "peers.h"

#include <stdlib.h>

#include "../floor.h"

/* ---- null: counts, touches no frame and no slot ---- */

struct null_cpu {
	_Alignas(128) uint64_t count;
};

static void *null_create(const struct bench_shape *shape)
{
	return bench_map(shape->threads * sizeof(struct null_cpu));
}

static void null_destroy(void *instance)
{
	(void)instance; /* a page, until the process ends */
}

static void *null_cpu(void *instance, unsigned id)
{
	return (struct null_cpu *)instance + id;
}

static void *null_alloc(void *cpu, unsigned order)
{
	struct null_cpu *c = cpu;

	(void)order;
	return (void *)(uintptr_t)++c->count;
}

static void null_free(void *cpu, void *frame, unsigned order)
{
	struct null_cpu *c = cpu;

	(void)frame;
	(void)order;
	c->count++;
}

const struct bench_peer peer_null = {
	.name = "null",
	.what = "two empty calls: what the harness costs",
	.flags = PEER_FAKE | PEER_ORDERS,
	.create = null_create,
	.destroy = null_destroy,
	.cpu = null_cpu,
	.alloc = null_alloc,
	.free = null_free,
	.stride = 1,
};

/* ---- floor ---- */

struct floor {
	struct bench_shape shape;
	struct floor_slot *slots; /* of the frames' first base frames, 2^order apart as everywhere */
	uint64_t nr;		  /* base frames */
	struct {
		_Alignas(128) struct floor_cpu c;
	} cpu[];
};

static void *floor_create(const struct bench_shape *shape)
{
	struct floor *f = aligned_alloc(128, sizeof(*f) + shape->threads * sizeof(f->cpu[0]));
	uint64_t frames = shape->memory >> 12 >> shape->order, share = frames / shape->threads;

	if (!f)
		return NULL;
	f->shape = *shape;
	f->nr = shape->memory >> 12;
	f->slots = bench_reserve(f->nr * sizeof(*f->slots));
	for (unsigned id = 0; id < shape->threads; id++) {
		struct floor_cpu *c = &f->cpu[id].c;
		uint64_t from = id * share, to = id + 1 == shape->threads ? frames : from + share;

		/* room for all: frames go to the array of the thread that frees them */
		c->numbers = bench_reserve(frames * sizeof(*c->numbers));
		c->slots = f->slots;
		c->top = 0;
		for (uint64_t i = to; i > from; i--)
			c->numbers[c->top++] = (uint32_t)((i - 1) << shape->order);
	}
	return f;
}

static void floor_destroy(void *instance)
{
	struct floor *f = instance;

	for (unsigned id = 0; id < f->shape.threads; id++)
		bench_unmap(f->cpu[id].c.numbers, (f->nr >> f->shape.order) * sizeof(uint32_t));
	bench_unmap(f->slots, f->nr * sizeof(*f->slots));
	free(f);
}

static void *floor_cpu_of(void *instance, unsigned id)
{
	return &((struct floor *)instance)->cpu[id].c;
}

static void *floor_alloc_call(void *cpu, unsigned order)
{
	return floor_alloc(cpu, order);
}

static void floor_free_call(void *cpu, void *frame, unsigned order)
{
	struct floor_slot *s = frame;

	(void)order;
	if (unlikely(!floor_slot_drop(s)))
		bench_die("floor: double free");
	floor_push(cpu, s);
}

static void floor_put_call(void *cpu, void *frame, unsigned order)
{
	struct floor_slot *s = frame;

	(void)order;
	if (unlikely(!floor_slot_put(s)))
		bench_die("floor: double free");
	floor_push(cpu, s);
}

#define AHEAD 8

static size_t floor_alloc_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	struct floor_cpu *c = cpu;
	size_t i;

	for (i = 0; i < n && c->top; i++) {
		if (c->top > AHEAD)
			__builtin_prefetch(&c->slots[c->numbers[c->top - 1 - AHEAD]], 1);
		frames[i] = floor_alloc(c, order);
	}
	return i;
}

static void floor_free_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			__builtin_prefetch(frames[i + AHEAD], 1);
		floor_free_call(cpu, frames[i], order);
	}
}

static uint64_t floor_number(void *instance, void *frame)
{
	return (uint64_t)((struct floor_slot *)frame - ((struct floor *)instance)->slots);
}

#define FLOOR_FLAGS (PEER_ORDERS | PEER_BOUNDED | PEER_OWN | PEER_SLOT)

const struct bench_peer peer_floor = {
	.name = "floor",
	.what = "hand-written: an array of frame numbers and a checked slot",
	.flags = FLOOR_FLAGS | PEER_BULK,
	.create = floor_create,
	.destroy = floor_destroy,
	.cpu = floor_cpu_of,
	.alloc = floor_alloc_call,
	.free = floor_free_call,
	.alloc_bulk = floor_alloc_bulk,
	.free_bulk = floor_free_bulk,
	.stride = sizeof(struct floor_slot),
	.number = floor_number,
};

const struct bench_peer peer_floor_shared = {
	.name = "floor-shared",
	.what = "the floor, the last reference dropped by one read-modify-write",
	.flags = FLOOR_FLAGS,
	.create = floor_create,
	.destroy = floor_destroy,
	.cpu = floor_cpu_of,
	.alloc = floor_alloc_call,
	.free = floor_put_call,
	.stride = sizeof(struct floor_slot),
	.number = floor_number,
};
