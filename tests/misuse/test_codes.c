/* SPDX-License-Identifier: MIT */
/*
 * Bad inputs that are answered with a code: call by call, every one of them. Outputs stay as they were, nothing is
 * lost. Programmer errors are in test_panics.c; what each function answers to good input is in tests/unit.
 */
#include "unit/fixture.h"

static RAMKA_DEFINE_TYPE_PLAIN(type, .id = 16);

static const struct ramka_region map[] = {
	{ BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_DETACHED, 0 }, { BASE + 5 * MIB, MIB, RAMKA_RECLAIMABLE, 0 },
	/* a hole */ { BASE + 7 * MIB, MIB, RAMKA_BAD, 0 }, { BASE + 8 * MIB, MIB, RAMKA_MMIO, 0 }, { BASE + 9 * MIB, MIB, RAMKA_KERNEL, 0 },
};

static struct fixture *open_it(void)
{
	struct fixture *f = fixture_open((struct spec){ .regions = map, .nr_regions = NELEMS(map), .rcu = true, .high_water = 100 });

	assert_int_equal(ramka_type_register(f->r, &type), 0);
	return f;
}

/* ---- set-up ---- */

struct init_case { struct ramka_region g[3]; size_t n; unsigned cpus; uint32_t meta_size; int want; };

static void init(void **state)
{
	static const struct init_case cases[] = {
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 1, 1, 0, 0 },
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 0, 1, 0, RAMKA_E_INVAL },                             /* no regions */
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 1, 0, 0, RAMKA_E_INVAL },                             /* no CPUs */
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 1, UINT32_MAX, 0, RAMKA_E_INVAL },
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 1, 1, 241, RAMKA_E_INVAL },
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 1, 1, UINT32_MAX - 1, RAMKA_E_INVAL },
		{ { { BASE, MIB, RAMKA_USABLE, 0 } }, 1, 1, RAMKA_META_NONE, 0 },
		{ { { BASE, 0, RAMKA_USABLE, 0 } }, 1, 1, 0, 0 },                                           /* empty: ignored */
		{ { { BASE, UINT64_MAX, RAMKA_USABLE, 0 } }, 1, 1, 0, RAMKA_E_INVAL },                      /* wraps */
		{ { { UINT64_MAX, 2, RAMKA_MMIO, 0 } }, 1, 1, 0, RAMKA_E_INVAL },
		{ { { BASE, MIB, (enum ramka_region_kind)99, 0 } }, 1, 1, 0, RAMKA_E_INVAL },
		{ { { BASE, MIB, RAMKA_USABLE, UINT32_MAX } }, 1, 1, 0, RAMKA_E_INVAL },
		{ { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE, MIB, RAMKA_USABLE, 1 } }, 2, 1, 0, RAMKA_E_INVAL }, /* two nodes claim it */
		{ { { BASE + 1, MIB, RAMKA_USABLE, 0 }, { BASE - 77, 3, RAMKA_BAD, 0 } }, 2, 1, 0, 0 },     /* unaligned, unsorted */
		{ { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE, MIB, RAMKA_USABLE, 0 } }, 2, 1, 0, 0 },         /* twice is once */
		{ { { 0, UINT64_MAX - 8191, RAMKA_USABLE, 0 } }, 1, 1, 0, RAMKA_E_INVAL },                  /* 2^52 frames */
		{ { { 0, 20 * TIB, RAMKA_USABLE, 0 } }, 1, 1, 0, RAMKA_E_INVAL },                           /* above 16 TiB a node */
	};
	static RAMKA_ALIGNAS(64) uint8_t metadata[1 << 17];

	(void)state;
	for (unsigned i = 0; i < NELEMS(cases); i++) {
		struct ramka_config cfg = { .regions = cases[i].g, .nr_regions = cases[i].n, .nr_cpus = cases[i].cpus,
					    .meta_size = cases[i].meta_size, .flags = RAMKA_NO_DIRECT_MAP };
		struct ramka *r = NULL;
		size_t bytes = 1;
		int sized = ramka_metadata_size(&cfg, &bytes), rc = ramka_init(&cfg, metadata, sizeof(metadata), &r);

		assert_int_equal(rc, cases[i].want);
		assert_int_equal(rc == 0, r != NULL);
		assert_true(sized ? bytes == 1 : bytes > 1);
		assert_true(sized == rc || rc == RAMKA_E_INVAL);
		if (!rc) { /* one byte less is too little, one byte off is not aligned */
			assert_true(bytes <= sizeof(metadata) - 64);
			assert_int_equal(ramka_fini(r), 0);
			r = NULL;
			assert_int_equal(ramka_init(&cfg, metadata, bytes - 1, &r), RAMKA_E_NOMEM);
			assert_int_equal(ramka_init(&cfg, metadata + 32, bytes, &r), RAMKA_E_NOT_ALIGNED);
			assert_null(r);
		}
	}
}

static void late_memory(void **state)
{
	static const struct { struct ramka_region g; int want; } cases[] = {
		{ { BASE + 5 * MIB, MIB, RAMKA_DETACHED, 0 }, RAMKA_E_INVAL },
		{ { BASE + 5 * MIB, 0, RAMKA_USABLE, 0 }, RAMKA_E_INVAL },
		{ { BASE + 5 * MIB, UINT64_MAX, RAMKA_USABLE, 0 }, RAMKA_E_INVAL },
		{ { BASE + 5 * MIB + 1, MIB, RAMKA_USABLE, 0 }, RAMKA_E_NOT_ALIGNED },
		{ { BASE + 5 * MIB, 100, RAMKA_USABLE, 0 }, RAMKA_E_NOT_ALIGNED },
		{ { BASE - MIB, MIB, RAMKA_USABLE, 0 }, RAMKA_E_OUT_OF_BOUND },
		{ { BASE + 10 * MIB, MIB, RAMKA_USABLE, 0 }, RAMKA_E_OUT_OF_BOUND },
		{ { 0, UINT64_MAX - 4095, RAMKA_USABLE, 0 }, RAMKA_E_OUT_OF_BOUND },
		{ { BASE, MIB, RAMKA_USABLE, 0 }, RAMKA_E_IN_USE },
		{ { BASE + 4 * MIB, 2 * MIB, RAMKA_USABLE, 0 }, RAMKA_E_IN_USE },
		{ { BASE + 6 * MIB, 2 * MIB, RAMKA_USABLE, 0 }, RAMKA_E_IN_USE },
		{ { BASE + 9 * MIB, MIB, RAMKA_USABLE, 0 }, RAMKA_E_IN_USE },
	};
	struct fixture *f = open_it();

	(void)state;
	for (unsigned i = 0; i < NELEMS(cases); i++) {
		assert_int_equal(ramka_add_memory(f->r, &cases[i].g), cases[i].want);
		AUDIT(f);
	}
	CLOSE(f);
}

static void the_end(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	assert_int_equal(ramka_fini(NULL), RAMKA_E_INVAL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_frame_put_rcu(f->cpu[0], a);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_reclaim(f->cpu[0], true);
	assert_null(ramka_cpu_at(f->r, 2));
	CLOSE(f);
}

/* ---- requests ---- */

static void requests(void **state)
{
	static const struct ramka_request bad[] = {
		{ .order = RAMKA_MAX_ORDER + 1 }, { .order = 64 }, { .order = 255 }, { .flags = 0x80 }, { .flags = 0x8000 },
		{ .flags = RAMKA_ALLOC_UNINIT | 0x100 }, { .flags = RAMKA_ALLOC_SHORT | RAMKA_ALLOC_LONG },
		{ .flags = RAMKA_ALLOC_LONG | RAMKA_ALLOC_MOVABLE }, { .flags = RAMKA_ALLOC_SHORT | RAMKA_ALLOC_MOVABLE },
	 { .reserved = 1 }, { .reserved = 0xffff },
	};
	static const struct ramka_request impossible[] = {
		{ .order = 18 }, { .order = 11 }, { .addr_bits = 26 }, { .addr_bits = 12 }, { .addr_bits = 1 },
		{ .node = RAMKA_NODE(7), .flags = RAMKA_ALLOC_NODE_ONLY }, { .node = UINT16_MAX, .flags = RAMKA_ALLOC_NODE_ONLY },
		{ .order = 10, .addr_bits = 27, .node = RAMKA_NODE(9), .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_WAIT },
	};
	struct fixture *f = open_it();
	struct ramka_segment s = { 1, 2 };
	struct ramka_frame *none = NULL;

	(void)state;
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		assert_null(ramka_frame_alloc(f->cpu[0], &type, NULL, bad[i]));
		assert_null(ramka_unique_alloc(f->none, &type, NULL, bad[i]));
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[1], &type, bad[i], 1, &none), 0);
		assert_int_equal(ramka_segment_alloc(f->cpu[0], 1, &type, NULL, NULL, bad[i], &s), RAMKA_E_INVAL);
	}
	for (unsigned i = 0; i < NELEMS(impossible); i++) {
		assert_null(ramka_frame_alloc(f->cpu[0], &type, NULL, impossible[i]));
		assert_null(ramka_unique_alloc(f->none, &type, NULL, impossible[i]));
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[1], &type, impossible[i], 1, &none), 0);
		if (impossible[i].order != 11) /* alignment alone can be had: BASE is aligned */
			assert_int_equal(ramka_segment_alloc(f->cpu[0], 2049, &type, NULL, NULL, impossible[i], &s), RAMKA_E_NOMEM);
		AUDIT(f);
	}
	assert_true(!none && s.base == 1 && s.size == 2);
	CLOSE(f);
}

/* ---- addresses ---- */

static void addresses(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *shared = ramka_frame_alloc(f->cpu[0], &type, NULL, order_req(2)), *deferred = must_alloc(f->cpu[0], UNINIT);
	struct ramka_frame *ret = NULL;
	struct ramka_unique *unique = ramka_unique_alloc(f->cpu[0], &type, NULL, UNINIT), *ret_u = NULL;
	struct ramka_segment s = { 1, 2 };
	const struct { ramka_paddr_t pa; int from_unused, from_in_use; } cases[] = {
		{ BASE + 1, RAMKA_E_NOT_ALIGNED, RAMKA_E_NOT_ALIGNED },
		{ UINT64_MAX, RAMKA_E_NOT_ALIGNED, RAMKA_E_NOT_ALIGNED },
		{ 0, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND },
		{ BASE - PAGE, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND },
		{ BASE + 10 * MIB, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND },
		{ UINT64_MAX - 4095, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND },
		{ BASE + 6 * MIB, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND }, /* a hole */
		{ BASE + 8 * MIB, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND }, /* MMIO */
		{ ramka_frame_paddr(f->r, shared), RAMKA_E_IN_USE, 0 },
		{ ramka_frame_paddr(f->r, shared) + PAGE, RAMKA_E_IN_USE, RAMKA_E_UNUSED }, /* a tail */
		{ ramka_unique_paddr(f->r, unique), RAMKA_E_UNIQUE, RAMKA_E_UNIQUE },
		{ ramka_frame_paddr(f->r, deferred), RAMKA_E_BUSY, RAMKA_E_BUSY },
		{ BASE + 3 * MIB, 0, RAMKA_E_UNUSED },     /* free */
		{ BASE + 4 * MIB, 0, RAMKA_E_UNUSED },     /* detached */
		{ BASE + 5 * MIB, RAMKA_E_IN_USE, 0 },     /* reclaimable */
		{ BASE + 7 * MIB, RAMKA_E_IN_USE, 0 },     /* bad */
		{ BASE + 9 * MIB, RAMKA_E_IN_USE, 0 },     /* kernel */
	};

	(void)state;
	ramka_frame_put_rcu(f->cpu[0], deferred);
	for (unsigned i = 0; i < NELEMS(cases); i++) {
		assert_int_equal(ramka_frame_from_in_use(f->r, cases[i].pa, &ret), cases[i].from_in_use);
		assert_int_equal(ret != NULL, cases[i].from_in_use == 0);
		if (ret)
			ramka_frame_put(f->cpu[0], ret);
		ret = NULL;
		if (cases[i].from_unused == 0)
			continue;
		assert_int_equal(ramka_frame_from_unused(f->cpu[0], cases[i].pa, &type, NULL, &ret), cases[i].from_unused);
		assert_int_equal(ramka_unique_from_unused(f->none, cases[i].pa, &type, NULL, &ret_u), cases[i].from_unused);
		assert_int_equal(ramka_segment_from_unused(f->cpu[1], cases[i].pa, PAGE, &type, NULL, NULL, &s), cases[i].from_unused);
		assert_true(!ret && !ret_u && s.base == 1 && s.size == 2);
		AUDIT(f);
	}
	ramka_frame_put(f->cpu[0], shared);
	ramka_unique_free(f->cpu[0], unique);
	CLOSE(f);
}

/* ---- numbers at the edges of every width ---- */

static void extreme_numbers(void **state)
{
	static const uint64_t n[] = { 0, 1, 2, 63, 64, 511, 512, 1023, 1024, 1025, 4095, 4096, 4097, UINT64_C(1) << 31, UINT64_C(1) << 32,
				      (UINT64_C(1) << 52) - 1, UINT64_C(1) << 52, (UINT64_C(1) << 52) + 1, UINT64_C(1) << 63,
				      UINT64_MAX - 4095, UINT64_MAX - 1, UINT64_MAX };
	struct fixture *f = open_it();
	struct ramka_segment s, whole, a, b;
	struct ramka_frame *frame = must_alloc(f->cpu[0], ZEROED), *ret;
	uint8_t byte[64];
	int rc;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 16, &ramka_type_untyped, NULL, NULL, UNINIT, &whole), 0);
	for (unsigned i = 0; i < NELEMS(n); i++) {
		assert_true(ramka_frame_from_unused(f->cpu[0], n[i], &type, NULL, &ret) < 0);
		assert_true(ramka_frame_from_in_use(f->r, n[i], &ret) < 0);
		assert_true(ramka_segment_split(f->r, whole, n[i], &a, &b) == 0 ? n[i] % PAGE == 0 && n[i] && n[i] < whole.size : 1);
		for (unsigned j = 0; j < NELEMS(n); j++) {
			struct ramka_request req = { .order = (uint8_t)(n[j] > 255 ? 255 : n[j]), .flags = RAMKA_ALLOC_UNINIT };

			rc = ramka_segment_alloc(f->cpu[0], n[i], &type, NULL, NULL, req, &s);
			assert_true(rc == 0 ? s.size == n[i] * PAGE && n[i] <= 1024 : rc == RAMKA_E_INVAL || rc == RAMKA_E_NOMEM);
			if (!rc)
				ramka_segment_put(f->cpu[0], s);
			assert_true(ramka_segment_from_unused(f->cpu[0], n[i], n[j], &type, NULL, NULL, &s) < 0);
			rc = ramka_segment_from_unused(f->cpu[0], BASE + 4 * MIB, n[j], &type, NULL, NULL, &s);
			assert_int_equal(rc == 0, n[j] == 4096);
			if (!rc)
				ramka_segment_put(f->cpu[0], s);
			rc = ramka_segment_slice(f->r, whole, n[i], n[j], &s);
			assert_int_equal(rc == 0, n[i] == 0 && n[j] == 4096);
			if (!rc)
				ramka_segment_put(f->cpu[0], s);
			rc = ramka_frame_read(f->r, frame, n[i], byte, n[j] < 64 ? n[j] : n[j] | 8192);
			assert_int_equal(rc == 0, n[i] <= 4096 && n[j] < 64 && n[i] + n[j] <= 4096);
			rc = ramka_segment_read(f->r, whole, n[i], byte, n[j] < 64 ? n[j] : n[j] | UINT64_C(1) << 40);
			assert_int_equal(rc == 0, n[i] <= whole.size && n[j] < 64 && n[i] + n[j] <= whole.size);
			rc = ramka_add_memory(f->r, &(struct ramka_region){ n[i], n[j], RAMKA_USABLE, 0 });
			assert_true(rc == RAMKA_E_INVAL || rc == RAMKA_E_NOT_ALIGNED || rc == RAMKA_E_OUT_OF_BOUND);
		}
		AUDIT(f);
	}
	ramka_segment_put(f->cpu[0], whole);
	ramka_frame_put(f->cpu[0], frame);
	CLOSE(f);
}

/* ---- what is not configured ---- */

static void unsupported(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP, .meta_size = RAMKA_META_NONE });
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT);
	struct ramka_segment s = { 1, 2 };
	struct ramka_list l;
	uint8_t byte = 3;

	(void)state;
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], a), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_frame_refcount(a), 1);
	assert_int_equal(ramka_frame_read(f->r, a, 0, &byte, 1), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_frame_write(f->r, a, 0, &byte, 1), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 1, &ramka_type_untyped, NULL, NULL, ZEROED, &s), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_list_init(f->r, &l), RAMKA_E_UNSUPPORTED);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, ZEROED));
	assert_int_equal(s.base, 1);
	assert_int_equal(byte, 3);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init),
		cmocka_unit_test(late_memory),
		cmocka_unit_test(the_end),
		cmocka_unit_test(requests),
		cmocka_unit_test(addresses),
		cmocka_unit_test(extreme_numbers),
		cmocka_unit_test(unsupported),
	};

	return cmocka_run_group_tests_name("codes", tests, NULL, NULL);
}
