/* SPDX-License-Identifier: MIT */
/*
 * Threads that stand in for CPUs. A thread gets a record per host on first use, keeps the one that it used
 * last in thread-local storage, and gives all of them back when it ends, through the destructor of a
 * pthread key (process.c).
 *
 * A record belongs to its thread, which alone walks and frees its list. It is also on the list of its host,
 * under the registry's lock, so that a host that is destroyed first can say that it is gone: the record's
 * host becomes NULL, and the thread uses the record for the next host that it meets. A host's id is never
 * used again, so a record left in thread-local storage matches no later host, wherever that lies.
 *
 * Handlers. A handler may be the first to use a host on its thread, on top of the thread's own first use too:
 *   - a record is made with signals blocked, after a second look for one that a handler has made. The list
 *     only grows, at its head, so a walk over it that a handler interrupts goes on as before;
 *   - the lease of a CPU goes into the record by CAS: of the thread and its handler, the later one gives
 *     its place back and uses the other's (pair host.own).
 * A handler that interrupts the end of the thread finds no record: signals are blocked until all are gone.
 *
 * A thread may call the layer even after its end, since other keys' destructors and handlers run later. It
 * gets no CPU any more, since nothing would give it back. A read section makes a record that goes with the
 * section.
 *
 * Contexts: the first use of a thread locks, later uses are two loads and a comparison. Any context.
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

HOST_TLS struct host_thread *host_last;
static HOST_TLS struct host_thread *mine; /* all of this thread's records */
static HOST_TLS bool ended;
static HOST_TLS uint64_t going; /* lease of the CPU that this thread takes off line in its end */

/* ---- records ---- */

/* Of this thread and that host. */
struct host_thread *host_thread_find(const struct ramka_host *h)
{
	struct host_thread *t = mine;

	while (t && t->host_id != h->id)
		t = t->next;
	return t;
}

/* Takes the record off its host's list. Under the lock. */
static void unlink_record(struct host_thread *t)
{
	*t->host_link = t->host_next;
	if (t->host_next)
		t->host_next->host_link = t->host_link;
}

/*
 * The thread has no more to do with the host. Not under the lock, since a CPU that goes off line may call
 * on_drop; `leaving` keeps the host alive meanwhile. Signals are blocked, the record is on no list of the
 * host.
 */
static void leave(struct host_thread *t)
{
	struct ramka_host *h = t->host;
	uint64_t lease = ramka_load(&t->lease, relaxed, host.own);

	if (t->reader && h->source->leave)
		h->source->leave(h, t);
	if (lease) {
		going = lease;
		ramka_cpu_offline(ramka_cpu_at(h->r, (unsigned)lease - 1));
		going = 0;
		host_lease_give(&h->cpus, (unsigned)lease - 1);
	}
}

/* The thread's newest record goes. Signals are blocked. */
static void end_newest(void)
{
	struct host_thread *t = mine;
	struct ramka_host *h;
	sigset_t old;

	host_lock(&old);
	mine = t->next;
	host_last = NULL;
	h = t->host;
	if (h) {
		unlink_record(t);
		h->leaving++;
	}
	host_unlock(&old);
	if (h)
		leave(t);
	host_lock(&old);
	if (h)
		h->leaving--;
	host_record_free(t);
	host_unlock(&old);
}

void host_thread_ends(void *unused)
{
	sigset_t old;

	(void)unused;
	host_block_signals(&old);
	ended = true;
	while (mine)
		end_newest();
	host_source_thread_exit();
	host_restore_signals(&old);
}

void host_section_over(struct host_thread *t)
{
	sigset_t old;

	if (likely(!t->late))
		return;
	host_block_signals(&old);
	while (mine && !mine->nest) /* the others stay until their sections are over */
		end_newest();
	if (!mine)
		host_source_thread_exit();
	host_restore_signals(&old);
}

/* A record of this thread whose host is gone, or a new one. Under the lock. */
static struct host_thread *get_record(void)
{
	struct host_thread *t = mine;

	while (t && t->host)
		t = t->next;
	if (t) {
		t->nest = 0;
		t->online = false;
		t->reader = NULL;
		t->cpu = NULL;
		ramka_store(&t->lease, 0, relaxed, host.own);
		return t;
	}
	t = host_record_new();
	if (t) {
		t->next = mine;
		mine = t;
	}
	return t;
}

static struct host_thread *join(struct ramka_host *h)
{
	struct host_thread *t;
	sigset_t old;

	if (!host_watch_thread())
		return NULL;
	host_lock(&old);
	t = host_thread_find(h); /* a handler was here first */
	if (!t && (t = get_record())) {
		t->late = ended;
		t->tid = (long)syscall(SYS_gettid);
		t->host = h;
		t->host_id = h->id;
		t->host_next = h->threads;
		t->host_link = &h->threads;
		if (h->threads)
			h->threads->host_link = &t->host_next;
		h->threads = t;
	}
	host_unlock(&old);
	return t;
}

struct host_thread *host_thread_slow(struct ramka_host *h)
{
	struct host_thread *t = host_thread_find(h);

	if (!t)
		t = join(h);
	if (t)
		host_last = t;
	return t;
}

void host_detach_threads(struct ramka_host *h)
{
	sigset_t old;

	host_lock(&old);
	while (h->leaving) {
		host_unlock(&old);
		sched_yield();
		host_lock(&old);
	}
	for (struct host_thread *t = h->threads; t; t = t->host_next) {
		if (t->reader && h->source->leave)
			h->source->leave(h, t);
		t->host = NULL;
	}
	h->threads = NULL;
	host_unlock(&old);
	host_leases_give_all(&h->cpus, h->cpus.nr);
}

static bool is_mine(const struct host_thread *t)
{
	const struct host_thread *m = mine;

	while (m && m != t)
		m = m->next;
	return m;
}

struct host_thread *host_threads_fork(struct ramka_host *h)
{
	struct host_thread *t, *next, *own = NULL;

	h->leaving = 0;
	for (t = h->threads; t; t = next) {
		next = t->host_next;
		if (is_mine(t)) {
			own = t;
			continue;
		}
		unlink_record(t);
		host_record_free(t);
	}
	return own;
}

/* ---- a thread's CPU ---- */

/* No CPU is free. `no_cpu` is called once for each host. */
static struct ramka_cpu *without_cpu(struct ramka_host *h)
{
	if (ramka_add(&h->refused, 1, relaxed, host.refused) == 0)
		h->no_cpu(h->ctx, h->cpus.nr);
	return ramka_cpu_none(h->r);
}

static struct ramka_cpu *lease_cpu(struct ramka_host *h, struct host_thread *t)
{
	uint64_t lease = ramka_load(&t->lease, relaxed, host.own);
	unsigned place;

	if (!lease) {
		if (!host_lease_take(&h->cpus, &place))
			return without_cpu(h);
		if (ramka_cas(&t->lease, &lease, place + 1, relaxed, host.own))
			lease = place + 1;
		else
			host_lease_give(&h->cpus, place); /* a handler has one already */
	}
	t->cpu = ramka_cpu_at(h->r, (unsigned)lease - 1);
	return t->cpu;
}

struct ramka_cpu *ramka_host_cpu(struct ramka_host *h)
{
	struct host_thread *t = host_last;

	if (likely(t && t->host_id == h->id && t->cpu))
		return t->cpu;
	if (ended)
		return ramka_cpu_none(h->r);
	t = host_thread(h);
	return t ? lease_cpu(h, t) : without_cpu(h);
}

/* ---- whose CPU is it? ---- */

unsigned host_this_cpu(void *ctx, unsigned used)
{
	struct ramka_host *h = ctx;
	const struct host_thread *t = host_last;
	uint64_t lease;

	if (!t || t->host_id != h->id)
		t = host_thread_find(h);
	lease = t ? ramka_load(&t->lease, relaxed, host.own) : going;
	if (lease == (uint64_t)used + 1)
		return used;
	if (!host_lease_is_taken(&h->cpus, used))
		return used; /* no thread has it: the program deals out CPUs itself */
	return lease ? (unsigned)lease - 1 : h->cpus.nr;
}

long ramka_host_owner(struct ramka_host *h, unsigned cpu)
{
	long tid = 0;
	sigset_t old;

	host_lock(&old);
	for (const struct host_thread *t = h->threads; t; t = t->host_next)
		if (ramka_load(&t->lease, relaxed, host.own) == (uint64_t)cpu + 1)
			tid = t->tid;
	host_unlock(&old);
	return tid;
}

void ramka_host_stats_read(struct ramka_host *h, struct ramka_host_stats *ret_s)
{
	sigset_t old;

	*ret_s = (struct ramka_host_stats){ .nr_cpus = h->cpus.nr, .leased = host_leases_taken(&h->cpus) };
	ret_s->refused = ramka_load(&h->refused, relaxed, host.refused);
	host_lock(&old);
	for (const struct host_thread *t = h->threads; t; t = t->host_next)
		ret_s->threads++;
	host_unlock(&old);
}
