/* SPDX-License-Identifier: MIT */
#include "instance.h"

struct ramka *r;
void (*on_drop_also)(struct ramka_cpu *cpu, ramka_paddr_t pa);
static struct options opt;

static void drop(struct ramka_cpu *c, void *meta, ramka_paddr_t pa, void *content)
{
	struct meta *m = meta;

	(void)content;
	ck_assert(m->a == m->b, "metadata torn at drop");
	m->a = m->b = 0;
	ck_note_add(NOTE_DROPS, 1);
	ck_own_give((unsigned)(pa / RAMKA_PAGE_SIZE));
	if (on_drop_also)
		on_drop_also(c, pa);
}

RAMKA_DEFINE_TYPE(t_plain, struct meta, .id = 16);
RAMKA_DEFINE_TYPE(t_other, struct meta, .id = 17);
RAMKA_DEFINE_TYPE(t_hook, struct meta, .id = 18, .on_drop = drop);
RAMKA_DEFINE_TYPE_PLAIN(t_bare, .id = 21);
RAMKA_DEFINE_TYPE(t_rcu, struct meta, .id = 19, .flags = RAMKA_TYPE_RCU, .on_drop = drop);

static void bug(void *ctx, const struct ramka_bug *b)
{
	(void)ctx;
	ck_note_add(NOTE_BUGS, 1);
	if (!opt.tolerant)
		ck_fail("BUG reported: %s: %s, frame %u, ref %#llx", b->operation, b->what,
				(unsigned)(b->paddr / RAMKA_PAGE_SIZE),
			(unsigned long long)b->ref);
}

static bool barrier(void *ctx)
{
	if (opt.declines && ck_self() < CK_THREADS && !ck_choose(2))
		return false;
	return ck_barrier_all(ctx);
}

void make(struct options o)
{
	static const struct ramka_rcu_ops rcu = { .snapshot = ck_rcu_snapshot, .elapsed = ck_rcu_elapsed,
			.wait = ck_rcu_wait };
	ramka_paddr_t base = o.reclaimable_first ? (ramka_paddr_t)o.reclaimable * RAMKA_PAGE_SIZE : PA(0);
	ramka_paddr_t detached = base + (uint64_t)o.frames * RAMKA_PAGE_SIZE;
	ramka_paddr_t reclaimable = detached + (uint64_t)(o.detached + o.hole) * RAMKA_PAGE_SIZE;
	const struct ramka_region regions[] = {
		{ .base = base, .size = (uint64_t)o.frames * RAMKA_PAGE_SIZE, .kind = RAMKA_USABLE },
		{ .base = detached, .size = (uint64_t)o.detached * RAMKA_PAGE_SIZE, .kind = RAMKA_DETACHED },
		{ .base = o.reclaimable_first ? 0 : reclaimable, .size = (uint64_t)o.reclaimable * RAMKA_PAGE_SIZE,
		  .kind = RAMKA_RECLAIMABLE },
	};
	struct ramka_config cfg = {
		.regions = regions, .nr_regions = 3, .nr_cpus = o.cpus, .meta_size = 32,
		.flags = RAMKA_NO_DIRECT_MAP | o.flags, .barrier_all_cpus = barrier, .panic = bug,
		.rcu = o.rcu ? &rcu : NULL, .high_water = 1024,
		.min_watermark = o.min, .low_watermark = o.low, .high_watermark = o.high,
		.low_memory = o.low_memory, .enough_memory = o.enough_memory, .shrink = o.shrink,
	};
	size_t bytes;
	int rc;

	opt = o;
	on_drop_also = NULL;
	rc = ramka_metadata_size(&cfg, &bytes);
	ck_assert(!rc, "metadata_size: %d", rc);
	rc = ramka_init(&cfg, ck_alloc(bytes, 64), bytes, &r);
	ck_assert(!rc, "init: %d", rc);
	rc = ramka_type_register(r, &t_bare) | ramka_type_register(r, &t_plain) | ramka_type_register(r, &t_other) | ramka_type_register(r, &t_hook);
	if (o.rcu)
		rc |= ramka_type_register(r, &t_rcu);
	ck_assert(!rc, "type_register");
}

struct ramka_cpu *cpu(unsigned i) { return ramka_cpu_at(r, i); }
struct ramka_cpu *none(void) { return ramka_cpu_none(r); }

struct ramka_frame *take(struct ramka_cpu *c, const struct ramka_type *type, uint64_t value)
{
	struct meta m = { value, value };
	struct ramka_frame *f = ramka_frame_alloc(c, type, type->meta_size ? &m : NULL, UNINIT);

	if (f)
		ck_own_take(number(f));
	return f;
}

void give(struct ramka_cpu *c, struct ramka_frame *f)
{
	ck_own_give(number(f));
	ramka_frame_put(c, f);
}

void take_give(struct ramka_cpu *c)
{
	struct ramka_frame *f = take(c, &t_plain, 1);

	if (f)
		give(c, f);
}

uint64_t look(const struct ramka_frame *f)
{
	const struct meta *m = ramka_frame_meta(r, f);
	uint64_t a = m->a;

	ck_assert(a == m->b, "metadata torn: %llu, %llu", (unsigned long long)a, (unsigned long long)m->b);
	return a;
}

static unsigned owned;
static void count_owned(unsigned f) { (void)f; owned++; }

void books_but(unsigned leaked)
{
	struct ramka_stats s;
	struct ramka_bug b = { 0 };
	int rc;

	if (opt.rcu)
		ramka_reclaim(cpu(0), true);
	owned = 0;
	ck_owned_each(count_owned);
	ramka_drain(r);
	ramka_stats_read(r, &s);
	ck_assert(s.cached == 0 && s.deferred == 0, "after drain %llu cached, %llu deferred",
			(unsigned long long)s.cached, (unsigned long long)s.deferred);
	s.unused += s.reserved;
	ck_assert(s.free + s.unused + owned + leaked >= s.total && s.free + s.unused + owned <= s.total,
			"%llu free, %llu unused or reserved, %u owned of %llu",
		  (unsigned long long)s.free, (unsigned long long)s.unused, owned, (unsigned long long)s.total);
	rc = ramka_check(r, &b);
	ck_assert(leaked || !rc, "audit: %d defects, first %s, frame %u", rc, b.what ? b.what : "?",
			(unsigned)(b.paddr / RAMKA_PAGE_SIZE));
}

void books(void)
{
	books_but(0);
}
