#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs cases on the simulated machine and prints what a pair costs: bench/run --scale. See README.md."""

import argparse
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import cases
import check
import lines
import measured

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import plot

ORDERS = [0, 3, 6, 9, 10]
WORKLOADS = ["repeat", "bulk", "churn:90", "rand", "exit", "purge", "pipe", "beside"]
CPUS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
SOME_CPUS = [1, 2, 8, 32, 64]  # for most rows of the plan
MIB, LARGE_MIB = 128, 512
PEERS = ["floor", "ramka", "buddy", "buddy-owner"]
USES = ["ramka", "ramka-shared", "ramka-deferred", "ramka-address"]


MOST_ORDER, MOST_CPUS = 18, 256


def number(low, high=None):
    def parse_number(text):
        if not text.isascii() or not text.isdigit() or int(text) < low or (high and int(text) > high):
            raise argparse.ArgumentTypeError(f'"{text}" is no number from {low}' + (f" to {high}" if high else ""))
        return int(text)
    return parse_number


def numbers(low, high):
    return lambda text: [number(low, high)(x) for x in text.split(",")]


def words(known):
    def parse_words(text):
        unknown = [w for w in text.split(",") if w not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f'there is no "{unknown[0]}"; there are: {", ".join(known)}')
        return text.split(",")
    return parse_words


def constant(text):
    name, colon, value = text.partition(":")
    if not colon or name not in cases.CONSTANTS or not value.isdigit():
        raise argparse.ArgumentTypeError(f'"{text}" is not NAME:N; names are: {", ".join(cases.CONSTANTS)}')
    return text


def parse():
    """Refuses what cannot be run; bench/scale/run asks before it builds."""
    p = argparse.ArgumentParser(prog="bench/run --scale", description=__doc__, epilog=
                                "Without --peers, --workloads, --orders and --cpus: the whole plan, some minutes. Before "
                                "the others: --build DIR, --offline.")
    p.add_argument("--program", help=argparse.SUPPRESS)  # without it: the arguments are looked at, nothing is run
    p.add_argument("--command", default="bench/run --scale", help=argparse.SUPPRESS)
    p.add_argument("--peers", type=words(cases.PEERS))
    p.add_argument("--workloads", type=words(cases.WORKLOADS))
    p.add_argument("--orders", type=numbers(0, MOST_ORDER))
    p.add_argument("--cpus", type=numbers(1, MOST_CPUS))
    p.add_argument("--sockets", type=number(1), default=1, help="over which the CPUs are spread")
    p.add_argument("--set", action="append", type=constant, default=[], metavar="NAME:N", help="a constant of the machine")
    p.add_argument("--pairs", type=number(1), help="that each CPU makes, about")
    p.add_argument("--mib", type=number(1), help="memory of each CPU")
    p.add_argument("--lines", action="store_true", help="which lines move, for each case")
    p.add_argument("--calibrate", action="store_true", help="measure the constants on this machine and use them")
    p.add_argument("--compare", action="store_true", help="simulated beside measured figures for 1 and 2 CPUs only")
    p.add_argument("--out", help="where results.json and the plots go")
    p.add_argument("--list", action="store_true", help="peers, workloads, constants")
    p.add_argument("--check", metavar="LIMITS", help="hold the limits of a table instead")
    p.add_argument("--update", action="store_true", help="with --check: write the limits anew")
    return p.parse_args()


def constants_of(program):
    out = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    rows = [x.split("\t") for x in out.splitlines()]
    return {r[1]: (int(r[2]), r[3]) for r in rows if r[0] == "constant"}


def options_of(args):
    options = []
    if args.calibrate:
        found = measured.calibrate(args.program, constants_of(args.program))
        options = [f"--set={k}:{v}" for k, v in found.items()]
    options += [f"--set={s}" for s in args.set]
    if args.sockets > 1:
        options.append(f"--set=sockets:{args.sockets}")
    return options + [f"--{k}={v}" for k, v in (("pairs", args.pairs), ("mib", args.mib)) if v]


def fits(peer, workload, order, cpus):
    if workload in ("pipe", "beside") and cpus < 2:
        return False
    return workload != "beside" or (order <= 6 and peer != "floor")  # the floor ends where memory does


def memory_for(workload, order):
    """Memory of each CPU: a chunk and more; for larger frames more, so that a CPU has more than a few; a request fails after a
    look at all."""
    return [f"--mib={LARGE_MIB if order or workload == 'beside' else MIB}"]


def product(peers, workloads, orders, cpus, options):
    given = any(o.startswith("--mib=") for o in options)
    return [cases.Case(p, w, o, n, options + ([] if given else memory_for(w, o)))
            for o in orders for w in workloads for p in peers for n in cpus if fits(p, w, o, n)]


def plan(args, options):
    """The cases that the options name, or all: the peers, then the other uses of ramka where they differ."""
    named = args.peers or args.workloads or args.orders or args.cpus
    if named:
        return product(args.peers or ["ramka"], args.workloads or WORKLOADS, args.orders or [0],
                       args.cpus or [1, 2, 8, 32, 64], options)
    o = options + ([] if args.pairs else ["--pairs=2048"])  # each case takes seconds where there are many CPUs
    cases_of = []
    for n in CPUS:
        some = n in SOME_CPUS
        cases_of += product(PEERS, ["bulk", "purge"], [0], [n], o)
        if some:
            cases_of += product(PEERS, [w for w in WORKLOADS if w not in ("bulk", "purge")], [0], [n], o)
            cases_of += product(["ramka"], ["bulk", "rand", "purge", "pipe"], ORDERS[1:], [n], o)
            cases_of += product(["ramka"], ["repeat", "churn:90"], [9, 10], [n], o)
        if n <= 8:  # where they collapse, a case takes minutes
            cases_of += product(["buddy", "buddy-owner"], ["bulk", "rand", "purge", "pipe"], [3, 9], [n], o)
        if n == 256:
            cases_of += product(["ramka"], ["bulk"], ORDERS[1:], [n], o)
        if some:
            cases_of += product(USES[1:], ["repeat", "bulk", "rand", "purge"], [0], [n], o)
        if n <= 32:
            cases_of += product(["treiber"], ["repeat", "bulk"], [0], [n], o)
    order = {w: i for i, w in enumerate(WORKLOADS)}
    return sorted(cases_of, key=lambda c: (c.order, order[c.workload], PEERS.index(c.peer) if c.peer in PEERS else 9,
                                           c.peer, c.cpus))


def figure(value, width, digits):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def print_head():
    print(f"\n{'simulated':44} {'ns/pair':>9} {'locked':>7} {'moves':>7} | {'ns/alloc':>9} {'ns/free':>9} {'moves':>7}")


def print_case(c):
    if c.error:
        print(f"{c.name:44} {c.error}")
        return
    alloc, free = c.a_call("ps", "alloc"), c.a_call("ps", "free")
    moves = c.a_call("moves", "free")
    print(f"{c.name:44} {figure(c.a_pair('ps'), 9, 1)} {figure(c.a_pair('locked'), 7, 3)} "
          f"{figure(c.a_pair('moves'), 7, 3)} | {figure(alloc, 9, 1)} {figure(free, 9, 1)} {figure(moves, 7, 3)}",
          flush=True)


def row_of(c):
    row = {"peer": c.peer, "workload": c.workload, "order": c.order, "cpus": c.cpus}
    if c.error:
        return dict(row, error=c.error)
    for name, field in (("ns", "ps"), ("locked", "locked"), ("moves", "moves")):
        value = c.a_pair(field)
        row[name] = None if value is None else round(value, 4)
    for section in ("alloc", "free"):
        for name, field in (("ns", "ps"), ("locked", "locked"), ("moves", "moves")):
            value = c.a_call(field, section)
            if value is not None:
                row[f"{section}_{name}"] = round(value, 4)
    return row


def write(args, todo, compared, options, seconds):
    """scale.json: a row a line, so that a change of one figure is a change of one line."""
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, "scale.json")
    head = {"command": args.command, "date": time.strftime("%Y-%m-%d %H:%M"), "machine": measured.machine(args.program),
            "options": options, "seconds": round(seconds)}
    rows = [row_of(c) for c in todo]
    both = [{"peer": s.peer, "workload": s.workload, "order": s.order, "cpus": s.cpus,
             "simulated_ns": round(s.a_pair("ps"), 2), "measured_ns": round(m.a_pair("ps"), 2)} for s, m in compared]
    with open(path, "w") as f:
        f.write("{" + json.dumps(head)[1:-1] + ',\n"rows": [\n')
        f.write(",\n".join(json.dumps(r) for r in rows) + '\n],\n"compared": [\n')
        f.write(",\n".join(json.dumps(r) for r in both) + "\n]}\n")
    return path


def show_lines(args, todo):
    for c in todo:
        c.run(args.program, lines=True)
        print(c.error or "\n".join(lines.report(c, args.program)), flush=True)
    return 1 if any(c.error for c in todo) else 0


def run(program, todo):
    """Those that have run: all, or what there was before an interrupt."""
    done = []
    try:
        for c in cases.run_in_order(program, todo):
            print_case(c)
            done.append(c)
    except KeyboardInterrupt:
        print("interrupted")
    return done


def main():
    args = parse()
    began = time.monotonic()
    if not args.program:
        return 0
    if args.list:
        return subprocess.run([args.program, "--list"], check=False).returncode
    if args.check:
        return check.check(args.program, args.check, args.update)
    print(", ".join(f"{k} {v}" for k, v in measured.machine(args.program).items()) + f"; {args.command}", flush=True)
    options = options_of(args)
    todo = [] if args.compare else plan(args, options)
    if args.lines:
        return show_lines(args, todo)
    if todo:
        print_head()
    done = run(args.program, todo)
    compared = []
    if args.compare or (args.out and len(done) == len(todo)):
        compared = measured.compare(args.program, ["ramka", "buddy"], [0, 3], options)
        measured.print_comparison(compared)
    if args.out and done:
        if len(done) < len(todo):
            options.append(f"interrupted after {len(done)} of {len(todo)} rows")
        print(f"\nJSON   {write(args, done, compared, options, time.monotonic() - began)}")
        for path in plot.draw(args.out) or ["(none: python3-matplotlib is not installed)"]:
            print(f"plot   {path}")
    return 1 if len(done) < len(todo) or any(c.error for c in done) else 0


if __name__ == "__main__":
    sys.exit(main())
