/* SPDX-License-Identifier: MIT */
/*
 * The embedding of ramka. Everything that the library needs from this kernel is here:
 *
 *   the memory map        struct ramka_region, from the firmware's map, plus the kernel's own image
 *   memory for metadata   carved from the biggest usable region; ramka sees that it lies in the direct map
 *                         and keeps those frames out of circulation by itself
 *   a direct map          set up by entry.S; frames are zeroed and read through it
 *   a barrier             smp_barrier(): an IPI to every CPU, so that one CPU may empty another's cache
 *   grace periods         ramka's quiescent-state backend: each CPU says when it is not reading
 *   a panic function      prints what is wrong and powers off
 */
#include "kernel.h"

struct ramka *memory;
_Atomic uint32_t *oracle;
uint64_t oracle_frames;

static struct ramka_qsbr qsbr;
static struct ramka_qsbr_cpu qsbr_cpus[MAX_CPUS];
static bool reading[MAX_CPUS];           /* between online and offline */

/* ---- the memory map ---- */

void boot_add_region(struct boot_info *boot, ramka_paddr_t base, uint64_t size, enum ramka_region_kind kind,
		     uint32_t node)
{
	if (boot->nr_regions == MAX_REGIONS)
		fail("more than %d regions of memory", MAX_REGIONS);
	if (base >= DIRECT_MAP_SIZE)
		return;
	if (size > DIRECT_MAP_SIZE - base)
		size = DIRECT_MAP_SIZE - base;
	boot->regions[boot->nr_regions++] = (struct ramka_region){
		.base = base, .size = size, .kind = kind, .node = node,
	};
}

static void print_map(const struct boot_info *boot)
{
	static const char *const names[] = {
		[RAMKA_USABLE] = "usable", [RAMKA_DETACHED] = "detached", [RAMKA_RECLAIMABLE] = "reclaimable",
		[RAMKA_RESERVED] = "reserved", [RAMKA_KERNEL] = "kernel", [RAMKA_BAD] = "bad",
		[RAMKA_MMIO] = "mmio",
	};

	for (size_t i = 0; i < boot->nr_regions; i++) {
		const struct ramka_region *region = &boot->regions[i];

		print("  %012lx-%012lx %s, node %u\n", region->base, region->base + region->size,
		      names[region->kind], region->node);
	}
}

static ramka_paddr_t page_down(ramka_paddr_t pa)
{
	return pa & ~(ramka_paddr_t)(RAMKA_PAGE_SIZE - 1);
}

/* Page-aligned memory at the top of the biggest usable region, below whatever lies in the way. */
static ramka_paddr_t carve(const struct boot_info *boot, uint64_t bytes)
{
	const struct ramka_region *biggest = NULL;
	ramka_paddr_t base = 0, top;

	for (size_t i = 0; i < boot->nr_regions; i++) {
		const struct ramka_region *region = &boot->regions[i];

		if (region->kind == RAMKA_USABLE && (!biggest || region->size > biggest->size))
			biggest = region;
	}
	if (!biggest)
		fail("no usable memory");
	top = biggest->base + biggest->size;
	for (size_t i = 0; i < boot->nr_regions; i++) {
		const struct ramka_region *other = &boot->regions[i];

		if (top < biggest->base || top - biggest->base < bytes)
			fail("no room for %lu bytes", bytes);
		base = page_down(top - bytes);
		if (other->kind != RAMKA_USABLE && other->base < base + bytes &&
		    base < other->base + other->size) {
			top = other->base;
			i = (size_t)-1;          /* once more, against all */
		}
	}
	if (base < biggest->base)
		fail("no room for %lu bytes", bytes);
	return base;
}

/* For the tests only: a word per frame, in memory that ramka never hands out. */
static void carve_oracle(struct boot_info *boot)
{
	ramka_paddr_t base;

	for (size_t i = 0; i < boot->nr_regions; i++) {
		const struct ramka_region *region = &boot->regions[i];
		uint64_t end = (region->base + region->size) / RAMKA_PAGE_SIZE;

		if (region->kind == RAMKA_USABLE && end > oracle_frames)
			oracle_frames = end;
	}
	base = carve(boot, oracle_frames * sizeof(*oracle));
	boot_add_region(boot, base, oracle_frames * sizeof(*oracle), RAMKA_RESERVED, 0);
	oracle = direct_map(base);
	memset((void *)oracle, 0, oracle_frames * sizeof(*oracle));
}

/* ---- what ramka calls ---- */

static void panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	fail("%s: %s (frame %lx, state %d, word %lx, type %s)", bug->operation, bug->what, bug->paddr,
	     (int)bug->state, bug->ref, bug->type ? bug->type->name : "none");
}

/* While somebody waits for a grace period. */
static void while_waiting(void *ctx)
{
	(void)ctx;
	if (irq_enabled())
		wait_for_interrupt();
	else
		relax();
}

/* ---- set-up, on the boot CPU, before the others run ---- */

void memory_init(struct boot_info *boot)
{
	struct ramka_rcu_ops rcu;
	struct ramka_config config = {
		.nr_cpus = nr_cpus,
		.cpu_node = boot->cpu_nodes,
		.direct_map = DIRECT_MAP,
		.rcu = &rcu,
		.barrier_all_cpus = smp_barrier,
		.panic = panic,
	};
	ramka_paddr_t metadata;
	size_t bytes;
	int error;

	boot_add_region(boot, (uintptr_t)kernel_start, (uintptr_t)kernel_end - (uintptr_t)kernel_start,
			RAMKA_KERNEL, 0);
	carve_oracle(boot);
	print_map(boot);

	ramka_qsbr_init(&qsbr, qsbr_cpus, nr_cpus, &rcu);
	qsbr.relax = while_waiting;
	config.regions = boot->regions;
	config.nr_regions = boot->nr_regions;
	error = ramka_metadata_size(&config, &bytes);
	if (error)
		fail("ramka_metadata_size: %s", ramka_strerror(error));
	metadata = carve(boot, bytes);
	error = ramka_init(&config, direct_map(metadata), bytes, &memory);
	if (error)
		fail("ramka_init: %s", ramka_strerror(error));
	print("metadata: %lu KiB at %lx\n", bytes >> 10, metadata);
}

/*
 * Memory that start-up no longer needs: the loader's structures, ACPI tables, the device tree, the
 * trampoline. Two of them may share a frame; the second is IN_USE then, or free already.
 */
void memory_add_reclaimable(const struct boot_info *boot)
{
	uint64_t frames = 0;

	for (size_t i = 0; i < boot->nr_regions; i++) {
		struct ramka_region region = boot->regions[i];
		ramka_paddr_t end = region.base + region.size;

		if (region.kind != RAMKA_RECLAIMABLE)
			continue;
		region.kind = RAMKA_USABLE;
		region.base = page_down(region.base);
		region.size = page_down(end + RAMKA_PAGE_SIZE - 1) - region.base;
		if (!ramka_add_memory(memory, &region))
			frames += region.size / RAMKA_PAGE_SIZE;
	}
	print("reclaimed: %lu frames\n", frames);
}

/* ---- in use ---- */

struct ramka_cpu *memory_cpu(void)
{
	return ramka_cpu_at(memory, this_cpu()->id);
}

void memory_online(void)
{
	ramka_qsbr_online(&qsbr, this_cpu()->id);
	reading[this_cpu()->id] = true;
}

/* Announcing an offline CPU quiescent would make it one that is waited for. */
void memory_quiescent(void)
{
	if (reading[this_cpu()->id])
		ramka_qsbr_quiescent(&qsbr, this_cpu()->id);
}

void memory_offline(void)
{
	reading[this_cpu()->id] = false;
	ramka_qsbr_offline(&qsbr, this_cpu()->id);
}

/* Who waits for a grace period must not be waited for. */
void memory_reclaim(void)
{
	bool was = reading[this_cpu()->id];

	memory_offline();
	ramka_reclaim(memory_cpu(), true);
	if (was)
		memory_online();
}
