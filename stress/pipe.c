/* SPDX-License-Identifier: MIT */
/*
 * Pipe: worker i allocates and hands to worker i + 1, which frees: frames travel from CPU to CPU, one cache only
 * fills and another only drains. Every worker is a producer for one neighbour and the consumer of the other.
 */
#include "harness.h"

#define RING_SLOTS 512u

/* One producer, one consumer. */
struct ring {
	_Alignas(128) _Atomic uint32_t tail; /* the producer's */
	_Alignas(128) _Atomic uint32_t head; /* the consumer's */
	struct held item[RING_SLOTS];
};

static struct ring ring[MAX_WORKERS]; /* ring[i] leads to worker i */

static bool send(struct ring *r, const struct held *h)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&r->head, memory_order_acquire) == RING_SLOTS)
		return false;
	r->item[tail % RING_SLOTS] = *h;
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

static bool receive(struct ring *r, struct held *h)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&r->tail, memory_order_acquire))
		return false;
	*h = r->item[head % RING_SLOTS];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

static void produce(struct worker *w)
{
	const struct ramka_type *type = rng_one_in(&w->rng, 8) ? &tagged_type : &raw_type;
	unsigned order = rng_one_in(&w->rng, 32) ? random_order(&w->rng, 9) : 0;
	struct held h;

	if (take(w, w->cpu, type, order, rng_one_in(&w->rng, 2), (struct ramka_request){ 0 }, &h) &&
	    !send(&ring[(w->id + 1) % world.nr_workers], &h))
		give(w, w->cpu, &h);
}

static void step(struct worker *w)
{
	unsigned n = 1 + rng_below(&w->rng, 64);
	struct held h;

	if (rng_one_in(&w->rng, 2)) {
		while (n--)
			produce(w);
	} else {
		while (n-- && receive(&ring[w->id], &h))
			give(w, w->cpu, &h);
	}
}

static void release(struct worker *w)
{
	struct held h;

	while (receive(&ring[w->id], &h))
		give(w, w->cpu, &h);
}

const struct scenario pipe_ = {
	.name = "pipe",
	.about = "one CPU allocates, the next one frees",
	.step = step,
	.release = release,
};
