/* SPDX-License-Identifier: MIT */
/*
 * The spinlock of the hand-written peers: one compare and swap to take, a plain store to drop. On threads who waits yields
 * after a while, since there may be more threads than CPUs. Simulated CPUs that wait stand in a queue, each spinning on a
 * line of its own, as with Linux' spinlocks: with a hundred CPUs spinning on one line the peers would look worse than what
 * they stand for.
 */
#ifndef BENCH_PEERS_LOCK_H
#define BENCH_PEERS_LOCK_H

#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#include "../bench.h"

struct lock_waiter {
	struct lock_waiter *_Atomic next;
	atomic_bool waits;
};

struct lock {
	atomic_bool taken;
	struct lock_waiter *_Atomic last; /* of the queue */
};

static inline bool lock_try(struct lock *l)
{
	bool no = false;

	return atomic_compare_exchange_strong_explicit(&l->taken, &no, true, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void lock_drop(struct lock *l)
{
	atomic_store_explicit(&l->taken, false, memory_order_release);
}

#ifdef BENCH_SIMULATED
static inline void lock_wait(struct lock *l)
{
	_Alignas(128) struct lock_waiter me = { NULL, true };
	struct lock_waiter *other = atomic_exchange_explicit(&l->last, &me, memory_order_acq_rel);

	if (other) {
		atomic_store_explicit(&other->next, &me, memory_order_release);
		while (atomic_load_explicit(&me.waits, memory_order_acquire))
			bench_relax();
	}
	while (atomic_load_explicit(&l->taken, memory_order_relaxed) || !lock_try(l))
		bench_relax();
	other = &me;
	if (atomic_compare_exchange_strong_explicit(&l->last, &other, NULL, memory_order_release,
						    memory_order_relaxed))
		return;
	while (!(other = atomic_load_explicit(&me.next, memory_order_acquire)))
		bench_relax();
	atomic_store_explicit(&other->waits, false, memory_order_release);
}

static inline void lock_take(struct lock *l)
{
	if (unlikely(atomic_load_explicit(&l->last, memory_order_relaxed) || !lock_try(l)))
		lock_wait(l);
}
#else
static inline void lock_take(struct lock *l)
{
	for (int spins = 0; !lock_try(l);) {
		if (++spins < 1000)
			bench_relax();
		else
			sched_yield();
	}
}
#endif

#endif
