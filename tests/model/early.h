/* SPDX-License-Identifier: MIT */
/*
 * A map, requests and gifts to the early allocator, and what ramka_init makes of them, all drawn by draw(n), a number below
 * n: from a seed (test_early.c) or from the fuzzer (fuzz/early.c). A picture of the memory, a byte for each byte, says what each
 * call must answer. Define EXPECT(condition) before.
 */
#ifndef RAMKA_TESTS_MODEL_EARLY_H
#define RAMKA_TESTS_MODEL_EARLY_H

#include <stdlib.h>
#include <string.h>

#include <ramka/ramka.h>

#define PAGES 24u
#define AREA (PAGES * RAMKA_PAGE_SIZE)
#define MOST_REGIONS 12u
#define MOST_RANGES 40u

static unsigned draw(unsigned n);

/* What a byte is. */
enum { NOTHING, WITHHELD, MEMORY, TAKEN, TYPED };

struct note { uint64_t value; };
static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 20);

static struct {
	ramka_paddr_t base;
	struct ramka_region region[MOST_REGIONS];
	size_t nr_regions, max_ranges;
	uint8_t byte[AREA];     /* as above */
	uint8_t node[PAGES];
	struct ramka_early e;
	_Alignas(64) uint8_t memory[RAMKA_EARLY_BYTES(MOST_REGIONS, MOST_RANGES)];
	_Alignas(64) uint8_t metadata[1u << 19];
} early;

/* Usable regions of one node each, side by side or apart, and others over them. The first byte of address 0's page is nobody's. */
static void draw_map(void)
{
	static const enum ramka_region_kind over[] = { RAMKA_DETACHED, RAMKA_RESERVED, RAMKA_KERNEL, RAMKA_MMIO, RAMKA_BAD };
	unsigned at = 0;

	memset(early.byte, NOTHING, sizeof(early.byte));
	early.base = draw(3) ? (ramka_paddr_t)(3u << 30) - 5 * RAMKA_PAGE_SIZE : 0;
	early.nr_regions = 0;
	while (at < PAGES && early.nr_regions < 7) { /* pages [at, at + n) usable, then a gap */
		unsigned n = 1 + draw(9), node = draw(3) == 0;

		n = n < PAGES - at ? n : PAGES - at;
		early.region[early.nr_regions++] = (struct ramka_region){ early.base + at * RAMKA_PAGE_SIZE, (uint64_t)n * RAMKA_PAGE_SIZE,
									  RAMKA_USABLE, node };
		memset(early.byte + at * RAMKA_PAGE_SIZE, MEMORY, n * RAMKA_PAGE_SIZE);
		memset(early.node + at, (int)node, n);
		at += n + draw(3);
	}
	for (unsigned i = draw(5); i > 0; i--) { /* to the byte; whole pages are lost */
		unsigned from = draw(AREA), size = 1 + draw(6000);

		size = size < AREA - from ? size : AREA - from;
		early.region[early.nr_regions++] = (struct ramka_region){ early.base + from, size, over[draw(5)], 0 };
		for (unsigned page = from / RAMKA_PAGE_SIZE; page <= (from + size - 1) / RAMKA_PAGE_SIZE; page++)
			memset(early.byte + page * RAMKA_PAGE_SIZE, WITHHELD, RAMKA_PAGE_SIZE);
	}
	if (!early.base)
		memset(early.byte, WITHHELD, RAMKA_PAGE_SIZE);
	for (unsigned i = (unsigned)early.nr_regions; i-- > 1;) {
		unsigned j = draw(i + 1);
		struct ramka_region swap = early.region[i];

		early.region[i] = early.region[j];
		early.region[j] = swap;
	}
}

static bool all_of(unsigned from, unsigned size, uint8_t what)
{
	for (unsigned i = from; i < from + size; i++)
		if (early.byte[i] != what)
			return false;
	return true;
}

/* The bytes are free, of one node, and as the request wants them. */
static bool fits(unsigned at, unsigned size, unsigned align, const struct ramka_early_limits *l)
{
	ramka_paddr_t pa = early.base + at;

	if (size > AREA - at || pa % align || pa < l->low || (l->high && pa + size > l->high))
		return false;
	for (unsigned page = at / RAMKA_PAGE_SIZE; page <= (at + size - 1) / RAMKA_PAGE_SIZE; page++)
		if (early.node[page] != early.node[at / RAMKA_PAGE_SIZE] || (l->node && early.node[page] != l->node - 1u))
			return false;
	return all_of(at, size, MEMORY);
}

static void ask_early(void)
{
	struct ramka_early_limits l = { 0 };
	unsigned size = 1 + draw(draw(2) ? 200 : 3 * RAMKA_PAGE_SIZE), align = 1u << draw(15), full = (unsigned)early.e.nr_ranges;
	bool possible = false, typed = draw(4) == 0;
	ramka_paddr_t pa = 77;
	int rc;

	if (typed) {
		l.type = draw(2) ? &note_type : &ramka_type_untyped;
		size = (size + RAMKA_PAGE_SIZE - 1) / RAMKA_PAGE_SIZE * RAMKA_PAGE_SIZE;
		align = align < RAMKA_PAGE_SIZE ? RAMKA_PAGE_SIZE : align;
	}
	if (draw(4) == 0)
		l.low = early.base + draw(AREA);
	if (draw(4) == 0)
		l.high = early.base + draw(AREA) + 1;
	if (draw(4) == 0)
		l.node = RAMKA_NODE(draw(3));
	rc = ramka_early_alloc(&early.e, size, align, &l, &pa);
	if (rc) {
		for (unsigned at = 0; at < AREA && !possible; at++)
			possible = fits(at, size, align, &l);
		EXPECT(rc == RAMKA_E_NOMEM && pa == 77);
		EXPECT(!possible || full == early.max_ranges);
		return;
	}
	EXPECT(pa >= early.base && pa - early.base < AREA && fits((unsigned)(pa - early.base), size, align, &l));
	memset(early.byte + (pa - early.base), typed ? TYPED : TAKEN, size);
}

static void free_early(void)
{
	unsigned at = draw(AREA), size = 1 + draw(draw(2) ? 300 : 2 * RAMKA_PAGE_SIZE), full = (unsigned)early.e.nr_ranges;
	const struct ramka_early_range *r;
	bool inside = false;
	int rc;

	if (early.e.nr_ranges && draw(4)) { /* mostly a part of something */
		r = &early.e.ranges[draw((unsigned)early.e.nr_ranges)];
		at = (unsigned)(r->base - early.base) + (draw(2) ? 0 : draw((unsigned)r->size));
		if (draw(3) == 0)
			size = (unsigned)(r->base + r->size - early.base) - at;
	}
	for (size_t i = 0; i < early.e.nr_ranges && !inside; i++) {
		r = &early.e.ranges[i];
		inside = early.base + at >= r->base && early.base + at + size <= r->base + r->size;
	}
	rc = ramka_early_free(&early.e, early.base + at, size);
	if (rc) {
		EXPECT(rc == RAMKA_E_UNUSED ? !inside : inside);
		EXPECT(rc == RAMKA_E_UNUSED || (rc == RAMKA_E_NOMEM && full == early.max_ranges) ||
		       (rc == RAMKA_E_NOT_ALIGNED && early.byte[at] == TYPED && (at | size) % RAMKA_PAGE_SIZE));
		return;
	}
	EXPECT(inside && (all_of(at, size, TAKEN) || all_of(at, size, TYPED)));
	memset(early.byte + at, MEMORY, size);
}

/* The list is what the picture shows: descending, apart, whole. */
static void compare_ranges(void)
{
	size_t bytes = 0, taken = 0;

	for (size_t i = 0; i < early.e.nr_ranges; i++) {
		const struct ramka_early_range *r = &early.e.ranges[i];
		unsigned at = (unsigned)(r->base - early.base);

		EXPECT(r->size && all_of(at, (unsigned)r->size, r->type ? TYPED : TAKEN));
		EXPECT(r->node == early.node[at / RAMKA_PAGE_SIZE]);
		EXPECT(!i || r->base + r->size <= early.e.ranges[i - 1].base);
		bytes += (size_t)r->size;
	}
	for (unsigned i = 0; i < AREA; i++)
		taken += early.byte[i] == TAKEN || early.byte[i] == TYPED;
	EXPECT(bytes == taken && early.e.nr_ranges <= early.max_ranges);
}

static bool any_of(unsigned page, uint8_t what)
{
	return memchr(early.byte + page * RAMKA_PAGE_SIZE, what, RAMKA_PAGE_SIZE) != NULL;
}

/* What was taken is reserved; what is of a type is in use and can be put; the rest is free. */
static void take_over(void)
{
	uint32_t cpu_node = draw(2);
	struct ramka_config cfg = { .regions = early.region, .nr_regions = early.nr_regions, .nr_cpus = 1, .cpu_node = &cpu_node,
				    .flags = RAMKA_NO_DIRECT_MAP, .early = &early.e };
	uint64_t usable = 0, held = 0;
	struct ramka_stats s;
	struct ramka_frame *f;
	struct ramka *r = NULL;
	ramka_paddr_t pa;
	size_t bytes;

	EXPECT(!ramka_metadata_size(&cfg, &bytes) && bytes <= sizeof(early.metadata));
	memset(early.metadata, 0xa5, bytes);
	EXPECT(!ramka_init(&cfg, early.metadata, bytes, &r));
	EXPECT(ramka_early_alloc(&early.e, 1, 1, NULL, &pa) == RAMKA_E_BUSY && ramka_early_free(&early.e, early.base, 1) == RAMKA_E_BUSY);
	EXPECT(!ramka_check(r, NULL));
	for (unsigned page = 0; page < PAGES; page++) {
		int rc = ramka_frame_from_in_use(r, early.base + page * RAMKA_PAGE_SIZE, &f);
		bool typed = any_of(page, TYPED);

		usable += typed || (any_of(page, MEMORY) && !any_of(page, TAKEN));
		held += typed;
		if (!typed && !any_of(page, TAKEN)) {
			EXPECT(!any_of(page, MEMORY) || rc == RAMKA_E_UNUSED);
			if (!rc)
				ramka_frame_put(ramka_cpu_none(r), f);
			continue;
		}
		EXPECT(!rc && ramka_frame_refcount(f) == 2);
		EXPECT(typed ? ramka_frame_type(r, f) == &note_type || ramka_frame_is_untyped(r, f) : ramka_frame_type(r, f) == &ramka_type_reserved);
		ramka_frame_put(ramka_cpu_none(r), f);
	}
	ramka_stats_read(r, &s);
	EXPECT(s.in_use == held && s.free == usable - held);
	EXPECT(ramka_fini(r) == (held ? RAMKA_E_BUSY : 0));
	for (unsigned page = 0; page < PAGES; page++)
		if (any_of(page, TYPED)) {
			f = ramka_frame_from_raw(r, early.base + page * RAMKA_PAGE_SIZE);
			EXPECT(f && (ramka_frame_is_untyped(r, f) || !((struct note *)ramka_frame_meta(r, f))->value));
			ramka_frame_put(page % 2 ? ramka_cpu_at(r, 0) : ramka_cpu_none(r), f);
		}
	EXPECT(!ramka_check(r, NULL));
	ramka_stats_read(r, &s);
	EXPECT(s.in_use == 0 && s.free == usable && s.puts == s.allocs);
	for (held = 0; ramka_frame_alloc(ramka_cpu_at(r, 0), &ramka_type_untyped, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });)
		held++;
	EXPECT(held == usable);
}

static void early_run(void)
{
	size_t bytes;

	draw_map();
	early.max_ranges = 1 + draw(MOST_RANGES);
	bytes = RAMKA_EARLY_BYTES(early.nr_regions, early.max_ranges);
	memset(early.memory, 0x5a, sizeof(early.memory));
	EXPECT(!ramka_early_init(&early.e, early.region, early.nr_regions, early.memory, bytes, NULL));
	EXPECT(early.e.max_ranges >= early.max_ranges);
	early.max_ranges = early.e.max_ranges;
	for (unsigned i = draw(60); i > 0; i--) {
		if (draw(3))
			ask_early();
		else
			free_early();
		compare_ranges();
	}
	for (size_t i = bytes; i < sizeof(early.memory); i++)
		EXPECT(early.memory[i] == 0x5a);
	take_over();
}

#endif
