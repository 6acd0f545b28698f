"""Is memory flat over a million stalls?

A million synthetic stalls go through everything but a real loop, half of them from functions never seen before; some
thousands of real, short ones go through a real loop of each backend. After warm-up (the bounded stores are full by then) the
process must not grow: the largest reading of the second half is compared with the largest one between warm-up and there.
"""

import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import describe
from benchmarks.overhead.report import Check, Report, finish, options
from benchmarks.pairs import Estimate, run_child

READINGS = 40
WARM_UP = 0.25
"""Share of a run after which every bounded store has been filled at least once (see `hoarder.py` for what fills them)."""
LIMIT_PERCENT = 5.0
"""Caches that are emptied when they are full make a saw of it, of which a reading seldom hits the tip. Over half a million
stalls a leak of 8 bytes each (one pointer) would be over it."""


@dataclass(frozen=True, slots=True)
class Course:
    """One kind of stalls."""

    kind: str
    stalls: int
    quick: int


COURSES = (Course("synthetic", 1_000_000, 30_000), Course("asyncio", 6_000, 1_000), Course("uvloop", 6_000, 1_000))


def growth_percent(series: list[dict[str, int]], field: str) -> float:
    """Of the peak of the second half over the peak between warm-up and half."""
    warm, half = int(len(series) * WARM_UP), len(series) // 2
    early, late = max(one[field] for one in series[warm:half]), max(one[field] for one in series[half:])
    return (late / early - 1) * 100


def rows(course: Course, result: dict[str, Any]) -> list[tuple[object, ...]]:
    """A few readings of the series: enough to see its shape."""
    series = result["series"]
    shown = sorted({0, 1, int(len(series) * WARM_UP), len(series) // 2, len(series) * 3 // 4, len(series) - 1})
    return [
        (course.kind, series[at]["stalls"], f"{series[at]['rss_bytes'] / 2**20:.2f}", series[at]["objects"])
        for at in shown
    ]


def add(report: Report, course: Course, result: dict[str, Any], checked: bool) -> None:
    report.rows += rows(course, result)
    for field, unit in (("rss_bytes", "resident memory"), ("objects", "objects")) if checked else ():
        grown = growth_percent(result["series"], field)
        what = f"{course.kind}: {unit} grows after warm-up by"
        report.checks.append(Check(what, Estimate(grown, grown, grown, 1), LIMIT_PERCENT, "%"))
    counted, kept = result["counted"], result["kept"]
    words = ", ".join(f"{count} {name}" for name, count in counted.items())
    report.notes.append(f"{course.kind}: {words}; remembered: {kept['stalls']} stalls, {kept['incidents']} incidents")
    report.figures[course.kind] = result


def main(argv: list[str] | None = None) -> int:
    parser = options(__doc__)
    parser.add_argument("--kind", choices=[course.kind for course in COURSES], action="append", help="only this one")
    parser.add_argument(
        "--stalls", type=int, help="how many (default: a million synthetic, some thousands of real ones)"
    )
    arguments = parser.parse_args(argv)
    if not sys.platform.startswith("linux"):
        print("this benchmark reads resident memory from /proc, which only Linux has", file=sys.stderr)
        return 2
    report = Report("memory over many stalls", describe("uvloop"), ("stalls of", "stalls", "resident MiB", "objects"))
    for course in COURSES:
        if arguments.kind and course.kind not in arguments.kind:
            continue
        stalls = arguments.stalls or (course.quick if arguments.quick else course.stalls)
        chosen = ("--kind", course.kind, "--stalls", str(stalls), "--readings", str(READINGS))
        # One heap for all threads: glibc would else give each its own, and their number would be measured.
        result = run_child("benchmarks.overhead.children.hoarder", *chosen, timeout_s=7200, MALLOC_ARENA_MAX="1")
        add(report, course, result, checked=not arguments.quick)
    report.notes.append("each reading is taken after a full collection")
    if arguments.quick:
        report.notes.append("a quick run ends before the bounded stores are full: it still grows, and is not checked")
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
