/* SPDX-License-Identifier: MIT */
/*
 * Arguments of the public functions. Each function that takes a frame, an owner's handle, a type, a list or a
 * cursor checks it here once, before it changes anything. Is the pointer a slot, and is its state one that
 * the function accepts? A refusal is reported by the name of the public function, out of line. May use
 * zone/report.h and cpu/state.h.
 *
 *   ACCEPT_SHARED   there are references: SHARED, SATURATED
 *   ACCEPT_OWNED    it has an owner: the same, or UNIQUE
 *   ACCEPT_READ     its content stays for a while: the same, or DEFERRED, since readers may look at it
 *   ACCEPT_SEEN     it has metadata: the same, or BUSY, since on_drop and the builder of a segment look too
 *
 * SHARED(0), between the decrement that decides and the store that follows, passes for SHARED; only a call
 * that races with the last put meets it. The slots of holes are never written, and no call gives out a
 * pointer to one. Such a slot reads as FREE if the metadata memory was zeroed, else as what that memory held.
 */
#ifndef RAMKA_LIB_FRAME_ARGUMENT_H
#define RAMKA_LIB_FRAME_ARGUMENT_H

#include "../cpu/state.h"
#include "../zone/report.h"

#define ACCEPT_SHARED (1u << TAG_SHARED | 1u << TAG_SATURATED)
#define ACCEPT_OWNED (ACCEPT_SHARED | 1u << TAG_UNIQUE)
#define ACCEPT_READ (ACCEPT_OWNED | 1u << TAG_DEFERRED)
#define ACCEPT_SEEN (ACCEPT_READ | 1u << TAG_BUSY)

/* Reports that f is no slot of this instance. False. */
bool frame_pointer_bad(const struct ramka *r, const struct ramka_frame *f, const char *operation);
/* Reports that f is no slot, or its state. False. */
bool frame_argument_bad(const struct ramka *r, const struct ramka_frame *f, unsigned accept,
			const char *operation);
/* Reports that u is no slot, not unique, or in a list. False. */
bool unique_argument_bad(const struct ramka *r, const struct ramka_frame *f, const char *operation);
/* Reports that the type is NULL, not registered, or one that only the library makes. NULL. */
const struct type_entry *type_argument_bad(const struct ramka *r, const struct ramka_type *type,
					   const char *operation);

/* Asks cfg.this_cpu whether the handle is the caller's. Else reports; false. */
bool cpu_argument_asked(const struct ramka_cpu *cpu, const char *operation);

static inline bool cpu_argument_ok(const struct ramka_cpu *cpu, const char *operation)
{
	return likely(!cpu->r->this_cpu) || cpu_argument_asked(cpu, operation);
}

/* The slot at an address. Else reports; NULL. */
struct ramka_frame *frame_at_address(const struct ramka *r, ramka_paddr_t pa, const char *operation);

/* May the frame's content be read and written through the library? */
static inline bool frame_has_bytes(const struct ramka *r, const struct ramka_frame *f)
{
	const struct ramka_type *type = type_by_id(r, info_type(slot_info(f)));

	return type && type->flags & RAMKA_TYPE_UNTYPED;
}

/* A slot of this instance? Else reports. */
static inline bool frame_pointer_ok(const struct ramka *r, const struct ramka_frame *f, const char *operation)
{
	return likely(slot_valid(r, f)) || frame_pointer_bad(r, f, operation);
}

/* A slot in one of these states? Else reports. */
static inline bool frame_argument_ok(const struct ramka *r, const struct ramka_frame *f, unsigned accept,
				     const char *operation)
{
	return (likely(slot_valid(r, f)) && likely(accept >> ref_tag(slot_ref(f)) & 1)) ||
	       frame_argument_bad(r, f, accept, operation);
}

/* A unique frame, in no list unless that is allowed? Else reports. */
static inline bool unique_argument_ok(const struct ramka *r, const struct ramka_unique *u, bool may_be_listed,
				      const char *operation)
{
	const struct ramka_frame *f = slot_of(u);

	return (likely(slot_valid(r, f)) && likely(slot_ref(f) == REF_UNIQUE) &&
		likely(may_be_listed || !info_list(slot_info(f)))) ||
	       unique_argument_bad(r, f, operation);
}

/*
 * The entry of a type that an embedder may give to frames: a registered one, or ramka_type_untyped.
 * Page-table nodes come from ramka_pt_alloc, since they need their metadata, and reserved frames from the
 * memory map. Else reports; NULL.
 */
static inline const struct type_entry *type_argument(const struct ramka *r, const struct ramka_type *type,
						     const char *operation)
{
	const struct type_entry *e = type_entry(r, type);

	return likely(e) && likely(type->id >= RAMKA_TYPE_ID_USER || type == &ramka_type_untyped) ?
	       e : type_argument_bad(r, type, operation);
}

#endif
