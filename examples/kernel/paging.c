/* SPDX-License-Identifier: MIT */
/*
 * Page tables of ramka_pt nodes, four levels, that the machine really walks. An entry owns what it points to:
 * the address comes from ramka_frame_into_raw, and the last put of the root gives everything back, after a
 * grace period, by the decoder that arch.h provides.
 */
#include "kernel.h"

#define VIRTUAL 0x8000000000u            /* entry 1 of the root; vm.c has 2 and up */
#define HUGE_VIRTUAL (VIRTUAL + MIB(1024))
#define PAGES 12                         /* at least MAX_CPUS */
#define SPREAD 0x601000u                 /* apart, so that level-1 nodes are of their own */

static const struct ramka_pt_config config = {
	.levels = PT_LEVELS, .entries = PT_ENTRIES, .child = pte_decode,
};

static unsigned index_at(uintptr_t va, unsigned level)
{
	return va >> (RAMKA_PAGE_SHIFT + 9 * (level - 1)) & (PT_ENTRIES - 1);
}

struct ramka_frame *page_table_new(void)
{
	struct ramka_frame *root = ramka_pt_alloc(memory_cpu(), &config, PT_LEVELS);

	if (root)
		memcpy(ramka_frame_content(memory, root), direct_map(arch_page_table()), RAMKA_PAGE_SIZE);
	return root;
}

uint64_t *page_table_entry(struct ramka_frame *root, uintptr_t va, unsigned level)
{
	uint64_t *node = ramka_frame_content(memory, root);

	for (unsigned at = PT_LEVELS; at > level; at--) {
		uint64_t *entry = &node[index_at(va, at)];
		ramka_paddr_t pa;
		bool is_node;

		if (!*entry) {
			struct ramka_frame *child = ramka_pt_alloc(memory_cpu(), &config, at - 1);

			if (!child)
				return NULL;
			*entry = pte_to_node(ramka_frame_into_raw(memory, child));
		}
		REQUIRE(pte_decode(*entry, at, &pa, &is_node) && is_node);
		node = direct_map(pa);
	}
	return &node[index_at(va, level)];
}

/* Consumes f. */
static bool map(struct ramka_frame *root, uintptr_t va, struct ramka_frame *f)
{
	unsigned level = ramka_frame_map_level(f);
	uint64_t *entry = page_table_entry(root, va, level);

	if (!entry) {
		ramka_frame_put(memory_cpu(), f);
		return false;
	}
	REQUIRE(!*entry);
	*entry = pte_to_frame(ramka_frame_into_raw(memory, f), level);
	return true;
}

static uintptr_t page_address(unsigned i)
{
	return VIRTUAL + (uintptr_t)i * SPREAD;
}

/* The mapping must lead to the same memory as the direct map does, both ways. */
static void verify_page(struct ramka_frame *root, uintptr_t va, unsigned level)
{
	volatile uint64_t *mapped = (volatile uint64_t *)va;
	ramka_paddr_t pa;
	bool is_node;
	volatile uint64_t *direct;

	REQUIRE(pte_decode(*page_table_entry(root, va, level), level, &pa, &is_node) && !is_node);
	direct = direct_map(pa);
	REQUIRE(mapped[0] == direct[0] && mapped[0] != 0);
	mapped[7] = va;
	REQUIRE(direct[7] == va);
	direct[7] = ~va;
	REQUIRE(mapped[7] == ~va);
}

/* A root that has the kernel's own entries, PAGES base frames and, where there is one, a frame of 2 MiB. */
static struct ramka_frame *address_space_new(struct cpu *cpu, bool *ret_huge)
{
	struct ramka_frame *root = page_table_new(), *f;

	REQUIRE(root && ramka_pt_level(memory, root) == PT_LEVELS);
	for (unsigned i = 0; i < PAGES; i++) {
		f = watched_alloc(cpu, 0);
		REQUIRE(f && map(root, page_address(i), f));
	}
	f = watched_alloc(cpu, RAMKA_HUGE_ORDER);
	*ret_huge = f != NULL;
	if (f)
		REQUIRE(map(root, HUGE_VIRTUAL, f));
	return root;
}

/* Every CPU in an address space of its own. */
static void private_spaces(struct cpu *cpu)
{
	ramka_paddr_t before = arch_page_table();
	bool huge;
	struct ramka_frame *root = address_space_new(cpu, &huge);

	arch_set_page_table(ramka_frame_paddr(memory, root));
	for (unsigned i = 0; i < PAGES; i++)
		verify_page(root, page_address(i), 1);
	if (huge) {
		verify_page(root, HUGE_VIRTUAL, 2);
		/* the far end of it, too */
		REQUIRE(*(uint64_t *)(HUGE_VIRTUAL + MIB(2) - RAMKA_PAGE_SIZE));
	}
	arch_set_page_table(before);
	ramka_frame_put(memory_cpu(), root);
}

/* All CPUs in one address space: each writes its page, all read all pages. */
static void shared_space(struct cpu *cpu)
{
	static struct ramka_frame *root;
	ramka_paddr_t before = arch_page_table();
	bool huge;

	if (cpu->id == 0)
		root = address_space_new(cpu, &huge);
	smp_rendezvous();
	arch_set_page_table(ramka_frame_paddr(memory, root));
	((volatile uint64_t *)page_address(cpu->id))[9] = cpu->id + 1;
	smp_rendezvous();
	for (unsigned i = 0; i < nr_cpus; i++)
		REQUIRE(((volatile uint64_t *)page_address(i))[9] == i + 1);
	arch_set_page_table(before);
	smp_rendezvous();
	if (cpu->id == 0)
		ramka_frame_put(memory_cpu(), root);
}

#define ROUNDS 4

void paging_test(struct cpu *cpu)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		private_spaces(cpu);
		shared_space(cpu);
		memory_reclaim();
	}
}
