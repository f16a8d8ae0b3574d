/* SPDX-License-Identifier: MIT */
/* The ownership oracle: owner map, stamps, tags, the types whose on_drop clears the map. See harness.h. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* ---- who has what ---- */

void own(ramka_paddr_t pa, uint64_t nr, unsigned who)
{
	uint64_t first = frame_at(pa);

	CHECK(first < world.nr && nr <= world.nr - first, "frame %#llx is outside the memory",
	      (unsigned long long)pa);
	for (uint64_t i = 0; i < nr; i++) {
		uint32_t old = atomic_exchange_explicit(&world.owner[first + i], who, memory_order_relaxed);

		CHECK(!old, "frame %#llx handed out to %u while %u has it",
		      (unsigned long long)paddr_at(first + i), who, old);
	}
}

void disown(ramka_paddr_t pa, uint64_t nr, unsigned who)
{
	uint64_t first = frame_at(pa);

	for (uint64_t i = 0; i < nr; i++) {
		uint32_t old = atomic_exchange_explicit(&world.owner[first + i], 0, memory_order_relaxed);

		CHECK(old == who, "frame %#llx given back by %u, but %u has it",
		      (unsigned long long)paddr_at(first + i), who, old);
	}
}

void disown_any(ramka_paddr_t pa, uint64_t nr)
{
	unsigned who = owner_of(pa);

	CHECK(who, "frame %#llx dropped, but nobody has it", (unsigned long long)pa);
	disown(pa, nr, who);
}

unsigned owner_of(ramka_paddr_t pa)
{
	return atomic_load_explicit(&world.owner[frame_at(pa)], memory_order_relaxed);
}

uint64_t count_owned(void)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < world.nr; i++)
		n += atomic_load_explicit(&world.owner[i], memory_order_relaxed) != 0;
	return n;
}

/* ---- content ---- */

static uint64_t *words_of(const struct held *h, size_t *ret_nr)
{
	*ret_nr = ((size_t)RAMKA_PAGE_SIZE << h->order) / sizeof(uint64_t);
	return ramka_frame_content(world.r, h->frame);
}

static uint64_t stamp_word(const struct held *h, size_t i)
{
	uint64_t x = ramka_frame_index(world.r, h->frame) ^ (uint64_t)h->who << 48 ^ (uint64_t)h->seq << 16 ^
		     i << 40;

	return x * 0x9e3779b97f4a7c15u | 1;
}

/* First, middle and last word; every word of a full one. */
static size_t next_word(const struct held *h, size_t i, size_t nr)
{
	if (h->full)
		return i + 1;
	return i == 0 ? nr / 2 : i == nr / 2 ? nr - 1 : nr;
}

void stamp(const struct held *h)
{
	size_t nr;
	uint64_t *w = words_of(h, &nr);

	for (size_t i = 0; i < nr; i = next_word(h, i, nr))
		w[i] = stamp_word(h, i);
}

void check_stamp(const struct held *h)
{
	size_t nr;
	const uint64_t *w = words_of(h, &nr);

	for (size_t i = 0; i < nr; i = next_word(h, i, nr))
		CHECK(w[i] == stamp_word(h, i),
		      "frame %#llx, order %u, of %u: word %zu is %#llx, not what its owner wrote",
		      (unsigned long long)ramka_frame_paddr(world.r, h->frame), h->order, h->who, i,
		      (unsigned long long)w[i]);
}

void check_zero(const struct held *h)
{
	size_t nr;
	const uint64_t *w = words_of(h, &nr);

	for (size_t i = 0; i < nr; i = next_word(h, i, nr))
		CHECK(!w[i], "frame %#llx, order %u: word %zu is %#llx, not zero",
		      (unsigned long long)ramka_frame_paddr(world.r, h->frame), h->order, i,
		      (unsigned long long)w[i]);
}

/* ---- metadata ---- */

static uint64_t tag_sum(const struct tag *t)
{
	return (t->seq ^ (uint64_t)t->order << 32 ^ t->next ^ t->value * 0x9e3779b97f4a7c15u) + 0x1234567;
}

struct tag tag_make(uint32_t seq, unsigned order, ramka_paddr_t next)
{
	struct tag t = { .seq = seq, .order = order, .next = next, .value = seq };

	t.sum = tag_sum(&t);
	return t;
}

void tag_set(struct tag *t, uint64_t value)
{
	t->value = value;
	t->sum = tag_sum(t);
}

void tag_check(const struct tag *t, ramka_paddr_t pa)
{
	CHECK(t && t->sum == tag_sum(t), "frame %#llx: its metadata is torn or stale",
	      (unsigned long long)pa);
}

/* Once per frame, when nobody holds a reference: the oracle's word on every typed frame. */
static void drop_tagged(struct ramka_cpu *cpu, struct tag *t, ramka_paddr_t paddr, void *content)
{
	uint32_t refs = atomic_load_explicit(&world.refs[frame_at(paddr)], memory_order_relaxed);
	ramka_paddr_t next = t->next;
	uint64_t *words = content;

	tag_check(t, paddr);
	CHECK(!refs, "frame %#llx dropped with %u references", (unsigned long long)paddr, refs);
	words[0] = 0xdead; /* whoever still reads it is a race, or finds this */
	disown_any(paddr, (uint64_t)1 << t->order);
	t->sum = 0;
	if (next) {
		struct ramka_frame *f = ramka_frame_from_raw(world.r, next);

		CHECK(f, "no frame at %#llx, which %#llx holds", (unsigned long long)next,
		      (unsigned long long)paddr);
		atomic_fetch_sub_explicit(&world.refs[frame_at(next)], 1, memory_order_relaxed);
		ramka_frame_put(cpu, f);
		f = ramka_frame_alloc(cpu, &raw_type, NULL,
				      (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });
		if (f)
			ramka_frame_put(cpu, f);
	}
}

static void dropped(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	drop_tagged(cpu, meta, paddr, content);
}

static void dropped_linked(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	struct linked *l = meta;

	CHECK(!l->link.next && !l->link.prev, "frame %#llx dropped while in a list",
	      (unsigned long long)paddr);
	drop_tagged(cpu, &l->tag, paddr, content);
}

RAMKA_DEFINE_TYPE(tagged_type, struct tag, .id = 16, .on_drop = dropped);
RAMKA_DEFINE_TYPE(rcu_type, struct tag, .id = 17, .flags = RAMKA_TYPE_RCU, .on_drop = dropped);
RAMKA_DEFINE_TYPE(hidden_type, struct tag, .id = 18, .flags = RAMKA_TYPE_NO_LOOKUP, .on_drop = dropped);
RAMKA_DEFINE_TYPE(linked_type, struct linked, .id = 19, .on_drop = dropped_linked);

struct tag *tag_of(struct ramka_frame *f)
{
	const struct ramka_type *type = ramka_frame_type(world.r, f);

	if (type == &linked_type)
		return &((struct linked *)ramka_frame_meta(world.r, f))->tag;
	return type == &tagged_type || type == &rcu_type || type == &hidden_type ?
		       ramka_frame_meta(world.r, f) :
		       NULL;
}

/* ---- taking and giving ---- */

void calling(struct worker *w, uint64_t frames)
{
	atomic_store_explicit(&w->call, frames, memory_order_relaxed);
}

unsigned random_order(struct rng *r, unsigned max)
{
	uint32_t x = rng_below(r, 100);
	unsigned order = x < 60 ? 0 :
			 x < 85 ? 1 + rng_below(r, 5) :
			 x < 95 ? 6 + rng_below(r, 3) :
				  9 + rng_below(r, 4);

	return order < max ? order : max;
}

/* A sample of how long calls take; `since` 0: this one is none. */
static uint64_t sample_begin(const struct worker *w)
{
	return world.opt.soak && w->seq % 16 == 0 ? now_ns() : 0;
}

static void sample_end(struct worker *w, unsigned what, uint64_t since)
{
	uint64_t ns = since ? now_ns() - since : 0;
	unsigned i = 0;

	if (!since)
		return;
	while (i < 39 && (uint64_t)1 << i <= ns)
		i++;
	atomic_fetch_add_explicit(&w->latency[what].bucket[i], 1, memory_order_relaxed);
}

void taken(struct worker *w, struct held *h, bool zeroed)
{
	ramka_paddr_t pa = ramka_frame_paddr(world.r, h->frame);

	CHECK(!((pa >> RAMKA_PAGE_SHIFT) & (((uint64_t)1 << h->order) - 1)),
	      "frame %#llx is not aligned to order %u", (unsigned long long)pa, h->order);
	CHECK(ramka_frame_order(h->frame) == h->order, "frame %#llx has order %u, not %u",
	      (unsigned long long)pa, ramka_frame_order(h->frame), h->order);
	CHECK(ramka_frame_type(world.r, h->frame) == h->type, "frame %#llx has another type",
	      (unsigned long long)pa);
	h->who = (uint16_t)(w->id + 1);
	h->full = h->order < 3 && rng_one_in(&w->rng, 64);
	own(pa, (uint64_t)1 << h->order, h->who);
	if (zeroed)
		check_zero(h);
	stamp(h);
}

bool take(struct worker *w, struct ramka_cpu *cpu, const struct ramka_type *type, unsigned order, bool unique,
	  struct ramka_request req, struct held *ret)
{
	struct tag tag = tag_make(++w->seq, order, 0);
	const void *meta = is_raw(type) ? NULL : &tag;
	uint64_t since;
	bool zeroed = !(req.flags & RAMKA_ALLOC_UNINIT) && rng_one_in(&w->rng, order < 4  ? 4 :
									       order < 10 ? 64 :
											    1024);

	req.order = (uint8_t)order;
	if (!zeroed)
		req.flags |= RAMKA_ALLOC_UNINIT;
	*ret = (struct held){ .type = type, .seq = w->seq, .order = (uint8_t)order, .unique = unique };
	calling(w, (uint64_t)1 << order);
	since = sample_begin(w);
	if (unique)
		ret->frame = (struct ramka_frame *)ramka_unique_alloc(cpu, type, meta, req);
	else
		ret->frame = ramka_frame_alloc(cpu, type, meta, req);
	sample_end(w, ALLOC, since);
	if (ret->frame)
		taken(w, ret, zeroed);
	else
		atomic_fetch_add_explicit(&world.failures, 1, memory_order_relaxed);
	calling(w, 0);
	return ret->frame;
}

void giving(struct worker *w, const struct held *h)
{
	calling(w, (uint64_t)1 << h->order);
	check_stamp(h);
	if (is_raw(h->type))
		disown(ramka_frame_paddr(world.r, h->frame), (uint64_t)1 << h->order, h->who);
	else
		tag_check(tag_of(h->frame), ramka_frame_paddr(world.r, h->frame));
}

void give(struct worker *w, struct ramka_cpu *cpu, struct held *h)
{
	uint64_t since;

	giving(w, h);
	since = sample_begin(w);
	if (h->unique)
		ramka_unique_free(cpu, unique_handle(h));
	else
		ramka_frame_put(cpu, h->frame);
	sample_end(w, FREE, since);
	calling(w, 0);
}

/* ---- piles ---- */

bool pile_full(const struct pile *p)
{
	return p->n == MAX_HELD;
}

void pile_add(struct pile *p, const struct held *h)
{
	CHECK(!pile_full(p), "a pile is full");
	p->item[p->n++] = *h;
	p->frames += (uint64_t)1 << h->order;
}

struct held pile_take(struct pile *p, unsigned i)
{
	struct held h = p->item[i];

	p->item[i] = p->item[--p->n];
	p->frames -= (uint64_t)1 << h.order;
	return h;
}

void pile_release(struct worker *w, struct pile *p)
{
	while (p->n) {
		struct held h = pile_take(p, p->n - 1);

		give(w, w->cpu, &h);
	}
}

uint64_t share_of_memory(unsigned percent)
{
	return world.free_at_start * percent / 100 / world.nr_workers + 1;
}
