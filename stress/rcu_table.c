/* SPDX-License-Identifier: MIT */
/* Readers, writers, and the ages of what readers see. See rcu_table.h. */
#include <stdio.h>
#include <string.h>

#include "periods.h"
#include "rcu_table.h"

#define ENTRIES 512u
#define AGES 8u

static _Atomic(struct ramka_frame *) table[ENTRIES];
static _Atomic uint32_t *removed; /* by frame: grace periods over when it was removed, + 1 */
static _Atomic uint64_t ages[AGES];

static uint64_t index_of(struct ramka_frame *f)
{
	return frame_at(ramka_frame_paddr(world.r, f));
}

static uint64_t word_of(struct ramka_frame *f)
{
	/* plain: a race if the frame is in other hands */
	return *(const uint64_t *)ramka_frame_content(world.r, f);
}

/* ---- readers ---- */

static void look(struct sight *s, struct ramka_frame *f)
{
	struct tag *t = tag_of(f);

	CHECK(t, "a reader finds frame %#llx with another type",
	      (unsigned long long)ramka_frame_paddr(world.r, f));
	tag_check(t, ramka_frame_paddr(world.r, f));
	*s = (struct sight){ f, word_of(f), t->seq };
}

unsigned rcu_table_look(struct worker *w, struct sight s[RCU_LOOKS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < RCU_LOOKS; i++) {
		struct ramka_frame *f =
			atomic_load_explicit(&table[rng_below(&w->rng, ENTRIES)], memory_order_acquire);

		if (f)
			look(&s[n++], f);
	}
	return n;
}

static void look_again(const struct sight *s)
{
	ramka_paddr_t pa = ramka_frame_paddr(world.r, s->frame);
	struct tag *t = tag_of(s->frame);
	uint32_t gone, age;

	CHECK(t && t->seq == s->seq && word_of(s->frame) == s->word, "frame %#llx changed under a reader",
	      (unsigned long long)pa);
	tag_check(t, pa);
	CHECK(owner_of(pa), "frame %#llx was freed under a reader", (unsigned long long)pa);
	gone = atomic_load_explicit(&removed[frame_at(pa)], memory_order_relaxed);
	if (!gone)
		return;
	age = (uint32_t)periods_over() - (gone - 1);
	atomic_fetch_add_explicit(&ages[age < AGES ? age : AGES - 1], 1, memory_order_relaxed);
	CHECK(age < 2, "frame %#llx is seen %u grace periods after its removal", (unsigned long long)pa, age);
}

void rcu_table_look_again(const struct sight *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		look_again(&s[i]);
}

/* ---- writers ---- */

static int retire(struct worker *w, struct ramka_cpu *cpu, struct ramka_frame *f)
{
	int rc = 0;

	atomic_store_explicit(&removed[index_of(f)], (uint32_t)periods_over() + 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&world.refs[index_of(f)], 1, memory_order_relaxed);
	calling(w, 1);
	if (ramka_frame_type(world.r, f) == &rcu_type && rng_one_in(&w->rng, 2))
		ramka_frame_put(cpu, f);
	else
		rc = ramka_frame_put_rcu(cpu, f);
	CHECK(rc >= 0, "ramka_frame_put_rcu: %s", ramka_strerror(rc));
	calling(w, 0);
	return rc;
}

static bool new_frame(struct worker *w, struct ramka_cpu *cpu, bool wait, struct held *ret)
{
	const struct ramka_type *type = rng_one_in(&w->rng, 2) ? &rcu_type : &tagged_type;
	bool yes;

	if (!wait)
		return take(w, cpu, type, 0, false, (struct ramka_request){ 0 }, ret);
	worker_offline(w); /* or it would wait for itself, as long as it may */
	yes = take(w, cpu, type, 0, false, (struct ramka_request){ .flags = RAMKA_ALLOC_WAIT }, ret);
	worker_online(w);
	return yes;
}

int rcu_table_replace(struct worker *w, struct ramka_cpu *cpu, bool wait)
{
	struct held h = { .frame = NULL };
	struct ramka_frame *old;

	if (!rng_one_in(&w->rng, 8) && new_frame(w, cpu, wait, &h)) {
		atomic_store_explicit(&removed[index_of(h.frame)], 0, memory_order_relaxed);
		atomic_fetch_add_explicit(&world.refs[index_of(h.frame)], 1, memory_order_relaxed);
	}
	old = atomic_exchange_explicit(&table[rng_below(&w->rng, ENTRIES)], h.frame, memory_order_acq_rel);
	return old ? retire(w, cpu, old) : 0;
}

/* ---- the parts of a scenario ---- */

void rcu_table_setup(void)
{
	removed = calloc(world.nr, sizeof(*removed));
	CHECK(removed, "no memory");
	memset((void *)ages, 0, sizeof(ages));
	periods_setup();
}

void rcu_table_release(struct worker *w)
{
	for (unsigned i = w->id; i < ENTRIES; i += world.nr_workers) {
		struct ramka_frame *f = atomic_exchange_explicit(&table[i], NULL, memory_order_acq_rel);

		if (f && retire(w, w->cpu, f) == RAMKA_PRESSURE)
			worker_reclaim(w, w->cpu);
	}
}

void rcu_table_teardown(void)
{
	free(removed);
	if (world.opt.quiet || world.scenario == &mix)
		return;
	printf("  %-9s ages of frames that readers saw after their removal:", world.scenario->name);
	for (unsigned i = 0; i < AGES; i++)
		printf(" %llu", (unsigned long long)atomic_load(&ages[i]));
	printf(", %llu grace periods\n", (unsigned long long)periods_over());
}
