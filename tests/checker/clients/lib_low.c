/* SPDX-License-Identifier: MIT */
/*
 * Low memory: who takes from the reserve and who may not, who is asked to free something and what he asks for himself, who is
 * told that memory is low or enough again. A callback runs outside of sections, and on no handle on top of itself.
 */
#include "cpu/state.h"
#include "instance.h"

enum { TAKEN = NOTE_0 + 30, INSIDE, DEPTH = INSIDE + 1, LEVEL = DEPTH + CK_THREADS, CALLS, SHRUNK };

static const struct ramka_request RESERVE = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_RESERVE };

/* What a thread calls with: the first ones are CPUs 0 and 1, the others have none; so have setup and check. */
static unsigned nr_with_cpu;
static struct ramka_cpu *mine(void)
{
	return ck_self() < nr_with_cpu ? cpu(ck_self()) : none();
}
static void outside(void)
{
	struct ramka_cpu *c = mine();

	ck_assert(c->cacheless || ck_in_irq() || !ramka_load(&c->active, relaxed, section.own), "a callback inside a section");
}

/* ---- the reserve ---- */

static void reserve_setup(void)
{
	nr_with_cpu = 2;
	make((struct options){ .frames = 3, .cpus = 2, .min = 2 });
}
static struct ramka_frame *take_reserve(struct ramka_cpu *c)
{
	struct ramka_frame *f = ramka_frame_alloc(c, &t_bare, NULL, RESERVE);

	if (f)
		ck_own_take(number(f));
	return f;
}
/* One frame is above the reserve. Who begins when it was taken gets nothing, from wherever he asks. */
static void ordinary(void)
{
	bool taken = ck_note(TAKEN);
	struct ramka_frame *f = take(mine(), &t_bare, 0);

	ck_assert(!f || !taken, "frame %u of the reserve serves an ordinary request", number(f));
	if (f)
		ck_note_add(TAKEN, 1);
}
/* A user of the reserve gets a frame as long as there is one: two ordinary requests at once get two at most. */
static void reserved_user(void)
{
	struct ramka_frame *f = take_reserve(mine());

	ck_assert(f, "the reserve is there for this request, and it fails");
	give(mine(), f);
}
static void reserve_books(void)
{
	unsigned left = 3 - ck_note(TAKEN);

	books();
	ck_assert(!!take(cpu(0), &t_bare, 0) == (left == 3), "an ordinary request with %u frames left", left);
	for (unsigned i = left == 3; i < left; i++)
		ck_assert(take_reserve(i % 2 ? cpu(1) : none()), "frame %u of %u of the reserve cannot be had", i, left);
	books();
}
CK_CLIENT(reserve, .what = "two ordinary requests and one for the reserve, with one frame above it", .setup = reserve_setup,
	  .thread = { ordinary, ordinary, reserved_user }, .check = reserve_books, .stale = CK_FRESH, .bound = 1);

/* ---- the shrinker ---- */

static struct ramka_frame *kept;        /* what the embedder can do without */
static struct ramka_atomic_u64 has_kept; /* 1: nobody has freed it yet */

static uint64_t shrink(void *ctx, uint64_t wanted)
{
	unsigned depth = DEPTH + (mine()->cacheless ? CK_THREADS - 1 : ck_self());
	uint64_t freed = 0;

	(void)ctx;
	ck_assert(wanted == 1, "%u frames are wanted, 1 was asked for", (unsigned)wanted);
	outside();
	ck_assert(!ck_note(depth), "a shrinker on top of itself");
	ck_note_add(depth, 1);
	if (ramka_xchg(&has_kept, 0, acq_rel, test)) {
		give(mine(), kept);
		freed = 1;
	}
	take_give(mine()); /* fails, perhaps, and asks for nothing */
	ck_note_set(depth, 0);
	ck_note_add(SHRUNK, 1);
	return freed;
}
static void shrink_with(unsigned cpus)
{
	nr_with_cpu = cpus;
	make((struct options){ .frames = 1, .cpus = 2, .shrink = shrink });
	kept = take(cpu(0), &t_bare, 0);
	ramka_store(&has_kept, 1, relaxed, test);
}
static void shrink_two(void) { shrink_with(2); }
static void shrink_one(void) { shrink_with(1); }
static void asks(void) { take_give(mine()); }
static void shrink_books(void)
{
	books();
	ck_assert(ck_note(SHRUNK), "all memory was in use, and nobody was asked for some");
	ck_assert(take(cpu(1), &t_bare, 0), "what the shrinker freed cannot be had");
}
CK_CLIENT(shrink, .what = "two CPUs ask for the frame that the shrinker can free, and allocate in it", .setup = shrink_two,
	  .thread = { asks, asks }, .check = shrink_books, .stale = CK_FRESH, .bound = 1);
CK_CLIENT(shrink_three, .what = "the same, two of them without a CPU", .setup = shrink_one,
	  .thread = { asks, asks, asks }, .check = shrink_books, .stale = CK_FRESH, .bound = 1, .slow = true);
CK_CLIENT(shrink_handler, .what = "the same, and a handler asks on top of that", .setup = shrink_one,
	  .thread = { asks }, .irq = { asks }, .check = shrink_books, .stale = CK_FRESH, .bound = 1);

/* It may bring memory instead, beside another one who adds. */
static void bring(void)
{
	struct ramka_region region = { .base = PA(1), .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	ck_assert(!rc || rc == RAMKA_E_IN_USE || rc == RAMKA_E_BUSY, "add_memory: %d", rc);
}
static uint64_t shrink_adds(void *ctx, uint64_t wanted)
{
	(void)ctx, (void)wanted;
	outside();
	bring();
	return 1; /* it, or somebody else */
}
static void adds_setup(void)
{
	nr_with_cpu = 1;
	make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 1, .shrink = shrink_adds });
	kept = take(cpu(0), &t_bare, 0);
}
static void adder(void) { bring(); }
static void adds_books(void)
{
	books();
	ck_assert(take(cpu(1), &t_bare, 0), "what was added cannot be had");
}
CK_CLIENT(shrink_adds, .what = "the shrinker adds memory, beside another who does", .setup = adds_setup,
	  .thread = { asks, adder }, .check = adds_books, .stale = 1, .bound = 1);

/* ---- the watermarks ---- */

/* Low, enough, low, ... and one at a time; what a callback takes itself is not told in the middle of that. */
static void told(bool low)
{
	ck_note_add(CALLS, 1);
	outside();
	ck_assert(!ck_note(INSIDE), "a callback on top of another");
	ck_note_set(INSIDE, 1);
	ck_assert(ck_note(LEVEL) != low, "told twice that memory is %s", low ? "low" : "enough");
	ck_note_set(LEVEL, low);
	take_give(mine());
	ck_note_set(INSIDE, 0);
}
static void is_low(void *ctx, uint64_t n)
{
	(void)ctx;
	ck_assert(n < 2, "%u free are low", (unsigned)n);
	told(true);
}
static void is_enough(void *ctx, uint64_t n)
{
	(void)ctx;
	ck_assert(n > 2, "%u free are enough", (unsigned)n);
	told(false);
}
static void marks_with(unsigned cpus)
{
	nr_with_cpu = cpus;
	make((struct options){ .frames = 3, .cpus = 2, .low = 2, .high = 2, .low_memory = is_low, .enough_memory = is_enough });
}
static void marks_one(void) { marks_with(1); }
static void marks_none(void) { marks_with(0); }
static void take_two_give_two(void)
{
	struct ramka_frame *f = take(mine(), &t_bare, 0), *g = take(mine(), &t_bare, 0);

	if (f)
		give(mine(), f);
	if (g)
		give(mine(), g);
}
/* A change that was left out, since another call told one, is found by the next call that looks. */
static void marks_books(void)
{
	struct ramka_frame *f[3];

	books();
	ramka_frame_put(none(), ramka_frame_alloc(none(), &t_bare, NULL, UNINIT));
	ck_assert(!ck_note(LEVEL), "all memory is free, and counts as low");
	for (unsigned i = 0; i < 3; i++)
		f[i] = take(none(), &t_bare, 0);
	ck_assert(ck_note(LEVEL), "no memory is free, and it does not count as low");
	for (unsigned i = 0; i < 3; i++)
		give(none(), f[i]);
	ck_assert(!ck_note(LEVEL), "all memory is free, and counts as low");
}
CK_CLIENT(watermarks, .what = "a CPU and another thread take and give across both watermarks", .setup = marks_one,
	  .thread = { take_two_give_two, take_two_give_two }, .check = marks_books, .stale = CK_FRESH, .bound = 1);
CK_CLIENT(watermarks_none, .what = "two without a CPU do", .setup = marks_none,
	  .thread = { take_two_give_two, take_two_give_two }, .check = marks_books, .stale = CK_FRESH, .bound = 1, .slow = true);
