/* SPDX-License-Identifier: MIT */
/*
 * Isolated memory: ranges of whole blocks that nothing is handed out of. May use everything below.
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
 * Pairs: count.raise (the bit), map.changing, section.revoke (stopping).
 */
#include "../cpu/drain.h"
#include "../inspect/walk.h"

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
	struct ramka *r = cpu ? cpu->r : NULL;
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
	return 0;
}

int ramka_unisolate(struct ramka_cpu *cpu, ramka_paddr_t base, uint64_t size)
{
	struct part_of_zone p = { .at = 0 };
	struct ramka *r = cpu ? cpu->r : NULL;
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
	struct ramka *r = cpu ? cpu->r : NULL;
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
