/* SPDX-License-Identifier: MIT */
/**
 * @file
 * The hosted layer, library libramka-host: mapped memory, threads that stand in for CPUs, liburcu or
 * ConcurrencyKit for grace periods, membarrier(2). It is the only part that needs a libc.
 *
 * Handlers of signals: see each function. No call is a point of cancellation; a thread must not be cancelled
 * asynchronously, or left by longjmp, inside a call.
 *
 * Threads: each must end by returning, pthread_exit or cancellation. A thread that ends by the bare system
 * call never gives its CPU back.
 *
 * fork(): the child has a private copy of every host, with contents, handles, references and deferred frames.
 * The thread that forked, and threads that it starts, may call all functions. The child loses the CPUs that
 * other threads of the parent had, though frames in their caches can be drained. It also loses what these
 * threads were just about to do, as with any CPU that stops inside a call. A read section of the forking
 * thread goes on; those of other threads do not exist. The source of grace periods becomes "ramka". Once a
 * process had a host on liburcu or a reader of it at the time of fork, ramka_host_create answers
 * RAMKA_E_UNSUPPORTED to "memb", "qsbr" and "mb" in the child, and the default is another; the child must not
 * use liburcu itself, which has no support for that. vfork, posix_spawn, and fork with exec need nothing.
 *
 * dlclose(): destroy the hosts first. The shared library stays loaded; linked into a plugin it goes with it,
 * and threads that used it may end later.
 */
#ifndef RAMKA_HOST_H
#define RAMKA_HOST_H

#include <ramka/ramka.h>

RAMKA_BEGIN_DECLS

struct ramka_host;

/**
 * The caller's own memory for the frames, for example a guest's memory, a segment that processes share, or
 * huge pages of some size.
 */
struct ramka_host_memory {
	/**
	 * The memory begins here, at a page, and stays mapped until after ramka_host_destroy. NULL: a file
	 */
	void *base;
	/** A file (memfd, hugetlbfs), mapped shared; open during create only. */
	int fd;
	uint64_t offset; /**< where in the file, at a page */
};

/* ramka_host_options.checks */
/**
 * Each call checks that its CPU is the calling thread's, see ramka_config.this_cpu; the commonest mistake is
 * one handle in two threads. Any thread may use a CPU that no thread has. A hit then costs a few times as
 * much. Always on in the contract build.
 */
#define RAMKA_HOST_CHECK_THREADS 1u
/**
 * AddressSanitizer and valgrind, where the program runs under one of them, learn which frames are free: a use
 * after free is reported where it happens. With RAMKA_TRACE in `flags` AddressSanitizer's report says who
 * allocated and freed the frame. Not with RAMKA_NO_DIRECT_MAP. No call is served by the inlined paths: a few
 * times slower.
 */
#define RAMKA_HOST_CHECK_MEMORY 2u

struct ramka_host_options {
	uint64_t memory;    /**< bytes, rounded up to 2 MiB; 0 = 1 GiB */
	/**
	 * CPUs, each with a cache: so many threads at a time have one of their own. A CPU needs 20 KiB, and a
	 * few frames wait in it. 0 = four times the CPUs online, 16 at least.
	 */
	unsigned nr_cpus;
	uint32_t meta_size; /**< as ramka_config.meta_size */
	uint32_t flags;     /**< as ramka_config.flags */
	/** "memb" (liburcu, default), "qsbr", "mb" (liburcu), "ck" (ck_epoch), "ramka" (ramka_qsbr) */
	const char *rcu;
	void (*panic)(void *ctx, const struct ramka_bug *bug); /**< NULL: print the bug and abort */
	void *ctx;
	/**
	 * Called once, by the first thread that asks for a CPU and finds none, in any context. NULL: one line
	 * on stderr. The calls of such threads are slower; ramka_host_stats_read counts them.
	 */
	void (*no_cpu)(void *ctx, unsigned nr_cpus);
	/**
	 * NULL: the layer maps memory. Else `memory` bytes of this, in whole pages; not with
	 * RAMKA_NO_DIRECT_MAP. A frame is zeroed when it is handed out, as always. In a child of fork a
	 * file's memory is not mapped, since parent and child would hand out the same bytes; its contents
	 * must not be touched there. Shared memory at `base` must not be used in the child.
	 */
	const struct ramka_host_memory *where;
	uint32_t checks; /**< RAMKA_HOST_CHECK_THREADS, RAMKA_HOST_CHECK_MEMORY, or 0 */
};

/**
 * Maps the memory, in huge pages where there are any, and builds an instance. A page is touched on its first
 * use only. opt NULL or {0} is legal. Thread context. @return 0; RAMKA_E_INVAL: NULL ret_h, unknown rcu,
 * nr_cpus, meta_size or flags that ramka_init refuses, an unknown check, a file that is not open or too
 * short, `where` without `memory`; RAMKA_E_NOT_ALIGNED: the caller's memory is not in whole pages;
 * RAMKA_E_NOMEM: mapping failed, or there is no thread, thread key or handler of fork; RAMKA_E_UNSUPPORTED:
 * that rcu was not built in, or is one of liburcu's in a child of fork, see above. On failure *ret_h is left
 * alone.
 */
RAMKA_API int ramka_host_create(const struct ramka_host_options *opt, struct ramka_host **ret_h);
/** The same, and says why it refuses (error.h). `ret_why` may be NULL. */
RAMKA_API int ramka_host_create_why(const struct ramka_host_options *opt, struct ramka_host **ret_h,
				    struct ramka_why *ret_why);
/** The instance; it ends with the host. Any context. */
RAMKA_API struct ramka *ramka_host_ramka(struct ramka_host *h);
/** The thread, as gettid(2) names it, that has CPU number `cpu`; 0: none has. Any context. */
RAMKA_API long ramka_host_owner(struct ramka_host *h, unsigned cpu);
/**
 * Bytes from the beginning of the memory to the frame at this address: where it lies in `where`. Any context,
 * wait-free.
 */
RAMKA_API uint64_t ramka_host_offset(const struct ramka_host *h, ramka_paddr_t paddr);
/**
 * This thread's CPU: taken on first use, given back at thread exit; ramka_cpu_none when all are taken. Never
 * NULL. Any context: a handler of a signal gets the CPU of the thread that it interrupts, and may be the
 * first to ask for it. A thread that ends (destructors of thread keys, handlers meanwhile) gets
 * ramka_cpu_none once its CPU was given back.
 */
RAMKA_API struct ramka_cpu *ramka_host_cpu(struct ramka_host *h);
/**
 * A read section of the chosen grace-period source; nests; any thread, registered on first use. Any context,
 * handlers included. A section that is open when its thread ends is over then. An unlock without a lock on
 * this host does nothing and is reported to `panic`, operation "ramka_host_rcu_read_unlock". A call of
 * ramka_reclaim(cpu, true) inside a section is reported too, and frees what needs no waiting.
 */
RAMKA_API void ramka_host_rcu_read_lock(struct ramka_host *h);
RAMKA_API void ramka_host_rcu_read_unlock(struct ramka_host *h);

/** What the layer knows of its threads at one moment. */
struct ramka_host_stats {
	unsigned nr_cpus; /**< CPUs of the instance */
	unsigned leased;  /**< of these, in the hands of threads */
	uint64_t threads; /**< threads registered: that have asked for a CPU or have read */
	/** calls of ramka_host_cpu that found no CPU; what they did went past the caches */
	uint64_t refused;
};

/** Any context. */
RAMKA_API void ramka_host_stats_read(struct ramka_host *h, struct ramka_host_stats *ret_s);

/**
 * Reclaims, ends the instance and unmaps. Frames still in use are printed to stderr, and are unmapped too.
 * NULL is legal. No other thread may use h; threads that used it may end meanwhile or later.
 * It waits for readers. In a read section of the calling thread it is reported to `panic`, operation
 * "ramka_host_destroy", and does nothing: the host is as it was, and may be destroyed after the section. With
 * liburcu a section of any host, or of the program's own, on the same flavour counts.
 */
RAMKA_API void ramka_host_destroy(struct ramka_host *h);

RAMKA_END_DECLS

#endif
