/* SPDX-License-Identifier: MIT */
/* A set of numbers: a word means something only once its bit in the level above says so. */
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

/* What was done before a number was removed is seen by who does not find it. Its word is empty then, and the bit above goes. */
static uint64_t done;
static void made_set(void)
{
	make_set();
	done = 0;
	sparse_add(&set, 70, 73);
	sparse_add(&set, 3, 4);
}
static void remove_all(void)
{
	done = 1;
	sparse_remove(&set, 68, 80);
}
static void miss_one(void)
{
	if (!sparse_has(&set, 71))
		ck_assert(done == 1, "a number was removed before what came before");
	ck_assert(sparse_has(&set, 3) && !sparse_has(&set, 69), "another number came or went");
}
static void three_left(void)
{
	for (uint64_t n = 0; n < 140; n++)
		ck_assert(sparse_has(&set, n) == (n == 3), "%llu is wrong", (unsigned long long)n);
	sparse_add(&set, 71, 72);
	ck_assert(sparse_has(&set, 71) && !sparse_has(&set, 70) && !sparse_has(&set, 72), "a word that was empty is not as it was left");
}
CK_CLIENT(sparse_removed, .what = "a number is looked up while it is removed", .setup = made_set,
	  .thread = { remove_all, miss_one }, .check = three_left, .stale = 3);
