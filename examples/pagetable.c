/* SPDX-License-Identifier: MIT */
/*
 * A four-level page table out of ramka_pt nodes. Readers walk it without a lock, inside a read section; writers map,
 * unmap and tear down whole subtrees meanwhile, under the lock of the node they change. What an entry points to is
 * freed a grace period after the entry is gone, so a walker never sees memory of somebody else.
 *
 * Each mapped page holds its own virtual page number; a reader that finds another number has walked into a freed page.
 */
#include <pthread.h>
#include <ramka/host.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LEVELS 4u
#define PRESENT 1u
#define NODE 2u
#define PAGES 4096u /* virtual pages in play, spread over eight subtrees */
#define OPERATIONS 60000u
#define WRITERS 2
#define READERS 2

static struct ramka_host *host;
static struct ramka *r;
static struct ramka_frame *root;
static char *direct_map;
static atomic_ulong found, absent, wrong, torn_down;
static atomic_bool writers_done;

static bool decode(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)level;
	if (!(pte & PRESENT))
		return false;
	*ret_pa = pte & ~(uint64_t)(RAMKA_PAGE_SIZE - 1);
	*ret_is_node = pte & NODE;
	return true;
}

static const struct ramka_pt_config config = { .levels = LEVELS, .entries = 512, .child = decode };

typedef _Atomic uint64_t entry_t;

static entry_t *entries(ramka_paddr_t pa)
{
	return (entry_t *)(void *)(direct_map + pa);
}

/* Pages i = 0..PAGES-1 lie in eight subtrees of level 2, 512 pages each. */
static unsigned long page_number(unsigned i)
{
	return (unsigned long)(i / 512) << 27 | (unsigned long)(i % 7) << 18 | (i % 512);
}

static unsigned index_at(unsigned long page, unsigned level)
{
	return page >> (9 * (level - 1)) & 511;
}

/* ---- readers: no lock, inside a read section ---- */

static void look_up(unsigned long page)
{
	ramka_paddr_t pa = ramka_frame_paddr(r, root);
	bool is_node;

	ramka_host_rcu_read_lock(host);
	for (unsigned level = LEVELS; level; level--)
		if (!decode(atomic_load_explicit(&entries(pa)[index_at(page, level)], memory_order_acquire), level, &pa, &is_node)) {
			ramka_host_rcu_read_unlock(host);
			atomic_fetch_add_explicit(&absent, 1, memory_order_relaxed);
			return;
		}
	atomic_fetch_add_explicit(entries(pa)[0] == page ? &found : &wrong, 1, memory_order_relaxed);
	ramka_host_rcu_read_unlock(host);
}

/* ---- writers: the lock of the node that they change ---- */

static void lock_node(struct ramka_pt_meta *m)
{
	while (!ramka_pt_trylock(m))
		;
}

static struct ramka_pt_meta *node_meta(ramka_paddr_t pa)
{
	return ramka_pt_node(r, ramka_frame_at(r, pa).frame); /* safe until the read section ends, freed meanwhile or not */
}

/* The locked level-1 node of a page, with the nodes above made as needed; 0: out of memory. Call inside a read section. */
static ramka_paddr_t lock_leaf(struct ramka_cpu *cpu, unsigned long page)
{
retry:;
	ramka_paddr_t pa = ramka_frame_paddr(r, root);

	for (unsigned level = LEVELS; level > 1; level--) {
		entry_t *e = &entries(pa)[index_at(page, level)];
		ramka_paddr_t child = 0;
		bool is_node;

		if (!decode(atomic_load_explicit(e, memory_order_acquire), level, &child, &is_node)) {
			struct ramka_pt_meta *m = node_meta(pa);
			struct ramka_frame *made = NULL;

			lock_node(m);
			bool stray = m->stray;
			if (!stray && !decode(atomic_load_explicit(e, memory_order_relaxed), level, &child, &is_node)) {
				made = ramka_pt_alloc(cpu, &config, level - 1);
				if (made) {
					child = ramka_frame_into_raw(r, made);
					atomic_store_explicit(e, child | PRESENT | NODE, memory_order_release);
					m->nr_children++;
				}
			}
			ramka_pt_unlock(m);
			if (stray)
				goto retry;
			if (!child)
				return 0;
		}
		pa = child;
	}
	struct ramka_pt_meta *leaf = node_meta(pa);

	lock_node(leaf);
	if (!leaf->stray)
		return pa;
	ramka_pt_unlock(leaf); /* torn down since it was found */
	goto retry;
}

/* Maps the page, or replaces what it maps to. */
static void map(struct ramka_cpu *cpu, unsigned long page)
{
	struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ 0 });
	ramka_paddr_t leaf, old = 0;
	bool is_node, had;

	if (!f)
		return;
	ramka_frame_write(r, f, 0, &page, sizeof(page));
	ramka_host_rcu_read_lock(host);
	leaf = lock_leaf(cpu, page);
	if (!leaf) {
		ramka_host_rcu_read_unlock(host);
		ramka_frame_put(cpu, f);
		return;
	}
	entry_t *e = &entries(leaf)[index_at(page, 1)];

	had = decode(atomic_load_explicit(e, memory_order_relaxed), 1, &old, &is_node);
	atomic_store_explicit(e, ramka_frame_into_raw(r, f) | PRESENT, memory_order_release);
	ramka_pt_unlock(node_meta(leaf));
	ramka_host_rcu_read_unlock(host);
	if (had && ramka_frame_put_rcu(cpu, ramka_frame_from_raw(r, old)) == RAMKA_PRESSURE)
		ramka_reclaim(cpu, true);
}

/* Unlinks a whole subtree of level 3; its nodes and pages go after a grace period. */
static void tear_down(struct ramka_cpu *cpu, unsigned long page)
{
	struct ramka_pt_meta *top = ramka_pt_meta(r, root);
	entry_t *e = &entries(ramka_frame_paddr(r, root))[index_at(page, LEVELS)];
	ramka_paddr_t child = 0, below;
	bool is_node, had;

	lock_node(top);
	had = decode(atomic_load_explicit(e, memory_order_relaxed), LEVELS, &child, &is_node);
	if (had) {
		atomic_store_explicit(e, 0, memory_order_release);
		top->nr_children--;
	}
	ramka_pt_unlock(top);
	if (!had)
		return;
	/* whoever found a node below before it was unlinked must look again: mark all of them, top down */
	struct ramka_pt_meta *m = node_meta(child);
	ramka_paddr_t level2;

	lock_node(m);
	m->stray = true;
	ramka_pt_unlock(m);
	for (unsigned i = 0; i < 512; i++) {
		if (!decode(entries(child)[i], 3, &level2, &is_node))
			continue;
		m = node_meta(level2);
		lock_node(m);
		m->stray = true;
		ramka_pt_unlock(m);
		for (unsigned j = 0; j < 512; j++)
			if (decode(entries(level2)[j], 2, &below, &is_node)) {
				m = node_meta(below);
				lock_node(m);
				m->stray = true;
				ramka_pt_unlock(m);
			}
	}
	ramka_frame_put_rcu(cpu, ramka_frame_from_raw(r, child));
	atomic_fetch_add_explicit(&torn_down, 1, memory_order_relaxed);
}

static void *writer(void *arg)
{
	struct ramka_cpu *cpu = ramka_host_cpu(host);
	unsigned seed = (unsigned)(uintptr_t)arg + 1;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		unsigned long page = page_number((unsigned)rand_r(&seed) % PAGES);

		if (i % 1000 == 999)
			tear_down(cpu, page);
		else
			map(cpu, page);
	}
	return NULL;
}

static void *reader(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 100;

	while (!atomic_load(&writers_done))
		look_up(page_number((unsigned)rand_r(&seed) % PAGES));
	return NULL;
}

int main(void)
{
	struct ramka_host_options options = { .memory = 256u << 20, .nr_cpus = WRITERS + READERS + 1 };
	pthread_t threads[WRITERS + READERS];
	struct ramka_stats stats;

	if (ramka_host_create(&options, &host))
		return 1;
	r = ramka_host_ramka(host);
	root = ramka_pt_alloc(ramka_host_cpu(host), &config, LEVELS);
	if (!root)
		return 1;
	direct_map = (char *)ramka_frame_content(r, root) - ramka_frame_paddr(r, root);

	for (uintptr_t i = 0; i < WRITERS + READERS; i++)
		if (pthread_create(&threads[i], NULL, i < WRITERS ? writer : reader, (void *)i))
			return 1;
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&writers_done, true);
	for (unsigned i = WRITERS; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);

	ramka_frame_put(ramka_host_cpu(host), root); /* nodes and pages go with it */
	ramka_reclaim(ramka_host_cpu(host), true);
	ramka_stats_read(r, &stats);
	printf("%lu lookups found their page, %lu found none, %lu a wrong one; %lu subtrees torn down; %llu frames left\n",
	       atomic_load(&found), atomic_load(&absent), atomic_load(&wrong), atomic_load(&torn_down),
	       (unsigned long long)(stats.in_use + stats.deferred));
	ramka_host_destroy(host);
	return atomic_load(&wrong) || !atomic_load(&found) || !atomic_load(&torn_down) || stats.in_use || stats.deferred;
}
