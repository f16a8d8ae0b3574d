/* SPDX-License-Identifier: MIT */
/*
 * Free page reporting beside allocations, frees and isolation: what is reported is handed out to nobody else meanwhile, and all
 * of it can be had again. What the mark promises: lib_bitmap.c.
 */
#include "instance.h"

#define BLOCK 512u
#define SIZE(n) ((uint64_t)(n) * RAMKA_PAGE_SIZE)

static void two_blocks_free(void)
{
	make((struct options){ .frames = 2 * BLOCK, .cpus = 2 });
}

static void each(ramka_paddr_t base, uint64_t size, void (*fn)(unsigned frame))
{
	for (ramka_paddr_t pa = base; pa < base + size; pa += RAMKA_PAGE_SIZE)
		fn((unsigned)(pa / RAMKA_PAGE_SIZE));
}
/* the embedder: its is what it discards */
static bool tell(void *ctx, ramka_paddr_t base, uint64_t size)
{
	(void)ctx;
	each(base, size, ck_own_take);
	each(base, size, ck_own_give);
	return true;
}
static void reporter_on(struct ramka_cpu *c)
{
	uint64_t n;

	ck_assert(!ramka_report_free(c, 1, tell, NULL, &n), "report");
	ck_assert(n <= 1, "%u blocks, one was wanted", (unsigned)n);
}
static void reporter(void) { reporter_on(cpu(0)); }
static void reporter_none(void) { reporter_on(none()); }
static void user(void) { take_give(cpu(1)); }
static void user_none(void) { take_give(none()); }
static void huge_user(void)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu(1), &t_bare, NULL, ORDER(9));

	if (!f)
		return;
	each(ramka_frame_paddr(r, f), SIZE(BLOCK), ck_own_take);
	each(ramka_frame_paddr(r, f), SIZE(BLOCK), ck_own_give);
	ramka_frame_put(cpu(1), f);
}
static void isolater(void)
{
	ck_assert(!ramka_isolate(cpu(1), PA(0), SIZE(BLOCK)), "isolate");
	ck_assert(!ramka_unisolate(cpu(1), PA(0), SIZE(BLOCK)), "unisolate");
}
/* all is free, reported or not, and reported once more at most */
static void all_back(void)
{
	struct ramka_stats s;
	uint64_t n;

	books();
	ramka_stats_read(r, &s);
	ck_assert(s.free == 2 * BLOCK && s.free_huge == 2, "%u free", (unsigned)s.free);
	ck_assert(!ramka_report_free(cpu(0), 3, tell, NULL, &n) && n == 2 - s.reported / BLOCK, "%u blocks reported, %u before", (unsigned)n,
		  (unsigned)s.reported / BLOCK);
	ck_assert(!ramka_report_free(cpu(0), 3, tell, NULL, &n) && !n, "reported twice");
	books();
}
CK_CLIENT(report_users, .what = "a block is reported beside a CPU and another thread that allocate and free", .setup = two_blocks_free,
	  .thread = { reporter, user, user_none }, .check = all_back, .stale = 1, .bound = 1, .slow = true);
CK_CLIENT(report_huge, .what = "two report beside a CPU that takes whole blocks", .setup = two_blocks_free,
	  .thread = { reporter, huge_user, reporter_none }, .check = all_back, .stale = 1, .bound = 1, .slow = true);
CK_CLIENT(report_isolate, .what = "a block is reported while it is isolated and opened", .setup = two_blocks_free,
	  .thread = { reporter, isolater }, .check = all_back, .stale = 1);

/* ---- a block that is reported breaks or goes ---- */

enum { BROKEN = NOTE_0 + 45, REMOVED };

static void breaker(void)
{
	int rc = ramka_frame_set_bad(cpu(1), PA(3));

	ck_assert(!rc || rc == RAMKA_E_BUSY, "set_bad: %d", rc);
	ck_note_set(BROKEN, !rc);
}
static bool tell_sound(void *ctx, ramka_paddr_t base, uint64_t size)
{
	ck_assert(!ck_note(BROKEN) || PA(3) < base || base + size <= PA(3), "a broken frame is reported as free");
	return tell(ctx, base, size);
}
static void sound_reporter(void)
{
	uint64_t n;

	ck_assert(!ramka_report_free(cpu(0), 1, tell_sound, NULL, &n) && n <= 1, "report");
}
static void one_broken(void)
{
	struct ramka_stats s;

	books();
	ramka_stats_read(r, &s);
	ck_assert(s.bad == ck_note(BROKEN) && s.free == 2 * BLOCK - s.bad, "%u free, %u broken", (unsigned)s.free, (unsigned)s.bad);
}
CK_CLIENT(report_broken, .what = "a frame of a block breaks while the block is reported, beside another reporter", .setup = two_blocks_free,
	  .thread = { sound_reporter, breaker, reporter_none }, .check = one_broken, .stale = CK_FRESH, .bound = 1);

/* whoever has removed it owns it */
static void remover(void)
{
	int rc = ramka_isolate(cpu(1), PA(0), SIZE(BLOCK));

	ck_assert(!rc, "isolate: %d", rc);
	rc = ramka_remove_memory(cpu(1), PA(0), SIZE(BLOCK));
	ck_assert(!rc || rc == RAMKA_E_BUSY || rc == RAMKA_E_IN_USE, "remove: %d", rc);
	if (rc)
		return;
	ck_note_set(REMOVED, 1);
	each(PA(0), SIZE(BLOCK), ck_own_take);
}
static void first_comes_back(void)
{
	struct ramka_region first = { PA(0), SIZE(BLOCK), RAMKA_USABLE, 0 };

	if (!ck_note(REMOVED)) {
		ck_assert(!ramka_unisolate(cpu(1), PA(0), SIZE(BLOCK)), "unisolate");
	} else {
		each(PA(0), SIZE(BLOCK), ck_own_give);
		ck_assert(!ramka_add_memory(r, &first), "add");
	}
	all_back();
}
CK_CLIENT(report_remove, .what = "a block is isolated and removed while it is reported", .setup = two_blocks_free,
	  .thread = { reporter, remover }, .check = first_comes_back, .stale = CK_FRESH, .bound = 1, .steps = 40000);
CK_CLIENT(report_remove_three, .what = "the same beside another user", .setup = two_blocks_free,
	  .thread = { reporter, remover, user_none }, .check = first_comes_back, .stale = CK_FRESH, .bound = 1, .slow = true,
	  .steps = 40000);
