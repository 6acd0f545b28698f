"""Where stalls go. A sink is any callable `(Stall) -> None`; some have names, and what they need may follow a colon.

A sink is called with the stalls that people should read: within limits, without those that are allowed. It may have more to it:
see `Hooks`.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from loopwatch.errors import MissingExtraError, SettingError
from loopwatch.records import Incident, LoopStats, PoolReading, PoolSaturation, Stall
from loopwatch.settings import NAMED_SINKS, Settings, sink_name

__all__ = ["Hooks", "Sink", "Source", "describe_sink", "need", "sink_called"]

Sink = Callable[[Stall], None]


class Source(Protocol):
    """What a sink may ask of the watch that it belongs to, from any thread."""

    @property
    def settings(self) -> Settings: ...

    @property
    def incidents(self) -> tuple[Incident, ...]: ...

    @property
    def pools(self) -> tuple[PoolReading, ...]: ...

    def stats(self) -> LoopStats: ...


class Hooks(Protocol):
    """What a sink may have beside being callable: each is optional. All are called one at a time, on the sink's own thread."""

    def begin(self, source: Source) -> None:
        """The first loop has started, in this process: the time to open files, sockets and threads. Anew in a fork's child."""

    def count(self, stall: Stall) -> None:
        """Every stall that has ended, before any limit; also those that are allowed, and suspensions."""

    def incident(self, incident: Incident) -> None:
        """News of an incident (`Incident.news`): it opened, became worse, goes on, or closed.

        Within a limit, and in pairs: what a sink is told opened is told closed once, at the latest before `end`.
        """

    def delivered(self, timeout_s: float) -> bool:
        """Whether all that the sink was given has left it, within so many seconds; for a sink that delivers later.

        Unlike the others it is called on the thread of whoever flushes the watch, while others may be called.
        """

    def pool(self, saturation: PoolSaturation) -> None:
        """A pool for which work waits: while it lasts, at doubling intervals, and once when it has ended. Within limits."""

    def end(self) -> None:
        """The watch ends, or the process does: what was opened is closed."""


def sink_called(text: str) -> Sink:
    """The sink of that name, made with what follows the colon.

    Raises:
        SettingError: there is none, or what follows the colon cannot be used.
    """
    name, argument = sink_name(text)
    where = NAMED_SINKS.get(name)
    if where is None:
        raise SettingError(
            f"unknown sink {name!r}; there are: {', '.join(sorted(NAMED_SINKS))}; or pass a callable that takes a Stall"
        )
    make = getattr(import_module(f"loopwatch.sinks.{where[0]}"), where[1])
    sink: Sink = make(argument) if argument else make()
    return sink


def need(sink: str, library: str) -> None:
    """Called where a sink is made: whether `library` (an import name) is installed. It is imported when the sink begins.

    Raises:
        MissingExtraError: it is not. The extra goes by the sink's name.
    """
    if find_spec(library) is None:
        raise MissingExtraError(
            f"sink {sink!r} needs {library}, which is not installed; pip install 'loopwatch[{sink}]'"
        )


def describe_sink(sink: Any) -> str:
    """A sink's name, for messages."""
    return getattr(sink, "__qualname__", None) or type(sink).__qualname__
