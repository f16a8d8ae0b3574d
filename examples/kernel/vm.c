/* SPDX-License-Identifier: MIT */
/*
 * Memory on demand: areas of virtual addresses that page faults fill with zeroed frames. The host's unit
 * tests run on it, since they reserve far more address space than there is memory.
 *
 * One CPU at a time is in here, and no other CPU uses its page table, so that nobody's TLB but its own has to
 * be flushed. Faults come with interrupts disabled. They may come while the CPU is inside a call of ramka, on
 * another instance or on this one: that is a nested call like any other.
 */
#include "kernel.h"

#define VM_BASE ((uintptr_t)1 << 40)     /* entries 2 and up of the root */
#define VM_END ((uintptr_t)1 << 47)
#define MAX_AREAS 512

struct area {
	uintptr_t base, end;             /* end 0: not in use */
	bool forbidden;                  /* part of another area */
};

static struct area areas[MAX_AREAS];
static unsigned used_areas;              /* beyond these, none is in use */
static unsigned nr_areas;                /* not forbidden ones */
static uintptr_t next_base = VM_BASE;
static uint64_t resident;
static struct ramka_frame *root;
static ramka_paddr_t outside;            /* the page table to go back to */

void vm_enter(void)
{
	outside = arch_page_table();
	root = page_table_new();
	REQUIRE(root);
	arch_set_page_table(ramka_frame_paddr(memory, root));
}

void vm_leave(void)
{
	REQUIRE(nr_areas == 0 && resident == 0);
	arch_set_page_table(outside);
	ramka_frame_put(memory_cpu(), root);
	root = NULL;
}

static void add_area(uintptr_t base, uintptr_t end, bool forbidden)
{
	for (unsigned i = 0; i < MAX_AREAS; i++) {
		if (!areas[i].end) {
			areas[i] = (struct area){ base, end, forbidden };
			if (used_areas <= i)
				used_areas = i + 1;
			return;
		}
	}
	fail("more than %d areas", MAX_AREAS);
}

void *vm_reserve(uint64_t bytes)
{
	uintptr_t base = next_base;
	uint64_t size = (bytes + RAMKA_PAGE_SIZE - 1) & ~(uint64_t)(RAMKA_PAGE_SIZE - 1);

	if (!bytes || size < bytes || size > VM_END - base)
		return NULL;
	add_area(base, base + size, false);
	nr_areas++;
	next_base = base + size + RAMKA_PAGE_SIZE;       /* a page in between belongs to nobody */
	return (void *)base;
}

void vm_forbid(void *base, uint64_t bytes)
{
	add_area((uintptr_t)base, (uintptr_t)base + bytes, true);
}

/* Gives the frames of [base, end) back, part of what `node` of `level` maps. Nodes stay. */
static void unmap(uint64_t *node, unsigned level, uintptr_t base, uintptr_t end)
{
	unsigned shift = RAMKA_PAGE_SHIFT + 9 * (level - 1);

	for (uintptr_t next; base < end; base = next) {
		unsigned i = base >> shift & (PT_ENTRIES - 1);
		ramka_paddr_t pa;
		bool is_node;

		next = ((base >> shift) + 1) << shift;
		if (!pte_decode(node[i], level, &pa, &is_node))
			continue;
		if (is_node) {
			unmap(direct_map(pa), level - 1, base, next < end ? next : end);
		} else {
			node[i] = 0;
			ramka_frame_put(memory_cpu(), ramka_frame_from_raw(memory, pa));
			resident--;
		}
	}
}

void vm_release(void *base)
{
	uintptr_t start = (uintptr_t)base, end = 0;

	for (unsigned i = 0; i < used_areas; i++) {
		if (areas[i].base == start && !areas[i].forbidden) {
			end = areas[i].end;
			areas[i] = (struct area){ 0, 0, false };
		}
	}
	REQUIRE(end);
	for (unsigned i = 0; i < used_areas; i++) {
		if (areas[i].forbidden && areas[i].base >= start && areas[i].end <= end)
			areas[i] = (struct area){ 0, 0, false };
	}
	unmap(ramka_frame_content(memory, root), PT_LEVELS, start, end);
	arch_set_page_table(ramka_frame_paddr(memory, root));
	while (used_areas && !areas[used_areas - 1].end)
		used_areas--;
	if (--nr_areas == 0)
		next_base = VM_BASE;
}

void vm_release_all(void)
{
	for (unsigned i = 0; i < MAX_AREAS; i++) {
		if (areas[i].end && !areas[i].forbidden)
			vm_release((void *)areas[i].base);
	}
}

uint64_t vm_resident(void)
{
	return resident;
}

bool vm_fault(uintptr_t va)
{
	bool found = false;
	uint64_t *entry;
	struct ramka_frame *f;

	if (!root || arch_page_table() != ramka_frame_paddr(memory, root))
		return false;
	for (unsigned i = 0; i < used_areas; i++) {
		if (va >= areas[i].base && va < areas[i].end) {
			if (areas[i].forbidden)
				return false;
			found = true;
		}
	}
	if (!found)
		return false;
	entry = page_table_entry(root, va, 1);
	f = ramka_frame_alloc(memory_cpu(), &ramka_type_untyped, NULL, (struct ramka_request){ .order = 0 });
	if (!entry || !f) {
		struct ramka_stats stats;

		ramka_stats_read(memory, &stats);
		fail("no memory for the page at %lx; pages %lu, frames free %lu, cached %lu, deferred %lu",
		     va, resident, stats.free, stats.cached, stats.deferred);
	}
	*entry = pte_to_frame(ramka_frame_into_raw(memory, f), 1);
	resident++;
	return true;
}
