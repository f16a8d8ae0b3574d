/* SPDX-License-Identifier: MIT */
/* Shared frames: every function of frame.h, every result, on frames of all orders. Misuse is in tests/misuse. */
#include "fixture.h"

struct note { uint64_t key, value; uint8_t text[24]; };

static unsigned drops;
static ramka_paddr_t dropped_at;
static struct note dropped;
static void *dropped_content;
static struct ramka_cpu *dropped_on;

static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	drops++;
	dropped_on = cpu;
	dropped_at = paddr;
	dropped_content = content;
	memcpy(&dropped, meta, sizeof(dropped));
}

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16, .flags = 0, .on_drop = on_drop);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 17);
static RAMKA_DEFINE_TYPE_PLAIN(hidden_type, .id = 18, .flags = RAMKA_TYPE_NO_LOOKUP);
static RAMKA_DEFINE_TYPE_PLAIN(raw_type, .id = 255, .flags = RAMKA_TYPE_UNTYPED);

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	drops = 0;
	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(f->r, &plain_type), 0);
	assert_int_equal(ramka_type_register(f->r, &hidden_type), 0);
	assert_int_equal(ramka_type_register(f->r, &raw_type), 0);
	return f;
}

/* ---- alloc ---- */

static void a_frame_of_every_order(void **state)
{
	struct fixture *f = open_with((struct spec){ .size = 3 * GIB, .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP,
						     .nr_cpus = 2 });

	(void)state;
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++)
		for (unsigned who = 0; who < 3; who++) {
			struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;
			struct ramka_frame *one = ramka_frame_alloc(cpu, &plain_type, NULL, order_req(order));
			ramka_paddr_t pa;

			assert_non_null(one);
			pa = ramka_frame_paddr(f->r, one);
			assert_int_equal(pa % (PAGE << order), 0);
			assert_true(pa >= BASE && pa + (PAGE << order) <= BASE + 3 * GIB);
			assert_int_equal(ramka_frame_index(f->r, one), pa / PAGE);
			assert_int_equal(ramka_frame_order(one), order);
			assert_int_equal(ramka_frame_size(one), PAGE << order);
			assert_int_equal(ramka_frame_map_level(one), order < 9 ? 1 : order < 18 ? 2 : 3);
			assert_int_equal(ramka_frame_refcount(one), 1);
			assert_true(ramka_frame_is_sole(one));
			assert_ptr_equal(ramka_frame_type(f->r, one), &plain_type);
			assert_int_equal(in_use(f), UINT64_C(1) << order);
			ramka_frame_put(cpu, one);
			assert_int_equal(in_use(f), 0);
		}
	offline_all(f);
	assert_int_equal(stats(f).free_by_order[18], f->start.free_by_order[18]);
	assert_int_equal(ramka_fini(f->r), 0);
	fixture_unmap(f);
}

static void bad_requests_get_nothing(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *many[4] = { NULL, NULL, NULL, NULL };
	uint64_t failures = 0;

	(void)state;
	for (unsigned order = RAMKA_MAX_ORDER + 1; order <= 255; order++) {
		assert_null(ramka_frame_alloc(f->cpu[0], &plain_type, NULL, order_req(order)));
		assert_null(ramka_unique_alloc(f->cpu[0], &plain_type, NULL, order_req(order)));
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &plain_type, order_req(order), 4, many), 0);
	}
	for (unsigned bit = 7; bit < 16; bit++) {
		struct ramka_request req = { .flags = (uint16_t)(1u << bit) };

		assert_null(ramka_frame_alloc(f->cpu[0], &plain_type, NULL, req));
		assert_null(ramka_frame_alloc(f->none, &plain_type, NULL, req));
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &plain_type, req, 4, many), 0);
	}
	assert_null(ramka_frame_alloc(f->cpu[0], &plain_type, NULL, (struct ramka_request){ .reserved = 1 }));
	assert_null(many[0]);
	for (unsigned order = 0; order <= RAMKA_MAX_ORDER; order++)
		failures += stats(f).failures[order];
	assert_int_equal(failures, 0); /* these were no answers "no memory" */
	CLOSE(f);
}

static void content_is_zeroed_unless_told(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED);
	uint8_t *content = ramka_frame_content(f->r, one);

	(void)state;
	assert_ptr_equal(content, bytes_at(f, ramka_frame_paddr(f->r, one)));
	assert_true(all_bytes(content, 0, PAGE));
	memset(content, 0x55, PAGE);
	ramka_frame_put(f->cpu[0], one);
	one = must_alloc(f->cpu[0], UNINIT);
	assert_ptr_equal(ramka_frame_content(f->r, one), content);
	assert_true(all_bytes(content, 0x55, PAGE)); /* nobody touched it */
	ramka_frame_put(f->cpu[0], one);
	one = must_alloc(f->cpu[0], ZEROED);
	assert_ptr_equal(ramka_frame_content(f->r, one), content);
	assert_true(all_bytes(content, 0, PAGE));
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

/* Dirty frames come back zeroed, whichever way they took: cache, row, depot, another CPU, zone, deferred, any order. */
static void zeroed_on_every_path(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 3, .rcu = true });
	struct ramka_frame *frames[2048];
	uint64_t seed = 41;

	(void)state;
	for (unsigned round = 0; round < 16; round++) {
		struct ramka_cpu *from = round % 4 == 3 ? f->none : f->cpu[round % 4];
		unsigned order = round < 6 ? 0 : round - 5;
		struct ramka_request req = { .order = (uint8_t)order };
		size_t n = round % 2 ? alloc_all(from, req, frames, 2048) :
				       ramka_frame_alloc_bulk(from, &ramka_type_untyped, req, 2048, frames);

		assert_int_equal(n, 2048u >> order);
		for (size_t i = 0; i < n; i++) {
			uint8_t *content = ramka_frame_content(f->r, frames[i]);

			assert_true(all_bytes(content, 0, PAGE << order));
			memset(content, 0xa0 + (int)round, PAGE << order);
		}
		for (size_t i = 0; i < n; i++) {
			struct ramka_cpu *to = i % 4 == 3 ? f->none : f->cpu[random_next(&seed) % 3];

			if (i % 5 == 0)
				ramka_frame_put_rcu(to, frames[i]);
			else
				ramka_frame_put(to, frames[i]);
		}
		ramka_reclaim(f->cpu[0], true);
		AUDIT(f);
	}
	CLOSE(f);
}

/* A huge frame is cleared from its first byte to its last, and its neighbour is not. */
static void clears_the_frame_and_no_more(void **state)
{
	(void)state;
	for (unsigned order = 8; order <= 10; order++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
		struct ramka_frame *frames[16];
		size_t n = alloc_all(f->cpu[0], order_req(order), frames, 16);

		for (size_t i = 0; i < n; i++)
			memset(ramka_frame_content(f->r, frames[i]), 0x55, PAGE << order);
		ramka_frame_put(f->cpu[0], frames[0]);
		frames[0] = must_alloc(f->cpu[0], (struct ramka_request){ .order = (uint8_t)order });
		assert_true(all_bytes(ramka_frame_content(f->r, frames[0]), 0, PAGE << order));
		for (size_t i = 1; i < n; i++)
			assert_true(all_bytes(ramka_frame_content(f->r, frames[i]), 0x55, PAGE << order));
		put_all(f->cpu[0], frames, n);
		CLOSE(f);
	}
}

static void metadata_is_copied_or_zeroed(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct note value = { 1, 2, "abc" };
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &note_type, &value, ZEROED);
	struct note *meta = ramka_frame_meta(f->r, one);

	(void)state;
	assert_memory_equal(meta, &value, sizeof(value));
	assert_ptr_equal(ramka_frame_meta_as(f->r, one, &note_type), meta);
	assert_null(ramka_frame_meta_as(f->r, one, &plain_type));
	assert_null(ramka_frame_meta_as(f->r, one, NULL));
	ramka_frame_put(f->cpu[0], one);
	one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, ZEROED);
	assert_ptr_equal(ramka_frame_meta(f->r, one), meta);
	assert_true(all_bytes((uint8_t *)meta, 0, sizeof(*meta)));
	ramka_frame_put(f->cpu[0], one);
	one = ramka_frame_alloc(f->cpu[0], &plain_type, &value, ZEROED);
	assert_null(ramka_frame_meta(f->r, one));
	assert_null(ramka_frame_meta_as(f->r, one, &note_type));
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

static void address_limits(void **state)
{
	struct ramka_region g[] = { { 10 * PAGE, 8 * MIB, RAMKA_USABLE, 0 }, { 9 * MIB, 7 * MIB + 3 * PAGE, RAMKA_USABLE, 1 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = 2, .nr_cpus = 2 });
	struct ramka_frame **frames = frame_table(4200);

	(void)state;
	for (unsigned bits = 1; bits <= 64; bits++)
		for (unsigned order = 0; order <= 10; order += order < 3 ? 1 : 7) {
			struct ramka_request req = { .addr_bits = (uint8_t)bits, .order = (uint8_t)order, .flags = RAMKA_ALLOC_UNINIT };
			uint64_t end = bits < 64 ? UINT64_C(1) << bits : UINT64_MAX, want = 0;
			size_t n;

			for (uint64_t pa = 0; pa < 17 * MIB; pa += PAGE << order)
				for (unsigned i = 0; i < 2; i++)
					want += pa >= g[i].base && pa + (PAGE << order) <= g[i].base + g[i].size &&
						pa + (PAGE << order) <= end;
			n = alloc_all(f->cpu[bits % 2], req, frames, 4200);
			for (size_t i = 0; i < n; i++)
				assert_true(ramka_frame_paddr(f->r, frames[i]) + ramka_frame_size(frames[i]) <= end);
			assert_int_equal(n, want);
			put_all(f->cpu[order % 2], frames, n); /* frames in caches are found again next time */
		}
	free(frames);
	CLOSE(f);
}

/* A limit that no block ends at: by steps of one frame, with the base moved against it. */
static void limits_within_a_block(void **state)
{
	(void)state;
	for (unsigned below = 1; below < 1100; below += 61) {
		ramka_paddr_t base = (UINT64_C(1) << 24) - below * PAGE;
		struct ramka_region g = { base, 8 * MIB, RAMKA_USABLE, 0 };
		struct fixture *f = open_with((struct spec){ .regions = &g, .nr_regions = 1, .nr_cpus = 1 });
		struct ramka_request req = { .addr_bits = 24, .flags = RAMKA_ALLOC_UNINIT };
		struct ramka_frame *frames[2048], *one = must_alloc(f->cpu[0], UNINIT);
		size_t n;

		ramka_frame_put(f->cpu[0], one);
		n = alloc_all(f->cpu[0], req, frames, 2048);
		assert_int_equal(n, below);
		for (size_t i = 0; i < n; i++)
			assert_true(ramka_frame_paddr(f->r, frames[i]) < UINT64_C(1) << 24);
		put_all(f->cpu[0], frames, n);
		CLOSE(f);
	}
}

static void without_a_direct_map(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
	struct ramka_frame *one, *many[3];
	uint8_t buf[8];

	(void)state;
	assert_null(ramka_frame_alloc(f->cpu[0], &plain_type, NULL, ZEROED));
	assert_null(ramka_frame_alloc(f->none, &plain_type, NULL, (struct ramka_request){ .order = 3 }));
	assert_null(ramka_unique_alloc(f->cpu[0], &plain_type, NULL, ZEROED));
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &plain_type, ZEROED, 3, many), 0);
	one = ramka_frame_alloc(f->cpu[0], &raw_type, NULL, UNINIT);
	assert_non_null(one);
	assert_null(ramka_frame_content(f->r, one));
	assert_int_equal(ramka_frame_read(f->r, one, 0, buf, 8), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_frame_write(f->r, one, 0, buf, 8), RAMKA_E_UNSUPPORTED);
	assert_int_equal(ramka_frame_read(f->r, one, PAGE, buf, 1), RAMKA_E_OUT_OF_BOUND);
	ramka_frame_put(f->cpu[0], one);
	one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, UNINIT);
	ramka_frame_put(f->cpu[0], one);
	assert_int_equal(drops, 1);
	assert_null(dropped_content);
	CLOSE(f);
}

/* ---- bulk ---- */

static void bulk_is_many_single_calls(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct ramka_frame *frames[2100];
	struct ramka_request req = ZEROED;

	(void)state;
	assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &note_type, req, 0, NULL), 0);
	ramka_frame_put_bulk(f->cpu[0], 0, NULL);
	for (size_t n = 1; n <= 300; n += n < 70 ? 1 : 23) {
		memset(frames, 0, sizeof(frames));
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[n % 2], &note_type, req, n, frames), n);
		assert_null(frames[n]);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(ramka_frame_refcount(frames[i]), 1);
			assert_true(all_bytes(ramka_frame_meta(f->r, frames[i]), 0, sizeof(struct note)));
			assert_true(all_bytes(ramka_frame_content(f->r, frames[i]), 0, PAGE));
			memset(ramka_frame_meta(f->r, frames[i]), 0x33, sizeof(struct note));
			memset(ramka_frame_content(f->r, frames[i]), 0x44, PAGE);
		}
		assert_int_equal(in_use(f), n);
		ramka_frame_put_bulk(f->cpu[n % 3 == 0], n, frames);
		assert_int_equal(in_use(f), 0);
	}
	for (unsigned order = 0; order <= 11; order++) {
		req = order_req(order);
		memset(frames, 0, sizeof(frames));
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], &plain_type, req, 2100, frames), 2048u >> order);
		assert_null(frames[2048u >> order]);
		AUDIT(f);
		ramka_frame_put_bulk(f->none, 2048u >> order, frames);
	}
	CLOSE(f);
}

static void bulk_puts_any_mixture(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });
	struct ramka_frame *frames[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		static const struct ramka_type *const types[] = { &note_type, &plain_type, &ramka_type_untyped, &hidden_type };

		frames[i] = ramka_frame_alloc(f->cpu[i % 2], types[i % 4], NULL, order_req(i % 5));
		assert_non_null(frames[i]);
		if (i % 3 == 0)
			ramka_frame_get(f->r, frames[i]);
		if (i % 6 == 0)
			assert_int_equal(ramka_frame_put_rcu(f->cpu[0], frames[i]), 0);
	}
	ramka_frame_put_bulk(f->cpu[0], 64, frames);
	AUDIT(f);
	for (unsigned i = 0; i < 64; i++)
		if (i % 3 == 0 && i % 6)
			ramka_frame_put(f->cpu[1], frames[i]);
	ramka_reclaim(f->cpu[1], true);
	assert_int_equal(drops, 16);
	CLOSE(f);
}

/* ---- counting ---- */

static void counts_references(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });
	struct note value = { 7, 8, "" };
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &note_type, &value, ZEROED);

	(void)state;
	for (unsigned i = 2; i <= 100; i++) {
		assert_ptr_equal(ramka_frame_get(f->r, one), one);
		assert_int_equal(ramka_frame_refcount(one), i);
		assert_false(ramka_frame_is_sole(one));
	}
	for (unsigned i = 100; i > 1; i--) {
		ramka_frame_put(f->cpu[i % 2], one);
		assert_int_equal(ramka_frame_refcount(one), i - 1);
		assert_int_equal(drops, 0);
	}
	assert_true(ramka_frame_is_sole(one));
	ramka_frame_put(f->cpu[1], one);
	assert_int_equal(drops, 1);
	assert_ptr_equal(dropped_on, f->cpu[1]);
	assert_int_equal(dropped_at, ramka_frame_paddr(f->r, one));
	assert_ptr_equal(dropped_content, bytes_at(f, dropped_at));
	assert_memory_equal(&dropped, &value, sizeof(value));
	assert_int_equal(ramka_frame_refcount(one), 0);
	assert_false(ramka_frame_is_sole(one));
	CLOSE(f);
}

static void assigns(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *a = must_alloc(f->cpu[0], ZEROED), *b = must_alloc(f->cpu[0], ZEROED), *dst = NULL;

	(void)state;
	ramka_frame_assign(f->cpu[0], &dst, NULL);
	assert_null(dst);
	ramka_frame_assign(f->cpu[0], &dst, a);
	assert_ptr_equal(dst, a);
	assert_int_equal(ramka_frame_refcount(a), 2);
	ramka_frame_assign(f->cpu[0], &dst, a); /* onto itself */
	assert_ptr_equal(dst, a);
	assert_int_equal(ramka_frame_refcount(a), 2);
	ramka_frame_assign(f->cpu[0], &dst, b);
	assert_ptr_equal(dst, b);
	assert_int_equal(ramka_frame_refcount(a), 1);
	assert_int_equal(ramka_frame_refcount(b), 2);
	ramka_frame_put(f->cpu[0], b);
	ramka_frame_assign(f->cpu[0], &dst, b); /* sole and onto itself: must not die in between */
	assert_int_equal(ramka_frame_refcount(b), 1);
	ramka_frame_assign(f->cpu[0], &dst, NULL);
	assert_null(dst);
	assert_int_equal(in_use(f), 1);
	ramka_frame_put(f->cpu[0], a);
	CLOSE(f);
}

static void forgets_and_restores(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &plain_type, NULL, order_req(3));
	ramka_paddr_t pa = ramka_frame_into_raw(f->r, one);

	(void)state;
	assert_int_equal(pa, ramka_frame_paddr(f->r, one));
	assert_int_equal(ramka_frame_refcount(one), 1);
	assert_ptr_equal(ramka_frame_from_raw(f->r, pa), one);
	assert_int_equal(ramka_frame_refcount(one), 1);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

static void borrows(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED);
	struct ramka_frame_ref ref = ramka_frame_borrow(f->r, one);

	(void)state;
	assert_ptr_equal(ref.frame, one);
	assert_int_equal(ramka_frame_refcount(ref.frame), 1);
	ramka_frame_unborrow(f->r, ref);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

/* ---- by address ---- */

static void looks_up(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &plain_type, NULL, order_req(2)), *ret = NULL;
	ramka_paddr_t pa = ramka_frame_paddr(f->r, one);
	struct ramka_unique *u;

	(void)state;
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), 0);
	assert_ptr_equal(ret, one);
	assert_int_equal(ramka_frame_refcount(one), 2);
	ramka_frame_put(f->cpu[1], one);
	ret = NULL;
	for (unsigned off = 1; off < PAGE; off += 511)
		assert_int_equal(ramka_frame_from_in_use(f->r, pa + off, &ret), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_frame_from_in_use(f->r, UINT64_MAX, &ret), RAMKA_E_NOT_ALIGNED); /* first of the checks */
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE - PAGE, &ret), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + 8 * MIB, &ret), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_in_use(f->r, UINT64_MAX - PAGE + 1, &ret), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_in_use(f->r, 0, &ret), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_in_use(f->r, pa + PAGE, &ret), RAMKA_E_UNUSED); /* a tail */
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), RAMKA_E_BUSY); /* deferred */
	assert_int_equal(ramka_frame_from_in_use(f->r, pa + PAGE, &ret), RAMKA_E_UNUSED);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), RAMKA_E_UNUSED);
	u = ramka_unique_alloc(f->cpu[0], &plain_type, NULL, ZEROED);
	assert_int_equal(ramka_frame_from_in_use(f->r, ramka_unique_paddr(f->r, u), &ret), RAMKA_E_UNIQUE);
	ramka_unique_free(f->cpu[0], u);
	one = ramka_frame_alloc(f->cpu[0], &hidden_type, NULL, ZEROED);
	assert_int_equal(ramka_frame_from_in_use(f->r, ramka_frame_paddr(f->r, one), &ret), RAMKA_E_IN_USE);
	assert_int_equal(ramka_frame_refcount(one), 1);
	ramka_frame_put(f->cpu[0], one);
	assert_null(ret);
	CLOSE(f);
}

/* For a reader inside a read section: no count, and what is there stays as it was until the section ends. */
static void looks_without_counting(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .rcu = true });
	struct note value = { 1, 2, "x" };
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &note_type, &value, order_req(1));
	ramka_paddr_t pa = ramka_frame_paddr(f->r, one);
	struct ramka_frame_ref ref = ramka_frame_at(f->r, pa);

	(void)state;
	assert_ptr_equal(ref.frame, one);
	assert_int_equal(ramka_frame_refcount(ref.frame), 1);
	memset(bytes_at(f, pa), 0x17, PAGE);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0); /* the last reference goes, the reader is still there */
	ref = ramka_frame_at(f->r, pa);
	assert_ptr_equal(ref.frame, one);
	assert_memory_equal(ramka_frame_meta_as(f->r, ref.frame, &note_type), &value, sizeof(value));
	assert_true(all_bytes(ramka_frame_content(f->r, ref.frame), 0x17, PAGE));
	ramka_reclaim(f->cpu[0], true);
	for (unsigned off = 1; off < PAGE; off += 1000)
		assert_null(ramka_frame_at(f->r, pa + off).frame);
	assert_null(ramka_frame_at(f->r, BASE - PAGE).frame);
	assert_null(ramka_frame_at(f->r, BASE + 8 * MIB).frame);
	assert_null(ramka_frame_at(f->r, UINT64_MAX).frame);
	CLOSE(f);
}

static void claims(void **state)
{
	static const struct ramka_region g[] = { { BASE, 4 * MIB, RAMKA_USABLE, 0 }, { BASE + 4 * MIB, MIB, RAMKA_DETACHED, 0 },
						 { BASE + 6 * MIB, MIB, RAMKA_RESERVED, 0 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = 3, .rcu = true });
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &plain_type, NULL, order_req(2)), *ret = NULL;
	ramka_paddr_t pa = ramka_frame_paddr(f->r, one);
	struct ramka_unique *u = ramka_unique_alloc(f->cpu[0], &plain_type, NULL, ZEROED);
	struct note value = { 3, 4, "x" };

	(void)state;
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa + 1, &note_type, &value, &ret), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], UINT64_MAX, &note_type, &value, &ret), RAMKA_E_NOT_ALIGNED);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 5 * MIB, &note_type, &value, &ret), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 7 * MIB, &note_type, &value, &ret), RAMKA_E_OUT_OF_BOUND);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &note_type, &value, &ret), RAMKA_E_IN_USE);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa + i * PAGE, &note_type, &value, &ret), RAMKA_E_IN_USE);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], ramka_unique_paddr(f->r, u), &note_type, &value, &ret), RAMKA_E_UNIQUE);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], BASE + 6 * MIB, &note_type, &value, &ret), RAMKA_E_IN_USE);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &note_type, &value, &ret), RAMKA_E_BUSY);
	assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa + PAGE, &note_type, &value, &ret), RAMKA_E_IN_USE);
	assert_null(ret);
	ramka_reclaim(f->cpu[0], true);
	ramka_unique_free(f->cpu[0], u);

	pa = BASE + 4 * MIB + 9 * PAGE; /* UNUSED: content stays, and it returns there */
	memset(bytes_at(f, pa), 0x21, PAGE);
	assert_int_equal(ramka_frame_from_unused(f->cpu[1], pa, &note_type, &value, &ret), 0);
	assert_int_equal(ramka_frame_refcount(ret), 1);
	assert_memory_equal(ramka_frame_meta(f->r, ret), &value, sizeof(value));
	assert_true(all_bytes(bytes_at(f, pa), 0x21, PAGE));
	AUDIT(f);
	ramka_frame_put(f->cpu[0], ret);
	assert_int_equal(drops, 1);
	assert_int_equal(state_at(f, pa), RAMKA_STATE_UNUSED);
	assert_int_equal(stats(f).unused, 256);
	assert_int_equal(ramka_frame_from_unused(f->none, pa, &note_type, NULL, &ret), 0); /* and again, deferred */
	assert_true(all_bytes(ramka_frame_meta(f->r, ret), 0, sizeof(value)));
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], ret), 0);
	assert_int_equal(state_at(f, pa), RAMKA_STATE_DEFERRED);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(state_at(f, pa), RAMKA_STATE_UNUSED);
	CLOSE(f);
}

/* Tails and cached frames look alike in their slots, and are told apart. */
static void tails_of_every_order(void **state)
{
	struct fixture *f = open_with((struct spec){ .size = 64 * MIB, .nr_cpus = 1, .rcu = true });

	(void)state;
	for (unsigned order = 1; order <= 13; order++)
		for (unsigned kind = 0; kind < 3; kind++) {
			struct ramka_frame *one = must_alloc(f->cpu[0], order_req(order)), *ret;
			struct ramka_unique *u = NULL;
			ramka_paddr_t pa = ramka_frame_paddr(f->r, one);

			if (kind == 1)
				u = ramka_frame_try_unique(f->r, one);
			if (kind == 2)
				ramka_frame_put_rcu(f->cpu[0], one);
			for (uint64_t i = 1; i < UINT64_C(1) << order; i += 1 + i / 2) {
				assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa + i * PAGE, &plain_type, NULL, &ret), RAMKA_E_IN_USE);
				assert_int_equal(state_at(f, pa + i * PAGE), RAMKA_STATE_TAIL);
			}
			if (!kind)
				ramka_frame_put(f->cpu[0], one);
			if (kind == 1)
				ramka_unique_free(f->cpu[0], u);
			ramka_reclaim(f->cpu[0], true);
		}
	CLOSE(f);
}

/* ---- content ---- */

static void reads_and_writes(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	uint8_t in[64], out[64];

	(void)state;
	for (unsigned order = 0; order < 3; order++) {
		struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], order ? &raw_type : &ramka_type_untyped, NULL,
							    (struct ramka_request){ .order = (uint8_t)order });
		size_t size = PAGE << order;

		assert_true(ramka_frame_is_untyped(f->r, one));
		for (unsigned i = 0; i < 64; i++)
			in[i] = (uint8_t)(i + order);
		assert_int_equal(ramka_frame_write(f->r, one, size - 64, in, 64), 0);
		assert_int_equal(ramka_frame_write(f->r, one, 5, in, 7), 0);
		assert_int_equal(ramka_frame_read(f->r, one, size - 64, out, 64), 0);
		assert_memory_equal(in, out, 64);
		assert_memory_equal((uint8_t *)ramka_frame_content(f->r, one) + 5, in, 7);
		memset(out, 0xee, 64);
		assert_int_equal(ramka_frame_read(f->r, one, size - 63, out, 64), RAMKA_E_OUT_OF_BOUND);
		assert_int_equal(ramka_frame_read(f->r, one, size + 1, out, 0), RAMKA_E_OUT_OF_BOUND);
		assert_int_equal(ramka_frame_read(f->r, one, SIZE_MAX, out, 64), RAMKA_E_OUT_OF_BOUND);
		assert_int_equal(ramka_frame_read(f->r, one, 64, out, SIZE_MAX), RAMKA_E_OUT_OF_BOUND);
		assert_int_equal(ramka_frame_write(f->r, one, size, in, 1), RAMKA_E_OUT_OF_BOUND);
		assert_true(all_bytes(out, 0xee, 64));
		assert_int_equal(ramka_frame_read(f->r, one, size, out, 0), 0); /* nothing, at the end */
		assert_int_equal(ramka_frame_write(f->r, one, size, in, 0), 0);
		ramka_frame_put(f->cpu[0], one);
	}
	CLOSE(f);
}

static void typed_content_is_not_for_everybody(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &plain_type, NULL, ZEROED);
	uint8_t byte = 1;

	(void)state;
	assert_false(ramka_frame_is_untyped(f->r, one));
	assert_int_equal(ramka_frame_read(f->r, one, 0, &byte, 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_write(f->r, one, 0, &byte, 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_read(f->r, one, PAGE, &byte, 1), RAMKA_E_INVAL); /* before the bounds */
	assert_int_equal(ramka_frame_read(f->r, NULL, 0, &byte, 1), RAMKA_E_INVAL);
	assert_int_equal(ramka_frame_write(f->r, NULL, 0, &byte, 1), RAMKA_E_INVAL);
	assert_int_equal(*(uint8_t *)ramka_frame_content(f->r, one), 0);
	assert_int_equal(byte, 1);
	ramka_frame_put(f->cpu[0], one);
	CLOSE(f);
}

/* ---- reserved frames ---- */

static void reserved_frames_count_too(void **state)
{
	static const struct ramka_region g[] = { { BASE, MIB, RAMKA_USABLE, 0 }, { BASE + MIB, MIB, RAMKA_KERNEL, 0 } };
	struct fixture *f = open_with((struct spec){ .regions = g, .nr_regions = 2, .rcu = true });
	struct ramka_frame *one, *two;

	(void)state;
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + MIB, &one), 0);
	assert_ptr_equal(ramka_frame_type(f->r, one), &ramka_type_kernel);
	assert_null(ramka_frame_meta(f->r, one));
	assert_ptr_equal(ramka_frame_get(f->r, one), one);
	assert_int_equal(ramka_frame_refcount(one), 3);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	ramka_frame_put(f->cpu[0], one);
	assert_int_equal(ramka_frame_refcount(one), 1);
	assert_null(ramka_frame_try_unique(f->r, one)); /* the last reference is not the caller's */
	assert_int_equal(ramka_frame_from_in_use(f->r, BASE + MIB, &two), 0);
	assert_ptr_equal(two, one);
	assert_int_equal(ramka_frame_refcount(one), 2);
	ramka_frame_put(f->cpu[0], two);
	assert_int_equal(stats(f).reserved, 256);
	CLOSE(f);
}

/* ---- saturation ---- */

/* Many references at once, and each of them counts. */
static void gets_many(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .rcu = true });
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, ZEROED);
	static const unsigned many[] = { 0, 1, 2, 77, 1000 };

	(void)state;
	drops = 0;
	for (unsigned i = 0; i < NELEMS(many); i++) {
		assert_ptr_equal(ramka_frame_get_n(f->r, one, many[i]), one);
		assert_int_equal(ramka_frame_refcount(one), 1 + many[i]);
		for (unsigned j = 0; j < many[i]; j++)
			ramka_frame_put(f->cpu[0], one);
	}
	assert_ptr_equal(ramka_frame_get_n(f->r, one, 2), one);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	assert_ptr_equal(ramka_frame_get_n(f->r, one, 3), one); /* marked */
	assert_int_equal(ramka_frame_refcount(one), 5);
	for (unsigned j = 0; j < 5; j++)
		ramka_frame_put(f->cpu[0], one);
	assert_int_equal(stats(f).deferred, 1);
	ramka_reclaim(f->cpu[0], true);
	assert_int_equal(drops, 1);
	CLOSE(f);
}

static void many_stop_at_the_top_of_the_count(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = must_alloc(f->cpu[0], UNINIT);

	(void)state;
	skip_in_contract_build();
	ramka_store(&one->ref, REF_SHARED(REF_MAX - 10), relaxed, slot.count);
	assert_ptr_equal(ramka_frame_get_n(f->r, one, 9), one);
	assert_int_equal(ramka_frame_refcount(one), REF_MAX - 1);
	EXPECT_BUG(f, "ramka_frame_get_n", assert_ptr_equal(ramka_frame_get_n(f->r, one, 2), one));
	assert_int_equal(f->bug.ref, REF_SHARED(REF_MAX - 1));
	assert_int_equal(ramka_frame_state_at(f->r, ramka_frame_paddr(f->r, one)), RAMKA_STATE_SATURATED);
	assert_ptr_equal(ramka_frame_get_n(f->r, one, UINT32_MAX), one);
	CLOSE_LEAKING(f, 1);
}

/* As a kernel frees: by the address that it kept. */
static void puts_by_address(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = 16 * MIB });

	(void)state;
	drops = 0;
	for (unsigned order = 0; order <= 11; order++)
		for (unsigned who = 0; who < 3; who++) {
			struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;
			const struct ramka_type *type = order % 2 ? &note_type : &plain_type;
			struct ramka_frame *one = ramka_frame_alloc(cpu, type, NULL, order_req(order));
			ramka_paddr_t pa = ramka_frame_into_raw(f->r, ramka_frame_get(f->r, one));
			ramka_paddr_t last = pa + (PAGE << order) - 1;

			assert_ptr_equal(ramka_frame_head(f->r, pa), one);
			assert_ptr_equal(ramka_frame_head(f->r, last), one);
			assert_ptr_equal(ramka_frame_head(f->r, pa + (PAGE << order) / 2), one);
			assert_int_equal(ramka_frame_state_at(f->r, pa + PAGE / 2), RAMKA_STATE_SHARED);
			assert_int_equal(ramka_frame_state_at(f->r, last), order ? RAMKA_STATE_TAIL : RAMKA_STATE_SHARED);
			ramka_frame_put_at(cpu, pa);
			assert_int_equal(ramka_frame_refcount(one), 1);
			assert_int_equal(ramka_frame_into_raw(f->r, one), pa);
			ramka_frame_put_at(cpu, pa);
			assert_null(ramka_frame_head(f->r, last));
			EXPECT_BUG(f, "ramka_frame_put_at", ramka_frame_put_at(cpu, pa));
			assert_int_equal(f->bug.paddr, pa);
			EXPECT_BUG(f, "ramka_frame_put_at", ramka_frame_put_at(cpu, pa + 1));
			AUDIT(f);
		}
	assert_int_equal(drops, 6 * 3);
	assert_null(ramka_frame_head(f->r, BASE - 1));
	assert_null(ramka_frame_head(f->r, UINT64_MAX));
	assert_int_equal(ramka_frame_state_at(f->r, UINT64_MAX), RAMKA_STATE_HOLE);
	CLOSE(f);
}

/* What is known about parts of the span without a hole agrees with a search of the map, at every frame and around it. */
static void parts_without_holes(void **state)
{
	static const struct ramka_region maps[][5] = {
		{ { BASE, 8 * MIB, RAMKA_USABLE, 0 } },
		{ { BASE + PAGE, 2 * MIB, RAMKA_USABLE, 0 }, { BASE + 3 * MIB, 5 * PAGE, RAMKA_DETACHED, 0 },
		  { BASE + 3 * MIB + 5 * PAGE, 3 * PAGE, RAMKA_KERNEL, 0 }, { BASE + 5 * MIB + 7 * PAGE, 3 * MIB, RAMKA_USABLE, 0 } },
		{ { BASE, PAGE, RAMKA_USABLE, 0 }, { BASE + 2 * PAGE, PAGE, RAMKA_USABLE, 0 }, { BASE + 64 * MIB, MIB, RAMKA_USABLE, 0 } },
	};

	(void)state;
	for (unsigned i = 0; i < NELEMS(maps); i++) {
		struct fixture *f = open_with((struct spec){ .regions = maps[i], .nr_regions = 5, .nr_cpus = 1 });
		uint64_t solid = 0;

		for (uint64_t frame = f->r->first - 3; frame < f->r->first + f->r->nr_slots + 600; frame++) {
			struct ramka_frame *quick = NULL, *searched = NULL;
			int rc = instance_slot(f->r, paddr_of(frame), &quick);

			assert_int_equal(rc, instance_slot_searched(f->r, paddr_of(frame), &searched));
			assert_ptr_equal(quick, searched);
			assert_int_equal(instance_slot(f->r, paddr_of(frame) + 1, &quick), RAMKA_E_NOT_ALIGNED);
			solid += instance_solid(f->r, paddr_of(frame), &quick);
		}
		assert_true(i == 2 || solid > f->r->nr_slots / 2 - 8);
		CLOSE(f);
	}
}

static void the_count_stops_at_its_top(void **state)
{
	(void)state;
	skip_in_contract_build();
	for (unsigned silent = 0; silent < 2; silent++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .rcu = true, .flags = silent ? RAMKA_REF_SATURATE : 0 });
		struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &note_type, NULL, ZEROED), *ret = NULL;
		ramka_paddr_t pa = ramka_frame_paddr(f->r, one);

		ramka_store(&one->ref, REF_SHARED(REF_MAX - 1), relaxed, slot.count);
		assert_ptr_equal(ramka_frame_get(f->r, one), one);
		assert_int_equal(ramka_frame_refcount(one), REF_MAX);
		assert_int_equal(f->bugs, 0);
		if (silent)
			assert_ptr_equal(ramka_frame_get(f->r, one), one);
		else
			EXPECT_BUG(f, "ramka_frame_get", assert_ptr_equal(ramka_frame_get(f->r, one), one));
		assert_int_equal(state_at(f, pa), RAMKA_STATE_SATURATED);
		for (unsigned i = 0; i < 1000; i++) { /* from now on nothing moves it */
			assert_ptr_equal(ramka_frame_get(f->r, one), one);
			ramka_frame_put(f->cpu[0], one);
			ramka_frame_put(f->cpu[0], one);
			assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
		}
		assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), 0);
		assert_ptr_equal(ret, one);
		assert_int_equal(ramka_frame_from_unused(f->cpu[0], pa, &plain_type, NULL, &ret), RAMKA_E_IN_USE);
		assert_null(ramka_frame_try_unique(f->r, one));
		assert_false(ramka_frame_is_sole(one));
		assert_ptr_equal(ramka_frame_from_raw(f->r, pa), one);
		assert_int_equal(state_at(f, pa), RAMKA_STATE_SATURATED);
		assert_int_equal(drops, 0);
		CLOSE_LEAKING(f, 1);
	}
}

static void the_count_stops_in_a_lookup_too(void **state)
{
	(void)state;
	skip_in_contract_build();
	for (unsigned marked = 0; marked < 2; marked++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
		struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED), *ret = NULL;
		ramka_paddr_t pa = ramka_frame_paddr(f->r, one);

		ramka_store(&one->ref, REF_SHARED(REF_MAX - 1) | (marked ? REF_MARK : 0), relaxed, slot.count);
		assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), 0);
		EXPECT_BUG(f, "ramka_frame_from_in_use", assert_int_equal(ramka_frame_from_in_use(f->r, pa, &ret), 0));
		assert_int_equal(state_at(f, pa), RAMKA_STATE_SATURATED);
		ramka_frame_put(f->cpu[0], one);
		CLOSE_LEAKING(f, 1);
	}
}

static void a_saturated_frame_may_be_hidden(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *one = ramka_frame_alloc(f->cpu[0], &hidden_type, NULL, ZEROED), *ret = NULL;

	(void)state;
	ramka_store(&one->ref, REF_SATURATED, relaxed, slot.count);
	assert_int_equal(ramka_frame_from_in_use(f->r, ramka_frame_paddr(f->r, one), &ret), RAMKA_E_IN_USE);
	assert_null(ret); /* outputs are untouched on failure */
	CLOSE_LEAKING(f, 1);
}

static void marked_counts_are_counts(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .rcu = true });
	struct ramka_frame *one = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	ramka_frame_get(f->r, one);
	ramka_frame_get(f->r, one);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	assert_int_equal(ramka_frame_refcount(one), 2);
	assert_int_equal(ramka_frame_put_rcu(f->cpu[0], one), 0);
	assert_true(ramka_frame_is_sole(one));
	assert_null(ramka_frame_try_unique(f->r, one)); /* readers may still look */
	ramka_frame_get(f->r, one);
	assert_int_equal(ramka_frame_refcount(one), 2);
	ramka_frame_put(f->cpu[0], one);
	ramka_frame_put(f->cpu[0], one); /* whoever puts last defers */
	assert_int_equal(stats(f).deferred, 1);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_of_every_order),
		cmocka_unit_test(bad_requests_get_nothing),
		cmocka_unit_test(content_is_zeroed_unless_told),
		cmocka_unit_test(zeroed_on_every_path),
		cmocka_unit_test(clears_the_frame_and_no_more),
		cmocka_unit_test(metadata_is_copied_or_zeroed),
		cmocka_unit_test(address_limits),
		cmocka_unit_test(limits_within_a_block),
		cmocka_unit_test(without_a_direct_map),
		cmocka_unit_test(bulk_is_many_single_calls),
		cmocka_unit_test(bulk_puts_any_mixture),
		cmocka_unit_test(counts_references),
		cmocka_unit_test(assigns),
		cmocka_unit_test(forgets_and_restores),
		cmocka_unit_test(borrows),
		cmocka_unit_test(looks_up),
		cmocka_unit_test(looks_without_counting),
		cmocka_unit_test(claims),
		cmocka_unit_test(tails_of_every_order),
		cmocka_unit_test(reads_and_writes),
		cmocka_unit_test(typed_content_is_not_for_everybody),
		cmocka_unit_test(reserved_frames_count_too),
		cmocka_unit_test(gets_many),
		cmocka_unit_test(many_stop_at_the_top_of_the_count),
		cmocka_unit_test(puts_by_address),
		cmocka_unit_test(parts_without_holes),
		cmocka_unit_test(the_count_stops_at_its_top),
		cmocka_unit_test(the_count_stops_in_a_lookup_too),
		cmocka_unit_test(a_saturated_frame_may_be_hidden),
		cmocka_unit_test(marked_counts_are_counts),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
