/* SPDX-License-Identifier: MIT */
/* The four functions of the C library that ramka calls, and some of the kernel's own. See string.c. */
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void *memset(void *dst, int c, size_t n);
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);

size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
char *strstr(const char *s, const char *part);
int strncmp(const char *a, const char *b, size_t n);

#endif
