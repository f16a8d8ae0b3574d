/* SPDX-License-Identifier: MIT */
/* What the workload `deferred` asks of the peers in rcu.c beyond alloc and free. */
#ifndef BENCH_RCU_H
#define BENCH_RCU_H

/* A read section around `section`, which may be NULL. */
void bench_rcu_read(void *instance, void (*section)(void));
/* Waits until everything that was deferred is free; ends the process if something never is. */
void bench_rcu_settle(void *instance, void *cpu);

#endif
