/* SPDX-License-Identifier: MIT */
/*
 * Single-stepping: an interrupt at every instruction of every operation.
 *
 *	step [--all] [--op NAME] [--list] [--quiet] [--seed X]
 *
 * A child process performs an operation on a CPU handle; its parent, the tracer, first single-steps through it and
 * notes every instruction that it executes. Then, for each of these, the operation is run again from the same state
 * and stopped there (a breakpoint), at the first and at a later visit, and a signal is delivered whose handler
 * allocates and frees on the same handle; then the operation goes on to its end. After each run the owner map must
 * agree and ramka_check must find nothing. What the handler does goes round; --all tries everything at each instruction.
 *
 * For x86-64: breakpoints are made by hand.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tests/options.h"
#include "harness.h"

#define MOST_FRAMES 8192u
#define MOST_STEPS 200000u
#define MOST_PLACES 8192u
#define HANDLER_HOLDS 6u
#define NR_ACTS 5u

/* ---- the child: operations ---- */

/* What the current operation works on. */
static struct {
	struct ramka *r;
	struct ramka_cpu *cpu, *other, *none;
	struct worker *worker, *handler;
	unsigned n; /* frames of f */
	struct ramka_frame *f[MOST_FRAMES];
	struct ramka_segment segment;
	struct ramka_unique *part[64];
	uint8_t order;
} s;

static const struct ramka_request UNINIT = { .flags = RAMKA_ALLOC_UNINIT };

static uint64_t frames_in(const struct ramka_frame *f)
{
	return (uint64_t)1 << ramka_frame_order(f);
}

/* Raw frames of one order into s.f, in the owner map. */
static void have(struct ramka_cpu *cpu, unsigned n, unsigned order)
{
	struct ramka_request req = { .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT };

	while (s.n < n) {
		s.f[s.n] = ramka_frame_alloc(cpu, &raw_type, NULL, req);
		if (!s.f[s.n])
			return;
		own(ramka_frame_paddr(s.r, s.f[s.n]), frames_in(s.f[s.n]), 1);
		s.n++;
	}
}

static void have_typed(unsigned n)
{
	for (; s.n < n; s.n++) {
		struct tag tag = tag_make(s.n, 0, 0);

		s.f[s.n] = ramka_frame_alloc(s.cpu, &tagged_type, &tag, UNINIT);
		CHECK(s.f[s.n], "no memory");
		own(ramka_frame_paddr(s.r, s.f[s.n]), 1, 1);
	}
}

/* The first `from` frames of s.f stay, the rest is about to be freed: the oracle forgets the raw ones. */
static void let_go(unsigned from)
{
	for (unsigned i = from; i < s.n; i++)
		if (ramka_frame_is_untyped(s.r, s.f[i]))
			disown(ramka_frame_paddr(s.r, s.f[i]), frames_in(s.f[i]), 1);
}

static void put_from(struct ramka_cpu *cpu, unsigned from)
{
	let_go(from);
	while (s.n > from)
		ramka_frame_put(cpu, s.f[--s.n]);
}

/* New frames that the operation left in s.f. */
static void got(unsigned from)
{
	for (unsigned i = from; i < s.n; i++)
		own(ramka_frame_paddr(s.r, s.f[i]), frames_in(s.f[i]), 1);
}

static void prep_none(void)
{
}
static void finish_got(void)
{
	got(0);
}

/* - alloc - */
static void prep_cached(void)
{
	have(s.cpu, 10, 0);
	put_from(s.cpu, 0);
}

static void run_alloc(void)
{
	s.f[0] = ramka_frame_alloc(s.cpu, &raw_type, NULL, UNINIT);
	s.n = s.f[0] != NULL;
}

static void run_alloc_typed(void)
{
	struct tag tag = tag_make(1, 0, 0);

	s.f[0] = ramka_frame_alloc(s.cpu, &tagged_type, &tag, (struct ramka_request){ 0 });
	s.n = s.f[0] != NULL;
}

static void run_alloc_many(void)
{
	for (unsigned i = 0; i < 150; i++) {
		s.f[s.n] = ramka_frame_alloc(s.cpu, &raw_type, NULL, UNINIT);
		s.n += s.f[s.n] != NULL;
	}
}

static void prep_depot(void)
{
	have(s.cpu, 500, 0);
	put_from(s.cpu, 0);
}

static void run_alloc_none(void)
{
	s.f[0] = ramka_frame_alloc(s.none, &raw_type, NULL, UNINIT);
	s.n = s.f[0] != NULL;
}

/* Everything is taken but what the other CPU has just freed. */
static unsigned kept;
static void prep_elsewhere(void)
{
	have(s.other, MOST_FRAMES, 0);
	put_from(s.other, s.n - 40);
	kept = s.n;
}

static void prep_nothing(void)
{
	have(s.other, MOST_FRAMES, 0);
	kept = s.n;
}

static void run_alloc_more(void)
{
	for (unsigned i = 0; i < 3; i++) {
		s.f[s.n] = ramka_frame_alloc(s.cpu, &raw_type, NULL, UNINIT);
		s.n += s.f[s.n] != NULL;
	}
}

static void finish_more(void)
{
	got(kept);
}

static void run_unique(void)
{
	struct ramka_unique *u = ramka_unique_alloc(s.cpu, &raw_type, NULL, UNINIT);

	if (u)
		ramka_unique_free(s.cpu, u);
}

static void run_bulk(void)
{
	s.n = (unsigned)ramka_frame_alloc_bulk(s.cpu, &raw_type, UNINIT, 40, s.f);
}

static void run_order(void)
{
	s.f[0] = ramka_frame_alloc(s.cpu, &raw_type, NULL,
				   (struct ramka_request){ .order = s.order, .flags = RAMKA_ALLOC_UNINIT });
	s.n = s.f[0] != NULL;
}

static void prep_order3(void)
{
	s.order = 3;
}
static void prep_order8(void)
{
	s.order = 8;
}
static void prep_order9(void)
{
	s.order = 9;
}
static void prep_order10(void)
{
	s.order = 10;
}

/* - put - */
static void prep_put(void)
{
	have(s.cpu, 1, 0);
	let_go(0);
}

static void prep_put_order3(void)
{
	have(s.cpu, 1, 3);
	let_go(0);
}

static void prep_put_order10(void)
{
	have(s.cpu, 1, 10);
	let_go(0);
}

static void run_put(void)
{
	while (s.n)
		ramka_frame_put(s.cpu, s.f[--s.n]);
}

/* From several blocks, in a scattered order: cache, rows and flushes. */
static void prep_put_many(void)
{
	have(s.cpu, 1400, 0);
	for (unsigned i = 0; i < 220; i++) {
		unsigned at = (unsigned)(i * 37u % s.n);
		struct ramka_frame *f = s.f[i];

		s.f[i] = s.f[at];
		s.f[at] = f;
	}
	kept = s.n - 220;
	let_go(kept);
}

static void run_put_many(void)
{
	while (s.n > kept)
		ramka_frame_put(s.cpu, s.f[--s.n]);
}

/* The newest frames, of the block that the CPU allocates from: the cache fills up and is flushed. */
static void prep_put_flush(void)
{
	have(s.cpu, 400, 0);
	kept = s.n - 200;
	let_go(kept);
}

static void prep_put_bulk(void)
{
	have(s.cpu, 40, 0);
	let_go(0);
}

static void run_put_bulk(void)
{
	ramka_frame_put_bulk(s.cpu, s.n, s.f);
	s.n = 0;
}

static void prep_typed(void)
{
	have_typed(1);
}
static void prep_typed_many(void)
{
	have_typed(70);
}

static void run_put_rcu(void)
{
	while (s.n)
		ramka_frame_put_rcu(s.cpu, s.f[--s.n]);
}

static void run_put_none(void)
{
	while (s.n)
		ramka_frame_put(s.none, s.f[--s.n]);
}

/* Some frames wait: in bags of both CPUs and in the shared stack. */
static void prep_deferred(void)
{
	have_typed(90);
	for (; s.n > 10; s.n--)
		ramka_frame_put_rcu(s.n % 3 ? s.cpu : s.n % 2 ? s.other : s.none, s.f[s.n - 1]);
	run_put_rcu();
}

static void run_reclaim(void)
{
	ramka_reclaim(s.cpu, false);
}
static void run_reclaim_wait(void)
{
	ramka_reclaim(s.cpu, true);
}

static void prep_all_caches(void)
{
	have(s.cpu, 300, 0);
	put_from(s.cpu, 100);
	put_from(s.other, 0);
}

static void run_drain(void)
{
	ramka_drain(s.r);
}
static void run_offline(void)
{
	ramka_cpu_offline(s.cpu);
}

/* - handles - */
static void run_handles(void)
{
	struct ramka_frame *f = ramka_frame_get(s.r, s.f[0]);
	struct ramka_unique *u;

	ramka_frame_put(s.cpu, f);
	u = ramka_frame_try_unique(s.r, s.f[0]);
	s.f[0] = u ? ramka_unique_share(s.r, u) : s.f[0];
	if (!ramka_frame_from_in_use(s.r, ramka_frame_paddr(s.r, s.f[0]), &f))
		ramka_frame_put(s.cpu, f);
}

/* Of a frame in the own cache, and of one that nobody has. */
static ramka_paddr_t wanted;
static void prep_claim(void)
{
	have(s.cpu, 2, 0);
	wanted = ramka_frame_paddr(s.r, s.f[1]);
	put_from(s.cpu, 0);
}

static void run_claim(void)
{
	s.n += !ramka_frame_from_unused(s.cpu, wanted, &raw_type, NULL, &s.f[s.n]);
	s.n += !ramka_frame_from_unused(s.cpu, world.detached.first << RAMKA_PAGE_SHIFT, &raw_type, NULL,
					&s.f[s.n]);
}

static void run_segment(void)
{
	if (!ramka_segment_alloc(s.cpu, 5, &raw_type, NULL, NULL, UNINIT, &s.segment))
		ramka_segment_put(s.cpu, s.segment);
	if (!ramka_segment_from_unused(s.cpu, (world.detached.first + 3) << RAMKA_PAGE_SHIFT,
				       3 * RAMKA_PAGE_SIZE, &raw_type, NULL, NULL, &s.segment))
		ramka_segment_put(s.cpu, s.segment);
}

static void run_split(void)
{
	struct ramka_unique *u = ramka_unique_alloc(
		s.cpu, &raw_type, NULL, (struct ramka_request){ .order = 9, .flags = RAMKA_ALLOC_UNINIT });

	if (!u || ramka_unique_split(s.r, u, 4, s.part))
		return;
	for (unsigned i = 0; i < 32; i++)
		ramka_unique_free(s.cpu, s.part[i]);
}

static const struct op {
	const char *name;
	void (*prep)(void), (*run)(void), (*finish)(void);
} ops[] = {
	{ "alloc-hit", prep_cached, run_alloc, finish_got },
	{ "alloc-refill", prep_none, run_alloc, finish_got },
	{ "alloc-zeroed-typed", prep_cached, run_alloc_typed, finish_got },
	{ "alloc-many", prep_none, run_alloc_many, finish_got },
	{ "alloc-from-depot", prep_depot, run_alloc_many, finish_got },
	{ "alloc-cacheless", prep_none, run_alloc_none, finish_got },
	{ "alloc-drains-others", prep_elsewhere, run_alloc_more, finish_more },
	{ "alloc-no-memory", prep_nothing, run_alloc_more, finish_more },
	{ "unique-alloc-free", prep_none, run_unique, prep_none },
	{ "alloc-bulk", prep_none, run_bulk, finish_got },
	{ "alloc-order-3", prep_order3, run_order, finish_got },
	{ "alloc-order-8", prep_order8, run_order, finish_got },
	{ "alloc-order-9", prep_order9, run_order, finish_got },
	{ "alloc-order-10", prep_order10, run_order, finish_got },
	{ "put", prep_put, run_put, prep_none },
	{ "put-many", prep_put_many, run_put_many, prep_none },
	{ "put-flush", prep_put_flush, run_put_many, prep_none },
	{ "put-order-3", prep_put_order3, run_put, prep_none },
	{ "put-order-10", prep_put_order10, run_put, prep_none },
	{ "put-bulk", prep_put_bulk, run_put_bulk, prep_none },
	{ "put-on-drop", prep_typed, run_put, prep_none },
	{ "put-cacheless", prep_typed, run_put_none, prep_none },
	{ "put-rcu", prep_typed, run_put_rcu, prep_none },
	{ "put-rcu-seals", prep_typed_many, run_put_rcu, prep_none },
	{ "reclaim", prep_deferred, run_reclaim, prep_none },
	{ "reclaim-wait", prep_deferred, run_reclaim_wait, prep_none },
	{ "drain", prep_all_caches, run_drain, prep_none },
	{ "offline", prep_all_caches, run_offline, prep_none },
	{ "get-put-unique-lookup", prep_typed, run_handles, prep_none },
	{ "claim", prep_claim, run_claim, finish_got },
	{ "segment", prep_none, run_segment, prep_none },
	{ "split", prep_none, run_split, prep_none },
};
#define NR_OPS (sizeof(ops) / sizeof(*ops))

/* ---- the child: the interrupt and the loop ---- */

enum phase { READY, BEGIN, END };

static struct shared {
	volatile int phase;
	volatile unsigned op, act;
	volatile unsigned interrupts; /* handled in this run */
	volatile bool quit;
} * shared;

static void act_put(struct pile *p)
{
	struct held h;

	if (!p->n)
		return;
	h = pile_take(p, 0);
	if (is_raw(h.type)) {
		give(s.handler, s.cpu, &h);
	} else {
		giving(s.handler, &h);
		ramka_frame_put_rcu(s.cpu, h.frame);
	}
}

static void act_take(struct pile *p, unsigned order)
{
	struct held h;

	if (p->n < HANDLER_HOLDS &&
	    take(s.handler, s.cpu, order ? &raw_type : &tagged_type, order % 4, false, UNINIT, &h))
		pile_add(p, &h);
}

static void on_interrupt(int signo)
{
	struct pile *p = &s.handler->pile;

	(void)signo;
	shared->interrupts++;
	switch (shared->act) {
	case 0: /* take and give back */
		act_take(p, 4);
		act_put(p);
		break;
	case 1: /* take and keep */
		act_take(p, 0);
		act_take(p, 4);
		break;
	case 2: /* only give */
		act_put(p);
		act_put(p);
		break;
	case 3:
		act_take(p, 3);
		ramka_reclaim(s.cpu, false);
		break;
	default:
		ramka_drain(s.r);
		act_put(p);
		act_take(p, 0);
	}
}

static void stop_at(enum phase phase)
{
	shared->phase = phase;
	__asm__ volatile("int3" ::: "memory");
}

/* Everything back, nothing cached, so that each run starts from the same state. */
static void clean_up(void)
{
	put_from(s.cpu, 0);
	pile_release(s.handler, &s.handler->pile);
	ramka_reclaim(s.cpu, true);
	ramka_cpu_offline(s.cpu);
	ramka_cpu_offline(s.other);
	ramka_drain(s.r);
}

static void check_run(const struct op *op)
{
	struct ramka_bug bug = { 0 };
	struct ramka_stats st;
	int defects = ramka_check(s.r, &bug);

	CHECK(!defects, "%s: ramka_check found %d defects, the first: %s, frame %#llx", op->name, defects,
	      bug.what, (unsigned long long)bug.paddr);
	ramka_stats_read(s.r, &st);
	CHECK(st.in_use + st.deferred == count_owned(), "%s: %llu frames in use, %llu owned", op->name,
	      (unsigned long long)(st.in_use + st.deferred), (unsigned long long)count_owned());
}

static const struct scenario stepping = { .name = "step", .flags = WORLD_ONE_NODE };

static _Noreturn void child_main(uint64_t seed)
{
	struct options opt = { .workers = 2, .seed = seed, .frames = 5000 };
	struct sigaction act = { .sa_handler = on_interrupt };

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	world_make(&stepping, &opt);
	s.r = world.r;
	s.cpu = ramka_cpu_at(s.r, 0);
	s.other = ramka_cpu_at(s.r, 1);
	s.none = ramka_cpu_none(s.r);
	s.worker = &world.worker[0];
	s.handler = s.worker->handler;
	sigaction(SIGUSR1, &act, NULL);
	for (;;) {
		const struct op *op;

		stop_at(READY);
		if (shared->quit)
			break;
		op = &ops[shared->op];
		shared->interrupts = 0;
		clean_up();
		op->prep();
		stop_at(BEGIN);
		op->run();
		stop_at(END);
		op->finish();
		check_run(op);
	}
	clean_up();
	audit_end();
	world_end();
	_exit(0);
}

/* ---- the tracer ---- */

static pid_t child;
static const char *doing = "set-up";
static uint64_t at;

static _Noreturn void lost_child(int status)
{
	if (WIFEXITED(status))
		printf("FAIL step: the child ended with status %d", WEXITSTATUS(status));
	else
		printf("FAIL step: the child got signal %d",
		       WIFSTOPPED(status) ? WSTOPSIG(status) : WTERMSIG(status));
	printf(", in %s, interrupted at %#llx\n", doing, (unsigned long long)at);
	fflush(stdout);
	kill(child, SIGKILL);
	exit(1);
}

/* Lets it go on until it stops by a trap. */
static void go_on(int request, int signo)
{
	int status;

	if (ptrace((enum __ptrace_request)request, child, NULL, (void *)(uintptr_t)signo)) {
		perror("ptrace");
		exit(1);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		lost_child(status);
}

static uint64_t get_place(void)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, child, NULL, &regs);
	return regs.rip;
}

static void set_place(uint64_t rip)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, child, NULL, &regs);
	regs.rip = rip;
	ptrace(PTRACE_SETREGS, child, NULL, &regs);
}

/* An operation, from READY to its BEGIN. */
static void begin(unsigned op, unsigned act)
{
	shared->op = op;
	shared->act = act;
	go_on(PTRACE_CONT, 0);
	if (shared->phase != BEGIN)
		lost_child(0x7f | SIGTRAP << 8);
}

/* From END, or somewhere before it, to the next READY. */
static void end(void)
{
	while (shared->phase != READY)
		go_on(PTRACE_CONT, 0);
}

struct place {
	uint64_t rip;
	unsigned visits;
};

/* Every instruction between BEGIN and END, each once, with the number of its visits. */
static unsigned trace(unsigned op, struct place *places, unsigned *ret_steps)
{
	unsigned n = 0, i, steps = 0;

	begin(op, 0);
	for (; shared->phase == BEGIN && steps < MOST_STEPS; steps++) {
		uint64_t rip = get_place();

		for (i = 0; i < n && places[i].rip != rip; i++)
			;
		if (i == n && n < MOST_PLACES)
			places[n++] = (struct place){ .rip = rip };
		if (i < n)
			places[i].visits++;
		go_on(PTRACE_SINGLESTEP, 0);
	}
	*ret_steps = steps;
	end();
	return n;
}

/* Runs the operation and interrupts it at the `visit`th time that it comes to the place. False: it did not. */
static bool interrupt(unsigned op, unsigned act, uint64_t rip, unsigned visit)
{
	long word;
	bool there = false;

	at = rip;
	begin(op, act);
	word = ptrace(PTRACE_PEEKTEXT, child, (void *)rip, NULL);
	for (unsigned i = 0; i < visit; i++) {
		there = get_place() == rip; /* the very first instruction */
		if (!there) {
			ptrace(PTRACE_POKETEXT, child, (void *)rip, (void *)((word & ~0xffl) | 0xcc));
			go_on(PTRACE_CONT, 0);
			ptrace(PTRACE_POKETEXT, child, (void *)rip, (void *)word);
			there = get_place() == rip + 1;
			if (!there)
				break;
			set_place(rip);
		}
		if (i + 1 < visit)
			go_on(PTRACE_SINGLESTEP, 0);
	}
	if (there)
		go_on(PTRACE_CONT, SIGUSR1);
	end();
	return there && shared->interrupts == 1;
}

static void run_op(unsigned op, bool all, bool quiet, struct rng *rng, uint64_t total[3])
{
	static struct place places[MOST_PLACES];
	unsigned steps, n, hits = 0, misses = 0, round = rng_below(rng, NR_ACTS);

	doing = ops[op].name;
	at = 0;
	n = trace(op, places, &steps);
	CHECK(n > 10 && n < MOST_PLACES && steps < MOST_STEPS, "%s: %u instructions at %u places", doing,
	      steps, n);
	for (unsigned i = 0; i < n; i++)
		for (unsigned act = 0; act < (all ? NR_ACTS : 1); act++) {
			unsigned later =
				places[i].visits < 2 ?
					0 :
					2 + rng_below(rng, places[i].visits < 40 ? places[i].visits - 1 : 38);
			bool yes = interrupt(op, all ? act : round++ % NR_ACTS, places[i].rip, 1);

			hits += yes;
			misses += !yes;
			if (!later)
				continue;
			yes = interrupt(op, all ? act : round++ % NR_ACTS, places[i].rip, later);
			hits += yes;
			misses += !yes;
		}
	if (!quiet)
		printf("  %-22s %6u instructions executed, %4u places, %5u interrupts, %u not reached "
		       "again\n",
		       doing, steps, n, hits, misses);
	fflush(stdout);
	CHECK(hits > n / 2, "%s: interrupted %u times at %u places only", doing, hits, n);
	total[0] += n;
	total[1] += hits;
	total[2] += misses;
}

static const char *only;

static void choose(const char *name)
{
	for (unsigned i = 0; i < NR_OPS; i++)
		if (!strcmp(name, ops[i].name))
			only = name;
	if (!only) {
		fprintf(stderr, "step: no operation \"%s\"; see --list\n", name);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	bool all = false, quiet = false, list = false;
	uint64_t seed = 1, total[3] = { 0 };
	struct rng rng;
	cpu_set_t one;
	int status, here = sched_getcpu();
	const struct option table[] = {
		OPTION_FLAG("--all", &all),
		OPTION_CALL("--op", "NAME", choose),
		OPTION_NUMBER("--seed", "X", &seed),
		OPTION_FLAG("--quiet", &quiet),
		OPTION_FLAG("--list", &list),
		{ 0 },
	};

	options_read("step", table, argc, argv, NULL);
	for (unsigned j = 0; list && j < NR_OPS; j++)
		puts(ops[j].name);
	if (list)
		return 0;
	CPU_ZERO(&one);
	CPU_SET(here < 0 ? 0 : here, &one);
	sched_setaffinity(0, sizeof(one),
			  &one); /* both on one CPU: a step is a switch, not a wake-up elsewhere */
	rng = rng_make(seed, 5);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = fork();
	if (!child)
		child_main(seed);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		lost_child(status);
	for (unsigned i = 0; i < NR_OPS; i++)
		if (!only || !strcmp(only, ops[i].name))
			run_op(i, all, quiet, &rng, total);
	shared->quit = true;
	doing = "the end";
	ptrace(PTRACE_CONT, child, NULL, NULL);
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		lost_child(status);
	printf("step      ok: %llu interrupts at %llu instructions of %zu operations, %llu not reached "
	       "again, seed %llu\n",
	       (unsigned long long)total[1], (unsigned long long)total[0], only ? (size_t)1 : NR_OPS,
	       (unsigned long long)total[2], (unsigned long long)seed);
	return total[1] ? 0 : 1;
}
