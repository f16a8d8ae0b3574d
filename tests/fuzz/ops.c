/* SPDX-License-Identifier: MIT */
/*
 * Sequences of calls, chosen by the fuzzer, against the sequential reference (tests/model): the first two bytes choose
 * the memory map and the configuration, every eight that follow are a call. The reference knows what each call must
 * answer; the whole instance is audited now and then and at the end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/*
 * Mapping and unmapping costs more than the calls do: one arena instead, whose pages stay. What the fixture protects,
 * to find a byte too far, is writable again in the next run.
 */
#define ARENA_BYTES (64u << 20)
static void *arena_map(void *addr, size_t bytes, int prot, int flags, int fd, long offset);
static int arena_unmap(void *addr, size_t bytes);
#define mmap arena_map
#define munmap arena_unmap
#include "model/sequence.h"
#undef mmap
#undef munmap

#define MOST_CALLS 200u

static uint8_t *arena;
static size_t used;

static void *arena_map(void *addr, size_t bytes, int prot, int flags, int fd, long offset)
{
	uint8_t *p = arena + used;

	(void)addr, (void)flags, (void)fd, (void)offset;
	bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	if (bytes > ARENA_BYTES - used || mprotect(p, bytes, prot))
		return MAP_FAILED;
	used += bytes;
	return p;
}

static int arena_unmap(void *addr, size_t bytes)
{
	return mprotect(addr, (bytes + PAGE - 1) / PAGE * PAGE, PROT_READ | PROT_WRITE);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return arena == MAP_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct call calls[MOST_CALLS];
	size_t n = size < 2 ? 0 : (size - 2) / sizeof(*calls);

	if (size < 2)
		return 0;
	n = n < MOST_CALLS ? n : MOST_CALLS;
	memcpy(calls, data + 2, n * sizeof(*calls));
	used = 0;
	play_sequence((uint64_t)(data[0] | data[1] << 8) + 1, calls, n);
	return 0;
}
