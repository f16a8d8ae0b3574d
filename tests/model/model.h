/* SPDX-License-Identifier: MIT */
/*
 * The sequential reference: what one base frame is, who holds it, and what each call must answer, in plain arrays. No
 * atomics, no caches, no bitmap: where the library keeps a free frame is none of the reference's business. sequence.h
 * plays calls against it.
 */
#ifndef RAMKA_TESTS_MODEL_H
#define RAMKA_TESTS_MODEL_H

#include "unit/fixture.h"

#define MODEL_FRAMES 2048u

enum model_state { M_HOLE, M_UNUSED, M_FREE, M_SHARED, M_UNIQUE, M_TAIL, M_DEFERRED, M_RESERVED };

struct model_frame {
	enum model_state state;
	uint32_t refs;         /* of a shared one */
	unsigned order, type, node;
	bool detached, marked;
	bool given;            /* the allocator's own memory, what broke of it too: it can be isolated and removed */
	bool gone;             /* a hole that can become memory, again or for the first time */
	bool shut;             /* isolated: handed out by address only */
	bool bad;              /* broken; if it is in use, from its end on */
	uint64_t value;        /* its metadata, where the type has any */
	uint64_t stamp;        /* its content's first and last word, in every state */
	uint64_t deferred_at;  /* cookies given when it was deferred */
};

struct model {
	uint64_t first;        /* frame number */
	uint32_t nr;
	struct model_frame frame[MODEL_FRAMES];
};

/* ---- looking ---- */

static inline bool model_covers(const struct model *m, ramka_paddr_t pa)
{
	return pa / PAGE >= m->first && pa / PAGE - m->first < m->nr && m->frame[pa / PAGE - m->first].state != M_HOLE;
}

/* First frame that ends beyond the limit, relative to the model. */
static inline uint64_t model_limit(const struct model *m, unsigned addr_bits)
{
	uint64_t end = addr_bits && addr_bits < 64 ? (UINT64_C(1) << addr_bits) / PAGE : UINT64_MAX;

	return end < m->first ? 0 : end - m->first < m->nr ? end - m->first : m->nr;
}

/* Are these frames free, of one node, and in the right place? */
static inline bool model_fits(const struct model *m, uint64_t at, uint64_t n, unsigned align_order, struct ramka_request req,
			      unsigned own_node)
{
	unsigned node = req.node ? req.node - 1u : own_node;

	if ((m->first + at) % (UINT64_C(1) << align_order) || n > model_limit(m, req.addr_bits) ||
	    at > model_limit(m, req.addr_bits) - n)
		return false;
	for (uint64_t i = at; i < at + n; i++)
		if (m->frame[i].state != M_FREE || m->frame[i].shut || m->frame[i].node != m->frame[at].node ||
		    (req.flags & RAMKA_ALLOC_NODE_ONLY && m->frame[i].node != node))
			return false;
	return true;
}

/* Could a request for n frames be met at all? */
static inline bool model_could(const struct model *m, uint64_t n, unsigned align_order, struct ramka_request req, unsigned own_node)
{
	for (uint64_t at = 0; at + n <= m->nr; at++)
		if (model_fits(m, at, n, align_order, req, own_node))
			return true;
	return false;
}

/* What from_unused must answer; a free frame may also be BUSY: in another CPU's cache. */
static inline int model_from_unused(const struct model *m, ramka_paddr_t pa)
{
	if (pa % PAGE)
		return RAMKA_E_NOT_ALIGNED;
	if (!model_covers(m, pa))
		return RAMKA_E_OUT_OF_BOUND;
	switch (m->frame[pa / PAGE - m->first].state) {
	case M_UNUSED:
	case M_FREE:
		return 0;
	case M_UNIQUE:
		return RAMKA_E_UNIQUE;
	case M_DEFERRED:
		return RAMKA_E_BUSY;
	case M_HOLE:
	case M_SHARED:
	case M_TAIL:
	case M_RESERVED:
		break;
	}
	return RAMKA_E_IN_USE;
}

static inline int model_from_in_use(const struct model *m, ramka_paddr_t pa, bool hidden)
{
	if (pa % PAGE)
		return RAMKA_E_NOT_ALIGNED;
	if (!model_covers(m, pa))
		return RAMKA_E_OUT_OF_BOUND;
	switch (m->frame[pa / PAGE - m->first].state) {
	case M_UNUSED:
	case M_FREE:
	case M_TAIL:
	case M_HOLE:
		break;
	case M_UNIQUE:
		return RAMKA_E_UNIQUE;
	case M_DEFERRED:
		return RAMKA_E_BUSY;
	case M_SHARED:
		return hidden ? RAMKA_E_IN_USE : 0;
	case M_RESERVED:
		return 0;
	}
	return RAMKA_E_UNUSED;
}

/* ---- changing ---- */

static inline void model_take(struct model *m, uint64_t at, unsigned order, unsigned type, bool unique, uint64_t value)
{
	struct model_frame *f = &m->frame[at];

	f->detached = f->state == M_UNUSED;
	f->state = unique ? M_UNIQUE : M_SHARED;
	f->refs = unique ? 0 : 1;
	f->order = order;
	f->type = type;
	f->value = value;
	f->marked = false;
	for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
		m->frame[at + i].state = M_TAIL;
}

static inline void model_release(struct model *m, uint64_t at)
{
	struct model_frame *f = &m->frame[at];

	for (uint64_t i = 0; i < UINT64_C(1) << f->order; i++)
		m->frame[at + i].state = m->frame[at + i].bad ? M_RESERVED : f->detached ? M_UNUSED : M_FREE;
	f->refs = 0;
	f->order = 0;
}

static inline void model_split(struct model *m, uint64_t at, unsigned order)
{
	struct model_frame whole = m->frame[at];

	for (uint64_t i = 0; i < UINT64_C(1) << whole.order; i += UINT64_C(1) << order) {
		struct model_frame *part = &m->frame[at + i], was = *part;

		*part = whole;
		part->order = order;
		part->stamp = was.stamp;
		part->node = was.node;
		part->bad = was.bad;
		part->shut = was.shut;
	}
}

/* ---- memory that goes and comes ---- */

/* Frames [from, to) of the model, whole blocks of the address space where the model has them. */
struct model_range { uint32_t from, to; };

static inline struct model_range model_blocks(const struct model *m, unsigned block, unsigned nr)
{
	uint64_t first = m->first / 512 + block % ((m->first + m->nr - 1) / 512 - m->first / 512 + 1);
	uint64_t from = first * 512, to = from + nr * 512;

	from = from < m->first ? m->first : from;
	to = to > m->first + m->nr ? m->first + m->nr : to;
	return (struct model_range){ (uint32_t)(from - m->first), (uint32_t)(to - m->first) };
}

static inline struct model_range model_block_of(const struct model *m, uint32_t at)
{
	return model_blocks(m, (unsigned)((m->first + at) / 512 - m->first / 512), 1);
}

/* Is another node's part of this frame's block isolated? */
static inline bool model_half_shut(const struct model *m, uint32_t at)
{
	struct model_range block = model_block_of(m, at);

	for (uint32_t i = block.from; i < block.to; i++)
		if (m->frame[i].shut && m->frame[i].node != m->frame[at].node)
			return true;
	return false;
}

/* What a call answers whose range has to be shut, or open, as a whole. */
static inline int model_isolation(const struct model *m, struct model_range g, bool wanted)
{
	bool memory = false, ok = true;

	for (uint32_t i = g.from; i < g.to; i++) {
		memory |= m->frame[i].given;
		ok &= !m->frame[i].given || m->frame[i].shut == wanted;
	}
	return !memory ? RAMKA_E_OUT_OF_BOUND : ok ? 0 : wanted ? RAMKA_E_UNUSED : RAMKA_E_IN_USE;
}

static inline void model_shut(struct model *m, struct model_range g, bool shut)
{
	for (uint32_t i = g.from; i < g.to; i++)
		m->frame[i].shut = shut && m->frame[i].given;
}

static inline int model_remove(struct model *m, struct model_range g)
{
	int rc = model_isolation(m, g, true);

	for (uint32_t i = g.from; i < g.to && !rc; i++)
		if (m->frame[i].given && m->frame[i].state != M_FREE && m->frame[i].state != M_RESERVED)
			rc = RAMKA_E_IN_USE;
	for (uint32_t i = g.from; i < g.to && !rc; i++) {
		if (!m->frame[i].given)
			continue;
		m->frame[i].given = m->frame[i].shut = false;
		m->frame[i].gone = m->frame[i].state == M_FREE; /* what is broken stays what it is */
		if (m->frame[i].gone)
			m->frame[i].state = M_HOLE;
	}
	return rc;
}

/* Frames that went, of one node, come back. A block that is shut stays shut. */
static inline void model_add(struct model *m, struct model_range g)
{
	for (uint32_t i = g.from; i < g.to; i++) {
		struct model_range block = model_block_of(m, i);

		m->frame[i].state = M_FREE;
		m->frame[i].gone = false;
		m->frame[i].given = true;
		for (uint32_t j = block.from; j < block.to; j++)
			m->frame[i].shut |= m->frame[j].given && m->frame[j].shut && m->frame[j].node == m->frame[i].node;
	}
}

/* What set_bad answers: on an instance whose CPUs all can be stopped. */
static inline int model_set_bad(struct model *m, ramka_paddr_t pa)
{
	struct model_frame *f;

	if (pa % PAGE)
		return RAMKA_E_NOT_ALIGNED;
	if (!model_covers(m, pa))
		return RAMKA_E_OUT_OF_BOUND;
	f = &m->frame[pa / PAGE - m->first];
	if (f->state == M_RESERVED)
		return f->bad ? 0 : RAMKA_E_UNSUPPORTED;
	f->bad = true;
	if (f->state != M_FREE && f->state != M_UNUSED)
		return RAMKA_LATER;
	f->state = M_RESERVED;
	return 0;
}

/* Those that a request may get. */
static inline uint64_t model_count_free(const struct model *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->nr; i++)
		n += m->frame[i].state == M_FREE && !m->frame[i].shut;
	return n;
}

/* The states of ramka_walk that this one may show as. */
static inline bool model_shows_as(const struct model_frame *f, enum ramka_state shown)
{
	static const enum ramka_state as[] = {
		[M_HOLE] = RAMKA_STATE_HOLE, [M_UNUSED] = RAMKA_STATE_UNUSED, [M_FREE] = RAMKA_STATE_FREE, [M_SHARED] = RAMKA_STATE_SHARED,
		[M_UNIQUE] = RAMKA_STATE_UNIQUE, [M_TAIL] = RAMKA_STATE_TAIL, [M_DEFERRED] = RAMKA_STATE_DEFERRED,
		[M_RESERVED] = RAMKA_STATE_RESERVED,
	};

	if (f->state != M_FREE)
		return shown == as[f->state];
	return shown == RAMKA_STATE_CACHED || shown == (f->shut ? RAMKA_STATE_ISOLATED : RAMKA_STATE_FREE);
}

struct model_walk { const struct model *m; bool ok; };

static inline bool model_run(void *ctx, const struct ramka_run *run)
{
	struct model_walk *w = ctx;

	for (uint64_t i = 0; i < run->frames && w->ok; i++) {
		uint64_t at = run->base / PAGE - w->m->first + i;

		w->ok = at < w->m->nr && model_shows_as(&w->m->frame[at], run->state);
		if (!w->ok)
			print_error("frame %llu is %d in the reference, %d in the walk\n", (unsigned long long)at,
				    (int)w->m->frame[at].state, (int)run->state);
	}
	return w->ok;
}

/* Does the library agree on every frame? */
static inline bool model_agrees(const struct model *m, const struct ramka *r)
{
	struct model_walk w = { m, true };

	ramka_walk(r, model_run, &w);
	return w.ok;
}

#endif
