/* SPDX-License-Identifier: MIT */
/* The layout of the metadata memory. See layout.h. */
#include "layout.h"

#include "../base/watch.h"
#include "../cpu/mail.h"
#include "../zone/territory.h"
#include "../frame/contracts.h"
#include "../frame/defer.h"

#define MAX_CPUS (DEPOT_INDEX / SHARD_MAGAZINES - 1) /* all magazines have a number in a head */
#define MIN_ALIGN_ORDER 11u /* four blocks, one quad */

/* May the allocator ever hand out frames of this region? */
static bool feeds_zone(const struct ramka_region *g)
{
	return g->size && g->kind <= RAMKA_RECLAIMABLE;
}

/* ---- nodes ---- */

/* The place of the node's range in the group, made if it is among the lowest; NULL: others are lower. */
static struct node_range *range_of(struct nodes *n, uint32_t node)
{
	unsigned at = n->nr;

	while (at && n->range[at - 1].node >= node)
		at--;
	if (at < n->nr && n->range[at].node == node)
		return &n->range[at];
	if (at == NODE_GROUP)
		return NULL;
	if (n->nr < NODE_GROUP)
		n->nr++;
	for (unsigned i = n->nr - 1; i > at; i--)
		n->range[i] = n->range[i - 1];
	n->range[at] = (struct node_range){ UINT64_MAX, 0, node };
	return &n->range[at];
}

/* The lowest nodes from `least` on. */
static void load_group(struct nodes *n, uint32_t least)
{
	struct node_range *range = NULL;

	n->nr = n->at = 0;
	for (size_t i = 0; i < n->cfg->nr_regions; i++) {
		const struct ramka_region *g = &n->cfg->regions[i];
		uint64_t first = frame_of(g->base), end;

		if (!feeds_zone(g) || g->node < least)
			continue;
		end = frame_of(g->base + g->size - 1) + 1;
		if (!range || range->node != g->node) /* mostly as the region before */
			range = range_of(n, g->node);
		if (!range)
			continue;
		range->first = first < range->first ? first : range->first;
		range->end = end > range->end ? end : range->end;
	}
}

void nodes_start(struct nodes *n, const struct ramka_config *cfg, const struct map_span *span)
{
	n->cfg = cfg;
	n->span = *span;
	load_group(n, 0);
	n->single = n->nr <= 1;
	if (n->single) {
		n->range[0] = (struct node_range){ span->first, span->end, n->nr ? n->range[0].node : 0 };
		n->nr = 1;
	}
}

bool nodes_next(struct nodes *n, struct node_range *ret)
{
	if (n->at == n->nr && n->nr == NODE_GROUP)
		load_group(n, n->range[NODE_GROUP - 1].node + 1);
	if (n->at == n->nr)
		return false;
	*ret = n->range[n->at++];
	return true;
}

/* Aligned start of a zone: bits and frame numbers agree on every order that fits into it. */
uint64_t zone_origin(const struct node_range *n)
{
	unsigned order = MIN_ALIGN_ORDER;

	while (order < RAMKA_MAX_ORDER && n->end > n->first && n->first >> order != (n->end - 1) >> order)
		order++;
	return align_down(n->first, (uint64_t)1 << order);
}

uint64_t zone_bits(const struct node_range *n)
{
	return align_up(n->end - zone_origin(n), (uint64_t)BLOCK_FRAMES * QUAD_BLOCKS) +
	       (n->end == n->first) * BLOCK_FRAMES * QUAD_BLOCKS;
}

uint32_t quad_words(uint32_t blocks)
{
	return (uint32_t)align_up(blocks / QUAD_BLOCKS, HINT_LINE);
}

size_t bitmap_bytes(uint64_t bits, unsigned nr_cpus)
{
	uint32_t blocks = (uint32_t)(bits / BLOCK_FRAMES);
	uint32_t territories = territory_count(blocks, territory_shift(blocks, nr_cpus));

	uint64_t words = quad_words(blocks) + 2 * hints_size(blocks) + zone_chunks(blocks);

	return (size_t)align_up(bits / 8 + words * sizeof(uint64_t) +
				territories * sizeof(struct ramka_atomic_u32), LINE_BYTES);
}

/* Reserves `bytes`, aligned to a cache line. False: the sum overflows. */
static bool place(struct layout *l, size_t *ret_at, uint64_t nr, size_t size)
{
	if (size && nr > (SIZE_MAX - LINE_BYTES - l->end) / size)
		return false;
	*ret_at = l->end;
	l->end = (size_t)align_up(l->end + nr * size, LINE_BYTES);
	return true;
}

/* ---- what becomes memory late ---- */

/*
 * An upper bound of the frames of holes and reclaimable regions. If the regions are sorted, as firmware sends
 * them, it is exact but for a few frames a region. Else it is all frames of the span, since there is no
 * memory here to sort the regions in.
 */
static uint64_t late_frames(const struct ramka_config *cfg, const struct map_span *span)
{
	uint64_t nr = span->end - span->first, frames = 0, at = span->first;
	ramka_paddr_t before = 0;

	for (size_t i = 0; i < cfg->nr_regions; i++) {
		const struct ramka_region *g = &cfg->regions[i];
		uint64_t first = frame_of(g->base), end;

		if (!g->size)
			continue;
		if (g->base < before)
			return nr;
		before = g->base;
		end = frame_of(g->base + (g->size - 1)) + 1;
		first = first < span->first ? span->first : first > span->end ? span->end : first;
		end = end < span->first ? span->first : end > span->end ? span->end : end;
		frames += 2; /* its first and last frame, if they are shared with a hole */
		if (first > at)
			frames += first - at;
		if (g->kind == RAMKA_MMIO || g->kind == RAMKA_RECLAIMABLE)
			frames += end - first;
		at = end > at ? end : at;
	}
	frames += span->end - at;
	return frames < nr ? frames : nr;
}

/* ---- magazines ---- */

/* Magazines of each CPU's shard. With RAMKA_CACHE_ALL all of them have room for all memory of the regions. */
static uint32_t magazines_of(const struct ramka_config *cfg)
{
	uint64_t frames = 0, nr;

	if (!(cfg->flags & RAMKA_CACHE_ALL))
		return SHARD_MAGAZINES;
	for (size_t i = 0; i < cfg->nr_regions; i++)
		frames += feeds_zone(&cfg->regions[i]) ? cfg->regions[i].size >> RAMKA_PAGE_SHIFT : 0;
	nr = frames / MAGAZINE_SIZE / cfg->nr_cpus + 1;
	if (nr > DEPOT_INDEX / cfg->nr_cpus)
		nr = DEPOT_INDEX / cfg->nr_cpus;
	return nr < SHARD_MAGAZINES ? SHARD_MAGAZINES : (uint32_t)nr;
}

/* ---- all together ---- */

static int check_watermarks(const struct ramka_config *cfg, struct ramka_why *why)
{
	uint64_t min = cfg->min_watermark, low = cfg->low_watermark, high = cfg->high_watermark;

	if (low && min > low)
		return refuse(why, RAMKA_E_INVAL, "the reserve is larger than what counts as low",
			      "min_watermark", RAMKA_NO_INDEX, min, low);
	if (high && (high < low || high < min))
		return refuse(why, RAMKA_E_INVAL, "the upper watermark lies below another", "high_watermark",
			      RAMKA_NO_INDEX, high, low > min ? low : min);
	return 0;
}

static int check_config(const struct ramka_config *cfg, struct layout *l, struct ramka_why *why)
{
	const uint32_t contents = RAMKA_POISON | RAMKA_INIT_ON_FREE;
	const uint32_t known = RAMKA_NO_DIRECT_MAP | RAMKA_METADATA_ZEROED | RAMKA_REF_SATURATE |
			       RAMKA_SHUFFLE | RAMKA_CACHE_ALL | RAMKA_TRACE | RAMKA_QUARANTINE |
			       RAMKA_CHECK_LEVELS | contents;

	if (!cfg)
		return refuse_plain(why, RAMKA_E_INVAL, "no configuration", "cfg");
	if (!cfg->regions || !cfg->nr_regions)
		return refuse_plain(why, RAMKA_E_INVAL, "no regions",
				    cfg->regions ? "nr_regions" : "regions");
	if (!cfg->nr_cpus || cfg->nr_cpus > MAX_CPUS)
		return refuse(why, RAMKA_E_INVAL, cfg->nr_cpus ? "too many CPUs" : "no CPUs", "nr_cpus",
			      RAMKA_NO_INDEX, cfg->nr_cpus, MAX_CPUS);
	if (cfg->flags & ~known)
		return refuse(why, RAMKA_E_INVAL, "an unknown flag", "flags", RAMKA_NO_INDEX,
			      cfg->flags & ~known, known);
	if (cfg->flags & contents && cfg->flags & RAMKA_NO_DIRECT_MAP)
		return refuse(why, RAMKA_E_INVAL,
			      "contents can be neither poisoned nor cleared without a direct map", "flags",
			      RAMKA_NO_INDEX, cfg->flags, cfg->flags & ~contents);
	if (cfg->flags & RAMKA_QUARANTINE && !cfg->rcu)
		return refuse(why, RAMKA_E_INVAL, "RAMKA_QUARANTINE needs grace periods, cfg.rcu", "flags",
			      RAMKA_NO_INDEX, cfg->flags, cfg->flags & ~RAMKA_QUARANTINE);
	l->meta_size = cfg->meta_size == RAMKA_META_NONE ? 0 :
		       cfg->meta_size			 ? cfg->meta_size :
							   RAMKA_META_SIZE_DEFAULT;
	if (l->meta_size > RAMKA_META_SIZE_MAX)
		return refuse(why, RAMKA_E_INVAL, "too much metadata for each frame", "meta_size",
			      RAMKA_NO_INDEX, l->meta_size, RAMKA_META_SIZE_MAX);
	if (check_watermarks(cfg, why))
		return why->error;
	if (cfg->rcu && (!cfg->rcu->snapshot || !cfg->rcu->elapsed))
		return refuse_plain(why, RAMKA_E_INVAL,
				    "grace periods cannot be asked for: a function is missing",
				    cfg->rcu->snapshot ? "rcu->elapsed" : "rcu->snapshot");
	for (unsigned i = 0; cfg->cpu_node && i < cfg->nr_cpus; i++)
		if (cfg->cpu_node[i] > MAX_NODE)
			return refuse(why, RAMKA_E_INVAL, "a CPU's node is too large", "cpu_node[]", i,
				      cfg->cpu_node[i], MAX_NODE);
	return map_span(cfg, &l->span, why);
}

/* One zone for each node. */
static int place_zones(const struct ramka_config *cfg, struct layout *l, bool ok, struct ramka_why *why)
{
	struct node_range range;
	uint64_t present = 0;
	struct nodes nodes;
	size_t at;

	nodes_start(&nodes, cfg, &l->span);
	while (nodes_next(&nodes, &range))
		l->nr_zones++;
	ok = ok && place(l, &l->zones, l->nr_zones, sizeof(struct zone));
	l->bitmaps = l->end;
	nodes_start(&nodes, cfg, &l->span);
	while (nodes_next(&nodes, &range)) {
		uint64_t bits = zone_bits(&range);

		why->paddr = paddr_of(range.first);
		if (range.end - range.first > UINT32_MAX - ((uint64_t)2 << RAMKA_MAX_ORDER))
			return refuse(why, RAMKA_E_INVAL,
				      "the memory of a node lies farther apart than 16 TiB", "regions[].node",
				      RAMKA_NO_INDEX, range.node, 0);
		ok = ok && place(l, &at, bitmap_bytes(bits, cfg->nr_cpus), 1);
		present += sparse_words(bits / BLOCK_FRAMES);
	}
	why->paddr = 0;
	ok = ok && place(l, &l->present, present, sizeof(uint64_t));
	return ok ? 0 : refuse_plain(why, RAMKA_E_INVAL, "more metadata than addresses", "regions");
}

int lay_out(const struct ramka_config *cfg, struct layout *l, struct ramka_why *why)
{
	size_t at;
	bool ok;
	int rc;

	*l = (struct layout){ 0 };
	*why = (struct ramka_why){ 0 };
	rc = check_config(cfg, l, why);
	if (rc)
		return rc;
	l->nr_slots = l->span.end - l->span.first;
	l->late_frames = late_frames(cfg, &l->span);
	l->per_shard = magazines_of(cfg);
	l->mailing = cfg->flags & RAMKA_CACHE_ALL ? 1 : cfg->nr_cpus; /* one CPU has no mailbox */
	ok = place(l, &at, 1, sizeof(struct ramka)) &&
	     place(l, &l->cpus, cfg->nr_cpus, sizeof(struct cached_cpu)) &&
	     place(l, &l->none, 1, sizeof(struct ramka_cpu)) &&
	     place(l, &l->depot, 2, sizeof(struct depot)) &&
	     place(l, &l->outboxes, cfg->nr_cpus, outbox_bytes(l->mailing)) &&
	     place(l, &l->defers, (uint64_t)cfg->nr_cpus + 1, sizeof(struct defer)) &&
	     place(l, &l->shards, (uint64_t)cfg->nr_cpus + mailboxes(l->mailing), sizeof(struct shard)) &&
	     place(l, &l->magazines,
		   (uint64_t)cfg->nr_cpus * l->per_shard + (uint64_t)mailboxes(l->mailing) * SHARD_MAGAZINES,
		   sizeof(struct magazine)) &&
	     place(l, &l->map, map_pieces(cfg->nr_regions + early_ranges(cfg)), sizeof(struct map_entry)) &&
	     place(l, &l->events, map_events(cfg->nr_regions + early_ranges(cfg)), sizeof(struct map_event));
	rc = place_zones(cfg, l, ok, why);
	if (rc)
		return rc;
	ok = place(l, &l->late, sparse_words(l->late_frames), sizeof(uint64_t)) &&
	     place(l, &l->gone, sparse_words(l->nr_slots), sizeof(uint64_t)) &&
	     place(l, &l->slots, l->nr_slots, sizeof(struct ramka_frame)) &&
	     place(l, &l->meta, l->nr_slots, l->meta_size) &&
	     place(l, &l->traces, l->nr_slots, watch_bytes(cfg->flags)) &&
	     place(l, &l->shadow, l->nr_slots, contracts_bytes());
	return ok ? 0 : refuse_plain(why, RAMKA_E_INVAL, "more metadata than addresses", "regions");
}

int ramka_metadata_size_why(const struct ramka_config *cfg, size_t *ret_bytes, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct layout l;
	int rc = lay_out(cfg, &l, why);

	if (rc)
		return rc;
	if (!ret_bytes)
		return refuse_plain(why, RAMKA_E_INVAL, "nowhere to put the result", "ret_bytes");
	*ret_bytes = l.end;
	return 0;
}

int ramka_metadata_size(const struct ramka_config *cfg, size_t *ret_bytes)
{
	return ramka_metadata_size_why(cfg, ret_bytes, NULL);
}

/* ---- the metadata of a range ---- */

struct parts { struct ramka_metadata_part *at; unsigned nr; };

static void part(struct parts *p, void *base, uint64_t first, uint64_t end, size_t size)
{
	if (first < end && size)
		p->at[p->nr++] = (struct ramka_metadata_part){ (uint8_t *)base + first * size,
							       (size_t)(end - first) * size };
}

unsigned ramka_metadata_of(const struct ramka *r, ramka_paddr_t base, uint64_t size,
			   struct ramka_metadata_part ret_parts[RAMKA_METADATA_PARTS])
{
	struct parts p = { ret_parts, 0 };
	uint64_t first = frame_of(base + (RAMKA_PAGE_SIZE - 1)), end = frame_of(base + size), last;
	const struct map_entry *m;
	const struct zone *z;

	if (!r || !ret_parts || size > UINT64_MAX - base)
		return 0;
	last = r->first + r->nr_slots;
	first = first < r->first ? r->first : first;
	end = end > last ? last : end;
	if (first >= end)
		return 0;
	part(&p, r->slots, first - r->first, end - r->first, sizeof(*r->slots));
	part(&p, r->meta, first - r->first, end - r->first, r->meta_size);
	part(&p, r->traces, first - r->first, end - r->first, watch_bytes(r->flags));
	part(&p, r->shadow, first - r->first, end - r->first, contracts_bytes());
	m = instance_map(r, first);
	if (m->zone == NO_ZONE)
		return p.nr;
	z = &r->zones[m->zone];
	if (first < z->origin || end - z->origin > (uint64_t)z->map.blocks * BLOCK_FRAMES)
		return p.nr;
	part(&p, (void *)z->map.words, align_up(first - z->origin, BLOCK_FRAMES) / BLOCK_FRAMES,
	     (end - z->origin) / BLOCK_FRAMES, BLOCK_FRAMES / 8);
	return p.nr;
}
