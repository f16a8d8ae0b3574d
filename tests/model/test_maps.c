/* SPDX-License-Identifier: MIT */
/*
 * Memory maps: all 6,561 of 8 frames in {usable, hole, reserved}, and 10,000 random ones of up to 64 regions against a
 * model that paints byte by byte.
 *
 *	test_maps [--seed N] [--maps N]
 */
#include "unit/fixture.h"

static uint64_t first_seed = 1, nr_maps = 10000, at_seed;

/* ---- all small maps ---- */

static void open_quickly(struct fixture *f, const struct ramka_region *g, size_t n, unsigned nr_cpus)
{
	static RAMKA_ALIGNAS(64) uint8_t metadata[1 << 18];

	memset(f, 0, sizeof(*f));
	f->cfg = (struct ramka_config){ .regions = g, .nr_regions = n, .nr_cpus = nr_cpus, .flags = RAMKA_NO_DIRECT_MAP,
					.meta_size = RAMKA_META_NONE, .panic = fixture_panic, .ctx = f };
	assert_int_equal(ramka_metadata_size(&f->cfg, &f->metadata_bytes), 0);
	assert_true(f->metadata_bytes <= sizeof(metadata));
	memset(metadata, 0xa5, f->metadata_bytes);
	assert_int_equal(ramka_init(&f->cfg, metadata, f->metadata_bytes, &f->r), 0);
	f->nr_cpus = nr_cpus;
	f->cpu[0] = ramka_cpu_at(f->r, 0);
	f->none = ramka_cpu_none(f->r);
}

static void all_maps_of_eight_frames(void **state)
{
	(void)state;
	for (unsigned map = 0; map < 6561; map++) {
		struct ramka_region g[8];
		struct ramka_frame *frames[9], *one;
		unsigned kinds[8], usable = 0, reserved = 0, w = map, got;
		struct fixture f;
		bool seen[8] = { false };

		for (unsigned i = 0; i < 8; i++, w /= 3) {
			kinds[i] = w % 3;
			usable += kinds[i] == 0;
			reserved += kinds[i] == 2;
			g[i] = (struct ramka_region){ (100 + i) * PAGE, kinds[i] == 1 ? 0 : PAGE, kinds[i] ? RAMKA_RESERVED : RAMKA_USABLE, 0 };
		}
		open_quickly(&f, g, 8, 1);
		AUDIT(&f);
		assert_int_equal(stats(&f).free, usable);
		assert_int_equal(stats(&f).reserved, reserved);
		assert_int_equal(stats(&f).total, usable + reserved);
		for (unsigned i = 0; i < 8; i++) {
			int rc = ramka_frame_from_in_use(f.r, (100 + i) * PAGE, &one);

			assert_int_equal(rc, kinds[i] == 0 ? RAMKA_E_UNUSED : kinds[i] == 1 ? RAMKA_E_OUT_OF_BOUND : 0);
			if (!rc)
				ramka_frame_put(f.cpu[0], one);
		}
		got = (unsigned)alloc_all(map % 2 ? f.cpu[0] : f.none, UNINIT, frames, 9);
		assert_int_equal(got, usable);
		for (unsigned i = 0; i < got; i++) {
			uint64_t at = ramka_frame_index(f.r, frames[i]) - 100;

			assert_true(at < 8 && kinds[at] == 0 && !seen[at]);
			seen[at] = true;
		}
		put_all(f.cpu[0], frames, got);
		AUDIT(&f);
		for (unsigned order = 1; order <= 3; order++) { /* the runs that there are, and no others */
			unsigned want = 0;

			for (unsigned i = (100 + (1u << order) - 1) / (1u << order) * (1u << order) - 100; i + (1u << order) <= 8; i += 1u << order) {
				unsigned n = 0;

				while (n < 1u << order && kinds[i + n] == 0)
					n++;
				want += n == 1u << order;
			}
			got = (unsigned)alloc_all(f.cpu[0], order_req(order), frames, 9);
			assert_int_equal(got, want);
			put_all(f.cpu[0], frames, got);
		}
		AUDIT(&f);
		assert_int_equal(ramka_fini(f.r), 0);
	}
}

/* ---- random maps, painted byte by byte ---- */

#define BYTES (32 * 4096u) /* of the painted area; it begins at `base` */
#define HOLE 7u            /* after the region kinds */

/* From the least restrictive to the most. */
static const unsigned order_of_kinds[] = { RAMKA_USABLE, RAMKA_DETACHED, RAMKA_RECLAIMABLE, HOLE, RAMKA_RESERVED, RAMKA_KERNEL,
					   RAMKA_BAD, RAMKA_MMIO };

static uint8_t paint[BYTES];
static unsigned frame_kind[BYTES / 4096];

/* Each byte gets its place in that order, the more restrictive over the less; a frame is what its most restrictive byte is. */
static void paint_map(const struct ramka_region *g, size_t n, ramka_paddr_t base)
{
	memset(paint, 3, sizeof(paint));
	for (unsigned rank = 0; rank < NELEMS(order_of_kinds); rank++)
		for (size_t i = 0; i < n; i++)
			if ((unsigned)g[i].kind == order_of_kinds[rank])
				memset(paint + (g[i].base - base), (int)rank, g[i].size);
	for (unsigned frame = 0; frame < BYTES / 4096; frame++) {
		uint8_t most = 0;

		for (unsigned at = 0; at < 4096; at++)
			most = paint[frame * 4096 + at] > most ? paint[frame * 4096 + at] : most;
		frame_kind[frame] = order_of_kinds[most] == RAMKA_MMIO ? HOLE : order_of_kinds[most];
	}
}

static size_t draw_map(uint64_t *seed, struct ramka_region *g, ramka_paddr_t base)
{
	size_t n = 1 + random_next(seed) % 64;
	bool coarse = random_next(seed) % 2;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = random_next(seed) % BYTES, size = random_next(seed) % (random_next(seed) % 4 ? 6000 : BYTES / 2);

		if (coarse || random_next(seed) % 3 == 0) {
			at &= ~UINT64_C(0xfff);
			size &= ~UINT64_C(0xfff);
		}
		if (size > BYTES - at)
			size = BYTES - at;
		g[i] = (struct ramka_region){ base + at, size, (enum ramka_region_kind)(random_next(seed) % 9 % 7), 0 };
	}
	return n;
}

static void check_map(struct fixture *f, ramka_paddr_t base)
{
	static const int lookup[] = { [RAMKA_USABLE] = RAMKA_E_UNUSED, [RAMKA_DETACHED] = RAMKA_E_UNUSED, [RAMKA_RECLAIMABLE] = 0,
				      [RAMKA_RESERVED] = 0, [RAMKA_BAD] = 0, [RAMKA_KERNEL] = 0, [RAMKA_MMIO] = 0, [HOLE] = RAMKA_E_OUT_OF_BOUND };
	struct ramka_frame *frames[BYTES / 4096 + 1], *one;
	uint64_t usable = 0, unused = 0, reserved = 0;
	size_t n;

	for (unsigned i = 0; i < BYTES / 4096; i++) {
		unsigned kind = frame_kind[i];
		ramka_paddr_t pa = base + i * PAGE;
		int rc = ramka_frame_from_in_use(f->r, pa, &one);
		bool zero = !pa && kind == RAMKA_USABLE; /* by address only */

		assert_int_equal(rc, lookup[kind]);
		usable += kind == RAMKA_USABLE && !zero;
		unused += kind == RAMKA_DETACHED || zero;
		reserved += !rc;
		if (rc)
			continue;
		assert_ptr_equal(ramka_frame_type(f->r, one), kind == RAMKA_BAD ? &ramka_type_unusable :
				 kind == RAMKA_KERNEL ? &ramka_type_kernel : &ramka_type_reserved);
		ramka_frame_put(f->cpu[0], one);
	}
	assert_int_equal(stats(f).free, usable);
	assert_int_equal(stats(f).unused, unused);
	assert_int_equal(stats(f).reserved, reserved);
	assert_int_equal(stats(f).total, usable + unused + reserved);
	n = alloc_all(f->cpu[0], UNINIT, frames, BYTES / 4096 + 1);
	assert_int_equal(n, usable);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(frame_kind[ramka_frame_index(f->r, frames[i]) - base / PAGE], RAMKA_USABLE);
	put_all(f->cpu[0], frames, n);
	AUDIT(f);
}

static void random_maps(void **state)
{
	static const ramka_paddr_t bases[] = { 0, PAGE, 64 * MIB, 3 * GIB - 5 * PAGE, UINT64_C(1) << 40 };

	(void)state;
	for (uint64_t seed = first_seed; seed < first_seed + nr_maps; seed++) {
		uint64_t r = seed * 77;
		ramka_paddr_t base = bases[random_next(&r) % NELEMS(bases)];
		struct ramka_region g[64];
		size_t n = draw_map(&r, g, base);
		struct fixture f;

		at_seed = seed;
		paint_map(g, n, base);
		open_quickly(&f, g, n, 1);
		check_map(&f, base);
		assert_int_equal(ramka_fini(f.r), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_maps_of_eight_frames),
		cmocka_unit_test(random_maps),
	};
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--seed"))
			first_seed = value;
		else if (!strcmp(argv[i], "--maps"))
			nr_maps = value;
		else
			return 2;
	}
	i = cmocka_run_group_tests_name("maps", tests, NULL, NULL);
	if (i)
		fprintf(stderr, "# the last map was --seed %llu --maps 1\n", (unsigned long long)at_seed);
	return i;
}
