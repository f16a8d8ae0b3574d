/* SPDX-License-Identifier: MIT */
/*
 * A small SMP kernel that embeds ramka: boots, hands the machine's memory to ramka (memory.c), starts the
 * other CPUs, runs the tests on all of them with timer interrupts that allocate and free, and powers off
 * with an exit status. The last line on the console begins with PASS or FAIL.
 *
 * Command line: ops=N (operations per CPU), seed=N, unit=0 (leave the unit tests out), inject=FAULT (must end in FAIL): put, owner, stamp, trap, leak,
 * unit (a unit test), stress (on the last CPU, half way through its operations).
 */
#include "kernel.h"

static struct {
	uint64_t ops, seed, unit;
	char inject[16];
} options = { .ops = 4000, .seed = 1, .unit = 1 };

static const char *option(const char *line, const char *name)
{
	size_t n = strlen(name);

	for (; *line; line++) {
		if (!strncmp(line, name, n) && line[n] == '=')
			return line + n + 1;
		while (*line && *line != ' ')
			line++;
		if (!*line)
			break;
	}
	return NULL;
}

static uint64_t number(const char *s, uint64_t otherwise)
{
	uint64_t value = 0;

	if (!s)
		return otherwise;
	for (; *s >= '0' && *s <= '9'; s++)
		value = value * 10 + (uint64_t)(*s - '0');
	return value;
}

/* The line lies in memory that is given away later: nothing points into it afterwards. */
static void parse(const char *line)
{
	const char *inject = option(line, "inject");

	options.ops = number(option(line, "ops"), options.ops);
	options.seed = number(option(line, "seed"), options.seed);
	options.unit = number(option(line, "unit"), options.unit);
	for (size_t i = 0; inject && *inject && *inject != ' ' && i < sizeof(options.inject) - 1; i++)
		options.inject[i] = *inject++;
}

bool fault_planted(const char *name)
{
	return !strcmp(options.inject, name);
}

__attribute__((weak)) void unit_tests(void)
{
}

/* Faults that the tests must see: each ends in FAIL. */
static void inject_fault(struct cpu *cpu)
{
	struct ramka_frame *f;

	if (!options.inject[0] || fault_planted("stress"))
		return;
	f = watched_alloc(cpu, 0);
	REQUIRE(f);
	if (fault_planted("put")) {
		ramka_frame_put(memory_cpu(), f);
		ramka_frame_put(memory_cpu(), f);        /* once too often: panic */
	} else if (fault_planted("owner")) {
		/* as if the frame had been handed out twice */
		atomic_store(&oracle[ramka_frame_index(memory, f)], UINT32_MAX);
		ramka_frame_put(memory_cpu(), f);
	} else if (fault_planted("stamp")) {
		/* as if somebody wrote to a frame that is not his */
		*(unsigned char *)ramka_frame_content(memory, f) ^= 0xff;
		ramka_frame_put(memory_cpu(), f);
	} else if (fault_planted("trap")) {
		*(volatile char *)0x123456789000 = 1;    /* mapped nowhere */
	} else if (fault_planted("leak")) {
		stress_settle();
	} else if (fault_planted("unit")) {
		unit_tests();
	}
	fail("inject=%s was not noticed", options.inject);
}

static void progress(struct cpu *cpu, const char *what)
{
	smp_rendezvous();
	if (cpu->id == 0)
		print("%s: ok\n", what);
}

/* All CPUs go through this together. */
static void run(struct cpu *cpu)
{
	memory_online();
	arch_timer_arm(500);
	smp_test(cpu);
	progress(cpu, "smp");
	stress_test(cpu, options.ops);
	progress(cpu, "stress");
	hotplug_test(cpu);
	progress(cpu, "hotplug");
	drain_test(cpu);
	progress(cpu, "drain");
	exhaustion_test(cpu);
	progress(cpu, "exhaustion");
	paging_test(cpu);
	progress(cpu, "paging");
	stress_interrupts(cpu, false);
	if (cpu->id == 0 && options.unit) {
		memory_offline();        /* they take long, and read nothing of ours */
		unit_tests();
		memory_online();
	}
	progress(cpu, "unit tests");
	smp_set_timer_hook(cpu, NULL);
	memory_offline();
}

static void secondary(struct cpu *cpu)
{
	run(cpu);
	smp_rendezvous();
}

void kernel_main(struct boot_info *boot)
{
	struct cpu *cpu = &cpus[0];
	struct ramka_stats stats;
	uint64_t ticks = 0, nmis = 0, barriers = 0;
	unsigned deepest = 0;

	parse(boot->command_line);
	smp_init(boot, options.seed);
	print("ramka example kernel: %s, %u CPUs, %lu operations each, seed %lu\n", boot->arch, nr_cpus,
	      options.ops, options.seed);
	memory_init(boot);
	irq_enable();
	smp_start_others(secondary);
	memory_add_reclaimable(boot);
	stress_setup();
	inject_fault(cpu);

	run(cpu);
	smp_rendezvous();
	stress_settle();
	if (options.inject[0])
		fail("inject=%s was not noticed", options.inject);

	for (unsigned i = 0; i < nr_cpus; i++) {
		ticks += atomic_load(&cpus[i].ticks);
		nmis += atomic_load(&cpus[i].nmis);
		barriers += atomic_load(&cpus[i].barriers);
		if (cpus[i].deepest > deepest)
			deepest = cpus[i].deepest;
	}
	ramka_stats_read(memory, &stats);
	print("%lu allocations, %lu timer interrupts up to %u deep, %lu NMIs, %lu barrier IPIs\n",
	      stats.allocs, ticks, deepest, nmis, barriers);
	print("PASS: %s, %u CPUs\n", ARCH_NAME, nr_cpus);
	arch_exit(true);
}
