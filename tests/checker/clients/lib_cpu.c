/* SPDX-License-Identifier: MIT */
/* A CPU's section, taking over its cache, going off-line. */
#include "instance.h"

#include "cpu/cache.h"
#include "cpu/depot.h"
#include "cpu/mail.h"

/* Frames lie in the cache of CPU 0. */
static void cached(unsigned frames, unsigned cpus)
{
	struct ramka_frame *f[8];

	make((struct options){ .frames = frames, .cpus = cpus });
	for (unsigned i = 0; i < frames; i++)
		f[i] = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	for (unsigned i = 0; i < frames; i++)
		ramka_frame_put(cpu(0), f[i]);
}
static void cached2(void) { cached(2, 3); }
static void cached1(void) { cached(1, 3); }
static void tg0(void) { take_give(cpu(0)); }
static void tg1(void) { take_give(cpu(1)); }
static void drain(void) { ramka_drain(r); }

CK_CLIENT(cpu_steal, .what = "owner, and a CPU that needs its frames", .setup = cached2,
	  .thread = { tg0, tg1 }, .check = books, .stale = 2, .slow = true);

/* Interrupts on top of the owner, in calls short enough to be searched through. */
static void half(void)      /* two in the cache, two in the zone: nobody runs out */
{
	struct ramka_frame *a, *b;

	make((struct options){ .frames = 4, .cpus = 2 });
	a = ramka_frame_alloc(cpu(0), &t_bare, NULL, UNINIT);
	b = ramka_frame_alloc(cpu(0), &t_bare, NULL, UNINIT);
	ramka_frame_put(cpu(0), a);
	ramka_frame_put(cpu(0), b);
}
static void take0(void) { take(cpu(0), &t_plain, 1); }
static void take1(void) { take(cpu(1), &t_plain, 1); }
static struct ramka_frame *mine, *other;
static void holds2(void)
{
	make((struct options){ .frames = 3, .cpus = 2 });
	mine = take(cpu(0), &t_plain, 1);
	other = take(cpu(0), &t_plain, 1);
	ramka_frame_put(cpu(0), ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT));
}
static void give_mine(void) { give(cpu(0), mine); }
static void give_other(void) { give(cpu(0), other); }
CK_CLIENT(cpu_take_irq, .what = "alloc, alloc in an interrupt, a drainer", .setup = half,
	  .thread = { take0, drain }, .irq = { take0 }, .check = books, .stale = 1, .slow = true);
CK_CLIENT(cpu_steal_irq, .what = "alloc, alloc in an interrupt, a CPU that needs the frames", .setup = half,
	  .thread = { take0, take1 }, .irq = { take0 }, .check = books, .stale = 1);
CK_CLIENT(cpu_put_irq, .what = "put, put in an interrupt, a drainer", .setup = holds2,
	  .thread = { give_mine, drain }, .irq = { give_other }, .check = books, .stale = 1);
/* one preemption: complete with two as well, in a quarter of a minute */
CK_CLIENT(cpu_take_put_irq, .what = "alloc, put in an interrupt, a drainer", .setup = holds2,
	  .thread = { take0, drain }, .irq = { give_mine }, .check = books, .stale = 1, .bound = 1);
CK_CLIENT(cpu_drain, .what = "a drainer takes the cache over", .setup = cached2, .thread = { tg0, drain },
	  .check = books, .stale = 3);
CK_CLIENT(cpu_drain_twice, .what = "two drainers take over one cache", .setup = cached2,
	  .thread = { tg0, drain, drain }, .check = books, .stale = 1, .slow = true);
static void drain_irq(void) { ramka_drain(r); }
/* one preemption: with two it does not end within a minute; cpu_take_irq and cpu_drain have two */
CK_CLIENT(cpu_drain_in_irq, .what = "an interrupt drains on top of a section", .setup = cached2,
	  .thread = { take0, take1 }, .irq = { drain_irq }, .check = books, .stale = 1, .bound = 1, .slow = true);
static void offline(void) { ramka_cpu_offline(cpu(0)); take_give(cpu(0)); }
CK_CLIENT(cpu_offline, .what = "a CPU goes off-line and comes back while it is drained", .setup = cached2,
	  .thread = { offline, drain }, .check = books, .stale = 2);
/* one preemption: with two it does not end within a minute; cpu_offline and cpu_steal have two */
CK_CLIENT(cpu_offline_busy, .what = "the same while another needs its frames", .setup = cached2,
	  .thread = { offline, drain, tg1 }, .check = books, .stale = 1, .bound = 1, .slow = true);
/* On top of a section nothing can be given back, and nothing is waited for. */
static void offline_briefly(void)
{
	unsigned before = ck_steps(ck_self());

	ramka_cpu_offline(cpu(0));
	ck_assert(ck_steps(ck_self()) - before < 1000, "%u steps", ck_steps(ck_self()) - before);
}
CK_CLIENT(cpu_offline_irq, .what = "an interrupt takes the CPU below it off-line", .setup = cached2,
	  .thread = { tg0 }, .irq = { offline_briefly }, .check = books, .stale = CK_FRESH, .steps = 50000);
static void offline_only(void) { ramka_cpu_offline(cpu(0)); }
static void nothing_cached(void)
{
	struct ramka_stats s;

	ramka_stats_read(r, &s);
	ck_assert(s.cached == 0, "%llu frames are left in the cache of a CPU off-line", (unsigned long long)s.cached);
	books();
}
CK_CLIENT(cpu_offline_empties, .what = "a CPU that goes off-line while it is drained keeps nothing", .setup = cached2,
	  .thread = { offline_only, drain }, .check = nothing_cached, .stale = 2);

/* A thread that stops for ever: the others still make progress, and miss at most what it holds. */
static void park_books(void) { }
/* one preemption: with two it does not end within a minute; cpu_parked_thief has two */
CK_CLIENT(cpu_parked_owner, .what = "the owner stops for ever", .setup = cached2, .thread = { tg0, tg1 },
	  .park = 1, .check = park_books, .stale = 1, .bound = 1, .slow = true);
CK_CLIENT(cpu_parked_thief, .what = "the thief stops for ever: the owner goes on", .setup = cached2,
	  .thread = { tg0, drain }, .park = 2, .check = park_books, .stale = 1, .slow = true);

/* The way of a frame without metadata is shorter. */
static void bare0(void)
{
	struct ramka_frame *f = take(cpu(0), &t_bare, 0);

	if (f)
		give(cpu(0), f);
}
static void bare1(void) { take(cpu(1), &t_bare, 0); }
static void take_bare0(void) { take(cpu(0), &t_bare, 0); }
static void bare_lookup(void)
{
	struct ramka_frame *f;

	for (unsigned i = 0; i < 2; i++)
		if (!ramka_frame_from_in_use(r, PA(i), &f))
			ck_assert(ramka_frame_type(r, f) == &t_bare, "a frame with the type of its former life");
}
CK_CLIENT(cpu_bare_drain, .what = "alloc and put without metadata, a drainer", .setup = half,
	  .thread = { bare0, drain }, .check = books, .stale = 2);
CK_CLIENT(cpu_bare_irq, .what = "the same in an interrupt", .setup = half, .thread = { take_bare0, drain },
	  .irq = { take_bare0 }, .check = books, .stale = 1, .slow = true);
CK_CLIENT(cpu_bare_steal, .what = "alloc without metadata on two CPUs", .setup = half,
	  .thread = { bare0, bare1 }, .check = books, .stale = 2);
/*
 * RAMKA_CACHE_ALL: two CPUs without a frame want the magazine of a third, which comes before what is in the zone. One
 * has it, and the other one does without.
 */
enum { STOLEN = NOTE_0 };
static unsigned first_stolen, nr_stolen;
static void magazine_of_1(void)
{
	struct ramka_frame *f[8];
	struct ramka_cpu *c;
	struct magazine *m;
	unsigned n = 0;

	make((struct options){ .frames = 64, .cpus = 3, .flags = RAMKA_CACHE_ALL });
	c = cpu(1);
	do {
		f[n] = ramka_frame_alloc(c, &t_bare, NULL, UNINIT);
	} while (++n < 8 && cpu_count(c));
	m = depot_get_empty(r->depot, 1);
	m->count = n;
	for (unsigned i = 0; i < n; i++) {
		uintptr_t home = 0;

		ck_assert(f[i] && cpu_home(c, f[i], &home), "not a frame of the CPU's zone");
		m->frames[i] = (uint32_t)home;
	}
	first_stolen = number(f[0]);
	nr_stolen = n;
	for (unsigned i = 0; i < n; i++)
		ramka_frame_put(c, f[i]);
	ck_assert(cpu_count(c) == n, "not in the cache");
	ramka_store(&c->hot, ramka_load(&c->hot, relaxed, test.setup) & ~(uint64_t)0xffff, relaxed, test.setup);
	own_add(&c->moved_out, n);
	depot_push(r->depot, m);
}
static void thief(unsigned i)
{
	struct ramka_frame *f = take(cpu(i), &t_bare, 0);

	ck_assert(f != NULL, "no frame");
	if (number(f) - first_stolen < nr_stolen)
		ck_note_add(STOLEN, 1);
}
static void thief0(void) { thief(0); }
static void thief2(void) { thief(2); }
static void one_stole(void)
{
	ck_assert(ck_note(STOLEN) == 1, "%u CPUs have a frame of the magazine", ck_note(STOLEN));
	books();
}
CK_CLIENT(cpu_steal_all, .what = "two CPUs steal from a third with RAMKA_CACHE_ALL", .setup = magazine_of_1,
	  .thread = { thief0, thief2 }, .check = one_stole, .stale = 2);

/* The first frame was something else before, and the CPU allocated the type without metadata last: both as a hit wants it. */
static void bare_setup(void)
{
	struct ramka_frame *a, *b;

	make((struct options){ .frames = 2, .cpus = 3 });
	a = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	b = ramka_frame_alloc(cpu(0), &t_bare, NULL, UNINIT);
	ramka_frame_put(cpu(0), b);
	ramka_frame_put(cpu(0), a);
}
CK_CLIENT(cpu_bare_lookup, .what = "its type is published with it", .setup = bare_setup,
	  .thread = { take_bare0, bare_lookup }, .check = books, .stale = 3);

/* The same for frames of order 1, which have a stack of their own. */
static void run_setup(void)
{
	struct ramka_frame *f;

	make((struct options){ .frames = 512, .cpus = 2 });
	f = ramka_frame_alloc(cpu(0), &t_plain, NULL, ORDER(1));
	ck_assert(number(f) == BASE, "not the first frame");
	ramka_frame_put(cpu(0), ramka_frame_alloc(cpu(0), &t_bare, NULL, ORDER(1)));
	ramka_frame_put(cpu(0), f);
}
static void take_run0(void)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu(0), &t_bare, NULL, ORDER(1));

	ck_assert(f && number(f) == BASE, "not out of the stack");
	ck_own_take(BASE);
	ck_own_take(BASE + 1);
}
static void run_lookup(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(0), &f))
		ck_assert(ramka_frame_type(r, f) == &t_bare, "a frame with the type of its former life");
}
CK_CLIENT(cpu_run_lookup, .what = "the type of a frame out of a stack is published with it", .setup = run_setup,
	  .thread = { take_run0, run_lookup }, .check = books, .stale = 3);

/* The same by a call for several frames. */
static void take_bulk0(void)
{
	struct ramka_frame *f;

	ck_assert(ramka_frame_alloc_bulk(cpu(0), &t_bare, UNINIT, 1, &f) == 1, "no frame");
	ck_own_take(number(f));
}
CK_CLIENT(cpu_bulk_lookup, .what = "the type of a frame of a bulk call is published with it", .setup = bare_setup,
	  .thread = { take_bulk0, bare_lookup }, .check = books, .stale = 3);

/* The same where the cache is empty: the first frame comes by a refill. */
static void bare_drained(void)
{
	bare_setup();
	ramka_drain(r);
}
CK_CLIENT(cpu_bulk_refill, .what = "the type of a frame that a bulk call refills is published with it",
	  .setup = bare_drained, .thread = { take_bulk0, bare_lookup }, .check = books, .stale = 3);

/* Frames that last: the stack of CPU 0 holds some, beside a drainer, and one that CPU 2 frees meanwhile. */
#define LONG ((struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_LONG })
static struct ramka_frame *lasting;
static struct ramka_frame *take_long(struct ramka_cpu *c)
{
	struct ramka_frame *f = ramka_frame_alloc(c, &t_bare, NULL, LONG);

	if (f)
		ck_own_take(number(f));
	return f;
}
static void lasting_setup(void)
{
	make((struct options){ .frames = 512, .cpus = 3 });
	lasting = take_long(cpu(0));
	ck_assert(lasting, "no frame");
}
static void lasting0(void)
{
	struct ramka_frame *f = take_long(cpu(0));

	if (f)
		give(cpu(0), f);
}
static void lasting2(void) { give(cpu(2), lasting); }
static void take_long0(void) { take_long(cpu(0)); }
static void take_long1(void) { take_long(cpu(1)); }
CK_CLIENT(cpu_lasting_drain, .what = "frames that last, a drainer, a free by another CPU", .setup = lasting_setup,
	  .thread = { lasting0, drain, lasting2 }, .check = books, .stale = 1, .slow = true);
CK_CLIENT(cpu_lasting_irq, .what = "the same in an interrupt", .setup = lasting_setup, .thread = { take_long0, drain },
	  .irq = { take_long0 }, .check = books, .stale = 1, .slow = true);
CK_CLIENT(cpu_lasting_both, .what = "two CPUs take from the same block", .setup = lasting_setup,
	  .thread = { take_long0, take_long1, lasting2 }, .check = books, .stale = 1);

/* Mail: CPU 1 owns all blocks and has handed three frames out. CPU 0 frees them; the third one sends the first two. */
static struct ramka_frame *mailed[3];
static void mail_setup(void)
{
	struct ramka_frame *f;

	make((struct options){ .frames = 64, .cpus = 2 });
	ramka_store(&r->mail_max, 2, relaxed, stat);
	f = take(cpu(0), &t_plain, 1);
	give(cpu(0), f); /* its outbox has its size now */
	ramka_cpu_offline(cpu(0));
	for (unsigned i = 0; i < 3; i++)
		mailed[i] = take(cpu(1), &t_plain, 1);
	while (take(none(), &t_plain, 1))
		;
}
static void send_mail(void)
{
	for (unsigned i = 0; i < 3; i++)
		give(cpu(0), mailed[i]);
}
static void open_mail(void)
{
	struct ramka_frame *f = take(cpu(1), &t_plain, 1);

	if (f)
		give(cpu(1), f);
}
CK_CLIENT(cpu_mail, .what = "frames go to their owner by mail while the owner looks for some", .setup = mail_setup,
	  .thread = { send_mail, open_mail }, .check = books, .stale = 2, .steps = 4000, .bound = 1);
CK_CLIENT(cpu_mail_drain, .what = "the same, and a drainer", .setup = mail_setup,
	  .thread = { send_mail, drain }, .check = books, .stale = 2, .steps = 4000, .bound = 1);
static void sends_something(void)
{
	struct ramka_stats s;

	send_mail();
	ramka_stats_read(r, &s);
	ck_assert(((struct ramka_cpu *)cpu(0))->outbox->count.value == 1, "%u frames in the outbox", cpu(0)->outbox->count.value);
}
CK_CLIENT(cpu_mail_goes, .what = "the third frame sends the first two", .setup = mail_setup,
	  .thread = { sends_something }, .check = books);

/* After a drain the owner's cache works again. */
static void cache_works(void)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu(0), &t_plain, NULL, UNINIT);
	struct ramka_stats s;

	if (f) {
		ramka_frame_put(cpu(0), f);
		ramka_stats_read(r, &s);
		ck_assert(s.cached > 0, "the owner has no cache any more");
	}
	books();
}
CK_CLIENT(cpu_reopens, .what = "the section opens again after a drain", .setup = cached1,
	  .thread = { tg0, drain }, .check = cache_works, .stale = 2);

/* Statistics beside alloc and put: a snapshot may be old, never impossible. Plain orders of the machine: the counters are relaxed. */
static void snapshot_setup(void) { make((struct options){ .frames = 64, .cpus = 1 }); } /* several frames a refill */
static void put_two_frames(void)
{
	struct ramka_frame *a = take(cpu(0), &t_plain, 1), *b = take(cpu(0), &t_plain, 1);

	if (a)
		give(cpu(0), a);
	if (b)
		give(cpu(0), b);
}
static void snapshot(void)
{
	struct ramka_stats s;

	ramka_stats_read(r, &s);
	ck_assert(s.allocs <= 2, "%llu allocations, and there were 2 at most", (unsigned long long)s.allocs);
	ck_assert(s.puts <= 2, "%llu puts", (unsigned long long)s.puts);
	ck_assert(s.free <= s.total && s.cached <= s.free, "%llu free of %llu", (unsigned long long)s.free, (unsigned long long)s.total);
	ck_assert(s.total == s.free + s.in_use + s.deferred + s.reserved + s.unused, "the parts do not add up");
}
CK_CLIENT(stats_snapshot, .what = "statistics are read while frames come and go", .setup = snapshot_setup,
	  .thread = { put_two_frames, snapshot }, .check = books, .stale = 2, .c11 = true);
static void drain_it(void) { ramka_drain(r); }
CK_CLIENT(stats_snapshot_drain, .what = "the same while the cache is drained", .setup = snapshot_setup,
	  .thread = { put_two_frames, snapshot, drain_it }, .check = books, .stale = 2, .bound = 1, .c11 = true);
/* Frames of order 1: a refill of their stack, and what is flushed out of it. */
static void runs_setup(void)
{
	make((struct options){ .frames = 512, .cpus = 1 });
	ramka_store(&((struct ramka *)r)->order_max[1], 1, relaxed, stat);
}
static void two_runs(void)
{
	struct ramka_frame *f[2];

	for (unsigned i = 0; i < 2; i++)
		f[i] = ramka_frame_alloc(cpu(0), &t_bare, NULL, ORDER(1));
	for (unsigned i = 0; i < 2; i++)
		ramka_frame_put(cpu(0), f[i]);
}
CK_CLIENT(stats_snapshot_runs, .what = "the same with frames of order 1", .setup = runs_setup,
	  .thread = { two_runs, snapshot }, .check = books, .stale = 2, .c11 = true, .slow = true);
/* Rows: the gate refuses frames of a sparse block; the second word closes the first row, a request that fails gives all of them back. */
static struct ramka_frame *sparse[3]; /* two of a word and one of the next */
static void rows_setup(void)
{
	struct ramka_frame *f[1024];
	unsigned n = 0;

	make((struct options){ .frames = 1024, .cpus = 1 });
	while (n < 1024 && (f[n] = ramka_frame_alloc(none(), &t_bare, NULL, UNINIT)))
		n++;
	for (unsigned i = 0; i < n; i++) {
		if (number(f[i]) - BASE < 2)
			sparse[number(f[i]) - BASE] = f[i];
		else if (number(f[i]) == BASE + 64)
			sparse[2] = f[i];
		else if (number(f[i]) < BASE + 256)
			ramka_frame_put(none(), f[i]);
	}
}
static void put_rows(void)
{
	for (unsigned i = 0; i < 3; i++)
		ramka_frame_put(cpu(0), sparse[i]);
	ramka_cpu_offline(cpu(0));
}
static void rows_snapshot(void)
{
	struct ramka_stats s;

	ramka_stats_read(r, &s);
	ck_assert(s.allocs <= 1024, "%llu allocations, and there were 1024", (unsigned long long)s.allocs);
	ck_assert(s.puts <= 256, "%llu puts", (unsigned long long)s.puts);
}
CK_CLIENT(stats_snapshot_rows, .what = "statistics are read while rows are closed and given back", .setup = rows_setup,
	  .thread = { put_rows, rows_snapshot }, .stale = 3, .c11 = true, .slow = true);
static void mail_snapshot(void)
{
	struct ramka_stats s;

	ramka_stats_read(r, &s);
	ck_assert(s.allocs <= 65, "%llu allocations, and there were 65", (unsigned long long)s.allocs);
	ck_assert(s.puts <= 4, "%llu puts", (unsigned long long)s.puts);
}
CK_CLIENT(stats_snapshot_mail, .what = "statistics are read while an outbox fills and is sent", .setup = mail_setup,
	  .thread = { send_mail, mail_snapshot }, .stale = 2, .c11 = true, .bound = 1);
