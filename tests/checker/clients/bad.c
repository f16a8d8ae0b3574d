/* SPDX-License-Identifier: MIT */
/*
 * The engine's own tests, 2: known-bad algorithms. Each comes as a correct program, which must pass, and with
 * one thing broken, which must be found.
 */
#include "checker.h"

#include <ramka/atomic.h>

/* ---- a Treiber stack of frames by index, head = {tag:32, index:32}; every pop takes ownership ---- */

static struct ramka_atomic_u64 head;
static struct ramka_atomic_u32 next[8];

static unsigned pop(bool tagged)
{
	uint64_t h = ramka_load(&head, acquire, stack);

	while ((uint32_t)h) {
		uint64_t tag = tagged ? (h >> 32) + 1 : 0;

		if (ramka_cas(&head, &h, tag << 32 | ramka_load(&next[(uint32_t)h], relaxed, next), acquire, stack)) {
			ck_own_take((uint32_t)h);
			return (unsigned)(uint32_t)h;
		}
	}
	return 0;
}

static void push(unsigned i, bool tagged, bool release)
{
	uint64_t h = ramka_load(&head, relaxed, stack);
	bool done;

	ck_own_give(i);
	do {
		uint64_t v = (tagged ? (h >> 32) + 1 : 0) << 32 | i;

		ramka_store(&next[i], (uint32_t)h, relaxed, next);
		done = release ? ramka_cas(&head, &h, v, release, stack) : ramka_cas(&head, &h, v, relaxed, stack);
	} while (!done);
}

static void stack_setup(void)
{
	head.value = 1;
	for (unsigned i = 1; i <= 3; i++)
		next[i].value = i < 3 ? i + 1 : 0;
}

static void stack_check(void)
{
	unsigned n = 0, held = 0;

	for (uint32_t i = (uint32_t)head.value; i; i = next[i].value) {
		ck_assert(!ck_owned(i), "frame %u is both in the stack and owned", i);
		ck_assert(++n <= 3, "cycle in the stack");
	}
	for (unsigned i = 1; i <= 3; i++)
		held += ck_owned(i);
	ck_assert(n + held == 3, "%u of 3 frames", n + held);
}

static void t_one(void) { unsigned a = pop(true); if (a) push(a, true, true); }
static void t_two(void) { unsigned a = pop(true), b = pop(true); if (a) push(a, true, true); (void)b; }
static void u_one(void) { unsigned a = pop(false); if (a) push(a, false, true); }
static void u_two(void) { unsigned a = pop(false), b = pop(false); if (a) push(a, false, true); (void)b; }
static void t_rlx(void) { unsigned a = pop(true); if (a) push(a, true, false); }
static void t_three(void) { pop(true); pop(true); pop(true); }
CK_CLIENT(stack_tagged, .what = "Treiber stack with a tag", .setup = stack_setup, .thread = { t_one, t_two },
	  .check = stack_check, .model = true);
CK_CLIENT(stack_tagged_3, .what = "the same, three threads", .setup = stack_setup,
	  .thread = { t_one, t_two, t_one }, .check = stack_check, .model = true, .stale = 1);
CK_CLIENT(stack_aba, .what = "no tag", .setup = stack_setup, .thread = { u_one, u_two },
	  .check = stack_check, .fails = "", .model = true);
CK_CLIENT(stack_push_relaxed, .what = "push without release", .setup = stack_setup,
	  .thread = { t_rlx, t_three }, .check = stack_check, .fails = "DATA RACE", .model = true);

/* ---- lazy initialisation, double-checked ---- */

static struct ramka_atomic_u32 ready, lock;
static int object;

static void init_once(bool acquire)
{
	uint32_t free = 0;

	if (acquire ? ramka_load(&ready, acquire, once) : ramka_load(&ready, relaxed, once)) {
		ck_assert(object == 1, "object is not there");
		return;
	}
	if (!ramka_cas(&lock, &free, 1, acquire, lock))
		return;
	if (!ramka_load(&ready, relaxed, once)) {
		object = 1;
		ramka_store(&ready, 1, release, once);
	}
	ramka_store(&lock, 0, release, lock);
}

static void once_good(void) { init_once(true); }
static void once_bad(void) { init_once(false); }
CK_CLIENT(double_checked, .what = "double-checked initialisation",
	  .thread = { once_good, once_good, once_good }, .model = true);
CK_CLIENT(double_checked_relaxed, .what = "first load without acquire", .thread = { once_bad, once_bad },
	  .fails = "DATA RACE", .model = true);

static struct ramka_atomic_u64 slot;
static uint64_t meta;

static void publish_good(void) { meta = 42; ramka_store(&slot, 1, release, publish); }
static void publish_bad(void) { meta = 42; ramka_store(&slot, 1, relaxed, publish); }
static void claim(void)
{
	uint64_t one = 1;

	if (ramka_cas(&slot, &one, 2, acquire, publish))
		ck_assert(meta == 42, "torn");
}
CK_CLIENT(publish, .what = "metadata, then the state word", .thread = { publish_good, claim, claim },
	  .model = true);
CK_CLIENT(publish_relaxed, .what = "published by a relaxed store", .thread = { publish_bad, claim },
	  .fails = "DATA RACE", .model = true);

/* ---- a section of a CPU that others may revoke ---- */

static struct ramka_atomic_u32 active, revoked;
static unsigned cache[4], cached;
enum { NO_BARRIER = 1, NO_REVOKE_TEST = 2, RELAXED_LEAVE = 4, RELAXED_ACTIVE = 8, NO_NESTED_TEST = 16,
		RELAXED_RESET = 32 };

static void section_pop(unsigned bug)
{
	if (!(bug & NO_NESTED_TEST) && ramka_load(&active, relaxed, active))
		return;
	ramka_store(&active, 1, relaxed, active);
	ramka_compiler_barrier();
	if (!(bug & NO_REVOKE_TEST) && ramka_load(&revoked, acquire, revoked)) {
		ramka_store(&active, 0, release, active);
		return;
	}
	if (cached)
		ck_own_take(cache[--cached]);
	if (bug & RELAXED_LEAVE)
		ramka_store(&active, 0, relaxed, active);
	else
		ramka_store(&active, 0, release, active);
}

static void steal(unsigned bug)
{
	uint32_t zero = 0;

	if (!ramka_cas(&revoked, &zero, 1, acquire, revoked))
		return;
	if (!(bug & NO_BARRIER))
		ck_barrier_all(NULL);
	if (!(bug & RELAXED_ACTIVE ? ramka_load(&active, relaxed, active) : ramka_load(&active, acquire, active)))
		while (cached)
			ck_own_take(cache[--cached]);
	if (bug & RELAXED_RESET)
		ramka_store(&revoked, 0, relaxed, revoked);
	else
		ramka_store(&revoked, 0, release, revoked);
}

static void section_setup(void)
{
	active.value = revoked.value = 0;
	cached = 3;
	for (unsigned i = 0; i < cached; i++)
		cache[i] = i + 1;
}

static void section_check(void)
{
	unsigned n = cached;

	for (unsigned i = 1; i <= 3; i++)
		n += ck_owned(i);
	ck_assert(n == 3, "%u of 3 frames", n);
	ck_assert(!revoked.value && !active.value, "the section stays closed");
}

#define SECTION(name, owner_bug, thief_bug, text, ...) \
	static void name##_owner(void) { section_pop(owner_bug); section_pop(owner_bug); } \
	static void name##_thief(void) { steal(thief_bug); } \
	static void name##_irq(void) { section_pop(owner_bug); } \
	CK_CLIENT(name, .what = text, .setup = section_setup, .thread = { name##_owner, name##_thief, name##_thief }, \
		  .irq = { name##_irq }, \
		  .check = section_check, .model = true, .stale = 2, ##__VA_ARGS__)
SECTION(section, 0, 0, "owner, interrupt, two thieves");
SECTION(section_no_barrier, 0, NO_BARRIER, "thief without the asymmetric barrier", .fails = "");
SECTION(section_no_test, NO_REVOKE_TEST, 0, "owner does not look at revoked", .fails = "");
SECTION(section_leave_relaxed, RELAXED_LEAVE, 0, "leave without release", .fails = "DATA RACE");
SECTION(section_active_relaxed, 0, RELAXED_ACTIVE, "thief loads active without acquire",
	  .fails = "DATA RACE");
SECTION(section_reset_relaxed, 0, RELAXED_RESET, "revoked reset without release", .fails = "DATA RACE");
SECTION(section_no_nesting, NO_NESTED_TEST, 0, "an interrupt does not notice the section below", .fails = "");

/* ---- hints: clear, re-read, set again; or test first and lose the block ---- */

static struct ramka_atomic_u64 count, mask;

static void hint_take(bool reread)
{
	uint64_t c = ramka_load(&count, relaxed, count);

	while (c && !ramka_cas(&count, &c, c - 1, acquire, count))
		;
	if (c == 1) {
		ramka_and(&mask, ~1ull, acquire, mask);
		if (reread && ramka_load(&count, relaxed, count))
			ramka_or(&mask, 1, release, mask);
	}
}

static void hint_give(bool test)
{
	if (ramka_add(&count, 1, release, count) == 0)
		if (!test || !ramka_load(&mask, relaxed, mask))
			ramka_or(&mask, 1, release, mask);
}

static void hint_setup(void) { count.value = 1; mask.value = 1; }
static void hint_check(void)
{
	ck_assert(!count.value || mask.value, "a free block without its hint: invisible for ever");
}
static void h_take(void) { hint_take(true); }
static void h_take_bad(void) { hint_take(false); }
static void h_give(void) { hint_give(false); }
static void h_give_bad(void) { hint_give(true); }
CK_CLIENT(hint, .what = "takers and freers keep a hint true", .setup = hint_setup,
	  .thread = { h_take, h_give, h_take, h_give }, .check = hint_check, .model = true, .stale = 2);
CK_CLIENT(hint_test_first, .what = "test, then set: lost wake-up", .setup = hint_setup,
	  .thread = { h_take, h_give_bad }, .check = hint_check, .fails = "without its hint", .model = true);
CK_CLIENT(hint_no_reread, .what = "cleared without a second look", .setup = hint_setup,
	  .thread = { h_take_bad, h_give }, .check = hint_check, .fails = "without its hint", .model = true);

/* ---- locks: an interrupt or a stopped thread makes others wait for ever ---- */

static void spin_lock(void)
{
	uint32_t zero = 0;

	while (!ramka_cas(&lock, &zero, 1, acquire, lock))
		zero = 0;
}
static void spin_unlock(void) { ramka_store(&lock, 0, release, lock); }
static void locked(void) { spin_lock(); object++; spin_unlock(); }
static void locked_check(void) { ck_assert(object == 2, "lost"); }
CK_CLIENT(spin, .what = "a spin lock is fair enough when nobody stops", .thread = { locked, locked },
	  .check = locked_check, .model = true);
CK_CLIENT(spin_parked, .what = "the holder stops for ever", .thread = { locked, locked }, .park = 1,
	  .fails = "LIVELOCK", .model = true);
CK_CLIENT(spin_irq, .what = "an interrupt takes the lock of the thread below", .thread = { locked },
	  .irq = { locked }, .fails = "LIVELOCK", .model = true);

/* ---- claims of several words: undo, promises ---- */

static struct ramka_atomic_u64 bits, words[2];

static void claim2(bool off_by_one)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t free = 0;

		if (ramka_cas(&words[i], &free, 1, acquire, claim)) {
			continue;
		}
		for (unsigned k = 0; k < i + off_by_one; k++)
			ramka_store(&words[k], 0, release, claim);
		return;
	}
	ck_own_take(0);
	ck_own_take(1);
}
static void claim1(void)
{
	uint64_t free = 0;

	if (ramka_cas(&words[1], &free, 1, acquire, claim))
		ck_own_take(1);
}
static void claim_good(void) { claim2(false); }
static void claim_bad(void) { claim2(true); }
static void claim_check(void)
{
	for (unsigned i = 0; i < 2; i++)
		ck_assert(ck_owned(i) == (words[i].value != 0), "word %u is wrong", i);
}
CK_CLIENT(claim_undo, .what = "claim of two words, undone from the first not taken",
	  .thread = { claim_good, claim1 }, .check = claim_check, .model = true);
CK_CLIENT(claim_undo_off_by_one, .what = "undo touches the word of another", .thread = { claim_bad, claim1 },
	  .check = claim_check, .fails = "word 1 is wrong", .model = true);

/* exact claim without a promise: a taker with a promise finds no bit */
static void take_promised(void)
{
	uint64_t c = ramka_load(&count, acquire, count);

	while (c && !ramka_cas(&count, &c, c - 1, acquire, count))
		;
	for (unsigned pass = 0; c && pass < 3; pass++) {
		uint64_t b = ramka_load(&bits, acquire, bits);

		while (b)
			if (ramka_cas(&bits, &b, b & (b - 1), acq_rel, bits))
				return;
	}
	ck_assert(!c, "a promise without a bit");
}
static void take_exact_bad(void)
{
	if (ramka_and(&bits, ~1ull, acq_rel, bits) & 1)
		ramka_sub(&count, 1, relaxed, count);
}
static void promise_setup(void) { bits.value = 3; count.value = 2; }
CK_CLIENT(promises, .what = "as many bits as promises", .setup = promise_setup,
	  .thread = { take_promised, take_promised, take_promised }, .model = true, .stale = 2);
CK_CLIENT(exact_without_promise, .what = "a bit cleared before the count", .setup = promise_setup,
	  .thread = { take_promised, take_promised, take_exact_bad }, .fails = "a promise without a bit",
	  .model = true);

/* ---- last put ---- */

static struct ramka_atomic_u64 ref;
static void put(bool release)
{
	uint64_t old = release ? ramka_sub(&ref, 1, acq_rel, ref) : ramka_sub(&ref, 1, relaxed, ref);

	if (old == 1)
		meta = 0;
}
static void ref_setup(void) { ref.value = 2; meta = 1; }
static void put_good(void) { uint64_t m = *(volatile uint64_t *)&meta; (void)m; put(true); }
static void put_bad(void) { uint64_t m = *(volatile uint64_t *)&meta; (void)m; put(false); }
CK_CLIENT(last_put, .what = "the last put sees all users' accesses", .setup = ref_setup,
	  .thread = { put_good, put_good }, .model = true);
CK_CLIENT(last_put_relaxed, .what = "relaxed put", .setup = ref_setup, .thread = { put_bad, put_bad },
	  .fails = "DATA RACE", .model = true);
