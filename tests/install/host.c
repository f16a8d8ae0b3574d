/* SPDX-License-Identifier: MIT */
/* The same through the hosted layer, with each source of grace periods that is named on the command line. */
#include <stdio.h>

#include <ramka/host.h>

static int use(const char *rcu)
{
	struct ramka_host_options opt = { .memory = (uint64_t)64 << 20, .nr_cpus = 2, .rcu = rcu };
	struct ramka_request any = { 0 };
	struct ramka_host *h;
	struct ramka_frame *f;

	if (ramka_host_create(&opt, &h))
		return 1;
	f = ramka_frame_alloc(ramka_host_cpu(h), &ramka_type_untyped, NULL, any);
	if (!f)
		return 2;
	ramka_host_rcu_read_lock(h);
	ramka_host_rcu_read_unlock(h);
	if (ramka_frame_put_rcu(ramka_host_cpu(h), f) < 0)
		return 3;
	ramka_reclaim(ramka_host_cpu(h), true);
	ramka_host_destroy(h);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int error = use(argv[i]);

		if (error) {
			printf("%s: step %d failed\n", argv[i], error);
			return 1;
		}
	}
	return 0;
}
