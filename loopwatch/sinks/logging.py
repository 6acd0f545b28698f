"""Stalls through the standard library's logging: one line to the logger "loopwatch"."""

import logging

from loopwatch.records import Stall
from loopwatch.sinks.event import event_name, fields_of, one_line

__all__ = ["LoggingSink"]


class LoggingSink:
    """Warns; the fields are also on the record, as `record.loopwatch` (a dict)."""

    def __call__(self, stall: Stall) -> None:
        logger = logging.getLogger("loopwatch")
        if logger.isEnabledFor(logging.WARNING):
            # The text goes in as an argument: a percent sign in it means nothing.
            logger.warning("%s", one_line(stall), extra={"loopwatch": {"event": event_name(stall), **fields_of(stall)}})
