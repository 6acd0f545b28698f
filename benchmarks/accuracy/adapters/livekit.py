"""livekit-agents' loop monitor: one report after each stall, with one or two samples of the stack and a few raw figures.

Its log keeps to five lines a minute and its spans need one of its jobs, so it is read where its own tests read it. It calls
no cause by name but "descheduled"; what its figures say is read as its documentation explains them.
"""

import asyncio
from typing import Any

from benchmarks.accuracy.adapters.frames import frames_of, monotonic_ns, place
from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]

MEANS = {
    "descheduled": ("starved", "suspended"),
    "gc_time": ("gc",),
    "cpu_time": ("python", "native", "overload"),
    "no cpu_time": ("sleep", "network", "disk", "subprocess", "lock"),
}


def report_of(report: Any) -> Report:
    """One `BlockedReport`. Its headline is the innermost frame of the last sample, the import system's frames left out."""
    stacks = [frames_of(stack) for stack in report.stacks]
    last = [(file, line) for file, line in (stacks or [()])[-1] if not file.startswith("<frozen importlib")]
    file, line = place(last)
    cause = _cause(report)
    every = tuple(frame for stack in stacks for frame in stack)
    start_ns = monotonic_ns(report.started_at)
    return Report(start_ns, report.duration * 1000, file, line, cause=cause, means=MEANS[cause], stack=every)


def _cause(report: Any) -> str:
    """The figure that tells the most."""
    if report.process_descheduled:
        return "descheduled"
    if report.gc_time >= report.duration / 2:
        return "gc_time"
    return "cpu_time" if report.cpu_time >= report.duration / 2 else "no cpu_time"


class _Livekit:
    inside = True

    def __init__(self) -> None:
        self._reports: list[Any] = []

    def start(self, threshold_ms: float) -> None:
        from livekit.agents.telemetry.loop_monitor import LoopMonitorThresholds, start_monitoring

        warn = threshold_ms / 1000
        monitor = start_monitoring(
            asyncio.get_running_loop(), thresholds=LoopMonitorThresholds(warn, max(0.5, warn)), emit_spans=False
        )
        if monitor is None:
            raise RuntimeError("its monitor is switched off, or watches this loop already")
        monitor._on_report = self._reports.append

    def stop(self) -> list[Report]:
        from livekit.agents.telemetry.loop_monitor import stop_monitoring

        stop_monitoring(asyncio.get_running_loop())
        return [report_of(report) for report in self._reports]


def detector() -> _Livekit:
    return _Livekit()
