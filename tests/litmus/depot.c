/* SPDX-License-Identifier: MIT */
/*
 * C: a depot shard, two tagged stacks of magazines (docs/design.md, "The depot"; lib/cpu/depot.c).
 *
 * head = {tag:40, index:24}; every change of head is a CAS that takes a tag one higher, computed anew in every
 * retry. push: release. pop: acquire, as are its first load of head and its failures: the `next` of the descriptor
 * that a stale head names must not be older than that head. `next` is relaxed, contents are plain. The tag makes each head
 * unique, so the load or the failed CAS before has acquired the very one that the CAS which succeeds takes: the order of
 * success alone is not needed. What a pop releases is not seen here, but in nomem.c.
 *
 * 1: pop || pop pop push || pop push, three magazines in one stack.
 * 2: a drainer pops what is full one by one, takes the contents and gives the magazines to the empty ones || a refill
 *    does so once || a flush takes an empty one, fills it and pushes it.
 *
 * weakens depot.push: BUG_PUSH_RELAXED BUG_HEAD_RELAXED BUG_FAILURE_RELAXED
 *
 * mirrors: pop sha256:a003d43f
 * mirrors: push sha256:162e5cc3
 * mirrors: depot_has_full sha256:3a7e26af
 * mirrors: drain_stack sha256:d1c7dfd0
 * mirrors: take_magazine sha256:ce083067
 *
 * litmus: 1
 * litmus: 1 BUG_PUSH_RELAXED
 * litmus: 1 BUG_HEAD_RELAXED
 * litmus: 1 BUG_FAILURE_RELAXED
 * litmus: 1 BUG_NO_TAG
 * litmus: 1 OK_SUCCESS_RELAXED
 * litmus: 2
 * litmus: 2 BUG_PUSH_RELAXED
 * litmus: 2 BUG_HEAD_RELAXED
 * litmus: 2 BUG_DRAIN_STORES
 */
#include "litmus.h"

#define INDEX_MASK 0xffffffu
#define TAG_ONE (INDEX_MASK + (uint64_t)1)

static atom full, empty;       /* the heads */
static atom next[4];
static plain content[4];

static inline uint64_t bumped(uint64_t old)
{
	return (old & ~(uint64_t)INDEX_MASK) + instead(BUG_NO_TAG, 0, TAG_ONE);
}

static inline unsigned pop(atom *head)
{
	uint64_t old = load(head, weak(BUG_HEAD_RELAXED, acquire));

	while (old & INDEX_MASK) {
		unsigned m = (unsigned)(old & INDEX_MASK);
		uint64_t n = load(&next[m], relaxed);

		if (cas(head, &old, bumped(old) | n, weak(OK_SUCCESS_RELAXED, weak(BUG_HEAD_RELAXED, acquire)),
			weak(BUG_FAILURE_RELAXED, weak(BUG_HEAD_RELAXED, acquire)))) {
			claim(m);
			return m;
		}
	}
	return 0;
}

static inline void push(atom *head, unsigned m)
{
	uint64_t old = load(head, relaxed);

	disown(m);
	do
		store(&next[m], old & INDEX_MASK, relaxed);
	while (!cas(head, &old, bumped(old) | m, weak(BUG_PUSH_RELAXED, release), relaxed));
}

#define FILLED 10

static inline void fill(unsigned m)
{
	check(get(content[m]) == 0);
	set(content[m], FILLED + m);
}

static inline void take(unsigned m)
{
	check(get(content[m]) == FILLED + m);
	set(content[m], 0);
}

static void begin(unsigned nr_full)
{
	owners_reset();
	for (unsigned m = 1; m <= 3; m++) {
		set(content[m], m <= nr_full ? FILLED + m : 0);
		store(&next[m], m == nr_full + 1 ? 0 : m - 1, relaxed);
	}
	store(&full, nr_full, relaxed);
	store(&empty, nr_full == 3 ? 0 : 3, relaxed);
}

static inline unsigned in_stack(atom *head, bool filled)
{
	unsigned n = 0;

	for (uint64_t m = load(head, relaxed) & INDEX_MASK; m && n < 4; m = load(&next[m], relaxed)) {
		check(!owned(m));
		check((get(content[m]) != 0) == filled);
		n++;
	}
	return n;
}

static void finish(void)
{
	check(in_stack(&full, true) + in_stack(&empty, false) + owned(1) + owned(2) + owned(3) == 3);
}

#if SCENARIO == 1

static void setup(void) { begin(3); }

static void t0(void)
{
	pop(&full);
}

static void refill_push(unsigned m)
{
	take(m);
	fill(m);
	push(&full, m);
}

static void t1(void)
{
	unsigned a = pop(&full);
	unsigned b = pop(&full);

	(void)b;
	if (a)
		refill_push(a);
}

static void t2(void)
{
	unsigned m = pop(&full);

	if (m)
		refill_push(m);
}

#else

static void setup(void) { begin(2); }

static inline bool empty_one(void)
{
	unsigned m = pop(&full);

	if (!m)
		return false;
	take(m);
	push(&empty, m);
	return true;
}

static void t0(void) /* drain_stack */
{
	if (variant(BUG_DRAIN_STORES)) {
		uint64_t m = load(&full, acquire) & INDEX_MASK;

		store(&full, 0, release);
		for (; m; m = load(&next[m], relaxed)) {
			claim(m);
			take((unsigned)m);
		}
		return;
	}
	while (load(&full, acquire) & INDEX_MASK)
		empty_one();
}

static void t1(void)
{
	empty_one();
}

static void t2(void)
{
	unsigned m = pop(&empty);

	if (!m)
		return;
	fill(m);
	push(&full, m);
}

#endif

LITMUS3(depot, setup, t0, t1, t2, finish)
