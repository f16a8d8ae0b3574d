/* SPDX-License-Identifier: MIT */
/*
 * Programmer errors that go to the panic function, each by a panic that returns and by one that jumps. Exactly one report,
 * from the right function; no effect; nothing lost: every test ends with an audit and with the memory as it was.
 */
#include "unit/fixture.h"

struct note { struct ramka_link link; uint64_t n; };

static unsigned drops;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)meta, (void)paddr, (void)content;
	drops++;
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 17);
static RAMKA_DEFINE_TYPE_PLAIN(stranger, .id = 18); /* never registered */
static RAMKA_DEFINE_TYPE_PLAIN(impostor, .id = 17); /* an id that is another's */
static RAMKA_DEFINE_TYPE_PLAIN(out_of_range, .id = 300);

static const struct ramka_region map[] = {
	{ BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_DETACHED, 0 }, { BASE + 6 * MIB, MIB, RAMKA_KERNEL, 0 },
};

static const bool by_return = false, by_jump = true;

/* Everything that a test needs, in memory that a jump does not touch. */
struct scene {
	struct fixture *f;
	struct ramka_frame *shared, *freed, *in_zone, *big, *deferred, *reserved, *unused, *hole;
	struct ramka_unique *unique, *listed;
	struct ramka_list list;
	struct fixture *other;
	struct ramka_frame *foreign;
	uint8_t nothing[64];
};

static struct scene *scene_open(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct ramka_unique *u = NULL;

	assert_non_null(s);
	s->f = fixture_open((struct spec){ .regions = map, .nr_regions = NELEMS(map), .rcu = true, .high_water = 100 });
	s->f->jumps = *(const bool *)*state;
	drops = 0;
	assert_int_equal(ramka_type_register(s->f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(s->f->r, &plain_type), 0);
	s->shared = ramka_frame_alloc(s->f->cpu[0], &note_type, NULL, ZEROED);
	s->big = ramka_frame_alloc(s->f->cpu[0], &plain_type, NULL, order_req(4));
	s->freed = must_alloc(s->f->cpu[0], UNINIT);
	s->in_zone = must_alloc(s->f->cpu[0], UNINIT);
	s->deferred = must_alloc(s->f->cpu[0], UNINIT);
	s->unique = ramka_unique_alloc(s->f->cpu[0], &note_type, NULL, ZEROED);
	s->listed = u = ramka_unique_alloc(s->f->cpu[0], &note_type, NULL, ZEROED);
	assert_int_equal(ramka_list_init(s->f->r, &s->list), 0);
	ramka_list_push_back(&s->list, u);
	ramka_frame_put(s->f->none, s->in_zone);
	ramka_frame_put(s->f->cpu[0], s->freed);
	assert_int_equal(ramka_frame_put_rcu(s->f->cpu[0], s->deferred), 0);
	s->unused = slot_at(s->f, BASE + 4 * MIB + 3 * PAGE);
	s->reserved = slot_at(s->f, BASE + 6 * MIB);
	s->hole = &s->f->r->slots[5 * MIB / PAGE]; /* a slot of the span, and no frame */
	s->other = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB });
	s->foreign = must_alloc(s->other->cpu[0], UNINIT);
	return s;
}

static void scene_close(struct scene *s)
{
	AUDIT(s->f);
	assert_int_equal(drops, 0);
	assert_int_equal(ramka_list_size(&s->list), 1);
	assert_true(ramka_list_contains(&s->list, ramka_unique_paddr(s->f->r, s->listed)));
	/* all that was held is still there, once */
	assert_int_equal(ramka_frame_refcount(s->shared), 1);
	assert_int_equal(stats(s->f).in_use, 1 + 16 + 1 + 1);
	assert_int_equal(stats(s->f).deferred, 1);
	ramka_frame_put(s->f->cpu[0], s->shared);
	ramka_frame_put(s->f->cpu[0], s->big);
	ramka_unique_free(s->f->cpu[0], s->unique);
	ramka_list_fini(s->f->cpu[0], &s->list);
	assert_int_equal(drops, 3);
	ramka_frame_put(s->other->cpu[0], s->foreign);
	CLOSE(s->f);
	CLOSE(s->other);
	free(s);
}

/* What no shared handle may be: all of them for calls that take one. */
struct bad { struct ramka_frame *frame; enum ramka_state state; };

#define NR_BAD 13u

static struct bad bad_shared(struct scene *s, unsigned i)
{
	const struct bad bad[NR_BAD] = {
		{ NULL, RAMKA_STATE_HOLE },
		{ (struct ramka_frame *)(void *)s->nothing, RAMKA_STATE_HOLE },
		{ (struct ramka_frame *)(void *)((uint8_t *)s->shared + 8), RAMKA_STATE_HOLE },
		{ s->f->r->slots - 1, RAMKA_STATE_HOLE },
		{ s->f->r->slots + s->f->r->nr_slots, RAMKA_STATE_HOLE },
		{ s->foreign, RAMKA_STATE_HOLE },
		{ s->freed, RAMKA_STATE_CACHED },      /* put twice: cached */
		{ s->in_zone, RAMKA_STATE_FREE },      /* put twice: in the bitmap */
		{ s->big + 3, RAMKA_STATE_TAIL },
		{ s->hole, RAMKA_STATE_HOLE },
		{ s->deferred, RAMKA_STATE_DEFERRED },
		{ s->unused, RAMKA_STATE_UNUSED },
		{ slot_of(s->unique), RAMKA_STATE_UNIQUE },
	};

	return bad[i];
}

/* What was reported: the frame's address and state, where it is one. */
static void reported(const struct scene *s, struct bad bad)
{
	assert_string_equal(s->f->bug.argument, "f");
	assert_int_equal(s->f->bug.value, (uintptr_t)bad.frame);
	if (!slot_valid(s->f->r, bad.frame)) {
		assert_true(!s->f->bug.paddr && !s->f->bug.type);
		return;
	}
	assert_int_equal(s->f->bug.paddr, ramka_frame_paddr(s->f->r, bad.frame));
	assert_int_equal(s->f->bug.state, bad.state);
}

/* ---- shared frames ---- */

static void put_of_what_is_not_shared(void **state)
{
	struct scene *s = scene_open(state);

	for (unsigned i = 0; i < NR_BAD; i++)
		for (unsigned who = 0; who < 3; who++) {
			EXPECT_BUG(s->f, "ramka_frame_put", ramka_frame_put(who < 2 ? s->f->cpu[who] : s->f->none, bad_shared(s, i).frame));
			reported(s, bad_shared(s, i));
			AUDIT(s->f);
		}
	scene_close(s);
}

static void put_rcu_of_what_is_not_shared(void **state)
{
	struct scene *s = scene_open(state);

	for (unsigned i = 0; i < NR_BAD; i++) {
		EXPECT_BUG(s->f, "ramka_frame_put_rcu",
			   assert_int_equal(ramka_frame_put_rcu(s->f->cpu[0], bad_shared(s, i).frame), RAMKA_E_INVAL));
		reported(s, bad_shared(s, i));
		AUDIT(s->f);
	}
	scene_close(s);
}

static void get_of_what_is_not_shared(void **state)
{
	struct scene *s = scene_open(state);

	for (unsigned i = 0; i < NR_BAD; i++) {
		EXPECT_BUG(s->f, "ramka_frame_get", assert_null(ramka_frame_get(s->f->r, bad_shared(s, i).frame)));
		reported(s, bad_shared(s, i));
		AUDIT(s->f);
	}
	scene_close(s);
}

static void try_unique_of_what_is_not_shared(void **state)
{
	struct scene *s = scene_open(state);

	for (unsigned i = 0; i < NR_BAD; i++) {
		EXPECT_BUG(s->f, "ramka_frame_try_unique", assert_null(ramka_frame_try_unique(s->f->r, bad_shared(s, i).frame)));
		reported(s, bad_shared(s, i));
	}
	scene_close(s);
}

static void a_segment_from_what_is_not_a_shared_base_frame(void **state)
{
	struct scene *s = scene_open(state);

	for (unsigned i = 0; i <= NR_BAD; i++)
		EXPECT_BUG(s->f, "ramka_segment_from_frame",
			   assert_int_equal(ramka_segment_from_frame(s->f->r, i < NR_BAD ? bad_shared(s, i).frame : s->big).size, 0));
	scene_close(s);
}

static void assign_from_what_is_not_shared(void **state)
{
	struct scene *s = scene_open(state);
	struct ramka_frame **dst = &s->shared;

	for (unsigned i = 1; i < NR_BAD; i++) { /* NULL is legal here */
		EXPECT_BUG(s->f, "ramka_frame_assign", ramka_frame_assign(s->f->cpu[0], dst, bad_shared(s, i).frame));
		assert_int_equal(ramka_frame_refcount(*dst), 1);
		AUDIT(s->f);
	}
	scene_close(s);
}

static void put_bulk_with_bad_ones_among_them(void **state)
{
	struct scene *s = scene_open(state);
	struct ramka_frame *frames[7];

	for (unsigned i = 0; i < NR_BAD; i++) {
		for (unsigned j = 0; j < 7; j++)
			if (j != 3)
				frames[j] = must_alloc(s->f->cpu[1], UNINIT);
		frames[3] = bad_shared(s, i).frame;
		if (bad_shared(s, i).state == RAMKA_STATE_CACHED || bad_shared(s, i).state == RAMKA_STATE_FREE)
			frames[3] = frames[1]; /* twice in one call */
		EXPECT_BUG(s->f, "ramka_frame_put_bulk", ramka_frame_put_bulk(s->f->cpu[1], 7, frames));
		for (unsigned j = 4; s->f->jumps && j < 7; j++) /* what comes behind the jump stays the caller's */
			ramka_frame_put(s->f->cpu[1], frames[j]);
		AUDIT(s->f);
	}
	scene_close(s);
}

static void pointers_that_are_no_slots(void **state)
{
	struct scene *s = scene_open(state);

	for (unsigned i = 0; i < 6; i++) { /* the first ones of the table */
		EXPECT_BUG(s->f, "ramka_frame_into_raw", assert_int_equal(ramka_frame_into_raw(s->f->r, bad_shared(s, i).frame), 0));
		EXPECT_BUG(s->f, "ramka_frame_borrow", assert_null(ramka_frame_borrow(s->f->r, bad_shared(s, i).frame).frame));
	}
	scene_close(s);
}

static void from_raw_of_what_was_never_forgotten(void **state)
{
	struct scene *s = scene_open(state);
	const ramka_paddr_t bad[] = {
		0, 1, UINT64_MAX, UINT64_MAX - 4095, BASE - PAGE, BASE + 7 * MIB, BASE + 5 * MIB, BASE + 1,
		ramka_frame_paddr(s->f->r, s->freed), ramka_frame_paddr(s->f->r, s->in_zone), ramka_frame_paddr(s->f->r, s->big) + PAGE,
		ramka_frame_paddr(s->f->r, s->deferred), ramka_frame_paddr(s->f->r, s->unused), ramka_unique_paddr(s->f->r, s->unique),
	};

	for (unsigned i = 0; i < NELEMS(bad); i++)
		EXPECT_BUG(s->f, "ramka_frame_from_raw", assert_null(ramka_frame_from_raw(s->f->r, bad[i])));
	scene_close(s);
}

static void the_last_reference_of_a_reserved_frame(void **state)
{
	struct scene *s = scene_open(state);
	struct ramka_segment seg = { BASE + 6 * MIB, PAGE };

	for (unsigned i = 0; i < 3; i++) {
		EXPECT_BUG(s->f, "ramka_frame_put", ramka_frame_put(s->f->cpu[0], s->reserved));
		assert_int_equal(ramka_frame_refcount(s->reserved), 1);
		EXPECT_BUG(s->f, "ramka_frame_put_rcu",
			   assert_int_equal(ramka_frame_put_rcu(s->f->cpu[0], s->reserved), RAMKA_E_INVAL));
		assert_int_equal(ramka_frame_refcount(s->reserved), 1);
		EXPECT_BUG(s->f, "ramka_segment_put", ramka_segment_put(s->f->cpu[0], seg));
		assert_int_equal(ramka_frame_refcount(s->reserved), 1);
		AUDIT(s->f);
	}
	scene_close(s);
}

/* ---- types ---- */

static void types_that_nobody_registered(void **state)
{
	struct scene *s = scene_open(state);
	static const struct ramka_type *const bad[] = { NULL, &stranger, &impostor, &out_of_range };
	struct ramka_cpu *cpu = s->f->cpu[0];
	const ramka_paddr_t pa = BASE + 4 * MIB;
	static struct ramka_frame *frame;
	static struct ramka_unique *unique;
	static struct ramka_segment seg;

	frame = NULL;
	unique = NULL;
	seg = (struct ramka_segment){ 1, 2 };
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		EXPECT_BUG(s->f, "ramka_frame_alloc", assert_null(ramka_frame_alloc(cpu, bad[i], NULL, ZEROED)));
		EXPECT_BUG(s->f, "ramka_frame_alloc", assert_null(ramka_frame_alloc(cpu, bad[i], NULL, UNINIT)));
		EXPECT_BUG(s->f, "ramka_unique_alloc", assert_null(ramka_unique_alloc(cpu, bad[i], NULL, order_req(3))));
		EXPECT_BUG(s->f, "ramka_frame_alloc_bulk", assert_int_equal(ramka_frame_alloc_bulk(cpu, bad[i], UNINIT, 1, &frame), 0));
		EXPECT_BUG(s->f, "ramka_frame_from_unused",
			   assert_int_equal(ramka_frame_from_unused(cpu, pa, bad[i], NULL, &frame), RAMKA_E_INVAL));
		EXPECT_BUG(s->f, "ramka_unique_from_unused",
			   assert_int_equal(ramka_unique_from_unused(cpu, pa, bad[i], NULL, &unique), RAMKA_E_INVAL));
		EXPECT_BUG(s->f, "ramka_segment_alloc",
			   assert_int_equal(ramka_segment_alloc(cpu, 3, bad[i], NULL, NULL, UNINIT, &seg), RAMKA_E_INVAL));
		EXPECT_BUG(s->f, "ramka_segment_from_unused",
			   assert_int_equal(ramka_segment_from_unused(cpu, pa, PAGE, bad[i], NULL, NULL, &seg), RAMKA_E_INVAL));
		EXPECT_BUG(s->f, "ramka_unique_repurpose",
			   assert_int_equal(ramka_unique_repurpose(cpu, s->unique, bad[i], NULL), RAMKA_E_INVAL));
		AUDIT(s->f);
	}
	assert_true(!frame && !unique && seg.base == 1 && seg.size == 2);
	scene_close(s);
}

/* ---- unique frames ---- */

/* What no owner's handle may be: the shared one takes the place of the unique one. */
static struct ramka_unique *bad_unique(struct scene *s, unsigned i)
{
	return i < NR_BAD - 1 ? unique_of(bad_shared(s, i).frame) : i == NR_BAD - 1 ? unique_of(s->shared) : s->listed;
}

static void what_is_not_unique(void **state)
{
	struct scene *s = scene_open(state);
	static struct ramka_unique *parts[16];

	memset(parts, 0, sizeof(parts));
	for (unsigned i = 0; i <= NR_BAD; i++) {
		EXPECT_BUG(s->f, "ramka_unique_free", ramka_unique_free(s->f->cpu[i % 2], bad_unique(s, i)));
		EXPECT_BUG(s->f, "ramka_unique_free", ramka_unique_free(s->f->none, bad_unique(s, i)));
		EXPECT_BUG(s->f, "ramka_unique_share", assert_null(ramka_unique_share(s->f->r, bad_unique(s, i))));
		EXPECT_BUG(s->f, "ramka_unique_repurpose",
			   assert_int_equal(ramka_unique_repurpose(s->f->cpu[0], bad_unique(s, i), &plain_type, NULL), RAMKA_E_INVAL));
		EXPECT_BUG(s->f, "ramka_unique_split",
			   assert_int_equal(ramka_unique_split(s->f->r, bad_unique(s, i), 0, parts), RAMKA_E_INVAL));
		if (i < NR_BAD) /* a listed frame may be forgotten */
			EXPECT_BUG(s->f, "ramka_unique_into_raw", assert_int_equal(ramka_unique_into_raw(s->f->r, bad_unique(s, i)), 0));
		AUDIT(s->f);
	}
	assert_null(parts[0]);
	scene_close(s);
}

static void unique_from_raw_of_anything_else(void **state)
{
	struct scene *s = scene_open(state);
	const ramka_paddr_t bad[] = {
		0, UINT64_MAX, BASE - PAGE, BASE + 7 * MIB, BASE + 5 * MIB, BASE + 1, ramka_frame_paddr(s->f->r, s->freed),
		ramka_frame_paddr(s->f->r, s->big) + PAGE, ramka_frame_paddr(s->f->r, s->deferred),
		ramka_frame_paddr(s->f->r, s->unused), ramka_frame_paddr(s->f->r, s->shared),
	};

	for (unsigned i = 0; i < NELEMS(bad); i++)
		EXPECT_BUG(s->f, "ramka_unique_from_raw", assert_null(ramka_unique_from_raw(s->f->r, bad[i])));
	scene_close(s);
}

/* ---- segments ---- */

static void segments_of_somewhere_else(void **state)
{
	struct scene *s = scene_open(state);
	static const struct ramka_segment bad[] = {
		{ BASE + 1, PAGE }, { BASE, PAGE + 1 }, { BASE - PAGE, PAGE }, { BASE - PAGE, 2 * PAGE }, { BASE + 7 * MIB, PAGE },
		{ BASE + 7 * MIB - PAGE, 2 * PAGE }, { UINT64_MAX - 4095, PAGE }, { UINT64_MAX - 4095, 2 * PAGE }, { BASE, UINT64_MAX - 4095 },
	};
	static struct ramka_segment copy, out;
	uint8_t byte = 0;

	out = (struct ramka_segment){ 1, 2 };
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		copy = bad[i];
		EXPECT_BUG(s->f, "ramka_segment_put", ramka_segment_put(s->f->cpu[0], bad[i]));
		EXPECT_BUG(s->f, "ramka_segment_get", assert_int_equal(ramka_segment_get(s->f->r, bad[i]).size, 0));
		EXPECT_BUG(s->f, "ramka_segment_next", assert_null(ramka_segment_next(s->f->r, &copy)));
		assert_memory_equal(&copy, &bad[i], sizeof(copy));
		EXPECT_BUG(s->f, "ramka_segment_is", assert_false(ramka_segment_is(s->f->r, bad[i], &plain_type)));
		EXPECT_BUG(s->f, "ramka_segment_read", assert_int_equal(ramka_segment_read(s->f->r, bad[i], 0, &byte, 1), RAMKA_E_INVAL));
		EXPECT_BUG(s->f, "ramka_segment_write", assert_int_equal(ramka_segment_write(s->f->r, bad[i], 0, &byte, 1), RAMKA_E_INVAL));
		if (i == 2 || i == 4 || i == 6) /* no frame of them is one */
			EXPECT_BUG(s->f, "ramka_segment_slice",
				   assert_int_equal(ramka_segment_slice(s->f->r, bad[i], 0, PAGE, &out), RAMKA_E_INVAL));
	}
	assert_true(out.base == 1 && out.size == 2);
	scene_close(s);
}

/* A segment that covers frames which are not shared: the references that were taken are given back. */
static void get_of_a_segment_with_a_hole_in_it(void **state)
{
	struct scene *s = scene_open(state);
	static struct ramka_segment seg;
	struct ramka_frame *first;

	assert_int_equal(ramka_segment_alloc(s->f->cpu[0], 8, &plain_type, NULL, NULL, UNINIT, &seg), 0);
	first = slot_at(s->f, seg.base);
	for (unsigned i = 0; i < 8; i++) {
		struct ramka_segment one = { seg.base + i * PAGE, PAGE };
		struct ramka_unique *u = ramka_frame_try_unique(s->f->r, ramka_segment_next(s->f->r, &one));

		EXPECT_BUG(s->f, "ramka_segment_get", assert_int_equal(ramka_segment_get(s->f->r, seg).size, 0));
		if (s->f->jumps) /* a jump out of the middle leaves what was counted so far */
			ramka_segment_put(s->f->cpu[0], (struct ramka_segment){ seg.base, i * PAGE });
		for (unsigned j = 0; j < 8; j++)
			assert_int_equal(ramka_frame_refcount(first + j), j == i ? 0 : 1);
		ramka_segment_from_frame(s->f->r, ramka_unique_share(s->f->r, u));
	}
	ramka_segment_put(s->f->cpu[0], seg);
	scene_close(s);
}

/* ---- lists ---- */

static void pushes_that_cannot_be(void **state)
{
	struct scene *s = scene_open(state);
	static struct ramka_list second, ended;
	struct ramka_unique *bare = ramka_unique_alloc(s->f->cpu[0], &plain_type, NULL, UNINIT);
	struct ramka_cursor c;

	assert_int_equal(ramka_list_init(s->f->r, &second), 0);
	assert_int_equal(ramka_list_init(s->f->r, &ended), 0);
	ramka_list_fini(s->f->cpu[0], &ended);
	c = ramka_list_cursor_front(&second);
	for (unsigned i = 0; i <= NR_BAD + 1; i++) { /* not unique; listed already; no room for the link */
		struct ramka_unique *u = i <= NR_BAD ? bad_unique(s, i) : bare;

		EXPECT_BUG(s->f, "ramka_list_push_front", ramka_list_push_front(&second, u));
		EXPECT_BUG(s->f, "ramka_list_push_back", ramka_list_push_back(&second, u));
		EXPECT_BUG(s->f, "ramka_cursor_insert_before", ramka_cursor_insert_before(&c, u));
		assert_int_equal(ramka_list_size(&second), 0);
	}
	EXPECT_BUG(s->f, "ramka_list_push_back", ramka_list_push_back(&s->list, s->listed)); /* in this list already */
	EXPECT_BUG(s->f, "ramka_list_push_front", ramka_list_push_front(&ended, s->unique)); /* a list that is none any more */
	EXPECT_BUG(s->f, "ramka_list_push_back", ramka_list_push_back(&ended, s->unique));
	assert_int_equal(ramka_list_size(&ended), 0);
	ramka_unique_free(s->f->cpu[0], bare); /* still the caller's */
	scene_close(s);
}

static void cursors_whose_frame_left(void **state)
{
	struct scene *s = scene_open(state);
	static struct ramka_cursor c;
	static struct ramka_unique *gone;

	ramka_list_push_back(&s->list, s->unique);
	assert_true(ramka_list_cursor_at(&s->list, ramka_unique_paddr(s->f->r, s->unique), &c));
	gone = ramka_list_pop_back(&s->list);
	assert_ptr_equal(gone, s->unique);
	EXPECT_BUG(s->f, "ramka_cursor_next", ramka_cursor_next(&c));
	EXPECT_BUG(s->f, "ramka_cursor_prev", ramka_cursor_prev(&c));
	EXPECT_BUG(s->f, "ramka_cursor_meta", assert_null(ramka_cursor_meta(&c)));
	EXPECT_BUG(s->f, "ramka_cursor_take", assert_null(ramka_cursor_take(&c)));
	EXPECT_BUG(s->f, "ramka_cursor_insert_before", ramka_cursor_insert_before(&c, s->unique));
	assert_ptr_equal(c.at, s->unique);
	scene_close(s);
}

int main(void)
{
#define BOTH(test) { #test, test, NULL, NULL, (void *)(uintptr_t)&by_return }, \
		   { #test "_by_longjmp", test, NULL, NULL, (void *)(uintptr_t)&by_jump }
	const struct CMUnitTest tests[] = {
		BOTH(put_of_what_is_not_shared),
		BOTH(put_rcu_of_what_is_not_shared),
		BOTH(get_of_what_is_not_shared),
		BOTH(try_unique_of_what_is_not_shared),
		BOTH(a_segment_from_what_is_not_a_shared_base_frame),
		BOTH(assign_from_what_is_not_shared),
		BOTH(put_bulk_with_bad_ones_among_them),
		BOTH(pointers_that_are_no_slots),
		BOTH(from_raw_of_what_was_never_forgotten),
		BOTH(the_last_reference_of_a_reserved_frame),
		BOTH(types_that_nobody_registered),
		BOTH(what_is_not_unique),
		BOTH(unique_from_raw_of_anything_else),
		BOTH(segments_of_somewhere_else),
		BOTH(get_of_a_segment_with_a_hole_in_it),
		BOTH(pushes_that_cannot_be),
		BOTH(cursors_whose_frame_left),
	};

	return cmocka_run_group_tests_name("panics", tests, NULL, NULL);
}
