/* SPDX-License-Identifier: MIT */
/* Deferred reclaim. Protocol: defer.h. */
#include "contracts.h"
#include "defer.h"
#include "drop.h"

/* ---- chains ---- */

static struct ramka_frame *frame_at(const struct ramka *r, uint64_t link)
{
	return &r->slots[link - 1];
}

static void set_link(struct ramka_frame *f, uint64_t link)
{
	ramka_store(&f->ref, REF_DEFERRED(link), relaxed, slot.defer);
}

static void chain_push(const struct ramka *r, struct chain *c, struct ramka_frame *f, unsigned order)
{
	set_link(f, c->head);
	c->head = slot_index(r, f) + 1;
	if (!c->tail)
		c->tail = c->head;
	c->frames += (uint64_t)1 << order;
	c->nr++;
}

/* Moves all of `from` in front of `to`. */
static void chain_move(const struct ramka *r, struct chain *to, struct chain *from)
{
	if (from->head) {
		set_link(frame_at(r, from->tail), to->head);
		to->head = from->head;
		if (!to->tail)
			to->tail = from->tail;
		to->frames += from->frames;
		to->nr += from->nr;
	}
	*from = (struct chain){ 0 };
}

/* The grace period of these frames is over and they are the caller's. */
static void chain_free(struct ramka_cpu *cpu, struct chain c)
{
	struct ramka *r = cpu->r;

	while (c.head) {
		struct ramka_frame *f = frame_at(r, c.head);

		c.head = ref_link(slot_ref(f));
		if (c.head)
			__builtin_prefetch(frame_at(r, c.head), 1);
		frame_end(cpu, f, slot_info(f), "ramka_frame_put_rcu");
	}
}

/* ---- the shared stack ---- */

static void share(struct ramka *r, struct chain c)
{
	uint64_t old;

	if (!c.head)
		return;
	ramka_add(&r->deferred_frames, c.frames, relaxed, stat);
	old = ramka_load(&r->deferred, relaxed, defer.shared);
	do
		set_link(frame_at(r, c.tail), old);
	while (!ramka_cas(&r->deferred, &old, c.head, release, defer.shared));
}

static struct chain unshare(struct ramka *r)
{
	struct chain c = { 0 };

	if (!ramka_load(&r->deferred, relaxed, defer.shared))
		return c;
	c.head = ramka_xchg(&r->deferred, 0, acquire, defer.shared);
	for (uint64_t link = c.head; link; link = ref_link(slot_ref(frame_at(r, link)))) {
		c.tail = link;
		c.frames += (uint64_t)1 << info_order(slot_info(frame_at(r, link)));
		c.nr++;
	}
	ramka_sub(&r->deferred_frames, c.frames, relaxed, stat);
	return c;
}

/* ---- bags of one CPU, inside its section or while it is stopped ---- */

static void less(struct defer *d, const struct chain *c)
{
	ramka_store(&d->frames, ramka_load(&d->frames, relaxed, stat) - c->frames, relaxed, stat);
}

static void seal(struct ramka *r, struct defer *d)
{
	struct bag *b = &d->ring[(d->oldest + d->nr) % RING_SIZE];

	if (!d->open.head || d->nr == RING_SIZE)
		return;
	b->chain = d->open;
	d->open = (struct chain){ 0 };
	own_add(&d->seals, 1);
	b->seal = ramka_load(&d->seals, relaxed, stat);
	b->cookie = r->rcu.snapshot(r->rcu.ctx); /* after the last frame went in */
	probe(seal, b->chain.nr, b->cookie);
	d->nr++;
}

/* The oldest bag, if its grace period is over; else an empty chain. */
static struct chain take_ripe(struct ramka *r, struct defer *d)
{
	struct bag *b = &d->ring[d->oldest];
	struct chain c;

	if (!d->nr || !r->rcu.elapsed(r->rcu.ctx, b->cookie))
		return (struct chain){ 0 };
	c = b->chain;
	ramka_store(&d->reaped, b->seal, relaxed, stat);
	d->oldest = (d->oldest + 1) % RING_SIZE;
	d->nr--;
	less(d, &c);
	return c;
}

static void take_all(const struct ramka *r, struct defer *d, struct chain *to)
{
	struct chain c;

	for (; d->nr; d->nr--) {
		c = d->ring[d->oldest].chain;
		less(d, &c);
		chain_move(r, to, &c);
		d->oldest = (d->oldest + 1) % RING_SIZE;
	}
	c = d->open;
	d->open = (struct chain){ 0 };
	less(d, &c);
	chain_move(r, to, &c);
	ramka_store(&d->reaped, ramka_load(&d->seals, relaxed, stat), relaxed, stat);
}

static void push_open(struct ramka *r, struct defer *d, struct ramka_frame *f, unsigned order)
{
	uint64_t n = ramka_load(&d->frames, relaxed, stat) + ((uint64_t)1 << order);

	chain_push(r, &d->open, f, order);
	ramka_store(&d->frames, n, relaxed, stat);
	if (n > ramka_load(&d->peak, relaxed, stat))
		ramka_store(&d->peak, n, relaxed, stat);
}

/* Frames out of the shared stack go into the open bag. */
static void join(struct ramka *r, struct defer *d, struct chain *c)
{
	ramka_store(&d->frames, ramka_load(&d->frames, relaxed, stat) + c->frames, relaxed, stat);
	chain_move(r, &d->open, c);
}

/* ---- called from outside ---- */

int defer_frame(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info)
{
	struct ramka *r = cpu->r;
	struct defer *d = cpu->defer;
	struct chain ripe = { 0 };
	uint64_t waiting;

	if (!section_enter(cpu)) {
		struct chain one = { 0 };

		chain_push(r, &one, f, info_order(info));
		share(r, one);
		waiting = ramka_load(&r->deferred_frames, relaxed, stat);
	} else {
		push_open(r, d, f, info_order(info));
		/* with the first frame of a bag as well: what CPUs that went off line and callers without a section left */
		if (d->open.nr >= BAG_SIZE ||
		    (d->open.nr == 1 && ramka_load(&r->deferred_frames, relaxed, stat) >= BAG_SIZE)) {
			struct chain adopted = unshare(r);

			ripe = take_ripe(r, d);
			join(r, d, &adopted);
			seal(r, d);
		}
		waiting = ramka_load(&d->frames, relaxed, stat);
		section_leave(cpu);
	}
	if (ripe.head) {
		chain_free(cpu, ripe);
		defer_poll(cpu);
	}
	if (likely(waiting <= ramka_load(&r->high_water, relaxed, stat)))
		return 0;
	if (r->rcu.expedite)
		r->rcu.expedite(r->rcu.ctx);
	return RAMKA_PRESSURE;
}

bool defer_poll(struct ramka_cpu *cpu)
{
	bool any = false;

	if (!cpu->defer || !ramka_load(&cpu->defer->frames, relaxed, stat))
		return false;
	for (unsigned i = 0; i < RING_SIZE && section_enter(cpu); i++) {
		struct chain ripe = take_ripe(cpu->r, cpu->defer);

		section_leave(cpu);
		if (!ripe.head)
			break;
		chain_free(cpu, ripe);
		any = true;
	}
	return any;
}

/* What a poll takes and gives on its way over the CPUs. */
struct poll {
	struct chain ripe;
	struct chain adopt; /* out of the shared stack: whoever can seals it with his own */
};

/* Seals what is open, takes what is ripe; inside the section or while the CPU is stopped. */
static void poll_cpu(struct ramka_cpu *cpu, void *arg)
{
	struct defer *d = cpu->defer;
	struct poll *p = arg;
	struct chain c;

	join(cpu->r, d, &p->adopt);
	seal(cpu->r, d);
	while ((c = take_ripe(cpu->r, d)).head)
		chain_move(cpu->r, &p->ripe, &c);
	seal(cpu->r, d); /* there was no room before, perhaps */
}

static void take_all_of(struct ramka_cpu *cpu, void *arg)
{
	take_all(cpu->r, cpu->defer, arg);
}

/* Frames that wait on CPUs other than this one. */
static bool others_wait(const struct ramka_cpu *cpu)
{
	for (unsigned i = 0; i < cpu->r->nr_cpus; i++)
		if (&cpu->r->cpus[i].cpu != cpu && ramka_load(&cpu->r->cpus[i].cpu.defer->frames, relaxed, stat))
			return true;
	return false;
}

bool defer_poll_all(struct ramka_cpu *cpu)
{
	struct poll p = { .adopt = { 0 } };
	struct ramka *r = cpu->r;

	if (!r->has_rcu)
		return false;
	p.adopt = unshare(r);
	if (section_enter(cpu)) {
		poll_cpu(cpu, &p);
		section_leave(cpu);
	}
	if (p.adopt.head || others_wait(cpu))
		cpu_for_each_stopped(r, cpu, poll_cpu, &p);
	/* nobody could take it in: perhaps no reader is there at all */
	if (p.adopt.head && r->rcu.elapsed(r->rcu.ctx, r->rcu.snapshot(r->rcu.ctx)))
		chain_move(r, &p.ripe, &p.adopt);
	share(r, p.adopt);
	if (!p.ripe.head)
		return false;
	chain_free(cpu, p.ripe);
	return true;
}

/* Everything deferred that can be had: own bags, the shared stack, and with `others` every CPU that can be stopped. */
static struct chain harvest(struct ramka_cpu *cpu, bool others)
{
	struct ramka *r = cpu->r;
	struct chain all = unshare(r);

	if (cpu->defer && section_enter(cpu)) {
		take_all(r, cpu->defer, &all);
		section_leave(cpu);
	}
	if (others && others_wait(cpu))
		cpu_for_each_stopped(r, cpu, take_all_of, &all);
	return all;
}

bool defer_wait_bounded(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	struct chain all;
	uint64_t cookie;
	bool over = false;

	if (!r->has_rcu)
		return false;
	all = harvest(cpu, true);
	if (!all.head)
		return false;
	cookie = r->rcu.snapshot(r->rcu.ctx);
	if (r->rcu.expedite)
		r->rcu.expedite(r->rcu.ctx);
	if (r->rcu.wait_bounded)
		over = r->rcu.wait_bounded(r->rcu.ctx, cookie);
	for (unsigned i = 0; i < 256 && !over; i++)
		over = r->rcu.elapsed(r->rcu.ctx, cookie);
	if (over)
		chain_free(cpu, all);
	else
		share(r, all);
	return over;
}

void ramka_reclaim(struct ramka_cpu *cpu, bool may_wait)
{
	struct ramka *r = cpu->r;
	struct chain all;

	if (!r->has_rcu)
		return;
	if (may_wait && r->rcu.wait) {
		/* what on_drop deferred in turn is in the own bags or the shared stack */
		for (bool others = true; (all = harvest(cpu, others)).head; others = false) {
			r->rcu.wait(r->rcu.ctx, r->rcu.snapshot(r->rcu.ctx));
			chain_free(cpu, all);
		}
		return;
	}
	defer_poll_all(cpu);
}

void defer_offline(struct ramka_cpu *cpu)
{
	struct chain all = { 0 };

	/* as cpu_drain_own: a drainer may hold the CPU just now */
	for (unsigned i = 0; i < 10000 && cpu->defer && ramka_load(&cpu->defer->frames, relaxed, stat); i++) {
		if (!section_enter(cpu))
			continue;
		take_all(cpu->r, cpu->defer, &all);
		section_leave(cpu);
	}
	share(cpu->r, all);
}

uint64_t defer_count(const struct ramka *r)
{
	uint64_t n = ramka_load(&r->deferred_frames, relaxed, stat);

	for (unsigned i = 0; i < r->nr_cpus; i++)
		n += ramka_load(&r->cpus[i].cpu.defer->frames, relaxed, stat);
	return n;
}
