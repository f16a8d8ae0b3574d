/* SPDX-License-Identifier: MIT */
/*
 * The one question that qsbr.c and the hosted layer both ask of a quiescent-state backend. The hosted layer's
 * table of readers grows, so the number of CPUs is an argument. Protocol: qsbr.c.
 */
#ifndef RAMKA_LIB_RCU_QSBR_H
#define RAMKA_LIB_RCU_QSBR_H

#include <ramka/rcu.h>

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
