"""What the sentinel does next: decided from the watchdog's latest stamp, the time, and what has been done about that stamp.

A watchdog that is late sleeps, with its due time past: it waits for the GIL, and somebody keeps it. One that is ready to run
only lacks a core, and a stopped one (a signal, a debugger) says nothing of the program. Pure, but for its own notes.
"""

from loopwatch.sentinel.page import Limits, Stamp

__all__ = ["ANNOUNCE", "REST", "SPY", "Patrol", "late_ns", "overdue_ns"]

REST, SPY, ANNOUNCE = "rest", "spy", "announce"

LATE_LEAST_NS, LATE_MOST_NS = 20_000_000, 100_000_000
"""A watchdog that is this late does not merely take turns with other threads, which costs a switch interval (5 ms) each."""
NAP_NS = 2_000_000
POLL_NS = 25_000_000
LONGEST_NS = 200_000_000
AT_ONCE, PER_NS = 10, 1_000_000_000
"""Dumps allowed at once, and in which time one more is: each costs some 40 ms of a core."""
SURE = 3
"""Looks that must have found the same stamp overdue before a frozen process is announced: else it was the machine that slept."""
WAITS = "S"


def late_ns(threshold_ns: int) -> int:
    """How late the watchdog must be for a dump to be taken: soon enough for it to fall into a stall of the threshold's length."""
    return min(max(threshold_ns // 4, LATE_LEAST_NS), LATE_MOST_NS)


def overdue_ns(stamp: Stamp, limits: Limits, now_ns: int) -> int:
    """For how long the watchdog has been kept out; 0 where that means nothing yet."""
    due_ns = stamp[1]
    late = now_ns - due_ns
    return late if due_ns and late >= late_ns(limits[1]) else 0


class Patrol:
    """Remembers what was done about the present stamp, and how many dumps were taken lately."""

    def __init__(self) -> None:
        self._stamp: Stamp = (0, 0, 0, 0)
        self._spied = False
        self._announced_ns = 0
        self._found = 0
        self._full_ns = 0
        """When all dumps are allowed again."""

    def next(self, stamp: Stamp, limits: Limits, now_ns: int, watchdog: str) -> tuple[str, int]:
        """What to do, and when to look again.

        Args:
            stamp: The watchdog's latest.
            limits: What to go by.
            now_ns: The time.
            watchdog: The state of its thread, as the kernel calls it (`kernel.state`); looked at only if it is overdue.
        """
        if stamp != self._stamp:
            self._stamp, self._spied, self._announced_ns, self._found = stamp, False, 0, 0
        overdue = overdue_ns(stamp, limits, now_ns)
        if not overdue:
            return REST, _rest_until(stamp[1], limits, now_ns)
        if watchdog != WAITS:
            return REST, now_ns + (NAP_NS if watchdog == "R" else POLL_NS)
        self._found += 1
        return self._about(overdue, limits[2], now_ns)

    def _about(self, overdue: int, ongoing_ns: int, now_ns: int) -> tuple[str, int]:
        if not self._spied and self._may_spy(now_ns):
            self._spied = True
            return SPY, now_ns
        announce_ns = _doubled(ongoing_ns, self._announced_ns) if ongoing_ns else overdue + POLL_NS
        if overdue >= announce_ns and self._found >= SURE:
            self._announced_ns = overdue
            return ANNOUNCE, now_ns
        return REST, now_ns + min(POLL_NS, max(NAP_NS, announce_ns - overdue))

    def _may_spy(self, now_ns: int) -> bool:
        full_ns = max(self._full_ns, now_ns) + PER_NS
        if full_ns - now_ns > AT_ONCE * PER_NS:
            return False
        self._full_ns = full_ns
        return True


def _rest_until(due_ns: int, limits: Limits, now_ns: int) -> int:
    """Until the stamp would be overdue. Mostly it has been renewed by then: so the sentinel wakes as seldom as the watchdog."""
    if due_ns == 0:
        return now_ns + LONGEST_NS
    return min(max(due_ns + late_ns(limits[1]), now_ns + NAP_NS), now_ns + LONGEST_NS)


def _doubled(first_ns: int, after_ns: int) -> int:
    due = first_ns
    while due <= after_ns:
        due *= 2
    return due
