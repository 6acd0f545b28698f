"""For which thread does a thread wait? Where frames tell: `Thread.join`, `Future.result`, and calls into a loop.

Those are anyio's and trio's (`BlockingPortal.call`, `from_thread.run`): they wait for the thread that runs the loop. Of the
standard library's frames the argument `self` is read, and of the executor's threads that of `_WorkItem.run`, which holds the
future that is being worked on (CPython 3.11-3.13, Lib/concurrent/futures/thread.py); of a call into a loop, the variable that
names it. Nothing of the program's own frames is read. For the watchdog thread, between `sys._current_frames()` and the next
thing that gives up the GIL.
"""

import sys
import threading
from concurrent.futures import Future
from types import FrameType
from typing import Any

from loopwatch.probes.variables import frame_of, variable

__all__ = ["awaited_thread", "forget_loop", "forget_loops", "note_loop"]

_JOIN = threading.Thread.join.__code__
_RESULT = (Future.result.__code__, Future.exception.__code__)
INNERMOST = 8
CALLS_INTO_A_LOOP = {
    ("anyio.from_thread", "call"): "self",
    ("anyio._backends._asyncio", "run_async_from_thread"): "loop",
    ("anyio._backends._asyncio", "run_sync_from_thread"): "loop",
    ("trio._threads", "_send_message_to_trio"): "trio_token",
}
"""Module and function, and its variable that is the portal, the loop, or trio's token (anyio 4.8-4.16, trio 0.27-0.35)."""
MAX_THREADS = 200
"""Threads that are searched for one future."""


def awaited_thread(frame: FrameType | None, frames: dict[int, FrameType]) -> int | None:
    """Identity of the thread that `frame` waits for; None: it does not, or that cannot be told. Never raises."""
    for _ in range(INNERMOST):
        if frame is None:
            return None
        if frame.f_code is _JOIN:
            return _behind(frame, frames)
        # A future that no executor works for may be a loop's: then a frame further out says so.
        found = _behind(frame, frames) if frame.f_code in _RESULT else _of_loop(frame)
        if found is not None:
            return found if found in frames else None
        frame = frame.f_back
    return None


_threads: dict[int, int] = {}
"""By the identity of each loop that is watched, or of a trio run's token: the thread that runs it."""


def note_loop(loop: Any, thread_id: int) -> None:
    """A loop begins to be watched."""
    _threads[id(loop)] = thread_id


def forget_loop(loop: Any) -> None:
    """It is no longer."""
    _threads.pop(id(loop), None)


def forget_loops() -> None:
    """None is: this process is a fork's child."""
    _threads.clear()


def _of_loop(frame: FrameType) -> int | None:
    name = CALLS_INTO_A_LOOP.get((dict.get(frame.f_globals, "__name__", ""), frame.f_code.co_name))
    try:
        target = None if name is None else variable(frame, name)
        ident = vars(target).get("_event_loop_thread_id") if name == "self" else _threads.get(id(target))
    except Exception:  # noqa: BLE001 - not that far yet, or of an unexpected shape
        return None
    return ident if type(ident) is int else None


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
        running = frame_of(innermost, work)
        if running is not None and getattr(variable(running, "self"), "future", None) is future:
            return ident
    return None
