"""Where stalls arrive while tests run: one subscriber to the engine, whose threshold follows the test's limit.

`receive` runs on the delivery thread, everything else on the thread that runs the tests.
"""

import threading
from collections import Counter, deque
from dataclasses import replace

from loopwatch.clocks import time
from loopwatch.engine import ENGINE
from loopwatch.judge import RULES, judge
from loopwatch.judge.weights import weigh
from loopwatch.observations import Observation, Saturation
from loopwatch.outlets import Outlet
from loopwatch.pytest_plugin.facts import Seen
from loopwatch.pytest_plugin.own import blind, own_ns
from loopwatch.records import Cause
from loopwatch.settings import Settings

__all__ = ["Recorder"]

KEEP = 10_000
PATIENCE_S = 10.0
"""How long to wait for what was observed to arrive: as long as a very busy machine may need."""


class Recorder:
    """Takes the stalls of all loops of this process.

    Args:
        settings: Of the watch; `aim` replaces the threshold.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: deque[Seen] = deque(maxlen=KEEP)
        self._subscriber: _Subscriber | None = None
        self._flushed_ns = 0
        self._dropped = 0
        self._elsewhere = False

    @property
    def floor_ms(self) -> float | None:
        """From how many milliseconds on stalls are recorded; None: none are."""
        return None if self._subscriber is None else self._subscriber.settings.threshold_ms

    def aim(self, floor_ms: float | None) -> None:
        """Record stalls from so many milliseconds on; None: no more."""
        if floor_ms == self.floor_ms:
            return
        before, self._subscriber = self._subscriber, None
        if floor_ms is not None:
            self._subscriber = _Subscriber(replace(self._settings, threshold_ms=floor_ms), self._seen)
            ENGINE.subscribe(self._subscriber)
            self._flushed_ns = self._flushed_ns or time.monotonic_ns()
        if before is not None:
            ENGINE.unsubscribe(before)

    def take(self, thoroughly: bool = False) -> tuple[list[Seen], str | None]:
        """The stalls that have ended since the last call, and why they may not be all (None: they are).

        Waking two threads costs more than most tests, so it is left out where no stall can have ended: nothing is under way, or
        less time has passed than a stall takes at least.

        Args:
            thoroughly: Look in any case where a loop still runs in another thread: it may be in the middle of one.
        """
        trouble = None
        now, floor_ms = time.monotonic_ns(), self.floor_ms
        running = bool(ENGINE.watchdog.watched)
        if floor_ms is not None and (
            self._elsewhere or (thoroughly and running) or now - self._flushed_ns >= floor_ms * 1e6
        ):
            self._flushed_ns = now
            trouble = self._trouble(ENGINE.settled or ENGINE.flush(PATIENCE_S))
            # A stall that is under way now may end soon after: then the next look must not be left out.
            self._elsewhere = running
        unique: dict[str, Seen] = {}
        while self._seen:
            one = self._seen.popleft()
            unique.setdefault(one.stall.id, one)
        return list(unique.values()), trouble

    def _trouble(self, flushed: bool) -> str | None:
        if not flushed:
            return f"loopwatch's threads did not get to run within {PATIENCE_S:g} s"
        dropped, self._dropped = ENGINE.dropped - self._dropped, ENGINE.dropped
        if dropped > 0:
            return f"{dropped} stalls came faster than they could be judged"
        failed = [one for one in ENGINE.watchdog.watched if one.failed]
        return f"watching the {failed[0].heartbeat.info.backend} loop failed" if failed else None


class _Subscriber:
    """What the engine knows of a recorder. Implements `loopwatch.engine.Subscriber`."""

    def __init__(self, settings: Settings, seen: deque[Seen]) -> None:
        self.settings = settings
        self.outlets: list[Outlet] = []
        self._seen = seen
        self._thread = threading.get_ident()

    def receive(self, observation: Observation, told: dict[str, bool]) -> None:
        if not observation.ongoing and observation.duration_ns >= self.settings.threshold_ns:
            self._seen.append(_seen(observation, self.settings))

    def receive_saturation(self, saturation: Saturation, told: set[str]) -> None:
        """A full pool fails no test."""

    def pass_time(self) -> None:
        """Nothing falls due."""

    def end(self) -> None:
        """Nothing is held back."""

    def forget(self) -> None:
        """A fork's child has its own tests, or none."""
        self._seen.clear()


def _seen(observation: Observation, settings: Settings) -> Seen:
    tasks = Counter(sample.task_id for sample in observation.samples)
    stall = judge(observation, settings.threshold_ms, settings.app_packages, RULES)
    return Seen(
        stall=stall,
        start_ns=observation.start_ns,
        end_ns=observation.end_ns,
        own_ms=own_ns(observation) / 1e6,
        blind=stall.cause is Cause.UNKNOWN and blind(observation),
        gc_ms=weigh(observation).gc_ns / 1e6,
        task_id=tasks.most_common(1)[0][0] if tasks else None,
    )
