"""Pauses by the garbage collector, noted by `gc.callbacks` on whichever thread collects.

A collection does not nest (CPython 3.11-3.13, Modules/gcmodule.c and Python/gc.c: `gcstate->collecting`), so one start time
will do. The callback must not raise: Python would print it.
"""

import gc
import threading
from collections import deque
from typing import Any

from loopwatch.clocks import time
from loopwatch.observations import Collection

__all__ = ["GarbageProbe"]

WORTH_NOTING_NS = 1_000_000


class GarbageProbe:
    """Remembers the latest collections of a millisecond or more."""

    def __init__(self) -> None:
        self._started_ns = 0
        self._noted: deque[tuple[int, Collection]] = deque(maxlen=512)

    def install(self) -> None:
        gc.callbacks.append(self._on_collection)

    def uninstall(self) -> None:
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        now = time.monotonic_ns()
        if phase == "start":
            self._started_ns = now
        elif self._started_ns and now - self._started_ns >= WORTH_NOTING_NS:
            fact = Collection(self._started_ns, now, info.get("generation", -1), info.get("collected", 0))
            self._noted.append((threading.get_ident(), fact))

    def within(self, thread_id: int, start_ns: int, end_ns: int) -> tuple[Collection, ...]:
        """Collections on that thread that overlap the given time. Called by the watchdog."""
        noted = list(self._noted)
        return tuple(c for thread, c in noted if thread == thread_id and c.end_ns > start_ns and c.start_ns < end_ns)
