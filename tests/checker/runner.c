/* SPDX-License-Identifier: MIT */
/*
 * The command line of the checker.
 *
 *   checker --list                      names of all clients
 *   checker --all [--bound N] [--pct RUNS] [--depth D] [--seed X] [--seconds S] [--jobs N]
 *                                       seconds: of processor time, a client
 *   checker --client NAME [...]         one client; may be repeated
 *   checker --client NAME --replay SCHEDULE [--weaken SPEC]    an annotated trace of one execution
 *                                       --deep: families of clients and slow ones (checker.h) with the bound of the others
 *   checker --sites                     every atomic operation compiled in, and how often the clients ran it
 *   checker --matrix [--quick] [--only TEXT] [--reasons FILE]
 *                                       weaken each ordering in turn: who notices? See matrix.c
 *   --weaken SPEC                       PAIR, FILE:LINE or PAIR@FILE:LINE, then nothing, :acquire, :release or :failure
 *
 * A client passes when it ran to the end without a failure, or, if it is a known-bad program, when the failure
 * that it names was found. The exit status is 0 when all passed.
 */
#include "../options.h"
#include "matrix.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *weaken_spec[64];
static unsigned nr_weaken;
static unsigned (*weaken_also)(const struct ck_site *s);
static const char *self;
static uint64_t pct_runs = 500;
static double seconds = 60;
static bool terse; /* families show failures only */
static bool deep, all;
static const char *only;
#ifdef CK_REASONS
static const char *reasons = CK_REASONS;
#else
static const char *reasons;
#endif

const char *ck_base(const char *path)
{
	const char *s = strrchr(path, '/');

	return s ? s + 1 : path;
}

bool ck_same_site(const struct ck_site *a, const struct ck_site *b)
{
	return a->line == b->line && a->op == b->op && !strcmp(a->pair, b->pair) && !strcmp(a->function, b->function) &&
	       !strcmp(ck_base(a->file), ck_base(b->file));
}

static bool place_matches(const struct ck_site *s, const char *spec, size_t n)
{
	char text[300];

	snprintf(text, sizeof text, "%s:%u", ck_base(s->file), s->line);
	return strlen(text) == n && !memcmp(text, spec, n);
}

static unsigned half_named(const char *name, size_t n)
{
	if (n == 7 && !memcmp(name, "acquire", n))
		return CK_WEAK_ACQUIRE;
	if (n == 7 && !memcmp(name, "release", n))
		return CK_WEAK_RELEASE;
	if (n == 7 && !memcmp(name, "failure", n))
		return CK_WEAK_FAILURE;
	return 0;
}

static unsigned spec_matches(const struct ck_site *s, const char *spec)
{
	size_t n = strlen(spec), pair_len = strlen(s->pair);
	const char *colon = strrchr(spec, ':'), *at;
	unsigned half = colon ? half_named(colon + 1, strlen(colon + 1)) : 0;

	if (half)
		n = (size_t)(colon - spec);
	else
		half = CK_WEAK_ACQUIRE | CK_WEAK_RELEASE | CK_WEAK_FAILURE;
	at = memchr(spec, '@', n);
	if (at)
		return (size_t)(at - spec) == pair_len && !memcmp(spec, s->pair, pair_len) &&
		       place_matches(s, at + 1, n - pair_len - 1) ? half : 0;
	return (n == pair_len && !memcmp(spec, s->pair, n)) || place_matches(s, spec, n) ? half : 0;
}

unsigned ck_weakened(const struct ck_site *s)
{
	unsigned weak = weaken_also ? weaken_also(s) : 0;

	for (unsigned i = 0; i < nr_weaken; i++)
		weak |= spec_matches(s, weaken_spec[i]);
	return weak;
}

void ck_weaken_also(unsigned (*also)(const struct ck_site *s))
{
	weaken_also = also;
}

const char *ck_site_of_pc(const void *pc)
{
	static char text[2][300];
	static unsigned turn;
	char *buf = text[turn++ & 1], cmd[512];
	uintptr_t addr = (uintptr_t)pc - 1;
	Dl_info info;
	FILE *f;

	snprintf(buf, 300, "at %p", pc);
	if (!dladdr(pc, &info) || !info.dli_fbase)
		return buf;
	/* a position-independent executable is linked at 0 */
	if ((uintptr_t)info.dli_fbase > 0x1000000)
		addr -= (uintptr_t)info.dli_fbase;
	snprintf(cmd, sizeof cmd, "addr2line -s -f -i -e '%s' %#lx 2>/dev/null", info.dli_fname, (unsigned long)addr);
	f = popen(cmd, "r");
	if (f) {
		char fn[120], line[120];

		if (fgets(fn, sizeof fn, f) && fgets(line, sizeof line, f)) {
			fn[strcspn(fn, "\n")] = line[strcspn(line, "\n")] = 0;
			snprintf(buf, 300, "%s (%s)", line, fn);
		}
		pclose(f);
	}
	return buf;
}

static const struct ck_client **all_clients;
static unsigned nr_all;

unsigned ck_nr_clients(void)
{
	return nr_all;
}

const struct ck_client *ck_client_at(unsigned i)
{
	return all_clients[i];
}

char *ck_text(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	return text;
}

static void add_client(const struct ck_client *c)
{
	all_clients = realloc(all_clients, (nr_all + 1) * sizeof *all_clients);
	if (!all_clients)
		abort();
	all_clients[nr_all++] = c;
}

/* Those that are written down, and those that families make. */
static void gather_clients(void)
{
	for (const struct ck_client *const *c = __start_ck_clients; c < __stop_ck_clients; c++)
		add_client(*c);
	for (ck_family *const *make = __start_ck_families; make < __stop_ck_families; make++)
		for (unsigned i = 0;; i++) {
			struct ck_client *c = calloc(1, sizeof *c);

			if (!c)
				abort();
			if (!(*make)(i, c)) {
				free(c);
				break;
			}
			c->family = true;
			add_client(c);
		}
}

static void print_replay(const struct ck_client *c, const char *schedule)
{
	printf("      schedule: %s\n      replay:   %s --client %s --replay '%s'", schedule, self, c->name, schedule);
	for (unsigned i = 0; i < nr_weaken; i++)
		printf(" --weaken '%s'", weaken_spec[i]);
	putchar('\n');
}

/* One preemption less than it has by itself; random runs come in their place. */
static unsigned bound_when_slow(const struct ck_client *c, unsigned bound)
{
	unsigned own = c->bound && c->bound < bound ? c->bound : bound;

	return own ? own - 1 : 0;
}

static bool run_client(const struct ck_client *c, unsigned bound, bool quiet)
{
	struct ck_result r;
	bool ok;

	/* there are thousands of those: one preemption less, and few of the random runs */
	if (c->family && !deep)
		ck_explore(c, bound ? bound - 1 : 0, pct_runs / 25, seconds, &r);
	else if (c->slow && all && !deep)
		ck_explore(c, bound_when_slow(c, bound), pct_runs * 4, seconds, &r);
	else
		ck_explore(c, bound, pct_runs, seconds, &r);
	if (c->fails)
		ok = r.failed && strstr(r.message, c->fails);
	else
		ok = !r.failed && r.complete;
	if ((!quiet && !(c->family && terse)) || !ok) {
		printf("%s %-28s %9llu executions %s %6.2f s, %u steps\n", ok ? "ok  " : "FAIL", c->name,
				(unsigned long long)r.executions,
		       r.failed ? "  failed" : r.complete ? "complete" : "PARTIAL ", r.seconds, r.steps_max);
		if (r.failed && (!ok || !quiet)) {
			printf("      %s%s\n", c->fails ? "found: " : "", r.message);
			if (!ok)
				print_replay(c, r.schedule);
		}
		if (!r.failed && c->fails)
			printf("      not found: %s\n", c->fails);
		fflush(stdout);
	}
	free(r.schedule);
	return ok;
}

static int replay(const struct ck_client *c, const char *schedule)
{
	struct ck_result r;

	ck_replay(c, schedule, &r);
	printf("%s: %s\n", c->name, r.failed ? r.message : "no failure");
	free(r.schedule);
	return r.failed;
}

/* ---- sites ---- */

bool ck_first_copy(const struct ck_site *s)
{
	for (const struct ck_site *o = __start_ck_sites; o < s; o++)
		if (ck_same_site(o, s))
			return false;
	return true;
}

unsigned ck_site_hits(const struct ck_site *s)
{
	unsigned n = 0;

	for (const struct ck_site *o = s; o < __stop_ck_sites; o++)
		if (ck_same_site(o, s))
			n += o->hits;
	return n;
}

const char *const ck_op_names[] = { "load", "store", "cas", "xchg", "add", "sub", "or", "and", "xor" };

bool ck_client_file(const struct ck_site *s)
{
	return strstr(s->file, "tests/checker/") || !strchr(s->file, '/');
}

static int list_sites(unsigned bound)
{
	for (unsigned i = 0; i < ck_nr_clients(); i++) {
		struct ck_result r;

		if (ck_client_at(i)->model || ck_client_at(i)->family)
			continue;
		ck_explore(ck_client_at(i), bound ? 1 : 0, 0, seconds, &r);
		free(r.schedule);
	}
	for (const struct ck_site *s = __start_ck_sites; s < __stop_ck_sites; s++)
		if (!ck_client_file(s) && ck_first_copy(s))
			printf("%-24s %-5s %-8s %s:%u  %u\n", s->pair, ck_op_names[s->op],
					ck_order_name(s->order), ck_base(s->file), s->line,
			       ck_site_hits(s));
	return 0;
}

/* ---- processes ---- */

enum { WAITING, STARTED, DONE };

/* What became of the jobs, by process 0 .. jobs - 1, in memory that all of them write. */
struct board {
	unsigned next;
	unsigned char state[];
};

static void work(struct board *b, void (*job)(unsigned i), unsigned n)
{
	unsigned i;

	while ((i = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED)) < n) {
		b->state[i] = STARTED;
		job(i);
		fflush(stdout);
		b->state[i] = DONE;
	}
}

static void say_how_it_ended(int status)
{
	if (WIFSIGNALED(status))
		printf("     a process was killed by signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		printf("     a process ended with status %d\n", WEXITSTATUS(status));
}

unsigned ck_in_parallel(void (*job)(unsigned i), unsigned n, unsigned jobs, const char *(*name)(unsigned i))
{
	size_t size = sizeof(struct board) + n;
	struct board *b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned lost = 0, begun = 0;
	int status;

	if (b == MAP_FAILED)
		abort();
	fflush(stdout);
	for (unsigned k = 0; jobs > 1 && k < jobs; k++) {
		pid_t child = fork();

		if (child == 0) {
			work(b, job, n);
			_exit(0);
		}
		begun += child > 0;
	}
	if (!begun)
		work(b, job, n);
	while (begun && wait(&status) > 0)
		say_how_it_ended(status);
	for (unsigned i = 0; i < n; i++) {
		if (b->state[i] == DONE)
			continue;
		lost++;
		printf("FAIL %s: %s\n", name(i), b->state[i] == STARTED ? "its process died" : "never run");
	}
	munmap(b, size);
	return lost;
}

static struct {
	const struct ck_client *const *chosen;
	unsigned bound, *passed;
	bool quiet;
} run;

static void run_chosen(unsigned i)
{
	if (run_client(run.chosen[i], run.bound, run.quiet))
		__atomic_fetch_add(run.passed, 1, __ATOMIC_RELAXED);
}

static const char *chosen_name(unsigned i)
{
	return run.chosen[i]->name;
}

/* Clients in turn, by `jobs` processes. How many passed. */
static unsigned run_clients(const struct ck_client *const *clients, unsigned n, unsigned bound, bool quiet,
		unsigned jobs)
{
	run.chosen = clients;
	run.bound = bound;
	run.quiet = quiet;
	run.passed = mmap(NULL, sizeof *run.passed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.passed == MAP_FAILED)
		abort();
	ck_in_parallel(run_chosen, n, jobs, chosen_name);
	return *run.passed;
}

/* ---- the command line ---- */

static const struct ck_client **chosen;
static unsigned nr_chosen;

static void choose_client(const struct ck_client *c)
{
	chosen = realloc(chosen, (nr_chosen + 1) * sizeof *chosen);
	if (!chosen)
		abort();
	chosen[nr_chosen++] = c;
}

static void choose(const char *name)
{
	for (unsigned i = 0; i < ck_nr_clients(); i++) {
		if (strcmp(ck_client_at(i)->name, name))
			continue;
		choose_client(ck_client_at(i));
		return;
	}
	fprintf(stderr, "%s: no client %s\n", self, name);
	exit(2);
}

static void choose_all(void)
{
	for (unsigned i = 0; i < ck_nr_clients(); i++)
		choose_client(ck_client_at(i));
}

static void weaken(const char *spec)
{
	const struct ck_site *s = __start_ck_sites;

	while (s < __stop_ck_sites && !spec_matches(s, spec))
		s++;
	if (s == __stop_ck_sites || nr_weaken == sizeof(weaken_spec) / sizeof(*weaken_spec)) {
		fprintf(stderr, "%s: no site is named %s, see --sites\n", self, spec);
		exit(2);
	}
	weaken_spec[nr_weaken++] = spec;
}

int main(int argc, char **argv)
{
	bool list = false, sites = false, matrix = false, quiet = false, quick = false;
	unsigned passed, bound = ck_bound_default, jobs = 1;
	const char *schedule = NULL;
	const struct option table[] = {
		OPTION_FLAG("--list", &list), OPTION_FLAG("--all", &all), OPTION_CALL("--client", "NAME", choose),
		OPTION_FLAG("--sites", &sites), OPTION_FLAG("--matrix", &matrix),
		OPTION_SMALL("--bound", "N", &bound, 0, 100),
		OPTION_REAL("--seconds", "S", &seconds),
		OPTION_NUMBER("--pct", "RUNS", &pct_runs),
		OPTION_SMALL("--depth", "D", &ck_pct_depth, 0, 100),
		OPTION_NUMBER("--seed", "X", &ck_seed),
		OPTION_SMALL("--jobs", "N", &jobs, 1, 1000),
		OPTION_FLAG("--quiet", &quiet), OPTION_FLAG("--deep", &deep),
		OPTION_TEXT("--replay", "SCHEDULE", &schedule),
		OPTION_CALL("--weaken", "SPEC", weaken),
		OPTION_FLAG("--quick", &quick),
		OPTION_TEXT("--only", "TEXT", &only),
		OPTION_TEXT("--reasons", "FILE", &reasons),
		{ 0 },
	};

	self = argv[0];
	gather_clients();
	options_read(self, table, argc, argv, NULL);
	terse = all;
	if (sites)
		return list_sites(bound);
	if (matrix && ck_matrix && reasons)
		return ck_matrix(&(struct ck_matrix){ .self = self, .list = reasons, .only = only, .bound = bound,
				.jobs = jobs, .pct_runs = pct_runs, .seconds = seconds, .quick = quick });
	if (all || list)
		choose_all();
	for (unsigned i = 0; list && i < nr_chosen; i++)
		printf("%-28s %s\n", chosen[i]->name, chosen[i]->what ? chosen[i]->what : "");
	if (list)
		return 0;
	if (!nr_chosen || matrix) {
		options_usage(stderr, self, table);
		return 2;
	}
	if (schedule)
		return replay(chosen[0], schedule);
	passed = run_clients(chosen, nr_chosen, bound, quiet, jobs);
	printf("%u passed, %u failed\n", passed, nr_chosen - passed);
	return passed != nr_chosen;
}
