/* SPDX-License-Identifier: MIT */
/*
 * Broken frames and free page reporting: the main thread finds frames broken and isolates blocks for a moment, one worker
 * reports what is free, all others allocate and free frames of all orders. What begins after a frame was accepted as broken
 * does not get it, and what is reported belongs to nobody meanwhile.
 */
#include <stdatomic.h>
#include <time.h>

#include "harness.h"

#define BLOCK_FRAMES 512u
#define MAX_BROKEN 64u
#define REPORTER (4 * MAX_WORKERS) /* its name in the owner map */

static struct rng rng;
static _Atomic uint64_t accepted[MAX_BROKEN]; /* frame numbers */
static _Atomic unsigned nr_accepted;
static _Atomic uint64_t reports;

/* ---- workers ---- */

static bool take_sound(struct worker *w, struct held *h)
{
	unsigned before = atomic_load(&nr_accepted);
	uint64_t first;

	if (!take(w, rng_one_in(&w->rng, 8) ? ramka_cpu_none(world.r) : w->cpu, rng_one_in(&w->rng, 2) ? &raw_type : &tagged_type,
		  random_order(&w->rng, 9), rng_one_in(&w->rng, 2), (struct ramka_request){ 0 }, h))
		return false;
	first = ramka_frame_paddr(world.r, h->frame) >> RAMKA_PAGE_SHIFT;
	for (unsigned i = 0; i < before; i++)
		CHECK(atomic_load(&accepted[i]) - first >= (uint64_t)1 << h->order, "frame %#llx is broken, and handed out",
		      (unsigned long long)atomic_load(&accepted[i]));
	return true;
}

static bool tell(void *ctx, ramka_paddr_t base, uint64_t size)
{
	struct worker *w = ctx;

	own(base, size >> RAMKA_PAGE_SHIFT, REPORTER);
	disown(base, size >> RAMKA_PAGE_SHIFT, REPORTER);
	atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed);
	return !rng_one_in(&w->rng, 4);
}

static void report(struct worker *w)
{
	uint64_t n;

	/* a run is at most 64 MiB */
	calling(w, 32 * BLOCK_FRAMES);
	CHECK(!ramka_report_free(w->cpu, 1 + rng_below(&w->rng, 8), tell, w, &n), "reporting");
	calling(w, 0);
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct held h;

	if (!w->id && rng_one_in(&w->rng, 16)) {
		report(w);
	} else if (p->n && (p->n > 1000 || p->frames > share_of_memory(50) || rng_one_in(&w->rng, 2))) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
	} else if (take_sound(w, &h)) {
		pile_add(p, &h);
	}
}

/* ---- the main thread ---- */

static bool inside(struct range g, uint64_t frame)
{
	return frame >= g.first && frame - g.first < g.nr;
}

/* So many that blocks are left that can become whole and be reported. */
static unsigned most_broken(void)
{
	uint64_t most = world.nr / (2 * BLOCK_FRAMES);

	return most < MAX_BROKEN ? (unsigned)most : MAX_BROKEN;
}

static void breaks(void)
{
	uint64_t frame = world.first + rng_below(&rng, (uint32_t)world.nr);
	unsigned n = atomic_load(&nr_accepted);
	int rc;

	if (n == most_broken() || inside(world.detached, frame) || inside(world.late, frame) || inside(world.hole, frame))
		return;
	for (unsigned i = 0; i < n; i++)
		if (atomic_load(&accepted[i]) == frame)
			return;
	do
		rc = ramka_frame_set_bad(ramka_cpu_none(world.r), frame << RAMKA_PAGE_SHIFT);
	while (rc == RAMKA_E_BUSY);
	CHECK(rc >= 0 || rc == RAMKA_E_UNSUPPORTED, "set_bad at %#llx: %s", (unsigned long long)frame, ramka_strerror(rc));
	if (rc < 0)
		return;
	atomic_store(&accepted[n], frame);
	atomic_store(&nr_accepted, n + 1);
}

static void isolates(void)
{
	ramka_paddr_t base = (world.first / BLOCK_FRAMES + 1 + rng_below(&rng, (uint32_t)(world.nr / BLOCK_FRAMES - 1))) *
			     BLOCK_FRAMES << RAMKA_PAGE_SHIFT;
	uint64_t size = BLOCK_FRAMES << RAMKA_PAGE_SHIFT;

	if (ramka_isolate(ramka_cpu_none(world.r), base, size))
		return; /* no memory, the end of the span, or a call that changes memory */
	breaks();
	while (ramka_unisolate(ramka_cpu_none(world.r), base, size) == RAMKA_E_BUSY)
		;
}

static void tick(void)
{
	struct timespec t = { .tv_nsec = 2000000 };

	nanosleep(&t, NULL);
	if (rng_one_in(&rng, 2))
		breaks();
	else
		isolates();
}

static void setup(void)
{
	rng = rng_make(world.opt.seed, 4712);
	atomic_store(&nr_accepted, 0);
	atomic_store(&reports, 0);
}

static bool enough(void)
{
	return 2 * atomic_load(&nr_accepted) >= most_broken() && atomic_load(&reports) >= 2;
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
}

/* Each frame that broke is gone, and its block is never whole again. */
static void teardown(void)
{
	struct ramka_stats s;

	ramka_stats_read(world.r, &s);
	CHECK(s.bad == atomic_load(&nr_accepted), "%llu frames are broken, %u were accepted", (unsigned long long)s.bad,
	      atomic_load(&nr_accepted));
	world.free_at_start -= s.bad;
	world.huge_at_start -= s.bad < world.huge_at_start ? s.bad : world.huge_at_start;
}

const struct scenario broken = {
	.name = "broken",
	.about = "frames break and free memory is reported while it is used and isolated",
	.flags = WORLD_SMALL | WORLD_ONE_NODE,
	.setup = setup,
	.step = step,
	.tick = tick,
	.enough = enough,
	.release = release,
	.teardown = teardown,
};
