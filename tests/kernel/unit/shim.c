/* SPDX-License-Identifier: MIT */
/*
 * The host's unit tests inside the example kernel, the same files: tests/unit/test_*.c with the headers of
 * include/ in place of cmocka's and the C library's. Memory comes from vm.c, so from page faults that
 * allocate frames of the kernel's own instance, while timer interrupts allocate and free on it, too.
 *
 * UNIT_LIST is the list of the files, as X(name) for test_name.c; each is compiled with its main() renamed to
 * unit_<name>(). UNIT_HOST_ONLY names those that are left out.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
	void *state;
};

static const char *current_group = "", *current_test = "";
static jmp_buf skipped;
static unsigned ran, skips;
static size_t allocated, mapped;         /* what malloc and mmap gave and did not get back */

/* ---- cmocka ---- */

_Noreturn void unit_skip(void)
{
	longjmp(skipped, 1);
}

_Noreturn void unit_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	print("unit test %s: %s, %s:%d\n", current_group, current_test, file, line);
	va_start(args, format);
	fail_args(format, args);
}

int unit_run(const char *group, const struct CMUnitTest *tests, size_t n, int (*setup)(void **state),
	     int (*teardown)(void **state))
{
	void *shared = NULL;

	current_group = group;
	current_test = "setup of the group";
	if (setup && setup(&shared))
		fail("unit test %s: setup", group);
	for (size_t i = 0; i < n; i++) {
		const struct CMUnitTest *t = &tests[i];
		void *state = t->state ? t->state : shared;

		current_test = t->name;
		if (t->setup && t->setup(&state))
			fail("unit test %s: setup of %s", group, t->name);
		if (setjmp(skipped)) {
			skips++;
			vm_release_all();        /* what the test had reserved by then */
			print("  %s: %s: skipped\n", group, t->name);
		} else {
			t->test(&state);
			ran++;
		}
		if (t->teardown && t->teardown(&state))
			fail("unit test %s: teardown of %s", group, t->name);
	}
	if (teardown && teardown(&shared))
		fail("unit test %s: teardown", group);
	print("  %s: %lu tests\n", group, n);
	return 0;
}

/* ---- the C library ---- */

void *mmap(void *addr, size_t n, int prot, int flags, int fd, long offset)
{
	void *p = vm_reserve(n);

	(void)addr, (void)prot, (void)flags, (void)fd, (void)offset;
	if (!p)
		return MAP_FAILED;
	mapped++;
	return p;
}

int munmap(void *addr, size_t n)
{
	(void)n;                 /* the tests unmap what they mapped */
	vm_release(addr);
	mapped--;
	return 0;
}

int mprotect(void *addr, size_t n, int prot)
{
	if (prot != PROT_NONE)
		fail("mprotect: no protection but PROT_NONE");
	vm_forbid(addr, n);
	return 0;
}

int madvise(void *addr, size_t n, int advice)
{
	(void)addr, (void)n, (void)advice;      /* vm.c maps base pages only */
	return 0;
}

/* Files of pages that are mapped many times are more than vm.c can do. */
int memfd_create(const char *name, unsigned flags)
{
	(void)name, (void)flags;
	unit_skip();
}

int ftruncate(int fd, off_t n)
{
	(void)fd, (void)n;
	return -1;
}

int close(int fd)
{
	(void)fd;
	return -1;
}

/* Each allocation is an area of its own, at its beginning. */
void *aligned_alloc(size_t align, size_t n)
{
	void *p;

	if (align > RAMKA_PAGE_SIZE)
		fail("aligned_alloc: %lu", align);
	p = vm_reserve(n ? n : 1);
	allocated += p != NULL;
	return p;
}

void *malloc(size_t n)
{
	return aligned_alloc(16, n);
}

void *calloc(size_t n, size_t size)
{
	return aligned_alloc(16, n * size);
}

void free(void *p)
{
	if (!p)
		return;
	vm_release(p);
	allocated--;
}

struct mallinfo2 mallinfo2(void)
{
	return (struct mallinfo2){ .uordblks = allocated, .hblkhd = mapped };
}

void abort(void)
{
	fail("abort() in unit test %s: %s", current_group, current_test);
}

/* /proc/self/statm: size and resident pages. */
FILE *fopen(const char *path, const char *mode)
{
	(void)mode;
	return strcmp(path, "/proc/self/statm") ? NULL : (FILE *)&skips;
}

int fscanf(FILE *f, const char *format, ...)
{
	va_list args;

	if (!f || strcmp(format, "%llu %llu"))
		fail("fscanf: \"%s\"", format);
	va_start(args, format);
	*va_arg(args, unsigned long long *) = 0;
	*va_arg(args, unsigned long long *) = vm_resident();
	va_end(args);
	return 2;
}

int fclose(FILE *f)
{
	(void)f;
	return 0;
}

int printf(const char *format, ...)
{
	(void)format;            /* what a test says when all is well */
	return 0;
}

/* ---- */

#define X(name) int unit_##name(void);
UNIT_LIST
#undef X

static void planted(void **state)
{
	(void)state;
	unit_fail(__FILE__, __LINE__, "it is wrong on purpose");
}

void unit_tests(void)
{
	const struct CMUnitTest wrong = { .name = "planted", .test = planted };

	vm_enter();
	if (fault_planted("unit"))
		unit_run("planted", &wrong, 1, NULL, NULL);
#define X(name) unit_##name();
	UNIT_LIST
#undef X
	vm_leave();
	print("  left out, for the host only: %s\n", UNIT_HOST_ONLY);
	print("  %u unit tests, %u skipped\n", ran, skips);
}
