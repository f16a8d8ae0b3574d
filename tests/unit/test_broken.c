/* SPDX-License-Identifier: MIT */
/* Broken frames: free ones leave at once, those in use with their last reference; what is not broken of a larger frame comes back. */
#include "fixture.h"

#define FRAMES (16 * MIB / PAGE)

static struct fixture *open_rcu(uint64_t size)
{
	struct fixture *f = fixture_open((struct spec){ .size = size, .rcu = true, .nr_cpus = 3 });

	f->grown = true;
	return f;
}

static void is_bad(struct fixture *f, ramka_paddr_t pa)
{
	struct state_query q = { .pa = pa };

	ramka_walk(f->r, state_run, &q);
	assert_int_equal(q.run.state, RAMKA_STATE_RESERVED);
	assert_ptr_equal(q.run.type, &ramka_type_unusable);
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa), 0); /* again: nothing more happens */
}

/* All the rest can be had, and only that. */
static void rest_can_be_had(struct fixture *f, uint64_t nr)
{
	struct ramka_frame **all = frame_table(FRAMES + 1);

	AUDIT(f);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, all, FRAMES + 1), nr);
	for (uint64_t i = 0; i < nr; i++)
		assert_ptr_not_equal(ramka_frame_type(f->r, all[i]), &ramka_type_unusable);
	put_all(f->cpu[1], all, nr);
	free(all);
}

/* ---- free ---- */

static void a_free_one_leaves_at_once(void **state)
{
	struct fixture *f = open_rcu(16 * MIB);
	struct ramka_frame **all = frame_table(FRAMES);

	(void)state;
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 5 * PAGE), 0); /* out of a whole block */
	is_bad(f, BASE + 5 * PAGE);
	rest_can_be_had(f, FRAMES - 1);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, all, FRAMES), FRAMES - 1);
	for (uint64_t i = 0; i < FRAMES - 1; i++) /* into caches, rows and mail of all CPUs */
		ramka_frame_put(f->cpu[i % 3], all[i]);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(ramka_frame_set_bad(i % 4 == 3 ? f->none : f->cpu[i % 4], BASE + 4 * MIB + i * PAGE), 0);
	assert_int_equal(stats(f).bad, 41);
	assert_int_equal(stats(f).reserved, 41);
	assert_int_equal(stats(f).total, FRAMES);
	rest_can_be_had(f, FRAMES - 41);
	ramka_drain(f->r);
	assert_null(ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(12)));
	free(all);
	CLOSE(f);
}

static void bad_addresses(void **state)
{
	static const struct ramka_region regions[] = {
		{ BASE, 2 * MIB, RAMKA_USABLE, 0 },
		{ BASE + 2 * MIB, PAGE, RAMKA_RESERVED, 0 },
		{ BASE + 2 * MIB + PAGE, 2 * PAGE, RAMKA_BAD, 0 },
		{ BASE + 3 * MIB, 2 * PAGE, RAMKA_DETACHED, 0 },
		{ BASE + 4 * MIB, PAGE, RAMKA_USABLE, 0 },
	};
	struct fixture *f = fixture_open((struct spec){ .regions = regions, .nr_regions = NELEMS(regions) });
	struct ramka_frame *p;

	(void)state;
	assert_int_equal(stats(f).bad, 2);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 1), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE - PAGE), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 2 * MIB + 5 * PAGE), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 2 * MIB), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 2 * MIB + PAGE), 0); /* it is already */
	assert_int_equal(stats(f).bad, 2);
	/* what nobody owns: at once; claimed: when it would go back */
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 3 * MIB), 0);
	assert_int_equal(stats(f).unused, 1);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 3 * MIB, &ramka_type_untyped, NULL, &p), RAMKA_E_IN_USE);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 3 * MIB + PAGE, &ramka_type_untyped, NULL, &p), 0);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 3 * MIB + PAGE), RAMKA_LATER);
	ramka_frame_put(f->cpu[0], p);
	is_bad(f, BASE + 3 * MIB + PAGE);
	assert_int_equal(stats(f).unused, 0);
	assert_int_equal(stats(f).bad, 4);
	f->grown = true;
	CLOSE(f);
}

/* ---- in use ---- */

static unsigned drops;
struct note { uint64_t word; };
static void count_drop(struct ramka_cpu *cpu, struct note *meta, ramka_paddr_t pa, void *content)
{
	(void)cpu, (void)meta, (void)pa, (void)content;
	drops++;
}
static void hooked(struct ramka_cpu *cpu, void *meta, ramka_paddr_t pa, void *content)
{
	count_drop(cpu, meta, pa, content);
}
RAMKA_DEFINE_TYPE(hook_type, struct note, .id = 20, .on_drop = hooked);
RAMKA_DEFINE_TYPE(rcu_type, struct note, .id = 21, .flags = RAMKA_TYPE_RCU, .on_drop = hooked);
RAMKA_DEFINE_TYPE(link_type, struct ramka_link, .id = 22);

static void one_in_use_leaves_with_its_last_reference(void **state)
{
	static const struct ramka_type *const types[] = { &ramka_type_untyped, &hook_type, &rcu_type };

	(void)state;
	for (unsigned t = 0; t < NELEMS(types); t++)
		for (unsigned how = 0; how < 6; how++) { /* shared; twice; put_rcu; unique; shared then unique; cache-less */
			struct fixture *f = open_rcu(4 * MIB);
			struct ramka_cpu *by = how == 5 ? f->none : f->cpu[how % 2];
			struct ramka_frame *p;
			struct ramka_unique *u = NULL;
			ramka_paddr_t pa;

			assert_int_equal(ramka_type_register(f->r, &hook_type) | ramka_type_register(f->r, &rcu_type), 0);
			drops = 0;
			p = ramka_frame_alloc(f->cpu[0], types[t], NULL, UNINIT);
			pa = ramka_frame_paddr(f->r, p);
			if (how == 1)
				ramka_frame_get(f->r, p);
			if (how == 3)
				u = ramka_frame_try_unique(f->r, p);
			assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa), RAMKA_LATER);
			assert_int_equal(ramka_frame_set_bad(f->none, pa), RAMKA_LATER);
			assert_int_equal(stats(f).bad, 0);
			assert_ptr_equal(ramka_frame_type(f->r, p), types[t]);
			if (how == 4)
				u = ramka_frame_try_unique(f->r, p);
			if (u)
				ramka_unique_free(by, u);
			else if (how == 2)
				ramka_frame_put_rcu(by, p);
			else
				ramka_frame_put(by, p);
			if (how == 1)
				ramka_frame_put(f->cpu[1], p);
			grace_end(f);
			ramka_reclaim(f->cpu[0], true);
			assert_int_equal(drops, t != 0);
			is_bad(f, pa);
			rest_can_be_had(f, 4 * MIB / PAGE - 1);
			CLOSE(f);
		}
}

static void in_a_list(void **state)
{
	struct fixture *f = open_rcu(4 * MIB);
	struct ramka_unique *u[3];
	struct ramka_list l;

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &link_type), 0);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	for (unsigned i = 0; i < 3; i++) {
		u[i] = ramka_unique_alloc(f->cpu[0], &link_type, NULL, UNINIT);
		if (i == 0) /* before it is listed, while it is, after it was */
			assert_int_equal(ramka_frame_set_bad(f->cpu[1], ramka_unique_paddr(f->r, u[0])), RAMKA_LATER);
		ramka_list_push_back(&l, u[i]);
	}
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], ramka_unique_paddr(f->r, u[1])), RAMKA_LATER);
	assert_int_equal(ramka_list_size(&l), 3);
	assert_true(ramka_list_contains(&l, ramka_unique_paddr(f->r, u[1])));
	assert_ptr_equal(ramka_list_pop_back(&l), u[2]);
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], ramka_unique_paddr(f->r, u[2])), RAMKA_LATER);
	ramka_unique_free(f->cpu[0], u[2]);
	ramka_list_fini(f->cpu[0], &l);
	for (unsigned i = 0; i < 3; i++)
		is_bad(f, ramka_frame_paddr(f->r, slot_of(u[i])));
	rest_can_be_had(f, 4 * MIB / PAGE - 3);
	CLOSE(f);
}

/* ---- larger frames ---- */

/* Any base frames of a frame: the rest comes back, whole blocks as such. */
static void parts_of_a_larger_frame(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned order = 1; order <= 11; order++) {
		for (unsigned by = 0; by < 4; by++) { /* put, by another CPU, by none, free of a unique one */
			struct fixture *f = open_rcu(16 * MIB);
			unsigned nr = order < 3 ? 1 : 3;
			struct ramka_unique *u;
			ramka_paddr_t bad[3], pa = BASE + 8 * MIB;

			assert_int_equal(ramka_unique_claim(f->cpu[0], pa, order, &ramka_type_untyped, NULL, &u, NULL), 0);
			for (unsigned i = 0; i < nr; i++) {
				bad[i] = pa + (i ? random_next(&seed) % (UINT64_C(1) << order) : by == 1 ? 0 : (UINT64_C(1) << order) - 1) * PAGE;
				assert_int_equal(ramka_frame_set_bad(f->cpu[i % 3], bad[i]), RAMKA_LATER);
			}
			if (by == 3)
				ramka_unique_free(f->cpu[0], u);
			else
				ramka_frame_put(by == 2 ? f->none : f->cpu[by], ramka_unique_share(f->r, u));
			for (unsigned i = 0; i < nr; i++)
				is_bad(f, bad[i]);
			nr -= nr == 3 && (bad[1] == bad[0] || bad[2] == bad[0] || bad[2] == bad[1]);
			nr -= nr == 2 && bad[1] == bad[0] && bad[2] == bad[0];
			assert_int_equal(stats(f).bad, nr);
			assert_int_equal(in_use(f), 0);
			rest_can_be_had(f, FRAMES - nr);
			CLOSE(f);
		}
	}
}

/*
 * What the counters say of calls, a line each for the way by which a broken frame leaves: of those handed out each is given
 * back once. AUDIT compares them with the frames in use.
 */
static void each_is_given_back_once(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 11; order++)
		for (unsigned by = 0; by < 4; by++) { /* the CPU itself, another one, none, a handler on top of a call */
			struct fixture *f = open_rcu(32 * MIB);
			struct ramka_cpu *cpu = by == 3 ? f->cpu[0] : by == 2 ? f->none : f->cpu[by];
			struct ramka_frame *p[3];
			ramka_paddr_t pa[3];

			for (unsigned i = 0; i < 3; i++) {
				p[i] = must_alloc(f->cpu[0], order_req(order));
				pa[i] = ramka_frame_paddr(f->r, p[i]);
			}
			assert_int_equal(ramka_frame_set_bad(f->cpu[0], pa[0] + (PAGE << order) - PAGE), RAMKA_LATER);
			assert_int_equal(stats(f).allocs, 3);
			assert_int_equal(stats(f).puts, 0);
			AUDIT(f);
			if (by == 3)
				interrupt_begin(f->cpu[0]);
			ramka_frame_put(cpu, p[0]); /* broken in use: its parts are given back, one of them leaves */
			ramka_frame_put(cpu, p[1]);
			if (by == 3)
				interrupt_end(f->cpu[0]);
			AUDIT(f);
			assert_int_equal(ramka_frame_set_bad(cpu, pa[1]), 0); /* out of a cache, a row, mail or the zone */
			AUDIT(f);
			assert_int_equal(stats(f).allocs - stats(f).puts, 1);
			assert_int_equal(ramka_frame_set_bad(cpu, pa[2]), RAMKA_LATER);
			ramka_frame_put_rcu(f->cpu[0], p[2]);
			AUDIT(f);
			assert_int_equal(stats(f).allocs - stats(f).puts, 1); /* deferred */
			grace_end(f);
			ramka_reclaim(cpu, true);
			assert_int_equal(stats(f).bad, 3);
			assert_int_equal(stats(f).allocs, stats(f).puts);
			CLOSE(f);
		}
}

/* The flag goes with the base frame when its owner splits, joins, or gives another type. */
static void split_join_repurpose(void **state)
{
	(void)state;
	for (unsigned bad = 0; bad < 512; bad += 73) {
		struct fixture *f = open_rcu(16 * MIB);
		struct ramka_unique *u, *parts[512];
		ramka_paddr_t pa = BASE + 4 * MIB;

		assert_int_equal(ramka_type_register(f->r, &hook_type), 0);
		/* split after, and the parts freed one by one */
		assert_int_equal(ramka_unique_claim(f->cpu[0], pa, 9, &ramka_type_untyped, NULL, &u, NULL), 0);
		assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa + bad * PAGE), RAMKA_LATER);
		assert_int_equal(ramka_unique_split(f->r, u, 4, parts), 0);
		for (unsigned i = 0; i < 32; i++)
			ramka_unique_free(f->cpu[i % 3], parts[i]);
		is_bad(f, pa + bad * PAGE);
		assert_int_equal(stats(f).bad, 1);
		rest_can_be_had(f, FRAMES - 1);
		/* another block: parts joined after, given another type, split to the ground */
		pa += 2 * MIB;
		assert_int_equal(ramka_unique_claim(f->cpu[0], pa, 9, &ramka_type_untyped, NULL, &u, NULL), 0);
		assert_int_equal(ramka_unique_split(f->r, u, 3, parts), 0);
		assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa + bad * PAGE), RAMKA_LATER);
		assert_int_equal(ramka_unique_join(f->r, parts[0], 9), 0);
		assert_int_equal(ramka_unique_repurpose(f->cpu[0], parts[0], &hook_type, NULL), 0);
		AUDIT(f);
		assert_int_equal(ramka_unique_split(f->r, parts[0], 0, parts), 0);
		for (unsigned i = 0; i < 512; i++)
			ramka_unique_free(f->cpu[i % 3], parts[i]);
		is_bad(f, pa + bad * PAGE);
		/* joined, and freed as a whole */
		pa += 2 * MIB;
		assert_int_equal(ramka_unique_claim(f->cpu[0], pa, 9, &ramka_type_untyped, NULL, &u, NULL), 0);
		assert_int_equal(ramka_unique_split(f->r, u, 0, parts), 0);
		assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa + bad * PAGE), RAMKA_LATER);
		assert_int_equal(ramka_unique_join(f->r, parts[0], 9), 0);
		ramka_unique_free(f->none, parts[0]);
		is_bad(f, pa + bad * PAGE);
		assert_int_equal(stats(f).bad, 3);
		rest_can_be_had(f, FRAMES - 3);
		CLOSE(f);
	}
}

static void in_a_segment(void **state)
{
	struct fixture *f = open_rcu(16 * MIB);
	struct ramka_segment s;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 700, &ramka_type_untyped, NULL, NULL, UNINIT, &s), 0);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], s.base + 77 * PAGE), RAMKA_LATER);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], s.base + 699 * PAGE), RAMKA_LATER);
	ramka_segment_put(f->cpu[1], s);
	is_bad(f, s.base + 77 * PAGE);
	is_bad(f, s.base + 699 * PAGE);
	rest_can_be_had(f, FRAMES - 2);
	CLOSE(f);
}

/* ---- who is in the way ---- */

static void a_cpu_inside_a_call(void **state)
{
	struct fixture *f = open_rcu(4 * MIB);
	struct ramka_frame *p = must_alloc(f->cpu[0], UNINIT), *q = must_alloc(f->cpu[2], UNINIT);
	ramka_paddr_t pa = ramka_frame_paddr(f->r, p), cached = ramka_frame_paddr(f->r, q);

	(void)state;
	ramka_frame_put(f->cpu[2], q);
	interrupt_begin(f->cpu[2]); /* it may be about to free the frame, or hold it */
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa), RAMKA_E_BUSY);
	assert_int_equal(ramka_frame_set_bad(f->cpu[2], pa), RAMKA_E_BUSY); /* a handler on top of that call */
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], cached), RAMKA_E_BUSY);
	interrupt_end(f->cpu[2]);
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], pa), RAMKA_LATER);
	assert_int_equal(ramka_frame_set_bad(f->cpu[1], cached), 0);
	interrupt_begin(f->cpu[0]); /* freed without a section */
	ramka_frame_put(f->cpu[0], p);
	interrupt_end(f->cpu[0]);
	is_bad(f, pa);
	rest_can_be_had(f, 4 * MIB / PAGE - 2);
	CLOSE(f);
}

/* Isolated memory: neither free nor in use. */
static void in_isolated_memory(void **state)
{
	struct fixture *f = open_rcu(16 * MIB);
	struct ramka_isolation n;
	struct ramka_frame *p;

	(void)state;
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 2 * MIB, &ramka_type_untyped, NULL, &p), 0);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 2 * MIB, 2 * MIB), 0);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 2 * MIB), RAMKA_LATER);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], BASE + 2 * MIB + PAGE), 0);
	ramka_frame_put(f->cpu[1], p);
	assert_int_equal(ramka_isolate_progress(f->cpu[0], BASE + 2 * MIB, 2 * MIB, &n), 0);
	assert_int_equal(n.free, 510);
	assert_int_equal(n.reserved, 2);
	assert_int_equal(n.in_use + n.cached, 0);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 2 * MIB, 2 * MIB), 0);
	rest_can_be_had(f, FRAMES - 2);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_free_one_leaves_at_once),
		cmocka_unit_test(bad_addresses),
		cmocka_unit_test(one_in_use_leaves_with_its_last_reference),
		cmocka_unit_test(in_a_list),
		cmocka_unit_test(parts_of_a_larger_frame),
		cmocka_unit_test(each_is_given_back_once),
		cmocka_unit_test(split_join_repurpose),
		cmocka_unit_test(in_a_segment),
		cmocka_unit_test(a_cpu_inside_a_call),
		cmocka_unit_test(in_isolated_memory),
	};

	return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
