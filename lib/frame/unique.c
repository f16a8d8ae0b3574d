/* SPDX-License-Identifier: MIT */
/*
 * Unique frames: the owner's edges of the state machine in slot.h. Everything an owner does is a plain store,
 * since no other call's CAS succeeds on UNIQUE. May use alloc.h, argument.h, broken.h, contracts.h, defer.h,
 * drop.h.
 */
#include "../base/mem.h"

#include "alloc.h"
#include "argument.h"
#include "broken.h"
#include "contracts.h"
#include "defer.h"
#include "drop.h"

struct ramka_unique *ramka_unique_alloc(struct ramka_cpu *cpu, const struct ramka_type *type,
					const void *meta, struct ramka_request req)
{
	struct ramka_frame *f;

	if (likely(frame_hit(cpu, type, req, REF_UNIQUE, &f)))
		return unique_of(f);
	return unique_of(frame_alloc_missed(cpu, type, meta, req, REF_UNIQUE, CALLER));
}

int ramka_unique_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, const struct ramka_type *type,
			     const void *meta, struct ramka_unique **ret_u)
{
	struct ramka_frame *f;
	int rc = frame_from_unused(cpu, pa, 0, type, meta, REF_UNIQUE, "ramka_unique_from_unused",
				   ret_u ? &f : NULL, NULL);

	if (rc)
		return rc;
	*ret_u = unique_of(f);
	note_allocated(cpu, f, 1, CALLER);
	return 0;
}

int ramka_unique_claim(struct ramka_cpu *cpu, ramka_paddr_t pa, unsigned order,
		       const struct ramka_type *type, const void *meta,
		       struct ramka_unique **ret_u, struct ramka_why *ret_why)
{
	struct ramka_frame *f;
	int rc = frame_from_unused(cpu, pa, order, type, meta, REF_UNIQUE, "ramka_unique_claim",
				   ret_u ? &f : NULL, ret_why);

	if (rc)
		return rc;
	*ret_u = unique_of(f);
	note_allocated(cpu, f, (uint64_t)1 << order, CALLER);
	return 0;
}

/* Frees a frame that the caches do not take at once. */
static noinline void free_slow(struct ramka_cpu *cpu, struct ramka_unique *u, const char *operation,
			       uintptr_t caller)
{
	struct ramka_frame *f = slot_of(u);
	uint64_t info;

	if (!CONTRACTS &&
	    (!cpu_argument_ok(cpu, operation) || !unique_argument_ok(cpu->r, u, false, operation)))
		return;
	info = slot_info(f);
	note_given_up(cpu, f, caller);
	if (info & INFO_RCU)
		defer_frame(cpu, f, info);
	else
		frame_end(cpu, f, info, operation);
}

/* Frees a frame that is no plain base frame. Inside the section, which this leaves. */
static noinline void free_larger(struct ramka_cpu *cpu, struct ramka_unique *u, uintptr_t n,
				 const char *operation, uintptr_t caller)
{
	if (likely(cpu_free_larger_inside(cpu, slot_of(u), n)))
		return;
	section_leave(cpu);
	free_slow(cpu, u, operation, caller);
}

static always_inline void free_unique(struct ramka_cpu *cpu, struct ramka_unique *u, const char *operation)
{
	struct ramka_frame *f = slot_of(u);
	uintptr_t n;

	if (CONTRACTS &&
	    (!cpu_argument_ok(cpu, operation) || !unique_argument_ok(cpu->r, u, false, operation) ||
	     !contract_move(cpu->r, f, STEP_UNIQUE_FREE, operation)))
		return;
	if (!CONTRACTS && likely(cpu_home(cpu, f, &n))) {
		/* it may be another CPU's line: it then moves once, for reading and writing */
		__builtin_prefetch(f, 1);
		if (likely(slot_ref(f) == REF_UNIQUE) && likely(section_enter(cpu))) {
			if (unlikely(!cpu_free_inside(cpu, f, n)))
				free_larger(cpu, u, n, operation, CALLER);
			return;
		}
	}
	free_slow(cpu, u, operation, CALLER);
}

void ramka_unique_free(struct ramka_cpu *cpu, struct ramka_unique *u)
{
	free_unique(cpu, u, "ramka_unique_free");
}

/*
 * Frees what goes to the caches, up to BULK_SECTION frames in one section; how many. 0: the first one is to
 * be freed by itself.
 */
static size_t free_many(struct ramka_cpu *cpu, size_t n, struct ramka_unique **u)
{
	size_t i = 0, most = n < BULK_SECTION ? n : BULK_SECTION;

	if (CONTRACTS || unlikely(!section_enter(cpu)))
		return 0;
	for (; i < most; i++) {
		struct ramka_frame *f = slot_of(u[i]);
		uintptr_t number;
		uint64_t order;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(u[i + PREFETCH_AHEAD], 1);
		if (unlikely(!cpu_home(cpu, f, &number)) || unlikely(slot_ref(f) != REF_UNIQUE))
			break;
		order = info_bare_order(slot_info(f));
		if (unlikely(order > TOP_ORDER))
			break;
		if (unlikely(!cpu_take_back_inside(cpu, f, number, (unsigned)order)))
			return i + 1;
	}
	section_leave(cpu);
	return i;
}

void ramka_unique_free_bulk(struct ramka_cpu *cpu, size_t n, struct ramka_unique **u)
{
	for (size_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
		__builtin_prefetch(u[i], 1);
	while (n) {
		size_t done = free_many(cpu, n, u);

		if (unlikely(!done)) {
			free_unique(cpu, *u, "ramka_unique_free_bulk");
			done = 1;
		}
		n -= done;
		u += done;
	}
}

void *ramka_unique_meta(struct ramka *r, struct ramka_unique *u)
{
	return unique_argument_ok(r, u, true, "ramka_unique_meta") ?
		       frame_meta(r, slot_of(u), "ramka_unique_meta") :
		       NULL;
}

struct ramka_frame *ramka_unique_share(struct ramka *r, struct ramka_unique *u)
{
	struct ramka_frame *f = slot_of(u);

	if (!unique_argument_ok(r, u, false, "ramka_unique_share") ||
	    !contract_begin(r, f, STEP_SHARE, "ramka_unique_share"))
		return NULL;
	ramka_store(&f->ref, REF_SHARED(1), release, slot.publish);
	contract_commit(r, f, STEP_SHARE, "ramka_unique_share");
	return f;
}

struct ramka_unique *ramka_frame_try_unique(struct ramka *r, struct ramka_frame *f)
{
	uint64_t sole = REF_SHARED(1);

	if (!frame_pointer_ok(r, f, "ramka_frame_try_unique"))
		return NULL;
	if (unlikely(slot_info(f) & INFO_RESERVED) && ref_others(slot_ref(f)) < REF_MAX)
		return NULL;
	if (!contract_begin(r, f, STEP_TRY_UNIQUE, "ramka_frame_try_unique"))
		return NULL;
	/*
	 * acquire: all that other holders did before their puts is over. A marked frame compares unequal,
	 * since readers may still look
	 */
	if (ramka_cas(&f->ref, &sole, REF_UNIQUE, acquire, slot.drop)) {
		contract_commit(r, f, STEP_TRY_UNIQUE, "ramka_frame_try_unique");
		return unique_of(f);
	}
	contract_abort(r, f);
	if (ref_is_dying(sole) || !(ACCEPT_SHARED >> ref_tag(sole) & 1))
		instance_bug(r, "ramka_frame_try_unique", "frame is not shared", f, sole);
	return NULL;
}

/* Do its frames wait for a grace period because all do, and not since readers look at them? */
static bool quarantined_only(const struct ramka *r, uint64_t info)
{
	const struct ramka_type *type = type_by_id(r, info_type(info));

	return r->flags & RAMKA_QUARANTINE && type != &ramka_type_page_table &&
	       !(type->flags & RAMKA_TYPE_RCU);
}

int ramka_unique_repurpose(struct ramka_cpu *cpu, struct ramka_unique *u, const struct ramka_type *type,
			   const void *meta)
{
	static const char operation[] = "ramka_unique_repurpose";
	struct ramka_frame *f = slot_of(u);
	const struct type_entry *e = type_argument(cpu->r, type, operation);
	uint64_t info;
	bool runner;
	int rc = 0;

	if (!e || !cpu_argument_ok(cpu, operation))
		return RAMKA_E_INVAL;
	if (!unique_argument_ok(cpu->r, u, false, operation) ||
	    !contract_move(cpu->r, f, STEP_KEEP, operation))
		return RAMKA_E_INVAL;
	if (!contract_check_meta(cpu->r, f)) {
		instance_bug(cpu->r, operation, CONTRACT_BAD_META, f, slot_ref(f));
		return RAMKA_E_INVAL;
	}
	info = slot_info(f);
	/* readers may look at the metadata until a grace period is over */
	if (info & INFO_RCU && !quarantined_only(cpu->r, info))
		return RAMKA_E_UNSUPPORTED;
	runner = info & INFO_HOOK && drop_begin(cpu);
	/*
	 * Another on_drop of this handle is running. On the cache-less handle it may be another thread's,
	 * which then drops what this one puts.
	 */
	if (info & INFO_HOOK && !runner && !cpu->cacheless)
		return RAMKA_E_BUSY;
	/* so a put inside on_drop is reported */
	ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
	info = slot_last_info(f);
	frame_drop_meta(cpu, f, info);
	frame_build(cpu->r, f, e, meta, info_order(info), (unsigned)info & (INFO_DETACHED | INFO_BROKEN),
		    false,
		    operation);
	if (!contract_check_meta(cpu->r, f)) {
		rc = RAMKA_E_INVAL; /* the old one is gone: the frame stays BUSY */
	} else {
		ramka_store(&f->ref, REF_UNIQUE, release, slot.publish);
	}
	if (runner)
		drop_end(cpu, operation);
	if (rc)
		instance_bug(cpu->r, operation, CONTRACT_BAD_META, f, slot_ref(f));
	return rc;
}

/* ret_parts may be NULL. */
static int split_parts(struct ramka *r, struct ramka_unique *u, unsigned order,
		       struct ramka_unique **ret_parts, const char *operation)
{
	struct ramka_frame *f = slot_of(u);
	unsigned old_order;
	uint64_t info, broken;

	if (!unique_argument_ok(r, u, false, operation))
		return RAMKA_E_INVAL;
	info = slot_info(f);
	old_order = info_order(info);
	if (order > old_order || !contract_move(r, f, STEP_KEEP, operation))
		return RAMKA_E_INVAL;
	if (!(info & INFO_DETACHED)) {
		struct zone *z = instance_zone(r, f);

		zone_split(z, slot_bit(r, z, f), old_order, order);
	}
	if (order < old_order) /* before a part can be freed */
		account_split(r, (uint64_t)1 << (old_order - order));
	/* flags that are set from now on are set again */
	ramka_store(&f->ref, REF_BUSY((uint64_t)0), relaxed, slot.busy);
	broken = slot_last_info(f) & INFO_BROKEN;
	info &= ~(INFO_ORDER_MASK | INFO_BROKEN);
	info |= (uint64_t)order << INFO_ORDER_SHIFT;
	for (uint64_t i = 0; i < (uint64_t)1 << (old_order - order); i++) {
		struct ramka_frame *part = f + (i << order);
		const struct ramka_type *type = type_by_id(r, info_type(info));

		if (i && type->meta_size)
			memcpy(slot_meta(r, part), slot_meta(r, f), type->meta_size);
		slot_set_info(part, info | (unlikely(broken) ? broken_flags(part, order) : 0));
		if (i && !contract_begin(r, part, STEP_SPLIT, operation)) {
			if (ret_parts)
				ret_parts[i] = NULL;
			continue;
		}
		ramka_store(&part->ref, REF_UNIQUE, release, slot.publish);
		if (i)
			contract_commit(r, part, STEP_SPLIT, operation);
		if (ret_parts)
			ret_parts[i] = unique_of(part);
	}
	return 0;
}

int ramka_unique_split(struct ramka *r, struct ramka_unique *u, unsigned order,
		       struct ramka_unique **ret_parts)
{
	return ret_parts ? split_parts(r, u, order, ret_parts, "ramka_unique_split") : RAMKA_E_INVAL;
}

int ramka_unique_split_in_place(struct ramka *r, struct ramka_unique *u, unsigned order)
{
	return split_parts(r, u, order, NULL, "ramka_unique_split_in_place");
}

struct ramka_unique *ramka_unique_part(const struct ramka *r, struct ramka_unique *u, uint64_t n)
{
	static const char operation[] = "ramka_unique_part";
	struct ramka_frame *part;
	unsigned order;

	if (!unique_argument_ok(r, u, true, operation))
		return NULL;
	order = info_order(slot_info(slot_of(u)));
	if (n >= (r->nr_slots - slot_index(r, slot_of(u))) >> order)
		return NULL;
	part = slot_of(u) + (n << order);
	if (instance_kind(r, r->first + slot_index(r, part)) == MAP_HOLE || slot_ref(part) != REF_UNIQUE ||
	    info_order(slot_info(part)) != order)
		return NULL;
	return unique_of(part);
}

/* Is every part a unique frame like the first: of its order and type, in no list, the allocator's? */
static int joinable(const struct ramka *r, const struct ramka_frame *f, uint64_t info, unsigned order)
{
	unsigned old_order = info_order(info);
	struct ramka_frame *last;

	if (order < old_order || order > RAMKA_MAX_ORDER || info & INFO_DETACHED)
		return RAMKA_E_INVAL;
	/* the metadata of all parts but the first would go at once, and readers may look at it */
	if (order > old_order && info & INFO_RCU && !quarantined_only(r, info))
		return RAMKA_E_UNSUPPORTED;
	if ((r->first + slot_index(r, f)) & (((uint64_t)1 << order) - 1))
		return RAMKA_E_NOT_ALIGNED;
	if (r->nr_slots - slot_index(r, f) < (uint64_t)1 << order)
		return RAMKA_E_OUT_OF_BOUND;
	for (uint64_t i = 1; i < (uint64_t)1 << (order - old_order); i++) {
		const struct ramka_frame *part = f + (i << old_order);

		if (instance_slot(r, slot_paddr(r, part), &last))
			return RAMKA_E_OUT_OF_BOUND;
		if (slot_ref(part) != REF_UNIQUE || (slot_info(part) ^ info) & ~(uint64_t)INFO_BROKEN ||
		    instance_zone(r, part) != instance_zone(r, f))
			return RAMKA_E_IN_USE;
	}
	return 0;
}

int ramka_unique_join(struct ramka *r, struct ramka_unique *u, unsigned order)
{
	static const char operation[] = "ramka_unique_join";
	struct ramka_frame *f = slot_of(u);
	unsigned old_order;
	struct zone *z;
	uint64_t info;
	int rc;

	if (!unique_argument_ok(r, u, false, operation))
		return RAMKA_E_INVAL;
	info = slot_info(f);
	old_order = info_order(info);
	rc = joinable(r, f, info, order);
	if (rc)
		return rc;
	if (!contract_move(r, f, STEP_KEEP, operation))
		return RAMKA_E_INVAL;
	z = instance_zone(r, f);
	zone_join(z, slot_bit(r, z, f), old_order, order);
	if (order > old_order)
		account_joined(r, (uint64_t)1 << (order - old_order));
	/*
	 * the first frame reaches over the others before they are FREE, so that a claim by address finds
	 * tails
	 */
	slot_change_info(f, (uint64_t)old_order << INFO_ORDER_SHIFT, (uint64_t)order << INFO_ORDER_SHIFT);
	for (uint64_t i = 1; i < (uint64_t)1 << (order - old_order); i++) {
		struct ramka_frame *part = f + (i << old_order);

		if (!contract_begin(r, part, STEP_JOIN, operation))
			continue;
		ramka_store(&part->ref, REF_FREE, relaxed, slot.free);
		if (unlikely(slot_last_info(part) & INFO_BROKEN))
			ramka_or(&f->info, INFO_TAINTED, relaxed, slot.info);
		contract_commit(r, part, STEP_JOIN, operation);
	}
	return 0;
}

/* What is wrong with the handle, or the contract build's record of it. */
static noinline ramka_paddr_t unique_into_raw_asked(struct ramka *r, struct ramka_unique *u)
{
	static const char operation[] = "ramka_unique_into_raw";

	if (!unique_argument_ok(r, u, true, operation) ||
	    !contract_move(r, slot_of(u), STEP_UNIQUE_INTO_RAW, operation))
		return 0;
	return slot_paddr(r, slot_of(u));
}

ramka_paddr_t ramka_unique_into_raw(struct ramka *r, struct ramka_unique *u)
{
	uint64_t index;

	if (CONTRACTS || unlikely(!slot_find(r, slot_of(u), &index)) ||
	    unlikely(slot_ref(slot_of(u)) != REF_UNIQUE))
		return unique_into_raw_asked(r, u);
	return paddr_of(r->first + index);
}

/* The same for an address, or it lies where the map has to be searched. */
static noinline struct ramka_unique *unique_from_raw_asked(struct ramka *r, ramka_paddr_t pa)
{
	static const char operation[] = "ramka_unique_from_raw";
	struct ramka_frame *f = frame_at_address(r, pa, operation);

	if (!f || !unique_argument_ok(r, unique_of(f), true, operation) ||
	    !contract_move(r, f, STEP_UNIQUE_FROM_RAW, operation))
		return NULL;
	return unique_of(f);
}

struct ramka_unique *ramka_unique_from_raw(struct ramka *r, ramka_paddr_t pa)
{
	struct ramka_frame *f;

	if (CONTRACTS || unlikely(!instance_solid(r, pa, &f)) || unlikely(slot_ref(f) != REF_UNIQUE))
		return unique_from_raw_asked(r, pa);
	return unique_of(f);
}

ramka_paddr_t ramka_unique_paddr(const struct ramka *r, const struct ramka_unique *u)
{
	if (likely(slot_valid(r, slot_of(u))))
		return slot_paddr(r, slot_of(u));
	unique_argument_bad(r, slot_of(u), "ramka_unique_paddr");
	return 0;
}
