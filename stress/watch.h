/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: a run that gets nowhere says HANG, where it stands and how to repeat it, and ends with status 3.
 * The only place where time decides anything; its bound is generous (--hang, 180 s without a sign of life).
 */
#ifndef STRESS_WATCH_H
#define STRESS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define STATUS_HANG 3

/* The command line, for reports; "" until it is kept. */
void command_keep(int argc, char **argv);
extern char command_line[1024];

/* Calls `look` each second from a thread of its own. */
void watch_start(void (*look)(void));

/* One thing that must move on: `value` is other than at the last look, or the time since is counted. */
struct sign {
	uint64_t value, since; /* ms; 0: not seen yet */
};
/* True: it stood still for so many seconds. */
bool sign_stands(struct sign *s, uint64_t value, unsigned seconds);

/* Prints the reason, the command and, if gdb is there, where each thread stands; ends the process. */
_Noreturn void hang(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
