/* SPDX-License-Identifier: MIT */
/* The command line of the stress program; stress/run builds it and passes most options on. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../tests/options.h"
#include "harness.h"
#include "points_control.h"
#include "watch.h"

static const struct scenario *const scenarios[] = {
	&churn, &huge,	 &pipe_, &refs,	   &segments, &lists, &tables,	&defer, &stall, &flood,
	&bags,	&endless, &oom, &brim, &hotplug, &removal, &broken, &low, &claimers, &drain, &nested, &bulk,	&threads, &mix,
	&waits,
};
#define NR_SCENARIOS (sizeof(scenarios) / sizeof(*scenarios))

static const struct scenario *chosen[NR_SCENARIOS];
static size_t nr_chosen;

static void choose(const char *name)
{
	for (size_t i = 0; i < NR_SCENARIOS; i++) {
		if (strcmp(scenarios[i]->name, name))
			continue;
		if (nr_chosen == NR_SCENARIOS) {
			fprintf(stderr, "stress: at most %zu scenarios\n", NR_SCENARIOS);
			exit(2);
		}
		chosen[nr_chosen++] = scenarios[i];
		return;
	}
	fprintf(stderr, "stress: no scenario \"%s\"; see --list\n", name);
	exit(2);
}

static int list_scenarios(void)
{
	for (size_t j = 0; j < NR_SCENARIOS; j++)
		printf("%-9s %s\n", scenarios[j]->name, scenarios[j]->about);
	return 0;
}

int main(int argc, char **argv)
{
	struct options opt = { .workers = 16, .seconds = 5, .hang = 180, .seed = 1 };
	bool park = false, list = false, no_delays = false;
	unsigned one_in = 1;
	const struct option table[] = {
		OPTION_CALL("--scenario", "NAME", choose),
		OPTION_SMALL("--threads", "N", &opt.workers, 1, MAX_WORKERS),
		OPTION_SMALL("--seconds", "S", &opt.seconds, 1, 1000000),
		OPTION_SMALL("--round", "S", &opt.round_seconds, 1, 1000000),
		OPTION_NUMBER("--ops", "N", &opt.ops),
		OPTION_NUMBER("--seed", "X", &opt.seed),
		OPTION_NUMBER("--frames", "N", &opt.frames),
		OPTION_SMALL("--memory-shift", "N", &opt.memory_shift, 0, 20),
		OPTION_SMALL("--hang", "S", &opt.hang, 1, 1000000),
		OPTION_NUMBER("--signals", "N", &opt.signals),
		OPTION_FLAG("--no-delays", &no_delays),
		OPTION_TEXT("--points", "TEXT", &opt.points),
		OPTION_FLAG("--early-reap", &opt.early_reap),
		OPTION_TEXT("--map", "FILE", &opt.map),
		OPTION_FLAG("--soak", &opt.soak),
		OPTION_FLAG("--quiet", &opt.quiet),
		OPTION_FLAG("--list", &list),
		OPTION_FLAG("--park", &park),
		OPTION_SMALL("--one-in", "N", &one_in, 1, 1000000),
		{ 0 },
	};

	command_keep(argc, argv);
	options_read("stress", table, argc, argv, NULL);
	if (list)
		return list_scenarios();
	opt.delays = !no_delays && points_nr();
	watch_start(world_look);
	if (park) {
		opt.ops = opt.ops ? opt.ops : 1000;
		run_park(&opt, one_in);
		return 0;
	}
	if (opt.points && !points_choose(opt.points)) {
		fprintf(stderr, "stress: no point has \"%s\" in it\n", opt.points);
		return 2;
	}
	for (size_t i = 0; i < (nr_chosen ? nr_chosen : NR_SCENARIOS); i++)
		run_scenario(nr_chosen ? chosen[i] : scenarios[i], &opt);
	return 0;
}
