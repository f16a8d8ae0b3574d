/* SPDX-License-Identifier: MIT */
/*
 * The common part of the example kernel: what main.c, memory.c, smp.c and the tests share, and what each
 * folder below arch/ has to provide. A kernel of your own has all of this already; memory.c is the file to
 * read for how ramka is embedded.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ramka/ramka.h>

#define MAX_CPUS 8
#define MAX_REGIONS 64
#define MAX_IRQ_DEPTH 3          /* how deep timer interrupts nest before they keep interrupts off */
#define STACK_SIZE 32768

#define CACHE_LINE 64
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

/* ---- per-CPU data (smp.c) ---- */

struct cpu {
	_Alignas(CACHE_LINE) struct cpu *self;   /* offset 0: read through GS on x86-64 */
	uintptr_t stack;                 /* offset 8: loaded by the entry code of a secondary CPU */
	uint64_t hw_id;                  /* APIC id, MPIDR or hart id */
	unsigned id;                     /* 0 .. nr_cpus-1; 0 is the boot CPU */
	unsigned irq_depth;              /* timer interrupts being handled right now */
	unsigned deepest;                /* the most there ever were */
	_Atomic uint64_t nmis;           /* non-maskable interrupts taken */
	_Atomic uint64_t random;         /* state of cpu_random() */
	_Atomic uint64_t ticks;          /* timer interrupts taken */
	_Atomic uint64_t barriers;       /* barrier IPIs taken */
	atomic_bool online;
};

_Static_assert(offsetof(struct cpu, self) == 0, "entry code and this_cpu() know this offset");
_Static_assert(offsetof(struct cpu, stack) == 8, "entry code knows this offset");

extern struct cpu cpus[MAX_CPUS];
extern unsigned nr_cpus;

/* ---- what the loader and the firmware told us, collected by arch_boot() ---- */

struct boot_info {
	const char *arch;
	const char *command_line;
	struct ramka_region regions[MAX_REGIONS];
	size_t nr_regions;
	uint64_t hw_ids[MAX_CPUS];       /* the boot CPU first */
	uint32_t cpu_nodes[MAX_CPUS];    /* NUMA node of each */
	unsigned nr_cpus;
};

void boot_add_region(struct boot_info *boot, ramka_paddr_t base, uint64_t size, enum ramka_region_kind kind,
		     uint32_t node);

/* The linker script's. The image is linked at its physical address. */
extern char kernel_start[], kernel_end[];

/* ---- provided by arch/<arch>/ ---- */

/* arch.h: inline functions
 *   this_cpu()                  the CPU's own struct cpu
 *   irq_save(), irq_restore()   disable interrupts and say whether they were enabled; put that back
 *   irq_enabled(), irq_enable(), irq_disable()
 *   relax()                     in a busy loop
 *   wait_for_interrupt()        sleep until one comes; interrupts are enabled
 * and for page tables: PT_LEVELS, PT_ENTRIES, pte_to_node(), pte_to_frame(), pte_decode(),
 * and ARCH_HAS_NMI; DIRECT_MAP, DIRECT_MAP_SIZE: where physical memory is seen, and how much of it
 */
#include <arch.h>

void arch_putc(char c);
_Noreturn void arch_exit(bool ok);                /* power off with an exit status */
void arch_cpu_init(struct cpu *cpu);              /* on that CPU: its register, vectors, interrupts */
void arch_start_cpu(struct cpu *cpu);             /* it will call secondary_main() on cpu->stack */
void arch_send_ipi(struct cpu *cpu);
void arch_send_nmi(struct cpu *cpu);              /* if ARCH_HAS_NMI */
void arch_timer_arm(unsigned microseconds);       /* one interrupt, on this CPU */
ramka_paddr_t arch_page_table(void);              /* the root this CPU walks */
void arch_set_page_table(ramka_paddr_t root);     /* switch and flush this CPU's TLB */

/* ---- called by arch/<arch>/ ---- */

_Noreturn void kernel_main(struct boot_info *boot);
_Noreturn void secondary_main(struct cpu *cpu);
void timer_interrupt(void);
void ipi_interrupt(void);
void nmi_interrupt(void);                         /* where ARCH_HAS_NMI says that there are any */

/* ---- memory.c: the embedding ---- */

extern struct ramka *memory;

void memory_init(struct boot_info *boot);
void memory_add_reclaimable(const struct boot_info *boot);
struct ramka_cpu *memory_cpu(void);               /* this CPU's handle */
void memory_online(void);                         /* from here on this CPU may read what RCU protects */
void memory_quiescent(void);                      /* it is not reading at this moment */
void memory_offline(void);
void memory_reclaim(void);                        /* wait until all that was deferred so far is free */

/* One word per base frame for the ownership oracle of stress.c, from address 0 up. */
extern _Atomic uint32_t *oracle;
extern uint64_t oracle_frames;

static inline void *direct_map(ramka_paddr_t pa)
{
	return (void *)(DIRECT_MAP + (uintptr_t)pa);
}

/* ---- smp.c ---- */

void smp_init(const struct boot_info *boot, uint64_t seed);
void smp_start_others(void (*entry)(struct cpu *cpu));
bool smp_barrier(void *ctx);                      /* ramka_config.barrier_all_cpus */
extern void (*_Atomic smp_after_barrier)(void);   /* for tests: run on each CPU that has answered; or NULL */
void smp_rendezvous(void);                        /* every CPU arrives before any goes on */
/* Run by each timer interrupt, with interrupts enabled unless MAX_IRQ_DEPTH is reached, and by each NMI. */
void smp_set_timer_hook(struct cpu *cpu, void (*hook)(struct cpu *cpu));
uint64_t cpu_random(struct cpu *cpu);

/* ---- paging.c ---- */

/* A root with the kernel's own entries, those of the table in use. NULL: no memory. */
struct ramka_frame *page_table_new(void);
/* The entry for `va` in a node of `level`; missing nodes on the way are made. NULL: no memory. */
uint64_t *page_table_entry(struct ramka_frame *root, uintptr_t va, unsigned level);

/* ---- vm.c: memory on demand, for one CPU ---- */

void vm_enter(void);                              /* this CPU gets an address space of its own, */
void vm_leave(void);                              /* and gives it back with all that is in it */
void *vm_reserve(uint64_t bytes);                 /* zeroed pages, there when they are touched */
void vm_forbid(void *base, uint64_t bytes);       /* part of an area that must not be touched */
void vm_release(void *base);                      /* a whole area */
void vm_release_all(void);
uint64_t vm_resident(void);                       /* pages that are there */
bool vm_fault(uintptr_t va);                      /* called by arch/: true if it can be touched now */

/* ---- the tests ---- */

void smp_test(struct cpu *cpu);                   /* on every CPU at once */
void stress_setup(void);                          /* on one */
void stress_test(struct cpu *cpu, uint64_t ops);  /* on every CPU at once */
void stress_interrupts(struct cpu *cpu, bool often);    /* on every CPU: what interrupts do from here on */
void stress_while(struct cpu *cpu, bool (*go_on)(struct cpu *cpu));
void hotplug_test(struct cpu *cpu);               /* on every CPU at once */
void stress_one_broken(void);                     /* on one: a frame less is expected at the end */
void drain_test(struct cpu *cpu);                 /* on every CPU at once */
void exhaustion_test(struct cpu *cpu);            /* on every CPU at once */
void paging_test(struct cpu *cpu);                /* on every CPU at once */
void unit_tests(void);                            /* on one; tests/kernel/unit, empty without it */
bool fault_planted(const char *name);             /* by the command line, see main.c */
void stress_settle(void);                         /* on one: everything is free again, and the audit agrees */

/* Frames that the oracle watches; see stress.c. */
struct ramka_frame *watched_alloc(struct cpu *cpu, unsigned order);
uint32_t watched_verify(struct ramka_frame *f);
/* A base frame that does not come from ramka: it gets an owner in the oracle; and the end of that. */
uint32_t watched_take(struct cpu *cpu, ramka_paddr_t pa);
void watched_give(uint32_t tag, ramka_paddr_t pa);

/* ---- print.c ---- */

__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
__attribute__((format(printf, 1, 2))) _Noreturn void fail(const char *format, ...);
__attribute__((format(printf, 3, 4))) int snprintf(char *s, size_t n, const char *format, ...);
_Noreturn void fail_args(const char *format, va_list args);

#define REQUIRE(cond) do { if (!(cond)) fail("%s:%d: %s", __FILE__, __LINE__, #cond); } while (0)

#endif
