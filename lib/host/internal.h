/* SPDX-License-Identifier: MIT */
/*
 * What the files of the hosted layer share. They use the core through its public headers; beside these host.c
 * uses base/why.h, and rcu_own.c uses rcu/qsbr.h.
 *
 *   host.c     creates and destroys a host: the memory map, the instance, what is left at the end
 *   map.c      address space for frames and metadata
 *   lease.c    numbered places
 *   process.c  the registry; the process loads, unloads and forks
 *   thread.c   threads that stand in for CPUs: registration, leases, thread exit
 *   rcu.c      which source of grace periods; read sections; waiting by polling; the source after fork
 *   rcu_own.c  the source "ramka": ramka_qsbr
 *   barrier.c  the asymmetric barrier
 *   checker.c  tells AddressSanitizer and valgrind which frames are free
 *   panic.c    says what is wrong and aborts
 *   rcu_urcu.c, rcu_ck.c   the sources "memb", "qsbr", "mb" and "ck"
 */
#ifndef RAMKA_LIB_HOST_INTERNAL_H
#define RAMKA_LIB_HOST_INTERNAL_H

#include <signal.h>

#include <ramka/host.h>

#include "names.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct ramka_host;

/* ---- leases, lease.c ---- */

struct host_leases {
	struct ramka_atomic_u64 *words;
	unsigned nr;
};

bool host_leases_init(struct host_leases *l, unsigned nr);
void host_leases_fini(struct host_leases *l);
/* The lowest free place, or false. */
bool host_lease_take(struct host_leases *l, unsigned *ret_place);
void host_lease_give(struct host_leases *l, unsigned place);
bool host_lease_is_taken(const struct host_leases *l, unsigned place);
/* The first nr places, leased or not. */
void host_leases_give_all(struct host_leases *l, unsigned nr);
unsigned host_leases_taken(const struct host_leases *l);

/* ---- threads, thread.c ---- */

/* A thread as one host sees it. Made on first use, ends with the thread or with the host. */
struct host_thread {
	uint64_t host_id;              /* never used again: a record that outlives its host matches nothing */
	struct ramka_cpu *cpu;         /* leased; NULL: none was free yet */
	struct ramka_atomic_u64 lease; /* its number + 1; 0: none */
	long tid;
	unsigned nest;                 /* read sections that are open */
	bool online;                   /* source "ramka": the outermost section is announced */
	bool late;                     /* made after the thread's end: goes with the section that it is for */
	void *reader;                  /* the source's; NULL until the first read section */
	struct ramka_host *host;       /* NULL once the host is gone; under the registry's lock */
	struct host_thread *next;      /* of this thread; of the spare ones */
	struct host_thread *host_next; /* of the host; under the registry's lock */
	struct host_thread **host_link;
};

/*
 * Takes all threads off the host. Threads that live on keep a record of a host that is gone, and never ask
 * for it again.
 */
void host_detach_threads(struct ramka_host *h);
/* In a child of fork: the records of threads that are not there go. The caller's record, or NULL. */
struct host_thread *host_threads_fork(struct ramka_host *h);
/* Destructor of the thread key. */
void host_thread_ends(void *unused);
/* ramka_config.this_cpu; ctx is the host. */
unsigned host_this_cpu(void *ctx, unsigned used);
/* The thread's outermost read section on a host is over. */
void host_section_over(struct host_thread *t);

/*
 * In the static TLS block, so that reading it is one instruction in the shared library too; libc keeps room
 * there for libraries that are loaded late, and these are a few bytes.
 */
#define HOST_TLS _Thread_local __attribute__((tls_model("initial-exec")))

/* Of this thread: its record of the host that it used last. */
extern HOST_TLS struct host_thread *host_last;

/* Registers the thread if need be; NULL: no memory. */
struct host_thread *host_thread_slow(struct ramka_host *h);
/* NULL: the thread is not registered. */
struct host_thread *host_thread_find(const struct ramka_host *h);

/* ---- the process, process.c ---- */

/* Registration works: the thread key and the handlers of fork are in place. */
bool host_process_ready(void);
/* This thread's end will be noticed; false: no memory. */
bool host_watch_thread(void);
/* The registry's lock, with all signals blocked. */
void host_lock(sigset_t *ret_old);
void host_unlock(const sigset_t *old);
void host_block_signals(sigset_t *ret_old);
void host_restore_signals(const sigset_t *old);
void host_enlist(struct ramka_host *h);
void host_delist(struct ramka_host *h);
/* Under the lock. NULL: no memory. */
struct host_thread *host_record_new(void);
void host_record_free(struct host_thread *t);

/* ---- sources of grace periods ---- */

struct host_source {
	const char *name;
	/* Fills *ret_ops and *ret_state: 0, RAMKA_E_NOMEM, RAMKA_E_UNSUPPORTED. Cookies are above 1. */
	int (*create)(struct ramka_rcu_ops *ret_ops, void **ret_state);
	/* No reader, no poller is left. */
	void (*destroy)(void *state);
	/*
	 * The same in a child of fork, where threads of the source's own do not exist; and the newest cookie
	 * so far.
	 */
	uint64_t (*forget)(void *state);
	/*
	 * The calling thread becomes a reader, if it is none. Never returns if there is no memory. Any
	 * context.
	 */
	void (*join)(struct ramka_host *h, struct host_thread *t);
	/* Of the calling thread, a reader. */
	void (*read_lock)(struct ramka_host *h, struct host_thread *t);
	void (*read_unlock)(struct ramka_host *h, struct host_thread *t);
	/* Is it in a section of liburcu that it opened itself? Optional. */
	bool (*reading)(void);
	/* The reader ends, here or as far as this host goes; a section that it is in ends too. Optional. */
	void (*leave)(struct ramka_host *h, struct host_thread *t);
};

extern const struct host_source host_source_memb, host_source_qsbr, host_source_mb; /* RAMKA_HAVE_URCU */
extern const struct host_source host_source_ck;                                     /* RAMKA_HAVE_CK */
extern const struct host_source host_source_ramka;

/*
 * The source "ramka" goes on in a child of fork, all cookies above `newest`; `t`: a thread in a section, or
 * NULL.
 */
void host_own_restart(void *state, uint64_t newest, struct host_thread *t);

/* By name; NULL: the default. RAMKA_E_INVAL, RAMKA_E_UNSUPPORTED. */
int host_source_find(const char *name, const struct host_source **ret_source);
/* Leaves what is registered per thread and not per host, when a thread ends. */
void host_source_thread_exit(void);
/* In a child of fork, once: before any of its hosts. */
void host_sources_fork(void);
/* True: in this process liburcu cannot be used any more. */
bool host_urcu_gone(void);

/* h->source is chosen: its state, and the operations for the core. RAMKA_E_NOMEM, RAMKA_E_UNSUPPORTED. */
int host_rcu_init(struct ramka_host *h, struct ramka_rcu_ops *ret_ops);
void host_rcu_fini(struct ramka_host *h);
/* In a child of fork. `t`: the caller's record, or NULL. */
void host_rcu_fork(struct ramka_host *h, struct host_thread *t);
/* Is this thread in a read section of the host? */
bool host_reading(struct ramka_host *h);
/*
 * Reports a wait in the caller's own section. It would have no end, or with qsbr it would end what protects
 * the caller. What was to be waited for stays deferred if `panic` returns.
 */
void host_waits_inside(struct ramka_host *h, const char *operation);

/*
 * Polls until the grace period is over, first by giving up the CPU, then by sleeping; for `ms` at most
 * unless 0.
 */
bool host_poll(bool (*elapsed)(void *ctx, uint64_t cookie), void *ctx, uint64_t cookie, unsigned ms);
#define HOST_BOUNDED_MS 100u

/*
 * ThreadSanitizer cannot see the order that an uninstrumented library gives: what a reader did comes before
 * what is done after a grace period that waited for it. `sync` is one join of all readers that left.
 */
#if defined(__SANITIZE_THREAD__)
# define HOST_TSAN 1
#elif defined(__has_feature)
# if __has_feature(thread_sanitizer)
#  define HOST_TSAN 1
# endif
#endif
#ifdef HOST_TSAN
void __tsan_acquire(void *p);
void __tsan_release(void *p);
# define host_reader_leaves(sync) __tsan_release(sync)
# define host_readers_left(sync) __tsan_acquire(sync)
#else
# define host_reader_leaves(sync) ((void)(sync))
# define host_readers_left(sync) ((void)(sync))
#endif

/* ---- the host ---- */

struct host_mapping {
	void *base; /* NULL: none */
	size_t size;
	bool callers; /* not ours to unmap */
};

struct ramka_host {
	uint64_t id;                       /* of all hosts of the process, from 1 */
	struct ramka *r;
	const struct host_source *source;
	void *state;                       /* the source's */
	struct ramka_rcu_ops rcu;          /* the source's */
	/* state of the source "ramka", for a child of fork; NULL: `state` is that */
	void *heir;
	struct ramka_rcu_ops heir_rcu;
	struct host_leases cpus;
	struct ramka_atomic_u64 refused;   /* calls that found no CPU */
	struct host_thread *threads;       /* under the registry's lock, as the next four */
	unsigned leaving;                  /* threads that are just ending */
	struct ramka_host *next, **link;   /* of all hosts */
	struct host_mapping metadata, frames;
	bool checked;                      /* RAMKA_HOST_CHECK_MEMORY */
	bool no_contents;                  /* RAMKA_NO_DIRECT_MAP: `frames` is a size only */
	void (*panic)(void *ctx, const struct ramka_bug *bug); /* the caller's; NULL: say it and abort */
	void (*no_cpu)(void *ctx, unsigned nr_cpus);
	void *ctx;
};

static inline struct host_thread *host_thread(struct ramka_host *h)
{
	struct host_thread *t = host_last;

	return likely(t && t->host_id == h->id) ? t : host_thread_slow(h);
}

/* map.c: address space that is touched on use only, at a multiple of `align`; zeroes. */
bool host_map(struct host_mapping *m, uint64_t size, uint64_t align);
/* The same for part of a file, shared with it. Not there in a child of fork. */
bool host_map_file(struct host_mapping *m, uint64_t size, uint64_t align, int fd, uint64_t offset);
void host_unmap(struct host_mapping *m);

/* barrier.c */
bool host_barrier(void *ctx);
void host_barrier_init(void);

/* The host that the address of a frame's byte belongs to, or NULL. */
struct ramka_host *host_of_address(const void *address);
/* The physical address of a frame's byte. */
ramka_paddr_t host_paddr(const struct ramka_host *h, const void *address);

/* checker.c */
/* What the core tells memory checkers; ctx is the host. */
const struct ramka_watch *host_checker(void);
/* All frames are free; the memory is an ordinary mapping again. */
void host_checker_begin(struct ramka_host *h);
void host_checker_end(struct ramka_host *h);

/* panic.c */
/* ramka_config.panic; ctx is the host. */
void host_bug(void *ctx, const struct ramka_bug *bug);
void host_no_cpu(void *ctx, unsigned nr_cpus);
const char *host_state_name(enum ramka_state state);
/* For functions that cannot say so in a result. */
_Noreturn void host_die(const char *what);

#endif
