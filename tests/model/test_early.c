/* SPDX-License-Identifier: MIT */
/*
 * The early allocator against a picture of the memory: random maps, requests and gifts, then ramka_init (model/early.h). And
 * what it answers to nonsense, many regions, and the metadata that ramka_init takes itself.
 *
 *	test_early [--seed N] [--runs N]
 */
#include "slow.h"
#include "unit/fixture.h"

#define EXPECT(condition) assert_true(condition)
#include "model/early.h"

static uint64_t first_seed = 1, nr_runs = TIMES(800), at_seed, state_of_draw;

static unsigned draw(unsigned n)
{
	return (unsigned)(random_next(&state_of_draw) % n);
}

static void against_a_picture(void **state)
{
	(void)state;
	for (at_seed = first_seed; at_seed < first_seed + nr_runs; at_seed++) {
		state_of_draw = at_seed * 1013;
		early_run();
	}
}

static const struct ramka_region plain[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { 2 * GIB, 4 * MIB, RAMKA_USABLE, 1 } };

static void nonsense(void **state)
{
	static RAMKA_ALIGNAS(64) uint8_t memory[RAMKA_EARLY_BYTES(2, 4)];
	static const struct ramka_region wrong = { BASE, MIB, (enum ramka_region_kind)9, 0 };
	struct ramka_early_limits l = { .type = &ramka_type_reserved };
	struct ramka_early e = { .map = NULL };
	struct ramka_why why;
	ramka_paddr_t pa = 5;

	(void)state;
	assert_int_equal(ramka_early_alloc(&e, 1, 1, NULL, &pa), RAMKA_E_INVAL); /* never begun */
	assert_int_equal(ramka_early_alloc(NULL, 1, 1, NULL, &pa), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_init(NULL, plain, 2, memory, sizeof(memory), &why), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_init(&e, NULL, 2, memory, sizeof(memory), &why), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_init(&e, plain, 0, memory, sizeof(memory), &why), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_init(&e, plain, 2, NULL, sizeof(memory), &why), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_init(&e, plain, 2, memory + 4, sizeof(memory) - 4, &why), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_early_init(&e, plain, SIZE_MAX / 2, memory, sizeof(memory), &why), RAMKA_E_NOMEM);
	assert_int_equal(ramka_early_init(&e, plain, 2, memory, 300, &why), RAMKA_E_NOMEM);
	assert_true(why.limit > 300 && why.limit <= RAMKA_EARLY_BYTES(2, 1));
	assert_int_equal(ramka_early_init(&e, &wrong, 1, memory, sizeof(memory), &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "regions[].kind");
	assert_int_equal(ramka_early_init(&e, plain, 2, memory, sizeof(memory), NULL), 0);

	assert_int_equal(ramka_early_alloc_why(&e, 0, 1, NULL, &pa, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "size");
	assert_int_equal(ramka_early_alloc_why(&e, 1, 3, NULL, &pa, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "align");
	assert_int_equal(ramka_early_alloc_why(&e, 1, 1, NULL, NULL, &why), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_alloc_why(&e, PAGE, 1, &l, &pa, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "limits->type");
	l.type = &ramka_type_untyped;
	assert_int_equal(ramka_early_alloc_why(&e, PAGE + 1, 1, &l, &pa, &why), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_early_alloc_why(&e, 5 * MIB, 1, NULL, &pa, &why), RAMKA_E_NOMEM);
	assert_int_equal(ramka_early_alloc_why(&e, UINT64_MAX, 1, NULL, &pa, &why), RAMKA_E_NOMEM);
	assert_int_equal(ramka_early_alloc_why(&e, 1, UINT64_C(1) << 63, NULL, &pa, &why), RAMKA_E_NOMEM);
	assert_int_equal(pa, 5);
	assert_int_equal(e.nr_ranges, 0);
	assert_int_equal(ramka_early_free(&e, BASE, PAGE), RAMKA_E_UNUSED);
	assert_int_equal(ramka_early_free(&e, UINT64_MAX, UINT64_MAX), RAMKA_E_UNUSED);
	assert_int_equal(ramka_early_free(&e, BASE, 0), RAMKA_E_INVAL);
	assert_int_equal(ramka_early_free(NULL, BASE, PAGE), RAMKA_E_INVAL);

	assert_int_equal(ramka_early_alloc_why(&e, 100, 0, NULL, &pa, &why), 0); /* from the top down */
	assert_null(why.what);
	assert_true(pa == 2 * GIB + 4 * MIB - 112);
	assert_int_equal(ramka_early_free(&e, pa, 101), RAMKA_E_UNUSED);
	assert_int_equal(ramka_early_free(&e, pa + 10, UINT64_MAX), RAMKA_E_UNUSED);
	assert_int_equal(ramka_early_free(&e, pa, 100), 0);
	assert_int_equal(e.nr_ranges, 0);
}

/* A range that a region of set-up holds back: refused, with its place. */
static void maps_that_do_not_agree(void **state)
{
	static RAMKA_ALIGNAS(64) uint8_t memory[RAMKA_EARLY_BYTES(2, 4)], metadata[1 << 19];
	struct ramka_region g[] = { plain[0], plain[0] };
	struct ramka_config cfg = { .regions = g, .nr_regions = 1, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP, .meta_size = RAMKA_META_NONE };
	struct ramka_early_limits l = { .type = &ramka_type_untyped };
	struct ramka_early e;
	struct ramka_why why;
	ramka_paddr_t pa;
	struct ramka *r;

	(void)state;
	assert_int_equal(ramka_early_init(&e, g, 1, memory, sizeof(memory), NULL), 0);
	assert_int_equal(ramka_early_alloc(&e, 4 * PAGE, 0, &l, &pa), 0);
	g[1] = (struct ramka_region){ pa + PAGE, 1, RAMKA_RESERVED, 0 };
	cfg.nr_regions = 2;
	cfg.early = &e;
	assert_int_equal(ramka_init_why(&cfg, metadata, sizeof(metadata), &r, &why), RAMKA_E_INVAL);
	assert_int_equal(why.paddr, pa);
	assert_string_equal(why.field, "early->ranges[]");
	g[1].base = BASE; /* elsewhere */
	assert_int_equal(ramka_early_free(&e, pa, PAGE), 0); /* nothing happened: it goes on */
	assert_int_equal(ramka_init_why(&cfg, metadata, sizeof(metadata), &r, &why), 0);
	assert_int_equal(ramka_check(r, NULL), 0);
}

/* The metadata out of the memory itself: its frames are reserved, of its own type, and lie where the limits say. */
static void metadata_of_its_own(void **state)
{
	static RAMKA_ALIGNAS(64) uint8_t memory[RAMKA_EARLY_BYTES(2, 8)];
	uint8_t *all = map_pages(2 * GIB + 4 * MIB);
	struct ramka_config cfg = { .regions = plain, .nr_regions = 2, .nr_cpus = 2, .direct_map = (uintptr_t)all };
	struct ramka_early_limits low = { .high = GIB }, nowhere = { .high = BASE + MIB };
	struct ramka_early e;
	struct ramka_why why;
	struct ramka_frame *f;
	ramka_paddr_t pa, at;
	struct ramka *r;

	(void)state;
	assert_int_equal(ramka_early_init(&e, plain, 2, memory, sizeof(memory), NULL), 0);
	assert_int_equal(ramka_init_early(&cfg, NULL, &r, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "cfg.early");
	cfg.early = &e;
	cfg.flags = RAMKA_NO_DIRECT_MAP;
	assert_int_equal(ramka_init_early(&cfg, NULL, &r, &why), RAMKA_E_UNSUPPORTED);
	cfg.flags = 0;
	assert_int_equal(ramka_early_alloc(&e, 100, 0, &low, &pa), 0);
	memset(all + pa, 0x77, 100);
	nowhere.low = BASE + MIB - PAGE;
	assert_int_equal(ramka_init_early(&cfg, &nowhere, &r, &why), RAMKA_E_NOMEM);
	assert_int_equal(ramka_init_early(&cfg, &low, &r, &why), RAMKA_E_NOMEM); /* slots for a span of 2 GiB */
	cfg.nr_regions = 1;
	assert_int_equal(ramka_init_early(&cfg, &low, &r, &why), 0);
	at = (ramka_paddr_t)((uintptr_t)r - (uintptr_t)all);
	assert_true(at >= BASE && at < BASE + 4 * MIB);
	assert_int_equal(ramka_frame_from_in_use(r, at, &f), 0);
	assert_ptr_equal(ramka_frame_type(r, f), &ramka_type_metadata);
	ramka_frame_put(ramka_cpu_at(r, 0), f);
	assert_int_equal(ramka_frame_from_in_use(r, pa / PAGE * PAGE, &f), 0);
	assert_ptr_equal(ramka_frame_type(r, f), &ramka_type_reserved);
	ramka_frame_put(ramka_cpu_at(r, 0), f);
	for (unsigned n = 0; (f = ramka_frame_alloc(ramka_cpu_at(r, n % 2), &ramka_type_untyped, NULL, ZEROED)); n++)
		assert_true(n < 1024);
	assert_true(all_bytes(all + pa, 0x77, 100)); /* nobody else had it */
	assert_int_equal(ramka_check(r, NULL), 0);
	munmap(all, 2 * GIB + 4 * MIB);
}

/* 10,000 regions, terabytes apart, and as many requests. */
static void many_regions(void **state)
{
	enum { N = 10000 };
	struct ramka_region *g = calloc(N, sizeof(*g));
	size_t bytes = RAMKA_EARLY_BYTES((size_t)N, (size_t)N);
	void *memory = map_pages(bytes);
	struct ramka_early e;
	ramka_paddr_t pa, last = UINT64_MAX;

	(void)state;
	for (unsigned i = 0; i < N; i++) /* shuffled: 7919 and 10,000 have no factor in common */
		g[i] = (struct ramka_region){ (1 + (uint64_t)i * 7919 % N) * TIB / 16, 2 * PAGE, RAMKA_USABLE, 0 };
	assert_int_equal(ramka_early_init(&e, g, N, memory, bytes, NULL), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(ramka_early_alloc(&e, 2 * PAGE, PAGE, NULL, &pa), 0);
		assert_true(pa < last && pa % (TIB / 16) == 0);
		last = pa;
	}
	assert_int_equal(ramka_early_alloc(&e, 1, 1, NULL, &pa), RAMKA_E_NOMEM);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(ramka_early_free(&e, g[i].base, 2 * PAGE), 0);
	assert_int_equal(e.nr_ranges, 0);
	assert_int_equal(ramka_early_alloc(&e, 2 * PAGE, PAGE, NULL, &pa), 0); /* from the top again */
	assert_true(pa == N * TIB / 16);
	munmap(memory, bytes);
	free(g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_a_picture),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(maps_that_do_not_agree),
		cmocka_unit_test(metadata_of_its_own),
		cmocka_unit_test(many_regions),
	};
	int i;

	for (i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--seed"))
			first_seed = value;
		else if (!strcmp(argv[i], "--runs"))
			nr_runs = value;
		else
			return 2;
	}
	i = cmocka_run_group_tests_name("early", tests, NULL, NULL);
	if (i)
		fprintf(stderr, "# the last run was --seed %llu --runs 1\n", (unsigned long long)at_seed);
	return i;
}
