"""The metrics themselves: their names, and how a watch's totals and stalls get into them.

Names and units are part of the public contract (docs/sinks.md); rules, alerts and dashboard in `loopwatch/contrib` rest on them.
prometheus-client is imported when they are made.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loopwatch.records import Cause, Incident, LoopStats, PoolReading, Stall
from loopwatch.sinks.prometheus.labels import Capped, loop_labels, site_labels
from loopwatch.versions import version_of

__all__ = ["STALLED", "Metrics"]

STALLED = "loopwatch_event_loop_stalled_seconds"
BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MAX_LOOPS = 10
MAX_SITES = 100
MAX_POOLS = 20
Key = tuple[str, ...]


class Metrics:
    """One process's metrics. Used by one thread at a time."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        def counter(name: str, labels: str, says: str) -> Any:
            return Counter(name, says, labels.split(), registry=None)

        def histogram(name: str, labels: str, says: str) -> Any:
            return Histogram(name, says, labels.split(), registry=None, buckets=BUCKETS)

        def gauge(name: str, labels: str, says: str, workers: Any = "livemax") -> Any:
            return Gauge(name, says, labels.split(), registry=None, multiprocess_mode=workers)

        loop = "loopwatch_event_loop_"
        self.lag = histogram(loop + "lag_seconds", "loop", "How long an event would have waited so far, at each look.")
        self.blocked = histogram(loop + "blocked_seconds", "loop cause", "Stalls that have ended.")
        self.stalled = gauge(STALLED, "loop", "Age of the stall under way; 0: there is none.")
        self.observed = counter(loop + "observed_seconds", "loop", "For how long the loop was running.")
        self.busy = counter(loop + "busy_seconds", "loop", "For how long it was in a turn.")
        self.allowed = counter("loopwatch_allowed_stalls", "loop", "Stalls that loopwatch.allow() covers.")
        self.suspended = counter("loopwatch_suspensions", "loop", "Times at which the whole process stood still.")
        self.sites = counter("loopwatch_blocked_site_seconds", "file function line", "Time lost to stalls, by line.")
        self.incidents = gauge("loopwatch_incidents_open", "", "Incidents that were told open.", workers="livesum")
        self.tokens = gauge(
            "loopwatch_threadpool_tokens", "kind pool state", "Threads or connections of pools.", workers="livesum"
        )
        self.dropped = counter("loopwatch_dropped", "", "Stalls that a full queue could not take.")
        self.overhead = counter("loopwatch_overhead_seconds", "", "CPU time of loopwatch's own threads.")
        self.build = gauge("loopwatch_build_info", "version", "Which loopwatch this is; always 1.")
        self._loops, self._sites, self._pools = Capped(MAX_LOOPS), Capped(MAX_SITES), Capped(MAX_POOLS)
        self._totals: dict[tuple[int, Key], float] = {}
        self._shown: dict[Any, set[Key]] = {}
        self._looks: dict[tuple[str, int], int] = {}
        self._open: set[str] = set()
        self.build.labels(version_of("loopwatch", "unknown")).set(1)

    def every(self) -> Iterator[Any]:
        """All of them, as prometheus-client's collectors."""
        return (metric for metric in vars(self).values() if hasattr(metric, "collect"))

    # ── single events ───────────────────────────────────────────────────────────────────────────────────────────

    def count(self, stall: Stall) -> None:
        """A stall has ended. Suspensions and what is allowed are counted from the totals, as times and not as lost time."""
        if stall.cause is Cause.SUSPENDED or stall.allowed is not None:
            return
        seconds = stall.duration_ms / 1e3
        loop = self._loops(loop_labels(stall.loop))
        self.blocked.labels(*loop, stall.cause.value).observe(seconds, {"stall_id": stall.id})
        self.sites.labels(*self._sites(site_labels(stall.origin))).inc(seconds)

    def incident(self, incident: Incident) -> None:
        """News of an incident: every opening that is told is told closed, too."""
        if incident.state == "closed":
            self._open.discard(incident.id)
        else:
            self._open.add(incident.id)
        self.incidents.set(len(self._open))

    # ── totals ──────────────────────────────────────────────────────────────────────────────────────────────────

    def refresh(self, stats: LoopStats, pools: Iterable[PoolReading] = ()) -> None:
        """Bring all that is read, and not told, up to date."""
        loops = self._by_loop(stats.loops)
        self._show(self.stalled, {loop: max(one.stalled_ms for one in every) / 1e3 for loop, every in loops.items()})
        self._show(self.tokens, self._tokens_of(pools))
        for loop, every in loops.items():
            self._raise(self.observed, sum(one.observed_s for one in every), loop)
            self._raise(self.busy, sum(one.observed_s * (one.utilization or 0.0) for one in every), loop)
            self._raise(self.allowed, sum(one.allowed for one in every), loop)
            self._raise(self.suspended, sum(one.suspended for one in every), loop)
            for one in every:
                for lag_ms in self._new_lags(one):
                    self.lag.labels(*loop).observe(lag_ms / 1e3)
        self._raise(self.dropped, stats.dropped)
        self._raise(self.overhead, (stats.cost_cpu_ms or 0.0) / 1e3)

    def rest(self) -> None:
        """Nobody watches any more: nothing is under way."""
        self._show(self.stalled, {})
        self._show(self.tokens, {})
        self.incidents.set(0)

    def _by_loop(self, loops: Iterable[LoopStats]) -> dict[Key, list[LoopStats]]:
        """Loops by their labels, which several may share."""
        groups: dict[Key, list[LoopStats]] = {}
        for one in loops:
            groups.setdefault(self._loops(loop_labels(one.loop)), []).append(one)
        return groups

    def _raise(self, counter: Any, total: float, labels: Key = ()) -> None:
        """Add what `total` has grown by. It shrinks where a loop was forgotten: then it is counted on from there."""
        key = (id(counter), labels)
        grown, self._totals[key] = total - self._totals.get(key, 0.0), total
        (counter.labels(*labels) if labels else counter).inc(max(0.0, grown))

    def _new_lags(self, stats: LoopStats) -> tuple[float, ...]:
        """Those since the last time; if there have been too many to remember, the latest stand for them."""
        key = ("", 0) if stats.loop is None else (stats.loop.backend, stats.loop.thread_id)
        new = stats.looks - self._looks.get(key, 0)
        self._looks[key] = stats.looks
        return stats.lags_ms[-new:] if new > 0 else ()

    def _show(self, gauge: Any, values: Mapping[Key, float]) -> None:
        """What was shown before and is no more is 0."""
        known = self._shown.setdefault(gauge, set())
        known.update(values)
        for labels in known:
            gauge.labels(*labels).set(values.get(labels, 0.0))

    def _tokens_of(self, pools: Iterable[PoolReading]) -> dict[Key, float]:
        """Pools by labels, which those of several loops share."""
        tokens: dict[Key, float] = {}
        for pool in pools:
            labels = self._pools((pool.kind, pool.name))
            for state in ("borrowed", "total", "waiting"):
                number = getattr(pool, state)
                if number is not None:
                    tokens[*labels, state] = tokens.get((*labels, state), 0) + number
        return tokens
