/* SPDX-License-Identifier: MIT */
/*
 * Grace periods of ConcurrencyKit's ck_epoch, by polling: the source "ck" of the hosted layer. Built where
 * RAMKA_HAVE_CK is.
 *
 * No helper thread: whoever asks whether a grace period is over takes a step, one at a time. A step hands
 * one entry to ck_epoch_call, unless one is on its way, then polls once; the callback publishes the last
 * grace period that had been asked for when its entry was handed over. Who finds a step going on, an
 * interrupted one included, goes by what is published. Polls by several threads at once would not do: one
 * that has found no reader runs the callback of an entry that another thread hands over meanwhile, without
 * a look at the readers that came since.
 *
 *   asked     the last grace period that somebody asked for
 *   finished  the last one that is over
 *   stepping  1 while somebody takes a step; who does owns entry, target and the poller's record
 *
 * Readers have a record per thread and host; a thread that ends leaves it to the next, and all go with the
 * host.
 */
#include <stdlib.h>

#include <ck_epoch.h>

#include "internal.h"

struct ck {
	ck_epoch_t epoch;
	ck_epoch_record_t poller; /* never in a section */
	ck_epoch_entry_t entry;
	uint64_t target;          /* what the entry on its way is for; 0: none is */
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 asked;
	RAMKA_ALIGNAS(64) struct ramka_atomic_u64 finished;
	RAMKA_ALIGNAS(64) struct ramka_atomic_u32 stepping;
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
	uint32_t nobody = 0;
	uint64_t asked;

	if (!ramka_cas(&c->stepping, &nobody, 1, acquire, ck.step))
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

	/* release: what was done before, to whoever takes the step */
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

static ck_epoch_record_t *record_at(ck_stack_entry_t *entry)
{
	return (ck_epoch_record_t *)(void *)((char *)entry - offsetof(ck_epoch_record_t, record_next));
}

static void destroy(void *state)
{
	struct ck *c = state;
	ck_stack_entry_t *entry = CK_STACK_FIRST(&c->epoch.records);

	while (entry) {
		ck_epoch_record_t *record = record_at(entry);

		entry = CK_STACK_NEXT(entry);
		if (record != &c->poller)
			free(record);
	}
	free(c);
}

/* ---- readers ---- */

static struct host_thread *join(struct ramka_host *h, struct host_thread *t)
{
	struct ck *c = h->state;
	ck_epoch_record_t *record = ck_epoch_recycle(&c->epoch, NULL);

	if (t && !record) {
		record = aligned_alloc(RAMKA_ALIGNOF(ck_epoch_record_t), sizeof(*record));
		if (record)
			ck_epoch_register(&c->epoch, record, NULL);
	}
	if (!t || !record) {
		host_die("no memory to register a reader");
		return NULL; /* not reached; cppcheck does not see that host_die never returns */
	}
	host_readers_left(record); /* what the thread before did with it */
	t->reader = record;
	return t;
}

static void read_lock(struct ramka_host *h)
{
	struct ck *c = h->state;
	struct host_thread *t = host_thread(h);

	if (unlikely(!t || !t->reader))
		t = join(h, t);
	ck_epoch_begin(t->reader, NULL);
	/*
	 * ck 0.7.1 lacks a load barrier between its look at the epoch and the section's loads; without it a
	 * weakly ordered CPU could take a pointer first and enter a later epoch with it. ck_epoch_value
	 * begins with one.
	 */
	if (!t->nest++)
		(void)ck_epoch_value(&c->epoch);
}

static void read_unlock(struct ramka_host *h)
{
	struct ck *c = h->state;
	struct host_thread *t = host_thread(h);

	if (unlikely(!t || !t->nest))
		host_die("ramka_host_rcu_read_unlock without a read_lock");
	t->nest--;
	host_reader_leaves(&c->sync);
	ck_epoch_end(t->reader, NULL);
}

static bool reading(struct ramka_host *h)
{
	struct host_thread *t = host_thread(h);

	return t && t->nest;
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
	.read_lock = read_lock,
	.read_unlock = read_unlock,
	.reading = reading,
	.leave = leave,
};
