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
		if (m->frame[i].state != M_FREE || m->frame[i].node != m->frame[at].node ||
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
		m->frame[at + i].state = f->detached ? M_UNUSED : M_FREE;
	f->refs = 0;
	f->order = 0;
}

static inline void model_split(struct model *m, uint64_t at, unsigned order)
{
	struct model_frame whole = m->frame[at];

	for (uint64_t i = 0; i < UINT64_C(1) << whole.order; i += UINT64_C(1) << order) {
		uint64_t stamp = m->frame[at + i].stamp;
		unsigned node = m->frame[at + i].node;

		m->frame[at + i] = whole;
		m->frame[at + i].order = order;
		m->frame[at + i].stamp = stamp;
		m->frame[at + i].node = node;
	}
}

/* The states of ramka_walk that this one may show as. */
static inline bool model_shows_as(enum model_state state, enum ramka_state shown)
{
	static const enum ramka_state as[] = {
		[M_HOLE] = RAMKA_STATE_HOLE, [M_UNUSED] = RAMKA_STATE_UNUSED, [M_FREE] = RAMKA_STATE_FREE, [M_SHARED] = RAMKA_STATE_SHARED,
		[M_UNIQUE] = RAMKA_STATE_UNIQUE, [M_TAIL] = RAMKA_STATE_TAIL, [M_DEFERRED] = RAMKA_STATE_DEFERRED,
		[M_RESERVED] = RAMKA_STATE_RESERVED,
	};

	return shown == as[state] || (state == M_FREE && shown == RAMKA_STATE_CACHED);
}

struct model_walk { const struct model *m; bool ok; };

static inline bool model_run(void *ctx, const struct ramka_run *run)
{
	struct model_walk *w = ctx;

	for (uint64_t i = 0; i < run->frames && w->ok; i++) {
		uint64_t at = run->base / PAGE - w->m->first + i;

		w->ok = at < w->m->nr && model_shows_as(w->m->frame[at].state, run->state);
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
