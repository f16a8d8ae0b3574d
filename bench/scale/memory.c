/* SPDX-License-Identifier: MIT */
/*
 * Memory for what is simulated: at fixed addresses, so that the same lines meet in the same places of the caches in
 * each run, and with a struct line for each 64 bytes of it.
 */
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA	 (UINT64_C(1) << 44)
#define OWN	 (UINT64_C(1) << 45)
#define SIZE	 (UINT64_C(1) << 36)
#define OWN_SIZE (UINT64_C(1) << 34)
#define HUGE	 (UINT64_C(2) << 20)
#define PIECES	 (UINT64_C(1) << 20) /* bytes */

struct window windows[WINDOWS] = {
	{ .base = ARENA, .size = SIZE },
	{ .base = OWN, .size = OWN_SIZE, .own = true },
	{ .own = true },
};

extern char __executable_start, end; /* of the linker */

static uint64_t used[2];
static char *piece, *pieces_end;

static void *map(uint64_t at, uint64_t size)
{
	void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);

	if (p == MAP_FAILED || (at && p != (void *)at)) {
		fprintf(stderr, "scale: cannot map %llu GiB: %s\n", (unsigned long long)(size >> 30),
			strerror(errno));
		exit(1);
	}
	return p;
}

static void start(void)
{
	uint64_t first = (uintptr_t)&__executable_start & ~(uint64_t)(LINE - 1);

	windows[2].base = first;
	windows[2].size = (uintptr_t)&end - first + LINE;
	for (unsigned i = 0; i < WINDOWS; i++) {
		windows[i].lines = map(0, windows[i].size / LINE * sizeof(struct line));
		if (i < 2)
			map(windows[i].base, windows[i].size);
	}
}

void *machine_memory(size_t bytes, bool own)
{
	uint64_t size = (bytes + HUGE - 1) / HUGE * HUGE, at;

	if (!windows[0].lines)
		start();
	at = used[own];
	if (size > windows[own].size - at) {
		fprintf(stderr, "scale: no room for %zu bytes\n", bytes);
		exit(1);
	}
	used[own] += size;
	return (void *)(windows[own].base + at);
}

void *machine_piece(size_t bytes, size_t align)
{
	uintptr_t at = ((uintptr_t)piece + align - 1) / align * align;

	if (bytes > PIECES / 2)
		return machine_memory(bytes, false);
	if (!piece || at + bytes > (uintptr_t)pieces_end) {
		piece = machine_memory(PIECES, false);
		pieces_end = piece + PIECES;
		at = (uintptr_t)piece;
	}
	piece = (char *)at + bytes;
	return (void *)at;
}
