/* SPDX-License-Identifier: MIT */
/* What tests/gdb/run debugs: frames in every state, their addresses in variables, and a place to stop at. */
#include <ramka/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(cond) do { if (!(cond)) abort(); } while (0)

struct page { uint64_t owner; };
static RAMKA_DEFINE_TYPE(page_type, struct page, .id = RAMKA_TYPE_ID_USER);
struct listed { struct ramka_link link; uint64_t owner; };
static RAMKA_DEFINE_TYPE(listed_type, struct listed, .id = RAMKA_TYPE_ID_USER + 1);

static struct ramka_host *host, *other;
struct ramka *odd; /* an instance of several nodes, with holes, and with memory that came late; it traces */
struct ramka_frame *traced; /* of it */
void *content; /* of the shared frame */
struct ramka_frame *shared;
struct ramka_unique *large, *in_list;
struct ramka_segment segment;
struct ramka_request request = { .order = 3, .addr_bits = 32, .flags = RAMKA_ALLOC_UNINIT, .node = RAMKA_NODE(0) };
ramka_paddr_t deferred, sealed, cached, in_row, in_depot, untouched, huge, other_pa;

static void __attribute__((noinline)) stop_here(void)
{
	__asm__ volatile("" ::: "memory");
}

#ifdef WAIT /* for tests/tools/run: says what it has, then waits to be looked at */
static void print(void *ctx, const char *line)
{
	fputs(line, ctx);
}
#endif

static ramka_paddr_t defer_one(struct ramka *r, struct ramka_cpu *cpu)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu, &page_type, NULL, (struct ramka_request){ 0 });
	ramka_paddr_t pa = ramka_frame_paddr(r, f);

	CHECK(ramka_frame_put_rcu(cpu, f) >= 0); /* pressure is no error */
	return pa;
}

/* Frees more of the block that refills the cache than the cache holds: a magazine goes to the depot. */
static void fill_depot(struct ramka *r, struct ramka_cpu *cpu)
{
	struct ramka_unique *u[300];

	for (unsigned i = 0; i < 300; i++)
		CHECK((u[i] = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ 0 })));
	in_depot = ramka_unique_paddr(r, u[0]);
	for (unsigned i = 0; i < 300; i++)
		ramka_unique_free(cpu, u[i]);
}

/* What RAMKA_TRACE is to name: no call may be the last thing that these do. */
static struct ramka_frame *__attribute__((noinline)) keeper(struct ramka_cpu *cpu)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu, &page_type, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });

	__asm__ volatile("" ::: "memory");
	return f;
}

static void __attribute__((noinline)) giver(struct ramka_frame *f)
{
	ramka_frame_put(ramka_cpu_none(odd), f);
	__asm__ volatile("" ::: "memory");
}

/* A frame that was freed and is allocated again. */
static void trace_one(void)
{
	ramka_paddr_t pa;

	traced = keeper(ramka_cpu_at(odd, 1));
	pa = ramka_frame_paddr(odd, traced);
	giver(traced);
	do {
		traced = keeper(ramka_cpu_at(odd, 1));
		CHECK(traced);
	} while (ramka_frame_paddr(odd, traced) != pa);
}

static void make_odd(void)
{
	static const struct ramka_region g[] = {
		{ 0x1000000, 0x300000, RAMKA_USABLE, 0 }, { 0x1300000, 0x80000, RAMKA_RECLAIMABLE, 0 }, { 0x1380000, 0x4000, RAMKA_BAD, 0 },
		{ 0x8000000, 0x400000, RAMKA_USABLE, 1 }, { 0x8400000, 0x10000, RAMKA_DETACHED, 1 }, { 0x40000000, 0x200000, RAMKA_USABLE, 0 },
		{ 0x40200000, 0x1000, RAMKA_KERNEL, 0 },
	};
	static const uint32_t nodes[] = { 0, 1, 0 };
	struct ramka_config cfg = { .regions = g, .nr_regions = sizeof(g) / sizeof(g[0]), .nr_cpus = 3, .cpu_node = nodes,
				    .flags = RAMKA_NO_DIRECT_MAP | RAMKA_TRACE, .meta_size = 16 };
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
	size_t bytes;
	void *memory;

	CHECK(!ramka_metadata_size(&cfg, &bytes) && !posix_memalign(&memory, 64, bytes));
	memset(memory, 0xa5, bytes); /* what lies in holes is not to be believed */
	CHECK(!ramka_init(&cfg, memory, bytes, &odd) && !ramka_type_register(odd, &page_type));
	CHECK(!ramka_add_memory(odd, &(struct ramka_region){ 0x1310000, 0x20000, RAMKA_USABLE, 0 }));
	CHECK(!ramka_add_memory(odd, &(struct ramka_region){ 0x2000000, 0x200000, RAMKA_USABLE, 0 }));
	for (unsigned i = 0; i < 300; i++) {
		struct ramka_frame *f;

		req.order = (uint8_t)(i % 7 == 3 ? 2 : i % 50 == 9 ? 5 : 0);
		f = ramka_frame_alloc(ramka_cpu_at(odd, i % 3), &page_type, NULL, req);
		if (f && i % 4 == 1)
			ramka_frame_put(ramka_cpu_at(odd, (i + 1) % 3), f);
	}
	trace_one();
}

int main(void)
{
	struct ramka_host_options options = { .memory = 16u << 20, .nr_cpus = 2, .meta_size = 32, .rcu = "ramka" };
	struct ramka *r;
	struct ramka_cpu *cpu;
	struct ramka_frame *f;
	struct ramka_unique *u;
	struct ramka_list list;

	CHECK(!ramka_host_create(&options, &host));
	r = ramka_host_ramka(host);
	cpu = ramka_host_cpu(host);
	CHECK(!ramka_type_register(r, &page_type) && !ramka_type_register(r, &listed_type) && !ramka_list_init(r, &list));

	make_odd();
	fill_depot(r, cpu);
	ramka_host_rcu_read_lock(host); /* no grace period ends */
	sealed = defer_one(r, cpu);
	for (unsigned i = 0; i < 64; i++)
		deferred = defer_one(r, cpu);
	shared = ramka_frame_alloc(cpu, &page_type, &(struct page){ 0x1122334455667788 }, (struct ramka_request){ 0 });
	ramka_frame_get(r, shared);
	ramka_frame_get(r, shared);
	large = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .order = 3 });
	u = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .order = 9 });
	huge = ramka_unique_paddr(r, u);
	in_list = ramka_unique_alloc(cpu, &listed_type, NULL, (struct ramka_request){ 0 });
	ramka_list_push_back(&list, in_list);
	CHECK(!ramka_segment_alloc(cpu, 5, &page_type, NULL, NULL, (struct ramka_request){ 0 }, &segment));
	f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ 0 });
	cached = ramka_frame_paddr(r, f);
	ramka_frame_put(cpu, f);
	f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .order = 2 });
	in_row = ramka_frame_paddr(r, f);
	ramka_frame_put(cpu, f); /* runs below 64 frames wait in rows */
	content = ramka_frame_content(r, shared);
	CHECK(!ramka_host_create(&options, &other));
	f = ramka_frame_alloc(ramka_host_cpu(other), &ramka_type_untyped, NULL, (struct ramka_request){ 0 });
	other_pa = ramka_frame_paddr(ramka_host_ramka(other), f);
	untouched = ((ramka_paddr_t)1 << 30) + (15u << 20);
	stop_here();
#ifdef WAIT
	ramka_dump(r, print, stdout);
	ramka_dump(odd, print, stdout);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
#endif
	ramka_host_rcu_read_unlock(host);
	_Exit(0);
}
