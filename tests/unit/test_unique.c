/* SPDX-License-Identifier: MIT */
/* Unique frames: every function of unique.h. Misuse is in tests/misuse. */
#include "fixture.h"

struct note { uint64_t key, value; };

static unsigned drops;
static ramka_paddr_t dropped_at[64];
static struct note dropped[64];
static bool drop_allocates;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)content;
	if (drops < NELEMS(dropped)) {
		dropped_at[drops] = paddr;
		memcpy(&dropped[drops], meta, sizeof(dropped[0]));
	}
	drops++;
	if (drop_allocates)
		ramka_frame_put(cpu, must_alloc(cpu, ZEROED));
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE(other_type, struct note, .id = 17);
static RAMKA_DEFINE_TYPE(rcu_type, struct note, .id = 18, .flags = RAMKA_TYPE_RCU, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 19);

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	drops = 0;
	drop_allocates = false;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(f->r, &other_type), 0);
	assert_int_equal(ramka_type_register(f->r, &plain_type), 0);
	if (s.rcu)
		assert_int_equal(ramka_type_register(f->r, &rcu_type), 0);
	return f;
}

static void is_the_only_owner(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct note value = { 1, 2 };
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, &value, ZEROED);
	ramka_paddr_t pa = ramka_unique_paddr(f->r, u);
	struct ramka_frame *ret = NULL;
	struct note *meta = ramka_unique_meta(f->r, u);

	(void)state;
	assert_memory_equal(meta, &value, sizeof(value));
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), RAMKA_E_UNIQUE);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &note_type, NULL, &ret), RAMKA_E_UNIQUE);
	assert_null(ret);
	assert_int_equal(state_at(f, pa), RAMKA_STATE_UNIQUE);
	assert_true(all_bytes(bytes_at(f, pa), 0, PAGE));
	/* the getters work on it, same slot */
	assert_ptr_equal(ramka_frame_type(f->r, slot_at(f, pa)), &note_type);
	assert_int_equal(ramka_frame_refcount(slot_at(f, pa)), 0);
	assert_false(ramka_frame_is_sole(slot_at(f, pa)));
	meta->value = 99;
	ramka_unique_free(f->cpu[1], u);
	assert_int_equal(drops, 1);
	assert_int_equal(dropped[0].value, 99);
	assert_int_equal(dropped_at[0], pa);
	u = ramka_unique_alloc(f->cpu[0], &plain_type, NULL, ZEROED);
	assert_null(ramka_unique_meta(f->r, u));
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

static void of_every_order(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	for (unsigned order = 0; order <= 11; order++) {
		struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, (struct ramka_request){ .order = (uint8_t)order });

		assert_non_null(u);
		assert_true(all_bytes(bytes_at(f, ramka_unique_paddr(f->r, u)), 0, PAGE << order));
		memset(bytes_at(f, ramka_unique_paddr(f->r, u)), 0x11, PAGE << order);
		assert_int_equal(in_use(f), 1u << order);
		AUDIT(f);
		ramka_unique_free(order % 2 ? f->none : f->cpu[1], u);
		assert_int_equal(drops, order + 1);
	}
	assert_null(ramka_unique_alloc(f->cpu[0], &note_type, NULL, order_req(12)));
	CLOSE(f);
}

static void shares_and_takes_back(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .rcu = true });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, order_req(2));
	ramka_paddr_t pa = ramka_unique_paddr(f->r, u);
	struct ramka_frame *one = ramka_unique_share(f->r, u), *two = NULL;

	(void)state;
	assert_int_equal(ramka_frame_paddr(f->r, one), pa);
	assert_int_equal(ramka_frame_refcount(one), 1);
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &two), 0);
	assert_null(ramka_frame_try_unique(f->r, one)); /* not sole */
	assert_int_equal(ramka_frame_refcount(one), 2); /* and still the caller's */
	ramka_frame_put(f->cpu[0], two);
	u = ramka_frame_try_unique(f->r, one);
	assert_non_null(u);
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &two), RAMKA_E_UNIQUE);
	assert_int_equal(drops, 0);
	one = ramka_unique_share(f->r, u);
	ramka_frame_get(f->r, one);
	ramka_frame_put_rcu(f->cpu[0], one); /* sole, but marked */
	assert_int_equal(ramka_frame_refcount(one), 1);
	assert_null(ramka_frame_try_unique(f->r, one));
	ramka_frame_put(f->cpu[0], one);
	assert_int_equal(stats(f).deferred, 4);
	CLOSE(f);
	assert_int_equal(drops, 1);
}

static void by_address(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 0 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = 2 });
	struct note value = { 5, 6 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		ramka_paddr_t pa = BASE + i * MIB + 77 * PAGE;
		struct ramka_unique *u = NULL, *again = NULL;

		memset(bytes_at(f, pa), 0x66, PAGE);
		assert_int_equal(ramka_unique_from_unused(f->cpu[0], pa + 8, &note_type, &value, &u), RAMKA_E_NOT_ALIGNED);
		assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + 2 * MIB, &note_type, &value, &u), RAMKA_E_OUT_OF_BOUND);
		assert_null(u);
		assert_int_equal(ramka_unique_from_unused(f->cpu[0], pa, &note_type, &value, &u), 0);
		assert_int_equal(ramka_unique_from_unused(f->cpu[0], pa, &note_type, &value, &again), RAMKA_E_UNIQUE);
		assert_null(again);
		assert_memory_equal(ramka_unique_meta(f->r, u), &value, sizeof(value));
		assert_true(all_bytes(bytes_at(f, pa), 0x66, PAGE));
		AUDIT(f);
		ramka_unique_free(f->cpu[1], u);
		assert_int_equal(drops, i + 1);
		ramka_drain(f->r);
		assert_int_equal(state_at(f, pa), i ? RAMKA_STATE_UNUSED : RAMKA_STATE_FREE);
	}
	CLOSE(f);
}

static void repurposes(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_DETACHED, 0 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = 2 });
	struct note value = { 5, 6 }, second = { 7, 8 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct ramka_unique *u;

		drops = 0;
		drop_allocates = true;
		if (i < 2)
			u = ramka_unique_alloc(f->cpu[0], &note_type, &value, order_req(i * 3));
		else
			assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + (i == 2 ? 0 : MIB) + 9 * PAGE, &note_type, &value, &u), 0);
		memset(bytes_at(f, ramka_unique_paddr(f->r, u)), 0x7e, PAGE);
		assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &other_type, &second), 0);
		assert_int_equal(drops, 1); /* the old one, once */
		assert_memory_equal(&dropped[0], &value, sizeof(value));
		assert_memory_equal(ramka_unique_meta(f->r, u), &second, sizeof(second));
		assert_ptr_equal(ramka_frame_type(f->r, slot_at(f, ramka_unique_paddr(f->r, u))), &other_type);
		assert_int_equal(ramka_frame_order(slot_at(f, ramka_unique_paddr(f->r, u))), i == 1 ? 3 : 0);
		assert_true(all_bytes(bytes_at(f, ramka_unique_paddr(f->r, u)), 0x7e, PAGE)); /* content stays */
		assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &plain_type, NULL), 0);
		assert_null(ramka_unique_meta(f->r, u));
		assert_int_equal(ramka_unique_repurpose(f->cpu[0], u, &note_type, NULL), 0);
		assert_true(all_bytes(ramka_unique_meta(f->r, u), 0, sizeof(value)));
		assert_int_equal(drops, 1);
		AUDIT(f);
		ramka_unique_free(f->cpu[0], u);
		assert_int_equal(drops, 2);
		AUDIT(f); /* a detached one is unused again */
	}
	CLOSE(f);
}

static void every_split(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_unique *parts[2048];
	struct note value = { 9, 10 };

	(void)state;
	for (unsigned old = 0; old <= 11; old++)
		for (unsigned order = 0; order <= old; order++) {
			struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, &value, order_req(old));
			ramka_paddr_t pa = ramka_unique_paddr(f->r, u);
			unsigned n = 1u << (old - order);

			drops = 0;
			memset(bytes_at(f, pa), (int)old + 1, PAGE << old);
			assert_int_equal(ramka_unique_split(f->r, u, order, parts), 0);
			assert_int_equal(in_use(f), 1u << old);
			AUDIT(f);
			for (unsigned i = 0; i < n; i++) {
				struct ramka_frame *slot = slot_at(f, pa + i * (PAGE << order));

				assert_int_equal(ramka_unique_paddr(f->r, parts[i]), pa + i * (PAGE << order));
				assert_ptr_equal(ramka_frame_type(f->r, slot), &note_type);
				assert_int_equal(ramka_frame_order(slot), order);
				assert_memory_equal(ramka_unique_meta(f->r, parts[i]), &value, sizeof(value));
				((struct note *)ramka_unique_meta(f->r, parts[i]))->key = i;
			}
			assert_true(all_bytes(bytes_at(f, pa), (uint8_t)(old + 1), PAGE << old)); /* content stays */
			for (unsigned i = 0; i < n; i++)
				ramka_unique_free(f->cpu[i % 2], parts[i ^ (n > 1)]); /* any order */
			assert_int_equal(drops, n);
			ramka_drain(f->r);
			assert_int_equal(stats(f).free_huge, 4);
			AUDIT(f);
		}
	CLOSE(f);
}

static void splits_of_splits(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_unique *blocks[4], *words[8], *singles[64];

	(void)state;
	assert_int_equal(ramka_unique_split(f->r, ramka_unique_alloc(f->cpu[0], &plain_type, NULL, order_req(11)), 9, blocks), 0);
	assert_int_equal(ramka_unique_split(f->r, blocks[1], 6, words), 0);
	assert_int_equal(ramka_unique_split(f->r, words[3], 0, singles), 0);
	assert_int_equal(ramka_unique_split(f->r, singles[5], 0, &singles[5]), 0);
	AUDIT(f);
	for (unsigned i = 0; i < 64; i++)
		ramka_unique_free(f->cpu[0], singles[i]);
	for (unsigned i = 0; i < 8; i++)
		if (i != 3)
			ramka_frame_put(f->cpu[0], ramka_unique_share(f->r, words[i]));
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			ramka_unique_free(f->cpu[0], blocks[i]);
	CLOSE(f);
}

static void a_split_that_cannot_be(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, order_req(3)), *parts[8] = { NULL };

	(void)state;
	assert_int_equal(ramka_unique_split(f->r, u, 4, parts), RAMKA_E_INVAL);
	assert_int_equal(ramka_unique_split(f->r, u, RAMKA_MAX_ORDER + 1, parts), RAMKA_E_INVAL);
	assert_int_equal(ramka_unique_split(f->r, u, UINT32_MAX, parts), RAMKA_E_INVAL);
	assert_int_equal(ramka_unique_split(f->r, u, 0, NULL), RAMKA_E_INVAL);
	assert_null(parts[0]);
	AUDIT(f);
	ramka_unique_free(f->cpu[0], u); /* whole */
	assert_int_equal(drops, 1);
	CLOSE(f);
}

/* Parts without an array, joined again: of every order, to every order, with the memory as it was at the end. */
static void splits_in_place_and_joins(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 16 * MIB });

	(void)state;
	for (unsigned whole = 0; whole <= 11; whole++)
		for (unsigned order = 0; order <= whole; order += whole > 6 ? 3 : 1) {
			struct note value = { whole, order };
			struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, &value, order_req(whole));
			ramka_paddr_t pa = ramka_unique_paddr(f->r, u);
			uint64_t n = UINT64_C(1) << (whole - order);

			drops = 0;
			memset(bytes_at(f, pa), 0x51, (size_t)PAGE << whole);
			assert_int_equal(ramka_unique_split_in_place(f->r, u, order), 0);
			for (uint64_t i = 0; i < n; i++) {
				struct ramka_unique *part = ramka_unique_part(f->r, u, i);

				assert_int_equal(ramka_unique_paddr(f->r, part), pa + (i << order) * PAGE);
				assert_int_equal(ramka_frame_order(slot_of(part)), order);
				assert_memory_equal(ramka_unique_meta(f->r, part), &value, sizeof(value));
			}
			if (n > 1 && n <= 64)
				AUDIT(f);
			assert_int_equal(ramka_unique_join(f->r, u, whole), 0);
			assert_int_equal(ramka_frame_order(slot_of(u)), whole);
			assert_memory_equal(ramka_unique_meta(f->r, u), &value, sizeof(value));
			assert_true(all_bytes(bytes_at(f, pa), 0x51, (size_t)PAGE << whole));
			for (uint64_t i = 1; i < UINT64_C(1) << whole; i *= 3)
				assert_int_equal(ramka_frame_state_at(f->r, pa + i * PAGE), RAMKA_STATE_TAIL);
			if (n <= 64)
				AUDIT(f);
			ramka_unique_free(f->cpu[0], u);
			assert_int_equal(drops, 1);
		}
	CLOSE(f);
}

/* From single frames, which came one by one, to 2 MiB, and back as one. */
static void joins_what_came_in_pieces(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 8 * MIB });
	static struct ramka_unique *all[2048];
	size_t n = ramka_unique_alloc_bulk(f->cpu[0], &plain_type, UNINIT, NELEMS(all), all);
	struct ramka_unique *first = unique_of(slot_at(f, BASE + 4 * MIB));
	ramka_paddr_t pa = BASE + 4 * MIB;

	(void)state;
	assert_int_equal(n, 2048);
	assert_int_equal(ramka_unique_join(f->r, first, 3), 0);
	assert_int_equal(ramka_unique_join(f->r, first, 9), RAMKA_E_IN_USE); /* the others are of order 0 still */
	for (unsigned i = 1; i < 64; i++)
		assert_int_equal(ramka_unique_join(f->r, unique_of(slot_at(f, pa + i * 8 * PAGE)), 3), 0);
	assert_int_equal(ramka_unique_join(f->r, first, 9), 0);
	AUDIT(f);
	ramka_unique_free(f->cpu[0], first);
	AUDIT(f);
	for (size_t i = 0; i < n; i++)
		if (ramka_unique_paddr(f->r, all[i]) - pa < 2 * MIB)
			all[i--] = all[--n];
	assert_int_equal(n, 2048 - 512);
	ramka_unique_free_bulk(f->cpu[0], n, all);
	CLOSE(f);
}

static void a_join_that_cannot_be(void **state)
{
	static const struct ramka_region map[] = {
		{ BASE, 4 * MIB - 2 * PAGE, RAMKA_USABLE, 0 }, { BASE + 6 * MIB, PAGE, RAMKA_DETACHED, 0 },
	};
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .regions = map, .nr_regions = NELEMS(map) });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, order_req(2)), *parts[4], *other;
	struct ramka_list l;

	(void)state;
	assert_int_equal(ramka_unique_join(f->r, u, 1), RAMKA_E_INVAL); /* that is a split */
	assert_int_equal(ramka_unique_join(f->r, u, RAMKA_MAX_ORDER + 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_unique_join(f->r, u, 2), 0); /* as it is */
	assert_int_equal(ramka_unique_split(f->r, u, 0, parts), 0);
	assert_int_equal(ramka_unique_join(f->r, parts[1], 1), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_unique_join(f->r, parts[2], 2), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	assert_int_equal(ramka_unique_repurpose(f->cpu[0], parts[3], &plain_type, NULL), 0);
	assert_int_equal(ramka_unique_join(f->r, u, 2), RAMKA_E_IN_USE); /* another type */
	ramka_unique_free(f->cpu[0], parts[3]);
	assert_int_equal(ramka_unique_join(f->r, u, 2), RAMKA_E_IN_USE); /* free */
	assert_int_equal(ramka_unique_join(f->r, u, 1), 0);
	assert_null(ramka_unique_part(f->r, u, 1)); /* of order 0, and free */
	assert_null(ramka_unique_part(f->r, u, UINT64_MAX));
	ramka_unique_free(f->cpu[0], u);
	ramka_unique_free(f->cpu[0], parts[2]);
	/* a frame that would reach into a hole; one that was claimed */
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + 4 * MIB - 4 * PAGE, &plain_type, NULL, &u), 0);
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + 4 * MIB - 3 * PAGE, &plain_type, NULL, &other), 0);
	assert_int_equal(ramka_unique_join(f->r, u, 2), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_unique_join(f->r, u, 1), 0);
	ramka_unique_free(f->cpu[0], u);
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + 6 * MIB, &plain_type, NULL, &u), 0);
	assert_int_equal(ramka_unique_join(f->r, u, 0), RAMKA_E_INVAL);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

/* Beyond the span, whatever the other parts are. */
static void a_join_beyond_the_span(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 8 * MIB + 2 * PAGE });
	struct ramka_unique *u;

	(void)state;
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + 8 * MIB, &plain_type, NULL, &u), 0);
	assert_int_equal(ramka_unique_join(f->r, u, 1), RAMKA_E_IN_USE);
	assert_int_equal(ramka_unique_join(f->r, u, 2), RAMKA_E_OUT_OF_BOUND);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

static void raw_and_back(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, order_req(1));
	ramka_paddr_t pa = ramka_unique_into_raw(f->r, u);

	(void)state;
	assert_int_equal(pa, ramka_unique_paddr(f->r, u));
	assert_ptr_equal(ramka_unique_from_raw(f->r, pa), u);
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

/* A type whose readers use RCU: a free defers, as a last put does. */
static void an_rcu_type_defers(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });
	struct note value = { 11, 12 };

	(void)state;
	for (unsigned who = 0; who < 3; who++) {
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;
		struct ramka_unique *u = ramka_unique_alloc(cpu, &rcu_type, &value, order_req(who));
		ramka_paddr_t pa = ramka_unique_paddr(f->r, u);

		drops = 0;
		memset(bytes_at(f, pa), 0x3c, PAGE);
		ramka_unique_free(cpu, u);
		assert_int_equal(state_at(f, pa), RAMKA_STATE_DEFERRED);
		assert_int_equal(stats(f).deferred, 1u << who);
		assert_int_equal(drops, 0);
		assert_memory_equal(ramka_frame_meta(f->r, slot_at(f, pa)), &value, sizeof(value));
		assert_true(all_bytes(bytes_at(f, pa), 0x3c, PAGE));
		ramka_reclaim(f->cpu[0], true);
		assert_int_equal(drops, 1);
		assert_memory_equal(&dropped[0], &value, sizeof(value));
	}
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_the_only_owner),
		cmocka_unit_test(of_every_order),
		cmocka_unit_test(shares_and_takes_back),
		cmocka_unit_test(by_address),
		cmocka_unit_test(repurposes),
		cmocka_unit_test(every_split),
		cmocka_unit_test(splits_of_splits),
		cmocka_unit_test(a_split_that_cannot_be),
		cmocka_unit_test(splits_in_place_and_joins),
		cmocka_unit_test(joins_what_came_in_pieces),
		cmocka_unit_test(a_join_that_cannot_be),
		cmocka_unit_test(a_join_beyond_the_span),
		cmocka_unit_test(raw_and_back),
		cmocka_unit_test(an_rcu_type_defers),
	};

	return cmocka_run_group_tests_name("unique", tests, NULL, NULL);
}
