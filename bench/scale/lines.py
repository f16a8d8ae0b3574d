# SPDX-License-Identifier: MIT
"""`--lines`: which lines moved, between which CPUs, from which line of the source, and what lies there."""

import os
import re

import debug


class Move:
    """Rows of the program that agree in the line of the source and in what lies there."""

    def __init__(self, source, what):
        self.source, self.what = source, what
        self.moves = self.waited = self.false_sharing = 0
        self.lines, self.senders, self.receivers, self.takers = {}, {}, {}, {}

    def add(self, moves, waited, false_sharing, line, sender, receiver, taker):
        self.moves += moves
        self.waited += waited
        self.false_sharing += false_sharing
        self.lines[line] = self.lines.get(line, 0) + moves
        self.senders[sender] = self.senders.get(sender, 0) + moves
        self.receivers[receiver] = self.receivers.get(receiver, 0) + moves
        self.takers[taker] = self.takers.get(taker, 0) + moves


def names(cpus):
    """CPUs by number, the ones with most moves first: "3, 7, 1 .. (32)"."""
    order = sorted(cpus, key=lambda c: (-cpus[c], c))
    return ", ".join(str(c) for c in order[:3]) + (f" ..({len(order)})" if len(order) > 3 else "")


def group(case, program):
    structures = debug.Structures(os.path.join(program + ".p", "names.c.o"))
    rows, addresses = [], set()
    for row in case.moves:
        moves, waited, false_sharing = map(int, row[:3])
        address, pc, taken_at = (int(x, 16) for x in row[3:6])
        rows.append((moves, waited, false_sharing, address, pc, taken_at, int(row[6]), int(row[7]), *row[8:11]))
        addresses |= {pc, taken_at} - {0}  # 0: no CPU had taken the line
    sources = debug.source_lines(program, addresses)
    groups = {}
    for moves, waited, false_sharing, _, pc, taken_at, sender, receiver, place, structure, offset in rows:
        field = structures.field(structure, int(offset))
        base, index = re.fullmatch(r"(.*)\[(\d+)\]", place).groups()
        function, at = sources[pc]
        taker = "{1} {0}".format(*sources[taken_at]) if taken_at else "-"
        key = (f"{at} {function}", base + "[]" + field)
        groups.setdefault(key, Move(*key)).add(moves, waited, false_sharing, f"{base}[{index}]", sender, receiver, taker)
    return sorted(groups.values(), key=lambda g: (-g.moves, g.source, g.what))


def locked(case, program):
    """[(operations, place in the source)] of the locked operations, most first."""
    sources = debug.source_lines(program, {pc for _, pc in case.locked})
    places = {}
    for n, pc in case.locked:
        at = "{1} {0}".format(*sources[pc])
        places[at] = places.get(at, 0) + n
    return sorted(((n, at) for at, n in places.items()), key=lambda x: (-x[0], x[1]))


def most(counts):
    return min(counts, key=lambda k: (-counts[k], k))


def report(case, program, limit=24):
    """The lines of the report."""
    groups = sorted(group(case, program), key=lambda g: (-g.waited, g.source, g.what))
    calls = max(s["calls"] for s in case.sections.values())
    out = [f"{case.name}: line moves a call, ns of waiting, share of false sharing, where in the source, what lies there",
           f"{'moves':>8} {'ns':>8} {'false':>6}  {'source':44} what"]
    for g in groups[:limit]:
        out.append(f"{g.moves / calls:8.3f} {g.waited / calls / 1000:8.1f} {100 * g.false_sharing / g.moves:5.0f}%  "
                   f"{g.source:44} {g.what}")
        hot = most(g.lines)
        out.append(f"{'':26}{len(g.lines)} of them, most {hot} ({100 * g.lines[hot] / g.moves:.0f} %); "
                   f"CPUs {names(g.senders)} -> {names(g.receivers)}; taken by {most(g.takers)}")
    if len(groups) > limit:
        rest = sum(g.moves for g in groups[limit:])
        out.append(f"{rest / calls:8.3f} in {len(groups) - limit} other places")
    out.append("locked operations a call: " +
               ", ".join(f"{n / calls:.3f} {at}" for n, at in locked(case, program)[:12]))
    return out
