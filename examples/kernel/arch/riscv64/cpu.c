/* SPDX-License-Identifier: MIT */
/*
 * riscv64 on QEMU's virt board under OpenSBI: console, timer, IPIs and the start of harts by SBI calls; exit
 * through the board's test device; memory and harts from the device tree.
 */
#include "../../fdt.h"

#define TEST_DEVICE 0x100000u
#define TEST_PASS 0x5555u
#define TEST_FAIL (1u << 16 | 0x3333u)           /* exit status 1 */

enum { SBI_PUTCHAR = 1, SBI_TIME = 0x54494d45, SBI_IPI = 0x735049, SBI_HSM = 0x48534d };

static long sbi_call(unsigned long extension, unsigned long arg0, unsigned long arg1, unsigned long arg2)
{
	register unsigned long a0 __asm__("a0") = arg0;
	register unsigned long a1 __asm__("a1") = arg1;
	register unsigned long a2 __asm__("a2") = arg2;
	register unsigned long a6 __asm__("a6") = 0;     /* all that are used here are function 0 */
	register unsigned long a7 __asm__("a7") = extension;

	__asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
	return (long)a0;
}

/* ---- console and exit ---- */

void arch_putc(char c)
{
	sbi_call(SBI_PUTCHAR, (uint8_t)c, 0, 0);
}

void arch_exit(bool ok)
{
	*(volatile uint32_t *)direct_map(TEST_DEVICE) = ok ? TEST_PASS : TEST_FAIL;
	for (;;)
		__asm__ volatile("wfi");
}

/* ---- interrupts ---- */

#define CAUSE_IRQ (1ull << 63)
#define IRQ_SOFTWARE 1u
#define IRQ_TIMER 5u
#define LOAD_PAGE_FAULT 13u
#define STORE_PAGE_FAULT 15u

static uint32_t timebase;

void arch_cpu_init(struct cpu *cpu)
{
	__asm__ volatile("mv tp, %0" : : "r"(cpu));
	__asm__ volatile("csrw sie, %0" : : "r"(1ul << IRQ_SOFTWARE | 1ul << IRQ_TIMER));
}

void arch_send_ipi(struct cpu *cpu)
{
	sbi_call(SBI_IPI, 1, cpu->hw_id, 0);
}

void arch_timer_arm(unsigned microseconds)
{
	uint64_t now;

	__asm__ volatile("rdtime %0" : "=r"(now));
	sbi_call(SBI_TIME, now + (uint64_t)timebase * microseconds / 1000000, 0, 0);
}

/* The software interrupt is cleared before it is handled: one that is sent later is another one. */
void handle_trap(uint64_t cause, uint64_t epc, uint64_t value)
{
	switch (cause) {
	case CAUSE_IRQ | IRQ_TIMER:
		timer_interrupt();       /* setting the next one ends this one */
		break;
	case CAUSE_IRQ | IRQ_SOFTWARE:
		__asm__ volatile("csrci sip, 2" : : : "memory");
		ipi_interrupt();
		break;
	case LOAD_PAGE_FAULT:
	case STORE_PAGE_FAULT:
		if (vm_fault(value)) {
			__asm__ volatile("sfence.vma" : : : "memory");
			break;
		}
		/* fall through */
	default:
		fail("trap %lx, epc %lx, value %lx", cause, epc, value);
	}
}

/* ---- start ---- */

extern char secondary_start[];

void arch_start_cpu(struct cpu *cpu)
{
	long error = sbi_call(SBI_HSM, cpu->hw_id, (uintptr_t)secondary_start, (uintptr_t)cpu);

	if (error)
		fail("SBI hart_start of %lx: %ld", cpu->hw_id, error);
}

/* Called by entry.S on the boot hart. */
_Noreturn void arch_boot(uint64_t hart, uint64_t fdt)
{
	static struct boot_info boot;

	if (!fdt_valid(direct_map(fdt)))
		fail("no device tree");
	boot.arch = ARCH_NAME;
	boot.command_line = "";
	timebase = fdt_read(direct_map(fdt), hart, &boot);
	boot_add_region(&boot, fdt, fdt_size(direct_map(fdt)), RAMKA_RECLAIMABLE, 0);
	kernel_main(&boot);
}

/* ---- page tables ---- */

#define SATP_SV48 (9ull << 60)
#define SATP_ROOT 0xfffffffffffull

ramka_paddr_t arch_page_table(void)
{
	uint64_t satp;

	__asm__ volatile("csrr %0, satp" : "=r"(satp));
	return (satp & SATP_ROOT) << RAMKA_PAGE_SHIFT;
}

void arch_set_page_table(ramka_paddr_t root)
{
	__asm__ volatile("sfence.vma; csrw satp, %0; sfence.vma" : : "r"(SATP_SV48 | root >> RAMKA_PAGE_SHIFT)
			 : "memory");
}
