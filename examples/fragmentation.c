/* SPDX-License-Identifier: MIT */
/*
 * Fragmentation, before and after. Memory is filled with single frames and half of them are freed at random: no 2 MiB block is
 * left whole. Then frames come and go at that load. Blocks that are nearly full are preferred, so the others run empty.
 * Prints a dump of each moment; docs/looking.md shows them as drawn by tools/ramka-map.
 *
 *	fragmentation > dumps; tools/ramka-map --nth 1 --png before.png dumps; tools/ramka-map --nth 2 --png after.png dumps
 */
#include <ramka/host.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY ((uint64_t)256 << 20)
#define FRAMES (MEMORY / RAMKA_PAGE_SIZE)
#define ROUNDS 40u

static struct ramka_unique *held[FRAMES];
static uint64_t nr_held;
static struct ramka *r;
static struct ramka_cpu *cpu;

static void print(void *ctx, const char *line)
{
	fputs(line, ctx);
}

static uint64_t random_below(uint64_t n)
{
	static uint64_t x = 88172645463325252u; /* xorshift64, Marsaglia 2003 */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % n;
}

static bool alloc_one(void)
{
	struct ramka_unique *u = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });

	if (u)
		held[nr_held++] = u;
	return u;
}

static void free_one(void)
{
	uint64_t i = random_below(nr_held);

	ramka_unique_free(cpu, held[i]);
	held[i] = held[--nr_held];
}

/* Whole blocks of 2 MiB that are free. */
static uint64_t show(void)
{
	struct ramka_stats s;

	ramka_dump(r, print, stdout);
	ramka_stats_read(r, &s);
	return s.free_huge;
}

int main(void)
{
	struct ramka_host_options options = { .memory = MEMORY, .nr_cpus = 1 };
	struct ramka_host *host;
	uint64_t before, after;

	if (ramka_host_create(&options, &host))
		return 1;
	r = ramka_host_ramka(host);
	cpu = ramka_host_cpu(host);
	while (alloc_one())
		;
	for (uint64_t n = nr_held / 2; n; n--)
		free_one();
	before = show();
	for (uint64_t n = ROUNDS * nr_held; n; n--) {
		free_one();
		if (!alloc_one())
			return 1;
	}
	after = show();
	printf("whole 2 MiB blocks that are free, with half of the memory in use: %llu before, %llu after\n", (unsigned long long)before,
	       (unsigned long long)after);
	while (nr_held)
		free_one();
	ramka_host_destroy(host);
	return before > FRAMES / 512 / 20 || after < FRAMES / 512 / 10;
}
