/* SPDX-License-Identifier: MIT */
/*
 * A reader of flattened device trees, one pass over the structure block: memory nodes (with their NUMA node),
 * the reservation block and /reserved-memory, CPUs, /chosen/bootargs.
 */
#include "fdt.h"

#define FDT_MAGIC 0xd00dfeedu
#define MAX_DEPTH 8

enum { FDT_BEGIN_NODE = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4, FDT_END = 9 };

struct fdt_header {
	uint32_t magic, size, structure, strings, reservations, version, last_compatible, boot_cpu;
	uint32_t strings_size, structure_size;
};

/* What is known of a node while its properties pass by. Properties come before child nodes. */
struct node {
	const char *name;
	const char *device_type;
	const uint32_t *reg;
	uint32_t reg_bytes;
	uint32_t address_cells, size_cells;      /* of its children */
	uint32_t numa;
	bool disabled;
};

static uint32_t be32(const void *p)
{
	const unsigned char *b = p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint64_t be64(const void *p)
{
	return (uint64_t)be32(p) << 32 | be32((const char *)p + 4);
}

static uint64_t read_cells(const uint32_t **cell, uint32_t n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 32 | be32((*cell)++);
	return value;
}

bool fdt_valid(const void *fdt)
{
	return be32(fdt) == FDT_MAGIC;
}

uint32_t fdt_size(const void *fdt)
{
	return be32((const char *)fdt + offsetof(struct fdt_header, size));
}

static void add_regions(struct boot_info *boot, const struct node *node, const struct node *parent,
			enum ramka_region_kind kind)
{
	const uint32_t *cell = node->reg;
	uint32_t step = parent->address_cells + parent->size_cells;

	for (uint32_t left = node->reg_bytes / 4; step && left >= step; left -= step) {
		uint64_t base = read_cells(&cell, parent->address_cells);
		uint64_t size = read_cells(&cell, parent->size_cells);

		boot_add_region(boot, base, size, kind, node->numa);
	}
}

static void add_cpu(struct boot_info *boot, const struct node *node, const struct node *parent,
		    uint64_t boot_hw_id)
{
	const uint32_t *cell = node->reg;
	uint64_t id = read_cells(&cell, parent->address_cells);

	if (id == boot_hw_id) {
		boot->cpu_nodes[0] = node->numa;
	} else if (boot->nr_cpus < MAX_CPUS) {
		boot->cpu_nodes[boot->nr_cpus] = node->numa;
		boot->hw_ids[boot->nr_cpus++] = id;
	}
}

/* All properties of a node have been seen. */
static void end_properties(struct boot_info *boot, const struct node *stack, unsigned depth,
			   uint64_t boot_hw_id)
{
	const struct node *node = &stack[depth], *parent = depth ? node - 1 : node;

	if (!node->reg || node->disabled)
		return;
	if (node->device_type && !strcmp(node->device_type, "memory"))
		add_regions(boot, node, parent, RAMKA_USABLE);
	else if (node->device_type && !strcmp(node->device_type, "cpu"))
		add_cpu(boot, node, parent, boot_hw_id);
	else if (!strcmp(parent->name, "reserved-memory"))
		add_regions(boot, node, parent, RAMKA_RESERVED);
}

static void property(struct boot_info *boot, struct node *node, const char *name, const void *value,
		     uint32_t bytes, uint32_t *timebase)
{
	if (!strcmp(name, "#address-cells"))
		node->address_cells = be32(value);
	else if (!strcmp(name, "#size-cells"))
		node->size_cells = be32(value);
	else if (!strcmp(name, "device_type"))
		node->device_type = value;
	else if (!strcmp(name, "status"))
		node->disabled = strcmp(value, "okay") && strcmp(value, "ok");
	else if (!strcmp(name, "numa-node-id"))
		node->numa = be32(value);
	else if (!strcmp(name, "timebase-frequency"))
		*timebase = be32(value);
	else if (!strcmp(name, "bootargs") && !strcmp(node->name, "chosen"))
		boot->command_line = value;
	else if (!strcmp(name, "reg")) {
		node->reg = value;
		node->reg_bytes = bytes;
	}
}

uint32_t fdt_read(const void *fdt, uint64_t boot_hw_id, struct boot_info *boot)
{
	const struct fdt_header *header = fdt;
	const char *p = (const char *)fdt + be32(&header->structure);
	const char *strings = (const char *)fdt + be32(&header->strings);
	struct node stack[MAX_DEPTH] = { { .name = "" } };
	int depth = -1;
	bool open = false;       /* properties of stack[depth] are still coming */
	uint32_t timebase = 0, token;

	for (const char *r = (const char *)fdt + be32(&header->reservations); be64(r + 8); r += 16)
		boot_add_region(boot, be64(r), be64(r + 8), RAMKA_RESERVED, 0);

	boot->hw_ids[0] = boot_hw_id;
	boot->nr_cpus = 1;
	while ((token = be32(p)) != FDT_END) {
		p += 4;
		if (open && token != FDT_PROP && token != FDT_NOP) {
			end_properties(boot, stack, (unsigned)depth, boot_hw_id);
			open = false;
		}
		if (token == FDT_BEGIN_NODE) {
			if (++depth == MAX_DEPTH)
				fail("device tree is too deep");
			stack[depth] = (struct node){ .name = p, .address_cells = 2, .size_cells = 1 };
			open = true;
			p += (strlen(p) + 4) & ~(size_t)3;
		} else if (token == FDT_PROP) {
			uint32_t bytes = be32(p);

			property(boot, &stack[depth], strings + be32(p + 4), p + 8, bytes, &timebase);
			p += 8 + ((bytes + 3) & ~3u);
		} else if (token == FDT_END_NODE) {
			depth--;
		}
	}
	return timebase;
}
