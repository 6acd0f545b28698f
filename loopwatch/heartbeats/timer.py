"""The fall-back for a loop that shows nothing of itself: a `call_later` that should come back in time.

It wakes an idle loop (that is why it is the last choice), and it knows a stall's start only as a bound: at some moment
between two beats.
"""

from collections import deque
from typing import Any

from loopwatch.clocks import time
from loopwatch.heartbeats.base import drained
from loopwatch.observations import Reading, Turn
from loopwatch.records import LoopInfo

__all__ = ["TimerHeartbeat"]


class TimerHeartbeat:
    """The heartbeat of any loop with `call_soon` and `call_later`. Implements `Heartbeat`."""

    records_turns = True

    def __init__(self, loop: Any, info: LoopInfo, limit_ns: int) -> None:
        self.info = info
        self.limit_ns = limit_ns
        self._loop: Any = loop
        self._turns: deque[Turn] = deque(maxlen=1024)
        self._due_ns = 0
        self._handle: Any = None

    def attach(self) -> None:
        self._due_ns = time.monotonic_ns()
        self._handle = self._loop.call_soon(self._beat)

    def _beat(self) -> None:
        now = time.monotonic_ns()
        if self._loop is None:
            return
        self._note_end(now)
        # A quarter of the limit: a stall of the limit's length always holds up one beat for most of it.
        interval_ns = max(self.limit_ns // 4, 5_000_000)
        self._due_ns = now + interval_ns
        self._handle = self._loop.call_later(interval_ns / 1e9, self._beat)

    def _note_end(self, now: int) -> None:
        if now - self._due_ns > self.limit_ns:
            self._turns.append(Turn(self._due_ns, self._due_ns, now, exact=False))

    def detach(self) -> None:
        self._note_end(time.monotonic_ns())
        handle, self._handle, self._loop = self._handle, None, None
        if handle is not None:
            handle.cancel()

    def read(self, now_ns: int) -> Reading:
        due = self._due_ns
        return Reading(due, due if self._loop is not None and now_ns > due else None, exact=False)

    def quiet_turn(self, now_ns: int) -> int | None:
        due = self._due_ns
        return due if now_ns <= due and not self._turns else None

    def running(self, reading: Reading, stack_empty: bool | None) -> bool:
        return True

    def finished(self) -> list[Turn]:
        return drained(self._turns)

    def expect_end(self, turn: int) -> None:
        """Nothing to do: the late beat will tell."""

    def ready(self) -> int | None:
        """Such a loop keeps its ready queue to itself."""
        return None

    def busy_ns(self, now_ns: int) -> int | None:
        """Not known: the CPU clock must do."""
        return None
