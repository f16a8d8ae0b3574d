/* SPDX-License-Identifier: MIT */
/*
 * The hosted layer under stress, with each source of grace periods that it offers.
 *
 *	host [--rcu NAME]... [--threads N] [--seconds S] [--short-threads N] [--seed X] [--quiet]
 *
 * Torture: readers walk a table of frames in read sections, writers replace entries and give the old frame up by
 * put_rcu. A reader must find what it found until its section ends, and nothing two grace periods after its removal.
 * One reader stalls for 0.5 s, and in a run of more than 10 s another one for 5 s.
 * Short threads: very many, each takes a CPU, allocates, frees what others left, and ends; frames and memory must
 * not grow.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ramka/host.h>

#include "../tests/options.h"
#include "harness.h"
#include "watch.h"

#ifdef __SANITIZE_THREAD__
# define TSAN 1
#elif defined(__has_feature)
# if __has_feature(thread_sanitizer)
#  define TSAN 1
# endif
#endif
#ifndef TSAN
# define TSAN 0
#endif

#define HANG_SECONDS 180u
#define ENTRIES 256u
#define LOOKS 6u
#define AGES 6u
#define LIVE 0x600df00du

static const char *const sources[] = { "memb", "qsbr", "mb", "ck", "ramka" };

static struct ramka_host *host;
static struct ramka *r;
static const char *rcu_name;
static unsigned run_seconds;
static bool quiet;
static _Atomic(struct ramka_frame *) table[ENTRIES];
static _Atomic bool stop;
static _Atomic uint64_t reads, writes, lives, alive; /* alive: typed frames whose on_drop has not run */
static _Atomic uint32_t periods;
static _Atomic uint64_t ages[AGES];

/* Plain: written before the frame is shown and in on_drop, read in read sections. */
struct node {
	uint64_t seq;
	uint32_t state;
	_Atomic uint32_t removed; /* periods at removal + 1 */
};

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t pa, void *content)
{
	struct node *n = meta;
	uint64_t *words = content;

	(void)cpu;
	CHECK(n->state == LIVE, "%s: frame %#llx is dropped twice", rcu_name, (unsigned long long)pa);
	n->state = 0;
	words[0] = 0;
	atomic_fetch_sub_explicit(&alive, 1, memory_order_relaxed);
}

RAMKA_DEFINE_TYPE(node_type, struct node, .id = 20, .on_drop = on_drop);

static struct ramka_frame *new_node(uint64_t seq)
{
	struct node n = { .seq = seq, .state = LIVE };
	struct ramka_frame *f =
		ramka_frame_alloc(ramka_host_cpu(host), &node_type, &n, (struct ramka_request){ 0 });

	if (!f)
		return NULL;
	atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
	*(uint64_t *)ramka_frame_content(r, f) = seq;
	return f;
}

static struct node *node_of(struct ramka_frame *f)
{
	return ramka_frame_meta(r, f);
}

/*
 * Most do not heed the high-water mark, which is low in a small instance: who always does reclaims before a bag is full,
 * and nothing is ever polled.
 */
static void retire(struct ramka_frame *f)
{
	static _Thread_local unsigned pressed;
	uint32_t now = atomic_load_explicit(&periods, memory_order_relaxed);
	int rc;

	atomic_store_explicit(&node_of(f)->removed, now + 1, memory_order_relaxed);
	rc = ramka_frame_put_rcu(ramka_host_cpu(host), f);
	CHECK(rc >= 0, "%s: put_rcu: %s", rcu_name, ramka_strerror(rc));
	if (rc == RAMKA_PRESSURE && ++pressed % 1024 == 0)
		ramka_reclaim(ramka_host_cpu(host), true);
}

static void check_node(struct ramka_frame *f, uint64_t seq)
{
	struct node *n = node_of(f);
	uint32_t gone = atomic_load_explicit(&n->removed, memory_order_relaxed), age;

	CHECK(n->state == LIVE && n->seq == seq && *(const uint64_t *)ramka_frame_content(r, f) == seq,
	      "%s: a frame changed under a reader", rcu_name);
	if (!gone)
		return;
	age = atomic_load_explicit(&periods, memory_order_relaxed) - (gone - 1);
	atomic_fetch_add_explicit(&ages[age < AGES ? age : AGES - 1], 1, memory_order_relaxed);
	CHECK(age < 2, "%s: a frame is seen %u grace periods after its removal", rcu_name, age);
}

/* For the watchdog: something of this goes on in every part. */
static void look(void)
{
	static struct sign any;

	if (sign_stands(&any, atomic_load(&reads) + atomic_load(&writes) + atomic_load(&lives), HANG_SECONDS))
		hang("source \"%s\": nothing has happened for %u s", rcu_name ? rcu_name : "none", HANG_SECONDS);
}

static void read_section(struct rng *rng, unsigned stall_ms)
{
	struct timespec stall = { .tv_sec = stall_ms / 1000, .tv_nsec = stall_ms % 1000 * 1000000 };

	struct ramka_frame *f[LOOKS];
	uint64_t seq[LOOKS];
	unsigned n = 0;

	bool twice = rng_one_in(rng, 8); /* they nest */

	ramka_host_rcu_read_lock(host);
	if (twice)
		ramka_host_rcu_read_lock(host);
	for (unsigned i = 0; i < LOOKS; i++) {
		f[n] = atomic_load_explicit(&table[rng_below(rng, ENTRIES)], memory_order_acquire);
		if (f[n]) {
			seq[n] = node_of(f[n])->seq;
			n++;
		}
	}
	if (stall_ms)
		nanosleep(&stall, NULL);
	else if (rng_one_in(rng, 32))
		sched_yield();
	if (twice)
		ramka_host_rcu_read_unlock(host);
	for (unsigned i = 0; i < n; i++)
		check_node(f[i], seq[i]);
	ramka_host_rcu_read_unlock(host);
}

static void *reader(void *arg)
{
	struct rng rng = rng_make((uintptr_t)arg, 1);
	unsigned first = 100; /* sections */
	unsigned stall_ms = (uintptr_t)arg % 100 == 1 ? 500 : (uintptr_t)arg % 100 == 2 && run_seconds > 10 ? 5000 : 0;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		read_section(&rng, first && !--first ? stall_ms : 0);
		atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
	}
	return NULL;
}

static void *writer(void *arg)
{
	struct rng rng = rng_make((uintptr_t)arg, 2);

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct ramka_frame *f = rng_one_in(&rng, 8) ? NULL : new_node(rng_next(&rng));

		f = atomic_exchange_explicit(&table[rng_below(&rng, ENTRIES)], f, memory_order_acq_rel);
		if (f)
			retire(f);
		atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Whole grace periods, one after the other: each waits for a frame of its own. */
static void *monitor(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct ramka_frame *f =
			ramka_frame_alloc(ramka_host_cpu(host), &ramka_type_untyped, NULL,
					  (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });

		if (f && ramka_frame_put_rcu(ramka_host_cpu(host), f) >= 0) {
			ramka_reclaim(ramka_host_cpu(host), true);
			atomic_fetch_add(&periods, 1);
		}
		sched_yield();
	}
	return NULL;
}

static void open_host(const char *name, unsigned nr_cpus)
{
	struct ramka_host_options opt = { .memory = 64u << 20, .nr_cpus = nr_cpus, .rcu = name };
	int rc = ramka_host_create(&opt, &host);

	rcu_name = name;
	CHECK(!rc, "ramka_host_create with \"%s\": %s", name, ramka_strerror(rc));
	r = ramka_host_ramka(host);
	CHECK(!ramka_type_register(r, &node_type), "ramka_type_register");
	atomic_store(&stop, false);
}

/* Everything was given back: nothing is in use, nothing waits, and the audit is content. */
static void close_host(const char *what)
{
	struct ramka_stats s;
	struct ramka_bug bug = { 0 };

	ramka_reclaim(ramka_host_cpu(host), true);
	ramka_drain(r);
	ramka_cpu_offline(ramka_host_cpu(host));
	CHECK(!ramka_check(r, &bug), "%s, %s: ramka_check: %s", rcu_name, what, bug.what);
	ramka_stats_read(r, &s);
	CHECK(!s.in_use && !s.deferred && !atomic_load(&alive),
	      "%s, %s: %llu frames in use, %llu deferred, %llu never dropped", rcu_name, what,
	      (unsigned long long)s.in_use, (unsigned long long)s.deferred,
	      (unsigned long long)atomic_load(&alive));
	CHECK(s.allocs == s.puts, "%s, %s: %llu frames were handed out and %llu given back", rcu_name, what,
	      (unsigned long long)s.allocs, (unsigned long long)s.puts);
	ramka_host_destroy(host);
}

static void torture(const char *name, unsigned threads, unsigned seconds, uint64_t seed)
{
	pthread_t t[MAX_WORKERS + 1];
	uint64_t n;

	open_host(name, threads + 2);
	atomic_store(&reads, 0);
	atomic_store(&writes, 0);
	atomic_store(&periods, 0);
	for (unsigned i = 0; i < AGES; i++)
		atomic_store(&ages[i], 0);
	for (unsigned i = 0; i < threads; i++)
		CHECK(!pthread_create(&t[i], NULL, i % 3 ? reader : writer,
				      (void *)(uintptr_t)(seed * 100 + i)),
		      "no thread");
	CHECK(!pthread_create(&t[threads], NULL, monitor, NULL), "no thread");
	sleep(seconds);
	atomic_store(&stop, true);
	for (unsigned i = 0; i <= threads; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct ramka_frame *f = atomic_exchange(&table[i], NULL);

		if (f)
			retire(f);
	}
	n = atomic_load(&reads) + atomic_load(&writes);
	CHECK(atomic_load(&reads) && atomic_load(&writes) && atomic_load(&periods), "%s: nothing was done",
	      name);
	close_host("torture");
	if (quiet)
		return;
	printf("  %-5s torture: %llu sections and replacements, %u grace periods, seen after removal:", name,
	       (unsigned long long)n, atomic_load(&periods));
	for (unsigned i = 0; i < AGES; i++)
		printf(" %llu", (unsigned long long)atomic_load(&ages[i]));
	printf("\n");
}

/* ---- short threads ---- */

static _Atomic(struct ramka_frame *) left[64];

static void *short_life(void *arg)
{
	struct rng rng = rng_make((uintptr_t)arg, 3);
	struct ramka_cpu *cpu = ramka_host_cpu(host);

	for (unsigned n = 1 + rng_below(&rng, 20); n; n--) {
		struct ramka_frame *f;

		if (rng_one_in(&rng, 2)) {
			f = new_node(rng_next(&rng));
		} else {
			ramka_host_rcu_read_lock(host);
			f = NULL;
			ramka_host_rcu_read_unlock(host);
		}
		f = atomic_exchange_explicit(&left[rng_below(&rng, 64)], f, memory_order_acq_rel);
		if (f && rng_one_in(&rng, 4)) {
			if (ramka_frame_put_rcu(cpu, f) == RAMKA_PRESSURE)
				ramka_reclaim(cpu, true);
		} else if (f) {
			ramka_frame_put(cpu, f);
		}
	}
	return NULL;
}

/* Pages; 0 under ThreadSanitizer, whose own memory grows with each thread. */
static uint64_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = TSAN ? NULL : fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages;
}

static void short_threads(const char *name, unsigned at_once, uint64_t nr, uint64_t seed)
{
	pthread_t t[MAX_WORKERS];
	uint64_t early = 0, most = 0;
	struct ramka_stats s;

	open_host(name, at_once > 2 ? at_once - 1 : at_once); /* one of them has to do without */
	for (uint64_t i = 0; i < nr;) {
		unsigned n = 0;

		for (; n < at_once && i < nr; n++, i++)
			CHECK(!pthread_create(&t[n], NULL, short_life,
					      (void *)(uintptr_t)(seed * 1000000 + i)),
			      "no thread");
		while (n)
			pthread_join(t[--n], NULL);
		atomic_store(&lives, i);
		ramka_stats_read(r, &s);
		most = s.cached + s.in_use + s.deferred > most ? s.cached + s.in_use + s.deferred : most;
		CHECK(s.in_use <= 64, "%s: %llu frames are in use, 64 at most should be", name,
		      (unsigned long long)s.in_use);
		CHECK(s.deferred <= 1024, "%s: %llu frames are deferred, though every thread heeded the mark", name,
		      (unsigned long long)s.deferred);
		if (i < nr / 4)
			early = resident();
	}
	CHECK(!early || resident() < early + 4096,
	      "%s: %llu pages were resident after a quarter of the threads, %llu at the end", name,
	      (unsigned long long)early, (unsigned long long)resident());
	for (unsigned i = 0; i < 64; i++) {
		struct ramka_frame *f = atomic_exchange(&left[i], NULL);

		if (f)
			ramka_frame_put(ramka_host_cpu(host), f);
	}
	close_host("short threads");
	if (!quiet)
		printf("  %-5s %llu short threads: at most %llu frames out of the zones\n", name,
	       (unsigned long long)nr, (unsigned long long)most);
}

#define NR_SOURCES (sizeof(sources) / sizeof(*sources))

static unsigned chosen; /* by bit; 0: all */

static void choose(const char *name)
{
	for (unsigned j = 0; j < NR_SOURCES; j++) {
		if (strcmp(name, sources[j]))
			continue;
		chosen |= 1u << j;
		return;
	}
	fprintf(stderr, "host: no source of grace periods \"%s\"; there are memb, qsbr, mb, ck, ramka\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned threads = 6, seconds = 2;
	uint64_t nr_short = 2000, seed = 1;
	const struct option table[] = {
		OPTION_CALL("--rcu", "NAME", choose),
		OPTION_SMALL("--threads", "N", &threads, 3, MAX_WORKERS),
		OPTION_SMALL("--seconds", "S", &seconds, 1, 1000000),
		OPTION_NUMBER("--short-threads", "N", &nr_short),
		OPTION_NUMBER("--seed", "X", &seed),
		OPTION_FLAG("--quiet", &quiet),
		{ 0 },
	};

	command_keep(argc, argv);
	options_read("host", table, argc, argv, NULL);
	run_seconds = seconds;
	world.opt.seed = seed;
	world.nr_workers = threads;
	watch_start(look);
	for (unsigned j = 0; j < NR_SOURCES; j++) {
		if (chosen && !(chosen >> j & 1))
			continue;
		torture(sources[j], threads, seconds, seed);
		short_threads(sources[j], threads, nr_short, seed);
	}
	printf("host      ok: torture of %u s and %llu short threads with each source of grace periods, seed "
	       "%llu\n",
	       seconds, (unsigned long long)nr_short, (unsigned long long)seed);
	return 0;
}
