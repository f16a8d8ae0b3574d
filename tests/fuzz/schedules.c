/* SPDX-License-Identifier: MIT */
/*
 * Schedules: the first two bytes choose a client of the checker (tests/checker), the others make the choices of one
 * execution: which thread runs next, how old a value a load reads, where an interrupt starts, who stops for ever. The
 * checker's own searches are complete within a bound on preemptions; here there is no bound, and what leads the search
 * is what the threads did: which blocks each of them ran, and between which blocks another took over.
 *
 * The library and the clients are the checker's instrumented build, by gcc, with a call at each basic block; the fuzzer
 * gets what these calls note as its extra counters. The linker lets the calls come here (--wrap), not to its own empty function.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/engine.h"

#define COUNTERS (1u << 16)

extern const struct ck_client *const __start_ck_clients[], *const __stop_ck_clients[];

static uint8_t counters[COUNTERS] __attribute__((section("__libfuzzer_extra_counters"), used));
static uint64_t block_before;
static unsigned thread_before;

void __wrap___sanitizer_cov_trace_pc(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t hash_of(const char *name, unsigned choice)
{
	uint64_t h = choice + 1;

	while (*name)
		h = ck_mix(h, (unsigned char)*name++);
	return h;
}

/* The one whose name and `choice` hash highest: a new client changes the meaning of few inputs of the corpus. */
static const struct ck_client *client_for(unsigned choice)
{
	const struct ck_client *best = NULL;
	uint64_t highest = 0;

	for (const struct ck_client *const *c = __start_ck_clients; c < __stop_ck_clients; c++) {
		uint64_t h = hash_of((*c)->name, choice);

		if (!(*c)->model && !(*c)->fails && (!best || h > highest)) {
			best = *c;
			highest = h;
		}
	}
	return best;
}

static void note(uint64_t what)
{
	counters[ck_mix(what, 1) >> 32 & (COUNTERS - 1)] = 1; /* that, not how often: else every length of a loop is news */
}

void __wrap___sanitizer_cov_trace_pc(void)
{
	uint64_t block = (uintptr_t)__builtin_return_address(0) - (uintptr_t)client_for; /* wherever the program is loaded */

	if (ck.mode != CK_RUN)
		return;
	note(block);
	if (thread_before != ck.cur)
		note(ck_mix(block_before, block));
	block_before = block;
	thread_before = ck.cur;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned choice = size < 2 ? 0 : data[0] | (unsigned)data[1] << 8; /* the fuzzer begins with no bytes */
	const struct ck_client *c = client_for(choice);
	struct ck_result r;

	thread_before = CK_THREADS;
	ck_drive(c, data + 2, size < 2 ? 0 : size - 2, &r);
	if (r.failed) {
		fprintf(stderr, "FAIL %s: %s\n     checker --client %s --replay '%s'\n", c->name, r.message, c->name, r.schedule);
		abort();
	}
	return 0;
}
