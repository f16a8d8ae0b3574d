/* SPDX-License-Identifier: MIT */
/*
 * Memory goes and comes under load. CPU 0 isolates blocks, removes them once they are quiet, lets all CPUs meet,
 * writes over what is its own then, contents and metadata, and adds the blocks again. The other CPUs and all
 * interrupt handlers go on with the stress. CPU 0 owns removed frames in the oracle, so a frame that somebody
 * else has too is noticed; and one frame is said to be broken, and must never come back.
 */
#include "kernel.h"

#define REMOVALS 8               /* that must succeed */
#define ATTEMPTS 600             /* at most; a range in which a frame stays in use for long is given up */
#define LOOKS 60                 /* at a range until it is given up */
#define BLOCK ((uint64_t)2 << 20)
#define MAX_GONE (4 * BLOCK / RAMKA_PAGE_SIZE)
#define BROKEN UINT32_MAX        /* the owner of the broken frame */
#define NO_NODE UINT32_MAX       /* none seen yet */

/* A range, and what went of it. */
static struct {
	ramka_paddr_t base;
	uint64_t size;
	uint32_t node;
	unsigned nr;
	bool has_hole;           /* or reserved memory, or memory of two nodes, which is added by its halves */
	struct {
		ramka_paddr_t pa;
		uint32_t tag;
	} gone[MAX_GONE];
} range;

static ramka_paddr_t broken;     /* 0: none yet */
static atomic_uint meetings;
static unsigned met[MAX_CPUS];
static atomic_bool over;

/* ---- the other CPUs ---- */

/* Between two operations. */
static bool go_on(struct cpu *cpu)
{
	if (met[cpu->id] != atomic_load(&meetings)) {
		met[cpu->id]++;
		smp_rendezvous();
	}
	return !atomic_load(&over);
}

/*
 * Every CPU has been outside of any call, and so were the handlers on top of it: a thread that arrives has no
 * handler above it. All calls that began before are over.
 */
static void meet(void)
{
	atomic_fetch_add(&meetings, 1);
	smp_rendezvous();
}

/* ---- CPU 0 ---- */

static bool see(void *ctx, const struct ramka_run *run)
{
	(void)ctx;
	if (run->state == RAMKA_STATE_RESERVED && run->base == broken && run->frames == 1)
		return true;
	if (run->state == RAMKA_STATE_HOLE || run->state == RAMKA_STATE_RESERVED ||
	    (range.node != NO_NODE && range.node != run->node))
		range.has_hole = true;
	else
		range.node = run->node;
	return true;
}

static bool note_gone(void *ctx, const struct ramka_run *run)
{
	struct cpu *cpu = ctx;

	for (uint64_t i = 0; run->state == RAMKA_STATE_HOLE && i < run->frames; i++) {
		ramka_paddr_t pa = run->base + i * RAMKA_PAGE_SIZE;

		range.gone[range.nr].pa = pa;
		range.gone[range.nr++].tag = watched_take(cpu, pa);
	}
	return true;
}

/* One block for a start, then up to four. False: this is not memory throughout. */
static bool choose(struct cpu *cpu)
{
	uint64_t blocks = oracle_frames * RAMKA_PAGE_SIZE / BLOCK;

	range.base = cpu_random(cpu) % blocks * BLOCK;
	range.size = BLOCK * (broken ? 1 + cpu_random(cpu) % 4 : 1);
	range.has_hole = false;
	range.node = NO_NODE;
	ramka_walk_range(memory, range.base, range.size, see, NULL);
	return !range.has_hole && !ramka_isolate(memory_cpu(), range.base, range.size);
}

static void pause(void)
{
	memory_quiescent();
	wait_for_interrupt();
}

static bool remove_range(void)
{
	int error;

	for (unsigned i = 0; i < LOOKS; i++) {
		error = ramka_remove_memory(memory_cpu(), range.base, range.size);
		if (!error)
			return true;
		REQUIRE(error == RAMKA_E_IN_USE || error == RAMKA_E_BUSY);
		pause();
	}
	while ((error = ramka_unisolate(memory_cpu(), range.base, range.size)) == RAMKA_E_BUSY)
		pause();
	REQUIRE(!error);
	return false;
}

/* What a kernel that takes away the backing does to it, and more: nobody looks at it any more. */
static void overwrite_metadata(void)
{
	for (unsigned i = 0; i < range.nr; i++) {
		struct ramka_metadata_part part[RAMKA_METADATA_PARTS];
		unsigned nr = ramka_metadata_of(memory, range.gone[i].pa, RAMKA_PAGE_SIZE, part);

		for (unsigned j = 0; j < nr; j++)
			memset(part[j].base, 0xa5, part[j].size);
	}
}

static void add_range(void)
{
	struct ramka_region region = { .kind = RAMKA_USABLE, .node = range.node };
	int error;

	for (unsigned i = 0; i < range.nr; i++)
		watched_give(range.gone[i].tag, range.gone[i].pa);
	for (unsigned i = 0; i < range.nr;) {
		unsigned first = i;

		while (++i < range.nr && range.gone[i].pa == range.gone[i - 1].pa + RAMKA_PAGE_SIZE)
			;
		region.base = range.gone[first].pa;
		region.size = (uint64_t)(i - first) * RAMKA_PAGE_SIZE;
		while ((error = ramka_add_memory(memory, &region)) == RAMKA_E_BUSY)
			pause();
		if (error)
			fail("adding %lx again: %s", region.base, ramka_strerror(error));
	}
}

/* A frame of the block that is isolated breaks. It may be in use still: it leaves with its last reference. */
static void break_one(struct cpu *cpu)
{
	ramka_paddr_t pa = range.base + cpu_random(cpu) % (BLOCK / RAMKA_PAGE_SIZE) * RAMKA_PAGE_SIZE;

	for (unsigned i = 0; i < LOOKS && !broken; i++) {
		if (!ramka_frame_set_bad(memory_cpu(), pa))
			broken = pa;
		else
			pause();
	}
	if (broken)
		atomic_store(&oracle[broken / RAMKA_PAGE_SIZE], BROKEN);
}

/* One attempt. */
static bool go_and_come(struct cpu *cpu)
{
	if (!choose(cpu))
		return false;
	if (!broken)
		break_one(cpu);
	if (!remove_range())
		return false;
	range.nr = 0;
	ramka_walk_range(memory, range.base, range.size, note_gone, cpu);
	meet();
	overwrite_metadata();
	for (unsigned i = 0; i < 3; i++)
		pause();
	add_range();
	return true;
}

/* ---- all CPUs ---- */

void hotplug_test(struct cpu *cpu)
{
	unsigned removals = 0, attempts = 0;

	if (cpu->id) {
		stress_while(cpu, go_on);
		return;
	}
	while (removals < REMOVALS) {
		if (attempts++ == ATTEMPTS)
			fail("only %u of %u removals succeeded", removals, REMOVALS);
		removals += go_and_come(cpu);
		if (broken)
			REQUIRE(ramka_frame_state_at(memory, broken) == RAMKA_STATE_RESERVED);
	}
	atomic_store(&over, true);
	REQUIRE(broken && atomic_exchange(&oracle[broken / RAMKA_PAGE_SIZE], 0) == BROKEN);
	stress_one_broken();
	print("  %u removals in %u attempts, with a broken frame at %lx\n", removals, attempts, broken);
}
