/* SPDX-License-Identifier: MIT */
/*
 * Set-up: lays out the caller's metadata memory, reads the map, hands the usable frames to the zones. Also late
 * memory, CPUs on and off, the end. Slots of usable memory are not touched: FREE is all zeroes.
 */
#include "mem.h"

#include "defer.h"
#include "drop.h"
#include "handle.h"
#include "map.h"
#include "contracts.h"

#define MIN_ALIGN_ORDER 11u /* four blocks, one word of block words */
#define MAX_NODE 65534u
#define MAX_FOLD 1024u
#define HIGH_WATER_MAX 4096u

/* ---- layout ---- */

/* A node's frames; `node` of the first region that names it. */
struct node_range { uint64_t first, end; uint32_t node; };

/* Offsets into the metadata memory. */
struct layout {
	uint64_t first, nr_slots;
	unsigned nr_zones;
	uint32_t meta_size;
	size_t cpus, defers, shards, magazines, zones, map, events, bitmaps, slots, meta, shadow, end;
};

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
static bool zone_range(const struct ramka_config *cfg, const struct layout *l, unsigned n, struct node_range *ret)
{
	struct node_range second;
	bool found = node_range(cfg, n, ret);

	if (n == 0 && (!found || !node_range(cfg, 1, &second)))
		*ret = (struct node_range){ l->first, l->first + l->nr_slots, found ? ret->node : 0 };
	return found || n == 0;
}

/* Aligned start of a zone: bits and frame numbers agree on every order that fits into it. */
static uint64_t zone_origin(const struct node_range *n)
{
	unsigned order = MIN_ALIGN_ORDER;

	while (order < RAMKA_MAX_ORDER && n->end > n->first && n->first >> order != (n->end - 1) >> order)
		order++;
	return align_down(n->first, (uint64_t)1 << order);
}

static uint64_t zone_bits(const struct node_range *n)
{
	return align_up(n->end - zone_origin(n), (uint64_t)BLOCK_FRAMES * LANES) + (n->end == n->first) * BLOCK_FRAMES * LANES;
}

static size_t bitmap_bytes(uint64_t bits)
{
	uint32_t blocks = (uint32_t)(bits / BLOCK_FRAMES);

	return (size_t)align_up(bits / 8 + (blocks / LANES + 2 * hints_size(blocks)) * sizeof(uint64_t), 64);
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

static int lay_out(const struct ramka_config *cfg, struct layout *l)
{
	struct node_range range;
	uint64_t end, bits;
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
	ok = place(l, &at, 1, sizeof(struct ramka)) && place(l, &l->cpus, cfg->nr_cpus, sizeof(struct cached_cpu)) &&
	     place(l, &l->defers, cfg->nr_cpus, sizeof(struct defer)) &&
	     place(l, &l->shards, cfg->nr_cpus, sizeof(struct shard)) &&
	     place(l, &l->magazines, (uint64_t)cfg->nr_cpus * SHARD_MAGAZINES, sizeof(struct magazine)) &&
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
		ok = place(l, &at, bitmap_bytes(bits), 1);
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
		at += bitmap_bytes(bits);
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
	cpu->id = cpu->victim = id;
	cpu->node = node;
	cpu->block = NO_BLOCK;
	cpu->current = cpu->row = NO_ROW;
	cpu->random = 2463534242u + id;
	cpu->zone = &r->zones[0];
	for (unsigned i = 0; i < r->nr_zones; i++)
		if (r->zones[i].node == node)
			cpu->zone = &r->zones[i];
	cpu->cursor = cpu->cacheless ? 0 : (uint32_t)((uint64_t)cpu->zone->map.blocks * id / r->nr_cpus);
	cpu->slots = (uintptr_t)&r->slots[cpu->zone->origin + cpu->zone->low - r->first];
	set_plain_entry(cpu, &r->types[ramka_type_untyped.id]);
	cpu->span = cpu->zone->exclusive && !cpu->cacheless ? cpu->zone->end - cpu->zone->low : 0;
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
	r->depot = (struct depot){ (void *)(at + l.shards), (void *)(at + l.magazines), r->nr_cpus };
	depot_init(&r->depot);
	for (unsigned i = 0; i < r->nr_cpus; i++) {
		r->cpus[i].cpu.defer = (struct defer *)(void *)(at + l.defers) + i;
		init_cpu(r, &r->cpus[i].cpu, i, cfg->cpu_node ? cfg->cpu_node[i] : 0);
	}
	r->none.cacheless = true;
	ramka_store(&r->none.active, 1, relaxed, section.own);
	init_cpu(r, &r->none, 0, 0);
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

struct ramka_cpu *ramka_cpu_at(struct ramka *r, unsigned id)
{
	return id < r->nr_cpus ? &r->cpus[id].cpu : NULL;
}

struct ramka *ramka_of(const struct ramka_cpu *cpu)
{
	return cpu->r;
}

struct ramka_cpu *ramka_cpu_none(struct ramka *r)
{
	return &r->none;
}

void ramka_cpu_offline(struct ramka_cpu *cpu)
{
	cpu_drain_own(cpu);
	defer_offline(cpu);
}

void ramka_drain(struct ramka *r)
{
	uint64_t mine = 0;

	cpu_drain_all(r, &r->none, &mine);
}

/* ---- late memory ---- */

/* Every frame of the range is reclaimable or a hole, and one zone covers it all. */
static int late_check(const struct ramka *r, uint64_t first, uint64_t end, struct zone **ret_z)
{
	struct zone *z = instance_zone(r, &r->slots[first - r->first]);

	for (uint64_t i = first; i < end; i++) {
		unsigned kind = instance_kind(r, i);

		if (kind != MAP_HOLE && kind != RAMKA_RECLAIMABLE)
			return RAMKA_E_IN_USE;
		if (!z || instance_zone(r, &r->slots[i - r->first]) != z)
			return RAMKA_E_OUT_OF_BOUND;
	}
	*ret_z = z;
	return 0;
}

/* Takes the reserved frames' own references; all or none. */
static int late_claim(struct ramka *r, uint64_t first, uint64_t end, uint64_t *ret_reserved)
{
	*ret_reserved = 0;
	for (uint64_t i = first; i < end; i++) {
		uint64_t sole = REF_SHARED(1);

		if (instance_kind(r, i) == MAP_HOLE)
			continue;
		if (ramka_cas(&r->slots[i - r->first].ref, &sole, REF_BUSY((uint64_t)0), acquire, slot.drop)) {
			++*ret_reserved;
			continue;
		}
		while (i-- > first)
			if (instance_kind(r, i) != MAP_HOLE)
				ramka_store(&r->slots[i - r->first].ref, REF_SHARED(1), release, slot.publish);
		return RAMKA_E_IN_USE;
	}
	return 0;
}

/* Frames [first, end) become usable memory: the map's reader must know before the first can be handed out. */
static int late_publish(struct ramka *r, uint64_t first, uint64_t end)
{
	uint32_t nr = ramka_load(&r->nr_late, relaxed, map.late);

	for (uint32_t i = 0; i < nr; i++)
		if (ramka_load(&r->late[i].end, relaxed, map.late) == first) {
			ramka_store(&r->late[i].end, end, release, map.late);
			return 0;
		}
	if (nr == MAX_LATE)
		return RAMKA_E_NOMEM;
	ramka_store(&r->late[nr].first, first, relaxed, map.late);
	ramka_store(&r->late[nr].end, end, relaxed, map.late);
	ramka_store(&r->nr_late, nr + 1, release, map.late);
	return 0;
}

static int add_memory(struct ramka *r, uint64_t first, uint64_t end)
{
	struct zone *z;
	uint64_t reserved, give = first;
	int rc = late_check(r, first, end, &z);

	if (!rc)
		rc = late_claim(r, first, end, &reserved);
	if (rc)
		return rc;
	rc = late_publish(r, first, end);
	for (uint64_t i = first; i < end; i++) {
		struct ramka_frame *f = &r->slots[i - r->first];

		if (rc && ref_tag(slot_ref(f)) == TAG_BUSY)
			ramka_store(&f->ref, REF_SHARED(1), release, slot.publish);
		if (rc)
			continue;
		slot_set_info(f, 0);
		ramka_store(&f->ref, i ? REF_FREE : REF_UNUSED, release, slot.claim);
	}
	if (rc)
		return rc;
	if (!first) { /* address 0 means nothing to many, late as well */
		ramka_add(&r->unused, 1, relaxed, stat);
		give = 1;
	}
	ramka_add(&r->late_reserved, reserved, relaxed, stat);
	ramka_add(&r->late_total, end - first - reserved, relaxed, stat);
	ramka_add(&z->usable, end - give, relaxed, stat);
	ramka_add(&r->moves, 1, release, nomem.collect);
	zone_free_range(z, (uint32_t)(give - z->origin), (uint32_t)(end - give));
	ramka_add(&r->moves, 1, release, nomem.collect);
	return 0;
}

int ramka_add_memory(struct ramka *r, const struct ramka_region *region)
{
	uint64_t first, nr;
	uint32_t none = 0;
	int rc;

	if (!r || !region || region->kind != RAMKA_USABLE || !region->size || region->size > UINT64_MAX - region->base)
		return RAMKA_E_INVAL;
	if ((region->base | region->size) & (RAMKA_PAGE_SIZE - 1))
		return RAMKA_E_NOT_ALIGNED;
	first = frame_of(region->base);
	nr = frame_of(region->size);
	if (first < r->first || first - r->first >= r->nr_slots || nr > r->nr_slots - (first - r->first))
		return RAMKA_E_OUT_OF_BOUND;
	if (!ramka_cas(&r->adding, &none, 1, acquire, map.adding))
		return RAMKA_E_BUSY;
	rc = add_memory(r, first, first + nr);
	ramka_store(&r->adding, 0, release, map.adding);
	return rc;
}
