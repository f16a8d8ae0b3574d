/* SPDX-License-Identifier: MIT */
/*
 * Public calls in pairs: each call on a frame, a segment, a list, a type or a bag, beside each other call that may come at
 * the same time. The table below says what a call needs to begin; a client is made for each pair that can begin together.
 *
 *   HOLDER   the thread has a reference to the frame, and gives it up
 *   OWNER    the thread has the unique handle of the frame, and gives it up
 *   ANY      the thread has nothing, and keeps nothing
 *   SEGMENT  the thread has the segment of two frames, or shares it, and gives it up
 *   OWNER1   the thread has the unique handle of a frame of order 1, and gives it up
 *   ANY1     as ANY, with both frames
 *   ADDER    adds memory
 *
 * Two holders begin with SHARED(2), one beside anyone with SHARED(1); two of ANY with a free frame, and with one that was
 * detached at boot. There is one frame only, or two where they are needed, so everything meets there. All is given back in
 * the end, whatever happened, and the books must agree. Metadata is read wherever a call allows it, and written by each new
 * owner: an order that is missing is a race.
 *
 * The same again with the second call in two interrupts on the first one's CPU, with a barrier that declines, and with the
 * counters about to wrap. One preemption less than other clients have; --deep gives these as many.
 */
#include <stdlib.h>

#include "instance.h"
#include "cpu/depot.h"
#include "cpu/state.h"

enum role { HOLDER, OWNER, ANY, SEGMENT, OWNER1, ANY1, ADDER };
enum start { SHARED2, SHARED1, OWNED, FREE, DETACHED, SEGMENT2, SEGMENT1, OWNED1, FREE2, LATE };

/*
 * Of an op. ALL_TYPES: with every type of frame, not only the plain one. LONG: so many steps that stale reads are too much.
 * NESTS: as an interrupt; BELOW: with interrupts on top. BARRIER: it may stop other CPUs. COUNTS: moves what wraps.
 * ALLOCS: takes any frame.
 */
enum { ALL_TYPES = 1, LONG = 2, NESTS = 4, BELOW = 8, BARRIER = 16, COUNTS = 32, ALLOCS = 64 };

struct op {
	const char *name;
	enum role role;
	void (*run)(struct ramka_cpu *c);
	unsigned kind;
};

enum way { BESIDE, NESTED, DECLINED, WRAPPED };

struct pair {
	const struct op *a, *b;
	enum start start;
	const struct ramka_type *type;
	enum way way;
};

static const struct pair *pair(void) { return ck_client()->arg; }

static void op_saturate(struct ramka_cpu *c);
static void op_put_saturate(struct ramka_cpu *c);
static bool saturates(const struct op *op) { return op->run == op_saturate || op->run == op_put_saturate; }

static struct ramka_frame *f0;      /* SHARED* */
static struct ramka_unique *u0;     /* OWNED */
static ramka_paddr_t at;            /* of the frame */
static struct ramka_list list;
static unsigned scratch[2];         /* written by each holder, read by one that is sole */
static bool hooked;                 /* on_drop gives the frame back to the oracle */

static unsigned frame_number(void) { return (unsigned)(at / RAMKA_PAGE_SIZE); }

/* The first life is given back to the oracle by thread 0, before its first put; by on_drop, if the type has one. */
static void let_go(void)
{
	enum start s = pair()->start;

	if (ck_self() != 0 || ck_in_irq() || hooked)
		return;
	if (s == SHARED2 || s == SHARED1 || s == OWNED)
		ck_own_give(frame_number());
	if (s == SEGMENT2 || s == SEGMENT1 || s == OWNED1)
		for (unsigned i = 0; i < 2; i++)
			ck_own_give(BASE + i);
}

/* ---- holders ---- */

static void put_by(struct ramka_cpu *c)
{
	look(f0);
	scratch[ck_self()] = 1;
	let_go();
	ramka_frame_put(c, f0);
}
static void op_put(struct ramka_cpu *c) { put_by(c); }
static void op_put_none(struct ramka_cpu *c) { (void)c; put_by(none()); }
static void op_put_bulk(struct ramka_cpu *c)
{
	struct ramka_frame *f[1] = { f0 };

	look(f0);
	let_go();
	ramka_frame_put_bulk(c, 1, f);
}
static void op_get(struct ramka_cpu *c)
{
	ck_assert(ramka_frame_get(r, f0) == f0, "get");
	look(f0);
	ramka_frame_put(c, f0);
	put_by(c);
}
static void op_put_rcu(struct ramka_cpu *c)
{
	look(f0);
	let_go();
	ck_assert(ramka_frame_put_rcu(c, f0) >= 0, "put_rcu");
}
static void op_put_rcu_none(struct ramka_cpu *c)
{
	(void)c;
	look(f0);
	let_go();
	ck_assert(ramka_frame_put_rcu(none(), f0) >= 0, "put_rcu");
}
static void op_sole(struct ramka_cpu *c)
{
	bool sole = ramka_frame_is_sole(f0);

	/* the other holder only gives up */
	if (sole && pair()->start == SHARED2 && pair()->a->run == op_put && pair()->b->run == op_sole)
		ck_assert(scratch[!ck_self()], "sole, and what the other wrote before its put is not seen");
	put_by(c);
}
static void op_unique(struct ramka_cpu *c)
{
	struct ramka_unique *u = ramka_frame_try_unique(r, f0);

	if (u) {
		struct meta *m = ramka_unique_meta(r, u);

		m->a = m->b = 8;
		ck_assert(ramka_unique_share(r, u) == f0, "share");
	}
	put_by(c);
}
static void op_unique_free(struct ramka_cpu *c)
{
	struct ramka_unique *u = ramka_frame_try_unique(r, f0);

	if (!u) {
		put_by(c);
		return;
	}
	let_go();
	ramka_unique_free(c, u);
}
static void op_raw(struct ramka_cpu *c)
{
	ramka_paddr_t pa = ramka_frame_into_raw(r, f0);

	ck_assert(pa == at && ramka_frame_from_raw(r, pa) == f0, "raw");
	put_by(c);
}
static void op_borrow(struct ramka_cpu *c)
{
	struct ramka_frame_ref ref = ramka_frame_borrow(r, f0);

	look(ref.frame);
	ramka_frame_unborrow(r, ref);
	put_by(c);
}
static void op_assign(struct ramka_cpu *c)
{
	struct ramka_frame *dst = f0;

	ramka_frame_get(r, f0);
	ramka_frame_assign(c, &dst, f0);
	ck_assert(dst == f0, "assign");
	ramka_frame_put(c, f0);
	put_by(c);
}
static void op_as_segment(struct ramka_cpu *c)
{
	struct ramka_segment s = ramka_segment_from_frame(r, f0);

	ck_assert(s.base == at && s.size == RAMKA_PAGE_SIZE, "segment of a frame");
	ramka_segment_get(r, s);
	ramka_segment_put(c, s);
	look(f0);
	let_go();
	ramka_segment_put(c, s);
}
static void op_getters(struct ramka_cpu *c)
{
	ck_assert(ramka_frame_paddr(r, f0) == at && ramka_frame_order(f0) == 0 && ramka_frame_size(f0) == RAMKA_PAGE_SIZE &&
		  ramka_frame_map_level(f0) == 1 && ramka_frame_refcount(f0) >= 1, "getters");
	ck_assert(ramka_frame_head(r, at + 5) == f0 && ramka_frame_at(r, at).frame == f0 &&
		  ramka_frame_state_at(r, at) == RAMKA_STATE_SHARED && ramka_frame_index(r, f0) == frame_number(), "by address");
	ramka_frame_content(r, f0);
	ck_assert(!ramka_pt_level(r, f0) && !ramka_pt_node(r, f0) && ramka_frame_read(r, f0, 0, scratch, 4) == RAMKA_E_INVAL &&
		  ramka_frame_write(r, f0, 0, scratch, 4) == RAMKA_E_INVAL, "no node, and typed");
	ck_assert(ramka_frame_type(r, f0) == pair()->type && ramka_frame_meta_as(r, f0, pair()->type) == ramka_frame_meta(r, f0) &&
		  !ramka_frame_is_untyped(r, f0), "type");
	put_by(c);
}
static void op_get_n(struct ramka_cpu *c)
{
	ck_assert(ramka_frame_get_n(r, f0, 2) == f0, "get_n");
	ramka_frame_put(c, f0);
	look(f0);
	ramka_frame_put(c, f0);
	put_by(c);
}
static void op_put_at(struct ramka_cpu *c)
{
	ck_assert(ramka_frame_into_raw(r, f0) == at, "raw");
	look(f0);
	let_go();
	ramka_frame_put_at(c, at);
}
/* puts, and makes a new life of what it gets */
static void op_reuse(struct ramka_cpu *c)
{
	struct ramka_frame *f;

	put_by(c);
	f = take(c, &t_other, 2);
	if (f)
		give(c, f);
}

/* ---- owners ---- */

static void op_free(struct ramka_cpu *c) { let_go(); ramka_unique_free(c, u0); }
static void op_free_none(struct ramka_cpu *c) { (void)c; let_go(); ramka_unique_free(none(), u0); }
static void op_free_bulk(struct ramka_cpu *c)
{
	struct ramka_unique *u[1] = { u0 };

	let_go();
	ramka_unique_free_bulk(c, 1, u);
}
static void op_share(struct ramka_cpu *c)
{
	struct meta *m = ramka_unique_meta(r, u0);

	m->a = m->b = 8;
	f0 = ramka_unique_share(r, u0);
	put_by(c);
}
static void op_share_rcu(struct ramka_cpu *c)
{
	f0 = ramka_unique_share(r, u0);
	op_put_rcu(c);
}
static void op_share_unique(struct ramka_cpu *c)
{
	struct meta *m = ramka_unique_meta(r, u0);

	m->a = m->b = 8;
	f0 = ramka_unique_share(r, u0);
	op_unique(c);
}
static void op_repurpose(struct ramka_cpu *c)
{
	struct meta m = { 9, 9 };
	int rc = ramka_unique_repurpose(c, u0, &t_other, &m);

	if (pair()->type == &t_rcu) { /* readers may look at it: its life ends after a grace period and not before */
		ck_assert(rc == RAMKA_E_UNSUPPORTED, "repurpose of a type that defers: %s", ramka_strerror(rc));
		ramka_unique_free(c, u0);
		return;
	}
	ck_assert(!rc, "repurpose");
	if (hooked)
		ck_own_take(frame_number());
	ck_own_give(frame_number());
	ramka_unique_free(c, u0);
}
static void op_repurpose_share(struct ramka_cpu *c)
{
	struct meta m = { 9, 9 };

	ck_assert(!ramka_unique_repurpose(c, u0, &t_other, &m), "repurpose");
	if (hooked)
		ck_own_take(frame_number());
	f0 = ramka_unique_share(r, u0);
	look(f0);
	ck_own_give(frame_number());
	ramka_frame_put(c, f0);
}
static void op_unique_raw(struct ramka_cpu *c)
{
	ramka_paddr_t pa = ramka_unique_into_raw(r, u0);

	ck_assert(pa == at && ramka_unique_from_raw(r, pa) == u0, "raw");
	op_free(c);
}
static void op_unique_split(struct ramka_cpu *c)
{
	struct ramka_unique *part = NULL;

	ck_assert(!ramka_unique_split(r, u0, 0, &part) && part == u0, "split into one");
	op_free(c);
}
static void op_list(struct ramka_cpu *c)
{
	struct meta *m = ramka_unique_meta(r, u0), old = *m;

	ramka_list_push_back(&list, u0);
	ck_assert(ramka_list_contains(&list, at) && ramka_list_size(&list) == 1, "in the list");
	ck_assert(ramka_list_pop_front(&list) == u0 && !ramka_list_contains(&list, at), "out of the list");
	*m = old;
	op_free(c);
}
static void op_cursor(struct ramka_cpu *c)
{
	struct meta *m = ramka_unique_meta(r, u0), old = *m;
	struct ramka_cursor cur;

	cur = ramka_list_cursor_front(&list);
	ramka_cursor_insert_before(&cur, u0);
	ck_assert(ramka_list_cursor_at(&list, at, &cur), "cursor at");
	ck_assert(ramka_cursor_meta(&cur) != NULL, "metadata behind the link");
	ramka_cursor_next(&cur);
	ck_assert(!cur.at, "behind the last");
	ramka_cursor_prev(&cur);
	ck_assert(ramka_cursor_take(&cur) == u0, "take");
	ramka_list_push_back(&list, u0);
	cur = ramka_list_cursor_back(&list);
	ck_assert(cur.at == u0 && ramka_list_pop_back(&list) == u0, "from the back");
	*m = old;
	op_free(c);
}
static void op_list_fini(struct ramka_cpu *c)
{
	struct ramka_list l;

	ck_assert(!ramka_list_init(r, &l), "list");
	ramka_list_push_front(&l, u0);
	*(struct meta *)ramka_unique_meta(r, u0) = (struct meta){ 0, 0 };
	if (!hooked)
		let_go();
	ramka_list_fini(c, &l);
}

/* ---- anyone ---- */

static void op_lookup(struct ramka_cpu *c)
{
	struct ramka_frame *f;
	int rc = ramka_frame_from_in_use(r, at, &f);

	ck_assert(rc == 0 || rc == RAMKA_E_UNUSED || rc == RAMKA_E_UNIQUE || rc == RAMKA_E_BUSY, "lookup: %s", ramka_strerror(rc));
	if (rc)
		return;
	if (ramka_frame_type(r, f)->meta_size == sizeof(struct meta))
		look(f);
	/* a frame whose count was too high shows none */
	ck_assert(ramka_frame_order(f) == 0 && (ramka_frame_refcount(f) || saturates(pair()->a) || saturates(pair()->b)),
		  "a reference");
	ramka_frame_put(c, f);
}
static void op_lookup_unique(struct ramka_cpu *c)
{
	struct ramka_frame *f;
	struct ramka_unique *u;

	if (ramka_frame_from_in_use(r, at, &f))
		return;
	u = ramka_frame_type(r, f)->meta_size == sizeof(struct meta) ? ramka_frame_try_unique(r, f) : NULL;
	if (u) {
		struct meta *m = ramka_unique_meta(r, u);

		m->a = m->b = m->b + 1;
		ramka_unique_share(r, u);
	}
	ramka_frame_put(c, f);
}
static void op_lookup_rcu(struct ramka_cpu *c)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, at, &f))
		ck_assert(ramka_frame_put_rcu(c, f) >= 0, "put_rcu");
}
static void claimed(int rc)
{
	ck_assert(rc == 0 || rc == RAMKA_E_IN_USE || rc == RAMKA_E_UNIQUE || rc == RAMKA_E_BUSY, "claim: %s", ramka_strerror(rc));
}
static void op_claim(struct ramka_cpu *c)
{
	struct meta m = { 3, 3 };
	struct ramka_frame *f;
	int rc = ramka_frame_from_unused(c, at, &t_other, &m, &f);

	claimed(rc);
	if (rc)
		return;
	ck_own_take(number(f));
	ck_assert(look(f) == 3, "another's metadata");
	give(c, f);
}
static void op_claim_unique(struct ramka_cpu *c)
{
	struct meta m = { 3, 3 }, *now;
	struct ramka_unique *u;
	int rc = ramka_unique_from_unused(c, at, &t_other, &m, &u);

	claimed(rc);
	if (rc)
		return;
	ck_own_take(frame_number());
	now = ramka_unique_meta(r, u);
	ck_assert(now->a == 3 && now->b == 3, "another's metadata");
	ck_own_give(frame_number());
	ramka_unique_free(c, u);
}
static void op_claim_segment(struct ramka_cpu *c)
{
	struct ramka_segment s;
	int rc = ramka_segment_from_unused(c, at, RAMKA_PAGE_SIZE, &t_other, NULL, NULL, &s);

	claimed(rc);
	if (rc)
		return;
	ck_own_take(frame_number());
	ck_own_give(frame_number());
	ramka_segment_put(c, s);
}
static void alloc_by(struct ramka_cpu *c)
{
	struct ramka_frame *f = take(c, &t_other, 2);

	if (!f)
		return;
	ck_assert(look(f) == 2, "another's metadata");
	give(c, f);
}
static void op_alloc(struct ramka_cpu *c) { alloc_by(c); }
static void op_alloc_none(struct ramka_cpu *c) { (void)c; alloc_by(none()); }
static void op_alloc_rcu(struct ramka_cpu *c)
{
	struct meta m = { 4, 4 };
	struct ramka_frame *f = ramka_frame_alloc(c, &t_rcu, &m, UNINIT);

	if (!f)
		return;
	ck_own_take(number(f));
	look(f);
	ramka_frame_put(c, f);
}
static void op_alloc_wait(struct ramka_cpu *c)
{
	struct ramka_frame *f = ramka_frame_alloc(c, &t_other, NULL,
						  (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT | RAMKA_ALLOC_WAIT });

	if (!f)
		return;
	ck_own_take(number(f));
	give(c, f);
}
static void op_alloc_unique(struct ramka_cpu *c)
{
	struct ramka_unique *u = ramka_unique_alloc(c, &t_other, NULL, UNINIT);

	if (!u)
		return;
	ck_own_take((unsigned)(ramka_unique_paddr(r, u) / RAMKA_PAGE_SIZE));
	ck_own_give((unsigned)(ramka_unique_paddr(r, u) / RAMKA_PAGE_SIZE));
	ramka_unique_free(c, u);
}
static void op_alloc_bulk(struct ramka_cpu *c)
{
	struct ramka_frame *f[2];
	size_t n = ramka_frame_alloc_bulk(c, &t_other, UNINIT, 2, f);

	for (size_t i = 0; i < n; i++)
		ck_own_take(number(f[i]));
	for (size_t i = 0; i < n; i++)
		give(c, f[i]);
}
static void op_alloc_segment(struct ramka_cpu *c)
{
	struct ramka_segment s;

	if (ramka_segment_alloc(c, 1, &t_other, NULL, NULL, UNINIT, &s))
		return;
	ck_own_take((unsigned)(s.base / RAMKA_PAGE_SIZE));
	ck_own_give((unsigned)(s.base / RAMKA_PAGE_SIZE));
	ramka_segment_put(c, s);
}
static bool visit(void *ctx, const struct ramka_run *run)
{
	(void)ctx;
	/* the descriptor is read as an embedder would: it must be one, and whole */
	ck_assert(!run->type || run->type->id < RAMKA_MAX_TYPES, "a type without an id");
	return true;
}
static void op_unique_bulk(struct ramka_cpu *c)
{
	struct ramka_unique *u[2];
	size_t n = ramka_unique_alloc_bulk(c, &t_other, UNINIT, 2, u);

	for (size_t i = 0; i < n; i++)
		ck_own_take((unsigned)(ramka_unique_paddr(r, u[i]) / RAMKA_PAGE_SIZE));
	for (size_t i = 0; i < n; i++)
		ck_own_give((unsigned)(ramka_unique_paddr(r, u[i]) / RAMKA_PAGE_SIZE));
	ramka_unique_free_bulk(c, n, u);
}
/* without a reference: whatever the frame is by now, it is that frame or none */
static void op_looks(struct ramka_cpu *c)
{
	const struct ramka_frame *f = ramka_frame_at(r, at).frame, *head = ramka_frame_head(r, at + 5);

	struct ramka_history h;

	(void)c;
	ck_assert(f && ramka_frame_paddr(r, f) == at, "the slot of an address");
	ck_assert(!head || ramka_frame_paddr(r, head) <= at, "a head behind its tail");
	ck_assert(ramka_frame_state_at(r, at) != RAMKA_STATE_HOLE && !ramka_frame_history(r, at, &h), "a hole, or a trace");
	ramka_walk_range(r, at, RAMKA_PAGE_SIZE, visit, NULL);
}
static void op_contains(struct ramka_cpu *c)
{
	(void)c;
	ramka_list_contains(&list, at);
}
static void op_walk(struct ramka_cpu *c) { (void)c; ramka_walk(r, visit, NULL); }
static void op_stats(struct ramka_cpu *c)
{
	struct ramka_stats s;

	(void)c;
	ramka_stats_read(r, &s);
	ck_assert(s.total <= 2, "%llu frames", (unsigned long long)s.total);
}
static void op_drain(struct ramka_cpu *c) { (void)c; ramka_drain(r); }
static void op_offline(struct ramka_cpu *c) { ramka_cpu_offline(c); }
static void op_reclaim(struct ramka_cpu *c) { ramka_reclaim(c, false); }
static void op_reclaim_wait(struct ramka_cpu *c) { ramka_reclaim(c, true); }
static void op_reader(struct ramka_cpu *c)
{
	(void)c;
	ck_rcu_read_lock();
	ck_rcu_read_unlock();
}

static void op_saturate(struct ramka_cpu *c)
{
	struct ramka_frame *f = take(c, &t_other, 5);

	if (!f)
		return;
	/* what 2^59 clones would leave, all of them read-modify-writes. The frame stays the oracle's for ever */
	ramka_add(&f->ref, REF_MAX - 2, acq_rel, test.clones);
	ramka_frame_get(r, f);
	ramka_frame_get(r, f);
}
/* the descriptor of a module, say: written just before */
static struct ramka_type t_new[2];
static void op_register(struct ramka_cpu *c)
{
	struct ramka_type *type = &t_new[ck_self()];
	struct ramka_frame *f;

	*type = (struct ramka_type){ .name = "new", .meta_size = sizeof(struct meta), .meta_align = 8, .id = 40 };
	if (ramka_type_register(r, type))
		return; /* the other thread did */
	ck_note_add(NOTE_0, 1);
	ck_assert(ck_note(NOTE_0) == 1, "one id is registered twice");
	f = take(c, type, 6);
	if (f)
		give(c, f);
}
static void op_list_init(struct ramka_cpu *c)
{
	struct ramka_list l;

	ck_assert(!ramka_list_init(r, &l) && l.id != list.id, "a list's id is given twice");
	ramka_list_fini(c, &l);
}
static void op_add(struct ramka_cpu *c)
{
	struct ramka_region region = { .base = at, .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	int rc = ramka_add_memory(r, &region);

	(void)c;
	ck_assert(!rc || rc == RAMKA_E_IN_USE || rc == RAMKA_E_BUSY, "add_memory: %s", ramka_strerror(rc));
}

/* ---- two frames ---- */

static struct ramka_segment s0;     /* SEGMENT* */

static void look_both(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ramka_frame *f;

		ck_assert(!ramka_frame_from_in_use(r, PA(i), &f), "a frame of a segment that is held");
		look(f);
		ramka_frame_put(none(), f);
	}
}
static void op_seg_put(struct ramka_cpu *c) { let_go(); ramka_segment_put(c, s0); }
static void op_seg_put_none(struct ramka_cpu *c) { (void)c; let_go(); ramka_segment_put(none(), s0); }
static void op_seg_get(struct ramka_cpu *c)
{
	struct ramka_segment s = ramka_segment_get(r, s0);

	ramka_segment_put(c, s);
	op_seg_put(c);
}
static void op_seg_split(struct ramka_cpu *c)
{
	struct ramka_segment a, b;

	ck_assert(!ramka_segment_split(r, s0, RAMKA_PAGE_SIZE, &a, &b), "split");
	let_go();
	ramka_segment_put(c, b);
	ramka_segment_put(c, a);
}
static void op_seg_slice(struct ramka_cpu *c)
{
	struct ramka_segment s;

	ck_assert(!ramka_segment_slice(r, s0, RAMKA_PAGE_SIZE, 2 * RAMKA_PAGE_SIZE, &s), "slice");
	let_go();
	ramka_segment_put(c, s0);
	ramka_segment_put(c, s);
}
static void op_seg_next(struct ramka_cpu *c)
{
	struct ramka_segment s = s0;
	struct ramka_frame *f;

	let_go();
	while ((f = ramka_segment_next(r, &s))) {
		look(f);
		ramka_frame_put(c, f);
	}
}
static void op_seg_forget(struct ramka_cpu *c)
{
	ramka_segment_forget(r, s0);
	ramka_segment_restore(r, s0);
	ck_assert(ramka_segment_is(r, s0, &t_plain), "type of a segment");
	ck_assert(ramka_segment_read(r, s0, 0, scratch, 4) == RAMKA_E_INVAL && ramka_segment_write(r, s0, 0, scratch, 4) == RAMKA_E_INVAL,
		  "typed");
	look_both();
	op_seg_put(c);
}

static struct ramka_unique *u1;     /* OWNED1: u0 of order 1 */

static void op_free1(struct ramka_cpu *c) { let_go(); ramka_unique_free(c, u1); }
static void op_free1_none(struct ramka_cpu *c) { (void)c; let_go(); ramka_unique_free(none(), u1); }
static void op_share1(struct ramka_cpu *c)
{
	struct ramka_frame *f = ramka_unique_share(r, u1);

	let_go();
	ramka_frame_put(c, f);
}
static void op_share1_rcu(struct ramka_cpu *c)
{
	struct ramka_frame *f = ramka_unique_share(r, u1);

	let_go();
	ck_assert(ramka_frame_put_rcu(c, f) >= 0, "put_rcu");
}
static void op_split1(struct ramka_cpu *c)
{
	struct ramka_unique *parts[2];

	ck_assert(!ramka_unique_split(r, u1, 0, parts), "split");
	let_go();
	ramka_unique_free(c, parts[1]);
	ramka_unique_free(c, parts[0]);
}
static void op_split1_share(struct ramka_cpu *c)
{
	struct ramka_unique *parts[2];
	struct ramka_frame *f;

	ck_assert(!ramka_unique_split(r, u1, 0, parts), "split");
	f = ramka_unique_share(r, parts[1]);
	let_go();
	ramka_frame_put(c, f);
	ramka_unique_free(c, parts[0]);
}
static void op_join1(struct ramka_cpu *c)
{
	ck_assert(!ramka_unique_split_in_place(r, u1, 0) && ramka_unique_part(r, u1, 1), "split");
	ck_assert(!ramka_unique_join(r, u1, 1), "join");
	op_free1(c);
}
static void op_repurpose1(struct ramka_cpu *c)
{
	ck_assert(!ramka_unique_repurpose(c, u1, &t_other, &(struct meta){ 9, 9 }), "repurpose");
	op_free1(c);
}

static void op_alloc1(struct ramka_cpu *c)
{
	struct ramka_frame *f = ramka_frame_alloc(c, &t_other, &(struct meta){ 2, 2 }, ORDER(1));

	if (!f)
		return;
	for (unsigned i = 0; i < 2; i++)
		ck_own_take(number(f) + i);
	ck_assert(look(f) == 2, "another's metadata");
	for (unsigned i = 0; i < 2; i++)
		ck_own_give(number(f) + i);
	ramka_frame_put(c, f);
}
static void both_frames(struct ramka_cpu *c, struct ramka_segment s)
{
	for (unsigned i = 0; i < 2; i++)
		ck_own_take((unsigned)(s.base / RAMKA_PAGE_SIZE) + i);
	look_both();
	for (unsigned i = 0; i < 2; i++)
		ck_own_give((unsigned)(s.base / RAMKA_PAGE_SIZE) + i);
	ramka_segment_put(c, s);
}
static void op_alloc_seg2(struct ramka_cpu *c)
{
	struct ramka_segment s;

	if (!ramka_segment_alloc(c, 2, &t_other, NULL, NULL, UNINIT, &s))
		both_frames(c, s);
}
static void op_claim_seg2(struct ramka_cpu *c)
{
	struct ramka_segment s;
	int rc = ramka_segment_from_unused(c, PA(0), 2 * RAMKA_PAGE_SIZE, &t_other, NULL, NULL, &s);

	claimed(rc);
	if (!rc)
		both_frames(c, s);
}

static void op_claim1(struct ramka_cpu *c)
{
	struct meta m = { 3, 3 }, *now;
	struct ramka_unique *u;
	int rc = ramka_unique_claim(c, PA(0), 1, &t_other, &m, &u, NULL);

	claimed(rc);
	if (rc)
		return;
	for (unsigned i = 0; i < 2; i++)
		ck_own_take(BASE + i);
	now = ramka_unique_meta(r, u);
	ck_assert(now->a == 3 && now->b == 3, "another's metadata");
	for (unsigned i = 0; i < 2; i++)
		ck_own_give(BASE + i);
	ramka_unique_free(c, u);
}

static void op_put_saturate(struct ramka_cpu *c)
{
	put_by(c);
	op_saturate(c);
}

static const struct op ops[] = {
#define OP(role, name, kind) { #name, role, op_##name, kind }
	OP(HOLDER, put, ALL_TYPES | BELOW | COUNTS), OP(HOLDER, put_none, 0), OP(HOLDER, put_bulk, BELOW), OP(HOLDER, get, BELOW),
	OP(HOLDER, put_rcu, ALL_TYPES | BELOW | COUNTS), OP(HOLDER, put_rcu_none, 0), OP(HOLDER, sole, 0),
	OP(HOLDER, unique, ALL_TYPES | BELOW), OP(HOLDER, unique_free, BELOW), OP(HOLDER, raw, 0), OP(HOLDER, borrow, 0),
	OP(HOLDER, assign, 0), OP(HOLDER, as_segment, BELOW), OP(HOLDER, getters, 0), OP(HOLDER, reuse, BELOW),
	OP(HOLDER, put_saturate, 0), OP(HOLDER, get_n, 0), OP(HOLDER, put_at, BELOW),
	OP(OWNER, free, ALL_TYPES | BELOW | COUNTS), OP(OWNER, free_none, 0), OP(OWNER, share, BELOW),
	OP(OWNER, share_rcu, ALL_TYPES), OP(OWNER, share_unique, 0), OP(OWNER, repurpose, ALL_TYPES | BELOW),
	OP(OWNER, repurpose_share, 0), OP(OWNER, unique_raw, 0), OP(OWNER, unique_split, 0), OP(OWNER, list, BELOW),
	OP(OWNER, cursor, 0), OP(OWNER, list_fini, BELOW), OP(OWNER, free_bulk, BELOW),
	OP(ANY, lookup, NESTS | BELOW), OP(ANY, lookup_unique, NESTS), OP(ANY, lookup_rcu, NESTS | BELOW),
	OP(ANY, claim, NESTS | BELOW | COUNTS), OP(ANY, claim_unique, NESTS), OP(ANY, claim_segment, BELOW),
	OP(ANY, alloc, NESTS | BELOW | BARRIER | COUNTS | ALLOCS), OP(ANY, alloc_none, NESTS | BARRIER | ALLOCS), OP(ANY, alloc_rcu, NESTS | BELOW | ALLOCS),
	OP(ANY, alloc_wait, LONG | ALLOCS), OP(ANY, alloc_unique, NESTS | BELOW | ALLOCS), OP(ANY, alloc_bulk, BELOW | ALLOCS),
	OP(ANY, alloc_segment, NESTS | BELOW | ALLOCS), OP(ANY, saturate, NESTS | ALLOCS), OP(ANY, register, ALLOCS), OP(ANY, contains, 0),
	OP(ANY, list_init, 0), OP(ANY, walk, 0), OP(ANY, stats, 0), OP(ANY, drain, NESTS | BELOW | BARRIER | COUNTS),
	OP(ANY, offline, BELOW), OP(ANY, reclaim, NESTS | BELOW | BARRIER | COUNTS), OP(ANY, reclaim_wait, BARRIER), OP(ANY, reader, 0),
	OP(ANY, unique_bulk, BELOW | ALLOCS), OP(ANY, looks, NESTS),
	OP(SEGMENT, seg_put, BELOW), OP(SEGMENT, seg_put_none, 0), OP(SEGMENT, seg_get, 0), OP(SEGMENT, seg_split, 0),
	OP(SEGMENT, seg_slice, 0), OP(SEGMENT, seg_next, BELOW), OP(SEGMENT, seg_forget, 0),
	OP(OWNER1, free1, BELOW), OP(OWNER1, free1_none, 0), OP(OWNER1, share1, 0), OP(OWNER1, share1_rcu, 0), OP(OWNER1, split1, BELOW),
	OP(OWNER1, split1_share, 0), OP(OWNER1, repurpose1, 0), OP(OWNER1, join1, BELOW),
	OP(ANY1, alloc1, NESTS | BELOW | BARRIER), OP(ANY1, alloc_seg2, NESTS | BELOW), OP(ANY1, claim_seg2, NESTS | BELOW), OP(ANY1, claim1, NESTS | BELOW),
	OP(ADDER, add, 0),
#undef OP
};
#define NR_OPS (sizeof ops / sizeof *ops)

/* ---- the clients ---- */

/* The next movement of each counter is its last before 0. */
static void wrap_counters(void)
{
	ramka_store(&r->stripes[0].moves, UINT64_MAX, relaxed, test.setup);
	for (unsigned i = 0; i < 2; i++) {
		struct ramka_cpu *c = cpu(i);

		ramka_store(&c->moves, UINT64_MAX, relaxed, test.setup);
		ramka_store(&c->hot, ramka_load(&c->hot, relaxed, test.setup) | ~(uint64_t)0xffff, relaxed, test.setup);
		ramka_store(&r->depot->shards[i].full, ramka_load(&r->depot->shards[i].full, relaxed, test.setup) | ~(uint64_t)0xffffff,
			    relaxed, test.setup);
		ramka_store(&r->depot->shards[i].empty, ramka_load(&r->depot->shards[i].empty, relaxed, test.setup) |
			    ~(uint64_t)0xffffff, relaxed, test.setup);
	}
}

static void begin(void)
{
	const struct pair *p = pair();
	enum start s = p->start;
	bool two = s == SEGMENT2 || s == SEGMENT1 || s == OWNED1 || s == FREE2;

	make((struct options){ .frames = two ? 2 : 1, .detached = s == DETACHED, .reclaimable = s == LATE, .cpus = 2, .rcu = true,
			       .flags = RAMKA_REF_SATURATE, .declines = p->way == DECLINED });
	at = PA(two || s == DETACHED || s == LATE);
	hooked = p->type->on_drop != NULL;
	ck_assert(!ramka_list_init(r, &list), "list");
	if (p->way == WRAPPED)
		wrap_counters();
	if (s == SHARED1 || s == SHARED2)
		f0 = take(cpu(0), p->type, 7);
	if (s == SHARED2)
		ramka_frame_get(r, f0);
	if (s == OWNED) {
		u0 = ramka_unique_alloc(cpu(0), p->type, &(struct meta){ 7, 7 }, UNINIT);
		ck_own_take(frame_number());
	}
	if (s == OWNED1)
		u1 = ramka_unique_alloc(cpu(0), p->type, &(struct meta){ 7, 7 }, ORDER(1));
	if (s == SEGMENT1 || s == SEGMENT2)
		ck_assert(!ramka_segment_alloc(cpu(0), 2, p->type, NULL, NULL, UNINIT, &s0), "segment");
	if (s == SEGMENT2)
		ramka_segment_get(r, s0);
	for (unsigned i = 0; i < 2 && (s == OWNED1 || s == SEGMENT1 || s == SEGMENT2); i++)
		ck_own_take(BASE + i);
}

static void first(void) { pair()->a->run(cpu(0)); }
static void second(void) { pair()->b->run(cpu(1)); }
static void nested(void) { pair()->b->run(cpu(0)); }

/* The order of two calls of one role is not told apart. */
static bool together(const struct op *a, const struct op *b, enum start start)
{
	bool any = b->role == ANY, any1 = any || b->role == ANY1;

	switch (start) {
	case SHARED2:
		return a->role == HOLDER && b->role == HOLDER && a <= b;
	case SHARED1:
		return a->role == HOLDER && any;
	case OWNED:
		return a->role == OWNER && any;
	case FREE:
	case DETACHED:
		return a->role == ANY && any && a <= b;
	case SEGMENT2:
		return a->role == SEGMENT && b->role == SEGMENT && a <= b;
	case SEGMENT1:
		return a->role == SEGMENT && any1;
	case OWNED1:
		return a->role == OWNER1 && any1;
	case FREE2:
		return a->role == ANY1 && any1 && (any || a <= b);
	case LATE:
		return a->role == ADDER && (any || b->role == ADDER);
	}
	return false;
}

static bool wanted(const struct op *a, const struct op *b, enum start start, const struct ramka_type *type, enum way way)
{
	if (type != &t_plain && !(a->kind & b->kind & ALL_TYPES) && (b->role != ANY || !(a->kind & ALL_TYPES)))
		return false;
	if ((start == SHARED2 || start == DETACHED) && way != BESIDE)
		return false;
	if (start == DETACHED && (a->kind | b->kind) & ALLOCS) /* takes the other frame, as with FREE */
		return false;
	switch (way) {
	case NESTED: /* either may be the one below */
		return a->kind & BELOW && b->kind & NESTS && b->role != HOLDER;
	case DECLINED:
		return (a->kind | b->kind) & BARRIER && type == &t_plain;
	case WRAPPED:
		return a->kind & b->kind & COUNTS && type == &t_plain;
	case BESIDE:
		break;
	}
	return true;
}

static const char *const way_names[] = { "", "_nested", "_declined", "_wrapped" };

static bool pairs(unsigned i, struct ck_client *c)
{
	static const struct { enum start start; const char *name; const struct ramka_type *type; } starts[] = {
		{ SHARED2, "shared", &t_plain }, { SHARED2, "shared_hook", &t_hook }, { SHARED2, "shared_rcu", &t_rcu },
		{ SHARED1, "held", &t_plain }, { SHARED1, "held_hook", &t_hook }, { SHARED1, "held_rcu", &t_rcu },
		{ OWNED, "owned", &t_plain }, { OWNED, "owned_hook", &t_hook }, { OWNED, "owned_rcu", &t_rcu },
		{ FREE, "free", &t_plain }, { DETACHED, "detached", &t_plain }, { SEGMENT2, "segments", &t_plain },
		{ SEGMENT1, "segment", &t_plain }, { OWNED1, "owned1", &t_plain }, { FREE2, "free2", &t_plain },
		{ LATE, "late", &t_plain },
	};

	static unsigned at, nr; /* they are asked for in turn: each goes on from the last */
	const unsigned squares = NR_OPS * NR_OPS, nr_starts = sizeof starts / sizeof *starts;

	if (i < nr)
		at = nr = 0;
	for (; at < (WRAPPED + 1u) * nr_starts * squares; at++) {
		const struct op *a = &ops[at % squares / NR_OPS], *b = &ops[at % NR_OPS];
		unsigned s = at / squares % nr_starts;
		enum way way = (enum way)(at / squares / nr_starts);
		struct pair *p;

		if (!together(a, b, starts[s].start) || !wanted(a, b, starts[s].start, starts[s].type, way) || nr++ < i)
			continue;
		at++;
		p = calloc(1, sizeof *p);
		*p = (struct pair){ a, b, starts[s].start, starts[s].type, way };
		*c = (struct ck_client){
			.name = ck_text("pair_%s_%s_%s%s", starts[s].name, a->name, b->name, way_names[way]),
			.what = "two calls on one frame", .setup = begin, .check = books,
			.thread = { first, way == NESTED ? NULL : second }, .irq = { way == NESTED ? nested : NULL },
			.irq_max = starts[s].name[0] == 'f' && starts[s].name[1] == 'r' ? 1 : 2,
			.stale = (a->kind | b->kind) & LONG || way == NESTED || way == DECLINED ? CK_FRESH : 2,
			.arg = p,
		};
		return true;
	}
	return false;
}
CK_FAMILY(pairs);
