/* SPDX-License-Identifier: MIT */
/* lib/base/bits.h against loops that are too simple to be wrong. */
#include "fixture.h"

static unsigned slow_count(uint64_t w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 64; i++)
		n += (unsigned)(w >> i & 1);
	return n;
}

/* Words that matter: empty, full, one bit, one hole, runs, and random ones of every density. */
static uint64_t word(unsigned i, uint64_t *seed)
{
	static const uint64_t few[] = { 0, ~UINT64_C(0), 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0xf0f0f0f0f0f0f0f0,
					0xffff0000ffff0000, 0xffffffff00000000, 0x00000000ffffffff, 0x7fffffffffffffff };
	uint64_t w = random_next(seed);

	if (i < NELEMS(few))
		return few[i];
	if (i < 100)
		return UINT64_C(1) << (i % 64);
	if (i < 200)
		return ~(UINT64_C(1) << (i % 64));
	for (unsigned n = 0; n < i % 5; n++)
		w = i % 2 ? w | random_next(seed) : w & random_next(seed);
	return w;
}

#define WORDS 4000u

static void counts(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t w = word(i, &seed);

		assert_int_equal(bits_count(w), slow_count(w));
	}
}

static void lowest(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t w = word(i, &seed);
		unsigned at = 0;

		if (!w)
			continue;
		while (!(w >> at & 1))
			at++;
		assert_int_equal(bits_lowest(w), at);
	}
}

static void below(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 64; n++) {
		assert_int_equal(slow_count(bits_below(n)), n);
		assert_true(n == 64 || bits_below(n) >> n == 0);
	}
	assert_true(bits_below(65) == ~UINT64_C(0));
	assert_true(bits_below(1000) == ~UINT64_C(0));
}

static void takes_the_lowest_n(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t w = word(i, &seed), want = 0;
		unsigned n = 0;

		assert_true(bits_take(w, 0) == 0);
		for (unsigned at = 0; at < 64; at++) {
			if (!(w >> at & 1))
				continue;
			want |= UINT64_C(1) << at;
			assert_true(bits_take(w, ++n) == want);
		}
	}
	assert_true(bits_take(0x10, 64) == 0x10);
}

static void a_run(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 6; order++)
		for (unsigned at = 0; at < 64; at += 1u << order) {
			uint64_t run = bits_run(at, order);

			for (unsigned i = 0; i < 64; i++)
				assert_int_equal(run >> i & 1, i >= at && i < at + (1u << order));
		}
}

static bool slow_has_run(uint64_t w, unsigned at, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++)
		if (!(w >> (at + i) & 1))
			return false;
	return true;
}

static void run_starts(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t w = word(i, &seed);

		for (unsigned order = 0; order <= 6; order++) {
			uint64_t want = 0;

			for (unsigned at = 0; at < 64; at += 1u << order)
				if (slow_has_run(w, at, order))
					want |= UINT64_C(1) << at;
			assert_true(bits_run_starts(w, order) == want);
		}
	}
}

static void largest_run(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t w = word(i, &seed);
		unsigned most = 0;

		if (!w)
			continue;
		for (unsigned order = 0; order <= 6; order++)
			if (bits_run_starts(w, order))
				most = order;
		for (unsigned from = 0; from <= most; from++)
			assert_int_equal(bits_largest_run(w, from), most);
	}
}

static void order_of_a_number(void **state)
{
	(void)state;
	assert_int_equal(order_of(1), 0);
	for (unsigned order = 1; order < 63; order++) {
		uint64_t n = UINT64_C(1) << order;

		assert_int_equal(order_of(n), order);
		assert_int_equal(order_of(n + 1), order + 1);
		assert_int_equal(order_of(n / 2 + 1), order);
	}
	assert_int_equal(order_of(UINT64_MAX), 63);
	assert_int_equal(order_of(UINT64_C(1) << 63), 63);
}

static void order_that_fits(void **state)
{
	uint64_t seed = 6;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t first = random_next(&seed) >> (random_next(&seed) % 60);
		uint64_t n = (random_next(&seed) >> (40 + random_next(&seed) % 24)) + 1;
		unsigned want = 0;

		first &= ~bits_below((unsigned)(random_next(&seed) % 24));
		for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++)
			if (first % (UINT64_C(1) << order) == 0 && UINT64_C(1) << order <= n)
				want = order;
		assert_int_equal(order_fitting(first, n), want);
	}
	assert_int_equal(order_fitting(0, UINT64_MAX), RAMKA_MAX_ORDER);
	assert_int_equal(order_fitting(0, 1), 0);
}

static void alignment_and_addresses(void **state)
{
	(void)state;
	assert_int_equal(align_down(4095, 4096), 0);
	assert_int_equal(align_down(4096, 4096), 4096);
	assert_int_equal(align_up(0, 4096), 0);
	assert_int_equal(align_up(1, 4096), 4096);
	assert_int_equal(align_up(4096, 4096), 4096);
	assert_true(align_up(UINT64_MAX - 4095, 4096) == UINT64_MAX - 4095);
	assert_int_equal(frame_of(4095), 0);
	assert_int_equal(frame_of(4096), 1);
	assert_true(paddr_of(frame_of(0xfffffffff000)) == 0xfffffffff000);
	assert_false(is_power_of_two(0));
	for (unsigned i = 0; i < 64; i++) {
		assert_true(is_power_of_two(UINT64_C(1) << i));
		assert_true(i < 2 || !is_power_of_two((UINT64_C(1) << i) + 1));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(lowest),
		cmocka_unit_test(below),
		cmocka_unit_test(takes_the_lowest_n),
		cmocka_unit_test(a_run),
		cmocka_unit_test(run_starts),
		cmocka_unit_test(largest_run),
		cmocka_unit_test(order_of_a_number),
		cmocka_unit_test(order_that_fits),
		cmocka_unit_test(alignment_and_addresses),
	};

	return cmocka_run_group_tests_name("bits", tests, NULL, NULL);
}
