/* SPDX-License-Identifier: MIT */
/*
 * The bitmap of one zone. States, rules and pairs: bitmap.h. May touch: words, quads and hints of its bitmap.
 */
#include "bitmap.h"

/* ---- hints ---- */

/* The hints of blocks of one chunk. */
static uint64_t hint_bits(uint32_t block, uint32_t nr)
{
	return bits_below(nr) << (block % CHUNK_BLOCKS);
}

static bool hint_wanted(const struct bitmap *b, const struct hints *h, uint32_t block)
{
	unsigned count = bitmap_free_count(b, block);

	return h == &b->whole ? count == BLOCK_FRAMES : count && count < BLOCK_FRAMES;
}

static void hints_clear(struct bitmap *b, struct hints *h, uint32_t block)
{
	hints_clear_mask(h, block / CHUNK_BLOCKS, hint_bits(block, 1));
	if (hint_wanted(b, h, block))
		hints_set(h, block);
}

void bitmap_fix_hints(struct bitmap *b, uint32_t block)
{
	if (hint_wanted(b, &b->some, block))
		hints_set(&b->some, block);
	else
		hints_clear(b, &b->some, block);
	if (hint_wanted(b, &b->whole, block))
		hints_set(&b->whole, block);
	else
		hints_clear(b, &b->whole, block);
}

/* ---- block entries ---- */

static uint64_t quad_with(uint64_t quad, uint32_t block, unsigned entry)
{
	unsigned shift = entry_shift(block);

	return (quad & ~((uint64_t)ENTRY_BITS << shift)) | (uint64_t)entry << shift;
}

/* n frames more, or fewer, are free in shut blocks, where no request gets them (zone_estimate_free). */
static noinline void count_isolated(struct bitmap *b, int64_t n)
{
	ramka_add(&b->isolated, (uint64_t)n, relaxed, stat);
}

/* The same for a quad that became another one. */
static noinline void count_isolated_quad(struct bitmap *b, uint64_t old, uint64_t now)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < QUAD_BLOCKS; i++) {
		n += entry_in(now, i) & ENTRY_SHUT ? (int64_t)entry_free(entry_in(now, i)) : 0;
		n -= entry_in(old, i) & ENTRY_SHUT ? (int64_t)entry_free(entry_in(old, i)) : 0;
	}
	count_isolated(b, n);
}

/*
 * See promise. `exact`: ENTRY_SHUT if a shut block may be taken from as well, else 0. The run hint stays,
 * also where all is promised: the promise may be filled with frames that are freed meanwhile, and then the
 * run is what is left.
 */
static always_inline unsigned promise_of(struct bitmap *b, uint32_t block, unsigned min, unsigned max,
					 unsigned exact)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t quad = ramka_load(p, relaxed, count.look);
	unsigned entry, count, got;

	do {
		entry = entry_in(quad, block);
		count = entry_count(entry & ~exact);
		if (count < min)
			return 0;
		got = count < max ? count : max;
	} while (!ramka_cas(p, &quad, quad_with(quad, block, entry - got), acq_rel, count.raise));

	if (exact & entry_in(quad, block))
		count_isolated(b, -(int64_t)got);
	if (count == BLOCK_FRAMES) {
		if (got < count)
			hints_set(&b->some, block);
		hints_clear(b, &b->whole, block);
	} else if (got == count) {
		hints_clear(b, &b->some, block);
	}
	return got;
}

/*
 * Promises between `min` and `max` free frames of the block to the caller. Returns how many, or 0. Acquire:
 * the bits that back the count are visible. Release: a CPU that moves frames has counted the movement before
 * (cpu/account.h).
 */
static unsigned promise(struct bitmap *b, uint32_t block, unsigned min, unsigned max)
{
	return promise_of(b, block, min, max, 0);
}

/*
 * The reverse: raises the count by n frames whose bits are set, or by a promise that is given back. `run`: an
 * order that is now free in the block. False: the word cannot be right.
 */
static bool raise_count(struct bitmap *b, uint32_t block, unsigned n, unsigned run)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t quad = ramka_load(p, relaxed, count.look);
	unsigned entry, old, count, hint;

	do {
		entry = entry_in(quad, block);
		old = entry_free(entry);
		count = old + n;
		if (entry & ENTRY_HUGE || count > BLOCK_FRAMES)
			return false;
		hint = entry_hint(entry) > run ? entry_hint(entry) : run;
		entry &= ENTRY_SHUT;
		entry |= count == BLOCK_FRAMES ? ENTRY_FULL : count | hint << ENTRY_HINT_SHIFT;
	} while (!ramka_cas(p, &quad, quad_with(quad, block, entry), release, count.raise));

	if (unlikely(entry & ENTRY_SHUT)) {
		count_isolated(b, n);
		return true; /* the call that opens the block puts its hints right */
	}
	if (count == BLOCK_FRAMES) {
		hints_set(&b->whole, block);
		if (old)
			hints_clear(b, &b->some, block);
	} else if (!old) {
		hints_set(&b->some, block);
	}
	return true;
}

/*
 * Gives back n frames of a promise that the caller did not take. Which ones is not known, and a search may
 * have lowered the hint while claim_words had some of their bits, so they may be a run of any order. The
 * movement is counted once the frames can be seen again (pair nomem.collect).
 */
static void give_back(struct bitmap *b, uint32_t block, unsigned n)
{
	raise_count(b, block, n, ENTRY_HINT_MAX);
	ramka_add(&b->returned, 1, release, nomem.collect);
}

/* ---- below order 9 ---- */

static struct ramka_atomic_u64 *block_words(const struct bitmap *b, uint32_t block)
{
	return &b->words[(size_t)block * BLOCK_WORDS];
}

/* Frames of word i of a block that lie below the limit. */
static uint64_t below_limit(unsigned i, unsigned limit)
{
	return limit <= i * WORD_BITS ? 0 : bits_below(limit - i * WORD_BITS);
}

bool bitmap_has_run(const struct bitmap *b, uint32_t block, unsigned order, unsigned limit)
{
	const struct ramka_atomic_u64 *words = block_words(b, block);
	unsigned nr = order > WORD_ORDER ? 1u << (order - WORD_ORDER) : 1;

	if (!bitmap_free_count(b, block)) /* as in bitmap_take */
		return false;
	for (unsigned i = 0; i + nr <= BLOCK_WORDS && limit > i * WORD_BITS; i += nr) {
		uint64_t w = ramka_load(&words[i], relaxed, bit.look);

		for (unsigned j = 1; j < nr; j++)
			w &= ramka_load(&words[i + j], relaxed, bit.look);
		if (order > WORD_ORDER ? w == ~(uint64_t)0 && limit >= (i + nr) * WORD_BITS :
					 bits_run_starts(w & below_limit(i, limit), order) != 0)
			return true;
	}
	return false;
}

/* Turns the run hint of an entry into `hint` if the entry is `from`, or if that is 0, whatever it is. */
static bool set_hint(struct bitmap *b, uint32_t block, unsigned from, unsigned hint)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t quad = ramka_load(p, relaxed, count.look);
	unsigned entry;

	do {
		entry = entry_in(quad, block);
		if (!entry_count(entry) || entry_is_whole(entry) || (from && entry != from))
			return false;
		entry = (entry & ENTRY_COUNT) | hint << ENTRY_HINT_SHIFT;
	} while (!ramka_cas(p, &quad, quad_with(quad, block, entry), acquire, count.raise));
	return true;
}

/*
 * Notes that a search found no run of `order`, unless the entry is another than `entry`, which was read
 * before. The entry may have been another in between: a run was freed behind the search, and as many frames
 * were taken before it. So the search is made once more, and the note taken back if it finds one. A free that
 * it misses raises the count, and the hint with it, after the note. A request that believed the note looks
 * again, since this counts as a movement (pair nomem.collect).
 */
static void lower_hint(struct bitmap *b, uint32_t block, unsigned entry, unsigned order)
{
	if (entry_hint(entry) < order || !set_hint(b, block, entry, order - 1) ||
	    !bitmap_has_run(b, block, order, BLOCK_FRAMES))
		return;
	set_hint(b, block, 0, ENTRY_HINT_MAX);
	ramka_add(&b->returned, 1, release, nomem.collect);
}

/*
 * Clears one bit of the block against a promise of one. Terminates: a full turn without a bit means that
 * another promise was filled.
 */
static uint32_t fill_one(struct bitmap *b, uint32_t block, unsigned start)
{
	for (unsigned i = start;; i++) {
		struct ramka_atomic_u64 *word = &block_words(b, block)[i % BLOCK_WORDS];
		uint64_t w = ramka_load(word, acquire, bit.free);

		while (w) {
			uint64_t bit = w & (0 - w);

			w = ramka_and(word, ~bit, acq_rel, bit.free);
			if (w & bit)
				return block * BLOCK_FRAMES + i % BLOCK_WORDS * WORD_BITS + bits_lowest(bit);
		}
	}
}

uint64_t bitmap_take(struct bitmap *b, uint32_t block, unsigned max, unsigned start, uint32_t *ret_word)
{
	struct ramka_atomic_u64 *words = block_words(b, block);
	uint64_t w = 0, mask;
	unsigned i, n = 1;

	if (!bitmap_free_count(b, block)) /* the words of memory that was removed may be gone */
		return 0;
	for (i = 0; i < BLOCK_WORDS; i++) {
		w = ramka_load(&words[(start + i) % BLOCK_WORDS], relaxed, bit.look);
		if (w)
			break;
	}
	i = (start + i) % BLOCK_WORDS;
	if (w && bits_count(w) < max)
		max = bits_count(w);
	n = promise(b, block, 1, w ? max : 1);
	if (!n)
		return 0;
	mask = w ? bits_take(w, n) : 0;
	if (mask)
		mask &= ramka_and(&words[i], ~mask, acq_rel, bit.free);
	/* other CPUs took all meanwhile: one frame must be found, and the rest of the promise goes back */
	if (!mask) {
		uint32_t frame;

		if (n > 1)
			give_back(b, block, n - 1);
		frame = fill_one(b, block, i);
		*ret_word = frame / WORD_BITS;
		return (uint64_t)1 << (frame % WORD_BITS);
	}
	if (bits_count(mask) < n)
		give_back(b, block, n - bits_count(mask));
	*ret_word = block * BLOCK_WORDS + i;
	return mask;
}

/*
 * Orders 7 and 8: takes all frames of `nr` words, word by word. A failure is undone by setting what was
 * cleared.
 */
static bool claim_words(struct ramka_atomic_u64 *words, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		uint64_t full = ~(uint64_t)0;

		if (ramka_cas(&words[i], &full, 0, acq_rel, bit.free))
			continue;
		while (i--)
			ramka_or(&words[i], ~(uint64_t)0, release, bit.free);
		return false;
	}
	return true;
}

/* Takes a run in this word against a promise. Returns its first bit, or WORD_BITS. */
static unsigned claim_in_word(struct ramka_atomic_u64 *word, unsigned order, uint64_t allowed)
{
	uint64_t w = ramka_load(word, acquire, bit.free);

	for (;;) {
		uint64_t starts = bits_run_starts(w & allowed, order);
		unsigned at;

		if (!starts)
			return WORD_BITS;
		at = bits_lowest(starts);
		if (ramka_cas(word, &w, w & ~bits_run(at, order), acq_rel, bit.free))
			return at;
	}
}

uint32_t bitmap_claim_any(struct bitmap *b, uint32_t block)
{
	/*
	 * a request that reads no count here must also see the taker's movement count (cpu/account.h), hence
	 * acquire; the look in `promise` does not ensure it
	 */
	while (entry_count(entry_in(ramka_load(&b->quads[block / QUAD_BLOCKS], acquire, count.raise), block)))
		if (promise(b, block, 1, 1))
			return fill_one(b, block, 0);
	return NO_FRAME;
}

/* Clears up to `max` runs of one word against a promise held: one bit at the start of each. */
static uint64_t clear_runs(struct ramka_atomic_u64 *word, unsigned order, unsigned max)
{
	uint64_t w = ramka_load(word, acquire, bit.free);

	for (;;) {
		uint64_t starts = bits_run_starts(w, order);

		if (!starts)
			return 0;
		starts = bits_take(starts, max);
		if (ramka_cas(word, &w, w & ~(starts * bits_below(1u << order)), acq_rel, bit.free))
			return starts;
	}
}

unsigned bitmap_take_runs(struct bitmap *b, uint32_t block, unsigned order, unsigned max,
			  uint32_t *ret_frames)
{
	struct ramka_atomic_u64 *words = block_words(b, block);
	unsigned entry = bitmap_entry(b, block), n = 1u << order, seen = 0, got = 0, promised;

	if (entry_count(entry) < n) /* as in bitmap_take */
		return 0;
	for (unsigned i = 0; i < BLOCK_WORDS && seen < max; i++)
		seen += bits_count(bits_run_starts(ramka_load(&words[i], relaxed, bit.look), order));
	if (!seen) {
		if (order)
			lower_hint(b, block, entry, order);
		return 0;
	}
	promised = promise(b, block, n, (seen < max ? seen : max) * n);
	for (unsigned i = 0; i < BLOCK_WORDS && got < promised >> order; i++) {
		uint64_t starts = clear_runs(&words[i], order, (promised >> order) - got);

		for (; starts; starts &= starts - 1)
			ret_frames[got++] = block * BLOCK_FRAMES + i * WORD_BITS + bits_lowest(starts);
	}
	if (promised > got * n)
		give_back(b, block, promised - got * n);
	return got;
}

uint32_t bitmap_claim(struct bitmap *b, uint32_t block, unsigned order, unsigned limit)
{
	struct ramka_atomic_u64 *words = block_words(b, block);
	unsigned entry = bitmap_entry(b, block), n = 1u << order;
	unsigned nr = order > WORD_ORDER ? 1u << (order - WORD_ORDER) : 1;

	if (!order && limit == BLOCK_FRAMES)
		return bitmap_claim_any(b, block);
	/* looks before it promises, since a promise hides frames */
	if (!bitmap_has_run(b, block, order, limit)) {
		if (order && limit == BLOCK_FRAMES)
			lower_hint(b, block, entry, order);
		return NO_FRAME;
	}
	if (!promise(b, block, n, n))
		return NO_FRAME;
	for (unsigned i = 0; i + nr <= BLOCK_WORDS; i += nr) {
		if (order > WORD_ORDER) {
			if (limit >= (i + nr) * WORD_BITS && claim_words(&words[i], nr))
				return block * BLOCK_FRAMES + i * WORD_BITS;
		} else {
			unsigned at = claim_in_word(&words[i], order, below_limit(i, limit));

			if (at < WORD_BITS)
				return block * BLOCK_FRAMES + i * WORD_BITS + at;
		}
	}
	give_back(b, block, n);
	return NO_FRAME;
}

/* Clears exactly these bits against a promise held, or none. */
static bool clear_mask(struct ramka_atomic_u64 *word, uint64_t mask)
{
	uint64_t w = ramka_load(word, acquire, bit.free);

	while ((w & mask) == mask)
		if (ramka_cas(word, &w, w & ~mask, acq_rel, bit.free))
			return true;
	return false;
}

bool bitmap_claim_mask(struct bitmap *b, uint32_t word, uint64_t mask)
{
	uint32_t block = word / BLOCK_WORDS;
	unsigned n = bits_count(mask);
	uint64_t w = ramka_load(&b->words[word], relaxed, bit.look);

	if ((w & mask) != mask || !promise(b, block, n, n))
		return false;
	if (clear_mask(&b->words[word], mask))
		return true;
	give_back(b, block, n);
	return false;
}

/* As bits_largest_run where bit `at` is new, so that a larger run contains it. */
static unsigned run_around(uint64_t w, unsigned at, unsigned from)
{
	while (from < WORD_ORDER) {
		uint64_t run = bits_run((unsigned)align_down(at, (uint64_t)2 << from), from + 1);

		if ((w & run) != run)
			break;
		from++;
	}
	return from;
}

unsigned bitmap_set_mask(struct bitmap *b, uint32_t word, uint64_t mask, unsigned *run)
{
	unsigned entry = bitmap_entry(b, word / BLOCK_WORDS), largest = entry_hint(entry), n = 1;
	uint64_t old = ramka_load(&b->words[word], relaxed, bit.look);

	do
		if (entry & ENTRY_HUGE || old & mask)
			return 0;
	while (!ramka_cas(&b->words[word], &old, old | mask, release, bit.free));

	if (mask & (mask - 1))
		n = bits_count(mask);
	if ((old | mask) == ~(uint64_t)0)
		largest = ENTRY_HINT_MAX; /* neighbours may be free too, which would take a look at them */
	else if (n > 1)
		largest = bits_largest_run(old | mask, largest);
	else
		largest = run_around(old | mask, bits_lowest(mask), largest);
	*run = largest > *run ? largest : *run;
	return n;
}

unsigned bitmap_set_words(struct bitmap *b, uint32_t word, unsigned nr, unsigned *run)
{
	struct ramka_atomic_u64 *words = &b->words[word];
	uint64_t old = 0;

	if (bitmap_entry(b, word / BLOCK_WORDS) & ENTRY_HUGE)
		return 0;
	for (unsigned i = 1; i < nr; i++)
		if (ramka_load(&words[i], relaxed, bit.look))
			return 0;
	/* of two calls that free the same frame at once, one is refused here */
	if (!ramka_cas(&words[0], &old, ~(uint64_t)0, release, bit.free))
		return 0;
	/* the other words are the caller's, all of them, so no other CPU changes them meanwhile */
	for (unsigned i = 1; i < nr; i++)
		ramka_store(&words[i], ~(uint64_t)0, release, bit.free);
	*run = ENTRY_HINT_MAX;
	return nr * WORD_BITS;
}

bool bitmap_count_in(struct bitmap *b, uint32_t block, unsigned n, unsigned run)
{
	return raise_count(b, block, n, run);
}

unsigned bitmap_free_mask(struct bitmap *b, uint32_t word, uint64_t mask)
{
	unsigned run = 0, n = bitmap_set_mask(b, word, mask, &run);

	return n && raise_count(b, word / BLOCK_WORDS, n, run) ? n : 0;
}

bool bitmap_free(struct bitmap *b, uint32_t frame, unsigned order)
{
	uint32_t word = frame / WORD_BITS;
	unsigned run = 0, n;

	if (order < WORD_ORDER)
		n = bitmap_set_mask(b, word, bits_run(frame % WORD_BITS, order), &run);
	else
		n = bitmap_set_words(b, word, 1u << (order - WORD_ORDER), &run);
	return n && raise_count(b, frame / BLOCK_FRAMES, n, run);
}

/* ---- order 9 and above ---- */

/*
 * Turns `nr` entries (1, 2 or 4, the first at a multiple of nr) of one quad from `from` to `to`. False: one
 * of them is not `from`; ENTRY_FULL stands for ENTRY_REPORTED too. `keep`: ENTRY_SHUT may be set in them and
 * stays as it is; 0: it must not be set.
 */
static always_inline bool entries_from_to(struct bitmap *b, uint32_t block, uint32_t nr, unsigned from,
					  unsigned to, unsigned keep)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t mask = (bits_below(ENTRY_WIDTH * (unsigned)nr) << entry_shift(block)) & ~QUAD_OF(keep);
	uint64_t same = from == ENTRY_FULL ? mask & ~QUAD_OF(ENTRY_MARK) : mask;
	uint64_t quad = ramka_load(p, relaxed, count.look);

	while (!((quad ^ QUAD_OF(from)) & same)) {
		uint64_t now = (quad & ~mask) | (QUAD_OF(to) & mask);

		if (unlikely(!ramka_cas(p, &quad, now, acq_rel, huge.free)))
			continue;
		if (unlikely(quad & QUAD_OF(keep)))
			count_isolated_quad(b, quad, now);
		return true;
	}
	return false;
}

/* Reads the whole run first, so that undoing is rare. */
static bool blocks_free(const struct bitmap *b, uint32_t block, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i += QUAD_BLOCKS)
		if (!quad_is_whole(ramka_load(&b->quads[(block + i) / QUAD_BLOCKS], relaxed, count.look)))
			return false;
	return true;
}

/* bitmap_claim_blocks; `exact`: ENTRY_SHUT if shut blocks may be taken, else 0. */
static always_inline bool claim_blocks(struct bitmap *b, uint32_t block, uint32_t nr, unsigned exact)
{
	uint32_t step = nr < QUAD_BLOCKS ? nr : QUAD_BLOCKS;

	if (!exact && nr > QUAD_BLOCKS && !blocks_free(b, block, nr))
		return false;
	for (uint32_t i = 0; i < nr; i += step) {
		if (entries_from_to(b, block + i, step, ENTRY_FULL, ENTRY_HUGE, exact))
			continue;
		if (i) {
			bitmap_free_blocks(b, block, i);
			ramka_add(&b->returned, 1, release, nomem.collect);
		}
		return false;
	}
	if (nr == 1) {
		hints_clear_mask(&b->whole, block / CHUNK_BLOCKS, hint_bits(block, 1));
		return true;
	}
	/* the blocks are ours: only a late setter may set these hints now, and a search corrects that */
	for (uint32_t i = 0; i < nr; i += CHUNK_BLOCKS)
		hints_clear_mask(&b->whole, (block + i) / CHUNK_BLOCKS,
				 hint_bits(block, nr < CHUNK_BLOCKS ? nr : CHUNK_BLOCKS));
	return true;
}

bool bitmap_claim_blocks(struct bitmap *b, uint32_t block, uint32_t nr)
{
	return claim_blocks(b, block, nr, 0);
}

bool bitmap_free_blocks(struct bitmap *b, uint32_t block, uint32_t nr)
{
	uint32_t step = nr < QUAD_BLOCKS ? nr : QUAD_BLOCKS;

	for (uint32_t i = 0; i < nr; i += step)
		if (!entries_from_to(b, block + i, step, ENTRY_HUGE, ENTRY_FULL, ENTRY_SHUT))
			return false;
	if (nr == 1) {
		hints_set(&b->whole, block);
		return true;
	}
	for (uint32_t i = 0; i < nr;) {
		uint32_t n = CHUNK_BLOCKS - (block + i) % CHUNK_BLOCKS;

		if (n > nr - i)
			n = nr - i;
		hints_set_mask(&b->whole, (block + i) / CHUNK_BLOCKS, hint_bits(block + i, n));
		i += n;
	}
	return true;
}

/* Bit 0 of the entry of each block in a mask of four: times an entry, that entry in each of them. */
static uint64_t lanes_of(unsigned mask)
{
	return mask * UINT64_C(0x0000200040008001) & QUAD_OF(1);
}

/* Those of the wanted blocks that are whole, in aligned runs of `nr`. */
static noinline unsigned whole_of(uint64_t quad, unsigned want, unsigned nr)
{
	unsigned got = 0, run = (1u << nr) - 1;

	for (unsigned i = 0; i < QUAD_BLOCKS; i++)
		got |= (unsigned)((want >> i & 1) && entry_is_whole(entry_in(quad, i))) << i;
	for (unsigned i = 0; i < QUAD_BLOCKS; i += nr)
		if ((got >> i & run) != run)
			got &= ~(run << i);
	return got;
}

/*
 * Sets the words of a block whose frames are all the caller's. The count is 0 and no promise is left, so no
 * other CPU looks for a bit here.
 */
static void set_all_bits(struct bitmap *b, uint32_t block, uint64_t bits)
{
	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		ramka_store(&block_words(b, block)[i], bits, relaxed, huge.open);
}

/* Those of the wanted blocks that are whole get the entry `to`; their mask. See bitmap_claim_quad. */
static always_inline unsigned take_quad(struct bitmap *b, uint32_t quad, unsigned want, unsigned nr,
					unsigned to)
{
	struct ramka_atomic_u64 *p = &b->quads[quad];
	uint64_t old = ramka_load(p, relaxed, count.look), lanes;
	unsigned got;

	do {
		got = want;
		lanes = lanes_of(got);
		if (unlikely(((old | QUAD_OF(ENTRY_MARK)) ^ QUAD_OF(ENTRY_REPORTED)) & lanes * ENTRY_BITS)) {
			got = whole_of(old, want, nr);
			if (!got)
				return 0;
			lanes = lanes_of(got);
		}
	} while (!ramka_cas(p, &old, (old & ~(lanes * ENTRY_BITS)) | lanes * to, acq_rel, huge.free));
	return got;
}

unsigned bitmap_claim_quad(struct bitmap *b, uint32_t quad, unsigned want, unsigned nr)
{
	return take_quad(b, quad, want, nr, ENTRY_HUGE);
}

unsigned bitmap_take_blocks(struct bitmap *b, uint32_t quad, unsigned want)
{
	/* a promise of all frames, beside which there is no other */
	unsigned got = take_quad(b, quad, want, 1, 0);

	if (got)
		bitmap_unhint(b, quad * QUAD_BLOCKS / CHUNK_BLOCKS,
			      (uint64_t)got << (quad * QUAD_BLOCKS % CHUNK_BLOCKS));
	for (unsigned rest = got; rest; rest &= rest - 1)
		set_all_bits(b, quad * QUAD_BLOCKS + bits_lowest(rest), 0);
	return got;
}

bool bitmap_free_all(struct bitmap *b, uint32_t block)
{
	if (bitmap_entry(b, block) & (ENTRY_HUGE | ENTRY_COUNT))
		return false;
	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		if (bitmap_word(b, block, i))
			return false;
	set_all_bits(b, block, ~(uint64_t)0);
	return raise_count(b, block, BLOCK_FRAMES, ENTRY_HINT_MAX);
}

bool bitmap_free_quad(struct bitmap *b, uint32_t quad, unsigned entries)
{
	struct ramka_atomic_u64 *p = &b->quads[quad];
	uint64_t old = ramka_load(p, relaxed, count.look), lanes = lanes_of(entries);

	do
		if ((old ^ QUAD_OF(ENTRY_HUGE)) & lanes * (ENTRY_BITS & ~ENTRY_SHUT))
			return false;
	while (!ramka_cas(p, &old, old ^ lanes * (ENTRY_FULL ^ ENTRY_HUGE), release, huge.free));
	if (unlikely(old & QUAD_OF(ENTRY_SHUT)))
		count_isolated_quad(b, old, old ^ lanes * (ENTRY_FULL ^ ENTRY_HUGE));
	return true;
}

/* One block that is whole, not shut and not reported becomes HUGE. */
static bool claim_unreported(struct bitmap *b, uint32_t block)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t quad = ramka_load(p, relaxed, count.look);

	while (entry_in(quad, block) == ENTRY_FULL)
		if (ramka_cas(p, &quad, quad_with(quad, block, ENTRY_HUGE), acquire, huge.free))
			return true;
	return false;
}

uint32_t bitmap_claim_unreported(struct bitmap *b, uint32_t block, uint32_t max)
{
	uint32_t n = 0;

	if (max > CHUNK_BLOCKS - block % CHUNK_BLOCKS)
		max = CHUNK_BLOCKS - block % CHUNK_BLOCKS;
	while (n < max && claim_unreported(b, block + n))
		n++;
	if (n)
		hints_clear_mask(&b->whole, block / CHUNK_BLOCKS, hint_bits(block, n));
	return n;
}

void bitmap_free_unreported(struct bitmap *b, uint32_t block, uint32_t nr, bool told)
{
	for (uint32_t i = 0; i < nr; i++)
		entries_from_to(b, block + i, 1, ENTRY_HUGE, told ? ENTRY_REPORTED : ENTRY_FULL, ENTRY_SHUT);
	hints_set_mask(&b->whole, block / CHUNK_BLOCKS, hint_bits(block, nr));
	/* they were out of sight, and not in use */
	ramka_add(&b->returned, 1, release, nomem.collect);
}

void bitmap_open_block(struct bitmap *b, uint32_t block)
{
	set_all_bits(b, block, 0);
	entries_from_to(b, block, 1, ENTRY_HUGE, 0, ENTRY_SHUT);
}

void bitmap_close_block(struct bitmap *b, uint32_t block)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t mask = (uint64_t)ENTRY_BITS << entry_shift(block), quad = ramka_load(p, relaxed, count.look);

	set_all_bits(b, block, ~(uint64_t)0);
	mask &= ~QUAD_OF(ENTRY_SHUT);
	while (!ramka_cas(p, &quad, (quad & ~mask) | (uint64_t)ENTRY_HUGE << entry_shift(block), relaxed,
			  huge.open))
		; /* other blocks of the quad changed, or the hint of this one */
}

/* ---- by address ---- */

bool bitmap_claim_exact(struct bitmap *b, uint32_t frame, unsigned order)
{
	uint32_t block = frame / BLOCK_FRAMES;
	struct ramka_atomic_u64 *words = &b->words[frame / WORD_BITS];
	unsigned n = 1u << order;

	if (order >= BLOCK_ORDER)
		return claim_blocks(b, block, 1u << (order - BLOCK_ORDER), ENTRY_SHUT);
	if (!promise_of(b, block, n, n, ENTRY_SHUT))
		return false;
	if (order <= WORD_ORDER ? clear_mask(words, bits_run(frame % WORD_BITS, order)) :
				  claim_words(words, n / WORD_BITS))
		return true;
	give_back(b, block, n);
	return false;
}

/*
 * Sets or clears ENTRY_SHUT. Acquire and release: of two calls that shut or open a block in turn, the second
 * sees what the first one left.
 */
static bool set_shut(struct bitmap *b, uint32_t block, bool shut)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t bit = (uint64_t)ENTRY_SHUT << entry_shift(block);
	uint64_t old = shut ? ramka_or(p, bit, acq_rel, count.raise) :
			      ramka_and(p, ~bit, acq_rel, count.raise);

	count_isolated_quad(b, old, shut ? old | bit : old & ~bit);
	return old & bit;
}

bool bitmap_shut(struct bitmap *b, uint32_t block)
{
	return !set_shut(b, block, true);
}

void bitmap_unshut(struct bitmap *b, uint32_t block)
{
	set_shut(b, block, false);
	bitmap_fix_hints(b, block);
	/* frames came into sight that a pass had not found */
	ramka_add(&b->returned, 1, release, nomem.collect);
}

/* ---- memory that is removed ---- */

bool bitmap_hold(struct bitmap *b, uint32_t block, unsigned n)
{
	struct ramka_atomic_u64 *p = &b->quads[block / QUAD_BLOCKS];
	uint64_t quad = ramka_load(p, relaxed, count.look);

	do {
		unsigned entry = entry_in(quad, block);

		if (!(entry & ENTRY_SHUT) || entry_free(entry) != n)
			return false;
	} while (!ramka_cas(p, &quad, quad_with(quad, block, ENTRY_SHUT), acquire, count.raise));
	count_isolated(b, -(int64_t)n);
	return true;
}

void bitmap_hold_undo(struct bitmap *b, uint32_t block)
{
	unsigned n = 0;

	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		n += bits_count(bitmap_word(b, block, i));
	if (n)
		raise_count(b, block, n, ENTRY_HINT_MAX);
}

void bitmap_forget(struct bitmap *b, uint32_t block)
{
	uint64_t mask = (uint64_t)ENTRY_BITS << entry_shift(block);

	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		ramka_store(&block_words(b, block)[i], 0, relaxed, bit.look);
	ramka_and(&b->quads[block / QUAD_BLOCKS], ~mask, relaxed, count.look);
	bitmap_fix_hints(b, block);
}

/* ---- new frames ---- */

/* Blocks [block, block + nr), 1, 2 or 4 and aligned to that: no CPU ever had a frame of them. */
static void fill_blocks(struct bitmap *b, uint32_t block, uint32_t nr)
{
	for (uint32_t i = 0; i < nr * BLOCK_WORDS; i++)
		ramka_store(&block_words(b, block)[i], ~(uint64_t)0, relaxed, bit.look);
	entries_from_to(b, block, nr, 0, ENTRY_FULL, 0);
	hints_set_mask(&b->whole, block / CHUNK_BLOCKS, hint_bits(block, nr));
}

void bitmap_fill(struct bitmap *b, uint32_t first, uint32_t end)
{
	uint32_t n;

	for (; first < end; first += n) {
		uint32_t block = first / BLOCK_FRAMES,
			 whole = first % BLOCK_FRAMES ? 0 : (end - first) / BLOCK_FRAMES, nr = 1;

		if (whole) {
			while (nr < QUAD_BLOCKS && block % (2 * nr) == 0 && 2 * nr <= whole)
				nr *= 2;
			fill_blocks(b, block, nr);
			n = nr * BLOCK_FRAMES;
			continue;
		}
		n = WORD_BITS - first % WORD_BITS;
		n = n < end - first ? n : end - first;
		bitmap_free_mask(b, first / WORD_BITS, bits_below(n) << (first % WORD_BITS));
	}
}
