"""pyleak: `async with no_event_loop_blocking(...)`, which raises at its end and lists what blocked meanwhile."""

from typing import Any

from benchmarks.accuracy.adapters.frames import monotonic_ns, place
from benchmarks.accuracy.facts import Report

__all__ = ["detector", "report_of"]


def report_of(block: Any) -> Report:
    """One `EventLoopBlock`. Its timestamp is that of its last sample."""
    stack = tuple((frame.filename, frame.lineno or 0) for frame in block.blocking_stack or ())
    file, line = place(stack)
    return Report(monotonic_ns(block.timestamp - block.duration), block.duration * 1000, file, line, stack=stack)


class _Pyleak:
    inside = True

    def __init__(self) -> None:
        self._guard: Any = None

    async def start(self, threshold_ms: float) -> None:
        from pyleak import no_event_loop_blocking

        # The interval that its README shows; what it takes by itself (50 ms) makes its durations shorter still.
        self._guard = no_event_loop_blocking(action="raise", threshold=threshold_ms / 1000, check_interval=0.01)
        await self._guard.__aenter__()

    async def stop(self) -> list[Report]:
        from pyleak import EventLoopBlockError

        try:
            await self._guard.__aexit__(None, None, None)
        except EventLoopBlockError as error:
            return [report_of(block) for block in error.blocking_events]
        return []


def detector() -> _Pyleak:
    return _Pyleak()
