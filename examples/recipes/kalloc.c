/* SPDX-License-Identifier: MIT */
/*
 * A kernel's kalloc and kfree on ramka. kfree is given an address and nothing else: the frame behind it knows its order and
 * its state, so a second kfree, or one into the middle of a block, is reported and does no harm.
 */
#include "recipe.h"

static unsigned bugs;

static struct ramka_cpu *this_cpu(void)
{
	return ramka_host_cpu(host);
}

/* In a kernel: cfg.direct_map. */
static uintptr_t direct_map(void)
{
	static uintptr_t base;

	if (!base) {
		struct ramka_frame *f = ramka_frame_alloc(this_cpu(), &ramka_type_untyped, NULL, (struct ramka_request){ 0 });

		CHECK(f);
		base = (uintptr_t)ramka_frame_content(r, f) - (uintptr_t)ramka_frame_paddr(r, f);
		ramka_frame_put(this_cpu(), f);
	}
	return base;
}

/* ---- the recipe ---- */

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;

	while (((size_t)RAMKA_PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

/* Whole frames, zeroed, aligned to their size; NULL: no memory, or more than 1 GiB. */
static void *kalloc(size_t bytes)
{
	struct ramka_request req = { 0 };
	struct ramka_unique *u;

	if (bytes > (size_t)RAMKA_PAGE_SIZE << RAMKA_MAX_ORDER)
		return NULL;
	req.order = (uint8_t)order_of(bytes);
	u = ramka_unique_alloc(this_cpu(), &ramka_type_untyped, NULL, req);
	return u ? (void *)(direct_map() + (uintptr_t)ramka_unique_into_raw(r, u)) : NULL;
}

static void kfree(void *address)
{
	struct ramka_unique *u;

	if (!address)
		return;
	u = ramka_unique_from_raw(r, (uintptr_t)address - direct_map()); /* no such block: cfg.panic, then NULL */
	if (u)
		ramka_unique_free(this_cpu(), u);
}

/* ---- its test ---- */

static void panic(void *ctx, const struct ramka_bug *bug)
{
	(void)ctx, (void)bug;
	bugs++;
}

int main(void)
{
	struct ramka_host_options options = { .memory = 64u << 20, .panic = panic };
	struct ramka_stats s;
	char *p[8];

	CHECK(!ramka_host_create(&options, &host));
	r = ramka_host_ramka(host);
	for (unsigned i = 0; i < 8; i++) {
		size_t bytes = (size_t)3000 << i;

		p[i] = kalloc(bytes);
		CHECK(p[i] && (uintptr_t)p[i] % RAMKA_PAGE_SIZE == 0);
		for (size_t k = 0; k < bytes; k++)
			CHECK(!p[i][k]);
		memset(p[i], 0x5a, bytes);
	}
	kfree(NULL);
	kfree(p[7] + RAMKA_PAGE_SIZE); /* the middle of a block */
	CHECK(bugs == 1);
	kfree(p[7] + 1);
	CHECK(bugs == 2);
	for (unsigned i = 0; i < 8; i++)
		kfree(p[i]);
	CHECK(bugs == 2);
	kfree(p[7]); /* twice */
	CHECK(bugs == 3);
	CHECK(!kalloc((size_t)65 << 20) && !kalloc(SIZE_MAX));
	ramka_stats_read(r, &s);
	CHECK(!s.in_use);
	recipe_end();
	puts("kalloc and kfree: every block came back, three wrong ones were reported");
	return 0;
}
