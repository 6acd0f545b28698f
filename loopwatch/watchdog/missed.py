"""Stalls that the watchdog could not see while they lasted, because it was kept from the GIL itself.

It wakes late, and the loop may have recovered already. Two kinds of evidence remain: what the loop thread's clocks did
meanwhile, and that a thread which waits for the GIL wakes once per switch interval to ask for it (CPython 3.11-3.13,
Python/ceval_gil.c, `take_gil`), which the kernel counts.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace

from loopwatch.observations import Hold, Turn
from loopwatch.probes.stacks import Capture
from loopwatch.schedule import Limits
from loopwatch.watchdog.notes import Look, Mark, Pulse, Watched

__all__ = [
    "holds_within",
    "kept_waiting",
    "late_within",
    "slept_through",
    "still_since",
    "stood_still",
    "stopped_within",
    "was_handed_on",
]

Window = tuple[int, int]
"""When the watchdog wanted to wake, and when it did."""
Stop = tuple[int, int, int]
"""Since when the process may have stood still; then as above."""
SETTLE_SWITCHES = 10
"""A loop that was kept from the GIL wakes within this many switch intervals of the watchdog, which waited for the same one."""
ENOUGH_SWITCHES = 0.5
"""Of the context switches that waiting for the GIL all the time would have made."""
STILL_BURNED, STILL_STARVED, STILL_WAITS, STILL_ASKING = 0.05, 0.5, 3, 0.1
"""What a process that stood still may show all the same: as shares of the time, and in context switches."""
STILL_INTERVALS = 10
HANDED_ON = 1.5
"""Wake-ups per switch interval from which on the GIL must have been released in between."""
MAX_HOLDS = 32
STOP_SLACK_NS = 10_000_000
FEW_TURNS = 3
"""Turns among which burned CPU may still be one stall."""


def kept_waiting(
    watched: Watched, turn: Turn, late: Iterable[Window], limits: Limits, mark: Mark | None
) -> Turn | None:
    """A long wait is lost time if it ended as the watchdog, too, got the GIL back, and was spent waiting for it."""
    slack = int(SETTLE_SWITCHES * sys.getswitchinterval() * 1e9)
    for due, woke in late:
        start = max(due, turn.start_ns)
        if abs(turn.end_ns - woke) > slack or turn.end_ns - start <= limits.threshold_ns:
            continue
        if _waited_for_gil(watched, start, turn.end_ns, mark):
            return replace(turn, start_ns=start)
    return None


def slept_through(watched: Watched, look: Look, limits: Limits, mark: Mark) -> Turn | None:
    """A stall that began and ended while the watchdog was kept out, on a loop that does not record its turns.

    Told by what the loop thread did in the meantime: it burned the CPU for a stall's length within a few turns, or it waited
    for the GIL. How long exactly cannot be known.
    """
    if look.late_ns < limits.threshold_ns or not watched.marks:
        return None
    since = look.reading.since_ns
    if since is not None and since < look.at_ns - limits.first_sample_ns:
        return None  # it still lasts
    before = watched.marks[-1]
    burned = (mark.cpu_ns or 0) - (before.cpu_ns or 0)
    if mark.slices is not None and _waited_for_gil(watched, look.due_ns, look.at_ns, mark):
        lasted = look.late_ns
    elif burned >= limits.threshold_ns and look.reading.turn - watched.turn <= FEW_TURNS:
        lasted = min(burned, look.at_ns - before.at_ns)
    else:
        return None
    return Turn(look.reading.turn - 1, look.at_ns - lasted, look.at_ns, exact=False)


def stood_still(before: Pulse, now: Pulse, due_ns: int, starved_ns: int) -> bool:
    """Whether the whole process was stopped (SIGSTOP, a debugger) while the watchdog should have woken.

    No thread burned CPU, and the watchdog waited neither for a core nor for the GIL, which shows as one context switch per
    switch interval. CPU burned before the due time does not count against it.
    """
    late = now.at_ns - due_ns
    if late < STILL_INTERVALS * sys.getswitchinterval() * 1e9:
        return False  # too short for the missing context switches to mean anything
    if None in (before.others_ns, now.others_ns, before.switches, now.switches) or starved_ns > STILL_STARVED * late:
        return False
    burned = (now.others_ns or 0) - (before.others_ns or 0)
    before_due = max(0, due_ns - before.at_ns) * (os.cpu_count() or 1)
    waits = (now.switches or 0) - (before.switches or 0)
    asking = late / (sys.getswitchinterval() * 1e9)
    return burned <= before_due + STILL_BURNED * late and waits <= STILL_WAITS + STILL_ASKING * asking


def was_handed_on(before: Pulse, now: Pulse, due_ns: int) -> bool:
    """Whether the GIL was released again and again while the watchdog waited for it.

    A thread that waits for the GIL is woken whenever it is released, and otherwise once per switch interval (CPython 3.11-3.13,
    Python/ceval_gil.c, `take_gil`); so a watchdog that was woken more often than that did not wait for one long hold. Whoever gives
    the GIL up for an instant mostly has it again before anyone else is awake.
    """
    if before.switches is None or now.switches is None:
        return False
    asking = max(0, now.at_ns - due_ns) / (sys.getswitchinterval() * 1e9)
    return now.switches - before.switches > STILL_WAITS + HANDED_ON * asking


def still_since(before: Pulse, now: Pulse, due_ns: int) -> int:
    """When a process that stood still may have been stopped: after the last look, once it had computed what it has since."""
    burned = (now.others_ns or 0) - (before.others_ns or 0)
    return min(due_ns, before.at_ns + burned)


def stopped_within(stops: Iterable[Stop], turn: Turn) -> int:
    """For how much of a turn the process stood still. A stopped process begins no turn, but a wait may fall due in a stop."""
    begins = turn.start_ns - STOP_SLACK_NS
    inside = [(since, woke) for since, due, woke in stops if turn.waited or due >= begins]
    return sum(max(0, min(woke, turn.end_ns) - max(since, turn.start_ns)) for since, woke in inside)


def holds_within(
    holds: Iterable[tuple[Hold, Capture]], watched: Watched, turn: Turn
) -> tuple[tuple[Hold, Capture], ...]:
    """Those by which the GIL was kept from this loop during a turn, the latest `MAX_HOLDS` of them."""
    own = watched.heartbeat.info.native_id
    found = [
        (hold, stack)
        for hold, stack in holds
        if hold.native_id != own and hold.at_ns > turn.start_ns and hold.at_ns - hold.late_ns < turn.end_ns
    ]
    return tuple(found[-MAX_HOLDS:])


def late_within(late: Iterable[Window], start_ns: int, end_ns: int) -> int:
    """The longest that the watchdog was kept out within the given time."""
    return max((0, *(min(woke, end_ns) - max(due, start_ns) for due, woke in late)))


def _waited_for_gil(watched: Watched, start_ns: int, end_ns: int, mark: Mark | None) -> bool:
    base = next((one for one in reversed(watched.marks) if one.at_ns <= start_ns), None)
    if mark is None or mark.slices is None or base is None or base.slices is None:
        return True  # no such evidence here: the watchdog's own wait must do
    expected = (end_ns - start_ns) / (sys.getswitchinterval() * 1e9)
    return mark.slices - base.slices >= ENOUGH_SWITCHES * expected
