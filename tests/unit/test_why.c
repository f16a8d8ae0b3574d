/* SPDX-License-Identifier: MIT */
/* Why a call of set-up refuses: each cause has a text of its own, and names the field and the region that are at fault. */
#include "fixture.h"

static uint64_t snapshot(void *ctx) { (void)ctx; return 0; }
static bool elapsed(void *ctx, uint64_t cookie) { (void)ctx, (void)cookie; return true; }

static const char *texts[64];
static unsigned nr_texts;

/* A refusal: code and field as they are said to be, and a text that no other cause has. */
static void refused(int rc, const struct ramka_why *why, int error, const char *field, uint64_t index)
{
	assert_int_equal(rc, error);
	assert_int_equal(why->error, error);
	assert_non_null(why->what);
	assert_string_equal(why->field, field);
	assert_int_equal(why->index, index);
	for (unsigned i = 0; i < nr_texts; i++)
		assert_string_not_equal(why->what, texts[i]);
	assert_true(nr_texts < NELEMS(texts));
	texts[nr_texts++] = why->what;
}

static const struct ramka_region good = { BASE, MIB, RAMKA_USABLE, 0 };
static const struct ramka_config plain = { .regions = &good, .nr_regions = 1, .nr_cpus = 2, .flags = RAMKA_NO_DIRECT_MAP };

static void size_refused(const struct ramka_config *cfg, const char *field, uint64_t index)
{
	struct ramka_why why, other;
	struct ramka *r = NULL;
	size_t bytes = 77;

	refused(ramka_metadata_size_why(cfg, &bytes, &why), &why, RAMKA_E_INVAL, field, index);
	assert_int_equal(bytes, 77);
	assert_int_equal(ramka_metadata_size(cfg, &bytes), RAMKA_E_INVAL);
	assert_int_equal(ramka_init_why(cfg, NULL, 0, &r, &other), RAMKA_E_INVAL); /* says the same */
	assert_ptr_equal(other.what, why.what);
	assert_null(r);
}

static void configurations(void **state)
{
	static const uint32_t nodes[] = { 0, 65535 };
	struct ramka_rcu_ops no_snapshot = { .elapsed = elapsed };
	struct ramka_config c;

	(void)state;
	nr_texts = 0;
	size_refused(NULL, "cfg", RAMKA_NO_INDEX);
	c = plain, c.nr_regions = 0;
	size_refused(&c, "nr_regions", RAMKA_NO_INDEX);
	c = plain, c.nr_cpus = 0;
	size_refused(&c, "nr_cpus", RAMKA_NO_INDEX);
	c = plain, c.nr_cpus = UINT32_MAX;
	size_refused(&c, "nr_cpus", RAMKA_NO_INDEX);
	c = plain, c.meta_size = 241;
	size_refused(&c, "meta_size", RAMKA_NO_INDEX);
	c = plain, c.rcu = &no_snapshot;
	size_refused(&c, "rcu->snapshot", RAMKA_NO_INDEX);
	c = plain, c.cpu_node = nodes;
	size_refused(&c, "cpu_node[]", 1);
	c = plain, c.flags = 1u << 31;
	size_refused(&c, "flags", RAMKA_NO_INDEX);
	assert_int_equal(ramka_metadata_size_why(&plain, NULL, NULL), RAMKA_E_INVAL);
}

/* Every flag that is not known, and both functions of the table. */
static void all_flags_and_functions(void **state)
{
	const uint32_t known = RAMKA_NO_DIRECT_MAP | RAMKA_METADATA_ZEROED | RAMKA_REF_SATURATE | RAMKA_SHUFFLE;
	struct ramka_rcu_ops ops[] = { { .snapshot = snapshot, .elapsed = elapsed }, { .snapshot = snapshot }, { .elapsed = elapsed },
				       { .snapshot = NULL } };
	size_t bytes;

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		struct ramka_config c = plain;
		int rc;

		c.flags = 1u << bit;
		rc = ramka_metadata_size(&c, &bytes);
		assert_true(known >> bit & 1 ? rc == 0 : rc == RAMKA_E_INVAL || bit > 3); /* later flags may be known to the build */
		if (bit > 24)
			assert_int_equal(rc, RAMKA_E_INVAL);
	}
	for (unsigned i = 0; i < NELEMS(ops); i++) {
		struct ramka_config c = plain;

		c.rcu = &ops[i];
		assert_int_equal(ramka_metadata_size(&c, &bytes), i ? RAMKA_E_INVAL : 0);
	}
}

static void regions(void **state)
{
	static const struct { struct ramka_region bad; const char *field; } tries[] = {
		{ { BASE, MIB, (enum ramka_region_kind)7, 0 }, "regions[].kind" },
		{ { 0 - MIB, MIB + 1, RAMKA_MMIO, 0 }, "regions[].size" },
		{ { 0 - MIB, MIB, RAMKA_USABLE, 0 }, "regions[].size" },
		{ { BASE, MIB, RAMKA_RESERVED, 65535 }, "regions[].node" },
	};
	struct ramka_region g[3] = { { BASE, MIB, RAMKA_USABLE, 0 }, { 0 - MIB, 0, RAMKA_USABLE, 99999 } };
	struct ramka_config c = plain;
	struct ramka_why why;
	struct ramka *r;
	size_t bytes;
	uint8_t *m;

	(void)state;
	nr_texts = 0;
	c.regions = g;
	c.nr_regions = 3;
	for (unsigned i = 0; i < NELEMS(tries); i++) {
		g[2] = tries[i].bad;
		size_refused(&c, tries[i].field, 2);
	}
	g[2] = (struct ramka_region){ BASE, 17 * TIB, RAMKA_USABLE, 0 };
	size_refused(&c, "regions[].node", RAMKA_NO_INDEX);
	g[2] = (struct ramka_region){ BASE + MIB - PAGE, MIB, RAMKA_USABLE, 3 }; /* overlaps region 0 */
	assert_int_equal(ramka_metadata_size(&c, &bytes), 0);
	m = map_pages(bytes);
	refused(ramka_init_why(&c, m, bytes, &r, &why), &why, RAMKA_E_INVAL, "regions[].node", 2);
	assert_int_equal(why.limit, 0); /* the other one */
	assert_int_equal(why.value, 3);
	assert_int_equal(why.paddr, BASE + MIB - PAGE);
	munmap(m, bytes);
}

static void memory(void **state)
{
	struct ramka_why why;
	struct ramka *r = NULL;
	size_t bytes;
	uint8_t *m;

	(void)state;
	nr_texts = 0;
	assert_int_equal(ramka_metadata_size_why(&plain, &bytes, &why), 0);
	assert_null(why.what);
	m = map_pages(bytes + 64);
	refused(ramka_init_why(&plain, NULL, bytes, &r, &why), &why, RAMKA_E_INVAL, "metadata", RAMKA_NO_INDEX);
	refused(ramka_init_why(&plain, m, bytes, NULL, &why), &why, RAMKA_E_INVAL, "ret_r", RAMKA_NO_INDEX);
	refused(ramka_init_why(&plain, m + 8, bytes, &r, &why), &why, RAMKA_E_NOT_ALIGNED, "metadata", RAMKA_NO_INDEX);
	refused(ramka_init_why(&plain, m, bytes - 1, &r, &why), &why, RAMKA_E_NOMEM, "bytes", RAMKA_NO_INDEX);
	assert_int_equal(why.value, bytes - 1);
	assert_int_equal(why.limit, bytes);
	assert_null(r);
	assert_int_equal(ramka_init_why(&plain, m, bytes, &r, &why), 0);
	assert_null(why.what);
	munmap(m, bytes + 64);
}

static void added_memory(void **state)
{
	static const struct ramka_region map[] = {
		{ BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_RECLAIMABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_USABLE, 1 },
	};
	static const struct { struct ramka_region g; int error; const char *field; ramka_paddr_t at; } tries[] = {
		{ { BASE + MIB, MIB, RAMKA_DETACHED, 0 }, RAMKA_E_INVAL, "region->kind", 0 },
		{ { BASE + MIB, 0, RAMKA_USABLE, 0 }, RAMKA_E_INVAL, "region->size", 0 },
		{ { BASE + MIB, UINT64_MAX, RAMKA_USABLE, 0 }, RAMKA_E_INVAL, "region->size", 0 },
		{ { BASE + MIB, 5, RAMKA_USABLE, 0 }, RAMKA_E_NOT_ALIGNED, "region->size", 0 },
		{ { BASE - PAGE, PAGE, RAMKA_USABLE, 0 }, RAMKA_E_OUT_OF_BOUND, "region->base", BASE - PAGE },
		{ { BASE, MIB, RAMKA_USABLE, 0 }, RAMKA_E_IN_USE, "region->base", BASE },
		{ { BASE + MIB, MIB, RAMKA_USABLE, 1 }, RAMKA_E_OUT_OF_BOUND, "region->node", BASE + MIB },
		{ { BASE + 3 * MIB, MIB, RAMKA_USABLE, 1 }, RAMKA_E_OUT_OF_BOUND, "region->base", BASE + 3 * MIB },
		{ { BASE + MIB + 16 * PAGE, PAGE, RAMKA_USABLE, 0 }, RAMKA_E_IN_USE, "region->base", BASE + MIB + 16 * PAGE }, /* held */
	};
	struct ramka_region late = { BASE + MIB, PAGE, RAMKA_USABLE, 0 };
	struct fixture *f = fixture_open((struct spec){ .regions = map, .nr_regions = NELEMS(map) });
	struct ramka_frame *held;
	struct ramka_why why;

	(void)state;
	nr_texts = 0;
	f->grown = true;
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + MIB + 16 * PAGE, &held), 0);
	for (unsigned i = 0; i < NELEMS(tries); i++) {
		refused(ramka_add_memory_why(f->r, &tries[i].g, &why), &why, tries[i].error, tries[i].field, RAMKA_NO_INDEX);
		assert_int_equal(why.paddr, tries[i].at);
		assert_int_equal(ramka_add_memory(f->r, &tries[i].g), tries[i].error);
	}
	/* its end alone lies outside the span */
	assert_int_equal(ramka_add_memory_why(f->r, &(struct ramka_region){ BASE + MIB, 5 * MIB, RAMKA_USABLE, 0 }, &why),
			 RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(why.paddr, BASE + MIB);
	refused(ramka_add_memory_why(NULL, &late, &why), &why, RAMKA_E_INVAL, "r", RAMKA_NO_INDEX);
	refused(ramka_add_memory_why(f->r, NULL, &why), &why, RAMKA_E_INVAL, "region", RAMKA_NO_INDEX);
	assert_int_equal(ramka_add_memory_why(f->r, &late, &why), 0);
	assert_null(why.what);
	refused(ramka_add_memory_why(f->r, &late, &why), &why, RAMKA_E_IN_USE, "region->base", RAMKA_NO_INDEX); /* twice */
	ramka_frame_put(f->cpu[0], held);
	CLOSE(f);
}

static void types(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .meta_size = 24 });
	static const struct ramka_type fine = { .name = "t", .meta_size = 8, .meta_align = 8, .id = 20 };
	static const struct { struct ramka_type type; int error; const char *field; } tries[] = {
		{ { .name = "t", .meta_align = 1, .id = 15 }, RAMKA_E_INVAL, "type->id" },
		{ { .name = "t", .meta_align = 1, .id = 21, .flags = 64 }, RAMKA_E_INVAL, "type->flags" },
		{ { .name = "t", .meta_align = 1, .id = 21, .flags = RAMKA_TYPE_RCU }, RAMKA_E_INVAL, "type->flags" },
		{ { .name = "t", .meta_align = 1, .id = 21, .meta_size = 25 }, RAMKA_E_META_SIZE, "type->meta_size" },
		{ { .name = "t", .meta_align = 3, .id = 21 }, RAMKA_E_INVAL, "type->meta_align" },
		{ { .name = "t", .meta_align = 16, .id = 21, .meta_size = 16 }, RAMKA_E_INVAL, "type->meta_align" },
	};
	struct ramka_why why;

	(void)state;
	nr_texts = 0;
	for (unsigned i = 0; i < NELEMS(tries); i++) {
		refused(ramka_type_register_why(f->r, &tries[i].type, &why), &why, tries[i].error, tries[i].field, RAMKA_NO_INDEX);
		assert_int_equal(ramka_type_register(f->r, &tries[i].type), RAMKA_E_INVAL); /* one code, for those who know no other */
	}
	refused(ramka_type_register_why(NULL, &fine, &why), &why, RAMKA_E_INVAL, "r", RAMKA_NO_INDEX);
	refused(ramka_type_register_why(f->r, NULL, &why), &why, RAMKA_E_INVAL, "type", RAMKA_NO_INDEX);
	assert_int_equal(ramka_type_register_why(f->r, &fine, &why), 0);
	assert_null(why.what);
	refused(ramka_type_register_why(f->r, &fine, &why), &why, RAMKA_E_INVAL, "type->id", RAMKA_NO_INDEX);
	CLOSE(f);
}

static void the_end(void **state)
{
	static const struct ramka_type note = { .name = "note", .meta_size = 8, .meta_align = 8, .id = 20 };
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .rcu = true });
	struct ramka_frame *one, *two;
	struct ramka_why why;

	(void)state;
	nr_texts = 0;
	refused(ramka_fini_why(NULL, &why), &why, RAMKA_E_INVAL, "r", RAMKA_NO_INDEX);
	assert_int_equal(ramka_type_register(f->r, &note), 0);
	one = ramka_frame_alloc(f->cpu[0], &note, NULL, order_req(2));
	two = must_alloc(f->cpu[0], ZEROED);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], two), 0);
	refused(ramka_fini_why(f->r, &why), &why, RAMKA_E_BUSY, "stats.in_use", RAMKA_NO_INDEX);
	assert_int_equal(why.value, 4);
	assert_true(why.paddr == ramka_frame_paddr(f->r, one) ? why.type == &note : why.paddr == ramka_frame_paddr(f->r, two));
	ramka_frame_put(f->cpu[0], one);
	refused(ramka_fini_why(f->r, &why), &why, RAMKA_E_BUSY, "stats.deferred", RAMKA_NO_INDEX);
	assert_int_equal(why.paddr, ramka_frame_paddr(f->r, two));
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(ramka_fini_why(f->r, &why), 0);
	assert_null(why.what);
	refused(ramka_fini_why(f->r, &why), &why, RAMKA_E_INVAL, "r", RAMKA_NO_INDEX);
	fixture_unmap(f);
}

static void requests(void **state)
{
	static const struct { struct ramka_request req; int error; const char *field; } tries[] = {
		{ { .flags = RAMKA_ALLOC_UNINIT, .order = 19 }, RAMKA_E_INVAL, "req.order" },
		{ { .flags = RAMKA_ALLOC_UNINIT | 128 }, RAMKA_E_INVAL, "req.flags" },
		{ { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_LONG | RAMKA_ALLOC_MOVABLE }, RAMKA_E_INVAL, "req.flags" },
		{ { .flags = RAMKA_ALLOC_UNINIT, .reserved = 1 }, RAMKA_E_INVAL, "req.reserved" },
		{ { .flags = 0 }, RAMKA_E_UNSUPPORTED, "req.flags" },
		{ { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_NODE_ONLY, .node = RAMKA_NODE(3) }, RAMKA_E_OUT_OF_BOUND, "req.node" },
		{ { .flags = RAMKA_ALLOC_UNINIT, .addr_bits = 20 }, RAMKA_E_OUT_OF_BOUND, "req.addr_bits" },
		{ { .flags = RAMKA_ALLOC_UNINIT, .order = 12 }, RAMKA_E_OUT_OF_BOUND, "req.order" },
	};
	struct fixture *f = fixture_open((struct spec){ .size = 8 * MIB, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
	struct ramka_frame **all = frame_table(2049);
	struct ramka_why why;

	(void)state;
	nr_texts = 0;
	for (unsigned i = 0; i < NELEMS(tries); i++) {
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, tries[i].req));
		refused(ramka_request_why(f->r, tries[i].req, &why), &why, tries[i].error, tries[i].field, RAMKA_NO_INDEX);
	}
	(void)ramka_request_why(f->r, tries[1].req, &why);
	assert_int_equal(why.value, 128); /* the flag alone, without those that are known */
	refused(ramka_request_why(NULL, UNINIT, &why), &why, RAMKA_E_INVAL, "r", RAMKA_NO_INDEX);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, all, 2049), 2048);
	assert_int_equal(ramka_request_why(f->r, UNINIT, &why), 0); /* nothing wrong with it: there is no memory */
	assert_null(why.what);
	for (unsigned bits = 26; bits <= 64; bits++) { /* BASE is 64 MiB */
		struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT, .addr_bits = (uint8_t)bits };

		assert_int_equal(ramka_request_why(f->r, req, NULL), bits == 26 ? RAMKA_E_OUT_OF_BOUND : 0);
	}
	put_all(f->cpu[0], all, 2048);
	free(all);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations),
		cmocka_unit_test(all_flags_and_functions),
		cmocka_unit_test(regions),
		cmocka_unit_test(memory),
		cmocka_unit_test(added_memory),
		cmocka_unit_test(types),
		cmocka_unit_test(the_end),
		cmocka_unit_test(requests),
	};

	return cmocka_run_group_tests_name("why", tests, NULL, NULL);
}
