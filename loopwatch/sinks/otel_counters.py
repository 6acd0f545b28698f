"""From a watch's totals, which begin anew with each watch, and from which loops come and go, to counters that only grow. Pure."""

from collections.abc import Hashable
from dataclasses import dataclass

from loopwatch.records import LoopInfo, LoopStats

__all__ = ["Counters", "LoopCounters"]

MAX_LOOPS = 20
"""Further threads are told together, as "other": a program may make a thread and a loop for each job."""


@dataclass(slots=True)
class LoopCounters:
    """Of the loops that go by one name. Seconds."""

    total_s: float = 0.0
    active_s: float = 0.0
    idle_s: float = 0.0
    """Never goes back: that a loop was stuck in a wait is learnt at its end on uvloop, where its CPU clock tells of the rest."""
    recent_s: float = 0.0
    """Since the reading before, as is the next."""
    recent_active_s: float = 0.0
    delays_s: tuple[float, ...] = ()
    """p50, p95, p99 and the longest; of several loops the worst. Empty where none of them runs."""

    @property
    def utilization(self) -> float | None:
        """Share of the time since the reading before; None: they did not run, or it cannot be told."""
        return min(1.0, self.recent_active_s / self.recent_s) if self.recent_s > 0 else None

    def begin(self) -> None:
        """A new reading."""
        self.recent_s, self.recent_active_s, self.delays_s = 0.0, 0.0, ()

    def add(self, ran_s: float, active_s: float, delays_s: tuple[float, ...]) -> None:
        """What one loop adds to it."""
        self.recent_s, self.recent_active_s = self.recent_s + ran_s, self.recent_active_s + active_s
        self.total_s, self.active_s = self.total_s + ran_s, self.active_s + active_s
        self.idle_s = max(self.idle_s, self.total_s - self.active_s)
        self.delays_s = tuple(map(max, self.delays_s or delays_s, delays_s))


class Counters:
    """What the metrics of this process say. For one thread at a time."""

    def __init__(self) -> None:
        self.loops: dict[tuple[str, str], LoopCounters] = {}
        """By backend and thread."""
        self.dropped = 0
        self.cpu_s: float | None = None
        self._before: dict[Hashable, float] = {}

    def rebase(self) -> None:
        """The next reading is of another watch, whose totals began at 0."""
        self._before = {}

    def read(self, stats: LoopStats) -> None:
        """Take on a watch's totals."""
        before, self._before = self._before, _totals_of(stats)
        grown = {key: max(0.0, total - before.get(key, 0.0)) for key, total in self._before.items()}
        self.dropped += int(grown["dropped"])
        self.cpu_s = None if stats.cost_cpu_ms is None else (self.cpu_s or 0.0) + grown["cpu"]
        for counters in self.loops.values():
            counters.begin()
        for one in stats.loops:
            if one.loop is not None:
                delays = (one.lag_p50_ms / 1e3, one.lag_p95_ms / 1e3, one.lag_p99_ms / 1e3, one.lag_max_ms / 1e3)
                ran, active = grown.get((one.loop, "ran"), 0.0), grown.get((one.loop, "active"), 0.0)
                self._of(one.loop).add(ran, active, delays)

    def _of(self, loop: LoopInfo) -> LoopCounters:
        name = loop.backend, loop.thread
        if name not in self.loops and len(self.loops) >= MAX_LOOPS:
            name = loop.backend, "other"
        return self.loops.setdefault(name, LoopCounters())


def _totals_of(stats: LoopStats) -> dict[Hashable, float]:
    totals: dict[Hashable, float] = {"dropped": stats.dropped, "cpu": (stats.cost_cpu_ms or 0.0) / 1e3}
    for one in stats.loops:
        if one.utilization is not None:
            totals[one.loop, "ran"] = one.observed_s
            totals[one.loop, "active"] = one.observed_s * one.utilization
    return totals
