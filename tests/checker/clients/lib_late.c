/* SPDX-License-Identifier: MIT */
/* Memory that is added late: who adds it, who uses it already, who looks it up, who adds more. */
#include "base/instance.h"
#include "instance.h"

static void late_setup(void) { make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 2 }); }
static void add_late(void)
{
	struct ramka_region region = { .base = PA(1), .size = 2 * RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	ck_assert(!rc || rc == RAMKA_E_IN_USE || rc == RAMKA_E_BUSY, "add_memory: %d", rc);
}
static void take_two(void)
{
	take(cpu(1), &t_plain, 1);
	take(cpu(1), &t_plain, 2);
}
static void late_lookup(void)
{
	struct ramka_frame *f;

	if (ramka_frame_from_in_use(r, PA(2), &f))
		return;
	if (ramka_frame_type(r, f) == &t_plain) {
		look(f);        /* and keeps it, beside its owner */
	} else {
		ck_assert(ramka_frame_type(r, f) == &ramka_type_reserved, "neither reserved nor handed out");
		ramka_frame_put(none(), f);
	}
}
CK_CLIENT(late_memory, .what = "memory is added while others allocate", .setup = late_setup,
	  .thread = { add_late, take_two }, .check = books, .stale = 2);
CK_CLIENT(late_memory_lookup, .what = "the same beside a reference by address", .setup = late_setup,
	  .thread = { add_late, take_two, late_lookup }, .check = books, .stale = 1);
CK_CLIENT(late_memory_twice, .what = "two add the same memory", .setup = late_setup,
	  .thread = { add_late, add_late }, .check = books, .stale = 2);

/* one after the other, by two threads: the second sees what the first wrote into the map */
enum { ADDED = NOTE_0 + 40 };
static void late3_setup(void) { make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 3 }); }
static void add_one(unsigned i)
{
	struct ramka_region region = { .base = PA(i), .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	ck_assert(!rc || rc == RAMKA_E_BUSY, "add_memory: %d", rc);
	if (!rc)
		ck_note_add(ADDED, 1u << i);
}
static void add_first(void) { add_one(1); }
static void add_third(void) { add_one(3); }
static void both_usable(void)
{
	for (unsigned i = 1; i <= 3; i += 2) {
		struct ramka_frame *f;
		bool added = ck_note(ADDED) >> i & 1;
		int rc = ramka_frame_from_unused(cpu(0), PA(i), &t_plain, NULL, &f);

		ck_assert(added ? !rc : rc == RAMKA_E_IN_USE, "frame %u, %s: from_unused says %d", i,
			  added ? "added" : "not added", rc);
		if (!rc)
			ramka_frame_put(cpu(0), f);
	}
	books();
}
CK_CLIENT(late_memory_two, .what = "two add different memory", .setup = late3_setup,
	  .thread = { add_first, add_third }, .check = both_usable, .stale = 3);

/* What those who held a reserved frame did to its content comes before what its next owner does. */
static uint64_t content[3];
static struct ramka_frame *reserved;
enum { READ = NOTE_0 };
static void content_setup(void)
{
	make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 2, .tolerant = true });
	ck_assert(!ramka_frame_from_in_use(r, PA(2), &reserved), "no reserved frame");
	ramka_frame_put(none(), reserved);
	content[2] = 1;
}
static void content_reader(void)
{
	struct ramka_frame *f;

	if (ramka_frame_from_in_use(r, PA(2), &f)) {
		ck_note_add(READ, 1);
		return;
	}
	if (ramka_frame_type(r, f) == &ramka_type_reserved)
		ck_assert(content[2] == 1, "a reserved frame with the content of its next life");
	ramka_frame_put(none(), f);
	ck_note_add(READ, 1);
}
static void add_and_write(void)
{
	add_late();
	for (unsigned i = 0; i < 3; i++) {
		struct ramka_frame *f = ramka_frame_alloc(cpu(1), &t_plain, NULL, UNINIT);

		if (f && ramka_frame_paddr(r, f) == PA(2))
			content[2] = 2;
	}
}
static bool was_read(void *ctx) { (void)ctx; return ck_note(READ) != 0; }
static void put_reserved(void)
{
	ck_block(was_read, NULL);
	ramka_frame_put(cpu(0), reserved);
}
CK_CLIENT(late_memory_content, .what = "added memory is written by its owner, after those who looked at it",
	  .setup = content_setup, .thread = { content_reader, add_and_write }, .stale = 2);
CK_CLIENT(late_memory_misuse, .what = "the same when somebody puts the reference that keeps it reserved",
	  .setup = content_setup, .thread = { content_reader, put_reserved, add_and_write }, .stale = 1);

/* The frame at address 0 is never the allocator's, late as well: it can be claimed once it was added. */
static void zero_setup(void)
{
	make((struct options){ .frames = 1, .cpus = 2, .reclaimable = 1, .reclaimable_first = true });
	content[0] = 1;
}
static void zero_reader(void)
{
	struct ramka_frame *f;

	if (ramka_frame_from_in_use(r, 0, &f))
		return;
	if (ramka_frame_type(r, f) == &ramka_type_reserved)
		ck_assert(content[0] == 1, "a reserved frame with the content of its next life");
	ramka_frame_put(none(), f);
}
static void zero_adder(void)
{
	struct ramka_region region = { .base = 0, .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	ck_assert(!rc || rc == RAMKA_E_IN_USE, "add_memory: %d", rc);
}
static void zero_owner(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_unused(cpu(1), 0, &t_plain, NULL, &f))
		content[0] = 2;
}
CK_CLIENT(late_memory_zero, .what = "the frame at address 0 is added and claimed", .setup = zero_setup,
	  .thread = { zero_reader, zero_adder, zero_owner }, .stale = 2);

/* A hole stays a hole, whatever is added beside it. */
static void hole_setup(void)
{
	make((struct options){ .frames = 1, .cpus = 2, .hole = 3, .reclaimable = 1 });
}
static void hole_looker(void)
{
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(r, PA(1), &f);

	ck_assert(rc == RAMKA_E_OUT_OF_BOUND, "a lookup in a hole says %d", rc);
}
CK_CLIENT(late_memory_hole, .what = "a lookup in a hole while memory behind it is added", .setup = hole_setup,
	  .thread = { add_third, hole_looker }, .stale = 3);

/* The metadata of a hole is anything at all; a lookup in memory that was one finds it FREE. */
static void slots_setup(void)
{
	hole_setup();
	for (unsigned i = 1; i <= 3; i++) {
		struct ramka_frame *f = &r->slots[i];

		ramka_store(&f->ref, REF_SHARED(7), relaxed, slot.look);
		ramka_store(&f->info, info_make(t_bare.id, 0, 0), relaxed, slot.info);
	}
}
static void slots_looker(void)
{
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(r, PA(1), &f);

	ck_assert(rc == RAMKA_E_OUT_OF_BOUND || rc == RAMKA_E_UNUSED, "a lookup in what is being added says %d", rc);
}
CK_CLIENT(late_memory_slots, .what = "a lookup in a hole while it becomes memory", .setup = slots_setup,
	  .thread = { add_first, slots_looker }, .stale = 3);

/* Two such pieces, added by two threads: the second sees what the first wrote into the map, and adds to it. */
static void both_known(void)
{
	for (unsigned i = 1; i <= 3; i += 2) {
		struct ramka_frame *f;
		bool added = ck_note(ADDED) >> i & 1;
		int rc = ramka_frame_from_unused(cpu(0), PA(i), &t_plain, NULL, &f);

		ck_assert(rc == (added ? 0 : RAMKA_E_OUT_OF_BOUND), "frame %u, %s: from_unused says %d", i,
			  added ? "added" : "not added", rc);
		if (!rc)
			ramka_frame_put(cpu(0), f);
	}
	books();
}
CK_CLIENT(late_memory_holes, .what = "two add different holes", .setup = hole_setup,
	  .thread = { add_first, add_third }, .check = both_known, .stale = 3);

/* A piece that continues another one makes that longer. */
static void add_both(void) { add_one(1); add_one(2); }
static void end_looker(void)
{
	struct ramka_frame *f;
	int rc = ramka_frame_from_unused(cpu(1), PA(2), &t_plain, NULL, &f);

	ck_assert(!rc || rc == RAMKA_E_OUT_OF_BOUND || rc == RAMKA_E_BUSY, "from_unused says %d", rc);
	if (!rc) {
		ck_own_take(number(f));
		give(cpu(1), f);
	}
}
CK_CLIENT(late_memory_grows, .what = "a piece grows while its end is claimed by address", .setup = hole_setup,
	  .thread = { add_both, end_looker }, .check = books, .stale = 3);
