/* SPDX-License-Identifier: MIT */
/*
 * The stress harness: a world (one instance with its memory), workers (threads that own a CPU each), rounds, and the
 * ownership oracle by which everything is judged. A scenario is a step that workers repeat; one per file.
 *
 * A run is a few rounds. In a round every worker repeats its step; between two rounds all of them stand outside the
 * library, and the harness audits: ramka_check finds nothing, the owner map agrees with the counters, reference
 * counts agree with their shadow. After the last round workers give back what they hold, and the world must be as
 * it was: every frame free, each one exactly once, whole blocks whole again.
 *
 * The oracle (by set, since sums hide a frame handed out twice):
 *   owner map      one word per base frame, exchanged at take and give: 0 -> who -> 0, anything else is a failure
 *   stamps         the owner writes words that name the frame, itself and a number, and finds them when it gives
 *   zero           a frame that was to be zeroed is zero when handed out
 *   shadow counts  references as the workers count them
 *   on_drop        the hook of typed frames clears the owner map: exactly once per frame, with the shadow count at 0
 * Its words are relaxed atomics, so that it gives ThreadSanitizer no order that the library did not give; content
 * and metadata are plain memory, so that a missing order is a race.
 *
 * Seeds. Every random decision comes from the run's seed; the same seed repeats the same decisions of each worker.
 * How the machine interleaves the workers is not repeated.
 */
#ifndef STRESS_HARNESS_H
#define STRESS_HARNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <ramka/ramka.h>

#define MAX_WORKERS 64u
#define MAX_HELD 4096u
#define HIGH_WATER 512u

/* ---- random numbers ---- */

struct rng { uint64_t state; };

struct rng rng_make(uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
/* 0..n-1; n below 2^32 */
uint32_t rng_below(struct rng *r, uint32_t n);

static inline bool rng_one_in(struct rng *r, uint32_t n)
{
	return rng_below(r, n) == 0;
}

/* ---- workers and what they hold ---- */

/* A frame in somebody's hands. Plain data, passed from worker to worker. */
struct held {
	struct ramka_frame *frame; /* or the unique handle: the same slot */
	const struct ramka_type *type;
	uint32_t seq;
	uint16_t who;              /* whose name the owner map and the stamps carry */
	uint8_t order;
	bool unique, full;         /* full: every word is stamped */
};

struct pile {
	unsigned n;
	uint64_t frames; /* base frames of all */
	struct held item[MAX_HELD];
};

/* How long calls took, by powers of two of nanoseconds; sampled in a soak. */
struct latency {
	_Atomic uint32_t bucket[40];
};
enum { ALLOC, FREE, NR_LATENCIES };

struct worker {
	_Alignas(128) unsigned id;
	struct ramka_cpu *cpu;
	struct rng rng;
	uint32_t seq;
	bool silent;            /* parked ones do not read: no grace period waits for them */
	_Atomic bool busy;      /* in a round or a release: expected to get somewhere */
	_Atomic uint64_t ops;   /* steps so far: progress */
	_Atomic uint64_t call;  /* base frames that the call in progress may have in its hands */
	struct worker *handler; /* what interrupts it: the same CPU; counts and holds for itself */
	_Atomic bool running;   /* of a handler */
	struct latency latency[NR_LATENCIES];
	struct pile pile;
};

extern _Thread_local struct worker *this_worker;

/* ---- scenarios ---- */

#define WORLD_READERS 1u      /* workers are online for grace periods and quiescent between steps */
#define WORLD_UNOWNED 2u      /* some frames in use are in no owner map (page-table nodes) until the release */
#define WORLD_SMALL 4u        /* few frames: contention, drains, no memory */
#define WORLD_SIGNALS 8u      /* SIGUSR1 comes at any instruction of a round */
#define WORLD_DECLINES 16u    /* the barrier declines now and then */
#define WORLD_ONE_NODE 32u

struct scenario {
	const char *name, *about;
	unsigned flags;
	uint32_t frames_per_worker;        /* 0: as the flags say */
	unsigned round_seconds;            /* a round takes at least so long */
	void (*configure)(struct ramka_config *cfg); /* what differs from other worlds */
	void (*setup)(void);               /* the world is there, workers are not running */
	void (*step)(struct worker *w);
	void (*nest)(struct worker *handler); /* what a signal handler does */
	void (*tick)(void);                /* called by the main thread in a loop during a round; NULL: it sleeps */
	void (*audit)(void);               /* all workers stand */
	bool (*enough)(void);              /* false: what the scenario is for has not happened yet, so one more round */
	void (*release)(struct worker *w); /* give back everything; all workers at once */
	void (*teardown)(void);            /* after that, the main thread */
	bool own_readers; /* workers share CPUs: the readers are the workers, not the CPUs */
};

extern const struct scenario churn, huge, pipe_, refs, segments, lists, tables, defer, stall, flood, bags, endless, oom, brim,
	hotplug, removal, broken, low, claimers, drain, nested, bulk, threads, mix, waits;

/* ---- the world ---- */

struct options {
	unsigned workers, seconds, round_seconds;
	unsigned hang;      /* seconds without a step that mean that there will be none */
	uint64_t signals;   /* where there are signals: so many are to be handled */
	uint64_t seed, ops; /* ops: steps per worker, 0 = by time */
	uint64_t frames;    /* 0: the scenario decides */
	unsigned memory_shift; /* half the frames, for builds whose memory costs more */
	const char *points; /* delays and parking: only at those whose place or pair has this in it */
	const char *map;    /* a dump of the memory goes there each second; NULL: none */
	bool delays, quiet, soak;
	bool early_reap;    /* a bug on purpose: no bag waits for its grace period. The oracle must see it */
};

struct range { uint64_t first, nr; }; /* frame numbers */

struct world {
	const struct scenario *scenario;
	struct options opt;
	struct ramka *r;
	unsigned nr_workers, nr_cpus;
	uint64_t first, nr;      /* frame numbers of the span */
	uint64_t free_at_start;  /* frames that the allocator had */
	uint64_t huge_at_start;
	struct range detached, late;
	struct range hole;
	uint8_t *memory;         /* content of frame `first` */
	uintptr_t slots;         /* of frame `first`, and how far apart they lie: for readers that have no reference */
	size_t stride;
	void *metadata;
	size_t metadata_bytes;
	struct worker *worker;
	struct ramka_qsbr qsbr;
	struct ramka_qsbr_cpu *qsbr_cpus;
	struct ramka_rcu_ops rcu; /* as they are, for the oracle */
	_Atomic uint32_t *owner, *refs;
	_Atomic bool stop;       /* the round is over */
	_Atomic uint64_t failures; /* requests answered with no memory */
	_Atomic uint64_t barriers, signals;
	char note[120];          /* for fail() */
	struct point *park_at;   /* worker 0 stops there, at such a visit */
	unsigned park_visit;
	uint64_t added;          /* frames of late memory, by the main thread */
	uint64_t reserve;        /* frames that only requests for the reserve get */
};

extern struct world world;

/* Prints the reason, the scenario and the seed, and ends the process with status 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(cond, ...) ((cond) ? (void)0 : fail(__VA_ARGS__))

void world_make(const struct scenario *s, const struct options *opt);
void world_end(void);
/* For watch_start: ends the process if nobody gets anywhere. */
void world_look(void);
/* One scenario from setup to teardown; returns only if all is well. */
void run_scenario(const struct scenario *s, const struct options *opt);

/* Parts of run_scenario, for others that drive workers. */
void workers_start(void);
void workers_release(void);
void workers_join(void);
void round_run(unsigned seconds, uint64_t ops);
void round_begin(uint64_t ops, unsigned points);
unsigned round_done(void); /* workers whose steps are done */
void round_end(void);
void audit_round(void);
void audit_end(void);
uint64_t total_ops(void);
uint64_t now_ms(void);
uint64_t now_ns(void);
extern _Atomic bool world_over;
/* Calls of the grace-period backend's `relax` by this thread: how long it waited. */
extern _Thread_local uint64_t relaxes;

/* Between two steps, where readers read: this worker holds no pointer that it found in a read section. */
void worker_quiescent(struct worker *w);
/* SIGUSR1 to a worker. */
void worker_signal(unsigned id);
/* Grace periods do not wait for a worker that is offline. */
void worker_offline(struct worker *w);
void worker_online(struct worker *w); /* not in the release */
/* ramka_reclaim(cpu, true), out of the read section. */
void worker_reclaim(struct worker *w, struct ramka_cpu *cpu);

/* Worker 0 stops at each point in turn; one of `one_in` points. */
void run_park(const struct options *opt, unsigned one_in);

/* Between rounds: shadow counts against the slots. */
void check_references(bool exact);

/* What a worker of the mix does as one of its parts; NULL past the last part. */
struct worker *mix_part(unsigned worker, unsigned part);

/* ---- the oracle ---- */

static inline uint64_t frame_at(ramka_paddr_t pa) /* index into the maps */
{
	return (pa >> RAMKA_PAGE_SHIFT) - world.first;
}

static inline ramka_paddr_t paddr_at(uint64_t index)
{
	return (world.first + index) << RAMKA_PAGE_SHIFT;
}

/* The slot of a frame, for a reader in a read section that found its address. */
static inline struct ramka_frame *frame_seen(ramka_paddr_t pa)
{
	return (struct ramka_frame *)(world.slots + frame_at(pa) * world.stride);
}

void own(ramka_paddr_t pa, uint64_t nr, unsigned who);
void disown(ramka_paddr_t pa, uint64_t nr, unsigned who);
/* Whoever it was; at least somebody, and one for all. */
void disown_any(ramka_paddr_t pa, uint64_t nr);
unsigned owner_of(ramka_paddr_t pa);
uint64_t count_owned(void);

/* Content. */
void stamp(const struct held *h);
void check_stamp(const struct held *h);
void check_zero(const struct held *h);

/* Metadata of typed frames: says whose it is, and a sum that a torn or stale read does not satisfy. */
struct tag {
	uint64_t frame;  /* number */
	ramka_paddr_t next; /* a frame that this one holds a reference to: put by on_drop; 0 none */
	uint32_t seq, order;
	uint64_t value;
	uint64_t sum;
};

/* A tag is given to alloc before the address is known, so its frame is 0 there and the sum does not cover it. */
struct tag tag_make(uint32_t seq, unsigned order, ramka_paddr_t next);
void tag_set(struct tag *t, uint64_t value); /* by the one owner */
void tag_check(const struct tag *t, ramka_paddr_t pa);

/* Types of the world. All but `raw_type` have the tag as metadata and an on_drop that clears the owner map. */
extern const struct ramka_type tagged_type, rcu_type, hidden_type, linked_type;
struct linked { /* metadata of linked_type: may be in a list */
	struct ramka_link link;
	struct tag tag;
};
/* The tag of a typed frame; NULL of any other. */
struct tag *tag_of(struct ramka_frame *f);
#define raw_type ramka_type_untyped
static inline bool is_raw(const struct ramka_type *type)
{
	return type == &raw_type;
}

/* ---- taking and giving, with the oracle around ---- */

/* Random order: most of them 0. */
unsigned random_order(struct rng *r, unsigned max);
/* A frame by ramka_frame_alloc or ramka_unique_alloc, owned and stamped; false: no memory. */
bool take(struct worker *w, struct ramka_cpu *cpu, const struct ramka_type *type, unsigned order, bool unique,
	  struct ramka_request req, struct held *ret);
/* What `take` does once the frame is there. */
void taken(struct worker *w, struct held *h, bool zeroed);
/* Checks, then gives up the one reference. */
void give(struct worker *w, struct ramka_cpu *cpu, struct held *h);
/* The same up to the call: the frame may be freed by whatever call the caller likes. */
void giving(struct worker *w, const struct held *h);

static inline struct ramka_unique *unique_handle(const struct held *h)
{
	return (struct ramka_unique *)h->frame;
}

void calling(struct worker *w, uint64_t frames);

/* Piles. */
bool pile_full(const struct pile *p);
void pile_add(struct pile *p, const struct held *h);
struct held pile_take(struct pile *p, unsigned i);
void pile_release(struct worker *w, struct pile *p);

/* Base frames that one worker may hold so that all together leave a part of the memory free. */
uint64_t share_of_memory(unsigned percent);

#endif
