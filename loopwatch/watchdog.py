"""The watchdog: looks at every loop's heartbeat, takes samples of the busy ones, and hands on the facts of each stall.

`Watchdog.look` is one look; `loopwatch.engine` runs it on a thread of its own. Rules of that thread:
- first thing after waking it takes the frames, and walks them before anything that may give up the GIL;
- it calls no sink, reads no source file and runs no code of the watched program;
- what it keeps is bounded: samples per stall are thinned out, marks and late windows live in short deques;
- a loop on which it fails is left alone from then on, and that is said once.
"""

import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from loopwatch.clocks import Clock
from loopwatch.heartbeats.base import Heartbeat
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.probes.machine import MachineProbe
from loopwatch.probes.stacks import Capture, capture
from loopwatch.probes.tasks import CurrentTask, current_task, requests_in_flight
from loopwatch.probes.threads import ThreadProbe
from loopwatch.records import Allowance, Observation, Reading, Sample, Syscall, Turn, Vitals, Waiting
from loopwatch.schedule import Limits, next_announcement, next_sample_age

__all__ = ["Watched", "Watchdog"]

LATE_WINDOWS = 32
SETTLE_SWITCHES = 4
"""A loop that was kept from the GIL wakes within this many switch intervals of the watchdog, which waited for the same one."""
FEW_TURNS = 3
Emit = Callable[[Observation, tuple[Capture, ...]], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """The clocks of the loop thread, the process and the watchdog at one moment; None: not known here."""

    at_ns: int
    cpu_ns: int | None
    runqueue_ns: int | None
    slices: int | None
    process_ns: int | None
    own_runqueue_ns: int | None
    own_switches: int | None


@dataclass(slots=True)
class Pending:
    """The turn under way, as far as it was seen."""

    turn: int
    since_ns: int
    exact: bool
    base: Mark | None
    next_sample_ns: int
    id: str = ""
    samples: list[tuple[Sample, Capture]] = field(default_factory=list)
    announced_ns: int = 0
    waiting: Waiting = field(default_factory=Waiting)
    late_ns: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw of one loop, all at one moment."""

    at_ns: int
    due_ns: int
    reading: Reading
    stack: Capture | None = None
    task: CurrentTask = (None, None, ())
    cpu_ns: int | None = None
    starved_ns: int = 0
    """How long the machine did not run the watchdog, although it was ready."""

    @property
    def late_ns(self) -> int:
        return max(0, self.at_ns - self.due_ns - self.starved_ns)


@dataclass(slots=True)
class Watched:
    """One run of one loop, with the watchdog's notes on it. Written by the watchdog only, once it is listed."""

    loop: Any
    heartbeat: Heartbeat
    probe: ThreadProbe
    boundary: frozenset[int]
    began_ns: int
    pending: Pending | None = None
    marks: deque[Mark] = field(default_factory=lambda: deque(maxlen=8))
    failed: bool = False
    turn: int = -1
    """The turn at the last look."""
    lags_ns: deque[int] = field(default_factory=lambda: deque(maxlen=2048))


class Watchdog:
    """Looks at loops. All methods but `look` may be called from any thread; `look` by one thread only."""

    def __init__(
        self,
        clock: Clock,
        limits: Limits,
        emit: Emit,
        garbage: GarbageProbe,
        machine: MachineProbe,
        allowances: Callable[[int, int, int], tuple[Allowance, ...]],
        stall_ids: Iterable[str],
        report_failure: Callable[[str], None],
        frames: Callable[[], dict[int, FrameType]] = sys._current_frames,
    ) -> None:
        self.limits = limits
        self.watched: tuple[Watched, ...] = ()
        """Replaced as a whole, never changed: the watchdog iterates over it while other threads add and remove."""
        self.samples = 0
        self._clock = clock
        self._emit = emit
        self._garbage = garbage
        self._machine = machine
        self._allowances = allowances
        self._ids = iter(stall_ids)
        self._report_failure = report_failure
        self._frames = frames
        self._late: deque[tuple[int, int]] = deque(maxlen=LATE_WINDOWS)
        self._next_grid_ns = 0
        self._runqueue_ns: int | None = None

    # ── one look ────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, due_ns: int) -> int:
        """Look at all loops once.

        Args:
            due_ns: When this look was meant to happen.

        Returns:
            When to look next.
        """
        seen = self._see(due_ns)
        starved_ns = self._starved()
        on_grid = self._clock.now_ns() >= self._next_grid_ns
        for watched, look in seen:
            try:
                self._consider(watched, replace(look, starved_ns=starved_ns), on_grid)
            except Exception as error:  # noqa: BLE001 - the observer never harms the host
                self._give_up(watched, error)
        if on_grid:
            self._next_grid_ns = self._clock.now_ns() + self.limits.idle_ns
        return self._next_look()

    def _see(self, due_ns: int) -> list[tuple[Watched, Look]]:
        """Frames first, then readings and walks; nothing here may give up the GIL."""
        frames = self._frames()
        now = self._clock.now_ns()
        if now - due_ns > self.limits.late_ns:
            self._late.append((due_ns, now))
        seen = []
        for watched in self.watched:
            if watched.failed:
                continue
            try:
                seen.append((watched, self._look_at(watched, frames, now, due_ns)))
            except Exception as error:  # noqa: BLE001
                self._give_up(watched, error)
        return seen

    def _starved(self) -> int:
        """The watchdog's own wait for a core since the last look."""
        total = self._machine.own_runqueue_ns()
        before, self._runqueue_ns = self._runqueue_ns, total
        return 0 if total is None or before is None else max(0, total - before)

    def _look_at(self, watched: Watched, frames: dict[int, FrameType], now: int, due_ns: int) -> Look:
        reading = watched.heartbeat.read(now)
        if reading.since_ns is None or now - reading.since_ns < self.limits.first_sample_ns:
            return Look(now, due_ns, reading)
        stack = capture(frames.get(watched.heartbeat.info.thread_id), watched.boundary, self.limits.max_frames)
        return Look(now, due_ns, reading, stack, current_task(watched.loop), watched.probe.cpu_ns())

    def _consider(self, watched: Watched, look: Look, on_grid: bool) -> None:
        """From here on I/O is allowed: the stack is safe."""
        if look.stack is not None and not watched.heartbeat.running(look.reading, not look.stack.points):
            look = replace(look, reading=replace(look.reading, since_ns=None), stack=None)
        turns = watched.heartbeat.finished()
        mark = self._mark(watched) if on_grid or turns or watched.pending is not None else None
        for turn in turns:
            self._finish(watched, turn, mark)
        if not turns:
            self._slept_through(watched, look, mark)
        ended = any(turn.turn == look.reading.turn and not turn.waited for turn in turns)
        self._follow(watched, replace(look, reading=replace(look.reading, since_ns=None)) if ended else look)
        if mark is not None:
            watched.marks.append(mark)
        if on_grid:
            watched.lags_ns.append(look.at_ns - look.reading.since_ns if look.reading.since_ns is not None else 0)
        watched.turn = look.reading.turn

    # ── the turn under way ──────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, watched: Watched, look: Look) -> None:
        reading, pending = look.reading, watched.pending
        if reading.since_ns is None:
            watched.pending = None
            return
        if pending is None or pending.turn != reading.turn:
            pending = watched.pending = self._begin(watched, reading)
        pending.since_ns, pending.exact = reading.since_ns, reading.exact
        pending.late_ns = max(pending.late_ns, look.late_ns)
        if look.stack is not None:
            self._keep(pending, self._sample(watched, look, look.stack), look.stack)
        age = look.at_ns - reading.since_ns
        pending.next_sample_ns = reading.since_ns + next_sample_age(age, self.limits)
        if age >= self.limits.threshold_ns:
            self._stalling(watched, pending, look)

    def _begin(self, watched: Watched, reading: Reading) -> Pending:
        since = reading.since_ns or 0
        before = [mark for mark in watched.marks if mark.at_ns <= since]
        base = before[-1] if before else (watched.marks[0] if watched.marks else self._mark(watched))
        return Pending(reading.turn, since, reading.exact, base, since + self.limits.first_sample_ns)

    def _keep(self, pending: Pending, sample: Sample, stack: Capture) -> None:
        self.samples += 1
        pending.samples.append((sample, stack))
        if len(pending.samples) > self.limits.max_samples:
            # Every other one goes, the latest stays: what remains still covers the whole stall evenly.
            del pending.samples[-2::-2]

    def _stalling(self, watched: Watched, pending: Pending, look: Look) -> None:
        if not pending.id:
            pending.id = next(self._ids)
            waiting = requests_in_flight(watched.loop, look.task[0])
            pending.waiting = replace(waiting, callbacks=watched.heartbeat.ready())
            watched.heartbeat.expect_end(pending.turn)
        lasted = look.at_ns - pending.since_ns
        due = next_announcement(self.limits, pending.announced_ns)
        if due is not None and lasted >= due:
            pending.announced_ns = lasted
            turn = Turn(pending.turn, pending.since_ns, look.at_ns, exact=False)
            self._tell(watched, turn, pending, self._mark(watched), ongoing=True)

    # ── stalls that ended ───────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, watched: Watched, turn: Turn, mark: Mark | None) -> None:
        if turn.waited:
            found = turn if turn.exact else self._kept_waiting(watched, turn, mark)
            if found is not None:
                self._tell(watched, found, self._unseen(watched, found), mark)
            return
        pending = watched.pending
        if pending is None or pending.turn != turn.turn:
            pending = self._unseen(watched, turn)
        else:
            watched.pending = None
        self._tell(watched, turn, pending, mark)

    def _unseen(self, watched: Watched, turn: Turn) -> Pending:
        """Notes on a stall that the watchdog did not see while it lasted."""
        pending = self._begin(watched, Reading(turn.turn, turn.start_ns, turn.exact))
        late = [min(woke, turn.end_ns) - max(due, turn.start_ns) for due, woke in self._late]
        pending.late_ns = max((0, *late))
        return pending

    def _kept_waiting(self, watched: Watched, turn: Turn, mark: Mark | None) -> Turn | None:
        """A long wait is lost time if it ended as the watchdog, too, got the GIL back, and was spent waiting for it."""
        slack = int(SETTLE_SWITCHES * sys.getswitchinterval() * 1e9)
        for due, woke in self._late:
            start = max(due, turn.start_ns)
            if abs(turn.end_ns - woke) > slack or turn.end_ns - start <= self.limits.threshold_ns:
                continue
            if self._waited_for_gil(watched, start, turn.end_ns, mark):
                return replace(turn, start_ns=start)
        return None

    def _waited_for_gil(self, watched: Watched, start_ns: int, end_ns: int, mark: Mark | None) -> bool:
        """A thread that waits for the GIL wakes once per switch interval (CPython Python/ceval_gil.c, `take_gil`)."""
        base = next((one for one in reversed(watched.marks) if one.at_ns <= start_ns), None)
        if mark is None or mark.slices is None or base is None or base.slices is None:
            return True  # no such evidence here: the watchdog's own wait must do
        expected = (end_ns - start_ns) / (sys.getswitchinterval() * 1e9)
        return mark.slices - base.slices >= 0.5 * expected

    def _slept_through(self, watched: Watched, look: Look, mark: Mark | None) -> None:
        """A stall that began and ended while the watchdog was kept out, on a loop that does not record its turns.

        Told by what the loop thread did in the meantime, within no more than a few turns: it burned the CPU for a stall's
        length, or it waited for the GIL. How long exactly cannot be known.
        """
        turns = look.reading.turn - watched.turn
        if watched.heartbeat.records_turns or look.late_ns < self.limits.threshold_ns or not 0 < turns <= FEW_TURNS:
            return
        since = look.reading.since_ns
        if not watched.marks or (since is not None and since < look.at_ns - self.limits.first_sample_ns):
            return
        mark = mark or self._mark(watched)
        burned = (mark.cpu_ns or 0) - (watched.marks[-1].cpu_ns or 0)
        kept_out = mark.slices is not None and self._waited_for_gil(watched, look.due_ns, look.at_ns, mark)
        if burned >= self.limits.threshold_ns or kept_out:
            lasted = look.late_ns if kept_out else min(burned, look.at_ns - watched.marks[-1].at_ns)
            turn = Turn(look.reading.turn - 1, look.at_ns - lasted, look.at_ns, exact=False)
            self._tell(watched, turn, self._unseen(watched, turn), mark)

    def close(self, watched: Watched) -> None:
        """A loop has stopped running: tell of its last turn. Called on the watchdog's thread."""
        try:
            for turn in watched.heartbeat.finished():
                self._finish(watched, turn, None)
        except Exception as error:  # noqa: BLE001
            self._give_up(watched, error)
        watched.probe.close()

    # ── facts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _sample(self, watched: Watched, look: Look, stack: Capture) -> Sample:
        call = watched.probe.syscall()
        schedule = watched.probe.schedule()
        task_id, task, context = look.task
        return Sample(
            at_ns=look.at_ns,
            late_ns=look.late_ns,
            stack=(),
            cpu_ns=look.cpu_ns,
            runqueue_ns=schedule.waited_ns if schedule else None,
            process_cpu_ns=self._machine.process_cpu_ns(),
            syscall=None if call is None else Syscall(call.name, call.target()),
            progress=stack.progress,
            task_id=task_id,
            task=task,
            request=stack.request,
            context=context,
            omitted=stack.omitted,
        )

    def _mark(self, watched: Watched) -> Mark:
        cpu_ns, process_ns = watched.probe.cpu_ns(), self._machine.process_cpu_ns()
        schedule = watched.probe.schedule()
        return Mark(
            at_ns=self._clock.now_ns(),
            cpu_ns=cpu_ns,
            runqueue_ns=schedule.waited_ns if schedule else None,
            slices=schedule.slices if schedule else None,
            process_ns=process_ns,
            own_runqueue_ns=self._machine.own_runqueue_ns(),
            own_switches=self._machine.own_switches(),
        )

    def _tell(self, watched: Watched, turn: Turn, pending: Pending, mark: Mark | None, ongoing: bool = False) -> None:
        info = watched.heartbeat.info
        observation = Observation(
            id=pending.id or next(self._ids),
            ongoing=ongoing,
            started_at=self._clock.wall(turn.start_ns),
            start_ns=turn.start_ns,
            end_ns=turn.end_ns,
            exact=turn.exact and (pending.exact or not pending.samples),
            loop=info,
            waited=turn.waited,
            samples=tuple(sample for sample, _ in pending.samples),
            vitals=_vitals(pending, mark or self._mark(watched)),
            collections=self._garbage.within(info.thread_id, turn.start_ns, turn.end_ns),
            allowances=self._allowances(info.thread_id, turn.start_ns, turn.end_ns),
            waiting=pending.waiting,
            switch_interval_ns=int(sys.getswitchinterval() * 1e9),
        )
        self._emit(observation, tuple(stack for _, stack in pending.samples))

    # ── housekeeping ────────────────────────────────────────────────────────────────────────────────────────────

    def _next_look(self) -> int:
        now = self._clock.now_ns()
        due = [self._next_grid_ns or now + self.limits.idle_ns]
        due += [watched.pending.next_sample_ns for watched in self.watched if watched.pending is not None]
        return max(min(due), now)

    def _give_up(self, watched: Watched, error: Exception) -> None:
        watched.failed = True
        watched.pending = None
        self._report_failure(f"watching the {watched.heartbeat.info.backend} loop of thread {watched.heartbeat.info.thread!r}: {error!r}")


def _vitals(pending: Pending, end: Mark) -> Vitals:
    base = pending.base or end

    def grown(before: int | None, after: int | None) -> int | None:
        return None if before is None or after is None else max(0, after - before)

    cpu, process = grown(base.cpu_ns, end.cpu_ns), grown(base.process_ns, end.process_ns)
    return Vitals(
        wall_ns=end.at_ns - base.at_ns,
        cpu_ns=cpu,
        runqueue_ns=grown(base.runqueue_ns, end.runqueue_ns),
        other_cpu_ns=None if cpu is None or process is None else max(0, process - cpu),
        watchdog_late_ns=pending.late_ns,
        watchdog_runqueue_ns=grown(base.own_runqueue_ns, end.own_runqueue_ns),
        watchdog_switches=grown(base.own_switches, end.own_switches),
    )


def stall_ids(prefix: str) -> Iterable[str]:
    """Unique ids without a system call: a random prefix per process, then a count."""
    return (f"{prefix}{number:x}" for number in itertools.count(1))
