/* SPDX-License-Identifier: MIT */
/*
 * Plays a sequence of calls against the library and the reference. A call is plain numbers that are read modulo what
 * there is (CPUs, handles, frames), so any numbers make a sequence, and a sequence with calls left out is one as well:
 * test_sequences.c draws and shrinks them, tests/fuzz takes them from a fuzzer.
 */
#ifndef RAMKA_TESTS_SEQUENCE_H
#define RAMKA_TESTS_SEQUENCE_H

#include "model/model.h"

struct call {
	uint8_t kind, cpu;
	uint16_t a, b, c;
};

enum hand_kind { H_FRAME, H_UNIQUE, H_SEGMENT, H_RAW, H_RAW_UNIQUE, H_RAW_SEGMENT };

/* A reference that the sequence holds. */
struct hand {
	enum hand_kind kind;
	uint32_t at, nr; /* frames; nr for segments */
};

#define MAX_HANDS 300u

struct play {
	struct fixture *f;
	struct model m;
	struct hand hand[MAX_HANDS];
	unsigned nr_hands;
	uint32_t dying;      /* frame whose on_drop must come now, or none */
	uint32_t dropping;   /* how many such there are left */
	uint64_t next_value;
	bool nested;         /* this call lands on a CPU inside another */
	const uint32_t *cpu_node;
	uint64_t told;       /* blocks that were reported, by this call */
	unsigned broken, most_broken; /* frames that were found so; else no block stays whole */
	uint32_t holes;      /* at the start, and of a node */
};

#define NO_DEATH UINT32_MAX

struct play_meta { struct ramka_link link; uint64_t value; };

static struct play *playing;

#define PLAY_TYPES 4u
static void play_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content);
static RAMKA_DEFINE_TYPE(play_noted, struct play_meta, .id = 16, .flags = 0, .on_drop = play_drop);
static RAMKA_DEFINE_TYPE(play_rcu, struct play_meta, .id = 17, .flags = RAMKA_TYPE_RCU, .on_drop = play_drop);
static RAMKA_DEFINE_TYPE_PLAIN(play_hidden, .id = 18, .flags = RAMKA_TYPE_NO_LOOKUP);
static const struct ramka_type *const play_type[PLAY_TYPES] = { &ramka_type_untyped, &play_noted, &play_rcu, &play_hidden };

#define PLAY_CHECK(cond)                                                              \
	do {                                                                          \
		if (!(cond))                                                          \
			fail_msg("%s:%d: not so: %s", __FILE__, __LINE__, #cond);     \
	} while (0)

/* ---- frames of the model and of the library ---- */

static inline ramka_paddr_t pa_of(const struct play *p, uint64_t at)
{
	return (p->m.first + at) * PAGE;
}

static inline struct ramka_frame *frame_of_hand(const struct play *p, const struct hand *h)
{
	return &p->f->r->slots[p->m.first + h->at - p->f->r->first];
}

static inline uint32_t at_of(const struct play *p, const struct ramka_frame *f)
{
	return (uint32_t)(ramka_frame_index(p->f->r, f) - p->m.first);
}

static inline struct ramka_segment segment_of(const struct play *p, const struct hand *h)
{
	return (struct ramka_segment){ pa_of(p, h->at), h->nr * PAGE };
}

static inline bool type_has_meta(unsigned type)
{
	return play_type[type]->meta_size != 0;
}

static inline void hold(struct play *p, enum hand_kind kind, uint32_t at, uint32_t nr)
{
	PLAY_CHECK(p->nr_hands < MAX_HANDS);
	p->hand[p->nr_hands++] = (struct hand){ kind, at, nr };
}

static inline void let_go(struct play *p, unsigned i)
{
	p->hand[i] = p->hand[--p->nr_hands];
}

/* A hand of this kind, the i-th from somewhere; MAX_HANDS if there is none. */
static inline unsigned pick(const struct play *p, enum hand_kind kind, unsigned from)
{
	for (unsigned i = 0; i < p->nr_hands; i++)
		if (p->hand[(from + i) % p->nr_hands].kind == kind)
			return (from + i) % p->nr_hands;
	return MAX_HANDS;
}

/* ---- contents ---- */

static inline uint64_t *word_at(const struct play *p, uint64_t at, bool last)
{
	return (uint64_t *)(void *)(bytes_at(p->f, pa_of(p, at)) + (last ? PAGE - 8 : 0));
}

static inline void check_stamp(const struct play *p, uint64_t at)
{
	PLAY_CHECK(*word_at(p, at, false) == p->m.frame[at].stamp);
	PLAY_CHECK(*word_at(p, at, true) == p->m.frame[at].stamp);
}

static inline void stamp(struct play *p, uint64_t at, uint64_t n)
{
	for (uint64_t i = at; i < at + n; i++) {
		p->m.frame[i].stamp = ++p->next_value << 20 | i;
		*word_at(p, i, false) = *word_at(p, i, true) = p->m.frame[i].stamp;
		memset(word_at(p, i, false) + 1, (int)(i & 0xff), 64); /* dirt in between */
	}
}

/* New frames: zeroed if asked for, else what they were. */
static inline void check_content(struct play *p, uint64_t at, uint64_t n, bool zeroed)
{
	for (uint64_t i = at; i < at + n; i++) {
		if (zeroed)
			PLAY_CHECK(all_bytes(bytes_at(p->f, pa_of(p, i)), 0, PAGE));
		else
			check_stamp(p, i);
	}
	stamp(p, at, n);
}

static inline void check_meta(const struct play *p, uint64_t at)
{
	const struct model_frame *f = &p->m.frame[at];
	const struct ramka_frame *frame = &p->f->r->slots[p->m.first + at - p->f->r->first];

	PLAY_CHECK(ramka_frame_type(p->f->r, frame) == play_type[f->type]);
	PLAY_CHECK(ramka_frame_order(frame) == f->order);
	PLAY_CHECK(ramka_frame_refcount(frame) == (f->state == M_SHARED ? f->refs : 0));
	if (type_has_meta(f->type))
		PLAY_CHECK(((struct play_meta *)ramka_frame_meta(p->f->r, frame))->value == f->value);
}

/* ---- deaths ---- */

/* The grace period of a deferred frame is over, and so is the frame. */
static inline void deferred_ends(struct play *p, uint64_t at)
{
	PLAY_CHECK(p->f->grace.over > p->m.frame[at].deferred_at);
	model_release(&p->m, at);
}

static void play_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	struct play *p = playing;
	uint64_t at = paddr / PAGE - p->m.first;
	struct model_frame *f = &p->m.frame[at];

	PLAY_CHECK(model_covers(&p->m, paddr));
	PLAY_CHECK(((struct play_meta *)meta)->value == f->value);
	PLAY_CHECK(content == bytes_at(p->f, paddr));
	check_stamp(p, at); /* intact until now */
	if (f->state == M_DEFERRED) {
		deferred_ends(p, at);
	} else {
		PLAY_CHECK(at >= p->dying && at < p->dying + p->dropping); /* not this one, not now, not twice */
		f->value = 0;
		p->m.frame[at].type = 0;
	}
	if (f->stamp % 3 == 0) { /* and calls back; the frame is not free before we return */
		struct ramka_frame *one = ramka_frame_alloc(cpu, &play_hidden, NULL, UNINIT);

		PLAY_CHECK(!one || at_of(p, one) != at);
		if (one)
			ramka_frame_put(cpu, one);
	}
}

/* Deferred frames that were freed without an on_drop, by whatever the last call did. */
static inline void sync_deferred(struct play *p)
{
	for (uint32_t at = 0; at < p->m.nr; at++) {
		const struct ramka_frame *slot = &p->f->r->slots[p->m.first + at - p->f->r->first];

		if (p->m.frame[at].state == M_DEFERRED && ref_tag(slot_ref(slot)) != TAG_DEFERRED) {
			PLAY_CHECK(!type_has_meta(p->m.frame[at].type)); /* play_drop would know */
			deferred_ends(p, at);
		}
	}
}

static inline uint64_t count_deferred(const struct play *p)
{
	uint64_t n = 0;

	for (uint32_t at = 0; at < p->m.nr; at++)
		n += p->m.frame[at].state == M_DEFERRED;
	return n;
}

/* One reference of a shared frame goes; `rcu`: by put_rcu. Before the call. True: it dies in the call. */
static inline bool model_put(struct play *p, uint64_t at, bool rcu)
{
	struct model_frame *f = &p->m.frame[at];

	PLAY_CHECK(f->state == M_SHARED && f->refs);
	f->marked |= rcu;
	if (--f->refs)
		return false;
	if (!f->marked && play_type[f->type] != &play_rcu)
		return true;
	f->state = M_DEFERRED;
	f->deferred_at = p->f->grace.taken;
	return false;
}

/* Says that on_drop must come for this frame, if its type has one. */
static inline void expect_death(struct play *p, uint64_t at)
{
	p->dying = (uint32_t)at;
	p->dropping = 1;
}

static inline void died(struct play *p, uint64_t at)
{
	PLAY_CHECK(!type_has_meta(p->m.frame[at].type)); /* else on_drop took the type away */
	check_stamp(p, at);
	model_release(&p->m, at);
	p->dying = NO_DEATH;
	p->dropping = 0;
}

static inline void put_one(struct play *p, struct ramka_cpu *cpu, uint64_t at, bool rcu)
{
	struct hand h = { .at = (uint32_t)at };
	struct ramka_frame *frame = frame_of_hand(p, &h);
	bool dies;

	check_meta(p, at);
	dies = model_put(p, at, rcu);
	if (dies)
		expect_death(p, at);
	if (rcu)
		PLAY_CHECK(ramka_frame_put_rcu(cpu, frame) >= 0);
	else
		ramka_frame_put(cpu, frame);
	if (dies)
		died(p, at);
}

/* ---- calls ---- */

static inline struct ramka_request draw_request(const struct call *c)
{
	static const uint8_t orders[16] = { 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 8, 9 };
	struct ramka_request req = { .order = orders[c->a % 16] };

	if (c->b & 1)
		req.flags |= RAMKA_ALLOC_UNINIT;
	if ((c->b & 0x0e) == 2)
		req.flags |= RAMKA_ALLOC_WAIT;
	if ((c->b & 0x70) == 0x10) {
		req.node = RAMKA_NODE(c->b >> 7 & 1);
		if (c->b & 0x100)
			req.flags |= RAMKA_ALLOC_NODE_ONLY;
	}
	if ((c->b & 0x1800) == 0x800)
		req.flags |= c->b & 0x2000 ? RAMKA_ALLOC_LONG : c->b & 0x4000 ? RAMKA_ALLOC_SHORT : RAMKA_ALLOC_MOVABLE;
	if ((c->b & 0x600) == 0x200)
		req.addr_bits = 26; /* the memory lies across 64 MiB */
	if ((c->a & 0xc000) == 0xc000)
		req.flags |= RAMKA_ALLOC_RESERVE;
	return req;
}

static inline struct ramka_cpu *cpu_of(const struct play *p, const struct call *c)
{
	unsigned n = c->cpu % (p->f->nr_cpus * 2 + 1);

	return n == p->f->nr_cpus * 2 ? p->f->none : p->f->cpu[n % p->f->nr_cpus];
}

static inline unsigned own_node(const struct play *p, const struct ramka_cpu *cpu)
{
	return cpu->cacheless ? 0 : p->cpu_node[cpu->id];
}

/*
 * Does it belong to the reserve? What other CPUs took and did not tell yet is less than a quarter of what was above
 * the watermark when they looked last.
 */
static inline bool reserve_refuses(const struct play *p, uint64_t n, struct ramka_request req)
{
	uint64_t min = p->f->cfg.min_watermark;

	return min && !(req.flags & RAMKA_ALLOC_RESERVE) && model_count_free(&p->m) < min + n + p->m.nr / 4;
}

/* "No memory" is exact: nothing in progress, every cache within reach. A handler does not reach the cache below it. */
static inline void check_nomem(struct play *p, const struct ramka_cpu *cpu, uint64_t n, unsigned align, struct ramka_request req)
{
	sync_deferred(p);
	PLAY_CHECK(p->nested || reserve_refuses(p, n, req) || !model_could(&p->m, n, align, req, own_node(p, cpu)));
}

static inline void took(struct play *p, const struct ramka_cpu *cpu, uint64_t at, struct ramka_request req)
{
	uint64_t n = UINT64_C(1) << req.order;

	sync_deferred(p);
	PLAY_CHECK(at < p->m.nr);
	PLAY_CHECK(model_fits(&p->m, at, n, req.order, req, own_node(p, cpu)));
	check_content(p, at, n, !(req.flags & RAMKA_ALLOC_UNINIT));
}

static inline void play_alloc(struct play *p, struct ramka_cpu *cpu, const struct call *c, bool unique)
{
	struct ramka_request req = draw_request(c);
	unsigned type = c->c % PLAY_TYPES;
	struct play_meta meta = { .value = ++p->next_value };
	struct ramka_unique *u = NULL;
	struct ramka_frame *f = NULL;
	uint32_t at;

	if (p->nr_hands == MAX_HANDS)
		return;
	if (unique)
		u = ramka_unique_alloc(cpu, play_type[type], &meta, req);
	else
		f = ramka_frame_alloc(cpu, play_type[type], &meta, req);
	if (!u && !f) {
		check_nomem(p, cpu, UINT64_C(1) << req.order, req.order, req);
		return;
	}
	at = at_of(p, unique ? slot_of(u) : f);
	took(p, cpu, at, req);
	model_take(&p->m, at, req.order, type, unique, type_has_meta(type) ? meta.value : 0);
	check_meta(p, at);
	hold(p, unique ? H_UNIQUE : H_FRAME, at, 1);
}

static inline void play_bulk(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	struct ramka_request req = draw_request(c);
	struct ramka_frame *frames[64];
	size_t want = c->c % 64 + 1, n;

	if (want > MAX_HANDS - p->nr_hands)
		return;
	n = ramka_frame_alloc_bulk(cpu, &ramka_type_untyped, req, want, frames);
	for (size_t i = 0; i < n; i++) {
		took(p, cpu, at_of(p, frames[i]), req);
		model_take(&p->m, at_of(p, frames[i]), req.order, 0, false, 0);
		hold(p, H_FRAME, at_of(p, frames[i]), 1);
	}
	if (n < want)
		check_nomem(p, cpu, UINT64_C(1) << req.order, req.order, req);
}

static inline void play_put_bulk(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	struct ramka_frame *frames[16];
	uint32_t dead[16];
	size_t n = 0, nr_dead = 0;

	for (unsigned i = pick(p, H_FRAME, c->a); i != MAX_HANDS && n < c->c % 16 + 1u; i = pick(p, H_FRAME, c->a)) {
		uint32_t at = p->hand[i].at;

		if (type_has_meta(p->m.frame[at].type))
			break; /* deaths with an on_drop are expected one at a time */
		frames[n++] = frame_of_hand(p, &p->hand[i]);
		if (model_put(p, at, false))
			dead[nr_dead++] = at;
		let_go(p, i);
	}
	ramka_frame_put_bulk(cpu, n, frames);
	for (size_t i = 0; i < nr_dead; i++)
		died(p, dead[i]);
}

static inline void play_put(struct play *p, struct ramka_cpu *cpu, const struct call *c, bool rcu)
{
	unsigned i = pick(p, H_FRAME, c->a);

	if (i == MAX_HANDS)
		return;
	put_one(p, cpu, p->hand[i].at, rcu);
	let_go(p, i);
}

static inline void play_get(struct play *p, const struct call *c)
{
	unsigned i = pick(p, H_FRAME, c->a);

	if (i == MAX_HANDS || p->nr_hands == MAX_HANDS)
		return;
	PLAY_CHECK(ramka_frame_get(p->f->r, frame_of_hand(p, &p->hand[i])));
	p->m.frame[p->hand[i].at].refs++;
	hold(p, H_FRAME, p->hand[i].at, 1);
}

static inline void play_assign(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	unsigned i = pick(p, H_FRAME, c->a), j = pick(p, H_FRAME, c->b);
	struct ramka_frame *dst;
	uint32_t old;
	bool dies;

	if (i == MAX_HANDS || i == j || (p->hand[i].at == p->hand[j].at && c->c % 2))
		return;
	dst = frame_of_hand(p, &p->hand[i]);
	old = p->hand[i].at;
	p->m.frame[p->hand[j].at].refs++;
	dies = model_put(p, old, false);
	if (dies)
		expect_death(p, old);
	ramka_frame_assign(cpu, &dst, frame_of_hand(p, &p->hand[j]));
	if (dies)
		died(p, old);
	PLAY_CHECK(dst == frame_of_hand(p, &p->hand[j]));
	p->hand[i].at = p->hand[j].at;
}

static inline ramka_paddr_t draw_paddr(const struct play *p, const struct call *c)
{
	ramka_paddr_t pa = pa_of(p, c->a % (p->m.nr + 4u)) - 2 * PAGE;

	return c->b % 16 ? pa : pa + c->b % PAGE;
}

static inline void play_from_unused(struct play *p, struct ramka_cpu *cpu, const struct call *c, bool unique)
{
	ramka_paddr_t pa = draw_paddr(p, c);
	int want = model_from_unused(&p->m, pa), rc;
	unsigned type = c->c % PLAY_TYPES;
	struct play_meta meta = { .value = ++p->next_value };
	struct ramka_frame *f = NULL;
	struct ramka_unique *u = NULL;
	uint32_t at = (uint32_t)(pa / PAGE - p->m.first);

	if (p->nr_hands == MAX_HANDS)
		return;
	for (unsigned i = 0; i < 2; i++) {
		rc = unique ? ramka_unique_from_unused(cpu, pa, play_type[type], &meta, &u) :
			      ramka_frame_from_unused(cpu, pa, play_type[type], &meta, &f);
		if (rc == want || want || rc != RAMKA_E_BUSY || p->nested)
			break;
		ramka_drain(p->f->r); /* in somebody's cache: then not any more */
	}
	if (rc == RAMKA_E_BUSY && !want && p->nested)
		return;
	PLAY_CHECK(rc == want);
	PLAY_CHECK(rc || (unique ? slot_of(u) : f) == &p->f->r->slots[pa / PAGE - p->f->r->first]);
	PLAY_CHECK(!rc || (!f && !u));
	if (rc)
		return;
	check_content(p, at, 1, false);
	model_take(&p->m, at, 0, type, unique, type_has_meta(type) ? meta.value : 0);
	check_meta(p, at);
	hold(p, unique ? H_UNIQUE : H_FRAME, at, 1);
}

static inline void play_from_in_use(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	ramka_paddr_t pa = draw_paddr(p, c);
	uint64_t at = pa / PAGE - p->m.first;
	bool hidden = model_covers(&p->m, pa) && play_type[p->m.frame[at].type] == &play_hidden;
	struct ramka_frame *f = NULL;
	int rc;

	if (p->nr_hands == MAX_HANDS)
		return;
	rc = ramka_frame_from_in_use(p->f->r, pa, &f);
	PLAY_CHECK(rc == model_from_in_use(&p->m, pa, hidden));
	PLAY_CHECK(!rc == !!f);
	if (rc)
		return;
	if (p->m.frame[at].state == M_RESERVED) {
		PLAY_CHECK(ramka_frame_refcount(f) == 2);
		ramka_frame_put(cpu, f);
		return;
	}
	p->m.frame[at].refs++;
	check_meta(p, at);
	hold(p, H_FRAME, (uint32_t)at, 1);
}

/* Raw handles and back. */
static inline void play_raw(struct play *p, const struct call *c)
{
	static const enum hand_kind kinds[] = { H_FRAME, H_UNIQUE, H_SEGMENT, H_RAW, H_RAW_UNIQUE, H_RAW_SEGMENT };
	unsigned i = pick(p, kinds[c->b % 6], c->a);
	struct hand *h = &p->hand[i];
	struct ramka *r = p->f->r;

	if (i == MAX_HANDS)
		return;
	switch (h->kind) {
	case H_FRAME:
		PLAY_CHECK(ramka_frame_into_raw(r, frame_of_hand(p, h)) == pa_of(p, h->at));
		h->kind = H_RAW;
		break;
	case H_UNIQUE:
		PLAY_CHECK(ramka_unique_into_raw(r, unique_of(frame_of_hand(p, h))) == pa_of(p, h->at));
		h->kind = H_RAW_UNIQUE;
		break;
	case H_SEGMENT:
		ramka_segment_forget(r, segment_of(p, h));
		h->kind = H_RAW_SEGMENT;
		break;
	case H_RAW:
		PLAY_CHECK(ramka_frame_from_raw(r, pa_of(p, h->at)) == frame_of_hand(p, h));
		h->kind = H_FRAME;
		break;
	case H_RAW_UNIQUE:
		PLAY_CHECK(ramka_unique_from_raw(r, pa_of(p, h->at)) == unique_of(frame_of_hand(p, h)));
		h->kind = H_UNIQUE;
		break;
	case H_RAW_SEGMENT:
		ramka_segment_restore(r, segment_of(p, h));
		h->kind = H_SEGMENT;
		break;
	}
}

static inline void play_try_unique(struct play *p, const struct call *c)
{
	unsigned i = pick(p, H_FRAME, c->a);
	struct model_frame *f;
	struct ramka_unique *u;

	if (i == MAX_HANDS)
		return;
	f = &p->m.frame[p->hand[i].at];
	u = ramka_frame_try_unique(p->f->r, frame_of_hand(p, &p->hand[i]));
	PLAY_CHECK(!u == (f->refs != 1 || f->marked));
	if (!u)
		return;
	f->state = M_UNIQUE;
	f->refs = 0;
	p->hand[i].kind = H_UNIQUE;
	check_meta(p, p->hand[i].at);
}

static inline void play_unique(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	unsigned i = pick(p, H_UNIQUE, c->a), type = c->c % PLAY_TYPES;
	struct play_meta meta = { .value = ++p->next_value };
	struct ramka_unique *u, *parts[512];
	struct model_frame *f;
	uint32_t at;

	if (i == MAX_HANDS)
		return;
	at = p->hand[i].at;
	f = &p->m.frame[at];
	u = unique_of(frame_of_hand(p, &p->hand[i]));
	check_meta(p, at);
	switch (c->b % 4) {
	case 0: /* free */
		let_go(p, i);
		if (play_type[f->type] == &play_rcu) {
			f->state = M_DEFERRED;
			f->deferred_at = p->f->grace.taken;
			ramka_unique_free(cpu, u);
			break;
		}
		expect_death(p, at);
		ramka_unique_free(cpu, u);
		died(p, at);
		break;
	case 1: /* share */
		PLAY_CHECK(ramka_unique_share(p->f->r, u));
		f->state = M_SHARED;
		f->refs = 1;
		p->hand[i].kind = H_FRAME;
		break;
	case 2: /* another type; readers may look at one of an RCU type */
		if (play_type[f->type] == &play_rcu) {
			PLAY_CHECK(ramka_unique_repurpose(cpu, u, play_type[type], &meta) == RAMKA_E_UNSUPPORTED);
			check_meta(p, at);
			break;
		}
		expect_death(p, at);
		PLAY_CHECK(ramka_unique_repurpose(cpu, u, play_type[type], &meta) == 0);
		PLAY_CHECK(!type_has_meta(f->type)); /* on_drop was there */
		p->dying = NO_DEATH;
		p->dropping = 0;
		f->type = type;
		f->value = type_has_meta(type) ? meta.value : 0;
		check_meta(p, at);
		break;
	default: { /* split */
		unsigned order = f->order ? c->c % (f->order + 1u) : 0, n = 1u << (f->order - order);

		PLAY_CHECK(ramka_unique_split(p->f->r, u, f->order + 1, parts) == RAMKA_E_INVAL);
		if (n > MAX_HANDS - p->nr_hands)
			break;
		PLAY_CHECK(ramka_unique_split(p->f->r, u, order, parts) == 0);
		model_split(&p->m, at, order);
		let_go(p, i);
		for (unsigned j = 0; j < n; j++) {
			PLAY_CHECK(at_of(p, slot_of(parts[j])) == at + (j << order));
			check_meta(p, at + (j << order));
			hold(p, H_UNIQUE, at + (j << order), 1);
		}
		break;
	}
	}
}

static inline void fill_meta(void *ctx, ramka_paddr_t pa, void *meta)
{
	struct play *p = ctx;

	if (type_has_meta(p->m.frame[pa / PAGE - p->m.first].type))
		((struct play_meta *)meta)->value = pa;
}

static inline void play_segment_alloc(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	struct ramka_request req = draw_request(c);
	uint64_t nr = c->c % 5 ? c->c % 40 + 1u : c->c % p->m.nr + 1u;
	struct ramka_segment s;
	uint32_t at;
	int rc;

	if (p->nr_hands == MAX_HANDS)
		return;
	rc = ramka_segment_alloc(cpu, nr, &ramka_type_untyped, NULL, NULL, req, &s);
	PLAY_CHECK(rc == 0 || rc == RAMKA_E_NOMEM);
	if (rc) {
		check_nomem(p, cpu, nr, req.order, req);
		return;
	}
	sync_deferred(p);
	at = (uint32_t)(s.base / PAGE - p->m.first);
	PLAY_CHECK(s.size == nr * PAGE);
	PLAY_CHECK(at + nr <= p->m.nr && model_fits(&p->m, at, nr, req.order, req, own_node(p, cpu)));
	check_content(p, at, nr, !(req.flags & RAMKA_ALLOC_UNINIT));
	for (uint32_t i = 0; i < nr; i++)
		model_take(&p->m, at + i, 0, 0, false, 0);
	hold(p, H_SEGMENT, at, (uint32_t)nr);
}

/* All or nothing: the first frame in the way says why. */
static inline void play_segment_from_unused(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	ramka_paddr_t base = draw_paddr(p, c);
	uint64_t nr = c->c % 20 + 1u;
	struct ramka_segment s = { 1, 2 };
	int want = 0, rc;

	if (p->nr_hands == MAX_HANDS || base % PAGE)
		return;
	for (uint64_t i = 0; i < nr && !want; i++)
		want = model_from_unused(&p->m, base + i * PAGE);
	if (base / PAGE < p->m.first || base / PAGE + nr > p->m.first + p->m.nr)
		want = RAMKA_E_OUT_OF_BOUND;
	ramka_drain(p->f->r);
	rc = ramka_segment_from_unused(cpu, base, nr * PAGE, &ramka_type_untyped, NULL, NULL, &s);
	if (p->nested && !want && rc == RAMKA_E_BUSY)
		return;
	PLAY_CHECK(rc == want || (p->nested && rc == RAMKA_E_BUSY));
	if (rc) {
		PLAY_CHECK(s.base == 1 && s.size == 2);
		return;
	}
	check_content(p, base / PAGE - p->m.first, nr, false);
	for (uint64_t i = 0; i < nr; i++)
		model_take(&p->m, base / PAGE - p->m.first + i, 0, 0, false, 0);
	hold(p, H_SEGMENT, (uint32_t)(base / PAGE - p->m.first), (uint32_t)nr);
}

static inline void refs_of(struct play *p, uint32_t at, uint32_t nr, int by)
{
	for (uint32_t i = at; i < at + nr; i++)
		p->m.frame[i].refs += (uint32_t)by;
}

static inline void play_segment(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	unsigned i = pick(p, H_SEGMENT, c->a);
	struct ramka_segment s, a, b;
	struct hand h;
	uint32_t from, to;

	if (i == MAX_HANDS || (c->b % 6 && MAX_HANDS - p->nr_hands < 2))
		return;
	h = p->hand[i];
	s = segment_of(p, &h);
	from = c->c % (h.nr + 1), to = c->b % (h.nr + 1);
	switch (c->b % 6) {
	case 0: { /* put; untyped frames have no on_drop */
		bool dies[MODEL_FRAMES];

		let_go(p, i);
		for (uint32_t j = 0; j < h.nr; j++)
			dies[j] = model_put(p, h.at + j, false);
		ramka_segment_put(cpu, s);
		for (uint32_t j = 0; j < h.nr; j++)
			if (dies[j])
				died(p, h.at + j);
		break;
	}
	case 1: /* clone */
		a = ramka_segment_get(p->f->r, s);
		PLAY_CHECK(a.base == s.base && a.size == s.size);
		refs_of(p, h.at, h.nr, 1);
		hold(p, H_SEGMENT, h.at, h.nr);
		break;
	case 2: { /* slice */
		int want = from > to ? RAMKA_E_OUT_OF_BOUND : from == to ? RAMKA_E_INVAL : 0;

		PLAY_CHECK(ramka_segment_slice(p->f->r, s, from * PAGE, to * PAGE, &a) == want);
		if (want)
			break;
		PLAY_CHECK(a.base == s.base + from * PAGE && a.size == (to - from) * PAGE);
		refs_of(p, h.at + from, to - from, 1);
		hold(p, H_SEGMENT, h.at + from, to - from);
		break;
	}
	case 3: /* split */
		if (ramka_segment_split(p->f->r, s, from * PAGE, &a, &b)) {
			PLAY_CHECK(from == 0 || from == h.nr);
			break;
		}
		let_go(p, i);
		hold(p, H_SEGMENT, h.at, from);
		hold(p, H_SEGMENT, h.at + from, h.nr - from);
		break;
	case 4: /* next */
		PLAY_CHECK(at_of(p, ramka_segment_next(p->f->r, &s)) == h.at);
		PLAY_CHECK(s.base == pa_of(p, h.at + 1) && s.size == (h.nr - 1) * PAGE);
		p->hand[i].at++;
		if (!--p->hand[i].nr)
			let_go(p, i);
		hold(p, H_FRAME, h.at, 1);
		break;
	default: /* a frame becomes a segment */
		i = pick(p, H_FRAME, c->a);
		if (i == MAX_HANDS || p->m.frame[p->hand[i].at].order || p->m.frame[p->hand[i].at].type)
			break;
		a = ramka_segment_from_frame(p->f->r, frame_of_hand(p, &p->hand[i]));
		PLAY_CHECK(a.base == pa_of(p, p->hand[i].at) && a.size == PAGE);
		p->hand[i].kind = H_SEGMENT;
		break;
	}
}

static inline void play_reclaim(struct play *p, struct ramka_cpu *cpu, bool wait)
{
	ramka_reclaim(cpu, wait);
	sync_deferred(p);
	if (wait && !p->nested)
		PLAY_CHECK(!count_deferred(p)); /* on any CPU: all can be stopped */
}

/* A frame of any order by its address: refused only by what is in use, and by the ends of its node's memory. */
static inline void play_claim(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	unsigned order = c->b % 11, type = c->c % PLAY_TYPES;
	ramka_paddr_t pa = align_down(pa_of(p, c->a % p->m.nr), PAGE << order);
	uint64_t at = pa / PAGE - p->m.first, n = UINT64_C(1) << order;
	struct play_meta meta = { .value = ++p->next_value };
	struct ramka_frame *f = NULL;
	bool free = at < p->m.nr && n <= p->m.nr - at && p->m.frame[at].state == M_FREE;
	int rc;

	if (p->nr_hands == MAX_HANDS || !order)
		return;
	for (uint64_t i = 1; free && i < n; i++)
		free = p->m.frame[at + i].state == M_FREE && p->m.frame[at + i].node == p->m.frame[at].node;
	rc = ramka_frame_claim(cpu, pa, order, play_type[type], &meta, &f, NULL);
	PLAY_CHECK(free ? !rc || (p->nested && rc == RAMKA_E_BUSY) : rc < 0);
	if (rc)
		return;
	PLAY_CHECK(at_of(p, f) == at);
	check_content(p, at, n, false);
	model_take(&p->m, at, order, type, false, type_has_meta(type) ? meta.value : 0);
	check_meta(p, at);
	hold(p, H_FRAME, (uint32_t)at, 1);
}

/* The reference that this hand holds goes. */
static inline void play_give_up(struct play *p, struct ramka_cpu *cpu, unsigned hand)
{
	struct call c = { .a = (uint16_t)hand };

	if (p->hand[hand].kind >= H_RAW) {
		c.b = (uint16_t)p->hand[hand].kind;
		play_raw(p, &c);
	}
	switch (p->hand[hand].kind) {
	case H_FRAME:
		play_put(p, cpu, &c, false);
		break;
	case H_UNIQUE:
		c.b = 0;
		play_unique(p, cpu, &c);
		break;
	default:
		c.b = 0;
		play_segment(p, cpu, &c);
		break;
	}
	sync_deferred(p);
}

/* ---- memory that goes, comes, breaks and is reported ---- */

/* The metadata of a removed frame belongs to the embedder. */
static inline void scribble(struct play *p, struct model_range g)
{
	struct ramka_metadata_part part[RAMKA_METADATA_PARTS];
	unsigned nr = ramka_metadata_of(p->f->r, pa_of(p, g.from), (g.to - g.from) * PAGE, part);

	for (unsigned i = 0; i < nr; i++)
		memset(part[i].base, 0xa5, part[i].size);
}

/*
 * Frames from here on that went, of one node. None where the other node's part of a block is isolated: a block whose
 * halves differ can be named by no range if the nodes' memory interleaves.
 */
static inline uint32_t gone_from(const struct play *p, uint32_t at, uint32_t most)
{
	uint32_t n = 0;

	while (n < most && at + n < p->m.nr && p->m.frame[at + n].gone && p->m.frame[at + n].node == p->m.frame[at].node &&
	       !model_half_shut(&p->m, at + n))
		n++;
	return n;
}

static inline void play_add(struct play *p, uint32_t at, uint32_t most)
{
	struct model_range g = { at, at + gone_from(p, at, most) };
	struct ramka_region region = { pa_of(p, at), (g.to - g.from) * PAGE, RAMKA_USABLE, p->m.frame[at].node };

	if (g.from == g.to) {
		if (p->m.frame[at].gone)
			return;
		region.size = PAGE; /* memory already, or never was */
		PLAY_CHECK(ramka_add_memory(p->f->r, &region) < 0);
		return;
	}
	PLAY_CHECK(ramka_add_memory(p->f->r, &region) == 0);
	model_add(&p->m, g);
}

/* The holders of frames there give them up, most of the time. */
static inline void play_vacate(struct play *p, struct ramka_cpu *cpu, struct model_range g)
{
	for (unsigned i = p->nr_hands; i-- > 0;) {
		const struct hand *h = &p->hand[i];
		uint32_t end = h->at + (h->kind == H_SEGMENT || h->kind == H_RAW_SEGMENT ? h->nr : 1u << p->m.frame[h->at].order);

		if (h->at < g.to && end > g.from)
			play_give_up(p, cpu, i);
	}
	play_reclaim(p, cpu, true);
}

static inline void play_remove(struct play *p, struct ramka_cpu *cpu, struct model_range g)
{
	int want = model_remove(&p->m, g);

	PLAY_CHECK(ramka_remove_memory(cpu, pa_of(p, g.from), (g.to - g.from) * PAGE) == want);
	for (uint32_t n, i = g.from; i < g.to && !want; i += n ? n : 1) {
		n = gone_from(p, i, g.to - i);
		if (n)
			scribble(p, (struct model_range){ i, i + n });
	}
}

static inline void play_isolate(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	struct model_range g = model_blocks(&p->m, c->b, 1 + c->c % 2);
	ramka_paddr_t base = pa_of(p, g.from);
	uint64_t size = (g.to - g.from) * PAGE, in_use = 0, unowned = 0;
	struct ramka_isolation n;
	int want;

	switch (c->a % 8) {
	case 0: case 1: case 2:
		want = model_isolation(&p->m, g, false);
		PLAY_CHECK(ramka_isolate(cpu, base, size) == want);
		if (!want)
			model_shut(&p->m, g, true);
		break;
	case 3: case 4:
		want = model_isolation(&p->m, g, true);
		if (!want && c->a & 0x300)
			play_vacate(p, cpu, g);
		PLAY_CHECK(ramka_isolate_progress(cpu, base, size, &n) == want);
		for (uint32_t i = g.from; i < g.to && !want; i++) {
			in_use += p->m.frame[i].state >= M_SHARED && p->m.frame[i].state <= M_DEFERRED;
			unowned += p->m.frame[i].state == M_RESERVED || p->m.frame[i].state == M_UNUSED;
		}
		PLAY_CHECK(want || (n.settled && !n.cached && n.in_use == in_use && n.reserved == unowned));
		play_remove(p, cpu, g);
		break;
	case 5: case 6:
		play_add(p, c->c % p->m.nr, 1 + c->b % 1200);
		break;
	default:
		want = model_isolation(&p->m, g, true);
		PLAY_CHECK(ramka_unisolate(cpu, base, size) == want);
		if (!want)
			model_shut(&p->m, g, false);
		break;
	}
}

static inline void play_set_bad(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	ramka_paddr_t pa = draw_paddr(p, c);
	bool before = model_covers(&p->m, pa) && p->m.frame[pa / PAGE - p->m.first].bad;
	int want;

	if (p->broken == p->most_broken)
		return;
	want = model_set_bad(&p->m, pa);
	PLAY_CHECK(ramka_frame_set_bad(cpu, pa) == want);
	p->broken += want >= 0 && !before;
}

/* The hypervisor discards what it is told of; nobody has any of it. */
static inline bool discard(void *ctx, ramka_paddr_t base, uint64_t size)
{
	struct play *p = ctx;
	uint64_t at = base / PAGE - p->m.first;

	PLAY_CHECK(base % (512 * PAGE) == 0 && size && size % (512 * PAGE) == 0 && at + size / PAGE <= p->m.nr);
	p->told += size / PAGE / 512;
	for (uint64_t i = at; i < at + size / PAGE; i++) {
		PLAY_CHECK(p->m.frame[i].state == M_FREE && !p->m.frame[i].shut);
		memset(bytes_at(p->f, pa_of(p, i)), 0, PAGE);
		p->m.frame[i].stamp = 0;
	}
	return true;
}

static inline void play_report(struct play *p, struct ramka_cpu *cpu, const struct call *c)
{
	uint64_t most = c->a % 2 ? c->a % 3 : UINT64_MAX, n;

	if (c->c % 2 && !p->nested) {
		play_vacate(p, cpu, model_blocks(&p->m, c->b, 1));
		ramka_drain(p->f->r);
	}
	p->told = 0;
	PLAY_CHECK(ramka_report_free(cpu, most, discard, p, &n) == 0 && n == p->told && n <= most);
	if (most == UINT64_MAX)
		PLAY_CHECK(ramka_report_free(cpu, most, discard, p, &n) == 0 && n == 0); /* nothing was taken since */
}

/* ---- a whole sequence ---- */

static inline void play_call(struct play *p, const struct call *c)
{
	struct ramka_cpu *cpu = cpu_of(p, c);

	p->nested = c->kind & 0x80 && c->cpu % 4 == 0 && !cpu->cacheless;
	if (p->nested)
		interrupt_begin(cpu);
	switch (c->kind % 36) {
	case 0: case 1: case 2: case 3: case 4:
		play_alloc(p, cpu, c, false);
		break;
	case 5: case 6:
		play_alloc(p, cpu, c, true);
		break;
	case 7: case 8: case 9: case 10: case 11:
		play_put(p, cpu, c, false);
		break;
	case 12: case 13:
		play_put(p, cpu, c, true);
		break;
	case 14: case 15: case 16:
		play_unique(p, cpu, c);
		break;
	case 17:
		play_get(p, c);
		break;
	case 18:
		play_from_unused(p, cpu, c, c->c % 8 > 3);
		break;
	case 19:
		play_from_in_use(p, cpu, c);
		break;
	case 20:
		play_raw(p, c);
		break;
	case 21:
		play_try_unique(p, c);
		break;
	case 22:
		play_segment_alloc(p, cpu, c);
		break;
	case 23:
		play_segment_from_unused(p, cpu, c);
		break;
	case 24: case 25:
		play_segment(p, cpu, c);
		break;
	case 26:
		play_bulk(p, cpu, c);
		break;
	case 27:
		play_put_bulk(p, cpu, c);
		break;
	case 28:
		play_assign(p, cpu, c);
		break;
	case 29:
		play_reclaim(p, cpu, c->a % 2);
		break;
	case 30:
		if (c->a % 2)
			ramka_drain(p->f->r);
		else
			ramka_cpu_offline(cpu);
		break;
	case 31:
		grace_end(p->f);
		break;
	case 32:
		play_claim(p, cpu, c);
		break;
	case 33:
		if (!p->nested) /* a CPU inside a call is left alone: nothing settles */
			play_isolate(p, cpu, c);
		break;
	case 34:
		if (!p->nested)
			play_set_bad(p, cpu, c);
		break;
	default:
		play_report(p, cpu, c);
		break;
	}
	sync_deferred(p);
	if (p->nested)
		interrupt_end(cpu);
}

static inline void play_audit(struct play *p)
{
	AUDIT(p->f);
	PLAY_CHECK(model_agrees(&p->m, p->f->r));
	for (unsigned i = 0; i < p->nr_hands; i++) {
		if (p->hand[i].kind == H_SEGMENT || p->hand[i].kind == H_RAW_SEGMENT)
			continue;
		check_meta(p, p->hand[i].at);
		check_stamp(p, p->hand[i].at);
	}
}

/* Memory across 64 MiB: two nodes in places, detached, reserved and missing frames, ends anywhere. */
static inline struct play *play_open(uint64_t seed)
{
	static struct ramka_region g[12];
	static uint32_t cpu_node[4];
	static struct play play;
	struct play *p = &play;
	uint64_t first = 16384 - 1 - random_next(&seed) % 700, nr = 40 + random_next(&seed) % (random_next(&seed) % 4 ? 1900 : 400);
	size_t n = 0;

	memset(p, 0, sizeof(*p));
	g[n++] = (struct ramka_region){ first * PAGE, nr * PAGE, RAMKA_USABLE, 0 };
	if (random_next(&seed) % 3 == 0) { /* two nodes */
		g[0].size = nr / 2 * PAGE;
		g[n++] = (struct ramka_region){ (first + nr / 2) * PAGE, (nr - nr / 2) * PAGE, RAMKA_USABLE, 1 };
	}
	for (unsigned i = 0; seed % 3 && i < random_next(&seed) % 6; i++) { /* else whole blocks, which can be reported */
		static const enum ramka_region_kind kinds[] = { RAMKA_DETACHED, RAMKA_DETACHED, RAMKA_RESERVED, RAMKA_MMIO, RAMKA_BAD };

		g[n] = (struct ramka_region){ (first + random_next(&seed) % nr) * PAGE, (1 + random_next(&seed) % 30) * PAGE,
					      kinds[random_next(&seed) % NELEMS(kinds)], 0 };
		if (g[n].base + g[n].size > (first + nr) * PAGE || random_next(&seed) % 8 == 0) /* the last frames of all */
			g[n].base = (first + nr) * PAGE - g[n].size;
		n++;
	}
	for (unsigned i = 0; i < 4; i++)
		cpu_node[i] = i % 2;
	p->f = fixture_open((struct spec){ .regions = g, .nr_regions = n, .nr_cpus = 1 + (unsigned)(random_next(&seed) % 4),
					   .cpu_node = cpu_node, .flags = random_next(&seed) % 4 ? 0 : RAMKA_SHUFFLE, .rcu = true,
					   .bounded = random_next(&seed) % 2, .high_water = 1 + random_next(&seed) % 100,
					   .min_watermark = random_next(&seed) % 4 ? 0 : 1 + random_next(&seed) % 60 });
	for (unsigned i = 1; i < PLAY_TYPES; i++)
		PLAY_CHECK(ramka_type_register(p->f->r, play_type[i]) == 0);
	p->cpu_node = cpu_node;
	p->most_broken = random_next(&seed) % 3 ? 3 : 12;
	p->dying = NO_DEATH;
	p->m.first = p->f->r->first;
	p->m.nr = (uint32_t)p->f->r->nr_slots;
	PLAY_CHECK(p->m.nr <= MODEL_FRAMES);
	for (uint32_t i = 0; i < p->m.nr; i++) {
		unsigned kind = instance_kind(p->f->r, p->m.first + i);
		struct zone *z = instance_zone(p->f->r, &p->f->r->slots[i]);

		p->m.frame[i].state = kind == RAMKA_USABLE ? M_FREE : kind == RAMKA_DETACHED ? M_UNUSED : kind == MAP_HOLE ? M_HOLE :
											     M_RESERVED;
		p->m.frame[i].node = z ? z->node : 0;
		p->m.frame[i].given = kind == RAMKA_USABLE;
		p->m.frame[i].bad = kind == RAMKA_BAD;
		p->m.frame[i].gone = kind == MAP_HOLE && z && instance_map(p->f->r, p->m.first + i)->zone == z - p->f->r->zones &&
				     p->m.first + i < z->origin + z->end;
		p->holes += p->m.frame[i].gone;
		stamp(p, i, 1);
	}
	playing = p;
	return p;
}

/* All that went comes back, and nothing is isolated. */
static inline void play_restore(struct play *p)
{
	for (uint32_t i = 0; i < p->m.nr; i++) {
		struct model_range g = model_block_of(&p->m, i);

		if (!p->m.frame[i].shut)
			continue;
		PLAY_CHECK(ramka_unisolate(p->f->none, pa_of(p, g.from), (g.to - g.from) * PAGE) == 0);
		model_shut(&p->m, g, false);
	}
	for (uint32_t i = 0; i < p->m.nr; i++)
		if (p->m.frame[i].gone)
			play_add(p, i, p->m.nr);
}

/* Gives everything back; the memory must be what it was. */
static inline void play_close(struct play *p)
{
	p->nested = false;
	while (p->nr_hands)
		play_give_up(p, p->f->cpu[0], p->nr_hands - 1);
	play_reclaim(p, p->f->cpu[0], true);
	play_restore(p);
	play_audit(p);
	p->f->grown = p->broken || p->holes; /* else the memory is what it was */
	PLAY_CHECK(stats(p->f).free + stats(p->f).unused + p->broken == p->f->start.free + p->f->start.unused + p->holes);
	CLOSE(p->f);
	playing = NULL;
}

static inline void play_sequence(uint64_t seed, const struct call *calls, size_t n)
{
	struct play *p = play_open(seed);

	for (size_t i = 0; i < n; i++) {
		play_call(p, &calls[i]);
		if (i % 64 == 63)
			play_audit(p);
	}
	play_close(p);
}

#endif
