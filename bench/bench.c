/* SPDX-License-Identifier: MIT */
/*
 * The benchmark program: registers every case, runs the one that a thread of Google Benchmark asks for, and
 * checks afterwards that the peer still has each of its frames exactly once.
 *
 * Own options, the others are Google Benchmark's:
 *	--threads=1,2,4     numbers of threads; default 1, the CPUs, twice the CPUs
 *	--iterations=N      of each thread, instead of growing numbers
 *	--peers             tries every peer once, prints what it is, its version and what is missing
 *	--cases             prints the cases and why others cannot be, without running any
 */
#define _GNU_SOURCE
#include "bench.h"

#include "../tests/options.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A malloc writes into its blocks: more blocks than this at once would fill the machine's memory. */
#define MOST_TOUCHED (UINT64_C(1) << 18)

struct bench_case {
	char name[96];
	const struct bench_workload *w;
	const struct bench_peer *peer;
	unsigned order, threads;
	pthread_barrier_t barrier;
	/* of the run in progress */
	void *instance;
	const char *skip;
	void **held[BENCH_MAX_THREADS];
	uint64_t nr_held[BENCH_MAX_THREADS];
};

static const struct bench_workload *const workloads[] = {
	bench_repeat, bench_bulk, bench_rand, bench_churn,    bench_pipe,  bench_purge,
	bench_tail,   bench_frag, bench_ageing, bench_cold,   bench_init,  bench_deferred, NULL,
};

static size_t cpus[CPU_SETSIZE]; /* that this process may use */
static unsigned nr_cpus;

_Noreturn void bench_die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(NULL);
	_exit(1);
}

/* ---- memory, time, chance ---- */

void *bench_reserve(size_t bytes)
{
	size_t size = (bytes + BENCH_HUGE - 1) / BENCH_HUGE * BENCH_HUGE;
	char *p = mmap(NULL, size + BENCH_HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		bench_die("cannot map %zu bytes: %s", size, strerror(errno));
	head = -(uintptr_t)p % BENCH_HUGE;
	if (head)
		munmap(p, head);
	munmap(p + head + size, BENCH_HUGE - head);
	madvise(p + head, size, MADV_HUGEPAGE);
	return p + head;
}

void *bench_map(size_t bytes)
{
	char *p = bench_reserve(bytes);

	for (size_t i = 0; i < bytes; i += BENCH_PAGE)
		*(volatile char *)(p + i) = 0;
	return p;
}

void bench_unmap(void *p, size_t bytes)
{
	munmap(p, (bytes + BENCH_HUGE - 1) / BENCH_HUGE * BENCH_HUGE);
}

uint64_t bench_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct bench_rng bench_seed(unsigned id)
{
	struct bench_rng r = { UINT64_C(0x9e3779b97f4a7c15) * (id + 1) };

	for (int i = 0; i < 8; i++)
		bench_random(&r);
	return r;
}

void bench_shuffle(struct bench_rng *r, void **v, uint64_t n)
{
	for (uint64_t i = n; i > 1; i--) {
		uint64_t j = bench_below(r, i);
		void *x = v[i - 1];

		v[i - 1] = v[j];
		v[j] = x;
	}
}

void bench_permutation(struct bench_rng *r, uint32_t *v, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t j = bench_below(r, i + 1);

		v[i] = v[j];
		v[j] = (uint32_t)i;
	}
}

/* ---- nothing lost, nothing twice ---- */

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;

	return x < y ? -1 : x > y;
}

/* No two frames of v closer to each other than `span` bytes. */
static void check_distinct(const char *name, void **v, uint64_t n, size_t span)
{
	uintptr_t low = UINTPTR_MAX, high = 0;
	uint64_t *seen, units, i;

	for (i = 0; i < n; i++) {
		low = (uintptr_t)v[i] < low ? (uintptr_t)v[i] : low;
		high = (uintptr_t)v[i] > high ? (uintptr_t)v[i] : high;
	}
	if (n == 0)
		return;
	units = (high - low) / span + 1;
	if (units > UINT64_C(1) << 28) { /* scattered over the address space */
		qsort(v, n, sizeof(*v), by_address);
		for (i = 1; i < n; i++)
			if ((uintptr_t)v[i] - (uintptr_t)v[i - 1] < span)
				bench_die("%s: frames %p and %p overlap", name, v[i - 1], v[i]);
		return;
	}
	seen = calloc(units / 64 + 1, 8);
	if (!seen)
		bench_die("out of memory");
	for (i = 0; i < n; i++) {
		uint64_t u = ((uintptr_t)v[i] - low) / span;

		if (((uintptr_t)v[i] - low) % span)
			bench_die("%s: frame %p is not aligned to its size", name, v[i]);
		if (seen[u / 64] >> (u % 64) & 1)
			bench_die("%s: frame %p was handed out twice", name, v[i]);
		seen[u / 64] |= UINT64_C(1) << (u % 64);
	}
	free(seen);
}

static size_t span_of(const struct bench_case *c)
{
	return c->peer->stride << c->order;
}

void bench_check_and_free(struct bench_thread *t, void **frames, uint64_t n)
{
	struct bench_case *c = t->c;
	uint64_t all = 0, at = 0;
	void **v;

	c->held[t->id] = frames;
	c->nr_held[t->id] = n;
	bench_barrier(t);
	if (t->id == 0 && !(c->peer->flags & PEER_FAKE)) {
		for (unsigned i = 0; i < c->threads; i++)
			all += c->nr_held[i];
		v = bench_map(all * sizeof(*v) + 1);
		for (unsigned i = 0; i < c->threads; i++) {
			if (c->nr_held[i])
				memcpy(v + at, c->held[i], c->nr_held[i] * sizeof(*v));
			at += c->nr_held[i];
		}
		check_distinct(c->peer->name, v, all, span_of(c));
		bench_unmap(v, all * sizeof(*v) + 1);
	}
	bench_barrier(t);
	for (uint64_t i = 0; i < n; i++)
		bench_free(t, frames[i]);
}

/*
 * Takes every frame that the peer has, through each thread's CPU in turn: they must be all there were at
 * the beginning, each once.
 */
static void check_whole(struct bench_case *c)
{
	uint64_t whole = c->w->memory >> 12 >> c->order, n = 0, from;
	void **v = bench_map((whole + 1) * sizeof(*v));

	for (unsigned id = 0; id < c->threads; id++) {
		void *cpu = c->peer->cpu(c->instance, id), *frame;

		while (n <= whole && (frame = c->peer->alloc(cpu, c->order)))
			v[n++] = frame;
		c->nr_held[id] = n;
	}
	if (n != whole)
		bench_die("%s: %llu frames of order %u at the end, %llu at the beginning", c->peer->name,
			  (unsigned long long)n, c->order, (unsigned long long)whole);
	for (unsigned id = 0; id < c->threads; id++) {
		from = id ? c->nr_held[id - 1] : 0;
		for (uint64_t i = from; i < c->nr_held[id]; i++)
			c->peer->free(c->peer->cpu(c->instance, id), v[i], c->order);
	}
	check_distinct(c->peer->name, v, n, span_of(c));
	bench_unmap(v, (whole + 1) * sizeof(*v));
}

/* ---- one case ---- */

void bench_barrier(struct bench_thread *t)
{
	pthread_barrier_wait(&t->c->barrier);
}

void bench_pin(unsigned id)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[id % nr_cpus], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_die("cannot pin a thread to CPU %zu: %s", cpus[id % nr_cpus], strerror(errno));
}

/* On all CPUs again: threads that a peer starts are where the thread is that creates it. */
static void unpin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < nr_cpus; i++)
		CPU_SET(cpus[i], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void open_instance(struct bench_case *c)
{
	struct bench_shape shape = { .memory = c->w->memory, .order = c->order, .threads = c->threads };

	unpin();
	c->instance = NULL;
	c->skip = c->peer->load ? c->peer->load() : NULL;
	if (c->skip || c->w->bare)
		return;
	c->instance = c->peer->create(&shape);
	if (!c->instance)
		c->skip = "could not be created";
}

static void close_instance(struct bench_case *c)
{
	if (!c->instance)
		return;
	if (c->peer->flags & PEER_BOUNDED)
		check_whole(c);
	c->peer->destroy(c->instance);
	c->instance = NULL;
}

static void run_case(struct gbench *g, void *ctx)
{
	struct bench_case *c = ctx;
	struct bench_thread t = { .g = g,
				  .c = c,
				  .id = gbench_thread(g),
				  .threads = c->threads,
				  .order = c->order,
				  .peer = c->peer,
				  .param = c->w->param };

	t.share = (c->w->memory >> 12 >> c->order) / c->threads;
	if (t.id == 0)
		open_instance(c);
	bench_pin(t.id); /* after open_instance: DPDK's start moves its caller */
	bench_barrier(&t);
	if (c->skip) {
		gbench_skip(g, c->skip);
		while (gbench_next(g, 1))
			;
		return;
	}
	t.instance = c->instance;
	t.alloc = c->peer->alloc;
	t.free = c->peer->free;
	if (t.instance)
		t.cpu = c->peer->cpu(t.instance, t.id);
	c->w->run(&t);
	bench_barrier(&t);
	if (t.id == 0)
		close_instance(c);
}

/* ---- which cases there are ---- */

/* Why this case cannot be, or NULL. */
static const char *misfit(const struct bench_workload *w, const struct bench_peer *p, unsigned order,
			  unsigned threads)
{
	uint64_t held = (w->memory >> 12 >> order) * w->held / 100;

	if ((w->fits ? !w->fits(p) : p->flags & PEER_DEFERS) || (p->flags & PEER_HINTS && !w->hints))
		return "not its question";
	if (order && !(p->flags & PEER_ORDERS))
		return "hands out base frames only";
	if (!(p->flags & (PEER_BOUNDED | PEER_FAKE)) && held > MOST_TOUCHED)
		return "writes into its blocks: so many would fill the memory";
	if (threads < w->min_threads)
		return "needs more threads";
	if ((w->max_threads && threads > w->max_threads) || threads > BENCH_MAX_THREADS)
		return "needs fewer threads";
	if (w->even && threads % 2)
		return "needs an even number of threads";
	return NULL;
}

static void add_case(const struct bench_workload *w, const struct bench_peer *p, unsigned order,
		     unsigned threads, int64_t iterations, bool list)
{
	const char *why = misfit(w, p, order, threads);
	struct bench_case *c;

	if (list)
		printf("%s/order:%u\t%s\t%u\t%s\t%s\n", w->name, order, p->name, threads, why ? why : "",
		       w->what);
	if (list || why)
		return;
	c = calloc(1, sizeof(*c));
	if (!c || pthread_barrier_init(&c->barrier, NULL, threads))
		bench_die("out of memory");
	snprintf(c->name, sizeof(c->name), "%s/order:%u/%s", w->name, order, p->name);
	c->w = w;
	c->peer = p;
	c->order = order;
	c->threads = threads;
	if (w->iterations)
		iterations = w->iterations;
	gbench_add(&(struct gbench_case){
		.name = c->name, .run = run_case, .ctx = c, .threads = threads, .iterations = iterations });
}

static void add_cases(const unsigned *threads, unsigned nr_threads, int64_t iterations, bool list)
{
	for (unsigned k = 0; workloads[k]; k++)
		for (const struct bench_workload *w = workloads[k]; w->name; w++)
			for (unsigned order = 0; order < 32; order++) {
				if (!(w->orders >> order & 1))
					continue;
				for (unsigned i = 0; i < nr_threads; i++)
					for (unsigned p = 0; bench_peers[p]; p++)
						add_case(w, bench_peers[p], order, threads[i], iterations,
							 list);
			}
}

/* Starts each peer, moves one frame, and says what came of it. */
static void print_peers(void)
{
	struct bench_shape shape = { .memory = 64u << 20, .order = 0, .threads = 1 };

	for (unsigned i = 0; bench_peers[i]; i++) {
		const struct bench_peer *p = bench_peers[i];
		const char *why = p->load ? p->load() : NULL, *version = "";
		void *instance = NULL, *frame;

		if (!why && !(instance = p->create(&shape)))
			why = "could not be created";
		if (instance) {
			frame = p->alloc(p->cpu(instance, 0), 0);
			if (!frame)
				why = "gave no frame";
			else
				p->free(p->cpu(instance, 0), frame, 0);
			p->destroy(instance);
			version = p->version ? p->version() : "";
		}
		printf("%s\t%u\t%s\t%s\t%s\n", p->name, p->flags, version, p->what, why ? why : "");
		fflush(stdout);
	}
}

static unsigned parse_threads(const char *list, unsigned *ret)
{
	unsigned n = 0;

	for (const char *s = list; *s && n < 16;) {
		char *end;
		unsigned long v = strtoul(s, &end, 10);

		if (end == s || v == 0 || v > BENCH_MAX_THREADS || (*end && *end != ','))
			bench_die("--threads: a list of numbers up to %u, not '%s'", BENCH_MAX_THREADS,
				  list);
		ret[n++] = (unsigned)v;
		s = *end ? end + 1 : end;
	}
	if (n == 0)
		bench_die("--threads: an empty list");
	return n;
}

static void find_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		bench_die("sched_getaffinity: %s", strerror(errno));
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			cpus[nr_cpus++] = i;
}

/*
 * Debian's jemalloc keeps its thread-local data in the static block, where a library that is loaded late
 * finds room only if the loader was told before the process began.
 */
static void reserve_static_tls(char **argv)
{
	if (getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=16384", 1);
	execv("/proc/self/exe", argv);
}

static unsigned threads[16], nr_threads;

static void choose_threads(const char *list)
{
	nr_threads = parse_threads(list, threads);
}

/* What is not ours is Google Benchmark's. */
int main(int argc, char **argv)
{
	uint64_t iterations = 0;
	bool list = false, peers = false;
	const struct option table[] = {
		OPTION_CALL("--threads", "LIST", choose_threads),
		OPTION_NUMBER("--iterations", "N", &iterations),
		OPTION_FLAG("--peers", &peers),
		OPTION_FLAG("--cases", &list),
		{ 0 },
	};

	reserve_static_tls(argv);
	find_cpus();
	threads[0] = 1;
	threads[1] = nr_cpus == 1 ? 2 : nr_cpus;
	threads[2] = 2 * nr_cpus;
	nr_threads = nr_cpus == 1 ? 2 : 3;
	argc = options_read("ramka-bench", table, argc, argv, argv);
	if (peers) {
		print_peers();
		return 0;
	}
	add_cases(threads, nr_threads, (int64_t)iterations, list);
	return list ? 0 : gbench_main(argc, argv);
}
