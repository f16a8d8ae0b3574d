/* SPDX-License-Identifier: MIT */
/* Larger frames, segments, lists: claims of several frames with undo, splitting, markers that others look at. */
#include "instance.h"

static void four(void) { make((struct options){ .frames = 4, .cpus = 3 }); }

static void order1(void)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu(0), &t_plain, NULL, ORDER(1));
	unsigned n;

	if (!f)
		return;
	n = number(f);
	ck_assert(n % 2 == 0, "frame %u is not aligned", n);
	ck_own_take(n);
	ck_own_take(n + 1);
	ck_own_give(n + 1);
	give(cpu(0), f);
}
static struct ramka_frame *held;
static void two_one_held(void)
{
	make((struct options){ .frames = 2, .cpus = 3 });
	held = take(cpu(1), &t_plain, 1);
	ramka_drain(r);
}
static void give_held(void) { give(cpu(1), held); }
static void tg2(void) { take_give(cpu(2)); }
CK_CLIENT(range_order1, .what = "order 1 while its buddy is freed", .setup = two_one_held,
	  .thread = { order1, give_held }, .check = books, .stale = 2);
/* one preemption: with two it does not end within a minute; range_order1 has two */
CK_CLIENT(range_order1_taken, .what = "the same while one half is taken", .setup = two_one_held,
	  .thread = { order1, give_held, tg2 }, .check = books, .stale = 1, .bound = 1);

static void segment2(void)
{
	struct ramka_segment s;

	if (!ramka_segment_from_unused(cpu(0), PA(0), 2 * RAMKA_PAGE_SIZE, &t_plain, NULL, NULL, &s)) {
		ck_own_take(BASE);
		ck_own_take(BASE + 1);
		ck_own_give(BASE);
		ck_own_give(BASE + 1);
		ramka_segment_put(cpu(0), s);
	}
}
static void claim(unsigned c, unsigned i)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_unused(cpu(c), PA(i), &t_plain, NULL, &f)) {
		ck_own_take(number(f));
		give(cpu(c), f);
	}
}
static void claim_second(void) { claim(1, 1); }
static void detached2(void) { make((struct options){ .frames = 1, .detached = 2, .cpus = 3 }); }
static void segment2_detached(void)
{
	struct ramka_segment s;

	if (!ramka_segment_from_unused(cpu(0), PA(1), 2 * RAMKA_PAGE_SIZE, &t_plain, NULL, NULL, &s)) {
		ck_own_take(BASE + 1);
		ck_own_take(BASE + 2);
		ck_own_give(BASE + 1);
		ck_own_give(BASE + 2);
		ramka_segment_put(cpu(0), s);
	}
}
static void claim_third(void) { claim(1, 2); }
/* one preemption: with two it does not end within a minute; range_claim_detached has two */
CK_CLIENT(range_claim_undo, .what = "a claim of two frames with undo against a claim of one", .setup = four,
	  .thread = { segment2, claim_second, tg2 }, .check = books, .stale = 1, .bound = 1, .slow = true);
CK_CLIENT(range_claim_detached, .what = "the same on frames that nobody owned", .setup = detached2,
	  .thread = { segment2_detached, claim_third }, .check = books, .stale = 2);

static void segment_alloc2(void)
{
	struct ramka_segment s;

	if (!ramka_segment_alloc(cpu(0), 2, &t_plain, NULL, NULL, UNINIT, &s)) {
		unsigned n = (unsigned)(s.base / RAMKA_PAGE_SIZE);

		ck_own_take(n);
		ck_own_take(n + 1);
		ck_own_give(n);
		ck_own_give(n + 1);
		ramka_segment_put(cpu(0), s);
	}
}
CK_CLIENT(range_segment_alloc, .what = "a segment against base frames", .setup = four,
	  .thread = { segment_alloc2, tg2 }, .check = books, .stale = 1);

static void init_fn(void *ctx, ramka_paddr_t pa, void *meta)
{
	struct meta *m = meta;

	(void)ctx, (void)pa;
	m->a = m->b = 9;
}
static void segment_init(void)
{
	struct ramka_segment s;

	if (!ramka_segment_from_unused(cpu(0), PA(0), 2 * RAMKA_PAGE_SIZE, &t_plain, init_fn, NULL, &s))
		ramka_segment_put(cpu(0), s);
}
static void lookup(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(1), &f)) {
		ck_assert(look(f) == 9, "metadata before it was made");
		ramka_frame_put(cpu(1), f);
	}
}
CK_CLIENT(range_segment_init, .what = "a lookup while a segment's metadata is made", .setup = four,
	  .thread = { segment_init, lookup }, .check = books, .stale = 2);

/* ---- a split huge frame: parts freed by two threads ---- */

static struct ramka_unique *parts[2];
static void split_setup(void)
{
	make((struct options){ .frames = 4, .cpus = 3 });
	ck_assert(!ramka_unique_split(r, ramka_unique_alloc(cpu(0), &t_plain, NULL, ORDER(1)), 0, parts), "split");
	for (unsigned i = 0; i < 2; i++)
		ck_own_take((unsigned)(ramka_unique_paddr(r, parts[i]) / RAMKA_PAGE_SIZE));
}
static void free_part(unsigned i)
{
	ck_own_give((unsigned)(ramka_unique_paddr(r, parts[i]) / RAMKA_PAGE_SIZE));
	ramka_unique_free(cpu(i), parts[i]);
}
static void free_part0(void) { free_part(0); }
static void free_part1(void) { free_part(1); }
CK_CLIENT(range_split, .what = "parts of a split frame freed by two CPUs, taken by a third",
	  .setup = split_setup, .thread = { free_part0, free_part1, tg2 }, .check = books, .stale = 1);

/* ---- lists ---- */

struct listed { struct ramka_link link; uint64_t payload; };
static RAMKA_DEFINE_TYPE(t_listed, struct listed, .id = 20);
static struct ramka_list list;
static struct ramka_unique *item;
static void list_setup(void)
{
	make((struct options){ .frames = 2, .cpus = 2 });
	ck_assert(!ramka_type_register(r, &t_listed), "register");
	ck_assert(!ramka_list_init(r, &list), "list");
	item = ramka_unique_alloc(cpu(0), &t_listed, NULL, UNINIT);
	ck_own_take((unsigned)(ramka_unique_paddr(r, item) / RAMKA_PAGE_SIZE));
}
static void list_owner(void)
{
	ramka_list_push_back(&list, item);
	ck_assert(ramka_list_contains(&list, ramka_unique_paddr(r, item)), "not in the list it was put into");
	ck_assert(ramka_list_pop_front(&list) == item, "another one");
	ck_own_give((unsigned)(ramka_unique_paddr(r, item) / RAMKA_PAGE_SIZE));
	ramka_unique_free(cpu(0), item);
}
static void list_looker(void)
{
	ramka_list_contains(&list, PA(0));
	ramka_list_contains(&list, PA(1));
}
CK_CLIENT(range_list, .what = "list push and pop while another asks what it contains", .setup = list_setup,
	  .thread = { list_owner, list_looker }, .check = books, .stale = 3);
