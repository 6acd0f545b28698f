"""`Watch`: what the doors (`loopwatch.enabling`) give, and what the engine tells of stalls."""

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any

from loopwatch.books import Books
from loopwatch.checks import check_allowance
from loopwatch.clocks import time
from loopwatch.delivery import say
from loopwatch.engine import ENGINE
from loopwatch.errors import SettingError
from loopwatch.judge import RULES, Rule, judge
from loopwatch.judge.allowed import Standing, standing_reason
from loopwatch.judge.pools import judge_saturation
from loopwatch.observations import Observation, Saturation, Verdict
from loopwatch.outlets import Outlet
from loopwatch.quotas import Quotas
from loopwatch.records import Incident, LoopStats, PoolReading, PoolSaturation, Stall
from loopwatch.saturations import Saturations
from loopwatch.settings import Settings, changed, check_sink, shown
from loopwatch.sinks import describe_sink, sink_called
from loopwatch.stats import Spent, key_of, stats_of

__all__ = ["Watch"]

Sink = Callable[[Stall], None]
START_UP = "start-up"
"""The reason for which a stall within `grace_ms` is allowed."""


class Watch:
    """One subscription to the stalls of this process, with its own threshold and sinks. Made by `enable` and `watching`.

    All methods and properties may be used from any thread.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings: Settings = settings
        self.asked_for = settings
        """As they were before `configure`."""
        self.outlets: list[Outlet] = [self._outlet(sink) for sink in settings.sinks if settings.enabled]
        self._rules = (*map(_guarded, settings.rules), *RULES)
        self._standing: dict[str, Standing] = {}
        self.closed: bool = False
        self.forget()
        if settings.enabled:
            ENGINE.subscribe(self)

    def forget(self) -> None:
        """Drop all that was recorded: called in the child after a fork, where threads and locks are gone, too."""
        self._books = Books(self.settings)
        self._saturations = Saturations(self.settings.keep)
        self._before = _spent()
        self.outlets = [outlet.renewed() for outlet in self.outlets]

    # ── what it knows ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The latest ended stalls, oldest first; at most `keep` of them. Allowed ones and suspensions are only counted."""
        return self._books.stalls()

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Stalls grouped by fingerprint, most lost time first; at most `keep` of them."""
        return self._books.incidents(time.monotonic())

    @property
    def pools(self) -> tuple[PoolReading, ...]:
        """Pools that loops work with, as they were read last, at most about half a second ago: for gauges."""
        return ENGINE.pools.readings if self.settings.saturated_ms is not None else ()

    @property
    def saturations(self) -> tuple[PoolSaturation, ...]:
        """Pools for which work waited and that were told of: the latest record of each, oldest first; at most `keep` of them."""
        return self._saturations.all()

    def stats(self) -> LoopStats:
        """Totals of all loops together, and of each in `.loops`."""
        tallies = self._books.tallies()
        spent = _spent()
        own_dropped = sum(outlet.queue.dropped for outlet in self.outlets)
        spent = replace(spent, dropped=spent.dropped + own_dropped)
        return stats_of(list(ENGINE.loops.runs.values()), tallies, spent, self._before, self.settings.threshold_ns)

    # ── what it does ────────────────────────────────────────────────────────────────────────────────────────────

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was observed so far has been delivered.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if it takes longer.
        """
        return ENGINE.flush(timeout)

    def add_sink(self, sink: str | Sink) -> None:
        """Deliver to one more sink from now on: a callable, or a name.

        Raises:
            SettingError: there is no sink of that name.
        """
        try:
            check_sink(sink)
        except ValueError as error:
            raise SettingError(f"invalid sink {shown('sinks', sink)}; {error}") from None
        self.outlets = [*self.outlets, self._outlet(sink)]
        ENGINE.sinks_changed()

    def configure(self, **settings: Any) -> None:
        """Change settings from now on: thresholds, grace and limits. What is not given stays as it is.

        >>> with loopwatch.watching(sinks=[]) as watch:
        ...     watch.configure(threshold_ms=250, records_per_minute=10)

        Raises:
            SettingError: a setting cannot be used, or not be changed while the watch runs; then none is changed.
        """
        self.settings = changed(self.settings, settings)
        ENGINE.settings_changed(self._adjust)

    def allow(self, what: str, reason: str, up_to_ms: float | None = None) -> None:
        """From now on, stalls of one kind are expected: counted, not reported. Once more for the same kind: it is replaced.

        >>> with loopwatch.watching(sinks=[]) as watch:
        ...     watch.allow("shop.reports:render_pdf", "ticket 4711", up_to_ms=500)

        `loopwatch.allow` says the same of a piece of code.

        Args:
            what: A fingerprint, or the line's "module:function", the function by its qualified name.
            reason: Why; shown where allowed stalls are counted.
            up_to_ms: How much of a stall is excused, in milliseconds; None: any length.

        Raises:
            SettingError: one of them cannot be used.
        """
        check_allowance("watch.allow()", reason, up_to_ms)
        if not isinstance(what, str) or not what.strip():
            raise SettingError(
                f"invalid {what!r} for watch.allow(); give a stall's fingerprint, or the module:function of its line"
            )
        self._standing = {**self._standing, what: Standing(what, reason, up_to_ms)}

    def disallow(self, what: str) -> None:
        """Take back `allow`. Without one this does nothing."""
        self._standing = {one: standing for one, standing in self._standing.items() if one != what}

    def close(self) -> None:
        """End this watch when what was observed so far has been delivered. Closing twice does nothing."""
        if self.closed:
            return
        self.closed = True
        ENGINE.flush(1.0)
        ENGINE.unsubscribe(self)

    def _adjust(self) -> None:
        self._books.adjust(self.settings)
        for outlet in self.outlets:
            outlet.adjust(*_limits(self.settings))

    def _outlet(self, sink: str | Sink) -> Outlet:
        if callable(sink):
            return Outlet(sink, source=self)
        return Outlet(sink_called(sink), sink.strip(), Quotas(*_limits(self.settings)), self)

    # ── the engine's side: the delivery thread ──────────────────────────────────────────────────────────────────

    def receive(self, observation: Observation, told: dict[str, bool]) -> None:
        """Judge a stall and hand it to the sinks; see `loopwatch.subscribers.Subscriber`."""
        if not self._books.wants(observation, self.settings):
            return
        stall, now = self._judged(observation), time.monotonic()
        if not stall.ongoing:
            for outlet in self.outlets:
                outlet.tell("count", stall)
        tell, news = self._books.add(stall, now)
        self._tell_incidents(news, told)
        if tell:
            self._tell(stall, now, told)

    def receive_saturation(self, saturation: Saturation, told: set[str]) -> None:
        """Judge a saturated pool and hand it to the sinks that take such; see `loopwatch.subscribers.Subscriber`."""
        if not self._saturations.wants(saturation, self.settings.saturated_ns):
            return
        judged, now = judge_saturation(saturation, self.settings.app_packages), time.monotonic()
        self._saturations.add(judged)
        for outlet in self.outlets:
            if outlet.name is None or outlet.name not in told:
                outlet.put_saturation(judged, now)
        told.update(outlet.name for outlet in self.outlets if outlet.name is not None)

    def _judged(self, observation: Observation) -> Stall:
        settings = self.settings
        stall = judge(observation, settings.threshold_ms, settings.app_packages, self._rules)
        if stall.allowed is not None:
            return stall
        reason = standing_reason(stall, self._standing.values())
        if reason is None and observation.ran_ns is not None and observation.ran_ns < settings.grace_ms * 1e6:
            reason = START_UP
        return stall if reason is None else replace(stall, allowed=reason)

    def _tell(self, stall: Stall, now: float, told: dict[str, bool]) -> None:
        passed: dict[str, bool] = {}
        for outlet in self.outlets:
            name = outlet.name
            if name is None:
                outlet.put(stall, now)
            elif name not in told or (not told[name] and outlet.owes(stall)):
                passed[name] = outlet.put(stall, now) or passed.get(name, False)
        told.update(passed)

    def _tell_incidents(self, news: Iterable[Incident], told: Container[str | None] = ()) -> None:
        for incident in news:
            for outlet in self.outlets:
                if incident.news != "opened" or outlet.name not in told:
                    outlet.tell_incident(incident)

    def pass_time(self) -> float | None:
        """Tell what has fallen due; for how many seconds nothing will, None: not before a stall comes."""
        now = time.monotonic()
        news, due = self._books.pass_time(now)
        self._tell_incidents(news)
        times = [due, *(outlet.pass_time(now) for outlet in self.outlets)]
        return min((max(0.0, time_s - now) for time_s in times if time_s is not None), default=None)

    def end(self) -> None:
        """Tell what was held back, and that all incidents are closed."""
        now = time.monotonic()
        for outlet in self.outlets:
            outlet.let_go(now)
        self._tell_incidents(self._books.close())


def _guarded(rule: Rule) -> Rule:
    """A rule of the user's, which may fail: then it is not asked again, and that is said once."""
    failed = False

    def asked(observation: Observation) -> Verdict | None:
        nonlocal failed
        if failed:
            return None
        try:
            verdict = rule(observation)
            if not isinstance(verdict, Verdict | None):
                raise TypeError(f"it returned {verdict!r}, neither a Verdict nor None")
        except Exception as error:  # noqa: BLE001 - whatever it raises, stalls are told on
            failed = True
            say(f"loopwatch: rule {describe_sink(rule)} is switched off after it failed: {error!r}")
            return None
        return verdict

    return asked


def _spent() -> Spent:
    runs = list(ENGINE.loops.runs.values())
    return Spent(
        loops={key_of(run): run.totals(run.current) for run in runs},
        samples=ENGINE.watchdog.samples,
        dropped=ENGINE.dropped,
        cost_cpu_ns=ENGINE.own_cpu_ns,
    )


def _limits(settings: Settings) -> tuple[float, int, int]:
    """As `Quotas` wants them."""
    return settings.repeat_ms / 1e3, settings.records_per_minute, settings.stacks_per_minute
