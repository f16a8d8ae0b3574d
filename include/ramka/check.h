/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The full audit.
 */
#ifndef RAMKA_CHECK_H
#define RAMKA_CHECK_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

/**
 * Audits everything at quiescence: each frame in exactly one place, states that fit the place, block words equal to
 * their bits, hints that hide nothing, counters equal to a recount. Uses a mark in the slots, so one at a time.
 * @return 0, or the number of defects, and the first of them in *ret_first (may be NULL). O(frames).
 */
RAMKA_API int ramka_check(const struct ramka *r, struct ramka_bug *ret_first);

RAMKA_END_DECLS

#endif
