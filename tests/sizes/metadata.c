/* SPDX-License-Identifier: MIT */
/* What ramka_metadata_size asks for, by configuration: lines of GiB, meta_size, CPUs, bytes. Read by tests/sizes/run. */
#include <stdio.h>

#include <ramka/ramka.h>

static bool barrier(void *ctx)
{
	(void)ctx;
	return true;
}

static void panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx, (void)bug;
}

int main(void)
{
	static const unsigned cpus[] = { 17, 25 }; /* with fewer an outbox is smaller */
	static const struct {
		uint32_t cfg;
		unsigned bytes;
	} meta[] = { { RAMKA_META_NONE, 0 }, { 0, 48 } };

	for (unsigned gib = 1; gib <= 9; gib += 8) {
		for (unsigned i = 0; i < 4; i++) {
			struct ramka_region all = { UINT64_C(1) << 30, (uint64_t)gib << 30, RAMKA_USABLE, 0 };
			unsigned m = i / 2, c = i % 2;
			struct ramka_config cfg = { .regions = &all, .nr_regions = 1, .nr_cpus = cpus[c], .meta_size = meta[m].cfg,
						    .barrier_all_cpus = barrier, .panic = panic };
			size_t bytes;

			if (ramka_metadata_size(&cfg, &bytes))
				return 1;
			printf("%u %u %u %zu\n", gib, meta[m].bytes, cpus[c], bytes);
		}
	}
	return 0;
}
