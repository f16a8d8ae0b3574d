/* SPDX-License-Identifier: MIT */
/*
 * Isolated memory: ranges of whole blocks that nothing is handed out of; and its removal. May use tune.h.
 *
 *   isolater (holds `changing`)             a CPU
 *   -----------------------------------     ------------------------------------------------
 *   each block: SHUT                        a refill, a request: finds a count of 0 there
 *   r->shut += blocks                       a free: the gate refuses the frame; rows bring it to the bitmap
 *   stops every CPU: its caches go to the   what its cache holds of the range may be handed out
 *     bitmap, it forgets the blocks           until it is stopped
 *   settled                                 holds no frame of the range but freed ones in rows
 *
 * The bit in the block's entry is the truth (zone/bitmap.h), so there is no list of ranges: what is
 * isolated is read from the blocks. A CPU that was not stopped, since it was inside a call, is the reason
 * why `settled` is false; the next drain asks again.
 *
 * Removal takes each block by one operation, a promise of all frames that it has (bitmap_hold). What is held
 * cannot be claimed by address either, so then nothing but lookups comes to these frames:
 *
 *   remover (holds `changing`)              a lookup by address, a walk, a search
 *   -----------------------------------     ------------------------------------------------
 *   every block: held, or all are undone
 *   no part of the range is solid           searches the map
 *   frames: into r->gone                    not there yet: finds a FREE frame, and nothing to take
 *   block: no bits, a count of 0, not       there: a hole
 *     present
 *   counters
 *
 * A call that began before may still read slots and bits, which stay what they are: FREE and zero. So the
 * embedder takes their backing away only when such calls are over (include/ramka/memory.h).
 *
 * Pairs: count.raise (the bit, the promise), map.changing, map.late, map.solid, section.revoke (stopping).
 */
#include "../base/mem.h"

#include "../base/watch.h"
#include "../base/why.h"
#include "../cpu/account.h"
#include "../cpu/drain.h"
#include "../frame/argument.h"
#include "../frame/contracts.h"
#include "../inspect/walk.h"
#include "tune.h"

/* ---- ranges ---- */

/* Frames [first, end). */
struct range { uint64_t first, end; };

/* The part of a range that lies in one zone, and one of its blocks that is no hole. */
struct part_of_zone {
	struct zone *z;
	uint32_t first, end; /* bits */
	uint32_t block;
	unsigned at;         /* zones that were looked at; begin with 0 */
};

/* Whole pages inside the span? 0, or an error. */
static int range_check(const struct ramka *r, ramka_paddr_t base, uint64_t size, struct range *ret)
{
	if (!r || !size || size > UINT64_MAX - base)
		return RAMKA_E_INVAL;
	if ((base | size) & (RAMKA_PAGE_SIZE - 1))
		return RAMKA_E_NOT_ALIGNED;
	ret->first = frame_of(base);
	ret->end = frame_of(base + size);
	if (ret->first < r->first || ret->first - r->first >= r->nr_slots ||
	    ret->end - r->first > r->nr_slots)
		return RAMKA_E_OUT_OF_BOUND;
	return 0;
}

/* The next zone that has blocks in the range. */
static bool range_next_zone(const struct ramka *r, const struct range *g, struct part_of_zone *p)
{
	while (p->at < r->nr_zones) {
		struct zone *z = &r->zones[p->at++];
		uint64_t first = z->origin + z->low, end = z->origin + z->end;

		first = first < g->first ? g->first : first;
		end = end > g->end ? g->end : end;
		if (first >= end)
			continue;
		p->z = z;
		p->first = (uint32_t)(first - z->origin);
		p->end = (uint32_t)(end - z->origin);
		p->block = zone_next_block(z, p->first / BLOCK_FRAMES);
		if (p->block <= (p->end - 1) / BLOCK_FRAMES)
			return true;
	}
	return false;
}

/* Its next block. */
static bool range_next_block(struct part_of_zone *p)
{
	p->block = zone_next_block(p->z, p->block + 1);
	return p->block <= (p->end - 1) / BLOCK_FRAMES;
}

/* Is a bit of [from, to) a usable frame of the zone? */
static bool has_memory(const struct ramka *r, const struct zone *z, uint32_t from, uint32_t to)
{
	from = from < z->low ? z->low : from;
	to = to > z->end ? z->end : to;
	for (uint32_t bit = from; bit < to; bit++) {
		uint64_t frame = z->origin + bit;

		if (instance_kind(r, frame) == RAMKA_USABLE &&
		    instance_zone(r, &r->slots[frame - r->first]) == z)
			return true;
	}
	return false;
}

/* Does the range cut no block, and is there memory in it? */
static int check_blocks(const struct ramka *r, const struct range *g)
{
	struct part_of_zone p = { .at = 0 };
	int rc = RAMKA_E_OUT_OF_BOUND;

	while (range_next_zone(r, g, &p)) {
		if (has_memory(r, p.z, (uint32_t)align_down(p.first, BLOCK_FRAMES), p.first) ||
		    has_memory(r, p.z, p.end, (uint32_t)align_up(p.end, BLOCK_FRAMES)))
			return RAMKA_E_NOT_ALIGNED;
		rc = 0;
	}
	return rc;
}

static bool is_shut(const struct part_of_zone *p)
{
	return bitmap_entry(&p->z->map, p->block) & ENTRY_SHUT;
}

/* Is every block shut, or none? Else an error. */
static int check_shut(const struct ramka *r, const struct range *g, bool wanted)
{
	struct part_of_zone p = { .at = 0 };

	while (range_next_zone(r, g, &p))
		do
			if (is_shut(&p) != wanted)
				return wanted ? RAMKA_E_UNUSED : RAMKA_E_IN_USE;
		while (range_next_block(&p));
	return 0;
}

/* The instance of the caller's CPU. NULL: there is none, or it is another's, which is reported. */
static struct ramka *instance_of(const struct ramka_cpu *cpu, const char *operation)
{
	return cpu && cpu_argument_ok(cpu, operation) ? cpu->r : NULL;
}

/*
 * Takes `changing`; the range cuts no block, has memory, and all its blocks are shut, or none. 0, or an error
 * without `changing`.
 */
static int range_begin(struct ramka *r, ramka_paddr_t base, uint64_t size, bool shut, struct range *ret)
{
	int rc = range_check(r, base, size, ret);

	if (rc)
		return rc;
	if (!changing_begin(r))
		return RAMKA_E_BUSY;
	rc = check_blocks(r, ret);
	if (!rc)
		rc = check_shut(r, ret, shut);
	if (rc)
		changing_end(r);
	return rc;
}

/* ---- isolating ---- */

/* Drains every CPU. True: all were stopped. */
static bool range_settle(struct ramka_cpu *cpu)
{
	struct drain d = { .every = true };

	return cpu_drain_all(cpu->r, cpu, &d);
}

int ramka_isolate(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size)
{
	struct part_of_zone p = { .at = 0 };
	struct ramka *r = instance_of(cpu, "ramka_isolate");
	struct range g;
	int rc = range_begin(r, base, size, false, &g);

	if (rc)
		return rc;
	while (range_next_zone(r, &g, &p))
		do {
			ramka_add(&r->shut, 1, relaxed, stat);
			bitmap_shut(&p.z->map, p.block);
		} while (range_next_block(&p));
	range_settle(cpu);
	changing_end(r);
	for (unsigned i = 0; i < r->nr_zones; i++)
		account_low_memory(cpu, &r->zones[i]);
	return 0;
}

int ramka_unisolate(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size)
{
	struct part_of_zone p = { .at = 0 };
	struct ramka *r = instance_of(cpu, "ramka_unisolate");
	struct range g;
	int rc = range_begin(r, base, size, true, &g);

	if (rc)
		return rc;
	while (range_next_zone(r, &g, &p))
		do {
			bitmap_unshut(&p.z->map, p.block);
			ramka_sub(&r->shut, 1, relaxed, stat);
		} while (range_next_block(&p));
	changing_end(r);
	for (unsigned i = 0; i < r->nr_zones; i++)
		account_more_memory(cpu, &r->zones[i]);
	return 0;
}

/* ---- progress ---- */

static void count(const struct sight *s, struct ramka_isolation *ret)
{
	switch (s->state) {
	case RAMKA_STATE_FREE:
	case RAMKA_STATE_ISOLATED:
		ret->free++;
		break;
	case RAMKA_STATE_CACHED:
		ret->cached++;
		break;
	case RAMKA_STATE_HOLE:
		break;
	case RAMKA_STATE_RESERVED:
	case RAMKA_STATE_UNUSED:
		ret->reserved++;
		break;
	case RAMKA_STATE_UNIQUE:
	case RAMKA_STATE_SHARED:
	case RAMKA_STATE_TAIL:
	case RAMKA_STATE_DEFERRED:
	case RAMKA_STATE_BUSY:
	case RAMKA_STATE_SATURATED:
		ret->in_use++;
		break;
	}
}

int ramka_isolate_progress(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size,
			   struct ramka_isolation *ret)
{
	struct ramka *r = instance_of(cpu, "ramka_isolate_progress");
	struct ramka_isolation n = { 0 };
	struct sight s;
	struct range g;
	struct look l;
	int rc = ret ? range_begin(r, base, size, true, &g) : RAMKA_E_INVAL;

	if (rc)
		return rc;
	n.settled = range_settle(cpu);
	changing_end(r);
	for (l = look_from(r, g.first); l.frame < g.end - r->first && look_next(&l, &s);)
		count(&s, &n);
	*ret = n;
	return 0;
}

/* ---- removing ---- */

/* Frames of the block that lie in the range. */
static struct range block_frames(const struct part_of_zone *p)
{
	uint32_t first = p->block * BLOCK_FRAMES, end = first + BLOCK_FRAMES;

	return (struct range){ p->z->origin + (first < p->first ? p->first : first),
			       p->z->origin + (end > p->end ? p->end : end) };
}

static int in_the_way(const struct ramka *r, uint64_t frame, struct ramka_why *why)
{
	const struct ramka_frame *head = ramka_frame_head(r, paddr_of(frame));

	why->paddr = paddr_of(frame);
	why->type = head ? type_by_id(r, info_type(slot_info(head))) : NULL;
	return refuse_plain(why, RAMKA_E_IN_USE, "a frame is in use", "base");
}

static int on_its_way(uint64_t frame, struct ramka_why *why)
{
	why->paddr = paddr_of(frame);
	return refuse_plain(why, RAMKA_E_BUSY,
			    "a free frame is cached by a CPU that could not be stopped, or just moves",
			    "base");
}

/*
 * How many frames leave with a block that is not wholly free: all that are its zone's, if they are free. The
 * zone has none of those that are reserved or detached. They stay what they are.
 */
static int count_leaving(const struct ramka *r, const struct part_of_zone *p, unsigned *ret_n,
			 struct ramka_why *why)
{
	struct range g = block_frames(p);
	struct look l = look_from(r, g.first);
	struct sight s;

	*ret_n = 0;
	while (l.frame < g.end - r->first && look_next(&l, &s)) {
		uint64_t frame = r->first + l.frame - 1;

		if (s.state == RAMKA_STATE_HOLE || s.state == RAMKA_STATE_RESERVED || s.zone != p->z ||
		    instance_kind(r, frame) != RAMKA_USABLE)
			continue;
		if (s.state == RAMKA_STATE_CACHED)
			return on_its_way(frame, why);
		if (s.state != RAMKA_STATE_ISOLATED && s.state != RAMKA_STATE_UNUSED)
			return in_the_way(r, frame, why);
		*ret_n += s.state == RAMKA_STATE_ISOLATED;
	}
	return 0;
}

static int hold_block(const struct ramka *r, const struct part_of_zone *p, struct ramka_why *why)
{
	unsigned n;
	int rc;

	if (bitmap_hold(&p->z->map, p->block, BLOCK_FRAMES))
		return 0;
	rc = count_leaving(r, p, &n, why);
	if (rc || !n || bitmap_hold(&p->z->map, p->block, n))
		return rc;
	return on_its_way(block_frames(p).first, why);
}

/* Holds every block of the range, or none. */
static int hold_range(const struct ramka *r, const struct range *g, struct ramka_why *why)
{
	struct part_of_zone p = { .at = 0 }, undo = { .at = 0 };
	int rc = 0;

	while (!rc && range_next_zone(r, g, &p))
		do
			rc = hold_block(r, &p, why);
		while (!rc && range_next_block(&p));
	while (rc && range_next_zone(r, g, &undo)) {
		do {
			if (undo.z == p.z && undo.block == p.block)
				return rc;
			bitmap_hold_undo(&undo.z->map, undo.block);
		} while (range_next_block(&undo));
	}
	return rc;
}

/* The metadata of frames that were FREE, as that of a hole that was never touched. */
static void clear_metadata(struct ramka *r, uint64_t first, uint64_t end)
{
	if (!(r->flags & RAMKA_METADATA_ZEROED))
		return; /* it counts as anything at all */
	for (uint64_t i = first; i < end; i++)
		slot_set_info(&r->slots[i - r->first], 0);
	watch_forget(r, first - r->first, end - first);
	memset((uint8_t *)r->shadow + (first - r->first) * contracts_bytes(), 0,
	       (size_t)(end - first) * contracts_bytes());
}

/* The bits of a held block say which frames leave. How many. */
static uint64_t remove_block(struct ramka *r, const struct part_of_zone *p)
{
	uint64_t origin = p->z->origin + (uint64_t)p->block * BLOCK_FRAMES, nr = 0;

	for (unsigned i = 0; i < BLOCK_WORDS; i++) {
		uint64_t w = bitmap_word(&p->z->map, p->block, i);

		while (w) {
			unsigned at = bits_lowest(w), n = ~(w >> at) ? bits_lowest(~(w >> at)) : WORD_BITS;
			uint64_t first = origin + i * WORD_BITS + at;

			sparse_add(&r->gone, first - r->first, first + n - r->first);
			clear_metadata(r, first, first + n);
			w &= ~(bits_below(n) << at);
			nr += n;
		}
	}
	sparse_remove(&p->z->present, p->block, p->block + 1);
	bitmap_forget(&p->z->map, p->block);
	return nr;
}

static void remove_range(struct ramka *r, const struct range *g)
{
	struct part_of_zone p = { .at = 0 };

	instance_not_solid(r, g->first, g->end);
	while (range_next_zone(r, g, &p)) {
		uint64_t nr = 0;

		do {
			nr += remove_block(r, &p);
			ramka_sub(&r->shut, 1, relaxed, stat);
		} while (range_next_block(&p));
		ramka_sub(&p.z->usable, nr, relaxed, stat);
		ramka_sub(&r->late_total, nr, relaxed, stat);
	}
	tune(r);
}

/* What range_begin refused. */
static int refuse_range(struct ramka_why *why, int rc, ramka_paddr_t base, uint64_t size)
{
	why->paddr = base;
	switch (rc) {
	case RAMKA_E_NOT_ALIGNED:
		return refuse(why, rc, "this cuts a page, or a 2 MiB block that has more memory", "base",
			      RAMKA_NO_INDEX, (base | size) & (BLOCK_FRAMES * RAMKA_PAGE_SIZE - 1), 0);
	case RAMKA_E_OUT_OF_BOUND:
		return refuse_plain(why, rc, "no memory of this instance lies here", "base");
	case RAMKA_E_UNUSED:
		return refuse_plain(why, rc, "not all of this is isolated", "base");
	case RAMKA_E_BUSY:
		return refuse_plain(why, rc, "another call adds, removes or claims memory", NULL);
	default:
		return refuse_plain(why, rc, "no CPU, or a range that is empty or too long", "size");
	}
}

int ramka_remove_memory_why(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size,
			    struct ramka_why *ret_why)
{
	struct ramka_why scratch = { 0 }, *why = ret_why ? ret_why : &scratch;
	struct ramka *r = instance_of(cpu, "ramka_remove_memory");
	struct range g;
	int rc = range_begin(r, base, size, true, &g);

	*why = (struct ramka_why){ 0 };
	if (rc)
		return refuse_range(why, rc, base, size);
	range_settle(cpu);
	rc = hold_range(r, &g, why);
	if (!rc)
		remove_range(r, &g);
	changing_end(r);
	return rc;
}

int ramka_remove_memory(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size)
{
	return ramka_remove_memory_why(cpu, base, size, NULL);
}
