/* SPDX-License-Identifier: MIT */
/*
 * The spinlock of the hand-written peers. On threads it is a word that is tested and set, with a yield, since there may be
 * more threads than CPUs. On simulated CPUs it is a queue, each waiter spinning on a line of its own, as Linux' spinlocks
 * are: with a hundred CPUs the other kind would make the peers look worse than what they stand for.
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
	struct lock_waiter *_Atomic last;
	atomic_bool taken;
};

#ifdef BENCH_SIMULATED
static inline void lock_take(struct lock *l, struct lock_waiter *me)
{
	struct lock_waiter *before;

	atomic_store_explicit(&me->next, NULL, memory_order_relaxed);
	atomic_store_explicit(&me->waits, true, memory_order_relaxed);
	before = atomic_exchange_explicit(&l->last, me, memory_order_acq_rel);
	if (!before)
		return;
	atomic_store_explicit(&before->next, me, memory_order_release);
	while (atomic_load_explicit(&me->waits, memory_order_acquire))
		bench_relax();
}

static inline void lock_drop(struct lock *l, struct lock_waiter *me)
{
	struct lock_waiter *next = atomic_load_explicit(&me->next, memory_order_acquire), *last = me;

	if (!next) {
		if (atomic_compare_exchange_strong_explicit(&l->last, &last, NULL, memory_order_release,
							    memory_order_relaxed))
			return;
		while (!(next = atomic_load_explicit(&me->next, memory_order_acquire)))
			bench_relax();
	}
	atomic_store_explicit(&next->waits, false, memory_order_release);
}
#else
static inline void lock_take(struct lock *l, struct lock_waiter *me)
{
	(void)me;
	for (int spins = 0; atomic_exchange_explicit(&l->taken, true, memory_order_acquire);) {
		if (++spins < 1000)
			bench_relax();
		else
			sched_yield();
	}
}

static inline void lock_drop(struct lock *l, struct lock_waiter *me)
{
	(void)me;
	atomic_store_explicit(&l->taken, false, memory_order_release);
}
#endif

#endif
