/* SPDX-License-Identifier: MIT */
/*
 * What happens at a point. The hook runs in the middle of the library's operations, also in signal handlers, so it
 * touches nothing but its own thread-local state and a few atomics, and never the library, but for the nested
 * operation, which is what an interrupt there would do.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "points_control.h"

#ifdef STRESS_POINTS

# define DELAY_ONE_IN 64u
# define CHOSEN_ONE_IN 4u
# define SPIN_MAX_NS  50000u

extern struct point __start_ramka_points[], __stop_ramka_points[];

unsigned points_mode;
static unsigned delay_one_in = DELAY_ONE_IN;

static _Thread_local struct {
	uint64_t random;
	void (*nest)(void *arg);
	void *arg;
	unsigned nest_one_in;
	struct point *park_at;
	unsigned park_in;
} here __attribute__((tls_model("initial-exec")));

static _Atomic uint32_t parked; /* 0 nobody, 1 stopped */

static uint64_t next_random(void)
{
	uint64_t x = here.random; /* xorshift64, Marsaglia 2003 */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	here.random = x;
	return x * 0x2545f4914f6cdd1d >> 32;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void delay(void)
{
	uint64_t x = next_random(), until;

	if (x & 1) {
		sched_yield();
		return;
	}
	until = clock_ns() + 1000 + x % (SPIN_MAX_NS - 1000) / (1 + (x >> 20) % 32); /* mostly short ones */
	while (clock_ns() < until)
		;
}

static void park(void)
{
	struct timespec ms = { .tv_nsec = 200000 };

	here.park_at = NULL;
	atomic_store(&parked, 1);
	while (atomic_load(&parked))
		nanosleep(&ms, NULL);
}

__attribute__((noinline)) void points_hit(struct point *p)
{
	unsigned mode = __atomic_load_n(&points_mode, __ATOMIC_RELAXED);

	if (!here.random)
		return; /* the main thread: set-up and audits */
	if (mode & POINTS_COUNT)
		__atomic_fetch_add(&p->hits, 1, __ATOMIC_RELAXED);
	if (mode & POINTS_PARK && p == here.park_at && !--here.park_in)
		park();
	if (mode & POINTS_DELAY && !p->off && next_random() % delay_one_in == 0)
		delay();
	if (mode & POINTS_NEST && here.nest && next_random() % here.nest_one_in == 0)
		here.nest(here.arg); /* may come here again */
}

unsigned points_nr(void)
{
	return (unsigned)(__stop_ramka_points - __start_ramka_points);
}

struct point *points_at(unsigned i)
{
	return &__start_ramka_points[i];
}

void point_name(const struct point *p, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "%s:%d %s", strrchr(p->file, '/') + 1, p->line, p->pair);
}

unsigned points_choose(const char *text)
{
	char name[120];
	unsigned n = 0;

	for (unsigned i = 0; i < points_nr(); i++) {
		struct point *p = points_at(i);

		point_name(p, name, sizeof(name));
		p->off = !strstr(name, text);
		n += !p->off;
	}
	delay_one_in = CHOSEN_ONE_IN;
	return n;
}

void points_set(unsigned mode)
{
	__atomic_store_n(&points_mode, mode, __ATOMIC_RELAXED);
}

void points_thread(uint64_t seed, void (*nest)(void *arg), void *arg, unsigned nest_one_in)
{
	here.nest = nest;
	here.arg = arg;
	here.nest_one_in = nest_one_in;
	here.park_at = NULL;
	here.random = seed ? seed : 1;
}

void points_park_me(struct point *p, unsigned nth)
{
	here.park_in = nth;
	here.park_at = p;
}

bool points_parked(void)
{
	return atomic_load(&parked);
}

void points_unpark(void)
{
	atomic_store(&parked, 0);
}

#else

unsigned points_nr(void)
{
	return 0;
}

struct point *points_at(unsigned i)
{
	(void)i;
	return NULL;
}

void point_name(const struct point *p, char *ret_name, size_t size)
{
	(void)p, (void)size;
	*ret_name = '\0';
}

unsigned points_choose(const char *text)
{
	(void)text;
	return 0;
}

void points_set(unsigned mode)
{
	(void)mode;
}

void points_thread(uint64_t seed, void (*nest)(void *arg), void *arg, unsigned nest_one_in)
{
	(void)seed, (void)nest, (void)arg, (void)nest_one_in;
}

void points_park_me(struct point *p, unsigned nth)
{
	(void)p, (void)nth;
}

bool points_parked(void)
{
	return false;
}

void points_unpark(void)
{
}

#endif
