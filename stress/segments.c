/* SPDX-License-Identifier: MIT */
/*
 * Segments: of any length, allocated and claimed by address, copied, sliced, split, taken apart frame by frame, and
 * handed from worker to worker, so that the parts of one are given up by different CPUs. Typed frames: the
 * shadow count knows every reference.
 */
#include "harness.h"

#define CELLS 64u
#define MOST_SEGMENTS 128u
#define LONGEST 700u

static struct ramka_segment left[CELLS];
static atomic_flag lock[CELLS];
static struct mine {
	unsigned n;
	uint64_t frames;
	struct ramka_segment s[MOST_SEGMENTS];
} mine[MAX_WORKERS];

static uint64_t frames_of(struct ramka_segment s)
{
	return s.size / RAMKA_PAGE_SIZE;
}

static void count(struct ramka_segment s, uint32_t n)
{
	for (uint64_t i = 0; i < frames_of(s); i++)
		atomic_fetch_add_explicit(&world.refs[frame_at(s.base) + i], n, memory_order_relaxed);
}

static void check(struct ramka_segment s)
{
	for (uint64_t i = 0; i < frames_of(s); i++) {
		ramka_paddr_t pa = s.base + i * RAMKA_PAGE_SIZE;
		struct ramka_frame *f = ramka_frame_from_raw(world.r, pa);
		const uint64_t *words = ramka_frame_content(world.r, f);

		tag_check(tag_of(f), pa);
		CHECK(words[1] == pa && words[511] == ~pa, "frame %#llx of a segment: content changed",
		      (unsigned long long)pa);
	}
}

static void keep(struct mine *m, struct ramka_segment s)
{
	CHECK(m->n < MOST_SEGMENTS, "too many segments");
	m->s[m->n++] = s;
	m->frames += frames_of(s);
}

static struct ramka_segment any(struct worker *w, struct mine *m)
{
	unsigned i = rng_below(&w->rng, m->n);
	struct ramka_segment s = m->s[i];

	m->s[i] = m->s[--m->n];
	m->frames -= frames_of(s);
	return s;
}

/* Runs while the frames are BUSY: nobody may get hold of one. */
static void init_meta(void *ctx, ramka_paddr_t pa, void *meta)
{
	struct worker *w = ctx;
	struct ramka_frame *f;
	int rc;

	*(struct tag *)meta = tag_make(++w->seq, 0, 0);
	if (rng_one_in(&w->rng, 16)) {
		rc = ramka_frame_from_in_use(world.r, pa, &f);
		CHECK(rc == RAMKA_E_BUSY, "lookup of a frame that is being built: %s", ramka_strerror(rc));
	}
}

static void built(struct worker *w, struct mine *m, struct ramka_segment s, uint64_t nr)
{
	CHECK(frames_of(s) == nr, "a segment has %llu frames, not %llu", (unsigned long long)frames_of(s),
	      (unsigned long long)nr);
	CHECK(ramka_segment_is(world.r, s, &tagged_type), "a new segment is not of its type");
	own(s.base, nr, w->id + 1);
	count(s, 1);
	for (uint64_t i = 0; i < nr; i++) {
		ramka_paddr_t pa = s.base + i * RAMKA_PAGE_SIZE;
		uint64_t *words = ramka_frame_content(world.r, ramka_frame_from_raw(world.r, pa));

		words[1] = pa;
		words[511] = ~pa;
	}
	keep(m, s);
}

static void create(struct worker *w, struct mine *m)
{
	struct ramka_request req = { .order = (uint8_t)(rng_one_in(&w->rng, 4) ? rng_below(&w->rng, 6) : 0),
				     .flags = RAMKA_ALLOC_UNINIT };
	uint64_t nr = 1 + rng_below(&w->rng, rng_one_in(&w->rng, 16) ? LONGEST : 40);
	struct ramka_segment s;
	int rc;

	calling(w, 2 * nr);
	rc = ramka_segment_alloc(w->cpu, nr, &tagged_type, init_meta, w, req, &s);
	CHECK(!rc || rc == RAMKA_E_NOMEM, "ramka_segment_alloc: %s", ramka_strerror(rc));
	if (rc) {
		atomic_fetch_add_explicit(&world.failures, 1, memory_order_relaxed);
	} else {
		CHECK(!(s.base & (((uint64_t)RAMKA_PAGE_SIZE << req.order) - 1)), "a segment is not aligned");
		built(w, m, s, nr);
	}
	calling(w, 0);
}

/* By address, mostly in the memory that is there for that, and across its edges. */
static void claim(struct worker *w, struct mine *m)
{
	uint64_t nr = 1 + rng_below(&w->rng, 40),
		 first = world.detached.first + rng_below(&w->rng, (uint32_t)world.detached.nr) - 20;
	struct ramka_segment s;
	int rc;

	if (rng_one_in(&w->rng, 4))
		first = world.first + rng_below(&w->rng, (uint32_t)(world.nr - nr));
	calling(w, nr);
	rc = ramka_segment_from_unused(w->cpu, first << RAMKA_PAGE_SHIFT, nr << RAMKA_PAGE_SHIFT,
				       &tagged_type, init_meta, w, &s);
	if (!rc)
		built(w, m, s, nr);
	else
		CHECK(rc == RAMKA_E_BUSY || rc == RAMKA_E_IN_USE || rc == RAMKA_E_OUT_OF_BOUND ||
			      rc == RAMKA_E_UNIQUE,
		      "ramka_segment_from_unused: %s", ramka_strerror(rc));
	calling(w, 0);
}

static void put(struct worker *w, struct ramka_segment s)
{
	check(s);
	count(s, (uint32_t)-1);
	calling(w, frames_of(s));
	ramka_segment_put(rng_one_in(&w->rng, 16) ? ramka_cpu_none(world.r) : w->cpu, s);
	calling(w, 0);
}

static void copy(struct worker *w, struct mine *m)
{
	struct ramka_segment s = any(w, m), t;
	uint64_t from = rng_below(&w->rng, (uint32_t)frames_of(s)),
		 to = from + 1 + rng_below(&w->rng, (uint32_t)(frames_of(s) - from));

	keep(m, s);
	if (rng_one_in(&w->rng, 2)) {
		t = ramka_segment_get(world.r, s);
		CHECK(t.base == s.base && t.size == s.size, "a copy of a segment is another");
	} else {
		CHECK(!ramka_segment_slice(world.r, s, from * RAMKA_PAGE_SIZE, to * RAMKA_PAGE_SIZE, &t),
		      "ramka_segment_slice failed");
		CHECK(t.base == s.base + from * RAMKA_PAGE_SIZE && frames_of(t) == to - from,
		      "a slice is another");
	}
	count(t, 1);
	keep(m, t);
}

static void take_apart(struct worker *w, struct mine *m)
{
	struct ramka_segment s = any(w, m), a, b;
	struct ramka_frame *f;

	if (frames_of(s) > 1 && rng_one_in(&w->rng, 2)) {
		CHECK(!ramka_segment_split(world.r, s,
					   (1 + rng_below(&w->rng, (uint32_t)(frames_of(s) - 1))) *
						   RAMKA_PAGE_SIZE,
					   &a, &b),
		      "ramka_segment_split failed");
		keep(m, a);
		s = b;
	}
	for (unsigned n = rng_below(&w->rng, 8); n && (f = ramka_segment_next(world.r, &s)); n--) {
		a = ramka_segment_from_frame(world.r, f);
		put(w, a);
	}
	if (s.size)
		keep(m, s);
}

static void exchange(struct worker *w, struct mine *m)
{
	unsigned i = rng_below(&w->rng, CELLS);
	struct ramka_segment other;

	if (atomic_flag_test_and_set_explicit(&lock[i], memory_order_acquire))
		return;
	other = left[i];
	left[i] = any(w, m);
	atomic_flag_clear_explicit(&lock[i], memory_order_release);
	if (other.size)
		keep(m, other);
}

static void step(struct worker *w)
{
	struct mine *m = &mine[w->id % MAX_WORKERS];
	uint32_t x = rng_below(&w->rng, 100);

	if (m->n && (m->n > MOST_SEGMENTS - 8 || m->frames > share_of_memory(60)))
		put(w, any(w, m));
	else if (x < 20 || !m->n)
		create(w, m);
	else if (x < 30)
		claim(w, m);
	else if (x < 42)
		copy(w, m);
	else if (x < 60)
		take_apart(w, m);
	else if (x < 75)
		exchange(w, m);
	else
		put(w, any(w, m));
}

static void release(struct worker *w)
{
	struct mine *m = &mine[w->id % MAX_WORKERS];

	for (unsigned i = w->id; i < CELLS; i += world.nr_workers) {
		if (left[i].size)
			put(w, left[i]);
		left[i].size = 0;
	}
	while (m->n)
		put(w, any(w, m));
}

static void audit(void)
{
	check_references(true);
}

const struct scenario segments = {
	.name = "segments",
	.about = "contiguous frames: slices, splits, parts put by different CPUs",
	.step = step,
	.audit = audit,
	.release = release,
};
