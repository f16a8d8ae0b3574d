/* SPDX-License-Identifier: MIT */
/*
 * What is proved of lib/base/bits.h for all 2^64 words: the header is compiled with symbolic words (symbolic.hh), this
 * writes one SMT-LIB file per goal into a folder, tests/proofs/run asks the solver.
 *
 * The specifications below use none of the header's functions but the one they are about, unless a goal says so.
 */
#include "symbolic.hh"

#include <ramka/types.h> /* with real types; the header includes it again, in vain */

using sym::assume;
using sym::cond;
using sym::fresh;
using sym::goal;
using sym::prove;
typedef sym::word<64> w64;
typedef sym::word<32> w32;

/* What the compiler's builtin promises; the portable way is proved by PORTABLE. */
#ifndef PORTABLE
static w32 builtin_ctz(const w64 &w)
{
	w32 r = fresh<32>();

	assume(r < 64);
	assume((w & ((w64(1) << w64(r)) - 1)) == 0);
	assume((w & (w64(1) << w64(r))) != 0);
	return r;
}
# define __builtin_ctzll(w) builtin_ctz(w)
#else
# undef __x86_64__
# undef __aarch64__
# undef __riscv_zbb
#endif
#define uint64_t w64
#define unsigned w32
#define bool cond
#define ramka_paddr_t w64
#include BITS_H
#undef uint64_t
#undef unsigned
#undef bool
#undef ramka_paddr_t

/* ---- specifications ---- */

static cond bit_set(const w64 &w, const w64 &i)
{
	return (w & (w64(1) << i)) != 0;
}

/* number of set bits, one by one */
static w64 popcount(const w64 &w)
{
	w64 n = 0;

	for (int i = 0; i < 64; i++)
		n = n + (w >> i & 1);
	return n;
}

static w64 mask(int n) { return n == 64 ? ~w64(0) : w64((UINT64_C(1) << n) - 1); }

static std::string nr(int i) { return (i < 10 ? "0" : "") + std::to_string(i); }

/* all bits of the run of 2^order at `at` */
static cond is_run(const w64 &w, const w64 &at, int order)
{
	return (w >> at & mask(1 << order)) == mask(1 << order);
}

static cond is_aligned(const w64 &x, int order) { return (x & mask(order)) == 0; }

static void words()
{
	goal("count", [] {
		w64 w = fresh<64>();
		prove(w64(bits_count(w)) == popcount(w));
	});
	goal("lowest", [] {
		w64 w = fresh<64>(), j = fresh<64>();
		assume(w != 0);
		w64 i = bits_lowest(w);
		prove(i < 64);
		prove(bit_set(w, i));
		assume(j < i);
		prove(negated(bit_set(w, j)));
	});
	goal("below", [] {
		w32 n = fresh<32>();
		w64 j = fresh<64>();
		assume(n <= 64);
		assume(j < 64);
		w64 m = bits_below(n);
		prove(same(bit_set(m, j), j < w64(n)));
	});
}

/*
 * The n lowest. A word of at most n bits is returned whole. With more than n, by induction on n over bits_take itself:
 * what it takes for n is what it takes for n - 1 and the lowest of the rest, which is not empty since the word has
 * more than n - 1 bits. (bits_count is proved by itself.)
 */
static void take()
{
	goal("take-00", [] { prove(bits_take(fresh<64>(), 0) == 0); });
	goal("take-more", [] {
		w64 w = fresh<64>();
		prove(bits_take(w, 1000) == w);
	});
	for (int n = 1; n <= 64; n++)
		goal("take-" + nr(n), [n] {
			w64 w = fresh<64>();
			w64 after = bits_take(w, n);
			if (bits_count(w) <= n) {
				prove(after == w);
				return;
			}
			assume(bits_count(w) > n - 1);
			w64 before = bits_take(w, n - 1), rest = w & ~before;
			prove((before & ~w) == 0);
			prove(after == (before | (rest & -rest)));
		});
}

static void runs()
{
	for (int order = 0; order <= 6; order++) {
		goal("run-" + nr(order), [order] {
			w32 at = fresh<32>();
			w64 j = fresh<64>();
			assume(at < 64);
			assume(w64(at) + (1 << order) <= 64);
			assume(j < 64);
			w64 m = bits_run(at, order);
			prove(same(bit_set(m, j), both(j >= w64(at), j < w64(at) + (1 << order))));
		});
		goal("multiples-" + nr(order), [order] {
			w64 j = fresh<64>();
			assume(j < 64);
			prove(same(bit_set(bits_multiples(order), j), is_aligned(j, order)));
		});
		/* a bit exactly where an aligned run starts: none is missed, none is invented */
		goal("run-starts-" + nr(order), [order] {
			w64 w = fresh<64>(), j = fresh<64>();
			assume(j < 64);
			w64 s = bits_run_starts(w, order);
			prove(same(bit_set(s, j), both(is_aligned(j, order), is_run(w, j, order))));
		});
		/* the lowest start, as the searches use it */
		goal("search-" + nr(order), [order] {
			w64 w = fresh<64>(), j = fresh<64>();
			assume(j < 64);
			w64 s = bits_run_starts(w, order);
			assume(s != 0);
			w64 at = bits_lowest(s);
			prove(at + (1 << order) <= 64);
			prove(is_aligned(at, order));
			prove((bits_run(w32(at), order) & ~w) == 0);
			prove(implies(both(j < at, is_aligned(j, order)), negated(is_run(w, j, order))));
		});
		goal("largest-run-" + nr(order), [order] {
			w64 w = fresh<64>(), j = fresh<64>();
			assume(j < 64);
			assume(is_aligned(j, order));
			assume(is_run(w, j, order));
			w32 o = bits_largest_run(w, order);
			prove(o >= order);
			prove(o <= 6);
			for (int k = order; k <= 6; k++) {
				w64 i = fresh<64>() & 63;
				prove(implies(both(is_aligned(i, k), is_run(w, i, k)), o >= k));
				if (o.known && (int)o.value == k)
					prove(bits_run_starts(w, k) != 0);
			}
		});
	}
}

static void numbers()
{
	goal("align-down", [] {
		w64 x = fresh<64>(), k = fresh<64>();
		assume(k < 64);
		w64 p = w64(1) << k, r = align_down(x, p);
		prove((r & (p - 1)) == 0);
		prove(r <= x);
		prove(x - r < p);
	});
	goal("align-up", [] {
		w64 x = fresh<64>(), k = fresh<64>();
		assume(k < 64);
		w64 p = w64(1) << k;
		assume(x <= w64(0) - p);
		w64 r = align_up(x, p);
		prove((r & (p - 1)) == 0);
		prove(either(r >= x, both(r == 0, x > w64(0) - p)));
		prove(r - x < p);
	});
	goal("power-of-two", [] {
		w64 x = fresh<64>();
		cond one = false;
		for (int i = 0; i < 64; i++)
			one = either(one, x == UINT64_C(1) << i);
		prove(is_power_of_two(x) ? one : negated(one));
	});
	goal("order-of", [] {
		w64 n = fresh<64>();
		assume(n >= 1);
		assume(n <= UINT64_C(1) << 63);
		w64 o = order_of(n);
		prove(o <= 63);
		prove((w64(1) << o) >= n);
		if (o != 0)
			prove((w64(1) << (o - 1)) < n);
	});
	goal("order-fitting", [] {
		w64 first = fresh<64>(), n = fresh<64>();
		assume(n >= 1);
		w64 o = order_fitting(first, n), p = w64(1) << o;
		prove(o <= 18);
		prove((first & (p - 1)) == 0);
		prove(p <= n);
		/* none larger fits */
		prove(either(o == 18, either((first & (p + p - 1)) != 0, p + p > n)));
	});
	/* what slots.c takes as the meaning of shifts and masks by constants */
	goal("shifts", [] {
		w64 x = fresh<64>(), q = fresh<64>();
		prove(((x >> 12) << 12) + (x & 4095) == x);
		prove((x & 4095) < 4096);
		prove(((x >> 4) << 4) + (x & 15) == x);
		prove((x & 15) < 16);
		prove((x << 12) == x * 4096);
		prove((q << 4) == q * 16);
	});
	goal("frame-and-address", [] {
		w64 pa = fresh<64>(), frame = fresh<64>();
		prove(paddr_of(frame_of(pa)) == (pa & ~w64(4095)));
		assume(frame < UINT64_C(1) << 52);
		prove(frame_of(paddr_of(frame)) == frame);
		prove((paddr_of(frame) & 4095) == 0);
	});
}

int main(int argc, char **argv)
{
	if (argc == 2)
		sym::out_dir = argv[1];
	words();
	take();
	runs();
	numbers();
	printf("%u\n", sym::goals);
	return 0;
}
