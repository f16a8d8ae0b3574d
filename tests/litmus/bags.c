/* SPDX-License-Identifier: MIT */
/*
 * F: deferred frames and the quiescent-state backend (docs/design.md, "Deferred reclaim"; lib/frame/defer.c,
 * lib/rcu/qsbr.c).
 *
 *   snapshot   fetch_add of the grace-period counter (acq_rel), after the unlink; the cookie is what it is now
 *   elapsed    every CPU's counter, loaded with acquire, is 0 (offline) or has reached the cookie
 *   quiescent  load of the counter (acquire), store into the own one (release)
 *   online     own counter = 1, then a read-modify-write of the grace-period counter (acq_rel): a later unlink is
 *              ordered after this CPU is seen, an earlier one is seen by it. Then store (release)
 *   shared     callers without a cache push to one stack (release); who reaps takes all by exchange (acquire) and
 *              takes the snapshot after that
 *
 * Frame 0 is published in `link` at first. Its content is plain: a reader that still looks while it is freed races.
 *
 * 1: a reader comes online, reads, is quiescent, reads again, goes offline || the owner unlinks, snapshots, polls.
 * 2: the reader || the owner unlinks, puts the frame into its bag inside its section || a thief takes the bag over by
 *    revoking, and polls.
 * 3: the reader || a cache-less caller unlinks and pushes to the shared stack || a reaper.
 *
 * litmus: 1
 * litmus: 1 BUG_NO_POLL
 * litmus: 1 BUG_SNAPSHOT_BEFORE_UNLINK
 * litmus: 1 BUG_SNAPSHOT_ACQUIRE
 * litmus: 1 BUG_SNAPSHOT_RELEASE
 * litmus: 1 BUG_QUIESCENT_RELAXED
 * litmus: 1 BUG_POLL_RELAXED
 * litmus: 1 BUG_ONLINE_LOADS
 * litmus: 2
 * litmus: 2 BUG_ACTIVE_RELAXED
 * litmus: 2 BUG_LEAVE_RELAXED
 * litmus: 2 BUG_NO_POLL
 * litmus: 3
 * litmus: 3 BUG_PUSH_RELAXED
 * litmus: 3 BUG_TAKE_RELAXED
 * litmus: 3 BUG_SNAPSHOT_BEFORE_TAKE
 */
#include "litmus.h"

static atom gp, seen;          /* grace periods; what the reader has seen, 0 = offline */
static atom link;              /* frame + 1, 0 = nothing published */
static int content;
static bool freed;             /* by whoever owns the frame then */

static uint64_t snapshot(void)
{
	return add(&gp, 1, instead(BUG_SNAPSHOT_ACQUIRE, acquire, instead(BUG_SNAPSHOT_RELEASE, release, acq_rel))) + 1;
}

static bool elapsed(uint64_t cookie)
{
	uint64_t v = load(&seen, weak(BUG_POLL_RELAXED, acquire));

	return !v || v >= cookie || variant(BUG_NO_POLL);
}

static void free_frame(void)
{
	content = -1;
	freed = true;
}

static void look(void)
{
	if (load(&link, acquire))
		check(content == 1);
}

static void reader(void)
{
	uint64_t g;

	/* online */
	store(&seen, 1, relaxed);
	g = instead(BUG_ONLINE_LOADS, load(&gp, acquire), add(&gp, 0, acq_rel));
	store(&seen, g, release);
	look();
	/* quiescent */
	g = load(&gp, acquire);
	store(&seen, g, weak(BUG_QUIESCENT_RELAXED, release));
	look();
	/* offline */
	store(&seen, 0, release);
}

static void begin(void)
{
	store(&gp, 1, relaxed);
	store(&seen, 0, relaxed);
	store(&link, 1, relaxed);
	content = 1;
	freed = false;
}

#if SCENARIO == 1

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
	check(freed == (content == -1));
}

LITMUS2(bags, setup, reader, owner, finish)

#elif SCENARIO == 2

static atom active, revoked;
static uint64_t bag;           /* cookie, 0 = empty; plain: the section's */

static void setup(void)
{
	begin();
	store(&active, 0, relaxed);
	store(&revoked, 0, relaxed);
	bag = 0;
}

static void owner(void)
{
	store(&link, 0, relaxed);
	store(&active, 1, relaxed);
	full_fence();
	if (!load(&revoked, acquire))
		bag = snapshot();
	store(&active, 0, weak(BUG_LEAVE_RELAXED, release));
}

static void thief(void)
{
	uint64_t expected = 0;

	if (!cas(&revoked, &expected, 1, acquire, relaxed))
		return;
	full_fence();
	if (!load(&active, weak(BUG_ACTIVE_RELAXED, acquire)) && bag && elapsed(bag)) {
		bag = 0;
		free_frame();
	}
	store(&revoked, 0, release);
}

static void finish(void)
{
	check(freed == (content == -1));
	check(!(freed && bag));
}

LITMUS3(bags, setup, reader, owner, thief, finish)

#else

static atom shared;            /* frame + 1 */

static void setup(void)
{
	begin();
	store(&shared, 0, relaxed);
}

static void caller(void)
{
	uint64_t old = 0;

	check(load(&link, relaxed) == 1);
	store(&link, 0, relaxed);
	check(cas(&shared, &old, 1, weak(BUG_PUSH_RELAXED, release), relaxed));
}

static void reaper(void)
{
	uint64_t cookie = 0;

	if (variant(BUG_SNAPSHOT_BEFORE_TAKE))
		cookie = snapshot();
	if (!xchg(&shared, 0, weak(BUG_TAKE_RELAXED, acquire)))
		return;
	if (!variant(BUG_SNAPSHOT_BEFORE_TAKE))
		cookie = snapshot();
	if (elapsed(cookie))
		free_frame();
}

static void finish(void)
{
	check(freed == (content == -1));
	check(freed || load(&shared, relaxed) || content == 1);
}

LITMUS3(bags, setup, reader, caller, reaper, finish)

#endif
