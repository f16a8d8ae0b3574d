/* SPDX-License-Identifier: MIT */
/*
 * What the unit, model and misuse tests share: an instance over simulated physical memory, a panic function that
 * records (and may jump), grace periods and a barrier under the test's control, and the audit that every test ends
 * with. One thread plays all CPUs.
 */
#ifndef RAMKA_TESTS_FIXTURE_H
#define RAMKA_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include <ramka/ramka.h>

#include "frame/contracts.h"
#include "cpu/depot.h"
#include "zone/territory.h"
#include "cpu/order.h"
#include "cpu/drain.h"
#include "frame/defer.h"
#include "frame/drop.h"
#include "frame/alloc.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define PAGE ((uint64_t)RAMKA_PAGE_SIZE)
#define BASE (64 * MIB) /* where memory begins unless a test says otherwise */
#define MAX_CPUS 8u

/* The statements under EXPECT_BUG change no local variable that is read after a jump. */
#if defined(__GNUC__) && !defined(__clang__)
# pragma GCC diagnostic ignored "-Wclobbered"
#endif

#define NELEMS(a) (sizeof(a) / sizeof((a)[0]))

static const struct ramka_request ZEROED; /* {0} */
static const struct ramka_request UNINIT = { .flags = RAMKA_ALLOC_UNINIT };

static inline struct ramka_request order_req(unsigned order)
{
	return (struct ramka_request){ .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT };
}

/* ---- the embedder ---- */

/* Grace periods: cookies up to `over` have elapsed. */
struct grace {
	uint64_t taken, over;
	unsigned snapshots, polls, waits, expedites, bounded;
	bool stuck;                     /* a reader that never ends */
	bool at_once;                   /* every grace period is over when it is asked for */
	void (*on_wait)(struct grace *g);
	void *arg;
};

/* What a test wants; all zeroes is 8 MiB at BASE, two CPUs, contents reachable, a barrier, no RCU. */
struct spec {
	const struct ramka_region *regions;
	size_t nr_regions;
	uint64_t size;
	unsigned nr_cpus;
	const uint32_t *cpu_node;
	uint32_t meta_size, flags;
	bool rcu, no_barrier, no_wait, no_expedite, bounded;
	uint64_t min_watermark, low_watermark, high_water, cache_frames;
	const struct ramka_watch *watch;
	bool metadata_inside;           /* at the end of the memory, in the direct map */
};

struct fixture {
	struct ramka *r;
	struct ramka_cpu *cpu[MAX_CPUS], *none;
	unsigned nr_cpus;
	struct ramka_config cfg;
	struct ramka_region region;     /* the default one */
	struct ramka_rcu_ops ops;
	struct grace grace;
	struct ramka_stats start;       /* as it was when it was opened */
	ramka_paddr_t base;             /* of the span */
	uint64_t size;
	uint8_t *memory;                /* the span's contents */
	uint8_t *metadata;
	size_t metadata_bytes;
	void *mapping;
	size_t mapping_bytes;
	unsigned barriers;
	bool barrier_declines;
	void (*on_barrier)(struct fixture *f);
	unsigned lows;                  /* calls of low_memory */
	uint64_t low_free;
	void (*on_low)(struct fixture *f);
	/* bugs reported; a bug that no test expects fails it */
	unsigned bugs, expected;
	struct ramka_bug bug;
	bool jumps;                     /* panic longjmps instead of returning */
	jmp_buf env;
	bool grown;                     /* the memory is not what it was at the start */
};

static inline uint64_t grace_snapshot(void *ctx)
{
	struct grace *g = ctx;

	g->snapshots++;
	return ++g->taken;
}

static inline bool grace_elapsed(void *ctx, uint64_t cookie)
{
	struct grace *g = ctx;

	g->polls++;
	if (!cookie || cookie > g->taken)
		fail_msg("a cookie that snapshot never gave: %llu", (unsigned long long)cookie);
	return g->at_once || cookie <= g->over;
}

static inline void grace_wait(void *ctx, uint64_t cookie)
{
	struct grace *g = ctx;

	g->waits++;
	if (g->stuck)
		fail_msg("waits for a reader that never ends");
	if (!cookie || cookie > g->taken)
		fail_msg("a cookie that snapshot never gave: %llu", (unsigned long long)cookie);
	if (g->on_wait)
		g->on_wait(g);
	if (g->over < cookie)
		g->over = cookie;
}

static inline void grace_expedite(void *ctx)
{
	((struct grace *)ctx)->expedites++;
}

static inline bool grace_wait_bounded(void *ctx, uint64_t cookie)
{
	struct grace *g = ctx;

	g->bounded++;
	if (!g->stuck && g->over < cookie)
		g->over = cookie;
	return cookie <= g->over;
}

/* Everything snapshot so far is over. */
static inline void grace_end(struct fixture *f)
{
	f->grace.over = f->grace.taken;
}

static inline bool fixture_barrier(void *ctx)
{
	struct fixture *f = ctx;

	f->barriers++;
	if (f->on_barrier)
		f->on_barrier(f);
	return !f->barrier_declines;
}

static inline void fixture_low(void *ctx, uint64_t free_frames)
{
	struct fixture *f = ctx;

	f->lows++;
	f->low_free = free_frames;
	if (f->on_low)
		f->on_low(f);
}

static inline void fixture_panic(void *ctx, const struct ramka_bug *bug)
{
	struct fixture *f = ctx;

	f->bug = *bug;
	f->bugs++;
	if (!bug->operation || !bug->what)
		fail_msg("a report without operation or text");
	for (unsigned i = 0; f->r && i < f->nr_cpus; i++)
		if (!f->cpu[i]->cacheless && ramka_load(&f->cpu[i]->active, relaxed, section.own))
			fail_msg("panic inside a section: %s: %s", bug->operation, bug->what);
	if (!f->expected)
		fail_msg("%s: %s (at %#llx, ref %#llx)", bug->operation, bug->what, (unsigned long long)bug->paddr,
			 (unsigned long long)bug->ref);
	if (f->jumps)
		longjmp(f->env, 1);
}

/* The statement must report exactly one bug, in `operation_`. By return or by longjmp, as the fixture says. */
#define EXPECT_BUG(f, operation_, ...)                                                                     \
	do {                                                                                               \
		unsigned before_ = (f)->bugs;                                                              \
		(f)->expected = 1;                                                                         \
		if (!(f)->jumps) {                                                                         \
			__VA_ARGS__;                                                                       \
		} else if (!setjmp((f)->env)) {                                                            \
			__VA_ARGS__;                                                                       \
			fail_msg("no panic in %s", operation_);                                            \
		}                                                                                          \
		(f)->expected = 0;                                                                         \
		assert_int_equal((f)->bugs, before_ + 1);                                                  \
		assert_string_equal((f)->bug.operation, operation_);                                       \
	} while (0)

/* ---- opening ---- */

static inline void *map_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail_msg("cannot map %zu bytes", bytes);
	/* what a test touches is what becomes resident, whatever the machine does with huge pages */
	(void)madvise(p, bytes, MADV_NOHUGEPAGE);
	return p;
}

/* The first and last byte that any region names. */
static inline void span_of(const struct ramka_region *g, size_t n, ramka_paddr_t *ret_base, uint64_t *ret_size)
{
	ramka_paddr_t low = UINT64_MAX, high = 0;

	for (size_t i = 0; i < n; i++) {
		if (!g[i].size)
			continue;
		low = g[i].base < low ? g[i].base : low;
		high = g[i].base + g[i].size > high ? g[i].base + g[i].size : high;
	}
	low = low < high ? low / PAGE * PAGE : 0;
	*ret_base = low;
	*ret_size = high > low ? (high - low + PAGE - 1) / PAGE * PAGE : 0;
}

static inline void fixture_config(struct fixture *f, const struct spec *s)
{
	f->region = (struct ramka_region){ BASE, s->size ? s->size : 8 * MIB, RAMKA_USABLE, 0 };
	f->nr_cpus = s->nr_cpus ? s->nr_cpus : 2;
	f->ops = (struct ramka_rcu_ops){
		.snapshot = grace_snapshot,
		.elapsed = grace_elapsed,
		.wait = s->no_wait ? NULL : grace_wait,
		.expedite = s->no_expedite ? NULL : grace_expedite,
		.ctx = &f->grace,
		.wait_bounded = s->bounded ? grace_wait_bounded : NULL,
	};
	f->cfg = (struct ramka_config){
		.regions = s->regions ? s->regions : &f->region,
		.nr_regions = s->regions ? s->nr_regions : 1,
		.nr_cpus = f->nr_cpus,
		.cpu_node = s->cpu_node,
		.meta_size = s->meta_size,
		.flags = s->flags,
		.rcu = s->rcu ? &f->ops : NULL,
		.barrier_all_cpus = s->no_barrier ? NULL : fixture_barrier,
		.panic = fixture_panic,
		.low_memory = s->low_watermark ? fixture_low : NULL,
		.min_watermark = s->min_watermark,
		.low_watermark = s->low_watermark,
		.high_water = s->high_water,
		.watch = s->watch,
		.cache_frames = s->cache_frames,
		.ctx = f,
	};
}

/* Metadata that ends at a page which may not be touched, so that a byte too far is found. */
static inline void fixture_metadata(struct fixture *f)
{
	size_t bytes = (f->metadata_bytes + PAGE - 1) / PAGE * PAGE;

	f->mapping_bytes = bytes + 2 * PAGE;
	f->mapping = map_pages(f->mapping_bytes);
	if (mprotect((uint8_t *)f->mapping + PAGE + bytes, PAGE, PROT_NONE) || mprotect(f->mapping, PAGE, PROT_NONE))
		fail_msg("mprotect");
	f->metadata = (uint8_t *)f->mapping + PAGE + bytes - (f->metadata_bytes + 63) / 64 * 64;
	if (!(f->cfg.flags & RAMKA_METADATA_ZEROED) && bytes < 64 * MIB)
		memset((uint8_t *)f->mapping + PAGE, 0xa5, bytes);
}

/* f->cfg is what fixture_config made of the spec, or that and more. */
static inline void fixture_start(struct fixture *f, const struct spec *s)
{
	int rc;

	span_of(f->cfg.regions, f->cfg.nr_regions, &f->base, &f->size);
	if (!(s->flags & RAMKA_NO_DIRECT_MAP) && f->size) {
		f->memory = map_pages(f->size);
		f->cfg.direct_map = (uintptr_t)f->memory - (uintptr_t)f->base;
	}
	assert_int_equal(ramka_metadata_size(&f->cfg, &f->metadata_bytes), 0);
	if (s->metadata_inside)
		f->metadata = f->memory + (f->size - f->metadata_bytes) / PAGE * PAGE;
	else
		fixture_metadata(f);
	rc = ramka_init(&f->cfg, f->metadata, f->metadata_bytes, &f->r);
	if (rc)
		fail_msg("ramka_init: %s", ramka_strerror(rc));
	for (unsigned i = 0; i < f->nr_cpus && i < MAX_CPUS; i++)
		f->cpu[i] = ramka_cpu_at(f->r, i);
	f->none = ramka_cpu_none(f->r);
	ramka_stats_read(f->r, &f->start);
}

static inline struct fixture *fixture_open(struct spec s)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fixture_config(f, &s);
	fixture_start(f, &s);
	return f;
}

/* ---- the audit ---- */

struct tally {
	const struct fixture *f;
	uint64_t state[RAMKA_STATE_ISOLATED + 1];
	uint64_t handed_out; /* frames of any order, without detached ones */
	ramka_paddr_t next;
	bool gap, started;
};

/* Frames of a run that the allocator handed out and did not get back. A tail belongs to its head. */
static inline uint64_t handed_out_in(const struct fixture *f, const struct ramka_run *run)
{
	const struct ramka_frame *slot = &f->r->slots[run->base / PAGE - f->r->first];
	uint64_t n = 0;

	if (run->state != RAMKA_STATE_UNIQUE && run->state != RAMKA_STATE_SHARED && run->state != RAMKA_STATE_DEFERRED &&
	    run->state != RAMKA_STATE_BUSY && run->state != RAMKA_STATE_SATURATED)
		return 0;
	for (uint64_t i = 0; i < run->frames; i++)
		n += !(slot_info(slot + i) & INFO_DETACHED);
	return n;
}

static inline bool tally_run(void *ctx, const struct ramka_run *run)
{
	struct tally *t = ctx;

	if (t->started && run->base != t->next)
		t->gap = true;
	t->started = true;
	t->next = run->base + run->frames * PAGE;
	t->state[run->state] += run->frames;
	t->handed_out += handed_out_in(t->f, run);
	return true;
}

/* Base frames by state, as ramka_walk shows them. */
static inline struct tally tally(const struct fixture *f)
{
	struct tally t = { .f = f };

	ramka_walk(f->r, tally_run, &t);
	assert_false(t.gap);
	return t;
}

static inline struct ramka_stats stats(const struct fixture *f)
{
	struct ramka_stats s;

	ramka_stats_read(f->r, &s);
	return s;
}

static inline uint64_t in_use(const struct fixture *f)
{
	return stats(f).in_use;
}

/* Every frame is in exactly one place, and all ways of counting agree. */
static inline void audit_at(const struct fixture *f, const char *file, int line)
{
	struct ramka_bug first = { .what = "?" };
	int defects = ramka_check(f->r, &first);
	struct ramka_stats s = stats(f);
	struct tally t = tally(f);
	uint64_t live = t.state[RAMKA_STATE_UNIQUE] + t.state[RAMKA_STATE_SHARED] + t.state[RAMKA_STATE_TAIL] +
			t.state[RAMKA_STATE_DEFERRED] + t.state[RAMKA_STATE_BUSY] + t.state[RAMKA_STATE_SATURATED];

	if (defects)
		fail_msg("%s:%d: %d defects, first: %s (at %#llx, ref %#llx)", file, line, defects, first.what,
			 (unsigned long long)first.paddr, (unsigned long long)first.ref);
	if (s.total != s.free + s.in_use + s.deferred + s.reserved + s.unused)
		fail_msg("%s:%d: the counts do not add up", file, line);
	if (s.free != t.state[RAMKA_STATE_FREE] + t.state[RAMKA_STATE_CACHED] + t.state[RAMKA_STATE_ISOLATED] ||
	    s.isolated != t.state[RAMKA_STATE_ISOLATED] || s.cached != t.state[RAMKA_STATE_CACHED] ||
	    s.unused != t.state[RAMKA_STATE_UNUSED] || s.reserved != t.state[RAMKA_STATE_RESERVED] ||
	    s.in_use + s.deferred != live)
		fail_msg("%s:%d: the counts are not what a walk finds", file, line);
	if (!f->bugs && s.allocs - s.puts != t.handed_out) /* what a misuse leaks may count in any way */
		fail_msg("%s:%d: %llu frames handed out and %llu given back, but %llu are in use", file, line,
			 (unsigned long long)s.allocs, (unsigned long long)s.puts, (unsigned long long)t.handed_out);
	if (s.peak_in_use < s.in_use)
		fail_msg("%s:%d: the peak is below what is in use", file, line);
}

#define AUDIT(f) audit_at(f, __FILE__, __LINE__)

/* All caches into the zones. */
static inline void offline_all(struct fixture *f)
{
	for (unsigned i = 0; i < f->nr_cpus; i++)
		ramka_cpu_offline(f->cpu[i]);
}

/* Not inline: gcc would see a free before a setjmp that might return a second time. */
static noinline __attribute__((unused)) void fixture_unmap(struct fixture *f)
{
	if (f->memory)
		munmap(f->memory, f->size);
	if (f->mapping)
		munmap(f->mapping, f->mapping_bytes);
	free(f);
}

/*
 * Audits, with all caches given back as well; with nothing in use the memory must be what it was, down to the number
 * of free frames of each order. `leaked`: base frames that the test left in use.
 */
static inline void fixture_close_at(struct fixture *f, uint64_t leaked, const char *file, int line)
{
	struct ramka_stats s;

	audit_at(f, file, line);
	ramka_reclaim(f->cpu[0], true);
	offline_all(f);
	audit_at(f, file, line);
	s = stats(f);
	if (s.in_use != leaked || s.deferred)
		fail_msg("%s:%d: %llu base frames in use, %llu deferred, %llu in use expected", file, line,
			 (unsigned long long)s.in_use, (unsigned long long)s.deferred, (unsigned long long)leaked);
	if (s.cached)
		fail_msg("%s:%d: frames are cached although every CPU is offline", file, line);
	if (!leaked && !f->grown &&
	    (s.free != f->start.free || s.unused != f->start.unused || s.free_huge != f->start.free_huge ||
	     memcmp(s.free_by_order, f->start.free_by_order, sizeof(s.free_by_order))))
		fail_msg("%s:%d: the free memory is not what it was", file, line);
	assert_true(leaked || ramka_contracts_clean(f->r));
	assert_int_equal(ramka_fini(f->r), leaked ? RAMKA_E_BUSY : 0);
	fixture_unmap(f);
}

#define CLOSE(f) fixture_close_at(f, 0, __FILE__, __LINE__)
#define CLOSE_LEAKING(f, n) fixture_close_at(f, n, __FILE__, __LINE__)

/* ---- shorthands ---- */

static inline uint8_t *bytes_at(const struct fixture *f, ramka_paddr_t pa)
{
	return f->memory + (pa - f->base);
}

static inline bool all_bytes(const uint8_t *p, uint8_t value, size_t n)
{
	return !n || (p[0] == value && !memcmp(p, p + 1, n - 1));
}

static inline struct ramka_frame *slot_at(const struct fixture *f, ramka_paddr_t pa)
{
	struct ramka_frame *slot = NULL;

	assert_int_equal(instance_slot(f->r, pa, &slot), 0);
	return slot;
}

/* State of the base frame at pa, as a walk shows it. */
struct state_query {
	ramka_paddr_t pa;
	struct ramka_run run;
};

static inline bool state_run(void *ctx, const struct ramka_run *run)
{
	struct state_query *q = ctx;

	if (q->pa < run->base || q->pa - run->base >= run->frames * PAGE)
		return true;
	q->run = *run;
	return false;
}

static inline enum ramka_state state_at(const struct fixture *f, ramka_paddr_t pa)
{
	struct state_query q = { .pa = pa, .run = { .state = RAMKA_STATE_HOLE } };

	ramka_walk(f->r, state_run, &q);
	return q.run.state;
}

/* Allocates until there is no more: how many, into a table of at most `max`. */
static inline size_t alloc_all(struct ramka_cpu *cpu, struct ramka_request req, struct ramka_frame **frames, size_t max)
{
	size_t n = 0;

	while (n < max && (frames[n] = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req)))
		n++;
	return n;
}

static inline void put_all(struct ramka_cpu *cpu, struct ramka_frame **frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ramka_frame_put(cpu, frames[i]);
}

static inline struct ramka_frame **frame_table(size_t n)
{
	struct ramka_frame **t = calloc(n, sizeof(struct ramka_frame *));

	assert_non_null(t);
	return t;
}

static inline struct ramka_frame *must_alloc(struct ramka_cpu *cpu, struct ramka_request req)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req);

	assert_non_null(f);
	return f;
}

/* A handler that lands on this CPU inside a call: what is called between these two is nested. */
static inline void interrupt_begin(struct ramka_cpu *cpu)
{
	ramka_store(&cpu->active, 1, relaxed, section.own);
}

static inline void interrupt_end(struct ramka_cpu *cpu)
{
	ramka_store(&cpu->active, 0, relaxed, section.own);
}

/* A small generator, seeded: the same sequence everywhere. splitmix64. */
static inline uint64_t random_next(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The ledgers of the contract build count to 2^32, a state word to 2^59. */
static inline void skip_in_contract_build(void)
{
	if (CONTRACTS)
		skip();
}

/* A stack on which a million nested calls have no room; the sanitizer's frames are larger. */
#if defined(__SANITIZE_ADDRESS__)
# define SMALL_STACK (128 * KIB)
#else
# define SMALL_STACK (16 * KIB)
#endif

#endif
