/* SPDX-License-Identifier: MIT */
/*
 * A thread that stops for ever inside a call: what it holds is what docs/contexts.md lists, and all the rest can be had. After
 * each execution everything is taken through the cache-less handle; what is missing lies with a CPU that the stopped thread
 * is inside of, or has revoked, or is what the thread has in its hands.
 */
#include "instance.h"
#include "cpu/row.h"
#include "cpu/section.h"
#include "frame/defer.h"

#define FRAMES 6u
#define CPUS 3u

static unsigned in_hands; /* frames that the stopped call may have taken and not given back */
static unsigned hidden_max; /* frames that it may hide in all */

static bool stopped_in(unsigned c)
{
	return cpu(c)->active.value || cpu(c)->revoked.value;
}

/* Frames in a place that only its CPU, or who stops it, can reach. */
static unsigned private_to(unsigned c)
{
	return cpu_count(cpu(c)) + cpu_in_rows(cpu(c));
}

/* Frames of blocks that a claim has shut. */
static unsigned shut(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FRAMES; i++)
		n += ramka_frame_state_at(r, PA(i)) == RAMKA_STATE_ISOLATED;
	return n;
}

static unsigned takeable(void)
{
	unsigned n = 0;

	while (ramka_frame_alloc(none(), &t_bare, NULL, UNINIT))
		n++;
	return n;
}

static unsigned owned;
static void count_one(unsigned f) { (void)f; owned++; }

static void listed_only(void)
{
	unsigned held = 0, got = takeable();

	for (unsigned c = 0; c < CPUS; c++)
		held += stopped_in(c) ? private_to(c) : 0;
	held += shut();
	owned = 0;
	ck_owned_each(count_one);
	if (!ck_parked())
		held = 0;
	ck_assert(got + owned + held + (ck_parked() ? in_hands : 0) >= FRAMES,
		  "%u frames can be had, %u are owned, %u lie with stopped CPUs, of %u", got, owned, held, FRAMES);
	ck_assert(!ck_parked() || got + owned + hidden_max >= FRAMES, "%u frames can be had, %u are owned, of %u", got, owned,
		  FRAMES);
}

static ramka_paddr_t cached; /* a frame in the cache of CPU 1 */

/* Two frames in the cache of CPU 1, two in that of CPU 2, the others in the zone. */
static void caches(unsigned hands)
{
	struct ramka_frame *f[2][2];

	make((struct options){ .frames = FRAMES, .cpus = CPUS, .rcu = true });
	in_hands = hands;
	hidden_max = FRAMES;
	for (unsigned c = 0; c < 2; c++)
		for (unsigned i = 0; i < 2; i++)
			f[c][i] = take(none(), &t_bare, 0);
	for (unsigned c = 0; c < 2; c++) {
		set_current(&cpu(c + 1)->current, 0); /* its gate is open for the first block */
		for (unsigned i = 0; i < 2; i++)
			give(cpu(c + 1), f[c][i]);
		cached = ramka_frame_paddr(r, f[0][0]);
		ck_assert(private_to(c + 1) == 2, "CPU %u holds %u frames", c + 1, private_to(c + 1));
	}
}
static void none_in_hands(void) { caches(0); }
static void one_in_hands(void) { caches(1); }
static void two_in_hands(void) { caches(2); }

static void drain_all(void) { ramka_drain(r); }
/* Shuts the block, since the frame is in another CPU's cache. */
static void claim(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_unused(cpu(0), cached, &t_bare, NULL, &f))
		ck_own_take(number(f));
}
static void order_9(void) { ck_assert(!ramka_frame_alloc(cpu(0), &t_bare, NULL, ORDER(9)), "512 of six frames"); }
static void order_1(void)
{
	struct ramka_frame *f = ramka_frame_alloc(none(), &t_bare, NULL, ORDER(1));

	if (f)
		for (unsigned i = 0; i < 2; i++)
			ck_own_take(number(f) + i);
}
static void take_and_give(void)
{
	struct ramka_frame *f = take(cpu(1), &t_bare, 0);

	if (f)
		give(cpu(1), f);
}

CK_CLIENT(parked_drainer, .what = "a drainer stops: it holds what it has revoked", .setup = none_in_hands,
	  .thread = { drain_all }, .park = 1, .check = listed_only, .stale = 1);
CK_CLIENT(parked_claim, .what = "a claim by address stops: it holds the block that it has shut", .setup = one_in_hands,
	  .thread = { claim }, .park = 1, .check = listed_only);
CK_CLIENT(parked_request, .what = "a request that drains stops", .setup = one_in_hands, .thread = { order_9 }, .park = 1,
	  .check = listed_only, .stale = 1, .steps = 20000);
CK_CLIENT(parked_in_section, .what = "a CPU stops inside its section: others' caches can be had", .setup = one_in_hands,
	  .thread = { take_and_give }, .park = 1, .check = listed_only, .stale = 1);
CK_CLIENT(parked_promise, .what = "a taker of two frames stops: it holds these", .setup = two_in_hands, .thread = { order_1 },
	  .park = 1, .check = listed_only, .stale = 1);

/* Lean CPUs, though a refill could take all: one hides a frame in its cache, and one on its way. */
static void lean(void)
{
	make((struct options){ .frames = FRAMES, .cpus = CPUS });
	hidden_max = 2;
	ramka_store(&r->lean_part, FRAMES, relaxed, stat);
	ramka_store(&r->batch, FRAMES, relaxed, stat);
	in_hands = 1;
}
static void take_three_and_give(void)
{
	struct ramka_frame *f[3];

	for (unsigned i = 0; i < 3; i++)
		f[i] = take(cpu(1), &t_bare, 0);
	for (unsigned i = 0; i < 3; i++)
		if (f[i])
			give(cpu(1), f[i]);
	if (!ck_parked())
		ck_assert(private_to(1) <= 1, "a lean CPU keeps %u frames", private_to(1));
}
CK_CLIENT(parked_lean, .what = "a lean CPU stops inside its section: it hides two frames at most", .setup = lean,
	  .thread = { take_three_and_give }, .park = 1, .check = listed_only, .stale = 1);
static void goes_off_line(void)
{
	ramka_cpu_offline(cpu(1));
	ck_assert(!private_to(1) || stopped_in(1), "a CPU went off line and keeps %u frames", private_to(1));
	listed_only();
}
CK_CLIENT(parked_off_line, .what = "a CPU goes off line after a drainer stopped: it keeps its cache only if that is revoked",
	  .setup = none_in_hands, .thread = { drain_all }, .park = 1, .check = goes_off_line, .stale = 1);

/* A handler on top of a request that drains: it gets a frame unless the request below has revoked the CPUs that have some. */
static void handler_asks(void)
{
	bool revoked = false;
	struct ramka_frame *f = ramka_frame_alloc(cpu(0), &t_bare, NULL, UNINIT);

	for (unsigned c = 0; c < CPUS; c++)
		revoked |= cpu(c)->revoked.value;
	ck_assert(f || revoked, "no memory in a handler, and no CPU is revoked");
	if (f)
		ck_own_take(number(f));
}
CK_CLIENT(handler_on_drain, .what = "a handler on top of a request that drains", .setup = none_in_hands, .thread = { order_9 },
	  .irq = { handler_asks }, .check = listed_only, .stale = CK_FRESH, .steps = 20000);

/* Deferred frames: one bag on CPU 1 and one of the pile are sealed; a third frame is in the hands of the thread that stops. */
static struct ramka_frame *third;
static void bags_setup(void)
{
	struct ramka_frame *f[3];

	make((struct options){ .frames = FRAMES, .cpus = CPUS, .rcu = true });
	for (unsigned i = 0; i < 3; i++)
		f[i] = take(none(), &t_bare, 0);
	third = f[2];
	hidden_max = FRAMES;
	for (unsigned i = 0; i < 2; i++) {
		ck_own_give(number(f[i]));
		ramka_frame_put_rcu(i ? none() : cpu(1), f[i]);
	}
	ramka_reclaim(cpu(0), false);
	in_hands = 1;
}
static void defer_third(void)
{
	ck_own_give(number(third));
	ramka_frame_put_rcu(cpu(0), third);
	ramka_reclaim(cpu(0), false);
}
static void reclaimed(void)
{
	ramka_reclaim(none(), false);
	listed_only();
}
CK_CLIENT(parked_bags, .what = "a CPU that defers and reaps stops: it holds one bag, others' can be freed", .setup = bags_setup,
	  .thread = { defer_third }, .park = 1, .check = reclaimed, .stale = 1);

/*
 * A call that changes the memory, or reports it, stops: it holds its range, which is one block here, and the other block can
 * be had. Later calls that change the memory are told so.
 */
#define BLOCK 512u
#define SIZE ((uint64_t)BLOCK * RAMKA_PAGE_SIZE)

static void two_whole(void) { make((struct options){ .frames = 2 * BLOCK, .cpus = 2 }); }
static void isolates(void) { ck_assert(!ramka_isolate(cpu(0), PA(0), SIZE), "isolate"); }
static void unisolates(void) { ck_assert(!ramka_unisolate(cpu(0), PA(0), SIZE), "unisolate"); }
static void removes(void) { ck_assert(!ramka_remove_memory(cpu(0), PA(0), SIZE), "remove"); }
static void adds(void)
{
	ck_assert(!ramka_add_memory(r, &(struct ramka_region){ .base = PA(0), .size = SIZE, .kind = RAMKA_USABLE }), "add");
}
static void one_isolated(void) { two_whole(); isolates(); }
static void one_removed(void) { one_isolated(); removes(); }
static bool told(void *ctx, ramka_paddr_t base, uint64_t size)
{
	(void)ctx, (void)base;
	ck_assert(size == SIZE, "%u pages in one report", (unsigned)(size / RAMKA_PAGE_SIZE));
	return true;
}
static void reports(void)
{
	uint64_t n;

	ck_assert(!ramka_report_free(cpu(0), 1, told, NULL, &n) && n == 1, "report");
}

static unsigned blocks_to_be_had(void)
{
	unsigned n = 0;

	while (ramka_frame_alloc(none(), &t_bare, NULL, ORDER(9)))
		n++;
	return n;
}
/* The call at its end leaves so many blocks. */
static void other_block(unsigned left)
{
	unsigned n;

	if (ck_parked()) {
		int rc = ramka_isolate(cpu(1), PA(BLOCK), SIZE);

		ck_assert(rc == RAMKA_E_BUSY || (!rc && !ramka_unisolate(cpu(1), PA(BLOCK), SIZE)), "isolate: %d", rc);
	}
	n = blocks_to_be_had();
	ck_assert(ck_parked() ? n == 1 || n == 2 : n == left, "%u blocks can be had", n);
}
static void one_left(void) { other_block(1); }
static void two_left(void) { other_block(2); }

CK_CLIENT(parked_isolate, .what = "a call that isolates a block stops: the other can be had", .setup = two_whole,
	  .thread = { isolates }, .park = 1, .check = one_left, .steps = 20000);
CK_CLIENT(parked_unisolate, .what = "the same of the end of isolation", .setup = one_isolated,
	  .thread = { unisolates }, .park = 1, .check = two_left, .steps = 20000);
CK_CLIENT(parked_remove, .what = "the same of a removal", .setup = one_isolated,
	  .thread = { removes }, .park = 1, .check = one_left, .steps = 20000);
CK_CLIENT(parked_add, .what = "the same where the block comes back", .setup = one_removed,
	  .thread = { adds }, .park = 1, .check = two_left, .steps = 20000);
CK_CLIENT(parked_report, .what = "a reporter of one block stops: the other can be had", .setup = two_whole,
	  .thread = { reports }, .park = 1, .check = two_left, .steps = 20000);
