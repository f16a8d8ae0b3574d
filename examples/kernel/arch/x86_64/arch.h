/* SPDX-License-Identifier: MIT */
/* x86-64: the inline functions that kernel.h asks for. */
#ifndef ARCH_H
#define ARCH_H

#define ARCH_NAME "x86_64"
#define ARCH_HAS_NMI 1

/* entry.S maps physical memory here, besides one to one */
#define DIRECT_MAP 0xffff800000000000u
#define DIRECT_MAP_SIZE 0x200000000u          /* 8 GiB */

#define RFLAGS_IF (1u << 9)

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static inline bool irq_enabled(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags) : : "memory");
	return flags & RFLAGS_IF;
}

static inline void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
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
	__asm__ volatile("pause" : : : "memory");
}

static inline void wait_for_interrupt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

/*
 * Page-table entries. Bit 9 is the kernel's to use: here it marks an entry that holds a reference to a frame.
 * The entries that map the kernel itself do not have it, so ramka never puts what they point to.
 */
#define PT_LEVELS 4
#define PT_ENTRIES 512

#define PTE_PRESENT (1u << 0)
#define PTE_WRITE (1u << 1)
#define PTE_LARGE (1u << 7)
#define PTE_OWNED (1u << 9)
#define PTE_ADDRESS 0x000ffffffffff000u

static inline uint64_t pte_to_node(ramka_paddr_t pa)
{
	return pa | PTE_PRESENT | PTE_WRITE | PTE_OWNED;
}

static inline uint64_t pte_to_frame(ramka_paddr_t pa, unsigned level)
{
	return pa | PTE_PRESENT | PTE_WRITE | PTE_OWNED | (level > 1 ? PTE_LARGE : 0);
}

static inline bool pte_decode(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	if (!(pte & PTE_PRESENT) || !(pte & PTE_OWNED))
		return false;
	*ret_pa = pte & PTE_ADDRESS;
	*ret_is_node = level > 1 && !(pte & PTE_LARGE);
	return true;
}

#endif
