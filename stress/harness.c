/* SPDX-License-Identifier: MIT */
/* The world, the workers, the rounds and the audits. See harness.h; what is judged is in oracle.c. */
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../tools/dumpfile.h"
#include "harness.h"
#include "points_control.h"
#include "watch.h"

#define DEFAULT_FRAMES 65536u
#define SMALL_FRAMES 6144u
#define NEST_ONE_IN 300u
#define LEVELS 3u

struct world world;
_Thread_local struct worker *this_worker __attribute__((tls_model("initial-exec")));
_Atomic bool world_over;
_Thread_local uint64_t relaxes;

static pthread_t thread[MAX_WORKERS];
static pthread_barrier_t barrier;
static uint64_t round_ops;		       /* steps of each worker in this round, 0 = by time */
static _Atomic unsigned done;		       /* workers whose steps are done */
static uint64_t began, last_line, last_minute; /* of the run */

/* For the watchdog: there is a world with workers, and what the main thread has done. */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static bool watched;
static _Atomic uint64_t main_steps;
static struct sign main_sign, worker_sign[MAX_WORKERS];

_Noreturn void fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "FAIL %s%s, seed %llu, %u workers%s: %s\n",
		world.scenario ? world.scenario->name : "-", world.note, (unsigned long long)world.opt.seed,
		world.nr_workers, world.opt.delays ? ", delays" : "", text);
	if (*command_line)
		dprintf(STDERR_FILENO, "replay: %s\n", command_line);
	_exit(1);
}

/* ---- random numbers and time ---- */

static uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u; /* splitmix64, Steele, Lea and Flood 2014 */
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

struct rng rng_make(uint64_t seed, uint64_t stream)
{
	return (struct rng){ mix64(mix64(seed) ^ mix64(~stream)) };
}

uint64_t rng_next(struct rng *r)
{
	return mix64(r->state++);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ms(void)
{
	return now_ns() / 1000000;
}

static void sleep_ms(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	nanosleep(&t, NULL);
}

/* ---- the world ---- */

static void on_panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	fail("%s: %s, frame %#llx, state %d, word %#llx", bug->operation, bug->what,
	     (unsigned long long)bug->paddr, (int)bug->state, (unsigned long long)bug->ref);
}

static bool on_barrier(void *ctx)
{
	uint64_t n = atomic_fetch_add_explicit(&world.barriers, 1, memory_order_relaxed);

	(void)ctx;
	if (world.scenario->flags & WORLD_DECLINES && n % 16 == 7)
		return false;
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static void on_relax(void *ctx)
{
	(void)ctx;
	relaxes++;
	sched_yield();
}

static bool elapsed_early(void *ctx, uint64_t cookie)
{
	(void)ctx, (void)cookie;
	return true;
}

static void *map_memory(size_t bytes)
{
	void *p =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED, "cannot map %zu bytes", bytes);
	return p;
}

/*
 * The map: unaligned starts, a hole, reserved frames in the middle, memory that can only be claimed by address,
 * memory that is added late, and (unless one node is asked for) a second node.
 */
static size_t make_map(struct ramka_region *g, uint64_t usable, struct rng *rng)
{
	uint64_t at = world.first = (1u << 18) + rng_below(rng, 1500),
		 part = usable / 3 + rng_below(rng, (uint32_t)usable / 8);
	bool two = !(world.scenario->flags & WORLD_ONE_NODE) && rng_one_in(rng, 2);
	size_t n = 0;

#define ADD(nr_, kind_, node_) \
 (g[n++] = (struct ramka_region){ at << RAMKA_PAGE_SHIFT, (uint64_t)(nr_) << RAMKA_PAGE_SHIFT, kind_, \
				  node_ }, \
  at += (nr_))
	ADD(part, RAMKA_USABLE, 0);
	ADD(37, RAMKA_RESERVED, 0);
	world.hole = (struct range){ at, 100 };
	at += 100;
	world.detached = (struct range){ at, 700 };
	ADD(700, RAMKA_DETACHED, 0);
	world.late = (struct range){ at, 2048 };
	ADD(2048, RAMKA_RECLAIMABLE, 0);
	ADD(part, RAMKA_USABLE, 0);
	ADD(usable - 2 * part, RAMKA_USABLE, two);
#undef ADD
	world.nr = at - world.first;
	return n;
}

static void make_cpus(struct ramka_config *cfg, uint32_t *nodes)
{
	for (unsigned i = 0; i < world.nr_cpus; i++)
		nodes[i] = i & 1;
	cfg->nr_cpus = world.nr_cpus;
	cfg->cpu_node = nodes;
}

static void make_oracle(void)
{
	world.owner = map_memory(world.nr * sizeof(*world.owner));
	world.refs = map_memory(world.nr * sizeof(*world.refs));
	for (uint64_t i = 0; i < world.nr; i++) {
		atomic_init(&world.owner[i], 0);
		atomic_init(&world.refs[i], 0);
	}
}

/* A worker, the handler that interrupts it, and one that interrupts that. */
static void make_workers(void)
{
	unsigned n = world.nr_workers;

	world.worker = aligned_alloc(128, LEVELS * n * sizeof(*world.worker));
	CHECK(world.worker, "no memory for the workers");
	memset(world.worker, 0, LEVELS * n * sizeof(*world.worker));
	for (unsigned i = 0; i < LEVELS * n; i++) {
		struct worker *w = &world.worker[i];

		w->id = i / n * MAX_WORKERS + i % n;
		w->cpu = ramka_cpu_at(world.r, i % n);
		w->rng = rng_make(world.opt.seed, w->id);
		w->handler = i + n < LEVELS * n ? w + n : NULL;
	}
}

/* Where slots lie, from two frames. */
static void find_slots(void)
{
	struct ramka_cpu *none = ramka_cpu_none(world.r);
	struct ramka_frame *f[2];
	uint64_t index[2];

	for (unsigned i = 0; i < 2; i++) {
		CHECK(!ramka_frame_from_unused(none, paddr_at(world.detached.first - world.first + i),
					       &raw_type, NULL, &f[i]),
		      "cannot claim a frame by address");
		index[i] = ramka_frame_index(world.r, f[i]) - world.first;
	}
	world.stride = ((uintptr_t)f[1] - (uintptr_t)f[0]) / (index[1] - index[0]);
	world.slots = (uintptr_t)f[0] - index[0] * world.stride;
	for (unsigned i = 0; i < 2; i++)
		ramka_frame_put(none, f[i]);
}

/* ---- the watchdog ---- */

static void watch(bool yes)
{
	pthread_mutex_lock(&watch_lock);
	watched = yes;
	pthread_mutex_unlock(&watch_lock);
}

/* The main thread has got somewhere. */
static void main_step(void)
{
	atomic_fetch_add_explicit(&main_steps, 1, memory_order_relaxed);
}

/* Each busy worker must make steps; if none is busy, or none gets anywhere, the main thread must. */
void world_look(void)
{
	uint64_t all = atomic_load_explicit(&main_steps, memory_order_relaxed);

	pthread_mutex_lock(&watch_lock);
	for (unsigned i = 0; watched && i < world.nr_workers; i++) {
		struct worker *w = &world.worker[i];
		uint64_t ops = atomic_load_explicit(&w->ops, memory_order_relaxed);

		all += ops;
		if (!atomic_load_explicit(&w->busy, memory_order_relaxed) || (!i && points_parked()))
			worker_sign[i] = (struct sign){ 0 };
		else if (sign_stands(&worker_sign[i], ops, world.opt.hang))
			hang("worker %u of %u has made %llu steps, and none for %u s", i, world.nr_workers,
			     (unsigned long long)ops, world.opt.hang);
	}
	if (watched && sign_stands(&main_sign, all, world.opt.hang))
		hang("nothing has happened for %u s", world.opt.hang);
	if (watched && world.opt.map && !dumpfile_write(world.r, world.opt.map))
		fail("cannot write a map to %s", world.opt.map);
	pthread_mutex_unlock(&watch_lock);
}

void world_make(const struct scenario *s, const struct options *opt)
{
	struct ramka_region map[8];
	uint32_t nodes[MAX_WORKERS + 1];
	struct ramka_rcu_ops rcu;
	struct rng rng = rng_make(opt->seed, 1000);
	struct ramka_config cfg = { .regions = map,
				    .panic = on_panic,
				    .barrier_all_cpus = on_barrier,
				    .rcu = &rcu,
				    .meta_size = 64,
				    .high_water = HIGH_WATER };
	uint64_t usable = opt->frames		 ? opt->frames :
			  s->frames_per_worker	 ? opt->workers * s->frames_per_worker :
			  s->flags & WORLD_SMALL ? SMALL_FRAMES :
						   DEFAULT_FRAMES >> opt->memory_shift;
	struct ramka_stats st;
	int rc;

	world = (struct world){
		.scenario = s, .opt = *opt, .nr_workers = opt->workers, .nr_cpus = opt->workers + 1
	};
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	cfg.nr_regions = make_map(map, usable, &rng);
	make_cpus(&cfg, nodes);
	cfg.flags = (rng_one_in(&rng, 2) ? RAMKA_METADATA_ZEROED : 0) |
		    (rng_one_in(&rng, 4) ? RAMKA_SHUFFLE : 0);
	world.memory = map_memory(world.nr << RAMKA_PAGE_SHIFT);
	cfg.direct_map = (uintptr_t)world.memory - (uintptr_t)(world.first << RAMKA_PAGE_SHIFT);
	world.qsbr_cpus = aligned_alloc(64, world.nr_cpus * sizeof(*world.qsbr_cpus));
	ramka_qsbr_init(&world.qsbr, world.qsbr_cpus, world.nr_cpus, &world.rcu);
	if (s->own_readers)
		world.rcu.quiescent = NULL; /* reader i is worker i, whatever CPU it uses */
	world.qsbr.relax = on_relax;
	rcu = world.rcu;
	if (opt->early_reap)
		rcu.elapsed = elapsed_early;
	if (s->configure)
		s->configure(&cfg);
	world.reserve = cfg.min_watermark;
	CHECK(!ramka_metadata_size(&cfg, &world.metadata_bytes), "no size for this configuration");
	world.metadata = map_memory(world.metadata_bytes);
	if (!(cfg.flags & RAMKA_METADATA_ZEROED))
		memset(world.metadata, 0xa5, world.metadata_bytes);
	rc = ramka_init(&cfg, world.metadata, world.metadata_bytes, &world.r);
	CHECK(!rc, "ramka_init: %s", ramka_strerror(rc));
	rc = ramka_type_register(world.r, &tagged_type) | ramka_type_register(world.r, &rcu_type) |
	     ramka_type_register(world.r, &hidden_type) | ramka_type_register(world.r, &linked_type);
	CHECK(!rc, "ramka_type_register: %s", ramka_strerror(rc));
	make_oracle();
	make_workers();
	find_slots();
	ramka_stats_read(world.r, &st);
	world.free_at_start = st.free;
	world.huge_at_start = st.free_huge;
	CHECK(st.free == usable && st.unused == world.detached.nr && st.reserved == 37 + world.late.nr &&
		      !st.in_use,
	      "the counters of a new instance are wrong");
	watch(true);
}

void world_end(void)
{
	int rc;

	watch(false);
	rc = ramka_fini(world.r);
	CHECK(!rc, "ramka_fini: %s", ramka_strerror(rc));
	munmap(world.memory, world.nr << RAMKA_PAGE_SHIFT);
	munmap(world.metadata, world.metadata_bytes);
	munmap(world.owner, world.nr * sizeof(*world.owner));
	munmap(world.refs, world.nr * sizeof(*world.refs));
	free(world.worker);
	free(world.qsbr_cpus);
}

/* ---- workers ---- */

void worker_quiescent(struct worker *w)
{
	if (world.scenario->flags & WORLD_READERS && !w->silent)
		ramka_qsbr_quiescent(&world.qsbr, w->id);
}

void worker_offline(struct worker *w)
{
	if (world.scenario->flags & WORLD_READERS && !w->silent)
		ramka_qsbr_offline(&world.qsbr, w->id);
}

void worker_online(struct worker *w)
{
	if (world.scenario->flags & WORLD_READERS && !w->silent && !atomic_load(&world_over))
		ramka_qsbr_online(&world.qsbr, w->id);
}

void worker_reclaim(struct worker *w, struct ramka_cpu *cpu)
{
	worker_offline(w);
	ramka_reclaim(cpu, true);
	worker_online(w);
}

/* On top of the worker, or on top of a handler that is running already. */
static void run_nest(void *arg)
{
	struct worker *h = ((struct worker *)arg)->handler;

	while (h && atomic_load_explicit(&h->running, memory_order_relaxed))
		h = h->handler;
	if (!h)
		return;
	atomic_store_explicit(&h->running, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	world.scenario->nest(h);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&h->running, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->ops, 1, memory_order_relaxed);
}

static void on_signal(int signo)
{
	(void)signo;
	if (!this_worker)
		return;
	run_nest(this_worker);
	atomic_fetch_add_explicit(&world.signals, 1, memory_order_relaxed);
}

static void signals_may_come(bool yes)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(yes ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static void worker_round(struct worker *w)
{
	bool signals = world.scenario->flags & WORLD_SIGNALS;
	uint64_t ops = 0;

	if (world.park_at && !w->id)
		points_park_me(world.park_at, world.park_visit);
	atomic_store_explicit(&w->busy, true, memory_order_relaxed);
	worker_online(w);
	if (signals)
		signals_may_come(true);
	while (!atomic_load_explicit(&world.stop, memory_order_relaxed) && (!round_ops || ops < round_ops)) {
		world.scenario->step(w);
		ops++;
		atomic_fetch_add_explicit(&w->ops, 1, memory_order_relaxed);
		if (rng_one_in(&w->rng, 8))
			worker_quiescent(w);
	}
	if (signals)
		signals_may_come(false);
	worker_offline(w);
	atomic_store_explicit(&w->busy, false, memory_order_relaxed);
	atomic_fetch_add_explicit(&done, 1, memory_order_release);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	void (*nest)(void *) = world.scenario->nest ? run_nest : NULL;

	this_worker = w;
	signals_may_come(false);
	points_thread(rng_next(&w->rng), nest, w, NEST_ONE_IN);
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (atomic_load(&world_over))
			break;
		worker_round(w);
		pthread_barrier_wait(&barrier);
	}
	atomic_store_explicit(&w->busy, true, memory_order_relaxed);
	if (world.scenario->release)
		world.scenario->release(w);
	atomic_store_explicit(&w->busy, false, memory_order_relaxed);
	this_worker = NULL;
	return NULL;
}

void workers_start(void)
{
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &act, NULL);
	atomic_store(&world_over, false);
	pthread_barrier_init(&barrier, NULL, world.nr_workers + 1);
	for (unsigned i = 0; i < world.nr_workers; i++)
		CHECK(!pthread_create(&thread[i], NULL, worker_main, &world.worker[i]),
		      "cannot start a thread");
}

/* Lets the workers go on to give back what they hold. */
void workers_release(void)
{
	atomic_store(&world_over, true);
	pthread_barrier_wait(&barrier);
}

void workers_join(void)
{
	for (unsigned i = 0; i < world.nr_workers; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&barrier);
}

void worker_signal(unsigned id)
{
	pthread_kill(thread[id], SIGUSR1);
}

/* ---- rounds ---- */

uint64_t total_ops(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LEVELS * world.nr_workers; i++)
		n += atomic_load_explicit(&world.worker[i].ops, memory_order_relaxed);
	return n;
}

static void progress_line(uint64_t since)
{
	struct ramka_stats s;

	ramka_stats_read(world.r, &s);
	printf("  %-9s %4llu s %9.2f M ops  free %llu cached %llu in use %llu deferred %llu steals %llu no "
	       "memory %llu barriers %llu\n",
	       world.scenario->name, (unsigned long long)(now_ms() - since) / 1000, (double)total_ops() / 1e6,
	       (unsigned long long)s.free, (unsigned long long)s.cached, (unsigned long long)s.in_use,
	       (unsigned long long)s.deferred, (unsigned long long)s.steals,
	       (unsigned long long)atomic_load(&world.failures),
	       (unsigned long long)atomic_load(&world.barriers));
	fflush(stdout);
}

/* The latency that all but one in `one_in` of the sampled calls stay below, in ns; and the number of samples. */
static uint64_t latency_of(unsigned what, uint64_t one_in, uint64_t *ret_samples)
{
	uint64_t sum[40] = { 0 }, all = 0, above = 0;
	struct worker *w;

	for (unsigned i = 0; i < world.nr_workers; i++) {
		for (unsigned b = 0; b < 40; b++)
			sum[b] += atomic_load_explicit(&world.worker[i].latency[what].bucket[b],
						       memory_order_relaxed);
		for (unsigned part = 0; world.scenario == &mix && (w = mix_part(i, part)); part++)
			for (unsigned b = 0; b < 40; b++)
				sum[b] += atomic_load_explicit(&w->latency[what].bucket[b],
							       memory_order_relaxed);
	}
	for (unsigned b = 0; b < 40; b++)
		all += sum[b];
	*ret_samples = all;
	for (unsigned b = 40; b--;) {
		above += sum[b];
		if (sum[b] && above > all / one_in)
			return (uint64_t)1 << b;
	}
	return 0;
}

/* Each minute of a soak: footprint and tail latency, of the whole run so far. */
static void soak_line(uint64_t since)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	uint64_t n;

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	printf("  %-9s %4llu min, resident %lu MiB", world.scenario->name,
	       (unsigned long long)(now_ms() - since) / 60000, pages / 256);
	for (unsigned what = 0; what < NR_LATENCIES; what++) {
		uint64_t most = latency_of(what, 100, &n);

		if (!n)
			continue; /* none of those calls goes through take and give */
		printf("; %s 99 %% < %llu ns", what ? "free" : "alloc", (unsigned long long)most);
		printf(", 99.99 %% < %llu ns", (unsigned long long)latency_of(what, 10000, &n));
		printf(", all < %llu ns of %llu", (unsigned long long)latency_of(what, UINT64_MAX, &n),
		       (unsigned long long)n);
	}
	printf("\n");
	fflush(stdout);
}

/* Until time is up or all workers have done their steps. */
static void watch_round(unsigned seconds)
{
	uint64_t start = now_ms();

	while (round_done() < world.nr_workers) {
		uint64_t now = now_ms();

		if (world.opt.soak && now - last_minute >= 60000) {
			last_minute = now;
			soak_line(began);
		}

		if (!round_ops && now - start >= seconds * (uint64_t)1000)
			return;
		if (now - last_line >= 1000) {
			last_line = now;
			if (!world.opt.quiet)
				progress_line(began);
		}
		if (world.scenario->tick)
			world.scenario->tick();
		else
			sleep_ms(10);
	}
}

void round_begin(uint64_t ops, unsigned points)
{
	round_ops = ops;
	atomic_store(&done, 0);
	atomic_store(&world.stop, false);
	points_set(points);
	pthread_barrier_wait(&barrier);
}

void round_end(void)
{
	atomic_store(&world.stop, true);
	pthread_barrier_wait(&barrier);
	points_set(0);
}

unsigned round_done(void)
{
	return atomic_load_explicit(&done, memory_order_acquire);
}

void round_run(unsigned seconds, uint64_t ops)
{
	round_begin(ops, world.opt.delays ? POINTS_DELAY | (world.scenario->nest ? POINTS_NEST : 0) : 0);
	watch_round(seconds);
	round_end();
}

/* ---- audits ---- */

static void check_all(const char *when)
{
	struct ramka_bug bug = { 0 };
	int defects = ramka_check(world.r, &bug);

	main_step();
	CHECK(!defects, "%s: ramka_check found %d defects, the first: %s, frame %#llx, state %d", when,
	      defects, bug.what, (unsigned long long)bug.paddr, (int)bug.state);
}

/*
 * All grace periods are over when nobody reads: then a request may fail while frames are deferred, but it starts what
 * frees them, and they can be had in the end without ramka_reclaim.
 */
static void check_no_memory(const struct ramka_stats *s)
{
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_cpu *cpu = ramka_cpu_at(world.r, world.nr_cpus - 1);
	struct ramka_frame *f = NULL;

	if (s->free || !s->deferred)
		return;
	for (unsigned i = 0; i < 4 && !f; i++)
		f = ramka_frame_alloc(cpu, &raw_type, NULL, req);
	CHECK(f, "no memory: %llu frames are deferred, their grace period is over, and no request gets them",
	      (unsigned long long)s->deferred);
	ramka_frame_put(cpu, f);
	ramka_cpu_offline(cpu);
}

void audit_round(void)
{
	struct ramka_stats s;
	uint64_t owned = count_owned();

	check_all("between rounds");
	ramka_stats_read(world.r, &s);
	if (!(world.scenario->flags & WORLD_UNOWNED))
		CHECK(s.in_use + s.deferred == owned,
		      "%llu frames in use and %llu deferred, but the owner map has %llu",
		      (unsigned long long)s.in_use, (unsigned long long)s.deferred,
		      (unsigned long long)owned);
	if (world.scenario->audit)
		world.scenario->audit();
	check_no_memory(&s);
}

/* Takes every frame there is, each one once, and gives them back. */
static void sweep(void)
{
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT | (world.reserve ? RAMKA_ALLOC_RESERVE : 0) };
	struct ramka_cpu *cpu = ramka_cpu_at(world.r, world.nr_cpus - 1);
	struct ramka_frame **all = malloc(world.free_at_start * sizeof(*all) + 1), *f;
	uint64_t n = 0;

	CHECK(all, "no memory for the sweep");
	while ((f = ramka_frame_alloc(cpu, &raw_type, NULL, req))) {
		CHECK(n < world.free_at_start, "more frames than there are");
		own(ramka_frame_paddr(world.r, f), 1, 1);
		all[n++] = f;
	}
	CHECK(n == world.free_at_start, "%llu frames can be had, %llu were there at the start",
	      (unsigned long long)n, (unsigned long long)world.free_at_start);
	check_all("with every frame taken");
	while (n--) {
		disown(ramka_frame_paddr(world.r, all[n]), 1, 1);
		ramka_frame_put(cpu, all[n]);
	}
	free(all);
}

/* Drops which were held up by a barrier that declined. */
static void settle(void)
{
	struct ramka_stats s;

	for (unsigned i = 0; i < 4; i++) {
		ramka_reclaim(ramka_cpu_none(world.r), true);
		ramka_drain(world.r);
		ramka_stats_read(world.r, &s);
		if (!s.deferred && !s.cached)
			return;
	}
	fail("after reclaim and drain %llu frames are deferred and %llu cached",
	     (unsigned long long)s.deferred, (unsigned long long)s.cached);
}

void audit_end(void)
{
	struct ramka_stats s;

	for (unsigned pass = 0; pass < 2; pass++) {
		settle();
		check_all("at the end");
		ramka_stats_read(world.r, &s);
		CHECK(!s.in_use && !count_owned(),
		      "%llu frames are in use, %llu owned, though all was given back",
		      (unsigned long long)s.in_use, (unsigned long long)count_owned());
		CHECK(s.allocs == s.puts, "%llu frames were handed out and %llu given back",
		      (unsigned long long)s.allocs, (unsigned long long)s.puts);
		CHECK(s.free == world.free_at_start && s.free + s.reserved + s.unused == s.total,
		      "%llu frames are free, not %llu", (unsigned long long)s.free,
		      (unsigned long long)world.free_at_start);
		CHECK(s.free_huge >= world.huge_at_start, "%llu blocks are whole, %llu were",
		      (unsigned long long)s.free_huge, (unsigned long long)world.huge_at_start);
		if (!pass)
			sweep();
	}
	for (uint64_t i = 0; i < world.nr; i++)
		CHECK(!atomic_load(&world.refs[i]),
		      "frame %#llx: the workers count a reference that nobody has",
		      (unsigned long long)paddr_at(i));
}

/* ---- a whole run ---- */

static void run_rounds(const struct scenario *s, const struct options *opt)
{
	unsigned seconds = opt->round_seconds ? opt->round_seconds : 1, rounds = 0;
	bool more;

	if (seconds < s->round_seconds)
		seconds = s->round_seconds;
	do {
		round_run(seconds, opt->ops ? opt->ops / 4 + 1 : 0);
		audit_round();
		rounds++;
		more = opt->ops ? rounds < 4 : now_ms() - began < opt->seconds * (uint64_t)1000;
		more = more || (s->enough && !s->enough());
	} while (more);
}

void run_scenario(const struct scenario *s, const struct options *opt)
{
	uint64_t start = began = last_line = last_minute = now_ms();
	world_make(s, opt);
	if (s->setup)
		s->setup();
	workers_start();
	run_rounds(s, opt);
	if (opt->soak)
		soak_line(began);
	workers_release();
	workers_join();
	if (s->teardown)
		s->teardown();
	world.free_at_start += world.added;
	audit_end();
	CHECK(total_ops(), "nothing was done");
	printf("%-9s ok: %llu ops, %.1f s, %u workers, seed %llu%s", s->name, (unsigned long long)total_ops(),
	       (double)(now_ms() - start) / 1000, opt->workers, (unsigned long long)opt->seed,
	       opt->delays ? ", delays" : "");
	if (s->flags & WORLD_SIGNALS)
		printf(", %llu signals", (unsigned long long)atomic_load(&world.signals));
	printf("\n");
	world_end();
}
