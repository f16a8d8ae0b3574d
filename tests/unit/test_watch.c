/* SPDX-License-Identifier: MIT */
/* Diagnosis flags: who allocated and freed a frame, poison, clearing, quarantine, a memory checker's callbacks. */
#include "fixture.h"

#define PA(f, x) ramka_frame_paddr((f)->r, (x))

/* ---- who ---- */

static noinline struct ramka_frame *allocate_here(struct fixture *f, unsigned order)
{
	struct ramka_frame *x = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(order));

	assert_non_null(x);
	return x;
}

static noinline void free_here(struct fixture *f, struct ramka_frame *x)
{
	ramka_frame_put(f->cpu[1], x);
	__asm__ volatile(""); /* no jump in place of the call, whose return address is asked for */
}

/* Is the address in the function, which is short? */
static bool lies_in(uintptr_t address, const void *function)
{
	return address > (uintptr_t)function && address < (uintptr_t)function + 512;
}

static void the_history_names_both_callers(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .size = 4 * MIB, .flags = RAMKA_TRACE });
	struct ramka_history h;

	(void)state;
	for (unsigned order = 0; order <= 3; order += 3) {
		struct ramka_frame *x = allocate_here(f, order);
		ramka_paddr_t pa = PA(f, x), last = pa + (RAMKA_PAGE_SIZE << order) - 1;

		assert_true(ramka_frame_history(f->r, last, &h));
		assert_true(lies_in(h.allocated_by, (void *)(uintptr_t)allocate_here));
		assert_int_equal(h.allocated_on, 1);
		free_here(f, x);
		assert_true(ramka_frame_history(f->r, last, &h));
		assert_true(lies_in(h.allocated_by, (void *)(uintptr_t)allocate_here));
		assert_true(lies_in(h.freed_by, (void *)(uintptr_t)free_here));
		assert_int_equal(h.freed_on, 2);
	}
	CLOSE(f);
}

static void each_way_to_allocate_is_noted(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = 4 * MIB, .flags = RAMKA_TRACE });
	struct ramka_frame *bulk[3];
	struct ramka_unique *unique[3], *u;
	struct ramka_segment s;
	struct ramka_history h;

	(void)state;
	u = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT);
	assert_true(ramka_frame_history(f->r, ramka_unique_paddr(f->r, u), &h));
	assert_int_equal(h.allocated_on, 1);
	assert_int_equal(h.freed_on, 0);
	ramka_unique_free(f->cpu[0], u);
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, 3, bulk), 3);
	assert_int_equal(ramka_unique_alloc_bulk(f->cpu[0], &ramka_type_untyped, UNINIT, 3, unique), 3);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 3, &ramka_type_untyped, NULL, NULL, UNINIT, &s), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(ramka_frame_history(f->r, PA(f, bulk[i]), &h) && h.allocated_by);
		assert_true(ramka_frame_history(f->r, ramka_unique_paddr(f->r, unique[i]), &h) && h.allocated_by);
		assert_true(ramka_frame_history(f->r, s.base + i * RAMKA_PAGE_SIZE, &h) && h.allocated_by);
	}
	ramka_frame_put_bulk(f->cpu[0], 3, bulk);
	ramka_unique_free_bulk(f->cpu[0], 3, unique);
	for (unsigned i = 0; i < 3; i++)
		assert_true(ramka_frame_history(f->r, PA(f, bulk[i]), &h) && h.freed_by && h.freed_on == 1);
	ramka_segment_put(ramka_cpu_none(f->r), s);
	assert_true(ramka_frame_history(f->r, s.base, &h) && h.freed_by);
	assert_int_equal(h.freed_on, RAMKA_NO_CPU);
	CLOSE(f);
}

static void without_the_flag_there_is_no_history(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB });
	struct ramka_frame *x = must_alloc(f->cpu[0], UNINIT);
	struct ramka_history h;

	(void)state;
	assert_false(ramka_frame_history(f->r, PA(f, x), &h));
	ramka_frame_put(f->cpu[0], x);
	CLOSE(f);
}

static void no_history_of_what_is_no_frame(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB, .flags = RAMKA_TRACE });
	struct ramka_history h;

	(void)state;
	assert_false(ramka_frame_history(f->r, UINT64_C(1) << 50, &h));
	assert_false(ramka_frame_history(f->r, BASE, NULL));
	CLOSE(f);
}

static void a_double_free_names_the_first(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .size = 4 * MIB, .flags = RAMKA_TRACE });
	struct ramka_frame *x = allocate_here(f, 0);

	(void)state;
	free_here(f, x);
	EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], x));
	assert_true(lies_in(f->bug.history.allocated_by, (void *)(uintptr_t)allocate_here));
	assert_true(lies_in(f->bug.history.freed_by, (void *)(uintptr_t)free_here));
	assert_int_equal(f->bug.history.freed_on, 2);
	CLOSE(f);
}

/* ---- contents ---- */

static void a_write_after_free_is_reported_and_the_frame_leaked(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB, .flags = RAMKA_POISON | RAMKA_TRACE });
	struct ramka_frame *x = must_alloc(f->cpu[0], UNINIT), *y;
	ramka_paddr_t pa = PA(f, x);

	(void)state;
	ramka_frame_put(f->cpu[0], x);
	assert_int_equal(bytes_at(f, pa)[0], 0xd7);
	assert_int_equal(bytes_at(f, pa)[4095], 0xd7);
	bytes_at(f, pa)[1234] ^= 1;
	EXPECT_BUG(f, "ramka_frame_alloc", y = must_alloc(f->cpu[0], UNINIT)); /* the cache hands out last what it took in first */
	assert_true(PA(f, y) != pa);
	assert_int_equal(f->bug.paddr, pa);
	assert_string_equal(f->bug.argument, "content");
	assert_int_equal(f->bug.value, (uintptr_t)bytes_at(f, pa + 1232));
	assert_int_equal(f->bug.state, RAMKA_STATE_SATURATED);
	ramka_frame_put(f->cpu[0], y);
	CLOSE_LEAKING(f, 1);
}

static void larger_frames_are_poisoned_whole(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = 4 * MIB, .flags = RAMKA_POISON });
	struct ramka_frame *x = must_alloc(f->cpu[0], order_req(9)), *y;
	ramka_paddr_t pa = PA(f, x);
	uint64_t n = 0;

	(void)state;
	ramka_frame_put(f->cpu[0], x);
	ramka_drain(f->r);
	assert_int_equal(bytes_at(f, pa)[2 * MIB - 1], 0xd7);
	bytes_at(f, pa)[5 * RAMKA_PAGE_SIZE] = 0;
	f->expected = 1;
	while (!f->bugs && (y = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT)))
		n++;
	f->expected = 0;
	assert_int_equal(f->bugs, 1);
	assert_int_equal(f->bug.paddr, pa + 5 * RAMKA_PAGE_SIZE);
	CLOSE_LEAKING(f, n + 1);
}

/* Detached memory goes back as it is: what lies there may be the embedder's. */
static void detached_content_stays(void **state)
{
	static const struct ramka_region map[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 0 } };

	(void)state;
	for (unsigned clear = 0; clear < 2; clear++) {
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .regions = map, .nr_regions = NELEMS(map),
								.flags = clear ? RAMKA_INIT_ON_FREE : RAMKA_POISON });
		struct ramka_frame *x;

		assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + MIB, &ramka_type_untyped, NULL, &x), 0);
		memset(bytes_at(f, BASE + MIB), 0x11, PAGE);
		ramka_frame_put(f->cpu[0], x);
		assert_int_equal(state_at(f, BASE + MIB), RAMKA_STATE_UNUSED);
		assert_true(all_bytes(bytes_at(f, BASE + MIB), 0x11, PAGE));
		CLOSE(f);
	}
}

/* A frame that was changed while it was free is not claimed either. */
static void a_changed_frame_is_not_claimed(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 9; order++) {
		struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = 4 * MIB, .flags = RAMKA_POISON });
		struct ramka_frame *x = must_alloc(f->cpu[0], order_req(order)), *y = NULL;
		const uint64_t bytes = PAGE << order;
		ramka_paddr_t pa = PA(f, x);
		struct ramka_why why;
		int rc = 0;

		ramka_frame_put(f->cpu[0], x);
		ramka_drain(f->r);
		bytes_at(f, pa)[bytes - 1] = 0;
		EXPECT_BUG(f, "ramka_frame_claim", rc = ramka_frame_claim(f->cpu[0], pa, order, &ramka_type_untyped, NULL, &y, &why));
		assert_int_equal(rc, RAMKA_E_IN_USE); /* as any saturated frame */
		assert_int_equal(why.error, RAMKA_E_IN_USE);
		assert_int_equal(why.paddr, pa);
		assert_null(y);
		assert_int_equal(ramka_frame_claim(f->cpu[0], pa, order, &ramka_type_untyped, NULL, &y, &why), RAMKA_E_IN_USE);
		assert_int_equal(f->bug.paddr, pa);
		assert_int_equal(f->bug.value, (uintptr_t)bytes_at(f, pa + bytes - 8));
		CLOSE_LEAKING(f, 1u << order);
	}
}

static void contents_are_cleared_on_free(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = MIB, .flags = RAMKA_INIT_ON_FREE });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT);
	ramka_paddr_t pa = ramka_unique_paddr(f->r, u);

	(void)state;
	memset(bytes_at(f, pa), 0x55, RAMKA_PAGE_SIZE);
	ramka_unique_free(f->cpu[0], u);
	for (unsigned i = 0; i < RAMKA_PAGE_SIZE; i++)
		assert_int_equal(bytes_at(f, pa)[i], 0);
	CLOSE(f);
}

static unsigned told_allocated, told_freed, told_order;
static ramka_paddr_t told_pa;

static void on_allocated(void *ctx, ramka_paddr_t pa, unsigned order)
{
	(void)ctx;
	told_allocated++, told_pa = pa, told_order = order;
}

static void on_freed(void *ctx, ramka_paddr_t pa, unsigned order)
{
	(void)ctx;
	told_freed++, told_pa = pa, told_order = order;
}

static void a_checker_is_told(void **state)
{
	static const struct ramka_watch watch = { on_allocated, on_freed };
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = 4 * MIB, .watch = &watch });
	struct ramka_frame *x;

	(void)state;
	for (unsigned order = 0; order <= 2; order++) {
		told_allocated = told_freed = 0;
		x = must_alloc(f->cpu[0], order_req(order));
		assert_int_equal(told_allocated, 1);
		assert_int_equal(told_pa, PA(f, x));
		assert_int_equal(told_order, order);
		ramka_frame_put(f->cpu[0], x);
		assert_int_equal(told_freed, 1);
		assert_int_equal(told_order, order);
	}
	CLOSE(f);
}

/* ---- quarantine ---- */

static void a_freed_frame_waits(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .size = 4 * MIB, .flags = RAMKA_QUARANTINE, .rcu = true });
	struct ramka_frame *x = must_alloc(f->cpu[0], UNINIT), *y;
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT);
	ramka_paddr_t pa = PA(f, x), other = ramka_unique_paddr(f->r, u);
	struct ramka_stats s;

	(void)state;
	assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &ramka_type_untyped, NULL), 0); /* readers have no claim to it */
	ramka_frame_put(f->cpu[0], x);
	ramka_unique_free(f->cpu[0], u);
	ramka_stats_read(f->r, &s);
	assert_int_equal(s.deferred, 2);
	y = must_alloc(f->cpu[0], UNINIT);
	assert_true(PA(f, y) != pa && PA(f, y) != other);
	ramka_frame_put(f->cpu[0], y);
	CLOSE(f);
}

/* ---- refusals ---- */

static void impossible_flags_are_refused(void **state)
{
	struct ramka_region g = { .base = BASE, .size = 4 * MIB };
	struct ramka_config cfg = { .regions = &g, .nr_regions = 1, .nr_cpus = 1 };
	static const uint32_t contents[] = { RAMKA_POISON, RAMKA_INIT_ON_FREE };
	struct ramka_why why;
	size_t bytes;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		cfg.flags = RAMKA_NO_DIRECT_MAP | contents[i];
		assert_int_equal(ramka_metadata_size_why(&cfg, &bytes, &why), RAMKA_E_INVAL);
		assert_string_equal(why.field, "flags");
	}
	cfg.flags = RAMKA_QUARANTINE;
	assert_int_equal(ramka_metadata_size_why(&cfg, &bytes, &why), RAMKA_E_INVAL);
	cfg.flags = RAMKA_NO_DIRECT_MAP | RAMKA_TRACE;
	assert_int_equal(ramka_metadata_size(&cfg, &bytes), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_history_names_both_callers),
		cmocka_unit_test(each_way_to_allocate_is_noted),
		cmocka_unit_test(without_the_flag_there_is_no_history),
		cmocka_unit_test(no_history_of_what_is_no_frame),
		cmocka_unit_test(a_double_free_names_the_first),
		cmocka_unit_test(a_write_after_free_is_reported_and_the_frame_leaked),
		cmocka_unit_test(larger_frames_are_poisoned_whole),
		cmocka_unit_test(detached_content_stays),
		cmocka_unit_test(a_changed_frame_is_not_claimed),
		cmocka_unit_test(contents_are_cleared_on_free),
		cmocka_unit_test(a_checker_is_told),
		cmocka_unit_test(a_freed_frame_waits),
		cmocka_unit_test(impossible_flags_are_refused),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
