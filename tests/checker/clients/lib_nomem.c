/* SPDX-License-Identifier: MIT */
/*
 * The answer "no memory": frames move between zone, magazines and caches past a request that looks everywhere.
 */
#include "instance.h"

/* the library's own view, for frames that are to lie in a magazine */
#include "cpu/drain.h"

/* `frames` free ones in the cache of CPU `c`. */
static void cached(unsigned c, unsigned frames)
{
	struct ramka_frame *f[8];

	for (unsigned i = 0; i < frames; i++)
		f[i] = ramka_frame_alloc(cpu(c), &t_plain, NULL, UNINIT);
	for (unsigned i = 0; i < frames; i++)
		ramka_frame_put(cpu(c), f[i]);
}
static void cached2(void)
{
	make((struct options){ .frames = 2, .cpus = 3 });
	cached(0, 2);
}

/*
 * Askers keep what they get. A refusal is right when everything was handed out, when it comes after all rounds,
 * or when another call was in progress during the whole last pass: what that one holds may be missed. A call
 * that began or ended within the pass is no excuse. Lengths in steps of the refused thread: a pass is more than
 * 40, what follows it less than 6.
 */
#define PASS 40u
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
	  .check = exact1, .stale = 2, .slow = true);
/* one preemption: complete with two as well, in half a minute */
CK_CLIENT(nomem_last_frames, .what = "two frames, three askers", .setup = zone2,
	  .thread = { ask0, ask1, ask2 }, .check = exact, .stale = 1, .bound = 1);
CK_CLIENT(nomem_refill, .what = "a refill moves frames past the scan", .setup = cached2,
	  .thread = { ask1, ask0 }, .check = exact, .stale = 2, .slow = true);
static void drain_call(void) { call_begins(); ramka_drain(r); call_ends(); }
CK_CLIENT(nomem_quiet, .what = "one asker while a CPU is drained", .setup = cached2,
	  .thread = { ask1, drain_call }, .check = exact, .stale = 2, .slow = true);

/* Refills of two: one is used, one moves up into a cache past another's scan. */
static void batches(void)
{
	make((struct options){ .frames = 64, .cpus = 2 });
	for (unsigned i = 0; i < 62; i++)
		take(none(), &t_plain, 1);
	for (unsigned i = 0; i < 2; i++) /* a CPU that does not look how much is free: cpu/lean.h */
		cpu(i)->looked_span = UINT64_MAX;
}
CK_CLIENT(nomem_batch, .what = "a refill takes two, another needs the second", .setup = batches,
	  .thread = { ask0, ask1 }, .check = exact, .stale = 1);
/* All counters and states of the other CPU may be old at once: more stale reads, fewer preemptions. */
/* one preemption: with two it does not end within a minute; nomem_batch has two, with fewer stale reads */
CK_CLIENT(nomem_batch_stale, .what = "the same, with everything about the other CPU stale", .setup = batches,
	  .thread = { ask0, ask1 }, .check = exact, .stale = 7, .window = 4, .bound = 1, .slow = true);

/* ---- a frame is free all the time, but not always in the same place: each counter that says so is needed ---- */

/* Two of 64 are left: a refill takes both, uses one and keeps the other. */
static void in_cache_1(void) { batches(); cached(1, 2); }
CK_CLIENT(nomem_taken_back, .what = "drained frames are taken back by a refill while the drainer looks for them",
	  .setup = in_cache_1, .thread = { ask0, ask1 }, .check = exact, .stale = 2, .slow = true);

/* The same out of a magazine. */
static void in_magazine_1(void)
{
	struct ramka_frame *f[2];
	struct ramka_cpu *c;
	struct magazine *m;

	batches();
	c = cpu(1);
	m = depot_get_empty(r->depot, 1);
	m->count = 2;
	for (unsigned i = 0; i < 2; i++) {
		uintptr_t home = 0;

		f[i] = ramka_frame_alloc(c, &t_plain, NULL, UNINIT);
		ck_assert(f[i] && cpu_home(c, f[i], &home), "not a frame of the CPU's zone");
		m->frames[i] = (uint32_t)home;
	}
	for (unsigned i = 0; i < 2; i++)
		ramka_frame_put(c, f[i]);
	ramka_store(&c->hot, ramka_load(&c->hot, relaxed, test.setup) & ~(uint64_t)0xffff, relaxed, test.setup);
	own_add(&c->moved_out, 2);
	depot_push(r->depot, m);
}
CK_CLIENT(nomem_magazine, .what = "a magazine becomes a cache past the scan", .setup = in_magazine_1,
	  .thread = { ask0, ask1 }, .check = exact, .stale = 5);

/*
 * The other call ends with a barrier on all CPUs. If that comes before the last look at the counters, the call is not
 * in progress: it must have been seen, and at no time was there no free frame.
 */
#define LAST_COLLECT 9u   /* steps of a refused call from there on: eight counters, and the failure */
enum { ASKED = NOTE_0 + 50, MISSED, MOVED_AT, ENDED_AT };

static void ask_strictly(void)
{
	unsigned before = ck_steps(ck_self()), ended;

	if (!take(cpu(0), &t_plain, 1) && ck_steps(ck_self()) - before < ALL_ROUNDS) {
		ended = ck_note(ENDED_AT);
		if (ended && ended - 1 + LAST_COLLECT <= ck_steps(ck_self()))
			ck_note_add(MISSED, 1);
	}
	ck_note_add(ASKED, 1);
}
/* The asker gets some way between the movement and the barrier: no preemption is spent on that. */
static bool on_its_way(void *ctx)
{
	(void)ctx;
	return ck_note(ASKED) || ck_steps(0) >= ck_note(MOVED_AT) + PASS;
}
static void ends_for_all(void)
{
	ck_note_set(MOVED_AT, ck_steps(0));
	ck_block(on_its_way, NULL);
	ck_barrier_all(NULL);
	ck_note_set(ENDED_AT, 1 + ck_steps(0));
}
static void none_missed(void)
{
	ck_assert(!ck_note(MISSED), "NO MEMORY, though at no time no frame was free");
	books();
}

/* Out of the cache of an idle CPU into the zone, by a drainer that has no cache of its own. */
static void idle2(void)
{
	make((struct options){ .frames = 2, .cpus = 2 });
	cached(1, 2);
}
static void drain_all(void) { ramka_drain(r); ends_for_all(); }
CK_CLIENT(nomem_drained, .what = "a drain moves frames past the scan", .setup = idle2,
	  .thread = { ask_strictly, drain_all }, .check = none_missed, .stale = 2, .slow = true);

/* Added memory, then the one frame that was there before is taken. */
static void late_setup(void)
{
	make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 1 });
	cached(1, 1);
}
static void add_then_take(void)
{
	struct ramka_region region = { .base = PA(1), .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };

	if (!ramka_add_memory(r, &region) && take(cpu(1), &t_plain, 1))
		ends_for_all();
}
CK_CLIENT(nomem_added, .what = "memory is added before what there was is taken", .setup = late_setup,
	  .thread = { ask_strictly, add_then_take }, .check = none_missed, .stale = 3, .slow = true);

/* Frames are freed to a row, then the one that was in the cache is taken. */
static struct ramka_frame *pair;
static void row_setup(void)
{
	struct ramka_frame *a;

	make((struct options){ .frames = 4, .cpus = 2 });
	pair = ramka_frame_alloc(cpu(1), &t_plain, NULL, ORDER(1));
	a = ramka_frame_alloc(cpu(1), &t_plain, NULL, UNINIT);
	take(cpu(1), &t_plain, 1);
	ramka_frame_put(cpu(1), a);
}
static void free_then_take(void)
{
	ramka_frame_put(cpu(1), pair);
	if (take(cpu(1), &t_plain, 1))
		ends_for_all();
}
CK_CLIENT(nomem_row, .what = "frames are freed to a row before what there was is taken", .setup = row_setup,
	  .thread = { ask_strictly, free_then_take }, .check = none_missed, .stale = 2, .window = 8,
	  .c11 = true, .slow = true); /* the take's store to `hot` carries on what the push released */

/* The same into the stack of a larger order. */
static void larger_setup(void)
{
	struct ramka_frame *a;

	make((struct options){ .frames = 256, .cpus = 2 });
	pair = ramka_frame_alloc(cpu(1), &t_plain, NULL, ORDER(1));
	a = ramka_frame_alloc(cpu(1), &t_plain, NULL, UNINIT);
	while (take(none(), &t_plain, 1))
		;
	ramka_frame_put(cpu(1), a);
}
CK_CLIENT(nomem_larger, .what = "a frame of order 1 is freed to its stack before what there was is taken",
	  .setup = larger_setup, .thread = { ask_strictly, free_then_take }, .check = none_missed, .stale = 2, .window = 8,
	  .c11 = true, .slow = true); /* the take's store to `hot` carries on what the push released */

/* The same into the outbox: CPU 0 owns the block of the frame that CPU 1 frees, and CPU 1 works in another block. */
static void mail_setup(void)
{
	struct ramka_frame *f;

	make((struct options){ .frames = 1024, .cpus = 2 });
	ramka_frame_put(cpu(1), ramka_frame_alloc(cpu(1), &t_plain, NULL, UNINIT)); /* its outbox has its size now */
	ramka_cpu_offline(cpu(1));
	pair = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	ck_assert(pair && number(pair) < BASE + 512, "not in the first block");
	while (take(none(), &t_plain, 1))
		;
	for (unsigned i = 1022; i < 1024; i++)
		if (!ramka_frame_from_in_use(r, PA(i), &f)) {
			ramka_frame_put(none(), f);
			give(none(), f);
		}
	take(cpu(1), &t_plain, 1);
}
CK_CLIENT(nomem_mail, .what = "a frame is freed to the outbox before what there was is taken",
	  .setup = mail_setup, .thread = { ask_strictly, free_then_take }, .check = none_missed, .stale = 2, .window = 8,
	  .steps = 6000, .c11 = true, .slow = true);

/* ---- what a claim took and gives back was out of sight meanwhile, and counts as moved ---- */

static void four(void) { make((struct options){ .frames = 4, .cpus = 2 }); }
static void segment3_by(struct ramka_cpu *c)
{
	struct ramka_segment s;

	if (ramka_segment_alloc(c, 3, &t_plain, NULL, NULL, UNINIT, &s))
		return;
	for (unsigned i = 0; i < 3; i++)
		ck_own_take((unsigned)(s.base / RAMKA_PAGE_SIZE) + i);
	ck_barrier_all(NULL);
	ck_note_set(ENDED_AT, 1 + ck_steps(0));
}
static void segment3(void) { segment3_by(cpu(1)); }
static void segment3_none(void) { segment3_by(none()); }
CK_CLIENT(nomem_trim, .what = "a segment of three out of four frames, another CPU asks for one", .setup = four,
	  .thread = { ask_strictly, segment3 }, .check = none_missed, .stale = 1);
CK_CLIENT(nomem_trim_none, .what = "the same without a CPU", .setup = four, .thread = { ask_strictly, segment3_none },
	  .check = none_missed, .stale = 3, .window = 8);

/*
 * Past the caches: a frame of order 2 goes straight to the zone, and then a part of the other three frames in a row is
 * claimed by its address. A segment of three has no hint to follow, so its pass alone decides.
 */
#define LAST_FAILURE 14u   /* steps from the last look at the counters to the end of a refused segment */
static void quad_setup(void)
{
	struct ramka_frame *f;

	make((struct options){ .frames = 12, .cpus = 2 });
	ck_assert(!ramka_frame_claim(none(), PA(0), 2, &t_plain, NULL, &pair, NULL), "not free");
	while (take(none(), &t_plain, 1))
		;
	for (unsigned i = 8; i < 11; i++) {
		ck_assert(!ramka_frame_from_in_use(r, PA(i), &f), "not in use");
		ramka_frame_put(none(), f);
		give(none(), f);
	}
}
static void segment3_strictly(void)
{
	unsigned before = ck_steps(ck_self()), ended;
	struct ramka_segment s;

	if (!ramka_segment_alloc(cpu(0), 3, &t_plain, NULL, NULL, UNINIT, &s)) {
		for (unsigned i = 0; i < 3; i++)
			ck_own_take((unsigned)(s.base / RAMKA_PAGE_SIZE) + i);
	} else if (ck_steps(ck_self()) - before < ALL_ROUNDS) {
		ended = ck_note(ENDED_AT);
		if (ended && ended - 1 + LAST_FAILURE <= ck_steps(ck_self()))
			ck_note_add(MISSED, 1);
	}
	ck_note_add(ASKED, 1);
}
static void free4_then_take(void)
{
	struct ramka_frame *f;

	ramka_frame_put(none(), pair);
	if (!ramka_frame_from_unused(none(), PA(9), &t_plain, NULL, &f)) {
		ck_own_take(number(f));
		ck_barrier_all(NULL);
		ck_note_set(ENDED_AT, 1 + ck_steps(0));
	}
}
CK_CLIENT(nomem_past_caches, .what = "a frame is freed past the caches before a part of the other range is taken",
	  .setup = quad_setup, .thread = { segment3_strictly, free4_then_take }, .check = none_missed, .stale = CK_FRESH);

/* An order-1 claim whose run is broken by an exact claim. Frames 0, 1 and 3 are free, two of them all the time. */
static void three_of_four(void)
{
	struct ramka_frame *f;

	make((struct options){ .frames = 4, .cpus = 2 });
	ck_assert(!ramka_frame_from_unused(none(), PA(2), &t_plain, NULL, &f), "not free");
	ck_own_take(BASE + 2);
}
static void order1_fails(void)
{
	struct ramka_frame *f = ramka_frame_alloc(none(), &t_plain, NULL, ORDER(1));

	if (f) {
		ck_own_take(number(f));
		ck_own_take(number(f) + 1);
		return;
	}
	ck_barrier_all(NULL);
	ck_note_set(ENDED_AT, 1 + ck_steps(0));
}
static void exact_0(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_unused(none(), PA(0), &t_plain, NULL, &f))
		ck_own_take(number(f));
}
CK_CLIENT(nomem_promise_back, .what = "order 1 fails and gives its promise back past a scan", .setup = three_of_four,
	  .thread = { ask_strictly, order1_fails, exact_0 }, .check = none_missed, .stale = 2, .window = 8, .bound = 1);

/* An order-12 claim that is undone. Eight blocks, of which exact claims pierce the last four. */
static const struct ramka_region eight = { .base = (ramka_paddr_t)4096 * 4096, .size = (uint64_t)4096 * 4096, .kind = RAMKA_USABLE };
static void eight_blocks(void)
{
	struct ramka_config cfg = { .regions = &eight, .nr_regions = 1, .nr_cpus = 2, .meta_size = RAMKA_META_NONE,
				    .flags = RAMKA_NO_DIRECT_MAP, .barrier_all_cpus = ck_barrier_all };
	size_t bytes;

	ck_assert(!ramka_metadata_size(&cfg, &bytes), "size");
	ck_assert(!ramka_init(&cfg, ck_alloc(bytes, 64), bytes, &r), "init");
	ck_assert(!ramka_type_register(r, &t_bare), "type");
}
static void ask_block(void)
{
	unsigned ended;

	if (!ramka_frame_alloc(cpu(0), &t_bare, NULL, ORDER(9))) {
		ended = ck_note(ENDED_AT);
		if (ended && ended - 1 + LAST_COLLECT <= ck_steps(ck_self()))
			ck_note_add(MISSED, 1);
	}
	ck_note_add(ASKED, 1);
}
static void claim12_none(void)
{
	if (ramka_frame_alloc(none(), &t_bare, NULL, ORDER(12)))
		return;
	ck_barrier_all(NULL);
	ck_note_set(ENDED_AT, 1 + ck_steps(0));
}
static void pierce(void)
{
	struct ramka_frame *f;

	for (unsigned i = 4; i < 8; i++)
		ramka_frame_from_unused(none(), eight.base + i * ((ramka_paddr_t)512 * 4096), &t_bare, NULL, &f);
}
static void block_not_missed(void)
{
	ck_assert(!ck_note(MISSED), "NO MEMORY for order 9, though four blocks were free but for a claim that failed");
}
CK_CLIENT(nomem_blocks_back, .what = "order 9 while an order-12 claim is undone", .setup = eight_blocks,
	  .thread = { ask_block, claim12_none, pierce }, .check = block_not_missed, .stale = 2, .window = 8, .steps = 8000, .bound = 1);
