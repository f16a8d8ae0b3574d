/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The memory of a flattened device tree (DTSpec 0.4, version 17): memory nodes with their NUMA node, the reservation block,
 * /reserved-memory, the initial RAM disk of /chosen, and the tree itself.
 *
 * What is reserved with `no-map` has no frames (RAMKA_MMIO), since it must not even be mapped. The tree and the RAM disk are
 * RAMKA_RECLAIMABLE. Reserved nodes without an address (`size` alone) are the kernel's to place and are left out. Cover the
 * kernel's image by RAMKA_KERNEL. Every offset is checked against the size in the header.
 */
#ifndef BOOTMAP_FDT_H
#define BOOTMAP_FDT_H

#include "bootmap.h"

enum { FDT_BEGIN_NODE = 1, FDT_END_NODE, FDT_PROP, FDT_NOP, FDT_END = 9 };
#define FDT_MAGIC 0xd00dfeedu
#define FDT_DEPTH 3 /* the root, its children, theirs; nodes below are passed over */

struct bootmap_fdt_node {
	uint32_t reg, reg_bytes; /* where the property's value is; 0: none */
	uint32_t address_cells, size_cells; /* of the children */
	uint32_t numa;
	uint64_t initrd, initrd_end;
	bool memory, disabled, no_map, reserved_memory;
};

struct bootmap_fdt {
	const unsigned char *p;
	uint32_t size, at, end;         /* the structure block, from `at` to `end` */
	uint32_t strings, strings_size;
	struct bootmap *map;
	struct bootmap_fdt_node node[FDT_DEPTH];
};

/* A number of 1 or 2 cells of 32 bits, big-endian. */
static inline uint64_t bootmap_fdt_number(const unsigned char *p, uint32_t cells)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < cells * 4; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint32_t bootmap_fdt_u32(const struct bootmap_fdt *t, uint32_t at)
{
	return (uint32_t)bootmap_fdt_number(t->p + at, 1);
}

/* Does the text at `at` equal `s`? `bytes`: what is left there; the terminator belongs to it. */
static inline bool bootmap_fdt_is(const unsigned char *p, uint32_t bytes, const char *s)
{
	uint32_t i = 0;

	do {
		if (i == bytes || p[i] != (unsigned char)s[i])
			return false;
	} while (s[i++]);
	return true;
}

/* ---- one node ---- */

static inline int bootmap_fdt_ranges(struct bootmap_fdt *t, const struct bootmap_fdt_node *n, const struct bootmap_fdt_node *parent,
				     enum ramka_region_kind kind)
{
	uint32_t a = parent->address_cells, s = parent->size_cells, step = (a + s) * 4;

	if (!a || !s || a > 2 || s > 2 || !n->reg_bytes || n->reg_bytes % step)
		return RAMKA_E_INVAL;
	for (uint32_t off = 0; off < n->reg_bytes; off += step) {
		const unsigned char *p = t->p + n->reg + off;
		int error = bootmap_add(t->map, bootmap_fdt_number(p, a), bootmap_fdt_number(p + a * 4, s), kind, n->numa);

		if (error)
			return error;
	}
	return 0;
}

/* All properties of the node at this depth have been seen. */
static inline int bootmap_fdt_node_done(struct bootmap_fdt *t, unsigned depth)
{
	const struct bootmap_fdt_node *n = &t->node[depth];

	if (n->initrd < n->initrd_end) {
		int error = bootmap_add(t->map, n->initrd, n->initrd_end - n->initrd, RAMKA_RECLAIMABLE, 0);

		if (error)
			return error;
	}
	if (!depth || n->disabled || !n->reg)
		return 0;
	if (depth == 1 && n->memory)
		return bootmap_fdt_ranges(t, n, n - 1, RAMKA_USABLE);
	if (depth == 2 && n[-1].reserved_memory)
		return bootmap_fdt_ranges(t, n, n - 1, n->no_map ? RAMKA_MMIO : RAMKA_RESERVED);
	return 0;
}

static inline int bootmap_fdt_property(struct bootmap_fdt *t, struct bootmap_fdt_node *n, uint32_t name, uint32_t at, uint32_t bytes)
{
	const unsigned char *p = t->p + at, *s = t->p + t->strings + name;
	uint32_t left = t->strings_size - name;
	uint32_t *number = bootmap_fdt_is(s, left, "#address-cells") ? &n->address_cells :
			   bootmap_fdt_is(s, left, "#size-cells") ? &n->size_cells :
			   bootmap_fdt_is(s, left, "numa-node-id") ? &n->numa : NULL;
	uint64_t *address = bootmap_fdt_is(s, left, "linux,initrd-start") ? &n->initrd :
			    bootmap_fdt_is(s, left, "linux,initrd-end") ? &n->initrd_end : NULL;

	if ((number && bytes != 4) || (address && bytes != 4 && bytes != 8))
		return RAMKA_E_INVAL;
	if (number) {
		*number = bootmap_fdt_u32(t, at);
	} else if (address) {
		*address = bootmap_fdt_number(p, bytes / 4);
	} else if (bootmap_fdt_is(s, left, "device_type")) {
		n->memory = bootmap_fdt_is(p, bytes, "memory");
	} else if (bootmap_fdt_is(s, left, "status")) {
		n->disabled = !bootmap_fdt_is(p, bytes, "okay") && !bootmap_fdt_is(p, bytes, "ok");
	} else if (bootmap_fdt_is(s, left, "no-map")) {
		n->no_map = true;
	} else if (bootmap_fdt_is(s, left, "reg")) {
		n->reg = at;
		n->reg_bytes = bytes;
	}
	return 0;
}

/* ---- the structure block ---- */

/* Passes over the name of a node; RAMKA_E_INVAL: it does not end. */
static inline int bootmap_fdt_begin(struct bootmap_fdt *t, unsigned depth)
{
	uint32_t name = t->at;

	while (t->at < t->end && t->p[t->at])
		t->at++;
	if (t->end - t->at < 4)
		return RAMKA_E_INVAL;
	t->at = (t->at + 4) & ~3u;
	if (depth < FDT_DEPTH) {
		struct bootmap_fdt_node *n = &t->node[depth];

		__builtin_memset(n, 0, sizeof(*n));
		n->address_cells = 2;
		n->size_cells = 1;
		n->reserved_memory = bootmap_fdt_is(t->p + name, t->end - name, "reserved-memory");
	}
	return 0;
}

/* Reads a property; `node` is NULL below the depth that matters. */
static inline int bootmap_fdt_prop(struct bootmap_fdt *t, struct bootmap_fdt_node *node)
{
	uint32_t bytes, name, at = t->at + 8;

	if (t->end - t->at < 8)
		return RAMKA_E_INVAL;
	bytes = bootmap_fdt_u32(t, t->at);
	name = bootmap_fdt_u32(t, t->at + 4);
	if (bytes > t->end - at || t->end - at - bytes < (-bytes & 3) || name >= t->strings_size)
		return RAMKA_E_INVAL;
	t->at = at + ((bytes + 3) & ~3u);
	return node ? bootmap_fdt_property(t, node, name, at, bytes) : 0;
}

static inline int bootmap_fdt_walk(struct bootmap_fdt *t)
{
	unsigned depth = 0; /* nodes that are open */
	bool open = false;  /* properties of the innermost may follow */

	for (;;) {
		uint32_t token;
		int error = 0;

		if (t->end - t->at < 4)
			return RAMKA_E_INVAL;
		token = bootmap_fdt_u32(t, t->at);
		t->at += 4;
		if (open && token != FDT_PROP && token != FDT_NOP) {
			error = depth <= FDT_DEPTH ? bootmap_fdt_node_done(t, depth - 1) : 0;
			open = false;
		}
		if (error)
			return error;
		if (token == FDT_END)
			return depth ? RAMKA_E_INVAL : 0;
		if (token == FDT_BEGIN_NODE) {
			error = bootmap_fdt_begin(t, depth++);
			open = true;
		} else if (token == FDT_PROP && open) {
			error = bootmap_fdt_prop(t, depth <= FDT_DEPTH ? &t->node[depth - 1] : NULL);
		} else if (token == FDT_END_NODE && depth) {
			depth--;
		} else if (token != FDT_NOP) {
			error = RAMKA_E_INVAL;
		}
		if (error)
			return error;
	}
}

/* ---- the whole ---- */

static inline int bootmap_fdt_reservations(struct bootmap_fdt *t, uint32_t at)
{
	for (;; at += 16) {
		uint64_t base, size;
		int error;

		if (at > t->size || t->size - at < 16)
			return RAMKA_E_INVAL;
		base = bootmap_fdt_number(t->p + at, 2);
		size = bootmap_fdt_number(t->p + at + 8, 2);
		if (!base && !size)
			return 0;
		error = bootmap_add(t->map, base, size, RAMKA_RESERVED, 0);
		if (error)
			return error;
	}
}

/* `fdt`: the tree where the kernel sees it, `mapped` bytes that may be read; `pa`: its physical address. */
static inline int bootmap_fdt(struct bootmap *map, const void *fdt, size_t mapped, ramka_paddr_t pa)
{
	struct bootmap_fdt t;
	uint32_t structure_size;
	size_t before = map->nr;
	bool usable = false;
	int error;

	__builtin_memset(&t, 0, sizeof(t));
	t.p = (const unsigned char *)fdt;
	t.map = map;
	if (!fdt || mapped < 40 || bootmap_fdt_u32(&t, 0) != FDT_MAGIC || bootmap_fdt_u32(&t, 20) < 17)
		return RAMKA_E_INVAL;
	t.size = bootmap_fdt_u32(&t, 4);
	t.at = bootmap_fdt_u32(&t, 8);
	t.strings = bootmap_fdt_u32(&t, 12);
	t.strings_size = bootmap_fdt_u32(&t, 32);
	structure_size = bootmap_fdt_u32(&t, 36);
	if (t.size < 40 || t.size > mapped || t.at % 4 || t.at > t.size || structure_size > t.size - t.at ||
	    t.strings > t.size || t.strings_size > t.size - t.strings)
		return RAMKA_E_INVAL;
	t.end = t.at + (structure_size & ~3u);
	error = bootmap_fdt_walk(&t);
	for (size_t i = before ? before - 1 : 0; i < map->nr; i++) /* the first may have been merged into what was there */
		usable |= map->regions[i].kind == RAMKA_USABLE;
	if (!error)
		error = usable ? bootmap_fdt_reservations(&t, bootmap_fdt_u32(&t, 16)) : RAMKA_E_INVAL;
	return error ? error : bootmap_add(map, pa, t.size, RAMKA_RECLAIMABLE, 0);
}

#endif
