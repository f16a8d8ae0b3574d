/* SPDX-License-Identifier: MIT */
/*
 * Ways to free a frame that readers may still look at, for the workload `deferred` alone. All are ramka's
 *hosted layer with counted frames; they differ in what happens at the last put: at-once ramka_frame_put, as
 *if there were no readers fifo         ramka_frame_put, 4096 frames later: what it costs that frames come
 *back cold, without any deferring rcu-NAME     ramka_frame_put_rcu, with the source of grace periods NAME
 *	call_rcu     liburcu's call_rcu (memb) for each frame, its head in the frame's metadata, as one does
 *without put_rcu
 */
#include "rcu.h"

#include "peers.h"

#include <ramka/host.h>
#include <stdlib.h>
#include <urcu/urcu-memb.h>

struct instance {
	struct ramka_host *h;
	struct ramka *r;
};

struct deferred_meta {
	struct rcu_head head;
	struct instance *instance;
	struct ramka_frame *frame;
};

static RAMKA_DEFINE_TYPE(frame_type, struct deferred_meta, .id = 16);

static const struct ramka_request plain = { .flags = RAMKA_ALLOC_UNINIT };

static void panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	bench_die("ramka: %s: %s, frame at %#llx", bug->operation, bug->what,
		  (unsigned long long)bug->paddr);
}

static const char *missing(const char *rcu)
{
	struct ramka_host_options opt = { .memory = 64u << 20, .nr_cpus = 1, .rcu = rcu, .panic = panic };
	struct ramka_host *h;

	if (ramka_host_create(&opt, &h))
		return "not built into libramka-host";
	ramka_host_destroy(h);
	return NULL;
}

#define FIFO 4096u

static struct ramka_frame *fifo[FIFO];
static unsigned fifo_next;

static void empty_fifo(struct ramka_cpu *cpu)
{
	for (unsigned k = 0; k < FIFO; k++) {
		if (fifo[k])
			ramka_frame_put(cpu, fifo[k]);
		fifo[k] = NULL;
	}
}

static void *create(const struct bench_shape *shape, const char *rcu)
{
	/* one more for the thread of call_rcu */
	struct ramka_host_options opt = {
		.memory = shape->memory, .nr_cpus = shape->threads + 1, .rcu = rcu, .panic = panic
	};
	struct instance *i = calloc(1, sizeof(*i));

	if (!i || ramka_host_create(&opt, &i->h))
		return NULL;
	i->r = ramka_host_ramka(i->h);
	if (ramka_type_register(i->r, &frame_type))
		return NULL;
	return i;
}

static void destroy(void *instance)
{
	struct instance *i = instance;

	urcu_memb_barrier();
	empty_fifo(ramka_host_cpu(i->h));
	ramka_host_destroy(i->h);
	free(i);
}

static void *cpu(void *instance, unsigned id)
{
	(void)id;
	return ramka_host_cpu(((struct instance *)instance)->h);
}

static const char *version(void)
{
	return ramka_version();
}

void bench_rcu_read(void *instance, void (*section)(void))
{
	struct instance *i = instance;

	ramka_host_rcu_read_lock(i->h);
	if (section)
		section();
	ramka_host_rcu_read_unlock(i->h);
}

void bench_rcu_settle(void *instance, void *cpu)
{
	struct instance *i = instance;
	struct ramka_stats stats;

	empty_fifo(cpu);
	urcu_memb_barrier(); /* call_rcu's last callbacks */
	ramka_reclaim(cpu, true);
	ramka_stats_read(i->r, &stats);
	if (stats.in_use || stats.deferred)
		bench_die("%llu frames in use and %llu deferred at the end",
			  (unsigned long long)stats.in_use, (unsigned long long)stats.deferred);
}

/* ---- the ways ---- */

static void *untyped_alloc(void *cpu, unsigned order)
{
	(void)order;
	return ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, plain);
}

static void put(void *cpu, void *frame, unsigned order)
{
	(void)order;
	ramka_frame_put(cpu, frame);
}

static void put_later(void *cpu, void *frame, unsigned order)
{
	struct ramka_frame **place = &fifo[fifo_next++ % FIFO];

	(void)order;
	if (*place)
		ramka_frame_put(cpu, *place);
	*place = frame;
}

static void put_rcu(void *cpu, void *frame, unsigned order)
{
	(void)order;
	if (ramka_frame_put_rcu(cpu, frame) == RAMKA_PRESSURE)
		ramka_reclaim(cpu, true);
}

static void *typed_alloc(void *cpu, unsigned order)
{
	(void)order;
	return ramka_frame_alloc(cpu, &frame_type, NULL, plain);
}

static struct instance *called_back; /* call_rcu has no argument but the head */

static void callback(struct rcu_head *head)
{
	struct deferred_meta *m = (struct deferred_meta *)(void *)head; /* its first member */

	ramka_frame_put(ramka_host_cpu(called_back->h), m->frame);
}

static void call_rcu_put(void *cpu, void *frame, unsigned order)
{
	struct deferred_meta *m = ramka_frame_meta(ramka_of(cpu), frame);

	(void)order;
	m->frame = frame;
	urcu_memb_call_rcu(&m->head, callback);
}

static void *call_rcu_create(const struct bench_shape *shape)
{
	called_back = create(shape, "memb");
	return called_back;
}

#define COMMON \
	.flags = PEER_ORDERS | PEER_SLOT | PEER_DEFERS, .version = version, .destroy = destroy, .cpu = cpu, \
	.stride = 16

#define BACKEND(ident, source, text) \
	static const char *load_##ident(void) \
	{ \
		return missing(source); \
	} \
	static void *create_##ident(const struct bench_shape *shape) \
	{ \
		return create(shape, source); \
	} \
	const struct bench_peer peer_rcu_##ident = { \
	 .name = "rcu-" source, \
	 .what = text, \
	 COMMON, \
	 .load = load_##ident, \
	 .create = create_##ident, \
	 .alloc = untyped_alloc, \
	 .free = put_rcu, \
	}

BACKEND(memb, "memb", "put_rcu, liburcu memb");
BACKEND(qsbr, "qsbr", "put_rcu, liburcu qsbr");
BACKEND(mb, "mb", "put_rcu, liburcu mb");
BACKEND(ck, "ck", "put_rcu, ck_epoch");
BACKEND(ramka, "ramka", "put_rcu, ramka's own quiescent states");

const struct bench_peer peer_at_once = {
	.name = "at-once",
	.what = "put: no waiting for readers",
	COMMON,
	.load = load_memb,
	.create = create_memb,
	.alloc = untyped_alloc,
	.free = put,
};

const struct bench_peer peer_fifo = {
	.name = "fifo",
	.what = "put, 4096 frames later",
	COMMON,
	.load = load_memb,
	.create = create_memb,
	.alloc = untyped_alloc,
	.free = put_later,
};

const struct bench_peer peer_call_rcu = {
	.name = "call_rcu",
	.what = "liburcu's call_rcu (memb) for each frame",
	COMMON,
	.load = load_memb,
	.create = call_rcu_create,
	.alloc = typed_alloc,
	.free = call_rcu_put,
};
