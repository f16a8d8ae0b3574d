/* SPDX-License-Identifier: MIT */
/*
 * Address space for frames and metadata: mapped whole, touched on use only, in huge pages where they are to
 * be had.
 */
#include <sys/mman.h>

#include "internal.h"

#define HUGE ((uint64_t)2 << 20)

bool host_map(struct host_mapping *m, uint64_t size, uint64_t align)
{
	uint64_t all, before;
	char *p;

	if (align < HUGE)
		align = HUGE;
	if (!size || size > SIZE_MAX - align - HUGE)
		return false;
	size = (size + HUGE - 1) & ~(HUGE - 1);
	all = size + align;
	/* NORESERVE: a span of terabytes costs nothing until it is used */
	p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	before = -(uintptr_t)p & (align - 1);
	if (before)
		munmap(p, before);
	if (align - before)
		munmap(p + before + size, align - before);
	m->base = p + before;
	m->size = size;
	madvise(m->base, size, MADV_HUGEPAGE); /* a wish: refused where the kernel has none */
	return true;
}

void host_unmap(struct host_mapping *m)
{
	if (m->base)
		munmap(m->base, m->size);
	m->base = NULL;
}
