/* SPDX-License-Identifier: MIT */
/* The command line of the stress program; stress/run builds it and passes most options on. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "points_control.h"
#include "watch.h"

static const struct scenario *const scenarios[] = {
	&churn, &huge,	 &pipe_, &refs,	   &segments, &lists, &tables,	&defer, &stall, &flood,
	&bags,	&endless, &oom,	 &hotplug, &claimers, &drain, &nested, &bulk,	&threads, &mix,
};
#define NR_SCENARIOS (sizeof(scenarios) / sizeof(*scenarios))

static const char usage[] =
	"usage: stress [--scenario NAME]... [--threads N] [--seconds S] [--round S] "
	"[--ops N] [--seed X] [--frames N]\n"
	"              [--memory-shift N] [--hang S] [--signals N] [--no-delays] [--points TEXT]\n"
	"              [--early-reap] [--soak] [--quiet] [--list]\n"
	"       stress --park [--one-in N] [--points TEXT] [--threads N] [--ops N] [--seed X]\n";

static uint64_t number(const char *option, const char *text)
{
	char *end;
	uint64_t n = text ? strtoull(text, &end, 0) : 0;

	if (!text || end == text || *end) {
		fprintf(stderr, "stress: %s needs a number\n", option);
		exit(2);
	}
	return n;
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; name && i < NR_SCENARIOS; i++)
		if (!strcmp(scenarios[i]->name, name))
			return scenarios[i];
	fprintf(stderr, "stress: no scenario \"%s\"; see --list\n", name ? name : "");
	exit(2);
}

int main(int argc, char **argv)
{
	struct options opt = { .workers = 16, .seconds = 5, .hang = 180, .seed = 1, .delays = true };
	const struct scenario *chosen[NR_SCENARIOS];
	unsigned one_in = 1;
	bool park = false;
	size_t nr = 0;

	command_keep(argc, argv);
	for (int i = 1; i < argc; i++) {
		const char *o = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(o, "--no-delays")) {
			opt.delays = false;
			continue;
		} else if (!strcmp(o, "--quiet")) {
			opt.quiet = true;
			continue;
		} else if (!strcmp(o, "--soak")) {
			opt.soak = true;
			continue;
		} else if (!strcmp(o, "--early-reap")) {
			opt.early_reap = true;
			continue;
		} else if (!strcmp(o, "--park")) {
			park = true;
			continue;
		} else if (!strcmp(o, "--list")) {
			for (size_t j = 0; j < NR_SCENARIOS; j++)
				printf("%-9s %s\n", scenarios[j]->name, scenarios[j]->about);
			return 0;
		}
		i++;
		if (!strcmp(o, "--scenario") && nr < NR_SCENARIOS) {
			chosen[nr++] = find(v);
		} else if (!strcmp(o, "--threads")) {
			opt.workers = (unsigned)number(o, v);
		} else if (!strcmp(o, "--seconds")) {
			opt.seconds = (unsigned)number(o, v);
		} else if (!strcmp(o, "--round")) {
			opt.round_seconds = (unsigned)number(o, v);
		} else if (!strcmp(o, "--ops")) {
			opt.ops = number(o, v);
		} else if (!strcmp(o, "--seed")) {
			opt.seed = number(o, v);
		} else if (!strcmp(o, "--frames")) {
			opt.frames = number(o, v);
		} else if (!strcmp(o, "--one-in")) {
			one_in = (unsigned)number(o, v);
		} else if (!strcmp(o, "--hang")) {
			opt.hang = (unsigned)number(o, v);
		} else if (!strcmp(o, "--signals")) {
			opt.signals = number(o, v);
		} else if (!strcmp(o, "--points") && v) {
			opt.points = v;
		} else if (!strcmp(o, "--memory-shift")) {
			opt.memory_shift = (unsigned)number(o, v);
		} else {
			fputs(usage, stderr);
			return 2;
		}
	}
	opt.delays = opt.delays && points_nr();
	if (!opt.workers || opt.workers > MAX_WORKERS) {
		fprintf(stderr, "stress: 1 to %u threads\n", MAX_WORKERS);
		return 2;
	}
	watch_start(world_look);
	if (park) {
		opt.ops = opt.ops ? opt.ops : 1000;
		run_park(&opt, one_in ? one_in : 1);
		return 0;
	}
	if (opt.points && !points_choose(opt.points)) {
		fprintf(stderr, "stress: no point has \"%s\" in it\n", opt.points);
		return 2;
	}
	for (size_t i = 0; i < (nr ? nr : NR_SCENARIOS); i++)
		run_scenario(nr ? chosen[i] : scenarios[i], &opt);
	return 0;
}
