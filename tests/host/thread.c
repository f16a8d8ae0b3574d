/* SPDX-License-Identifier: MIT */
/*
 * Threads that stand in for CPUs: leases, more threads than CPUs, threads that come and go, several hosts
 * at once, threads that outlive their host.
 *
 *	thread [SHORT_THREADS]    for each source of grace periods
 */
#include <unistd.h>

#include "../../lib/host/internal.h"
#include "host_test.h"

static struct ramka_host *create(unsigned nr_cpus, const char *rcu)
{
	struct ramka_host_options opt = { .memory = 32 << 20, .nr_cpus = nr_cpus, .rcu = rcu };
	struct ramka_host *h = NULL;
	int error = ramka_host_create(&opt, &h);

	CHECK(error == 0 || error == RAMKA_E_UNSUPPORTED);
	return h;
}

static bool is_none(struct ramka_host *h, const struct ramka_cpu *cpu)
{
	return cpu == ramka_cpu_none(ramka_host_ramka(h));
}

static struct ramka_frame *alloc(struct ramka_host *h)
{
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_frame *f;

	while (!(f = ramka_frame_alloc(ramka_host_cpu(h), &ramka_type_untyped, NULL, req)))
		ramka_reclaim(ramka_host_cpu(h), true); /* all is deferred */
	return f;
}

static uint64_t in_use(struct ramka_host *h)
{
	struct ramka_stats s;

	ramka_stats_read(ramka_host_ramka(h), &s);
	return s.in_use + s.deferred;
}

static unsigned registered(const struct ramka_host *h)
{
	unsigned n = 0;

	for (const struct host_thread *t = h->threads; t; t = t->host_next)
		n++;
	return n;
}

/* ---- leases ---- */

struct holder {
	pthread_t thread;
	struct ramka_host *h;
	struct ramka_cpu *cpu;
	atomic_int have, stop, again; /* again: asks once more and says so by 2 */
};

static void *hold(void *arg)
{
	struct holder *a = arg;

	a->cpu = ramka_host_cpu(a->h);
	CHECK(ramka_host_cpu(a->h) == a->cpu || is_none(a->h, a->cpu));
	atomic_store(&a->have, 1);
	while (!atomic_load(&a->stop)) {
		if (atomic_load(&a->again) == 1) {
			a->cpu = ramka_host_cpu(a->h);
			atomic_store(&a->again, 2);
		}
		sched_yield();
	}
	return NULL;
}

static void begin(struct holder *a, struct ramka_host *h)
{
	memset(a, 0, sizeof(*a));
	a->h = h;
	a->thread = spawn(hold, a);
	await(&a->have, 1);
}

static void end(struct holder *a)
{
	atomic_store(&a->stop, 1);
	join(a->thread);
}

static atomic_uint told, told_cpus;

static void no_cpu(void *ctx, unsigned nr_cpus)
{
	CHECK(ctx == &told);
	atomic_fetch_add(&told, 1);
	atomic_store(&told_cpus, nr_cpus);
}

static struct ramka_host_stats stats(struct ramka_host *h)
{
	struct ramka_host_stats s;

	ramka_host_stats_read(h, &s);
	return s;
}

static void more_threads_than_cpus(void)
{
	struct ramka_host_options opt = { .memory = 32 << 20, .nr_cpus = 2, .no_cpu = no_cpu, .ctx = &told };
	struct holder a, b, c;
	struct ramka_host *h;

	CHECK(ramka_host_create(&opt, &h) == 0);
	begin(&a, h);
	begin(&b, h);
	begin(&c, h);
	CHECK(!is_none(h, a.cpu) && !is_none(h, b.cpu) && a.cpu != b.cpu);
	CHECK(a.cpu == ramka_cpu_at(ramka_host_ramka(h), 0) && b.cpu == ramka_cpu_at(ramka_host_ramka(h), 1));
	CHECK(is_none(h, c.cpu));
	CHECK(atomic_load(&told) == 1 && atomic_load(&told_cpus) == 2);
	CHECK(is_none(h, ramka_host_cpu(h)));
	CHECK(atomic_load(&told) == 1); /* once */
	CHECK(stats(h).nr_cpus == 2 && stats(h).leased == 2 && stats(h).threads == 4);
	CHECK(stats(h).refused == 3); /* c asked twice */
	end(&a);
	/* who went without gets what was given back */
	atomic_store(&c.again, 1);
	await(&c.again, 2);
	CHECK(c.cpu == a.cpu);
	CHECK(is_none(h, ramka_host_cpu(h)));
	end(&b);
	end(&c);
	CHECK(!is_none(h, ramka_host_cpu(h)));
	CHECK(stats(h).leased == 1 && stats(h).threads == 1);
	ramka_host_destroy(h);
}

/* Without a wish there are several CPUs for each that is online, since threads block. */
static void threads_have_cpus_by_default(void)
{
	struct holder a[16];
	struct ramka_host *h;

	CHECK(ramka_host_create(NULL, &h) == 0);
	for (unsigned i = 0; i < 16; i++)
		begin(&a[i], h);
	for (unsigned i = 0; i < 16; i++)
		CHECK(!is_none(h, a[i].cpu));
	CHECK(stats(h).leased == 16 && stats(h).refused == 0);
	for (unsigned i = 0; i < 16; i++)
		end(&a[i]);
	ramka_host_destroy(h);
}

/* ---- one handle in two threads ---- */

static unsigned reports;
static uint64_t reported_cpu, reported_caller;

static void report(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	CHECK(bug->argument && strcmp(bug->argument, "cpu") == 0);
	reported_cpu = bug->value;
	reported_caller = bug->expected;
	reports++;
}

static struct ramka_frame *alloc_on(struct ramka_cpu *cpu)
{
	return ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });
}

static void one_handle_in_two_threads(void)
{
	struct ramka_host_options opt = { .memory = 4 << 20, .nr_cpus = 3, .panic = report, .checks = RAMKA_HOST_CHECK_THREADS };
	struct ramka_frame *f;
	struct ramka_host *h;
	struct holder a;

	reports = 0;
	CHECK(ramka_host_create(&opt, &h) == 0);
	begin(&a, h);
	CHECK(a.cpu == ramka_cpu_at(ramka_host_ramka(h), 0));
	CHECK(ramka_host_owner(h, 0) > 0 && ramka_host_owner(h, 1) == 0);
	/* this thread has none yet, and uses the other's */
	CHECK(!alloc_on(a.cpu) && reports == 1 && reported_cpu == 0 && reported_caller == 3);
	f = alloc_on(ramka_host_cpu(h));
	CHECK(f && reports == 1);
	CHECK(ramka_host_owner(h, 1) == (long)getpid()); /* the first thread's */
	CHECK(!alloc_on(a.cpu) && reports == 2 && reported_cpu == 0 && reported_caller == 1);
	ramka_frame_put(a.cpu, f);
	CHECK(reports == 3);
	CHECK(ramka_frame_refcount(f) == 1); /* nothing happened */
	ramka_frame_put(ramka_host_cpu(h), f);
	/* what is nobody's may be anybody's, and the handle without a cache */
	ramka_frame_put(ramka_cpu_at(ramka_host_ramka(h), 2), alloc_on(ramka_cpu_none(ramka_host_ramka(h))));
	end(&a);
	ramka_frame_put(a.cpu, alloc_on(a.cpu));
	ramka_host_destroy(h);
	CHECK(reports == 3);
	opt.checks = 4; /* no check that there is */
	CHECK(ramka_host_create(&opt, &h) == RAMKA_E_INVAL);
}

/* ---- threads that come and go ---- */

static struct ramka_host *shared_host;

static void *short_thread(void *arg)
{
	struct ramka_host *h = shared_host;
	struct ramka_cpu *cpu = ramka_host_cpu(h);
	struct ramka_frame *f[4];

	for (unsigned i = 0; i < 4; i++)
		CHECK((f[i] = alloc(h)) != NULL);
	ramka_host_rcu_read_lock(h);
	CHECK(ramka_frame_order(f[0]) == 0);
	ramka_host_rcu_read_unlock(h);
	for (unsigned i = 0; i < 3; i++)
		ramka_frame_put(cpu, f[i]);
	CHECK(ramka_frame_put_rcu(cpu, f[3]) >= 0);
	return arg;
}

static void churn(const char *rcu, unsigned threads)
{
	enum { AT_ONCE = 4 };
	struct ramka_host *h = create(3, rcu);
	struct ramka_stats s;
	pthread_t t[AT_ONCE];

	if (!h)
		return;
	shared_host = h;
	for (unsigned i = 0; i < threads; i += AT_ONCE) {
		for (unsigned j = 0; j < AT_ONCE; j++)
			t[j] = spawn(short_thread, NULL);
		for (unsigned j = 0; j < AT_ONCE; j++)
			join(t[j]);
	}
	CHECK(registered(h) == 0);
	/* nothing lies in the caches of CPUs that nobody uses, and all CPUs can be had */
	ramka_reclaim(ramka_cpu_none(ramka_host_ramka(h)), true);
	ramka_stats_read(ramka_host_ramka(h), &s);
	CHECK(s.free == s.total && s.in_use == 0 && s.deferred == 0 && s.cached == 0);
	CHECK(h->cpus.words[0].value == 0);
	CHECK(ramka_host_cpu(h) == ramka_cpu_at(ramka_host_ramka(h), 0));
	CHECK(registered(h) == 1);
	ramka_host_destroy(h);
}

/* ---- several hosts ---- */

static void *on_three(void *arg)
{
	struct ramka_host **h = arg;

	for (unsigned round = 0; round < 100; round++)
		for (unsigned i = 0; i < 3; i++) {
			struct ramka_cpu *cpu = ramka_host_cpu(h[i]);
			struct ramka_frame *f = alloc(h[i]);

			CHECK(ramka_of(cpu) == ramka_host_ramka(h[i]));
			CHECK(f);
			/* sections of several hosts overlap */
			ramka_host_rcu_read_lock(h[i]);
			ramka_host_rcu_read_lock(h[(i + 1) % 3]);
			ramka_host_rcu_read_unlock(h[i]);
			ramka_host_rcu_read_unlock(h[(i + 1) % 3]);
			ramka_frame_put(cpu, f);
		}
	return NULL;
}

static void several_hosts(const char *rcu)
{
	struct ramka_host *h[3];
	pthread_t t[3];

	for (unsigned i = 0; i < 3; i++) {
		h[i] = create(4, rcu);
		if (!h[i])
			return;
	}
	for (unsigned i = 0; i < 3; i++)
		t[i] = spawn(on_three, h);
	for (unsigned i = 0; i < 3; i++)
		join(t[i]);
	on_three(h);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(in_use(h[i]) == 0 && registered(h[i]) == 1);
		/* nobody's section is left over */
		h[i]->rcu.wait(h[i]->rcu.ctx, h[i]->rcu.snapshot(h[i]->rcu.ctx));
		ramka_host_destroy(h[i]);
	}
}

/* ---- a thread that outlives its host ---- */

struct survivor {
	const char *rcu;
	struct ramka_host *first, *second;
	atomic_int step;
};

static void *survive(void *arg)
{
	struct survivor *s = arg;

	CHECK(ramka_of(ramka_host_cpu(s->first)) == ramka_host_ramka(s->first));
	ramka_host_rcu_read_lock(s->first);
	ramka_host_rcu_read_unlock(s->first);
	atomic_store(&s->step, 1);
	await(&s->step, 2); /* the first host is gone; the second may lie where it lay */
	if (s->second) {
		CHECK(ramka_of(ramka_host_cpu(s->second)) == ramka_host_ramka(s->second));
		ramka_host_rcu_read_lock(s->second);
		ramka_host_rcu_read_unlock(s->second);
		ramka_frame_put(ramka_host_cpu(s->second), alloc(s->second));
	}
	return NULL;
}

static void thread_outlives_host(const char *rcu, bool another)
{
	struct survivor s = { .first = create(2, rcu) };
	pthread_t t;

	if (!s.first)
		return;
	t = spawn(survive, &s);
	await(&s.step, 1);
	ramka_host_destroy(s.first);
	if (another)
		s.second = create(2, rcu);
	atomic_store(&s.step, 2);
	join(t);
	if (another)
		CHECK(registered(s.second) == 0);
	ramka_host_destroy(s.second);
}

/* ---- hosts that come and go under threads that defer: each frame is dropped once, none is lost ---- */

enum { DEFERRERS = 4, DEFERRED = 150 };

static atomic_uint dropped[DEFERRERS];

static void count_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)paddr, (void)content;
	atomic_fetch_add(&dropped[*(unsigned *)meta], 1);
}

static RAMKA_DEFINE_TYPE(counted, unsigned, .id = RAMKA_TYPE_ID_USER, .flags = 0, .on_drop = count_drop);

static void *defers(void *arg)
{
	unsigned me = (unsigned)(size_t)arg;
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };

	for (unsigned i = 0; i < DEFERRED; i++) {
		struct ramka_frame *f = ramka_frame_alloc(ramka_host_cpu(shared_host), &counted, &me, req);

		CHECK(f);
		CHECK(ramka_frame_put_rcu(ramka_host_cpu(shared_host), f) >= 0);
		if (i % 40 == me)
			ramka_reclaim(ramka_host_cpu(shared_host), i % 80 == me);
	}
	return NULL;
}

static void nothing_is_lost(const char *rcu)
{
	for (unsigned cycle = 0; cycle < TIMES(100u); cycle++) {
		pthread_t t[DEFERRERS];

		shared_host = create(3, rcu); /* one thread shares the cache-less handle */
		if (!shared_host)
			return;
		CHECK(ramka_type_register(ramka_host_ramka(shared_host), &counted) == 0);
		for (unsigned i = 0; i < DEFERRERS; i++) {
			atomic_store(&dropped[i], 0);
			t[i] = spawn(defers, (void *)(size_t)i);
		}
		for (unsigned i = 0; i < 3; i++)
			ramka_reclaim(ramka_cpu_none(ramka_host_ramka(shared_host)), true);
		for (unsigned i = 0; i < DEFERRERS; i++)
			join(t[i]);
		ramka_host_destroy(shared_host);
		for (unsigned i = 0; i < DEFERRERS; i++)
			CHECK(atomic_load(&dropped[i]) == DEFERRED);
	}
}

/* ---- a destructor of the program's own that uses the host after this thread has been taken off ---- */

#define LATE_ROUNDS 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */

static pthread_key_t key;
static atomic_int late;

static void late_use(void *frame)
{
	/* no CPU that another thread may have by now */
	CHECK(is_none(shared_host, ramka_host_cpu(shared_host)));
	ramka_host_rcu_read_lock(shared_host);
	CHECK(registered(shared_host) == 1);
	ramka_host_rcu_read_unlock(shared_host);
	CHECK(registered(shared_host) == 0);
	ramka_frame_put(ramka_host_cpu(shared_host), frame);
	/* in the last round libc calls the layer's own destructor no more */
	if (atomic_fetch_add(&late, 1) % LATE_ROUNDS != LATE_ROUNDS - 1)
		CHECK(pthread_setspecific(key, alloc(shared_host)) == 0);
}

static void *dies_late(void *arg)
{
	CHECK(pthread_setspecific(key, alloc(shared_host)) == 0);
	return arg;
}

static void destructor_uses_host(const char *rcu)
{
	struct ramka_host *h = create(1, rcu);

	if (!h)
		return;
	atomic_store(&late, 0);
	shared_host = h;
	CHECK(pthread_key_create(&key, late_use) == 0);
	for (unsigned i = 0; i < 10; i++)
		join(spawn(dies_late, NULL));
	CHECK(atomic_load(&late) == 10 * LATE_ROUNDS);
	h->rcu.wait(h->rcu.ctx, h->rcu.snapshot(h->rcu.ctx));
	CHECK(registered(h) == 0 && in_use(h) == 0);
	CHECK(!is_none(h, ramka_host_cpu(h)));
	CHECK(pthread_key_delete(key) == 0);
	ramka_host_destroy(h);
}

int main(int argc, char **argv)
{
	static const char *const sources[] = { "memb", "qsbr", "mb", "ck", "ramka" };
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : TIMES(2000u);

	CASE(more_threads_than_cpus());
	CASE(threads_have_cpus_by_default());
	CASE(one_handle_in_two_threads());
	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		CASE(churn(sources[i], threads));
		CASE(several_hosts(sources[i]));
		CASE(thread_outlives_host(sources[i], true));
		CASE(thread_outlives_host(sources[i], false));
		CASE(nothing_is_lost(sources[i]));
		CASE(destructor_uses_host(sources[i]));
	}
	if (argc < 2)
		CASE(churn("ramka", TIMES(100000u))); /* more than it has places for readers */
	return end_of_cases();
}
