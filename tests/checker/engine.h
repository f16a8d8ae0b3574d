/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the checker share: sched.c (coroutines, choices, search), memory.c (histories, views,
 * races, undo), rcu.c (grace periods), runner.c (command line). Clients do not include it.
 */
#ifndef CK_ENGINE_H
#define CK_ENGINE_H

#include "backend.h"
#include "checker.h"

#define CK_LOCS 2048         /* atomic locations in one execution */
#define CK_STACK (128u << 10)

enum ck_mode { CK_OFF, CK_RUN, CK_CHECK };
enum ck_search { CK_DFS, CK_PCT, CK_REPLAY, CK_BYTES };

/* What a release publishes: how far each thread had come, and the oldest message of each location still readable. */
struct ck_clock {
	uint32_t vc[CK_THREADS];
	uint16_t view[CK_LOCS];
};
/* The same in a message, as long as it had to be. */
struct ck_rel {
	uint32_t vc[CK_THREADS];
	uint32_t n;
	uint16_t view[];
};

struct ck_thread {
	void *sp;
	void (*fn)(void);
	bool done, parked;
	bool asleep, next_write;    /* see sched.c; the step that it stopped before: */
	uintptr_t next_key;
	unsigned in_irq, nr_irqs, steps, plains;
	uint64_t hash;              /* of all that it read, chose and suffered: its state, since it is deterministic */
	bool (*ready)(void *ctx);
	void *ready_ctx;
	struct ck_clock now, acq;   /* acq: what an acquire fence would add */
	struct ck_rel *rel;         /* what a relaxed store publishes since the last release fence */
	/* grace periods */
	bool in_section;
	uint64_t section;
};

struct ck {
	const struct ck_client *c;
	enum ck_mode mode;
	enum ck_search search;
	struct ck_thread t[CK_THREADS + 1];  /* the last one runs setup and check */
	unsigned n, cur, bound, preemptions, stale, stale_max, window, limit, fair;
	bool c11; /* release sequences as the client wants them */
	unsigned step, run_len, choose_seq, plain_seq;
	bool failed, pruned, grew, trace;
	uint64_t locs_hash, order_hash;  /* of all histories; of everything that is ordered by time alone */
	char message[1024];
	void *main_sp;
	char *stacks;
	uint64_t executions, nr_pruned;
};
extern struct ck ck;

static inline uint64_t ck_mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * 0x9fb21c651e98df25u;
	return (a ^ a >> 32) * 0xd6e8feb86659fd93u + b;
}

/* Replays and bytes mean the same whatever earlier executions have shown about who touches what: each point is one. */
static inline bool ck_every_point(void)
{
	return ck.search == CK_REPLAY || ck.search == CK_BYTES;
}

/* sched.c */
void ck_ordered(void);                             /* what the running thread does now does not commute with anything */
extern unsigned ck_bound_default, ck_pct_depth;
extern uint64_t ck_seed;
unsigned ck_pick(char kind, unsigned key, unsigned n);
/* A scheduling point before a step on granule `key` (0: conflicts with all). nests: the own interrupt uses it too. */
void ck_step(const char *what, bool shared, bool nests, uintptr_t key, bool write);
void ck_irq_point(void);                           /* only an interrupt may start here */
struct ck_result { bool failed, complete,
		crashed; uint64_t executions; double seconds; unsigned steps_max; char message[1024]; char *schedule; };
void ck_explore(const struct ck_client *c, unsigned bound, uint64_t pct_runs, double seconds, struct ck_result *ret);
void ck_replay(const struct ck_client *c, const char *schedule, struct ck_result *ret);
/* One execution, whose choices are the bytes (see sched.c). The schedule, if it failed, is for ck_replay. */
void ck_drive(const struct ck_client *c, const uint8_t *bytes, size_t n, struct ck_result *ret);
double ck_now(void);

/* memory.c */
void ck_mem_client(void);       /* forget everything about the last client */
void ck_mem_begin(void);        /* of an execution */
void ck_mem_undo(void);         /* put every written granule back */
unsigned ck_mem_locs(void);     /* how many atomic locations there are */
void ck_plain(uintptr_t addr, size_t size, bool write, const void *pc);
void ck_clock_join(struct ck_clock *dst, const struct ck_clock *src);
void ck_site_init(struct ck_site *s);
const char *ck_order_name(unsigned order);
void ck_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* rcu.c */
void ck_rcu_begin(void);

/* runner.c */
unsigned ck_weakened(const struct ck_site *s);     /* mask of CK_WEAK_* */
enum { CK_WEAK_ACQUIRE = 1, CK_WEAK_RELEASE = 2, CK_WEAK_FAILURE = 4 };
const char *ck_site_of_pc(const void *pc);

#endif
