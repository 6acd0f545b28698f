"""asyncio's debug mode: "Executing <Handle ...> took 0.300 seconds", logged after the callback has returned."""

import asyncio
import logging
import re
import time

from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]

PLACE = re.compile(r" at ([^ >]+):(\d+)")


def report_of(text: str, ended_ns: int) -> Report | None:
    """The report that such a message is; None where it is another message."""
    took = re.search(r"took ([\d.]+) seconds", text)
    if not took:
        return None
    duration_ms = float(took[1]) * 1000
    start_ns = ended_ns - int(duration_ms * 1e6)
    places = [(file, int(line)) for file, line in PLACE.findall(text)]
    file, line = places[0] if places else (None, None)
    return Report(start_ns, duration_ms, file, line, timing_exact=True, stack=tuple(places))


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Report] = []

    def emit(self, record: logging.LogRecord) -> None:
        report = report_of(record.getMessage(), time.monotonic_ns())
        if report:
            self.reports.append(report)


class _DebugMode:
    inside = True

    def __init__(self) -> None:
        self._log = _Log()

    def start(self, threshold_ms: float) -> None:
        logging.getLogger("asyncio").addHandler(self._log)
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = threshold_ms / 1000
        loop.set_debug(True)

    def stop(self) -> list[Report]:
        asyncio.get_running_loop().set_debug(False)
        return self._log.reports


def detector() -> _DebugMode:
    return _DebugMode()
