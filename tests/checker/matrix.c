/* SPDX-License-Identifier: MIT */
/*
 * The matrix: each acquire and each release of the library weakened alone, and who notices.
 *
 * matrix.txt has a line for each, with the client that catches it or with the reason why none can. A run
 *   - weakens each order that has a client and runs that client, which must fail; if it does not, all others are tried,
 *   - weakens all orders that have a reason at once and runs every client: what none catches together, none catches
 *     alone, since each execution that one weakening allows is allowed by all of them. Where a client fails, it is
 *     run again with each of them alone,
 *   - takes it as a failure if an order has no line, if a line names no order, if an order with a client is caught by
 *     none, and if one with a reason is caught.
 * The quick form runs the first of these only, with the named clients, and compares the list with the sources. An order that
 * was not run is not counted as passed.
 */
#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_MUTANTS 400u

struct mutant {
	const struct ck_site *site;
	unsigned half;
	char key[160];              /* as in the list */
	const char *client, *reason; /* one of them, or none if the list has no line */
};

/* written by all processes */
struct shared {
	unsigned passed, failed, caught;
	unsigned char run[MAX_MUTANTS]; /* some client got there */
};

static const struct { unsigned half; const char *name; } halves[] = {
	{ CK_WEAK_ACQUIRE, "acquire" }, { CK_WEAK_RELEASE, "release" }, { CK_WEAK_FAILURE, "failure" } };

static struct mutant mutants[MAX_MUTANTS];
static unsigned nr_mutants;
static struct shared *shared;
static const struct ck_matrix *opt;
static const struct mutant *alone;  /* weakened; NULL: all that have a reason */

static const char *half_name(unsigned half)
{
	return halves[half == CK_WEAK_ACQUIRE ? 0 : half == CK_WEAK_RELEASE ? 1 : 2].name;
}

static bool has_half(const struct ck_site *s, unsigned half)
{
	bool acq = s->order == __ATOMIC_ACQUIRE || s->order == __ATOMIC_ACQ_REL;
	bool rel = s->order == __ATOMIC_RELEASE || s->order == __ATOMIC_ACQ_REL;

	return half == CK_WEAK_ACQUIRE ? acq : half == CK_WEAK_RELEASE ? rel : s->op == CK_CAS && acq;
}

/* ---- the list ---- */

/* Alike but for the line: the same operation on the same pair in the same function. */
static bool alike(const struct ck_site *a, const struct ck_site *b)
{
	return a->op == b->op && a->order == b->order && !strcmp(a->pair, b->pair) && !strcmp(a->function, b->function) &&
	       !strcmp(ck_base(a->file), ck_base(b->file));
}

/* As the sources call it: lib's names.h puts this before the core's own names. */
static const char *function_of(const struct ck_site *s)
{
	static const char prefix[] = "ramka_core_";

	return s->function + (strncmp(s->function, prefix, sizeof prefix - 1) ? 0 : sizeof prefix - 1);
}

/* Those that are alike are numbered from the top of their function; one that is alone has no number. */
static void key_of(char *key, size_t size, const struct ck_site *s, const char *half)
{
	unsigned n = 1, all = 0;
	char number[12] = "";

	for (const struct ck_site *o = __start_ck_sites; o < __stop_ck_sites; o++) {
		if (!ck_first_copy(o) || !alike(o, s))
			continue;
		all++;
		n += o->line < s->line;
	}
	if (all > 1)
		snprintf(number, sizeof number, " %u", n);
	snprintf(key, size, "%s %s %s %s%s %s", function_of(s), s->pair, ck_op_names[s->op],
		 ck_order_name(s->order), number, half);
}

static struct mutant *mutant_of(const char *key)
{
	for (unsigned i = 0; i < nr_mutants; i++)
		if (!strcmp(mutants[i].key, key))
			return &mutants[i];
	return NULL;
}

static void find_mutants(void)
{
	for (const struct ck_site *s = __start_ck_sites; s < __stop_ck_sites; s++) {
		if (ck_client_file(s) || !ck_first_copy(s))
			continue;
		for (unsigned h = 0; h < 3; h++) {
			struct mutant *m = &mutants[nr_mutants];
			const struct mutant *other;

			if (!has_half(s, halves[h].half))
				continue;
			if (nr_mutants == MAX_MUTANTS)
				abort();
			m->site = s;
			m->half = halves[h].half;
			key_of(m->key, sizeof m->key, s, halves[h].name);
			other = mutant_of(m->key);
			if (other) {
				printf("FAIL %s:%u and %s:%u are both \"%s\": functions with orders need names of their own\n",
				       ck_base(other->site->file), other->site->line, ck_base(s->file), s->line, m->key);
				shared->failed++;
				continue;
			}
			nr_mutants++;
		}
	}
}

static const struct ck_client *client_of(const char *name)
{
	for (unsigned i = 0; i < ck_nr_clients(); i++)
		if (!strcmp(ck_client_at(i)->name, name))
			return ck_client_at(i);
	return NULL;
}

/* "FUNCTION PAIR OPERATION ORDER [NUMBER] HALF: CLIENT", or ": - REASON". What is wrong with the line, or NULL. */
static const char *enter_line(char *line)
{
	char *colon = strstr(line, ": ");
	struct mutant *m;

	if (!colon)
		return "no colon";
	*colon = 0;
	m = mutant_of(line);
	if (!m)
		return "no such order in the sources";
	if (m->client || m->reason)
		return "a second line for it";
	if (!strncmp(colon + 2, "- ", 2)) {
		m->reason = strdup(colon + 4);
		return NULL;
	}
	m->client = strdup(colon + 2);
	return client_of(m->client) ? NULL : "no such client";
}

static void read_list(void)
{
	char line[500];
	FILE *f = fopen(opt->list, "r");

	if (!f) {
		perror(opt->list);
		exit(2);
	}
	for (unsigned n = 1; fgets(line, sizeof line, f); n++) {
		const char *wrong;

		line[strcspn(line, "\n")] = 0;
		if (!*line || *line == '#')
			continue;
		wrong = enter_line(line);
		if (wrong) {
			printf("FAIL %s:%u: %s: %s\n", ck_base(opt->list), n, wrong, line);
			shared->failed++;
		}
	}
	fclose(f);
}

/* ---- running ---- */

static unsigned weakened(const struct ck_site *s)
{
	unsigned weak = 0;

	if (alone)
		return ck_same_site(alone->site, s) ? alone->half : 0;
	for (unsigned i = 0; i < nr_mutants; i++)
		if (mutants[i].reason && ck_same_site(mutants[i].site, s))
			weak |= mutants[i].half;
	return weak;
}

/* Does the client fail? Then why is in *r; its schedule is gone. */
static bool fails(const struct ck_client *c, const struct mutant *m, unsigned bound, struct ck_result *r)
{
	alone = m;
	for (struct ck_site *s = __start_ck_sites; s < __stop_ck_sites; s++)
		s->ready = s->hits = 0;
	if (c->family && bound > 1)
		bound = 1; /* there are thousands of those */
	ck_explore(c, bound, c->family ? 0 : opt->pct_runs, opt->seconds, r);
	free(r->schedule);
	return r->failed;
}

static bool takes_part(const struct ck_client *c)
{
	return !c->model && !c->fails;
}

static bool wanted(const struct mutant *m)
{
	return !opt->only || strstr(m->key, opt->only);
}

static void say(const struct mutant *m, const char *word, const char *how, const struct ck_client *c, const char *more)
{
	printf("%-4s %s (%s:%u): %s%s%s%.110s\n", word, m->key, ck_base(m->site->file), m->site->line, how,
	       c ? c->name : "", c && *more ? ": " : "", more);
	if (c)
		printf("       %s --client %s --weaken %s@%s:%u:%s\n", opt->self, c->name, m->site->pair,
		       ck_base(m->site->file), m->site->line, half_name(m->half));
}

static void count(unsigned *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Few preemptions are mostly enough, and much faster. */
static bool caught_by(const struct mutant *m, const struct ck_client *c, struct ck_result *r)
{
	return (opt->bound > 1 && fails(c, m, 1, r)) || fails(c, m, opt->bound, r);
}

static void try_mutant(unsigned i)
{
	const struct mutant *m = &mutants[i];
	const struct ck_client *named = m->client ? client_of(m->client) : NULL;
	struct ck_result r;

	if (!wanted(m) || m->reason)
		return;
	if (named && caught_by(m, named, &r)) {
		say(m, "ok", "caught by ", named, r.message);
		count(&shared->caught);
		count(&shared->passed);
		return;
	}
	for (unsigned k = 0; k < ck_nr_clients() && !opt->quick; k++) {
		const struct ck_client *c = ck_client_at(k);

		if (c == named || !takes_part(c) || !fails(c, m, opt->bound, &r))
			continue;
		say(m, "ok", m->client ? "not by the client of the list, but by " : "not in the list: caught by ", c, r.message);
		printf("       line: %s: %s\n", m->key, c->name);
		count(&shared->caught);
		count(&shared->passed);
		return;
	}
	say(m, "FAIL", m->client ? "not caught by " : "no line in the list, and not caught", named, "");
	count(&shared->failed);
}

/* One client against all orders that have a reason. */
static void try_reasons(unsigned k)
{
	const struct ck_client *c = ck_client_at(k);
	bool together, ran[MAX_MUTANTS];
	struct ck_result r;

	if (!takes_part(c))
		return;
	together = fails(c, NULL, opt->bound, &r);
	if (together) /* it stopped at once: who else is on its way? */
		fails(c, &(struct mutant){ .site = __start_ck_sites }, opt->bound, &r);
	for (unsigned i = 0; i < nr_mutants; i++) {
		ran[i] = ck_site_hits(mutants[i].site) != 0;
		shared->run[i] |= ran[i];
	}
	for (unsigned i = 0; together && i < nr_mutants; i++) {
		const struct mutant *m = &mutants[i];

		if (!m->reason || !ran[i] || !wanted(m) || !fails(c, m, opt->bound, &r))
			continue;
		say(m, "FAIL", "has a reason in the list, but is caught by ", c, r.message);
		count(&shared->failed);
	}
}

static const char *mutant_name(unsigned i)
{
	return mutants[i].key;
}

static const char *client_name(unsigned i)
{
	return ck_client_at(i)->name;
}

int ck_matrix(const struct ck_matrix *m)
{
	unsigned planned = 0, kept = 0, never = 0;

	opt = m;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	find_mutants();
	read_list();
	ck_weaken_also(weakened);
	for (unsigned i = 0; i < nr_mutants; i++)
		planned += wanted(&mutants[i]) && !mutants[i].reason;
	shared->failed += ck_in_parallel(try_mutant, nr_mutants, m->jobs, mutant_name);
	if (shared->failed + shared->passed < planned)
		shared->failed = planned - shared->passed;
	if (!m->quick)
		shared->failed += ck_in_parallel(try_reasons, ck_nr_clients(), m->jobs, client_name);
	for (unsigned i = 0; i < nr_mutants; i++) {
		if (!mutants[i].reason || !wanted(&mutants[i]))
			continue;
		kept++;
		if (m->quick)
			continue;
		say(&mutants[i], "kept", "", NULL, mutants[i].reason);
		shared->passed += shared->run[i];
		never += !shared->run[i];
	}
	printf("%u orders: %u caught, %u kept for a reason", nr_mutants, shared->caught, kept);
	if (m->quick)
		printf(", which the long form runs");
	else
		printf(", %u of them run by no client and not counted", never);
	printf("\n%u passed, %u failed\n", shared->passed, shared->failed);
	return shared->failed != 0 || !shared->passed;
}
