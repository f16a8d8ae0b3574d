/* SPDX-License-Identifier: MIT */
/*
 * The module behind dpdk.c: an rte_mempool filled with pointers to slots, with a cache for each thread, and
 * DPDK's environment started without huge pages, devices and configuration files. The pool is filled by
 * hand: the ordinary way would write a header into every frame.
 */
#define _GNU_SOURCE
#include <rte_config.h>
#undef RTE_USE_LIBBSD /* or its headers would want libbsd's for two string functions */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_version.h>

#include "../bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "../floor.h"

#define CACHE 256

struct cpu {
	struct rte_mempool *mp;
	struct rte_mempool_cache *cache;
};

struct pool {
	struct rte_mempool *mp;
	struct floor_slot *slots;
	uint64_t nr;
	unsigned threads;
	struct {
		_Alignas(128) struct cpu c;
	} cpu[];
};

static const char *start(void)
{
	static char args[][16] = { "bench",	  "--no-huge", "--no-pci", "--no-telemetry",
				   "--no-shconf", "-m",	       "256",	   "--log-level=1",
				   "-l",	  "0" };
	char *argv[sizeof(args) / sizeof(args[0]) + 1] = { NULL };
	int argc = 0;
	static char why[100];
	static bool started;

	if (started || why[0])
		return started ? NULL : why;
	for (; argc < (int)(sizeof(args) / sizeof(args[0])); argc++)
		argv[argc] = args[argc];
	if (rte_eal_init(argc, argv) < 0) {
		snprintf(why, sizeof(why), "rte_eal_init: error %d", rte_errno);
		return why;
	}
	started = true;
	return NULL;
}

static const char *version(void)
{
	return rte_version() + 5; /* "DPDK 22.11.11" */
}

static void *create(const struct bench_shape *shape)
{
	struct pool *p = aligned_alloc(128, sizeof(*p) + shape->threads * sizeof(p->cpu[0]));
	static unsigned count;
	char name[32];

	if (!p)
		return NULL;
	snprintf(name, sizeof(name), "frames%u", count++);
	p->nr = shape->memory >> 12;
	p->threads = shape->threads;
	p->slots = bench_reserve(p->nr * sizeof(*p->slots));
	p->mp = rte_mempool_create_empty(name, (unsigned)p->nr, 0, 0, 0, SOCKET_ID_ANY, 0);
	if (!p->mp || rte_mempool_set_ops_byname(p->mp, "ring_mp_mc", NULL))
		return NULL;
	if (rte_mempool_get_ops(p->mp->ops_index)->alloc(p->mp))
		return NULL;
	p->mp->flags |= RTE_MEMPOOL_F_POOL_CREATED;
	for (uint64_t i = 0; i < p->nr; i++) {
		void *slot = &p->slots[i];

		if (rte_mempool_ops_enqueue_bulk(p->mp, &slot, 1))
			return NULL;
	}
	p->mp->populated_size = p->mp->size;
	for (unsigned id = 0; id < p->threads; id++) {
		p->cpu[id].c.mp = p->mp;
		p->cpu[id].c.cache = rte_mempool_cache_create(CACHE, SOCKET_ID_ANY);
		if (!p->cpu[id].c.cache)
			return NULL;
	}
	return p;
}

static void destroy(void *instance)
{
	struct pool *p = instance;

	for (unsigned id = 0; id < p->threads; id++) {
		rte_mempool_cache_flush(p->cpu[id].c.cache, p->mp);
		rte_mempool_cache_free(p->cpu[id].c.cache);
	}
	rte_mempool_free(p->mp);
	bench_unmap(p->slots, p->nr * sizeof(*p->slots));
	free(p);
}

static void *cpu(void *instance, unsigned id)
{
	return &((struct pool *)instance)->cpu[id].c;
}

static void *alloc(void *cpu, unsigned order)
{
	struct cpu *c = cpu;
	void *slot;

	if (unlikely(rte_mempool_generic_get(c->mp, &slot, 1, c->cache)))
		return NULL;
	return floor_slot_take(slot, order) ? slot : NULL;
}

static void free_frame(void *cpu, void *frame, unsigned order)
{
	struct cpu *c = cpu;

	(void)order;
	if (unlikely(!floor_slot_drop(frame)))
		bench_die("dpdk: double free");
	rte_mempool_generic_put(c->mp, &frame, 1, c->cache);
}

#define AHEAD 8

static size_t alloc_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	struct cpu *c = cpu;

	if (rte_mempool_generic_get(c->mp, frames, (unsigned)n, c->cache))
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			__builtin_prefetch(frames[i + AHEAD], 1);
		if (!floor_slot_take(frames[i], order))
			return 0;
	}
	return n;
}

static void free_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	struct cpu *c = cpu;

	(void)order;
	for (size_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			__builtin_prefetch(frames[i + AHEAD], 1);
		if (!floor_slot_drop(frames[i]))
			bench_die("dpdk: double free");
	}
	rte_mempool_generic_put(c->mp, frames, (unsigned)n, c->cache);
}

static uint64_t number(void *instance, void *frame)
{
	return (uint64_t)((struct floor_slot *)frame - ((struct pool *)instance)->slots);
}

__attribute__((visibility("default"))) const struct bench_peer bench_module_peer = {
	.name = "dpdk",
	.what = "DPDK's rte_mempool (shared ring, cache of 256 a thread) and a slot",
	.flags = PEER_BOUNDED | PEER_SLOT | PEER_BULK,
	.load = start,
	.version = version,
	.create = create,
	.destroy = destroy,
	.cpu = cpu,
	.alloc = alloc,
	.free = free_frame,
	.alloc_bulk = alloc_bulk,
	.free_bulk = free_bulk,
	.stride = sizeof(struct floor_slot),
	.number = number,
};
