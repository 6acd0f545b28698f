"""From what is seen of a loop to observations: a turn is followed until it ends, sampled and announced; then it is told.

For the watchdog's thread. What is kept is bounded: samples per stall are thinned out, all else lives in short deques.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from loopwatch.observations import Hold, Observation, Reading, Turn
from loopwatch.probes.stacks import Capture
from loopwatch.probes.tasks import requests_in_flight
from loopwatch.schedule import Limits, next_announcement, next_sample_age
from loopwatch.watchdog.facts import Facts
from loopwatch.watchdog.missed import holds_within, kept_waiting, late_within, slept_through, stopped_within
from loopwatch.watchdog.notes import Look, Mark, Pending, Watched, base_mark

__all__ = ["Emit", "Follower"]

LATE_WINDOWS = 32
MAX_HOLDS = 64
Emit = Callable[[Observation, tuple[Capture, ...]], None]
"""Takes a stall and its stacks: of its samples, then of its holds."""


class Follower:
    """Follows the turns of all loops."""

    def __init__(self, limits: Limits, facts: Facts, ids: Iterator[str], emit: Emit) -> None:
        self.limits = limits
        self.samples = 0
        self.late: deque[tuple[int, int]] = deque(maxlen=LATE_WINDOWS)
        """When the watchdog wanted to wake, and when it did: the times in which it was kept from the GIL."""
        self.stopped: deque[tuple[int, int, int]] = deque(maxlen=LATE_WINDOWS)
        """The same for the times in which the whole process stood still."""
        self.holds: deque[tuple[Hold, Capture]] = deque(maxlen=MAX_HOLDS)
        self._facts = facts
        self._ids = ids
        self._emit = emit

    # ── the turn under way ──────────────────────────────────────────────────────────────────────────────────────

    def follow(self, watched: Watched, look: Look) -> None:
        reading, pending = look.reading, watched.pending
        if reading.since_ns is None:
            watched.pending = None
            return
        if pending is None or pending.turn != reading.turn:
            pending = watched.pending = self._begin(watched, reading)
        pending.since_ns, pending.exact = reading.since_ns, reading.exact
        age = pending.age_ns = look.at_ns - reading.since_ns
        late_ns = min(look.late_ns, age)  # it was not this turn that kept it earlier
        pending.late_ns = max(pending.late_ns, late_ns)
        if look.stack is not None and not look.stack.polling:
            self.samples += 1
            pending.awaited = look.awaited or pending.awaited
            sample = replace(self._facts.sample(watched, look, look.stack), late_ns=late_ns)
            pending.keep(sample, look.stack, self.limits.max_samples)
        if look.stack is not None or look.at_ns < reading.since_ns + self.limits.first_sample_ns:
            pending.next_sample_ns = reading.since_ns + next_sample_age(age, self.limits)
        if age >= self.limits.threshold_ns:
            self._stalling(watched, pending, look)

    def _begin(self, watched: Watched, reading: Reading) -> Pending:
        since = reading.since_ns or 0
        base = base_mark(watched, since) or self._facts.mark(watched)
        return Pending(reading.turn, since, reading.exact, base, since + self.limits.first_sample_ns)

    def _stalling(self, watched: Watched, pending: Pending, look: Look) -> None:
        if not pending.id:
            pending.id = next(self._ids)
            # By the latest sample: a look that found the turn too old may have come between two of them, and has none.
            running = pending.samples[-1][0].task_id if pending.samples else look.task.id
            waiting = requests_in_flight(watched.loop, running, watched.guest)
            pending.waiting = replace(waiting, callbacks=watched.ready)
            watched.heartbeat.expect_end(pending.turn)
        lasted = look.at_ns - pending.since_ns
        due = next_announcement(self.limits.ongoing_ns, pending.announced_ns)
        if due is not None and lasted >= due:
            pending.announced_ns = lasted
            turn = Turn(pending.turn, pending.since_ns, look.at_ns, exact=False)
            self._tell(watched, turn, pending, self._facts.mark(watched), ongoing=True)

    # ── stalls that ended ───────────────────────────────────────────────────────────────────────────────────────

    def finish(self, watched: Watched, turn: Turn, mark: Mark | None) -> None:
        if turn.waited:
            found = turn if turn.exact else kept_waiting(watched, turn, self.late, self.limits, mark)
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
        pending.late_ns = late_within(self.late, turn.start_ns, turn.end_ns)
        return pending

    def missed(self, watched: Watched, look: Look, mark: Mark | None) -> None:
        if look.late_ns < self.limits.threshold_ns:
            return
        mark = mark or self._facts.mark(watched)
        turn = slept_through(watched, look, self.limits, mark)
        if turn is not None:
            self._tell(watched, turn, self._unseen(watched, turn), mark)

    def _tell(self, watched: Watched, turn: Turn, pending: Pending, mark: Mark | None, ongoing: bool = False) -> None:
        pending.id = pending.id or next(self._ids)
        holds = holds_within(self.holds, watched, turn) + ((pending.awaited,) if pending.awaited else ())
        observation = replace(
            self._facts.observation(watched, turn, pending, mark, self.limits.threshold_ns, ongoing),
            stopped_ns=stopped_within(self.stopped, turn),
            holds=tuple(hold for hold, _ in holds),
        )
        self._emit(observation, tuple(stack for _, stack in (*pending.samples, *holds)))
