/* SPDX-License-Identifier: MIT */
/* The end of a frame. Protocol: drop.h. */
#include "../base/mem.h"
#include "../base/watch.h"

#include "../cpu/take_back.h"
#include "broken.h"
#include "contracts.h"
#include "drop.h"

#define PENDING_NONE 0u
#define PENDING_RUNNING 1u

static noinline void back_to_unused(struct ramka *r, struct ramka_frame *f)
{
	ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
	if (unlikely(slot_last_info(f) & INFO_BROKEN)) {
		broken_unused(r, f);
		return;
	}
	ramka_add(&r->unused, 1, relaxed, stat);
	ramka_store(&f->ref, REF_UNUSED, release, slot.claim);
}

void frame_to_allocator(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation)
{
	if (unlikely(!cpu_take_back(cpu, f, order, operation)))
		broken_take_apart(cpu, f, order, operation);
}

void frame_take_back(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info, const char *operation)
{
	if (!contract_move(cpu->r, f, STEP_RELEASE, operation))
		return;
	if (unlikely(info & INFO_WATCHED) && !(info & INFO_DETACHED))
		watch_freed(cpu->r, f, info_order(info));
	if (likely(!(info & INFO_DETACHED)))
		frame_to_allocator(cpu, f, info_order(info), operation);
	else
		back_to_unused(cpu->r, f);
}

void frame_drop_meta(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info)
{
	struct ramka *r = cpu->r;
	const struct ramka_type *type = type_by_id(r, info_type(info));

	if (type && type->on_drop)
		type->on_drop(cpu, type->meta_size ? slot_meta(r, f) : NULL, slot_paddr(r, f),
			      slot_content(r, f));
}

static void end_one(struct ramka_cpu *cpu, struct ramka_frame *f, const char *operation)
{
	uint64_t info = slot_info(f);

	frame_drop_meta(cpu, f, info);
	frame_take_back(cpu, f, info, operation);
}

/* True: the caller runs. False: another runs, and has the frame now. */
static bool start_running(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	uint64_t old = ramka_load(&cpu->pending, relaxed, drop.pending), next;

	do {
		next = old == PENDING_NONE ? PENDING_RUNNING : slot_index(cpu->r, f) + 2;
		ramka_store(&f->ref, REF_BUSY(old < 2 ? 0 : old - 1), relaxed, slot.busy);
	} while (!ramka_cas(&cpu->pending, &old, next, release, drop.pending));
	return old == PENDING_NONE;
}

bool drop_begin(struct ramka_cpu *cpu)
{
	uint64_t old = PENDING_NONE;

	return ramka_cas(&cpu->pending, &old, PENDING_RUNNING, relaxed, drop.pending);
}

void drop_end(struct ramka_cpu *cpu, const char *operation)
{
	struct ramka *r = cpu->r;
	uint64_t old;

	for (;;) {
		old = PENDING_RUNNING;
		if (ramka_cas(&cpu->pending, &old, PENDING_NONE, relaxed, drop.pending))
			return;
		old = ramka_xchg(&cpu->pending, PENDING_RUNNING, acquire, drop.pending) - 1;
		while (old) {
			struct ramka_frame *f = &r->slots[old - 1];

			old = ref_link(slot_ref(f));
			end_one(cpu, f, operation);
		}
	}
}

/* Before the frame is taken back, its on_drop runs, and the contract build checks its metadata. */
static noinline void end_first(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info,
			       const char *operation)
{
	ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
	if (!contract_check_meta(cpu->r, f)) {
		instance_bug(cpu->r, operation, CONTRACT_BAD_META, f, slot_ref(f));
	} else if (!(info & INFO_HOOK)) {
		frame_take_back(cpu, f, info, operation);
	} else if (start_running(cpu, f)) {
		end_one(cpu, f, operation);
		drop_end(cpu, operation);
	}
}

void frame_end(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info, const char *operation)
{
	if (CONTRACTS || unlikely(info & INFO_HOOK))
		end_first(cpu, f, info, operation);
	else
		frame_take_back(cpu, f, info, operation);
}
