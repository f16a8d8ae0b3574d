/* SPDX-License-Identifier: MIT */
/*
 * Tests the readers of this folder on the dumps in dumps/ (README.md says how they were made) and on maps that are wrong:
 * truncated at every length, every byte of them changed, overlapping, without an entry. Each result goes on to ramka_init.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdt.h"
#include "limine.h"
#include "multiboot2.h"
#include "uefi.h"

#define ROOM 256

#define CHECK(cond) do { if (!(cond)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #cond); exit(1); } } while (0)
#define SAME(map, ...) same(map, (const struct ramka_region[]){ __VA_ARGS__ }, \
			    sizeof((struct ramka_region[]){ __VA_ARGS__ }) / sizeof(struct ramka_region), __LINE__)

typedef int read_fn(struct bootmap *map, const void *bytes, size_t mapped);

static struct ramka_region regions[ROOM];
static const char *dumps;

static struct bootmap empty(size_t room)
{
	memset(regions, 0x55, sizeof(regions));
	return (struct bootmap){ .regions = regions, .room = room };
}

static unsigned char *load(const char *name, size_t *ret_bytes)
{
	char path[512];
	unsigned char *p = malloc(1 << 16);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dumps, name);
	f = fopen(path, "rb");
	CHECK(f && p);
	*ret_bytes = fread(p, 1, 1 << 16, f);
	fclose(f);
	CHECK(*ret_bytes && *ret_bytes < 1 << 16);
	return p;
}

static void same(const struct bootmap *map, const struct ramka_region *want, size_t nr, int line)
{
	for (size_t i = 0; i < map->nr || i < nr; i++) {
		const struct ramka_region *r = &map->regions[i], *w = &want[i];

		if (i < map->nr && i < nr && r->base == w->base && r->size == w->size && r->kind == w->kind && r->node == w->node)
			continue;
		printf("check.c:%d: region %zu is not as expected; got:\n", line, i);
		for (size_t k = 0; k < map->nr; k++)
			printf("\t{ %#llx, %#llx, %d, %u },\n", (unsigned long long)map->regions[k].base,
			       (unsigned long long)map->regions[k].size, (int)map->regions[k].kind, (unsigned)map->regions[k].node);
		exit(1);
	}
}

/* What ramka makes of it: total and free base frames. Without a direct map, since there is no such memory here. */
static void init(const struct bootmap *map, uint64_t total, uint64_t nr_free)
{
	struct ramka_config cfg = { .regions = map->regions, .nr_regions = map->nr, .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP };
	struct ramka_stats s;
	struct ramka *r;
	size_t bytes;
	void *metadata;

	CHECK(!ramka_metadata_size(&cfg, &bytes));
	metadata = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	CHECK(metadata && !ramka_init(&cfg, metadata, bytes, &r));
	ramka_stats_read(r, &s);
	if (s.total != total || s.free != nr_free)
		printf("%llu frames, %llu free\n", (unsigned long long)s.total, (unsigned long long)s.free);
	CHECK(s.total == total && s.free == nr_free && !ramka_check(r, NULL));
	CHECK(!ramka_fini(r));
	free(metadata);
}

/* ---- the readers with one signature ---- */

#define WHERE 0x10000 /* where the loader put its structure */
#define UEFI_USABLE UINT64_C(0x13d1ab000)
#define UEFI_RECLAIMABLE UINT64_C(0x27ed000)

static int read_multiboot2(struct bootmap *map, const void *bytes, size_t mapped)
{
	return bootmap_multiboot2(map, bytes, mapped, WHERE);
}

static int read_fdt_aarch64(struct bootmap *map, const void *bytes, size_t mapped)
{
	return bootmap_fdt(map, bytes, mapped, 0x48000000);
}

static int read_fdt_riscv64(struct bootmap *map, const void *bytes, size_t mapped)
{
	return bootmap_fdt(map, bytes, mapped, 0x9fe00000);
}

/* ---- bad input of every kind ---- */

/* A copy in memory of its exact size, so that a sanitizer sees each byte read too far. */
static int read_copy(read_fn *read, const unsigned char *p, size_t bytes, size_t room)
{
	unsigned char *copy = malloc(bytes ? bytes : 1);
	struct bootmap map = empty(room);
	int error;

	CHECK(copy);
	memcpy(copy, p, bytes);
	error = read(&map, copy, bytes);
	CHECK(map.nr <= room);
	free(copy);
	return error;
}

/* `size_at`: where the structure holds its own size; `big`: in big-endian order. */
static void spoil(read_fn *read, unsigned char *p, size_t bytes, size_t size_at, bool big)
{
	unsigned char saved[4];
	struct bootmap map = empty(ROOM);

	CHECK(!read(&map, p, bytes));
	for (size_t room = 0; room < map.nr; room++)
		CHECK(read_copy(read, p, bytes, room) == RAMKA_E_NOMEM);
	for (size_t n = 0; n < bytes; n++)
		CHECK(read_copy(read, p, n, ROOM) == RAMKA_E_INVAL); /* less is mapped than it says */
	memcpy(saved, p + size_at, 4);
	for (size_t n = size_at + 4; n < bytes; n++) {               /* it says less itself */
		for (unsigned i = 0; i < 4; i++)
			p[size_at + i] = (unsigned char)(n >> 8 * (big ? 3 - i : i));
		CHECK(read_copy(read, p, n, ROOM) == RAMKA_E_INVAL);
	}
	memcpy(p + size_at, saved, 4);
	for (size_t at = 0; at < bytes; at++) {                      /* any answer will do, a crash will not */
		unsigned char was = p[at];

		for (unsigned bit = 0; bit < 8; bit += 7) {
			p[at] = (unsigned char)(was ^ 1u << bit);
			read_copy(read, p, bytes, ROOM);
		}
		p[at] = 0xff;
		read_copy(read, p, bytes, ROOM);
		p[at] = was;
	}
	CHECK(read(&map, NULL, bytes) == RAMKA_E_INVAL);
}

/* ---- Multiboot2 and UEFI ---- */

static void multiboot2_bios(void)
{
	struct bootmap map = empty(ROOM);
	size_t bytes;
	unsigned char *p = load("multiboot2-bios.bin", &bytes);

	CHECK(!read_multiboot2(&map, p, bytes));
	SAME(&map, { 0, 0x9fc00, RAMKA_USABLE, 0 }, { 0x9fc00, 0x400, RAMKA_MMIO, 0 }, { 0xf0000, 0x10000, RAMKA_MMIO, 0 },
	     { 0x100000, 0x1fee0000, RAMKA_USABLE, 0 }, { 0x1ffe0000, 0x20000, RAMKA_MMIO, 0 }, { 0xfffc0000, 0x40000, RAMKA_MMIO, 0 },
	     { 0xfd00000000, 0x300000000, RAMKA_MMIO, 0 }, { 0x101000, 0x1388, RAMKA_RECLAIMABLE, 0 }, /* the module */
	     { WHERE, 0x290, RAMKA_RECLAIMABLE, 0 });
	/* not free: two frames of the module, one of the structure, and frame 0, which is never handed out */
	init(&map, 0x9f + 0x1fee0, 0x9f + 0x1fee0 - 4);
	spoil(read_multiboot2, p, bytes, 0, false);
	free(p);
}

/* Makes the tag `type` one that no reader knows; returns where it is. */
static unsigned char *hide_tag(unsigned char *p, size_t bytes, uint32_t type)
{
	struct bootmap_multiboot2_tag tag;

	for (size_t at = 8; at < bytes; at += (tag.size + 7) & ~7u) {
		memcpy(&tag, p + at, sizeof(tag));
		if (tag.type == type) {
			p[at] = 0x7f;
			return p + at;
		}
	}
	printf("no tag of type %u\n", (unsigned)type);
	exit(1);
}

static uint64_t bytes_of(const struct bootmap *map, enum ramka_region_kind kind)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < map->nr; i++)
		sum += map->regions[i].kind == kind ? map->regions[i].size : 0;
	return sum;
}

static void uefi_alone(const unsigned char *tag)
{
	struct bootmap_multiboot2_map head;
	struct bootmap map = empty(ROOM);
	size_t bytes, stride;

	memcpy(&head, tag, sizeof(head));
	bytes = head.size - sizeof(head);
	stride = head.entry_size;
	tag += sizeof(head);
	CHECK(stride == 48 && !bootmap_uefi(&map, tag, bytes, stride) && map.nr < bytes / stride);
	CHECK(bytes_of(&map, RAMKA_USABLE) == 0x1612a000 && bytes_of(&map, RAMKA_RECLAIMABLE) == 0x9914000);
	CHECK(bytes_of(&map, RAMKA_MMIO) == 0x562000);
	for (size_t n = 0; n < bytes; n++) {
		struct bootmap part = empty(ROOM);

		CHECK(bootmap_uefi(&part, tag, n, stride) == (n && n % stride == 0 ? 0 : RAMKA_E_INVAL));
	}
	CHECK(bootmap_uefi(&map, tag, bytes, 0) == RAMKA_E_INVAL && bootmap_uefi(&map, tag, bytes, 39) == RAMKA_E_INVAL);
	CHECK(bootmap_uefi(&map, NULL, bytes, stride) == RAMKA_E_INVAL);
}

static void multiboot2_uefi(void)
{
	struct bootmap map = empty(ROOM);
	size_t bytes, nr;
	unsigned char *p = load("multiboot2-uefi.bin", &bytes), *tag;

	CHECK(!read_multiboot2(&map, p, bytes));
	CHECK(map.nr == 17 && bytes_of(&map, RAMKA_USABLE) == 0x1fa2c000);
	spoil(read_multiboot2, p, bytes, 0, false);
	hide_tag(p, bytes, MULTIBOOT2_MAP); /* UEFI's map is read then */
	map = empty(ROOM);
	CHECK(!read_multiboot2(&map, p, bytes) && bytes_of(&map, RAMKA_USABLE) == 0x1612a000);
	nr = map.nr;
	init(&map, (0x1612a000 + 0x9914000) / RAMKA_PAGE_SIZE, 0x1612a000 / RAMKA_PAGE_SIZE - 2); /* the module */
	spoil(read_multiboot2, p, bytes, 0, false);
	tag = hide_tag(p, bytes, MULTIBOOT2_UEFI_MAP);
	map = empty(ROOM);
	CHECK(read_multiboot2(&map, p, bytes) == RAMKA_E_INVAL && nr > 17); /* no map at all */
	uefi_alone(tag);
	free(p);
}

static void uefi_kinds(void)
{
	struct bootmap_uefi_descriptor d[] = {
		{ .type = UEFI_CONVENTIONAL, .base = 0x100000, .pages = 16, .attributes = UEFI_MEMORY_WB },
		{ .type = UEFI_CONVENTIONAL, .base = 0x110000, .pages = 16, .attributes = UEFI_MEMORY_WB | UEFI_MEMORY_SP },
		{ .type = UEFI_CONVENTIONAL, .base = 0x120000, .pages = 16 }, /* cannot be cached */
		{ .type = UEFI_LOADER_DATA, .base = 0x130000, .pages = 16, .attributes = UEFI_MEMORY_WB | UEFI_MEMORY_RUNTIME },
		{ .type = UEFI_UNUSABLE, .base = 0x140000, .pages = 1, .attributes = UEFI_MEMORY_WB },
		{ .type = UEFI_CONVENTIONAL, .base = 0x150000, .pages = 0, .attributes = UEFI_MEMORY_WB },
		{ .type = 0x80000001, .base = 0x160000, .pages = 1, .attributes = UEFI_MEMORY_WB },
	};
	struct bootmap map = empty(ROOM);

	CHECK(!bootmap_uefi(&map, d, sizeof(d), sizeof(d[0])));
	SAME(&map, { 0x100000, 0x10000, RAMKA_USABLE, 0 }, { 0x110000, 0x10000, RAMKA_DETACHED, 0 },
	     { 0x120000, 0x20000, RAMKA_MMIO, 0 }, { 0x140000, 0x1000, RAMKA_BAD, 0 }, { 0x160000, 0x1000, RAMKA_MMIO, 0 });
	init(&map, 33, 16);
	d[0].pages = UINT64_MAX / 8; /* wraps in bytes */
	map = empty(ROOM);
	CHECK(bootmap_uefi(&map, d, sizeof(d), sizeof(d[0])) == RAMKA_E_INVAL);
	d[0].pages = (uint64_t)1 << 51;
	d[0].base = (uint64_t)1 << 63; /* the last byte is the last there is: no wrap, and more than an instance manages */
	map = empty(ROOM);
	CHECK(!bootmap_uefi(&map, d, sizeof(d[0]), sizeof(d[0])));
}

/* Overlapping entries, in no order: ramka lets the more restrictive kind win. */
static void multiboot2_overlap(void)
{
	struct {
		uint32_t total, reserved;
		struct bootmap_multiboot2_map map;
		struct bootmap_multiboot2_entry e[5];
		struct bootmap_multiboot2_tag end;
	} info = {
		sizeof(info), 0, { MULTIBOOT2_MAP, sizeof(info.map) + sizeof(info.e), sizeof(info.e[0]), 0 },
		{ { 0x180000, 0x40000, 2, 0 }, { 0x100000, 0x100000, 1, 0 }, { 0x1a0000, 0x100000, 1, 0 }, { 0x1c0800, 0x800, 5, 0 },
		  { 0x1f0000, 0, 2, 0 } },
		{ MULTIBOOT2_END, 8 },
	};
	struct bootmap map = empty(ROOM);

	CHECK(!bootmap_multiboot2(&map, &info, sizeof(info), 0x110000) && map.nr == 5);
	init(&map, 0x1a0 - 0x40, 0x1a0 - 0x40 - 2); /* the bad one and the structure itself are not free */
	info.map.size = sizeof(info.map);           /* no entry; what follows is no tag then either */
	memset(info.e, 0, sizeof(info.e));
	info.e[0].length = (uint64_t)8 << 32;
	map = empty(ROOM);
	CHECK(bootmap_multiboot2(&map, &info, sizeof(info), 0x110000) == RAMKA_E_INVAL);
	info.map = (struct bootmap_multiboot2_map){ MULTIBOOT2_MAP, sizeof(info.map) + sizeof(info.e), sizeof(info.e[0]), 0 };
	info.e[0] = (struct bootmap_multiboot2_entry){ UINT64_MAX - 4095, 8192, 1, 0 }; /* wraps */
	map = empty(ROOM);
	CHECK(bootmap_multiboot2(&map, &info, sizeof(info), 0x110000) == RAMKA_E_INVAL);
}

/* ---- device trees ---- */

static void fdt_aarch64(void)
{
	struct bootmap map = empty(ROOM);
	size_t bytes;
	unsigned char *p = load("aarch64.dtb", &bytes);

	CHECK(!read_fdt_aarch64(&map, p, bytes));
	SAME(&map, { 0x40000000, 0x20000000, RAMKA_USABLE, 0 }, { 0x48000000, bytes, RAMKA_RECLAIMABLE, 0 });
	init(&map, 0x20000, 0x20000 - 2);
	spoil(read_fdt_aarch64, p, bytes, 4, true);
	free(p);
}

static void fdt_riscv64(void)
{
	struct bootmap map = empty(ROOM);
	size_t bytes;
	unsigned char *p = load("riscv64.dtb", &bytes);

	CHECK(!read_fdt_riscv64(&map, p, bytes));
	SAME(&map, { 0x84000000, 0x123456, RAMKA_RECLAIMABLE, 0 }, { 0x80000000, 0x10000000, RAMKA_USABLE, 0 },
	     { 0x90000000, 0x10000000, RAMKA_USABLE, 1 }, { 0x80000000, 0x60000, RAMKA_MMIO, 0 },
	     { 0x88000000, 0x800000, RAMKA_RESERVED, 0 }, { 0x9ff00000, 0x100000, RAMKA_RESERVED, 0 },
	     { 0x9fe00000, bytes, RAMKA_RECLAIMABLE, 0 });
	init(&map, 0x20000 - 0x60, 0x20000 - 0x60 - 0x124 - 0x800 - 0x100 - 2);
	spoil(read_fdt_riscv64, p, bytes, 4, true);
	p[3] ^= 1; /* the magic number */
	map = empty(ROOM);
	CHECK(read_fdt_riscv64(&map, p, bytes) == RAMKA_E_INVAL);
	free(p);
}

/* ---- UEFI ---- */

/* The whole map of a machine with memory above 4 GiB; it is not sorted. */
static void uefi(void)
{
	struct bootmap map = empty(ROOM);
	uint64_t stride;
	size_t bytes;
	unsigned char *p = load("uefi.bin", &bytes), *d = p + sizeof(stride);

	memcpy(&stride, p, sizeof(stride));
	bytes -= sizeof(stride);
	CHECK(stride == 48 && bytes == 132 * stride && !bootmap_uefi(&map, d, bytes, stride) && map.nr == 30);
	CHECK(bytes_of(&map, RAMKA_USABLE) == UEFI_USABLE && bytes_of(&map, RAMKA_RECLAIMABLE) == UEFI_RECLAIMABLE);
	CHECK(bytes_of(&map, RAMKA_MMIO) == 0x10608000);
	init(&map, (UEFI_USABLE + UEFI_RECLAIMABLE) / RAMKA_PAGE_SIZE, UEFI_USABLE / RAMKA_PAGE_SIZE);
	for (size_t room = 0; room < 30; room++) {
		map = empty(room);
		CHECK(bootmap_uefi(&map, d, bytes, stride) == RAMKA_E_NOMEM && map.nr == room);
	}
	free(p);
}

/* ---- Limine ---- */

/* Reads lines as kernels print them. */
static struct bootmap_limine_response limine_load(const char *name, struct bootmap_limine_entry *e, struct bootmap_limine_entry **entries)
{
	struct bootmap_limine_response response = { .entries = entries };
	char path[512];
	unsigned long long base, type, length;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dumps, name);
	f = fopen(path, "r");
	CHECK(f);
	while (fscanf(f, "base: %llx, type: %llu, length: %llx ", &base, &type, &length) == 3) {
		CHECK(response.entry_count < ROOM);
		entries[response.entry_count] = &e[response.entry_count];
		e[response.entry_count++] = (struct bootmap_limine_entry){ base, length, type };
	}
	CHECK(feof(f));
	fclose(f);
	return response;
}

static void limine_bios(void)
{
	struct bootmap_limine_entry e[ROOM], *entries[ROOM];
	struct bootmap_limine_response response = limine_load("limine-bios.txt", e, entries);
	struct bootmap map = empty(ROOM);

	CHECK(!bootmap_limine(&map, &response));
	SAME(&map, { 0x1000, 0x51000, RAMKA_RECLAIMABLE, 0 }, { 0x52000, 0x4d000, RAMKA_USABLE, 0 }, { 0x9fc00, 0x400, RAMKA_MMIO, 0 },
	     { 0xf0000, 0x10000, RAMKA_MMIO, 0 }, { 0x100000, 0x7fe1b000, RAMKA_USABLE, 0 }, { 0x7ff1b000, 0x3000, RAMKA_RECLAIMABLE, 0 },
	     { 0x7ff1e000, 0x8000, RAMKA_KERNEL, 0 }, { 0x7ff26000, 0x1a000, RAMKA_RECLAIMABLE, 0 }, { 0x7ff40000, 0x1000, RAMKA_USABLE, 0 },
	     { 0x7ff41000, 0x2000, RAMKA_RECLAIMABLE, 0 }, { 0x7ff43000, 0x1b000, RAMKA_USABLE, 0 },
	     { 0x7ff5e000, 0x81000, RAMKA_RECLAIMABLE, 0 }, { 0x7ffdf000, 0x21000, RAMKA_MMIO, 0 });
	init(&map, 0x51 + 0x4d + 0x7fedf, 0x4d + 0x7fe1b + 1 + 0x1b);
	for (size_t room = 0; room < response.entry_count; room++) {
		map = empty(room);
		CHECK(bootmap_limine(&map, &response) == RAMKA_E_NOMEM);
	}
	e[4].base = 0x40000; /* overlaps what lies below: the more restrictive kind wins */
	map = empty(ROOM);
	CHECK(!bootmap_limine(&map, &response));
	init(&map, 0x51 + 0x7fe09 - 0x11 + 0xc4, 0x7fe09 - 0x11 + 1 + 0x1b);
	entries[3] = NULL;
	map = empty(ROOM);
	CHECK(bootmap_limine(&map, &response) == RAMKA_E_INVAL);
	response.entry_count = 0;
	CHECK(bootmap_limine(&map, &response) == RAMKA_E_INVAL && bootmap_limine(&map, NULL) == RAMKA_E_INVAL);
	response = (struct bootmap_limine_response){ .entry_count = 1 };
	CHECK(bootmap_limine(&map, &response) == RAMKA_E_INVAL);
}

/* The machine of uefi(): both readers come to the same memory. */
static void limine_uefi(void)
{
	struct bootmap_limine_entry e[ROOM], *entries[ROOM];
	struct bootmap_limine_response response = limine_load("limine-uefi.txt", e, entries);
	struct bootmap map = empty(ROOM);

	CHECK(!bootmap_limine(&map, &response) && response.entry_count == 35);
	CHECK(bytes_of(&map, RAMKA_KERNEL) == 0x20000 && bytes_of(&map, RAMKA_RECLAIMABLE) == UEFI_RECLAIMABLE);
	CHECK(bytes_of(&map, RAMKA_USABLE) == UEFI_USABLE - 0x20000);
	init(&map, (UEFI_USABLE + UEFI_RECLAIMABLE) / RAMKA_PAGE_SIZE, UEFI_USABLE / RAMKA_PAGE_SIZE - 0x20);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	dumps = argv[1];
	multiboot2_bios();
	multiboot2_uefi();
	multiboot2_overlap();
	uefi_kinds();
	uefi();
	fdt_aarch64();
	fdt_riscv64();
	limine_bios();
	limine_uefi();
	puts("boot maps: all readers agree with the dumps and refuse what is malformed");
	return 0;
}
