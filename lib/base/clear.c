/* SPDX-License-Identifier: MIT */
/* Clearing the content of a frame. See clear.h. */
#include <ramka/ramka.h>

#include "bits.h"
#include "clear.h"
#include "mem.h"

/* What is written in assembly is out of sight for these two. */
#if defined(__SANITIZE_THREAD__)
# define BY_MEMSET
#elif defined(__has_feature)
# if __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#  define BY_MEMSET
# endif
#endif

/* False, and nothing done: the machine has no such way. */
#if defined(__x86_64__) && !defined(BY_MEMSET)
static bool clear_past_caches(char *at, size_t size)
{
	for (const char *end = at + size; at < end; at += 64)
		__asm__ volatile("movnti %1, (%0)\n\tmovnti %1, 8(%0)\n\t"
				 "movnti %1, 16(%0)\n\tmovnti %1, 24(%0)\n\t"
				 "movnti %1, 32(%0)\n\tmovnti %1, 40(%0)\n\t"
				 "movnti %1, 48(%0)\n\tmovnti %1, 56(%0)"
				 :
				 : "r"(at), "r"(UINT64_C(0))
				 : "memory");
	__asm__ volatile("sfence" ::: "memory"); /* a release store orders ordinary stores only */
	return true;
}
#elif defined(__aarch64__) && !defined(BY_MEMSET)
static bool clear_past_caches(char *at, size_t size)
{
	uint64_t id;

	__asm__("mrs %0, dczid_el0" : "=r"(id));
	if (id & 16) /* forbidden here */
		return false;
	for (const char *end = at + size; at < end; at += (size_t)4 << (id & 15))
		__asm__ volatile("dc zva, %0" : : "r"(at) : "memory");
	return true;
}
#else
static bool clear_past_caches(char *at, size_t size)
{
	(void)at;
	(void)size;
	return false;
}
#endif

void clear_content(void *content, unsigned order)
{
	size_t size = (size_t)RAMKA_PAGE_SIZE << order;

	if (order < BLOCK_ORDER || !clear_past_caches(content, size))
		memset(content, 0, size);
}
