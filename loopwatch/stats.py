"""Totals of a watch, from what the engine knows of the loops and what the watch has counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from loopwatch.loops import LoopRun, Totals
from loopwatch.records import Cause, LoopInfo, LoopStats, Stall

__all__ = ["Key", "Spent", "Tally", "key_of", "stats_of"]

Key = tuple[str, int]
"""A loop's backend and the identity of its thread."""


@dataclass(slots=True)
class Tally:
    """Counts of stalls. Written by the delivery thread."""

    lost_ms: float = 0.0
    waited_ms: float = 0.0
    """The part of `lost_ms` in which the thread was not on the CPU."""
    by_cause: Counter[str] = field(default_factory=Counter)
    allowed: int = 0
    suspended: int = 0

    def add(self, stall: Stall) -> None:
        """Count an ended stall."""
        if stall.cause is Cause.SUSPENDED:
            self.suspended += 1
        elif stall.allowed is not None:
            self.allowed += 1
        else:
            self.lost_ms += stall.duration_ms
            self.by_cause[stall.cause.value] += 1
            if stall.cause not in (Cause.PYTHON, Cause.NATIVE, Cause.GC, Cause.OVERLOAD):
                self.waited_ms += stall.duration_ms


@dataclass(frozen=True, slots=True)
class _Measured:
    ran_ns: int
    utilization: float | None
    lags_ns: Sequence[int]
    """As they came."""
    ordered_ns: Sequence[int]
    looks: int
    stalled_ns: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Totals of the whole process so far: a watch takes them as it begins, and leaves them out of its own."""

    loops: dict[Key, Totals] = field(default_factory=dict)
    samples: int = 0
    dropped: int = 0
    cost_cpu_ns: int | None = None


def stats_of(
    runs: Iterable[LoopRun], tallies: dict[Key, Tally], spent: Spent, before: Spent, threshold_ns: int
) -> LoopStats:
    """The sum over all loops, with each loop in `.loops`; what is in `before` is left out.

    Args:
        threshold_ns: A turn under way is a stall from here on.
    """
    measured = {
        key: (
            run.info,
            _measure(spent.loops[key], before.loops.get(key, Totals()), tallies.get(key, Tally()), threshold_ns),
        )
        for run in runs
        if (key := key_of(run)) in spent.loops
    }
    cost = None if spent.cost_cpu_ns is None else max(0, spent.cost_cpu_ns - (before.cost_cpu_ns or 0)) / 1e6
    loops = tuple(
        _stats(info, one, [tallies.get(key, Tally())], samples=0, dropped=0, cost_ms=None)
        for key, (info, one) in measured.items()
    )
    every = [one for _, one in measured.values()]
    total = _Measured(
        sum(one.ran_ns for one in every),
        _mean_utilization(every),
        (),
        sorted(chain.from_iterable(one.ordered_ns for one in every)),
        sum(one.looks for one in every),
        max((one.stalled_ns for one in every), default=0),
    )
    samples, dropped = max(0, spent.samples - before.samples), max(0, spent.dropped - before.dropped)
    return _stats(None, total, list(tallies.values()), samples, dropped, cost, loops)


def key_of(run: LoopRun) -> Key:
    """A loop that is restarted in the same thread goes on with its totals."""
    return run.info.backend, run.info.thread_id


def _measure(now: Totals, before: Totals, tally: Tally, threshold_ns: int) -> _Measured:
    ran = now.ran_ns - before.ran_ns
    busy = None if now.busy_ns is None else now.busy_ns - (before.busy_ns or 0)
    if busy is None and now.cpu_ns is not None:
        # No clock of turns: the CPU clock, and the stalls in which the thread waited.
        busy = now.cpu_ns - (before.cpu_ns or 0) + int(tally.waited_ms * 1e6)
    looks = now.looks - before.looks
    lags = now.lags_ns[-looks:] if looks > 0 else ()
    stalled = now.stalled_ns if now.stalled_ns >= threshold_ns else 0
    utilization = None if busy is None or ran <= 0 else min(1.0, busy / ran)
    return _Measured(ran, utilization, lags, sorted(lags), max(0, looks), stalled)


def _mean_utilization(every: Sequence[_Measured]) -> float | None:
    known = [(one.utilization, one.ran_ns) for one in every if one.utilization is not None]
    weight = sum(ran for _, ran in known)
    return sum(share * ran for share, ran in known) / weight if weight else None


def _stats(
    info: LoopInfo | None,
    measured: _Measured,
    tallies: Sequence[Tally],
    samples: int,
    dropped: int,
    cost_ms: float | None,
    loops: tuple[LoopStats, ...] = (),
) -> LoopStats:
    causes = sum((tally.by_cause for tally in tallies), Counter[str]())
    lags = measured.ordered_ns
    return LoopStats(
        loop=info,
        observed_s=measured.ran_ns / 1e9,
        utilization=measured.utilization,
        lag_p50_ms=_quantile_ms(lags, 0.50),
        lag_p95_ms=_quantile_ms(lags, 0.95),
        lag_p99_ms=_quantile_ms(lags, 0.99),
        lag_max_ms=_quantile_ms(lags, 1.0),
        lost_ms=sum(tally.lost_ms for tally in tallies),
        stalls=sum(causes.values()),
        by_cause=dict(causes),
        allowed=sum(tally.allowed for tally in tallies),
        suspended=sum(tally.suspended for tally in tallies),
        dropped=dropped,
        samples=samples,
        cost_cpu_ms=cost_ms,
        stalled_ms=measured.stalled_ns / 1e6,
        lags_ms=tuple([lag / 1e6 for lag in measured.lags_ns]),
        looks=measured.looks,
        loops=loops,
    )


def _quantile_ms(ordered: Sequence[int], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1e6 if ordered else 0.0
