"""fastapi-loopguard: how long the loop lagged, and which requests were in flight. It names no line.

It sets its threshold by itself, between 10 ms and the one that it is given. Its reader is taken to pass over the lines that
tell of less than the latter. "Cumulative" lines (many small lags within a second) tell of no stall, and are left out.
"""

import logging
import re
import time
from typing import Any

from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]

BLOCKED = re.compile(r"^Event loop blocked for ([\d.]+)ms")


def report_of(text: str, ended_ns: int, threshold_ms: float) -> Report | None:
    """The report that a log line is; None where it is another line."""
    found = BLOCKED.match(text)
    if not found or float(found[1]) < threshold_ms:
        return None
    duration_ms = float(found[1])
    return Report(ended_ns - int(duration_ms * 1e6), duration_ms)


class _Log(logging.Handler):
    def __init__(self, threshold_ms: float) -> None:
        super().__init__()
        self.threshold_ms = threshold_ms
        self.reports: list[Report] = []

    def emit(self, record: logging.LogRecord) -> None:
        report = report_of(record.getMessage(), time.monotonic_ns(), self.threshold_ms)
        if report:
            self.reports.append(report)


class _LoopGuard:
    inside = True

    def __init__(self) -> None:
        self._monitor: Any = None
        self._log: _Log | None = None

    async def start(self, threshold_ms: float) -> None:
        from fastapi_loopguard import LoopGuardConfig, SentinelMonitor

        self._log = _Log(threshold_ms)
        logging.getLogger("fastapi_loopguard").addHandler(self._log)
        # What its middleware does when an application starts.
        self._monitor = SentinelMonitor(LoopGuardConfig(fallback_threshold_ms=threshold_ms))
        await self._monitor.start_with_background_calibration()

    async def stop(self) -> list[Report]:
        await self._monitor.stop()
        return self._log.reports if self._log else []

    def install(self, app: Any, threshold_ms: float) -> None:
        from fastapi_loopguard import LoopGuardConfig, LoopGuardMiddleware

        # "log" is what its documentation gives for production.
        config = LoopGuardConfig(fallback_threshold_ms=threshold_ms, enforcement_mode="log")
        app.add_middleware(LoopGuardMiddleware, config=config)


def detector() -> _LoopGuard:
    return _LoopGuard()
