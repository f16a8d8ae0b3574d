/* SPDX-License-Identifier: MIT */
/*
 * Superpages. A frame of order 9 is mapped by one entry and counted once. To unmap a part of it:
 *   - one owner: the frame becomes unique, is split into 512, and each part goes its own way;
 *   - several owners: a shared frame stays whole, since the others map it whole. The table that replaces the large entry holds
 *     one reference for all its small entries, and a page that is written is copied out of it.
 */
#include "recipe.h"

#define PARTS 512u
#define HUGE ((size_t)RAMKA_PAGE_SIZE * PARTS)

/* What takes the place of the large entry. The parts that are still in `whole` hold no reference of their own. */
struct table {
	struct ramka_frame *whole;        /* NULL once every part has a frame of its own */
	unsigned in_whole;                /* how many parts still lie there */
	struct ramka_frame *own[PARTS];   /* NULL: in the whole, or unmapped */
	bool mapped[PARTS];
};

static char *part(const struct table *t, unsigned i)
{
	if (t->own[i])
		return ramka_frame_content(r, t->own[i]);
	return t->mapped[i] ? (char *)ramka_frame_content(r, t->whole) + (size_t)i * RAMKA_PAGE_SIZE : NULL;
}

/* ---- the recipe ---- */

/* Takes over the large entry's reference. False: no memory for the array, nothing happened. */
static bool split_mapping(struct table *t, struct ramka_frame *whole)
{
	struct ramka_unique *u = ramka_frame_try_unique(r, whole), **parts;

	memset(t, 0, sizeof(*t));
	memset(t->mapped, true, sizeof(t->mapped));
	if (!u) { /* others map it whole */
		t->whole = whole;
		t->in_whole = PARTS;
		return true;
	}
	parts = malloc(PARTS * sizeof(*parts));
	if (!parts) {
		ramka_unique_share(r, u);
		return false;
	}
	CHECK(!ramka_unique_split(r, u, 0, parts));
	for (unsigned i = 0; i < PARTS; i++)
		t->own[i] = ramka_unique_share(r, parts[i]);
	free(parts);
	return true;
}

/* One part less in the whole; the last one gives up the reference. */
static void leave_whole(struct ramka_cpu *cpu, struct table *t)
{
	if (--t->in_whole)
		return;
	ramka_frame_put(cpu, t->whole);
	t->whole = NULL;
}

static void unmap_part(struct ramka_cpu *cpu, struct table *t, unsigned i)
{
	if (!t->mapped[i])
		return;
	t->mapped[i] = false;
	if (t->own[i])
		ramka_frame_put(cpu, t->own[i]);
	else
		leave_whole(cpu, t);
	t->own[i] = NULL;
}

/* A write to a part that others may see too. False: no memory. */
static bool own_part(struct ramka_cpu *cpu, struct table *t, unsigned i)
{
	struct ramka_frame *f;

	if (t->own[i])
		return true;
	f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });
	if (!f)
		return false;
	memcpy(ramka_frame_content(r, f), part(t, i), RAMKA_PAGE_SIZE);
	t->own[i] = f;
	leave_whole(cpu, t);
	return true;
}

/* ---- its test ---- */

static struct ramka_frame *superpage(struct ramka_cpu *cpu)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .order = 9 });

	CHECK(f && ramka_frame_map_level(f) == 2 && ramka_frame_size(f) == HUGE);
	for (unsigned i = 0; i < PARTS; i++)
		((char *)ramka_frame_content(r, f))[(size_t)i * RAMKA_PAGE_SIZE] = (char)i;
	return f;
}

static void check_parts(const struct table *t)
{
	for (unsigned i = 0; i < PARTS; i++)
		CHECK(!t->mapped[i] || *part(t, i) == (char)i);
}

static void sole(struct ramka_cpu *cpu, struct table *t)
{
	struct ramka_stats s;

	CHECK(split_mapping(t, superpage(cpu)) && !t->whole);
	check_parts(t);
	for (unsigned i = 0; i < PARTS; i += 2)
		unmap_part(cpu, t, i);
	ramka_stats_read(r, &s);
	CHECK(s.in_use == PARTS / 2); /* what was unmapped is free although neighbours are in use */
	check_parts(t);
	for (unsigned i = 0; i < PARTS; i++)
		unmap_part(cpu, t, i);
}

static void shared(struct ramka_cpu *cpu, struct table *t)
{
	struct ramka_frame *f = superpage(cpu);
	struct ramka_stats s;

	CHECK(split_mapping(t, ramka_frame_get(r, f)) && t->whole == f);
	CHECK(own_part(cpu, t, 7) && own_part(cpu, t, 7));
	*part(t, 7) = 99;
	CHECK(((char *)ramka_frame_content(r, f))[7 * RAMKA_PAGE_SIZE] == 7); /* the other owner sees its own */
	*part(t, 7) = 7;
	check_parts(t);
	for (unsigned i = 1; i < PARTS; i++)
		unmap_part(cpu, t, i);
	CHECK(ramka_frame_refcount(f) == 2);
	CHECK(own_part(cpu, t, 0) && !t->whole && ramka_frame_is_sole(f)); /* the last part left the whole */
	ramka_frame_put(cpu, f);
	ramka_stats_read(r, &s);
	CHECK(s.in_use == 1);
	unmap_part(cpu, t, 0);
}

int main(void)
{
	static struct table table;

	recipe_begin(NULL);
	sole(ramka_host_cpu(host), &table);
	shared(ramka_host_cpu(host), &table);
	recipe_end();
	puts("superpages: split with one owner and with two");
	return 0;
}
