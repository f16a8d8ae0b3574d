#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the reports of bench/run and bench/run --scale with matplotlib.

	plot.py DIR     draws what DIR/results.json and DIR/scale.json have:

	results.svg     each measured row: the median as a dot, the least and the most of the rounds as a line
	tail.svg        how long single calls take: percentiles, by how full the memory is and how many threads there are
	scale.svg       simulated: time, locked operations and line moves of a pair, over CPUs, order 0
	orders.svg      simulated: the same for frames of other orders and other uses of ramka
	headline.svg    three panels of these, with peers named in words, for the README
"""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import textwrap

# Debian's matplotlib belongs to Debian's python, which need not be the first one in the path.
PYTHONS = [sys.executable, "/usr/bin/python3"]

STYLE = {  # peer -> colour, marker
    "ramka": ("#c2410c", "o"), "ramka-shared": ("#ea8a4e", "s"), "ramka-deferred": ("#9a6b00", "^"),
    "ramka-address": ("#7a1f5c", "v"), "ramka-none": ("#d9a07a", "x"), "ramka-zeroed": ("#e0b090", "P"), "ramka-hardened": ("#b08060", "*"),
    "floor": ("#808080", "D"), "floor-shared": ("#a8a8a8", "d"), "null": ("#c0c0c0", "."),
    "buddy": ("#2563a8", "o"), "buddy-owner": ("#12a0a0", "s"), "treiber": ("#6b4fb3", "^"), "dpdk": ("#3a7d2c", "v"),
    "ck_stack": ("#7fa650", "<"), "ck_ring": ("#a6c77f", ">"),
}
OTHER = ("#5d9b64", "o")
PER_ROW = 3

WORDS = {  # peers as a newcomer knows them
    "ramka": "ramka", "ramka-shared": "ramka, counted", "floor": "lower bound, by hand", "buddy": "buddy, as in Linux",
    "buddy-owner": "buddy per CPU", "treiber": "lock-free stack", "dpdk": "DPDK mempool", "ck_ring": "ck_ring",
    "ck_stack": "ck_stack", "tcmalloc": "tcmalloc", "jemalloc": "jemalloc", "mimalloc": "mimalloc", "glibc": "glibc",
}


def style(peer):
    return STYLE.get(peer, ("#c2410c", "o") if peer.startswith("rcu-") else OTHER)


def figure(plt, width, height, title, subtitle):
    f = plt.figure(figsize=(width, height))
    f.suptitle(title, x=0.02, y=1 - 0.1 / height, ha="left", va="top", fontsize=13, fontweight="bold")
    lines = [line for part in subtitle.split("\n") for line in textwrap.wrap(part, int(width * 14))]
    f.text(0.02, 1 - 0.38 / height, "\n".join(lines), ha="left", va="top", fontsize=8, color="#444444")
    return f


def save(plt, f, directory, name):
    path = os.path.join(directory, name)
    f.savefig(path, metadata={"Date": None})
    plt.close(f)
    return path


def head_of(report):
    m = report["machine"]
    build = report.get("build") or f"{m.get('compiler', '')}, ramka {m.get('ramka', '?')}"
    return (f"{m['processor']}, {m['cpus']} CPUs, Linux {m['kernel']}, {report['date'][:16].replace('T', ' ')}; "
            f"{build}; {report['command']}")


def plain_log(axis, steps=(1, 2, 5)):
    """A logarithmic axis with numbers as people write them; over many decades at the decades only."""
    from matplotlib import ticker

    low, high = axis.get_view_interval()
    wide = high / low > 100
    axis.set_major_locator(ticker.LogLocator(subs=(1,) if wide else steps, numticks=20))
    axis.set_minor_formatter(ticker.NullFormatter())
    if high < 1e5:
        axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))


# ---- measured rows ----

def medians(row):
    return sorted(((c["median"], p, c["samples"]) for p, c in row["peers"].items() if c["median"] is not None),
                  reverse=not row["larger_is_better"])


def threads(n):
    return "1 thread" if n == 1 else f"{n} threads"


def title_of(row):
    if row["workload"].startswith(("init", "grow", "ageing", "deferred")):
        return row["workload"]
    return f"{row['workload']}, order {row['order']}, {threads(row['threads'])}"


def draw_row(ax, row, peer_of=lambda name: name):
    points = medians(row)
    for y, (median, name, samples) in enumerate(points):
        colour, marker = style(peer_of(name))
        ax.plot([min(samples), max(samples)], [y, y], color=colour, linewidth=1, alpha=0.6)
        ax.plot([median], [y], marker=marker, color=colour, markersize=5)
        ax.annotate(f"{median:.3g}" if median < 999.5 else f"{median:.0f}", (max(samples), y), xytext=(5, 0),
                    textcoords="offset points", va="center", fontsize=7)
    ax.set_yticks(range(len(points)), [p for _, p, _ in points], fontsize=8)
    for label, (_, peer, _) in zip(ax.get_yticklabels(), points):
        label.set_fontweight("bold" if peer.startswith(("ramka", "rcu-")) else "normal")
    if row["larger_is_better"]:
        ax.set_xlim(0, 110)
        ax.tick_params(axis="x", labelsize=7)
    else:
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ax.set_xlim(low, high * 1.6)
        plain_log(ax.xaxis)
        ax.tick_params(axis="x", labelsize=7)
    ax.set_ylim(-0.6, len(points) - 0.4)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_title(title_of(row), fontsize=9, fontweight="bold", loc="left")
    ax.set_xlabel(row["unit"], fontsize=7)


def draw_results(plt, report, directory):
    rows = [r for r in report["rows"] if len(medians(r)) > 1 and not r["workload"].startswith("tail")]
    groups = [rows[i:i + PER_ROW] for i in range(0, len(rows), PER_ROW)]
    heights = [max(len(medians(r)) for r in g) * 0.17 + 0.75 for g in groups]
    total = sum(heights) + 0.9
    f = figure(plt, 14, total, "ramka and its peers, measured",
               head_of(report) + ". Dots: medians; lines: least to most. Logarithmic: less is better.")
    y = total - 0.9
    for group, height in zip(groups, heights):
        for i, row in enumerate(group):
            inner = max(len(medians(row)) * 0.17, 0.3)
            draw_row(f.add_axes([0.075 + i * 0.325, (y - 0.3 - inner) / total, 0.235, inner / total]), row)
        y -= height
    return save(plt, f, directory, "results.svg")


# ---- tails ----

def draw_tail_panel(ax, row):
    labels = ["p50", "p99", "p99.99", "longest"]
    for peer, c in row["peers"].items():
        if c["median"] is None:
            continue
        colour, marker = style(peer)
        for call, line in (("alloc", "-"), ("free", ":")):
            values = [c["median"] if k == "alloc_p9999" else c.get(k)
                      for k in (f"{call}_{p}" for p in ("p50", "p99", "p9999", "max"))]
            if None not in values:
                ax.plot(labels, values, line, color=colour, marker=marker, markersize=4, linewidth=1,
                        label=peer if call == "alloc" else None)
    ax.set_yscale("log")
    ax.tick_params(labelsize=7)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_title(f"{row['workload'].split(':')[1]} % full, {threads(row['threads'])}", fontsize=9, fontweight="bold",
                 loc="left")


def draw_tails(plt, report, directory):
    rows = [r for r in report["rows"] if r["workload"].startswith("tail")]
    if not rows:
        return None
    lines = math.ceil(len(rows) / PER_ROW)
    f = figure(plt, 12, 2.6 * lines + 1, "How long one call takes, ns",
               head_of(report) + ".\nSolid: alloc; dotted: free. `null` is what the machine itself adds.")
    for i, row in enumerate(rows):
        ax = f.add_subplot(lines, PER_ROW, i + 1, sharey=f.axes[0] if f.axes else None)
        draw_tail_panel(ax, row)
        if i == 0:
            ax.legend(fontsize=7, loc="upper left")
    f.tight_layout(rect=(0, 0, 1, 1 - 0.85 / (2.6 * lines + 1)))
    return save(plt, f, directory, "tail.svg")


# ---- simulated ----

def over_cpus(ax, rows, key, series, label):
    """A line for each value that `series` gives, in the order of their first rows."""
    lines = {}
    for r in rows:
        if r.get(key) is not None:
            lines.setdefault(series(r), []).append((r["cpus"], r[key]))
    for name, points in lines.items():
        colour, marker = label(name)
        ax.plot(*zip(*sorted(points)), color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=str(name))
    ax.set_xscale("log", base=2)
    cpus = sorted({r["cpus"] for r in rows})
    ax.set_xticks(cpus, [str(n) for n in cpus], fontsize=7)
    ax.tick_params(axis="y", labelsize=7)
    ax.grid(color="#e2e2e2", linewidth=0.6)
    return lines


def set_scale(ax, key):
    from matplotlib import ticker

    if key == "ns":
        ax.set_yscale("log")
        plain_log(ax.yaxis)
    else:
        most = max([1] + [max(line.get_ydata()) for line in ax.lines])
        ax.set_yscale("symlog", linthresh=0.1)
        ax.set_ylim(-0.01, most * 1.6)
        ax.yaxis.set_major_locator(ticker.FixedLocator([0, 0.1, 1, 10]))
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))


def draw_grid(plt, report, directory, name, title, panels):
    """panels: (title, rows, series, label); each gets three plots."""
    keys = [("ns", "ns of CPU a pair"), ("locked", "locked operations a pair"), ("moves", "line moves a pair")]
    height = 2.1 * len(panels) + 0.9
    f = figure(plt, 12, height, title, head_of(report) + ".")
    for i, (text, rows, series, label) in enumerate(panels):
        for k, (key, unit) in enumerate(keys):
            ax = f.add_subplot(len(panels), 3, 3 * i + k + 1)
            over_cpus(ax, rows, key, series, label)
            set_scale(ax, key)
            ax.set_title(f"{text}: {unit}", fontsize=8, fontweight="bold", loc="left")
            if k == 2:  # beside the row: no line is hidden
                handles = {line.get_label(): line for a in f.axes[-3:] for line in a.lines}
                ax.legend(handles.values(), handles.keys(), fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.05),
                          frameon=False)
            if i == len(panels) - 1:
                ax.set_xlabel("CPUs", fontsize=8)
    f.tight_layout(rect=(0, 0, 1, 1 - 0.7 / height))
    return save(plt, f, directory, name)


PLAIN = ("floor", "ramka", "buddy", "buddy-owner", "treiber")
ORDER_COLOURS = {0: "#c2410c", 3: "#e39d2d", 6: "#5d9b64", 9: "#2563a8", 10: "#6b4fb3"}


def draw_scale(plt, report, directory):
    rows = report["rows"]
    workloads = list(dict.fromkeys(r["workload"] for r in rows))
    panels = [(w, [r for r in rows if r["workload"] == w and r["order"] == 0 and r["peer"] in PLAIN],
               lambda r: r["peer"], style) for w in workloads]
    return draw_grid(plt, report, directory, "scale.svg", "Simulated CPUs: unique frames of order 0, and peers", panels)


def draw_orders(plt, report, directory):
    rows = report["rows"]
    others = list(dict.fromkeys(r["workload"] for r in rows if r["order"]))
    panels = [(f"{w}, ramka by order", [r for r in rows if r["workload"] == w and r["peer"] == "ramka"],
               lambda r: r["order"], lambda o: (ORDER_COLOURS.get(o, "#333333"), "o")) for w in others]
    uses = list(dict.fromkeys(r["workload"] for r in rows if r["peer"] == "ramka-address"))
    panels += [(f"{w}, uses of ramka", [r for r in rows if r["workload"] == w and r["order"] == 0 and
                                        r["peer"].startswith("ramka")], lambda r: r["peer"], style) for w in uses]
    if not panels:
        return None
    return draw_grid(plt, report, directory, "orders.svg", "Simulated CPUs: other orders and uses of ramka", panels)


# ---- the headline ----

def at_the_ends(ax, lines):
    """Names each line at its right end, spread so that none covers another."""
    low, high = (math.log10(y) for y in ax.get_ylim())
    ends = sorted((math.log10(points[-1][1]), name) for name, points in lines.items())
    gap, y = (high - low) * 0.065, low
    for end, name in ends:
        y = max(y + gap, end)
        x = max(p[0] for p in lines[name])
        ax.annotate(WORDS.get(name, name), (x, 10 ** y), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8,
                    color=style(name)[0], fontweight="bold" if name == "ramka" else "normal", annotation_clip=False)


def simulated_panel(ax, scale, workload, text, key):
    lines = over_cpus(ax, [r for r in scale["rows"] if r["workload"] == workload and r["order"] == 0 and r["peer"] in PLAIN],
                      key, lambda r: r["peer"], style)
    ax.set_yscale("log")
    plain_log(ax.yaxis)
    at_the_ends(ax, {name: sorted(points) for name, points in lines.items()})
    ax.set_xlabel("CPUs, simulated", fontsize=8)
    ax.set_ylabel("ns of CPU", fontsize=8)
    ax.set_title(text, fontsize=9, fontweight="bold", loc="left")


def draw_headline(plt, results, scale, directory):
    hot = next((r for r in results["rows"] if r["name"] == "repeat/order:0/threads:1"), None)
    if not hot:
        return None
    hot = dict(hot, peers={WORDS[p]: dict(c, peer=p) for p, c in hot["peers"].items() if p in WORDS})
    f = figure(plt, 13, 4.4, "A page frame, allocated and freed",
               f"Measured: {head_of(results)}.\nSimulated: {head_of(scale)}. A flat line scales perfectly. Less is better.")
    for i, (workload, text, key) in enumerate([
            ("bulk", "All CPUs allocate and free: a pair", "ns"),
            ("purge", "One CPU in eight frees for all: a free", "free_ns")]):
        simulated_panel(f.add_axes([0.05 + 0.335 * i, 0.12, 0.215, 0.6]), scale, workload, text, key)
    ax = f.add_axes([0.805, 0.12, 0.185, 0.6])
    draw_row(ax, hot, lambda name: hot["peers"][name]["peer"])
    ax.set_title("The same frame again, measured: a pair", fontsize=9, fontweight="bold", loc="left", x=-0.3)
    ax.set_xlabel("ns of CPU", fontsize=8)
    return save(plt, f, directory, "headline.svg")


def read(directory, name):
    try:
        with open(os.path.join(directory, name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def draw_all(directory):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ramka", "font.family": "DejaVu Sans",
                         "axes.spines.top": False, "axes.spines.right": False})
    results, scale = read(directory, "results.json"), read(directory, "scale.json")
    drawn = []
    if results:
        drawn += [draw_results(plt, results, directory), draw_tails(plt, results, directory)]
    if scale:
        drawn += [draw_scale(plt, scale, directory), draw_orders(plt, scale, directory)]
    if results and scale:
        drawn.append(draw_headline(plt, results, scale, directory))
    return [d for d in drawn if d]


def draw(directory):
    """Draws with the first python that has matplotlib; the paths, or an empty list if there is none."""
    if importlib.util.find_spec("matplotlib"):
        return draw_all(directory)
    for python in PYTHONS[1:]:
        if shutil.which(python) and not subprocess.run([python, "-c", "import matplotlib"], capture_output=True,
                                                       check=False).returncode:
            done = subprocess.run([python, "-B", __file__, directory], stdout=subprocess.PIPE, text=True, check=True)
            return done.stdout.splitlines()
    return []


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(draw_all(sys.argv[1])))
