/* SPDX-License-Identifier: MIT */
/* Segments: every function of segment.h, every result. Misuse is in tests/misuse. */
#include "fixture.h"

struct note { uint64_t pa, n; };

static unsigned drops;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)content;
	assert_int_equal(((struct note *)meta)->pa, paddr);
	drops++;
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 17);

struct build {
	struct fixture *f;
	unsigned n;
};

/* While a segment is built its frames are BUSY, and their metadata zeroed. */
static void init(void *ctx, ramka_paddr_t pa, void *meta)
{
	struct build *b = ctx;
	struct ramka_frame *ret = NULL;
	struct note *note = meta;

	assert_true(all_bytes(meta, 0, sizeof(*note)));
	assert_int_equal(ramka_frame_from_in_use(b->f->r, pa, &ret), RAMKA_E_BUSY);
	assert_int_equal(ramka_frame_from_unused(b->f->none, pa, &note_type, NULL, &ret), RAMKA_E_BUSY);
	assert_null(ret);
	*note = (struct note){ pa, b->n++ };
}

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	drops = 0;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(f->r, &plain_type), 0);
	return f;
}

static int alloc(struct ramka_cpu *cpu, uint64_t nr, struct ramka_request req, struct ramka_segment *ret_s)
{
	return ramka_segment_alloc(cpu, nr, &ramka_type_untyped, NULL, NULL, req, ret_s);
}

/* ---- alloc ---- */

static void any_number_of_frames(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_segment s;

	(void)state;
	for (uint64_t nr = 1; nr <= 2048; nr += nr < 140 ? 1 : nr % 7 + 61) {
		struct build b = { f, 0 };

		drops = 0;
		assert_int_equal(ramka_segment_alloc(f->cpu[nr % 2], nr, &note_type, init, &b, ZEROED, &s), 0);
		assert_int_equal(b.n, nr);
		assert_int_equal(s.size, nr * PAGE);
		assert_int_equal(s.base % PAGE, 0);
		assert_int_equal(in_use(f), nr);
		for (uint64_t i = 0; i < nr; i++) {
			struct ramka_frame *one = slot_at(f, s.base + i * PAGE);

			assert_int_equal(ramka_frame_refcount(one), 1);
			assert_int_equal(ramka_frame_order(one), 0);
			assert_int_equal(((struct note *)ramka_frame_meta(f->r, one))->n, i);
		}
		assert_true(all_bytes(bytes_at(f, s.base), 0, s.size));
		memset(bytes_at(f, s.base), 0xbb, s.size);
		AUDIT(f);
		ramka_segment_put(f->cpu[(nr + 1) % 2], s);
		assert_int_equal(drops, nr);
		assert_int_equal(in_use(f), 0);
	}
	CLOSE(f);
}

static void aligned_as_asked(void **state)
{
	(void)state;
	for (uint64_t first = 0; first < 3; first++)
		for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++) {
			/* memory that starts where nothing is aligned beyond 8 MiB */
			struct ramka_region g = { 8 * MIB + first * 8 * MIB + first * 5 * PAGE, 8 * MIB, RAMKA_USABLE, 0 };
			struct fixture *f = open_with((struct spec){ .regions = &g, .nr_regions = 1 });
			struct ramka_segment s = { 1, 1 };
			uint64_t align = PAGE << order, at = (g.base + align - 1) / align * align;

			for (uint64_t nr = 1; nr <= 600; nr = nr * 3 + 1) {
				bool fits = at + nr * PAGE <= g.base + g.size;
				int rc = alloc(f->cpu[0], nr, order_req(order), &s);

				assert_int_equal(rc, fits ? 0 : RAMKA_E_NOMEM);
				if (rc)
					continue;
				assert_int_equal(s.base % align, 0);
				assert_int_equal(s.size, nr * PAGE);
				ramka_segment_put(f->cpu[1], s);
			}
			CLOSE(f);
		}
}

static void bad_requests(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s = { 77, 88 };

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 0, UNINIT, &s), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], 1, UNINIT, NULL), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], UINT64_MAX, UNINIT, &s), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], (UINT64_C(1) << 52), UNINIT, &s), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], (UINT64_C(1) << 52) + 1, UNINIT, &s), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], (UINT64_C(1) << 52) - 1, UNINIT, &s), RAMKA_E_NOMEM);
	assert_int_equal(alloc(f->cpu[0], UINT32_MAX, UNINIT, &s), RAMKA_E_NOMEM);
	assert_int_equal(alloc(f->cpu[0], (UINT64_C(1) << 32) + 1, UNINIT, &s), RAMKA_E_NOMEM);
	assert_int_equal(alloc(f->cpu[0], 2049, UNINIT, &s), RAMKA_E_NOMEM);
	assert_int_equal(alloc(f->cpu[0], 1, order_req(RAMKA_MAX_ORDER + 1), &s), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], 1, (struct ramka_request){ .flags = 128 }, &s), RAMKA_E_INVAL);
	assert_int_equal(alloc(f->cpu[0], 1, (struct ramka_request){ .reserved = 8 }, &s), RAMKA_E_INVAL);
	assert_int_equal(s.base, 77);
	assert_int_equal(s.size, 88);
	CLOSE(f);
	f = open_with((struct spec){ .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
	assert_int_equal(alloc(f->cpu[0], 1, ZEROED, &s), RAMKA_E_UNSUPPORTED);
	assert_int_equal(alloc(f->cpu[0], 1, (struct ramka_request){ .flags = 128 }, &s), RAMKA_E_INVAL);
	assert_int_equal(s.base, 77);
	assert_int_equal(alloc(f->cpu[0], 1, UNINIT, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

/* A run that no power of two finds: between used frames, across blocks, out of caches. */
static void any_run_is_found(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[2048];
	struct ramka_segment s;
	uint64_t seed = 51;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		uint64_t first = random_next(&seed) % 1500, nr = 1 + random_next(&seed) % 548;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2048), 2048);
		for (unsigned i = 0; i < 2048; i++) { /* the table is sorted by address */
			ramka_paddr_t pa = ramka_frame_paddr(f->r, frames[i]);

			while (pa != BASE + i * PAGE) {
				uint64_t j = (pa - BASE) / PAGE;
				struct ramka_frame *t = frames[j];

				frames[j] = frames[i];
				frames[i] = t;
				pa = ramka_frame_paddr(f->r, t);
			}
		}
		for (uint64_t i = first; i < first + nr; i++)
			ramka_frame_put(f->cpu[i % 2], frames[i]);
		assert_int_equal(alloc(f->cpu[0], nr + 1, UNINIT, &s), RAMKA_E_NOMEM);
		AUDIT(f);
		assert_int_equal(alloc(f->cpu[1], nr, UNINIT, &s), 0);
		assert_int_equal(s.base, BASE + first * PAGE);
		ramka_segment_put(f->cpu[0], s);
		for (uint64_t i = 0; i < 2048; i++)
			if (i < first || i >= first + nr)
				ramka_frame_put(f->cpu[0], frames[i]);
	}
	CLOSE(f);
}

static void segments_respect_limits_and_nodes(void **state)
{
	static const struct ramka_region g[] = { { 8 * MIB, 8 * MIB, RAMKA_USABLE, 0 }, { 16 * MIB, 8 * MIB, RAMKA_USABLE, 1 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = 2 });
	struct ramka_request low = { .addr_bits = 24, .flags = RAMKA_ALLOC_UNINIT, .node = RAMKA_NODE(1) };
	struct ramka_request one = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_NODE_ONLY, .node = RAMKA_NODE(1) };
	struct ramka_segment s, t;

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 2048, low, &s), 0);
	assert_int_equal(s.base, 8 * MIB);
	assert_int_equal(alloc(f->cpu[0], 1, low, &t), RAMKA_E_NOMEM);
	assert_int_equal(alloc(f->cpu[0], 2000, one, &t), 0);
	assert_int_equal(t.base, 16 * MIB);
	assert_int_equal(alloc(f->cpu[0], 49, one, &(struct ramka_segment){ 0, 0 }), RAMKA_E_NOMEM);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(alloc(f->cpu[0], 2049, UNINIT, &s), RAMKA_E_NOMEM); /* not across nodes */
	ramka_segment_put(f->cpu[0], t);
	CLOSE(f);
}

/* ---- from_unused ---- */

static const struct ramka_region mixed[] = {
	{ BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 0 }, { BASE + 2 * MIB, PAGE, RAMKA_RESERVED, 0 },
	{ BASE + 2 * MIB + PAGE, MIB, RAMKA_DETACHED, 0 }, { BASE + 4 * MIB, MIB, RAMKA_DETACHED, 0 },
};

static void claims_across_kinds(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = mixed, .nr_regions = NELEMS(mixed) });
	struct ramka_segment s;
	struct build b = { f, 0 };

	(void)state;
	memset(bytes_at(f, BASE), 0x42, 2 * MIB);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + MIB - 50 * PAGE, 100 * PAGE, &note_type, init, &b, &s), 0);
	assert_int_equal(s.base, BASE + MIB - 50 * PAGE);
	assert_int_equal(s.size, 100 * PAGE);
	assert_int_equal(b.n, 100);
	assert_true(all_bytes(bytes_at(f, s.base), 0x42, s.size));
	assert_int_equal(stats(f).unused, f->start.unused - 50);
	AUDIT(f);
	ramka_segment_put(f->cpu[1], s);
	assert_int_equal(drops, 100);
	assert_int_equal(stats(f).unused, f->start.unused); /* each returned to where it came from */
	CLOSE(f);
}

static void the_last_frame_of_memory(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = mixed, .nr_regions = NELEMS(mixed) });
	struct ramka_segment s;

	(void)state;
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 5 * MIB - PAGE, PAGE, &plain_type, NULL, NULL, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 5 * MIB - PAGE, 2 * PAGE, &plain_type, NULL, NULL, &s),
			 RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 4 * MIB, MIB, &plain_type, NULL, NULL, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

static void claim_errors(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = mixed, .nr_regions = NELEMS(mixed) });
	struct ramka_segment s = { 3, 4 };
	static const struct { ramka_paddr_t base; uint64_t size; int want; } bad[] = {
		{ BASE + 1, PAGE, RAMKA_E_NOT_ALIGNED },
		{ BASE, PAGE + 1, RAMKA_E_NOT_ALIGNED },
		{ UINT64_MAX, PAGE, RAMKA_E_NOT_ALIGNED },
		{ BASE, 0, RAMKA_E_INVAL },
		{ BASE - PAGE, PAGE, RAMKA_E_OUT_OF_BOUND },
		{ BASE - PAGE, 2 * PAGE, RAMKA_E_OUT_OF_BOUND },
		{ BASE + 5 * MIB, PAGE, RAMKA_E_OUT_OF_BOUND },
		{ BASE + MIB, UINT64_MAX - 4095, RAMKA_E_OUT_OF_BOUND },
		{ UINT64_MAX - 4095, PAGE, RAMKA_E_OUT_OF_BOUND },
		{ UINT64_MAX - 4095, 2 * PAGE, RAMKA_E_OUT_OF_BOUND },
		{ BASE + 3 * MIB, MIB, RAMKA_E_OUT_OF_BOUND },          /* runs into a hole */
		{ BASE + 4 * MIB - PAGE, PAGE, RAMKA_E_OUT_OF_BOUND },
		{ BASE + 2 * MIB - 5 * PAGE, 6 * PAGE, RAMKA_E_IN_USE }, /* into a reserved frame */
		{ BASE + 2 * MIB, PAGE, RAMKA_E_IN_USE },
	};

	(void)state;
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		assert_int_equal(ramka_segment_from_unused(f->cpu[0], bad[i].base, bad[i].size, &plain_type, NULL, NULL, &s), bad[i].want);
		AUDIT(f);
		assert_int_equal(in_use(f), 0);
	}
	assert_int_equal(s.base, 3);
	assert_int_equal(s.size, 4);
	CLOSE(f);
}

/* ---- references ---- */

static void gets_slices_splits(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_segment s, t, u, a, b, keep = { 1, 2 };

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 10, UNINIT, &s), 0);
	t = ramka_segment_get(f->r, s);
	assert_int_equal(t.base, s.base);
	assert_int_equal(t.size, s.size);
	assert_int_equal(ramka_segment_slice(f->r, s, 3 * PAGE, 7 * PAGE, &u), 0);
	assert_int_equal(u.base, s.base + 3 * PAGE);
	assert_int_equal(u.size, 4 * PAGE);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(ramka_frame_refcount(slot_at(f, s.base + i * PAGE)), i >= 3 && i < 7 ? 3 : 2);
	assert_int_equal(ramka_segment_slice(f->r, s, 0, 10 * PAGE, &a), 0);
	ramka_segment_put(f->cpu[0], a);

	a = b = keep;
	assert_int_equal(ramka_segment_slice(f->r, s, 1, PAGE, &a), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_segment_slice(f->r, s, 0, PAGE + 1, &a), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_segment_slice(f->r, s, 0, 11 * PAGE, &a), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_slice(f->r, s, 2 * PAGE, PAGE, &a), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_slice(f->r, s, 11 * PAGE, 11 * PAGE, &a), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_slice(f->r, s, UINT64_MAX - 4095, UINT64_MAX - 4095, &a), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_slice(f->r, s, 0, UINT64_MAX - 4095, &a), RAMKA_E_OUT_OF_BOUND);
	for (unsigned i = 0; i <= 10; i++)
		assert_int_equal(ramka_segment_slice(f->r, s, i * PAGE, i * PAGE, &a), RAMKA_E_INVAL);
	assert_int_equal(ramka_segment_split(f->r, s, 0, &a, &b), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_split(f->r, s, 10 * PAGE, &a, &b), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_split(f->r, s, 11 * PAGE, &a, &b), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_split(f->r, s, UINT64_MAX - 4095, &a, &b), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_split(f->r, s, 5, &a, &b), RAMKA_E_NOT_ALIGNED);
	assert_memory_equal(&a, &keep, sizeof(a));
	assert_memory_equal(&b, &keep, sizeof(b));
	for (unsigned i = 0; i < 10; i++) /* refused calls count nothing */
		assert_int_equal(ramka_frame_refcount(slot_at(f, s.base + i * PAGE)), i >= 3 && i < 7 ? 3 : 2);

	assert_int_equal(ramka_segment_split(f->r, s, 4 * PAGE, &a, &b), 0);
	assert_int_equal(a.base, s.base);
	assert_int_equal(a.size, 4 * PAGE);
	assert_int_equal(b.base, s.base + 4 * PAGE);
	assert_int_equal(b.size, 6 * PAGE);
	ramka_segment_put(f->cpu[0], a);
	ramka_segment_put(f->cpu[1], t);
	assert_int_equal(in_use(f), 7); /* b, and one frame of u before it */
	ramka_segment_put(f->cpu[0], b);
	assert_int_equal(in_use(f), 4);
	ramka_segment_put(f->cpu[1], u);
	CLOSE(f);
}

static void hands_over_frame_by_frame(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s, one;
	ramka_paddr_t base;

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 5, UNINIT, &s), 0);
	base = s.base;
	for (unsigned i = 0; i < 5; i++) {
		struct ramka_frame *frame = ramka_segment_next(f->r, &s);

		assert_int_equal(ramka_frame_paddr(f->r, frame), base + i * PAGE);
		assert_int_equal(ramka_frame_refcount(frame), 1); /* the segment's own */
		assert_int_equal(s.size, (4 - i) * PAGE);
		one = ramka_segment_from_frame(f->r, frame);
		assert_int_equal(one.base, base + i * PAGE);
		assert_int_equal(one.size, PAGE);
		ramka_segment_put(f->cpu[0], one);
	}
	assert_null(ramka_segment_next(f->r, &s));
	assert_null(ramka_segment_next(f->r, &s));
	assert_int_equal(s.size, 0);
	ramka_segment_put(f->cpu[0], s); /* empty: nothing */
	CLOSE(f);
}

/* An empty segment owns no frame and touches none. */
static void empty_segments(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment at_frame, nowhere = { 0, 0 }, far = { UINT64_MAX - 4095, 0 }, s;
	uint8_t byte = 1;

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 1, UNINIT, &s), 0);
	at_frame = (struct ramka_segment){ s.base, 0 };
	assert_false(ramka_segment_is(f->r, at_frame, &ramka_type_untyped));
	assert_false(ramka_segment_is(f->r, nowhere, &ramka_type_untyped));
	assert_false(ramka_segment_is(f->r, nowhere, NULL));
	ramka_segment_put(f->cpu[0], at_frame);
	ramka_segment_put(f->cpu[0], nowhere);
	ramka_segment_put(f->cpu[0], far);
	assert_int_equal(ramka_segment_get(f->r, at_frame).size, 0);
	assert_int_equal(ramka_segment_get(f->r, nowhere).size, 0);
	assert_null(ramka_segment_next(f->r, &nowhere));
	assert_int_equal(ramka_segment_read(f->r, nowhere, 0, &byte, 0), 0);
	assert_int_equal(ramka_segment_read(f->r, nowhere, 0, &byte, 1), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_write(f->r, at_frame, 0, &byte, 1), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_split(f->r, nowhere, 0, &at_frame, &far), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_slice(f->r, at_frame, 0, 0, &far), RAMKA_E_INVAL);
	ramka_segment_forget(f->r, nowhere);
	ramka_segment_restore(f->r, nowhere);
	assert_int_equal(ramka_frame_refcount(slot_at(f, s.base)), 1);
	assert_int_equal(byte, 1);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

/* Gives frame i of the segment another type: out of the segment, and in again. */
static void retype(struct fixture *f, struct ramka_segment s, unsigned i, const struct ramka_type *type)
{
	struct ramka_segment rest = { s.base + i * PAGE, PAGE };
	struct ramka_frame *one = ramka_segment_next(f->r, &rest);
	struct ramka_unique *u = ramka_frame_try_unique(f->r, one);
	struct note *note;

	assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, type, NULL), 0);
	note = ramka_unique_meta(f->r, u);
	if (note)
		note->pa = s.base + i * PAGE;
	ramka_segment_from_frame(f->r, ramka_unique_share(f->r, u));
}

static void asks_every_frame_for_its_type(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s;
	struct build b = { f, 0 };

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 5, &note_type, init, &b, ZEROED, &s), 0);
	assert_true(ramka_segment_is(f->r, s, &note_type));
	assert_false(ramka_segment_is(f->r, s, &plain_type));
	for (unsigned i = 0; i < 5; i++) { /* one that differs, anywhere */
		retype(f, s, i, &plain_type);
		assert_false(ramka_segment_is(f->r, s, &note_type));
		retype(f, s, i, &note_type);
	}
	assert_true(ramka_segment_is(f->r, s, &note_type));
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

static void reads_and_writes_across_frames(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	static uint8_t in[3 * 4096], out[3 * 4096];
	struct ramka_segment s;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	assert_int_equal(alloc(f->cpu[0], 4, ZEROED, &s), 0);
	assert_int_equal(ramka_segment_write(f->r, s, 100, in, sizeof(in)), 0);
	assert_int_equal(ramka_segment_read(f->r, s, 100, out, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_memory_equal(bytes_at(f, s.base) + 100, in, sizeof(in));
	assert_int_equal(ramka_segment_write(f->r, s, 4 * PAGE - 1, in, 2), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_write(f->r, s, UINT64_MAX, in, 2), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_read(f->r, s, 5, out, SIZE_MAX), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_segment_read(f->r, s, 4 * PAGE, out, 0), 0);
	assert_int_equal(ramka_segment_write(f->r, s, 4 * PAGE - 1, in, 1), 0);
	/* every frame touched must be untyped, and no other */
	retype(f, s, 2, &plain_type);
	memset(out, 1, sizeof(out));
	assert_int_equal(ramka_segment_read(f->r, s, PAGE, out, PAGE + 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_segment_read(f->r, s, 2 * PAGE, out, 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_segment_write(f->r, s, 3 * PAGE - 1, in, 2), RAMKA_E_INVAL);
	assert_true(all_bytes(out, 1, sizeof(out)));
	assert_int_equal(ramka_segment_read(f->r, s, 0, out, 2 * PAGE), 0);
	assert_int_equal(ramka_segment_read(f->r, s, 3 * PAGE, out, PAGE), 0);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
	f = open_with((struct spec){ .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
	assert_int_equal(alloc(f->cpu[0], 4, UNINIT, &s), 0);
	assert_int_equal(ramka_segment_read(f->r, s, 0, out, 1), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_segment_write(f->r, s, 0, in, 1), RAMKA_E_UNSUPPORTED);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

/* Any part can be freed for itself, whatever the segment was cut from. */
static void is_freed_in_parts(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_segment s, a;
	uint64_t seed = 52;

	(void)state;
	for (uint64_t nr = 1; nr <= 2048; nr = nr * 2 + 1) {
		assert_int_equal(alloc(f->cpu[0], nr, UNINIT, &s), 0);
		while (s.size > PAGE) {
			uint64_t at = (1 + random_next(&seed) % (s.size / PAGE - 1)) * PAGE;
			struct ramka_segment *which = random_next(&seed) % 2 ? &a : &s, rest;

			assert_int_equal(ramka_segment_split(f->r, s, at, &a, &s), 0);
			rest = which == &a ? s : a;
			if (random_next(&seed) % 4 == 0)
				ramka_frame_put(f->cpu[0], ramka_segment_next(f->r, which));
			ramka_segment_put(f->cpu[at / PAGE % 2], *which);
			s = rest;
			AUDIT(f);
		}
		ramka_segment_put(f->cpu[0], s);
	}
	CLOSE(f);
}

static void stays_valid_as_plain_data(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s, raw;

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 3, UNINIT, &s), 0);
	raw = s;
	ramka_segment_forget(f->r, s);
	assert_int_equal(in_use(f), 3);
	ramka_segment_restore(f->r, raw);
	ramka_segment_put(f->cpu[0], raw);
	CLOSE(f);
}

static void segments_count_as_frames(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s;

	(void)state;
	assert_int_equal(alloc(f->cpu[0], 100, UNINIT, &s), 0);
	assert_int_equal(stats(f).allocs, 100);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(stats(f).puts, 100);
	assert_int_equal(alloc(f->none, 100, UNINIT, &s), 0);
	ramka_segment_put(f->none, s);
	assert_int_equal(stats(f).allocs, 200);
	assert_int_equal(stats(f).puts, 200);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_frames),
		cmocka_unit_test(aligned_as_asked),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(any_run_is_found),
		cmocka_unit_test(segments_respect_limits_and_nodes),
		cmocka_unit_test(claims_across_kinds),
		cmocka_unit_test(the_last_frame_of_memory),
		cmocka_unit_test(claim_errors),
		cmocka_unit_test(gets_slices_splits),
		cmocka_unit_test(hands_over_frame_by_frame),
		cmocka_unit_test(empty_segments),
		cmocka_unit_test(asks_every_frame_for_its_type),
		cmocka_unit_test(reads_and_writes_across_frames),
		cmocka_unit_test(is_freed_in_parts),
		cmocka_unit_test(stays_valid_as_plain_data),
		cmocka_unit_test(segments_count_as_frames),
	};

	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
