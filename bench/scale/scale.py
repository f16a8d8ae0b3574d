#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs cases on the simulated machine and prints what a pair costs: bench/run --scale. See README.md."""

import argparse
import os
import subprocess
import sys

sys.dont_write_bytecode = True

import cases
import check
import lines


def numbers(text):
    return [int(x) for x in text.split(",")]


def words(text):
    return text.split(",")


def parse():
    p = argparse.ArgumentParser(prog="bench/run --scale", description=__doc__)
    p.add_argument("--program", required=True, help=argparse.SUPPRESS)
    p.add_argument("--peers", type=words, default=["ramka"])
    p.add_argument("--workloads", type=words, default=["repeat", "bulk", "churn:90", "rand", "exit", "purge", "pipe"])
    p.add_argument("--orders", type=numbers, default=[0])
    p.add_argument("--cpus", type=numbers, default=[1, 2, 8, 32, 64])
    p.add_argument("--sockets", type=int, default=1, help="over which the CPUs are spread")
    p.add_argument("--set", action="append", default=[], metavar="NAME:N", help="a constant of the machine")
    p.add_argument("--pairs", type=int, help="that each CPU makes, about")
    p.add_argument("--mib", type=int, help="memory of each CPU")
    p.add_argument("--lines", action="store_true", help="which lines move, for each case")
    p.add_argument("--list", action="store_true", help="peers, workloads, constants")
    p.add_argument("--check", metavar="LIMITS", help="hold the limits of a table instead")
    p.add_argument("--update", action="store_true", help="with --check: write the limits anew")
    return p.parse_args()


def options_of(args):
    options = [f"--set={s}" for s in args.set]
    if args.sockets > 1:
        options.append(f"--set=sockets:{args.sockets}")
    return options + [f"--{k}={v}" for k, v in (("pairs", args.pairs), ("mib", args.mib)) if v]


def figure(value, width, digits):
    return f"{'-':>{width}}" if value is None else f"{value:{width}.{digits}f}"


def print_case(c):
    if c.error:
        print(f"{c.name:44} {c.error}")
        return
    alloc, free = c.a_call("ps", "alloc"), c.a_call("ps", "free")
    moves = c.a_call("moves", "free")
    print(f"{c.name:44} {figure(c.a_pair('ps'), 9, 1)} {figure(c.a_pair('locked'), 7, 3)} "
          f"{figure(c.a_pair('moves'), 7, 3)} | {figure(alloc, 9, 1)} {figure(free, 9, 1)} {figure(moves, 7, 3)}",
          flush=True)


def main():
    args = parse()
    if args.list:
        return subprocess.run([args.program, "--list"], check=False).returncode
    if args.check:
        return check.check(args.program, args.check, args.update)
    todo = [cases.Case(p, w, o, n, options_of(args)) for w in args.workloads for o in args.orders for p in args.peers
            for n in args.cpus if n > 1 or w not in ("pipe", "beside")]
    if args.lines:
        for c in todo:
            c.run(args.program, lines=True)
            print(c.error or "\n".join(lines.report(c, args.program)), flush=True)
        return 0
    print(f"{'':44} {'ns/pair':>9} {'locked':>7} {'moves':>7} | {'ns/alloc':>9} {'ns/free':>9} {'moves':>7}")
    for c in todo:
        print_case(c.run(args.program))
    return 1 if any(c.error for c in todo) else 0


if __name__ == "__main__":
    sys.exit(main())
