/* SPDX-License-Identifier: MIT */
/*
 * Set-up: builds an instance in the metadata memory and hands the usable frames to the zones. Also CPUs that go off line, and
 * the end. Slots of usable memory are not touched, since FREE is all zeroes.
 */
#include "../base/mem.h"

#include "../cpu/drain.h"
#include "../cpu/mail.h"
#include "../cpu/order.h"
#include "../frame/contracts.h"
#include "../frame/defer.h"
#include "../zone/territory.h"
#include "layout.h"
#include "map.h"

#define SCARCE_END ((uint64_t)1 << (32 - RAMKA_PAGE_SHIFT)) /* frames below it are what old devices reach */
#define MAX_FOLD 1024u
#define HIGH_WATER_MAX 4096u

/* ---- building ---- */

static void init_config(struct ramka *r, const struct ramka_config *cfg)
{
	r->flags = cfg->flags;
	r->nr_cpus = cfg->nr_cpus;
	r->direct_map = cfg->direct_map;
	r->barrier_all_cpus = cfg->barrier_all_cpus;
	r->panic = cfg->panic;
	r->low_memory = cfg->low_memory;
	r->low_watermark = cfg->low_watermark;
	r->high_water = cfg->high_water;
	r->ctx = cfg->ctx;
	r->has_rcu = cfg->rcu != NULL;
	if (cfg->rcu)
		r->rcu = *cfg->rcu;
}

static void init_zones(struct ramka *r, const struct ramka_config *cfg, const struct layout *l, uint8_t *at)
{
	for (unsigned i = 0; i < r->nr_zones; i++) {
		struct zone *z = &r->zones[i];
		struct node_range range;
		uint64_t bits;
		struct ramka_atomic_u64 *words;

		zone_range(cfg, l, i, &range);
		bits = zone_bits(&range);
		z->origin = zone_origin(&range);
		z->low = (uint32_t)(range.first - z->origin);
		z->end = (uint32_t)(range.end - z->origin);
		z->node = range.node;
		z->exclusive = true;
		words = (void *)at;
		z->map.blocks = (uint32_t)(bits / BLOCK_FRAMES);
		z->map.words = words;
		z->map.packs = words + bits / WORD_BITS;
		hints_init(&z->map.some, z->map.packs + z->map.blocks / LANES, z->map.blocks);
		hints_init(&z->map.whole, z->map.some.level[0] + hints_size(z->map.blocks), z->map.blocks);
		z->territory_shift = territory_shift(z->map.blocks, r->nr_cpus);
		z->nr_territories = territory_count(z->map.blocks, z->territory_shift);
		z->owners = (void *)(z->map.whole.level[0] + hints_size(z->map.blocks));
		at += bitmap_bytes(bits, r->nr_cpus);
		for (unsigned j = 0; j < i; j++) {
			struct zone *y = &r->zones[j];

			if (z->origin + z->low < y->origin + y->end && y->origin + y->low < z->origin + z->end)
				z->exclusive = y->exclusive = false;
		}
	}
}

static void init_cpu(struct ramka *r, struct ramka_cpu *cpu, uint32_t id, uint32_t node)
{
	cpu->r = r;
	cpu->id = id;
	cpu->me = cpu->cacheless ? OWNER_NONE : id + 1;
	cpu->node = node;
	cpu->block = cpu->run_block = NO_BLOCK;
	cpu->current = cpu->run_current = cpu->row = NO_ROW;
	cpu->random = 2463534242u + id;
	cpu->zone = &r->zones[0];
	for (unsigned i = 0; i < r->nr_zones; i++)
		if (r->zones[i].node == node)
			cpu->zone = &r->zones[i];
	cpu->slots = (uintptr_t)&r->slots[cpu->zone->origin + cpu->zone->low - r->first];
	set_plain_entry(cpu, &r->types[ramka_type_untyped.id]);
	cpu->span = cpu->zone->exclusive && !cpu->cacheless ? cpu->zone->end - cpu->zone->low : 0;
}

/* Each CPU gets its share of its node's zone. */
static void init_territories(struct ramka *r)
{
	for (unsigned i = 0; i < r->nr_zones; i++) {
		struct zone *z = &r->zones[i];
		uint32_t nr = 0, nth = 0;

		for (unsigned j = 0; j < r->nr_cpus; j++)
			nr += r->cpus[j].cpu.zone == z;
		for (unsigned j = 0; j < r->nr_cpus; j++)
			if (r->cpus[j].cpu.zone == z)
				r->cpus[j].cpu.home = r->cpus[j].cpu.whole_block = territory_give(z, j, nth++, nr);
		if (z->origin < SCARCE_END)
			territory_set_scarce(z, (uint32_t)(SCARCE_END - z->origin < z->end ? SCARCE_END - z->origin : z->end));
	}
}

static const struct ramka_type *type_of_kind(uint32_t kind)
{
	switch (kind) {
	case RAMKA_KERNEL:
		return &ramka_type_kernel;
	case RAMKA_BAD:
		return &ramka_type_unusable;
	case MAP_METADATA:
		return &ramka_type_metadata;
	default:
		return &ramka_type_reserved;
	}
}

/* Frames [first, end) of one kind. */
static void init_piece(struct ramka *r, uint64_t first, uint64_t end, uint32_t kind)
{
	struct ramka_frame *f = &r->slots[first - r->first];
	uint64_t nr = end - first;

	r->total += nr;
	if (kind == RAMKA_USABLE) {
		struct zone *z = instance_zone(r, f);

		bitmap_fill(&z->map, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin));
		ramka_add(&z->usable, nr, relaxed, stat);
		return;
	}
	if (kind == RAMKA_DETACHED)
		ramka_add(&r->unused, nr, relaxed, stat);
	else
		r->reserved += nr;
	for (uint64_t i = 0; i < nr; i++) {
		if (kind != RAMKA_DETACHED)
			slot_set_info(f + i, r->types[type_of_kind(kind)->id].info);
		ramka_store(&f[i].ref, kind == RAMKA_DETACHED ? REF_UNUSED : REF_SHARED(1), relaxed, slot.look);
	}
}

static void init_frames(struct ramka *r)
{
	for (size_t i = 0; i + 1 < r->nr_map; i++) {
		const struct map_entry *m = &r->map[i];
		uint64_t first = m->first, end = m[1].first;

		if (m->kind == MAP_HOLE)
			continue;
		if (first == 0 && m->kind == RAMKA_USABLE) { /* address 0 means nothing to many: by address only */
			init_piece(r, 0, 1, RAMKA_DETACHED);
			first = 1;
		}
		if (first < end)
			init_piece(r, first, end, m->kind);
	}
}

/* Sizes that follow from how much memory there is. */
static void init_sizes(struct ramka *r)
{
	uint64_t usable = 0, share;

	for (unsigned i = 0; i < r->nr_zones; i++)
		usable += ramka_load(&r->zones[i].usable, relaxed, stat);
	share = usable / r->nr_cpus;
	r->batch = share / 16 < 1 ? 1 : share / 16 < MAGAZINE_SIZE ? (uint32_t)(share / 16) : MAGAZINE_SIZE;
	order_set_bounds(r, share);
	r->fold = share / 64 < 1 ? 1 : share / 64 < MAX_FOLD ? (uint32_t)(share / 64) : MAX_FOLD;
	if (!r->high_water)
		r->high_water = share / 64 < HIGH_WATER_MAX ? share / 64 : HIGH_WATER_MAX;
}

/* The metadata's own frames, if it lies in the direct map. */
static struct ramka_region metadata_region(const struct ramka_config *cfg, const void *metadata, size_t bytes)
{
	struct ramka_region g = { .base = (uintptr_t)metadata - cfg->direct_map, .size = bytes };

	if (cfg->flags & RAMKA_NO_DIRECT_MAP || (uintptr_t)metadata < cfg->direct_map || g.base + g.size < g.base)
		g.size = 0;
	return g;
}

int ramka_init(const struct ramka_config *cfg, void *metadata, size_t bytes, struct ramka **ret_r)
{
	struct ramka_region meta;
	struct layout l;
	struct ramka *r = metadata;
	uint8_t *at = metadata;
	int rc = lay_out(cfg, &l);

	if (rc || !metadata || !ret_r)
		return RAMKA_E_INVAL;
	if ((uintptr_t)metadata % 64)
		return RAMKA_E_NOT_ALIGNED;
	if (bytes < l.end)
		return RAMKA_E_NOMEM;
	memset(at, 0, cfg->flags & RAMKA_METADATA_ZEROED ? l.bitmaps : l.meta); /* the map must not see stale data either way */
	if (!(cfg->flags & RAMKA_METADATA_ZEROED))
		memset(at + l.shadow, 0, l.end - l.shadow);
	init_config(r, cfg);
	r->first = l.first;
	r->nr_slots = l.nr_slots;
	r->slots = (void *)(at + l.slots);
	r->meta = at + l.meta;
	r->meta_size = l.meta_size;
	r->shadow = (void *)(at + l.shadow);
	r->nr_zones = l.nr_zones;
	r->zones = (void *)(at + l.zones);
	r->cpus = (void *)(at + l.cpus);
	r->map = (void *)(at + l.map);
	meta = metadata_region(cfg, metadata, bytes);
	rc = map_build(cfg, &meta, (void *)(at + l.events), r->map, &r->nr_map);
	if (rc)
		return rc;
	types_init(r);
	init_zones(r, cfg, &l, at + l.bitmaps);
	init_frames(r);
	init_sizes(r);
	r->depot = (void *)(at + l.depot);
	*r->depot = (struct depot){ (void *)(at + l.shards), (void *)(at + l.magazines), r->nr_cpus };
	depot_init(r->depot);
	r->mail = r->depot + 1;
	*r->mail = (struct depot){ r->depot->shards + r->nr_cpus, r->depot->magazines + (size_t)r->nr_cpus * SHARD_MAGAZINES,
				   mailboxes(r->nr_cpus) };
	depot_init(r->mail);
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		r->cpus[i].cpu.outbox = (void *)(at + l.outboxes + i * (size_t)align_up(outbox_bytes(r->nr_cpus), 64));
		outbox_init(r->cpus[i].cpu.outbox, r->nr_cpus);
		r->cpus[i].cpu.defer = (struct defer *)(void *)(at + l.defers) + i;
		init_cpu(r, &r->cpus[i].cpu, i, cfg->cpu_node ? cfg->cpu_node[i] : 0);
	}
	r->none = (void *)(at + l.none);
	init_territories(r);
	r->none->cacheless = true;
	ramka_store(&r->none->active, 1, relaxed, section.own);
	init_cpu(r, r->none, 0, 0);
	r->magic = RAMKA_MAGIC;
	*ret_r = r;
	return 0;
}

int ramka_fini(struct ramka *r)
{
	struct ramka_stats s;

	if (!r || r->magic != RAMKA_MAGIC)
		return RAMKA_E_INVAL;
	ramka_stats_read(r, &s);
	if (s.in_use || s.deferred)
		return RAMKA_E_BUSY;
	r->magic = 0;
	return 0;
}

/* ---- CPUs ---- */

void ramka_cpu_offline(struct ramka_cpu *cpu)
{
	cpu_drain_own(cpu);
	defer_offline(cpu);
}

void ramka_drain(struct ramka *r)
{
	uint64_t mine = 0;

	cpu_drain_all(r, r->none, &mine);
}
