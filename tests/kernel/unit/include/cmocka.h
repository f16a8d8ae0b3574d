/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests use of cmocka, for a kernel. A test that fails ends the run: the message names it,
 * and the machine powers off.
 */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
	void *state;
};

#define cmocka_unit_test(f) { #f, f, NULL, NULL, NULL }
#define cmocka_unit_test_setup(f, s) { #f, f, s, NULL, NULL }
#define cmocka_unit_test_teardown(f, t) { #f, f, NULL, t, NULL }
#define cmocka_unit_test_setup_teardown(f, s, t) { #f, f, s, t, NULL }
#define cmocka_unit_test_prestate(f, p) { #f, f, NULL, NULL, p }

int unit_run(const char *group, const struct CMUnitTest *tests, size_t n, int (*setup)(void **state),
	     int (*teardown)(void **state));
_Noreturn void unit_skip(void);
__attribute__((format(printf, 3, 4)))
_Noreturn void unit_fail(const char *file, int line, const char *format, ...);

#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
	unit_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) \
	cmocka_run_group_tests_name(#tests, tests, setup, teardown)

#define skip() unit_skip()
#define fail() unit_fail(__FILE__, __LINE__, "fail()")
#define fail_msg(...) unit_fail(__FILE__, __LINE__, __VA_ARGS__)

/* cmocka compares as its widest unsigned integer, too */
#define UNIT_COMPARE(a, op, b) \
	do { \
		unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b); \
		if (!(a_ op b_)) \
			unit_fail(__FILE__, __LINE__, "%s " #op " %s: %#llx, %#llx", #a, #b, a_, b_); \
	} while (0)
#define UNIT_TRUE(c, text) \
	do { \
		if (!(c)) \
			unit_fail(__FILE__, __LINE__, "%s", text); \
	} while (0)

#define assert_true(c) UNIT_TRUE(c, #c)
#define assert_false(c) UNIT_TRUE(!(c), "!(" #c ")")
#define assert_int_equal(a, b) UNIT_COMPARE(a, ==, b)
#define assert_int_not_equal(a, b) UNIT_COMPARE(a, !=, b)
#define assert_ptr_equal(a, b) UNIT_COMPARE((uintptr_t)(a), ==, (uintptr_t)(b))
#define assert_ptr_not_equal(a, b) UNIT_COMPARE((uintptr_t)(a), !=, (uintptr_t)(b))
#define assert_null(p) UNIT_COMPARE((uintptr_t)(p), ==, 0)
#define assert_non_null(p) UNIT_COMPARE((uintptr_t)(p), !=, 0)
#define assert_return_code(rc, error) UNIT_TRUE((rc) >= 0, #rc)
#define assert_in_range(v, low, high) \
	do { \
		UNIT_COMPARE(v, >=, low); \
		UNIT_COMPARE(v, <=, high); \
	} while (0)
#define assert_memory_equal(a, b, n) UNIT_TRUE(!memcmp(a, b, n), #a " == " #b)
#define assert_memory_not_equal(a, b, n) UNIT_TRUE(memcmp(a, b, n), #a " != " #b)
#define assert_string_equal(a, b) \
	do { \
		const char *a_ = (a), *b_ = (b); \
		if (strcmp(a_, b_)) \
			unit_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"", a_, b_); \
	} while (0)
#define assert_string_not_equal(a, b) UNIT_TRUE(strcmp(a, b), #a " != " #b)

#endif
