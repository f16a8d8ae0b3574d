/* SPDX-License-Identifier: MIT */
/*
 * D: block entry and bits (docs/design.md, "The bitmap"; lib/zone/bitmap.c).
 *
 * The block entry is the truth: a free count, or HUGE. A promise first: lower the count by CAS (acq_rel), then clear
 * bits against it (acq_rel); who holds a promise scans until it finds (acquire). Free: set bits (release), then raise
 * the count by CAS (release); give-back and undo the same. So at every instant there are at least as many bits as count
 * plus promises. Whole block: CAS full -> HUGE (acquire), bits untouched; free, undo and opening: CAS back (release).
 *
 * The content of a frame is plain, written by whoever has the frame: a missing order is a race. A promise that finds
 * no bit in PASSES passes is an error: the second always finds here, since a miss means that another succeeded.
 *
 * 1: free and alloc || alloc || the whole block, in one word of two frames.
 * 2: a scan over three words || a free behind it || a taker before it.
 * 3: exact claim || alloc || free.
 * 4: a run over two words, claimed word by word and undone || alloc || alloc.
 * 5: two block entries of one frame, claimed in ascending order and undone || last free of the first || a whole-block
 *    claim of the first.
 * 6: a whole block is split by its owner, its two parts are freed by two threads || alloc.
 * 7: the run of 4 || a free whose bit may be taken before its count is raised.
 * 8: a scan over three words || a free behind it || the run of 4, of what the scan comes to next.
 * 9: the run of 4, undone || an alloc of what it undid || the free of that. The order of the undo is not needed: the clearing
 *    and the setting go on with the freer's release sequence.
 * 10: two blocks in one word: one is freed whole || the other's count is raised || the first is claimed whole.
 * 11: a batch of two out of one word, the surplus given back || the exact claim of one of them || alloc.
 * 12: two blocks in one word, freed by one CAS || the count of a third is raised || both, or the one that is free, claimed by
 *     one CAS.
 * The run of 4 stands for several runs out of one word too (clear_runs): a CAS each, against a promise of all.
 *
 * BUG_X_ACQUIRE has the acquire half of X only, BUG_X_RELEASE the release half only. That the failing CAS of a promise has less
 * is noticed by no scenario: what it read is compared and no more. Its release half: see nomem.c.
 *
 * weakens count.raise: BUG_LOWER_RELEASE BUG_RAISE_RELAXED
 * weakens bit.free: BUG_SET_RELAXED BUG_CLEAR_RELEASE BUG_CLEAR_ACQUIRE BUG_SCAN_RELAXED BUG_RUN_RELEASE BUG_RUN_ACQUIRE
 * weakens huge.free: BUG_HUGE_RELEASE BUG_HUGE_ACQUIRE BUG_LANES_RELEASE BUG_FREE_LANES_RELAXED
 *
 * mirrors: promise sha256:b5f99dec
 * mirrors: raise_count sha256:4f18b585
 * mirrors: fill_one sha256:0e2402de
 * mirrors: bitmap_take sha256:91f1d993
 * mirrors: claim_words sha256:87d7a2f1
 * mirrors: bitmap_claim_mask sha256:fd21ea6a
 * mirrors: bitmap_free_mask sha256:12f6e528
 * mirrors: bitmap_set_mask sha256:3c2a0ac0
 * mirrors: bitmap_set_words sha256:4bab698b
 * mirrors: entries_from_to sha256:c529777a
 * mirrors: bitmap_claim_blocks sha256:61669931
 * mirrors: bitmap_free_blocks sha256:54af875f
 * mirrors: clear_runs sha256:d8435d25
 * mirrors: bitmap_free_quad sha256:c1176be7
 * mirrors: take_quad sha256:9d3202e3
 * mirrors: bitmap_open_block sha256:d9def275
 *
 * litmus: 1
 * litmus: 1 BUG_LOWER_RELEASE race
 * litmus: 1 BUG_RAISE_RELAXED race
 * litmus: 1 BUG_SET_RELAXED race
 * litmus: 1 BUG_CLEAR_RELEASE race
 * litmus: 1 BUG_HUGE_RELEASE race
 * litmus: 1 BUG_HUGE_ACQUIRE race
 * litmus: 1 OK_LOWER_FAILURE
 * litmus: 2
 * litmus: 2 BUG_COUNT_FIRST
 * litmus: 2 BUG_ONE_PASS
 * litmus: 2 BUG_SCAN_RELAXED
 * litmus: 2 BUG_CLEAR_ACQUIRE
 * litmus: 2 BUG_LOWER_RELEASE
 * litmus: 2 BUG_RAISE_RELAXED
 * litmus: 3
 * litmus: 3 BUG_EXACT_NO_PROMISE
 * litmus: 4
 * litmus: 4 BUG_UNDO_COUNT_FIRST
 * litmus: 5
 * litmus: 5 BUG_HUGE_RELEASE race
 * litmus: 6
 * litmus: 6 BUG_SPLIT_BY_PARTS
 * litmus: 7
 * litmus: 7 BUG_RUN_RELEASE race
 * litmus: 8
 * litmus: 8 BUG_RUN_ACQUIRE
 * litmus: 9
 * litmus: 9 OK_UNDO_RELAXED
 * litmus: 10
 * litmus: 10 BUG_HUGE_ACQUIRE race
 * litmus: 10 BUG_LANE_STORED
 * litmus: 11
 * litmus: 11 BUG_SURPLUS_KEPT
 * litmus: 12
 * litmus: 12 BUG_LANES_RELEASE race
 * litmus: 12 BUG_FREE_LANES_RELAXED race
 * litmus: 12 BUG_LANES_APART
 */
#include "litmus.h"

#define HUGE ((uint64_t)1 << 15)

#if SCENARIO == 1 || SCENARIO == 6
#define WORDS 1u /* of two frames */
#define FRAMES 2u
#elif SCENARIO == 11
#define WORDS 2u /* of two frames */
#define FRAMES 4u
#else
#define WORDS 3u /* of one frame */
#define FRAMES 3u
#endif
#define PER_WORD (FRAMES / WORDS)
#define PASSES instead(BUG_ONE_PASS, 1, 2)
#define NO_FRAME 99u

static atom word, bits[WORDS];
static plain content[FRAMES];

static inline uint64_t bit(unsigned f)
{
	return (uint64_t)1 << f % PER_WORD;
}

static inline void use(unsigned f)
{
	claim(f);
	set(content[f], get(content[f]) + 1);
}

/* Between `min` and `max`. */
static inline unsigned promise(unsigned min, unsigned max)
{
	uint64_t old = load(&word, relaxed), n;

	do {
		if (old & HUGE || old < min)
			return 0;
		n = old < max ? old : max;
	} while (!cas(&word, &old, old - n, instead(BUG_LOWER_RELEASE, release, acq_rel),
		      weak(OK_LOWER_FAILURE, weak(BUG_LOWER_RELEASE, acquire))));
	return (unsigned)n;
}

static inline void raise_count(unsigned n)
{
	uint64_t old = load(&word, relaxed);

	do
		check(!(old & HUGE) && old + n <= FRAMES);
	while (!cas(&word, &old, old + n, weak(BUG_RAISE_RELAXED, release), relaxed));
}

static inline bool entry(atom *p, uint64_t mask, uint64_t from, uint64_t to)
{
	uint64_t quad = load(p, relaxed);

	while ((quad & mask) == from) {
		if (variant(BUG_LANE_STORED)) {
			store(p, (quad & ~mask) | to, release);
			return true;
		}
		if (cas(p, &quad, (quad & ~mask) | to,
			instead(BUG_HUGE_RELEASE, release, instead(BUG_HUGE_ACQUIRE, acquire, acq_rel)), relaxed))
			return true;
	}
	return false;
}

#define ALL ~(uint64_t)0

/* Clears the bits of `mask` in word `w`, returns those that were set. */
static inline uint64_t clear(unsigned w, uint64_t mask, uint64_t *now)
{
	*now = and(&bits[w], ~mask, instead(BUG_CLEAR_RELEASE, release, instead(BUG_CLEAR_ACQUIRE, acquire, acq_rel)));
	return *now & mask;
}

/* Turns a promise into a frame, looking from word `w` on. */
static inline unsigned find(unsigned w)
{
	for (unsigned i = 0; i < PASSES * WORDS; i++, w = (w + 1) % WORDS) {
		uint64_t old = load(&bits[w], weak(BUG_SCAN_RELAXED, acquire));

		while (old) {
			unsigned f = w * PER_WORD + !(old & 1);

			if (clear(w, bit(f), &old)) {
				use(f);
				return f;
			}
		}
	}
	check(!"a promise finds a bit");
	return 0;
}

static inline void free_frame(unsigned f)
{
	atom *w = &bits[f / PER_WORD];
	uint64_t old;

	set(content[f], get(content[f]) + 1);
	disown(f);
	if (variant(BUG_COUNT_FIRST))
		raise_count(1);
	old = load(w, relaxed);
	do
		check(!(old & bit(f)));
	while (!cas(w, &old, old | bit(f), weak(BUG_SET_RELAXED, release), relaxed));
	if (!variant(BUG_COUNT_FIRST))
		raise_count(1);
}

/* All of one word, against a promise held. */
static inline bool claim_word(unsigned w)
{
	uint64_t full = 1;

	return cas(&bits[w], &full, 0, instead(BUG_RUN_RELEASE, release, instead(BUG_RUN_ACQUIRE, acquire, acq_rel)), relaxed);
}

/* Words 0 and 1, against a promise of two: claimed one by one, undone by setting what was cleared. */
static inline bool claim_run(void)
{
	if (!promise(2, 2))
		return false;
	if (claim_word(0)) {
		if (claim_word(1)) {
			use(0);
			use(1);
			return true;
		}
		if (variant(BUG_UNDO_COUNT_FIRST))
			raise_count(2);
		or(&bits[0], 1, weak(OK_UNDO_RELAXED, release));
		if (variant(BUG_UNDO_COUNT_FIRST))
			return false;
	}
	raise_count(2);
	return false;
}

/* All free but those in `taken`, which the threads have from the start. */
static void begin(unsigned taken)
{
	unsigned count = 0;

	owners_reset();
	for (unsigned w = 0; w < WORDS; w++)
		store(&bits[w], 0, relaxed);
	for (unsigned f = 0; f < FRAMES; f++) {
		set(content[f], 0);
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

static inline void alloc_at(unsigned w)
{
	if (promise(1, 1))
		find(w);
}

#if SCENARIO == 1

static void setup(void) { begin(1); }

static void t0(void)
{
	free_frame(0);
	if (promise(1, 1))
		free_frame(find(0));
}

static void t1(void)
{
	if (promise(1, 1))
		free_frame(find(0));
}

static void t2(void)
{
	if (!entry(&word, ALL, 2, HUGE))
		return;
	for (unsigned f = 0; f < 2; f++) {
		use(f);
		disown(f);
	}
	check(entry(&word, ALL, HUGE, 2));
}

static void finish(void)
{
	count_agrees();
	check(load(&word, relaxed) == 2);
}

#elif SCENARIO == 2

static void setup(void) { begin(3); }
static void t0(void) { alloc_at(0); }
static void t1(void) { free_frame(0); }
static void t2(void) { alloc_at(2); }
static void finish(void) { count_agrees(); }

#elif SCENARIO == 3

static void setup(void) { begin(6); } /* frame 0 is free */

static void t0(void)
{
	uint64_t now;

	if (!(load(&bits[0], relaxed) & 1))
		return;
	if (!variant(BUG_EXACT_NO_PROMISE) && !promise(1, 1))
		return; /* all promised, or a freer between bit and count: busy */
	if (clear(0, 1, &now)) {
		use(0);
		if (variant(BUG_EXACT_NO_PROMISE))
			sub(&word, 1, acq_rel);
	} else if (!variant(BUG_EXACT_NO_PROMISE)) {
		raise_count(1);
	}
}

static void t1(void) { alloc_at(0); }
static void t2(void) { free_frame(1); }
static void finish(void) { count_agrees(); }

#elif SCENARIO == 4

static void setup(void) { begin(0); }
static void t0(void) { claim_run(); }
static void t1(void) { alloc_at(1); }

static void t2(void)
{
	alloc_at(2);
	alloc_at(2);
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
	if (!entry(&word, ALL, 1, HUGE))
		return;
	check(!entry(&second, ALL, 1, HUGE));
	check(entry(&word, ALL, HUGE, 1));
}

static void t1(void) { free_frame(0); }

static void t2(void)
{
	if (entry(&word, ALL, 1, HUGE))
		use(0);
}

static void finish(void)
{
	check(load(&word, relaxed) == (owned(0) ? HUGE : 1));
}

#elif SCENARIO == 6

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
		check(entry(&word, ALL, HUGE, 0));
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
	if (promise(1, 1))
		free_frame(find(0));
}

static void finish(void)
{
	count_agrees();
	check(!owned(0));
}

#elif SCENARIO == 7

static void setup(void) { begin(1); }
static void t0(void) { claim_run(); }
static void t1(void) { free_frame(0); }
static void t2(void) { alloc_at(2); }
static void finish(void) { count_agrees(); }

#elif SCENARIO == 8

static void setup(void) { begin(4); } /* 0 and 1 are free */
static void t0(void) { alloc_at(2); }
static void t1(void) { free_frame(2); }
static void t2(void) { claim_run(); }
static void finish(void) { count_agrees(); }

#elif SCENARIO == 9

static void setup(void) { begin(3); } /* 2 is free; 1 stays in use */
static void t0(void) { claim_run(); }
static void t1(void) { alloc_at(0); }
static void t2(void) { free_frame(0); }
static void finish(void) { count_agrees(); }

#elif SCENARIO == 10

#define ENTRY ((uint64_t)0xffff)
#define OTHER ((uint64_t)1 << 16)

static void setup(void)
{
	begin(7);
	store(&word, HUGE, relaxed); /* frame 0 is the first block; the other has no free frame */
}

static void t0(void)
{
	set(content[0], get(content[0]) + 1);
	disown(0);
	check(entry(&word, ENTRY, HUGE, 1));
}

static void t1(void)
{
	uint64_t old = load(&word, relaxed);

	while (!cas(&word, &old, old + OTHER, release, relaxed))
		;
}

static void t2(void)
{
	if (entry(&word, ENTRY, 1, HUGE))
		use(0);
}

static void finish(void)
{
	check(load(&word, relaxed) == (OTHER | (owned(0) ? HUGE : 1)));
}

#elif SCENARIO == 12

#define ENTRY(i) ((uint64_t)0xffff << 16 * (i))
#define FULL(i) ((uint64_t)1 << 16 * (i))
#define BOTH (ENTRY(0) | ENTRY(1))

static void setup(void)
{
	begin(7); /* frames 0 and 1 are a block each, 2 is in a third */
	store(&word, HUGE | HUGE << 16, relaxed);
}

static void t0(void)
{
	uint64_t old = load(&word, relaxed), now;

	for (unsigned i = 0; i < 2; i++) {
		set(content[i], get(content[i]) + 1);
		disown(i);
	}
	do {
		check((old & BOTH) == (HUGE | HUGE << 16));
		now = (old & ~BOTH) | FULL(0) | FULL(1);
	} while (!cas(&word, &old, now, weak(BUG_FREE_LANES_RELAXED, release), relaxed));
}

static void t1(void)
{
	uint64_t old = load(&word, relaxed);

	while (!cas(&word, &old, old + FULL(2), release, relaxed))
		;
}

static void t2(void)
{
	uint64_t old = load(&word, relaxed), now;
	unsigned got;

	do {
		now = old;
		got = 0;
		for (unsigned i = 0; i < 2; i++)
			if ((old & ENTRY(i)) == FULL(i)) {
				got |= 1u << i;
				now = (now & ~ENTRY(i)) | HUGE << 16 * i;
			}
		if (!got)
			return;
		if (variant(BUG_LANES_APART)) { /* the word is written as if nothing else were in it */
			store(&word, now, release);
			break;
		}
	} while (!cas(&word, &old, now, instead(BUG_LANES_RELEASE, release, acq_rel), relaxed));
	for (unsigned i = 0; i < 2; i++)
		if (got & 1u << i)
			use(i);
}

static void finish(void)
{
	uint64_t v = load(&word, relaxed);

	for (unsigned i = 0; i < 2; i++)
		check((v & ENTRY(i)) == (owned(i) ? HUGE << 16 * i : FULL(i)));
	check((v & ENTRY(2)) == FULL(2));
}

#else /* 11 */

static void setup(void) { begin(0); }

/* bitmap_take */
static void t0(void)
{
	uint64_t w = load(&bits[0], relaxed), mask, now;
	unsigned n = promise(1, w == 3 ? 2 : 1), got = 0;

	if (!n)
		return;
	mask = w ? n == 2 ? w : w & (0 - w) : 0;
	if (mask)
		mask = clear(0, mask, &now);
	for (unsigned f = 0; f < 2; f++)
		if (mask & bit(f)) {
			use(f);
			got++;
		}
	if (!got) {
		if (n > 1)
			raise_count(n - 1);
		find(0);
	} else if (got < n && !variant(BUG_SURPLUS_KEPT)) {
		raise_count(n - got);
	}
}

static void t1(void) /* exactly frame 1 */
{
	uint64_t now;

	if (!promise(1, 1))
		return;
	if (clear(0, bit(1), &now)) {
		use(1);
		free_frame(1);
	} else {
		raise_count(1);
	}
}

static void t2(void) { alloc_at(0); }
static void finish(void) { count_agrees(); }

#endif

LITMUS3(zone, setup, t0, t1, t2, finish)
