// SPDX-License-Identifier: MIT
/*
 * ramka against the kernel's own page allocator, in one run: the same loops, the competitors interleaved in each round, medians.
 * Nothing is zeroed on either side (boot with init_on_alloc=0). Under emulation only the ratios mean anything.
 */
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "module.h"

#define BATCH 64
#define MAX_ROUNDS 15

struct contest {
	const char *name;
	unsigned order, burst; /* frames taken before the first goes back */
	bool bulk;
};

static const struct contest contests[] = {
	{ "pair, order 0", 0, 1, false },       { "64 taken, 64 given, order 0", 0, BATCH, false }, { "bulk of 64, order 0", 0, BATCH, true },
	{ "pair, order 3", 3, 1, false },       { "16 taken, 16 given, order 3", 3, 16, false },    { "pair, order 9", 9, 1, false },
	{ "8 taken, 8 given, order 9", 9, 8, false },
};

struct run {
	const struct contest *c;
	bool kernel;
	unsigned pairs;
	u64 ns[NR_CPUS];
	bool incomplete; /* a CPU did not get all it asked for, so the time means nothing */
};

/* These two say how many frames they got. */
static unsigned ramka_burst(const struct contest *c)
{
	struct ramka_request req = { .order = c->order, .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_frame *f[BATCH];
	struct ramka_cpu *cpu;
	unsigned i, n = 0;

	if (c->bulk) {
		cpu = get_handle();
		n = ramka_frame_alloc_bulk(cpu, &ramka_type_untyped, req, c->burst, f);
		ramka_frame_put_bulk(cpu, n, f);
		put_handle();
		return n;
	}
	for (i = 0; i < c->burst; i++) {
		f[n] = ramka_frame_alloc(get_handle(), &ramka_type_untyped, NULL, req);
		put_handle();
		n += f[n] != NULL;
	}
	for (i = 0; i < n; i++) {
		ramka_frame_put(get_handle(), f[i]);
		put_handle();
	}
	return n;
}

static unsigned kernel_burst(const struct contest *c)
{
	struct page *p[BATCH] = { NULL };
	unsigned i, n = 0;

	if (c->bulk) {
		n = alloc_pages_bulk_array(GFP_KERNEL | __GFP_NOWARN, c->burst, p);
		for (i = 0; i < n; i++)
			__free_pages(p[i], 0);
		return n;
	}
	for (i = 0; i < c->burst; i++) {
		p[n] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, c->order);
		n += p[n] != NULL;
	}
	for (i = 0; i < n; i++)
		__free_pages(p[i], c->order);
	return n;
}

static int bench_thread(unsigned cpu, void *arg)
{
	struct run *r = arg;
	unsigned done;
	u64 start = ktime_get_ns();

	for (done = 0; done < r->pairs; done += r->c->burst) {
		if ((r->kernel ? kernel_burst(r->c) : ramka_burst(r->c)) != r->c->burst)
			WRITE_ONCE(r->incomplete, true);
		if (!(done & 0xfff))
			cond_resched();
	}
	r->ns[cpu] = ktime_get_ns() - start;
	return 0;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Nanoseconds a pair and CPU, times ten. */
static u64 measure(struct run *r, const struct contest *c, bool kernel, unsigned cpus, unsigned pairs)
{
	u64 sum = 0;
	unsigned i;

	r->c = c;
	r->kernel = kernel;
	r->pairs = c->order == 9 ? pairs / 8 : pairs;
	if (run_on_cpus(cpus, bench_thread, r)) {
		r->incomplete = true;
		return 0;
	}
	for (i = 0; i < cpus; i++)
		sum += r->ns[i];
	return div_u64(sum * 10, r->pairs * cpus);
}

int bench_run(unsigned rounds, unsigned pairs)
{
	struct run *r = vzalloc(sizeof(*r));
	unsigned i, cpus, round;
	int incomplete;

	if (!r)
		return 1;
	rounds = min_t(unsigned, rounds, MAX_ROUNDS);
	pairs = clamp_t(unsigned, pairs, 8 * BATCH, 1u << 24);
	pr_info("ramka: bench: ns a pair, median of %u interleaved rounds of %u; emulated, so only the ratio means anything\n", rounds,
		pairs);
	pr_info("ramka: bench: %-30s %5s %10s %10s %8s\n", "contest", "CPUs", "ramka", "Linux", "ratio");
	for (i = 0; i < ARRAY_SIZE(contests); i++)
		for (cpus = 1; cpus <= num_online_cpus(); cpus *= 2) {
			u64 ours[MAX_ROUNDS], theirs[MAX_ROUNDS], a, b, ratio;

			for (round = 0; round < rounds; round++) {
				ours[round] = measure(r, &contests[i], false, cpus, pairs);
				theirs[round] = measure(r, &contests[i], true, cpus, pairs);
			}
			sort(ours, rounds, sizeof(*ours), compare, NULL);
			sort(theirs, rounds, sizeof(*theirs), compare, NULL);
			a = ours[rounds / 2];
			b = theirs[rounds / 2];
			ratio = a ? div64_u64(b * 100, a) : 0;
			pr_info("ramka: bench: %-30s %5u %8llu.%llu %8llu.%llu %5llu.%02llu\n", contests[i].name, cpus, a / 10, a % 10, b / 10,
				b % 10, ratio / 100, ratio % 100);
		}
	incomplete = r->incomplete;
	if (incomplete)
		pr_err("ramka: bench: an allocator did not give all it was asked for, the numbers are worth nothing\n");
	vfree(r);
	return incomplete;
}
