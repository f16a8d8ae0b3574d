/* SPDX-License-Identifier: MIT */
/* lib/frame/drop.c: on_drop once, on the right handle, outside sections, free to call back; chains without recursion. */
#include <pthread.h>

#include "../slow.h"
#include "fixture.h"

struct node { struct ramka_frame *next; uint64_t n; };

static struct fixture *fixture;
static uint64_t drops, depth, deepest, sum;
static struct ramka_cpu *dropped_on;
static void (*in_drop)(struct ramka_cpu *cpu, ramka_paddr_t pa);

/* Puts the frame that it points to. */
static void on_drop(struct ramka_cpu *cpu, void *meta, ramka_paddr_t paddr, void *content)
{
	struct node *node = meta;

	if (++depth > deepest)
		deepest = depth;
	drops++;
	sum += node->n;
	dropped_on = cpu;
	(void)content;
	if (in_drop)
		in_drop(cpu, paddr);
	if (node->next)
		ramka_frame_put(cpu, node->next);
	depth--;
}

static RAMKA_DEFINE_TYPE(node_type, struct node, .id = 16, .flags = 0, .on_drop = on_drop);

static struct fixture *open_with(struct spec s)
{
	fixture = fixture_open(s);
	drops = depth = deepest = sum = 0;
	in_drop = NULL;
	assert_int_equal(ramka_type_register(fixture->r, &node_type), 0);
	return fixture;
}

static struct ramka_frame *node(struct ramka_cpu *cpu, struct ramka_frame *next, uint64_t n, unsigned order)
{
	struct node value = { next, n };
	struct ramka_frame *f = ramka_frame_alloc(cpu, &node_type, &value, order_req(order));

	assert_non_null(f);
	return f;
}

static void outside_sections(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	(void)cpu;
	for (unsigned i = 0; i < fixture->nr_cpus; i++)
		assert_false(ramka_load(&fixture->cpu[i]->active, relaxed, section.own));
	assert_int_equal(ramka_fini(fixture->r), RAMKA_E_BUSY); /* the dying frame is still in use */
	assert_int_equal(state_at(fixture, pa), RAMKA_STATE_BUSY);
}

static void once_and_on_the_handle_that_put_last(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	in_drop = outside_sections;
	for (unsigned order = 0; order < 5; order++)
		for (unsigned i = 0; i < 2; i++) {
			struct ramka_frame *a = node(f->cpu[0], NULL, 1, order);

			ramka_frame_get(f->r, a);
			ramka_frame_put(f->cpu[1 - i], a);
			assert_int_equal(drops, 2 * order + i);
			ramka_frame_put(f->cpu[i], a);
			assert_int_equal(drops, 2 * order + i + 1);
			assert_ptr_equal(dropped_on, f->cpu[i]);
		}
	CLOSE(f);
}

static void on_the_cacheless_handle(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });

	(void)state;
	in_drop = outside_sections;
	for (unsigned i = 0; i < 3; i++) {
		ramka_frame_put(f->none, node(f->none, node(f->none, node(f->none, NULL, 1, 0), 2, 3), 4, 0));
		assert_int_equal(sum, 7);
		assert_ptr_equal(ramka_of(dropped_on), f->r); /* a cache-less handle, whichever */
		sum = 0;
	}
	assert_int_equal(drops, 9);
	assert_int_equal(deepest, 1);
	assert_int_equal(stats(f).cached, 0);
	CLOSE(f);
}

static void call_back(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	struct ramka_frame *a = must_alloc(cpu, ZEROED), *b, *ret = NULL;
	struct ramka_unique *u = ramka_unique_alloc(cpu, &ramka_type_untyped, NULL, order_req(4));
	struct ramka_segment s;

	/* no state of a dying frame can be claimed or looked up */
	assert_int_equal(ramka_frame_from_in_use(fixture->r, pa, &ret), RAMKA_E_BUSY);
	assert_int_equal(ramka_frame_from_unused(cpu, pa, &ramka_type_untyped, NULL, &ret), RAMKA_E_BUSY);
	assert_null(ret);
	assert_true(all_bytes(ramka_frame_content(fixture->r, a), 0, PAGE));
	b = ramka_frame_get(fixture->r, a);
	ramka_frame_put(cpu, a);
	ramka_frame_put(cpu, b);
	ramka_unique_free(cpu, u);
	assert_int_equal(ramka_segment_alloc(cpu, 5, &ramka_type_untyped, NULL, NULL, UNINIT, &s), 0);
	ramka_segment_put(cpu, s);
	ramka_drain(fixture->r);
}

static void may_call_back(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2, .rcu = true });

	(void)state;
	in_drop = call_back;
	for (unsigned i = 0; i < 3; i++) {
		struct ramka_cpu *cpu = i < 2 ? f->cpu[i] : f->none;

		ramka_frame_put(cpu, node(cpu, node(cpu, NULL, 1, 2), 1, 0));
		ramka_unique_free(cpu, ramka_unique_alloc(cpu, &node_type, NULL, order_req(1)));
		assert_int_equal(ramka_frame_put_rcu(cpu, node(cpu, NULL, 1, 0)), 0);
		ramka_reclaim(cpu, true);
		assert_int_equal(drops, 4 * (i + 1));
	}
	AUDIT(f);
	CLOSE(f);
}

static struct ramka_frame *later[3];

static void put_three(struct ramka_cpu *cpu, ramka_paddr_t pa)
{
	(void)pa;
	for (unsigned i = 0; i < 3; i++)
		if (later[i]) {
			struct ramka_frame *f = later[i];

			later[i] = NULL;
			ramka_frame_put(cpu, f);
			assert_int_equal(state_at(fixture, ramka_frame_paddr(fixture->r, f)), RAMKA_STATE_BUSY); /* waits its turn */
		}
}

/* A put inside on_drop that is itself a last one runs after it returns. */
static void nested_drops_wait_their_turn(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 2 });

	(void)state;
	for (unsigned who = 0; who < 3; who++) {
		struct ramka_cpu *cpu = who < 2 ? f->cpu[who] : f->none;

		in_drop = put_three;
		for (unsigned i = 0; i < 3; i++)
			later[i] = node(cpu, NULL, 1, i);
		ramka_frame_put(cpu, node(cpu, NULL, 1, 0));
		assert_int_equal(drops, 4 * (who + 1));
		assert_int_equal(deepest, 1);
		assert_int_equal(in_use(f), 0);
	}
	CLOSE(f);
}

/* An interrupt's drop lands on a CPU whose drop is going on: its frame waits, and is freed by the one that runs. */
static void drops_of_a_handler(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1 });
	struct ramka_frame *a = node(f->cpu[0], NULL, 1, 0);

	(void)state;
	interrupt_begin(f->cpu[0]);
	ramka_frame_put(f->cpu[0], a);
	interrupt_end(f->cpu[0]);
	assert_int_equal(drops, 1);
	AUDIT(f);
	CLOSE(f);
}

/* ---- long chains ---- */

#define CHAIN TIMES(1000000u)

struct job {
	struct ramka_cpu *cpu;
	struct ramka_frame *frame;
	void (*run)(struct job *job);
	bool done;
};

static void *job_thread(void *arg)
{
	struct job *job = arg;

	job->run(job);
	job->done = true;
	return NULL;
}

/* On a stack of 16 KiB. */
static void on_small_stack(struct job *job)
{
	pthread_attr_t attr;
	pthread_t thread;
	uint8_t *stack = map_pages(SMALL_STACK + PAGE);

	assert_int_equal(mprotect(stack, PAGE, PROT_NONE), 0);
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstack(&attr, stack + PAGE, SMALL_STACK), 0);
	assert_int_equal(pthread_create(&thread, &attr, job_thread, job), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(job->done);
	pthread_attr_destroy(&attr);
	munmap(stack, SMALL_STACK + PAGE);
}

static void put_it(struct job *job)
{
	ramka_frame_put(job->cpu, job->frame);
}

static void a_chain_of_a_million(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = CHAIN * PAGE + 4 * MIB,
							     .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
		struct job job = { .cpu = who ? f->none : f->cpu[0], .run = put_it };

		for (unsigned i = 0; i < CHAIN; i++)
			job.frame = node(f->cpu[0], job.frame, i, 0);
		assert_int_equal(in_use(f), CHAIN);
		on_small_stack(&job);
		assert_int_equal(drops, CHAIN);
		assert_int_equal(deepest, 1);
		assert_int_equal(sum, (uint64_t)CHAIN * (CHAIN - 1) / 2);
		CLOSE(f);
	}
}

static void reclaim_it(struct job *job)
{
	ramka_frame_put_rcu(job->cpu, job->frame);
	ramka_reclaim(job->cpu, true);
}

static void a_deferred_chain(void **state)
{
	struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = CHAIN / 10 * PAGE + 4 * MIB, .rcu = true,
						     .flags = RAMKA_METADATA_ZEROED | RAMKA_NO_DIRECT_MAP });
	struct job job = { .cpu = f->cpu[0], .run = reclaim_it };

	(void)state;
	for (unsigned i = 0; i < CHAIN / 10; i++) { /* every frame is marked, so every link is a grace period */
		job.frame = node(f->cpu[0], job.frame, i, 0);
		if (i % 100)
			continue;
		ramka_frame_get(f->r, job.frame);
		assert_int_equal(ramka_frame_put_rcu(f->cpu[0], job.frame), 0);
	}
	reclaim_it(&job);
	assert_int_equal(drops, CHAIN / 10);
	assert_true(f->grace.waits >= CHAIN / 10 / 100);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_and_on_the_handle_that_put_last),
		cmocka_unit_test(on_the_cacheless_handle),
		cmocka_unit_test(may_call_back),
		cmocka_unit_test(nested_drops_wait_their_turn),
		cmocka_unit_test(drops_of_a_handler),
		cmocka_unit_test(a_chain_of_a_million),
		cmocka_unit_test(a_deferred_chain),
	};

	return cmocka_run_group_tests_name("drop", tests, NULL, NULL);
}
