/* SPDX-License-Identifier: MIT */
/*
 * C: a depot shard, the tagged stack of magazines (docs/design.md, "Depot"; lib/cpu/depot.c).
 *
 * head = {tag:40, index:24}; every change of head is a CAS that takes a tag one higher, computed anew in every
 * retry. push: release. pop: acquire, as are its first load of head and its failures: the `next` of the descriptor
 * that a stale head names must not be older than that head. `next` is relaxed, contents are plain. No test
 * is claimed for the order of pop's CAS when it succeeds: the tag makes each head unique, so the load before it has
 * acquired that very one (and C11 has no CAS whose failure is stronger than its success).
 *
 * 1: pop || pop pop push || pop push, three magazines. 2: pop push || take-all by CAS || pop pop push.
 *
 * litmus: 1
 * litmus: 1 BUG_PUSH_RELAXED
 * litmus: 1 BUG_HEAD_RELAXED
 * litmus: 1 BUG_NO_TAG
 * litmus: 2
 * litmus: 2 BUG_DRAIN_STORES
 * litmus: 2 BUG_DRAIN_RELAXED
 */
#include "litmus.h"

#define INDEX_MASK 0xffffffu
#define TAG_ONE (INDEX_MASK + (uint64_t)1)

static atom head;
static atom next[4];
static int content[4];

static uint64_t bumped(uint64_t old)
{
	return (old & ~(uint64_t)INDEX_MASK) + instead(BUG_NO_TAG, 0, TAG_ONE);
}

static unsigned pop(void)
{
	uint64_t old = load(&head, weak(BUG_HEAD_RELAXED, acquire));

	while (old & INDEX_MASK) {
		unsigned m = (unsigned)(old & INDEX_MASK);
		uint64_t n = load(&next[m], relaxed);

		if (cas(&head, &old, bumped(old) | n, acquire, weak(BUG_HEAD_RELAXED, acquire))) {
			claim(m);
			check(content[m] == (int)m * 10);
			content[m] = 0;
			return m;
		}
	}
	return 0;
}

static void push(unsigned m)
{
	uint64_t old = load(&head, relaxed);

	content[m] = (int)m * 10;
	disown(m);
	do
		store(&next[m], old & INDEX_MASK, relaxed);
	while (!cas(&head, &old, bumped(old) | m, weak(BUG_PUSH_RELAXED, release), relaxed));
}

static void setup(void)
{
	owners_reset();
	for (unsigned m = 1; m <= 3; m++) {
		content[m] = (int)m * 10;
		store(&next[m], m - 1, relaxed);
	}
	store(&head, 3, relaxed);
}

static void finish(void)
{
	unsigned in_stack = 0;

	for (uint64_t m = load(&head, relaxed) & INDEX_MASK; m && in_stack < 4; m = load(&next[m], relaxed)) {
		check(!owned(m));
		in_stack++;
	}
	check(in_stack + owned(1) + owned(2) + owned(3) == 3);
}

#if SCENARIO == 1
static void t0(void)
{
	pop();
}

static void t2(void)
{
	unsigned m = pop();

	if (m)
		push(m);
}
#else
static void t0(void)
{
	unsigned m = pop();

	if (m)
		push(m);
}

/* a drain */
static void t2(void)
{
	uint64_t old = load(&head, acquire);

	if (variant(BUG_DRAIN_STORES))
		store(&head, 0, release);
	else
		while (!cas(&head, &old, bumped(old), weak(BUG_DRAIN_RELAXED, acquire),
			    weak(BUG_DRAIN_RELAXED, acquire)))
			;
	for (uint64_t m = old & INDEX_MASK; m; m = load(&next[m], relaxed)) {
		claim(m);
		check(content[m] == (int)m * 10);
		content[m] = 0;
	}
}
#endif

static void t1(void)
{
	unsigned a = pop();
	unsigned b = pop();

	(void)b;
	if (a)
		push(a);
}

LITMUS3(depot, setup, t0, t1, t2, finish)
