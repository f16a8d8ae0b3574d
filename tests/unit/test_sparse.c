/* SPDX-License-Identifier: MIT */
/* lib/base/sparse.c alone, against an array: any bound, any order of additions and removals, in memory that holds anything. */
#include "fixture.h"

#define MOST 5000u

struct pair {
	struct sparse set;
	struct ramka_atomic_u64 *memory;
	uint64_t words, bound;
	bool has[MOST];
};

static void pair_open(struct pair *p, uint64_t bound)
{
	p->bound = bound;
	p->words = sparse_words(bound);
	p->memory = malloc((size_t)(p->words + 1) * sizeof(*p->memory));
	assert_non_null(p->memory);
	memset((void *)p->memory, 0xff, (size_t)(p->words + 1) * sizeof(*p->memory));
	memset(p->has, 0, sizeof(p->has));
	sparse_init(&p->set, p->memory, bound);
}

static void pair_close(struct pair *p)
{
	assert_true(ramka_load(&p->memory[p->words], relaxed, map.late) == UINT64_MAX); /* behind its memory */
	free(p->memory);
}

static void compare(const struct pair *p)
{
	uint64_t next = p->bound, stop = p->bound;

	for (uint64_t n = p->bound; n-- > 0;) {
		next = p->has[n] ? n : next;
		assert_int_equal(sparse_has(&p->set, n), p->has[n]);
		assert_int_equal(sparse_next(&p->set, n, p->bound), next);
		assert_int_equal(sparse_next(&p->set, n, n), n);
		if (next + 1 <= p->bound)
			assert_int_equal(sparse_next(&p->set, n, next), next); /* the end is not looked at */
		stop = p->has[n] ? stop : n;
		assert_int_equal(sparse_end(&p->set, n, p->bound), stop);
		assert_int_equal(sparse_end(&p->set, n, n), n);
	}
}

static void add(struct pair *p, uint64_t first, uint64_t end)
{
	sparse_add(&p->set, first, end);
	for (uint64_t n = first; n < end; n++)
		p->has[n] = true;
}

static void take_out(struct pair *p, uint64_t first, uint64_t end)
{
	sparse_remove(&p->set, first, end);
	for (uint64_t n = first; n < end; n++)
		p->has[n] = false;
}

static void agrees_with_an_array(void **state)
{
	static const uint64_t bounds[] = { 1, 2, 63, 64, 65, 128, 4095, 4096, 4097, MOST };
	uint64_t seed = 3;
	struct pair p;

	(void)state;
	for (unsigned i = 0; i < NELEMS(bounds); i++)
		for (unsigned round = 0; round < 20; round++) {
			pair_open(&p, bounds[i]);
			compare(&p);
			for (unsigned n = 0; n < 12; n++) {
				uint64_t first = random_next(&seed) % p.bound, most = random_next(&seed) % 3 ? 70 : p.bound;
				uint64_t end = first + random_next(&seed) % most;

				end = end < p.bound ? end : p.bound;
				if (round % 2 && n % 2) /* may be empty, or there already, or not there */
					take_out(&p, first, end);
				else
					add(&p, first, end);
				if (n % 4 == 3)
					compare(&p);
			}
			compare(&p);
			add(&p, 0, p.bound);
			compare(&p);
			take_out(&p, p.bound / 3, p.bound);
			compare(&p);
			take_out(&p, 0, p.bound);
			compare(&p);
			add(&p, p.bound / 2, p.bound);
			compare(&p);
			pair_close(&p);
		}
}

static void nothing_below_one_costs_nothing(void **state)
{
	struct sparse set;
	struct ramka_atomic_u64 one[2];

	(void)state;
	assert_int_equal(sparse_words(0), 1);
	sparse_init(&set, one, 0);
	assert_int_equal(sparse_next(&set, 0, 0), 0);
}

/* 2^50 numbers, of which four are members: a few words are touched. */
static void terabytes(void **state)
{
	static const uint64_t members[] = { 0, UINT64_C(1) << 20, (UINT64_C(1) << 49) + 7, (UINT64_C(1) << 50) - 1 };
	uint64_t bound = UINT64_C(1) << 46, last = 0;
	size_t bytes = (size_t)sparse_words(bound) * 8;
	struct sparse set;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	if (memory == MAP_FAILED)
		skip();
	sparse_init(&set, memory, bound);
	for (unsigned i = 0; i < NELEMS(members); i++)
		sparse_add(&set, members[i] >> 4, (members[i] >> 4) + 1);
	for (unsigned i = 0; i < NELEMS(members); i++) {
		assert_int_equal(sparse_next(&set, last, bound), members[i] >> 4);
		last = (members[i] >> 4) + 1;
	}
	assert_int_equal(sparse_next(&set, last, bound), bound);
	munmap(memory, bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_an_array),
		cmocka_unit_test(nothing_below_one_costs_nothing),
		cmocka_unit_test(terabytes),
	};

	return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
