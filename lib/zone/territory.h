/* SPDX-License-Identifier: MIT */
/*
 * Territories: where a CPU works, so that it meets no other CPU there. May use zone.h.
 *
 * A territory is an aligned run of 2^shift blocks of a zone, at least four (one quad). Each has an owner
 * word:
 *
 *    31         30 29                                 0
 *   +----------+---+-------------------------------------+
 *   |  ACTIVE  | 0 |   CPU number + 1; none; SCARCE      |
 *   +----------+---+-------------------------------------+
 *
 *   none      0: any CPU may adopt it
 *   scarce    memory below 4 GiB in a zone that has more above. No CPU adopts it, so requests with a limit on
 *             the address still find it. A CPU takes from it only when the rest is used up
 *   owned     frames freed here are the owner's business: other CPUs send them to it (cpu/mail.h)
 *   ACTIVE    the owner takes from this territory at the moment: no CPU adopts it
 *
 * At set-up each CPU gets an equal, contiguous share of what is not scarce in its node's zone. A CPU that
 * runs out adopts a territory that is not active, even if another CPU owns it. The former owner notices when
 * it looks there the next time. If there is none, the CPU takes from other CPUs' territories without adopting
 * them.
 *
 * An owner word is advice. Every claim and every free is right whatever it says; only the time they take
 * depends on it. So all accesses are relaxed. Pair: territory.
 */
#ifndef RAMKA_LIB_ZONE_TERRITORY_H
#define RAMKA_LIB_ZONE_TERRITORY_H

#include "zone.h"

#define OWNER_NONE 0u
#define OWNER_SCARCE 0x3fffffffu
#define OWNER_MASK 0x3fffffffu
#define OWNER_ACTIVE 0x80000000u

#define NEXT_BEST 3u

/*
 * All territories of a CPU are among these: its share, and as far as it adopted any. A search for its own
 * looks at no other word, so what that costs does not grow with the number of CPUs. Private to the CPU.
 */
struct territory_range {
	uint32_t first, end;
	/* the densest blocks that the last search saw, but for the one that it picked; NO_BLOCK */
	uint32_t next[NEXT_BEST];
	/*
	 * No partly used block had a run of this order when they were searched last. So many picks believe
	 * it: the more searches in a row found nothing, the more.
	 */
	uint32_t none_of, skips, skips_next;
};

/* The CPU gave frames back, so a search for partly used blocks may find one. */
static inline void territory_search_again(struct territory_range *own)
{
	own->skips = own->skips_next = 0;
}

/* log2 of the blocks of a territory, in a zone of `blocks` blocks that up to `nr_cpus` CPUs share. */
unsigned territory_shift(uint32_t blocks, unsigned nr_cpus);
static inline uint32_t territory_count(uint32_t blocks, unsigned shift)
{
	return (blocks + (1u << shift) - 1) >> shift;
}

/* Set-up, before CPUs get their shares: frames below bit `limit` are scarce if the zone has more above. */
void territory_set_scarce(struct zone *z, uint32_t limit);
/* Set-up: CPU `cpu` is number `nth` of the `nr` CPUs of this zone. Returns its share. */
struct territory_range territory_give(struct zone *z, uint32_t cpu, uint32_t nth, uint32_t nr);

static inline uint32_t territory_owner(const struct zone *z, uint32_t block)
{
	return ramka_load(&z->owners[block >> z->territory_shift], relaxed, territory) & OWNER_MASK;
}

/*
 * A block near block `from` that has a free aligned run of 2^order frames, as far as block entries and
 * hints tell; order below 9. `me`: CPU number + 1, or OWNER_NONE for a caller without territories, which has
 * no range either. Above order 0 it is one that the CPU's last search saw, if there is one left. Else it is
 * the densest of a window of partly used blocks in the CPU's own territories, then a whole block there (at
 * once for some picks, after searches that found none partly used), then one of a territory to adopt, then
 * the densest block of other CPUs, then a lasting block (zone.h), then scarce memory.
 */
uint32_t territory_pick(struct zone *z, uint32_t me, struct territory_range *own, unsigned order,
			uint32_t from);
/*
 * The same for frames that last: the densest lasting block of the CPU's own territories, a whole block
 * there or of a territory to adopt, the densest lasting block of others, the emptiest of its own blocks;
 * each is lasting from then on. Else as territory_pick.
 */
uint32_t territory_pick_lasting(struct zone *z, uint32_t me, struct territory_range *own, unsigned order,
				uint32_t from);

/* From now on the CPU takes from block `to`, and no longer from `from`, which may be NO_BLOCK. */
void territory_move(struct zone *z, uint32_t me, uint32_t from, uint32_t to);

/* The CPU goes off line: its territories are free to adopt. */
void territory_leave(struct zone *z, uint32_t me);

/*
 * Claims up to `most` aligned runs of `nr` whole blocks, 1 or 2, of one chunk, by one CAS for each quad, near
 * block *at, which is updated. Writes the first block of each, ascending; how many.
 */
uint32_t territory_take_blocks(struct zone *z, uint32_t me, struct territory_range *own, unsigned nr,
			       uint32_t most, uint32_t *at, uint32_t *ret_blocks);

#endif
