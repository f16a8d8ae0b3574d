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
