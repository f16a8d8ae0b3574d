/* SPDX-License-Identifier: MIT */
/*
 * The contract build (-DRAMKA_CONTRACTS): a shadow record per slot that says who holds what, and the
 * specification of the verified original as named predicates over a slot and its shadow. May use argument.h.
 * The operations of this folder call it; without the build every hook is an empty inline function.
 *
 * An operation brackets its one change of the state word:
 *     if (!contract_begin(r, f, STEP, operation)) return ...;   takes the shadow lock, checks `requires`
 *     ... the atomic operation ...
 *     contract_commit(r, f, STEP, operation);                   moves the ledger, checks `ensures` and the
 *                                                               invariant, unlocks
 *     contract_abort(r, f);                                     nothing happened: unlocks
 * Since every change of a count is inside the lock, old and new are exact under concurrency. A violation goes
 * to cfg.panic after the unlock. States of the lock: 0 free, 1 taken; pair contract.lock. A handler must not
 * touch the very frame that it interrupted an operation on: in this build it would never get the lock.
 *
 * No step takes a count below zero, even if its predicate holds. Once a frame is SATURATED it is never freed,
 * and its ledger stands still.
 */
#ifndef RAMKA_LIB_FRAME_CONTRACTS_H
#define RAMKA_LIB_FRAME_CONTRACTS_H

#include "../zone/report.h"

/* Who holds references to a frame. */
struct ledger {
	uint32_t handles; /* H: shared handles */
	uint32_t raw;     /* F: forgotten by into_raw, also those in page-table entries */
	uint32_t covers;  /* C: segments over it */
	uint32_t borrows; /* B: count nothing, must end before the last reference goes */
	uint32_t unique;  /* U: its one owner's handle */
	uint32_t listed;  /* L: its list */
};

/* A slot with its shadow, copied under the lock. */
struct contract_view {
	uint64_t ref, info;
	struct ledger who;
	uint32_t generation;
};

struct shadow {
	struct ramka_atomic_u32 lock;
	uint32_t generation;   /* how many lives the slot has had */
	struct ledger who;
	const char *operation; /* that moved the ledger last */
	struct contract_view old; /* what `begin` saw */
};

#define CONTRACT_BAD_META "metadata is no valid value of its type"

enum contract_step {
	STEP_ALLOC, STEP_ALLOC_UNIQUE, STEP_ALLOC_COVER, /* a frame is published */
	STEP_LOOKUP, STEP_GET, STEP_PUT,                 /* H + 1, H + 1, H - 1 */
	STEP_INTO_RAW, STEP_FROM_RAW, STEP_UNIQUE_INTO_RAW, STEP_UNIQUE_FROM_RAW,
	STEP_BORROW, STEP_UNBORROW,
	/* keep: the owner stays */
	STEP_SHARE, STEP_TRY_UNIQUE, STEP_UNIQUE_FREE, STEP_KEEP, STEP_SPLIT, STEP_JOIN,
	STEP_LIST, STEP_UNLIST,
	STEP_COVER, STEP_UNCOVER, STEP_FORGET, STEP_RESTORE, /* a segment's frames */
	STEP_RELEASE,                                    /* back to the allocator: no holder of any kind */
	NR_STEPS
};

#ifdef RAMKA_CONTRACTS
# define CONTRACTS 1

bool contract_begin(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
		    const char *operation);
void contract_commit(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
		     const char *operation);
void contract_abort(const struct ramka *r, const struct ramka_frame *f);
/* Begin and commit: a change of the ledger alone. False: refused and reported. */
bool contract_move(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
		   const char *operation);
/* Is the metadata a value of its type, by the type's own check? Asked at alloc, drop and repurpose. */
bool contract_check_meta(const struct ramka *r, const struct ramka_frame *f);
/* Reports where a call answers with a frame and an address that do not belong together. */
void contract_check_address(const struct ramka *r, const struct ramka_frame *f, ramka_paddr_t pa,
			    const char *operation);

static inline size_t contracts_bytes(void)
{
	return sizeof(struct shadow);
}

/* ---- the predicates, one per function of the original's specification; docs/contracts.md ---- */

bool contract_wf(const struct ramka *r, const struct ramka_frame *f);
bool contract_inv(const struct contract_view *v);
bool contract_from_unused_requires(const struct contract_view *v);
bool contract_from_unused_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_from_in_use_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_from_raw_requires(const struct contract_view *v);
bool contract_from_raw_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_into_raw_requires(const struct contract_view *v);
bool contract_into_raw_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_constructor_requires(const struct contract_view *v);
bool contract_constructor_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_clone_requires(const struct contract_view *v);
bool contract_clone_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_drop_requires(const struct contract_view *v);
bool contract_drop_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_try_unique_requires(const struct contract_view *v);
bool contract_try_unique_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_share_ensures(const struct contract_view *old, const struct contract_view *v);
bool contract_unique_owned(const struct contract_view *v);
bool contract_release_requires(const struct contract_view *v);
/* About what a getter reads: the frame has metadata, which is that of a page-table node. */
bool contract_meta_requires(const struct ramka *r, const struct ramka_frame *f);
bool contract_meta_pt_requires(const struct ramka *r, const struct ramka_frame *f);
/*
 * About results, which no view shows: the frame has this type and this metadata (NULL: zeroes); the address
 * is this frame's.
 */
bool contract_stored_ensures(const struct ramka *r, const struct ramka_frame *f,
			     const struct ramka_type *type, const void *meta);
bool contract_address_ensures(const struct ramka *r, const struct ramka_frame *f, ramka_paddr_t pa);
/* What a step asks before, and promises after. */
bool contract_step_requires(enum contract_step step, const struct contract_view *v);
bool contract_step_ensures(enum contract_step step, const struct contract_view *old,
			   const struct contract_view *v);
struct contract_view contract_view_of(const struct ramka *r, const struct ramka_frame *f);

#else
# define CONTRACTS 0

static inline bool contract_begin(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
				  const char *operation)
{
	(void)r, (void)f, (void)step, (void)operation;
	return true;
}

static inline void contract_commit(const struct ramka *r, const struct ramka_frame *f,
				   enum contract_step step, const char *operation)
{
	(void)r, (void)f, (void)step, (void)operation;
}

static inline void contract_abort(const struct ramka *r, const struct ramka_frame *f)
{
	(void)r, (void)f;
}

static inline bool contract_move(const struct ramka *r, const struct ramka_frame *f, enum contract_step step,
				 const char *operation)
{
	(void)r, (void)f, (void)step, (void)operation;
	return true;
}

static inline bool contract_check_meta(const struct ramka *r, const struct ramka_frame *f)
{
	(void)r, (void)f;
	return true;
}

static inline bool contract_stored_ensures(const struct ramka *r, const struct ramka_frame *f,
					   const struct ramka_type *type, const void *meta)
{
	(void)r, (void)f, (void)type, (void)meta;
	return true;
}

static inline void contract_check_address(const struct ramka *r, const struct ramka_frame *f,
					  ramka_paddr_t pa, const char *operation)
{
	(void)r, (void)f, (void)pa, (void)operation;
}

static inline bool contract_meta_requires(const struct ramka *r, const struct ramka_frame *f)
{
	(void)r, (void)f;
	return true;
}

static inline bool contract_meta_pt_requires(const struct ramka *r, const struct ramka_frame *f)
{
	(void)r, (void)f;
	return true;
}

static inline size_t contracts_bytes(void)
{
	return 0;
}

#endif

#endif
