"""loopsentry: events in a file while the loop is blocked, read back with its own analyser (Python 3.12+)."""

import tempfile
from datetime import datetime
from typing import Any

from benchmarks.accuracy.adapters.frames import frames_of, monotonic_ns, place
from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]

MEANS = {
    "Blocking Sleep": ("sleep",),
    "Sync HTTP (requests)": ("network",),
    "Sync Subprocess": ("subprocess",),
    "🔒 Resource Lock": ("lock",),
    "⚠ CPU Loop?": ("python", "native", "overload"),
}
"""The analyser's hints. "Logic Block" says of no cause that it is one."""


def report_of(block: dict[str, Any]) -> Report:
    """One of the analyser's blocks. Its list shows the innermost frame of the user's code, without one the innermost."""
    stack = frames_of("".join(block.get("stack") or ()))
    user = block.get("user_frames") or ()
    file, line = (user[0]["file"], user[0]["line"]) if user else place(stack)
    seconds = block["total_duration"]
    hint = block["hint"] if block["hint"] in MEANS else None
    return Report(
        monotonic_ns(datetime.fromisoformat(block["timestamp"]).timestamp()),
        seconds * 1000 if isinstance(seconds, float) else None,
        file,
        line,
        cause=hint,
        means=MEANS.get(hint or "", ()),
        stack=stack,
    )


class _LoopSentry:
    inside = True

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._sentry: Any = None

    def start(self, threshold_ms: float) -> None:
        from loopsentry import LoopSentry

        self._sentry = LoopSentry(base_dir=self._folder.name, threshold=threshold_ms / 1000)
        self._sentry.start()

    def stop(self) -> list[Report]:
        from loopsentry.analyzer import Analyzer

        self._sentry.stop()
        analyzer = Analyzer(self._folder.name)
        analyzer.run()
        return [report_of(block) for block in analyzer.blocks]


def detector() -> _LoopSentry:
    return _LoopSentry()
