"""For how long does one stack capture hold the GIL, by the depth of the stack and the number of threads?

`paused` is what the host feels: the watchdog has slept before each capture, so caches have gone cold. `tight` repeats
captures without a pause: the cost of the instructions alone. `first` is the first capture of a stack never seen before.
"""

import sys
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from benchmarks.machine import describe
from benchmarks.overhead.report import Check, Report, finish, options, plus_minus
from benchmarks.pairs import Estimate, bootstrap, interleave, ratios, run_child

LIMIT_US = 50.0
"""DESIGN section 6, for 50 frames."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One stack, one process."""

    depth: int
    threads: int
    request: bool = False
    burner: bool = False
    checked: bool = False
    """Whether the promised figure is about this setting."""

    @property
    def label(self) -> str:
        extras = ["an ASGI app on the stack"] * self.request + ["beside a burning thread"] * self.burner
        return ", ".join([f"{self.depth} frames, {self.threads} threads", *extras])


SETTINGS = (
    *(Setting(depth, 1, checked=depth == 50) for depth in (5, 20, 50, 200, 2000)),
    Setting(50, 50, checked=True),
    Setting(50, 500),
    Setting(50, 1, request=True, checked=True),
    Setting(50, 1, burner=True),
)

Process = dict[str, Any]


def measure_setting(setting: Setting, count: int, _round: int) -> Process:
    chosen = ("--depth", str(setting.depth), "--threads", str(setting.threads), "--count", str(count))
    flags = ["--request"] * setting.request + ["--burner"] * setting.burner
    return run_child("benchmarks.overhead.children.capturer", *chosen, *flags)


def total_us(processes: list[Process], kind: str) -> list[float]:
    """One figure a process: the median of its captures, getting at the frames included."""
    return [median(frames + walk for frames, walk in process[kind]) / 1000 for process in processes]


def frames_us(processes: list[Process]) -> float:
    """Of a capture, the part that `sys._current_frames()` takes: it grows with the number of threads."""
    return float(median(median(frames for frames, _ in process["paused_ns"]) for process in processes)) / 1000


def high_us(processes: list[Process], share: float) -> float:
    every = sorted(frames + walk for process in processes for frames, walk in process["paused_ns"])
    return float(every[min(len(every) - 1, int(len(every) * share))]) / 1000


def row(setting: Setting, processes: list[Process]) -> tuple[object, ...]:
    paused: Estimate = bootstrap(total_us(processes, "paused_ns"))
    return (
        setting.label,
        median(process["depth"] for process in processes),
        plus_minus(paused, 3),
        f"{high_us(processes, 0.99):.1f}",
        f"{median(total_us(processes, 'tight_ns')):.1f}",
        f"{median(total_us(processes, 'first_ns')):.1f}",
        f"{frames_us(processes):.1f}",
    )


def add(report: Report, setting: Setting, processes: list[Process]) -> None:
    report.rows.append(row(setting, processes))
    if setting.checked:
        what = f"{setting.label}: one capture holds the GIL for"
        report.checks.append(Check(what, bootstrap(total_us(processes, "paused_ns")), LIMIT_US, "us"))
    report.figures[setting.label] = processes


def main(argv: list[str] | None = None) -> int:
    arguments = options(__doc__).parse_args(argv)
    columns = ("stack", "walked", "paused us", "p99 us", "tight us", "first us", "of it finding the frame us")
    report = Report("one stack capture", describe(), columns)
    count, rounds = (100, 2) if arguments.quick else (500, 8)
    again = "50 frames, again"
    sides = {setting.label: partial(measure_setting, setting, count) for setting in SETTINGS}
    figures = interleave(sides | {again: partial(measure_setting, SETTINGS[2], count)}, rounds)
    for setting in SETTINGS:
        add(report, setting, figures[setting.label])
    pairs = ratios(total_us(figures[again], "paused_ns"), total_us(figures[SETTINGS[2].label], "paused_ns"))
    spread = f"{min(pairs):.2f} .. {max(pairs):.2f}"
    report.noise.append(f"A/A ratio of 50 frames, 1 threads {plus_minus(bootstrap(pairs), 3)}, single rounds {spread}")
    report.notes.append(
        "the captured thread stands still, so the time of a capture is the time for which it holds the GIL"
    )
    report.notes.append(
        "beside a burning thread the median would be 5000 us if a capture gave the GIL away; caches are shared"
    )
    return finish(report, arguments)


if __name__ == "__main__":
    sys.exit(main())
