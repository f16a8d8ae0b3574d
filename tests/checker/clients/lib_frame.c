/* SPDX-License-Identifier: MIT */
/* The state word: counting, the last put, lookups, exclusive ownership, misuse. */
#include "instance.h"
#include "base/slot.h"

static struct ramka_frame *f0;

/* ---- alloc and put on several CPUs ---- */

static void small(void) { make((struct options){ .frames = 2, .cpus = 3 }); }
static void some(void) { make((struct options){ .frames = 4, .cpus = 3 }); }
static void tg0(void) { take_give(cpu(0)); }
static void tg1(void) { take_give(cpu(1)); }
static void ttg1(void)
{
	struct ramka_frame *a = take(cpu(1), &t_plain, 1), *b = take(cpu(1), &t_plain, 2);

	if (a)
		give(cpu(1), a);
	(void)b;
}
static void tgn(void) { take_give(none()); }
CK_CLIENT(frame_alloc_put, .what = "two CPUs over four frames", .setup = some, .thread = { tg0, ttg1 },
	  .check = books, .stale = 2);
CK_CLIENT(frame_alloc_none, .what = "a CPU and two users of the cache-less handle", .setup = some,
	  .thread = { tg0, tgn, tgn }, .check = books, .stale = 1, .slow = true);
/* one preemption: with two it does not end within a minute; frame_alloc_none has two */
CK_CLIENT(frame_alloc_scarce, .what = "two CPUs and the cache-less handle over two frames", .setup = small,
	  .thread = { tg0, ttg1, tgn }, .check = books, .stale = 1, .bound = 1, .slow = true);

/* ---- the last put ---- */

static void two_refs(void)
{
	make((struct options){ .frames = 1, .cpus = 3 });
	f0 = take(cpu(0), &t_hook, 1);
	ramka_frame_get(r, f0);
}
static void look_put0(void) { look(f0); ramka_frame_put(cpu(0), f0); }
static void look_put1(void) { look(f0); ramka_frame_put(cpu(1), f0); }
static void lookup(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(0), &f)) {
		uint64_t v = look(f);

		ck_assert(ramka_frame_type(r, f) == (v == 1 ? &t_hook : &t_other),
				"type and metadata of two incarnations, value %llu", (unsigned long long)v);
		if (ramka_frame_type(r, f) == &t_other && ramka_frame_refcount(f) == 1)
			ck_own_give(number(f));
		ramka_frame_put(cpu(2), f);
	}
}
static void dropped_once(void)
{
	ck_assert(ck_note(NOTE_DROPS) == 1, "on_drop ran %u times", ck_note(NOTE_DROPS));
	books();
}
CK_CLIENT(frame_last_put, .what = "two puts and a lookup by address", .setup = two_refs,
	  .thread = { look_put0, look_put1, lookup }, .check = dropped_once, .stale = 2);
static void look_bulk0(void)
{
	look(f0);
	ramka_frame_put_bulk(cpu(0), 1, &f0);
}
static void look_bulk1(void)
{
	look(f0);
	ramka_frame_put_bulk(cpu(1), 1, &f0);
}
CK_CLIENT(frame_bulk_put, .what = "the same by bulk calls", .setup = two_refs,
	  .thread = { look_bulk0, look_bulk1, lookup }, .check = dropped_once, .stale = 2);
static void get_put_put(void)
{
	ramka_frame_get(r, f0);
	look(f0);
	ramka_frame_put(cpu(0), f0);
	ramka_frame_put(cpu(0), f0);
}
CK_CLIENT(frame_get_put, .what = "clone, drop, drop against the other drop", .setup = two_refs,
	  .thread = { get_put_put, look_put1, lookup }, .check = dropped_once, .stale = 2);

/* ---- another incarnation between look and CAS ---- */

static void one_ref(void)
{
	make((struct options){ .frames = 1, .cpus = 3 });
	f0 = take(cpu(0), &t_hook, 1);
}
static void put_realloc(void)
{
	ramka_frame_put(cpu(0), f0);
	take(cpu(0), &t_other, 2);
}
CK_CLIENT(frame_reuse, .what = "a lookup meets put and reuse as another type", .setup = one_ref,
	  .thread = { put_realloc, lookup }, .check = NULL, .stale = 3);
static void realloc1(void) { take(cpu(1), &t_other, 2); }
CK_CLIENT(frame_reuse_other_cpu, .what = "the same, reused by another CPU", .setup = one_ref,
	  .thread = { look_put0, realloc1, lookup }, .stale = 2, .slow = true);

/* ---- claim by address ---- */

static void one_detached(void) { make((struct options){ .frames = 1, .detached = 1, .cpus = 3 }); }
static void claim_put(unsigned i)
{
	struct meta m = { i + 1, i + 1 };
	struct ramka_frame *f;

	if (!ramka_frame_from_unused(cpu(i), PA(1), &t_hook, &m, &f)) {
		ck_own_take(number(f));
		ramka_frame_put(cpu(i), f);
	}
}
static void claim0(void) { claim_put(0); }
static void claim1(void) { claim_put(1); }
static void lookup1(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(1), &f)) {
		uint64_t v = look(f);

		ck_assert(v == 1 || v == 2, "metadata %llu", (unsigned long long)v);
		ramka_frame_put(cpu(2), f);
	}
}
CK_CLIENT(frame_from_unused, .what = "two claims of a detached frame, a lookup", .setup = one_detached,
	  .thread = { claim0, claim1, lookup1 }, .check = books, .stale = 2);

static void claim_free(unsigned c, unsigned i)
{
	struct meta m = { 5, 5 };
	struct ramka_frame *f;
	int rc = ramka_frame_from_unused(cpu(c), PA(i), &t_plain, &m, &f);

	if (!rc) {
		ck_own_take(number(f));
		look(f);
		give(cpu(c), f);
	}
}
static void claim_a(void) { claim_free(0, 0); }
static void claim_b(void) { claim_free(2, 0); }
CK_CLIENT(frame_claim_alloc, .what = "claims of a free frame against alloc", .setup = small,
	  .thread = { claim_a, tg1, claim_b }, .check = books, .stale = 1, .bound = 1, .slow = true); /* two: more than a minute */

/* ---- exclusive ownership ---- */

static void upgrade(void)
{
	struct ramka_unique *u = ramka_frame_try_unique(r, f0);
	struct meta *m;

	if (!u) {
		ramka_frame_put(cpu(0), f0);
		return;
	}
	m = ramka_unique_meta(r, u);
	m->a = m->b = 1 + m->a;
	ramka_frame_put(cpu(0), ramka_unique_share(r, u));
}
static void lookup_any(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(0), &f)) {
		look(f);
		ramka_frame_put(cpu(2), f);
	}
}
CK_CLIENT(frame_try_unique, .what = "upgrade, write, share against put and lookup", .setup = two_refs,
	  .thread = { upgrade, look_put1, lookup_any }, .check = dropped_once, .stale = 2);

static void one_unique(void)
{
	make((struct options){ .frames = 1, .cpus = 3 });
}
static void unique_cycle(void)
{
	struct meta m = { 1, 1 };
	struct ramka_unique *u = ramka_unique_alloc(cpu(0), &t_hook, &m, UNINIT);

	ck_own_take(BASE);
	((struct meta *)ramka_unique_meta(r, u))->a = 2;
	((struct meta *)ramka_unique_meta(r, u))->b = 2;
	ramka_frame_put(cpu(0), ramka_unique_share(r, u));
}
CK_CLIENT(frame_share, .what = "a unique frame is shared and looked up", .setup = one_unique,
	  .thread = { unique_cycle, lookup_any }, .check = NULL, .stale = 3);

/* a unique frame becomes another, then two; nobody finds it by address meanwhile */
static void four_frames(void) { make((struct options){ .frames = 4, .cpus = 3 }); }
static void become_and_split(void)
{
	struct ramka_unique *u = ramka_unique_alloc(cpu(0), &t_hook, NULL, ORDER(1)), *parts[2];

	ck_assert(u && ramka_unique_paddr(r, u) == PA(0), "not the first frame");
	ck_own_take(BASE);
	ck_assert(!ramka_unique_repurpose(cpu(0), u, &t_plain, NULL), "repurpose");
	ck_own_take(BASE);      /* on_drop gave it back */
	ck_own_take(BASE + 1);
	ck_assert(!ramka_unique_split(r, u, 0, parts), "split");
	for (unsigned i = 0; i < 2; i++)
		give(cpu(0), ramka_unique_share(r, parts[i]));
}
static void lookup_both(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ramka_frame *f;

		if (ramka_frame_from_in_use(r, PA(i), &f))
			continue;
		look(f);
		ck_assert(ramka_frame_type(r, f) == &t_plain && ramka_frame_order(f) == 0, "a frame of its former life");
		ramka_frame_put(cpu(2), f);
	}
}
CK_CLIENT(frame_repurpose, .what = "a unique frame is repurposed, split and shared beside a lookup",
	  .setup = four_frames, .thread = { become_and_split, lookup_both }, .check = books, .stale = 2);

/* sole: the others' accesses are over */
static void sole_write(void)
{
	if (ramka_frame_is_sole(f0)) {
		struct meta *m = ramka_frame_meta(r, f0);

		m->a = m->b = 3;
	}
	ramka_frame_put(cpu(1), f0);
}
CK_CLIENT(frame_is_sole, .what = "the last holder writes", .setup = two_refs, .thread = { look_put0, sole_write },
	  .check = dropped_once, .stale = 3);

/* ---- the lock of a page-table node ---- */

static struct ramka_pt_meta node;
static void node_setup(void)
{
	node = (struct ramka_pt_meta){ .level = 1 };
}
static void node_user(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!ramka_pt_trylock(&node))
			continue;
		node.nr_children++;
		ramka_pt_unlock(&node);
		ck_note_add(NOTE_0, 1);
	}
}
static void node_counted(void)
{
	ck_assert(node.nr_children == ck_note(NOTE_0), "%u children of %u", node.nr_children, ck_note(NOTE_0));
}
CK_CLIENT(pt_lock, .what = "two hold the lock of a node in turn", .setup = node_setup,
	  .thread = { node_user, node_user }, .check = node_counted);

/* ---- at the top ---- */

static void at_top(void)
{
	make((struct options){ .frames = 1, .cpus = 2, .flags = RAMKA_REF_SATURATE });
	f0 = take(cpu(0), &t_hook, 1);
	ramka_store(&f0->ref, REF_SHARED(REF_MAX - 1), relaxed, test.setup);
}
static void get_one(void) { ramka_frame_get(r, f0); }
static void put_one(void) { ramka_frame_put(cpu(1), f0); }
static void not_freed(void)
{
	uint64_t ref = slot_ref(f0);

	ck_assert(ck_note(NOTE_DROPS) == 0, "a saturated frame was freed");
	ck_assert(ref_tag(ref) == TAG_SATURATED || (ref_tag(ref) == TAG_SHARED &&
			(ref & REF_PAYLOAD) == REF_MAX), "ref %#llx", (unsigned long long)ref);
}
CK_CLIENT(frame_saturate, .what = "two clones and a drop at the top of the count", .setup = at_top,
	  .thread = { get_one, get_one, put_one }, .check = not_freed, .stale = 2);

/* ---- misuse: leak, never hand out twice ---- */

static void tolerant_one(void)
{
	make((struct options){ .frames = 1, .cpus = 3, .tolerant = true });
	f0 = take(cpu(0), &t_plain, 1);
}
static void put_take_get_put(void)
{
	struct ramka_frame *f;

	give(cpu(0), f0);
	f = take(cpu(0), &t_plain, 2);
	if (f) {
		ck_assert(ramka_frame_get(r, f) == f, "the reference of a correct caller was taken away");
		look(f);
		ramka_frame_put(cpu(0), f);     /* still one of ours */
		take(cpu(0), &t_other, 3);
		look(f);
		ck_note_add(NOTE_0, 1);
	}
}
static void still_held(void)
{
	ck_assert(!ck_note(NOTE_0) || ramka_frame_refcount(f0) >= 1, "a frame in use has no reference any more");
}
static void stray_get(void) { ramka_frame_get(r, f0); }
CK_CLIENT(frame_stray_get, .what = "a stray clone of a dying frame never frees the next one",
	  .setup = tolerant_one, .thread = { put_take_get_put, stray_get }, .check = still_held, .stale = 2);
static void double_put(void) { ramka_frame_put(cpu(1), f0); }
static void free_only(void) { give(cpu(0), f0); }
CK_CLIENT(frame_double_put, .what = "one put too many", .setup = tolerant_one,
	  .thread = { free_only, double_put }, .stale = 3);

/* ---- looking at everything while it changes ---- */

static bool visit(void *ctx, const struct ramka_run *run) { (void)ctx, (void)run; return true; }
static void walk(void)
{
	struct ramka_stats s;

	ramka_walk(r, visit, NULL);
	ramka_stats_read(r, &s);
}
CK_CLIENT(frame_walk, .what = "walk and statistics beside alloc and put", .setup = small,
	  .thread = { ttg1, walk }, .check = books, .stale = 1);
