"""From pools that are read to saturations: one is followed from the first look at which work waits to the last, and told.

For the watchdog's thread, after its looks at loops. How long somebody has waited is a lower bound: at each look whoever came last
of those that wait is noted, and as long as that one waits, the first in line has waited since that look at least.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from loopwatch.clocks import Clock
from loopwatch.observations import Saturation
from loopwatch.probes.pools import Pool, PoolProbe, Waiter
from loopwatch.probes.stacks import Capture
from loopwatch.records import LoopInfo, PoolReading
from loopwatch.schedule import Limits, next_announcement
from loopwatch.watchdog.notes import Watched

__all__ = ["PoolFollower"]

LOOK_NS = 500_000_000
"""Between two readings."""
MAX_MARKS = 256
MAX_FOLLOWED = 64
Emit = Callable[[Saturation, tuple[Capture, ...]], None]
"""Takes a saturation and its stacks."""


class _Probe(Protocol):
    """What is asked of `PoolProbe`."""

    def read(self, loops: Sequence[tuple[Any, LoopInfo]]) -> Sequence[Pool]: ...

    def stacks(self, workers: Sequence[int]) -> tuple[int, tuple[Capture, ...]]: ...


@dataclass(slots=True)
class _Followed:
    """A pool for which work waits, as far as it was seen."""

    id: str
    started_at: datetime
    start_ns: int
    end_ns: int
    reading: PoolReading
    looks: int = 0
    waiting_max: int = 0
    oldest_wait_max_ms: float | None = None
    announced_ns: int = 0
    """How long it had lasted at its latest announcement; 0: none yet."""
    late_ns: int = 0
    stacks: tuple[Capture, ...] = ()
    marks: list[tuple[int, Waiter]] = field(default_factory=list)
    """When somebody was seen to be the last in line, and who."""

    def note(self, reading: PoolReading, newest: Waiter | None, now_ns: int) -> None:
        """What one look saw. Who waits no more is forgotten, and whoever is the last in line now is remembered."""
        if (
            newest is not None
            and len(self.marks) < MAX_MARKS
            and all(one.ref is not newest.ref for _, one in self.marks)
        ):
            self.marks.append((now_ns, newest))
        self.marks = [(at_ns, one) for at_ns, one in self.marks if one.still_waits()]
        self.end_ns, self.looks = now_ns, self.looks + 1
        self.waiting_max = max(self.waiting_max, reading.waiting)
        self.reading = reading
        if self.marks:
            oldest_ms = (now_ns - self.marks[0][0]) / 1e6
            self.reading = replace(reading, oldest_wait_ms=oldest_ms)
            self.oldest_wait_max_ms = max(self.oldest_wait_max_ms or 0.0, oldest_ms)

    @property
    def lasted_ns(self) -> int:
        return self.end_ns - self.start_ns


class PoolFollower:
    """Reads the pools of the process now and then, and follows those that are saturated.

    Args:
        clock: Where time comes from.
        emit: Called with what is to be told.
        ids: Where each saturation's id comes from.
        failed: Called with one sentence when reading pools failed and is switched off.
        probe: Reads the pools.
    """

    def __init__(
        self,
        clock: Clock,
        emit: Emit,
        ids: Iterator[str],
        failed: Callable[[str], None],
        probe: _Probe | None = None,
    ) -> None:
        self.readings: tuple[PoolReading, ...] = ()
        """What was read last. Any thread may ask."""
        self._clock = clock
        self._emit = emit
        self._ids = ids
        self._failed = failed
        self._probe: _Probe = probe or PoolProbe()
        self._followed: dict[tuple[str, int], _Followed] = {}
        self._next_ns = 0
        self._off = False

    def look(self, watched: Sequence[Watched], limits: Limits) -> None:
        """Read the pools, if it is time to, and tell what is to be told; without loops all saturations have ended."""
        now = self._clock.now_ns()
        if self._off or (watched and now < self._next_ns):
            return
        self._next_ns = now + LOOK_NS
        try:
            loops = [(one.loop, one.heartbeat.info) for one in watched]
            self._follow(self._probe.read(loops) if loops and limits.saturated_ns else (), limits)
        except Exception as error:  # noqa: BLE001 - the watchdog goes on without
            self._off, self.readings = True, ()
            self._failed(f"watching pools: {error!r}")

    def _follow(self, pools: Sequence[Pool], limits: Limits) -> None:
        now = self._clock.now_ns()
        read = [self._note(pool, now) for pool in pools]
        self.readings = tuple(read)
        saturated = {pool.key: pool for pool, reading in zip(pools, read, strict=True) if reading.saturated}
        for key in [key for key in self._followed if key not in saturated]:
            followed = self._followed.pop(key)
            if followed.announced_ns:
                self._tell(followed, ongoing=False)
        for key, pool in saturated.items():
            if key in self._followed:
                self._announce(self._followed[key], pool, limits)

    def _note(self, pool: Pool, now: int) -> PoolReading:
        """The reading of a pool; one that work waits for is followed from now on."""
        reading = PoolReading(pool.kind, pool.name, pool.loop, pool.borrowed, pool.total, pool.waiting)
        if not reading.saturated:
            return reading
        followed = self._followed.get(pool.key)
        if followed is None:
            if len(self._followed) >= MAX_FOLLOWED:
                return reading
            followed = self._followed[pool.key] = _Followed(next(self._ids), self._clock.wall(now), now, now, reading)
        followed.note(reading, pool.newest, now)
        return followed.reading

    def _announce(self, followed: _Followed, pool: Pool, limits: Limits) -> None:
        due = next_announcement(limits.saturated_ns, followed.announced_ns)
        if due is None or followed.lasted_ns < due:
            return
        followed.late_ns, followed.stacks = self._probe.stacks(pool.workers)
        followed.announced_ns = followed.lasted_ns
        self._tell(followed, ongoing=True)

    def _tell(self, followed: _Followed, ongoing: bool) -> None:
        saturation = Saturation(
            id=followed.id,
            ongoing=ongoing,
            started_at=followed.started_at,
            start_ns=followed.start_ns,
            end_ns=followed.end_ns,
            looks=followed.looks,
            reading=followed.reading,
            waiting_max=followed.waiting_max,
            oldest_wait_max_ms=followed.oldest_wait_max_ms,
            pid=os.getpid(),
            late_ns=followed.late_ns,
            switch_interval_ns=int(sys.getswitchinterval() * 1e9),
        )
        self._emit(saturation, followed.stacks)
