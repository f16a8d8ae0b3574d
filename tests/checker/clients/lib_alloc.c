/* SPDX-License-Identifier: MIT */
/* What a lookup by address sees of a frame that is being allocated: its content, which only this client has, and its type. */
#include "instance.h"

static uint64_t *content;

static void one_dirty(void)
{
	const struct ramka_region region = { .base = PA(0), .size = RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE };
	struct ramka_config cfg = { .regions = &region, .nr_regions = 1, .nr_cpus = 2, .meta_size = RAMKA_META_NONE };
	size_t bytes;

	content = ck_alloc(RAMKA_PAGE_SIZE, RAMKA_PAGE_SIZE);
	for (unsigned i = 0; i < RAMKA_PAGE_SIZE / sizeof(*content); i++)
		content[i] = i + 1;
	cfg.direct_map = (uintptr_t)content - (uintptr_t)PA(0);
	ck_assert(!ramka_metadata_size(&cfg, &bytes), "metadata_size");
	ck_assert(!ramka_init(&cfg, ck_alloc(bytes, 64), bytes, &r), "init");
}
static void take_zeroed(void)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu(0), &ramka_type_untyped, NULL, (struct ramka_request){ .order = 0 });

	ck_assert(f && !content[0] && !content[RAMKA_PAGE_SIZE / sizeof(*content) - 1], "the owner finds it dirty");
}
static void look_at_zeroed(void)
{
	struct ramka_frame *f;

	if (ramka_frame_from_in_use(r, PA(0), &f))
		return;
	ck_assert(!content[0] && !content[RAMKA_PAGE_SIZE / sizeof(*content) - 1], "a published frame is dirty");
	ramka_frame_put(cpu(1), f);
}
CK_CLIENT(frame_zeroed, .what = "a frame is zeroed before it can be looked up", .setup = one_dirty,
	  .thread = { take_zeroed, look_at_zeroed }, .stale = 2);

/* The shortest way: a hit, of the type without metadata that the CPU allocated last. */
static void bare_before(void)
{
	make((struct options){ .frames = 1, .cpus = 2 });
	give(cpu(0), take(cpu(0), &t_bare, 0));
	give(cpu(0), take(cpu(0), &t_plain, 1));
}
static void take_bare(void) { take(cpu(0), &t_bare, 0); }
static void look_at_type(void)
{
	struct ramka_frame *f;

	if (!ramka_frame_from_in_use(r, PA(0), &f))
		ck_assert(ramka_frame_type(r, f) == &t_bare, "a frame with the type of its former life");
}
CK_CLIENT(frame_hit_lookup, .what = "a cache hit publishes its type", .setup = bare_before,
	  .thread = { take_bare, look_at_type }, .check = books, .stale = 3);
