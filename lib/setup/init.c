/* SPDX-License-Identifier: MIT */
/*
 * Set-up: builds an instance in the metadata memory and hands the usable frames to the zones. It also takes
 * CPUs off line and ends the instance. Where the metadata memory is zeroed already, the slots of usable
 * memory are not written, since FREE is all zeroes. May use layout.h, tune.h.
 */
#include "../base/mem.h"
#include "../base/watch.h"

#include "../cpu/drain.h"
#include "../cpu/gate.h"
#include "../cpu/mail.h"
#include "../cpu/order.h"
#include "../frame/contracts.h"
#include "../frame/defer.h"
#include "../zone/territory.h"
#include "layout.h"
#include "tune.h"

#define SCARCE_END ((uint64_t)1 << (32 - RAMKA_PAGE_SHIFT)) /* old devices reach only the frames below it */

/* ---- building ---- */

static void init_config(struct ramka *r, const struct ramka_config *cfg)
{
#ifdef RAMKA_HARDENED
	r->flags = cfg->flags | RAMKA_HARDENING;
#else
	r->flags = cfg->flags;
#endif
	r->nr_cpus = cfg->nr_cpus;
	r->direct_map = cfg->direct_map;
	r->barrier_all_cpus = cfg->barrier_all_cpus;
	r->panic = cfg->panic;
	r->low_memory = cfg->low_memory;
	r->enough_memory = cfg->enough_memory;
	r->shrink = cfg->shrink;
	r->low_given = cfg->low_watermark;
	r->high_given = cfg->high_watermark;
	ramka_store(&r->min_mark, cfg->min_watermark, relaxed, stat);
	r->high_water_given = cfg->high_water != 0;
	r->cache_frames = cfg->cache_frames;
	ramka_store(&r->high_water, cfg->high_water, relaxed, stat);
	r->ctx = cfg->ctx;
	r->this_cpu = cfg->this_cpu;
	if (cfg->watch)
		r->watch = *cfg->watch;
	r->watched = cfg->watch || cfg->flags & (RAMKA_TRACE | RAMKA_POISON | RAMKA_INIT_ON_FREE);
	r->seed = cfg->seed ? cfg->seed : (uintptr_t)r;
	r->no_type = (struct type_entry){ .type = { (uintptr_t)r } };
	r->has_rcu = cfg->rcu != NULL;
	if (cfg->rcu)
		r->rcu = *cfg->rcu;
}

/*
 * Sets `exclusive` of each zone whose range overlaps no other one. The ranges are sorted by where they begin,
 * so each has to be compared only with the one before it that reaches farthest.
 */
static void find_exclusive(struct ramka *r, struct map_event *scratch)
{
	struct zone *farthest = NULL;

	for (unsigned i = 0; i < r->nr_zones; i++)
		scratch[i] = (struct map_event){ .at = r->zones[i].origin + r->zones[i].low, .region = i };
	map_sort(scratch, r->nr_zones);
	for (unsigned i = 0; i < r->nr_zones; i++) {
		struct zone *z = &r->zones[scratch[i].region];

		z->exclusive = true;
		if (farthest && scratch[i].at < farthest->origin + farthest->end)
			z->exclusive = farthest->exclusive = false;
		if (!farthest || z->origin + z->end > farthest->origin + farthest->end)
			farthest = z;
	}
}

/*
 * The zones, by ascending node. Block entries and hints are cleared here; the bits of a block are cleared
 * when it gets its first frame.
 */
static void init_zones(struct ramka *r, const struct ramka_config *cfg, const struct layout *l,
		       uint8_t *metadata)
{
	uint8_t *at = metadata + l->bitmaps;
	struct ramka_atomic_u64 *present = (void *)(metadata + l->present);
	struct node_range range;
	struct nodes nodes;
	struct zone *z = r->zones;

	nodes_start(&nodes, cfg, &l->span);
	for (; nodes_next(&nodes, &range); z++) {
		uint64_t bits = zone_bits(&range);
		struct ramka_atomic_u64 *words = (void *)at;

		z->origin = zone_origin(&range);
		z->low = (uint32_t)(range.first - z->origin);
		z->end = (uint32_t)(range.end - z->origin);
		z->node = range.node;
		z->map.blocks = (uint32_t)(bits / BLOCK_FRAMES);
		z->map.words = words;
		z->map.quads = words + bits / WORD_BITS;
		hints_init(&z->map.some, z->map.quads + quad_words(z->map.blocks), z->map.blocks);
		hints_init(&z->map.whole, z->map.some.level[0] + hints_size(z->map.blocks), z->map.blocks);
		z->territory_shift = territory_shift(z->map.blocks, r->nr_cpus);
		z->nr_territories = territory_count(z->map.blocks, z->territory_shift);
		z->lasting = z->map.whole.level[0] + hints_size(z->map.blocks);
		z->owners = (void *)(z->lasting + zone_chunks(z->map.blocks));
		sparse_init(&z->present, present, z->map.blocks);
		present += sparse_words(z->map.blocks);
		at += bitmap_bytes(bits, r->nr_cpus);
		if (!(cfg->flags & RAMKA_METADATA_ZEROED))
			memset((void *)z->map.quads, 0, (size_t)(at - (uint8_t *)z->map.quads));
	}
	find_exclusive(r, (void *)(metadata + l->events));
}

/* The zone of a node, or zones[0] for a node without memory. */
static struct zone *zone_of_node(const struct ramka *r, uint32_t node)
{
	unsigned low = 0, high = r->nr_zones;

	while (high - low > 1) {
		unsigned middle = low + (high - low) / 2;

		if (r->zones[middle].node <= node)
			low = middle;
		else
			high = middle;
	}
	return r->zones[low].node == node ? &r->zones[low] : &r->zones[0];
}

/* A CPU's first number of RAMKA_SHUFFLE, never 0: splitmix64, Steele and others 2014. */
static uint32_t random_start(uint64_t seed, uint32_t id)
{
	uint64_t x = seed + (id + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (uint32_t)x ? (uint32_t)x : 1;
}

static void init_cpu(struct ramka *r, struct ramka_cpu *cpu, uint32_t id, uint32_t node)
{
	cpu->r = r;
	cpu->id = id;
	cpu->me = cpu->cacheless ? OWNER_NONE : id + 1;
	cpu->node = node;
	cpu->block = cpu->run_block = cpu->lasting_block = NO_BLOCK;
	set_current(&cpu->current, NO_ROW);
	set_current(&cpu->run_current, NO_ROW);
	cpu->row = NO_ROW;
	cpu->window = gate_window(r);
	cpu->most = CACHE_SIZE;
	cpu->keep = MAGAZINE_SIZE;
	cpu->rows_max = ROWS; /* until the first look, lean.h */
	cpu->sharers = 1;
	cpu->order_max = r->order_max;
	cpu->victim = id;
	cpu->random = random_start(r->seed, id);
	cpu->tell_at = cpu->tell_back = ramka_load(&r->tell_max, relaxed, stat);
	cpu->zone = zone_of_node(r, node);
	ramka_store(&cpu->elsewhere, (uint32_t)(cpu->zone - r->zones + 1) % r->nr_zones, relaxed, stat);
	cpu->slots = (uintptr_t)&r->slots[cpu->zone->origin + cpu->zone->low - r->first];
	/*
	 * where the use of handles is checked, no call is a hit and no frame is at home: all calls take the
	 * ways that check
	 */
	set_plain_entry(cpu, r->this_cpu || r->watched ? &r->no_type : &r->types[ramka_type_untyped.id]);
	cpu->span =
		cpu->zone->exclusive && !cpu->cacheless && !r->this_cpu ? cpu->zone->end - cpu->zone->low : 0;
}

/* Each CPU gets its share of its node's zone. */
static void init_territories(struct ramka *r)
{
	for (unsigned i = 0; i < r->nr_zones; i++) {
		struct zone *z = &r->zones[i];
		uint32_t nr = 0, nth = 0;

		for (unsigned j = 0; j < r->nr_cpus; j++)
			nr += r->cpus[j].cpu.zone == z;
		if (z->origin < SCARCE_END)
			territory_set_scarce(z, (uint32_t)(SCARCE_END - z->origin < z->end ?
								   SCARCE_END - z->origin :
								   z->end));
		for (unsigned j = 0; j < r->nr_cpus; j++) {
			struct ramka_cpu *cpu = &r->cpus[j].cpu;

			if (cpu->zone != z)
				continue;
			cpu->sharers = nr;
			cpu->own = territory_give(z, j, nth++, nr);
			cpu->home = cpu->whole_block = cpu->own.first << z->territory_shift;
		}
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

/* ---- the map ---- */

static bool covers(const struct zone *z, const struct map_entry *m)
{
	return z && m->first >= z->origin + z->low && m->first < z->origin + z->end;
}

/*
 * Which zone each piece belongs to. A hole belongs to the zone of the memory below it, if that zone goes on
 * behind the hole. Else it belongs to the zone that reaches farthest of those that began below it, and else
 * to the zone of the memory above it.
 */
static void map_zones(struct ramka *r)
{
	struct zone *below = NULL, *farthest = NULL;
	uint64_t late = 0;

	for (size_t i = 0; i < r->nr_map; i++) {
		struct map_entry *m = &r->map[i];
		struct zone *z = m->kind == MAP_HOLE ? NULL : zone_of_node(r, m->node), *above;
		bool last = i + 1 == r->nr_map; /* a hole, which may begin inside the span */

		if (m->kind == MAP_HOLE) {
			above = !last && m[1].kind != MAP_HOLE ? zone_of_node(r, m[1].node) : NULL;
			z = covers(below, m) ? below : covers(farthest, m) ? farthest : above;
		} else if (m->kind <= RAMKA_RECLAIMABLE) {
			below = z;
			if (!farthest || z->origin + z->end > farthest->origin + farthest->end)
				farthest = z;
		}
		m->zone = covers(z, m) && (m->kind == MAP_HOLE || z->node == m->node) ?
				  (uint32_t)(z - r->zones) :
				  NO_ZONE;
		m->late = late;
		if (!last && (m->kind == MAP_HOLE || m->kind == RAMKA_RECLAIMABLE))
			late += m[1].first - m->first;
	}
}

/*
 * Usable frames [first, end): makes their slots all zeroes, which is FREE. False: they should be zeroed
 * already and are not.
 */
static bool init_usable(struct ramka *r, struct zone *z, uint64_t first, uint64_t end)
{
	struct ramka_frame *f = &r->slots[first - r->first], *last = &r->slots[end - 1 - r->first];
	bool cleared = r->flags & RAMKA_METADATA_ZEROED;

	if (!cleared)
		memset((void *)f, 0, (size_t)(end - first) * sizeof(*f));
	else if (slot_ref(f) || slot_info(f) || slot_ref(last) || slot_info(last))
		return false;
	if (!zone_open(z, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin), cleared))
		return false;
	bitmap_fill(&z->map, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin));
	ramka_add(&z->usable, end - first, relaxed, stat);
	return true;
}

/* Frames [first, end) of any other kind but holes. */
static void init_withheld(struct ramka *r, uint64_t first, uint64_t end, uint32_t kind)
{
	uint64_t ref = kind == RAMKA_DETACHED ? REF_UNUSED : REF_SHARED(1);
	uint64_t info = kind == RAMKA_DETACHED ? 0 : r->types[type_of_kind(kind)->id].info;

	if (kind == RAMKA_DETACHED)
		ramka_add(&r->unused, end - first, relaxed, stat);
	else
		r->reserved += end - first;
	if (kind == RAMKA_BAD)
		ramka_add(&r->bad, end - first, relaxed, stat);
	for (struct ramka_frame *f = &r->slots[first - r->first]; first < end; first++, f++) {
		slot_set_info(f, info);
		ramka_store(&f->ref, ref, relaxed, slot.look);
	}
}

/* ---- what the early allocator handed out as frames of a type ---- */

static int check_early(struct ramka *r, const struct ramka_config *cfg, struct ramka_why *why)
{
	for (size_t i = 0; i < early_ranges(cfg); i++) {
		const struct ramka_early_range *e = &cfg->early->ranges[i];
		uint64_t first = frame_of(e->base), nr = frame_of(e->size);

		if (!e->type)
			continue;
		if (!type_entry(r, e->type) && ramka_type_register_why(r, e->type, why))
			return why->error == RAMKA_E_META_SIZE ? RAMKA_E_INVAL : why->error;
		if (instance_kind(r, first) == RAMKA_USABLE && instance_map(r, first)[1].first - first >= nr)
			continue;
		why->paddr = e->base;
		return refuse(why, RAMKA_E_INVAL,
			      "the early allocator handed out what these regions do not give as usable",
			      "early->ranges[]", i, e->size, 0);
	}
	return 0;
}

/* Frames with one reference each, that of an address. False: as init_usable. */
static bool init_held(struct ramka *r, struct zone *z, uint64_t first, uint64_t end,
		      const struct ramka_type *type)
{
	uint64_t nr = end - first;

	if (!zone_open(z, (uint32_t)(first - z->origin), (uint32_t)(end - z->origin),
		       r->flags & RAMKA_METADATA_ZEROED))
		return false;
	for (struct ramka_frame *f = &r->slots[first - r->first]; first < end; first++, f++) {
		ramka_store(&f->ref, REF_FREE, relaxed, slot.look);
		slot_set_info(f, r->types[type->id].info);
		memset(slot_meta(r, f), 0, type->meta_size);
		contract_begin(r, f, STEP_ALLOC, "ramka_init");
		ramka_store(&f->ref, REF_SHARED(1), relaxed, slot.look);
		contract_commit(r, f, STEP_ALLOC, "ramka_init");
		contract_move(r, f, STEP_INTO_RAW, "ramka_init");
	}
	ramka_add(&z->usable, nr, relaxed, stat);
	ramka_add(&z->taken, nr, relaxed, stat);
	ramka_add(&r->stripes[0].allocs, nr, relaxed, stat);
	ramka_add(&r->peak, nr, relaxed, stat);
	return true;
}

/*
 * Usable frames [first, end), without what the early allocator handed out. The ranges with an index below *at
 * lie at or above `first`.
 */
static bool init_rest(struct ramka *r, const struct ramka_config *cfg, size_t *at, struct zone *z,
		      uint64_t first, uint64_t end)
{
	while (first < end) {
		const struct ramka_early_range *held = NULL;
		uint64_t stop = end;

		while (*at && (!cfg->early->ranges[*at - 1].type ||
			       frame_of(cfg->early->ranges[*at - 1].base) < first))
			--*at;
		if (*at && frame_of(cfg->early->ranges[*at - 1].base) < end) {
			held = &cfg->early->ranges[*at - 1];
			stop = frame_of(held->base);
		}
		if (first < stop && !init_usable(r, z, first, stop))
			return false;
		first = stop;
		if (!held)
			continue;
		first += frame_of(held->size);
		if (!init_held(r, z, stop, first, held->type))
			return false;
	}
	return true;
}

/* ---- all frames ---- */

static int init_frames(struct ramka *r, const struct ramka_config *cfg, size_t shadow_bytes,
		       struct ramka_why *why)
{
	size_t early = early_ranges(cfg);

	for (size_t i = 0; i + 1 < r->nr_map; i++) {
		const struct map_entry *m = &r->map[i];
		uint64_t first = m->first, end = m[1].first;

		if (m->kind == MAP_HOLE)
			continue;
		r->total += end - first;
		if (!(r->flags & RAMKA_METADATA_ZEROED))
			watch_forget(r, first - r->first, end - first);
		if (!(r->flags & RAMKA_METADATA_ZEROED))
			memset((uint8_t *)r->shadow + (first - r->first) * shadow_bytes, 0,
			       (size_t)(end - first) * shadow_bytes);
		if (m->kind != RAMKA_USABLE) {
			init_withheld(r, first, end, m->kind);
			continue;
		}
		if (first == 0) { /* many callers take address 0 for "none": by address only */
			init_withheld(r, 0, 1, RAMKA_DETACHED);
			first = 1;
		}
		if (!init_rest(r, cfg, &early, &r->zones[m->zone], first, end)) {
			why->paddr = paddr_of(first);
			return refuse_plain(
				why, RAMKA_E_INVAL,
				"RAMKA_METADATA_ZEROED is set, but the metadata memory is not zeroed",
				"metadata");
		}
	}
	return 0;
}

/* The metadata's own frames, if it lies in the direct map. */
static struct ramka_region metadata_region(const struct ramka_config *cfg, const void *metadata, size_t bytes)
{
	struct ramka_region g = { .base = (uintptr_t)metadata - cfg->direct_map, .size = bytes };

	if (cfg->flags & RAMKA_NO_DIRECT_MAP || (uintptr_t)metadata < cfg->direct_map ||
	    g.base + g.size < g.base)
		g.size = 0;
	return g;
}

/* Where everything lies. */
static void init_places(struct ramka *r, const struct layout *l)
{
	uint8_t *at = (uint8_t *)r;

	r->first = l->span.first;
	r->nr_slots = l->nr_slots;
	r->slots = (void *)(at + l->slots);
	r->meta = at + l->meta;
	r->meta_size = l->meta_size;
	r->traces = (void *)(at + l->traces);
	r->shadow = (void *)(at + l->shadow);
	r->nr_zones = l->nr_zones;
	r->zones = (void *)(at + l->zones);
	r->cpus = (void *)(at + l->cpus);
	r->map = (void *)(at + l->map);
	r->depot = (void *)(at + l->depot);
	r->none = (void *)(at + l->none);
	sparse_init(&r->late, (void *)(at + l->late), l->late_frames);
	sparse_init(&r->gone, (void *)(at + l->gone), l->nr_slots);
	*r->depot = (struct depot){ (void *)(at + l->shards), (void *)(at + l->magazines), r->nr_cpus,
				    l->per_shard, 0 };
	r->mail = r->depot + 1;
	*r->mail = (struct depot){ r->depot->shards + r->nr_cpus,
				   r->depot->magazines + (size_t)r->nr_cpus * l->per_shard,
				   mailboxes(l->mailing), SHARD_MAGAZINES, 0 };
}

static void init_cpus(struct ramka *r, const struct ramka_config *cfg, const struct layout *l)
{
	uint8_t *at = (uint8_t *)r;

	for (unsigned i = 0; i < r->nr_cpus; i++) {
		struct ramka_cpu *cpu = &r->cpus[i].cpu;

		cpu->outbox = (void *)(at + l->outboxes + i * outbox_bytes(l->mailing));
		outbox_init(cpu->outbox, l->mailing);
		cpu->defer = (struct defer *)(void *)(at + l->defers) + i;
		init_cpu(r, cpu, i, cfg->cpu_node ? cfg->cpu_node[i] : 0);
	}
	init_territories(r);
	r->none->cacheless = true;
	r->none->defer = (struct defer *)(void *)(at + l->defers) + r->nr_cpus;
	ramka_store(&r->none->active, 1, relaxed, section.own);
	init_cpu(r, r->none, 0, 0);
}

static int check_memory(const void *metadata, size_t bytes, size_t needed, struct ramka *const *ret_r,
			struct ramka_why *why)
{
	if (!metadata || !ret_r)
		return refuse_plain(why, RAMKA_E_INVAL,
				    metadata ? "nowhere to put the result" : "no metadata memory",
				    metadata ? "ret_r" : "metadata");
	if ((uintptr_t)metadata % LINE_BYTES)
		return refuse(why, RAMKA_E_NOT_ALIGNED, "the metadata memory is not aligned to 64 bytes",
			      "metadata", RAMKA_NO_INDEX, (uintptr_t)metadata, LINE_BYTES);
	if (bytes < needed)
		return refuse(why, RAMKA_E_NOMEM, "the metadata memory is too small", "bytes", RAMKA_NO_INDEX,
			      bytes, needed);
	return 0;
}

int ramka_init_why(const struct ramka_config *cfg, void *metadata, size_t bytes, struct ramka **ret_r,
		   struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct ramka_region meta;
	struct layout l;
	struct ramka *r = metadata;
	uint8_t *at = metadata;
	int rc = lay_out(cfg, &l, why);

	if (!rc)
		rc = check_memory(metadata, bytes, l.end, ret_r, why);
	if (rc)
		return rc;
	memset(at, 0, l.bitmaps); /* the rest is cleared where there is memory */
	init_config(r, cfg);
	init_places(r, &l);
	meta = metadata_region(cfg, metadata, bytes);
	rc = map_build(cfg, &l.span, &meta, (void *)(at + l.events), r->map, &r->nr_map, why);
	if (rc)
		return rc;
	instance_find_solid(r);
	types_init(r);
	init_zones(r, cfg, &l, at);
	map_zones(r);
	rc = check_early(r, cfg, why);
	if (!rc)
		rc = init_frames(r, cfg, contracts_bytes(), why);
	if (rc)
		return rc;
	tune(r);
	init_cpus(r, cfg, &l);
	if (cfg->early)
		cfg->early->taken_over = true;
	r->magic = RAMKA_MAGIC;
	*ret_r = r;
	return 0;
}

int ramka_init(const struct ramka_config *cfg, void *metadata, size_t bytes, struct ramka **ret_r)
{
	return ramka_init_why(cfg, metadata, bytes, ret_r, NULL);
}

/* The first frame in use or deferred, for the report on what keeps the instance alive. */
static void find_user(const struct ramka *r, struct ramka_why *why)
{
	for (uint64_t i = instance_next(r, r->first); i < r->first + r->nr_slots;
	     i = instance_next(r, i + 1)) {
		const struct ramka_frame *f = &r->slots[i - r->first];
		enum ramka_state state = slot_state(slot_ref(f), slot_info(f));

		if (state == RAMKA_STATE_FREE || state == RAMKA_STATE_UNUSED || state == RAMKA_STATE_RESERVED)
			continue;
		why->paddr = paddr_of(i);
		why->type = type_by_id(r, info_type(slot_info(f)));
		return;
	}
}

int ramka_fini_why(struct ramka *r, struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct ramka_stats s;

	*why = (struct ramka_why){ 0 };
	if (!r || r->magic != RAMKA_MAGIC)
		return refuse_plain(why, RAMKA_E_INVAL,
				    r ? "no instance, or one that has ended" : "no instance", "r");
	ramka_stats_read(r, &s);
	if (!s.in_use && !s.deferred) {
		r->magic = 0;
		return 0;
	}
	if (ret_why)
		find_user(r, why);
	return refuse(why, RAMKA_E_BUSY, s.in_use ? "frames are in use" : "frames wait for a grace period",
		      s.in_use ? "stats.in_use" : "stats.deferred", RAMKA_NO_INDEX,
		      s.in_use ? s.in_use : s.deferred, 0);
}

int ramka_fini(struct ramka *r)
{
	return ramka_fini_why(r, NULL);
}

/* ---- CPUs ---- */

void ramka_cpu_offline(struct ramka_cpu *cpu)
{
	cpu_drain_own(cpu);
	defer_offline(cpu);
}

void ramka_drain(struct ramka *r)
{
	struct drain d = { .mine = 0 };

	cpu_drain_all(r, r->none, &d);
}
