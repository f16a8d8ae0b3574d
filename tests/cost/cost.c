/* SPDX-License-Identifier: MIT */
/*
 * The operations whose cost is counted, each on an instance of its own. Runs under callgrind, which collects
 * the measured loops only and writes a profile for each row, with the row's name; see run.
 */
#include <ramka/ramka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <valgrind/callgrind.h>

#define BASE (UINT64_C(1) << 30)
#define MEMORY (UINT64_C(4) << 30)
#define DETACHED (UINT64_C(1) << 20) /* behind the memory: frames for from_unused */
#define MOST 2048u /* frames held at once */
#define NODES 64u  /* of a machine with many */
#define BULK 64u
#define HELD(order) ((order) <= 7 ? MOST : MOST >> ((order) - 7)) /* 1 GiB, but for what is smaller */

static struct ramka *r;
static struct ramka_cpu *cpu, *other;
static struct ramka_qsbr qsbr;
static struct ramka_qsbr_cpu qsbr_cpus[2];
static struct ramka_unique *u[MOST];
static struct ramka_frame *f[MOST];
static uint32_t mixed[MOST];

#define CHECK(x) ((x) ? (void)0 : wrong(#x, __LINE__))

static void wrong(const char *what, int line)
{
	fprintf(stderr, "cost: line %d: not so: %s\n", line, what);
	exit(1);
}

static void panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx;
	fprintf(stderr, "cost: %s: %s\n", bug->operation, bug->what);
	exit(1);
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void make_with(const struct ramka_config *cfg)
{
	size_t bytes;

	CHECK(!ramka_metadata_size(cfg, &bytes));
	CHECK(!ramka_init(cfg, map(bytes), bytes, &r));
	cpu = ramka_cpu_at(r, 0);
	other = ramka_cpu_at(r, 1);
}

static void make(uint32_t flags)
{
	struct ramka_region regions[] = { { .base = BASE, .size = MEMORY },
					  { .base = BASE + MEMORY, .size = DETACHED, .kind = RAMKA_DETACHED } };
	struct ramka_rcu_ops ops;
	struct ramka_config cfg = { .regions = regions,
				    .nr_regions = 2,
				    .nr_cpus = 2,
				    .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP | flags,
				    .rcu = &ops,
				    .panic = panic };

	ramka_qsbr_init(&qsbr, qsbr_cpus, 2, &ops);
	make_with(&cfg);
	ramka_qsbr_online(&qsbr, 0);
}

/* A machine of many nodes, of which half are empty, the own one and those behind it. */
static void make_nodes(void)
{
	static struct ramka_region regions[NODES];
	struct ramka_config cfg = { .regions = regions,
				    .nr_regions = NODES,
				    .nr_cpus = 2,
				    .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP,
				    .panic = panic };
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_NODE_ONLY };

	for (unsigned i = 0; i < NODES; i++)
		regions[i] = (struct ramka_region){ .base = BASE + i * (UINT64_C(2) * MOST * RAMKA_PAGE_SIZE),
						    .size = (uint64_t)MOST * RAMKA_PAGE_SIZE, .node = i };
	make_with(&cfg);
	for (unsigned i = 0; i < NODES / 2; i++) {
		req.node = RAMKA_NODE(i);
		while (ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, req))
			;
	}
}

static struct ramka_request order_req(unsigned order)
{
	return (struct ramka_request){ .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT };
}

/* ---- the loops ---- */

static struct ramka_request req;

static void pair_unique(unsigned n)
{
	while (n--)
		ramka_unique_free(cpu, ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, req));
}

static void pair_shared(unsigned n)
{
	while (n--)
		ramka_frame_put(cpu, ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req));
}

static void alloc_unique(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		u[i] = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, req);
}

static void free_unique(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ramka_unique_free(cpu, u[i]);
}

static void alloc_shared(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		f[i] = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req);
}

static void put_shared(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ramka_frame_put(cpu, f[i]);
}

static void alloc_unique_bulk(unsigned n)
{
	for (unsigned i = 0; i < n; i += BULK)
		CHECK(ramka_unique_alloc_bulk(cpu, &ramka_type_untyped, req, BULK, u + i) == BULK);
}

static void free_unique_bulk(unsigned n)
{
	for (unsigned i = 0; i < n; i += BULK)
		ramka_unique_free_bulk(cpu, BULK, u + i);
}

static void alloc_shared_bulk(unsigned n)
{
	for (unsigned i = 0; i < n; i += BULK)
		CHECK(ramka_frame_alloc_bulk(cpu, &ramka_type_untyped, req, BULK, f + i) == BULK);
}

static void put_shared_bulk(unsigned n)
{
	for (unsigned i = 0; i < n; i += BULK)
		ramka_frame_put_bulk(cpu, BULK, f + i);
}

static void free_mixed(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ramka_unique_free(cpu, u[mixed[i]]);
}

static void free_by_other(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ramka_unique_free(other, u[i]);
}

static void put_rcu(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK(!ramka_frame_put_rcu(cpu, f[i]));
		if (i % BULK == 0)
			ramka_qsbr_quiescent(&qsbr, 0);
	}
}

/* Grace periods end as fast as they can. The CPU announces itself every 64 frames, as a kernel does now and then. */
static void pair_rcu(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK(!ramka_frame_put_rcu(cpu, ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req)));
		if (i % BULK == 0)
			ramka_qsbr_quiescent(&qsbr, 0);
	}
}

static void raw_shared(unsigned n)
{
	while (n--)
		ramka_frame_from_raw(r, ramka_frame_into_raw(r, f[0]));
}

static void raw_unique(unsigned n)
{
	while (n--)
		ramka_unique_from_raw(r, ramka_unique_into_raw(r, u[0]));
}

static void put_at(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ramka_frame_put_at(cpu, ramka_frame_into_raw(r, f[i]));
}

static void get_put(unsigned n)
{
	while (n--) {
		ramka_frame_get(r, f[0]);
		ramka_frame_put(cpu, f[0]);
	}
}

static void lookup(unsigned n)
{
	ramka_paddr_t pa = ramka_frame_paddr(r, f[0]);
	struct ramka_frame *found;

	while (n--) {
		CHECK(!ramka_frame_from_in_use(r, pa, &found));
		ramka_frame_put(cpu, found);
	}
}

static void unused(unsigned n)
{
	struct ramka_frame *claimed;

	while (n--) {
		CHECK(!ramka_frame_from_unused(cpu, BASE + MEMORY, &ramka_type_untyped, NULL, &claimed));
		ramka_frame_put(cpu, claimed);
	}
}

static void segment(unsigned n)
{
	for (unsigned i = 0; i < n; i += BULK) {
		struct ramka_segment s;

		CHECK(!ramka_segment_alloc(cpu, BULK, &ramka_type_untyped, NULL, NULL, req, &s));
		ramka_segment_put(cpu, s);
	}
}

static void no_loop(unsigned n)
{
	(void)n;
}

/* ---- rows ---- */

struct row {
	const char *name;
	void (*before)(unsigned n); /* not counted, as what comes after */
	void (*loop)(unsigned n);
	void (*after)(unsigned n);
	unsigned orders;            /* 0 up to so many */
	uint32_t flags;
	bool many_nodes;
};

#define ALL 11u
static const struct row rows[] = {
	{ "pair of ramka_unique_alloc and ramka_unique_free", no_loop, pair_unique, no_loop, ALL, 0 },
	{ "pair of ramka_frame_alloc and ramka_frame_put", no_loop, pair_shared, no_loop, ALL, 0 },
	{ "ramka_unique_alloc of many", no_loop, alloc_unique, free_unique, ALL, 0 },
	{ "ramka_unique_free of many", alloc_unique, free_unique, no_loop, ALL, 0 },
	{ "ramka_frame_alloc of many", no_loop, alloc_shared, put_shared, ALL, 0 },
	{ "ramka_frame_put of many", alloc_shared, put_shared, no_loop, ALL, 0 },
	{ "ramka_unique_alloc_bulk", no_loop, alloc_unique_bulk, free_unique, ALL, 0 },
	{ "ramka_unique_free_bulk", alloc_unique, free_unique_bulk, no_loop, ALL, 0 },
	{ "ramka_frame_alloc_bulk", no_loop, alloc_shared_bulk, put_shared, ALL, 0 },
	{ "ramka_frame_put_bulk", alloc_shared, put_shared_bulk, no_loop, ALL, 0 },
	{ "ramka_unique_free in random order", alloc_unique, free_mixed, no_loop, ALL, 0 },
	{ "ramka_unique_free by another CPU", alloc_unique, free_by_other, no_loop, ALL, 0 },
	{ "ramka_frame_put_rcu with ramka_qsbr", alloc_shared, put_rcu, no_loop, 1, 0 },
	{ "pair of ramka_frame_alloc and ramka_frame_put_rcu", no_loop, pair_rcu, no_loop, 1, 0 },
	{ "ramka_frame_into_raw and ramka_frame_from_raw", alloc_shared, raw_shared, put_shared, 1, 0 },
	{ "ramka_unique_into_raw and ramka_unique_from_raw", alloc_unique, raw_unique, free_unique, 1, 0 },
	{ "ramka_frame_into_raw and ramka_frame_put_at", alloc_shared, put_at, no_loop, 1, 0 },
	{ "ramka_frame_get and ramka_frame_put", alloc_shared, get_put, put_shared, 1, 0 },
	{ "ramka_frame_from_in_use and ramka_frame_put", alloc_shared, lookup, put_shared, 1, 0 },
	{ "ramka_frame_from_unused and ramka_frame_put", no_loop, unused, no_loop, 1, 0 },
	{ "ramka_segment_alloc and ramka_segment_put, a frame", no_loop, segment, no_loop, 1, 0 },
	{ "RAMKA_CACHE_ALL: pair", no_loop, pair_unique, no_loop, 1, RAMKA_CACHE_ALL },
	{ "RAMKA_CACHE_ALL: ramka_unique_alloc of many", no_loop, alloc_unique, free_unique, 1, RAMKA_CACHE_ALL },
	{ "RAMKA_CACHE_ALL: ramka_unique_free of many", alloc_unique, free_unique, no_loop, 1, RAMKA_CACHE_ALL },
	{ "RAMKA_CACHE_ALL: ramka_unique_free in random order", alloc_unique, free_mixed, no_loop, 1, RAMKA_CACHE_ALL },
	{ "RAMKA_CACHE_ALL: ramka_unique_free by another CPU", alloc_unique, free_by_other, no_loop, 1, RAMKA_CACHE_ALL },
	{ "ramka_unique_alloc of many, 32 nodes empty", no_loop, alloc_unique, free_unique, 1, 0, .many_nodes = true },
	{ "ramka_unique_free of many, 32 nodes empty", alloc_unique, free_unique, no_loop, 1, 0, .many_nodes = true },
};

/* Each row's loop twice, so that the second time is like all that follow; counted is the second. */
static void count(const struct row *row, unsigned order)
{
	unsigned held = HELD(order);
	char name[120];

	if (row->many_nodes)
		make_nodes();
	else
		make(row->flags);
	req = order_req(order);
	for (unsigned i = 0; i < held; i++)
		mixed[i] = i;
	for (unsigned i = held; i > 1; i--) {
		unsigned j = i * 7919u % i ? (i * 7919u + 13) % i : (i * 31u + 17) % i;
		uint32_t swap = mixed[i - 1];

		mixed[i - 1] = mixed[j];
		mixed[j] = swap;
	}
	row->before(held);
	row->loop(held);
	row->after(held);
	row->before(held);
	CALLGRIND_TOGGLE_COLLECT;
	row->loop(held);
	CALLGRIND_TOGGLE_COLLECT;
	snprintf(name, sizeof(name), "%s|%u|%u", row->name, order, held);
	CALLGRIND_DUMP_STATS_AT(name);
	row->after(held);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned order = 0; order < rows[i].orders; order++)
			count(&rows[i], order);
	return 0;
}
