"""A saturated pool as a log event: flat, one line, through structlog where it is configured, else through logging."""

import logging

import structlog
from facts import frame, saturation

from loopwatch.judge.pools import judge_saturation
from loopwatch.sinks.logging import LoggingSink
from loopwatch.sinks.pool_event import fields_of_pool
from loopwatch.sinks.structlog import StructlogSink

KEYS = (
    "saturation_id state kind pool duration_ms borrowed total waiting waiting_max oldest_wait_ms oldest_wait_max_ms file line "
    "function expression call exact workers advice fingerprint started_at loop thread pid"
).split()


def judged(function="price", **fields):
    """A pool whose two threads stand at one line."""
    stack = (frame(function, 41, source="fetch()"),)
    return judge_saturation(saturation(stack, stack, **fields))


def test_keys():
    """All keys of the contract, and no others."""
    assert list(fields_of_pool(judged())) == KEYS


def test_values():
    """Figures are rounded, and the lines of the workers are named with how many stand there."""
    fields = fields_of_pool(judged())

    assert (fields["state"], fields["duration_ms"], fields["waiting"], fields["total"]) == ("ongoing", 1500.0, 9, 4)
    assert fields["workers"] == [f"2 at {fields['file']}:41 price"]


def test_one_line(caplog):
    """Nothing from the program can break the line."""
    LoggingSink().pool(judged("price\nevil=1\x1b[2J"))

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("loopwatch", logging.WARNING)
    assert record.getMessage().startswith("thread_pool_saturated saturation_id=pool-1 state=ongoing ")
    assert record.getMessage().isprintable()
    assert record.loopwatch["event"] == "thread_pool_saturated"


def test_structlog(caplog):
    """A program that has configured structlog gets one warning there, and no line elsewhere; else it is logged."""
    structlog.reset_defaults()
    StructlogSink().pool(judged())
    assert len(caplog.records) == 1

    with structlog.testing.capture_logs() as events:
        structlog.configure(processors=structlog.get_config()["processors"])
        StructlogSink().pool(judged())
    structlog.reset_defaults()

    assert events == [{"event": "thread_pool_saturated", "log_level": "warning", **fields_of_pool(judged())}]
    assert len(caplog.records) == 1
