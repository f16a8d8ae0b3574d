#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Prints the memory map that Limine makes of UEFI's, by its documentation (PROTOCOL.md, "Memory Map Feature") and what its
memory manager does with each type (common/mm/pmm.s2.c):

	limine.py uefi.bin > limine-uefi.txt

Conventional memory is usable, that of the loader and of boot services the boot loader's; entries are sorted, and neighbours of
one of these two kinds are one entry. What Limine itself allocates is not known; a kernel of 128 KiB and a framebuffer stand
for it.
"""
import struct
import sys

USABLE, RESERVED, ACPI_RECLAIMABLE, ACPI_NVS, _, LOADER_RECLAIMABLE, KERNEL, FRAMEBUFFER = range(8)
TYPES = {1: LOADER_RECLAIMABLE, 2: LOADER_RECLAIMABLE, 3: LOADER_RECLAIMABLE, 4: LOADER_RECLAIMABLE, 7: USABLE,
         9: ACPI_RECLAIMABLE, 10: ACPI_NVS} # of EFI_MEMORY_TYPE; all others are reserved
KERNEL_SIZE = 128 << 10
SCREEN = (0x80000000, 1280 * 800 * 4, FRAMEBUFFER)


def read(path):
	with open(path, 'rb') as f:
		data = f.read()
	size = struct.unpack_from('<Q', data)[0]
	for at in range(8, len(data), size):
		kind, base, pages = struct.unpack_from('<I4xQ8xQ', data, at)
		yield base, pages << 12, TYPES.get(kind, RESERVED)


def merged(entries):
	last = None
	for base, length, kind in sorted(entries):
		if last and last[2] == kind and kind in (USABLE, LOADER_RECLAIMABLE) and last[0] + last[1] == base:
			last[1] += length
			continue
		if last:
			yield tuple(last)
		last = [base, length, kind]
	yield tuple(last)


def load_kernel(entries):
	"""At the end of the last usable memory below 4 GiB that holds it."""
	base, length, kind = max(e for e in entries if e[2] == USABLE and e[1] > KERNEL_SIZE and e[0] + e[1] <= 1 << 32)
	entries.remove((base, length, kind))
	return entries + [(base, length - KERNEL_SIZE, kind), (base + length - KERNEL_SIZE, KERNEL_SIZE, KERNEL)]


for entry in sorted(load_kernel(list(merged(read(sys.argv[1])))) + [SCREEN]):
	print('base: %#x, type: %d, length: %#x' % (entry[0], entry[2], entry[1]))
