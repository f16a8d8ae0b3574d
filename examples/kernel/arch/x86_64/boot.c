/* SPDX-License-Identifier: MIT */
/*
 * x86-64 start: what the loader says (PVH start info: memory map, command line, ACPI root) and which CPUs
 * there are (ACPI MADT). Everything is read before ramka owns any memory.
 */
#include "../../kernel.h"
#include "x86.h"

/* ---- the loader's structures, as laid out in memory ---- */

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct pvh_memory {
	uint64_t base, size;
	uint32_t type, reserved;
};

enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_UNUSABLE = 5 };

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
} __attribute__((packed));

struct acpi_table {
	char signature[4];
	uint32_t length;
	char rest[28];
} __attribute__((packed));

struct acpi_madt_entry {
	uint8_t type, length, processor, apic_id;
	uint32_t flags;
} __attribute__((packed));

#define MADT_LOCAL_APIC 0
#define MADT_ENABLED 1u

static struct boot_info boot;

static void read_memory_map(const struct pvh_start_info *info)
{
	const struct pvh_memory *map = direct_map(info->memory_map);

	for (uint32_t i = 0; i < info->memory_map_entries; i++) {
		enum ramka_region_kind kind;

		switch (map[i].type) {
		case E820_RAM:
			kind = RAMKA_USABLE;
			break;
		case E820_ACPI:          /* tables: read below, free afterwards */
			kind = RAMKA_RECLAIMABLE;
			break;
		case E820_UNUSABLE:
			kind = RAMKA_BAD;
			break;
		default:
			/* Memory and device windows alike are "reserved" here. Nobody needs a frame of either,
			 * so there are none: the span that ramka manages ends with the last real memory. */
			kind = RAMKA_MMIO;
		}
		boot_add_region(&boot, map[i].base, map[i].size, kind, 0);
	}
}

static const struct acpi_table *find_table(uint64_t rsdp, const char *signature)
{
	const struct acpi_rsdp *root = direct_map(rsdp);
	const struct acpi_table *rsdt;

	if (!rsdp || memcmp(root->signature, "RSD PTR ", 8))
		fail("no ACPI tables");
	rsdt = direct_map(root->rsdt);
	for (uint32_t off = sizeof(*rsdt); off < rsdt->length; off += 4) {
		uint32_t address;
		const struct acpi_table *table;

		memcpy(&address, (const char *)rsdt + off, sizeof(address));
		table = direct_map(address);
		if (!memcmp(table->signature, signature, 4))
			return table;
	}
	fail("no ACPI table %s", signature);
}

static void read_cpus(uint64_t rsdp)
{
	const struct acpi_table *madt = find_table(rsdp, "APIC");
	uint32_t off = sizeof(*madt) + 8;        /* local APIC address, flags */

	boot.hw_ids[0] = apic_id();
	boot.nr_cpus = 1;
	while (off < madt->length) {
		const struct acpi_madt_entry *e = (const void *)((const char *)madt + off);

		if (e->type == MADT_LOCAL_APIC && (e->flags & MADT_ENABLED) && e->apic_id != boot.hw_ids[0] &&
		    boot.nr_cpus < MAX_CPUS)
			boot.hw_ids[boot.nr_cpus++] = e->apic_id;
		off += e->length;
	}
}

/* Needed until kernel_main() has run a while; in memory that is free afterwards, unless it lies in a ROM. */
static void add_reclaimable(uint64_t base, uint64_t size)
{
	for (size_t i = 0; i < boot.nr_regions; i++) {
		const struct ramka_region *ram = &boot.regions[i];

		if (ram->kind == RAMKA_USABLE && base >= ram->base && base + size <= ram->base + ram->size) {
			boot_add_region(&boot, base, size, RAMKA_RECLAIMABLE, 0);
			return;
		}
	}
}

/* Called by entry.S on the boot CPU. */
_Noreturn void arch_boot(uint32_t start_info)
{
	const struct pvh_start_info *info = direct_map(start_info);

	serial_init();
	if (info->magic != PVH_MAGIC || info->version < 1)
		fail("not started by a PVH loader");
	boot.arch = ARCH_NAME;
	boot.command_line = info->command_line ? direct_map(info->command_line) : "";
	read_memory_map(info);
	read_cpus(info->rsdp);

	boot_add_region(&boot, 0, RAMKA_PAGE_SIZE, RAMKA_RESERVED, 0);           /* the BIOS's data */
	add_reclaimable(TRAMPOLINE, RAMKA_PAGE_SIZE);
	add_reclaimable(start_info, sizeof(*info));
	add_reclaimable(info->memory_map, info->memory_map_entries * sizeof(struct pvh_memory));
	if (info->command_line)
		add_reclaimable(info->command_line, strlen(boot.command_line) + 1);
	kernel_main(&boot);
}
