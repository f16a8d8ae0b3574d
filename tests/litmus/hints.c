/* SPDX-License-Identifier: MIT */
/*
 * E: a hint over a block word: the bit says that the block has a free frame (docs/design.md, "Zone", "Hints").
 *
 *   taker   lowers the count; if it is 0 now: fetch_and of the hint (acquire), loads the count again, and sets the
 *           hint again if it is not 0.
 *   freer   raises the count; if it was 0: fetch_or of the hint (release), always. A test first would read an old
 *           value that the clearing has yet to overtake, and the block would be hidden for ever.
 *
 * 1: two takers || two freers, from one free frame. 2: one taker, one freer.
 * At the end a block with free frames has its hint.
 *
 * litmus: 1
 * litmus: 2
 * litmus: 2 BUG_NO_REREAD
 * litmus: 2 BUG_CLEAR_RELAXED
 * litmus: 2 BUG_SET_RELAXED
 * litmus: 2 BUG_TEST_FIRST
 */
#include "litmus.h"

static atom count, hint;

static void set_hint(void)
{
	if (variant(BUG_TEST_FIRST) && (load(&hint, acquire) & 1))
		return;
	or(&hint, 1, weak(BUG_SET_RELAXED, release));
}

static void taker(void)
{
	uint64_t old = load(&count, relaxed);

	do {
		if (!old)
			return;
	} while (!cas(&count, &old, old - 1, acquire, relaxed));
	if (old != 1)
		return;
	and(&hint, ~(uint64_t)1, weak(BUG_CLEAR_RELAXED, acquire));
	if (!variant(BUG_NO_REREAD) && load(&count, relaxed))
		set_hint();
}

static void freer(void)
{
	if (!add(&count, 1, release))
		set_hint();
}

static void setup(void)
{
	store(&count, 1, relaxed);
	store(&hint, 1, relaxed);
}

static void finish(void)
{
	check(!load(&count, relaxed) || load(&hint, relaxed) & 1);
}

#if SCENARIO == 1
LITMUS4(hints, setup, taker, taker, freer, freer, finish)
#else
LITMUS2(hints, setup, taker, freer, finish)
#endif
