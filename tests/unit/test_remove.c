/* SPDX-License-Identifier: MIT */
/*
 * Memory that is removed: it is a hole then, whose metadata may lose its backing; refusals change nothing; broken frames
 * survive; and it comes back, in parts of any size.
 */
#include "../slow.h"
#include "fixture.h"

#define BLOCK (2 * MIB)

static struct fixture *open_big(uint64_t size, uint32_t flags)
{
	struct fixture *f = fixture_open((struct spec){ .size = size, .flags = flags, .nr_cpus = 3 });

	f->grown = true;
	return f;
}

static int add(struct fixture *f, ramka_paddr_t base, uint64_t size)
{
	return ramka_add_memory(f->r, &(struct ramka_region){ base, size, RAMKA_USABLE, 0 });
}

static void remove_range(struct fixture *f, ramka_paddr_t base, uint64_t size)
{
	assert_int_equal(ramka_isolate(f->cpu[0], base, size), 0);
	assert_int_equal(ramka_remove_memory(f->cpu[1], base, size), 0);
}

/* Everything that can be had, by CPU 0, and given back by CPU 1: nothing of [base, base + size). How many. */
static uint64_t have_all(struct fixture *f, uint64_t most, ramka_paddr_t base, uint64_t size)
{
	struct ramka_frame **all = frame_table(most + 1);
	size_t n = alloc_all(f->cpu[0], UNINIT, all, most + 1);

	for (size_t i = 0; i < n; i++)
		assert_false(ramka_frame_paddr(f->r, all[i]) - base < size);
	put_all(f->cpu[1], all, n);
	free(all);
	return n;
}

/* ---- a hole ---- */

static void is_hole(struct fixture *f, ramka_paddr_t pa)
{
	struct ramka_frame *p;
	struct ramka_unique *u;

	assert_int_equal(state_at(f, pa), RAMKA_STATE_HOLE);
	assert_int_equal(ramka_frame_state_at(f->r, pa), RAMKA_STATE_HOLE);
	assert_null(ramka_frame_head(f->r, pa));
	assert_null(ramka_frame_at(f->r, pa).frame);
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &p), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &ramka_type_untyped, NULL, &p), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], pa, &ramka_type_untyped, NULL, &u), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_claim(f->cpu[0], pa, 0, &ramka_type_untyped, NULL, &p, NULL), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_set_bad(f->cpu[0], pa), RAMKA_E_OUT_OF_BOUND);
}

/* The pages that hold metadata of this hole alone, to `prot`; when they come back, with this byte. How many bytes. */
static size_t back(struct fixture *f, ramka_paddr_t base, uint64_t size, int prot, int byte)
{
	struct ramka_metadata_part part[RAMKA_METADATA_PARTS];
	unsigned n = ramka_metadata_of(f->r, base, size, part);
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		uintptr_t from = align_up((uintptr_t)part[i].base, PAGE), to = align_down((uintptr_t)part[i].base + part[i].size, PAGE);

		if (from >= to)
			continue;
		bytes += to - from;
		assert_int_equal(mprotect((void *)from, to - from, prot), 0);
		if (prot != PROT_NONE)
			memset((void *)from, byte, to - from);
	}
	return bytes;
}

static void a_hole_without_backing(void **state)
{
	static const uint32_t flags[] = { 0, RAMKA_METADATA_ZEROED, RAMKA_TRACE, RAMKA_TRACE | RAMKA_METADATA_ZEROED };
	const ramka_paddr_t at = BASE + 64 * MIB;
	const uint64_t size = 256 * MIB, all = 512 * MIB / PAGE, rest = all - size / PAGE;

	(void)state;
	for (unsigned i = 0; i < NELEMS(flags); i++) {
		struct fixture *f = open_big(512 * MIB, flags[i]);
		struct ramka_stats before = stats(f);

		assert_int_equal(have_all(f, all, 0, 0), all);
		remove_range(f, at, size);
		assert_int_equal(stats(f).total, rest);
		assert_int_equal(stats(f).free, rest);
		assert_int_equal(stats(f).isolated, 0);
		assert_int_equal(ramka_load(&f->r->shut, relaxed, stat), 0);
		/* slots, owner metadata and at least a page of bits */
		assert_true(back(f, at, size, PROT_NONE, 0) >= size / PAGE * 16 + PAGE);
		AUDIT(f);
		assert_int_equal(tally(f).state[RAMKA_STATE_HOLE], size / PAGE);
		for (ramka_paddr_t pa = at; pa < at + size; pa += 61 * PAGE)
			is_hole(f, pa);
		is_hole(f, at + size - PAGE);
		assert_int_equal(have_all(f, all, at, size), rest);
		for (unsigned order = 1; order <= RAMKA_MAX_ORDER; order++) {
			struct ramka_frame *some[600];
			size_t n = alloc_all(f->cpu[order % 3], order_req(order), some, NELEMS(some));

			assert_true(n || order > 15);
			put_all(f->cpu[0], some, n);
		}
		ramka_drain(f->r);
		AUDIT(f);
		back(f, at, size, PROT_READ | PROT_WRITE, flags[i] & RAMKA_METADATA_ZEROED ? 0 : 0xa5);
		assert_int_equal(add(f, at, size), 0);
		AUDIT(f);
		assert_int_equal(stats(f).total, before.total);
		assert_int_equal(stats(f).free, before.free);
		assert_int_equal(stats(f).free_huge, before.free_huge);
		assert_int_equal(have_all(f, all, 0, 0), all);
		/* and once more, its metadata left alone */
		remove_range(f, at, size);
		assert_int_equal(add(f, at, size), 0);
		assert_int_equal(have_all(f, all, 0, 0), all);
		CLOSE(f);
	}
}

/* Sizes that follow the memory follow it down as well. */
static void sizes_follow(void **state)
{
	struct fixture *f = open_big(GIB, RAMKA_NO_DIRECT_MAP);
	struct fixture *small = open_big(64 * MIB, RAMKA_NO_DIRECT_MAP);

	(void)state;
	remove_range(f, BASE + 64 * MIB, GIB - 64 * MIB);
	assert_int_equal(ramka_load(&f->r->batch, relaxed, stat), ramka_load(&small->r->batch, relaxed, stat));
	assert_int_equal(ramka_load(&f->r->high_water, relaxed, stat), ramka_load(&small->r->high_water, relaxed, stat));
	assert_int_equal(ramka_load(&f->r->rows_max, relaxed, stat), ramka_load(&small->r->rows_max, relaxed, stat));
	CLOSE(small);
	CLOSE(f);
}

/* ---- refusals ---- */

static void refused(struct fixture *f, ramka_paddr_t base, uint64_t size, int rc, const char *what)
{
	struct ramka_why why;

	assert_int_equal(ramka_remove_memory_why(f->cpu[0], base, size, &why), rc);
	assert_int_equal(why.error, rc);
	assert_string_equal(why.what, what);
	assert_int_equal(ramka_remove_memory(f->cpu[0], base, size), rc);
}

static void bad_input(void **state)
{
	struct fixture *f = open_big(16 * MIB, 0);
	const char *no_range = "no CPU, or a range that is empty or too long", *nothing = "no memory of this instance lies here",
		   *open = "not all of this is isolated", *cut = "this cuts a page, or a 2 MiB block that has more memory";
	struct ramka_why why;

	(void)state;
	assert_int_equal(ramka_remove_memory(NULL, BASE, BLOCK), RAMKA_E_INVAL);
	assert_int_equal(ramka_remove_memory_why(NULL, BASE, BLOCK, &why), RAMKA_E_INVAL);
	refused(f, BASE, 0, RAMKA_E_INVAL, no_range);
	refused(f, BASE, UINT64_MAX - PAGE + 1, RAMKA_E_INVAL, no_range);
	refused(f, BASE + 1, BLOCK, RAMKA_E_NOT_ALIGNED, cut);
	refused(f, BASE, BLOCK + 1, RAMKA_E_NOT_ALIGNED, cut);
	refused(f, BASE + PAGE, BLOCK, RAMKA_E_NOT_ALIGNED, cut);
	refused(f, BASE, BLOCK - PAGE, RAMKA_E_NOT_ALIGNED, cut);
	refused(f, BASE - BLOCK, BLOCK, RAMKA_E_OUT_OF_BOUND, nothing);
	refused(f, BASE + 14 * MIB, 2 * BLOCK, RAMKA_E_OUT_OF_BOUND, nothing);
	/* in the wrong order */
	refused(f, BASE, BLOCK, RAMKA_E_UNUSED, open);
	assert_int_equal(add(f, BASE, BLOCK), RAMKA_E_IN_USE);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, 2 * BLOCK), 0);
	assert_int_equal(add(f, BASE + BLOCK, BLOCK), RAMKA_E_IN_USE);
	/* overlapping: all or nothing */
	refused(f, BASE, 2 * BLOCK, RAMKA_E_UNUSED, open);
	refused(f, BASE + BLOCK, 3 * BLOCK, RAMKA_E_UNUSED, open);
	assert_int_equal(stats(f).isolated, 1024);
	assert_true(changing_begin(f->r));
	refused(f, BASE + BLOCK, BLOCK, RAMKA_E_BUSY, "another call adds, removes or claims memory");
	changing_end(f->r);
	/* a part of what is isolated, then the rest, and twice */
	assert_int_equal(ramka_remove_memory_why(f->cpu[0], BASE + BLOCK, BLOCK, &why), 0);
	assert_null(why.what);
	refused(f, BASE + BLOCK, BLOCK, RAMKA_E_OUT_OF_BOUND, nothing);
	assert_int_equal(ramka_isolate(f->cpu[0], BASE + BLOCK, BLOCK), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_unisolate(f->cpu[0], BASE + BLOCK, BLOCK), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_remove_memory(f->cpu[0], BASE + BLOCK, 2 * BLOCK), 0); /* over a hole */
	AUDIT(f);
	assert_int_equal(add(f, BASE + BLOCK, 2 * BLOCK + PAGE), RAMKA_E_IN_USE);
	assert_int_equal(ramka_add_memory(f->r, &(struct ramka_region){ BASE + BLOCK, BLOCK, RAMKA_USABLE, 1 }), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(add(f, BASE + BLOCK, 2 * BLOCK), 0);
	assert_int_equal(add(f, BASE + BLOCK, 2 * BLOCK), RAMKA_E_IN_USE);
	f->grown = false;
	CLOSE(f);
}

/* What is in use is named, whatever holds it; then all is isolated as before. */
static void what_is_in_use_stays(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 10; order++) {
		struct fixture *f = open_big(16 * MIB, 0);
		struct ramka_frame *p = must_alloc(f->cpu[0], order_req(order));
		ramka_paddr_t pa = ramka_frame_paddr(f->r, p), other = pa < BASE + 8 * MIB ? BASE + 8 * MIB : BASE;
		struct ramka_unique *u;
		struct ramka_why why;

		assert_int_equal(ramka_isolate(f->cpu[0], BASE, 16 * MIB), 0);
		assert_int_equal(ramka_remove_memory_why(f->cpu[1], BASE, 16 * MIB, &why), RAMKA_E_IN_USE);
		assert_int_equal(why.paddr, pa);
		assert_ptr_equal(why.type, &ramka_type_untyped);
		assert_int_equal(stats(f).isolated, 16 * MIB / PAGE - (1u << order));
		AUDIT(f);
		assert_int_equal(ramka_unique_claim(f->cpu[2], other + 3 * PAGE, 0, &ramka_type_untyped, NULL, &u, NULL), 0);
		assert_int_equal(ramka_remove_memory_why(f->cpu[1], other, BLOCK, &why), RAMKA_E_IN_USE);
		assert_int_equal(why.paddr, other + 3 * PAGE);
		ramka_unique_free(f->cpu[2], u);
		ramka_frame_put(f->cpu[2], p);
		assert_int_equal(ramka_remove_memory(f->cpu[1], pa / BLOCK * BLOCK, order > 9 ? 2 * BLOCK : BLOCK), 0);
		assert_int_equal(add(f, pa / BLOCK * BLOCK, order > 9 ? 2 * BLOCK : BLOCK), 0);
		assert_int_equal(ramka_isolate(f->cpu[0], BASE, 16 * MIB), RAMKA_E_IN_USE);
		assert_int_equal(ramka_unisolate(f->cpu[0], other, 8 * MIB), 0);
		f->grown = true;
		for (ramka_paddr_t at = BASE; at < BASE + 16 * MIB; at += BLOCK)
			if (at != pa / BLOCK * BLOCK && (order <= 9 || at != pa / BLOCK * BLOCK + BLOCK))
				ramka_unisolate(f->cpu[0], at, BLOCK);
		CLOSE(f);
	}
}

/* A CPU inside a call has free frames of it: not now. */
static void what_is_cached_stays(void **state)
{
	struct fixture *f = open_big(8 * MIB, 0);
	struct ramka_frame *p = must_alloc(f->cpu[1], UNINIT);
	ramka_paddr_t block = ramka_frame_paddr(f->r, p) / BLOCK * BLOCK;

	(void)state;
	ramka_frame_put(f->cpu[1], p);
	interrupt_begin(f->cpu[1]);
	assert_int_equal(ramka_isolate(f->cpu[0], block, BLOCK), 0);
	refused(f, block, BLOCK, RAMKA_E_BUSY, "a free frame is cached by a CPU that could not be stopped, or just moves");
	interrupt_end(f->cpu[1]);
	AUDIT(f);
	assert_int_equal(ramka_remove_memory(f->cpu[0], block, BLOCK), 0); /* drains by itself */
	AUDIT(f);
	assert_int_equal(have_all(f, 2048, block, BLOCK), 3 * 512);
	assert_int_equal(add(f, block, BLOCK), 0);
	CLOSE(f);
}

/* ---- broken frames ---- */

static void broken_frames_survive(void **state)
{
	(void)state;
	for (unsigned zeroed = 0; zeroed < 2; zeroed++) {
		const ramka_paddr_t at = BASE + 64 * MIB, bad[] = { at, at + 100 * MIB + 7 * PAGE, at + 100 * MIB + 9 * PAGE, at + 128 * MIB - PAGE };
		const uint64_t size = 128 * MIB, all = 256 * MIB / PAGE;
		struct fixture *f = open_big(256 * MIB, zeroed ? RAMKA_METADATA_ZEROED : 0);
		struct ramka_unique *u;

		assert_int_equal(ramka_frame_set_bad(f->cpu[0], bad[0]), 0);
		assert_int_equal(ramka_isolate(f->cpu[0], at, size), 0);
		assert_int_equal(ramka_frame_set_bad(f->cpu[0], bad[1]), 0); /* isolated already */
		assert_int_equal(ramka_unique_claim(f->cpu[1], bad[2], 0, &ramka_type_untyped, NULL, &u, NULL), 0);
		assert_int_equal(ramka_frame_set_bad(f->cpu[0], bad[2]), RAMKA_LATER);
		assert_int_equal(ramka_frame_set_bad(f->cpu[0], bad[3]), 0);
		assert_int_equal(ramka_remove_memory(f->cpu[0], at, size), RAMKA_E_IN_USE);
		ramka_unique_free(f->cpu[1], u);
		assert_int_equal(ramka_remove_memory(f->cpu[0], at, size), 0);
		for (unsigned round = 0; round < 2; round++) {
			ramka_paddr_t from = at;

			assert_int_equal(stats(f).bad, 4);
			assert_int_equal(stats(f).reserved, 4);
			assert_int_equal(stats(f).total, all - size / PAGE + 4);
			for (unsigned i = 0; i < NELEMS(bad); i++) { /* the metadata of all that is between them goes */
				assert_int_equal(state_at(f, bad[i]), RAMKA_STATE_RESERVED);
				back(f, from, bad[i] - from, PROT_NONE, 0);
				from = bad[i] + PAGE;
			}
			AUDIT(f);
			assert_int_equal(have_all(f, all, at, size), all - size / PAGE);
			is_hole(f, at + 100 * MIB + 8 * PAGE);
			assert_int_equal(ramka_frame_set_bad(f->cpu[0], bad[1]), 0); /* known */
			assert_int_equal(add(f, bad[1], PAGE), RAMKA_E_IN_USE);
			from = at;
			for (unsigned i = 0; i < NELEMS(bad); i++) {
				back(f, from, bad[i] - from, PROT_READ | PROT_WRITE, zeroed ? 0 : 0x5a);
				from = bad[i] + PAGE;
			}
			if (round) {
				assert_int_equal(add(f, at, size), 0);
			} else {
				assert_int_equal(add(f, at, 50 * PAGE), 0);
				assert_int_equal(add(f, at + 50 * PAGE, size - 50 * PAGE), 0);
			}
			AUDIT(f);
			assert_int_equal(stats(f).bad, 4);
			assert_int_equal(stats(f).total, all);
			for (unsigned i = 0; i < NELEMS(bad); i++) {
				assert_int_equal(have_all(f, all, bad[i], PAGE), all - 4);
				assert_int_equal(ramka_frame_set_bad(f->cpu[0], bad[i]), 0);
			}
			assert_int_equal(stats(f).bad, 4);
			if (!round)
				remove_range(f, at, size);
		}
		CLOSE(f);
	}
}

/* ---- what else may lie in a range ---- */

static const struct ramka_region odd[] = {
	{ BASE + 100 * PAGE, 4 * MIB, RAMKA_USABLE, 0 },       /* begins and ends inside a block */
	{ BASE + 8 * MIB + 3 * PAGE, 2 * MIB, RAMKA_RESERVED, 0 },
	{ BASE + 8 * MIB, 3 * PAGE, RAMKA_USABLE, 0 },
	{ BASE + 10 * MIB + 3 * PAGE, 2 * MIB - 3 * PAGE, RAMKA_RECLAIMABLE, 0 },
	{ BASE + 12 * MIB, 3 * MIB, RAMKA_USABLE, 0 },
	{ BASE + 15 * MIB, 5 * PAGE, RAMKA_DETACHED, 0 },
	{ BASE + 15 * MIB + 5 * PAGE, 2 * PAGE, RAMKA_BAD, 0 },
	{ BASE + 16 * MIB, 6 * MIB + 3 * PAGE, RAMKA_USABLE, 1 },
};

static void odd_ranges(void **state)
{
	static const uint32_t nodes[] = { 0, 1 };
	struct fixture *f = fixture_open((struct spec){ .regions = odd, .nr_regions = NELEMS(odd), .cpu_node = nodes });
	struct ramka_stats s = stats(f);
	struct ramka_metadata_part part[RAMKA_METADATA_PARTS];

	(void)state;
	f->grown = true;
	remove_range(f, BASE + BLOCK, 10 * BLOCK + 3 * PAGE); /* all but the first block, over two nodes */
	AUDIT(f);
	assert_int_equal(stats(f).total, s.total - 612 - 3 - 768 - (6 * MIB / PAGE + 3));
	assert_int_equal(stats(f).free, 412);
	assert_int_equal(stats(f).reserved, s.reserved);
	assert_int_equal(stats(f).unused, s.unused);
	assert_int_equal(state_at(f, BASE + 15 * MIB + 2 * PAGE), RAMKA_STATE_UNUSED);
	assert_int_equal(state_at(f, BASE + 10 * MIB), RAMKA_STATE_RESERVED);
	is_hole(f, BASE + 12 * MIB);
	/* what was reserved is still to be had, what went comes back */
	assert_int_equal(add(f, BASE + 8 * MIB, 4 * PAGE), RAMKA_E_IN_USE);
	assert_int_equal(add(f, BASE + 8 * MIB, 3 * PAGE), 0);
	assert_int_equal(add(f, BASE + 10 * MIB + 3 * PAGE, 5 * MIB - 3 * PAGE), 0); /* reclaimable, and what went */
	assert_int_equal(add(f, BASE + 16 * MIB, BLOCK), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_add_memory(f->r, &(struct ramka_region){ BASE + 16 * MIB, 6 * MIB + 3 * PAGE, RAMKA_USABLE, 1 }), 0);
	assert_int_equal(add(f, BASE + BLOCK, 612 * PAGE), 0);
	AUDIT(f);
	assert_int_equal(stats(f).total, s.total);
	assert_int_equal(stats(f).free, s.free + 2 * MIB / PAGE - 3);
	/* the metadata of what is no memory here */
	assert_int_equal(ramka_metadata_of(f->r, 0, BASE, part), 0);
	assert_int_equal(ramka_metadata_of(f->r, BASE, 0, part), 0);
	assert_int_equal(ramka_metadata_of(f->r, BASE, UINT64_MAX, part), 0);
	assert_int_equal(ramka_metadata_of(f->r, BASE + GIB, GIB, part), 0);
	assert_int_equal(ramka_metadata_of(NULL, BASE, GIB, part), 0);
	for (uint64_t cut = 0; cut < 2; cut++) { /* of whole frames alone */
		assert_true(ramka_metadata_of(f->r, BASE + BLOCK + cut, BLOCK - cut, part) >= 3 - cut);
		assert_ptr_equal(part[0].base, slot_at(f, BASE + BLOCK + cut * PAGE));
		assert_int_equal(part[0].size, (512 - cut) * sizeof(struct ramka_frame));
	}
	CLOSE(f);
}

/* Between the memory of two nodes there is a hole that no zone has bits for. */
static void metadata_outside_of_zones(void **state)
{
	static const struct ramka_region g[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 64 * MIB, 4 * MIB, RAMKA_USABLE, 1 } };
	struct fixture *f = fixture_open((struct spec){ .regions = g, .nr_regions = NELEMS(g), .meta_size = RAMKA_META_NONE });
	struct ramka_metadata_part part[RAMKA_METADATA_PARTS];

	(void)state;
	assert_int_equal(ramka_metadata_of(f->r, BASE + 32 * MIB, BLOCK, part), contracts_bytes() ? 2 : 1);
	assert_int_equal(part[0].size, 512 * 16);
	CLOSE(f);
}

/* ---- any order ---- */

/* Blocks go and come, in parts and by others' claims, and a table says what there must be. */
static void any_sequence(void **state)
{
	enum { BLOCKS = 16, NR = BLOCKS * 512 };

	(void)state;
	for (uint64_t round = 1; round <= 3; round++) {
		static const uint32_t flags[] = { 0, RAMKA_METADATA_ZEROED, RAMKA_CACHE_ALL };
		struct fixture *f = open_big(BLOCKS * BLOCK, flags[round % 3]);
		struct ramka_frame *held[400];
		uint16_t out[BLOCKS] = { 0 };   /* frames of each block that are out: from its first one on */
		uint64_t seed = round, total = NR;
		size_t n = 0;

		for (unsigned step = 0; step < TIMES(600); step++) {
			uint64_t dice = random_next(&seed);
			unsigned b = dice >> 8 & (BLOCKS - 1), cpu = dice >> 16 & 1;
			ramka_paddr_t at = BASE + b * BLOCK;
			int rc;

			if (dice % 4 == 0 && n < NELEMS(held)) {
				held[n] = ramka_frame_alloc(f->cpu[cpu], &ramka_type_untyped, NULL, order_req(dice >> 24 & 3));
				n += held[n] != NULL;
			} else if (dice % 4 == 1 && n) {
				size_t i = (size_t)(dice >> 24) % n;

				ramka_frame_put(f->cpu[cpu], held[i]);
				held[i] = held[--n];
			} else if (out[b]) { /* the last part that is out comes back */
				unsigned nr = 1 + (unsigned)(dice >> 24) % out[b];

				assert_int_equal(add(f, at + (out[b] - nr) * PAGE, nr * PAGE), 0);
				out[b] = (uint16_t)(out[b] - nr);
				total += nr;
			} else {
				assert_int_equal(ramka_isolate(f->cpu[cpu], at, BLOCK), 0);
				rc = ramka_remove_memory(f->cpu[!cpu], at, BLOCK);
				assert_true(!rc || rc == RAMKA_E_IN_USE);
				if (rc)
					assert_int_equal(ramka_unisolate(f->cpu[cpu], at, BLOCK), 0);
				total -= rc ? 0 : 512;
				out[b] = rc ? 0 : 512;
			}
			assert_int_equal(stats(f).total, total);
			for (unsigned i = 0; i < n; i++)
				assert_true((ramka_frame_paddr(f->r, held[i]) - BASE) / PAGE % 512 >= out[(ramka_frame_paddr(f->r, held[i]) - BASE) / BLOCK]);
			if (step % 40 == 0)
				AUDIT(f);
		}
		put_all(f->cpu[1], held, n);
		assert_int_equal(have_all(f, NR, 0, 0), total);
		for (unsigned b = 0; b < BLOCKS; b++)
			if (out[b])
				assert_int_equal(add(f, BASE + b * BLOCK, out[b] * PAGE), 0);
		f->grown = false;
		CLOSE(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hole_without_backing),
		cmocka_unit_test(sizes_follow),
		cmocka_unit_test(bad_input),
		cmocka_unit_test(metadata_outside_of_zones),
		cmocka_unit_test(what_is_in_use_stays),
		cmocka_unit_test(what_is_cached_stays),
		cmocka_unit_test(broken_frames_survive),
		cmocka_unit_test(odd_ranges),
		cmocka_unit_test(any_sequence),
	};

	return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}
