/* SPDX-License-Identifier: MIT */
/*
 * A console of lines: %s %c %d %u %x %p %%, with #, l, ll or z and a width, padded with zeroes or blanks.
 * One CPU prints at a time; interrupts are off meanwhile, so that a handler on the same CPU cannot wait for
 * itself.
 */
#include "kernel.h"

static atomic_flag console = ATOMIC_FLAG_INIT;

/* Where characters go: the console, or a buffer, which `n` counts on beyond its end. */
struct sink {
	char *buffer;
	size_t size, n;
};

static void put(struct sink *out, char c)
{
	if (!out->buffer)
		arch_putc(c);
	else if (out->n < out->size)
		out->buffer[out->n] = c;
	out->n++;
}

static void put_string(struct sink *out, const char *s)
{
	for (; *s; s++)
		put(out, *s);
}

static void put_number(struct sink *out, uint64_t value, bool negative, unsigned base, unsigned width,
		       char pad)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[n++] = '-';
	for (; width > n; width--)
		put(out, pad);
	while (n)
		put(out, digits[--n]);
}

static void put_args(struct sink *out, const char *p, va_list args)
{
	for (; *p; p++) {
		unsigned width = 0, longs = 0;
		char pad = ' ';

		if (*p != '%') {
			put(out, *p);
			continue;
		}
		if (*++p == '#') {
			put_string(out, "0x");
			p++;
		}
		if (*p == '0')
			pad = '0';
		for (; *p >= '0' && *p <= '9'; p++)
			width = width * 10 + (unsigned)(*p - '0');
		for (; *p == 'l' || *p == 'z'; p++)
			longs++;
		switch (*p) {
		case 's':
			put_string(out, va_arg(args, const char *));
			break;
		case 'c':
			put(out, (char)va_arg(args, int));
			break;
		case 'p':
			put_string(out, "0x");
			put_number(out, (uintptr_t)va_arg(args, void *), false, 16, 16, '0');
			break;
		case 'd': {
			int64_t v = longs ? va_arg(args, int64_t) : va_arg(args, int);

			put_number(out, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 10, width, pad);
			break;
		}
		case 'u':
		case 'x':
			put_number(out, longs ? va_arg(args, uint64_t) : va_arg(args, unsigned), false,
				   *p == 'x' ? 16 : 10, width, pad);
			break;
		default:
			put(out, *p);
		}
	}
}

void print(const char *format, ...)
{
	struct sink out = { .buffer = NULL };
	bool irq = irq_save();
	va_list args;

	while (atomic_flag_test_and_set(&console))
		relax();
	va_start(args, format);
	put_args(&out, format, args);
	va_end(args);
	atomic_flag_clear(&console);
	irq_restore(irq);
}

int snprintf(char *s, size_t n, const char *format, ...)
{
	struct sink out = { .buffer = s, .size = n ? n - 1 : 0 };
	va_list args;

	va_start(args, format);
	put_args(&out, format, args);
	va_end(args);
	if (n)
		s[out.n < n ? out.n : n - 1] = '\0';
	return (int)out.n;
}

/* Says what is wrong and powers off with the status of a failure. Whoever holds the console is waited for a
 * while only: it may be this CPU, below us. */
void fail_args(const char *format, va_list args)
{
	struct sink out = { .buffer = NULL };

	irq_disable();
	for (unsigned i = 0; i < 10000000 && atomic_flag_test_and_set(&console); i++)
		relax();
	put_string(&out, "\nFAIL on CPU ");
	put_number(&out, nr_cpus ? this_cpu()->id : 0, false, 10, 0, ' ');
	put_string(&out, ": ");
	put_args(&out, format, args);
	arch_putc('\n');
	arch_exit(false);
}

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_args(format, args);
}
