"""One test while it runs: what is asked of it, what it said of itself, and what it blocked. On the thread that runs the tests."""

from dataclasses import replace
from typing import Any, Protocol

import pytest

from loopwatch.clocks import time
from loopwatch.pytest_plugin.facts import ALLOWED, BLOCKED, Block, Demand, Seen, Window
from loopwatch.pytest_plugin.failure import failure_text
from loopwatch.pytest_plugin.recorder import Recorder
from loopwatch.pytest_plugin.ruling import IN_WINDOW
from loopwatch.pytest_plugin.strict import Call
from loopwatch.pytest_plugin.timeline import Phase

__all__ = ["DEBUGGER", "Blocked", "Run"]


class Blocked(pytest.fail.Exception):  # type: ignore[name-defined, misc]  # an attribute that holds a class
    """A test blocked the event loop. Its text is the whole report."""

    __module__ = "builtins"  # as pytest's own `Failed`: the short summary shows the bare name

    def __init__(self, text: str) -> None:
        super().__init__(text, pytrace=False)


class Collector(Protocol):
    """The gate, as far as a run needs it."""

    def collect(self, run: Any) -> None:
        """Take what has blocked since the last time, and charge it."""

    def take_calls(self, run: Any) -> None:
        """Keep what strict mode has found so far."""


class Run:
    """A test that runs, or ran.

    Args:
        gate: Whom to ask for what has blocked.
        recorder: Whose threshold follows this test's limits.
        item: The test.
        demand: What is asked of it; None: nothing.
        problem: Why its marker cannot be used.
    """

    def __init__(
        self, gate: Collector, recorder: Recorder, item: pytest.Item, demand: Demand | None, problem: str | None = None
    ) -> None:
        self.item = item
        self.nodeid = item.nodeid
        self.location = item.location
        self.demand = demand
        self.problem = problem
        self._gate = gate
        self._recorder = recorder
        self.restart()

    def restart(self) -> None:
        """It begins, or begins anew (pytest-rerunfailures)."""
        self.phase = Phase(self.nodeid, "setup", time.monotonic_ns())
        self.windows: list[Window] = []
        self.seen: list[Seen] = []
        self.calls: list[Call] = []
        """What strict mode found in the phase that runs."""
        self.fresh: list[Block] = []
        """Blocks that no report has told of yet."""
        self.longest: Block | None = None
        self.unmeasured: str | None = None
        self.complaints: list[str] = []
        """Wrong uses of the fixture."""

    @property
    def floor_ms(self) -> float | None:
        """From how many milliseconds on stalls matter to it; None: none do."""
        return None if self.demand is None else self.demand.max_ms

    def note_unmeasured(self, why: str | None) -> None:
        """Something could not be measured, so this test must not count as clean; None: nothing to note."""
        self.unmeasured = self.unmeasured or why

    def add(self, block: Block, seen: Seen | None = None) -> None:
        """It blocked. `seen` is None for a call that strict mode found."""
        if seen is not None:
            self.seen.append(seen)
        spared = self._spared(block) if block.verdict == BLOCKED else None
        told = block if spared is None else replace(block, verdict=ALLOWED, why=spared)
        self.fresh.append(told)
        if self.longest is None or told.counted_ms > self.longest.counted_ms:
            self.longest = told

    def _spared(self, block: Block) -> str | None:
        """Why a block does not fail it; None: it does."""
        if self.unmeasured == DEBUGGER:  # it slows down or holds whatever runs
            return DEBUGGER
        if self.demand is None or not (self.demand.gates or block.source == IN_WINDOW):
            return "nothing asks this test not to block"
        return None

    def failing(self) -> list[Block]:
        """Blocks that no report has told of and that fail it."""
        return [block for block in self.fresh if block.verdict == BLOCKED]

    def raise_for(self, phase: str) -> None:
        """Fail it for what has come to light.

        Raises:
            Blocked: it blocked.
        """
        if phase == "call" and self.complaints:
            pytest.fail("\n".join(self.complaints), pytrace=False)
        failing = self.failing()
        if failing:
            raise Blocked(failure_text(failing))

    # ── what the fixture asks ───────────────────────────────────────────────────────────────────────────────────

    def look(self) -> tuple[Seen, ...]:
        """All that it has blocked so far, setup included."""
        self._gate.collect(self)
        return tuple(self.seen)

    def open(self, kind: str, max_ms: float | None = None) -> int:
        """A window begins; returns its number."""
        if max_ms is not None and self._recorder.floor_ms is not None and max_ms < self._recorder.floor_ms:
            self._recorder.aim(max_ms)
        self._gate.take_calls(self)  # a line's later call, outside of the window, is another one
        self.windows.append(Window(kind, time.monotonic_ns(), None, max_ms))
        return len(self.windows) - 1

    def shut(self, number: int) -> Window:
        """It ends."""
        self._gate.take_calls(self)
        one = self.windows[number]
        self.windows[number] = closed = Window(one.kind, one.start_ns, time.monotonic_ns(), one.max_ms)
        return closed


DEBUGGER = "a debugger held it"
