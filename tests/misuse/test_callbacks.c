/* SPDX-License-Identifier: MIT */
/* Misuse inside callbacks, and callbacks that use the allocator where that is legal: panic, on_drop, init, decoders. */
#include "unit/fixture.h"

static struct fixture *fixture;
static struct ramka_frame *other;
static unsigned drops, calls;

struct note { uint64_t n; };

static void (*in_drop)(struct ramka_cpu *cpu, ramka_paddr_t pa);

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)meta, (void)content;
	drops++;
	if (in_drop)
		in_drop(cpu, paddr);
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE(rcu_type, struct note, .id = 17, .flags = RAMKA_TYPE_RCU, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE_PLAIN(stranger, .id = 18);

static struct fixture *open_it(void)
{
	fixture = fixture_open((struct spec){ .rcu = true, .high_water = 1000 });
	drops = calls = 0;
	in_drop = NULL;
	assert_int_equal(ramka_type_register(fixture->r, &note_type), 0);
	assert_int_equal(ramka_type_register(fixture->r, &rcu_type), 0);
	return fixture;
}

static struct ramka_frame *note(struct fixture *f, const struct ramka_type *type, unsigned order)
{
	struct ramka_frame *frame = ramka_frame_alloc(f->cpu[0], type, NULL, order_req(order));

	assert_non_null(frame);
	return frame;
}

/* ---- on_drop ---- */

static void use_itself(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	struct fixture *f = fixture;
	struct ramka_frame *self = slot_at(f, pa), *ret = NULL;
	struct ramka_unique *part;

	EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(cpu, self));
	assert_int_equal(f->bug.state, RAMKA_STATE_BUSY);
	EXPECT_BUG(f, "ramka_frame_put_rcu", assert_int_equal(ramka_frame_put_rcu(cpu, self), RAMKA_E_INVAL));
	EXPECT_BUG(f, "ramka_frame_get", assert_null(ramka_frame_get(f->r, self)));
	EXPECT_BUG(f, "ramka_unique_free", ramka_unique_free(cpu, unique_of(self)));
	EXPECT_BUG(f, "ramka_unique_share", assert_null(ramka_unique_share(f->r, unique_of(self))));
	EXPECT_BUG(f, "ramka_unique_split", assert_int_equal(ramka_unique_split(f->r, unique_of(self), 0, &part), RAMKA_E_INVAL));
	EXPECT_BUG(f, "ramka_frame_from_raw", assert_null(ramka_frame_from_raw(f->r, pa)));
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), RAMKA_E_BUSY);
	assert_int_equal(ramka_frame_from_unused(cpu, pa, &note_type, NULL, &ret), RAMKA_E_BUSY);
	assert_null(ret);
	assert_int_equal(ramka_fini(f->r), RAMKA_E_BUSY);
}

static void on_drop_uses_its_own_frame(void **state)
{
	struct fixture *f = open_it();

	(void)state;
	in_drop = use_itself;
	for (unsigned who = 0; who < 3; who++)
		for (unsigned order = 0; order < 3; order++) {
			struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

			ramka_frame_put(cpu, note(f, &note_type, order));
			assert_int_equal(ramka_frame_put_rcu(cpu, note(f, &note_type, order)), 0);
			ramka_frame_put(cpu, note(f, &rcu_type, order));
			ramka_unique_free(cpu, ramka_frame_try_unique(f->r, note(f, &note_type, order)));
			ramka_reclaim(cpu, true);
			assert_int_equal(drops, 4);
			drops = 0;
			AUDIT(f);
		}
	CLOSE(f);
}

static void put_other_twice(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	struct ramka_frame *twice = other;

	(void)pa;
	if (!twice)
		return;
	other = NULL;
	ramka_frame_put(cpu, twice); /* a last one: its on_drop waits until we return */
	EXPECT_BUG(fixture, "ramka_frame_put", ramka_frame_put(cpu, twice));
}

static void on_drop_puts_twice(void **state)
{
	struct fixture *f = open_it();

	(void)state;
	in_drop = put_other_twice;
	for (unsigned who = 0; who < 3; who++) {
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

		drops = 0;
		other = note(f, &note_type, 1);
		ramka_frame_put(cpu, note(f, &note_type, 0));
		assert_int_equal(drops, 2);
		AUDIT(f);
	}
	CLOSE(f);
}

static void old_on_drop_of_repurpose(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	struct fixture *f = fixture;
	struct ramka_frame *self = slot_at(f, pa);

	EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(cpu, self));
	EXPECT_BUG(f, "ramka_unique_free", ramka_unique_free(cpu, unique_of(self)));
	EXPECT_BUG(f, "ramka_unique_repurpose", assert_int_equal(ramka_unique_repurpose(cpu, unique_of(self), &note_type, NULL), RAMKA_E_INVAL));
}

static void repurpose_is_not_left_half_way(void **state)
{
	struct fixture *f = open_it();
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, ZEROED);

	(void)state;
	in_drop = old_on_drop_of_repurpose;
	assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &note_type, NULL), 0);
	assert_int_equal(drops, 1);
	in_drop = NULL;
	assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &note_type, NULL), 0);
	ramka_unique_free(f->cpu[0], u);
	assert_int_equal(drops, 3);
	CLOSE(f);
}

/* ---- no on_drop inside another ---- */

static unsigned depth, deepest;
static struct ramka_cpu *(*next_cpu)(struct ramka_cpu *given);
static struct ramka_unique *repurposed;
static int repurpose_rc;

struct parent { struct ramka_frame *child; };

static void put_child(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	struct parent *p = meta;

	(void)paddr, (void)content;
	drops++;
	if (++depth > deepest)
		deepest = depth;
	if (p->child)
		ramka_frame_put(next_cpu(cpu), p->child);
	if (repurposed)
		repurpose_rc = ramka_unique_repurpose(next_cpu(cpu), repurposed, &ramka_type_untyped, NULL);
	depth--;
}

static RAMKA_DEFINE_TYPE(parent_type, struct parent, .id = 19, .flags = 0, .on_drop = put_child);

static struct ramka_cpu *the_given(struct ramka_cpu *given) { return given; }
static struct ramka_cpu *the_cacheless(struct ramka_cpu *given) { (void)given; return fixture->none; }

/* A parent of a chain of `n` more, each the only reference to the next. */
static struct ramka_frame *chain(struct fixture *f, unsigned n)
{
	struct parent p = { NULL };

	for (unsigned i = 0; i <= n; i++)
		p.child = ramka_frame_alloc(f->cpu[0], &parent_type, &p, UNINIT);
	return p.child;
}

static void drops_never_nest(void **state)
{
	static struct ramka_cpu *(*const handles[])(struct ramka_cpu *) = { the_given, the_cacheless };
	struct fixture *f = open_it();

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &parent_type), 0);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned who = 0; who < 2; who++)
			for (unsigned how = 0; how < 3; how++) {
				struct ramka_cpu *cpu = who ? f->none : f->cpu[0];
				/* two handles that take turns are two deep and no more */
				unsigned most = i && !who ? 2 : 1;
				struct parent p = { chain(f, 100) };
				struct ramka_unique *u;

				depth = deepest = drops = 0;
				next_cpu = handles[i];
				u = ramka_unique_alloc(f->cpu[0], &parent_type, &p, UNINIT);
				if (how == 0)
					ramka_unique_free(cpu, u);
				else if (how == 1)
					ramka_frame_put(cpu, ramka_unique_share(f->r, u));
				else
					assert_int_equal(ramka_unique_repurpose(cpu, u, &ramka_type_untyped, NULL), 0);
				assert_int_equal(drops, 102);
				assert_in_range(deepest, 1, most);
				if (how == 2)
					ramka_unique_free(cpu, u);
				AUDIT(f);
			}
	CLOSE(f);
}

/* An on_drop that would have to run inside another: not done, and said so. Without an on_drop it is no matter. */
static void repurpose_inside_on_drop(void **state)
{
	struct fixture *f = open_it();
	struct parent p = { NULL };
	struct ramka_unique *plain = ramka_unique_alloc(f->cpu[0], &ramka_type_untyped, NULL, UNINIT);

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &parent_type), 0);
	next_cpu = the_given;
	repurposed = ramka_unique_alloc(f->cpu[0], &note_type, NULL, UNINIT);
	ramka_frame_put(f->cpu[0], ramka_frame_alloc(f->cpu[0], &parent_type, &p, UNINIT));
	assert_int_equal(repurpose_rc, RAMKA_E_BUSY);
	assert_int_equal(drops, 1);
	assert_ptr_equal(ramka_frame_type(f->r, slot_of(repurposed)), &note_type);
	ramka_unique_free(f->cpu[0], repurposed);
	repurposed = plain;
	ramka_frame_put(f->cpu[0], ramka_frame_alloc(f->cpu[0], &parent_type, &p, UNINIT));
	assert_int_equal(repurpose_rc, 0);
	ramka_unique_free(f->cpu[0], repurposed);
	repurposed = NULL;
	CLOSE(f);
}

/* Readers may look at the metadata of a frame whose type is RAMKA_TYPE_RCU until a grace period is over: no way around it. */
static void rcu_types_keep_their_metadata(void **state)
{
	struct fixture *f = open_it();
	struct note value = { 7 };
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &rcu_type, &value, UNINIT);
	ramka_paddr_t pa = ramka_frame_paddr(f->r, one);
	const struct note *seen = ramka_frame_meta_as(f->r, ramka_frame_at(f->r, pa).frame, &rcu_type);
	struct ramka_unique *u = ramka_frame_try_unique(f->r, one);

	(void)state;
	assert_non_null(u);
	assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &note_type, NULL), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &rcu_type, NULL), RAMKA_E_UNSUPPORTED);
	assert_true(drops == 0 && seen->n == 7);
	ramka_unique_free(f->cpu[0], u);
	assert_int_equal(stats(f).deferred, 1);
	assert_true(drops == 0 && seen->n == 7);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(drops, 1);
	CLOSE(f);
}

/* The parts of a split frame, which readers may have found, stay what they are; joined to what it was it has no parts. */
static void rcu_types_are_not_joined(void **state)
{
	struct fixture *f = open_it();
	struct ramka_unique *parts[4];
	const struct note *seen[4];

	(void)state;
	parts[0] = ramka_unique_alloc(f->cpu[0], &rcu_type, &(struct note){ 7 }, order_req(2));
	assert_int_equal(ramka_unique_split(f->r, parts[0], 0, parts), 0);
	for (unsigned i = 0; i < 4; i++) {
		ramka_paddr_t pa = ramka_unique_paddr(f->r, parts[i]);
		struct ramka_frame *shared = ramka_unique_share(f->r, parts[i]);

		seen[i] = ramka_frame_meta_as(f->r, ramka_frame_at(f->r, pa).frame, &rcu_type);
		parts[i] = ramka_frame_try_unique(f->r, shared);
	}
	for (unsigned order = 0; order <= 2; order++)
		assert_int_equal(ramka_unique_join(f->r, parts[0], order), order ? RAMKA_E_UNSUPPORTED : 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_ptr_equal(ramka_unique_meta(f->r, parts[i]), seen[i]);
		assert_int_equal(seen[i]->n, 7);
		ramka_unique_free(f->cpu[0], parts[i]);
		assert_int_equal(seen[i]->n, 7);
	}
	assert_int_equal(drops, 0);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(drops, 4);
	CLOSE(f);
}

/* ---- init of segments ---- */

static void no_metadata(void *ctx, ramka_paddr_t pa, void *meta)
{
	(void)pa;
	assert_null(meta);
	++*(unsigned *)ctx;
}

/* A type without metadata, and an instance without: there is nothing to point to. */
static void init_without_metadata(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *f = fixture_open((struct spec){ .size = MIB, .meta_size = i ? RAMKA_META_NONE : 0 });
		struct ramka_segment s;
		unsigned n = 0;

		assert_int_equal(ramka_segment_alloc(f->cpu[0], 5, &ramka_type_untyped, no_metadata, &n, UNINIT, &s), 0);
		ramka_segment_put(f->cpu[0], s);
		assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 16 * PAGE, PAGE, &ramka_type_untyped, no_metadata, &n, &s), 0);
		ramka_segment_put(f->cpu[0], s);
		assert_int_equal(n, 6);
		CLOSE(f);
	}
}

static void bad_init(void *ctx, ramka_paddr_t pa, void *meta)
{
	struct fixture *f = ctx;

	(void)meta;
	calls++;
	EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], slot_at(f, pa)));
	EXPECT_BUG(f, "ramka_frame_get", assert_null(ramka_frame_get(f->r, slot_at(f, pa))));
	ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], ZEROED)); /* legal */
}

static void init_uses_a_frame_that_is_not_there_yet(void **state)
{
	struct fixture *f = open_it();
	struct ramka_segment s;

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 10, &note_type, bad_init, f, ZEROED, &s), 0);
	assert_int_equal(calls, 10);
	AUDIT(f);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(drops, 10);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + MIB, 5 * PAGE, &note_type, bad_init, f, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(drops, 15);
	CLOSE(f);
}

/* ---- page-table entries that lie ---- */

static ramka_paddr_t lie;
static bool lie_is_node;

static bool child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)level;
	*ret_pa = lie;
	*ret_is_node = lie_is_node;
	return pte == 1;
}

static const struct ramka_pt_config config = { .levels = 2, .entries = 8, .child = child };

static void tear_down_with(struct fixture *f, ramka_paddr_t pa, bool is_node, const char *operation)
{
	struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &config, 2);

	assert_non_null(node);
	((uint64_t *)ramka_frame_content(f->r, node))[3] = 1;
	lie = pa;
	lie_is_node = is_node;
	ramka_frame_put(f->cpu[0], node); /* deferred */
	EXPECT_BUG(f, operation, ramka_reclaim(f->cpu[0], true));
	AUDIT(f);
}

static void entries_that_lie(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *page = must_alloc(f->cpu[0], ZEROED), *freed = must_alloc(f->cpu[0], ZEROED);
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, ZEROED);
	ramka_paddr_t raw;

	(void)state;
	ramka_frame_put(f->cpu[0], freed);
	tear_down_with(f, 0, false, "ramka_frame_from_raw");
	tear_down_with(f, BASE + 1, false, "ramka_frame_from_raw");
	tear_down_with(f, UINT64_MAX - 4095, true, "ramka_frame_from_raw");
	tear_down_with(f, BASE + 7 * MIB, false, "ramka_frame_from_raw"); /* a free frame */
	tear_down_with(f, ramka_unique_paddr(f->r, u), false, "ramka_frame_from_raw");
	/* a page that the entry calls a node: reported, and the reference leaked rather than guessed at */
	raw = ramka_frame_into_raw(f->r, ramka_frame_get(f->r, page));
	tear_down_with(f, raw, true, "ramka_frame_put");
	assert_string_equal(f->bug.argument, "pte");
	assert_int_equal(ramka_frame_refcount(page), 2);
	ramka_frame_put(f->cpu[0], page); /* the leaked one, which the node's end restored */
	ramka_frame_put(f->cpu[0], page);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

/* ---- the panic function ---- */

/* It is called outside any section, so it may do what a call may. */
static void panic_that_allocates(void *ctx, const struct ramka_bug *bug)
{
	struct ramka_frame *a;

	(void)ctx;
	calls++;
	assert_non_null(bug->operation);
	a = must_alloc(fixture->cpu[0], ZEROED);
	ramka_frame_put_rcu(fixture->cpu[0], a);
	ramka_drain(fixture->r);
	ramka_reclaim(fixture->cpu[0], true);
}

static void panic_may_use_the_allocator(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED);
	struct ramka_segment s = { BASE + MIB, 4 * PAGE };

	(void)state;
	f->r->panic = panic_that_allocates;
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_get(f->r, a);
	ramka_frame_put(f->none, NULL);
	ramka_segment_put(f->cpu[0], s);
	assert_null(ramka_frame_alloc(f->cpu[0], &stranger, NULL, ZEROED));
	assert_int_equal(calls, 3 + 4 + 1);
	CLOSE(f);
}

/* ---- what a report says ---- */

static void reports_say_what_where_and_who(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = note(f, &note_type, 0);
	struct ramka_unique *u = ramka_frame_try_unique(f->r, a);

	(void)state;
	EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], a));
	assert_int_equal(f->bug.paddr, ramka_frame_paddr(f->r, a));
	assert_int_equal(f->bug.state, RAMKA_STATE_UNIQUE);
	assert_int_equal(f->bug.ref, REF_UNIQUE);
	assert_ptr_equal(f->bug.type, &note_type);
	assert_true(strlen(f->bug.what) > 5 && !strchr(f->bug.what, '\n'));
	EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], NULL));
	assert_int_equal(f->bug.paddr, 0);
	assert_null(f->bug.type);
	assert_int_equal(f->bug.state, RAMKA_STATE_HOLE);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_drop_uses_its_own_frame),
		cmocka_unit_test(on_drop_puts_twice),
		cmocka_unit_test(repurpose_is_not_left_half_way),
		cmocka_unit_test(drops_never_nest),
		cmocka_unit_test(repurpose_inside_on_drop),
		cmocka_unit_test(rcu_types_keep_their_metadata),
		cmocka_unit_test(rcu_types_are_not_joined),
		cmocka_unit_test(init_without_metadata),
		cmocka_unit_test(init_uses_a_frame_that_is_not_there_yet),
		cmocka_unit_test(entries_that_lie),
		cmocka_unit_test(panic_may_use_the_allocator),
		cmocka_unit_test(reports_say_what_where_and_who),
	};

	return cmocka_run_group_tests_name("callbacks", tests, NULL, NULL);
}
