/* SPDX-License-Identifier: MIT */
/* riscv64: the inline functions that kernel.h asks for. */
#ifndef ARCH_H
#define ARCH_H

#define ARCH_NAME "riscv64"
#define ARCH_HAS_NMI 0

/* entry.S maps physical memory here, besides one to one */
#define DIRECT_MAP 0xffff800000000000u
#define DIRECT_MAP_SIZE 0x8000000000u          /* 512 GiB */

#define SSTATUS_SIE (1u << 1)

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mv %0, tp" : "=r"(cpu));
	return cpu;
}

static inline bool irq_enabled(void)
{
	uint64_t status;

	__asm__ volatile("csrr %0, sstatus" : "=r"(status) : : "memory");
	return status & SSTATUS_SIE;
}

static inline void irq_enable(void)
{
	__asm__ volatile("csrsi sstatus, 2" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("csrci sstatus, 2" : : : "memory");
}

static inline bool irq_save(void)
{
	bool enabled = irq_enabled();

	irq_disable();
	return enabled;
}

static inline void irq_restore(bool enabled)
{
	if (enabled)
		irq_enable();
}

static inline void relax(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void wait_for_interrupt(void)
{
	__asm__ volatile("wfi" : : : "memory");
}

/*
 * Page-table entries (Sv48). Bit 8 is software's: here it marks an entry that holds a reference to a frame.
 * The entries that map the kernel itself do not have it, so ramka never puts what they point to.
 */
#define PT_LEVELS 4
#define PT_ENTRIES 512

#define PTE_VALID (1u << 0)
#define PTE_READ (1u << 1)
#define PTE_WRITE (1u << 2)
#define PTE_EXECUTE (1u << 3)
#define PTE_ACCESSED (1u << 6)
#define PTE_DIRTY (1u << 7)
#define PTE_OWNED (1u << 8)
#define PTE_ADDRESS_SHIFT 10

static inline uint64_t pte_to_node(ramka_paddr_t pa)
{
	return pa >> RAMKA_PAGE_SHIFT << PTE_ADDRESS_SHIFT | PTE_VALID | PTE_OWNED;
}

static inline uint64_t pte_to_frame(ramka_paddr_t pa, unsigned level)
{
	(void)level;             /* a leaf is told by its permissions */
	return pte_to_node(pa) | PTE_READ | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY;
}

static inline bool pte_decode(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)level;
	if (!(pte & PTE_VALID) || !(pte & PTE_OWNED))
		return false;
	*ret_pa = (pte >> PTE_ADDRESS_SHIFT & 0xfffffffffffu) << RAMKA_PAGE_SHIFT;
	*ret_is_node = !(pte & (PTE_READ | PTE_WRITE | PTE_EXECUTE));
	return true;
}

#endif
