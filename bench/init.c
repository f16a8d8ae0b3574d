/* SPDX-License-Identifier: MIT */
/*
 * init: how long does it take to set an instance up? An iteration is 1 GiB of memory, so the time is for
 * each GiB of a map of 64 GiB. `init:zeroed` says that the metadata is zeroed already, as fresh pages of a
 * kernel are: slots need not be touched. `init:dirty` does not. The metadata is 16 bytes a frame, without
 * owner's metadata, and mapped before.
 */
#include "bench.h"

#include <ramka/ramka.h>
#include <string.h>

#define SPAN 64 /* GiB */

static void init(struct bench_thread *t)
{
	struct ramka_region region = { .base = UINT64_C(1) << 30,
				       .size = (uint64_t)SPAN << 30,
				       .kind = RAMKA_USABLE };
	struct ramka_config cfg = { .regions = &region,
				    .nr_regions = 1,
				    .nr_cpus = 1,
				    .meta_size = RAMKA_META_NONE,
				    .flags = RAMKA_NO_DIRECT_MAP | (t->param ? RAMKA_METADATA_ZEROED : 0) };
	struct ramka_stats stats;
	struct ramka *r;
	size_t bytes;
	void *metadata;

	if (ramka_metadata_size(&cfg, &bytes))
		bench_die("ramka_metadata_size refused");
	metadata = bench_map(bytes);
	gbench_report(t->g, "bytes", (double)bytes / (double)(region.size >> 12));
	while (gbench_next(t->g, SPAN)) {
		if (ramka_init(&cfg, metadata, bytes, &r))
			bench_die("ramka_init refused");
		gbench_pause(t->g);
		ramka_stats_read(r, &stats);
		if (stats.free != region.size >> 12)
			bench_die("%llu of %llu frames are free", (unsigned long long)stats.free,
				  (unsigned long long)region.size >> 12);
		if (ramka_fini(r))
			bench_die("ramka_fini refused");
		memset(metadata, t->param ? 0 : 0xa5, bytes);
		gbench_resume(t->g);
	}
	bench_unmap(metadata, bytes);
}

static bool is_ramka(const struct bench_peer *p)
{
	return !strcmp(p->name, "ramka");
}

const struct bench_workload bench_init[] = {
	{ .name = "init:zeroed",
	  .what = "set-up per GiB, metadata zeroed before",
	  .param = 1,
	  .orders = 1u << 0,
	  .max_threads = 1,
	  .bare = true,
	  .fits = is_ramka,
	  .run = init },
	{ .name = "init:dirty",
	  .what = "set-up per GiB, metadata not zeroed",
	  .orders = 1u << 0,
	  .max_threads = 1,
	  .bare = true,
	  .fits = is_ramka,
	  .run = init },
	{ .name = NULL },
};
