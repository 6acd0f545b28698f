"""Stalls, and saturated pools, through structlog, if the program has configured it; else through the standard library's logging.

`structlog.get_logger()` in a program that never configured structlog prints to stdout, which a library must not do. Whether it
is configured is asked anew for each event. A program that has not imported structlog cannot have configured it, and is not made
to pay for the import.
"""

import sys
from typing import Any

from loopwatch.records import PoolSaturation, Stall
from loopwatch.sinks.event import event_name, fields_of
from loopwatch.sinks.logging import LoggingSink
from loopwatch.sinks.pool_event import EVENT, fields_of_pool

__all__ = ["StructlogSink"]


class StructlogSink:
    """Logs through the program's own structlog configuration, at the level of the stall's severity."""

    def __init__(self) -> None:
        self._unconfigured = LoggingSink()

    def __call__(self, stall: Stall) -> None:
        logger = _logger()
        if logger is None:
            self._unconfigured(stall)
        else:
            getattr(logger, stall.severity.value)(event_name(stall), **fields_of(stall))

    def pool(self, saturation: PoolSaturation) -> None:
        """See `loopwatch.sinks.Hooks`."""
        logger = _logger()
        if logger is None:
            self._unconfigured.pool(saturation)
        else:
            logger.warning(EVENT, **fields_of_pool(saturation))


def _logger() -> Any:
    """The program's own; None where it has configured none."""
    structlog = sys.modules.get("structlog")
    return structlog.get_logger("loopwatch") if structlog is not None and structlog.is_configured() else None
