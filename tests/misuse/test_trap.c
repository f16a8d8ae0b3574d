/* SPDX-License-Identifier: MIT */
/* Without a panic function a programmer error traps, in every build, before anything else happens. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/fixture.h"

static struct fixture *fixture;
static struct ramka_frame *frame;
static struct ramka_unique *unique;

static void put_twice(void) { ramka_frame_put(fixture->cpu[0], frame); ramka_frame_put(fixture->cpu[0], frame); }
static void put_null(void) { ramka_frame_put(fixture->cpu[0], NULL); }
static void put_unique(void) { ramka_frame_put(fixture->cpu[0], slot_of(unique)); }
static void get_free(void) { ramka_frame_put(fixture->cpu[0], frame); ramka_frame_get(fixture->r, frame); }
static void free_shared(void) { ramka_unique_free(fixture->cpu[0], unique_of(frame)); }
static void bad_type(void) { ramka_frame_alloc(fixture->cpu[0], NULL, NULL, ZEROED); }
static void bad_raw(void) { ramka_frame_from_raw(fixture->r, 1); }
static void bad_segment(void) { ramka_segment_put(fixture->cpu[0], (struct ramka_segment){ 0, PAGE }); }
static void nothing_wrong(void) { ramka_frame_put(fixture->cpu[0], frame); }

static int signal_of(void (*what)(void))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGILL, SIG_DFL); /* cmocka catches them */
		signal(SIGTRAP, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		what();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void traps(void **state)
{
	static void (*const errors[])(void) = { put_twice, put_null, put_unique, get_free, free_shared, bad_type, bad_raw, bad_segment };
	struct ramka_config cfg;

	(void)state;
	fixture = fixture_open((struct spec){ .nr_cpus = 1 });
	cfg = fixture->cfg;
	cfg.panic = NULL;
	assert_int_equal(ramka_init(&cfg, fixture->metadata, fixture->metadata_bytes, &fixture->r), 0);
	fixture->cpu[0] = ramka_cpu_at(fixture->r, 0);
	frame = must_alloc(fixture->cpu[0], ZEROED);
	unique = ramka_unique_alloc(fixture->cpu[0], &ramka_type_untyped, NULL, ZEROED);
	assert_int_equal(signal_of(nothing_wrong), 0);
	for (unsigned i = 0; i < NELEMS(errors); i++) {
		int signal = signal_of(errors[i]);

		assert_true(signal == SIGILL || signal == SIGTRAP || signal == SIGABRT);
	}
	fixture_unmap(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traps),
	};

	return cmocka_run_group_tests_name("trap", tests, NULL, NULL);
}
