#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of larger frames and of contiguity in docs/results.md, out of the results of one run:

	bench/table.py [RESULTS.json]          by default bench/results/results.json

Orders that stand side by side in a row do so in each cell. What was not measured is a dash.
"""
import json
import os
import sys

PEERS = {"ramka": "ramka", "ramka-all": "RAMKA_CACHE_ALL", "floor": "lower bound", "dpdk": "DPDK mempool", "buddy": "buddy"}
# (text, cases with their threads, extra figure)
ROWS = [
    ("the same frame again, order 0", ["repeat/order:0/threads:1"], None),
    ("orders 3 / 6", ["repeat/order:3/threads:1", "repeat/order:6/threads:1"], None),
    ("orders 7 / 8", ["repeat/order:7/threads:1", "repeat/order:8/threads:1"], None),
    ("orders 9 / 10", ["repeat/order:9/threads:1", "repeat/order:10/threads:1"], None),
    ("half of 8 GiB, orders 3 / 6 / 9 / 10", [f"bulk:8G/order:{o}/threads:1" for o in (3, 6, 9, 10)], None),
    ("churn in 8 GiB, orders 3 / 9 / 10", [f"churn:50:8G/order:{o}/threads:1" for o in (3, 9, 10)], None),
    ("64 frees, then 64 allocs, order 3, 8 GiB", ["churn:64:8G/order:3/threads:1"], None),
    ("free in random order, orders 0 / 3 / 9", [f"rand:8G/order:{o}/threads:1" for o in (0, 3, 9)], "free"),
    ("order 0: churn in 8 GiB / cold single / cold bulk",
     ["churn:50:8G/order:0/threads:1", "cold/order:0/threads:1", "cold:bulk/order:0/threads:1"], None),
    *((f"whole 2 MiB, %, order {o}, {full} % full; 1 / 2 / 4 / 8 threads",
       [f"frag:{full}/order:{o}/threads:{n}" for n in (1, 2, 4, 8)], None) for o in (1, 3, 6) for full in (50, 90)),
    *((f"whole 2 MiB, %, mixed orders and lifetimes, {full} % full; 1 / 2 / 4 / 8 threads",
       [f"frag:mix:{full}/order:0/threads:{n}" for n in (1, 2, 4, 8)], None) for full in (50, 90)),
    ("whole 2 MiB, %, order 0, a tenth freed first; 90 / 70 / 50 % full",
     [f"frag:batch:{full}/order:0/threads:1" for full in (90, 70, 50)], None),
]


def cell(rows, cases, peer, extra):
    values = [rows.get(case, {}).get(peer, {}).get(extra or "median") for case in cases]
    return " / ".join("–" if v is None else f"{v:.3g}" for v in values) if any(v is not None for v in values) else ""


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    if len(sys.argv) > 2 or sys.argv[1:2] == ["--help"]:
        sys.exit(__doc__)
    with open(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "results", "results.json")) as f:
        report = json.load(f)
    rows = {row["name"]: row["peers"] for row in report["rows"]}
    print(f"{report['machine']['processor']}, {report['machine']['cpus']} CPUs, {report['date'][:10]}\n")
    print("| ns a pair, one thread | " + " | ".join(PEERS.values()) + " |")
    print("|" + "---|" * (len(PEERS) + 1))
    for text, cases, extra in ROWS:
        print(f"| {text} | " + " | ".join(cell(rows, cases, peer, extra) for peer in PEERS) + " |")


if __name__ == "__main__":
    main()
