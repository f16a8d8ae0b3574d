/* SPDX-License-Identifier: MIT */
/* What a build with -Dhardened=true does: set-up is compiled in here with its macro, and takes the place of the library's. */
#undef RAMKA_HARDENED
#define RAMKA_HARDENED
#include "../../lib/setup/init.c"

#include "unit/fixture.h"

#define FRAMES 2048u

/* No flag is asked for. */
static void instances_are_hardened(void **state)
{
	struct fixture *f = fixture_open((struct spec){ .nr_cpus = 1, .flags = RAMKA_REF_SATURATE });
	struct ramka_frame *frames[FRAMES];
	unsigned ascending = 0;

	(void)state;
	assert_int_equal(f->r->flags, RAMKA_REF_SATURATE | RAMKA_HARDENING);
	assert_int_equal(alloc_all(f->cpu[0], UNINIT, frames, FRAMES), FRAMES);
	for (unsigned i = 1; i < FRAMES; i++)
		ascending += frames[i] == frames[i - 1] + 1;
	assert_true(ascending < FRAMES / 8);
	put_all(f->cpu[0], frames, FRAMES);
	CLOSE(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instances_are_hardened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
