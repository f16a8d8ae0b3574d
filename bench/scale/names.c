/* SPDX-License-Identifier: MIT */
/*
 * What lies where in an instance of ramka: the only file here that knows its structures. An array is a row of the table
 * below; the fields inside an element are looked up in the debug information by scale.py, so that they need no row.
 */
#include "names.h"

#include <stdio.h>

#include "cpu/depot.h"
#include "cpu/state.h"
#include "frame/defer.h"

struct array {
	const char *name, *type; /* type: of an element, or what it is where it is no structure */
	uint64_t base, nr, size; /* size: of an element */
};

static struct array arrays[64];
static unsigned nr_arrays;

static void add(const char *name, const char *type, const void *base, uint64_t nr, uint64_t size)
{
	if (base && nr && nr_arrays < sizeof(arrays) / sizeof(arrays[0]))
		arrays[nr_arrays++] = (struct array){ name, type, (uintptr_t)base, nr, size };
}

static void add_hints(const struct hints *h, const char *const *names)
{
	for (unsigned i = 0; i < h->nr_levels; i++)
		add(names[i < 2 ? i : 2], "u64", h->level[i], h->words[i], i ? 8 : 8 * HINT_LINE);
}

static void add_zone(const struct zone *z)
{
	static const char *const some[] = { "hint some, level 0, chunk", "hint some, level 1", "hint some, above" };
	static const char *const whole[] = { "hint whole, level 0, chunk", "hint whole, level 1",
					     "hint whole, above" };

	add("bits of block", "u64", z->map.words, z->map.blocks, BLOCK_FRAMES / 8);
	add("block entries of four blocks", "u64", z->map.quads, z->map.blocks / QUAD_BLOCKS, 8);
	add("owner word", "u32", z->owners, z->nr_territories, 4);
	add_hints(&z->map.some, some);
	add_hints(&z->map.whole, whole);
}

void names_of_ramka(const void *cpu)
{
	const struct ramka *r = cpu ? ((const struct ramka_cpu *)cpu)->r : NULL;

	nr_arrays = 0;
	if (!r)
		return;
	add("ramka", "ramka", r, 1, sizeof(*r));
	add("cpu", "cached_cpu", r->cpus, r->nr_cpus, sizeof(struct cached_cpu));
	add("cacheless", "ramka_cpu", r->none, 1, sizeof(struct ramka_cpu));
	add("deferred of cpu", "defer", r->cpus[0].cpu.defer, r->nr_cpus, sizeof(struct defer));
	add("depot", "depot", r->depot, 1, sizeof(struct depot));
	add("shard", "shard", r->depot->shards, r->depot->nr_shards, sizeof(struct shard));
	add("magazine", "magazine", r->depot->magazines, (uint64_t)r->depot->nr_shards * r->depot->per_shard,
	    sizeof(struct magazine));
	add("mailbox of cpu", "shard", r->mail->shards, r->mail->nr_shards, sizeof(struct shard));
	add("mailed magazine", "magazine", r->mail->magazines,
	    (uint64_t)r->mail->nr_shards * r->mail->per_shard, sizeof(struct magazine));
	add("zone", "zone", r->zones, r->nr_zones, sizeof(struct zone));
	add("map", "map_entry", r->map, r->nr_map, sizeof(struct map_entry));
	for (unsigned i = 0; i < r->nr_zones; i++)
		add_zone(&r->zones[i]);
	add("slot", "ramka_frame", r->slots, r->nr_slots, sizeof(struct ramka_frame));
	add("metadata", "owner's", r->meta, r->nr_slots, r->meta_size);
}

void name_of(uint64_t address, char *buf, size_t size)
{
	for (unsigned i = 0; i < nr_arrays; i++) {
		const struct array *a = &arrays[i];
		uint64_t at = address - a->base;

		if (at >= a->nr * a->size)
			continue;
		snprintf(buf, size, "%s[%llu]\t%s\t%llu", a->name, (unsigned long long)(at / a->size), a->type,
			 (unsigned long long)(at % a->size));
		return;
	}
	snprintf(buf, size, "memory[0]\t?\t%llu", (unsigned long long)(address & 63));
}
