/* SPDX-License-Identifier: MIT */
/*
 * Memory maps: up to 24 regions of any kind, place and size, chosen by the fuzzer, near zero, near 4 GiB, near 2^52 and
 * at the end of the address space. A reference that looks at each frame by itself says what it must become; walk,
 * counters and what alloc hands out must agree. Metadata of every size and alignment, and one that is too small.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ramka/ramka.h>

#define MOST_REGIONS 24u
#define WINDOW 320u /* frames that a map may touch */
#define PAGE ((uint64_t)RAMKA_PAGE_SIZE)
#define METADATA_BYTES (4u << 20)

#define EXPECT(cond, ...) ((cond) ? (void)0 : (fprintf(stderr, "FAIL line %d: ", __LINE__), fprintf(stderr, __VA_ARGS__), abort()))

/* What a frame must be. */
enum kind { HOLE = -1 };

static struct ramka_region region[MOST_REGIONS];
static size_t nr_regions;
static uint64_t window; /* its first frame */
static bool ends_at_top;
static int expected[WINDOW]; /* enum ramka_region_kind or HOLE */
static uint32_t nodes[WINDOW];

static const uint8_t *input;
static size_t left;

static unsigned byte(void)
{
	if (!left)
		return 0;
	left--;
	return *input++;
}

static bool touches(const struct ramka_region *g, uint64_t low, uint64_t high) /* [low, high] */
{
	return g->size && g->base <= high && g->base + (g->size - 1) >= low;
}

static bool rounds_inward(const struct ramka_region *g)
{
	return g->kind <= RAMKA_RECLAIMABLE;
}

/* Are all bytes of [low, high] in regions that round inward? By a walk from end to end: there are few. */
static bool covered(uint64_t low, uint64_t high)
{
	for (uint64_t at = low;;) {
		uint64_t to = 0;
		bool found = false;

		for (size_t i = 0; i < nr_regions; i++) {
			const struct ramka_region *g = &region[i];

			if (rounds_inward(g) && touches(g, at, at) && (!found || g->base + (g->size - 1) > to)) {
				to = g->base + (g->size - 1);
				found = true;
			}
		}
		if (!found)
			return false;
		if (to >= high)
			return true;
		at = to + 1;
	}
}

static int kind_of(uint64_t frame, uint32_t *ret_node)
{
	uint64_t low = frame * PAGE, high = low + (PAGE - 1);
	int outward = HOLE, inward = HOLE;

	if (low > UINT64_MAX - PAGE) /* the last page has no frame */
		return HOLE;
	for (size_t i = 0; i < nr_regions; i++) {
		const struct ramka_region *g = &region[i];

		if (!touches(g, low, high))
			continue;
		if (!rounds_inward(g) && (int)g->kind > outward)
			outward = (int)g->kind;
		if (rounds_inward(g) && (int)g->kind > inward)
			inward = (int)g->kind;
		if (g->kind == RAMKA_USABLE)
			*ret_node = g->node;
	}
	if (outward != HOLE)
		return outward == RAMKA_MMIO ? HOLE : outward;
	return inward != HOLE && covered(low, high) ? inward : HOLE;
}

/* Two usable regions of different nodes with a byte in common: must be refused. A frame in common: may be. */
enum overlap { APART, TOUCH, OVERLAP };

static enum overlap nodes_overlap(void)
{
	enum overlap worst = APART;

	for (size_t i = 0; i < nr_regions; i++)
		for (size_t j = 0; j < i; j++) {
			const struct ramka_region *a = &region[i], *b = &region[j];

			if (a->kind != RAMKA_USABLE || b->kind != RAMKA_USABLE || a->node == b->node || !a->size || !b->size)
				continue;
			if (touches(a, b->base, b->base + (b->size - 1)))
				return OVERLAP;
			if (touches(a, b->base / PAGE * PAGE, (b->base + (b->size - 1)) | (PAGE - 1)))
				worst = TOUCH;
		}
	return worst;
}

/* A map in a window of the address space; true if a region reaches around its end. */
static bool read_map(void)
{
	static const uint64_t windows[] = { 0, 1, (UINT64_C(1) << 20) - 100, (UINT64_C(1) << 40) - 7, 0, 77, 511, 1023 };
	unsigned where = byte();
	bool wraps = false;

	ends_at_top = false;
	window = where % 8 == 4 ? (UINT64_C(1) << 52) - WINDOW : windows[where % 8];
	nr_regions = byte() % (MOST_REGIONS + 1);
	for (size_t i = 0; i < nr_regions; i++) {
		unsigned kind = byte(), fine = byte(), frames, at = byte() | (fine & 1) << 8;
		struct ramka_region *g = &region[i];

		at %= WINDOW;
		frames = byte() % (WINDOW - at + 1);
		g->kind = (enum ramka_region_kind)(kind % 8 == 7 ? RAMKA_USABLE : kind % 8);
		g->node = fine >> 1 & 1 ? kind >> 4 & 1 : 0;
		g->base = (window + at) * PAGE;
		g->size = frames * PAGE;
		if (fine & 4 && g->size > PAGE) {
			g->base += byte() * 16 + (fine >> 5);
			g->size -= 4096 + byte() * 8;
		}
		if (fine & 8 && frames)
			g->size -= byte();
		if (kind == 255 && g->base >= PAGE) { /* up to the end of everything, or beyond it */
			g->size = UINT64_MAX - g->base + 1 + byte();
			wraps = true;
		}
		ends_at_top |= g->base + g->size == 0 || g->base + g->size > UINT64_MAX - PAGE;
	}
	return wraps;
}

static struct ramka *r;
static uint64_t first_seen, seen;

static bool see(void *ctx, const struct ramka_run *run)
{
	(void)ctx;
	if (!seen)
		first_seen = run->base / PAGE;
	EXPECT(run->base / PAGE == first_seen + seen, "the walk jumps\n");
	for (uint64_t i = 0; i < run->frames; i++) {
		uint64_t at = run->base / PAGE + i - window;
		int kind = at < WINDOW ? expected[at] : HOLE;
		enum ramka_state want = kind == HOLE ? RAMKA_STATE_HOLE :
					kind == RAMKA_USABLE ? window + at ? RAMKA_STATE_FREE : RAMKA_STATE_UNUSED :
					kind == RAMKA_DETACHED ? RAMKA_STATE_UNUSED : RAMKA_STATE_RESERVED;

		EXPECT(run->state == want, "frame %llu of the window has state %d, not %d\n", (unsigned long long)at, run->state, want);
	}
	seen += run->frames;
	return true;
}

static uint64_t count(int kind)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WINDOW; i++)
		n += expected[i] == kind && !(kind == RAMKA_USABLE && window + i == 0);
	return n;
}

/* Every usable frame can be had, once, and no other. */
static void take_all(uint64_t usable)
{
	static struct ramka_frame *all[WINDOW];
	static bool had[WINDOW];
	struct ramka_cpu *cpu = ramka_cpu_at(r, 0);
	struct ramka_frame *f;
	uint64_t n = 0;

	memset(had, 0, sizeof(had));
	while ((f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }))) {
		uint64_t at = ramka_frame_index(r, f) - window;

		EXPECT(at < WINDOW && expected[at] == RAMKA_USABLE && !had[at], "frame %llu of the window is handed out\n",
		       (unsigned long long)at);
		had[at] = true;
		all[n++] = f;
	}
	EXPECT(n == usable, "%llu frames can be had, not %llu\n", (unsigned long long)n, (unsigned long long)usable);
	EXPECT(!n || ramka_fini(r) == RAMKA_E_BUSY, "fini with %llu frames in use\n", (unsigned long long)n);
	while (n--)
		ramka_frame_put(cpu, all[n]);
}

static void lookups(void)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		struct ramka_frame *f;
		ramka_paddr_t pa = (window + i) * PAGE;
		int rc = ramka_frame_from_in_use(r, pa, &f);
		int want = expected[i] == HOLE ? RAMKA_E_OUT_OF_BOUND : expected[i] <= RAMKA_DETACHED ? RAMKA_E_UNUSED : 0;

		EXPECT(rc == want, "lookup of frame %u of the window: %d, not %d\n", i, rc, want);
		if (!rc)
			ramka_frame_put(ramka_cpu_none(r), f);
	}
}

static void check_map(void)
{
	struct ramka_stats s;
	uint64_t usable = count(RAMKA_USABLE), unused = count(RAMKA_DETACHED), total = 0;

	for (unsigned i = 0; i < WINDOW; i++)
		total += expected[i] != HOLE;
	unused += window == 0 && expected[0] == RAMKA_USABLE;
	ramka_stats_read(r, &s);
	EXPECT(s.free == usable && s.total == total && s.unused == unused && s.reserved == total - usable - unused,
	       "counters: free %llu of %llu, total %llu of %llu, unused %llu of %llu\n", (unsigned long long)s.free,
	       (unsigned long long)usable, (unsigned long long)s.total, (unsigned long long)total, (unsigned long long)s.unused,
	       (unsigned long long)unused);
	seen = 0;
	ramka_walk(r, see, NULL);
	EXPECT(!ramka_check(r, NULL), "ramka_check finds something\n");
	lookups();
	take_all(usable);
	EXPECT(!ramka_check(r, NULL), "ramka_check finds something after the sweep\n");
	EXPECT(!ramka_fini(r), "fini\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(64) uint8_t metadata[METADATA_BYTES];
	uint32_t cpu_node[4] = { 0, 1, 1, 0 };
	struct ramka_config cfg = { .regions = region, .cpu_node = cpu_node, .flags = RAMKA_NO_DIRECT_MAP };
	static const uint32_t meta[] = { 0, RAMKA_META_NONE, 1, 240 };
	size_t bytes = 0;
	bool wraps;
	int rc;

	input = data;
	left = size;
	cfg.nr_cpus = 1 + byte() % 4;
	cfg.meta_size = meta[byte() % 4];
	wraps = read_map();
	cfg.nr_regions = nr_regions;
	rc = ramka_metadata_size(&cfg, &bytes);
	if (ends_at_top && rc == RAMKA_E_INVAL) /* the last page of all: may be refused */
		return 0;
	if (wraps || !nr_regions) {
		EXPECT(rc == RAMKA_E_INVAL && ramka_init(&cfg, metadata, sizeof(metadata), &r) == RAMKA_E_INVAL, "a bad map is taken\n");
		return 0;
	}
	EXPECT(rc == 0 && bytes <= sizeof(metadata), "metadata_size: %d, %zu bytes\n", rc, bytes);
	for (unsigned i = 0; i < WINDOW; i++)
		expected[i] = kind_of(window + i, &nodes[i]);
	memset(metadata, 0xa5, bytes + 64);
	EXPECT(ramka_init(&cfg, metadata + 8, sizeof(metadata) - 8, &r) == RAMKA_E_NOT_ALIGNED, "misaligned metadata is taken\n");
	EXPECT(ramka_init(&cfg, metadata, bytes - 64, &r) == RAMKA_E_NOMEM, "too little metadata is taken\n");
	rc = ramka_init(&cfg, metadata, bytes, &r);
	if (rc == RAMKA_E_INVAL && nodes_overlap() != APART)
		return 0;
	EXPECT(!rc && nodes_overlap() != OVERLAP, "init: %d\n", rc);
	EXPECT(metadata[bytes] == 0xa5, "init writes behind its metadata\n");
	check_map();
	return 0;
}
