/* SPDX-License-Identifier: MIT */
/*
 * Pure arithmetic: words of 64 frames, orders, frame numbers. No state and no atomics. May use ramka/types.h
 * alone, so that tests/proofs can prove it and every other file can use it.
 */
#ifndef RAMKA_LIB_BASE_BITS_H
#define RAMKA_LIB_BASE_BITS_H

#include <ramka/types.h>

#ifndef likely /* a kernel's flags may have brought its own */
# define likely(x) __builtin_expect(!!(x), 1)
# define unlikely(x) __builtin_expect(!!(x), 0)
#endif
#ifndef noinline
# define noinline __attribute__((noinline))
#endif
#ifndef always_inline
# define always_inline inline __attribute__((always_inline))
#endif

#define LINE_BYTES 64u             /* a cache line */
#define WORD_BITS 64u
#define WORD_ORDER 6u              /* 2^6 frames a word */
#define BLOCK_ORDER 9u             /* 2^9 frames a block: 8 words, one cache line */
#define BLOCK_FRAMES 512u
#define BLOCK_WORDS 8u
#define CHUNK_BLOCKS 32u           /* blocks under one word of hints; their entries are one cache line */
#define CHUNK_ORDER 5u             /* 2^5 blocks a chunk */

/* No compiler builtin here: gcc turns __builtin_popcountll into a call into libgcc on a baseline CPU. */
static inline unsigned bits_count(uint64_t w)
{
	w -= (w >> 1) & 0x5555555555555555u;
	w = (w & 0x3333333333333333u) + ((w >> 2) & 0x3333333333333333u);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (unsigned)((w * 0x0101010101010101u) >> 56);
}

/* Index of the lowest set bit; w is not 0. */
static inline unsigned bits_lowest(uint64_t w)
{
#if defined(__x86_64__) || defined(__aarch64__) || defined(__riscv_zbb)
	return (unsigned)__builtin_ctzll(w);
#else
	return bits_count((w & (0 - w)) - 1);
#endif
}

/* The n lowest bits; n up to 64. */
static inline uint64_t bits_below(unsigned n)
{
	return n >= WORD_BITS ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* The n lowest set bits of w; w has at least n. */
static inline uint64_t bits_take(uint64_t w, unsigned n)
{
	uint64_t rest = w;

	if (n >= WORD_BITS || bits_count(w) <= n)
		return w;
	while (n--)
		rest &= rest - 1;
	return w & ~rest;
}

/* A run of 2^order frames at bit `at` of its word; order up to 6. */
static inline uint64_t bits_run(unsigned at, unsigned order)
{
	return bits_below(1u << order) << at;
}

/* The multiples of 2^order in a word; order up to 6. */
static inline uint64_t bits_multiples(unsigned order)
{
	static const uint64_t multiples[WORD_ORDER + 1] = {
		0xffffffffffffffffu, 0x5555555555555555u, 0x1111111111111111u, 0x0101010101010101u,
		0x0001000100010001u, 0x0000000100000001u, 0x0000000000000001u,
	};

	return multiples[order];
}

/* One bit at every start of an aligned run of 2^order set bits of w; order up to 6. */
static inline uint64_t bits_run_starts(uint64_t w, unsigned order)
{
	if (w == ~(uint64_t)0)
		return bits_multiples(order);
	for (unsigned i = 0; i < order; i++)
		w &= w >> (1u << i);
	return w & bits_multiples(order);
}

/* Largest order of an aligned run in w, looking from `from` up; w has a run of `from`. */
static inline unsigned bits_largest_run(uint64_t w, unsigned from)
{
	for (unsigned i = 0; i < from && i < WORD_ORDER; i++)
		w &= w >> (1u << i);
	for (; from < WORD_ORDER; from++) {
		w &= w >> (1u << from);
		if (!(w & bits_multiples(from + 1)))
			break;
	}
	return from;
}

/* Smallest order whose frame holds n base frames; n at least 1. May exceed RAMKA_MAX_ORDER. */
static inline unsigned order_of(uint64_t n)
{
	unsigned order = 0;

	while (order < 63 && ((uint64_t)1 << order) < n)
		order++;
	return order;
}

/*
 * Largest order of an aligned frame that starts at frame number `first` and fits into n frames; n at least 1.
 */
static inline unsigned order_fitting(uint64_t first, uint64_t n)
{
	unsigned order = 0;

	while (order < RAMKA_MAX_ORDER && !(first & (((uint64_t)2 << order) - 1)) &&
	       ((uint64_t)2 << order) <= n)
		order++;
	return order;
}

static inline uint64_t align_down(uint64_t x, uint64_t power_of_two)
{
	return x & ~(power_of_two - 1);
}

/* x is at most 2^64 - power_of_two. */
static inline uint64_t align_up(uint64_t x, uint64_t power_of_two)
{
	return align_down(x + power_of_two - 1, power_of_two);
}

static inline uint64_t frame_of(ramka_paddr_t pa)
{
	return pa >> RAMKA_PAGE_SHIFT;
}

static inline ramka_paddr_t paddr_of(uint64_t frame)
{
	return frame << RAMKA_PAGE_SHIFT;
}

static inline bool is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

#endif
