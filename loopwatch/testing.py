"""What our users' tests, and our own, need: fakes for time and heartbeats, and the stalls of a piece of code.

>>> from loopwatch.testing import capture_stalls
>>> with capture_stalls(threshold_ms=100) as stalls:
...     pass  # run something
>>> stalls
[]
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from loopwatch.enabling import watching
from loopwatch.observations import Reading, Turn
from loopwatch.records import Cause, LoopInfo, Stall

__all__ = ["FakeClock", "FakeHeartbeat", "assert_no_blocking", "capture_stalls"]


@contextmanager
def capture_stalls(ongoing: list[Stall] | None = None, **settings: Any) -> Iterator[list[Stall]]:
    """Collect the stalls of the loops that run within the block.

    Args:
        ongoing: A list that takes the announcements of stalls under way, as they come; None: they are not kept.
        settings: As for `loopwatch.enable`; nothing is logged unless `sinks` says so.

    Yields:
        A list that is filled while the block runs and complete after it: the ended stalls in the order in which they ended.
    """
    ended: list[Stall] = []

    def collect(stall: Stall) -> None:
        if not stall.ongoing:
            ended.append(stall)
        elif ongoing is not None:
            ongoing.append(stall)

    others = settings.get("sinks", ())
    settings["sinks"] = (collect, *((others,) if isinstance(others, str) or callable(others) else others))
    with watching(**settings):
        yield ended


@contextmanager
def assert_no_blocking(max_ms: float = 50.0, **settings: Any) -> Iterator[None]:
    """Fail if a loop is held for too long within the block.

    >>> with assert_no_blocking(50):
    ...     pass  # asyncio.run(main())

    Time that the machine, the collector or another thread took does not count. Within a coroutine the turn under way is cut off at
    the end of the block and counts; not so where somebody else watches, too: then await something before the block ends.

    Args:
        max_ms: Milliseconds.
        settings: As for `loopwatch.enable`.

    Raises:
        AssertionError: a loop was held for `max_ms` or longer; says by what, for each block.
    """
    with capture_stalls(**{"threshold_ms": max_ms, **settings}) as stalls:
        yield
    held = [stall for stall in stalls if stall.own_ms >= max_ms and stall.cause is not Cause.SUSPENDED]
    if held:
        told = "\n".join(f"  {_told(stall)}" for stall in held)
        raise AssertionError(f"the event loop was held for {max_ms:g} ms or longer:\n{told}")


def _told(stall: Stall) -> str:
    origin = stall.origin or (stall.shares[0].origin if stall.shares else None)
    if origin is None:
        return f"{stall.own_ms:.0f} ms: {stall.cause}, {stall.evidence}"
    return f"{stall.own_ms:.0f} ms: {origin.file}:{origin.line} {origin.expression or origin.source} ({stall.cause})"


class FakeClock:
    """A clock that stands still until it is told otherwise. Implements `loopwatch.clocks.Clock`."""

    def __init__(self, at_ns: int = 1_000_000_000) -> None:
        self.at_ns: int = at_ns

    def now_ns(self) -> int:
        """The time it was last set to."""
        return self.at_ns

    def advance(self, ms: float) -> None:
        """Let `ms` milliseconds pass."""
        self.at_ns += int(ms * 1e6)

    def wall(self, at_ns: int) -> datetime:
        """2026-01-01 plus `at_ns`."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns / 1000)


class FakeHeartbeat:
    """A heartbeat that says what it was told. Implements `loopwatch.heartbeats.base.Heartbeat`."""

    records_turns = True

    def __init__(self, clock: FakeClock, thread_id: int = 1) -> None:
        self.info: LoopInfo = LoopInfo("fake", "FakeThread", thread_id, thread_id, 1)
        self.limit_ns = 100_000_000
        self.reading: Reading = Reading(0, None)
        self.expected: list[int] = []
        """Turns whose end the watchdog asked for."""
        self.really_runs = True
        self._clock = clock
        self._turns: deque[Turn] = deque()

    def start_turn(self) -> None:
        """The loop is busy from now on."""
        self.reading = Reading(self.reading.turn + 1, self._clock.now_ns())

    def end_turn(self, exact: bool = True) -> None:
        """The loop waits from now on; the turn is told if it was over the limit."""
        start = self.reading.since_ns
        if start is not None and self._clock.now_ns() - start > self.limit_ns:
            self._turns.append(Turn(self.reading.turn, start, self._clock.now_ns(), exact))
        self.reading = Reading(self.reading.turn, None)

    def tell(self, turn: Turn) -> None:
        """Tell of any finished turn."""
        self._turns.append(turn)

    def attach(self) -> None:
        """Nothing to install."""

    def detach(self) -> None:
        """Nothing to take away."""

    def read(self, now_ns: int) -> Reading:
        """What it was told."""
        return self.reading

    def quiet_turn(self, now_ns: int) -> int | None:
        """Its turn while it waits, as far as it was told."""
        return self.reading.turn if self.reading.since_ns is None and not self._turns else None

    def running(self, reading: Reading, stack_empty: bool | None) -> bool:
        """As set in `really_runs`."""
        return self.really_runs

    def finished(self) -> list[Turn]:
        """Turns told since the last call."""
        turns = list(self._turns)
        self._turns.clear()
        return turns

    def expect_end(self, turn: int) -> None:
        """Remembered in `expected`."""
        self.expected.append(turn)

    def ready(self) -> int | None:
        """Not known."""
        return None

    def busy_ns(self, now_ns: int) -> int | None:
        """Not known."""
        return None
