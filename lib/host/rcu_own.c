/* SPDX-License-Identifier: MIT */
/*
 * The source "ramka": ramka's own quiescent-state backend (rcu/qsbr.c), one "CPU" per thread that reads. A
 * reader is online inside its outermost read section only. So no thread has to announce quiescent states, and
 * a thread that blocks outside a section delays no grace period. The price is a read-modify-write on a shared
 * word for each outermost section.
 *
 * Places for readers are leased as CPUs are, the lowest free one first. A poll looks only at those below
 * `top`, the number of places that were ever leased. `top` needs no order of its own: a reader raises it
 * before it comes online, and the read-modify-writes of qsbr_online and of the snapshot have an order.
 * If the reader's comes first, the poll sees `top`. If the snapshot's comes first, the poll need not wait for
 * the reader.
 */
#include <stdlib.h>

#include "internal.h"
#include "../rcu/qsbr.h"

#define MAX_READERS 65536u /* threads at once; 4 MiB of address space */

struct own_rcu {
	struct ramka_qsbr q;
	struct ramka_rcu_ops qsbr;   /* as ramka_qsbr_init made them */
	struct ramka_atomic_u32 top; /* places that were ever leased */
	struct host_leases places;
	struct host_mapping memory;
};

static uint64_t snapshot(void *ctx)
{
	struct own_rcu *o = ctx;

	return o->qsbr.snapshot(o->qsbr.ctx);
}

static bool elapsed(void *ctx, uint64_t cookie)
{
	struct own_rcu *o = ctx;

	return qsbr_elapsed(&o->q, ramka_load(&o->top, relaxed, host.readers), cookie);
}

static void wait(void *ctx, uint64_t cookie)
{
	host_poll(elapsed, ctx, cookie, 0);
}

static bool wait_bounded(void *ctx, uint64_t cookie)
{
	return host_poll(elapsed, ctx, cookie, HOST_BOUNDED_MS);
}

static int create(struct ramka_rcu_ops *ret_ops, void **ret_state)
{
	struct own_rcu *o = aligned_alloc(RAMKA_ALIGNOF(struct own_rcu), sizeof(*o));

	if (!o)
		return RAMKA_E_NOMEM;
	*o = (struct own_rcu){ 0 };
	if (!host_leases_init(&o->places, MAX_READERS) ||
	    !host_map(&o->memory, MAX_READERS * sizeof(struct ramka_qsbr_cpu), 1)) {
		host_leases_fini(&o->places);
		free(o);
		return RAMKA_E_NOMEM;
	}
	/* the mapping is zeroes, which is offline: none to initialise, and none to look at yet */
	ramka_qsbr_init(&o->q, o->memory.base, 0, &o->qsbr);
	*ret_ops = (struct ramka_rcu_ops){
		.snapshot = snapshot,
		.elapsed = elapsed,
		.wait = wait,
		.ctx = o,
		.wait_bounded = wait_bounded,
	};
	*ret_state = o;
	return 0;
}

static void destroy(void *state)
{
	struct own_rcu *o = state;

	host_unmap(&o->memory);
	host_leases_fini(&o->places);
	free(o);
}

static unsigned place_of(const struct own_rcu *o, const struct host_thread *t)
{
	return (unsigned)((struct ramka_qsbr_cpu *)t->reader - o->q.cpus);
}

static void join(struct ramka_host *h, struct host_thread *t)
{
	struct own_rcu *o = h->state;
	uint32_t top = ramka_load(&o->top, relaxed, host.readers);
	unsigned place = 0;
	bool done = true;
	sigset_t old;

	host_block_signals(&old);
	if (!t->reader) { /* a handler was here first */
		done = host_lease_take(&o->places, &place);
		while (done && top <= place && !ramka_cas(&o->top, &top, place + 1, relaxed, host.readers))
			;
		if (done)
			t->reader = &o->q.cpus[place];
	}
	host_restore_signals(&old);
	if (!done)
		host_die("no place for one more reader");
}

/*
 * A handler that comes before the section is announced finds that it is not, and announces it; the
 * announcement stays until the outermost section is over.
 */
static void read_lock(struct ramka_host *h, struct host_thread *t)
{
	struct own_rcu *o = h->state;

	t->nest++;
	ramka_compiler_barrier();
	if (!t->online) {
		qsbr_online(&o->q, place_of(o, t));
		t->online = true;
	}
}

static void read_unlock(struct ramka_host *h, struct host_thread *t)
{
	struct own_rcu *o = h->state;

	if (--t->nest)
		return;
	ramka_compiler_barrier();
	t->online = false;
	ramka_compiler_barrier();
	qsbr_offline(&o->q, place_of(o, t));
}

static void leave(struct ramka_host *h, struct host_thread *t)
{
	struct own_rcu *o = h->state;

	qsbr_offline(&o->q, place_of(o, t));
	host_lease_give(&o->places, place_of(o, t));
	t->reader = NULL;
	t->online = false;
	t->nest = 0;
}

/* No other thread runs. A reader that is carried over is older than every cookie. */
void host_own_restart(void *state, uint64_t newest, struct host_thread *t)
{
	struct own_rcu *o = state;
	uint32_t top = ramka_load(&o->top, relaxed, host.readers);

	if (ramka_load(&o->q.now, relaxed, qsbr.period) < newest)
		ramka_store(&o->q.now, newest, relaxed, qsbr.period);
	for (uint32_t i = 0; i < top; i++)
		qsbr_offline(&o->q, i);
	host_leases_give_all(&o->places, top);
	ramka_store(&o->top, 0, relaxed, host.readers);
	if (!t)
		return;
	t->reader = NULL;
	t->online = t->nest;
	if (t->nest && host_lease_take(&o->places, &top)) {
		t->reader = &o->q.cpus[top];
		ramka_store(&o->q.cpus[top].seen, 1, release, qsbr.quiesce);
		ramka_store(&o->top, top + 1, relaxed, host.readers);
	}
}

const struct host_source host_source_ramka = {
	.name = "ramka",
	.create = create,
	.destroy = destroy,
	.join = join,
	.read_lock = read_lock,
	.read_unlock = read_unlock,
	.leave = leave,
};
