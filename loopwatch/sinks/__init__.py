"""Where stalls go. A sink is any callable `(Stall) -> None`; a few have names."""

from collections.abc import Callable
from typing import Any

from loopwatch.errors import SettingError
from loopwatch.records import Stall
from loopwatch.settings import NAMED_SINKS

__all__ = ["Sink", "sink_called"]

Sink = Callable[[Stall], None]


def sink_called(name: str) -> Sink:
    """The sink of that name.

    Raises:
        SettingError: there is none.
    """
    if name == "structlog":
        from loopwatch.sinks.structlog import StructlogSink

        return StructlogSink()
    if name == "logging":
        from loopwatch.sinks.logging import LoggingSink

        return LoggingSink()
    raise SettingError(
        f"unknown sink {name!r}; there are: {', '.join(NAMED_SINKS)}; or pass a callable that takes a Stall"
    )


def describe_sink(sink: Any) -> str:
    """A sink's name, for messages."""
    return getattr(sink, "__qualname__", None) or type(sink).__qualname__
