/* SPDX-License-Identifier: MIT */
/*
 * Where the simulated code's accesses arrive. It is compiled with -fsanitize=thread, so that the compiler puts a call
 * before each access and in the place of each atomic operation; ThreadSanitizer's runtime is not linked, these functions
 * stand in for it. What the compiler leaves alone is caught by the linker's --wrap: memset and memcpy, the memory that
 * peers get from the C library, membarrier and sched_yield.
 */
#include "model.h"

#include <string.h>

#define PC ((uint32_t)(uintptr_t)__builtin_return_address(0))

void __tsan_init(void);
void __tsan_init(void) {}

/* ---- plain accesses ---- */

#define RANGE(name, kind) \
	void __tsan_##name(void *p, unsigned long n); \
	void __tsan_##name(void *p, unsigned long n) { model_access(p, n, kind, PC); }
RANGE(read_range, LOAD)
RANGE(write_range, STORE)

#define PLAIN(name, n, kind) \
	void __tsan_##name##n(void *p); \
	void __tsan_##name##n(void *p) { model_access(p, n, kind, PC); }
#define SIZE(n) \
	PLAIN(read, n, LOAD) \
	PLAIN(write, n, STORE) \
	PLAIN(unaligned_read, n, LOAD) \
	PLAIN(unaligned_write, n, STORE) \
	PLAIN(volatile_read, n, LOAD) \
	PLAIN(volatile_write, n, STORE) \
	PLAIN(unaligned_volatile_read, n, LOAD) \
	PLAIN(unaligned_volatile_write, n, STORE) \
	PLAIN(read_write, n, STORE) \
	PLAIN(unaligned_read_write, n, STORE)
SIZE(1)
SIZE(2)
SIZE(4)
SIZE(8)
SIZE(16)

/* ---- atomic operations: each is one step, since a CPU yields only before it accesses a line ---- */

#define RMW(bits, type, name, expression) \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order); \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order) \
	{ \
		type old; \
 \
		(void)order; \
		model_access(p, sizeof(type), LOCKED, PC); \
		old = *p; \
		*p = (type)(expression); \
		return old; \
	}

#define CAS(bits, type, name) \
	int __tsan_atomic##bits##_##name(volatile type *p, type *e, type v, int order, int fail); \
	int __tsan_atomic##bits##_##name(volatile type *p, type *e, type v, int order, int fail) \
	{ \
		(void)order; \
		(void)fail; \
		model_access(p, sizeof(type), LOCKED, PC); \
		if (*p == *e) { \
			*p = v; \
			return 1; \
		} \
		*e = *p; \
		return 0; \
	}

#define ATOMIC(bits, type) \
	type __tsan_atomic##bits##_load(const volatile type *p, int order); \
	type __tsan_atomic##bits##_load(const volatile type *p, int order) \
	{ \
		(void)order; \
		model_access(p, sizeof(type), LOAD, PC); \
		return *p; \
	} \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order); \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order) \
	{ \
		model_access(p, sizeof(type), order == __ATOMIC_SEQ_CST ? LOCKED : STORE, PC); \
		*p = v; \
	} \
	RMW(bits, type, exchange, v) \
	RMW(bits, type, fetch_add, old + v) \
	RMW(bits, type, fetch_sub, old - v) \
	RMW(bits, type, fetch_and, old & v) \
	RMW(bits, type, fetch_or, old | v) \
	RMW(bits, type, fetch_xor, old ^ v) \
	RMW(bits, type, fetch_nand, ~(old & v)) \
	CAS(bits, type, compare_exchange_strong) \
	CAS(bits, type, compare_exchange_weak)

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	if (order == __ATOMIC_SEQ_CST)
		model_fence();
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* ---- what the compiler leaves alone ---- */

/* Instrumented code is compiled with __builtin_prefetch as a macro for this one. */
void scale_prefetch(const void *p, int store, ...);
void scale_prefetch(const void *p, int store, ...)
{
	model_access(p, 1, store ? PREFETCH_STORE : PREFETCH, PC);
}

void *__real_memset(void *p, int c, size_t n);
void *__wrap_memset(void *p, int c, size_t n);
void *__wrap_memset(void *p, int c, size_t n)
{
	model_access(p, n, STORE, PC);
	return __real_memset(p, c, n);
}

void *__real_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n)
{
	model_access(from, n, LOAD, PC);
	model_access(to, n, STORE, PC);
	return __real_memcpy(to, from, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n)
{
	return machine_piece(n, align);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return machine_piece(n * size, LINE);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	(void)p;
}

/* The peers' one system call is membarrier. */
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	(void)number;
	model_barrier_all();
	return 0;
}

int __wrap_sched_yield(void);
int __wrap_sched_yield(void)
{
	model_pause();
	return 0;
}

void scale_relax(void);
void scale_relax(void)
{
	model_pause();
}
