"""aiodebug's `log_slow_callbacks`: the name of the slow callback and how long it took, after it has returned."""

import time

from benchmarks.accuracy.adapters.asyncio_debug import report_of
from benchmarks.accuracy.facts import Report

__all__ = ["detector"]


class _SlowCallbacks:
    """It replaces `asyncio.events.Handle._run`, which uvloop never calls, and offers no way to put it back."""

    inside = False

    def __init__(self) -> None:
        self._reports: list[Report] = []

    def start(self, threshold_ms: float) -> None:
        from aiodebug import log_slow_callbacks

        log_slow_callbacks.enable(threshold_ms / 1000, self._slow)

    def stop(self) -> list[Report]:
        return self._reports

    def _slow(self, name: str, seconds: float) -> None:
        # The very sentence that it logs where it is given no callback.
        report = report_of(f"Executing {name} took {seconds:.3f} seconds", time.monotonic_ns())
        if report:
            self._reports.append(report)


def detector() -> _SlowCallbacks:
    return _SlowCallbacks()
