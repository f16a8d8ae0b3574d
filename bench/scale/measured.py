# SPDX-License-Identifier: MIT
"""The machine that this runs on: its constants, and what the same workloads cost on its threads."""

import os
import statistics
import subprocess

import cases

ROUNDS, PAIRS = 3, "65536"
WORKLOADS = ("repeat", "bulk", "churn:90", "rand", "exit", "purge", "pipe")


def beside(program, name):
    return os.path.join(os.path.dirname(program), name)


def on_threads(program, peer, workload, order, cpus, pairs=PAIRS, options=()):
    """The median of some runs, as a case; `spread` is the least and the most."""
    threads = beside(program, "ramka-scale-threads")
    runs = [cases.Case(peer, workload, order, cpus, [f"--pairs={pairs}", *options]).run(threads) for _ in range(ROUNDS)]
    broken = [r for r in runs if r.error]
    if broken:
        return broken[0]
    runs.sort(key=lambda r: r.a_pair("ps"))
    runs[ROUNDS // 2].spread = runs[0].a_pair("ps"), runs[-1].a_pair("ps")
    return runs[ROUNDS // 2]


def calibrate(program, constants):
    """Measures the constants that can be measured. {name: value}; `constants`: name -> (value, meaning)."""
    out = subprocess.run([beside(program, "calibrate")], capture_output=True, text=True, check=True).stdout
    found = {k: int(v) for k, v in (line.split("\t") for line in out.splitlines())}
    pair = on_threads(program, "ramka", "repeat", 0, 1, "4194304")
    accesses = cases.Case("ramka", "repeat", 0, 1).run(program).a_pair("accesses")
    found["access"] = round(pair.a_pair("ps") * 1000 / accesses)
    print(f"{'constant':10} {'usual':>9} {'here':>9}  (ps)")
    for name, (value, meaning) in constants.items():
        print(f"{name:10} {value:9} {found.get(name, '-'):>9}  {meaning}")
    return found


def compare(program, peers, orders, options):
    """Rows of simulated figures beside measured ones, for 1 and 2 CPUs."""
    rows = []
    for order in orders:
        for workload in WORKLOADS:
            for peer in peers:
                for cpus in (1, 2):
                    if (cpus == 1 and workload == "pipe") or cpus > len(os.sched_getaffinity(0)):
                        continue
                    simulated = cases.Case(peer, workload, order, cpus, options).run(program)
                    real = on_threads(program, peer, workload, order, cpus)
                    if simulated.error or real.error:
                        continue
                    rows.append((simulated, real))
    return rows


def print_comparison(rows):
    print(f"\n{'ns of CPU a pair':44} {'simulated':>9} {'measured':>9} {'ratio':>6}   least .. most")
    for simulated, real in rows:
        s, m = simulated.a_pair("ps"), real.a_pair("ps")
        print(f"{simulated.name:44} {s:9.1f} {m:9.1f} {s / m:6.2f}   {real.spread[0]:.1f} .. {real.spread[1]:.1f}")
    ratios = [s.a_pair("ps") / m.a_pair("ps") for s, m in rows]
    if ratios:
        print(f"median ratio {statistics.median(ratios):.2f}, least {min(ratios):.2f}, most {max(ratios):.2f}")


def machine(program):
    """What the figures depend on, for the head of the report."""
    def first(command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
        except (OSError, subprocess.CalledProcessError, IndexError):
            return "?"

    processor = "?"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(("model name", "Processor", "uarch")):
                processor = line.split(":", 1)[1].strip()
                break
    here = os.path.dirname(os.path.abspath(__file__))
    return {"processor": processor, "cpus": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
            "compiler": first(["gcc", "--version"]), "ramka": first(["git", "-C", here, "describe", "--always", "--dirty"])}
