/* SPDX-License-Identifier: MIT */
/*
 * Grace periods from quiescent states, for kernels that have no RCU. Freestanding; the embedder calls
 * ramka_qsbr_quiescent where a CPU holds no reference to a deferred frame: context switch, idle, user mode.
 *
 * `now` counts grace periods from 1 up. A snapshot moves it on; its new value is the cookie. Each CPU
 * stores the newest value that it was quiescent in:
 *
 *   seen 0        offline: holds nothing
 *   seen < t      may hold a frame that was taken out of sight before cookie t was taken
 *   seen >= t     was quiescent after that: cookie t is over as far as this CPU goes
 *
 * Races. A CPU may announce itself quiescent while a snapshot is taken. If it read `now` before the snapshot
 * moved it, it stores a value below the cookie and is waited for. If it read `now` afterwards, all that it
 * reads from there on is read after the unlink (qsbr.period). A CPU may also come online while a snapshot is
 * taken. It stores the value of `now`, then reads `now` by a read-modify-write, as the snapshot does. The
 * later of the two sees what the earlier one did before: the snapshot's caller finds the CPU online, or the
 * CPU finds the frames unlinked. So no fence is needed. With a plain load both could miss. `seen` never names
 * a grace period that has not begun, and each store of it is a release, the first one of coming online too: a
 * poll that sees it, and not the 0 before, must see the end of the last section.
 *
 * A cookie that is over stays over. A CPU that comes online may show an old value for a moment, below cookies
 * that are over. So the poll that finds a cookie over keeps it in `over`, and every poll for it or an older
 * one ends there (qsbr.over): the last accesses of the readers come before the poll that found out, and that
 * before all that believe it.
 *
 * Misuse. A CPU that is online and comes online again may be inside a section that began before. So that
 * call announces nothing. A CPU that is offline and says that it is quiescent stays offline. It would hold
 * up every grace period otherwise. Both are reported. So is going offline twice, which means that what ran
 * between the two was not protected. The CPU's own last store decides, so a relaxed load of `seen` is
 * enough.
 *
 * Progress: snapshot and the announcements are wait-free, elapsed is linear in the CPUs, or one load; all of
 * them in any context. wait ends when all CPUs have announced themselves; the caller's CPU is one of them.
 */
#include "qsbr.h"

#define FIRST 1u            /* value of `now` before any snapshot: below every cookie */
#define QSBR_POLLS 1000u /* as long as `relax` makes them; without it a fraction of a millisecond and up */

static uint64_t qsbr_snapshot(void *ctx)
{
	struct ramka_qsbr *q = ctx;

	return ramka_add(&q->now, 1, acq_rel, qsbr.period) + 1;
}

static bool qsbr_has_elapsed(void *ctx, uint64_t cookie)
{
	struct ramka_qsbr *q = ctx;

	return qsbr_elapsed(q, q->nr_cpus, cookie);
}

static void qsbr_relax(const struct ramka_qsbr *q)
{
	if (q->relax)
		q->relax(q->relax_ctx);
}

/*
 * The caller's CPU counts: it must have announced itself quiescent after the snapshot, or be offline. See
 * qsbr_announce.
 */
static void qsbr_wait(void *ctx, uint64_t cookie)
{
	while (!qsbr_has_elapsed(ctx, cookie))
		qsbr_relax(ctx);
}

static bool qsbr_wait_bounded(void *ctx, uint64_t cookie)
{
	for (unsigned i = 0; i < QSBR_POLLS; i++) {
		if (qsbr_has_elapsed(ctx, cookie))
			return true;
		qsbr_relax(ctx);
	}
	return false;
}

/* As the CPU itself announced it last. */
static bool is_online(const struct ramka_qsbr *q, unsigned cpu)
{
	return ramka_load(&q->cpus[cpu].seen, relaxed, qsbr.quiesce) != QSBR_OFFLINE;
}

/*
 * The CPU is about to wait, so it holds nothing; one that is offline stays so. With another number of readers
 * it is none of them.
 */
static void qsbr_announce(void *ctx, unsigned cpu, unsigned nr_cpus)
{
	struct ramka_qsbr *q = ctx;

	if (nr_cpus == q->nr_cpus && is_online(q, cpu))
		ramka_qsbr_quiescent(q, cpu);
}

void ramka_qsbr_init(struct ramka_qsbr *q, struct ramka_qsbr_cpu *cpus, unsigned nr_cpus,
		     struct ramka_rcu_ops *ret_ops)
{
	ramka_store(&q->now, FIRST, relaxed, qsbr.period);
	ramka_store(&q->over, FIRST, relaxed, qsbr.over);
	q->cpus = cpus;
	q->nr_cpus = nr_cpus;
	q->relax = NULL;
	q->relax_ctx = NULL;
	q->panic = NULL;
	q->panic_ctx = NULL;
	for (unsigned i = 0; i < nr_cpus; i++)
		ramka_store(&cpus[i].seen, QSBR_OFFLINE, relaxed, qsbr.quiesce);
	*ret_ops = (struct ramka_rcu_ops){
		.snapshot = qsbr_snapshot,
		.elapsed = qsbr_has_elapsed,
		.wait = qsbr_wait,
		.ctx = q,
		.wait_bounded = qsbr_wait_bounded,
		.quiescent = qsbr_announce,
	};
}

static void misused(struct ramka_qsbr *q, unsigned cpu, const char *operation, const char *what)
{
	struct ramka_bug bug = {
		.operation = operation,
		.what = what,
		.state = RAMKA_STATE_HOLE,
		.argument = "cpu",
		.value = cpu,
	};

	if (q->panic)
		q->panic(q->panic_ctx, &bug);
}

/* Has it such a CPU, in the state that the call begins in? Else reports. */
static bool begins(struct ramka_qsbr *q, unsigned cpu, bool online, const char *operation, const char *what)
{
	if (cpu >= q->nr_cpus)
		misused(q, cpu, operation, "there is no such CPU");
	else if (is_online(q, cpu) != online)
		misused(q, cpu, operation, what);
	else
		return true;
	return false;
}

void ramka_qsbr_online(struct ramka_qsbr *q, unsigned cpu)
{
	if (begins(q, cpu, false, "ramka_qsbr_online", "the CPU is online already: sections do not nest"))
		qsbr_online(q, cpu);
}

void ramka_qsbr_quiescent(struct ramka_qsbr *q, unsigned cpu)
{
	uint64_t now = ramka_load(&q->now, acquire, qsbr.period);

	if (begins(q, cpu, true, "ramka_qsbr_quiescent", "the CPU is offline"))
		ramka_store(&q->cpus[cpu].seen, now, release, qsbr.quiesce);
}

void ramka_qsbr_offline(struct ramka_qsbr *q, unsigned cpu)
{
	if (begins(q, cpu, true, "ramka_qsbr_offline", "the CPU is offline: what it read was not protected"))
		qsbr_offline(q, cpu);
}
