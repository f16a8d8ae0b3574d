/* SPDX-License-Identifier: MIT */
/*
 * The audit must find what is wrong: every kind of defect, put in by hand. An oracle that cannot fail is none, and all
 * other tests lean on this one.
 */
#include "fixture.h"

struct note { uint64_t n; };
static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16);

/* The audit finds defects, says `what` about the first, and finds the same again: it leaves no marks. */
static void finds(struct fixture *f, const char *what, const struct ramka_frame *where)
{
	struct ramka_bug first = { .what = NULL }, second = { .what = NULL };
	int n = ramka_check(f->r, &first);

	assert_true(n > 0);
	assert_string_equal(first.operation, "ramka_check");
	if (!strstr(first.what, what))
		fail_msg("\"%s\" instead of \"%s\"", first.what, what);
	if (where)
		assert_int_equal(first.paddr, ramka_frame_paddr(f->r, where));
	assert_int_equal(ramka_check(f->r, &second), n);
	assert_string_equal(first.what, second.what);
	assert_int_equal(first.paddr, second.paddr);
	assert_int_equal(ramka_check(f->r, NULL), n);
}

static void is_well(struct fixture *f)
{
	struct ramka_bug first = { .what = "untouched" };

	assert_int_equal(ramka_check(f->r, &first), 0);
	assert_string_equal(first.what, "untouched");
}

static struct fixture *open_it(void)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 2, .rcu = true, .high_water = 10000 });

	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	return f;
}

static void set_ref(struct ramka_frame *f, uint64_t ref)
{
	ramka_store(&f->ref, ref, relaxed, slot.look);
}

static void a_healthy_instance(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], order_req(3)), *b = must_alloc(f->cpu[1], UNINIT);

	(void)state;
	is_well(f);
	ramka_frame_put_rcu(f->cpu[0], a);
	is_well(f);
	ramka_frame_put(f->cpu[0], b);
	is_well(f);
	CLOSE(f);
}

static void a_lost_frame(void **state)
{
	struct fixture *f;
	struct ramka_frame *a;

	(void)state;
	f = open_it();
	a = must_alloc(f->cpu[0], UNINIT);
	set_ref(a, REF_FREE); /* in no cache, no bag and no bitmap */
	finds(f, "lost", a);
	set_ref(a, REF_SHARED(1));
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_lost_deferred_frame(void **state)
{
	struct fixture *f;
	struct ramka_frame *a;

	(void)state;
	f = open_it();
	a = must_alloc(f->cpu[0], UNINIT);
	set_ref(a, REF_DEFERRED((uint64_t)0));
	finds(f, "in no bag", a);
	set_ref(a, REF_SHARED(1));
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_frame_twice_in_a_cache(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT);
	uint32_t keep = cache_of(f->cpu[0])->frames[1];

	(void)state;
	cache_of(f->cpu[0])->frames[1] = cache_of(f->cpu[0])->frames[5];
	finds(f, "two places", NULL);
	cache_of(f->cpu[0])->frames[1] = keep;
	is_well(f);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_frame_in_two_caches(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT), *b = must_alloc(f->cpu[1], UNINIT);
	uint32_t keep = cache_of(f->cpu[1])->frames[0];

	(void)state;
	cache_of(f->cpu[1])->frames[0] = cache_of(f->cpu[0])->frames[0];
	finds(f, "two places", NULL);
	cache_of(f->cpu[1])->frames[0] = keep;
	ramka_frame_put(f->cpu[0], a);
	ramka_frame_put(f->cpu[1], b);
	CLOSE(f);
}

static void a_number_that_is_no_frame(void **state)
{
	static const uint32_t bad[] = { 2048, 4096, UINT32_MAX };
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], UNINIT);
	uint32_t keep = cache_of(f->cpu[0])->frames[0];

	(void)state;
	for (unsigned i = 0; i < NELEMS(bad); i++) {
		cache_of(f->cpu[0])->frames[0] = bad[i];
		finds(f, "no frame", NULL);
	}
	cache_of(f->cpu[0])->frames[0] = keep;
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_cached_frame_in_use(void **state)
{
	struct fixture *f;
	struct ramka_frame *a, *b;

	(void)state;
	f = open_it();
	a = must_alloc(f->cpu[0], UNINIT);
	b = f->r->slots + cache_of(f->cpu[0])->frames[0];
	set_ref(b, REF_SHARED(1));
	finds(f, "cached frame is not free", b);
	set_ref(b, REF_FREE);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_frame_in_cache_and_bitmap(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *held[100], *low = f->r->slots + 10;
	uint32_t keep;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[1], UNINIT, held, 100), 100);
	for (unsigned i = 0; i < 100; i++)
		if (held[i] == low)
			ramka_frame_put(f->none, low); /* free in the bitmap */
	keep = cache_of(f->cpu[1])->frames[0];
	assert_true(keep > 10); /* this one is lost, but lies higher */
	cache_of(f->cpu[1])->frames[0] = 10;
	finds(f, "cache and in the bitmap", low);
	cache_of(f->cpu[1])->frames[0] = keep;
	for (unsigned i = 0; i < 100; i++)
		if (held[i] != low)
			ramka_frame_put(f->cpu[1], held[i]);
	CLOSE(f);
}

static void a_frame_in_use_and_in_the_bitmap(void **state)
{
	struct fixture *f;

	(void)state;
	f = open_it();
	set_ref(f->r->slots + 1999, REF_SHARED(1));
	finds(f, "slot", f->r->slots + 1999); /* its slot names no type either */
	slot_set_info(f->r->slots + 1999, info_make(16, 0, 0));
	finds(f, "in use and free in the bitmap", f->r->slots + 1999);
	set_ref(f->r->slots + 1999, REF_FREE);
	slot_set_info(f->r->slots + 1999, 0);
	CLOSE(f);
}

static void a_free_frame_that_was_written_to(void **state)
{
	static const uint64_t values[] = { 1, 2, 0xffff, UINT64_C(1) << 60 };
	struct fixture *f;

	(void)state;
	f = open_it();
	for (unsigned i = 0; i < NELEMS(values); i++) {
		set_ref(f->r->slots + 1999, values[i]);
		finds(f, "state word was changed", f->r->slots + 1999);
	}
	set_ref(f->r->slots + 1999, REF_FREE);
	CLOSE(f);
}

static void a_count_that_is_not_its_bits(void **state)
{
	struct fixture *f = open_it();
	struct ramka_atomic_u64 *p = &f->r->zones[0].map.quads[0], *w = &f->r->zones[0].map.words[3];
	uint64_t keep = p->value;

	(void)state;
	p->value = keep - (UINT64_C(1) << 16); /* block 1 */
	finds(f, "block entry", NULL);
	p->value = keep;
	is_well(f);
	keep = w->value;
	w->value = keep & ~(UINT64_C(1) << 17);
	finds(f, "block entry", NULL);
	w->value = keep;
	CLOSE(f);
}

static void a_hole_in_a_huge_frame(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *a = must_alloc(f->cpu[0], order_req(9));
	uint64_t word = ramka_frame_index(f->r, a) - BASE / PAGE;
	struct ramka_atomic_u64 *w = &f->r->zones[0].map.words[word / 64];

	(void)state;
	w->value &= ~UINT64_C(8);
	finds(f, "block entry", NULL);
	w->value |= 8;
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_hint_that_hides(void **state)
{
	struct fixture *f = open_it();
	struct bitmap *b = &f->r->zones[0].map;
	struct ramka_frame *a = must_alloc(f->none, UNINIT); /* its block is partly used now, whichever it is */
	uint64_t block = (ramka_frame_index(f->r, a) - BASE / PAGE) / 512;
	struct ramka_atomic_u64 *hint = &b->some.level[0][block / CHUNK_BLOCKS * HINT_LINE];
	uint64_t some = hint->value, whole = b->whole.level[0][0].value;

	(void)state;
	assert_true(some >> (block % CHUNK_BLOCKS) & 1);
	hint->value = 0;
	finds(f, "hint", NULL);
	hint->value = some;
	b->whole.level[0][0].value = whole & (whole - 1);
	finds(f, "hint", NULL);
	b->whole.level[0][0].value = ~UINT64_C(0); /* too many promises hide nothing */
	is_well(f);
	b->whole.level[0][0].value = whole;
	ramka_frame_put(f->none, a);
	CLOSE(f);
}

static void a_part_of_a_larger_frame_in_a_cache(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *big = must_alloc(f->cpu[0], order_req(4)), *a = must_alloc(f->cpu[0], UNINIT);
	uint32_t keep = cache_of(f->cpu[0])->frames[2];

	(void)state;
	cache_of(f->cpu[0])->frames[2] = (uint32_t)(ramka_frame_index(f->r, big) - BASE / PAGE + 5);
	finds(f, "larger frame", big + 5);
	cache_of(f->cpu[0])->frames[2] = keep;
	ramka_frame_put(f->cpu[0], big);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void a_frame_left_busy(void **state)
{
	struct fixture *f;
	struct ramka_frame *a;

	(void)state;
	f = open_it();
	a = must_alloc(f->cpu[0], UNINIT);
	set_ref(a, REF_BUSY((uint64_t)0));
	finds(f, "built or torn down", a);
	set_ref(a, REF_SHARED(1));
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void slots_that_make_no_sense(void **state)
{
	struct fixture *f;
	struct ramka_frame *a;
	uint64_t info;

	(void)state;
	f = open_it();
	a = must_alloc(f->cpu[0], UNINIT);
	info = slot_info(a);
	set_ref(a, REF_SHARED(0));
	finds(f, "makes no sense", a);
	set_ref(a, REF_SHARED(0) | REF_MARK);
	finds(f, "makes no sense", a);
	set_ref(a, REF_SHARED(1));
	slot_set_info(a, info_make(99, 0, 0)); /* a type that nobody registered */
	finds(f, "makes no sense", a);
	slot_set_info(a, info | UINT64_C(5) << INFO_LIST_SHIFT); /* a shared frame in a list */
	finds(f, "makes no sense", a);
	slot_set_info(a, info);
	is_well(f);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void bags(void **state)
{
	struct fixture *f;
	struct ramka_frame *a, *b;
	uint64_t ref;

	(void)state;
	f = open_it();
	a = must_alloc(f->cpu[0], UNINIT);
	b = must_alloc(f->cpu[0], UNINIT);
	ramka_frame_put_rcu(f->cpu[0], a);
	ramka_frame_put_rcu(f->cpu[0], b);
	is_well(f);
	ref = slot_ref(b);
	set_ref(b, REF_SHARED(1));
	finds(f, "not deferred", b);
	set_ref(b, REF_DEFERRED((uint64_t)0)); /* the chain is cut */
	finds(f, "in no bag", a);
	set_ref(b, REF_DEFERRED(slot_index(f->r, b) + 1)); /* a ring */
	finds(f, "two places", b);
	set_ref(b, ref);
	is_well(f);
	CLOSE(f);
}

static void the_depot(void **state)
{
	struct fixture *f = open_it();
	struct ramka_frame *frames[1000];
	struct magazine *m;
	uint32_t index, keep;

	(void)state;
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, 1000), 1000);
	put_all(f->cpu[0], frames, 1000);
	index = (uint32_t)f->r->depot->shards[0].full.value & 0xffffff;
	assert_true(index > 0);
	m = &f->r->depot->magazines[index - 1];
	keep = m->frames[0];
	m->frames[0] = m->frames[1];
	finds(f, "two places", NULL);
	m->frames[0] = keep;
	is_well(f);
	m->count--; /* one less than the counters say, and it is nowhere */
	finds(f, "lost", NULL);
	m->count++;
	is_well(f);
	CLOSE(f);
}

static void counters(void **state)
{
	struct fixture *f = open_it();

	(void)state;
	f->r->unused.value++;
	finds(f, "unused", NULL);
	f->r->unused.value--;
	f->r->deferred_frames.value++;
	finds(f, "deferred", NULL);
	f->r->deferred_frames.value--;
	f->r->depot->shards[1].cached.value++;
	finds(f, "free frames", NULL);
	f->r->depot->shards[1].cached.value--;
	f->r->reserved++;
	finds(f, "reserved", NULL);
	f->r->reserved--;
	f->r->total++;
	finds(f, "in use", NULL);
	f->r->total--;
	f->r->corrupt.value++;
	finds(f, "found free", NULL);
	f->r->corrupt.value--;
	is_well(f);
	CLOSE(f);
}

static void a_call_in_progress(void **state)
{
	struct fixture *f = open_it();

	(void)state;
	interrupt_begin(f->cpu[1]);
	finds(f, "inside a call", NULL);
	interrupt_end(f->cpu[1]);
	ramka_store(&f->cpu[0]->revoked, 5, relaxed, section.revoke);
	finds(f, "inside a call", NULL);
	ramka_store(&f->cpu[0]->revoked, 0, relaxed, section.revoke);
	CLOSE(f);
}

/* One bit flipped in any field of a slot or anywhere in the bitmap: the audit ends, and what it says is no accident. */
static void every_bit_of_a_slot(void **state)
{
	struct fixture *f;
	struct ramka_frame *used, *freed;
	unsigned found = 0;

	(void)state;
	f = open_it();
	used = must_alloc(f->none, order_req(2));
	freed = f->r->slots + 1234;
	for (unsigned bit = 0; bit < 64; bit++) {
		set_ref(used, slot_ref(used) ^ UINT64_C(1) << bit);
		found += ramka_check(f->r, NULL) > 0;
		set_ref(used, slot_ref(used) ^ UINT64_C(1) << bit);
		set_ref(freed, UINT64_C(1) << bit);
		assert_true(ramka_check(f->r, NULL) > 0); /* a free one is all zeroes */
		set_ref(freed, 0);
		slot_set_info(used, slot_info(used) ^ UINT64_C(1) << bit);
		found += ramka_check(f->r, NULL) > 0;
		slot_set_info(used, info_make(ramka_type_untyped.id, 2, 0));
		is_well(f);
	}
	assert_true(found > 30); /* of 128; a count or a type may be another valid one */
	ramka_frame_put(f->none, used);
	CLOSE(f);
}

static void every_bit_of_the_bitmap(void **state)
{
	struct fixture *f = open_it();
	struct bitmap *b = &f->r->zones[0].map;
	struct ramka_frame *used = must_alloc(f->none, order_req(9));

	(void)state;
	for (uint32_t bit = 0; bit < 2048; bit += 3) {
		b->words[bit / 64].value ^= UINT64_C(1) << bit % 64;
		assert_true(ramka_check(f->r, NULL) > 0);
		b->words[bit / 64].value ^= UINT64_C(1) << bit % 64;
	}
	is_well(f);
	for (unsigned bit = 0; bit < 64; bit++) {
		if (bit % 16 >= ENTRY_HINT_SHIFT && bit % 16 != 15)
			continue; /* the hint of the order may be any */
		b->quads[0].value ^= UINT64_C(1) << bit;
		if (!(b->quads[0].value >> (bit & ~15u) & ENTRY_HUGE)) /* the count of a huge block says nothing */
			assert_true(ramka_check(f->r, NULL) > 0);
		b->quads[0].value ^= UINT64_C(1) << bit;
	}
	is_well(f);
	ramka_frame_put(f->none, used);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_instance),
		cmocka_unit_test(a_lost_frame),
		cmocka_unit_test(a_lost_deferred_frame),
		cmocka_unit_test(a_frame_twice_in_a_cache),
		cmocka_unit_test(a_frame_in_two_caches),
		cmocka_unit_test(a_number_that_is_no_frame),
		cmocka_unit_test(a_cached_frame_in_use),
		cmocka_unit_test(a_frame_in_cache_and_bitmap),
		cmocka_unit_test(a_frame_in_use_and_in_the_bitmap),
		cmocka_unit_test(a_free_frame_that_was_written_to),
		cmocka_unit_test(a_count_that_is_not_its_bits),
		cmocka_unit_test(a_hole_in_a_huge_frame),
		cmocka_unit_test(a_hint_that_hides),
		cmocka_unit_test(a_part_of_a_larger_frame_in_a_cache),
		cmocka_unit_test(a_frame_left_busy),
		cmocka_unit_test(slots_that_make_no_sense),
		cmocka_unit_test(bags),
		cmocka_unit_test(the_depot),
		cmocka_unit_test(counters),
		cmocka_unit_test(a_call_in_progress),
		cmocka_unit_test(every_bit_of_a_slot),
		cmocka_unit_test(every_bit_of_the_bitmap),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
