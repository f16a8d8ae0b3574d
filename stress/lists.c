/* SPDX-License-Identifier: MIT */
/*
 * Lists: each worker has a list of unique frames and a plain array that says what must be in it, in order. Frames
 * enter and leave at the ends and at cursors, and wander from worker to worker, so that `contains` and the cursors
 * meet frames that are in somebody else's list at the moment.
 */
#include <string.h>

#include "harness.h"

#define LONGEST 200u
#define CELLS 64u

static struct mine {
	struct ramka_list list;
	unsigned n;
	struct ramka_unique *order[LONGEST];
} mine[MAX_WORKERS];
static _Atomic(struct ramka_unique *) cell[CELLS];

static struct linked *meta(struct ramka_unique *u)
{
	return ramka_unique_meta(world.r, u);
}

static struct ramka_unique *new_frame(struct worker *w)
{
	struct linked l = { .tag = tag_make(++w->seq, 0, 0) };
	struct held h = { .type = &linked_type, .seq = w->seq, .unique = true };

	h.frame = (struct ramka_frame *)ramka_unique_alloc(
		w->cpu, &linked_type, &l, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });
	if (!h.frame)
		return NULL;
	taken(w, &h, false);
	return unique_handle(&h);
}

static void free_frame(struct worker *w, struct ramka_unique *u)
{
	tag_check(&meta(u)->tag, ramka_unique_paddr(world.r, u));
	ramka_unique_free(w->cpu, u);
}

static void put_in(struct mine *m, unsigned at, struct ramka_unique *u)
{
	memmove(&m->order[at + 1], &m->order[at], (m->n - at) * sizeof(*m->order));
	m->order[at] = u;
	m->n++;
}

static struct ramka_unique *take_out(struct mine *m, unsigned at)
{
	struct ramka_unique *u = m->order[at];

	m->n--;
	memmove(&m->order[at], &m->order[at + 1], (m->n - at) * sizeof(*m->order));
	return u;
}

static void insert(struct worker *w, struct mine *m, struct ramka_unique *u)
{
	unsigned at = rng_below(&w->rng, m->n + 1);
	struct ramka_cursor c;

	switch (rng_below(&w->rng, 3)) {
	case 0:
		ramka_list_push_front(&m->list, u);
		put_in(m, 0, u);
		break;
	case 1:
		ramka_list_push_back(&m->list, u);
		put_in(m, m->n, u);
		break;
	default:
		c = ramka_list_cursor_front(&m->list);
		for (unsigned i = 0; i < at; i++)
			ramka_cursor_next(&c);
		ramka_cursor_insert_before(&c, u);
		put_in(m, at, u);
	}
}

static struct ramka_unique *extract(struct worker *w, struct mine *m)
{
	unsigned at = rng_below(&w->rng, m->n);
	struct ramka_unique *u, *expected;
	struct ramka_cursor c;

	switch (rng_below(&w->rng, 3)) {
	case 0:
		u = ramka_list_pop_front(&m->list);
		expected = take_out(m, 0);
		break;
	case 1:
		u = ramka_list_pop_back(&m->list);
		expected = take_out(m, m->n - 1);
		break;
	default:
		expected = take_out(m, at);
		CHECK(ramka_list_cursor_at(&m->list, ramka_unique_paddr(world.r, expected), &c),
		      "a list does not find its frame");
		CHECK(ramka_cursor_meta(&c) == &meta(expected)->tag, "a cursor stands elsewhere");
		u = ramka_cursor_take(&c);
	}
	CHECK(u == expected, "a list gave another frame than the one at that place");
	return u;
}

static void check_order(struct mine *m)
{
	struct ramka_cursor c = ramka_list_cursor_front(&m->list);

	CHECK(ramka_list_size(&m->list) == m->n, "a list has %zu frames, not %u", ramka_list_size(&m->list),
	      m->n);
	for (unsigned i = 0; i < m->n; i++, ramka_cursor_next(&c))
		CHECK(ramka_cursor_meta(&c) == &meta(m->order[i])->tag, "a list is out of order at %u", i);
	CHECK(!ramka_cursor_meta(&c), "a list does not end");
}

static void look_around(struct worker *w, struct mine *m)
{
	struct ramka_cursor c;

	for (unsigned i = 0; i < 8; i++) {
		ramka_paddr_t pa = paddr_at(rng_below(&w->rng, (uint32_t)world.nr));
		bool here = false;

		for (unsigned j = 0; j < m->n && !here; j++)
			here = ramka_unique_paddr(world.r, m->order[j]) == pa;
		CHECK(ramka_list_contains(&m->list, pa) == here,
		      "frame %#llx is %sin the list, which says otherwise", (unsigned long long)pa,
		      here ? "" : "not ");
		CHECK(ramka_list_cursor_at(&m->list, pa, &c) == here, "cursor_at disagrees");
	}
}

static void step(struct worker *w)
{
	struct mine *m = &mine[w->id];
	struct ramka_unique *u;

	if (m->n < LONGEST && (!m->n || rng_below(&w->rng, 10) < 5)) {
		u = new_frame(w);
		if (u)
			insert(w, m, u);
	} else {
		u = extract(w, m);
		if (rng_one_in(&w->rng, 2)) {
			free_frame(w, u);
		} else {
			u = atomic_exchange_explicit(&cell[rng_below(&w->rng, CELLS)], u,
						     memory_order_acq_rel);
			if (u)
				insert(w, m, u);
		}
	}
	if (rng_one_in(&w->rng, 64))
		check_order(m);
	if (rng_one_in(&w->rng, 8))
		look_around(w, m);
	if (rng_one_in(&w->rng, 2048)) {
		ramka_list_fini(w->cpu, &m->list);
		m->n = 0;
		CHECK(!ramka_list_init(world.r, &m->list), "ramka_list_init failed");
	}
}

static void setup(void)
{
	for (unsigned i = 0; i < world.nr_workers; i++) {
		mine[i].n = 0;
		CHECK(!ramka_list_init(world.r, &mine[i].list), "ramka_list_init failed");
	}
}

static void release(struct worker *w)
{
	for (unsigned i = w->id; i < CELLS; i += world.nr_workers) {
		struct ramka_unique *u = atomic_exchange_explicit(&cell[i], NULL, memory_order_acquire);

		if (u)
			free_frame(w, u);
	}
	check_order(&mine[w->id]);
	ramka_list_fini(w->cpu, &mine[w->id].list);
}

const struct scenario lists = {
	.name = "lists",
	.about = "lists of unique frames that wander between them",
	.setup = setup,
	.step = step,
	.release = release,
};
