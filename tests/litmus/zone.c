/* SPDX-License-Identifier: MIT */
/*
 * D: block word and bits (docs/design.md, "Zone"; lib/zone/bitmap.c).
 *
 * The block word is the truth: a free count, or HUGE. A promise first: lower the count by CAS (acquire), then clear
 * bits against it (acq_rel); who holds a promise scans until it finds (acquire). Free: set bits (release), then raise
 * the count (release); give-back and undo the same. So at every instant there are at least as many bits as count
 * plus promises. Whole block: CAS full -> HUGE (acquire), bits untouched; free of it: store full (release).
 *
 * The content of a frame is plain, written by whoever has the frame: a missing order is a race. A promise that finds
 * no bit in PASSES passes is an error: the second always finds here, since a miss means that another succeeded.
 *
 * 1: free and alloc || alloc || the whole block, in one word of two frames.
 * 2: a scan over three words || a free behind it || a taker before it.
 * 3: exact claim || alloc || free.
 * 4: a run over two words, claimed word by word and undone || alloc || alloc.
 * 5: two block words of one frame, claimed in ascending order and undone || last free of the first || a whole-block
 *    claim of the first.
 * 6: a whole block is split by its owner, its two parts are freed by two threads || alloc.
 *
 * litmus: 1
 * litmus: 2 BUG_COUNT_FIRST
 * litmus: 1 BUG_LOWER_RELAXED
 * litmus: 1 BUG_RAISE_RELAXED
 * litmus: 1 BUG_SET_RELAXED
 * litmus: 1 BUG_CLEAR_RELAXED
 * litmus: 1 BUG_HUGE_RELAXED
 * litmus: 1 BUG_HUGE_FREE_RELAXED
 * litmus: 2
 * litmus: 2 BUG_ONE_PASS
 * litmus: 2 BUG_SCAN_RELAXED
 * litmus: 3
 * litmus: 3 BUG_EXACT_NO_PROMISE
 * litmus: 4
 * litmus: 4 BUG_UNDO_COUNT_FIRST
 * litmus: 5
 * litmus: 5 BUG_UNDO_STORE_RELAXED
 * litmus: 6
 * litmus: 6 BUG_SPLIT_BY_PARTS
 */
#include "litmus.h"

#define HUGE ((uint64_t)1 << 15)

#if SCENARIO == 1 || SCENARIO == 6
#define WORDS 1u /* of two frames */
#define FRAMES 2u
#else
#define WORDS 3u /* of one frame */
#define FRAMES 3u
#endif
#define PER_WORD (FRAMES / WORDS)
#define PASSES instead(BUG_ONE_PASS, 1, 2)

static atom word, bits[WORDS];
static int content[FRAMES];

static uint64_t bit(unsigned f)
{
	return (uint64_t)1 << f % PER_WORD;
}

static inline bool promise(unsigned n)
{
	uint64_t old = load(&word, relaxed);

	do {
		if (old & HUGE || old < n)
			return false;
	} while (!cas(&word, &old, old - n, weak(BUG_LOWER_RELAXED, acquire), relaxed));
	return true;
}

static inline void raise_count(unsigned n)
{
	add(&word, n, weak(BUG_RAISE_RELAXED, release));
}

/* Turns a promise into a frame, looking from word `w` on. */
static inline unsigned find(unsigned w)
{
	for (unsigned i = 0; i < PASSES * WORDS; i++, w = (w + 1) % WORDS) {
		uint64_t old = load(&bits[w], weak(BUG_SCAN_RELAXED, acquire));

		while (old) {
			unsigned f = w * PER_WORD + !(old & 1);

			if (cas(&bits[w], &old, old & ~bit(f), weak(BUG_CLEAR_RELAXED, acq_rel),
				instead(BUG_CLEAR_RELAXED, relaxed, weak(BUG_SCAN_RELAXED, acquire)))) {
				claim(f);
				content[f]++;
				return f;
			}
		}
	}
	check(!"a promise finds a bit");
	return 0;
}

static inline void free_frame(unsigned f)
{
	content[f]++;
	disown(f);
	if (variant(BUG_COUNT_FIRST))
		raise_count(1);
	or(&bits[f / PER_WORD], bit(f), weak(BUG_SET_RELAXED, release));
	if (!variant(BUG_COUNT_FIRST))
		raise_count(1);
}

/* All free but those in `taken`, which the threads have from the start. */
static void begin(unsigned taken)
{
	unsigned count = 0;

	owners_reset();
	for (unsigned w = 0; w < WORDS; w++)
		store(&bits[w], 0, relaxed);
	for (unsigned f = 0; f < FRAMES; f++) {
		content[f] = 0;
		if (taken & 1u << f) {
			claim(f);
		} else {
			or(&bits[f / PER_WORD], bit(f), relaxed);
			count++;
		}
	}
	store(&word, count, relaxed);
}

static inline void count_agrees(void)
{
	unsigned n = 0;

	for (unsigned f = 0; f < FRAMES; f++) {
		bool free = load(&bits[f / PER_WORD], relaxed) & bit(f);

		n += free;
		check(free != owned(f));
	}
	check(load(&word, relaxed) == n);
}

#if SCENARIO == 1

static void setup(void) { begin(1); }

static void t0(void)
{
	free_frame(0);
	if (promise(1))
		free_frame(find(0));
}

static void t1(void)
{
	if (promise(1))
		free_frame(find(0));
}

static void t2(void)
{
	uint64_t full = 2;

	if (!cas(&word, &full, HUGE, weak(BUG_HUGE_RELAXED, acquire), relaxed))
		return;
	for (unsigned f = 0; f < 2; f++) {
		claim(f);
		content[f]++;
		disown(f);
	}
	store(&word, 2, weak(BUG_HUGE_FREE_RELAXED, release));
}

static void finish(void)
{
	count_agrees();
	check(load(&word, relaxed) == 2);
}

#elif SCENARIO == 2

static void setup(void) { begin(3); }

static void t0(void)
{
	if (promise(1))
		find(0);
}

static void t1(void)
{
	free_frame(0);
}

static void t2(void)
{
	if (promise(1))
		find(2);
}

static void finish(void) { count_agrees(); }

#elif SCENARIO == 3

static void setup(void) { begin(6); } /* frame 0 is free */

static void t0(void)
{
	if (!(load(&bits[0], relaxed) & 1))
		return;
	if (!variant(BUG_EXACT_NO_PROMISE) && !promise(1))
		return; /* all promised, or a freer between bit and count: busy */
	if (and(&bits[0], ~(uint64_t)1, acq_rel) & 1) {
		claim(0);
		content[0]++;
		if (variant(BUG_EXACT_NO_PROMISE))
			sub(&word, 1, acq_rel);
	} else if (!variant(BUG_EXACT_NO_PROMISE)) {
		raise_count(1);
	}
}

static void t1(void)
{
	if (promise(1))
		find(0);
}

static void t2(void)
{
	free_frame(1);
}

static void finish(void) { count_agrees(); }

#elif SCENARIO == 4

static void setup(void) { begin(0); }

static void t0(void)
{
	if (!promise(2))
		return;
	if (and(&bits[0], 0, acq_rel)) {
		if (and(&bits[1], 0, acq_rel)) {
			for (unsigned f = 0; f < 2; f++) {
				claim(f);
				content[f]++;
			}
			return;
		}
		if (variant(BUG_UNDO_COUNT_FIRST))
			raise_count(2);
		or(&bits[0], 1, release);
		if (variant(BUG_UNDO_COUNT_FIRST))
			return;
	}
	raise_count(2);
}

static void t1(void)
{
	if (promise(1))
		find(1);
}

static void t2(void)
{
	if (promise(1))
		find(2);
	if (promise(1))
		find(2);
}

static void finish(void) { count_agrees(); }

#elif SCENARIO == 5

static atom second; /* the word after `word`, of one frame that stays in use: not full */

static void setup(void)
{
	begin(7);
	store(&second, 0, relaxed);
}

static void t0(void)
{
	uint64_t full = 1;

	if (!cas(&word, &full, HUGE, acquire, relaxed))
		return;
	full = 1;
	check(!cas(&second, &full, HUGE, acquire, relaxed));
	store(&word, 1, weak(BUG_UNDO_STORE_RELAXED, release)); /* what we own: cannot fail */
}

static void t1(void)
{
	free_frame(0);
}

static void t2(void)
{
	uint64_t full = 1;

	if (cas(&word, &full, HUGE, acquire, relaxed)) {
		claim(0);
		content[0]++;
	}
}

static void finish(void)
{
	check(load(&word, relaxed) == (owned(0) ? HUGE : 1));
}

#else

static atom handed;

static void setup(void)
{
	begin(3);
	or(&bits[0], 3, relaxed);
	store(&word, HUGE, relaxed);
	store(&handed, 0, relaxed);
}

static void free_part(unsigned f)
{
	if (variant(BUG_SPLIT_BY_PARTS) && load(&word, acquire) & HUGE) {
		store(&bits[0], 0, relaxed);
		store(&word, 0, release);
	}
	free_frame(f);
}

static void t0(void)
{
	if (!variant(BUG_SPLIT_BY_PARTS)) {
		store(&bits[0], 0, relaxed);
		store(&word, 0, release);
	}
	store(&handed, 1, release);
	free_part(0);
}

static void t1(void)
{
	if (load(&handed, acquire))
		free_part(1);
}

static void t2(void)
{
	if (promise(1))
		free_frame(find(0));
}

static void finish(void)
{
	count_agrees();
	check(!owned(0));
}

#endif

LITMUS3(zone, setup, t0, t1, t2, finish)
