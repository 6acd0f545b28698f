"""loopwatch itself, used as its readers would: a threshold and a sink."""

import time
from contextlib import ExitStack
from typing import Any

from benchmarks.accuracy.facts import Report

__all__ = ["detector"]


class _Loopwatch:
    inside = False

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._stalls: list[Any] = []
        self._stack = ExitStack()
        self._wall_less_monotonic_ns = 0

    def start(self, threshold_ms: float) -> None:
        import loopwatch

        # A stall says when it began by the wall clock.
        self._wall_less_monotonic_ns = time.time_ns() - time.monotonic_ns()
        settings = {"threshold_ms": threshold_ms, "sinks": [self._stalls.append], **self._settings}
        self._watch = self._stack.enter_context(loopwatch.watching(**settings))

    def stop(self) -> list[Report]:
        self._watch.flush()
        self._stack.close()
        return [self._report(stall) for stall in self._stalls if not stall.ongoing]

    def _report(self, stall: Any) -> Report:
        origin = stall.origin
        holding = stall.holder.stack if stall.holder else ()
        return Report(
            start_ns=int(stall.started_at.timestamp() * 1e9) - self._wall_less_monotonic_ns,
            duration_ms=stall.duration_ms,
            file=origin and origin.file,
            line=origin and origin.line,
            candidates=origin.candidates if origin else (),
            cause=str(stall.cause),
            exact=bool(origin and origin.exact),
            timing_exact=stall.timing == "exact",
            stack=tuple((frame.file, frame.line) for frame in (*stall.stack, *holding)),
        )


def detector() -> _Loopwatch:
    return _Loopwatch()
