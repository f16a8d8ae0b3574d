/* SPDX-License-Identifier: MIT */
/*
 * Tables: each worker builds page tables of three levels over typed frames, shows them to all, changes entries and
 * tears subtrees and whole trees down; all others walk them without a lock or a reference, and must find nodes that
 * are nodes of the right level and frames that are whole.
 */
#include "harness.h"

#define LEVELS 3u
#define ENTRIES 16u
#define PRESENT 1u

static _Atomic(struct ramka_frame *) root[MAX_WORKERS];

static bool child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	if (!(pte & PRESENT))
		return false;
	*ret_pa = pte & ~(uint64_t)(RAMKA_PAGE_SIZE - 1);
	*ret_is_node = level > 1;
	return true;
}

static const struct ramka_pt_config config = { .levels = LEVELS, .entries = ENTRIES, .child = child };

static _Atomic uint64_t *entries(struct ramka_frame *f)
{
	return ramka_frame_content(world.r, f);
}

static uint64_t new_leaf(struct worker *w)
{
	struct held h;

	if (!take(w, w->cpu, &tagged_type, 0, false, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT },
		  &h))
		return 0;
	return ramka_frame_into_raw(world.r, h.frame) | PRESENT;
}

/* A node with some children; the entries are plain until somebody can see them. */
static struct ramka_frame *build(struct worker *w, unsigned level)
{
	struct ramka_frame *f = ramka_pt_alloc(w->cpu, &config, level), *below;

	if (!f)
		return NULL;
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t pte = 0;

		if (!rng_one_in(&w->rng, 3))
			continue;
		if (level == 1) {
			pte = new_leaf(w);
		} else {
			below = build(w, level - 1);
			pte = below ? ramka_frame_into_raw(world.r, below) | PRESENT : 0;
		}
		atomic_store_explicit(&entries(f)[i], pte, memory_order_relaxed);
		ramka_pt_meta(world.r, f)->nr_children += pte != 0;
	}
	return f;
}

static struct ramka_frame *node_at(uint64_t pte, unsigned level)
{
	struct ramka_frame *f = frame_seen(pte & ~(uint64_t)(RAMKA_PAGE_SIZE - 1));

	CHECK(ramka_pt_level(world.r, f) == level, "an entry leads to a node of level %u, not %u",
	      ramka_pt_level(world.r, f), level);
	return f;
}

/* As a lockless walker does: pointers only, within one read section. */
static void walk(struct worker *w, struct ramka_frame *f, unsigned level)
{
	for (unsigned n = 0; n < 3; n++) {
		uint64_t pte =
			atomic_load_explicit(&entries(f)[rng_below(&w->rng, ENTRIES)], memory_order_acquire);
		ramka_paddr_t pa;
		bool is_node;

		if (!child(pte, level, &pa, &is_node))
			continue;
		CHECK(frame_at(pa) < world.nr, "an entry leads nowhere");
		if (is_node) {
			struct ramka_frame *below = node_at(pte, level - 1);

			walk(w, below, level - 1);
		} else {
			tag_check(tag_of(frame_seen(pa)), pa);
			CHECK(owner_of(pa), "a walker finds a free frame");
		}
	}
}

/* The owner changes one entry somewhere in its tree. */
static void change(struct worker *w, struct ramka_frame *f)
{
	unsigned level = LEVELS, i;
	uint64_t pte, old;

	for (;;) {
		i = rng_below(&w->rng, ENTRIES);
		pte = atomic_load_explicit(&entries(f)[i], memory_order_relaxed);
		if (level == 1 || !(pte & PRESENT) || rng_one_in(&w->rng, 4))
			break;
		f = node_at(pte, --level);
	}
	if (level == 1) {
		pte = rng_one_in(&w->rng, 2) ? new_leaf(w) : 0;
	} else {
		struct ramka_frame *below = rng_one_in(&w->rng, 2) ? build(w, level - 1) : NULL;

		pte = below ? ramka_frame_into_raw(world.r, below) | PRESENT : 0;
	}
	old = atomic_exchange_explicit(&entries(f)[i], pte, memory_order_acq_rel);
	if (old & PRESENT) /* a leaf's type does not defer: say so; a node's does */
		ramka_frame_put_rcu(w->cpu,
				    ramka_frame_from_raw(world.r, old & ~(uint64_t)(RAMKA_PAGE_SIZE - 1)));
}

static void replace_root(struct worker *w, struct ramka_frame *f)
{
	f = atomic_exchange_explicit(&root[w->id], f, memory_order_acq_rel);
	if (f)
		ramka_frame_put(w->cpu, f);
}

static void step(struct worker *w)
{
	struct ramka_frame *f = atomic_load_explicit(&root[w->id], memory_order_relaxed);

	if (!f || rng_one_in(&w->rng, 100))
		replace_root(w, rng_one_in(&w->rng, 8) ? NULL : build(w, LEVELS));
	else if (rng_one_in(&w->rng, 2))
		change(w, f);
	f = atomic_load_explicit(&root[rng_below(&w->rng, world.nr_workers)], memory_order_acquire);
	if (f && !w->silent)
		walk(w, f, LEVELS);
	if (rng_one_in(&w->rng, 64))
		ramka_reclaim(w->cpu, false);
	if (!w->silent && rng_one_in(&w->rng, 512))
		worker_reclaim(w, w->cpu);
}

static void release(struct worker *w)
{
	replace_root(w, NULL);
}

const struct scenario tables = {
	.name = "tables",
	.about = "page tables changed and torn down under lockless walkers",
	.flags = WORLD_READERS | WORLD_UNOWNED,
	.step = step,
	.release = release,
};
