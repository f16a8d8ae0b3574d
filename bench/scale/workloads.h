/* SPDX-License-Identifier: MIT */
/* What is asked of a peer: the workloads of bench/, written for machine.h. */
#ifndef BENCH_SCALE_WORKLOADS_H
#define BENCH_SCALE_WORKLOADS_H

#include "../peers/peers.h"

struct worker {
	_Alignas(128) void *cpu; /* what the peer's calls take */
	void **held;             /* room for all frames of its share and more */
	void **take;             /* the frames that it frees */
	uint64_t nr_held, nr_take;
	struct bench_rng rng;
	uint64_t done;           /* written by this CPU, read by others: each on a line of its own */
};

struct work {
	const struct bench_peer *peer;
	void *instance;
	unsigned order, cpus;
	uint64_t share; /* frames that a CPU may hold */
	uint64_t pairs; /* that a CPU is to make, about */
	uint64_t param;
	struct worker *workers;
};

struct workload {
	const char *name, *what;
	uint64_t param;
	unsigned min_cpus;
	unsigned max_order; /* 0: any */
	void (*run)(struct work *w); /* resets the counters when it is prepared; leaves frames in `held` */
};

extern const struct workload workloads[]; /* ends without a name */

/* Frees what the workers hold. */
void work_finish(struct work *w);


#endif
