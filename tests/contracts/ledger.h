/* SPDX-License-Identifier: MIT */
/*
 * The frame condition, which only a single thread can check: an image of all slots and their shadows before a call, and
 * a comparison after it. The slots that the call may touch are named with the ledger they must have then; all
 * others must be what they were, to the bit.
 */
#ifndef RAMKA_TESTS_LEDGER_H
#define RAMKA_TESTS_LEDGER_H

#include "unit/fixture.h"

struct item {
	struct ramka_link link;
	uint64_t magic;
};
#define MAGIC UINT64_C(0x6d61676963)

static unsigned drops;

static int item_check(const void *meta)
{
	const struct item *i = meta;

	return i->magic == MAGIC;
}

static void item_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	(void)cpu, (void)meta, (void)paddr, (void)content;
	drops++;
}

/* `plain` has nothing to run when it dies: its check must be asked all the same. */
static RAMKA_DEFINE_TYPE(item_type, struct item, .id = 16, .flags = 0, .on_drop = item_drop, .check = item_check);
static RAMKA_DEFINE_TYPE(plain_type, struct item, .id = 17, .flags = 0, .on_drop = NULL, .check = item_check);

static const struct item good = { .magic = MAGIC };

static inline void good_init(void *ctx, ramka_paddr_t pa, void *meta)
{
	(void)ctx, (void)pa;
	*(struct item *)meta = good;
}

/* 8 MiB usable, 16 frames detached, 16 reserved */
static inline struct fixture *open_ledger(void)
{
	static const struct ramka_region regions[] = {
		{ BASE, 8 * MIB, RAMKA_USABLE, 0 },
		{ BASE + 8 * MIB, 16 * PAGE, RAMKA_DETACHED, 0 },
		{ BASE + 8 * MIB + 16 * PAGE, 16 * PAGE, RAMKA_RESERVED, 0 },
	};
	struct fixture *f = fixture_open((struct spec){ .regions = regions, .nr_regions = NELEMS(regions), .rcu = true });

	assert_int_equal(ramka_type_register(f->r, &item_type), 0);
	assert_int_equal(ramka_type_register(f->r, &plain_type), 0);
	return f;
}
#define DETACHED_AT (BASE + 8 * MIB)
#define RESERVED_AT (BASE + 8 * MIB + 16 * PAGE)

struct image {
	const struct fixture *f;
	struct contract_view *views;
};

/* One frame that the call may touch, and what holds it afterwards. */
struct want {
	const struct ramka_frame *f;
	struct ledger who;
};

static inline struct image image_take(const struct fixture *f)
{
	struct image im = { f, calloc(f->r->nr_slots, sizeof(*im.views)) };

	assert_non_null(im.views);
	for (uint64_t i = 0; i < f->r->nr_slots; i++)
		im.views[i] = contract_view_of(f->r, &f->r->slots[i]);
	return im;
}

static inline bool same_ledger(const struct ledger *a, const struct ledger *b)
{
	return a->handles == b->handles && a->raw == b->raw && a->covers == b->covers && a->borrows == b->borrows &&
	       a->unique == b->unique && a->listed == b->listed;
}

static inline bool same_view(const struct contract_view *a, const struct contract_view *b)
{
	return a->ref == b->ref && a->info == b->info && same_ledger(&a->who, &b->who) && a->generation == b->generation;
}

static inline void image_compare(struct image im, const struct want *want, size_t n, const char *call, int line)
{
	const struct ramka *r = im.f->r;

	for (uint64_t i = 0; i < r->nr_slots; i++) {
		const struct ramka_frame *f = &r->slots[i];
		struct contract_view v = contract_view_of(r, f);
		const struct want *w = NULL;

		for (size_t k = 0; k < n; k++)
			if (want[k].f == f)
				w = &want[k];
		if (!contract_inv(&v))
			fail_msg("line %d: %s: slot %llu breaks inv", line, call, (unsigned long long)i);
		if (!w && !same_view(&v, &im.views[i]))
			fail_msg("line %d: %s: slot %llu changed", line, call, (unsigned long long)i);
		if (!w)
			continue;
		if (!same_ledger(&v.who, &w->who))
			fail_msg("line %d: %s: H %u F %u C %u B %u U %u L %u", line, call, v.who.handles, v.who.raw,
				 v.who.covers, v.who.borrows, v.who.unique, v.who.listed);
		if (!(v.info & INFO_RESERVED) && ramka_frame_refcount(f) &&
		    ramka_frame_refcount(f) != (uint64_t)w->who.handles + w->who.raw + w->who.covers)
			fail_msg("line %d: %s: n is not H + F + C", line, call);
	}
	free(im.views);
}

/* Runs the call; afterwards the frames named must have these ledgers and nothing else may have changed. */
#define EXACTLY(f_, call, ...)                                                                             \
	do {                                                                                               \
		struct image image_ = image_take(f_);                                                      \
		call;                                                                                      \
		const struct want want_[] = { __VA_ARGS__ };                                               \
		image_compare(image_, want_, NELEMS(want_), #call, __LINE__);                              \
	} while (0)

/* The call touches no slot at all. */
#define NOTHING(f_, call)                                                                                  \
	do {                                                                                               \
		struct image image_ = image_take(f_);                                                      \
		call;                                                                                      \
		image_compare(image_, NULL, 0, #call, __LINE__);                                           \
	} while (0)

#define HOLD(f_, ...) { (f_), { __VA_ARGS__ } }
#define UHOLD(u_, ...) { slot_of(u_), { __VA_ARGS__ } }

#endif
