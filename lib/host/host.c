/* SPDX-License-Identifier: MIT */
/*
 * A host: an instance over mapped memory. Its physical memory begins at 1 GiB, so frame 0 is no part of it.
 * It is mapped at a multiple of 1 GiB, so the address of each frame is as aligned as the frame.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/why.h"
#include "internal.h"

#define GIB ((uint64_t)1 << 30)
#define BASE GIB
#define ROUND ((uint64_t)2 << 20)
#define MAX_LINES 16u
#define CHECKS (RAMKA_HOST_CHECK_THREADS | RAMKA_HOST_CHECK_MEMORY)

#ifdef RAMKA_CONTRACTS
# define CHECK_ALWAYS true
#else
# define CHECK_ALWAYS false
#endif

/* ---- create ---- */

/*
 * A thread without a CPU of its own is many times slower. Threads block, so there are a few times as many
 * CPUs as threads can run.
 */
#define THREADS_A_CPU 4u
#define MIN_CPUS 16u
#define MAX_CPUS 65536u /* what a default may come to */

static unsigned default_cpus(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = online > 0 && online < (long)(MAX_CPUS / THREADS_A_CPU) ?
			     (unsigned)online * THREADS_A_CPU :
			     0;

	return n > MIN_CPUS ? n : MIN_CPUS;
}

static int no_memory(struct ramka_why *why, const char *what, const char *field, uint64_t value)
{
	return refuse(why, RAMKA_E_NOMEM, what, field, RAMKA_NO_INDEX, value, 0);
}

/* The caller's memory, or what the caller's file is mapped to. Neither is rounded to 2 MiB. */
static int frames_of_caller(struct ramka_host *h, const struct ramka_host_memory *m, uint64_t size,
			    struct ramka_why *why)
{
	struct stat st;

	if (!size || size % RAMKA_PAGE_SIZE)
		return refuse(why, size ? RAMKA_E_NOT_ALIGNED : RAMKA_E_INVAL,
			      "memory of one's own has a size in whole pages", "memory", RAMKA_NO_INDEX, size,
			      0);
	if (m->base) {
		if ((uintptr_t)m->base % RAMKA_PAGE_SIZE)
			return refuse_plain(why, RAMKA_E_NOT_ALIGNED, "the memory does not begin at a page",
					    "where.base");
		if ((uintptr_t)m->base > UINTPTR_MAX - size)
			return refuse_plain(why, RAMKA_E_INVAL,
					    "the memory reaches around the end of the address space",
					    "memory");
		h->frames = (struct host_mapping){ .base = m->base, .size = size, .callers = true };
		return 0;
	}
	if (m->offset % RAMKA_PAGE_SIZE)
		return refuse(why, RAMKA_E_NOT_ALIGNED, "the file's part does not begin at a page",
			      "where.offset", RAMKA_NO_INDEX, m->offset, 0);
	if (fstat(m->fd, &st))
		return refuse(why, RAMKA_E_INVAL, "no open file", "where.fd", RAMKA_NO_INDEX,
			      (uint64_t)(int64_t)m->fd, 0);
	if (m->offset > UINT64_MAX - size || (S_ISREG(st.st_mode) && m->offset + size > (uint64_t)st.st_size))
		return refuse(why, RAMKA_E_INVAL, "the file is shorter", "memory", RAMKA_NO_INDEX, size,
			      (uint64_t)st.st_size);
	if (!host_map_file(&h->frames, size, GIB, m->fd, m->offset))
		return no_memory(why, "the file cannot be mapped", "where.fd", size);
	return 0;
}

static int own_frames(struct ramka_host *h, uint64_t size, struct ramka_why *why)
{
	if (!size)
		size = GIB;
	if (size > UINT64_MAX - BASE - ROUND)
		return no_memory(why, "more memory than addresses", "memory", size);
	h->frames.size = (size + ROUND - 1) & ~(ROUND - 1);
	if (!h->no_contents && !host_map(&h->frames, h->frames.size, GIB))
		return no_memory(why, "so much memory cannot be mapped", "memory", size);
	return 0;
}

/* Where the first frame lies in its GiB, so that an address is as aligned as its frame. */
static ramka_paddr_t first_paddr(const struct ramka_host *h)
{
	return BASE + ((uintptr_t)h->frames.base & (GIB - 1));
}

/*
 * Makes the mappings, the instance in them and the source's state. What was made before a failure is in *h.
 */
static int build(struct ramka_host *h, const struct ramka_host_options *opt, struct ramka_why *why)
{
	struct ramka_rcu_ops ops;
	struct ramka_region region = { .kind = RAMKA_USABLE };
	struct ramka_config cfg = {
		.regions = &region,
		.nr_regions = 1,
		.nr_cpus = opt->nr_cpus ? opt->nr_cpus : default_cpus(),
		.meta_size = opt->meta_size,
		.flags = opt->flags | RAMKA_METADATA_ZEROED,
		.rcu = &ops,
		.barrier_all_cpus = host_barrier,
		.panic = host_bug,
		.this_cpu = CHECK_ALWAYS || opt->checks & RAMKA_HOST_CHECK_THREADS ? host_this_cpu : NULL,
		.watch = opt->checks & RAMKA_HOST_CHECK_MEMORY ? host_checker() : NULL,
		.ctx = h,
	};
	size_t bytes;
	int error;

	h->no_contents = cfg.flags & RAMKA_NO_DIRECT_MAP;
	h->checked = opt->checks & RAMKA_HOST_CHECK_MEMORY;
	if (opt->checks & ~CHECKS)
		return refuse(why, RAMKA_E_INVAL, "an unknown check", "checks", RAMKA_NO_INDEX, opt->checks,
			      CHECKS);
	if (h->checked && h->no_contents)
		return refuse_plain(why, RAMKA_E_INVAL, "a check of contents, and no direct map", "checks");
	if (opt->where && h->no_contents)
		return refuse_plain(why, RAMKA_E_INVAL, "memory of one's own, and no direct map", "flags");
	error = opt->where ? frames_of_caller(h, opt->where, opt->memory, why) :
			     own_frames(h, opt->memory, why);
	if (error)
		return error;
	region.base = first_paddr(h);
	region.size = opt->where ? opt->memory : h->frames.size;
	cfg.direct_map = (uintptr_t)h->frames.base - region.base;
	error = host_rcu_init(h, &ops); /* first: the core looks at what it is given */
	if (error)
		return error == RAMKA_E_NOMEM ?
			       no_memory(why, "no memory or no thread for the grace periods", "rcu", 0) :
			       error;
	error = ramka_metadata_size_why(&cfg, &bytes, why);
	if (error)
		return error;
	if (!host_map(&h->metadata, bytes, 1) || !host_leases_init(&h->cpus, cfg.nr_cpus))
		return no_memory(why, "the metadata cannot be mapped", "memory", bytes);
	error = ramka_init_why(&cfg, h->metadata.base, h->metadata.size, &h->r, why);
	if (!error && h->checked)
		host_checker_begin(h);
	return error;
}

/* Frees what build made. */
static void demolish(struct ramka_host *h)
{
	host_rcu_fini(h);
	if (h->checked)
		host_checker_end(h);
	host_leases_fini(&h->cpus);
	host_unmap(&h->metadata);
	host_unmap(&h->frames);
	free(h);
}

int ramka_host_create_why(const struct ramka_host_options *opt, struct ramka_host **ret_h,
			  struct ramka_why *ret_why)
{
	static const struct ramka_host_options defaults;
	static struct ramka_atomic_u64 hosts;
	const struct host_source *source;
	struct ramka_why unheard = { 0 }, *why = ret_why ? ret_why : &unheard;
	struct ramka_host *h;
	int error;

	*why = (struct ramka_why){ 0 };
	if (!ret_h)
		return refuse_plain(why, RAMKA_E_INVAL, "nowhere to put the result", "ret_h");
	if (!opt)
		opt = &defaults;
	error = host_source_find(opt->rcu, &source);
	if (error)
		return refuse_plain(why, error,
				    error == RAMKA_E_INVAL ? "no source of grace periods has this name" :
							     "not built in, or liburcu in a child of fork",
				    "rcu");
	h = host_process_ready() ? calloc(1, sizeof(*h)) : NULL;
	if (!h)
		return no_memory(why, "no memory, no thread key or no handler of fork", NULL, 0);
	h->id = ramka_add(&hosts, 1, relaxed, host.id) + 1;
	h->source = source;
	h->panic = opt->panic;
	h->no_cpu = opt->no_cpu ? opt->no_cpu : host_no_cpu;
	h->ctx = opt->ctx;
	host_barrier_init();
	error = build(h, opt, why);
	if (error) {
		demolish(h);
		return error;
	}
	host_enlist(h);
	*ret_h = h;
	return 0;
}

int ramka_host_create(const struct ramka_host_options *opt, struct ramka_host **ret_h)
{
	return ramka_host_create_why(opt, ret_h, NULL);
}

ramka_paddr_t host_paddr(const struct ramka_host *h, const void *address)
{
	return first_paddr(h) + ((uintptr_t)address - (uintptr_t)h->frames.base);
}

uint64_t ramka_host_offset(const struct ramka_host *h, ramka_paddr_t paddr)
{
	return paddr - first_paddr(h);
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
 * Brings home all frames that are free or deferred. No thread is registered any more, so this one may act for
 * every CPU.
 */
static void bring_home(struct ramka_host *h)
{
	for (unsigned i = 0; i < h->cpus.nr; i++)
		ramka_cpu_offline(ramka_cpu_at(h->r, i));
	ramka_reclaim(ramka_cpu_none(h->r), true);
	ramka_drain(h->r);
}

void ramka_host_destroy(struct ramka_host *h)
{
	int cancel;

	if (!h)
		return;
	if (host_reading(h)) {
		/* the wait would not end: it is for this thread's section, here or in liburcu's helper */
		host_waits_inside(h, "ramka_host_destroy");
		return;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	host_detach_threads(h);
	bring_home(h);
	if (ramka_fini(h->r))
		report_leaks(h);
	host_detach_threads(h); /* what on_drop registered */
	host_delist(h);
	demolish(h);
	pthread_setcancelstate(cancel, NULL);
}
