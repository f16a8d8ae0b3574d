/* SPDX-License-Identifier: MIT */
/* The set of numbers that is never cleared: a word means something only once its bit in the level above says so. */
#include "checker.h"

#include "base/sparse.h"

#define BOUND (64u * 64u) /* two levels */

static struct sparse set;
static struct ramka_atomic_u64 *memory;

static void make_set(void)
{
	memory = ck_alloc((size_t)sparse_words(BOUND) * sizeof(*memory), 64);
	for (unsigned i = 0; i < sparse_words(BOUND); i++)
		ramka_store(&memory[i], ~(uint64_t)0, relaxed, map.late); /* as it was found */
	sparse_init(&set, memory, BOUND);
}
static void add_some(void)
{
	sparse_add(&set, 70, 72);
	sparse_add(&set, 72, 73);
}
static void look_up(void)
{
	bool last = sparse_has(&set, 72);

	ck_assert(!sparse_has(&set, 69) && !sparse_has(&set, 73), "what was never added is in the set");
	ck_assert(!last || sparse_has(&set, 70), "the later one is there without the first");
}
static void look_for(void)
{
	uint64_t n = sparse_next(&set, 5, BOUND);

	ck_assert(n == 70 || n == BOUND, "the first member is %llu", (unsigned long long)n);
}
static void all_there(void)
{
	for (uint64_t n = 60; n < 140; n++)
		ck_assert(sparse_has(&set, n) == (n >= 70 && n < 73), "%llu is wrong", (unsigned long long)n);
	ck_assert(sparse_next(&set, 73, BOUND) == BOUND, "there is a member behind the last");
}
CK_CLIENT(sparse_lookup, .what = "a set of numbers is read while some are added", .setup = make_set,
	  .thread = { add_some, look_up }, .check = all_there, .stale = 3);
CK_CLIENT(sparse_search, .what = "the first member is looked for while some are added", .setup = make_set,
	  .thread = { add_some, look_for }, .check = all_there, .stale = 3);
