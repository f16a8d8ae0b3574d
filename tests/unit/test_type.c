/* SPDX-License-Identifier: MIT */
/* The registry of types, texts of results, the version, and the decoding of state words. */
#include "fixture.h"

#include <ramka/version.h>

struct small { uint8_t byte; };
struct large { RAMKA_ALIGNAS(16) uint8_t bytes[240]; };

static RAMKA_DEFINE_TYPE(small_type, struct small, .id = 16);
static RAMKA_DEFINE_TYPE(large_type, struct large, .id = 17, .flags = RAMKA_TYPE_UNTYPED);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 18, .flags = RAMKA_TYPE_NO_LOOKUP);

static void the_macros_fill_in(void **state)
{
	(void)state;
	assert_string_equal(small_type.name, "small_type");
	assert_int_equal(small_type.meta_size, 1);
	assert_int_equal(small_type.meta_align, 1);
	assert_int_equal(small_type.id, 16);
	assert_int_equal(small_type.flags, 0);
	assert_true(!small_type.on_drop && !small_type.check);
	assert_int_equal(large_type.meta_size, 240);
	assert_int_equal(large_type.meta_align, 16);
	assert_int_equal(plain_type.meta_size, 0);
	assert_int_equal(plain_type.meta_align, 1);
	assert_int_equal(plain_type.flags, RAMKA_TYPE_NO_LOOKUP);
}

static void registers_once(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .meta_size = 240 }), *g = fixture_open((struct spec){ .meta_size = 240 });
	struct ramka_type other = { .name = "other", .meta_align = 1, .id = 16 };

	(void)state;
	assert_int_equal(ramka_type_register(f->r, &small_type), 0);
	assert_int_equal(ramka_type_register(f->r, &small_type), RAMKA_E_INVAL); /* the same one twice is taken */
	assert_int_equal(ramka_type_register(f->r, &other), RAMKA_E_INVAL);
	assert_int_equal(ramka_type_register(g->r, &other), 0); /* per instance */
	assert_int_equal(ramka_type_register(f->r, &large_type), 0);
	CLOSE(f);
	CLOSE(g);
}

static void every_id(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1 });
	static struct ramka_type types[RAMKA_MAX_TYPES];
	struct ramka_frame *one;

	(void)state;
	for (unsigned id = 0; id < 700; id++) {
		struct ramka_type type = { .name = "t", .meta_align = 1, .id = (uint16_t)id };

		if (id >= RAMKA_TYPE_ID_USER && id < RAMKA_MAX_TYPES)
			continue;
		assert_int_equal(ramka_type_register(f->r, &type), RAMKA_E_INVAL);
	}
	assert_int_equal(ramka_type_register(f->r, &(struct ramka_type){ .name = "t", .meta_align = 1, .id = UINT16_MAX }), RAMKA_E_INVAL);
	for (unsigned id = RAMKA_TYPE_ID_USER; id < RAMKA_MAX_TYPES; id++) {
		types[id] = (struct ramka_type){ .name = "t", .meta_size = 8, .meta_align = 8, .id = (uint16_t)id };
		assert_int_equal(ramka_type_register(f->r, &types[id]), 0);
		one = ramka_frame_alloc(f->cpu[0], &types[id], NULL, UNINIT);
		assert_ptr_equal(ramka_frame_type(f->r, one), &types[id]);
		ramka_frame_put(f->cpu[0], one);
	}
	CLOSE(f);
}

static void rejects_what_does_not_fit(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .meta_size = 24 });
	static const struct { uint16_t size, align; int want; } tries[] = {
		{ 24, 1, 0 }, { 24, 8, 0 }, { 25, 1, RAMKA_E_INVAL }, { 8, 16, RAMKA_E_INVAL }, /* broken by the stride */
		{ 0, 16, 0 }, { 0, 0, RAMKA_E_INVAL }, { 8, 3, RAMKA_E_INVAL }, { 8, 32, RAMKA_E_INVAL }, { 0, 32, RAMKA_E_INVAL },
		{ UINT16_MAX, 1, RAMKA_E_INVAL }, { 241, 1, RAMKA_E_INVAL },
	};
	static struct ramka_type types[NELEMS(tries)];

	(void)state;
	assert_int_equal(ramka_type_register(NULL, &small_type), RAMKA_E_INVAL);
	assert_int_equal(ramka_type_register(f->r, NULL), RAMKA_E_INVAL);
	for (unsigned i = 0; i < NELEMS(tries); i++) {
		types[i] = (struct ramka_type){ .name = "t", .meta_size = tries[i].size, .meta_align = tries[i].align,
						.id = (uint16_t)(30 + i) };
		assert_int_equal(ramka_type_register(f->r, &types[i]), tries[i].want);
	}
	for (unsigned bit = 3; bit < 32; bit++) {
		types[0] = (struct ramka_type){ .name = "t", .meta_align = 1, .id = 60, .flags = 1u << bit };
		assert_int_equal(ramka_type_register(f->r, &types[0]), RAMKA_E_INVAL);
	}
	types[0] = (struct ramka_type){ .name = "t", .meta_align = 1, .id = 61, .flags = RAMKA_TYPE_RCU }; /* no cfg.rcu */
	assert_int_equal(ramka_type_register(f->r, &types[0]), RAMKA_E_INVAL);
	CLOSE(f);
	f = fixture_open((struct spec){ .nr_cpus = 1, .rcu = true });
	assert_int_equal(ramka_type_register(f->r, &types[0]), 0);
	CLOSE(f);
}

static void metadata_is_aligned(void **state)
{
	static const uint32_t strides[] = { 1, 2, 4, 8, 12, 16, 24, 32, 48, 56, 240 };

	(void)state;
	for (unsigned i = 0; i < NELEMS(strides); i++)
		for (uint16_t align = 1; align <= 16; align *= 2) {
			struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .meta_size = strides[i] });
			struct ramka_type type = { .name = "t", .meta_size = 1, .meta_align = align, .id = 20 };
			bool fits = strides[i] % align == 0;
			struct ramka_frame *frames[16];

			assert_int_equal(ramka_type_register(f->r, &type), fits ? 0 : RAMKA_E_INVAL);
			for (unsigned n = 0; fits && n < 16; n++) {
				frames[n] = ramka_frame_alloc(f->cpu[0], &type, NULL, UNINIT);
				assert_int_equal((uintptr_t)ramka_frame_meta(f->r, frames[n]) % align, 0);
			}
			if (fits)
				put_all(f->cpu[0], frames, 16);
			CLOSE(f);
		}
}

static void built_in_types(void **state)
{
	static const struct ramka_type *const types[] = { &ramka_type_untyped, &ramka_type_reserved, &ramka_type_unusable,
							  &ramka_type_kernel, &ramka_type_metadata, &ramka_type_page_table };

	(void)state;
	for (unsigned i = 0; i < NELEMS(types); i++) {
		assert_true(types[i]->id && types[i]->id < RAMKA_TYPE_ID_USER);
		assert_true(types[i]->name && types[i]->name[0]);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(types[i]->id, types[j]->id);
		assert_int_equal(types[i]->flags & RAMKA_TYPE_UNTYPED, i ? 0 : RAMKA_TYPE_UNTYPED);
	}
}

static void texts_of_results(void **state)
{
	static const int results[] = { 0, RAMKA_PRESSURE, RAMKA_E_INVAL, RAMKA_E_NOMEM, RAMKA_E_IN_USE, RAMKA_E_UNUSED, RAMKA_E_BUSY,
				       RAMKA_E_UNIQUE, RAMKA_E_OUT_OF_BOUND, RAMKA_E_NOT_ALIGNED, RAMKA_E_UNSUPPORTED, RAMKA_E_META_SIZE };

	(void)state;
	for (int i = 0; i < (int)NELEMS(results); i++) {
		assert_int_equal(results[i], i < 2 ? i : 1 - i); /* the values are fixed */
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ramka_strerror(results[i]), ramka_strerror(results[j]));
		assert_string_not_equal(ramka_strerror(results[i]), ramka_strerror(12345));
	}
	assert_non_null(ramka_strerror(INT32_MIN));
	assert_string_equal(ramka_strerror(-11), ramka_strerror(2));
}

/* Far apart: a drift of 2^31 in either direction stays in its class. */
static void states_lie_far_apart(void **state)
{
	static const struct { uint64_t ref; enum ramka_state want; } words[] = {
		{ REF_UNUSED, RAMKA_STATE_UNUSED }, { REF_UNIQUE, RAMKA_STATE_UNIQUE }, { REF_SHARED(REF_MAX / 2), RAMKA_STATE_SHARED },
		{ REF_SATURATED, RAMKA_STATE_SATURATED },
	};

	(void)state;
	assert_int_equal(slot_state(0, 0), RAMKA_STATE_FREE);
	assert_int_equal(REF_FREE, 0);
	for (unsigned i = 0; i < NELEMS(words); i++)
		for (int64_t drift = -(INT64_C(1) << 31); drift <= INT64_C(1) << 31; drift += INT64_C(1) << 28)
			assert_int_equal(slot_state(words[i].ref + (uint64_t)drift, 0), words[i].want);
	for (uint64_t link = 0; link < UINT64_C(1) << 40; link = link * 3 + 1)
		for (int64_t drift = -1000; drift <= 1000; drift += 100) {
			assert_int_equal(slot_state(REF_DEFERRED(link) + (uint64_t)drift, 0), RAMKA_STATE_DEFERRED);
			assert_int_equal(slot_state(REF_BUSY(link) + (uint64_t)drift, 0), RAMKA_STATE_BUSY);
			assert_int_equal(ref_link(REF_DEFERRED(link) + (uint64_t)drift), link);
			assert_int_equal(ref_link(REF_BUSY(link) + (uint64_t)drift), link);
		}
	assert_int_equal(slot_state(REF_SHARED(1), INFO_RESERVED), RAMKA_STATE_RESERVED);
	assert_int_equal(slot_state(REF_SHARED(1) | REF_MARK, 0), RAMKA_STATE_SHARED);
	assert_int_equal(slot_state(UINT64_MAX, 0), RAMKA_STATE_BUSY); /* a put of a free frame, before it is undone */
}

static void a_count_is_a_count_only_if_shared(void **state)
{
	static const uint64_t others[] = { REF_FREE, REF_UNUSED, REF_UNIQUE, REF_SHARED(0), REF_SHARED(0) | REF_MARK,
					   REF_SATURATED, UINT64_MAX, REF_SHARED(REF_MAX + 1), 1, 1000 };

	(void)state;
	for (unsigned i = 0; i < NELEMS(others); i++)
		assert_true(ref_others(others[i]) >= REF_MAX);
	for (uint64_t link = 0; link < UINT64_C(1) << 40; link = link * 5 + 1) {
		assert_true(ref_others(REF_DEFERRED(link)) >= REF_MAX);
		assert_true(ref_others(REF_BUSY(link)) >= REF_MAX);
	}
	for (uint64_t n = 1; n && n <= REF_MAX; n *= 2) {
		assert_int_equal(ref_others(REF_SHARED(n)), n - 1);
		assert_int_equal(ref_others(REF_SHARED(n) | REF_MARK), n - 1);
	}
}

static void info_words(void **state)
{
	uint64_t info = info_make(0xabcd, 17, INFO_HOOK | INFO_RCU);

	(void)state;
	assert_int_equal(info_type(info), 0xabcd);
	assert_int_equal(info_order(info), 17);
	assert_int_equal(info_list(info), 0);
	assert_int_equal(info & 0xff, INFO_HOOK | INFO_RCU);
	info |= (uint64_t)0xdeadbeef << INFO_LIST_SHIFT;
	assert_int_equal(info_list(info), 0xdeadbeef);
	assert_int_equal(info_type(info), 0xabcd);
	assert_int_equal(info_order(info), 17);
	assert_true(info_is_plain(info_make(255, 0, 0)));
	assert_false(info_is_plain(info_make(255, 1, 0)));
	assert_false(info_is_plain(info_make(255, 0, INFO_DETACHED)));
	assert_false(info_is_plain(info_make(0, 0, 0) | UINT64_C(1) << INFO_LIST_SHIFT));
	assert_false(info_is_plain(info_make(0, 0, 0) | UINT64_C(1) << (INFO_LIST_SHIFT + 31)));
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++) {
		assert_int_equal(info_bare_order(info_make(255, order, 0)), order);
		assert_int_equal(info_bare_order(info_make(0xffff, order, 0)), order);
		for (unsigned bit = 0; bit < INFO_TYPE_SHIFT; bit++) /* a flag, or a list */
			if (!(INFO_ORDER_MASK >> bit & 1))
				assert_true(info_bare_order(info_make(255, order, 0) | UINT64_C(1) << bit) > RAMKA_MAX_ORDER);
	}
}

static void the_version(void **state)
{
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "%d.%d.%d", RAMKA_VERSION_MAJOR, RAMKA_VERSION_MINOR, RAMKA_VERSION_PATCH);
	assert_string_equal(ramka_version(), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_macros_fill_in),
		cmocka_unit_test(registers_once),
		cmocka_unit_test(every_id),
		cmocka_unit_test(rejects_what_does_not_fit),
		cmocka_unit_test(metadata_is_aligned),
		cmocka_unit_test(built_in_types),
		cmocka_unit_test(texts_of_results),
		cmocka_unit_test(states_lie_far_apart),
		cmocka_unit_test(a_count_is_a_count_only_if_shared),
		cmocka_unit_test(info_words),
		cmocka_unit_test(the_version),
	};

	return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
