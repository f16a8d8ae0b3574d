/* SPDX-License-Identifier: MIT */
/* lib/setup/map.c alone: which kind each frame gets. Random maps are in tests/model/test_maps.c. */
#include "fixture.h"
#include "setup/map.h"

#define MAX_REGIONS 32u

struct built {
	struct map_event events[2 * (MAX_REGIONS + 1)];
	struct map_entry map[4 * (MAX_REGIONS + 1) + 3];
	size_t nr;
	int rc;
};

static struct built build(const struct ramka_region *g, size_t n, struct ramka_region meta)
{
	struct ramka_config cfg = { .regions = g, .nr_regions = n, .nr_cpus = 1 };
	struct map_span span;
	struct ramka_why why = { 0 };
	struct built b;

	memset((void *)&b, 0xa5, sizeof(b));
	assert_true(map_events(n) <= NELEMS(b.events));
	assert_true(map_pieces(n) <= NELEMS(b.map));
	assert_int_equal(map_span(&cfg, &span, &why), 0);
	b.rc = map_build(&cfg, &span, &meta, b.events, b.map, &b.nr, &why);
	assert_int_equal(why.error, b.rc);
	assert_true(!why.what == !b.rc);
	if (b.rc)
		return b;
	assert_int_equal(b.map[0].first, span.first);
	assert_true(b.nr >= 1 && b.nr <= map_pieces(n));
	assert_int_equal(b.map[b.nr - 1].kind, MAP_HOLE); /* without end */
	for (size_t i = 1; i < b.nr; i++) {
		assert_true(b.map[i].first > b.map[i - 1].first);
		assert_true(b.map[i].kind != b.map[i - 1].kind || b.map[i].node != b.map[i - 1].node);
	}
	return b;
}

static const struct map_entry *at(const struct built *b, uint64_t frame)
{
	static const struct map_entry below = { .kind = MAP_HOLE };
	size_t i = b->nr;

	if (frame < b->map[0].first)
		return &below;
	while (b->map[--i].first > frame)
		;
	return &b->map[i];
}

static const struct ramka_region no_meta;

#define BUILD(g) build(g, NELEMS(g), no_meta)

static struct map_span span_of_map(const struct ramka_region *g, size_t n)
{
	struct ramka_config cfg = { .regions = g, .nr_regions = n, .nr_cpus = 1 };
	struct ramka_why why = { 0 };
	struct map_span span;

	assert_int_equal(map_span(&cfg, &span, &why), 0);
	return span;
}

static void spans(void **state)
{
	const struct ramka_region g[] = {
		{ 0x9000, 0x1000, RAMKA_RESERVED, 0 },
		{ 0x3800, 0x900, RAMKA_USABLE, 0 }, /* touches frames 3 and 4 */
		{ 0x100000, 0, RAMKA_USABLE, 0 },   /* empty */
		{ 0x200000, 0x1000, RAMKA_MMIO, 0 },
	};
	struct map_span span = span_of_map(g, NELEMS(g));

	(void)state;
	assert_int_equal(span.first, 3);
	assert_int_equal(span.end, 0xa);
	span = span_of_map(g, 0);
	assert_int_equal(span.first, span.end);
}

/* Slots are for what may be handed out, and for what is withheld near it: as near as there is such memory, and 16 MiB. */
static void withheld_memory_far_away_has_no_slots(void **state)
{
	static const enum ramka_region_kind withheld[] = { RAMKA_RESERVED, RAMKA_BAD, RAMKA_KERNEL };

	(void)state;
	for (unsigned i = 0; i < NELEMS(withheld); i++) {
		const struct ramka_region far[] = { { GIB, 128 * MIB, RAMKA_USABLE, 0 },
						    { UINT64_C(0xfd00000000), 12 * GIB, withheld[i], 0 },
						    { 0, MIB, withheld[i], 0 } };
		const struct ramka_region near[] = { { GIB, 128 * MIB, RAMKA_USABLE, 0 },
						     { GIB - 144 * MIB, 16 * MIB, withheld[i], 0 },     /* as far as may be */
						     { GIB - 144 * MIB - PAGE, PAGE, withheld[i], 0 },  /* one page more */
						     { GIB + 200 * MIB, GIB, withheld[i], 0 } };        /* a part of it */
		const struct ramka_region nothing_else[] = { { 0x9000, 0x1000, withheld[i], 0 }, { 64 * MIB, MIB, withheld[i], 0 } };
		struct map_span span = span_of_map(far, NELEMS(far));

		assert_int_equal(span.first, GIB / PAGE);
		assert_int_equal(span.end, (GIB + 128 * MIB) / PAGE);
		span = span_of_map(near, NELEMS(near));
		assert_int_equal(span.first, (GIB - 144 * MIB) / PAGE);
		assert_int_equal(span.end, (GIB + 272 * MIB) / PAGE);
		span = span_of_map(nothing_else, NELEMS(nothing_else));
		assert_int_equal(span.first, 9);
		assert_int_equal(span.end, 10);
	}
	for (unsigned kind = RAMKA_USABLE; kind <= RAMKA_RECLAIMABLE; kind++) { /* what may be handed out counts wherever it is */
		const struct ramka_region g[] = { { GIB, MIB, RAMKA_USABLE, 0 }, { TIB, PAGE, (enum ramka_region_kind)kind, 0 } };

		assert_int_equal(span_of_map(g, 2).end, TIB / PAGE + 1);
	}
}

/* A part of a frame is memory only with a neighbour that has the rest, so alone and far away it has no slots either. */
static void parts_of_a_frame_far_away_have_no_slots(void **state)
{
	(void)state;
	for (unsigned kind = RAMKA_USABLE; kind <= RAMKA_RECLAIMABLE; kind++) {
		const enum ramka_region_kind k = (enum ramka_region_kind)kind;
		const struct ramka_region alone[] = { { GIB, MIB, RAMKA_USABLE, 0 }, { TIB + 8, PAGE - 8, k, 0 }, { 64 * TIB + 100, PAGE, k, 0 },
						      { 5, 1, k, 0 } };
		const struct ramka_region touching[] = { { TIB, MIB, RAMKA_USABLE, 0 }, { TIB + MIB, 100, k, 0 }, { TIB - 100, 100, k, 0 } };
		const struct ramka_region whole[] = { { GIB, MIB, RAMKA_USABLE, 0 }, { TIB + 8, 2 * PAGE - 8, k, 0 } };
		struct map_span span = span_of_map(alone, NELEMS(alone));

		assert_int_equal(span.first, GIB / PAGE);
		assert_int_equal(span.end, (GIB + MIB) / PAGE);
		span = span_of_map(touching, NELEMS(touching));
		assert_int_equal(span.first, TIB / PAGE - 1);
		assert_int_equal(span.end, (TIB + MIB) / PAGE + 1);
		assert_int_equal(span_of_map(whole, NELEMS(whole)).end, TIB / PAGE + 2);
	}
}

static void rejects_nonsense(void **state)
{
	const struct ramka_region bad[] = {
		{ 0x1000, UINT64_MAX, RAMKA_USABLE, 0 },
		{ UINT64_MAX, 2, RAMKA_USABLE, 0 },
		{ UINT64_MAX, 2, RAMKA_MMIO, 0 },
		{ UINT64_MAX - 0xfff, 0x1000, RAMKA_USABLE, 0 }, /* the last page */
		{ UINT64_MAX - 0xfff, 1, RAMKA_RECLAIMABLE, 0 },
		{ 0x1000, 0x1000, (enum ramka_region_kind)7, 0 },
		{ 0x1000, 0x1000, (enum ramka_region_kind)-1, 0 },
		{ 0x1000, 0x1000, RAMKA_USABLE, 65535 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++) {
		const struct ramka_region g[] = { { 0x1000, 0x1000, RAMKA_USABLE, 0 }, bad[i] };
		struct ramka_config cfg = { .regions = g, .nr_regions = 2, .nr_cpus = 1 };
		struct ramka_why why = { 0 };
		struct map_span span;

		assert_int_equal(map_span(&cfg, &span, &why), RAMKA_E_INVAL);
		assert_int_equal(why.error, RAMKA_E_INVAL);
		assert_int_equal(why.index, 1);
		assert_non_null(why.what);
		assert_non_null(why.field);
	}
}

/* Nothing is asked of a region without bytes. */
static void empty_regions_are_ignored(void **state)
{
	const struct ramka_region g[] = { { 0x10000, 0x1000, RAMKA_USABLE, 0 }, { UINT64_MAX, 0, RAMKA_RESERVED, 0 },
					  { UINT64_MAX - 0xfff, 0, RAMKA_USABLE, 0 }, { 0, 0, (enum ramka_region_kind)99, 0 },
					  { 5, 0, RAMKA_MMIO, UINT32_MAX } };
	struct built b = BUILD(g);

	(void)state;
	assert_int_equal(b.rc, 0);
	assert_int_equal(b.nr, 2);
	assert_int_equal(at(&b, 0x10)->kind, RAMKA_USABLE);
}

/* What is not handed out may end where the address space ends, or be all of it. */
static void up_to_the_end_of_the_address_space(void **state)
{
	static const enum ramka_region_kind kinds[] = { RAMKA_RESERVED, RAMKA_BAD, RAMKA_KERNEL, RAMKA_MMIO };

	(void)state;
	for (unsigned i = 0; i < NELEMS(kinds); i++) {
		const struct ramka_region top[] = { { 0x10000, 0x1000, RAMKA_USABLE, 0 }, { 0 - 2 * MIB, 2 * MIB, kinds[i], 0 } };
		const struct ramka_region all[] = { { 0x10000, 0x1000, RAMKA_USABLE, 0 }, { 0, UINT64_MAX, kinds[i], 0 } };
		struct built b = BUILD(top);

		assert_int_equal(at(&b, 0x10)->kind, RAMKA_USABLE);
		assert_int_equal(at(&b, 0x11)->kind, MAP_HOLE);
		b = BUILD(all);
		assert_int_equal(at(&b, 0x10)->kind, kinds[i] == RAMKA_MMIO ? MAP_HOLE : (uint32_t)kinds[i]);
	}
}

static void every_pair_of_kinds(void **state)
{
	/* from the least to the most restrictive */
	static const enum ramka_region_kind order[] = { RAMKA_USABLE, RAMKA_DETACHED, RAMKA_RECLAIMABLE, RAMKA_RESERVED,
							RAMKA_KERNEL, RAMKA_BAD, RAMKA_MMIO };

	(void)state;
	for (unsigned i = 0; i < NELEMS(order); i++)
		for (unsigned j = 0; j < NELEMS(order); j++)
			for (unsigned swap = 0; swap < 2; swap++) {
				struct ramka_region g[] = { { 0x10000, 0x4000, order[i], 0 }, { 0x12000, 0x4000, order[j], 0 } };
				struct ramka_region t = g[0];
				uint32_t first = order[i] == RAMKA_MMIO ? MAP_HOLE : (uint32_t)order[i];
				uint32_t last = order[j] == RAMKA_MMIO ? MAP_HOLE : (uint32_t)order[j];
				struct built b;

				if (swap) {
					g[0] = g[1];
					g[1] = t;
				}
				b = BUILD(g);
				assert_int_equal(b.rc, 0);
				assert_int_equal(at(&b, 0x10)->kind, first);
				assert_int_equal(at(&b, 0x11)->kind, first);
				assert_int_equal(at(&b, 0x12)->kind, i > j ? first : last);
				assert_int_equal(at(&b, 0x13)->kind, i > j ? first : last);
				assert_int_equal(at(&b, 0x14)->kind, last);
				assert_int_equal(at(&b, 0x15)->kind, last);
				assert_int_equal(at(&b, 0x16)->kind, MAP_HOLE);
			}
}

/* A frame that two regions share, without overlap: the more restrictive has it. At a hole some round in, some out. */
static void every_pair_in_one_frame(void **state)
{
	static const enum ramka_region_kind order[] = { RAMKA_USABLE, RAMKA_DETACHED, RAMKA_RECLAIMABLE, RAMKA_RESERVED,
							RAMKA_KERNEL, RAMKA_BAD, RAMKA_MMIO };

	(void)state;
	for (unsigned i = 0; i < NELEMS(order); i++)
		for (unsigned j = 0; j < NELEMS(order); j++) {
			const struct ramka_region g[] = { { 0x10000, 0x1801, order[i], 5 }, { 0x11801, 0x1800, order[j], 7 } };
			enum ramka_region_kind more = order[i > j ? i : j];
			struct built b = BUILD(g);

			assert_int_equal(b.rc, 0);
			assert_int_equal(at(&b, 0x11)->kind, more == RAMKA_MMIO ? MAP_HOLE : (uint32_t)more);
			assert_int_equal(at(&b, 0x11)->node, more == RAMKA_MMIO ? 0 : i >= j ? 5 : 7); /* of the region that has it */
			/* the last frame: half a hole */
			assert_int_equal(at(&b, 0x13)->kind, j < 3 || order[j] == RAMKA_MMIO ? MAP_HOLE : (uint32_t)order[j]);
		}
	for (unsigned i = 0; i < NELEMS(order); i++) {
		const struct ramka_region one_byte[] = { { 0x10fff, 1, order[i], 0 } };
		const struct ramka_region around[] = { { 0x10800, 0x1800, order[i], 0 } };
		uint32_t want = i < 3 || order[i] == RAMKA_MMIO ? MAP_HOLE : (uint32_t)order[i];
		struct built b = BUILD(one_byte);

		assert_int_equal(at(&b, 0x10)->kind, want);
		assert_int_equal(at(&b, 0x11)->kind, MAP_HOLE);
		b = BUILD(around);
		assert_int_equal(at(&b, 0x10)->kind, want);
		assert_int_equal(at(&b, 0x11)->kind, order[i] == RAMKA_MMIO ? MAP_HOLE : (uint32_t)order[i]);
	}
}

static void three_regions_in_one_frame(void **state)
{
	const struct ramka_region g[] = { { 0x10000, 0x400, RAMKA_USABLE, 0 },
					  { 0x10400, 0x400, RAMKA_BAD, 0 },
					  { 0x10800, 0x800, RAMKA_USABLE, 0 } };
	struct built b = BUILD(g);

	(void)state;
	assert_int_equal(at(&b, 0x10)->kind, RAMKA_BAD);
	assert_int_equal(at(&b, 0x11)->kind, MAP_HOLE);
}

static void adjacent_parts_make_a_frame(void **state)
{
	const struct ramka_region g[] = { { 0x10000, 0x800, RAMKA_USABLE, 0 }, { 0x10800, 0x800, RAMKA_USABLE, 0 } };
	struct built b = BUILD(g);

	(void)state;
	assert_int_equal(at(&b, 0x10)->kind, RAMKA_USABLE);
}

static void usable_twice_is_usable_once(void **state)
{
	const struct ramka_region g[] = { { 0x10000, 0x4000, RAMKA_USABLE, 3 }, { 0x11000, 0x1000, RAMKA_USABLE, 3 },
					  { 0x10000, 0x4000, RAMKA_USABLE, 3 } };
	struct built b = BUILD(g);

	(void)state;
	assert_int_equal(b.rc, 0);
	assert_int_equal(at(&b, 0x10)->kind, RAMKA_USABLE);
	assert_int_equal(at(&b, 0x10)->node, 3);
	assert_int_equal(at(&b, 0x13)->first, 0x10); /* one piece */
	assert_int_equal(at(&b, 0x14)->kind, MAP_HOLE);
}

static void nodes(void **state)
{
	const struct ramka_region apart[] = { { 0x10000, 0x4000, RAMKA_USABLE, 1 }, { 0x14000, 0x4000, RAMKA_USABLE, 2 },
					      { 0x18000, 0x4000, RAMKA_USABLE, 1 } };
	const struct ramka_region one_byte[] = { { 0x10000, 0x4001, RAMKA_USABLE, 1 }, { 0x14000, 0x4000, RAMKA_USABLE, 2 } };
	const struct ramka_region inside[] = { { 0x14000, 0x1000, RAMKA_USABLE, 2 }, { 0x10000, 0x9000, RAMKA_USABLE, 1 } };
	const struct ramka_region hidden[] = { { 0x10000, 0x4000, RAMKA_USABLE, 1 }, { 0x12000, 0x4000, RAMKA_USABLE, 2 },
					       { 0x10000, 0x8000, RAMKA_RESERVED, 0 } };
	const struct ramka_region not_usable[] = { { 0x10000, 0x4000, RAMKA_USABLE, 1 }, { 0x12000, 0x4000, RAMKA_DETACHED, 2 } };
	struct built b = BUILD(apart);

	(void)state;
	assert_int_equal(b.rc, 0);
	assert_int_equal(at(&b, 0x13)->node, 1);
	assert_int_equal(at(&b, 0x14)->node, 2);
	assert_int_equal(at(&b, 0x18)->node, 1);
	assert_int_equal(BUILD(one_byte).rc, RAMKA_E_INVAL);
	assert_int_equal(BUILD(inside).rc, RAMKA_E_INVAL);
	assert_int_equal(BUILD(hidden).rc, RAMKA_E_INVAL);
	assert_int_equal(BUILD(not_usable).rc, 0);
}

/* The node of a stretch is that of a region of its kind, also behind a region of another kind and node. */
static void a_node_is_that_of_its_own_region(void **state)
{
	const struct ramka_region g[] = { { 0x10000, 0x8000, RAMKA_RECLAIMABLE, 1 }, { 0x12000, 0x2000, RAMKA_RESERVED, 2 },
					  { 0x13000, 0x4000, RAMKA_USABLE, 3 } };
	struct built b = BUILD(g);

	(void)state;
	assert_int_equal(at(&b, 0x10)->node, 1);
	assert_int_equal(at(&b, 0x12)->node, 2);
	assert_int_equal(at(&b, 0x14)->kind, RAMKA_RECLAIMABLE);
	assert_int_equal(at(&b, 0x14)->node, 1);
	assert_int_equal(at(&b, 0x17)->node, 1);
}

/* The metadata's own memory turns what would be handed out into reserved frames, rounded outward, and nothing else. */
static void metadata_takes_its_frames(void **state)
{
	const struct ramka_region g[] = { { 0x10000, 0x4000, RAMKA_USABLE, 0 }, { 0x14000, 0x2000, RAMKA_KERNEL, 0 },
					  { 0x17000, 0x1000, RAMKA_DETACHED, 0 }, { 0x18000, 0x1000, RAMKA_RECLAIMABLE, 0 } };
	const struct ramka_region meta = { 0x11800, 0x7000, RAMKA_USABLE, 0 };
	struct built b = build(g, NELEMS(g), meta);

	(void)state;
	assert_int_equal(b.rc, 0);
	assert_int_equal(at(&b, 0x10)->kind, RAMKA_USABLE);
	assert_int_equal(at(&b, 0x11)->kind, MAP_METADATA);
	assert_int_equal(at(&b, 0x13)->kind, MAP_METADATA);
	assert_int_equal(at(&b, 0x14)->kind, RAMKA_KERNEL);
	assert_int_equal(at(&b, 0x15)->kind, RAMKA_KERNEL);
	assert_int_equal(at(&b, 0x16)->kind, MAP_HOLE);
	assert_int_equal(at(&b, 0x17)->kind, MAP_METADATA);
	assert_int_equal(at(&b, 0x18)->kind, MAP_METADATA); /* half of it */
	assert_int_equal(at(&b, 0x19)->kind, MAP_HOLE);
}

static void order_of_regions_does_not_matter(void **state)
{
	struct ramka_region g[MAX_REGIONS];
	struct built sorted, b;
	uint64_t seed = 5;

	(void)state;
	for (unsigned i = 0; i < MAX_REGIONS; i++)
		g[i] = (struct ramka_region){ 0x10000 + random_next(&seed) % 0x40000, random_next(&seed) % 0x9000,
					      (enum ramka_region_kind)(random_next(&seed) % 7), 0 };
	sorted = BUILD(g);
	assert_int_equal(sorted.rc, 0);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = MAX_REGIONS; i-- > 1;) {
			unsigned j = (unsigned)(random_next(&seed) % (i + 1));
			struct ramka_region t = g[i];

			g[i] = g[j];
			g[j] = t;
		}
		b = BUILD(g);
		assert_int_equal(b.nr, sorted.nr);
		for (size_t i = 0; i < b.nr; i++) {
			assert_int_equal(b.map[i].first, sorted.map[i].first);
			assert_int_equal(b.map[i].kind, sorted.map[i].kind);
		}
	}
}

static void the_ends_of_the_address_space(void **state)
{
	const struct ramka_region g[] = { { 0, 0x2000, RAMKA_USABLE, 0 }, { UINT64_C(1) << 52, 0x1000, RAMKA_USABLE, 0 },
					  { UINT64_MAX - 0x3fff, 0x1000, RAMKA_DETACHED, 0 } };
	struct built b = BUILD(g);

	(void)state;
	assert_int_equal(b.rc, 0);
	assert_int_equal(at(&b, 0)->kind, RAMKA_USABLE);
	assert_int_equal(at(&b, 1)->kind, RAMKA_USABLE);
	assert_int_equal(at(&b, 2)->kind, MAP_HOLE);
	assert_int_equal(at(&b, UINT64_C(1) << 40)->kind, RAMKA_USABLE);
	assert_int_equal(at(&b, (UINT64_C(1) << 52) - 4)->kind, RAMKA_DETACHED);
	assert_int_equal(at(&b, (UINT64_C(1) << 52) - 3)->kind, MAP_HOLE);
	assert_int_equal(span_of_map(g, NELEMS(g)).first, 0);
	assert_true(span_of_map(g, NELEMS(g)).end == (UINT64_C(1) << 52) - 3);
}

/* Every region that ends in the last but one page, and at any byte of it, is followed by the hole without end. */
static void the_last_piece_is_not_lost(void **state)
{
	const ramka_paddr_t top = UINT64_MAX - 0x1fff; /* the last page but one */

	(void)state;
	for (unsigned kind = RAMKA_USABLE; kind < RAMKA_MMIO; kind++)
		for (uint64_t bytes = 0; bytes < 0x1000; bytes += 0x155) {
			const struct ramka_region g = { top - 0x3000, 0x3000 + bytes, (enum ramka_region_kind)kind, 0 };
			struct built b = build(&g, 1, no_meta);
			bool outward = bytes && kind >= RAMKA_RESERVED;

			assert_int_equal(b.rc, 0);
			assert_int_equal(at(&b, frame_of(top) - 3)->kind, kind);
			assert_int_equal(at(&b, frame_of(top) - 1)->kind, kind);
			assert_int_equal(at(&b, frame_of(top))->kind, outward ? kind : MAP_HOLE);
			assert_int_equal(at(&b, frame_of(top) + 1)->kind, MAP_HOLE);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans),
		cmocka_unit_test(withheld_memory_far_away_has_no_slots),
		cmocka_unit_test(parts_of_a_frame_far_away_have_no_slots),
		cmocka_unit_test(rejects_nonsense),
		cmocka_unit_test(empty_regions_are_ignored),
		cmocka_unit_test(up_to_the_end_of_the_address_space),
		cmocka_unit_test(every_pair_of_kinds),
		cmocka_unit_test(every_pair_in_one_frame),
		cmocka_unit_test(three_regions_in_one_frame),
		cmocka_unit_test(adjacent_parts_make_a_frame),
		cmocka_unit_test(usable_twice_is_usable_once),
		cmocka_unit_test(nodes),
		cmocka_unit_test(a_node_is_that_of_its_own_region),
		cmocka_unit_test(metadata_takes_its_frames),
		cmocka_unit_test(order_of_regions_does_not_matter),
		cmocka_unit_test(the_ends_of_the_address_space),
		cmocka_unit_test(the_last_piece_is_not_lost),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
