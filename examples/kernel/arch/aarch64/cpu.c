/* SPDX-License-Identifier: MIT */
/*
 * aarch64 on QEMU's virt board: PL011 console, exit by semihosting, GICv2, the virtual timer, PSCI, TTBR0.
 * The addresses are the board's; memory and CPUs come from the device tree.
 */
#include "../../fdt.h"

#define UART 0x09000000u
#define GIC_DISTRIBUTOR 0x08000000u
#define GIC_CPU 0x08010000u
#define RAM_START 0x40000000u            /* the device tree, for an ELF image */

static inline volatile uint32_t *mmio(uint64_t address)
{
	return direct_map(address);
}

/* ---- console and exit ---- */

void arch_putc(char c)
{
	while (*mmio(UART + 0x18) & 0x20)        /* FR: transmit FIFO full */
		relax();
	*mmio(UART) = (uint8_t)c;
}

#define SEMIHOSTING_EXIT 0x18u
#define APPLICATION_EXIT 0x20026u

void arch_exit(bool ok)
{
	uint64_t block[2] = { APPLICATION_EXIT, ok ? 0 : 1 };
	register uint64_t x0 __asm__("x0") = SEMIHOSTING_EXIT;
	register uint64_t x1 __asm__("x1") = (uintptr_t)block;

	__asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
	for (;;)
		__asm__ volatile("wfi");
}

/* ---- interrupts ---- */

enum { IRQ_IPI = 0, IRQ_TIMER = 27, IRQ_NONE = 1020 };       /* a software interrupt, the virtual timer's */

enum { GICD_CTLR = 0, GICD_ISENABLER0 = 0x100, GICD_SGIR = 0xf00 };
enum { GICC_CTLR = 0, GICC_PMR = 4, GICC_IAR = 0xc, GICC_EOIR = 0x10 };

struct trap_frame {
	uint64_t x[18];          /* x0 .. x17 */
	uint64_t x18, x30, elr, spsr;
};

enum { KIND_SYNCHRONOUS = 4, KIND_IRQ = 5 };       /* from EL1 with its own stack pointer */

/* ESR: a data abort taken without a change of level, translation fault at any level */
#define DATA_ABORT 0x25u
#define TRANSLATION_FAULT 0x04u

static bool handled_fault(uint64_t esr, uint64_t far)
{
	if (esr >> 26 != DATA_ABORT || (esr & 0x3c) != TRANSLATION_FAULT || !vm_fault(far))
		return false;
	__asm__ volatile("dsb ishst; isb" : : : "memory");
	return true;
}

static uint64_t timer_frequency;

void arch_cpu_init(struct cpu *cpu)
{
	__asm__ volatile("msr tpidr_el1, %0" : : "r"(cpu));
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(timer_frequency));
	if (cpu->id == 0)
		*mmio(GIC_DISTRIBUTOR + GICD_CTLR) = 1;
	*mmio(GIC_DISTRIBUTOR + GICD_ISENABLER0) = 1u << IRQ_IPI | 1u << IRQ_TIMER;      /* banked per CPU */
	*mmio(GIC_CPU + GICC_PMR) = 0xff;
	*mmio(GIC_CPU + GICC_CTLR) = 1;
}

/* hw_id is the affinity, whose lowest byte is also the number of the GIC's CPU interface on this board. */
void arch_send_ipi(struct cpu *cpu)
{
	__asm__ volatile("dsb ish" : : : "memory");
	*mmio(GIC_DISTRIBUTOR + GICD_SGIR) = 1u << (16 + (cpu->hw_id & 7)) | IRQ_IPI;
}

void arch_timer_arm(unsigned microseconds)
{
	uint64_t ticks = timer_frequency * microseconds / 1000000;

	__asm__ volatile("msr cntv_tval_el0, %0" : : "r"(ticks));
	__asm__ volatile("msr cntv_ctl_el0, %0; isb" : : "r"(1ull));
}

static void timer_silence(void)
{
	__asm__ volatile("msr cntv_ctl_el0, %0; isb" : : "r"(0ull));
}

/* Ended before it is handled, so that the next can come in while a handler has interrupts enabled. */
void handle_exception(unsigned kind, const struct trap_frame *frame)
{
	uint64_t esr, far;
	uint32_t irq;

	if (kind != KIND_IRQ) {
		__asm__ volatile("mrs %0, esr_el1" : "=r"(esr));
		__asm__ volatile("mrs %0, far_el1" : "=r"(far));
		if (kind == KIND_SYNCHRONOUS && handled_fault(esr, far))
			return;
		fail("exception %u, esr %lx, elr %lx, far %lx", kind, esr, frame->elr, far);
	}
	irq = *mmio(GIC_CPU + GICC_IAR);
	switch (irq & 0x3ff) {
	case IRQ_TIMER:
		timer_silence();
		*mmio(GIC_CPU + GICC_EOIR) = irq;
		timer_interrupt();
		break;
	case IRQ_IPI:
		*mmio(GIC_CPU + GICC_EOIR) = irq;
		ipi_interrupt();
		break;
	default:
		if ((irq & 0x3ff) < IRQ_NONE)
			*mmio(GIC_CPU + GICC_EOIR) = irq;
	}
}

/* ---- start ---- */

#define PSCI_CPU_ON 0xc4000003u

extern char secondary_start[];

void arch_start_cpu(struct cpu *cpu)
{
	register uint64_t x0 __asm__("x0") = PSCI_CPU_ON;
	register uint64_t x1 __asm__("x1") = cpu->hw_id;
	register uint64_t x2 __asm__("x2") = (uintptr_t)secondary_start;
	register uint64_t x3 __asm__("x3") = (uintptr_t)cpu;

	__asm__ volatile("dsb sy; hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	if (x0)
		fail("PSCI CPU_ON of %lx: %ld", cpu->hw_id, (long)x0);
}

/* Called by entry.S on the boot CPU. */
_Noreturn void arch_boot(uint64_t fdt)
{
	static struct boot_info boot;
	uint64_t mpidr;

	if (!fdt || !fdt_valid(direct_map(fdt)))
		fdt = RAM_START;
	if (!fdt_valid(direct_map(fdt)))
		fail("no device tree");
	boot.arch = ARCH_NAME;
	boot.command_line = "";
	__asm__ volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
	fdt_read(direct_map(fdt), mpidr & 0xff00ffffffu, &boot);
	boot_add_region(&boot, fdt, fdt_size(direct_map(fdt)), RAMKA_RECLAIMABLE, 0);
	kernel_main(&boot);
}

/* ---- page tables ---- */

ramka_paddr_t arch_page_table(void)
{
	uint64_t ttbr;

	__asm__ volatile("mrs %0, ttbr0_el1" : "=r"(ttbr));
	return ttbr & PTE_ADDRESS;
}

void arch_set_page_table(ramka_paddr_t root)
{
	__asm__ volatile("dsb ishst; msr ttbr0_el1, %0; isb; tlbi vmalle1; dsb nsh; isb"
			 : : "r"(root) : "memory");
}
