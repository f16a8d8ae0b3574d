/* SPDX-License-Identifier: MIT */
/*
 * Free page reporting: the embedder is told once of each whole free block, so that a hypervisor can discard
 * its content. May use lower storeys alone. The idea and its name are those of Linux' page_reporting.
 *
 *   reporter                                      the others
 *   ------------------------------------------    ----------------------------------------------
 *   claims a run of whole, unreported blocks      it is out of free memory, as if it were in use:
 *     (acquire): they are HUGE                      what is just discarded is not handed out
 *   calls the embedder, outside of sections       go on
 *   frees the run, marked (release)               take it as any other; a claim loses the mark
 *
 * The mark is a value of the block's entry (zone/bitmap.h), so it cannot outlive the block's being whole. A
 * shut block is not claimed; one that is shut meanwhile stays shut when it is freed. Reporters do not meet:
 * each has runs of its own. A reporter that is stopped keeps its one run, as a CPU that is stopped keeps
 * what it holds.
 *
 * Pairs: huge.free, nomem.collect (the run came back).
 */
#include "../cpu/account.h"
#include "../frame/argument.h"

struct report {
	struct ramka_cpu *cpu;
	ramka_report_fn fn;
	void *ctx;
	uint64_t left, done; /* blocks */
};

/* So many blocks from `block` on are no holes and may be taken at a time. */
static uint32_t run_at(const struct report *t, const struct zone *z, uint32_t block)
{
	uint64_t most = account_spare(t->cpu, (uint64_t)CHUNK_BLOCKS * BLOCK_FRAMES) / BLOCK_FRAMES;
	uint32_t n = 0;

	most = most < t->left ? most : t->left;
	while (n < most && block + n < z->map.blocks && zone_next_block(z, block + n) == block + n)
		n++;
	return n;
}

/* False: the embedder did not take it. */
static bool report_run(struct report *t, struct zone *z, uint32_t block, uint32_t nr)
{
	struct ramka *r = t->cpu->r;
	uint64_t frames = (uint64_t)nr * BLOCK_FRAMES;
	bool told;

	ramka_add(&r->reporting, frames, relaxed, stat);
	account_zone(t->cpu, z, (int64_t)frames, false);
	told = t->fn(t->ctx, paddr_of(z->origin + (uint64_t)block * BLOCK_FRAMES), frames * RAMKA_PAGE_SIZE);
	bitmap_free_unreported(&z->map, block, nr, told);
	account_zone(t->cpu, z, -(int64_t)frames, false);
	ramka_sub(&r->reporting, frames, relaxed, stat);
	account_more_memory(t->cpu, z);
	if (told) {
		t->done += nr;
		t->left -= nr;
	}
	return told;
}

/* False: the call is over. */
static bool report_zone(struct report *t, struct zone *z)
{
	uint32_t n;

	for (uint32_t block = zone_next_block(z, 0); block < z->map.blocks;
	     block = zone_next_block(z, block + n)) {
		n = 1;
		if (bitmap_entry(&z->map, block) != ENTRY_FULL)
			continue;
		n = run_at(t, z, block);
		if (!n)
			return false;
		n = bitmap_claim_unreported(&z->map, block, n);
		if (!n)
			n = 1; /* taken meanwhile */
		else if (!report_run(t, z, block, n))
			return false;
	}
	return true;
}

int ramka_report_free(struct ramka_cpu *cpu, uint64_t max, ramka_report_fn fn, void *ctx, uint64_t *ret_nr)
{
	struct report t = { .cpu = cpu, .fn = fn, .ctx = ctx, .left = max };

	if (!cpu || !fn || !ret_nr || !cpu_argument_ok(cpu, "ramka_report_free"))
		return RAMKA_E_INVAL;
	if (cpu->r->flags & RAMKA_POISON)
		return RAMKA_E_UNSUPPORTED;
	for (unsigned i = 0; i < cpu->r->nr_zones; i++)
		if (!report_zone(&t, &cpu->r->zones[i]))
			break;
	*ret_nr = t.done;
	return 0;
}
