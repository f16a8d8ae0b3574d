/* SPDX-License-Identifier: MIT */
/*
 * The memory orders of the edges on which the original was weak, B4 and B23: the sources are compiled on a backend that
 * writes down what each operation on a state word asks for. That the orders suffice is shown by tests/checker.
 */
#define RAMKA_ATOMIC_BACKEND "unit/recorder.h"
#include "fixture.h"

#include "../../lib/frame/alloc.c"
#include "../../lib/frame/frame.c"
#include "../../lib/frame/unique.c"

static struct fixture *open_it(void)
{
	nr_recorded = 0;
	return fixture_open((struct spec){ .nr_cpus = 1, .rcu = true });
}

/* The last operation of this kind on the frame's state word since the last reset; its order. */
static int order_of_last(const struct ramka_frame *f, char kind)
{
	for (unsigned i = nr_recorded; i--;)
		if (recorded[i].word == &f->ref && recorded[i].kind == kind)
			return recorded[i].order;
	fail_msg("no such operation");
	return -1;
}

static void b04_publication_is_a_release(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED), *ret;
	struct ramka_unique *u;

	(void)state;
	assert_int_equal(order_of_last(one, 's'), __ATOMIC_RELEASE);
	nr_recorded = 0;
	assert_int_equal(ramka_frame_from_in_use(f->r, ramka_frame_paddr(f->r, one), &ret), 0);
	assert_int_equal(order_of_last(one, 'c'), __ATOMIC_ACQUIRE);
	ramka_frame_put(f->cpu[0], one);
	u = ramka_frame_try_unique(f->r, one);
	nr_recorded = 0;
	one = ramka_unique_share(f->r, u);
	assert_int_equal(order_of_last(one, 's'), __ATOMIC_RELEASE);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

static void b04_a_cache_hit_publishes_by_release(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *one;

	(void)state;
	ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], UNINIT));
	nr_recorded = 0;
	one = must_alloc(f->cpu[0], UNINIT);
	assert_int_equal(order_of_last(one, 's'), __ATOMIC_RELEASE);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

static void b23_the_new_owner_acquires(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED);
	struct ramka_unique *u;

	(void)state;
	nr_recorded = 0;
	u = ramka_frame_try_unique(f->r, one);
	assert_non_null(u);
	assert_int_equal(order_of_last(one, 'c'), __ATOMIC_ACQUIRE);
	one = ramka_unique_share(f->r, u);
	nr_recorded = 0;
	assert_true(ramka_frame_is_sole(one));
	assert_int_equal(order_of_last(one, 'l'), __ATOMIC_ACQUIRE);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

static void every_put_orders_both_ways(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	ramka_frame_get(f->r, one);
	ramka_frame_get(f->r, one);
	nr_recorded = 0;
	ramka_frame_put(f->cpu[0], one);
	assert_int_equal(order_of_last(one, '-'), __ATOMIC_ACQ_REL);
	nr_recorded = 0;
	ramka_frame_put_rcu(f->cpu[0], one);
	assert_int_equal(order_of_last(one, 'c'), __ATOMIC_ACQ_REL);
	ramka_frame_put(f->cpu[0], one);
	assert_int_equal(order_of_last(one, '-'), __ATOMIC_ACQ_REL);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(b04_publication_is_a_release),
		cmocka_unit_test(b04_a_cache_hit_publishes_by_release),
		cmocka_unit_test(b23_the_new_owner_acquires),
		cmocka_unit_test(every_put_orders_both_ways),
	};

	return cmocka_run_group_tests_name("orders", tests, NULL, NULL);
}
