/* SPDX-License-Identifier: MIT */
/*
 * What the files of the simulator share: cpus.c decides whose turn it is, model.c what an access costs, hooks.c receives
 * the accesses from the compiler, lines.c remembers what moved. Nothing in these files is itself instrumented.
 */
#ifndef BENCH_SCALE_MODEL_H
#define BENCH_SCALE_MODEL_H

#include "machine.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum kind { LOAD, STORE, LOCKED, PREFETCH, PREFETCH_STORE };

/* Does it leave the line with one owner? */
static inline bool takes(enum kind k)
{
	return k != LOAD && k != PREFETCH;
}

#define LINE 64u
#define NO_CPU UINT16_MAX
#define L1_SETS 64u   /* 32 KiB */
#define L2_SETS 4096u /* 2 MiB */
#define WAYS 8u
#define MISSES 16u      /* loads under way at once */

/* A cache line: where its copies are. All zeroes: in memory only. */
struct line {
	uint16_t owner;        /* who has the only copy, plus one; 0: nobody */
	bool shared;           /* at least two CPUs have used it */
	uint8_t touched;       /* words of 8 bytes that the owner used since it has the line */
	uint32_t taker;        /* code address of the access that brought it to its owner */
	uint64_t free_at;      /* when the move under way lets the next one begin */
	uint64_t readers[MACHINE_CPUS / 64]; /* who has a copy */
	uint64_t spare[2];
};
_Static_assert(sizeof(struct line) == LINE, "as large as what it describes");

/* A miss under way. */
struct miss {
	struct line *line;
	uint64_t ready; /* when it arrives */
	uint64_t work;  /* the CPU's work when it was issued */
	bool waits;     /* an instruction needs it; else it was only asked for in advance */
};

struct cpu {
	uint64_t now;  /* its clock */
	uint64_t work; /* the part of it that was not waiting */
	uint64_t entered; /* when it came into its section */
	uint64_t stores_done; /* when the last store in its buffer is */
	struct miss misses[MISSES]; /* a ring */
	unsigned first_miss, nr_misses, nr_prefetches;
	unsigned id;
	enum section section;
	struct line *(*l1)[WAYS], *(*l2)[WAYS]; /* what the caches hold; a set's lines, the last used about first */
	struct counters counters[SECTIONS];
	/* cpus.c */
	void *sp;
	char *stack;
	bool done;
};

extern struct cpu cpus[MACHINE_CPUS];
extern unsigned nr_cpus;
extern struct cpu *current; /* NULL: no CPU runs, accesses are not simulated */
extern uint64_t turn_ends;  /* the clock of the CPU whose turn is next, and a little */
extern bool clocks_moved;   /* of other CPUs than the current one */

/* cpus.c: lets the CPU run that is furthest behind. */
void cpu_yield(void);

/* model.c */
void model_start(void);
void model_access(const volatile void *p, size_t bytes, enum kind kind, uint32_t pc);
void model_fence(void);
void model_barrier_all(void);
void model_pause(void);

/* lines.c */
struct move {
	const struct line *line;
	uint64_t address;
	uint64_t wait;
	uint32_t pc, taken_at; /* code: who wants it now, who had it */
	uint16_t from, to;
	bool false_sharing; /* the other CPU used other words of it */
};
extern bool lines_watched;
void lines_note(const struct move *m);
void lines_note_locked(uint32_t pc);
void lines_reset(void);

/* memory.c: address ranges whose lines are simulated; accesses elsewhere hit. */
struct window {
	uint64_t base, size;
	struct line *lines;
	bool own; /* the workload's, not the allocator's */
};
#define WINDOWS 3u /* the allocator's, the workload's, the program's own data */
extern struct window windows[WINDOWS];

/* The window of an address; NULL: none. */
static inline struct window *memory_window(uint64_t address)
{
	for (unsigned i = 0; i < WINDOWS; i++)
		if (address - windows[i].base < windows[i].size)
			return &windows[i];
	return NULL;
}

#endif
