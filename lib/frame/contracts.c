/* SPDX-License-Identifier: MIT */
/* The contract build: predicates, the ledger, the leak check. Protocol: contracts.h. */
#include "argument.h"
#include "contracts.h"

#ifndef RAMKA_CONTRACTS

bool ramka_contracts_clean(const struct ramka *r)
{
	(void)r;
	return true;
}

#else

/* ---- predicates ---- */

static uint64_t shared_count(const struct contract_view *v)
{
	return ref_tag(v->ref) == TAG_SHARED ? v->ref & REF_PAYLOAD : 0;
}

static uint64_t held(const struct contract_view *v)
{
	bool reserved = ref_tag(v->ref) == TAG_SHARED && v->info & INFO_RESERVED;

	return (uint64_t)v->who.handles + v->who.raw + v->who.covers + (reserved ? 1 : 0);
}

static bool unheld(const struct ledger *w)
{
	return !w->handles && !w->raw && !w->covers && !w->borrows && !w->unique && !w->listed;
}

static bool is_unique(const struct contract_view *v)
{
	return v->ref == REF_UNIQUE;
}

/*
 * The handle agrees with the array of slots, and the slot is no hole's: those have neither words nor a
 * shadow.
 */
bool contract_wf(const struct ramka *r, const struct ramka_frame *f)
{
	return slot_valid(r, f) && instance_kind(r, r->first + slot_index(r, f)) != MAP_HOLE;
}

/*
 * UNUSED or FREE: no holder. UNIQUE: exactly one owner, which is a handle, a list or an address; marked as
 * listed exactly if it is a list. SHARED(n): n = H + F + C, in no list, borrowed only while n > 0. BUSY: in
 * no list and without a holder, except that a unique frame is BUSY while it is repurposed. DEFERRED: as FREE.
 * SATURATED: anything.
 */
bool contract_inv(const struct contract_view *v)
{
	const struct ledger *w = &v->who;

	switch ((enum ref_tag)ref_tag(v->ref)) {
	case TAG_FREE:
	case TAG_UNUSED:
		return unheld(w);
	case TAG_UNIQUE:
		return w->unique + w->listed + w->raw == 1 && !w->handles && !w->covers &&
		       !w->listed == !info_list(v->info);
	case TAG_SHARED:
		return shared_count(v) == held(v) && !w->unique && !w->listed && !info_list(v->info) &&
		       (shared_count(v) || !w->borrows);
	case TAG_BUSY:
		return !held(v) && !w->borrows && !w->listed && w->unique <= 1 && !info_list(v->info);
	case TAG_DEFERRED:
		return unheld(w) && !info_list(v->info);
	case TAG_SATURATED:
		return true;
	case TAG_NONE:
		break;
	}
	return false;
}

/* Published from FREE (by the allocator's own claim) or BUSY (by from_unused and segments). */
bool contract_from_unused_requires(const struct contract_view *v)
{
	return unheld(&v->who) && !info_list(v->info) && (v->ref == REF_FREE || ref_tag(v->ref) == TAG_BUSY);
}

bool contract_from_unused_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return v->generation == old->generation + 1 && !info_list(v->info) && info_type(v->info) &&
	       (is_unique(v) || v->ref == REF_SHARED(1));
}

bool contract_from_in_use_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return ref_tag(v->ref) == TAG_SATURATED ||
	       (v->info == old->info && v->ref == old->ref + 1 && v->who.handles == old->who.handles + 1);
}

bool contract_from_raw_requires(const struct contract_view *v)
{
	return v->who.raw >= 1 && (shared_count(v) || is_unique(v) || ref_tag(v->ref) == TAG_SATURATED);
}

bool contract_from_raw_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == old->ref && v->info == old->info && v->who.raw == old->who.raw - 1 &&
	       v->who.handles + v->who.unique == old->who.handles + old->who.unique + 1;
}

bool contract_into_raw_requires(const struct contract_view *v)
{
	return (v->who.handles >= 1 && (shared_count(v) || ref_tag(v->ref) == TAG_SATURATED)) ||
	       (v->who.unique == 1 && is_unique(v));
}

bool contract_into_raw_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == old->ref && v->info == old->info && v->who.raw == old->who.raw + 1 &&
	       v->who.handles + v->who.unique == old->who.handles + old->who.unique - 1;
}

/* "Forget without drop": the original proves it once for every kind of handle. */
bool contract_constructor_requires(const struct contract_view *v)
{
	return contract_into_raw_requires(v) || v->who.covers >= 1;
}

bool contract_constructor_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == old->ref && v->info == old->info && v->who.raw == old->who.raw + 1 &&
	       v->who.handles + v->who.unique + v->who.covers ==
		       old->who.handles + old->who.unique + old->who.covers - 1;
}

bool contract_clone_requires(const struct contract_view *v)
{
	return held(v) >= 1 && (shared_count(v) || ref_tag(v->ref) == TAG_SATURATED);
}

bool contract_clone_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return contract_from_in_use_ensures(old, v);
}

/* The last reference may not go during a borrow. */
bool contract_drop_requires(const struct contract_view *v)
{
	return v->who.handles >= 1 && (shared_count(v) != 1 || !v->who.borrows);
}

bool contract_drop_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return ref_tag(v->ref) == TAG_SATURATED ||
	       ((v->ref & ~REF_MARK) == (old->ref & ~REF_MARK) - 1 && v->info == old->info);
}

/* Nor may the sole reference become an owner that writes during a borrow. */
bool contract_try_unique_requires(const struct contract_view *v)
{
	return v->who.handles >= 1 && (v->ref != REF_SHARED(1) || !v->who.borrows);
}

bool contract_try_unique_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return old->ref == REF_SHARED(1) && is_unique(v) && v->info == old->info;
}

bool contract_share_ensures(const struct contract_view *old, const struct contract_view *v)
{
	return is_unique(old) && v->ref == REF_SHARED(1) && v->info == old->info;
}

bool contract_unique_owned(const struct contract_view *v)
{
	return v->who.unique == 1 && is_unique(v) && !info_list(v->info) && !v->who.borrows;
}

bool contract_release_requires(const struct contract_view *v)
{
	return unheld(&v->who);
}

/* A slot of a frame that is owned, built, torn down or deferred, and whose type is known. */
bool contract_meta_requires(const struct ramka *r, const struct ramka_frame *f)
{
	return contract_wf(r, f) && ACCEPT_SEEN >> ref_tag(slot_ref(f)) & 1 &&
	       type_by_id(r, info_type(slot_info(f)));
}

bool contract_meta_pt_requires(const struct ramka *r, const struct ramka_frame *f)
{
	const struct ramka_pt_meta *m;

	if (!contract_meta_requires(r, f) || info_type(slot_info(f)) != ramka_type_page_table.id)
		return false;
	m = slot_meta(r, f);
	return m->config && m->level >= 1 && m->level <= m->config->levels;
}

bool contract_stored_ensures(const struct ramka *r, const struct ramka_frame *f,
			     const struct ramka_type *type, const void *meta)
{
	const uint8_t *stored = slot_meta(r, f), *given = meta;

	if (info_type(slot_info(f)) != type->id || info_list(slot_info(f)))
		return false;
	for (unsigned i = 0; i < type->meta_size; i++)
		if (stored[i] != (given ? given[i] : 0))
			return false;
	return true;
}

bool contract_address_ensures(const struct ramka *r, const struct ramka_frame *f, ramka_paddr_t pa)
{
	struct ramka_frame *at = NULL;

	return !instance_slot(r, pa, &at) && at == f;
}

/* ---- steps ---- */

/* A segment's form of contract_constructor_requires. */
static bool covered(const struct contract_view *v)
{
	return v->who.covers >= 1 && contract_constructor_requires(v);
}

static bool any(const struct contract_view *v)
{
	(void)v;
	return true;
}

static bool always(const struct contract_view *old, const struct contract_view *v)
{
	(void)old, (void)v;
	return true;
}

static bool has_cover(const struct contract_view *v)
{
	return v->who.covers >= 1;
}

static bool has_borrow(const struct contract_view *v)
{
	return v->who.borrows >= 1;
}

static bool is_listed(const struct contract_view *v)
{
	return v->who.listed == 1 && is_unique(v);
}

/* From a handle to a segment or an address, and back: the word stays. */
static bool same_word(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == old->ref && v->info == old->info;
}

static bool put_in_list(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == old->ref && info_list(v->info) && !info_list(old->info);
}

static bool out_of_list(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == old->ref && !info_list(v->info) && info_list(old->info);
}

static bool became_unique(const struct contract_view *old, const struct contract_view *v)
{
	return is_unique(v) && v->generation == old->generation + 1;
}

static bool became_tail(const struct contract_view *old, const struct contract_view *v)
{
	return v->ref == REF_FREE && v->info == old->info;
}

static bool is_live(const struct contract_view *v)
{
	return held(v) + v->who.unique + v->who.listed >= 1;
}

static const struct {
	const char *requires_text, *ensures_text;
	bool (*requires)(const struct contract_view *v);
	bool (*ensures)(const struct contract_view *old, const struct contract_view *v);
	int handles, raw, covers, borrows, unique, listed;
} steps[NR_STEPS] = {
#define STEP(req, ens) \
	.requires_text = "requires " #req, .ensures_text = "ensures " #ens, .requires = req, .ensures = ens
	[STEP_ALLOC] = { STEP(contract_from_unused_requires, contract_from_unused_ensures), .handles = 1 },
	[STEP_ALLOC_UNIQUE] = { STEP(contract_from_unused_requires, contract_from_unused_ensures),
				.unique = 1 },
	[STEP_ALLOC_COVER] = { STEP(contract_from_unused_requires, contract_from_unused_ensures),
			       .covers = 1 },
	[STEP_LOOKUP] = { STEP(any, contract_from_in_use_ensures), .handles = 1 },
	[STEP_GET] = { STEP(contract_clone_requires, contract_clone_ensures), .handles = 1 },
	[STEP_PUT] = { STEP(contract_drop_requires, contract_drop_ensures), .handles = -1 },
	[STEP_INTO_RAW] = { STEP(contract_into_raw_requires, contract_into_raw_ensures), .handles = -1,
			    .raw = 1 },
	[STEP_FROM_RAW] = { STEP(contract_from_raw_requires, contract_from_raw_ensures), .handles = 1,
			    .raw = -1 },
	[STEP_UNIQUE_INTO_RAW] = { STEP(contract_into_raw_requires, contract_into_raw_ensures), .unique = -1,
				   .raw = 1 },
	[STEP_UNIQUE_FROM_RAW] = { STEP(contract_from_raw_requires, contract_from_raw_ensures), .unique = 1,
				   .raw = -1 },
	[STEP_BORROW] = { STEP(is_live, same_word), .borrows = 1 },
	[STEP_UNBORROW] = { STEP(has_borrow, same_word), .borrows = -1 },
	[STEP_SHARE] = { STEP(contract_unique_owned, contract_share_ensures), .unique = -1, .handles = 1 },
	[STEP_TRY_UNIQUE] = { STEP(contract_try_unique_requires, contract_try_unique_ensures), .handles = -1,
			      .unique = 1 },
	[STEP_UNIQUE_FREE] = { STEP(contract_unique_owned, always), .unique = -1 },
	[STEP_KEEP] = { STEP(contract_unique_owned, same_word), .unique = 0 },
	[STEP_SPLIT] = { STEP(contract_release_requires, became_unique), .unique = 1 },
	[STEP_JOIN] = { STEP(contract_unique_owned, became_tail), .unique = -1 },
	[STEP_LIST] = { STEP(contract_unique_owned, put_in_list), .unique = -1, .listed = 1 },
	[STEP_UNLIST] = { STEP(is_listed, out_of_list), .unique = 1, .listed = -1 },
	[STEP_COVER] = { STEP(contract_into_raw_requires, same_word), .handles = -1, .covers = 1 },
	[STEP_UNCOVER] = { STEP(has_cover, same_word), .handles = 1, .covers = -1 },
	[STEP_FORGET] = { STEP(covered, contract_constructor_ensures), .covers = -1, .raw = 1 },
	[STEP_RESTORE] = { STEP(contract_from_raw_requires, same_word), .covers = 1, .raw = -1 },
	[STEP_RELEASE] = { STEP(contract_release_requires, always), .handles = 0 },
#undef STEP
};

bool contract_step_requires(enum contract_step step, const struct contract_view *v)
{
	return steps[step].requires(v);
}

bool contract_step_ensures(enum contract_step step, const struct contract_view *old,
			   const struct contract_view *v)
{
	return steps[step].ensures(old, v);
}

static struct shadow *shadow_of(const struct ramka *r, const struct ramka_frame *f)
{
	return &r->shadow[slot_index(r, f)];
}

static void lock(struct shadow *s)
{
	uint32_t none = 0;

	while (!ramka_cas(&s->lock, &none, 1, acquire, contract.lock))
		none = 0;
}

static void unlock(struct shadow *s)
{
	ramka_store(&s->lock, 0, release, contract.lock);
}

/* The slot and its shadow; the caller holds the lock. */
struct contract_view contract_view_of(const struct ramka *r, const struct ramka_frame *f)
{
	const struct shadow *s = shadow_of(r, f);

	return (struct contract_view){ slot_ref(f), slot_info(f), s->who, s->generation };
}

static bool saturated(const struct contract_view *v)
{
	return ref_tag(v->ref) == TAG_SATURATED;
}

static bool enough(uint32_t count, int by)
{
	return by >= 0 || count >= (uint32_t)-by;
}

/* Would every count stay at or above zero? */
static bool affordable(const struct ledger *w, enum contract_step step)
{
	return enough(w->handles, steps[step].handles) && enough(w->raw, steps[step].raw) &&
	       enough(w->covers, steps[step].covers) && enough(w->borrows, steps[step].borrows) &&
	       enough(w->unique, steps[step].unique) && enough(w->listed, steps[step].listed);
}

static void shift(uint32_t *count, int by)
{
	*count = (uint32_t)((int64_t)*count + by);
}

static void move_ledger(struct shadow *s, enum contract_step step, const char *operation)
{
	shift(&s->who.handles, steps[step].handles);
	shift(&s->who.raw, steps[step].raw);
	shift(&s->who.covers, steps[step].covers);
	shift(&s->who.borrows, steps[step].borrows);
	shift(&s->who.unique, steps[step].unique);
	shift(&s->who.listed, steps[step].listed);
	if (step <= STEP_ALLOC_COVER || step == STEP_SPLIT)
		s->generation++;
	s->operation = operation;
}

bool contract_begin(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
		    const char *operation)
{
	struct shadow *s = shadow_of(r, f);
	struct contract_view v;

	if (!contract_wf(r, f)) {
		instance_bug(r, operation, "requires contract_wf: no frame has this slot", f, 0);
		return false;
	}
	lock(s);
	v = contract_view_of(r, f);
	if (saturated(&v) || (affordable(&v.who, step) && contract_step_requires(step, &v))) {
		s->old = v;
		return true;
	}
	unlock(s);
	instance_bug(r, operation, steps[step].requires_text, f, v.ref);
	return false;
}

void contract_commit(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
		     const char *operation)
{
	struct shadow *s = shadow_of(r, f);
	struct contract_view old = s->old, v;
	const char *broken = NULL;

	v = contract_view_of(r, f);
	if (!saturated(&v)) {
		move_ledger(s, step, operation);
		v = contract_view_of(r, f);
		if (!contract_step_ensures(step, &old, &v))
			broken = steps[step].ensures_text;
		/* its word says UNIQUE until the owner's next store */
		else if (step != STEP_UNIQUE_FREE && !contract_inv(&v))
			broken = "inv of the slot";
	}
	unlock(s);
	if (broken)
		instance_bug(r, operation, broken, f, v.ref);
}

void contract_abort(const struct ramka *r, const struct ramka_frame *f)
{
	unlock(shadow_of(r, f));
}

bool contract_move(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
		   const char *operation)
{
	if (!contract_begin(r, f, step, operation))
		return false;
	contract_commit(r, f, step, operation);
	return true;
}

bool contract_check_meta(const struct ramka *r, const struct ramka_frame *f)
{
	const struct ramka_type *type = type_by_id(r, info_type(slot_info(f)));

	return !type || !type->check || type->check(type->meta_size ? slot_meta(r, f) : NULL);
}

void contract_check_address(const struct ramka *r, const struct ramka_frame *f, ramka_paddr_t pa,
			    const char *operation)
{
	if (!contract_address_ensures(r, f, pa))
		instance_bug(r, operation, "ensures contract_address_ensures", f, slot_ref(f));
}

static const char *leak(const struct ledger *w)
{
	return w->unique    ? "leaked: a unique frame" :
	       w->listed    ? "leaked: a frame in a list" :
	       w->borrows   ? "leaked: a borrow" :
	       w->covers    ? "leaked: a frame of a segment" :
	       w->raw       ? "leaked: a raw reference" :
	       w->handles   ? "leaked: a reference" :
			      NULL;
}

bool ramka_contracts_clean(const struct ramka *r)
{
	bool clean = true;

	for (uint64_t i = instance_next(r, r->first); i < r->first + r->nr_slots;
	     i = instance_next(r, i + 1)) {
		const struct ramka_frame *f = &r->slots[i - r->first];
		struct contract_view v = contract_view_of(r, f);
		const char *what = leak(&v.who), *operation = r->shadow[i - r->first].operation;

		if (!what && !contract_inv(&v))
			what = "inv of the slot";
		if (!what)
			continue;
		clean = false;
		instance_bug(r, operation ? operation : "ramka_contracts_clean", what, f, v.ref);
	}
	return clean;
}

#endif
