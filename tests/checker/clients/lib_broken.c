/* SPDX-License-Identifier: MIT */
/*
 * Broken frames: who says so, the owner that frees or changes the frame just then, a CPU that allocates. Whatever begins after
 * ramka_frame_set_bad has accepted the frame does not get it.
 */
#include "instance.h"

enum { ACCEPTED = NOTE_0 + 20 };

static struct ramka_frame *held, *second;
static unsigned held_order;
static bool held_hook;

static void setup_of(unsigned frames, unsigned order, const struct ramka_type *type, bool rcu)
{
	make((struct options){ .frames = frames, .cpus = 2, .rcu = rcu });
	held_order = order;
	held_hook = type == &t_hook;
	held = ramka_frame_alloc(cpu(1), type, NULL, ORDER(order));
	ck_assert(held && number(held) == BASE, "not the first frame");
	for (unsigned i = 0; i < 1u << order; i++)
		ck_own_take(BASE + i);
}
static void breaks(unsigned i)
{
	int rc = ramka_frame_set_bad(cpu(0), PA(i));

	ck_assert(!rc || rc == RAMKA_LATER || rc == RAMKA_E_BUSY, "set_bad: %d", rc);
	if (rc >= 0)
		ck_note_set(ACCEPTED, 1 + i);
}
static void breaks_first(void) { breaks(0); }
static void breaks_second(void) { breaks(1); }

/* Does the frame of a call that began when `accepted` was noted have the broken one? */
static void check_not_broken(unsigned accepted, const struct ramka_frame *f, unsigned order)
{
	ck_assert(!accepted || !f || (BASE + accepted - 1) >> order != number(f) >> order, "a broken frame is handed out");
}
static struct ramka_frame *take_checked(struct ramka_cpu *c)
{
	unsigned accepted = ck_note(ACCEPTED);
	struct ramka_frame *f = take(c, &t_plain, 7);

	check_not_broken(accepted, f, 0);
	return f;
}
static void take_put_take(struct ramka_cpu *c)
{
	struct ramka_frame *f = take_checked(c);

	if (f)
		give(c, f);
	f = take_checked(c);
	if (f)
		give(c, f);
}
static void gives_up(struct ramka_cpu *c, bool unique)
{
	for (unsigned i = 0; i < 1u << held_order && !held_hook; i++) /* on_drop does */
		ck_own_give(BASE + i);
	if (unique)
		ramka_unique_free(c, (struct ramka_unique *)held);
	else
		ramka_frame_put(c, held);
}
static void put_and_take(void) { gives_up(cpu(1), false); take_put_take(cpu(1)); }
static void free_and_take(void) { gives_up(cpu(1), true); take_put_take(cpu(1)); }
static void put_none_and_take(void) { gives_up(none(), false); take_put_take(cpu(1)); }
static void free_none_and_take(void) { gives_up(none(), true); take_put_take(cpu(1)); }
static void takes(void) { take_put_take(none()); }

/* It stays away, and all else is there. */
static void broken_books(void)
{
	unsigned bad = ck_note(ACCEPTED);
	struct ramka_stats s;

	ramka_drain(r);
	if (bad)
		ck_assert(!ramka_frame_set_bad(cpu(0), PA(bad - 1)), "it was accepted, all is free, and it has not left");
	ramka_stats_read(r, &s);
	/* one that was answered "busy" may have got its flag in time */
	ck_assert(s.bad == 1 || (!bad && !s.bad), "%u broken", (unsigned)s.bad);
	books();
}

static void shared1(void) { setup_of(1, 0, &t_plain, false); }
static void shared2(void) { setup_of(2, 0, &t_plain, false); }
static void hook1(void) { setup_of(1, 0, &t_hook, false); }
static void unique1(void) { shared1(); held = (struct ramka_frame *)ramka_frame_try_unique(r, held); }
static void pair1(void) { setup_of(2, 1, &t_plain, false); }
static void pair_unique(void) { pair1(); held = (struct ramka_frame *)ramka_frame_try_unique(r, held); }

CK_CLIENT(broken_put, .what = "a frame is found broken while its last reference goes", .setup = shared1,
	  .thread = { breaks_first, put_and_take }, .check = broken_books, .stale = 1, .bound = 1);
CK_CLIENT(broken_three, .what = "the same, and another thread allocates", .setup = shared2,
	  .thread = { breaks_first, put_and_take, takes }, .check = broken_books, .stale = 1, .bound = 1, .slow = true);
CK_CLIENT(broken_free, .what = "the same of a unique frame", .setup = unique1,
	  .thread = { breaks_first, free_and_take }, .check = broken_books, .stale = 1, .bound = 1);
CK_CLIENT(broken_put_none, .what = "the same without a CPU", .setup = shared1,
	  .thread = { breaks_first, put_none_and_take }, .check = broken_books, .stale = 2, .bound = 1, .slow = true);
CK_CLIENT(broken_free_none, .what = "a unique frame without a CPU", .setup = unique1,
	  .thread = { breaks_first, free_none_and_take }, .check = broken_books, .stale = 2, .bound = 1, .slow = true);
CK_CLIENT(broken_hook, .what = "the same of a frame with an on_drop", .setup = hook1,
	  .thread = { breaks_first, put_and_take }, .check = broken_books, .stale = 1, .bound = 1);
CK_CLIENT(broken_tail, .what = "the tail of a frame is found broken while it is put", .setup = pair1,
	  .thread = { breaks_second, put_and_take }, .check = broken_books, .stale = 1, .bound = 1);
CK_CLIENT(broken_tail_none, .what = "the same without a CPU", .setup = pair1,
	  .thread = { breaks_second, put_none_and_take }, .check = broken_books, .stale = 2, .bound = 1);

/* free: the caches of others */
static void cached2(void)
{
	shared2();
	gives_up(cpu(1), false);
}
static void cached_takes(void) { take_put_take(cpu(1)); }
CK_CLIENT(broken_cached, .what = "a frame is found broken that a CPU has in its cache and hands out", .setup = cached2,
	  .thread = { breaks_first, cached_takes }, .check = broken_books, .stale = 1, .bound = 1);

/* free: others claim it by its address */
static void free2(void)
{
	cached2();
	ramka_drain(r);
}
static void claims(struct ramka_cpu *c)
{
	unsigned accepted = ck_note(ACCEPTED);
	struct ramka_frame *f;
	int rc = ramka_frame_claim(c, PA(0), 0, &t_plain, &(struct meta){ 8, 8 }, &f, NULL);

	ck_assert(!rc || rc == RAMKA_E_IN_USE || rc == RAMKA_E_BUSY, "claim: %d", rc);
	if (rc)
		return;
	check_not_broken(accepted, f, 0);
	ck_own_take(number(f));
	look(f);
	give(c, f);
}
static void claims_none(void) { claims(none()); }
CK_CLIENT(broken_claim, .what = "a frame is found broken while it is claimed by its address, and a CPU allocates", .setup = free2,
	  .thread = { breaks_first, claims_none, cached_takes }, .check = broken_books, .stale = CK_FRESH, .bound = 1);

/* its block is isolated, and opened again, meanwhile */
static void isolates(void)
{
	int rc = ramka_isolate(none(), PA(0), 2 * RAMKA_PAGE_SIZE);

	ck_assert(!rc || rc == RAMKA_E_BUSY, "isolate: %d", rc);
	while (!rc) {
		int undone = ramka_unisolate(none(), PA(0), 2 * RAMKA_PAGE_SIZE);

		ck_assert(!undone || undone == RAMKA_E_BUSY, "unisolate: %d", undone);
		if (!undone)
			return;
		ck_yield(); /* a claim shuts blocks at the moment */
	}
}
CK_CLIENT(broken_isolate, .what = "a frame is found broken while its block is isolated and opened, and its owner frees it", .setup = shared2,
	  .thread = { breaks_first, isolates, put_and_take }, .check = broken_books, .stale = CK_FRESH, .bound = 1);

/* the owner changes the frame */
static void splits(void)
{
	struct ramka_unique *parts[2];

	if (ramka_unique_split(r, (struct ramka_unique *)held, 0, parts))
		ck_fail("cannot be split");
	ck_own_give(BASE);
	ramka_unique_free(cpu(1), parts[0]);
	ck_own_give(BASE + 1);
	ramka_unique_free(cpu(1), parts[1]);
	take_put_take(cpu(1));
}
CK_CLIENT(broken_split, .what = "the same while its owner splits it", .setup = pair_unique,
	  .thread = { breaks_second, splits }, .check = broken_books, .stale = 1, .bound = 1);
static void parts2(void)
{
	struct ramka_unique *parts[2];

	pair_unique();
	ck_assert(!ramka_unique_split(r, (struct ramka_unique *)held, 0, parts), "split");
	second = (struct ramka_frame *)parts[1];
}
static void joins(void)
{
	ck_assert(!ramka_unique_join(r, (struct ramka_unique *)held, 1), "cannot be joined");
	gives_up(cpu(1), true);
	take_put_take(cpu(1));
}
CK_CLIENT(broken_join, .what = "a part is found broken while all are joined", .setup = parts2,
	  .thread = { breaks_second, joins }, .check = broken_books, .stale = 1, .bound = 1);
static void repurposes(void)
{
	ck_assert(!ramka_unique_repurpose(cpu(1), (struct ramka_unique *)held, &t_other, NULL), "repurpose");
	gives_up(cpu(1), true);
	take_put_take(cpu(1));
}
CK_CLIENT(broken_repurpose, .what = "the same while its owner gives it another type", .setup = unique1,
	  .thread = { breaks_first, repurposes }, .check = broken_books, .stale = 1, .bound = 1);
