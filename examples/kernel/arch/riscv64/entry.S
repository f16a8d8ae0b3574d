/* SPDX-License-Identifier: MIT */
/*
 * Entry of the boot hart (a0 = hart id, a1 = device tree), of the others (SBI HSM: a0 = hart id, a1 = struct
 * cpu), and of traps. Everything starts in S-mode with paging off.
 */
	.section .text.start, "ax"
	.globl start
start:
	la sp, boot_stack_top
	call paging_on
	call arch_boot
1:	j 1b

	.text
	.globl secondary_start
secondary_start:
	ld sp, 8(a1)                    /* cpu->stack */
	call paging_on
	mv a0, a1
	call secondary_main
1:	j 1b

#define SATP_SV48 (9 << 60)

paging_on:
	.option push
	.option norelax
	la t0, boot_page_table
	srli t0, t0, 12
	li t1, SATP_SV48
	or t0, t0, t1
	sfence.vma
	csrw satp, t0
	sfence.vma
	la t0, trap
	csrw stvec, t0
	ret
	.option pop

	.balign 4
trap:
	addi sp, sp, -144
	sd ra, 0(sp)
	sd t0, 8(sp)
	sd t1, 16(sp)
	sd t2, 24(sp)
	sd t3, 32(sp)
	sd t4, 40(sp)
	sd t5, 48(sp)
	sd t6, 56(sp)
	sd a0, 64(sp)
	sd a1, 72(sp)
	sd a2, 80(sp)
	sd a3, 88(sp)
	sd a4, 96(sp)
	sd a5, 104(sp)
	sd a6, 112(sp)
	sd a7, 120(sp)
	csrr t0, sepc
	csrr t1, sstatus
	sd t0, 128(sp)
	sd t1, 136(sp)
	csrr a0, scause
	mv a1, t0
	csrr a2, stval
	call handle_trap                /* returns with interrupts disabled */
	ld t0, 128(sp)
	ld t1, 136(sp)
	csrw sepc, t0
	csrw sstatus, t1
	ld ra, 0(sp)
	ld t0, 8(sp)
	ld t1, 16(sp)
	ld t2, 24(sp)
	ld t3, 32(sp)
	ld t4, 40(sp)
	ld t5, 48(sp)
	ld t6, 56(sp)
	ld a0, 64(sp)
	ld a1, 72(sp)
	ld a2, 80(sp)
	ld a3, 88(sp)
	ld a4, 96(sp)
	ld a5, 104(sp)
	ld a6, 112(sp)
	ld a7, 120(sp)
	addi sp, sp, 144
	sret

/* The first page table: 512 GiB in one leaf, seen one to one and at DIRECT_MAP. 0xcf = V R W X A D. */
	.data
	.balign 4096
	.globl boot_page_table
boot_page_table:
	.quad 0xcf
	.fill 255, 8, 0
	.quad 0xcf
	.fill 255, 8, 0

	.bss
	.balign 16
boot_stack:
	.skip 65536
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
