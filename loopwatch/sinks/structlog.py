"""Stalls through structlog, if the program has configured it; else through the standard library's logging.

`structlog.get_logger()` in a program that never configured structlog prints to stdout, which a library must not do. Whether it
is configured is asked anew for each event. A program that has not imported structlog cannot have configured it, and is not made
to pay for the import.
"""

import sys

from loopwatch.records import Stall
from loopwatch.sinks.event import event_name, fields_of
from loopwatch.sinks.logging import LoggingSink

__all__ = ["StructlogSink"]


class StructlogSink:
    """Logs through the program's own structlog configuration, at the level of the stall's severity."""

    def __init__(self) -> None:
        self._unconfigured = LoggingSink()

    def __call__(self, stall: Stall) -> None:
        structlog = sys.modules.get("structlog")
        if structlog is None or not structlog.is_configured():
            self._unconfigured(stall)
            return
        log = getattr(structlog.get_logger("loopwatch"), stall.severity.value)
        log(event_name(stall), **fields_of(stall))
