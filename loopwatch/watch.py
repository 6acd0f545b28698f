"""`enable`, `disable`, `watching` and the `Watch` that they give: the door to everything else."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from loopwatch.delivery import say
from loopwatch.engine import ENGINE
from loopwatch.errors import SettingError
from loopwatch.incidents import Incidents
from loopwatch.judge import RULES, Rule, judge
from loopwatch.judge.pools import judge_saturation
from loopwatch.observations import Observation, Saturation, Verdict
from loopwatch.outlets import Limiter, Outlet
from loopwatch.records import Cause, Incident, LoopStats, PoolReading, PoolSaturation, Stall
from loopwatch.schedule import doubled
from loopwatch.settings import Settings, check_sink, resolve, shown, sink_name
from loopwatch.sinks import describe_sink, sink_called
from loopwatch.stats import Spent, Tally, key_of, stats_of

__all__ = ["Watch", "disable", "enable", "watching"]

Sink = Callable[[Stall], None]
MAX_ANNOUNCED = 256


class Watch:
    """One subscription to the stalls of this process, with its own threshold and sinks. Made by `enable` and `watching`.

    All methods and properties may be used from any thread.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.outlets: list[Outlet] = [_outlet(sink, self) for sink in settings.sinks if settings.enabled]
        self._rules = (*map(_guarded, settings.rules), *RULES)
        self._closed = False
        self.forget()
        if settings.enabled:
            ENGINE.subscribe(self)

    def forget(self) -> None:
        """Drop all that was recorded: called in the child after a fork, where threads and locks are gone, too."""
        self._lock = threading.Lock()
        self._stalls: deque[Stall] = deque(maxlen=self.settings.keep)
        self._incidents = Incidents(self.settings.keep)
        self._tallies: dict[tuple[str, int], Tally] = {}
        self._announced: OrderedDict[str, int] = OrderedDict()
        self._saturations: OrderedDict[str, PoolSaturation] = OrderedDict()
        self._before = _spent()
        self.outlets = [outlet.renewed() for outlet in self.outlets]

    # ── what it knows ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The latest ended stalls, oldest first; at most `keep` of them. Allowed ones and suspensions are only counted."""
        with self._lock:
            return tuple(self._stalls)

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Stalls grouped by fingerprint, most lost time first."""
        with self._lock:
            return self._incidents.all()

    @property
    def pools(self) -> tuple[PoolReading, ...]:
        """Pools that loops work with, as they were read last, at most about half a second ago: for gauges."""
        return ENGINE.pools.readings if self.settings.saturated_ms is not None else ()

    @property
    def saturations(self) -> tuple[PoolSaturation, ...]:
        """Pools for which work waited and that were told of: the latest record of each, oldest first; at most `keep` of them."""
        with self._lock:
            return tuple(self._saturations.values())

    def stats(self) -> LoopStats:
        """Totals of all loops together, and of each in `.loops`."""
        with self._lock:
            tallies = dict(self._tallies)
        spent = _spent()
        own_dropped = sum(outlet.queue.dropped for outlet in self.outlets)
        spent = replace(spent, dropped=spent.dropped + own_dropped)
        return stats_of(list(ENGINE.loops.runs.values()), tallies, spent, self._before)

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
        self.outlets = [*self.outlets, _outlet(sink, self)]

    def close(self) -> None:
        """End this watch when what was observed so far has been delivered. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        ENGINE.flush(1.0)
        ENGINE.unsubscribe(self)
        with ENGINE.enabling:
            for kind in [kind for kind, watch in _enabled.items() if watch is self]:
                del _enabled[kind]

    # ── the engine's side: the delivery thread ──────────────────────────────────────────────────────────────────

    def receive(self, observation: Observation, told: set[Any]) -> None:
        """Judge a stall and hand it to the sinks. `told`: sinks by name that had this record from another watch."""
        if observation.duration_ns < self.settings.threshold_ns:
            return
        if observation.ongoing and not self._announces(observation, self.settings.ongoing_ns):
            return
        stall = judge(observation, self.settings.threshold_ms, self.settings.app_packages, self._rules)
        if not observation.ongoing:
            self._record(stall)
            for outlet in self.outlets:
                outlet.tell("count", stall)
        if stall.cause is Cause.SUSPENDED or stall.allowed is not None:
            return
        for outlet in self.outlets:
            if outlet.name is None or outlet.name not in told:
                outlet.put(stall)
        told.update(outlet.name for outlet in self.outlets if outlet.name is not None)

    def receive_saturation(self, saturation: Saturation, told: set[Any]) -> None:
        """Judge a saturated pool and hand it to the sinks that take such. `told` as for `receive`."""
        if saturation.ongoing and not self._announces(saturation, self.settings.saturated_ns):
            return
        if not saturation.ongoing and self._announced.pop(saturation.id, None) is None:
            return
        judged = judge_saturation(saturation, self.settings.app_packages)
        with self._lock:
            self._saturations[judged.id] = judged
            if len(self._saturations) > self.settings.keep:
                self._saturations.popitem(last=False)
        for outlet in self.outlets:
            if outlet.name is None or outlet.name not in told:
                outlet.put_saturation(judged)
        told.update(outlet.name for outlet in self.outlets if outlet.name is not None)

    def _announces(self, observation: Observation | Saturation, first: int | None) -> bool:
        """Whether what still lasts is to be told now: first after `first` nanoseconds, then at doubling intervals."""
        if first is None:
            return False
        due = doubled(first, self._announced.get(observation.id, 0))
        if observation.duration_ns < due:
            return False
        self._announced[observation.id] = observation.duration_ns
        if len(self._announced) > MAX_ANNOUNCED:
            self._announced.popitem(last=False)
        return True

    def _record(self, stall: Stall) -> None:
        self._announced.pop(stall.id, None)
        key = (stall.loop.backend, stall.loop.thread_id)
        with self._lock:
            self._tallies.setdefault(key, Tally()).add(stall)
            if stall.cause is not Cause.SUSPENDED and stall.allowed is None:
                self._stalls.append(stall)
                self._incidents.add(stall)


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


def _outlet(sink: str | Sink, source: Watch) -> Outlet:
    if callable(sink):
        return Outlet(sink, source=source)
    return Outlet(sink_called(sink), name=sink_name(sink)[0], limiter=Limiter(), source=source)


# ── the module's own functions ──────────────────────────────────────────────────────────────────────────────────

_enabled: dict[str, Watch] = {}
"""The process-wide watches: of the program ("enable") and of a launcher ("auto"). The former never fails because of the latter."""


def enable(**settings: Any) -> Watch:
    """Watch every loop of this process, running now or later.

    Settings: see `loopwatch.settings.Settings`; what is not given comes from `LOOPWATCH_*`, `[tool.loopwatch]`, or the default.

    Returns:
        The watch. The same settings again give the same watch.

    Raises:
        SettingError: a setting cannot be used, or loopwatch is enabled already with others (`disable()` first).
    """
    return enable_as("enable", settings)


def enable_as(kind: str, settings: dict[str, Any]) -> Watch:
    """`enable` on behalf of the program ("enable") or of a launcher ("auto")."""
    wanted = resolve(settings)
    with ENGINE.enabling:
        present = _enabled.get(kind)
        if present is None:
            present = _enabled[kind] = Watch(wanted)
        elif present.settings != wanted:
            raise SettingError(
                f"loopwatch is enabled already, with {_difference(present.settings, wanted)}; "
                "call loopwatch.disable() first, or use loopwatch.watching() for a second watch"
            )
        return present


def _difference(present: Settings, wanted: Settings) -> str:
    names = [name for name in Settings.__dataclass_fields__ if getattr(present, name) != getattr(wanted, name)]
    return ", ".join(
        f"{name}={shown(name, getattr(present, name))} (asked for now: {shown(name, getattr(wanted, name))})"
        for name in names
    )


def disable() -> None:
    """End what `enable()` or `import loopwatch.auto` began: everything that was installed is uninstalled.

    Watches made by `watching()` go on. Without an enabled watch this does nothing.
    """
    for watch in list(_enabled.values()):
        watch.close()


@contextmanager
def watching(**settings: Any) -> Iterator[Watch]:
    """Watch every loop of this process within a `with` block, beside whatever else watches.

    Raises:
        SettingError: a setting cannot be used.
    """
    wanted = resolve(settings)
    watch = Watch(wanted)
    try:
        yield watch
    finally:
        watch.close()
