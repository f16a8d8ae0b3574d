/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Deferred reclaim: waiting for grace periods, and two sources of them for kernels.
 *
 * ramka_frame_put_rcu chains frames per CPU; 64 frames make a bag with a grace-period cookie, which it keeps until its
 * last frame is free. Bags are polled by their CPU when it makes the next, when its cache is empty, by every request that
 * is about to fail, and in ramka_reclaim. One put_rcu frees at most 128 frames on its way. No callback, no thread, no
 * allocation on any free path. Above cfg.high_water deferred frames on a CPU put_rcu answers RAMKA_PRESSURE and expedites.
 */
#ifndef RAMKA_RCU_H
#define RAMKA_RCU_H

#include <ramka/atomic.h>
#include <ramka/config.h>

RAMKA_BEGIN_DECLS

/**
 * Makes bags of what has been deferred on this CPU and on all that can be stopped, and frees what has elapsed. With
 * may_wait (thread context, outside a read section): everything that was deferred before the call is free on return, and
 * what its on_drop deferred in turn by way of this handle; but for what a CPU that cannot be stopped has not made a bag of,
 * and what another thread is just freeing. What others defer after the call is not waited for. Through ramka_cpu_none,
 * which others use too, the chain of one on_drop deferring the next is followed 64 times. Without cfg.rcu: nothing.
 */
RAMKA_API void ramka_reclaim(struct ramka_cpu *cpu, bool may_wait);

/* ---- quiescent-state backend, freestanding; all memory the caller's ---- */

/** One per CPU, a cache line. */
struct ramka_qsbr_cpu {
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 seen; /**< newest grace period this CPU was quiescent in; 0 = offline */
};
struct ramka_qsbr {
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 now;
	struct ramka_atomic_u64 over; /**< newest grace period that a poll has found over */
	struct ramka_qsbr_cpu *cpus;
	unsigned nr_cpus;
	void (*relax)(void *ctx); /**< called while `wait` spins; NULL: spin. Set after init if wanted */
	void *relax_ctx;
};

/**
 * All CPUs start offline. With as many CPUs as the instance has, CPU i here is the one of ramka_cpu_at(r, i). Fills *ret_ops
 * for ramka_config.rcu. Its wait spins. ramka_reclaim(cpu, true) and RAMKA_ALLOC_WAIT announce their own CPU quiescent if it is
 * online, since their callers are outside read sections; a caller that is online and uses ramka_cpu_none must go offline
 * before.
 */
RAMKA_API void ramka_qsbr_init(struct ramka_qsbr *q, struct ramka_qsbr_cpu *cpus, unsigned nr_cpus, struct ramka_rcu_ops *ret_ops);
/** This CPU may hold references to deferred frames from now on. */
RAMKA_API void ramka_qsbr_online(struct ramka_qsbr *q, unsigned cpu);
/** It holds none at this moment (context switch, idle, user mode). Call it regularly while online. */
RAMKA_API void ramka_qsbr_quiescent(struct ramka_qsbr *q, unsigned cpu);
/** It holds none until it is online again. */
RAMKA_API void ramka_qsbr_offline(struct ramka_qsbr *q, unsigned cpu);

/* ---- adapter for a kernel that has call_rcu only ---- */

struct ramka_rcu_head { void *opaque[4]; }; /**< at least what the kernel's rcu_head needs */

/** Memory for the adapter, the caller's; the fields are ramka's. */
struct ramka_rcu_adapter {
	struct ramka_rcu_head head;
	void (*call)(void *ctx, struct ramka_rcu_head *h, void (*fn)(struct ramka_rcu_head *));
	void *ctx;
	struct ramka_atomic_u64 started;  /**< grace periods asked for; odd bit: a callback is in flight */
	struct ramka_atomic_u64 finished; /**< grace periods over */
	void (*relax)(void *ctx);         /**< called while `wait` spins, may sleep; set after adapting if wanted */
};

/** One callback in flight at most; the callback asks for the next as long as somebody waits for one. */
RAMKA_API void ramka_rcu_adapt_call(struct ramka_rcu_adapter *a,
				    void (*call)(void *ctx, struct ramka_rcu_head *h, void (*fn)(struct ramka_rcu_head *)),
				    void *ctx, struct ramka_rcu_ops *ret_ops);

RAMKA_END_DECLS

#endif
