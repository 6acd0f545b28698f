"""The one place where loopwatch reads time.

Durations come from the monotonic clock in integer nanoseconds. It stands still while the machine sleeps
(CLOCK_MONOTONIC, clock_gettime(2)), so a suspended laptop does not look like a stall.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


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
