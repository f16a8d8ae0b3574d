/* SPDX-License-Identifier: MIT */
/*
 * The smallest kernel that links: four memory functions, a memory map, one frame. It is not run; that it links with
 * -nostdlib shows that the core needs nothing else. examples/kernel is the one that boots.
 */
#include <ramka/ramka.h>

void *memset(void *s, int c, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void _start(void);

void *memset(void *s, int c, size_t n)
{
	for (unsigned char *p = s; n; n--)
		*p++ = (unsigned char)c;
	return s;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	return memmove(to, from, n);
}

void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if ((uintptr_t)t <= (uintptr_t)f)
		for (size_t i = 0; i < n; i++)
			t[i] = f[i];
	else
		while (n--)
			t[n] = f[n];
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

static RAMKA_ALIGNAS(64) unsigned char metadata[1 << 20];

void _start(void)
{
	static const struct ramka_region memory = { .base = 16 << 20, .size = 16 << 20, .kind = RAMKA_USABLE };
	const struct ramka_config cfg = { .regions = &memory, .nr_regions = 1, .nr_cpus = 1 };
	const struct ramka_request any = { 0 };
	struct ramka *r;

	if (!ramka_init(&cfg, metadata, sizeof(metadata), &r))
		ramka_frame_put(ramka_cpu_at(r, 0),
				ramka_frame_alloc(ramka_cpu_at(r, 0), &ramka_type_untyped, NULL, any));
	for (;;)
		;
}
