/* SPDX-License-Identifier: MIT */
/*
 * The memory map. A sweep over the ends of all regions decides the kind of each stretch of bytes. Then
 * stretches become frames. A frame that several stretches share goes to the most restrictive of them; a hole
 * is more restrictive than memory that the allocator would hand out, and less than memory that it would not.
 */
#include "map.h"

#define NR_KINDS 9u /* the region kinds, metadata, hole */
/* the last page stays free, so that every end can be named */
#define ADDRESS_END (UINT64_MAX - (RAMKA_PAGE_SIZE - 1))
#define NEAR_FRAMES 4096u /* 16 MiB */

/* How restrictive a kind is. */
static unsigned rank_of(uint32_t kind)
{
	static const uint8_t rank[NR_KINDS] = {
		[RAMKA_USABLE] = 0, [RAMKA_DETACHED] = 1, [RAMKA_RECLAIMABLE] = 2,
		[MAP_HOLE] = 3,	    [MAP_METADATA] = 4,	  [RAMKA_RESERVED] = 5,
		[RAMKA_KERNEL] = 6, [RAMKA_BAD] = 7,	  [RAMKA_MMIO] = 8,
	};

	return rank[kind];
}

/* Reserved, kernel and bad memory: rounds outward and has slots where it is near what may be handed out. */
static bool is_withheld(uint32_t kind)
{
	return kind == RAMKA_RESERVED || kind == RAMKA_BAD || kind == RAMKA_KERNEL;
}

/* May frames of this region be handed out one day, whatever lies beside it? */
static bool has_whole_frame(const struct ramka_region *g)
{
	return g->kind <= RAMKA_RECLAIMABLE &&
	       frame_of(g->base + (RAMKA_PAGE_SIZE - 1)) < frame_of(g->base + g->size);
}

/*
 * Has the region slots only near memory? Part of a frame is memory only where neighbours have the rest of it.
 */
static bool is_marginal(const struct ramka_region *g)
{
	return is_withheld(g->kind) || (g->kind <= RAMKA_RECLAIMABLE && !has_whole_frame(g));
}

static int check_region(const struct ramka_region *g, size_t i, struct ramka_why *why)
{
	if ((unsigned)g->kind > RAMKA_MMIO)
		return refuse(why, RAMKA_E_INVAL, "a region is of no known kind", "regions[].kind", i,
			      (uint64_t)g->kind, RAMKA_MMIO);
	if (g->size - 1 > UINT64_MAX - g->base)
		return refuse(why, RAMKA_E_INVAL, "a region reaches around the end of the address space",
			      "regions[].size", i, g->size, 0 - g->base);
	if (g->kind <= RAMKA_RECLAIMABLE && g->base + (g->size - 1) >= ADDRESS_END)
		return refuse(why, RAMKA_E_INVAL, "memory reaches into the last page of the address space",
			      "regions[].size", i, g->size,
			      g->base < ADDRESS_END ? ADDRESS_END - g->base : 0);
	if (g->node > MAX_NODE)
		return refuse(why, RAMKA_E_INVAL, "a region's node is too large", "regions[].node", i,
			      g->node, MAX_NODE);
	return 0;
}

/* Widens the span by the frames of [low, end) that the region touches. */
static void widen(struct map_span *span, const struct ramka_region *g, uint64_t low, uint64_t end)
{
	uint64_t first = frame_of(g->base), last = frame_of(g->base + (g->size - 1));

	first = first > low ? first : low;
	last = last < end ? last + 1 : end;
	if (first >= last)
		return;
	span->first = first < span->first ? first : span->first;
	span->end = last > span->end ? last : span->end;
}

int map_span(const struct ramka_config *cfg, struct map_span *ret_span, struct ramka_why *why)
{
	struct map_span span = { UINT64_MAX, 0 };
	uint64_t near = NEAR_FRAMES, low, lowest = UINT64_MAX;

	for (size_t i = 0; i < cfg->nr_regions; i++) {
		const struct ramka_region *g = &cfg->regions[i];
		uint64_t frames = g->size / RAMKA_PAGE_SIZE;

		if (!g->size)
			continue;
		if (check_region(g, i, why))
			return why->error;
		if (is_marginal(g) && frame_of(g->base) < lowest)
			lowest = frame_of(g->base);
		if (!has_whole_frame(g))
			continue;
		widen(&span, g, 0, frame_of(ADDRESS_END));
		near = near > UINT64_MAX / 2 - frames ? UINT64_MAX / 2 : near + frames;
	}
	if (span.first > span.end) /* no memory at all: the frames near the lowest region that has any */
		span.first = span.end = lowest < frame_of(ADDRESS_END) ? lowest : 0;
	low = span.first > near ? span.first - near : 0;
	near = span.end + near < frame_of(ADDRESS_END) ? span.end + near : frame_of(ADDRESS_END);
	for (size_t i = 0; i < cfg->nr_regions; i++)
		if (cfg->regions[i].size && is_marginal(&cfg->regions[i]))
			widen(&span, &cfg->regions[i], low, near);
	*ret_span = span.first < span.end ? span : (struct map_span){ 0, 0 };
	return 0;
}

size_t map_events(size_t nr_regions)
{
	return 2 * (nr_regions + 1);
}

size_t map_pieces(size_t nr_regions)
{
	/* each event may end a stretch and a shared frame; frame 0; the last hole */
	return 2 * map_events(nr_regions) + 3;
}

static bool event_before(const struct map_event *a, const struct map_event *b)
{
	return a->at < b->at || (a->at == b->at && a->step < b->step); /* ends first */
}

/* Heapsort: in place, and n log n for any order that the firmware sends. */
static void sift_down(struct map_event *e, size_t at, size_t n)
{
	for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
		struct map_event swap;

		if (child + 1 < n && event_before(&e[child], &e[child + 1]))
			child++;
		if (!event_before(&e[at], &e[child]))
			return;
		swap = e[at];
		e[at] = e[child];
		e[child] = swap;
		at = child;
	}
}

void map_sort(struct map_event *e, size_t n)
{
	for (size_t i = n / 2; i--;)
		sift_down(e, i, n);
	for (size_t i = n; i-- > 1;) {
		struct map_event swap = e[0];

		e[0] = e[i];
		e[i] = swap;
		sift_down(e, 0, i);
	}
}

/* The part of the region that lies in the span. */
static size_t add_events(struct map_event *e, const struct ramka_region *g, uint32_t kind, size_t region,
			 const struct map_span *span)
{
	ramka_paddr_t low = paddr_of(span->first), high = paddr_of(span->end), from = g->base, to;

	if (!g->size || g->base >= high || g->base + (g->size - 1) < low)
		return 0;
	from = from > low ? from : low;
	to = g->base + (g->size - 1) < high ? g->base + g->size : high;
	e[0] = (struct map_event){ from, kind, g->node, 1, (uint32_t)region };
	e[1] = (struct map_event){ to, kind, g->node, -1, (uint32_t)region };
	return 2;
}

/* ---- stretches to frames ---- */

struct builder {
	struct map_entry *map;
	size_t nr;
	uint64_t shared;             /* frame that the last stretch ended inside */
	uint32_t shared_kind, shared_node;
	bool is_shared;
};

static void emit(struct builder *b, uint64_t first, uint32_t kind, uint32_t node)
{
	struct map_entry *last = b->nr ? &b->map[b->nr - 1] : NULL;

	if (kind == RAMKA_MMIO)
		kind = MAP_HOLE;
	if (kind == MAP_HOLE)
		node = 0;
	if (last && last->kind == kind && last->node == node)
		return;
	b->map[b->nr++] = (struct map_entry){ .first = first, .node = node, .kind = kind };
}

/* The stretch [from, to) of bytes. */
static void add_stretch(struct builder *b, ramka_paddr_t from, ramka_paddr_t to, uint32_t kind, uint32_t node)
{
	uint64_t first = frame_of(from), end = frame_of(to);

	if (b->is_shared && first == b->shared) {
		if (rank_of(kind) > rank_of(b->shared_kind)) {
			b->shared_kind = kind;
			b->shared_node = node;
		}
		if (end == first)
			return; /* ends inside it too */
		emit(b, b->shared, b->shared_kind, b->shared_node);
		b->is_shared = false;
		first++;
	}
	if (first < end)
		emit(b, first, kind, node);
	if (to % RAMKA_PAGE_SIZE) {
		b->is_shared = true;
		b->shared = end;
		b->shared_kind = kind;
		b->shared_node = node;
	}
}

static uint32_t winner(const uint32_t *active)
{
	uint32_t best = MAP_HOLE;
	bool any = false;

	for (uint32_t kind = 0; kind <= RAMKA_MMIO; kind++)
		if (active[kind] && (!any || rank_of(kind) > rank_of(best))) {
			best = kind;
			any = true;
		}
	/* the metadata itself only turns memory that would be handed out into reserved memory */
	return any && best <= RAMKA_RECLAIMABLE && active[MAP_METADATA] ? MAP_METADATA : best;
}

int map_build(const struct ramka_config *cfg, const struct map_span *span, const struct ramka_region *meta,
	      struct map_event *events, struct map_entry *map, size_t *ret_nr, struct ramka_why *why)
{
	uint32_t active[NR_KINDS] = { 0 }, node[NR_KINDS] = { 0 }, usable = 0;
	struct builder b = { .map = map };
	ramka_paddr_t at = paddr_of(span->first);
	size_t nr = 0;

	for (size_t i = 0; i < cfg->nr_regions; i++)
		nr += add_events(events + nr, &cfg->regions[i], (uint32_t)cfg->regions[i].kind, i, span);
	nr += add_events(events + nr, meta, MAP_METADATA, 0, span);
	for (size_t i = 0; i < early_ranges(cfg); i++) {
		const struct ramka_early_range *e = &cfg->early->ranges[i];
		struct ramka_region g = {
			.base = e->base, .size = e->size, .kind = RAMKA_RESERVED, .node = e->node
		};

		if (!e->type)
			nr += add_events(events + nr, &g, RAMKA_RESERVED, 0, span);
	}
	map_sort(events, nr);

	for (size_t i = 0; i < nr; i++) {
		const struct map_event *e = &events[i];
		uint32_t kind = winner(active);

		if (e->at > at)
			add_stretch(&b, at, e->at, kind, node[kind]);
		at = e->at;
		if (e->step > 0) {
			if (e->kind == RAMKA_USABLE && active[RAMKA_USABLE] &&
			    e->node != node[RAMKA_USABLE]) {
				why->paddr = at;
				return refuse(why, RAMKA_E_INVAL, "usable regions of different nodes overlap",
					      "regions[].node", e->region, e->node, usable);
			}
			usable = e->kind == RAMKA_USABLE ? e->region : usable;
			node[e->kind] = e->node;
			active[e->kind]++;
		} else {
			active[e->kind]--;
		}
	}
	add_stretch(&b, at, UINT64_MAX & ~(uint64_t)(RAMKA_PAGE_SIZE - 1), MAP_HOLE, 0);
	emit(&b, frame_of(UINT64_MAX), MAP_HOLE, 0); /* where the last frame but one was shared */
	*ret_nr = b.nr;
	return 0;
}
