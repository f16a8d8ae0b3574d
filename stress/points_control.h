/* SPDX-License-Identifier: MIT */
/* What the points of points.h are and do. Used by the harness; a build without points has none of them. */
#ifndef STRESS_POINTS_CONTROL_H
#define STRESS_POINTS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point {
	const char *pair, *file;
	int line;
	uint32_t hits;     /* atomic, relaxed */
	uint32_t off;      /* no delays here */
	uint64_t spare[4]; /* a cache line in all */
} __attribute__((aligned(64)));

extern unsigned points_mode; /* atomic, relaxed: what all threads do */
void points_hit(struct point *p);

#define POINTS_DELAY 1u /* once in 64, at chosen points in 4: yield, or spin 1-50 us */
#define POINTS_COUNT 2u
#define POINTS_PARK 4u  /* the thread that was told so stops at one point */
#define POINTS_NEST 8u  /* once in so many: a nested operation, as if an interrupt had come */

/* How many points the program has, and one of them. 0 in a build without points. */
unsigned points_nr(void);
struct point *points_at(unsigned i);

/* "file:line pair" */
void point_name(const struct point *p, char *ret_name, size_t size);

/* Delays only at points with this text in their names, and more often; how many there are. Before any thread. */
unsigned points_choose(const char *text);

/* Sets the mode for all threads. */
void points_set(unsigned mode);

/* For the calling thread: delays and nesting follow this seed; without a call there are none. */
void points_thread(uint64_t seed, void (*nest)(void *arg), void *arg, unsigned nest_one_in);

/* The calling thread stops at its `nth` visit of `p` from now on, until points_unpark. */
void points_park_me(struct point *p, unsigned nth);
/* Has a thread stopped? */
bool points_parked(void);
/* Lets it go on; a later points_park_me may stop another. */
void points_unpark(void);

#endif
