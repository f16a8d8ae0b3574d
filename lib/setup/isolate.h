/* SPDX-License-Identifier: MIT */
/* Ranges of memory that an embedder isolates and removes. Called by isolate.c. */
#ifndef RAMKA_LIB_SETUP_ISOLATE_H
#define RAMKA_LIB_SETUP_ISOLATE_H

#include "../zone/zones.h"

/* Frames [first, end). */
struct range { uint64_t first, end; };

/* The part of a range that lies in one zone, and one of its blocks that is no hole. */
struct part_of_zone {
	struct zone *z;
	uint32_t first, end; /* bits */
	uint32_t block;
	unsigned at;         /* zones that were looked at; begin with 0 */
};

/* Whole pages inside the span? 0, or an error. */
int range_check(const struct ramka *r, ramka_paddr_t base, uint64_t size, struct range *ret);
/* The next zone that has blocks in the range. */
bool range_next_zone(const struct ramka *r, const struct range *g, struct part_of_zone *p);
/* Its next block. */
bool range_next_block(struct part_of_zone *p);

/*
 * Takes `changing`; the range cuts no block, has memory, and all its blocks are shut, or none. 0, or an
 * error without `changing`.
 */
int range_begin(struct ramka *r, ramka_paddr_t base, uint64_t size, bool shut, struct range *ret);
/* Drains every CPU. True: all were stopped. */
bool range_settle(struct ramka_cpu *cpu);

#endif
