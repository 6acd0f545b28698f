"""Pools in which work may wait for a thread or a connection: how full they are, and what their threads are doing.

For the watchdog's thread, about twice a second. Lengths and attributes are read, no lock is taken, nothing is installed, and a
library that is not imported is not asked for. A pool that cannot be read (another version, being changed at that moment) is left
out of that look.
"""

import queue
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from loopwatch.clocks import time
from loopwatch.probes.collector import NO_COLLECTION
from loopwatch.probes.pools import anyio, executors
from loopwatch.probes.pools.base import Pool, Waiter
from loopwatch.probes.pools.executors import Executors
from loopwatch.probes.pools.sqlalchemy import ConnectionPools
from loopwatch.probes.stacks import Capture, capture
from loopwatch.records import LoopInfo

__all__ = ["Pool", "PoolProbe", "Waiter"]

MAX_WORKERS = 64
"""Threads whose stacks are taken; four microseconds each."""
MAX_FRAMES = 32
_GET = queue.Queue.get.__code__


class PoolProbe:
    """Reads all pools that serve watched loops."""

    def __init__(self) -> None:
        self._executors = Executors()
        self._connections = ConnectionPools()

    def read(self, loops: Sequence[tuple[Any, LoopInfo]]) -> list[Pool]:
        """All pools that are known now."""
        found: list[Pool] = []
        for loop, info in loops:
            found += _guarded(anyio.anyio_pool, loop, info)
        if executors.MODULE in sys.modules:
            with NO_COLLECTION:
                frames = sys._current_frames()
                try:
                    found += _guarded(self._executors.read, loops, frames)
                finally:
                    frames.clear()  # our own frame is among them, and holds them all
        if "sqlalchemy" in sys.modules:
            found += _guarded(self._connections.read, tuple(ident for pool in found for ident in pool.workers))
        return found

    def stacks(self, workers: Iterable[int]) -> tuple[int, tuple[Capture, ...]]:
        """Where these threads stand within the work that they do, and for how long the GIL had to be waited for, in nanoseconds.

        Idle threads are left out.
        """
        boundary = frozenset(id(code) for code in (*anyio.around_work(), *executors.around_work()))
        asked = time.monotonic_ns()
        # Gives the GIL up: how late a stack is can only be told from the time that it takes to get it back.
        time.sleep(0)
        with NO_COLLECTION:
            frames = sys._current_frames()
            late_ns = time.monotonic_ns() - asked
            chosen = [ident for ident in workers if ident in frames][:MAX_WORKERS]
            try:
                taken = [capture(frames[ident], boundary, MAX_FRAMES) for ident in chosen]
            finally:
                frames.clear()
        return late_ns, tuple(one for one in taken if not _is_idle(one))


def _guarded(read: Callable[..., Iterable[Pool]], *arguments: Any) -> list[Pool]:
    """What can be read: of private names of others, which may be missing, or changing while they are read."""
    found: list[Pool] = []
    with suppress(Exception):
        found.extend(read(*arguments))  # what came before a failure counts
    return found


def _is_idle(stack: Capture) -> bool:
    """Whether the thread waits for work: an executor's in C code (left out when it was read), anyio's in `Queue.get`."""
    return not stack.points or stack.points[-1][0] is _GET
