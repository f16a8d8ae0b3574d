/* SPDX-License-Identifier: MIT */
/*
 * init: how long does it take to set an instance up, and to let it grow? An iteration is 1 GiB of memory, unless said otherwise.
 * The metadata is 16 bytes a frame, without owner's metadata, and mapped before.
 *
 *   init:zeroed, init:dirty   a map of 64 GiB in one region; the metadata is zeroed already, as fresh pages of a kernel are, so
 *                             that slots need not be touched, or it is not
 *   init:hole                 1 GiB at either end of a hole of 1 TiB, metadata not zeroed: is the hole paid for? Compare with dirty
 *   init:regions              10,000 regions in no order, usable and reserved; an iteration is a region, ramka_metadata_size included
 *   grow:up, grow:scattered   32 GiB of a hole become memory in pieces of 128 MiB, metadata zeroed, upward or in no order
 *   grow:reserved             the same upward, out of a reclaimable region: each frame there may be referred to, so each is claimed
 *   grow:...-busy             the same while another thread allocates and frees, by a CPU and without
 */
#include "bench.h"

#include <pthread.h>
#include <ramka/ramka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define GIB UINT64_C(0x40000000)
#define REGIONS 10000u
#define PIECE (GIB / 8)
#define PIECES (32 * 8u)

enum { ZEROED = 1, HOLE = 2, SHATTERED = 4, GROW = 8, SCATTERED = 16, RESERVED = 32, BUSY = 64 };

/* What is set up: regions, iterations, frames that must be free. */
struct plan {
	struct ramka_region *regions;
	size_t nr_regions;
	unsigned iterations;
	uint64_t frames;
};

static struct plan make_plan(unsigned param)
{
	struct plan p = { .regions = calloc(REGIONS, sizeof(*p.regions)), .nr_regions = 1, .iterations = 64, .frames = 64 * GIB >> 12 };

	if (!p.regions)
		bench_die("no memory for the regions");
	p.regions[0] = (struct ramka_region){ .base = GIB, .size = 64 * GIB, .kind = RAMKA_USABLE };
	if (param & (HOLE | GROW)) {
		p.regions[0].size = GIB;
		p.regions[1] = (struct ramka_region){ .base = GIB * (param & HOLE ? 1026 : 48), .size = GIB, .kind = RAMKA_USABLE };
		p.nr_regions = p.iterations = 2;
		p.frames = 2 * GIB >> 12;
	}
	if (param & RESERVED)
		p.regions[p.nr_regions++] = (struct ramka_region){ .base = 8 * GIB, .size = 32 * GIB, .kind = RAMKA_RECLAIMABLE };
	if (param & SHATTERED) {
		p.nr_regions = p.iterations = REGIONS;
		p.frames = 0;
	}
	for (unsigned i = 0; param & SHATTERED && i < REGIONS; i++) { /* 7919 and 10,000 have no factor in common */
		unsigned at = i * 7919 % REGIONS;

		p.regions[i] = (struct ramka_region){ .base = GIB + at * 65536 + 4096, .size = 8 * 4096, .kind = at % 3 ? RAMKA_USABLE : RAMKA_RESERVED };
		p.frames += at % 3 ? 8 : 0;
	}
	return p;
}

static void check_free(struct ramka *r, uint64_t frames)
{
	struct ramka_stats stats;

	ramka_stats_read(r, &stats);
	if (stats.free != frames)
		bench_die("%llu of %llu frames are free", (unsigned long long)stats.free, (unsigned long long)frames);
}

static void init(struct bench_thread *t)
{
	unsigned param = (unsigned)t->param;
	struct plan p = make_plan(param);
	struct ramka_config cfg = { .regions = p.regions,
				    .nr_regions = p.nr_regions,
				    .nr_cpus = 1,
				    .meta_size = RAMKA_META_NONE,
				    .flags = RAMKA_NO_DIRECT_MAP | (param & ZEROED ? RAMKA_METADATA_ZEROED : 0) };
	struct ramka *r;
	size_t bytes, again;
	void *metadata;

	if (ramka_metadata_size(&cfg, &bytes))
		bench_die("ramka_metadata_size refused");
	metadata = param & HOLE ? bench_reserve(bytes) : bench_map(bytes); /* that of a hole must not be touched */
	gbench_report(t->g, "bytes", (double)bytes / (double)p.frames);
	while (gbench_next(t->g, p.iterations)) {
		if (ramka_metadata_size(&cfg, &again) || ramka_init(&cfg, metadata, bytes, &r))
			bench_die("ramka_init refused");
		gbench_pause(t->g);
		check_free(r, p.frames);
		if (ramka_fini(r))
			bench_die("ramka_fini refused");
		if (!(param & HOLE)) /* else it is dirty from the last time, where it was touched */
			memset(metadata, param & ZEROED ? 0 : 0xa5, bytes);
		gbench_resume(t->g);
	}
	bench_unmap(metadata, bytes);
	free(p.regions);
}

/* Another thread, which allocates and frees until it is told to stop. */
struct other { pthread_t thread; struct ramka *r; atomic_bool stop; };

static void *use(void *arg)
{
	struct other *o = arg;
	struct ramka_frame *f[64];

	for (unsigned turn = 0; !atomic_load_explicit(&o->stop, memory_order_relaxed); turn++) {
		struct ramka_cpu *cpu = turn % 4 ? ramka_cpu_at(o->r, 1) : ramka_cpu_none(o->r);
		struct ramka_request req = { .order = (uint8_t)(turn % 10), .flags = RAMKA_ALLOC_UNINIT };
		unsigned n = 0;

		while (n < 64 && (f[n] = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req)))
			n++;
		while (n)
			ramka_frame_put(cpu, f[--n]);
	}
	return NULL;
}

static void grow(struct bench_thread *t)
{
	unsigned param = (unsigned)t->param;
	struct plan p = make_plan(param);
	struct ramka_config cfg = { .regions = p.regions,
				    .nr_regions = p.nr_regions,
				    .nr_cpus = param & BUSY ? 2 : 1,
				    .meta_size = RAMKA_META_NONE,
				    .flags = RAMKA_NO_DIRECT_MAP | RAMKA_METADATA_ZEROED };
	struct other other;
	struct ramka *r;
	size_t bytes;
	void *metadata;

	if (ramka_metadata_size(&cfg, &bytes))
		bench_die("ramka_metadata_size refused");
	while (gbench_next(t->g, 32)) {
		gbench_pause(t->g);
		metadata = bench_map(bytes);
		if (ramka_init(&cfg, metadata, bytes, &r))
			bench_die("ramka_init refused");
		other = (struct other){ .r = r };
		if (param & BUSY && pthread_create(&other.thread, NULL, use, &other))
			bench_die("cannot start a thread");
		gbench_resume(t->g);
		for (unsigned i = 0; i < PIECES; i++) {
			unsigned at = param & SCATTERED ? i * 101 % PIECES : i;
			struct ramka_region piece = { .base = 8 * GIB + at * PIECE, .size = PIECE, .kind = RAMKA_USABLE };

			if (ramka_add_memory(r, &piece))
				bench_die("ramka_add_memory refused");
		}
		gbench_pause(t->g);
		atomic_store(&other.stop, true);
		if (param & BUSY)
			pthread_join(other.thread, NULL);
		check_free(r, p.frames + (32 * GIB >> 12));
		bench_unmap(metadata, bytes);
		gbench_resume(t->g);
	}
	free(p.regions);
}

static bool is_ramka(const struct bench_peer *p)
{
	return !strcmp(p->name, "ramka");
}

#define ROW(name_, what_, param_, run_)                                                                              \
	{ .name = name_, .what = what_, .param = param_, .orders = 1u << 0, .max_threads = 1, .bare = true, .fits = is_ramka, .run = run_ }

const struct bench_workload bench_init[] = {
	ROW("init:zeroed", "set-up per GiB, metadata zeroed before", ZEROED, init),
	ROW("init:dirty", "set-up per GiB, metadata not zeroed", 0, init),
	ROW("init:hole", "the same with a hole of 1 TiB between 2 GiB", HOLE, init),
	ROW("init:regions", "set-up of 10,000 regions, per region", SHATTERED, init),
	ROW("grow:up", "late memory out of a hole, per GiB, upward", GROW, grow),
	ROW("grow:scattered", "the same in no order", GROW | SCATTERED, grow),
	ROW("grow:reserved", "late memory out of a reclaimable region, per GiB", GROW | RESERVED, grow),
	ROW("grow:up-busy", "late memory out of a hole while a thread allocates, per GiB", GROW | BUSY, grow),
	ROW("grow:reserved-busy", "out of a reclaimable region while a thread allocates, per GiB", GROW | RESERVED | BUSY, grow),
	{ .name = NULL },
};
