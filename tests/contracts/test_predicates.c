/* SPDX-License-Identifier: MIT */
/*
 * The named predicates of lib/frame/contracts.h by themselves, on views built by hand: each holds on good ones and fails on
 * each seeded violation. docs/contracts.md says which function of the original each one is.
 */
#include "unit/fixture.h"

#define TYPE info_make(16, 0, 0)
#define LISTED (TYPE | (uint64_t)7 << INFO_LIST_SHIFT)
#define RESERVED info_make(2, 0, INFO_RESERVED)

/* a view: state word, info word, who holds */
#define V(ref_, info_, ...) ((struct contract_view){ .ref = (ref_), .info = (info_), .who = { __VA_ARGS__ }, .generation = 3 })
/* the same, a life later */
#define NEXT(ref_, info_, ...) ((struct contract_view){ .ref = (ref_), .info = (info_), .who = { __VA_ARGS__ }, .generation = 4 })

#define H .handles
#define F .raw
#define C .covers
#define B .borrows
#define U .unique
#define L .listed

#define HOLDS(p, ...) assert_true(p(&__VA_ARGS__))
#define FAILS(p, ...) assert_false(p(&__VA_ARGS__))
#define HOLDS2(p, old, ...) assert_true(p(&old, &__VA_ARGS__))
#define FAILS2(p, old, ...) assert_false(p(&old, &__VA_ARGS__))

#define FREE REF_FREE
#define UNUSED REF_UNUSED
#define UNIQUE REF_UNIQUE
#define BUSY REF_BUSY((uint64_t)0)
#define DEFERRED REF_DEFERRED((uint64_t)9)
#define SHARED(n) REF_SHARED(n)
#define MARKED(n) (REF_SHARED(n) | REF_MARK)

static void wf(void **state)
{
	static const struct ramka_region holed[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	const struct ramka_frame *first = slot_at(f, BASE);

	(void)state;
	assert_true(contract_wf(f->r, first));
	assert_true(contract_wf(f->r, first + f->r->nr_slots - 1));
	assert_false(contract_wf(f->r, first - 1));
	assert_false(contract_wf(f->r, first + f->r->nr_slots));
	assert_false(contract_wf(f->r, (const struct ramka_frame *)((uintptr_t)first + 8)));
	assert_false(contract_wf(f->r, NULL));
	CLOSE(f);
	f = fixture_open((struct spec){ .regions = holed, .nr_regions = NELEMS(holed), .nr_cpus = 1 });
	assert_true(contract_wf(f->r, slot_at(f, BASE + 4 * MIB)));
	assert_false(contract_wf(f->r, slot_at(f, BASE + 4 * MIB) - 1)); /* of a hole */
	CLOSE(f);
}

/* A1: nobody holds a frame without an owner. */
static void inv_of_what_nobody_owns(void **state)
{
	const uint64_t refs[] = { FREE, UNUSED, DEFERRED };

	(void)state;
	for (unsigned i = 0; i < NELEMS(refs); i++) {
		HOLDS(contract_inv, V(refs[i], TYPE, 0));
		FAILS(contract_inv, V(refs[i], TYPE, H = 1));
		FAILS(contract_inv, V(refs[i], TYPE, F = 1));
		FAILS(contract_inv, V(refs[i], TYPE, C = 1));
		FAILS(contract_inv, V(refs[i], TYPE, B = 1));
		FAILS(contract_inv, V(refs[i], TYPE, U = 1));
		FAILS(contract_inv, V(refs[i], TYPE, L = 1));
	}
	FAILS(contract_inv, V(DEFERRED, LISTED, 0));
}

/* A4: exactly one owner. A6: marked as listed exactly if that is a list. */
static void inv_of_unique(void **state)
{
	(void)state;
	HOLDS(contract_inv, V(UNIQUE, TYPE, U = 1));
	HOLDS(contract_inv, V(UNIQUE, TYPE, F = 1));
	HOLDS(contract_inv, V(UNIQUE, LISTED, L = 1));
	HOLDS(contract_inv, V(UNIQUE, TYPE, U = 1, B = 2));
	FAILS(contract_inv, V(UNIQUE, TYPE, 0));
	FAILS(contract_inv, V(UNIQUE, TYPE, U = 2));
	FAILS(contract_inv, V(UNIQUE, TYPE, U = 1, F = 1));
	FAILS(contract_inv, V(UNIQUE, LISTED, U = 1, L = 1));
	FAILS(contract_inv, V(UNIQUE, TYPE, U = 1, H = 1));
	FAILS(contract_inv, V(UNIQUE, TYPE, U = 1, C = 1));
	FAILS(contract_inv, V(UNIQUE, TYPE, L = 1));
	FAILS(contract_inv, V(UNIQUE, LISTED, U = 1));
}

/* A2, A3: n = H + F + C, exactly. */
static void inv_of_shared(void **state)
{
	(void)state;
	HOLDS(contract_inv, V(SHARED(1), TYPE, H = 1));
	HOLDS(contract_inv, V(SHARED(6), TYPE, H = 1, F = 2, C = 3, B = 4));
	HOLDS(contract_inv, V(MARKED(2), TYPE, H = 1, C = 1));
	HOLDS(contract_inv, V(SHARED(0), TYPE, 0)); /* between the last put and the store that follows */
	HOLDS(contract_inv, V(SHARED(1), RESERVED, 0));
	HOLDS(contract_inv, V(SHARED(2), RESERVED, H = 1));
	FAILS(contract_inv, V(SHARED(2), TYPE, H = 1));
	FAILS(contract_inv, V(SHARED(1), TYPE, H = 2));
	FAILS(contract_inv, V(SHARED(1), TYPE, 0));
	FAILS(contract_inv, V(SHARED(0), TYPE, H = 1));
	FAILS(contract_inv, V(SHARED(0), TYPE, B = 1));
	FAILS(contract_inv, V(SHARED(1), TYPE, H = 1, U = 1));
	FAILS(contract_inv, V(SHARED(1), TYPE, H = 1, L = 1));
	FAILS(contract_inv, V(SHARED(1), LISTED, H = 1));
	FAILS(contract_inv, V(SHARED(1), RESERVED, H = 1));
}

static void inv_of_busy_and_the_rest(void **state)
{
	(void)state;
	HOLDS(contract_inv, V(BUSY, TYPE, 0));
	HOLDS(contract_inv, V(BUSY, TYPE, U = 1)); /* repurposed */
	FAILS(contract_inv, V(BUSY, LISTED, 0));
	FAILS(contract_inv, V(BUSY, TYPE, H = 1));
	FAILS(contract_inv, V(BUSY, TYPE, F = 1));
	FAILS(contract_inv, V(BUSY, TYPE, C = 1));
	FAILS(contract_inv, V(BUSY, TYPE, B = 1));
	FAILS(contract_inv, V(BUSY, TYPE, L = 1));
	FAILS(contract_inv, V(BUSY, TYPE, U = 2));
	HOLDS(contract_inv, V(REF_SATURATED, TYPE, H = 5));
	FAILS(contract_inv, V(REF_TAG(TAG_NONE), TYPE, 0));
}

static void from_unused(void **state)
{
	struct contract_view before = V(FREE, TYPE, 0);

	(void)state;
	HOLDS(contract_from_unused_requires, V(FREE, TYPE, 0));
	HOLDS(contract_from_unused_requires, V(BUSY, TYPE, 0));
	FAILS(contract_from_unused_requires, V(UNUSED, TYPE, 0)); /* not claimed */
	FAILS(contract_from_unused_requires, V(SHARED(1), TYPE, 0));
	FAILS(contract_from_unused_requires, V(UNIQUE, TYPE, 0));
	FAILS(contract_from_unused_requires, V(FREE, LISTED, 0));
	FAILS(contract_from_unused_requires, V(FREE, TYPE, H = 1));
	FAILS(contract_from_unused_requires, V(BUSY, TYPE, F = 1));
	FAILS(contract_from_unused_requires, V(FREE, TYPE, B = 1));

	HOLDS2(contract_from_unused_ensures, before, NEXT(SHARED(1), TYPE, H = 1));
	HOLDS2(contract_from_unused_ensures, before, NEXT(UNIQUE, TYPE, U = 1));
	FAILS2(contract_from_unused_ensures, before, V(SHARED(1), TYPE, H = 1)); /* no new life */
	FAILS2(contract_from_unused_ensures, before, NEXT(SHARED(2), TYPE, H = 1));
	FAILS2(contract_from_unused_ensures, before, NEXT(MARKED(1), TYPE, H = 1));
	FAILS2(contract_from_unused_ensures, before, NEXT(BUSY, TYPE, H = 1));
	FAILS2(contract_from_unused_ensures, before, NEXT(SHARED(1), LISTED, H = 1));
	FAILS2(contract_from_unused_ensures, before, NEXT(SHARED(1), 0, H = 1)); /* no type */
}

/* One more reference: by address and by a handle. */
static void check_one_more(bool (*ensures)(const struct contract_view *old, const struct contract_view *v))
{
	struct contract_view before = V(SHARED(2), TYPE, H = 1, C = 1), marked = V(MARKED(1), TYPE, F = 1);

	HOLDS2(ensures, before, V(SHARED(3), TYPE, H = 2, C = 1));
	HOLDS2(ensures, marked, V(MARKED(2), TYPE, H = 1, F = 1));
	HOLDS2(ensures, before, V(REF_SATURATED, TYPE, H = 1, C = 1));
	FAILS2(ensures, before, V(SHARED(2), TYPE, H = 2, C = 1)); /* a copy without a count (S6) */
	FAILS2(ensures, before, V(SHARED(4), TYPE, H = 2, C = 1));
	FAILS2(ensures, before, V(SHARED(3), TYPE, H = 1, C = 2));
	FAILS2(ensures, before, V(SHARED(3), LISTED, H = 2, C = 1));
	FAILS2(ensures, marked, V(SHARED(2), TYPE, H = 1, F = 1)); /* the mark is lost */
}

static void from_in_use(void **state)
{
	(void)state;
	check_one_more(contract_from_in_use_ensures);
}

static void clone(void **state)
{
	(void)state;
	HOLDS(contract_clone_requires, V(SHARED(1), TYPE, H = 1));
	HOLDS(contract_clone_requires, V(SHARED(1), TYPE, C = 1));
	HOLDS(contract_clone_requires, V(SHARED(1), TYPE, F = 1));
	HOLDS(contract_clone_requires, V(SHARED(1), RESERVED, 0));
	FAILS(contract_clone_requires, V(SHARED(1), TYPE, 0)); /* nobody's */
	FAILS(contract_clone_requires, V(SHARED(0), TYPE, 0));
	FAILS(contract_clone_requires, V(FREE, TYPE, 0));
	FAILS(contract_clone_requires, V(BUSY, TYPE, 0));
	FAILS(contract_clone_requires, V(UNIQUE, TYPE, F = 1));
	FAILS(contract_clone_requires, V(DEFERRED, TYPE, 0));
	check_one_more(contract_clone_ensures);
}

static void from_raw(void **state)
{
	struct contract_view before = V(SHARED(2), TYPE, H = 1, F = 1), unique = V(UNIQUE, TYPE, F = 1);

	(void)state;
	HOLDS(contract_from_raw_requires, V(SHARED(1), TYPE, F = 1));
	HOLDS(contract_from_raw_requires, V(MARKED(1), TYPE, F = 1));
	HOLDS(contract_from_raw_requires, V(UNIQUE, TYPE, F = 1));
	FAILS(contract_from_raw_requires, V(SHARED(1), TYPE, H = 1)); /* never forgotten, or restored already */
	FAILS(contract_from_raw_requires, V(UNIQUE, TYPE, U = 1));
	FAILS(contract_from_raw_requires, V(FREE, TYPE, F = 1));
	FAILS(contract_from_raw_requires, V(BUSY, TYPE, F = 1));
	FAILS(contract_from_raw_requires, V(SHARED(0), TYPE, F = 1));

	HOLDS2(contract_from_raw_ensures, before, V(SHARED(2), TYPE, H = 2));
	HOLDS2(contract_from_raw_ensures, unique, V(UNIQUE, TYPE, U = 1));
	FAILS2(contract_from_raw_ensures, before, V(SHARED(3), TYPE, H = 2)); /* counted again */
	FAILS2(contract_from_raw_ensures, before, V(SHARED(2), LISTED, H = 2));
	FAILS2(contract_from_raw_ensures, before, V(SHARED(2), TYPE, H = 2, F = 1));
	FAILS2(contract_from_raw_ensures, before, V(SHARED(2), TYPE, H = 1));
}

static void into_raw(void **state)
{
	struct contract_view before = V(SHARED(2), TYPE, H = 2), unique = V(UNIQUE, TYPE, U = 1);

	(void)state;
	HOLDS(contract_into_raw_requires, V(SHARED(1), TYPE, H = 1));
	HOLDS(contract_into_raw_requires, V(UNIQUE, TYPE, U = 1));
	FAILS(contract_into_raw_requires, V(SHARED(1), TYPE, F = 1)); /* forgotten already */
	FAILS(contract_into_raw_requires, V(SHARED(1), TYPE, C = 1));
	FAILS(contract_into_raw_requires, V(UNIQUE, LISTED, L = 1));
	FAILS(contract_into_raw_requires, V(FREE, TYPE, H = 1));
	FAILS(contract_into_raw_requires, V(SHARED(0), TYPE, H = 1));

	HOLDS2(contract_into_raw_ensures, before, V(SHARED(2), TYPE, H = 1, F = 1));
	HOLDS2(contract_into_raw_ensures, unique, V(UNIQUE, TYPE, F = 1));
	FAILS2(contract_into_raw_ensures, before, V(SHARED(1), TYPE, H = 1, F = 1)); /* dropped on the way */
	FAILS2(contract_into_raw_ensures, before, V(SHARED(2), LISTED, H = 1, F = 1));
	FAILS2(contract_into_raw_ensures, before, V(SHARED(2), TYPE, H = 1));
	FAILS2(contract_into_raw_ensures, before, V(SHARED(2), TYPE, H = 2, F = 1));
}

static void constructor(void **state)
{
	struct contract_view before = V(SHARED(2), TYPE, H = 1, C = 1);

	(void)state;
	HOLDS(contract_constructor_requires, V(SHARED(1), TYPE, H = 1));
	HOLDS(contract_constructor_requires, V(SHARED(1), TYPE, C = 1));
	HOLDS(contract_constructor_requires, V(UNIQUE, TYPE, U = 1));
	FAILS(contract_constructor_requires, V(SHARED(1), TYPE, F = 1));
	FAILS(contract_constructor_requires, V(FREE, TYPE, 0));
	FAILS(contract_constructor_requires, V(UNIQUE, LISTED, L = 1));

	HOLDS2(contract_constructor_ensures, before, V(SHARED(2), TYPE, H = 1, F = 1));
	HOLDS2(contract_constructor_ensures, before, V(SHARED(2), TYPE, C = 1, F = 1));
	FAILS2(contract_constructor_ensures, before, V(SHARED(2), TYPE, H = 1, C = 1, F = 1));
	FAILS2(contract_constructor_ensures, before, V(SHARED(1), TYPE, H = 1, F = 1));
	FAILS2(contract_constructor_ensures, before, V(SHARED(2), LISTED, H = 1, F = 1));
	FAILS2(contract_constructor_ensures, before, V(SHARED(2), TYPE, F = 2));
	FAILS2(contract_constructor_ensures, before, V(SHARED(2), TYPE, H = 1)); /* gone, not forgotten */
}

static void drop(void **state)
{
	struct contract_view before = V(SHARED(2), TYPE, H = 2), marked = V(MARKED(2), TYPE, H = 2);

	(void)state;
	HOLDS(contract_drop_requires, V(SHARED(1), TYPE, H = 1));
	HOLDS(contract_drop_requires, V(SHARED(2), TYPE, H = 1, F = 1, B = 1));
	FAILS(contract_drop_requires, V(SHARED(2), TYPE, F = 1, C = 1)); /* all belong to others */
	FAILS(contract_drop_requires, V(SHARED(1), TYPE, H = 1, B = 1));
	FAILS(contract_drop_requires, V(MARKED(1), TYPE, H = 1, B = 1));
	FAILS(contract_drop_requires, V(FREE, TYPE, 0));
	FAILS(contract_drop_requires, V(SHARED(1), RESERVED, 0));

	HOLDS2(contract_drop_ensures, before, V(SHARED(1), TYPE, H = 1));
	HOLDS2(contract_drop_ensures, before, V(MARKED(1), TYPE, H = 1)); /* put_rcu */
	HOLDS2(contract_drop_ensures, marked, V(MARKED(1), TYPE, H = 1));
	FAILS2(contract_drop_ensures, before, V(SHARED(2), TYPE, H = 1));
	FAILS2(contract_drop_ensures, before, V(SHARED(0), TYPE, H = 1));
	FAILS2(contract_drop_ensures, before, V(FREE, TYPE, H = 1));
	FAILS2(contract_drop_ensures, before, V(SHARED(1), LISTED, H = 1));
}

static void try_unique(void **state)
{
	struct contract_view before = V(SHARED(1), TYPE, H = 1), two = V(SHARED(2), TYPE, H = 2), marked = V(MARKED(1), TYPE, H = 1);

	(void)state;
	HOLDS(contract_try_unique_requires, V(SHARED(1), TYPE, H = 1));
	HOLDS(contract_try_unique_requires, V(SHARED(2), TYPE, H = 1, F = 1, B = 1)); /* answers NULL */
	FAILS(contract_try_unique_requires, V(SHARED(1), TYPE, C = 1));
	FAILS(contract_try_unique_requires, V(SHARED(1), TYPE, H = 1, B = 1));

	HOLDS2(contract_try_unique_ensures, before, V(UNIQUE, TYPE, U = 1));
	FAILS2(contract_try_unique_ensures, before, V(SHARED(1), TYPE, U = 1));
	FAILS2(contract_try_unique_ensures, before, V(UNIQUE, LISTED, U = 1));
	FAILS2(contract_try_unique_ensures, two, V(UNIQUE, TYPE, U = 1));
	FAILS2(contract_try_unique_ensures, marked, V(UNIQUE, TYPE, U = 1));
}

static void share(void **state)
{
	struct contract_view before = V(UNIQUE, TYPE, U = 1), shared = V(SHARED(1), TYPE, H = 1);

	(void)state;
	HOLDS2(contract_share_ensures, before, V(SHARED(1), TYPE, H = 1));
	FAILS2(contract_share_ensures, before, V(SHARED(2), TYPE, H = 1));
	FAILS2(contract_share_ensures, before, V(UNIQUE, TYPE, H = 1));
	FAILS2(contract_share_ensures, before, V(SHARED(1), LISTED, H = 1));
	FAILS2(contract_share_ensures, shared, V(SHARED(1), TYPE, H = 1));
}

static void unique_owned(void **state)
{
	(void)state;
	HOLDS(contract_unique_owned, V(UNIQUE, TYPE, U = 1));
	FAILS(contract_unique_owned, V(UNIQUE, TYPE, F = 1)); /* forgotten */
	FAILS(contract_unique_owned, V(UNIQUE, LISTED, L = 1));
	FAILS(contract_unique_owned, V(UNIQUE, LISTED, U = 1));
	FAILS(contract_unique_owned, V(SHARED(1), TYPE, U = 1));
	FAILS(contract_unique_owned, V(FREE, TYPE, 0));
	FAILS(contract_unique_owned, V(UNIQUE, TYPE, U = 1, B = 1));
	FAILS(contract_unique_owned, V(UNIQUE, TYPE, U = 2));
}

static void release(void **state)
{
	(void)state;
	HOLDS(contract_release_requires, V(BUSY, TYPE, 0));
	HOLDS(contract_release_requires, V(SHARED(0), TYPE, 0));
	FAILS(contract_release_requires, V(BUSY, TYPE, H = 1));
	FAILS(contract_release_requires, V(BUSY, TYPE, F = 1));
	FAILS(contract_release_requires, V(BUSY, TYPE, C = 1));
	FAILS(contract_release_requires, V(BUSY, TYPE, B = 1));
	FAILS(contract_release_requires, V(BUSY, TYPE, U = 1));
	FAILS(contract_release_requires, V(BUSY, TYPE, L = 1));
}

/* What a call returned or stored, which no view shows. */
#define ASKS(step, ...) assert_true(contract_step_requires(step, &__VA_ARGS__))
#define REFUSES(step, ...) assert_false(contract_step_requires(step, &__VA_ARGS__))
#define KEEPS(step, old, ...) assert_true(contract_step_ensures(step, &old, &__VA_ARGS__))
#define BREAKS(step, old, ...) assert_false(contract_step_ensures(step, &old, &__VA_ARGS__))

/* What steps ask and promise that is no clause of the original. */
static void steps(void **state)
{
	static const enum contract_step same_word[] = { STEP_BORROW, STEP_UNBORROW, STEP_KEEP, STEP_COVER, STEP_UNCOVER, STEP_RESTORE };
	struct contract_view shared = V(SHARED(2), TYPE, H = 2), unique = V(UNIQUE, TYPE, U = 1), listed = V(UNIQUE, LISTED, L = 1),
			     none = V(FREE, TYPE, 0);

	(void)state;
	ASKS(STEP_BORROW, V(SHARED(1), TYPE, H = 1));
	ASKS(STEP_BORROW, V(UNIQUE, TYPE, U = 1));
	ASKS(STEP_BORROW, V(UNIQUE, LISTED, L = 1));
	REFUSES(STEP_BORROW, V(FREE, TYPE, 0));
	ASKS(STEP_UNBORROW, V(SHARED(1), TYPE, H = 1, B = 1));
	REFUSES(STEP_UNBORROW, V(SHARED(1), TYPE, H = 1));
	ASKS(STEP_UNCOVER, V(SHARED(1), TYPE, C = 1));
	REFUSES(STEP_UNCOVER, V(SHARED(1), TYPE, H = 1));
	ASKS(STEP_FORGET, V(SHARED(1), TYPE, C = 1));
	REFUSES(STEP_FORGET, V(SHARED(1), TYPE, H = 1)); /* that is into_raw */
	ASKS(STEP_UNLIST, V(UNIQUE, LISTED, L = 1));
	REFUSES(STEP_UNLIST, V(UNIQUE, LISTED, U = 1));
	REFUSES(STEP_UNLIST, V(SHARED(1), LISTED, L = 1));

	for (unsigned i = 0; i < NELEMS(same_word); i++) {
		KEEPS(same_word[i], shared, V(SHARED(2), TYPE, H = 1, C = 1));
		BREAKS(same_word[i], shared, V(SHARED(1), TYPE, H = 1, C = 1));
		BREAKS(same_word[i], shared, V(SHARED(2), LISTED, H = 1, C = 1));
	}
	KEEPS(STEP_LIST, unique, V(UNIQUE, LISTED, L = 1));
	BREAKS(STEP_LIST, unique, V(UNIQUE, TYPE, L = 1));
	BREAKS(STEP_LIST, unique, V(BUSY, LISTED, L = 1));
	BREAKS(STEP_LIST, listed, V(UNIQUE, LISTED, L = 1)); /* it was in one */
	KEEPS(STEP_UNLIST, listed, V(UNIQUE, TYPE, U = 1));
	BREAKS(STEP_UNLIST, listed, V(UNIQUE, LISTED, U = 1));
	BREAKS(STEP_UNLIST, listed, V(BUSY, TYPE, U = 1));
	BREAKS(STEP_UNLIST, unique, V(UNIQUE, TYPE, U = 1)); /* it was in none */
	KEEPS(STEP_SPLIT, none, NEXT(UNIQUE, TYPE, U = 1));
	BREAKS(STEP_SPLIT, none, V(UNIQUE, TYPE, U = 1)); /* the same life */
	BREAKS(STEP_SPLIT, none, NEXT(FREE, TYPE, U = 1));
	KEEPS(STEP_JOIN, unique, V(FREE, TYPE, 0));
	BREAKS(STEP_JOIN, unique, V(UNIQUE, TYPE, 0));
	BREAKS(STEP_JOIN, unique, V(FREE, LISTED, 0));
}

/*
 * A predicate binds no call unless the step of that call asks it. Every step gives the answer of its predicate, on every
 * view and pair of views of a corpus in which each predicate holds somewhere and fails somewhere.
 */
static void each_step_asks_its_predicate(void **state)
{
	static const struct {
		enum contract_step step;
		bool (*requires)(const struct contract_view *v);
		bool (*ensures)(const struct contract_view *old, const struct contract_view *v);
	} table[] = {
		{ STEP_ALLOC, contract_from_unused_requires, contract_from_unused_ensures },
		{ STEP_ALLOC_UNIQUE, contract_from_unused_requires, contract_from_unused_ensures },
		{ STEP_ALLOC_COVER, contract_from_unused_requires, contract_from_unused_ensures },
		{ STEP_LOOKUP, NULL, contract_from_in_use_ensures },
		{ STEP_GET, contract_clone_requires, contract_clone_ensures },
		{ STEP_PUT, contract_drop_requires, contract_drop_ensures },
		{ STEP_INTO_RAW, contract_into_raw_requires, contract_into_raw_ensures },
		{ STEP_FROM_RAW, contract_from_raw_requires, contract_from_raw_ensures },
		{ STEP_UNIQUE_INTO_RAW, contract_into_raw_requires, contract_into_raw_ensures },
		{ STEP_UNIQUE_FROM_RAW, contract_from_raw_requires, contract_from_raw_ensures },
		{ STEP_SHARE, contract_unique_owned, contract_share_ensures },
		{ STEP_TRY_UNIQUE, contract_try_unique_requires, contract_try_unique_ensures },
		{ STEP_UNIQUE_FREE, contract_unique_owned, NULL },
		{ STEP_KEEP, contract_unique_owned, NULL },
		{ STEP_SPLIT, contract_release_requires, NULL },
		{ STEP_JOIN, contract_unique_owned, NULL },
		{ STEP_LIST, contract_unique_owned, NULL },
		{ STEP_COVER, contract_into_raw_requires, NULL },
		{ STEP_FORGET, NULL, contract_constructor_ensures },
		{ STEP_RESTORE, contract_from_raw_requires, NULL },
		{ STEP_RELEASE, contract_release_requires, NULL },
	};
	static const uint64_t refs[] = { REF_FREE, REF_UNUSED, REF_UNIQUE, REF_BUSY((uint64_t)0), REF_DEFERRED((uint64_t)9),
					 REF_SHARED(0), REF_SHARED(1), REF_SHARED(2), REF_SHARED(1) | REF_MARK, REF_SATURATED };
	const uint64_t infos[] = { TYPE, LISTED, RESERVED };
	static struct contract_view views[NELEMS(refs) * NELEMS(infos) * 9 * 2];
	unsigned nr = 0;

	(void)state;
	for (unsigned i = 0; i < NELEMS(refs) * NELEMS(infos) * 2; i++) {
		const struct contract_view v = { .ref = refs[i / 2 % NELEMS(refs)], .info = infos[i / 2 / NELEMS(refs)], .generation = 3 + i % 2 };

		for (unsigned who = 0; who < 9; who++, nr++) {
			views[nr] = v;
			views[nr].who.handles = who == 1 || who == 7 || who == 8 ? 1 : who == 2 ? 2 : 0;
			views[nr].who.raw = who == 3 || who == 7;
			views[nr].who.covers = who == 4;
			views[nr].who.borrows = who == 8;
			views[nr].who.unique = who == 5;
			views[nr].who.listed = who == 6;
		}
	}
	for (unsigned i = 0; i < NELEMS(table); i++) {
		unsigned holds = 0, holds2 = 0;

		for (unsigned a = 0; a < nr; a++) {
			if (table[i].requires && table[i].requires(&views[a]) != contract_step_requires(table[i].step, &views[a]))
				fail_msg("step %d does not ask its predicate", (int)table[i].step);
			holds += table[i].requires && table[i].requires(&views[a]);
			for (unsigned b = 0; table[i].ensures && b < nr; b++) {
				bool ensured = table[i].ensures(&views[a], &views[b]);

				if (ensured != contract_step_ensures(table[i].step, &views[a], &views[b]))
					fail_msg("step %d does not ensure its predicate", (int)table[i].step);
				holds2 += ensured;
			}
		}
		assert_true(!table[i].requires || (holds && holds < nr));
		assert_true(!table[i].ensures || (holds2 && holds2 < nr * nr));
	}
}

static void results(void **state)
{
	struct note { uint64_t a, b; };
	static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 20);
	static RAMKA_DEFINE_TYPE(other_type, struct note, .id = 21);
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	struct note given = { 1, 2 }, wrong = { 1, 3 };
	struct ramka_frame *one, *zeroed;
	ramka_paddr_t pa;

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(f->r, &other_type), 0);
	one = ramka_frame_alloc(f->cpu[0], &note_type, &given, UNINIT);
	zeroed = ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT);
	pa = ramka_frame_paddr(f->r, one);
	assert_true(contract_stored_ensures(f->r, one, &note_type, &given));
	assert_true(contract_stored_ensures(f->r, zeroed, &note_type, NULL));
	assert_false(contract_stored_ensures(f->r, one, &note_type, &wrong));
	assert_false(contract_stored_ensures(f->r, one, &note_type, NULL));
	assert_false(contract_stored_ensures(f->r, zeroed, &note_type, &given));
	assert_false(contract_stored_ensures(f->r, one, &other_type, &given));
	for (unsigned i = 0; i < sizeof(given); i++) { /* no byte is left out, and what is read is what was stored */
		((uint8_t *)ramka_frame_meta(f->r, one))[i] ^= 1;
		assert_false(contract_stored_ensures(f->r, one, &note_type, &given));
		((uint8_t *)ramka_frame_meta(f->r, one))[i] ^= 1;
	}
	slot_set_info(one, slot_info(one) | (uint64_t)3 << INFO_LIST_SHIFT);
	assert_false(contract_stored_ensures(f->r, one, &note_type, &given));
	slot_set_info(one, slot_info(one) & ~((uint64_t)3 << INFO_LIST_SHIFT));
	assert_true(contract_address_ensures(f->r, one, pa));
	assert_false(contract_address_ensures(f->r, one, pa + 1));
	assert_false(contract_address_ensures(f->r, one, pa + PAGE));
	assert_false(contract_address_ensures(f->r, zeroed, pa));
	assert_false(contract_address_ensures(f->r, one, 0));
	EXPECT_BUG(f, "a call", contract_check_address(f->r, one, pa + PAGE, "a call"));
	assert_string_equal(f->bug.what, "ensures contract_address_ensures");
	ramka_frame_put(f->cpu[0], one);
	ramka_frame_put(f->cpu[0], zeroed);
	CLOSE(f);
}

static bool no_child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)pte, (void)level, (void)ret_pa, (void)ret_is_node;
	return false;
}

/* What a getter reads: a slot, of a frame that has metadata, of a known type; for a node with a level of its configuration. */
static void metadata(void **state)
{
	static const struct ramka_pt_config tree = { .levels = 4, .entries = 512, .child = no_child };
	const uint64_t without[] = { FREE, UNUSED, REF_TAG(TAG_NONE) }, with[] = { SHARED(1), MARKED(1), UNIQUE, BUSY, DEFERRED, REF_SATURATED };
	static const struct ramka_region regions[] = { { BASE, 2 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, 4 * MIB, RAMKA_USABLE, 0 } };
	struct fixture *f = fixture_open((struct spec){ .regions = regions, .nr_regions = NELEMS(regions), .nr_cpus = 1 });
	struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &tree, 4), *page = must_alloc(f->cpu[0], UNINIT);
	struct ramka_pt_meta *m = ramka_pt_node(f->r, node);
	uint64_t ref = slot_ref(node), info = slot_info(node);

	(void)state;
	assert_true(contract_meta_requires(f->r, node));
	assert_true(contract_meta_pt_requires(f->r, node));
	assert_true(contract_meta_requires(f->r, page));
	assert_false(contract_meta_pt_requires(f->r, page));
	for (unsigned i = 0; i < NELEMS(with); i++) {
		ramka_store(&node->ref, with[i], relaxed, slot.count);
		assert_true(contract_meta_requires(f->r, node) && contract_meta_pt_requires(f->r, node));
	}
	for (unsigned i = 0; i < NELEMS(without); i++) {
		ramka_store(&node->ref, without[i], relaxed, slot.count);
		assert_false(contract_meta_requires(f->r, node) || contract_meta_pt_requires(f->r, node));
	}
	ramka_store(&node->ref, ref, relaxed, slot.count);
	slot_set_info(node, info_make(99, 0, 0)); /* no such type */
	assert_false(contract_meta_requires(f->r, node) || contract_meta_pt_requires(f->r, node));
	slot_set_info(node, info);
	assert_false(contract_meta_requires(f->r, NULL));
	assert_false(contract_meta_requires(f->r, slot_at(f, BASE) - 1));
	assert_false(contract_meta_requires(f->r, (const struct ramka_frame *)((uintptr_t)node + 8)));
	assert_false(contract_meta_requires(f->r, slot_at(f, BASE) + 2 * MIB / PAGE)); /* a hole's */
	m->level = 0;
	assert_false(contract_meta_pt_requires(f->r, node));
	m->level = 5;
	assert_false(contract_meta_pt_requires(f->r, node));
	m->level = 1;
	assert_true(contract_meta_pt_requires(f->r, node));
	m->config = NULL;
	assert_false(contract_meta_pt_requires(f->r, node));
	m->config = &tree;
	ramka_frame_put(f->cpu[0], page);
	ramka_frame_put(f->cpu[0], node);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wf),
		cmocka_unit_test(inv_of_what_nobody_owns),
		cmocka_unit_test(inv_of_unique),
		cmocka_unit_test(inv_of_shared),
		cmocka_unit_test(inv_of_busy_and_the_rest),
		cmocka_unit_test(from_unused),
		cmocka_unit_test(from_in_use),
		cmocka_unit_test(clone),
		cmocka_unit_test(from_raw),
		cmocka_unit_test(into_raw),
		cmocka_unit_test(constructor),
		cmocka_unit_test(drop),
		cmocka_unit_test(try_unique),
		cmocka_unit_test(share),
		cmocka_unit_test(unique_owned),
		cmocka_unit_test(release),
		cmocka_unit_test(steps),
		cmocka_unit_test(each_step_asks_its_predicate),
		cmocka_unit_test(results),
		cmocka_unit_test(metadata),
	};

	return cmocka_run_group_tests_name("predicates", tests, NULL, NULL);
}
