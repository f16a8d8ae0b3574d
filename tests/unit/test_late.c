/* SPDX-License-Identifier: MIT */
/* Holes cost nothing and are not touched; they become memory in any order and number of pieces; the sizes follow. */
#include "fixture.h"
#include "frame/contracts.h"

/* ---- metadata of holes is not touched ---- */

static const struct ramka_region holed[] = {
	{ GIB, 64 * MIB, RAMKA_USABLE, 0 },
	{ GIB + 100 * MIB + 17 * PAGE, 12 * PAGE, RAMKA_RESERVED, 0 },
	/* so that whatever frame a larger frame of its order would begin with lies in the hole */
	{ GIB + 256 * MIB + 768 * PAGE, 64 * MIB, RAMKA_USABLE, 0 },
	{ GIB + 500 * MIB, MIB, RAMKA_DETACHED, 0 },
};
#define SPAN_FRAMES (501 * MIB / PAGE)

/* The pages of an array that no frame but those of holes has a part of, to PROT_NONE; how many bytes. */
static size_t forbid(uint8_t *base, size_t stride, uint64_t first, uint64_t end)
{
	uintptr_t from = align_up((uintptr_t)base + first * stride, PAGE), to = align_down((uintptr_t)base + end * stride, PAGE);

	if (from >= to)
		return 0;
	assert_int_equal(mprotect((void *)from, to - from, PROT_NONE), 0);
	return to - from;
}

static size_t forbid_holes(const struct ramka *twin, uint8_t *from, uint8_t *to)
{
	const struct zone *z = &twin->zones[0];
	size_t bytes = 0;

	for (size_t i = 0; i + 1 < twin->nr_map; i++) {
		const struct map_entry *m = &twin->map[i];
		uint64_t first = m->first - twin->first, end = m[1].first - twin->first;

		if (m->kind != MAP_HOLE)
			continue;
		bytes += forbid((uint8_t *)twin->slots - from + to, sizeof(struct ramka_frame), first, end);
		bytes += forbid(twin->meta - from + to, twin->meta_size, first, end);
		if (contracts_bytes())
			bytes += forbid((uint8_t *)twin->shadow - from + to, contracts_bytes(), first, end);
		/* bits: in words of 512 frames */
		bytes += forbid((uint8_t *)z->map.words - from + to, 64, align_up(m->first - z->origin, 512) / 512, (m[1].first - z->origin) / 512);
	}
	return bytes;
}

static bool count_runs(void *ctx, const struct ramka_run *run)
{
	(void)run;
	++*(unsigned *)ctx;
	return true;
}

/* Every call that looks around, beside holes whose metadata is not there. */
static void use_everything(struct ramka *r)
{
	struct ramka_request uninit = { .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_cpu *a = ramka_cpu_at(r, 0), *b = ramka_cpu_at(r, 1);
	struct ramka_frame *f, *all[70];
	struct ramka_segment s;
	unsigned n, runs = 0;

	for (unsigned i = 1; i < NELEMS(holed); i++) { /* cached by one, claimed by another: is it a tail? */
		ramka_paddr_t pa = (holed[i].base + PAGE - 1) / PAGE * PAGE;

		if (ramka_frame_from_unused(a, pa, &ramka_type_untyped, NULL, &f))
			continue;
		ramka_frame_put(a, f);
		if (!ramka_frame_from_unused(b, pa, &ramka_type_untyped, NULL, &f))
			ramka_frame_put(b, f);
	}
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++) { /* to the last one, and "no memory" */
		for (n = 0; n < NELEMS(all); n++) {
			uninit.order = (uint8_t)order;
			all[n] = ramka_frame_alloc(n % 2 ? a : b, &ramka_type_untyped, NULL, uninit);
			if (!all[n])
				break;
		}
		assert_true(order < 12 || n < NELEMS(all));
		while (n)
			ramka_frame_put(a, all[--n]);
	}
	uninit.order = 0;
	assert_int_equal(ramka_segment_alloc(a, 3 * 4096 + 1, &ramka_type_untyped, NULL, NULL, uninit, &s), 0);
	ramka_segment_put(a, s);
	assert_int_equal(ramka_segment_alloc(a, 64 * MIB / PAGE + 1, &ramka_type_untyped, NULL, NULL, uninit, &s), RAMKA_E_NOMEM);
	for (ramka_paddr_t pa = GIB - MIB; pa < GIB + 502 * MIB; pa += 37 * PAGE)
		if (!ramka_frame_from_in_use(r, pa, &f))
			ramka_frame_put(a, f);
	ramka_cpu_offline(a);
	ramka_drain(r);
	ramka_walk(r, count_runs, &runs);
	assert_true(runs >= 7);
	assert_true(ramka_contracts_clean(r));
	assert_int_equal(ramka_check(r, NULL), 0);
}

static void metadata_of_holes_is_not_touched(void **state)
{
	(void)state;
	for (unsigned zeroed = 0; zeroed < 2; zeroed++) {
		struct ramka_config cfg = { .regions = holed, .nr_regions = NELEMS(holed), .nr_cpus = 2, .panic = NULL,
					    .flags = RAMKA_NO_DIRECT_MAP | (zeroed ? RAMKA_METADATA_ZEROED : 0) };
		struct ramka *twin, *r;
		size_t bytes;
		uint8_t *first, *second;

		assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
		first = map_pages(bytes);
		second = map_pages(bytes);
		assert_int_equal(ramka_init(&cfg, first, bytes, &twin), 0);
		assert_int_equal(twin->nr_slots, SPAN_FRAMES);
		if (!zeroed)
			memset(second, 0xa5, bytes);
		assert_true(forbid_holes(twin, first, second) > bytes / 3);
		assert_int_equal(ramka_init(&cfg, second, bytes, &r), 0);
		use_everything(r);
		munmap(first, bytes);
		munmap(second, bytes);
	}
}

/* ---- pieces ---- */

static const struct ramka_region growing[] = {
	{ BASE, 2 * MIB, RAMKA_USABLE, 0 },
	/* a hole of 8 MiB */
	{ BASE + 10 * MIB, 6 * MIB, RAMKA_RECLAIMABLE, 0 },
	{ BASE + 16 * MIB, MIB, RAMKA_USABLE, 0 },
};
#define FIRST_LATE (BASE + 2 * MIB)
#define LATE_FRAMES (14 * MIB / PAGE)

static int add(struct fixture *f, ramka_paddr_t base, uint64_t size)
{
	return ramka_add_memory(f->r, &(struct ramka_region){ base, size, RAMKA_USABLE, 0 });
}

/* Ends of pieces of 1 to `most` frames, in the order in which they are added. */
static unsigned draw_pieces(uint64_t seed, unsigned most, uint32_t (*piece)[2], unsigned how)
{
	unsigned n = 0;

	for (uint32_t at = 0; at < LATE_FRAMES; n++) {
		uint32_t nr = 1 + (uint32_t)(random_next(&seed) % most);

		piece[n][0] = at;
		piece[n][1] = at = at + nr < LATE_FRAMES ? at + nr : LATE_FRAMES;
	}
	for (unsigned i = n; i-- > 1;) { /* upward, downward, shuffled */
		unsigned j = how == 1 ? n - 1 - i : how == 2 ? (unsigned)(random_next(&seed) % (i + 1)) : i;
		uint32_t from = piece[i][0], to = piece[i][1];

		if (how == 1 && j >= i)
			continue;
		piece[i][0] = piece[j][0];
		piece[i][1] = piece[j][1];
		piece[j][0] = from;
		piece[j][1] = to;
	}
	return n;
}

static void pieces_in_any_order(void **state)
{
	static uint32_t piece[LATE_FRAMES][2];

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		unsigned most = i < 3 ? 1 : i < 6 ? 30 : i < 9 ? 700 : 1300, n = draw_pieces(i + 1, most, piece, i % 3);
		struct fixture *f = fixture_open((struct spec){ .regions = growing, .nr_regions = NELEMS(growing),
								.flags = i % 2 ? RAMKA_METADATA_ZEROED : 0 });
		uint64_t usable = f->start.free, total = f->start.total;
		struct ramka_frame *one, **all = frame_table(17 * MIB / PAGE);
		size_t got;

		f->grown = true;
		for (unsigned p = 0; p < n; p++) {
			ramka_paddr_t base = FIRST_LATE + piece[p][0] * PAGE;
			uint64_t nr = piece[p][1] - piece[p][0];
			bool hole = piece[p][0] < 8 * MIB / PAGE, both = hole && piece[p][1] > 8 * MIB / PAGE;

			if (p % 97 == 0) {
				assert_int_equal(ramka_frame_from_in_use(f->r, base, &one), hole ? RAMKA_E_OUT_OF_BOUND : 0);
				if (!hole)
					ramka_frame_put(f->cpu[0], one);
			}
			assert_int_equal(add(f, base, nr * PAGE), 0);
			assert_int_equal(add(f, base + (nr - 1) * PAGE, PAGE), RAMKA_E_IN_USE);
			usable += nr;
			total += both ? 8 * MIB / PAGE - piece[p][0] : hole ? nr : 0;
			if (p % 97 == 0) {
				assert_int_equal(ramka_frame_from_in_use(f->r, base, &one), RAMKA_E_UNUSED);
				AUDIT(f);
			}
		}
		AUDIT(f);
		assert_int_equal(stats(f).free, usable);
		assert_int_equal(stats(f).total, total);
		assert_int_equal(stats(f).free, 17 * MIB / PAGE);
		assert_int_equal(stats(f).reserved, 0);
		assert_int_equal(tally(f).state[RAMKA_STATE_FREE], 17 * MIB / PAGE);
		got = alloc_all(f->cpu[0], UNINIT, all, 17 * MIB / PAGE);
		assert_int_equal(got, 17 * MIB / PAGE);
		put_all(f->cpu[1], all, got);
		offline_all(f);
		one = must_alloc(f->cpu[1], order_req(11)); /* 8 MiB, out of what came in pieces */
		assert_true(ramka_frame_paddr(f->r, one) == BASE || ramka_frame_paddr(f->r, one) == BASE + 8 * MIB);
		ramka_frame_put(f->cpu[1], one);
		free(all);
		CLOSE(f);
	}
}

/* A whole GiB at once: blocks are whole at once, and one frame is all of it. */
static void a_gib_at_once(void **state)
{
	static const struct ramka_region g[] = { { 4 * GIB, 2 * MIB, RAMKA_USABLE, 0 }, { 7 * GIB, 2 * MIB, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 2, .meta_size = RAMKA_META_NONE,
							.flags = RAMKA_NO_DIRECT_MAP });
	struct ramka_frame *huge;

	(void)state;
	f->grown = true;
	assert_int_equal(add(f, 5 * GIB, GIB), 0);
	assert_int_equal(stats(f).free_huge, 512 + 2);
	assert_int_equal(stats(f).free_by_order[18], 1);
	huge = must_alloc(f->cpu[0], order_req(18));
	assert_true(ramka_frame_paddr(f->r, huge) == 5 * GIB);
	ramka_frame_put(f->cpu[0], huge);
	assert_int_equal(add(f, 6 * GIB, 3 * PAGE), 0);
	assert_int_equal(add(f, 6 * GIB + 5 * MIB - PAGE, 7 * MIB), 0);
	AUDIT(f);
	CLOSE(f);
}

/* What the map ends with may be a hole inside the span: it is as any other. */
static void the_last_hole(void **state)
{
	static const struct ramka_region g[] = {
		{ BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_MMIO, 0 }, { BASE + 3 * MIB, MIB, RAMKA_MMIO, 0 },
	};
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = 3 });

	(void)state;
	f->grown = true;
	assert_int_equal(add(f, BASE + 3 * MIB + PAGE, MIB - PAGE), 0);
	assert_int_equal(state_at(f, BASE + 3 * MIB + PAGE), RAMKA_STATE_FREE);
	assert_int_equal(state_at(f, BASE + MIB + PAGE), RAMKA_STATE_HOLE);
	assert_int_equal(add(f, BASE + 3 * MIB, 2 * PAGE), RAMKA_E_IN_USE);
	assert_int_equal(add(f, BASE + 4 * MIB, PAGE), RAMKA_E_OUT_OF_BOUND);
	AUDIT(f);
	assert_int_equal(add(f, BASE + MIB, MIB), 0);
	assert_int_equal(add(f, BASE + 3 * MIB, PAGE), 0);
	assert_int_equal(stats(f).free, 4 * MIB / PAGE);
	CLOSE(f);
}

/* ---- sizes ---- */

static void sizes_follow_the_memory(void **state)
{
	static const struct ramka_region boot[] = { { MIB, 64 * 1024, RAMKA_USABLE, 0 }, { 4 * GIB, GIB, RAMKA_RECLAIMABLE, 0 } };
	static const struct ramka_region whole[] = { { MIB, 64 * 1024, RAMKA_USABLE, 0 }, { 4 * GIB, GIB, RAMKA_USABLE, 0 } };
	struct spec late_spec = { .regions = boot, .nr_regions = 2, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP };
	struct spec whole_spec = { .regions = whole, .nr_regions = 2, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP };
	struct fixture *f, *w;

	(void)state;
	for (unsigned fixed = 0; fixed < 2; fixed++) {
		late_spec.high_water = whole_spec.high_water = fixed ? 77 : 0;
		f = fixture_open(late_spec);
		w = fixture_open(whole_spec);
		f->grown = true;
		assert_true(ramka_load(&f->r->batch, relaxed, stat) < ramka_load(&w->r->batch, relaxed, stat));
		assert_int_equal(add(f, 4 * GIB, GIB), 0);
		assert_int_equal(ramka_load(&f->r->batch, relaxed, stat), ramka_load(&w->r->batch, relaxed, stat));
		assert_int_equal(ramka_load(&f->r->tell_max, relaxed, stat), ramka_load(&w->r->tell_max, relaxed, stat));
		assert_int_equal(ramka_load(&f->r->high_water, relaxed, stat), ramka_load(&w->r->high_water, relaxed, stat));
		assert_int_equal(ramka_load(&f->r->high_water, relaxed, stat), fixed ? 77 : 4096);
		CLOSE(f);
		CLOSE(w);
	}
}

static void sizes_have_a_floor(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .size = 16 * MIB, .nr_cpus = 256, .flags = RAMKA_NO_DIRECT_MAP, .rcu = true });
	struct ramka_frame *one = must_alloc(f->none, UNINIT);

	(void)state;
	assert_true(ramka_load(&f->r->batch, relaxed, stat) >= 1);
	assert_true(ramka_load(&f->r->tell_max, relaxed, stat) >= 1);
	assert_int_equal(ramka_load(&f->r->high_water, relaxed, stat), 16);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0); /* the first one is no pressure */
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(ramka_fini(f->r), 0);
	fixture_unmap(f);
	f = fixture_open((struct spec){ .size = MIB, .nr_cpus = 256 }); /* one frame for each */
	assert_int_equal(ramka_load(&f->r->batch, relaxed, stat), 1);
	assert_int_equal(ramka_load(&f->r->tell_max, relaxed, stat), 1);
	assert_int_equal(ramka_fini(f->r), 0);
	fixture_unmap(f);
}

/* ---- nodes ---- */

static void late_memory_is_of_its_node(void **state)
{
	static const struct ramka_region g[] = {
		{ BASE, MIB, RAMKA_USABLE, 0 }, { BASE + 2 * MIB, MIB, RAMKA_USABLE, 1 },
		{ BASE + 8 * MIB, MIB, RAMKA_USABLE, 0 }, { BASE + 9 * MIB, MIB, RAMKA_USABLE, 1 },
	};
	struct ramka_region late = { BASE + 4 * MIB, MIB, RAMKA_USABLE, 0 };
	struct ramka_request only = { .node = RAMKA_NODE(1), .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g) });
	struct ramka_frame **all = frame_table(2048);
	size_t n;

	(void)state;
	f->grown = true;
	for (uint32_t node = 0; node <= UINT16_MAX; node += node == 1 ? 65530 : 1) { /* node 1 has the memory below */
		late.node = node;
		if (node != 1)
			assert_int_equal(ramka_add_memory(f->r, &late), RAMKA_E_OUT_OF_BOUND);
	}
	late.node = 1;
	assert_int_equal(ramka_add_memory(f->r, &late), 0);
	n = alloc_all(f->cpu[0], only, all, 2048);
	assert_int_equal(n, 3 * 256);
	AUDIT(f);
	put_all(f->cpu[0], all, n);
	only.node = RAMKA_NODE(0);
	assert_int_equal(alloc_all(f->cpu[0], only, all, 2048), 2 * 256);
	put_all(f->cpu[0], all, 2 * 256);
	for (uint32_t node = 65534; node <= 65536 + 2; node++) { /* no such node: not the own one, nor one of those there are */
		only.node = RAMKA_NODE(node);
		assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, only));
	}
	free(all);
	CLOSE(f);
}

/* 300 nodes, more than are collected at a time, in no order; each gives what it has and no more. */
static void many_nodes(void **state)
{
	struct ramka_region g[600];
	struct ramka_request only = { .flags = RAMKA_ALLOC_NODE_ONLY | RAMKA_ALLOC_UNINIT };
	struct fixture *f;

	(void)state;
	for (unsigned i = 0; i < 300; i++) { /* node 7n has 1 + n % 5 frames, twice */
		unsigned n = i * 7919 % 300;

		g[2 * i] = (struct ramka_region){ BASE + n * 8 * PAGE, (1 + n % 5) * PAGE, RAMKA_USABLE, 7 * n };
		g[2 * i + 1] = (struct ramka_region){ BASE + 64 * MIB + n * 8 * PAGE, (1 + n % 5) * PAGE, RAMKA_USABLE, 7 * n };
	}
	f = fixture_open((struct spec){ .regions = g, .nr_regions = 600, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
	assert_int_equal(f->r->nr_zones, 300);
	for (unsigned n = 0; n < 300; n++) {
		struct ramka_frame *all[16];
		size_t got;

		only.node = RAMKA_NODE(7 * n);
		got = alloc_all(f->cpu[0], only, all, 16);
		assert_int_equal(got, 2 * (1 + n % 5));
		put_all(f->cpu[0], all, got);
	}
	assert_int_equal(f->r->zones[5].exclusive, 0); /* their ranges overlap */
	CLOSE(f);
}

/* Which zones no other overlaps: every three ranges out of a few. */
static void exclusive_zones(void **state)
{
	(void)state;
	for (unsigned w = 0; w < 6 * 6 * 6 * 27; w++) {
		unsigned from[3] = { w % 6, w / 6 % 6, w / 36 % 6 }, size[3] = { 1 + w / 216 % 3, 1 + w / 648 % 3, 1 + w / 1944 % 3 };
		struct ramka_region g[6];
		struct fixture *f;
		bool clash = false;

		for (unsigned i = 0; i < 3; i++) /* each a frame at both ends of its range, at places of its own */
			for (unsigned end = 0; end < 2; end++)
				g[2 * i + end] = (struct ramka_region){ BASE + ((from[i] + end * size[i]) * 8 + i * 2 + end) * PAGE, PAGE, RAMKA_USABLE, i };
		for (unsigned i = 0; i < 6; i++)
			for (unsigned j = 0; j < i; j++)
				clash |= g[i].base == g[j].base;
		if (clash)
			continue;
		f = fixture_open((struct spec){ .regions = g, .nr_regions = 6, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
		for (unsigned i = 0; i < 3; i++) {
			bool alone = true;

			for (unsigned j = 0; j < 3; j++)
				if (i != j && g[2 * i].base <= g[2 * j + 1].base && g[2 * j].base <= g[2 * i + 1].base)
					alone = false;
			assert_int_equal(f->r->zones[i].exclusive, alone);
		}
		assert_int_equal(ramka_fini(f->r), 0);
		fixture_unmap(f);
	}
}

/* ---- zeroed metadata ---- */

static void a_lie_about_zeroed_metadata_is_seen(void **state)
{
	static const struct ramka_region g[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 64 * MIB, 4 * MIB, RAMKA_USABLE, 0 } };
	struct ramka_config cfg = { .regions = g, .nr_regions = 2, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP };
	struct ramka_region late = { BASE + 8 * MIB, 4 * MIB, RAMKA_USABLE, 0 };
	struct ramka *r;
	struct ramka_why why;
	size_t bytes;
	uint8_t *m;

	(void)state;
	assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
	m = map_pages(bytes);
	assert_int_equal(ramka_init(&cfg, m, bytes, &r), 0); /* an earlier life, with nothing in use at its end */
	assert_int_equal(ramka_fini(r), 0);
	cfg.flags |= RAMKA_METADATA_ZEROED;
	assert_int_equal(ramka_init_why(&cfg, m, bytes, &r, &why), RAMKA_E_INVAL);
	assert_string_equal(why.field, "metadata");
	memset(m, 0xa5, bytes);
	assert_int_equal(ramka_init(&cfg, m, bytes, &r), RAMKA_E_INVAL);
	memset(m, 0, bytes);
	assert_int_equal(ramka_init_why(&cfg, m, bytes, &r, &why), 0);
	assert_null(why.what);
	memset((void *)&r->slots[8 * MIB / PAGE], 0x11, 4 * MIB / PAGE * 16); /* a hole whose metadata was backed by what came first */
	assert_int_equal(ramka_add_memory_why(r, &late, &why), RAMKA_E_INVAL);
	assert_int_equal(ramka_check(r, NULL), 0);
	memset((void *)&r->slots[8 * MIB / PAGE], 0, 4 * MIB / PAGE * 16);
	assert_int_equal(ramka_add_memory_why(r, &late, &why), 0);
	assert_int_equal(ramka_check(r, NULL), 0);
	munmap(m, bytes);
}

/* Regions that begin at one address are sorted, so what there is to add later is known from them. */
static void regions_with_one_beginning(void **state)
{
	static const struct ramka_region same[] = { { GIB, 4 * GIB, RAMKA_USABLE, 0 }, { GIB, MIB, RAMKA_RESERVED, 0 } },
					 other[] = { { GIB, 4 * GIB, RAMKA_USABLE, 0 }, { GIB + MIB, MIB, RAMKA_RESERVED, 0 } };
	struct ramka_config cfg = { .regions = same, .nr_regions = 2, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP };
	size_t bytes, expected;

	(void)state;
	assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
	cfg.regions = other;
	assert_int_equal(ramka_metadata_size(&cfg, &expected), 0);
	assert_int_equal(bytes, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_of_holes_is_not_touched),
		cmocka_unit_test(pieces_in_any_order),
		cmocka_unit_test(a_gib_at_once),
		cmocka_unit_test(the_last_hole),
		cmocka_unit_test(sizes_follow_the_memory),
		cmocka_unit_test(sizes_have_a_floor),
		cmocka_unit_test(late_memory_is_of_its_node),
		cmocka_unit_test(many_nodes),
		cmocka_unit_test(exclusive_zones),
		cmocka_unit_test(a_lie_about_zeroed_metadata_is_seen),
		cmocka_unit_test(regions_with_one_beginning),
	};

	return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
