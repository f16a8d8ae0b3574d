/* SPDX-License-Identifier: MIT */
/*
 * The stress. Every CPU allocates, shares, looks up, hands to others and frees frames of orders 0 to 10; timer
 * interrupts do the same on the handle of the CPU that they interrupt, nested.
 *
 * Two oracles watch, neither of which asks ramka. The owner array (memory.c) has a word per base frame: taking a
 * frame exchanges each of its words from 0 to a tag, giving it back exchanges the tag to 0; any other old value
 * is a frame handed out twice, or freed while in use. And every base frame carries a stamp made of tag and
 * address at both ends, written through the direct map and verified before it is given back. A frame is given
 * back by on_drop, which also sees whether ramka calls it once per frame, and not before the grace period.
 */
#include "kernel.h"

#define HELD 48                  /* frames that a CPU holds at a time */
#define HELD_IRQ 4               /* and its interrupt handlers, per nesting depth */
#define MAILBOXES 64             /* frames on their way from one CPU to another */
#define PUBLISHED 32             /* frames that readers find without a reference, under RCU */
#define STRESS_MAX_ORDER 10

struct object {
	uint32_t tag;
	uint32_t order;
};

static void object_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content);

static RAMKA_DEFINE_TYPE(object_type, struct object, .id = RAMKA_TYPE_ID_USER, .flags = RAMKA_TYPE_UNTYPED,
			 .on_drop = object_drop);

static struct ramka_frame *_Atomic mailbox[MAILBOXES];
static struct ramka_frame *_Atomic published[PUBLISHED];
static struct ramka_frame *_Atomic irq_held[MAX_CPUS][MAX_IRQ_DEPTH + 1][HELD_IRQ];
static _Atomic uint32_t next_tag[MAX_CPUS];
static _Atomic uint64_t no_memory, drains, lookups;
static struct ramka_stats at_start;

/* ---- the oracles ---- */

/* Never 0, and different for each allocation of a while. */
static uint32_t new_tag(struct cpu *cpu)
{
	uint32_t n = atomic_fetch_add_explicit(&next_tag[cpu->id], 1, memory_order_relaxed);

	return (n & 0xffffff) << 8 | (cpu->id + 1);
}

static uint64_t stamp(uint32_t tag, ramka_paddr_t pa)
{
	return (uint64_t)tag << 32 ^ pa >> RAMKA_PAGE_SHIFT ^ 0x5a00000000000000u;
}

static void take(uint32_t tag, ramka_paddr_t pa, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++, pa += RAMKA_PAGE_SIZE) {
		uint64_t *content = direct_map(pa);
		uint64_t frame = pa >> RAMKA_PAGE_SHIFT;
		uint32_t old;

		REQUIRE(frame && frame < oracle_frames);
		old = atomic_exchange(&oracle[frame], tag);
		if (old)
			fail("frame %llx is handed out twice: tag %x has it", (unsigned long long)pa, old);
		content[0] = content[RAMKA_PAGE_SIZE / 8 - 1] = stamp(tag, pa);
	}
}

static void verify(uint32_t tag, ramka_paddr_t pa, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++, pa += RAMKA_PAGE_SIZE) {
		const uint64_t *content = direct_map(pa);

		if (content[0] != stamp(tag, pa) || content[RAMKA_PAGE_SIZE / 8 - 1] != stamp(tag, pa))
			fail("frame %llx of tag %x was written by another: %llx, %llx", (unsigned long long)pa, tag,
			     (unsigned long long)content[0],
			     (unsigned long long)content[RAMKA_PAGE_SIZE / 8 - 1]);
	}
}

static void give(uint32_t tag, ramka_paddr_t pa, unsigned order)
{
	verify(tag, pa, order);
	for (uint64_t i = 0; i < 1ull << order; i++, pa += RAMKA_PAGE_SIZE) {
		uint64_t *content = direct_map(pa);
		uint32_t old;

		content[0] = content[RAMKA_PAGE_SIZE / 8 - 1] = 0xdeadu;
		old = atomic_exchange(&oracle[pa >> RAMKA_PAGE_SHIFT], 0);
		if (old != tag)
			fail("frame %llx of tag %x is freed, but its owner is %x", (unsigned long long)pa, tag, old);
	}
}

static void object_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	const struct object *o = meta;

	(void)cpu;
	REQUIRE(content == direct_map(paddr));
	give(o->tag, paddr, o->order);
}

/* ---- frames that the oracles watch ---- */

static void verify_zeroed(const struct ramka_frame *f)
{
	const uint64_t *content = ramka_frame_content(memory, f);
	size_t words = ramka_frame_size(f) / sizeof(*content);

	for (size_t i = 0; i < words; i += 61)
		REQUIRE(content[i] == 0);
	REQUIRE(content[words - 1] == 0);
}

struct ramka_frame *watched_alloc(struct cpu *cpu, unsigned order)
{
	struct object o = { .tag = new_tag(cpu), .order = order };
	struct ramka_request req = { .order = (uint8_t)order };
	struct ramka_frame *f;

	if (order > 2 || o.tag & 0x100)
		req.flags = RAMKA_ALLOC_UNINIT;
	f = ramka_frame_alloc(memory_cpu(), &object_type, &o, req);
	if (!f) {
		atomic_fetch_add_explicit(&no_memory, 1, memory_order_relaxed);
		return NULL;
	}
	REQUIRE(ramka_frame_order(f) == order);
	REQUIRE(ramka_frame_paddr(memory, f) % ramka_frame_size(f) == 0);
	if (!(req.flags & RAMKA_ALLOC_UNINIT))
		verify_zeroed(f);
	take(o.tag, ramka_frame_paddr(memory, f), order);
	return f;
}

uint32_t watched_verify(struct ramka_frame *f)
{
	const struct object *o = ramka_frame_meta_as(memory, f, &object_type);

	REQUIRE(o && o->order == ramka_frame_order(f));
	verify(o->tag, ramka_frame_paddr(memory, f), o->order);
	return o->tag;
}

static void drop(struct ramka_frame *f)
{
	if (f)
		ramka_frame_put(memory_cpu(), f);
}

/* Half of all requests are for a base frame; the largest are rare. */
static unsigned random_order(struct cpu *cpu)
{
	uint64_t x = cpu_random(cpu);
	unsigned order = 0;

	while (order < STRESS_MAX_ORDER && (x & 1)) {
		x >>= 1;
		order++;
	}
	return order;
}

/* ---- one operation each ---- */

static void replace_held(struct cpu *cpu, struct ramka_frame **slot)
{
	drop(*slot);
	*slot = watched_alloc(cpu, random_order(cpu));
}

/* A second reference goes to whoever picks it up: the last put may come from any CPU. */
static void share(struct cpu *cpu, struct ramka_frame *f)
{
	if (!f)
		return;
	watched_verify(f);
	REQUIRE(ramka_frame_get(memory, f) == f);
	f = atomic_exchange(&mailbox[cpu_random(cpu) % MAILBOXES], f);
	if (f)
		watched_verify(f);
	drop(f);
}

static void unique(struct cpu *cpu, struct ramka_frame **slot)
{
	unsigned order = random_order(cpu) / 2;
	struct object o = { .tag = new_tag(cpu), .order = order };
	struct ramka_unique *u = ramka_unique_alloc(memory_cpu(), &object_type, &o,
						    (struct ramka_request){ .order = (uint8_t)order,
									    .flags = RAMKA_ALLOC_UNINIT });
	struct ramka_frame *f;

	if (!u)
		return;
	take(o.tag, ramka_unique_paddr(memory, u), order);
	REQUIRE(ramka_frame_from_in_use(memory, ramka_unique_paddr(memory, u), &f) == RAMKA_E_UNIQUE);
	if (cpu_random(cpu) % 2) {
		ramka_unique_free(memory_cpu(), u);
		return;
	}
	f = ramka_unique_share(memory, u);
	REQUIRE(f);
	drop(*slot);
	*slot = f;
}

static void publish(struct cpu *cpu)
{
	struct ramka_frame *f = watched_alloc(cpu, random_order(cpu) / 3);

	f = atomic_exchange(&published[cpu_random(cpu) % PUBLISHED], f);
	if (f && ramka_frame_put_rcu(memory_cpu(), f) == RAMKA_PRESSURE)
		memory_reclaim();
}

/* No reference is taken: until memory_quiescent() the frame must stay what it is, even when it is unpublished. */
static void read_published(struct cpu *cpu)
{
	struct ramka_frame *f = atomic_load(&published[cpu_random(cpu) % PUBLISHED]);
	uint32_t tag;

	if (!f)
		return;
	tag = watched_verify(f);
	for (unsigned i = 0; i < 4; i++) {
		relax();
		REQUIRE(watched_verify(f) == tag);
	}
}

/* By address, as a fault handler would: what is found may be anything by now, but what is held stays. */
static void look_up(struct cpu *cpu, ramka_paddr_t guess)
{
	struct ramka_frame *f;

	(void)cpu;
	if (ramka_frame_from_in_use(memory, guess, &f))
		return;
	REQUIRE(ramka_frame_paddr(memory, f) == guess);
	if (ramka_frame_meta_as(memory, f, &object_type))
		atomic_fetch_add_explicit(&lookups, 1, memory_order_relaxed);
	drop(f);
}

static void bulk(void)
{
	struct ramka_frame *frames[32];
	size_t n = ramka_frame_alloc_bulk(memory_cpu(), &ramka_type_untyped,
					  (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, 32, frames);

	for (size_t i = 0; i < n; i++)
		take(~0u, ramka_frame_paddr(memory, frames[i]), 0);
	for (size_t i = 0; i < n; i++)
		give(~0u, ramka_frame_paddr(memory, frames[i]), 0);
	ramka_frame_put_bulk(memory_cpu(), n, frames);
}

static void segment_meta(void *ctx, ramka_paddr_t pa, void *meta)
{
	struct object *o = meta;

	o->tag = *(uint32_t *)ctx;
	o->order = 0;
	take(o->tag, pa, 0);
}

static void segment(struct cpu *cpu)
{
	struct ramka_segment whole, left, right;
	uint32_t tag = new_tag(cpu);
	uint64_t frames = 2 + cpu_random(cpu) % 40;

	if (ramka_segment_alloc(memory_cpu(), frames, &object_type, segment_meta, &tag,
				(struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, &whole))
		return;
	REQUIRE(!ramka_segment_split(memory, whole, (1 + cpu_random(cpu) % (frames - 1)) * RAMKA_PAGE_SIZE, &left,
				     &right));
	ramka_segment_put(memory_cpu(), right);
	ramka_segment_put(memory_cpu(), left);
}

static void operation(struct cpu *cpu, struct ramka_frame **held)
{
	struct ramka_frame **slot = &held[cpu_random(cpu) % HELD];
	unsigned dice = cpu_random(cpu) % 1000;

	if (dice < 400)
		replace_held(cpu, slot);
	else if (dice < 550)
		share(cpu, *slot);
	else if (dice < 650)
		unique(cpu, slot);
	else if (dice < 750)
		publish(cpu);
	else if (dice < 900)
		read_published(cpu);
	else if (dice < 970)
		look_up(cpu, cpu_random(cpu) % oracle_frames * RAMKA_PAGE_SIZE);
	else if (dice < 985)
		bulk();
	else if (dice < 997)
		segment(cpu);
	else if (dice < 999)
		memory_reclaim();
	else {
		ramka_drain(memory);
		atomic_fetch_add_explicit(&drains, 1, memory_order_relaxed);
	}
}

/*
 * What a timer interrupt does, on the handle of the CPU that it came to, which may be inside a call of ramka. It
 * must not read published frames: whoever it interrupts may be offline.
 */
static void interrupt(struct cpu *cpu)
{
	unsigned depth = cpu->irq_depth;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t x = cpu_random(cpu);
		struct ramka_frame *f = watched_alloc(cpu, x % 16 ? 0 : x / 16 % 4);

		x >>= 16;
		if (x % 4 == 0)
			f = atomic_exchange(&mailbox[x / 4 % MAILBOXES], f);
		else
			f = atomic_exchange(&irq_held[cpu->id][depth][x / 4 % HELD_IRQ], f);
		if (!f)
			continue;
		watched_verify(f);
		if (x >> 32 & 1)
			ramka_frame_put_rcu(memory_cpu(), f);
		else
			drop(f);
	}
	if ((cpu_random(cpu) & 255) == 0)
		ramka_drain(memory);
}

/* ---- the tests ---- */

void stress_setup(void)
{
	REQUIRE(!ramka_type_register(memory, &object_type));
	ramka_drain(memory);
	ramka_stats_read(memory, &at_start);
	print("memory: %llu MiB, %llu MiB free in %llu whole blocks of 2 MiB, %llu frames reserved\n",
	      (unsigned long long)at_start.total >> 8, (unsigned long long)at_start.free >> 8,
	      (unsigned long long)at_start.free_huge, (unsigned long long)at_start.reserved);
}

void stress_test(struct cpu *cpu, uint64_t ops)
{
	struct ramka_frame *held[HELD] = { NULL };

	atomic_store(&timer_hook, interrupt);
	for (uint64_t i = 1; i <= ops; i++) {
		operation(cpu, held);
		if (i % 8 == 0)
			memory_quiescent();
		if (cpu->id == 0 && i % (ops / 4 + 1) == 0)
			print("  %llu of %llu\n", (unsigned long long)i, (unsigned long long)ops);
	}
	for (unsigned i = 0; i < HELD; i++)
		drop(held[i]);
}

/*
 * All CPUs take frames until there are none, then each frees what another took. The frames of a CPU form a chain
 * through their contents.
 */
void exhaustion_test(struct cpu *cpu)
{
	static struct ramka_frame *chains[MAX_CPUS];
	struct ramka_frame *chain = NULL, *f;
	struct ramka_stats stats;

	while ((f = watched_alloc(cpu, 0))) {
		((struct ramka_frame **)ramka_frame_content(memory, f))[1] = chain;
		chain = f;
	}
	chains[cpu->id] = chain;
	smp_rendezvous();
	if (cpu->id == 0) {
		ramka_stats_read(memory, &stats);
		print("  exhausted: %llu frames left\n", (unsigned long long)stats.free);
	}
	smp_rendezvous();
	for (chain = chains[(cpu->id + 1) % nr_cpus]; chain; chain = f) {
		f = ((struct ramka_frame **)ramka_frame_content(memory, chain))[1];
		drop(chain);
	}
}

static void drop_all(struct ramka_frame *_Atomic *slots, size_t n)
{
	for (size_t i = 0; i < n; i++)
		drop(atomic_exchange(&slots[i], NULL));
}

void stress_settle(void)
{
	struct ramka_stats now;
	struct ramka_bug bug;
	int defects;

	atomic_store(&timer_hook, NULL);
	smp_barrier(NULL);
	drop_all(mailbox, MAILBOXES);
	drop_all(published, PUBLISHED);
	drop_all(&irq_held[0][0][0], sizeof(irq_held) / sizeof(irq_held[0][0][0]));
	memory_reclaim();
	ramka_drain(memory);

	ramka_stats_read(memory, &now);
	print("settled: %llu free of %llu at the start, %llu in use, %llu deferred, %llu cached, %llu blocks of 2 MiB\n",
	      (unsigned long long)now.free, (unsigned long long)at_start.free, (unsigned long long)now.in_use,
	      (unsigned long long)now.deferred, (unsigned long long)now.cached, (unsigned long long)now.free_huge);
	print("%llu requests without memory, %llu drains, %llu looked up by address\n",
	      (unsigned long long)atomic_load(&no_memory), (unsigned long long)atomic_load(&drains),
	      (unsigned long long)atomic_load(&lookups));
	for (uint64_t i = 0; i < oracle_frames; i++) {
		if (oracle[i])
			fail("frame %llx was never given back by %x", (unsigned long long)i * RAMKA_PAGE_SIZE, oracle[i]);
	}
	REQUIRE(now.total == at_start.total && now.reserved == at_start.reserved);
	REQUIRE(now.free == at_start.free && now.in_use == at_start.in_use && now.deferred == 0);
	REQUIRE(now.cached == 0 && now.free_huge == at_start.free_huge);
	defects = ramka_check(memory, &bug);
	if (defects)
		fail("audit: %d defects, the first: %s, %s, frame %llx", defects, bug.operation, bug.what,
		     (unsigned long long)bug.paddr);
	REQUIRE(ramka_contracts_clean(memory));
}
