/* SPDX-License-Identifier: MIT */
/*
 * The engine's own tests, 1: litmus shapes. Each names exactly the outcomes that the model allows; a value
 * outside the list fails the client at once, a value of it that never shows fails it at the end. Load buffering
 * and 2+2W are pinned to what the checker covers of them (checker.h), so that a change of that shows.
 */
#include "checker.h"

#include <ramka/atomic.h>

static struct ramka_atomic_u64 x, y, z;
static uint64_t r[8];
static int plain;

#define OUT(...) (const int[]){ __VA_ARGS__, -1 }
#define ALL 20      /* stale reads: no limit for programs this small */

/* message passing */
static void mp_w_rel(void) { ramka_store(&x, 1, relaxed, litmus); ramka_store(&y, 1, release, litmus); }
static void mp_w_rlx(void) { ramka_store(&x, 1, relaxed, litmus); ramka_store(&y, 1, relaxed, litmus); }
static void mp_r_acq(void) { r[0] = ramka_load(&y, acquire, litmus); r[1] = ramka_load(&x, relaxed, litmus); }
static void mp_r_rlx(void) { r[0] = ramka_load(&y, relaxed, litmus); r[1] = ramka_load(&x, relaxed, litmus); }
static void out2(void) { ck_outcome((int)(r[0] * 10 + r[1])); }

CK_CLIENT(mp_release_acquire, .what = "message passing", .thread = { mp_w_rel, mp_r_acq }, .check = out2,
	  .stale = ALL, .model = true, .outcomes = OUT(0, 1, 11));
CK_CLIENT(mp_relaxed_store, .what = "message passing without release", .thread = { mp_w_rlx, mp_r_acq },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10, 11));
CK_CLIENT(mp_relaxed_load, .what = "message passing without acquire", .thread = { mp_w_rel, mp_r_rlx },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10, 11));

static void mp_w_fence(void)
{
	ramka_store(&x, 1, relaxed, litmus);
	ck_fence(__ATOMIC_RELEASE);
	ramka_store(&y, 1, relaxed, litmus);
}
static void mp_r_fence(void)
{
	r[0] = ramka_load(&y, relaxed, litmus);
	ck_fence(__ATOMIC_ACQUIRE);
	r[1] = ramka_load(&x, relaxed, litmus);
}
CK_CLIENT(mp_fences, .what = "message passing by fences", .thread = { mp_w_fence, mp_r_fence },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 11));
CK_CLIENT(mp_release_fence_only, .what = "release fence against a relaxed reader",
	  .thread = { mp_w_fence, mp_r_rlx }, .check = out2, .stale = ALL, .model = true,
	  .outcomes = OUT(0, 1, 10, 11));

/* message passing of plain data: the race check */
static void mpp_w(void) { plain = 1; ramka_store(&y, 1, release, litmus); }
static void mpp_w_rlx(void) { plain = 1; ramka_store(&y, 1, relaxed, litmus); }
static void mpp_r(void) { if (ramka_load(&y, acquire, litmus)) ck_assert(plain == 1, "not seen"); }
static void mpp_r_rlx(void) { if (ramka_load(&y, relaxed, litmus)) r[0] = (uint64_t)plain; }
CK_CLIENT(mp_plain, .what = "plain data published", .thread = { mpp_w, mpp_r }, .model = true);
CK_CLIENT(mp_plain_relaxed_store, .what = "plain data, release missing", .thread = { mpp_w_rlx, mpp_r },
	  .fails = "DATA RACE", .model = true);
CK_CLIENT(mp_plain_relaxed_load, .what = "plain data, acquire missing", .thread = { mpp_w, mpp_r_rlx },
	  .fails = "DATA RACE", .model = true);

/* store buffering */
static void sb0(void) { ramka_store(&x, 1, release, litmus); r[0] = ramka_load(&y, acquire, litmus); }
static void sb1(void) { ramka_store(&y, 1, release, litmus); r[1] = ramka_load(&x, acquire, litmus); }
static void sbf0(void)
{
	ramka_store(&x, 1, relaxed, litmus);
	ck_fence(__ATOMIC_SEQ_CST);
	r[0] = ramka_load(&y, relaxed, litmus);
}
static void sbf1(void)
{
	ramka_store(&y, 1, relaxed, litmus);
	ck_fence(__ATOMIC_SEQ_CST);
	r[1] = ramka_load(&x, relaxed, litmus);
}
static void sbc0(void)
{
	ramka_store(&x, 1, relaxed, litmus);
	ramka_compiler_barrier();
	r[0] = ramka_load(&y, relaxed, litmus);
}
static void sbb1(void)
{
	ramka_store(&y, 1, relaxed, litmus);
	ck_barrier_all(NULL);
	r[1] = ramka_load(&x, relaxed, litmus);
}
CK_CLIENT(sb_release_acquire, .what = "store buffering", .thread = { sb0, sb1 }, .check = out2, .stale = ALL,
	  .model = true, .outcomes = OUT(0, 1, 10, 11));
CK_CLIENT(sb_fences, .what = "store buffering with full fences", .thread = { sbf0, sbf1 }, .check = out2,
	  .stale = ALL, .model = true, .outcomes = OUT(1, 10, 11));
CK_CLIENT(sb_one_fence, .what = "store buffering, one fence", .thread = { sbf0, sb1 }, .check = out2,
	  .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10, 11));
CK_CLIENT(sb_asymmetric, .what = "store buffering, asymmetric barrier", .thread = { sbc0, sbb1 },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(1, 10, 11));
/* read-modify-writes of one location order, of different ones do not */
static void sbr0(void) { ramka_add(&z, 0, acq_rel, litmus); }
static void sb_rmw0(void)
{
	ramka_store(&x, 1, relaxed, litmus);
	sbr0();
	r[0] = ramka_load(&y, relaxed, litmus);
}
static void sb_rmw1(void)
{
	ramka_store(&y, 1, relaxed, litmus);
	sbr0();
	r[1] = ramka_load(&x, relaxed, litmus);
}
CK_CLIENT(sb_common_rmw, .what = "store buffering through one acq_rel word", .thread = { sb_rmw0, sb_rmw1 },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(1, 10, 11));

/* independent reads of independent writes */
static void iriw_w0(void) { ramka_store(&x, 1, release, litmus); }
static void iriw_w1(void) { ramka_store(&y, 1, release, litmus); }
static void iriw_r0(void) { r[0] = ramka_load(&x, acquire, litmus); r[1] = ramka_load(&y, acquire, litmus); }
static void iriw_r1(void) { r[2] = ramka_load(&y, acquire, litmus); r[3] = ramka_load(&x, acquire, litmus); }
static void iriw_f0(void)
{
	r[0] = ramka_load(&x, relaxed, litmus);
	ck_fence(__ATOMIC_SEQ_CST);
	r[1] = ramka_load(&y, relaxed, litmus);
}
static void iriw_f1(void)
{
	r[2] = ramka_load(&y, relaxed, litmus);
	ck_fence(__ATOMIC_SEQ_CST);
	r[3] = ramka_load(&x, relaxed, litmus);
}
static void iriw_out(void) { ck_outcome((int)(r[0] * 8 + r[1] * 4 + r[2] * 2 + r[3])); }
CK_CLIENT(iriw_acquire, .what = "IRIW, allowed for release/acquire",
	  .thread = { iriw_w0, iriw_w1, iriw_r0, iriw_r1 }, .check = iriw_out, .stale = ALL, .model = true,
	  .outcomes = OUT(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
CK_CLIENT(iriw_fences, .what = "IRIW with full fences", .thread = { iriw_w0, iriw_w1, iriw_f0, iriw_f1 },
	  .check = iriw_out, .stale = ALL, .model = true,
	  .outcomes = OUT(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15));

/* coherence */
static void corr_w(void) { ramka_store(&x, 1, relaxed, litmus); ramka_store(&x, 2, relaxed, litmus); }
static void corr_r(void) { r[0] = ramka_load(&x, relaxed, litmus); r[1] = ramka_load(&x, relaxed, litmus); }
static void cowr(void) { ramka_store(&x, 1, relaxed, litmus); r[0] = ramka_load(&x, relaxed, litmus); }
static void cow2(void) { ramka_store(&x, 2, relaxed, litmus); }
static void out1(void) { ck_outcome((int)r[0]); }
CK_CLIENT(coherence_read_read, .what = "two reads never go backwards", .thread = { corr_w, corr_r },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 2, 11, 12, 22));
CK_CLIENT(coherence_write_read, .what = "a thread reads its own store or a newer one",
	  .thread = { cowr, cow2 }, .check = out1, .stale = ALL, .model = true, .outcomes = OUT(1, 2));
static void inc(void) { ramka_add(&x, 1, relaxed, litmus); }
static void inc_out(void) { ck_outcome((int)ramka_load(&x, relaxed, litmus)); }
CK_CLIENT(rmw_atomic, .what = "relaxed increments are not lost", .thread = { inc, inc, inc },
	  .check = inc_out, .stale = ALL, .model = true, .outcomes = OUT(3));
static void inc_split(void) { ramka_store(&x, ramka_load(&x, relaxed, litmus) + 1, relaxed, litmus); }
CK_CLIENT(load_store_not_atomic, .what = "load, then store loses increments",
	  .thread = { inc_split, inc_split, inc_split }, .check = inc_out, .stale = ALL, .model = true,
	  .outcomes = OUT(1, 2, 3));

/* release sequences */
static void rs_w(void) { ramka_store(&x, 1, relaxed, litmus); ramka_store(&y, 1, release, litmus); }
static void rs_rmw(void) { uint64_t e = 1; ramka_cas(&y, &e, 2, relaxed, litmus); }
static void rs_store(void) { if (ramka_load(&y, relaxed, litmus) == 1) ramka_store(&y, 2, relaxed, litmus); }
CK_CLIENT(release_sequence_rmw, .what = "a relaxed read-modify-write carries the release on",
	  .thread = { rs_w, rs_rmw, mp_r_acq }, .check = out2, .stale = ALL, .model = true,
	  .outcomes = OUT(0, 1, 11, 21));
CK_CLIENT(release_sequence_cut, .what = "a plain store cuts it", .thread = { rs_w, rs_store, mp_r_acq },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 11, 20, 21));

/* causality through a third thread */
static void wrc1(void) { if (ramka_load(&x, acquire, litmus)) ramka_store(&y, 1, release, litmus); }
static void isa_w(void) { ramka_store(&x, 1, relaxed, litmus); ramka_store(&z, 1, release, litmus); }
static void isa_m(void) { if (ramka_load(&z, acquire, litmus)) ramka_store(&y, 1, release, litmus); }
static void isa_m_rlx(void) { if (ramka_load(&z, relaxed, litmus)) ramka_store(&y, 1, release, litmus); }
CK_CLIENT(write_read_causality, .what = "WRC", .thread = { iriw_w0, wrc1, mp_r_acq }, .check = out2,
	  .stale = ALL, .model = true, .outcomes = OUT(0, 1, 11));
CK_CLIENT(isa2, .what = "a chain of two releases", .thread = { isa_w, isa_m, mp_r_acq }, .check = out2,
	  .stale = ALL, .model = true, .outcomes = OUT(0, 1, 11));
CK_CLIENT(isa2_relaxed, .what = "the chain broken in the middle", .thread = { isa_w, isa_m_rlx, mp_r_acq },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10, 11));

/* a failed compare-and-swap is a load of its failure order, and may be stale */
static void casf_acq(void)
{
	uint64_t e = 7;

	ramka_cas(&y, &e, 8, acquire, litmus);
	r[0] = e;
	r[1] = ramka_load(&x, relaxed, litmus);
}
static void casf_rlx(void)
{
	uint64_t e = 7;

	ramka_cas(&y, &e, 8, release, litmus);
	r[0] = e;
	r[1] = ramka_load(&x, relaxed, litmus);
}
CK_CLIENT(cas_failure_acquire, .what = "a failed CAS acquires", .thread = { mp_w_rel, casf_acq },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 11));
CK_CLIENT(cas_failure_relaxed, .what = "a failed release CAS is relaxed", .thread = { mp_w_rel, casf_rlx },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10, 11));

/* pinned: what is not covered */
static void lb0(void) { r[0] = ramka_load(&x, relaxed, litmus); ramka_store(&y, 1, relaxed, litmus); }
static void lb1(void) { r[1] = ramka_load(&y, relaxed, litmus); ramka_store(&x, 1, relaxed, litmus); }
CK_CLIENT(load_buffering, .what = "C11 allows 1,1 too: not covered", .thread = { lb0, lb1 }, .check = out2,
	  .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10));
static void w22_0(void) { ramka_store(&x, 1, relaxed, litmus); ramka_store(&y, 2, relaxed, litmus); }
static void w22_1(void) { ramka_store(&y, 1, relaxed, litmus); ramka_store(&x, 2, relaxed, litmus); }
static void w22_out(void)
{
	ck_outcome((int)(ramka_load(&x, relaxed, litmus) * 10 + ramka_load(&y, relaxed, litmus)));
}
CK_CLIENT(two_plus_two_writes, .what = "C11 allows 1,1 too: not covered", .thread = { w22_0, w22_1 },
	  .check = w22_out, .stale = ALL, .model = true, .outcomes = OUT(12, 21, 22));

/* plain writes to atomic memory become part of its history */
static void pw0(void) { x.value = 5; ramka_store(&y, 1, release, litmus); }
static void pw1(void)
{
	if (ramka_load(&y, acquire, litmus))
		r[0] = ramka_load(&x, relaxed, litmus);
	else r[0] = 9;
}
CK_CLIENT(plain_write_to_atomic, .what = "plain initialisation, then published", .thread = { pw0, pw1 },
	  .check = out1, .stale = ALL, .model = true, .outcomes = OUT(5, 9));
static void pw2(void) { r[0] = ramka_load(&x, relaxed, litmus); }
CK_CLIENT(plain_write_race, .what = "a plain write races with an atomic read", .thread = { pw0, pw2 },
	  .fails = "DATA RACE", .model = true);

/* interrupts, parking, blocking, grace periods */
static void irq(void) { ramka_add(&x, 1, relaxed, litmus); r[1] = ck_self(); }
static void irq_thread(void) { ramka_load(&x, relaxed, litmus); r[0] = ramka_load(&x, relaxed, litmus); }
static void irq_out(void) { ck_outcome((int)(r[0] * 10 + ck_irqs())); }
CK_CLIENT(interrupt, .what = "none, before, before or after the second load", .thread = { irq_thread },
	  .irq = { irq }, .check = irq_out, .model = true, .outcomes = OUT(0, 1, 11));
static void irq_plain_thread(void) { volatile int *p = &plain; *p = 1; *p = *p + 1; r[0] = (uint64_t)*p; }
static void irq_plain(void) { plain = 7; }
CK_CLIENT(interrupt_plain, .what = "an interrupt between plain accesses", .thread = { irq_plain_thread },
	  .irq = { irq_plain }, .check = out1, .model = true, .outcomes = OUT(2, 7, 8));
static void park_thread(void) { ramka_add(&x, 1, relaxed, litmus); ramka_add(&x, 1, relaxed, litmus); }
static void park_out(void) { ck_outcome((int)ramka_load(&x, relaxed, litmus)); }
CK_CLIENT(parking, .what = "a thread that stops for ever at any step", .thread = { park_thread, inc },
	  .park = 1, .check = park_out, .model = true, .outcomes = OUT(1, 2, 3));
static bool is_set(void *p) { return ramka_load((struct ramka_atomic_u64 *)p, relaxed, litmus) != 0; }
static void waiter(void)
{
	ck_block(is_set, &y);
	r[0] = ramka_load(&y, acquire, litmus);
	r[1] = ramka_load(&x, relaxed, litmus);
}
CK_CLIENT(blocking_wait, .what = "a blocked thread wakes; its reads may still be stale",
	  .thread = { mp_w_rel, waiter }, .check = out2, .stale = ALL, .model = true,
	  .outcomes = OUT(0, 1, 11));
CK_CLIENT(blocking_for_ever, .what = "nobody wakes it", .thread = { inc, waiter }, .fails = "DEADLOCK",
	  .model = true);

static void gp_reader(void)
{
	ck_rcu_read_lock();
	if (ramka_load(&x, acquire, litmus) == 0)
		r[0] = (uint64_t)plain;
	ck_rcu_read_unlock();
}
static void gp_writer(void)
{
	uint64_t k;

	ramka_store(&x, 1, relaxed, litmus);
	k = ck_rcu_snapshot(NULL);
	if (ck_choose(2))
		ck_rcu_wait(NULL, k);
	else if (!ck_rcu_elapsed(NULL, k))
		return;
	plain = 3;
}
static void gp_writer_early(void)
{
	uint64_t k = ck_rcu_snapshot(NULL);

	ramka_store(&x, 1, relaxed, litmus);
	ck_rcu_wait(NULL, k);
	plain = 3;
}
static void gp_writer_none(void) { ramka_store(&x, 1, relaxed, litmus); ck_rcu_snapshot(NULL); plain = 3; }
CK_CLIENT(grace_period, .what = "readers against unlink, grace period, reuse",
	  .thread = { gp_reader, gp_writer }, .model = true);
CK_CLIENT(grace_period_early, .what = "snapshot before the unlink", .thread = { gp_reader, gp_writer_early },
	  .fails = "DATA RACE", .model = true);
CK_CLIENT(grace_period_none, .what = "no poll", .thread = { gp_reader, gp_writer_none },
	  .fails = "DATA RACE", .model = true);

/* a section that sees what came after the grace period sees what came before it */
static void gp_order_w(void)
{
	ramka_store(&x, 1, relaxed, litmus);
	ck_rcu_wait(NULL, ck_rcu_snapshot(NULL));
	ramka_store(&y, 1, relaxed, litmus);
}
static void gp_order_r(void) { ck_rcu_read_lock(); mp_r_rlx(); ck_rcu_read_unlock(); }
CK_CLIENT(grace_period_order, .what = "message passing by a grace period",
	  .thread = { gp_order_w, gp_order_r }, .check = out2, .stale = ALL, .model = true,
	  .outcomes = OUT(0, 1, 11));
CK_CLIENT(grace_period_no_section, .what = "the reader is in no section", .thread = { gp_order_w, mp_r_rlx },
	  .check = out2, .stale = ALL, .model = true, .outcomes = OUT(0, 1, 10, 11));
