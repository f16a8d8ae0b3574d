/* SPDX-License-Identifier: MIT */
/*
 * frag: what is left for huge frames after a long time of use? 4 GiB are filled, freed at random down to
 * 50, 70 or 90 %, and then, 100 rounds long, a tenth of the live frames is freed and allocated anew at
 * random. Each thread has an equal part of the memory in use, and frees what it allocated.
 *
 *   frag         a frame is freed and one allocated in its place, one by one
 *   frag:batch   the whole tenth is freed before it is allocated anew
 *   frag:mix     as frag, with frames of orders 0 to 6 side by side. Nine in ten of those that are freed are
 *                from the tenth that lives shortly, so one frame lives a hundred times as long as another;
 *                1000 rounds, in which those that live long are replaced as often as in the others' 100
 *
 * `share` is the part of the free memory that lies in wholly free, aligned 2 MiB frames, in per cent,
 * counted from the frames that the benchmark holds, so that no allocator has to be believed; `zone` the
 * same by the allocator's own count, where it has one and counts only what it could hand out at once. A
 * random layout has none. The time is that of one pair of these rounds.
 */
#include "bench.h"

#include <stdatomic.h>

#define ROUNDS 100 /* ten times as many of the mix */
#define BLOCK  512u /* base frames of 2 MiB */

/* param: per cent in use, and one of these */
#define BATCH 100u
#define MIX   200u

/* Frames of one thread. */
struct held {
	void **frames;
	uint8_t *orders;
	uint64_t n, base; /* frames; base frames in all */
};

static atomic_uint *in_use; /* of the case that runs: base frames of each 2 MiB frame, of all threads */

static void *look_for(struct bench_thread *t, unsigned *order)
{
	void *frame = t->alloc(t->cpu, *order);

	while (!frame && *order > t->order) /* as callers do: smaller ones will serve */
		frame = t->alloc(t->cpu, --*order);
	if (!frame)
		bench_die("%s has no memory", t->peer->name);
	return frame;
}

/* A frame at place i, which is empty. */
static void take(struct bench_thread *t, struct held *h, uint64_t i, unsigned order)
{
	h->frames[i] = look_for(t, &order);
	h->orders[i] = (uint8_t)order;
	h->base += UINT64_C(1) << order;
}

static void give(struct bench_thread *t, struct held *h, uint64_t i)
{
	t->free(t->cpu, h->frames[i], h->orders[i]);
	h->base -= UINT64_C(1) << h->orders[i];
}

static unsigned any_order(struct bench_thread *t, struct bench_rng *r)
{
	static const uint8_t mix[16] = { 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6 };

	return t->param < MIX ? t->order : mix[bench_below(r, 16)];
}

/* Takes all of the thread's part of the memory, and keeps `base` base frames of it. */
static void fill(struct bench_thread *t, struct bench_rng *r, struct held *h, uint64_t base)
{
	uint64_t all = t->share << t->order;

	while (h->base < all) {
		unsigned order = any_order(t, r);

		while (UINT64_C(1) << order > all - h->base)
			order--;
		take(t, h, h->n++, order);
	}
	for (uint64_t i = h->n; i > 1; i--) {
		uint64_t j = bench_below(r, i);
		void *frame = h->frames[i - 1];
		uint8_t order = h->orders[i - 1];

		h->frames[i - 1] = h->frames[j];
		h->orders[i - 1] = h->orders[j];
		h->frames[j] = frame;
		h->orders[j] = order;
	}
	bench_barrier(t);
	while (h->base > base)
		give(t, h, --h->n);
}

/* The place of the frame that goes next. */
static uint64_t any(struct bench_thread *t, struct bench_rng *r, const struct held *h)
{
	if (t->param > MIX && bench_below(r, 10))
		return h->n - 1 - bench_below(r, h->n / 10);
	return bench_below(r, h->n);
}

static void one_by_one(struct bench_thread *t, struct bench_rng *r, struct held *h, uint64_t pairs)
{
	uint64_t base = h->base;

	while (pairs--) {
		uint64_t i = any(t, r, h);

		give(t, h, i);
		take(t, h, i, h->orders[i]);
	}
	while (h->base < base) /* what was replaced by smaller ones */
		take(t, h, h->n++, t->order);
}

/* The tenth is moved to the end, freed there and allocated anew. */
static void all_at_once(struct bench_thread *t, struct bench_rng *r, struct held *h, uint64_t pairs)
{
	for (uint64_t k = 0; k < pairs; k++) {
		uint64_t i = bench_below(r, h->n - k), end = h->n - 1 - k;
		void *frame = h->frames[i];

		h->frames[i] = h->frames[end];
		h->frames[end] = frame;
		give(t, h, end);
	}
	for (uint64_t k = 0; k < pairs; k++)
		take(t, h, h->n - 1 - k, t->order);
}

/* Of all threads together. */
static double share_of_huge(struct bench_thread *t, const struct held *h, uint64_t blocks, uint64_t *ret_free)
{
	uint64_t huge = 0, used = 0;

	for (uint64_t i = 0; i < h->n; i++) {
		uint64_t n = t->peer->number(t->instance, h->frames[i]);

		atomic_fetch_add(&in_use[n / BLOCK], 1u << h->orders[i]);
	}
	bench_barrier(t);
	for (uint64_t b = 0; b < blocks; b++) {
		huge += in_use[b] == 0;
		used += in_use[b];
	}
	*ret_free = blocks * BLOCK - used;
	return 100.0 * (double)(huge * BLOCK) / (double)*ret_free;
}

static void frag(struct bench_thread *t)
{
	struct bench_rng r = bench_seed(7 + t->id);
	uint64_t all = t->share << t->order, blocks = all * t->threads / BLOCK, free, t0, pairs;
	unsigned rounds = t->param < MIX ? ROUNDS : 10 * ROUNDS;
	struct held h = { bench_map(all * sizeof(*h.frames)), bench_map(all), 0, 0 };
	double share;

	if (t->id == 0)
		in_use = bench_map(blocks * sizeof(*in_use));
	while (gbench_next(t->g, 1)) {
		gbench_pause(t->g);
		fill(t, &r, &h, all * (t->param % 100) / 100);
		bench_barrier(t);
		gbench_resume(t->g);
		pairs = h.n / 10;
		t0 = bench_cpu_ns();
		for (unsigned round = 0; round < rounds; round++) {
			if (t->param / 100 == BATCH / 100)
				all_at_once(t, &r, &h, pairs);
			else
				one_by_one(t, &r, &h, pairs);
		}
		gbench_report(t->g, "pair", (double)(bench_cpu_ns() - t0) / (double)(pairs * rounds));
	}
	share = share_of_huge(t, &h, blocks, &free);
	gbench_report(t->g, "share", share);
	if (t->peer->free_in_huge)
		gbench_report(t->g, "zone",
			      100.0 * (double)t->peer->free_in_huge(t->instance) / (double)free);
	bench_barrier(t);
	if (t->param > MIX) /* frames of one order only are checked for overlaps */
		for (uint64_t i = 0; i < h.n; i++)
			give(t, &h, i);
	else
		bench_check_and_free(t, h.frames, h.n);
	bench_unmap(h.frames, all * sizeof(*h.frames));
	bench_unmap(h.orders, all);
	if (t->id == 0)
		bench_unmap(in_use, blocks * sizeof(*in_use));
}

static bool has_numbers(const struct bench_peer *p)
{
	return p->flags & PEER_BOUNDED; /* the frames of the others lie anywhere */
}

static bool merges(const struct bench_peer *p)
{
	return p->free_in_huge != NULL;
}

#define FRAG(prefix, percent, how, of, peers, text) \
	{ \
		.name = "frag:" prefix #percent, \
		.what = "free memory in whole 2 MiB frames, " #percent " % full, " text, \
		.memory = UINT64_C(4) << 30, .held = 100, .param = (percent) + (how), .orders = of, \
		.iterations = 1, .fits = peers, .run = frag \
	}

#define ORDERS (1u << 0 | 1u << 1 | 1u << 3 | 1u << 6)
#define EACH(prefix, how, of, peers, text) \
	FRAG(prefix, 50, how, of, peers, text), FRAG(prefix, 70, how, of, peers, text), \
		FRAG(prefix, 90, how, of, peers, text)

const struct bench_workload bench_frag[] = {
	EACH("", 0, ORDERS, has_numbers, "100 rounds"),
	EACH("batch:", BATCH, ORDERS, has_numbers, "100 rounds, a tenth freed first and then allocated anew"),
	EACH("mix:", MIX, 1u << 0, merges, "1000 rounds, orders 0 to 6, lifetimes a hundredfold"),
	{ .name = NULL },
};
