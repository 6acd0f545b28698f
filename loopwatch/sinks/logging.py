"""Stalls through the standard library's logging: one line to the logger "loopwatch"."""

import logging

from loopwatch.records import Severity, Stall
from loopwatch.sinks.event import event_name, fields_of, one_line

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
        logger = logging.getLogger("loopwatch")
        level = LEVELS[stall.severity]
        if logger.isEnabledFor(level):
            # The text goes in as an argument: a percent sign in it means nothing.
            fields = {"event": event_name(stall), **fields_of(stall)}
            logger.log(level, "%s", one_line(stall), extra={"loopwatch": fields})
