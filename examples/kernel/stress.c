/* SPDX-License-Identifier: MIT */
/*
 * The stress. Every CPU allocates, shares, looks up, hands to others and frees frames of orders 0 to 10;
 * timer interrupts do the same on the handle of the CPU that they interrupt, nested.
 *
 * Two oracles watch, neither of which asks ramka. The owner array (memory.c) has a word per base frame:
 * taking a frame exchanges each of its words from 0 to a tag, giving it back exchanges the tag to 0; any
 * other old value is a frame handed out twice, or freed while in use. And every base frame carries a stamp
 * made of tag and address at both ends, written through the direct map and verified before it is given
 * back. A frame is given back by on_drop, which also sees whether ramka calls it once per frame, and not
 * before the grace period.
 */
#include "kernel.h"

#define HELD 48                  /* frames that a CPU holds at a time */
#define READS 16                 /* frames that it reads without a reference, until it is quiescent */
#define HELD_IRQ 4               /* and its interrupt handlers, per nesting depth */
#define MAILBOXES 64             /* frames on their way from one CPU to another */
#define PUBLISHED 32             /* frames that readers find without a reference, under RCU */
#define STRESS_MAX_ORDER 10

struct object {
	uint32_t tag;
	uint32_t order;
};

/* What one CPU has in hand. */
struct worker {
	struct cpu *cpu;
	struct ramka_frame *held[HELD];
	struct {
		struct ramka_frame *frame;
		uint32_t tag;
	} reads[READS];
	unsigned nr_reads;
};

static void object_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content);

static RAMKA_DEFINE_TYPE(object_type, struct object, .id = RAMKA_TYPE_ID_USER, .flags = RAMKA_TYPE_UNTYPED,
			 .on_drop = object_drop);

static struct ramka_frame *_Atomic mailbox[MAILBOXES];
static struct ramka_frame *_Atomic published[PUBLISHED];
static struct ramka_frame *_Atomic irq_held[MAX_CPUS][MAX_IRQ_DEPTH + 2][HELD_IRQ];
static _Atomic uint32_t next_tag[MAX_CPUS];
static _Atomic uint64_t no_memory, drains, lookups, claims;
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
			fail("frame %lx is handed out twice: tag %x has it", pa, old);
		content[0] = content[RAMKA_PAGE_SIZE / 8 - 1] = stamp(tag, pa);
	}
}

static void verify(uint32_t tag, ramka_paddr_t pa, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++, pa += RAMKA_PAGE_SIZE) {
		const uint64_t *content = direct_map(pa);

		if (content[0] != stamp(tag, pa) || content[RAMKA_PAGE_SIZE / 8 - 1] != stamp(tag, pa))
			fail("frame %lx of tag %x was written by another: %lx, %lx", pa, tag, content[0],
			     content[RAMKA_PAGE_SIZE / 8 - 1]);
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
			fail("frame %lx of tag %x is freed, but its owner is %x", pa, tag, old);
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

uint32_t watched_take(struct cpu *cpu, ramka_paddr_t pa)
{
	uint32_t tag = new_tag(cpu);

	take(tag, pa, 0);
	return tag;
}

void watched_give(uint32_t tag, ramka_paddr_t pa)
{
	give(tag, pa, 0);
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

/* ---- reading under RCU ---- */

/* All that was read since the last time is still what it was; from here on it may be anything. */
static void quiescent(struct worker *w)
{
	while (w->nr_reads) {
		w->nr_reads--;
		REQUIRE(watched_verify(w->reads[w->nr_reads].frame) == w->reads[w->nr_reads].tag);
	}
	memory_quiescent();
}

static void reclaim(struct worker *w)
{
	quiescent(w);
	memory_reclaim();
}

/* No reference is taken: until quiescent() the frame must stay what it is, even when it is unpublished. */
static struct ramka_frame *read_published(struct worker *w)
{
	struct ramka_frame *f = atomic_load(&published[cpu_random(w->cpu) % PUBLISHED]);

	if (f && w->nr_reads < READS) {
		w->reads[w->nr_reads].frame = f;
		w->reads[w->nr_reads++].tag = watched_verify(f);
	}
	return f;
}

/* Replaces some of what is published, up to several bags full. */
static void publish(struct worker *w, unsigned n)
{
	while (n--) {
		struct ramka_frame *f = watched_alloc(w->cpu, random_order(w->cpu) / 3);

		f = atomic_exchange(&published[cpu_random(w->cpu) % PUBLISHED], f);
		if (f && ramka_frame_put_rcu(memory_cpu(), f) == RAMKA_PRESSURE)
			reclaim(w);
	}
}

/*
 * A reference by the address of a published frame. Until quiescent() that frame cannot become another one,
 * so a reference that is given is one to it; it is refused when the frame waits for its grace period.
 */
static void look_up_published(struct worker *w)
{
	struct ramka_frame *f = read_published(w), *found;
	uint32_t tag;
	int error;

	if (!f)
		return;
	tag = watched_verify(f);
	error = ramka_frame_from_in_use(memory, ramka_frame_paddr(memory, f), &found);
	if (error) {
		REQUIRE(error == RAMKA_E_BUSY);
		return;
	}
	atomic_fetch_add_explicit(&lookups, 1, memory_order_relaxed);
	REQUIRE(found == f);
	quiescent(w);
	REQUIRE(watched_verify(found) == tag);
	drop(found);
}

/* ---- other operations ---- */

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
	struct ramka_request req = { .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_unique *u = ramka_unique_alloc(memory_cpu(), &object_type, &o, req);
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

/* By address, as a fault handler would: what is found may be anything by now, but what is held stays. */
static void look_up_anywhere(struct cpu *cpu)
{
	ramka_paddr_t guess = cpu_random(cpu) % oracle_frames * RAMKA_PAGE_SIZE;
	struct ramka_frame *f;

	if (ramka_frame_from_in_use(memory, guess, &f))
		return;
	REQUIRE(ramka_frame_paddr(memory, f) == guess);
	drop(f);
}

/* As for a device that reaches the first 4 GiB only. */
static void low_memory(struct cpu *cpu, struct ramka_frame **slot)
{
	struct object o = { .tag = new_tag(cpu), .order = random_order(cpu) / 2 };
	struct ramka_request req = { .order = (uint8_t)o.order, .addr_bits = 32,
				     .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_frame *f = ramka_frame_alloc(memory_cpu(), &object_type, &o, req);

	if (!f)
		return;
	REQUIRE(ramka_frame_paddr(memory, f) + ramka_frame_size(f) <= 1ull << 32);
	take(o.tag, ramka_frame_paddr(memory, f), o.order);
	drop(*slot);
	*slot = f;
}

/* Exactly that frame, if it is free and no other CPU has it in its cache. */
static void claim(struct cpu *cpu, struct ramka_frame **slot)
{
	ramka_paddr_t pa = cpu_random(cpu) % oracle_frames * RAMKA_PAGE_SIZE;
	struct object o = { .tag = new_tag(cpu), .order = 0 };
	struct ramka_frame *f;

	if (pa == 0 || ramka_frame_from_unused(memory_cpu(), pa, &object_type, &o, &f))
		return;
	REQUIRE(ramka_frame_paddr(memory, f) == pa);
	take(o.tag, pa, 0);
	atomic_fetch_add_explicit(&claims, 1, memory_order_relaxed);
	drop(*slot);
	*slot = f;
}

/* Alone with a frame: change its metadata, then share it again. */
static void make_unique(struct cpu *cpu, struct ramka_frame *f)
{
	struct ramka_unique *u = f ? ramka_frame_try_unique(memory, f) : NULL;
	struct object *o;

	if (!u)
		return;
	o = ramka_unique_meta(memory, u);
	give(o->tag, ramka_unique_paddr(memory, u), o->order);
	o->tag = new_tag(cpu);
	take(o->tag, ramka_unique_paddr(memory, u), o->order);
	REQUIRE(ramka_unique_share(memory, u) == f);
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
	uint64_t frames = 2 + cpu_random(cpu) % 40, cut = 1 + cpu_random(cpu) % (frames - 1);

	if (ramka_segment_alloc(memory_cpu(), frames, &object_type, segment_meta, &tag,
				(struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT }, &whole))
		return;
	REQUIRE(!ramka_segment_split(memory, whole, cut * RAMKA_PAGE_SIZE, &left, &right));
	ramka_segment_put(memory_cpu(), right);
	ramka_segment_put(memory_cpu(), left);
}

static void operation(struct worker *w)
{
	struct cpu *cpu = w->cpu;
	struct ramka_frame **slot = &w->held[cpu_random(cpu) % HELD];
	unsigned dice = cpu_random(cpu) % 1000;

	if (dice < 370)
		replace_held(cpu, slot);
	else if (dice < 490)
		share(cpu, *slot);
	else if (dice < 570)
		unique(cpu, slot);
	else if (dice < 600)
		make_unique(cpu, *slot);
	else if (dice < 700)
		publish(w, 1);
	else if (dice < 704)
		publish(w, 150);
	else if (dice < 850)
		read_published(w);
	else if (dice < 910)
		look_up_published(w);
	else if (dice < 940)
		look_up_anywhere(cpu);
	else if (dice < 960)
		claim(cpu, slot);
	else if (dice < 970)
		low_memory(cpu, slot);
	else if (dice < 980)
		bulk();
	else if (dice < 990)
		segment(cpu);
	else if (dice < 997)
		ramka_reclaim(memory_cpu(), false);
	else if (dice < 999)
		reclaim(w);
	else {
		ramka_drain(memory);
		atomic_fetch_add_explicit(&drains, 1, memory_order_relaxed);
	}
}

/*
 * What an interrupt does, on the handle of the CPU that it came to, which may be inside a call of ramka. It
 * must not read published frames: whoever it interrupts may be offline.
 */
static void interrupt(struct cpu *cpu)
{
	unsigned depth = cpu->irq_depth;
	bool pressure = false;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t x = cpu_random(cpu);
		struct ramka_frame *f = watched_alloc(cpu, x % 16 ? 0 : x / 16 % 4);
		bool out_of_memory = !f;

		x >>= 16;
		if (x % 4 == 0)
			f = atomic_exchange(&mailbox[x / 4 % MAILBOXES], f);
		else
			f = atomic_exchange(&irq_held[cpu->id][depth][x / 4 % HELD_IRQ], f);
		if (f) {
			watched_verify(f);
			if (x >> 32 & 1 && !pressure)
				pressure = ramka_frame_put_rcu(memory_cpu(), f) == RAMKA_PRESSURE;
			else
				drop(f);
		}
		if (out_of_memory)
			break;
	}
	if ((cpu_random(cpu) & 255) == 0)
		ramka_drain(memory);
}

/*
 * For times without memory: a request that fails has emptied the caches of all CPUs before, which means
 * IPIs, and they are slow where CPUs are emulated by fewer.
 */
static void seldom(struct cpu *cpu)
{
	if (cpu_random(cpu) % 16 == 0)
		interrupt(cpu);
}

void stress_interrupts(struct cpu *cpu, bool often)
{
	smp_set_timer_hook(cpu, often ? interrupt : seldom);
}

/* ---- the tests ---- */

void stress_setup(void)
{
	REQUIRE(!ramka_type_register(memory, &object_type));
	ramka_drain(memory);
	ramka_stats_read(memory, &at_start);
	print("memory: %lu MiB, %lu MiB free in %lu whole blocks of 2 MiB, %lu frames reserved\n",
	      at_start.total >> 8, at_start.free >> 8, at_start.free_huge, at_start.reserved);
}

/* As if ramka had handed out to another what this CPU holds. */
static void plant_fault(struct worker *w)
{
	for (unsigned i = 0; i < HELD; i++) {
		if (w->held[i])
			atomic_store(&oracle[ramka_frame_index(memory, w->held[i])], UINT32_MAX);
	}
}

void stress_test(struct cpu *cpu, uint64_t ops)
{
	struct worker w = { .cpu = cpu };

	stress_interrupts(cpu, true);
	for (uint64_t i = 1; i <= ops; i++) {
		operation(&w);
		if (i == ops / 2 && cpu->id == nr_cpus - 1 && fault_planted("stress"))
			plant_fault(&w);
		if (cpu_random(cpu) % 16 == 0)
			quiescent(&w);
		if (cpu->id == 0 && i % (ops / 4 + 1) == 0)
			print("  %lu of %lu\n", i, ops);
	}
	quiescent(&w);
	for (unsigned i = 0; i < HELD; i++)
		drop(w.held[i]);
}

/* Until somebody says that it is over, which each CPU asks for at moments when it reads nothing. */
void stress_while(struct cpu *cpu, bool (*go_on)(struct cpu *cpu))
{
	struct worker w = { .cpu = cpu };

	do {
		for (unsigned i = 0; i < 8; i++)
			operation(&w);
		quiescent(&w);
	} while (go_on(cpu));
	for (unsigned i = 0; i < HELD; i++)
		drop(w.held[i]);
}

/* A frame of a block that was free broke. */
void stress_one_broken(void)
{
	at_start.free--;
	at_start.reserved++;
	at_start.free_huge--;
}

/*
 * One CPU empties the caches of the others all the time, while they do nothing but use them: the barrier IPI
 * finds many of them in the middle of a call, and there they stay until the drain is over, or nearly so. The
 * owner array alone watches, for speed.
 */
#define DRAINS 400               /* over the number of CPUs */
#define BATCH 48
#define LINGER 20000             /* who waits has no CPU to itself: not for ever */

static atomic_uint drained;

static void linger(void)
{
	unsigned now = atomic_load(&drained);

	for (unsigned i = 0; i < LINGER && atomic_load(&drained) == now; i++)
		relax();
}

void drain_test(struct cpu *cpu)
{
	static atomic_bool stop;
	static atomic_uint batches;
	struct ramka_request req = { .flags = RAMKA_ALLOC_UNINIT };
	struct ramka_frame *frames[BATCH];

	atomic_store(&stop, false);
	smp_set_timer_hook(cpu, NULL);
	atomic_store(&smp_after_barrier, linger);
	for (unsigned i = 0; cpu->id == 0 && i < DRAINS / nr_cpus; i++) {
		unsigned before = atomic_load(&batches);

		while (nr_cpus > 1 && atomic_load(&batches) == before)
			relax();
		for (unsigned n = cpu_random(cpu) % 2048; n--;)
			relax();
		ramka_drain(memory);
		atomic_fetch_add(&drained, 1);
	}
	if (cpu->id == 0)
		atomic_store(&stop, true);
	while (!atomic_load(&stop)) {
		unsigned n = 0;

		for (; n < BATCH; n++) {
			frames[n] = ramka_frame_alloc(memory_cpu(), &ramka_type_untyped, NULL, req);
			if (!frames[n])
				break;
			if (atomic_exchange(&oracle[ramka_frame_index(memory, frames[n])], cpu->id + 1))
				fail("frame %lx is handed out twice", ramka_frame_paddr(memory, frames[n]));
		}
		while (n--) {
			if (atomic_exchange(&oracle[ramka_frame_index(memory, frames[n])], 0) != cpu->id + 1)
				fail("frame %lx has another owner", ramka_frame_paddr(memory, frames[n]));
			drop(frames[n]);
		}
		atomic_fetch_add(&batches, 1);
		memory_quiescent();
	}
	atomic_store(&smp_after_barrier, NULL);
	stress_interrupts(cpu, true);
}

/* A chain of frames, linked through their contents. */
static struct ramka_frame **next_of(struct ramka_frame *f)
{
	return &((struct ramka_frame **)ramka_frame_content(memory, f))[1];
}

static uint64_t take_all(struct cpu *cpu, struct ramka_frame **chain)
{
	struct ramka_frame *f;
	uint64_t n = 0;

	for (; (f = watched_alloc(cpu, 0)); n++) {
		*next_of(f) = *chain;
		*chain = f;
	}
	return n;
}

/* The only frame that there is waits for a grace period, and so does who wants one. */
static void wait_for_memory(struct cpu *cpu, struct ramka_frame **chain)
{
	struct object o = { .tag = new_tag(cpu), .order = 0 };
	struct ramka_request req = { .flags = RAMKA_ALLOC_WAIT };
	struct ramka_frame *f = *chain;

	*chain = *next_of(f);
	REQUIRE(!ramka_frame_put_rcu(memory_cpu(), f));
	memory_offline();
	f = ramka_frame_alloc(memory_cpu(), &object_type, &o, req);
	memory_online();
	REQUIRE(f);
	verify_zeroed(f);
	take(o.tag, ramka_frame_paddr(memory, f), 0);
	drop(f);
}

/*
 * All CPUs take frames until there are none, with handlers that free and allocate meanwhile. Then, with
 * nothing else going on, one of them must get exactly what is said to be free. Then each frees what another
 * took.
 */
void exhaustion_test(struct cpu *cpu)
{
	static struct ramka_frame *chains[MAX_CPUS];
	struct ramka_frame *chain, *next;
	struct ramka_stats stats;

	memory_reclaim();
	stress_interrupts(cpu, false);
	chains[cpu->id] = NULL;
	take_all(cpu, &chains[cpu->id]);
	smp_set_timer_hook(cpu, NULL);
	if (cpu->id == 0) {
		memory_reclaim();
		ramka_stats_read(memory, &stats);
		REQUIRE(stats.deferred == 0);
		REQUIRE(take_all(cpu, &chains[0]) == stats.free);
		ramka_stats_read(memory, &stats);
		REQUIRE(stats.free == 0);
		wait_for_memory(cpu, &chains[0]);
	}
	stress_interrupts(cpu, true);
	for (chain = chains[(cpu->id + 1) % nr_cpus]; chain; chain = next) {
		next = *next_of(chain);
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

	drop_all(mailbox, MAILBOXES);
	drop_all(published, PUBLISHED);
	drop_all(&irq_held[0][0][0], sizeof(irq_held) / sizeof(irq_held[0][0][0]));
	memory_reclaim();
	ramka_drain(memory);

	ramka_stats_read(memory, &now);
	print("settled: %lu of %lu free, %lu in use, %lu deferred, %lu cached, %lu blocks of 2 MiB\n",
	      now.free, at_start.free, now.in_use, now.deferred, now.cached, now.free_huge);
	print("%lu requests without memory, %lu drains, %lu looked up and %lu claimed by address\n",
	      atomic_load(&no_memory), atomic_load(&drains), atomic_load(&lookups), atomic_load(&claims));
	for (uint64_t i = 0; i < oracle_frames; i++) {
		if (oracle[i])
			fail("frame %lx was never given back by %x", i * RAMKA_PAGE_SIZE, oracle[i]);
	}
	REQUIRE(now.total == at_start.total && now.reserved == at_start.reserved);
	REQUIRE(now.free == at_start.free && now.in_use == at_start.in_use && now.deferred == 0);
	REQUIRE(now.cached == 0 && now.free_huge == at_start.free_huge);
	defects = ramka_check(memory, &bug);
	if (defects)
		fail("audit: %d defects, the first: %s, %s, frame %lx", defects, bug.operation, bug.what,
		     bug.paddr);
	REQUIRE(ramka_contracts_clean(memory));
}
