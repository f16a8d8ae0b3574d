/* SPDX-License-Identifier: MIT */
/*
 * The UEFI application that wrote uefi.bin (dumps/make): the map that let it leave boot services, as the firmware
 * wrote it, byte after byte to QEMU's debug console. Eight bytes come before it, the size of a descriptor.
 */
#include <stddef.h>
#include <stdint.h>

#define EFIAPI __attribute__((ms_abi))
#define CONSOLE 0xe9 /* the firmware has one of its own */

struct header { uint64_t signature; uint32_t revision, size, crc, reserved; };

struct boot_services {
	struct header header;
	void *unused[4];
	uint64_t (EFIAPI *get_memory_map)(size_t *bytes, void *map, size_t *key, size_t *descriptor_size, uint32_t *version);
	void *more[21];
	uint64_t (EFIAPI *exit_boot_services)(void *image, size_t key);
};

struct runtime_services {
	struct header header;
	void *unused[10];
	void (EFIAPI *reset_system)(uint32_t kind, uint64_t status, size_t bytes, void *data);
};

struct system_table {
	struct header header;
	void *unused[8];
	struct runtime_services *runtime;
	struct boot_services *boot;
};

static unsigned char map[1 << 16];

static void out(const void *bytes, size_t n)
{
	for (const unsigned char *p = bytes; n--; p++)
		__asm__ volatile("outb %0, %1" : : "a"(*p), "Nd"((uint16_t)CONSOLE));
}

uint64_t EFIAPI efi_main(void *image, struct system_table *table);

uint64_t EFIAPI efi_main(void *image, struct system_table *table)
{
	size_t bytes, key, descriptor_size;
	uint32_t version;

	for (int tries = 0; tries < 4; tries++) { /* a timer of the firmware may change the map in between */
		bytes = sizeof(map);
		if (table->boot->get_memory_map(&bytes, map, &key, &descriptor_size, &version))
			break;
		if (table->boot->exit_boot_services(image, key))
			continue;
		out(&(uint64_t){ descriptor_size }, sizeof(uint64_t));
		out(map, bytes);
		break;
	}
	table->runtime->reset_system(2, 0, 0, NULL); /* shut down; without a dump if one of the calls failed */
	return 0;
}
