/* SPDX-License-Identifier: MIT */
/*
 * Measures the constants of model.c on this machine: prints NAME and ps, separated by a tab. Each is the least of several
 * rounds, since whatever disturbs makes it longer. `access` is not here: scale.py has it from the hot pair.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define ROUNDS 7
#define LINE   64u

struct line {
	struct line *next;
	uint64_t written;
	char rest[LINE - 16];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e12 + (double)t.tv_nsec * 1e3;
}

static void *reserve(size_t bytes)
{
	size_t huge = (size_t)2 << 20, size = (bytes + huge - 1) / huge * huge;
	char *p = mmap(NULL, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("calibrate: mmap");
		exit(1);
	}
	p += -(uintptr_t)p % huge;
	madvise(p, size, MADV_HUGEPAGE);
	return p;
}

static uint64_t random_below(uint64_t n)
{
	static uint64_t s = 88172645463325252u;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s % n;
}

/* One ring through n lines in random order. */
static void chain(struct line *lines, uint64_t n)
{
	struct line **order = reserve(n * sizeof(*order));

	for (uint64_t i = 0; i < n; i++) {
		uint64_t k = random_below(i + 1);

		order[i] = order[k];
		order[k] = &lines[i];
	}
	for (uint64_t i = 0; i < n; i++)
		order[i]->next = order[(i + 1) % n];
	munmap(order, n * sizeof(*order));
}

static struct line *volatile kept; /* so that no loop is dropped */

static double chase(struct line *from, uint64_t steps)
{
	double t = now();

	for (uint64_t i = 0; i < steps; i++)
		from = from->next;
	t = now() - t;
	kept = from;
	return t / (double)steps;
}

/* The time of a load that depends on the one before, out of `bytes` of memory in random order. */
static double load(size_t bytes)
{
	uint64_t n = bytes / LINE, steps = n > 2000000 ? 2000000 : n;
	struct line *lines = reserve(bytes);
	double least = 1e18;

	chain(lines, n);
	chase(lines, n < steps ? n : steps);
	for (int r = 0; r < ROUNDS; r++) {
		double t = chase(lines, steps);

		least = t < least ? t : least;
	}
	munmap(lines, bytes);
	return least;
}

static double locked(void)
{
	static _Alignas(128) uint64_t word;
	double least = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		double t = now();

		for (int i = 0; i < 1000000; i++)
			__atomic_fetch_add(&word, 1, __ATOMIC_ACQ_REL);
		t = (now() - t) / 1e6;
		least = t < least ? t : least;
	}
	return least;
}

/* ---- a line that another CPU has written ---- */

#define MOVED 4096u /* lines: they fit into a second-level cache */

static struct line *moved;
static pthread_barrier_t turn;

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

static void *write_them(void *arg)
{
	(void)arg;
	pin(1);
	for (int r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < MOVED; i++)
			__atomic_store_n(&moved[i].written, i, __ATOMIC_RELEASE);
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
	}
	return NULL;
}

static double move(void)
{
	double least = 1e18;
	pthread_t writer;

	moved = reserve(MOVED * LINE);
	chain(moved, MOVED);
	pthread_barrier_init(&turn, NULL, 2);
	if (pthread_create(&writer, NULL, write_them, NULL)) {
		perror("calibrate: pthread_create");
		exit(1);
	}
	pin(0);
	for (int r = 0; r < ROUNDS; r++) {
		double t;

		pthread_barrier_wait(&turn);
		t = chase(moved, MOVED);
		least = t < least ? t : least;
		pthread_barrier_wait(&turn);
	}
	pthread_join(writer, NULL);
	return least;
}

int main(void)
{
	double near = load(16u << 10);
	cpu_set_t may;

	printf("locked\t%.0f\n", locked());
	printf("l2\t%.0f\n", load(1u << 20) - near);
	/* larger than the second cache, small enough for the TLB where there are no huge pages */
	printf("l3\t%.0f\n", load(5u << 20));
	printf("memory\t%.0f\n", load((size_t)1 << 30));
	sched_getaffinity(0, sizeof(may), &may);
	if (CPU_COUNT(&may) > 1)
		printf("move\t%.0f\n", move());
	return 0;
}
