"""Stretches of time in which the program said: blocking is expected here.

Written on the loop's thread (two dict operations, no lock), read by the watchdog. An allowance belongs to the task that
entered it, also while that task awaits and others run.
"""

import asyncio
import threading
from collections import deque

from loopwatch.clocks import time
from loopwatch.observations import Allowance
from loopwatch.probes.trio import task_here

__all__ = ["Entry", "enter", "leave", "within"]


class Entry:
    """One allowance under way, or over."""

    __slots__ = ("end_ns", "reason", "start_ns", "task_id", "thread_id", "up_to_ns")

    def __init__(self, reason: str, up_to_ns: int | None) -> None:
        self.reason = reason
        self.up_to_ns = up_to_ns
        self.thread_id = threading.get_ident()
        self.task_id = _task_id()
        self.end_ns: int | None = None
        self.start_ns = time.monotonic_ns()


_open: dict[int, Entry] = {}
_closed: deque[Entry] = deque(maxlen=1024)


def enter(reason: str, up_to_ns: int | None) -> Entry:
    """Begin an allowance for the current task of this thread."""
    entry = Entry(reason, up_to_ns)
    _open[id(entry)] = entry
    return entry


def leave(entry: Entry) -> None:
    """End it."""
    entry.end_ns = time.monotonic_ns()
    _closed.append(entry)
    _open.pop(id(entry), None)


def within(thread_id: int, start_ns: int, end_ns: int) -> tuple[Allowance, ...]:
    """Allowances of that thread that overlap the given time."""
    entries = {id(entry): entry for entry in (*list(_open.values()), *list(_closed))}
    return tuple(
        Allowance(entry.reason, entry.thread_id, entry.task_id, entry.start_ns, entry.end_ns, entry.up_to_ns)
        for entry in entries.values()
        if entry.thread_id == thread_id
        and entry.start_ns < end_ns
        and (entry.end_ns is None or entry.end_ns > start_ns)
    )


def _task_id() -> int | None:
    task = task_here()  # trio's first: as its guest's, it runs within a callback of asyncio
    if task is None:
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no loop runs in this thread
            return None
    return None if task is None else id(task)
