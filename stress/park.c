/* SPDX-License-Identifier: MIT */
/*
 * Park: for each point that the mix reaches, one worker stops there for good, in the middle of whatever it does, and
 * the others go on: each must finish its steps. Then, with the one still standing, everything that can be had is
 * taken; what is left over is what the parked call holds: two caches' worth, a magazine in transit, its promise
 * of up to a block, and the frames of the request itself. At last it is let go, and nothing may be missing.
 *
 * The parked worker reads nothing under grace periods: a reader that stops would rightly stop them.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "points_control.h"

#define PARK_FRAMES 24576u
#define BOUND (2 * 64 + 64 + 512)

struct left_over {
	uint64_t lost, deferred;
};

static void nap(void)
{
	struct timespec t = { .tv_nsec = 200000 };

	nanosleep(&t, NULL);
}

static bool add_run(void *ctx, const struct ramka_run *run)
{
	struct left_over *n = ctx;

	if (run->state == RAMKA_STATE_FREE || run->state == RAMKA_STATE_CACHED ||
	    run->state == RAMKA_STATE_BUSY)
		n->lost += run->frames;
	if (run->state == RAMKA_STATE_DEFERRED)
		n->deferred += run->frames;
	return true;
}

/* Frames that the request of the parked worker may have in its hands. */
static uint64_t in_call(void)
{
	uint64_t n = 0;
	struct worker *w;

	for (unsigned i = 0; (w = mix_part(0, i)); i++)
		n += atomic_load(&w->call);
	return n;
}

/* Takes all that can be had while one is parked; the rest must be within bounds. */
static uint64_t count_lost(void)
{
	struct ramka_cpu *cpu = ramka_cpu_at(world.r, world.nr_cpus - 1);
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
	struct left_over left = { 0 };
	struct ramka_frame **all = malloc(world.free_at_start * sizeof(*all)), *f;
	uint64_t n = 0;

	CHECK(all, "no memory");
	for (unsigned i = 0; i < 3; i++) {
		ramka_reclaim(cpu, true);
		ramka_drain(world.r);
	}
	while ((f = ramka_frame_alloc(cpu, &raw_type, NULL, req))) {
		CHECK(n < world.free_at_start, "more frames than there are");
		own(ramka_frame_paddr(world.r, f), 1, MAX_WORKERS);
		all[n++] = f;
	}
	ramka_walk(world.r, add_run, &left);
	CHECK(left.lost <= BOUND + in_call(), "a parked call hides %llu frames, more than %llu",
	      (unsigned long long)left.lost, (unsigned long long)(BOUND + in_call()));
	while (n--) {
		disown(ramka_frame_paddr(world.r, all[n]), 1, MAX_WORKERS);
		ramka_frame_put(cpu, all[n]);
	}
	free(all);
	return left.lost;
}

static void world_begin(const struct options *opt)
{
	char note[sizeof(world.note)];

	memcpy(note, world.note, sizeof(note));
	world_make(&mix, opt);
	memcpy(world.note, note, sizeof(note));
	world.worker[0].silent = true;
	mix.setup();
}

static void world_finish(void)
{
	workers_release();
	workers_join();
	mix.teardown();
	audit_end();
	world_end();
}

/* False: the worker did not come there this time. */
static bool park_at(struct point *p, unsigned visit, const struct options *opt, uint64_t *ret_lost)
{
	bool parked;

	world_begin(opt);
	world.park_at = p;
	world.park_visit = visit;
	workers_start();
	round_begin(opt->ops, POINTS_PARK);
	while (round_done() < world.nr_workers - 1 ||
	       !(points_parked() || round_done() == world.nr_workers))
		defer.tick();
	parked = points_parked();
	if (parked)
		*ret_lost = count_lost();
	points_unpark();
	while (round_done() < world.nr_workers)
		nap();
	round_end();
	world.park_at = NULL;
	audit_round();
	world_finish();
	return parked;
}

/* Lets the mix run freely and counts who comes where. */
static void count_visits(const struct options *opt)
{
	world_begin(opt);
	workers_start();
	round_begin(opt->ops, POINTS_COUNT);
	while (round_done() < world.nr_workers)
		nap();
	round_end();
	world_finish();
}

void run_park(const struct options *options, unsigned one_in)
{
	struct options opt = *options;
	struct rng rng = rng_make(opt.seed, 77);
	unsigned reached = 0, tried = 0, parked = 0, first = rng_below(&rng, one_in);
	uint64_t lost = 0, most = 0, start = now_ms();

	opt.delays = false;
	opt.frames = opt.frames ? opt.frames : PARK_FRAMES;
	CHECK(points_nr(), "this build has no points");
	count_visits(&opt);
	for (unsigned i = 0; i < points_nr(); i++) {
		struct point *p = points_at(i);
		unsigned visits = p->hits / opt.workers;
		char name[100];
		bool yes = false;

		lost = 0;
		reached += visits != 0;
		point_name(p, name, sizeof(name));
		snprintf(world.note, sizeof(world.note), " parked at %s", name);
		if (!visits || (reached + first) % one_in || (opt.points && !strstr(name, opt.points)))
			continue;
		tried++;
		for (unsigned j = 0; j < 3 && !yes; j++)
			yes = park_at(p,
				      1 + rng_below(&rng, j	       ? 1 :
							  visits < 200 ? visits / 2 + 1 :
									 100),
				      &opt, &lost);
		parked += yes;
		most = yes && lost > most ? lost : most;
		if (opt.quiet)
			continue;
		printf("  %-90s %s %llu\n", world.note, yes ? "hides" : "was not reached", (unsigned long long)lost);
		fflush(stdout);
	}
	CHECK(parked, "nobody was parked");
	printf("park      ok: parked at %u of %u points that the mix reaches (%u tried, %u compiled), %llu "
	       "steps each, at most %llu "
	       "frames hidden, %.1f s, seed %llu\n",
	       parked, reached, tried, points_nr(), (unsigned long long)opt.ops, (unsigned long long)most,
	       (double)(now_ms() - start) / 1000, (unsigned long long)opt.seed);
}
