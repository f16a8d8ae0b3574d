/* SPDX-License-Identifier: MIT */
/*
 * Copy-on-write. fork shares every frame of the parent and takes away the right to write from both; the first writer copies,
 * unless it is the last that has the frame. Two processes on two CPUs may fault on one frame at once: no lock is shared.
 */
#include "recipe.h"
#include <pthread.h>

#define PAGES 512u
#define WRITABLE ((ramka_paddr_t)1)

/* A process: what its page table maps, an address and a right to write in each entry. Its own lock, not shown, guards it. */
struct process { ramka_paddr_t pte[PAGES]; };

static uint64_t copies;

static void *content(ramka_paddr_t pte)
{
	return ramka_frame_content(r, ramka_frame_at(r, pte & ~WRITABLE).frame);
}

/* ---- the recipe ---- */

static void process_fork(struct process *parent, struct process *child)
{
	for (unsigned i = 0; i < PAGES; i++) {
		ramka_paddr_t pa = parent->pte[i] & ~WRITABLE;
		struct ramka_frame *f;

		child->pte[i] = 0;
		if (!pa)
			continue;
		f = ramka_frame_from_raw(r, pa);                        /* the entry's reference */
		parent->pte[i] = ramka_frame_into_raw(r, f);            /* back into the entry, now read-only */
		child->pte[i] = ramka_frame_into_raw(r, ramka_frame_get(r, f));
	}
	/* a kernel flushes the parent's TLB here, before the child runs */
}

/* A write to a page that is there and read-only. False: no memory. */
static bool write_fault(struct ramka_cpu *cpu, ramka_paddr_t *pte)
{
	struct ramka_frame *old = ramka_frame_from_raw(r, *pte), *copy;

	if (ramka_frame_is_sole(old)) { /* acquire: what the others wrote before they left is seen */
		*pte = ramka_frame_into_raw(r, old) | WRITABLE;
		return true;
	}
	copy = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ .flags = RAMKA_ALLOC_UNINIT });
	if (!copy) {
		*pte = ramka_frame_into_raw(r, old);
		return false;
	}
	memcpy(ramka_frame_content(r, copy), ramka_frame_content(r, old), RAMKA_PAGE_SIZE);
	*pte = ramka_frame_into_raw(r, copy) | WRITABLE;
	ramka_frame_put(cpu, old); /* after the TLB flush, in a kernel */
	return true;
}

/* ---- its test ---- */

static uint64_t *write_to(struct process *p, unsigned page)
{
	struct ramka_cpu *cpu = ramka_host_cpu(host);

	if (!p->pte[page]) {
		struct ramka_frame *f = ramka_frame_alloc(cpu, &ramka_type_untyped, NULL, (struct ramka_request){ 0 });

		CHECK(f);
		p->pte[page] = ramka_frame_into_raw(r, f) | WRITABLE;
	} else if (!(p->pte[page] & WRITABLE)) {
		ramka_paddr_t was = p->pte[page];

		CHECK(write_fault(cpu, &p->pte[page]));
		__atomic_fetch_add(&copies, (p->pte[page] & ~WRITABLE) != was, __ATOMIC_RELAXED);
	}
	return content(p->pte[page]);
}

static void *run(void *arg)
{
	struct process *p = arg;

	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t *words = write_to(p, i);

		CHECK(words[0] == i + 1);
		words[0] = (uintptr_t)p + i;
	}
	for (unsigned i = 0; i < PAGES; i++)
		CHECK(*(uint64_t *)content(p->pte[i]) == (uintptr_t)p + i);
	return NULL;
}

static void process_exit(struct process *p)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (p->pte[i])
			ramka_frame_put(ramka_host_cpu(host), ramka_frame_from_raw(r, p->pte[i] & ~WRITABLE));
}

int main(void)
{
	static struct process parent, child[2];
	pthread_t thread[2];

	recipe_begin(NULL);
	for (unsigned i = 0; i < PAGES; i++)
		*write_to(&parent, i) = i + 1;
	process_fork(&parent, &child[0]);
	process_fork(&parent, &child[1]);
	process_exit(&parent); /* two are left, and both write everything at once */
	for (unsigned i = 0; i < 2; i++)
		CHECK(!pthread_create(&thread[i], NULL, run, &child[i]));
	for (unsigned i = 0; i < 2; i++)
		CHECK(!pthread_join(thread[i], NULL));
	/* one of two copies at least; both may have seen the other's reference */
	CHECK(copies >= PAGES && copies <= 2 * PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK(child[0].pte[i] != child[1].pte[i]);
	process_exit(&child[0]);
	process_exit(&child[1]);
	recipe_end();
	puts("copy-on-write: both children have their own pages, no frame is left over");
	return 0;
}
