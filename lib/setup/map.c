/* SPDX-License-Identifier: MIT */
/*
 * The memory map. A sweep over the ends of all regions, byte by byte exact, decides the kind of each stretch; then
 * stretches become frames: a frame that several stretches share goes to the most restrictive of them, where a hole
 * beats what the allocator would hand out and loses to what it would not.
 */
#include "map.h"

#define NR_KINDS 9u /* the region kinds, metadata, hole */

/* How restrictive a kind is. */
static unsigned rank_of(uint32_t kind)
{
	static const uint8_t rank[NR_KINDS] = {
		[RAMKA_USABLE] = 0, [RAMKA_DETACHED] = 1, [RAMKA_RECLAIMABLE] = 2, [MAP_HOLE] = 3, [MAP_METADATA] = 4,
		[RAMKA_RESERVED] = 5, [RAMKA_KERNEL] = 6, [RAMKA_BAD] = 7, [RAMKA_MMIO] = 8,
	};

	return rank[kind];
}

int map_span(const struct ramka_config *cfg, uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t first = UINT64_MAX, end = 0;

	for (size_t i = 0; i < cfg->nr_regions; i++) {
		const struct ramka_region *g = &cfg->regions[i];
		uint64_t last;

		if ((unsigned)g->kind > RAMKA_MMIO || g->size > UINT64_MAX - g->base || g->base + g->size > UINT64_MAX - RAMKA_PAGE_SIZE)
			return RAMKA_E_INVAL;
		if (!g->size || g->kind == RAMKA_MMIO)
			continue;
		last = frame_of(g->base + g->size - 1);
		if (frame_of(g->base) < first)
			first = frame_of(g->base);
		if (last + 1 > end)
			end = last + 1;
	}
	*ret_first = first < end ? first : 0;
	*ret_end = first < end ? end : 0;
	return 0;
}

size_t map_events(size_t nr_regions)
{
	return 2 * (nr_regions + 1);
}

size_t map_pieces(size_t nr_regions)
{
	return 2 * map_events(nr_regions) + 3; /* each event may end a stretch and a shared frame; frame 0; the last hole */
}

static bool event_before(const struct map_event *a, const struct map_event *b)
{
	return a->at < b->at || (a->at == b->at && a->step < b->step); /* ends first */
}

/* Heapsort: in place, n log n whatever the firmware sends. */
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

static void sort_events(struct map_event *e, size_t n)
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

static size_t add_events(struct map_event *e, const struct ramka_region *g, uint32_t kind)
{
	if (!g->size)
		return 0;
	e[0] = (struct map_event){ g->base, kind, g->node, 1 };
	e[1] = (struct map_event){ g->base + g->size, kind, g->node, -1 };
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
	b->map[b->nr++] = (struct map_entry){ first, node, kind };
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

int map_build(const struct ramka_config *cfg, const struct ramka_region *meta, struct map_event *events, struct map_entry *map,
	      size_t *ret_nr)
{
	uint32_t active[NR_KINDS] = { 0 }, node[NR_KINDS] = { 0 };
	struct builder b = { .map = map };
	ramka_paddr_t at = 0;
	size_t nr = 0;

	for (size_t i = 0; i < cfg->nr_regions; i++)
		nr += add_events(events + nr, &cfg->regions[i], (uint32_t)cfg->regions[i].kind);
	nr += add_events(events + nr, meta, MAP_METADATA);
	sort_events(events, nr);

	for (size_t i = 0; i < nr; i++) {
		const struct map_event *e = &events[i];
		uint32_t kind = winner(active);

		if (e->at > at)
			add_stretch(&b, at, e->at, kind, node[kind]);
		at = e->at;
		if (e->step > 0) {
			if (e->kind == RAMKA_USABLE && active[RAMKA_USABLE] && e->node != node[RAMKA_USABLE])
				return RAMKA_E_INVAL;
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
