/* SPDX-License-Identifier: MIT */
/* Says what is wrong. See report.h. */
#include "../base/watch.h"
#include "report.h"

bool state_is_tail(const struct ramka *r, const struct ramka_frame *f)
{
	uint64_t frame = r->first + slot_index(r, f);

	for (unsigned order = 1; order <= RAMKA_MAX_ORDER; order++) {
		uint64_t head = align_down(frame, (uint64_t)1 << order);
		const struct ramka_frame *h;

		/* no frame has a hole in it, so a frame that began further down would reach over this one */
		if (instance_kind(r, head) == MAP_HOLE)
			return false;
		h = &r->slots[head - r->first];
		if (h != f && ref_tag(slot_ref(h)) > TAG_UNUSED && info_order(slot_info(h)) >= order)
			return true;
	}
	return false;
}

enum ramka_state state_of(const struct ramka *r, const struct ramka_frame *f, uint64_t ref)
{
	const struct zone *z;

	if (instance_kind(r, r->first + slot_index(r, f)) == MAP_HOLE)
		return RAMKA_STATE_HOLE;
	if (ref_is_dying(ref))
		return RAMKA_STATE_BUSY;
	if (ref_tag(ref) != TAG_FREE)
		return slot_state(ref, slot_info(f));
	if (state_is_tail(r, f))
		return RAMKA_STATE_TAIL;
	z = instance_zone(r, f);
	if (!z || !slot_in_bitmap(r, z, f))
		return RAMKA_STATE_CACHED;
	return slot_is_shut(r, z, f) ? RAMKA_STATE_ISOLATED : RAMKA_STATE_FREE;
}

static noinline void report(const struct ramka *r, const struct ramka_bug *bug)
{
	probe(bug, bug->operation, bug->what);
	if (!r->panic)
		__builtin_trap();
	r->panic(r->ctx, bug);
}

/* Fills in what the slot says of the frame, and reports. */
static void report_frame(const struct ramka *r, struct ramka_bug *bug, const struct ramka_frame *f,
			 uint64_t ref)
{
	bug->state = RAMKA_STATE_HOLE;
	bug->ref = ref;
	if (f && slot_valid(r, f)) {
		bug->paddr = slot_paddr(r, f);
		bug->state = state_of(r, f, ref); /* the slot of a hole has no info */
		if (bug->state != RAMKA_STATE_HOLE) {
			bug->type = type_by_id(r, info_type(slot_info(f)));
			bug->history = watch_history(r, f);
		}
	}
	report(r, bug);
}

void instance_bug_of(const struct ramka *r, const char *operation, const char *what, const char *argument,
		     const struct ramka_frame *f, uint64_t ref)
{
	struct ramka_bug bug = {
		.operation = operation, .what = what, .argument = argument, .value = (uintptr_t)f
	};

	report_frame(r, &bug, f, ref);
}

void instance_bug_content(const struct ramka *r, const char *operation, const char *what,
			  const struct ramka_frame *f, uintptr_t address)
{
	struct ramka_bug bug = {
		.operation = operation, .what = what, .argument = "content", .value = address
	};

	report_frame(r, &bug, f, slot_ref(f));
}

noinline void instance_bug(const struct ramka *r, const char *operation, const char *what,
			   const struct ramka_frame *f, uint64_t ref)
{
	instance_bug_of(r, operation, what, "f", f, ref);
}

void instance_bug_address(const struct ramka *r, const char *operation, const char *what, ramka_paddr_t pa)
{
	struct ramka_bug bug = {
		.operation = operation,
		.what = what,
		.paddr = pa,
		.state = RAMKA_STATE_HOLE,
		.argument = "pa",
		.value = pa,
	};

	report(r, &bug);
}

void instance_bug_argument(const struct ramka *r, const char *operation, const char *what,
			   const char *argument, uint64_t value, uint64_t expected)
{
	struct ramka_bug bug = {
		.operation = operation,
		.what = what,
		.state = RAMKA_STATE_HOLE,
		.argument = argument,
		.value = value,
		.expected = expected,
	};

	report(r, &bug);
}
