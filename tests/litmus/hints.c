/* SPDX-License-Identifier: MIT */
/*
 * E: hints over block entries (docs/design.md, "Hints"; lib/zone/hints.c). A bit says that the block has a free frame; a
 * bit of the level above says that the word below is not empty.
 *
 *   taker   lowers the count; if it is 0 now: fetch_and of the hint (acquire), loads the count again, and sets the
 *           hint again if it is not 0. The word stays TOLD.
 *   freer   raises the count; if it was 0: fetch_or of the hint and of TOLD (release), always. A test first would read an old
 *           value that the clearing has yet to overtake, and the block would be hidden for ever. The word was not TOLD: the
 *           same one level up.
 *   search  finds no hint in a word that the level above sent it to: CAS TOLD -> 0. The word is empty: fetch_and of its bit
 *           above (acquire), loads the word again, and sets that bit again if it is not 0.
 *
 * 1: two takers || two freers, from one free frame. 2: one taker, one freer. In both the word stays TOLD.
 * 3: an empty word that is TOLD: a freer of its first block || a freer of its second || a search.
 * 4: the first block has a frame: a taker of it || a freer of the second || a search.
 * At the end a block with free frames has its hint, and a word with hints its bit.
 *
 * weakens hint: BUG_CLEAR_RELAXED BUG_SET_RELAXED BUG_CLEAR_UP_RELAXED
 *
 * mirrors: hints_set_up sha256:827844f1
 * mirrors: hints_set_mask sha256:9bef5ddf
 * mirrors: hints_clear_up sha256:6e433a55
 * mirrors: hints_clear_mask sha256:76155742
 * mirrors: hints_forget sha256:285a5c3c
 * mirrors: hint_wanted sha256:50e045ad
 * mirrors: bitmap_fix_hints sha256:f18904f5
 *
 * litmus: 1
 * litmus: 2
 * litmus: 2 BUG_NO_REREAD
 * litmus: 2 BUG_CLEAR_RELAXED
 * litmus: 2 BUG_SET_RELAXED
 * litmus: 2 BUG_TEST_FIRST
 * litmus: 3
 * litmus: 3 BUG_NO_REREAD_UP
 * litmus: 3 BUG_CLEAR_UP_RELAXED
 * litmus: 3 BUG_SET_RELAXED
 * litmus: 3 BUG_TEST_FIRST_UP
 * litmus: 3 BUG_FORGET_ANY
 * litmus: 4
 * litmus: 4 BUG_NO_REREAD_UP
 */
#include "litmus.h"

#define TOLD ((uint64_t)4)

static atom count[2], hint, above;

static inline void set_above(void)
{
	if (variant(BUG_TEST_FIRST_UP) && load(&above, acquire))
		return;
	or(&above, 1, weak(BUG_SET_RELAXED, release));
}

static inline void set_hint(unsigned b)
{
	uint64_t bit = (uint64_t)1 << b;

	if (variant(BUG_TEST_FIRST) && load(&hint, acquire) & bit)
		return;
	if (!(or(&hint, bit | TOLD, weak(BUG_SET_RELAXED, release)) & TOLD))
		set_above();
}

static inline void clear_hint(unsigned b)
{
	and(&hint, ~((uint64_t)1 << b), weak(BUG_CLEAR_RELAXED, acquire));
}

static inline void search(void)
{
	uint64_t told = TOLD;

	if (load(&hint, relaxed) & ~TOLD)
		return;
	if (variant(BUG_FORGET_ANY))
		store(&hint, 0, relaxed);
	else if (!cas(&hint, &told, 0, relaxed, relaxed) && told)
		return;
	and(&above, 0, weak(BUG_CLEAR_UP_RELAXED, acquire));
	if (!variant(BUG_NO_REREAD_UP) && load(&hint, relaxed))
		set_above();
}

static inline void take(unsigned b)
{
	uint64_t old = load(&count[b], relaxed);

	do {
		if (!old)
			return;
	} while (!cas(&count[b], &old, old - 1, acquire, relaxed));
	if (old != 1)
		return;
	clear_hint(b);
	if (!variant(BUG_NO_REREAD) && load(&count[b], relaxed))
		set_hint(b);
}

static inline void give(unsigned b)
{
	if (!add(&count[b], 1, release))
		set_hint(b);
}

static void setup(void)
{
	store(&count[0], SCENARIO != 3, relaxed);
	store(&count[1], 0, relaxed);
	store(&hint, SCENARIO == 3 ? TOLD : TOLD | 1, relaxed);
	store(&above, 1, relaxed);
}

static void finish(void)
{
	uint64_t h = load(&hint, relaxed);

	for (unsigned b = 0; b < 2; b++)
		check(!load(&count[b], relaxed) || h >> b & 1);
	check(!(h & ~TOLD) || load(&above, relaxed));
}

static void taker(void) { take(0); }
static void freer(void) { give(0); }

#if SCENARIO == 1
LITMUS4(hints, setup, taker, taker, freer, freer, finish)
#elif SCENARIO == 2
LITMUS2(hints, setup, taker, freer, finish)
#else
static void other_freer(void) { give(1); }

# if SCENARIO == 3
LITMUS3(hints, setup, freer, other_freer, search, finish)
# else
LITMUS3(hints, setup, taker, other_freer, search, finish)
# endif
#endif
