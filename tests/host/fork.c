/* SPDX-License-Identifier: MIT */
/*
 * fork: what a child may do with the hosts of its parent, for each source of grace periods. It allocates and frees, gets
 * back what it defers and what its parent had deferred, waits for the section that it was forked in and for no other,
 * has threads, forks again, and ends the host.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/host/internal.h"
#include "host_test.h"

#define FRAMES 1024u /* of 4 MiB */

static struct ramka_host *h;
static unsigned nr_frames = FRAMES;

static struct ramka *r(void)
{
	return ramka_host_ramka(h);
}

static struct ramka_frame *alloc(unsigned flags)
{
	struct ramka_request req = { .flags = (uint16_t)(RAMKA_ALLOC_UNINIT | flags) };

	return ramka_frame_alloc(ramka_host_cpu(h), &ramka_type_untyped, NULL, req);
}

static void defer(struct ramka_frame *f)
{
	CHECK(ramka_frame_put_rcu(ramka_host_cpu(h), f) >= 0);
}

static uint64_t deferred(void)
{
	struct ramka_stats s;

	ramka_stats_read(r(), &s);
	return s.deferred;
}

static uint64_t in_use(void)
{
	struct ramka_stats s;

	ramka_stats_read(r(), &s);
	return s.in_use;
}

/* False: that source is not built in. */
static bool begin(const char *rcu, unsigned nr_cpus)
{
	struct ramka_host_options opt = { .memory = (uint64_t)nr_frames * 4096, .nr_cpus = nr_cpus, .rcu = rcu };
	int error = ramka_host_create(&opt, &h);

	CHECK(error == 0 || error == RAMKA_E_UNSUPPORTED);
	if (error)
		skip_reason = "not built in";
	return !error;
}

/* Runs it in a child, which must end by itself. */
static void child(void (*what)(void))
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		alarm(60); /* it hangs */
		what();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		fprintf(stderr, "the child died of signal %d\n", WTERMSIG(status));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- no memory is lost: all of it is deferred several times ---- */

static void defers_all(void)
{
	for (unsigned i = 0; i < 5 * FRAMES; i++) {
		struct ramka_frame *f = alloc(RAMKA_ALLOC_WAIT);

		CHECK(f);
		defer(f);
	}
	ramka_reclaim(ramka_host_cpu(h), true);
	CHECK(deferred() == 0 && in_use() == 0);
}

static void defers_all_and_forks(void)
{
	defers_all();
	child(defers_all);
	ramka_host_destroy(h);
}

static void gets_back_what_it_defers(const char *rcu)
{
	if (!begin(rcu, 2))
		return;
	for (unsigned i = 0; i < 200; i++)
		defer(alloc(RAMKA_ALLOC_WAIT)); /* the child has these as well */
	child(defers_all_and_forks);
	defers_all(); /* the parent's source is what it was */
	ramka_host_destroy(h);
}

/* ---- sections: of the thread that forks, and of those that do not exist in the child ---- */

static atomic_int inside, leave_section;

static void *reads(void *arg)
{
	ramka_host_cpu(h);
	ramka_host_rcu_read_lock(h);
	atomic_store(&inside, 1);
	await(&leave_section, 1);
	ramka_host_rcu_read_unlock(h);
	return arg;
}

static void waits_for_nobody(void)
{
	defer(alloc(0));
	ramka_reclaim(ramka_host_cpu(h), true);
	CHECK(deferred() == 0);
}

static void waits_for_nobody_and_ends(void)
{
	waits_for_nobody();
	ramka_host_destroy(h);
}

static void ends_at_once(void)
{
	ramka_host_destroy(h);
}

static void readers_of_the_parent(const char *rcu)
{
	pthread_t t;

	if (!begin(rcu, 3))
		return;
	atomic_store(&inside, 0);
	atomic_store(&leave_section, 0);
	t = spawn(reads, NULL);
	await(&inside, 1);
	defer(alloc(0));
	child(waits_for_nobody_and_ends);
	child(ends_at_once);
	CHECK(deferred() == 1); /* in the parent it is waited for */
	atomic_store(&leave_section, 1);
	join(t);
	ramka_host_destroy(h);
}

static void *reads_shortly(void *arg)
{
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
	return arg;
}

/* Forked within two sections: what was deferred before and what is deferred now wait until both are over. */
static void goes_on_reading(void)
{
	uint64_t before = deferred();

	defer(alloc(0));
	for (unsigned i = 0; i < 10; i++) {
		ramka_reclaim(ramka_host_cpu(h), false);
		CHECK(deferred() == before + 1);
		join(spawn(reads_shortly, NULL));
	}
	ramka_host_rcu_read_unlock(h);
	ramka_reclaim(ramka_host_cpu(h), false);
	CHECK(deferred() == before + 1);
	ramka_host_rcu_read_unlock(h);
	ramka_reclaim(ramka_host_cpu(h), true);
	CHECK(deferred() == 0);
	ramka_host_destroy(h);
}

static void section_of_the_thread_that_forks(const char *rcu)
{
	if (!begin(rcu, 3))
		return;
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_lock(h);
	for (unsigned i = 0; i < 70; i++)
		defer(alloc(0)); /* a bag has its cookie, the rest has none */
	child(goes_on_reading);
	ramka_host_rcu_read_unlock(h);
	ramka_host_rcu_read_unlock(h);
	ramka_host_destroy(h);
}

/* ---- while threads of the parent are anywhere: in calls, registering, ending ---- */

static atomic_int stop;

static void *works(void *arg)
{
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		struct ramka_frame *f = alloc(0);

		ramka_host_rcu_read_lock(h);
		ramka_host_rcu_read_unlock(h);
		if (f)
			defer(f);
		if (i % 100 == 99)
			ramka_reclaim(ramka_host_cpu(h), true);
	}
	return arg;
}

static void *starts_workers(void *arg)
{
	while (!atomic_load(&stop))
		join(spawn(reads_shortly, NULL));
	return arg;
}

static void *one_more(void *arg)
{
	struct ramka_frame *f = alloc(RAMKA_ALLOC_WAIT);

	CHECK(f);
	ramka_frame_put(ramka_host_cpu(h), f);
	return arg;
}

static void has_threads(void)
{
	for (unsigned i = 0; i < 100; i++) {
		struct ramka_frame *f = alloc(RAMKA_ALLOC_WAIT);

		CHECK(f);
		ramka_frame_put(ramka_host_cpu(h), f);
	}
	for (unsigned i = 0; i < 4; i++)
		join(spawn(one_more, NULL));
	defer(alloc(RAMKA_ALLOC_WAIT));
	ramka_reclaim(ramka_host_cpu(h), true);
}

static void parent_is_busy(const char *rcu)
{
	pthread_t t[3];
	bool there;

#ifdef SLOW_BUILD
	skip_reason = "the sanitizer's own locks do not survive a fork of several threads";
	return;
#endif
	nr_frames = 16 * FRAMES; /* what the threads that are not there have with them is a small part of that */
	there = begin(rcu, 8);
	nr_frames = FRAMES;
	if (!there)
		return;
	atomic_store(&stop, 0);
	for (unsigned i = 0; i < 3; i++)
		t[i] = spawn(i < 2 ? works : starts_workers, NULL);
	for (unsigned i = 0; i < TIMES(100u); i++)
		child(has_threads);
	atomic_store(&stop, 1);
	for (unsigned i = 0; i < 3; i++)
		join(t[i]);
	ramka_host_destroy(h);
}

/* ---- CPUs: the child's threads get none that a thread of the parent had ---- */

static struct ramka_cpu *parents_cpu;

static void *not_that_one(void *arg)
{
	CHECK(ramka_host_cpu(h) != parents_cpu);
	return arg;
}

static void has_its_own_cpus(void)
{
	struct ramka_host_stats s;

	ramka_host_stats_read(h, &s);
	CHECK(s.nr_cpus == 3 && s.leased == 2 && s.threads == 1);
	join(spawn(not_that_one, NULL));
	CHECK(ramka_host_cpu(h) == ramka_cpu_at(r(), 0));
}

static void *has_a_cpu(void *arg)
{
	parents_cpu = ramka_host_cpu(h);
	atomic_store(&inside, 1);
	await(&leave_section, 1);
	return arg;
}

static void cpus_of_the_parent(void)
{
	pthread_t t;

	CHECK(begin("ramka", 3));
	CHECK(ramka_host_cpu(h) == ramka_cpu_at(r(), 0));
	atomic_store(&inside, 0);
	atomic_store(&leave_section, 0);
	t = spawn(has_a_cpu, NULL);
	await(&inside, 1);
	child(has_its_own_cpus);
	atomic_store(&leave_section, 1);
	join(t);
	ramka_host_destroy(h);
}

/* ---- new hosts in a child ---- */

static void with_a_new_host(bool urcu)
{
	struct ramka_host_options opt = { .memory = 4 << 20, .rcu = "memb" };
	struct ramka_host *mine;
	int error = ramka_host_create(&opt, &mine);

	CHECK(error == (urcu ? 0 : RAMKA_E_UNSUPPORTED));
	if (!error)
		ramka_host_destroy(mine);
	CHECK(ramka_host_create(NULL, &mine) == 0);
	h = mine;
	waits_for_nobody_and_ends();
}

static void liburcu_is_there(void)
{
	with_a_new_host(true);
}

static void liburcu_is_gone(void)
{
	with_a_new_host(false);
}

static void new_hosts(void)
{
#ifdef RAMKA_HAVE_URCU
	child(liburcu_is_there); /* no host yet, or none any more */
	CHECK(begin("memb", 2));
	child(liburcu_is_gone);
	ramka_host_destroy(h);
	child(liburcu_is_there);
#else
	skip_reason = "not built in";
#endif
}

int main(void)
{
	static const char *const sources[] = { "memb", "qsbr", "mb", "ck", "ramka" };

	for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		printf("# %s\n", sources[i]);
		CASE(gets_back_what_it_defers(sources[i]));
		CASE(readers_of_the_parent(sources[i]));
		CASE(section_of_the_thread_that_forks(sources[i]));
		CASE(parent_is_busy(sources[i]));
	}
	CASE(cpus_of_the_parent());
	CASE(new_hosts());
	return end_of_cases();
}
