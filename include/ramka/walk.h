/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A walk over all frames, for tools and debuggers.
 */
#ifndef RAMKA_WALK_H
#define RAMKA_WALK_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

/** Consecutive base frames of one state, type, order and node. */
struct ramka_run {
	ramka_paddr_t base;
	uint64_t frames;
	enum ramka_state state;
	const struct ramka_type *type; /**< NULL where there is none */
	unsigned order, node;
};

/**
 * Calls `visit` for every run of the span in address order until it returns false. A frame of order n is one
 * base frame of its state and 2^n - 1 of state TAIL. Exact at quiescence, a snapshot otherwise. Any context.
 */
RAMKA_API void ramka_walk(const struct ramka *r, bool (*visit)(void *ctx, const struct ramka_run *run),
			  void *ctx);

/**
 * The same for the base frames of [base, base + size), as far as they are in the span: what is still in use
 * in memory that is isolated (memory.h). Runs are cut at the ends of the range.
 */
RAMKA_API void ramka_walk_range(const struct ramka *r, ramka_paddr_t base, uint64_t size,
				bool (*visit)(void *ctx, const struct ramka_run *run), void *ctx);

/**
 * Who allocated the base frame at `pa` last and who freed it. False: the instance has no RAMKA_TRACE, there
 * is no frame, or ret is NULL. What is noted while the call runs may be seen by half. Any context, wait-free.
 */
RAMKA_API bool ramka_frame_history(const struct ramka *r, ramka_paddr_t pa, struct ramka_history *ret);

RAMKA_END_DECLS

#endif
