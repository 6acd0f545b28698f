"""Stalls through a real OpenTelemetry SDK: a span, a log event and metrics."""

import logging
from types import SimpleNamespace

import pytest
from facts import LOOP, frame, hold, observation, ongoing, origin, samples, stall
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import SpanKind

from loopwatch.errors import MissingExtraError, SettingError
from loopwatch.judge import judge
from loopwatch.probes.traces import trace_of
from loopwatch.records import Cause, RequestInfo
from loopwatch.settings import resolve
from loopwatch.sinks import sink_called
from loopwatch.sinks.otel import OpenTelemetrySink, attributes_of

from .telemetry import Telemetry
from .test_otel_counters import every, stats

STARTED_NS = 1_767_225_600 * 10**9
"""2026-01-01, when the stalls of `facts` begin."""


@pytest.fixture
def telemetry():
    return Telemetry()


def source(**fields):
    """A watch with one loop."""
    return SimpleNamespace(incidents=(), stats=lambda: every(stats(**fields), dropped=2, cost_cpu_ms=1500.0))


@pytest.fixture
def sink(telemetry):
    """Our sink, begun."""
    sink = telemetry.sink()
    sink.begin(source(lag_p50_ms=1.0, lag_p95_ms=20.0, lag_p99_ms=30.0, lag_max_ms=400.0))
    yield sink
    sink.end()


# ── the span ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_span(telemetry, sink):
    """A stall that has ended is a span from its start to its end, under the span that was held."""
    held = telemetry.tracer.start_span("GET /items/{item_id}")

    sink(stall(duration_ms=412.5, trace=trace_of(held)))

    (span,) = telemetry.spans()
    assert (span.start_time, span.end_time) == (STARTED_NS, STARTED_NS + 412_500_000)
    assert span.parent.span_id == held.get_span_context().span_id
    assert span.context.trace_id == held.get_span_context().trace_id
    assert (span.kind, span.events, span.instrumentation_scope.name) == (SpanKind.INTERNAL, (), "loopwatch")
    assert span.attributes == attributes_of(stall(duration_ms=412.5))


def test_span_that_is_not_sampled(telemetry, sink):
    """What was held and is not sampled gets no span that is."""
    held = stall(trace=trace_of(telemetry.tracer.start_span("held")))

    sink(stall(trace=held.trace.__class__(held.trace.trace_id, held.trace.span_id, flags=0)))

    assert telemetry.spans() == []
    assert len(telemetry.logs) == 1


def test_span_of_its_own(telemetry, sink):
    """A stall outside any span begins a trace, even where the sink's thread has inherited a current span."""
    with telemetry.tracer.start_as_current_span("somebody else's"):
        sink(stall(trace=None))

    (span,) = telemetry.spans()
    assert span.parent is None
    assert telemetry.logs[0].trace_id == 0


def test_no_span_while_it_lasts(telemetry, sink):
    """A stall under way has no span yet."""
    sink(ongoing())

    assert telemetry.spans() == []


# ── the log event ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_log_event(telemetry, sink):
    """A stall that has ended is a log event in the trace of what was held, at the time of its end."""
    held = telemetry.tracer.start_span("held")

    sink(stall(duration_ms=400, trace=trace_of(held)))

    (record,) = telemetry.logs
    assert (record.event_name, record.timestamp) == ("loopwatch.event_loop.blocked", STARTED_NS + 400_000_000)
    assert (record.severity_number, record.severity_text) == (SeverityNumber.WARN, "WARN")
    assert (record.trace_id, record.span_id) == (held.context.trace_id, held.context.span_id)
    assert record.body == "the event loop was blocked for 400 ms at /srv/shop.py:10 (sleep)"
    assert record.attributes == attributes_of(stall(duration_ms=400))


def test_announcement(telemetry, sink):
    """A stall under way is a log event of its own, in the same trace."""
    held = telemetry.tracer.start_span("held")

    sink(ongoing(duration_ms=1000, trace=trace_of(held)))

    (record,) = telemetry.logs
    assert (record.event_name, record.severity_text) == ("loopwatch.event_loop.stalled", "ERROR")
    assert record.trace_id == held.context.trace_id
    assert record.body == "the event loop has been blocked for 1000 ms at /srv/shop.py:10 (sleep)"
    assert record.attributes["loopwatch.stall_id"] == "stall-1"


def test_the_machines_doing(telemetry, sink):
    """What the machine did to the program stays a warning, however long it took."""
    sink(stall(duration_ms=60_000, cause=Cause.STARVED, origin=None))

    assert telemetry.logs[0].severity_text == "WARN"


# ── attributes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_attributes():
    """Code, route, thread and process go by the names of the semantic conventions; all else has our prefix."""
    attributes = attributes_of(stall())

    assert {key: value for key, value in attributes.items() if not key.startswith("loopwatch.")} == {
        "code.file.path": "/srv/shop.py",
        "code.line.number": 10,
        "code.function.name": "shop.handler",
        "code.stacktrace": '  File "/srv/shop.py", line 10, in handler\n'
        '  File "/env/site-packages/time.py", line 73, in sleep',
        "http.request.method": "GET",
        "http.route": "/items/{item_id}",
        "process.pid": 777,
        "thread.name": "MainThread",
    }
    assert attributes["loopwatch.cause"] == "sleep"
    assert attributes["loopwatch.duration_ms"] == 400.0
    assert attributes["loopwatch.loop.backend"] == "asyncio"
    assert attributes["loopwatch.call"] == "time.sleep"


def test_nothing_is_none():
    """What is not known is left out: OpenTelemetry takes no None, and warns of it."""
    attributes = attributes_of(stall(origin=None, request=None, task=None, advice=None))

    assert None not in attributes.values()
    assert not {"code.file.path", "code.function.name", "http.route", "http.request.method"} & attributes.keys()


def test_a_websocket_has_no_method():
    """A WebSocket is not an HTTP method."""
    attributes = attributes_of(stall(request=RequestInfo("WEBSOCKET", "/ws", "feed")))

    assert "http.request.method" not in attributes
    assert attributes["http.route"] == "/ws"


def test_what_the_program_has_bound():
    """What a program binds with structlog stays in its own logs: the trace tells whose request it was."""
    assert not [key for key in attributes_of(stall(context=(("user", "hunter2"),))) if "user" in key]


def test_no_injection():
    """A file or a line of source cannot forge another line of the stack trace."""
    forged = frame('f\n  File "/etc/passwd"', source="x = 1\n\x1b[31m", line=3)

    attributes = attributes_of(stall(stack=(forged,), origin=origin('f\n  File "/etc/passwd"')))

    assert attributes["code.stacktrace"].count("\n") == 1
    assert attributes["code.stacktrace"].isascii() and "\x1b" not in attributes["code.stacktrace"]
    assert "\n" not in attributes["code.function.name"]


def test_stack_of_the_thread_to_blame():
    """Where another thread kept the GIL, the stack is that thread's."""
    kept = judge(observation(*samples(cpu=0.0, others=1.0, late_ms=45), holds=(hold(390, 380, cpu_ms=380),)), 100)
    assert kept.cause is Cause.GIL

    assert attributes_of(kept)["code.stacktrace"] == '  File "/srv/shop.py", line 20, in render'
    assert attributes_of(kept)["loopwatch.holder"] == "reports"


def test_stack_left_out():
    """Where the limit on stacks has left it out there is none, rather than an empty one."""
    assert "code.stacktrace" not in attributes_of(stall(stack=(), stack_omitted=True))


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_stall_is_counted(telemetry, sink):
    """The histogram takes every stall that has ended, by cause, in seconds, with the span that was held as exemplar."""
    held = telemetry.tracer.start_span("held")
    for _ in range(3):
        sink.count(stall(duration_ms=400, trace=trace_of(held)))
    sink.count(stall(duration_ms=2000, cause=Cause.GC))

    points = {
        point.attributes["loopwatch.cause"]: point for point in telemetry.points("loopwatch.eventloop.blocked.duration")
    }
    assert {cause: (point.count, point.sum) for cause, point in points.items()} == {
        "sleep": (3, pytest.approx(1.2)),
        "gc": (1, 2.0),
    }
    assert points["sleep"].exemplars[0].span_id == held.context.span_id
    assert 0.5 in points["gc"].explicit_bounds
    assert telemetry.logs == []


def test_allowed_stalls_can_be_told_apart(telemetry, sink):
    """Blocking that was allowed is counted under a word of its own."""
    sink.count(stall(allowed="warm-up"))
    sink.count(stall())

    points = telemetry.points("loopwatch.eventloop.blocked.duration")
    assert sorted(point.attributes["loopwatch.allowed"] for point in points) == [False, True]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("loopwatch.eventloop.delay.p50", [0.001]),
        ("loopwatch.eventloop.delay.p95", [0.02]),
        ("loopwatch.eventloop.delay.p99", [0.03]),
        ("loopwatch.eventloop.delay.max", [0.4]),
        ("loopwatch.eventloop.utilization", [0.25]),
        ("loopwatch.eventloop.time", [2.5, 7.5]),
        ("loopwatch.records.dropped", [2]),
        ("loopwatch.cpu.time", [1.5]),
    ],
)
def test_what_readers_ask_for(telemetry, sink, name, values):
    """The program's readers get the watch's totals, in seconds, each time they ask."""
    assert sorted(point.value for point in telemetry.points(name)) == pytest.approx(values)


def test_which_loop(telemetry, sink):
    """A loop goes by its backend and its thread; its time by its state."""
    points = telemetry.points("loopwatch.eventloop.time")

    assert [dict(point.attributes) for point in points] == [
        {"loopwatch.loop.backend": "asyncio", "thread.name": LOOP.thread, "loopwatch.eventloop.state": state}
        for state in ("active", "idle")
    ]


def test_after_the_end(telemetry, sink):
    """Of a watch that has ended no metric speaks any more; what it had counted stays."""
    sink.count(stall())
    sink.end()
    sink.count(stall())

    assert telemetry.points("loopwatch.eventloop.utilization") == []
    assert telemetry.points("loopwatch.eventloop.time") == []
    assert [point.count for point in telemetry.points("loopwatch.eventloop.blocked.duration")] == [1]


def test_two_watches(telemetry, sink, caplog):
    """With two watches nothing is counted twice, and when the first one ends, the second goes on."""
    second = telemetry.sink()
    second.begin(source(ran_s=2.0))
    for one in (sink, second):
        one.count(stall())
    assert [point.count for point in telemetry.points("loopwatch.eventloop.blocked.duration")] == [1]

    sink.end()
    second.count(stall())

    assert [point.count for point in telemetry.points("loopwatch.eventloop.blocked.duration")] == [2]
    second.end()
    assert caplog.records == []  # the SDK warns of an instrument that is made twice


def test_counters_never_go_back(telemetry, sink, monkeypatch):
    """A watch that is enabled again begins at 0; the counters do not."""
    monkeypatch.setattr("loopwatch.sinks.otel_metrics.FRESH_S", 0.0)
    before = sum(point.value for point in telemetry.points("loopwatch.eventloop.time"))
    sink.end()

    second = telemetry.sink()
    second.begin(source(ran_s=1.0))

    assert sum(point.value for point in telemetry.points("loopwatch.eventloop.time")) == before + 1.0
    second.end()


# ── the sink ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_by_name():
    """It is switched on by name, with nothing after it."""
    assert isinstance(sink_called("otel"), OpenTelemetrySink)
    with pytest.raises(SettingError, match="write it as otel, with nothing after it"):
        resolve({"sinks": ["otel:http://collector"]})


def test_missing(monkeypatch):
    """Without the library, enabling it says which extra to install."""
    monkeypatch.setattr("loopwatch.sinks.find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"pip install 'loopwatch\[otel\]'"):
        OpenTelemetrySink()


def test_not_begun():
    """A sink that was never begun, at an interpreter's end, does nothing."""
    sink = OpenTelemetrySink()

    sink.count(stall())
    sink(stall())
    sink.end()


def test_quiet(telemetry, sink, caplog):
    """The SDK has nothing to complain of."""
    caplog.set_level(logging.DEBUG)
    for one in (stall(), stall(origin=None, request=None, task=None), ongoing()):
        sink(one)
    sink.count(stall())
    telemetry.points("loopwatch.eventloop.time")

    assert caplog.records == []
