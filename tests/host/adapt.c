/* SPDX-License-Identifier: MIT */
/*
 * The adapter to call_rcu, over a call_rcu that the test runs by hand, so that each grace period ends when
 * the test says so; then over one that a thread runs, with readers.
 */
#include <ramka/rcu.h>

#include "host_test.h"

/* ---- by hand ---- */

struct kernel {
	struct ramka_rcu_head *head; /* the callback that is in flight */
	void (*fn)(struct ramka_rcu_head *);
	unsigned calls;
	bool at_once;                /* a kernel that has nobody to wait for */
};

static void call(void *ctx, struct ramka_rcu_head *h, void (*fn)(struct ramka_rcu_head *))
{
	struct kernel *k = ctx;

	CHECK(!k->head); /* one at most */
	k->calls++;
	if (k->at_once) {
		fn(h);
		return;
	}
	memset(h, 0x5a, sizeof(*h)); /* the head is the kernel's */
	k->head = h;
	k->fn = fn;
}

/* The grace period ends. */
static void end(struct kernel *k)
{
	struct ramka_rcu_head *h = k->head;

	CHECK(h);
	k->head = NULL;
	k->fn(h);
}

static struct ramka_rcu_adapter a;
static struct ramka_rcu_ops ops;

static uint64_t snapshot(void)
{
	return ops.snapshot(ops.ctx);
}

static bool over(uint64_t cookie)
{
	return ops.elapsed(ops.ctx, cookie);
}

static void one(void)
{
	struct kernel k = { 0 };
	uint64_t c;

	ramka_rcu_adapt_call(&a, call, &k, &ops);
	CHECK(k.calls == 0);
	c = snapshot();
	CHECK(k.calls == 1 && !over(c) && !ops.wait_bounded(ops.ctx, c));
	end(&k);
	CHECK(over(c));
	CHECK(k.calls == 1 && !k.head); /* nobody waits, nothing is asked for */
}

/* A grace period that runs already is not good enough; the next one is, for all that came meanwhile. */
static void in_flight(void)
{
	struct kernel k = { 0 };
	uint64_t first, second, third;

	ramka_rcu_adapt_call(&a, call, &k, &ops);
	first = snapshot();
	second = snapshot();
	third = snapshot();
	CHECK(k.calls == 1);
	end(&k);
	CHECK(over(first) && !over(second) && !over(third));
	CHECK(k.calls == 2);
	end(&k);
	CHECK(over(second) && over(third));
	CHECK(k.calls == 2 && !k.head);
	/* and again, from the idle state that the second round left */
	first = snapshot();
	CHECK(!over(first) && k.calls == 3);
	end(&k);
	CHECK(over(first) && !k.head);
}

static void long_chain(void)
{
	struct kernel k = { 0 };
	uint64_t c[100];

	ramka_rcu_adapt_call(&a, call, &k, &ops);
	for (unsigned i = 0; i < 100; i++) {
		c[i] = snapshot();
		CHECK(k.calls == i + (i == 0));
		if (i)
			end(&k);
		for (unsigned j = 0; j <= i; j++)
			CHECK(over(c[j]) == (j < i));
	}
	end(&k);
	CHECK(over(c[99]) && !k.head && k.calls == 100);
}

static void at_once(void)
{
	struct kernel k = { .at_once = true };

	ramka_rcu_adapt_call(&a, call, &k, &ops);
	for (unsigned i = 1; i <= 3; i++) {
		CHECK(over(snapshot()));
		CHECK(k.calls == i);
	}
}

static void relax(void *ctx)
{
	struct kernel *k = ctx;

	if (k->head)
		end(k);
}

static void wait_relaxes(void)
{
	struct kernel k = { 0 };
	uint64_t c;

	ramka_rcu_adapt_call(&a, call, &k, &ops);
	a.relax = relax;
	snapshot();
	c = snapshot();
	ops.wait(ops.ctx, c);
	CHECK(over(c) && k.calls == 2);
	CHECK(ops.wait_bounded(ops.ctx, snapshot()));
}

/* ---- with threads: readers, updaters that poll, and a kernel whose callbacks come late ---- */

#define READERS 3
#define UPDATERS 2
#define OBJECTS 8u
#define GOOD 0x600d600du

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the kernel's one callback */
static struct kernel machine;
static atomic_uint sections[READERS]; /* odd: in a section */
static atomic_int stop, updating;

static void queue(void *ctx, struct ramka_rcu_head *h, void (*fn)(struct ramka_rcu_head *))
{
	pthread_mutex_lock(&lock);
	call(ctx, h, fn);
	pthread_mutex_unlock(&lock);
}

static void *kernel_thread(void *arg)
{
	unsigned n = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		struct kernel k;

		pthread_mutex_lock(&lock);
		k = machine;
		machine.head = NULL;
		pthread_mutex_unlock(&lock);
		if (!k.head) {
			sched_yield();
			continue;
		}
		for (unsigned i = 0; i < READERS; i++) {
			unsigned seen = atomic_fetch_add(&sections[i], 0);

			while (seen % 2 && atomic_load(&sections[i]) == seen)
				sched_yield();
		}
		if (++n % 16 == 0)
			pause_us(100);
		k.fn(k.head);
	}
	return NULL;
}

static unsigned objects[UPDATERS][OBJECTS];
static _Atomic(unsigned *) current[UPDATERS];

static void *reader(void *arg)
{
	atomic_uint *section = arg;

	for (unsigned n = 1; !atomic_load(&stop); n++) {
		atomic_fetch_add(section, 1);
		for (unsigned i = 0; i < UPDATERS; i++)
			CHECK(*atomic_load_explicit(&current[i], memory_order_acquire) == GOOD);
		atomic_fetch_add(section, 1);
		if (n % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void *updater(void *arg)
{
	unsigned me = (unsigned)(size_t)arg;

	for (unsigned n = 1; n < TIMES(500u); n++) {
		unsigned *old = atomic_load(&current[me]);
		uint64_t c;

		objects[me][n % OBJECTS] = GOOD;
		atomic_store_explicit(&current[me], &objects[me][n % OBJECTS], memory_order_release);
		c = snapshot();
		if (n % 3)
			ops.wait(ops.ctx, c);
		else
			while (!over(c))
				sched_yield();
		*old = 0xbadbad;
	}
	atomic_fetch_sub(&updating, 1);
	return NULL;
}

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void threads(void)
{
	pthread_t r[READERS], u[UPDATERS], k;

	ramka_rcu_adapt_call(&a, queue, &machine, &ops);
	a.relax = yield;
	for (unsigned i = 0; i < UPDATERS; i++) {
		for (unsigned j = 0; j < OBJECTS; j++)
			objects[i][j] = GOOD;
		atomic_store(&current[i], &objects[i][0]);
	}
	k = spawn(kernel_thread, NULL);
	for (unsigned i = 0; i < READERS; i++)
		r[i] = spawn(reader, &sections[i]);
	atomic_store(&updating, UPDATERS);
	for (unsigned i = 0; i < UPDATERS; i++)
		u[i] = spawn(updater, (void *)(size_t)i);
	for (unsigned i = 0; i < UPDATERS; i++)
		join(u[i]);
	CHECK(atomic_load(&updating) == 0);
	atomic_store(&stop, 1);
	for (unsigned i = 0; i < READERS; i++)
		join(r[i]);
	join(k);
}

int main(void)
{
	CASE(one());
	CASE(in_flight());
	CASE(long_chain());
	CASE(at_once());
	CASE(wait_relaxes());
	CASE(threads());
	return end_of_cases();
}
