/* SPDX-License-Identifier: MIT */
/*
 * The defects that the verified original had, or was found to have, and that a C implementation must not repeat: one test
 * each, B1 to B41. What needs threads or weak memory is in tests/checker; the memory orders that B4 and B23 ask for are in
 * test_orders.c; B31, which needs a signal handler, is in test_original_host.c.
 */
#include <malloc.h>

#include "fixture.h"

struct note { uint64_t pa, n; };

static struct fixture *fixture;
static unsigned drops;
static void (*in_drop)(struct ramka_cpu *cpu, ramka_paddr_t pa);

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)meta, (void)content;
	drops++;
	if (in_drop)
		in_drop(cpu, paddr);
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 17);

static struct fixture *open_with(struct spec s)
{
	fixture = fixture_open(s);
	drops = 0;
	in_drop = NULL;
	assert_int_equal(ramka_type_register(fixture->r, &note_type), 0);
	assert_int_equal(ramka_type_register(fixture->r, &plain_type), 0);
	return fixture;
}

static const struct ramka_region with_detached[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_DETACHED, 0 } };

/* ---- B1, B25: nobody gets a frame between its last reference and its end ---- */

static void take_everything(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	static struct ramka_frame *frames[2049];
	struct ramka_frame *ret = NULL;
	size_t n;

	if (drops > 1)
		return;
	n = alloc_all(cpu, UNINIT, frames, 2049);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(ramka_frame_paddr(fixture->r, frames[i]), pa);
	assert_int_equal(ramka_frame_from_unused(cpu, pa, &plain_type, NULL, &ret), RAMKA_E_BUSY);
	assert_int_equal(ramka_frame_from_in_use(fixture->r, pa, &ret), RAMKA_E_BUSY);
	put_all(cpu, frames, n);
}

static void b01_a_frame_is_not_reused_while_its_destructor_runs(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	in_drop = take_everything;
	for (unsigned who = 0; who < 3; who++) {
		drops = 0;
		ramka_frame_put(who < 2 ? f->cpu[who] : f->none, ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT));
		assert_int_equal(drops, 1);
	}
	CLOSE(f);
}

static void b25_no_claim_by_address_comes_between_allocator_and_owner(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = with_detached, .nr_regions = 2 });
	struct ramka_frame *ret = NULL, *one;

	(void)state;
	/* a free frame may be claimed, but through the allocator, which then does not have it */
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE, &plain_type, NULL, &one), 0);
	assert_int_equal(ramka_frame_from_unused(f->cpu[1], BASE, &plain_type, NULL, &ret), RAMKA_E_IN_USE);
	in_drop = take_everything;
	ramka_frame_put(f->cpu[0], ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT));
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

/* ---- B2, B32: counts ---- */

static void b02_a_count_at_its_top_leaks_the_frame(void **state)
{
	struct fixture *f;
	struct ramka_frame *one, *ret;

	(void)state;
	skip_in_contract_build();
	f = open_with((struct spec){ .nr_cpus = 1, .flags = RAMKA_REF_SATURATE });
	one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT);
	ramka_store(&one->ref, REF_SHARED(REF_MAX - 2), relaxed, slot.count);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 2)
			ramka_frame_get(f->r, one);
		else
			assert_int_equal(ramka_frame_from_in_use(f->r, ramka_frame_paddr(f->r, one), &ret), 0);
	}
	for (unsigned i = 0; i < 100000; i++)
		ramka_frame_put(f->cpu[0], one);
	assert_int_equal(drops, 0);
	assert_int_equal(state_at(f, ramka_frame_paddr(f->r, one)), RAMKA_STATE_SATURATED);
	CLOSE_LEAKING(f, 1);
}

static void b32_a_misused_word_does_not_drift(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = with_detached, .nr_regions = 2, .rcu = true });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &plain_type, NULL, UNINIT);
	struct ramka_frame *deferred = must_alloc(f->cpu[0], UNINIT), *freed = must_alloc(f->cpu[0], UNINIT);
	struct ramka_frame *victims[4] = { slot_of(u), deferred, freed, NULL };

	(void)state;
	victims[3] = slot_at(f, BASE + 4 * MIB);
	ramka_frame_put_rcu(f->cpu[0], deferred);
	ramka_frame_put(f->cpu[0], freed);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t ref = slot_ref(victims[i]);

		for (unsigned n = 0; n < 1000; n++) {
			EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], victims[i]));
			EXPECT_BUG(f, "ramka_frame_get", ramka_frame_get(f->r, victims[i]));
			EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->none, victims[i]));
		}
		assert_int_equal(slot_ref(victims[i]), ref);
	}
	ramka_unique_free(f->cpu[0], u);
	CLOSE(f);
}

/* ---- B3: a slot that was never used has no type ---- */

static void b03_fresh_slots_have_no_type(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *fresh = slot_at(f, BASE + 7 * MIB);

	(void)state;
	EXPECT_BUG(f, "ramka_frame_type", assert_null(ramka_frame_type(f->r, fresh)));
	EXPECT_BUG(f, "ramka_frame_meta", assert_null(ramka_frame_meta(f->r, fresh)));
	EXPECT_BUG(f, "ramka_frame_meta_as", assert_null(ramka_frame_meta_as(f->r, fresh, &note_type)));
	EXPECT_BUG(f, "ramka_frame_is_untyped", assert_false(ramka_frame_is_untyped(f->r, fresh)));
	EXPECT_BUG(f, "ramka_pt_node", assert_null(ramka_pt_meta(f->r, fresh)));
	assert_null(f->bug.type);
	CLOSE(f);
}

static void b05_one_of_all_droppers_frees(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 4 });

	(void)state;
	for (unsigned n = 1; n <= 64; n++) {
		struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT);

		drops = 0;
		for (unsigned i = 1; i < n; i++)
			ramka_frame_get(f->r, one);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(drops, 0);
			ramka_frame_put(i % 5 == 4 ? f->none : f->cpu[i % 5], one);
		}
		assert_int_equal(drops, 1);
	}
	CLOSE(f);
}

/* ---- B6, B7, B41: frames that the allocator never gave ---- */

static void b06_a_frame_by_address_is_not_given_to_the_allocator(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = with_detached, .nr_regions = 2 });
	struct ramka_frame *frames[1025], *one;
	struct ramka_unique *u;
	struct ramka_segment s;

	(void)state;
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 4 * MIB, &plain_type, NULL, &one), 0);
	ramka_frame_put(f->cpu[1], one);
	assert_int_equal(ramka_unique_from_unused(f->cpu[0], BASE + 4 * MIB, &note_type, NULL, &u), 0);
	ramka_unique_free(f->cpu[1], u);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 4 * MIB, 100 * PAGE, &plain_type, NULL, NULL, &s), 0);
	ramka_segment_put(f->cpu[1], s);
	assert_int_equal(stats(f).free, 1024);
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, frames, 1025), 1024);
	for (unsigned i = 0; i < 1024; i++)
		assert_true(ramka_frame_paddr(f->r, frames[i]) < BASE + 4 * MIB);
	put_all(f->cpu[0], frames, 1024);
	CLOSE(f);
}

static void b41_a_roll_back_frees_nothing_that_was_detached(void **state)
{
	struct fixture *f = open_with((struct spec){ .regions = with_detached, .nr_regions = 2 });
	struct ramka_segment s;
	struct ramka_frame *one;

	(void)state;
	for (unsigned at = 0; at < 40; at++) {
		ramka_paddr_t base = BASE + 4 * MIB - 20 * PAGE; /* 20 free ones, then 20 detached ones */

		assert_int_equal(ramka_frame_from_unused(f->none, base + at * PAGE, &plain_type, NULL, &one), 0);
		assert_int_equal(ramka_segment_from_unused(f->none, base, 40 * PAGE, &plain_type, NULL, NULL, &s), RAMKA_E_IN_USE);
		assert_int_equal(stats(f).unused, f->start.unused - (at >= 20));
		assert_int_equal(stats(f).free, f->start.free - (at < 20));
		ramka_frame_put(f->none, one);
	}
	CLOSE(f);
}

static void b08_looking_does_not_count(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], UNINIT), *same;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		same = ramka_frame_from_raw(f->r, ramka_frame_into_raw(f->r, one));
		assert_int_equal(ramka_frame_refcount(same), 1);
		ramka_frame_unborrow(f->r, ramka_frame_borrow(f->r, same));
	}
	assert_non_null(ramka_frame_get(f->r, one));
	assert_int_equal(ramka_frame_refcount(one), 2);
	ramka_frame_put(f->cpu[0], one);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

/* ---- B9, B10, B11, B29, B30: segments ---- */

static void b09_a_segment_may_end_at_the_last_frame(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s;

	(void)state;
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE, 8 * MIB, &plain_type, NULL, NULL, &s), 0);
	ramka_segment_put(f->cpu[0], s);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE + 8 * MIB - PAGE, PAGE, &plain_type, NULL, NULL, &s), 0);
	assert_int_equal(ramka_segment_from_unused(f->cpu[0], BASE, 8 * MIB, &plain_type, NULL, NULL, &(struct ramka_segment){ 0, 0 }),
			 RAMKA_E_IN_USE); /* the last of them: all others go back */
	assert_int_equal(in_use(f), 1);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

static void b10_a_slice_does_not_wrap(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s, t = { 5, 6 };

	(void)state;
	assert_int_equal(ramka_segment_alloc(f->cpu[0], 4, &plain_type, NULL, NULL, UNINIT, &s), 0);
	for (uint64_t to = UINT64_MAX - 4095; to > UINT64_MAX - 20 * PAGE; to -= PAGE)
		for (uint64_t from = 0; from <= 4 * PAGE; from += PAGE) {
			assert_int_equal(ramka_segment_slice(f->r, s, from, to, &t), RAMKA_E_OUT_OF_BOUND);
			assert_int_equal(ramka_segment_slice(f->r, s, to, from, &t), RAMKA_E_OUT_OF_BOUND);
			assert_int_equal(ramka_segment_slice(f->r, s, 0 - s.base, to, &t), RAMKA_E_OUT_OF_BOUND);
		}
	assert_int_equal(t.base, 5);
	ramka_segment_put(f->cpu[0], s);
	CLOSE(f);
}

static void b11_an_empty_segment_reads_no_slot(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], UNINIT);
	struct ramka_segment empty = { ramka_frame_paddr(f->r, one), 0 };

	(void)state;
	assert_false(ramka_segment_is(f->r, empty, &ramka_type_untyped));
	assert_int_equal(ramka_segment_slice(f->r, empty, 0, 0, &empty), RAMKA_E_INVAL);
	ramka_segment_put(f->cpu[0], empty);
	assert_int_equal(ramka_frame_refcount(one), 1);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

static void b29_every_size_is_aligned(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s[64];

	(void)state;
	for (uint64_t nr = 1; nr <= 12; nr++)
		for (unsigned order = 0; order <= 4; order++) {
			unsigned n = 0;

			while (n < 64 && !ramka_segment_alloc(f->cpu[0], nr, &plain_type, NULL, NULL, order_req(order), &s[n]))
				assert_int_equal(s[n++].base % (PAGE << order), 0);
			assert_true(n > 30);
			while (n)
				ramka_segment_put(f->cpu[0], s[--n]);
		}
	CLOSE(f);
}

static void b30_a_size_does_not_wrap(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_segment s;

	(void)state;
	for (uint64_t n = 0; n < 5; n++) { /* 2^52 + 1 frames are not one page */
		assert_int_equal(ramka_segment_alloc(f->cpu[0], (UINT64_C(1) << 52) + n, &plain_type, NULL, NULL, UNINIT, &s), RAMKA_E_INVAL);
		assert_int_equal(ramka_segment_alloc(f->cpu[0], UINT64_MAX - n, &plain_type, NULL, NULL, UNINIT, &s), RAMKA_E_INVAL);
	}
	CLOSE(f);
}

static void b14_metadata_that_does_not_fit_is_refused(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .meta_size = 32 });
	static const struct ramka_type large = { .name = "large", .meta_size = 33, .meta_align = 1, .id = 20 };
	static const struct ramka_type strict = { .name = "strict", .meta_size = 8, .meta_align = 64, .id = 21 };

	(void)state;
	RAMKA_STATIC_ASSERT(RAMKA_META_SIZE_MAX == 240 && RAMKA_META_ALIGN_MAX == 16, "what RAMKA_DEFINE_TYPE asserts");
	assert_int_equal(ramka_type_register(f->r, &large), RAMKA_E_INVAL);
	assert_int_equal(ramka_type_register(f->r, &strict), RAMKA_E_INVAL);
	CLOSE(f);
}

/* ---- B16, B18, B36: no locks to be held, no heap ---- */

static void a_bit_of_everything(struct fixture *f, struct ramka_cpu *cpu)
{
	struct ramka_frame *a = ramka_frame_alloc(cpu, &note_type, NULL, ZEROED), *b = ramka_frame_alloc(cpu, &note_type, NULL, order_req(3));
	struct ramka_unique *u = ramka_unique_alloc(cpu, &note_type, NULL, UNINIT), *parts[8];
	struct ramka_segment s;

	assert_true(a && b && u);
	ramka_frame_put(cpu, ramka_frame_get(f->r, a));
	assert_true(ramka_frame_put_rcu(cpu, b) >= 0);
	ramka_unique_free(cpu, u);
	u = ramka_unique_alloc(cpu, &note_type, NULL, order_req(3));
	assert_int_equal(ramka_unique_split(f->r, u, 0, parts), 0);
	for (unsigned i = 0; i < 8; i++)
		ramka_unique_free(cpu, parts[i]);
	assert_int_equal(ramka_segment_alloc(cpu, 11, &note_type, NULL, NULL, UNINIT, &s), 0);
	ramka_segment_put(cpu, s);
	ramka_frame_put(cpu, a);
	ramka_drain(f->r);
	ramka_reclaim(cpu, true);
	stats(f);
}

static void b16_a_handler_may_land_anywhere(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		a_bit_of_everything(f, f->cpu[0]);
		interrupt_begin(f->cpu[0]); /* in the middle of a call */
		a_bit_of_everything(f, f->cpu[0]);
		interrupt_end(f->cpu[0]);
	}
	CLOSE(f);
}

static void b18_nothing_calls_malloc(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });
	struct mallinfo2 before = mallinfo2(), after;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		a_bit_of_everything(f, f->cpu[i % 2]);
	after = mallinfo2();
	assert_int_equal(after.uordblks, before.uordblks);
	assert_int_equal(after.hblkhd, before.hblkhd);
	CLOSE(f);
}

static void b36_deferring_needs_no_memory(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .rcu = true, .high_water = 10000 });
	struct ramka_frame *frames[2049];
	struct mallinfo2 before;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2049), 2048);
	before = mallinfo2();
	for (unsigned i = 0; i < 2048; i++)
		assert_int_equal(ramka_frame_put_rcu(f->cpu[0], frames[i]), 0);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(mallinfo2().uordblks, before.uordblks);
	CLOSE(f);
}

/* ---- B19 to B22, B26 to B28, B33: the allocator ---- */

static void b19_a_large_free_frees_its_tails(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = 2 * GIB, .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });

	(void)state;
	for (unsigned order = 1; order <= RAMKA_MAX_ORDER; order++) {
		ramka_frame_put(f->cpu[0], must_alloc(f->cpu[0], order_req(order)));
		assert_int_equal(stats(f).free, 2 * GIB / PAGE);
		ramka_drain(f->r);
		assert_memory_equal(stats(f).free_by_order, f->start.free_by_order, sizeof(f->start.free_by_order));
	}
	assert_int_equal(ramka_fini(f->r), 0);
	fixture_unmap(f);
}

static void b20_metadata_for_memory_only(void **state)
{
	struct ramka_region g[3] = { { BASE, 8 * MIB, RAMKA_USABLE, 0 }, { UINT64_C(1) << 51, GIB, RAMKA_MMIO, 0 }, { 0, 0, RAMKA_USABLE, 0 } };
	struct ramka_config cfg = { .regions = g, .nr_regions = 1, .nr_cpus = 1 };
	size_t here, with_io, far, with_reclaimable;

	(void)state;
	assert_int_equal(ramka_metadata_size(&cfg, &here), 0);
	cfg.nr_regions = 3;
	assert_int_equal(ramka_metadata_size(&cfg, &with_io), 0);
	assert_true(with_io < here + 4096); /* high I/O memory has no frames */
	cfg.nr_regions = 1;
	g[0].base = UINT64_C(1) << 45; /* a leading hole costs nothing */
	assert_int_equal(ramka_metadata_size(&cfg, &far), 0);
	assert_int_equal(far, here);
	g[1] = (struct ramka_region){ g[0].base + 8 * MIB, 8 * MIB, RAMKA_RECLAIMABLE, 0 };
	cfg.nr_regions = 2;
	assert_int_equal(ramka_metadata_size(&cfg, &with_reclaimable), 0);
	assert_true(with_reclaimable > here + 2048 * 64); /* memory that may come later has its slots */
}

static void b21_a_map_that_overflows_is_an_error(void **state)
{
	static const struct ramka_region g[] = { { UINT64_MAX - 10, 11, RAMKA_USABLE, 0 }, { UINT64_MAX, UINT64_MAX, RAMKA_USABLE, 0 },
						 { 1, UINT64_MAX, RAMKA_USABLE, 0 } };
	static RAMKA_ALIGNAS(64) uint8_t metadata[65536];

	(void)state;
	for (unsigned i = 0; i < NELEMS(g); i++) {
		struct ramka_config cfg = { .regions = &g[i], .nr_regions = 1, .nr_cpus = 1 };
		struct ramka *r = NULL;

		assert_int_equal(ramka_init(&cfg, metadata, sizeof(metadata), &r), RAMKA_E_INVAL);
		assert_null(r);
	}
}

static bool no_child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)pte, (void)level, (void)ret_pa, (void)ret_is_node;
	return false;
}

static void b22_out_of_memory_is_an_answer_everywhere(void **state)
{
	static const struct ramka_pt_config pt = { .levels = 4, .entries = 512, .child = no_child };
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = MIB, .rcu = true });
	struct ramka_frame *frames[257], *one;
	struct ramka_segment s = { 1, 2 };
	struct ramka_request wait = { .flags = RAMKA_ALLOC_WAIT };

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], ZEROED, frames, 257), 256);
	for (unsigned who = 0; who < 3; who++) {
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

		assert_null(ramka_frame_alloc(cpu, &note_type, NULL, ZEROED));
		assert_null(ramka_frame_alloc(cpu, &note_type, NULL, wait));
		assert_null(ramka_frame_alloc(cpu, &note_type, NULL, order_req(5)));
		assert_null(ramka_unique_alloc(cpu, &note_type, NULL, ZEROED));
		assert_int_equal(ramka_frame_alloc_bulk(cpu, &note_type, ZEROED, 1, &one), 0);
		assert_int_equal(ramka_segment_alloc(cpu, 1, &note_type, NULL, NULL, ZEROED, &s), RAMKA_E_NOMEM);
		assert_null(ramka_pt_alloc(cpu, &pt, 1));
	}
	assert_int_equal(f->bugs, 0);
	put_all(f->cpu[0], frames, 256);
	CLOSE(f);
}

static void b26_single_frames_are_found_one_by_one(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = MIB });
	struct ramka_frame *frames[257], *again[257];

	(void)state;
	for (unsigned step = 2; step <= 8; step++) {
		unsigned n = 0;

		assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 257), 256);
		for (unsigned i = 0; i < 256; i += step, n++)
			ramka_frame_put(f->cpu[i % 2], frames[i]);
		assert_int_equal(alloc_all(f->cpu[step % 2], UNINIT, again, 257), n);
		put_all(f->cpu[0], again, n);
		for (unsigned i = 0; i < 256; i++)
			if (i % step)
				ramka_frame_put(f->cpu[0], frames[i]);
	}
	CLOSE(f);
}

/* The edge of an empty memory, with pools that hold a frame or none. */
static void b27_the_last_few_frames(void **state)
{
	(void)state;
	for (uint64_t frames = 1; frames <= 5; frames++)
		for (unsigned cpus = 1; cpus <= 4; cpus++) {
			struct fixture *f = open_with((struct spec){ .nr_cpus = cpus, .size = frames * PAGE });
			struct ramka_frame *held[6];

			for (unsigned round = 0; round < 50; round++) {
				for (uint64_t i = 0; i < frames; i++)
					held[i] = must_alloc(f->cpu[(round + i) % cpus], UNINIT);
				for (unsigned cpu = 0; cpu < cpus; cpu++)
					assert_null(ramka_frame_alloc(f->cpu[cpu], &plain_type, NULL, UNINIT));
				for (uint64_t i = 0; i < frames; i++)
					ramka_frame_put(f->cpu[(round * i) % cpus], held[i]);
			}
			CLOSE(f);
		}
}

static void b28_a_failing_request_ends_soon(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = 64 * MIB });
	struct ramka_frame **frames = frame_table(16384);

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 16384), 16384);
	for (unsigned i = 0; i < 16384; i += 2)
		ramka_frame_put(f->cpu[i / 2 % 2], frames[i]); /* only single frames are free */
	for (unsigned order = 1; order <= RAMKA_MAX_ORDER; order++) {
		f->barriers = 0;
		assert_null(ramka_frame_alloc(f->cpu[0], &plain_type, NULL, order_req(order)));
		assert_true(f->barriers <= 8);
	}
	for (unsigned i = 1; i < 16384; i += 2)
		ramka_frame_put(f->cpu[0], frames[i]);
	free(frames);
	CLOSE(f);
}

static void b33_no_memory_is_stranded_in_caches(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 8 });
	struct ramka_frame *frames[2049];

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 2049), 2048);
	for (unsigned i = 0; i < 2048; i++)
		ramka_frame_put(f->cpu[i / 256], frames[i]);
	for (unsigned i = 0; i < 4; i++) /* all of it, in whole blocks */
		frames[i] = must_alloc(f->cpu[7], order_req(9));
	put_all(f->cpu[0], frames, 4);
	CLOSE(f);
}

/* ---- B37, B38 ---- */

static void b38_a_marker_is_cleared_before_the_frame_leaves(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, UNINIT);
	struct ramka_list l, m;

	(void)state;
	assert_int_equal(ramka_list_init(f->r, &l), 0);
	assert_int_equal(ramka_list_init(f->r, &m), 0);
	ramka_list_push_back(&l, u);
	EXPECT_BUG(f, "ramka_unique_share", ramka_unique_share(f->r, u));
	EXPECT_BUG(f, "ramka_unique_free", ramka_unique_free(f->cpu[0], u));
	assert_ptr_equal(ramka_list_pop_front(&l), u);
	assert_false(ramka_list_contains(&l, ramka_unique_paddr(f->r, u)));
	ramka_list_push_back(&m, u);
	ramka_list_fini(f->cpu[0], &m);
	u = ramka_unique_alloc(f->cpu[0], &note_type, NULL, UNINIT); /* the same frame, in no list */
	assert_false(ramka_list_contains(&m, ramka_unique_paddr(f->r, u)));
	ramka_unique_free(f->cpu[0], u);
	ramka_list_fini(f->cpu[0], &l);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(b01_a_frame_is_not_reused_while_its_destructor_runs),
		cmocka_unit_test(b02_a_count_at_its_top_leaks_the_frame),
		cmocka_unit_test(b03_fresh_slots_have_no_type),
		cmocka_unit_test(b05_one_of_all_droppers_frees),
		cmocka_unit_test(b06_a_frame_by_address_is_not_given_to_the_allocator),
		cmocka_unit_test(b08_looking_does_not_count),
		cmocka_unit_test(b09_a_segment_may_end_at_the_last_frame),
		cmocka_unit_test(b10_a_slice_does_not_wrap),
		cmocka_unit_test(b11_an_empty_segment_reads_no_slot),
		cmocka_unit_test(b14_metadata_that_does_not_fit_is_refused),
		cmocka_unit_test(b16_a_handler_may_land_anywhere),
		cmocka_unit_test(b18_nothing_calls_malloc),
		cmocka_unit_test(b19_a_large_free_frees_its_tails),
		cmocka_unit_test(b20_metadata_for_memory_only),
		cmocka_unit_test(b21_a_map_that_overflows_is_an_error),
		cmocka_unit_test(b22_out_of_memory_is_an_answer_everywhere),
		cmocka_unit_test(b25_no_claim_by_address_comes_between_allocator_and_owner),
		cmocka_unit_test(b26_single_frames_are_found_one_by_one),
		cmocka_unit_test(b27_the_last_few_frames),
		cmocka_unit_test(b28_a_failing_request_ends_soon),
		cmocka_unit_test(b29_every_size_is_aligned),
		cmocka_unit_test(b30_a_size_does_not_wrap),
		cmocka_unit_test(b32_a_misused_word_does_not_drift),
		cmocka_unit_test(b33_no_memory_is_stranded_in_caches),
		cmocka_unit_test(b36_deferring_needs_no_memory),
		cmocka_unit_test(b38_a_marker_is_cleared_before_the_frame_leaves),
		cmocka_unit_test(b41_a_roll_back_frees_nothing_that_was_detached),
	};

	return cmocka_run_group_tests_name("original", tests, NULL, NULL);
}
