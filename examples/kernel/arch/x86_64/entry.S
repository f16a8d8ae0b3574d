/* SPDX-License-Identifier: MIT */
/*
 * Entry of the boot CPU (PVH: 32-bit protected mode, %ebx = struct hvm_start_info), of the others (SIPI:
 * 16-bit real mode at page 8), and of interrupts.
 */
#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18
#define TRAMPOLINE 0x8000

#define CR0_PE (1 << 0)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)

	/* "this ELF can be started in 32-bit mode at the address given" */
	.section .note.pvh, "a", @note
	.long 4, 4, 18
	.asciz "Xen"
	.long start

	.text
	.code32
	.globl start
start:
	cld
	mov %ebx, %edi                  /* first argument of arch_boot(), kept until then */
	mov $boot_stack_top, %eax
	mov %eax, next_stack
	movl $arch_boot, next_function

/* Both kinds of CPU: 32-bit, paging off, %edi = argument. */
enter_long_mode:
	lgdt gdt_pointer
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov %cr4, %eax
	or $CR4_PAE, %eax
	mov %eax, %cr4
	mov $boot_page_table, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	or $(CR0_PG | CR0_WP | CR0_PE), %eax
	mov %eax, %cr0
	ljmp $CODE64, $1f

	.code64
1:	mov next_stack, %rsp
	mov next_function, %rax
	mov %edi, %edi                  /* the upper half is undefined after the switch */
	xor %ebp, %ebp
	call *%rax
	ud2

/* arch_start_cpu() copies this to TRAMPOLINE, which is the page that the SIPI names. */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	cld
	xor %ax, %ax
	mov %ax, %ds
	lgdtl gdt_pointer_low - trampoline + TRAMPOLINE
	mov %cr0, %eax
	or $CR0_PE, %eax
	mov %eax, %cr0
	ljmpl $CODE32, $secondary_start
	.balign 4
gdt_pointer_low:
	.word gdt_end - gdt - 1
	.long gdt
trampoline_end:

	.code32
secondary_start:
	mov $DATA, %eax
	mov %eax, %ds
	mov next_argument, %edi
	jmp enter_long_mode

/* ---- interrupts: a stub per vector, then one path ---- */

	.code64
	.macro stub vector, has_error
	.balign 16
	.if \has_error == 0
	push $0
	.endif
	push $\vector
	jmp interrupt
	.endm

	.balign 16
	.globl interrupt_stubs
interrupt_stubs:
	.set i, 0
	.rept 256
	.if i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21 || i == 29 || i == 30
	stub i, 1
	.else
	stub i, 0
	.endif
	.set i, i + 1
	.endr

/* With the nine registers below, struct trap_frame is 128 bytes: the stack stays aligned to 16. */
interrupt:
	push %rax
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	cld
	mov %rsp, %rdi
	call handle_interrupt
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp                   /* vector and error code */
	iretq

/* ---- data ---- */

	.data
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff        /* CODE32 */
	.quad 0x00cf93000000ffff        /* DATA */
	.quad 0x00af9b000000ffff        /* CODE64 */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt

/* what the CPU that is being started runs, on which stack; one CPU at a time */
	.balign 8
	.globl next_stack, next_function, next_argument
next_stack:
	.quad 0
next_function:
	.quad 0
next_argument:
	.quad 0

/*
 * The first page table: 8 GiB in pages of 2 MiB, seen one to one and at DIRECT_MAP. 0x83 = present, writable,
 * large.
 */
	.balign 4096
	.globl boot_page_table
boot_page_table:
	.quad boot_level3 + 3
	.fill 255, 8, 0
	.quad boot_level3 + 3
	.fill 255, 8, 0
boot_level3:
	.set i, 0
	.rept 8
	.quad boot_level2 + 3 + i * 4096
	.set i, i + 1
	.endr
	.fill 504, 8, 0
boot_level2:
	.set i, 0
	.rept 8 * 512
	.quad i * 0x200000 + 0x83
	.set i, i + 1
	.endr

	.bss
	.balign 16
boot_stack:
	.skip 65536
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
