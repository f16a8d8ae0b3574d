/* SPDX-License-Identifier: MIT */
/* aarch64: the inline functions that kernel.h asks for. */
#ifndef ARCH_H
#define ARCH_H

#define ARCH_NAME "aarch64"
#define ARCH_HAS_NMI 0

/* entry.S maps physical memory here through TTBR1, besides one to one through TTBR0 */
#define DIRECT_MAP 0xffff000000000000u
#define DIRECT_MAP_SIZE 0x8000000000u          /* 512 GiB */

#define DAIF_I (1u << 7)

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mrs %0, tpidr_el1" : "=r"(cpu));
	return cpu;
}

static inline bool irq_enabled(void)
{
	uint64_t daif;

	__asm__ volatile("mrs %0, daif" : "=r"(daif) : : "memory");
	return !(daif & DAIF_I);
}

static inline void irq_enable(void)
{
	__asm__ volatile("msr daifclr, #2" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("msr daifset, #2" : : : "memory");
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
	__asm__ volatile("yield" : : : "memory");
}

static inline void wait_for_interrupt(void)
{
	__asm__ volatile("wfi" : : : "memory");
}

/*
 * Page-table entries. Bit 55 is software's: here it marks an entry that holds a reference to a frame. The
 * entries that map the kernel itself do not have it, so ramka never puts what they point to.
 */
#define PT_LEVELS 4
#define PT_ENTRIES 512

#define PTE_VALID (1ull << 0)
#define PTE_TABLE (1ull << 1)            /* level > 1: a node; level 1: always set */
#define PTE_NORMAL (0ull << 2)           /* MAIR attribute 0 */
#define PTE_SHARED (3ull << 8)           /* inner shareable */
#define PTE_ACCESSED (1ull << 10)
#define PTE_OWNED (1ull << 55)
#define PTE_ADDRESS 0x0000fffffffff000u

static inline uint64_t pte_to_node(ramka_paddr_t pa)
{
	return pa | PTE_VALID | PTE_TABLE | PTE_OWNED;
}

static inline uint64_t pte_to_frame(ramka_paddr_t pa, unsigned level)
{
	return pa | PTE_VALID | PTE_NORMAL | PTE_SHARED | PTE_ACCESSED | PTE_OWNED |
	       (level == 1 ? PTE_TABLE : 0);
}

static inline bool pte_decode(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	if (!(pte & PTE_VALID) || !(pte & PTE_OWNED))
		return false;
	*ret_pa = pte & PTE_ADDRESS;
	*ret_is_node = level > 1 && (pte & PTE_TABLE);
	return true;
}

#endif
