/* SPDX-License-Identifier: MIT */
/*
 * Memory that is removed: who removes it, and perhaps adds it again; who frees the last frame there, or claims one by
 * address; who looks it up. The remover owns what it has removed, so the oracle notices a frame that another one has too.
 */
#include "base/instance.h"
#include "instance.h"

#define SIZE(n) ((uint64_t)(n) * RAMKA_PAGE_SIZE)
enum { REMOVED = NOTE_0 + 50, ADDING };

static struct ramka_frame *held;

static void isolated_setup(void)
{
	make((struct options){ .frames = 2, .cpus = 2 });
	held = take(cpu(1), &t_plain, 1);
	ck_assert(!ramka_isolate(cpu(0), PA(0), SIZE(2)), "isolate");
}

static bool remove_both(void)
{
	int rc = ramka_remove_memory(cpu(0), PA(0), SIZE(2));

	ck_assert(!rc || rc == RAMKA_E_IN_USE || rc == RAMKA_E_BUSY, "remove_memory: %d", rc);
	if (rc)
		return false;
	ck_own_take(BASE);
	ck_own_take(BASE + 1);
	ck_note_set(REMOVED, 1);
	return true;
}

static void add_both(void)
{
	struct ramka_region region = { .base = PA(0), .size = SIZE(2), .kind = RAMKA_USABLE };
	int rc;

	ck_note_set(ADDING, 1);
	ck_own_give(BASE);
	ck_own_give(BASE + 1);
	rc = ramka_add_memory(r, &region);
	ck_assert(!rc, "add_memory: %d", rc);
}

/* ---- roles ---- */

static void remover(void) { remove_both(); }
static void remover_adds(void)
{
	if (remove_both())
		add_both();
}
static void freer(void)
{
	look(held);
	give(cpu(1), held);
}
/* A claim and a removal: one of them has the frame. */
static void claimer(void)
{
	struct ramka_frame *f;
	int rc = ramka_frame_claim(none(), PA(1), 0, &t_plain, &(struct meta){ 3, 3 }, &f, NULL);

	if (rc)
		return;
	ck_own_take(number(f));
	look(f);
	give(none(), f);
}
static void taker(void) { take_give(none()); }
/*
 * What is found is one of its two lives; what was removed before is not in use, unless it comes back. A note orders
 * nothing, so a lookup may still find the slot, and then it is FREE.
 */
static void looker(void)
{
	for (unsigned i = 0; i < 2; i++) {
		bool removed = ck_note(REMOVED);
		struct ramka_frame *f;
		int rc = ramka_frame_from_in_use(r, PA(i), &f);

		ck_assert(rc == RAMKA_E_OUT_OF_BOUND || rc == RAMKA_E_UNUSED || !removed || ck_note(ADDING),
			  "a lookup in removed memory says %d", rc);
		if (rc)
			continue;
		look(f);
		ramka_frame_put(none(), f);
	}
}

/* ---- afterwards ---- */

static void both_to_be_had(void)
{
	books();
	ck_assert(take(cpu(1), &t_plain, 1) && take(cpu(0), &t_plain, 2), "not all of it came back");
	books();
}
static void all_there(void)
{
	if (ck_note(REMOVED) && !ck_note(ADDING))
		add_both();
	else if (!ck_note(REMOVED))
		ck_assert(!ramka_unisolate(cpu(0), PA(0), SIZE(2)), "not isolated any more");
	both_to_be_had();
}

CK_CLIENT(remove, .what = "memory is removed beside a free and lookups there", .setup = isolated_setup,
	  .thread = { remover, freer, looker }, .check = all_there, .stale = 1, .bound = 1);
CK_CLIENT(remove_claim, .what = "memory is removed while a frame of it is claimed by address", .setup = isolated_setup,
	  .thread = { remover, claimer, freer }, .check = all_there, .stale = 1, .bound = 1);
CK_CLIENT(remove_add, .what = "memory is removed and added beside a free, and handed out again", .setup = isolated_setup,
	  .thread = { remover_adds, freer, taker }, .check = all_there, .stale = 1, .bound = 1);

/* The metadata of removed memory is anything at all; a lookup in memory that came back finds it FREE. */
static void slots_setup(void)
{
	make((struct options){ .frames = 2, .cpus = 2 });
	ck_assert(!ramka_isolate(cpu(0), PA(0), SIZE(2)) && remove_both(), "cannot be removed");
	for (unsigned i = 0; i < 2; i++) {
		ramka_store(&r->slots[i].ref, REF_SHARED(7), relaxed, slot.look);
		ramka_store(&r->slots[i].info, info_make(t_bare.id, 0, 0), relaxed, slot.info);
	}
}
static void slots_looker(void)
{
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(r, PA(1), &f);

	ck_assert(rc == RAMKA_E_OUT_OF_BOUND || rc == RAMKA_E_UNUSED, "a lookup in what is being added says %d", rc);
}
CK_CLIENT(remove_slots, .what = "a lookup in removed memory while it comes back", .setup = slots_setup,
	  .thread = { add_both, slots_looker }, .check = both_to_be_had, .stale = 3);
