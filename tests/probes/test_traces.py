"""Whose span? Read from a task's context, or from the scope of FastAPI, without running anything of the program's."""

import contextvars
import sys
import weakref
from types import SimpleNamespace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from loopwatch.probes.requests import server_span_of
from loopwatch.probes.traces import current_trace, trace_of
from loopwatch.records import TraceInfo

TRACER = TracerProvider().get_tracer("test")
REMOTE = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True, trace_flags=TraceFlags(0))


def test_current_span():
    """The span that is current in a context is known by its ids, in the form of a traceparent header."""
    with TRACER.start_as_current_span("outer"), TRACER.start_as_current_span("inner") as inner:
        context = contextvars.copy_context()
    ids = inner.get_span_context()

    found = current_trace(context)

    assert found == TraceInfo(trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id), ids.trace_flags)


def test_remote_span():
    """A span that another process sent, and that this one does not record, is known too."""
    with trace.use_span(NonRecordingSpan(REMOTE)):
        assert current_trace(contextvars.copy_context()) == TraceInfo(f"{0xABC:032x}", f"{0xDEF:016x}", 0)


def test_no_span():
    """Without a span, or with one that is not valid, there is none."""
    assert current_trace(contextvars.Context()) is None
    with trace.use_span(trace.INVALID_SPAN):
        assert current_trace(contextvars.copy_context()) is None


@pytest.mark.parametrize("missing", ["opentelemetry.context", "opentelemetry.trace.propagation"])
def test_without_opentelemetry(missing, monkeypatch):
    """A program that has not imported OpenTelemetry has no span, and is not made to import it."""
    with TRACER.start_as_current_span("held"):
        monkeypatch.delitem(sys.modules, missing)

        assert current_trace(contextvars.copy_context()) is None
        assert missing not in sys.modules


def test_another_kind_of_context(monkeypatch):
    """A program may keep OpenTelemetry's context in a way of its own; what it is then, is not known."""
    monkeypatch.setattr("opentelemetry.context._RUNTIME_CONTEXT", SimpleNamespace(_current_context={}))

    assert current_trace(contextvars.copy_context()) is None


def test_no_code_of_the_program_runs():
    """A span of the program's own making is not asked for its ids."""

    class Hostile(trace.NonRecordingSpan):
        def __init__(self):
            pass

        def __getattribute__(self, name):
            raise AssertionError("was run")

    assert trace_of(Hostile()) is None
    assert trace_of(SimpleNamespace(_context=(1, 2, False, 1))) is None


def test_no_span_is_kept():
    """What is known of a span does not keep it alive."""
    span = TRACER.start_span("held")
    ref = weakref.ref(span)

    found = trace_of(span)
    del span

    assert found is not None
    assert ref() is None


def server_span(scope):
    """The server's span of a frame that has this scope, while it stands at its `yield`."""

    def app(scope, receive, send):
        yield

    generator = app(scope, None, None)
    next(generator)
    found = server_span_of(generator.gi_frame)
    generator.close()
    return found


def test_span_of_the_server():
    """FastAPI's own span is found in the scope."""
    with TRACER.start_as_current_span("GET /") as span:
        found = server_span({"fastapi.telemetry": SimpleNamespace(span=span)})

    assert found is not None
    assert found == trace_of(span)


@pytest.mark.parametrize(
    "scope", [{}, {"fastapi.telemetry": None}, {"fastapi.telemetry": SimpleNamespace(span=None)}, []]
)
def test_no_span_of_the_server(scope):
    """Without telemetry there is none."""
    assert server_span(scope) is None
