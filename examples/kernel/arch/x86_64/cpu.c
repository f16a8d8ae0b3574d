/* SPDX-License-Identifier: MIT */
/*
 * x86-64: serial port, exit, interrupt vectors, the local APIC (timer, IPIs, start of the other CPUs) and
 * CR3.
 */
#include "../../kernel.h"
#include "x86.h"

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* ---- console and exit ---- */

#define COM1 0x3f8
#define EXIT_PORT 0xf4           /* -device isa-debug-exit,iobase=0xf4: status (value << 1) | 1 */

void serial_init(void)
{
	outb(COM1 + 1, 0);       /* no interrupts */
	outb(COM1 + 3, 0x80);    /* divisor 1: 115200 */
	outb(COM1 + 0, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x03);    /* 8n1 */
	outb(COM1 + 2, 0x07);    /* FIFO */
}

void arch_putc(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		relax();
	outb(COM1, (uint8_t)c);
}

void arch_exit(bool ok)
{
	outl(EXIT_PORT, ok ? 0x10 : 0x20);       /* 33 or 65 */
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- interrupts ---- */

enum {
	VECTOR_NMI = 2, VECTOR_PAGE_FAULT = 14,
	VECTOR_TIMER = 0x40, VECTOR_IPI = 0x41, VECTOR_SPURIOUS = 0xff,
};

struct trap_frame {
	uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct gate {
	uint16_t offset_low, selector;
	uint8_t stack, flags;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

static struct gate idt[256];

extern char interrupt_stubs[];           /* 256 of 16 bytes */

static void idt_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t address = (uintptr_t)interrupt_stubs + 16 * i;

		idt[i] = (struct gate){
			.offset_low = (uint16_t)address,
			.offset_mid = (uint16_t)(address >> 16),
			.offset_high = (uint32_t)(address >> 32),
			.selector = 0x18,
			.flags = 0x8e,   /* present, interrupt gate: clears IF */
		};
	}
}

static void idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uintptr_t)idt };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

/* ---- local APIC ---- */

#define APIC_BASE 0xfee00000u
#define MSR_GS_BASE 0xc0000101u

enum {
	APIC_ID = 0x20, APIC_EOI = 0xb0, APIC_SPURIOUS = 0xf0, APIC_ICR_LOW = 0x300, APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320, APIC_TIMER_INITIAL = 0x380, APIC_TIMER_DIVIDE = 0x3e0,
};

#define ICR_INIT 0x4500u
#define ICR_SIPI 0x4600u
#define ICR_FIXED 0x4000u
#define ICR_NMI 0x4400u
#define ICR_PENDING (1u << 12)

static inline volatile uint32_t *apic(unsigned reg)
{
	return direct_map(APIC_BASE + reg);
}

uint32_t apic_id(void)
{
	return *apic(APIC_ID) >> 24;
}

/* The two halves of the command register belong together: a handler that sends too must not come between. */
static void apic_command(uint64_t target, uint32_t command)
{
	bool irq = irq_save();

	*apic(APIC_ICR_HIGH) = (uint32_t)target << 24;
	*apic(APIC_ICR_LOW) = command;
	while (*apic(APIC_ICR_LOW) & ICR_PENDING)
		relax();
	irq_restore(irq);
}

void arch_send_ipi(struct cpu *cpu)
{
	apic_command(cpu->hw_id, ICR_FIXED | VECTOR_IPI);
}

void arch_send_nmi(struct cpu *cpu)
{
	apic_command(cpu->hw_id, ICR_NMI);
}

/* The emulated APIC counts at 1 GHz; a kernel for real machines would measure. */
void arch_timer_arm(unsigned microseconds)
{
	*apic(APIC_TIMER_INITIAL) = microseconds * 1000;
}

#define FAULT_PRESENT 1u         /* error code: it was not for want of a page */

void handle_interrupt(struct trap_frame *frame)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	switch (frame->vector) {
	case VECTOR_PAGE_FAULT:
		if (!(frame->error & FAULT_PRESENT) && vm_fault(cr2))
			break;
		/* fall through */
	default:
		fail("exception %lu, error %lx, rip %lx, rsp %lx, cr2 %lx", frame->vector, frame->error,
		     frame->rip, frame->rsp, cr2);
	case VECTOR_NMI:
		nmi_interrupt();
		break;
	case VECTOR_TIMER:
		*apic(APIC_EOI) = 0;
		timer_interrupt();
		break;
	case VECTOR_IPI:
		*apic(APIC_EOI) = 0;
		ipi_interrupt();
		break;
	case VECTOR_SPURIOUS:
		break;
	}
}

void arch_cpu_init(struct cpu *cpu)
{
	wrmsr(MSR_GS_BASE, (uintptr_t)cpu);
	if (cpu->id == 0) {
		outb(0x21, 0xff);        /* the old interrupt controllers stay silent */
		outb(0xa1, 0xff);
		idt_init();
	}
	idt_load();
	*apic(APIC_SPURIOUS) = 0x100 | VECTOR_SPURIOUS;
	*apic(APIC_TIMER_DIVIDE) = 0xb;          /* by 1 */
	*apic(APIC_LVT_TIMER) = VECTOR_TIMER;    /* one shot */
}

/* ---- start of the other CPUs ---- */

extern char trampoline[], trampoline_end[];
extern uint64_t next_stack, next_function, next_argument;

static void delay(uint64_t cycles)
{
	uint32_t low, high;
	uint64_t now, end = 0;

	do {
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
		now = (uint64_t)high << 32 | low;
		if (!end)
			end = now + cycles;
	} while (now < end);
}

void arch_start_cpu(struct cpu *cpu)
{
	memcpy(direct_map(TRAMPOLINE), trampoline, (size_t)(trampoline_end - trampoline));
	next_stack = cpu->stack;
	next_function = (uintptr_t)secondary_main;
	next_argument = (uintptr_t)cpu;
	atomic_thread_fence(memory_order_seq_cst);
	apic_command(cpu->hw_id, ICR_INIT);
	delay(10000000);
	apic_command(cpu->hw_id, ICR_SIPI | TRAMPOLINE / RAMKA_PAGE_SIZE);
}

/* ---- page tables ---- */

ramka_paddr_t arch_page_table(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3 & PTE_ADDRESS;
}

void arch_set_page_table(ramka_paddr_t root)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}
