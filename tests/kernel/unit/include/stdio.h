/* SPDX-License-Identifier: MIT */
/* Enough to print, and to read /proc/self/statm. */
#ifndef STDIO_H
#define STDIO_H

#include <stddef.h>

typedef struct stream FILE;

FILE *fopen(const char *path, const char *mode);
int fscanf(FILE *f, const char *format, ...);
int fclose(FILE *f);
__attribute__((format(printf, 1, 2))) int printf(const char *format, ...);
__attribute__((format(printf, 3, 4))) int snprintf(char *s, size_t n, const char *format, ...);

#endif
