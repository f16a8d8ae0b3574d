/* SPDX-License-Identifier: MIT */
/*
 * The machine that the workloads run on. There are two of them behind this header: machine.c simulates 1 to 256 CPUs
 * with coherent caches, native.c has threads. A workload is a sequence of calls of machine_run; each runs one function
 * on every CPU and returns when the last one has finished.
 *
 * A CPU is in one *section* at a time: its time and its accesses are counted there.
 */
#ifndef BENCH_SCALE_MACHINE_H
#define BENCH_SCALE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_CPUS 256u

enum section {
	SECTION_NONE,  /* preparation, waiting */
	SECTION_ALLOC, /* allocations */
	SECTION_FREE,  /* frees */
	SECTION_PAIR,  /* both, or what cannot be told apart */
	SECTIONS
};

/* What happened in one section, on all CPUs together. */
struct counters {
	uint64_t ps;       /* of CPU time */
	uint64_t calls;    /* as the workload counts them: allocations, frees or pairs */
	/* zero on a machine of threads: */
	uint64_t accesses; /* loads and stores, of lines of 64 bytes */
	uint64_t locked;   /* atomic read-modify-writes and full barriers */
	uint64_t moves;    /* lines of the allocator that came from another CPU, or that another CPU's copy was taken of */
	uint64_t own;      /* the same of the workload's own lines */
	uint64_t waited;   /* ps of waiting for moves */
	uint64_t barriers; /* barriers of all CPUs */
};

/* A constant of the machine. Times in ps. */
struct machine_constant {
	const char *name;
	uint64_t value;
	const char *what;
};

extern struct machine_constant machine_constants[]; /* ends with NULL */

/* Before anything else: so many CPUs. */
void machine_start(unsigned cpus);
bool machine_set(const char *constant, uint64_t value);

/* Runs fn(cpu, arg) on every CPU. Their clocks start level. */
void machine_run(void (*fn)(unsigned cpu, void *arg), void *arg);
/* Inside: what follows is counted in `s`. At its beginning each run is in SECTION_NONE. */
void machine_section(unsigned cpu, enum section s);
void machine_count(unsigned cpu, enum section s, uint64_t calls);

void machine_reset(void); /* all counters */
void machine_read(enum section s, struct counters *ret);

/*
 * Memory for what is simulated, zeroed, aligned to 2 MiB, at the same address in each process. `own`: of the workload,
 * not of the allocator. It is never given back.
 */
void *machine_memory(size_t bytes, bool own);
/* The same, in small pieces. */
void *machine_piece(size_t bytes, size_t align);

/* From now on remembers which lines move; prints them as rows for scale.py. */
void machine_watch_lines(bool on);
void machine_print_lines(void);

#endif
