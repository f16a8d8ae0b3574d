# SPDX-License-Identifier: MIT
"""Runs cases: one process of the program each, several at a time."""

import concurrent.futures
import os
import subprocess

FIELDS = ("ps", "calls", "accesses", "locked", "moves", "own", "waited", "barriers")

# What the program knows, so that arguments can be looked at before it is built; check.py compares.
PEERS = ["floor", "floor-shared", "ramka", "ramka-shared", "ramka-deferred", "ramka-address", "ramka-none", "buddy",
         "buddy-owner", "treiber"]
WORKLOADS = ["repeat", "bulk", "churn:50", "churn:90", "rand", "exit", "purge", "pipe", "beside"]
CONSTANTS = ["access", "locked", "l2", "l3", "memory", "move", "far", "window", "stores", "pause", "barrier", "interrupt",
             "sockets"]


def names(program):
    """The same as the program lists them."""
    out = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    return [[r[1] for r in rows if r[0] == kind] for kind in ("peer", "workload", "constant")]


class Case:
    """Which peer, workload and order, on how many CPUs; the other options of the program as they are."""

    def __init__(self, peer, workload, order, cpus, options=()):
        self.peer, self.workload, self.order, self.cpus = peer, workload, int(order), int(cpus)
        self.options = list(options)
        self.error = None
        self.sections = {}  # name -> {field: number}
        self.moves = []     # rows of --lines
        self.locked = []    # [operations, code address] of --lines

    @property
    def name(self):
        return f"{self.peer}/{self.workload}/order:{self.order}/cpus:{self.cpus}"

    def run(self, program, lines=False, timeout=600):
        command = [program, f"--peer={self.peer}", f"--workload={self.workload}", f"--order={self.order}",
                   f"--cpus={self.cpus}"] + self.options + (["--lines"] if lines else [])
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            self.error = f"not finished after {timeout} s"
            return self
        if done.returncode:
            self.error = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
            return self
        for row in done.stdout.splitlines():
            parts = row.split("\t")
            if parts[0] == "line":
                self.moves.append(parts[1:])
            elif parts[0] == "locked":
                self.locked.append((int(parts[1]), int(parts[2], 16)))
            else:
                self.sections[parts[0]] = dict(zip(FIELDS, map(int, parts[1:])))
        return self

    def a_call(self, field, section):
        """A figure for each call of a section; time in ns."""
        s = self.sections.get(section)
        if not s:
            return None
        return s[field] / s["calls"] / (1000 if field in ("ps", "waited") else 1)

    def a_pair(self, field):
        """The same for an alloc and a free together."""
        if "pair" in self.sections:
            return self.a_call(field, "pair")
        if "alloc" not in self.sections or "free" not in self.sections:
            return None
        return self.a_call(field, "alloc") + self.a_call(field, "free")


def run_in_order(program, cases, timeout=600, jobs=None):
    """Gives the cases in their order, each as soon as it and those before it have run."""
    pool = concurrent.futures.ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0)))
    try:
        for f in [pool.submit(c.run, program, False, timeout) for c in cases]:
            yield f.result()
    finally:
        pool.shutdown(cancel_futures=True)
