# SPDX-License-Identifier: MIT
"""What bench/run measures: the rows, who takes part in each, for how long, and the figures that are to be reached."""

import os
import re

CPUS = len(os.sched_getaffinity(0))
PAIRED = CPUS + CPUS % 2  # pipe wants an even number of threads
MANY = max(2, CPUS)

OWN = "floor floor-shared ramka ramka-shared"
POOLS = "buddy buddy-owner dpdk ck_stack ck_ring"
MALLOCS = "tcmalloc jemalloc mimalloc glibc"
FAST_MALLOCS = "tcmalloc jemalloc"   # where the others spend seconds on page faults before the first number
EVERYBODY = f"null {OWN} ramka-all ramka-hardened ramka-zeroed ramka-none {POOLS} {MALLOCS}"
USUAL = f"{OWN} ramka-all {POOLS} {MALLOCS}"
SHORT = f"{OWN} ramka-all {POOLS} {FAST_MALLOCS}"
BOUNDED = f"{OWN} ramka-all {POOLS}"          # those that never write into the frames: as many frames as wanted
CONTIGUOUS = f"{OWN} buddy {MALLOCS}"
# what is left for huge frames: the only rows with a number of threads of their own, since they are no times
LARGER_FRAG = [f"{full}/order:{order}" for order in (1, 3, 6) for full in ("50", "90")] + ["mix:50/order:0", "mix:90/order:0"]
DEFERRED = "at-once fifo rcu-memb rcu-qsbr rcu-mb rcu-ck rcu-ramka call_rcu"


class Row:
    """One row: a workload and order as the program names them, threads, peers, rounds, and how long a run lasts."""

    def __init__(self, case, threads, peers, rounds=5, pairs=None, quick=False):
        self.case = case        # WORKLOAD/order:N
        self.threads = threads
        self.peers = peers.split()
        self.rounds = rounds
        self.pairs = pairs      # of all threads; None: as many as fit the time of a run
        self.quick = quick      # part of --quick
        self.workload = case.split("/")[0]
        self.order = int(case.rsplit(":", 1)[1])

    @property
    def name(self):
        return f"{self.case}/threads:{self.threads}"


PLAN = [
    Row("repeat/order:0", 1, EVERYBODY, quick=True),
    Row("repeat/order:0", MANY, USUAL, quick=True),
    Row("repeat/order:0", 2 * CPUS, USUAL),
    Row("repeat/order:3", 1, CONTIGUOUS + " ramka-zeroed", rounds=3),
    *(Row(f"repeat/order:{order}", 1, f"{OWN} buddy", rounds=3) for order in (6, 7, 8)),
    Row("repeat/order:9", 1, CONTIGUOUS + " ramka-zeroed", rounds=3),
    Row("repeat/order:10", 1, CONTIGUOUS + " ramka-zeroed", rounds=3),
    Row("bulk/order:0", 1, USUAL + " ramka-zeroed", rounds=3, quick=True),
    Row("bulk/order:0", MANY, SHORT, rounds=3),
    Row("bulk:8G/order:0", 1, BOUNDED, rounds=3),
    Row("bulk:8G/order:3", 1, f"{OWN} buddy", rounds=3),
    Row("bulk:8G/order:6", 1, f"{OWN} buddy", rounds=3),
    Row("bulk:8G/order:9", 1, f"{OWN} buddy jemalloc", rounds=3),
    Row("bulk:8G/order:10", 1, f"{OWN} buddy jemalloc", rounds=3),
    Row("rand/order:0", MANY, SHORT, rounds=3),
    Row("rand:8G/order:0", 1, BOUNDED, rounds=3, pairs=1 << 20),
    Row("rand:8G/order:3", 1, f"{OWN} buddy", rounds=3, pairs=1 << 17),
    Row("rand:8G/order:9", 1, f"{OWN} buddy", rounds=3, pairs=1 << 15),
    Row("churn:50/order:0", 1, SHORT, rounds=3, pairs=1 << 18),
    Row("churn:90/order:0", 1, USUAL + " ramka-hardened", rounds=3, pairs=1 << 18, quick=True),
    Row("churn:90/order:0", MANY, SHORT, rounds=3, pairs=1 << 18),
    Row("churn:50:8G/order:0", 1, BOUNDED, rounds=3, pairs=1 << 20),
    Row("churn:90:8G/order:0", 1, BOUNDED, rounds=3, pairs=1 << 20),
    Row("churn:50:8G/order:3", 1, f"{OWN} buddy jemalloc", rounds=3, pairs=1 << 17),
    Row("churn:64:8G/order:3", 1, f"{OWN} buddy", rounds=3, pairs=1 << 17),
    Row("churn:50:8G/order:9", 1, f"{OWN} buddy jemalloc", rounds=3, pairs=1 << 17),
    Row("churn:50:8G/order:10", 1, f"{OWN} buddy jemalloc", rounds=3, pairs=1 << 17),
    Row("pipe/order:0", PAIRED, f"null ramka ramka-all ramka-shared {POOLS} {MALLOCS}", quick=True),
    Row("exit/order:0", MANY, f"{OWN} ramka-all buddy buddy-owner dpdk ck_stack", rounds=3),
    Row("purge/order:0", MANY, "ramka ramka-all ramka-shared buddy buddy-owner dpdk ck_stack", rounds=3),
    Row("purge/order:0", 2 * CPUS, "ramka ramka-all ramka-shared buddy buddy-owner dpdk ck_stack", rounds=3),
    *(Row(f"tail:{full}/order:0", threads, "null floor ramka ramka-all buddy buddy-owner dpdk", rounds=3, pairs=1 << 18)
      for full in ("50", "90", "99.9") for threads in sorted({1, CPUS, 2 * CPUS})),
    Row("cold/order:0", 1, BOUNDED, rounds=3, pairs=1),
    Row("cold:bulk/order:0", 1, "floor ramka ramka-all ramka-shared dpdk", rounds=3, pairs=1),
    *(Row(f"frag:{full}/order:0", 1, "ramka buddy", rounds=1, pairs=1, quick=full == "90") for full in ("50", "70", "90")),
    *(Row(f"frag:batch:{full}/order:0", 1, "ramka buddy", rounds=1, pairs=1) for full in ("50", "70", "90")),
    *(Row(f"frag:{case}", threads, "ramka buddy", rounds=1, pairs=1)
      for case in LARGER_FRAG for threads in (1, 2, 4, 8)),
    *(Row(f"ageing:{full}/order:0", 1, "ramka ramka-hints buddy buddy-types", rounds=1, pairs=1, quick=full == "steady95")
      for full in ("80", "steady90", "steady95", "steady97")),
    Row("init:zeroed/order:0", 1, "ramka", rounds=3, pairs=1, quick=True),
    Row("init:dirty/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("init:hole/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("init:regions/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("grow:up/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("grow:scattered/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("grow:reserved/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("grow:up-busy/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("grow:reserved-busy/order:0", 1, "ramka", rounds=3, pairs=1),
    Row("deferred/order:0", 1, DEFERRED, rounds=3, pairs=1 << 19),
]

# The cases of a run without options, which is to take two to three minutes on an idle machine: one or two of each kind.
SHOWN = {
    "repeat/order:0", "repeat/order:9", "bulk/order:0", "bulk:8G/order:0", "rand/order:0", "churn:90/order:0",
    "churn:50:8G/order:0", "churn:50:8G/order:3", "pipe/order:0", "exit/order:0", "tail:90/order:0", "cold/order:0",
    "frag:90/order:0", "frag:batch:90/order:0", "frag:mix:90/order:0", "ageing:steady95/order:0", "init:zeroed/order:0",
    "init:regions/order:0", "grow:up/order:0", "deferred/order:0",
}

SECONDS = 0.05        # of a run, unless the row fixes the pairs
QUICK_SECONDS = 0.02
FULL_SECONDS = 0.2


def timeout_of(row):
    """Seconds after which a run counts as not finished. With more threads than CPUs, who blocks never does."""
    return 10 if row.threads > CPUS else 60


class Figure:
    """What a row shows: which number of the report, its unit, and how to write it."""

    def __init__(self, unit, key="cpu_time", scale=1.0, larger_is_better=False, extras=()):
        self.unit, self.key, self.scale = unit, key, scale
        self.larger_is_better = larger_is_better
        self.extras = extras


PAIR = Figure("ns of CPU time a pair")
SPLIT = Figure("ns of CPU time a pair", extras=("alloc", "free"))
FIGURES = {
    "bulk": SPLIT, "rand": SPLIT, "cold": SPLIT,
    "exit": SPLIT, "purge": SPLIT,
    "tail": Figure("ns, the longest of all but one in ten thousand allocs", key="alloc_p9999",
                   extras=("alloc_p50", "alloc_p99", "alloc_max", "free_p50", "free_p99", "free_p9999", "free_max",
                           "failed")),
    "frag": Figure("%", key="share", larger_is_better=True, extras=("zone", "pair")),
    "ageing": Figure("%", key="share", larger_is_better=True, extras=("order9", "call")),
    "init": Figure("us a GiB", scale=1e-3),
    "init:regions": Figure("ns a region"),
    "grow": Figure("us a GiB", scale=1e-3),
    "deferred": Figure("ns of CPU time a frame", extras=("all",)),
}


def figure_of(row):
    return FIGURES.get(row.workload) or FIGURES.get(row.workload.split(":")[0], PAIR)


class Goal:
    """`peer`'s number in a row, or an extra one, is at most `bound`, or at most `times` that of `base` plus `bound`.

    Where larger is better, at least.
    """

    def __init__(self, case, threads, peer, bound=0.0, base=None, times=0.0, extra=None):
        self.case, self.threads, self.peer = case, threads, peer
        self.bound, self.base, self.times, self.extra = bound, base, times, extra


# Reached or not is said under the rows; it never decides whether bench/run succeeds, since times depend on the machine.
# The absolute ones were set on two virtual CPUs of a Zen 4 EPYC.
GOALS = [
    Goal("repeat/order:0", 1, "ramka", times=1.3, base="floor"),
    Goal("repeat/order:0", 1, "ramka-shared", times=1.3, base="floor-shared"),
    Goal("repeat/order:0", 2 * CPUS, "ramka", times=1.3, base="floor"),
    Goal("bulk/order:0", 1, "ramka", times=1.3, base="floor"),
    Goal("bulk/order:0", MANY, "ramka", times=1.3, base="floor"),
    Goal("bulk:8G/order:0", 1, "ramka", 9, extra="alloc"),
    Goal("bulk:8G/order:0", 1, "ramka", 5, extra="free"),
    Goal("bulk:8G/order:9", 1, "ramka", 10, extra="alloc"),
    Goal("bulk:8G/order:9", 1, "ramka", 8, extra="free"),
    Goal("bulk:8G/order:10", 1, "ramka", 15, extra="alloc"),
    Goal("bulk:8G/order:10", 1, "ramka", 10, extra="free"),
    Goal("rand:8G/order:0", 1, "ramka", 40, extra="free"),
    Goal("rand:8G/order:0", 1, "ramka-shared", 40, extra="free"),
    Goal("churn:50:8G/order:0", 1, "ramka", 60),
    Goal("churn:90:8G/order:0", 1, "ramka", 80),
    Goal("churn:50:8G/order:3", 1, "ramka", 100),
    Goal("churn:90/order:0", 1, "ramka-hardened", times=1.1, base="ramka"),
    Goal("pipe/order:0", PAIRED, "ramka", 25),
    Goal("cold/order:0", 1, "ramka", 40),
    Goal("cold:bulk/order:0", 1, "ramka-shared", 20),
    *(Goal(f"frag:{case}/order:0", 1, "ramka", 96) for case in ("50", "70", "90", "batch:50", "batch:70", "batch:90")),
    *(Goal(f"frag:{case}", threads, "ramka", 96) for case in LARGER_FRAG for threads in (1, 2, 4, 8)),
    Goal("ageing:80/order:0", 1, "ramka-hints", 90),
    Goal("ageing:steady95/order:0", 1, "ramka-hints", 90),
    Goal("ageing:steady95/order:0", 1, "ramka-hints", base="buddy-types", times=2),
    Goal("init:zeroed/order:0", 1, "ramka", 20),
    Goal("init:regions/order:0", 1, "ramka", 1000),
    Goal("grow:up/order:0", 1, "ramka", 20),
    Goal("grow:scattered/order:0", 1, "ramka", 20),
    Goal("deferred/order:0", 1, "rcu-memb", 1.5, base="at-once", times=1),
    Goal("deferred/order:0", 1, "rcu-ramka", 1.5, base="at-once", times=1),
]

# Who is of the same kind: allocators that merge what is freed; pools, which hand out what was put in; allocators that are
# told how long a frame lives.
KINDS = {"ramka": "buddy buddy-owner".split(), "ramka-all": "dpdk ck_stack ck_ring treiber".split(),
         "ramka-hints": ["buddy-types"]}
NOISE = 0.1  # a smaller difference means nothing, docs/benchmarking.md

CHECKS = ("ramka takes 112 instructions a pair of orders 1 to 10, the buddy 82 of orders 3 and 9 (callgrind). The rest of them check the "
          "handle, the state word and the type, so that a double free is found, and enter the section, so that another CPU can take "
          "what this one holds.")
BATCHES = ("Stacks of 8 to 32 frames are filled from block entries that all CPUs may change, and emptied there: with one thread two to "
           "five times the instructions of the buddy's lists (callgrind), which one lock guards.")
GATE = ("A freed run that the gate refuses goes to its word of the bitmap and to its block's count, two misses beside the slot's. "
        "They keep blocks whole (rows `frag`). The buddy hands out what was freed last, wherever it lies, and keeps none.")
LONGEST = ("One call in some thousands does the work of many: it refills from the densest of up to 128 blocks, or frees up to sixteen "
           "rows, where the other allocator moves a batch of pointers.")
SLOT = ("DPDK's pair takes 59 instructions and that of `RAMKA_CACHE_ALL` 67, none of them locked (callgrind): the rest of them tell plain "
        "base frames from those of other types and orders, from broken ones, and from those of other nodes.")
MAGAZINE = ("Where frames go through the depot, three locked operations move a magazine of 64, and one moves 128 to 256 pointers of "
            "DPDK's ring. Each waits for the misses on slots before it. That ramka's magazines can be taken by other CPUs at any time "
            "costs the difference.")
CHAIN = ("A stack of all frames is a chain through their slots. It reads and writes nothing else, and hands out the frame that was "
         "freed last, whose slot is in the cache.")

# What stands in the way where a peer of the same kind is ahead: rows, peers, reason. The first that matches counts.
HINTS = ("Without hints long-lived frames lie among the others with each of the two, and next to nothing stays whole. `ramka-hints` "
         "says which frames live long, by `RAMKA_ALLOC_LONG`.")
REASONS = [
    (r"^ageing", r"buddy", HINTS),
    (r"^tail:", r".*", LONGEST),
    (r"^repeat/order:([1-9]|10)/", r"buddy.*", CHECKS),
    (r"^(churn|rand).*/order:(9|10)/", r"buddy.*", CHECKS),
    (r"^bulk.*/order:([1-9]|10)/", r"buddy.*", BATCHES),
    (r"^(churn|rand|cold|exit|purge)", r"buddy.*", GATE),
    (r"^repeat", r"dpdk", SLOT),
    (r"^(bulk|churn|rand|cold|pipe|exit|purge)", r"dpdk", MAGAZINE),
    (r"^(repeat|bulk|churn|rand|cold|pipe|exit|purge)", r"ck_stack|treiber", CHAIN),
]


def ahead(name, figures, larger_is_better):
    """The peers of the same kind that are ahead in a row: (ours, our figure, peer, its figure, what stands in the way or '')."""
    for ours, peers in KINDS.items():
        for peer in peers:
            mine, its = figures.get(ours), figures.get(peer)
            if mine is None or its is None:
                continue
            large, small = (its, mine) if larger_is_better else (mine, its)
            if large > small * (1 + NOISE):
                why = (r[2] for r in REASONS if re.search(r[0], name) and re.fullmatch(r[1], peer))
                yield ours, mine, peer, its, next(why, "")
