/* SPDX-License-Identifier: MIT */
/* What every recipe begins with: an instance of 64 MiB, and a check that ends the program. */
#ifndef RECIPE_H
#define RECIPE_H

#include <ramka/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) do { if (!(cond)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #cond); exit(1); } } while (0)

static struct ramka_host *host;
static struct ramka *r;

static inline void recipe_begin(const struct ramka_type *type)
{
	struct ramka_host_options options = { .memory = 64u << 20, .nr_cpus = 4 };

	CHECK(!ramka_host_create(&options, &host));
	r = ramka_host_ramka(host);
	CHECK(!type || !ramka_type_register(r, type));
}

/* Every frame has come back and the audit agrees. */
static inline void recipe_end(void)
{
	struct ramka_stats s;

	ramka_reclaim(ramka_host_cpu(host), true);
	ramka_drain(r);
	ramka_stats_read(r, &s);
	CHECK(!s.in_use && !s.deferred && !ramka_check(r, NULL));
	ramka_host_destroy(host);
}

#endif
