"""From raw facts to the record that people read."""

import pytest
from facts import call, collection, frame, library, observation, sample, samples, vitals

from loopwatch.judge import judge
from loopwatch.records import Cause, RequestInfo, TraceInfo, Waiting

SLEEPING = samples(frame(point="call", call="time.sleep"), cpu=0.0, syscall=call("clock_nanosleep"), task="handler")


def test_ended():
    """An ended stall is timed in milliseconds, as exactly as it was seen."""
    stall = judge(observation(*SLEEPING, duration_ms=412.5, waiting=Waiting(requests=3)), threshold_ms=100)

    assert (stall.id, stall.state, stall.duration_ms, stall.timing) == ("stall-1", "ended", 412.5, "exact")
    assert (stall.cause, stall.threshold_ms, stall.samples, stall.waiting.requests) == (Cause.SLEEP, 100, 8, 3)
    assert (stall.origin.call, stall.task) == ("time.sleep", "handler")
    assert "asyncio.sleep" in stall.advice


@pytest.mark.parametrize("fields", [{"ongoing": True}, {"exact": False}])
def test_bounded(fields):
    """What still lasts, and what was not seen from start to end, has a bound for a duration."""
    stall = judge(observation(*SLEEPING, **fields), threshold_ms=100)

    assert stall.timing == "bounded"
    assert stall.ongoing == fields.get("ongoing", False)


def test_one_incident_from_announcement_to_end():
    """The announcement and the report of a stall carry one id and one fingerprint."""
    first = judge(observation(*SLEEPING[:4], duration_ms=200, ongoing=True), threshold_ms=100)
    last = judge(observation(*SLEEPING), threshold_ms=100)

    assert (first.id, first.fingerprint) == (last.id, last.fingerprint)


def test_no_line_is_blamed_for_the_machine():
    """A starved, collecting or overloaded loop has no origin; the shares still tell what was running."""
    stall = judge(observation(*SLEEPING, collections=(collection(0, 390),)), threshold_ms=100)

    assert stall.cause is Cause.GC
    assert stall.origin is None
    assert stall.shares[0].origin.function == "handler"


def test_nothing_was_sampled():
    """A stall without a sample is still told, with its duration."""
    stall = judge(observation(vitals=vitals(cpu_ms=0, other_cpu_ms=0)), threshold_ms=100)

    assert (stall.duration_ms, stall.origin, stall.stack, stall.request, stall.task) == (400, None, (), None, None)


def test_request_of_most_samples():
    """The request is that of most samples, of those that the router had matched already."""
    early, found, other = (RequestInfo("GET", route, "app") for route in (None, "/items/{item_id}", "/health"))
    requests = (early, early, early, other, found, found, None)
    seen = [sample(50 * n, request=request) for n, request in enumerate(requests, 1)]

    assert judge(observation(*seen), threshold_ms=100).request == found


def test_await_chain():
    """The coroutines of the stack, outermost first, are the chain of awaits."""
    stack = (
        frame("handler", coroutine=True),
        library("starlette.run"),
        frame("service", coroutine=True),
        frame("helper"),
    )

    stall = judge(observation(sample(300, *stack)), threshold_ms=100)

    assert stall.await_chain == ("handler", "service")


def test_context_of_the_latest_sample():
    """What the task had bound with structlog comes along, as it was last seen."""
    seen = (sample(100), sample(300, context=(("request_id", "abc"),)))

    assert judge(observation(*seen), threshold_ms=100).context == (("request_id", "abc"),)


@pytest.mark.parametrize(
    ("spans", "held"),
    [("aab", "a"), ("aa", "a"), ("ab", None), ("abc", None), ("a--", None), ("---", None), ("", None)],
    ids=str,
)
def test_span_of_most_samples(spans, held):
    """The span is that of more than half of the samples: of many requests that shared a turn, none was the one held."""
    traces = [None if name == "-" else TraceInfo(name * 32, name * 16, 1) for name in spans]
    seen = [sample(50 * n, trace=trace) for n, trace in enumerate(traces, 1)]

    stall = judge(observation(*seen), threshold_ms=100)

    assert stall.trace == (held and TraceInfo(held * 32, held * 16, 1))
