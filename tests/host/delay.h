/* SPDX-License-Identifier: MIT */
/*
 * A backend of <ramka/atomic.h> that now and then gives up the CPU or sleeps before an operation, so that
 * others get in between. For a second build of the tests of the hosted layer:
 *
 *	cc -DRAMKA_ATOMIC_BACKEND='"delay.h"' -Itests/host tests/host/gp.c $(lib/sources.sh; lib/sources.sh --host) ..
 */
#ifndef RAMKA_HOST_TEST_DELAY_H
#define RAMKA_HOST_TEST_DELAY_H

#include <sched.h>
#include <time.h>

static inline void delay(void)
{
	static _Thread_local unsigned seed = 1;
	unsigned dice;

	seed = seed * 1103515245u + 12345u;
	dice = seed >> 16 & 15;
	if (dice < 4)
		sched_yield();
	else if (dice == 4)
		nanosleep(&(struct timespec){ .tv_nsec = 1000 }, NULL);
}

#define RAMKA_BACKEND_LOAD(p, mo, pair) (delay(), __atomic_load_n(&(p)->value, mo))
#define RAMKA_BACKEND_STORE(p, v, mo, pair) (delay(), __atomic_store_n(&(p)->value, v, mo))
#define RAMKA_BACKEND_CAS(p, e, v, mo, fail, pair) \
	(delay(), __atomic_compare_exchange_n(&(p)->value, e, v, 0, mo, fail))
#define RAMKA_BACKEND_XCHG(p, v, mo, pair) (delay(), __atomic_exchange_n(&(p)->value, v, mo))
#define RAMKA_BACKEND_ADD(p, v, mo, pair) (delay(), __atomic_fetch_add(&(p)->value, v, mo))
#define RAMKA_BACKEND_SUB(p, v, mo, pair) (delay(), __atomic_fetch_sub(&(p)->value, v, mo))
#define RAMKA_BACKEND_OR(p, v, mo, pair) (delay(), __atomic_fetch_or(&(p)->value, v, mo))
#define RAMKA_BACKEND_AND(p, v, mo, pair) (delay(), __atomic_fetch_and(&(p)->value, v, mo))
#define RAMKA_BACKEND_XOR(p, v, mo, pair) (delay(), __atomic_fetch_xor(&(p)->value, v, mo))
#define RAMKA_BACKEND_COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
