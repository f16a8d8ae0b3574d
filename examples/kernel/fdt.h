/* SPDX-License-Identifier: MIT */
/* What aarch64 and riscv64 read from the flattened device tree. */
#ifndef FDT_H
#define FDT_H

#include "kernel.h"

bool fdt_valid(const void *fdt);
uint32_t fdt_size(const void *fdt);

/*
 * Adds memory, reserved memory and the command line to *boot, and the hardware ids of the CPUs with
 * `boot_hw_id` first. Returns the timebase frequency of /cpus, 0 if there is none.
 */
uint32_t fdt_read(const void *fdt, uint64_t boot_hw_id, struct boot_info *boot);

#endif
