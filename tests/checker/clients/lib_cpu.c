/* SPDX-License-Identifier: MIT */
/* A CPU's section, taking over its cache, going off-line, and the answer "no memory". */
#include "instance.h"

/* Frames lie in the cache of CPU 0. */
static void cached(unsigned frames, unsigned cpus)
{
	struct ramka_frame *f[8];

	make((struct options){ .frames = frames, .cpus = cpus });
	for (unsigned i = 0; i < frames; i++)
		f[i] = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	for (unsigned i = 0; i < frames; i++)
		ramka_frame_put(cpu(0), f[i]);
}
static void cached2(void) { cached(2, 3); }
static void cached1(void) { cached(1, 3); }
static void tg0(void) { take_give(cpu(0)); }
static void tg1(void) { take_give(cpu(1)); }
static void drain(void) { ramka_drain(r); }

CK_CLIENT(cpu_steal, .what = "owner, and a CPU that needs its frames", .setup = cached2,
	  .thread = { tg0, tg1 }, .check = books, .stale = 2);

/* Interrupts on top of the owner, in calls short enough to be searched through. */
static void half(void)      /* two in the cache, two in the zone: nobody runs out */
{
	struct ramka_frame *a, *b;

	make((struct options){ .frames = 4, .cpus = 2 });
	a = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	b = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	ramka_frame_put(cpu(0), a);
	ramka_frame_put(cpu(0), b);
}
static void take0(void) { take(cpu(0), &t_plain, 1); }
static void take1(void) { take(cpu(1), &t_plain, 1); }
static struct ramka_frame *mine, *other;
static void holds2(void)
{
	make((struct options){ .frames = 3, .cpus = 2 });
	mine = take(cpu(0), &t_plain, 1);
	other = take(cpu(0), &t_plain, 1);
	ramka_frame_put(cpu(0), ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT));
}
static void give_mine(void) { give(cpu(0), mine); }
static void give_other(void) { give(cpu(0), other); }
CK_CLIENT(cpu_take_irq, .what = "alloc, alloc in an interrupt, a drainer", .setup = half,
	  .thread = { take0, drain }, .irq = { take0 }, .check = books, .stale = 1);
CK_CLIENT(cpu_steal_irq, .what = "alloc, alloc in an interrupt, a CPU that needs the frames", .setup = half,
	  .thread = { take0, take1 }, .irq = { take0 }, .check = books, .stale = 1);
CK_CLIENT(cpu_put_irq, .what = "put, put in an interrupt, a drainer", .setup = holds2,
	  .thread = { give_mine, drain }, .irq = { give_other }, .check = books, .stale = 1);
CK_CLIENT(cpu_take_put_irq, .what = "alloc, put in an interrupt, a drainer", .setup = holds2,
	  .thread = { take0, drain }, .irq = { give_mine }, .check = books, .stale = 1, .bound = 1);
CK_CLIENT(cpu_drain, .what = "a drainer takes the cache over", .setup = cached2, .thread = { tg0, drain },
	  .check = books, .stale = 3);
CK_CLIENT(cpu_drain_twice, .what = "two drainers take over one cache", .setup = cached2,
	  .thread = { tg0, drain, drain }, .check = books, .stale = 1);
static void drain_irq(void) { ramka_drain(r); }
CK_CLIENT(cpu_drain_in_irq, .what = "an interrupt drains on top of a section", .setup = cached2,
	  .thread = { take0, take1 }, .irq = { drain_irq }, .check = books, .stale = 1, .bound = 1);
static void offline(void) { ramka_cpu_offline(cpu(0)); take_give(cpu(0)); }
CK_CLIENT(cpu_offline, .what = "a CPU goes off-line and comes back while it is drained", .setup = cached2,
	  .thread = { offline, drain }, .check = books, .stale = 2);
CK_CLIENT(cpu_offline_busy, .what = "the same while another needs its frames", .setup = cached2,
	  .thread = { offline, drain, tg1 }, .check = books, .stale = 1, .bound = 1);

/* A thread that stops for ever: the others still make progress, and miss at most what it holds. */
static void park_books(void) { }
CK_CLIENT(cpu_parked_owner, .what = "the owner stops for ever", .setup = cached2, .thread = { tg0, tg1 },
	  .park = 1, .check = park_books, .stale = 1, .bound = 1);
CK_CLIENT(cpu_parked_thief, .what = "the thief stops for ever: the owner goes on", .setup = cached2,
	  .thread = { tg0, drain }, .park = 2, .check = park_books, .stale = 1);

/* The way of a frame without metadata is shorter. */
static void bare0(void)
{
	struct ramka_frame *f = take(cpu(0), &t_bare, 0);

	if (f)
		give(cpu(0), f);
}
static void bare1(void) { take(cpu(1), &t_bare, 0); }
static void take_bare0(void) { take(cpu(0), &t_bare, 0); }
static void bare_lookup(void)
{
	struct ramka_frame *f;

	for (unsigned i = 0; i < 2; i++)
		if (!ramka_frame_from_in_use(r, PA(i), &f))
			ck_assert(ramka_frame_type(r, f) == &t_bare, "a frame with the type of its former life");
}
CK_CLIENT(cpu_bare_drain, .what = "alloc and put without metadata, a drainer", .setup = half,
	  .thread = { bare0, drain }, .check = books, .stale = 2);
CK_CLIENT(cpu_bare_irq, .what = "the same in an interrupt", .setup = half, .thread = { take_bare0, drain },
	  .irq = { take_bare0 }, .check = books, .stale = 1);
CK_CLIENT(cpu_bare_steal, .what = "alloc without metadata on two CPUs", .setup = half,
	  .thread = { bare0, bare1 }, .check = books, .stale = 2);
CK_CLIENT(cpu_bare_lookup, .what = "its type is published with it", .setup = cached2,
	  .thread = { take_bare0, bare_lookup }, .check = books, .stale = 3);

/* ---- late memory ---- */

static void late_setup(void) { make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 2 }); }
static void add_late(void)
{
	struct ramka_region region = { .base = PA(1), .size = 2 * RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	ck_assert(!rc || rc == RAMKA_E_IN_USE || rc == RAMKA_E_BUSY, "add_memory: %d", rc);
}
static void take_two(void)
{
	take(cpu(1), &t_plain, 1);
	take(cpu(1), &t_plain, 2);
}
static void late_lookup(void)
{
	struct ramka_frame *f;

	if (ramka_frame_from_in_use(r, PA(2), &f))
		return;
	if (ramka_frame_type(r, f) == &t_plain) {
		look(f);        /* and keeps it, beside its owner */
	} else {
		ck_assert(ramka_frame_type(r, f) == &ramka_type_reserved, "neither reserved nor handed out");
		ramka_frame_put(none(), f);
	}
}
CK_CLIENT(late_memory, .what = "memory is added while others allocate", .setup = late_setup,
	  .thread = { add_late, take_two }, .check = books, .stale = 2);
CK_CLIENT(late_memory_lookup, .what = "the same beside a reference by address", .setup = late_setup,
	  .thread = { add_late, take_two, late_lookup }, .check = books, .stale = 1, .bound = 1);
CK_CLIENT(late_memory_twice, .what = "two add the same memory", .setup = late_setup,
	  .thread = { add_late, add_late }, .check = books, .stale = 2);

/* one after the other, by two threads: the second sees what the first wrote into the map */
enum { ADDED = NOTE_0 + 40 };
static void late3_setup(void) { make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 3 }); }
static void add_one(unsigned i)
{
	struct ramka_region region = { .base = PA(i), .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	ck_assert(!rc || rc == RAMKA_E_BUSY, "add_memory: %d", rc);
	if (!rc)
		ck_note_add(ADDED, 1u << i);
}
static void add_first(void) { add_one(1); }
static void add_third(void) { add_one(3); }
static void both_usable(void)
{
	for (unsigned i = 1; i <= 3; i += 2) {
		struct ramka_frame *f;
		bool added = ck_note(ADDED) >> i & 1;
		int rc = ramka_frame_from_unused(cpu(0), PA(i), &t_plain, NULL, &f);

		ck_assert(added ? !rc : rc == RAMKA_E_IN_USE, "frame %u, %s: from_unused says %d", i,
			  added ? "added" : "not added", rc);
		if (!rc)
			ramka_frame_put(cpu(0), f);
	}
	books();
}
CK_CLIENT(late_memory_two, .what = "two add different memory", .setup = late3_setup,
	  .thread = { add_first, add_third }, .check = both_usable, .stale = 3);

/* After a drain the owner's cache works again. */
static void cache_works(void)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	struct ramka_stats s;

	if (f) {
		ramka_frame_put(cpu(0), f);
		ramka_stats_read(r, &s);
		ck_assert(s.cached > 0, "the owner has no cache any more");
	}
	books();
}
CK_CLIENT(cpu_reopens, .what = "the section opens again after a drain", .setup = cached1,
	  .thread = { tg0, drain }, .check = cache_works, .stale = 2);

/* ---- no memory ---- */

/*
 * Askers keep what they get. A refusal is right when everything was handed out, when it comes after all rounds,
 * or when another call was in progress during the whole last pass: what that one holds may be missed. A call
 * that began or ended within the pass is no excuse. Lengths in steps of the refused thread: a pass is more than
 * 25, what follows it less than 6.
 */
#define PASS 25u
#define ALL_ROUNDS (7u * PASS)
#define AFTER_PASS 6u
enum { REFUSED = NOTE_0, GOT, RUNNING, BEGAN = 8, ENDED = BEGAN + CK_THREADS * CK_THREADS };

static void call_begins(void)
{
	ck_note_set(RUNNING, ck_note(RUNNING) | 1u << ck_self());
	for (unsigned i = 0; i < CK_THREADS; i++)
		ck_note_set(BEGAN + ck_self() * CK_THREADS + i, ck_steps(i));
}

static void call_ends(void)
{
	ck_note_set(RUNNING, ck_note(RUNNING) & ~(1u << ck_self()));
	for (unsigned i = 0; i < CK_THREADS; i++)
		ck_note_set(ENDED + ck_self() * CK_THREADS + i, ck_steps(i));
}

static bool excused(unsigned before)
{
	unsigned now = ck_steps(ck_self());

	if (now - before >= ALL_ROUNDS)
		return true;
	for (unsigned i = 0; i < CK_THREADS; i++) {
		bool running = ck_note(RUNNING) >> i & 1;
		unsigned began = ck_note(BEGAN + i * CK_THREADS + ck_self()),
				ended = ck_note(ENDED + i * CK_THREADS + ck_self());

		if (i != ck_self() && (running || ended + AFTER_PASS >= now) && began + PASS <= now &&
				(running || ended))
			return true;
	}
	return false;
}

static void ask(unsigned c)
{
	unsigned before = ck_steps(ck_self());
	struct ramka_frame *f;

	call_begins();
	f = take(cpu(c), &t_plain, 1);
	if (f)
		ck_note_add(GOT, 1);
	else if (!excused(before))
		ck_note_add(REFUSED, 1);
	call_ends();
}
static void ask0(void) { ask(0); }
static void ask1(void) { ask(1); }
static void ask2(void) { ask(2); }
static void zone2(void) { make((struct options){ .frames = 2, .cpus = 3 }); }
static void exact(void)
{
	ck_assert(!ck_note(REFUSED) || ck_note(GOT) == 2, "NO MEMORY with %u of 2 frames free", 2 - ck_note(GOT));
	books();
}
static void zone1(void) { make((struct options){ .frames = 1, .cpus = 2 }); }
static void exact1(void)
{
	ck_assert(!ck_note(REFUSED) || ck_note(GOT) == 1, "NO MEMORY with the one frame free");
	books();
}
CK_CLIENT(nomem_last_frame, .what = "one frame, two askers", .setup = zone1, .thread = { ask0, ask1 },
	  .check = exact1, .stale = 2);
CK_CLIENT(nomem_last_frames, .what = "two frames, three askers", .setup = zone2,
	  .thread = { ask0, ask1, ask2 }, .check = exact, .stale = 1, .bound = 1);
CK_CLIENT(nomem_refill, .what = "a refill moves frames past the scan", .setup = cached2,
	  .thread = { ask1, ask0 }, .check = exact, .stale = 2);
static void drain_call(void) { call_begins(); ramka_drain(r); call_ends(); }
CK_CLIENT(nomem_quiet, .what = "one asker while a CPU is drained", .setup = cached2,
	  .thread = { ask1, drain_call }, .check = exact, .stale = 2);

/* Refills of two: one is used, one moves up into a cache past another's scan. */
static void batches(void)
{
	make((struct options){ .frames = 64, .cpus = 2 });
	for (unsigned i = 0; i < 62; i++)
		take(none(), &t_plain, 1);
}
CK_CLIENT(nomem_batch, .what = "a refill takes two, another needs the second", .setup = batches,
	  .thread = { ask0, ask1 }, .check = exact, .stale = 1);
/* All counters and states of the other CPU may be old at once: more stale reads, fewer preemptions. */
CK_CLIENT(nomem_batch_stale, .what = "the same, with everything about the other CPU stale", .setup = batches,
	  .thread = { ask0, ask1 }, .check = exact, .stale = 7, .window = 4, .bound = 1);
