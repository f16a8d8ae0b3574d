/* SPDX-License-Identifier: MIT */
/*
 * ramka, the core library without the hosted layer, on a mapping that stands for physical memory:
 *	ramka           unique frames, content as it was, as all peers give it
 *	ramka-shared    counted frames, the only reference put again
 *	ramka-all       the same of an instance that caches every freed base frame, as pools do (RAMKA_CACHE_ALL)
 *	ramka-hardened  the same with what -Dhardened=true turns on, RAMKA_HARDENING
 *	ramka-zeroed    unique frames with zeroed content: what a kernel asks for by default
 *	ramka-none      unique frames through the cache-less handle: straight to depot and zones
 *	ramka-hints     unique frames, with RAMKA_ALLOC_LONG for those that live long
 * Thread i is CPU i of the instance.
 */
#define _GNU_SOURCE
#include "ramka.h"

#include "../../tools/dumpfile.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FIRST (UINT64_C(1) << 30) /* the first physical address, if none is given: frame 0 would never be handed out */

struct instance {
	struct ramka *r;
	void *memory, *metadata;
	uint64_t size, first; /* first: physical address */
	size_t metadata_size;
	pthread_t mapper;  /* bench/run --map; else `map` is NULL */
	const char *map;
	bool mapped;       /* under map_lock: the instance ends */
};

/* ---- bench/run --map: a dump five times a second ---- */

static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t map_end = PTHREAD_COND_INITIALIZER;

static void *mapper(void *arg)
{
	struct instance *i = arg;
	struct timespec t;

	pthread_mutex_lock(&map_lock);
	while (!i->mapped) {
		if (!dumpfile_write(i->r, i->map))
			bench_die("cannot write a map to %s", i->map);
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 200000000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&map_end, &map_lock, &t);
	}
	pthread_mutex_unlock(&map_lock);
	return NULL;
}

static void map_start(struct instance *i)
{
	i->map = getenv("RAMKA_BENCH_MAP");
	if (i->map && pthread_create(&i->mapper, NULL, mapper, i))
		bench_die("cannot start a thread");
}

static void map_stop(struct instance *i)
{
	if (!i->map)
		return;
	pthread_mutex_lock(&map_lock);
	i->mapped = true;
	pthread_cond_broadcast(&map_end);
	pthread_mutex_unlock(&map_lock);
	pthread_join(i->mapper, NULL);
}

static bool barrier_all_cpus(void *ctx)
{
	(void)ctx;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static void panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	bench_die("ramka: %s: %s, frame at %#llx", bug->operation, bug->what,
		  (unsigned long long)bug->paddr);
}

static void *create_with(const struct bench_shape *shape, const struct ramka_rcu_ops *rcu, uint32_t flags)
{
	struct instance *i = calloc(1, sizeof(*i));
	uint64_t first = shape->first ? shape->first : FIRST;
	struct ramka_region region = { .base = first, .size = shape->memory, .kind = RAMKA_USABLE };
	struct ramka_config cfg = { .regions = &region,
				    .nr_regions = 1,
				    .nr_cpus = shape->threads,
				    .flags = RAMKA_METADATA_ZEROED | flags,
				    .barrier_all_cpus = barrier_all_cpus,
				    .rcu = rcu,
				    .panic = panic };

	if (!i)
		return NULL;
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	i->size = shape->memory;
	i->first = first;
	i->memory = bench_reserve(i->size);
	cfg.direct_map = (uintptr_t)i->memory - first;
	if (ramka_metadata_size(&cfg, &i->metadata_size))
		return NULL;
	i->metadata = bench_reserve(i->metadata_size);
	if (ramka_init(&cfg, i->metadata, i->metadata_size, &i->r))
		return NULL;
	map_start(i);
	return i;
}

void *bench_ramka_create(const struct bench_shape *shape, const struct ramka_rcu_ops *rcu)
{
	return create_with(shape, rcu, 0);
}

static void *create_caching(const struct bench_shape *shape)
{
	return create_with(shape, NULL, RAMKA_CACHE_ALL);
}

static void *create_hardened(const struct bench_shape *shape)
{
	return create_with(shape, NULL, RAMKA_HARDENING);
}

struct ramka *bench_ramka_of(void *instance)
{
	return ((struct instance *)instance)->r;
}

static void *create(const struct bench_shape *shape)
{
	return bench_ramka_create(shape, NULL);
}

/* All of the memory touched, as a kernel's is: page faults of the host are not the question. */
static void *create_touched(const struct bench_shape *shape)
{
	struct instance *i = create(shape);

	for (uint64_t at = 0; i && at < i->size; at += BENCH_PAGE)
		((volatile char *)i->memory)[at] = 0;
	return i;
}

void bench_ramka_destroy(void *instance)
{
	struct instance *i = instance;
	struct ramka_bug bug;

	map_stop(i);
	if (ramka_check(i->r, &bug))
		bench_die("ramka_check: %s, frame at %#llx", bug.what, (unsigned long long)bug.paddr);
	if (ramka_fini(i->r))
		bench_die("ramka_fini: frames are in use");
	bench_unmap(i->metadata, i->metadata_size);
	bench_unmap(i->memory, i->size);
	free(i);
}

static void *cpu_at(void *instance, unsigned id)
{
	return ramka_cpu_at(((struct instance *)instance)->r, id);
}

static void *cpu_none(void *instance, unsigned id)
{
	(void)id;
	return ramka_cpu_none(((struct instance *)instance)->r);
}

static const char *version(void)
{
	return ramka_version();
}

/* Ready-made: gcc builds a request of a variable order byte by byte on the stack, and the load of it as one word waits. */
#define PLAIN(o) { .order = (o), .flags = RAMKA_ALLOC_UNINIT }
static const struct ramka_request plain_requests[] = {
	PLAIN(0), PLAIN(1), PLAIN(2), PLAIN(3), PLAIN(4), PLAIN(5), PLAIN(6), PLAIN(7), PLAIN(8), PLAIN(9),
	PLAIN(10), PLAIN(11), PLAIN(12), PLAIN(13), PLAIN(14), PLAIN(15), PLAIN(16), PLAIN(17), PLAIN(18),
};

static struct ramka_request plain(unsigned order)
{
	return plain_requests[order];
}

static void *unique_alloc(void *cpu, unsigned order)
{
	return ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, plain(order));
}

static void *unique_alloc_zeroed(void *cpu, unsigned order)
{
	return ramka_unique_alloc(cpu, &ramka_type_untyped, NULL,
				  (struct ramka_request){ .order = (uint8_t)order });
}

static void *unique_alloc_long(void *cpu, unsigned order)
{
	return ramka_unique_alloc(cpu, &ramka_type_untyped, NULL,
				  (struct ramka_request){ .order = (uint8_t)order,
							  .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_LONG });
}

static void unique_free(void *cpu, void *frame, unsigned order)
{
	(void)order;
	ramka_unique_free(cpu, frame);
}

static void *shared_alloc(void *cpu, unsigned order)
{
	return ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, plain(order));
}

static void shared_put(void *cpu, void *frame, unsigned order)
{
	(void)order;
	ramka_frame_put(cpu, frame);
}

static size_t shared_alloc_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	return ramka_frame_alloc_bulk(cpu, &ramka_type_untyped, plain(order), n,
				      (struct ramka_frame **)frames);
}

static void shared_put_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	(void)order;
	ramka_frame_put_bulk(cpu, n, (struct ramka_frame **)frames);
}

static size_t unique_alloc_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	return ramka_unique_alloc_bulk(cpu, &ramka_type_untyped, plain(order), n, (struct ramka_unique **)frames);
}

static void unique_free_bulk(void *cpu, unsigned order, size_t n, void **frames)
{
	(void)order;
	ramka_unique_free_bulk(cpu, n, (struct ramka_unique **)frames);
}

static uint64_t number(void *instance, void *frame)
{
	struct instance *i = instance;

	return ramka_frame_index(i->r, frame) - (i->first >> 12);
}

static uint64_t free_in_huge(void *instance)
{
	struct ramka_stats stats;

	ramka_stats_read(((struct instance *)instance)->r, &stats);
	return stats.free_huge * 512;
}

#define FLAGS (PEER_ORDERS | PEER_BOUNDED | PEER_SLOT)
#define COMMON \
	.version = version, .destroy = bench_ramka_destroy, .number = number, .free_in_huge = free_in_huge, .stride = 16

#define UNIQUE \
	.flags = FLAGS | PEER_BULK, .cpu = cpu_at, .alloc = unique_alloc, .free = unique_free, \
	.alloc_bulk = unique_alloc_bulk, .free_bulk = unique_free_bulk

const struct bench_peer peer_ramka = {
	.name = "ramka",
	.what = "ramka, unique frames",
	COMMON,
	.create = create,
	UNIQUE,
};

const struct bench_peer peer_ramka_all = {
	.name = "ramka-all",
	.what = "ramka, unique frames, every freed one cached",
	COMMON,
	.create = create_caching,
	UNIQUE,
};

const struct bench_peer peer_ramka_hardened = {
	.name = "ramka-hardened",
	.what = "ramka, unique frames, with RAMKA_HARDENING",
	COMMON,
	.create = create_hardened,
	UNIQUE,
};

const struct bench_peer peer_ramka_shared = {
	.name = "ramka-shared",
	.what = "ramka, counted frames",
	COMMON,
	.create = create,
	.flags = FLAGS | PEER_BULK,
	.cpu = cpu_at,
	.alloc = shared_alloc,
	.free = shared_put,
	.alloc_bulk = shared_alloc_bulk,
	.free_bulk = shared_put_bulk,
};

const struct bench_peer peer_ramka_zeroed = {
	.name = "ramka-zeroed",
	.what = "ramka, unique frames with zeroed content",
	COMMON,
	.flags = FLAGS,
	.create = create_touched,
	.cpu = cpu_at,
	.alloc = unique_alloc_zeroed,
	.free = unique_free,
};

const struct bench_peer peer_ramka_none = {
	.name = "ramka-none",
	.what = "ramka without a CPU's cache",
	COMMON,
	.create = create,
	.flags = FLAGS,
	.cpu = cpu_none,
	.alloc = unique_alloc,
	.free = unique_free,
};

const struct bench_peer peer_ramka_hints = {
	.name = "ramka-hints",
	.what = "ramka, unique frames, told which frames live long",
	COMMON,
	.create = create,
	.flags = FLAGS | PEER_HINTS,
	.cpu = cpu_at,
	.alloc = unique_alloc,
	.alloc_long = unique_alloc_long,
	.free = unique_free,
};
