/* SPDX-License-Identifier: MIT */
/*
 * A: the state word of a slot (docs/design.md, "The slot"; lib/base/slot.h).
 *
 * One frame. Its metadata is plain: whoever has a reference reads it, the one who brings the frame to life or to its
 * end writes it, so a missing order is a race. A free frame is a set bit in `pool`, handed over by release and acquire.
 *
 * 1: last put, then a new life || get put put || lookup by address
 * 2: try_unique, write, share || put || lookup by address
 * 3: last put, new life with two references || a stray get, which is a misuse: it is undone by a CAS of exactly the
 *    wrong value, and not at all when the count was 0, whose word BUSY replaces at once
 * 4: put_rcu || put || a reader in a section without a reference
 * 5: put_rcu || try_unique || a reader in a section. A marked frame is not made unique
 * 6: last put, new life || lookup by address || another holder of it, who saturates the count. The lookup does not
 *    count a saturated frame: what it loads is all that orders it, the first time and when its CAS fails
 *
 * The grace period of 4 and 5 is one flag that the reader stores when it leaves; a frame that nobody may free yet
 * stays DEFERRED.
 *
 * weakens slot.publish: BUG_FOUND_RELAXED BUG_LOOKUP_FAILURE BUG_SATURATE_RELAXED BUG_LOOKUP_RELAXED BUG_PUBLISH_RELAXED BUG_SHARE_RELAXED
 * weakens slot.drop: BUG_PUT_ACQUIRE BUG_PUT_RELEASE BUG_UNIQUE_RELAXED BUG_PUT_RCU_ACQUIRE BUG_PUT_RCU_RELEASE
 *
 * mirrors: drop_reference sha256:3ac5da01
 * mirrors: end_shared sha256:c51ff660
 * mirrors: put_rcu_asked sha256:2bba1ab2
 * mirrors: lookup sha256:e0a9cef3
 * mirrors: get_reference sha256:26ebae78
 * mirrors: undo sha256:9697c88d
 * mirrors: get_failed sha256:c27125a3
 * mirrors: put_failed sha256:34d3a92d
 * mirrors: ramka_frame_try_unique sha256:4c5ad2fb
 * mirrors: ramka_unique_share sha256:20c13e04
 * mirrors: frame_publish sha256:cc1e02fd
 *
 * litmus: 1
 * litmus: 1 BUG_PUT_ACQUIRE race
 * litmus: 1 BUG_PUT_RELEASE race
 * litmus: 1 BUG_LOOKUP_RELAXED
 * litmus: 1 BUG_PUBLISH_RELAXED
 * litmus: 1 OK_FREE_RELAXED
 * litmus: 2
 * litmus: 2 BUG_UNIQUE_RELAXED race
 * litmus: 2 BUG_SHARE_RELAXED race
 * litmus: 3
 * litmus: 3 BUG_UNDO_SUB
 * litmus: 3 BUG_UNDO_ZERO
 * litmus: 4
 * litmus: 4 BUG_MARK_LATER
 * litmus: 4 BUG_PUT_RCU_ACQUIRE race
 * litmus: 4 BUG_PUT_RCU_RELEASE race
 * litmus: 5
 * litmus: 5 BUG_UNIQUE_MARKED
 * litmus: 6
 * litmus: 6 BUG_FOUND_RELAXED
 * litmus: 6 BUG_LOOKUP_FAILURE
 * litmus: 6 BUG_SATURATE_RELAXED
 */
#include "litmus.h"

#define TAG(t) ((uint64_t)(t) << 61)
#define MARK ((uint64_t)1 << 60)
#define FREE ((uint64_t)0)
#define UNIQUE (TAG(2) | (uint64_t)1 << 59)
#define SHARED(n) (TAG(3) | (uint64_t)(n))
#define DEFERRED (TAG(4) | (uint64_t)1 << 59)
#define SATURATED (TAG(6) | (uint64_t)1 << 59)
#define DEAD 99
#define BUSY (TAG(5) | (uint64_t)1 << 59)

static atom ref, pool, left, retired;
static plain meta, lives;

static bool is_shared(uint64_t v) /* with at least one reference */
{
	return v >> 61 == 3 && (v & ~MARK) != SHARED(0);
}

/* The one owner of a dying frame: on_drop, then the allocator. */
static void bury(void)
{
	store(&ref, BUSY, relaxed);
	set(meta, DEAD);
	set(lives, get(lives) + 1);
	store(&ref, FREE, weak(OK_FREE_RELAXED, release));
	or(&pool, 1, release);
}

static inline bool alloc(uint64_t value)
{
	if (!(and(&pool, ~(uint64_t)1, acquire) & 1))
		return false;
	if (load(&ref, relaxed) != FREE)
		return false; /* somebody wrote to a free frame: leaked */
	set(meta, value);
	store(&ref, SHARED(1), weak(BUG_PUBLISH_RELAXED, release));
	return true;
}

/* marked: the grace period decides */
static inline void last_put(uint64_t old)
{
	if (!(old & MARK)) {
		bury();
		return;
	}
	store(&ref, DEFERRED, relaxed);
	if (load(&left, acquire))
		bury();
	else
		store(&retired, 1, relaxed); /* to be found by finish() */
}

static inline void put(void)
{
	uint64_t old = sub(&ref, 1, instead(BUG_PUT_ACQUIRE, acquire, instead(BUG_PUT_RELEASE, release, acq_rel)));

	check(is_shared(old));
	if ((old & ~MARK) == SHARED(1))
		last_put(old);
}

static inline bool lookup(void)
{
	uint64_t old = load(&ref, weak(BUG_FOUND_RELAXED, acquire));

	while (is_shared(old))
		if (cas(&ref, &old, old + 1, weak(BUG_LOOKUP_RELAXED, acquire), weak(BUG_LOOKUP_FAILURE, acquire)))
			return true;
	return old == SATURATED;
}

static inline bool try_unique(void)
{
	uint64_t old = SHARED(1);

	if (variant(BUG_UNIQUE_MARKED) && load(&ref, relaxed) == SHARED(1) + MARK)
		old = SHARED(1) + MARK;
	return cas(&ref, &old, UNIQUE, weak(BUG_UNIQUE_RELAXED, acquire), relaxed);
}

static inline void put_rcu(void)
{
	uint64_t old;

	if (variant(BUG_MARK_LATER)) {
		old = sub(&ref, 1, acq_rel);
		if ((old & ~MARK) == SHARED(1))
			last_put(old | MARK);
		else
			or(&ref, MARK, acq_rel);
		return;
	}
	old = load(&ref, relaxed);
	do
		check(is_shared(old));
	while (!cas(&ref, &old, (old - 1) | MARK,
		    instead(BUG_PUT_RCU_ACQUIRE, acquire, instead(BUG_PUT_RCU_RELEASE, release, acq_rel)), relaxed));
	if ((old & ~MARK) == SHARED(1))
		last_put(old | MARK);
}

static void begin(uint64_t count)
{
	owners_reset();
	set(meta, 1);
	set(lives, 0);
	store(&ref, SHARED(count), relaxed);
	store(&pool, 0, relaxed);
	store(&left, 0, relaxed);
	store(&retired, 0, relaxed);
}

static inline void reader(void) /* in a section from the start; unlinked but not yet freed */
{
	check(get(meta) == 1);
	store(&left, 1, release);
}

#if SCENARIO == 1

static void setup(void) { begin(2); }

static void t0(void)
{
	check(get(meta) == 1);
	put();
	if (alloc(2)) {
		check(get(meta) == 2);
		put();
	}
}

static void t1(void)
{
	check(is_shared(add(&ref, 1, relaxed)));
	check(get(meta) == 1);
	put();
	put();
}

static void t2(void)
{
	if (!lookup())
		return;
	{
		uint64_t m = get(meta);

		check(m == 1 || m == 2);
	}
	put();
}

static void finish(void)
{
	check(load(&ref, relaxed) == FREE);
	check(load(&pool, relaxed) == 1);
	check(get(lives) == 1 || get(lives) == 2);
}

#elif SCENARIO == 2

static void setup(void) { begin(2); }

static void t0(void)
{
	if (try_unique()) {
		set(meta, 2);
		store(&ref, SHARED(1), weak(BUG_SHARE_RELAXED, release));
	}
	put();
}

static void t1(void)
{
	check(get(meta) == 1);
	put();
}

static void t2(void)
{
	if (!lookup())
		return;
	{
		uint64_t m = get(meta);

		check(m == 1 || m == 2);
	}
	put();
}

static void finish(void)
{
	check(load(&ref, relaxed) == FREE);
	check(load(&pool, relaxed) == 1);
	check(get(lives) == 1);
}

#elif SCENARIO == 3

static void setup(void) { begin(1); }

static void t0(void)
{
	put();
	if (!alloc(2))
		return;
	add(&ref, 1, relaxed);
	put();
	/* one reference is left: the frame must live */
	check(is_shared(load(&ref, relaxed)));
	check(!load(&pool, relaxed));
	check(get(meta) == 2);
}

static void t1(void)
{
	uint64_t old = add(&ref, 1, relaxed), wrong = old + 1;

	if (is_shared(old)) { /* nothing shows that it is stray: a reference like any other */
		put();
		return;
	}
	if (variant(BUG_UNDO_SUB))
		sub(&ref, 1, relaxed);
	else if (old != SHARED(0) || variant(BUG_UNDO_ZERO))
		cas(&ref, &wrong, old, relaxed, relaxed);
}


static void finish(void)
{
}

#elif SCENARIO == 6

static atom handed;

static void setup(void)
{
	begin(1);
	store(&handed, 0, relaxed);
}

static void t0(void)
{
	put();
	if (alloc(2))
		store(&handed, 1, release);
}

static void t2(void)
{
	if (load(&handed, acquire))
		store(&ref, SATURATED, weak(BUG_SATURATE_RELAXED, release));
}

static void t1(void)
{
	uint64_t m;

	if (!lookup())
		return;
	m = get(meta);
	check(m == 1 || m == 2); /* and keeps what it has */
}

static void finish(void)
{
	uint64_t v = load(&ref, relaxed);

	check(v == SATURATED || is_shared(v));
}

#else /* 4, 5 */

static void setup(void) { begin(2); }

static void t0(void)
{
	check(get(meta) == 1);
	put_rcu();
}

static void t1(void)
{
	check(get(meta) == 1);
#if SCENARIO == 4
	put();
#else
	if (try_unique()) {
		set(meta, 3);
		store(&ref, SHARED(1), release);
	}
#endif
}

static void t2(void)
{
	reader();
}

static void finish(void)
{
#if SCENARIO == 4
	if (load(&retired, relaxed)) {
		check(load(&ref, relaxed) == DEFERRED);
		bury();
	}
	check(get(lives) == 1);
	check(load(&ref, relaxed) == FREE);
#else
	check(load(&ref, relaxed) == (SHARED(1) | MARK));
#endif
}

#endif

#if SCENARIO == 3
LITMUS2(state, setup, t0, t1, finish)
#else
LITMUS3(state, setup, t0, t1, t2, finish)
#endif
