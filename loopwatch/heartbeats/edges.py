"""What heartbeats share that stand at both edges of the loop's poll: exact turns for two clock reads each.

`asyncio_selector` and `trio` know where that poll is; what is put around it, and the accounts, are here. With no lock:
- `since` is written by the loop thread only: 0 while it waits, else the start of the turn;
- a finished turn is appended before the loop waits, so a stall that the watchdog slept through is still there afterwards;
- deques have a bound, and `append` / `popleft` are atomic under the GIL.

What keeps it cheap: times are floats (`time.monotonic`), which Python adds and compares several times faster than integers of
that size.
"""

import math
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from loopwatch.clocks import time
from loopwatch.heartbeats.base import drained
from loopwatch.observations import Reading, Turn
from loopwatch.records import LoopInfo

__all__ = ["MAX_FINISHED", "EdgeHeartbeat"]

MAX_FINISHED = 4096
"""Turns kept for the watchdog; at the smallest useful threshold that is more than it can ever be late."""


class EdgeHeartbeat:
    """Implements `Heartbeat`, but for `attach`, `detach` and `ready`."""

    __slots__ = ("_adopted", "_began", "_bound", "_ended", "_idle", "_limit", "_turns", "_waits", "info", "since")
    records_turns = True

    def __init__(self, info: LoopInfo, limit_ns: int, adopted: bool = False) -> None:
        self._adopted = adopted
        self._bound = 0.0  # start of a turn that was under way when we came: only a bound
        self._began = self._ended = self._idle = self._waits = 0.0
        self._turns: deque[Turn] = deque(maxlen=MAX_FINISHED)
        self.info = info
        self.limit_ns = limit_ns
        self.since = 0.0
        """Seconds on the monotonic clock; 0 while the loop waits."""

    @property
    def limit_ns(self) -> int:
        return sys.maxsize if self._limit == math.inf else _ns(self._limit)

    @limit_ns.setter
    def limit_ns(self, limit_ns: int) -> None:
        self._limit = limit_ns / 1e9

    # ── the loop's side ─────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, now: float) -> None:
        self._began = self.since = now
        self._bound = now if self._adopted else 0.0

    def _end(self, now: float) -> None:
        """The last turn ends, and no more are told."""
        if self.since and now - self.since > self._limit:
            self._note_turn(now)
        self._ended, self.since = now, 0.0
        self._limit = math.inf

    def _around(self, original: Callable[[Any], Any]) -> Callable[..., Any]:
        """What to call in place of the loop's poll, which takes its timeout in seconds (0: do not wait)."""
        beat = self
        now = time.monotonic

        def poll(timeout: float | None = None) -> Any:
            if timeout == 0:
                # More is ready to run: this poll does not wait, and one clock read ends a turn and begins the next.
                events = original(timeout)
                woke = now()
                if woke - beat.since > beat._limit:
                    beat._note_turn(woke)
                beat.since = woke
                return events
            ended = now()
            if ended - beat.since > beat._limit:
                beat._note_turn(ended)
            beat._waits = ended
            beat.since = 0.0
            events = original(timeout)
            beat.since = woke = now()
            waited = woke - ended
            beat._idle += waited
            if waited > beat._limit:
                beat._note_wait(ended, woke, timeout)
            return events

        return poll

    def _went_idle(self, ended: float) -> None:
        """The poll begins: the turn is over."""
        if ended - self.since > self._limit:
            self._note_turn(ended)
        self._waits = ended
        self.since = 0.0

    def _woke(self, woke: float) -> float:
        """The poll is over: a turn begins. Returns how long it took."""
        self.since = woke
        waited = woke - self._waits
        self._idle += waited
        return waited

    def _note_turn(self, ended: float) -> None:
        since = self.since
        if since:  # 0: detached, but another tool's wrapper still calls the hook
            self._turns.append(Turn(_ns(since), _ns(since), _ns(ended), exact=since != self._bound))

    def _note_wait(self, began: float, woke: float, timeout: float | None) -> None:
        """A long wait: late by its own timeout, or perhaps kept from waking (for the watchdog to say)."""
        due = began + timeout if timeout is not None and timeout > 0 else woke
        overran = woke - due > self._limit
        self._turns.append(Turn(_ns(began), _ns(due if overran else began), _ns(woke), exact=overran, waited=True))

    # ── the watchdog's side ─────────────────────────────────────────────────────────────────────────────────────

    def read(self, now_ns: int) -> Reading:
        since = self.since
        return Reading(_ns(since), _ns(since) or None, exact=since != self._bound)

    def quiet_turn(self, now_ns: int) -> int | None:
        return None if self.since or self._turns else 0

    def running(self, reading: Reading, stack_empty: bool | None) -> bool:
        return True

    def finished(self) -> list[Turn]:
        return drained(self._turns)

    def expect_end(self, turn: int) -> None:
        """Nothing to do: the edge will tell."""

    def busy_ns(self, now_ns: int) -> int | None:
        until = self._ended or now_ns / 1e9
        waiting = until - self._waits if not self.since and not self._ended else 0.0
        return max(0, _ns(until - self._began - self._idle - waiting))


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
