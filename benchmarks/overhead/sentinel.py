"""What does the sentinel cost, and how long after a stall's start does it know the line that keeps the GIL?

Its CPU time and that of the py-spy runs it started are read from the kernel's accounts, from outside, beside a loop that is
idle, a busy one (three quarters of the time), one that never waits, and a busy one beside threads that want the GIL as well.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.machine import describe
from benchmarks.overhead.processes import cpu_ns, running
from benchmarks.overhead.report import Check, Report, finish, options, plus_minus
from benchmarks.pairs import Estimate, bootstrap, run_child
from loopwatch.sentinel.refusal import find_program

CHILD = "benchmarks.overhead.children.guarded"
CASES = {
    "idle": "an idle loop",
    "busy": "a busy loop",
    "saturated": "a saturated loop",
    "crowded": "a busy loop and four busy threads",
}
LIMIT_PERCENT, LIMIT_MB, LIMIT_MS = 0.3, 15.0, 130.0
"""Of one core and of memory: issue 3. Of the reaction time ("about 100 ms"): what it comes to with the watchdog at rest."""
SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One sentinel over one round."""

    percent: float
    """Its own CPU, of one core."""
    py_spy_percent: float
    """That of the py-spy runs which it started."""
    resident_mb: float


def children_ns(pid: int) -> int:
    """CPU time of the ended children of a process (proc_pid_stat(5), fields 16 and 17), in steps of a clock tick."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[13]) + int(words[14])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """The most that it ever had in memory, shared pages included."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def measure(case: str, seconds: float) -> Cost:
    with running(CHILD, "--do", case) as ready:
        sentinel = ready["sentinel"]
        time.sleep(SETTLE_S)
        began_ns, before, spied = time.monotonic_ns(), cpu_ns(sentinel), children_ns(sentinel)
        time.sleep(seconds)
        elapsed_ns = time.monotonic_ns() - began_ns
        own, py_spy = cpu_ns(sentinel) - before, children_ns(sentinel) - spied
        return Cost(own / elapsed_ns * 100, py_spy / elapsed_ns * 100, resident_mb(sentinel))


def add_cost(report: Report, case: str, costs: list[Cost]) -> None:
    percent = bootstrap([cost.percent for cost in costs])
    spied = median(cost.py_spy_percent for cost in costs)
    most = max(cost.resident_mb for cost in costs)
    report.rows.append((CASES[case], plus_minus(percent, 3), f"{spied:.3f}", f"{most:.1f}"))
    report.figures[case] = costs
    if case in ("idle", "busy"):
        report.checks.append(Check(f"{CASES[case]}: the sentinel takes, of one core", percent, LIMIT_PERCENT, "%"))
    report.checks.append(Check(f"{CASES[case]}: resident memory", Estimate(most, most, most, 1), LIMIT_MB, "MB"))


def add_reaction(report: Report, backend: str, count: int) -> None:
    stalls = run_child(CHILD, "--do", "stalls", "--backend", backend, "--count", str(count))["stalls"]
    known = [stall["known_ms"] for stall in stalls if stall["known_ms"] is not None]
    report.figures[f"stalls on {backend}"] = stalls
    length = median(stall["stall_ms"] for stall in stalls)
    report.notes.append(f"{backend}: {len(known)} of {len(stalls)} stalls of {length:.0f} ms were seen")
    if len(known) > 1:
        dumps = [stall["dump_ms"] for stall in stalls if stall["dump_ms"] is not None]
        deciles = quantiles(known, n=10, method="inclusive")
        report.notes.append(
            f"{backend}: the line was known {median(known):.0f} ms after the stall began (fastest {min(known):.0f}, "
            f"nine in ten within {deciles[-1]:.0f}, slowest {max(known):.0f}); py-spy itself took {median(dumps):.0f} ms"
        )
        report.checks.append(Check(f"{backend}: reaction time", bootstrap(known), LIMIT_MS, "ms"))


def main(argv: list[str] | None = None) -> int:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, help="length of a round (default 15)")
    parser.add_argument("--rounds", type=int, help="(default 3)")
    parser.add_argument("--stalls", type=int, help="per backend, 30 at most (default 25)")
    arguments = parser.parse_args(argv)
    if not sys.platform.startswith("linux") or find_program() is None:
        print("the sentinel needs Linux and py-spy: pip install 'loopwatch[sentinel]'", file=sys.stderr)
        return 2
    seconds, rounds, stalls = 3.0, 1, 4
    if not arguments.quick:
        seconds, rounds, stalls = arguments.seconds or 15.0, arguments.rounds or 3, arguments.stalls or 25
    columns = ("beside", "% of a core", "py-spy %", "MB resident, at most")
    report = Report("the sentinel", describe("uvloop", "py-spy"), columns)
    for case in CASES:
        add_cost(report, case, [measure(case, seconds) for _ in range(rounds)])
    for backend in ("asyncio", "uvloop"):
        add_reaction(report, backend, stalls)
    report.notes.append(f"{rounds} rounds of {seconds:g} s; memory counts the pages shared with the program's Python")
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
