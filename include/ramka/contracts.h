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
 * No handle, raw reference, borrow or segment is outstanding (reserved frames apart); those that are, are
 * reported to cfg.panic with frame, type and operation. Always true in other builds. At quiescence.
 */
RAMKA_API bool ramka_contracts_clean(const struct ramka *r);

RAMKA_END_DECLS

#endif
