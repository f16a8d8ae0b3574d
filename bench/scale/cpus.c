/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is. Each CPU is a coroutine with a clock of its own; of those that have not finished, the one that is
 * furthest behind runs until it has passed the next one by SLACK and touches a line that others use.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK (256u << 10)
#define SLACK 2000u

struct cpu cpus[MACHINE_CPUS];
unsigned nr_cpus;
struct cpu *current;
uint64_t turn_ends;
bool clocks_moved;

static void (*job)(unsigned cpu, void *arg);
static void *job_arg;

/* ---- coroutines ---- */

static void enter(void)
{
	struct cpu *c = current;

	job(c->id, job_arg);
	machine_section(c->id, SECTION_NONE);
	c->done = true;
	cpu_yield();
	abort();
}

#ifdef __x86_64__
/* Saves the callee's registers on the stack, stores the stack pointer in *save and goes on with stack `to`. */
void scale_switch(void **save, void *to);
__asm__(".text\n.globl scale_switch\nscale_switch:\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void *main_sp;

static void prepare(struct cpu *c)
{
	void **sp = (void **)(void *)(c->stack + STACK);

	*--sp = NULL;
	*--sp = (void *)(uintptr_t)enter;
	for (int i = 0; i < 6; i++)
		*--sp = NULL;
	c->sp = sp;
}

static void resume(struct cpu *c)
{
	scale_switch(&main_sp, c->sp);
}

void cpu_yield(void)
{
	scale_switch(&current->sp, main_sp);
}
#else
# include <ucontext.h>

static ucontext_t main_context, contexts[MACHINE_CPUS];

static void prepare(struct cpu *c)
{
	ucontext_t *u = &contexts[c->id];

	getcontext(u);
	u->uc_stack.ss_sp = c->stack;
	u->uc_stack.ss_size = STACK;
	makecontext(u, enter, 0);
}

static void resume(struct cpu *c)
{
	swapcontext(&main_context, &contexts[c->id]);
}

void cpu_yield(void)
{
	swapcontext(&contexts[current->id], &main_context);
}
#endif

/* ---- turns: a heap of CPUs by clock, and by number where clocks agree ---- */

static struct cpu *heap[MACHINE_CPUS];
static unsigned in_heap;

static bool before(const struct cpu *a, const struct cpu *b)
{
	return a->now != b->now ? a->now < b->now : a->id < b->id;
}

/* Moves the CPU at `at` down to where it belongs. */
static void sink(unsigned at)
{
	for (;;) {
		unsigned least = at, child = 2 * at + 1;
		struct cpu *c;

		for (unsigned i = child; i < child + 2 && i < in_heap; i++)
			if (before(heap[i], heap[least]))
				least = i;
		if (least == at)
			return;
		c = heap[at];
		heap[at] = heap[least];
		heap[least] = c;
		at = least;
	}
}

/* The clock of the CPU that comes after the first. */
static uint64_t second(void)
{
	uint64_t a = in_heap > 1 ? heap[1]->now : UINT64_MAX / 2, b = in_heap > 2 ? heap[2]->now : UINT64_MAX / 2;

	return a < b ? a : b;
}

static void run_all(void)
{
	while (in_heap) {
		struct cpu *c = heap[0];

		current = c;
		turn_ends = second() + SLACK;
		resume(c);
		current = NULL;
		if (c->done)
			heap[0] = heap[--in_heap];
		if (clocks_moved)
			for (unsigned i = in_heap; i-- > 0;)
				sink(i);
		else
			sink(0);
		clocks_moved = false;
	}
}

/* ---- the machine ---- */

void machine_start(unsigned n)
{
	nr_cpus = n;
	for (unsigned i = 0; i < n; i++) {
		cpus[i].id = i;
		cpus[i].stack = machine_memory(STACK, true);
	}
	model_start();
}

void machine_run(void (*fn)(unsigned cpu, void *arg), void *arg)
{
	uint64_t latest = 0;

	for (unsigned i = 0; i < nr_cpus; i++)
		latest = cpus[i].now > latest ? cpus[i].now : latest;
	job = fn;
	job_arg = arg;
	for (unsigned i = 0; i < nr_cpus; i++) {
		struct cpu *c = &cpus[i];

		c->now = c->entered = latest;
		c->section = SECTION_NONE;
		c->done = false;
		prepare(c);
		heap[i] = c;
	}
	in_heap = nr_cpus;
	run_all();
}

void machine_section(unsigned cpu, enum section s)
{
	struct cpu *c = &cpus[cpu];

	c->counters[c->section].ps += c->now - c->entered;
	c->entered = c->now;
	c->section = s;
}

void machine_count(unsigned cpu, enum section s, uint64_t calls)
{
	cpus[cpu].counters[s].calls += calls;
}

void machine_reset(void)
{
	for (unsigned i = 0; i < nr_cpus; i++)
		memset(cpus[i].counters, 0, sizeof(cpus[i].counters));
	lines_reset();
}

void machine_read(enum section s, struct counters *ret)
{
	*ret = (struct counters){ 0 };
	for (unsigned i = 0; i < nr_cpus; i++) {
		const struct counters *n = &cpus[i].counters[s];

		ret->ps += n->ps;
		ret->calls += n->calls;
		ret->accesses += n->accesses;
		ret->locked += n->locked;
		ret->moves += n->moves;
		ret->own += n->own;
		ret->waited += n->waited;
		ret->barriers += n->barriers;
	}
}
