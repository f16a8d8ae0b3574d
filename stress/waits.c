/* SPDX-License-Identifier: MIT */
/*
 * How old deferred frames grow, in grace periods. A worker defers a few frames, gives up a request that waits, goes off
 * line or not, reclaims what is ripe and announces itself quiescent. So each grace period meets a reclaim of each worker
 * before it ends: what was deferred is sealed before the end of the period after its own, over with the next one, and
 * taken in the one after that. A frame that lives through more than three whole periods had its grace period taken away.
 */
#include <stdio.h>

#include "harness.h"
#include "periods.h"

#define OLDEST 3u
#define ENOUGH 8u

struct aged { uint64_t born; };

static _Atomic uint64_t freed, oldest;

/* Whole periods: the one in which it was deferred does not count. */
static void aged_dropped(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	uint64_t n = periods_over() - ((struct aged *)meta)->born;
	uint64_t most = atomic_load_explicit(&oldest, memory_order_relaxed);

	(void)cpu, (void)content;
	n -= n != 0;
	CHECK(n <= OLDEST, "frame %#llx was deferred for %llu grace periods", (unsigned long long)paddr,
	      (unsigned long long)n);
	while (n > most && !atomic_compare_exchange_weak(&oldest, &most, n))
		;
	disown_any(paddr, 1);
	atomic_fetch_add_explicit(&freed, 1, memory_order_relaxed);
}
static RAMKA_DEFINE_TYPE(aged_type, struct aged, .id = 24, .on_drop = aged_dropped);

static void defer_one(const struct worker *w, struct ramka_cpu *cpu)
{
	struct aged a = { .born = 0 };
	struct ramka_frame *f = ramka_frame_alloc(cpu, &aged_type, &a, (struct ramka_request){ 0 });
	int rc;

	if (!f)
		return;
	own(ramka_frame_paddr(world.r, f), 1, w->id + 1);
	((struct aged *)ramka_frame_meta(world.r, f))->born = periods_over();
	rc = ramka_frame_put_rcu(cpu, f);
	CHECK(rc >= 0, "ramka_frame_put_rcu: %s", ramka_strerror(rc));
}

static void step(struct worker *w)
{
	struct ramka_request never = { .flags = RAMKA_ALLOC_WAIT, .order = RAMKA_MAX_ORDER };

	for (unsigned n = rng_below(&w->rng, rng_one_in(&w->rng, 8) ? 300 : 40); n--;)
		defer_one(w, rng_one_in(&w->rng, 32) ? ramka_cpu_none(world.r) : w->cpu);
	if (rng_one_in(&w->rng, 16))
		CHECK(!ramka_frame_alloc(w->cpu, &ramka_type_untyped, NULL, never), "more memory than there is");
	if (rng_one_in(&w->rng, 4))
		ramka_cpu_offline(w->cpu);
	ramka_reclaim(w->cpu, false);
	worker_quiescent(w);
}

static void setup(void)
{
	CHECK(!ramka_type_register(world.r, &aged_type), "ramka_type_register");
	periods_setup();
	atomic_store(&freed, 0);
	atomic_store(&oldest, 0);
}

static bool enough(void)
{
	return periods_over() >= ENOUGH && atomic_load(&freed);
}

/* After the last round what is still deferred is reclaimed, however old it is. */
static void release(struct worker *w)
{
	worker_reclaim(w, w->cpu);
}

static void teardown(void)
{
	if (!world.opt.quiet)
		printf("  waits     %llu frames deferred and freed, the oldest after %llu of %llu grace periods\n",
		       (unsigned long long)atomic_load(&freed), (unsigned long long)atomic_load(&oldest),
		       (unsigned long long)periods_over());
}

const struct scenario waits = {
	.name = "waits",
	.about = "no deferred frame grows older than three grace periods",
	.flags = WORLD_READERS | WORLD_SMALL,
	.setup = setup,
	.step = step,
	.tick = periods_tick,
	.enough = enough,
	.release = release,
	.teardown = teardown,
};
