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
 * Audits everything at quiescence. Each frame must be in exactly one place, its state must fit the place,
 * block entries must agree with their bits, hints must hide no free block, and counters must equal a recount.
 * The audit marks slots, so only one may run at a time.
 * @return 0, or the number of defects and the first of them in *ret_first, which may be NULL. Linear in
 * frames.
 */
RAMKA_API int ramka_check(const struct ramka *r, struct ramka_bug *ret_first);

RAMKA_END_DECLS

#endif
