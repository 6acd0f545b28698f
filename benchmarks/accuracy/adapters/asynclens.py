"""asynclens: two log records a stall, "blocked" and "released", with the frames of the user's code in all threads."""

import logging
import re
import time
from typing import Any

from benchmarks.accuracy.adapters.frames import Frame, place
from benchmarks.accuracy.facts import Report

__all__ = ["detector", "reports_of"]

Record = tuple[int, str]
"""When it was logged (monotonic nanoseconds), and its text."""

FRAME = re.compile(r"^\s+\d+:\d+ \((.*?)\) \S+ (.+) l\. (\d+) in `", re.MULTILINE)
RELEASED = re.compile(r"Loop released! \(Blocked for (\d+)ms\)")
BLOCKED = "Loop blocked!"
LOOP = "MainThread"
"""The name that it gives our loop's thread."""


def reports_of(records: list[Record]) -> list[Report]:
    """One for each stall; one that was not released is told by its first record alone."""
    reports: list[Report] = []
    begun: Record | None = None
    for at_ns, text in records:
        released = RELEASED.search(text)
        if BLOCKED in text:
            if begun:
                reports.append(_report(begun, begun, None))
            begun = (at_ns, text)
        elif released:
            reports.append(_report(begun or (at_ns, text), (at_ns, text), float(released[1])))
            begun = None
    return reports + ([_report(begun, begun, None)] if begun else [])


def _report(begun: Record, ended: Record, duration_ms: float | None) -> Report:
    """The headline is the last line of the loop's thread while it was blocked."""
    frames = _frames(begun[1])
    loop = [frame for thread, frame in frames if thread == LOOP]
    file, line = place(loop or [frame for _, frame in frames])
    every = tuple(frame for _, frame in (*frames, *_frames(ended[1])))
    start_ns = begun[0] if duration_ms is None else ended[0] - int(duration_ms * 1e6)
    return Report(start_ns, duration_ms, file, line, stack=every)


def _frames(text: str) -> list[tuple[str, Frame]]:
    return [(thread, (file, int(line))) for thread, file, line in FRAME.findall(text)]


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((time.monotonic_ns(), record.getMessage()))


class _AsyncLens:
    inside = True

    def __init__(self) -> None:
        self._watchdog: Any = None
        self._log = _Log()

    def start(self, threshold_ms: float) -> None:
        from asynclens import AsyncWatchdog

        logging.getLogger("asynclens").addHandler(self._log)
        self._watchdog = AsyncWatchdog(threshold_ms=int(threshold_ms), name=LOOP)
        self._watchdog.start()

    async def stop(self) -> list[Report]:
        await self._watchdog.stop()
        return reports_of(self._log.records)


def detector() -> _AsyncLens:
    return _AsyncLens()
