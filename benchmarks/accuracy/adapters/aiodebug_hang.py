"""aiodebug's `hang_inspection`: the stacks of all threads, three times a second apart, each time in a file."""

import re
import tempfile
import threading
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.accuracy.adapters.frames import frames_of, monotonic_ns, place
from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]

NAME = re.compile(r"stacktrace-(\d{8}-\d{6}\.\d{6})-0\.txt$")
"""The first file of a hang. The other two are written when a hang of less than a second is over, and belong to it."""
THREAD = re.compile(r"^# ThreadID: (\d+)$", re.MULTILINE)


def report_of(name: str, text: str, thread: int) -> Report | None:
    """What one file tells of the loop's thread; None where it is the second or third of a hang."""
    found = NAME.search(name)
    if not found:
        return None
    at_s = datetime.strptime(found[1], "%Y%m%d-%H%M%S.%f").timestamp()  # noqa: DTZ007  (it writes local time)
    parts = THREAD.split(text)
    stacks = {int(ident): frames_of(stack) for ident, stack in zip(parts[1::2], parts[2::2], strict=True)}
    file, line = place(stacks.get(thread, ()))
    every = tuple(frame for stack in stacks.values() for frame in stack)
    return Report(monotonic_ns(at_s), None, file, line, stack=every)


class _HangInspection:
    inside = True

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._running: Any = None

    def start(self, threshold_ms: float) -> None:
        from aiodebug import hang_inspection

        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Thread.setDaemon
            self._running = hang_inspection.start(self._folder.name, threshold_ms / 1000)

    async def stop(self) -> list[Report]:
        from aiodebug import hang_inspection

        await hang_inspection.stop_wait(self._running)
        thread = threading.get_ident()
        files = sorted(Path(self._folder.name).iterdir())
        reports = [report_of(file.name, file.read_text(), thread) for file in files]
        return [report for report in reports if report]


def detector() -> _HangInspection:
    return _HangInspection()
