/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Version of the headers and of the library linked.
 */
#ifndef RAMKA_VERSION_H
#define RAMKA_VERSION_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

#define RAMKA_VERSION_MAJOR 0
#define RAMKA_VERSION_MINOR 2
#define RAMKA_VERSION_PATCH 0
#define RAMKA_VERSION "0.2.0"

/** Version of the library linked, "major.minor.patch". Any context. */
RAMKA_API const char *ramka_version(void);

RAMKA_END_DECLS

#endif
