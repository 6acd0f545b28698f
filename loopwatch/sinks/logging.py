"""Stalls, and saturated pools, through the standard library's logging: one line to the logger "loopwatch"."""

import logging
from typing import Any

from loopwatch.records import PoolSaturation, Severity, Stall
from loopwatch.sinks.event import event_name, fields_of, line_of
from loopwatch.sinks.pool_event import EVENT, fields_of_pool

__all__ = ["LoggingSink"]

LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}


class LoggingSink:
    """Logs at the level of the stall's severity; the fields are also on the record, as `record.loopwatch` (a dict)."""

    def __call__(self, stall: Stall) -> None:
        level = LEVELS[stall.severity]
        if logging.getLogger("loopwatch").isEnabledFor(level):
            self._log(level, event_name(stall), fields_of(stall))

    def pool(self, saturation: PoolSaturation) -> None:
        """See `loopwatch.sinks.Hooks`."""
        self._log(logging.WARNING, EVENT, fields_of_pool(saturation))

    @staticmethod
    def _log(level: int, name: str, fields: dict[str, Any]) -> None:
        # The text goes in as an argument: a percent sign in it means nothing.
        logging.getLogger("loopwatch").log(
            level, "%s", line_of(name, fields), extra={"loopwatch": {"event": name, **fields}}
        )
