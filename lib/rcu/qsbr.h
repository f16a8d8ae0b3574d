/* SPDX-License-Identifier: MIT */
/*
 * What qsbr.c and the hosted layer share. The hosted layer's table of readers grows, so the number of CPUs is
 * an argument. Its handlers may come online on top of a thread that is just doing so, or going offline. So it
 * counts sections itself, and announces without a look at what was announced before. Protocol: qsbr.c. May
 * use public headers alone.
 */
#ifndef RAMKA_LIB_RCU_QSBR_H
#define RAMKA_LIB_RCU_QSBR_H

#include <ramka/rcu.h>

#define QSBR_OFFLINE 0u

static inline void qsbr_online(struct ramka_qsbr *q, unsigned cpu)
{
	uint64_t now = ramka_load(&q->now, relaxed, qsbr.period);

	ramka_store(&q->cpus[cpu].seen, now, release, qsbr.quiesce);
	now = ramka_add(&q->now, 0, acq_rel, qsbr.period);
	ramka_store(&q->cpus[cpu].seen, now, release, qsbr.quiesce);
}

static inline void qsbr_offline(struct ramka_qsbr *q, unsigned cpu)
{
	ramka_store(&q->cpus[cpu].seen, QSBR_OFFLINE, release, qsbr.quiesce);
}

/* Has each of the first `nr` CPUs been quiescent, or offline, since the snapshot that gave `cookie`? */
static inline bool qsbr_elapsed(struct ramka_qsbr *q, unsigned nr, uint64_t cookie)
{
	uint64_t over = ramka_load(&q->over, acquire, qsbr.over);

	if (over >= cookie)
		return true;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t seen = ramka_load(&q->cpus[i].seen, acquire, qsbr.quiesce);

		if (seen && seen < cookie)
			return false;
	}
	while (over < cookie && !ramka_cas(&q->over, &over, cookie, release, qsbr.over))
		;
	return true;
}

#endif
