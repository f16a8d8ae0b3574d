/* SPDX-License-Identifier: MIT */
/*
 * Memory before ramka_init. The map is that of ramka_init. The memory that is handed out is a list of ranges
 * in descending order; memory is handed out from the top down, so the next range mostly goes to the list's
 * end. A search for a gap goes through map and list side by side, and begins where the last request was
 * served. May use layout.h.
 */
#include "../base/mem.h"

#include "layout.h"

RAMKA_STATIC_ASSERT(sizeof(struct map_event) == 24 && sizeof(struct map_entry) <= 32,
		    "RAMKA_EARLY_BYTES counts with these");

/* ---- looking for a place ---- */

/* A request, with its limits in full. */
struct wish {
	uint64_t size, align;
	ramka_paddr_t low, high; /* [low, high) */
	const struct ramka_type *type;
	bool any_node;
	uint32_t node;
};

static struct map_entry *pieces(const struct ramka_early *e)
{
	return e->map;
}

/* The first range of the list that begins below the address. */
static size_t range_below(const struct ramka_early *e, ramka_paddr_t pa)
{
	size_t low = 0, high = e->nr_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (e->ranges[middle].base < pa)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The last piece of the map that begins below the address; the first one if none does. */
static size_t piece_below(const struct ramka_early *e, ramka_paddr_t pa)
{
	size_t low = 0, high = e->nr_map;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (paddr_of(pieces(e)[middle].first) < pa)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/*
 * The highest place in [low, high). *at is the first range that begins below high; on return it is behind the
 * ranges that the search passed.
 */
static bool find_in(const struct ramka_early *e, const struct wish *w, ramka_paddr_t low, ramka_paddr_t high,
		    size_t *at, ramka_paddr_t *ret_pa)
{
	while (*at < e->nr_ranges && e->ranges[*at].base >= high)
		++*at;
	while (low < high) {
		const struct ramka_early_range *below = *at < e->nr_ranges ? &e->ranges[*at] : NULL;
		ramka_paddr_t above = below ? below->base + below->size : 0, from = above > low ? above : low;

		if (from < high && high - from >= w->size) {
			*ret_pa = align_down(high - w->size, w->align);
			if (*ret_pa >= from)
				return true;
		}
		if (from == low)
			return false;
		high = below->base;
		++*at;
	}
	return false;
}

static bool find(const struct ramka_early *e, const struct wish *w, ramka_paddr_t *ret_pa)
{
	size_t at = range_below(e, w->high);

	for (size_t i = piece_below(e, w->high) + 1; i-- > 0;) {
		const struct map_entry *m = &pieces(e)[i];
		/* many callers take address 0 for "none" */
		ramka_paddr_t low = m->first ? paddr_of(m->first) : RAMKA_PAGE_SIZE;
		ramka_paddr_t high;

		if (i + 1 == e->nr_map || m->kind != RAMKA_USABLE || (!w->any_node && m->node != w->node))
			continue;
		high = paddr_of(m[1].first);
		if (high <= w->low)
			return false;
		if (find_in(e, w, low > w->low ? low : w->low, high < w->high ? high : w->high, &at, ret_pa))
			return true;
	}
	return false;
}

/* ---- the list ---- */

static bool joins(const struct ramka_early_range *high, const struct ramka_early_range *low)
{
	return low->base + low->size == high->base && low->type == high->type && low->node == high->node;
}

static void remove_at(struct ramka_early *e, size_t at)
{
	memmove(&e->ranges[at], &e->ranges[at + 1], (--e->nr_ranges - at) * sizeof(*e->ranges));
}

static bool insert_at(struct ramka_early *e, size_t at, struct ramka_early_range range)
{
	if (!e->ranges || e->nr_ranges == e->max_ranges)
		return false;
	memmove(&e->ranges[at + 1], &e->ranges[at], (e->nr_ranges++ - at) * sizeof(*e->ranges));
	e->ranges[at] = range;
	return true;
}

/* False: there is no room. */
static bool remember(struct ramka_early *e, struct ramka_early_range range)
{
	size_t at = range_below(e, range.base);
	struct ramka_early_range *high = at ? &e->ranges[at - 1] : NULL,
				 *low = at < e->nr_ranges ? &e->ranges[at] : NULL;

	if (high && joins(high, &range)) {
		high->base = range.base;
		high->size += range.size;
		if (low && joins(high, low)) {
			high->base = low->base;
			high->size += low->size;
			remove_at(e, at);
		}
		return true;
	}
	if (low && joins(&range, low)) {
		low->size += range.size;
		return true;
	}
	return insert_at(e, at, range);
}

/* ---- the interface ---- */

int ramka_early_init(struct ramka_early *e, const struct ramka_region *regions, size_t nr_regions,
		     void *memory, size_t bytes, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct ramka_config cfg = { .regions = regions, .nr_regions = nr_regions };
	struct ramka_region none = { .size = 0 };
	struct map_span span;
	uint8_t *at = memory;
	size_t events, map;

	*why = (struct ramka_why){ 0 };
	if (!e || !regions || !nr_regions || !memory)
		return refuse_plain(why, RAMKA_E_INVAL, "no early allocator, no regions, or no memory",
				    !e ? "e" : !regions ? "regions" : !nr_regions ? "nr_regions" : "memory");
	if ((uintptr_t)memory % 8)
		return refuse(why, RAMKA_E_NOT_ALIGNED, "the memory is not aligned to 8 bytes", "memory",
			      RAMKA_NO_INDEX, (uintptr_t)memory, 8);
	if (nr_regions > bytes / 64)
		return refuse(why, RAMKA_E_NOMEM, "too little memory for the map and one range", "bytes",
			      RAMKA_NO_INDEX, bytes, 0);
	events = map_events(nr_regions) * sizeof(struct map_event);
	map = map_pieces(nr_regions) * sizeof(struct map_entry);
	if (bytes < events + map + sizeof(*e->ranges))
		return refuse(why, RAMKA_E_NOMEM, "too little memory for the map and one range", "bytes",
			      RAMKA_NO_INDEX, bytes, events + map + sizeof(*e->ranges));
	if (map_span(&cfg, &span, why))
		return why->error;
	*e = (struct ramka_early){ .regions = regions, .nr_regions = nr_regions, .cursor = UINT64_MAX };
	e->map = (void *)(at + events);
	if (map_build(&cfg, &span, &none, memory, pieces(e), &e->nr_map, why))
		return why->error;
	e->ranges = (void *)(at + events + map);
	e->max_ranges = (bytes - events - map) / sizeof(*e->ranges);
	return 0;
}

static int check_wish(const struct ramka_early *e, uint64_t size, uint64_t align,
		      const struct ramka_early_limits *limits, struct wish *w, struct ramka_why *why)
{
	const struct ramka_early_limits none = { 0 }, *l = limits ? limits : &none;

	if (!e || !e->map)
		return refuse_plain(why, RAMKA_E_INVAL, "no early allocator", "e");
	if (e->taken_over)
		return refuse_plain(why, RAMKA_E_BUSY, "ramka_init has taken over", "e");
	if (!size)
		return refuse_plain(why, RAMKA_E_INVAL, "no bytes", "size");
	if (align & (align - 1))
		return refuse(why, RAMKA_E_INVAL, "the alignment is no power of two", "align", RAMKA_NO_INDEX,
			      align, 0);
	if (l->type && l->type->id < RAMKA_TYPE_ID_USER && l->type != &ramka_type_untyped)
		return refuse(why, RAMKA_E_INVAL, "frames of this built-in type are not for embedders",
			      "limits->type", RAMKA_NO_INDEX, l->type->id, RAMKA_TYPE_ID_USER);
	if (l->type && size % RAMKA_PAGE_SIZE)
		return refuse(why, RAMKA_E_NOT_ALIGNED, "frames of a type are whole", "size", RAMKA_NO_INDEX,
			      size, RAMKA_PAGE_SIZE);
	*w = (struct wish){ .size = size,
			    .align = align ? align : 16,
			    .low = l->low,
			    .high = l->high ? l->high : UINT64_MAX,
			    .type = l->type,
			    .any_node = !l->node,
			    .node = l->node - 1u };
	if (l->type && w->align < RAMKA_PAGE_SIZE)
		w->align = RAMKA_PAGE_SIZE;
	return 0;
}

/* Looks where the last request was served, if this one has no limits, and then everywhere. */
static bool find_place(struct ramka_early *e, const struct wish *w, ramka_paddr_t *ret_pa)
{
	struct wish here = *w;
	bool free = w->any_node && !w->low && w->high == UINT64_MAX;

	if (free) {
		here.high = e->cursor;
		if (e->cursor != UINT64_MAX && find(e, &here, ret_pa)) {
			e->cursor = *ret_pa;
			return true;
		}
	}
	if (!find(e, w, ret_pa))
		return false;
	if (free)
		e->cursor = *ret_pa;
	return true;
}

int ramka_early_alloc_why(struct ramka_early *e, uint64_t size, uint64_t align,
			  const struct ramka_early_limits *limits, ramka_paddr_t *ret_pa,
			  struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct wish w;
	ramka_paddr_t pa;

	*why = (struct ramka_why){ 0 };
	if (check_wish(e, size, align, limits, &w, why))
		return why->error;
	if (!ret_pa)
		return refuse_plain(why, RAMKA_E_INVAL, "nowhere to put the result", "ret_pa");
	if (!find_place(e, &w, &pa))
		return refuse(why, RAMKA_E_NOMEM, "no such range is free", "size", RAMKA_NO_INDEX, size, 0);
	if (!remember(e,
		      (struct ramka_early_range){ pa, size, w.type, pieces(e)[piece_below(e, pa + 1)].node }))
		return refuse(why, RAMKA_E_NOMEM, "no room to remember another range", "e", RAMKA_NO_INDEX,
			      e->nr_ranges, 0);
	*ret_pa = pa;
	return 0;
}

int ramka_early_alloc(struct ramka_early *e, uint64_t size, uint64_t align,
		      const struct ramka_early_limits *limits, ramka_paddr_t *ret_pa)
{
	return ramka_early_alloc_why(e, size, align, limits, ret_pa, NULL);
}

int ramka_early_free(struct ramka_early *e, ramka_paddr_t base, uint64_t size)
{
	struct ramka_early_range *range, rest;
	size_t at;

	if (!e || !e->map || !size)
		return RAMKA_E_INVAL;
	if (e->taken_over)
		return RAMKA_E_BUSY;
	at = base == UINT64_MAX ? e->nr_ranges : range_below(e, base + 1);
	range = &e->ranges[at];
	if (at == e->nr_ranges || base - range->base >= range->size ||
	    size > range->size - (base - range->base))
		return RAMKA_E_UNUSED;
	if (range->type && (base | size) & (RAMKA_PAGE_SIZE - 1))
		return RAMKA_E_NOT_ALIGNED;
	rest = *range;
	rest.base = base + size; /* what is left above */
	rest.size = range->base + range->size - rest.base;
	if (rest.size && base != range->base && !insert_at(e, at, rest))
		return RAMKA_E_NOMEM;
	if (rest.size && base != range->base)
		e->ranges[at + 1].size = base - e->ranges[at + 1].base;
	else if (rest.size)
		*range = rest;
	else if (base != range->base)
		range->size = base - range->base;
	else
		remove_at(e, at);
	if (base + size > e->cursor)
		e->cursor = base + size; /* found again */
	return 0;
}

int ramka_init_early(const struct ramka_config *cfg, const struct ramka_early_limits *limits,
		     struct ramka **ret_r, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct ramka_early_limits l = limits ? *limits : (struct ramka_early_limits){ 0 };
	ramka_paddr_t pa;
	struct wish w;
	size_t bytes;
	int rc = ramka_metadata_size_why(cfg, &bytes, why);

	if (rc)
		return rc;
	if (!cfg->early)
		return refuse_plain(why, RAMKA_E_INVAL, "no early allocator", "cfg.early");
	if (cfg->flags & RAMKA_NO_DIRECT_MAP)
		return refuse_plain(why, RAMKA_E_UNSUPPORTED, "metadata out of the memory needs a direct map",
				    "cfg.flags");
	l.type = NULL;
	if (check_wish(cfg->early, bytes, RAMKA_PAGE_SIZE, &l, &w, why))
		return why->error;
	if (!find_place(cfg->early, &w, &pa))
		return refuse(why, RAMKA_E_NOMEM, "no place for the metadata", "limits", RAMKA_NO_INDEX,
			      bytes, 0);
	return ramka_init_why(cfg, (void *)(cfg->direct_map + (uintptr_t)pa), bytes, ret_r, why);
}
