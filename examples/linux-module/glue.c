// SPDX-License-Identifier: MIT
/*
 * ramka inside Linux: memory from the kernel's own allocator, its direct map, its call_rcu, IPIs as the asymmetric barrier,
 * CPU handles used with preemption disabled. All of it runs while the module loads: stress, benchmark, audit.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "module.h"

#define PIECE_ORDER 10 /* 4 MiB, the most that alloc_pages gives */

static unsigned int mib = 256, stress_seconds = 3, bench_rounds = 3, bench_pairs = 32768;
module_param(mib, uint, 0444);
module_param(stress_seconds, uint, 0444);
module_param(bench_rounds, uint, 0444);
module_param(bench_pairs, uint, 0444); /* in each round, an eighth of it for order 9 */
static bool plant;
module_param(plant, bool, 0444); /* a fault that must end in failure */

struct ramka *ramka_instance;
unsigned long ramka_span_first, ramka_span_frames;

static struct page **pieces;
static unsigned int nr_pieces;
static void *metadata;
static struct ramka_rcu_adapter adapter;

/* ---- callbacks ---- */

static void barrier_here(void *unused)
{
	smp_mb();
}

static bool barrier_all_cpus(void *ctx)
{
	if (irqs_disabled() || in_interrupt())
		return false; /* an IPI could wait for us */
	on_each_cpu(barrier_here, NULL, 1);
	return true;
}

static void report(void *ctx, const struct ramka_bug *bug)
{
	pr_err("ramka: %s: %s, frame %#llx, state %d, word %#llx\n", bug->operation, bug->what, bug->paddr, bug->state, bug->ref);
	BUG();
}

static void rcu_done(struct rcu_head *head)
{
	struct ramka_rcu_head *h = (struct ramka_rcu_head *)head;
	void (*fn)(struct ramka_rcu_head *) = h->opaque[2];

	fn(h);
}

static void rcu_call(void *ctx, struct ramka_rcu_head *h, void (*fn)(struct ramka_rcu_head *))
{
	BUILD_BUG_ON(sizeof(struct rcu_head) > 2 * sizeof(void *));
	h->opaque[2] = fn;
	call_rcu((struct rcu_head *)h, rcu_done);
}

static void rcu_relax(void *ctx)
{
	schedule_timeout_uninterruptible(1);
}

/* ---- kthreads ---- */

struct job {
	int (*fn)(unsigned cpu, void *arg);
	void *arg;
	unsigned cpu;
	struct completion *go, done;
	int result;
};

static int job_thread(void *data)
{
	struct job *j = data;

	wait_for_completion(j->go);
	j->result = j->fn(j->cpu, j->arg);
	complete(&j->done);
	return 0;
}

int run_on_cpus(unsigned n, int (*fn)(unsigned cpu, void *arg), void *arg)
{
	struct job *jobs = kcalloc(n, sizeof(*jobs), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(go);
	int worst = 0;
	unsigned i;

	if (!jobs)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct task_struct *t;

		jobs[i] = (struct job){ .fn = fn, .arg = arg, .cpu = i, .go = &go };
		init_completion(&jobs[i].done);
		t = kthread_create_on_cpu(job_thread, &jobs[i], i, "ramka/%u");
		if (IS_ERR(t)) {
			n = i;
			worst = PTR_ERR(t);
			break;
		}
		wake_up_process(t);
	}
	complete_all(&go);
	for (i = 0; i < n; i++) {
		wait_for_completion(&jobs[i].done);
		if (jobs[i].result)
			worst = jobs[i].result;
	}
	kfree(jobs);
	return worst;
}

/* ---- set-up ---- */

static void give_back(void)
{
	unsigned int i;

	for (i = 0; i < nr_pieces; i++)
		__free_pages(pieces[i], PIECE_ORDER);
	kvfree(pieces);
	vfree(metadata);
}

static int set_up(void)
{
	unsigned int want = mib >> (PIECE_ORDER - 8), i; /* 2^8 pages a MiB */
	struct ramka_region *regions = kvcalloc(want, sizeof(*regions), GFP_KERNEL);
	struct ramka_rcu_ops rcu;
	struct ramka_config cfg = { .nr_cpus = nr_cpu_ids, .direct_map = PAGE_OFFSET, .flags = RAMKA_METADATA_ZEROED, .rcu = &rcu,
				    .barrier_all_cpus = barrier_all_cpus, .panic = report };
	unsigned long last = 0;
	size_t bytes;
	int rc = -ENOMEM;

	pieces = kvcalloc(want, sizeof(*pieces), GFP_KERNEL);
	if (!regions || !pieces)
		goto out;
	ramka_span_first = ULONG_MAX;
	for (i = 0; i < want; i++) {
		pieces[i] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, PIECE_ORDER);
		if (!pieces[i])
			break;
		nr_pieces = i + 1;
		regions[i] = (struct ramka_region){ PFN_PHYS(page_to_pfn(pieces[i])), PAGE_SIZE << PIECE_ORDER, RAMKA_USABLE, 0 };
		ramka_span_first = min(ramka_span_first, page_to_pfn(pieces[i]));
		last = max(last, page_to_pfn(pieces[i]) + (1ul << PIECE_ORDER));
	}
	if (!nr_pieces)
		goto out;
	ramka_span_frames = last - ramka_span_first;
	ramka_rcu_adapt_call(&adapter, rcu_call, NULL, &rcu);
	adapter.relax = rcu_relax;
	cfg.regions = regions;
	cfg.nr_regions = nr_pieces;
	if (ramka_metadata_size(&cfg, &bytes))
		goto out;
	metadata = vzalloc(bytes);
	if (metadata)
		rc = ramka_init(&cfg, metadata, bytes, &ramka_instance);
	pr_info("ramka: %u MiB in %u pieces, %zu KiB of metadata, %u CPUs: %d\n", nr_pieces << (PIECE_ORDER - 8), nr_pieces, bytes >> 10,
		nr_cpu_ids, rc);
out:
	kvfree(regions);
	return rc;
}

static int __init ramka_linux_init(void)
{
	struct ramka_bug bug = { .what = "none" };
	int passed, failures, defects, rc = set_up();

	if (rc) {
		give_back();
		return -ENOMEM;
	}
	passed = 3 + !!bench_rounds; /* unless one fails: the stress, the benchmark, the audit, the end */
	failures = stress_run(stress_seconds, plant);
	if (bench_rounds)
		failures += bench_run(bench_rounds, bench_pairs);
	ramka_reclaim(ramka_cpu_none(ramka_instance), true);
	ramka_drain(ramka_instance);
	defects = ramka_check(ramka_instance, &bug);
	rc = ramka_fini(ramka_instance);
	pr_info("ramka: audit: %d defects (%s); fini: %s\n", defects, bug.what, ramka_strerror(rc));
	failures += defects != 0;
	failures += rc != 0;
	rcu_barrier(); /* the adapter's callback, if one is still in flight */
	pr_info("ramka: %d passed, %d failed\n", passed - failures, failures);
	give_back();
	return 0;
}
module_init(ramka_linux_init);

static void __exit ramka_linux_exit(void)
{
	/* everything went back at the end of init */
}
module_exit(ramka_linux_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("ramka beside the kernel's page allocator");
