#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables of larger frames and of contiguity in docs/results.md, one for each run:

	bench/table.py [--write] [RESULTS.json]...       by default bench/results/results*.json

results.json is the last run; results-NAME.json are the last ones on other kinds of processors. Orders that stand side by
side in a row do so in each cell. What was not measured is a dash. Where a peer of the same kind is ahead, its figure has a
number, and what stands in the way is below the tables (plan.py, REASONS). Rows in which one is ahead that are not in the
table are listed there too. --write puts all of that into docs/results.md.

Exit status: 0; 1 a peer of the same kind is ahead in a row, and plan.py does not say why; 2 usage.
"""
import glob
import json
import os
import sys

sys.dont_write_bytecode = True
import plan  # noqa: E402

PEERS = {"ramka": "ramka", "ramka-all": "`RAMKA_CACHE_ALL`", "floor": "lower bound", "dpdk": "DPDK mempool", "buddy": "buddy"}
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


BEGIN, END = "<!-- written by bench/table.py --write -->\n", "<!-- as far as here -->\n"


def number(value):
    return "–" if value is None else f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


class Notes:
    """What stands in the way, numbered as it comes up in any of the tables."""

    def __init__(self):
        self.reasons, self.ahead, self.shown, self.without = [], {}, set(), []

    def read(self, rows):
        """Goes on to another run."""
        self.ahead, self.shown = {}, set()
        for name, row in rows.items():
            figures = {peer: r.get("median") for peer, r in row["peers"].items()}
            for ours, mine, peer, its, why in plan.ahead(name, figures, row["larger_is_better"]):
                self.ahead[name, peer] = (ours, mine, its, why)
                if not why:
                    self.without.append(f"{name}: {peer} {number(its)}, {ours} {number(mine)}")

    def mark(self, name, peer):
        """The number behind a figure, or nothing."""
        if (name, peer) not in self.ahead:
            return ""
        self.shown.add((name, peer))
        why = self.ahead[name, peer][3] or "No reason is known."
        if why not in self.reasons:
            self.reasons.append(why)
        return f"<sup>{self.reasons.index(why) + 1}</sup>"

    def others(self):
        """The rows that were not marked, by reason."""
        lines = [f"`{name}`: {peer} {number(its)}{self.mark(name, peer)}, {ours} {number(mine)}"
                 for (name, peer), (ours, mine, its, _) in self.ahead.items() if (name, peer) not in self.shown]
        return sorted(lines)


def cell(rows, notes, cases, peer, extra):
    texts = []
    for case in cases:
        row = rows.get(case, {"peers": {}})
        texts.append(number(row["peers"].get(peer, {}).get(extra or "median")) + notes.mark(case, peer))
    return " / ".join(texts) if any(text != "–" for text in texts) else ""


def table(report, notes):
    """The lines of one run."""
    rows = {row["name"]: row for row in report["rows"]}
    machine = report["machine"]
    notes.read(rows)
    lines = [f"{machine['processor']}, {machine['cpus']} CPUs, {report['date'][:10]}, `{report['command']}`.", "",
             "| ns a pair, one thread | " + " | ".join(PEERS.values()) + " |", "|" + "---|" * (len(PEERS) + 1)]
    for text, cases, extra in ROWS:
        cells = [cell(rows, notes, cases, peer, extra) for peer in PEERS]
        if any(cells):
            lines.append(f"| {text} | " + " | ".join(cells) + " |")
    others = notes.others()
    if others:
        lines += ["", "Rows that are not in the table:", ""] + [f"- {line}" for line in others]
    return lines


def tables(paths):
    """The lines, and the rows without a reason."""
    notes, lines = Notes(), []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            lines += ([""] if lines else []) + table(json.load(f), notes)
    if notes.reasons:
        lines += ["", "Numbered: a peer of the same kind is ahead by more than a tenth; a smaller difference is noise.",
                  "Allocators that merge what is freed are compared with ramka, pools with `RAMKA_CACHE_ALL`.", ""]
        # a sentence a line, as on every page
        lines += [f"{i}. " + why.replace(". ", ".\n   ") for i, why in enumerate(notes.reasons, 1)]
    return lines, notes.without


def write(path, lines):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    arguments = sys.argv[1:]
    wanted = arguments[:1] == ["--write"]
    arguments = arguments[wanted:]
    if arguments == ["--help"]:
        print(__doc__)
        return 0
    if any(argument.startswith("-") for argument in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    lines, without = tables(arguments or sorted(glob.glob(os.path.join(here, "results", "results*.json")), key=len))
    if wanted:
        write(os.path.join(os.path.dirname(here), "docs", "results.md"), lines)
    else:
        print("\n".join(lines))
    for line in without:
        print(f"table.py: a peer is ahead, and plan.py does not say why: {line}", file=sys.stderr)
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
