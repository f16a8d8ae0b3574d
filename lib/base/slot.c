/* SPDX-License-Identifier: MIT */
/* Decoding a state word for reports, walk and audit. See slot.h. */
#include "slot.h"

/* What the word alone says; FREE may still be a tail, cached or a hole. */
enum ramka_state slot_state(uint64_t ref, uint64_t info)
{
	switch ((enum ref_tag)ref_tag(ref)) {
	case TAG_FREE:
		return RAMKA_STATE_FREE;
	case TAG_UNUSED:
		return RAMKA_STATE_UNUSED;
	case TAG_UNIQUE:
		return RAMKA_STATE_UNIQUE;
	case TAG_SHARED:
		return info & INFO_RESERVED ? RAMKA_STATE_RESERVED : RAMKA_STATE_SHARED;
	case TAG_DEFERRED:
		return RAMKA_STATE_DEFERRED;
	case TAG_SATURATED:
		return RAMKA_STATE_SATURATED;
	case TAG_BUSY:
	case TAG_NONE:
		break;
	}
	return RAMKA_STATE_BUSY;
}
