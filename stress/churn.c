/* SPDX-License-Identifier: MIT */
/*
 * Churn: every worker allocates and frees frames of orders 0 to 12 at random, on its own CPU and now and then on the
 * cache-less handle, up to a share of the memory that itself changes, so that the zones run empty and full. Unique
 * frames are split. Some requests name a node or a limit on the address, or say how long the frame will live.
 */
#include "harness.h"

static uint64_t target[MAX_WORKERS];

static struct ramka_request random_request(struct worker *w)
{
	struct ramka_request req = { 0 };

	if (rng_one_in(&w->rng, 16))
		req.node = RAMKA_NODE(rng_below(&w->rng, 2));
	if (rng_one_in(&w->rng, 32))
		req.flags |= RAMKA_ALLOC_NODE_ONLY;
	if (rng_one_in(&w->rng, 32))
		req.addr_bits = (uint8_t)(30 + rng_below(&w->rng, 3));
	if (rng_one_in(&w->rng, 32))
		req.flags |= RAMKA_ALLOC_WAIT;
	if (rng_one_in(&w->rng, 4))
		req.flags |= rng_one_in(&w->rng, 2) ? RAMKA_ALLOC_LONG :
			     rng_one_in(&w->rng, 2) ? RAMKA_ALLOC_SHORT :
						      RAMKA_ALLOC_MOVABLE;
	if (rng_one_in(&w->rng, 32))
		req.flags |= RAMKA_ALLOC_RESERVE;
	return req;
}

static const struct ramka_type *random_type(struct worker *w)
{
	switch (rng_below(&w->rng, 8)) {
	case 0:
		return &tagged_type;
	case 1:
		return &hidden_type;
	case 2:
		return rng_one_in(&w->rng, 4) ? &rcu_type : &raw_type;
	default:
		return &raw_type;
	}
}

/* One unique frame becomes several. */
static void split(struct worker *w, struct held *h)
{
	struct ramka_unique *parts[64];
	unsigned order = h->order > 6 ? h->order - 1 - rng_below(&w->rng, 6) : rng_below(&w->rng, h->order);
	unsigned nr = 1u << (h->order - order);
	int rc;

	if (w->pile.n + nr > MAX_HELD) {
		pile_add(&w->pile, h);
		return;
	}
	check_stamp(h);
	rc = ramka_unique_split(world.r, unique_handle(h), order, parts);
	CHECK(!rc, "ramka_unique_split: %s", ramka_strerror(rc));
	h->order = (uint8_t)order;
	for (unsigned i = 0; i < nr; i++) {
		h->frame = (struct ramka_frame *)parts[i];
		h->seq = ++w->seq;
		CHECK(ramka_frame_order(h->frame) == order, "a part has the wrong order");
		CHECK(owner_of(ramka_frame_paddr(world.r, h->frame)) == h->who, "a part is another's");
		stamp(h);
		pile_add(&w->pile, h);
	}
}

static void take_one(struct worker *w, struct ramka_cpu *cpu)
{
	struct ramka_request req = random_request(w);
	const struct ramka_type *type = random_type(w);
	unsigned order = random_order(&w->rng, 12);
	struct held h;

	if (!take(w, cpu, type, order, rng_one_in(&w->rng, 2), req, &h))
		return;
	if (req.addr_bits)
		CHECK(ramka_frame_paddr(world.r, h.frame) + ramka_frame_size(h.frame) <=
			      (uint64_t)1 << req.addr_bits,
		      "a frame beyond the limit of %u bits", req.addr_bits);
	if (h.unique && is_raw(type) && order && rng_one_in(&w->rng, 8))
		split(w, &h);
	else
		pile_add(&w->pile, &h);
}

static void step(struct worker *w)
{
	struct pile *p = &w->pile;
	struct ramka_cpu *cpu = rng_one_in(&w->rng, 32) ? ramka_cpu_none(world.r) : w->cpu;
	bool more;

	if (!target[w->id] || rng_one_in(&w->rng, 2000))
		target[w->id] = share_of_memory(rng_below(&w->rng, 130)) + 1;
	more = p->frames < target[w->id] && p->n < MAX_HELD - 64;
	if (!p->n ||
	    (more ? rng_below(&w->rng, 10) < 6 : rng_below(&w->rng, 10) < 3 && p->n < MAX_HELD - 64)) {
		take_one(w, cpu);
	} else {
		struct held h = pile_take(p, rng_below(&w->rng, p->n));

		give(w, cpu, &h);
	}
	if (rng_one_in(&w->rng, 512))
		ramka_reclaim(cpu, false);
}

static void release(struct worker *w)
{
	target[w->id] = 0;
	pile_release(w, &w->pile);
}

const struct scenario churn = {
	.name = "churn",
	.about = "orders 0 to 12, shared and unique, from empty to full",
	.step = step,
	.release = release,
};
