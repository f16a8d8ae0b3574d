/* SPDX-License-Identifier: MIT */
/*
 * Grace periods as choices. A cookie waits for every read section that is open when it is taken. A section that
 * begins while a cookie is pending is a choice: it sees everything that happened before the snapshot, or the
 * grace period waits for it too; more no real implementation promises. Once all these sections have been left,
 * elapsed() may say so, or not yet.
 */
#include "engine.h"

#include <string.h>

#define COOKIES 64

struct cookie {
	bool over;
	unsigned waits;         /* threads whose section it waits for */
	struct ck_clock starts; /* what had happened before the snapshot */
	struct ck_clock ends;   /* what those sections had done when they ended */
};

static struct cookie cookies[COOKIES];
static unsigned nr_cookies;
static struct ck_clock ended;       /* joined over all ends of sections */

/* Locations that are met later have no message yet that anybody saw. */
static void clear_rest(struct ck_clock *c)
{
	unsigned n = ck_mem_locs();

	memset(&c->view[n], 0, (CK_LOCS - n) * sizeof c->view[0]);
}

void ck_rcu_begin(void)
{
	nr_cookies = 0;
	memset(&ended, 0, sizeof ended);
	for (unsigned i = 0; i < CK_THREADS; i++)
		ck.t[i].in_section = false;
}

void ck_rcu_read_lock(void)
{
	struct ck_thread *t = &ck.t[ck.cur];
	bool pending = false, old;

	if (ck.mode != CK_RUN)
		return;
	ck_step("rcu_read_lock", true, true, 0, true);
	ck_ordered();
	t->in_section = true;
	for (unsigned i = 0; i < nr_cookies; i++)
		pending |= !cookies[i].over;
	old = pending && ck_choose(2);
	ck_trace("read section begins%s", old ? ", old enough for every pending grace period to wait for it" : "");
	for (unsigned i = 0; i < nr_cookies; i++) {
		if (old && !cookies[i].over)
			cookies[i].waits |= 1u << ck.cur;
		else
			ck_clock_join(&t->now, &cookies[i].starts);
	}
}

void ck_rcu_read_unlock(void)
{
	struct ck_thread *t = &ck.t[ck.cur];

	if (ck.mode != CK_RUN)
		return;
	ck_step("rcu_read_unlock", true, true, 0, true);
	ck_ordered();
	ck_trace("read section ends");
	t->in_section = false;
	ck_clock_join(&ended, &t->now);
	for (unsigned i = 0; i < nr_cookies; i++)
		if (cookies[i].waits >> ck.cur & 1) {
			cookies[i].waits &= ~(1u << ck.cur);
			ck_clock_join(&cookies[i].ends, &t->now);
		}
	t->now.vc[ck.cur]++;
}

uint64_t ck_rcu_snapshot(void *ctx)
{
	struct cookie *k;

	(void)ctx;
	if (ck.mode != CK_RUN)
		return 0;
	ck_step("snapshot", true, true, 0, true);
	ck_ordered();
	if (nr_cookies == COOKIES)
		ck_fail("checker: too many snapshots");
	k = &cookies[nr_cookies++];
	k->over = false;
	k->waits = 0;
	k->ends = ended;
	for (unsigned i = 0; i < ck.n; i++)
		k->waits |= (unsigned)ck.t[i].in_section << i;
	k->starts = ck.t[ck.cur].now;
	clear_rest(&k->starts);
	ck.t[ck.cur].now.vc[ck.cur]++;
	ck_trace("snapshot, cookie %u waits for threads %#x", nr_cookies, k->waits);
	return nr_cookies;
}

/* Once a cookie is over, all that were taken before it are. */
static void over(struct cookie *k)
{
	for (struct cookie *older = cookies; older <= k; older++)
		older->over = true;
	ck_clock_join(&ck.t[ck.cur].now, &k->ends);
}

bool ck_rcu_elapsed(void *ctx, uint64_t cookie)
{
	struct cookie *k;

	(void)ctx;
	if (!cookie || ck.mode != CK_RUN)
		return true;
	if (cookie > nr_cookies)
		ck_fail("cookie %llu was never given out", (unsigned long long)cookie);
	k = &cookies[cookie - 1];
	ck_step("elapsed", true, true, 0, true);
	ck_ordered();
	if (!k->over && (k->waits || ck_choose(2))) {
		ck_trace("grace period %u: not over", (unsigned)cookie);
		return false;
	}
	ck_trace("grace period %u: over", (unsigned)cookie);
	over(k);
	return true;
}

uint64_t ck_rcu_taken(void)
{
	return nr_cookies;
}

static bool left(void *ctx)
{
	return !((struct cookie *)ctx)->waits;
}

void ck_rcu_wait(void *ctx, uint64_t cookie)
{
	struct cookie *k;

	(void)ctx;
	if (!cookie || ck.mode != CK_RUN)
		return;
	k = &cookies[cookie - 1];
	ck_step("wait", true, true, 0, true);
	ck_ordered();
	if (k->waits)
		ck_block(left, k);
	ck_trace("grace period %u: over, by waiting", (unsigned)cookie);
	over(k);
}
