/* SPDX-License-Identifier: MIT */
/*
 * What the original's pages promise and no other test looks at for itself: docs/original.md names the item that each test
 * belongs to.
 */
#include "fixture.h"

struct item { struct ramka_link link; uint64_t n; };

static RAMKA_DEFINE_TYPE(item_type, struct item, .id = 16);
static RAMKA_DEFINE_TYPE(raw_item_type, struct item, .id = 17, .flags = RAMKA_TYPE_UNTYPED);

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	assert_int_equal(ramka_type_register(f->r, &item_type), 0);
	assert_int_equal(ramka_type_register(f->r, &raw_item_type), 0);
	return f;
}

/* repr(transparent), NonNullPtr::ALIGN_BITS: a handle is one pointer, and its low four bits are there for a tag. */
static void a_handle_is_one_aligned_pointer(void **state)
{
	struct fixture *f = open_with((struct spec){ .size = MIB });
	struct ramka_frame *frames[257];
	size_t n = alloc_all(f->cpu[0], UNINIT, frames, 257);
	uintptr_t word;

	(void)state;
	assert_int_equal(sizeof(struct ramka_frame_ref), sizeof(void *));
	assert_int_equal(n, 256);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal((uintptr_t)frames[i] % 16, 0);
		word = (uintptr_t)frames[i] | i % 16; /* as an entry of a tree keeps it */
		assert_ptr_equal((struct ramka_frame *)(word & ~(uintptr_t)15), frames[i]);
		assert_int_equal(ramka_frame_refcount(frames[i]), 1);
	}
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
}

/* frame_to_meta, meta_to_frame, frame_to_index: there and back for every frame, and no two frames have one slot. */
static void every_address_there_and_back(void **state)
{
	static const struct ramka_region g[] = { { 3 * MIB + 5 * PAGE, MIB, RAMKA_USABLE, 0 }, { 7 * MIB, MIB, RAMKA_DETACHED, 3 },
						 { 8 * MIB, 17 * PAGE, RAMKA_RESERVED, 0 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = NELEMS(g) });
	const struct ramka_frame *before = NULL;
	unsigned frames = 0;

	(void)state;
	for (ramka_paddr_t pa = 0; pa < 10 * MIB; pa += PAGE) {
		const struct ramka_frame *one = ramka_frame_at(f->r, pa).frame;
		bool inside = false;

		for (unsigned i = 0; i < NELEMS(g); i++)
			inside |= pa >= g[i].base && pa < g[i].base + g[i].size;
		assert_int_equal(one != NULL, inside);
		if (!one)
			continue;
		assert_int_equal(ramka_frame_paddr(f->r, one), pa);
		assert_int_equal(ramka_frame_index(f->r, one), pa / PAGE);
		assert_ptr_equal(one, slot_at(f, pa));
		assert_true(one > before); /* so all differ */
		before = one;
		frames++;
	}
	assert_int_equal(frames, 256 + 256 + 17);
	CLOSE(f);
}

/* UniqueFrame::{paddr, level, size, dyn_meta}: the getters of a shared handle work on a unique one, same slot. */
static void getters_of_a_unique_frame(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	for (unsigned order = 0; order <= 9; order++) {
		struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &item_type, NULL, order_req(order));
		ramka_paddr_t pa = ramka_unique_paddr(f->r, u);
		const struct ramka_frame *one = ramka_frame_at(f->r, pa).frame;

		assert_ptr_equal(one, u); /* two handle types, one address */
		assert_int_equal(ramka_frame_paddr(f->r, one), pa);
		assert_int_equal(ramka_frame_order(one), order);
		assert_int_equal(ramka_frame_size(one), PAGE << order);
		assert_int_equal(ramka_frame_map_level(one), order < 9 ? 1 : 2);
		assert_ptr_equal(ramka_frame_meta_as(f->r, one, &item_type), ramka_unique_meta(f->r, u));
		assert_ptr_equal(ramka_frame_content(f->r, one), bytes_at(f, pa));
		ramka_unique_free(f->cpu[0], u);
	}
	CLOSE(f);
}

/* CursorMut::as_list, Link::is_untyped: a cursor knows its list, and a frame is in it what it was outside. */
static void a_listed_frame_keeps_its_type(void **state)
{
	const struct ramka_type *const types[] = { &item_type, &raw_item_type };
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_list l, other;
	struct ramka_cursor c;
	uint8_t byte;

	(void)state;
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	assert_int_equal(ramka_list_init(f->r, &other), 0);
	for (unsigned i = 0; i < 2; i++)
		ramka_list_push_back(&l, ramka_unique_alloc(f->cpu[0], types[i], NULL, ZEROED));
	c = ramka_list_cursor_front(&l);
	for (unsigned i = 0; i < 2; i++, ramka_cursor_next(&c)) {
		const struct ramka_frame *one = slot_of(c.at);

		assert_ptr_equal(c.list, &l);
		assert_ptr_equal(ramka_frame_type(f->r, one), types[i]);
		assert_int_equal(ramka_frame_is_untyped(f->r, one), i);
		assert_int_equal(ramka_frame_read(f->r, one, 0, &byte, 1), i ? 0 : RAMKA_E_INVAL);
	}
	assert_ptr_equal(c.list, &l); /* at the ghost as well */
	assert_ptr_equal(ramka_list_cursor_back(&other).list, &other);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

/* Segment: Split, TryFrom<Segment<dyn>>: what a segment was cut into is of its type, piece by piece and frame by frame. */
static void pieces_of_a_segment_keep_its_type(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s, a, b, part;
	struct ramka_frame *one;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 9, &raw_item_type, NULL, NULL, UNINIT, &s), 0);
	assert_int_equal(ramka_segment_slice(f->r, s, PAGE, 3 * PAGE, &part), 0);
	assert_int_equal(ramka_segment_split(f->r, s, 4 * PAGE, &a, &b), 0);
	assert_int_equal(a.base + a.size, b.base); /* end_paddr */
	assert_true(ramka_segment_is(f->r, a, &raw_item_type) && ramka_segment_is(f->r, b, &raw_item_type));
	assert_true(ramka_segment_is(f->r, part, &raw_item_type));
	assert_false(ramka_segment_is(f->r, part, &item_type));
	one = ramka_segment_next(f->r, &b);
	assert_ptr_equal(ramka_frame_type(f->r, one), &raw_item_type);
	assert_true(ramka_frame_is_untyped(f->r, one));
	ramka_frame_put(f->cpu[0], one);
	ramka_segment_put(f->cpu[0], a);
	ramka_segment_put(f->cpu[0], b);
	ramka_segment_put(f->cpu[0], part);
	CLOSE(f);
}

/* PageTableNode::activate: who runs on a table holds one reference to it, as an address, and gives it up for the next. */
static void an_active_table_is_one_reference(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED), *two = must_alloc(f->cpu[0], ZEROED);
	ramka_paddr_t cr3 = ramka_frame_into_raw(f->r, ramka_frame_get(f->r, one));

	(void)state;
	ramka_frame_put(f->cpu[0], one); /* its owner goes, the CPU still runs on it */
	assert_int_equal(ramka_frame_refcount(one), 1);
	one = ramka_frame_from_raw(f->r, cr3);
	cr3 = ramka_frame_into_raw(f->r, ramka_frame_get(f->r, two));
	assert_int_equal(ramka_frame_refcount(two), 2);
	ramka_frame_put(f->cpu[1], one);
	assert_int_equal(in_use(f), 1);
	ramka_frame_put(f->cpu[1], ramka_frame_from_raw(f->r, cr3));
	ramka_frame_put(f->cpu[0], two);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handle_is_one_aligned_pointer),
		cmocka_unit_test(every_address_there_and_back),
		cmocka_unit_test(getters_of_a_unique_frame),
		cmocka_unit_test(a_listed_frame_keeps_its_type),
		cmocka_unit_test(pieces_of_a_segment_keep_its_type),
		cmocka_unit_test(an_active_table_is_one_reference),
	};

	return cmocka_run_group_tests_name("seed items", tests, NULL, NULL);
}
