/* SPDX-License-Identifier: MIT */
/* Lists: every function of list.h, cursors through the ghost position. Misuse is in tests/misuse. */
#include "fixture.h"

struct item { struct ramka_link link; uint64_t n; };

static unsigned drops;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)meta, (void)paddr, (void)content;
	drops++;
}

static RAMKA_DEFINE_TYPE(item_type, struct item, .id = 16, .flags = 0, .on_drop = on_drop);

static struct fixture *open_with(struct ramka_list *l)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2 });

	drops = 0;
	assert_int_equal(ramka_type_register(f->r, &item_type), 0);
	assert_int_equal(ramka_list_init(f->r, l), 0);
	return f;
}

static struct ramka_unique *item(struct fixture *f, uint64_t n)
{
	struct item value = { .n = n };
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &item_type, &value, UNINIT);

	assert_non_null(u);
	return u;
}

static uint64_t number(struct ramka_cursor *c)
{
	uint64_t *n = ramka_cursor_meta(c);

	return n ? *n : UINT64_MAX;
}

static ramka_paddr_t paddr(const struct fixture *f, const struct ramka_unique *u)
{
	return ramka_unique_paddr(f->r, u);
}

/* Forward and backward the list holds exactly these, the markers agree, and the ghost lies between back and front. */
static void holds(const struct fixture *f, struct ramka_list *l, const uint64_t *n, size_t count)
{
	struct ramka_cursor c = ramka_list_cursor_front(l);

	assert_int_equal(ramka_list_size(l), count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(number(&c), n[i]);
		assert_true(ramka_list_contains(l, paddr(f, c.at)));
		ramka_cursor_next(&c);
	}
	assert_null(ramka_cursor_meta(&c)); /* the ghost */
	ramka_cursor_next(&c);
	assert_int_equal(number(&c), count ? n[0] : UINT64_MAX);
	c = ramka_list_cursor_back(l);
	for (size_t i = count; i--;) {
		assert_int_equal(number(&c), n[i]);
		ramka_cursor_prev(&c);
	}
	assert_null(ramka_cursor_meta(&c));
	ramka_cursor_prev(&c);
	assert_int_equal(number(&c), count ? n[count - 1] : UINT64_MAX);
}

#define HOLDS(f, l, ...) holds(f, l, (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static void init_needs_room(void **state)
{
	static const uint32_t sizes[] = { RAMKA_META_NONE, 8, 15, 17, 20 };
	struct fixture *f;
	struct ramka_list l, *const untouched = &l;

	(void)state;
	memset(untouched, 0x55, sizeof(l));
	for (unsigned i = 0; i < NELEMS(sizes); i++) {
		f = fixture_open((struct spec){ .meta_size = sizes[i] });
		assert_int_equal(ramka_list_init(f->r, &l), RAMKA_E_UNSUPPORTED);
		assert_true(all_bytes((const uint8_t *)&l, 0x55, sizeof(l)));
		CLOSE(f);
	}
	f = fixture_open((struct spec){ .meta_size = 16 });
	assert_int_equal(ramka_list_init(NULL, &l), RAMKA_E_INVAL);
	assert_int_equal(ramka_list_init(f->r, NULL), RAMKA_E_INVAL);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void ids_are_never_used_twice(void **state)
{
	struct ramka_list l[200];
	struct fixture *f = open_with(&l[0]);

	(void)state;
	for (unsigned i = 1; i < 200; i++) {
		if (i % 3 == 0)
			ramka_list_fini(f->cpu[0], &l[i - 1]);
		assert_int_equal(ramka_list_init(f->r, &l[i]), 0);
	}
	for (unsigned i = 0; i < 200; i++)
		for (unsigned j = 0; j < i && l[i].id; j++)
			assert_int_not_equal(l[i].id, l[j].id);
	CLOSE(f);
}

static void ids_run_out(void **state)
{
	struct ramka_list l, m;
	struct fixture *f = open_with(&l);

	(void)state;
	ramka_store(&f->r->list_ids, UINT32_MAX - 1, relaxed, list.id);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	assert_int_equal(l.id, UINT32_MAX);
	memset(&m, 0, sizeof(m));
	for (unsigned i = 0; i < 3; i++) /* and never start again */
		assert_int_equal(ramka_list_init(f->r, &m), RAMKA_E_NOMEM);
	assert_null(m.r);
	ramka_list_push_back(&l, item(f, 1));
	HOLDS(f, &l, 1);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void pushes_and_pops_at_both_ends(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	struct ramka_unique *u;

	(void)state;
	assert_int_equal(ramka_list_size(&l), 0);
	assert_null(ramka_list_pop_front(&l));
	assert_null(ramka_list_pop_back(&l));
	ramka_list_push_back(&l, item(f, 1));
	HOLDS(f, &l, 1);
	ramka_list_push_front(&l, item(f, 0));
	ramka_list_push_back(&l, item(f, 2));
	HOLDS(f, &l, 0, 1, 2);
	AUDIT(f);
	u = ramka_list_pop_front(&l);
	assert_int_equal(((struct item *)ramka_unique_meta(f->r, u))->n, 0);
	assert_false(ramka_list_contains(&l, paddr(f, u)));
	HOLDS(f, &l, 1, 2);
	ramka_list_push_back(&l, u);
	HOLDS(f, &l, 1, 2, 0);
	u = ramka_list_pop_back(&l);
	assert_int_equal(((struct item *)ramka_unique_meta(f->r, u))->n, 0);
	ramka_unique_free(f->cpu[0], u); /* the marker is gone, so it may die */
	HOLDS(f, &l, 1, 2);
	ramka_unique_free(f->cpu[0], ramka_list_pop_back(&l));
	ramka_unique_free(f->cpu[0], ramka_list_pop_back(&l));
	assert_null(ramka_list_pop_back(&l));
	assert_int_equal(ramka_list_size(&l), 0);
	assert_int_equal(drops, 3);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void fini_frees_what_it_holds(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	ramka_paddr_t pa;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		ramka_list_push_front(&l, item(f, i));
	pa = paddr(f, l.front);
	assert_true(ramka_list_contains(&l, pa));
	ramka_list_fini(f->cpu[1], &l);
	assert_int_equal(drops, 100);
	assert_int_equal(in_use(f), 0);
	assert_false(ramka_list_contains(&l, pa));
	assert_int_equal(ramka_list_init(f->r, &l), 0); /* again */
	assert_int_equal(ramka_list_size(&l), 0);
	assert_false(ramka_list_contains(&l, pa));
	ramka_list_push_back(&l, item(f, 1));
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void contains_what_it_contains(void **state)
{
	struct ramka_list l, m;
	struct fixture *f = open_with(&l);
	struct ramka_unique *u = item(f, 1), *v = item(f, 2);
	struct ramka_cursor c = { NULL, NULL };

	(void)state;
	assert_int_equal(ramka_list_init(f->r, &m), 0);
	ramka_list_push_back(&l, u);
	ramka_list_push_back(&m, v);
	assert_true(ramka_list_contains(&l, paddr(f, u)));
	assert_false(ramka_list_contains(&l, paddr(f, v)));
	assert_true(ramka_list_contains(&m, paddr(f, v)));
	assert_false(ramka_list_contains(&l, paddr(f, u) + 1)); /* false on a bad address */
	assert_false(ramka_list_contains(&l, 0));
	assert_false(ramka_list_contains(&l, UINT64_MAX));
	assert_false(ramka_list_contains(&l, BASE - PAGE));
	assert_false(ramka_list_contains(&l, BASE + 8 * MIB));
	assert_false(ramka_list_contains(&l, BASE + 4 * MIB)); /* a free frame */
	assert_false(ramka_list_cursor_at(&l, paddr(f, v), &c));
	assert_false(ramka_list_cursor_at(&l, paddr(f, u) + 8, &c));
	assert_false(ramka_list_cursor_at(&l, UINT64_MAX, &c));
	assert_null(c.list); /* untouched */
	assert_true(ramka_list_cursor_at(&l, paddr(f, u), &c));
	assert_ptr_equal(c.at, u);
	ramka_list_fini(f->cpu[0], &l);
	ramka_list_fini(f->cpu[0], &m);
	CLOSE(f);
}

static void a_cursor_of_an_empty_list(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	struct ramka_cursor c = ramka_list_cursor_front(&l);

	(void)state;
	assert_null(ramka_cursor_meta(&c));
	assert_null(ramka_cursor_take(&c));
	ramka_cursor_next(&c);
	ramka_cursor_prev(&c);
	assert_null(ramka_cursor_meta(&c));
	ramka_cursor_insert_before(&c, item(f, 5)); /* at the ghost: push back */
	assert_null(ramka_cursor_meta(&c));
	ramka_cursor_insert_before(&c, item(f, 6));
	HOLDS(f, &l, 5, 6);
	ramka_cursor_next(&c);
	assert_int_equal(number(&c), 5);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void takes_and_moves_on(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	struct ramka_cursor c;
	struct ramka_unique *u;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		ramka_list_push_back(&l, item(f, i));
	c = ramka_list_cursor_front(&l);
	ramka_cursor_next(&c);
	ramka_cursor_next(&c);
	u = ramka_cursor_take(&c); /* in the middle */
	assert_int_equal(((struct item *)ramka_unique_meta(f->r, u))->n, 2);
	assert_false(ramka_list_contains(&l, paddr(f, u)));
	assert_int_equal(number(&c), 3);
	HOLDS(f, &l, 0, 1, 3, 4);
	ramka_cursor_insert_before(&c, u);
	assert_int_equal(number(&c), 3);
	HOLDS(f, &l, 0, 1, 2, 3, 4);
	c = ramka_list_cursor_back(&l);
	u = ramka_cursor_take(&c); /* the last: on to the ghost */
	assert_null(ramka_cursor_meta(&c));
	assert_null(ramka_cursor_take(&c));
	HOLDS(f, &l, 0, 1, 2, 3);
	ramka_cursor_next(&c);
	assert_int_equal(number(&c), 0);
	ramka_unique_free(f->cpu[0], u);
	u = ramka_cursor_take(&c); /* the first */
	assert_int_equal(number(&c), 1);
	HOLDS(f, &l, 1, 2, 3);
	ramka_cursor_prev(&c);
	assert_null(ramka_cursor_meta(&c));
	ramka_cursor_prev(&c);
	assert_int_equal(number(&c), 3);
	ramka_unique_free(f->cpu[0], u);
	while (ramka_list_size(&l)) {
		c = ramka_list_cursor_front(&l);
		ramka_unique_free(f->cpu[0], ramka_cursor_take(&c));
	}
	assert_null(ramka_cursor_meta(&c));
	CLOSE(f);
}

static void metadata_through_the_cursor(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	struct ramka_unique *u = item(f, 17);
	struct ramka_cursor c;

	(void)state;
	ramka_list_push_back(&l, u);
	assert_true(ramka_list_cursor_at(&l, paddr(f, u), &c));
	*(uint64_t *)ramka_cursor_meta(&c) = 18; /* after the link */
	u = ramka_cursor_take(&c);
	assert_int_equal(((struct item *)ramka_unique_meta(f->r, u))->n, 18);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

/* Random operations against an array. */
static void against_an_array(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	uint64_t want[64], seed = 61, next = 100;
	size_t n = 0;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		size_t at = n ? random_next(&seed) % (n + 1) : 0;
		struct ramka_cursor c = at % 2 ? ramka_list_cursor_back(&l) : ramka_list_cursor_front(&l);
		struct ramka_unique *u;

		if (at % 2)
			for (size_t i = n; i > at + 1; i--)
				ramka_cursor_prev(&c);
		else
			for (size_t i = 0; i < at; i++)
				ramka_cursor_next(&c);
		if (at % 2 && at == n)
			ramka_cursor_next(&c);
		assert_int_equal(number(&c), at < n ? want[at] : UINT64_MAX);
		if (n < NELEMS(want) && random_next(&seed) % 2) {
			ramka_cursor_insert_before(&c, item(f, next));
			memmove(want + at + 1, want + at, (n++ - at) * sizeof(*want));
			want[at] = next++;
		} else {
			u = ramka_cursor_take(&c);
			assert_int_equal(u != NULL, at < n);
			if (!u)
				continue;
			assert_int_equal(((struct item *)ramka_unique_meta(f->r, u))->n, want[at]);
			memmove(want + at, want + at + 1, (n-- - at - 1) * sizeof(*want));
			ramka_unique_free(f->cpu[0], u);
		}
		holds(f, &l, want, n);
	}
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

static void raw_handles_of_listed_frames(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l);
	struct ramka_unique *u = item(f, 1);
	ramka_paddr_t pa = ramka_unique_into_raw(f->r, u);

	(void)state;
	ramka_list_push_back(&l, ramka_unique_from_raw(f->r, pa));
	HOLDS(f, &l, 1);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

/* Links lie in owner metadata, where an embedder may write by mistake: a frame is taken out only if both neighbours agree. */
static void an_overwritten_link_is_found(void **state)
{
	for (unsigned which = 0; which < 3; which++) { /* the link of the first, of the middle, of the last frame */
		for (unsigned wild = 0; wild < 2; wild++) {
			struct ramka_list l;
			struct fixture *f = open_with(&l);
			struct ramka_unique *u[3], *taken;
			struct ramka_link *link, before;
			struct ramka_cursor c;

			(void)state;
			for (unsigned i = 0; i < 3; i++)
				ramka_list_push_back(&l, u[i] = item(f, i));
			link = ramka_unique_meta(f->r, u[which]);
			before = *link;
			if (wild)
				link->next = (struct ramka_unique *)(uintptr_t)0x4141414141414141;
			else
				link->prev = u[which];
			c = (struct ramka_cursor){ &l, u[which] };
			EXPECT_BUG(f, "ramka_cursor_take", taken = ramka_cursor_take(&c));
			assert_null(taken);
			assert_int_equal(ramka_list_size(&l), 3);
			*link = before;
			HOLDS(f, &l, 0, 1, 2);
			ramka_list_fini(f->cpu[0], &l);
			CLOSE(f);
		}
	}
}

/* Nor is a frame put beside one whose link, or beside an end of a list, that says something else: the write would go astray. */
static void nothing_is_put_beside_an_overwritten_link(void **state)
{
	for (unsigned wild = 0; wild < 2; wild++) {
		struct ramka_list l, before;
		struct fixture *f = open_with(&l);
		struct ramka_unique *u[3], *more = item(f, 3), *other = item(f, 4);
		struct ramka_unique *lie = wild ? (struct ramka_unique *)(uintptr_t)0x4141414141414141 : other;
		const struct ramka_link untouched = *(struct ramka_link *)ramka_unique_meta(f->r, other);
		struct ramka_cursor c;
		struct ramka_link *link, was;

		(void)state;
		for (unsigned i = 0; i < 3; i++)
			ramka_list_push_back(&l, u[i] = item(f, i));
		before = l;
		l.front = lie;
		EXPECT_BUG(f, "ramka_list_push_front", ramka_list_push_front(&l, more));
		c = (struct ramka_cursor){ &l, u[0] };
		EXPECT_BUG(f, "ramka_cursor_insert_before", ramka_cursor_insert_before(&c, more));
		l = before;
		l.back = lie;
		EXPECT_BUG(f, "ramka_list_push_back", ramka_list_push_back(&l, more));
		c = (struct ramka_cursor){ &l, NULL };
		EXPECT_BUG(f, "ramka_cursor_insert_before", ramka_cursor_insert_before(&c, more));
		l = before;
		link = ramka_unique_meta(f->r, u[1]);
		was = *link;
		link->prev = lie;
		c = (struct ramka_cursor){ &l, u[1] };
		EXPECT_BUG(f, "ramka_cursor_insert_before", ramka_cursor_insert_before(&c, more));
		link->prev = NULL;
		EXPECT_BUG(f, "ramka_cursor_insert_before", ramka_cursor_insert_before(&c, more));
		assert_string_equal(f->bug.argument, "l");
		assert_int_equal(f->bug.value, (uintptr_t)&l);
		*link = was;
		assert_memory_equal(&untouched, ramka_unique_meta(f->r, other), sizeof(untouched));
		HOLDS(f, &l, 0, 1, 2);
		ramka_unique_free(f->cpu[0], more);
		ramka_unique_free(f->cpu[0], other);
		ramka_list_fini(f->cpu[0], &l);
		CLOSE(f);
	}
}

/* The handle of another instance cannot free what the list holds: it stays there. */
static void the_end_by_a_handle_of_another_instance(void **state)
{
	struct ramka_list l;
	struct fixture *f = open_with(&l), *other = fixture_open((struct spec){ .size = MIB });
	struct ramka_unique *u = item(f, 1);

	(void)state;
	ramka_list_push_back(&l, u);
	EXPECT_BUG(f, "ramka_list_fini", ramka_list_fini(other->cpu[0], &l));
	assert_string_equal(f->bug.argument, "cpu");
	HOLDS(f, &l, 1);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(other);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_needs_room),
		cmocka_unit_test(ids_are_never_used_twice),
		cmocka_unit_test(ids_run_out),
		cmocka_unit_test(pushes_and_pops_at_both_ends),
		cmocka_unit_test(fini_frees_what_it_holds),
		cmocka_unit_test(contains_what_it_contains),
		cmocka_unit_test(a_cursor_of_an_empty_list),
		cmocka_unit_test(takes_and_moves_on),
		cmocka_unit_test(metadata_through_the_cursor),
		cmocka_unit_test(against_an_array),
		cmocka_unit_test(raw_handles_of_listed_frames),
		cmocka_unit_test(an_overwritten_link_is_found),
		cmocka_unit_test(nothing_is_put_beside_an_overwritten_link),
		cmocka_unit_test(the_end_by_a_handle_of_another_instance),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
