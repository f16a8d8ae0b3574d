/* SPDX-License-Identifier: MIT */
/*
 * Deferral: a table of frames that readers look up without a reference; writers replace entries and give the old
 * frame up by put_rcu (or by put, where its type defers). A reader that holds a pointer must find the frame as it
 * was until it announces itself quiescent, and no frame may be seen two or more grace periods after its removal (the
 * "age", as rcutorture counts it). Readers also turn pointers into references. Now and then one stalls.
 * Callers obey the high-water mark, so the backlog of a CPU stays below it.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness.h"

#define ENTRIES 512u
#define LOOKS 8u
#define AGES 8u

static _Atomic(struct ramka_frame *) table[ENTRIES];
static _Atomic uint32_t *removed; /* by frame: grace periods over when it was removed, + 1 */
static _Atomic uint32_t periods;  /* whole grace periods that the main thread has seen */
static _Atomic uint64_t ages[AGES];
static uint64_t cookie;

struct sight {
	struct ramka_frame *frame;
	uint64_t word;
	uint32_t seq;
};

static uint64_t index_of(struct ramka_frame *f)
{
	return frame_at(ramka_frame_paddr(world.r, f));
}

static uint64_t word_of(struct ramka_frame *f)
{
	/* plain: a race if the frame is in other hands */
	return *(const uint64_t *)ramka_frame_content(world.r, f);
}

static void look(struct sight *s, struct ramka_frame *f)
{
	struct tag *t = tag_of(f);

	CHECK(t, "a reader finds frame %#llx with another type",
	      (unsigned long long)ramka_frame_paddr(world.r, f));
	tag_check(t, ramka_frame_paddr(world.r, f));
	*s = (struct sight){ f, word_of(f), t->seq };
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
	age = atomic_load_explicit(&periods, memory_order_relaxed) - (gone - 1);
	atomic_fetch_add_explicit(&ages[age < AGES ? age : AGES - 1], 1, memory_order_relaxed);
	CHECK(age < 2, "frame %#llx is seen %u grace periods after its removal", (unsigned long long)pa, age);
}

/* From a pointer to a reference: it may be too late. */
static void try_get(struct worker *w, const struct sight *s)
{
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(world.r, ramka_frame_paddr(world.r, s->frame), &f);

	if (rc) {
		CHECK(rc == RAMKA_E_BUSY, "lookup of a frame that a reader sees: %s", ramka_strerror(rc));
		return;
	}
	atomic_fetch_add_explicit(&world.refs[index_of(f)], 1, memory_order_relaxed);
	worker_quiescent(w);
	tag_check(tag_of(f), ramka_frame_paddr(world.r, f));
	CHECK(tag_of(f)->seq == s->seq, "the reference is to another frame");
	atomic_fetch_sub_explicit(&world.refs[index_of(f)], 1, memory_order_relaxed);
	ramka_frame_put(w->cpu, f);
}

static void read_some(struct worker *w)
{
	struct sight s[LOOKS];
	unsigned n = 0;

	for (unsigned i = 0; i < LOOKS; i++) {
		struct ramka_frame *f =
			atomic_load_explicit(&table[rng_below(&w->rng, ENTRIES)], memory_order_acquire);

		if (f)
			look(&s[n++], f);
	}
	if (rng_one_in(&w->rng, 4096)) {
		struct timespec t = { .tv_nsec = 1000000 * (1 + rng_below(&w->rng, 10)) };

		nanosleep(&t, NULL);
	} else if (rng_one_in(&w->rng, 16)) {
		sched_yield();
	}
	for (unsigned i = 0; i < n; i++)
		look_again(&s[i]);
	if (n && rng_one_in(&w->rng, 4))
		try_get(w, &s[0]);
}

static void retire(struct worker *w, struct ramka_frame *f)
{
	int rc = 0;

	atomic_store_explicit(&removed[index_of(f)], atomic_load_explicit(&periods, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_fetch_sub_explicit(&world.refs[index_of(f)], 1, memory_order_relaxed);
	calling(w, 1);
	if (ramka_frame_type(world.r, f) == &rcu_type && rng_one_in(&w->rng, 2))
		ramka_frame_put(w->cpu, f);
	else
		rc = ramka_frame_put_rcu(rng_one_in(&w->rng, 32) ? ramka_cpu_none(world.r) : w->cpu, f);
	CHECK(rc >= 0, "ramka_frame_put_rcu: %s", ramka_strerror(rc));
	if (!w->silent && (rc == RAMKA_PRESSURE || rng_one_in(&w->rng, 4096)))
		worker_reclaim(w, w->cpu);
	else if (rng_one_in(&w->rng, 64))
		ramka_reclaim(w->cpu, false);
	calling(w, 0);
}

static void replace(struct worker *w)
{
	struct ramka_request req = { .flags = rng_one_in(&w->rng, 2) && !w->silent ? RAMKA_ALLOC_WAIT : 0 };
	struct held h = { .frame = NULL };
	struct ramka_frame *old;

	if (!rng_one_in(&w->rng, 8) &&
	    take(w, w->cpu, rng_one_in(&w->rng, 2) ? &rcu_type : &tagged_type, 0, false, req, &h)) {
		atomic_store_explicit(&removed[index_of(h.frame)], 0, memory_order_relaxed);
		atomic_fetch_add_explicit(&world.refs[index_of(h.frame)], 1, memory_order_relaxed);
	}
	old = atomic_exchange_explicit(&table[rng_below(&w->rng, ENTRIES)], h.frame, memory_order_acq_rel);
	if (old)
		retire(w, old);
}

static void step(struct worker *w)
{
	if (w->id % 2 == 0 || w->silent || rng_one_in(&w->rng, 8))
		replace(w);
	if (!w->silent && (w->id % 2 || rng_one_in(&w->rng, 4)))
		read_some(w);
}

static void setup(void)
{
	removed = calloc(world.nr, sizeof(*removed));
	CHECK(removed, "no memory");
	memset((void *)ages, 0, sizeof(ages));
	atomic_store(&periods, 0);
	cookie = 0;
}

/* Counts whole grace periods, one after the other. */
static void tick(void)
{
	struct timespec t = { .tv_nsec = 20000 };

	if (!cookie)
		cookie = world.rcu.snapshot(world.rcu.ctx);
	if (world.rcu.elapsed(world.rcu.ctx, cookie)) {
		atomic_fetch_add(&periods, 1);
		cookie = 0;
	}
	nanosleep(&t, NULL);
}

/*
 * Callers obeyed the high-water mark. A CPU may have more than it allows by what it took over from the shared stack,
 * which is bounded by the same mark, more than once; far more is a mark that nobody was told of.
 */
static void audit(void)
{
	struct ramka_stats s;

	ramka_stats_read(world.r, &s);
	CHECK(s.deferred_peak <= 8 * HIGH_WATER,
	      "%llu frames were deferred on one CPU; the high-water mark is %u",
	      (unsigned long long)s.deferred_peak, HIGH_WATER);
}

static void release(struct worker *w)
{
	for (unsigned i = w->id; i < ENTRIES; i += world.nr_workers) {
		struct ramka_frame *f = atomic_exchange_explicit(&table[i], NULL, memory_order_acq_rel);

		if (f)
			retire(w, f);
	}
}

static void teardown(void)
{
	free(removed);
	if (world.opt.quiet || world.scenario != &defer)
		return;
	printf("  defer     ages of frames that readers saw after their removal:");
	for (unsigned i = 0; i < AGES; i++)
		printf(" %llu", (unsigned long long)atomic_load(&ages[i]));
	printf(", %u grace periods\n", atomic_load(&periods));
}

const struct scenario defer = {
	.name = "defer",
	.about = "put_rcu under readers of a table of frames; ages; the high-water mark",
	.flags = WORLD_READERS,
	.setup = setup,
	.step = step,
	.tick = tick,
	.audit = audit,
	.release = release,
	.teardown = teardown,
};
