/* SPDX-License-Identifier: MIT */
/*
 * Shared frames: the edges of the state machine of slot.h that count references, each one operation on the
 * state word. A frame's birth is in alloc.c and its end in drop.c. May use alloc.h, argument.h, contracts.h,
 * defer.h, drop.h.
 *
 * The old value of that operation shows a misuse. It is never undone by adding or subtracting, since the
 * frame may be in use again. It is undone by a CAS of exactly the wrong value; if that fails, the frame is
 * leaked. SHARED(0) needs no undoing: its owner's next store puts the word right.
 */
#include "../base/mem.h"

#include "alloc.h"
#include "argument.h"
#include "contracts.h"
#include "defer.h"
#include "drop.h"

/* ---- by address ---- */

/*
 * The count is at its top, so the frame is never freed from now on. Release: a lookup sees all that the
 * caller saw or built.
 */
static void saturate(struct ramka *r, struct ramka_frame *f, uint64_t old, const char *operation)
{
	ramka_store(&f->ref, REF_SATURATED, release, slot.publish);
	if (!(r->flags & RAMKA_REF_SATURATE))
		instance_bug(r, operation, "reference count at its top: the frame is leaked", f, old);
}

static bool lookup_allowed(const struct ramka *r, const struct ramka_frame *f)
{
	const struct ramka_type *type = type_by_id(r, info_type(slot_info(f)));

	return !type || !(type->flags & RAMKA_TYPE_NO_LOOKUP);
}

/*
 * A state word that a lookup may act upon. Acquire: the lookup of a SATURATED frame executes no CAS, so this
 * load is its only order.
 */
static uint64_t ref_found(const struct ramka_frame *f)
{
	return ramka_load(&f->ref, acquire, slot.publish);
}

/* SHARED n -> n + 1 at an address whose frame may change meanwhile. */
static int lookup(struct ramka *r, struct ramka_frame *f)
{
	uint64_t ref = ref_found(f);

	for (;;) {
		switch ((enum ref_tag)ref_tag(ref)) {
		case TAG_FREE:
		case TAG_UNUSED:
			return RAMKA_E_UNUSED;
		case TAG_UNIQUE:
			return RAMKA_E_UNIQUE;
		case TAG_SATURATED: /* never freed: nothing to count */
			return lookup_allowed(r, f) ? 0 : RAMKA_E_IN_USE;
		case TAG_SHARED:
			break;
		case TAG_DEFERRED:
		case TAG_BUSY:
		case TAG_NONE:
			return RAMKA_E_BUSY;
		}
		if (ref_is_dying(ref))
			return RAMKA_E_BUSY;
		if (ref_others(ref) >= REF_MAX - 1) {
			contract_abort(r, f); /* saturate may not return */
			saturate(r, f, ref, "ramka_frame_from_in_use");
			if (!contract_begin(r, f, STEP_LOOKUP, "ramka_frame_from_in_use"))
				return RAMKA_E_INVAL;
			ref = ref_found(f);
			continue;
		}
		if (!lookup_allowed(r, f))
			return RAMKA_E_IN_USE;
		if (ramka_cas(&f->ref, &ref, ref + 1, acquire, slot.publish))
			return 0;
	}
}

int ramka_frame_from_in_use(struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_frame)
{
	static const char operation[] = "ramka_frame_from_in_use";
	struct ramka_frame *f;
	int rc = instance_slot(r, pa, &f);

	if (rc)
		return rc;
	if (!ret_frame)
		return RAMKA_E_INVAL;
	if (!contract_begin(r, f, STEP_LOOKUP, operation))
		return RAMKA_E_INVAL;
	rc = lookup(r, f);
	if (rc) {
		contract_abort(r, f);
		return rc;
	}
	contract_commit(r, f, STEP_LOOKUP, operation);
	contract_check_address(r, f, pa, operation);
	if (!lookup_allowed(r, f)) { /* it became another frame between the look and the CAS */
		ramka_frame_put(ramka_cpu_none(r), f);
		return RAMKA_E_IN_USE;
	}
	*ret_frame = f;
	return 0;
}

/* ---- counting ---- */

/* `now` is what a wrong increment or decrement of `old` left behind. */
static void undo(struct ramka_frame *f, uint64_t old, uint64_t now)
{
	if (ref_is_dying(old))
		return;
	ramka_cas(&f->ref, &now, old, relaxed, slot.undo);
}

static noinline struct ramka_frame *get_failed(struct ramka *r, struct ramka_frame *f, uint64_t old,
					       const char *operation)
{
	if (!frame_pointer_ok(r, f, operation))
		return NULL;
	if (ref_tag(old) == TAG_SATURATED)
		return f; /* the word drifts inside its tag */
	if (ref_tag(old) == TAG_SHARED && !ref_is_dying(old)) {
		saturate(r, f, old, operation);
		return f;
	}
	undo(f, old, old + 1);
	instance_bug(r, operation, "frame is not shared", f, old);
	return NULL;
}

/* Adds a reference, for the public function `operation`. NULL after a report. */
static always_inline struct ramka_frame *get_reference(struct ramka *r, struct ramka_frame *f,
						       const char *operation)
{
	uint64_t old;

	if (unlikely(!slot_valid(r, f)))
		return get_failed(r, f, 0, operation);
	if (!contract_begin(r, f, STEP_GET, operation))
		return NULL;
	old = ramka_add(&f->ref, 1, relaxed, slot.count);
	if (likely(ref_others(old) < REF_MAX - 1)) {
		contract_commit(r, f, STEP_GET, operation);
		return f;
	}
	contract_abort(r, f);
	return get_failed(r, f, old, operation);
}

struct ramka_frame *ramka_frame_get(struct ramka *r, struct ramka_frame *f)
{
	return get_reference(r, f, "ramka_frame_get");
}

struct ramka_frame *ramka_frame_get_n(struct ramka *r, struct ramka_frame *f, unsigned n)
{
	static const char operation[] = "ramka_frame_get_n";
	uint64_t ref;

	if (!frame_argument_ok(r, f, ACCEPT_SHARED, operation))
		return NULL;
	if (CONTRACTS || n == 1) { /* each moves the ledger once */
		for (unsigned i = 0; i < n; i++)
			if (!get_reference(r, f, operation)) {
				while (i--)
					frame_put(r->none, f, operation, CALLER);
				return NULL;
			}
		return f;
	}
	/* a CAS, since so large an increment could turn a wrong state into another one */
	ref = slot_ref(f);
	while (n && ref_tag(ref) != TAG_SATURATED) {
		if (ref_tag(ref) != TAG_SHARED || ref_is_dying(ref)) {
			instance_bug(r, operation, "frame is not shared", f, ref);
			return NULL;
		}
		if (ref_others(ref) >= REF_MAX - 1 - n) {
			saturate(r, f, ref, operation);
			break;
		}
		if (ramka_cas(&f->ref, &ref, ref + n, relaxed, slot.count))
			break;
	}
	return f;
}

struct ramka_frame *frame_get(struct ramka *r, struct ramka_frame *f, const char *operation)
{
	return get_reference(r, f, operation);
}

/*
 * The last reference is gone: the state word says SHARED(0), with or without the mark, and the frame is the
 * caller's.
 */
static noinline int end_shared(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t old,
			       const char *operation, uintptr_t caller)
{
	uint64_t info = slot_info(f);

	if (unlikely(info & INFO_RESERVED)) {
		ramka_store(&f->ref, REF_SHARED(1), release, slot.publish);
		instance_bug(cpu->r, operation, "last reference of a frame reserved at boot", f,
			     REF_SHARED(1));
		return RAMKA_E_INVAL;
	}
	note_given_up(cpu, f, caller);
	if (old & REF_MARK || info & INFO_RCU)
		return defer_frame(cpu, f, info);
	frame_end(cpu, f, info, operation);
	return 0;
}

/* Of a word with a count that no frame may have: is it SATURATED, or is a get about to make it so? */
static bool at_its_top(uint64_t ref)
{
	return ref_tag(ref) == TAG_SATURATED || (ref_tag(ref) == TAG_SHARED && !ref_is_dying(ref));
}

static noinline void put_failed(struct ramka *r, struct ramka_frame *f, uint64_t old, const char *operation)
{
	if (ref_tag(old) == TAG_SATURATED)
		return;
	if (ref_tag(old) == TAG_SHARED && !ref_is_dying(old)) {
		/* a get above the top is about to say so */
		ramka_store(&f->ref, REF_SATURATED, release, slot.publish);
		return;
	}
	undo(f, old, old - 1);
	instance_bug(r, operation, "frame is not shared (put twice?)", f, old);
}

/* The rest of a put whose frame did not go to the cache at once; `old`: the word before. */
static always_inline void reference_gone(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t old,
					 const char *operation, uintptr_t caller)
{
	uint64_t others = ref_others(old);

	contract_commit(cpu->r, f, STEP_PUT, operation);
	if (unlikely(others >= REF_MAX))
		put_failed(cpu->r, f, old, operation);
	else if (!others)
		end_shared(cpu, f, old, operation, caller);
}

/*
 * The last reference of a frame that is no plain base frame is gone. Inside the section, which this leaves.
 */
static noinline void end_larger(struct ramka_cpu *cpu, struct ramka_frame *f, uintptr_t n,
				const char *operation, uintptr_t caller)
{
	if (likely(cpu_free_larger_inside(cpu, f, n)))
		return;
	section_leave(cpu);
	end_shared(cpu, f, REF_SHARED(1), operation, caller);
}

/* f is a slot, number n of the home zone if `home`. `hot`: see put_reference. */
static always_inline void drop_reference(struct ramka_cpu *cpu, struct ramka_frame *f, bool home, bool hot,
					 uintptr_t n, const char *operation, uintptr_t caller)
{
	uint64_t old;

	if (!contract_begin(cpu->r, f, STEP_PUT, operation))
		return;
	old = ramka_sub(&f->ref, 1, acq_rel, slot.drop);
	if (!CONTRACTS && hot && likely(old == REF_SHARED(1) && home) && likely(section_enter(cpu))) {
		if (unlikely(!cpu_free_inside(cpu, f, n)))
			end_larger(cpu, f, n, operation, caller);
		return;
	}
	reference_gone(cpu, f, old, operation, caller);
}

/* No frame of the home zone, or the instance checks who uses its handles. */
static noinline void put_checked(struct ramka_cpu *cpu, struct ramka_frame *f, const char *operation,
				 uintptr_t caller)
{
	if (frame_pointer_ok(cpu->r, f, operation) && cpu_argument_ok(cpu, operation))
		drop_reference(cpu, f, false, false, 0, operation, caller);
}

/*
 * Gives up a reference, for the public function `operation`. `hot`: inlined down to the cache, which does the
 * same as end_shared for a base frame of a plain type.
 */
static always_inline void put_reference(struct ramka_cpu *cpu, struct ramka_frame *f, bool hot,
					const char *operation, uintptr_t caller)
{
	uintptr_t n;
	bool home = cpu_home(cpu, f, &n);

	if (unlikely(!home) && (unlikely(!slot_valid(cpu->r, f)) || unlikely(cpu->r->this_cpu)))
		put_checked(cpu, f, operation, caller);
	else
		drop_reference(cpu, f, home, hot, n, operation, caller);
}

void ramka_frame_put(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	put_reference(cpu, f, true, "ramka_frame_put", CALLER);
}

void frame_put(struct ramka_cpu *cpu, struct ramka_frame *f, const char *operation, uintptr_t caller)
{
	put_reference(cpu, f, false, operation, caller);
}

/*
 * Puts one reference each, and frees what goes to the caches, up to BULK_SECTION frames in one section; how
 * many. 0: the first one is to be put by itself.
 */
static size_t put_many(struct ramka_cpu *cpu, size_t n, struct ramka_frame **frames, const char *operation,
		       uintptr_t caller)
{
	size_t i = 0, most = n < BULK_SECTION ? n : BULK_SECTION;

	if (CONTRACTS || unlikely(!section_enter(cpu)))
		return 0;
	for (; i < most; i++) {
		struct ramka_frame *f = frames[i];
		uint64_t old, order;
		uintptr_t number;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(frames[i + PREFETCH_AHEAD], 1);
		if (unlikely(!cpu_home(cpu, f, &number)))
			break;
		old = ramka_sub(&f->ref, 1, acq_rel, slot.drop);
		order = info_bare_order(slot_info(f));
		if (unlikely(old != REF_SHARED(1)) || unlikely(order > TOP_ORDER)) {
			section_leave(cpu);
			reference_gone(cpu, f, old, operation, caller);
			return i + 1;
		}
		if (unlikely(!cpu_take_back_inside(cpu, f, number, (unsigned)order)))
			return i + 1;
	}
	section_leave(cpu);
	return i;
}

void ramka_frame_put_bulk(struct ramka_cpu *cpu, size_t n, struct ramka_frame **frames)
{
	static const char operation[] = "ramka_frame_put_bulk";

	for (size_t i = 0; i < n && i < PREFETCH_AHEAD; i++)
		__builtin_prefetch(frames[i], 1);
	while (n) {
		size_t done = put_many(cpu, n, frames, operation, CALLER);

		if (unlikely(!done)) {
			put_reference(cpu, *frames, true, operation, CALLER);
			done = 1;
		}
		n -= done;
		frames += done;
	}
}

/* Every put_rcu that the open bag does not take at once. `home`: f is a slot of the home zone. */
static noinline int put_rcu_asked(struct ramka_cpu *cpu, struct ramka_frame *f, bool home, uintptr_t caller)
{
	static const char operation[] = "ramka_frame_put_rcu";
	uint64_t old;
	int rc;

	if (unlikely(!cpu->r->has_rcu))
		return RAMKA_E_UNSUPPORTED;
	if (!CONTRACTS && likely(home) && likely(slot_ref(f) == REF_SHARED(1)) &&
	    likely(!(slot_info(f) & (INFO_RESERVED | INFO_WATCHED))) &&
	    likely(defer_last(cpu, f, slot_info(f), &rc)))
		return rc;
	if (!frame_pointer_ok(cpu->r, f, operation) || !cpu_argument_ok(cpu, operation))
		return RAMKA_E_INVAL;
	old = slot_ref(f);
	if (ref_tag(old) == TAG_SATURATED)
		return 0;
	if (!contract_begin(cpu->r, f, STEP_PUT, operation))
		return RAMKA_E_INVAL;
	do {
		if (ref_others(old) >= REF_MAX) {
			contract_abort(cpu->r, f);
			if (at_its_top(old))
				return 0;
			instance_bug(cpu->r, operation, "frame is not shared (put twice?)", f, old);
			return RAMKA_E_INVAL;
		}
	} while (!ramka_cas(&f->ref, &old, (old | REF_MARK) - 1, acq_rel, slot.drop));
	contract_commit(cpu->r, f, STEP_PUT, operation);
	return ref_others(old) ? 0 : end_shared(cpu, f, old | REF_MARK, operation, caller);
}

int ramka_frame_put_rcu(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	uintptr_t n;
	bool home = cpu_home(cpu, f, &n);

	if (!CONTRACTS && likely(home) && likely(defer_hit(cpu, f)))
		return 0;
	return put_rcu_asked(cpu, f, home, CALLER);
}

void ramka_frame_assign(struct ramka_cpu *cpu, struct ramka_frame **dst, struct ramka_frame *src)
{
	struct ramka_frame *old = *dst;

	if (src && !frame_get(cpu->r, src, "ramka_frame_assign"))
		return;
	*dst = src;
	if (old)
		frame_put(cpu, old, "ramka_frame_assign", CALLER);
}

/* Everything but a plain shared frame, which into_raw answers at once. */
static noinline ramka_paddr_t into_raw_asked(struct ramka *r, struct ramka_frame *f)
{
	static const char operation[] = "ramka_frame_into_raw";

	if (!frame_argument_ok(r, f, ACCEPT_SHARED, operation) ||
	    !contract_move(r, f, STEP_INTO_RAW, operation))
		return 0;
	contract_check_address(r, f, slot_paddr(r, f), operation);
	return slot_paddr(r, f);
}

ramka_paddr_t ramka_frame_into_raw(struct ramka *r, struct ramka_frame *f)
{
	uint64_t index;

	if (CONTRACTS || unlikely(!slot_find(r, f, &index)) || unlikely(ref_tag(slot_ref(f)) != TAG_SHARED))
		return into_raw_asked(r, f);
	return paddr_of(r->first + index);
}

/* The forgotten frame at an address, for the public function `operation`; else reports, NULL. */
static noinline struct ramka_frame *from_raw_asked(struct ramka *r, ramka_paddr_t pa, const char *operation)
{
	struct ramka_frame *f = frame_at_address(r, pa, operation);
	uint64_t ref;

	if (!f)
		return NULL;
	ref = slot_ref(f);
	if (ref_others(ref) >= REF_MAX && !at_its_top(ref)) {
		instance_bug(r, operation, "frame is not shared: never forgotten?", f, ref);
		return NULL;
	}
	if (!contract_move(r, f, STEP_FROM_RAW, operation))
		return NULL;
	contract_check_address(r, f, pa, operation);
	return f;
}

/* The same; false where from_raw_asked has to find out: with the mark as well, which is rare. */
static always_inline bool from_raw(struct ramka *r, ramka_paddr_t pa, struct ramka_frame **ret_f)
{
	return !CONTRACTS && likely(instance_solid(r, pa, ret_f)) &&
	       likely(slot_ref(*ret_f) - REF_SHARED(1) < REF_MAX);
}

struct ramka_frame *ramka_frame_from_raw(struct ramka *r, ramka_paddr_t pa)
{
	struct ramka_frame *f;

	return likely(from_raw(r, pa, &f)) ? f : from_raw_asked(r, pa, "ramka_frame_from_raw");
}

static noinline void put_at_asked(struct ramka_cpu *cpu, ramka_paddr_t pa, uintptr_t caller)
{
	static const char operation[] = "ramka_frame_put_at";
	struct ramka_frame *f;

	if (!cpu_argument_ok(cpu, operation)) /* before the ledger moves */
		return;
	f = from_raw_asked(cpu->r, pa, operation);
	if (f)
		frame_put(cpu, f, operation, caller);
}

void ramka_frame_put_at(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	struct ramka_frame *f;

	if (likely(from_raw(cpu->r, pa, &f)))
		put_reference(cpu, f, true, "ramka_frame_put_at", CALLER);
	else
		put_at_asked(cpu, pa, CALLER);
}

struct ramka_frame_ref ramka_frame_borrow(struct ramka *r, const struct ramka_frame *f)
{
	static const char operation[] = "ramka_frame_borrow";
	struct ramka_frame_ref ref = { f };

	if (!frame_argument_ok(r, f, ACCEPT_OWNED, operation) || !contract_move(r, f, STEP_BORROW, operation))
		ref.frame = NULL;
	else
		contract_check_address(r, ref.frame, slot_paddr(r, f), operation);
	return ref;
}

void ramka_frame_unborrow(struct ramka *r, struct ramka_frame_ref ref)
{
	if (CONTRACTS && frame_pointer_ok(r, ref.frame, "ramka_frame_unborrow"))
		contract_move(r, ref.frame, STEP_UNBORROW, "ramka_frame_unborrow");
}

struct ramka_frame *ramka_frame_head(const struct ramka *r, ramka_paddr_t pa)
{
	uint64_t frame = frame_of(pa);

	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++) {
		uint64_t head = align_down(frame, (uint64_t)1 << order);
		struct ramka_frame *f;

		if (instance_slot(r, paddr_of(head), &f)) /* no frame has a hole in it */
			return NULL;
		if (ACCEPT_SEEN >> ref_tag(slot_ref(f)) & 1 && info_order(slot_info(f)) >= order)
			return f;
	}
	return NULL;
}

enum ramka_state ramka_frame_state_at(const struct ramka *r, ramka_paddr_t pa)
{
	struct ramka_frame *f;

	if (instance_slot(r, paddr_of(frame_of(pa)), &f))
		return RAMKA_STATE_HOLE;
	return state_of(r, f, slot_ref(f));
}

struct ramka_frame_ref ramka_frame_at(const struct ramka *r, ramka_paddr_t pa)
{
	struct ramka_frame *f;

	return (struct ramka_frame_ref){ instance_slot(r, pa, &f) ? NULL : f };
}

/* ---- getters ---- */

/* Every slot has an address, even that of a freed frame. */
ramka_paddr_t ramka_frame_paddr(const struct ramka *r, const struct ramka_frame *f)
{
	return frame_pointer_ok(r, f, "ramka_frame_paddr") ? slot_paddr(r, f) : 0;
}

uint64_t ramka_frame_index(const struct ramka *r, const struct ramka_frame *f)
{
	return frame_pointer_ok(r, f, "ramka_frame_index") ? r->first + slot_index(r, f) : 0;
}

unsigned ramka_frame_order(const struct ramka_frame *f)
{
	return info_order(slot_info(f));
}

size_t ramka_frame_size(const struct ramka_frame *f)
{
	return (size_t)RAMKA_PAGE_SIZE << ramka_frame_order(f);
}

unsigned ramka_frame_map_level(const struct ramka_frame *f)
{
	return 1 + ramka_frame_order(f) / BLOCK_ORDER;
}

uint64_t ramka_frame_refcount(const struct ramka_frame *f)
{
	uint64_t ref = slot_ref(f);

	return ref_tag(ref) == TAG_SHARED && !ref_is_dying(ref) ? ref & REF_PAYLOAD : 0;
}

bool ramka_frame_is_sole(const struct ramka_frame *f)
{
	return (ramka_load(&f->ref, acquire, slot.drop) & ~REF_MARK) == REF_SHARED(1);
}

/* The type of a frame that is owned, built, torn down or deferred; else reports and NULL. */
static inline const struct ramka_type *type_of(const struct ramka *r, const struct ramka_frame *f,
					       const char *operation)
{
	if (!frame_argument_ok(r, f, ACCEPT_SEEN, operation))
		return NULL;
	if (!contract_meta_requires(r, f)) {
		instance_bug(r, operation, "requires contract_meta_requires", f, slot_ref(f));
		return NULL;
	}
	return type_by_id(r, info_type(slot_info(f)));
}

const struct ramka_type *ramka_frame_type(const struct ramka *r, const struct ramka_frame *f)
{
	return type_of(r, f, "ramka_frame_type");
}

void *frame_meta(const struct ramka *r, const struct ramka_frame *f, const char *operation)
{
	const struct ramka_type *type = type_of(r, f, operation);

	return type && type->meta_size ? slot_meta(r, f) : NULL;
}

void *ramka_frame_meta(const struct ramka *r, const struct ramka_frame *f)
{
	return frame_meta(r, f, "ramka_frame_meta");
}

void *frame_meta_as(const struct ramka *r, const struct ramka_frame *f, const struct ramka_type *type,
		    const char *operation)
{
	return type_of(r, f, operation) == type && type && type->meta_size ? slot_meta(r, f) : NULL;
}

void *ramka_frame_meta_as(const struct ramka *r, const struct ramka_frame *f, const struct ramka_type *type)
{
	return frame_meta_as(r, f, type, "ramka_frame_meta_as");
}

bool ramka_frame_is_untyped(const struct ramka *r, const struct ramka_frame *f)
{
	const struct ramka_type *type = type_of(r, f, "ramka_frame_is_untyped");

	return type && type->flags & RAMKA_TYPE_UNTYPED;
}

void *ramka_frame_content(const struct ramka *r, const struct ramka_frame *f)
{
	return frame_pointer_ok(r, f, "ramka_frame_content") ? slot_content(r, f) : NULL;
}

/* The bytes [off, off + len) of an untyped frame in one of these states. */
static int content_at(const struct ramka *r, const struct ramka_frame *f, size_t off, size_t len,
		      unsigned accept, const char *operation, uint8_t **ret_bytes)
{
	if (!f || !frame_argument_ok(r, f, accept, operation) || !frame_has_bytes(r, f))
		return RAMKA_E_INVAL;
	if (off > ramka_frame_size(f) || len > ramka_frame_size(f) - off)
		return RAMKA_E_OUT_OF_BOUND;
	if (r->flags & RAMKA_NO_DIRECT_MAP)
		return RAMKA_E_UNSUPPORTED;
	*ret_bytes = (uint8_t *)slot_content(r, f) + off;
	return 0;
}

int ramka_frame_read(const struct ramka *r, const struct ramka_frame *f, size_t off, void *buf, size_t len)
{
	uint8_t *bytes;
	int rc = content_at(r, f, off, len, ACCEPT_READ, "ramka_frame_read", &bytes);

	if (!rc && len)
		memcpy(buf, bytes, len);
	return rc;
}

int ramka_frame_write(const struct ramka *r, struct ramka_frame *f, size_t off, const void *buf, size_t len)
{
	uint8_t *bytes;
	int rc = content_at(r, f, off, len, ACCEPT_OWNED, "ramka_frame_write", &bytes);

	if (!rc && len)
		memcpy(bytes, buf, len);
	return rc;
}
