/* SPDX-License-Identifier: MIT */
/*
 * The state of a base frame, and reports of programmer errors, which name it. It reads slots, map and bitmap,
 * and writes nothing. May use zones.h.
 */
#ifndef RAMKA_LIB_ZONE_REPORT_H
#define RAMKA_LIB_ZONE_REPORT_H

#include "zones.h"

/* Is the slot, whose word says FREE, part of a larger frame? Reads no slot of a hole. */
bool state_is_tail(const struct ramka *r, const struct ramka_frame *f);
/*
 * The state of a base frame whose state word was `ref`. For a FREE word the map, the heads before it and the
 * bitmap decide whether it is a hole, a tail, cached or free. Slow.
 */
enum ramka_state state_of(const struct ramka *r, const struct ramka_frame *f, uint64_t ref);

/*
 * Reports to cfg.panic, or traps. `ref`: the wrong state word. If f is NULL or no slot, the report names it
 * as the argument, and no frame.
 */
void instance_bug(const struct ramka *r, const char *operation, const char *what, const struct ramka_frame *f,
		  uint64_t ref);
/* The same for an argument that is not called f. */
void instance_bug_of(const struct ramka *r, const char *operation, const char *what, const char *argument,
		     const struct ramka_frame *f, uint64_t ref);
/* The same where the content of a frame is wrong, at this address of it. */
void instance_bug_content(const struct ramka *r, const char *operation, const char *what,
			  const struct ramka_frame *f, uintptr_t address);
/* The same for an address, which may have no frame. */
void instance_bug_address(const struct ramka *r, const char *operation, const char *what, ramka_paddr_t pa);
/* The same for an argument that is no frame; `expected`: the right value, or 0. */
void instance_bug_argument(const struct ramka *r, const char *operation, const char *what,
			   const char *argument, uint64_t value, uint64_t expected);

#endif
