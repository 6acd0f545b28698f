"""What does a turn of the loop cost, without loopwatch, with it, and with the two usual alternatives?

Each side runs in fresh processes, interleaved (`benchmarks.pairs`). Figures of a process are the median of its
batches; what a side adds is the median over rounds of its difference to `without` in the same round. `without` has a
second thread that does nothing (`park_a_thread` says why); `one thread` has none.
"""

import sys
from functools import partial
from statistics import median

from benchmarks.machine import describe
from benchmarks.overhead.children.turn import BACKENDS, ON_TRIO, SIDES
from benchmarks.overhead.report import Check, Report, finish, options, plus_minus
from benchmarks.pairs import Estimate, bootstrap, differences, interleave, run_child

AGAIN = "without again"
"""The second half of the A/A pair."""
LIMIT_US = {"asyncio": 0.25, "uvloop": 0.0, "trio": 1.0}
"""DESIGN section 6. Zero cannot be measured, only no difference beyond the noise: see `limit_us`."""
RESOLUTION_US = 0.01
"""A hundredth of the shortest turn: no two processes of one program agree better, however quiet the machine."""

Figures = dict[str, list[dict[str, list[float]]]]


def sides_of(backend: str) -> tuple[str, ...]:
    return ON_TRIO if backend == "trio" else SIDES


def measure_side(backend: str, side: str, turns: int, batches: int, _round: int) -> dict[str, list[float]]:
    chosen = ("--backend", backend, "--side", side, "--turns", str(turns), "--batches", str(batches))
    return run_child("benchmarks.overhead.children.turn", *chosen)


def measure(backend: str, quick: bool) -> Figures:
    """A batch takes some 50 ms on each backend, so ten fit between two bursts of a neighbour's load."""
    turns = {"asyncio": 20_000, "uvloop": 60_000, "trio": 8_000}[backend] // (10 if quick else 1)
    batches, rounds = (5, 2) if quick else (15, 14)
    sides = {AGAIN: "without"} | {side: side for side in sides_of(backend)}
    # Debug mode is some ten times slower: fewer turns give the same figure in the same time.
    calls = {
        name: partial(measure_side, backend, side, turns // 10 if side == "asyncio debug" else turns, batches)
        for name, side in sides.items()
    }
    return interleave(calls, rounds)


def per_process_us(figures: Figures, side: str, clock: str) -> list[float]:
    return [median(process[clock]) / 1000 for process in figures[side]]


def extra_us(figures: Figures, side: str, clock: str) -> Estimate:
    return bootstrap(differences(per_process_us(figures, side, clock), per_process_us(figures, "without", clock)))


def limit_us(backend: str, noise: Estimate) -> float:
    """The promised figure; where that is zero, what the A/A pairs cannot tell from zero."""
    return LIMIT_US[backend] or max(noise.width, abs(noise.median), RESOLUTION_US)


def row(backend: str, side: str, figures: Figures) -> tuple[object, ...]:
    walls = per_process_us(figures, side, "wall_ns")
    fastest = min(min(process["wall_ns"]) for process in figures[side]) / 1000
    name = side if side != "aiodebug" or backend == "asyncio" else "aiodebug (blind here)"
    base = per_process_us(figures, "without", "wall_ns")
    compared = side != "without"
    return (
        backend,
        name,
        f"{median(walls):.3f}",
        f"{fastest:.3f}",
        f"{min(walls):.3f} .. {max(walls):.3f}",
        plus_minus(extra_us(figures, side, "wall_ns"), 3) if compared else "",
        plus_minus(extra_us(figures, side, "cpu_ns"), 3) if compared else "",
        f"x{median(walls) / median(base):.2f}" if compared else "",
    )


def add(report: Report, backend: str, figures: Figures) -> None:
    noise, noise_wall = extra_us(figures, AGAIN, "cpu_ns"), extra_us(figures, AGAIN, "wall_ns")
    report.noise.append(
        f"{backend}: A/A difference {plus_minus(noise, 3)} us of CPU, {plus_minus(noise_wall, 3)} us of wall"
    )
    report.rows += [row(backend, side, figures) for side in (*SIDES[:2], AGAIN, *sides_of(backend)[2:])]
    what = f"{backend}: loopwatch adds per turn, in CPU of the loop's thread" + (
        "" if LIMIT_US[backend] else " (0 within the A/A noise)"
    )
    report.checks.append(Check(what, extra_us(figures, "loopwatch", "cpu_ns"), limit_us(backend, noise), "us"))
    report.figures[backend] = figures


def main(argv: list[str] | None = None) -> int:
    parser = options(__doc__)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="only this one (may be repeated)")
    arguments = parser.parse_args(argv)
    columns = ("backend", "side", "median us", "min us", "processes us", "adds us (wall)", "adds us (cpu)", "ratio")
    report = Report("cost of one turn of the loop", describe("uvloop", "trio", "aiodebug"), columns)
    for backend in arguments.backend or BACKENDS:
        add(report, backend, measure(backend, arguments.quick))
    report.notes.append("a process's figure is the median of its batches; [..] is the 95 % interval over the rounds")
    report.notes.append(
        "aiodebug replaces asyncio's Handle._run, which uvloop never calls: it sees and costs nothing there"
    )
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
