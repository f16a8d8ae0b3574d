/* SPDX-License-Identifier: MIT */
/*
 * Address space for frames and metadata: mapped whole, touched on use only, in huge pages where there are
 * any.
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

bool host_map_file(struct host_mapping *m, uint64_t size, uint64_t align, int fd, uint64_t offset)
{
	if (!host_map(m, size, align))
		return false;
	/* the end of the last 2 MiB stays memory of ours, which is part of the mapping and in no frame */
	if (mmap(m->base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) ==
	    MAP_FAILED) {
		host_unmap(m);
		return false;
	}
	/* a child has a copy of the metadata and would hand out frames that the parent has in use */
	madvise(m->base, size, MADV_DONTFORK);
	return true;
}

void host_unmap(struct host_mapping *m)
{
	if (m->base && !m->callers)
		munmap(m->base, m->size);
	m->base = NULL;
}
