/* SPDX-License-Identifier: MIT */
/* The watchdog. See watch.h. */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "watch.h"

char command_line[1024];

void command_keep(int argc, char **argv)
{
	size_t n = 0;

	for (int i = 0; i < argc && n < sizeof(command_line); i++)
		n += (size_t)snprintf(command_line + n, sizeof(command_line) - n, "%s%s", i ? " " : "", argv[i]);
}

static void (*look_at)(void);

static void *watch_main(void *unused)
{
	struct timespec second = { .tv_sec = 1 };
	sigset_t all;

	(void)unused;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (;;) {
		nanosleep(&second, NULL);
		look_at();
	}
	return NULL;
}

void watch_start(void (*look)(void))
{
	pthread_t t;

	look_at = look;
	CHECK(!pthread_create(&t, NULL, watch_main, NULL), "cannot start a thread");
	pthread_detach(t);
}

bool sign_stands(struct sign *s, uint64_t value, unsigned seconds)
{
	uint64_t now = now_ms();

	if (!s->since || s->value != value)
		*s = (struct sign){ value, now };
	return now - s->since >= seconds * (uint64_t)1000;
}

/* For whoever reads the log: a hang is hard to meet a second time. */
static void print_stacks(void)
{
	char command[160];

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	snprintf(command, sizeof(command),
		 "timeout 60 gdb -p %d -batch -ex 'thread apply all bt' 2> /dev/null | grep -E '^(Thread|#)' 1>&2",
		 (int)getpid());
	if (system(command))
		dprintf(STDERR_FILENO, "(no stacks)\n");
}

_Noreturn void hang(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "HANG %s%s, seed %llu: %s\n", world.scenario ? world.scenario->name : "-", world.note,
		(unsigned long long)world.opt.seed, text);
	print_stacks();
	dprintf(STDERR_FILENO, "replay: %s\n", command_line);
	_exit(STATUS_HANG);
}
