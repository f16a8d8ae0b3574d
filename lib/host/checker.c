/* SPDX-License-Identifier: MIT */
/*
 * Tells memory checkers which frames are free, so that a use after free is reported where it happens.
 * Which checker is there shows at run time: AddressSanitizer's functions are weak, and valgrind's
 * requests do nothing outside of it.
 *
 * AddressSanitizer knows the stack of the access only. The callers that allocated and freed the frame
 * come from RAMKA_TRACE. valgrind keeps all three stacks itself.
 */
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

#ifdef __has_include
# if __has_include(<valgrind/memcheck.h>)
#  include <valgrind/memcheck.h>
# endif
#endif
#ifndef VALGRIND_MALLOCLIKE_BLOCK
# define VALGRIND_MALLOCLIKE_BLOCK(address, size, redzone, zeroed) ((void)(address), (void)(size))
# define VALGRIND_FREELIKE_BLOCK(address, redzone) ((void)(address))
# define VALGRIND_MAKE_MEM_NOACCESS(address, size) ((void)(address), (void)(size))
# define VALGRIND_MAKE_MEM_DEFINED(address, size) ((void)(address), (void)(size))
#endif

#define WEAK __attribute__((weak))

/* as the sanitizer's own headers declare them, which need not be installed */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void __asan_poison_memory_region(const void *address, size_t size) WEAK;
void __asan_unpoison_memory_region(const void *address, size_t size) WEAK;
void __asan_set_error_report_callback(void (*callback)(const char *report)) WEAK;
void *__asan_get_report_address(void) WEAK;
void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t size) WEAK;
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void *frame_bytes(const struct ramka_host *h, ramka_paddr_t pa)
{
	return (uint8_t *)h->frames.base + ramka_host_offset(h, pa);
}

static void allow(void *address, size_t size)
{
	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(address, size);
}

static void forbid(void *address, size_t size)
{
	if (__asan_poison_memory_region)
		__asan_poison_memory_region(address, size);
}

static void allocated(void *ctx, ramka_paddr_t pa, unsigned order)
{
	struct ramka_host *h = ctx;
	void *bytes = frame_bytes(h, pa);
	size_t size = (size_t)RAMKA_PAGE_SIZE << order;

	allow(bytes, size);
	VALGRIND_MALLOCLIKE_BLOCK(bytes, size, 0, 0);
}

static void freed(void *ctx, ramka_paddr_t pa, unsigned order)
{
	struct ramka_host *h = ctx;
	void *bytes = frame_bytes(h, pa);

	VALGRIND_FREELIKE_BLOCK(bytes, 0);
	forbid(bytes, (size_t)RAMKA_PAGE_SIZE << order);
}

static const struct ramka_watch watch = { allocated, freed };

/* ---- what AddressSanitizer cannot know ---- */

static void print_caller(const char *what, uintptr_t address, unsigned cpu)
{
	char place[256];

	if (!cpu)
		return;
	snprintf(place, sizeof(place), "0x%" PRIxPTR, address);
	if (__sanitizer_symbolize_pc)
		__sanitizer_symbolize_pc((void *)address, "%f %S", place, sizeof(place));
	if (cpu == RAMKA_NO_CPU)
		fprintf(stderr, "  last %s without a CPU, from %s\n", what, place);
	else
		fprintf(stderr, "  last %s on CPU %u, from %s\n", what, cpu - 1, place);
}

static void reported(const char *report)
{
	const void *address = __asan_get_report_address ? __asan_get_report_address() : NULL;
	struct ramka_host *h = host_of_address(address);
	struct ramka_history history;
	ramka_paddr_t pa;

	(void)report;
	if (!h)
		return;
	pa = host_paddr(h, address);
	fprintf(stderr, "ramka: this is in the frame at 0x%" PRIx64 "\n", pa);
	if (!ramka_frame_history(h->r, pa, &history)) {
		fputs("  who allocated and freed it is not known: RAMKA_TRACE is not set\n", stderr);
		return;
	}
	print_caller("allocated", history.allocated_by, history.allocated_on);
	print_caller("freed", history.freed_by, history.freed_on);
}

/* ---- a host ---- */

const struct ramka_watch *host_checker(void)
{
	return &watch;
}

void host_checker_begin(struct ramka_host *h)
{
	if (__asan_set_error_report_callback)
		__asan_set_error_report_callback(reported);
	forbid(h->frames.base, h->frames.size);
	VALGRIND_MAKE_MEM_NOACCESS(h->frames.base, h->frames.size);
}

void host_checker_end(struct ramka_host *h)
{
	if (!h->frames.base)
		return;
	allow(h->frames.base, h->frames.size);
	VALGRIND_MAKE_MEM_DEFINED(h->frames.base, h->frames.size);
}
