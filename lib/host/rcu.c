/* SPDX-License-Identifier: MIT */
/* Which source of grace periods a host uses, its read sections, and waiting by polling. */
#include <sched.h>
#include <string.h>
#include <time.h>

#include "internal.h"

struct choice {
	const char *name;
	const struct host_source *source; /* NULL: not built in */
};

static const struct choice choices[] = {
#ifdef RAMKA_HAVE_URCU
	{ "memb", &host_source_memb }, { "qsbr", &host_source_qsbr }, { "mb", &host_source_mb },
#else
	{ "memb", NULL }, { "qsbr", NULL }, { "mb", NULL },
#endif
#ifdef RAMKA_HAVE_CK
	{ "ck", &host_source_ck },
#else
	{ "ck", NULL },
#endif
	{ "ramka", &host_source_ramka },
};

#define NR_CHOICES (sizeof(choices) / sizeof(*choices))

int host_source_find(const char *name, const struct host_source **ret_source)
{
	const struct choice *c = choices;

	/* no wish: the first that is there */
	while (c < choices + NR_CHOICES && (name ? strcmp(c->name, name) != 0 : !c->source))
		c++;
	if (c == choices + NR_CHOICES)
		return RAMKA_E_INVAL;
	if (!c->source)
		return RAMKA_E_UNSUPPORTED;
	*ret_source = c->source;
	return 0;
}

#ifndef RAMKA_HAVE_URCU
void host_source_thread_exit(void)
{
}
#endif

void ramka_host_rcu_read_lock(struct ramka_host *h)
{
	h->source->read_lock(h);
}

void ramka_host_rcu_read_unlock(struct ramka_host *h)
{
	h->source->read_unlock(h);
}

/* ---- waiting ---- */

#define YIELDS 64
#define SLEEP_MIN 50000L   /* ns */
#define SLEEP_MAX 1000000L

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool host_poll(bool (*elapsed)(void *ctx, uint64_t cookie), void *ctx, uint64_t cookie, unsigned ms)
{
	struct timespec sleep = { .tv_nsec = SLEEP_MIN };
	uint64_t end = ms ? now_ms() + ms : UINT64_MAX;

	for (unsigned i = 0; i < YIELDS; i++) {
		if (elapsed(ctx, cookie))
			return true;
		sched_yield();
	}
	while (!elapsed(ctx, cookie)) {
		if (now_ms() >= end)
			return false;
		nanosleep(&sleep, NULL);
		if (sleep.tv_nsec < SLEEP_MAX)
			sleep.tv_nsec *= 2;
	}
	return true;
}
