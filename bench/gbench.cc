/* SPDX-License-Identifier: MIT */
/* The C++ side of gbench.h: nothing but forwarding. */
#include "gbench.h"

#include <benchmark/benchmark.h>

static benchmark::State &state_of(const struct gbench *g)
{
	return *reinterpret_cast<benchmark::State *>(const_cast<struct gbench *>(g));
}

void gbench_add(const struct gbench_case *c)
{
	const struct gbench_case own = *c;
	auto *b = benchmark::RegisterBenchmark(c->name, [own](benchmark::State &s) {
		own.run(reinterpret_cast<struct gbench *>(&s), own.ctx);
	});

	b->Threads(static_cast<int>(c->threads));
	if (c->iterations > 0)
		b->Iterations(c->iterations);
}

void gbench_context(const char *key, const char *value)
{
	benchmark::AddCustomContext(key, value);
}

int gbench_main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1;
}

bool gbench_next(struct gbench *g, int64_t batch)
{
	return state_of(g).KeepRunningBatch(batch);
}

void gbench_pause(struct gbench *g)
{
	state_of(g).PauseTiming();
}

void gbench_resume(struct gbench *g)
{
	state_of(g).ResumeTiming();
}

void gbench_skip(struct gbench *g, const char *reason)
{
	state_of(g).SkipWithError(reason);
}

void gbench_report(struct gbench *g, const char *name, double value)
{
	state_of(g).counters[name] = benchmark::Counter(value, benchmark::Counter::kAvgThreads);
}

unsigned gbench_thread(const struct gbench *g)
{
	return static_cast<unsigned>(state_of(g).thread_index());
}
