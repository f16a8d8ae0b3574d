/* SPDX-License-Identifier: MIT */
/* The walk over all frames. See walk.h. */
#include "walk.h"

static bool is_tail_state(enum ramka_state state)
{
	return state == RAMKA_STATE_FREE || state == RAMKA_STATE_CACHED || state == RAMKA_STATE_ISOLATED;
}

static bool is_head(enum ramka_state state)
{
	return state == RAMKA_STATE_UNIQUE || state == RAMKA_STATE_SHARED || state == RAMKA_STATE_DEFERRED ||
	       state == RAMKA_STATE_BUSY || state == RAMKA_STATE_SATURATED;
}

/* Frames from here to the end of the hole; 0: it is none. */
static uint64_t hole_at(struct look *l)
{
	const struct ramka *r = l->r;
	uint64_t frame = r->first + l->frame, end = r->first + r->nr_slots, late, gone;
	const struct map_entry *m;

	while (l->piece + 1 < r->nr_map && r->map[l->piece + 1].first <= frame)
		l->piece++;
	m = &r->map[l->piece];
	if (l->piece + 1 < r->nr_map && m[1].first < end)
		end = m[1].first;
	gone = sparse_end(&r->gone, l->frame, end - r->first) - l->frame;
	if (gone || m->kind != MAP_HOLE)
		return gone;
	late = m->late + (frame - m->first);
	return sparse_next(&r->late, late, late + (end - frame)) - late;
}

bool look_next(struct look *l, struct sight *ret)
{
	const struct ramka *r = l->r;
	const struct ramka_frame *f = &r->slots[l->frame];

	if (l->frame >= r->nr_slots)
		return false;
	*ret = (struct sight){ .state = RAMKA_STATE_HOLE, .frames = hole_at(l) };
	if (ret->frames) {
		l->frame += ret->frames;
		l->tails = 0;
		return true;
	}
	ret->frames = 1;
	l->frame++;
	ret->ref = slot_ref(f);
	ret->info = slot_info(f);
	ret->state = slot_state(ret->ref, ret->info);
	ret->node = r->map[l->piece].node;
	ret->zone = instance_zone(r, f);
	if (ret->zone) {
		ret->bit = slot_bit(r, ret->zone, f);
		ret->in_bitmap = slot_in_bitmap(r, ret->zone, f);
	}
	if (ret->state == RAMKA_STATE_FREE && !ret->in_bitmap)
		ret->state = RAMKA_STATE_CACHED;
	else if (ret->state == RAMKA_STATE_FREE && slot_is_shut(r, ret->zone, f))
		ret->state = RAMKA_STATE_ISOLATED;
	if (l->tails && is_tail_state(ret->state)) {
		l->tails--;
		ret->state = RAMKA_STATE_TAIL;
	} else if (is_head(ret->state)) {
		l->tails = info_frames(ret->info) - 1;
	} else {
		l->tails = 0;
	}
	return true;
}

static void describe(const struct ramka *r, const struct sight *s, struct ramka_run *run)
{
	bool owned = is_head(s->state) || s->state == RAMKA_STATE_RESERVED;

	run->state = s->state;
	run->type = owned ? type_by_id(r, info_type(s->info)) : NULL;
	run->order = owned ? info_order(s->info) : 0;
	run->node = s->node;
}

struct look look_from(const struct ramka *r, uint64_t frame)
{
	struct look l = { .r = r, .frame = frame - r->first };
	struct ramka_frame *head = ramka_frame_head(r, paddr_of(frame));

	if (head && slot_index(r, head) < l.frame)
		l.tails = slot_index(r, head) + info_frames(slot_info(head)) - l.frame;
	return l;
}

/* Frames [l->frame, end). */
static void walk(struct look *l, uint64_t end, bool (*visit)(void *ctx, const struct ramka_run *run),
		 void *ctx)
{
	const struct ramka *r = l->r;
	struct ramka_run run = { .frames = 0 }, next;
	struct sight s;

	while (l->frame < end && look_next(l, &s)) {
		if (l->frame > end) { /* a hole that goes on */
			s.frames -= l->frame - end;
			l->frame = end;
		}
		describe(r, &s, &next);
		if (run.frames && run.state == next.state && run.type == next.type &&
		    run.order == next.order && run.node == next.node) {
			run.frames += s.frames;
			continue;
		}
		if (run.frames && !visit(ctx, &run))
			return;
		next.base = paddr_of(r->first + l->frame - s.frames);
		next.frames = s.frames;
		run = next;
	}
	if (run.frames)
		visit(ctx, &run);
}

void ramka_walk(const struct ramka *r, bool (*visit)(void *ctx, const struct ramka_run *run), void *ctx)
{
	struct look l = { .r = r };

	walk(&l, r->nr_slots, visit, ctx);
}

void ramka_walk_range(const struct ramka *r, ramka_paddr_t base, uint64_t size,
		      bool (*visit)(void *ctx, const struct ramka_run *run), void *ctx)
{
	uint64_t first = frame_of(base), end = frame_of(base + size), last = r->first + r->nr_slots;
	struct look l;

	if (base + size < base)
		end = last;
	first = first < r->first ? r->first : first;
	end = end > last ? last : end;
	if (first >= end)
		return;
	l = look_from(r, first);
	walk(&l, end - r->first, visit, ctx);
}
