/* SPDX-License-Identifier: MIT */
/*
 * Mix: one worker does a step of churn, then one of refs, one of tables, and so on, at random; so everything meets
 * everything on the same CPUs and in the same memory. Each part has piles and a seed of its own.
 */
#include <string.h>

#include "harness.h"

static const struct scenario *const parts[] = { &churn,	 &pipe_, &refs,	    &segments, &lists,
						&tables, &defer, &claimers, &bulk,     &drain };
#define PARTS (sizeof(parts) / sizeof(*parts))

static struct worker *as_part; /* of each worker, PARTS of them */

struct worker *mix_part(unsigned worker, unsigned part)
{
	return part < PARTS ? &as_part[worker * PARTS + part] : NULL;
}

static void setup(void)
{
	as_part = aligned_alloc(128, world.nr_workers * PARTS * sizeof(*as_part));
	CHECK(as_part, "no memory");
	memset(as_part, 0, world.nr_workers * PARTS * sizeof(*as_part));
	for (unsigned i = 0; i < world.nr_workers * PARTS; i++) {
		const struct worker *w = &world.worker[i / PARTS];

		as_part[i].id = w->id;
		as_part[i].cpu = w->cpu;
		as_part[i].rng = rng_make(world.opt.seed, 10000 + i);
		as_part[i].silent = w->silent;
	}
	for (unsigned i = 0; i < PARTS; i++)
		if (parts[i]->setup)
			parts[i]->setup();
}

static void step(struct worker *w)
{
	unsigned part = rng_below(&w->rng, PARTS);

	parts[part]->step(mix_part(w->id, part));
	if (rng_one_in(&w->rng, 512))
		ramka_cpu_offline(w->cpu);
}

static void release(struct worker *w)
{
	for (unsigned i = 0; i < PARTS; i++)
		parts[i]->release(mix_part(w->id, i));
}

static void teardown(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (parts[i]->teardown)
			parts[i]->teardown();
	free(as_part);
}

static void tick(void)
{
	defer.tick();
}

static void audit(void)
{
	check_references(false);
}

const struct scenario mix = {
	.name = "mix",
	.about = "a bit of everything, on the same CPUs",
	.flags = WORLD_READERS | WORLD_UNOWNED | WORLD_DECLINES,
	.setup = setup,
	.step = step,
	.tick = tick,
	.audit = audit,
	.release = release,
	.teardown = teardown,
};
