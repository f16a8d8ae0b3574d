/* SPDX-License-Identifier: MIT */
/* Enough to see whether anything was allocated in between. */
#ifndef MALLOC_H
#define MALLOC_H

#include <stddef.h>

struct mallinfo2 {
	size_t uordblks;         /* allocations that are in use: a number of them, not of bytes */
	size_t hblkhd;           /* mappings */
};

struct mallinfo2 mallinfo2(void);

#endif
