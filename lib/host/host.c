/* SPDX-License-Identifier: MIT */
/*
 * A host: an instance over mapped memory. Its physical memory begins at 1 GiB, so that frame 0 is not part
 * of it, and is mapped at a multiple of 1 GiB, so that the address of a frame is as aligned as the frame,
 * up to the largest.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define GIB ((uint64_t)1 << 30)
#define BASE GIB
#define ROUND ((uint64_t)2 << 20)
#define MAX_LINES 16u

/* ---- create ---- */

/* A thread that has no CPU of its own is many times slower, and threads block: so a few times as many as can run. */
#define THREADS_A_CPU 4u
#define MIN_CPUS 16u
#define MAX_CPUS 65536u /* what a default may come to */

static unsigned default_cpus(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = online > 0 && online < (long)(MAX_CPUS / THREADS_A_CPU) ? (unsigned)online * THREADS_A_CPU : 0;

	return n > MIN_CPUS ? n : MIN_CPUS;
}

/* The mapping, the instance in it, the sources' state; what was done before a failure is in *h. */
static int build(struct ramka_host *h, const struct ramka_host_options *opt)
{
	struct ramka_rcu_ops ops;
	struct ramka_region region = {
		.base = BASE,
		.size = opt->memory ? opt->memory : GIB,
		.kind = RAMKA_USABLE,
	};
	struct ramka_config cfg = {
		.regions = &region,
		.nr_regions = 1,
		.nr_cpus = opt->nr_cpus ? opt->nr_cpus : default_cpus(),
		.meta_size = opt->meta_size,
		.flags = opt->flags | RAMKA_METADATA_ZEROED,
		.rcu = &ops,
		.barrier_all_cpus = host_barrier,
		.panic = h->panic,
		.ctx = h->ctx,
	};
	size_t bytes;
	int error;

	if (region.size > UINT64_MAX - BASE - ROUND)
		return RAMKA_E_NOMEM;
	region.size = (region.size + ROUND - 1) & ~(ROUND - 1);
	if (!(cfg.flags & RAMKA_NO_DIRECT_MAP)) {
		if (!host_map(&h->frames, region.size, GIB))
			return RAMKA_E_NOMEM;
		cfg.direct_map = (uintptr_t)h->frames.base - BASE;
	}
	error = host_rcu_init(h, &ops); /* first: the core looks at what it is given */
	if (error)
		return error;
	error = ramka_metadata_size(&cfg, &bytes);
	if (error)
		return error;
	if (!host_map(&h->metadata, bytes, 1) || !host_leases_init(&h->cpus, cfg.nr_cpus))
		return RAMKA_E_NOMEM;
	return ramka_init(&cfg, h->metadata.base, h->metadata.size, &h->r);
}

/* Frees what build made. */
static void demolish(struct ramka_host *h)
{
	host_rcu_fini(h);
	host_leases_fini(&h->cpus);
	host_unmap(&h->metadata);
	host_unmap(&h->frames);
	free(h);
}

int ramka_host_create(const struct ramka_host_options *opt, struct ramka_host **ret_h)
{
	static const struct ramka_host_options defaults;
	static struct ramka_atomic_u64 hosts;
	const struct host_source *source;
	struct ramka_host *h;
	int error;

	if (!ret_h)
		return RAMKA_E_INVAL;
	if (!opt)
		opt = &defaults;
	error = host_source_find(opt->rcu, &source);
	if (error)
		return error;
	h = host_process_ready() ? calloc(1, sizeof(*h)) : NULL;
	if (!h)
		return RAMKA_E_NOMEM;
	h->id = ramka_add(&hosts, 1, relaxed, host.id) + 1;
	h->source = source;
	h->panic = opt->panic ? opt->panic : host_panic;
	h->no_cpu = opt->no_cpu ? opt->no_cpu : host_no_cpu;
	h->ctx = opt->ctx;
	host_barrier_init();
	error = build(h, opt);
	if (error) {
		demolish(h);
		return error;
	}
	host_enlist(h);
	*ret_h = h;
	return 0;
}

struct ramka *ramka_host_ramka(struct ramka_host *h)
{
	return h->r;
}

/* ---- destroy ---- */

static bool in_use(enum ramka_state state)
{
	return state == RAMKA_STATE_UNIQUE || state == RAMKA_STATE_SHARED || state == RAMKA_STATE_DEFERRED ||
	       state == RAMKA_STATE_BUSY || state == RAMKA_STATE_SATURATED;
}

static bool report_run(void *ctx, const struct ramka_run *run)
{
	unsigned *lines = ctx;

	if (!in_use(run->state))
		return true;
	if (++*lines > MAX_LINES) {
		fputs("  and more\n", stderr);
		return false;
	}
	fprintf(stderr, "  0x%" PRIx64 ": %" PRIu64 " %s of order %u, %s, type %s\n", run->base, run->frames,
		run->frames == 1 ? "frame" : "frames", run->order, host_state_name(run->state),
		run->type && run->type->name ? run->type->name : "none");
	return true;
}

static void report_leaks(struct ramka_host *h)
{
	unsigned lines = 0;

	fputs("ramka_host_destroy: still in use:\n", stderr);
	ramka_walk(h->r, report_run, &lines);
}

/*
 * Brings all that is free or deferred home. No thread is registered any more, so this one may play every
 * CPU.
 */
static void bring_home(struct ramka_host *h, bool may_wait)
{
	for (unsigned i = 0; i < h->cpus.nr; i++)
		ramka_cpu_offline(ramka_cpu_at(h->r, i));
	if (may_wait)
		ramka_reclaim(ramka_cpu_none(h->r), true);
	ramka_drain(h->r);
}

void ramka_host_destroy(struct ramka_host *h)
{
	bool reading;
	int cancel;

	if (!h)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	reading = host_reading(h);
	if (reading)
		fputs("ramka_host_destroy: called inside a read section: deferred frames are not waited for\n",
		      stderr);
	host_detach_threads(h);
	bring_home(h, !reading);
	if (ramka_fini(h->r))
		report_leaks(h);
	host_detach_threads(h); /* what on_drop registered */
	host_delist(h);
	demolish(h);
	pthread_setcancelstate(cancel, NULL);
}
