#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the rows of plan.py with the benchmark program and reports them; bench/run builds the program and calls this.

Every number comes from a process of its own, so that no allocator finds what another has left. The competitors of a row
take turns: each round runs all of them once, in random order, so that what disturbs the machine disturbs all alike.
A row shows the median of its rounds.
"""

import argparse
import datetime
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time

import plan
import plot

# Room for the thread-local data of a jemalloc that is loaded late; see bench.c.
ENVIRONMENT = dict(os.environ, GLIBC_TUNABLES="glibc.rtld.optional_static_tls=16384")


def say(text=""):
    print(text, flush=True)


def progress(text):
    """A line that the next one overwrites on a terminal, an ordinary one elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    elif text:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Broken(Exception):
    """A run that ended badly: the peer lost a frame, crashed, or could not be asked."""


class NotFinished(Exception):
    pass


def read_peers(program):
    """name -> (flags, version, description, why it is missing or '')"""
    out = subprocess.run([program, "--peers"], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True).stdout
    peers = {}
    for line in out.splitlines():
        name, flags, version, what, why = line.split("\t")
        peers[name] = {"flags": int(flags), "version": version, "what": what, "missing": why}
    return peers


def read_cases(program, threads):
    """(case, peer, threads) -> why it cannot be, or ''; and case -> description"""
    out = subprocess.run([program, "--cases", "--threads=" + ",".join(map(str, sorted(threads)))], env=ENVIRONMENT,
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    cases, what = {}, {}
    for line in out.splitlines():
        case, peer, count, why, text = line.split("\t")
        cases[case, peer, int(count)] = why
        what[case] = text
    return cases, what


FIRST_PAIRS = 65536
SLOW = 2.5  # seconds; who needs longer for a run, set-up included, is run once


def run_once(program, row, peer, iterations):
    """One process; the benchmark entry of Google Benchmark's report."""
    name = f"{row.case}/{peer}(/iterations:[0-9]+)?/threads:{row.threads}"  # nothing in it means more to a regex
    command = [program, f"--benchmark_filter=^{name}$", "--benchmark_format=json", f"--threads={row.threads}",
               f"--iterations={iterations}"]
    try:
        done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=plan.timeout_of(row))
    except subprocess.TimeoutExpired:
        raise NotFinished() from None
    if done.returncode:
        wrong = [line for line in done.stderr.splitlines() if line.startswith("bench: ")]
        raise Broken(wrong[-1] if wrong else f"ended with status {done.returncode}")
    entry = json.loads(done.stdout)["benchmarks"][0]
    if entry.get("error_occurred"):
        raise Broken(entry["error_message"])
    return entry


class Result:
    """A competitor of a row: its samples, or why there are none."""

    def __init__(self):
        self.entries = []
        self.iterations = 0  # of each thread, once known
        self.slow = False
        self.skipped = ""
        self.broken = ""

    def wants_more(self, rounds):
        return not self.skipped and not self.broken and len(self.entries) < (1 if self.slow else rounds)

    def values(self, key, scale=1.0):
        return [e[key] * scale for e in self.entries if key in e]

    def median(self, key, scale=1.0):
        values = self.values(key, scale)
        return statistics.median(values) if values else None


class Measurement:
    def __init__(self, row, what):
        self.row, self.what = row, what
        self.figure = plan.figure_of(row)
        self.results = {peer: Result() for peer in row.peers}

    def number(self, peer, extra=None):
        if peer not in self.results:
            return None
        if extra:
            return self.results[peer].median(extra)
        return self.results[peer].median(self.figure.key, self.figure.scale)

    def one_run(self, program, peer, iterations):
        """The entry and how long the process took; None if there is none, which is then noted."""
        result = self.results[peer]
        began = time.monotonic()
        try:
            entry = run_once(program, self.row, peer, iterations)
        except NotFinished:
            result.skipped = f"did not finish within {plan.timeout_of(self.row)} s"
            return None, 0.0
        except Broken as error:
            # what a peer's lists hold back is its way to work; ramka promises that this does not happen
            if "has no memory" in str(error) and not peer.startswith("ramka"):
                result.skipped = "ran out of memory while enough was free"
            else:
                result.broken = str(error)
            return None, 0.0
        return entry, time.monotonic() - began

    def first_run(self, program, peer, seconds):
        """Finds out how many iterations last as long as wanted. If these did, they are the first sample."""
        row, result = self.row, self.results[peer]
        entry, took = self.one_run(program, peer, max(1, (row.pairs or FIRST_PAIRS) // row.threads))
        if not entry:
            return
        result.slow = took > SLOW
        lasted = entry["real_time"] * entry["iterations"] * 1e-9
        result.iterations = entry["iterations"] // row.threads
        if row.pairs or lasted > seconds / 2:
            result.entries.append(entry)
        else:
            result.iterations = int(seconds * 1e9 / max(entry["real_time"], 0.1) / row.threads)

    def run(self, program, rounds, seconds, rng, tell):
        for number in range(rounds + 1):
            peers = [p for p, r in self.results.items() if r.wants_more(rounds)]
            rng.shuffle(peers)
            for peer in peers:
                tell(f"{self.row.name}, round {number + 1}: {peer}")
                if number == 0:
                    self.first_run(program, peer, seconds)
                    continue
                entry, _ = self.one_run(program, peer, self.results[peer].iterations)
                if entry:
                    self.results[peer].entries.append(entry)


# ---- report ----

def write(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def print_row(m):
    figure, row = m.figure, m.row
    threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    say(f"\n{row.workload}, order {row.order}, {threads}: {m.what} ({figure.unit})")
    base_name = "ramka" if m.number("ramka") else "ramka-shared" if m.number("ramka-shared") else None
    base = m.number(base_name) if base_name and not figure.larger_is_better else None
    heads = ["median", "least", "most"] + ([f"x {base_name}"] if base else []) + list(figure.extras)
    say("  " + "peer".ljust(14) + "".join(h.rjust(16 if h.startswith("x ") else 11) for h in heads))
    for peer, result in m.results.items():
        if result.broken:
            say(f"  {peer:<14}  FAILED: {result.broken}")
            continue
        if not result.entries:
            say(f"  {peer:<14}  skipped: {result.skipped}")
            continue
        values = result.values(figure.key, figure.scale)
        line = "".join(write(v).rjust(11) for v in (statistics.median(values), min(values), max(values)))
        if base:
            line += f"{statistics.median(values) / base:.2f}".rjust(16)
        line += "".join(write(result.median(e)).rjust(11) for e in figure.extras)
        note = f"  then {result.skipped}" if result.skipped else "  one run" if result.slow and len(values) == 1 else ""
        say(f"  {peer:<14}{line}{note}")


def goals_of(m):
    """What is to be reached in this row: (text, reached)"""
    for goal in plan.GOALS:
        if (goal.case, goal.threads) != (m.row.case, m.row.threads):
            continue
        value = m.number(goal.peer, goal.extra)
        base = m.number(goal.base) if goal.base else 0.0
        if value is None or base is None:
            continue
        bound = goal.bound + goal.times * base
        larger = m.figure.larger_is_better
        what = f"{goal.peer} {goal.extra}" if goal.extra else goal.peer
        text = f"{what} {'at least' if larger else 'at most'} {write(bound)}"
        if goal.base:
            text += f" ({goal.times} x {goal.base}" + (f" + {goal.bound})" if goal.bound else ")")
        reached = value >= bound if larger else value <= bound
        yield f"{text}: {write(value)}", reached


def print_goals(m):
    for text, reached in goals_of(m):
        say(f"  goal: {text}, {'reached' if reached else 'not reached'}")


def print_ahead(m):
    figures = {peer: m.number(peer) for peer in m.results}
    for ours, mine, peer, its, why in plan.ahead(m.row.name, figures, m.figure.larger_is_better):
        say(f"  ahead: {peer} {write(its)}, {ours} {write(mine)}: {why or 'nobody has said why (bench/plan.py, REASONS)'}")


def machine():
    info = {"host": platform.node(), "kernel": platform.release(), "architecture": platform.machine(),
            "cpus": plan.CPUS, "processor": "", "memory_gib": 0, "hugepages": ""}
    try:
        with open("/proc/cpuinfo") as f:
            info["processor"] = next((l.split(":", 1)[1].strip() for l in f if l.startswith("model name")), "")
        with open("/proc/meminfo") as f:
            info["memory_gib"] = round(int(f.readline().split()[1]) / 2**20)
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as f:
            info["hugepages"] = re.search(r"\[(.*?)\]", f.read()).group(1)
    except OSError:
        pass
    return info


def report(args, peers, measurements, seconds_taken):
    rows = []
    for m in measurements:
        competitors = {}
        for peer, r in m.results.items():
            competitors[peer] = {
                "median": r.median(m.figure.key, m.figure.scale),
                "samples": r.values(m.figure.key, m.figure.scale),
                "wall_ns": r.values("real_time"),
                "iterations": r.iterations,
                **{e: r.median(e) for e in m.figure.extras if r.values(e)},
                **({"skipped": r.skipped} if r.skipped else {}),
                **({"failed": r.broken} if r.broken else {}),
            }
        rows.append({"name": m.row.name, "workload": m.row.workload, "order": m.row.order, "threads": m.row.threads,
                     "what": m.what, "unit": m.figure.unit, "larger_is_better": m.figure.larger_is_better,
                     "peers": competitors,
                     "goals": [{"text": t, "reached": r} for t, r in goals_of(m)]})
    return {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "command": args.command,
            "machine": machine(), "build": args.build_info, "seconds": round(seconds_taken, 1), "peers": peers,
            "rows": rows}


def short(value):
    """Numbers to four digits: no more are true."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    return [short(v) for v in value] if isinstance(value, list) else value


def one_row_a_line(result):
    """JSON in which each row of the table, and of the peers, is a line."""
    parts = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in result.items() if k not in ("peers", "rows")]
    peers = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in result["peers"].items())
    rows = ",\n".join(" " + json.dumps(short(r)) for r in result["rows"])
    return "{" + ",\n".join(parts) + ',\n"peers": {\n' + peers + '\n},\n"rows": [\n' + rows + "\n]}\n"


# ---- what to run ----

def selected_rows(args):
    rows = plan.PLAN
    if args.quick:
        rows = [r for r in rows if r.quick]
    elif not args.full and not args.filter:
        rows = [r for r in rows if r.case in plan.SHOWN]
    if args.full:
        everybody = plan.EVERYBODY.split()
        rows = [plan.Row(r.case, r.threads, " ".join(r.peers + [p for p in everybody if p not in r.peers]),
                         max(7, r.rounds) if r.rounds > 1 else 1, r.pairs) for r in rows]
    if args.threads:
        wanted, seen = [], set()
        for row in rows:
            for threads in args.threads:
                copy = plan.Row(row.case, threads, " ".join(row.peers), row.rounds, row.pairs, row.quick)
                if copy.name not in seen:
                    seen.add(copy.name)
                    wanted.append(copy)
        rows = wanted
    if args.filter:
        rows = [r for r in rows if re.search(args.filter, r.name)]
    return rows


def prepare(args, peers):
    """The measurements to make, each with those marked that the plan names but that cannot take part."""
    rows = selected_rows(args)
    if not rows:
        return []
    cases, what = read_cases(args.program, {r.threads for r in rows})
    measurements = []
    for row in rows:
        m = Measurement(row, what.get(row.case, ""))
        for peer, result in m.results.items():
            result.skipped = peers[peer]["missing"] or cases.get((row.case, peer, row.threads), "no such case") \
                if peer in peers else "no such peer"
        if args.full:  # where nobody was named, do not list all those who do not fit
            m.results = {p: r for p, r in m.results.items() if not r.skipped or peers[p]["missing"]}
        if any(not r.skipped for r in m.results.values()):
            measurements.append(m)
        else:
            say(f"{row.name} skipped: " + "; ".join(sorted({r.skipped for r in m.results.values()})))
    return measurements


def print_head(args, peers):
    m = machine()
    say(f"machine   {m['processor']}, {m['cpus']} CPUs, {m['memory_gib']} GiB, Linux {m['kernel']}, "
        f"huge pages: {m['hugepages']}")
    say(f"build     {args.build_info}")
    others = [f"{n} {p['version'].split('-')[0]}" for n, p in peers.items()
              if p["version"] and not p["missing"] and p["version"] != peers["ramka"]["version"]]
    say("peers     " + ", ".join(others))
    for name, p in peers.items():
        if p["missing"]:
            say(f"          {name} skipped: {p['missing']}")
    say(f"command   {args.command}")


def pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from None


def thread_list(text):
    if not re.fullmatch(r"[1-9][0-9]*(,[1-9][0-9]*)*", text):
        raise argparse.ArgumentTypeError(f"not a list of numbers: {text}")
    return [int(n) for n in text.split(",")]


def options():
    """What bench/run passes on; its --help is the one for readers."""
    return argparse.ArgumentParser(prog="bench/run", usage="see bench/run --help", add_help=False, allow_abbrev=False)


def parse():
    parser = options()
    parser.add_argument("--program", required=True)
    parser.add_argument("--out", required=True, help="folder for the JSON and the plot")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--filter", type=pattern)
    parser.add_argument("--threads", type=thread_list)
    parser.add_argument("--command", default=" ".join(sys.argv))
    parser.add_argument("--build-info", default="")
    return parser.parse_args()


def main():
    args = parse()
    began = time.monotonic()
    peers = read_peers(args.program)
    print_head(args, peers)
    measurements = prepare(args, peers)
    if not measurements:
        say(f"bench/run: no row matches; the rows are\n  " + "\n  ".join(r.name for r in plan.PLAN))
        return 2

    rng = random.Random()
    seconds = plan.QUICK_SECONDS if args.quick else plan.FULL_SECONDS if args.full else plan.SECONDS
    for number, measurement in enumerate(measurements):
        rounds = min(3, measurement.row.rounds) if args.quick else measurement.row.rounds
        head = f"[{number + 1}/{len(measurements)}, {time.monotonic() - began:.0f} s] "
        if not sys.stderr.isatty():
            progress(head + measurement.row.name)
        measurement.run(args.program, rounds, seconds, rng,
                        (lambda text, head=head: progress(head + text)) if sys.stderr.isatty() else lambda text: None)
        progress("")
        print_row(measurement)
        print_goals(measurement)
        print_ahead(measurement)

    result = report(args, peers, measurements, time.monotonic() - began)
    os.makedirs(args.out, exist_ok=True)
    json_path = os.path.join(args.out, "results.json")
    with open(json_path, "w") as f:
        f.write(one_row_a_line(result))
    say("\nTimes are CPU time of all threads together, real calls through one table of functions. floor, ramka, buddy,"
        "\ndpdk and the ck pools keep and check a slot per frame; the mallocs keep none, and write into the blocks.")
    say(f"\ntook {result['seconds']:.0f} s\nJSON   {json_path}")
    for path in plot.draw(args.out) or ["(none: python3-matplotlib is not installed)"]:
        say(f"plot   {path}")
    failed = [(x.row.name, p, r.broken) for x in measurements for p, r in x.results.items() if r.broken]
    for name, peer, why in failed:
        say(f"FAILED {name} {peer}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
