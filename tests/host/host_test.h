/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the hosted layer share. Each is a program that says "ok" for each case, in TAP, and returns 0; or says
 * what is wrong and returns 1.
 */
#ifndef RAMKA_HOST_TEST_H
#define RAMKA_HOST_TEST_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../slow.h"

/* Also from threads and from children: the process ends. */
#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #cond); \
			_Exit(1); \
		} \
	} while (0)

static unsigned cases_done;
static const char *skip_reason; /* of the case that runs; set by itself */

/* One case. The plan comes last, so a program that ends on its way has none, and tests/tally.py takes that as a failure. */
#define CASE(call) \
	do { \
		skip_reason = NULL; \
		call; \
		printf("ok %u - %s%s%s\n", ++cases_done, #call, skip_reason ? " # SKIP " : "", skip_reason ? skip_reason : ""); \
		fflush(stdout); /* children must not say it again */ \
	} while (0)

static inline int end_of_cases(void)
{
	printf("1..%u\n", cases_done);
	return 0;
}

static inline pthread_t spawn(void *(*run)(void *), void *arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, run, arg) == 0);
	return t;
}

static inline void join(pthread_t t)
{
	CHECK(pthread_join(t, NULL) == 0);
}

static inline void await(atomic_int *flag, int value)
{
	while (atomic_load(flag) != value)
		sched_yield();
}

/* Runs `what` in a child and collects its stderr as a string; the child's wait status. */
static inline int child_says(void (*what)(void), char *said, size_t room)
{
	size_t n = 0;
	ssize_t got;
	int fd[2], status;
	pid_t pid;

	fflush(NULL);
	CHECK(pipe(fd) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		what();
		_exit(0);
	}
	close(fd[1]);
	while (n < room - 1 && (got = read(fd[0], said + n, room - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = 0;
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* Where a test is not about time: a pause, so that others get somewhere. */
static inline void pause_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

#endif
