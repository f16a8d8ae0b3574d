/* SPDX-License-Identifier: MIT */
/*
 * One case: a peer, a workload, an order, a number of CPUs. Prints a row for each section, separated by tabs, for
 * scale.py:
 *
 *	section  ps  calls  accesses  locked  moves  own-moves  ps-waited  barriers
 *
 * With --lines, after these the rows of lines.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "names.h"
#include "support.h"
#include "workloads.h"

#define GIB (UINT64_C(1) << 30)

static const struct bench_peer *const peers[] = {
	&peer_floor,	      &peer_floor_shared,  &peer_ramka,	 &peer_ramka_shared, &peer_ramka_deferred,
	&peer_ramka_address, &peer_ramka_none, &peer_buddy, &peer_buddy_owner, &peer_treiber,
	NULL,
};

static struct {
	const char *peer, *workload;
	unsigned order, cpus;
	uint64_t mib, pairs; /* a CPU */
	bool lines;
} opt = { .peer = "ramka", .workload = "bulk", .cpus = 1, .mib = 64, .pairs = 8192 };

static void usage(void)
{
	fprintf(stderr, "usage: ramka-scale [OPTION]...\n\n"
			"  --peer=NAME --workload=NAME --order=N --cpus=N   the case [ramka bulk 0 1]\n"
			"  --mib=N        memory of each CPU [64]\n"
			"  --pairs=N      that each CPU makes, about [8192]\n"
			"  --lines        which lines moved\n"
			"  --set=NAME:N   a constant of the machine, in ps where it is a time\n"
			"  --list         peers, workloads, constants\n");
	exit(2);
}

static void list(void)
{
	for (unsigned i = 0; peers[i]; i++)
		printf("peer\t%s\t%u\t%s\n", peers[i]->name, peers[i]->flags, peers[i]->what);
	for (const struct workload *w = workloads; w->name; w++)
		printf("workload\t%s\t%u\t%s\n", w->name, w->min_cpus, w->what);
	for (const struct machine_constant *k = machine_constants; k->name; k++)
		printf("constant\t%s\t%llu\t%s\n", k->name, (unsigned long long)k->value, k->what);
	exit(0);
}

static void set(const char *text)
{
	char name[32];
	const char *colon = strchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(name))
		usage();
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = 0;
	if (!machine_set(name, strtoull(colon + 1, NULL, 10)))
		bench_die("no constant '%s'", name);
}

/* The value of option `name`, or NULL. */
static const char *value(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return strncmp(arg, name, n) || arg[n] != '=' ? NULL : arg + n + 1;
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *v;

		if ((v = value(argv[i], "--peer")))
			opt.peer = v;
		else if ((v = value(argv[i], "--workload")))
			opt.workload = v;
		else if ((v = value(argv[i], "--order")))
			opt.order = (unsigned)atoi(v);
		else if ((v = value(argv[i], "--cpus")))
			opt.cpus = (unsigned)atoi(v);
		else if ((v = value(argv[i], "--mib")))
			opt.mib = strtoull(v, NULL, 10);
		else if ((v = value(argv[i], "--pairs")))
			opt.pairs = strtoull(v, NULL, 10);
		else if ((v = value(argv[i], "--set")))
			set(v);
		else if (!strcmp(argv[i], "--lines"))
			opt.lines = true;
		else if (!strcmp(argv[i], "--list"))
			list();
		else
			usage();
	}
	if (opt.cpus < 1 || opt.cpus > MACHINE_CPUS || opt.order > 18 || !opt.mib || !opt.pairs)
		usage();
}

static const struct bench_peer *find_peer(void)
{
	for (unsigned i = 0; peers[i]; i++)
		if (!strcmp(peers[i]->name, opt.peer))
			return peers[i];
	bench_die("no peer '%s'", opt.peer);
}

static const struct workload *find_workload(void)
{
	for (const struct workload *w = workloads; w->name; w++)
		if (!strcmp(w->name, opt.workload))
			return w;
	bench_die("no workload '%s'", opt.workload);
}

static void open_peer(struct work *w)
{
	struct bench_shape shape = { .memory = opt.mib * opt.cpus << 20, .order = opt.order, .threads = opt.cpus };

	/* as in a machine with 256 GiB, a 64th lies below 4 GiB and is scarce (zone/territory.h) */
	shape.first = 4 * GIB - (shape.memory < 192 * GIB ? shape.memory / 64 : 3 * GIB);

	if (opt.order && !(w->peer->flags & PEER_ORDERS))
		bench_die("%s hands out base frames only", w->peer->name);
	support_own = false;
	w->instance = w->peer->create(&shape);
	if (!w->instance)
		bench_die("%s could not be created", w->peer->name);
	support_own = true;
	w->share = (shape.memory >> 12 >> opt.order) / opt.cpus;
	w->workers = bench_map(opt.cpus * sizeof(*w->workers));
	for (unsigned i = 0; i < opt.cpus; i++) {
		w->workers[i] = (struct worker){ .cpu = w->peer->cpu(w->instance, i), .rng = bench_seed(i) };
		w->workers[i].held = bench_map((w->share + 1) * sizeof(void *));
		w->workers[i].take = bench_map((w->share + 1) * sizeof(void *));
	}
	if (!strncmp(w->peer->name, "ramka", 5))
		names_of_ramka(w->workers[0].cpu);
}

static void print_counters(void)
{
	static const char *const names[SECTIONS] = { "none", "alloc", "free", "pair" };

	for (unsigned s = SECTION_ALLOC; s < SECTIONS; s++) {
		struct counters n;

		machine_read(s, &n);
		if (n.calls)
			printf("%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", names[s],
			       (unsigned long long)n.ps, (unsigned long long)n.calls,
			       (unsigned long long)n.accesses, (unsigned long long)n.locked,
			       (unsigned long long)n.moves, (unsigned long long)n.own,
			       (unsigned long long)n.waited, (unsigned long long)n.barriers);
	}
}

int main(int argc, char **argv)
{
	const struct workload *workload;
	struct work w = { 0 };

	parse(argc, argv);
	workload = find_workload();
	w.peer = find_peer();
	w.order = opt.order;
	w.cpus = opt.cpus;
	w.pairs = opt.pairs;
	w.param = workload->param;
	if (opt.cpus < workload->min_cpus)
		bench_die("%s needs %u CPUs", workload->name, workload->min_cpus);
	if (workload->max_order && opt.order > workload->max_order)
		bench_die("%s is for orders up to %u", workload->name, workload->max_order);
	machine_start(opt.cpus);
	open_peer(&w);
	machine_watch_lines(opt.lines);
	workload->run(&w);
	print_counters();
	if (opt.lines)
		machine_print_lines();
	machine_watch_lines(false);
	work_finish(&w);
	w.peer->destroy(w.instance);
	return 0;
}
