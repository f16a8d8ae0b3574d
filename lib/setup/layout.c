/* SPDX-License-Identifier: MIT */
/* The layout of the metadata memory: what lies where, and how much it is. */
#include "layout.h"

#include "../cpu/mail.h"
#include "../zone/territory.h"
#include "../frame/contracts.h"
#include "../frame/defer.h"
#include "map.h"

#define MIN_ALIGN_ORDER 11u /* four blocks, one word of block words */
#define MAX_NODE 65534u

/* May the allocator ever hand out frames of this region? */
static bool feeds_zone(const struct ramka_region *g)
{
	return g->size && g->kind <= RAMKA_RECLAIMABLE;
}

/* The range of the n-th distinct node; false past the last. No memory to remember them: quadratic in the regions. */
static bool node_range(const struct ramka_config *cfg, unsigned n, struct node_range *ret)
{
	*ret = (struct node_range){ 0 };
	for (size_t i = 0; i < cfg->nr_regions; i++) {
		const struct ramka_region *g = &cfg->regions[i];
		bool seen = false;

		for (size_t j = 0; j < i && !seen; j++)
			seen = feeds_zone(&cfg->regions[j]) && cfg->regions[j].node == g->node;
		if (!feeds_zone(g) || seen || n--)
			continue;
		*ret = (struct node_range){ UINT64_MAX, 0, g->node };
		for (size_t j = i; j < cfg->nr_regions; j++) {
			const struct ramka_region *h = &cfg->regions[j];

			if (!feeds_zone(h) || h->node != g->node)
				continue;
			if (frame_of(h->base) < ret->first)
				ret->first = frame_of(h->base);
			if (frame_of(h->base + h->size - 1) + 1 > ret->end)
				ret->end = frame_of(h->base + h->size - 1) + 1;
		}
		return true;
	}
	return false;
}

/* One node, or none: its zone covers the whole span, so that every hole can become memory. */
bool zone_range(const struct ramka_config *cfg, const struct layout *l, unsigned n, struct node_range *ret)
{
	struct node_range second;
	bool found = node_range(cfg, n, ret);

	if (n == 0 && (!found || !node_range(cfg, 1, &second)))
		*ret = (struct node_range){ l->first, l->first + l->nr_slots, found ? ret->node : 0 };
	return found || n == 0;
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
	return align_up(n->end - zone_origin(n), (uint64_t)BLOCK_FRAMES * LANES) + (n->end == n->first) * BLOCK_FRAMES * LANES;
}

size_t bitmap_bytes(uint64_t bits, unsigned nr_cpus)
{
	uint32_t blocks = (uint32_t)(bits / BLOCK_FRAMES);
	uint32_t territories = territory_count(blocks, territory_shift(blocks, nr_cpus));

	return (size_t)align_up(bits / 8 + (blocks / LANES + 2 * hints_size(blocks)) * sizeof(uint64_t) +
				territories * sizeof(struct ramka_atomic_u32), 64);
}

/* Reserves `bytes`, aligned to a cache line. False: the sum overflows. */
static bool place(struct layout *l, size_t *ret_at, uint64_t nr, size_t size)
{
	if (size && nr > (SIZE_MAX - 64 - l->end) / size)
		return false;
	*ret_at = l->end;
	l->end = (size_t)align_up(l->end + nr * size, 64);
	return true;
}

int lay_out(const struct ramka_config *cfg, struct layout *l)
{
	struct node_range range;
	uint64_t end, bits, shards;
	size_t at;
	bool ok;

	*l = (struct layout){ 0 };
	if (!cfg || !cfg->regions || !cfg->nr_regions || !cfg->nr_cpus || cfg->nr_cpus > 0xffffff / SHARD_MAGAZINES - 1)
		return RAMKA_E_INVAL;
	l->meta_size = cfg->meta_size == RAMKA_META_NONE ? 0 : cfg->meta_size ? cfg->meta_size : RAMKA_META_SIZE_DEFAULT;
	if (l->meta_size > RAMKA_META_SIZE_MAX || map_span(cfg, &l->first, &end))
		return RAMKA_E_INVAL;
	for (size_t i = 0; i < cfg->nr_regions; i++)
		if (cfg->regions[i].node > MAX_NODE)
			return RAMKA_E_INVAL;
	l->nr_slots = end - l->first;
	shards = cfg->nr_cpus + mailboxes(cfg->nr_cpus);
	ok = place(l, &at, 1, sizeof(struct ramka)) && place(l, &l->cpus, cfg->nr_cpus, sizeof(struct cached_cpu)) &&
	     place(l, &l->none, 1, sizeof(struct ramka_cpu)) && place(l, &l->depot, 2, sizeof(struct depot)) &&
	     place(l, &l->outboxes, cfg->nr_cpus, (size_t)align_up(outbox_bytes(cfg->nr_cpus), 64)) &&
	     place(l, &l->defers, cfg->nr_cpus, sizeof(struct defer)) &&
	     place(l, &l->shards, shards, sizeof(struct shard)) &&
	     place(l, &l->magazines, shards * SHARD_MAGAZINES, sizeof(struct magazine)) &&
	     place(l, &l->map, map_pieces(cfg->nr_regions), sizeof(struct map_entry)) &&
	     place(l, &l->events, map_events(cfg->nr_regions), sizeof(struct map_event));
	while (zone_range(cfg, l, l->nr_zones, &range))
		l->nr_zones++;
	ok = ok && place(l, &l->zones, l->nr_zones, sizeof(struct zone));
	l->bitmaps = l->end;
	for (unsigned i = 0; ok && i < l->nr_zones; i++) {
		zone_range(cfg, l, i, &range);
		if (range.end - range.first > UINT32_MAX - ((uint64_t)2 << RAMKA_MAX_ORDER))
			return RAMKA_E_INVAL;
		bits = zone_bits(&range);
		ok = place(l, &at, bitmap_bytes(bits, cfg->nr_cpus), 1);
	}
	ok = ok && place(l, &l->slots, l->nr_slots, sizeof(struct ramka_frame)) && place(l, &l->meta, l->nr_slots, l->meta_size) &&
	     place(l, &l->shadow, l->nr_slots, contracts_bytes());
	return ok ? 0 : RAMKA_E_INVAL;
}

int ramka_metadata_size(const struct ramka_config *cfg, size_t *ret_bytes)
{
	struct layout l;
	int rc = lay_out(cfg, &l);

	if (!ret_bytes)
		return RAMKA_E_INVAL;
	if (!rc)
		*ret_bytes = l.end;
	return rc;
}
