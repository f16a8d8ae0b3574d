/* SPDX-License-Identifier: MIT */
/*
 * Grace periods of ConcurrencyKit's ck_epoch, by polling: the source "ck" of the hosted layer. Built where
 * RAMKA_HAVE_CK is.
 *
 * There is no helper thread: a call that asks whether a grace period is over takes a step. One step is taken
 * at a time. It hands one entry to ck_epoch_call, unless an entry is on its way, then polls once. The
 * callback publishes the last grace period that had been asked for when its entry was handed over. A call
 * that finds a step in progress, perhaps one that it interrupted, answers from what is published. Several
 * threads must not poll at once: a poller that has found no reader would run the callback of an entry that
 * another thread hands over meanwhile, without a look at the readers that came since.
 *
 *   asked     the last grace period that a snapshot asked for
 *   finished  the last one that is over
 *   stepping  1 while a thread takes a step; that thread owns entry, target and the poller's record
 *
 * Readers have a record per thread and host; a thread that ends leaves it to the next, and all go with the
 * host. They come from a mapping, and not from malloc, which a handler that reads first may have interrupted.
 */
#include <stdlib.h>

#include <ck_epoch.h>

#include "internal.h"

#define MAX_READERS 65536u /* threads at once; 16 MiB of address space */

struct ck {
	ck_epoch_t epoch;
	ck_epoch_record_t poller; /* never in a section */
	ck_epoch_entry_t entry;
	uint64_t target;          /* what the entry on its way is for; 0: none is */
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 asked;
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 finished;
	RAMKA_ALIGNAS(64) struct ramka_atomic_u32 stepping;
	struct ramka_atomic_u32 used; /* records that were ever made */
	struct host_mapping memory;   /* of them */
	char sync;                /* for ThreadSanitizer, see host/internal.h */
};

/* ---- grace periods ---- */

static bool is_over(const struct ck *c, uint64_t cookie)
{
	return ramka_load(&c->finished, acquire, ck.finished) >= cookie;
}

static void callback(ck_epoch_entry_t *entry)
{
	struct ck *c = (struct ck *)(void *)((char *)entry - offsetof(struct ck, entry));

	host_readers_left(&c->sync);
	ramka_store(&c->finished, c->target, release, ck.finished);
	c->target = 0;
}

static void step(struct ck *c)
{
	uint32_t idle = 0;
	uint64_t asked;

	if (!ramka_cas(&c->stepping, &idle, 1, acquire, ck.step))
		return;
	asked = ramka_load(&c->asked, acquire, ck.asked);
	if (!c->target && !is_over(c, asked)) {
		c->target = asked;
		ck_epoch_call(&c->poller, &c->entry, callback);
	}
	if (c->target)
		ck_epoch_poll(&c->poller);
	ramka_store(&c->stepping, 0, release, ck.step);
}

static uint64_t snapshot(void *ctx)
{
	struct ck *c = ctx;

	/* release: all that was done before, to the thread that takes the step */
	return ramka_add(&c->asked, 1, release, ck.asked) + 1;
}

static bool elapsed(void *ctx, uint64_t cookie)
{
	if (is_over(ctx, cookie))
		return true;
	step(ctx);
	return is_over(ctx, cookie);
}

static void wait(void *ctx, uint64_t cookie)
{
	host_poll(elapsed, ctx, cookie, 0);
}

static bool wait_bounded(void *ctx, uint64_t cookie)
{
	return host_poll(elapsed, ctx, cookie, HOST_BOUNDED_MS);
}

static void expedite(void *ctx)
{
	step(ctx);
}

static int create(struct ramka_rcu_ops *ret_ops, void **ret_state)
{
	struct ck *c = aligned_alloc(RAMKA_ALIGNOF(struct ck), sizeof(*c));

	if (!c)
		return RAMKA_E_NOMEM;
	*c = (struct ck){ 0 };
	if (!host_map(&c->memory, MAX_READERS * sizeof(ck_epoch_record_t), 1)) {
		free(c);
		return RAMKA_E_NOMEM;
	}
	ramka_store(&c->asked, 1, relaxed, ck.asked); /* cookies are above 1 */
	ramka_store(&c->finished, 1, relaxed, ck.finished);
	ck_epoch_init(&c->epoch);
	ck_epoch_register(&c->epoch, &c->poller, NULL);
	*ret_ops = (struct ramka_rcu_ops){
		.snapshot = snapshot,
		.elapsed = elapsed,
		.wait = wait,
		.expedite = expedite,
		.ctx = c,
		.wait_bounded = wait_bounded,
	};
	*ret_state = c;
	return 0;
}

static void destroy(void *state)
{
	struct ck *c = state;

	host_unmap(&c->memory);
	free(c);
}

static uint64_t forget(void *state)
{
	struct ck *c = state;
	uint64_t newest = ramka_load(&c->asked, relaxed, ck.asked);

	destroy(c);
	return newest;
}

/* ---- readers ---- */

static ck_epoch_record_t *new_record(struct ck *c)
{
	ck_epoch_record_t *records = c->memory.base, *record;
	uint32_t n = ramka_load(&c->used, relaxed, host.readers);

	do {
		if (n == MAX_READERS)
			return NULL;
	} while (!ramka_cas(&c->used, &n, n + 1, relaxed, host.readers));
	record = &records[n];
	ck_epoch_register(&c->epoch, record, NULL);
	return record;
}

static void join(struct ramka_host *h, struct host_thread *t)
{
	struct ck *c = h->state;
	ck_epoch_record_t *record;
	sigset_t old;

	host_block_signals(&old);
	record = t->reader; /* a handler was here first */
	if (!record)
		record = ck_epoch_recycle(&c->epoch, NULL);
	if (!record)
		record = new_record(c);
	if (record)
		host_readers_left(record); /* what the thread before did with it */
	t->reader = record;
	host_restore_signals(&old);
	if (!record)
		host_die("no place for one more reader");
}

/*
 * A handler that comes before ck_epoch_begin is done opens a section of its own, or nests in one that is
 * announced with an older epoch, which is waited for longer.
 */
static void read_lock(struct ramka_host *h, struct host_thread *t)
{
	struct ck *c = h->state;

	ck_epoch_begin(t->reader, NULL);
	/*
	 * ck 0.7.1 lacks a load barrier between its look at the epoch and the section's loads; without it a
	 * weakly ordered CPU could take a pointer first and enter a later epoch with it. ck_epoch_value
	 * begins with one.
	 */
	if (!t->nest++)
		(void)ck_epoch_value(&c->epoch);
}

static void read_unlock(struct ramka_host *h, struct host_thread *t)
{
	struct ck *c = h->state;

	t->nest--;
	host_reader_leaves(&c->sync);
	ck_epoch_end(t->reader, NULL);
}

static void leave(struct ramka_host *h, struct host_thread *t)
{
	struct ck *c = h->state;

	host_reader_leaves(&c->sync);
	for (; t->nest; t->nest--)
		ck_epoch_end(t->reader, NULL);
	host_reader_leaves(t->reader);
	ck_epoch_unregister(t->reader);
	t->reader = NULL;
}

const struct host_source host_source_ck = {
	.name = "ck",
	.create = create,
	.destroy = destroy,
	.forget = forget,
	.join = join,
	.read_lock = read_lock,
	.read_unlock = read_unlock,
	.leave = leave,
};
