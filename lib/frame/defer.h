/* SPDX-License-Identifier: MIT */
/*
 * Deferred reclaim: frames whose last reference is gone while readers may still look at them. May use
 * argument.h, contracts.h, drop.h. Called by frame.c and unique.c (defer_frame), by requests that are about
 * to fail (defer_more), and by a CPU that goes off line. Calls the grace-period source of the embedder.
 *
 * A frame is DEFERRED(link) from put_rcu until its grace period is over; the link is the next frame of its
 * chain, and metadata and content are as they were. Its chain lies in one of three places, and moves from the
 * first two to the third:
 *
 *   open bag   one per CPU, private to it: its section, or a drainer that has stopped it (cpu/section.h)
 *   pile       one per instance: a stack for callers without a section (nested, revoked, cache-less)
 *   bag        a chain with its cookie, in a slot of a ring. Each CPU and the cache-less handle have a ring
 *
 * A cookie is taken when a chain becomes a bag, and never again: the bag keeps it until its last frame is
 * free. A CPU that goes off line hands bags on with their cookies, a bag that is freed in parts keeps its
 * cookie for the rest, and nothing takes a bag whose grace period is not over. The open bag and the pile have
 * no cookie yet, so they may be moved.
 *
 * The word of a slot of a ring:
 *
 *    63                                2 1         0
 *   +-----------------------------------+-----------+
 *   |            uses (62)              | state (2) |
 *   +-----------------------------------+-----------+
 *
 * `uses` counts the stores that end BUSY, so no word comes twice (2^62 stores, one a nanosecond: 146 years).
 *
 *   EMPTY(n)   -> BUSY(n)       reserve   by CAS (acquire): a thread that has a chain and writes it there
 *   BUSY(n)    -> SEALED(n + 1) seal      by a store (release): chain and cookie are complete
 *   SEALED(n)  -> BUSY(n)       take      by CAS: a thread that has loaded the word (acquire) and seen
 *                                         the grace period end
 *   BUSY(n)    -> EMPTY(n + 1)  release   by a store (release), before the frames are freed
 *   BUSY(n)    -> SEALED(n + 1)           the same, where frames are left: the same bag, the same cookie
 *   BUSY(n)    -> EMPTY(n + 1)            a reservation that found no chain
 *
 *   filler                              reaper
 *   --------------------------------    ------------------------------------------
 *   EMPTY(n) -> BUSY(n)
 *   chain, cookie = snapshot
 *   SEALED(n + 1)             ------->  load the word: SEALED(n + 1); load the cookie
 *                                       elapsed(cookie)? Else leave the bag alone
 *                                       SEALED(n + 1) -> BUSY(n + 1); fails if another reaper was faster
 *                                       take the chain, EMPTY(n + 2), free the frames
 *   EMPTY(n + 2) -> BUSY(n + 2)  <----
 *
 * The cookie that a reaper loaded belongs to the bag that its CAS takes: a newer cookie is stored only after
 * the slot has left SEALED(n + 1), and then the CAS fails. So any thread may reap any ring, without a
 * section, a barrier or waiting. A stopped thread holds the bag that it reserved, or the two bags' worth of
 * frames that it took.
 *
 * Reserving: the slots in turn from `next`, so the oldest bag is the first one that is found from `next` on.
 * With no slot free the open bag and the pile grow: their frames wait for a slot, which is free as soon as
 * the oldest grace period ends.
 *
 * Pile: pushed by CAS (release), taken whole by exchange (acquire) by a thread that has reserved a slot of
 * the cache-less handle's ring; the snapshot comes after the exchange, so it covers every frame that was
 * taken. That chain is not counted: its frames stay in `deferred_frames` until they are freed.
 *
 * Hits. Most put_rcu only push: a CAS of the frame's state word and two stores to the open bag (defer_hit).
 * One compare says so. `stop` is the count of the CPU's frames from which on the next one is looked at: it
 * would open a bag, fill one, or lie above the high-water mark by what waited when `stop` was set. Frames
 * that left since make it too low, never too high. The look sets it anew. A mark that falls, as memory is
 * removed, counts from the next look on, a bag later at most.
 *
 * Reaping. A put_rcu that fills a bag frees at most two bags' worth, one of the pile's and its own; never
 * inside an on_drop, whose own put_rcu would never end. An allocation that finds its cache empty does the
 * same. A request that would fail seals everything, then frees twice as much each time until it succeeds or
 * nothing is ripe. ramka_reclaim frees all that is ripe.
 *
 * Pairs: defer.bag (the word of a slot), defer.shared (the pile).
 */
#ifndef RAMKA_LIB_FRAME_DEFER_H
#define RAMKA_LIB_FRAME_DEFER_H

#include "../cpu/section.h"

#define BAG_SIZE 64u
#ifndef RING_SIZE /* the checker's is 2, so that slots come round again */
# define RING_SIZE 16u
#endif

/* Frames by their links, up to link 0. */
struct chain {
	uint64_t head;   /* slot + 1 of the newest; 0 empty */
	uint64_t frames; /* base frames */
	uint32_t nr;     /* frames of any order; UNCOUNTED: out of the pile */
};
#define UNCOUNTED UINT32_MAX

struct bag {
	struct chain chain;
	struct ramka_atomic_u64 cookie;
};

/* Of a CPU, or of the cache-less handle, which uses nothing but the ring. */
struct defer {
	/* the open bag: the owner alone writes this line */
	RAMKA_ALIGNAS(LINE_BYTES) uint64_t head;
	struct ramka_atomic_u64 in;     /* base frames that came */
	uint64_t stop;                  /* `in` from which on the next frame takes the long way */
	struct ramka_atomic_u64 sealed; /* `in` when the last bag was made */
	uint64_t tails;                 /* base frames in the open bag that are no heads */

	/* base frames that left: what came and did not leave waits here */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 out;
	struct ramka_atomic_u64 peak;   /* most that waited, looked at when a bag is made */
	struct ramka_atomic_u64 astray; /* frames that callers with this handle put on the pile */
	struct ramka_atomic_u32 next;   /* slot that the next bag takes, if it is free */
	struct ramka_atomic_u32 first;  /* slot at which the CPU begins to look for ripe bags of its own */
	/* the ring */
	RAMKA_ALIGNAS(LINE_BYTES) struct ramka_atomic_u64 state[RING_SIZE];
	struct bag bags[RING_SIZE];
};

enum bag_state { BAG_EMPTY, BAG_BUSY, BAG_SEALED };
#define BAG_STATE(word) ((unsigned)(word) & 3u)
#define BAG_USE 4u /* one more use */

/* Takes over a frame without references: 0 or RAMKA_PRESSURE. */
int defer_frame(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info);

/*
 * A frame with one reference, which is the caller's, and no mark: gives up the reference and takes the frame
 * over at once. False, and nothing has happened: it has other references meanwhile, or the section cannot be
 * entered.
 */
bool defer_last(struct ramka_cpu *cpu, struct ramka_frame *f, uint64_t info, int *ret);
/*
 * The same without a call, for a base frame of the home zone with which nothing else is due: the answer would
 * be 0. False, and nothing has happened: it is another frame, or something is due.
 */
static always_inline bool defer_hit(struct ramka_cpu *cpu, struct ramka_frame *f)
{
	struct defer *d = cpu->defer;
	uint64_t old = REF_SHARED(1), in;

	if (unlikely(!section_enter(cpu)))
		return false;
	in = ramka_load(&d->in, relaxed, stat);
	if (unlikely(in >= d->stop) ||
	    unlikely(slot_info(f) & (INFO_ORDER_MASK | INFO_RESERVED | INFO_WATCHED)) ||
	    unlikely(!ramka_cas(&f->ref, &old, REF_DEFERRED(d->head), acquire, slot.drop))) {
		section_leave(cpu);
		return false;
	}
	d->head = slot_index(cpu->r, f) + 1;
	ramka_store(&d->in, in + 1, relaxed, stat);
	section_leave(cpu);
	return true;
}

/* Frees up to two bags' worth of frames whose grace period is over, of the pile and of this CPU. */
void defer_poll(struct ramka_cpu *cpu);

/* For a request that would fail: all zeroes at first. */
struct defer_try {
	uint32_t limit;  /* frames to free next */
	unsigned waits;  /* done so far */
	bool begun;
	bool sealed;     /* everything is, as far as it can be */
};
/*
 * True: frames were freed, so the request may be tried again, and this called again if it fails. With
 * `may_wait` it waits when nothing is ripe: first for the oldest bag that it finds, then for all that is
 * deferred, each time as long as the source waits.
 */
bool defer_more(struct ramka_cpu *cpu, struct defer_try *t, bool may_wait);

/*
 * The CPU's bags go to the ring of the cache-less handle as far as there is room; what is left can be reaped
 * where it is.
 */
void defer_offline(struct ramka_cpu *cpu);

/* Base frames that wait. */
uint64_t defer_count(const struct ramka *r);
/* Those in the open bag and the ring of one CPU. */
static inline uint64_t defer_waiting(const struct defer *d)
{
	uint64_t out = ramka_load(&d->out, relaxed, stat), in = ramka_load(&d->in, relaxed, stat);

	return in > out ? in - out : 0; /* the two are not read at once */
}
/* The most of these at once. */
uint64_t defer_peak(const struct defer *d);
/* How many bags ago the oldest sealed one was sealed, itself included; 0 if there is none. */
unsigned defer_age(const struct defer *d);

#endif
