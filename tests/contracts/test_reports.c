/* SPDX-License-Identifier: MIT */
/*
 * What only the contract build can see is reported through cfg.panic, with the operation and the clause; if panic returns
 * the refused call changed nothing, and if it jumps the slot can be used afterwards (no shadow lock stays taken).
 * Then the leak check: clean at the end, not clean with any kind of thing outstanding.
 */
#include "contracts/ledger.h"

/* One report with this clause; no slot, no ledger changed. */
#define REFUSED(f_, operation_, clause, call)                                                              \
	do {                                                                                               \
		struct image image_ = image_take(f_);                                                      \
		EXPECT_BUG(f_, operation_, call);                                                          \
		if (!strstr((f_)->bug.what, clause))                                                       \
			fail_msg("line %d: \"%s\" instead of \"%s\"", __LINE__, (f_)->bug.what, clause);   \
		image_compare(image_, NULL, 0, #call, __LINE__);                                           \
	} while (0)

/* twice: with a panic function that returns, and with one that jumps */
#define BOTH_WAYS(f) for (unsigned way = 0; f->jumps = way == 1, way < 2; way++)

static void a_put_of_what_others_hold(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = ramka_frame_alloc(f->cpu[0], &item_type, &good, ZEROED);
	ramka_paddr_t pa = ramka_frame_into_raw(f->r, a);
	struct ramka_segment s;

	(void)state;
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_frame_put", "contract_drop_requires", ramka_frame_put(f->cpu[0], a));
		REFUSED(f, "ramka_frame_put_rcu", "contract_drop_requires", ramka_frame_put_rcu(f->cpu[0], a));
	}
	s = ramka_segment_from_frame(f->r, ramka_frame_get(f->r, a));
	assert_int_equal(ramka_frame_refcount(a), 2); /* an address and a segment, no handle */
	BOTH_WAYS(f)
		REFUSED(f, "ramka_frame_put", "contract_drop_requires", ramka_frame_put(f->none, a));
	ramka_segment_put(f->cpu[0], s);
	ramka_frame_put(f->cpu[0], ramka_frame_from_raw(f->r, pa));
	CLOSE(f);
}

static void raw_references(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED);
	ramka_paddr_t pa = ramka_frame_paddr(f->r, a);

	(void)state;
	BOTH_WAYS(f)
		REFUSED(f, "ramka_frame_from_raw", "contract_from_raw_requires", ramka_frame_from_raw(f->r, pa));
	ramka_frame_into_raw(f->r, a);
	BOTH_WAYS(f)
		REFUSED(f, "ramka_frame_into_raw", "contract_into_raw_requires", ramka_frame_into_raw(f->r, a));
	ramka_frame_from_raw(f->r, pa);
	BOTH_WAYS(f)
		REFUSED(f, "ramka_frame_from_raw", "contract_from_raw_requires", ramka_frame_from_raw(f->r, pa));
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void borrows(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED);
	struct ramka_frame_ref ref = ramka_frame_borrow(f->r, a);
	struct ramka_unique *u;

	(void)state;
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_frame_put", "contract_drop_requires", ramka_frame_put(f->cpu[0], a));
		REFUSED(f, "ramka_frame_put_rcu", "contract_drop_requires", ramka_frame_put_rcu(f->cpu[0], a));
		REFUSED(f, "ramka_frame_try_unique", "contract_try_unique_requires", ramka_frame_try_unique(f->r, a));
	}
	ramka_frame_unborrow(f->r, ref);
	BOTH_WAYS(f)
		REFUSED(f, "ramka_frame_unborrow", "has_borrow", ramka_frame_unborrow(f->r, ref));
	u = ramka_frame_try_unique(f->r, a);
	ref = ramka_frame_borrow(f->r, a);
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_unique_share", "contract_unique_owned", ramka_unique_share(f->r, u));
		REFUSED(f, "ramka_unique_free", "contract_unique_owned", ramka_unique_free(f->cpu[0], u));
	}
	ramka_frame_unborrow(f->r, ref);
	ramka_unique_free(f->cpu[0], u);
	BOTH_WAYS(f)
		REFUSED(f, "ramka_frame_borrow", "not in use", ramka_frame_borrow(f->r, a));
	CLOSE(f);
}

/* A unique handle is used up by whatever takes it. */
static void a_unique_used_twice(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &item_type, &good, ZEROED), *part[2];
	ramka_paddr_t pa = ramka_unique_into_raw(f->r, u);
	struct ramka_list l;

	(void)state;
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_unique_free", "contract_unique_owned", ramka_unique_free(f->cpu[0], u));
		REFUSED(f, "ramka_unique_share", "contract_unique_owned", ramka_unique_share(f->r, u));
		REFUSED(f, "ramka_unique_repurpose", "contract_unique_owned", ramka_unique_repurpose(f->cpu[0], u, &plain_type, &good));
		REFUSED(f, "ramka_unique_split", "contract_unique_owned", ramka_unique_split(f->r, u, 0, part));
		REFUSED(f, "ramka_unique_into_raw", "contract_into_raw_requires", ramka_unique_into_raw(f->r, u));
		REFUSED(f, "ramka_list_push_back", "contract_unique_owned", ramka_list_push_back(&l, u));
		REFUSED(f, "ramka_frame_into_raw", "not shared", ramka_frame_into_raw(f->r, slot_of(u)));
	}
	u = ramka_unique_from_raw(f->r, pa);
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_unique_from_raw", "contract_from_raw_requires", ramka_unique_from_raw(f->r, pa));
		/* a shared operation on a unique frame takes no count below zero */
		REFUSED(f, "ramka_frame_into_raw", "not shared", ramka_frame_into_raw(f->r, slot_of(u)));
	}
	ramka_list_push_back(&l, u);
	BOTH_WAYS(f)
		REFUSED(f, "ramka_unique_into_raw", "contract_into_raw_requires", ramka_unique_into_raw(f->r, u));
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void segments(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a;
	struct ramka_segment s;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 1, &item_type, good_init, NULL, UNINIT, &s), 0);
	a = slot_at(f, s.base);
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_frame_put", "contract_drop_requires", ramka_frame_put(f->cpu[0], a));
		REFUSED(f, "ramka_frame_into_raw", "contract_into_raw_requires", ramka_frame_into_raw(f->r, a));
		REFUSED(f, "ramka_frame_try_unique", "contract_try_unique_requires", ramka_frame_try_unique(f->r, a));
		REFUSED(f, "ramka_segment_from_frame", "contract_into_raw_requires", ramka_segment_from_frame(f->r, a));
		REFUSED(f, "ramka_segment_restore", "contract_from_raw_requires", ramka_segment_restore(f->r, s));
	}
	ramka_segment_forget(f->r, s);
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_segment_forget", "covered", ramka_segment_forget(f->r, s));
		REFUSED(f, "ramka_segment_put", "has_cover", ramka_segment_put(f->cpu[0], s));
	}
	/* nor does a handle stand in for the segment */
	a = ramka_frame_from_raw(f->r, s.base);
	BOTH_WAYS(f) {
		REFUSED(f, "ramka_segment_forget", "covered", ramka_segment_forget(f->r, s));
		REFUSED(f, "ramka_segment_put", "has_cover", ramka_segment_put(f->cpu[0], s));
	}
	ramka_frame_put(f->cpu[0], a);
	BOTH_WAYS(f)
		REFUSED(f, "ramka_segment_put", "has_cover", ramka_segment_put(f->cpu[0], s));
	CLOSE(f);
}

#define BAD(f_, operation_, call)                                                                          \
	do {                                                                                               \
		EXPECT_BUG(f_, operation_, call);                                                          \
		assert_string_equal((f_)->bug.what, CONTRACT_BAD_META);                                    \
	} while (0)

static void bad_init(void *ctx, ramka_paddr_t pa, void *meta)
{
	*(struct item *)meta = (struct item){ .magic = pa == *(ramka_paddr_t *)ctx ? 0 : MAGIC };
}

/* Nothing is handed out, and nothing is lost either. */
static void invalid_metadata_at_alloc(void **state)
{
	const struct ramka_type *types[] = { &item_type, &plain_type };
	static const struct item bad = { .magic = 1 };
	ramka_paddr_t second = DETACHED_AT + PAGE;
	struct ramka_unique *u = NULL;
	struct ramka_frame *a = NULL;
	struct ramka_segment s = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = open_ledger();

		BOTH_WAYS(f) {
			BAD(f, "ramka_frame_alloc", assert_null(ramka_frame_alloc(f->cpu[0], types[i], &bad, ZEROED)));
			BAD(f, "ramka_frame_alloc_bulk", ramka_frame_alloc_bulk(f->cpu[0], types[i], ZEROED, 1, &a));
			BAD(f, "ramka_unique_alloc", assert_null(ramka_unique_alloc(f->none, types[i], NULL, order_req(5))));
			BAD(f, "ramka_frame_from_unused", assert_int_equal(
				ramka_frame_from_unused(f->cpu[0], DETACHED_AT, types[i], &bad, &a), RAMKA_E_INVAL));
			BAD(f, "ramka_unique_from_unused", assert_int_equal(
				ramka_unique_from_unused(f->cpu[0], BASE + PAGE, types[i], &bad, &u), RAMKA_E_INVAL));
			BAD(f, "ramka_segment_from_unused", assert_int_equal(
				ramka_segment_from_unused(f->cpu[0], DETACHED_AT, 3 * PAGE, types[i], bad_init, &second, &s), RAMKA_E_INVAL));
			BAD(f, "ramka_segment_alloc", assert_int_equal(
				ramka_segment_alloc(f->cpu[0], 3, types[i], NULL, NULL, UNINIT, &s), RAMKA_E_INVAL));
		}
		assert_true(!a && !u && !s.size);
		CLOSE(f);
	}
}

/* The frame cannot be trusted: it stays BUSY, on_drop does not see it. */
static void invalid_metadata_at_drop(void **state)
{
	const struct ramka_type *types[] = { &item_type, &plain_type };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = open_ledger();
		struct ramka_frame *t[3];
		struct ramka_unique *u;
		struct ramka_segment s;

		for (unsigned k = 0; k < 3; k++) {
			t[k] = ramka_frame_alloc(f->cpu[0], types[i], &good, ZEROED);
			((struct item *)ramka_frame_meta(f->r, t[k]))->magic = 0;
		}
		u = ramka_unique_alloc(f->cpu[0], types[i], &good, ZEROED);
		((struct item *)ramka_unique_meta(f->r, u))->magic = 0;
		s = ramka_segment_from_frame(f->r, t[2]);
		drops = 0;
		BAD(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], t[0]));
		assert_int_equal(ramka_frame_put_rcu(f->cpu[0], t[1]), 0);
		BAD(f, "ramka_frame_put_rcu", ramka_reclaim(f->cpu[0], true));
		BAD(f, "ramka_segment_put", ramka_segment_put(f->none, s));
		BAD(f, "ramka_unique_free", ramka_unique_free(f->cpu[0], u));
		assert_int_equal(drops, 0);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(state_at(f, ramka_frame_paddr(f->r, t[k])), RAMKA_STATE_BUSY);
		assert_true(ramka_contracts_clean(f->r));
		offline_all(f);
		assert_int_equal(in_use(f), 4);
		fixture_unmap(f);
	}
}

static void invalid_metadata_at_repurpose(void **state)
{
	static const struct item bad = { .magic = 1 };
	struct fixture *f = open_ledger();
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &item_type, &good, ZEROED);

	(void)state;
	((struct item *)ramka_unique_meta(f->r, u))->magic = 0;
	REFUSED(f, "ramka_unique_repurpose", CONTRACT_BAD_META, ramka_unique_repurpose(f->cpu[0], u, &plain_type, &good));
	((struct item *)ramka_unique_meta(f->r, u))->magic = MAGIC;
	BAD(f, "ramka_unique_repurpose", assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &plain_type, &bad), RAMKA_E_INVAL));
	assert_int_equal(state_at(f, ramka_unique_paddr(f->r, u)), RAMKA_STATE_BUSY);
	EXPECT_BUG(f, "ramka_unique_repurpose", assert_false(ramka_contracts_clean(f->r)));
	fixture_unmap(f);
}

/* A saturated frame is counted no more, and a jump out of the report leaves no lock behind. */
static void saturation(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED), *ret = NULL;
	ramka_paddr_t pa = ramka_frame_paddr(f->r, a);

	(void)state;
	f->jumps = 1;
	ramka_store(&a->ref, REF_SHARED(REF_MAX), relaxed, slot.count);
	EXPECT_BUG(f, "ramka_frame_from_in_use", ramka_frame_from_in_use(f->r, pa, &ret));
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), 0);
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_put(f->cpu[0], a);
	assert_ptr_equal(ramka_frame_get(f->r, a), a);
	ramka_segment_put(f->cpu[0], ramka_segment_get(f->r, (struct ramka_segment){ pa, PAGE }));
	assert_int_equal(contract_view_of(f->r, a).who.handles, 1);
	assert_int_equal(state_at(f, pa), RAMKA_STATE_SATURATED);
	fixture_unmap(f);
}

/* A state word that somebody else changed: n is not H + F + C any more. */
static void a_word_that_lies(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	ramka_store(&a->ref, REF_SHARED(5), relaxed, slot.count);
	EXPECT_BUG(f, "ramka_frame_get", ramka_frame_get(f->r, a));
	assert_string_equal(f->bug.what, "inv of the slot");
	ramka_store(&a->ref, REF_SHARED(2), relaxed, slot.count);
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static bool no_child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)pte, (void)level, (void)ret_pa, (void)ret_is_node;
	return false;
}

/* Each getter with what is no slot, with a frame that nothing holds, and with a slot that somebody wrote over. */
static void getters(void **state)
{
	static const struct ramka_pt_config tree = { .levels = 4, .entries = 512, .child = no_child };
	struct fixture *f = open_ledger();
	struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &tree, 4), *freed = must_alloc(f->cpu[0], ZEROED), *wrong[3];
	struct ramka_pt_meta *m = ramka_pt_node(f->r, node);
	uint64_t info = slot_info(node);

	(void)state;
	ramka_frame_put(f->cpu[0], freed);
	wrong[0] = slot_at(f, BASE) - 1;
	wrong[1] = slot_at(f, BASE) + f->r->nr_slots;
	wrong[2] = (struct ramka_frame *)((uintptr_t)node + 8);
	BOTH_WAYS(f) {
		for (unsigned i = 0; i < NELEMS(wrong); i++) {
			REFUSED(f, "ramka_frame_paddr", "not a frame of this instance", ramka_frame_paddr(f->r, wrong[i]));
			REFUSED(f, "ramka_frame_index", "not a frame of this instance", ramka_frame_index(f->r, wrong[i]));
			REFUSED(f, "ramka_frame_meta", "not a frame of this instance", ramka_frame_meta(f->r, wrong[i]));
			REFUSED(f, "ramka_frame_type", "not a frame of this instance", ramka_frame_type(f->r, wrong[i]));
			REFUSED(f, "ramka_pt_node", "not a frame of this instance", ramka_pt_node(f->r, wrong[i]));
			REFUSED(f, "ramka_pt_level", "not a frame of this instance", ramka_pt_level(f->r, wrong[i]));
			REFUSED(f, "ramka_frame_borrow", "not a frame of this instance", ramka_frame_borrow(f->r, wrong[i]));
		}
		REFUSED(f, "ramka_frame_meta", "neither in use nor deferred", ramka_frame_meta(f->r, freed));
		REFUSED(f, "ramka_pt_node", "neither in use nor deferred", ramka_pt_node(f->r, freed));
		REFUSED(f, "ramka_pt_level", "neither in use nor deferred", ramka_pt_level(f->r, freed));

		slot_set_info(node, info_make(99, 0, 0));
		REFUSED(f, "ramka_frame_meta", "contract_meta_requires", ramka_frame_meta(f->r, node));
		REFUSED(f, "ramka_frame_type", "contract_meta_requires", ramka_frame_type(f->r, node));
		slot_set_info(node, info);
		m->level = 5;
		REFUSED(f, "ramka_pt_level", "contract_meta_pt_requires", ramka_pt_level(f->r, node));
		m->level = 0;
		REFUSED(f, "ramka_pt_node", "contract_meta_pt_requires", ramka_pt_node(f->r, node));
		m->level = 4;
	}
	assert_null(ramka_pt_node(f->r, slot_at(f, RESERVED_AT))); /* no node, which is an answer */
	assert_int_equal(ramka_pt_level(f->r, node), 4);
	NOTHING(f, assert_null(ramka_pt_alloc(f->cpu[0], &tree, 0)));
	NOTHING(f, assert_null(ramka_pt_alloc(f->cpu[0], &tree, 5)));
	ramka_frame_put(f->cpu[0], node);
	CLOSE(f);
}

/* Not clean, and it says which operation moved the ledger last and which frame it is. */
#define LEAKS(f_, operation_, what_, pa)                                                                   \
	do {                                                                                               \
		EXPECT_BUG(f_, operation_, assert_false(ramka_contracts_clean((f_)->r)));                  \
		assert_string_equal((f_)->bug.what, what_);                                                \
		assert_int_equal((f_)->bug.paddr, pa);                                                     \
	} while (0)

static void every_kind_of_leak(void **state)
{
	struct fixture *f = open_ledger();
	struct ramka_frame *a = ramka_frame_alloc(f->cpu[0], &item_type, &good, ZEROED);
	ramka_paddr_t pa = ramka_frame_paddr(f->r, a);
	struct ramka_frame_ref ref;
	struct ramka_segment s;
	struct ramka_unique *u;
	struct ramka_list l;

	(void)state;
	LEAKS(f, "ramka_frame_alloc", "leaked: a reference", pa);
	ramka_frame_get(f->r, a);
	LEAKS(f, "ramka_frame_get", "leaked: a reference", pa);
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_into_raw(f->r, a);
	LEAKS(f, "ramka_frame_into_raw", "leaked: a raw reference", pa);
	ref = ramka_frame_borrow(f->r, a);
	LEAKS(f, "ramka_frame_borrow", "leaked: a borrow", pa);
	ramka_frame_unborrow(f->r, ref);
	s = ramka_segment_from_frame(f->r, ramka_frame_from_raw(f->r, pa));
	LEAKS(f, "ramka_segment_from_frame", "leaked: a frame of a segment", pa);
	u = ramka_frame_try_unique(f->r, ramka_segment_next(f->r, &s));
	LEAKS(f, "ramka_frame_try_unique", "leaked: a unique frame", pa);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	ramka_list_push_back(&l, u);
	LEAKS(f, "ramka_list_push_back", "leaked: a frame in a list", pa);
	ramka_list_fini(f->cpu[0], &l);
	assert_true(ramka_contracts_clean(f->r));
	ramka_store(&a->ref, REF_SHARED(1), relaxed, slot.count); /* in use, but the ledger knows of nobody */
	LEAKS(f, f->bug.operation, "inv of the slot", pa);
	ramka_store(&a->ref, REF_FREE, relaxed, slot.count);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_of_what_others_hold),
		cmocka_unit_test(raw_references),
		cmocka_unit_test(borrows),
		cmocka_unit_test(a_unique_used_twice),
		cmocka_unit_test(segments),
		cmocka_unit_test(invalid_metadata_at_alloc),
		cmocka_unit_test(invalid_metadata_at_drop),
		cmocka_unit_test(invalid_metadata_at_repurpose),
		cmocka_unit_test(saturation),
		cmocka_unit_test(a_word_that_lies),
		cmocka_unit_test(getters),
		cmocka_unit_test(every_kind_of_leak),
	};

	return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
