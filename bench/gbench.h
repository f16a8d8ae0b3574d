/* SPDX-License-Identifier: MIT */
/*
 * Google Benchmark from C.
 *
 * The library counts iterations, takes CPU time per thread and writes the reports; the loop over the
 * iterations of a batch stays in C, so that a debug build of the library (Debian's is one) costs nothing that
 * can be seen.
 *
 *	static void run(struct gbench *g, void *ctx)    every thread of the case calls this
 *	{
 *		prepare();                               not timed
 *		while (gbench_next(g, 1024))             first and last call: barriers of all threads
 *			for (int i = 0; i < 1024; i++)
 *				one_iteration();
 *		finish();                                not timed
 *	}
 *
 * A case may be run several times with growing counts until it has lasted long enough, unless it fixes them.
 */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench; /* a running case, as one of its threads sees it */

struct gbench_case {
	const char *name;
	void (*run)(struct gbench *g, void *ctx);
	void *ctx;
	unsigned threads;
	int64_t iterations; /* of each thread; 0: as many as --benchmark_min_time needs */
};

void gbench_add(const struct gbench_case *c);
void gbench_context(const char *key, const char *value); /* a line of the report's "context" */
int gbench_main(int argc, char **argv);			 /* takes the --benchmark_* options; 0 or 1 */

/* Is another batch wanted? Rounds the iterations up to whole batches. */
bool gbench_next(struct gbench *g, int64_t batch);
/* Work between these two inside the loop is not counted. */
void gbench_pause(struct gbench *g);
void gbench_resume(struct gbench *g);
/* The case cannot run here. Before the first gbench_next, by all threads; which then answers false. */
void gbench_skip(struct gbench *g, const char *reason);
/* A further column of the report: the mean of what the threads give. */
void gbench_report(struct gbench *g, const char *name, double value);
unsigned gbench_thread(const struct gbench *g);

#ifdef __cplusplus
}
#endif

#endif
