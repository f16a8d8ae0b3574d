/* SPDX-License-Identifier: MIT */
/*
 * A double free whose culprit is found from the report alone. A page cache has a page and its one reference. A
 * driver sends the page, takes no reference, and gives one up all the same when the page is sent. So the page is
 * free while the cache still has it, and the report comes later, from the cache, which did nothing wrong. With
 * RAMKA_TRACE the report names who freed the page before.
 *
 * Built with -fno-optimize-sibling-calls: else a function that ends with the call is not there to be named, and
 * its own caller is. By hand, where ramka is installed:
 *
 *	gcc -g -fno-optimize-sibling-calls -rdynamic doublefree.c $(pkg-config --cflags --libs ramka-host)
 */
#ifndef _GNU_SOURCE
# define _GNU_SOURCE /* dladdr */
#endif
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>

#include <ramka/host.h>

#define FUNCTION __attribute__((noinline)) /* it is so small that the compiler would dissolve it in main */

struct request { struct ramka_frame *page; };

static const char *culprit, *caller;

/* The function that a return address lies in; the address may be that of the next one. */
static const char *function_at(uintptr_t address)
{
	Dl_info info;

	return dladdr((void *)(address - 1), &info) && info.dli_sname ? info.dli_sname : "?";
}

/* cfg.panic: what a kernel prints, with its own table of symbols and its own backtrace. */
static void report(void *ctx, const struct ramka_bug *bug)
{
	void *stack[16];
	int depth = backtrace(stack, 16);

	(void)ctx;
	printf("%s: %s\n", bug->operation, bug->what);
	printf("  frame at %#llx, type %s\n", (unsigned long long)bug->paddr, bug->type ? bug->type->name : "none");
	printf("  allocated by %s, on CPU %d\n", function_at(bug->history.allocated_by), bug->history.allocated_on - 1);
	printf("  freed by %s, on CPU %d\n", function_at(bug->history.freed_by), bug->history.freed_on - 1);
	/* the first function on the stack that has a name and is not the library's */
	for (int i = 1; i < depth && !caller; i++)
		if (*function_at((uintptr_t)stack[i]) != '?' && strncmp(function_at((uintptr_t)stack[i]), "ramka_", 6) != 0)
			caller = function_at((uintptr_t)stack[i]);
	printf("  called from %s\n", caller ? caller : "?");
	culprit = function_at(bug->history.freed_by);
}

/* exported, so that dladdr knows their names */
struct ramka_frame *cache_fill(struct ramka_cpu *cpu);
void cache_evict(struct ramka_cpu *cpu, struct ramka_frame *page);
void driver_send(struct request *q, struct ramka_frame *page);
void driver_sent(struct ramka_cpu *cpu, struct request *q);

/* ---- the page cache ---- */

FUNCTION struct ramka_frame *cache_fill(struct ramka_cpu *cpu)
{
	return ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ 0 });
}

FUNCTION void cache_evict(struct ramka_cpu *cpu, struct ramka_frame *page)
{
	ramka_frame_put(cpu, page);
}

/* ---- the driver ---- */

FUNCTION void driver_send(struct request *q, struct ramka_frame *page)
{
	q->page = page; /* the bug: ramka_frame_get is missing */
}

FUNCTION void driver_sent(struct ramka_cpu *cpu, struct request *q)
{
	ramka_frame_put(cpu, q->page);
}

int main(void)
{
	struct ramka_host_options opt = { .memory = 16 << 20, .flags = RAMKA_TRACE, .panic = report };
	struct ramka_host *host;
	struct ramka_frame *page;
	struct ramka_cpu *cpu;
	struct request q;

	if (ramka_host_create(&opt, &host))
		return 1;
	cpu = ramka_host_cpu(host);
	page = cache_fill(cpu);
	driver_send(&q, page);
	driver_sent(cpu, &q);
	cache_evict(cpu, page);
	ramka_host_destroy(host);
	return !culprit || !caller || strcmp(culprit, "driver_sent") || strcmp(caller, "cache_evict");
}
