"""The stack of another thread, walked at once to plain tuples.

`sys._current_frames()` hands out live frames. Nothing here does I/O or calls into the watched program between one frame and
the next, since giving up the GIL lets the loop run on and yields a torn stack that never existed. Locals are never read:
`f_locals` of a foreign frame copies and keeps them alive. The one exception is the argument that names the request
(`loopwatch.probes.requests`).
"""

import asyncio
import sys
from dataclasses import dataclass
from types import CodeType, FrameType

from loopwatch.probes.requests import request_of, server_span_of
from loopwatch.probes.variables import variable
from loopwatch.records import RequestInfo, TraceInfo

__all__ = ["Capture", "capture"]

POLL = "loopwatch.heartbeats.edges"
"""The module of our hook around the poll of asyncio's and trio's loops."""
MAX_WALK = 4096
"""Frames walked at most; a quarter of a microsecond each."""

Point = tuple[CodeType, int, str | None]
"""A code object, the offset of its last instruction, and the module's name."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One walked stack, innermost first. Holds code objects, never frames."""

    points: tuple[Point, ...]
    omitted: int = 0
    """Frames left out of the middle."""
    request: RequestInfo | None = None
    progress: tuple[int, int] | None = None
    """(n, m): the n-th of m callbacks of asyncio's present turn; None elsewhere."""
    polling: bool = False
    """Whether it stands in the loop's own poll, through our hook: what the turn's time went into lies elsewhere."""
    trace: TraceInfo | None = None
    """The server's span of that request, where only the stack knows it: on Python 3.11."""


_RUN_ONCE = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]


def capture(frame: FrameType | None, boundary: frozenset[int], max_frames: int) -> Capture:
    """Walk from `frame` outwards up to the loop itself.

    Args:
        frame: The innermost frame; None: a thread without one.
        boundary: `id()` of the code objects that run loops: what lies outside the innermost of them is not part of a turn.
        max_frames: Points to keep.
    """
    points: list[Point] = []
    request: RequestInfo | None = None
    trace: TraceInfo | None = None
    progress: tuple[int, int] | None = None
    polling = False
    name = dict.get  # module globals may be a dict with methods of its own
    while frame is not None and len(points) < MAX_WALK:
        code = frame.f_code
        if id(code) in boundary:
            progress = _progress(frame) if code is _RUN_ONCE else None
            break
        module = name(frame.f_globals, "__name__")
        points.append((code, frame.f_lasti, module))
        polling = polling or module == POLL
        if request is None:
            request = request_of(frame, code)
            if request is not None and sys.version_info < (3, 12):
                trace = server_span_of(frame)
        frame = frame.f_back
    kept, omitted = _bounded(points, max_frames)
    return Capture(kept, omitted, request, progress, polling, trace)


def _progress(run_once: FrameType) -> tuple[int, int] | None:
    """asyncio's own counters (CPython 3.11-3.13, Lib/asyncio/base_events.py, `_run_once`: `for i in range(ntodo)`)."""
    try:
        done, todo = variable(run_once, "i"), variable(run_once, "ntodo")
    except Exception:  # noqa: BLE001 - another Python's `_run_once`, or not that far yet
        return None
    return (done + 1, todo) if type(done) is int and type(todo) is int else None


def _bounded(points: list[Point], limit: int) -> tuple[tuple[Point, ...], int]:
    if len(points) <= limit:
        return tuple(points), 0
    inner = limit // 2
    outer = limit - inner
    return (*points[:inner], *points[-outer:]), len(points) - limit
