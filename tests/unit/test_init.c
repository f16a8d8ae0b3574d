/* SPDX-License-Identifier: MIT */
/* Set-up: the configuration, the metadata memory, every kind of region seen through the API, late memory, the end. */
#include "fixture.h"

/* ---- the configuration ---- */

static void rejects_bad_configurations(void **state)
{
	const struct ramka_region good = { BASE, MIB, RAMKA_USABLE, 0 };
	const struct ramka_region bad[] = {
		{ BASE, UINT64_MAX - BASE + 1, RAMKA_USABLE, 0 },
		{ UINT64_MAX, 2, RAMKA_RESERVED, 0 },
		{ BASE, MIB, (enum ramka_region_kind)7, 0 },
		{ BASE, MIB, RAMKA_USABLE, 65535 },
		{ BASE, 17 * TIB, RAMKA_USABLE, 0 },
	};
	struct ramka_config cfg = { .regions = &good, .nr_regions = 1, .nr_cpus = 1 };
	struct ramka_config c;
	size_t bytes = 77;

	(void)state;
	assert_int_equal(ramka_metadata_size(NULL, &bytes), RAMKA_E_INVAL);
	assert_int_equal(ramka_metadata_size(&cfg, NULL), RAMKA_E_INVAL);
	c = cfg, c.regions = NULL;
	assert_int_equal(ramka_metadata_size(&c, &bytes), RAMKA_E_INVAL);
	c = cfg, c.nr_regions = 0;
	assert_int_equal(ramka_metadata_size(&c, &bytes), RAMKA_E_INVAL);
	c = cfg, c.nr_cpus = 0;
	assert_int_equal(ramka_metadata_size(&c, &bytes), RAMKA_E_INVAL);
	c = cfg, c.nr_cpus = UINT32_MAX;
	assert_int_equal(ramka_metadata_size(&c, &bytes), RAMKA_E_INVAL);
	c = cfg, c.meta_size = 241;
	assert_int_equal(ramka_metadata_size(&c, &bytes), RAMKA_E_INVAL);
	for (size_t i = 0; i < NELEMS(bad); i++) {
		c = cfg, c.regions = &bad[i];
		assert_int_equal(ramka_metadata_size(&c, &bytes), RAMKA_E_INVAL);
	}
	assert_int_equal(bytes, 77);
	assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
	assert_int_not_equal(bytes, 77);
}

static void rejects_bad_memory(void **state)
{
	const struct ramka_region good = { BASE, MIB, RAMKA_USABLE, 0 };
	const struct ramka_region split[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB - 1, MIB, RAMKA_USABLE, 1 } };
	struct ramka_config cfg = { .regions = &good, .nr_regions = 1, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP };
	struct ramka *r = (struct ramka *)&cfg, *const untouched = r;
	size_t bytes;
	uint8_t *memory;

	(void)state;
	assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
	memory = aligned_alloc(64, bytes + 128);
	assert_non_null(memory);
	assert_int_equal(ramka_init(NULL, memory, bytes, &r), RAMKA_E_INVAL);
	assert_int_equal(ramka_init(&cfg, NULL, bytes, &r), RAMKA_E_INVAL);
	assert_int_equal(ramka_init(&cfg, memory, bytes, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_init(&cfg, memory, bytes - 1, &r), RAMKA_E_NOMEM);
	assert_int_equal(ramka_init(&cfg, memory, 0, &r), RAMKA_E_NOMEM);
	for (size_t off = 1; off < 64; off++)
		assert_int_equal(ramka_init(&cfg, memory + off, bytes, &r), RAMKA_E_NOT_ALIGNED);
	cfg.regions = split;
	cfg.nr_regions = 2;
	assert_int_equal(ramka_init(&cfg, memory, bytes + 128, &r), RAMKA_E_NOMEM);
	free(memory);
	assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
	memory = aligned_alloc(64, bytes);
	assert_non_null(memory);
	assert_int_equal(ramka_init(&cfg, memory, bytes, &r), RAMKA_E_INVAL);
	assert_ptr_equal(r, untouched);
	free(memory);
}

/* ---- sizes ---- */

static void every_metadata_size(void **state)
{
	(void)state;
	for (uint32_t size = 0; size <= 241; size++) {
		uint32_t meta = size == 241 ? RAMKA_META_NONE : size, want = size == 241 ? 0 : size ? size : RAMKA_META_SIZE_DEFAULT;
		struct fixture *f = fixture_open((struct spec){ .meta_size = meta, .size = MIB, .nr_cpus = 1 });
		struct ramka_type type = { .name = "t", .meta_size = (uint16_t)want, .meta_align = 1, .id = 20 };
		uint8_t value[RAMKA_META_SIZE_MAX];
		struct ramka_frame *frames[256];
		size_t n = 0;

		if (size != 241 && size < RAMKA_META_SIZE_MAX) { /* one byte more does not fit */
			type.meta_size++;
			assert_int_equal(ramka_type_register(f->r, &type), RAMKA_E_INVAL);
			type.meta_size--;
		}
		assert_int_equal(ramka_type_register(f->r, &type), 0);
		for (n = 0; n < 256; n++) {
			memset(value, (int)(n ^ 0x5a), want);
			frames[n] = ramka_frame_alloc(f->cpu[0], &type, value, ZEROED);
			assert_non_null(frames[n]);
			if (want)
				assert_memory_equal(ramka_frame_meta(f->r, frames[n]), value, want);
			else
				assert_null(ramka_frame_meta(f->r, frames[n]));
		}
		assert_null(ramka_frame_alloc(f->cpu[0], &type, NULL, ZEROED));
		for (n = 0; n < 256 && want; n++) /* nobody's metadata overlaps another's */
			assert_true(all_bytes(ramka_frame_meta(f->r, frames[n]), (uint8_t)(n ^ 0x5a), want));
		put_all(f->cpu[0], frames, 256);
		CLOSE(f);
	}
}

static void one_frame_is_enough(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = PAGE, .nr_cpus = 8 });
	struct ramka_frame *one = must_alloc(f->cpu[3], ZEROED);

	(void)state;
	assert_int_equal(ramka_frame_paddr(f->r, one), BASE);
	for (unsigned i = 0; i < 8; i++)
		assert_null(ramka_frame_alloc(f->cpu[i], &ramka_type_untyped, NULL, ZEROED));
	ramka_frame_put(f->cpu[5], one);
	CLOSE(f);
}

static uint64_t resident(void)
{
	unsigned long long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu", &size, &pages), 2);
	fclose(f);
	return pages * 4096;
}

/* Zeroed metadata is not touched before it is used: 4 TiB cost the bitmap's bits and no more. */
static void four_tib(void **state)
{
	/* AddressSanitizer looks into a byte of its own for each eight of the bitmap; some kernels count what is only read */
	uint64_t before = resident(), bits = 4 * TIB / PAGE / 8, looked_up = bits / 8;
	struct fixture *f = fixture_open((struct spec){ .size = 4 * TIB, .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
	struct ramka_frame *frames[1000], *huge;
	struct ramka_stats s = stats(f);

	(void)state;
	assert_true(f->metadata_bytes > 60 * GIB);
	assert_int_equal(s.total, 4 * TIB / PAGE);
	assert_int_equal(s.free, 4 * TIB / PAGE);
	assert_int_equal(s.free_huge, 4 * TIB / (2 * MIB));
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, 500, frames), 500);
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[1], &ramka_type_untyped, UNINIT, 500, frames + 500), 500);
	huge = must_alloc(f->cpu[0], order_req(18));
	assert_int_equal(ramka_frame_paddr(f->r, huge) % GIB, 0);
	ramka_frame_put(f->cpu[0], huge);
	ramka_frame_put_bulk(f->cpu[0], 1000, frames);
	assert_true(resident() < before + bits + looked_up + 16 * MIB);
	offline_all(f);
	s = stats(f);
	assert_int_equal(s.free, 4 * TIB / PAGE);
	assert_int_equal(s.free_huge, 4 * TIB / (2 * MIB));
	assert_int_equal(ramka_fini(f->r), 0);
	fixture_unmap(f);
}

/* A span that is nearly all hole: its part of the metadata stays unbacked. */
static void a_sparse_span(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { 4 * TIB - MIB, MIB, RAMKA_USABLE, 0 } };
	uint64_t before = resident();
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 2,
							.flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
	struct ramka_frame *frames[513];

	(void)state;
	assert_int_equal(stats(f).total, 512);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 513), 512);
	put_all(f->cpu[1], frames, 512);
	offline_all(f);
	assert_int_equal(stats(f).free, 512);
	assert_true(resident() < before + 16 * MIB);
	assert_int_equal(ramka_fini(f->r), 0);
	fixture_unmap(f);
}

/* ---- kinds of regions ---- */

static void kinds_through_the_api(void **state)
{
	static const struct {
		enum ramka_region_kind kind;
		int from_unused, from_in_use;
		enum ramka_state state;
		const struct ramka_type *type;
	} kinds[] = {
		{ RAMKA_DETACHED, 0, RAMKA_E_UNUSED, RAMKA_STATE_UNUSED, NULL },
		{ RAMKA_RECLAIMABLE, RAMKA_E_IN_USE, 0, RAMKA_STATE_RESERVED, &ramka_type_reserved },
		{ RAMKA_RESERVED, RAMKA_E_IN_USE, 0, RAMKA_STATE_RESERVED, &ramka_type_reserved },
		{ RAMKA_BAD, RAMKA_E_IN_USE, 0, RAMKA_STATE_RESERVED, &ramka_type_unusable },
		{ RAMKA_KERNEL, RAMKA_E_IN_USE, 0, RAMKA_STATE_RESERVED, &ramka_type_kernel },
		{ RAMKA_MMIO, RAMKA_E_OUT_OF_BOUND, RAMKA_E_OUT_OF_BOUND, RAMKA_STATE_HOLE, NULL },
	};

	(void)state;
	for (unsigned i = 0; i < NELEMS(kinds); i++) {
		const struct ramka_region g[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, kinds[i].kind, 0 } };
		struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 2 });
		struct ramka_frame *frames[1024], *one = NULL;
		size_t n = alloc_all(f->cpu[0], ZEROED, frames, 1024);

		assert_int_equal(n, 768); /* none of the others is ever handed out */
		for (size_t j = 0; j < n; j++) {
			ramka_paddr_t pa = ramka_frame_paddr(f->r, frames[j]);

			assert_true(pa < BASE + MIB || pa >= BASE + 2 * MIB);
		}
		for (ramka_paddr_t pa = BASE + MIB; pa < BASE + 2 * MIB; pa += 255 * PAGE) {
			assert_int_equal(state_at(f, pa), kinds[i].state);
			assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &ramka_type_untyped, NULL, &one), kinds[i].from_unused);
			if (!kinds[i].from_unused)
				ramka_frame_put(f->cpu[0], one);
			assert_int_equal(ramka_frame_from_in_use(f->r, pa, &one), kinds[i].from_in_use);
			if (!kinds[i].from_in_use) {
				assert_ptr_equal(ramka_frame_type(f->r, one), kinds[i].type);
				assert_int_equal(ramka_frame_refcount(one), 2);
				ramka_frame_put(f->cpu[1], one);
			}
			assert_int_equal(state_at(f, pa), kinds[i].state);
		}
		put_all(f->cpu[0], frames, n);
		CLOSE(f);
	}
}

static void ends_of_regions(void **state)
{
	static const struct ramka_region g[] = { { BASE + 100, 10 * PAGE, RAMKA_USABLE, 0 },
						 { BASE + 20 * PAGE - 1, 5 * PAGE + 2, RAMKA_USABLE, 0 },
						 { BASE + 30 * PAGE + 5, 1, RAMKA_RESERVED, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g), .nr_cpus = 1 });
	bool seen[31] = { false };
	struct ramka_frame *frames[31];
	size_t n = alloc_all(f->cpu[0], ZEROED, frames, 31);

	(void)state;
	for (size_t i = 0; i < n; i++)
		seen[(ramka_frame_paddr(f->r, frames[i]) - BASE) / PAGE] = true;
	for (unsigned i = 0; i < 31; i++)
		assert_int_equal(seen[i], (i >= 1 && i <= 9) || (i >= 20 && i <= 24));
	assert_int_equal(state_at(f, BASE + 30 * PAGE), RAMKA_STATE_RESERVED);
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
}

static void frame_zero_by_address_only(void **state)
{
	static const struct ramka_region g[] = { { 0, MIB, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 1 });
	struct ramka_frame *frames[256], *zero;
	size_t n = alloc_all(f->cpu[0], ZEROED, frames, 256);

	(void)state;
	assert_int_equal(n, 255);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(ramka_frame_paddr(f->r, frames[i]), 0);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], 0, &ramka_type_untyped, NULL, &zero), 0);
	assert_int_equal(ramka_frame_paddr(f->r, zero), 0);
	ramka_frame_put(f->cpu[0], zero);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, ZEROED));
	put_all(f->cpu[0], frames, n);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(8)));
	CLOSE(f);
}

static void no_usable_memory_is_legal(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_RESERVED, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 5 } };
	static const struct ramka_region mmio[] = { { BASE, MIB, RAMKA_MMIO, 0 }, { BASE, 0, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 2 });
	struct ramka_frame *one;

	(void)state;
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++)
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(order)));
	assert_int_equal(ramka_frame_from_unused(f->none, BASE + MIB, &ramka_type_untyped, NULL, &one), 0);
	ramka_frame_put(f->none, one);
	CLOSE(f);
	f = fixture_open((struct spec){ .regions = mmio, .nr_regions = 2 });
	assert_int_equal(stats(f).total, 0);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, ZEROED));
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE, &one), RAMKA_E_OUT_OF_BOUND);
	CLOSE(f);
}

/* ---- where the metadata lies ---- */

static void metadata_in_the_direct_map(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .metadata_inside = true });
	ramka_paddr_t first = (uintptr_t)f->metadata - f->cfg.direct_map;
	uint64_t nr = (f->metadata_bytes + PAGE - 1) / PAGE;
	struct ramka_frame **frames = frame_table(2048), *one;
	size_t n = alloc_all(f->cpu[0], ZEROED, frames, 2048);

	(void)state;
	assert_int_equal(stats(f).reserved, nr);
	assert_int_equal(n, 2048 - nr);
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(ramka_frame_from_in_use(f->r, first + i * PAGE, &one), 0);
		assert_ptr_equal(ramka_frame_type(f->r, one), &ramka_type_metadata);
		ramka_frame_put(f->cpu[0], one);
	}
	put_all(f->cpu[0], frames, n);
	free(frames);
	CLOSE(f);
}

static void metadata_below_the_direct_map(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = MIB });
	struct ramka_config cfg = f->cfg;
	struct ramka *r;
	struct ramka_stats s;

	(void)state;
	cfg.direct_map = UINTPTR_MAX - 64 * MIB; /* as in a kernel's upper half */
	cfg.panic = NULL;
	assert_int_equal(ramka_init(&cfg, f->metadata, f->metadata_bytes, &r), 0);
	ramka_stats_read(r, &s);
	assert_int_equal(s.reserved, 0);
	assert_int_equal(s.free, 256);
	fixture_unmap(f);
}

static void stale_metadata_does_not_matter(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = MIB });
	struct ramka_frame *frames[256];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(alloc_all(f->cpu[0], ZEROED, frames, 256), 256);
		assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
		/* an embedder that starts again without an end */
		memset(f->metadata, 0xff - (int)round, f->metadata_bytes);
		assert_int_equal(ramka_init(&f->cfg, f->metadata, f->metadata_bytes, &f->r), 0);
		f->cpu[0] = ramka_cpu_at(f->r, 0);
		f->cpu[1] = ramka_cpu_at(f->r, 1);
		AUDIT(f);
	}
	CLOSE(f);
}

/* ---- nodes ---- */

static const struct ramka_region three_nodes[] = {
	{ BASE, 2 * MIB, RAMKA_USABLE, 0 }, { BASE + 2 * MIB, 2 * MIB, RAMKA_USABLE, 7 }, { BASE + 4 * MIB, 2 * MIB, RAMKA_USABLE, 0 },
	{ BASE + 6 * MIB, 2 * MIB, RAMKA_USABLE, 65534 },
};

static unsigned node_of(const struct fixture *f, const struct ramka_frame *frame)
{
	struct state_query q = { .pa = ramka_frame_paddr(f->r, frame) };

	ramka_walk(f->r, state_run, &q);
	return q.run.node;
}

static void nodes_in_order_of_preference(void **state)
{
	static const uint32_t cpu_node[] = { 0, 7, 65534, 99 };
	static const struct { unsigned cpu, node; unsigned order[2]; } own[] = { { 0, 0, { 0, 1024 } }, { 1, 7, { 0, 512 } }, { 2, 65534, { 0, 512 } } };

	(void)state;
	for (unsigned i = 0; i < NELEMS(own); i++) {
		struct fixture *f = fixture_open((struct spec){ .regions = three_nodes, .nr_regions = 4, .nr_cpus = 4, .cpu_node = cpu_node });
		struct ramka_frame **frames = frame_table(2048);

		for (unsigned j = 0; j < own[i].order[1]; j++) {
			frames[j] = must_alloc(f->cpu[own[i].cpu], UNINIT);
			assert_int_equal(node_of(f, frames[j]), own[i].node);
		}
		/* then the others, and all of them */
		assert_int_equal(alloc_all(f->cpu[own[i].cpu], UNINIT, frames + own[i].order[1], 2048 - own[i].order[1]),
				 2048 - own[i].order[1]);
		assert_null(ramka_frame_alloc(f->cpu[own[i].cpu], &ramka_type_untyped, NULL, UNINIT));
		AUDIT(f);
		put_all(f->cpu[3], frames, 2048); /* a CPU of a node that has no memory */
		free(frames);
		CLOSE(f);
	}
}

static void node_only(void **state)
{
	static const uint32_t cpu_node[] = { 0, 99 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		static const uint32_t node[] = { 0, 7, 65534 };
		struct fixture *f = fixture_open((struct spec){ .regions = three_nodes, .nr_regions = 4, .cpu_node = cpu_node });
		struct ramka_request req = { .node = RAMKA_NODE(node[i]), .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
		struct ramka_frame **frames = frame_table(2048);
		size_t n = alloc_all(f->cpu[0], req, frames, 2048), m;

		assert_int_equal(n, node[i] ? 512 : 1024);
		for (size_t j = 0; j < n; j++)
			assert_int_equal(node_of(f, frames[j]), node[i]);
		req.flags = RAMKA_ALLOC_UNINIT; /* that node first */
		m = alloc_all(f->cpu[0], req, frames + n, 2048 - n);
		assert_int_equal(n + m, 2048);
		ramka_frame_put_bulk(f->cpu[1], 2048, frames);
		free(frames);
		CLOSE(f);
	}
}

/*
 * A CPU whose node has nothing left goes to the next one without looking at its own, but for what came back: into its cache,
 * a shard, the zone, or a place that a drain finds.
 */
static void what_comes_back_is_preferred(void **state)
{
	static const struct ramka_region g[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, 4 * MIB, RAMKA_USABLE, 1 } };
	static const uint32_t cpu_node[8] = { 0 };
	static const unsigned order[] = { 0, 0, 0, 0, 4, 9 }, most[] = { 1024, 1024, 1024, 1, 1024, 1024 };

	(void)state;
	/* by the CPU itself; by the last one, into shards or as mail; without a cache */
	for (unsigned way = 0; way < NELEMS(order); way++) {
		struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 2, .nr_cpus = 8, .cpu_node = cpu_node,
								.flags = way < 2 ? RAMKA_CACHE_ALL : 0 });
		struct ramka_cpu *by = way == 0 ? f->cpu[0] : way < 3 ? f->cpu[7] : f->none;
		struct ramka_frame **own = frame_table(2048), *p;
		unsigned tries = 0, back = 0;

		for (unsigned i = 0; i < 1024 + 40; i++) {
			p = must_alloc(f->cpu[0], UNINIT);
			assert_int_equal(node_of(f, p), i >= 1024);
			own[i < 1024 ? i * 67 % 1024 : i] = p; /* so that no two neighbours are freed one after the other */
		}
		while (back < most[way] && !(way == 2 && depot_has_full(f->r->mail, 0))) /* a letter, and nothing in the zone */
			ramka_frame_put(by, own[back++]);
		do
			p = must_alloc(f->cpu[0], order_req(order[way]));
		while (ramka_frame_put(f->cpu[1], p), node_of(f, p) == 1 && ++tries < 3);
		assert_in_range(tries, 0, way == 1 ? 2 : 0); /* it looks at a few shards at a time */
		if (way == 0)
			for (unsigned i = 0; i < 1000; i++)
				assert_int_equal(node_of(f, own[i] = must_alloc(f->cpu[0], UNINIT)), 0);
		if (way == 0)
			put_all(f->cpu[0], own, 1000);
		put_all(f->cpu[0], own + back, 1024 + 40 - back);
		free(own);
		CLOSE(f);
	}
}

static void node_only_means_the_cpus_own_node(void **state)
{
	static const uint32_t cpu_node[] = { 7, 99 };
	struct fixture *f = fixture_open((struct spec){ .regions = three_nodes, .nr_regions = 4, .cpu_node = cpu_node });
	const struct ramka_request req = { .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
	const struct ramka_request nowhere = { .node = RAMKA_NODE(3), .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
	const struct ramka_request first = { .node = RAMKA_NODE(3), .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_frame **frames = frame_table(2048), *one;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], req, frames, 2048), 512);
	assert_null(ramka_frame_alloc(f->cpu[1], &ramka_type_untyped, NULL, req));
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, nowhere));
	one = must_alloc(f->cpu[0], first);
	ramka_frame_put(f->cpu[0], one);
	put_all(f->cpu[0], frames, 512);
	free(frames);
	CLOSE(f);
}

/* Nodes that alternate: the ranges of two zones overlap, and each frame still belongs to one. */
static void interleaved_nodes(void **state)
{
	static const uint32_t cpu_node[] = { 0, 1 };
	struct ramka_region g[32];
	struct fixture *f;
	struct ramka_frame **frames = frame_table(4096);

	(void)state;
	for (unsigned i = 0; i < 32; i++) /* pieces of 37 frames, not aligned to anything */
		g[i] = (struct ramka_region){ BASE + i * 37 * PAGE, 37 * PAGE, RAMKA_USABLE, i % 2 };
	f = fixture_open((struct spec){ .regions = g, .nr_regions = 32, .cpu_node = cpu_node });
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		struct ramka_request req = { .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
		size_t n = alloc_all(f->cpu[cpu], req, frames, 4096);

		assert_int_equal(n, 16 * 37);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(ramka_frame_index(f->r, frames[i]) - BASE / PAGE < 32 * 37 ?
						 (ramka_frame_index(f->r, frames[i]) - BASE / PAGE) / 37 % 2 : 9, cpu);
		AUDIT(f);
		put_all(f->cpu[1 - cpu], frames, n);
	}
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 4096), 32 * 37);
	put_all(f->none, frames, 32 * 37);
	free(frames);
	CLOSE(f);
}

/* ---- late memory ---- */

static const struct ramka_region late_map[] = {
	{ BASE, 2 * MIB, RAMKA_USABLE, 0 },
	{ BASE + 2 * MIB, MIB, RAMKA_RECLAIMABLE, 0 },
	/* a hole of 1 MiB */
	{ BASE + 4 * MIB, MIB, RAMKA_RESERVED, 0 },
	{ BASE + 5 * MIB, MIB, RAMKA_DETACHED, 0 },
	{ BASE + 6 * MIB, MIB, RAMKA_MMIO, 0 },
	{ BASE + 7 * MIB, MIB, RAMKA_USABLE, 0 },
};

static int add(struct fixture *f, ramka_paddr_t base, uint64_t size)
{
	return ramka_add_memory(f->r, &(struct ramka_region){ base, size, RAMKA_USABLE, 0 });
}

static void late_memory_is_memory(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .regions = late_map, .nr_regions = NELEMS(late_map) });
	struct ramka_frame **frames = frame_table(2048), *one;
	size_t n;

	(void)state;
	f->grown = true;
	assert_int_equal(stats(f).total, 1536);
	assert_int_equal(stats(f).reserved, 512);
	assert_int_equal(add(f, BASE + 2 * MIB, MIB), 0);
	AUDIT(f);
	assert_int_equal(stats(f).reserved, 256);
	assert_int_equal(stats(f).total, 1536);
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + 3 * MIB, &one), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(add(f, BASE + 3 * MIB, MIB), 0);
	AUDIT(f);
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + 3 * MIB, &one), RAMKA_E_UNUSED);
	assert_int_equal(stats(f).total, 1792);
	n = alloc_all(f->cpu[0], ZEROED, frames, 2048);
	assert_int_equal(n, 768 + 512);
	put_all(f->cpu[0], frames, n);
	offline_all(f);
	assert_int_equal(stats(f).free_huge, 2);
	one = must_alloc(f->cpu[1], order_req(10)); /* old and new memory make one frame */
	ramka_frame_put(f->cpu[1], one);
	free(frames);
	CLOSE(f);
}

static void late_memory_is_zeroed_when_handed_out(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .regions = late_map, .nr_regions = NELEMS(late_map) });
	struct ramka_frame **frames = frame_table(2048);
	size_t n;

	(void)state;
	f->grown = true;
	memset(bytes_at(f, BASE), 0x77, 4 * MIB);
	assert_int_equal(add(f, BASE + 2 * MIB, MIB), 0);
	n = alloc_all(f->cpu[0], ZEROED, frames, 2048);
	for (size_t i = 0; i < n; i++)
		assert_true(all_bytes(ramka_frame_content(f->r, frames[i]), 0, PAGE));
	put_all(f->cpu[0], frames, n);
	free(frames);
	CLOSE(f);
}

static void late_memory_all_or_nothing(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .regions = late_map, .nr_regions = NELEMS(late_map) });
	struct ramka_region g = { BASE + 2 * MIB, MIB, RAMKA_USABLE, 0 };
	struct ramka_frame *held;

	(void)state;
	assert_int_equal(ramka_add_memory(NULL, &g), RAMKA_E_INVAL);
	assert_int_equal(ramka_add_memory(f->r, NULL), RAMKA_E_INVAL);
	for (int kind = RAMKA_DETACHED; kind <= RAMKA_MMIO; kind++) {
		g.kind = (enum ramka_region_kind)kind;
		assert_int_equal(ramka_add_memory(f->r, &g), RAMKA_E_INVAL);
	}
	assert_int_equal(add(f, BASE + 2 * MIB, 0), RAMKA_E_INVAL);
	assert_int_equal(add(f, BASE + 2 * MIB, UINT64_MAX), RAMKA_E_INVAL);
	assert_int_equal(add(f, BASE + 2 * MIB + 1, MIB), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(add(f, BASE + 2 * MIB, MIB - 1), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(add(f, BASE - PAGE, PAGE), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(add(f, BASE + 8 * MIB, PAGE), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(add(f, BASE + 2 * MIB, TIB), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(add(f, UINT64_MAX - PAGE + 1 - PAGE, PAGE), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(add(f, BASE + 2 * MIB - PAGE, 2 * PAGE), RAMKA_E_IN_USE);        /* reaches into usable */
	assert_int_equal(add(f, BASE + 4 * MIB - PAGE, 2 * PAGE), RAMKA_E_IN_USE);        /* into reserved */
	assert_int_equal(add(f, BASE + 4 * MIB, MIB), RAMKA_E_IN_USE);
	assert_int_equal(add(f, BASE + 5 * MIB, MIB), RAMKA_E_IN_USE);
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + 3 * MIB - PAGE, &held), 0); /* the last one is held */
	assert_int_equal(add(f, BASE + 2 * MIB, 2 * MIB), RAMKA_E_IN_USE);
	AUDIT(f);
	assert_int_equal(stats(f).reserved, f->start.reserved);
	assert_int_equal(stats(f).total, f->start.total);
	ramka_frame_put(f->cpu[0], held);
	assert_int_equal(add(f, BASE + 2 * MIB, 2 * MIB), 0);
	assert_int_equal(add(f, BASE + 2 * MIB, 2 * MIB), RAMKA_E_IN_USE); /* twice */
	f->grown = true;
	CLOSE(f);
}

static void one_add_at_a_time(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .regions = late_map, .nr_regions = NELEMS(late_map) });

	(void)state;
	assert_true(changing_begin(f->r)); /* another CPU is at it */
	assert_int_equal(add(f, BASE + 2 * MIB, MIB), RAMKA_E_BUSY);
	assert_int_equal(add(f, BASE, MIB), RAMKA_E_BUSY);
	changing_end(f->r);
	assert_int_equal(add(f, BASE, MIB), RAMKA_E_IN_USE);
	assert_int_equal(add(f, BASE + 2 * MIB, MIB), 0);
	f->grown = true;
	CLOSE(f);
}

static void late_frame_zero_by_address_only(void **state)
{
	static const struct ramka_region g[] = { { 0, MIB, RAMKA_RECLAIMABLE, 0 }, { MIB, MIB, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 2 });
	struct ramka_frame *frames[512];
	size_t n;

	(void)state;
	f->grown = true;
	assert_int_equal(ramka_add_memory(f->r, &(struct ramka_region){ 0, MIB, RAMKA_USABLE, 0 }), 0);
	n = alloc_all(f->cpu[0], ZEROED, frames, 512);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(ramka_frame_paddr(f->r, frames[i]), 0);
	assert_int_equal(n, 511);
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
}

static void late_memory_and_nodes(void **state)
{
	static const struct ramka_region g[] = {
		{ BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_RECLAIMABLE, 0 }, { BASE + 2 * MIB, MIB, RAMKA_USABLE, 0 },
		{ BASE + 8 * MIB, MIB, RAMKA_USABLE, 1 }, { BASE + 9 * MIB, MIB, RAMKA_RECLAIMABLE, 1 },
	};
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g) });
	struct ramka_request one = { .node = RAMKA_NODE(1), .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
	struct ramka_frame **frames = frame_table(2048);
	size_t n;

	(void)state;
	f->grown = true;
	assert_int_equal(add(f, BASE + 5 * MIB, MIB), RAMKA_E_OUT_OF_BOUND); /* between the zones */
	assert_int_equal(add(f, BASE + 9 * MIB, MIB), RAMKA_E_OUT_OF_BOUND); /* another node's */
	assert_int_equal(ramka_add_memory(f->r, &(struct ramka_region){ BASE + 9 * MIB, MIB, RAMKA_USABLE, 1 }), 0);
	n = alloc_all(f->cpu[0], one, frames, 2048);
	assert_int_equal(n, 512);
	put_all(f->cpu[0], frames, n);
	assert_int_equal(add(f, BASE + MIB, MIB), 0);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2048), 5 * 256);
	put_all(f->cpu[0], frames, 5 * 256);
	free(frames);
	CLOSE(f);
}

/* ---- the end, the CPUs ---- */

static void ends_only_when_nothing_is_held(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .rcu = true });
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED), *r;
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[1], &ramka_type_untyped, NULL, ZEROED);

	(void)state;
	assert_int_equal(ramka_fini(NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_unique_free(f->cpu[1], u);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	AUDIT(f); /* nothing happened */
	ramka_frame_put_rcu(f->cpu[0], a);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE, &ramka_type_untyped, NULL, &r), 0);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_frame_put(f->cpu[0], r);
	assert_int_equal(ramka_fini(f->r), 0); /* cached frames are no obstacle */
	assert_int_equal(ramka_fini(f->r), RAMKA_E_INVAL);
	fixture_unmap(f);
}

static void a_claimed_detached_frame_is_in_use(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_DETACHED, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 1 });
	struct ramka_frame *one;

	(void)state;
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE, &ramka_type_untyped, NULL, &one), 0);
	assert_int_equal(stats(f).in_use, 1);
	assert_int_equal(stats(f).unused, 255);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_frame_put(f->cpu[0], one);
	assert_int_equal(state_at(f, BASE), RAMKA_STATE_UNUSED);
	CLOSE(f);
}

static void cpus(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 5 });

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_non_null(f->cpu[i]);
		assert_ptr_equal(ramka_of(f->cpu[i]), f->r);
		for (unsigned j = 0; j < i; j++)
			assert_ptr_not_equal(f->cpu[i], f->cpu[j]);
		assert_int_equal((uintptr_t)f->cpu[i] % 64, 0);
	}
	assert_null(ramka_cpu_at(f->r, 5));
	assert_null(ramka_cpu_at(f->r, UINT32_MAX));
	assert_non_null(f->none);
	assert_ptr_equal(ramka_of(f->none), f->r);
	CLOSE(f);
}

static void many_cpus(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 300, .size = 4 * MIB });
	struct ramka_frame *frames[1024];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; n < 1024; i++) {
		frames[n] = ramka_frame_alloc(ramka_cpu_at(f->r, i % 300), &ramka_type_untyped, NULL, UNINIT);
		assert_non_null(frames[n++]);
	}
	AUDIT(f);
	for (unsigned i = 0; i < 1024; i++)
		ramka_frame_put(ramka_cpu_at(f->r, i % 300), frames[i]);
	AUDIT(f);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 1024), 1024); /* wherever they are */
	put_all(f->cpu[0], frames, 1024);
	for (unsigned i = 0; i < 300; i++)
		ramka_cpu_offline(ramka_cpu_at(f->r, i));
	f->nr_cpus = 0; /* they are offline; CLOSE reclaims on the first */
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_bad_configurations),
		cmocka_unit_test(rejects_bad_memory),
		cmocka_unit_test(every_metadata_size),
		cmocka_unit_test(one_frame_is_enough),
		cmocka_unit_test(four_tib),
		cmocka_unit_test(a_sparse_span),
		cmocka_unit_test(kinds_through_the_api),
		cmocka_unit_test(ends_of_regions),
		cmocka_unit_test(frame_zero_by_address_only),
		cmocka_unit_test(no_usable_memory_is_legal),
		cmocka_unit_test(metadata_in_the_direct_map),
		cmocka_unit_test(metadata_below_the_direct_map),
		cmocka_unit_test(stale_metadata_does_not_matter),
		cmocka_unit_test(nodes_in_order_of_preference),
		cmocka_unit_test(what_comes_back_is_preferred),
		cmocka_unit_test(node_only),
		cmocka_unit_test(node_only_means_the_cpus_own_node),
		cmocka_unit_test(interleaved_nodes),
		cmocka_unit_test(late_memory_is_memory),
		cmocka_unit_test(late_memory_is_zeroed_when_handed_out),
		cmocka_unit_test(late_memory_all_or_nothing),
		cmocka_unit_test(one_add_at_a_time),
		cmocka_unit_test(late_frame_zero_by_address_only),
		cmocka_unit_test(late_memory_and_nodes),
		cmocka_unit_test(ends_only_when_nothing_is_held),
		cmocka_unit_test(a_claimed_detached_frame_is_in_use),
		cmocka_unit_test(cpus),
		cmocka_unit_test(many_cpus),
	};

	return cmocka_run_group_tests_name("init", tests, NULL, NULL);
}
