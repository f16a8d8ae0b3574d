/* SPDX-License-Identifier: MIT */
#ifndef STDLIB_H
#define STDLIB_H

#include <stddef.h>

void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *aligned_alloc(size_t align, size_t n);
void free(void *p);
_Noreturn void abort(void);

#endif
