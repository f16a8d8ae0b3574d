/* SPDX-License-Identifier: MIT */
/* Broken frames. Protocol: broken.h. */
#include "broken.h"

#include "../cpu/account.h"
#include "../cpu/claim.h"
#include "../cpu/section.h"
#include "../cpu/take_back.h"
#include "argument.h"

#define BAD_ROUNDS 8u /* looks at a frame that is just changing hands */

/* ---- out of circulation ---- */

/* The caller's base frame is reserved from now on. Release: a lookup that finds it finds its type. */
static void make_bad(struct ramka *r, struct ramka_frame *f)
{
	ramka_add(&r->bad, 1, relaxed, stat);
	ramka_sub(&r->late_reserved, 1, relaxed, stat);
	slot_set_info(f, r->types[ramka_type_unusable.id].info);
	ramka_store(&f->ref, REF_SHARED(1), release, slot.publish);
}

/* The same for one that the zone handed out. */
static void keep_from_zone(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	struct zone *z = instance_zone(cpu->r, f);

	ramka_sub(&z->usable, 1, relaxed, stat);
	ramka_sub(&z->taken, 1, relaxed, stat);
	account_broken(cpu);
	make_bad(cpu->r, f);
}

void broken_unused(struct ramka *r, struct ramka_frame *f)
{
	make_bad(r, f);
}

uint64_t broken_flags(const struct ramka_frame *f, unsigned order)
{
	uint64_t flags = slot_info(f) & INFO_BAD;

	for (uint64_t i = 1; i < (uint64_t)1 << order; i++)
		if (slot_info(f + i) & INFO_BAD)
			return flags | INFO_TAINTED;
	return flags;
}

/* The largest order at which the part begins at `at` of its frame and holds nothing broken; 0 else. */
static unsigned sound_order(const struct ramka_frame *part, uint64_t at, unsigned order)
{
	while (order && (at & (((uint64_t)1 << order) - 1) || broken_flags(part, order)))
		order--;
	return order;
}

/* Part after part, each as large as can be. Whole blocks stay whole unless a part of them is broken. */
noinline void broken_take_apart(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order,
				const char *operation)
{
	struct zone *z = instance_zone(cpu->r, f);
	uint64_t at = 0, opened = UINT64_MAX; /* the block that was opened last */

	while (at < (uint64_t)1 << order) {
		struct ramka_frame *part = f + at;
		unsigned piece;

		ramka_and(&part->info, ~(uint64_t)INFO_TAINTED, relaxed, slot.info);
		piece = sound_order(part, at, order);
		if (order >= BLOCK_ORDER && piece < BLOCK_ORDER && opened != at / BLOCK_FRAMES) {
			zone_split(z, slot_bit(cpu->r, z, part), BLOCK_ORDER, 0);
			opened = at / BLOCK_FRAMES;
		}
		if (broken_flags(part, piece))
			keep_from_zone(cpu, part);
		else if (!cpu_take_back(cpu, part, piece, operation))
			continue; /* a flag was set meanwhile */
		at += (uint64_t)1 << piece;
		if (at < (uint64_t)1 << order)
			account_split(cpu->r, 2); /* each part is given back by itself */
	}
}

/* ---- set_bad ---- */

static void look_on(struct ramka_cpu *cpu, void *arg)
{
	(void)cpu, (void)arg;
}

/* Every section that was open when the flag was set is over. Without a barrier that cannot be known. */
static bool sections_over(struct ramka_cpu *cpu)
{
	struct ramka *r = cpu->r;

	if (!cpu->cacheless && ramka_load(&cpu->active, relaxed, section.own))
		return false;
	return !r->barrier_all_cpus || cpu_for_each_stopped(r, cpu, look_on, NULL);
}

/* The head of the frame in use that has this one; NULL: none, or it is just changing hands. */
static struct ramka_frame *user_of(const struct ramka *r, struct ramka_frame *f)
{
	struct ramka_frame *head = ramka_frame_head(r, slot_paddr(r, f));
	uint64_t ref = head ? ramka_load(&head->ref, acquire, slot.publish) : REF_FREE;

	return ACCEPT_READ >> ref_tag(ref) & 1 && !ref_is_dying(ref) ? head : NULL;
}

/* A frame in use: RAMKA_LATER, or BUSY: look at it again. */
static int flag(struct ramka_cpu *cpu, struct ramka_frame *f, struct ramka_frame *head)
{
	const struct ramka *r = cpu->r;
	bool over;

	ramka_or(&f->info, INFO_BAD, acq_rel, slot.broken);
	if (head != f)
		ramka_or(&head->info, INFO_TAINTED, acq_rel, slot.broken);
	over = sections_over(cpu);
	head = user_of(r, f);
	if (!over || !head || !(slot_info(f) & INFO_BAD))
		return RAMKA_E_BUSY;
	return head == f || slot_info(head) & INFO_TAINTED ? RAMKA_LATER : RAMKA_E_BUSY;
}

static int set_bad(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	struct ramka_frame *head = user_of(cpu->r, f), *used;
	uint64_t ref = slot_ref(f), info = slot_info(f);
	struct ramka *r = cpu->r;

	if (ref_tag(ref) == TAG_SHARED && info & INFO_RESERVED)
		return info_type(info) == ramka_type_unusable.id ? 0 : RAMKA_E_UNSUPPORTED;
	if (head)
		return flag(cpu, f, head);
	if (ref == REF_UNUSED && ramka_cas(&f->ref, &ref, REF_BUSY((uint64_t)0), acquire, slot.claim)) {
		ramka_sub(&r->unused, 1, relaxed, stat);
		make_bad(r, f);
		return 0;
	}
	if (ref_tag(ref) != TAG_FREE || cpu_claim(cpu, f, 0, &used))
		return RAMKA_E_BUSY;
	keep_from_zone(cpu, f);
	return 0;
}

int ramka_frame_set_bad(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	struct ramka_frame *f;
	int rc = instance_slot(cpu->r, pa, &f);

	if (!cpu_argument_ok(cpu, "ramka_frame_set_bad"))
		return RAMKA_E_INVAL;
	if (rc)
		return rc;
	rc = RAMKA_E_BUSY;
	for (unsigned i = 0; i < BAD_ROUNDS && rc == RAMKA_E_BUSY; i++)
		rc = set_bad(cpu, f);
	return rc;
}
