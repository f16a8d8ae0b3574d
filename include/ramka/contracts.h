/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The contract build (-Dcontracts=true): what the verified original proves, checked at run time.
 */
#ifndef RAMKA_CONTRACTS_H
#define RAMKA_CONTRACTS_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

/**
 * True if no handle, raw reference, borrow or segment is outstanding, reserved frames apart. Each one that is
 * outstanding is reported to cfg.panic with frame, type and operation. Call it at quiescence. Always true in
 * other builds.
 */
RAMKA_API bool ramka_contracts_clean(const struct ramka *r);

RAMKA_END_DECLS

#endif
