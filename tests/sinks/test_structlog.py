"""Stalls through structlog, if the program has configured it; else through logging."""

import sys

import pytest
import structlog
from facts import ongoing, origin, stall

from loopwatch.sinks.event import fields_of
from loopwatch.sinks.structlog import StructlogSink


@pytest.fixture(autouse=True)
def unconfigured():
    """structlog as a program finds it that never configured it, before and after."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(params=["filtering", "stdlib"])
def events(request):
    """structlog configured by the program; gives the events that it renders."""
    events = []

    def keep(logger, method, event):
        events.append({"called": method, **event})
        raise structlog.DropEvent

    if request.param == "filtering":
        structlog.configure(processors=[keep])
    else:
        structlog.configure(
            processors=[keep],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )
    return events


def test_configured(events, caplog):
    """A program that has configured structlog gets one warning with the fields of the contract, and no line elsewhere."""
    StructlogSink()(stall())

    assert events == [{"called": "warning", "event": "event_loop_blocked", **fields_of(stall())}]
    assert caplog.records == []


def test_announcement(events):
    """A stall that lasts is an event of its own."""
    StructlogSink()(ongoing())

    assert (events[0]["event"], events[0]["duration_ms"]) == ("event_loop_stalled", 1000)


@pytest.mark.parametrize(("duration_ms", "called"), [(400, "warning"), (1500, "error"), (15_000, "critical")])
def test_level(events, duration_ms, called):
    """An event has the level of the stall's severity."""
    StructlogSink()(stall(duration_ms))

    assert events[0]["called"] == called


def test_percent_sign(events):
    """A percent sign in a line of source means nothing."""
    StructlogSink()(stall(origin=origin(expression="'%s' % name")))

    assert events[0]["expression"] == "'%s' % name"


@pytest.mark.parametrize("name", ["event", "self", "method_name", "logger", "positional_args", "_record", "exc_info"])
def test_any_context(events, name):
    """A bound variable may have any name, also one that structlog's own methods use."""
    StructlogSink()(stall(context=((name, "mine"), ("request_id", "abc"))))

    (event,) = events
    assert (event["event"], event["request_id"]) == ("event_loop_blocked", "abc")


def test_unconfigured(caplog, capsys):
    """A program that never configured structlog gets the line through logging: structlog would print it to stdout."""
    StructlogSink()(stall())

    assert capsys.readouterr().out == ""
    assert [record.name for record in caplog.records] == ["loopwatch"]
    assert not structlog.is_configured()


def test_asked_anew(caplog, capsys):
    """A program may configure structlog after it has enabled loopwatch."""
    sink = StructlogSink()
    sink(stall())
    structlog.configure(processors=[structlog.processors.JSONRenderer()])

    sink(stall())

    assert len(caplog.records) == 1
    assert '"event": "event_loop_blocked"' in capsys.readouterr().out


def test_without_structlog(monkeypatch, caplog):
    """A program that has not imported structlog is not made to."""
    monkeypatch.delitem(sys.modules, "structlog")

    StructlogSink()(stall())

    assert [record.name for record in caplog.records] == ["loopwatch"]
    assert "structlog" not in sys.modules
