#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions and locked instructions of a pair with callgrind; `bench/run --instructions` calls this.

Counts do not depend on the machine's load. Each competitor runs twice under callgrind, once for more pairs than the
other time; the difference is what the pairs cost, without set-up and checks. A locked instruction (a `lock` prefix, or
an xchg with memory) is an atomic read-modify-write: where the line is another CPU's, these are what is slow.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import runner

PEERS = ("null floor floor-shared ramka ramka-shared ramka-hardened ramka-none buddy dpdk ck_stack ck_ring "
         "tcmalloc jemalloc mimalloc glibc")
# (case, pairs of the shorter run, of the longer one)
ROWS = [("repeat/order:0", 1 << 14, 3 << 14), ("repeat/order:3", 1 << 14, 2 << 14),
        ("repeat/order:9", 1 << 14, 2 << 14), ("bulk/order:0", 1 << 16, 3 << 16),
        ("churn:90/order:0", 1 << 14, 5 << 14)]


class Code:
    """Addresses of the locked instructions of each object file, disassembled once."""

    def __init__(self):
        self.known = {}

    def locked(self, path):
        if path not in self.known:
            self.known[path] = self.disassemble(path)
        return self.known[path]

    @staticmethod
    def disassemble(path):
        if not os.path.isfile(path):
            return set()
        out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, check=False).stdout
        addresses = set()
        for line in out.splitlines():
            m = re.match(r"\s*([0-9a-f]+):\s+(.*)", line)
            if m and (m.group(2).startswith("lock ") or re.match(r"xchg\w*\s.*\(", m.group(2))):
                addresses.add(int(m.group(1), 16))
        return addresses


def parse_profile(path, code):
    """(all instructions, locked ones) of a callgrind file with instruction addresses."""
    total, locked, obj, names, address = 0, 0, "", {}, 0
    skip = False
    with open(path) as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("ob="):
                m = re.match(r"ob=\((\d+)\)(?: (.*))?", line)
                if m.group(2):
                    names[m.group(1)] = m.group(2)
                obj = names[m.group(1)]
            elif line.startswith("cob="):  # the object of a callee: only its name counts here
                m = re.match(r"cob=\((\d+)\)(?: (.*))?", line)
                if m.group(2):
                    names[m.group(1)] = m.group(2)
            elif line.startswith("calls="):
                skip = True  # the next line is the callee's cost, counted there
            elif line.startswith(("0x", "+", "-", "*")):
                fields = line.split()
                address = step(address, fields[0])
                if skip:
                    skip = False
                    continue
                cost = int(fields[-1]) if len(fields) > 2 else 0
                total += cost
                if address in code.locked(obj):
                    locked += cost
    return total, locked


def step(address, field):
    """Subposition compression: an address, a difference, or the same again."""
    if field == "*":
        return address
    if field[0] in "+-":
        return address + int(field, 0)
    return int(field, 16)


def profile(program, case, peer, pairs, code, folder):
    out = os.path.join(folder, "callgrind.out")
    command = ["valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={out}", program,
               f"--benchmark_filter=^{case}/{peer}(/iterations:[0-9]+)?/threads:1$", "--threads=1",
               f"--iterations={pairs}", "--benchmark_format=json"]
    done = subprocess.run(command, env=runner.ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    try:
        entry = json.loads(done.stdout)["benchmarks"][0]
    except (ValueError, LookupError):
        wrong = [l for l in done.stderr.splitlines() if l.startswith("bench: ") or "unhandled instruction" in l]
        raise runner.Broken(wrong[-1] if wrong else f"ended with status {done.returncode} under callgrind") from None
    if entry.get("error_occurred"):
        raise runner.Broken(entry["error_message"])
    return (entry["iterations"], *parse_profile(out, code))


def count(program, case, peer, few, many, code, folder):
    n0, all0, locked0 = profile(program, case, peer, few, code, folder)
    n1, all1, locked1 = profile(program, case, peer, many, code, folder)
    return (all1 - all0) / (n1 - n0), (locked1 - locked0) / (n1 - n0)


def parse():
    parser = runner.options()
    parser.add_argument("--program", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--filter", type=runner.pattern)
    parser.add_argument("--threads")
    parser.add_argument("--command", default=" ".join(sys.argv))
    parser.add_argument("--build-info", default="")
    return parser.parse_args()


def main():
    args = parse()
    if not shutil.which("valgrind") or not shutil.which("objdump"):
        runner.say("bench/run: --instructions needs valgrind and binutils")
        return 1
    if args.threads:
        runner.say("bench/run: --instructions counts one thread; --threads is ignored")
    peers = runner.read_peers(args.program)
    cases, what = runner.read_cases(args.program, {1})
    rows = [r for r in ROWS if not args.filter or re.search(args.filter, r[0])]
    rows = rows[:1] if args.quick else rows
    if not rows:
        runner.say("bench/run: no row matches; the rows are " + ", ".join(r[0] for r in ROWS))
        return 2
    runner.say(f"build     {args.build_info}\ncommand   {args.command}")
    code, report, failed = Code(), [], False
    with tempfile.TemporaryDirectory() as folder:
        for case, few, many in rows:
            runner.say(f"\n{case}: {what[case]} (instructions a pair; net: less those of null)")
            runner.say("  peer          instructions       net    locked")
            harness = 0.0
            for peer in PEERS.split():
                why = peers[peer]["missing"] or cases.get((case, peer, 1), "no such case")
                if why:
                    runner.say(f"  {peer:<14}skipped: {why}")
                    continue
                runner.progress(f"{case} {peer}" if sys.stderr.isatty() else "")
                try:
                    instructions, locked = count(args.program, case, peer, few, many, code, folder)
                except runner.Broken as error:
                    runner.progress("")
                    # callgrind does not know every instruction of every library
                    failed = failed or peer.startswith("ramka")
                    runner.say(f"  {peer:<14}skipped: {error}")
                    continue
                runner.progress("")
                harness = instructions if peer == "null" else harness
                net = instructions - harness
                runner.say(f"  {peer:<14}{instructions:12.1f}{net:10.1f}{locked:10.2f}")
                report.append({"case": case, "peer": peer, "instructions": round(instructions, 2), "net": round(net, 2),
                               "locked": round(locked, 3)})
    os.makedirs(args.out, exist_ok=True)
    path = os.path.join(args.out, "instructions.json")
    with open(path, "w") as f:
        json.dump({"command": args.command, "build": args.build_info, "peers": peers, "rows": report}, f, indent=1)
        f.write("\n")
    runner.say(f"\nJSON   {path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
