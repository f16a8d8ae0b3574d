/* SPDX-License-Identifier: MIT */
/*
 * The four functions that the core needs of its environment. A freestanding compiler calls them by itself, so
 * every kernel has them. <string.h> is not freestanding, so they are declared here. May use nothing.
 */
#ifndef RAMKA_LIB_BASE_MEM_H
#define RAMKA_LIB_BASE_MEM_H

#include <stddef.h>

void *memset(void *to, int byte, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
