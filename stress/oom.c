/* SPDX-License-Identifier: MIT */
/*
 * The edge of memory. Workers together want all frames but a slack for calls in progress (two caches, a magazine in
 * transit and a promise each: modelcheck G): while they stay below it no request may fail. Between rounds, with
 * nobody in a call, the answer is exact: every free frame can be had, wherever it hides, and then no more.
 */
#include "harness.h"

#define SLACK (2 * 64 + 64 + 512)

static _Atomic uint64_t demand; /* base frames wanted or held */

static uint64_t limit(void)
{
	return world.free_at_start - (uint64_t)SLACK * world.nr_workers;
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct held h;

	if (!p->n || (rng_below(&w->rng, 10) < 8 && !pile_full(p))) {
		if (atomic_fetch_add_explicit(&demand, 1, memory_order_relaxed) < limit()) {
			CHECK(take(w, rng_one_in(&w->rng, 16) ? ramka_cpu_none(world.r) : w->cpu, &raw_type,
				   0, rng_one_in(&w->rng, 2),
				   (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, &h),
			      "no memory, though at most %llu of %llu frames are wanted",
			      (unsigned long long)limit(), (unsigned long long)world.free_at_start);
			pile_add(p, &h);
			return;
		}
		atomic_fetch_sub_explicit(&demand, 1, memory_order_relaxed);
	}
	for (unsigned n = 1 + rng_below(&w->rng, 3); n && p->n; n--) {
		h = pile_take(p, rng_below(&w->rng, p->n));
		give(w, w->cpu, &h);
		atomic_fetch_sub_explicit(&demand, 1, memory_order_relaxed);
	}
}

static unsigned take_all(struct ramka_cpu *cpu, struct ramka_frame **all, unsigned max)
{
	struct ramka_frame *f;
	unsigned n = 0;

	while ((f = ramka_frame_alloc(cpu, &raw_type, NULL,
				      (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }))) {
		CHECK(n < max, "more frames than there are");
		own(ramka_frame_paddr(world.r, f), 1, MAX_WORKERS);
		all[n++] = f;
	}
	return n;
}

static void give_some(struct ramka_cpu *cpu, struct ramka_frame **all, unsigned n)
{
	while (n--) {
		disown(ramka_frame_paddr(world.r, all[n]), 1, MAX_WORKERS);
		ramka_frame_put(cpu, all[n]);
	}
}

static void audit(void)
{
	static struct rng rng;
	unsigned max = (unsigned)world.free_at_start, n, k;
	struct ramka_frame **all = malloc(max * sizeof(*all));
	struct ramka_stats s;

	CHECK(all, "no memory");
	rng.state++;
	ramka_stats_read(world.r, &s);
	n = take_all(ramka_cpu_at(world.r, rng_below(&rng, world.nr_cpus)), all, max);
	CHECK(n == s.free, "%u frames can be had, %llu are free", n, (unsigned long long)s.free);
	for (unsigned i = 0; i < 32; i++) { /* frames that one CPU freed, wanted by another */
		struct ramka_cpu *from = ramka_cpu_at(world.r, rng_below(&rng, world.nr_cpus));
		struct ramka_cpu *to = i % 8 ? ramka_cpu_at(world.r, rng_below(&rng, world.nr_cpus)) :
					       ramka_cpu_none(world.r);
		unsigned want = 1 + rng_below(&rng, n < 300 ? n : 300);

		for (unsigned j = 0; j < want; j++) { /* from anywhere */
			unsigned at = j + rng_below(&rng, n - j);
			struct ramka_frame *f = all[j];

			all[j] = all[at];
			all[at] = f;
		}
		give_some(from, all, want);
		k = take_all(to, all, want);
		CHECK(k == want, "of %u frames that another CPU freed %u can be had", want, k);
	}
	give_some(ramka_cpu_at(world.r, 0), all, n);
	free(all);
}

static void setup(void)
{
	atomic_store(&demand, 0);
}

static void release(struct worker *w)
{
	pile_release(w, &w->pile);
}

const struct scenario oom = {
	.name = "oom",
	.about = "demand up to supply: no request fails too early; exact at rest",
	.frames_per_worker = SLACK + 1500,
	.setup = setup,
	.step = step,
	.audit = audit,
	.release = release,
};
