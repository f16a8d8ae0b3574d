/* SPDX-License-Identifier: MIT */
/*
 * A page cache: keys to frames in a table of addresses. A lookup takes no lock: inside a read section it loads the
 * address, takes a reference by address, and then checks that the frame is still the one it meant, since the address
 * may have been freed and reused meanwhile. Writers replace frames all the time. The same with a mutex stands beside
 * it, for the numbers.
 */
#include <pthread.h>
#include <ramka/host.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS 8192u
#define LOOKUPS 400000u
#define READERS 2

struct cached { uint64_t key, version; };
RAMKA_DEFINE_TYPE(cached_type, struct cached, .id = RAMKA_TYPE_ID_USER);

static struct ramka_host *host;
static struct ramka *r;
static _Atomic ramka_paddr_t table[KEYS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool with_mutex;
static atomic_bool stop;
static atomic_ulong hits, retries, wrong;

static struct ramka_frame *fill(struct ramka_cpu *cpu, uint64_t key, uint64_t version)
{
	struct cached c = { key, version };
	struct ramka_frame *f = ramka_frame_alloc(cpu, &cached_type, &c, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });

	if (f)
		*(uint64_t *)ramka_frame_content(r, f) = key;
	return f;
}

/* A reference to the frame of `key`; NULL: not cached. */
static struct ramka_frame *look_up(struct ramka_cpu *cpu, uint64_t key)
{
	struct ramka_frame *f = NULL;

	if (with_mutex) {
		pthread_mutex_lock(&mutex);
		ramka_frame_from_in_use(r, atomic_load_explicit(&table[key], memory_order_relaxed), &f);
		pthread_mutex_unlock(&mutex);
		return f;
	}
	for (;;) {
		ramka_paddr_t pa;
		const struct cached *c;
		int rc;

		ramka_host_rcu_read_lock(host);
		pa = atomic_load_explicit(&table[key], memory_order_acquire);
		rc = pa ? ramka_frame_from_in_use(r, pa, &f) : RAMKA_E_UNUSED;
		ramka_host_rcu_read_unlock(host);
		if (!pa)
			return NULL;
		if (!rc) {
			c = ramka_frame_meta_as(r, f, &cached_type);
			if (c && c->key == key)
				return f;
			ramka_frame_put(cpu, f); /* reused for something else between the load and the reference */
		}
		atomic_fetch_add_explicit(&retries, 1, memory_order_relaxed);
	}
}

static void replace(struct ramka_cpu *cpu, uint64_t key, uint64_t version)
{
	struct ramka_frame *f = fill(cpu, key, version);
	ramka_paddr_t old;

	if (!f)
		return;
	if (with_mutex)
		pthread_mutex_lock(&mutex);
	old = atomic_exchange_explicit(&table[key], ramka_frame_into_raw(r, f), memory_order_acq_rel);
	if (with_mutex)
		pthread_mutex_unlock(&mutex);
	f = ramka_frame_from_raw(r, old);
	if (with_mutex)
		ramka_frame_put(cpu, f);
	else if (ramka_frame_put_rcu(cpu, f) == RAMKA_PRESSURE)
		ramka_reclaim(cpu, true);
}

static void *writer(void *arg)
{
	struct ramka_cpu *cpu = ramka_host_cpu(host);
	unsigned seed = 1;

	(void)arg;
	for (uint64_t version = 1; !atomic_load_explicit(&stop, memory_order_relaxed); version++)
		replace(cpu, (unsigned)rand_r(&seed) % KEYS, version);
	return NULL;
}

static void *reader(void *arg)
{
	struct ramka_cpu *cpu = ramka_host_cpu(host);
	unsigned seed = (unsigned)(uintptr_t)arg + 10;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		uint64_t key = (unsigned)rand_r(&seed) % KEYS;
		struct ramka_frame *f = look_up(cpu, key);

		if (!f)
			continue;
		if (*(uint64_t *)ramka_frame_content(r, f) != key)
			atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
		ramka_frame_put(cpu, f);
		atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
	}
	return NULL;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One run; the time per lookup over all readers, in ns. */
static double run(bool mutexes)
{
	pthread_t threads[READERS + 1];
	double start;

	with_mutex = mutexes;
	atomic_store(&stop, false);
	start = seconds();
	for (uintptr_t i = 0; i < READERS + 1; i++)
		if (pthread_create(&threads[i], NULL, i < READERS ? reader : writer, (void *)i))
			exit(1);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	start = seconds() - start;
	atomic_store(&stop, true);
	pthread_join(threads[READERS], NULL);
	return start * 1e9 / (READERS * LOOKUPS);
}

int main(void)
{
	struct ramka_host_options options = { .memory = 256u << 20, .nr_cpus = READERS + 2 };
	struct ramka_stats stats;
	double lockless, locked;

	if (ramka_host_create(&options, &host))
		return 1;
	r = ramka_host_ramka(host);
	if (ramka_type_register(r, &cached_type))
		return 1;
	for (unsigned key = 0; key < KEYS; key++) {
		struct ramka_frame *f = fill(ramka_host_cpu(host), key, 0);

		if (!f)
			return 1;
		table[key] = ramka_frame_into_raw(r, f);
	}
	lockless = run(false);
	ramka_reclaim(ramka_host_cpu(host), true);
	locked = run(true);
	for (unsigned key = 0; key < KEYS; key++)
		ramka_frame_put(ramka_host_cpu(host), ramka_frame_from_raw(r, table[key]));
	ramka_reclaim(ramka_host_cpu(host), true);
	ramka_stats_read(r, &stats);
	printf("lookup with %d readers and a writer: %.0f ns lockless, %.0f ns with a mutex; %lu hits, %lu retries, %lu wrong\n", READERS,
	       lockless, locked, atomic_load(&hits), atomic_load(&retries), atomic_load(&wrong));
	ramka_host_destroy(host);
	return atomic_load(&wrong) || atomic_load(&hits) != 2ul * READERS * LOOKUPS || stats.in_use || stats.deferred;
}
