/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Operating results. A function that can fail returns 0 or one of these and leaves its `ret_` outputs alone
 * on failure. Programmer errors are no results: they go to `ramka_config.panic`.
 */
#ifndef RAMKA_ERROR_H
#define RAMKA_ERROR_H

#include <ramka/types.h>

RAMKA_BEGIN_DECLS

#define RAMKA_ERRORS(X) \
	X(INVAL, -1, "invalid argument") \
	X(NOMEM, -2, "out of memory") \
	X(IN_USE, -3, "frame is in use") \
	X(UNUSED, -4, "frame is not in use") \
	X(BUSY, -5, "busy: being built, torn down, deferred or cached elsewhere") \
	X(UNIQUE, -6, "frame has a unique owner") \
	X(OUT_OF_BOUND, -7, "address or offset out of bounds") \
	X(NOT_ALIGNED, -8, "address or size not aligned") \
	X(UNSUPPORTED, -9, "not supported by this configuration")

enum ramka_error {
#define RAMKA_ERROR_ENUM(name, value, text) RAMKA_E_##name = (value),
	RAMKA_ERRORS(RAMKA_ERROR_ENUM)
#undef RAMKA_ERROR_ENUM
	RAMKA_OK = 0
};

/** Not an error: accepted, but more frames are deferred than cfg.high_water allows. See rcu.h. */
#define RAMKA_PRESSURE 1

/** Text for a result; never NULL, static storage. Any context, wait-free. */
RAMKA_API const char *ramka_strerror(int error);

RAMKA_END_DECLS

#endif
