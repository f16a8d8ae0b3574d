/* SPDX-License-Identifier: MIT */
/* Page-table nodes: what they are, and the teardown that follows the entries without recursion. */
#include <pthread.h>
#include <unistd.h>

#include "../slow.h"
#include "fixture.h"

/* The test's own entries: address | node | present. */
#define PRESENT UINT64_C(1)
#define NODE UINT64_C(2)

static unsigned decoded, levels_seen[256];

static bool child(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	decoded++;
	levels_seen[level]++;
	if (!(pte & PRESENT))
		return false;
	*ret_pa = pte & ~UINT64_C(0xfff);
	*ret_is_node = pte & NODE;
	return true;
}

static const struct ramka_pt_config four = { .levels = 4, .entries = 512, .child = child };

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	decoded = 0;
	memset(levels_seen, 0, sizeof(levels_seen));
	return f;
}

static uint64_t *entries_of(const struct fixture *f, const struct ramka_frame *node)
{
	return ramka_frame_content(f->r, node);
}

/* Moves the caller's reference into the entry. */
static void set_entry(const struct fixture *f, struct ramka_frame *node, unsigned i, struct ramka_frame *frame)
{
	uint64_t bits = PRESENT | (ramka_pt_meta(f->r, frame) ? NODE : 0);

	entries_of(f, node)[i] = ramka_frame_into_raw(f->r, frame) | bits;
	ramka_pt_meta(f->r, node)->nr_children++;
}

static void a_node(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *node, *page = must_alloc(f->cpu[0], ZEROED);
	struct ramka_pt_meta *m;

	(void)state;
	memset(f->memory, 0xdd, f->size);
	for (unsigned level = 1; level <= 4; level++) {
		node = ramka_pt_alloc(f->cpu[0], &four, level);
		assert_non_null(node);
		assert_true(all_bytes(ramka_frame_content(f->r, node), 0, PAGE));
		assert_ptr_equal(ramka_frame_type(f->r, node), &ramka_type_page_table);
		assert_int_equal(ramka_frame_refcount(node), 1);
		assert_int_equal(ramka_pt_level(f->r, node), level);
		m = ramka_pt_meta(f->r, node);
		assert_ptr_equal(m->config, &four);
		assert_int_equal(m->level, level);
		assert_int_equal(m->nr_children, 0);
		assert_false(m->stray);
		assert_true(ramka_pt_trylock(m));
		assert_false(ramka_pt_trylock(m));
		ramka_pt_unlock(m);
		assert_true(ramka_pt_trylock(m));
		ramka_pt_unlock(m);
		ramka_frame_put(f->cpu[0], node);
	}
	assert_int_equal(ramka_pt_level(f->r, page), 0); /* not a node */
	assert_null(ramka_pt_meta(f->r, page));
	ramka_frame_put(f->cpu[0], page);
	CLOSE(f);
}

static void no_node(void **state)
{
	static const struct ramka_pt_config no_child = { 4, 512, NULL }, many = { 4, 513, child }, deep = { 255, 512, child },
					    deeper = { 300, 512, child };
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = MIB });
	struct ramka_frame *frames[257], *node;
	size_t n;

	(void)state;
	assert_null(ramka_pt_alloc(f->cpu[0], NULL, 1));
	assert_null(ramka_pt_alloc(f->cpu[0], &no_child, 1));
	assert_null(ramka_pt_alloc(f->cpu[0], &many, 1));
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 0));
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 5));
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 257)); /* not level 1 of a byte */
	assert_null(ramka_pt_alloc(f->cpu[0], &deeper, 256));
	node = ramka_pt_alloc(f->cpu[0], &deep, 255);
	assert_int_equal(ramka_pt_level(f->r, node), 255);
	ramka_frame_put(f->cpu[0], node);
	n = alloc_all(f->cpu[0], UNINIT, frames, 257);
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 1)); /* no memory is an answer, too */
	put_all(f->cpu[0], frames, n);
	CLOSE(f);
	f = open_with((struct spec){ .nr_cpus = 1, .flags = RAMKA_NO_DIRECT_MAP });
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 1));
	CLOSE(f);
	f = open_with((struct spec){ .nr_cpus = 1, .meta_size = 8 }); /* no room for its metadata */
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 1));
	CLOSE(f);
	f = open_with((struct spec){ .nr_cpus = 1, .meta_size = RAMKA_META_NONE });
	assert_null(ramka_pt_alloc(f->cpu[0], &four, 1));
	CLOSE(f);
	f = open_with((struct spec){ .nr_cpus = 1, .meta_size = sizeof(struct ramka_pt_meta) });
	node = ramka_pt_alloc(f->cpu[0], &four, 1);
	assert_non_null(node);
	ramka_frame_put(f->cpu[0], node);
	CLOSE(f);
}

/* A tree of 4 levels, `fan` children each, pages of several orders at the leaves. */
static struct ramka_frame *tree(struct fixture *f, unsigned level, unsigned fan)
{
	struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &four, level);

	assert_non_null(node);
	for (unsigned i = 0; i < fan; i++)
		set_entry(f, node, (i * 37 + level) % 512,
			  level > 1 ? tree(f, level - 1, fan) : must_alloc(f->cpu[0], order_req(i % 3)));
	return node;
}

static void a_tree_falls_whole(void **state)
{
	for (unsigned rcu = 0; rcu < 2; rcu++)
		for (unsigned who = 0; who < 3; who++) {
			struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .size = 16 * MIB, .rcu = rcu, .high_water = 100000 });
			struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;
			struct ramka_frame *root = tree(f, 4, 4);
			uint64_t used = in_use(f);

			assert_int_equal(used, 1 + 4 + 16 + 64 + 64 * (1 + 2 + 4 + 1));
			AUDIT(f);
			ramka_frame_put(cpu, root);
			if (rcu) { /* lockless walkers may still be in it: level by level, a grace period each */
				assert_int_equal(decoded, 0);
				assert_int_equal(stats(f).deferred, 1);
				assert_int_equal(in_use(f), used - 1);
				ramka_reclaim(cpu, true);
				assert_int_equal(f->grace.waits, 4);
			}
			assert_int_equal(in_use(f), 0);
			assert_int_equal(decoded, (1 + 4 + 16 + 64) * 512);
			assert_int_equal(levels_seen[4], 512);
			assert_int_equal(levels_seen[1], 64 * 512);
			CLOSE(f);
		}
	(void)state;
}

static void shared_children_stay(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *a = ramka_pt_alloc(f->cpu[0], &four, 2), *b = ramka_pt_alloc(f->cpu[0], &four, 2);
	struct ramka_frame *leaf = ramka_pt_alloc(f->cpu[0], &four, 1), *page = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	set_entry(f, leaf, 0, ramka_frame_get(f->r, page));
	set_entry(f, a, 0, leaf); /* a table that two address spaces share */
	set_entry(f, b, 7, ramka_frame_get(f->r, leaf));
	ramka_frame_put(f->cpu[0], a);
	assert_int_equal(ramka_frame_refcount(leaf), 1);
	assert_int_equal(ramka_frame_refcount(page), 2);
	ramka_frame_put(f->cpu[0], b);
	assert_int_equal(ramka_frame_refcount(page), 1);
	assert_int_equal(in_use(f), 1);
	ramka_frame_put(f->cpu[0], page);
	CLOSE(f);
}

static void only_the_entries_that_there_are(void **state)
{
	static const struct ramka_pt_config few = { .levels = 1, .entries = 3, .child = child }, none = { 1, 0, child };
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &few, 1);

	(void)state;
	memset((uint8_t *)ramka_frame_content(f->r, node) + 24, 0xff, PAGE - 24); /* the embedder's own */
	ramka_frame_put(f->cpu[0], node);
	assert_int_equal(decoded, 3);
	ramka_frame_put(f->cpu[0], ramka_pt_alloc(f->cpu[0], &none, 1));
	assert_int_equal(decoded, 3);
	CLOSE(f);
}

/* nr_children is the embedder's; what the decoder finds is what is released. */
static void the_decoder_decides(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &four, 1), *page = must_alloc(f->cpu[0], ZEROED);

	(void)state;
	set_entry(f, node, 9, page);
	ramka_pt_meta(f->r, node)->nr_children = 0;
	ramka_frame_put(f->cpu[0], node);
	assert_int_equal(in_use(f), 0);
	CLOSE(f);
}

static const struct ramka_pt_config other = { .levels = 4, .entries = 512, .child = child };

/* A child that is a node, but not one of the next level or not of this tree. */
static void wrong_levels_are_found_if_asked_for(void **state)
{
	static const struct { unsigned level, child_level; const struct ramka_pt_config *config; bool bug; } cases[] = {
		{ 2, 1, &four, false }, { 4, 3, &four, false }, { 3, 1, &four, true },
		{ 2, 2, &four, true },  { 1, 4, &four, true },  { 2, 1, &other, true },
	};

	(void)state;
	for (unsigned asked = 0; asked < 2; asked++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .flags = asked ? RAMKA_CHECK_LEVELS : 0 });
		uint64_t leaked = 0;

		for (size_t i = 0; i < NELEMS(cases); i++) {
			struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &four, cases[i].level);

			set_entry(f, node, 3, ramka_pt_alloc(f->cpu[0], cases[i].config, cases[i].child_level));
			if (asked && cases[i].bug) {
				EXPECT_BUG(f, "ramka_frame_put", ramka_frame_put(f->cpu[0], node));
				leaked++;
			} else {
				ramka_frame_put(f->cpu[0], node);
			}
			assert_int_equal(in_use(f), leaked);
		}
		CLOSE_LEAKING(f, leaked);
	}
}

/* ---- a million levels ---- */

#define CHAIN TIMES(1000000u)

/*
 * A million nodes have 4 GiB of contents, so here all of them lie in the same few pages: what the entries hold is lost, and
 * the decoder knows the chain by heart.
 */
static ramka_paddr_t *chain;
static unsigned chain_at;

static bool next_of_chain(uint64_t pte, unsigned level, ramka_paddr_t *ret_pa, bool *ret_is_node)
{
	(void)pte, (void)level;
	if (!chain_at)
		return false;
	*ret_pa = chain[--chain_at];
	*ret_is_node = true;
	return true;
}

static const struct ramka_pt_config list_like = { .levels = 1, .entries = 1, .child = next_of_chain };

static void fold_memory(struct fixture *f, size_t piece)
{
	int fd = memfd_create("frames", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)piece), 0);
	for (size_t at = 0; at < f->size; at += piece) {
		size_t n = f->size - at < piece ? f->size - at : piece;

		if (mmap(f->memory + at, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			fail_msg("cannot map the same pages again");
	}
	close(fd);
}

struct job { struct ramka_frame *root; struct ramka_cpu *cpu; };

static void *tear_down(void *arg)
{
	struct job *job = arg;

	ramka_frame_put(job->cpu, job->root);
	return job;
}

static void a_chain_of_a_million(void **state)
{
	struct fixture *f;
	struct job job;
	uint8_t *stack;
	pthread_attr_t attr;
	pthread_t thread;
	void *ret = NULL;

	(void)state;
	f = open_with((struct spec){ .nr_cpus = 1, .size = CHAIN * PAGE + 4 * MIB, .flags = RAMKA_METADATA_ZEROED });
	fold_memory(f, 32 * MIB);
	chain = calloc(CHAIN, sizeof(*chain));
	assert_non_null(chain);
	for (unsigned i = 0; i < CHAIN; i++) {
		struct ramka_frame *node = ramka_pt_alloc(f->cpu[0], &list_like, 1);

		assert_non_null(node);
		chain[i] = ramka_frame_into_raw(f->r, node);
	}
	chain_at = CHAIN - 1;
	job = (struct job){ ramka_frame_from_raw(f->r, chain[CHAIN - 1]), f->cpu[0] };
	assert_int_equal(in_use(f), CHAIN);
	stack = map_pages(SMALL_STACK + PAGE);
	assert_int_equal(mprotect(stack, PAGE, PROT_NONE), 0);
	pthread_attr_init(&attr);
	assert_int_equal(pthread_attr_setstack(&attr, stack + PAGE, SMALL_STACK), 0);
	assert_int_equal(pthread_create(&thread, &attr, tear_down, &job), 0);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_ptr_equal(ret, &job);
	pthread_attr_destroy(&attr);
	munmap(stack, SMALL_STACK + PAGE);
	free(chain);
	assert_int_equal(in_use(f), 0);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node),
		cmocka_unit_test(no_node),
		cmocka_unit_test(a_tree_falls_whole),
		cmocka_unit_test(shared_children_stay),
		cmocka_unit_test(only_the_entries_that_there_are),
		cmocka_unit_test(the_decoder_decides),
		cmocka_unit_test(wrong_levels_are_found_if_asked_for),
		cmocka_unit_test(a_chain_of_a_million),
	};

	return cmocka_run_group_tests_name("pt", tests, NULL, NULL);
}
