/* SPDX-License-Identifier: MIT */
/*
 * RAMKA_HOST_CHECK_MEMORY: memory checkers learn which frames are free. With AddressSanitizer a child reads a freed frame; without
 * it this program runs itself under valgrind and does the same there.
 */
#include <ramka/host.h>

#include <sys/wait.h>
#include <unistd.h>

#include "host_test.h"

#if defined(__SANITIZE_ADDRESS__)
# define ASAN 1
#elif defined(__has_feature)
# if __has_feature(address_sanitizer)
#  define ASAN 1
# endif
#endif
#ifndef ASAN
# define ASAN 0
#endif

static const struct ramka_request UNINIT = { .flags = RAMKA_ALLOC_UNINIT };
static char said[16384];

static struct ramka_host *create(uint32_t checks, uint32_t flags)
{
	struct ramka_host_options opt = { .memory = 64 << 20, .nr_cpus = 2, .checks = checks, .flags = flags };
	struct ramka_host *h;

	CHECK(ramka_host_create(&opt, &h) == 0);
	return h;
}

static struct ramka_frame *allocate(struct ramka_host *h, struct ramka_request req)
{
	struct ramka_frame *f = ramka_frame_alloc(ramka_host_cpu(h), &ramka_type_untyped, NULL, req);

	CHECK(f);
	return f;
}

/* Frames in use can be read and written, whatever they were before; the mapping that comes after the host as well. */
static void correct_programs_are_left_alone(void)
{
	for (unsigned round = 0; round < 3; round++) {
		struct ramka_host *h = create(RAMKA_HOST_CHECK_MEMORY, round ? RAMKA_POISON | RAMKA_TRACE : 0);
		struct ramka *r = ramka_host_ramka(h);

		for (uint8_t order = 0; order <= 9; order = (uint8_t)(order + 3))
			for (unsigned i = 0; i < 3; i++) {
				struct ramka_frame *f = allocate(h, (struct ramka_request){ .order = order });
				uint8_t *p = ramka_frame_content(r, f);

				for (size_t j = 0; j < (size_t)RAMKA_PAGE_SIZE << order; j += 64) {
					CHECK(p[j] == 0);
					p[j] = 1;
				}
				ramka_frame_put(ramka_host_cpu(h), f);
			}
		ramka_host_destroy(h);
	}
}

/* A program with a bug: it reads a frame that it has freed. */
static int use_after_free(void)
{
	struct ramka_host *h = create(RAMKA_HOST_CHECK_MEMORY, RAMKA_TRACE);
	struct ramka_frame *f = allocate(h, UNINIT);
	volatile uint8_t *p = ramka_frame_content(ramka_host_ramka(h), f);

	*p = 1;
	ramka_frame_put(ramka_host_cpu(h), f);
	return *p == 77; /* here */
}

static char *self; /* this program */

static void uses_after_free(void)
{
	_exit(use_after_free());
}

static void under_valgrind(void)
{
	execlp("valgrind", "valgrind", "--error-exitcode=9", self, "bug", (char *)NULL);
	_exit(127);
}

static void child(void (*what)(void))
{
	int status = child_says(what, said, sizeof(said));

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 127);
}

static void must_say(const char *text)
{
	if (!strstr(said, text)) {
		fprintf(stderr, "\"%s\" is not said:\n%s\n", text, said);
		_Exit(1);
	}
}

static void a_use_after_free_is_reported(void)
{
	if (ASAN) {
		child(uses_after_free);
		must_say("use-after-poison");
		must_say("last freed on CPU 0");
		return;
	}
	if (system("valgrind --version >/dev/null 2>&1")) { /* NOLINT(cert-env33-c) */
		skip_reason = "no valgrind";
		return;
	}
	child(under_valgrind);
	if (strstr(said, "Possibly corrupted debuginfo file")) {
		skip_reason = "valgrind cannot read this compiler's debug information (-gdwarf-4 helps)";
		return;
	}
	must_say("Invalid read of size 1");
	must_say("inside a block of size 4,096 free'd");
	must_say("Block was alloc'd at");
}

/* What a double free prints names both callers. */
static void double_free(void)
{
	struct ramka_host *h = create(0, RAMKA_TRACE);
	struct ramka_frame *f = allocate(h, UNINIT);

	ramka_frame_put(ramka_host_cpu(h), f);
	ramka_frame_put(ramka_host_cpu(h), f);
}

static void dies(void)
{
	child_says(double_free, said, sizeof(said));
	must_say("ramka_frame_put");
	must_say("allocated by the caller at 0x");
	must_say("freed by the caller at 0x");
	must_say(" on CPU 0");
}

static void no_contents_to_check(void)
{
	struct ramka_host_options opt = { .memory = 1 << 21, .checks = RAMKA_HOST_CHECK_MEMORY, .flags = RAMKA_NO_DIRECT_MAP };
	struct ramka_host *h;
	struct ramka_why why;

	CHECK(ramka_host_create_why(&opt, &h, &why) == RAMKA_E_INVAL);
	CHECK(!strcmp(why.field, "checks"));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "bug"))
		return use_after_free();
	CASE(correct_programs_are_left_alone());
	self = argv[0];
	CASE(a_use_after_free_is_reported());
	CASE(dies());
	CASE(no_contents_to_check());
	return end_of_cases();
}
