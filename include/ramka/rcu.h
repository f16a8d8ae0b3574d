/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Deferred reclaim: waiting for grace periods, and two sources of them for kernels.
 *
 * ramka_frame_put_rcu chains frames per CPU; 64 frames make a bag with a grace-period cookie, which it keeps
 * until its last frame is free. A CPU polls its bags when it makes the next one and when its cache is empty.
 * Every request that is about to fail, and ramka_reclaim, poll bags too. One put_rcu frees at most 128 frames
 * on its way. No free path needs a callback, a thread or an allocation. Above cfg.high_water deferred frames
 * on a CPU put_rcu answers RAMKA_PRESSURE and expedites.
 */
#ifndef RAMKA_RCU_H
#define RAMKA_RCU_H

#include <ramka/atomic.h>
#include <ramka/config.h>

RAMKA_BEGIN_DECLS

/**
 * Makes bags of all frames that are deferred on this CPU and on all CPUs that can be stopped, and frees the
 * bags whose grace period is over. With may_wait, in thread context and outside a read section, it also
 * waits. On return every frame that was deferred before the call is free, and every frame that their on_drop
 * deferred on this handle. Two kinds are excepted: frames that a CPU which cannot be stopped has not made a
 * bag of, and frames that another thread is just freeing. It does not wait for frames that other CPUs defer
 * after the call. Other threads use ramka_cpu_none too, so through it a chain of on_drops that each defer the
 * next is followed 64 times only. Without cfg.rcu it does nothing.
 */
RAMKA_API void ramka_reclaim(struct ramka_cpu *cpu, bool may_wait);

/* ---- quiescent-state backend, freestanding; all memory the caller's ---- */

/** One per CPU, a cache line. */
struct ramka_qsbr_cpu {
	/** newest grace period this CPU was quiescent in; 0 = offline */
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 seen;
};
struct ramka_qsbr {
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 now;
	struct ramka_atomic_u64 over; /**< newest grace period that a poll has found over */
	struct ramka_qsbr_cpu *cpus;
	unsigned nr_cpus;
	void (*relax)(void *ctx); /**< called while `wait` spins; NULL: spin. Set after init if wanted */
	void *relax_ctx;
	/**
	 * Called for a misuse of the three calls below, a CPU that it does not have included, which then do
	 * nothing. NULL: it is not reported. Set after init if wanted, for instance to ramka_config.panic.
	 * The bug has the operation, and the CPU in `value`. May longjmp.
	 */
	void (*panic)(void *ctx, const struct ramka_bug *bug);
	void *panic_ctx;
};

/**
 * All CPUs start offline. If there are as many as the instance has, CPU i here is the one of ramka_cpu_at(r,
 * i). Fills *ret_ops for ramka_config.rcu; `wait` spins. ramka_reclaim(cpu, true) and RAMKA_ALLOC_WAIT
 * announce their own CPU quiescent if it is online, since their callers are outside read sections. A caller
 * that is online and uses ramka_cpu_none must go offline before.
 */
RAMKA_API void ramka_qsbr_init(struct ramka_qsbr *q, struct ramka_qsbr_cpu *cpus, unsigned nr_cpus,
			       struct ramka_rcu_ops *ret_ops);
/** This CPU may hold references to deferred frames from now on. It was offline: sections do not nest. */
RAMKA_API void ramka_qsbr_online(struct ramka_qsbr *q, unsigned cpu);
/** It holds none now (context switch, idle, user mode). Call it regularly while online, and only then. */
RAMKA_API void ramka_qsbr_quiescent(struct ramka_qsbr *q, unsigned cpu);
/** It holds none until it is online again. It was online. */
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
	/** called while `wait` spins, may sleep; set after adapting if wanted */
	void (*relax)(void *ctx);
};

/** At most one callback is in flight. The callback asks for the next one as long as a cookie waits. */
RAMKA_API void ramka_rcu_adapt_call(struct ramka_rcu_adapter *a,
				    void (*call)(void *ctx, struct ramka_rcu_head *h,
						 void (*fn)(struct ramka_rcu_head *)),
				    void *ctx, struct ramka_rcu_ops *ret_ops);

RAMKA_END_DECLS

#endif
