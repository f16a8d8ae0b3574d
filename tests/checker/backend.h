/* SPDX-License-Identifier: MIT */
/*
 * The second backend of <ramka/atomic.h> (-DRAMKA_ATOMIC_BACKEND='"backend.h"'): each operation is a call into the
 * checker. Each place that has an atomic operation owns a `struct ck_site`, in a section of its own, so that all of
 * them can be listed and weakened one by one at run time.
 */
#ifndef CK_BACKEND_H
#define CK_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

enum ck_op { CK_LOAD, CK_STORE, CK_CAS, CK_XCHG, CK_ADD, CK_SUB, CK_OR, CK_AND, CK_XOR };

struct ck_site {
	const char *pair, *file, *function;
	unsigned line, hits;
	unsigned char op, order, fail; /* as written */
	unsigned char eff_order, eff_fail, ready;
	unsigned char pad[64 - 38];
} __attribute__((aligned(64)));

uint64_t ck_load(struct ck_site *s, const void *p, unsigned size);
void ck_store(struct ck_site *s, void *p, unsigned size, uint64_t v);
bool ck_cas(struct ck_site *s, void *p, unsigned size, void *expected, uint64_t v);
uint64_t ck_rmw(struct ck_site *s, void *p, unsigned size, uint64_t v);

#define CK_SITE(op_, mo, fail_, pair_) \
	static struct ck_site ck_site_here __attribute__((section("ck_sites"), used)) = { \
		.pair = pair_, .file = __FILE__, .function = __func__, .line = __LINE__, .op = op_, .order = mo, .fail = fail_ }
#define CK_RMW(op_, p, v, mo, pair_) __extension__ ({ CK_SITE(op_, mo, 0, pair_); \
	(__typeof__((p)->value))ck_rmw(&ck_site_here, &(p)->value, sizeof (p)->value, (uint64_t)(v)); })

#define RAMKA_BACKEND_LOAD(p, mo, pair_) __extension__ ({ CK_SITE(CK_LOAD, mo, 0, pair_); \
	(__typeof__((p)->value + 0u))ck_load(&ck_site_here, &(p)->value, sizeof (p)->value); })
#define RAMKA_BACKEND_STORE(p, v, mo, pair_) __extension__ ({ CK_SITE(CK_STORE, mo, 0, pair_); \
	ck_store(&ck_site_here, &(p)->value, sizeof (p)->value, (uint64_t)(v)); })
#define RAMKA_BACKEND_CAS(p, e, v, mo, fail_, pair_) __extension__ ({ CK_SITE(CK_CAS, mo, fail_, pair_); \
	ck_cas(&ck_site_here, &(p)->value, sizeof (p)->value, (e), (uint64_t)(v)); })
#define RAMKA_BACKEND_XCHG(p, v, mo, pair_) CK_RMW(CK_XCHG, p, v, mo, pair_)
#define RAMKA_BACKEND_ADD(p, v, mo, pair_) CK_RMW(CK_ADD, p, v, mo, pair_)
#define RAMKA_BACKEND_SUB(p, v, mo, pair_) CK_RMW(CK_SUB, p, v, mo, pair_)
#define RAMKA_BACKEND_OR(p, v, mo, pair_) CK_RMW(CK_OR, p, v, mo, pair_)
#define RAMKA_BACKEND_AND(p, v, mo, pair_) CK_RMW(CK_AND, p, v, mo, pair_)
#define RAMKA_BACKEND_XOR(p, v, mo, pair_) CK_RMW(CK_XOR, p, v, mo, pair_)
#define RAMKA_BACKEND_COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

#endif
