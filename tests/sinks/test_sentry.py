"""Stalls as events, through a real SDK of Sentry with a transport of our own."""

import json
import logging
import sys
from datetime import UTC, datetime, timedelta

import pytest
import sentry_sdk
from facts import LOOP, frame, hold, library, observation, ongoing, samples, stall
from sentry_sdk.transport import Transport

from loopwatch.errors import MissingExtraError
from loopwatch.judge import judge
from loopwatch.records import Cause, Holder, RequestInfo, TraceInfo
from loopwatch.sinks import sink_called
from loopwatch.sinks.sentry import MAX_PER_HOUR, SentrySink, event_of
from loopwatch.testing import capture_stalls


class Kept(Transport):
    """Keeps what would be sent, as JSON would have it."""

    def __init__(self, options=None):
        super().__init__(options)
        self.events = []

    def capture_envelope(self, envelope):
        self.events += [json.loads(item.payload.get_bytes()) for item in envelope.items if item.type == "event"]


@pytest.fixture
def events():
    """What reaches Sentry from a program that has initialised it."""
    transport = Kept()
    sentry_sdk.init("https://key@127.0.0.1/1", transport=transport, release="shop@1.0", default_integrations=False)
    yield transport.events
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.Scope.get_global_scope().set_client(None)
    sentry_sdk.Scope.get_global_scope().clear()


@pytest.fixture
def sink():
    return SentrySink()


# ── the event ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_event(events, sink):
    """A stall is an exception `EventLoopBlocked` in the thread that was blocked, as Sentry's SDK for Node.js sends it."""
    sink(stall(duration_ms=400))

    (event,) = events
    (exception,) = event["exception"]["values"]
    (thread,) = event["threads"]["values"]
    assert (exception["type"], exception["mechanism"]) == ("EventLoopBlocked", {"type": "ANR", "handled": True})
    assert exception["value"].startswith("Event loop blocked for 400 ms: the thread was on the CPU for 0 ms")
    assert exception["thread_id"] == thread["id"] == LOOP.native_id
    assert thread == {"id": 77, "name": "MainThread", "crashed": False, "current": True, "main": False}
    assert (event["level"], event["logger"], event["platform"]) == ("warning", "loopwatch", "python")
    assert (event["transaction"], event["transaction_info"]) == ("/items/{item_id}", {"source": "route"})
    assert event["release"] == "shop@1.0"
    assert datetime.fromisoformat(event["timestamp"]) == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=400)


def test_stack(events, sink):
    """Frames go outermost first; those of the user's code are marked as such, and none has locals."""
    sink(
        stall(
            stack=(
                library("starlette.routing.app", 9),
                frame("handler", 10, module="shop.main", file="/srv/shop/main.py"),
            )
        )
    )

    frames = events[0]["exception"]["values"][0]["stacktrace"]["frames"]
    assert [(one["function"], one["lineno"], one["in_app"]) for one in frames] == [
        ("app", 9, False),
        ("handler", 10, True),
    ]
    assert (frames[1]["filename"], frames[1]["abs_path"], frames[1]["module"]) == (
        "shop/main.py",
        "/srv/shop/main.py",
        "shop.main",
    )
    assert not [one for one in frames if "vars" in one]


def test_a_library_that_counts_as_the_users_code(events, sink):
    """The file of the line that is blamed is the user's code, also where `app_packages` says so."""
    sink(stall(stack=(library("shop.handler", 10, file="/srv/shop.py"),)))

    assert events[0]["exception"]["values"][0]["stacktrace"]["frames"][0]["in_app"] is True


@pytest.mark.parametrize(
    ("module", "file", "short"),
    [
        ("shop.main", "/srv/app/shop/main.py", "shop/main.py"),
        ("shop", "/srv/app/shop/__init__.py", "shop/__init__.py"),
        ("__main__", "/srv/app/serve.py", "serve.py"),
        (None, "/srv/app/serve.py", "serve.py"),
        ("shop.main", r"C:\app\shop\main.py", "shop/main.py"),
        ("a.b.c.d", "main.py", "main.py"),
    ],
)
def test_file(module, file, short):
    """A file goes by what its module's name says of it, which is the same on every machine."""
    event = event_of(stall(stack=(frame(module=module, file=file),)))

    assert event["exception"]["values"][0]["stacktrace"]["frames"][0]["filename"] == short


def test_grouped_by_fingerprint(events, sink):
    """Sentry's issue is our incident: cause and function decide, neither line nor duration nor route."""
    sink(stall(duration_ms=400))
    sink(stall(duration_ms=900, request=None))
    sink(stall(fingerprint="fedcba987654"))

    first, second, third = (event["fingerprint"] for event in events)
    assert first == second == ["loopwatch.event_loop_blocked", "0123456789ab"]
    assert third != first


@pytest.mark.parametrize(
    ("duration_ms", "cause", "level"),
    [(400, Cause.SLEEP, "warning"), (1500, Cause.SLEEP, "error"), (60_000, Cause.STARVED, "warning")],
)
def test_level(events, sink, duration_ms, cause, level):
    """A second is an error; what the machine did stays a warning."""
    sink(stall(duration_ms=duration_ms, cause=cause))

    assert events[0]["level"] == level


def test_tags_and_context(events, sink):
    """Tags can be searched; the context has all that the log event has, with what the program had bound."""
    sink(stall(context=(("request_id", "abc"),)))

    assert events[0]["tags"] == {"loopwatch.cause": "sleep", "loopwatch.loop": "asyncio"}
    context = events[0]["contexts"]["loopwatch"]
    assert (context["expression"], context["evidence"]) == ("time.sleep(1)", stall().evidence)
    assert (context["waiting"], context["request_id"]) == (3, "abc")
    assert "stack" not in context


@pytest.mark.parametrize(
    ("request_info", "transaction"),
    [
        (RequestInfo("GET", None, "app"), ("app", {"source": "component"})),
        (RequestInfo(None, None, None), None),
        (None, None),
    ],
)
def test_transaction(request_info, transaction):
    """Without a route the endpoint names the transaction; without a request there is none."""
    event = event_of(stall(request=request_info))

    assert (
        (event["transaction"], event["transaction_info"]) == transaction if transaction else "transaction" not in event
    )


def test_trace(events, sink):
    """The event lies in the trace of the request, where that is known."""
    sink(stall(trace=TraceInfo("a" * 32, "b" * 16, 1)))

    trace = events[0]["contexts"]["trace"]
    assert (trace["trace_id"], trace["span_id"]) == ("a" * 32, "b" * 16)


def test_another_thread_kept_the_gil(events, sink):
    """The exception is in the thread that kept the GIL; the loop's own stack is with its thread."""
    kept = judge(observation(*samples(cpu=0.0, others=1.0, late_ms=45), holds=(hold(390, 380, cpu_ms=380),)), 100)
    assert kept.cause is Cause.GIL

    sink(kept)

    exception, threads = events[0]["exception"]["values"][0], events[0]["threads"]["values"]
    assert exception["thread_id"] == 88
    assert [one["function"] for one in exception["stacktrace"]["frames"]] == ["render"]
    assert [(one["id"], one["name"], one["current"], "stacktrace" in one) for one in threads] == [
        (77, "MainThread", False, True),
        (88, "reports", True, False),
    ]


def test_stacks_left_out():
    """A thread that is waited for is not to blame, also where the limit on stacks has left them all out."""
    waited_for = stall(cause=Cause.LOCK, holder=Holder("reports", 88, ()), stack=(), stack_omitted=True)

    event = event_of(waited_for)

    assert event["exception"]["values"][0]["thread_id"] == LOOP.native_id
    assert [(one["id"], one["current"]) for one in event["threads"]["values"]] == [(LOOP.native_id, True), (88, False)]


# ── how many ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_once_while_it_lasts(events, sink):
    """A stall is sent when it is first announced, and when it has ended: not at each announcement."""
    for duration_ms in (1000, 2000, 4000):
        sink(ongoing(duration_ms))
    sink(stall(5000))

    assert [event["exception"]["values"][0]["value"].split(":")[0] for event in events] == [
        "Event loop blocked for at least 1000 ms",
        "Event loop blocked for 5000 ms",
    ]


def test_bounded(events, sink, monkeypatch):
    """So many an hour and no more; what was held back is told with the next one."""
    now = [1000.0]
    monkeypatch.setattr("loopwatch.sinks.sentry.time.monotonic", lambda: now[0])
    for number in range(MAX_PER_HOUR + 5):
        sink(stall(id=f"stall-{number}"))
    assert len(events) == MAX_PER_HOUR
    assert "held_back" not in events[-1]["contexts"]["loopwatch"]

    now[0] += 3601
    sink(stall())

    assert len(events) == MAX_PER_HOUR + 1
    assert events[-1]["contexts"]["loopwatch"]["held_back"] == 5


# ── the program's SDK ───────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_of_another_request(events, sink):
    """What the program has set for one request is not on it, though the sink's thread has inherited it; what is global is."""
    sentry_sdk.Scope.get_global_scope().set_tag("region", "eu")
    with sentry_sdk.isolation_scope() as scope:
        scope.set_user({"id": "hunter2"})
        scope.set_tag("tenant", "hunter2")
        scope.add_breadcrumb(message="hunter2")
        sink(stall())

    assert events[0]["tags"]["region"] == "eu"
    assert "hunter2" not in json.dumps(events)


def test_not_initialised(sink, caplog):
    """Where the program has not initialised Sentry, that is said, plainly and once; later it may."""
    sentry_sdk.Scope.get_global_scope().set_client(None)
    for _ in range(3):
        sink(stall())

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "sends nothing as long as the program has not called sentry_sdk.init()" in record.getMessage()


def test_initialised_later(sink, request):
    """A program may initialise Sentry after it has enabled loopwatch."""
    sentry_sdk.Scope.get_global_scope().set_client(None)
    sink(stall())
    events = request.getfixturevalue("events")

    sink(stall())

    assert len(events) == 1


def test_not_imported(sink, monkeypatch, caplog):
    """A program that has not imported the SDK is not made to."""
    monkeypatch.delitem(sys.modules, "sentry_sdk")

    sink(stall())

    assert "sentry_sdk" not in sys.modules
    assert len(caplog.records) == 1


def test_missing(monkeypatch):
    """Without the library, enabling it says which extra to install."""
    monkeypatch.setattr("loopwatch.sinks.find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"pip install 'loopwatch\[sentry\]'"):
        sink_called("sentry")


def test_a_real_stall(events):
    """Switched on by name, a stall of a real loop arrives as one event, with its line."""
    import asyncio
    import time

    async def block():
        secret = "hunter2"
        time.sleep(0.2)
        return secret

    with capture_stalls(threshold_ms=100, sinks=["sentry"]) as stalls:
        asyncio.run(block())

    (event,) = events
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    (blocked,) = [one for one in frames if one["in_app"] and one["function"].endswith("block")]
    assert (blocked["lineno"], blocked["context_line"]) == (stalls[0].origin.line, "time.sleep(0.2)")
    assert event["threads"]["values"][0]["main"] is True
    assert '"vars"' not in json.dumps(event)
    assert event["contexts"]["loopwatch"]["pid"] == stalls[0].loop.pid
