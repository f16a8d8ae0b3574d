/* SPDX-License-Identifier: MIT */
/*
 * lib/zone/bitmap.c alone: promises, exact claims, undo, huge blocks, hints. Four blocks, or as many as make two
 * levels of hints; a few frames of them are free when the threads begin. After every execution the books are
 * checked: as many bits as the count says, each frame owned by nobody or free, hints that hide nothing.
 */
#include "checker.h"

#include "zone/bitmap.h"

static unsigned blocks;
static uint32_t origin;     /* frame that the oracle calls 0 */
static struct bitmap b;
static struct ramka_atomic_u64 *words, *quads;

static void make_blocks(unsigned n)
{
	blocks = n;
	origin = 0;
	words = ck_alloc(n * BLOCK_FRAMES / 8, 64);
	quads = ck_alloc(n / QUAD_BLOCKS * 8, 64);
	b = (struct bitmap){ .words = words, .quads = quads, .blocks = n };
	hints_init(&b.some, ck_alloc(hints_size(n) * 8, 64), n);
	hints_init(&b.whole, ck_alloc(hints_size(n) * 8, 64), n);
}

static void make(void) { make_blocks(4); }

/* Frames that take part; larger claims touch the oracle for these only. */
static const uint32_t probes[] = { 0, 1, 2, 63, 64, 127, 128, 255, 256, 510, 511 };

static void probe(uint32_t first, uint32_t n, void (*fn)(unsigned frame))
{
	unsigned nr = sizeof probes / sizeof *probes;

	for (unsigned i = 0; i < nr * 4; i++) {
		uint32_t f = probes[i % nr] + i / nr * BLOCK_FRAMES;

		if (f >= first && f < first + n)
			fn(f);
	}
}

static void took(uint32_t first, uint32_t n)
{
	if (n == 1)
		ck_own_take(first - origin);
	else
		probe(first, n, ck_own_take);
}

static void gives(uint32_t first, uint32_t n)
{
	if (n == 1)
		ck_own_give(first - origin);
	else
		probe(first, n, ck_own_give);
}

static bool hinted(struct hints *h, uint32_t block)
{
	return hints_next(h, block, block + 1) == block;
}

/* The largest order of an aligned run of bits in the block; 0 without one. */
static unsigned largest(uint32_t block)
{
	const struct ramka_atomic_u64 *w = &words[block * BLOCK_WORDS];
	unsigned run = 0;

	for (unsigned i = 0; i < BLOCK_WORDS; i++) {
		run = bits_largest_run(w[i].value, run);
		for (unsigned order = WORD_ORDER + 1; order < BLOCK_ORDER; order++) {
			unsigned nr = 1u << (order - WORD_ORDER), full = 0;

			for (unsigned j = 0; i % nr == 0 && j < nr; j++)
				full += w[i + j].value == ~(uint64_t)0;
			run = full == nr && order > run ? order : run;
		}
	}
	return run;
}

static unsigned held;
static void not_free(uint32_t f)
{
	f += origin;
	held++;
	ck_assert(bitmap_entry(&b, f / BLOCK_FRAMES) & ENTRY_HUGE || !bitmap_is_free(&b, f),
			"frame %u is both free and owned", f);
}

static void books(void)
{
	held = 0;
	ck_owned_each(not_free);
	for (uint32_t block = 0; block < blocks; block++) {
		unsigned entry = bitmap_entry(&b, block), n = 0;

		for (unsigned i = 0; i < BLOCK_WORDS; i++)
			n += bits_count(words[block * BLOCK_WORDS + i].value);
		if (entry & ENTRY_HUGE) {
			ck_assert(entry == ENTRY_HUGE && n == BLOCK_FRAMES, "block %u: huge word %#x, %u bits",
					block, entry, n);
			continue;
		}
		ck_assert(n == entry_count(entry), "block %u: count %u, but %u bits", block, entry_count(entry), n);
		ck_assert(n == 0 || n == BLOCK_FRAMES || hinted(&b.some, block),
				"block %u: %u free frames and no hint", block, n);
		ck_assert(n != BLOCK_FRAMES || hinted(&b.whole, block), "block %u is whole and not hinted so", block);
		ck_assert(!n || entry_hint(entry) >= largest(block), "block %u: a free run of order %u, and its entry says %u at most",
				block, largest(block), entry_hint(entry));
	}
}

static unsigned free_frames(void)
{
	unsigned n = 0;

	for (uint32_t block = 0; block < blocks; block++)
		n += bitmap_free_count(&b, block);
	return n;
}

static void release(uint32_t frame, unsigned order)
{
	gives(frame, 1u << order);
	ck_assert(bitmap_free(&b, frame, order), "free of frame %u refused", frame);
}

static uint32_t take_one(uint32_t block)
{
	uint32_t word, f;
	uint64_t m = bitmap_take(&b, block, 1, 0, &word);

	if (!m)
		return NO_FRAME;
	f = word * WORD_BITS + bits_lowest(m);
	took(f, 1);
	return f;
}

/* ---- order 0: takers and a freer; every promise finds its bit ---- */

static void two_free(void)
{
	make();
	bitmap_fill(&b, 0, 1);
	bitmap_fill(&b, 64, 65);
}
static void take_put(void) { uint32_t f = take_one(0); if (f != NO_FRAME) release(f, 0); }
static void take_keep(void) { take_one(0); }
static void any_keep(void) { uint32_t f = bitmap_claim_any(&b, 0); if (f != NO_FRAME) took(f, 1); }
static void take_batch(void)
{
	uint32_t word;
	uint64_t m = bitmap_take(&b, 0, 64, 0, &word);

	for (; m; m &= m - 1)
		took(word * WORD_BITS + bits_lowest(m), 1);
}
static void two_left(void)
{
	books();
	ck_assert(free_frames() + held == 2, "%u frames of 2", free_frames() + held);
}
CK_CLIENT(bitmap_take, .what = "take, free, take of the last frames of a block", .setup = two_free,
	  .thread = { take_put, any_keep, take_keep }, .check = two_left, .stale = 2);
CK_CLIENT(bitmap_take_batch, .what = "a batch meets single takers", .setup = two_free,
	  .thread = { take_batch, take_put, any_keep }, .check = two_left, .stale = 2);

/* ---- exactly that frame; the count is 0 while a free is half-way ---- */

static void exact(uint32_t f)
{
	if (bitmap_claim_mask(&b, f / WORD_BITS, (uint64_t)1 << (f % WORD_BITS))) {
		took(f, 1);
		release(f, 0);
	}
}
static void exact_64(void) { exact(64); }
static void exact_keep(void) { if (bitmap_claim_mask(&b, 0, 1)) took(0, 1); }
CK_CLIENT(bitmap_exact, .what = "exact claims against takers with promises", .setup = two_free,
	  .thread = { exact_64, take_keep, exact_keep, any_keep }, .check = two_left, .stale = 1);

/* ---- the run hint of an entry: no run of bits has a larger order ---- */

/* A run is freed in a word that the search has passed, and another is taken where it comes to: the entry looks as before. */
static void run_in_word_1(void)
{
	make();
	ck_assert(bitmap_free_mask(&b, 1, 3) == 2, "not freed");
}
static void keep_order(unsigned order)
{
	uint32_t f = bitmap_claim(&b, 0, order, BLOCK_FRAMES);

	if (f != NO_FRAME)
		took(f, 1u << order);
}
static void keep_pair(void) { keep_order(1); }
static void keep_words(void) { keep_order(7); }
static void run_moves(void)
{
	ck_assert(bitmap_free_mask(&b, 0, 3) == 2, "not freed");
	if (bitmap_claim_mask(&b, 1, 3))
		took(64, 2);
}
CK_CLIENT(bitmap_run_moves, .what = "a run moves past a search that then lowers the hint", .setup = run_in_word_1,
	  .thread = { keep_pair, run_moves }, .check = books, .stale = 1);

/* All of a count was promised, and is filled with smaller runs that come meanwhile: the larger run is what is left. */
static void free_two(void) { ck_assert(bitmap_free_mask(&b, 0, 5) == 2, "not freed"); }
static void four_in_word_1(void)
{
	make();
	ck_assert(bitmap_free_mask(&b, 1, 15) == 4, "not freed");
}
static unsigned take_two_runs(uint32_t f[2])
{
	unsigned n = bitmap_take_runs(&b, 0, 1, 2, f);

	for (unsigned i = 0; i < n; i++)
		took(f[i], 2);
	return n;
}
static void take_pairs(void) { uint32_t f[2]; take_two_runs(f); }
static void free_pairs(void) { ck_assert(bitmap_free_mask(&b, 0, 0x33) == 4, "not freed"); }
CK_CLIENT(bitmap_run_left, .what = "a promise of all is filled with smaller runs, and the larger one is left",
	  .setup = four_in_word_1, .thread = { take_pairs, free_pairs }, .check = books, .stale = 1);
CK_CLIENT(bitmap_run_left_any, .what = "the same by two that take any frame", .setup = run_in_word_1,
	  .thread = { any_keep, any_keep, free_two }, .check = books, .stale = 1);

/* ---- the frames of two words come back with one change of the count ---- */

static void run_in_word_2(void)
{
	make();
	ck_assert(bitmap_free_mask(&b, 2, 3) == 2, "not freed");
}
static void free_together(void)
{
	unsigned run = 0, n = bitmap_set_mask(&b, 0, 3, &run);

	n += bitmap_set_mask(&b, 1, 1, &run);
	ck_assert(n == 3 && bitmap_count_in(&b, 0, n, run), "not freed");
}
CK_CLIENT(bitmap_together, .what = "two words are counted together while a run is searched and frames are taken",
	  .setup = run_in_word_2, .thread = { free_together, keep_pair, take_keep }, .check = books, .stale = 1);

/* ---- one pass is not enough: a frame moves past the scan ---- */
CK_CLIENT(bitmap_scan, .what = "a frame freed behind a scan that holds a promise", .setup = two_free,
	  .thread = { any_keep, take_put, exact_64 }, .check = two_left, .stale = 2);

/*
 * A promise holder scans past a word, a frame is freed there, and somebody else takes the frame that was further on. That
 * is one success of another: at the end of its second turn at the latest the holder has found the freed frame. Who
 * clears a bit hands on what his promise showed him, whatever way he clears it.
 */
#define TURN BLOCK_WORDS
#define TWO_TURNS (10u + TURN + 2u) /* steps: the promise, a turn, the first word again */
enum { FOUND };

static void scan(void)
{
	unsigned before = ck_steps(ck_self()), n;
	uint32_t f;

	f = bitmap_claim_any(&b, 0);
	n = ck_steps(ck_self()) - before;
	if (f != NO_FRAME)
		took(f, 1);
	ck_assert(n <= TWO_TURNS, "%u steps for a frame, and only one was taken by another", n);
	ck_note_set(FOUND, 1);
}
static void free_0(void) { release(0, 0); }
static void moved_setup(void) { make(); bitmap_fill(&b, 128, 129); ck_own_take(0); }
static void moved_pair(void) { make(); bitmap_fill(&b, 128, 130); ck_own_take(0); }
static void moved_words(void) { make(); bitmap_fill(&b, 128, 256); ck_own_take(0); }
static void keep_128(void) { if (bitmap_claim_mask(&b, 2, 1)) took(128, 1); }
static void keep_batch(void)
{
	uint32_t word;
	uint64_t m = bitmap_take(&b, 0, 1, 2, &word);

	if (m)
		took(word * WORD_BITS + bits_lowest(m), 1);
}
CK_CLIENT(bitmap_turns_exact, .what = "a scan's turns while an exact claim takes what it passes", .setup = moved_setup,
	  .thread = { scan, free_0, keep_128 }, .check = books, .stale = 2);
CK_CLIENT(bitmap_turns_batch, .what = "the same, taken by a refill", .setup = moved_setup,
	  .thread = { scan, free_0, keep_batch }, .check = books, .stale = 2);
static void keep_runs(void)
{
	uint32_t f;

	if (bitmap_take_runs(&b, 0, 1, 1, &f))
		took(f, 2);
}
CK_CLIENT(bitmap_turns_runs, .what = "the same, taken as a run", .setup = moved_pair,
	  .thread = { scan, free_0, keep_runs }, .check = books, .stale = 2);
CK_CLIENT(bitmap_turns_pair, .what = "the same, taken by order 1", .setup = moved_pair,
	  .thread = { scan, free_0, keep_pair }, .check = books, .stale = 2);
CK_CLIENT(bitmap_turns_words, .what = "the same, taken by order 7", .setup = moved_words,
	  .thread = { scan, free_0, keep_words }, .check = books, .stale = 2);

/* By another scan: it began while nothing was free, so that it has to look word by word as well. */
static void moved_later(void) { make(); ck_own_take(0); ck_own_take(128); }
static bool scanning(void *ctx) { (void)ctx; return ck_note(FOUND) || ck_steps(0) >= 4; }
static void free_128_0(void)
{
	release(128, 0);
	ck_block(scanning, NULL);
	release(0, 0);
}
CK_CLIENT(bitmap_turns_scan, .what = "the same, taken by a second scan", .setup = moved_later,
	  .thread = { scan, free_128_0, keep_batch }, .check = books, .stale = 2);

/* ---- huge blocks ---- */

static void one_missing(void)
{
	make();
	bitmap_fill(&b, 0, 511);
}
static void free_last(void)
{
	ck_own_take(511);
	release(511, 0);
}
static void claim_huge(void)
{
	if (bitmap_claim_blocks(&b, 0, 1)) {
		took(0, BLOCK_FRAMES);
		gives(0, BLOCK_FRAMES);
		ck_assert(bitmap_free_blocks(&b, 0, 1), "free of a huge block refused");
	}
}
CK_CLIENT(bitmap_close, .what = "the 512th free, a claim of the block, a taker", .setup = one_missing,
	  .thread = { free_last, claim_huge, take_keep }, .check = books, .stale = 2);

/* 511 frames stay free while somebody stops inside the free of the 512th, or a claim of one: never "no memory". */
static void must_find(void)
{
	uint32_t f = bitmap_claim_any(&b, 0);

	ck_assert(f != NO_FRAME, "no memory with hundreds of frames free");
	took(f, 1);
}
static void park_check(void) {}
CK_CLIENT(bitmap_close_parked, .what = "a stopped freer of the 512th frame hides nothing",
	  .setup = one_missing, .thread = { free_last, must_find }, .park = 1, .check = park_check,
	  .stale = 2);
static void all_free(void)
{
	make();
	bitmap_fill(&b, 0, 512);
}
CK_CLIENT(bitmap_open_parked, .what = "a stopped taker of the first frame hides nothing", .setup = all_free,
	  .thread = { take_keep, must_find }, .park = 1, .check = park_check, .stale = 2);

/* A freer that stops between its two steps leaves no promise that cannot be filled. */
static void none_free(void) { make(); ck_own_take(5); }
static void free_5(void) { release(5, 0); }
CK_CLIENT(bitmap_free_parked, .what = "a taker ends when a freer stops", .setup = none_free,
	  .thread = { free_5, take_keep, any_keep }, .park = 1, .check = park_check, .stale = 2);

static void two_blocks(void)
{
	make();
	bitmap_fill(&b, 0, 1024);
}
static void claim_order10(void)
{
	if (bitmap_claim_blocks(&b, 0, 2)) {
		took(0, 1024);
		gives(0, 1024);
		ck_assert(bitmap_free_blocks(&b, 0, 2), "free refused");
	}
}
static void claim_second(void)
{
	if (bitmap_claim_blocks(&b, 1, 1)) {
		took(512, 512);
		gives(512, 512);
		ck_assert(bitmap_free_blocks(&b, 1, 1), "free refused");
	}
}
static void take_second(void) { uint32_t f = take_one(1); if (f != NO_FRAME) release(f, 0); }
static void all_whole(void) { books(); ck_assert(free_frames() == 1024, "%u free of 1024", free_frames()); }
CK_CLIENT(bitmap_huge_pair, .what = "order 10, order 9 and a base frame of it", .setup = two_blocks,
	  .thread = { claim_order10, claim_second, take_second }, .check = all_whole, .stale = 2);

/* a huge frame in parts: opened by its one owner, then freed by two */
static struct ramka_atomic_u32 opened;
static void split_setup(void)
{
	make();
	opened.value = 0;
	bitmap_fill(&b, 0, 512);
	bitmap_claim_blocks(&b, 0, 1);
	took(0, 512);
}
static void split_owner(void)
{
	bitmap_open_block(&b, 0);
	ramka_store(&opened, 1, release, test.opened);
	release(0, 6);
}
static void split_part(void)
{
	if (ramka_load(&opened, acquire, test.opened))
		release(128, 7);
}
static void split_taker(void) { uint32_t f = bitmap_claim_any(&b, 0); if (f != NO_FRAME) took(f, 1); }
CK_CLIENT(bitmap_split, .what = "the parts of a huge frame freed by two, taken by a third",
	  .setup = split_setup, .thread = { split_owner, split_part, split_taker }, .check = books,
	  .stale = 2);

/* the parts of a block back in one hand: claimed whole again, and freed as one, beside the others of its word */
static void join_setup(void)
{
	make();
	bitmap_fill(&b, 0, 1024);
	bitmap_claim_blocks(&b, 0, 1);
	took(0, 512);
	bitmap_open_block(&b, 0);
}
static void join_owner(void)
{
	bitmap_close_block(&b, 0);
	gives(0, 512);
	ck_assert(bitmap_free_blocks(&b, 0, 1), "free refused");
}
static void join_taker(void) { uint32_t f = bitmap_claim_any(&b, 0); if (f != NO_FRAME) { took(f, 1); release(f, 0); } }
static void join_neighbour(void)
{
	if (bitmap_claim_blocks(&b, 1, 1)) {
		took(512, 512);
		gives(512, 512);
		ck_assert(bitmap_free_blocks(&b, 1, 1), "free refused");
	}
}
CK_CLIENT(bitmap_join, .what = "the parts of a huge frame are joined and freed, beside its neighbours", .setup = join_setup,
	  .thread = { join_owner, join_taker, join_neighbour }, .check = all_whole, .stale = 2);


/* ---- whole blocks are reported ---- */

enum { REPORTED = FOUND + 1, TAKEN };

static void report_setup(void) { all_free(); }
static void reporter(void)
{
	if (!bitmap_claim_unreported(&b, 0, 1))
		return;
	took(0, BLOCK_FRAMES);
	gives(0, BLOCK_FRAMES); /* the embedder may have discarded it: nobody else had it */
	bitmap_free_unreported(&b, 0, 1, true);
	ck_note_set(REPORTED, 1);
}
/* what is taken after it was reported is unreported when it comes back */
static void taker_of_reported(void)
{
	bool reported = ck_note(REPORTED);
	uint32_t f = take_one(0);

	if (f == NO_FRAME)
		return;
	if (reported)
		ck_note_set(TAKEN, 1);
	release(f, 0);
}
static void claimer_of_reported(void)
{
	bool reported = ck_note(REPORTED);

	if (!bitmap_claim_blocks(&b, 0, 1))
		return;
	if (reported)
		ck_note_set(TAKEN, 1);
	took(0, BLOCK_FRAMES);
	gives(0, BLOCK_FRAMES);
	ck_assert(bitmap_free_blocks(&b, 0, 1), "free refused");
}
static void reported_once(void)
{
	books();
	ck_assert(free_frames() == BLOCK_FRAMES, "%u free of 512", free_frames());
	ck_assert(!ck_note(TAKEN) || bitmap_entry(&b, 0) == ENTRY_FULL, "taken since it was reported, and reported still");
	ck_assert(bitmap_entry(&b, 0) == ENTRY_FULL || bitmap_claim_unreported(&b, 0, 1) == 0, "reported twice");
	ck_assert(bitmap_claim_blocks(&b, 0, 1), "cannot be taken any more");
}
CK_CLIENT(bitmap_report, .what = "a block is reported beside a claim of it and of a frame of it", .setup = report_setup,
	  .thread = { reporter, taker_of_reported, claimer_of_reported }, .check = reported_once, .stale = 2);
CK_CLIENT(bitmap_report_last, .what = "the same, beside the 512th free and a second reporter", .setup = one_missing,
	  .thread = { free_last, reporter, reporter }, .check = reported_once, .stale = 2);

static void report_pair(void)
{
	uint32_t n = bitmap_claim_unreported(&b, 0, 2);

	took(0, n * BLOCK_FRAMES);
	gives(0, n * BLOCK_FRAMES);
	if (n)
		bitmap_free_unreported(&b, 0, n, true);
}
CK_CLIENT(bitmap_report_pair, .what = "two blocks are reported beside a claim of both and of one", .setup = two_blocks,
	  .thread = { report_pair, claim_order10, claim_second }, .check = all_whole, .stale = 2);

/* ---- orders 7, 8: several words, undone by setting what was cleared ---- */

static void order8_setup(void)
{
	make();
	bitmap_fill(&b, 0, 320); /* more than one of order 8: a claim of it does not promise all */
}
static void claim_order(unsigned order)
{
	uint32_t f = bitmap_claim(&b, 0, order, BLOCK_FRAMES);

	if (f != NO_FRAME) {
		took(f, 1u << order);
		release(f, order);
	}
}
static void claim_order8(void) { claim_order(8); }
static void claim_order7(void) { claim_order(7); }
static void claim_order1(void) { claim_order(1); }
static void exact_255(void) { exact(255); }
static void all_320(void) { books(); ck_assert(free_frames() == 320, "%u free of 320", free_frames()); }
CK_CLIENT(bitmap_words, .what = "order 8 with undo, order 7, one frame of it", .setup = order8_setup,
	  .thread = { claim_order8, claim_order7, exact_255 }, .check = all_320, .stale = 1);
/* a unique frame is freed by two at once, which its slot does not always tell: one of them is refused */
enum { FREED = TAKEN + 1 };
static void words_twice(unsigned order)
{
	if (bitmap_free(&b, 64u << (order - WORD_ORDER), order))
		ck_note_add(FREED, 1);
}
static void free_64_6(void) { words_twice(6); }
static void free_128_7(void) { words_twice(7); }
static void take_any_keep(void)
{
	uint32_t f = take_one(0);

	ck_assert(f == NO_FRAME || f >= 64, "frame %u was never free", f);
}
static void freed_once(void)
{
	books();
	ck_assert(ck_note(FREED) == 1, "%u calls freed the frame", (unsigned)ck_note(FREED));
}
CK_CLIENT(bitmap_words_twice, .what = "a word is freed by two, and a frame of it taken", .setup = make,
	  .thread = { free_64_6, free_64_6, take_any_keep }, .check = freed_once, .stale = 1);
CK_CLIENT(bitmap_order7_twice, .what = "the same of order 7", .setup = make,
	  .thread = { free_128_7, free_128_7, take_any_keep }, .check = freed_once, .stale = 1);

/* a search lowers the hint while the bits of a run are cleared, and then they are set again */
static void keep_255(void) { if (bitmap_claim_mask(&b, 3, (uint64_t)1 << 63)) took(255, 1); }
CK_CLIENT(bitmap_run_undone, .what = "an undo while a search lowers the hint", .setup = order8_setup,
	  .thread = { claim_order8, keep_255, keep_words }, .check = books, .stale = 1);

static void pair_setup(void) { make(); bitmap_fill(&b, 0, 1); bitmap_fill(&b, 64, 66); }
static void three_left(void) { books(); ck_assert(free_frames() + held == 3, "%u frames of 3", free_frames() + held); }
CK_CLIENT(bitmap_pair, .what = "order 1 against an exact claim of a half of it", .setup = pair_setup,
	  .thread = { claim_order1, exact_64, take_keep }, .check = three_left, .stale = 2);
static void order1_setup(void) { make(); bitmap_fill(&b, 0, 1); }
static void free_buddy(void) { ck_own_take(1); release(1, 0); }
CK_CLIENT(bitmap_merge, .what = "order 1 while its buddy is freed and one is taken", .setup = order1_setup,
	  .thread = { keep_pair, free_buddy, take_put }, .check = books, .stale = 2);

/* several runs at a time */
static void runs_setup(void) { make(); bitmap_fill(&b, 0, 3); bitmap_fill(&b, 64, 66); ck_own_take(3); }
static void take_runs(void)
{
	uint32_t f[2];
	unsigned n = take_two_runs(f);

	for (unsigned i = 0; i < n; i++)
		release(f[i], 1);
}
static void free_3(void) { release(3, 0); }
static void all_6(void) { books(); ck_assert(free_frames() + held == 6, "%u frames of 6", free_frames() + held); }
CK_CLIENT(bitmap_runs, .what = "two runs by one promise, while a run grows", .setup = runs_setup,
	  .thread = { take_runs, free_3, take_keep }, .check = all_6, .stale = 2);
CK_CLIENT(bitmap_runs_pair, .what = "a run against an exact claim of a half of it", .setup = pair_setup,
	  .thread = { keep_runs, exact_64, take_keep }, .check = books, .stale = 2);
CK_CLIENT(bitmap_runs_twice, .what = "two that take runs", .setup = runs_setup,
	  .thread = { take_runs, take_runs }, .check = all_6, .stale = 2);

/* whole blocks of one quad, by one CAS */
static void two_whole(void) { make(); bitmap_fill(&b, 0, 2 * BLOCK_FRAMES); }
static void entries(unsigned want, unsigned nr)
{
	unsigned got = bitmap_claim_quad(&b, 0, want, nr);

	bitmap_unhint(&b, 0, got);
	for (uint32_t i = 0; i < QUAD_BLOCKS; i++)
		if (got >> i & 1)
			took(i * BLOCK_FRAMES, BLOCK_FRAMES);
	for (uint32_t i = 0; i < QUAD_BLOCKS; i++)
		if (got >> i & 1)
			gives(i * BLOCK_FRAMES, BLOCK_FRAMES);
	ck_assert(!got || bitmap_free_quad(&b, 0, got), "free of blocks %#x refused", got);
	bitmap_hint(&b, 0, got);
}
static void singles(void) { entries(0xf, 1); }
static void couple(void) { entries(0xf, 2); }
static void both_whole(void) { books(); ck_assert(free_frames() == 2 * BLOCK_FRAMES, "%u frames of 1024", free_frames()); }
CK_CLIENT(bitmap_lanes, .what = "single blocks and pairs by one CAS", .setup = two_whole,
	  .thread = { singles, couple }, .check = both_whole, .stale = 2);
CK_CLIENT(bitmap_lanes_take, .what = "the same while a frame of them is taken", .setup = two_whole,
	  .thread = { singles, take_put }, .check = both_whole, .stale = 2);

/* all frames of whole blocks by one CAS, and a block of them back as one */
static void take_all(void)
{
	unsigned got = bitmap_take_blocks(&b, 0, 3);

	for (uint32_t i = 0; i < 2; i++)
		if (got >> i & 1)
			took(i * BLOCK_FRAMES, BLOCK_FRAMES);
	for (uint32_t i = 0; i < 2; i++)
		if (got >> i & 1) {
			gives(i * BLOCK_FRAMES, BLOCK_FRAMES);
			ck_assert(bitmap_free_all(&b, i), "free of block %u refused", i);
		}
}
static void take_all_halves(void)
{
	unsigned got = bitmap_take_blocks(&b, 0, 1);

	if (got) {
		took(0, BLOCK_FRAMES);
		release(0, 8);
		release(BLOCK_FRAMES / 2, 8);
	}
}
CK_CLIENT(bitmap_all, .what = "all frames of two blocks taken and freed as whole blocks, by two",
	  .setup = two_whole, .thread = { take_all, take_all }, .check = both_whole, .stale = 2);
CK_CLIENT(bitmap_all_take, .what = "the same while a frame of them is taken", .setup = two_whole,
	  .thread = { take_all, take_put }, .check = both_whole, .stale = 2);
CK_CLIENT(bitmap_all_parts, .what = "a block taken as frames and freed in halves, while whole blocks are claimed",
	  .setup = two_whole, .thread = { take_all_halves, singles }, .check = both_whole, .stale = 2);

/* ---- hints ---- */

static void one_free(void) { make(); bitmap_fill(&b, 0, 1); }
static void free_other(void) { ck_own_take(5); release(5, 0); }
CK_CLIENT(bitmap_hints, .what = "the last frame is taken while another is freed", .setup = one_free,
	  .thread = { take_keep, free_other, take_put }, .check = books, .stale = 2);
static void fix(void) { bitmap_fix_hints(&b, 0); }
CK_CLIENT(bitmap_hints_fix, .what = "a search corrects hints while they change", .setup = one_free,
	  .thread = { take_keep, free_other, fix }, .check = books, .stale = 2);
CK_CLIENT(bitmap_hints_whole, .what = "hints of whole blocks", .setup = one_missing,
	  .thread = { free_last, take_put, fix }, .check = books, .stale = 2);

/* two levels: a search forgets a word of hints that has become empty, while another block of it gets its first frame */
#define FAR 64u
static void levels(void)
{
	make_blocks(128);
	origin = FAR * BLOCK_FRAMES;
	bitmap_fill(&b, FAR * BLOCK_FRAMES, FAR * BLOCK_FRAMES + 1);
	ck_own_take(3 * BLOCK_FRAMES);
}
static void take_far(void) { take_one(FAR); }
static void take_put_far(void) { uint32_t f = take_one(FAR); if (f != NO_FRAME) release(f, 0); }
#define WIDE 4096u /* a search among few blocks forgets nothing */
static void search(void) { hints_next(&b.some, 0, WIDE); }
static void free_far(void) { release((FAR + 3) * BLOCK_FRAMES, 0); }
static void reachable(void)
{
	uint32_t block = hints_next(&b.some, 0, blocks);

	books();
	ck_assert(!free_frames() || block != NO_BLOCK, "%u frames free, and a search by hints finds nothing",
			free_frames());
}
CK_CLIENT(bitmap_hints_levels, .what = "a search forgets a word of hints while one of its blocks fills",
	  .setup = levels, .thread = { take_far, free_far, search }, .check = reachable, .stale = 2);
CK_CLIENT(bitmap_hints_searches, .what = "two searches forget a word of hints while its block empties and fills",
	  .setup = levels, .thread = { take_put_far, search, search }, .check = reachable, .stale = 2);
