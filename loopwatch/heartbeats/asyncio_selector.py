"""Exact turns of an asyncio loop, from both edges of its selector's `select`.

`BaseEventLoop._run_once` (CPython 3.11-3.13, Lib/asyncio/base_events.py) calls `self._selector.select(timeout)` once a
turn and nothing else in it can wait. Replacing `select` on that one selector instance therefore gives every turn for two
clock reads, and an idle loop is left alone. Proactor loops set `_selector` to their proactor (Lib/asyncio/proactor_events.py).

What the hook guarantees, with no lock:
- `since` is written by the loop thread only: 0 while it waits, else the start of the turn;
- a finished turn is appended before the loop waits, so a stall that the watchdog slept through is still there afterwards;
- deques have a bound, and `append` / `popleft` are atomic under the GIL.
"""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from loopwatch.observations import Reading, Turn
from loopwatch.records import LoopInfo

__all__ = ["SelectorHeartbeat"]

MAX_FINISHED = 4096
"""Turns kept for the watchdog; at the smallest useful threshold that is more than it can ever be late."""


class SelectorHeartbeat:
    """The heartbeat of a loop with a `_selector`. Implements `Heartbeat`."""

    __slots__ = (
        "_adopted",
        "_began_ns",
        "_bound",
        "_ended_ns",
        "_had_own",
        "_hook",
        "_idle_ns",
        "_loop",
        "_original",
        "_turns",
        "_waits_ns",
        "info",
        "limit_ns",
        "since",
    )
    records_turns = True

    def __init__(self, loop: Any, info: LoopInfo, limit_ns: int, adopted: bool = False) -> None:
        self._loop = loop
        self._adopted = adopted
        self._bound = 0  # start of a turn that was under way when we came: only a bound
        self._original: Callable[..., Any] | None = None
        self._hook: Callable[..., Any] | None = None
        self._had_own = False
        self._began_ns = self._ended_ns = self._idle_ns = self._waits_ns = 0
        self._turns: deque[Turn] = deque(maxlen=MAX_FINISHED)
        self.info = info
        self.limit_ns = limit_ns
        self.since = 0

    @staticmethod
    def fits(loop: Any) -> bool:
        """Whether the loop has a selector whose `select` can be replaced."""
        return hasattr(getattr(loop, "_selector", None), "__dict__")

    def attach(self) -> None:
        selector = self._loop._selector
        self._had_own = "select" in vars(selector)
        self._original = selector.select
        self._hook = self._make_hook(selector.select)
        selector.select = self._hook
        self._began_ns = self.since = time.monotonic_ns()
        self._bound = self.since if self._adopted else 0

    def _make_hook(self, original: Callable[..., Any]) -> Callable[..., Any]:
        beat = self
        now_ns = time.monotonic_ns

        def select(timeout: float | None = None) -> Any:
            if timeout == 0:
                # More is ready to run: this poll does not wait, and one clock read ends a turn and begins the next.
                events = original(timeout)
                woke = now_ns()
                if woke - beat.since > beat.limit_ns:
                    beat._note_turn(woke)
                beat.since = woke
                return events
            ended = now_ns()
            if ended - beat.since > beat.limit_ns:
                beat._note_turn(ended)
            beat._waits_ns = ended
            beat.since = 0
            events = original(timeout)
            beat.since = woke = now_ns()
            beat._idle_ns += woke - ended
            if woke - ended > beat.limit_ns:
                beat._note_wait(ended, woke, timeout)
            return events

        return select

    def _note_turn(self, ended: int) -> None:
        since = self.since
        if since:  # 0: detached, but another tool's wrapper still calls the hook
            self._turns.append(Turn(since, since, ended, exact=since != self._bound))

    def _note_wait(self, began: int, woke: int, timeout: float | None) -> None:
        """A long wait: late by its own timeout, or perhaps kept from waking (for the watchdog to say)."""
        due = began + int(timeout * 1e9) if timeout is not None and timeout > 0 else woke
        if woke - due > self.limit_ns:
            self._turns.append(Turn(began, due, woke, exact=True, waited=True))
        else:
            self._turns.append(Turn(began, began, woke, exact=False, waited=True))

    def detach(self) -> None:
        ended = time.monotonic_ns()
        if self.since and ended - self.since > self.limit_ns:
            self._note_turn(ended)
        self._ended_ns, self.since = ended, 0
        self.limit_ns = sys.maxsize
        self._restore()

    def _restore(self) -> None:
        selector = getattr(self._loop, "_selector", None)
        # Only what is still ours: whoever wrapped our hook keeps a working chain, and the hook has gone quiet.
        if selector is None or vars(selector).get("select") is not self._hook:
            return
        if self._had_own:
            selector.select = self._original
        else:
            del selector.select

    def read(self, now_ns: int) -> Reading:
        since = self.since
        return Reading(since, since or None, exact=since != self._bound)

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
        until = self._ended_ns or now_ns
        waiting = until - self._waits_ns if not self.since and not self._ended_ns else 0
        return max(0, until - self._began_ns - self._idle_ns - waiting)
