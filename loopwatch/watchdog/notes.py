"""The watchdog's notes: what it saw of a loop at one look, and of the turn under way. Used by its thread only."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from loopwatch.heartbeats.base import Heartbeat
from loopwatch.observations import Hold, Reading, Sample, Vitals
from loopwatch.probes.stacks import Capture
from loopwatch.probes.tasks import NO_TASK, CurrentTask
from loopwatch.probes.threads import ThreadProbe
from loopwatch.probes.trio import TrioRun
from loopwatch.records import Waiting

__all__ = ["Look", "Mark", "Pending", "Pulse", "Watched", "base_mark", "vitals_between"]

MAX_MISSED = 1024
"""Lags that one late look may stand for: a minute's, by default."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The clocks of the loop thread, the process and the watchdog at one moment; None: not known here."""

    at_ns: int
    cpu_ns: int | None
    runqueue_ns: int | None
    slices: int | None
    process_ns: int | None
    throttled_ns: int | None = None
    own_runqueue_ns: int | None = None
    """How long the watchdog had waited for a core."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The watchdog's own signs of life at one look; None: not known here."""

    at_ns: int
    others_ns: int | None
    """CPU time of all threads but the watchdog."""
    runqueue_ns: int | None
    """How long it had waited for a core, as far as it was asked."""
    switches: int | None
    asked_ns: int = 0
    """When its wait for a core was asked for last."""

    def aged(self, looks: int, until_ns: int) -> "Pulse":
        """The same after so many quiet looks, the last at `until_ns`: each has waited once, and nobody else computed."""
        if not looks:
            return self
        switches = None if self.switches is None else self.switches + looks
        return Pulse(until_ns, self.others_ns, self.runqueue_ns, switches, self.asked_ns)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw of one loop, all at one moment."""

    at_ns: int
    due_ns: int
    reading: Reading
    stack: Capture | None = None
    task: CurrentTask = NO_TASK
    cpu_ns: int | None = None
    awaited: tuple[Hold, Capture] | None = None
    """The thread that the loop's thread waits for."""
    handed_on: bool = False
    """Whether the GIL changed hands while the watchdog waited for it."""
    excused_ns: int = 0
    """The part of its lateness in which the machine did not run the watchdog: no core, or the process was stopped."""

    @property
    def late_ns(self) -> int:
        """How long the watchdog was kept from the GIL."""
        return max(0, self.at_ns - self.due_ns - self.excused_ns)


@dataclass(slots=True)
class Pending:
    """The turn under way, as far as it was seen."""

    turn: int
    since_ns: int
    exact: bool
    base: Mark
    next_sample_ns: int
    id: str = ""
    """Given once it is a stall."""
    samples: list[tuple[Sample, Capture]] = field(default_factory=list)
    announced_ns: int = 0
    """How long it had lasted at its latest announcement; 0: none yet."""
    waiting: Waiting = field(default_factory=Waiting)
    late_ns: int = 0
    age_ns: int = 0
    """How long it had lasted at the latest look."""
    awaited: tuple[Hold, Capture] | None = None

    def keep(self, sample: Sample, stack: Capture, at_most: int) -> None:
        """Add a sample; beyond `at_most` the one goes whose neighbours are closest, so that the rest covers the stall evenly."""
        self.samples.append((sample, stack))
        if len(self.samples) > at_most:
            ages = [self.since_ns, *(one.at_ns for one, _ in self.samples)]
            gaps = [later - earlier for earlier, later in zip(ages, ages[2:], strict=False)]
            del self.samples[gaps.index(min(gaps))]


@dataclass(slots=True)
class Watched:
    """One run of one loop."""

    loop: Any
    heartbeat: Heartbeat
    probe: ThreadProbe
    boundary: frozenset[int]
    """`id()` of the code objects whose frames run the loop."""
    began_ns: int
    pending: Pending | None = None
    marks: deque[Mark] = field(default_factory=lambda: deque(maxlen=8))
    failed: bool = False
    """The watchdog failed on it and leaves it alone."""
    turn: int = -1
    """The turn at the last look."""
    guest: TrioRun | None = None
    """A run of trio within this loop, which has no turns of its own: `loopwatch.probes.trio`."""
    looks: int = 0
    lags_ns: deque[int] = field(default_factory=lambda: deque(maxlen=2048))

    @property
    def ready(self) -> int | None:
        """How many callbacks and tasks are ready to run; None where the loop, or its guest, does not show them."""
        own = self.heartbeat.ready()
        if self.guest is None or own is None:
            return own
        guests = self.guest.ready
        return None if guests is None else own + guests

    def note_lag(self, lag_ns: int, late_ns: int, every_ns: int) -> None:
        """Remember the lag at a look, and what it was when looks fell due that the GIL kept the watchdog from.

        Without those, of a second in which the GIL is kept there would be one lag, and fifteen of any other second.
        """
        missed = min(late_ns, lag_ns, MAX_MISSED * every_ns) // every_ns
        for number in range(missed, -1, -1):
            self.lags_ns.append(lag_ns - number * every_ns)
        self.looks += missed + 1

    def is_quiet(self, now_ns: int) -> bool:
        """Whether the loop waits, and nothing is to be told of it."""
        if self.pending is not None or not self.marks:
            return False
        turn = self.turn if self.failed else self.heartbeat.quiet_turn(now_ns)
        if turn is None:
            return False
        self.turn = turn
        return True

    def is_past(self, now_ns: int, threshold_ns: int) -> bool:
        """Whether the turn that was followed has ended, and cannot have been a stall."""
        pending = self.pending
        if pending is None or now_ns - pending.since_ns >= threshold_ns or self.failed:
            return False
        return self.heartbeat.read(now_ns).turn != pending.turn


def base_mark(watched: Watched, since_ns: int) -> Mark | None:
    """The latest mark before `since_ns`, else the earliest there is; None: there is none."""
    before = [mark for mark in watched.marks if mark.at_ns <= since_ns]
    return before[-1] if before else next(iter(watched.marks), None)


def vitals_between(pending: Pending, end: Mark) -> Vitals:
    """What the clocks say of the time between a stall's base mark and `end`."""
    base = pending.base
    cpu, process = _grown(base.cpu_ns, end.cpu_ns), _grown(base.process_ns, end.process_ns)
    faults = [sample.major_faults for sample, _ in pending.samples]
    return Vitals(
        wall_ns=end.at_ns - base.at_ns,
        cpu_ns=cpu,
        runqueue_ns=_grown(base.runqueue_ns, end.runqueue_ns),
        slices=_grown(base.slices, end.slices),
        other_cpu_ns=None if cpu is None or process is None else max(0, process - cpu),
        major_faults=_grown(faults[0], faults[-1]) if faults else None,
        throttled_ns=_grown(base.throttled_ns, end.throttled_ns),
        watchdog_late_ns=pending.late_ns,
        watchdog_runqueue_ns=_grown(base.own_runqueue_ns, end.own_runqueue_ns),
    )


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)
