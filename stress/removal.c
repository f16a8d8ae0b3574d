/* SPDX-License-Identifier: MIT */
/*
 * Removal: the main thread isolates blocks, removes them once they are quiet, keeps them for a while and adds them
 * again, while workers allocate, free, look up by address and claim by address. While a block is away the main thread
 * owns it, so the oracle notices a frame that somebody else has too; and after a grace period nobody may touch its
 * metadata, so that is made inaccessible.
 */
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "harness.h"

#define BLOCK_FRAMES 512u
#define MAX_RUNS 64u
#define REMOVER (4 * MAX_WORKERS)  /* its name in the owner map */
#define TRIES 40u                  /* looks at an isolated range before it is given up */

/* What went: holes of a range. */
static struct run_list { struct range run[MAX_RUNS]; unsigned nr; } gone;
static struct rng rng;
static uint64_t removals, refusals;
static _Atomic uint64_t away_first, away_end; /* frame numbers that are a hole now, while... */
static _Atomic uint64_t away;                 /* ...this number is odd; it never goes back */

static void pause_ms(unsigned ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000L };

	nanosleep(&t, NULL);
}

/* ---- workers ---- */

static void look_up(struct worker *w)
{
	ramka_paddr_t pa = paddr_at(rng_below(&w->rng, (uint32_t)world.nr));
	uint64_t turn = atomic_load(&away), first = atomic_load(&away_first), end = atomic_load(&away_end);
	uint64_t frame = pa >> RAMKA_PAGE_SHIFT;
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(world.r, pa, &f);

	if (!rc)
		ramka_frame_put(w->cpu, f);
	if (turn % 2 && first <= frame && frame < end && atomic_load(&away) == turn)
		CHECK(rc == RAMKA_E_OUT_OF_BOUND, "a lookup at %#llx, which is removed: %s", (unsigned long long)pa,
		      ramka_strerror(rc));
}

static void claim(struct worker *w)
{
	struct held h = { .type = &raw_type, .order = (uint8_t)rng_below(&w->rng, 4), .seq = ++w->seq };
	uint64_t frame = (world.first + rng_below(&w->rng, (uint32_t)world.nr)) >> h.order << h.order;

	calling(w, 1u << h.order);
	if (!ramka_frame_claim(w->cpu, frame << RAMKA_PAGE_SHIFT, h.order, h.type, NULL, &h.frame, NULL)) {
		taken(w, &h, false);
		pile_add(&w->pile, &h);
	}
	calling(w, 0);
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct held h;

	if (rng_one_in(&w->rng, 8)) {
		look_up(w);
	} else if (p->n && (p->n > 1000 || p->frames > share_of_memory(40) || rng_one_in(&w->rng, 2))) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, rng_one_in(&w->rng, 8) ? ramka_cpu_none(world.r) : w->cpu, &h);
	} else if (w->id % 2 && rng_one_in(&w->rng, 8)) {
		claim(w);
	} else if (take(w, w->cpu, &raw_type, rng_one_in(&w->rng, 8) ? rng_below(&w->rng, 10) : 0, rng_one_in(&w->rng, 2),
			(struct ramka_request){ 0 }, &h)) {
		pile_add(p, &h);
	}
}

/* ---- the remover ---- */

static bool note_hole(void *ctx, const struct ramka_run *run)
{
	(void)ctx;
	if (run->state != RAMKA_STATE_HOLE)
		return true;
	CHECK(gone.nr < MAX_RUNS, "a range of blocks has too many holes");
	gone.run[gone.nr++] = (struct range){ run->base >> RAMKA_PAGE_SHIFT, run->frames };
	return true;
}

/* A grace period: each worker has been between two steps. False: not yet. */
static bool all_calls_over(void)
{
	uint64_t cookie = world.rcu.snapshot(world.rcu.ctx);

	for (unsigned i = 0; i < 500 && !world.rcu.elapsed(world.rcu.ctx, cookie); i++)
		pause_ms(1);
	return world.rcu.elapsed(world.rcu.ctx, cookie);
}

static void protect(int prot)
{
	const uintptr_t page = RAMKA_PAGE_SIZE - 1;

	for (unsigned i = 0; i < gone.nr; i++) {
		struct ramka_metadata_part part[RAMKA_METADATA_PARTS];
		unsigned nr = ramka_metadata_of(world.r, gone.run[i].first << RAMKA_PAGE_SHIFT,
						gone.run[i].nr << RAMKA_PAGE_SHIFT, part);

		for (unsigned j = 0; j < nr; j++) {
			uintptr_t from = ((uintptr_t)part[j].base + page) & ~page,
				  to = ((uintptr_t)part[j].base + part[j].size) & ~page;

			if (from < to)
				CHECK(!mprotect((void *)from, to - from, prot), "mprotect");
		}
	}
}

static void be_away(uint64_t first, uint64_t end)
{
	bool whole;

	for (unsigned i = 0; i < gone.nr; i++)
		own(gone.run[i].first << RAMKA_PAGE_SHIFT, gone.run[i].nr, REMOVER);
	whole = gone.nr == 1 && gone.run[0].first == first && gone.run[0].nr == end - first;
	atomic_store(&away_first, first);
	atomic_store(&away_end, end);
	atomic_fetch_add(&away, whole);
	if (all_calls_over() && !world.opt.map) { /* a map is drawn by a thread that is no reader */
		protect(PROT_NONE);
		pause_ms(1 + rng_below(&rng, 4));
		protect(PROT_READ | PROT_WRITE);
	}
	atomic_fetch_add(&away, whole);
}

static void come_back(void)
{
	for (unsigned i = 0; i < gone.nr; i++) {
		struct ramka_region g = { .base = gone.run[i].first << RAMKA_PAGE_SHIFT,
					  .size = gone.run[i].nr << RAMKA_PAGE_SHIFT,
					  .kind = RAMKA_USABLE };
		int rc;

		disown(g.base, gone.run[i].nr, REMOVER);
		while ((rc = ramka_add_memory(world.r, &g)) == RAMKA_E_BUSY) /* a claim shuts blocks */
			pause_ms(1);
		CHECK(!rc, "adding %#llx again: %s", (unsigned long long)g.base, ramka_strerror(rc));
	}
}

/* One to four blocks, by a call each that may be told BUSY by a claim. */
static void tick(void)
{
	uint64_t first = (world.first / BLOCK_FRAMES + rng_below(&rng, (uint32_t)(world.nr / BLOCK_FRAMES)) + 1) * BLOCK_FRAMES,
		 end = first + BLOCK_FRAMES * (1 + rng_below(&rng, 4)), last = world.first + world.nr;
	ramka_paddr_t base = first << RAMKA_PAGE_SHIFT;
	uint64_t size;
	int rc;

	pause_ms(1);
	end = end > last ? last : end;
	if (first >= end || (first < world.hole.first + world.hole.nr && world.hole.first < end))
		return;
	size = (end - first) << RAMKA_PAGE_SHIFT;
	rc = ramka_isolate(ramka_cpu_none(world.r), base, size);
	CHECK(!rc || rc == RAMKA_E_BUSY || rc == RAMKA_E_OUT_OF_BOUND, "isolating: %s", ramka_strerror(rc));
	if (rc)
		return;
	for (unsigned i = 0; i < TRIES; i++) {
		rc = ramka_remove_memory(ramka_cpu_none(world.r), base, size);
		CHECK(!rc || rc == RAMKA_E_BUSY || rc == RAMKA_E_IN_USE, "removing: %s", ramka_strerror(rc));
		if (!rc)
			break;
		pause_ms(2);
	}
	if (rc) {
		refusals++;
		while ((rc = ramka_unisolate(ramka_cpu_none(world.r), base, size)) == RAMKA_E_BUSY)
			pause_ms(1);
		CHECK(!rc, "ending isolation: %s", ramka_strerror(rc));
		return;
	}
	removals++;
	gone.nr = 0;
	ramka_walk_range(world.r, base, size, note_hole, NULL);
	be_away(first, end);
	come_back();
}

static void setup(void)
{
	rng = rng_make(world.opt.seed, 4711);
	removals = refusals = 0;
	gone.nr = 0;
}

static bool enough(void)
{
	return removals >= 3;
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
}

const struct scenario removal = {
	.name = "removal",
	.about = "memory is isolated, removed and added again under load; its metadata goes too",
	.flags = WORLD_SMALL | WORLD_READERS | WORLD_ONE_NODE,
	.setup = setup,
	.step = step,
	.tick = tick,
	.enough = enough,
	.release = release,
};
