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

/* Runs `what` in a child, or this program under valgrind, and keeps what it says. */
static void child(int (*what)(void), char **argv)
{
	int fd[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	fflush(NULL);
	CHECK(pipe(fd) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		if (argv)
			execvp(argv[0], argv), _exit(127);
		_exit(what());
	}
	close(fd[1]);
	while (n < sizeof(said) - 1 && (got = read(fd[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = 0;
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 127);
}

static void must_say(const char *text)
{
	if (!strstr(said, text)) {
		fprintf(stderr, "\"%s\" is not said:\n%s\n", text, said);
		_Exit(1);
	}
}

static void a_use_after_free_is_reported(char *self)
{
	static char valgrind[] = "valgrind", option[] = "--error-exitcode=9", bug[] = "bug";

	if (ASAN) {
		child(use_after_free, NULL);
		must_say("use-after-poison");
		must_say("last freed on CPU 0");
		return;
	}
	if (system("valgrind --version >/dev/null 2>&1")) { /* NOLINT(cert-env33-c) */
		skip_reason = "no valgrind";
		return;
	}
	child(NULL, (char *[]){ valgrind, option, self, bug, NULL });
	must_say("Invalid read of size 1");
	must_say("inside a block of size 4,096 free'd");
	must_say("Block was alloc'd at");
}

/* What a double free prints names both callers. */
static int double_free(void)
{
	struct ramka_host *h = create(0, RAMKA_TRACE);
	struct ramka_frame *f = allocate(h, UNINIT);

	ramka_frame_put(ramka_host_cpu(h), f);
	ramka_frame_put(ramka_host_cpu(h), f);
	return 0;
}

static void dies(void)
{
	int fd[2];
	ssize_t got;
	pid_t pid;

	fflush(NULL);
	CHECK(pipe(fd) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		_exit(double_free());
	}
	close(fd[1]);
	got = read(fd[0], said, sizeof(said) - 1);
	CHECK(got > 0);
	said[got] = 0;
	close(fd[0]);
	CHECK(waitpid(pid, &(int){ 0 }, 0) == pid);
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
	CASE(a_use_after_free_is_reported(argv[0]));
	CASE(dies());
	CASE(no_contents_to_check());
	return end_of_cases();
}
