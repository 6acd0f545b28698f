"""aiocop: an event after each slow callback, with audit events ("io") and samples of the stack.

Set up as its README does it.
"""

import sys
import time
from typing import Any

from benchmarks.accuracy.adapters.frames import Frame
from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]

MEANS = {
    "io_blocking": ("sleep", "network", "disk", "subprocess"),  # it counts time.sleep as such
    "cpu_blocking": ("python", "native", "gc", "overload"),
}


def report_of(event: Any, ended_ns: int) -> Report:
    """A `SlowTaskEvent` as its reader takes it: the stack with most samples; without samples, its gravest audit event."""
    gravest = sorted(event.blocking_events, key=lambda found: -(found["severity"] or 0))
    told = [*event.cpu_stack_samples, *gravest]
    stack = tuple(frame for one in told for frame in _frames(one["trace"]))
    file, line = next((place for one in told[:1] for place in _frames(one["entry_point"])), (None, None))
    start_ns = ended_ns - int(event.elapsed_ms * 1e6)
    return Report(
        start_ns,
        event.elapsed_ms,
        file,
        line,
        cause=event.reason,
        means=MEANS.get(event.reason, ()),
        timing_exact=True,
        stack=stack,
    )


def _frames(trace: str) -> list[Frame]:
    """Of "FILE:LINE:FUNCTION <- FILE:LINE:FUNCTION", innermost first."""
    parts = [frame.rsplit(":", 2) for frame in trace.split(" <- ")]
    return [(_whole(part[0]), int(part[1])) for part in parts if len(part) == 3]


def _whole(path: str) -> str:
    """It shortens paths below "/src/", site-packages and the standard library: a reader knows which file is meant."""
    if path.startswith("/"):
        return path
    files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return next((file for file in files if file and file.endswith("/" + path)), path)


class _Aiocop:
    inside = True

    def __init__(self) -> None:
        self._events: list[tuple[Any, int]] = []

    def start(self, threshold_ms: float) -> None:
        import aiocop

        aiocop.patch_audit_functions()
        aiocop.start_blocking_io_detection(trace_depth=20)
        aiocop.detect_slow_tasks(threshold_ms=int(threshold_ms), on_slow_task=self._slow)
        aiocop.activate()

    def stop(self) -> list[Report]:
        import aiocop

        aiocop.deactivate()
        return [report_of(event, ended_ns) for event, ended_ns in self._events]

    def _slow(self, event: Any) -> None:
        if event.exceeded_threshold:
            self._events.append((event, time.monotonic_ns()))


def detector() -> _Aiocop:
    return _Aiocop()
