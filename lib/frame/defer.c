/* SPDX-License-Identifier: MIT */
/* Deferred reclaim. Protocol: defer.h. */
#include "../base/probe.h"

#include "../cpu/take_back.h"
#include "argument.h"
#include "contracts.h"
#include "defer.h"
#include "drop.h"

#define TWO_BAGS (2 * BAG_SIZE)
#define ALL_FRAMES UINT32_MAX
#define ELAPSED_TRIES 256u     /* where the source cannot wait */
/* of a reclaim without a CPU: what on_drop deferred cannot be told from what others did */
#define STRAY_ROUNDS 64u

static uint64_t figure(const struct ramka_atomic_u64 *c)
{
	return ramka_load(c, relaxed, stat);
}

/* ---- chains ---- */

static struct ramka_frame *frame_at(const struct ramka *r, uint64_t link)
{
	return &r->slots[link - 1];
}

static void set_link(struct ramka_frame *f, uint64_t link)
{
	ramka_store(&f->ref, REF_DEFERRED(link), relaxed, slot.defer);
}

/* Takes at most `limit` frames off the chain, counted; the rest stays in it. */
static struct chain split(const struct ramka *r, struct chain *c, uint32_t limit)
{
	struct chain part = *c;

	if (c->nr <= limit && c->nr != UNCOUNTED) {
		*c = (struct chain){ 0 };
		return part;
	}
	part.nr = 0;
	part.frames = 0;
	for (; c->head && part.nr < limit; part.nr++) {
		const struct ramka_frame *f = frame_at(r, c->head);

		part.frames += (uint64_t)1 << info_order(slot_info(f));
		c->head = ref_link(slot_ref(f));
	}
	if (c->nr != UNCOUNTED) {
		c->nr -= part.nr;
		c->frames -= part.frames;
	}
	return part;
}

/*
 * Frees the frames at the head of the chain that the caches take, up to a bagful in one section, as frame_end
 * would. How many.
 */
static uint32_t chain_keep(struct ramka_cpu *cpu, struct chain *c)
{
	uint32_t nr;

	if (CONTRACTS || unlikely(!section_enter(cpu)))
		return 0;
	nr = cpu_take_back_chain(cpu, &c->head, c->nr < BAG_SIZE ? c->nr : BAG_SIZE);
	c->nr -= nr;
	return nr;
}

struct reaped {
	uint32_t nr;
	bool hooks; /* a frame had an on_drop, which may have deferred more */
};

/*
 * The grace period of these frames is over and they are the caller's. Not inlined, so that the reaper's own
 * variables do not lie on the stack beside an on_drop's.
 */
static noinline void chain_free(struct ramka_cpu *cpu, struct chain *c, struct reaped *ret)
{
	ret->nr += c->nr;
	while (c->nr) {
		struct ramka_frame *f = frame_at(cpu->r, c->head);
		uint64_t info = slot_info(f);

		if (likely(!(info & INFO_HOOK)) && likely(chain_keep(cpu, c)))
			continue;
		c->head = ref_link(slot_ref(f));
		c->nr--;
		if (info & INFO_HOOK)
			ret->hooks = true;
		frame_end(cpu, f, info, "ramka_frame_put_rcu");
	}
}

/* ---- the pile ---- */

static void share(struct ramka *r, uint64_t head, struct ramka_frame *last, uint64_t frames)
{
	uint64_t old;

	ramka_add(&r->deferred_frames, frames, relaxed, stat);
	old = ramka_load(&r->deferred, relaxed, defer.shared);
	do
		set_link(last, old);
	while (!ramka_cas(&r->deferred, &old, head, release, defer.shared));
}

/* ---- bags ---- */

/* A slot without a bag, the first one from `next` on; RING_SIZE: all are taken. */
static unsigned reserve(struct defer *d)
{
	uint32_t next = ramka_load(&d->next, relaxed, stat);

	for (unsigned i = 0; i < RING_SIZE; i++) {
		unsigned slot = (next + i) % RING_SIZE;
		uint64_t word = ramka_load(&d->state[slot], relaxed, defer.bag);

		if (BAG_STATE(word) == BAG_EMPTY &&
		    ramka_cas(&d->state[slot], &word, word + BAG_BUSY, acquire, defer.bag)) {
			ramka_store(&d->next, (slot + 1) % RING_SIZE, relaxed, stat);
			return slot;
		}
	}
	return RING_SIZE;
}

/* The slot is the caller's, in state BUSY. With a bag it becomes SEALED, without one EMPTY. */
static void release(struct defer *d, unsigned slot, enum bag_state state)
{
	uint64_t word = ramka_load(&d->state[slot], relaxed, defer.bag);

	ramka_store(&d->state[slot], word - BAG_BUSY + BAG_USE + (uint64_t)state, release, defer.bag);
}

static void seal(struct defer *d, unsigned slot, struct chain c, uint64_t cookie)
{
	d->bags[slot].chain = c;
	ramka_store(&d->bags[slot].cookie, cookie, relaxed, defer.bag);
	release(d, slot, BAG_SEALED);
	probe(seal, c.nr, cookie);
}

/* Base frames in the open bag. */
static uint64_t open_frames(const struct defer *d)
{
	return figure(&d->in) - figure(&d->sealed);
}

/* Base frames in the ring of a CPU. */
static uint64_t ring_frames(const struct defer *d)
{
	return figure(&d->sealed) - figure(&d->out);
}

/* Empties the open bag. */
static struct chain take_open(struct defer *d)
{
	uint64_t frames = open_frames(d);
	struct chain c = { .head = d->head, .frames = frames, .nr = (uint32_t)(frames - d->tails) };

	d->head = 0;
	d->tails = 0;
	d->stop = figure(&d->in); /* the next frame opens a bag */
	ramka_store(&d->sealed, figure(&d->in), relaxed, stat);
	return c;
}

/*
 * The open bag becomes a bag with a cookie, if a slot is free. Inside the section or while the CPU is
 * stopped.
 */
static bool seal_open(struct ramka *r, struct defer *d)
{
	uint64_t waiting = defer_waiting(d);
	struct chain c;
	unsigned slot;

	if (!d->head)
		return true;
	if (waiting > figure(&d->peak))
		ramka_store(&d->peak, waiting, relaxed, stat);
	slot = reserve(d);
	if (slot == RING_SIZE)
		return false;
	if (!ring_frames(d)) /* it will be the only bag */
		ramka_store(&d->first, slot, relaxed, stat);
	c = take_open(d);
	seal(d, slot, c, r->rcu.snapshot(r->rcu.ctx)); /* after the last frame went in */
	return true;
}

/* The same for the pile. */
static bool seal_pile(struct ramka *r)
{
	struct defer *d = r->none->defer;
	struct chain c = { .nr = UNCOUNTED };
	unsigned slot;

	if (!ramka_load(&r->deferred, relaxed, defer.shared))
		return true;
	slot = reserve(d);
	if (slot == RING_SIZE)
		return false;
	ramka_store(&r->deferred_pile, 0, relaxed, stat);
	c.head = ramka_xchg(&r->deferred, 0, acquire, defer.shared);
	if (c.head)
		seal(d, slot, c, r->rcu.snapshot(r->rcu.ctx)); /* after the exchange */
	else
		release(d, slot, BAG_EMPTY);
	return true;
}

enum taken { NO_BAG, UNRIPE, TAKEN };

/* Takes at most `limit` frames of the bag in a slot, if its grace period is over. */
static noinline enum taken take_ripe(struct ramka *r, struct defer *d, unsigned slot, uint32_t limit,
				     struct chain *ret)
{
	struct chain *c = &d->bags[slot].chain;
	uint64_t word = ramka_load(&d->state[slot], acquire, defer.bag);
	bool counted;

	if (BAG_STATE(word) != BAG_SEALED)
		return NO_BAG;
	if (!r->rcu.elapsed(r->rcu.ctx, ramka_load(&d->bags[slot].cookie, relaxed, defer.bag)))
		return UNRIPE;
	if (!ramka_cas(&d->state[slot], &word, word - BAG_SEALED + BAG_BUSY, relaxed, defer.bag))
		return NO_BAG;
	counted = c->nr != UNCOUNTED;
	*ret = split(r, c, limit);
	if (counted)
		ramka_add(&d->out, ret->frames, relaxed, stat);
	else
		ramka_sub(&r->deferred_frames, ret->frames, relaxed, stat);
	release(d, slot, c->head ? BAG_SEALED : BAG_EMPTY);
	return TAKEN;
}

/* ---- reaping, in any context ---- */

/*
 * Frees at most `limit` frames of this ring, from slot `first` on. `aged`: it ends at the first bag that is
 * not ripe. Returns the slot where it ended.
 */
static unsigned reap(struct ramka_cpu *cpu, struct defer *d, uint32_t first, uint32_t limit, bool aged,
		     struct reaped *ret)
{
	unsigned slot = first;

	for (unsigned i = 0; i < RING_SIZE && ret->nr < limit; i++) {
		enum taken taken;
		struct chain c;

		if (aged && !ring_frames(d))
			break;
		slot = (first + i) % RING_SIZE;
		taken = take_ripe(cpu->r, d, slot, limit - ret->nr, &c);
		if (taken == UNRIPE && aged)
			break;
		if (taken != TAKEN)
			continue;
		chain_free(cpu, &c, ret);
	}
	return slot;
}

/*
 * Frees up to two bags' worth of the CPU's own ring, the oldest first: from where the last call ended to the
 * first bag that is not ripe. Those behind it are newer, but for a few after other CPUs took some from the
 * middle.
 */
static void reap_own(struct ramka_cpu *cpu)
{
	struct defer *d = cpu->defer;
	struct reaped done = { 0 };

	ramka_store(&d->first, reap(cpu, d, ramka_load(&d->first, relaxed, stat), TWO_BAGS, true, &done),
		    relaxed, stat);
}

/* Frees at most `limit` frames of any ring. */
static void reap_ring(struct ramka_cpu *cpu, struct defer *d, uint32_t limit, struct reaped *ret)
{
	reap(cpu, d, ramka_load(&d->next, relaxed, stat), limit, false, ret);
}

/* Frees at most `limit` frames of all rings, the own one first. */
static struct reaped reap_all(struct ramka_cpu *cpu, uint32_t limit)
{
	struct ramka *r = cpu->r;
	struct reaped done = { 0 };

	reap_ring(cpu, cpu->defer, limit, &done);
	if (cpu->defer != r->none->defer)
		reap_ring(cpu, r->none->defer, limit, &done);
	for (unsigned i = 0; i < r->nr_cpus; i++)
		if (r->cpus[i].cpu.defer != cpu->defer)
			reap_ring(cpu, r->cpus[i].cpu.defer, limit, &done);
	return done;
}

/* The frames that wait outside any CPU's ring. */
static uint64_t waiting_astray(const struct ramka *r)
{
	return figure(&r->deferred_frames) + defer_waiting(r->none->defer);
}

/* At most half of it comes from outside, so that neither is left behind. */
void defer_poll(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	struct reaped done = { 0 };

	if (ramka_load(&cpu->pending, relaxed, drop.pending))
		return;
	if (waiting_astray(r))
		reap_ring(cpu, r->none->defer, cpu->cacheless ? TWO_BAGS : BAG_SIZE, &done);
	if (!cpu->cacheless && ring_frames(cpu->defer))
		reap_own(cpu);
}

/* ---- deferring ---- */

static noinline int pressure(struct ramka *r)
{
	if (r->rcu.expedite)
		r->rcu.expedite(r->rcu.ctx);
	return RAMKA_PRESSURE;
}

/* A bag is full: makes room for what it brings, then seals it. */
static noinline void bag_full(struct ramka_cpu *cpu)
{
	defer_poll(cpu);
	seal_pile(cpu->r);
	if (!section_enter(cpu))
		return;
	seal_open(cpu->r, cpu->defer);
	section_leave(cpu);
}

/*
 * Without a section the frame goes onto the pile. A handle that never has a section reaps what its other
 * users left, as a CPU does.
 */
static noinline void defer_astray(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t frames)
{
	struct ramka *r = cpu->r;

	ramka_add(&cpu->defer->astray, 1, relaxed, stat);
	share(r, slot_index(r, f) + 1, f, frames);
	if (ramka_add(&r->deferred_pile, 1, relaxed, stat) + 1 < BAG_SIZE)
		return;
	if (cpu->cacheless)
		defer_poll(cpu);
	seal_pile(r);
}

/*
 * With the first frame of a bag, since a thread that lives shortly never fills one: what CPUs that went off
 * line and callers without a section left.
 */
static noinline bool too_many_astray(struct ramka_cpu *cpu)
{
	if (waiting_astray(cpu->r) >= BAG_SIZE)
		defer_poll(cpu);
	return waiting_astray(cpu->r) > figure(&cpu->r->high_water);
}

/*
 * From here on base frames are pushed without a look, until one would fill a bag or lie above the high-water
 * mark. With `nr` frames in the open bag.
 */
static void set_stop(const struct ramka *r, struct defer *d, uint64_t nr)
{
	uint64_t waiting = defer_waiting(d), mark = figure(&r->high_water);
	uint64_t room = BAG_SIZE - 1 - nr % BAG_SIZE;

	if (waiting + room > mark)
		room = waiting < mark ? mark - waiting : 0;
	d->stop = figure(&d->in) + room;
}

/*
 * Frame f, whose link is set, goes first in the open bag, and what is due with it is done. Inside the
 * section; leaves it.
 */
static int open_push(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t frames)
{
	struct ramka *r = cpu->r;
	struct defer *d = cpu->defer;
	uint64_t nr;

	d->head = slot_index(r, f) + 1;
	d->tails += frames - 1;
	own_add(&d->in, frames);
	nr = open_frames(d) - d->tails;
	set_stop(r, d, nr);
	section_leave(cpu);
	if (nr == 1 && too_many_astray(cpu))
		return pressure(r);
	if (nr % BAG_SIZE == 0)
		bag_full(cpu);
	return likely(defer_waiting(d) <= figure(&r->high_water)) ? 0 : pressure(r);
}

bool defer_last(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info, int *ret)
{
	uint64_t old = REF_SHARED(1);

	if (unlikely(!section_enter(cpu)))
		return false;
	if (unlikely(!ramka_cas(&f->ref, &old, REF_DEFERRED(cpu->defer->head), acquire, slot.drop))) {
		section_leave(cpu);
		return false;
	}
	*ret = open_push(cpu, f, (uint64_t)1 << info_order(info));
	return true;
}

int defer_frame(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info)
{
	uint64_t frames = (uint64_t)1 << info_order(info);

	if (likely(section_enter(cpu))) {
		set_link(f, cpu->defer->head);
		return open_push(cpu, f, frames);
	}
	defer_astray(cpu, f, frames);
	return likely(waiting_astray(cpu->r) <= figure(&cpu->r->high_water)) ? 0 : pressure(cpu->r);
}

/* ---- sealing everything ---- */

/* Another CPU stops this one for a moment only. A handler on top of a call of this CPU has to do without. */
static bool enter_patiently(struct ramka_cpu *cpu)
{
	for (unsigned i = 0; i < GIVEN_BACK_TRIES && !ramka_load(&cpu->active, relaxed, section.own); i++)
		if (section_enter(cpu))
			return true;
	return false;
}

static bool seal_own(struct ramka_cpu *cpu)
{
	bool all;

	if (!open_frames(cpu->defer) || !enter_patiently(cpu))
		return true;
	all = seal_open(cpu->r, cpu->defer);
	section_leave(cpu);
	return all;
}

static void seal_stopped(struct ramka_cpu *cpu, void *arg)
{
	if (!seal_open(cpu->r, cpu->defer))
		*(bool *)arg = false;
}

/*
 * Seals every open bag of a CPU that can be stopped, and the pile. False: there were too few slots for all of
 * them.
 */
static bool seal_all(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	bool all = seal_pile(r);

	all &= seal_own(cpu);
	for (unsigned i = 0; i < r->nr_cpus; i++)
		if (&r->cpus[i].cpu != cpu && open_frames(r->cpus[i].cpu.defer)) {
			cpu_for_each_stopped(r, cpu, seal_stopped, &all);
			break;
		}
	return all;
}

/* ---- waiting ---- */

/* The cookie of the oldest bag in this ring. */
static bool oldest_in(struct defer *d, uint64_t *ret_cookie)
{
	uint32_t next = ramka_load(&d->next, relaxed, stat);

	for (unsigned i = 0; i < RING_SIZE; i++) {
		unsigned slot = (next + i) % RING_SIZE;

		if (BAG_STATE(ramka_load(&d->state[slot], acquire, defer.bag)) == BAG_SEALED) {
			*ret_cookie = ramka_load(&d->bags[slot].cookie, relaxed, defer.bag);
			return true;
		}
	}
	return false;
}

static bool oldest(const struct ramka_cpu *cpu, uint64_t *ret_cookie)
{
	const struct ramka *r = cpu->r;

	if (oldest_in(cpu->defer, ret_cookie) || oldest_in(r->none->defer, ret_cookie))
		return true;
	for (unsigned i = 0; i < r->nr_cpus; i++)
		if (oldest_in(r->cpus[i].cpu.defer, ret_cookie))
			return true;
	return false;
}

/*
 * The caller may wait, so it is outside read sections: a source that counts CPUs need not wait for its own.
 */
static void announce(const struct ramka_cpu *cpu)
{
	const struct ramka *r = cpu->r;

	if (r->rcu.quiescent && !cpu->cacheless)
		r->rcu.quiescent(r->rcu.ctx, cpu->id, r->nr_cpus);
}

/* Waits as long as the source wants to. True: the grace period is over. */
static bool wait_for(struct ramka_cpu *cpu, uint64_t cookie)
{
	const struct ramka_rcu_ops *rcu = &cpu->r->rcu;

	announce(cpu);
	if (rcu->expedite)
		rcu->expedite(rcu->ctx);
	if (rcu->wait_bounded)
		return rcu->wait_bounded(rcu->ctx, cookie);
	if (rcu->wait) {
		rcu->wait(rcu->ctx, cookie);
		return true;
	}
	for (unsigned i = 0; i < ELAPSED_TRIES; i++)
		if (rcu->elapsed(rcu->ctx, cookie))
			return true;
	return false;
}

bool defer_more(struct ramka_cpu *cpu, struct defer_try *t, bool may_wait)
{
	struct ramka *r = cpu->r;
	uint64_t cookie;

	if (!r->has_rcu || !defer_count(r))
		return false;
	if (!t->begun) {
		t->sealed = seal_all(cpu);
		t->limit = TWO_BAGS;
		t->begun = true;
	} else if (!t->sealed) { /* there is room now */
		t->sealed = true;
		seal_all(cpu);
	}
	for (;;) {
		uint32_t nr = t->limit ? reap_all(cpu, t->limit).nr : 0;

		t->limit = nr < t->limit ? 0 : t->limit < ALL_FRAMES / 2 ? t->limit * 2 : ALL_FRAMES;
		if (nr)
			return true;
		if (!may_wait || t->waits >= 2 || !oldest(cpu, &cookie))
			return false;
		if (t->waits++) {
			seal_all(cpu);
			cookie = r->rcu.snapshot(r->rcu.ctx);
		}
		if (!wait_for(cpu, cookie))
			t->waits = 2; /* younger bags are not ripe either; other CPUs' may be */
		t->limit = TWO_BAGS;
	}
}

/* Seals, waits until the grace period of all that is sealed now is over, and frees it. */
static struct reaped wait_for_all(struct ramka_cpu *cpu, bool (*seal_them)(struct ramka_cpu *cpu),
				  bool *ret_sealed)
{
	struct ramka *r = cpu->r;
	uint64_t cookie;

	*ret_sealed = seal_them(cpu);
	cookie = r->rcu.snapshot(r->rcu.ctx);
	announce(cpu);
	r->rcu.wait(r->rcu.ctx, cookie);
	return reap_all(cpu, ALL_FRAMES);
}

/* What an on_drop on this CPU may have deferred. */
static bool seal_mine(struct ramka_cpu *cpu)
{
	seal_pile(cpu->r);
	return seal_own(cpu);
}

static uint64_t deferred_by(const struct ramka_cpu *cpu)
{
	return figure(&cpu->defer->in) + figure(&cpu->defer->astray);
}

void ramka_reclaim(struct ramka_cpu *cpu, bool may_wait)
{
	struct ramka *r = cpu->r;
	unsigned idle = 0;
	bool sealed = true;
	struct reaped done;
	uint64_t before;

	if (!r->has_rcu || !cpu_argument_ok(cpu, "ramka_reclaim"))
		return;
	if (!may_wait || !r->rcu.wait) {
		sealed = seal_all(cpu);
		reap_all(cpu, ALL_FRAMES);
		if (!sealed) /* there is room now */
			seal_all(cpu);
		return;
	}
	if (!defer_count(r))
		return;
	/*
	 * A bag that found no slot in the first round finds one in the second, since all bags that filled the
	 * rings are free by then. Later rounds are for frames that an on_drop deferred in turn. Other CPUs
	 * may go on deferring; this call does not wait for theirs. Rounds that free nothing come to an end: a
	 * source may refuse to wait for a caller that is in a read section.
	 */
	for (unsigned i = 0; i < STRAY_ROUNDS || !cpu->cacheless; i++) {
		before = deferred_by(cpu);
		done = wait_for_all(cpu, !i || (i == 1 && !sealed) ? seal_all : seal_mine, &sealed);
		idle = done.nr ? 0 : idle + 1;
		if (idle == STRAY_ROUNDS || (sealed && !(done.hooks && deferred_by(cpu) != before)))
			break;
	}
}

/* ---- off line ---- */

/* A whole bag moves to a ring that every CPU looks at. */
static void hand_over(struct defer *to, struct defer *from, unsigned slot)
{
	uint64_t word = ramka_load(&from->state[slot], relaxed, defer.bag), cookie;
	struct chain c;
	unsigned place;

	if (BAG_STATE(word) != BAG_SEALED)
		return;
	place = reserve(to);
	if (place == RING_SIZE)
		return;
	if (!ramka_cas(&from->state[slot], &word, word - BAG_SEALED + BAG_BUSY, acquire, defer.bag)) {
		release(to, place, BAG_EMPTY);
		return;
	}
	c = from->bags[slot].chain;
	cookie = ramka_load(&from->bags[slot].cookie, relaxed, defer.bag);
	ramka_add(&from->out, c.frames, relaxed, stat);
	release(from, slot, BAG_EMPTY);
	ramka_add(&to->in, c.frames, relaxed, stat);
	seal(to, place, c, cookie);
}

/*
 * The open bag, which has no cookie yet, goes to the pile, where the next bag is made of it. Inside the
 * section.
 */
static void open_to_pile(struct ramka *r, struct defer *d)
{
	struct chain c = take_open(d);
	struct ramka_frame *last;

	if (!c.head)
		return;
	last = frame_at(r, c.head);
	while (ref_link(slot_ref(last)))
		last = frame_at(r, ref_link(slot_ref(last)));
	ramka_add(&d->out, c.frames, relaxed, stat);
	share(r, c.head, last, c.frames);
	ramka_add(&r->deferred_pile, c.nr, relaxed, stat);
}

void defer_offline(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;
	struct defer *d = cpu->defer;

	if (cpu->cacheless || !r->has_rcu)
		return;
	if (open_frames(d) && enter_patiently(cpu)) {
		open_to_pile(r, d);
		section_leave(cpu);
	}
	for (unsigned i = 0, next = ramka_load(&d->next, relaxed, stat); i < RING_SIZE; i++)
		hand_over(r->none->defer, d, (next + i) % RING_SIZE);
}

/* ---- figures ---- */

uint64_t defer_peak(const struct defer *d)
{
	uint64_t now = defer_waiting(d), before = figure(&d->peak);

	return now > before ? now : before;
}

unsigned defer_age(const struct defer *d)
{
	uint32_t next = ramka_load(&d->next, relaxed, stat);

	for (unsigned i = 0; i < RING_SIZE; i++)
		if (BAG_STATE(ramka_load(&d->state[(next + i) % RING_SIZE], relaxed, defer.bag)) ==
		    BAG_SEALED)
			return RING_SIZE - i;
	return 0;
}

uint64_t defer_count(const struct ramka *r)
{
	uint64_t n = waiting_astray(r);

	for (unsigned i = 0; i < r->nr_cpus; i++)
		n += defer_waiting(r->cpus[i].cpu.defer);
	return n;
}
