"""What the sentinel does next: decided from the watchdog's latest stamp, the time, and what has been done about that stamp.

A watchdog that is late sleeps, with its due time past: it waits for the GIL, and somebody keeps it. One that is ready to run
only lacks a core, and a stopped one (a signal, a debugger) says nothing of the program.

Nor does one that is outrun. A loop that is busy all the time with short turns gives the GIL up in each poll and takes it again
before the watchdog has woken, for seconds on end (CPython 3.11-3.13, Python/ceval_gil.c: a waiter asks for the GIL only after a
whole switch interval in which nobody signalled it). It is woken more often than once per interval then.

Pure, but for its own notes.
"""

from loopwatch.sentinel.page import Limits, Stamp

__all__ = ["ANNOUNCE", "REST", "SPY", "Patrol", "late_ns", "outrun"]

REST, SPY, ANNOUNCE = "rest", "spy", "announce"

LATE_LEAST_NS, LATE_MOST_NS = 20_000_000, 100_000_000
"""A watchdog that is this late does not merely take turns with other threads, which costs a switch interval (5 ms) each."""
NAP_NS = 2_000_000
POLL_NS = 25_000_000
NO_LOOP_NS = 200_000_000
LAZY_AFTER_NS, LAZY_NS = 10_000_000_000, 50_000_000
"""A process in which no turn has been seen under way for so long is looked at half as often: a wake-up costs 0.1 ms of CPU."""
POLL_MOST_NS = 100_000_000
AT_ONCE, PER_NS = 30, 10_000_000_000
"""Dumps allowed at once, and in which time one more is: each costs some 30 ms of a core."""
SPARE_WAKES = 3
"""One from its sleep before, and two for a clock that is not quite ours."""
SURE = 3
"""Looks that must have found the same stamp overdue before a frozen process is announced: else it was the machine that slept."""
WAITS = "S"


def late_ns(threshold_ns: int) -> int:
    """How late the watchdog must be for a dump to be taken: soon enough for it to fall into a stall of the threshold's length."""
    return min(max(threshold_ns // 4, LATE_LEAST_NS), LATE_MOST_NS)


def outrun(stamp: Stamp, limits: Limits, now_ns: int, sleeps: int) -> bool:
    """Whether a watchdog that has gone to sleep so often waits for a GIL that is given up and taken again meanwhile."""
    return sleeps - stamp[4] > (now_ns - stamp[1]) / max(1, limits[3]) + SPARE_WAKES


class Patrol:
    """Remembers what was done about the present stamp, and how many dumps were taken lately."""

    def __init__(self) -> None:
        self._stamp: Stamp = (0, 0, 0, 0, 0)
        self._spied = False
        self._announced_ns = 0
        self._found = 0
        self._full_ns = 0
        """When all dumps are allowed again."""
        self._active_ns = 0
        """When a turn was last seen under way, or the watchdog overdue; 0: nothing has been looked at yet."""

    def rest(self, stamp: Stamp, limits: Limits, now_ns: int) -> int:
        """Until when to sleep: until the stamp would be overdue, by when it mostly has been renewed; 0: it is overdue."""
        due_ns = stamp[1]
        overdue_ns = due_ns + late_ns(limits[1])
        if due_ns == 0:
            return now_ns + NO_LOOP_NS
        if stamp[3] or overdue_ns <= now_ns or not self._active_ns:
            self._active_ns = now_ns
        if overdue_ns <= now_ns:
            return 0
        lazy = now_ns < due_ns and now_ns - self._active_ns > LAZY_AFTER_NS
        return overdue_ns + LAZY_NS if lazy else overdue_ns

    def next(
        self, stamp: Stamp, limits: Limits, now_ns: int, watchdog: str, is_outrun: bool = False
    ) -> tuple[str, int]:
        """What to do about a stamp that is overdue, and when to look again.

        Args:
            stamp: The watchdog's latest.
            limits: What to go by.
            now_ns: The time.
            watchdog: The state of its thread, as the kernel calls it (`kernel.state`).
            is_outrun: Whether it has been woken so often that nobody can have kept the GIL.
        """
        if stamp != self._stamp:
            self._stamp, self._spied, self._announced_ns, self._found = stamp, False, 0, 0
        overdue = now_ns - stamp[1]
        if watchdog == "R" and not is_outrun:
            return REST, now_ns + min(max(NAP_NS, overdue // 8), POLL_MOST_NS)  # it is about to run
        if watchdog != WAITS or is_outrun:
            return REST, now_ns + POLL_MOST_NS
        self._found += 1
        return self._about(overdue, limits[2], now_ns)

    def said(self, overdue_ns: int) -> None:
        """It was announced, and for how long the watchdog had been kept out by then: looking once more takes a while."""
        self._announced_ns = max(self._announced_ns, overdue_ns)

    def _about(self, overdue: int, ongoing_ns: int, now_ns: int) -> tuple[str, int]:
        if not self._spied and self._may_spy(now_ns):
            self._spied = True
            return SPY, now_ns
        poll_ns = min(max(POLL_NS, overdue // 4), POLL_MOST_NS)
        announce_ns = _doubled(ongoing_ns, self._announced_ns) if ongoing_ns else overdue + poll_ns
        if overdue >= announce_ns and self._found >= SURE:
            self._announced_ns = overdue
            return ANNOUNCE, now_ns
        return REST, now_ns + min(poll_ns, max(NAP_NS, announce_ns - overdue))

    def _may_spy(self, now_ns: int) -> bool:
        full_ns = max(self._full_ns, now_ns) + PER_NS
        if full_ns - now_ns > AT_ONCE * PER_NS:
            return False
        self._full_ns = full_ns
        return True


def _doubled(first_ns: int, after_ns: int) -> int:
    due = first_ns
    while due <= after_ns:
        due *= 2
    return due
