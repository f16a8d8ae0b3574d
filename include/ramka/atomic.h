/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The one file that spells memory orders.
 *
 * An atomic is a struct of one field, so that C++ compiles the public headers and no plain access compiles by
 * accident. Every operation names its order and its *pair*: a name from docs/ordering.md, which says what the
 * pair publishes and what breaks if it is weaker. tests/lint fails on a name that is not listed there, and on
 * an order spelled anywhere else. Orders: relaxed, acquire, release, acq_rel. There is no seq_cst and no
 * thread fence, since ThreadSanitizer does not see fences. The design needs one store-load barrier; it is
 * asymmetric, and the embedder provides it as `barrier_all_cpus`.
 *
 *     ramka_load(p, order, pair)             ramka_store(p, v, order, pair)
 *     ramka_cas(p, &expected, v, order, pair)    true if it took place; else expected is what was there. A
 *                                            failure has the order's acquire half. Strong.
 *     ramka_xchg, ramka_add, ramka_sub, ramka_or, ramka_and, ramka_xor (p, v, order, pair)   the old value
 *     ramka_compiler_barrier()               keeps the compiler from moving accesses across (signal fence)
 *
 * Backends. The default is the compiler's __atomic builtins. A build may define RAMKA_ATOMIC_BACKEND as the
 * name of a header that defines the RAMKA_BACKEND_* macros instead. The concurrency checker runs each
 * operation as a step of its scheduler that way (tests/checker), and the stress tests put a delay or a
 * parking point before it (stress).
 */
#ifndef RAMKA_ATOMIC_H
#define RAMKA_ATOMIC_H

#include <ramka/types.h>

struct ramka_atomic_u64 { uint64_t value; };
struct ramka_atomic_u32 { uint32_t value; };

#define RAMKA_ORDER_relaxed __ATOMIC_RELAXED
#define RAMKA_ORDER_acquire __ATOMIC_ACQUIRE
#define RAMKA_ORDER_release __ATOMIC_RELEASE
#define RAMKA_ORDER_acq_rel __ATOMIC_ACQ_REL
/* order of a CAS that fails: what is left of it for a load */
#define RAMKA_FAIL_relaxed __ATOMIC_RELAXED
#define RAMKA_FAIL_acquire __ATOMIC_ACQUIRE
#define RAMKA_FAIL_release __ATOMIC_RELAXED
#define RAMKA_FAIL_acq_rel __ATOMIC_ACQUIRE

#ifdef RAMKA_ATOMIC_BACKEND
# include RAMKA_ATOMIC_BACKEND
#else
# define RAMKA_BACKEND_LOAD(p, mo, pair) __atomic_load_n(&(p)->value, mo)
# define RAMKA_BACKEND_STORE(p, v, mo, pair) __atomic_store_n(&(p)->value, v, mo)
# define RAMKA_BACKEND_CAS(p, e, v, mo, fail, pair) \
	__atomic_compare_exchange_n(&(p)->value, e, v, 0, mo, fail)
# define RAMKA_BACKEND_XCHG(p, v, mo, pair) __atomic_exchange_n(&(p)->value, v, mo)
# define RAMKA_BACKEND_ADD(p, v, mo, pair) __atomic_fetch_add(&(p)->value, v, mo)
# define RAMKA_BACKEND_SUB(p, v, mo, pair) __atomic_fetch_sub(&(p)->value, v, mo)
# define RAMKA_BACKEND_OR(p, v, mo, pair) __atomic_fetch_or(&(p)->value, v, mo)
# define RAMKA_BACKEND_AND(p, v, mo, pair) __atomic_fetch_and(&(p)->value, v, mo)
# define RAMKA_BACKEND_XOR(p, v, mo, pair) __atomic_fetch_xor(&(p)->value, v, mo)
# define RAMKA_BACKEND_COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#endif

#define ramka_load(p, order, pair) RAMKA_BACKEND_LOAD(p, RAMKA_ORDER_##order, #pair)
#define ramka_store(p, v, order, pair) RAMKA_BACKEND_STORE(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_cas(p, e, v, order, pair) \
	RAMKA_BACKEND_CAS(p, e, v, RAMKA_ORDER_##order, RAMKA_FAIL_##order, #pair)
#define ramka_xchg(p, v, order, pair) RAMKA_BACKEND_XCHG(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_add(p, v, order, pair) RAMKA_BACKEND_ADD(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_sub(p, v, order, pair) RAMKA_BACKEND_SUB(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_or(p, v, order, pair) RAMKA_BACKEND_OR(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_and(p, v, order, pair) RAMKA_BACKEND_AND(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_xor(p, v, order, pair) RAMKA_BACKEND_XOR(p, v, RAMKA_ORDER_##order, #pair)
#define ramka_compiler_barrier() RAMKA_BACKEND_COMPILER_BARRIER()

#endif
