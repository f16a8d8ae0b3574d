/* SPDX-License-Identifier: MIT */
/*
 * The memory model of the checker.
 *
 * Memory itself always holds the newest value of each location. Beside it, per execution:
 *  - a cell per 8-byte granule that was touched: what it held before (undone after the execution), which threads
 *    ever touched it (kept over executions), and the last accesses of each thread, for the race check;
 *  - a history per atomic location: the values in modification order, each with what its store published. A load
 *    may return any value that is not older than the thread's view of the location.
 *
 * Acquire joins what the message carries into the reader's view and vector clock; a read-modify-write takes the
 * newest value and carries its message on (release sequence); any other store cuts it, also by the same thread: so
 * says C++20. In C11 a store of the same thread carries on as well, and a client may ask for that (`c11`). A plain
 * write to an atomic location becomes a message of its own, whose value is fetched at the next atomic access.
 */
#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct access {
	struct access *next;
	uint32_t clk;
	uint8_t tid, mask;
	bool write, atomic;
	const void *where;      /* return address of a plain access, site of an atomic one */
};

struct cell {
	uintptr_t key;          /* address of the granule; 0 = empty */
	uint64_t saved;
	struct access *accesses;
	uint32_t epoch;
	int16_t loc[2];         /* by half of the granule */
	uint16_t touched, wrote; /* contexts: threads in the low byte, their interrupts in the high one */
	uint16_t atomics, plains;
	bool dirty, shared;     /* shared: by threads */
	uint8_t nests;          /* threads whose own interrupt touches it too */
};

struct msg { uint64_t val, hash; struct ck_rel *rel; unsigned by; };
struct loc {
	uintptr_t addr;
	uint64_t hash;          /* of the messages in their order */
	unsigned size, n, cap;
	bool lazy;              /* value of the newest message is still to be fetched from memory */
	struct msg *m;
};

#define CELLS (1u << 18)
static struct cell *cells;
static struct cell **used, **dirty;
static unsigned nr_used, nr_dirty, epoch;
static struct loc locs[CK_LOCS];
static unsigned nr_locs;
static struct ck_clock sc_view;     /* views of all seq_cst fences so far */
static char *pool;
static size_t pool_used;
#define POOL_SIZE (64u << 20)

static void *pool_get(size_t n)
{
	void *p = pool + pool_used;

	pool_used += (n + 7) & ~(size_t)7;
	if (pool_used > POOL_SIZE)
		ck_fail("checker: out of memory for histories, make the client smaller");
	return p;
}

void ck_mem_client(void)
{
	if (!cells) {
		cells = calloc(CELLS, sizeof *cells);
		used = calloc(CELLS, sizeof *used);
		dirty = calloc(CELLS, sizeof *dirty);
		pool = malloc(POOL_SIZE);
		if (!cells || !used || !dirty || !pool)
			abort();
	}
	for (unsigned i = 0; i < nr_used; i++)
		memset(used[i], 0, sizeof **used);
	nr_used = 0;
	nr_dirty = 0;
	epoch = 0;
}

void ck_mem_begin(void)
{
	epoch++;
	nr_locs = 0;
	pool_used = 0;
	memset(sc_view.vc, 0, sizeof sc_view.vc);
	for (unsigned t = 0; t < CK_THREADS; t++) {
		memset(ck.t[t].now.vc, 0, sizeof ck.t[t].now.vc);
		memset(ck.t[t].acq.vc, 0, sizeof ck.t[t].acq.vc);
		ck.t[t].now.vc[t] = 1;
		ck.t[t].rel = NULL;
	}
}

unsigned ck_mem_locs(void)
{
	return nr_locs;
}

void ck_mem_undo(void)
{
	for (unsigned i = 0; i < nr_dirty; i++) {
		*(uint64_t *)dirty[i]->key = dirty[i]->saved;
		dirty[i]->dirty = false;
	}
	nr_dirty = 0;
}

static struct cell *cell_of(uintptr_t addr)
{
	uintptr_t key = addr & ~(uintptr_t)7;
	unsigned i = (unsigned)((key >> 3) * 0x9e3779b97f4a7c15u >> 46);
	struct cell *c;

	for (;; i = (i + 1) & (CELLS - 1)) {
		c = &cells[i];
		if (c->key == key)
			break;
		if (!c->key) {
			if (nr_used > CELLS / 2)
				ck_fail("checker: too many granules, make the client smaller");
			c->key = key;
			used[nr_used++] = c;
			break;
		}
	}
	if (c->epoch != epoch) {
		c->epoch = epoch;
		c->accesses = NULL;
		c->loc[0] = c->loc[1] = -1;
		c->atomics = c->plains = 0;
	}
	return c;
}

static void save(struct cell *c)
{
	if (!c->dirty) {
		c->dirty = true;
		c->saved = *(uint64_t *)c->key;
		dirty[nr_dirty++] = c;
	}
}

static void touch(struct cell *c, bool write)
{
	uint16_t me = (uint16_t)(1u << (ck.cur + (ck.t[ck.cur].in_irq ? 8 : 0)));
	unsigned threads, nests;

	c->touched |= me;
	if (write)
		c->wrote |= me;
	if (!c->wrote)
		return;
	threads = (c->touched | c->touched >> 8) & 0xff;
	nests = c->touched & c->touched >> 8 & 0xff;
	if ((!c->shared && (threads & (threads - 1))) || c->nests != nests) {
		c->shared = (threads & (threads - 1)) != 0;
		c->nests = (uint8_t)nests;
		ck.grew = true;
	}
}

/* ---- clocks ---- */

void ck_clock_join(struct ck_clock *dst, const struct ck_clock *src)
{
	for (unsigned i = 0; i < CK_THREADS; i++)
		if (dst->vc[i] < src->vc[i])
			dst->vc[i] = src->vc[i];
	for (unsigned i = 0; i < nr_locs; i++)
		if (dst->view[i] < src->view[i])
			dst->view[i] = src->view[i];
}

static void join_view(struct ck_clock *dst, const struct ck_clock *src)
{
	for (unsigned i = 0; i < nr_locs; i++)
		if (dst->view[i] < src->view[i])
			dst->view[i] = src->view[i];
}

static void join_rel(struct ck_clock *dst, const struct ck_rel *src)
{
	for (unsigned i = 0; i < CK_THREADS; i++)
		if (dst->vc[i] < src->vc[i])
			dst->vc[i] = src->vc[i];
	for (unsigned i = 0; i < src->n; i++)
		if (dst->view[i] < src->view[i])
			dst->view[i] = src->view[i];
}

static struct ck_rel *rel_of(const struct ck_clock *c)
{
	struct ck_rel *r = pool_get(sizeof *r + nr_locs * sizeof r->view[0]);

	memcpy(r->vc, c->vc, sizeof r->vc);
	r->n = nr_locs;
	memcpy(r->view, c->view, nr_locs * sizeof r->view[0]);
	return r;
}

static struct ck_rel *rel_merge(struct ck_rel *a, struct ck_rel *b)
{
	struct ck_rel *r;

	if (!a || !b)
		return a ? a : b;
	if (a->n < b->n) {
		r = a;
		a = b;
		b = r;
	}
	r = pool_get(sizeof *r + a->n * sizeof r->view[0]);
	memcpy(r, a, sizeof *r + a->n * sizeof r->view[0]);
	for (unsigned i = 0; i < CK_THREADS; i++)
		if (r->vc[i] < b->vc[i])
			r->vc[i] = b->vc[i];
	for (unsigned i = 0; i < b->n; i++)
		if (r->view[i] < b->view[i])
			r->view[i] = b->view[i];
	return r;
}

/* ---- races ---- */

static void describe(char *buf, size_t n, bool atomic, bool write, const void *where)
{
	const struct ck_site *s = where;

	if (atomic)
		snprintf(buf, n, "atomic %s %s:%u (%s)", write ? "write" : "read", s->file, s->line, s->pair);
	else
		snprintf(buf, n, "plain %s %s", write ? "write" : "read", ck_site_of_pc(where));
}

static void report_race(const struct cell *c, const struct access *a, bool write, bool atomic, const void *where)
{
	char now[300], before[300];

	describe(now, sizeof now, atomic, write, where);
	describe(before, sizeof before, a->atomic, a->write, a->where);
	ck_fail("DATA RACE at %p: thread %u %s, thread %u before: %s", (void *)c->key, ck.cur, now, a->tid, before);
}

static void race_check(struct cell *c, unsigned mask, bool write, bool atomic, const void *where)
{
	struct ck_thread *t = &ck.t[ck.cur];
	struct access *a, *mine = NULL;

	for (a = c->accesses; a; a = a->next) {
		if (a->tid == ck.cur) {
			if (a->write == write && a->atomic == atomic && a->mask == mask)
				mine = a;
			continue;
		}
		if ((a->mask & mask) && (a->write || write) && !(a->atomic && atomic) && a->clk > t->now.vc[a->tid])
			report_race(c, a, write, atomic, where);
	}
	if (!mine) {
		mine = pool_get(sizeof *mine);
		mine->next = c->accesses;
		mine->tid = (uint8_t)ck.cur;
		mine->mask = (uint8_t)mask;
		mine->write = write;
		mine->atomic = atomic;
		c->accesses = mine;
	}
	mine->clk = t->now.vc[ck.cur];
	mine->where = where;
}

static void add_message(struct loc *l, uint64_t val, struct ck_rel *rel);

/* A plain write to a half that has a history. */
static void plain_message(struct cell *c, unsigned mask)
{
	for (unsigned h = 0; h < 2; h++) {
		struct loc *l;

		if (c->loc[h] < 0)
			continue;
		l = &locs[c->loc[h]];
		if (!(mask & ((l->size == 8 ? 0xffu : 0x0fu) << (h * 4))))
			continue;
		if (!l->lazy) {
			add_message(l, 0, NULL);
			l->lazy = true;
		}
		ck.t[ck.cur].now.view[c->loc[h]] = (uint16_t)(l->n - 1);
	}
}

void ck_plain(uintptr_t addr, size_t size, bool write, const void *pc)
{
	uintptr_t stack = (uintptr_t)ck.stacks, end = addr + size;

	if (ck.mode == CK_OFF || (addr >= stack && addr < stack + (CK_THREADS + 1) * CK_STACK))
		return;
	for (uintptr_t g = addr & ~(uintptr_t)7; g < end; g += 8) {
		unsigned from = g < addr ? (unsigned)(addr - g) : 0, to = g + 8 > end ? (unsigned)(end - g) : 8;
		unsigned mask = (0xffu >> (8 - to)) & (0xffu << from);
		struct cell *c = cell_of(g);

		if (ck.mode == CK_RUN) {
			if (ck.c->irq[ck.cur] && !ck.t[ck.cur].in_irq) {
				ck.plain_seq++;
				ck.t[ck.cur].plains++;
				if (c->nests >> ck.cur & 1 || ck_every_point())
					ck_irq_point();
			}
			touch(c, write);
			race_check(c, mask, write, false, pc);
			if (write)
				plain_message(c, mask);
		}
		if (write)
			save(c);
	}
}

/* ---- atomic locations ---- */

static uint64_t mem_get(uintptr_t addr, unsigned size)
{
	return size == 8 ? *(uint64_t *)addr : *(uint32_t *)addr;
}

static void mem_set(uintptr_t addr, unsigned size, uint64_t v)
{
	if (size == 8)
		*(uint64_t *)addr = v;
	else
		*(uint32_t *)addr = (uint32_t)v;
}

static void add_message(struct loc *l, uint64_t val, struct ck_rel *rel)
{
	if (l->n == l->cap) {
		struct msg *m = pool_get(sizeof *m * l->cap * 2);

		memcpy(m, l->m, sizeof *m * l->cap);
		l->m = m;
		l->cap *= 2;
	}
	l->m[l->n].val = val;
	l->m[l->n].rel = rel;
	l->m[l->n].by = ck.cur;
	l->m[l->n].hash = l->n ? ck_mix(ck.t[ck.cur].hash, l->addr) : l->addr;
	if (l->n) {
		ck.locs_hash ^= ck_mix(l->hash, l->addr);
		l->hash = ck_mix(l->hash, l->m[l->n].hash);
		ck.locs_hash ^= ck_mix(l->hash, l->addr);
		ck.t[ck.cur].hash = ck_mix(ck.t[ck.cur].hash, 1);
	}
	l->n++;
}

static unsigned loc_of(struct cell *c, uintptr_t addr, unsigned size)
{
	int16_t *slot = &c->loc[(addr & 4) != 0];
	struct loc *l;

	if ((addr & (size - 1)) || (size != 4 && size != 8))
		ck_fail("checker: misaligned atomic at %p", (void *)addr);
	if (*slot >= 0) {
		l = &locs[*slot];
		if (l->size != size)
			ck_fail("checker: atomic at %p used with two sizes", (void *)addr);
		if (l->lazy) {
			l->m[l->n - 1].val = mem_get(addr, size);
			l->lazy = false;
		}
		return (unsigned)*slot;
	}
	if (nr_locs == CK_LOCS)
		ck_fail("checker: too many atomic locations, make the client smaller");
	for (unsigned t = 0; t < CK_THREADS; t++)
		ck.t[t].now.view[nr_locs] = ck.t[t].acq.view[nr_locs] = 0;
	sc_view.view[nr_locs] = 0;
	l = &locs[nr_locs];
	*l = (struct loc){ .addr = addr, .size = size, .cap = 4 };
	l->m = pool_get(sizeof *l->m * l->cap);
	add_message(l, mem_get(addr, size), NULL);
	*slot = (int16_t)nr_locs;
	return nr_locs++;
}

static bool acquires(unsigned order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool releases(unsigned order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static unsigned order_without(unsigned order, unsigned weak)
{
	bool a = acquires(order) && !(weak & CK_WEAK_ACQUIRE), r = releases(order) && !(weak & CK_WEAK_RELEASE);

	return a && r ? __ATOMIC_ACQ_REL : a ? __ATOMIC_ACQUIRE : r ? __ATOMIC_RELEASE : __ATOMIC_RELAXED;
}

void ck_site_init(struct ck_site *s)
{
	unsigned weak = ck_weakened(s);

	s->eff_order = (unsigned char)order_without(s->order, weak);
	s->eff_fail = __ATOMIC_RELAXED;
	if (acquires(s->fail) && !(weak & (CK_WEAK_FAILURE | CK_WEAK_ACQUIRE)))
		s->eff_fail = __ATOMIC_ACQUIRE;
	s->ready = 1;
}

const char *ck_order_name(unsigned order)
{
	switch (order) {
	case __ATOMIC_ACQUIRE: return "acquire";
	case __ATOMIC_RELEASE: return "release";
	case __ATOMIC_ACQ_REL: return "acq_rel";
	case __ATOMIC_SEQ_CST: return "seq_cst";
	default: return "relaxed";
	}
}

static const char *const op_names[] = { "load", "store", "cas", "xchg", "add", "sub", "or", "and", "xor" };

static void trace_op(const struct ck_site *s, uintptr_t addr, unsigned order, const char *text)
{
	const char *file = strrchr(s->file, '/');

	ck_trace("%-5s %-7s %#lx %s  [%s] %s:%u", op_names[s->op], ck_order_name(order), (unsigned long)addr,
			text, s->pair,
		 file ? file + 1 : s->file, s->line);
}

/* Scheduling point, then the location, ready to be used. */
static unsigned enter(struct ck_site *s, uintptr_t addr, unsigned size, bool write, struct cell **ret_c)
{
	struct cell *c = cell_of(addr);
	unsigned mask = (size == 8 ? 0xffu : 0x0fu) << (addr & 4), l;

	s->hits++;
	touch(c, write);
	ck_step(s->pair, c->shared, c->nests >> ck.cur & 1, c->key, write);
	l = loc_of(c, addr, size);
	race_check(c, mask, write, true, s);
	if (write)
		save(c);
	*ret_c = c;
	return l;
}

static void acquire_from(const struct msg *m, unsigned order)
{
	struct ck_thread *t = &ck.t[ck.cur];

	t->hash = ck_mix(t->hash, m->hash);
	if (m->rel)
		join_rel(acquires(order) ? &t->now : &t->acq, m->rel);
}

static struct ck_rel *release_now(unsigned order)
{
	struct ck_thread *t = &ck.t[ck.cur];
	struct ck_rel *r;

	if (!releases(order))
		return t->rel;
	r = rel_of(&t->now);
	t->now.vc[ck.cur]++;
	return r;
}

uint64_t ck_load(struct ck_site *s, const void *p, unsigned size)
{
	uintptr_t addr = (uintptr_t)p;
	struct ck_thread *t = &ck.t[ck.cur];
	unsigned li, lo, n, back = 0;
	struct cell *c;
	struct loc *l;
	struct msg *m;

	if (!s->ready)
		ck_site_init(s);
	if (ck.mode != CK_RUN)
		return mem_get(addr, size);
	li = enter(s, addr, size, false, &c);
	l = &locs[li];
	lo = t->now.view[li];
	n = l->n - lo;
	if (n > 1 && ck.stale < ck.stale_max) {
		back = ck_pick('v', ck.step, n < ck.window ? n : ck.window);
		ck.stale += back != 0;
	}
	m = &l->m[l->n - 1 - back];
	t->now.view[li] = (uint16_t)(l->n - 1 - back);
	acquire_from(m, s->eff_order);
	if (ck.trace) {
		char text[80];

		snprintf(text, sizeof text, "= %#lx%s", (unsigned long)m->val, back ? "  STALE" : "");
		trace_op(s, addr, s->eff_order, text);
	}
	return m->val;
}

void ck_store(struct ck_site *s, void *p, unsigned size, uint64_t v)
{
	uintptr_t addr = (uintptr_t)p;
	struct ck_rel *rel;
	struct msg *last;
	struct cell *c;
	unsigned li;

	if (!s->ready)
		ck_site_init(s);
	if (size == 4)
		v = (uint32_t)v;
	if (ck.mode != CK_RUN) {
		if (ck.mode == CK_CHECK)
			save(cell_of(addr));
		mem_set(addr, size, v);
		return;
	}
	li = enter(s, addr, size, true, &c);
	ck.t[ck.cur].now.view[li] = (uint16_t)locs[li].n;
	last = &locs[li].m[locs[li].n - 1];
	rel = release_now(s->eff_order);
	add_message(&locs[li], v, ck.c11 && last->by == ck.cur ? rel_merge(last->rel, rel) : rel);
	mem_set(addr, size, v);
	if (ck.trace) {
		char text[80];

		snprintf(text, sizeof text, ":= %#lx", (unsigned long)v);
		trace_op(s, addr, s->eff_order, text);
	}
}

/* Takes the newest value, appends another that continues its release sequence. */
static void rmw_commit(struct ck_site *s, unsigned li, uintptr_t addr, unsigned size, uint64_t v)
{
	struct ck_thread *t = &ck.t[ck.cur];
	struct loc *l = &locs[li];
	struct msg *m = &l->m[l->n - 1];
	struct ck_rel *old = m->rel;

	acquire_from(m, s->eff_order);
	t->now.view[li] = (uint16_t)l->n;
	add_message(l, v, rel_merge(old, release_now(s->eff_order)));
	mem_set(addr, size, v);
}

static uint64_t apply(unsigned op, uint64_t old, uint64_t v, unsigned size)
{
	uint64_t r = op == CK_XCHG ? v : op == CK_ADD ? old + v : op == CK_SUB ? old - v : op == CK_OR ? old | v :
		     op == CK_AND ? old & v : old ^ v;

	return size == 4 ? (uint32_t)r : r;
}

uint64_t ck_rmw(struct ck_site *s, void *p, unsigned size, uint64_t v)
{
	uintptr_t addr = (uintptr_t)p;
	uint64_t old, new;
	struct cell *c;
	unsigned li;

	if (!s->ready)
		ck_site_init(s);
	if (ck.mode != CK_RUN) {
		if (ck.mode == CK_CHECK)
			save(cell_of(addr));
		old = mem_get(addr, size);
		mem_set(addr, size, apply(s->op, old, v, size));
		return old;
	}
	li = enter(s, addr, size, true, &c);
	old = locs[li].m[locs[li].n - 1].val;
	new = apply(s->op, old, v, size);
	rmw_commit(s, li, addr, size, new);
	if (ck.trace) {
		char text[80];

		snprintf(text, sizeof text, "%#lx -> %#lx", (unsigned long)old, (unsigned long)new);
		trace_op(s, addr, s->eff_order, text);
	}
	return old;
}

/* How many messages back a failing compare-and-swap reads: only values that really differ can make it fail. */
static unsigned cas_back(const struct loc *l, unsigned lo, uint64_t expected)
{
	unsigned back[16], n = 0, max = l->n - lo < ck.window ? l->n - lo : ck.window;

	if (ck.stale >= ck.stale_max)
		return 0;
	back[n++] = 0;
	for (unsigned i = 1; i < max && n < 16; i++)
		if (l->m[l->n - 1 - i].val != expected)
			back[n++] = i;
	n = back[n > 1 ? ck_pick('v', ck.step, n) : 0];
	ck.stale += n != 0;
	return n;
}

bool ck_cas(struct ck_site *s, void *p, unsigned size, void *expected, uint64_t v)
{
	uintptr_t addr = (uintptr_t)p, e = (uintptr_t)expected;
	uint64_t want = mem_get(e, size), got;
	struct ck_thread *t = &ck.t[ck.cur];
	unsigned li, back;
	struct cell *c;
	struct loc *l;
	bool done;

	if (!s->ready)
		ck_site_init(s);
	if (size == 4)
		v = (uint32_t)v;
	if (ck.mode != CK_RUN) {
		got = mem_get(addr, size);
		if (got != want) {
			mem_set(e, size, got);
			return false;
		}
		if (ck.mode == CK_CHECK)
			save(cell_of(addr));
		mem_set(addr, size, v);
		return true;
	}
	li = enter(s, addr, size, true, &c);
	l = &locs[li];
	back = cas_back(l, t->now.view[li], want);
	got = l->m[l->n - 1 - back].val;
	done = got == want;
	if (done) {
		rmw_commit(s, li, addr, size, v);
	} else {
		t->now.view[li] = (uint16_t)(l->n - 1 - back);
		acquire_from(&l->m[l->n - 1 - back], s->eff_fail);
		mem_set(e, size, got);
	}
	if (ck.trace) {
		char text[120];

		if (done)
			snprintf(text, sizeof text, "%#lx -> %#lx", (unsigned long)want, (unsigned long)v);
		else
			snprintf(text, sizeof text, "FAILS, wanted %#lx, is %#lx%s", (unsigned long)want,
					(unsigned long)got,
				 back ? "  STALE" : "");
		trace_op(s, addr, done ? s->eff_order : s->eff_fail, text);
	}
	return done;
}

/* ---- fences ---- */

static void fence_here(struct ck_thread *t, unsigned tid, unsigned order)
{
	if (order != __ATOMIC_RELEASE)
		ck_clock_join(&t->now, &t->acq);
	if (order == __ATOMIC_SEQ_CST) {
		join_view(&sc_view, &t->now);
		join_view(&t->now, &sc_view);
	}
	if (order != __ATOMIC_ACQUIRE) {
		t->rel = rel_of(&t->now);
		t->now.vc[tid]++;
	}
}

void ck_fence(int order)
{
	if (ck.mode != CK_RUN || order == __ATOMIC_RELAXED)
		return;
	ck_step("fence", true, true, 0, true);
	ck_trace("fence %s", ck_order_name((unsigned)order));
	fence_here(&ck.t[ck.cur], ck.cur, (unsigned)order);
	ck_ordered();
}

bool ck_barrier_all(void *ctx)
{
	(void)ctx;
	if (ck.mode != CK_RUN)
		return true;
	ck_step("barrier_all", true, true, 0, true);
	ck_trace("barrier on all CPUs");
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < ck.n; i++)
			fence_here(&ck.t[i], i, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < ck.n; i++)
		ck.order_hash = ck_mix(ck.order_hash, ck.t[i].hash);
	ck_ordered();
	return true;
}
