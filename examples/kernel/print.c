/* SPDX-License-Identifier: MIT */
/*
 * A console of lines: %s %c %d %u %x %p %%, with #, l, ll or z and a width, padded with zeroes or blanks. One CPU
 * prints at a time; interrupts are off meanwhile, so that a handler on the same CPU cannot wait for itself.
 */
#include "kernel.h"

static atomic_flag console = ATOMIC_FLAG_INIT;

static void put_string(const char *s)
{
	for (; *s; s++)
		arch_putc(*s);
}

static void put_number(uint64_t value, bool negative, unsigned base, unsigned width, char pad)
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
		arch_putc(pad);
	while (n)
		arch_putc(digits[--n]);
}

static void print_args(const char *p, va_list args)
{
	for (; *p; p++) {
		unsigned width = 0, longs = 0;
		char pad = ' ';

		if (*p != '%') {
			arch_putc(*p);
			continue;
		}
		if (*++p == '#') {
			put_string("0x");
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
			put_string(va_arg(args, const char *));
			break;
		case 'c':
			arch_putc((char)va_arg(args, int));
			break;
		case 'p':
			put_string("0x");
			put_number((uintptr_t)va_arg(args, void *), false, 16, 16, '0');
			break;
		case 'd': {
			int64_t v = longs ? va_arg(args, long long) : va_arg(args, int);

			put_number(v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 10, width, pad);
			break;
		}
		case 'u':
		case 'x':
			put_number(longs ? va_arg(args, unsigned long long) : va_arg(args, unsigned), false,
				   *p == 'x' ? 16 : 10, width, pad);
			break;
		default:
			arch_putc(*p);
		}
	}
}

void print(const char *format, ...)
{
	bool irq = irq_save();
	va_list args;

	while (atomic_flag_test_and_set(&console))
		relax();
	va_start(args, format);
	print_args(format, args);
	va_end(args);
	atomic_flag_clear(&console);
	irq_restore(irq);
}

/* Says what is wrong and powers off with the status of a failure. Whoever holds the console is waited for a
 * while only: it may be this CPU, below us. */
void fail_args(const char *format, va_list args)
{
	irq_disable();
	for (unsigned i = 0; i < 10000000 && atomic_flag_test_and_set(&console); i++)
		relax();
	put_string("\nFAIL on CPU ");
	put_number(nr_cpus ? this_cpu()->id : 0, false, 10, 0, ' ');
	put_string(": ");
	print_args(format, args);
	arch_putc('\n');
	arch_exit(false);
}

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_args(format, args);
}
