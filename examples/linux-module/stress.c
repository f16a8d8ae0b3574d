// SPDX-License-Identifier: MIT
/*
 * Stress with an ownership oracle by set: every frame taken is marked in an array by exchange, stamped at both ends and checked before
 * it goes; frames travel between CPUs through mailboxes; unique, shared, deferred, orders 0 to 9.
 */
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/vmalloc.h>

#include "module.h"

#define HELD 256
#define BOXES 64

static u32 *owner;
static struct ramka_frame *boxes[BOXES];
static unsigned long stop_at;
static atomic_long_t operations, failures;

static unsigned long first_of(const struct ramka_frame *f)
{
	return ramka_frame_index(ramka_instance, f) - ramka_span_first;
}

static void fail(const char *what, const struct ramka_frame *f)
{
	if (atomic_long_inc_return(&failures) < 10)
		pr_err("ramka: stress: %s, frame %#llx\n", what, ramka_frame_paddr(ramka_instance, f));
}

static u64 *last_word(const struct ramka_frame *f)
{
	return ramka_frame_content(ramka_instance, f) + ramka_frame_size(f) - sizeof(u64);
}

static void take(struct ramka_frame *f, u32 me)
{
	unsigned long i, n = 1ul << ramka_frame_order(f);
	u64 *first = ramka_frame_content(ramka_instance, f);

	for (i = 0; i < n; i++)
		if (xchg(&owner[first_of(f) + i], me))
			fail("handed out twice", f);
	*first = *last_word(f) = ramka_frame_index(ramka_instance, f);
}

static void give(struct ramka_frame *f)
{
	unsigned long i, n = 1ul << ramka_frame_order(f);
	u64 *first = ramka_frame_content(ramka_instance, f);

	if (*first != ramka_frame_index(ramka_instance, f) || *last_word(f) != *first)
		fail("written to by somebody else", f);
	for (i = 0; i < n; i++)
		if (!xchg(&owner[first_of(f) + i], 0))
			fail("given back twice", f);
}

static void put(struct ramka_frame *f, u32 how)
{
	struct ramka_cpu *cpu;

	give(f);
	cpu = get_handle();
	if (how % 8 == 0)
		ramka_frame_put_rcu(cpu, f);
	else
		ramka_frame_put(cpu, f);
	put_handle();
}

static int stress_thread(unsigned id, void *arg)
{
	struct ramka_frame **held = vzalloc(HELD * sizeof(*held));
	struct rnd_state rnd;
	unsigned long n = 0;
	unsigned i;

	if (!held)
		return -ENOMEM;
	prandom_seed_state(&rnd, id + 1);
	while (time_before(jiffies, stop_at)) {
		u32 x = prandom_u32_state(&rnd), at = x % HELD;
		struct ramka_request req = { .order = x >> 20 & 15, .flags = RAMKA_ALLOC_UNINIT };
		struct ramka_frame *f = held[at];

		if (req.order > 9)
			req.order = 0;
		if (f && x >> 28 == 0) { /* another reference by address, and back */
			struct ramka_frame *again;

			if (ramka_frame_from_in_use(ramka_instance, ramka_frame_paddr(ramka_instance, f), &again)) {
				fail("not found by address", f);
			} else {
				ramka_frame_put(get_handle(), again);
				put_handle();
			}
		} else if (f && x >> 28 == 1) { /* to whoever looks into the mailbox next */
			f = xchg(&boxes[x >> 8 & (BOXES - 1)], f);
			held[at] = f;
		} else if (f) {
			held[at] = NULL;
			put(f, x >> 9);
		} else {
			struct ramka_cpu *cpu = get_handle();

			f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, req);
			put_handle();
			if (f) {
				take(f, id + 1);
				held[at] = f;
			}
		}
		if (!(++n & 1023))
			cond_resched();
	}
	for (i = 0; i < HELD; i++)
		if (held[i])
			put(held[i], 1);
	vfree(held);
	atomic_long_add(n, &operations);
	return 0;
}

int stress_run(unsigned seconds, bool plant)
{
	struct ramka_stats stats;
	unsigned i;
	int rc;

	owner = vzalloc(ramka_span_frames * sizeof(*owner));
	if (!owner)
		return 1;
	for (i = 0; plant && i < ramka_span_frames; i += 2)
		owner[i] = U32_MAX; /* as if somebody else had every other frame */
	stop_at = jiffies + seconds * HZ;
	rc = run_on_cpus(num_online_cpus(), stress_thread, NULL);
	for (i = 0; i < BOXES; i++)
		if (boxes[i])
			put(boxes[i], 1);
	ramka_reclaim(ramka_cpu_none(ramka_instance), true);
	ramka_stats_read(ramka_instance, &stats);
	if (stats.in_use || stats.deferred)
		atomic_long_inc(&failures);
	pr_info("ramka: stress: %ld operations on %u CPUs, %ld failures, %llu in use, %llu deferred, %llu steals\n",
		atomic_long_read(&operations), num_online_cpus(), atomic_long_read(&failures), stats.in_use, stats.deferred, stats.steals);
	vfree(owner);
	return rc || atomic_long_read(&failures) ? 1 : 0;
}
