/* SPDX-License-Identifier: MIT */
/*
 * ramka_qsbr by itself: what each announcement does to a grace period, then readers and an updater at full
 * speed.
 */
#include <ramka/rcu.h>

#include "host_test.h"

#define CPUS 4u

static struct ramka_qsbr q;
static struct ramka_qsbr_cpu cpus[CPUS];
static struct ramka_rcu_ops ops;

static uint64_t snapshot(void)
{
	return ops.snapshot(ops.ctx);
}

static bool over(uint64_t cookie)
{
	return ops.elapsed(ops.ctx, cookie);
}

static void start(void)
{
	memset(&q, 0xa5, sizeof(q));
	memset(cpus, 0xa5, sizeof(cpus));
	ramka_qsbr_init(&q, cpus, CPUS, &ops);
}

static void all_offline(void)
{
	uint64_t a, b;

	start();
	a = snapshot();
	b = snapshot();
	CHECK(over(a) && over(b) && b > a);
	ops.wait(ops.ctx, b);
	CHECK(ops.wait_bounded(ops.ctx, b));
}

/* A CPU that comes online shows an old value for a moment: what was over stays over. */
static void stays_over(void)
{
	uint64_t a, b;

	start();
	a = snapshot();
	b = snapshot();
	CHECK(over(b));
	ramka_store(&cpus[3].seen, 1, release, qsbr.quiesce);
	CHECK(over(a) && over(b) && !over(snapshot()));
	ramka_qsbr_offline(&q, 3);
}

static void one_online(void)
{
	uint64_t a, b;

	start();
	ramka_qsbr_online(&q, 2);
	a = snapshot();
	CHECK(!over(a) && !ops.wait_bounded(ops.ctx, a));
	ramka_qsbr_quiescent(&q, 2);
	CHECK(over(a));
	b = snapshot();
	CHECK(over(a) && !over(b));
	ramka_qsbr_offline(&q, 2);
	CHECK(over(b));
	/* online after the snapshot: not waited for */
	a = snapshot();
	ramka_qsbr_online(&q, 0);
	CHECK(over(a));
	CHECK(!over(snapshot()));
}

static void each_counts(void)
{
	start();
	for (unsigned i = 0; i < CPUS; i++)
		ramka_qsbr_online(&q, i);
	for (unsigned last = 0; last < CPUS; last++) {
		uint64_t a = snapshot();

		for (unsigned i = 0; i < CPUS; i++)
			if (i != last)
				ramka_qsbr_quiescent(&q, i);
		CHECK(!over(a));
		ramka_qsbr_quiescent(&q, last);
		CHECK(over(a));
	}
}

static void relax(void *ctx)
{
	if (++*(unsigned *)ctx == 5)
		ramka_qsbr_quiescent(&q, 1);
}

static void wait_relaxes(void)
{
	unsigned calls = 0;

	start();
	q.relax = relax;
	q.relax_ctx = &calls;
	ramka_qsbr_online(&q, 1);
	ops.wait(ops.ctx, snapshot());
	CHECK(calls == 5);
	CHECK(!ops.wait_bounded(ops.ctx, snapshot()));
	CHECK(calls > 5);
}

/*
 * Readers look at the current object, which is not atomic; the updater replaces it, waits and overwrites
 * the old one. A grace period that is too short shows as a wrong value, or as a race under ThreadSanitizer.
 */
#define OBJECTS 8u
#define GOOD 0x600d600du

static unsigned objects[OBJECTS];
static _Atomic(unsigned *) current;
static atomic_int stop;
static atomic_uint reads[CPUS];

/* Has each reader read so often? */
static bool all_read(unsigned times)
{
	for (unsigned i = 1; i < CPUS; i++)
		if (atomic_load(&reads[i]) < times)
			return false;
	return true;
}

static void *reader(void *arg)
{
	unsigned cpu = (unsigned)(size_t)arg, n = 0;

	ramka_qsbr_online(&q, cpu);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned *o = atomic_load_explicit(&current, memory_order_acquire);

		CHECK(*o == GOOD);
		atomic_store_explicit(&reads[cpu], n, memory_order_relaxed);
		if (++n % 64 == 0) {
			ramka_qsbr_offline(&q, cpu);
			sched_yield();
			ramka_qsbr_online(&q, cpu);
		} else if (n % 4 == 0) {
			ramka_qsbr_quiescent(&q, cpu);
		}
	}
	ramka_qsbr_offline(&q, cpu);
	return NULL;
}

static void yield(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static void torture(void)
{
	pthread_t t[CPUS];

	start();
	q.relax = yield;
	for (unsigned i = 0; i < OBJECTS; i++)
		objects[i] = GOOD;
	atomic_store(&current, &objects[0]);
	for (unsigned i = 1; i < CPUS; i++)
		t[i] = spawn(reader, (void *)(size_t)i);
	for (unsigned n = 1; n < TIMES(20000u) || !all_read(TIMES(20000u)); n++) {
		unsigned *old = atomic_load(&current);
		uint64_t cookie;

		objects[n % OBJECTS] = GOOD;
		atomic_store_explicit(&current, &objects[n % OBJECTS], memory_order_release);
		cookie = snapshot();
		ops.wait(ops.ctx, cookie);
		*old = 0xbadbad;
	}
	atomic_store(&stop, 1);
	for (unsigned i = 1; i < CPUS; i++)
		join(t[i]);
}

int main(void)
{
	CASE(all_offline());
	CASE(stays_over());
	CASE(one_online());
	CASE(each_counts());
	CASE(wait_relaxes());
	CASE(torture());
	return end_of_cases();
}
