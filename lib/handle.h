/* SPDX-License-Identifier: MIT */
/* What the kinds of handles share: frame.c provides, unique.c, segment.c and pt.c use. */
#ifndef RAMKA_LIB_HANDLE_H
#define RAMKA_LIB_HANDLE_H

#include "instance.h"

/* Order, flags and `reserved` of a request are legal here. */
bool request_valid(const struct ramka *r, struct ramka_request req);

/* A frame published in state `ref`, REF_SHARED(1) or REF_UNIQUE. */
struct ramka_frame *frame_new(struct ramka_cpu *cpu, const struct ramka_type *type, const void *meta,
			      struct ramka_request req, uint64_t ref, const char *operation);
int frame_from_unused(struct ramka_cpu *cpu, ramka_paddr_t pa, const struct ramka_type *type, const void *meta,
		      uint64_t ref, const char *operation, struct ramka_frame **ret_f);
/* UNUSED or FREE to the caller's: 0 and the flags to keep in info, or an error as ramka_frame_from_unused. */
int frame_claim(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned *ret_flags);
/* A slot of this instance? Else reports. */
bool frame_pointer_ok(const struct ramka *r, const struct ramka_frame *f, const char *operation);

#endif
