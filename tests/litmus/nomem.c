/* SPDX-License-Identifier: MIT */
/*
 * G: the two collects before the answer no-memory (docs/design.md, "No memory"; lib/cpu).
 *
 * The asker collects the counters of movements and pushes, looks at the other CPU, drains it, passes over the block entries
 * and the depot, collects again. If nothing moved and no CPU was left alone, it answers. Just before the second collect it
 * looks whether the other call has ended (`done`, acquire): if it has, a free frame that it left is in no call in progress,
 * and the answer is wrong. Where the other call takes the frames out of a place that the asker must see empty, `done` is
 * relaxed: what says that the place is empty must say that the frames moved. tests/spin/nomem.pml has the same with more
 * callers and every interleaving, sequentially consistent.
 *
 * The barrier on all CPUs is sent only if the other CPU is inside its section or holds something. Without it nothing but the
 * orders of the two sides makes a movement visible, so in 1 to 6 an asker that would send it gives up instead, and the owner
 * has no fence either; in 7 to 10 both are there.
 *
 * 1, 7: the asker || a CPU whose refill takes both frames of the zone past the scan, uses one and keeps one.
 * 2, 8: || a CPU that puts a frame into its row. 3, 9: || into its cache, where no order is needed: see `other`.
 * 4, 10: || a CPU whose full cache goes to the depot as a magazine. 5: || a CPU that flushes its row to the zone.
 * 6: || a CPU that refills from a magazine of two, uses one and keeps one.
 * 11: || a cache-less free behind the scan. 12: || a drain that moves frames behind the scan.
 * 13: || a CPU that puts a frame of a larger order into its stack, which has a counter of its own. A frame for another CPU
 *     (an outbox) is counted as one in a row is; mail is a depot.
 * 14: || a claim that promises two frames to itself, finds no run of them and gives the promise back, which is counted then.
 *
 * weakens nomem.collect: BUG_COLLECT_RELAXED BUG_MOVE_RELAXED BUG_PUSH_ROW_RELAXED BUG_PUSHES_RELAXED BUG_OUTSIDE_RELAXED
 * weakens nomem.collect: BUG_PUSH_LARGER_RELAXED BUG_LARGER_RELAXED BUG_RETURNED_RELAXED BUG_RETURNS_RELAXED
 * weakens section.leave: BUG_ACTIVE_RELAXED BUG_LEAVE_RELAXED
 * weakens count.raise: BUG_PROMISE_ACQUIRE BUG_SCAN_RELAXED
 * weakens depot.push: BUG_POP_ACQUIRE BUG_LOOK_RELAXED
 *
 * mirrors: last_resort sha256:fd7e9a6a
 * mirrors: account_transfers sha256:b0d30912
 * mirrors: account_moves sha256:39f57df6
 * mirrors: cpu_drain_all sha256:b362ff80
 * mirrors: take_cache sha256:2042a7b5
 * mirrors: holds_frames sha256:15684e90
 * mirrors: drain_shard sha256:6e25fb26
 * mirrors: count_move sha256:b257c604
 * mirrors: give_back sha256:c375eb2b
 * mirrors: order_count_push sha256:d58be092
 * mirrors: drain_stack sha256:d1c7dfd0
 * mirrors: drain_cache sha256:cc3d0517
 * mirrors: lean_give sha256:6126df2f
 * mirrors: count_row_pushes sha256:0f044d70
 * mirrors: cpu_alloc_refill sha256:c0ec31d6
 * mirrors: flush sha256:ef7f8bdc
 * mirrors: give_rows sha256:6084ab79
 * mirrors: cpu_free_slow sha256:e7f75ec5
 * mirrors: bitmap_claim_any sha256:e008a6e2
 *
 * litmus: 1
 * litmus: 1 BUG_REFILL_UNCOUNTED
 * litmus: 1 BUG_COLLECT_RELAXED
 * litmus: 1 BUG_MOVE_RELAXED
 * litmus: 1 BUG_PROMISE_ACQUIRE
 * litmus: 1 BUG_SCAN_RELAXED
 * litmus: 1 BUG_ACTIVE_RELAXED
 * litmus: 1 BUG_LEAVE_RELAXED
 * litmus: 2
 * litmus: 2 BUG_PUSH_ROW_RELAXED
 * litmus: 2 BUG_PUSHES_RELAXED
 * litmus: 2 BUG_PUSH_UNCOUNTED
 * litmus: 3
 * litmus: 4
 * litmus: 4 BUG_FLUSH_UNCOUNTED
 * litmus: 5
 * litmus: 6
 * litmus: 6 BUG_POP_ACQUIRE
 * litmus: 6 BUG_LOOK_RELAXED
 * litmus: 7
 * litmus: 7 BUG_FORGET_SKIPPED
 * litmus: 7 BUG_REFILL_UNCOUNTED
 * litmus: 8
 * litmus: 9
 * litmus: 10
 * litmus: 11
 * litmus: 11 BUG_FREE_UNCOUNTED
 * litmus: 11 BUG_COUNT_BEFORE_ONLY
 * litmus: 11 BUG_OUTSIDE_RELAXED
 * litmus: 12
 * litmus: 12 BUG_DRAIN_UNCOUNTED
 * litmus: 13
 * litmus: 13 BUG_PUSH_LARGER_RELAXED
 * litmus: 13 BUG_LARGER_RELAXED
 * litmus: 14
 * litmus: 14 BUG_RETURN_UNCOUNTED
 * litmus: 14 BUG_RETURNED_RELAXED
 * litmus: 14 BUG_RETURNS_RELAXED
 */
#include "litmus.h"

#define PASSES 2
#define BARRIER (SCENARIO >= 7 && SCENARIO <= 10)
#define WHAT (BARRIER ? (SCENARIO == 10 ? 4 : SCENARIO - 6) : SCENARIO)
#define DONE (WHAT == 1 || WHAT == 6 ? relaxed : acquire)

static atom zone[2];           /* block entries: free frames */
static atom moves;             /* movements of the CPU, or the instance's */
static atom hot;               /* pushes:32 | frames in the cache */
static atom row;               /* frames in the row */
static atom larger, stack;     /* pushes of larger frames; how many lie in their stack */
static atom returned;          /* promises given back */
static atom active, revoked;
static atom depot;             /* changes:56 | magazines of one frame each: 8 */
static atom done;

#define PUSH ((uint64_t)1 << 32)
#define COUNT(h) ((h) & 0xff)
#define CHANGE ((uint64_t)0x100)
#define MAGAZINES(d) ((d) & 0xff)

static inline bool take(unsigned w)
{
	uint64_t old;

	while ((old = load(&zone[w], weak(BUG_SCAN_RELAXED, acquire))))
		if (cas(&zone[w], &old, old - 1, instead(BUG_PROMISE_ACQUIRE, acquire, acq_rel), acquire))
			return true;
	return false;
}

static inline void raise_count(unsigned w)
{
	uint64_t old = load(&zone[w], relaxed);

	while (!cas(&zone[w], &old, old + 1, release, relaxed))
		;
}

static inline uint64_t collect(void)
{
	uint64_t n = load(&moves, weak(BUG_COLLECT_RELAXED, acquire));

	n += load(&hot, weak(BUG_PUSHES_RELAXED, acquire)) >> 32;
	if (WHAT == 14)
		n += load(&returned, weak(BUG_RETURNS_RELAXED, acquire));
	return n + (WHAT == 13 ? load(&larger, weak(BUG_LARGER_RELAXED, acquire)) : 0);
}

static inline bool holds(void)
{
	return COUNT(load(&hot, relaxed)) || load(&row, relaxed) || (WHAT == 13 && load(&stack, relaxed));
}

enum drained { NOTHING, SOMETHING, SKIPPED, OTHER_BUILD };

static inline enum drained drain(void)
{
	enum drained all = NOTHING;
	uint64_t none = 0;

	if (!load(&active, weak(BUG_ACTIVE_RELAXED, acquire)) && !holds())
		return NOTHING;
	if (!BARRIER)
		return OTHER_BUILD;
	if (!cas(&revoked, &none, 1, acquire, acquire))
		return SKIPPED;
	full_fence();
	if (load(&active, acquire))
		all = SKIPPED;
	else if (holds())
		all = SOMETHING;
	store(&revoked, 0, release);
	return all;
}

static void asker(void)
{
	for (unsigned pass = 0; pass < PASSES; pass++) {
		uint64_t before = collect(), ended;
		enum drained all = drain();

		if (all == SOMETHING || all == OTHER_BUILD)
			return;
		if (MAGAZINES(load(&depot, weak(BUG_LOOK_RELAXED, acquire))) || take(0) || take(1))
			return; /* found one */
		ended = load(&done, DONE);
		if (collect() != before || (all == SKIPPED && !variant(BUG_FORGET_SKIPPED)))
			continue;
		check(!ended); /* no memory: right only while the other call holds what there is */
		return;
	}
}

static void setup(void)
{
	for (unsigned w = 0; w < 2; w++)
		store(&zone[w], WHAT == 14 && !w ? 2 : WHAT == 1, relaxed);
	store(&returned, 0, relaxed);
	store(&moves, 0, relaxed);
	store(&hot, WHAT == 4 ? 1 : 0, relaxed);
	store(&row, WHAT == 5, relaxed);
	store(&larger, 0, relaxed);
	store(&stack, 0, relaxed);
	store(&active, 0, relaxed);
	store(&revoked, 0, relaxed);
	store(&depot, WHAT == 6 ? 2 : WHAT == 12, relaxed);
	store(&done, 0, relaxed);
}

static inline bool enter(void)
{
	store(&active, 1, relaxed);
	if (BARRIER)
		full_fence();
	if (!load(&revoked, acquire))
		return true;
	store(&active, 0, release);
	return false;
}

static inline void leave(void)
{
	store(&active, 0, weak(BUG_LEAVE_RELAXED, release));
}

/* The CPU's own counter, inside the section. */
static inline void count_move(void)
{
	store(&moves, load(&moves, relaxed) + 1, weak(BUG_MOVE_RELAXED, release));
}

/* The instance's: by callers without a section, and about what is not the caller's own. */
static inline void count_outside(void)
{
	add(&moves, 1, weak(BUG_OUTSIDE_RELAXED, release));
}

#if WHAT == 11

static void other(void)
{
	if (!variant(BUG_FREE_UNCOUNTED))
		count_outside();
	raise_count(0);
	if (!variant(BUG_FREE_UNCOUNTED) && !variant(BUG_COUNT_BEFORE_ONLY))
		count_outside();
	store(&done, 1, release);
}

#elif WHAT == 14

static void other(void)
{
	uint64_t old = load(&zone[0], relaxed);

	do
		if (old < 2)
			return;
	while (!cas(&zone[0], &old, old - 2, acq_rel, acquire));
	raise_count(0);
	raise_count(0);
	if (!variant(BUG_RETURN_UNCOUNTED))
		add(&returned, 1, weak(BUG_RETURNED_RELAXED, release));
	store(&done, 1, release);
}

#elif WHAT == 12

static inline bool pop(void)
{
	uint64_t old = load(&depot, acquire);

	while (MAGAZINES(old))
		if (cas(&depot, &old, old + CHANGE - 1, acq_rel, acquire))
			return true;
	return false;
}

static void other(void)
{
	if (!variant(BUG_DRAIN_UNCOUNTED))
		count_outside();
	if (pop())
		raise_count(0);
	if (!variant(BUG_DRAIN_UNCOUNTED))
		count_outside();
	store(&done, 1, release);
}

#else

/* The frames that the other call leaves behind are free, and at its end not in progress: then *left. */
static inline void move(uint64_t h, bool *left)
{
#if WHAT == 1 /* a refill */
	uint64_t n;

	if (!variant(BUG_REFILL_UNCOUNTED))
		count_move();
	n = (uint64_t)take(0) + (uint64_t)take(1);
	store(&hot, h + (n ? n - 1 : 0), relaxed);
	if (!variant(BUG_REFILL_UNCOUNTED))
		count_move();
	*left = n == 2;
#elif WHAT == 2
	store(&row, load(&row, relaxed) | 1, relaxed);
	store(&hot, h + (variant(BUG_PUSH_UNCOUNTED) ? 0 : PUSH), weak(BUG_PUSH_ROW_RELAXED, release));
	*left = true;
#elif WHAT == 13
	(void)h;
	store(&stack, load(&stack, relaxed) + 1, relaxed);
	store(&larger, load(&larger, relaxed) + 1, weak(BUG_PUSH_LARGER_RELAXED, release));
	*left = true;
#elif WHAT == 3 /* one word says that there was a push and that a frame is cached */
	store(&hot, h + PUSH + 1, relaxed);
	*left = true;
#elif WHAT == 4
	uint64_t old = load(&depot, relaxed);

	if (!variant(BUG_FLUSH_UNCOUNTED))
		count_move();
	while (!cas(&depot, &old, old + CHANGE + 1, release, relaxed))
		;
	store(&hot, h - 1, relaxed);
	if (!variant(BUG_FLUSH_UNCOUNTED))
		count_move();
	*left = true;
#elif WHAT == 5
	count_move();
	raise_count(0);
	store(&row, 0, relaxed);
	(void)h;
	count_move();
	*left = true;
#else /* 6 */
	uint64_t old;

	count_move();
	old = load(&depot, acquire);
	while (MAGAZINES(old) && !cas(&depot, &old, old + CHANGE - MAGAZINES(old),
				      instead(BUG_POP_ACQUIRE, acquire, acq_rel), acquire))
		;
	if (MAGAZINES(old))
		store(&hot, h + MAGAZINES(old) - 1, relaxed);
	count_move();
	*left = MAGAZINES(old) == 2;
#endif
}

static void other(void)
{
	bool left = false;

	if (!enter())
		return;
	move(load(&hot, relaxed), &left);
	leave();
	if (left)
		store(&done, 1, release);
}

#endif

static void finish(void)
{
}

LITMUS2(nomem, setup, asker, other, finish)
