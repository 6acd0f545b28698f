"""What does a watched process cost while it has nothing to do, and does loopwatch ever wake its loop?

The kernel's own accounts of each thread are read from outside (Linux: /proc/PID/task), so measuring costs the measured
process nothing. All sides sit idle during the same seconds: what disturbs the machine disturbs them alike.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.machine import describe
from benchmarks.overhead.processes import ThreadUse, running, threads
from benchmarks.overhead.report import Check, Report, finish, options, plus_minus
from benchmarks.pairs import Estimate, bootstrap, differences

WORKLOADS = {
    "bare asyncio loop": ("idler", "asyncio"),
    "bare uvloop loop": ("idler", "uvloop"),
    "uvicorn on asyncio": ("server", "asyncio"),
    "uvicorn on uvloop": ("server", "uvloop"),
}
"""uvicorn looks after itself ten times a second, so its loop does wake; a bare loop never does."""
SIDES = {"without": "without", "without again": "without", "loopwatch": "loopwatch"}
LIMIT_PERCENT = 0.3
"""DESIGN section 6, of one core."""
SETTLE_S = 3.0
"""Imports, the watchdog's start and its first, faster polls are over by then."""


@dataclass(frozen=True, slots=True)
class Idle:
    """One process over one round."""

    percent: float
    """CPU of all its threads, of one core."""
    loop_wake_ups: float
    """Of the loop's thread, per second."""
    other_wake_ups: float
    """Of all other threads together, per second."""


def spent(before: dict[int, ThreadUse], after: dict[int, ThreadUse], loop_thread: int, seconds: float) -> Idle:
    """From two readings. A thread that began between them counts from zero."""
    nothing = ThreadUse("", 0, 0, 0)
    cpu_ns = sum(use.cpu_ns - before.get(thread, nothing).cpu_ns for thread, use in after.items())
    woken = {thread: use.wake_ups - before.get(thread, nothing).wake_ups for thread, use in after.items()}
    loop_woken = woken.pop(loop_thread)
    return Idle(cpu_ns / seconds / 1e9 * 100, loop_woken / seconds, sum(woken.values()) / seconds)


def measure_round(seconds: float) -> dict[str, dict[str, Idle]]:
    """Every workload and side at once, over the same seconds."""
    with ExitStack() as stack:
        processes = {}
        for workload, (child, backend) in WORKLOADS.items():
            for side, switch in SIDES.items():
                command = (f"benchmarks.overhead.children.{child}", "--backend", backend, "--side", switch)
                processes[workload, side] = stack.enter_context(running(*command))
        time.sleep(SETTLE_S)
        started_s = time.monotonic()
        before = {key: threads(ready["pid"]) for key, ready in processes.items()}
        time.sleep(seconds)
        after = {key: threads(ready["pid"]) for key, ready in processes.items()}
        elapsed_s = time.monotonic() - started_s
    figures: dict[str, dict[str, Idle]] = {workload: {} for workload in WORKLOADS}
    for (workload, side), ready in processes.items():
        # Both children run their loop on the main thread, whose id is the process's.
        figures[workload][side] = spent(before[workload, side], after[workload, side], ready["pid"], elapsed_s)
    return figures


def column(rounds: list[dict[str, dict[str, Idle]]], workload: str, side: str, field: str) -> list[float]:
    return [getattr(one[workload][side], field) for one in rounds]


def extra(rounds: list[dict[str, dict[str, Idle]]], workload: str, side: str, field: str) -> Estimate:
    return bootstrap(differences(column(rounds, workload, side, field), column(rounds, workload, "without", field)))


def add(report: Report, rounds: list[dict[str, dict[str, Idle]]], workload: str) -> None:
    noise = extra(rounds, workload, "without again", "percent")
    report.noise.append(f"{workload}: A/A difference {plus_minus(noise, 2)} % of a core")
    for side in SIDES:
        compared = side != "without"
        report.rows.append(
            (
                workload,
                side,
                f"{median(column(rounds, workload, side, 'percent')):.4f}",
                plus_minus(extra(rounds, workload, side, "percent"), 3) if compared else "",
                f"{median(column(rounds, workload, side, 'loop_wake_ups')):.2f}",
                f"{median(column(rounds, workload, side, 'other_wake_ups')):.1f}",
            )
        )
    cost, woken = extra(rounds, workload, "loopwatch", "percent"), extra(rounds, workload, "loopwatch", "loop_wake_ups")
    report.checks.append(Check(f"{workload}: loopwatch adds, of one core", cost, LIMIT_PERCENT, "%"))
    # A loop that wakes by itself has a few more or fewer switches by chance; one in ten seconds is no heartbeat.
    limit = 0.0 if workload.startswith("bare") else 0.1
    report.checks.append(Check(f"{workload}: wake-ups of the loop thread by loopwatch", woken, limit, "per s"))


def main(argv: list[str] | None = None) -> int:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, help="length of a round (default 20)")
    parser.add_argument("--rounds", type=int, help="(default 5)")
    arguments = parser.parse_args(argv)
    if not sys.platform.startswith("linux"):
        print("this benchmark reads the kernel's accounts of each thread, which only Linux shows", file=sys.stderr)
        return 2
    seconds, count = (3.0, 2) if arguments.quick else (arguments.seconds or 20.0, arguments.rounds or 5)
    columns = ("process", "side", "% of a core", "adds %", "loop wake-ups/s", "other threads' wake-ups/s")
    report = Report("an idle process", describe("uvicorn", "uvloop"), columns)
    rounds = [measure_round(seconds) for _ in range(count)]
    for workload in WORKLOADS:
        add(report, rounds, workload)
    report.figures["rounds"] = rounds
    report.notes.append(f"{count} rounds of {seconds:g} s; a wake-up is a voluntary context switch of the thread")
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
