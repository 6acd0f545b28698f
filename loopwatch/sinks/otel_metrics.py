"""loopwatch's metrics at an OpenTelemetry meter provider: stalls as they end, and what the program's readers ask for.

There is no convention for event loops in Python yet; names and attributes follow those of Node.js (`nodejs.eventloop.*`,
semantic conventions 1.44) under a prefix of our own. Seconds throughout.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from loopwatch.clocks import time
from loopwatch.records import Stall
from loopwatch.sinks import Source
from loopwatch.sinks.otel_counters import Counters, LoopCounters
from loopwatch.versions import version_of

__all__ = ["Instruments", "instruments_of"]

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
FRESH_S = 0.5
"""The callbacks of one collection share one reading."""

Observed = Iterable[Observation]
Callback = Callable[[CallbackOptions], Observed]


class Instruments:
    """The instruments at one provider, on behalf of one sink at a time: with two watches everything would count twice.

    OpenTelemetry cannot take an instrument back, so they stay, and say nothing while no sink has them.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        self._holders: list[tuple[object, Source]] = []
        self._renew()
        meter = metrics.get_meter("loopwatch", version_of("loopwatch", ""), provider)
        self._blocked = meter.create_histogram(
            "loopwatch.eventloop.blocked.duration",
            "s",
            "Duration of stalls, before any limit",
            explicit_bucket_boundaries_advisory=BUCKETS_S,
        )
        gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
        for place, name in enumerate(("p50", "p95", "p99", "max")):
            gauge(f"loopwatch.eventloop.delay.{name}", [self._delays(place)], "s", f"Event loop delay, {name}")
        gauge("loopwatch.eventloop.utilization", [self._utilization], "1", "Share of time in which the loop was active")
        counter("loopwatch.eventloop.time", [self._time], "s", "Time for which the loop was active or idle")
        counter("loopwatch.records.dropped", [self._dropped], "{record}", "Stalls that a full queue could not take")
        counter("loopwatch.cpu.time", [self._cpu_time], "s", "CPU time of loopwatch's own threads")

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._counters = Counters()
        self._lock = threading.Lock()
        self._read_at = -FRESH_S

    # ── the sinks' side: their threads ──────────────────────────────────────────────────────────────────────────

    def take(self, sink: object, source: Source) -> None:
        """Report on behalf of `sink`: now, or once those that came before have given back."""
        if self._pid != os.getpid():  # a fork's child counts from 0
            self._renew()
        self.give_back(sink)
        self._holders = [*self._holders, (sink, source)]

    def give_back(self, sink: object) -> None:
        """No longer on behalf of `sink`."""
        if self._is_of(sink):
            with self._lock:
                self._counters.rebase()
        self._holders = [holder for holder in self._holders if holder[0] is not sink]

    def _is_of(self, sink: object) -> bool:
        return bool(self._holders) and self._holders[0][0] is sink

    def count(self, sink: object, stall: Stall, context: Context) -> None:
        """Count an ended stall, if they are `sink`'s. `context`: the span in it is the exemplar."""
        if self._is_of(sink):
            attributes = {
                "loopwatch.cause": stall.cause.value,
                "loopwatch.allowed": stall.allowed is not None,
                "loopwatch.loop.backend": stall.loop.backend,
            }
            self._blocked.record(stall.duration_ms / 1e3, attributes, context)

    # ── the readers' side: any thread of the program's ──────────────────────────────────────────────────────────

    def _read(self) -> Counters | None:
        holders = self._holders
        if not holders or self._pid != os.getpid():  # what a fork's child has inherited is its parent's to tell
            return None
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_S:
                self._counters.read(holders[0][1].stats())
                self._read_at = time.monotonic()
        return self._counters

    def _loops(self) -> Iterator[tuple[LoopCounters, dict[str, Any]]]:
        counters = self._read()
        for (backend, thread), loop in list(counters.loops.items()) if counters else ():
            yield loop, {"loopwatch.loop.backend": backend, "thread.name": thread}

    def _delays(self, place: int) -> Callback:
        def observe(options: CallbackOptions) -> Observed:
            return [Observation(loop.delays_s[place], which) for loop, which in self._loops() if loop.delays_s]

        return observe

    def _utilization(self, options: CallbackOptions) -> Observed:
        shares = [(loop.utilization, which) for loop, which in self._loops()]
        return [Observation(share, which) for share, which in shares if share is not None]

    def _time(self, options: CallbackOptions) -> Observed:
        return [
            Observation(seconds, {**which, "loopwatch.eventloop.state": state})
            for loop, which in self._loops()
            for state, seconds in (("active", loop.active_s), ("idle", loop.idle_s))
            if loop.total_s > 0
        ]

    def _dropped(self, options: CallbackOptions) -> Observed:
        counters = self._read()
        return [] if counters is None else [Observation(counters.dropped)]

    def _cpu_time(self, options: CallbackOptions) -> Observed:
        counters = self._read()
        return [] if counters is None or counters.cpu_s is None else [Observation(counters.cpu_s)]


_made: dict[MeterProvider | None, Instruments] = {}
_making = threading.Lock()


def instruments_of(provider: MeterProvider | None) -> Instruments:
    """The instruments at a provider, made when first asked for; None: at the global one, also if that is set later."""
    with _making:
        if provider not in _made:
            _made[provider] = Instruments(provider)
        return _made[provider]
