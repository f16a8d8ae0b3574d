/* SPDX-License-Identifier: MIT */
/*
 * General allocators, asked for blocks of 4 KiB << order aligned to their size. glibc's is the one of the
 * process; the others are loaded beside it without replacing it: RTLD_DEEPBIND makes each of them call its
 * own malloc and free. They keep no slot per frame, and most write into the blocks that they hand out or
 * take back, which ramka never does.
 */
#define _GNU_SOURCE
#include "peers.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct library {
	const char *so, *alloc_name, *free_name;
	void *handle;
	void *(*alloc)(size_t alignment, size_t size);
	void (*free)(void *block);
	char why[160];
};

static struct library jemalloc = { .so = "libjemalloc.so.2",
				   .alloc_name = "aligned_alloc",
				   .free_name = "free" },
		      mimalloc = { .so = "libmimalloc.so.2",
				   .alloc_name = "mi_aligned_alloc",
				   .free_name = "mi_free" },
		      tcmalloc = { .so = "libtcmalloc_minimal.so.4",
				   .alloc_name = "tc_memalign",
				   .free_name = "tc_free" };

/* *ret_function is a pointer to a pointer to a function: ISO C has no conversion from what dlsym returns.
 */
static bool find(const struct library *l, const char *name, void *ret_function)
{
	void *symbol = dlsym(l->handle, name);

	memcpy(ret_function, &symbol, sizeof(symbol));
	return symbol;
}

static const char *load(struct library *l)
{
	if (l->handle)
		return NULL;
	l->handle = dlopen(l->so, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (!l->handle) {
		snprintf(l->why, sizeof(l->why), "%s", dlerror());
		return l->why;
	}
	if (!find(l, l->alloc_name, &l->alloc) || !find(l, l->free_name, &l->free) || l->free == free) {
		snprintf(l->why, sizeof(l->why), "%s has no %s or %s of its own", l->so, l->alloc_name,
			 l->free_name);
		l->handle = NULL;
		return l->why;
	}
	return NULL;
}

static void *create(const struct bench_shape *shape)
{
	(void)shape;
	return &jemalloc; /* there is one of each in the process, and nothing to set up */
}

static void destroy(void *instance)
{
	(void)instance;
}

static void *cpu(void *instance, unsigned id)
{
	(void)id;
	return instance;
}

#define FROM_LIBRARY(lib) \
	static const char *lib##_load(void) \
	{ \
		return load(&lib); \
	} \
	static void *lib##_alloc(void *cpu, unsigned order) \
	{ \
		size_t size = (size_t)BENCH_PAGE << order; \
\
		(void)cpu; \
		return lib.alloc(size, size); \
	} \
	static void lib##_free(void *cpu, void *frame, unsigned order) \
	{ \
		(void)cpu; \
		(void)order; \
		lib.free(frame); \
	}

FROM_LIBRARY(jemalloc)
FROM_LIBRARY(mimalloc)
FROM_LIBRARY(tcmalloc)

static void *glibc_alloc(void *cpu, unsigned order)
{
	size_t size = (size_t)BENCH_PAGE << order;

	(void)cpu;
	return aligned_alloc(size, size);
}

static void glibc_free(void *cpu, void *frame, unsigned order)
{
	(void)cpu;
	(void)order;
	free(frame);
}

static const char *jemalloc_version(void)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	const char *v = "";
	size_t size = sizeof(v);

	if (!find(&jemalloc, "mallctl", &mallctl) || mallctl("version", &v, &size, NULL, 0))
		return "";
	return v;
}

static const char *mimalloc_version(void)
{
	static char text[16];
	int (*version)(void), v;

	if (!find(&mimalloc, "mi_version", &version))
		return "";
	v = version();

	snprintf(text, sizeof(text), "%d.%d.%d", v / 100, v / 10 % 10, v % 10);
	return text;
}

static const char *tcmalloc_version(void)
{
	const char *(*version)(int *, int *, const char **);

	return find(&tcmalloc, "tc_version", &version) ? version(NULL, NULL, NULL) : "";
}

static const char *glibc_version(void)
{
	return gnu_get_libc_version();
}

#define COMMON .flags = PEER_ORDERS, .create = create, .destroy = destroy, .cpu = cpu, .stride = BENCH_PAGE

const struct bench_peer peer_glibc = {
	.name = "glibc",
	.what = "aligned_alloc of the C library",
	COMMON,
	.version = glibc_version,
	.alloc = glibc_alloc,
	.free = glibc_free,
};

const struct bench_peer peer_jemalloc = {
	.name = "jemalloc",
	.what = "aligned_alloc of jemalloc",
	COMMON,
	.load = jemalloc_load,
	.version = jemalloc_version,
	.alloc = jemalloc_alloc,
	.free = jemalloc_free,
};

const struct bench_peer peer_mimalloc = {
	.name = "mimalloc",
	.what = "mi_aligned_alloc",
	COMMON,
	.load = mimalloc_load,
	.version = mimalloc_version,
	.alloc = mimalloc_alloc,
	.free = mimalloc_free,
};

const struct bench_peer peer_tcmalloc = {
	.name = "tcmalloc",
	.what = "tc_memalign of gperftools' tcmalloc",
	COMMON,
	.load = tcmalloc_load,
	.version = tcmalloc_version,
	.alloc = tcmalloc_alloc,
	.free = tcmalloc_free,
};
