/* SPDX-License-Identifier: MIT */
/* lib/cpu/depot.c alone. */
#include "fixture.h"

#define SHARDS 3u

static struct shard shards[SHARDS];
static struct magazine magazines[SHARDS * SHARD_MAGAZINES];
static struct depot depot;

static int setup(void **state)
{
	(void)state;
	memset((void *)shards, 0, sizeof(shards));
	memset((void *)magazines, 0, sizeof(magazines));
	depot = (struct depot){ shards, magazines, SHARDS, SHARD_MAGAZINES, 0 };
	depot_grow(&depot, SHARD_MAGAZINES);
	return 0;
}

static void is_bounded(void **state)
{
	bool seen[SHARDS * SHARD_MAGAZINES] = { false };

	(void)state;
	for (unsigned shard = 0; shard < SHARDS; shard++) {
		for (unsigned i = 0; i < SHARD_MAGAZINES; i++) {
			struct magazine *m = depot_get_empty(&depot, shard);

			assert_non_null(m);
			assert_int_equal((size_t)(m - magazines) / SHARD_MAGAZINES, shard);
			assert_false(seen[m - magazines]);
			seen[m - magazines] = true;
		}
		assert_null(depot_get_empty(&depot, shard));
	}
}

/* Magazines are given in steps, the same to each shard, and none twice; fewer than before takes none away. */
static void grows(void **state)
{
	static const unsigned steps[] = { 0, 2, 1, 2, 5, SHARD_MAGAZINES + 3 };
	unsigned had = 0;

	(void)state;
	for (unsigned shard = 0; shard < SHARDS; shard++)
		while (depot_get_empty(&depot, shard))
			;
	depot.given = 0;
	for (unsigned i = 0; i < NELEMS(steps); i++) {
		unsigned now = steps[i] < had ? had : steps[i] > SHARD_MAGAZINES ? SHARD_MAGAZINES : steps[i];

		depot_grow(&depot, steps[i]);
		for (unsigned shard = 0; shard < SHARDS; shard++) {
			unsigned n = 0;

			for (; depot_get_empty(&depot, shard); n++)
				;
			assert_int_equal(n, now - had);
		}
		had = now;
	}
}

static void starts_without_full_ones(void **state)
{
	(void)state;
	for (unsigned shard = 0; shard < SHARDS; shard++) {
		assert_false(depot_has_full(&depot, shard));
		assert_null(depot_pop(&depot, shard));
	}
}

static void last_in_first_out(void **state)
{
	struct magazine *m[SHARD_MAGAZINES];

	(void)state;
	for (unsigned i = 0; i < SHARD_MAGAZINES; i++) {
		m[i] = depot_get_empty(&depot, 1);
		m[i]->count = i + 1;
		depot_push(&depot, m[i]);
		assert_true(depot_has_full(&depot, 1));
	}
	assert_int_equal(shards[1].cached.value, SHARD_MAGAZINES * (SHARD_MAGAZINES + 1) / 2);
	assert_false(depot_has_full(&depot, 0));
	for (unsigned i = SHARD_MAGAZINES; i--;)
		assert_ptr_equal(depot_pop(&depot, 1), m[i]);
	assert_null(depot_pop(&depot, 1));
	assert_int_equal(shards[1].cached.value, 0);
}

/* Whoever pops a magazine returns it to the shard that it belongs to. */
static void a_stolen_magazine_goes_home(void **state)
{
	struct magazine *m = depot_get_empty(&depot, 2), *again;
	unsigned n = 0;

	(void)state;
	m->count = MAGAZINE_SIZE;
	depot_push(&depot, m);
	assert_false(depot_has_full(&depot, 0));
	assert_true(depot_has_full(&depot, 2));
	again = depot_pop(&depot, 2);
	assert_ptr_equal(again, m);
	depot_put_empty(&depot, again);
	while (depot_get_empty(&depot, 2))
		n++;
	assert_int_equal(n, SHARD_MAGAZINES);
}

/* ABA: a head that looks the same is another word, whatever was done in between. */
static void every_change_moves_the_tag(void **state)
{
	uint64_t seen[64];
	unsigned n = 0;
	struct magazine *a = depot_get_empty(&depot, 0), *b = depot_get_empty(&depot, 0);

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		depot_push(&depot, a);
		seen[n++] = shards[0].full.value;
		depot_push(&depot, b);
		seen[n++] = shards[0].full.value;
		depot_pop(&depot, 0);
		seen[n++] = shards[0].full.value;
		depot_pop(&depot, 0);
		seen[n++] = shards[0].full.value;
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			assert_true(seen[i] >> 24 != seen[j] >> 24);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t before = shards[0].empty.value;

		depot_put_empty(&depot, a);
		assert_ptr_equal(depot_get_empty(&depot, 0), a);
		assert_true(shards[0].empty.value >> 24 == (before >> 24) + 2);
	}
}

/* The tag wraps into nothing but itself. */
static void the_tag_wraps(void **state)
{
	struct magazine *a = depot_get_empty(&depot, 0);

	(void)state;
	shards[0].full.value = ~UINT64_C(0xffffff);
	depot_push(&depot, a);
	assert_int_equal(shards[0].full.value >> 24, 0);
	assert_ptr_equal(depot_pop(&depot, 0), a);
	assert_int_equal(shards[0].full.value, 1 << 24);
	assert_null(depot_pop(&depot, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_bounded, setup),
		cmocka_unit_test_setup(grows, setup),
		cmocka_unit_test_setup(starts_without_full_ones, setup),
		cmocka_unit_test_setup(last_in_first_out, setup),
		cmocka_unit_test_setup(a_stolen_magazine_goes_home, setup),
		cmocka_unit_test_setup(every_change_moves_the_tag, setup),
		cmocka_unit_test_setup(the_tag_wraps, setup),
	};

	return cmocka_run_group_tests_name("depot", tests, NULL, NULL);
}
