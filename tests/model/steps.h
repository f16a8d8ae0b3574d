/* SPDX-License-Identifier: MIT */
/*
 * An atomic backend that counts the steps of the sources that a test includes, and lets another thread in before every
 * OTHERS-th compare-and-swap. Named by RAMKA_ATOMIC_BACKEND.
 */
#ifndef RAMKA_TESTS_STEPS_H
#define RAMKA_TESTS_STEPS_H

#define OTHERS 16u

static unsigned long steps, swaps;
static void (*other)(void); /* NULL: nobody else is there */

static inline void count_step(void)
{
	steps++;
}

static inline void count_swap(void)
{
	unsigned long mine = ++steps;
	void (*who)(void) = other;

	if (!who || ++swaps % OTHERS)
		return;
	other = 0;
	who();
	other = who;
	steps = mine; /* those of the other are its own */
}

#define RAMKA_BACKEND_LOAD(p, mo, pair) (count_step(), __atomic_load_n(&(p)->value, mo))
#define RAMKA_BACKEND_STORE(p, v, mo, pair) (count_step(), __atomic_store_n(&(p)->value, v, mo))
#define RAMKA_BACKEND_CAS(p, e, v, mo, fail, pair) \
	(count_swap(), __atomic_compare_exchange_n(&(p)->value, e, v, 0, mo, fail))
#define RAMKA_BACKEND_XCHG(p, v, mo, pair) (count_step(), __atomic_exchange_n(&(p)->value, v, mo))
#define RAMKA_BACKEND_ADD(p, v, mo, pair) (count_step(), __atomic_fetch_add(&(p)->value, v, mo))
#define RAMKA_BACKEND_SUB(p, v, mo, pair) (count_step(), __atomic_fetch_sub(&(p)->value, v, mo))
#define RAMKA_BACKEND_OR(p, v, mo, pair) (count_step(), __atomic_fetch_or(&(p)->value, v, mo))
#define RAMKA_BACKEND_AND(p, v, mo, pair) (count_step(), __atomic_fetch_and(&(p)->value, v, mo))
#define RAMKA_BACKEND_XOR(p, v, mo, pair) (count_step(), __atomic_fetch_xor(&(p)->value, v, mo))
#define RAMKA_BACKEND_COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
