"""The raw facts of a stall, all frozen: what heartbeats, probes and the watchdog saw, and all that judging may rest on.

Times are integer nanoseconds of the monotonic clock. Nothing here holds a frame, a task or a value of the watched program.
"""

from dataclasses import dataclass, field
from datetime import datetime

from loopwatch.records import Cause, Frame, LoopInfo, PoolReading, RequestInfo, TraceInfo, Waiting

__all__ = [
    "Allowance",
    "Collection",
    "Hold",
    "Observation",
    "Reading",
    "Sample",
    "Saturation",
    "Syscall",
    "Turn",
    "Verdict",
    "Vitals",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a heartbeat says of its loop at one moment. Read by the watchdog thread."""

    turn: int
    """Identifies the turn: two readings with one number saw the same turn."""
    since_ns: int | None
    """When the turn began; None while the loop waits for I/O (or does not run)."""
    exact: bool = True
    """False where `since_ns` is only a bound."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One finished turn over the limit, or a wait from which the loop was kept from waking."""

    turn: int
    """Same number as in `Reading`."""
    start_ns: int
    end_ns: int
    exact: bool = True
    """False where the start or the end is only a bound."""
    waited: bool = False
    """True for a wait: the loop was in its poll and not woken when it was due."""


@dataclass(frozen=True, slots=True)
class Syscall:
    """The system call in which a thread sat (Linux)."""

    name: str
    """"clock_nanosleep", "recvfrom", ...; "running" where the thread was not in one, "fault" where it waited outside one."""
    target: str | None = None
    """What its file descriptor is: "socket", "pipe", "file", "eventpoll", "other"; "nothing" for a wait on none; else None."""
    about: str | None = None
    """The peer's address of a socket ("10.0.0.5:5432"), the path of a file; None where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One captured stack with its time, taken by the watchdog thread."""

    at_ns: int
    late_ns: int
    """How long after its due time the watchdog got the GIL, less the time for which the machine did not run it."""
    stack: tuple[Frame, ...]
    """Outermost first; only what the loop itself had called. Empty where only C code was on it."""
    handed_on: bool = False
    """Whether the GIL was given up and taken again, more than once, while the watchdog waited: then no single call kept it."""
    cpu_ns: int | None = None
    """The loop thread's CPU clock at that moment; None where the platform has none."""
    runqueue_ns: int | None = None
    """Total time that thread had been ready but not run so far (schedstat); None where the platform has none."""
    process_cpu_ns: int | None = None
    """CPU clock of the whole process."""
    syscall: Syscall | None = None
    state: str | None = None
    """The kernel's letter for the thread's state: "R", "S", "D"."""
    major_faults: int | None = None
    """How often the thread had touched memory that had to be read from a disk first."""
    progress: tuple[int, int] | None = None
    """(n, m): the n-th of the m callbacks of this turn was running, by asyncio's own counters; None on other loops."""
    task_id: int | None = None
    task: str | None = None
    """The current task: its coroutine, with its name if someone gave it one."""
    nurseries: tuple[str, ...] = ()
    """trio: the tasks in whose nurseries it lives, outermost first."""
    request: RequestInfo | None = None
    context: tuple[tuple[str, str | int | float | bool | None], ...] = ()
    """structlog's contextvars of the task (Python 3.12+), plain values only."""
    trace: TraceInfo | None = None
    """The current span of the task."""
    omitted: int = 0
    """Frames left out of the middle of a deep stack."""
    inside: bool = False
    """True where the sentinel took the stack while the GIL was kept: it shows what kept it, however late the watchdog came."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One pause by the garbage collector on the loop's thread."""

    start_ns: int
    end_ns: int
    generation: int
    collected: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the machine says of the loop thread between two looks that enclose the stall. None: not known here."""

    wall_ns: int
    """Length of the enclosing span, at least the stall's duration."""
    cpu_ns: int | None = None
    """CPU time of the loop thread."""
    runqueue_ns: int | None = None
    """Time for which that thread was ready but the machine did not run it."""
    slices: int | None = None
    """How often that thread was given a core: while it asks for the GIL, once every switch interval."""
    other_cpu_ns: int | None = None
    """CPU time of all other threads of the process."""
    major_faults: int | None = None
    """How often that thread touched memory that had to be read from a disk first, between the samples."""
    throttled_ns: int | None = None
    """Time for which the control group's CPU limit kept the process from running, summed over cores; None: it has no limit."""
    cpu_pressure: float | None = None
    """Percent of the last ten seconds in which some task of the machine waited for a core; read where this one did."""
    watchdog_late_ns: int = 0
    """The longest that the watchdog was kept from running within the stall."""
    watchdog_runqueue_ns: int | None = None
    """Time for which the watchdog was ready but the machine did not run it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Another thread that kept the loop's: by the GIL, or by work that the loop's thread waits for."""

    at_ns: int
    """When it was seen: for the GIL, when the watchdog got it."""
    late_ns: int
    """For how long the watchdog had waited for the GIL."""
    thread: str
    native_id: int
    cpu_ns: int
    """What the thread had burned; it may have begun before the watchdog waited."""
    stack: tuple[Frame, ...] = ()
    awaited: bool = False
    """True where the loop's thread waits for this one (`join`, `result`); False: one of those that burned most CPU."""
    inside: bool = False
    """True where the sentinel took the stack meanwhile."""
    request: RequestInfo | None = None
    """The request for which it works: anyio's worker threads on asyncio, Python 3.12+."""
    waits_for: tuple[str, int] | None = None
    """Name and kernel id of the thread for which it waits in turn; None: for none, or that cannot be told."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A stretch of time in which a task (or a callback) said that blocking is expected."""

    reason: str
    thread_id: int
    task_id: int | None
    start_ns: int
    end_ns: int | None
    """None while it lasts."""
    up_to_ns: int | None
    """How much is allowed; None: any."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """The raw facts of one stall: all that judging may rest on.

    Equal only to itself: what judging works out about it is remembered, and comparing hundreds of samples would take longer.
    """

    id: str
    ongoing: bool
    started_at: datetime
    start_ns: int
    end_ns: int
    """For an ongoing stall: the moment of the last look."""
    exact: bool
    loop: LoopInfo
    waited: bool = False
    """True where the loop was not running a turn but was kept from waking out of its poll."""
    samples: tuple[Sample, ...] = ()
    vitals: Vitals | None = None
    collections: tuple[Collection, ...] = ()
    holds: tuple[Hold, ...] = ()
    """By threads other than the loop's own: those that may have kept the GIL, in order of time, then the one that it awaits."""
    allowances: tuple[Allowance, ...] = ()
    stopped_ns: int = 0
    """For how much of it the whole process stood still (a signal, a debugger)."""
    waiting: Waiting = field(default_factory=Waiting)
    switch_interval_ns: int = 5_000_000
    threshold_ns: int = 100_000_000
    """The shortest turn that anyone calls a stall."""
    ran_ns: int | None = None
    """For how long the loop had been watched in this run of it when the stall ended; None: not known."""

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Saturation:
    """The raw facts of a time in which work waited for a pool at every look."""

    id: str
    ongoing: bool
    started_at: datetime
    start_ns: int
    """The first look at which work waited."""
    end_ns: int
    """The last one."""
    looks: int
    reading: PoolReading
    waiting_max: int
    oldest_wait_max_ms: float | None
    pid: int
    late_ns: int = 0
    """For how long the watchdog had waited for the GIL when it took the stacks."""
    switch_interval_ns: int = 5_000_000
    stacks: tuple[tuple[Frame, ...], ...] = ()
    """Of the pool's threads, outermost first; resolved later."""

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule concluded."""

    cause: Cause
    evidence: str
    """One sentence with the figures it rests on."""
    confidence: float
    """0 to 1."""
