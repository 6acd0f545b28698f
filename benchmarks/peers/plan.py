"""Which cases are run, and in which order."""

import fnmatch
from collections.abc import Iterator, Sequence
from typing import TypeVar

from benchmarks.accuracy import corpus  # noqa: F401  (registers the cases)
from benchmarks.accuracy.case import CASES, Case

__all__ = ["QUICK", "SMALL", "chosen", "rotated"]

T = TypeVar("T")

QUICK = ("sleeps/time_sleep", "python_code/for_loop", "native_text/json_dumps", "honest/requests_and_timers")
SMALL = (
    "sleeps/time_sleep",
    "network/requests_get",
    "network/socket_recv",
    "drivers/psycopg_execute",
    "disk/fsync",
    "disk/fifo_read",
    "children/subprocess_run",
    "locks/lock_acquire",
    "locks/queue_get",
    "python_code/for_loop",
    "python_code/chatty_helper",
    "python_libraries/deepcopy",
    "native_text/json_dumps",
    "native_text/re_catastrophic",
    "native_data/pbkdf2",
    "drivers/sqlite3_query",
    "operators/power",
    "operators/membership",
    "garbage/explicit",
    "gil/regex_beside_a_turn",
    "gil/sort_while_a_timer_is_due",
    "overload/callbacks",
    "machine/throttled",
    "machine/stopped_in_a_turn",
    "honest/requests_and_timers",
    "honest/half_milliseconds_that_yield",
    "honest/turns_of_60_ms",
    "honest/blocking_in_threads",
)
"""One to three of every cause, and negatives of every kind. Chosen before any tool was run on them, and not to be changed
because of what one of them makes of it."""


def chosen(patterns: Sequence[str]) -> list[Case]:
    """The cases whose names match, in the corpus's order."""
    return [case for name, case in CASES.items() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def rotated(entrants: Sequence[T], cases: Sequence[Case]) -> Iterator[tuple[Case, T]]:
    """Every tool on one case, then on the next: what the machine does meanwhile hits all of them. Another begins each time."""
    for number, case in enumerate(cases):
        first = number % max(1, len(entrants))
        for entrant in (*entrants[first:], *entrants[:first]):
            yield case, entrant
