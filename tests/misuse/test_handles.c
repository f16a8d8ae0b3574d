/* SPDX-License-Identifier: MIT */
/*
 * A handle of a CPU in the wrong hands: with cfg.this_cpu every call that takes one says so, names both, and does nothing. Also
 * callbacks that would call themselves, the order of RAMKA_SHUFFLE, and read sections that do not go in pairs.
 */
#include "unit/fixture.h"

struct note { struct ramka_link link; uint64_t n; };

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16);

static unsigned executing; /* the CPU that the test plays */
static const bool by_return = false, by_jump = true;

static unsigned this_cpu(void *ctx, unsigned used)
{
	(void)ctx, (void)used;
	return executing;
}

/* The instance anew, with the callback: the fixture has no such thing. */
static struct fixture *open_with(struct spec spec, unsigned (*callback)(void *ctx, unsigned used), uint64_t seed)
{
	struct fixture *f = fixture_open(spec);

	assert_int_equal(ramka_fini(f->r), 0);
	f->cfg.this_cpu = callback;
	f->cfg.seed = seed;
	assert_int_equal(ramka_init(&f->cfg, f->metadata, f->metadata_bytes, &f->r), 0);
	for (unsigned i = 0; i < f->nr_cpus; i++)
		f->cpu[i] = ramka_cpu_at(f->r, i);
	f->none = ramka_cpu_none(f->r);
	ramka_stats_read(f->r, &f->start);
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	return f;
}

static bool tell(void *ctx, ramka_paddr_t base, uint64_t size)
{
	(void)ctx, (void)base, (void)size;
	fail_msg("a call that was refused told of memory");
	return false;
}

static bool no_child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)pte, (void)level, (void)ret_pa, (void)ret_is_node;
	return false;
}

#define WRONG(operation_, ...)                                                                             \
	do {                                                                                               \
		EXPECT_BUG(f, operation_, __VA_ARGS__);                                                    \
		assert_string_equal(f->bug.argument, "cpu");                                               \
		assert_true(f->bug.value == 1 && f->bug.expected == 0);                                    \
		AUDIT(f);                                                                                  \
	} while (0)

static void the_handle_of_another_cpu(void **state)
{
	struct fixture *f = open_with((struct spec){ .rcu = true, .high_water = 1000 }, this_cpu, 0);
	static struct ramka_frame *one, *out, *two[2];
	static struct ramka_unique *u, *mine;
	static struct ramka_segment s, g;
	static struct ramka_list l;
	static const struct ramka_pt_config tables = { .levels = 4, .entries = 512, .child = no_child };
	struct ramka_cpu *wrong = f->cpu[1];
	struct ramka_isolation seen;
	ramka_paddr_t pa;
	uint64_t nr;

	f->jumps = *(const bool *)*state;
	executing = 0;
	one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, ZEROED);
	two[0] = must_alloc(f->cpu[0], UNINIT);
	two[1] = must_alloc(f->cpu[0], order_req(3));
	u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, ZEROED);
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 3, &note_type, NULL, NULL, UNINIT, &s), 0);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	ramka_list_push_back(&l, ramka_unique_alloc(f->cpu[0], &note_type, NULL, ZEROED));

	WRONG("ramka_frame_alloc", assert_null(ramka_frame_alloc(wrong, &note_type, NULL, ZEROED)));
	WRONG("ramka_frame_alloc", assert_null(ramka_frame_alloc(wrong, &ramka_type_untyped, NULL, UNINIT)));
	WRONG("ramka_frame_alloc", assert_null(ramka_frame_alloc(wrong, &ramka_type_untyped, NULL, order_req(4))));
	WRONG("ramka_unique_alloc", assert_null(ramka_unique_alloc(wrong, &ramka_type_untyped, NULL, UNINIT)));
	WRONG("ramka_frame_alloc_bulk", assert_int_equal(ramka_frame_alloc_bulk(wrong, &note_type, UNINIT, 1, &out), 0));
	WRONG("ramka_frame_from_unused",
	      assert_int_equal(ramka_frame_from_unused(wrong, BASE + 4 * MIB, &note_type, NULL, &out), RAMKA_E_INVAL));
	WRONG("ramka_unique_from_unused",
	      assert_int_equal(ramka_unique_from_unused(wrong, BASE + 4 * MIB, &note_type, NULL, &mine), RAMKA_E_INVAL));
	WRONG("ramka_segment_alloc",
	      assert_int_equal(ramka_segment_alloc(wrong, 2, &note_type, NULL, NULL, UNINIT, &g), RAMKA_E_INVAL));
	WRONG("ramka_segment_from_unused", assert_int_equal(
		ramka_segment_from_unused(wrong, BASE + 4 * MIB, PAGE, &note_type, NULL, NULL, &g), RAMKA_E_INVAL));
	WRONG("ramka_frame_put", ramka_frame_put(wrong, one));
	WRONG("ramka_frame_put", ramka_frame_put(wrong, two[0]));
	WRONG("ramka_frame_put", ramka_frame_put(wrong, two[1]));
	WRONG("ramka_frame_put_rcu", assert_int_equal(ramka_frame_put_rcu(wrong, one), RAMKA_E_INVAL));
	WRONG("ramka_frame_put_bulk", ramka_frame_put_bulk(wrong, 1, two));
	WRONG("ramka_unique_free", ramka_unique_free(wrong, u));
	WRONG("ramka_unique_repurpose",
	      assert_int_equal(ramka_unique_repurpose(wrong, u, &ramka_type_untyped, NULL), RAMKA_E_INVAL));
	WRONG("ramka_segment_put", ramka_segment_put(wrong, s));
	WRONG("ramka_list_fini", ramka_list_fini(wrong, &l));
	WRONG("ramka_unique_alloc_bulk", assert_int_equal(ramka_unique_alloc_bulk(wrong, &note_type, UNINIT, 1, &mine), 0));
	WRONG("ramka_unique_free_bulk", ramka_unique_free_bulk(wrong, 1, &u));
	WRONG("ramka_frame_claim", assert_int_equal(
		ramka_frame_claim(wrong, BASE + 4 * MIB, 1, &note_type, NULL, &out, NULL), RAMKA_E_INVAL));
	WRONG("ramka_unique_claim", assert_int_equal(
		ramka_unique_claim(wrong, BASE + 4 * MIB, 1, &note_type, NULL, &mine, NULL), RAMKA_E_INVAL));
	pa = ramka_frame_into_raw(f->r, two[0]);
	WRONG("ramka_frame_put_at", ramka_frame_put_at(wrong, pa));
	assert_ptr_equal(ramka_frame_from_raw(f->r, pa), two[0]); /* it is forgotten as it was */
	WRONG("ramka_frame_assign", ramka_frame_assign(wrong, &(struct ramka_frame *){ one }, NULL));
	WRONG("ramka_pt_alloc", assert_null(ramka_pt_alloc(wrong, &tables, 1)));
	WRONG("ramka_reclaim", ramka_reclaim(wrong, false));
	WRONG("ramka_reclaim", ramka_reclaim(wrong, true));
	WRONG("ramka_isolate", assert_int_equal(ramka_isolate(wrong, BASE + 4 * MIB, 2 * MIB), RAMKA_E_INVAL));
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + 4 * MIB, 2 * MIB), 0);
	WRONG("ramka_isolate_progress",
	      assert_int_equal(ramka_isolate_progress(wrong, BASE + 4 * MIB, 2 * MIB, &seen), RAMKA_E_INVAL));
	WRONG("ramka_remove_memory", assert_int_equal(ramka_remove_memory(wrong, BASE + 4 * MIB, 2 * MIB), RAMKA_E_INVAL));
	WRONG("ramka_unisolate", assert_int_equal(ramka_unisolate(wrong, BASE + 4 * MIB, 2 * MIB), RAMKA_E_INVAL));
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + 4 * MIB, 2 * MIB), 0);
	WRONG("ramka_frame_set_bad", assert_int_equal(ramka_frame_set_bad(wrong, BASE + 4 * MIB), RAMKA_E_INVAL));
	WRONG("ramka_report_free", assert_int_equal(ramka_report_free(wrong, 1, tell, NULL, &nr), RAMKA_E_INVAL));
	assert_true(!out && !mine && !g.size && ramka_list_size(&l) == 1 && ramka_frame_refcount(one) == 1);

	/* the caller's own, and the one that is anybody's */
	for (unsigned i = 0; i < 2; i++) {
		executing = i;
		ramka_frame_put(f->cpu[i], must_alloc(f->cpu[i], UNINIT));
		ramka_frame_put(f->none, must_alloc(f->none, order_req(2)));
	}
	executing = 0;
	ramka_frame_put(f->cpu[0], one);
	ramka_frame_put_bulk(f->cpu[0], 2, two);
	ramka_unique_free(f->none, u);
	ramka_segment_put(f->cpu[0], s);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

/* ---- low_memory ---- */

static unsigned depth, deepest;

static void low_allocates(struct fixture *f)
{
	struct ramka_frame *one;

	if (++depth > deepest)
		deepest = depth;
	one = ramka_frame_alloc(f->cpu[0], &ramka_type_untyped, NULL, order_req(3));
	if (one)
		ramka_frame_put(f->cpu[0], one);
	depth--;
}

static void low_memory_does_not_call_itself(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .low_watermark = 1300 });

	(void)state;
	f->on_low = low_allocates;
	depth = deepest = 0;
	for (unsigned i = 0; i < 3; i++) {
		unsigned lows = f->lows;

		struct ramka_frame *one = must_alloc(f->cpu[1], order_req(9)), *two = must_alloc(f->cpu[1], order_req(9));

		assert_int_equal(f->lows, lows + 1);
		ramka_frame_put(f->cpu[1], one);
		ramka_frame_put(f->cpu[1], two);
		ramka_drain(f->r); /* and it is called again, once memory was enough */
		ramka_frame_put(f->cpu[1], must_alloc(f->cpu[1], UNINIT));
	}
	assert_int_equal(deepest, 1);
	CLOSE(f);
}

/* ---- RAMKA_SHUFFLE ---- */

#define NR 200u

static void order_of_frames(uint64_t seed, unsigned cpu, uint64_t *ret)
{
	struct fixture *f = open_with((struct spec){ .flags = RAMKA_SHUFFLE }, NULL, seed);

	for (unsigned i = 0; i < NR; i++)
		ret[i] = ramka_frame_paddr(f->r, must_alloc(f->cpu[cpu], UNINIT)) - BASE;
	fixture_unmap(f);
}

static void each_seed_has_an_order_of_its_own(void **state)
{
	uint64_t a[NR], b[NR], c[NR];

	(void)state;
	order_of_frames(1, 0, a);
	order_of_frames(1, 0, b);
	assert_memory_equal(a, b, sizeof(a));
	order_of_frames(2, 0, b);
	assert_true(memcmp(a, b, sizeof(a)));
	order_of_frames(UINT64_C(1) << 40, 0, c);
	assert_true(memcmp(a, c, sizeof(a)) && memcmp(b, c, sizeof(b)));
}

/* Without a seed two instances, which lie at two addresses, differ. */
static void instances_differ_without_a_seed(void **state)
{
	struct fixture *f = open_with((struct spec){ .flags = RAMKA_SHUFFLE }, NULL, 0);
	struct fixture *g = open_with((struct spec){ .flags = RAMKA_SHUFFLE }, NULL, 0);
	unsigned same = 0;

	(void)state;
	for (unsigned i = 0; i < NR; i++)
		same += ramka_frame_paddr(f->r, must_alloc(f->cpu[0], UNINIT)) == ramka_frame_paddr(g->r, must_alloc(g->cpu[0], UNINIT));
	assert_true(same < NR / 2);
	fixture_unmap(f);
	fixture_unmap(g);
}

/* ---- ramka_qsbr ---- */

static struct ramka_qsbr_cpu qsbr_cpus[4];
static struct ramka_bug bug;
static unsigned nr_bugs;

static void note_bug(void *ctx, const struct ramka_bug *b)
{
	assert_ptr_equal(ctx, qsbr_cpus);
	bug = *b;
	nr_bugs++;
}

static void qsbr_reported(const char *operation, unsigned cpu)
{
	assert_int_equal(nr_bugs, 1);
	assert_string_equal(bug.operation, operation);
	assert_string_equal(bug.argument, "cpu");
	assert_int_equal(bug.value, cpu);
	nr_bugs = 0;
}

/* What does not go in pairs is reported and does nothing: a section that is open stays protected, and so does the next one. */
static void sections_of_qsbr_go_in_pairs(void **state)
{
	struct ramka_qsbr q;
	struct ramka_rcu_ops ops;
	uint64_t first;

	(void)state;
	ramka_qsbr_init(&q, qsbr_cpus, 4, &ops);
	q.panic = note_bug;
	q.panic_ctx = qsbr_cpus;
	ramka_qsbr_online(&q, 0);
	first = ops.snapshot(ops.ctx);
	ramka_qsbr_online(&q, 0);
	qsbr_reported("ramka_qsbr_online", 0);
	assert_false(ops.elapsed(ops.ctx, first));
	ramka_qsbr_offline(&q, 0);
	assert_true(ops.elapsed(ops.ctx, first));
	assert_int_equal(nr_bugs, 0);
	ramka_qsbr_offline(&q, 0);
	qsbr_reported("ramka_qsbr_offline", 0);
	ramka_qsbr_quiescent(&q, 3);
	qsbr_reported("ramka_qsbr_quiescent", 3);
	assert_true(ops.elapsed(ops.ctx, ops.snapshot(ops.ctx))); /* CPU 3 is no reader by that */
	ramka_qsbr_online(&q, 0);
	assert_false(ops.elapsed(ops.ctx, ops.snapshot(ops.ctx)));
	ramka_qsbr_offline(&q, 0);
	assert_int_equal(nr_bugs, 0);
	for (unsigned cpu = 2; cpu < 4; cpu++) { /* there are two: what lies behind them is not touched */
		ramka_qsbr_init(&q, qsbr_cpus, 2, &ops);
		q.panic = note_bug;
		q.panic_ctx = qsbr_cpus;
		ramka_qsbr_online(&q, cpu);
		qsbr_reported("ramka_qsbr_online", cpu);
		ramka_qsbr_quiescent(&q, cpu);
		qsbr_reported("ramka_qsbr_quiescent", cpu);
		ramka_qsbr_offline(&q, cpu);
		qsbr_reported("ramka_qsbr_offline", cpu);
		assert_string_equal(bug.what, "there is no such CPU");
	}
	q.panic = NULL; /* nothing is told, and nothing else changes */
	ramka_qsbr_quiescent(&q, 3);
	assert_true(ops.elapsed(ops.ctx, ops.snapshot(ops.ctx)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "the_handle_of_another_cpu", the_handle_of_another_cpu, NULL, NULL, (void *)(uintptr_t)&by_return },
		{ "the_handle_of_another_cpu_by_longjmp", the_handle_of_another_cpu, NULL, NULL, (void *)(uintptr_t)&by_jump },
		cmocka_unit_test(low_memory_does_not_call_itself),
		cmocka_unit_test(each_seed_has_an_order_of_its_own),
		cmocka_unit_test(instances_differ_without_a_seed),
		cmocka_unit_test(sections_of_qsbr_go_in_pairs),
	};

	return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
