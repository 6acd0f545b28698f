"""Totals of a watch, from what the engine knows of the loops and what the watch has counted. Pure but for the clocks."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loopwatch.loops import LoopRun
from loopwatch.records import Cause, LoopInfo, LoopStats, Stall

__all__ = ["Tally", "stats_of"]


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


def stats_of(
    runs: Iterable[LoopRun], tallies: dict[tuple[str, int], Tally], samples: int, dropped: int, cost_cpu_ns: int | None
) -> LoopStats:
    """The sum over all loops, with each loop in `.loops`."""
    measured = {(run.info.backend, run.info.thread_id): (run.info, _measure(run, tallies)) for run in runs}
    cost_ms = None if cost_cpu_ns is None else cost_cpu_ns / 1e6
    loops = tuple(
        _stats(info, one, [tallies.get(key, Tally())], samples=0, dropped=0, cost_ms=None)
        for key, (info, one) in measured.items()
    )
    every = [one for _, one in measured.values()]
    total = _Measured(
        sum(one.ran_ns for one in every), _mean_utilization(every), [lag for one in every for lag in one.lags_ns]
    )
    return _stats(None, total, list(tallies.values()), samples, dropped, cost_ms, loops)


def _measure(run: LoopRun, tallies: dict[tuple[str, int], Tally]) -> _Measured:
    now = time.monotonic_ns()
    ran, busy, cpu, lags = run.ran_ns, run.busy_ns, run.cpu_ns, list(run.lags_ns)
    watched = run.current
    if watched is not None:
        ran += now - watched.began_ns
        busy_now, cpu_now = watched.heartbeat.busy_ns(now), watched.probe.cpu_ns()
        busy = None if busy is None or busy_now is None else busy + busy_now
        cpu = None if cpu is None or cpu_now is None or run.cpu_base_ns is None else cpu + cpu_now - run.cpu_base_ns
        lags += list(watched.lags_ns)
    if busy is None and cpu is not None:
        # No clock of turns: the CPU clock, and the stalls in which the thread waited.
        waited = tallies.get((run.info.backend, run.info.thread_id), Tally()).waited_ms
        busy = cpu + int(waited * 1e6)
    return _Measured(ran, None if busy is None or ran <= 0 else min(1.0, busy / ran), lags)


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
    lags = sorted(measured.lags_ns)
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
        loops=loops,
    )


def _quantile_ms(ordered: Sequence[int], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1e6 if ordered else 0.0
