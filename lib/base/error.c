/* SPDX-License-Identifier: MIT */
/* Texts of the operating results, from the list in error.h. No state. May use ramka/error.h alone. */
#include <ramka/error.h>

const char *ramka_strerror(int error)
{
	switch (error) {
	case RAMKA_OK:
		return "success";
	case RAMKA_PRESSURE:
		return "accepted, but too many frames are deferred";
#define ERROR_TEXT(name, value, text) \
	case value: \
		return text;
	RAMKA_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
	default:
		return "unknown error";
	}
}
