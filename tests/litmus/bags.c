/* SPDX-License-Identifier: MIT */
/*
 * F: deferred frames and the quiescent-state backend (docs/design.md, "Deferred frames"; lib/frame/defer.c,
 * lib/rcu/qsbr.c).
 *
 *   snapshot   fetch_add of the grace-period counter (acq_rel), after the unlink; the cookie is what it is now
 *   elapsed    every CPU's counter, loaded with acquire, is 0 (offline) or has reached the cookie
 *   quiescent  load of the counter (acquire), store into the own one (release)
 *   online     own counter = what the grace-period counter shows (release), then a read-modify-write of that (acq_rel): a
 *              later unlink is ordered after this CPU is seen, an earlier one is seen by it. Then store (release)
 *   offline    own counter = 0 (release)
 *   shared     callers without a section push to one stack (release); links are relaxed. One that reaps takes all by
 *              exchange (acquire) and takes the snapshot after that
 *
 * A frame is published in `link` at first. Its content is plain: a reader that still looks while it is freed races.
 *
 * 1: a reader comes online, looks, is quiescent, looks again, goes offline || the owner unlinks, snapshots, polls.
 * 2: the reader of 4 || the owner unlinks, puts the frame into its bag inside its section || a thief takes the bag over by
 *    revoking, and polls.
 * 3: the reader of 4 || a cache-less caller unlinks and pushes to the shared stack || a reaper.
 * 4: a reader comes online, looks, goes offline, all of it twice || the owner as in 1. A poll may see the first store of
 *    the second time and not the 0 before it, so that store must publish the end of the first section. In C11 the 0 does that,
 *    since stores of one thread carry on a release sequence; in C++20 they cut it. So no row weakens these stores: GenMC's
 *    versions differ. The checker's qsbr_again does, as in C++20.
 * 5: two cache-less callers push a frame each || a reaper follows the links, twice.
 * 6: a CPU seals a bag into a slot, and another into the same slot once it is empty || two reapers. The slot's word is
 *    {uses, EMPTY, BUSY or SEALED}: a slot is reserved by CAS (acquire), a bag is found by a load (acquire) and taken by CAS
 *    (relaxed), and the store that ends BUSY releases. The uses keep a reaper from taking a bag by the cookie of another.
 * 7: the reader of 1 || the owner polls and notes that the grace period is over (release) || another that finds it noted.
 *
 * weakens qsbr.period: BUG_SNAPSHOT_ACQUIRE BUG_SNAPSHOT_RELEASE BUG_QUIESCENT_LOADS_RELAXED BUG_ONLINE_LOADS BUG_ONLINE_ACQUIRE BUG_ONLINE_RELEASE
 * weakens qsbr.quiesce: BUG_QUIESCENT_RELAXED BUG_POLL_RELAXED BUG_OFFLINE_RELAXED
 * weakens defer.shared: BUG_PUSH_RELAXED BUG_TAKE_RELAXED
 * weakens defer.bag: BUG_RESERVE_RELAXED BUG_BAG_RELAXED BUG_FOUND_RELAXED
 * weakens qsbr.over: BUG_OVER_RELAXED BUG_NOTED_RELAXED
 * weakens section.leave: BUG_ACTIVE_RELAXED BUG_LEAVE_RELAXED
 *
 * mirrors: qsbr_snapshot sha256:43aeab75
 * mirrors: qsbr_elapsed sha256:9914d786
 * mirrors: qsbr_online sha256:9aa1b03e
 * mirrors: ramka_qsbr_quiescent sha256:3918d1bd
 * mirrors: qsbr_offline sha256:e5b99fd2
 * mirrors: share sha256:b7c733d5
 * mirrors: seal_pile sha256:299a9cf7
 * mirrors: seal_open sha256:b681e222
 * mirrors: take_ripe sha256:1a9f55d6
 * mirrors: defer_frame sha256:9a6265f8
 * mirrors: reserve sha256:c28a1614
 * mirrors: release beside seal_pile sha256:50a24378
 * mirrors: seal_all sha256:4dd06284
 *
 * litmus: 1
 * litmus: 1 BUG_NO_POLL
 * litmus: 1 BUG_SNAPSHOT_BEFORE_UNLINK
 * litmus: 1 BUG_SNAPSHOT_ACQUIRE
 * litmus: 1 BUG_SNAPSHOT_RELEASE
 * litmus: 1 BUG_QUIESCENT_RELAXED race
 * litmus: 1 BUG_QUIESCENT_LOADS_RELAXED
 * litmus: 1 BUG_POLL_RELAXED race
 * litmus: 1 BUG_ONLINE_LOADS
 * litmus: 1 BUG_ONLINE_ACQUIRE
 * litmus: 1 BUG_ONLINE_RELEASE
 * litmus: 2
 * litmus: 2 BUG_ACTIVE_RELAXED
 * litmus: 2 BUG_LEAVE_RELAXED
 * litmus: 2 BUG_NO_POLL
 * litmus: 3
 * litmus: 3 BUG_PUSH_RELAXED
 * litmus: 3 BUG_TAKE_RELAXED
 * litmus: 3 BUG_SNAPSHOT_BEFORE_TAKE
 * litmus: 4
 * litmus: 4 BUG_OFFLINE_RELAXED race
 * litmus: 5
 * litmus: 5 BUG_PUSH_RELAXED
 * litmus: 5 BUG_TAKE_RELAXED
 * litmus: 6
 * litmus: 6 BUG_RESERVE_RELAXED
 * litmus: 6 BUG_BAG_RELAXED
 * litmus: 6 BUG_FOUND_RELAXED
 * litmus: 6 BUG_NO_USES
 * litmus: 7
 * litmus: 7 BUG_OVER_RELAXED race
 * litmus: 7 BUG_NOTED_RELAXED race
 */
#include "litmus.h"

#define DEAD 99

static atom gp, seen;          /* grace periods; what the reader has seen, 0 = offline */
static atom link;              /* frame + 1, 0 = nothing published */
static plain content, freed;   /* freed: by the frame's owner then */

static inline uint64_t snapshot(void)
{
	return add(&gp, 1, instead(BUG_SNAPSHOT_ACQUIRE, acquire, instead(BUG_SNAPSHOT_RELEASE, release, acq_rel))) + 1;
}

static inline bool elapsed(uint64_t cookie)
{
	uint64_t v = load(&seen, weak(BUG_POLL_RELAXED, acquire));

	return !v || v >= cookie || variant(BUG_NO_POLL);
}

static inline void free_frame(void)
{
	set(content, DEAD);
	set(freed, 1);
}

static inline void look(void)
{
	if (load(&link, acquire))
		check(get(content) == 1);
}

static inline void online(void)
{
	uint64_t g = load(&gp, relaxed);

	store(&seen, g, release);
	g = instead(BUG_ONLINE_LOADS, load(&gp, acquire),
		    add(&gp, 0, instead(BUG_ONLINE_ACQUIRE, acquire, instead(BUG_ONLINE_RELEASE, release, acq_rel))));
	store(&seen, g, release);
}

static inline void quiescent(void)
{
	uint64_t g = load(&gp, weak(BUG_QUIESCENT_LOADS_RELAXED, acquire));

	store(&seen, g, weak(BUG_QUIESCENT_RELAXED, release));
}

static inline void offline(void)
{
	store(&seen, 0, weak(BUG_OFFLINE_RELAXED, release));
}

static inline void reader(void)
{
	online();
	look();
#if SCENARIO == 1 || SCENARIO == 7
	quiescent();
#else
	offline();
	online();
#endif
	look();
	offline();
}

static void begin(void)
{
	store(&gp, 1, relaxed);
	store(&seen, 0, relaxed);
	store(&link, 1, relaxed);
	set(content, 1);
	set(freed, 0);
}

#if SCENARIO == 1 || SCENARIO == 4

static void setup(void) { begin(); }

static void owner(void)
{
	uint64_t cookie = 0;

	if (variant(BUG_SNAPSHOT_BEFORE_UNLINK))
		cookie = snapshot();
	store(&link, 0, relaxed);
	if (!variant(BUG_SNAPSHOT_BEFORE_UNLINK))
		cookie = snapshot();
	if (elapsed(cookie))
		free_frame();
}

static void finish(void)
{
	check(get(freed) == (get(content) == DEAD));
}

LITMUS2(bags, setup, reader, owner, finish)

#elif SCENARIO == 2

static atom active, revoked;
static plain bag;              /* cookie, 0 = empty; the section's */

static void setup(void)
{
	begin();
	store(&active, 0, relaxed);
	store(&revoked, 0, relaxed);
	set(bag, 0);
}

static void owner(void)
{
	store(&link, 0, relaxed);
	store(&active, 1, relaxed);
	full_fence();
	if (!load(&revoked, acquire))
		set(bag, snapshot());
	store(&active, 0, weak(BUG_LEAVE_RELAXED, release));
}

static void thief(void)
{
	uint64_t expected = 0;

	if (!cas(&revoked, &expected, 1, acquire, relaxed))
		return;
	full_fence();
	if (!load(&active, weak(BUG_ACTIVE_RELAXED, acquire)) && get(bag) && elapsed(get(bag))) {
		set(bag, 0);
		free_frame();
	}
	store(&revoked, 0, release);
}

static void finish(void)
{
	check(get(freed) == (get(content) == DEAD));
	check(!(get(freed) && get(bag)));
}

LITMUS3(bags, setup, reader, owner, thief, finish)

#elif SCENARIO == 6

#define EMPTY 0
#define BUSY 1
#define SEALED 2
#define STATE(word) ((word) & 3)
#define USE 4

static atom slot, cookie_of;
static plain bag;              /* frame + 1 */

static void setup(void)
{
	begin();
	owners_reset();
	store(&slot, EMPTY, relaxed);
	store(&cookie_of, 0, relaxed);
	set(bag, 0);
}

/* The caller's slot, BUSY: with a bag or without, and one more use. */
static void end_busy(uint64_t state)
{
	uint64_t word = load(&slot, relaxed) - BUSY + instead(BUG_NO_USES, 0, USE);

	store(&slot, word + state, weak(BUG_BAG_RELAXED, release));
}

static uint64_t sealed; /* thread 0 only */

static void seal(unsigned f)
{
	uint64_t word = load(&slot, relaxed);

	if (STATE(word) != EMPTY || !cas(&slot, &word, word + BUSY, weak(BUG_RESERVE_RELAXED, acquire), relaxed))
		return;
	check(get(bag) == 0);
	set(bag, f + 1);
	store(&cookie_of, ++sealed, relaxed);
	end_busy(SEALED);
}

static void owner(void)
{
	sealed = 0;
	seal(0);
	seal(1);
}

static void reaper(void)
{
	uint64_t word = load(&slot, weak(BUG_FOUND_RELAXED, acquire)), cookie, f;

	if (STATE(word) != SEALED)
		return;
	cookie = load(&cookie_of, relaxed); /* it is over, say */
	if (!cas(&slot, &word, word - SEALED + BUSY, relaxed, relaxed))
		return;
	f = get(bag);
	check(f == 1 || f == 2);
	check(cookie == f); /* the frame's own grace period, not that of another bag */
	claim(f - 1);
	set(bag, 0);
	end_busy(EMPTY);
}

static void finish(void)
{
	check(STATE(load(&slot, relaxed)) != BUSY);
}

LITMUS3(bags, setup, owner, reaper, reaper, finish)

#elif SCENARIO == 7

static atom over, asked;

static void setup(void)
{
	begin();
	store(&over, 0, relaxed);
	store(&asked, 0, relaxed);
}

static void owner(void)
{
	uint64_t cookie, old = load(&over, acquire);

	store(&link, 0, relaxed);
	cookie = snapshot();
	store(&asked, cookie, release);
	if (elapsed(cookie))
		cas(&over, &old, cookie, weak(BUG_OVER_RELAXED, release), relaxed);
}

static void other(void)
{
	uint64_t cookie = load(&asked, acquire);

	if (cookie && load(&over, weak(BUG_NOTED_RELAXED, acquire)) >= cookie)
		free_frame();
}

static void finish(void)
{
	check(get(freed) == (get(content) == DEAD));
}

LITMUS3(bags, setup, reader, owner, other, finish)

#else

static atom shared;            /* frame + 1 */
static atom next[2];           /* the state words: a link once the frame is in the stack */
#define NO_LINK 77             /* what a state word is before */

static inline void push(unsigned f)
{
	uint64_t old = load(&shared, relaxed);

	do
		store(&next[f], old, relaxed);
	while (!cas(&shared, &old, f + 1, weak(BUG_PUSH_RELAXED, release), relaxed));
}

static inline uint64_t take_all(void)
{
	if (!load(&shared, relaxed))
		return 0;
	return xchg(&shared, 0, weak(BUG_TAKE_RELAXED, acquire));
}

static void begin_stack(void)
{
	begin();
	owners_reset();
	store(&shared, 0, relaxed);
	for (unsigned f = 0; f < 2; f++)
		store(&next[f], NO_LINK, relaxed);
}

#if SCENARIO == 5

static plain data[2];

static void setup(void)
{
	begin_stack();
	for (unsigned f = 0; f < 2; f++)
		set(data[f], 0);
}

static void caller0(void)
{
	set(data[0], 1);
	push(0);
}

static void caller1(void)
{
	set(data[1], 1);
	push(1);
}

static uint64_t chain(uint64_t at, bool take)
{
	uint64_t n = 0;

	for (; at; at = load(&next[at - 1], relaxed), n++) {
		check(at <= 2);
		if (!take)
			continue;
		claim(at - 1);
		check(get(data[at - 1]) == 1);
		set(data[at - 1], 2);
	}
	return n;
}

static void reaper(void)
{
	chain(take_all(), true);
	chain(take_all(), true);
}

static void finish(void)
{
	check(chain(load(&shared, relaxed), false) + owned(0) + owned(1) == 2);
}

LITMUS3(bags, setup, caller0, caller1, reaper, finish)

#else

static void setup(void)
{
	begin_stack();
}

static void caller(void)
{
	check(load(&link, relaxed) == 1);
	store(&link, 0, relaxed);
	push(0);
}

static void reaper(void)
{
	uint64_t cookie = 0, c;

	if (variant(BUG_SNAPSHOT_BEFORE_TAKE))
		cookie = snapshot();
	c = take_all();
	if (!c)
		return;
	check(c == 1 && load(&next[0], relaxed) == 0);
	if (!variant(BUG_SNAPSHOT_BEFORE_TAKE))
		cookie = snapshot();
	if (elapsed(cookie))
		free_frame();
}

static void finish(void)
{
	check(get(freed) == (get(content) == DEAD));
	check(get(freed) || load(&shared, relaxed) || get(content) == 1);
}

LITMUS3(bags, setup, reader, caller, reaper, finish)

#endif
#endif
