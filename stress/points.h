/* SPDX-License-Identifier: MIT */
/*
 * A backend of <ramka/atomic.h> for the stress tests (-DRAMKA_ATOMIC_BACKEND='"points.h"'): the compiler's builtins,
 * with a hook before each operation. Each place in the library that has one is a *point*, named by its pair, file
 * and line, and lies in a section of its own, so that all of them can be listed. A header's inline function has
 * one point per source file that uses it.
 *
 * What the hook does is set at run time: count, delay at random, stop for ever, run a nested operation as an
 * interrupt there would. Off, it costs a load and a branch.
 */
#ifndef STRESS_POINTS_H
#define STRESS_POINTS_H

#include "points_control.h"

#define POINT(pair_) __extension__ ({ \
	static struct point point_here __attribute__((section("ramka_points"), used)) = \
		{ .pair = pair_, .file = __FILE__, .line = __LINE__ }; \
	if (__builtin_expect(__atomic_load_n(&points_mode, __ATOMIC_RELAXED), 0)) \
		points_hit(&point_here); \
	})

#define RAMKA_BACKEND_LOAD(p, mo, pair) __extension__ ({ POINT(pair); __atomic_load_n(&(p)->value, mo); })
#define RAMKA_BACKEND_STORE(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_store_n(&(p)->value, v, mo); })
#define RAMKA_BACKEND_CAS(p, e, v, mo, fail, pair) __extension__ ({ POINT(pair); \
	__atomic_compare_exchange_n(&(p)->value, e, v, 0, mo, fail); })
#define RAMKA_BACKEND_XCHG(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_exchange_n(&(p)->value, v, mo); })
#define RAMKA_BACKEND_ADD(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_fetch_add(&(p)->value, v, mo); })
#define RAMKA_BACKEND_SUB(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_fetch_sub(&(p)->value, v, mo); })
#define RAMKA_BACKEND_OR(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_fetch_or(&(p)->value, v, mo); })
#define RAMKA_BACKEND_AND(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_fetch_and(&(p)->value, v, mo); })
#define RAMKA_BACKEND_XOR(p, v, mo, pair) __extension__ ({ POINT(pair); __atomic_fetch_xor(&(p)->value, v, mo); })
#define RAMKA_BACKEND_COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
