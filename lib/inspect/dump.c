/* SPDX-License-Identifier: MIT */
/*
 * The dump of the whole memory as text, for people and for tools. Its format is in ramka/dump.h. It gives
 * lines to the embedder and writes nothing else. May use walk.h.
 */
#include "../base/mem.h"

#include "../cpu/depot.h"
#include "../cpu/mail.h"
#include "../cpu/order.h"
#include "../frame/defer.h"
#include "walk.h"

#define DUMP_TYPES 16u /* counted at a time, on the stack */
#define DUMP_LINE 110u
#define DUMP_TEXT 60u  /* of one piece: a type's name is the embedder's */
#define DUMP_TOKEN 64u /* characters of the longest run: a letter and six numbers */
#define DUMP_PAIR 24u  /* of an order and its counter */
#define DUMP_MAP "ramka-map: "

/* Text on its way to `print`. */
struct line {
	void (*print)(void *ctx, const char *line);
	void *ctx;
	unsigned length;
	char text[DUMP_LINE + 2];
};

static noinline void put_text(struct line *l, const char *s)
{
	for (unsigned i = 0; *s && i < DUMP_TEXT && l->length < DUMP_LINE; i++, s++)
		l->text[l->length++] = (char)(*s < ' ' ? '?' : *s); /* a line is one line */
}

static noinline void put_digits(struct line *l, uint64_t v, unsigned base)
{
	char digits[21];
	unsigned i = sizeof(digits) - 1;

	digits[i] = 0;
	do {
		digits[--i] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	put_text(l, digits + i);
}

/* Text, then a number. */
static noinline void put(struct line *l, const char *s, uint64_t v)
{
	put_text(l, s);
	put_digits(l, v, 10);
}

/* So many base frames as people say it: "12 KiB", "4.5 MiB". */
static noinline void put_size(struct line *l, uint64_t frames)
{
	static const char units[][6] = { " KiB", " MiB", " GiB", " TiB", " PiB" };
	uint64_t tenths = frames * (RAMKA_PAGE_SIZE / 1024) * 10;
	unsigned unit = 0;

	for (; tenths >= 10240 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		tenths /= 1024;
	put_digits(l, tenths / 10, 10);
	if (tenths % 10)
		put(l, ".", tenths % 10);
	put_text(l, units[unit]);
}

static noinline void end_line(struct line *l)
{
	l->text[l->length] = '\n';
	l->text[l->length + 1] = 0;
	l->print(l->ctx, l->text);
	l->length = 0;
}

/* ---- for people ---- */

static void dump_totals(struct line *l, const struct ramka_stats *s)
{
	put_text(l, "ramka: ");
	put_size(l, s->total);
	put_text(l, ": free ");
	put_size(l, s->free);
	put_text(l, ", in use ");
	put_size(l, s->in_use);
	put_text(l, ", deferred ");
	put_size(l, s->deferred);
	put_text(l, ", reserved ");
	put_size(l, s->reserved);
	put_text(l, ", unused ");
	put_size(l, s->unused);
	end_line(l);
	put(l, "ramka: ", s->total);
	put(l, " frames: ", s->free);
	put(l, " free (", s->cached);
	put(l, " cached), ", s->in_use);
	put(l, " in use, ", s->deferred);
	put(l, " deferred, ", s->reserved);
	put(l, " reserved, ", s->unused);
	put_text(l, " unused");
	end_line(l);
	put(l, "ramka: most in use ", s->peak_in_use);
	put(l, ", allocs ", s->allocs);
	put(l, ", puts ", s->puts);
	put(l, ", refills ", s->refills);
	put(l, ", flushes ", s->flushes);
	put(l, ", steals ", s->steals);
	end_line(l);
}

static void put_heading(struct line *l, const char *what, const struct zone *z)
{
	if (z)
		put(l, "ramka: node ", z->node);
	else
		put_text(l, "ramka");
	put_text(l, what);
}

/* A counter of each order, as " ORDER:COUNT", of a zone or of all; those that are zero are left out. */
static void dump_orders(struct line *l, const char *what, const struct zone *z, const uint64_t *counters)
{
	bool any = false;

	put_heading(l, what, z);
	for (unsigned i = 0; i <= RAMKA_MAX_ORDER; i++) {
		if (!counters[i])
			continue;
		any = true;
		if (l->length > DUMP_LINE - DUMP_PAIR) {
			end_line(l);
			put_heading(l, what, z);
		}
		put(l, " ", i);
		put(l, ":", counters[i]);
	}
	if (!any)
		put_text(l, " none");
	end_line(l);
}

/* A node. Where there are several, its free frames by order as well. */
static noinline void dump_node(struct line *l, const struct zone *z, bool several)
{
	struct ramka_stats s = { .free = 0 };

	add_zone(&s, z);
	put_heading(l, ": ", z);
	put_digits(l, ramka_load(&z->usable, relaxed, stat), 10);
	put(l, " usable frames, ", s.free);
	put(l, " free in the zone, whole 2 MiB blocks: ", s.free_huge);
	end_line(l);
	if (several)
		dump_orders(l, ", free in the zone, by order:", z, s.free_by_order);
}

static void dump_cpu(struct line *l, const struct ramka_cpu *cpu)
{
	const struct ramka *r = cpu->r;
	uint64_t depot = depot_cached(r->depot, cpu->id), deferred = defer_waiting(cpu->defer);
	uint64_t cached = cpu_count(cpu) + order_held(cpu);
	uint64_t mail = mail_count(cpu) + depot_cached(r->mail, cpu->id);
	uint32_t rows = cpu_in_rows(cpu);

	if (!cached && !rows && !mail && !depot && !deferred)
		return;
	put(l, "ramka: CPU ", cpu->id);
	put(l, ", node ", cpu->node);
	put(l, ": ", cached);
	put(l, " in the cache, ", rows);
	put(l, " in rows, ", mail);
	put(l, " in mail, ", depot);
	put(l, " in the depot, ", deferred);
	put_text(l, " deferred");
	end_line(l);
}

/* Who has the memory: base frames of each type from `first` on. */
struct type_count {
	unsigned first, last; /* of the frames that a run of tails belongs to */
	uint64_t frames[DUMP_TYPES];
};

static bool count_type(void *ctx, const struct ramka_run *run)
{
	struct type_count *c = ctx;

	if (run->state != RAMKA_STATE_TAIL)
		c->last = run->type ? run->type->id : RAMKA_MAX_TYPES;
	if (c->last - c->first < DUMP_TYPES)
		c->frames[c->last - c->first] += run->frames;
	return true;
}

static noinline void dump_types(struct line *l, const struct ramka *r, unsigned first)
{
	struct type_count c = { .first = first, .last = RAMKA_MAX_TYPES };
	bool any = false;

	for (unsigned i = 0; i < DUMP_TYPES; i++)
		any |= type_by_id(r, first + i) != NULL;
	if (!any)
		return;
	ramka_walk(r, count_type, &c);
	for (unsigned i = 0; i < DUMP_TYPES; i++) {
		const struct ramka_type *type = type_by_id(r, first + i);

		if (!type || !c.frames[i])
			continue;
		put_text(l, "ramka: type ");
		put_text(l, type->name ? type->name : "?");
		put(l, ": ", c.frames[i]);
		put_text(l, " frames, ");
		put_size(l, c.frames[i]);
		end_line(l);
	}
}

static noinline void dump_all(struct line *l, const struct ramka *r)
{
	struct ramka_stats s;

	ramka_stats_read(r, &s);
	dump_totals(l, &s);
	dump_orders(l, ": free in the zones, by order:", NULL, s.free_by_order);
	dump_orders(l, ": requests without memory, by order:", NULL, s.failures);
}

static void dump_summary(struct line *l, const struct ramka *r)
{
	dump_all(l, r);
	for (unsigned i = 0; i < r->nr_zones; i++)
		dump_node(l, &r->zones[i], r->nr_zones > 1);
	for (unsigned first = 0; first < RAMKA_MAX_TYPES; first += DUMP_TYPES)
		dump_types(l, r, first);
	for (unsigned i = 0; i < r->nr_cpus; i++)
		dump_cpu(l, ramka_cpu_at((struct ramka *)(uintptr_t)r, i));
}

/* ---- for tools ---- */

static char letter_of(enum ramka_state state, const struct ramka_type *type)
{
	static const char letters[] = {
		[RAMKA_STATE_HOLE] = '_',     [RAMKA_STATE_UNUSED] = '-',    [RAMKA_STATE_FREE] = '.',
		[RAMKA_STATE_CACHED] = 'c',   [RAMKA_STATE_UNIQUE] = 'U',    [RAMKA_STATE_SHARED] = 'S',
		[RAMKA_STATE_TAIL] = 't',     [RAMKA_STATE_DEFERRED] = 'd',  [RAMKA_STATE_BUSY] = 'b',
		[RAMKA_STATE_RESERVED] = 'R', [RAMKA_STATE_SATURATED] = '!',  [RAMKA_STATE_ISOLATED] = 'i',
	};

	if (state == RAMKA_STATE_RESERVED && type == &ramka_type_unusable)
		return 'X';
	return letters[state];
}

struct map_dump {
	const struct ramka *r;
	struct line *l;
	struct ramka_run run;        /* frames and their tails, not printed yet; frames 0: none */
	struct ramka_history owner;  /* of these, if they are in use and RAMKA_TRACE is on */
};

static bool is_owned(enum ramka_state state)
{
	return state == RAMKA_STATE_UNIQUE || state == RAMKA_STATE_SHARED || state == RAMKA_STATE_DEFERRED ||
	       state == RAMKA_STATE_SATURATED;
}

static void put_owner(struct line *l, const struct ramka_history *owner)
{
	if (!owner->allocated_on)
		return; /* never noted */
	put_text(l, "~");
	if (owner->allocated_on != RAMKA_NO_CPU)
		put_digits(l, owner->allocated_on - 1u, 10);
	put_text(l, ".");
	put_digits(l, owner->allocated_by, 16);
}

static void flush_run(struct map_dump *m)
{
	struct line *l = m->l;

	if (!m->run.frames)
		return;
	if (l->length > DUMP_LINE - DUMP_TOKEN)
		end_line(l);
	if (!l->length) {
		put_text(l, DUMP_MAP "at ");
		put_digits(l, m->run.base >> RAMKA_PAGE_SHIFT, 16);
	}
	put_text(l, (char[]){ ' ', letter_of(m->run.state, m->run.type), 0 });
	if (m->run.type)
		put_digits(l, m->run.type->id, 10);
	if (m->run.order)
		put(l, "/", m->run.order);
	if (m->run.node)
		put(l, "@", m->run.node);
	if (m->run.frames > 1)
		put(l, ":", m->run.frames);
	put_owner(l, &m->owner);
	m->run.frames = 0;
}

static void grow_run(struct map_dump *m, const struct ramka_run *run, struct ramka_history owner)
{
	if (m->run.frames &&
	    (run->state == RAMKA_STATE_TAIL ||
	     (run->state == m->run.state && run->type == m->run.type && run->order == m->run.order &&
	      run->node == m->run.node && owner.allocated_by == m->owner.allocated_by &&
	      owner.allocated_on == m->owner.allocated_on))) {
		m->run.frames += run->frames;
		return;
	}
	flush_run(m);
	m->run = *run;
	m->owner = owner;
}

static bool dump_run(void *ctx, const struct ramka_run *run)
{
	struct map_dump *m = ctx;
	struct ramka_run one = *run;

	if (!(m->r->flags & RAMKA_TRACE) || !is_owned(run->state)) {
		grow_run(m, run, (struct ramka_history){ 0 });
		return true;
	}
	/* each frame has an owner of its own */
	one.frames = 1;
	for (uint64_t i = 0; i < run->frames; i++) {
		struct ramka_history owner = { 0 };

		one.base = run->base + i * RAMKA_PAGE_SIZE;
		ramka_frame_history(m->r, one.base, &owner);
		grow_run(m, &one, owner);
	}
	return true;
}

static void dump_map(struct line *l, const struct ramka *r)
{
	struct map_dump m = { .r = r, .l = l };

	put_text(l, DUMP_MAP "1 ");
	put_digits(l, paddr_of(r->first), 16);
	put(l, " ", r->nr_slots);
	end_line(l);
	for (unsigned i = 0; i < RAMKA_MAX_TYPES; i++) {
		if (!type_by_id(r, i))
			continue;
		put(l, DUMP_MAP "type ", i);
		put_text(l, " ");
		put_text(l, type_by_id(r, i)->name ? type_by_id(r, i)->name : "?");
		end_line(l);
	}
	ramka_walk(r, dump_run, &m);
	flush_run(&m);
	if (l->length)
		end_line(l);
	put_text(l, DUMP_MAP "end");
	end_line(l);
}

void ramka_dump(const struct ramka *r, void (*print)(void *ctx, const char *line), void *ctx)
{
	struct line l = { .print = print, .ctx = ctx, .length = 0 };

	dump_summary(&l, r);
	dump_map(&l, r);
}
