/* SPDX-License-Identifier: MIT */
/*
 * Each source of grace periods that is built in: readers are waited for, sections nest, a reader that
 * stalls ends no bounded wait, a reader that blocks outside its sections stalls nobody; then readers and
 * updaters at full speed.
 *
 *	gp [SOURCE..]    all sources without arguments
 */
#include <signal.h>

#include "../../lib/host/internal.h"
#include "host_test.h"

static struct ramka_host *h;

static uint64_t snapshot(void)
{
	return h->rcu.snapshot(h->rcu.ctx);
}

static bool over(uint64_t cookie)
{
	return h->rcu.elapsed(h->rcu.ctx, cookie);
}

static bool bounded(uint64_t cookie)
{
	return h->rcu.wait_bounded(h->rcu.ctx, cookie);
}

static void hurry(void)
{
	if (h->rcu.expedite)
		h->rcu.expedite(h->rcu.ctx);
}

/* Gives a grace period that must not end every chance to. */
static void must_not_end(uint64_t cookie)
{
	for (unsigned i = 0; i < 100; i++) {
		hurry();
		CHECK(!over(cookie));
		pause_us(20);
	}
}

static void must_end(uint64_t cookie)
{
	while (!over(cookie))
		sched_yield();
	CHECK(over(cookie) && bounded(cookie));
	h->rcu.wait(h->rcu.ctx, cookie);
}

/* ---- a reader that does what it is told ---- */

struct guided {
	pthread_t thread;
	atomic_int depth, wanted; /* of its sections; -1: ends */
};

static void *guided(void *arg)
{
	struct guided *g = arg;
	int depth = 0, wanted;

	while ((wanted = atomic_load(&g->wanted)) >= 0 || depth) {
		if (depth < wanted)
			ramka_host_rcu_read_lock(h), depth++;
		else if (depth > wanted && depth)
			ramka_host_rcu_read_unlock(h), depth--;
		atomic_store(&g->depth, depth);
		sched_yield();
	}
	return NULL;
}

static void guide(struct guided *g, int depth)
{
	atomic_store(&g->wanted, depth);
	await(&g->depth, depth);
}

static void begin(struct guided *g)
{
	atomic_init(&g->depth, 0);
	atomic_init(&g->wanted, 0);
	g->thread = spawn(guided, g);
}

static void end(struct guided *g)
{
	atomic_store(&g->wanted, -1);
	join(g->thread);
}

static void nobody_reads(void)
{
	uint64_t first = snapshot(), second = snapshot();

	CHECK(second >= first);
	must_end(first);
	must_end(second);
	for (unsigned i = 0; i < TIMES(200u); i++)
		must_end(snapshot());
	for (unsigned i = 0; i < TIMES(200u); i++)
		h->rcu.wait(h->rcu.ctx, snapshot());
}

static void reader_is_waited_for(void)
{
	struct guided g;
	uint64_t cookie;

	begin(&g);
	for (unsigned i = 0; i < 3; i++) {
		guide(&g, 1);
		cookie = snapshot();
		must_not_end(cookie);
		CHECK(!bounded(cookie));
		guide(&g, 0);
		must_end(cookie);
	}
	end(&g);
}

static void sections_nest(void)
{
	struct guided g;
	uint64_t cookie;

	begin(&g);
	guide(&g, 3);
	cookie = snapshot();
	guide(&g, 1);
	must_not_end(cookie);
	guide(&g, 2); /* and in again, without having been out */
	must_not_end(cookie);
	guide(&g, 0);
	must_end(cookie);
	end(&g);
}

static void each_reader_counts(void)
{
	struct guided g[3];

	for (unsigned i = 0; i < 3; i++)
		begin(&g[i]);
	for (unsigned last = 0; last < 3; last++) {
		uint64_t cookie;

		for (unsigned i = 0; i < 3; i++)
			guide(&g[i], 1);
		cookie = snapshot();
		for (unsigned i = 0; i < 3; i++)
			if (i != last)
				guide(&g[i], 0);
		must_not_end(cookie);
		guide(&g[last], 0);
		must_end(cookie);
	}
	for (unsigned i = 0; i < 3; i++)
		end(&g[i]);
}

/* A reader that came while an earlier grace period was on its way is waited for by the later one. */
static void later_snapshot(void)
{
	struct guided a, b;
	uint64_t first, second;

	begin(&a);
	begin(&b);
	for (unsigned i = 0; i < 3; i++) {
		guide(&a, 1);
		first = snapshot();
		must_not_end(first);
		guide(&b, 1);
		second = snapshot();
		must_not_end(first);
		must_not_end(second);
		guide(&a, 0);
		over(first); /* it may be or not: perhaps it begins only now */
		must_not_end(second);
		guide(&b, 0);
		must_end(first);
		must_end(second);
	}
	end(&a);
	end(&b);
}

/* Registered, outside a section, asleep: the test's own thread while others read. */
static atomic_int asleep, wake;

static void *sleeper(void *arg)
{
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
	atomic_store(&asleep, 1);
	await(&wake, 1);
	return arg;
}

/* A thread that is asleep until `wake`. */
static pthread_t spawn_asleep(void *(*fn)(void *))
{
	pthread_t t;

	atomic_store(&asleep, 0);
	atomic_store(&wake, 0);
	t = spawn(fn, NULL);
	await(&asleep, 1);
	return t;
}

static void blocked_thread_stalls_nobody(void)
{
	pthread_t t = spawn_asleep(sleeper);

	for (unsigned i = 0; i < 20; i++)
		must_end(snapshot());
	atomic_store(&wake, 1);
	join(t);
}

/* Its section ends with it. */
static void *ends_inside(void *arg)
{
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_lock(h);
	return arg;
}

/* The same while a grace period sleeps that waits for it. */
static void *ends_inside_later(void *arg)
{
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_lock(h);
	atomic_store(&asleep, 1);
	await(&wake, 1);
	return arg;
}

static void thread_that_ends_stalls_nobody(void)
{
	for (unsigned i = 0; i < 5; i++) {
		uint64_t cookie = snapshot();

		join(spawn(ends_inside, NULL));
		must_end(cookie);
		must_end(snapshot());
	}
	for (unsigned i = 0; i < 3; i++) {
		pthread_t t = spawn_asleep(ends_inside_later);
		uint64_t cookie = snapshot();

		usleep(50000); /* the helper of liburcu's sources polls for a while, and then sleeps */
		atomic_store(&wake, 1);
		join(t);
		must_end(cookie);
	}
}

/* An unlock too many is reported, and the sections that come later protect. */
static unsigned reports;

static void report(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	CHECK(strcmp(bug->operation, "ramka_host_rcu_read_unlock") == 0 && bug->what);
	reports++;
}

static void *unlocks_too_often(void *arg)
{
	ramka_host_rcu_read_unlock(h); /* never in a section */
	CHECK(reports == 1);
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
	ramka_host_rcu_read_unlock(h);
	CHECK(reports == 2);
	ramka_host_rcu_read_lock(h);
	must_not_end(snapshot());
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
	must_not_end(snapshot());
	ramka_host_rcu_read_unlock(h);
	ramka_host_rcu_read_unlock(h);
	CHECK(reports == 3);
	must_end(snapshot());
	return arg;
}

static void unlock_too_many(void)
{
	reports = 0;
	join(spawn(unlocks_too_often, NULL));
	reports = 0;
	unlocks_too_often(NULL); /* this thread has read before */
}

/* Waiting is no point of cancellation: the thread comes back with its frames freed, and ends only then. */
static atomic_int waiting, returned;

static void *waits(void *arg)
{
	struct ramka_cpu *cpu = ramka_host_cpu(h);
	struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ 0 });

	CHECK(f && ramka_frame_put_rcu(cpu, f) >= 0);
	atomic_store(&waiting, 1);
	ramka_reclaim(cpu, true);
	atomic_store(&returned, 1);
	for (;;)
		pause_us(100); /* here it may end */
	return arg;
}

static void cancelled(void)
{
	struct ramka_stats s;
	struct guided g;
	pthread_t t;

	atomic_store(&waiting, 0);
	atomic_store(&returned, 0);
	begin(&g);
	guide(&g, 1);
	t = spawn(waits, NULL);
	await(&waiting, 1);
	for (unsigned i = 0; i < 20; i++)
		pause_us(200); /* it is in its wait by now, or comes there cancelled */
	CHECK(pthread_cancel(t) == 0);
	for (unsigned i = 0; i < 20; i++)
		pause_us(200);
	guide(&g, 0);
	join(t);
	CHECK(atomic_load(&returned) == 1);
	ramka_stats_read(ramka_host_ramka(h), &s);
	CHECK(s.deferred == 0 && s.in_use == 0);
	end(&g);
}

/* There is always a reader, but none stays: grace periods must end. */
static atomic_int relay_stop, turn;

static void *relay(void *arg)
{
	int me = (int)(size_t)arg;

	while (!atomic_load(&relay_stop)) {
		ramka_host_rcu_read_lock(h);
		atomic_store(&turn, me);
		while (atomic_load(&turn) == me && !atomic_load(&relay_stop)) /* until the other is inside */
			sched_yield();
		ramka_host_rcu_read_unlock(h);
	}
	return NULL;
}

static void readers_without_a_gap(void)
{
	pthread_t a, b;

	atomic_store(&relay_stop, 0);
	a = spawn(relay, (void *)1);
	b = spawn(relay, (void *)2);
	for (unsigned i = 0; i < 20; i++)
		h->rcu.wait(h->rcu.ctx, snapshot());
	for (unsigned i = 0; i < 20; i++)
		must_end(snapshot());
	atomic_store(&relay_stop, 1);
	join(a);
	join(b);
}

/* snapshot, elapsed and expedite from a handler, on top of themselves. */
static atomic_uint handled;

static void handler(int sig)
{
	uint64_t cookie = snapshot();

	(void)sig;
	over(cookie);
	hurry();
	atomic_fetch_add(&handled, 1);
}

static void *disturber(void *arg)
{
	pthread_t victim = *(pthread_t *)arg;

	for (unsigned i = 0; i < 200; i++) {
		unsigned seen = atomic_load(&handled);

		pthread_kill(victim, SIGUSR1);
		while (atomic_load(&handled) == seen)
			sched_yield();
	}
	return NULL;
}

static void from_a_handler(void)
{
	struct sigaction act = { .sa_handler = handler }, old;
	pthread_t self = pthread_self(), t;

	atomic_store(&handled, 0);
	CHECK(sigaction(SIGUSR1, &act, &old) == 0);
	t = spawn(disturber, &self);
	while (atomic_load(&handled) < 200) {
		uint64_t cookie = snapshot();

		over(cookie);
		hurry();
	}
	join(t);
	must_end(snapshot());
	CHECK(sigaction(SIGUSR1, &old, NULL) == 0);
}

/*
 * Readers look at objects that are not atomic; updaters replace one, wait in one of three ways and
 * overwrite what it was. A grace period that is too short shows as a wrong value, or as a race under
 * ThreadSanitizer.
 */
#define READERS 3u
#define UPDATERS 2u
#define OBJECTS 4u
#define GOOD 0x600d600du

static unsigned objects[UPDATERS][OBJECTS];
static _Atomic(unsigned *) current[UPDATERS];
static atomic_int stop;
static atomic_uint reads[READERS];

static void *reader(void *arg)
{
	unsigned me = (unsigned)(size_t)arg;

	for (unsigned n = 1; !atomic_load_explicit(&stop, memory_order_relaxed); n++) {
		ramka_host_rcu_read_lock(h);
		for (unsigned i = 0; i < UPDATERS; i++) {
			ramka_host_rcu_read_lock(h);
			CHECK(*atomic_load_explicit(&current[i], memory_order_acquire) == GOOD);
			ramka_host_rcu_read_unlock(h);
			CHECK(*atomic_load_explicit(&current[i], memory_order_acquire) == GOOD);
		}
		if (n % 16 == 0)
			sched_yield();
		ramka_host_rcu_read_unlock(h);
		atomic_store_explicit(&reads[me], n, memory_order_relaxed);
	}
	return NULL;
}

static bool all_read(unsigned times)
{
	for (unsigned i = 0; i < READERS; i++)
		if (atomic_load(&reads[i]) < times)
			return false;
	return true;
}

static void *updater(void *arg)
{
	unsigned me = (unsigned)(size_t)arg;

	for (unsigned n = 1; n < TIMES(300u) || !all_read(TIMES(5000u)); n++) {
		unsigned *old = atomic_load(&current[me]);
		uint64_t cookie;

		objects[me][n % OBJECTS] = GOOD;
		atomic_store_explicit(&current[me], &objects[me][n % OBJECTS], memory_order_release);
		cookie = snapshot();
		if (n % 3 == 0)
			h->rcu.wait(h->rcu.ctx, cookie);
		else if (n % 3 == 1)
			while (!bounded(cookie))
				;
		else
			while (!over(cookie))
				sched_yield();
		*old = 0xbadbad;
	}
	return NULL;
}

static void full_speed(void)
{
	pthread_t r[READERS], u[UPDATERS];

	atomic_store(&stop, 0);
	for (unsigned i = 0; i < UPDATERS; i++) {
		for (unsigned j = 0; j < OBJECTS; j++)
			objects[i][j] = GOOD;
		atomic_store(&current[i], &objects[i][0]);
	}
	for (unsigned i = 0; i < READERS; i++) {
		atomic_store(&reads[i], 0);
		r[i] = spawn(reader, (void *)(size_t)i);
	}
	for (unsigned i = 0; i < UPDATERS; i++)
		u[i] = spawn(updater, (void *)(size_t)i);
	for (unsigned i = 0; i < UPDATERS; i++)
		join(u[i]);
	atomic_store(&stop, 1);
	for (unsigned i = 0; i < READERS; i++)
		join(r[i]);
}

static void run(const char *source)
{
	struct ramka_host_options opt = { .memory = 4 << 20, .nr_cpus = 2, .rcu = source, .panic = report };
	int error = ramka_host_create(&opt, &h);

	if (error == RAMKA_E_UNSUPPORTED) {
		skip_reason = "not built in";
		return;
	}
	CHECK(error == 0);
	nobody_reads();
	reader_is_waited_for();
	sections_nest();
	each_reader_counts();
	later_snapshot();
	blocked_thread_stalls_nobody();
	thread_that_ends_stalls_nobody();
	unlock_too_many();
	cancelled();
	readers_without_a_gap();
	from_a_handler();
	full_speed();
	ramka_host_destroy(h);
}

int main(int argc, char **argv)
{
	static const char *const all[] = { "memb", "qsbr", "mb", "ck", "ramka" };

	for (int i = 1; i < argc; i++)
		CASE(run(argv[i]));
	for (unsigned i = 0; argc < 2 && i < sizeof(all) / sizeof(*all); i++)
		CASE(run(all[i]));
	return end_of_cases();
}
