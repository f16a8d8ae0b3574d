/* SPDX-License-Identifier: MIT */
/*
 * Memory that is isolated: an isolater, a CPU that frees, a CPU that allocates. Claims by address that shut blocks: a claim,
 * who holds a part in a cache, who allocates meanwhile.
 */
#include "base/instance.h"
#include "instance.h"

enum { SETTLED = NOTE_0 + 10, OPENED, CLAIMED };

static struct ramka_frame *held;

/* ---- isolating ---- */

#define SIZE(n) ((uint64_t)(n) * RAMKA_PAGE_SIZE)

static void two_one_held(void)
{
	make((struct options){ .frames = 2, .cpus = 2 });
	held = take(cpu(1), &t_plain, 1);
}
static void isolater(void)
{
	struct ramka_isolation n;
	int rc = ramka_isolate(cpu(0), PA(0), SIZE(2));

	ck_assert(!rc, "isolate: %d", rc);
	rc = ramka_isolate_progress(cpu(0), PA(0), SIZE(2), &n);
	ck_assert(!rc, "progress: %d", rc);
	ck_assert(n.free + n.cached + n.in_use == 2, "%u free, %u cached, %u in use of 2", (unsigned)n.free, (unsigned)n.cached,
		  (unsigned)n.in_use);
	if (n.settled)
		ck_note_set(SETTLED, 1);
}
static void freer(void) { give(cpu(1), held); }
/* what was handed out before it was settled may be; afterwards nothing */
static void allocator_on(struct ramka_cpu *c)
{
	for (unsigned i = 0; i < 2; i++) {
		bool settled = ck_note(SETTLED);
		struct ramka_frame *f = take(c, &t_plain, 2);

		ck_assert(!f || !settled, "frame %u is handed out although it is isolated", number(f));
		if (f)
			give(c, f);
	}
}
static void allocator(void) { allocator_on(none()); }
static void freer_allocates(void)
{
	freer();
	allocator_on(cpu(1));
}
/* all of it is back in the block, which is shut still; and then it can be had again */
static void isolated_books(void)
{
	struct ramka_isolation n;
	struct ramka_stats s;

	books();
	ck_assert(!ramka_isolate_progress(cpu(0), PA(0), SIZE(2), &n), "not isolated any more");
	ck_assert(n.settled && n.free == 2, "%u of 2 came back", (unsigned)n.free);
	ck_assert(!take(cpu(1), &t_plain, 3), "a frame is handed out although it is isolated");
	ck_assert(!ramka_unisolate(cpu(0), PA(0), SIZE(2)), "cannot be undone");
	ck_assert(take(cpu(1), &t_plain, 3) != NULL, "nothing to be had after all was undone");
	ramka_stats_read(r, &s);
	ck_assert(!s.isolated, "something is isolated still");
	books();
}
CK_CLIENT(isolate, .what = "a range is isolated; a CPU frees into it; another thread allocates", .setup = two_one_held,
	  .thread = { isolater, freer, allocator }, .check = isolated_books, .stale = 1, .bound = 1);
CK_CLIENT(isolate_own_cache, .what = "the same, and the CPU that frees allocates", .setup = two_one_held,
	  .thread = { isolater, freer_allocates }, .check = isolated_books, .stale = 2, .slow = true);

/* opening: what was freed meanwhile can be found */
static void shut_setup(void)
{
	two_one_held();
	ck_assert(!ramka_isolate(cpu(0), PA(0), SIZE(2)), "isolate");
}
static void opener(void)
{
	ck_assert(!ramka_unisolate(cpu(0), PA(0), SIZE(2)), "unisolate");
	ck_note_set(OPENED, 1);
}
static void freer_of_both(void)
{
	freer();
	if (ck_note(OPENED))
		ck_assert(take(none(), &t_plain, 2) != NULL, "memory is open again, and cannot be had");
}
CK_CLIENT(isolate_undo, .what = "isolation ends beside a free", .setup = shut_setup, .thread = { opener, freer_of_both, allocator },
	  .check = books, .stale = 1, .bound = 1);

/* what its last owner wrote is seen by who claims it out of isolated memory */
static void claimer(void)
{
	struct meta m = { 5, 5 };
	struct ramka_frame *f;

	if (ramka_frame_claim(cpu(0), PA(0), 1, &t_plain, &m, &f, NULL))
		return;
	ck_note_set(CLAIMED, 1);
	ck_own_take(BASE);
	ck_own_take(BASE + 1);
	look(f);
	ck_own_give(BASE + 1);
	give(cpu(0), f);
}
static void both_back(void)
{
	books();
	ck_assert(!ramka_unisolate(cpu(0), PA(0), SIZE(2)), "unisolate");
}
CK_CLIENT(isolate_claim, .what = "a frame of order 1 is claimed out of isolated memory while a part of it is freed", .setup = shut_setup,
	  .thread = { claimer, freer }, .check = both_back, .stale = 2);

/* ---- claims that shut ---- */

static void two_cached(void)
{
	make((struct options){ .frames = 2, .cpus = 2 });
	give(cpu(1), take(cpu(1), &t_plain, 1));
}
static void cached_user(void) { take_give(cpu(1)); }
static void none_user(void) { take_give(none()); }
static void claim_alone(void)
{
	claimer();
	ck_assert(ck_note(CLAIMED), "nothing is in use, and it cannot be claimed");
}
static void opened(void)
{
	books();
	ck_assert(!ramka_load(&r->shut, relaxed, stat), "a claim left its block shut");
	ck_assert(changing_begin(r), "a claim kept the right to shut");
}
CK_CLIENT(claim_cached, .what = "a frame of order 1 is claimed that another CPU has in its cache", .setup = two_cached,
	  .thread = { claim_alone }, .check = opened);
CK_CLIENT(claim_shuts, .what = "the same while that CPU allocates and frees", .setup = two_cached,
	  .thread = { claimer, cached_user }, .check = opened, .stale = 1, .bound = 1);
CK_CLIENT(claim_three, .what = "the same, and a third one without a CPU", .setup = two_cached,
	  .thread = { claimer, cached_user, none_user }, .check = opened, .stale = 1, .bound = 1, .slow = true);

/* two claims: one may shut, the other does without */
static void claim_base(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_unused(cpu(1), PA(1), &t_plain, NULL, &f)) {
		ck_own_take(number(f));
		give(cpu(1), f);
	}
}
CK_CLIENT(claim_twice, .what = "two claims of what overlaps", .setup = two_cached, .thread = { claimer, claim_base }, .check = opened,
	  .stale = 1, .slow = true);
