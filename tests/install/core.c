/* SPDX-License-Identifier: MIT */
/* What a user of the installed core writes first: an instance, a frame, its bytes, and all given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ramka/ramka.h>

#define MEMORY ((size_t)4 << 20)

int main(void)
{
	void *memory = aligned_alloc((size_t)2 << 20, MEMORY), *metadata;
	struct ramka_region region = { .base = (ramka_paddr_t)2 << 20, .size = MEMORY, .kind = RAMKA_USABLE };
	struct ramka_config cfg = { .regions = &region, .nr_regions = 1, .nr_cpus = 1 };
	struct ramka_request any = { 0 };
	struct ramka_frame *f;
	struct ramka *r;
	char text[8];
	size_t bytes;

	cfg.direct_map = (uintptr_t)memory - region.base;
	if (!memory || ramka_metadata_size(&cfg, &bytes))
		return 1;
	metadata = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (!metadata || ramka_init(&cfg, metadata, bytes, &r))
		return 2;
	f = ramka_frame_alloc(ramka_cpu_at(r, 0), &ramka_type_untyped, NULL, any);
	if (!f || ramka_frame_write(r, f, 10, "ramka", 6) || ramka_frame_read(r, f, 10, text, 6))
		return 3;
	if (strcmp(text, "ramka"))
		return 3;
	if (ramka_fini(r) != RAMKA_E_BUSY)
		return 4;
	ramka_frame_put(ramka_cpu_at(r, 0), f);
	if (ramka_fini(r) || strcmp(ramka_version(), RAMKA_VERSION))
		return 5;
	free(metadata);
	free(memory);
	printf("%s\n", ramka_version());
	return 0;
}
