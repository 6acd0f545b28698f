"""Exact turns of an asyncio loop, from both edges of its selector's `select`.

`BaseEventLoop._run_once` (CPython 3.11-3.13, Lib/asyncio/base_events.py) calls `self._selector.select(timeout)` once a
turn and nothing else in it can wait. Replacing `select` on that one selector instance therefore gives every turn for two
clock reads, and an idle loop is left alone. Proactor loops set `_selector` to their proactor (Lib/asyncio/proactor_events.py).

What the hook guarantees, with no lock:
- `since` is written by the loop thread only: 0 while it waits, else the start of the turn;
- a finished turn is appended before the loop waits, so a stall that the watchdog slept through is still there afterwards;
- deques have a bound, and `append` / `popleft` are atomic under the GIL.

What keeps it cheap: times are floats (`time.monotonic`), which Python adds and compares several times faster than integers of
that size; and the selector's `__dict__` is never asked for, since that would slow down every later access to its attributes.
"""

import math
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from loopwatch.clocks import time
from loopwatch.observations import Reading, Turn
from loopwatch.records import LoopInfo

__all__ = ["SelectorHeartbeat"]

MAX_FINISHED = 4096
"""Turns kept for the watchdog; at the smallest useful threshold that is more than it can ever be late."""


class SelectorHeartbeat:
    """The heartbeat of a loop with a `_selector`. Implements `Heartbeat`."""

    __slots__ = (
        "_adopted",
        "_began",
        "_bound",
        "_ended",
        "_had_own",
        "_hook",
        "_idle",
        "_limit",
        "_loop",
        "_original",
        "_turns",
        "_waits",
        "info",
        "since",
    )
    records_turns = True

    def __init__(self, loop: Any, info: LoopInfo, limit_ns: int, adopted: bool = False) -> None:
        self._loop = loop
        self._adopted = adopted
        self._bound = 0.0  # start of a turn that was under way when we came: only a bound
        self._original: Callable[..., Any] | None = None
        self._hook: Callable[..., Any] | None = None
        self._had_own = False
        self._began = self._ended = self._idle = self._waits = 0.0
        self._turns: deque[Turn] = deque(maxlen=MAX_FINISHED)
        self.info = info
        self.limit_ns = limit_ns
        self.since = 0.0
        """Seconds on the monotonic clock; 0 while the loop waits."""

    @staticmethod
    def fits(loop: Any) -> bool:
        """Whether the loop has a selector whose `select` can be replaced."""
        selector = getattr(loop, "_selector", None)
        return selector is not None and type(selector).__dictoffset__ != 0

    @property
    def limit_ns(self) -> int:
        return sys.maxsize if self._limit == math.inf else _ns(self._limit)

    @limit_ns.setter
    def limit_ns(self, limit_ns: int) -> None:
        self._limit = limit_ns / 1e9

    def attach(self) -> None:
        selector = self._loop._selector
        self._original = selector.select
        # Somebody else's, set on the instance: anything but the class's own method.
        self._had_own = getattr(self._original, "__func__", None) is not getattr(type(selector), "select", None)
        self._hook = self._make_hook(selector.select)
        selector.select = self._hook
        self._began = self.since = time.monotonic()
        self._bound = self.since if self._adopted else 0.0

    def _make_hook(self, original: Callable[..., Any]) -> Callable[..., Any]:
        beat = self
        now = time.monotonic

        def select(timeout: float | None = None) -> Any:
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

        return select

    def _note_turn(self, ended: float) -> None:
        since = self.since
        if since:  # 0: detached, but another tool's wrapper still calls the hook
            self._turns.append(Turn(_ns(since), _ns(since), _ns(ended), exact=since != self._bound))

    def _note_wait(self, began: float, woke: float, timeout: float | None) -> None:
        """A long wait: late by its own timeout, or perhaps kept from waking (for the watchdog to say)."""
        due = began + timeout if timeout is not None and timeout > 0 else woke
        overran = woke - due > self._limit
        self._turns.append(Turn(_ns(began), _ns(due if overran else began), _ns(woke), exact=overran, waited=True))

    def detach(self) -> None:
        ended = time.monotonic()
        if self.since and ended - self.since > self._limit:
            self._note_turn(ended)
        self._ended, self.since = ended, 0.0
        self._limit = math.inf
        self._restore()

    def _restore(self) -> None:
        selector = getattr(self._loop, "_selector", None)
        # Only what is still ours: whoever wrapped our hook keeps a working chain, and the hook has gone quiet.
        if selector is None or selector.select is not self._hook:
            return
        if self._had_own:
            selector.select = self._original
        else:
            del selector.select

    def read(self, now_ns: int) -> Reading:
        since = self.since
        return Reading(_ns(since), _ns(since) or None, exact=since != self._bound)

    def quiet_turn(self, now_ns: int) -> int | None:
        return None if self.since or self._turns else 0

    def running(self, reading: Reading, stack_empty: bool | None) -> bool:
        return True

    def finished(self) -> list[Turn]:
        turns = []
        while self._turns:
            turns.append(self._turns.popleft())
        return turns

    def expect_end(self, turn: int) -> None:
        """Nothing to do: the hook will tell."""

    def ready(self) -> int | None:
        ready = getattr(self._loop, "_ready", None)
        return None if ready is None else len(ready)

    def busy_ns(self, now_ns: int) -> int | None:
        until = self._ended or now_ns / 1e9
        waiting = until - self._waits if not self.since and not self._ended else 0.0
        return max(0, _ns(until - self._began - self._idle - waiting))


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
