/* SPDX-License-Identifier: MIT */
/*
 * memset, memcpy, memmove and memcmp: the whole of the C library that ramka calls, and that the compiler may
 * call by itself. Words where both ends allow it, since a frame is zeroed with memset and emulators are slow.
 */
#include "kernel.h"

#define WORD sizeof(uint64_t)

typedef uint64_t __attribute__((may_alias)) word_t;

static bool aligned(const void *a, const void *b)
{
	return (((uintptr_t)a | (uintptr_t)b) % WORD) == 0;
}

void *memset(void *dst, int c, size_t n)
{
	unsigned char *d = dst;

	if (aligned(d, d)) {
		uint64_t word = (unsigned char)c * 0x0101010101010101u;

		for (; n >= 4 * WORD; n -= 4 * WORD, d += 4 * WORD) {
			((word_t *)d)[0] = word;
			((word_t *)d)[1] = word;
			((word_t *)d)[2] = word;
			((word_t *)d)[3] = word;
		}
	}
	while (n--)
		*d++ = (unsigned char)c;
	return dst;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	if (aligned(d, s)) {
		for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
			*(word_t *)d = *(const word_t *)s;
	}
	while (n--)
		*d++ = *s++;
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	if (d <= s || d >= s + n) {
		while (n--)
			*d++ = *s++;
	} else {
		while (n--)
			d[n] = s[n];
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n >= WORD; n -= WORD, x += WORD, y += WORD) {
		uint64_t v, w;

		__builtin_memcpy(&v, x, WORD);   /* a load, however it is aligned */
		__builtin_memcpy(&w, y, WORD);
		if (v != w)
			break;
	}
	for (; n--; x++, y++) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

char *strstr(const char *s, const char *part)
{
	size_t n = strlen(part);

	for (; *s; s++) {
		if (!strncmp(s, part, n))
			return (char *)s;
	}
	return n ? NULL : (char *)s;
}

int strncmp(const char *a, const char *b, size_t n)
{
	while (n && *a && *a == *b)
		a++, b++, n--;
	return n ? (unsigned char)*a - (unsigned char)*b : 0;
}
