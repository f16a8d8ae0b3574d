/* SPDX-License-Identifier: MIT */
/*
 * Random sequences of calls over several CPUs, the library against the reference.
 *
 *	test_sequences [--seed N] [--rounds N] [--calls N]
 *
 * Each round runs in a process of its own, so that a crash is found like any other difference. One that fails is
 * shrunk to a sequence from which no call can be left out, and that one is printed.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "model/sequence.h"

static uint64_t first_seed = 1;
static size_t rounds = 150, nr_calls = 1500;

static void draw(uint64_t seed, struct call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t w = random_next(&seed);

		memcpy(&calls[i], &w, sizeof(calls[i]));
	}
}

/* True: all is well. */
static bool survives(uint64_t seed, const struct call *calls, size_t n, bool quiet)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed check ends this process */
		alarm(60);                           /* and so does a call that never returns */
		if (quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
			_exit(2);
		play_sequence(seed, calls, n);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Leaves out calls, in ever smaller pieces, as long as it still fails. */
static size_t shrink(uint64_t seed, struct call *calls, size_t n)
{
	struct call *fewer = malloc(n * sizeof(*fewer));

	assert_non_null(fewer);
	for (size_t piece = n / 2; piece; piece /= 2)
		for (size_t at = 0; at < n;) {
			size_t cut = n - at < piece ? n - at : piece;

			memcpy(fewer, calls, at * sizeof(*calls));
			memcpy(fewer + at, calls + at + cut, (n - at - cut) * sizeof(*calls));
			if (survives(seed, fewer, n - cut, true)) {
				at += piece;
			} else {
				n -= cut;
				memcpy(calls, fewer, n * sizeof(*calls));
			}
		}
	free(fewer);
	return n;
}

static void print_calls(const struct call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_error("  { .kind = %#x, .cpu = %u, .a = %u, .b = %#x, .c = %u },\n", calls[i].kind, calls[i].cpu, calls[i].a,
			    calls[i].b, calls[i].c);
}

static void random_sequences(void **state)
{
	struct call *calls = malloc(nr_calls * sizeof(*calls));

	(void)state;
	assert_non_null(calls);
	for (uint64_t seed = first_seed; seed < first_seed + rounds; seed++) {
		size_t n;

		draw(seed, calls, nr_calls);
		if (survives(seed, calls, nr_calls, false))
			continue;
		n = shrink(seed, calls, nr_calls);
		print_error("--seed %llu fails; these %zu of its %zu calls suffice:\n", (unsigned long long)seed, n, nr_calls);
		print_calls(calls, n);
		survives(seed, calls, n, false); /* once more, to see the message */
		fail_msg("seed %llu", (unsigned long long)seed);
	}
	free(calls);
}

/* The harness itself: a library that loses a frame, or hands one out twice, must be noticed. */
static void a_difference_is_noticed(void **state)
{
	const struct call alloc = { .kind = 0, .cpu = 0, .a = 0, .b = 1, .c = 0 };
	int status = 0;

	(void)state;
	for (unsigned how = 0; how < 4; how++) {
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			struct play *p;

			setenv("CMOCKA_TEST_ABORT", "1", 1);
			if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
				_exit(2);
			p = play_open(7);
			play_call(p, &alloc);
			if (how == 1) /* the frame is free in the reference, in use in the library */
				model_release(&p->m, p->hand[0].at);
			if (how == 2) /* the content changes under its owner */
				*word_at(p, p->hand[0].at, true) ^= 1;
			if (how == 3) /* one more reference than anybody knows */
				ramka_frame_get(p->f->r, frame_of_hand(p, &p->hand[0]));
			play_audit(p);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WIFEXITED(status) && WEXITSTATUS(status) == 0, how == 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_difference_is_noticed),
		cmocka_unit_test(random_sequences),
	};

	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 0);

		if (!strcmp(argv[i], "--seed"))
			first_seed = value;
		else if (!strcmp(argv[i], "--rounds"))
			rounds = value;
		else if (!strcmp(argv[i], "--calls"))
			nr_calls = value;
		else
			return 2;
	}
	fprintf(stderr, "# --seed %llu --rounds %zu --calls %zu\n", (unsigned long long)first_seed, rounds, nr_calls);
	return cmocka_run_group_tests_name("sequences", tests, NULL, NULL);
}
