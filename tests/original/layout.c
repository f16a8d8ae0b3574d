/* SPDX-License-Identifier: MIT */
/*
 * check_frame_meta_layout! of the original is an assertion of the compiler's; so is its counterpart. tests/original/run compiles
 * this as it stands, which must succeed, and with -DMETA="struct large" or "struct strict", which must not.
 */
#include <ramka/ramka.h>

struct fits { RAMKA_ALIGNAS(16) unsigned char bytes[240]; };
struct large { unsigned char bytes[241]; };
struct strict { RAMKA_ALIGNAS(32) unsigned char byte; };

#ifndef META
# define META struct fits
#endif

static RAMKA_DEFINE_TYPE(layout, META, .id = RAMKA_TYPE_ID_USER);

int main(void)
{
	return layout.meta_size == sizeof(META) && layout.meta_align == RAMKA_ALIGNOF(META) ? 0 : 1;
}
