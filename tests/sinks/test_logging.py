"""Stalls through the standard library's logging."""

import logging

import pytest
from facts import ongoing, origin, stall

from loopwatch.sinks.event import fields_of, one_line
from loopwatch.sinks.logging import LoggingSink


@pytest.fixture
def quiet():
    """The logger "loopwatch" at level ERROR."""
    logger = logging.getLogger("loopwatch")
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(logging.NOTSET)


def test_record(caplog):
    """One warning to the logger "loopwatch", on one line, with the fields for whoever formats records himself."""
    LoggingSink()(stall())

    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("loopwatch", "WARNING", one_line(stall()))
    assert record.loopwatch == {"event": "event_loop_blocked", **fields_of(stall())}


def test_announcement(caplog):
    """A stall that lasts is an event of its own."""
    LoggingSink()(ongoing())

    assert caplog.records[0].getMessage().startswith("event_loop_stalled ")


@pytest.mark.parametrize(("duration_ms", "level"), [(400, "WARNING"), (1500, "ERROR"), (15_000, "CRITICAL")])
def test_severity(caplog, duration_ms, level):
    """A record has the level of the stall's severity."""
    LoggingSink()(stall(duration_ms))

    assert caplog.records[0].levelname == level


def test_percent_sign(caplog):
    """A percent sign in a line of source means nothing to the logger."""
    LoggingSink()(stall(origin=origin(expression="'%s %d %(x)s' % (a, b)")))

    assert "'%s %d %(x)s' % (a, b)" in caplog.text


def test_any_context(caplog):
    """A bound variable may be called like an attribute of a log record."""
    LoggingSink()(stall(context=(("message", "mine"), ("args", 1), ("name", "x"), ("asctime", "y"))))

    assert caplog.records[0].loopwatch["message"] == "mine"


def test_level(caplog, quiet):
    """A logger that takes no warnings gets none."""
    LoggingSink()(stall())

    assert caplog.records == []


def test_nothing_on_stdout(capsys):
    """Nothing is printed to stdout, even where logging was never configured."""
    LoggingSink()(stall())

    assert capsys.readouterr().out == ""
