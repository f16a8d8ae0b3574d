/* SPDX-License-Identifier: MIT */
/*
 * Clearing the content of a frame. No state. May use bits.h, mem.h.
 *
 * A small frame is mostly used at once, so memset leaves its zeroes in the caches. A frame of order 9 or
 * above is as large as they are: its zeroes go past them where the machine can do that with general
 * registers, which a kernel may use anywhere. That takes two thirds of the time, since no line is fetched
 * before it is overwritten, and what the caller has in the caches stays there.
 */
#ifndef RAMKA_LIB_BASE_CLEAR_H
#define RAMKA_LIB_BASE_CLEAR_H

#include "names.h"

/* Fills 2^order base frames from `content` on, aligned to their size, with zeroes. */
void clear_content(void *content, unsigned order);

#endif
