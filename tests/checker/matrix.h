/* SPDX-License-Identifier: MIT */
/* What runner.c and matrix.c share. Programs that are linked without matrix.c (tests/litmus, tests/fuzz) have no matrix. */
#ifndef CK_MATRIX_H
#define CK_MATRIX_H

#include "engine.h"

struct ck_matrix {
	const char *self, *list;    /* the command; matrix.txt */
	const char *only;           /* text of a pair or function, or NULL */
	unsigned bound, jobs;
	uint64_t pct_runs;
	double seconds;
	bool quick;
};
int ck_matrix(const struct ck_matrix *m) __attribute__((weak));

/* programs without clients, or without families, have no such section */
extern const struct ck_client *const __start_ck_clients[] __attribute__((weak)), *const __stop_ck_clients[] __attribute__((weak));
extern ck_family *const __start_ck_families[] __attribute__((weak)), *const __stop_ck_families[] __attribute__((weak));
extern struct ck_site __start_ck_sites[], __stop_ck_sites[];
extern const char *const ck_op_names[];
unsigned ck_nr_clients(void);
const struct ck_client *ck_client_at(unsigned i);

/*
 * An inline function has a copy of its sites in each object, and the path of its header depends on the file that
 * includes it; the first copy stands for all.
 */
bool ck_same_site(const struct ck_site *a, const struct ck_site *b);
bool ck_first_copy(const struct ck_site *s);
bool ck_client_file(const struct ck_site *s);
unsigned ck_site_hits(const struct ck_site *s);
const char *ck_base(const char *path);
/*
 * Calls job(0) .. job(n - 1), by `jobs` processes. Says which jobs were never done, since a process died or ended before its
 * time; how many.
 */
unsigned ck_in_parallel(void (*job)(unsigned i), unsigned n, unsigned jobs, const char *(*name)(unsigned i));
/* Weakens what `also` says, besides --weaken. */
void ck_weaken_also(unsigned (*also)(const struct ck_site *s));

#endif
