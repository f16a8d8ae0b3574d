/* SPDX-License-Identifier: MIT */
/*
 * The default answers: to a programmer error, say what it was on one line of stderr and abort; to a thread
 * without a CPU, one line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

static const char *const state_names[] = {
	[RAMKA_STATE_HOLE] = "HOLE",         [RAMKA_STATE_UNUSED] = "UNUSED",
	[RAMKA_STATE_FREE] = "FREE",         [RAMKA_STATE_CACHED] = "CACHED",
	[RAMKA_STATE_UNIQUE] = "UNIQUE",     [RAMKA_STATE_SHARED] = "SHARED",
	[RAMKA_STATE_TAIL] = "TAIL",         [RAMKA_STATE_DEFERRED] = "DEFERRED",
	[RAMKA_STATE_BUSY] = "BUSY",         [RAMKA_STATE_RESERVED] = "RESERVED",
	[RAMKA_STATE_SATURATED] = "SATURATED", [RAMKA_STATE_ISOLATED] = "ISOLATED",
};
#define NR_STATES (sizeof(state_names) / sizeof(*state_names))

const char *host_state_name(enum ramka_state state)
{
	unsigned i = state;

	return i < NR_STATES ? state_names[i] : "unknown state";
}

/* Without stdio's buffers and locks, since this may be a signal handler or a thread that holds them. */
static void say(const char *line, int length, size_t room)
{
	size_t n = length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
	int saved = errno;

	while (n) {
		ssize_t done = write(STDERR_FILENO, line, n);

		if (done <= 0)
			break;
		line += done;
		n -= (size_t)done;
	}
	errno = saved;
}

/* What is known of the frame and the argument; nothing where the bug is about neither. */
static void details(char *text, size_t room, const struct ramka_bug *bug)
{
	text[0] = 0;
	if (bug->argument || bug->paddr || bug->ref)
		snprintf(text, room,
			 ": frame at 0x%" PRIx64 ", state %s, word 0x%016" PRIx64 ", type %s, %s 0x%" PRIx64,
			 bug->paddr, host_state_name(bug->state), bug->ref,
			 bug->type && bug->type->name ? bug->type->name : "none",
			 bug->argument ? bug->argument : "no argument", bug->value);
}

/* Who did it, appended to the text; nothing if that is not known. */
static void append_caller(char *text, size_t room, const char *what, uintptr_t by, unsigned on)
{
	size_t n = strlen(text);

	if (on == RAMKA_NO_CPU)
		snprintf(text + n, room - n, ", %s by the caller at 0x%" PRIxPTR, what, by);
	else if (on)
		snprintf(text + n, room - n, ", %s by the caller at 0x%" PRIxPTR " on CPU %u", what, by,
			 on - 1);
}

/* A handle in the wrong hands: whose it is, and who called. */
static void parties(char *text, size_t room, struct ramka_host *h, const struct ramka_bug *bug)
{
	snprintf(text, room, ": CPU %" PRIu64 " is thread %ld's, the caller is thread %ld", bug->value,
		 ramka_host_owner(h, (unsigned)bug->value), (long)syscall(SYS_gettid));
}

void host_bug(void *ctx, const struct ramka_bug *bug)
{
	struct ramka_host *h = ctx;
	const struct ramka_history *who = &bug->history;
	char line[640], about[448];
	int n;

	if (h->panic) {
		h->panic(h->ctx, bug);
		return;
	}
	if (bug->argument && strcmp(bug->argument, "cpu") == 0)
		parties(about, sizeof(about), h, bug);
	else
		details(about, sizeof(about), bug);
	append_caller(about, sizeof(about), "allocated", who->allocated_by, who->allocated_on);
	append_caller(about, sizeof(about), "freed", who->freed_by, who->freed_on);
	n = snprintf(line, sizeof(line), "ramka: %s: %s%s\n",
		     bug->operation ? bug->operation : "unknown operation",
		     bug->what ? bug->what : "programmer error", about);
	say(line, n, sizeof(line));
	abort();
}

void host_no_cpu(void *ctx, unsigned nr_cpus)
{
	char line[256];
	int n;

	(void)ctx;
	n = snprintf(line, sizeof(line),
		     "ramka-host: more than %u threads at once: some have no CPU of their own and are slower "
		     "(ramka_host_options.nr_cpus)\n", nr_cpus);
	say(line, n, sizeof(line));
}

void host_die(const char *what)
{
	char line[256];

	say(line, snprintf(line, sizeof(line), "ramka-host: %s\n", what), sizeof(line));
	abort();
}
