/* SPDX-License-Identifier: MIT */
/*
 * The entry points that -fsanitize=thread calls, and the bulk functions of the C library: every plain access of
 * clients and library sources comes through here. They are compiled with -fsanitize=thread and linked without
 * its runtime.
 */
#include "engine.h"

#include <string.h>

#define PC __builtin_return_address(0)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(void *p, unsigned long n);
void __tsan_write_range(void *p, unsigned long n);
void __tsan_vptr_update(void *p, void *v);
void __tsan_vptr_read(void *p);
void __tsan_atomic_signal_fence(int order);
void *ck_memset(void *d, int c, size_t n);
void *ck_memcpy(void *d, const void *s, size_t n);
void *ck_memmove(void *d, const void *s, size_t n);
int ck_memcmp(const void *a, const void *b, size_t n);

void __tsan_init(void) {}
void __tsan_func_entry(void *pc) { (void)pc; }
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void *p, void *v) { (void)v; ck_plain((uintptr_t)p, sizeof(void *), true, PC); }
void __tsan_vptr_read(void *p) { ck_plain((uintptr_t)p, sizeof(void *), false, PC); }
void __tsan_read_range(void *p, unsigned long n) { if (n) ck_plain((uintptr_t)p, n, false, PC); }
void __tsan_write_range(void *p, unsigned long n) { if (n) ck_plain((uintptr_t)p, n, true, PC); }
void __tsan_atomic_signal_fence(int order) { (void)order; }

#define HOOK(n) \
	void __tsan_read##n(void *p); \
	void __tsan_write##n(void *p); \
	void __tsan_unaligned_read##n(void *p); \
	void __tsan_unaligned_write##n(void *p); \
	void __tsan_volatile_read##n(void *p); \
	void __tsan_volatile_write##n(void *p); \
	void __tsan_read##n(void *p) { ck_plain((uintptr_t)p, n, false, PC); } \
	void __tsan_write##n(void *p) { ck_plain((uintptr_t)p, n, true, PC); } \
	void __tsan_unaligned_read##n(void *p) { ck_plain((uintptr_t)p, n, false, PC); } \
	void __tsan_unaligned_write##n(void *p) { ck_plain((uintptr_t)p, n, true, PC); } \
	void __tsan_volatile_read##n(void *p) { ck_plain((uintptr_t)p, n, false, PC); } \
	void __tsan_volatile_write##n(void *p) { ck_plain((uintptr_t)p, n, true, PC); }
HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)

/* Instrumented code is compiled with -Dmemset=ck_memset and so on. */
void *ck_memset(void *d, int c, size_t n)
{
	if (n)
		ck_plain((uintptr_t)d, n, true, PC);
	return memset(d, c, n);
}

void *ck_memcpy(void *d, const void *s, size_t n)
{
	if (n) {
		ck_plain((uintptr_t)s, n, false, PC);
		ck_plain((uintptr_t)d, n, true, PC);
	}
	return memcpy(d, s, n);
}

void *ck_memmove(void *d, const void *s, size_t n)
{
	if (n) {
		ck_plain((uintptr_t)s, n, false, PC);
		ck_plain((uintptr_t)d, n, true, PC);
	}
	return memmove(d, s, n);
}

int ck_memcmp(const void *a, const void *b, size_t n)
{
	if (n) {
		ck_plain((uintptr_t)a, n, false, PC);
		ck_plain((uintptr_t)b, n, false, PC);
	}
	return memcmp(a, b, n);
}
