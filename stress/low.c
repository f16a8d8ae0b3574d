/* SPDX-License-Identifier: MIT */
/*
 * Low memory: workers use up all memory and keep a part of it as caches, which the shrinker frees; one worker frees memory by
 * help of the reserve, and never fails. A shrinker runs on no handle on top of itself, low and enough are told in turn.
 */
#include <stdatomic.h>

#include "harness.h"

#define RESERVE 256u /* more than all workers may take too much, as each of them looks before the others have told */
#define LOW 512u
#define HIGH 768u
#define CACHES 256u

/* What somebody can do without: EMPTY -> BUSY -> FULL -> BUSY -> EMPTY, each by who has it just then. */
enum { EMPTY, FULL, BUSY };
static struct cached { _Atomic unsigned state; struct held h; } caches[CACHES];
static _Atomic unsigned level, none_inside;
static _Atomic uint64_t lows, enoughs, shrinks, freed_frames;
static _Thread_local bool inside, without_cpu;

static void is_low(void *ctx, uint64_t n)
{
	(void)ctx;
	CHECK(n < LOW, "%llu frames are free, and that is low", (unsigned long long)n);
	CHECK(!atomic_exchange(&level, 1), "memory is low, and was before");
	atomic_fetch_add(&lows, 1);
}

static void is_enough(void *ctx, uint64_t n)
{
	(void)ctx;
	CHECK(n > HIGH, "%llu frames are free, and that is enough", (unsigned long long)n);
	CHECK(atomic_exchange(&level, 0), "memory is enough, and was before");
	atomic_fetch_add(&enoughs, 1);
}

static bool keep(struct worker *w, const struct held *h)
{
	struct cached *c = &caches[rng_below(&w->rng, CACHES)];
	unsigned empty = EMPTY;

	if (!atomic_compare_exchange_strong(&c->state, &empty, BUSY))
		return false;
	c->h = *h;
	atomic_store(&c->state, FULL);
	return true;
}

static uint64_t shrink(void *ctx, uint64_t wanted)
{
	struct worker *w = this_worker;
	uint64_t freed = 0;
	struct held h;

	(void)ctx;
	if (!w)
		return 0; /* the audit */
	CHECK(!inside, "a shrinker on top of itself");
	CHECK(!without_cpu || !atomic_exchange(&none_inside, 1), "two without a CPU are inside the shrinker");
	inside = true;
	for (unsigned at = rng_below(&w->rng, CACHES), i = 0; i < CACHES && freed < wanted + 8; i++) {
		struct cached *c = &caches[(at + i) % CACHES];
		unsigned full = FULL;

		if (!atomic_compare_exchange_strong(&c->state, &full, BUSY))
			continue;
		h = c->h;
		atomic_store(&c->state, EMPTY);
		freed += UINT64_C(1) << h.order;
		give(w, w->cpu, &h);
	}
	if (rng_one_in(&w->rng, 4)) { /* its own requests fail, or not, and ask for nothing */
		struct ramka_frame *f = ramka_frame_alloc(without_cpu ? ramka_cpu_none(world.r) : w->cpu, &raw_type, NULL,
							  (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });

		if (f)
			ramka_frame_put(w->cpu, f);
	}
	inside = false;
	if (without_cpu)
		atomic_store(&none_inside, 0);
	atomic_fetch_add(&shrinks, 1);
	atomic_fetch_add(&freed_frames, freed);
	return freed;
}

/* The worker that frees memory needs some for that. */
static void reclaim(struct worker *w)
{
	struct held h[8];
	unsigned n;

	for (n = 0; n < 8; n++)
		CHECK(take(w, w->cpu, &raw_type, 0, false, (struct ramka_request){ .flags = RAMKA_ALLOC_RESERVE }, &h[n]),
		      "the reserve has no frame for who must not fail");
	while (n--)
		give(w, w->cpu, &h[n]);
}

/* Takes more and more until nothing is left, gives nearly all of it back, and so on. */
static void step(struct worker *w)
{
	static _Thread_local bool emptying;
	struct pile *p = &w->pile;
	struct held h;

	if (!w->id && rng_one_in(&w->rng, 64)) {
		reclaim(w);
	} else if (p->n && (emptying || rng_one_in(&w->rng, 4))) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
		emptying &= p->n > 50;
	} else {
		without_cpu = rng_one_in(&w->rng, 8);
		if (!take(w, without_cpu ? ramka_cpu_none(world.r) : w->cpu, &raw_type, 0, rng_one_in(&w->rng, 2),
			  (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, &h))
			emptying = p->n;
		else if (!rng_one_in(&w->rng, 4) || !keep(w, &h))
			pile_add(p, &h);
		emptying |= p->n > MAX_HELD / 2 + 1000;
		without_cpu = false;
	}
}

/* All stand: the next call that looks says what is so, if nobody has said it. */
static void audit(void)
{
	struct ramka_stats s;
	struct ramka_frame *f;

	ramka_drain(world.r);
	f = ramka_frame_alloc(ramka_cpu_none(world.r), &raw_type, NULL,
			      (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_RESERVE });
	ramka_stats_read(world.r, &s);
	CHECK(f && s.free + 8 >= RESERVE, "%llu frames are left of a reserve of %u", (unsigned long long)s.free, RESERVE);
	ramka_frame_put(ramka_cpu_none(world.r), f);
	ramka_stats_read(world.r, &s);
	CHECK(s.free <= HIGH || !atomic_load(&level), "%llu frames are free, and it counts as low", (unsigned long long)s.free);
	CHECK(s.free >= LOW || atomic_load(&level), "%llu frames are free, and it does not count as low", (unsigned long long)s.free);
}

static void configure(struct ramka_config *cfg)
{
	cfg->min_watermark = RESERVE;
	cfg->low_watermark = LOW;
	cfg->high_watermark = HIGH;
	cfg->low_memory = is_low;
	cfg->enough_memory = is_enough;
	cfg->shrink = shrink;
}

static void setup(void)
{
	for (unsigned i = 0; i < CACHES; i++)
		atomic_store(&caches[i].state, EMPTY);
	atomic_store(&level, 0);
	lows = enoughs = shrinks = freed_frames = 0;
}

static bool enough(void)
{
	return atomic_load(&lows) >= 2 && atomic_load(&enoughs) && atomic_load(&freed_frames);
}

static void release(struct worker *w)
{
	for (unsigned i = w->id; i < CACHES; i += world.nr_workers) {
		struct held h = caches[i].h;

		if (atomic_load(&caches[i].state) != FULL)
			continue;
		atomic_store(&caches[i].state, EMPTY);
		give(w, w->cpu, &h);
	}
	pile_release(w, &w->pile);
}

const struct scenario low = {
	.name = "low",
	.about = "memory is used up: a reserve, watermarks, a shrinker",
	.flags = WORLD_ONE_NODE,
	.frames_per_worker = 2000,
	.configure = configure,
	.setup = setup,
	.step = step,
	.audit = audit,
	.enough = enough,
	.release = release,
};
