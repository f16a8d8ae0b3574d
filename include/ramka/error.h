/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Operating results. A function that can fail returns 0 or one of these and leaves its `ret_` outputs alone
 * on failure. Programmer errors are not results; they go to `ramka_config.panic`.
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
	X(UNSUPPORTED, -9, "not supported by this configuration") \
	X(META_SIZE, -10, "the type's metadata is larger than cfg.meta_size")

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

/**
 * Why a call of set-up refused: the cause behind a code that stands for many causes. Each of these calls has
 * a twin that ends in `_why`, does the same, and fills such a record of the caller's:
 * ramka_metadata_size_why, ramka_init_why, ramka_add_memory_why, ramka_remove_memory_why, ramka_fini_why,
 * ramka_type_register_why, ramka_request_why. On success the record is all zeroes.
 *
 * Only a twin answers RAMKA_E_META_SIZE: the codes of the call without `_why` are part of the interface that
 * programs were written for, and there a type larger than cfg.meta_size is RAMKA_E_INVAL.
 */
struct ramka_why {
	int error;           /**< the code that the call returns */
	const char *what;    /**< the cause, a text for people; static storage; NULL on success */
	/** the argument or the field that is at fault, as it is spelt in C; NULL: none in particular */
	const char *field;
	/** the region or the CPU of that field: its place in the array; RAMKA_NO_INDEX: none */
	uint64_t index;
	uint64_t value;      /**< what was found there; a count for ramka_fini */
	/** the value that would have been accepted, or the other region that it collides with; 0: none */
	uint64_t limit;
	ramka_paddr_t paddr; /**< the first address concerned; 0: none */
	const struct ramka_type *type; /**< type of the frame at `paddr` that is in use; NULL: none */
};
#define RAMKA_NO_INDEX UINT64_MAX

RAMKA_END_DECLS

#endif
