"""The watchdog: `Watchdog.look` is one look, which `loopwatch.engine` repeats on a thread of its own.

Rules of that thread:

- first thing after waking it takes the frames, and walks them before anything that may give up the GIL;
- it calls no sink, reads no source file and runs no code of the watched program;
- a loop on which it fails is left alone from then on, and that is said once.
"""

import itertools
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import FrameType

from loopwatch.clocks import Clock
from loopwatch.observations import Reading, Turn
from loopwatch.probes.collector import NO_COLLECTION
from loopwatch.probes.garbage import GarbageProbe
from loopwatch.probes.holders import HolderProbe
from loopwatch.probes.machine import MachineProbe
from loopwatch.probes.stacks import capture
from loopwatch.probes.tasks import current_task
from loopwatch.schedule import Limits
from loopwatch.watchdog.facts import PROMPT_NS, AllowancesWithin, Facts
from loopwatch.watchdog.following import Emit, Follower
from loopwatch.watchdog.missed import stood_still, was_handed_on
from loopwatch.watchdog.notes import Look, Pulse, Watched

__all__ = ["Watchdog", "stall_ids"]


class Watchdog:
    """Looks at loops. All methods but `look` may be called from any thread; `look` by one thread only."""

    def __init__(
        self,
        clock: Clock,
        limits: Limits,
        emit: Emit,
        garbage: GarbageProbe,
        machine: MachineProbe,
        holders: HolderProbe,
        allowances: AllowancesWithin,
        stall_ids: Iterable[str],
        report_failure: Callable[[str], None],
        frames: Callable[[], dict[int, FrameType]] = sys._current_frames,
    ) -> None:
        self.watched: tuple[Watched, ...] = ()
        """Replaced as a whole, never changed: the watchdog iterates over it while other threads add and remove."""
        self._clock = clock
        self._holders = holders
        self._facts = Facts(clock, garbage, machine, allowances)
        self._follower = Follower(limits, self._facts, iter(stall_ids), emit)
        self._report_failure = report_failure
        self._frames = frames
        self._next_grid_ns = 0
        self._pulse: Pulse | None = None
        self._quiet_looks = self._quiet_ns = 0

    @property
    def limits(self) -> Limits:
        """What all watches want together."""
        return self._follower.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._follower.limits = limits

    @property
    def samples(self) -> int:
        """How many were taken so far."""
        return self._follower.samples

    # ── one look ────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, due_ns: int) -> int:
        """Look at all loops once.

        Args:
            due_ns: When this look was meant to happen.

        Returns:
            When to look next.
        """
        try:
            return self._look(due_ns)
        except Exception as error:  # noqa: BLE001 - the observer never harms the host, nor ends by itself
            self._report_failure(f"a look at all loops: {error!r}")
            return self._clock.now_ns() + self.limits.idle_ns

    def _look(self, due_ns: int) -> int:
        if self._all_is_quiet(due_ns) or self._all_is_over(due_ns):
            return self._next_grid_ns
        seen = self._see(due_ns)
        before = None if self._pulse is None else self._pulse.aged(self._quiet_looks, self._quiet_ns)
        self._pulse, self._quiet_looks = self._facts.pulse(before, due_ns), 0
        excused_ns = self._excuse(before, self._pulse, due_ns)
        handed_on = before is not None and was_handed_on(before, self._pulse, due_ns)
        on_grid = self._clock.now_ns() >= self._next_grid_ns
        for watched, look in seen:
            try:
                late = replace(look, excused_ns=excused_ns, handed_on=handed_on) if excused_ns or handed_on else look
                self._consider(watched, late, on_grid)
            except Exception as error:  # noqa: BLE001 - the observer never harms the host
                self._give_up(watched, error)
        if on_grid:
            self._next_grid_ns = self._clock.now_ns() + self.limits.idle_ns
            self._holders.note()
            self._facts.settle()
        return self._next_look()

    def _all_is_quiet(self, due_ns: int) -> bool:
        """Whether this was a prompt look at loops that wait, in a process that has not computed: then that is all of it.

        Such looks come 15 times a second for ever, each with cold caches: what they do not ask, they do not cost.
        """
        now = self._clock.now_ns()
        if self._pulse is None or now - due_ns > PROMPT_NS or now < self._next_grid_ns:
            return False
        if not self._facts.is_quiet(self._pulse, now):
            return False
        for watched in self.watched:
            if not watched.is_quiet(now):
                return False
        for watched in self.watched:
            watched.looks += 1
            watched.lags_ns.append(0)
        self._quiet_looks, self._quiet_ns, self._next_grid_ns = self._quiet_looks + 1, now, now + self.limits.idle_ns
        return True

    def _all_is_over(self, due_ns: int) -> bool:
        """Whether a look that came back for turns under way finds them over and no stalls, as it mostly does on a busy loop."""
        now = self._clock.now_ns()
        if now >= self._next_grid_ns or now - due_ns > self.limits.late_ns:
            return False
        followed = [watched for watched in self.watched if watched.pending is not None]
        if not all(watched.is_past(now, self.limits.threshold_ns) for watched in followed):
            return False
        for watched in followed:
            watched.pending = None
        return bool(followed)

    def _see(self, due_ns: int) -> list[tuple[Watched, Look]]:
        """Frames first, then readings and walks; nothing here may give up the GIL."""
        with NO_COLLECTION:
            frames = self._frames()
            try:
                return self._walk(frames, due_ns)
            finally:
                # Our own frame is among them and holds them all: without this, foreign locals would live until a collection.
                frames.clear()

    def _walk(self, frames: dict[int, FrameType], due_ns: int) -> list[tuple[Watched, Look]]:
        now = self._clock.now_ns()
        seen = []
        for watched in (one for one in self.watched if not one.failed):
            try:
                seen.append((watched, self._look_at(watched, frames, now, due_ns)))
            except Exception as error:  # noqa: BLE001
                self._give_up(watched, error)
        self._note_holders(frames, now, due_ns)
        return seen

    def _note_holders(self, frames: dict[int, FrameType], now: int, due_ns: int) -> None:
        """Note who may have kept the GIL, where that matters: in a stall, or after a wait that may turn out to be one."""
        late_ns = now - due_ns
        stalling = any(watched.pending is not None for watched in self.watched)
        if late_ns > (min(sys.getswitchinterval() * 1e9 / 2, self.limits.late_ns) if stalling else self.limits.late_ns):
            self._follower.holds.extend(self._holders.suspects(frames, now, late_ns))

    def _excuse(self, before: Pulse | None, pulse: Pulse, due_ns: int) -> int:
        """How much of its lateness the machine took from the watchdog; what is left, the GIL took."""
        if before is None:
            return 0
        now, starved = pulse.at_ns, max(0, (pulse.runqueue_ns or 0) - (before.runqueue_ns or 0))
        if now - due_ns <= self.limits.late_ns:
            return starved
        if stood_still(before, pulse, due_ns, starved):
            self._follower.stopped.append((due_ns, now))
            return now - due_ns
        self._follower.late.append((due_ns, now))
        return starved

    def _look_at(self, watched: Watched, frames: dict[int, FrameType], now: int, due_ns: int) -> Look:
        reading = watched.heartbeat.read(now)
        if reading.since_ns is None or now < self._sample_due(watched, reading):
            return Look(now, due_ns, reading)
        stack = capture(frames.get(watched.heartbeat.info.thread_id), watched.boundary, self.limits.max_frames)
        awaited = self._holders.awaited(frames, now, watched.heartbeat.info.thread_id)
        return Look(now, due_ns, reading, stack, current_task(watched.loop), watched.probe.cpu_ns(), awaited)

    def _sample_due(self, watched: Watched, reading: Reading) -> int:
        pending = watched.pending
        if pending is not None and pending.turn == reading.turn:
            return pending.next_sample_ns
        return (reading.since_ns or 0) + self.limits.first_sample_ns

    def _consider(self, watched: Watched, look: Look, on_grid: bool) -> None:
        """From here on I/O is allowed: the stack is safe."""
        stack_empty = None if look.stack is None else not look.stack.points
        if look.reading.since_ns is not None and not watched.heartbeat.running(look.reading, stack_empty):
            look = replace(look, reading=replace(look.reading, since_ns=None), stack=None)
        turns = watched.heartbeat.finished()
        needed = bool(turns) or watched.pending is not None or look.late_ns >= self.limits.threshold_ns
        mark = self._facts.mark(watched) if needed or on_grid else None
        for turn in turns:
            self._follower.finish(watched, turn, mark)
        if not turns and not watched.heartbeat.records_turns:
            self._follower.missed(watched, look, mark)
        ended = any(turn.turn == look.reading.turn and not turn.waited for turn in turns)
        self._follower.follow(watched, replace(look, reading=replace(look.reading, since_ns=None)) if ended else look)
        if mark is not None:
            watched.marks.append(mark)
        if on_grid:
            watched.looks += 1
            watched.lags_ns.append(look.at_ns - look.reading.since_ns if look.reading.since_ns is not None else 0)
        watched.turn = look.reading.turn

    def close(self, watched: Watched, turns: Iterable[Turn]) -> None:
        """A loop has stopped running: tell of its last turns. Called on the watchdog's thread."""
        try:
            for turn in turns:
                self._follower.finish(watched, turn, None)
        except Exception as error:  # noqa: BLE001
            self._give_up(watched, error)

    # ── housekeeping ────────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, watched: Watched) -> None:
        """Note the clocks as a run begins: its first turn may be a stall. Called on the loop's thread."""
        watched.marks.append(self._facts.mark(watched, own=False))

    def _next_look(self) -> int:
        now = self._clock.now_ns()
        due = [self._next_grid_ns or now + self.limits.idle_ns]
        due += [watched.pending.next_sample_ns for watched in self.watched if watched.pending is not None]
        return max(min(due), now)

    def _give_up(self, watched: Watched, error: Exception) -> None:
        watched.failed = True
        watched.pending = None
        self._report_failure(
            f"watching the {watched.heartbeat.info.backend} loop of thread {watched.heartbeat.info.thread!r}: {error!r}"
        )


def stall_ids(prefix: str) -> Iterable[str]:
    """Unique ids without a system call: a random prefix per process, then a count."""
    return (f"{prefix}{number:x}" for number in itertools.count(1))
