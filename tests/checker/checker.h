/* SPDX-License-Identifier: MIT */
/*
 * The concurrency checker: what a client sees.
 *
 * A client is a small program of up to four threads. The checker runs it again and again, each time in another
 * order and with other stale values, and stops at the first failure: a failed ck_assert, a data race, a frame
 * handed out twice, a livelock, a crash.
 *
 *   covered      interleavings before each atomic operation (all of them up to a bound on preemptions; then random
 *                ones by priorities), reads of stale values (release/acquire views over per-location histories),
 *                release sequences, fences, the asymmetric barrier, data races of plain accesses (happens-before,
 *                whatever the order in which they really ran), interrupts that nest, threads that stop for ever.
 *   not covered  load buffering (a load never sees a store that runs later), stores that enter the modification
 *                order before its end (2+2W), failures of a weak compare-and-swap, seq_cst accesses (the library has
 *                none; seq_cst fences are there), compiler reorderings of plain accesses against an interrupt. Of a
 *                location's history the newest few values are offered, and a bounded number of stale reads
 *                per execution (see below).
 *
 * `setup` runs once. `thread[i]` run in every execution, `check` after them; both setup and check are
 * sequential. Between executions every instrumented write is undone, so clients may keep their state in plain
 * globals. Whatever a client writes must be compiled with -fsanitize=thread (clients and library sources are)
 * or go through atomic.h; do not let the C library write into shared state.
 */
#ifndef CK_CHECKER_H
#define CK_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CK_THREADS 4
#define CK_FRESH UINT32_MAX

struct ck_client {
	const char *name;
	const char *what;              /* one line: what is checked */
	void (*setup)(void);           /* once; sequential, happens before everything */
	void (*thread[CK_THREADS])(void);
	void (*check)(void);           /* after each execution; sequential, happens after everything */
	/* may start at any step of that thread, at most irq_max times an execution, runs to its end */
	void (*irq[CK_THREADS])(void);
	unsigned irq_max;              /* 0 means 1 */
	unsigned park;                 /* mask: threads of which one may stop for ever at any step */
	/* a known-bad program: the checker must report a failure that contains this text */
	const char *fails;
	const int *outcomes;           /* ends with -1: exactly these values of ck_outcome must be seen */
	unsigned bound;                /* preemptions; 0 means the runner's default, at most the runner's */
	bool slow;                     /* one preemption less than its bound, and more random runs, among all clients, unless --deep is given */
	unsigned stale;                /* stale reads an execution; 0 means 3, CK_FRESH none */
	unsigned window;               /* values of a history that are offered, the newest included; 0 means 4 */
	bool c11;                      /* release sequences as in C11: stores of the same thread carry them on; else as in C++20 */
	unsigned steps;                /* livelock limit; 0 means 4000 */
	unsigned bytes;                /* arena wanted, 0 means 1 MiB */
	const void *arg;               /* of a family, see CK_FAMILY */
	bool family;                   /* set by the runner */
	bool model;                    /* not the library's sources: left out of --matrix */
};

#define CK_CLIENT(ident, ...) \
	static const struct ck_client ck_client_##ident = { .name = #ident, __VA_ARGS__ }; \
	static const struct ck_client *const ck_reg_##ident __attribute__((used, section("ck_clients"))) = \
		&ck_client_##ident

/*
 * A family of clients: make(i, c) fills in the i-th and returns true, or false if there are no more. `arg` is the family's
 * own. They run with one preemption less than other clients, unless --deep is given.
 */
typedef bool ck_family(unsigned i, struct ck_client *c);
#define CK_FAMILY(make) \
	static ck_family *const ck_family_##make __attribute__((used, section("ck_families"))) = make
char *ck_text(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* for names; it is never freed */
const struct ck_client *ck_client(void);                                  /* the one that runs */

/* Ends the execution as failed. */
void ck_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
#define ck_assert(cond, ...) ((cond) ? (void)0 : ck_fail(__VA_ARGS__))

unsigned ck_choose(unsigned n);     /* 0..n-1, each is tried */
void ck_outcome(int value);         /* note what this execution has shown */
unsigned ck_self(void);             /* number of the running thread */
bool ck_in_irq(void);
unsigned ck_parked(void);           /* mask of threads that stopped for ever */
unsigned ck_irqs(void);             /* handlers that ran in this execution */
void ck_yield(void);                /* nothing to do until another thread has run; no preemption */
void ck_block(bool (*ready)(void *ctx), void *ctx);  /* the thread does not run until ready */
void *ck_alloc(size_t bytes, size_t align);          /* zeroed, from the arena; in setup only */

/* The ownership oracle: a frame has at most one owner, and its hand-over orders the owners' plain accesses. */
#define CK_FRAMES 4096
void ck_own_take(unsigned frame);   /* right after it was handed out */
void ck_own_give(unsigned frame);   /* right before it is given back */
bool ck_owned(unsigned frame);
void ck_owned_each(void (*fn)(unsigned frame));   /* what setup took stays taken at the start of each execution */

unsigned ck_steps(unsigned thread);  /* how many it has made */

/* Counters of the client that are no part of its state: no step, no race. 0 at the start of each execution. */
#define CK_NOTES 64
unsigned ck_note(unsigned i);
void ck_note_add(unsigned i, unsigned n);
void ck_note_set(unsigned i, unsigned n);

/* Asymmetric barrier (membarrier, IPI): every thread executes a full barrier at this instant. Fits ramka_config. */
bool ck_barrier_all(void *ctx);
/* Fences, for litmus tests. order is one of __ATOMIC_*. */
void ck_fence(int order);

/* Grace periods whose end is a choice; ck_rcu_ops is laid out as ramka_rcu_ops. Read sections do not nest. */
void ck_rcu_read_lock(void);
void ck_rcu_read_unlock(void);
uint64_t ck_rcu_snapshot(void *ctx);
bool ck_rcu_elapsed(void *ctx, uint64_t cookie);
void ck_rcu_wait(void *ctx, uint64_t cookie);
/* Cookies that were given out so far. */
uint64_t ck_rcu_taken(void);

#endif
