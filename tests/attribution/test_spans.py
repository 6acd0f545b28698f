"""Whose span was held: FastAPI's own telemetry under a real server, and what our sink adds to the trace."""

import asyncio
import sys
import time

import pytest
from sinks.telemetry import Telemetry

from loopwatch.testing import capture_stalls

from .blame import describe, only

fastapi = pytest.importorskip("fastapi")

CONTEXT_IS_READ = sys.version_info >= (3, 12)


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def app(telemetry):
    """A FastAPI app with telemetry of its own."""
    providers = {name: getattr(telemetry, name) for name in ("tracer_provider", "meter_provider", "logger_provider")}
    app = fastapi.FastAPI(telemetry=providers)

    @app.get("/items/{item_id}")
    async def read_item(item_id: int):
        time.sleep(0.2)  # BLOCK
        return {"id": item_id}

    @app.get("/shelves/{shelf}")
    async def read_shelf(shelf: int):
        with telemetry.tracer.start_as_current_span("count"):
            await asyncio.sleep(0.01)
            time.sleep(0.2)
        return {}

    return app


def ids(span):
    """A span's ids as in a record."""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_span_of_a_request(telemetry, app, serve, client):
    """The span "event loop blocked" lies in the trace of the request that blocked, under its endpoint (3.11: under the request)."""
    with capture_stalls(threshold_ms=100, sinks=[telemetry.sink()]) as stalls, serve(app) as address:
        client.get(f"http://{address}/items/7")
    stall = only(stalls)

    (held,) = telemetry.spans("fastapi.endpoint" if CONTEXT_IS_READ else "GET /items/{item_id}")
    assert (stall.trace.trace_id, stall.trace.span_id) == ids(held), describe(stall)
    (span,) = [one for one in telemetry.spans() if one.attributes["loopwatch.stall_id"] == stall.id]
    assert (span.parent.span_id, span.context.trace_id) == (held.context.span_id, held.context.trace_id)
    assert span.end_time - span.start_time >= 195_000_000
    assert span.start_time <= held.end_time
    assert span.attributes["code.function.name"].endswith("read_item")
    assert span.attributes["http.route"] == "/items/{item_id}"
    (record,) = [one for one in telemetry.logs if one.attributes.get("loopwatch.stall_id") == stall.id]
    assert (record.event_name, record.trace_id) == ("loopwatch.event_loop.blocked", held.context.trace_id)
    counted = {point.attributes["loopwatch.cause"]: point for point in telemetry.points("loopwatch.eventloop.blocked.duration")}
    assert counted[stall.cause.value].count == 1


def test_the_programs_own_span(telemetry, app, serve, client):
    """The innermost span that was current is the one that was held (3.11: the request's)."""
    with capture_stalls(threshold_ms=100) as stalls, serve(app) as address:
        client.get(f"http://{address}/shelves/7")
    stall = only(stalls)

    (held,) = telemetry.spans("count" if CONTEXT_IS_READ else "GET /shelves/{shelf}")
    assert (stall.trace.trace_id, stall.trace.span_id) == ids(held), describe(stall)


@pytest.mark.skipif(not CONTEXT_IS_READ, reason="Python 3.11 does not show a task's context to others")
def test_span_of_a_task(telemetry, stall_of):
    """A task without a request has its span as well."""

    async def main():
        with telemetry.tracer.start_as_current_span("import"):
            await asyncio.sleep(0)
            time.sleep(0.2)

    stall = stall_of(main)

    assert (stall.trace.trace_id, stall.trace.span_id) == ids(telemetry.spans("import")[0])


def test_no_span(stall_of):
    """Without a span there is none."""

    async def main():
        time.sleep(0.2)

    assert stall_of(main).trace is None
