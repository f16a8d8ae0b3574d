/* SPDX-License-Identifier: MIT */
/*
 * Which source of grace periods a host uses, its read sections, and waiting by polling.
 *
 * The core gets operations of this file, which pass each call on to the source. So the source can change: in
 * a child of fork a host goes on with the source "ramka". Only the thread that forked exists there, so the
 * child must not wait for readers and helpers of other threads. The state of "ramka" was made beforehand.
 * Cookies go on above those that were given out before. If the forking thread is in a read section, it is the
 * one reader of the new state, and every cookie waits for it.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "internal.h"

struct choice {
	const char *name;
	const struct host_source *source; /* NULL: not built in */
};

static const struct choice choices[] = {
#ifdef RAMKA_HAVE_URCU
	{ "memb", &host_source_memb }, { "qsbr", &host_source_qsbr }, { "mb", &host_source_mb },
#else
	{ "memb", NULL }, { "qsbr", NULL }, { "mb", NULL },
#endif
#ifdef RAMKA_HAVE_CK
	{ "ck", &host_source_ck },
#else
	{ "ck", NULL },
#endif
	{ "ramka", &host_source_ramka },
};

#define NR_CHOICES (sizeof(choices) / sizeof(*choices))

static bool is_there(const struct choice *c)
{
	return c->source && !(c->source->reading && host_urcu_gone()); /* liburcu's have `reading` */
}

int host_source_find(const char *name, const struct host_source **ret_source)
{
	const struct choice *c = choices;

	/* no wish: the first that is there */
	while (c < choices + NR_CHOICES && (name ? strcmp(c->name, name) != 0 : !is_there(c)))
		c++;
	if (c == choices + NR_CHOICES)
		return RAMKA_E_INVAL;
	if (!is_there(c))
		return RAMKA_E_UNSUPPORTED;
	*ret_source = c->source;
	return 0;
}

#ifndef RAMKA_HAVE_URCU
void host_source_thread_exit(void)
{
}

void host_sources_fork(void)
{
}

bool host_urcu_gone(void)
{
	return false;
}
#endif

/* ---- read sections ---- */

void ramka_host_rcu_read_lock(struct ramka_host *h)
{
	struct host_thread *t = host_thread(h);

	if (unlikely(!t))
		host_die("no memory to register a reader");
	if (unlikely(!t->reader))
		h->source->join(h, t);
	h->source->read_lock(h, t);
}

static __attribute__((noinline)) void unlock_too_many(struct ramka_host *h)
{
	struct ramka_bug bug = {
		.operation = "ramka_host_rcu_read_unlock",
		.what = "this thread has no read section open on this host",
	};

	host_bug(h, &bug);
}

void ramka_host_rcu_read_unlock(struct ramka_host *h)
{
	struct host_thread *t = host_last;

	if (unlikely(!t || t->host_id != h->id))
		t = host_thread_find(h);
	if (unlikely(!t || !t->nest)) {
		unlock_too_many(h);
		return;
	}
	h->source->read_unlock(h, t);
	if (!t->nest)
		host_section_over(t);
}

bool host_reading(struct ramka_host *h)
{
	const struct host_thread *t = host_thread_find(h);

	return (t && t->nest) || (h->source->reading && h->source->reading());
}

/* ---- what the core is given ---- */

static uint64_t snapshot(void *ctx)
{
	struct ramka_host *h = ctx;

	return h->rcu.snapshot(h->rcu.ctx);
}

static bool elapsed(void *ctx, uint64_t cookie)
{
	struct ramka_host *h = ctx;

	return h->rcu.elapsed(h->rcu.ctx, cookie);
}

static void expedite(void *ctx)
{
	struct ramka_host *h = ctx;

	if (h->rcu.expedite)
		h->rcu.expedite(h->rcu.ctx);
}

/*
 * Before liburcu waits on this thread with its locks held, the thread becomes a reader, since a handler that
 * reads meanwhile must not register it. No wait is a point of cancellation: that would leave the locks held,
 * and leak the frames that wait.
 */
static struct host_thread *begin_wait(struct ramka_host *h, int *ret_cancel)
{
	struct host_thread *t = h->source->reading ? host_thread(h) : NULL;

	if (t && !t->reader)
		h->source->join(h, t);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, ret_cancel);
	return t;
}

static void end_wait(struct host_thread *t, int cancel)
{
	if (t && !t->nest)
		host_section_over(t);
	pthread_setcancelstate(cancel, NULL);
}

__attribute__((noinline)) void host_waits_inside(struct ramka_host *h, const char *operation)
{
	struct ramka_bug bug = {
		.operation = operation,
		.what = "called inside a read section, for whose end it waits",
		.state = RAMKA_STATE_HOLE,
	};

	host_bug(h, &bug);
}

static void wait(void *ctx, uint64_t cookie)
{
	struct ramka_host *h = ctx;
	struct host_thread *t;
	int cancel;

	if (host_reading(h)) {
		host_waits_inside(h, "ramka_reclaim");
		return;
	}
	t = begin_wait(h, &cancel);
	h->rcu.wait(h->rcu.ctx, cookie);
	end_wait(t, cancel);
}

static bool wait_bounded(void *ctx, uint64_t cookie)
{
	struct ramka_host *h = ctx;
	int cancel;
	struct host_thread *t = begin_wait(h, &cancel);
	bool over = h->rcu.wait_bounded(h->rcu.ctx, cookie);

	end_wait(t, cancel);
	return over;
}

int host_rcu_init(struct ramka_host *h, struct ramka_rcu_ops *ret_ops)
{
	int error = h->source->create(&h->rcu, &h->state);

	if (!error && h->source != &host_source_ramka)
		error = host_source_ramka.create(&h->heir_rcu, &h->heir);
	*ret_ops = (struct ramka_rcu_ops){
		.snapshot = snapshot,
		.elapsed = elapsed,
		.wait = wait,
		.expedite = expedite,
		.ctx = h,
		.wait_bounded = wait_bounded,
	};
	return error;
}

void host_rcu_fini(struct ramka_host *h)
{
	if (h->heir)
		host_source_ramka.destroy(h->heir);
	if (h->state)
		h->source->destroy(h->state);
}

void host_rcu_fork(struct ramka_host *h, struct host_thread *t)
{
	uint64_t newest = 0;

	if (h->heir) {
		newest = h->source->forget(h->state);
		h->source = &host_source_ramka;
		h->state = h->heir;
		h->rcu = h->heir_rcu;
		h->heir = NULL;
	}
	host_own_restart(h->state, newest, t);
}

/* ---- waiting ---- */

#define YIELDS 64
#define SLEEP_MIN 50000L   /* ns */
#define SLEEP_MAX 1000000L

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool host_poll(bool (*is_over)(void *ctx, uint64_t cookie), void *ctx, uint64_t cookie, unsigned ms)
{
	struct timespec sleep = { .tv_nsec = SLEEP_MIN };
	uint64_t end = ms ? now_ms() + ms : UINT64_MAX;

	for (unsigned i = 0; i < YIELDS; i++) {
		if (is_over(ctx, cookie))
			return true;
		sched_yield();
	}
	while (!is_over(ctx, cookie)) {
		if (now_ms() >= end)
			return false;
		nanosleep(&sleep, NULL);
		if (sleep.tv_nsec < SLEEP_MAX)
			sleep.tv_nsec *= 2;
	}
	return true;
}
