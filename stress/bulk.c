/* SPDX-License-Identifier: MIT */
/* Bulk: many frames a call, of one type and order; put together, mixed with single calls and with others' frames. */
#include "harness.h"

#define MOST 300u

static struct held left[64]; /* frames that one worker leaves for another, under a lock each */
static atomic_flag lock[64];

static void take_many(struct worker *w)
{
	struct ramka_frame *f[MOST];
	struct ramka_request req = { .order = (uint8_t)(rng_one_in(&w->rng, 8) ? rng_below(&w->rng, 4) : 0) };
	bool zeroed = rng_one_in(&w->rng, 8);
	size_t want = 1 + rng_below(&w->rng, MOST), got;

	if (!zeroed)
		req.flags = RAMKA_ALLOC_UNINIT;
	calling(w, want << req.order);
	got = ramka_frame_alloc_bulk(rng_one_in(&w->rng, 16) ? ramka_cpu_none(world.r) : w->cpu, &raw_type,
				     req, want, f);
	CHECK(got <= want, "more frames than were asked for");
	if (got < want)
		atomic_fetch_add_explicit(&world.failures, 1, memory_order_relaxed);
	for (size_t i = 0; i < got; i++) {
		struct held h = { .frame = f[i], .type = &raw_type, .seq = ++w->seq, .order = req.order };

		taken(w, &h, zeroed);
		pile_add(&w->pile, &h);
	}
	calling(w, 0);
}

static void put_many(struct worker *w)
{
	struct ramka_frame *f[MOST];
	size_t n = 1 + rng_below(&w->rng, MOST), have = 0;
	uint64_t frames = 0;

	while (have < n && w->pile.n) {
		struct held h = pile_take(&w->pile, rng_below(&w->rng, w->pile.n));

		giving(w, &h);
		frames += (uint64_t)1 << h.order;
		f[have++] = h.frame;
	}
	calling(w, frames);
	ramka_frame_put_bulk(rng_one_in(&w->rng, 16) ? ramka_cpu_none(world.r) : w->cpu, have, f);
	calling(w, 0);
}

static void exchange(struct worker *w)
{
	unsigned i = rng_below(&w->rng, 64);
	struct held h = pile_take(&w->pile, w->pile.n - 1), other;

	if (atomic_flag_test_and_set_explicit(&lock[i], memory_order_acquire)) {
		pile_add(&w->pile, &h);
		return;
	}
	other = left[i];
	left[i] = h;
	atomic_flag_clear_explicit(&lock[i], memory_order_release);
	if (other.frame)
		pile_add(&w->pile, &other);
}

static void step(struct worker *w)
{
	if (w->pile.frames < share_of_memory(100) && w->pile.n < MAX_HELD - MOST - 64 &&
	    rng_one_in(&w->rng, 2))
		take_many(w);
	else
		put_many(w);
	for (unsigned i = 0; i < 16 && w->pile.n; i++)
		exchange(w);
}

static void release(struct worker *w)
{
	for (unsigned i = w->id; i < 64; i += world.nr_workers) {
		if (left[i].frame)
			pile_add(&w->pile, &left[i]);
		left[i].frame = NULL;
	}
	while (w->pile.n)
		put_many(w);
}

const struct scenario bulk = {
	.name = "bulk",
	.about = "alloc_bulk and put_bulk",
	.step = step,
	.release = release,
};
