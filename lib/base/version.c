/* SPDX-License-Identifier: MIT */
/* Version of the library linked, which may differ from that of the headers. No state. May use nothing. */
#include <ramka/version.h>

const char *ramka_version(void)
{
	return RAMKA_VERSION;
}
