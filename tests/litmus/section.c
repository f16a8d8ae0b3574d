/* SPDX-License-Identifier: MIT */
/*
 * B: the section of a CPU cache against a thief (docs/design.md, "The section"; lib/cpu).
 *
 *   owner   active already 1: nested, no cache. Else active = 1; barrier; load revoked (acquire); if set, active = 0
 *           (release) and no cache. Leave: active = 0 (release).
 *   thief   CAS revoked 0 -> 1 (acquire); barrier; load active (acquire); still 1: leave it. Else take all.
 *           revoked = 0 (release), in both cases.
 *
 * The barrier is asymmetric in the library (a compiler barrier on the owner's side, membarrier or an interrupt on the
 * thief's); here it is a seq_cst fence on both sides, to which it amounts. The cache is plain data.
 *
 * 1: an owner with two sections || two thieves.
 * 2 to 5: an owner with one section and a handler before it, between its two steps of entering, in the middle of its
 * pop, after it || one thief that tries twice.
 *
 * weakens section.leave: BUG_LEAVE_RELAXED BUG_ACTIVE_RELAXED
 * weakens section.revoke: BUG_RESET_RELAXED BUG_REVOKED_RELAXED
 *
 * mirrors: section_enter sha256:708e372d
 * mirrors: section_leave sha256:8e994d75
 * mirrors: cpu_for_each_stopped sha256:986100f9
 *
 * litmus: 1
 * litmus: 1 BUG_NO_OWNER_BARRIER
 * litmus: 1 BUG_NO_THIEF_BARRIER
 * litmus: 1 BUG_LEAVE_RELAXED
 * litmus: 1 BUG_ACTIVE_RELAXED
 * litmus: 1 BUG_RESET_RELAXED
 * litmus: 1 BUG_REVOKED_RELAXED
 * litmus: 1 BUG_NO_RESET
 * litmus: 1 BUG_PLAIN_REVOKE
 * litmus: 2
 * litmus: 3
 * litmus: 4
 * litmus: 4 BUG_NO_NESTED_TEST
 * litmus: 5
 */
#include "litmus.h"

static atom active, revoked;
static plain count, cache[3];

/* At most two owners of `revoked` are seen, so its CAS needs no retry. */
static void thief(void)
{
	uint64_t expected = 0;

	if (variant(BUG_PLAIN_REVOKE)) {
		if (load(&revoked, acquire))
			return;
		store(&revoked, 1, relaxed);
	} else if (!cas(&revoked, &expected, 1, acquire, relaxed)) {
		return;
	}
	if (!variant(BUG_NO_THIEF_BARRIER))
		full_fence();
	if (!load(&active, weak(BUG_ACTIVE_RELAXED, acquire))) {
		for (uint64_t i = 0, n = get(count); i < n; i++)
			claim(get(cache[i]));
		set(count, 0);
	} else if (variant(BUG_NO_RESET)) {
		return;
	}
	store(&revoked, 0, weak(BUG_RESET_RELAXED, release));
}

static void enter_leave(void);

/* A handler on the owner's CPU does all that the owner does. */
static void handler_at(unsigned point)
{
	static unsigned running;

	if (SCENARIO != point || running)
		return;
	running = 1;
	enter_leave();
	running = 0;
}

static bool enter(void)
{
	if (load(&active, relaxed) && !variant(BUG_NO_NESTED_TEST))
		return false;
	handler_at(3);
	store(&active, 1, relaxed);
	if (!variant(BUG_NO_OWNER_BARRIER))
		full_fence();
	if (!load(&revoked, weak(BUG_REVOKED_RELAXED, acquire)))
		return true;
	store(&active, 0, release);
	return false;
}

static void enter_leave(void)
{
	uint64_t n;

	handler_at(2);
	if (!enter())
		return;
	n = get(count);
	handler_at(4);
	if (n) {
		claim(get(cache[n - 1]));
		set(count, n - 1);
	}
	store(&active, 0, weak(BUG_LEAVE_RELAXED, release));
	handler_at(5);
}

static void setup(void)
{
	owners_reset();
	store(&active, 0, relaxed);
	store(&revoked, 0, relaxed);
	set(count, 3);
	for (unsigned i = 0; i < 3; i++)
		set(cache[i], i);
}

static void finish(void)
{
	unsigned found = 0;

	check(!load(&active, relaxed) && !load(&revoked, relaxed));
	for (unsigned i = 0; i < get(count); i++)
		check(!owned(get(cache[i])));
	for (unsigned f = 0; f < 3; f++)
		found += owned(f);
	check(found + get(count) == 3);
}

static void owner(void)
{
	enter_leave();
	if (SCENARIO == 1)
		enter_leave();
}

#if SCENARIO == 1
LITMUS3(section, setup, owner, thief, thief, finish)
#else
static void thief_twice(void)
{
	thief();
	thief();
}

LITMUS2(section, setup, owner, thief_twice, finish)
#endif
