/* SPDX-License-Identifier: MIT */
/*
 * Deferred reclaim against readers. Grace periods end when the checker chooses; a frame that is freed or reused
 * while a reader still looks shows as a race on its metadata.
 */
#include "instance.h"
#include "base/slot.h"
#include "frame/defer.h"

static struct ramka_frame *f0;
static struct ramka_atomic_u64 table;   /* the structure that readers walk: 1 = frame 0 is linked */

static void link_frame(unsigned refs)
{
	make((struct options){ .frames = 1, .cpus = 3, .rcu = true });
	f0 = take(cpu(0), &t_hook, 1);
	for (unsigned i = 1; i < refs; i++)
		ramka_frame_get(r, f0);
	table.value = 1;
}
static void one_ref(void) { link_frame(1); }
static void two_refs(void) { link_frame(2); }

static void reader(void)
{
	ck_rcu_read_lock();
	if (ramka_load(&table, acquire, test.table))
		ck_assert(look(f0) == 1, "a reader saw another incarnation");
	ck_rcu_read_unlock();
}

static void unlink_put(struct ramka_cpu *c)
{
	ramka_store(&table, 0, relaxed, test.table);
	ramka_frame_put_rcu(c, f0);
}
static void reuse(struct ramka_cpu *c) { take(c, &t_other, 2); }

static void defer_reclaim(void)
{
	unlink_put(cpu(1));
	ramka_reclaim(cpu(1), false);
	ramka_reclaim(cpu(1), false);
	reuse(cpu(1));
}
static void defer_wait(void) { unlink_put(cpu(1)); ramka_reclaim(cpu(1), true); reuse(cpu(1)); }
static void defer_only(void) { unlink_put(cpu(1)); }
static void defer_none(void) { unlink_put(none()); }
static void reclaim2(void) { ramka_reclaim(cpu(2), false); reuse(cpu(2)); }
static void reclaim2_wait(void) { ramka_reclaim(cpu(2), true); reuse(cpu(2)); }
static void reuse2(void) { reuse(cpu(2)); }

CK_CLIENT(defer_readers, .what = "unlink, put_rcu, reclaim, reuse", .setup = one_ref,
	  .thread = { reader, defer_reclaim }, .check = books, .stale = 2);
CK_CLIENT(defer_wait_readers, .what = "the same by waiting", .setup = one_ref,
	  .thread = { reader, defer_wait }, .check = books, .stale = 2);
CK_CLIENT(defer_take_over, .what = "another CPU takes the bags over", .setup = one_ref,
	  .thread = { reader, defer_only, reclaim2_wait }, .check = books, .stale = 1);
/* one preemption: with two it does not end within a minute; defer_take_over has two */
CK_CLIENT(defer_take_over_poll, .what = "another CPU polls the bags", .setup = one_ref,
	  .thread = { reader, defer_reclaim, reclaim2 }, .check = books, .stale = 1, .bound = 1, .steps = 4000, .slow = true);
CK_CLIENT(defer_shared, .what = "the shared stack: cache-less put_rcu, another reaps", .setup = one_ref,
	  .thread = { reader, defer_none, reclaim2_wait }, .check = books, .stale = 2);
CK_CLIENT(defer_alloc_reaps, .what = "an allocation that is about to fail reaps", .setup = one_ref,
	  .thread = { reader, defer_only, reuse2 }, .check = books, .stale = 1);

/* Bags. A ring of the checker's build has two slots. */
static void seal1(void) { unlink_put(cpu(1)); ramka_reclaim(cpu(1), false); }
static void only_reclaim0(void) { ramka_reclaim(cpu(0), false); }
static void only_reclaim2(void) { ramka_reclaim(cpu(2), false); }
CK_CLIENT(defer_two_reapers, .what = "two CPUs reap the bag of a third", .setup = one_ref,
	  .thread = { seal1, only_reclaim0, only_reclaim2 }, .check = books, .stale = 1, .slow = true);

static struct ramka_frame *slots_of[3];
static void three_frames(void)
{
	make((struct options){ .frames = 3, .cpus = 3, .rcu = true });
	for (unsigned i = 0; i < 3; i++)
		slots_of[i] = take(cpu(1), &t_hook, 1);
}
static void three_bags(void)
{
	for (unsigned i = 0; i < 3; i++) {
		ramka_frame_put_rcu(cpu(1), slots_of[i]);
		ramka_reclaim(cpu(1), false);
	}
}
CK_CLIENT(defer_slot_again, .what = "a slot has the next bag while another CPU looks at the last", .setup = three_frames,
	  .thread = { three_bags, only_reclaim2 }, .check = books, .stale = 1, .slow = true);

static void seal_and_leave(void) { seal1(); ramka_cpu_offline(cpu(1)); }
static void defer_and_leave(void) { unlink_put(cpu(1)); ramka_cpu_offline(cpu(1)); }
CK_CLIENT(defer_offline_bag, .what = "a CPU goes off line with a bag: the cookie goes along", .setup = one_ref,
	  .thread = { reader, seal_and_leave, only_reclaim2 }, .check = books, .stale = 1, .bound = 1);
CK_CLIENT(defer_offline_open, .what = "another CPU makes the bag that a CPU leaves behind", .setup = one_ref,
	  .thread = { reader, defer_and_leave, only_reclaim2 }, .check = books, .stale = 1, .bound = 1);

/* A cookie outlives a request that gave up: no second grace period is needed for the first request's frames. */
static void wait_twice(void)
{
	struct ramka_request req = UNINIT;
	uint64_t cookies;

	unlink_put(cpu(1));
	ramka_reclaim(cpu(1), false);
	cookies = ck_rcu_taken();
	req.flags |= RAMKA_ALLOC_WAIT;
	for (unsigned i = 0; i < 2; i++) {
		struct ramka_frame *f = ramka_frame_alloc(cpu(1), &t_other, NULL, req);

		if (f) {
			ck_own_take(number(f));
			ck_assert(ck_rcu_taken() == cookies, "a request that waits asked for another grace period");
			return;
		}
	}
}
CK_CLIENT(defer_wait_keeps, .what = "requests that wait keep the cookie", .setup = one_ref,
	  .thread = { reader, wait_twice }, .check = books, .stale = 1);

/* the mark: put_rcu is not the last one */
static void put2(void) { look(f0); ramka_frame_put(cpu(2), f0); ramka_reclaim(cpu(2), true); reuse(cpu(2)); }
static void look_defer(void) { look(f0); unlink_put(cpu(1)); ramka_reclaim(cpu(1), true); }
CK_CLIENT(defer_mark, .what = "put_rcu against the plain last put", .setup = two_refs,
	  .thread = { reader, look_defer, put2 }, .check = books, .stale = 1);

/* a marked frame is never exclusive again */
static void upgrade(void)
{
	struct ramka_unique *u = ramka_frame_try_unique(r, f0);

	if (u) {
		struct meta *m = ramka_unique_meta(r, u);

		m->a = m->b = 7;
		ramka_frame_put(cpu(2), ramka_unique_share(r, u));
	} else {
		ramka_frame_put(cpu(2), f0);
	}
}
CK_CLIENT(defer_try_unique, .what = "try_unique of a frame that put_rcu marked", .setup = two_refs,
	  .thread = { reader, defer_only, upgrade }, .check = books, .stale = 2);

/* put_rcu is acq_rel: what its caller did to the frame comes before the end */
static void write_defer(void) { ((struct meta *)ramka_frame_meta(r, f0))->a = 1; unlink_put(cpu(1)); }
static void put_only(void) { ramka_frame_put(cpu(2), f0); }
static void both_defer(void) { look(f0); ramka_frame_put_rcu(cpu(2), f0); ramka_reclaim(cpu(2), true); }
CK_CLIENT(defer_both, .what = "two put_rcu of one frame", .setup = two_refs,
	  .thread = { look_defer, both_defer }, .check = books, .stale = 2);
CK_CLIENT(defer_write, .what = "a last plain put sees what a put_rcu before it wrote", .setup = two_refs,
	  .thread = { write_defer, put_only }, .check = books, .stale = 2);

/* interrupts: put_rcu on top of a section */
static struct ramka_frame *f1;
static void two_frames(void)
{
	make((struct options){ .frames = 2, .cpus = 2, .rcu = true });
	f0 = take(cpu(0), &t_hook, 1);
	f1 = take(cpu(0), &t_hook, 1);
	table.value = 1;
}
/* a frame lies in the open bag, so the next put_rcu takes the short way */
static void open_bag(unsigned refs)
{
	make((struct options){ .frames = 2, .cpus = 3, .rcu = true });
	f1 = take(cpu(1), &t_plain, 1);
	f0 = take(cpu(0), &t_hook, 1);
	for (unsigned i = 1; i < refs; i++)
		ramka_frame_get(r, f0);
	ck_own_give(number(f1));
	ramka_frame_put_rcu(cpu(1), f1);
	table.value = 1;
}
static void open_one_ref(void) { open_bag(1); }
static void open_two_refs(void) { open_bag(2); }
CK_CLIENT(defer_second, .what = "another CPU takes over a bag that grows", .setup = open_one_ref,
	  .thread = { reader, defer_only, reclaim2_wait }, .check = books, .stale = 1);
CK_CLIENT(defer_second_mark, .what = "put_rcu into an open bag against the plain last put", .setup = open_two_refs,
	  .thread = { look_defer, put2 }, .check = books, .stale = 1, .slow = true);

static void defer_f0(void) { ramka_frame_put_rcu(cpu(0), f0); ramka_reclaim(cpu(0), false); }
static void irq_f1(void) { ramka_frame_put_rcu(cpu(0), f1); }
static void three_frames_open(void)
{
	struct ramka_frame *first;

	make((struct options){ .frames = 3, .cpus = 2, .rcu = true });
	first = take(cpu(0), &t_plain, 1);
	f0 = take(cpu(0), &t_hook, 1);
	f1 = take(cpu(0), &t_hook, 1);
	ck_own_give(number(first));
	ramka_frame_put_rcu(cpu(0), first);
}
static void only_defer_f0(void) { ramka_frame_put_rcu(cpu(0), f0); }
static void reclaim1(void) { ramka_reclaim(cpu(1), false); }
static void irq_books(void)
{
	if (!ck_irqs())
		ramka_frame_put_rcu(cpu(0), f1);
	books();
	ck_assert(ck_note(NOTE_DROPS) == 2, "on_drop ran %u times for 2 frames", ck_note(NOTE_DROPS));
}
CK_CLIENT(defer_irq, .what = "an interrupt defers on top of a section", .setup = two_frames,
	  .thread = { defer_f0, reclaim1 }, .irq = { irq_f1 }, .check = irq_books, .stale = 1,
	  .bound = 1); /* two: most of a minute */
CK_CLIENT(defer_second_irq, .what = "an interrupt defers before, during or after a put_rcu into an open bag",
	  .setup = three_frames_open, .thread = { only_defer_f0 }, .irq = { irq_f1 }, .check = irq_books, .stale = 1);
static void irq_put_f1(void) { ramka_frame_put(cpu(0), f1); }
static void put_f0(void) { ramka_frame_put(cpu(0), f0); }
static void irq_put_books(void)
{
	if (!ck_irqs())
		ramka_frame_put(cpu(0), f1);
	books();
	ck_assert(ck_note(NOTE_DROPS) == 2, "on_drop ran %u times for 2 frames", ck_note(NOTE_DROPS));
}
CK_CLIENT(drop_irq, .what = "an interrupt drops a frame while on_drop runs", .setup = two_frames,
	  .thread = { put_f0 }, .irq = { irq_put_f1 }, .check = irq_put_books, .stale = 2);
static void put_f0_none(void) { ramka_frame_put(none(), f0); }
static void put_f1_none(void)
{
	struct meta *m = ramka_frame_meta(r, f1);

	m->a = m->b = 2; /* on_drop sees it, in whichever thread it runs */
	ramka_frame_put(none(), f1);
}
static void two_dropped(void)
{
	books();
	ck_assert(ck_note(NOTE_DROPS) == 2, "on_drop ran %u times for 2 frames", ck_note(NOTE_DROPS));
}
CK_CLIENT(drop_cacheless, .what = "two threads drop through the cache-less handle", .setup = two_frames,
	  .thread = { put_f0_none, put_f1_none }, .check = two_dropped, .stale = 2);

/* on_drop allocates and puts */
static void drop_allocates(struct ramka_cpu *c, ramka_paddr_t pa)
{
	struct ramka_frame *f = ramka_frame_alloc(c, &t_plain, NULL, UNINIT);

	(void)pa;
	if (f) {
		ck_own_take(number(f));
		give(c, f);
	}
}
static void hook_setup(void)
{
	make((struct options){ .frames = 4, .cpus = 2 });
	f0 = take(cpu(0), &t_hook, 1);
	on_drop_also = drop_allocates;
}
static void tg1(void) { take_give(cpu(1)); }
CK_CLIENT(drop_allocates, .what = "on_drop allocates while another CPU does", .setup = hook_setup,
	  .thread = { put_f0, tg1 }, .check = books, .stale = 2);

/* the freestanding grace-period backend itself */
static struct ramka_qsbr q;
static struct ramka_qsbr_cpu q_cpus[2];
static struct ramka_rcu_ops q_ops;
static uint64_t data;

static void qsbr_setup(void)
{
	ramka_qsbr_init(&q, q_cpus, 2, &q_ops);
	ramka_qsbr_online(&q, 0);
	table.value = 1;
	data = 1;
}
static void qsbr_reader(void)
{
	if (ramka_load(&table, acquire, test.table))
		ck_assert(data == 1, "a reader saw the next use");
	ramka_qsbr_quiescent(&q, 0);
	if (ramka_load(&table, acquire, test.table))
		ck_assert(data == 1, "a reader saw the next use");
	ramka_qsbr_offline(&q, 0);
}
static void qsbr_late_reader(void)
{
	ramka_qsbr_online(&q, 1);
	if (ramka_load(&table, acquire, test.table))
		ck_assert(data == 1, "a reader saw the next use");
	ramka_qsbr_offline(&q, 1);
}
static void qsbr_writer(void)
{
	uint64_t cookie;

	ramka_store(&table, 0, relaxed, test.table);
	cookie = q_ops.snapshot(q_ops.ctx);
	for (unsigned i = 0; i < 2; i++)
		if (q_ops.elapsed(q_ops.ctx, cookie)) {
			data = 2;
			return;
		}
}
CK_CLIENT(qsbr, .what = "the quiescent-state backend", .setup = qsbr_setup,
	  .thread = { qsbr_reader, qsbr_writer }, .stale = 3);
CK_CLIENT(qsbr_online, .what = "a CPU comes online during a grace period", .setup = qsbr_setup,
	  .thread = { qsbr_reader, qsbr_writer, qsbr_late_reader }, .stale = 2);
/* It was online before, and comes online again: what it read then is over, whatever it shows now. */
static void qsbr_again_reader(void)
{
	if (ramka_load(&table, acquire, test.table))
		ck_assert(data == 1, "a reader saw the next use");
	ramka_qsbr_offline(&q, 0);
	ramka_qsbr_online(&q, 0);
}
CK_CLIENT(qsbr_again, .what = "a CPU goes offline and comes back during a grace period", .setup = qsbr_setup,
	  .thread = { qsbr_again_reader, qsbr_writer }, .stale = 3);

/* One thread finds the grace period over, another believes it and goes on to use the frame. */
static struct ramka_atomic_u64 q_cookie;
static void qsbr_over_setup(void) { qsbr_setup(); q_cookie.value = 0; }
static void qsbr_finder(void)
{
	uint64_t cookie;

	ramka_store(&table, 0, relaxed, test.table);
	cookie = q_ops.snapshot(q_ops.ctx);
	ramka_store(&q_cookie, cookie, relaxed, test.table);
	q_ops.elapsed(q_ops.ctx, cookie);
}
static void qsbr_believer(void)
{
	uint64_t cookie = ramka_load(&q_cookie, relaxed, test.table);

	if (cookie && q_ops.elapsed(q_ops.ctx, cookie))
		data = 2;
}
CK_CLIENT(qsbr_over, .what = "a poll believes what another has found", .setup = qsbr_over_setup,
	  .thread = { qsbr_reader, qsbr_finder, qsbr_believer }, .stale = 2);

/*
 * The adapter to call_rcu. Thread 0 is the kernel's: it takes the callback, lets a grace period pass and runs
 * it. Two updaters ask at about the same time; the second may be served by the next grace period only.
 */
static struct ramka_rcu_adapter adapter;
static struct ramka_rcu_ops a_ops;
static struct ramka_atomic_u64 pending, tables[2];
static uint64_t datas[2];
enum { UPDATERS_DONE = NOTE_0 };

static void kernel_call(void *ctx, struct ramka_rcu_head *h, void (*fn)(struct ramka_rcu_head *))
{
	(void)ctx;
	ck_assert(!pending.value, "two callbacks in flight");
	h->opaque[0] = (void *)(uintptr_t)fn;
	ramka_store(&pending, 1, release, test.pending);
}
static void adapt_setup(void)
{
	ramka_rcu_adapt_call(&adapter, kernel_call, NULL, &a_ops);
	pending.value = 0;
	for (unsigned i = 0; i < 2; i++)
		tables[i].value = datas[i] = 1;
}
static bool work_or_end(void *ctx) { (void)ctx; return pending.value || ck_note(UPDATERS_DONE) == 2; }
static void kernel_thread(void)
{
	for (;;) {
		void (*fn)(struct ramka_rcu_head *);

		ck_block(work_or_end, NULL);
		if (!ramka_load(&pending, acquire, test.pending)) {
			if (ck_note(UPDATERS_DONE) == 2)
				return;
			continue;
		}
		ck_rcu_wait(NULL, ck_rcu_snapshot(NULL));
		fn = (void (*)(struct ramka_rcu_head *))(uintptr_t)adapter.head.opaque[0];
		adapter.head.opaque[0] = NULL;
		ramka_store(&pending, 0, relaxed, test.pending);
		fn(&adapter.head);
	}
}
static bool is_over(void *ctx) { return adapter.finished.value >= *(uint64_t *)ctx; }
static void updater(unsigned i)
{
	uint64_t cookie;

	ramka_store(&tables[i], 0, relaxed, test.table);
	cookie = a_ops.snapshot(a_ops.ctx);
	ck_block(is_over, &cookie);
	if (a_ops.elapsed(a_ops.ctx, cookie))
		datas[i] = 2;
	ck_note_add(UPDATERS_DONE, 1);
}
static void updater0(void) { updater(0); }
static void updater1(void) { updater(1); }
static void updaters(void) { updater(0); updater(1); }
static void ends_alone(void) { updater(0); ck_note_add(UPDATERS_DONE, 1); }
static void adapt_reader(void)
{
	ck_rcu_read_lock();
	for (unsigned i = 0; i < 2; i++)
		if (ramka_load(&tables[i], acquire, test.table))
			ck_assert(datas[i] == 1, "a reader saw the next use");
	ck_rcu_read_unlock();
}
CK_CLIENT(adapt, .what = "call_rcu adapter, one updater, a reader", .setup = adapt_setup,
	  .thread = { kernel_thread, ends_alone, adapt_reader }, .stale = 2);
CK_CLIENT(adapt_again, .what = "one after the other", .setup = adapt_setup,
	  .thread = { kernel_thread, updaters, adapt_reader }, .stale = 1);
CK_CLIENT(adapt_both, .what = "two updaters at once", .setup = adapt_setup,
	  .thread = { kernel_thread, updater0, updater1, adapt_reader }, .stale = 1);

/* ---- one put too many of a marked frame: SHARED(0) with the mark, less one, is no count at its top ---- */

enum { NOTE_DEFERRED = NOTE_0, NOTE_FOUND };

static void marked_and_another(void)
{
	make((struct options){ .frames = 2, .cpus = 3, .rcu = true, .tolerant = true });
	f1 = take(cpu(0), &t_plain, 1);
	f0 = take(cpu(0), &t_plain, 1);
	ramka_frame_put_rcu(cpu(0), f1);
}
static void last_put_rcu(void)
{
	if (ramka_frame_put_rcu(cpu(0), f0) >= 0)
		ck_note_add(NOTE_DEFERRED, 1);
}
static void stray_put1(void) { ramka_frame_put(cpu(1), f0); }
static void stray_put2(void) { ramka_frame_put(cpu(2), f0); }
static void innocent_lookup(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(number(f0) - BASE), &f))
		ck_note_add(NOTE_FOUND, 1);
}
static void bag_is_whole(void)
{
	unsigned n = (ref_tag(slot_ref(f0)) == TAG_DEFERRED) + (ref_tag(slot_ref(f1)) == TAG_DEFERRED);

	ck_assert(n == defer_count(r), "%llu frames in bags, %u say so, word %#llx", (unsigned long long)defer_count(r), n,
		  (unsigned long long)slot_ref(f0));
	if (ck_note(NOTE_BUGS) && ck_note(NOTE_DEFERRED) && ck_note(NOTE_FOUND))
		ck_assert(ref_tag(slot_ref(f0)) == TAG_SHARED || ref_tag(slot_ref(f0)) == TAG_SATURATED,
			  "a correct lookup holds a frame that will be freed, word %#llx", (unsigned long long)slot_ref(f0));
}
CK_CLIENT(defer_stray_put, .what = "one put too many of a marked frame, and a lookup", .setup = marked_and_another,
	  .thread = { last_put_rcu, stray_put1, innocent_lookup }, .check = bag_is_whole, .stale = 1);
CK_CLIENT(defer_stray_puts, .what = "two puts too many of a marked frame", .setup = marked_and_another,
	  .thread = { last_put_rcu, stray_put1, stray_put2 }, .check = bag_is_whole, .stale = 1);
