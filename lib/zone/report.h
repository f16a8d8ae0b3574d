/* SPDX-License-Identifier: MIT */
/* What a base frame is, and reports of programmer errors, which say it. Called by everything above this folder. */
#ifndef RAMKA_LIB_ZONE_REPORT_H
#define RAMKA_LIB_ZONE_REPORT_H

#include "zones.h"

/* Is the slot, whose word says FREE, part of a larger frame? Reads no slot of a hole. */
bool state_is_tail(const struct ramka *r, const struct ramka_frame *f);
/*
 * What the base frame of a slot is, where its word was found to be `ref`: a free one is told apart into hole, tail, cached
 * and free by the map, the heads before it and the bitmap. Cold.
 */
enum ramka_state state_of(const struct ramka *r, const struct ramka_frame *f, uint64_t ref);

/*
 * Reports to cfg.panic, or traps. `ref`: the word that was found wrong. f may be NULL or no slot at all: then it is
 * reported as the argument and no frame is named.
 */
void instance_bug(const struct ramka *r, const char *operation, const char *what, const struct ramka_frame *f, uint64_t ref);
/* The same of an argument that is not called f. */
void instance_bug_of(const struct ramka *r, const char *operation, const char *what, const char *argument,
		     const struct ramka_frame *f, uint64_t ref);
/* The same where the content of a frame is wrong, at this address of it. */
void instance_bug_content(const struct ramka *r, const char *operation, const char *what, const struct ramka_frame *f,
			  uintptr_t address);
/* The same where an address is wrong, which no frame may have. */
void instance_bug_address(const struct ramka *r, const char *operation, const char *what, ramka_paddr_t pa);
/* The same where something else than a frame is wrong; `expected`: what would be right, or 0. */
void instance_bug_argument(const struct ramka *r, const char *operation, const char *what, const char *argument, uint64_t value,
			   uint64_t expected);

#endif
