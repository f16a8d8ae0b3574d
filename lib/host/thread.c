/* SPDX-License-Identifier: MIT */
/*
 * Threads that stand in for CPUs. A thread gets a record per host on first use, keeps the one that it used
 * last in thread-local storage, and gives all of them back when it ends, through the destructor of a
 * pthread key.
 *
 * A record belongs to its thread, which alone walks and frees its list. It is also on the list of its host,
 * under the registry's lock, so that a host that is destroyed first can say that it is gone: the record's
 * host becomes NULL, and the thread frees the record when it next registers somewhere or ends. A host's id
 * is never used again, so a record left in thread-local storage matches no later host, wherever that lies.
 *
 * Leases of CPUs are bits, set and cleared by CAS (pair host.lease): what the thread before did with the
 * CPU comes before what the next one does. A thread that found none looks again whenever it asks.
 *
 * Contexts: the first use of a thread allocates and locks; later uses are two loads and a comparison.
 */
#include <pthread.h>
#include <stdlib.h>

#include "internal.h"

HOST_TLS struct host_thread *host_last;
static HOST_TLS struct host_thread *mine; /* all of this thread's records */

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

/* ---- leases ---- */

#define BITS 64u

bool host_leases_init(struct host_leases *l, unsigned nr)
{
	l->words = calloc((nr + BITS - 1) / BITS, sizeof(*l->words));
	l->nr = nr;
	return l->words;
}

void host_leases_fini(struct host_leases *l)
{
	free(l->words);
}

bool host_lease_take(struct host_leases *l, unsigned *ret_place)
{
	for (unsigned base = 0; base < l->nr; base += BITS) {
		struct ramka_atomic_u64 *word = &l->words[base / BITS];
		uint64_t taken = ramka_load(word, relaxed, host.lease);

		while (~taken) {
			unsigned bit = (unsigned)__builtin_ctzll(~taken);

			if (base + bit >= l->nr)
				return false;
			if (ramka_cas(word, &taken, taken | (uint64_t)1 << bit, acquire, host.lease)) {
				*ret_place = base + bit;
				return true;
			}
		}
	}
	return false;
}

void host_lease_give(struct host_leases *l, unsigned place)
{
	ramka_and(&l->words[place / BITS], ~((uint64_t)1 << place % BITS), release, host.lease);
}

/* ---- records ---- */

/* The thread has no more to do with the host. Under the lock: the host cannot go away meanwhile. */
static void leave(struct host_thread *t)
{
	struct ramka_host *h = t->host;

	if (t->reader && h->source->leave)
		h->source->leave(h, t);
	if (t->cpu) {
		ramka_cpu_offline(t->cpu);
		host_lease_give(&h->cpus, t->lease);
	}
	*t->host_link = t->host_next;
	if (t->host_next)
		t->host_next->host_link = t->host_link;
}

static void thread_ends(void *unused)
{
	struct host_thread *t;

	(void)unused;
	pthread_mutex_lock(&registry);
	while ((t = mine)) {
		mine = t->next;
		if (t->host)
			leave(t);
		free(t);
	}
	host_last = NULL;
	pthread_mutex_unlock(&registry);
	host_source_thread_exit();
}

static void make_key(void)
{
	have_key = !pthread_key_create(&key, thread_ends);
}

/* Frees this thread's records of hosts that are gone. Under the lock. */
static void sweep(void)
{
	struct host_thread **link = &mine, *t;

	while ((t = *link)) {
		if (t->host) {
			link = &t->next;
			continue;
		}
		*link = t->next;
		if (host_last == t)
			host_last = NULL;
		free(t);
	}
}

static struct host_thread *join(struct ramka_host *h)
{
	struct host_thread *t;

	pthread_once(&once, make_key);
	if (!have_key || pthread_setspecific(key, &key)) /* any value but NULL: the destructor is called */
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->host_id = h->id;
	t->host = h;
	pthread_mutex_lock(&registry);
	sweep();
	t->next = mine;
	mine = t;
	t->host_next = h->threads;
	t->host_link = &h->threads;
	if (h->threads)
		h->threads->host_link = &t->host_next;
	h->threads = t;
	pthread_mutex_unlock(&registry);
	return t;
}

struct host_thread *host_thread_slow(struct ramka_host *h)
{
	struct host_thread *t = mine;

	while (t && t->host_id != h->id)
		t = t->next;
	if (!t)
		t = join(h);
	if (t)
		host_last = t;
	return t;
}

void host_detach_threads(struct ramka_host *h)
{
	pthread_mutex_lock(&registry);
	for (struct host_thread *t = h->threads; t; t = t->host_next) {
		if (t->reader && h->source->leave)
			h->source->leave(h, t);
		t->host = NULL;
	}
	h->threads = NULL;
	sweep();
	pthread_mutex_unlock(&registry);
	for (unsigned i = 0; i < h->cpus.nr; i++)
		host_lease_give(&h->cpus, i);
}

/* ---- a thread's CPU ---- */

static struct ramka_cpu *lease_cpu(struct ramka_host *h, struct host_thread *t)
{
	if (!t || !host_lease_take(&h->cpus, &t->lease))
		return ramka_cpu_none(h->r);
	t->cpu = ramka_cpu_at(h->r, t->lease);
	return t->cpu;
}

struct ramka_cpu *ramka_host_cpu(struct ramka_host *h)
{
	struct host_thread *t = host_thread(h);

	return likely(t && t->cpu) ? t->cpu : lease_cpu(h, t);
}
