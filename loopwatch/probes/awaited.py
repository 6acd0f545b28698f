"""For which thread does a thread wait? Where the standard library's own frames tell: `Thread.join` and `Future.result`.

Of those frames the argument `self` is read, and of the executor's threads that of `_WorkItem.run`, which holds the future that is
being worked on (CPython 3.11-3.13, Lib/concurrent/futures/thread.py). Nothing of the program's own frames is read. For the watchdog
thread, between `sys._current_frames()` and the next thing that gives up the GIL.
"""

import sys
import threading
from concurrent.futures import Future
from types import FrameType
from typing import Any

from loopwatch.probes.variables import variable

__all__ = ["awaited_thread"]

_JOIN = threading.Thread.join.__code__
_RESULT = (Future.result.__code__, Future.exception.__code__)
INNERMOST = 6
MAX_THREADS = 200
"""Threads that are searched for one future."""


def awaited_thread(frame: FrameType | None, frames: dict[int, FrameType]) -> int | None:
    """Identity of the thread that `frame` waits for; None: it does not, or that cannot be told. Never raises."""
    for _ in range(INNERMOST):
        if frame is None:
            return None
        if frame.f_code is _JOIN or frame.f_code in _RESULT:
            return _behind(frame, frames)
        frame = frame.f_back
    return None


def _behind(frame: FrameType, frames: dict[int, FrameType]) -> int | None:
    try:
        waited_for = variable(frame, "self")
        if frame.f_code is _JOIN:
            ident = vars(waited_for).get("_ident")
            return ident if type(ident) is int and ident in frames else None
        return _worker_of(waited_for, frames)
    except Exception:  # noqa: BLE001 - not that far yet, or of an unexpected shape
        return None


def _worker_of(future: Any, frames: dict[int, FrameType]) -> int | None:
    pool = sys.modules.get("concurrent.futures.thread")
    work = None if pool is None else pool._WorkItem.run.__code__
    for ident, innermost in list(frames.items())[:MAX_THREADS]:
        running = _frame_of(innermost, work)
        if running is not None and getattr(variable(running, "self"), "future", None) is future:
            return ident
    return None


def _frame_of(frame: FrameType | None, code: Any, at_most: int = 200) -> FrameType | None:
    """The innermost frame of that code; None: it is not on the stack."""
    while frame is not None and at_most:
        if frame.f_code is code:
            return frame
        frame, at_most = frame.f_back, at_most - 1
    return None
