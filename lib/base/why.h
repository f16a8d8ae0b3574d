/* SPDX-License-Identifier: MIT */
/*
 * Reasons: each refusal of a set-up call says its cause in one place. The plain call ignores it; the `_why`
 * twin returns it. No state. May use ramka/error.h alone.
 */
#ifndef RAMKA_LIB_BASE_WHY_H
#define RAMKA_LIB_BASE_WHY_H

#include <ramka/error.h>

/* Notes the cause and returns the code. `paddr` and `type` stay as they are. */
static inline int refuse(struct ramka_why *why, int error, const char *what, const char *field,
			 uint64_t index, uint64_t value, uint64_t limit)
{
	why->error = error;
	why->what = what;
	why->field = field;
	why->index = index;
	why->value = value;
	why->limit = limit;
	return error;
}

/* A cause that an argument's name says in full. */
static inline int refuse_plain(struct ramka_why *why, int error, const char *what, const char *field)
{
	return refuse(why, error, what, field, RAMKA_NO_INDEX, 0, 0);
}

#endif
