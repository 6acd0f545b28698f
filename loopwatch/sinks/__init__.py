"""Where stalls go. A sink is any callable `(Stall) -> None`; a few have names."""

from collections.abc import Callable
from typing import Any

from loopwatch.errors import SettingError
from loopwatch.records import Stall

__all__ = ["Sink", "named_sinks", "sink_called"]

Sink = Callable[[Stall], None]


def named_sinks() -> tuple[str, ...]:
    """The names that `sinks=[...]` takes."""
    return ("logging", "structlog")


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
        f"unknown sink {name!r}; there are: {', '.join(named_sinks())}; or pass a callable that takes a Stall"
    )


def describe_sink(sink: Any) -> str:
    """A sink's name, for messages."""
    return getattr(sink, "__qualname__", None) or type(sink).__qualname__
