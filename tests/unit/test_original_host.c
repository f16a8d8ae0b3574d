/* SPDX-License-Identifier: MIT */
/*
 * B31 of the original's defects (see test_original.c): a frame is zeroed, and has its metadata, before anybody can look it
 * up. The page is made inaccessible, and the handler of the signal asks for the frame at the moment of the first write. This
 * needs mprotect and sigaction, so it is the one program that the unit tests inside the example kernel leave out.
 */
#include <signal.h>

#include "fixture.h"

struct note { uint64_t pa, n; };

static RAMKA_DEFINE_TYPE(note_type, struct note, .id = 16);
static RAMKA_DEFINE_TYPE_PLAIN(plain_type, .id = 17);

static struct fixture *open_with(struct spec s)
{
	struct fixture *f = fixture_open(s);

	assert_int_equal(ramka_type_register(f->r, &note_type), 0);
	assert_int_equal(ramka_type_register(f->r, &plain_type), 0);
	return f;
}

static struct fixture *watched;
static ramka_paddr_t watched_pa;
static uint8_t *watched_page;
static size_t watched_bytes;
static volatile sig_atomic_t touched, seen;

/* The library writes to the page just now: the frame must not be there for others yet. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct ramka_frame *ret = NULL;
	uint8_t *at = info->si_addr;
	int rc;

	(void)signal, (void)context;
	if (at < watched_page || at >= watched_page + watched_bytes)
		abort();
	touched = touched + 1;
	rc = ramka_frame_from_in_use(watched->r, watched_pa, &ret);
	if (rc == 0)
		seen = seen + 1;
	if (mprotect(watched_page, watched_bytes, PROT_READ | PROT_WRITE))
		abort();
}

static void watch(struct fixture *f, ramka_paddr_t pa, void *page, size_t bytes)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	watched = f;
	watched_pa = pa;
	watched_page = page;
	watched_bytes = bytes;
	touched = seen = 0;
	assert_int_equal(sigaction(SIGSEGV, &act, NULL), 0);
	assert_int_equal(mprotect(page, bytes, PROT_NONE), 0);
}

static void written_before_it_was_there(void)
{
	assert_int_equal(touched, 1);
	assert_int_equal(seen, 0);
}

static void allocate(struct fixture *f, unsigned how, struct ramka_request req, const struct ramka_type *type)
{
	struct ramka_frame *one = NULL;
	struct ramka_segment s;
	struct ramka_unique *u;

	switch (how) {
	case 0:
		one = ramka_frame_alloc(f->cpu[0], type, NULL, req);
		break;
	case 1:
		assert_int_equal(ramka_frame_alloc_bulk(f->cpu[0], type, req, 1, &one), 1);
		break;
	case 2:
		u = ramka_unique_alloc(f->none, type, NULL, req);
		assert_non_null(u);
		one = ramka_unique_share(f->r, u);
		break;
	default:
		assert_int_equal(ramka_segment_alloc(f->cpu[0], 1, type, NULL, NULL, req, &s), 0);
		ramka_segment_put(f->cpu[0], s);
		return;
	}
	assert_non_null(one);
	ramka_frame_put(f->cpu[0], one);
}

static void b31_zeroed_before_it_is_published(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 4; how++)
		for (unsigned order = 0; order < (how == 3 ? 1 : 3); order++) {
			struct ramka_request req = { .order = (uint8_t)order };
			struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = PAGE << order });

			watch(f, BASE, f->memory, PAGE << order);
			allocate(f, how, req, &plain_type);
			written_before_it_was_there();
			CLOSE(f);
		}
}

static void b31_metadata_is_there_before_it_is_published(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 4; how++) {
		/* a page of metadata in the middle of the array, of no frame but those that the test allocates */
		struct fixture *f = open_with((struct spec){ .nr_cpus = 1, .size = MIB, .meta_size = 240 });
		uintptr_t page = ((uintptr_t)f->r->meta + 4 * PAGE) & ~(uintptr_t)(PAGE - 1);
		uint64_t at = (page - (uintptr_t)f->r->meta + 239) / 240;
		struct ramka_frame *frames[256];
		size_t n;

		n = alloc_all(f->cpu[0], UNINIT, frames, 256);
		assert_int_equal(n, 256);
		ramka_frame_put(f->cpu[0], slot_at(f, BASE + at * PAGE)); /* the only free one */
		watch(f, BASE + at * PAGE, (void *)page, PAGE);
		allocate(f, how, UNINIT, &note_type);
		written_before_it_was_there();
		for (size_t i = 0; i < n; i++)
			if (ramka_frame_paddr(f->r, frames[i]) != BASE + at * PAGE)
				ramka_frame_put(f->cpu[0], frames[i]);
		CLOSE(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(b31_zeroed_before_it_is_published),
		cmocka_unit_test(b31_metadata_is_there_before_it_is_published),
	};

	return cmocka_run_group_tests_name("original_host", tests, NULL, NULL);
}
