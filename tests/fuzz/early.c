/* SPDX-License-Identifier: MIT */
/*
 * The early allocator: maps, requests, gifts and the take-over by ramka_init, chosen by the fuzzer, against a picture of the
 * memory (tests/model/early.h).
 */
#include <stdio.h>
#include <stdlib.h>

#define EXPECT(condition) ((condition) ? (void)0 : (fprintf(stderr, "FAIL line %d: %s\n", __LINE__, #condition), abort()))
#include "model/early.h"

static const uint8_t *input;
static size_t left;

/* Two bytes a number; zeroes at the end. */
static unsigned draw(unsigned n)
{
	unsigned value = 0;

	for (unsigned i = 0; i < 2 && left; i++, left--)
		value = value << 8 | *input++;
	return n > 65536 ? value * 2 % n : value % n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = data;
	left = size;
	early_run();
	return 0;
}
