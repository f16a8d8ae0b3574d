/* SPDX-License-Identifier: MIT */
/*
 * CPUs: bringing them up, timer interrupts that nest, the IPI that is a full barrier on every CPU, and a
 * rendezvous. Portable; arch/ does the hardware.
 */
#include "kernel.h"

struct cpu cpus[MAX_CPUS];
unsigned nr_cpus;

static void (*_Atomic timer_hook)(struct cpu *cpu);
void (*_Atomic smp_after_barrier)(void);
static void (*secondary_entry)(struct cpu *cpu);
static _Alignas(16) char stacks[MAX_CPUS][STACK_SIZE];

void smp_init(const struct boot_info *boot, uint64_t seed)
{
	nr_cpus = boot->nr_cpus;
	for (unsigned i = 0; i < nr_cpus; i++) {
		cpus[i].self = &cpus[i];
		cpus[i].id = i;
		cpus[i].hw_id = boot->hw_ids[i];
		cpus[i].stack = (uintptr_t)stacks[i] + STACK_SIZE;
		cpus[i].random = seed << 32 ^ (uint64_t)i << 56;
	}
	arch_cpu_init(&cpus[0]);
	atomic_store(&cpus[0].online, true);
}

/* One after the other: the entry code of some machines has a single place for the stack pointer. */
void smp_start_others(void (*entry)(struct cpu *cpu))
{
	secondary_entry = entry;
	for (unsigned i = 1; i < nr_cpus; i++) {
		arch_start_cpu(&cpus[i]);
		while (!atomic_load(&cpus[i].online))
			relax();
	}
}

void secondary_main(struct cpu *cpu)
{
	arch_cpu_init(cpu);
	atomic_store(&cpu->online, true);
	irq_enable();
	secondary_entry(cpu);
	for (;;)
		wait_for_interrupt();
}

/* splitmix64 over a counter of the CPU's own: a handler that calls it too disturbs nothing. */
uint64_t cpu_random(struct cpu *cpu)
{
	uint64_t x = atomic_fetch_add_explicit(&cpu->random, 1, memory_order_relaxed) * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/*
 * The timer has fired. The next one is set before the hook runs, and interrupts are let in again, so that
 * handlers nest up to MAX_IRQ_DEPTH; the innermost keeps them off.
 */
void timer_interrupt(void)
{
	struct cpu *cpu = this_cpu();
	void (*hook)(struct cpu *cpu) = atomic_load(&timer_hook);
	uint64_t tick = atomic_fetch_add_explicit(&cpu->ticks, 1, memory_order_relaxed);
	unsigned depth = ++cpu->irq_depth;

	if (depth > cpu->deepest)
		cpu->deepest = depth;
	if (depth < MAX_IRQ_DEPTH)
		arch_timer_arm(tick % 4 ? 700 + 50 * cpu->id : 20);
	else
		arch_timer_arm(5000);    /* handlers cannot keep up: let what they interrupt go on */
	if (ARCH_HAS_NMI && hook && tick % 8 == 0)
		arch_send_nmi(&cpus[(cpu->id + tick / 8) % nr_cpus]);
	if (hook) {
		if (depth < MAX_IRQ_DEPTH)
			irq_enable();
		hook(cpu);
		irq_disable();
	}
	cpu->irq_depth--;
}

/* The hook once more, whatever this CPU is doing, interrupts disabled or not. */
void nmi_interrupt(void)
{
	struct cpu *cpu = this_cpu();
	void (*hook)(struct cpu *cpu) = atomic_load(&timer_hook);

	atomic_fetch_add_explicit(&cpu->nmis, 1, memory_order_relaxed);
	cpu->irq_depth++;
	if (hook)
		hook(cpu);
	cpu->irq_depth--;
}

/*
 * A full barrier on this CPU, and the word that it has been executed. One fence before the count and one
 * after it: what this CPU did before is seen by whoever sees the count; and if a sender read the count
 * before this raised it, then what the sender did earlier is seen by what this CPU does later.
 */
void ipi_interrupt(void)
{
	struct cpu *cpu = this_cpu();
	void (*after)(void) = atomic_load(&smp_after_barrier);

	atomic_thread_fence(memory_order_seq_cst);
	atomic_fetch_add(&cpu->barriers, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (after)
		after();
}

/*
 * True once every CPU that is online has executed a full barrier that began after this call did.
 *
 * No lock: any number of CPUs may send at once. A sender waits with its interrupts enabled, so that it
 * serves the others' IPIs meanwhile; with interrupts disabled two senders would wait for each other for
 * ever, hence the refusal. Two IPIs to one CPU may melt into one interrupt, which is good enough for both
 * senders: each of them read the count before it sent. A CPU that comes online after the check begins with
 * the full barrier of atomic_store(&online), before it has any frame.
 */
bool smp_barrier(void *ctx)
{
	uint64_t before[MAX_CPUS];
	bool sent[MAX_CPUS] = { false };
	unsigned self;

	(void)ctx;
	if (!irq_enabled())
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	self = this_cpu()->id;
	for (unsigned i = 0; i < nr_cpus; i++) {
		if (i == self || !atomic_load(&cpus[i].online))
			continue;
		before[i] = atomic_load(&cpus[i].barriers);
		sent[i] = true;
		arch_send_ipi(&cpus[i]);
	}
	for (unsigned i = 0; i < nr_cpus; i++) {
		while (sent[i] && atomic_load(&cpus[i].barriers) == before[i])
			relax();
	}
	atomic_thread_fence(memory_order_seq_cst);
	return true;
}

/*
 * Everybody arrives before anybody goes on. Who waits sleeps between timer interrupts and holds nothing
 * that it found by an RCU lookup, so others' grace periods go on meanwhile.
 */
void smp_rendezvous(void)
{
	static atomic_uint arrived, generation;
	unsigned mine = atomic_load(&generation);

	memory_quiescent();
	if (atomic_fetch_add(&arrived, 1) + 1 == nr_cpus) {
		atomic_store(&arrived, 0);
		atomic_fetch_add(&generation, 1);
		return;
	}
	while (atomic_load(&generation) == mine) {
		memory_quiescent();
		wait_for_interrupt();
	}
}

/*
 * Called by every CPU. On return no CPU runs the old hook any more: a handler that had read it before it
 * was replaced has interrupted its CPU before the second rendezvous ended, hence ends before the CPU
 * arrives at the third.
 */
void smp_set_timer_hook(struct cpu *cpu, void (*hook)(struct cpu *cpu))
{
	smp_rendezvous();
	if (cpu->id == 0)
		atomic_store(&timer_hook, hook);
	smp_rendezvous();
	smp_rendezvous();
}

/* ---- a test of the above: what memory.c and the stress rest on ---- */

#define ROUNDS 10
#define INCREMENTS 10000

static _Atomic uint64_t shared_counter;
static uint64_t flags[MAX_CPUS][CACHE_LINE / sizeof(uint64_t)];

void smp_test(struct cpu *cpu)
{
	uint64_t first = atomic_load(&cpu->ticks);

	REQUIRE(this_cpu() == cpu);
	for (unsigned i = 0; i < INCREMENTS; i++)
		atomic_fetch_add(&shared_counter, 1);
	smp_rendezvous();
	REQUIRE(atomic_load(&shared_counter) == (uint64_t)INCREMENTS * nr_cpus);

	/* all CPUs send at once */
	for (unsigned round = 1; round <= ROUNDS; round++) {
		flags[cpu->id][0] = round;
		REQUIRE(smp_barrier(NULL));
	}
	irq_disable();
	REQUIRE(!smp_barrier(NULL));
	irq_enable();
	smp_rendezvous();
	for (unsigned i = 0; i < nr_cpus; i++) {
		REQUIRE(flags[i][0] == ROUNDS);
		if (nr_cpus > 1)
			REQUIRE(atomic_load(&cpus[i].barriers) >= ROUNDS);
	}
	while (atomic_load(&cpu->ticks) < first + 3)
		wait_for_interrupt();
	smp_rendezvous();
}
