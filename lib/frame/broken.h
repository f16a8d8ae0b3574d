/* SPDX-License-Identifier: MIT */
/*
 * Broken base frames: what becomes of them. May use argument.h.
 *
 * A broken frame that is free leaves the allocator by a claim of its address, and stays a reserved frame of
 * ramka_type_unusable. One in use gets a flag, INFO_BAD, in the info of its own slot. If it is a tail, the
 * head gets INFO_TAINTED too. A frame with one of these is no plain frame, so every way by which frames are
 * freed comes here with it. No hot path asks for the flags alone.
 *
 *   sets the flag (any CPU)                    ends the frame (its owner)
 *   --------------------------------------     ------------------------------------------------------
 *   slot: INFO_BAD; head: INFO_TAINTED         in a section: reads info, then the state becomes FREE
 *   stops every CPU                            without one: the state becomes FREE or BUSY, then reads
 *   looks: still in use, and flagged? done       info by a read-modify-write (slot_last_info)
 *   else from the start                        flagged: takes the frame apart, frees what is not broken
 *
 * In a section: a CPU that was stopped after the flag was set has ended such a section, and then the frame is
 * seen to be free, or will begin it, and then it sees the flag. Without a section: the two
 * read-modify-writes of info have an order. If the owner's comes first, the other one acquires what is before
 * it, and sees a state that is not in use. A state that is BUSY or SHARED(0) is looked at again. A flag that
 * an allocation overwrites was set on a free frame: the look after it finds the frame in use without it. So
 * do splitting, joining and a new type, which make the frame BUSY, or its parts FREE, before they read info.
 *
 * Pairs: slot.broken, section.leave and section.revoke (stopping), slot.publish.
 */
#ifndef RAMKA_LIB_FRAME_BROKEN_H
#define RAMKA_LIB_FRAME_BROKEN_H

#include "../cpu/state.h"

/* Of a part of 2^order frames, the flags of its slot as far as they say that something is broken. */
uint64_t broken_flags(const struct ramka_frame *f, unsigned order);
/* The caller's frame, of which a part is broken: that stays away, and the rest is freed. */
void broken_take_apart(struct ramka_cpu *cpu, struct ramka_frame *f, unsigned order, const char *operation);
/* The same for a base frame that would go back to UNUSED; its word says BUSY. */
void broken_unused(struct ramka *r, struct ramka_frame *f);

#endif
