/* SPDX-License-Identifier: MIT */
/*
 * Grace periods of liburcu, by polling: the sources "memb", "qsbr" and "mb" of the hosted layer. Built where
 * RAMKA_HAVE_URCU is. It has a file of its own, since liburcu is LGPL. liburcu is linked dynamically. Only
 * the read side is inline, which its licence allows for functions of less than ten lines, and which is ten
 * times as fast so.
 *
 * liburcu 0.13 has no polling, and a callback of its call_rcu comes late, since its worker sleeps 10 ms
 * between batches. So each host has a helper thread of its own, which runs synchronize_rcu when asked and
 * then says how far it is. Measured on two busy CPUs, memb: a poll sees the end of a grace period after 80
 * us, with call_rcu after 10 ms.
 *
 *   asked     2 * the last grace period that a snapshot asked for, + ASLEEP while the helper sleeps
 *   finished  the last one that is over
 *   bell      what the helper is to look at: RING, HURRY, STOP; it sleeps only on 0
 *
 * A snapshot raises `asked` and, if the helper sleeps, wakes it: one atomic operation and seldom a system
 * call, in any context, a signal handler included. The helper reads `asked`, waits for a grace period and
 * publishes what it had read: every snapshot that it covers came before the grace period began. ASLEEP lies
 * in the same word, so the helper cannot go to sleep past a snapshot (its CAS fails) and a snapshot cannot
 * overlook that it sleeps. After a grace period the helper rests, unless it was told to hurry. So a stream of
 * bags costs a few thousand grace periods a second, and not as many as fit.
 *
 * A thread is registered with liburcu on its first read section, per flavour and not per host, as liburcu has
 * it, and taken off when it ends. A thread that has registered itself before is left as it is; it must not do
 * so afterwards. Registering takes a lock of liburcu's: signals are blocked meanwhile, and a thread registers
 * before it waits (rcu.c), so that a handler never registers on top of liburcu. With qsbr a thread is online
 * inside its outermost read section only: a thread that sleeps, blocks or knows nothing of RCU delays no
 * grace period, and no thread has to announce quiescent states.
 *
 * fork. liburcu's list of readers and its locks cannot be mended in a child: readers of the parent stay on
 * the list, and the helper may have held the locks at the fork. So a child of a process that had a host with
 * one of these sources, or readers other than the forking thread, calls liburcu no more: its hosts change
 * over (rcu.c), and ramka_host_create refuses these sources. `users` counts both.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <urcu/urcu-memb.h>
#include <urcu/urcu-mb.h>
#include <urcu/urcu-qsbr.h>
/* the read side inline, and what says whether a thread is registered */
#include <urcu/static/urcu-memb.h>
#include <urcu/static/urcu-mb.h>
#include <urcu/static/urcu-qsbr.h>

#include "internal.h"

#define ASLEEP 1u
#define ONE 2u

#define RING 1u  /* asleep and asked */
#define HURRY 2u /* no rest */
#define STOP 4u

#define REST_NS 200000L

struct urcu {
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 asked;
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 finished;
	RAMKA_ALIGNAS(64) struct ramka_atomic_u32 bell;
	void (*synchronize)(void);
	pthread_t helper;
	char sync; /* for ThreadSanitizer, see host/internal.h */
};

/* ---- the helper ---- */

/* Sleeps while the bell is silent, for `ns` at most unless 0. */
static void listen(struct urcu *u, long ns)
{
	struct timespec t = { .tv_nsec = ns };

	syscall(SYS_futex, &u->bell.value, FUTEX_WAIT_PRIVATE, 0, ns ? &t : NULL, NULL, 0);
}

static void ring(struct urcu *u, uint32_t why)
{
	int saved = errno;

	if (ramka_or(&u->bell, why, release, urcu.bell) == 0)
		syscall(SYS_futex, &u->bell.value, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

static uint64_t finished(const struct urcu *u)
{
	return ramka_load(&u->finished, acquire, urcu.finished);
}

/* One grace period, by the helper or by a caller that waits. */
static void grace_period(struct urcu *u)
{
	uint64_t target = ramka_load(&u->asked, acquire, urcu.asked) / ONE, old;

	u->synchronize();
	host_readers_left(&u->sync);
	old = ramka_load(&u->finished, relaxed, urcu.finished);
	while (old < target && !ramka_cas(&u->finished, &old, target, release, urcu.finished))
		;
}

static void *help(void *arg)
{
	struct urcu *u = arg;

	while (!(ramka_xchg(&u->bell, 0, acquire, urcu.bell) & STOP)) {
		uint64_t asked = ramka_load(&u->asked, relaxed, urcu.asked);

		if (asked / ONE > finished(u)) {
			grace_period(u);
			listen(u, REST_NS);
		} else if (ramka_cas(&u->asked, &asked, asked | ASLEEP, relaxed, urcu.asked)) {
			listen(u, 0);
		}
	}
	return NULL;
}

/* ---- struct ramka_rcu_ops ---- */

static uint64_t snapshot(void *ctx)
{
	struct urcu *u = ctx;
	/* release: all that was done before, to the thread that waits for the grace period */
	uint64_t old = ramka_add(&u->asked, ONE, release, urcu.asked);

	if (unlikely(old & ASLEEP) && ramka_and(&u->asked, ~(uint64_t)ASLEEP, relaxed, urcu.asked) & ASLEEP)
		ring(u, RING);
	return old / ONE + 1;
}

static bool elapsed(void *ctx, uint64_t cookie)
{
	return finished(ctx) >= cookie;
}

/* Called out of any read section, so liburcu may wait right here. */
static void wait(void *ctx, uint64_t cookie)
{
	if (!elapsed(ctx, cookie))
		grace_period(ctx);
}

static void expedite(void *ctx)
{
	struct urcu *u = ctx;
	uint64_t asked = ramka_load(&u->asked, relaxed, urcu.asked);

	/* called by every put above the high-water mark: it must be cheap when it is of no use */
	if (asked / ONE > finished(u) && !(ramka_load(&u->bell, relaxed, urcu.bell) & HURRY))
		ring(u, HURRY);
}

static bool wait_bounded(void *ctx, uint64_t cookie)
{
	expedite(ctx);
	return host_poll(elapsed, ctx, cookie, HOST_BOUNDED_MS);
}

/* Hosts that have a helper, and threads that this layer registered, in this process. */
static struct ramka_atomic_u32 users;
static bool gone; /* set by the one thread of a child of fork */

static int create(void (*synchronize)(void), struct ramka_rcu_ops *ret_ops, void **ret_state)
{
	struct urcu *u = aligned_alloc(RAMKA_ALIGNOF(struct urcu), sizeof(*u));
	sigset_t all, old;
	int error;

	if (!u)
		return RAMKA_E_NOMEM;
	*u = (struct urcu){ .synchronize = synchronize };
	ramka_store(&u->asked, ONE, relaxed, urcu.asked); /* cookies are above 1 */
	ramka_store(&u->finished, 1, relaxed, urcu.finished);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the program's signals are not for the helper */
	error = pthread_create(&u->helper, NULL, help, u);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		free(u);
		return RAMKA_E_NOMEM;
	}
	ramka_add(&users, 1, relaxed, urcu.users);
	*ret_ops = (struct ramka_rcu_ops){
		.snapshot = snapshot,
		.elapsed = elapsed,
		.wait = wait,
		.expedite = expedite,
		.ctx = u,
		.wait_bounded = wait_bounded,
	};
	*ret_state = u;
	return 0;
}

/* A grace period that is still running is waited for: until its readers leave. */
static void destroy(void *state)
{
	struct urcu *u = state;

	ring(u, STOP);
	pthread_join(u->helper, NULL);
	ramka_sub(&users, 1, relaxed, urcu.users);
	free(u);
}

static uint64_t forget(void *state)
{
	struct urcu *u = state;
	uint64_t newest = ramka_load(&u->asked, relaxed, urcu.asked) / ONE;

	free(u);
	return newest;
}

/* ---- readers ---- */

/* ThreadSanitizer takes liburcu's volatile accesses for plain ones: out of its sight. */
#ifdef HOST_TSAN
# define INLINE(function) function
#else
# define INLINE(function) _##function
#endif

enum flavour { MEMB, MB, QSBR, FLAVOURS };

static HOST_TLS struct {
	bool joined[FLAVOURS]; /* may read */
	bool ours[FLAVOURS];   /* registered by this layer, and not by the thread itself before */
	bool online;           /* qsbr: the outermost section has put the thread online */
	unsigned nest;         /* qsbr: sections; the other flavours count themselves */
} me;

static struct urcu *urcu_of(struct ramka_host *h)
{
	return h->state;
}

#define REGISTRATION(name, NAME) \
	static void join_##name(struct ramka_host *h, struct host_thread *t) \
	{ \
		sigset_t old; \
\
		host_block_signals(&old); \
		if (!me.joined[NAME]) { \
			me.ours[NAME] = !URCU_TLS(urcu_##name##_reader).registered; \
			if (me.ours[NAME]) { \
				urcu_##name##_register_thread(); \
				AFTER_JOIN_##NAME; \
				ramka_add(&users, 1, relaxed, urcu.users); \
			} \
			me.joined[NAME] = true; \
		} \
		t->reader = h->state; /* any value but NULL */ \
		host_restore_signals(&old); \
	} \
	static void part_##name(void) \
	{ \
		if (me.ours[NAME]) { \
			BEFORE_PART_##NAME; \
			urcu_##name##_unregister_thread(); \
			ramka_sub(&users, 1, relaxed, urcu.users); \
		} \
		me.joined[NAME] = me.ours[NAME] = false; \
	}

#define AFTER_JOIN_MEMB ((void)0)
#define AFTER_JOIN_MB ((void)0)
#define AFTER_JOIN_QSBR INLINE(urcu_qsbr_thread_offline)() /* registering puts it online */

/*
 * Unregistering does not wake a grace period that sleeps until this reader leaves. qsbr goes offline by
 * itself.
 */
#define LEAVE(name) \
	while (INLINE(urcu_##name##_read_ongoing)()) \
		INLINE(urcu_##name##_read_unlock)()
#define BEFORE_PART_MEMB LEAVE(memb)
#define BEFORE_PART_MB LEAVE(mb)
#define BEFORE_PART_QSBR ((void)0)

REGISTRATION(memb, MEMB)
REGISTRATION(mb, MB)
REGISTRATION(qsbr, QSBR)

#define COUNTING_SECTIONS(name, NAME) \
	static void lock_##name(struct ramka_host *h, struct host_thread *t) \
	{ \
		(void)h; \
		INLINE(urcu_##name##_read_lock)(); \
		t->nest++; \
	} \
	static void unlock_##name(struct ramka_host *h, struct host_thread *t) \
	{ \
		t->nest--; \
		host_reader_leaves(&urcu_of(h)->sync); \
		INLINE(urcu_##name##_read_unlock)(); \
	} \
	static bool reading_##name(void) \
	{ \
		return me.joined[NAME] && INLINE(urcu_##name##_read_ongoing)(); \
	}

COUNTING_SECTIONS(memb, MEMB)
COUNTING_SECTIONS(mb, MB)

/*
 * A handler that comes before the thread is online puts it online; it stays so until the outermost section is
 * over. A thread that registered itself may be online by itself, and then must not be put online, which
 * announces a quiescent state.
 */
static void lock_qsbr(struct ramka_host *h, struct host_thread *t)
{
	(void)h;
	t->nest++;
	me.nest++;
	ramka_compiler_barrier();
	if (me.online || (!me.ours[QSBR] && INLINE(urcu_qsbr_read_ongoing)()))
		return;
	INLINE(urcu_qsbr_thread_online)();
	me.online = true;
}

static void unlock_qsbr(struct ramka_host *h, struct host_thread *t)
{
	host_reader_leaves(&urcu_of(h)->sync);
	t->nest--;
	if (--me.nest || !me.online)
		return;
	ramka_compiler_barrier();
	me.online = false;
	ramka_compiler_barrier();
	INLINE(urcu_qsbr_thread_offline)();
}

static bool reading_qsbr(void)
{
	return me.nest;
}

void host_source_thread_exit(void)
{
	part_memb();
	part_mb();
	part_qsbr();
	me.nest = 0;
	me.online = false;
}

void host_sources_fork(void)
{
	unsigned own = 0;

	for (unsigned i = 0; i < FLAVOURS; i++)
		own += me.ours[i];
	if (ramka_load(&users, relaxed, urcu.users) == own)
		return;
	gone = true;
	for (unsigned i = 0; i < FLAVOURS; i++)
		me.joined[i] = me.ours[i] = false;
	me.nest = 0;
	me.online = false;
}

bool host_urcu_gone(void)
{
	return gone;
}

/* ---- the three sources ---- */

#define SOURCE(flavour) \
	static int create_##flavour(struct ramka_rcu_ops *ret_ops, void **ret_state) \
	{ \
		return create(urcu_##flavour##_synchronize_rcu, ret_ops, ret_state); \
	} \
	const struct host_source host_source_##flavour = { \
		.name = #flavour, \
		.create = create_##flavour, \
		.destroy = destroy, \
		.forget = forget, \
		.join = join_##flavour, \
		.read_lock = lock_##flavour, \
		.read_unlock = unlock_##flavour, \
		.reading = reading_##flavour, \
	}

SOURCE(memb);
SOURCE(mb);
SOURCE(qsbr);
