"""One test while it runs: what is asked of it, what it said of itself, and what it blocked. On the thread that runs the tests."""

from typing import Any, Protocol

import pytest

from loopwatch.clocks import time
from loopwatch.pytest_plugin.facts import BLOCKED, Block, Demand, Seen, Window
from loopwatch.pytest_plugin.failure import failure_text
from loopwatch.pytest_plugin.recorder import Recorder

__all__ = ["DEBUGGER", "Blocked", "Run"]


class Blocked(pytest.fail.Exception):
    """A test blocked the event loop. Its text is the whole report."""

    __module__ = "builtins"  # as pytest's own `Failed`: the short summary shows the bare name

    def __init__(self, text: str) -> None:
        super().__init__(text, pytrace=False)


class Collector(Protocol):
    """The gate, as far as a run needs it."""

    def collect(self, run: Any) -> None:
        """Take what has blocked since the last time, and charge it."""


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
        self.phase = "setup"
        self.windows: list[Window] = []
        self.seen: list[Seen] = []
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

    def add(self, seen: Seen, block: Block) -> None:
        """It blocked."""
        self.seen.append(seen)
        self.fresh.append(block)
        if self.longest is None or block.counted_ms > self.longest.counted_ms:
            self.longest = block

    def fails_by(self, block: Block) -> bool:
        """Whether that block fails it. With a debugger at work nothing does: it slows down or holds whatever runs."""
        gated = self.demand is not None and (self.demand.gates or block.source == "assert_no_blocking()")
        return gated and block.verdict == BLOCKED and self.unmeasured != DEBUGGER

    def failing(self) -> list[Block]:
        """Blocks that no report has told of and that fail it."""
        return [block for block in self.fresh if self.fails_by(block)]

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
        self.windows.append(Window(kind, time.monotonic_ns(), None, max_ms))
        return len(self.windows) - 1

    def shut(self, number: int) -> Window:
        """It ends."""
        one = self.windows[number]
        self.windows[number] = closed = Window(one.kind, one.start_ns, time.monotonic_ns(), one.max_ms)
        return closed


DEBUGGER = "a debugger held it"
