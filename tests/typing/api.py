"""Programs that must and must not type-check against the public contract. Never run; mypy and pyright read it.

Each `# type: ignore[...]` is a promise too: the line under it is wrong, and both checkers must say so
(mypy `warn_unused_ignores`, pyright `reportUnnecessaryTypeIgnoreComment`).
"""

import functools
from collections.abc import Awaitable
from datetime import datetime
from typing import assert_type

import loopwatch
from loopwatch import (
    Cause,
    Incident,
    LoopStats,
    Origin,
    PoolReading,
    PoolSaturation,
    Severity,
    Stall,
    TraceInfo,
    Watch,
)

# ── doors ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def enabling() -> None:
    """The whole process, with and without settings."""
    assert_type(loopwatch.enable(), Watch)
    assert_type(loopwatch.enable(threshold_ms=50, ongoing_ms=None), Watch)
    loopwatch.enable(
        threshold_ms=50.5, sinks=["structlog"], app_packages=("acme", "acme_jobs"), session="run.loopwatch"
    )
    loopwatch.enable(sentinel=True, max_frames=32, max_samples=100, keep=10)
    loopwatch.enable(grace_ms=10_000, repeat_ms=60_000, records_per_minute=30, stacks_per_minute=10, quiet_ms=60_000)
    loopwatch.disable()


def enabling_wrongly() -> None:
    """Settings are keywords."""
    loopwatch.enable(50)  # type: ignore[call-arg]


def watching() -> None:
    """A stretch of a program."""
    with loopwatch.watching(threshold_ms=20) as watch:
        assert_type(watch, Watch)


# ── watches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def reading(watch: Watch) -> None:
    """What a watch answers."""
    assert_type(watch.stalls, tuple[Stall, ...])
    assert_type(watch.incidents, tuple[Incident, ...])
    assert_type(watch.pools, tuple[PoolReading, ...])
    assert_type(watch.saturations, tuple[PoolSaturation, ...])
    assert_type(watch.stats(), LoopStats)
    assert_type(watch.stats().loops, tuple[LoopStats, ...])
    assert_type(watch.flush(), bool)
    assert_type(watch.flush(timeout=0.5), bool)
    assert_type(watch.incidents[0].id, str)
    assert_type(watch.incidents[0].severity, Severity)
    assert_type(watch.incidents[0].p95_ms, float)
    watch.close()


def changing(watch: Watch) -> None:
    """What may change while a watch runs."""
    watch.configure(threshold_ms=250, ongoing_ms=None, records_per_minute=10)
    watch.allow("shop.reports:render", "ticket 4711")
    watch.allow("0123456789ab", "ticket 4711", up_to_ms=500)
    watch.disallow("0123456789ab")
    watch.configure(250)  # type: ignore[call-arg]
    watch.allow("0123456789ab")  # type: ignore[call-arg]


def writing(watch: Watch) -> None:
    """What a watch knows is not for its reader to change."""
    watch.stalls = ()  # type: ignore[misc]


# ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def stall(stall: Stall) -> None:
    """The fields of a stall that programs read most."""
    assert_type(stall.id, str)
    assert_type(stall.started_at, datetime)
    assert_type(stall.ongoing, bool)
    assert_type(stall.duration_ms, float)
    assert_type(stall.cause, Cause)
    assert_type(stall.severity, Severity)
    assert_type(stall.origin, Origin | None)
    assert_type(stall.waiting.requests, int | None)
    assert_type(stall.trace, TraceInfo | None)
    if stall.request is not None:
        assert_type(stall.request.route, str | None)
    stall.duration_ms = 0.0  # type: ignore[misc]
    print(stall.origin.line)  # type: ignore[union-attr]


def origin(origin: Origin) -> None:
    """The fields of an origin."""
    assert_type(origin.file, str)
    assert_type(origin.line, int)
    assert_type(origin.call, str | None)
    assert_type(origin.exact, bool)
    assert_type(origin.candidates, tuple[int, ...])


def cause(cause: Cause) -> str:
    """A cause is a string, and every member can be named."""
    text: str = cause
    match cause:
        case Cause.GIL | Cause.GC:
            return "another thread, or the collector"
        case _:
            return text


# ── sinks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def log(stall: Stall) -> None:
    """The plainest sink."""


class Counter:
    """A sink with a memory."""

    count = 0

    def __call__(self, stall: Stall) -> None:
        """Count it."""
        self.count += 1


class Pager:
    """A sink that also hears of incidents."""

    def __call__(self, stall: Stall) -> None:
        """Nothing to do: incidents are enough."""

    def incident(self, incident: Incident) -> None:
        """Call somebody."""
        assert_type(incident.news, str | None)


def page(stall: Stall, *, channel: str) -> bool:
    """A sink may return what it likes once it is bound."""
    return bool(channel) and stall.ongoing


def sinks(watch: Watch) -> None:
    """Any callable that takes a stall, and names."""
    seen: list[Stall] = []
    watch.add_sink(log)
    watch.add_sink(Counter())
    watch.add_sink(Pager())
    watch.add_sink(seen.append)
    watch.add_sink("structlog")
    loopwatch.enable(sinks=[log, Counter(), seen.append, functools.partial(page, channel="#ops"), "structlog"])
    loopwatch.enable(sinks=(log,))
    watch.add_sink(origin)  # type: ignore[arg-type]


# ── allow ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def allowing() -> None:
    """A block."""
    with loopwatch.allow("loads the model once"):
        pass
    with loopwatch.allow("compacts the cache", up_to_ms=500):
        pass
    loopwatch.allow()  # type: ignore[call-arg]


@loopwatch.allow("reads its configuration")
def configured(path: str) -> dict[str, str]:
    """A decorated function keeps its signature."""
    return {path: path}


@loopwatch.allow("warms up", up_to_ms=1_000)
async def warmed(size: int) -> list[int]:
    """A decorated coroutine function keeps its signature."""
    return [size]


def decorated() -> Awaitable[list[int]]:
    """Both may be called as before, and only so."""
    assert_type(configured("settings.toml"), dict[str, str])
    configured(1)  # type: ignore[arg-type]
    return warmed(3)


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def failing() -> None:
    """A wrong setting can be caught as what it is, as ours, or as Python's."""
    try:
        loopwatch.enable(threshold_ms=-1)
    except loopwatch.SettingError as error:
        root: loopwatch.LoopwatchError = error
        value: ValueError = error
        raise root from value
