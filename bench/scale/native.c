/* SPDX-License-Identifier: MIT */
/*
 * The machine of threads: the same workloads on this machine's CPUs, to compare the simulated one with. Thread i is pinned
 * to the i-th CPU that the process may use. Time is CPU time of the thread.
 */
#define _GNU_SOURCE
#include "machine.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HUGE ((size_t)2 << 20)

struct cpu {
	_Alignas(128) struct counters counters[SECTIONS];
	enum section section;
	uint64_t entered;
	pthread_t thread;
	unsigned id;
};

struct machine_constant machine_constants[] = { { NULL, 0, NULL } };

static struct cpu cpus[MACHINE_CPUS];
static unsigned nr_cpus;
static pthread_barrier_t all_there;
static void (*job)(unsigned cpu, void *arg);
static void *job_arg;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return ((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec) * 1000;
}

/* To the n-th CPU that the process may use. */
static void pin(unsigned n)
{
	cpu_set_t may, one;
	unsigned nth = 0;

	sched_getaffinity(0, sizeof(may), &may);
	n %= (unsigned)CPU_COUNT(&may);
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may) && nth++ == n) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
}

void machine_start(unsigned n)
{
	nr_cpus = n;
	if (pthread_barrier_init(&all_there, NULL, n))
		die("scale: pthread_barrier_init");
	for (unsigned i = 0; i < n; i++)
		cpus[i].id = i;
}

bool machine_set(const char *constant, uint64_t value)
{
	(void)constant;
	(void)value;
	return false;
}

static void *body(void *arg)
{
	struct cpu *c = arg;

	pin(c->id);
	pthread_barrier_wait(&all_there);
	c->section = SECTION_NONE;
	c->entered = now();
	job(c->id, job_arg);
	machine_section(c->id, SECTION_NONE);
	return NULL;
}

void machine_run(void (*fn)(unsigned cpu, void *arg), void *arg)
{
	job = fn;
	job_arg = arg;
	for (unsigned i = 0; i < nr_cpus; i++)
		if (pthread_create(&cpus[i].thread, NULL, body, &cpus[i]))
			die("scale: pthread_create");
	for (unsigned i = 0; i < nr_cpus; i++)
		pthread_join(cpus[i].thread, NULL);
}

void machine_section(unsigned cpu, enum section s)
{
	struct cpu *c = &cpus[cpu];
	uint64_t t = now();

	c->counters[c->section].ps += t - c->entered;
	c->entered = t;
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
}

void machine_read(enum section s, struct counters *ret)
{
	*ret = (struct counters){ 0 };
	for (unsigned i = 0; i < nr_cpus; i++) {
		ret->ps += cpus[i].counters[s].ps;
		ret->calls += cpus[i].counters[s].calls;
	}
}

void *machine_memory(size_t bytes, bool own)
{
	size_t size = (bytes + HUGE - 1) / HUGE * HUGE;
	char *p = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		       0);

	(void)own;
	if (p == MAP_FAILED)
		die("scale: mmap");
	p += -(uintptr_t)p % HUGE;
	madvise(p, size, MADV_HUGEPAGE);
	return p;
}

void machine_watch_lines(bool on)
{
	if (on) {
		fprintf(stderr, "scale: threads have no --lines\n");
		exit(2);
	}
}

void machine_print_lines(void) {}
