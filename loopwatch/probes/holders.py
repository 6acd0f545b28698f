"""Which other thread kept this one? Of the GIL: the one that burned the CPU meanwhile. Its stack is walked as the watchdog gets in.

What a thread burned is the growth of its CPU clock since it was last noted, so clocks are noted now and then, as long as the
process computes at all. Only threads that Python's `threading` knows have a number by which their clock is found; of these at
most `MAX_THREADS` are asked. For the watchdog thread; nothing here gives up the GIL.
"""

import threading
import time
from types import FrameType
from typing import Any

from loopwatch.observations import Hold
from loopwatch.probes.awaited import awaited_thread
from loopwatch.probes.stacks import Capture, capture
from loopwatch.probes.threads import ThreadProbe
from loopwatch.probes.workers import request_of_worker

__all__ = ["Held", "HolderProbe"]

MAX_THREADS = 64
NAMED = 2
"""Suspects per look: one of them may be the very thread that waits."""
MAX_FRAMES = 32
WORTH_NS = 2_000_000
"""A process that has burned less than this since clocks were noted is idle: they still hold."""


Held = tuple[Hold, Capture]
"""A thread that kept this one, and where it stood."""


class HolderProbe:
    """Knows which threads have computed lately."""

    def __init__(self) -> None:
        self._noted: dict[int, int] = {}
        self._process_ns = 0

    def note(self) -> None:
        """Remember every thread's clock."""
        process_ns = time.process_time_ns()
        if process_ns - self._process_ns < WORTH_NS:
            return
        self._process_ns = process_ns
        self._noted = {
            native_id: cpu_ns for _, _, native_id in _threads() if (cpu_ns := ThreadProbe.cpu_of(native_id)) is not None
        }

    def suspects(self, frames: dict[int, FrameType], at_ns: int, late_ns: int) -> tuple[Held, ...]:
        """The threads that burned most since `note`, heaviest first.

        Args:
            frames: What `sys._current_frames()` has just said.
            at_ns: When that was.
            late_ns: For how long the watchdog had waited for the GIL.
        """
        burned = []
        if not self._noted:
            return ()  # nothing to compare with
        for ident, name, native_id in _threads():
            cpu_ns = ThreadProbe.cpu_of(native_id)
            if cpu_ns is not None and ident in frames:
                # A thread that was not there when clocks were noted has burned all that it has since.
                burned.append((cpu_ns - self._noted.get(native_id, 0), name, native_id, ident))
        heaviest = sorted(burned, reverse=True)[:NAMED]
        return tuple(
            (
                Hold(at_ns, late_ns, name, native_id, cpu_ns, request=request_of_worker(frames[ident])),
                capture(frames[ident], frozenset(), MAX_FRAMES),
            )
            for cpu_ns, name, native_id, ident in heaviest
        )

    def awaited(self, frames: dict[int, FrameType], at_ns: int, thread_id: int) -> Held | None:
        """The thread that thread `thread_id` waits for; None: for none, or that cannot be told."""
        ident = awaited_thread(frames.get(thread_id), frames)
        if ident is None:
            return None
        threads = {one: (name, native_id) for one, name, native_id in _threads()}
        name, native_id = threads.get(ident, ("", 0))
        further = awaited_thread(frames[ident], frames)
        hold = Hold(
            at_ns,
            late_ns=0,
            thread=name,
            native_id=native_id,
            cpu_ns=0,
            awaited=True,
            request=request_of_worker(frames[ident]),
            waits_for=None if further is None else threads.get(further, ("", 0)),
        )
        return hold, capture(frames[ident], frozenset(), MAX_FRAMES)


def _threads() -> list[tuple[int, str, int]]:
    """Identity, name and kernel id of Python's threads: from `threading`'s own table (CPython 3.11-3.13), without its lock."""
    # `copy` is one step: a list of its items allocates, and a collection in the middle of that would let other threads in.
    known: list[tuple[int, Any]] = list(threading._active.copy().items())[:MAX_THREADS]  # type: ignore[attr-defined]
    fields = [(ident, vars(thread)) for ident, thread in known]
    return [
        (ident, str(own.get("_name")), own["_native_id"]) for ident, own in fields if type(own.get("_native_id")) is int
    ]
