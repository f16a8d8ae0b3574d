/* SPDX-License-Identifier: MIT */
/*
 * How many steps late memory takes, beside others who allocate and without: no time, atomic operations. Where the metadata is
 * zeroed, as fresh pages are, a hole costs them a word of 64 frames and a block, and no slot is touched.
 */
#define RAMKA_ATOMIC_BACKEND "model/steps.h"
#include "unit/fixture.h"

/* the real sources, on that backend */
#include "../../lib/base/sparse.c"
#include "../../lib/zone/bitmap.c"
#include "../../lib/zone/hints.c"
#include "../../lib/zone/zones.c"
#include "../../lib/setup/late.c"

#define GIB_FRAMES (GIB / PAGE)

static const struct ramka_region growing[] = {
	{ GIB, 64 * MIB, RAMKA_USABLE, 0 },
	{ 4 * GIB, 2 * GIB, RAMKA_RECLAIMABLE, 0 },
	{ 8 * GIB, 2 * MIB, RAMKA_USABLE, 0 },
};

static struct fixture *f;
static struct ramka_frame *others[64];
static unsigned turn;

/* CPU 1 takes and gives, and so does one without a CPU: frames of several orders, some of the new memory. */
static void allocates(void)
{
	struct ramka_cpu *cpu = turn % 3 ? f->cpu[1] : f->none;
	struct ramka_frame **mine = &others[turn++ % NELEMS(others)];

	if (*mine)
		ramka_frame_put(cpu, *mine);
	*mine = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, order_req(turn % 10));
	assert_non_null(*mine);
}

static struct fixture *grow(bool busy)
{
	f = fixture_open((struct spec){ .regions = growing, .nr_regions = NELEMS(growing), .meta_size = RAMKA_META_NONE,
					.flags = RAMKA_NO_DIRECT_MAP | RAMKA_METADATA_ZEROED });
	f->grown = true;
	turn = 0;
	memset(others, 0, sizeof(others));
	other = busy ? allocates : NULL;
	return f;
}

static unsigned long steps_of_adding(ramka_paddr_t base, uint64_t size)
{
	unsigned long before = steps;

	assert_int_equal(ramka_add_memory(f->r, &(struct ramka_region){ base, size, RAMKA_USABLE, 0 }), 0);
	return steps - before;
}

static void end(void)
{
	other = NULL;
	for (unsigned i = 0; i < NELEMS(others); i++)
		if (others[i])
			ramka_frame_put(f->cpu[1], others[i]);
	CLOSE(f);
}

static void a_hole_costs_words_and_blocks(void **state)
{
	(void)state;
	for (unsigned busy = 0; busy < 2; busy++) {
		unsigned long one, two;

		f = grow(busy);
		one = steps_of_adding(2 * GIB, GIB / 2);
		two = steps_of_adding(3 * GIB, GIB);
		assert_true(one >= GIB_FRAMES / 2 / 64); /* the test counts */
		assert_true(two <= GIB_FRAMES / 24);
		assert_true(two <= 2 * one + one / 8);   /* and the memory that there is does not matter */
		assert_true(!busy || turn > 4);
		end();
	}
}

static void what_went_comes_back_as_cheaply(void **state)
{
	(void)state;
	for (unsigned busy = 0; busy < 2; busy++) {
		f = grow(busy);
		steps_of_adding(2 * GIB, GIB);
		other = NULL;
		for (unsigned i = 0; i < NELEMS(others); i++)
			if (others[i]) {
				ramka_frame_put(f->cpu[1], others[i]);
				others[i] = NULL;
			}
		assert_int_equal(ramka_isolate(f->cpu[0], 2 * GIB, GIB), 0);
		assert_int_equal(ramka_remove_memory(f->cpu[0], 2 * GIB, GIB), 0);
		other = busy ? allocates : NULL;
		assert_in_range(steps_of_adding(2 * GIB, GIB), GIB_FRAMES / 64, GIB_FRAMES / 3); /* some looks at each word, from the top of the tree */
		end();
	}
}

static void pieces_cost_what_they_are(void **state)
{
	(void)state;
	for (unsigned busy = 0; busy < 2; busy++) {
		unsigned long sum = 0;

		f = grow(busy);
		for (unsigned i = 0; i < 64; i++) /* 16 MiB, in no order */
			sum += steps_of_adding(2 * GIB + i * 37 % 64 * 16 * MIB, 16 * MIB);
		assert_true(sum <= GIB_FRAMES / 4);
		end();
	}
}

/* Each reclaimable frame has a count that somebody may have raised, so each is claimed: one swap and its slot. */
static void reclaimable_frames_cost_a_claim_each(void **state)
{
	unsigned long n;

	(void)state;
	f = grow(true);
	n = steps_of_adding(4 * GIB, GIB / 4);
	assert_true(n >= GIB_FRAMES / 4 && n <= GIB_FRAMES / 4 * 3 + GIB_FRAMES / 4 / 8);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hole_costs_words_and_blocks),
		cmocka_unit_test(what_went_comes_back_as_cheaply),
		cmocka_unit_test(pieces_cost_what_they_are),
		cmocka_unit_test(reclaimable_frames_cost_a_claim_each),
	};

	return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
