/* SPDX-License-Identifier: MIT */
/* x86-64: what boot.c and cpu.c share. */
#ifndef X86_H
#define X86_H

#define TRAMPOLINE 0x8000u       /* below 1 MiB, page aligned; also in entry.S */

void serial_init(void);
uint32_t apic_id(void);

#endif
