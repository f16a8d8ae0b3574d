/* SPDX-License-Identifier: MIT */
/*
 * G: the two collects before the answer no-memory (docs/design.md, "Zone", "No memory"; lib/cpu).
 *
 * The asker collects the counters of movements, drains the caches, passes over the block words, collects again. If
 * nothing moved and no CPU was skipped, it answers. Just before the second collect it looks whether the other call
 * has ended (`done`, acquire): if it has, a free frame that it left is nobody's in progress, and the answer is wrong.
 * tests/spin/nomem.pml has the same with more callers and every interleaving, sequentially consistent.
 *
 * 1: the asker || a CPU whose refill takes both frames of the zone past the scan, uses one and keeps one.
 * 2: the asker || a cache-less free behind the scan. 3: the asker || a drain that moves frames behind the scan.
 *
 * litmus: 1
 * litmus: 1 BUG_REFILL_UNCOUNTED
 * litmus: 1 BUG_FORGET_SKIPPED
 * litmus: 2
 * litmus: 2 BUG_FREE_UNCOUNTED
 * litmus: 2 BUG_COUNT_BEFORE_ONLY
 * litmus: 3
 * litmus: 3 BUG_DRAIN_UNCOUNTED
 */
#include "litmus.h"

#define PASSES 2

static atom zone[2];           /* block words: free frames */
static atom moves;             /* counter of the other call: its CPU's, or the shared one */
static atom active, revoked;
static unsigned cache;         /* plain: the section's */
static atom stock;             /* a cache that is drained in one step */
static atom done;

static bool take(unsigned w)
{
	uint64_t old = load(&zone[w], acquire);

	while (old)
		if (cas(&zone[w], &old, old - 1, acq_rel, acquire))
			return true;
	return false;
}

/* Frames that it found; sets *skipped if the CPU is in its section. */
static unsigned drain(bool *skipped)
{
	uint64_t expected = 0;
	unsigned n = 0;

	if (!cas(&revoked, &expected, 1, acquire, relaxed)) {
		*skipped = true;
		return 0;
	}
	full_fence();
	if (load(&active, acquire)) {
		*skipped = true;
	} else {
		n = cache;
		cache = 0;
	}
	store(&revoked, 0, release);
	return n + (unsigned)xchg(&stock, 0, acq_rel);
}

static void asker(void)
{
	for (unsigned pass = 0; pass < PASSES; pass++) {
		uint64_t before = load(&moves, acquire), ended;
		bool skipped = false;

		if (drain(&skipped) || take(0) || take(1))
			return; /* found one */
		ended = load(&done, acquire);
		if (load(&moves, acquire) != before || (skipped && !variant(BUG_FORGET_SKIPPED)))
			continue;
		check(!ended); /* no memory: right only while the other call holds what there is */
		return;
	}
}

static void setup(void)
{
	store(&zone[0], SCENARIO == 1, relaxed);
	store(&zone[1], SCENARIO == 1, relaxed);
	store(&moves, 0, relaxed);
	store(&active, 0, relaxed);
	store(&revoked, 0, relaxed);
	store(&stock, SCENARIO == 3, relaxed);
	store(&done, 0, relaxed);
	cache = 0;
}

#if SCENARIO == 1

static void count_move(void)
{
	if (!variant(BUG_REFILL_UNCOUNTED))
		store(&moves, load(&moves, relaxed) + 1, release); /* own line, inside the section */
}

static void other(void)
{
	unsigned n;

	store(&active, 1, relaxed);
	full_fence();
	if (load(&revoked, acquire)) {
		store(&active, 0, release);
		if (!take(0)) /* one for the caller, without a cache */
			take(1);
		store(&done, 1, release);
		return;
	}
	count_move();
	n = (unsigned)take(0) + (unsigned)take(1);
	if (n)
		cache = n - 1; /* the other is used */
	count_move();
	store(&active, 0, release);
	if (n == 2)
		store(&done, 1, release);
}

#elif SCENARIO == 2

static void other(void)
{
	if (!variant(BUG_FREE_UNCOUNTED))
		add(&moves, 1, release);
	add(&zone[0], 1, release);
	if (!variant(BUG_FREE_UNCOUNTED) && !variant(BUG_COUNT_BEFORE_ONLY))
		add(&moves, 1, release);
	store(&done, 1, release);
}

#else

static void other(void)
{
	uint64_t n;

	if (!variant(BUG_DRAIN_UNCOUNTED))
		add(&moves, 1, release);
	n = xchg(&stock, 0, acq_rel);
	add(&zone[0], n, release);
	if (!variant(BUG_DRAIN_UNCOUNTED))
		add(&moves, 1, release);
	store(&done, n, release);
}

#endif

static void finish(void)
{
}

LITMUS2(nomem, setup, asker, other, finish)
