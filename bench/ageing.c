/* SPDX-License-Identifier: MIT */
/*
 * ageing: what do frames that live long leave of the huge frames? Of 1 GiB a tenth is held by frames that live for twenty
 * rounds on average, the rest by frames that live for one or two. A round of 100:
 *
 *   up      frames of mixed orders, until 80 to 97 % of the memory is in use. Among them, where chance puts them, those that
 *           live long, as many as were freed before
 *   churn   as many frames as half of the short-lived ones are freed and replaced, one by one, at random
 *   down    all short-lived ones are freed, in random order
 *   look    which 2 MiB frames have nothing of those that live long; then frames of order 9 until there is none
 *   die     one in twenty of those that live long
 *
 * `steady`: as a machine whose memory is always full, of caches. Only each tenth round has a down and a look, and what lives
 * long swings between 5 and 15 % of the memory; where it grows, it does so out of what the churn frees.
 *
 * `share` is the part of the free memory that lies in wholly free, aligned 2 MiB frames, in per cent, counted from the frames
 * that the benchmark holds; `order9` the frames of order 9 that could be had, in per cent of those that the free memory would
 * make. Both are means over the last fifty rounds. Peers with hints are told which frames live long. The time is that of a
 * call, alloc or free.
 *
 * Orders: of 16 frames 12 are base frames, 2 of order 1, one each of orders 2 and 3.
 */
#include "bench.h"

#include <stdlib.h>

#define STEADY	  100  /* added to the per cent */
#define ROUNDS	  100
#define COUNTED	  50
#define BLOCK	  512u /* base frames of 2 MiB */
#define LONG_PART 10   /* of the memory, one part in so many */
#define LIFE	  20   /* rounds */
#define SWING	  40   /* rounds, steady */
#define DECADE	  10   /* rounds between two looks, steady */

/* A pile of frames with their orders. */
struct pile {
	void **frames;
	uint8_t *orders;
	uint64_t n, base; /* base frames in all */
};

struct ageing {
	struct bench_thread *t;
	struct bench_rng rng;
	struct pile brief, lasting;
	uint64_t frames, limit; /* base frames of the memory; that may be in use */
	uint64_t calls;
	unsigned round;
	bool steady;
	double share, order9;
};

static void push(struct pile *p, void *frame, unsigned order)
{
	p->frames[p->n] = frame;
	p->orders[p->n++] = (uint8_t)order;
	p->base += UINT64_C(1) << order;
}

static void add(struct ageing *a, struct pile *p)
{
	static const uint8_t orders[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3 };
	unsigned order = orders[bench_below(&a->rng, 16)];
	const struct bench_peer *peer = a->t->peer;
	void *frame;

	if (p == &a->lasting && peer->alloc_long)
		frame = peer->alloc_long(a->t->cpu, order);
	else
		frame = peer->alloc(a->t->cpu, order);
	a->calls++;
	if (!frame && order) { /* as callers do: a smaller one will serve */
		order = 0;
		frame = peer->alloc(a->t->cpu, 0);
	}
	if (!frame)
		bench_die("%s has no memory", peer->name);
	push(p, frame, order);
}

static void drop(struct ageing *a, struct pile *p, uint64_t i)
{
	a->t->peer->free(a->t->cpu, p->frames[i], p->orders[i]);
	a->calls++;
	p->base -= UINT64_C(1) << p->orders[i];
	p->n--;
	p->frames[i] = p->frames[p->n];
	p->orders[i] = p->orders[p->n];
}

/* Base frames that live long, in this round. */
static uint64_t goal_of(const struct ageing *a)
{
	uint64_t swing = a->round % SWING < SWING / 2 ? a->round % SWING : SWING - a->round % SWING; /* 0 .. SWING / 2 */

	if (!a->steady)
		return a->frames / LONG_PART;
	return a->frames / LONG_PART / 2 + a->frames / LONG_PART * swing / (SWING / 2);
}

/* Until so much is in use. Those that live long come where chance puts them among `room` base frames. */
static void up(struct ageing *a, uint64_t room)
{
	while (a->brief.base + a->lasting.base < a->limit) {
		uint64_t goal = goal_of(a), missing = goal > a->lasting.base ? goal - a->lasting.base : 0;
		uint64_t left = room ? room : a->limit - a->brief.base - a->lasting.base;

		add(a, bench_below(&a->rng, left) < missing ? &a->lasting : &a->brief);
	}
}

static void churn(struct ageing *a)
{
	uint64_t room = a->brief.base / 2;

	for (uint64_t n = a->brief.n / 2; n; n--) {
		drop(a, &a->brief, bench_below(&a->rng, a->brief.n));
		up(a, room);
	}
}

static void down(struct ageing *a)
{
	while (a->brief.n)
		drop(a, &a->brief, bench_below(&a->rng, a->brief.n));
}

static void die(struct ageing *a)
{
	for (uint64_t n = a->lasting.n / LIFE; n || a->lasting.base > goal_of(a); n -= n != 0)
		drop(a, &a->lasting, bench_below(&a->rng, a->lasting.n));
}

static void look(struct ageing *a)
{
	uint64_t blocks = a->frames / BLOCK, whole = 0, got = 0, room = a->frames - a->lasting.base;
	uint8_t *used = calloc(blocks, 1);
	void **huge = calloc(blocks, sizeof(*huge));

	if (!used || !huge)
		bench_die("out of memory");
	for (uint64_t i = 0; i < a->lasting.n; i++)
		used[a->t->peer->number(a->t->instance, a->lasting.frames[i]) / BLOCK] = 1;
	for (uint64_t b = 0; b < blocks; b++)
		whole += !used[b];
	while (got < blocks && (huge[got] = a->t->peer->alloc(a->t->cpu, 9)))
		got++;
	for (uint64_t i = 0; i < got; i++)
		a->t->peer->free(a->t->cpu, huge[i], 9);
	a->share += 100.0 * (double)(whole * BLOCK) / (double)room / (double)(a->steady ? COUNTED / DECADE : COUNTED);
	a->order9 += 100.0 * (double)got / (double)(room / BLOCK) / (double)(a->steady ? COUNTED / DECADE : COUNTED);
	free(used);
	free(huge);
}

static void pile_map(struct pile *p, uint64_t most)
{
	p->frames = bench_map(most * sizeof(*p->frames));
	p->orders = bench_map(most);
}

static void pile_unmap(struct pile *p, uint64_t most)
{
	bench_unmap(p->frames, most * sizeof(*p->frames));
	bench_unmap(p->orders, most);
}

static void ageing(struct bench_thread *t)
{
	struct ageing a = { .t = t, .rng = bench_seed(t->id), .frames = t->share, .steady = t->param > STEADY };
	uint64_t t0, spent = 0;

	a.limit = a.frames * (t->param % STEADY) / 100;
	pile_map(&a.brief, a.frames);
	pile_map(&a.lasting, a.frames);
	while (gbench_next(t->g, 1))
		for (a.round = 0; a.round < ROUNDS; a.round++) {
			bool last = !a.steady || a.round % DECADE == DECADE - 1;

			t0 = bench_cpu_ns();
			up(&a, 0);
			churn(&a);
			if (last)
				down(&a);
			spent += bench_cpu_ns() - t0;
			if (last && a.round >= ROUNDS - COUNTED)
				look(&a);
			die(&a);
		}
	gbench_report(t->g, "share", a.share);
	gbench_report(t->g, "order9", a.order9);
	gbench_report(t->g, "call", (double)spent / (double)a.calls);
	while (a.lasting.n)
		drop(&a, &a.lasting, a.lasting.n - 1);
	pile_unmap(&a.brief, a.frames);
	pile_unmap(&a.lasting, a.frames);
}

/* Any order out of one memory, and what is freed becomes a huge frame again. */
static bool merges(const struct bench_peer *p)
{
	return p->free_in_huge != NULL;
}

#define AGEING(name_, percent) \
	{ \
		.name = "ageing:" name_, \
		.what = "what a tenth of long-lived frames leaves of 2 MiB frames, up to " name_ " % in use", \
		.memory = UINT64_C(1) << 30, .held = 100, .param = percent, .orders = 1u << 0, .max_threads = 1, \
		.iterations = 1, .hints = true, .fits = merges, .run = ageing \
	}

const struct bench_workload bench_ageing[] = {
	AGEING("80", 80),
	AGEING("steady90", STEADY + 90),
	AGEING("steady95", STEADY + 95),
	AGEING("steady97", STEADY + 97),
	{ .name = NULL },
};
