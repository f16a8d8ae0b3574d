/* SPDX-License-Identifier: MIT */
/*
 * References: frames of a type with an on_drop, whose references are copied, passed between workers through cells,
 * given up by put and put_rcu; walkers take references by address, of whatever is there; sole owners turn a frame
 * unique, write its metadata, give it another life or share it again. Frames hold references to others, so a last
 * put may set off a chain. The shadow count is checked in on_drop and against the slot between rounds.
 */
#include "harness.h"

#define CELLS 256u
#define HOLD_MAX 600u

static _Atomic(struct ramka_frame *) cell[CELLS];

static void count(struct ramka_frame *f, uint32_t n)
{
	atomic_fetch_add_explicit(&world.refs[frame_at(ramka_frame_paddr(world.r, f))], n,
				  memory_order_relaxed);
}

static void check(struct ramka_frame *f)
{
	tag_check(ramka_frame_meta_as(world.r, f, &tagged_type), ramka_frame_paddr(world.r, f));
}

static void hold(struct worker *w, struct ramka_frame *f)
{
	pile_add(&w->pile, &(struct held){ .frame = f, .type = &tagged_type });
}

static struct ramka_frame *any(struct worker *w)
{
	return pile_take(&w->pile, rng_below(&w->rng, w->pile.n)).frame;
}

/* A new frame; sometimes one that holds a reference to another, which the worker had. */
static void create(struct worker *w)
{
	struct ramka_frame *other = w->pile.n && rng_one_in(&w->rng, 4) ? any(w) : NULL, *f;
	struct tag tag = tag_make(++w->seq, 0, other ? ramka_frame_into_raw(world.r, other) : 0);
	struct held h = { .type = &tagged_type, .seq = w->seq };

	f = ramka_frame_alloc(w->cpu, &tagged_type, &tag,
			      (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });
	if (!f) {
		atomic_fetch_add_explicit(&world.failures, 1, memory_order_relaxed);
		if (other)
			hold(w, ramka_frame_from_raw(world.r, tag.next));
		return;
	}
	h.frame = f;
	count(f, 1);
	taken(w, &h, false);
	hold(w, f);
}

static void drop(struct worker *w)
{
	struct ramka_frame *f = any(w);

	check(f);
	count(f, (uint32_t)-1);
	if (rng_one_in(&w->rng, 8))
		CHECK(ramka_frame_put_rcu(w->cpu, f) >= 0, "ramka_frame_put_rcu failed");
	else
		ramka_frame_put(rng_one_in(&w->rng, 16) ? ramka_cpu_none(world.r) : w->cpu, f);
}

static void copy(struct worker *w)
{
	struct ramka_frame *f = any(w), *g;

	hold(w, f);
	count(f, 1);
	if (rng_one_in(&w->rng, 4)) {
		g = NULL;
		ramka_frame_assign(w->cpu, &g, f);
	} else {
		g = ramka_frame_get(world.r, f);
	}
	CHECK(g == f, "ramka_frame_get answers another frame");
	hold(w, g);
}

/* Passes a reference on and takes the one that another worker left. */
static void exchange(struct worker *w)
{
	struct ramka_frame *f = w->pile.n ? any(w) : NULL;

	f = atomic_exchange_explicit(&cell[rng_below(&w->rng, CELLS)], f, memory_order_acq_rel);
	if (f)
		hold(w, f);
}

/* A reference to whatever is at an address. */
static void walk(struct worker *w)
{
	uint64_t index = rng_below(&w->rng, (uint32_t)world.nr);
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(world.r, paddr_at(index), &f);

	if (rc) {
		CHECK(rc == RAMKA_E_UNUSED || rc == RAMKA_E_UNIQUE || rc == RAMKA_E_BUSY ||
			      rc == RAMKA_E_OUT_OF_BOUND || (rc == RAMKA_E_IN_USE && world.scenario == &mix),
		      "ramka_frame_from_in_use: %s", ramka_strerror(rc));
		return;
	}
	count(f, 1);
	CHECK(ramka_frame_paddr(world.r, f) == paddr_at(index),
	      "ramka_frame_from_in_use answers another frame");
	if (ramka_frame_type(world.r, f) == &tagged_type)
		check(f);
	if (ramka_frame_type(world.r, f) == &tagged_type && w->pile.n < HOLD_MAX && rng_one_in(&w->rng, 8)) {
		hold(w, f);
		return;
	}
	count(f, (uint32_t)-1);
	ramka_frame_put(w->cpu, f);
}

/* Sole owner: nobody else can look or come. */
static void own_alone(struct worker *w)
{
	struct ramka_frame *f = any(w);
	ramka_paddr_t pa = ramka_frame_paddr(world.r, f);
	struct ramka_unique *u = ramka_frame_try_unique(world.r, f);
	struct tag *t, tag;
	uint32_t refs;

	if (!u) {
		hold(w, f);
		return;
	}
	refs = atomic_load_explicit(&world.refs[frame_at(pa)], memory_order_relaxed);
	CHECK(refs == 1, "frame %#llx became unique with %u references", (unsigned long long)pa, refs);
	t = ramka_unique_meta(world.r, u);
	tag_check(t, pa);
	tag_set(t, rng_next(&w->rng));
	if (rng_one_in(&w->rng, 4)) {
		count(f, (uint32_t)-1);
		ramka_unique_free(w->cpu, u);
		return;
	}
	if (rng_one_in(&w->rng, 4)) { /* on_drop of the old life runs inside */
		count(f, (uint32_t)-1);
		tag = tag_make(++w->seq, 0, 0);
		CHECK(!ramka_unique_repurpose(w->cpu, u, &tagged_type, &tag),
		      "ramka_unique_repurpose failed");
		own(pa, 1, w->id + 1);
		count(f, 1);
	}
	f = ramka_unique_share(world.r, u);
	CHECK(f, "ramka_unique_share failed");
	hold(w, f);
}

static void step(struct worker *w)
{
	uint32_t x = rng_below(&w->rng, 100);

	if (x < 20)
		walk(w);
	else if (x < 35 || !w->pile.n)
		exchange(w);
	else if (w->pile.n > HOLD_MAX)
		drop(w);
	else if (x < 48)
		create(w);
	else if (x < 58)
		copy(w);
	else if (x < 70)
		own_alone(w);
	else
		drop(w);
	if (!w->pile.n)
		create(w);
	if (rng_one_in(&w->rng, 512))
		ramka_reclaim(w->cpu, false);
}

/* The slots count what the workers count; where others hold references of their own, at least that. */
void check_references(bool exact)
{
	for (uint64_t i = 0; i < world.nr; i++) {
		uint32_t refs = atomic_load_explicit(&world.refs[i], memory_order_relaxed);
		struct ramka_frame *f;
		uint64_t n;

		if (!refs)
			continue;
		CHECK(!ramka_frame_from_in_use(world.r, paddr_at(i), &f),
		      "a frame with %u references is not in use", refs);
		n = ramka_frame_refcount(f) - 1;
		ramka_frame_put(ramka_cpu_none(world.r), f);
		CHECK(exact ? n == refs : n >= refs, "frame %#llx has %llu references, the workers count %u",
		      (unsigned long long)paddr_at(i), (unsigned long long)n, refs);
	}
}

static void audit(void)
{
	check_references(true);
}

static void release(struct worker *w)
{
	struct ramka_frame *f;

	for (unsigned i = w->id; i < CELLS; i += world.nr_workers) {
		f = atomic_exchange_explicit(&cell[i], NULL, memory_order_acquire);
		if (f)
			hold(w, f);
	}
	while (w->pile.n)
		drop(w);
}

const struct scenario refs = {
	.name = "refs",
	.about = "get, put, put_rcu, lookup by address, try_unique, share, chains",
	.step = step,
	.audit = audit,
	.release = release,
};
