"""The one place where loopwatch reads time.

Durations come from the monotonic clock in integer nanoseconds. It stands still while the machine sleeps
(CLOCK_MONOTONIC, clock_gettime(2)), so a suspended laptop does not look like a stall.

Whoever measures takes `time` from here: a test that freezes the program's time (freezegun, or a patch of `time.monotonic`) must
not freeze loopwatch's.
"""

import time as _time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "time"]


class time:  # noqa: N801 - it stands where module `time` would
    """What loopwatch uses of module `time`, as it was when loopwatch was imported.

    In a class, since freezegun 1.5 replaces the functions wherever a module has them as an attribute of its own.
    """

    monotonic: Callable[[], float] = staticmethod(_time.monotonic)
    monotonic_ns: Callable[[], int] = staticmethod(_time.monotonic_ns)
    sleep: Callable[[float], None] = staticmethod(_time.sleep)
    time: Callable[[], float] = staticmethod(_time.time)


class Clock(Protocol):
    """What the watchdog needs of time; `loopwatch.testing.FakeClock` is the other implementation."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds, on an arbitrary base."""

    def wall(self, at_ns: int) -> datetime:
        """The aware UTC time that it was at monotonic `at_ns`."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Monotonic time in nanoseconds."""
        return time.monotonic_ns()

    def wall(self, at_ns: int) -> datetime:
        """The aware UTC time that it was at monotonic `at_ns`, by today's offset between the two clocks."""
        seconds_ago = (time.monotonic_ns() - at_ns) / 1e9
        return datetime.fromtimestamp(time.time() - seconds_ago, tz=UTC)
