/* SPDX-License-Identifier: MIT */
/*
 * Two more ways to use ramka, for bench/scale:
 *	ramka-deferred  counted frames, freed by put_rcu; ramka's own quiescent states. A CPU reads for a moment once in
 *	                64 frees and is offline else, so that grace periods are short and nothing ever has to wait
 *	ramka-address   counted frames; each is looked up by its address once, as a page fault or an I/O completion does
 */
#include <stdlib.h>

#include "ramka.h"

static const struct ramka_request plain[] = {
	{ .order = 0, .flags = RAMKA_ALLOC_UNINIT },  { .order = 1, .flags = RAMKA_ALLOC_UNINIT },
	{ .order = 2, .flags = RAMKA_ALLOC_UNINIT },  { .order = 3, .flags = RAMKA_ALLOC_UNINIT },
	{ .order = 4, .flags = RAMKA_ALLOC_UNINIT },  { .order = 5, .flags = RAMKA_ALLOC_UNINIT },
	{ .order = 6, .flags = RAMKA_ALLOC_UNINIT },  { .order = 7, .flags = RAMKA_ALLOC_UNINIT },
	{ .order = 8, .flags = RAMKA_ALLOC_UNINIT },  { .order = 9, .flags = RAMKA_ALLOC_UNINIT },
	{ .order = 10, .flags = RAMKA_ALLOC_UNINIT },
};

static const char *version(void)
{
	return ramka_version();
}

/* ---- deferred ---- */

struct reader {
	_Alignas(128) struct ramka_cpu *cpu; /* first: who has a handle can find the instance */
	struct ramka_qsbr *q;
	unsigned id, freed;
};

struct deferred {
	_Alignas(128) struct ramka_qsbr q;
	struct ramka_qsbr_cpu *states;
	struct reader *readers;
	void *instance;
};

static void *deferred_create(const struct bench_shape *shape)
{
	struct deferred *d = bench_map(sizeof(*d));
	struct ramka_rcu_ops ops;

	d->states = bench_map(shape->threads * sizeof(*d->states));
	d->readers = bench_map(shape->threads * sizeof(*d->readers));
	ramka_qsbr_init(&d->q, d->states, shape->threads, &ops);
	d->instance = bench_ramka_create(shape, &ops);
	if (!d->instance)
		return NULL;
	for (unsigned id = 0; id < shape->threads; id++)
		d->readers[id] = (struct reader){ .cpu = ramka_cpu_at(bench_ramka_of(d->instance), id),
						  .q = &d->q,
						  .id = id };
	return d;
}

static void deferred_destroy(void *instance)
{
	struct deferred *d = instance;

	ramka_reclaim(d->readers[0].cpu, true);
	bench_ramka_destroy(d->instance);
}

static void *deferred_cpu(void *instance, unsigned id)
{
	return &((struct deferred *)instance)->readers[id];
}

static void *deferred_alloc(void *cpu, unsigned order)
{
	struct reader *me = cpu;

	return ramka_frame_alloc(me->cpu, &ramka_type_untyped, NULL, plain[order]);
}

static void deferred_free(void *cpu, void *frame, unsigned order)
{
	struct reader *me = cpu;

	(void)order;
	if (ramka_frame_put_rcu(me->cpu, frame) == RAMKA_PRESSURE)
		ramka_reclaim(me->cpu, false);
	if (++me->freed % 64 == 0) {
		ramka_qsbr_online(me->q, me->id);
		ramka_qsbr_offline(me->q, me->id);
	}
}

const struct bench_peer peer_ramka_deferred = {
	.name = "ramka-deferred",
	.what = "ramka, counted frames freed after a grace period",
	.flags = PEER_ORDERS | PEER_BOUNDED | PEER_SLOT,
	.version = version,
	.create = deferred_create,
	.destroy = deferred_destroy,
	.cpu = deferred_cpu,
	.alloc = deferred_alloc,
	.free = deferred_free,
	.stride = 16,
};

/* ---- by address ---- */

static void *cpu_at(void *instance, unsigned id)
{
	return ramka_cpu_at(bench_ramka_of(instance), id);
}

static void *create(const struct bench_shape *shape)
{
	return bench_ramka_create(shape, NULL);
}

static void *address_alloc(void *cpu, unsigned order)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, plain[order]), *same;
	struct ramka *r = ramka_of(cpu);

	if (!f)
		return NULL;
	if (ramka_frame_from_in_use(r, ramka_frame_paddr(r, f), &same) || same != f)
		bench_die("ramka: a frame in use was not found by its address");
	ramka_frame_put(cpu, same);
	return f;
}

static void address_free(void *cpu, void *frame, unsigned order)
{
	(void)order;
	ramka_frame_put(cpu, frame);
}

const struct bench_peer peer_ramka_address = {
	.name = "ramka-address",
	.what = "ramka, counted frames, each looked up by address once",
	.flags = PEER_ORDERS | PEER_BOUNDED | PEER_SLOT,
	.version = version,
	.create = create,
	.destroy = bench_ramka_destroy,
	.cpu = cpu_at,
	.alloc = address_alloc,
	.free = address_free,
	.stride = 16,
};
