/* SPDX-License-Identifier: MIT */
/* The end of a life: on_drop and the interrupts on top of it, two ends of one frame, puts too many of a marked frame. */
#include "instance.h"
#include "base/slot.h"
#include "frame/defer.h"

static struct ramka_frame *f0, *f1, *f2;

/* ---- on_drop ---- */

static void three_frames(void)
{
	make((struct options){ .frames = 3, .cpus = 1, .rcu = true });
	f0 = take(cpu(0), &t_hook, 1);
	f1 = take(cpu(0), &t_hook, 1);
	f2 = take(cpu(0), &t_hook, 1);
}
static void put_f0(void) { ramka_frame_put(cpu(0), f0); }
static unsigned which;
static void irq_put_next(void) { ramka_frame_put(cpu(0), which++ ? f2 : f1); }
static void drops_are(unsigned n)
{
	books();
	ck_assert(ck_note(NOTE_DROPS) == n, "on_drop ran %u times for %u frames", ck_note(NOTE_DROPS), n);
}
static void all_put(void)
{
	if (ck_irqs() < 1)
		ramka_frame_put(cpu(0), f1);
	if (ck_irqs() < 2)
		ramka_frame_put(cpu(0), f2);
	drops_are(3);
}
CK_CLIENT(drop_two_irqs, .what = "a second interrupt drops while the first one's frame is fetched", .setup = three_frames,
	  .thread = { put_f0 }, .irq = { irq_put_next }, .irq_max = 2, .check = all_put, .stale = 1);

static void also_f1(struct ramka_cpu *c, ramka_paddr_t pa)
{
	if (pa == (ramka_paddr_t)number(f0) * RAMKA_PAGE_SIZE)
		ramka_frame_put(c, f1);
}
static void three_and_also(void)
{
	three_frames();
	on_drop_also = also_f1;
}
static void irq_put_f2(void) { ramka_frame_put(cpu(0), f2); }
static void also_put(void)
{
	if (!ck_irqs())
		ramka_frame_put(cpu(0), f2);
	drops_are(3);
}
CK_CLIENT(drop_inside_irq, .what = "on_drop drops another frame, an interrupt a third", .setup = three_and_also,
	  .thread = { put_f0 }, .irq = { irq_put_f2 }, .check = also_put, .stale = 1);

/* ---- two put_rcu of one frame ---- */

static void two_refs(void)
{
	make((struct options){ .frames = 1, .cpus = 3, .rcu = true });
	f0 = take(cpu(0), &t_hook, 1);
	ramka_frame_get(r, f0);
}
static void defer1(void) { look(f0); ramka_frame_put_rcu(cpu(1), f0); }
static void defer2(void) { look(f0); ramka_frame_put_rcu(cpu(2), f0); ramka_reclaim(cpu(2), true); }
static void one_drop(void) { drops_are(1); }
CK_CLIENT(defer_both_ends, .what = "two put_rcu of one frame, which ends once", .setup = two_refs,
	  .thread = { defer1, defer2 }, .check = one_drop, .stale = 2);

/* ---- one put too many of a frame whose last reference went by put_rcu, beside an innocent lookup ---- */

enum { NOTE_LAST = NOTE_0 + 4, NOTE_FOUND };

static void two_frames(void)
{
	make((struct options){ .frames = 2, .cpus = 3, .rcu = true, .tolerant = true });
	f1 = take(cpu(0), &t_plain, 1);
	f0 = take(cpu(0), &t_plain, 1);
	ramka_frame_put_rcu(cpu(0), f1);
}
static void last(void)
{
	if (ramka_frame_put_rcu(cpu(0), f0) >= 0)
		ck_note_add(NOTE_LAST, 1);
}
static void stray1(void) { ramka_frame_put(cpu(1), f0); }
static void stray2(void) { ramka_frame_put(cpu(2), f0); }
static void innocent(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(number(f0) - BASE), &f))
		ck_note_add(NOTE_FOUND, 1);
}
static void link_kept(void)
{
	uint64_t deferred = (unsigned)(ref_tag(slot_ref(f0)) == TAG_DEFERRED) + (unsigned)(ref_tag(slot_ref(f1)) == TAG_DEFERRED);

	ck_assert(deferred == defer_count(r), "%llu frames lie in bags, and %llu have their link: %#llx",
		  (unsigned long long)defer_count(r), (unsigned long long)deferred, (unsigned long long)slot_ref(f0));
}
static void reference_kept(void)
{
	unsigned tag = ref_tag(slot_ref(f0));

	if (ck_note(NOTE_BUGS) && ck_note(NOTE_LAST) && ck_note(NOTE_FOUND))
		ck_assert(tag != TAG_DEFERRED && tag != TAG_FREE, "the misuse was reported, and a correct lookup holds a frame that "
			  "will be freed: %#llx", (unsigned long long)slot_ref(f0));
}
CK_CLIENT(stray_put_link, .what = "one put too many of a marked frame, and a lookup: the bag stays whole", .setup = two_frames,
	  .thread = { last, stray1, innocent }, .check = link_kept, .stale = 1);
CK_CLIENT(stray_put_reference, .what = "one put too many of a marked frame, and a lookup: never handed out twice",
	  .setup = two_frames, .thread = { last, stray1, innocent }, .check = reference_kept, .stale = 1);
CK_CLIENT(stray_puts_link, .what = "two puts too many of a marked frame: the bag stays whole", .setup = two_frames,
	  .thread = { last, stray1, stray2 }, .check = link_kept, .stale = 1);

/* the same with a type that defers, whose last put bears no mark */
static void two_of_rcu(void)
{
	make((struct options){ .frames = 2, .cpus = 3, .rcu = true, .tolerant = true });
	f1 = take(cpu(0), &t_plain, 1);
	f0 = take(cpu(0), &t_rcu, 1);
	ramka_frame_put_rcu(cpu(0), f1);
}
static void last_put(void)
{
	ramka_frame_put(cpu(0), f0);
	ck_note_add(NOTE_LAST, 1);
}
CK_CLIENT(stray_put_unmarked, .what = "one put too many of a frame whose type defers, and a lookup", .setup = two_of_rcu,
	  .thread = { last_put, stray1, innocent }, .check = link_kept, .stale = 1);
