/* SPDX-License-Identifier: MIT */
/*
 * What the process does to the hosted layer: it loads and unloads it, its threads end, it forks.
 *
 * The registry. One lock for what all hosts share: the list of hosts, each host's list of records, the spare
 * records. The lock is held with all signals blocked, so a handler never finds it held by the thread that it
 * interrupted, and may take it. No call under it can call back into the layer.
 *
 * Threads that end. The destructor of a thread key gives back what the thread has. The key is made when the
 * library is loaded, before a program makes keys of its own: libc keeps the values of its first keys in the
 * thread itself, so that setting one allocates nothing and a handler may do it.
 *
 * Unloading. The shared library is linked with -z nodelete and stays. Where the layer is linked into a plugin
 * instead, the key goes with the plugin, so that no thread that ends later calls into it; libc forgets the
 * handlers of fork by itself. The same happens when the process exits: threads that register after that are
 * not taken off any more.
 *
 * fork. The child has a private copy of each instance and of its memory, and one thread. The registry's lock
 * is held over the fork, so the copy is whole. In the child
 *   - the records of threads that do not exist go. Their CPUs stay leased, since a thread may have been
 *     inside a call: what it held is lost to the child, as with any CPU that stops inside a call
 *     (docs/contexts.md);
 *   - each host changes over to the source "ramka" (rcu.c). Readers and helper threads exist in the
 *     parent only, so the child must not wait for them, and threads that do not exist may hold liburcu's
 *     locks.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "internal.h"

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct ramka_host *hosts;

/* ---- signals and the lock ---- */

void host_block_signals(sigset_t *ret_old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, ret_old);
}

void host_restore_signals(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

void host_lock(sigset_t *ret_old)
{
	host_block_signals(ret_old);
	pthread_mutex_lock(&registry);
}

void host_unlock(const sigset_t *old)
{
	pthread_mutex_unlock(&registry);
	host_restore_signals(old);
}

/* ---- hosts and spare records ---- */

void host_enlist(struct ramka_host *h)
{
	sigset_t old;

	host_lock(&old);
	h->next = hosts;
	h->link = &hosts;
	if (hosts)
		hosts->link = &h->next;
	hosts = h;
	host_unlock(&old);
}

void host_delist(struct ramka_host *h)
{
	sigset_t old;

	host_lock(&old);
	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	host_unlock(&old);
}

struct ramka_host *host_of_address(const void *address)
{
	struct ramka_host *h;
	sigset_t old;

	host_lock(&old);
	for (h = hosts; h; h = h->next)
		if ((uintptr_t)address - (uintptr_t)h->frames.base < h->frames.size)
			break;
	host_unlock(&old);
	return h;
}

#define RECORDS_BYTES 4096u

static struct host_thread *spare;

/* Not by malloc, which may be what a handler interrupted. The memory stays with the process. */
static void make_records(void)
{
	int saved = errno;
	struct host_thread *t =
		mmap(NULL, RECORDS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	errno = saved;
	if (t == MAP_FAILED)
		return;
	for (unsigned i = 0; i < RECORDS_BYTES / sizeof(*t); i++)
		host_record_free(&t[i]);
}

struct host_thread *host_record_new(void)
{
	struct host_thread *t;

	if (!spare)
		make_records();
	t = spare;
	if (t) {
		spare = t->next;
		*t = (struct host_thread){ 0 };
	}
	return t;
}

void host_record_free(struct host_thread *t)
{
	t->next = spare;
	spare = t;
}

/* ---- fork ---- */

static sigset_t before_fork; /* under the lock */

static void fork_begins(void)
{
	sigset_t old;

	host_lock(&old);
	before_fork = old;
}

static void fork_ends(void)
{
	sigset_t old = before_fork;

	host_unlock(&old);
}

static void fork_ends_in_child(void)
{
	host_barrier_init();
	host_sources_fork();
	for (struct ramka_host *h = hosts; h; h = h->next)
		host_rcu_fork(h, host_threads_fork(h));
	fork_ends();
}

/* ---- loading and unloading ---- */

static pthread_key_t key;
static bool ready;
static struct ramka_atomic_u32 unloaded;

__attribute__((constructor)) static void load(void)
{
	ready = !pthread_key_create(&key, host_thread_ends) &&
		!pthread_atfork(fork_begins, fork_ends, fork_ends_in_child);
}

__attribute__((destructor)) static void unload(void)
{
	ramka_store(&unloaded, 1, relaxed, host.unload);
	if (ready)
		pthread_key_delete(key);
}

bool host_process_ready(void)
{
	return ready;
}

bool host_watch_thread(void)
{
	/* any value but NULL: the destructor is called */
	return ramka_load(&unloaded, relaxed, host.unload) || !pthread_setspecific(key, &key);
}
