/* SPDX-License-Identifier: MIT */
/*
 * Exact accounting through every public operation: after each call the ledger of each frame it touched is what the call
 * is documented to do, n = H + F + C, and no other slot of the instance changed.
 */
#include "contracts/ledger.h"

static void frames(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = NULL, *b = NULL, *slot = NULL;
	struct ramka_frame_ref ref;
	ramka_paddr_t pa;
	uint64_t buf = 0;

	(void)state;
	EXACTLY(f, a = ramka_frame_alloc(f->cpu[0], &item_type, &good, ZEROED), HOLD(a, .handles = 1));
	EXACTLY(f, b = ramka_frame_alloc(f->cpu[1], &ramka_type_untyped, NULL, order_req(3)), HOLD(b, .handles = 1));
	EXACTLY(f, ramka_frame_get(f->r, a), HOLD(a, .handles = 2));
	EXACTLY(f, pa = ramka_frame_into_raw(f->r, a), HOLD(a, .handles = 1, .raw = 1));
	EXACTLY(f, assert_int_equal(ramka_frame_from_in_use(f->r, pa, &slot), 0), HOLD(a, .handles = 2, .raw = 1));
	EXACTLY(f, ref = ramka_frame_borrow(f->r, a), HOLD(a, .handles = 2, .raw = 1, .borrows = 1));
	EXACTLY(f, ramka_frame_put(f->cpu[0], a), HOLD(a, .handles = 1, .raw = 1, .borrows = 1));
	EXACTLY(f, ramka_frame_unborrow(f->r, ref), HOLD(a, .handles = 1, .raw = 1));
	EXACTLY(f, a = ramka_frame_from_raw(f->r, pa), HOLD(a, .handles = 2));
	slot = b;
	EXACTLY(f, ramka_frame_assign(f->cpu[0], &slot, a), HOLD(a, .handles = 3), HOLD(b, 0));
	EXACTLY(f, ramka_frame_assign(f->cpu[0], &slot, slot), HOLD(a, .handles = 3));
	EXACTLY(f, ramka_frame_assign(f->cpu[0], &slot, NULL), HOLD(a, .handles = 2));

	/* what only looks */
	NOTHING(f, ramka_frame_at(f->r, pa));
	NOTHING(f, ramka_frame_paddr(f->r, a));
	NOTHING(f, ramka_frame_refcount(a));
	NOTHING(f, ramka_frame_is_sole(a));
	NOTHING(f, ramka_frame_meta_as(f->r, a, &plain_type));
	NOTHING(f, ramka_frame_read(f->r, a, 0, &buf, sizeof(buf)));
	NOTHING(f, ramka_frame_write(f->r, a, 0, &buf, sizeof(buf)));
	NOTHING(f, assert_null(ramka_frame_try_unique(f->r, a)));

	/* what fails */
	NOTHING(f, assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &item_type, &good, &slot), RAMKA_E_IN_USE));
	NOTHING(f, assert_int_equal(ramka_frame_from_unused(f->cpu[0], DETACHED_AT + 1, &item_type, &good, &slot), RAMKA_E_NOT_ALIGNED));
	NOTHING(f, assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE - PAGE, &item_type, &good, &slot), RAMKA_E_OUT_OF_BOUND));
	NOTHING(f, assert_int_equal(ramka_frame_from_unused(f->cpu[0], RESERVED_AT + 16 * PAGE, &item_type, &good, &slot), RAMKA_E_OUT_OF_BOUND));
	NOTHING(f, assert_int_equal(ramka_frame_from_in_use(f->r, DETACHED_AT, &slot), RAMKA_E_UNUSED));
	NOTHING(f, assert_int_equal(ramka_frame_from_in_use(f->r, 0, &slot), RAMKA_E_OUT_OF_BOUND));
	NOTHING(f, assert_int_equal(ramka_frame_from_in_use(f->r, pa + 1, &slot), RAMKA_E_NOT_ALIGNED));
	NOTHING(f, assert_null(ramka_frame_alloc(f->cpu[0], &item_type, &good, order_req(RAMKA_MAX_ORDER))));

	drops = 0;
	EXACTLY(f, ramka_frame_put_bulk(f->cpu[0], 2, (struct ramka_frame *[]){ a, a }), HOLD(a, 0));
	assert_int_equal(drops, 1);
	assert_true(ramka_contracts_clean(f->r));
	CLOSE(f);
}

static void frames_by_address_and_in_bulk(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = NULL, *t[3];

	(void)state;
	EXACTLY(f, assert_int_equal(ramka_frame_from_unused(f->cpu[0], DETACHED_AT, &item_type, &good, &a), 0), HOLD(a, .handles = 1));
	EXACTLY(f, ramka_frame_put(f->cpu[0], a), HOLD(a, 0));
	EXACTLY(f, assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + PAGE, &item_type, &good, &a), 0), HOLD(a, .handles = 1));
	EXACTLY(f, ramka_frame_put(f->none, a), HOLD(a, 0));
	EXACTLY(f, assert_int_equal(ramka_frame_from_in_use(f->r, RESERVED_AT, &a), 0), HOLD(a, .handles = 1));
	assert_int_equal(ramka_frame_refcount(a), 2);
	EXACTLY(f, ramka_frame_put(f->cpu[0], a), HOLD(a, 0));
	EXACTLY(f, assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, 3, t), 3),
		HOLD(t[0], .handles = 1), HOLD(t[1], .handles = 1), HOLD(t[2], .handles = 1));
	EXACTLY(f, ramka_frame_put_bulk(f->cpu[0], 3, t), HOLD(t[0], 0), HOLD(t[1], 0), HOLD(t[2], 0));
	assert_true(ramka_contracts_clean(f->r));
	CLOSE(f);
}

static void deferred_frames(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = ramka_frame_alloc(f->cpu[0], &item_type, &good, ZEROED);

	(void)state;
	ramka_frame_get(f->r, a);
	EXACTLY(f, assert_int_equal(ramka_frame_put_rcu(f->cpu[0], a), 0), HOLD(a, .handles = 1));
	EXACTLY(f, ramka_frame_put(f->cpu[0], a), HOLD(a, 0));
	assert_int_equal(state_at(f, ramka_frame_paddr(f->r, a)), RAMKA_STATE_DEFERRED);
	assert_true(ramka_contracts_clean(f->r)); /* nobody holds it */
	NOTHING(f, ramka_reclaim(f->cpu[1], false));
	EXACTLY(f, ramka_reclaim(f->cpu[0], true), HOLD(a, 0));
	CLOSE(f);
}

static void unique_frames(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_unique *u = NULL, *w = NULL, *part[4];
	struct ramka_frame *a;
	ramka_paddr_t pa;

	(void)state;
	EXACTLY(f, u = ramka_unique_alloc(f->cpu[0], &item_type, &good, ZEROED), UHOLD(u, .unique = 1));
	EXACTLY(f, pa = ramka_unique_into_raw(f->r, u), UHOLD(u, .raw = 1));
	NOTHING(f, assert_int_equal(ramka_frame_from_in_use(f->r, pa, &a), RAMKA_E_UNIQUE));
	NOTHING(f, assert_int_equal(ramka_unique_from_unused(f->cpu[0], pa, &item_type, &good, &w), RAMKA_E_UNIQUE));
	EXACTLY(f, u = ramka_unique_from_raw(f->r, pa), UHOLD(u, .unique = 1));
	NOTHING(f, ramka_unique_meta(f->r, u));
	NOTHING(f, ramka_unique_paddr(f->r, u));
	EXACTLY(f, a = ramka_unique_share(f->r, u), HOLD(a, .handles = 1));
	EXACTLY(f, u = ramka_frame_try_unique(f->r, a), UHOLD(u, .unique = 1));
	EXACTLY(f, assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &plain_type, &good), 0), UHOLD(u, .unique = 1));
	NOTHING(f, assert_int_equal(ramka_unique_split(f->r, u, 1, part), RAMKA_E_INVAL));
	EXACTLY(f, ramka_unique_free(f->cpu[0], u), UHOLD(u, 0));

	EXACTLY(f, u = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(4)), UHOLD(u, .unique = 1));
	EXACTLY(f, assert_int_equal(ramka_unique_split(f->r, u, 2, part), 0), UHOLD(part[0], .unique = 1),
		UHOLD(part[1], .unique = 1), UHOLD(part[2], .unique = 1), UHOLD(part[3], .unique = 1));
	for (unsigned i = 0; i < 4; i++)
		EXACTLY(f, ramka_unique_free(f->cpu[i & 1], part[i]), UHOLD(part[i], 0));

	EXACTLY(f, assert_int_equal(ramka_unique_from_unused(f->cpu[0], DETACHED_AT, &item_type, &good, &w), 0), UHOLD(w, .unique = 1));
	EXACTLY(f, ramka_unique_free(f->cpu[0], w), UHOLD(w, 0));
	assert_true(ramka_contracts_clean(f->r));
	CLOSE(f);
}

static void segments(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_segment s, t, a, b;
	struct ramka_frame *x, *y;

	(void)state;
	EXACTLY(f, assert_int_equal(ramka_segment_alloc(f->cpu[0], 2, &item_type, good_init, NULL, UNINIT, &s), 0),
		HOLD(slot_at(f, s.base), .covers = 1), HOLD(slot_at(f, s.base + PAGE), .covers = 1));
	x = slot_at(f, s.base), y = slot_at(f, s.base + PAGE);
	EXACTLY(f, t = ramka_segment_get(f->r, s), HOLD(x, .covers = 2), HOLD(y, .covers = 2));
	NOTHING(f, assert_int_equal(ramka_segment_split(f->r, t, PAGE, &a, &b), 0));
	EXACTLY(f, ramka_segment_put(f->cpu[0], a), HOLD(x, .covers = 1));
	EXACTLY(f, assert_int_equal(ramka_segment_slice(f->r, s, 0, PAGE, &a), 0), HOLD(x, .covers = 2));
	EXACTLY(f, ramka_segment_next(f->r, &a), HOLD(x, .covers = 1, .handles = 1));
	NOTHING(f, assert_null(ramka_segment_next(f->r, &a)));
	EXACTLY(f, a = ramka_segment_from_frame(f->r, x), HOLD(x, .covers = 2));
	EXACTLY(f, ramka_segment_forget(f->r, s), HOLD(x, .covers = 1, .raw = 1), HOLD(y, .covers = 1, .raw = 1));
	EXACTLY(f, ramka_segment_restore(f->r, s), HOLD(x, .covers = 2), HOLD(y, .covers = 2));
	NOTHING(f, assert_true(ramka_segment_is(f->r, s, &item_type)));
	NOTHING(f, assert_int_equal(ramka_segment_slice(f->r, s, PAGE, PAGE, &t), RAMKA_E_INVAL));
	EXACTLY(f, assert_int_equal(ramka_segment_from_unused(f->cpu[0], DETACHED_AT + 15 * PAGE, 2 * PAGE, &item_type, good_init,
							     NULL, &t), RAMKA_E_IN_USE),
		HOLD(slot_at(f, DETACHED_AT + 15 * PAGE), 0)); /* rolled back: only the dead info word may differ */
	assert_int_equal(state_at(f, DETACHED_AT + 15 * PAGE), RAMKA_STATE_UNUSED);
	EXACTLY(f, ramka_segment_put(f->cpu[0], a), HOLD(x, .covers = 1));
	EXACTLY(f, ramka_segment_put(f->cpu[0], b), HOLD(y, .covers = 1));
	EXACTLY(f, ramka_segment_put(f->cpu[0], s), HOLD(x, 0), HOLD(y, 0));
	EXACTLY(f, assert_int_equal(ramka_segment_from_unused(f->cpu[0], DETACHED_AT, PAGE, &item_type, good_init, NULL, &t), 0),
		HOLD(slot_at(f, DETACHED_AT), .covers = 1));
	EXACTLY(f, ramka_segment_put(f->cpu[0], t), HOLD(slot_at(f, DETACHED_AT), 0));
	assert_true(ramka_contracts_clean(f->r));
	CLOSE(f);
}

static void lists(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_unique *u[4];
	struct ramka_cursor c;
	struct ramka_list l;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		u[i] = ramka_unique_alloc(f->cpu[0], &item_type, &good, ZEROED);
	NOTHING(f, assert_int_equal(ramka_list_init(f->r, &l), 0));
	EXACTLY(f, ramka_list_push_front(&l, u[0]), UHOLD(u[0], .listed = 1));
	EXACTLY(f, ramka_list_push_back(&l, u[1]), UHOLD(u[1], .listed = 1));
	c = ramka_list_cursor_back(&l);
	EXACTLY(f, ramka_cursor_insert_before(&c, u[2]), UHOLD(u[2], .listed = 1));
	NOTHING(f, ramka_cursor_prev(&c));
	NOTHING(f, ramka_cursor_meta(&c));
	EXACTLY(f, assert_ptr_equal(ramka_cursor_take(&c), u[2]), UHOLD(u[2], .unique = 1));
	NOTHING(f, assert_true(ramka_list_contains(&l, ramka_unique_paddr(f->r, u[0]))));
	EXACTLY(f, assert_ptr_equal(ramka_list_pop_front(&l), u[0]), UHOLD(u[0], .unique = 1));
	EXACTLY(f, assert_ptr_equal(ramka_list_pop_back(&l), u[1]), UHOLD(u[1], .unique = 1));
	NOTHING(f, assert_null(ramka_list_pop_front(&l)));
	ramka_list_push_back(&l, u[3]);
	EXACTLY(f, ramka_list_fini(f->cpu[0], &l), UHOLD(u[3], 0));
	for (unsigned i = 0; i < 3; i++)
		ramka_unique_free(f->cpu[0], u[i]);
	assert_true(ramka_contracts_clean(f->r));
	CLOSE(f);
}

static bool child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	*ret_pa = pte & ~(uint64_t)0xfff;
	*ret_is_node = level > 1;
	return pte & 1;
}

/* An entry holds a raw reference: the original's P is part of F here. */
static void page_tables(void **state)
{
	static const struct ramka_pt_config config = { .levels = 2, .entries = 512, .child = child };
	struct fixture *f = open_ledger();
	struct ramka_frame *root, *node, *page;

	(void)state;
	EXACTLY(f, root = ramka_pt_alloc(f->cpu[0], &config, 2), HOLD(root, .handles = 1));
	node = ramka_pt_alloc(f->cpu[0], &config, 1);
	page = ramka_frame_alloc(f->cpu[0], &item_type, &good, ZEROED);
	ramka_frame_get(f->r, page);
	EXACTLY(f, ((uint64_t *)ramka_frame_content(f->r, node))[7] = ramka_frame_into_raw(f->r, page) | 1,
		HOLD(page, .handles = 1, .raw = 1));
	EXACTLY(f, ((uint64_t *)ramka_frame_content(f->r, root))[0] = ramka_frame_into_raw(f->r, node) | 1, HOLD(node, .raw = 1));
	EXACTLY(f, ramka_frame_put(f->cpu[0], root), HOLD(root, 0));
	EXACTLY(f, ramka_reclaim(f->cpu[0], true), HOLD(root, 0), HOLD(node, 0), HOLD(page, .handles = 1));
	ramka_frame_put(f->cpu[0], page);
	assert_true(ramka_contracts_clean(f->r));
	CLOSE(f);
}

static void the_rest_of_the_instance(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = ramka_frame_alloc(f->cpu[0], &item_type, &good, ZEROED);
	struct ramka_stats s;
	struct ramka_bug bug;

	(void)state;
	NOTHING(f, ramka_stats_read(f->r, &s));
	NOTHING(f, assert_int_equal(ramka_check(f->r, &bug), 0));
	NOTHING(f, ramka_drain(f->r));
	NOTHING(f, ramka_cpu_offline(f->cpu[0]));
	NOTHING(f, assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY));
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

/* The comparison itself must be able to fail: a slot changed behind its back. */
static void a_change_elsewhere_is_noticed(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED);
	struct image im = image_take(f);
	struct contract_view v, old = im.views[slot_index(f->r, a)];

	(void)state;
	ramka_frame_get(f->r, a);
	v = contract_view_of(f->r, a);
	assert_false(same_view(&v, &old));
	assert_false(same_ledger(&v.who, &old.who));
	ramka_frame_put(f->cpu[0], a);
	v = contract_view_of(f->r, a);
	assert_true(same_view(&v, &old));
	free(im.views);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(frames_by_address_and_in_bulk),
		cmocka_unit_test(deferred_frames),
		cmocka_unit_test(unique_frames),
		cmocka_unit_test(segments),
		cmocka_unit_test(lists),
		cmocka_unit_test(page_tables),
		cmocka_unit_test(the_rest_of_the_instance),
		cmocka_unit_test(a_change_elsewhere_is_noticed),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
