/* SPDX-License-Identifier: MIT */
/*
 * A signal at every instruction of a thread's first use of a host, of its read sections, of its end, and of malloc: the
 * handler uses the host as well. Each point is a process of its own, run instruction by instruction up to there by
 * ptrace(2); the signal is delivered there, and the process checks itself and ends, or hangs and is found so.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/host/internal.h"
#include "host_test.h"

static struct ramka_host *h;
static struct ramka_cpu *seen; /* by the handler */
static atomic_int handled;

struct scenario {
	const char *name, *rcu;
	void (*prepare)(void);
	void (*op)(void);      /* what is interrupted */
	void (*handler)(void);
	void (*check)(void);   /* afterwards */
	unsigned step;         /* from one point to the next */
};

static const struct scenario *now;

static struct ramka *r(void)
{
	return ramka_host_ramka(h);
}

static void alloc_and_put(struct ramka_cpu *cpu)
{
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req);

	CHECK(f);
	ramka_frame_put(cpu, f);
}

static unsigned leased(void)
{
	struct ramka_host_stats s;

	ramka_host_stats_read(h, &s);
	CHECK(s.leased <= s.nr_cpus);
	return s.leased;
}

/* ---- a thread's first use ---- */

static void ask(void)
{
	alloc_and_put(ramka_host_cpu(h));
}

static void ask_only(void)
{
	ramka_host_cpu(h);
}

static void ask_in_handler(void)
{
	seen = ramka_host_cpu(h);
	alloc_and_put(seen);
}

static void one_lease(void)
{
	struct ramka_cpu *cpu = ramka_host_cpu(h);

	CHECK(cpu != ramka_cpu_none(r()) && ramka_host_cpu(h) == cpu);
	CHECK(seen == cpu || seen == ramka_cpu_none(r()));
	CHECK(leased() == 1 && h->threads && !h->threads->host_next);
}

/* ---- read sections: each protects from its first moment to its last, the handler's and the thread's ---- */

static uint64_t snapshot(void)
{
	return h->rcu.snapshot(h->rcu.ctx);
}

static bool over(uint64_t cookie)
{
	return h->rcu.elapsed(h->rcu.ctx, cookie);
}

static void protected(void)
{
	uint64_t cookie = snapshot();

	for (unsigned i = 0; i < 10; i++) {
		CHECK(!over(cookie));
		if (h->rcu.expedite)
			h->rcu.expedite(h->rcu.ctx);
		pause_us(100); /* a chance for a helper that thinks that it is over */
	}
}

static void read_once(void)
{
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
}

/* What is protected is so from the start. */
static void read_first(void)
{
	ramka_host_rcu_read_lock(h);
	protected();
	ramka_host_rcu_read_unlock(h);
}

static void read_in_handler(void)
{
	read_first();
}

static void nobody_reads(void)
{
	CHECK(!host_reading(h));
	h->rcu.wait(h->rcu.ctx, snapshot());
	read_first();
	CHECK(h->threads && !h->threads->host_next);
}

/* ---- the end of a thread, by hand: its destructor ---- */

static void use(void)
{
	ask();
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
}

static void end(void)
{
	host_thread_ends(NULL);
}

static void *another(void *arg)
{
	*(struct ramka_cpu **)arg = ramka_host_cpu(h);
	return NULL;
}

static void late(void)
{
	seen = ramka_host_cpu(h);
	alloc_and_put(seen);
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
}

static void nothing_is_kept(void)
{
	struct ramka_cpu *cpu = NULL;

	CHECK(ramka_host_cpu(h) == ramka_cpu_none(r()));
	CHECK(leased() == 0 && !h->threads);
	late();
	CHECK(leased() == 0 && !h->threads);
	join(spawn(another, &cpu));
	CHECK(cpu == ramka_cpu_at(r(), 0)); /* it is free */
}

/* ---- a handler on a thread that is not registered, which is inside malloc ---- */

static atomic_int idle_stop;

static void *idle(void *arg)
{
	await(&idle_stop, 1);
	return arg;
}

/* Only a process with threads has locks in malloc. */
static void be_many(void)
{
	spawn(idle, NULL);
}

static void allocate(void)
{
	void *p[3];

	for (unsigned i = 0; i < 3; i++)
		CHECK((p[i] = malloc(5000 * i + 2000)) != NULL);
	for (unsigned i = 0; i < 3; i++)
		free(p[i]);
}

static void first_use(void)
{
	ask_in_handler();
	read_in_handler();
}

static void is_registered(void)
{
	CHECK(ramka_host_cpu(h) == seen && leased() == 1);
}

/* ---- running to a point ---- */

static void on_signal(int sig)
{
	int saved = errno;

	(void)sig;
	now->handler();
	CHECK(errno == saved);
	atomic_fetch_add(&handled, 1);
}

/* In the process that is traced: stops before and after the operation. */
static _Noreturn void subject(void)
{
	struct ramka_host_options opt = { .memory = 4 << 20, .nr_cpus = 2, .rcu = now->rcu };
	struct sigaction act = { .sa_handler = on_signal };

	signal(SIGALRM, SIG_DFL);
	CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	CHECK(ramka_host_create(&opt, &h) == 0);
	CHECK(sigaction(SIGUSR1, &act, NULL) == 0);
	if (now->prepare)
		now->prepare();
	raise(SIGSTOP);
	now->op();
	raise(SIGSTOP);
	alarm(0);
	CHECK(atomic_load(&handled) == 1);
	now->check();
	_exit(0);
}

/* Waits until the process stops by this signal; false: it ended. */
static bool stops(pid_t pid, int *ret_sig, int *ret_status)
{
	CHECK(waitpid(pid, ret_status, 0) == pid);
	if (!WIFSTOPPED(*ret_status))
		return false;
	*ret_sig = WSTOPSIG(*ret_status);
	return true;
}

static void continue_with(pid_t pid, int sig)
{
	CHECK(ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)sig) == 0);
}

/* The signal comes after so many instructions of the operation; false: there are not so many. */
static bool run_to(unsigned point)
{
	int status = 0, sig = 0;
	pid_t pid = fork();
	unsigned n = 0;

	CHECK(pid >= 0);
	if (!pid)
		subject();
	CHECK(stops(pid, &sig, &status) && sig == SIGSTOP);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(intptr_t)PTRACE_O_EXITKILL) == 0);
	sig = SIGTRAP;
	for (; n < point && sig == SIGTRAP; n++) {
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
		CHECK(stops(pid, &sig, &status));
	}
	if (sig == SIGSTOP) { /* past its end */
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid);
		return false;
	}
	CHECK(sig == SIGTRAP);
	continue_with(pid, SIGUSR1);
	alarm(20); /* for this process: the other hangs */
	while (stops(pid, &sig, &status))
		continue_with(pid, sig == SIGSTOP || sig == SIGTRAP ? 0 : sig);
	alarm(0);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "%s: wrong when the signal comes after %u instructions\n", now->name, n);
		_Exit(1);
	}
	return true;
}

static bool can_trace(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void hangs(int sig)
{
	static const char text[] = "the signal made it hang\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

/* A walk to a point costs as many stops as it is far: fewer points where it is far. */
#ifdef SLOW_BUILD
# define EVERY 31u
# define COARSE 151u
# define FAR 3u
#else
# define EVERY 1u
# define COARSE 61u
# define FAR 5u
#endif

static void run(const struct scenario *s, bool traced)
{
	unsigned points = 0, point;

	if (!traced) {
		skip_reason = "ptrace is not allowed";
		return;
	}
	now = s;
	for (point = 0; run_to(point); point += s->step + (s->step > 1 ? point / FAR : 0))
		points++;
	printf("# %s: %u points in about %u instructions\n", s->name, points, point);
	fflush(stdout);
	CHECK(points > 2); /* the shortest has under a hundred instructions, as clang compiles it */
}

static void first_use_on_top(bool traced)
{
	run(&(struct scenario){ "first use", "ramka", NULL, ask, ask_in_handler, one_lease, COARSE }, traced);
}

/* The thread is registered, and has no CPU yet. */
static void first_lease_on_top(bool traced)
{
	run(&(struct scenario){ "first lease", "ramka", read_once, ask_only, ask_in_handler, one_lease, EVERY }, traced);
}

static void first_section_on_top(const char *rcu, bool traced)
{
	run(&(struct scenario){ rcu, rcu, NULL, read_first, read_in_handler, nobody_reads, COARSE }, traced);
}

static void sections_on_top(const char *rcu, bool traced)
{
	run(&(struct scenario){ rcu, rcu, read_once, read_once, read_in_handler, nobody_reads, EVERY }, traced);
}

static void end_of_thread(const char *rcu, bool traced)
{
	run(&(struct scenario){ rcu, rcu, use, end, late, nothing_is_kept, COARSE }, traced);
}

static void inside_malloc(bool traced)
{
	run(&(struct scenario){ "malloc", "ramka", be_many, allocate, first_use, is_registered, COARSE }, traced);
}

int main(void)
{
	bool traced = can_trace();

	signal(SIGALRM, hangs);
	CASE(first_use_on_top(traced));
	CASE(first_lease_on_top(traced));
	CASE(first_section_on_top("ramka", traced));
	CASE(sections_on_top("ramka", traced));
	CASE(end_of_thread("ramka", traced));
	CASE(inside_malloc(traced));
#ifdef RAMKA_HAVE_CK
	CASE(first_section_on_top("ck", traced));
	CASE(sections_on_top("ck", traced));
#endif
#ifdef RAMKA_HAVE_URCU
	CASE(first_section_on_top("memb", traced));
	CASE(sections_on_top("memb", traced));
	CASE(sections_on_top("qsbr", traced));
	CASE(end_of_thread("memb", traced));
	CASE(end_of_thread("qsbr", traced));
#endif
	return end_of_cases();
}
