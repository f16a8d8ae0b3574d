/* SPDX-License-Identifier: MIT */
/*
 * The command lines of the C programs that test and measure: each has a table of its options, read here. "--name value" and
 * "--name=value" are the same. What is unknown, has no value, is no number or is out of its range is said at once, and
 * the program ends with status 2. "--help" prints the table.
 */
#ifndef TESTS_OPTIONS_H
#define TESTS_OPTIONS_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct option {
	const char *name;            /* "--seed"; the last of a table has none */
	const char *value;           /* what the usage calls its value; NULL: it has none */
	bool *flag;                  /* one of these */
	unsigned *small;
	uint64_t *number;
	double *real;
	const char **text;
	void (*call)(const char *value);
	uint64_t least, most;        /* of a number; most 0: no limit */
};

#define OPTION_FLAG(option, to)             { .name = option, .flag = to }
#define OPTION_SMALL(option, what, to, from, upto) \
	{ .name = option, .value = what, .small = to, .least = from, .most = upto }
#define OPTION_NUMBER(option, what, to)     { .name = option, .value = what, .number = to }
#define OPTION_REAL(option, what, to)       { .name = option, .value = what, .real = to }
#define OPTION_TEXT(option, what, to)       { .name = option, .value = what, .text = to }
#define OPTION_CALL(option, what, function) { .name = option, .value = what, .call = function }

static inline void options_usage(FILE *f, const char *program, const struct option *table)
{
	int column = fprintf(f, "usage: %s", program), indent = column;

	for (; table->name; table++) {
		char word[80];

		snprintf(word, sizeof(word), " [%s%s%s]", table->name, table->value ? " " : "", table->value ? table->value : "");
		if (column + (int)strlen(word) > 110)
			column = fprintf(f, "\n%*s", indent, "") - 1;
		column += fprintf(f, "%s", word);
	}
	fputc('\n', f);
}

static inline void options_number(const char *program, const struct option *o, const char *value)
{
	uint64_t most = o->most ? o->most : o->small ? UINT_MAX : UINT64_MAX;
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(value, &end, 0);
	if (*value < '0' || *value > '9' || *end || errno) { /* strtoull takes blanks and a minus */
		fprintf(stderr, "%s: %s: \"%s\" is no number\n", program, o->name, value);
		exit(2);
	}
	if (n < o->least || n > most) {
		fprintf(stderr, "%s: %s: %s is not in %llu..%llu\n", program, o->name, value, (unsigned long long)o->least,
			(unsigned long long)most);
		exit(2);
	}
	if (o->small)
		*o->small = (unsigned)n;
	else
		*o->number = n;
}

static inline void options_real(const char *program, const struct option *o, const char *value)
{
	char *end;
	double n = strtod(value, &end);

	if (((*value < '0' || *value > '9') && *value != '.') || *end || !(n <= 1e9)) {
		fprintf(stderr, "%s: %s: \"%s\" is no number\n", program, o->name, value);
		exit(2);
	}
	*o->real = n;
}

static inline void options_set(const char *program, const struct option *o, const char *value)
{
	if (o->flag)
		*o->flag = true;
	else if (o->small || o->number)
		options_number(program, o, value);
	else if (o->real)
		options_real(program, o, value);
	else if (o->text)
		*o->text = value;
	else
		o->call(value);
}

/*
 * Reads the arguments. `rest`: where arguments go that no option has, argv[0] first and NULL last, with their number as the
 * result; NULL: there must be none.
 */
static inline int options_read(const char *program, const struct option *table, int argc, char **argv, char **rest)
{
	int n = 1;

	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '='), *value = equals ? equals + 1 : NULL;
		size_t length = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
		const struct option *o = table;

		while (o->name && (strlen(o->name) != length || memcmp(o->name, argv[i], length) != 0))
			o++;
		if (!o->name && !strcmp(argv[i], "--help") && !rest) {
			options_usage(stdout, program, table);
			exit(0);
		}
		if (!o->name && rest) {
			rest[n++] = argv[i];
			continue;
		}
		if (!o->name || (!o->value && value)) {
			fprintf(stderr, "%s: %s \"%s\"\n", program, o->name ? "this option has no value:" : "unknown option", argv[i]);
			options_usage(stderr, program, table);
			exit(2);
		}
		if (o->value && !value)
			value = argv[++i]; /* argv ends with NULL */
		if (o->value && !value) {
			fprintf(stderr, "%s: %s needs a value: %s\n", program, o->name, o->value);
			exit(2);
		}
		options_set(program, o, value);
	}
	if (rest)
		rest[n] = NULL;
	return n;
}

#endif
