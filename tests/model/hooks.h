/* SPDX-License-Identifier: MIT */
/*
 * An atomic backend that calls the test before every compare-and-swap, so that one thread can play another one between
 * two steps of a call. Named by RAMKA_ATOMIC_BACKEND.
 */
#ifndef RAMKA_TESTS_HOOKS_H
#define RAMKA_TESTS_HOOKS_H

/* Set by the test; NULL: nobody else is there. */
static void (*before_cas)(const void *word, const char *pair);

static inline void run_hook(const void *word, const char *pair)
{
	void (*hook)(const void *word, const char *pair) = before_cas;

	if (!hook)
		return;
	before_cas = 0; /* what the hook does is not interrupted in turn */
	hook(word, pair);
	if (!before_cas)
		before_cas = hook;
}

#define RAMKA_BACKEND_LOAD(p, mo, pair) __atomic_load_n(&(p)->value, mo)
#define RAMKA_BACKEND_STORE(p, v, mo, pair) __atomic_store_n(&(p)->value, v, mo)
#define RAMKA_BACKEND_CAS(p, e, v, mo, fail, pair) \
	(run_hook(p, pair), __atomic_compare_exchange_n(&(p)->value, e, v, 0, mo, fail))
#define RAMKA_BACKEND_XCHG(p, v, mo, pair) __atomic_exchange_n(&(p)->value, v, mo)
#define RAMKA_BACKEND_ADD(p, v, mo, pair) __atomic_fetch_add(&(p)->value, v, mo)
#define RAMKA_BACKEND_SUB(p, v, mo, pair) __atomic_fetch_sub(&(p)->value, v, mo)
#define RAMKA_BACKEND_OR(p, v, mo, pair) __atomic_fetch_or(&(p)->value, v, mo)
#define RAMKA_BACKEND_AND(p, v, mo, pair) __atomic_fetch_and(&(p)->value, v, mo)
#define RAMKA_BACKEND_XOR(p, v, mo, pair) __atomic_fetch_xor(&(p)->value, v, mo)
#define RAMKA_BACKEND_COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
