/* SPDX-License-Identifier: MIT */
/*
 * What the litmus programs of this folder share. A program is a protocol of docs/design.md in plain C11: atomics
 * of 64 bits, two to four threads of a few operations each, plain data whose races count as errors. It runs
 *
 *   under GenMC        genmc --rc11 --unroll=8 -- -DSCENARIO=1 -DBUG_X file.c     (or --imm): all executions
 *   under our checker  -DLITMUS_CHECKER, linked with tests/checker
 *   natively           -DLITMUS_NATIVE: again and again for LITMUS_MS milliseconds, with ordinary threads
 *
 * A file has one or more scenarios, chosen by -DSCENARIO=n, and broken variants, -DBUG_NAME, of which each must
 * fail; what passes although it looks weaker is an -DOK_NAME. The program for our checker has all variants of its scenario.
 * The environment chooses: LITMUS_VARIANT=BUG_NAME; LITMUS_C11 for the release sequences of C11, which are stronger than
 * those of C++20; LITMUS_NO_RACES for plain data that is relaxed instead. Its opening comment lists what tests/litmus/run
 * runs, a line each: `litmus: SCENARIO [NAME [race]]`. The word `race` says that a data race is all that goes wrong: a memory
 * model without data races, such as IMM, finds nothing there.
 *
 *   load(p, order) store(p, v, order) cas(p, &expected, v, order, failure) add sub or and xchg(p, v, order)
 *   plain x; get(x) set(x, v)    a plain variable, read and written
 *   weak(BUG, order)          the order, or relaxed in the broken variant
 *   instead(BUG, x, y)        x in the broken variant, else y
 *   check(condition)          an error when it is false
 *   claim(f), disown(f)       the ownership oracle: one owner at a time
 *   LITMUS2(name, setup, t0, t1, finish), LITMUS3, LITMUS4     setup and finish run alone
 */
#ifndef LITMUS_H
#define LITMUS_H

#include <stdbool.h>
#include <stdint.h>

#ifndef SCENARIO
#define SCENARIO 1
#endif

#ifndef LITMUS_CHECKER
/* is -DBUG given? The way of the Linux kernel's IS_ENABLED */
#define LITMUS_ARG_1 0,
#define LITMUS_SECOND(ignored, v, ...) v
#define LITMUS_GIVEN3(arg) LITMUS_SECOND(arg 1, 0, 0)
#define LITMUS_GIVEN2(v) LITMUS_GIVEN3(LITMUS_ARG_##v)
#define variant(bug) LITMUS_GIVEN2(bug)
#endif
#define instead(bug, x, y) (variant(bug) ? (x) : (y))
#define weak(bug, order) instead(bug, relaxed, order)

#define relaxed __ATOMIC_RELAXED
#define acquire __ATOMIC_ACQUIRE
#define release __ATOMIC_RELEASE
#define acq_rel __ATOMIC_ACQ_REL

#ifdef LITMUS_CHECKER

#include <stdlib.h>
#include <string.h>
#include "backend.h"
#include "checker.h"

/*
 * Asked again and again in a run, always with the same answer. The engine must not see it: a place that reads the
 * choice is no step of the program.
 */
#define LITMUS_UNSEEN __attribute__((noinline, no_sanitize_thread, unused)) static
static const char *litmus_variant = "";
static bool litmus_no_races;

LITMUS_UNSEEN bool variant_is(const char *name)
{
	return !strcmp(litmus_variant, name);
}

LITMUS_UNSEEN bool races(void)
{
	return !litmus_no_races;
}

LITMUS_UNSEEN struct ck_site *ordered(struct ck_site *s, unsigned char order, unsigned char failure)
{
	if (!s->ready) {
		s->order = order;
		s->fail = failure;
	}
	return s;
}

#define variant(bug) variant_is(#bug)
#define LITMUS_SITE(op, order, failure) __extension__ ({ CK_SITE(op, 0, 0, "litmus"); ordered(&ck_site_here, order, failure); })
#define LITMUS_RMW(op, p, v, order) ck_rmw(LITMUS_SITE(op, order, 0), &(p)->value, sizeof(uint64_t), v)

typedef struct { uint64_t value; } atom;
typedef atom plain;
#define get(x) (races() ? (x).value : load(&(x), relaxed))
#define set(x, v) do { uint64_t v_ = (v); if (races()) (x).value = v_; else store(&(x), v_, relaxed); } while (0)
#define load(p, order) ck_load(LITMUS_SITE(CK_LOAD, order, 0), &(p)->value, sizeof(uint64_t))
#define store(p, v, order) ck_store(LITMUS_SITE(CK_STORE, order, 0), &(p)->value, sizeof(uint64_t), v)
#define cas(p, e, v, order, failure) ck_cas(LITMUS_SITE(CK_CAS, order, failure), &(p)->value, sizeof(uint64_t), e, v)
#define add(p, v, order) LITMUS_RMW(CK_ADD, p, v, order)
#define sub(p, v, order) LITMUS_RMW(CK_SUB, p, v, order)
#define or(p, v, order) LITMUS_RMW(CK_OR, p, v, order)
#define and(p, v, order) LITMUS_RMW(CK_AND, p, v, order)
#define xchg(p, v, order) LITMUS_RMW(CK_XCHG, p, v, order)
#define full_fence() ck_fence(__ATOMIC_SEQ_CST)
#define check(condition) ck_assert(condition, "%s", #condition)

#define LITMUS(the_name, the_setup, the_finish, ...) \
	static struct ck_client litmus_client = { .name = #the_name, .what = "litmus", .setup = the_setup, .thread = { __VA_ARGS__ }, \
						  .check = the_finish, .model = true }; \
	static const struct ck_client *const litmus_registered __attribute__((used, section("ck_clients"))) = &litmus_client; \
	__attribute__((constructor)) LITMUS_UNSEEN void litmus_choose(void) \
	{ \
		litmus_variant = getenv("LITMUS_VARIANT") ? getenv("LITMUS_VARIANT") : ""; \
		litmus_no_races = getenv("LITMUS_NO_RACES") != NULL; \
		litmus_client.c11 = getenv("LITMUS_C11") != NULL; \
	}
#define LITMUS2(name, setup, a, b, finish) LITMUS(name, setup, finish, a, b)
#define LITMUS3(name, setup, a, b, c, finish) LITMUS(name, setup, finish, a, b, c)
#define LITMUS4(name, setup, a, b, c, d, finish) LITMUS(name, setup, finish, a, b, c, d)

#else /* C11 and pthread */

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

typedef _Atomic uint64_t atom;
/* the compiler folds the choice that weak() makes */
#define load(p, order) atomic_load_explicit(p, order)
#define store(p, v, order) atomic_store_explicit(p, v, order)
#ifdef LITMUS_NATIVE
#define cas(p, e, v, order, failure) atomic_compare_exchange_strong_explicit(p, e, v, order, failure)
#else
/*
 * GenMC (0.10, 0.11) gives a CAS that fails the order of one that succeeds. So where failure has less, the CAS has that
 * and a fence follows success.
 */
#define LITMUS_ACQUIRES(o) ((o) == acquire || (o) == acq_rel)
#define LITMUS_LESS(o) ((o) == acq_rel ? release : (o) == acquire ? relaxed : (o))
#define cas(p, e, v, order, failure) (LITMUS_ACQUIRES(order) && !LITMUS_ACQUIRES(failure) ? \
	atomic_compare_exchange_strong_explicit(p, e, v, LITMUS_LESS(order), failure) && \
		(atomic_thread_fence(memory_order_acquire), true) : \
	!LITMUS_ACQUIRES(order) && LITMUS_ACQUIRES(failure) ? \
	atomic_compare_exchange_strong_explicit(p, e, v, order, relaxed) || \
		(atomic_thread_fence(memory_order_acquire), false) : \
	atomic_compare_exchange_strong_explicit(p, e, v, order, failure))
#endif
#define add(p, v, order) atomic_fetch_add_explicit(p, v, order)
#define sub(p, v, order) atomic_fetch_sub_explicit(p, v, order)
#define or(p, v, order) atomic_fetch_or_explicit(p, v, order)
#define and(p, v, order) atomic_fetch_and_explicit(p, v, order)
#define xchg(p, v, order) atomic_exchange_explicit(p, v, order)
#define full_fence() atomic_thread_fence(memory_order_seq_cst)
#define check(condition) assert(condition)

#define LITMUS_THREAD(i, fn) static void *litmus_thread##i(void *ctx) { (void)ctx; LITMUS_BODY(fn); return NULL; }
#define LITMUS_START(i) check(!pthread_create(&id[i], NULL, litmus_thread##i, NULL))
#define LITMUS_JOIN(i) check(!pthread_join(id[i], NULL))

#ifdef LITMUS_NATIVE

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef LITMUS_MS
#define LITMUS_MS 1000
#endif

/*
 * The threads meet before and after each round; setup and finish run in between. The number of rounds is what
 * the time allows, the verdict is not: a failed check aborts.
 */
static pthread_barrier_t litmus_barrier;
static bool litmus_stop; /* written between the barriers */

static void litmus_delay(unsigned n)
{
	for (volatile unsigned i = 0; i < n; i++)
		;
}

#define LITMUS_BODY(fn) do { unsigned seed = (unsigned)(uintptr_t)&fn; \
	for (;;) { \
		pthread_barrier_wait(&litmus_barrier); \
		if (litmus_stop) \
			break; \
		seed = seed * 1103515245u + 12345u; \
		litmus_delay(seed >> 24); \
		fn(); \
		pthread_barrier_wait(&litmus_barrier); \
	} } while (0)

static inline int64_t litmus_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#define LITMUS_MAIN(name, n, setup, finish, starts, joins) \
	int main(void) \
	{ \
		pthread_t id[n]; \
		int64_t end = litmus_now() + LITMUS_MS; \
		unsigned long rounds = 0; \
		pthread_barrier_init(&litmus_barrier, NULL, n + 1); \
		starts; \
		for (; litmus_now() < end || !rounds; rounds++) { \
			setup(); \
			pthread_barrier_wait(&litmus_barrier); \
			pthread_barrier_wait(&litmus_barrier); \
			finish(); \
		} \
		litmus_stop = true; \
		pthread_barrier_wait(&litmus_barrier); \
		joins; \
		printf("%lu rounds\n", rounds); \
		return 0; \
	}

#else /* GenMC */

#define LITMUS_BODY(fn) fn()
#define LITMUS_MAIN(name, n, setup, finish, starts, joins) \
	int main(void) \
	{ \
		pthread_t id[n]; \
		setup(); \
		starts; \
		joins; \
		finish(); \
		return 0; \
	}

#endif

#define LITMUS2(name, setup, a, b, finish) \
	LITMUS_THREAD(0, a) LITMUS_THREAD(1, b) \
	LITMUS_MAIN(name, 2, setup, finish, (LITMUS_START(0), LITMUS_START(1)), (LITMUS_JOIN(0), LITMUS_JOIN(1)))
#define LITMUS3(name, setup, a, b, c, finish) \
	LITMUS_THREAD(0, a) LITMUS_THREAD(1, b) LITMUS_THREAD(2, c) \
	LITMUS_MAIN(name, 3, setup, finish, (LITMUS_START(0), LITMUS_START(1), LITMUS_START(2)), \
		    (LITMUS_JOIN(0), LITMUS_JOIN(1), LITMUS_JOIN(2)))
#define LITMUS4(name, setup, a, b, c, d, finish) \
	LITMUS_THREAD(0, a) LITMUS_THREAD(1, b) LITMUS_THREAD(2, c) LITMUS_THREAD(3, d) \
	LITMUS_MAIN(name, 4, setup, finish, (LITMUS_START(0), LITMUS_START(1), LITMUS_START(2), LITMUS_START(3)), \
		    (LITMUS_JOIN(0), LITMUS_JOIN(1), LITMUS_JOIN(2), LITMUS_JOIN(3)))

#endif

#ifndef LITMUS_CHECKER
typedef uint64_t plain;
#define get(x) (x)
#define set(x, v) ((x) = (v))
#endif

/* Ownership oracle. Relaxed: it must not order what it watches. */
#define LITMUS_FRAMES 4
static atom litmus_owner[LITMUS_FRAMES];

static inline void owners_reset(void)
{
	for (unsigned f = 0; f < LITMUS_FRAMES; f++)
		store(&litmus_owner[f], 0, relaxed);
}

static inline void claim(uint64_t f)
{
	check(xchg(&litmus_owner[f], 1, relaxed) == 0);
}

static inline void disown(uint64_t f)
{
	check(xchg(&litmus_owner[f], 0, relaxed) == 1);
}

static inline bool owned(uint64_t f)
{
	return load(&litmus_owner[f], relaxed) != 0;
}

#endif
