/* SPDX-License-Identifier: MIT */
/*
 * Grace periods by polling, made from a kernel's call_rcu. May use public headers alone; all state is in
 * struct ramka_rcu_adapter.
 *
 * One callback is in flight at most, so one rcu_head is enough. Grace periods are numbered from 1 up; the
 * number is the cookie. `finished` is the last one that is over. The state is one word, `started`:
 *
 *    63                                        2     1          0
 *   +-------------------------------------------+------+-----------+
 *   |   number of the last one that was begun   | NEXT | IN_FLIGHT |
 *   +-------------------------------------------+------+-----------+
 *
 *   n                    idle: 1..n are over. A snapshot begins n + 1 and returns it
 *   n, IN_FLIGHT         n runs; it began before the caller asks, so a snapshot sets NEXT and returns n + 1
 *   n, NEXT, IN_FLIGHT   n runs and n + 1 is asked for: n + 1 serves this caller too
 *
 * The callback stores `finished`, then moves the word on. Without NEXT the word becomes idle; with NEXT it
 * becomes the next number, and the callback asks the kernel again. Both sides change the word by CAS, and a
 * snapshot does so even if the value stays the same. If the callback's CAS comes later, the next grace period
 * begins after the snapshot and covers what happened before it (adapt.state). Else the snapshot's CAS fails,
 * and it looks again.
 *
 * Contexts: a snapshot is lock-free, and legal where the kernel's call_rcu is. elapsed is wait-free and legal
 * anywhere. A thread that begins a grace period may be interrupted before it calls the kernel; to other
 * threads that is a slow grace period.
 */
#include <ramka/rcu.h>

#define IN_FLIGHT 1u
#define NEXT 2u
#define ONE 4u              /* 1 << bits below the number */
#define BOUNDED_POLLS 1000u /* with `relax` as long as it makes them, else a few microseconds */

static uint64_t number_of(uint64_t word)
{
	return word / ONE;
}

static void ask_kernel(struct ramka_rcu_adapter *a);

RAMKA_STATIC_ASSERT(offsetof(struct ramka_rcu_adapter, head) == 0, "the callback finds the adapter there");

/* The kernel's callback. */
static void over(struct ramka_rcu_head *head)
{
	struct ramka_rcu_adapter *a = (struct ramka_rcu_adapter *)(void *)head;
	uint64_t word = ramka_load(&a->started, relaxed, adapt.state), next;

	/* release: the readers' last accesses, after which this callback comes, to the poller */
	ramka_store(&a->finished, number_of(word), release, adapt.finished);
	/*
	 * acquire: what was done before the snapshots that set NEXT. release: the kernel is done with the
	 * head
	 */
	do
		next = word & NEXT ? (word & ~(uint64_t)NEXT) + ONE : word & ~(uint64_t)IN_FLIGHT;
	while (!ramka_cas(&a->started, &word, next, acq_rel, adapt.state));
	if (next & IN_FLIGHT)
		ask_kernel(a);
}

static void ask_kernel(struct ramka_rcu_adapter *a)
{
	a->call(a->ctx, &a->head, over);
}

static uint64_t snapshot(void *ctx)
{
	struct ramka_rcu_adapter *a = ctx;
	uint64_t word = ramka_load(&a->started, relaxed, adapt.state), next;

	/*
	 * release: all that was done before, to the thread that begins the grace period. acquire: the kernel
	 * no longer uses the head
	 */
	do
		next = word & IN_FLIGHT ? word | NEXT : word + ONE + IN_FLIGHT;
	while (!ramka_cas(&a->started, &word, next, acq_rel, adapt.state));
	if (!(word & IN_FLIGHT))
		ask_kernel(a);
	return number_of(word) + 1;
}

static bool elapsed(void *ctx, uint64_t cookie)
{
	const struct ramka_rcu_adapter *a = ctx;

	return ramka_load(&a->finished, acquire, adapt.finished) >= cookie;
}

static void relax(const struct ramka_rcu_adapter *a)
{
	if (a->relax)
		a->relax(a->ctx);
}

/* The kernel must be able to run the callback meanwhile. */
static void wait(void *ctx, uint64_t cookie)
{
	while (!elapsed(ctx, cookie))
		relax(ctx);
}

static bool wait_bounded(void *ctx, uint64_t cookie)
{
	for (unsigned i = 0; i < BOUNDED_POLLS; i++) {
		if (elapsed(ctx, cookie))
			return true;
		relax(ctx);
	}
	return false;
}

void ramka_rcu_adapt_call(struct ramka_rcu_adapter *a,
			  void (*call)(void *ctx, struct ramka_rcu_head *h,
				       void (*fn)(struct ramka_rcu_head *)),
			  void *ctx, struct ramka_rcu_ops *ret_ops)
{
	a->call = call;
	a->ctx = ctx;
	a->relax = NULL;
	ramka_store(&a->started, 0, relaxed, adapt.state);
	ramka_store(&a->finished, 0, relaxed, adapt.finished);
	*ret_ops = (struct ramka_rcu_ops){
		.snapshot = snapshot,
		.elapsed = elapsed,
		.wait = wait,
		.ctx = a,
		.wait_bounded = wait_bounded,
	};
}
