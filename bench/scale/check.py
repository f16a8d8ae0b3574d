# SPDX-License-Identifier: MIT
"""Holds line moves and locked operations a call below the limits of a table.

A row of the table:  PEER WORKLOAD ORDER CPUS SECTION FIGURE LIMIT [MIB]
SECTION is alloc, free or pair. FIGURE is moves, locked, or waited: the ns that the moves took, which are many where CPUs
queue for one line. MIB is the memory of each CPU, the program's usual 64 if there is none. `#` begins a comment.
"""

import sys

import cases
import lines

PAIRS = "2048"  # a CPU makes; the limits are for so many
SLACK, LEAST = 1.3, 0.05  # what --update leaves above the measured figure

HEADER = """# Most line moves, locked operations and ns waited for moves a call, on the simulated machine: see bench/scale/README.md.
# Written by `tests/scale/run --update`: the figure of the day, and a third more. A change that needs a higher limit says why.
#
# peer          workload  order cpus section figure  limit [MiB of each CPU]
"""


class Limit:
    def __init__(self, row):
        self.row = row
        self.peer, self.workload, order, cpus, self.section, self.figure, limit, *mib = row.split()
        self.mib = int(*mib) if mib else None
        self.order, self.cpus, self.limit = int(order), int(cpus), float(limit)

    @property
    def key(self):
        return self.peer, self.workload, self.order, self.cpus, self.mib

    def write(self):
        return (f"{self.peer:15} {self.workload:9} {self.order:5} {self.cpus:4} {self.section:7} {self.figure:7} "
                f"{self.limit:.2f}" + (f" {self.mib}" if self.mib else ""))


def read(path):
    with open(path) as f:
        return [Limit(x) for x in (line.split("#")[0].strip() for line in f) if x]


def case_of(limit):
    return cases.Case(limit.peer, limit.workload, limit.order, limit.cpus,
                      options=[f"--pairs={PAIRS}"] + ([f"--mib={limit.mib}"] if limit.mib else []))


def measure(program, limits):
    todo = {}
    for limit in limits:
        todo.setdefault(limit.key, case_of(limit))
    for _ in cases.run_in_order(program, list(todo.values()), timeout=120):
        pass
    return todo


def where(program, limit):
    """The places that have most of them, of a row that is exceeded."""
    case = case_of(limit).run(program, lines=True)
    if case.error:
        return case.error
    calls = max(s["calls"] for s in case.sections.values())
    if limit.figure == "locked":
        places = [(n, at) for n, at in lines.locked(case, program)]
    elif limit.figure == "waited":
        places = sorted(((g.waited / 1000, f"{g.source} for {g.what}") for g in lines.group(case, program)), reverse=True)
    else:
        places = [(g.moves, f"{g.source} for {g.what}") for g in lines.group(case, program)]
    return "; ".join(f"{n / calls:.3f} at {at}" for n, at in places[:3])


def exceeded(program, limits, measured):
    """(limit, what is wrong) of each row that is not kept."""
    wrong = []
    for limit in limits:
        case = measured[limit.key]
        value = None if case.error else case.a_call(limit.figure, limit.section)
        if case.error or value is None:
            wrong.append((limit, case.error or f"no section {limit.section}"))
        elif value > limit.limit:
            wrong.append((limit, f"{value:.3f} is above {limit.limit:.2f}: {where(program, limit)}"))
    return wrong


def update(path, limits, measured):
    for limit in limits:
        if measured[limit.key].error:
            sys.exit(f"{measured[limit.key].name}: {measured[limit.key].error}")
        limit.limit = measured[limit.key].a_call(limit.figure, limit.section) * SLACK + LEAST
    with open(path, "w") as f:
        f.write(HEADER + "".join(x.write() + "\n" for x in limits))


def self_test(program):
    """What can be known of the machine and of this check without a table; the number of tests, and what failed."""
    done, failed = [], []

    def test(ok, what):
        done.append(what)
        if not ok:
            failed.append(what)

    def case(*key):
        return cases.Case(*key, options=[f"--pairs={PAIRS}"]).run(program)

    stack, floor, twice = case("treiber", "bulk", 0, 4), case("floor", "bulk", 0, 4), case("treiber", "bulk", 0, 4)
    test(not stack.error and stack.a_pair("locked") >= 2, "a pair of the stack has a locked operation each")
    test(not stack.error and stack.a_pair("moves") > 2, "the stack's head moves")
    test(not floor.error and floor.a_pair("moves") == 0 and floor.a_pair("locked") == 0, "the floor shares nothing")
    test(stack.sections == twice.sections, "the same case twice gives the same figures")
    low = [Limit("treiber bulk 0 4 alloc moves 0.01")]
    wrong = exceeded(program, low, measure(program, low))
    test(len(wrong) == 1 and "floor.h:" in wrong[0][1], "moves above a limit are reported, with the source line")
    low = [Limit("treiber bulk 0 4 alloc locked 0.01")]
    wrong = exceeded(program, low, measure(program, low))
    test(len(wrong) == 1 and "treiber.c:" in wrong[0][1], "and so are locked operations")
    test(cases.names(program) == [cases.PEERS, cases.WORKLOADS, cases.CONSTANTS], "the program has the names of cases.py")
    return len(done), failed


def check(program, path, write):
    limits = read(path)
    measured = measure(program, limits)
    if write:
        update(path, limits, measured)
        print(f"{path}: {len(limits)} limits written")
        return 0
    wrong = exceeded(program, limits, measured)
    for limit, why in wrong:
        print(f"FAIL {limit.write()}\n     {why}")
    tests, failed = self_test(program)
    for what in failed:
        print(f"FAIL not so: {what}")
    bad = len(wrong) + len(failed)
    print(f"{len(limits) + tests - bad} passed, {bad} failed")
    return 1 if bad else 0
