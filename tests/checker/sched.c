/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of the checker: coroutines, choices, and the search over them.
 *
 * Every atomic operation is a step. Before a step on a location that several threads touch, a choice is made:
 * go on, let another thread run (a preemption, of which there is a bounded number), stop for ever; where a
 * thread and its own interrupt touch the location: start the interrupt. Steps on other locations commute with
 * all of these, so no choice is lost there (but for an interrupt that is itself preempted by a thread which
 * conflicts with the step below it). When a location turns out to be shared in the middle of a search, the
 * search starts again with that knowledge.
 *
 * Sleep. The choice to go on is searched before the choice to preempt. So a thread that was preempted before a
 * step need not run again until another thread did something that conflicts with that step: before, the step
 * would only change places with steps that commute with it, at the same number of preemptions. An execution in
 * which nobody else can run is cut off.
 *
 * States. All that a thread knows is what it read, so a hash of the messages read is its state, and with a hash
 * of the order of each location's messages the state of the whole. A state that was searched before with as
 * many preemptions left is not searched again (two states share a 64-bit hash once in 10^7 searches of a
 * million states).
 *
 * Depth first: the choices of an execution are a stack; the last one that has an alternative left is advanced.
 * Bounds 0, 1, .. are searched one after another, so the first failure has few preemptions. PCT: random
 * priorities, lowered at depth-1 random steps. Replay: a schedule names the choices that are not the default,
 * by step:
 *     12t1  before step 12 thread 1 runs          12i  an interrupt starts          12x  the thread stops for ever
 *     12v2  step 12 reads the value 2 before the newest         c3=1  the 3rd ck_choose gives 1
 *     p7i   an interrupt starts before plain access 7
 *
 * Bytes, for a fuzzer: each says which way the next choice goes, and how many after it go the default way.
 */
#include "engine.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct ck ck;
unsigned ck_bound_default = 2, ck_pct_depth = 3;
uint64_t ck_seed = 1;

enum { CODE_IRQ = 100, CODE_PARK };   /* beside thread numbers */
#define UNBOUND 1000000u

static struct { uint16_t n, c; } stack[200000];
static unsigned stack_len, stack_pos;
static struct token { char kind; unsigned key, val; } tokens[20000], replay[20000];
static unsigned nr_tokens, nr_replay;
static const uint8_t *bytes;
static size_t nr_bytes;
static unsigned nr_defaults;
static unsigned prio[CK_THREADS], change[16], nr_change, steps_max;
static uint64_t rnd_state;
static int outcomes[256];
static unsigned nr_outcomes;
static char *arena;
static size_t arena_used, arena_size;
static uint64_t own_shadow[CK_FRAMES];      /* plain cells whose hand-over is race-checked */
static struct { uint32_t epoch; uint8_t owner; } own[CK_FRAMES];
static uint32_t own_epoch;
static unsigned own_taken[CK_FRAMES], nr_taken;   /* ever taken in this execution; the first nr_setup by setup */
static unsigned nr_setup;
static sigjmp_buf crash;

double ck_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* budgets do not depend on what else runs */
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- states that were searched ---- */

#define SEEN (1u << 21)
static struct { uint64_t key; uint32_t pass; uint32_t preemptions; } *seen;
static uint32_t seen_pass;

void ck_ordered(void)
{
	struct ck_thread *t = &ck.t[ck.cur];

	ck.order_hash = t->hash = ck_mix(ck.order_hash, t->hash + ck.cur + 1);
}

static uint64_t state_key(unsigned running)
{
	uint64_t key = ck_mix(ck.locs_hash, ck.order_hash) + running + 1;

	for (unsigned i = 0; i < ck.n; i++)
		key = ck_mix(key, ck.t[i].hash + ck.t[i].asleep);
	return ck_mix(key, ck.stale);
}

/* Was it searched with at most so many preemptions? If not and `add`, it will have been. */
static bool state_seen(uint64_t key, unsigned preemptions, bool add)
{
	unsigned i = (unsigned)(key >> 40) & (SEEN - 1), free = SEEN;

	for (unsigned n = 0; n < 16; n++, i = (i + 1) & (SEEN - 1)) {
		if (seen[i].pass != seen_pass) {
			free = i;
			break;
		}
		if (seen[i].key == key) {
			if (seen[i].preemptions <= preemptions)
				return true;
			if (add)
				seen[i].preemptions = preemptions;
			return false;
		}
	}
	if (add && free < SEEN) {
		seen[free].key = key;
		seen[free].pass = seen_pass;
		seen[free].preemptions = preemptions;
	}
	return false;
}

/* ---- coroutines ---- */

#if defined(__x86_64__) && !defined(CK_UCONTEXT)
void ck_switch(void **save, void *to);
__asm__(".text\n.globl ck_switch\n.type ck_switch,@function\nck_switch:\n"
	"pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
	"movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
	"popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
	".size ck_switch,.-ck_switch\n");

static void *new_stack(unsigned i, void (*entry)(void))
{
	void **sp = (void **)(ck.stacks + (i + 1) * (size_t)CK_STACK);

	*--sp = NULL;                   /* keeps the stack aligned as after a call */
	*--sp = (void *)(uintptr_t)entry;
	return sp - 6;
}
#else
# include <ucontext.h>
static ucontext_t contexts[CK_THREADS + 2];

static void ck_switch(void **save, void *to)
{
	static unsigned main_slot = CK_THREADS + 1;
	ucontext_t *from = *save ? *save : &contexts[main_slot];

	*save = from;
	swapcontext(from, to);
}

static void *new_stack(unsigned i, void (*entry)(void))
{
	getcontext(&contexts[i]);
	contexts[i].uc_stack.ss_sp = ck.stacks + i * (size_t)CK_STACK;
	contexts[i].uc_stack.ss_size = CK_STACK;
	makecontext(&contexts[i], entry, 0);
	return &contexts[i];
}
#endif

static void to_main(void)
{
	ck_switch(&ck.t[ck.cur].sp, ck.main_sp);
}

void ck_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ck.message, sizeof ck.message, fmt, ap);
	va_end(ap);
	ck.failed = true;
	ck_trace("FAILURE: %s", ck.message);
	ck.mode = CK_OFF;
	to_main();
	abort();
}

void ck_trace(const char *fmt, ...)
{
	va_list ap;

	if (!ck.trace)
		return;
	if (ck.cur < CK_THREADS)
		printf("%5u  %*sT%u%s ", ck.step, (int)ck.cur * 4, "", ck.cur, ck.t[ck.cur].in_irq ? " irq" : "");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- choices ---- */

static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

static void note(char kind, unsigned key, unsigned val)
{
	if (nr_tokens < sizeof tokens / sizeof *tokens)
		tokens[nr_tokens++] = (struct token){ kind, key, val };
}

static bool replayed(char kind, unsigned key, unsigned *ret)
{
	for (unsigned i = 0; i < nr_replay; i++)
		if (replay[i].kind == kind && replay[i].key == key) {
			*ret = replay[i].val;
			return true;
		}
	return false;
}

static unsigned dfs_pick(unsigned n)
{
	if (stack_pos == stack_len) {
		if (stack_len == sizeof stack / sizeof *stack)
			ck_fail("checker: too many choices in one execution");
		stack[stack_len].n = (uint16_t)n;
		stack[stack_len++].c = 0;
	} else if (stack[stack_pos].n != n) {
		ck_fail("checker: the client is not deterministic (%u choices where there were %u)", n,
				stack[stack_pos].n);
	}
	return stack[stack_pos++].c;
}

/* The high three bits of a byte are the way, the low five the number of default ways after it. */
static unsigned bytes_pick(unsigned n)
{
	if (nr_defaults || !nr_bytes) {
		nr_defaults -= nr_defaults != 0;
		return 0;
	}
	nr_bytes--;
	nr_defaults = *bytes & 31;
	return (*bytes++ >> 5) % n;
}

unsigned ck_pick(char kind, unsigned key, unsigned n)
{
	unsigned v = 0;

	if (n < 2)
		return 0;
	if (ck.search == CK_DFS)
		v = dfs_pick(n);
	else if (ck.search == CK_BYTES)
		v = bytes_pick(n);
	else if (ck.search == CK_PCT)
		v = kind == 'v' && rnd() % 4 ? 0 : kind == 'p' && rnd() % 16 ? 0 : (unsigned)(rnd() % n);
	else if (!replayed(kind, key, &v) || v >= n)
		v = 0;
	if (v)
		note(kind, key, v);
	if (kind == 'c')
		ck.t[ck.cur].hash = ck_mix(ck.t[ck.cur].hash, v + 2);
	return v;
}

static bool runnable(unsigned i)
{
	struct ck_thread *t = &ck.t[i];
	bool yes = true;

	if (t->done || t->parked)
		return false;
	if (t->ready) {
		enum ck_mode mode = ck.mode;

		ck.mode = CK_OFF;
		yes = t->ready(t->ready_ctx);
		ck.mode = mode;
	}
	return yes;
}

static unsigned pct_best(const unsigned *code, unsigned n)
{
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++) {
		if (code[i] == CODE_IRQ && rnd() % 16 == 0)
			return i;
		if (code[i] == CODE_PARK && rnd() % 64 == 0)
			return i;
	}
	for (unsigned i = 1; i < n && code[i] < CK_THREADS; i++)
		if (prio[code[i]] > prio[code[best]])
			best = i;
	return best;
}

/* One of the codes; the first is the default. */
static unsigned pick_code(const unsigned *code, unsigned n)
{
	unsigned i = 0, v;

	if (n > 1) {
		if (ck.search == CK_DFS) {
			i = dfs_pick(n);
		} else if (ck.search == CK_BYTES) {
			i = bytes_pick(n);
		} else if (ck.search == CK_PCT) {
			i = pct_best(code, n);
		} else if (replayed('s', ck.step, &v)) {
			for (unsigned k = 0; k < n; k++)
				if (code[k] == v)
					i = k;
		}
	}
	if (i)
		note('s', ck.step, code[i]);
	return code[i];
}

static void switch_to(unsigned next)
{
	unsigned me = ck.cur;

	if (next == me)
		return;
	ck.cur = next;
	ck.t[next].asleep = false;
	ck.run_len = 0;
	ck_switch(&ck.t[me].sp, ck.t[next].sp);
}

static unsigned runnable_others(unsigned *code, unsigned n, bool asleep_too)
{
	for (unsigned k = 1; k < ck.n; k++) {
		unsigned i = (ck.cur + k) % ck.n;

		if ((asleep_too || !ck.t[i].asleep) && runnable(i))
			code[n++] = i;
	}
	return n;
}

/* The running thread is about to do this. */
static void wake(uintptr_t key, bool write)
{
	for (unsigned i = 0; i < ck.n; i++) {
		struct ck_thread *t = &ck.t[i];

		if (t->asleep && (!key || !t->next_key || (key == t->next_key && (write || t->next_write))))
			t->asleep = false;
	}
}

static void cut(void)
{
	ck.pruned = true;
	to_main();
	abort();
}

/* The running thread cannot go on, or does not want to. */
static void leave(bool yield)
{
	unsigned code[CK_THREADS], n, blocked = 0;

	ck.step++;
	if (yield)
		for (unsigned i = 0; i < ck.n; i++) /* random priorities: the lowest from now on */
			prio[i] = i == ck.cur ? 0 : prio[i] + 1;
	n = runnable_others(code, 0, yield);
	if (!n && !yield && runnable_others(code, 0, true))
		cut();
	if (!n) {
		if (yield || runnable(ck.cur))
			return;
		for (unsigned i = 0; i < ck.n; i++)
			blocked += !ck.t[i].done && !ck.t[i].parked;
		if (blocked)
			ck_fail("DEADLOCK: %u threads wait and nobody can run", blocked);
		to_main();
		abort();
	}
	switch_to(yield ? code[0] : pick_code(code, n));
}

static void run_irq(void)
{
	struct ck_thread *t = &ck.t[ck.cur];

	t->nr_irqs++;
	t->in_irq++;
	t->hash = ck_mix(t->hash, 1000 + t->plains);
	ck_trace("interrupt");
	ck.c->irq[ck.cur]();
	ck_trace("interrupt returns");
	t->in_irq--;
}

static bool irq_allowed(void)
{
	return ck.c->irq[ck.cur] && !ck.t[ck.cur].in_irq && ck.t[ck.cur].nr_irqs < (ck.c->irq_max ? ck.c->irq_max : 1);
}

void ck_irq_point(void)
{
	if (!irq_allowed())
		return;
	if (ck_pick('p', ck.plain_seq, 2))
		run_irq();
}

/* May the thread stop for ever here? At any step, also where no other thread could notice an interleaving. */
static bool may_park(void)
{
	for (unsigned i = 0; i < ck.n; i++)
		if (ck.t[i].parked)
			return false;
	return ck.c->park >> ck.cur & 1;
}

static unsigned choices_here(unsigned *code, bool shared, bool nests)
{
	unsigned n = 1;

	code[0] = ck.cur;
	if (shared && (ck.preemptions < ck.bound || ck.search != CK_DFS))
		n = runnable_others(code, n, false);
	if (nests && irq_allowed())
		code[n++] = CODE_IRQ;
	if (may_park())
		code[n++] = CODE_PARK;
	return n;
}

static void cut_if_seen(void)
{
	if (ck.search != CK_DFS || stack_pos != stack_len)
		return;
	for (unsigned i = 0; i < ck.n && ck.preemptions; i++)
		if (i != ck.cur && !ck.t[i].asleep && state_seen(state_key(i), ck.preemptions - 1, false))
			cut();
	if (state_seen(state_key(ck.cur), ck.preemptions, true))
		cut();
}

/* Preempted by `next`; an interrupt may be the first thing that happens on return. */
static void preempt(unsigned next, uintptr_t key, bool write)
{
	struct ck_thread *t = &ck.t[ck.cur];
	unsigned code[2] = { ck.cur, CODE_IRQ };

	ck.preemptions++;
	t->asleep = ck.search == CK_DFS && !irq_allowed();
	t->next_key = key;
	t->next_write = write;
	switch_to(next);
	if (irq_allowed()) {
		ck.step++;
		if (pick_code(code, 2) == CODE_IRQ)
			run_irq();
	}
}

void ck_step(const char *what, bool shared, bool nests, uintptr_t key, bool write)
{
	unsigned code[CK_THREADS + 2], next;

	for (;;) {
		if (++ck.step > ck.limit)
			ck_fail("LIVELOCK: no end after %u steps, thread %u at %s", ck.limit, ck.cur, what);
		for (unsigned i = 0; ck.search == CK_PCT && i < nr_change; i++)
			if (change[i] == ck.step)
				prio[ck.cur] = i;
		ck.t[ck.cur].steps++;
		if (++ck.run_len > ck.fair) {
			ck.run_len = 0;
			leave(true);
		}
		if (ck_every_point())
			shared = nests = true;
		if (!shared && !nests && !may_park())
			return;
		cut_if_seen();
		next = pick_code(code, choices_here(code, shared, nests));
		if (next == CODE_IRQ) {
			run_irq();
			continue;
		}
		if (next == CODE_PARK) {
			ck_trace("stops for ever");
			ck.t[ck.cur].parked = true;
			ck.t[ck.cur].hash = ck_mix(ck.t[ck.cur].hash, 3);
			leave(false);
			abort();
		}
		if (next != ck.cur)
			preempt(next, key, write);
		wake(key, write);
		return;
	}
}

/* ---- what clients call ---- */

unsigned ck_choose(unsigned n)
{
	return ck.mode == CK_OFF ? 0 : ck_pick('c', ++ck.choose_seq, n);
}

unsigned ck_steps(unsigned thread) { return ck.t[thread].steps; }
const struct ck_client *ck_client(void)
{
	return ck.c;
}

unsigned ck_self(void) { return ck.cur; }
bool ck_in_irq(void) { return ck.t[ck.cur].in_irq != 0; }

unsigned ck_parked(void)
{
	unsigned m = 0;

	for (unsigned i = 0; i < ck.n; i++)
		m |= (unsigned)ck.t[i].parked << i;
	return m;
}

unsigned ck_irqs(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ck.n; i++)
		n += ck.t[i].nr_irqs;
	return n;
}

void ck_yield(void)
{
	if (ck.mode != CK_RUN)
		return;
	if (ck.step > ck.limit)
		ck_fail("LIVELOCK: no end after %u steps, thread %u yields", ck.limit, ck.cur);
	leave(true);
}

void ck_block(bool (*ready)(void *ctx), void *ctx)
{
	struct ck_thread *t = &ck.t[ck.cur];

	if (ck.mode != CK_RUN)
		return;
	t->ready = ready;
	t->ready_ctx = ctx;
	if (!runnable(ck.cur)) {
		ck_trace("waits");
		leave(false);
	}
	t->ready = NULL;
}

void ck_outcome(int value)
{
	for (unsigned i = 0; i < nr_outcomes; i++)
		if (outcomes[i] == value)
			return;
	if (nr_outcomes < 256)
		outcomes[nr_outcomes++] = value;
	for (const int *o = ck.c->outcomes; o; o++) {
		if (*o == value)
			return;
		if (*o == -1)
			ck_fail("outcome %d is not allowed", value);
	}
}

static unsigned notes[CK_NOTES];

unsigned ck_note(unsigned i) { return notes[i]; }

void ck_note_set(unsigned i, unsigned n)
{
	notes[i] = n;
	if (ck.mode == CK_RUN)
		ck_ordered();
}

void ck_note_add(unsigned i, unsigned n)
{
	ck_note_set(i, notes[i] + n);
}

void *ck_alloc(size_t bytes, size_t align)
{
	char *p;

	arena_used = (arena_used + align - 1) & ~(align - 1);
	p = arena + arena_used;
	arena_used += bytes;
	if (arena_used > arena_size)
		ck_fail("checker: arena too small (client.bytes)");
	return p;
}

void ck_own_take(unsigned f)
{
	if (f >= CK_FRAMES)
		ck_fail("frame %u is beyond the oracle", f);
	if (own[f].epoch == own_epoch && own[f].owner)
		ck_fail("frame %u HANDED OUT TWICE: to thread %u, thread %u has it", f, ck.cur, own[f].owner - 1u);
	if (own[f].epoch != own_epoch)
		own_taken[nr_taken++] = f;
	own[f].epoch = own_epoch;
	own[f].owner = (uint8_t)(ck.cur + 1);
	ck_plain((uintptr_t)&own_shadow[f], 8, true, __builtin_return_address(0));
}

void ck_own_give(unsigned f)
{
	if (!ck_owned(f))
		ck_fail("frame %u given back by thread %u, nobody has it", f, ck.cur);
	own[f].owner = 0;
	ck_plain((uintptr_t)&own_shadow[f], 8, true, __builtin_return_address(0));
}

bool ck_owned(unsigned f)
{
	return f < CK_FRAMES && own[f].epoch == own_epoch && own[f].owner;
}

void ck_owned_each(void (*fn)(unsigned frame))
{
	for (unsigned i = 0; i < nr_taken; i++)
		if (ck_owned(own_taken[i]))
			fn(own_taken[i]);
}

static void own_begin(void)
{
	own_epoch++;
	nr_taken = nr_setup;
	for (unsigned i = 0; i < nr_setup; i++) {
		own[own_taken[i]].epoch = own_epoch;
		own[own_taken[i]].owner = CK_THREADS + 1;
	}
}

/* ---- one execution ---- */

static void thread_entry(void)
{
	ck.plain_seq++;
	ck_irq_point();
	ck.t[ck.cur].fn();
	ck.plain_seq++;
	ck_irq_point();
	ck_trace("ends");
	ck.t[ck.cur].done = true;
	leave(false);
	abort();
}

static void sequential_entry(void)
{
	ck.t[CK_THREADS].fn();
	to_main();
	abort();
}

static void on_crash(int sig)
{
	snprintf(ck.message, sizeof ck.message, "CRASH: signal %d in thread %u", sig, ck.cur);
	ck.failed = true;
	ck.mode = CK_OFF;
	siglongjmp(crash, 1);
}

static void sequential(void (*fn)(void), enum ck_mode mode)
{
	if (!fn || ck.failed)
		return;
	ck.mode = mode;
	ck.cur = CK_THREADS;
	ck.t[CK_THREADS].fn = fn;
	ck.t[CK_THREADS].sp = new_stack(CK_THREADS, sequential_entry);
	if (!sigsetjmp(crash, 0))
		ck_switch(&ck.main_sp, ck.t[CK_THREADS].sp);
	ck.mode = CK_OFF;
}

static void run_threads(void)
{
	unsigned code[CK_THREADS];

	ck.cur = 0;
	for (unsigned i = 0; i < ck.n; i++)
		code[i] = i;
	ck.mode = CK_RUN;
	if (sigsetjmp(crash, 0))
		return;
	ck.cur = pick_code(code, ck.n);
	ck_switch(&ck.main_sp, ck.t[ck.cur].sp);
	ck.mode = CK_OFF;
}

static void pct_begin(void)
{
	unsigned d = ck_pct_depth ? ck_pct_depth : 1;

	for (unsigned i = 0; i < CK_THREADS; i++)
		prio[i] = 16 + i;
	for (unsigned i = ck.n - 1; i > 0; i--) {
		unsigned j = (unsigned)(rnd() % (i + 1)), p = prio[i];

		prio[i] = prio[j];
		prio[j] = p;
	}
	nr_change = d - 1 < 16 ? d - 1 : 16;
	for (unsigned i = 0; i < nr_change; i++)
		change[i] = 1 + (unsigned)(rnd() % (steps_max + 1));
}

static void run_one(void)
{
	ck.failed = ck.pruned = false;
	ck.preemptions = ck.stale = ck.step = ck.run_len = ck.choose_seq = ck.plain_seq = 0;
	nr_tokens = 0;
	stack_pos = 0;
	ck.locs_hash = ck.order_hash = 0;
	own_begin();
	memset(notes, 0, sizeof notes);
	ck_mem_begin();
	ck_rcu_begin();
	for (unsigned i = 0; i < ck.n; i++) {
		struct ck_thread *t = &ck.t[i];

		t->fn = ck.c->thread[i];
		t->done = t->parked = t->asleep = false;
		t->in_irq = t->nr_irqs = t->steps = t->plains = 0;
		t->hash = i + 1;
		t->ready = NULL;
		t->sp = new_stack(i, thread_entry);
	}
	if (ck.search == CK_PCT)
		pct_begin();
	run_threads();
	if (!ck.pruned)
		sequential(ck.c->check, CK_CHECK);
	ck_mem_undo();
	if (ck.step > steps_max && ck.step < ck.limit)
		steps_max = ck.step;
	ck.executions++;
	ck.nr_pruned += ck.pruned;
}

static bool backtrack(void)
{
	while (stack_len && stack[stack_len - 1].c + 1u == stack[stack_len - 1].n)
		stack_len--;
	if (!stack_len)
		return false;
	stack[stack_len - 1].c++;
	return true;
}

/* ---- schedules ---- */

static char *schedule_text(void)
{
	char *s = malloc(nr_tokens * 16 + 2), *p = s;

	if (!s)
		abort();
	*p = 0;
	for (unsigned i = 0; i < nr_tokens; i++) {
		const struct token *t = &tokens[i];

		if (p != s)
			*p++ = '.';
		if (t->kind == 'v')
			p += sprintf(p, "%uv%u", t->key, t->val);
		else if (t->kind == 'c')
			p += sprintf(p, "c%u=%u", t->key, t->val);
		else if (t->kind == 'p')
			p += sprintf(p, "p%ui", t->key);
		else if (t->val == CODE_IRQ)
			p += sprintf(p, "%ui", t->key);
		else if (t->val == CODE_PARK)
			p += sprintf(p, "%ux", t->key);
		else
			p += sprintf(p, "%ut%u", t->key, t->val);
	}
	if (!*s)
		strcpy(s, "0");
	return s;
}

static void schedule_parse(const char *s)
{
	nr_replay = 0;
	while (*s && nr_replay < sizeof replay / sizeof *replay) {
		struct token *t = &replay[nr_replay];
		char *end;

		if (*s == 'c' || *s == 'p') {
			t->kind = *s;
			t->key = (unsigned)strtoul(s + 1, &end, 10);
			t->val = *end == '=' ? (unsigned)strtoul(end + 1, &end, 10) : (end++, 1u);
		} else {
			t->key = (unsigned)strtoul(s, &end, 10);
			t->kind = *end == 'v' ? 'v' : 's';
			if (*end == 'i' || *end == 'x')
				t->val = *end++ == 'i' ? CODE_IRQ : CODE_PARK;
			else if (*end)
				t->val = (unsigned)strtoul(end + 1, &end, 10);
		}
		nr_replay++;
		s = *end ? end + 1 : end;
	}
}

/* ---- search ---- */

static void begin_client(const struct ck_client *c)
{
	static bool once;

	if (!once) {
		struct sigaction sa = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER };
		stack_t ss = { .ss_size = 65536, .ss_sp = malloc(65536) };

		sigaltstack(&ss, NULL);
		sigaction(SIGSEGV, &sa, NULL);
		sigaction(SIGBUS, &sa, NULL);
		sigaction(SIGFPE, &sa, NULL);
		sigaction(SIGILL, &sa, NULL);
		sigaction(SIGTRAP, &sa, NULL);
		ck.stacks = mmap(NULL, (CK_THREADS + 1) * (size_t)CK_STACK, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (ck.stacks == MAP_FAILED)
			abort();
		seen = calloc(SEEN, sizeof *seen);
		if (!seen)
			abort();
		once = true;
	}
	if (arena)
		munmap(arena, arena_size);
	arena_size = c->bytes ? c->bytes : 1u << 20;
	arena = mmap(NULL, arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		abort();
	arena_used = 0;
	ck_mem_client();
	ck.c = c;
	for (ck.n = 0; ck.n < CK_THREADS && c->thread[ck.n]; ck.n++)
		;
	ck.stale_max = c->stale == CK_FRESH ? 0 : c->stale ? c->stale : 3;
	ck.window = c->window ? c->window : 4;
	ck.c11 = c->c11;
	ck.limit = c->steps ? c->steps : 4000;
	ck.fair = ck.limit / 5;
	ck.failed = false;
	ck.grew = false;
	ck.executions = ck.nr_pruned = 0;
	ck.trace = false;
	steps_max = 0;
	nr_outcomes = 0;
	nr_tokens = 0;
	own_epoch++;
	nr_taken = nr_setup = 0;
	sequential(c->setup, CK_OFF);
	for (unsigned i = 0; i < nr_taken; i++)
		if (ck_owned(own_taken[i]))
			own_taken[nr_setup++] = own_taken[i];
}

static void end_failed(struct ck_result *ret)
{
	ret->failed = true;
	memcpy(ret->message, ck.message, sizeof ret->message);
	ret->schedule = schedule_text();
}

/* All executions with at most ck.bound preemptions. False when time ran out. */
static bool dfs(double deadline, struct ck_result *ret)
{
	ck.search = CK_DFS;
	stack_len = 0;
	seen_pass++;
	for (;;) {
		run_one();
		if (ck.failed) {
			end_failed(ret);
			return true;
		}
		if (ck.grew) {
			ck.grew = false;
			stack_len = 0;
			seen_pass++;
			continue;
		}
		if (!backtrack())
			return true;
		if ((ck.executions & 63) == 0 && ck_now() > deadline)
			return false;
	}
}

static void outcomes_seen(struct ck_result *ret)
{
	for (const int *o = ck.c->outcomes; o && *o != -1; o++) {
		bool seen = false;

		for (unsigned i = 0; i < nr_outcomes; i++)
			seen |= outcomes[i] == *o;
		if (!seen) {
			ret->failed = true;
			snprintf(ret->message, sizeof ret->message, "outcome %d was never seen", *o);
			ret->schedule = strdup("");
			return;
		}
	}
}

void ck_explore(const struct ck_client *c, unsigned bound, uint64_t pct_runs, double seconds, struct ck_result *ret)
{
	double start = ck_now(), deadline = start + seconds;

	memset(ret, 0, sizeof *ret);
	begin_client(c);
	if (ck.failed)
		end_failed(ret);
	ret->complete = true;
	if (c->bound && c->bound < bound)
		bound = c->bound;
	for (unsigned b = 0; b <= bound && !ret->failed && ret->complete; b++) {
		ck.bound = b;
		ret->complete = dfs(deadline, ret);
	}
	if (!ret->failed && ret->complete)
		outcomes_seen(ret);
	ck.search = CK_PCT;
	rnd_state = ck_seed * 0x9e3779b97f4a7c15u + 1;
	for (uint64_t i = 0; i < pct_runs && !ret->failed; i++) {
		run_one();
		if (ck.failed)
			end_failed(ret);
		if ((i & 63) == 0 && ck_now() > deadline)
			break;
	}
	ret->executions = ck.executions;
	ret->steps_max = steps_max;
	ret->seconds = ck_now() - start;
}

void ck_replay(const struct ck_client *c, const char *schedule, struct ck_result *ret)
{
	memset(ret, 0, sizeof *ret);
	begin_client(c);
	schedule_parse(schedule);
	ck.search = CK_REPLAY;
	ck.trace = true;
	run_one();
	ck.trace = false;
	if (ck.failed)
		end_failed(ret);
	ret->executions = 1;
}

void ck_drive(const struct ck_client *c, const uint8_t *from, size_t n, struct ck_result *ret)
{
	memset(ret, 0, sizeof *ret);
	if (c != ck.c)
		begin_client(c);
	ck.search = CK_BYTES;
	bytes = from;
	nr_bytes = n;
	nr_defaults = 0;
	run_one();
	if (ck.failed)
		end_failed(ret);
	ret->executions = 1;
}
