/* SPDX-License-Identifier: MIT */
/* An atomic backend that writes down every operation and its order. Named by RAMKA_ATOMIC_BACKEND in test_orders.c. */
#ifndef RAMKA_TESTS_RECORDER_H
#define RAMKA_TESTS_RECORDER_H

#define MAX_RECORDED 4096u

static struct recorded {
	const void *word;
	int order;
	char kind; /* load, store, cas, exchange, +, -, |, &, ^ */
} recorded[MAX_RECORDED];
static unsigned nr_recorded;

static inline void record(const void *word, char kind, int order)
{
	if (nr_recorded < MAX_RECORDED)
		recorded[nr_recorded++] = (struct recorded){ word, order, kind };
}

#define RAMKA_BACKEND_LOAD(p, mo, pair) (record(p, 'l', mo), __atomic_load_n(&(p)->value, mo))
#define RAMKA_BACKEND_STORE(p, v, mo, pair) (record(p, 's', mo), __atomic_store_n(&(p)->value, v, mo))
#define RAMKA_BACKEND_CAS(p, e, v, mo, fail, pair) \
	(record(p, 'c', mo), __atomic_compare_exchange_n(&(p)->value, e, v, 0, mo, fail))
#define RAMKA_BACKEND_XCHG(p, v, mo, pair) (record(p, 'x', mo), __atomic_exchange_n(&(p)->value, v, mo))
#define RAMKA_BACKEND_ADD(p, v, mo, pair) (record(p, '+', mo), __atomic_fetch_add(&(p)->value, v, mo))
#define RAMKA_BACKEND_SUB(p, v, mo, pair) (record(p, '-', mo), __atomic_fetch_sub(&(p)->value, v, mo))
#define RAMKA_BACKEND_OR(p, v, mo, pair) (record(p, '|', mo), __atomic_fetch_or(&(p)->value, v, mo))
#define RAMKA_BACKEND_AND(p, v, mo, pair) (record(p, '&', mo), __atomic_fetch_and(&(p)->value, v, mo))
#define RAMKA_BACKEND_XOR(p, v, mo, pair) (record(p, '^', mo), __atomic_fetch_xor(&(p)->value, v, mo))
#define RAMKA_BACKEND_COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
