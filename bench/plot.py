# SPDX-License-Identifier: MIT
"""Draws a report as SVG: one panel a row, one bar a competitor, logarithmic where the numbers are times."""

import math
import shutil
import subprocess
from xml.sax.saxutils import escape

COLUMNS, PANEL_WIDTH, GAP = 3, 450, 26
BAR, STEP, HEAD, LABELS, NUMBERS, AXIS = 13, 18, 40, 96, 58, 20
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"

COLOURS = [("ramka", "#c2410c"), ("null", "#b8b8b8"), ("floor", "#8a8a8a"), ("buddy", "#2563a8"), ("dpdk", "#2563a8"),
           ("ck_", "#2563a8"), ("at-once", "#8a8a8a"), ("fifo", "#8a8a8a"), ("rcu-", "#c2410c"), ("", "#5d9b64")]
LEGEND = [("#c2410c", "ramka"), ("#8a8a8a", "floor and harness"), ("#2563a8", "pools and buddy"),
          ("#5d9b64", "malloc and others")]


def colour(peer):
    return next(c for prefix, c in COLOURS if peer.startswith(prefix))


def number(value):
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def text(x, y, content, size=11, anchor="start", fill="#222", weight="normal"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{fill}' "
            f"font-weight='{weight}'>{escape(content)}</text>")


class Scale:
    """From a value to pixels; logarithmic unless the values are percentages."""

    def __init__(self, values, width, percent):
        self.width, self.percent = width, percent
        if percent:
            self.low, self.high, self.ticks = 0.0, 100.0, [0, 25, 50, 75, 100]
            return
        positive = [v for v in values if v > 0] or [1.0]
        self.low = 10.0 ** math.floor(math.log10(min(positive) * 0.999))
        self.high = 10.0 ** math.ceil(math.log10(max(positive) * 1.001))
        if self.high <= self.low:
            self.high = self.low * 10
        self.ticks = [10.0 ** e for e in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]

    def at(self, value):
        if self.percent:
            return self.width * value / 100
        if value <= self.low:
            return 1.0
        return self.width * math.log(value / self.low) / math.log(self.high / self.low)


def bars_of(row):
    bars = [(peer, c["median"], c["samples"]) for peer, c in row["peers"].items() if c["median"] is not None]
    return sorted(bars, key=lambda b: b[1], reverse=row["larger_is_better"])


def missing_of(row):
    late = [p for p, c in row["peers"].items() if c["median"] is None and "did not finish" in c.get("skipped", "")]
    return f"did not finish: {', '.join(late)}" if late else ""


def panel_height(row):
    return HEAD + STEP * len(bars_of(row)) + AXIS + (STEP if missing_of(row) else 0)


def panel(row, x, y):
    bars = bars_of(row)
    width = PANEL_WIDTH - LABELS - NUMBERS
    scale = Scale([b[1] for b in bars], width, row["larger_is_better"])
    left, top = x + LABELS, y + HEAD
    bottom = top + STEP * len(bars)
    threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
    title = row["workload"] if row["workload"].startswith(("init", "frag", "deferred")) \
        else f"{row['workload']}, order {row['order']}, {threads}"
    out = [text(x, y + 13, title, 13, weight="bold"), text(x, y + 29, f"{row['what']} ({row['unit']})", 9, fill="#555")]
    for tick in scale.ticks:
        at = left + (scale.at(tick) if tick > scale.low or scale.percent else 0)
        out.append(f"<line x1='{at:.1f}' y1='{top - 2}' x2='{at:.1f}' y2='{bottom + 3}' stroke='#ddd'/>")
        out.append(text(at, bottom + 14, f"{tick:g}", 9, "middle", "#555"))
    for i, (peer, median, samples) in enumerate(bars):
        weight = "bold" if peer.startswith(("ramka", "rcu-")) else "normal"
        at = top + i * STEP
        length = scale.at(median)
        out.append(text(left - 6, at + 11, peer, 11, "end", weight=weight))
        out.append(f"<rect x='{left}' y='{at:.1f}' width='{length:.1f}' height='{BAR}' fill='{colour(peer)}'/>")
        if len(samples) > 1:
            low, high = left + scale.at(min(samples)), left + min(scale.at(max(samples)), width)
            out.append(f"<line x1='{low:.1f}' y1='{at + BAR / 2}' x2='{high:.1f}' y2='{at + BAR / 2}' stroke='#111' "
                       f"stroke-opacity='0.55'/>")
        else:
            high = left + length
        out.append(text(max(left + length, high) + 5, at + 11, number(median), 10, fill="#333"))
    if missing_of(row):
        out.append(text(left, bottom + 14 + STEP, missing_of(row), 10, fill="#a33"))
    return out


def svg(report):
    rows = [r for r in report["rows"] if len(bars_of(r)) > 1]  # a single number is in the table
    columns = min(COLUMNS, max(1, len(rows)))
    width = GAP + columns * (PANEL_WIDTH + GAP)
    heights = [96.0] * columns
    places = []
    for start in range(0, len(rows), columns):  # rows of panels, as high as the highest of them
        group = rows[start:start + columns]
        for i, row in enumerate(group):
            places.append((row, GAP + i * (PANEL_WIDTH + GAP), heights[0]))
        heights = [heights[0] + max(panel_height(r) for r in group) + GAP] * columns
    m, date = report["machine"], report["date"][:16].replace("T", " ")
    body = [text(GAP, 32, "ramka and its peers", 20, weight="bold"),
            text(GAP, 52, f"{m['processor']}, {m['cpus']} CPUs, Linux {m['kernel']}, {date}. Bars: median; thin lines: "
                 "least to most. Times on a logarithmic scale, shorter is better.", 11, fill="#444")]
    at = GAP
    for fill, name in LEGEND:
        body.append(f"<rect x='{at}' y='64' width='12' height='12' fill='{fill}'/>")
        body.append(text(at + 17, 74, name, 11))
        at += 40 + 7 * len(name)
    for row, x, y in places:
        body += panel(row, x, y)
    return (f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{heights[0]:.0f}' {FONT}>\n"
            f"<rect width='100%' height='100%' fill='#fff'/>\n" + "\n".join(body) + "\n</svg>\n")


def png(svg_path):
    """Draws the SVG as PNG beside it, where rsvg-convert is installed; the path, or None."""
    path = svg_path[:-4] + ".png"
    if not shutil.which("rsvg-convert"):
        return None
    done = subprocess.run(["rsvg-convert", "-z", "1.5", "-o", path, svg_path], check=False)
    return path if done.returncode == 0 else None
