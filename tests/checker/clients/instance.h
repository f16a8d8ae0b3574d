/* SPDX-License-Identifier: MIT */
/* A small instance for the clients that run the whole library, and the oracles that fit all of them. */
#ifndef CK_INSTANCE_H
#define CK_INSTANCE_H

#include "checker.h"

#include <ramka/ramka.h>

#define BASE 512u                   /* frame number of the first frame: 2 MiB */
#define PA(i) ((ramka_paddr_t)(BASE + (i)) * RAMKA_PAGE_SIZE)
#define UNINIT ((struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT })
#define ORDER(n) ((struct ramka_request){ .order = (n), .flags = RAMKA_ALLOC_UNINIT })

struct meta { uint64_t a, b; };     /* always equal while a frame is published */

extern struct ramka *r;
extern const struct ramka_type t_plain, t_other, t_hook, t_rcu, t_bare;    /* t_bare: no metadata */

/* t_hook and t_rcu: on_drop gives the frame back to the oracle and writes the metadata; and calls this if set */
extern void (*on_drop_also)(struct ramka_cpu *cpu, ramka_paddr_t pa);

struct options {
	/* in this order from PA(0) on; hole: in no region */
	unsigned frames, detached, hole, reclaimable;
	bool reclaimable_first;        /* the reclaimable frames, from address 0 on, and then the others */
	unsigned cpus;
	uint32_t flags;
	bool rcu;
	bool declines;                 /* the barrier on all CPUs may decline, while the threads run */
	uint64_t min, low, high;       /* watermarks */
	void (*low_memory)(void *ctx, uint64_t free_frames), (*enough_memory)(void *ctx, uint64_t free_frames);
	uint64_t (*shrink)(void *ctx, uint64_t wanted);
	bool tolerant;                 /* a reported bug does not fail the client, it is counted in note NOTE_BUGS */
};
void make(struct options o);
enum { NOTE_BUGS, NOTE_DROPS, NOTE_0 };

struct ramka_cpu *cpu(unsigned i);
struct ramka_cpu *none(void);

static inline unsigned number(const struct ramka_frame *f) { return (unsigned)ramka_frame_index(r, f); }

/* Frames of a type without on_drop: one owner from alloc to the last put. */
struct ramka_frame *take(struct ramka_cpu *c, const struct ramka_type *type, uint64_t value);
void give(struct ramka_cpu *c, struct ramka_frame *f);
void take_give(struct ramka_cpu *c);
/* The metadata of a frame that the caller has a reference to. */
uint64_t look(const struct ramka_frame *f);

/* After the threads: all drained, each frame free or owned, the audit clean. `leaked`: how many may be missing. */
void books_but(unsigned leaked);
void books(void);

#endif
