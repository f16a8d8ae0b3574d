/* SPDX-License-Identifier: MIT */
/*
 * The full audit, at quiescence. It does not trust sums: every frame in a cache, a magazine or a bag gets a
 * mark in its slot, and a second mark is a defect. Then every frame of the span must be in exactly one place.
 * At the end the counters are compared with recounts. The marks are removed. May use walk.h.
 */
#include "../cpu/depot.h"
#include "../cpu/mail.h"
#include "../cpu/order.h"
#include "../frame/defer.h"
#include "walk.h"

struct audit {
	const struct ramka *r;
	int defects;
	struct ramka_bug *first;
	uint64_t in_bitmap, cached, deferred, unused, in_use, reserved, isolated; /* base frames seen */
};

static void defect(struct audit *a, const char *what, const struct ramka_frame *f)
{
	if (!a->defects++ && a->first) {
		*a->first = (struct ramka_bug){ .operation = "ramka_check",
						.what = what,
						.state = RAMKA_STATE_HOLE };
		if (f) {
			a->first->paddr = slot_paddr(a->r, f);
			a->first->ref = slot_ref(f);
			a->first->state = slot_state(slot_ref(f), slot_info(f));
			a->first->type = type_by_id(a->r, info_type(slot_info(f)));
		}
	}
}

/* The frame is held somewhere outside the bitmap. */
static void mark(struct audit *a, struct ramka_frame *f, enum ref_tag tag)
{
	uint64_t info = slot_info(f);

	if (info & INFO_AUDIT)
		defect(a, "frame is in two places", f);
	if (ref_tag(slot_ref(f)) != (unsigned)tag)
		defect(a, tag == TAG_FREE ? "cached frame is not free" : "frame in a bag is not deferred", f);
	slot_set_info(f, info | INFO_AUDIT);
}

static void mark_frames(struct audit *a, const struct zone *z, const uint32_t *frames, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (frames[i] >= z->end - z->low)
			defect(a, "cache holds a number that is no frame", NULL);
		else
			mark(a, slot_at_bit(a->r, z, z->low + frames[i]), TAG_FREE);
	}
	a->cached += n;
}

static void mark_row(struct audit *a, const struct ramka_cpu *cpu, uint32_t first, uint64_t mask)
{
	for (; mask; mask &= mask - 1) {
		uint32_t n = first + bits_lowest(mask);

		mark_frames(a, cpu->zone, &n, 1);
	}
}

static void mark_chain(struct audit *a, uint64_t link)
{
	for (uint64_t n = 0; link && n <= a->r->nr_slots; n++) {
		struct ramka_frame *f = &a->r->slots[link - 1];

		mark(a, f, TAG_DEFERRED);
		a->deferred += info_frames(slot_info(f));
		link = ref_tag(slot_ref(f)) == TAG_DEFERRED ? ref_link(slot_ref(f)) : 0;
	}
}

static void mark_letters(struct audit *a, const struct ramka_cpu *cpu, const struct letters *l)
{
	uint16_t at = l->head;

	for (uint32_t i = 0; i < l->count && at < cpu->outbox->room; i++) {
		mark_frames(a, cpu->zone, &cpu->outbox->frames[at], 1);
		at = cpu->outbox->next[at];
	}
}

static void mark_stack(struct audit *a, const struct ramka_cpu *cpu, const struct depot *d)
{
	uint32_t index = cpu->id < d->nr_shards ? depot_first(d, cpu->id) : 0;

	for (uint32_t n = 0; index && n <= d->per_shard; n++) {
		const struct magazine *m = &d->magazines[index - 1];

		mark_frames(a, cpu->zone, m->frames, m->count);
		index = ramka_load(&m->next, relaxed, depot.next);
	}
}

static void mark_bags(struct audit *a, const struct defer *d)
{
	mark_chain(a, d->head);
	for (unsigned slot = 0; slot < RING_SIZE; slot++)
		if (BAG_STATE(ramka_load(&d->state[slot], acquire, defer.bag)) == BAG_SEALED)
			mark_chain(a, d->bags[slot].chain.head);
}

static void mark_cpu(struct audit *a, const struct ramka_cpu *cpu)
{
	if (ramka_load(&cpu->active, relaxed, section.own) ||
	    ramka_load(&cpu->revoked, relaxed, section.revoke))
		defect(a, "a CPU is inside a call or being drained", NULL);
	mark_frames(a, cpu->zone, cache_of(cpu)->frames, cpu_count(cpu));
	mark_row(a, cpu, cpu->row, ramka_load(&cpu->row_mask, relaxed, section.own));
	for (uint32_t i = 0; i < cpu->nr_rows; i++)
		mark_row(a, cpu, cache_of(cpu)->rows[i],
			 ramka_load(&cache_of(cpu)->row_masks[i], relaxed, section.own));
	for (uint32_t owner = 0; mail_count(cpu) && owner < a->r->nr_cpus; owner++)
		mark_letters(a, cpu, &cpu->outbox->letters[owner]);
	for (unsigned order = 0; order <= TOP_ORDER; order++)
		for (uint32_t i = 0; i < order_count(cpu, order); i++)
			for (uint32_t k = 0; k < 1u << order; k++) {
				uint32_t n = cache_of(cpu)->larger_frames[order_at(order) + i] + k;

				mark_frames(a, cpu->zone, &n, 1);
			}
	mark_stack(a, cpu, a->r->depot);
	mark_stack(a, cpu, a->r->mail);
	mark_bags(a, cpu->defer);
}

/* Block entries against bits, hints against block entries. */
static void check_block(struct audit *a, const struct zone *z, uint32_t block)
{
	unsigned entry = bitmap_entry(&z->map, block), bits = 0;
	bool some = hints_next(&z->map.some, block, block + 1) == block;
	bool whole = hints_next(&z->map.whole, block, block + 1) == block;
	unsigned count = entry_free(entry);

	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		bits += bits_count(bitmap_word(&z->map, block, i));
	if (entry & ENTRY_HUGE ? bits != BLOCK_FRAMES : bits != count)
		defect(a, "block entry does not agree with its bits", NULL);
	if (entry & ENTRY_SHUT) /* nothing has to find it */
		some = whole = true;
	if ((count == BLOCK_FRAMES && (!entry_is_whole(entry & ~ENTRY_SHUT) || !whole)) ||
	    (count && count < BLOCK_FRAMES && !some))
		defect(a, "a hint hides a block", NULL);
	if (count && !(entry & ENTRY_SHUT) && entry_hint(entry) < ENTRY_HINT_MAX &&
	    bitmap_has_run(&z->map, block, entry_hint(entry) + 1, BLOCK_FRAMES))
		defect(a, "a block entry hides a run", NULL);
	a->in_bitmap += count;
	a->isolated += entry & ENTRY_SHUT ? count : 0;
}

static void check_frame(struct audit *a, const struct look *l, const struct sight *s)
{
	struct ramka_frame *f = &a->r->slots[l->frame - 1];
	bool marked = s->info & INFO_AUDIT;

	switch (s->state) {
	case RAMKA_STATE_HOLE:
		return;
	case RAMKA_STATE_UNUSED:
		a->unused++;
		break;
	case RAMKA_STATE_FREE:
	case RAMKA_STATE_ISOLATED:
		if (s->ref != REF_FREE)
			defect(a, "free frame's state word was changed", f);
		break;
	case RAMKA_STATE_CACHED:
		if (!marked)
			defect(a, "frame is nowhere: lost", f);
		break;
	case RAMKA_STATE_TAIL:
		if (marked)
			defect(a, "part of a larger frame is cached", f);
		a->in_use++; /* corrected for deferred ones below */
		break;
	case RAMKA_STATE_RESERVED:
		a->reserved++;
		break;
	case RAMKA_STATE_DEFERRED:
		if (!marked)
			defect(a, "deferred frame is in no bag", f);
		a->in_use++;
		break;
	case RAMKA_STATE_BUSY:
		defect(a, "frame is being built or torn down", f);
		a->in_use++;
		break;
	case RAMKA_STATE_UNIQUE:
	case RAMKA_STATE_SHARED:
	case RAMKA_STATE_SATURATED:
		if ((s->ref & ~REF_MARK) == REF_SHARED(0) || !type_by_id(a->r, info_type(s->info)) ||
		    info_order(s->info) > RAMKA_MAX_ORDER ||
		    (info_list(s->info) && s->state != RAMKA_STATE_UNIQUE))
			defect(a, "slot of a frame in use makes no sense", f);
		a->in_use++;
		break;
	}
	if (s->in_bitmap && s->state != RAMKA_STATE_FREE && s->state != RAMKA_STATE_ISOLATED)
		defect(a, "frame is in use and free in the bitmap", f);
	if (s->in_bitmap && marked)
		defect(a, "frame is in a cache and in the bitmap", f);
	if (marked)
		slot_set_info(f, s->info & ~(uint64_t)INFO_AUDIT);
}

/* The counters themselves, since the sums of ramka_stats_read add up even if a counter is wrong. */
static void check_counters(struct audit *a)
{
	const struct ramka *r = a->r;
	struct ramka_stats s;

	ramka_stats_read(r, &s);
	a->in_use -= a->deferred;
	for (unsigned i = 0; i < r->nr_zones; i++)
		a->isolated -= ramka_load(&r->zones[i].map.isolated, relaxed, stat);
	if (a->isolated)
		defect(a, "count of isolated frames differs from a recount", NULL);
	if (defer_count(r) != a->deferred)
		defect(a, "count of deferred frames differs from a recount", NULL);
	if (ramka_load(&r->unused, relaxed, stat) != a->unused ||
	    r->reserved - ramka_load(&r->late_reserved, relaxed, stat) != a->reserved)
		defect(a, "count of unused or reserved frames differs from a recount", NULL);
	if (s.free != a->in_bitmap + a->cached || s.cached != a->cached)
		defect(a, "count of free frames differs from a recount", NULL);
	if (s.in_use != a->in_use || s.total != s.free + s.in_use + s.deferred + s.reserved + s.unused)
		defect(a, "count of frames in use differs from a recount", NULL);
	if (ramka_load(&a->r->corrupt, relaxed, stat))
		defect(a, "a cached frame was found free in the bitmap", NULL);
}

int ramka_check(const struct ramka *r, struct ramka_bug *ret_first)
{
	struct audit a = { .r = r, .first = ret_first };
	struct look l = { .r = r };
	struct sight s;

	for (unsigned i = 0; i < r->nr_cpus; i++)
		mark_cpu(&a, &r->cpus[i].cpu);
	mark_bags(&a, r->none->defer);
	mark_chain(&a, ramka_load(&r->deferred, acquire, defer.shared));
	for (unsigned i = 0; i < r->nr_zones; i++) {
		const struct zone *z = &r->zones[i];

		for (uint32_t block = zone_next_block(z, 0); block < z->map.blocks;
		     block = zone_next_block(z, block + 1))
			check_block(&a, z, block);
	}
	while (look_next(&l, &s))
		check_frame(&a, &l, &s);
	check_counters(&a);
	return a.defects;
}
