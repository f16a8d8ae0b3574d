/* SPDX-License-Identifier: MIT */
/*
 * Entry of the boot CPU, of the others (PSCI), and of exceptions. Everything starts in EL1 with the MMU
 * off; it goes on before any C code runs, since atomics need normal, shareable memory.
 */
	.text
	.globl start
start:
	mov x20, x0                     /* device tree, where the loader passes it */
	bl mmu_on
	adrp x1, boot_stack_top
	add x1, x1, :lo12:boot_stack_top
	mov sp, x1
	mov x0, x20
	mov x29, xzr
	bl arch_boot
	b .

/* PSCI CPU_ON: x0 = struct cpu */
	.globl secondary_start
secondary_start:
	mov x20, x0
	bl mmu_on
	ldr x1, [x20, #8]               /* cpu->stack */
	mov sp, x1
	mov x0, x20
	mov x29, xzr
	bl secondary_main
	b .

/* Attribute 0: normal, write-back; 1: device. 48-bit addresses on both sides, 4 KiB, inner shareable. */
#define MAIR 0x00ff
#define TCR_SIDE ((3 << 12) | (1 << 10) | (1 << 8) | 16)         /* SH, ORGN, IRGN, TxSZ */
#define TCR_TG1_4K (2 << 30)
#define TCR_IPS_40BIT (2 << 32)
#define SCTLR_M (1 << 0)
#define SCTLR_C (1 << 2)
#define SCTLR_I (1 << 12)

mmu_on:
	ldr x1, =MAIR
	msr mair_el1, x1
	ldr x1, =(TCR_SIDE | (TCR_SIDE << 16) | TCR_TG1_4K | TCR_IPS_40BIT)
	msr tcr_el1, x1
	adrp x1, boot_page_table
	msr ttbr0_el1, x1
	msr ttbr1_el1, x1
	adr x1, vectors
	msr vbar_el1, x1
	isb
	tlbi vmalle1
	dsb nsh
	mrs x1, sctlr_el1
	mov x2, #(SCTLR_M | SCTLR_C)
	orr x1, x1, x2
	orr x1, x1, #SCTLR_I
	msr sctlr_el1, x1
	isb
	ret

/* ---- exceptions: one path, x0 = kind (0..15), x1 = struct trap_frame ---- */

	.macro vector kind
	.balign 128
	sub sp, sp, #192
	stp x0, x1, [sp]
	mov x0, #\kind
	b exception
	.endm

	.balign 2048
vectors:
	.set i, 0
	.rept 16
	vector i
	.set i, i + 1
	.endr

exception:
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	stp x18, x30, [sp, #144]
	mrs x2, elr_el1
	mrs x3, spsr_el1
	stp x2, x3, [sp, #160]
	mov x1, sp
	bl handle_exception             /* returns with interrupts disabled */
	ldp x2, x3, [sp, #160]
	msr elr_el1, x2
	msr spsr_el1, x3
	ldp x18, x30, [sp, #144]
	ldp x16, x17, [sp, #128]
	ldp x14, x15, [sp, #112]
	ldp x12, x13, [sp, #96]
	ldp x10, x11, [sp, #80]
	ldp x8, x9, [sp, #64]
	ldp x6, x7, [sp, #48]
	ldp x4, x5, [sp, #32]
	ldp x2, x3, [sp, #16]
	ldp x0, x1, [sp]
	add sp, sp, #192
	eret

/*
 * The first page table, used for both sides: blocks of 1 GiB, the first of devices (never executed), the
 * others of normal memory.
 */
#define BLOCK 1
#define TABLE 3
#define ACCESSED (1 << 10)
#define INNER_SHAREABLE (3 << 8)
#define DEVICE (1 << 2)
#define EXECUTE_NEVER (3 << 53)

	.data
	.balign 4096
	.globl boot_page_table
boot_page_table:
	.quad boot_level3 + TABLE
	.fill 511, 8, 0
boot_level3:
	.quad EXECUTE_NEVER | ACCESSED | DEVICE | BLOCK
	.set i, 1
	.rept 511
	.quad (i << 30) | ACCESSED | INNER_SHAREABLE | BLOCK
	.set i, i + 1
	.endr

	.bss
	.balign 16
boot_stack:
	.skip 65536
boot_stack_top:

	.section .note.GNU-stack, "", %progbits
